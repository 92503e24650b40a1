"""Merging lists: the entries of one list into another, each still as its own source said it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hashmatch.errors import ConflictError, RoleError, UsageError, shorten
from hashmatch.lists.block import Row

if TYPE_CHECKING:
    from hashmatch.lists.store import HashList

__all__ = ["CHOICES", "MergeSummary", "merge_lists"]

#: What to do where both lists have an entry of one key, or an opinion of one organisation, that differ.
CHOICES = ("refuse", "ours", "theirs")
#: Rows that are merged at once.
_BATCH = 20_000
#: Bytes of their blocks at which fewer are merged.
_BATCH_BYTES = 32 << 20
#: Conflicts that are named.
_NAMED = 20


@dataclass
class MergeSummary:
    """What a merge did, in entries except where another unit is said.

    Attributes:
        name, other: path and snapshot id of the list that was merged in.
        added, replaced, unchanged, kept: by comparison; ``kept`` differed and ours stands.
        retracted: theirs that our list has as retracted, and left out.
        withdrawn: retractions of theirs that were new to us.
        opinions: opinions noted in their list that were taken over.
        snapshot: of our list after it.
    """

    name: str
    other: str
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    kept: int = 0
    retracted: int = 0
    withdrawn: int = 0
    opinions: int = 0
    snapshot: str = ""
    conflicts: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The counts alone, by name."""
        keys = ("added", "replaced", "unchanged", "kept", "retracted", "withdrawn", "opinions")
        return {key: getattr(self, key) for key in keys}


def merge_lists(ours: HashList, theirs: HashList, number: int, summary: MergeSummary, on_conflict: str) -> None:
    """Merge inside change ``number`` of ``ours``.

    Raises:
        RoleError: lists of different roles.
        ConflictError: both have an entry of one key that differ, and ``on_conflict`` is ``refuse``.
        UsageError: another ``on_conflict``.
    """
    if on_conflict not in CHOICES:
        raise UsageError(f"on_conflict is {shorten(on_conflict)}; expected one of {', '.join(CHOICES)}")
    if ours.role != theirs.role:
        raise RoleError(
            f"{theirs.path}: is a list of role {theirs.role!r}, {ours.path} of role {ours.role!r}; nothing was "
            "changed: merge lists of one role"
        )
    with theirs.reading():
        for name, other in theirs.source_numbers().items():
            _merge_source(ours, theirs, ours.add_source(name), other, name, number, summary, on_conflict)
    if summary.conflicts and on_conflict == "refuse":
        shown = ", ".join(summary.conflicts[:5]) + (", ..." if len(summary.conflicts) > 5 else "")
        raise ConflictError(
            f"{ours.path} and {theirs.path} say different things in {summary.kept:,} entries and opinions ({shown}); "
            "nothing was changed: say whose word counts, with --on-conflict ours or --on-conflict theirs"
        )


def _merge_source(
    ours: HashList,
    theirs: HashList,
    source: int,
    other: int,
    name: str,
    number: int,
    summary: MergeSummary,
    on_conflict: str,
) -> None:
    reasons = {tomb.ref: tomb.reason for tomb in theirs.history.standing(other)}
    withdrawn, unseen = ours.history.withdraw(source, name, reasons, number)
    summary.withdrawn += len(withdrawn) + len(unseen)
    gone = ours.history.withdrawn(source)

    def conflict(ref: str) -> None:
        summary.kept += 1
        if len(summary.conflicts) < _NAMED:
            summary.conflicts.append(f"{shorten(ref)} of {shorten(name)}")

    def judge(old: Row | None, new: Row | None) -> Row | None:
        if new is None:
            return old
        if old is None:
            summary.added += 1
        elif old[:7] == new[:7]:
            summary.unchanged += 1
            return old
        elif on_conflict != "theirs":
            conflict(new[0])
            return old
        else:
            summary.replaced += 1
            ours.history.supersede(source, name, old, number)
        return (*new[:7], number)

    batch: list[tuple[str, Row | None]] = []
    size = 0
    for block in theirs.blocks.of_source(other):
        rows = theirs.blocks.verified(block)
        kept = [row for row in rows if row[0] not in gone] if gone else rows
        summary.retracted += len(rows) - len(kept)
        batch += [(row[0], row) for row in kept]
        size += len(block.rows)
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            ours.blocks.apply(source, batch, judge)
            batch, size = [], 0
    ours.blocks.apply(source, batch, judge)
    here = ours.history.opinions(source)
    for ref, opinions in theirs.history.opinions(other).items():
        if ref in gone:
            continue
        standing = {opinion[:2]: opinion for opinion in here.get(ref, ())}
        for opinion in opinions:
            held = standing.get(opinion[:2])
            if held is not None and held != opinion and on_conflict != "theirs":
                conflict(ref)
            else:
                summary.opinions += ours.history.give_opinion(source, ref, opinion, number)
