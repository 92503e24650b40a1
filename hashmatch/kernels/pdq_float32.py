"""PDQ in the float32 order of operations that the original uses, for decisions that float64 cannot make alone.

The original filters with running sums in float32: each step adds the value that enters the window and then subtracts
the one that leaves it, and every step rounds. The errors accumulate along a line, so the result depends on the order
of the operations and not only on the values. This module repeats that order, vectorised *across* lines and never
along one, in baseline arithmetic: every product and every sum is rounded by itself, as x86-64 code without fused
multiply-add does. Its coefficients equal those of ``pdqhash`` on x86-64 in every bit. Where a compiler fuses by default
(ARM), pdqhash itself may give another hash for a picture on the edge; this module gives the same one everywhere.

It costs 10 to 30 times as much as the banded operator of `hashmatch.kernels.pdq_banded`, which is still less than
pdqhash takes for a large picture; `hashmatch.kernels.reference` says when it is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashmatch.kernels.pdq_banded import GRID, dct_matrix, decimation, window

__all__ = ["decimated", "quality", "transform"]


def _box(lines: NDArray[np.float32], keep: NDArray[np.intp] | None = None) -> NDArray[np.float32]:
    """Running mean along axis 0 of ``float32[n, m]``, in the window that PDQ prescribes for n.

    With ``keep`` (ascending indices, repeats allowed) only those rows of the result are returned.
    """
    n = lines.shape[0]
    full = window(n)
    half = (full + 2) // 2
    wanted = np.arange(n) if keep is None else keep
    first = np.searchsorted(wanted, np.arange(n), side="left").tolist()
    last = np.searchsorted(wanted, np.arange(n), side="right").tolist()
    result = np.empty((len(wanted), lines.shape[1]), np.float32)
    total = np.zeros(lines.shape[1], np.float32)
    for entering in range(n + half - 1):
        if entering < n:
            np.add(total, lines[entering], out=total)
        if entering >= full:
            np.subtract(total, lines[entering - full], out=total)
        centre = entering - half + 1
        if centre >= 0 and last[centre] > first[centre]:
            count = min(entering, n - 1) - max(entering - full, -1)
            np.divide(total, np.float32(count), out=result[first[centre]])
            result[first[centre] + 1 : last[centre]] = result[first[centre]]
    return result


def decimated(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 64x64 buffer: two passes of (box along rows, box along columns), then decimation."""
    height, width = luma.shape
    # A box along rows walks over columns: transposed, each of its steps is one contiguous vector operation.
    lines = _box(np.ascontiguousarray(luma.T))
    lines = _box(np.ascontiguousarray(lines.T))
    # What follows treats every line by itself, so from here on only the lines that decimation keeps are computed.
    lines = _box(np.ascontiguousarray(lines.T), decimation(width))
    return _box(np.ascontiguousarray(lines.T), decimation(height))


def transform(buffer: NDArray[np.float32]) -> NDArray[np.float32]:
    """The ``float32[16, 16]`` coefficients: products summed one by one in ascending order, rows first."""
    matrix = dct_matrix().astype(np.float32)
    half = np.zeros((16, GRID), np.float32)
    for k in range(GRID):
        half += matrix[:, k, None] * buffer[k]
    result = np.zeros((16, 16), np.float32)
    for k in range(GRID):
        result += half[:, k, None] * matrix[:, k]
    return result


def quality(buffer: NDArray[np.float32]) -> int:
    """Quality, 0 to 100, of a 64x64 buffer."""
    hundred, span = np.float32(100), np.float32(255)
    total = 0
    for difference in (buffer[:-1] - buffer[1:], buffer[:, :-1] - buffer[:, 1:]):
        total += int(np.abs((difference * hundred / span).astype(np.int64)).sum())
    return min(100, total // 90)
