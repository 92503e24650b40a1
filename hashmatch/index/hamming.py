"""Engines for exact Hamming range search over distinct codes, and the search of one section of a compiled list.

An engine answers for positions in an array of codes; what those positions mean (rows, entries) is not its business. All
engines give the same triples in the same order. Where the native kernels are built, `SectionSearch` uses them, with the
ring tables that the compiled list holds. Without them FAISS is the engine; the NumPy reference serves small jobs, where
importing FAISS (half a second) would cost more than the search.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.kernels.code_index import METHODS, CodeIndex, expand
from hashmatch.kernels.ring import BUCKETS, WIDTHS, table_size

__all__ = ["FaissFlat", "HammingEngine", "KernelFlat", "SectionSearch", "choose_engine", "has_ring"]

Triple = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]

#: Hashes of an algorithm from which on a compiled list holds ring tables for it: below, a flat scan takes microseconds,
#: and the tables' fixed part (4 MB for pdq) would be most of the file.
RING_MINIMUM = 1 << 16
#: Nanoseconds to verify a byte of a compiled list: its SHA-256, and reading it.
_VERIFY = 0.8

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


class KernelFlat:
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
    """The engine for ``queries`` x ``codes`` comparisons: a forced or native kernel first, FAISS for large jobs."""
    if kernels.active() != "numpy" or kernels.forced() or queries * codes <= SMALL_JOB:
        return KernelFlat()
    return FaissFlat()


def has_ring(algorithm: str, count: int) -> bool:
    """Whether a compiled list holds ring tables for ``count`` hashes of ``algorithm`` (duplicates counted)."""
    item = ALGORITHMS[algorithm]
    return item.kind is Kind.HAMMING and item.width in WIDTHS and count >= RING_MINIMUM


class SectionSearch:
    """Searches the codes of one algorithm of a compiled list for the rows that bear them.

    Attributes:
        used: name of the engine that answered last.
    """

    def __init__(
        self,
        codes: NDArray[np.uint8],
        starts: NDArray[np.uint32],
        rows: NDArray[np.uint32],
        tables: Callable[[], Sequence[NDArray[np.uint8]] | None] | None,
        *,
        verifies: bool = True,
    ) -> None:
        """Search ``codes``; ``tables`` fetches the ring tables, and reads all of them where it ``verifies``."""
        self._index = CodeIndex(codes, None, starts, rows)
        self._tables = tables
        # Verifying reads all of the tables; otherwise their offsets are checked, which are a small part.
        size = table_size(len(codes)) if verifies else BUCKETS
        self._opening = size * (codes.shape[1] // 2) * _VERIFY
        self._spent = 0.0
        self.used = ""

    def prepare(self) -> None:
        """Fetch the ring tables now, so that no later search has to."""
        tables, index = self._tables, self._index
        if tables is not None:  # of two threads both may come here; either index serves
            self._index = CodeIndex(index.codes, tables(), index.starts, index.rows)
            self._tables = None

    def range_search(self, queries: NDArray[np.uint8], radius: int, threads: int = 1) -> Triple:
        """Rows within ``radius`` of each query; see `CodeIndex.range_search`."""
        name = kernels.active()
        index = self._index
        if name == "numpy":
            engine = choose_engine(len(queries), len(index.codes))
            found = engine.range_search(queries, index.codes, radius)
            self.used = engine.name
            if index.starts is None or index.rows is None:
                return found
            return expand(found, index.starts, index.rows)
        if self._tables is not None:
            self._consider(len(queries), radius, name)
            index = self._index
        self.used = f"{index.plan(len(queries), radius, name, threads)} ({name})"
        return index.range_search(queries, radius, threads=threads, implementation=name)

    def nearest(self, queries: NDArray[np.uint8], k: int, near: int, threads: int = 1) -> Triple:
        """The ``k`` nearest rows of each query; see `CodeIndex.nearest`."""
        name = kernels.active()
        if self._tables is not None and name != "numpy":
            self._consider(len(queries), near, name)
        self.used = f"nearest ({name})"
        return self._index.nearest(queries, k, near=near, threads=threads, implementation=name)

    def _consider(self, queries: int, radius: int, name: str) -> None:
        """Fetch the tables once the flat scans so far, and this one, cost more than fetching them.

        A job of a few queries never reads the tables; one of many reads them at its start; a service that asks one
        query at a time pays at most twice of what it would have paid had it known.
        """
        flat = self._index.cost("flat", queries, radius, name)
        ring = min(self._index.cost(way, queries, radius, name) for way in METHODS[1:])
        if ring < flat:
            self._spent += flat - ring
        if self._spent > self._opening:
            self.prepare()
