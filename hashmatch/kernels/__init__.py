"""The numeric kernels, behind one boundary: checks here, arithmetic in an implementation.

Every function below checks its arguments once, for all implementations, and then calls the implementation in use:
the fastest that this machine has, or the one that the environment variable ``HASHMATCH_KERNELS`` forces. The variable
is read at every call, so that a test can change it; a forced implementation that is missing is an error and never
replaced by another one.

All implementations give the same answer: integer kernels bit for bit in the same order, PDQ bit for bit as the
package ``pdqhash`` does (see `hashmatch.kernels.reference`).

``numpy`` is always there. The others are in the native extension ``hashmatch._native``, which is built where there is a
C compiler (``native/README.md``); `hashmatch.kernels.native` is the one module that imports it.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import ArrayError, KernelUnavailableError, RadiusError, shorten

__all__ = [
    "DIHEDRAL_ORDER",
    "ENVIRONMENT_VARIABLE",
    "Implementation",
    "active",
    "forced",
    "hamming_range",
    "implementations",
    "pdq_dihedral_from_luma",
    "pdq_from_luma",
    "rgb_to_luma",
]

#: Name of the environment variable that forces an implementation.
ENVIRONMENT_VARIABLE = "HASHMATCH_KERNELS"

#: Order of the eight orientations that `pdq_dihedral_from_luma` returns.
DIHEDRAL_ORDER = ("original", "r90", "r180", "r270", "flipx", "flipy", "flip_plus", "flip_minus")

_MAX_WIDTH = 8191  # bytes: 65,528 bits, the most that a uint16 distance can hold

HammingRange = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]


class Kernels(Protocol):
    """What an implementation provides. Arguments have been checked; signatures are those of the public functions."""

    def hamming_range(self, queries: NDArray[np.uint8], database: NDArray[np.uint8], radius: int) -> HammingRange: ...
    def pdq_from_luma(self, luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]: ...
    def pdq_dihedral_from_luma(self, luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]: ...
    def rgb_to_luma(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Implementation:
    """One implementation of the kernels, present or not.

    Attributes:
        name: the value of ``HASHMATCH_KERNELS`` that forces it.
        available: whether this installation on this machine can run it.
        reason: why it is not available; "" where it is.
    """

    name: str
    available: bool
    reason: str


def _load_numpy() -> Kernels:
    from hashmatch.kernels import reference

    return cast("Kernels", reference)


def _load_native(number: int) -> Kernels:
    from hashmatch.kernels.native import NativeKernels

    return NativeKernels(number)


#: Every name that ``HASHMATCH_KERNELS`` may carry, fastest first.
_NAMES = ("avx512", "avx2", "neon", "portable", "numpy")


def _find() -> tuple[dict[str, Callable[[], Kernels]], dict[str, str]]:
    """Name -> function that loads the implementation, fastest first; and name -> why it is not available."""
    loaders: dict[str, Callable[[], Kernels]] = {}
    try:
        from hashmatch.kernels import native
    except ImportError as error:
        # Not found: it was not built. Anything else, such as a library that it needs, is worth telling.
        absent = isinstance(error, ModuleNotFoundError)
        why = "is not part of this installation" if absent else f"cannot be loaded: {shorten(str(error))}"
        reasons = dict.fromkeys(_NAMES, f"the native extension hashmatch._native {why}")
    else:
        loaders |= {name: partial(_load_native, number) for name, number in native.numbers().items()}
        reasons = dict.fromkeys(_NAMES, "not for this kind of processor") | native.reasons()
    loaders["numpy"] = _load_numpy
    return loaders, {name: reason for name, reason in reasons.items() if name not in loaders}


_LOADERS, _REASONS = _find()


def implementations() -> list[Implementation]:
    """All implementations that hashmatch knows, fastest first, whether or not this machine has them."""
    return [Implementation(name, name in _LOADERS, _REASONS.get(name, "")) for name in _NAMES]


def forced() -> bool:
    """Whether ``HASHMATCH_KERNELS`` forces an implementation."""
    return bool(os.environ.get(ENVIRONMENT_VARIABLE))


def active() -> str:
    """Name of the implementation in use.

    Raises:
        KernelUnavailableError: ``HASHMATCH_KERNELS`` names one that does not exist or that this machine lacks.
    """
    name = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if not name:
        return next(iter(_LOADERS))
    if name not in _LOADERS:
        known = {item.name: item.reason for item in implementations()}
        why = known.get(name, f"no such implementation; known are {', '.join(_NAMES)}")
        raise KernelUnavailableError(
            f"{ENVIRONMENT_VARIABLE} forces the kernels {shorten(name)}: {why}; available here: {', '.join(_LOADERS)}"
        )
    return name


@cache
def _loaded(name: str) -> Kernels:
    return _LOADERS[name]()


def hamming_range(queries: NDArray[np.uint8], database: NDArray[np.uint8], radius: int) -> HammingRange:
    """All pairs within ``radius`` bits, complete and exact.

    Args:
        queries: ``uint8[n, width]``, one code a row; width of at least one byte. Need not be contiguous.
        database: ``uint8[rows, width]``, the same width.
        radius: largest distance that still matches, in bits, inclusive; 0 to ``8 * width``.

    Returns:
        ``(offsets int64[n + 1], rows int64[m], distances uint16[m])``. The matches of query ``i`` are
        ``rows[offsets[i]:offsets[i + 1]]``, ordered by (distance, row).

    Raises:
        ArrayError: wrong dtype or shape, or two widths.
        RadiusError: not an integer, negative, or more than the bits of a code.
        KernelUnavailableError: the forced implementation is missing.
    """
    _check_codes("queries", queries)
    _check_codes("database", database)
    width = queries.shape[1]
    if database.shape[1] != width:
        raise ArrayError(f"queries are {width:,} bytes wide and the database {database.shape[1]:,}; expected one width")
    return _loaded(active()).hamming_range(queries, database, _checked_radius(radius, 8 * width))


def rgb_to_luma(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma 0.299 R + 0.587 G + 0.114 B, summed in float64 in this order and rounded once.

    Args:
        rgb: ``uint8[height, width, 3]``.

    Returns:
        ``float32[height, width]``, C-contiguous, 0 to 255.

    Raises:
        ArrayError: wrong dtype or shape.
        KernelUnavailableError: the forced implementation is missing.
    """
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ArrayError(f"pixels are {_describe(rgb)}; expected uint8[height, width, 3]")
    return _loaded(active()).rgb_to_luma(rgb)


