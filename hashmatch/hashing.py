"""From a file or bytes to a record: digests and pixels from one read of the file.

Pixels become hashes under one of two profiles, which every record names:

- ``reference``: from RGB, bit-exact with the packages pdqhash and imagehash;
- ``luma``: a JPEG in colour is decoded to its luma plane alone, which is faster. Every hash is within 4 bits of the
  reference's: one for which the plane cannot be trusted is made the reference's way (`hashers.luma_margins`), as are
  all hashes of other files, of which no plane can be decoded alone.

Three functions, for three callers. `hash_image` is the public one and raises where an image cannot be used;
`hash_bytes` is the same for bytes that are in memory; `hash_file` never raises for a bad file and returns a record that
says what was wrong, which is what a scan needs: one row for every file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hashmatch import hashers
from hashmatch.errors import ImageError, ImageReadError, ImageTooLargeError, UsageError, shorten
from hashmatch.hashers import digests, luma_margins
from hashmatch.record import HashRecord

if TYPE_CHECKING:
    from hashmatch.imaging import Limits

__all__ = [
    "DEFAULT_ALGORITHMS",
    "DEFAULT_PROFILE",
    "MAX_REASON",
    "PROFILES",
    "check_algorithms",
    "check_profile",
    "hash_bytes",
    "hash_file",
    "hash_image",
]

#: What is computed where the caller names no algorithms.
DEFAULT_ALGORITHMS = ("pdq", "phash", "md5")

#: How pixels become hashes: bit-exact with pdqhash and imagehash, or faster and within 4 bits of that.
PROFILES = ("reference", "luma")
DEFAULT_PROFILE = "reference"

#: Characters of the longest ``reason`` of a record; no system has paths that come near it.
MAX_REASON = 8_000
_MAX_NAME_IN_REASON = 7_000

_BLOCK = 1 << 20


def check_algorithms(algorithms: Iterable[str]) -> tuple[str, ...]:
    """Names of ``algorithms`` without duplicates, in registry order, if all of them can be computed.

    Raises:
        UnknownAlgorithmError: an unknown name, or an algorithm that is never computed (``photodna``).
    """
    return hashers.check_computed(algorithms)


def check_profile(profile: str) -> str:
    """``profile``, if it is one of `PROFILES`.

    Raises:
        UsageError: it is not.
    """
    if profile not in PROFILES:
        raise UsageError(f"unknown profile {shorten(profile)}; expected one of {', '.join(PROFILES)}")
    return profile


def hash_bytes(
    data: bytes,
    algorithms: Iterable[str] = DEFAULT_ALGORITHMS,
    *,
    name: str = "",
    limits: Limits | None = None,
    orientation: bool = False,
    profile: str = DEFAULT_PROFILE,
) -> HashRecord:
    """Hashes of an image file held in memory.

    Args:
        data: the whole file.
        algorithms: names of digests and perceptual algorithms. Where only digests are named nothing is decoded, and
            any bytes will do.
        name: what the record is called.
        limits: sizes that are refused; the defaults of `hashmatch.imaging.Limits` where None. Digests alone have none.
        orientation: apply the EXIF orientation before hashing.
        profile: one of `PROFILES`; ``luma`` is faster for JPEG, and within 4 bits of ``reference`` for every hash.

    Raises:
        UsageError: an unknown profile.
        UnknownAlgorithmError: an unknown name, or an algorithm that is never computed (``photodna``).
        ImageFormatError: not an image, or not of an allowed format.
        ImageTooLargeError: over the limit of bytes, pixels or frames.
        ImageDecodeError: truncated or corrupt.
    """
    chosen = check_algorithms(algorithms)
    check_profile(profile)
    record = HashRecord(name=name)
    _add_digests(record, data, chosen)
    _add_perceptual(record, data, chosen, limits, orientation, profile)
    return record


def hash_image(
    path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview,
    algorithms: Iterable[str] = DEFAULT_ALGORITHMS,
    *,
    limits: Limits | None = None,
    orientation: bool = False,
    profile: str = DEFAULT_PROFILE,
) -> HashRecord:
    """Hashes of one image.

    Args:
        path_or_bytes: path of a file, which is read once, or a whole file's bytes.
        algorithms: names of digests and perceptual algorithms (see `hash_bytes`).
        limits: sizes that are refused; the defaults of `hashmatch.imaging.Limits` where None.
        orientation: apply the EXIF orientation before hashing.
        profile: one of `PROFILES` (see `hash_bytes`).

    Returns:
        A record named after the path as given, or "" for bytes.

    Raises:
        UsageError: an unknown profile.
        ImageReadError: the file is missing, a folder, or cannot be read.
        ImageFormatError: not an image, or not of an allowed format.
        ImageTooLargeError: over the limit of bytes, pixels or frames.
        ImageDecodeError: truncated or corrupt.
        UnknownAlgorithmError: an unknown name, or an algorithm that is never computed (``photodna``).
    """
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        data = path_or_bytes if isinstance(path_or_bytes, bytes) else bytes(path_or_bytes)
        return hash_bytes(data, algorithms, limits=limits, orientation=orientation, profile=profile)
    record, error = _hash_path(path_or_bytes, check_algorithms(algorithms), limits, orientation, check_profile(profile))
    if error is not None:
        raise type(error)(f"{record.name}: {error}") from error
    return record


def hash_file(
    path: str | os.PathLike[str],
    algorithms: Iterable[str] = DEFAULT_ALGORITHMS,
    *,
    limits: Limits | None = None,
    orientation: bool = False,
    profile: str = DEFAULT_PROFILE,
    when_read: Callable[[], None] | None = None,
) -> HashRecord:
    """Hashes of one file, whatever is wrong with it.

    Args: as `hash_image`, and

        when_read: called when the bytes are read and the digests made, if they are now given to a decoder.

    Returns:
        A record named after the path as given. Where the image cannot be used its ``status`` is ``unreadable``,
        ``too_large`` or ``unsupported`` and its ``reason`` names the path; ``hashes`` holds the digests if the bytes
        could be read. Digests of a file over the limit of bytes, or of one that the memory does not hold, are made
        by streaming it.

    Raises:
        UsageError: an unknown profile: like the next, a mistake in the call, not in the file.
        UnknownAlgorithmError: an unknown name, or an algorithm that is never computed (``photodna``).
    """
    chosen = check_algorithms(algorithms)
    record, error = _hash_path(path, chosen, limits, orientation, check_profile(profile), when_read)
    if error is not None:
        record.status = error.status
        name = record.name
        if len(name) > _MAX_NAME_IN_REASON:
            name = f"{name[:_MAX_NAME_IN_REASON]}..."
        record.reason = f"{name}: {error}"[:MAX_REASON]
    return record


def _hash_path(
    path: str | os.PathLike[str],
    chosen: tuple[str, ...],
    limits: Limits | None,
    orientation: bool,
    profile: str,
    when_read: Callable[[], None] | None = None,
) -> tuple[HashRecord, ImageError | None]:
    """The record as far as it could be made, and what stopped it."""
    record = HashRecord(name=os.fspath(path))
    perceptual = [name for name in chosen if name in hashers.PERCEPTUAL]
    data: bytes | None = None
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            # A pipe would block for ever, and a device may have no end.
            kind = "a folder" if Path(path).is_dir() else "a device, a pipe or a socket"
            return record, ImageReadError(f"cannot be read: {kind}; expected a file")
        with Path(path).open("rb") as file:
            if perceptual:
                data = _read(file, _most_bytes(limits))
            if data is not None and len(data) <= _most_bytes(limits):
                _add_digests(record, data, chosen)
            else:
                wanted = [name for name in chosen if name in digests.DIGESTS]
                record.hashes, record.size = digests.digest_stream(file, wanted, start=data or b"")
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = getattr(error, "strerror", None) or str(error)
        failure = ImageReadError(f"cannot be read: {reason}")
        failure.__cause__ = error
        return record, failure
    if not perceptual:
        return record, None
    try:
        if record.size is not None and record.size > _most_bytes(limits):
            raise ImageTooLargeError(f"{record.size:,} bytes; the limit is {_most_bytes(limits):,} bytes")
        if data is None:
            raise ImageTooLargeError(f"{record.size:,} bytes: out of memory while reading")
        if when_read is not None:
            when_read()
        _add_perceptual(record, data, chosen, limits, orientation, profile)
    except ImageError as error:
        return record, error
    return record, None


def _read(file: IO[bytes], most: int) -> bytes | None:
    """All bytes of a file, or one more than ``most`` where there are more; None, at its start, if memory is short.

    ``most`` may be any number: what is asked for is what the file holds, and then block by block, as the size of a file
    may change while it is read.
    """
    try:
        parts = [file.read(min(os.fstat(file.fileno()).st_size, most) + 1)]
        size = len(parts[0])
        while size <= most and (block := file.read(min(_BLOCK, most + 1 - size))):
            parts.append(block)
            size += len(block)
        return b"".join(parts) if len(parts) > 1 else parts[0]
    except (MemoryError, OverflowError):
        file.seek(0)
        return None


def _most_bytes(limits: Limits | None) -> int:
    from hashmatch.imaging import Limits

    return (limits or Limits()).max_bytes


def _add_digests(record: HashRecord, data: bytes, chosen: tuple[str, ...]) -> None:
    record.size = len(data)
    if wanted := [name for name in chosen if name in digests.DIGESTS]:
        record.hashes.update(digests.digest_bytes(data, wanted))


def _add_perceptual(
    record: HashRecord,
    data: bytes,
    chosen: tuple[str, ...],
    limits: Limits | None,
    orientation: bool,
    profile: str,
) -> None:
    wanted = [name for name in chosen if name in hashers.PERCEPTUAL]
    if not wanted:
        return
    from hashmatch import imaging

    luma = luma_margins.worth_decoding if profile == "luma" else None
    pixels = imaging.decode(data, limits=limits, orientation=orientation, luma=luma)
    try:
        hashes: dict[str, bytes] = {}
        quality: dict[str, int] = {}
        if pixels.luma_step is not None:
            hashes, quality = hashers.compute_trusted(pixels, pixels.luma_step, wanted)
            wanted = [name for name in wanted if name not in hashes]
            if wanted:
                pixels = imaging.decode(data, limits=limits, orientation=orientation)
        if wanted:
            more_hashes, more_quality = hashers.compute(pixels, wanted)
            hashes |= more_hashes
            quality |= more_quality
    except MemoryError as error:
        raise ImageTooLargeError(
            f"{pixels.format} image of {pixels.width:,} x {pixels.height:,} pixels: out of memory while hashing"
        ) from error
    # In the order of the registry, whichever was made first.
    record.hashes.update({name: hashes[name] for name in chosen if name in hashes})
    record.quality.update(quality)
    record.profile = profile
    record.decoder = imaging.decoder_version()
    record.format = pixels.format
    record.width, record.height = pixels.width, pixels.height
    record.oriented = pixels.oriented
