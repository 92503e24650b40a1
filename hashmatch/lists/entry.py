"""One entry of a hash list, and the packed form of its hashes.

Readers make entries by the million, so an entry is a tuple whose fields are already in the form that the store keeps:
hashes packed into one byte string, metadata as canonical JSON text. The properties unpack them.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import RecordError, shorten

__all__ = [
    "MEDIA_NAMES",
    "MEDIA_TYPES",
    "NO_QUALITY",
    "Entry",
    "Opinion",
    "Retraction",
    "canonical_json",
    "content_digest",
    "is_metadata",
    "mask_width",
    "opinions_of",
    "opinions_text",
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


@lru_cache(maxsize=4096)
def mask_width(mask: int) -> int:
    """Bytes of packed hashes behind their presence mask.

    Raises:
        KeyError: a bit that stands for no algorithm.
    """
    if mask >> len(ALGORITHMS):
        raise KeyError(mask)
    return _layout(mask)[2] - _MASK.size


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


class Opinion(NamedTuple):
    """What one organisation says of an entry, or of one of its hashes.

    Attributes:
        algorithm: the algorithm of the hash that it is about; "" for the whole entry.
        organisation: who says it.
        affirmative: whether it confirms; a negative opinion disputes.
        reason: why, in the organisation's words or code; "" where it is not said.
    """

    algorithm: str
    organisation: str
    affirmative: bool
    reason: str = ""


def opinions_text(opinions: Iterable[Opinion]) -> str:
    """Opinions as canonical JSON, "" for none: an array of [algorithm, organisation, affirmative, reason], sorted.

    Raises:
        RecordError: an unknown algorithm, an organisation without a name, or two opinions of one organisation about
            the same.
    """
    ordered = sorted(opinions)
    for former, opinion in zip([None, *ordered], ordered, strict=False):
        if opinion.algorithm and opinion.algorithm not in ALGORITHMS:
            raise RecordError(f"found an opinion about {shorten(opinion.algorithm)}; expected {', '.join(ALGORITHMS)}")
        if not opinion.organisation:
            raise RecordError("found an opinion without an organisation; expected who holds it")
        if former is not None and former[:2] == opinion[:2]:
            what = opinion.algorithm or "the entry"
            raise RecordError(f"found two opinions of {shorten(opinion.organisation)} about {what}; expected one")
    return canonical_json(ordered) if ordered else ""


def opinions_of(text: str) -> tuple[Opinion, ...]:
    """The inverse of `opinions_text`.

    Raises:
        ValueError: not what `opinions_text` makes.
    """
    if not text:
        return ()
    try:
        found = json.loads(text)
        opinions = tuple(Opinion(*item) for item in found) if isinstance(found, list) else ()
        kinds = {tuple(map(type, opinion)) for opinion in opinions}
        sound = kinds == {(str, str, bool, str)} and opinions_text(opinions) == text
    except (RecordError, TypeError, RecursionError) as error:
        # Without the error's own words: they quote, and what stands in a wrong place may be a hash.
        raise ValueError("opinions that no import writes") from error
    if not sound:
        raise ValueError("opinions that no import writes")
    return opinions


class Retraction(NamedTuple):
    """A source's word that it withdraws an entry: readers yield it among the entries.

    Attributes:
        ref: the reference of the entry.
        reason: why, "" where it is not said.
        origin: as of an `Entry`.
    """

    ref: str
    reason: str = ""
    origin: str = ""


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
        opinions: what organisations say of the entry, as `opinions_text` makes it; "" where there are none.
        origin: who of a list of several organisations the entry comes from ("member 42"); the entry's source is then
            the import's source, a space, and this. "" where the import's source is all there is to say.
    """

    ref: str
    category: tuple[str, str] | None
    media_type: str
    size: int | None
    metadata: str
    packed: bytes
    dropped: int = 0
    opinions: str = ""
    origin: str = ""

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
        opinions: Iterable[Opinion] = (),
        origin: str = "",
    ) -> Entry:
        """An entry from unpacked values.

        Raises:
            RecordError: a hash of the wrong width, an unknown media type, or an opinion that `opinions_text` refuses.
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
            opinions_text(opinions),
            origin,
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
        return f"auto-{content_digest('', self._replace(ref='')).hex()[:24]}"


def content_digest(source: str, entry: Sequence[Any]) -> bytes:
    """SHA-256 of everything that an entry says, 32 bytes; FORMATS.md defines it.

    No part holds a NUL but the hashes, which state their own layout: two entries cannot share an encoding.

    Args:
        source: name of its source.
        entry: an `Entry`, or a row of a block: the first five are the same, and so are the packed hashes.
    """
    ref, category, media_type, size, metadata, packed = entry[:6]
    opinions = entry.opinions if isinstance(entry, Entry) else entry[6]
    scheme, code = category or ("", "")
    head = f"{source}\0{ref}\0{scheme}\0{code}\0{media_type}\0{'' if size is None else size}\0{metadata}\0"
    return hashlib.sha256(head.encode() + packed + opinions.encode()).digest()


def canonical_json(value: object) -> str:
    """JSON text with sorted keys and no spaces: the same value gives the same text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def is_metadata(text: str) -> bool:
    """Whether ``text`` is an entry's metadata as `Entry` keeps it: canonical JSON of an object that is not empty."""
    try:
        found = json.loads(text)
        return isinstance(found, dict) and bool(found) and canonical_json(found) == text
    except (ValueError, RecursionError):
        return False
