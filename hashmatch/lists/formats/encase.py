"""EnCase hash sets (``.hash``): binary, MD5 alone, and what is said of the set as a whole.

========  =======  ============================================================================
offset    bytes    what
========  =======  ============================================================================
0         8        ``HASH``, CR, LF, 0xff, 0
8         8        version and an unknown number; not looked at, since they differ between versions
16        4        number of hashes, little-endian; 0 where the program did not state it
1032      78       name of the hash set, UTF-16 little-endian, ended by a zero
1112      38       category of the hash set, likewise
1152      18 each  16 bytes of MD5, two zero bytes
========  =======  ============================================================================

There is no public specification: this is what EnCase 6 was seen to write and what others read. Name and category are
kept with every entry; the reference is derived. A file that is cut at a record's end is an error where the number of
hashes is stated; where it is not, no file can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from struct import Struct
from typing import Any

from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, canonical_json, pack_hashes
from hashmatch.lists.formats.cells import check_reference
from hashmatch.lists.formats.source import Head, Input, ReadOptions

__all__ = ["MAGIC", "detect", "read"]

MAGIC = b"HASH\r\n\xff\x00"
COUNT_AT = 16
NAME_AT, NAME_BYTES = 1032, 78
CATEGORY_AT, CATEGORY_BYTES = 1112, 38
RECORDS_AT, RECORD_BYTES, PADDING = 1152, 18, b"\0\0"
#: Scheme of the category, and the metadata key of the name.
SCHEME, NAME_KEY = "encase", "hash_set"

_MD5_BYTES = 16
_EMPTY = EMPTY_DIGESTS["md5"]
_MASK = pack_hashes({"md5": bytes(_MD5_BYTES)})[:4]

_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


def detect(head: Head) -> bool:
    """Whether the file begins like an EnCase hash set."""
    return head.raw.startswith(MAGIC)


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:  # noqa: ARG001
    """The entries of an EnCase hash set.

    Raises:
        RecordError: the file is cut short, is of another format, or does not hold as many hashes as it says.
        InputError: the file fails while it is read.
    """
    header = source.head(RECORDS_AT).raw
    if not header.startswith(MAGIC):
        raise RecordError("found another beginning; expected HASH, CR, LF, 0xff, 0", path=source.path)
    if len(header) < RECORDS_AT:
        raise RecordError(
            f"found {len(header):,} bytes; expected a header of {RECORDS_AT:,}: the file is cut short", path=source.path
        )
    stated = int.from_bytes(header[COUNT_AT : COUNT_AT + 4], "little")
    name = _text(header, NAME_AT, NAME_BYTES, "hash set", source.path)
    code = _text(header, CATEGORY_AT, CATEGORY_BYTES, "category", source.path)
    category = (SCHEME, code) if code else None
    metadata = canonical_json({NAME_KEY: name}) if name else ""
    count = 0
    rest = b""
    # The magic is no BOM: the bytes come as they are.
    blocks = source.utf8()
    skip = RECORDS_AT
    for block in blocks:
        if skip:
            taken = min(skip, len(block))
            block, skip = block[taken:], skip - taken  # noqa: PLW2901
        data = rest + block
        cut = len(data) - len(data) % RECORD_BYTES
        data, rest = data[:cut], data[cut:]
        yield from _entries(data, category, metadata, source.path, count)
        count += cut // RECORD_BYTES
    if rest:
        raise RecordError(
            f"found {len(rest)} bytes of a hash; expected records of {RECORD_BYTES} bytes: the file is cut short",
            path=source.path,
            record=count + 1,
        )
    if stated and stated != count:
        raise RecordError(f"found {count:,} hashes; expected {stated:,}, as the header says", path=source.path)


def _text(header: bytes, at: int, size: int, what: str, path: str) -> str:
    """Text of the header, up to its zero.

    Raises:
        RecordError: it is no text.
    """
    try:
        text = header[at : at + size].decode("utf-16-le").partition("\0")[0].strip()
        return check_reference(text, what, size)
    except UnicodeDecodeError:
        raise RecordError("found bytes that are not UTF-16; expected text", path=path, field=what) from None
    except RecordError as error:
        error.path = path
        raise


def _entries(
    data: bytes, category: tuple[str, str] | None, metadata: str, path: str, before: int
) -> Iterator[Entry | RecordError]:
    """The entries of whole records; ``before``: how many stand before them in the file."""
    count = len(data) // RECORD_BYTES
    if not count:
        return
    cells = Struct(f"{_MD5_BYTES}s{len(PADDING)}s" * count).unpack(data)
    digests, padding = cells[::2], cells[1::2]
    packed = map(_MASK.__add__, digests)
    common = repeat(category), repeat(""), repeat(None), repeat(metadata)
    entries = map(_make_entry, zip(repeat(""), *common, packed, repeat(0), repeat(""), repeat(""), strict=False))
    if padding.count(PADDING) == count and _EMPTY not in digests:
        yield from entries
        return
    for number, (entry, digest, zeros) in enumerate(zip(entries, digests, padding, strict=True), before + 1):
        if zeros != PADDING:
            yield RecordError(
                "found other bytes than zeros behind the hash; expected 16 bytes of MD5 and two zeros",
                path=path,
                record=number,
            )
        elif digest == _EMPTY:
            yield entry._replace(packed=b"\0\0\0\0", dropped=1)
        else:
            yield entry
