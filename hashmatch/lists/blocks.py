"""The table of blocks: reading what a list holds, and changing it by key.

Nothing here knows of imports or retractions: `Blocks.apply` is given what to do with keys in ascending order, rewrites
the blocks that they lie in, and leaves all others as they are.
"""

from __future__ import annotations

import hashlib
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from pathlib import Path
from typing import NoReturn

from hashmatch.errors import ListDamagedError, shorten
from hashmatch.lists.block import Row, cut, decode, encode, ends_block, pack_tags, unpack_tags
from hashmatch.lists.typed_rows import typed_rows

__all__ = ["Blocks", "Judge", "StoredBlock"]

_COLUMNS = "id, last, part, entries, newest, digest, changes, rows"
_KINDS = "itiiibbb"
#: Where rows are more than so many for each change, those that change are looked for, and no table is made of all.
_FEW = 16
_ref_of, _tag_of = itemgetter(0), itemgetter(7)

#: What to do with a key: it is given the row that the list holds (None: it holds none) and the one that is to take its
#: place (None: it is to go), and returns the row that shall stand there, tagged, or None for none.
Judge = Callable[[Row | None, Row | None], Row | None]


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A row of the table.

    Attributes:
        id: its number in this file.
        last: the reference of its last entry.
        part: 0, or counts the further pieces of a run that had to be cut by size.
        entries: how many entries it holds.
        newest: the largest number of a change among its entries.
        digest: SHA-256 of `rows`, 32 bytes.
        changes: for every entry the number of the change that it came with; see `block.pack_tags`.
        rows: the content; see `block.encode`.
    """

    id: int
    last: str
    part: int
    entries: int
    newest: int
    digest: bytes
    changes: bytes
    rows: bytes


@dataclass(slots=True)
class _Run:
    """The blocks from one natural end to the next: what an entry's change may move.

    Attributes:
        blocks: in order; may be empty.
        upper: the reference up to which keys belong here, inclusive; None: all further keys do.
    """

    blocks: list[StoredBlock]
    upper: str | None


class Blocks:
    """The blocks of one list.

    Attributes:
        path: of the list.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Work on an open list; transactions are the caller's."""
        self._connection = connection
        self.path = path

    # ------------------------------------------------------------------ reading

    def of_source(self, source: int, *, newer_than: int = -1) -> Iterator[StoredBlock]:
        """The blocks of a source in order; only those that a change after number ``newer_than`` has touched."""
        if newer_than < 0:
            query = f"SELECT {_COLUMNS} FROM block WHERE source = ? ORDER BY last"  # noqa: S608
            for values in typed_rows(self._connection, self.path, _KINDS, query, (source,)):
                yield StoredBlock(*values)
            return
        # First which, of the index that says it, and then those alone: the table of a large list is gigabytes.
        which = "SELECT id FROM block WHERE source = ? AND newest > ? ORDER BY last"
        for (number,) in list(typed_rows(self._connection, self.path, "i", which, (source, newer_than))):
            query = f"SELECT {_COLUMNS} FROM block WHERE id = ?"  # noqa: S608
            for values in typed_rows(self._connection, self.path, _KINDS, query, (number,)):
                yield StoredBlock(*values)

    def digests(self, source: int) -> list[bytes]:
        """The digests of a source's blocks, in order."""
        query = "SELECT digest FROM block WHERE source = ? ORDER BY last"
        return [digest for (digest,) in typed_rows(self._connection, self.path, "b", query, (source,))]

    def rows(self, source: int, *, newer_than: int = -1) -> Iterator[list[Row]]:
        """The entries of a source in order, block by block, verified; see `of_source`."""
        for block in self.of_source(source, newer_than=newer_than):
            yield self.verified(block)

    def find(self, source: int, ref: str) -> Row | None:
        """The row of one entry, tagged with the number of its change; None where there is none."""
        block = self._at(source, ref)
        if block is None:
            return None
        return next((row for row in self.verified(block) if row[0] == ref), None)

    def verified(self, block: StoredBlock) -> list[Row]:
        """The rows of a block.

        Raises:
            ListDamagedError: it does not agree with its digest, or is no block.
        """
        try:
            if hashlib.sha256(block.rows).digest() != block.digest:
                raise ValueError("its content does not agree with its digest")
            tags = unpack_tags(block.changes)
            rows = decode(block.rows, tags)
            if block.entries != len(rows) or block.last != rows[-1][0] or block.newest != max(tags):
                raise ValueError("its columns do not agree with its content")
        except (ValueError, TypeError) as error:
            self._damaged(block, error)
        return rows

    def check(self, source: int, block: StoredBlock, former: StoredBlock | None, rows: Sequence[Row]) -> None:
        """Whether a block stands where it must, given the one before it (None: it is the first) and its own rows.

        Raises:
            ListDamagedError: it does not.
        """
        refs = [row[0] for row in rows]
        if refs != sorted(set(refs)) or (former is not None and former.last >= refs[0]):
            self._damaged(block, "its references are not in order")
        inside = [ref for ref in refs[:-1] if ends_block(ref)]
        follows = former is not None and not ends_block(former.last)
        if inside or block.part != (former.part + 1 if former is not None and follows else 0):
            self._damaged(block, f"it does not end where it must (source {source})")

    def _damaged(self, block: StoredBlock, error: object) -> NoReturn:
        raise ListDamagedError(
            f"{self.path}: the block of entries that ends with {shorten(block.last)} is damaged ({error}): "
            "restore the list from a copy or import its sources again"
        )

    def _at(self, source: int, ref: str) -> StoredBlock | None:
        """The block in which ``ref`` lies if it is there."""
        return self._one("last >= ? ORDER BY last", source, ref)

    def _one(self, condition: str, source: int, *values: str) -> StoredBlock | None:
        query = f"SELECT {_COLUMNS} FROM block WHERE source = ? AND {condition} LIMIT 1"  # noqa: S608
        found = next(typed_rows(self._connection, self.path, _KINDS, query, (source, *values)), None)
        return None if found is None else StoredBlock(*found)

    def _run(self, source: int, ref: str | None) -> _Run:
        """The run that ``ref`` belongs to; for None the last one."""
        block = self._at(source, ref) if ref is not None else None
        if block is None:
            block = self._one("1 ORDER BY last DESC", source)
            if block is None or (ref is not None and ends_block(block.last)):
                return _Run([], None)
        blocks = [block]
        while blocks[0].part:
            before = self._one("last < ? ORDER BY last DESC", source, blocks[0].last)
            if before is None:
                self._damaged(blocks[0], "the part before it is gone")
            blocks.insert(0, before)
        while not ends_block(blocks[-1].last):
            after = self._one("last > ? ORDER BY last", source, blocks[-1].last)
            if after is None:
                return _Run(blocks, None)
            blocks.append(after)
        return _Run(blocks, blocks[-1].last)

    # ------------------------------------------------------------------ changing

    def apply(
        self,
        source: int,
        changes: Sequence[tuple[str, Row | None]],
        judge: Judge,
        unchanged: Callable[[Sequence[str]], object] | None = None,
        add: Callable[[list[Row]], list[Row]] | None = None,
    ) -> None:
        """Change entries of a source.

        Args:
            source: whose.
            changes: what is to stand at a key, ascending by reference, each at most once.
            judge: decides what comes of each, and is called in order.
            unchanged: told the references of a block that ``changes`` repeats as it is, where given; ``judge``
                is not asked about those then: a list that is imported again is mostly what it was.
            add: given rows of which the list holds no reference, gives them as they shall stand, tagged; where it is
                given, ``judge`` is not asked about most of those.
        """
        at = 0
        refs = list(map(_ref_of, changes))
        while at < len(changes):
            run = self._run(source, refs[at])
            end = len(changes) if run.upper is None else bisect_right(refs, run.upper, at)
            if unchanged is not None and _repeats(run.blocks, changes[at:end]):
                unchanged(refs[at:end])
                at = end
                continue
            replaced: list[StoredBlock] = []
            rows: list[Row] = []
            while True:
                replaced += run.blocks
                held = [row for block in run.blocks for row in self.verified(block)]
                end = len(changes) if run.upper is None else bisect_right(refs, run.upper, at)
                rows += _merge(held, changes[at:end], judge, add)
                at = end
                if run.upper is None or not rows or ends_block(rows[-1][0]):
                    break
                # The entry that ended this run is gone: it flows into the next.
                following = self._at(source, run.upper + "\0")
                if following is None:
                    break
                run = self._run(source, following.last)
            self._replace(source, replaced, rows, list(map(_tag_of, rows)))

    def append(self, source: int, rows: list[Row], number: int) -> None:
        """Add entries of change ``number``, whatever their tags, behind all that the source has; by reference."""
        last = self._one("1 ORDER BY last DESC", source)
        replaced: list[StoredBlock] = []
        held: list[Row] = []
        if last is not None and not ends_block(last.last):
            # The last part of its run, if it has several: those before it stay as they are, however many.
            replaced = [last]
            held = self.verified(last)
        tags = [*map(_tag_of, held), *repeat(number, len(rows))]
        self._replace(source, replaced, held + rows, tags, last.part if last is not None and held else 0)

    def touches(self, source: int, refs: Sequence[str], most: int) -> bool:
        """Whether ascending references lie in more than ``most`` blocks of a source; behind the last is in none."""
        at = 0
        for _ in range(most + 1):
            if at == len(refs):
                return False
            query = "SELECT last FROM block WHERE source = ? AND last >= ? ORDER BY last LIMIT 1"
            found = next(typed_rows(self._connection, self.path, "t", query, (source, refs[at])), None)
            if found is None:
                return False
            at = bisect_right(refs, found[0], at)
        return True

    def last(self, source: int) -> str | None:
        """The last reference of a source; None where it has no entry."""
        block = self._one("1 ORDER BY last DESC", source)
        return None if block is None else block.last

    def _replace(
        self, source: int, replaced: Sequence[StoredBlock], rows: Sequence[Row], tags: Sequence[int], first: int = 0
    ) -> None:
        """Put ``rows``, which begin with part ``first`` of a run, in the place of blocks.

        A block that comes out the same stays untouched. One that ends with the same entry is overwritten: SQLite then
        writes only the pages on which it differs, and the table stays in the order in which it is read.
        """
        former = {block.last: block for block in replaced}
        made, changed = [], []
        at = 0
        for part, encoded, chosen in cut(rows, first):
            last, own = chosen[-1][0], tags[at : at + len(chosen)]
            at += len(chosen)
            packed = pack_tags(own)
            same = former.pop(last, None)
            if same is not None and same.part == part and same.rows == encoded and same.changes == packed:
                continue
            values = (part, len(chosen), max(own), hashlib.sha256(encoded).digest(), packed, encoded)
            if same is None:
                made.append((source, last, *values))
            else:
                changed.append((*values, same.id))
        execute = self._connection.execute
        for block in former.values():
            execute("DELETE FROM block WHERE id = ?", (block.id,))
        update = "UPDATE block SET part = ?, entries = ?, newest = ?, digest = ?, changes = ?, rows = ? WHERE id = ?"
        self._connection.executemany(update, changed)
        self._connection.executemany(
            "INSERT INTO block (source, last, part, entries, newest, digest, changes, rows)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            made,
        )


