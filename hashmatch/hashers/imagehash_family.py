"""pHash, dHash, aHash and wHash of 64 bits, through the package imagehash (the only module that imports it).

The codes equal imagehash's own with ``hash_size=8``: bits row by row, the first bit most significant, so that the
hexadecimal text of a code is ``str(imagehash.phash(image))``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = ["NAMES", "compute"]

#: Algorithm -> name of the function in imagehash.
_FUNCTIONS = MappingProxyType(
    {"phash": "phash", "dhash": "dhash", "ahash": "average_hash", "whash": "whash"},
)

#: Names of the algorithms, in registry order.
NAMES = tuple(_FUNCTIONS)


def compute(name: str, image: Any) -> bytes:
    """The 8-byte code of ``image``, an object of Pillow in mode RGB or L, under the algorithm ``name`` of `NAMES`."""
    import imagehash

    code = getattr(imagehash, _FUNCTIONS[name])(image, hash_size=8)
    return np.packbits(code.hash.ravel()).tobytes()
