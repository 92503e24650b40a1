"""Records of delimited text (CSV), split as Python's ``csv`` module does it under ``strict``, several times as fast.

Hardly any line of a hash list holds a quote character, and without one a record is a line and ``str.split`` says all.
Lines with a quote go to ``csv``, which then may pull further lines. A test holds the two equal.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.kernels import delimited_rows
from hashmatch.kernels.delimited import Column, Kind, RowPlan
from hashmatch.lists.entry import NO_QUALITY, Entry
from hashmatch.lists.formats.cells import shown
from hashmatch.lists.formats.source import Input, Limits

__all__ = ["Records", "entries_of", "entry_field", "fit", "hash_column", "header_columns", "plan_of"]

#: Rows that are taken the plain way in a row before the fast way is tried again, at most.
_MOST_PLAIN = 512

#: ``csv`` keeps its limit in a C long, which has 32 bits on Windows.
_MAX_FIELD = (1 << 31) - 1


class Records:
    """The records of an input, taken block by block.

    What is left of a block can be handed back (`put_back`), so that a caller with a fast way for clean rows can take
    the dirty ones apart from the others.

    Attributes:
        quoted: whether the record that `split` yielded last has quotes, so that line ends in it are meant.
    """

    def __init__(self, source: Input, delimiter: str) -> None:
        self.quoted = False
        self._source = source
        self._delimiter = delimiter
        self._blocks = source.blocks()
        _allow_fields_of(source.limits.max_line_bytes)
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
                    self.quoted = False
                    yield line, text.split(delimiter)
                line += 1
                continue
            quoted = _Quoted(self, text, queue)
            cells: list[str] | RecordError
            try:
                cells = next(csv.reader(quoted, delimiter=delimiter, strict=True))
            except csv.Error as error:
                cells = RecordError(quoted.problem(error), path=self._source.path, line=line)
                # Inside a quoted field that was given up, what looks like a record may be none.
                if quoted.pulled > 1 or quoted.too_long:
                    raise cells from None
            quoted.hand_back()
            self.quoted = True
            yield line, cells
            line += quoted.pulled

    def text_of(self, line: int, block: bytes) -> str:
        """A part of a block as text; ``line`` is the number of its first line."""
        return self._source.text_of(block, line)

    @property
    def path(self) -> str:
        """The path of the input, as given."""
        return self._source.path

    @property
    def max_record(self) -> int:
        """Bytes of a record over all its lines, at most."""
        return self._source.limits.max_line_bytes


def entry_field(name: str) -> int:
    """The place of a field in an `Entry`."""
    return Entry._fields.index(name)


def hash_column(algorithm: str, *, base64: bool = False) -> Column:
    """A column of hashes as rows of a plan have them: hexadecimal (or base64), of the usual width or empty."""
    known = ALGORITHMS[algorithm]
    return Column(
        Kind.BASE64 if base64 else Kind.HEXADECIMAL,
        bit=known.number,
        digits=known.width // 3 * 4 if base64 else known.width * 2,
        width=known.width,
        tail=NO_QUALITY if algorithm == "pdq" else -1,
        refused=EMPTY_DIGESTS.get(algorithm, b""),
    )


def plan_of(delimiter: str, columns: Sequence[Column], limits: Limits) -> RowPlan | None:
    """The plan by which rows become entries; None where there is none for these columns, as two give the same."""
    with contextlib.suppress(ValueError):
        return RowPlan(
            delimiter,
            tuple(columns),
            Entry,
            Entry("", None, "", None, "", b""),
            entry_field("metadata"),
            entry_field("packed"),
            limits.max_string,
        )
    return None


def entries_of(
    records: Records, plan: RowPlan | None, plain: Callable[[list[str]], Entry]
) -> Iterator[Entry | RecordError]:
    """The entries of all records behind the header, each or what is wrong with it.

    Args:
        records: their header has been read.
        plan: the fast way, for rows without anything unusual; None where there is none.
        plain: the way of the others: from the cells of a record to its entry, or a `RecordError` that lacks its place.

    Raises:
        RecordError: the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    take = _take_nothing if plan is None else delimited_rows(plan)
    count, few = 0, 1
    while (taken := records.next_block()) is not None:
        line, block = taken
        entries, start = take(block, 0)
        count += len(entries)
        yield from entries
        if start == len(block):
            continue
        # One row, but more and more of them while row after row is unusual: what is left is copied each time.
        few = 1 if entries else min(2 * few, _MOST_PLAIN)
        end = start
        for _ in range(few):
            end = block.find(b"\n", end) + 1 or len(block)
        line += len(entries)
        records.put_back(line + few, block[end:])
        for line, row in records.split(line, block[start:end]):  # noqa: B020 - the block's own line is done with
            count += 1
            try:
                if isinstance(row, RecordError):
                    raise row
                yield plain(row)
            except RecordError as error:
                error.path, error.line, error.record = records.path, line, count
                yield error