def _repeats(blocks: Sequence[StoredBlock], changes: Sequence[tuple[str, Row | None]]) -> bool:
    """Whether ``changes`` say what a single block says already."""
    if len(blocks) != 1 or blocks[0].entries != len(changes):
        return False
    rows = [row for _, row in changes if row is not None]
    return len(rows) == len(changes) and encode(rows) == blocks[0].rows


def _merge(
    rows: list[Row],
    changes: Sequence[tuple[str, Row | None]],
    judge: Judge,
    add: Callable[[list[Row]], list[Row]] | None,
) -> list[Row]:
    """``rows`` after ``changes``, both ascending by reference."""
    if len(changes) * _FEW < len(rows):
        return _merge_few(rows, changes, judge)
    held: dict[str, Row] = {row[0]: row for row in rows}
    if add is not None and held.keys().isdisjoint(map(_ref_of, changes)):
        merged = rows + add([row for _, row in changes if row is not None])
        if rows:
            merged.sort(key=_ref_of)
        return merged
    added = False
    for ref, row in changes:
        old = held.get(ref)
        new = judge(old, row)
        if new is None:
            held.pop(ref, None)
        else:
            added |= old is None
            held[ref] = new
    merged = list(held.values())
    if added and rows:
        merged.sort(key=_ref_of)
    return merged


def _merge_few(rows: list[Row], changes: Sequence[tuple[str, Row | None]], judge: Judge) -> list[Row]:
    """The same for few changes: what lies between them is copied in one go."""
    merged: list[Row] = []
    done = 0
    for ref, row in changes:
        at = bisect_left(rows, ref, done, key=_ref_of)
        merged += rows[done:at]
        done = at
        old = None
        if at < len(rows) and rows[at][0] == ref:
            old = rows[at]
            done += 1
        new = judge(old, row)
        if new is not None:
            merged.append(new)
    merged += rows[done:]
    return merged
