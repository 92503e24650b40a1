"""The footer of a Parquet file, and the heads of its pages, read without pyarrow.

pyarrow's own objects for a footer end the process where it is damaged in certain ways (an exception of C++ that nobody
catches, in version 26), and the figures have to be judged before pyarrow acts on them: it takes as much memory as the
head of a page asks for. Both are Thrift's compact protocol; fields that are not needed are passed over. Numbers of
fields are from parquet.thrift of the Parquet format.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from hashmatch.errors import RecordError

__all__ = ["MAGIC", "MAGIC_ENCRYPTED", "Chunk", "Footer", "page_bytes", "read_footer"]

MAGIC = b"PAR1"
#: Of a file whose footer is encrypted.
MAGIC_ENCRYPTED = b"PARE"

#: Physical types whose values may be long (bytes of any length, of a fixed one), encodings, and the type of a page that
#: is a dictionary.
_LONG_TYPES = (6, 7)
_DICTIONARY_ENCODINGS = frozenset({2, 8})
_DELTA_BYTE_ARRAY = 7
_DICTIONARY_PAGE = 2

#: Bytes in which the head of a page that is a dictionary has room.
_PAGE_HEAD = 256
#: Bytes in which any head of a page has room: statistics in it quote values. pyarrow's own limit.
_MAX_PAGE_HEAD = 16 << 20
#: Bytes by which old writers said too little of a column's length: they left the head of the dictionary out.
_OVERHANG = 100
#: Pages of a column that may hold no value: a dictionary, an index, what a later version of the format may bring.
_MAX_EMPTY_PAGES = 1000
#: Levels of structures in one another; the format itself has five.
_MAX_DEPTH = 16

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_WHOLE = (_I16, _I32, _I64)

#: Field -> the fields that are kept of the structures in it, None for plain values. {} keeps nothing.
_Wanted = Mapping[int, Any]
_SCHEMA: _Wanted = {5: None}  # num_children
_COLUMN: _Wanted = {1: None, 2: None, 5: None, 6: None, 7: None, 9: None, 11: None}
_ROW_GROUP: _Wanted = {1: {1: None, 3: _COLUMN}, 3: None}
_FILE: _Wanted = {2: _SCHEMA, 3: None, 4: _ROW_GROUP}
#: Type, bytes unpacked and packed, and the number of values in both kinds of head that have one.
_PAGE: _Wanted = {1: None, 2: None, 3: None, 5: {1: None}, 8: {1: None}}


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the footer says of one column in one row group.

    Attributes:
        type: the number of its physical type.
        encodings: numbers of the encodings of its pages.
        start: where its first page begins.
        packed: bytes in the file, heads of pages included.
        unpacked: bytes after decompression.
        values: how many its pages hold together, nulls included.
    """

    type: int
    encodings: frozenset[int]
    start: int
    packed: int
    unpacked: int
    values: int


@dataclass(frozen=True, slots=True)
class Footer:
    """What is needed of a footer.

    Attributes:
        rows: rows of the file.
        columns: columns, those inside structures counted singly.
        groups: for each row group, its columns.
        largest_repeat: bytes that a value may have, at most, which other rows can repeat at no cost: a dictionary that
            is all one value, or a page whose values each continue the one before.
    """

    rows: int
    columns: int
    groups: tuple[tuple[Chunk, ...], ...]
    largest_repeat: int


def read_footer(file: BinaryIO | io.RawIOBase, max_bytes: int) -> Footer:
    """Read and check the footer of a Parquet file.

    Raises:
        RecordError: there is none, it is over ``max_bytes``, damaged, encrypted, or contradicts itself or the file.
    """
    size = file.seek(0, io.SEEK_END)
    if size < 12:
        raise RecordError(f"found {size} bytes; expected a whole Parquet file")
    file.seek(size - 8)
    tail = file.read(8) or b""
    if tail[4:] == MAGIC_ENCRYPTED:
        raise RecordError("found an encrypted Parquet file; expected one that is not encrypted")
    if tail[4:] != MAGIC:
        raise RecordError("found no footer at the end; expected a whole Parquet file: it may be cut short")
    length = int.from_bytes(tail[:4], "little")
    if length > max_bytes:
        raise RecordError(f"found a footer of {length:,} bytes; expected at most {max_bytes:,}")
    if length > size - 12:
        raise RecordError(f"found a footer of {length:,} bytes in a file of {size:,}; expected a whole Parquet file")
    file.seek(size - 8 - length)
    raw = file.read(length) or b""
    try:
        return _footer(_Reader(raw).struct(_FILE), size, file)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RecordError("found a damaged footer; expected a whole Parquet file") from error


def _footer(fields: dict[int, Any], size: int, file: BinaryIO | io.RawIOBase) -> Footer:
    schema, rows, groups = fields[2], _number(fields[3]), fields.get(4, [])
    leaves = sum(not element.get(5) for element in schema[1:])
    found = tuple(_group(group, leaves, size) for group in groups)
    if sum(_number(group[3]) for group in groups) != rows:
        raise RecordError(f"found a footer that says {rows:,} rows, and whose row groups say otherwise")
    largest = max((_largest_repeat(chunk, file) for group in found for chunk in group), default=0)
    return Footer(rows, leaves, found, largest)


def _largest_repeat(chunk: Chunk, file: BinaryIO | io.RawIOBase) -> int:
    if chunk.type not in _LONG_TYPES:
        return 0
    if _DELTA_BYTE_ARRAY in chunk.encodings:
        return chunk.unpacked
    if not chunk.encodings & _DICTIONARY_ENCODINGS:
        return 0
    # The head of the first page. Some writers do not say in the footer where the dictionary is; it comes first.
    file.seek(chunk.start)
    head = _Reader(file.read(_PAGE_HEAD) or b"").struct({1: None, 2: None})
    return _number(head[2]) if head[1] == _DICTIONARY_PAGE else chunk.unpacked


