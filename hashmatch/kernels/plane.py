"""All hashes of a plane of luma, and how close the comparisons were that they rest on.

A JPEG's luma plane is not quite the luma of its colours, so a hash that is made of the plane can be trusted only where
its comparisons are clear (`hashmatch.hashers.luma_margins`). Whether it is trusted decides which hash a file gets: the
numbers here are therefore whole, and the same in every implementation, not merely nearly so. This module defines them:

- PDQ's buffer of 64 x 64 in units of 1/256, its transform with factors in units of 2^-15. All sums are whole numbers
  below 2^53, which float64 holds exactly in any order of summation; what is rounded, at an axis whose last box is
  shorter than the others, is rounded in a fixed order.
- The samples of dHash and aHash as Pillow's arithmetic leaves them before it rounds them to 8 bits.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashmatch.kernels import resample
from hashmatch.kernels.pdq_banded import GRID, dct_matrix, decimation, window

__all__ = ["MAX_SIDE", "MIN_SIDE", "ORDERED_UNIT", "SAMPLE_UNITS", "PlaneHashes", "closest", "ordered"]

MIN_SIDE = 5  # pixels: below, PDQ defines an all-zero hash
MAX_SIDE = 32_768  # pixels: up to here the sums of the buffer are exact

#: Both quartiles, and three on either side of the median.
_PLACES = (63, *range(125, 131), 192)

ORDERED_UNIT = 1 / 512
SAMPLE_UNITS = {"dhash": 2**-22, "ahash": 2**-28}  # of a grey level; aHash's is of 64 samples' sum


class PlaneHashes(NamedTuple):
    """What is made of a plane.

    Attributes:
        codes: algorithm -> its code, or None where rounding could decide (see `hashmatch.kernels.family_from_pixels`).
        quality: of PDQ; 0 where it was not asked for.
        ordered: of PDQ's coefficients in ascending order, those at both quartiles and three on either side of the
            median, in units of `ORDERED_UNIT`: eight numbers.
        closest: ``dhash`` and ``ahash``, if asked for: the fifth smallest difference of what is compared, in
            `SAMPLE_UNITS`.
    """

    codes: dict[str, bytes | None]
    quality: int
    ordered: tuple[int, ...]
    closest: dict[str, int]


def ordered(plane: NDArray[np.uint8]) -> tuple[int, ...]:
    """See `PlaneHashes`."""
    down, shorter_rows = _sums(plane.shape[0])
    across, shorter_columns = _sums(plane.shape[1])
    values = plane.astype(np.float64)
    bands = down @ values
    high, wide = window(plane.shape[0]), window(plane.shape[1])
    if shorter_rows is not None:
        product = np.float32(high / (high - 1)) * (shorter_rows @ values).astype(np.float32)
        more = np.trunc(product * np.float32(1024)) / np.float32(1024)
        bands[-1] = bands[-1].astype(np.float32) + more
    buffer = bands @ across.T
    if shorter_columns is not None:
        buffer[:, -1] += wide / (wide - 1) * (bands @ shorter_columns)
    buffer *= 1 / (float(high) * high * wide * wide)
    whole, transform = np.floor(buffer * 256 + 0.5), _transform()
    coefficients = np.sort(np.floor(transform @ whole @ transform.T * 2.0**-29 + 0.5), axis=None)
    return tuple(coefficients[list(_PLACES)].astype(int).tolist())


@cache
def _transform() -> NDArray[np.float64]:
    return np.floor(dct_matrix() * 2**15 + 0.5)


@lru_cache(maxsize=32)
def _sums(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """``float64[64, n]``, weights 1 2 .. W .. 2 1 of W boxes of W pixels; and the pixels of a shorter box, if any.

    Where W is even, the last of the 64 samples meets a box of W - 1 pixels, to be weighted with W / (W - 1).
    """
    width = window(n)
    first = decimation(n) - 2 * (width - (width + 2) // 2)
    weights = np.zeros((GRID, n))
    triangle = np.concatenate([np.arange(1, width + 1), np.arange(width - 1, 0, -1)])
    for row, start in enumerate(first.tolist()):
        if start + len(triangle) <= n:
            weights[row, start : start + len(triangle)] = triangle
    if first[-1] + len(triangle) <= n:
        return weights, None
    less = np.arange(1, width)
    weights[-1, first[-1] :] = np.concatenate([less, less[::-1]])
    short = np.zeros(n)
    short[n - (width - 1) :] = 1
    return weights, short


def closest(plane: NDArray[np.uint8], name: str, rule: int) -> int:
    """See `PlaneHashes`; ``name`` is ``dhash`` or ``ahash``, ``rule`` as in `resample.vertical_first`."""
    samples = resample.unrounded(plane, *resample.SIZES[name], rule).astype(np.int64)
    distances = samples[:, 1:] - samples[:, :-1] if name == "dhash" else 64 * samples - samples.sum()
    return int(np.sort(np.abs(distances), axis=None)[4])


def hashes(plane: NDArray[np.uint8], names: tuple[str, ...], rule: int) -> PlaneHashes:
    """See `hashmatch.kernels.plane_hashes`."""
    from hashmatch.kernels import reference

    codes: dict[str, bytes | None] = {}
    quality = 0
    if "pdq" in names:
        code, quality = reference.pdq_from_pixels(plane)
        codes["pdq"] = code.tobytes()
    codes |= resample.family(plane, tuple(name for name in names if name != "pdq"), rule)
    margins = {name: closest(plane, name, rule) for name in names if name in SAMPLE_UNITS}
    return PlaneHashes({name: codes[name] for name in names}, quality, ordered(plane), margins)
