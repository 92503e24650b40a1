r"""hashdeep and md5deep's audit format: ``%%%% HASHDEEP-1.0``, a line that declares the columns, then one file a line.

The file name is the last column, is not quoted and may hold commas. Columns of algorithms that hashmatch does not know
(tiger, whirlpool) are passed over. Names are bytes, which hashdeep writes as they are: a byte that is not UTF-8 becomes
the text ``\xff`` (Python's ``backslashreplace``).
"""

from __future__ import annotations

from collections.abc import Iterator

from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats.cells import NO_HASH, check_reference, drop_empty, parse_hash, shown, whole_number
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions

__all__ = ["MAGIC", "detect", "read"]

MAGIC = "%%%% HASHDEEP-1.0"
_HEADER = "%%%% "
_HASHES = ("md5", "sha1", "sha256")
_PASSED_OVER = ("tiger", "whirlpool")


def detect(head: Head) -> bool:
    """Whether the first line is hashdeep's."""
    return bool(head.lines) and head.lines[0].rstrip() == MAGIC


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a hashdeep file; the reference is the file's name.

    Raises:
        RecordError: the header is damaged, or the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    columns: tuple[str, ...] | None = None
    magic = False
    count = 0
    for line in source.lines("backslashreplace"):
        if line.startswith("#") or not line.strip(" \t"):
            continue
        if not magic or line.startswith("%%%%"):
            # Files that were put one behind the other declare their columns again.
            if line.rstrip() == MAGIC:
                magic, columns = True, None
            else:
                columns = _columns(line, source, magic)
            continue
        count += 1
        try:
            if columns is None:
                raise RecordError(f"found a record before the columns; expected {_HEADER}size,md5,sha256,filename")
            yield _entry(line, columns, options.limits)
        except RecordError as error:
            error.path, error.line, error.record = source.path, source.line_number, count
            yield error
    if columns is None:
        raise RecordError(
            f"found the end of the file before the columns; expected {_HEADER}size,md5,sha256,filename",
            path=source.path,
            line=source.line_number,
        )


def _columns(line: str, source: Input, magic: bool) -> tuple[str, ...]:
    def problem(reason: str) -> RecordError:
        return RecordError(reason, path=source.path, line=source.line_number)

    if not magic:
        raise problem(f"found {shown(line)}; expected {MAGIC}")
    columns = tuple(line.removeprefix(_HEADER).strip().split(","))
    if not line.startswith(_HEADER) or columns[-1] != "filename":
        raise problem(
            f"found {shown(line)}; expected columns that end with filename, as in {_HEADER}size,md5,sha256,filename"
        )
    if len(set(columns)) != len(columns):
        raise problem(f"found {shown(line)}; expected every column once")
    if strange := [name for name in columns[:-1] if name not in (*_HASHES, *_PASSED_OVER, "size")]:
        raise problem(f"found the column {shown(strange[0])}; expected size, {', '.join((*_HASHES, *_PASSED_OVER))}")
    if not set(columns) & set(_HASHES):
        raise problem(f"found {shown(line)}; expected a column of {', '.join(_HASHES)}")
    return columns


def _entry(line: str, columns: tuple[str, ...], limits: Limits) -> Entry:
    cells = line.split(",", len(columns) - 1)
    if len(cells) != len(columns):
        raise RecordError(f"found {len(cells)} columns; expected {len(columns)}: {','.join(columns)}")
    name = check_reference(cells[-1], "filename", limits.max_string)
    if not name:
        raise RecordError("found nothing; expected the name of a file", field="filename")
    size = None
    hashes: dict[str, bytes] = {}
    for column, cell in zip(columns, cells, strict=True):
        if column == "size":
            size = whole_number(cell, column)
        elif column in _HASHES and cell.strip():
            hashes[column] = parse_hash(column, cell)
    if not hashes:
        raise RecordError(NO_HASH)
    dropped = drop_empty(hashes)
    return Entry.make(name, hashes, size=size, dropped=dropped)