def page_bytes(chunk: Chunk, file: BinaryIO | io.RawIOBase) -> int:
    """Bytes that the pages of a column take while they are read: its dictionary, and its largest page of values.

    Reads the heads of its pages, as far as a reader goes that stops when it has all values.

    Raises:
        RecordError: a head is damaged, or contradicts the footer or the file.
    """
    at, end, seen = chunk.start, chunk.start + chunk.packed, 0
    dictionary = largest = empty = 0
    while seen < chunk.values and at < end:
        page = _page(file, at, end + _OVERHANG)
        if at + page.length > end + _OVERHANG:
            raise RecordError(
                f"found a page of {page.length:,} bytes in a column that has {end - at:,} left; expected a whole "
                "Parquet file: it may be damaged"
            )
        if page.dictionary:
            dictionary = max(dictionary, page.held)
        else:
            largest = max(largest, page.held)
        seen += page.values
        at += page.length
        empty += not page.values
        if empty > _MAX_EMPTY_PAGES:
            raise RecordError(f"found over {_MAX_EMPTY_PAGES:,} pages without a value; expected a whole Parquet file")
    return dictionary + largest


class _Page(NamedTuple):
    """What a page's head says: whether it is a dictionary, bytes with the head, bytes to be held, values."""

    dictionary: bool
    length: int
    held: int
    values: int


def _page(file: BinaryIO | io.RawIOBase, at: int, end: int) -> _Page:
    for room in (_PAGE_HEAD, 1 << 14, _MAX_PAGE_HEAD):
        file.seek(at)
        raw = file.read(min(room, end - at)) or b""
        reader = _Reader(raw)
        try:
            head = reader.struct(_PAGE)
            unpacked, packed = _number(head[2]), _number(head[3])
            values = _number((head.get(5) or head.get(8) or {}).get(1, 0))
            return _Page(head[1] == _DICTIONARY_PAGE, reader.at + packed, max(unpacked, packed), values)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            # What is cut short may be longer than what was read.
            if len(raw) < room or room == _MAX_PAGE_HEAD:
                raise RecordError("found a damaged head of a page; expected a whole Parquet file") from error
    raise AssertionError("no room is the last")


def _group(group: dict[int, Any], leaves: int, size: int) -> tuple[Chunk, ...]:
    columns = group[1]
    if len(columns) != leaves:
        raise RecordError(f"found a row group of {len(columns):,} columns; expected {leaves:,}, as the schema has")
    return tuple(_chunk(column, size) for column in columns)


def _chunk(column: dict[int, Any], size: int) -> Chunk:
    if 1 in column:
        raise RecordError("found a column that stands in another file; expected all of them in this one")
    fields = column[3]
    packed, start = _number(fields[7]), _number(fields[9])
    start = min(start, _number(fields[11]) or start) if 11 in fields else start
    if start + packed > size:
        raise RecordError("found a column that goes beyond the end; expected a whole Parquet file: it may be cut short")
    unpacked, values = _number(fields[6]), _number(fields[5])
    return Chunk(_number(fields[1]), frozenset(fields[2]), start, packed, unpacked, values)


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a count")
    return value


class _Reader:
    """Thrift's compact protocol."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    @property
    def at(self) -> int:
        """Bytes read so far."""
        return self._at

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._raw[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def _skip(self, count: int) -> None:
        if count > len(self._raw) - self._at:
            raise ValueError("beyond the end")
        self._at += count

    def struct(self, wanted: _Wanted, depth: int = 0) -> dict[int, Any]:
        """The fields of a structure that are wanted."""
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        found: dict[int, Any] = {}
        field = 0
        while head := self._raw[self._at]:
            self._at += 1
            if head >> 4:
                field += head >> 4
            else:
                zigzag = self._varint()
                field = zigzag >> 1 ^ -(zigzag & 1)
            kind = head & 15
            if kind in (_TRUE, _FALSE):
                value: Any = kind == _TRUE
            else:
                value = self._value(kind, wanted.get(field) or {}, field in wanted, depth)
            if field in wanted:
                if field in found:
                    raise ValueError("a field stands twice")
                found[field] = value
        self._at += 1
        return found

    def _value(self, kind: int, wanted: _Wanted, keep: bool, depth: int) -> Any:
        if kind in _WHOLE:
            zigzag = self._varint()
            return zigzag >> 1 ^ -(zigzag & 1)
        if kind == _BINARY:
            length = self._varint()
            start = self._at
            self._skip(length)
            return self._raw[start : self._at] if keep else None
        if kind == _STRUCT:
            return self.struct(wanted, depth + 1)
        if kind in (_LIST, _SET):
            return self._list(wanted, keep, depth)
        if kind == _MAP:
            count = self._varint()
            kinds = self._raw[self._at] if count else 0
            self._at += bool(count)
            for _ in range(count):
                self._value(kinds >> 4, {}, False, depth + 1)
                self._value(kinds & 15, {}, False, depth + 1)
            return None
        if kind in (_BYTE, _TRUE, _FALSE):
            self._skip(1)
            return None
        if kind == _DOUBLE:
            self._skip(8)
            return None
        raise ValueError("an unknown type")

    def _list(self, wanted: _Wanted, keep: bool, depth: int) -> list[Any]:
        head = self._raw[self._at]
        self._at += 1
        count, kind = head >> 4, head & 15
        if count == 15:
            count = self._varint()
        if count > len(self._raw) - self._at:  # an item takes a byte at least
            raise ValueError("beyond the end")
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        found = []
        for _ in range(count):
            value = self._value(kind, wanted, keep, depth + 1)
            if keep:
                found.append(value)
        return found
