"""Codes that are searched again and again: one object for all ways to search them, and the choice between the ways.

Three ways give the same result: a flat scan, the ring index query by query, and the ring index bucket by bucket, which
pays where many queries share the visits. `CodeIndex` estimates what each costs and takes the cheapest. The estimate
holds for codes without structure. Where a list has structure, so that a search through the ring meets far more entries
than expected, the kernel stops at a budget and the queries concerned go the other way: no list makes a search take much
longer than a flat scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import UsageError
from hashmatch.kernels import reference
from hashmatch.kernels.ring import VALUES, WIDTHS, Costs, expected_work, table_size, visits

__all__ = ["METHODS", "CodeIndex", "Triple", "expand"]

#: (offsets int64[n + 1], rows int64[m], distances uint16[m]): the results of query i are offsets[i]:offsets[i + 1].
Triple = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]

#: What ``method`` of `CodeIndex.range_search` may be, beside "auto".
METHODS = ("flat", "ring by query", "ring by bucket")

#: Queries handed to a kernel at once, so that what belongs to them stays bounded.
_BATCH = 1 << 18
#: Pairs that one batch may find in the worst case where the radius is so large that a good part of all may match.
_BATCH_PAIRS = 1 << 24
#: Nanoseconds of estimated work from which threads are started. Two threads took 1.2 to 4 times as long as one where
#: the estimate was 1 to 4.5 million, and 0.75 to 0.8 of it at 8.6 and 14.6 million.
_WORTH_THREADS = 8e6
#: Threads that a search uses at most, whatever it is allowed.
_MOST_THREADS = 256
#: Bytes of visited ring tables from which a probe waits for memory; of smaller ones a part is in a cache. Measured, a
#: probe of 16 tables takes 7 ns at 7 MB, 10 at 10, 26 at 17, 35 at 29 and 39 at 132.
_CACHE = 32 << 20
#: Part of a probe's cost that is left where all tables are in a cache.
_CACHED_PROBE = 0.2
#: Largest skew (see `ring_skew` in native/module.c) at which a search bucket by bucket is tried.
_MAX_SKEW = 8.0

#: Implementation -> what its pieces of work cost.
COSTS = {
    "avx512": Costs(0.125, 0.24, 0.07, 1.6, 50.0, 1.5, 20.0, 60.0, 4.0, 3.4, 2.2, 1.2, 5.0),
    "avx2": Costs(0.7, 1.5, 0.35, 2.4, 50.0, 3.0, 20.0, 60.0, 4.0, 3.4, 2.5, 2.2, 6.0),
    "portable": Costs(2.7, 5.4, 1.3, 3.0, 50.0, 30.0, 50.0, 60.0, 4.0, 3.4, 2.5, 21.0, 25.0),
    # Not measured: no such machine was at hand. Between avx2 and portable, as its vectors are half of the former's.
    "neon": Costs(1.0, 2.0, 0.5, 3.0, 50.0, 6.0, 20.0, 60.0, 4.0, 3.4, 2.5, 4.5, 8.0),
}

Item = TypeVar("Item")
Result = TypeVar("Result")


def expand(
    found: tuple[NDArray[np.int64], NDArray[np.int64], Any], starts: NDArray[np.uint32], rows: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Any]:
    """From positions of distinct codes to the rows that bear them, ordered by (query, distance, row).

    Args:
        found: positions of codes.
        starts: uint32[codes + 1]; code ``i`` is borne by ``rows[starts[i]:starts[i + 1]]``.
        rows: uint32[...].

    Raises:
        IndexError, ValueError: a position or a start that leads nowhere.
    """
    offsets, positions, distances = found
    first = starts[positions].astype(np.int64)
    counts = starts[positions + 1].astype(np.int64) - first
    # What is not verified may say anything, and would be filled in before `rows` is asked.
    if len(counts) and (int(counts.min()) < 0 or int((first + counts).max()) > len(rows)):
        raise IndexError(f"found codes that are borne by other rows than the {len(rows):,} that there are")
    ends = np.cumsum(counts)
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    at = np.arange(len(owner), dtype=np.int64) - (ends - counts)[owner] + first[owner]
    borne = rows[at].astype(np.int64)
    query = np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))[owner]
    far = distances[owner]
    order = np.lexsort((borne, far, query))
    result = np.zeros_like(offsets)
    np.cumsum(np.bincount(query, minlength=len(offsets) - 1), out=result[1:])
    return result, borne[order], far[order]


class CodeIndex:
    """Codes, ready to be searched by every implementation of the kernels.

    The arrays are held, not copied, and may lie in mapped files. They must not change. Threads may share an index.
    """

    def __init__(
        self,
        codes: NDArray[np.uint8],
        tables: Sequence[NDArray[np.uint8]] | None = None,
        starts: NDArray[np.uint32] | None = None,
        rows: NDArray[np.uint32] | None = None,
    ) -> None:
        """Make an index.

        Args:
            codes: uint8[n, width], C-contiguous.
            tables: the ring tables of all chunks (`hashmatch.kernels.ring_table`), or None for flat scans only.
            starts: uint32[n + 1], with ``rows`` uint32[m]: code ``i`` is borne by ``rows[starts[i]:starts[i + 1]]``.
                Without them a result's rows are positions of codes.
            rows: see ``starts``.

        Raises:
            UsageError: tables for a width that has none, or starts without rows.
            ValueError: tables that do not fit the codes or lead outside them.
            OSError: the arrays lie in a mapped file that has become shorter.
        """
        width = codes.shape[1]
        if (starts is None) != (rows is None) or (tables is not None and width not in WIDTHS):
            raise UsageError("an index needs starts and rows together, and has ring tables for 8 or 32 bytes only")
        self.codes = codes
        self.tables = None if tables is None else tuple(tables)
        self.starts, self.rows = starts, rows
        if self.tables is not None and any(len(t) != table_size(len(codes)) for t in self.tables):
            raise ValueError("a ring table does not have the size that the codes ask for")
        self._handles: tuple[Any, Any] | None = None
        self._skew = 1.0
        self._plans: dict[tuple[str, int, int, int], str] = {}

    # ------------------------------------------------------------------ planning

    def cost(self, method: str, queries: int, radius: int, implementation: str) -> float:
        """Nanoseconds that ``method`` is expected to take on one thread, on codes without structure."""
        costs = COSTS[implementation]
        count, width = self.codes.shape
        if method == "flat":
            pair = costs.flat_word if width <= 8 else costs.flat_half if radius < 44 else costs.flat_full
            if width not in WIDTHS:
                pair = costs.flat_full * width / 32
            return float(count * (pair * queries + costs.flat_column * width / 32))
        chunks = width // 2
        work = expected_work(chunks, radius, count)
        visited = sum(v > 0 for v in visits(chunks, radius))
        if method == "ring by query":
            cached = min(1.0, max(_CACHED_PROBE, visited * table_size(count) / _CACHE))
            one = 150 + work.values * costs.probe * cached + work.groups * costs.group
            return queries * (one + work.survivors * costs.survivor + work.candidates * costs.candidate)
        fixed = VALUES * (costs.value * visited + costs.slot * work.values)
        each = work.values * costs.seeker + work.groups * costs.tile_group
        return fixed + queries * (each + work.survivors * costs.tile_survivor + work.candidates * costs.candidate)

    def plan(self, queries: int, radius: int, implementation: str, threads: int = 1) -> str:
        """The cheapest of `METHODS`."""
        key = (implementation, queries, radius, threads)
        way = self._plans.get(key)
        if way is None:
            ways = ["flat"]
            if self.tables is not None and len(self.codes):
                ways.append("ring by query")
                # Bucket by bucket divides by chunks: a chunk is one thread's.
                if self._open()[1] <= _MAX_SKEW:
                    ways.append("ring by bucket")
            if len(self._plans) > 4096:
                self._plans.clear()
            way = self._plans[key] = min(ways, key=lambda way: self.cost(way, queries, radius, implementation))
        return way

    def _budget(self, radius: int, implementation: str) -> int:
        """Survivors that a query may meet before a flat scan would have been cheaper."""
        return max(2048, int(self.cost("flat", 1, radius, implementation) / COSTS[implementation].survivor))

    # ------------------------------------------------------------------ searching

    def range_search(
        self, queries: NDArray[np.uint8], radius: int, *, threads: int = 1, method: str = "auto", implementation: str
    ) -> Triple:
        """All pairs at distance <= ``radius`` (inclusive, bits): complete and exact, whatever the method.

        Args:
            queries: uint8[n, width].
            radius: 0 to 8 * width.
            threads: most threads to use, at least 1; more than 256 are never used. The result does not depend on it.
            method: one of `METHODS`, or "auto".
            implementation: name of the kernels to use (`hashmatch.kernels.active`).

        Returns:
            (offsets int64[n + 1], rows int64[m], distances uint16[m]), per query ordered by (distance, row).

        Raises:
            UsageError: an unknown method, or a ring method without tables.
            ValueError: a table leads outside its section. OSError: a mapped file has become shorter.
            MemoryError: the result does not fit.
        """
        count, width = self.codes.shape
        if method != "auto" and (method not in METHODS or (method != "flat" and self.tables is None)):
            raise UsageError(f"cannot search by {method!r}; expected auto or one of {', '.join(METHODS)}, and tables")
        queries, threads = np.ascontiguousarray(queries), min(threads, _MOST_THREADS)
        batch = _BATCH if radius * 4 < width * 8 else max(1, min(_BATCH, _BATCH_PAIRS // max(1, count)))
        if len(queries) <= batch:
            return self._batch(queries, radius, threads, method, implementation)
        parts = [
            self._batch(queries[at : at + batch], radius, threads, method, implementation)
            for at in range(0, len(queries), batch)
        ]
        offsets = np.zeros(len(queries) + 1, np.int64)
        np.cumsum(np.concatenate([np.diff(part[0]) for part in parts]), out=offsets[1:])
        return offsets, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts])

    def _batch(self, queries: NDArray[np.uint8], radius: int, threads: int, method: str, implementation: str) -> Triple:
        if implementation == "numpy":
            found = reference.hamming_range(queries, self.codes, radius)
            return found if self.starts is None or self.rows is None else expand(found, self.starts, self.rows)
        from hashmatch.kernels import native

        number = native.numbers()[implementation]
        handle, _ = self._open()
        way = self.plan(len(queries), radius, implementation, threads) if method == "auto" else method
        if threads > 1 and self.cost(way, len(queries), radius, implementation) < _WORTH_THREADS:
            threads = 1
        budget = self._budget(radius, implementation) if method == "auto" else 1 << 62
        if threads == 1 and way != "ring by bucket":
            return native.search(number, handle, queries, radius, budget if way == "ring by query" else 0)
        if way == "ring by bucket":
            chunks = self.codes.shape[1] // 2
            # Four times what is expected, and room for matches, which are candidates through many chunks: neither
            # chance nor a batch in which every query matches ends a search.
            work = expected_work(chunks, radius, len(self.codes))
            expected = 4 * (work.survivors + 3 * work.candidates) + 100
            limit = int(expected * len(queries)) + 1_000_000 if method == "auto" else 1 << 62
            hits = _on_threads(
                lambda part: native.ring_by_bucket(number, handle, queries, radius, limit, *part),
                _cut_parts(chunks, radius, threads),
                threads,
            )
            if None not in hits:
                return native.ordered(handle, hits, len(queries))
            way = "ring by query"
        if way == "ring by query":
            hits = _on_threads(
                lambda part: native.ring_by_query(number, handle, queries, radius, budget, *part),
                _cut(len(queries), threads * 4),
                threads,
            )
        else:
            radii = np.full(len(queries), radius, np.uint16)
            hits = _on_threads(
                lambda part: native.flat(number, handle, queries, radii, *part), _cut(len(self.codes), threads), threads
            )
        return native.ordered(handle, hits, len(queries))

    def nearest(
        self, queries: NDArray[np.uint8], k: int, *, near: int, threads: int = 1, implementation: str
    ) -> Triple:
        """The ``k`` nearest rows of each query, ties by row: fewer only where there are fewer rows.

        Args:
            queries: uint8[n, width], C-contiguous.
            k: at least 1.
            near: a radius at which most queries are expected to find what they seek; it changes the time only.
            threads: most threads to use.
            implementation: name of the kernels to use.

        Returns:
            As `range_search`.

        Raises:
            As `range_search`.
        """
        k = min(k, len(self.codes) if self.rows is None else len(self.rows))  # what NumPy can compare with
        parts = [
            self._nearest(queries[at : at + 1024], k, near, threads, implementation)
            for at in range(0, max(1, len(queries)), 1024)
        ]
        offsets = np.zeros(len(queries) + 1, np.int64)
        np.cumsum(np.concatenate([np.diff(part[0]) for part in parts]), out=offsets[1:])
        return offsets, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts])

    def _nearest(self, queries: NDArray[np.uint8], k: int, near: int, threads: int, implementation: str) -> Triple:
        bits = 8 * self.codes.shape[1]
        found = self.range_search(queries, near, threads=threads, implementation=implementation)
        open_ = np.flatnonzero(np.diff(found[0]) < k)
        if not len(open_) or near == bits:
            return _first(found, k)
        rest = np.ascontiguousarray(queries[open_])
        # The distance of the k-th code is an upper bound for that of the k-th row. It is found block by block, each
        # four times the former: nearly all of what a block lets through lies within the bound of the one before.
        radii = np.full(len(rest), bits, np.uint16)
        parts: list[Triple] = []
        at, size = 0, max(1024, 4 * k)
        while at < len(self.codes):
            block = CodeIndex(self.codes[at : at + size])
            part = block._flat_radii(rest, radii, implementation)
            part = (part[0], part[1] + at, part[2])
            parts = [_merge([*parts, part], radii)]
            counts = np.diff(parts[0][0])
            full = np.flatnonzero(counts >= k)
            radii[full] = parts[0][2][parts[0][0][full] + k - 1]
            at, size = at + size, size * 4
        nearest = _merge(parts, radii) if parts else _nothing(len(rest))
        if self.starts is not None and self.rows is not None:
            nearest = expand(nearest, self.starts, self.rows)
        return _replace(_first(found, k), open_, _first(nearest, k))

    def _flat_radii(self, queries: NDArray[np.uint8], radii: NDArray[np.uint16], implementation: str) -> Triple:
        """Flat scan with one radius a query."""
        if implementation == "numpy":
            found = reference.hamming_range(queries, self.codes, int(radii.max(initial=0)))
            return _merge([found], radii)
        from hashmatch.kernels import native

        handle, _ = self._open()
        hits = native.flat(native.numbers()[implementation], handle, queries, radii, 0, len(self.codes))
        return native.ordered(handle, [hits], len(queries))

    def _open(self) -> tuple[Any, float]:
        """The extension's handle and the skew of the tables; the tables' offsets are checked when it is made."""
        if self._handles is None:
            from hashmatch.kernels import native

            self._handles = native.open_codes(self.codes, self.tables, self.starts, self.rows)
        return self._handles


def _cut(count: int, parts: int) -> list[tuple[int, int]]:
    """``count`` in at most ``parts`` ranges of about the same size."""
    edges = [count * i // parts for i in range(parts + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _cut_parts(chunks: int, radius: int, threads: int) -> list[tuple[int, int]]:
    """The sixteenths of all chunks in ranges: every range sorts the queries by each chunk that it touches.

    Whole chunks, then, where there are several for each thread; else three ranges of about the same work a thread.
    """
    if threads == 1:
        return [(0, 16 * chunks)]
    if chunks >= 4 * threads:
        return [(16 * chunk, 16 * chunk + 16) for chunk in range(chunks)]
    work = np.repeat(visits(chunks, radius), 16).cumsum()
    edges = np.searchsorted(work, np.linspace(0, work[-1], 3 * threads + 1), side="left").tolist()
    edges[-1] = 16 * chunks
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _on_threads(work: Callable[[Item], Result], items: list[Item], threads: int) -> list[Result]:
    if threads == 1 or len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items)), thread_name_prefix="hashmatch-search") as pool:
        return list(pool.map(work, items))


def _nothing(queries: int) -> Triple:
    return np.zeros(queries + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint16)


def _merge(parts: Sequence[Triple], radii: NDArray[np.uint16]) -> Triple:
    """Several results of the same queries as one, without what lies beyond each query's radius."""
    count = len(radii)
    query = np.concatenate([np.repeat(np.arange(count), np.diff(part[0])) for part in parts])
    rows = np.concatenate([part[1] for part in parts])
    distances = np.concatenate([part[2] for part in parts])
    keep = distances <= radii[query]
    query, rows, distances = query[keep], rows[keep], distances[keep]
    order = np.lexsort((rows, distances, query))
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(query, minlength=count), out=offsets[1:])
    return offsets, rows[order], distances[order]


def _first(found: Triple, k: int) -> Triple:
    """The first ``k`` results of each query."""
    offsets, rows, distances = found
    counts = np.minimum(np.diff(offsets), k)
    result = np.zeros_like(offsets)
    np.cumsum(counts, out=result[1:])
    at = np.arange(int(result[-1])) - np.repeat(result[:-1] - offsets[:-1], counts)
    return result, rows[at], distances[at]


def _replace(found: Triple, queries: NDArray[np.int64], by: Triple) -> Triple:
    """``found`` with the results of ``queries`` (ascending) taken from ``by``, which has them in that order."""
    counts = np.diff(found[0])
    counts[queries] = np.diff(by[0])
    offsets = np.zeros_like(found[0])
    np.cumsum(counts, out=offsets[1:])
    rows = np.empty(int(offsets[-1]), np.int64)
    distances = np.empty(int(offsets[-1]), np.uint16)
    replaced = np.zeros(len(counts), np.bool_)
    replaced[queries] = True
    from_new = np.repeat(replaced, counts)
    old = np.repeat(~replaced, np.diff(found[0]))
    rows[from_new], distances[from_new] = by[1], by[2]
    rows[~from_new], distances[~from_new] = found[1][old], found[2][old]
    return offsets, rows, distances
