"""NSRL Reference Data Set, version 3: SQLite, the minimal set and the full one.

The minimal set has a table ``FILE``; in the full one ``FILE`` is a view of ``METADATA`` and others. What ``FILE`` says
is read, a row an entry; in a database without it, ``METADATA``. The row has no key of its own (in NIST's schema all its
columns are the primary key), so the store derives the reference from what the row says: it is the same in every
release that has the row. What ``METADATA`` says beyond ``FILE``, and the tables of packages, systems and manufacturers,
are not read; a row names its package by number. The release, from the table ``VERSION``, becomes a note.

Three ways lead through this reader, and tests hold them equal. The plain way, `_Reader.entry`, takes one row and says
what is wrong with it. The fast way, `_Reader.entries`, takes some hundred rows, column by column, and gives up as soon
as anything in them is unusual; the rows are then halved until the unusual ones are alone. Those rows come one by one
from a view; from a table SQLite itself joins each column of a thousand rows, which takes half the time of fetching
them: that is the third way, `_Reader.ranges`. In all of them SQLite turns whatever a cell holds into text.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from struct import Struct
from typing import TYPE_CHECKING, Any

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, pack_hashes
from hashmatch.lists.formats.cells import NO_HASH, check_text, drop_empty, parse_hash, shown, whole_number
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
#: Columns with the size of the file.
SIZES = ("file_size", "bytes")
#: Columns with a number, kept in the metadata under their names; other columns are kept as text.
NUMBERS = ("package_id", "object_id")
#: Columns with digits in hexadecimal -> how many; kept as they are.
HEXADECIMAL = {"crc32": 8}
#: The release: this table, these columns of it.
VERSION, VERSION_COLUMNS = "version", ("version", "build_set", "release_date", "description")

#: Rows that are fetched at once. SQLite's sums over a range of rows are about as long.
_ROWS = 1000
#: So many rows, or fewer, are not halved any more when something in them is unusual.
_FEW = 8
_MAX_INT = (1 << 63) - 1
_SAFE_DIGITS = 18
_NAMES_OF_ROWID = ("rowid", "_rowid_", "oid")
_COMMA = ord(",")
#: Bytes that no text in metadata may hold but CR, which may before LF: such texts go the plain way.
_CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\n")
#: What JSON escapes of the rest.
_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\t", "\\t"))

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
        self._usual = [key for _, key in self._others] == ["crc32", "file_name", "package_id"]
        self._count = 0
        self._total: int | None = None

    # ------------------------------------------------------------------ where rows come from

    def batches(self) -> Iterator[Sequence[Entry | RecordError]]:
        """All rows, as entries or what is wrong with them."""
        self._database.records = 0
        rowid = None if self._relation.is_view else self._rowid()
        for batch in self.rows("") if rowid is None else self.ranges(rowid):
            self._count += len(batch)
            self._database.records = self._count
            self._source.report(self._count, self._total)
            yield batch

    def _rowid(self) -> str | None:
        """The name under which a table has its number of rows, or None where it has none."""
        for name in _NAMES_OF_ROWID:
            if name not in self._relation.columns and self._database.has(select([name], self._relation)):
                return name
        return None

    def rows(self, where: str) -> Iterator[Sequence[Entry | RecordError]]:
        """Rows that are fetched one by one."""
        cells = [f"CAST({column(name)} AS TEXT)" for name in self._columns]
        for rows in self._database.batches(select(cells, self._relation, where), _ROWS):
            stack = [rows]
            while stack:
                part = stack.pop()
                if len(part) <= _FEW:
                    yield self._one_by_one(part)
                elif (entries := self.entries(part)) is not None:
                    yield entries
                else:
                    stack += [part[len(part) // 2 :], part[: len(part) // 2]]

    def ranges(self, rowid: str) -> Iterator[Sequence[Entry | RecordError]]:
        """Rows of a table, columns joined by SQLite, range of row numbers by range of row numbers."""
        query, table = self._database.query, self._relation
        # Two statements: of both at once, SQLite would read the whole table.
        ((first,),) = query(select([f"min({rowid})"], table))
        ((last,),) = query(select([f"max({rowid})"], table))
        if first is None:
            return
        sums = [
            f"group_concat({column(name)}, '{between.decode()}')"
            for name, between in zip(self._columns, self._between, strict=True)
        ]
        # NULLs leave no trace in a sum.
        counts = [f"count({column(name)})" for name in self._columns if name not in self._relation.not_null]
        statement = select([*sums, "count(*)", *counts], table, f"NOT INDEXED WHERE {rowid} BETWEEN ? AND ?")
        self._total = last - first + 1
        step = _ROWS
        while first <= last:
            end = min(first + step - 1, last)
            sound = self._database.fits(statement, (first, end))
            if sound is None and step > _ROWS:
                step = _ROWS  # too many rows for one value
                continue
            count, counted = (sound[len(sums)], sound[len(sums) :]) if sound is not None else (_ROWS, ())
            if not count:
                # Numbers may have gaps of any length.
                ((after,),) = query(select([f"min({rowid})"], table, f"WHERE {rowid} > ?"), (end,))
                first = last + 1 if after is None else after
                continue
            entries = None
            if sound is not None and all(other == count for other in counted):
                entries = self._joined(count, sound)
            if entries is None:
                yield from self.rows(f"WHERE {rowid} BETWEEN {first:d} AND {end:d} ORDER BY {rowid}")
            else:
                yield entries
            first = end + 1
            if count < _ROWS // 2:
                step = min(2 * step, 1 << 40)
            elif count > 2 * _ROWS:
                step = max(_ROWS, step // 2)

    def _one_by_one(self, rows: Sequence[tuple[bytes | None, ...]]) -> list[Entry | RecordError]:
        found: list[Entry | RecordError] = []
        for ordinal, row in enumerate(rows, self._count + 1):
            try:
                found.append(self.entry(row))
            except RecordError as error:
                error.path, error.record = self._source.path, ordinal
                found.append(error)
        return found

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
        dropped = drop_empty(hashes)
        metadata: dict[str, Any] = {}
        for name, key in self._others:
            if text := found[name]:
                metadata[key] = self._value(text, name, key)
        stated = found[self._size] if self._size else None
        size = whole_number(stated, str(self._size)) if stated else None
        return Entry.make("", hashes, size=size, metadata=metadata, dropped=dropped)

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

    def _joined(self, count: int, columns: Sequence[Any]) -> list[Entry] | None:
        """The entries of ``count`` rows from their columns: cells with `_between` between them."""
        others = len(self._hashes)
        try:
            packed, empty = self._packed(count, columns)
            metadata = self._metadata(count, columns[others:])
            sizes = _numbers(count, columns[others + len(self._others)]) if self._size else repeat(None)
        except (ValueError, TypeError):  # every kind of unusual cell; TypeError: nothing but NULL
            return None
        rows = zip(repeat(""), repeat(None), repeat(""), sizes, metadata, packed, repeat(0), repeat(""), repeat(""))
        entries = list(map(_make_entry, rows))
        for at in empty:
            entries[at] = _without_empty(entries[at])
        return entries

    def _packed(self, count: int, columns: Sequence[bytes]) -> tuple[Sequence[bytes], list[int]]:
        """(packed hashes of every row, rows that have a digest of the empty file).

        Raises:
            ValueError: a hash that is not in plain hexadecimal digits, of its width.
        """
        import numpy as np

        out = np.empty((count, len(self._mask) + sum(self._widths)), np.uint8)
        at = len(self._mask)
        out[:, :at] = np.frombuffer(self._mask, np.uint8)
        empty: set[int] = set()
        for joined, width, digest in zip(columns, self._widths, self._empty, strict=False):
            raw = binascii.unhexlify(_cells(joined, count, 2 * width).tobytes())
            hashes = np.frombuffer(raw, np.uint8).reshape(count, width)
            out[:, at : at + width] = hashes
            at += width
            if digest in raw:
                empty.update(np.flatnonzero((hashes == np.frombuffer(digest, np.uint8)).all(axis=1)).tolist())
        return Struct(f"{at}s" * count).unpack(out.tobytes()), sorted(empty)

    def _metadata(self, count: int, columns: Sequence[bytes]) -> Sequence[str]:
        """The metadata of every row, as `canonical_json` would make it.

        Raises:
            ValueError: an empty or missing cell, or one that is not what its column expects.
        """
        values: list[Sequence[str]] = []
        for (_, key), joined in zip(self._others, columns, strict=False):
            if key in NUMBERS:
                values.append(_number_texts(count, joined))
            elif key in HEXADECIMAL:
                binascii.unhexlify(_cells(joined, count, HEXADECIMAL[key]).tobytes())
                values.append(joined.decode().split(","))
            else:
                values.append(_json_texts(count, joined, self._max_string))
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
            start = ("," if at else "{") + json.dumps(key, ensure_ascii=False) + ":" + quote
            pieces += [repeat(start), cells, repeat(quote)]
        return list(map("".join, zip(*pieces, repeat("}"), strict=False)))


def _cells(joined: bytes, count: int, width: int) -> NDArray[np.uint8]:
    """Cells of one width with commas between them as uint8[count, width].

    Raises:
        ValueError: a cell of another width.
    """
    import numpy as np

    table = np.frombuffer(joined + b",", np.uint8).reshape(count, width + 1)
    if (table[:, width] != _COMMA).any():
        raise ValueError
    return table[:, :width]


def _numbers(count: int, joined: bytes) -> list[int]:
    """Whole numbers with commas between them, each as Python writes it.

    Raises:
        ValueError: a cell that is none, or out of range.
    """
    if not joined.replace(b",", b"").isdigit():
        raise ValueError
    numbers: list[int] = json.loads(f"[{joined.decode()}]")  # does not take leading zeros
    if len(numbers) != count or max(numbers) > _MAX_INT:
        raise ValueError
    return numbers


def _number_texts(count: int, joined: bytes) -> list[str]:
    """Texts of whole numbers with commas between them, as JSON writes numbers.

    Raises:
        ValueError: a cell that is none, begins with zero, or may be out of range.
    """
    cells = joined.decode().split(",")
    if (
        len(cells) != count
        or not joined.replace(b",", b"").isdigit()
        or joined.startswith((b"0", b","))
        or b",0" in joined
        or b",," in joined
        or joined.endswith(b",")
        or max(map(len, cells)) > _SAFE_DIGITS
    ):
        raise ValueError
    return cells


def _json_texts(count: int, joined: bytes, longest: int) -> list[str]:
    """What stands between the quotes of JSON strings, of texts with line feeds between them.

    Raises:
        ValueError: an empty text, one with a line feed, or one that metadata may not hold.
    """
    if (
        len(joined) > longest
        or len(joined.translate(None, _CONTROL)) != len(joined)
        or b"\n\n" in joined
        or joined.startswith(b"\n")
        or joined.endswith(b"\n")
        or not joined
    ):
        raise ValueError
    text = joined.decode(errors="backslashreplace")
    for character, escape in _ESCAPES:
        text = text.replace(character, escape)
    cells = text.split("\n")
    if len(cells) != count:
        raise ValueError
    return cells


def _without_empty(entry: Entry) -> Entry:
    hashes = entry.hashes
    dropped = drop_empty(hashes)
    return entry._replace(packed=pack_hashes(hashes), dropped=dropped)
