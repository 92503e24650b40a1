"""What comes of matching one query: a verdict, and the matches, notes and suppressed matches behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hashmatch.lists.states import State
from hashmatch.record import HashRecord

__all__ = ["Match", "MatchResult", "Verdict"]


class Verdict(StrEnum):
    """What came of one query. Every one but ``none`` and ``unreadable`` is a candidate for human review."""

    EXACT = "exact"
    """A cryptographic digest is the same, and none that both sides have differs."""
    NEAR = "near"
    """A perceptual hash is within its radius."""
    CONFLICT = "conflict"
    """Cryptographic digests (or the size) disagree among themselves about one entry."""
    NONE = "none"
    """Nothing matched."""
    UNREADABLE = "unreadable"
    """Nothing matched, and the perceptual hashes could not be computed."""


@dataclass(frozen=True, slots=True)
class Match:
    """One (query, entry, algorithm, distance).

    Attributes:
        row: row of the compiled list.
        source: whose entry it is.
        entry: the source's reference of the entry.
        category: (scheme, code) as its source gave it, or None.
        media_type: ``image``, ``video``, ``other`` or "".
        algorithm: which hash matched.
        distance: bits for Hamming algorithms, squared units for photodna, 0 for digests.
        radius: the largest distance that would have matched, inclusive.
        agrees: digests (and ``size``) that query and entry share, where at least one digest agrees.
        disagrees: digests (and ``size``) that both have and that differ, where at least one digest agrees.
        state: ``disputed`` where an organisation says that this hash of the entry, or the whole entry, does not belong
            in the list; else ``active``. What is withdrawn is not in a compiled list.
    """

    row: int
    source: str
    entry: str
    category: tuple[str, str] | None
    media_type: str
    algorithm: str
    distance: int
    radius: int
    agrees: tuple[str, ...] = ()
    disagrees: tuple[str, ...] = ()
    state: State = State.ACTIVE


@dataclass(slots=True)
class MatchResult:
    """What came of one query.

    Attributes:
        record: the query.
        verdict: see `Verdict`.
        matches: ordered by (entry, algorithm); entries in the order of the compiled list, which is (source, reference).
        suppressed: near matches that a known-good list took out.
        known_good: "source: reference" of the known-good entries that the query equals.
        notes: what was not matched and why, and which disputed hashes had a say, one sentence each.
        compared: whether any hash of the query was looked up. Where none was, "nothing matched" says nothing.
    """

    record: HashRecord
    verdict: Verdict
    matches: Sequence[Match] = ()
    suppressed: Sequence[Match] = ()
    known_good: Sequence[str] = ()
    notes: Sequence[str] = ()
    compared: bool = True
