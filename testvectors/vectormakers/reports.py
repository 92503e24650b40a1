"""Match scenarios: a list, queries and the rows of the report. Every row is written down by hand."""

from __future__ import annotations

from typing import Any

from vectormakers.committed import document
from vectormakers.disputes import disputed
from vectormakers.report_parts import entry_of, hex_of, match_of, query_of, row_of, vector_of

__all__ = ["report_document"]


def _exact_and_conflict() -> list[dict[str, Any]]:
    md5, sha1 = hex_of("md5", "1"), hex_of("sha1", "1")
    category = {"scheme": "interpol", "code": "baseline"}
    full = entry_of("a-1", md5=md5, sha1=sha1, size=100, category=category, media_type="image")
    kind = {"category": category, "media_type": "image"}
    return [
        vector_of(
            "exact",
            "both digests and the size agree: one match for each digest, none for the size",
            [full, entry_of("a-2", md5=hex_of("md5", "2"))],
            [query_of("q", md5=md5, sha1=sha1, size=100)],
            [
                row_of(
                    1,
                    "q",
                    "exact",
                    [
                        match_of("a-1", "md5", 0, 0, **kind, agrees=["md5", "sha1", "size"], disagrees=[]),
                        match_of("a-1", "sha1", 0, 0, **kind, agrees=["md5", "sha1", "size"], disagrees=[]),
                    ],
                    size=100,
                )
            ],
        ),
        vector_of(
            "exact-by-one",
            "the query has a digest that the entry lacks: what is not there does not disagree",
            [entry_of("a-1", md5=md5)],
            [query_of("q", md5=md5, sha1=sha1, size=100)],
            [row_of(1, "q", "exact", [match_of("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[])], size=100)],
        ),
        vector_of(
            "conflict",
            "MD5 agrees, SHA-1 does not: a collision, or a wrong entry",
            [full],
            [query_of("q", md5=md5, sha1=hex_of("sha1", "other"))],
            [row_of(1, "q", "conflict", [match_of("a-1", "md5", 0, 0, **kind, agrees=["md5"], disagrees=["sha1"])])],
        ),
        vector_of(
            "conflict-size",
            "all digests agree and the size does not",
            [full],
            [query_of("q", md5=md5, size=101)],
            [
                row_of(
                    1,
                    "q",
                    "conflict",
                    [match_of("a-1", "md5", 0, 0, **kind, agrees=["md5"], disagrees=["size"])],
                    size=101,
                )
            ],
        ),
        vector_of(
            "size-alone",
            "the size alone matches nothing",
            [full],
            [query_of("q", md5=hex_of("md5", "other"), size=100)],
            [row_of(1, "q", "none", [], size=100)],
        ),
        vector_of(
            "none",
            "no hash in common, one bit off in a digest, another algorithm, no hash at all",
            [full],
            [
                query_of("absent", md5=hex_of("md5", "absent")),
                query_of("one-bit-off", md5=hex_of("md5", "1", 127)),
                query_of("other-algorithm", sha256=hex_of("sha256", "1")),
                query_of("no-hashes"),
            ],
            [
                row_of(1, "absent", "none", []),
                row_of(2, "one-bit-off", "none", []),
                row_of(
                    3,
                    "other-algorithm",
                    "none",
                    [],
                    notes=["nothing of this query could be compared: it has sha256; the list offers md5, sha1"],
                ),
                row_of(4, "no-hashes", "none", []),
            ],
        ),
        vector_of(
            "empty-list",
            "a list without entries",
            [],
            [query_of("q", md5=md5, pdq=hex_of("pdq", "1"))],
            [
                row_of(
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
    pdq, phash, md5 = hex_of("pdq", "1"), hex_of("phash", "1"), hex_of("md5", "1")
    spread = [(37 * k + 5) % 256 for k in range(256)]
    pdna = "64" * 144
    return [
        vector_of(
            "near",
            "31 bits off matches, 32 does not",
            [entry_of("a-1", pdq=pdq)],
            [
                query_of("31", pdq=hex_of("pdq", "1", *spread[:31])),
                query_of("32", pdq=hex_of("pdq", "1", *spread[:32])),
            ],
            [row_of(1, "31", "near", [match_of("a-1", "pdq", 31, 31)]), row_of(2, "32", "none", [])],
        ),
        vector_of(
            "near-equal",
            "an equal perceptual hash is near, never exact",
            [entry_of("a-1", pdq=pdq)],
            [query_of("q", pdq=pdq)],
            [row_of(1, "q", "near", [match_of("a-1", "pdq", 0, 31)])],
        ),
        vector_of(
            "near-two-algorithms",
            "one match for each algorithm, in registry order; 64-bit codes have a radius of 6",
            [entry_of("a-1", pdq=pdq, phash=phash)],
            [
                query_of("both", pdq=hex_of("pdq", "1", 0), phash=hex_of("phash", "1", 0, 9, 18, 27, 36, 45)),
                query_of("phash-7-off", phash=hex_of("phash", "1", 0, 9, 18, 27, 36, 45, 54)),
            ],
            [
                row_of(1, "both", "near", [match_of("a-1", "pdq", 1, 31), match_of("a-1", "phash", 6, 6)]),
                row_of(2, "phash-7-off", "none", []),
            ],
        ),
        vector_of(
            "radius",
            "a radius that was asked for stands in the row",
            [entry_of("a-1", pdq=pdq), entry_of("a-2", pdq=hex_of("pdq", "1", 3))],
            [query_of("q", pdq=pdq)],
            [row_of(1, "q", "near", [match_of("a-1", "pdq", 0, 0)])],
            options={"radius": {"pdq": 0}},
        ),
        vector_of(
            "photodna",
            "squared Euclidean distance, 40,000 inclusive",
            [entry_of("a-1", photodna=pdna)],
            [
                query_of("limit", photodna="96" * 16 + "64" * 128),
                query_of("over", photodna="96" * 16 + "64" * 127 + "65"),
            ],
            [row_of(1, "limit", "near", [match_of("a-1", "photodna", 40_000, 40_000)]), row_of(2, "over", "none", [])],
        ),
        vector_of(
            "order",
            "matches by source, then reference, both as bytes; not by distance",
            [
                entry_of("b", "UNIT-B", pdq=pdq),
                entry_of("a-10", pdq=hex_of("pdq", "1", 1, 2)),
                entry_of("a-2", pdq=hex_of("pdq", "1", 1)),
                entry_of("Z", pdq=pdq),
            ],
            [query_of("q", pdq=pdq)],
            [
                row_of(
                    1,
                    "q",
                    "near",
                    [
                        match_of("Z", "pdq", 0, 31),
                        match_of("a-10", "pdq", 2, 31),
                        match_of("a-2", "pdq", 1, 31),
                        match_of("b", "pdq", 0, 31, source="UNIT-B"),
                    ],
                )
            ],
        ),
        vector_of(
            "same-reference-two-sources",
            "two organisations may use one reference",
            [entry_of("1", "UNIT-B", md5=md5), entry_of("1", md5=md5)],
            [query_of("q", md5=md5)],
            [
                row_of(
                    1,
                    "q",
                    "exact",
                    [
                        match_of("1", "md5", 0, 0, agrees=["md5"], disagrees=[]),
                        match_of("1", "md5", 0, 0, source="UNIT-B", agrees=["md5"], disagrees=[]),
                    ],
                )
            ],
        ),
        vector_of(
            "exact-beats-near",
            "one entry by digest, another by PDQ: the verdict is the stronger one",
            [entry_of("a-1", md5=md5), entry_of("a-2", pdq=pdq)],
            [query_of("q", md5=md5, pdq=hex_of("pdq", "1", 7))],
            [
                row_of(
                    1,
                    "q",
                    "exact",
                    [match_of("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[]), match_of("a-2", "pdq", 1, 31)],
                )
            ],
        ),
        vector_of(
            "near-with-other-digest",
            "the PDQ hash is near and the MD5 differs: another file of the picture, no conflict",
            [entry_of("a-1", md5=md5, pdq=pdq)],
            [query_of("q", md5=hex_of("md5", "other"), pdq=pdq)],
            [row_of(1, "q", "near", [match_of("a-1", "pdq", 0, 31)])],
        ),
    ]


def _quality() -> list[dict[str, Any]]:
    pdq = hex_of("pdq", "1")

    def query(name: str, quality: int) -> dict[str, Any]:
        return query_of(name, pdq=pdq, quality={"pdq": quality})

    low = "pdq was not matched: its quality is 49, under 50"
    entry_low = "pdq of entry a-2 of UNIT-A was not matched: its quality is under 50"
    return [
        vector_of(
            "low-quality-query",
            "a quality of 50 is matched, 49 is not, and the row says so",
            [entry_of("a-1", pdq=pdq)],
            [query("50", 50), query("49", 49), query_of("unknown", pdq=pdq)],
            [
                row_of(1, "50", "near", [match_of("a-1", "pdq", 0, 31)], quality={"pdq": 50}),
                row_of(2, "49", "none", [], quality={"pdq": 49}, notes=[low]),
                row_of(3, "unknown", "near", [match_of("a-1", "pdq", 0, 31)]),
            ],
        ),
        vector_of(
            "low-quality-entry",
            "the rule holds for the list's hashes as well; a quality that is not known passes",
            [
                entry_of("a-1", pdq=pdq),
                entry_of("a-2", pdq=pdq, quality={"pdq": 49}),
                entry_of("a-3", pdq=pdq, quality={"pdq": 50}),
            ],
            [query("q", 100)],
            [
                row_of(
                    1,
                    "q",
                    "near",
                    [match_of("a-1", "pdq", 0, 31), match_of("a-3", "pdq", 0, 31)],
                    quality={"pdq": 100},
                    notes=[entry_low],
                )
            ],
        ),
        vector_of(
            "low-quality-other-algorithms",
            "a low PDQ quality does not hold back the other hashes",
            [entry_of("a-1", pdq=pdq, md5=hex_of("md5", "1"))],
            [query_of("q", pdq=pdq, md5=hex_of("md5", "1"), quality={"pdq": 49})],
            [
                row_of(
                    1,
                    "q",
                    "exact",
                    [match_of("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[])],
                    quality={"pdq": 49},
                    notes=[low],
                )
            ],
        ),
        vector_of(
            "min-quality-0",
            "a limit of 0 matches any quality",
            [entry_of("a-1", pdq=pdq)],
            [query("q", 0)],
            [row_of(1, "q", "near", [match_of("a-1", "pdq", 0, 31)], quality={"pdq": 0})],
            options={"min_quality": 0},
        ),
    ]


def _withdrawn_and_good() -> list[dict[str, Any]]:
    pdq, md5 = hex_of("pdq", "1"), hex_of("md5", "1")
    near = hex_of("pdq", "1", 0, 100)
    good = [entry_of("g-1", "REFERENCE-SET", pdq=near, md5=md5)]
    exact = match_of("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[])
    return [
        vector_of(
            "retracted",
            "an entry that its source has withdrawn matches nothing; the others stand",
            [entry_of("a-1", md5=md5), entry_of("a-2", md5=md5)],
            [query_of("q", md5=md5)],
            [row_of(1, "q", "exact", [match_of("a-2", "md5", 0, 0, agrees=["md5"], disagrees=[])])],
            retract=[{"source": "UNIT-A", "ref": "a-1"}],
        ),
        vector_of(
            "retracted-one-source",
            "a retraction concerns its source's entry alone",
            [entry_of("1", md5=md5), entry_of("1", "UNIT-B", md5=md5)],
            [query_of("q", md5=md5)],
            [row_of(1, "q", "exact", [match_of("1", "md5", 0, 0, source="UNIT-B", agrees=["md5"], disagrees=[])])],
            retract=[{"source": "UNIT-A", "ref": "1"}],
        ),
        vector_of(
            "known-good-suppresses-near",
            "the query equals a known-good entry: near matches are suppressed, and shown as such",
            [entry_of("a-1", pdq=pdq)],
            [query_of("equal", pdq=near), query_of("not-equal", pdq=pdq)],
            [
                row_of(
                    1,
                    "equal",
                    "none",
                    [],
                    suppressed=[match_of("a-1", "pdq", 2, 31)],
                    known_good=["REFERENCE-SET: g-1"],
                ),
                row_of(2, "not-equal", "near", [match_of("a-1", "pdq", 0, 31)]),
            ],
            known_good=good,
        ),
        vector_of(
            "known-good-keeps-exact",
            "two lists contradict each other about one file: that is for a human to see",
            [entry_of("a-1", md5=md5)],
            [query_of("q", md5=md5)],
            [row_of(1, "q", "exact", [exact], known_good=["REFERENCE-SET: g-1"])],
            known_good=good,
        ),
        vector_of(
            "known-good-suppresses-exact",
            "exact matches are suppressed where that was asked for",
            [entry_of("a-1", md5=md5)],
            [query_of("q", md5=md5)],
            [row_of(1, "q", "none", [], suppressed=[exact], known_good=["REFERENCE-SET: g-1"])],
            known_good=good,
            options={"allow_exact": True},
        ),
        vector_of(
            "unreadable",
            "an image that could not be decoded: its digest is looked up all the same",
            [entry_of("a-1", md5=md5)],
            [
                query_of("miss", md5=hex_of("md5", "other"), status="unreadable", reason="miss: cut short"),
                query_of("hit", md5=md5, status="unreadable", reason="hit: cut short"),
                query_of("large", status="too_large", reason="large: too large"),
            ],
            [
                row_of(1, "miss", "unreadable", [], status="unreadable", reason="miss: cut short"),
                row_of(2, "hit", "exact", [exact], status="unreadable", reason="hit: cut short"),
                row_of(3, "large", "unreadable", [], status="too_large", reason="large: too large"),
            ],
        ),
    ]


def report_document() -> bytes:
    """``report.json``."""
    units = {
        "list": "entries of a list of known material; hashes in hexadecimal, quality 0 to 100, size in bytes",
        "known_good": "entries of a known-good list; empty: there is none",
        "retract": "entries that are withdrawn after the import and before matching",
        "opinions": "what organisations say of an entry after the import, in `list` or `known_good` (of): no to its "
        "hash by `algorithm`, or to the whole entry where that is empty; yes where affirmative",
        "options": "radius (algorithm -> largest distance; defaults: pdq 31, 64-bit codes 6, photodna 40,000), "
        "min_quality (default 50), allow_exact (default false), disputed (mark, the default, or leave-out)",
        "queries": "records to look up",
        "expect": "one row of the report for each query, in their order; keys that are absent have no value",
        "input, record": "number of the input, from 0; number of the query in it, from 1",
        "distance, radius": "bits; squared units for photodna; 0 for digests",
    }
    vectors = [*_exact_and_conflict(), *_near(), *_quality(), *_withdrawn_and_good(), *disputed()]
    comment = "From a list and queries to the rows of a report. The hashes are bytes without meaning."
    return document("report", comment, units, vectors)
