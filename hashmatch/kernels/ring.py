"""The tables of the ring index, in NumPy, and what a search with them is expected to cost.

A code is cut into chunks of 16 bits that are thought of as a ring. The table of a chunk lists all codes by the value of
that chunk; beside each stand the two chunks that follow. ``native/hamming_ring.h`` has the idea, the proof and the
search; this module builds the same tables byte for byte where the extension is missing, so that a compiled list does
not depend on who compiled it.

Source: J. Qin and C. Xiao, "Pigeonring: A Principle for Faster Thresholded Similarity Search", VLDB 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import comb, exp

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BUCKETS",
    "PADDING",
    "VALUES",
    "WIDTHS",
    "Costs",
    "Work",
    "build_table",
    "expected_work",
    "table_size",
    "thresholds",
    "visits",
]

#: Widths of codes, in bytes, that the index is made for.
WIDTHS = (8, 32)
#: Values of a chunk.
VALUES = 1 << 16
#: Bytes from the start of a table to its buckets: 65,537 offsets of 4 bytes, and zeros up to a multiple of 64.
BUCKETS = 262_208
#: Zero bytes behind the last bucket: a vector that starts inside it may end there.
PADDING = 64


def table_size(count: int) -> int:
    """Bytes of the table of one chunk of ``count`` codes."""
    return BUCKETS + 8 * count + PADDING


def build_table(codes: NDArray[np.uint8], chunk: int, table: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """The table of one chunk: ``uint8[table_size(n)]``, see FORMATS.md.

    Args:
        codes: uint8[n, width], C-contiguous, width one of `WIDTHS`, n below 2**32.
        chunk: 0 to width // 2 - 1; bytes 2 chunk and 2 chunk + 1 of every code.
        table: where to make it; None: in new memory.
    """
    count, width = codes.shape
    if table is None:
        table = np.empty(table_size(count), np.uint8)
    table[:BUCKETS] = 0
    table[BUCKETS + 8 * count :] = 0
    chunks = codes.view("<u2")
    value = chunks[:, chunk]
    order = np.argsort(value, kind="stable")
    lengths = np.bincount(value, minlength=VALUES)
    offsets = np.zeros(VALUES + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    table[: 4 * (VALUES + 1)] = offsets.astype("<u4").view(np.uint8)
    # In 16-bit items: a bucket of k entries from item 4 s on has k first fragments, k second ones, k positions of two.
    items = table[BUCKETS : BUCKETS + 8 * count].view("<u2")
    sorted_value = value[order]
    start, length = offsets[sorted_value], lengths[sorted_value]
    within = np.arange(count) - start
    last = width // 2
    items[4 * start + within] = chunks[order, (chunk + 1) % last]
    items[4 * start + length + within] = chunks[order, (chunk + 2) % last]
    at = 4 * start + 2 * (length + within)
    items[at] = order & 0xFFFF
    items[at + 1] = order >> 16
    return table


@dataclass(frozen=True, slots=True)
class Work:
    """What one query is expected to do on codes without structure.

    Attributes:
        values: values of chunks, over all chunks, whose buckets are visited.
        groups: vectors of 32 fragments that are read.
        survivors: fragments that pass.
        candidates: codes that are read.
    """

    values: float
    groups: float
    survivors: float
    candidates: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Nanoseconds of one implementation for one piece of work, as fitted to searches of a million codes.

    ``benchmarks/hamming_radius.py`` shows what comes of them. Only their ratios matter, and only for speed: whatever is
    chosen, the result is the same.

    Attributes:
        flat_half: a pair whose first half decides.
        flat_full: a pair of which the whole code is read.
        flat_word: a pair of 64-bit codes.
        flat_column: reading one code of 256 bits and laying it out for the scan, once for all queries.
        probe, group, survivor, candidate: query by query: a value visited, and the rest of `Work`.
        value: bucket by bucket: one bucket.
        slot: bucket by bucket: one neighbouring value looked up, whether a query has it or not.
        seeker: bucket by bucket: one query that visits one bucket.
        tile_group, tile_survivor: bucket by bucket, as group and survivor.
    """

    flat_half: float
    flat_full: float
    flat_word: float
    flat_column: float
    probe: float
    group: float
    survivor: float
    candidate: float
    value: float
    slot: float
    seeker: float
    tile_group: float
    tile_survivor: float


def thresholds(chunks: int, radius: int) -> tuple[int, ...]:
    """The threshold t of every chunk: the sum of t + 1 is the radius + 1; -1 is a chunk that is not visited."""
    base, more = divmod(radius + 1, chunks)
    return tuple(base - 1 + ((c + 1) * more // chunks > c * more // chunks) for c in range(chunks))


#: Number of 16-bit values within so many bits of a value: cumulative binomials, for -1 to 48 bits.
_WITHIN = [0, *accumulate(comb(16, k) for k in range(17)), *[VALUES] * 32]
_WITHIN_PAIR = [0, *accumulate(comb(32, k) for k in range(33)), *[1 << 32] * 32]


def visits(chunks: int, radius: int) -> list[int]:
    """How many values of each chunk a query visits."""
    return [_WITHIN[min(t, 16) + 1] for t in thresholds(chunks, radius)]


@lru_cache(maxsize=4096)
def expected_work(chunks: int, radius: int, count: int) -> Work:
    """`Work` of one query with ``radius`` over ``count`` random codes."""
    t = thresholds(chunks, radius)
    bucket = count / VALUES
    values = survivors = candidates = 0.0
    for c in range(chunks):
        pair = t[c] + t[(c + 1) % chunks] + 1
        triple = pair + t[(c + 2) % chunks] + 1
        for distance in range(min(t[c], 16) + 1):
            near = comb(16, distance)
            values += near
            survivors += near * bucket * _WITHIN[min(pair - distance, 16) + 1] / VALUES
            candidates += near * bucket * _WITHIN_PAIR[min(triple - distance, 32) + 1] / (1 << 32)
    filled = 1 - exp(-bucket)  # share of the buckets that hold anything
    groups = values * (filled + bucket / 32)
    return Work(values, groups, survivors, min(candidates, survivors))
