"""Rows of delimited text to tuples: what the columns mean, and the taking of rows in plain Python.

A reader says once, as a `RowPlan`, what stands in which column and where it goes; `hashmatch.kernels.delimited_rows`
then takes blocks of lines apart by it, in C where that is built. Only rows without anything unusual are taken, and what
is unusual is the same for every implementation: the first such row ends the taking, and is the reader's to deal with.

Nothing here knows of entries or algorithms: the tuple's type, its fields and the bits of the presence mask are data.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import repeat
from operator import add
from typing import Any, NamedTuple

__all__ = ["Column", "Kind", "RowPlan", "TakeRows", "delimited_rows"]

#: (block of whole lines, start) -> (tuples of the rows from there on, where the first row starts that was not taken).
TakeRows = Callable[[bytes, int], tuple[list[Any], int]]

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f]")
_LONGEST_NUMBER = 18
_MOST_COLUMNS = 4096
_DELIMITERS = (",", ";", "|", "\t")
#: Bytes that are taken apart at once, at first.
_FIRST = 2048
#: What cells stand for is kept while it is not too much: cells, and bytes of one of them.
_CACHED = 1 << 16
_CACHED_TEXT = 512


class Kind(IntEnum):
    """What a column may hold. Everything else is unusual, and so is a quote or a control character but the tab.

    A *field* is one of the tuple; a *piece* is a member of the JSON object that goes into `RowPlan.pieces_field`. White
    space around numbers and words does not count as far as it is spaces.
    """

    NOTHING = 0
    """No cell of it holds anything."""
    IGNORED = 1
    """ASCII; it goes nowhere."""
    HEXADECIMAL = 2
    """A hash of `Column.digits` digits in any case, or nothing."""
    BASE64 = 3
    """The same in base64 without padding."""
    TEXT_FIELD = 4
    """UTF-8, not blank unless the column is optional."""
    NUMBER_FIELD = 5
    """1 to 18 ASCII digits; nothing, where the column is optional, leaves the field's default."""
    WORD_FIELD = 6
    """One of `Column.words`, whatever its case; the field's value is what stands there."""
    TEXT_PIECE = 7
    """UTF-8; left out where it is empty."""
    NUMBER_PIECE = 8
    """As `NUMBER_FIELD`; left out where it is empty."""
    WORD_PIECE = 9
    """As `WORD_FIELD`; the values are JSON text, in bytes."""


class Column(NamedTuple):
    """One column.

    Attributes:
        kind: what it may hold.
        field: of a field: its place in the tuple.
        optional: whether a cell may be empty, or a text blank. Hashes and pieces of text always may.
        bit: of a hash: its bit in the presence mask; hashes follow each other in the order of their bits.
        digits: of a hash: characters of its usual text form; another form is unusual.
        width: of a hash: bytes, 1/2 (base64: 3/4) of the digits.
        tail: of a hash: the byte that stands behind it in the packed form, or -1.
        refused: of a hash: the value that is unusual, or b"".
        key: of a piece: its key in the JSON object.
        words: of words: (lower-case ASCII, what it stands for).
    """

    kind: Kind
    field: int = 0
    optional: bool = False
    bit: int = 0
    digits: int = 0
    width: int = 0
    tail: int = -1
    refused: bytes = b""
    key: str = ""
    words: tuple[tuple[bytes, Any], ...] = ()

    @property
    def head(self) -> bytes:
        """What stands before the value of a piece, with a comma before that."""
        return f",{json.dumps(self.key, ensure_ascii=False)}:".encode()


