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

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import ArrayError, KernelUnavailableError, shorten
from hashmatch.kernels import ring
from hashmatch.kernels.checks import (
    FAMILY,
    check_codes,
    check_digest_table,
    check_lookup_texts,
    check_luma,
    check_pixels,
    check_plane,
    checked_family,
    checked_radius,
    described,
)
from hashmatch.kernels.delimited import RowPlan, TakeRows
from hashmatch.kernels.digests import Found, RowTexts
from hashmatch.kernels.euclidean import MAX_EXACT_WIDTH
from hashmatch.kernels.plane import PlaneHashes

__all__ = [
    "DIHEDRAL_ORDER",
    "ENVIRONMENT_VARIABLE",
    "FAMILY",
    "Implementation",
    "PlaneHashes",
    "active",
    "delimited_rows",
    "digest_lookup",
    "euclidean_range",
    "family_batch",
    "family_from_pixels",
    "forced",
    "hamming_range",
    "implementations",
    "native_rows",
    "parse_digest_lines",
    "pdq_batch",
    "pdq_dihedral_from_luma",
    "pdq_dihedral_from_pixels",
    "pdq_from_luma",
    "pdq_from_pixels",
    "plane_hashes",
    "rgb_to_luma",
    "ring_table",
    "self_test",
    "write_lookup_lines",
]

#: Name of the environment variable that forces an implementation.
ENVIRONMENT_VARIABLE = "HASHMATCH_KERNELS"

#: Order of the eight orientations that `pdq_dihedral_from_luma` returns.
DIHEDRAL_ORDER = ("original", "r90", "r180", "r270", "flipx", "flipy", "flip_plus", "flip_minus")

HammingRange = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]
EuclideanRange = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]


