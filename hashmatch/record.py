"""The query record: the hashes of one thing to look up, computed from an image or read from somebody's hash list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["HashRecord"]


@dataclass(slots=True)
class HashRecord:
    """Hashes of one query.

    Attributes:
        name: what the query is called in output: a path as given, a reference, or "" where there is none.
        hashes: algorithm name -> raw bytes of the hash (``pdq``: 32 bytes, ``md5``: 16 bytes, ...).
        quality: algorithm name -> quality, 0 to 100. Only ``pdq`` has one.
        size: size of the file in bytes, or None where it is not known.
        status: ``ok``, or why perceptual hashes are missing: ``unreadable``, ``too_large``, ``unsupported``,
            ``timeout``, ``crashed``. The digests of a file that could be read stand in ``hashes`` all the same.
        reason: one sentence for a status other than ``ok``, else "".
        profile: how pixels became hashes: ``reference`` (RGB route, no resize, bit-exact with the packages pdqhash
            and imagehash), ``luma`` (from the luma plane of a JPEG, within 4 bits of ``reference``), or "" where hashes
            were read and not computed.
        decoder: name and version of the image decoder, or "".
        format: name of the image format (``JPEG``), or "".
        width: of the decoded image in pixels, 0 where there is none.
        height: of the decoded image in pixels, 0 where there is none.
        oriented: whether the EXIF orientation was applied before hashing.
    """

    name: str = ""
    hashes: dict[str, bytes] = field(default_factory=dict)
    quality: dict[str, int] = field(default_factory=dict)
    size: int | None = None
    status: str = "ok"
    reason: str = ""
    profile: str = ""
    decoder: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    oriented: bool = False

    def hex(self) -> Mapping[str, str]:
        """Algorithm name -> lower-case hexadecimal text of the hash."""
        return {name: value.hex() for name, value in self.hashes.items()}
