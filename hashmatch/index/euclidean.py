"""Range search by squared Euclidean distance over bytes (PhotoDNA), and how much detail such a hash has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.errors import ArrayError
from hashmatch.kernels.euclidean import MAX_EXACT_WIDTH, search

__all__ = ["MAX_EXACT_WIDTH", "detail", "engine", "range_search"]

_CODES = 8192


def engine() -> str:
    """Name of what answers `range_search`, for reports."""
    name = kernels.active()
    return "flat (exact float32 product)" if name == "numpy" else f"flat ({name})"


def range_search(
    queries: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    radius: int,
    *,
    starts: NDArray[np.uint32] | None = None,
    rows: NDArray[np.uint32] | None = None,
    threads: int = 1,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """All pairs at squared distance <= ``radius`` (inclusive), complete and exact.

    Args:
        queries: uint8[n, width].
        codes: uint8[u, width]; may lie in a mapped file.
        radius: squared distance, 0 or more.
        starts: uint32[u + 1], with ``rows``: code ``i`` is borne by ``rows[starts[i]:starts[i + 1]]``. Without them the
            results are positions of codes.
        rows: see ``starts``.
        threads: most threads; the result does not depend on it.

    Returns:
        (offsets int64[n + 1], rows int64[m], distances uint32[m]), per query ordered by (distance, row).

    Raises:
        ArrayError: two widths, or a width over `MAX_EXACT_WIDTH`.
        IndexError, ValueError: ``starts`` lead outside ``rows``.
        OSError: the arrays lie in a mapped file that has become shorter.
        KernelUnavailableError: the forced implementation is missing.
    """
    width = queries.shape[1]
    if width > MAX_EXACT_WIDTH or codes.shape[1] != width:
        raise ArrayError(
            f"vectors of {width} and {codes.shape[1]} bytes; expected equal widths up to {MAX_EXACT_WIDTH}"
        )
    return search(queries, codes, radius, kernels.active(), starts=starts, rows=rows, threads=threads)


def detail(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The share of adjacent bytes that differ, of all pairs of adjacent bytes (143 of a PhotoDNA hash): 0 to 1.

    A hash of a flat picture has a low one, and lies near the hashes of other flat pictures whatever they show.

    Args:
        codes: uint8[n, width], width of at least 2; may lie in a mapped file.
    """
    result = np.empty(len(codes), np.float64)
    for first in range(0, len(codes), _CODES):
        block = codes[first : first + _CODES]
        result[first : first + _CODES] = np.count_nonzero(block[:, 1:] != block[:, :-1], axis=1)
    result /= codes.shape[1] - 1
    return result
