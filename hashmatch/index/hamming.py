"""Engines for exact Hamming range search over distinct codes, behind one interface.

An engine answers for positions in an array of codes; what those positions mean (rows, entries) is not its business. All
engines give the same triples in the same order. FAISS is the portable engine; the NumPy reference serves small jobs,
where importing FAISS (half a second) would cost more than the search.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels

__all__ = ["FaissFlat", "HammingEngine", "NumpyFlat", "choose_engine"]

Triple = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]

#: Code comparisons up to which the NumPy reference answers faster than FAISS can be imported.
SMALL_JOB = 10_000_000
#: Queries handed to FAISS at once where few results are expected.
_BATCH = 4096
#: Results that one batch may produce in the worst case before batches are made smaller (12 bytes each in FAISS).
_BATCH_RESULTS = 1 << 24


class HammingEngine(Protocol):
    """What every engine offers."""

    name: str

    def range_search(self, queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int) -> Triple:
        """All pairs at distance <= ``radius`` (inclusive, bits).

        Args:
            queries: uint8[n, width], C-contiguous.
            codes: uint8[u, width], C-contiguous; may lie in a mapped file.
            radius: 0 to 8 * width.

        Returns:
            (offsets int64[n + 1], positions int64[m], distances uint16[m]); the results of query ``i`` are
            ``offsets[i]:offsets[i + 1]``, ordered by (distance, position).
        """
        ...


class NumpyFlat:
    """The kernels' flat scan: whichever implementation of `hashmatch.kernels` is active."""

    name = "flat (kernels)"

    def range_search(self, queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int) -> Triple:
        """See `HammingEngine.range_search`."""
        return kernels.hamming_range(queries, codes, radius)


class FaissFlat:
    """FAISS's flat range search, run on the mapped codes without a copy. The only module that imports faiss."""

    name = "flat (faiss)"

    def range_search(self, queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int) -> Triple:
        """See `HammingEngine.range_search`."""
        n, width = queries.shape
        if not n or not len(codes):
            return np.zeros(n + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint16)
        # From a quarter of the bits on, a large share of all pairs may match: then batches are sized for all of them.
        batch = _BATCH if radius * 4 < width * 8 else max(1, min(_BATCH, _BATCH_RESULTS // len(codes)))
        parts = [self._batch(queries[at : at + batch], codes, radius) for at in range(0, n, batch)]
        if len(parts) == 1:
            return parts[0]
        counts = np.concatenate([np.diff(offsets) for offsets, _, _ in parts])
        offsets = np.zeros(n + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return offsets, np.concatenate([p for _, p, _ in parts]), np.concatenate([d for _, _, d in parts])

    @staticmethod
    def _batch(queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int) -> Triple:
        faiss: Any = importlib.import_module("faiss")  # its generated bindings have no types

        n, width = queries.shape
        queries, codes = np.ascontiguousarray(queries), np.ascontiguousarray(codes)
        result: Any = faiss.RangeSearchResult(n)
        # FAISS compares with a strict <, so that radius + 1 includes the radius.
        faiss.hamming_range_search(
            faiss.swig_ptr(queries), faiss.swig_ptr(codes), n, len(codes), radius + 1, width, result
        )
        offsets = faiss.rev_swig_ptr(result.lims, n + 1).astype(np.int64)
        m = int(offsets[-1])
        if not m:
            return offsets, np.zeros(0, np.int64), np.zeros(0, np.uint16)
        positions = faiss.rev_swig_ptr(result.labels, m).astype(np.int64)
        distances = faiss.rev_swig_ptr(result.distances, m).astype(np.uint16)
        query = np.repeat(np.arange(n), np.diff(offsets))
        order = np.lexsort((positions, distances, query))
        return offsets, positions[order], distances[order]


def choose_engine(queries: int, codes: int) -> HammingEngine:
    """The engine for ``queries`` x ``codes`` comparisons: a forced or faster kernel first, FAISS for large jobs."""
    if kernels.active() != "numpy" or kernels.forced() or queries * codes <= SMALL_JOB:
        return NumpyFlat()
    return FaissFlat()
