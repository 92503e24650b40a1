"""A small PNG writer: every depth and colour type that Pillow's own writer does not offer, and no hidden chunk."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOUR_TYPES", "same_content", "write"]

#: PNG's numbers of its colour types.
COLOUR_TYPES = {"grey": 0, "rgb": 2, "palette": 3, "grey-alpha": 4, "rgba": 6}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# (first row, first column, step between rows, step between columns) of the passes of Adam7.
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _scanlines(samples: NDArray[np.integer], depth: int) -> bytes:
    """Rows without a filter (type 0), samples packed to ``depth`` bits."""
    height = samples.shape[0]
    if not samples.size:
        return b""
    flat = samples.reshape(height, -1)
    if depth == 16:
        packed = np.ascontiguousarray(flat.astype(">u2")).view(np.uint8).reshape(height, -1)
    elif depth == 8:
        packed = flat.astype(np.uint8)
    else:
        bits = np.unpackbits(flat.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(height, -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def _stored(raw: bytes) -> bytes:
    """A zlib stream of stored blocks."""
    blocks = [raw[at : at + 0xFFFF] for at in range(0, len(raw), 0xFFFF)]
    heads = [struct.pack("<BHH", block is blocks[-1], len(block), 0xFFFF ^ len(block)) for block in blocks]
    body = b"".join(head + block for head, block in zip(heads, blocks, strict=True))
    return b"\x78\x01" + body + struct.pack(">I", zlib.adler32(raw))


def write(
    samples: NDArray[np.integer],
    colour: str,
    depth: int = 8,
    *,
    chunks: Sequence[tuple[bytes, bytes]] = (),
    interlaced: bool = False,
    level: int | None = 9,
) -> bytes:
    """A PNG file.

    Args:
        samples: whole numbers ``[height, width]`` or ``[height, width, channels]``.
        colour: a key of `COLOUR_TYPES`.
        depth: bits of a sample.
        chunks: (name, data) of chunks to put before the samples, such as ``PLTE`` and ``tRNS``.
        interlaced: write the seven passes of Adam7.
        level: of zlib; None stores without compression, in blocks that no version of zlib has a say in.
    """
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPES[colour], 0, 0, int(interlaced))
    if interlaced:
        raw = b"".join(_scanlines(samples[y::down, x::across], depth) for y, x, down, across in _ADAM7)
    else:
        raw = _scanlines(samples, depth)
    parts = [_SIGNATURE, _chunk(b"IHDR", header), *(_chunk(name, data) for name, data in chunks)]
    return b"".join(
        [*parts, _chunk(b"IDAT", _stored(raw) if level is None else zlib.compress(raw, level)), _chunk(b"IEND", b"")]
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if data[at + 8 + length : at + 12 + length] != struct.pack(">I", zlib.crc32(name + body)):
            raise ValueError("a chunk's CRC differs")
        yield name, zlib.decompress(body) if name == b"IDAT" else body
        at += 12 + length


def same_content(first: bytes, second: bytes) -> bool:
    """Whether two PNG files of one IDAT chunk differ in nothing but how zlib packed the samples."""
    try:
        return first[:8] == second[:8] == _SIGNATURE and list(_chunks(first)) == list(_chunks(second))
    except (ValueError, struct.error, zlib.error):
        return False
