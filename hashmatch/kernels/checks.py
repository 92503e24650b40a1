"""What the arguments of kernels must be: checked once, for all implementations, before any of them sees the arrays."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import ArrayError, RadiusError, shorten
from hashmatch.kernels.digests import Found, RowTexts
from hashmatch.kernels.plane import MAX_SIDE, MIN_SIDE

__all__ = [
    "FAMILY",
    "check_codes",
    "check_digest_table",
    "check_lookup_texts",
    "check_luma",
    "check_pixels",
    "check_plane",
    "checked_family",
    "checked_radius",
    "described",
]

#: The algorithms that `hashmatch.kernels.family_from_pixels` computes.
FAMILY = ("phash", "dhash", "ahash")

_MAX_WIDTH = 8191  # bytes: 65,528 bits, the most that a uint16 distance can hold


def described(value: object) -> str:
    """What an argument is, for messages: its dtype and shape, or its type."""
    if not isinstance(value, np.ndarray):
        return f"a {type(value).__name__}"
    return f"{value.dtype}[{', '.join(str(side) for side in value.shape)}]"


def check_codes(what: str, codes: NDArray[np.uint8], least: int = 1) -> None:
    """Check codes, ``uint8[n, width]`` with a width of ``least`` to 8,191 bytes; ``what`` names them in messages.

    Raises:
        ArrayError: they are something else.
    """
    right = isinstance(codes, np.ndarray) and codes.dtype == np.uint8 and codes.ndim == 2
    if not right or not least <= codes.shape[1] <= _MAX_WIDTH:
        expected = f"uint8[n, width] with a width of {least} to {_MAX_WIDTH:,}"
        raise ArrayError(f"{what} are {described(codes)}; expected {expected}")


def check_pixels(pixels: NDArray[np.uint8], least: int = 0) -> None:
    """Check a picture, uint8 of shape (height, width), with 3 or 4 channels behind or without, ``least`` pixels a side.

    Raises:
        ArrayError: it is something else.
    """
    right = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim in (2, 3)
    if not right or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)) or min(pixels.shape[:2]) < least:
        expected = "uint8[height, width], uint8[height, width, 3] or uint8[height, width, 4]"
        sides = ", of at least one pixel" if least else ""
        raise ArrayError(f"pixels are {described(pixels)}; expected {expected}{sides}")


def checked_family(names: Iterable[str], vertical_first: int) -> tuple[str, ...]:
    """``names`` as a tuple.

    Raises:
        ValueError: a name outside `FAMILY`, or a ``vertical_first`` that is not 0, 1 or 2.
    """
    chosen = tuple(names)
    for name in chosen:
        if name not in FAMILY:
            raise ValueError(f"unknown name {shorten(str(name))}; expected some of {', '.join(FAMILY)}")
    if isinstance(vertical_first, bool) or vertical_first not in (0, 1, 2):
        raise ValueError(f"vertical_first is {shorten(str(vertical_first))}; expected 0, 1 or 2")
    return chosen


def check_luma(luma: NDArray[np.float32]) -> None:
    """Check a luma plane, ``float32[height, width]`` with values from 0 to 255.

    Raises:
        ArrayError: it is something else.
    """
    if not isinstance(luma, np.ndarray) or luma.dtype != np.float32 or luma.ndim != 2:
        raise ArrayError(f"luma is {described(luma)}; expected float32[height, width]")
    # Also catches NaN, which no comparison holds for: a running sum would spread it over the whole picture.
    if luma.size and not (luma.min() >= 0 and luma.max() <= 255):
        raise ArrayError(f"luma runs from {luma.min()} to {luma.max()}; expected values from 0 to 255")


def checked_radius(radius: int, most: int, of: str = "bits") -> int:
    """``radius`` as an int, from 0 to ``most``, inclusive; ``of`` names its units in messages.

    Raises:
        RadiusError: it is something else.
    """
    try:
        value = operator.index(radius)
    except TypeError:
        value = -1
    if isinstance(radius, bool) or not 0 <= value <= most:
        raise RadiusError(f"radius is {shorten(radius)}; expected a whole number of {of} from 0 to {most:,}")
    return value


def check_plane(plane: NDArray[np.uint8]) -> None:
    """Check the luma plane of a decoder, ``uint8[height, width]`` of `MIN_SIDE` to `MAX_SIDE` pixels a side.

    Raises:
        ArrayError: it is something else.
    """
    right = isinstance(plane, np.ndarray) and plane.dtype == np.uint8 and plane.ndim == 2
    if not right or min(plane.shape) < MIN_SIDE or max(plane.shape) > MAX_SIDE:
        sides = f"of {MIN_SIDE} to {MAX_SIDE:,} pixels a side"
        raise ArrayError(f"the plane is {described(plane)}; expected uint8[height, width] {sides}")


def check_digest_table(values: NDArray[np.uint8], table: NDArray[np.uint32], queries: NDArray[np.uint8]) -> None:
    """Check the arguments of `hashmatch.kernels.digest_lookup`.

    Raises:
        ArrayError: wrong dtype or shape, or two widths.
    """
    check_codes("values", values, 8)
    check_codes("queries", queries, 8)
    if queries.shape[1] != values.shape[1]:
        raise ArrayError(
            f"queries are {queries.shape[1]:,} bytes wide and values {values.shape[1]:,}; expected one width"
        )
    right = isinstance(table, np.ndarray) and table.dtype == np.uint32 and table.ndim == 1
    if not right or not 3 <= len(table) <= (1 << 31) + 1 or (len(table) - 1).bit_count() != 1:
        raise ArrayError(f"the table is {described(table)}; expected uint32[2**bits + 1] with bits from 1 to 31")


def check_lookup_texts(found: Found, texts: RowTexts, out: NDArray[np.uint8]) -> None:
    """Check the arrays of `hashmatch.kernels.write_lookup_lines`.

    Raises:
        ArrayError: wrong dtype, shape or contiguity.
    """
    check_codes("digests", found.digests, 4)
    if found.digests.shape[1] % 4:
        raise ArrayError(f"digests are {described(found.digests)}; expected a width that is a multiple of 4")
    for name, array, dtype, length in (
        ("first", found.first, np.int64, len(found.digests)),
        ("last", found.last, np.int64, len(found.digests)),
        ("rows", texts.rows, np.uint32, None),
        ("source", texts.source, np.uint32, None),
        ("category", texts.category, np.uint32, len(texts.source)),
        ("ref_offsets", texts.ref_offsets, np.uint64, len(texts.source) + 1),
        ("ref_text", texts.ref_text, np.uint8, None),
        ("source names", texts.sources.text, np.uint8, None),
        ("source offsets", texts.sources.offsets, np.uint64, None),
        ("category names", texts.categories.text, np.uint8, None),
        ("category offsets", texts.categories.offsets, np.uint64, None),
        ("out", out, np.uint8, None),
    ):
        right = isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == 1 and array.flags.c_contiguous
        if not right or length not in (None, len(array)):
            expected = f"{np.dtype(dtype)}[{'n' if length is None else f'{length:,}'}]"
            raise ArrayError(f"{name} is {described(array)}; expected {expected}, contiguous")
    if not out.flags.writeable:
        raise ArrayError("out is read-only; expected a writable array")
