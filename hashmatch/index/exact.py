"""Exact lookup in sorted digests, on the mapped file, in NumPy.

A table of the positions at which each leading bit pattern starts narrows every query to a bucket of about four digests;
a bisection of all queries at once, inside their buckets, does the rest. Only the pages that the queries touch are read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_TABLE_BITS", "as_strings", "build_table", "lookup", "sort_order", "table_bits"]

MAX_TABLE_BITS = 24


def table_bits(count: int) -> int:
    """Bits of the table for ``count`` digests: buckets of 2 to 4 digests on average, at most `MAX_TABLE_BITS`."""
    return min(MAX_TABLE_BITS, max(1, count.bit_length() - 2))


def _prefixes(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint32]:
    """uint32[n]: the leading ``bits`` bits of each digest (which has at least 4 bytes)."""
    head = np.ascontiguousarray(values[:, :4]).view(">u4").ravel().astype(np.uint32)
    return head >> np.uint32(32 - bits)


def as_strings(values: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """A view as fixed-width byte strings, which NumPy orders as memcmp does (trailing zeros pad, so widths agree)."""
    width = values.shape[1]
    contiguous = np.ascontiguousarray(values)
    view: NDArray[np.bytes_] = contiguous.view(f"S{width}").ravel()
    return view


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
    counts = np.bincount(_prefixes(values, bits), minlength=1 << bits) if len(values) else np.zeros(1 << bits, np.int64)
    table = np.zeros((1 << bits) + 1, np.uint32)
    np.cumsum(counts, out=table[1:], dtype=np.uint32)
    return table


def lookup(
    values: NDArray[np.uint8], table: NDArray[np.uint32], queries: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each query stands in the sorted ``values``: (first, last), ``last`` exclusive; equal where it is absent.

    Args:
        values: uint8[k, width], ascending.
        table: uint32[2**bits + 1], as `build_table` makes it.
        queries: uint8[n, width].
    """
    n = len(queries)
    if not n or not len(values):
        return np.zeros(n, np.int64), np.zeros(n, np.int64)
    bits = (len(table) - 1).bit_length() - 1
    prefix = _prefixes(queries, bits)
    low, high = table[prefix].astype(np.int64), table[prefix + np.uint32(1)].astype(np.int64)
    sought, stored = as_strings(queries), as_strings(values)
    first = _bisect(stored, sought, low, high, right=False)
    # Most queries are absent; only those that are there can have a run behind their first position.
    last = first.copy()
    inside = np.flatnonzero(first < high)
    hit = inside[stored[first[inside]] == sought[inside]]
    if len(hit):
        last[hit] = _bisect(stored, sought[hit], first[hit], high[hit], right=True)
    return first, last


def _bisect(
    stored: NDArray[np.bytes_],
    sought: NDArray[np.bytes_],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    *,
    right: bool,
) -> NDArray[np.int64]:
    low, high = low.copy(), high.copy()
    active = np.flatnonzero(low < high)
    while len(active):
        middle = (low[active] + high[active]) >> 1
        found: Any = stored[middle]
        after = found <= sought[active] if right else found < sought[active]
        low[active[after]] = middle[after] + 1
        high[active[~after]] = middle[~after]
        active = active[low[active] < high[active]]
    return low
