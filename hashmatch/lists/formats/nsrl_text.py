"""NSRL Reference Data Set, version 2 (``NSRLFile.txt``) and before: quoted CSV.

A row says that a file of these hashes is in a product for an operating system; it has no key of its own, so the store
derives the reference from what it says. Columns are known by name. ``SpecialCode`` (``M``: malicious, ``S``: special)
is kept as metadata like the others. MD4, which version 1.5 has, is passed over.

Quotes in file names are doubled in good files and stand as they are in others; the cells around a name are of such
forms that both can be read. A last line that is cut is an error; whether lines are missing behind it, no file can tell.

The common form of a line is taken apart by one regular expression, every other line by ``csv``. A test holds the two
equal.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, pack_hashes
from hashmatch.lists.formats.cells import NO_HASH, check_text, drop_empty, parse_hash, shown, whole_number
from hashmatch.lists.formats.quoted_lines import begins_with, header, lines, split
from hashmatch.lists.formats.source import Head, Input, ReadOptions

__all__ = ["detect", "read"]

#: Columns of version 2.
COLUMNS = ("SHA-1", "MD5", "CRC32", "FileName", "FileSize", "ProductCode", "OpSystemCode", "SpecialCode")
#: What headers begin with, of version 2 and of version 1.5.
HEADERS = (COLUMNS[:4], ("SHA-1", "FileName", "FileSize", "ProductCode", "OpSystemCode", "MD4", "MD5"))
#: Columns with hashes -> algorithm.
HASHES = {"SHA-1": "sha1", "MD5": "md5", "SHA-256": "sha256"}
SIZE = "FileSize"
PASSED_OVER = {"MD4"}
#: Other columns -> metadata key, and whether it is a number; a column that is not here is kept under its own name.
OTHERS = {
    "CRC32": ("crc32", False),
    "FileName": ("file_name", False),
    "ProductCode": ("product_code", True),
    "OpSystemCode": ("op_system_code", False),
    "SpecialCode": ("special_code", False),
}
_EXPECTED = ",".join(f'"{name}"' for name in COLUMNS)

#: The common form of a line of version 2: nothing in it needs an escape, and nothing but the special code is empty.
_COMMON = re.compile(
    r'"([0-9A-Fa-f]{40})","([0-9A-Fa-f]{32})","([0-9A-Fa-f]{8})","([^"\\\x00-\x1f]+)",(\d{1,18}),'
    r'([1-9]\d{0,17}),"([^"\\\x00-\x1f]+)","([^"\\\x00-\x1f]*)"',
    re.ASCII,
)
#: Any line of version 2 whose file name has quotes that are not doubled.
_LOOSE = re.compile(r'"([^",]*)","([^",]*)","([^",]*)","(.*)",(\d+),"?(\d+)"?,"([^",]*)","([^",]*)"', re.ASCII)

_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


def detect(head: Head) -> bool:
    """Whether the first line is the header of a Reference Data Set."""
    return any(begins_with(head, names) for names in HEADERS)


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of ``NSRLFile.txt``.

    Raises:
        RecordError: the header is damaged, or the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    records = lines(source)
    names = header(source, records, _EXPECTED)
    reader = _Reader(names, source, options.limits.max_string)
    for count, line in enumerate(records, 1):
        try:
            entry = reader.common(line)
            yield reader.entry(line) if entry is None else entry
        except RecordError as error:
            error.path, error.line, error.record = source.path, source.line_number, count
            yield error


class _Reader:
    """What the header says about the lines."""

    def __init__(self, names: Sequence[str], source: Input, max_string: int) -> None:
        known = {name.casefold(): name for name in (*HASHES, SIZE, *OTHERS, *PASSED_OVER)}
        self._names = [known.get(name.casefold(), name) for name in names]
        self._source = source
        self._max_string = max_string
        if not set(self._names) & set(HASHES):
            raise RecordError(
                f"found a header without a column of {', '.join(HASHES)}; expected {_EXPECTED}",
                path=source.path,
                line=source.line_number,
            )
        self._is_common = tuple(self._names) == COLUMNS
        self._mask = pack_hashes({"md5": bytes(16), "sha1": bytes(20)})[:4].hex()
        self._empty = {EMPTY_DIGESTS["md5"].hex(), EMPTY_DIGESTS["sha1"].hex()}

    def common(self, line: str) -> Entry | None:
        """The entry of a line of the common form, or None of any other."""
        found = _COMMON.fullmatch(line) if self._is_common else None
        if found is None or len(line) > self._max_string:
            return None
        sha1, md5, crc32, name, size, product, system, special = found.groups()
        if md5.lower() in self._empty or sha1.lower() in self._empty:
            return None
        tail = f',"special_code":"{special}"}}' if special else "}"
        metadata = (
            f'{{"crc32":"{crc32}","file_name":"{name}","op_system_code":"{system}","product_code":{product}{tail}'
        )
        packed = binascii.unhexlify(f"{self._mask}{md5}{sha1}")
        return _make_entry(("", None, "", int(size), metadata, packed, 0, "", ""))

    def entry(self, line: str) -> Entry:
        """The entry of any line.

        Raises:
            RecordError: the line is malformed.
        """
        if self._source.unterminated and not line.endswith('"') and self._is_common:
            raise RecordError("found a last line that does not end with a quote; expected a whole one: it is cut short")
        cells = self._split(line)
        if len(cells) != len(self._names):
            raise RecordError(f"found {len(cells)} columns; expected {len(self._names)}, as the header has")
        hashes: dict[str, bytes] = {}
        metadata: dict[str, Any] = {}
        size = None
        for name, cell in zip(self._names, cells, strict=True):
            if name in HASHES:
                if digits := cell.strip():
                    try:
                        hashes[HASHES[name]] = parse_hash(HASHES[name], digits)
                    except RecordError as error:
                        error.field = name
                        raise
            elif name == SIZE:
                size = whole_number(cell, name) if cell else None
            elif cell and name not in PASSED_OVER:
                key, number = OTHERS.get(name, (name, False))
                metadata[key] = whole_number(cell, name) if number else self._text(cell, name)
        if not hashes:
            raise RecordError(NO_HASH)
        dropped = drop_empty(hashes)
        return Entry.make("", hashes, size=size, metadata=metadata, dropped=dropped)

    def _text(self, cell: str, name: str) -> str:
        if name == "CRC32" and not re.fullmatch("[0-9A-Fa-f]{8}", cell):
            raise RecordError(f"found {shown(cell)}; expected 8 hexadecimal digits", field=name)
        return check_text(cell, name, self._max_string)

    def _split(self, line: str) -> list[str]:
        try:
            return split(line)
        except RecordError:
            found = _LOOSE.fullmatch(line) if self._is_common else None
            if found is None:
                raise
            return list(found.groups())
