"""Benign synthetic images, made from a seed: for the demonstration, the tests and the benchmarks.

Everything is integer arithmetic on a small generator of its own (splitmix64, counter-based), so that a seed gives the
same pixels on every machine and with every version of NumPy; NumPy's own generators promise that for their raw
streams only.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import UsageError, shorten

__all__ = ["GLYPHS", "KINDS", "image"]

#: Kinds of image that `image` makes.
KINDS = ("gradient", "noise", "shapes", "text")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15

# Seven rows of five pixels per character, the highest bit on the left.
_FONT = """
0 0e11131519110e 1 040c040404040e 2 0e11010204081f 3 1f02040201110e 4 02060a121f0202 5 1f101e0101110e
6 0608101e11110e 7 1f010204080808 8 0e11110e11110e 9 0e11110f01020c A 0e11111f111111 B 1e11111e11111e
C 0e11101010110e D 1c12111111121c E 1f10101e10101f F 1f10101e101010 G 0e11101711110f H 1111111f111111
I 0e04040404040e J 0702020202120c K 11121418141211 L 1010101010101f M 111b1515111111 N 11111915131111
O 0e11111111110e P 1e11111e101010 Q 0e11111115120d R 1e11111e141211 S 0f10100e01011e T 1f040404040404
U 1111111111110e V 11111111110a04 W 1111111515150a X 11110a040a1111 Y 1111110a040404 Z 1f01020408101f
"""


def _glyphs() -> MappingProxyType[str, NDArray[np.bool_]]:
    words = _FONT.split()
    glyphs = {}
    for name, rows in zip(words[::2], words[1::2], strict=True):
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(rows), np.uint8)[:, None], axis=1)
        glyphs[name] = bits[:, 3:].astype(bool)
        glyphs[name].setflags(write=False)
    return MappingProxyType(glyphs)


#: Character -> its bitmap, ``bool[7, 5]``: the digits and the capital letters.
GLYPHS = _glyphs()


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class _Stream:
    """Pseudo-random whole numbers (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014)."""

    def __init__(self, seed: int, salt: int) -> None:
        self._state = _mix((_mix(seed & _MASK) + salt * _GOLDEN) & _MASK)

    def below(self, bound: int) -> int:
        """A number from 0 to ``bound - 1``. The bias of the remainder is of no matter here."""
        self._state = (self._state + _GOLDEN) & _MASK
        return _mix(self._state) % bound

    def between(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``, both inclusive."""
        return low + self.below(high - low + 1)

    def colour(self) -> NDArray[np.uint8]:
        return np.array([self.below(256) for _ in range(3)], np.uint8)

    def field(self, height: int, width: int, amplitude: int) -> NDArray[np.int32]:
        """``int32[height, width]`` of independent values from ``-amplitude`` to ``amplitude``, below 2**23."""
        self._state = (self._state + _GOLDEN) & _MASK
        # Two values to each 64-bit word: half the work for the largest octave.
        count = height * width
        words = np.arange(1, (count + 1) // 2 + 1, dtype=np.uint64)
        words *= np.uint64(_GOLDEN)
        words += np.uint64(self._state)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            words ^= words >> np.uint64(shift)
            words *= np.uint64(factor)
        words ^= words >> np.uint64(31)
        low = (words & np.uint64(0xFFFFFFFF)).astype(np.int64)
        high = (words >> np.uint64(32)).astype(np.int64)
        values = np.concatenate([low, high])[:count]
        values *= 2 * amplitude + 1
        values >>= 32
        values -= amplitude
        return values.astype(np.int32).reshape(height, width)


def _doubled(grid: NDArray[np.int32]) -> NDArray[np.int32]:
    """Linear interpolation to twice the sides, less one, in whole numbers."""
    rows, columns = grid.shape
    result = np.empty((2 * rows - 1, 2 * columns - 1), np.int32)
    result[::2, ::2] = grid
    result[::2, 1::2] = (grid[:, :-1] + grid[:, 1:]) >> 1
    result[1::2] = (result[:-1:2] + result[2::2]) >> 1
    return result


def _fractal(stream: _Stream, height: int, width: int, amplitude: int, silent: int = 0) -> NDArray[np.int32]:
    """Octaves of noise, each interpolated from the one before: amplitude falls with frequency as in photographs.

    The last ``silent`` octaves add nothing but interpolation.
    """
    octaves = max(0, (max(height, width) - 1).bit_length() - 2)
    grid = stream.field((height - 1 >> octaves) + 2, (width - 1 >> octaves) + 2, amplitude)
    for octave in range(octaves - 1, -1, -1):
        grid = _doubled(grid)[: (height - 1 >> octave) + 2, : (width - 1 >> octave) + 2]
        amplitude = amplitude * 5 // 8
        if octave >= silent:
            rows, columns = grid.shape
            grid += stream.field(rows, columns, amplitude)
    return grid[:height, :width]


def _noise(stream: _Stream, width: int, height: int) -> NDArray[np.uint8]:
    scale = 12  # bits of fraction
    light = _fractal(stream, height, width, 80 << scale)
    result = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        tint = _fractal(stream, height, width, 40 << scale, silent=4)
        tint += light
        tint >>= scale
        tint += stream.between(110, 145)
        np.clip(tint, 0, 255, out=tint)
        result[..., channel] = tint
    return result


def _gradient(stream: _Stream, width: int, height: int) -> NDArray[np.uint8]:
    result = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        start = stream.below(256)
        # The two slopes share what is left of the scale, so that no channel wraps around.
        room = 255 - start if stream.below(2) else -start
        across = stream.between(min(0, room), max(0, room))
        line = np.arange(width) * across // max(1, width - 1)
        column = np.arange(height) * (room - across) // max(1, height - 1)
        result[..., channel] = np.clip(start + line + column[:, None], 0, 255)
    return result


def _shapes(stream: _Stream, width: int, height: int) -> NDArray[np.uint8]:
    result = _gradient(stream, width, height)
    longest = max(width, height)
    for _ in range(stream.between(60, 90)):
        size = max(1, stream.between(longest // 40, longest // 8))
        x, y = stream.below(width), stream.below(height)
        high = max(1, size * stream.between(3, 10) // 10)
        box = np.s_[max(0, y - high) : y + high, max(0, x - size) : x + size]
        rows = np.arange(height)[box[0], None] - y
        columns = np.arange(width)[box[1]] - x
        kind = stream.below(3)
        colour = stream.colour()
        if kind == 0:
            result[box] = colour
        elif kind == 1:  # an ellipse
            result[box][(rows * size) ** 2 + (columns * high) ** 2 < (size * high) ** 2] = colour
        else:  # a triangle with its tip up
            result[box][2 * np.abs(columns) * high < (rows + high) * size] = colour
    return result


def _text(stream: _Stream, width: int, height: int) -> NDArray[np.uint8]:
    ink, paper = stream.colour() // 4, 255 - stream.colour() // 6
    result = np.empty((height, width, 3), np.uint8)
    result[:] = paper
    scale = max(1, min(width, height) // stream.between(50, 110))
    names = list(GLYPHS)
    for top in range(2 * scale, height, 10 * scale):
        indent = stream.between(1, 8)
        for left in range(indent * scale, width, 6 * scale):
            if stream.below(6) == 0:
                continue  # a space between words
            glyph = GLYPHS[names[stream.below(len(names))]].repeat(scale, axis=0).repeat(scale, axis=1)
            part = result[top : top + 7 * scale, left : left + 5 * scale]
            part[glyph[: part.shape[0], : part.shape[1]]] = ink
    return result


_MAKERS: dict[str, Callable[[_Stream, int, int], NDArray[np.uint8]]] = {
    "gradient": _gradient,
    "noise": _noise,
    "shapes": _shapes,
    "text": _text,
}


def image(seed: int, width: int, height: int, kind: str | None = None) -> NDArray[np.uint8]:
    """A synthetic image.

    Args:
        seed: any whole number; the same seed, sides and kind give the same pixels everywhere.
        width: in pixels, at least 1.
        height: in pixels, at least 1.
        kind: one of `KINDS`, or None to let the seed choose. ``noise`` has the spectrum of photographs, ``shapes`` hard
            edges, ``text`` lines of characters; all three carry enough detail for PDQ from 64 pixels a side.
            ``gradient`` has next to none.

    Returns:
        ``uint8[height, width, 3]``, RGB, C-contiguous.

    Raises:
        UsageError: an unknown kind, or a side under one pixel.
    """
    if width < 1 or height < 1:
        raise UsageError(f"a synthetic image of {width} x {height} pixels was asked for; expected sides of 1 or more")
    if kind is None:
        kind = KINDS[_Stream(seed, 0).below(len(KINDS))]
    if kind not in _MAKERS:
        raise UsageError(f"unknown kind of image {shorten(kind)}; expected one of {', '.join(KINDS)}")
    return _MAKERS[kind](_Stream(seed, 1 + KINDS.index(kind)), width, height)
