"""Which hashes a JPEG's luma plane can be trusted for: those that the full-colour route could change by 4 bits at most.

A decoder makes RGB from luma and chroma, rounds, and clips what lies outside 0 to 255. Luma computed from that RGB is
not the luma plane any more: off by a fifth of a grey level nearly everywhere (rounding), by several where saturated
colours were clipped. A bit of a hash differs between the two routes only if what it compares lay that close to its
threshold. So what this module asks, in one pass over the plane, is how close the comparisons are.

- PDQ's 256 coefficients flip in pairs across the median: more than 4 bits means that three of either side crossed it.
  The least disturbance that could do that moves the six middle ones to one value: their distance from their mean.
  It is compared with what colour can do to a picture of this contrast and size, compressed this hard.
- aHash and dHash differ in more than 4 bits if the fifth closest comparison of the 8 x 8 or 9 x 8 grey levels falls
  the other way.
- pHash has far fewer coefficients near its median, and was never seen to differ by more than 4 bits but in pictures
  without detail. Those are told by the spread of PDQ's coefficients, and no hash of theirs is trusted.

The limits are measured, not proved: on 11,500 generated JPEGs of 128 to 1,024 pixels a side, qualities 70 to 98, all
subsamplings, half of them with colours and contrast pushed far into clipping. Of those, 11 would differ in more than 4
bits of PDQ without a limit, 15 of aHash, one of dHash; the limits stand above the worst of them by 3%, 50% and 190%.
``benchmarks/luma_profile.py`` reports what is left; it found the case that the second limit of PDQ is there for. A
wrong "doubtful" costs a second decoding and changes no bit that the reference would not have.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hashmatch.kernels.pdq_banded import GRID, dct_matrix, decimation, window

__all__ = ["measure", "trusted", "worth_decoding"]

_MIN_SIDE = 128  # pixels: in smaller pictures too few errors average out, and decoding them fully costs little
_MAX_STEP = 60.0  # mean step of the coarsest table, quality 66 of libjpeg: coarser chroma errs by more than is measured
_MIN_SPREAD = 5.0  # interquartile range of PDQ's coefficients: 3.8 was the most of a picture that pHash failed on
# The disturbance was seen to grow as spread^0.7 (step / shorter side)^0.5. Rounding alone does not depend on step or
# contrast: in pictures of nearly one colour its errors are the same over large parts.
_PDQ, _PDQ_ROUNDING = 0.2, 9.0
_AHASH, _DHASH = 0.7, 0.5  # grey levels

_MIDDLE = range(125, 131)  # three of either side of the median, in ascending order

_BAND = 64  # rows that are held in float32 at a time


def worth_decoding(width: int, height: int, step: float) -> bool:
    """Whether a JPEG of this size and compression can be trusted at all (see `hashmatch.imaging.decode`).

    Args:
        width: in pixels.
        height: in pixels.
        step: mean step of the coarsest quantisation table.
    """
    return min(width, height) >= _MIN_SIDE and step <= _MAX_STEP


def trusted(plane: NDArray[np.uint8], step: float, algorithms: Iterable[str]) -> list[str]:
    """Those of ``algorithms`` that can be made from the luma plane of a JPEG that is `worth_decoding`.

    Args:
        plane: ``uint8[height, width]``.
        step: mean step of the coarsest quantisation table.
        algorithms: names of perceptual algorithms, in the order of the result. ``whash``, whose thresholds nobody has
            measured, is never trusted.
    """
    wanted = list(algorithms)
    coefficients, eight, nine = measure(plane)
    # Plain numbers from here on: what NumPy spends on a call is more than what it saves on so few.
    ordered = np.sort(coefficients, axis=None)[[63, *_MIDDLE, 192]].tolist()
    spread = ordered[-1] - ordered[0]
    if spread < _MIN_SPREAD:
        return []
    doubtful = {"whash"}
    middle = ordered[1:-1]
    mean = sum(middle) / len(middle)
    disturbance = sum((value - mean) ** 2 for value in middle) ** 0.5
    if disturbance < max(_PDQ * spread**0.7 * step**0.5, _PDQ_ROUNDING) / min(plane.shape) ** 0.5:
        doubtful.add("pdq")
    if "ahash" in wanted:
        levels = eight.ravel().tolist()
        mean = sum(levels) / len(levels)
        if sorted(abs(level - mean) for level in levels)[4] < _AHASH:
            doubtful.add("ahash")
    if "dhash" in wanted and sorted(np.abs(nine[:, 1:] - nine[:, :-1]).ravel().tolist())[4] < _DHASH:
        doubtful.add("dhash")
    return [name for name in wanted if name not in doubtful]


def measure(plane: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """What the hashes of a plane compare: ``(float32[16, 16], float32[8, 8], float32[8, 9])``.

    PDQ's coefficients, and the plane at 8 x 8 and at 9 x 8 pixels (width by height) through the Lanczos filter, without
    the roundings that Pillow makes.

    Args:
        plane: ``uint8[height, width]``.
    """
    height, width = plane.shape
    down = _rows(height)
    bands = np.zeros((len(down), width), np.float32)
    for top in range(0, height, _BAND):
        bands += down[:, top : top + _BAND] @ plane[top : top + _BAND].astype(np.float32)
    across = _columns(width)
    return (
        bands[:16] @ across[:16].T,
        bands[16:] @ across[16:24].T,
        bands[16:] @ across[24:].T,
    )


@lru_cache(maxsize=128)
def _rows(n: int) -> NDArray[np.float32]:
    return np.concatenate([_pdq(n), _lanczos(n, 8)])


@lru_cache(maxsize=128)
def _columns(n: int) -> NDArray[np.float32]:
    return np.concatenate([_pdq(n), _lanczos(n, 8), _lanczos(n, 9)])


def _pdq(n: int) -> NDArray[np.float32]:
    """``float32[16, n]``: two box passes, the decimation and the transform of an axis of ``n`` pixels in one matrix.

    The same operator as `hashmatch.kernels.pdq_banded.operator`, made at once: a row is a mean of boxes, a box two
    steps, and the steps are summed up in the end.
    """
    full = window(n)
    half = (full + 2) // 2
    pixels = np.arange(n)
    starts, stops = np.maximum(0, pixels - (full - half)), np.minimum(n, pixels + half)
    centres = decimation(n)[:, None] + np.arange(-(full - half), half)
    inside = (centres >= 0) & (centres < n)
    rows = np.broadcast_to(np.arange(GRID)[:, None], centres.shape)[inside]
    boxes = centres[inside]
    weights = 1 / ((stops - starts)[boxes] * inside.sum(axis=1)[rows])
    steps = np.zeros((GRID, n + 1))
    np.add.at(steps, (rows, starts[boxes]), weights)
    np.subtract.at(steps, (rows, stops[boxes]), weights)
    return np.asarray(dct_matrix() @ steps.cumsum(axis=1)[:, :n], np.float32)


def _lanczos(n: int, to: int) -> NDArray[np.float32]:
    """``float32[to, n]``: the Lanczos filter of three lobes from ``n`` pixels to ``to``, as Pillow defines it."""
    scale = max(1.0, n / to)
    distance = (np.arange(n) + 0.5 - (np.arange(to)[:, None] + 0.5) * (n / to)) / scale
    weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