@dataclass(frozen=True)
class RowPlan:
    """What a table's rows are made of.

    Attributes:
        delimiter: between cells; one of ``,`` ``;`` ``|`` and tab.
        columns: in the order in which they stand. Empty cells beyond them are passed over.
        make: the tuples' type, a subclass of ``tuple`` without a state of its own.
        defaults: what stands in fields that no column gives.
        pieces_field: where the JSON object goes: canonical text, "" without pieces. Unused without columns of pieces.
        hashes_field: where the packed hashes go: the presence mask as uint32 little-endian, then the hashes with their
            tails. A row without any hash is unusual.
        max_text: bytes of a text cell, at most.

    Raises:
        ValueError: no column or more than 4,096, another delimiter, two columns for one field, key or bit, or base64
            before the last of the hashes.
    """

    delimiter: str
    columns: tuple[Column, ...]
    make: type[tuple[Any, ...]]
    defaults: tuple[Any, ...]
    pieces_field: int
    hashes_field: int
    max_text: int

    def __post_init__(self) -> None:
        if not 0 < len(self.columns) <= _MOST_COLUMNS or self.delimiter not in _DELIMITERS:
            raise ValueError("no column, too many of them, or another delimiter")
        keys = [self.columns[place].key for place in self.pieces]
        hashes = [self.columns[place] for place in self.hashes]
        fields = [c.field for c in self.columns if Kind.TEXT_FIELD <= c.kind <= Kind.WORD_FIELD]
        fields += [self.hashes_field, *([self.pieces_field] if keys else [])]
        for taken in (fields, keys, [column.bit for column in hashes]):
            if len(set(taken)) < len(taken):
                raise ValueError("two columns for one field, key or bit")
        if any(column.kind is Kind.BASE64 for column in hashes[:-1]):
            raise ValueError("a hash in base64 that is not the last")

    @property
    def pieces(self) -> tuple[int, ...]:
        """The places of the columns that become pieces, in the order of their keys."""
        found = [place for place, column in enumerate(self.columns) if column.kind >= Kind.TEXT_PIECE]
        return tuple(sorted(found, key=lambda place: self.columns[place].key))

    @property
    def hashes(self) -> tuple[int, ...]:
        """The places of the columns with hashes, in the order of their bits."""
        found = [place for place, column in enumerate(self.columns) if column.kind in (Kind.HEXADECIMAL, Kind.BASE64)]
        return tuple(sorted(found, key=lambda place: self.columns[place].bit))


def delimited_rows(plan: RowPlan) -> TakeRows:
    """See `hashmatch.kernels.delimited_rows`: column by column for many rows of a block, which are halved until what is
    unusual is alone.
    """
    return _Rows(plan).take


class _UnusualError(ValueError):
    """A row that is not for us."""


class _Cells(dict[bytes, Any]):
    """Cell -> what it stands for, made at its first use and kept while there is room."""

    def __init__(self, make: Callable[[bytes], Any]) -> None:
        self._make = make

    def __missing__(self, cell: bytes) -> Any:
        value = self._make(cell)
        if len(cell) <= _CACHED_TEXT:
            if len(self) >= _CACHED:
                self.clear()
            self[cell] = value
        return value