def pdq_from_luma(luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]:
    """PDQ of a luma plane, bit for bit as the package ``pdqhash`` computes it (no resize before the filter).

    Args:
        luma: ``float32[height, width]``, values 0 to 255 (`rgb_to_luma`).

    Returns:
        ``(code uint8[32], quality)``: the 256-bit hash in big-endian order and its quality, 0 to 100. A side under 5
        pixels gives an all-zero code and quality 0.

    Raises:
        ArrayError: wrong dtype or shape, or a value outside 0 to 255 (NaN included).
        KernelUnavailableError: the forced implementation is missing.
    """
    _check_luma(luma)
    return _loaded(active()).pdq_from_luma(luma)


def pdq_dihedral_from_luma(luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]:
    """PDQ of the eight orientations of a luma plane from one transform, as ``pdqhash.compute_dihedral`` does.

    Args:
        luma: ``float32[height, width]``, values 0 to 255 (`rgb_to_luma`).

    Returns:
        ``(codes uint8[8, 32], quality)``, in the order of `DIHEDRAL_ORDER`. A plane of exactly 64x64 is filtered here
        and not in `pdq_from_luma`, as in the original; otherwise ``codes[0]`` is that function's code.

    Raises:
        ArrayError: wrong dtype or shape, or a value outside 0 to 255 (NaN included).
        KernelUnavailableError: the forced implementation is missing.
    """
    _check_luma(luma)
    return _loaded(active()).pdq_dihedral_from_luma(luma)


def _describe(value: object) -> str:
    if not isinstance(value, np.ndarray):
        return f"a {type(value).__name__}"
    return f"{value.dtype}[{', '.join(str(side) for side in value.shape)}]"


def _check_codes(what: str, codes: NDArray[np.uint8]) -> None:
    right = isinstance(codes, np.ndarray) and codes.dtype == np.uint8 and codes.ndim == 2
    if not right or not 1 <= codes.shape[1] <= _MAX_WIDTH:
        raise ArrayError(f"{what} are {_describe(codes)}; expected uint8[n, width] with a width of 1 to {_MAX_WIDTH:,}")


def _check_luma(luma: NDArray[np.float32]) -> None:
    if not isinstance(luma, np.ndarray) or luma.dtype != np.float32 or luma.ndim != 2:
        raise ArrayError(f"luma is {_describe(luma)}; expected float32[height, width]")
    # Also catches NaN, which no comparison holds for: a running sum would spread it over the whole picture.
    if luma.size and not (luma.min() >= 0 and luma.max() <= 255):
        raise ArrayError(f"luma runs from {luma.min()} to {luma.max()}; expected values from 0 to 255")


def _checked_radius(radius: int, bits: int) -> int:
    try:
        value = operator.index(radius)
    except TypeError:
        value = -1
    if isinstance(radius, bool) or not 0 <= value <= bits:
        raise RadiusError(f"radius is {shorten(radius)}; expected a whole number of bits from 0 to {bits:,}")
    return value
