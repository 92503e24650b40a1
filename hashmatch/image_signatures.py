"""What a file's first bytes say it is, and how many frames a GIF or a TIFF has: no decoder, no library.

Pillow parses every frame to count them, for TIFF in quadratic time; a hostile file may hold millions. The two functions
here only follow the structure, and stop where the caller's limit is passed.
"""

from __future__ import annotations

import struct

__all__ = ["count_gif_frames", "count_tiff_pages", "recognise"]

# (offset, bytes, name). Formats that are not decoded stand here so that a refusal can name them.
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II\x00*", "TIFF"),  # swapped by mistake, and read by Pillow all the same
    (0, b"MM*\x00", "TIFF"),
    (0, b"II+\x00", "TIFF"),  # BigTIFF
    (0, b"MM\x00+", "TIFF"),
    (0, b"8BPS", "PSD"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"%PDF-", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"PK\x03\x04", "ZIP"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftyp", "MP4"),
)


def recognise(data: bytes) -> str | None:
    """Name of the format whose signature ``data`` starts with, or None. A name says nothing about what follows."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    for offset, signature, name in _SIGNATURES:
        if data.startswith(signature, offset):
            return name
    return None


def count_gif_frames(data: bytes, stop: int) -> int:
    """Number of frames of a GIF, counting no further than ``stop``; a damaged file has those up to the damage.

    Follows the block structure of the GIF89a specification without looking into the pictures.
    """
    frames = 0
    at = 13 + _colours(data, 10)
    while frames < stop and at < len(data):
        kind = data[at]
        if kind == 0x2C:  # image: descriptor, colours, code size, sub-blocks
            frames += 1
            at += 11 + _colours(data, at + 9)
        elif kind == 0x21:  # extension: label, sub-blocks
            at += 2
        else:  # 0x3B is the trailer; anything else is damage
            break
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return frames


def count_tiff_pages(data: bytes, stop: int) -> int:
    """Number of pages (directories of the main chain) of a TIFF or BigTIFF, counting no further than ``stop``.

    A damaged chain, or one that runs in a circle, has the pages up to the damage.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = b"+" in data[2:4]
    number, entry, link = ("Q", 20, "Q") if big else ("H", 12, "I")
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + link, data, 8 if big else 4)
        while at and at not in seen and len(seen) < stop:
            (entries,) = struct.unpack_from(order + number, data, at)
            seen.add(at)
            (at,) = struct.unpack_from(order + link, data, at + struct.calcsize(number) + entry * entries)
    except (struct.error, OverflowError, ValueError):
        pass
    return len(seen)


def _colours(data: bytes, at: int) -> int:
    """Bytes of the colour table that the packed field at ``at`` announces."""
    packed = data[at] if at < len(data) else 0
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0
