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
    if not n:
        return np.zeros(0, np.int64)
    # As many leading bits as fit above the position make one number, and all numbers differ: sorting plain numbers is
    # several times as fast as finding the order that sorts them.
    bits = np.uint64((n - 1).bit_length())
    keys = _word(values, 0)
    keys >>= bits
    keys <<= bits
    keys |= np.arange(n, dtype=np.uint64)
    keys.sort()
    lead = keys >> bits
    same = lead[1:] == lead[:-1]
    del lead
    keys &= (np.uint64(1) << bits) - np.uint64(1)
    order = keys.view(np.int64)
    # Digests nearly never share their leading bits unless they are equal: only the runs that do are sorted further.
    tied = np.zeros(n, np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    at = np.flatnonzero(tied)
    if len(at):
        members = order[at]  # ascending within a run: lexsort keeps the order of equal ones
        candidates = values[members]
        order[at] = members[np.lexsort([_word(candidates, c) for c in reversed(range(0, width, 8))])]
    return order


def _word(values: NDArray[np.uint8], first: int) -> NDArray[np.uint64]:
    """uint64[n]: eight bytes of each value from ``first`` on as a number, zeros behind its end."""
    padded = np.zeros((len(values), 8), np.uint8)
    part = values[:, first : first + 8]
    padded[:, : part.shape[1]] = part
    return padded.view(">u8").ravel().astype(np.uint64)


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
