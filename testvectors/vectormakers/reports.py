"""Match scenarios: a list, queries and the rows of the report. Every row is written down by hand."""

from __future__ import annotations

import hashlib
from typing import Any

from hashmatch.algorithms import ALGORITHMS
from vectormakers.committed import document

__all__ = ["report_document"]


def _hex(algorithm: str, label: str, *flips: int) -> str:
    """A value without meaning, with bits inverted (bit 0 is the first)."""
    raw = bytearray(
        hashlib.shake_256(f"hashmatch report vector {algorithm} {label}".encode()).digest(ALGORITHMS[algorithm].width)
    )
    for bit in flips:
        raw[bit // 8] ^= 0x80 >> bit % 8
    return raw.hex()


def _entry(ref: str, source: str = "UNIT-A", **more: Any) -> dict[str, Any]:
    hashes = {name: more.pop(name) for name in ALGORITHMS if name in more}
    start: dict[str, Any] = {"source": source, "ref": ref, "hashes": hashes}
    return start | {"quality": {}, "category": None, "media_type": "", "size": None} | more


def _query(name: str, **more: Any) -> dict[str, Any]:
    hashes = {key: more.pop(key) for key in ALGORITHMS if key in more}
    start: dict[str, Any] = {"name": name, "hashes": hashes}
    return start | {"quality": {}, "size": None, "status": "ok", "reason": ""} | more


def _row(record: int, name: str, verdict: str, matches: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A row; keys in the canonical order. ``size``, ``reason`` and ``quality`` come before the verdict."""
    row: dict[str, Any] = {"input": 0, "record": record, "name": name}
    if "size" in more:
        row["size"] = more.pop("size")
    row["status"] = more.pop("status", "ok")
    for key in ("reason", "quality"):
        if key in more:
            row[key] = more.pop(key)
    return row | {"verdict": verdict, "matches": matches} | more


def _match(entry: str, algorithm: str, distance: int, radius: int, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"source": more.pop("source", "UNIT-A"), "entry": entry}
    for key in ("category", "media_type"):
        if key in more:
            row[key] = more.pop(key)
    return row | {"algorithm": algorithm, "distance": distance, "radius": radius} | more


def _vector(
    name: str,
    comment: str,
    entries: list[dict[str, Any]],
    queries: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    start: dict[str, Any] = {"list": entries, "known_good": [], "retract": [], "options": {}}
    return {
        "id": f"report-{name}",
        "comment": comment,
        "input": start | more | {"queries": queries},
        "expect": rows,
    }


def _exact_and_conflict() -> list[dict[str, Any]]:
    md5, sha1 = _hex("md5", "1"), _hex("sha1", "1")
    category = {"scheme": "interpol", "code": "baseline"}
    full = _entry("a-1", md5=md5, sha1=sha1, size=100, category=category, media_type="image")
    kind = {"category": category, "media_type": "image"}
    return [
        _vector(
            "exact",
            "both digests and the size agree: one match for each digest, none for the size",
            [full, _entry("a-2", md5=_hex("md5", "2"))],
            [_query("q", md5=md5, sha1=sha1, size=100)],
            [
                _row(
                    1,
                    "q",
                    "exact",
                    [
                        _match("a-1", "md5", 0, 0, **kind, agrees=["md5", "sha1", "size"], disagrees=[]),
                        _match("a-1", "sha1", 0, 0, **kind, agrees=["md5", "sha1", "size"], disagrees=[]),
                    ],
                    size=100,
                )
            ],
        ),
        _vector(
            "exact-by-one",
            "the query has a digest that the entry lacks: what is not there does not disagree",
            [_entry("a-1", md5=md5)],
            [_query("q", md5=md5, sha1=sha1, size=100)],
            [_row(1, "q", "exact", [_match("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[])], size=100)],
        ),
        _vector(
            "conflict",
            "MD5 agrees, SHA-1 does not: a collision, or a wrong entry",
            [full],
            [_query("q", md5=md5, sha1=_hex("sha1", "other"))],
            [_row(1, "q", "conflict", [_match("a-1", "md5", 0, 0, **kind, agrees=["md5"], disagrees=["sha1"])])],
        ),
        _vector(
            "conflict-size",
            "all digests agree and the size does not",
            [full],
            [_query("q", md5=md5, size=101)],
            [
                _row(
                    1,
                    "q",
                    "conflict",
                    [_match("a-1", "md5", 0, 0, **kind, agrees=["md5"], disagrees=["size"])],
                    size=101,
                )
            ],
        ),
        _vector(
            "size-alone",
            "the size alone matches nothing",
            [full],
            [_query("q", md5=_hex("md5", "other"), size=100)],
            [_row(1, "q", "none", [], size=100)],
        ),
        _vector(
            "none",
            "no hash in common, one bit off in a digest, another algorithm, no hash at all",
            [full],
            [
                _query("absent", md5=_hex("md5", "absent")),
                _query("one-bit-off", md5=_hex("md5", "1", 127)),
                _query("other-algorithm", sha256=_hex("sha256", "1")),
                _query("no-hashes"),
            ],
            [
                _row(1, "absent", "none", []),
                _row(2, "one-bit-off", "none", []),
                _row(
                    3,
                    "other-algorithm",
                    "none",
                    [],
                    notes=["nothing of this query could be compared: it has sha256; the list offers md5, sha1"],
                ),
                _row(4, "no-hashes", "none", []),
            ],
        ),
        _vector(
            "empty-list",
            "a list without entries",
            [],
            [_query("q", md5=md5, pdq=_hex("pdq", "1"))],
            [
                _row(
                    1,
                    "q",
                    "none",
                    [],
                    notes=["nothing of this query could be compared: it has md5, pdq; the list offers no hashes"],
                )
            ],
        ),
    ]


def _near() -> list[dict[str, Any]]:
    pdq, phash, md5 = _hex("pdq", "1"), _hex("phash", "1"), _hex("md5", "1")
    spread = [(37 * k + 5) % 256 for k in range(256)]
    pdna = "64" * 144
    return [
        _vector(
            "near",
            "31 bits off matches, 32 does not",
            [_entry("a-1", pdq=pdq)],
            [_query("31", pdq=_hex("pdq", "1", *spread[:31])), _query("32", pdq=_hex("pdq", "1", *spread[:32]))],
            [_row(1, "31", "near", [_match("a-1", "pdq", 31, 31)]), _row(2, "32", "none", [])],
        ),
        _vector(
            "near-equal",
            "an equal perceptual hash is near, never exact",
            [_entry("a-1", pdq=pdq)],
            [_query("q", pdq=pdq)],
            [_row(1, "q", "near", [_match("a-1", "pdq", 0, 31)])],
        ),
        _vector(
            "near-two-algorithms",
            "one match for each algorithm, in registry order; 64-bit codes have a radius of 6",
            [_entry("a-1", pdq=pdq, phash=phash)],
            [
                _query("both", pdq=_hex("pdq", "1", 0), phash=_hex("phash", "1", 0, 9, 18, 27, 36, 45)),
                _query("phash-7-off", phash=_hex("phash", "1", 0, 9, 18, 27, 36, 45, 54)),
            ],
            [
                _row(1, "both", "near", [_match("a-1", "pdq", 1, 31), _match("a-1", "phash", 6, 6)]),
                _row(2, "phash-7-off", "none", []),
            ],
        ),
        _vector(
            "radius",
            "a radius that was asked for stands in the row",
            [_entry("a-1", pdq=pdq), _entry("a-2", pdq=_hex("pdq", "1", 3))],
            [_query("q", pdq=pdq)],
            [_row(1, "q", "near", [_match("a-1", "pdq", 0, 0)])],
            options={"radius": {"pdq": 0}},
        ),
        _vector(
            "photodna",
            "squared Euclidean distance, 40,000 inclusive",
            [_entry("a-1", photodna=pdna)],
            [_query("limit", photodna="96" * 16 + "64" * 128), _query("over", photodna="96" * 16 + "64" * 127 + "65")],
            [_row(1, "limit", "near", [_match("a-1", "photodna", 40_000, 40_000)]), _row(2, "over", "none", [])],
        ),
        _vector(
            "order",
            "matches by source, then reference, both as bytes; not by distance",
            [
                _entry("b", "UNIT-B", pdq=pdq),
                _entry("a-10", pdq=_hex("pdq", "1", 1, 2)),
                _entry("a-2", pdq=_hex("pdq", "1", 1)),
                _entry("Z", pdq=pdq),
            ],
            [_query("q", pdq=pdq)],
            [
                _row(
                    1,
                    "q",
                    "near",
                    [
                        _match("Z", "pdq", 0, 31),
                        _match("a-10", "pdq", 2, 31),
                        _match("a-2", "pdq", 1, 31),
                        _match("b", "pdq", 0, 31, source="UNIT-B"),
                    ],
                )
            ],
        ),
        _vector(
            "same-reference-two-sources",
            "two organisations may use one reference",
            [_entry("1", "UNIT-B", md5=md5), _entry("1", md5=md5)],
            [_query("q", md5=md5)],
            [
                _row(
                    1,
                    "q",
                    "exact",
                    [
                        _match("1", "md5", 0, 0, agrees=["md5"], disagrees=[]),
                        _match("1", "md5", 0, 0, source="UNIT-B", agrees=["md5"], disagrees=[]),
                    ],
                )
            ],
        ),
        _vector(
            "exact-beats-near",
            "one entry by digest, another by PDQ: the verdict is the stronger one",
            [_entry("a-1", md5=md5), _entry("a-2", pdq=pdq)],
            [_query("q", md5=md5, pdq=_hex("pdq", "1", 7))],
            [
                _row(
                    1,
                    "q",
                    "exact",
                    [_match("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[]), _match("a-2", "pdq", 1, 31)],
                )
            ],
        ),
        _vector(
            "near-with-other-digest",
            "the PDQ hash is near and the MD5 differs: another file of the picture, no conflict",
            [_entry("a-1", md5=md5, pdq=pdq)],
            [_query("q", md5=_hex("md5", "other"), pdq=pdq)],
            [_row(1, "q", "near", [_match("a-1", "pdq", 0, 31)])],
        ),
    ]


def _quality() -> list[dict[str, Any]]:
    pdq = _hex("pdq", "1")

    def query(name: str, quality: int) -> dict[str, Any]:
        return _query(name, pdq=pdq, quality={"pdq": quality})

    low = "pdq was not matched: its quality is 49, under 50"
    entry_low = "pdq of entry a-2 of UNIT-A was not matched: its quality is under 50"
    return [
        _vector(
            "low-quality-query",
            "a quality of 50 is matched, 49 is not, and the row says so",
            [_entry("a-1", pdq=pdq)],
            [query("50", 50), query("49", 49), _query("unknown", pdq=pdq)],
            [
                _row(1, "50", "near", [_match("a-1", "pdq", 0, 31)], quality={"pdq": 50}),
                _row(2, "49", "none", [], quality={"pdq": 49}, notes=[low]),
                _row(3, "unknown", "near", [_match("a-1", "pdq", 0, 31)]),
            ],
        ),
        _vector(
            "low-quality-entry",
            "the rule holds for the list's hashes as well; a quality that is not known passes",
            [
                _entry("a-1", pdq=pdq),
                _entry("a-2", pdq=pdq, quality={"pdq": 49}),
                _entry("a-3", pdq=pdq, quality={"pdq": 50}),
            ],
            [query("q", 100)],
            [
                _row(
                    1,
                    "q",
                    "near",
                    [_match("a-1", "pdq", 0, 31), _match("a-3", "pdq", 0, 31)],
                    quality={"pdq": 100},
                    notes=[entry_low],
                )
            ],
        ),
        _vector(
            "low-quality-other-algorithms",
            "a low PDQ quality does not hold back the other hashes",
            [_entry("a-1", pdq=pdq, md5=_hex("md5", "1"))],
            [_query("q", pdq=pdq, md5=_hex("md5", "1"), quality={"pdq": 49})],
            [
                _row(
                    1,
                    "q",
                    "exact",
                    [_match("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[])],
                    quality={"pdq": 49},
                    notes=[low],
                )
            ],
        ),
        _vector(
            "min-quality-0",
            "a limit of 0 matches any quality",
            [_entry("a-1", pdq=pdq)],
            [query("q", 0)],
            [_row(1, "q", "near", [_match("a-1", "pdq", 0, 31)], quality={"pdq": 0})],
            options={"min_quality": 0},
        ),
    ]


def _withdrawn_and_good() -> list[dict[str, Any]]:
    pdq, md5 = _hex("pdq", "1"), _hex("md5", "1")
    near = _hex("pdq", "1", 0, 100)
    good = [_entry("g-1", "REFERENCE-SET", pdq=near, md5=md5)]
    exact = _match("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[])
    return [
        _vector(
            "retracted",
            "an entry that its source has withdrawn matches nothing; the others stand",
            [_entry("a-1", md5=md5), _entry("a-2", md5=md5)],
            [_query("q", md5=md5)],
            [_row(1, "q", "exact", [_match("a-2", "md5", 0, 0, agrees=["md5"], disagrees=[])])],
            retract=[{"source": "UNIT-A", "ref": "a-1"}],
        ),
        _vector(
            "retracted-one-source",
            "a retraction concerns its source's entry alone",
            [_entry("1", md5=md5), _entry("1", "UNIT-B", md5=md5)],
            [_query("q", md5=md5)],
            [_row(1, "q", "exact", [_match("1", "md5", 0, 0, source="UNIT-B", agrees=["md5"], disagrees=[])])],
            retract=[{"source": "UNIT-A", "ref": "1"}],
        ),
        _vector(
            "known-good-suppresses-near",
            "the query equals a known-good entry: near matches are suppressed, and shown as such",
            [_entry("a-1", pdq=pdq)],
            [_query("equal", pdq=near), _query("not-equal", pdq=pdq)],
            [
                _row(
                    1, "equal", "none", [], suppressed=[_match("a-1", "pdq", 2, 31)], known_good=["REFERENCE-SET: g-1"]
                ),
                _row(2, "not-equal", "near", [_match("a-1", "pdq", 0, 31)]),
            ],
            known_good=good,
        ),
        _vector(
            "known-good-keeps-exact",
            "two lists contradict each other about one file: that is for a human to see",
            [_entry("a-1", md5=md5)],
            [_query("q", md5=md5)],
            [_row(1, "q", "exact", [exact], known_good=["REFERENCE-SET: g-1"])],
            known_good=good,
        ),
        _vector(
            "known-good-suppresses-exact",
            "exact matches are suppressed where that was asked for",
            [_entry("a-1", md5=md5)],
            [_query("q", md5=md5)],
            [_row(1, "q", "none", [], suppressed=[exact], known_good=["REFERENCE-SET: g-1"])],
            known_good=good,
            options={"allow_exact": True},
        ),
        _vector(
            "unreadable",
            "an image that could not be decoded: its digest is looked up all the same",
            [_entry("a-1", md5=md5)],
            [
                _query("miss", md5=_hex("md5", "other"), status="unreadable", reason="miss: cut short"),
                _query("hit", md5=md5, status="unreadable", reason="hit: cut short"),
                _query("large", status="too_large", reason="large: too large"),
            ],
            [
                _row(1, "miss", "unreadable", [], status="unreadable", reason="miss: cut short"),
                _row(2, "hit", "exact", [exact], status="unreadable", reason="hit: cut short"),
                _row(3, "large", "unreadable", [], status="too_large", reason="large: too large"),
            ],
        ),
    ]


def report_document() -> bytes:
    """``report.json``."""
    units = {
        "list": "entries of a list of known material; hashes in hexadecimal, quality 0 to 100, size in bytes",
        "known_good": "entries of a known-good list; empty: there is none",
        "retract": "entries that are withdrawn after the import and before matching",
        "options": "radius (algorithm -> largest distance; defaults: pdq 31, 64-bit codes 6, photodna 40,000), "
        "min_quality (default 50), allow_exact (default false)",
        "queries": "records to look up",
        "expect": "one row of the report for each query, in their order; keys that are absent have no value",
        "input, record": "number of the input, from 0; number of the query in it, from 1",
        "distance, radius": "bits; squared units for photodna; 0 for digests",
    }
    vectors = [*_exact_and_conflict(), *_near(), *_quality(), *_withdrawn_and_good()]
    comment = "From a list and queries to the rows of a report. The hashes are bytes without meaning."
    return document("report", comment, units, vectors)
