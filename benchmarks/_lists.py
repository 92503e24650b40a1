"""Random codes and planted queries, for the benchmarks of Hamming search."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]


def huge_pages(size: int) -> NDArray[np.uint8]:
    """``uint8[size]`` of zeros in memory for which huge pages are asked, where the system has them."""
    memory = mmap.mmap(-1, max(1, size))
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)[:size]


def random_codes(count: int, width: int, seed: int) -> Codes:
    """``uint8[count, width]``, ascending by their leading bytes, as a compiled list holds them; in huge pages."""
    rng = np.random.default_rng(seed)
    codes = huge_pages(count * width).reshape(count, width)
    # The leading 4 bytes ascend by a random step, which spares the sort of 100 million codes.
    step = np.float64((1 << 32) / (count + 1))
    lead = ((np.arange(count) + rng.random(count)) * step).astype(np.uint64).astype(">u4")
    block = 1 << 20
    for start in range(0, count, block):
        part = codes[start : start + block]
        part[:] = np.frombuffer(rng.bytes(part.size), np.uint8).reshape(part.shape)
        part[:, :4] = lead[start : start + block].view(np.uint8).reshape(-1, 4)
    return codes


def planted_queries(codes: Codes, count: int, most: int, seed: int) -> Codes:
    """``uint8[count, width]`` in random order: one half random, one half at distances 0 to ``most`` from a code."""
    rng = np.random.default_rng(seed)
    width = codes.shape[1]
    queries = np.frombuffer(rng.bytes(count * width), np.uint8).reshape(count, width).copy()
    half = count // 2
    flips = np.zeros((half, width * 8), np.uint8)
    distances = rng.integers(0, most + 1, half)
    order = np.argsort(rng.random((half, width * 8)), axis=1)
    flips[np.arange(half)[:, None], order] = np.arange(width * 8) < distances[:, None]
    queries[:half] = codes[rng.integers(0, len(codes), half)] ^ np.packbits(flips, axis=1)
    return queries[rng.permutation(count)]
