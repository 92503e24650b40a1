"""Records of delimited text (CSV), split as Python's ``csv`` module does it under ``strict``, several times as fast.

Hardly any line of a hash list holds a quote character, and without one a record is a line and ``str.split`` says all.
Lines with a quote go to ``csv``, which then may pull further lines. A test holds the two equal.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from hashmatch.errors import RecordError, shorten
from hashmatch.lists.formats.source import Input

__all__ = ["Records", "fit", "header_columns"]


class Records:
    """The records of an input, taken block by block.

    A block can be handed back in smaller pieces (`put_back`), so that a caller with a fast way for clean blocks can
    look for the dirty rows.
    """

    def __init__(self, source: Input, delimiter: str) -> None:
        self._source = source
        self._delimiter = delimiter
        self._blocks = source.blocks()
        self._stack: list[tuple[int, bytes]] = []

    def next_block(self) -> tuple[int, bytes] | None:
        """The next block of whole lines with the number of its first line, or None at the end."""
        if self._stack:
            return self._stack.pop()
        block = next(self._blocks, None)
        return None if block is None else (self._source.block_line, block)

    def put_back(self, line: int, block: bytes) -> None:
        """Make ``block``, whose first line is ``line``, the next block (unless it is empty)."""
        if block:
            self._stack.append((line, block))

    def halve(self, line: int, block: bytes) -> None:
        """Put ``block`` back as two blocks of whole lines."""
        cut = block.find(b"\n", len(block) // 2) + 1
        if cut in (0, len(block)):
            cut = block.rfind(b"\n", 0, len(block) - 1) + 1
        self.put_back(line + block.count(b"\n", 0, cut), block[cut:])
        self.put_back(line, block[:cut])

    def header(self) -> tuple[int, list[str]]:
        """The first record that is not blank, and its line.

        Raises:
            RecordError: there is none, or it is malformed.
        """
        while (taken := self.next_block()) is not None:
            line, block = taken
            cut = block.find(b"\n") + 1 or len(block)
            self.put_back(line + 1, block[cut:])
            for at, cells in self.split(line, block[:cut]):
                if isinstance(cells, RecordError):
                    raise cells
                return at, cells
        raise RecordError("found no header; expected the names of the columns", path=self._source.path)

    def split(self, line: int, block: bytes) -> Iterator[tuple[int, list[str] | RecordError]]:
        """(line, cells) of every record that starts in ``block``; blank lines are left out.

        A quoted field that goes on after the block pulls lines from the blocks that follow.

        Raises:
            RecordError: bytes that are not UTF-8, or a quoted field that never ends, so that where the next record
                starts cannot be known.
        """
        delimiter = self._delimiter
        lines = self._source.text_of(block, line).split("\n")
        if not lines[-1]:
            lines.pop()
        queue = iter(lines)
        for text in queue:
            if '"' not in text:
                if text.strip(" \t"):
                    yield line, text.split(delimiter)
                line += 1
                continue
            quoted = _Quoted(self, text, queue)
            cells: list[str] | RecordError
            try:
                cells = next(csv.reader(quoted, delimiter=delimiter, strict=True))
            except csv.Error as error:
                cells = RecordError(
                    f"found {shorten(text)}, which is not valid CSV ({error})", path=self._source.path, line=line
                )
                # Inside a quoted field that was given up, what looks like a record may be none.
                if quoted.pulled > 1 or "limit" in str(error):
                    raise cells from None
            yield line, cells
            line += quoted.pulled

    def next_line(self) -> str | None:
        """The first line of the next block."""
        taken = self.next_block()
        if taken is None:
            return None
        line, block = taken
        cut = block.find(b"\n") + 1 or len(block)
        self.put_back(line + 1, block[cut:])
        return self._source.text_of(block[:cut], line).removesuffix("\n")

    def over_limit(self, line_bytes: int) -> bool:
        """Whether a record of so many bytes is too large."""
        return line_bytes > self._source.limits.max_line_bytes


class _Quoted:
    """The lines of one record for ``csv.reader``: as many as it asks for."""

    def __init__(self, records: Records, first: str, queue: Iterator[str]) -> None:
        self.pulled = 0
        self._records = records
        self._first = first
        self._queue = queue
        self._size = 0

    def __iter__(self) -> _Quoted:
        return self

    def __next__(self) -> str:
        text: str | None = self._first if not self.pulled else next(self._queue, None)
        if text is None:
            text = self._records.next_line()
        if text is None:
            raise StopIteration
        self.pulled += 1
        self._size += len(text)
        if self._records.over_limit(self._size):
            raise csv.Error(f"a quoted field is not closed within the limit of {self._size:,} characters")
        return text + "\n"


def header_columns(cells: Sequence[str], line: int, path: str) -> list[str]:
    """The names of the columns without white space around them; "" for columns without a name.

    Raises:
        RecordError: two columns have the same name (whatever the case).
    """
    names = [cell.strip() for cell in cells]
    seen: set[str] = set()
    for name in names:
        if name and name.casefold() in seen:
            raise RecordError(
                f"found the column {shorten(name)} twice; expected every column once", path=path, line=line
            )
        seen.add(name.casefold())
    return names


def fit(cells: list[str], width: int) -> list[str]:
    """``cells`` cut to the ``width`` of the header: some exporters end every row with empty columns.

    Raises:
        RecordError: too few columns, or one too many that is not empty.
    """
    if len(cells) == width:
        return cells
    if len(cells) < width:
        raise RecordError(f"found {len(cells)} columns; expected {width}, as the header has")
    for number, cell in enumerate(cells[width:], width + 1):
        if cell.strip():
            raise RecordError(f"found {shorten(cell)} in column {number}; expected {width} columns, as the header has")
    return cells[:width]
