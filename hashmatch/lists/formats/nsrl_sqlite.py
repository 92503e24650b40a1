"""NSRL Reference Data Set, version 3: SQLite, the minimal set and the full one.

The minimal set has a table ``FILE``; in the full one ``FILE`` is a view of ``METADATA`` and others. What ``FILE`` says
is read, a row an entry; in a database without it, ``METADATA``. What ``METADATA`` says beyond ``FILE``, and the tables
of packages, systems and manufacturers, are not read; a row names its package by number. The release, from the table
``VERSION``, becomes a note.

A row has no key of its own: in NIST's schema all its columns are the primary key. `reference` makes a reference of what
tells rows apart; where a database has other columns than NIST's, the store derives it.

Three ways lead through this reader, and tests hold them equal. The plain way, `_Reader.entry`, takes one row and says
what is wrong with it. The fast way, `_Reader.entries`, takes some hundred rows, column by column, and gives up as soon
as anything in them is unusual; the rows are then halved until the unusual ones are alone. Those rows come one by one
from a view; of a table with NIST's index SQLite joins each column of a thousand rows, which takes half the time of
fetching them: that is the third way, `_Reader.ranges`. What joined columns become is written in C and here,
`_Reader.joined`; which of them runs is what `HASHMATCH_KERNELS` says. In all ways SQLite turns whatever a cell holds
into text.
Records are numbered as they are read: with that index, in the order of their SHA-256.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Any

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, pack_hashes
from hashmatch.lists.formats.cells import NO_HASH, check_text, drop_empty, parse_hash, shown, whole_number
from hashmatch.lists.formats.nsrl_columns import (
    cells_of,
    json_texts,
    number_texts,
    numbers,
    reference,
    references,
)
from hashmatch.lists.formats.source import Head, Input, ReadOptions
from hashmatch.lists.formats.sqlite_source import (
    ForeignDatabase,
    Relation,
    column,
    open_foreign,
    schema_of,
    select,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["detect", "read"]

#: Tables or views with the rows, the first that is there, and columns that only this format has.
RELATIONS = {"file": {"sha1", "file_name", "package_id"}, "metadata": {"sha1", "file_name", "object_id"}}
#: Columns with hashes -> algorithm.
HASHES = {"md5": "md5", "sha1": "sha1", "sha256": "sha256"}
#: The column in whose order rows are read where an index has that order.
ORDER = "sha256"
#: Columns with the size of the file.
SIZES = ("file_size", "bytes")
#: Columns with a number, kept in the metadata under their names; other columns are kept as text.
NUMBERS = ("package_id", "object_id")
#: Columns with digits in hexadecimal -> how many; kept as they are.
HEXADECIMAL = {"crc32": 8}
#: The release: this table, these columns of it.
VERSION, VERSION_COLUMNS = "version", ("version", "build_set", "release_date", "description")

#: Metadata that tells rows of the same hashes apart: where it is all there is (but for a checksum), the reader makes
#: references, and otherwise the store derives them.
DISTINGUISHING = {"file_name", "package_id"}

#: Rows that are fetched at once, and about so many that SQLite joins.
_ROWS = 1000
#: Rows that are sorted at most.
_MOST_ROWS = 16_000
#: So many rows, or fewer, are not halved any more when something in them is unusual.
_FEW = 8
#: Digits of the SHA-256 whose values are the borders of ranges, and how many borders there are.
_DIGITS = 4
_BORDERS = 16**_DIGITS

_ref_of = itemgetter(0)
_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


def detect(head: Head) -> bool:
    """Whether the database has a table or view of the Reference Data Set."""
    return _relation(schema_of(head)) is not None


def _relation(schema: Any) -> Relation | None:
    for name, columns in RELATIONS.items():
        relation: Relation | None = schema.get(name)
        if relation is not None and columns <= relation.columns.keys():
            return relation
    return None


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a Reference Data Set.

    Raises:
        RecordError: the database is damaged, not at rest, or needs what is not allowed.
        InputError: the input is a stream, or fails while it is read.
    """
    with open_foreign(source) as database:
        relation = _relation(database.relations)
        if relation is None:
            raise RecordError(
                "found a database without the table FILE; expected the columns "
                f"{', '.join((*HASHES, *HEXADECIMAL, 'file_name', 'file_size', 'package_id'))}",
                path=source.path,
            )
        _note_release(source, database)
        reader = _Reader(source, database, relation, options.limits.max_string)
        yield from chain.from_iterable(reader.batches())


