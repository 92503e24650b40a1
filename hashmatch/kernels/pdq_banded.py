"""PDQ's filter as one small linear operator per axis, in float64.

Two box passes and the decimation to 64 samples are linear along each axis, so the 64x64 buffer is ``A L B^T`` with
``A`` of shape 64 x height and ``B`` of shape 64 x width. A row of either has about n/64 non-zeros, next to each other:
the whole filter costs about one multiply-add per pixel and streams over the picture in bands of rows.

Boxes of different axes commute, which is why the two passes along one axis can be multiplied into one operator. That
holds in exact arithmetic; `hashmatch.kernels.reference` bounds what rounding makes of it.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRID", "dct_matrix", "decimated", "decimation", "operator", "window"]

#: Side of the decimated buffer, in samples.
GRID = 64


def window(n: int) -> int:
    """Full width, in pixels, of the box along an axis of ``n`` pixels: 1 up to 128 pixels, then one more per 128."""
    return (n + 127) // 128


def decimation(n: int) -> NDArray[np.intp]:
    """The 64 indices, ascending, at which an axis of ``n`` pixels is sampled; with repeats where n < 64."""
    return ((np.arange(GRID) + 0.5) * n / GRID).astype(np.intp)


@cache
def dct_matrix() -> NDArray[np.float64]:
    """``float64[16, 64]``: rows 1 to 16 of the 64-point DCT-II, without the constant row.

    The common factor is rounded to float32 first, as in the original.
    """
    rows, columns = np.arange(1, 17)[:, None], np.arange(GRID)
    scale = float(np.float32(math.sqrt(2 / GRID)))
    matrix: NDArray[np.float64] = scale * np.cos(math.pi / 2 / GRID * rows * (2 * columns + 1))
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=128)
def operator(n: int) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    """The 64 rows of the operator for an axis of ``n`` pixels, each as (first index, its non-zero weights).

    One box at ``o`` averages the pixels from ``max(0, o - full + half)`` to ``min(n, o + half)``, the latter
    exclusive: at the borders the window shrinks, and the divisor with it. A row of the operator is the mean of the
    boxes that the second pass averages.
    """
    full = window(n)
    half = (full + 2) // 2
    centres = np.arange(n)
    starts = np.maximum(0, centres - (full - half))
    stops = np.minimum(n, centres + half)
    rows = []
    for centre in decimation(n):
        boxes = slice(starts[centre], stops[centre])
        first, end = int(starts[boxes][0]), int(stops[boxes][-1])
        pixels = np.arange(first, end)
        inside = (pixels >= starts[boxes, None]) & (pixels < stops[boxes, None])
        weights = (inside / (stops - starts)[boxes, None]).sum(axis=0) / len(inside)
        weights.setflags(write=False)
        rows.append((first, weights))
    return tuple(rows)


def decimated(luma: NDArray[np.float32]) -> NDArray[np.float64]:
    """The 64x64 buffer of ``luma``, in float64; no more than one band of rows is held in float64 at a time."""
    height, width = luma.shape
    bands = np.empty((GRID, width))
    for row, (first, weights) in enumerate(operator(height)):
        # einsum, not a BLAS product: no threads of its own inside a pool of worker processes, and as fast here.
        np.einsum("k,kx->x", weights, luma[first : first + len(weights)].astype(np.float64), out=bands[row])
    columns = np.ascontiguousarray(bands.T)
    buffer = np.empty((GRID, GRID))
    for column, (first, weights) in enumerate(operator(width)):
        np.einsum("k,ky->y", weights, columns[first : first + len(weights)], out=buffer[column])
    return np.ascontiguousarray(buffer.T)
