"""Pillow's Lanczos resampling of 8-bit grey pictures, to the bit, and the 64-bit hashes of what comes of it.

Written from the definition, so that expectations do not follow the installed Pillow. That matters: up to version 12
Pillow always resamples across first and down second; from version 13 on it goes down first where the height shrinks
much more than the width, and since every pass rounds to 8 bits, hashes of tall pictures changed by some bits.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["REDUCED", "grey_of", "hash_of", "median_gap", "reduced_size", "resampled"]

#: Algorithm -> (width, height) to which it reduces; wHash's size depends on the picture.
REDUCED = {"phash": (32, 32), "dhash": (9, 8), "ahash": (8, 8)}

_LOBES = 3
_PRECISION = 22  # bits of fraction of a weight


def grey_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``uint8[h, w]``: ITU-R 601-2 luma in whole numbers, as Pillow's mode L."""
    if pixels.ndim == 2:
        return pixels
    red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


@cache
def _weights(length: int, wanted: int) -> tuple[tuple[int, NDArray[np.int64]], ...]:
    """For every sample of the result: the first sample that counts, and the weights in 22 bits of fraction."""
    scale = length / wanted
    widening = max(scale, 1.0)
    support = _LOBES * widening
    found = []
    for place in range(wanted):
        centre = (place + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), length)
        x = (np.arange(first, last) - centre + 0.5) / widening
        weights = np.where((x >= -_LOBES) & (x < _LOBES), np.sinc(x) * np.sinc(x / _LOBES), 0.0)
        scaled = weights / weights.sum() * (1 << _PRECISION)
        found.append((first, np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)))
    return tuple(found)


def _down(grey: NDArray[np.uint8], wanted: int) -> NDArray[np.uint8]:
    """Resample along axis 0; nothing is done where the length is right already."""
    if grey.shape[0] == wanted:
        return grey
    half = 1 << (_PRECISION - 1)
    rows = [
        (weights @ grey[first : first + len(weights)].astype(np.int64) + half) >> _PRECISION
        for first, weights in _weights(grey.shape[0], wanted)
    ]
    return np.clip(np.stack(rows), 0, 255).astype(np.uint8)


def resampled(grey: NDArray[np.uint8], width: int, height: int, *, down_first: bool = False) -> NDArray[np.uint8]:
    """``uint8[height, width]``: across and then down, or the other way round."""
    if down_first:
        return _down(_down(grey, height).T, width).T
    return _down(_down(grey.T, width).T, height)


def reduced_size(name: str, width: int, height: int) -> tuple[int, int]:
    """(width, height) to which ``name`` reduces a picture."""
    if name in REDUCED:
        return REDUCED[name]
    side = max(8, 1 << (min(width, height).bit_length() - 1))
    return side, side


def _values(name: str, reduced: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The 64 values that stand on one side of the median or the other."""
    if name == "phash":
        k, n = np.mgrid[:8, :32]
        matrix = 2 * np.cos(np.pi * k * (2 * n + 1) / 64)
        return np.asarray(matrix @ reduced.astype(np.float64) @ matrix.T)
    # wHash: a low band of Haar's wavelet is the mean of each tile times its side; taking the coarsest term away
    # subtracts one number from all of them, which moves the median along.
    tile = reduced.shape[0] // 8
    return np.asarray((reduced / 255).reshape(8, tile, 8, tile).mean(axis=(1, 3)) * tile)


def median_gap(name: str, reduced: NDArray[np.uint8]) -> float:
    """Distance between the two middle values, which the threshold lies between; infinite where there is no median."""
    if name in ("ahash", "dhash"):
        return float("inf")
    ranked = np.sort(_values(name, reduced), axis=None)
    return float(ranked[32] - ranked[31])


def hash_of(name: str, reduced: NDArray[np.uint8]) -> bytes:
    """The 8-byte hash of a reduced picture."""
    if name == "ahash":
        bits = reduced > reduced.mean()
    elif name == "dhash":
        bits = reduced[:, 1:] > reduced[:, :-1]
    else:
        values = _values(name, reduced)
        bits = values > np.median(values)
    return np.packbits(bits).tobytes()
