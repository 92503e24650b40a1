"""What was and is no more: former versions of entries, retractions, opinions that were given here, and every change.

Every change of a list has a number. An entry carries the number of the change that it came with; what a change ends is
kept with the numbers of the change that it came with and of the one that ended it. A retraction deletes hashes, those
of former versions too: what stays is the digest of what there was.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import ListDamagedError
from hashmatch.lists.block import Row, decode, encode
from hashmatch.lists.blocks import Blocks
from hashmatch.lists.entry import Opinion, content_digest
from hashmatch.lists.typed_rows import typed_rows

__all__ = ["Change", "Former", "History", "Tombstone"]


class Change(NamedTuple):
    """One change of a list: a row of the table.

    Attributes:
        number: from 1.
        at: UTC, ISO 8601.
        operation: ``import``, ``retract``, ``restore``, ``opinion``, ``delta`` or ``merge``.
        operator: who did it, as the operating system says.
        source: the source that it is about; "" where it is about several or none.
        format: of the file that was read, "" for none.
        name: path of the file as given, "" for none.
        size: of the file, in bytes.
        sha256: of the file, 32 bytes; empty for none.
        counts: what it did, by name.
        snapshot: of the list after it, 32 bytes.
    """

    number: int
    at: str
    operation: str
    operator: str
    source: str
    format: str
    name: str
    size: int
    sha256: bytes
    counts: Mapping[str, int]
    snapshot: bytes


class Former(NamedTuple):
    """A version of an entry that a change ended.

    Attributes:
        source, ref: the key.
        since: number of the change that it came with.
        ended: number of the change that ended it.
        content: its `content_digest`.
        row: what it said, tagged with ``since``; None where its source has withdrawn it.
    """

    source: int
    ref: str
    since: int
    ended: int
    content: bytes
    row: Row | None


class Tombstone(NamedTuple):
    """A retraction that stands, or stood.

    Attributes:
        source, ref: the key.
        change: number of the change that made it.
        undone: number of the change that took it back; None where it stands.
        reason: why, "" where that was not said.
        content: `content_digest` of what was withdrawn; None where there was no such entry.
    """

    source: int
    ref: str
    change: int
    undone: int | None
    reason: str
    content: bytes | None


class History:
    """The tables behind the entries."""

    def __init__(self, connection: sqlite3.Connection, blocks: Blocks, path: Path) -> None:
        """Work on an open list; transactions are the caller's."""
        self._connection = connection
        self._blocks = blocks
        self._path = path

    def _rows(self, kinds: str, query: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        return typed_rows(self._connection, self._path, kinds, query, values)

    def _damaged(self, what: str) -> NoReturn:
        raise ListDamagedError(
            f"{self._path}: its history is damaged: {what}; restore it from a copy or import its sources again"
        )

    # ------------------------------------------------------------------ changes

    def next_number(self) -> int:
        """The number of the change that is being made."""
        [(last,)] = self._rows("i", "SELECT coalesce(max(id), 0) FROM change")
        if not 0 <= last < _MOST_CHANGES:
            self._damaged(f"found a change numbered {last:,}")
        return int(last) + 1

    def record(self, change: Change) -> None:
        """Note a change. It belongs to the same transaction as what it changed."""
        self._connection.execute(
            "INSERT INTO change VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*change[:9], json.dumps(dict(change.counts)), change.snapshot),
        )

    def changes(self, after: int = 0) -> Iterator[Change]:
        """The changes after number ``after``, oldest first."""
        for values in self._rows("ittttttibtb", "SELECT * FROM change WHERE id > ? ORDER BY id", (after,)):
            try:
                counts = json.loads(values[9])
                sound = isinstance(counts, dict) and all(type(count) is int for count in counts.values())
            except (ValueError, RecursionError):
                sound = False
            if not sound:
                self._damaged(f"found counts of change {values[0]:,} that are none")
            yield Change._make((*values[:9], counts, values[10]))

    def times(self) -> dict[int, str]:
        """Number of a change -> when it was made."""
        return dict(self._rows("it", "SELECT id, at FROM change"))

    # ------------------------------------------------------------------ former versions

    def supersede(self, source: int, name: str, row: Row, number: int) -> None:
        """Keep what an entry said before change ``number`` gave it other content."""
        self._connection.execute(
            "INSERT INTO former VALUES (?, ?, ?, ?, ?, ?)",
            (source, row[0], row[7], number, content_digest(name, row), encode([row])),
        )

    def former(self, source: int, ref: str) -> list[Former]:
        """The former versions of an entry, oldest first."""
        query = "SELECT * FROM former WHERE source = ? AND ref = ? ORDER BY ended"
        return list(map(_former, self._rows(_FORMER, query, (source, ref))))

    def former_since(self, number: int, source: int | None = None) -> Iterator[Former]:
        """All versions that a change after ``number`` ended, by key and end; those of one source only, where given."""
        condition = "ended > ?" + ("" if source is None else " AND source = ?")
        query = f"SELECT * FROM former WHERE {condition} ORDER BY source, ref, ended"  # noqa: S608
        values = (number,) if source is None else (number, source)
        yield from map(_former, self._rows(_FORMER, query, values))

    # ------------------------------------------------------------------ retractions

    def withdrawn(self, source: int) -> set[str]:
        """The references of a source that are retracted."""
        query = "SELECT ref FROM retraction WHERE source = ? AND undone IS NULL"
        return {ref for (ref,) in self._rows("t", query, (source,))}

    def withdrawn_since(self, source: int, ref: str, number: int) -> bool:
        """Whether an entry was retracted by change ``number`` or later, and be it that this was taken back."""
        query = "SELECT 1 FROM retraction WHERE source = ? AND ref = ? AND change >= ? LIMIT 1"
        return any(self._rows("i", query, (source, ref, number)))

    def standing(self, source: int) -> Iterator[Tombstone]:
        """The retractions of a source that stand, by reference."""
        query = f"{_TOMBSTONE} WHERE source = ? AND undone IS NULL ORDER BY ref"
        yield from map(Tombstone._make, self._rows(_TOMBSTONES, query, (source,)))

    def withdraw(self, source: int, name: str, reasons: Mapping[str, str], number: int) -> tuple[list[str], list[str]]:
        """Retract entries: delete them, and what is known of their former versions.

        Args:
            source: whose entries; ``name`` is the name of it.
            name: see ``source``.
            reasons: reference -> why.
            number: of this change.

        Returns:
            (references withdrawn, references of new tombstones for which there was no entry), each ascending.
        """
        execute = self._connection.execute
        # Asked one by one: a source may have many more retractions than come in one go.
        query = "SELECT 1 FROM retraction WHERE source = ? AND ref = ? AND undone IS NULL"
        fresh = [ref for ref in sorted(reasons) if execute(query, (source, ref)).fetchone() is None]
        withdrawn: list[str] = []

        def judge(old: Row | None, _new: Row | None) -> None:
            if old is None:
                return
            ref = old[0]
            withdrawn.append(ref)
            content = content_digest(name, old)
            # It is there already where this change gave the entry other content before it withdrew it.
            execute("INSERT OR IGNORE INTO former VALUES (?, ?, ?, ?, ?, NULL)", (source, ref, old[7], number, content))
            execute("UPDATE retraction SET content = ? WHERE source = ? AND ref = ? AND undone IS NULL",
                    (content, source, ref))  # fmt: skip

        self._connection.executemany(
            "INSERT INTO retraction VALUES (?, ?, ?, NULL, ?, NULL)",
            [(source, ref, number, reasons[ref]) for ref in fresh],
        )
        self._blocks.apply(source, [(ref, None) for ref in fresh], judge)
        # Zeros of the same length stand in the place of the bytes. Were rows of this table ever to move, SQLite would
        # leave copies behind in its pages, which secure_delete does not know of: it is written at its end only.
        self._connection.executemany(
            "UPDATE former SET row = zeroblob(length(row)) WHERE source = ? AND ref = ? AND row IS NOT NULL",
            [(source, ref) for ref in fresh],
        )
        self._connection.executemany(
            "UPDATE opinion SET ended = ? WHERE source = ? AND ref = ? AND ended IS NULL",
            [(number, source, ref) for ref in fresh],
        )
        gone = set(withdrawn)
        return withdrawn, [ref for ref in fresh if ref not in gone]

    def restore(self, source: int, refs: Iterable[str], number: int) -> int:
        """Take retractions back; returns how many."""
        return sum(
            self._connection.execute(
                "UPDATE retraction SET undone = ? WHERE source = ? AND ref = ? AND undone IS NULL",
                (number, source, ref),
            ).rowcount
            for ref in refs
        )

    def tombstones(self, source: int, ref: str) -> list[Tombstone]:
        """The retractions of a key, those that were taken back among them, oldest first."""
        query = f"{_TOMBSTONE} WHERE source = ? AND ref = ? ORDER BY change"
        return list(map(Tombstone._make, self._rows(_TOMBSTONES, query, (source, ref))))

    def tombstones_since(self, number: int, source: int | None = None) -> Iterator[Tombstone]:
        """Retractions that were made or taken back after change ``number``, by key and change."""
        condition = "(change > ? OR undone > ?)" + ("" if source is None else " AND source = ?")
        values = (number, number) if source is None else (number, number, source)
        query = f"{_TOMBSTONE} WHERE {condition} ORDER BY source, ref, change"
        yield from map(Tombstone._make, self._rows(_TOMBSTONES, query, values))

    # ------------------------------------------------------------------ opinions

    def give_opinion(self, source: int, ref: str, opinion: Opinion | tuple[str, str], number: int) -> bool:
        """Note an opinion, or take back that of (algorithm, organisation). Returns whether that changed anything."""
        execute = self._connection.execute
        key = (source, ref, opinion[0], opinion[1])
        standing = execute(
            "SELECT affirmative, reason FROM opinion WHERE source = ? AND ref = ? AND algorithm = ?"
            " AND organisation = ? AND ended IS NULL",
            key,
        ).fetchone()
        wanted = (int(opinion.affirmative), opinion.reason) if isinstance(opinion, Opinion) else None
        if standing == wanted:
            return False
        execute(
            "UPDATE opinion SET ended = ? WHERE source = ? AND ref = ? AND algorithm = ? AND organisation = ?"
            " AND ended IS NULL",
            (number, *key),
        )
        if wanted is not None:
            execute("INSERT INTO opinion VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", (*key, *wanted, number))
        return True

    def opinions(self, source: int) -> dict[str, list[Opinion]]:
        """Reference -> the opinions that were given here on the entry and stand, by algorithm and organisation."""
        query = (
            "SELECT ref, algorithm, organisation, affirmative, reason FROM opinion"
            " WHERE source = ? AND ended IS NULL ORDER BY ref, algorithm, organisation"
        )
        found: dict[str, list[Opinion]] = {}
        for ref, *opinion in self._rows("tttit", query, (source,)):
            found.setdefault(ref, []).append(self._opinion(*opinion))
        return found

    def opinions_since(self, number: int, source: int) -> Iterator[tuple[str, Opinion, int, int | None]]:
        """(reference, opinion, change that brought it, change that ended it or None) of every opinion that was given
        here on a source's entries and changed after change ``number``, with its other versions, by reference, algorithm
        and organisation.
        """
        query = (
            "SELECT ref, algorithm, organisation, affirmative, reason, change, ended FROM opinion o"
            " WHERE source = ? AND EXISTS (SELECT 1 FROM opinion n WHERE (n.change > ? OR n.ended > ?)"
            " AND n.source = o.source AND n.ref = o.ref AND n.algorithm = o.algorithm"
            " AND n.organisation = o.organisation) ORDER BY ref, algorithm, organisation, change"
        )
        for ref, *opinion, change, ended in self._rows("tttitiI", query, (source, number, number)):
            yield ref, self._opinion(*opinion), change, ended

    def opinion_versions(self, source: int, ref: str) -> list[tuple[Opinion, int, int | None]]:
        """(opinion, change that brought it, change that ended it or None) of an entry, oldest first."""
        query = (
            "SELECT algorithm, organisation, affirmative, reason, change, ended FROM opinion"
            " WHERE source = ? AND ref = ? ORDER BY change, algorithm, organisation"
        )
        return [
            (self._opinion(*opinion), change, ended)
            for *opinion, change, ended in self._rows("ttitiI", query, (source, ref))
        ]

    def _opinion(self, algorithm: str, organisation: str, affirmative: int, reason: str) -> Opinion:
        if algorithm and algorithm not in ALGORITHMS:
            self._damaged("found an opinion about a hash of no known algorithm")
        if affirmative not in (0, 1):
            self._damaged("found an opinion that is neither affirmative nor negative")
        return Opinion(algorithm, organisation, bool(affirmative), reason)


#: Types of the columns; see `typed_rows`.
_FORMER, _TOMBSTONES = "itiibB", "itiItB"
#: The number of a change is kept in 32 bits beside every entry.
_MOST_CHANGES = (1 << 32) - 1
_TOMBSTONE = "SELECT source, ref, change, undone, reason, content FROM retraction"


def _former(values: tuple[Any, ...]) -> Former:
    source, ref, since, ended, content, packed = values
    row = decode(packed, [since])[0] if packed is not None and any(packed) else None
    return Former(source, ref, since, ended, content, row)