def _note_release(source: Input, database: ForeignDatabase) -> None:
    """Keep what the table VERSION says of the release, as a note."""
    relation = database.relations.get(VERSION)
    columns = [relation.columns[name] for name in VERSION_COLUMNS if name in relation.columns] if relation else []
    if relation is None or relation.is_view or not columns:
        return
    for row in database.query(select((f"CAST({column(name)} AS TEXT)" for name in columns), relation, "LIMIT 10")):
        says = [value.decode(errors="backslashreplace") for value in row if value]
        source.notes.append(f"NSRL Reference Data Set {', '.join(map(shown, says))}")


class _Reader:
    """What the schema says about the rows."""

    def __init__(self, source: Input, database: ForeignDatabase, relation: Relation, max_string: int) -> None:
        self._source = source
        self._database = database
        self._relation = relation
        self._max_string = max_string
        names = relation.columns
        by_number = sorted((name for name in HASHES if name in names), key=lambda name: ALGORITHMS[HASHES[name]].number)
        self._hashes = [(names[name], HASHES[name]) for name in by_number]
        self._widths = [ALGORITHMS[algorithm].width for _, algorithm in self._hashes]
        self._mask = pack_hashes({algorithm: bytes(ALGORITHMS[algorithm].width) for _, algorithm in self._hashes})[:4]
        self._empty = [EMPTY_DIGESTS[algorithm] for _, algorithm in self._hashes]
        size = next((name for name in SIZES if name in names), None)
        #: Column, key and kind of what becomes metadata, in the order of the keys.
        self._others = [(names[key], key) for key in sorted(names) if key not in HASHES and key != size]
        self._size = None if size is None else names[size]
        #: Every column that is read, in the order of the cells of a row: hashes, metadata, size.
        self._columns = [name for name, _ in (*self._hashes, *self._others)] + ([self._size] if self._size else [])
        #: What is put between the cells of each column.
        texts = {name for name, key in self._others if key not in NUMBERS and key not in HEXADECIMAL}
        self._between = [b"\n" if name in texts else b"," for name in self._columns]
        keys = [key for _, key in self._others]
        self._usual = keys == ["crc32", "file_name", "package_id"]
        self._gives_references = len(self._hashes) == len(HASHES) and set(keys) - HEXADECIMAL.keys() == DISTINGUISHING
        #: The same for the way in C: what each column is, and which of them references are made of.
        self._native: Any = kernels.native_rows()
        self._plan = tuple(self._kinds())
        self._places = (-1, -1)
        if self._gives_references:
            self._places = self._columns.index(names["file_name"]), self._columns.index(names["package_id"])
        self._count = self._done = 0
        self._total: int | None = None

    def _kinds(self) -> Iterator[tuple[str, int, bytes]]:
        """What each column is, as `kernels.native.joined_entries` asks for it: kind, width, text."""
        for width, empty in zip(self._widths, self._empty, strict=True):
            yield "h", width, empty
        for at, (_, key) in enumerate(self._others):
            kind = "n" if key in NUMBERS else "x" if key in HEXADECIMAL else "t"
            yield kind, HEXADECIMAL.get(key, 0), _member(at, key).encode()
        if self._size:
            yield "s", 0, b""

    # ------------------------------------------------------------------ where rows come from

    def batches(self) -> Iterator[Sequence[Entry | RecordError]]:
        """All rows, as entries or what is wrong with them."""
        self._database.records = 0
        for batch in self.ranges() if self._is_ordered() else self.rows(""):
            self._count += len(batch)
            self._database.records = self._count
            self._database.report(self._done if self._total else self._count, self._total)
            yield batch

    def _is_ordered(self) -> bool:
        """Whether a table has an index in the order of the SHA-256 that holds all columns, as NIST's key does."""
        if self._relation.is_view or ORDER not in self._relation.columns or not self._gives_references:
            return False
        key = column(self._relation.columns[ORDER])
        cells = map(column, self._columns)
        plan = self._database.plan(select(cells, self._relation, f"WHERE {key} >= ? AND {key} < ?"), ("1", "2"))
        return all("COVERING INDEX" in step for step in plan)

    def rows(self, where: str, borders: Sequence[str] = ()) -> Iterator[Sequence[Entry | RecordError]]:
        """Rows that are fetched one by one; ``borders`` are what ``where`` has question marks for."""
        cells = [f"CAST({column(name)} AS TEXT)" for name in self._columns]
        for rows in self._database.batches(select(cells, self._relation, where), _ROWS, borders):
            stack = [rows]
            while stack:
                part = stack.pop()
                if len(part) <= _FEW:
                    yield self._one_by_one(part)
                elif (entries := self.entries(part)) is not None:
                    yield entries
                else:
                    stack += [part[len(part) // 2 :], part[: len(part) // 2]]

    def ranges(self) -> Iterator[Sequence[Entry | RecordError]]:
        """Rows of a table in the order of the SHA-256, columns joined by SQLite, range by range.

        Every range is sorted by reference, so that all references ascend.
        """
        query, key = self._database.query, column(self._relation.columns[ORDER])
        sums = [
            # What stands between cells is a comma unless it is said, which takes longer.
            f"group_concat({column(name)})"
            if between == b","
            else f"group_concat({column(name)}, '{between.decode()}')"
            for name, between in zip(self._columns, self._between, strict=True)
        ]
        # NULLs leave no trace in a sum.
        counts = [f"count({column(name)})" for name in self._columns if name not in self._relation.not_null]
        cells = [*sums, "count(*)", *counts]
        # All digits are of the same case; where they are not, the last range is large, and its rows come one by one.
        ((largest,),) = query(select([f"CAST(max({key}) AS TEXT)"], self._relation))
        digits = "{:04x}" if (largest or b"") >= b"a" else "{:04X}"
        self._total = _BORDERS
        at, step = 0, 1
        while at < _BORDERS:
            end = min(at + step, _BORDERS)
            # What is no such text is before the first border, or behind the last. Borders are parameters, so that
            # SQLite does not have to prepare a statement for every range.
            bounds = {f"{key} >= ?": at} if at else {}
            if end < _BORDERS:
                bounds[f"{key} < ?"] = end
            within = f"WHERE {' AND '.join(bounds)}" if bounds else ""
            borders = tuple(map(digits.format, bounds.values()))
            found = self._database.fits(select(cells, self._relation, within), borders)
            if found is None and step > 1:
                step = max(1, step // 16)  # too many rows for one value
                continue
            at = end
            self._done = at
            if found is None:
                yield from self.rows(within, borders)  # too many rows to be sorted, too
                continue
            count, counted = found[len(sums)], found[len(sums) :]
            if count:
                alike = all(other == count for other in counted)
                entries = self._joined(count, found, ascending=True) if alike else None
                if entries is None and count > _MOST_ROWS:
                    yield from self.rows(within, borders)
                elif entries is None:
                    yield self._ascending(list(chain.from_iterable(self.rows(within, borders))))
                else:
                    yield entries
            if count < _ROWS // 2:
                step *= 2
            elif count > 2 * _ROWS:
                step = max(1, step // 2)
        yield from self.rows(f"WHERE {key} IS NULL")

    def _one_by_one(self, rows: Sequence[tuple[bytes | None, ...]]) -> list[Entry | RecordError]:
        found: list[Entry | RecordError] = []
        for ordinal, row in enumerate(rows, self._count + 1):
            try:
                found.append(self.entry(row))
            except RecordError as error:
                error.path, error.record = self._source.path, ordinal
                found.append(error)
        return found

    def _ascending(self, items: list[Entry | RecordError]) -> list[Entry | RecordError]:
        """Items with the entries among them ascending by reference; errors stay in their places, which they state."""
        ordered = iter(sorted((item for item in items if isinstance(item, Entry)), key=_ref_of))
        for at, item in enumerate(items):
            if isinstance(item, Entry):
                items[at] = next(ordered)
            else:
                item.record = self._count + at + 1
        return items

    # ------------------------------------------------------------------ the plain way

    def entry(self, cells: Sequence[bytes | None]) -> Entry:
        """The entry of one row.

        Raises:
            RecordError: the row is malformed.
        """
        texts = [None if cell is None else cell.decode(errors="backslashreplace") for cell in cells]
        found = dict(zip(self._columns, texts, strict=True))
        hashes: dict[str, bytes] = {}
        for name, algorithm in self._hashes:
            if digits := (found[name] or "").strip():
                try:
                    hashes[algorithm] = parse_hash(algorithm, digits)
                except RecordError as error:
                    error.field = name
                    raise
        if not hashes:
            raise RecordError(NO_HASH)
        digests = b"".join(hashes.get(algorithm, b"") for _, algorithm in self._hashes)
        dropped = drop_empty(hashes)
        metadata: dict[str, Any] = {}
        for name, key in self._others:
            if text := found[name]:
                metadata[key] = self._value(text, name, key)
        ref = ""
        if self._gives_references and len(digests) == sum(self._widths) and metadata.keys() >= DISTINGUISHING:
            file_name = dict(zip(self._columns, cells, strict=True))[self._relation.columns["file_name"]]
            ref = reference(digests, file_name or b"", metadata["package_id"])
        stated = found[self._size] if self._size else None
        size = whole_number(stated, str(self._size)) if stated else None
        return Entry.make(ref, hashes, size=size, metadata=metadata, dropped=dropped)

    def _value(self, text: str, name: str, key: str) -> int | str:
        if key in NUMBERS:
            return whole_number(text, name)
        digits = HEXADECIMAL.get(key)
        if digits is not None:
            try:
                if len(text) == digits and len(binascii.unhexlify(text)) == digits // 2:
                    return text
            except ValueError:
                pass
            raise RecordError(f"found {shown(text)}; expected {digits} hexadecimal digits", field=name)
        return check_text(text, name, self._max_string)

    # ------------------------------------------------------------------ the fast way

    def entries(self, rows: Sequence[tuple[bytes | None, ...]]) -> list[Entry] | None:
        """The entries of rows, or None where something in them asks for the plain way."""
        columns: Any = zip(*rows, strict=True)
        try:
            joined = [between.join(cells) for between, cells in zip(self._between, columns, strict=True)]
        except TypeError:  # None among them
            return None
        return self._joined(len(rows), joined)

    def _joined(self, count: int, columns: Sequence[Any], *, ascending: bool = False) -> list[Entry] | None:
        """The entries of ``count`` rows from their columns, the cells of which have `_between` between them.

        Args:
            count: rows.
            columns: a joined column of each of `_columns`; what stands behind them does not count.
            ascending: whether the entries are to be sorted by reference.
        """
        if self._native is None:
            entries = self.joined(count, columns)
            if ascending and entries is not None:
                entries.sort(key=_ref_of)
            return entries
        found: tuple[list[Entry], list[int]] | None = self._native.joined_entries(
            Entry, count, columns, self._plan, self._mask, *self._places, self._max_string, ascending
        )
        if found is None:
            return None
        entries, empty = found
        for at in empty:
            entries[at] = _without_empty(entries[at])
        return entries

    def joined(self, count: int, columns: Sequence[Any]) -> list[Entry] | None:
        """`_joined` in the order of the rows, with NumPy: the twin of `kernels.native.joined_entries`."""
        others = len(self._hashes)
        if not all(isinstance(cells, bytes) for cells in columns[: len(self._columns)]):
            return None  # nothing but NULL, which a damaged file may hold where its schema allows none
        try:
            packed, digests, empty = self._packed(count, columns)
            metadata = self._metadata(count, columns[others:])
            references = self._references(digests, columns)
            sizes = numbers(count, columns[others + len(self._others)]) if self._size else repeat(None)
        except ValueError:  # every kind of unusual cell
            return None
        rows = zip(references, repeat(None), repeat(""), sizes, metadata, packed, repeat(0), repeat(""), repeat(""))
        entries = list(map(_make_entry, rows))
        for at in empty:
            entries[at] = _without_empty(entries[at])
        return entries

    def _references(self, digests: NDArray[np.uint8], columns: Sequence[bytes]) -> Iterable[str]:
        if not self._gives_references:
            return repeat("")
        by_key = dict(zip((key for _, key in self._others), columns[len(self._hashes) :], strict=False))
        return references(digests, by_key["file_name"], numbers(len(digests), by_key["package_id"]))

    def _packed(self, count: int, columns: Sequence[bytes]) -> tuple[Sequence[bytes], NDArray[np.uint8], list[int]]:
        """(packed hashes of every row, their digests as uint8[count, all], rows with a digest of the empty file).

        Raises:
            ValueError: a hash that is not in plain hexadecimal digits, of its width.
        """
        import numpy as np

        out = np.empty((count, len(self._mask) + sum(self._widths)), np.uint8)
        at = len(self._mask)
        out[:, :at] = np.frombuffer(self._mask, np.uint8)
        empty: set[int] = set()
        for joined, width, digest in zip(columns, self._widths, self._empty, strict=False):
            raw = binascii.unhexlify(cells_of(joined, count, 2 * width).tobytes())
            hashes = np.frombuffer(raw, np.uint8).reshape(count, width)
            out[:, at : at + width] = hashes
            at += width
            if digest in raw:
                empty.update(np.flatnonzero((hashes == np.frombuffer(digest, np.uint8)).all(axis=1)).tolist())
        return Struct(f"{at}s" * count).unpack(out.tobytes()), out[:, len(self._mask) :], sorted(empty)

    def _metadata(self, count: int, columns: Sequence[bytes]) -> Sequence[str]:
        """The metadata of every row, as `canonical_json` would make it.

        Raises:
            ValueError: an empty or missing cell, or one that is not what its column expects.
        """
        values: list[Sequence[str]] = []
        for (_, key), joined in zip(self._others, columns, strict=False):
            if key in NUMBERS:
                values.append(number_texts(count, joined))
            elif key in HEXADECIMAL:
                binascii.unhexlify(cells_of(joined, count, HEXADECIMAL[key]).tobytes())
                values.append(joined.decode().split(","))
            else:
                values.append(json_texts(count, joined, self._max_string))
        if self._usual:
            return [
                f'{{"crc32":"{crc32}","file_name":"{name}","package_id":{package}}}'
                for crc32, name, package in zip(*values, strict=True)
            ]
        if not values:
            return [""] * count
        pieces: list[Any] = []
        for at, ((_, key), cells) in enumerate(zip(self._others, values, strict=True)):
            quote = "" if key in NUMBERS else '"'
            pieces += [repeat(_member(at, key) + quote), cells, repeat(quote)]
        return list(map("".join, zip(*pieces, repeat("}"), strict=False)))


def _member(at: int, key: str) -> str:
    """What stands before the value of a member of the metadata, the first if ``at`` is 0."""
    return ("," if at else "{") + json.dumps(key, ensure_ascii=False) + ":"


def _without_empty(entry: Entry) -> Entry:
    hashes = entry.hashes
    dropped = drop_empty(hashes)
    return entry._replace(packed=pack_hashes(hashes), dropped=dropped)
