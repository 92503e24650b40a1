"""Exact range search by squared Euclidean distance over bytes: PhotoDNA.

In NumPy, |q - c|^2 = |q|^2 + |c|^2 - 2 q.c. The dot product of two vectors of 144 bytes is at most 144 * 255^2 =
9,363,600, which is below 2^24: every partial sum is a whole number that float32 holds exactly, in whatever order a BLAS
adds. So one matrix product of float32 gives exact distances; the rest is done in int64. How the native kernels do it
stands in ``native/euclidean.h``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_EXACT_WIDTH", "euclidean_range", "search"]

#: Bytes up to which a dot product stays below 2**24.
MAX_EXACT_WIDTH = (1 << 24) // (255 * 255)
_CODES = 8192
_QUERIES = 1024

#: Queries handed to a kernel at once, so that what belongs to them stays bounded.
_BATCH = 1 << 15
#: Pairs that one batch may find in the worst case where the radius is so large that a good part of all may match.
_BATCH_PAIRS = 1 << 24
#: Byte comparisons from which threads are started: some milliseconds of work.
_WORTH_THREADS = 1 << 28

Triple = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]


def euclidean_range(queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int) -> Triple:
    """See `hashmatch.kernels.euclidean_range`. Beside its result it holds some 200 MB, whatever the sizes."""
    n = len(queries)
    found_query, found_position, found_distance = [], [], []
    for start in range(0, n, _QUERIES):
        block = queries[start : start + _QUERIES].astype(np.float32)
        own = np.einsum("ij,ij->i", block, block).astype(np.int64)
        for first in range(0, len(codes), _CODES):
            other = codes[first : first + _CODES].astype(np.float32)
            norms = np.einsum("ij,ij->i", other, other).astype(np.int64)
            distance = own[:, None] + norms[None, :] - 2 * (block @ other.T).astype(np.int64)
            query, position = np.nonzero(distance <= radius)
            found_query.append(query + start)
            found_position.append(position + first)
            found_distance.append(distance[query, position].astype(np.uint32))
    if not found_query:
        return np.zeros(n + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint32)
    query, position = np.concatenate(found_query), np.concatenate(found_position)
    distances = np.concatenate(found_distance)
    order = np.lexsort((position, distances, query))
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(query, minlength=n), out=offsets[1:])
    return offsets, position[order], distances[order]


def search(
    queries: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    radius: int,
    implementation: str,
    *,
    starts: NDArray[np.uint32] | None = None,
    rows: NDArray[np.uint32] | None = None,
    threads: int = 1,
) -> Triple:
    """All pairs within ``radius`` by one implementation, on several threads where there is work for them.

    Args:
        queries: uint8[n, width], width up to `MAX_EXACT_WIDTH`.
        codes: uint8[u, width]; may lie in a mapped file.
        radius: squared distance, inclusive, 0 or more.
        implementation: an available one of `hashmatch.kernels`.
        starts: uint32[u + 1], with ``rows``: code ``i`` is borne by ``rows[starts[i]:starts[i + 1]]``. Without them the
            results are positions of codes.
        rows: see ``starts``.
        threads: most threads; the result does not depend on it.

    Returns:
        (offsets int64[n + 1], rows int64[m], distances uint32[m]), per query ordered by (distance, row).

    Raises:
        IndexError, ValueError: ``starts`` lead outside ``rows``.
        OSError: the arrays lie in a mapped file that has become shorter.
    """
    if implementation == "numpy":
        from hashmatch.kernels.code_index import expand  # whose own imports lead here

        found = euclidean_range(queries, codes, radius)
        return found if starts is None or rows is None else expand(found, starts, rows)
    from hashmatch.kernels import native

    number = native.numbers()[implementation]
    radius = min(radius, codes.shape[1] * 255 * 255)
    codes, queries = np.ascontiguousarray(codes), np.ascontiguousarray(queries)
    handle, _ = native.open_codes(codes, None, starts, rows)
    # From a tenth of the largest distance on, a large share of all pairs may match: the batches are sized for all.
    many = radius * 10 >= codes.shape[1] * 255 * 255
    batch = min(_BATCH, max(1, _BATCH_PAIRS // max(1, len(codes)))) if many else _BATCH
    parts = []
    for start in range(0, len(queries), batch):
        some = queries[start : start + batch]
        worth = some.nbytes * len(codes) // _WORTH_THREADS
        ranges = _cut(len(codes), min(threads, 1 + worth))

        def one(part: tuple[int, int], some: NDArray[np.uint8] = some) -> object:
            return native.euclidean(number, handle, some, radius, *part)

        if len(ranges) <= 1:
            hits = [one(part) for part in ranges]
        else:
            with ThreadPoolExecutor(len(ranges), thread_name_prefix="hashmatch-search") as pool:
                hits = list(pool.map(one, ranges))
        parts.append(native.ordered_far(handle, hits, len(some)))
    return _joined(parts)


def _cut(count: int, parts: int) -> list[tuple[int, int]]:
    """``count`` in at most ``parts`` ranges of about the same size."""
    edges = [count * i // parts for i in range(parts + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _joined(parts: list[Triple]) -> Triple:
    """Results of consecutive queries as one."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.diff(offsets) for offsets, _, _ in parts] or [np.zeros(0, np.int64)])
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    rows = np.concatenate([rows for _, rows, _ in parts] or [np.zeros(0, np.int64)])
    return offsets, rows, np.concatenate([far for _, _, far in parts] or [np.zeros(0, np.uint32)])
