"""pHash, dHash and aHash of 64 bits in NumPy, with Pillow's arithmetic: what the native kernels are tested against.

imagehash makes these hashes of a picture that Pillow converted to grey (``convert("L")``) and resized with its LANCZOS
filter. Both are whole-number arithmetic: grey is a weighted sum of the channels with 16 bits of fraction; the filter's
coefficients are computed in float64 and rounded to 22 bits of fraction, one axis is resampled and rounded to 8 bits,
then the other. This module repeats it bit for bit. It does not import Pillow, and it is not fast.

Which axis comes first shows in the result, and depends on Pillow's version: see `vertical_first`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIZES", "family", "grey", "resized", "unrounded", "vertical_first"]

#: Algorithm -> (width, height) of the small picture that it is made of.
SIZES = {"phash": (32, 32), "dhash": (9, 8), "ahash": (8, 8)}

_BITS = 22  # of fraction in a coefficient

#: The coefficients that pHash compares are at most 4 x 32 x 32 x 255 = 2^20, and a float64 transform errs by less than
#: 10^-8 there. If the middle two are further apart than this, every way of computing them gives the same bits.
_MARGIN = 1e-6


def vertical_first(rule: int, width: int, height: int, out_width: int, out_height: int) -> bool:
    """Whether Pillow resamples the columns of a picture before its rows.

    Args:
        rule: 0 never (before 12.2); 1 where the height is over 100 times the width (12.2 and 12.3); 2 where the height
            shrinks by over twice as many pixels as the width (13.0 and later). Found by comparing with each version.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        out_width: of the result, in pixels.
        out_height: of the result, in pixels.
    """
    if rule == 0 or height <= out_height:
        return False
    return height > 100 * width if rule == 1 else height - out_height > 2 * (width - out_width)


def grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``uint8[height, width]`` of ``pixels``, which are that already, or RGB, or RGB and a byte without meaning."""
    if pixels.ndim == 2:
        return pixels
    total = pixels[..., 0] * np.uint32(19595)
    total += pixels[..., 1] * np.uint32(38470)
    total += pixels[..., 2] * np.uint32(7471)
    total += np.uint32(0x8000)
    return (total >> 16).astype(np.uint8)


def _lanczos(x: float) -> float:
    if not -3.0 <= x < 3.0:
        return 0.0
    first, second = x * math.pi, x / 3 * math.pi
    return (math.sin(first) / first if first else 1.0) * (math.sin(second) / second if second else 1.0)


@lru_cache(maxsize=64)
def _coefficients(n: int, outputs: int) -> tuple[tuple[int, NDArray[np.int32]], ...]:
    """Per output sample, the first pixel that it takes part of and the coefficients from there on."""
    scale = n / outputs
    step = 1.0 / max(scale, 1.0)
    support = 3.0 * max(scale, 1.0)
    result = []
    for output in range(outputs):
        centre = (output + 0.5) * scale
        first = max(0, int(centre - support + 0.5))
        end = min(n, int(centre + support + 0.5))
        weights = [_lanczos((x - centre + 0.5) * step) for x in range(first, end)]
        total = 0.0
        for weight in weights:  # one after the other: sum() compensates for roundings, from Python 3.12 on
            total += weight
        scaled = [weight / total * (1 << _BITS) for weight in weights]
        whole = np.array([int(value + (0.5 if value >= 0 else -0.5)) for value in scaled], np.int32)
        whole.setflags(write=False)
        result.append((first, whole))
    return tuple(result)


def _columns_to(lines: NDArray[np.uint8], outputs: int) -> NDArray[np.int32]:
    """``uint8[n, m]`` resampled along its first axis to ``int32[outputs, m]``, in units of 2^-22."""
    if len(lines) == outputs:
        return lines.astype(np.int32) << _BITS
    result = np.empty((outputs, lines.shape[1]), np.int32)
    for output, (first, weights) in enumerate(_coefficients(len(lines), outputs)):
        np.einsum("k,kx->x", weights, lines[first : first + len(weights)].astype(np.int32), out=result[output])
    return result


def _rounded(sums: NDArray[np.int32]) -> NDArray[np.uint8]:
    result: NDArray[np.uint8] = np.clip((sums + np.int32(1 << (_BITS - 1))) >> _BITS, 0, 255).astype(np.uint8)
    return result


def resized(pixels: NDArray[np.uint8], width: int, height: int, rule: int) -> NDArray[np.uint8]:
    """``uint8[height, width]`` of grey ``pixels``, as Pillow's ``resize((width, height), LANCZOS)`` makes it."""
    return _rounded(unrounded(pixels, width, height, rule))


def unrounded(pixels: NDArray[np.uint8], width: int, height: int, rule: int) -> NDArray[np.int32]:
    """The same before its last rounding, in units of 2^-22: ``int32[height, width]``."""
    if vertical_first(rule, pixels.shape[1], pixels.shape[0], width, height):
        return _columns_to(_rounded(_columns_to(pixels, height)).T, width).T
    return _columns_to(_rounded(_columns_to(pixels.T, width)).T, height)


def _phash(small: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    rows, columns = np.arange(8)[:, None], np.arange(32)
    matrix = 2 * np.cos(math.pi * rows * (2 * columns + 1) / 64)
    low = (matrix @ small.astype(np.float64) @ matrix.T).ravel()
    middle = np.sort(low)[31:33]
    if middle[1] - middle[0] < _MARGIN:
        return None
    bits: NDArray[np.bool_] = low > middle.mean()
    return bits


def family(pixels: NDArray[np.uint8], names: tuple[str, ...], rule: int) -> dict[str, bytes | None]:
    """See `hashmatch.kernels.family_from_pixels`."""
    plane = grey(pixels)
    result: dict[str, bytes | None] = {}
    for name in names:
        small = resized(plane, *SIZES[name], rule)
        bits: NDArray[np.bool_] | None
        if name == "phash":
            bits = _phash(small)
        elif name == "dhash":
            bits = (small[:, 1:] > small[:, :-1]).ravel()
        else:
            bits = small.ravel() > small.mean()
        result[name] = None if bits is None else np.packbits(bits).tobytes()
    return result
