r"""Lines of old hash sets: a record is a line, and never more; most are comma-separated, with quotes.

File names in them come from all kinds of systems and are not always UTF-8; a byte that is not becomes the text
``\xff`` (Python's ``backslashreplace``), so that one such name does not make a set of a million others unreadable.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from hashmatch.errors import RecordError
from hashmatch.lists.formats.cells import check_text
from hashmatch.lists.formats.delimited import header_columns
from hashmatch.lists.formats.source import Head, Input

__all__ = ["begins_with", "header", "lines", "split"]


def begins_with(head: Head, columns: tuple[str, ...]) -> bool:
    """Whether the first line is a header that begins with these columns, in this order, whatever the case."""
    if not head.lines:
        return False
    try:
        cells = split(head.lines[0])
    except RecordError:
        return False
    return [cell.strip().casefold() for cell in cells[: len(columns)]] == [name.casefold() for name in columns]


def lines(source: Input) -> Iterator[str]:
    """The lines that are not blank; `Input.line_number` is the number of the line last yielded.

    Raises:
        RecordError: a line over the limit, or damaged UTF-16. The rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    for line in source.lines("backslashreplace"):
        if line and not line.isspace():
            yield line


def header(source: Input, records: Iterator[str], expected: str) -> list[str]:
    """The names of the columns, from the first of ``records``.

    Raises:
        RecordError: there is no line, it is malformed, a column stands in it twice, or a name of one is no text.
    """
    line = next(records, None)
    try:
        if line is None:
            raise RecordError(f"found no header; expected {expected}")
        names = header_columns(split(line), source.line_number, source.path)
        for name in names:
            check_text(name, name, source.limits.max_string)
        return names
    except RecordError as error:
        error.path, error.line = source.path, source.line_number
        raise


def split(line: str) -> list[str]:
    """The cells of a line.

    Raises:
        RecordError: quotes that are not closed, or stand where none may.
    """
    if '"' not in line:
        return line.split(",")
    try:
        (cells,) = csv.reader([line], strict=True)
    except csv.Error as error:
        raise RecordError(
            f"found what is not valid CSV ({error}); expected quotes around whole cells, doubled inside, "
            "each record on a line of its own"
        ) from None
    return cells
