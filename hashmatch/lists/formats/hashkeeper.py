"""HashKeeper hash sets (``.hsh``): quoted CSV, a record a line.

The set's own description (``.hke``) is another file, which hashes do not need. ``file_id`` and ``hashset_id`` are kept
as metadata and are no reference: some programs that write this format number every file 1. So the store derives the
reference.

The last cells of a line are mostly empty or without quotes: a file that is cut inside the last of them looks whole, and
so does one that lacks whole lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats.cells import NO_HASH, check_text, drop_empty, parse_hash, whole_number
from hashmatch.lists.formats.delimited import fit
from hashmatch.lists.formats.quoted_lines import begins_with, header, lines, split
from hashmatch.lists.formats.source import Head, Input, ReadOptions

__all__ = ["detect", "read"]

#: What the header begins with.
HEADER = ("file_id", "hashset_id", "file_name", "directory", "hash")
#: Columns with hashes -> algorithm.
HASHES = {"hash": "md5"}
SIZE = "file_size"
#: Columns with a number; all others are kept as text.
NUMBERS = ("file_id", "hashset_id")
_EXPECTED = ",".join(f'"{name}"' for name in (*HEADER, SIZE))


def detect(head: Head) -> bool:
    """Whether the first line is HashKeeper's header."""
    return begins_with(head, HEADER)


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a HashKeeper set.

    Raises:
        RecordError: the header is damaged, or the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    records = lines(source)
    names = [name.lower() for name in header(source, records, _EXPECTED)]
    if missing := [name for name in HASHES if name not in names]:
        raise RecordError(
            f"found a header without {missing[0]!r}; expected {_EXPECTED}", path=source.path, line=source.line_number
        )
    for count, line in enumerate(records, 1):
        try:
            yield _entry(names, fit(split(line), len(names)), options.limits.max_string)
        except RecordError as error:
            error.path, error.line, error.record = source.path, source.line_number, count
            yield error


def _entry(names: list[str], cells: list[str], max_string: int) -> Entry:
    hashes: dict[str, bytes] = {}
    metadata: dict[str, Any] = {}
    size = None
    for name, cell in zip(names, cells, strict=True):
        text = cell.strip()
        if not text:
            continue
        if name in HASHES:
            try:
                hashes[HASHES[name]] = parse_hash(HASHES[name], text)
            except RecordError as error:
                error.field = name
                raise
        elif name == SIZE:
            size = whole_number(text, name)
        elif name in NUMBERS:
            metadata[name] = whole_number(text, name)
        elif name:
            metadata[name] = check_text(cell, name, max_string)
    if not hashes:
        raise RecordError(NO_HASH)
    dropped = drop_empty(hashes)
    return Entry.make("", hashes, size=size, metadata=metadata, dropped=dropped)
