"""One entry of a hash list, and the packed form of its hashes.

Readers make entries by the million, so an entry is a tuple whose fields are already in the form that the store keeps:
hashes packed into one byte string, metadata as canonical JSON text. The properties unpack them.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import RecordError, shorten

__all__ = [
    "MEDIA_NAMES",
    "MEDIA_TYPES",
    "NO_QUALITY",
    "Entry",
    "canonical_json",
    "content_digest",
    "content_head",
    "pack_hashes",
    "unpack_hashes",
]

#: Media type -> the number that stands for it in files. 0 is "not stated".
MEDIA_TYPES: Mapping[str, int] = {"image": 1, "video": 2, "other": 3}

#: Number -> media type, "" for 0.
MEDIA_NAMES: Mapping[int, str] = {0: ""} | {number: name for name, number in MEDIA_TYPES.items()}

#: Quality byte of a PDQ hash that came without a quality.
NO_QUALITY = 255

_MASK = struct.Struct("<I")
_PDQ = ALGORITHMS["pdq"].number


def pack_hashes(hashes: Mapping[str, bytes], quality: Mapping[str, int] | None = None) -> bytes:
    """Pack hashes into one byte string: a presence mask, then the hashes.

    Layout: uint32 little-endian whose bit ``number`` says that the algorithm of that number is present; then, in the
    order of their numbers, the raw hashes, that of ``pdq`` followed by one byte of quality (0 to 100, 255 unknown).
    """
    if unknown := [name for name in hashes if name not in ALGORITHMS]:
        raise RecordError(f"found a hash called {shorten(unknown[0])}; expected one of {', '.join(ALGORITHMS)}")
    mask = 0
    parts = [b""]
    for algorithm in ALGORITHMS.values():
        value = hashes.get(algorithm.name)
        if value is None:
            continue
        if len(value) != algorithm.width:
            raise RecordError(f"a {algorithm.name} hash of {len(value)} bytes; expected {algorithm.width}")
        mask |= 1 << algorithm.number
        parts.append(value)
        if algorithm.number == _PDQ:
            stated = (quality or {}).get("pdq", NO_QUALITY)
            if not (0 <= stated <= 100 or stated == NO_QUALITY):
                raise RecordError(f"found the pdq quality {stated}; expected a whole number from 0 to 100")
            parts.append(bytes([stated]))
    parts[0] = _MASK.pack(mask)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _layout(mask: int) -> tuple[tuple[tuple[str, int, int], ...], int, int]:
    """((algorithm, start, end) of every hash, where the quality of pdq stands or 0, length) of a presence mask."""
    places = []
    quality = 0
    at = _MASK.size
    for algorithm in ALGORITHMS.values():
        if mask >> algorithm.number & 1:
            places.append((algorithm.name, at, at + algorithm.width))
            at += algorithm.width
            if algorithm.number == _PDQ:
                quality = at
                at += 1
    return tuple(places), quality, at


def unpack_hashes(packed: bytes) -> tuple[dict[str, bytes], dict[str, int]]:
    """The inverse of `pack_hashes`: (hashes, quality).

    Raises:
        RecordError: the byte string is not one that `pack_hashes` makes.
    """
    if len(packed) < _MASK.size:
        raise RecordError(f"packed hashes of {len(packed)} bytes; expected at least {_MASK.size}")
    mask = int.from_bytes(packed[: _MASK.size], "little")
    places, quality, length = _layout(mask)
    if length != len(packed) or mask >> len(ALGORITHMS):
        raise RecordError(
            f"packed hashes of {len(packed)} bytes with the presence mask {mask:#x}; expected {length} bytes"
        )
    if quality and packed[quality] > 100 and packed[quality] != NO_QUALITY:
        raise RecordError(f"packed hashes with the pdq quality {packed[quality]}; expected a number from 0 to 100")
    hashes = {name: packed[start:end] for name, start, end in places}
    return hashes, ({"pdq": packed[quality]} if quality and packed[quality] != NO_QUALITY else {})


class Entry(NamedTuple):
    """One entry of a list, or one record of a hash list that is used as a query.

    Attributes:
        ref: the source's reference of the entry ("" where the format has none; the store then derives one).
        category: (scheme, code), or None. Never translated.
        media_type: a key of `MEDIA_TYPES`, or "".
        size: size of the file in bytes, or None.
        metadata: canonical JSON text of an object with every other field, "" where there is none: keys sorted, no
            spaces, not ASCII-escaped.
        packed: the hashes, as `pack_hashes` makes them.
        dropped: how many digests of the empty file the reader left out of this record.
    """

    ref: str
    category: tuple[str, str] | None
    media_type: str
    size: int | None
    metadata: str
    packed: bytes
    dropped: int = 0

    @classmethod
    def make(
        cls,
        ref: str = "",
        hashes: Mapping[str, bytes] | None = None,
        *,
        quality: Mapping[str, int] | None = None,
        category: tuple[str, str] | None = None,
        media_type: str = "",
        size: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        dropped: int = 0,
    ) -> Entry:
        """An entry from unpacked values.

        Raises:
            RecordError: a hash of the wrong width, or an unknown media type.
        """
        if media_type and media_type not in MEDIA_TYPES:
            raise RecordError(f"media type {shorten(media_type)}; expected one of {', '.join(MEDIA_TYPES)}")
        return cls(
            ref,
            category,
            media_type,
            size,
            canonical_json(metadata) if metadata else "",
            pack_hashes(hashes or {}, quality),
            dropped,
        )

    @property
    def hashes(self) -> dict[str, bytes]:
        """Algorithm name -> raw hash."""
        return unpack_hashes(self.packed)[0]

    @property
    def quality(self) -> dict[str, int]:
        """Algorithm name -> quality 0 to 100, where it is known."""
        return unpack_hashes(self.packed)[1]

    @property
    def fields(self) -> dict[str, Any]:
        """The metadata as an object."""
        return json.loads(self.metadata) if self.metadata else {}

    def derived_ref(self) -> str:
        """A reference for an entry whose format has none: stable, independent of order, reveals no hash.

        It is made of all that the entry says: records that differ in anything are different entries.
        """
        digest = content_digest("", "", self.category, self.media_type, self.size, self.metadata, self.packed)
        return f"auto-{digest.hex()[:24]}"


def content_digest(
    source: str,
    ref: str,
    category: tuple[str, str] | None,
    media_type: str,
    size: int | None,
    metadata: str,
    packed: bytes,
) -> bytes:
    """SHA-256 of everything that an entry says, 32 bytes; FORMATS.md defines it.

    No part holds a NUL but the hashes, which come last and state their own layout: two entries cannot share an
    encoding.
    """
    head = content_head(category, media_type, size)
    return hashlib.sha256(f"{source}\0{ref}{head}{metadata}\0".encode() + packed).digest()


def content_head(category: tuple[str, str] | None, media_type: str, size: int | None) -> str:
    """What stands between reference and metadata in the text that `content_digest` hashes."""
    scheme, code = category or ("", "")
    return f"\0{scheme}\0{code}\0{media_type}\0{'' if size is None else size}\0"


def canonical_json(value: object) -> str:
    """JSON text with sorted keys and no spaces: the same value gives the same text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
