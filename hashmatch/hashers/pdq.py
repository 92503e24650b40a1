"""PDQ of pixels, through the kernels.

The 256-bit perceptual hash of Davis and Rosen ("The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing
Algorithm", Facebook, 2019), without the reduction to 512 pixels that Meta's command line puts before it: the profile
``reference``, which equals the package ``pdqhash`` bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels

__all__ = ["pdq", "pdq_dihedral"]


def pdq(pixels: NDArray[np.uint8]) -> tuple[bytes, int]:
    """PDQ of ``pixels``, in any form that `hashmatch.kernels.pdq_from_pixels` takes: (32 bytes, quality 0 to 100).

    Raises:
        ArrayError: wrong dtype or shape.
    """
    code, quality = kernels.pdq_from_pixels(pixels)
    return code.tobytes(), quality


def pdq_dihedral(pixels: NDArray[np.uint8]) -> tuple[tuple[bytes, ...], int]:
    """PDQ of the eight orientations of ``pixels``, in the order of `hashmatch.kernels.DIHEDRAL_ORDER`, and the quality.

    Raises:
        ArrayError: wrong dtype or shape.
    """
    codes, quality = kernels.pdq_dihedral_from_pixels(pixels)
    return tuple(code.tobytes() for code in codes), quality