class Kernels(Protocol):
    """What an implementation provides. Arguments have been checked; signatures are those of the public functions."""

    def hamming_range(self, queries: NDArray[np.uint8], database: NDArray[np.uint8], radius: int) -> HammingRange: ...
    def euclidean_range(self, queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int) -> EuclideanRange: ...
    def pdq_from_luma(self, luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]: ...
    def pdq_dihedral_from_luma(self, luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]: ...
    def pdq_from_pixels(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]: ...
    def pdq_dihedral_from_pixels(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]: ...
    def family_from_pixels(
        self, pixels: NDArray[np.uint8], names: tuple[str, ...], vertical_first: int
    ) -> dict[str, bytes | None]: ...
    def plane_hashes(self, plane: NDArray[np.uint8], names: tuple[str, ...], vertical_first: int) -> PlaneHashes: ...
    def rgb_to_luma(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]: ...
    def ring_table(
        self, codes: NDArray[np.uint8], chunk: int, table: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]: ...
    def digest_lookup(
        self, values: NDArray[np.uint8], table: NDArray[np.uint32], queries: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
    def parse_digest_lines(
        self, text: bytes, start: int, out: NDArray[np.uint8], found: int, paths: int
    ) -> tuple[int, int, int, int]: ...
    def delimited_rows(self, plan: RowPlan) -> TakeRows: ...
    def write_lookup_lines(
        self, found: Found, texts: RowTexts, out: NDArray[np.uint8], query: int, position: int, *, hits_only: bool
    ) -> tuple[int, int, int, int]: ...


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


def self_test(name: str) -> list[str]:
    """Compare an implementation with the reference on this machine; takes a fraction of a second.

    Args:
        name: of an implementation that is available.

    Returns:
        What differs, one sentence each; [] where nothing does.

    Raises:
        KernelUnavailableError: no such implementation here.
    """
    from hashmatch.kernels.comparison import differences

    if name not in _LOADERS:
        raise KernelUnavailableError(f"there are no kernels {shorten(name)} here; available: {', '.join(_LOADERS)}")
    return differences(name, _loaded(name))


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


def native_rows() -> ModuleType | None:
    """The module whose functions make and read rows in C (``native/rows_*.c``); None: the twins in Python are in use.

    Each of those functions does the ordinary case and returns None for any other, which its twin decides.

    Raises:
        KernelUnavailableError: the forced implementation is missing.
    """
    if active() == "numpy":
        return None
    from hashmatch.kernels import native

    return native


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
    check_codes("queries", queries)
    check_codes("database", database)
    width = queries.shape[1]
    if database.shape[1] != width:
        raise ArrayError(f"queries are {width:,} bytes wide and the database {database.shape[1]:,}; expected one width")
    return _loaded(active()).hamming_range(queries, database, checked_radius(radius, 8 * width))


def euclidean_range(queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int) -> EuclideanRange:
    """All pairs of vectors of bytes within a squared Euclidean distance, complete and exact.

    Args:
        queries: ``uint8[n, width]``, one vector a row, of 1 to 258 bytes. Need not be contiguous.
        codes: ``uint8[u, width]``, the same width.
        radius: largest squared distance that still matches, inclusive; 0 to ``width * 255**2``.

    Returns:
        ``(offsets int64[n + 1], positions int64[m], distances uint32[m])``. The matches of query ``i`` are
        ``positions[offsets[i]:offsets[i + 1]]``, ordered by (distance, position).

    Raises:
        ArrayError: wrong dtype or shape, two widths, or one for which NumPy's float32 would not be exact.
        RadiusError: not an integer, negative, or more than the largest distance.
        KernelUnavailableError: the forced implementation is missing.
    """
    check_codes("queries", queries)
    check_codes("codes", codes)
    width = queries.shape[1]
    if codes.shape[1] != width or width > MAX_EXACT_WIDTH:
        expected = f"one width, up to {MAX_EXACT_WIDTH}"
        raise ArrayError(f"queries are {width:,} bytes wide and codes {codes.shape[1]:,}; expected {expected}")
    return _loaded(active()).euclidean_range(queries, codes, checked_radius(radius, width * 255 * 255, "units"))


def ring_table(codes: NDArray[np.uint8], chunk: int, table: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """The table of one chunk of the ring index (`hashmatch.kernels.ring`), the same bytes on every implementation.

    Args:
        codes: ``uint8[n, 8]`` or ``uint8[n, 32]``, n below 2**32.
        chunk: 0 to 3, or 0 to 15.
        table: where to make it, ``uint8[ring.table_size(n)]``, C-contiguous and aligned to 8 bytes, whatever it holds;
            None: in new memory.

    Returns:
        ``uint8[ring.table_size(n)]``; FORMATS.md describes it.

    Raises:
        ArrayError: wrong dtype or shape, or a chunk that the codes do not have.
        KernelUnavailableError: the forced implementation is missing.
    """
    check_codes("codes", codes)
    if codes.shape[1] not in ring.WIDTHS or not 0 <= chunk < codes.shape[1] // 2 or len(codes) >= 1 << 32:
        raise ArrayError(
            f"codes are {described(codes)} and the chunk is {chunk}; expected uint8[n, 8] with a chunk of 0 to 3, or "
            "uint8[n, 32] with a chunk of 0 to 15"
        )
    if table is not None and (
        table.dtype != np.uint8
        or table.shape != (ring.table_size(len(codes)),)
        or not (table.flags.c_contiguous and table.flags.writeable)
        or table.ctypes.data % 8
    ):
        raise ArrayError(f"the place for a table is {described(table)}; expected uint8[{ring.table_size(len(codes))}]")
    return _loaded(active()).ring_table(np.ascontiguousarray(codes), chunk, table)


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
        raise ArrayError(f"pixels are {described(rgb)}; expected uint8[height, width, 3]")
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
    check_luma(luma)
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
    check_luma(luma)
    return _loaded(active()).pdq_dihedral_from_luma(luma)


def pdq_from_pixels(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """PDQ of 8-bit pixels, bit for bit as the package ``pdqhash`` computes it (no resize before the filter).

    Equals ``pdq_from_luma(rgb_to_luma(rgb))``, and for grey pixels that of RGB with three equal channels.

    Args:
        pixels: ``uint8[height, width]`` grey or luma, ``uint8[height, width, 3]`` RGB, or ``uint8[height, width, 4]``
            RGB and a byte that is ignored. Need not be contiguous; gaps between rows cost no copy.

    Returns:
        ``(code uint8[32], quality)``, as `pdq_from_luma`.

    Raises:
        ArrayError: wrong dtype or shape.
        KernelUnavailableError: the forced implementation is missing.
    """
    check_pixels(pixels)
    return _loaded(active()).pdq_from_pixels(pixels)


def pdq_dihedral_from_pixels(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """PDQ of the eight orientations of 8-bit pixels from one transform, as ``pdqhash.compute_dihedral`` does.

    Args:
        pixels: as `pdq_from_pixels`.

    Returns:
        ``(codes uint8[8, 32], quality)``, as `pdq_dihedral_from_luma`.

    Raises:
        ArrayError: wrong dtype or shape.
        KernelUnavailableError: the forced implementation is missing.
    """
    check_pixels(pixels)
    return _loaded(active()).pdq_dihedral_from_pixels(pixels)


def pdq_batch(pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """PDQ of many pictures, of any sizes.

    Args:
        pictures: each as `pdq_from_pixels` takes it.

    Returns:
        ``(codes uint8[n, 32], qualities uint8[n])``.

    Raises:
        ArrayError: wrong dtype or shape of one of them; nothing was computed.
        KernelUnavailableError: the forced implementation is missing.
    """
    for picture in pictures:
        check_pixels(picture)
    implementation = _loaded(active())
    codes, qualities = np.empty((len(pictures), 32), np.uint8), np.empty(len(pictures), np.uint8)
    for row, picture in enumerate(pictures):
        codes[row], qualities[row] = implementation.pdq_from_pixels(picture)
    return codes, qualities


def family_from_pixels(
    pixels: NDArray[np.uint8], names: Iterable[str] = FAMILY, *, vertical_first: int
) -> dict[str, bytes | None]:
    """pHash, dHash and aHash of 64 bits, bit for bit as the package ``imagehash`` computes them through Pillow.

    Args:
        pixels: as `pdq_from_pixels`, of at least one pixel.
        names: some of `FAMILY`.
        vertical_first: when the Pillow that is reproduced resamples columns before rows: 0 never (before 12.2), 1 where
            the height is over 100 times the width (12.2 and 12.3), 2 where the height shrinks by over twice as many
            pixels as the width (13.0 and later).

    Returns:
        Name -> 8 bytes, bits row by row, the first most significant; in the order of ``names``. None where rounding
        could decide (a pHash whose median lies between two coefficients that are equal or nearly so, as in pictures
        without detail; sides beyond 262,144 pixels): the caller then asks imagehash itself.

    Raises:
        ArrayError: wrong dtype or shape, or an empty picture.
        ValueError: an unknown name, or a ``vertical_first`` that is not 0, 1 or 2.
        KernelUnavailableError: the forced implementation is missing.
    """
    chosen = checked_family(names, vertical_first)
    check_pixels(pixels, 1)
    return _loaded(active()).family_from_pixels(pixels, chosen, vertical_first)


def family_batch(
    pictures: Sequence[NDArray[np.uint8]], names: Iterable[str] = FAMILY, *, vertical_first: int
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """The hashes of `family_from_pixels` of many pictures, of any sizes.

    Args:
        pictures: each as `family_from_pixels` takes it.
        names: some of `FAMILY`.
        vertical_first: as in `family_from_pixels`.

    Returns:
        Name -> ``(codes uint8[n, 8], decided bool[n])``; a code that is not decided is all zero.

    Raises:
        ArrayError: wrong dtype or shape of one of them, or an empty one; nothing was computed.
        ValueError: an unknown name, or a ``vertical_first`` that is not 0, 1 or 2.
        KernelUnavailableError: the forced implementation is missing.
    """
    chosen = checked_family(names, vertical_first)
    for picture in pictures:
        check_pixels(picture, 1)
    implementation = _loaded(active())
    count = len(pictures)
    result = {name: (np.zeros((count, 8), np.uint8), np.zeros(count, np.bool_)) for name in chosen}
    for row, picture in enumerate(pictures):
        for name, code in implementation.family_from_pixels(picture, chosen, vertical_first).items():
            if code is not None:
                codes, decided = result[name]
                codes[row] = np.frombuffer(code, np.uint8)
                decided[row] = True
    return result


def plane_hashes(plane: NDArray[np.uint8], names: Iterable[str], *, vertical_first: int) -> PlaneHashes:
    """PDQ, pHash, dHash and aHash of a plane of luma, with the margins of their comparisons.

    Args:
        plane: ``uint8[height, width]`` of 5 to 32,768 pixels a side. Rows may have gaps.
        names: ``pdq`` and some of `FAMILY`.
        vertical_first: as in `family_from_pixels`.

    Returns:
        Codes as `pdq_from_pixels` and `family_from_pixels` make them, and whole numbers that are the same in every
        implementation.

    Raises:
        ArrayError: wrong dtype or shape, or a side that is too short or too long.
        ValueError: an unknown name, or a ``vertical_first`` that is not 0, 1 or 2.
        KernelUnavailableError: the forced implementation is missing.
    """
    chosen = tuple(names)
    checked_family((name for name in chosen if name != "pdq"), vertical_first)
    check_plane(plane)
    return _loaded(active()).plane_hashes(plane, chosen, vertical_first)


def digest_lookup(
    values: NDArray[np.uint8], table: NDArray[np.uint32], queries: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each query stands in the sorted ``values``: (first, last), ``last`` exclusive; equal where it is absent.

    The arrays may be views of a mapped file: whatever they say, nothing outside them is read.

    Args:
        values: ``uint8[k, width]``, ascending as bytes, width of at least 8 bytes.
        table: ``uint32[2**bits + 1]`` with ``bits`` from 1 to 31: how many values have leading bits below the index.
        queries: ``uint8[n, width]``. Need not be contiguous.

    Returns:
        ``(first int64[n], last int64[n])``. Of an absent query, ``first`` is where it would stand in its bucket; all
        are 0 where there are no values.

    Raises:
        ArrayError: wrong dtype or shape, or two widths.
        ValueError: the table leads outside the values. Values that do not ascend are not noticed.
        OSError: the arrays are views of a mapped file that has become shorter.
        KernelUnavailableError: the forced implementation is missing.
    """
    check_digest_table(values, table, queries)
    return _loaded(active()).digest_lookup(values, table, queries)


def parse_digest_lines(
    text: bytes, start: int, out: NDArray[np.uint8], found: int, paths: int
) -> tuple[int, int, int, int]:
    r"""Digests from lines of text, up to the first line that is none of the common forms.

    The common forms: ``digest``, ``digest  path``, ``digest *path``, ``digest path`` (whose path does not start with a
    bracket), the last three also after a leading backslash, which says that the path is escaped (``\n``, ``\r``,
    ``\\``). Empty lines and lines that start with ``#`` are passed over. Digits in any case; no control character but
    the tab in a path, any other byte; a path of at most 65,536 bytes. Lines end with a line feed; the last may lack it.

    Args:
        text: whole lines.
        start: where in ``text`` to begin.
        out: ``uint8[capacity, width]``, C-contiguous and writable, width a multiple of 4 bytes: filled from ``found``
            on.
        found: digests that are in ``out`` already.
        paths: whether the first digest of the file came with a path: -1 not known yet, 0 or 1. With 1, a digest without
            a path is no common form, as a line that was cut short looks like that.

    Returns:
        ``(next, found, lines, paths)``: where the first line starts that was not taken (the end of the text if all
        were), digests in ``out``, lines that were passed. It stops at an uncommon line, and at a digest for which there
        is no room.

    Raises:
        ArrayError: ``out`` has the wrong dtype, shape or contiguity.
        ValueError: ``start``, ``found`` or ``paths`` lie outside their ranges.
        KernelUnavailableError: the forced implementation is missing.
    """
    check_codes("out", out, 4)
    if not out.flags.c_contiguous or not out.flags.writeable or out.shape[1] % 4:
        raise ArrayError(f"out is {described(out)}; expected a contiguous writable array, its width a multiple of 4")
    if not 0 <= start <= len(text) or not 0 <= found <= len(out) or paths not in (-1, 0, 1):
        raise ValueError(f"start {start}, found {found} or paths {paths} is outside its range")
    return _loaded(active()).parse_digest_lines(text, start, out, found, paths)


def delimited_rows(plan: RowPlan) -> TakeRows:
    r"""A function that takes rows of delimited text as tuples, up to the first row that is unusual.

    It is given a block of whole lines (UTF-8, lines end with a line feed alone) and where in it to begin, and returns
    the tuples and where the first row starts that it did not take (the length of the block if it took all). What is
    unusual depends on that row alone, and `hashmatch.kernels.delimited.Kind` says it column by column; beyond that, a
    quote, too few cells, more cells that are not empty, no hash, what is not UTF-8, and no line end. It says no more
    than that, and holds no state: one function serves any number of threads.

    Args:
        plan: what stands in which column, and where it goes.

    Raises:
        ValueError: the plan has a column that no row can have.
        KernelUnavailableError: the forced implementation is missing.
    """
    return _loaded(active()).delimited_rows(plan)


def write_lookup_lines(
    found: Found, texts: RowTexts, out: NDArray[np.uint8], query: int, position: int, *, hits_only: bool
) -> tuple[int, int, int, int]:
    r"""The result of a lookup as lines of text: ``digest TAB source TAB reference TAB category LF`` for each entry.

    A query that found nothing gives ``digest TAB - LF``, or no line with ``hits_only``. References are copied as they
    are where they are printable ASCII without a backslash; at any other it stops, for the caller to write that line.

    Args:
        found: the queries, their width a multiple of 4 bytes, and their places, as `digest_lookup` returns them.
        texts: what stands behind the places; may be views of a mapped file.
        out: ``uint8[size]``, contiguous and writable.
        query: the query to begin with.
        position: entry of that query to begin with, 0 for its first.
        hits_only: no line for a query that found nothing.

    Returns:
        ``(written, query, position, stopped)``: bytes in ``out``, the line that is next, and why it ended: 0 all is
        written, 1 the next line does not fit in what is left of ``out``, 2 its reference must be escaped.

    Raises:
        ArrayError: wrong dtype, shape or contiguity.
        ValueError: a place or a number leads outside its array.
        OSError: the arrays are views of a mapped file that has become shorter.
        KernelUnavailableError: the forced implementation is missing.
    """
    check_lookup_texts(found, texts, out)
    if not 0 <= query <= len(found.digests) or position < 0:
        raise ValueError(f"query {query} or position {position} is outside its range")
    return _loaded(active()).write_lookup_lines(found, texts, out, query, position, hits_only=hits_only)
