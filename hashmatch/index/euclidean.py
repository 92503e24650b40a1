"""Exact range search by squared Euclidean distance over bytes: PhotoDNA.

|q - c|^2 = |q|^2 + |c|^2 - 2 q.c. The dot product of two vectors of 144 bytes is at most 144 * 255^2 = 9,363,600, which
is below 2^24: every partial sum is a whole number that float32 holds exactly, in whatever order a BLAS adds. So one
matrix product of float32 gives exact distances; the rest is done in int64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import ArrayError

__all__ = ["MAX_EXACT_WIDTH", "detail", "range_search"]

#: Bytes up to which a dot product stays below 2**24.
MAX_EXACT_WIDTH = (1 << 24) // (255 * 255)
_CODES = 8192
_QUERIES = 1024


def range_search(
    queries: NDArray[np.uint8], codes: NDArray[np.uint8], radius: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """All pairs at squared distance <= ``radius`` (inclusive).

    Args:
        queries: uint8[n, width].
        codes: uint8[u, width]; may lie in a mapped file.
        radius: squared distance, 0 to width * 255**2.

    Returns:
        (offsets int64[n + 1], positions int64[m], distances uint32[m]), per query ordered by (distance, position).

    Raises:
        ArrayError: a width for which float32 would not be exact.
    """
    n, width = queries.shape
    if width > MAX_EXACT_WIDTH or codes.shape[1] != width:
        raise ArrayError(
            f"vectors of {width} and {codes.shape[1]} bytes; expected equal widths up to {MAX_EXACT_WIDTH}"
        )
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
