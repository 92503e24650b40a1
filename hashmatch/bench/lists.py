"""Compiled lists of given codes, for benchmarks of search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashmatch.index.build import HashColumn, Rows, write_compiled

__all__ = ["write_list"]

#: Rows whose references are made at a time.
_BLOCK = 1 << 20


def write_list(path: Path, algorithm: str, values: NDArray[np.uint8]) -> None:
    """Write a compiled list of ``values`` (uint8[n, width]): row ``i`` bears the code ``i`` and no other hash."""
    count = len(values)
    rows = Rows(
        ref_text=_references(count),
        ref_offsets=np.arange(count + 1, dtype=np.uint64) * np.uint64(10),
        source=np.zeros(count, np.uint32),
        category=np.zeros(count, np.uint32),
        media=np.ones(count, np.uint8),
        size=np.full(count, -1, np.int64),
        quality=np.full(count, 100, np.uint8),
        hashes={algorithm: HashColumn(values, np.arange(count, dtype=np.uint32))},
    )
    write_compiled(path, rows, snapshot=bytes(32), role="known", sources=["generated"], categories=[])


def _references(count: int) -> bytes:
    """The numbers from 0 to ``count - 1`` in ten digits each."""
    places = 10 ** np.arange(9, -1, -1, dtype=np.int64)
    return b"".join(
        (np.arange(start, min(start + _BLOCK, count))[:, None] // places % 10 + ord("0")).astype(np.uint8).tobytes()
        for start in range(0, count, _BLOCK)
    )
