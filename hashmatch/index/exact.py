"""Exact lookup in sorted digests, on the mapped file.

A table of the positions at which each leading bit pattern starts narrows every query to a bucket of about four digests;
a bisection inside the bucket does the rest. Only the pages that the queries touch are read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.kernels.digests import as_strings, prefixes

__all__ = ["MAX_TABLE_BITS", "as_strings", "build_table", "lookup", "sort_order", "table_bits"]

MAX_TABLE_BITS = 24


def table_bits(count: int) -> int:
    """Bits of the table for ``count`` digests: buckets of 2 to 4 digests on average, at most `MAX_TABLE_BITS`."""
    return min(MAX_TABLE_BITS, max(1, count.bit_length() - 2))


def sort_order(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64[n]: the order that sorts ``values`` uint8[n, width] as bytes; equal values keep their order."""
    n, width = values.shape
    columns = np.zeros((n, -(-width // 8) * 8), np.uint8)
    columns[:, :width] = values
    words = columns.view(">u8")
    first = words[:, 0].astype(np.uint64)
    order = np.argsort(first, kind="stable").astype(np.int64)
    if words.shape[1] == 1:
        return order
    # Digests nearly never share 8 leading bytes unless they are equal: only the runs that do are sorted by the rest.
    ranked = first[order]
    tied = np.zeros(n, np.bool_)
    if n > 1:
        same = ranked[1:] == ranked[:-1]
        tied[1:] |= same
        tied[:-1] |= same
    at = np.flatnonzero(tied)
    if len(at):
        members = order[at]
        keys = tuple(words[members, c].astype(np.uint64) for c in range(words.shape[1] - 1, -1, -1))
        order[at] = members[np.lexsort(keys)]
    return order


def build_table(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint32]:
    """uint32[2**bits + 1]: position of the first of the sorted ``values`` whose leading bits are at least the index."""
    counts = np.bincount(prefixes(values, bits), minlength=1 << bits) if len(values) else np.zeros(1 << bits, np.int64)
    table = np.zeros((1 << bits) + 1, np.uint32)
    np.cumsum(counts, out=table[1:], dtype=np.uint32)
    return table


def lookup(
    values: NDArray[np.uint8], table: NDArray[np.uint32], queries: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each query stands in the sorted ``values``: see `hashmatch.kernels.digest_lookup`.

    Args:
        values: uint8[k, width], ascending.
        table: uint32[2**bits + 1], as `build_table` makes it.
        queries: uint8[n, width].
    """
    return kernels.digest_lookup(values, table, queries)
