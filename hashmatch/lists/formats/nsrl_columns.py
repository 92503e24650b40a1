"""Columns of many rows of an NSRL data set at once: cells with a separator between them, as SQLite joins them.

Every function takes the number of rows and a joined column, and raises `ValueError` for anything but the common case,
which the reader's plain way then deals with. `references` and `reference` are the two ways to make the same reference.
"""

from __future__ import annotations

import binascii
import json
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hashmatch.algorithms import ALGORITHMS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PREFIX_DIGITS", "cells_of", "json_texts", "number_texts", "numbers", "reference", "references"]

#: Digits of the SHA-256 that a reference begins with.
PREFIX_DIGITS = 6

_MAX_INT = (1 << 63) - 1
_SAFE_DIGITS = 18
_COMMA, _DASH, _LINE_FEED = b",-\n"
#: Bytes that no text in metadata may hold but CR, which may before LF: such texts go the plain way.
_CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\n")
#: What JSON escapes of the rest.
_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\t", "\\t"))
#: Bytes of MD5, SHA-1 and SHA-256 one behind the other, as they are packed, and where the last begins.
_DIGESTS = sum(ALGORITHMS[name].width for name in ("md5", "sha1", "sha256"))
_SHA256_AT = _DIGESTS - ALGORITHMS["sha256"].width
#: Words of 32 bits that a reference is made of beside the prefix.
_WORDS = 3


def cells_of(joined: bytes, count: int, width: int) -> NDArray[np.uint8]:
    """Cells of one width with commas between them as uint8[count, width].

    Raises:
        ValueError: a cell of another width.
    """
    import numpy as np

    table = np.frombuffer(joined + b",", np.uint8).reshape(count, width + 1)
    if (table[:, width] != _COMMA).any():
        raise ValueError
    return table[:, :width]


def numbers(count: int, joined: bytes) -> list[int]:
    """Whole numbers with commas between them, each as Python writes it.

    Raises:
        ValueError: a cell that is none, or out of range.
    """
    if not joined.replace(b",", b"").isdigit():
        raise ValueError
    found: list[int] = json.loads(f"[{joined.decode()}]")  # does not take leading zeros
    if len(found) != count or max(found) > _MAX_INT:
        raise ValueError
    return found


def number_texts(count: int, joined: bytes) -> list[str]:
    """Texts of whole numbers with commas between them, as JSON writes numbers.

    Raises:
        ValueError: a cell that is none, begins with zero, or may be out of range.
    """
    cells = joined.decode().split(",")
    if (
        len(cells) != count
        or not joined.replace(b",", b"").isdigit()
        or joined.startswith((b"0", b","))
        or b",0" in joined
        or b",," in joined
        or joined.endswith(b",")
        or max(map(len, cells)) > _SAFE_DIGITS
    ):
        raise ValueError
    return cells


def json_texts(count: int, joined: bytes, longest: int) -> list[str]:
    """What stands between the quotes of JSON strings, of texts with line feeds between them.

    Raises:
        ValueError: an empty text, one with a line feed, or one that metadata may not hold.
    """
    if (
        len(joined) > longest
        or len(joined.translate(None, _CONTROL)) != len(joined)
        or b"\n\n" in joined
        or joined.startswith(b"\n")
        or joined.endswith(b"\n")
        or not joined
    ):
        raise ValueError
    text = joined.decode(errors="backslashreplace")
    for character, escape in _ESCAPES:
        text = text.replace(character, escape)
    cells = text.split("\n")
    if len(cells) != count:
        raise ValueError
    return cells


def reference(digests: bytes, file_name: bytes, package: int) -> str:
    """The reference of a row.

    In NIST's schema all columns together are a row's key, so the reference is made of all that tells rows apart. It is
    the same in every release, and costs less than a cryptographic hash, which is not needed: the digests are random
    enough. No digest can be computed from it: 68 bytes become 12.

    - The first digits of the SHA-256, in whose order the rows are: references that ascend are stored in half the time.
    - The 17 big-endian words of 32 bits of MD5, SHA-1 and SHA-256, of which every third is combined by exclusive or:
      three words. With them are combined the Adler-32 and the CRC-32 of the file's name, and the package's number.

    Args:
        digests: MD5, SHA-1 and SHA-256 one behind the other.
        file_name: as SQLite gives it, UTF-8 if it is valid.
        package: number of the package; what is above 32 bits does not count.
    """
    mixed = [zlib.adler32(file_name), zlib.crc32(file_name), package & 0xFFFFFFFF]
    for at in range(0, _DIGESTS, 4):
        mixed[at // 4 % _WORDS] ^= int.from_bytes(digests[at : at + 4], "big")
    prefix = digests[_SHA256_AT:].hex()[:PREFIX_DIGITS]
    return f"{prefix}-{mixed[0]:08x}{mixed[1]:08x}{mixed[2]:08x}"


def references(digests: NDArray[np.uint8], file_names: bytes, packages: Sequence[int]) -> list[str]:
    """The references of rows: `reference` of each.

    Args:
        digests: uint8[n, 68], MD5, SHA-1 and SHA-256 one behind the other.
        file_names: with line feeds between them.
        packages: numbers from 0 to 2**63 - 1.
    """
    import numpy as np

    count = len(digests)
    names = file_names.split(b"\n")
    # Exclusive or does not mind the order of bytes: words are combined as the machine reads them, words of one place of
    # all rows side by side. Only the numbers have to be laid out like the digests.
    words = np.ascontiguousarray(digests.view(np.uint32).T)
    mixed = np.empty((count, _WORDS), np.uint32)
    salts = (
        np.fromiter(map(zlib.adler32, names), np.uint32, count),
        np.fromiter(map(zlib.crc32, names), np.uint32, count),
        np.array(packages, np.uint64).astype(np.uint32),
    )
    for place, salt in enumerate(salts):
        mixed[:, place] = np.bitwise_xor.reduce(words[place::_WORDS], axis=0) ^ salt.astype(">u4").view(np.uint32)
    raw = np.concatenate((digests[:, _SHA256_AT : _SHA256_AT + PREFIX_DIGITS // 2], mixed.view(np.uint8)), axis=1)
    digits = np.frombuffer(binascii.hexlify(raw.tobytes()), np.uint8).reshape(count, -1)
    text = np.empty((count, digits.shape[1] + 2), np.uint8)
    text[:, :PREFIX_DIGITS] = digits[:, :PREFIX_DIGITS]
    text[:, PREFIX_DIGITS] = _DASH
    text[:, PREFIX_DIGITS + 1 : -1] = digits[:, PREFIX_DIGITS:]
    text[:, -1] = _LINE_FEED
    return text.tobytes().decode().split("\n")[:count]