class _Masks(dict[tuple[int, ...], bytes]):
    """Lengths of a row's cells with hashes -> the presence mask in hexadecimal; what is not usual raises."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def __missing__(self, lengths: tuple[int, ...]) -> bytes:
        mask = 0
        for column, length in zip(self._columns, lengths, strict=True):
            if length == column.digits:
                mask |= 1 << column.bit
            elif length:
                raise _UnusualError
        if not mask:
            raise _UnusualError
        found = self[lengths] = mask.to_bytes(4, "little").hex().encode()
        return found


class _Rows:
    """A plan in the form in which rows are taken by it."""

    def __init__(self, plan: RowPlan) -> None:
        self._plan = plan
        self._delimiter = plan.delimiter.encode()
        self._width = len(plan.columns)
        self._hashes = [(place, plan.columns[place]) for place in plan.hashes]
        self._masks = _Masks([column for _, column in self._hashes])
        self._pieces = [(place, _Cells(_PIECES[column.kind](column, plan))) for place, column in self._of(plan.pieces)]
        fields = (Kind.NUMBER_FIELD, Kind.WORD_FIELD)
        self._fields = {
            column.field: (place, _Cells(_FIELDS[column.kind](column, plan)))
            for place, column in enumerate(plan.columns)
            if column.kind in fields
        }
        self._make: Callable[[tuple[Any, ...]], Any] = partial(tuple.__new__, plan.make)

    def _of(self, places: Iterable[int]) -> Iterator[tuple[int, Column]]:
        return ((place, self._plan.columns[place]) for place in places)

    def take(self, block: bytes, start: int) -> tuple[list[Any], int]:
        """Rows up to the first that is unusual."""
        if not 0 <= start <= len(block):
            raise ValueError("a start outside the text")
        rows: list[Any] = []
        last = block.rfind(b"\n", start) + 1
        # More and more at once: what is tried and cannot be taken as a whole is little where much is unusual.
        size = _FIRST
        while start < last:
            waiting = [(start, last if last - start <= size else block.find(b"\n", start + size - 1) + 1)]
            size *= 4
            while waiting:
                start, end = waiting.pop()
                piece = block[start:end]
                try:
                    rows += self._all(piece)
                except ValueError:  # among others, what is not UTF-8
                    size = _FIRST
                    cut = piece.find(b"\n", len(piece) // 2) + 1
                    if cut == len(piece):
                        cut = piece.rfind(b"\n", 0, -1) + 1
                    if not cut:
                        return rows, start
                    waiting += [(start + cut, end), (start, start + cut)]
                else:
                    start = end
        return rows, start

    def _all(self, block: bytes) -> list[Any]:
        """The rows of a block of whole lines.

        Raises:
            ValueError: something in it is unusual.
        """
        # The first line stands for all: every row must have as many cells as it has.
        delimiter = self._delimiter
        stride = block.count(delimiter, 0, block.find(b"\n")) + 2
        if stride <= self._width or b'"' in block:
            raise _UnusualError
        # The line end becomes a cell of its own, so that one split cuts rows and cells, and so that it shows whether
        # all rows have the same number of cells.
        spread = block.replace(b"\n", delimiter + b"\n" + delimiter)
        count = (len(spread) - len(block)) // 2
        cells = spread.split(delimiter)
        if cells.pop() or len(cells) != count * stride or cells[stride - 1 :: stride] != [b"\n"] * count:
            raise _UnusualError
        columns = [cells[place::stride] for place in range(stride - 1)]
        plan = self._plan
        fields: list[Iterable[Any]] = [repeat(value) for value in plan.defaults]
        for place, cells in enumerate(columns):
            kind = plan.columns[place].kind if place < self._width else Kind.NOTHING
            if kind is Kind.NOTHING and any(cells):
                raise _UnusualError
            if kind is Kind.IGNORED and not _is_plain_ascii(b"".join(cells)):
                raise _UnusualError
            if kind is Kind.TEXT_FIELD:
                fields[plan.columns[place].field] = self._texts(plan.columns[place], cells)
        for field, (place, made) in self._fields.items():
            fields[field] = list(map(made.__getitem__, columns[place]))
        if self._pieces:
            pieces = (map(made.__getitem__, columns[place]) for place, made in self._pieces)
            joined = map(",".join, map(partial(filter, None), zip(*pieces, strict=True)))
            fields[plan.pieces_field] = [f"{{{text}}}" if text else "" for text in joined]
        fields[plan.hashes_field] = self._packed(columns)
        return list(map(self._make, zip(*fields, strict=False)))

    def _texts(self, column: Column, cells: list[bytes]) -> list[str]:
        joined = b"\n".join(cells)
        if max(map(len, cells)) > self._plan.max_text:
            raise _UnusualError
        plain = joined.replace(b"\n", b"").isalnum()
        if not plain and _CONTROL.search(joined.replace(b"\n", b"")):
            raise _UnusualError
        texts = joined.decode().split("\n")
        if not column.optional and not (all(cells) if plain else all(map(str.strip, texts))):
            raise _UnusualError
        return texts

    def _packed(self, columns: list[list[bytes]]) -> list[bytes]:
        """The packed hashes of every row."""
        chosen = [columns[place] for place, _ in self._hashes]
        masks = list(map(self._masks.__getitem__, zip(*(map(len, cells) for cells in chosen), strict=True)))
        parts: list[list[bytes]] = [masks]
        decoded = None
        for (_, column), cells in zip(self._hashes, chosen, strict=True):
            if column.kind is Kind.BASE64:
                decoded = list(map(binascii.a2b_base64, cells))
                if sum(map(len, decoded)) != column.width * (len(cells) - cells.count(b"")):
                    raise _UnusualError  # a2b_base64 passes over what is not base64
                if column.refused and column.refused in decoded:
                    raise _UnusualError
                if column.tail >= 0:
                    decoded = [value + bytes([column.tail]) if value else b"" for value in decoded]
                continue
            if column.refused and _stands_in(column.refused, binascii.unhexlify(b"".join(cells))):
                raise _UnusualError
            tail = b"%02x" % column.tail if column.tail >= 0 else b""
            parts.append([cell + tail if cell else b"" for cell in cells] if tail else cells)
        packed = map(binascii.unhexlify, map(b"".join, zip(*parts, strict=True)))
        return list(packed if decoded is None else map(add, packed, decoded))


def _is_plain_ascii(text: bytes) -> bool:
    return text.isascii() and not _CONTROL.search(text)


def _stands_in(value: bytes, values: bytes) -> bool:
    """Whether ``value`` is among the values of its width that follow each other."""
    at = values.find(value)
    while at >= 0 and at % len(value):
        at = values.find(value, at + 1)
    return at >= 0


def _number(cell: bytes) -> str:
    """The digits of a number, "" for an empty cell."""
    digits = cell.strip(b" ")
    if digits and not (digits.isdigit() and len(digits) <= _LONGEST_NUMBER):
        raise _UnusualError
    return digits.decode().lstrip("0") or "0" if digits else ""


def _number_field(column: Column, plan: RowPlan) -> Callable[[bytes], Any]:
    def make(cell: bytes) -> Any:
        digits = _number(cell)
        if not digits and not column.optional:
            raise _UnusualError
        return int(digits) if digits else plan.defaults[column.field]

    return make


def _word_field(column: Column, _plan: RowPlan) -> Callable[[bytes], Any]:
    words: Mapping[bytes, Any] = dict(column.words)

    def make(cell: bytes) -> Any:
        word = cell.strip(b" ").lower()
        if word not in words:
            raise _UnusualError
        return words[word]

    return make


def _text_piece(column: Column, plan: RowPlan) -> Callable[[bytes], str]:
    head = column.head[1:].decode()

    def make(cell: bytes) -> str:
        if len(cell) > plan.max_text or _CONTROL.search(cell):
            raise _UnusualError
        return head + json.dumps(cell.decode(), ensure_ascii=False) if cell else ""

    return make


def _number_piece(column: Column, _plan: RowPlan) -> Callable[[bytes], str]:
    head = column.head[1:].decode()

    def make(cell: bytes) -> str:
        digits = _number(cell)
        if not digits and not column.optional:
            raise _UnusualError
        return head + digits if digits else ""

    return make


def _word_piece(column: Column, plan: RowPlan) -> Callable[[bytes], str]:
    head, find = column.head[1:].decode(), _word_field(column, plan)
    return lambda cell: head + find(cell).decode()


_FIELDS = {Kind.NUMBER_FIELD: _number_field, Kind.WORD_FIELD: _word_field}
_PIECES = {Kind.TEXT_PIECE: _text_piece, Kind.NUMBER_PIECE: _number_piece, Kind.WORD_PIECE: _word_piece}