def _take_nothing(_block: bytes, start: int) -> tuple[list[Entry], int]:
    return [], start


def _allow_fields_of(size: int) -> None:
    """Let ``csv`` take fields of ``size`` characters: what is too much, our own limits say.

    Its limit is one for the whole process. It is only ever raised, so that nobody else's reading fails for it.
    """
    if csv.field_size_limit() < size:
        csv.field_size_limit(min(size, _MAX_FIELD))


class _Quoted:
    """The lines of one record for ``csv.reader``: as many as it asks for, from later blocks too.

    Attributes:
        pulled: lines that were asked for.
        too_long: whether the record was given up because it is larger than the limit.
    """

    def __init__(self, records: Records, first: str, queue: Iterator[str]) -> None:
        self.pulled = 0
        self.too_long = False
        self._records = records
        self._first = first
        self._queue = queue
        self._size = 0
        self._ended = False
        #: The later block that is being read: number of its next line, the block, where that line starts.
        self._line, self._block, self._at = 0, b"", 0

    def __iter__(self) -> _Quoted:
        return self

    def __next__(self) -> str:
        text: str | None = self._first if not self.pulled else next(self._queue, None)
        if text is None:
            text = self._later()
        if text is None:
            self._ended = True
            raise StopIteration
        self.pulled += 1
        self._size += len(text) + 1
        if self._size > self._records.max_record + 1:
            self.too_long = True
            raise csv.Error
        return text + "\n"

    def _later(self) -> str | None:
        """The next line of the blocks that follow, or None at the end of the file."""
        if self._at == len(self._block):
            taken = self._records.next_block()
            if taken is None:
                return None
            self._line, self._block = taken
            self._at = 0
        start = self._at
        self._at = self._block.find(b"\n", start) + 1 or len(self._block)
        self._line += 1
        return self._records.text_of(self._line - 1, self._block[start : self._at]).removesuffix("\n")

    def hand_back(self) -> None:
        """Make what is left of the last later block the next block: the record is whole."""
        self._records.put_back(self._line, self._block[self._at :])
        self._block, self._at = b"", 0

    def problem(self, error: csv.Error) -> str:
        """What is wrong with the record."""
        if self.too_long:
            cap = self._records.max_record
            return f"found a quoted field that is not closed within {cap:,} bytes; expected its closing quote"
        if self._ended:
            return "found a quoted field that is not closed by the end of the file; expected its closing quote"
        if "new-line character" in str(error):
            return "found a carriage return that is not quoted; expected lines that end with LF or CR LF"
        return f"found what is not valid CSV ({error}); expected quotes around whole cells, doubled inside"


def header_columns(cells: Sequence[str], line: int, path: str) -> list[str]:
    """The names of the columns without white space around them; "" for columns without a name.

    Raises:
        RecordError: two columns have the same name (whatever the case).
    """
    names = [cell.strip() for cell in cells]
    seen: set[str] = set()
    for name in names:
        if name and name.casefold() in seen:
            raise RecordError(f"found the column {shown(name)} twice; expected every column once", path=path, line=line)
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
            # Not what it holds: behind a stray delimiter, that is the rest of a hash.
            raise RecordError(f"found a cell in column {number} too; expected {width} columns, as the header has")
    return cells[:width]
