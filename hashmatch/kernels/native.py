"""The kernels in C: the only module that imports ``hashmatch._native``.

`hashmatch.kernels` has checked every argument before anything here runs; what is left is to hand buffers over, and to
make arrays of what comes back. The extension itself is described in ``native/README.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hashmatch._native as _native  # noqa: PLR0402 - this form says "not found" where it was not built
from hashmatch._native import (
    block_ascends,
    block_ends,
    decode_block,
    encode_block,
    entry_rows,
    joined_entries,
    media_entries,
)
from hashmatch.kernels.delimited import RowPlan, TakeRows
from hashmatch.kernels.digests import Found, RowTexts
from hashmatch.kernels.plane import PlaneHashes
from hashmatch.kernels.ring import table_size

__all__ = [
    "NativeKernels",
    "block_ascends",
    "block_ends",
    "decode_block",
    "encode_block",
    "entry_rows",
    "joined_entries",
    "media_entries",
    "numbers",
    "reasons",
]


@cache
def numbers() -> dict[str, int]:
    """Name -> number of the implementations that this processor runs, fastest first."""
    return {name: number for number, (name, available, _) in enumerate(_native.implementations()) if available}


def reasons() -> dict[str, str]:
    """Name -> why not, for the implementations of this build that this processor does not run."""
    return {name: reason for name, available, reason in _native.implementations() if not available}


Triple = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]


def _triple(found: tuple[bytearray, bytearray, bytearray]) -> Triple:
    offsets, rows, distances = found
    return np.frombuffer(offsets, np.int64), np.frombuffer(rows, np.int64), np.frombuffer(distances, np.uint16)


# Functions of `hashmatch.kernels.code_index.CodeIndex`, which owns the handles. ``number`` is an implementation's.


def open_codes(
    codes: NDArray[np.uint8],
    tables: Sequence[NDArray[np.uint8]] | None,
    starts: NDArray[np.uint32] | None,
    rows: NDArray[np.uint32] | None,
) -> tuple[Any, float]:
    """(handle that holds the arrays, skew of the ring tables). Checks the tables' offsets."""
    handle = _native.open_codes(codes, codes.shape[1], None if tables is None else tuple(tables), starts, rows)
    return handle, _native.ring_skew(handle)


def search(number: int, handle: Any, queries: NDArray[np.uint8], radius: int, budget: int) -> Triple:
    """All of a search in one call: by the ring query by query, or by a flat scan where the budget is 0."""
    return _triple(_native.search(number, handle, queries, radius, budget))


def flat(number: int, handle: Any, queries: NDArray[np.uint8], radii: NDArray[np.uint16], first: int, last: int) -> Any:
    """Hits among the codes ``first`` to ``last`` (exclusive), one radius a query."""
    return _native.flat_hits(number, handle, queries, radii, first, last)


def ring_by_query(
    number: int, handle: Any, queries: NDArray[np.uint8], radius: int, budget: int, first: int, last: int
) -> Any:
    """Hits of the queries ``first`` to ``last`` (exclusive)."""
    return _native.ring_hits_by_query(number, handle, queries, radius, budget, first, last)


def ring_by_bucket(
    number: int, handle: Any, queries: NDArray[np.uint8], radius: int, budget: int, first: int, last: int
) -> Any:
    """Hits through the parts ``first`` to ``last`` (exclusive; sixteenths of chunks); None if the budget was spent."""
    return _native.ring_hits_by_bucket(number, handle, queries, radius, budget, first, last)


def ordered(handle: Any, hits: list[Any], queries: int) -> Triple:
    """Hits as a result."""
    return _triple(_native.order_hits(handle, hits, queries))


# Functions of `hashmatch.kernels.euclidean`.


def euclidean(number: int, handle: Any, queries: NDArray[np.uint8], radius: int, first: int, last: int) -> Any:
    """Hits among the codes ``first`` to ``last`` (exclusive), by squared distance."""
    return _native.euclidean_hits(number, handle, queries, radius, first, last)


