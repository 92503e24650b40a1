"""Blocks: how a list stores its entries. FORMATS.md defines every byte.

A block holds a run of entries of one source, ordered by reference, column by column. Where blocks end is decided by the
references alone (`ends_block`), so the same entries always make the same blocks, whatever the order in which they came,
and a change touches one block of some hundred entries. The digest of a block says all that its entries say; the
snapshot id is a digest of those.

A row is a plain tuple, as millions of them are made: (reference, category, media type, size, metadata, packed hashes,
opinions, tag). The first seven are those of an `Entry`; the tag is not part of the block's content: the number of the
change that the row came with, or its ordinal in an import.
"""

from __future__ import annotations

import operator
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice, pairwise, repeat
from operator import itemgetter
from typing import Any

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists.entry import MEDIA_NAMES, MEDIA_TYPES, mask_width

__all__ = [
    "HEADER",
    "MAX_BYTES",
    "MAX_ROWS",
    "Row",
    "ascends",
    "cut",
    "decode",
    "encode",
    "ends_block",
    "pack_tags",
    "unpack_tags",
]

Row = tuple[str, tuple[str, str] | None, str, int | None, str, bytes, str, int]

#: Rows, categories, and the bytes of the parts: categories, references, hashes, metadata, opinions.
HEADER = struct.Struct("<7I")

#: One reference in so many ends a block: few enough entries that a change rewrites little, enough that the cost of a
#: block is shared.
_BOUNDARY = 127
#: A run of entries none of whose references ends a block is cut into parts of at most so many rows and bytes, inclusive
#: (a single larger row is a part of its own): references come from outside and may be chosen badly.
MAX_ROWS = 4096
MAX_BYTES = 1 << 20

#: Low byte of a CRC-32 -> 1 where it ends a block, else 0.
_MARKS = bytes(byte & _BOUNDARY == _BOUNDARY for byte in range(256))

_ref_of = itemgetter(0)
_MASK_OF, _BODY_OF = itemgetter(slice(0, 4)), itemgetter(slice(4, None))
#: What a row may add to a block beside its texts and hashes.
_FIXED = 18


def ends_block(ref: str) -> bool:
    """Whether an entry of this reference is the last of its block."""
    return zlib.crc32(ref.encode()) & _BOUNDARY == _BOUNDARY


def ascends(rows: Sequence[Row]) -> bool:
    """Whether each reference is behind the one before it."""
    native = kernels.native_rows()
    found: bool | None = None if native is None else native.block_ascends(rows)
    return _ascends(rows) if found is None else found


def _ascends(rows: Sequence[Row]) -> bool:
    refs = list(map(_ref_of, rows))
    return all(map(operator.lt, refs, islice(refs, 1, None)))


def _ends(rows: Sequence[Row]) -> list[int]:
    """The places behind the rows of which `ends_block` is true."""
    native = kernels.native_rows()
    found: list[int] | None = None if native is None else native.block_ends(rows, _BOUNDARY)
    if found is not None:
        return found
    # This is ends_block, for all rows at once: the low byte of each code says it, and hardly any does.
    codes = array("I", map(zlib.crc32, map(str.encode, map(_ref_of, rows))))
    low = codes.tobytes()[0 if sys.byteorder == "little" else codes.itemsize - 1 :: codes.itemsize]
    marks = low.translate(_MARKS)
    ends = []
    at = marks.find(1)
    while at >= 0:
        ends.append(at + 1)
        at = marks.find(1, at + 1)
    return ends


def cut(rows: Sequence[Row], first: int = 0) -> Iterator[tuple[int, bytes, Sequence[Row]]]:
    """Rows that begin where a block begins as (part, encoded, rows) of each block; the last may lack its end.

    ``part`` is 0, or counts the further pieces of a run that had to be cut by size. ``first`` is the part that the rows
    begin with: what stands before it in its run has no say in where it ends.
    """
    start = 0
    ends = _ends(rows)
    if not ends or ends[-1] != len(rows):
        ends.append(len(rows))
    for end in ends:
        chosen = rows[start:end]
        start = end
        if not chosen:
            continue
        part, first = first, 0
        encoded = encode(chosen) if not part and len(chosen) <= MAX_ROWS else b""
        if encoded and (len(encoded) <= MAX_BYTES or len(chosen) == 1):
            yield 0, encoded, chosen
        else:
            yield from _parts(chosen, part)


def _parts(rows: Sequence[Row], part: int) -> Iterator[tuple[int, bytes, Sequence[Row]]]:
    start = size = 0
    for at, row in enumerate(rows):
        weight = _FIXED + len(row[0].encode()) + len(row[4].encode()) + len(row[5]) + len(row[6].encode())
        if at > start and (at - start == MAX_ROWS or size + weight > MAX_BYTES):
            yield part, encode(rows[start:at]), rows[start:at]
            start, size, part = at, 0, part + 1
        size += weight
    yield part, encode(rows[start:]), rows[start:]


def encode(rows: Sequence[Row]) -> bytes:
    """The content of a block of at least one row, ascending by reference."""
    native = kernels.native_rows()
    made: bytes | None = None if native is None else native.encode_block(rows, 0, len(rows), _MEDIA)
    return _encode(rows) if made is None else made


