"""The kernels in C: the only module that imports ``hashmatch._native``.

`hashmatch.kernels` has checked every argument before anything here runs; what is left is to hand buffers over, and to
make arrays of what comes back. The extension itself is described in ``native/README.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import hashmatch._native as _native  # noqa: PLR0402 - this form says "not found" where it was not built
from hashmatch.kernels import reference

__all__ = ["NativeKernels", "numbers", "reasons"]


def numbers() -> dict[str, int]:
    """Name -> number of the implementations that this processor runs, fastest first."""
    return {name: number for number, (name, available, _) in enumerate(_native.implementations()) if available}


def reasons() -> dict[str, str]:
    """Name -> why not, for the implementations of this build that this processor does not run."""
    return {name: reason for name, available, reason in _native.implementations() if not available}


class NativeKernels:
    """One implementation of the extension, as `hashmatch.kernels.Kernels` asks for it.

    Attributes:
        number: its place in ``_native.implementations()``.
    """

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    # --- exact Hamming search

    def hamming_range(
        self, queries: NDArray[np.uint8], database: NDArray[np.uint8], radius: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]:
        """See `hashmatch.kernels.hamming_range`: a flat scan."""
        codes = _native.open_codes(np.ascontiguousarray(database), database.shape[1], None, None, None, None)
        offsets, rows, distances = _native.search(self.number, codes, np.ascontiguousarray(queries), radius, 0)
        return np.frombuffer(offsets, np.int64), np.frombuffer(rows, np.int64), np.frombuffer(distances, np.uint16)

    # --- pixels

    def pdq_from_luma(self, luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]:
        """See `hashmatch.kernels.pdq_from_luma`."""
        return reference.pdq_from_luma(luma)

    def pdq_dihedral_from_luma(self, luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]:
        """See `hashmatch.kernels.pdq_dihedral_from_luma`."""
        return reference.pdq_dihedral_from_luma(luma)

    def rgb_to_luma(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `hashmatch.kernels.rgb_to_luma`."""
        return reference.rgb_to_luma(rgb)
