"""Match scenarios in which organisations say what they hold of an entry. Every row is written down by hand."""

from __future__ import annotations

from typing import Any

from vectormakers.report_parts import entry_of, hex_of, match_of, opinion_of, query_of, row_of, vector_of

__all__ = ["disputed"]


def disputed() -> list[dict[str, Any]]:
    """Vectors of disputed, confirmed and withdrawn hashes."""
    md5, sha1, pdq = hex_of("md5", "d"), hex_of("sha1", "d"), hex_of("pdq", "d")
    entry = entry_of("a-1", md5=md5, sha1=sha1, pdq=pdq)
    both = {"agrees": ["md5", "sha1"], "disagrees": []}
    query = query_of("q", md5=md5, sha1=sha1)
    marked = {"state": "disputed"}
    good = [entry_of("g-1", "REFERENCE-SET", md5=md5)]
    return [
        vector_of(
            "disputed-hash",
            "another organisation disputes one hash: it matches and is marked, the others are not",
            [entry],
            [query],
            [
                row_of(
                    1,
                    "q",
                    "exact",
                    [match_of("a-1", "md5", 0, 0, **both), match_of("a-1", "sha1", 0, 0, **marked, **both)],
                )
            ],
            opinions=[opinion_of("a-1", "UNIT-B", algorithm="sha1")],
        ),
        vector_of(
            "disputed-entry",
            "another organisation disputes the whole entry: every match by it is marked, near ones too",
            [entry],
            [query, query_of("near", pdq=hex_of("pdq", "d", 1, 2))],
            [
                row_of(
                    1,
                    "q",
                    "exact",
                    [match_of("a-1", "md5", 0, 0, **marked, **both), match_of("a-1", "sha1", 0, 0, **marked, **both)],
                ),
                row_of(2, "near", "near", [match_of("a-1", "pdq", 2, 31, **marked)]),
            ],
            opinions=[opinion_of("a-1", "UNIT-B")],
        ),
        vector_of(
            "disputed-and-confirmed",
            "one organisation confirms and another disputes: a yes does not outvote a no, and alone it changes nothing",
            [entry, entry_of("a-2", md5=hex_of("md5", "e"))],
            [query_of("q", md5=md5), query_of("r", md5=hex_of("md5", "e"))],
            [
                row_of(1, "q", "exact", [match_of("a-1", "md5", 0, 0, **marked, agrees=["md5"], disagrees=[])]),
                row_of(2, "r", "exact", [match_of("a-2", "md5", 0, 0, agrees=["md5"], disagrees=[])]),
            ],
            opinions=[
                opinion_of("a-1", "UNIT-B"),
                opinion_of("a-1", "UNIT-C", affirmative=True),
                opinion_of("a-2", "UNIT-C", affirmative=True),
            ],
        ),
        vector_of(
            "disputed-by-own-source",
            "what an entry's own source disputes matches nothing; its other hashes do",
            [entry, entry_of("a-2", md5=hex_of("md5", "e"))],
            [query_of("withdrawn", md5=md5), query_of("other", sha1=sha1)],
            [
                row_of(1, "withdrawn", "none", []),
                row_of(2, "other", "exact", [match_of("a-1", "sha1", 0, 0, agrees=["sha1"], disagrees=[])]),
            ],
            opinions=[opinion_of("a-1", "UNIT-A", algorithm="md5")],
        ),
        vector_of(
            "disputed-left-out",
            "disputed hashes are left out where that was asked for, and the row says what would have matched",
            [entry, entry_of("a-2", md5=md5)],
            [query_of("q", md5=md5), query_of("other", sha1=sha1)],
            [
                row_of(
                    1,
                    "q",
                    "exact",
                    [match_of("a-2", "md5", 0, 0, agrees=["md5"], disagrees=[])],
                    notes=["md5 of entry a-1 of UNIT-A was not matched: it is disputed"],
                ),
                row_of(2, "other", "exact", [match_of("a-1", "sha1", 0, 0, agrees=["sha1"], disagrees=[])]),
            ],
            opinions=[opinion_of("a-1", "UNIT-B", algorithm="md5")],
            options={"disputed": "leave-out"},
        ),
        vector_of(
            "disputed-conflict",
            "the digest that differs is disputed: a conflict, with a note of why it may be one",
            [entry],
            [query_of("q", md5=md5, sha1=hex_of("sha1", "other"))],
            [
                row_of(
                    1,
                    "q",
                    "conflict",
                    [match_of("a-1", "md5", 0, 0, agrees=["md5"], disagrees=["sha1"])],
                    notes=["sha1 of entry a-1 of UNIT-A, which differs, is disputed"],
                )
            ],
            opinions=[opinion_of("a-1", "UNIT-B", algorithm="sha1")],
        ),
        vector_of(
            "disputed-known-good",
            "a known-good entry that is disputed hides nothing, also where exact matches may be suppressed",
            [entry],
            [query_of("q", md5=md5)],
            [
                row_of(
                    1,
                    "q",
                    "exact",
                    [match_of("a-1", "md5", 0, 0, agrees=["md5"], disagrees=[])],
                    notes=["md5 of known-good entry g-1 of REFERENCE-SET suppresses nothing: it is disputed"],
                )
            ],
            known_good=good,
            opinions=[opinion_of("g-1", "UNIT-B", of="known_good", source="REFERENCE-SET")],
            options={"allow_exact": True},
        ),
    ]