def _encode(rows: Sequence[Row]) -> bytes:
    refs, of, media, sizes, metadata, packed, opinions, _ = zip(*rows, strict=True)
    n = len(rows)
    categories = sorted({category for category in of if category is not None})
    if categories:
        number: dict[Any, int] = {category: at for at, category in enumerate(categories, 1)}
        number[None] = 0
        numbers = struct.pack(f"<{n}H", *map(number.__getitem__, of))
    else:
        numbers = bytes(2 * n)
    kinds = bytes(map(_MEDIA.__getitem__, media))
    unknown = sizes.count(None)
    if unknown == n:
        lengths = b"\xff" * (8 * n)
    elif unknown:
        lengths = struct.pack(f"<{n}q", *(-1 if size is None else size for size in sizes))
    else:
        lengths = struct.pack(f"<{n}q", *sizes)
    names = "".join(f"{scheme}\0{code}\0" for scheme, code in categories).encode()
    keys = ("\0".join(refs) + "\0").encode()
    bodies = b"".join(map(_BODY_OF, packed))
    more = _texts(metadata)
    said = _texts(opinions)
    header = HEADER.pack(n, len(categories), len(names), len(keys), len(bodies), len(more), len(said))
    masks = b"".join(map(_MASK_OF, packed))
    return b"".join((header, numbers, kinds, lengths, masks, names, keys, bodies, more, said))


_MEDIA = {"": 0} | dict(MEDIA_TYPES)
#: The same, in the order of the numbers.
_MEDIA_NAMES = tuple(MEDIA_NAMES[number] for number in range(len(MEDIA_NAMES)))
#: Bytes of packed hashes that each bit of a presence mask stands for.
_WIDTHS = bytes(mask_width(1 << bit) for bit in range(len(ALGORITHMS)))


def _texts(column: Sequence[str]) -> bytes:
    """A column of texts, each with a NUL behind it; nothing where all are empty."""
    return ("\0".join(column) + "\0").encode() if any(column) else b""


def decode(block: bytes, tags: Sequence[int]) -> list[Row]:
    """The rows of a block whose digest was verified.

    Args:
        block: what `encode` made.
        tags: the tag of each row.

    Raises:
        ValueError: not a block, or not as many tags as rows.
    """
    native = kernels.native_rows()
    if native is not None:
        rows: list[Row] | None = native.decode_block(block, tags, _WIDTHS, _MEDIA_NAMES)
        if rows is not None:
            return rows
    try:
        return _decode(block, tags)
    except (KeyError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"not a block ({error!r})") from error


def _decode(block: bytes, tags: Sequence[int]) -> list[Row]:
    n, count, *parts = HEADER.unpack_from(block)
    at = HEADER.size + 15 * n
    if at + sum(parts) != len(block) or len(tags) != n or not n:
        raise ValueError(f"a block of {len(block):,} bytes and {len(tags):,} tags whose header says otherwise")
    numbers = struct.unpack_from(f"<{n}H", block, HEADER.size)
    kinds = block[HEADER.size + 2 * n : HEADER.size + 3 * n]
    lengths = struct.unpack_from(f"<{n}q", block, HEADER.size + 3 * n)
    masks = struct.unpack_from(f"<{n}I", block, HEADER.size + 11 * n)
    edges = list(accumulate(parts, initial=at))
    names, keys, bodies, more, said = (block[start:end] for start, end in pairwise(edges))
    names_of = _split(names, 2 * count)
    categories: list[Any] = [None, *zip(names_of[::2], names_of[1::2], strict=True)]
    ends = list(accumulate(map(mask_width, masks), initial=0))
    if ends[-1] != len(bodies):
        raise ValueError("a block whose hashes are not as long as its masks say")
    first = HEADER.size + 11 * n
    packed = [
        block[first + 4 * place : first + 4 * place + 4] + bodies[start:end]
        for place, (start, end) in enumerate(pairwise(ends))
    ]
    if min(lengths) < -1:
        raise ValueError("a block with a size under zero")
    sizes = repeat(None, n) if lengths.count(-1) == n else [None if size < 0 else size for size in lengths]
    return list(
        zip(
            _split(keys, n),
            map(categories.__getitem__, numbers),
            map(MEDIA_NAMES.__getitem__, kinds),
            sizes,
            _split(more, n) if more else repeat("", n),
            packed,
            _split(said, n) if said else repeat("", n),
            tags,
            strict=True,
        )
    )


def _split(part: bytes, count: int) -> list[str]:
    texts = part.decode().split("\0")
    if texts.pop() or len(texts) != count:
        raise ValueError(f"a part of a block holds {len(texts):,} texts, not {count:,}")
    return texts


def pack_tags(tags: Sequence[int]) -> bytes:
    """uint32, little-endian, of each tag, and CRC-32 of those."""
    packed = struct.pack(f"<{len(tags)}I", *tags)
    return packed + zlib.crc32(packed).to_bytes(4, "little")


def unpack_tags(packed: bytes) -> tuple[int, ...]:
    """The inverse of `pack_tags`.

    Raises:
        ValueError: damaged.
    """
    count = len(packed) // 4 - 1
    if len(packed) % 4 or count < 0 or zlib.crc32(packed[:-4]) != int.from_bytes(packed[-4:], "little"):
        raise ValueError("the numbers of its changes are damaged")
    return struct.unpack_from(f"<{count}I", packed)