def ordered_far(
    handle: Any, hits: list[Any], queries: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Hits as a result, with distances of 32 bits."""
    offsets, rows, distances = _native.order_hits(handle, hits, queries, True)
    return np.frombuffer(offsets, np.int64), np.frombuffer(rows, np.int64), np.frombuffer(distances, np.uint32)


#: The bits of ``which`` in ``_native.family``, and the order of its result.
FAMILY = ("phash", "dhash", "ahash")

#: The same of ``_native.plane``.
_PLANE = {"phash": 1, "dhash": 2, "ahash": 4, "pdq": 8}


def _picture(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int, int, int]:
    """(array, height, width, channels, bytes from row to row). Rows may have gaps; what else may not be is copied."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    row = width * channels
    if not pixels.flags.c_contiguous:
        if pixels.strides[0] >= row and pixels[0].flags.c_contiguous:
            return pixels, height, width, channels, pixels.strides[0]
        pixels = np.ascontiguousarray(pixels)
    return pixels, height, width, channels, row


class NativeKernels:
    """One implementation of the extension, as `hashmatch.kernels.Kernels` asks for it.

    Attributes:
        number: its place in ``_native.implementations()``.
    """

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    # --- exact Hamming search

    def hamming_range(
        self, queries: NDArray[np.uint8], database: NDArray[np.uint8], radius: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]:
        """See `hashmatch.kernels.hamming_range`: a flat scan."""
        codes = _native.open_codes(np.ascontiguousarray(database), database.shape[1], None, None, None)
        return search(self.number, codes, np.ascontiguousarray(queries), radius, 0)

    def ring_table(
        self, codes: NDArray[np.uint8], chunk: int, table: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """See `hashmatch.kernels.ring_table`."""
        if table is None:
            table = np.empty(table_size(len(codes)), np.uint8)
        _native.ring_build(codes, codes.shape[1], chunk, table)
        return table

    # --- squared Euclidean distance

    def euclidean_range(
        self, queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
        """See `hashmatch.kernels.euclidean_range`."""
        handle = _native.open_codes(np.ascontiguousarray(codes), codes.shape[1], None, None, None)
        hits = euclidean(self.number, handle, np.ascontiguousarray(queries), radius, 0, len(codes))
        return ordered_far(handle, [hits], len(queries))

    # --- exact digests

    def digest_lookup(
        self, values: NDArray[np.uint8], table: NDArray[np.uint32], queries: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """See `hashmatch.kernels.digest_lookup`: many queries under way at once, prefetched."""
        first, last = _native.digest_lookup(
            np.ascontiguousarray(values), values.shape[1], _aligned(table), np.ascontiguousarray(queries)
        )
        return np.frombuffer(first, np.int64), np.frombuffer(last, np.int64)

    def parse_digest_lines(
        self, text: bytes, start: int, out: NDArray[np.uint8], found: int, paths: int
    ) -> tuple[int, int, int, int]:
        """See `hashmatch.kernels.parse_digest_lines`."""
        return _native.parse_digest_lines(text, start, out.shape[1], out, found, paths)

    def write_lookup_lines(
        self, found: Found, texts: RowTexts, out: NDArray[np.uint8], query: int, position: int, *, hits_only: bool
    ) -> tuple[int, int, int, int]:
        """See `hashmatch.kernels.write_lookup_lines`."""
        arrays = (*found, *texts[:5], *texts.sources, *texts.categories)
        buffers = tuple(_aligned(array) for array in arrays)
        return _native.write_lookup_lines(buffers, found.digests.shape[1], hits_only, out, query, position)

    # --- delimited text

    def delimited_rows(self, plan: RowPlan) -> TakeRows:
        """See `hashmatch.kernels.delimited_rows`: row by row in one pass."""
        columns = tuple((*column[:8], column.head, column.words) for column in plan.columns)
        handle = _native.row_plan(
            ord(plan.delimiter),
            columns,
            plan.pieces,
            plan.hashes,
            plan.make,
            plan.defaults,
            plan.pieces_field,
            plan.hashes_field,
            plan.max_text,
        )
        return partial(_native.delimited_rows, handle)

    # --- pixels

    def pdq_from_luma(self, luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]:
        """See `hashmatch.kernels.pdq_from_luma`."""
        codes, quality = _native.pdq_float(self.number, _aligned(luma), luma.shape[0], luma.shape[1], False)
        return np.frombuffer(codes, np.uint8).copy(), quality

    def pdq_dihedral_from_luma(self, luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]:
        """See `hashmatch.kernels.pdq_dihedral_from_luma`."""
        codes, quality = _native.pdq_float(self.number, _aligned(luma), luma.shape[0], luma.shape[1], True)
        return np.frombuffer(codes, np.uint8).reshape(8, 32).copy(), quality

    def pdq_from_pixels(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
        """See `hashmatch.kernels.pdq_from_pixels`."""
        codes, quality = _native.pdq(self.number, *_picture(pixels), False)
        return np.frombuffer(codes, np.uint8).copy(), quality

    def pdq_dihedral_from_pixels(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
        """See `hashmatch.kernels.pdq_dihedral_from_pixels`."""
        codes, quality = _native.pdq(self.number, *_picture(pixels), True)
        return np.frombuffer(codes, np.uint8).reshape(8, 32).copy(), quality

    def rgb_to_luma(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `hashmatch.kernels.rgb_to_luma`."""
        luma = np.empty(rgb.shape[:2], np.float32)
        _native.rgb_to_luma(self.number, *_picture(rgb), luma)
        return luma

    def family_from_pixels(
        self, pixels: NDArray[np.uint8], names: tuple[str, ...], vertical_first: int
    ) -> dict[str, bytes | None]:
        """See `hashmatch.kernels.family_from_pixels`: one pass over the pixels for all of them."""
        which = sum(1 << FAMILY.index(name) for name in set(names))
        codes = _native.family(self.number, *_picture(pixels), which, vertical_first)
        return {name: codes[FAMILY.index(name)] for name in names}

    def plane_hashes(self, plane: NDArray[np.uint8], names: tuple[str, ...], vertical_first: int) -> PlaneHashes:
        """See `hashmatch.kernels.plane_hashes`: one call for all of it."""
        pixels, height, width, _, row = _picture(plane)
        which = sum(_PLANE[name] for name in set(names))
        pdq, quality, phash, dhash, ahash, ordered, dhash_margin, ahash_margin = _native.plane(
            self.number, pixels, height, width, row, which, vertical_first
        )
        codes = {"pdq": pdq, "phash": phash, "dhash": dhash, "ahash": ahash}
        margins = {"dhash": dhash_margin, "ahash": ahash_margin}
        return PlaneHashes(
            {name: codes[name] for name in names},
            quality,
            ordered,
            {name: margins[name] for name in names if name in margins},
        )


def _aligned(array: NDArray[Any]) -> NDArray[Any]:
    """``array``, or a copy of it where it is not contiguous and aligned."""
    return np.require(array, requirements=("C", "A"))
