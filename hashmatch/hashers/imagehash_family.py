"""pHash, dHash, aHash and wHash of 64 bits: the codes of the package imagehash, which only this module imports.

The codes equal imagehash's own with ``hash_size=8``: bits row by row, the first bit most significant, so that the
hexadecimal text of a code is ``str(imagehash.phash(image))``. The native kernels compute the first three with Pillow's
and imagehash's arithmetic (`hashmatch.kernels.family_from_pixels`); wHash, and a pHash that rounding decides, are
imagehash's own, and so is everything where there are no native kernels.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels

__all__ = ["NAMES", "Source", "compute", "compute_all"]

#: Algorithm -> name of the function in imagehash.
_FUNCTIONS = MappingProxyType(
    {"phash": "phash", "dhash": "dhash", "ahash": "average_hash", "whash": "whash"},
)

#: Names of the algorithms, in registry order.
NAMES = tuple(_FUNCTIONS)


class Source(Protocol):
    """What is needed of a picture; `hashmatch.hashers.PixelSource` describes it."""

    @property
    def pixels(self) -> NDArray[np.uint8]: ...
    @property
    def vertical_first(self) -> int: ...
    @property
    def image(self) -> Any: ...


def compute_all(names: Iterable[str], source: Source) -> dict[str, bytes]:
    """The 8-byte codes of a picture under algorithms of `NAMES`, in the order of ``names``, from one pass over it."""
    wanted = tuple(names)
    known: dict[str, bytes | None] = {}
    native = tuple(name for name in wanted if name in kernels.FAMILY)
    if native and kernels.active() != "numpy":
        known = kernels.family_from_pixels(source.pixels, native, vertical_first=source.vertical_first)
    return {name: known.get(name) or compute(name, source.image) for name in wanted}


def compute(name: str, image: Any) -> bytes:
    """The 8-byte code of ``image``, an object of Pillow in mode RGB or L, under ``name`` of `NAMES`, by imagehash."""
    import imagehash

    code = getattr(imagehash, _FUNCTIONS[name])(image, hash_size=8)
    return np.packbits(code.hash.ravel()).tobytes()
