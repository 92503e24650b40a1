"""Whether an implementation of the kernels gives the reference's answers on this machine.

A wrong vector unit, a miscompiled wheel or a broken copy of it would make matches disappear without a word. The check
takes a fraction of a second; ``hashmatch doctor`` runs it for every implementation that the machine has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch.kernels import Kernels, digests, euclidean, reference, ring
from hashmatch.kernels.code_index import METHODS, CodeIndex

__all__ = ["differences"]


def differences(name: str, kernels: Kernels) -> list[str]:
    """What the implementation ``name`` answers otherwise than the reference, one sentence each; [] where nothing is.

    Args:
        name: its name, as `hashmatch.kernels.implementations` has it.
        kernels: the implementation.
    """
    rng = np.random.default_rng(0)
    wrong = []
    for width, radii in ((8, (0, 6, 15, 64)), (32, (0, 31, 63, 128))):
        codes = rng.integers(0, 256, (700, width), dtype=np.uint8)
        queries = codes[:70] ^ (rng.random((70, width)) < 0.06).astype(np.uint8)
        tables = [kernels.ring_table(codes, chunk) for chunk in range(width // 2)]
        for chunk, table in enumerate(tables):
            if not np.array_equal(table, ring.build_table(codes, chunk)):
                wrong.append(f"the ring table of chunk {chunk} of {8 * width}-bit codes")
        index = CodeIndex(codes, tables)
        for radius in radii:
            expected = reference.hamming_range(queries, codes, radius)
            found = {"the flat scan": kernels.hamming_range(queries, codes, radius)}
            for method in METHODS[1:] if radius <= 31 else ():
                found[f"the search by {method}"] = index.range_search(
                    queries, radius, method=method, implementation=name
                )
            for what, answer in found.items():
                if not _same(answer, expected):
                    wrong.append(f"{what} of {8 * width}-bit codes at radius {radius}")
    wrong += [f"the search by squared distance {how}" for how in _euclidean(kernels, rng)]
    values = np.unique(rng.integers(0, 256, (900, 16), dtype=np.uint8), axis=0)
    bits = 7
    counts = np.bincount(values[:, 0] >> 1, minlength=1 << bits)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32)
    queries = np.concatenate([values[::3], rng.integers(0, 256, (50, 16), dtype=np.uint8)])
    if not _same(kernels.digest_lookup(values, starts, queries), digests.digest_lookup(values, starts, queries)):
        wrong.append("the look-up of digests")
    for pixels in _pictures(rng):
        what = f"a picture of {pixels.shape[1]} x {pixels.shape[0]}"
        for function in ("pdq_from_pixels", "pdq_dihedral_from_pixels"):
            code, quality = getattr(kernels, function)(pixels)
            right, grade = getattr(reference, function)(pixels)
            if quality != grade or not np.array_equal(code, right):
                wrong.append(f"{function} of {what}")
        names = ("phash", "dhash", "ahash")
        expected_family = reference.family_from_pixels(pixels, names, 0)
        for algorithm, code_or_none in kernels.family_from_pixels(pixels, names, 0).items():
            # None is an answer too: left to imagehash.
            if code_or_none not in (None, expected_family[algorithm]):
                wrong.append(f"{algorithm} of {what}")
    return wrong


def _euclidean(kernels: Kernels, rng: np.random.Generator) -> list[str]:
    codes = rng.integers(0, 256, (700, 144), dtype=np.uint8)
    queries = codes[:70] ^ rng.integers(0, 32, (70, 144), dtype=np.uint8)
    # Fewer queries go another way; each distance is met exactly, and missed by one.
    jobs = [(count, radius) for count in (3, 70) for radius in (0, 40_000, 800_000, 1_600_000, 9_363_600)]
    nearest = euclidean.euclidean_range(queries[:8], codes, 60_000)[2]
    jobs += [(8, int(distance) - less) for distance in nearest for less in (0, 1)]
    return [
        f"of {count} queries at radius {radius}"
        for count, radius in jobs
        if not _same(
            kernels.euclidean_range(queries[:count], codes, radius),
            euclidean.euclidean_range(queries[:count], codes, radius),
        )
    ]


def _same(found: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def _pictures(rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Soft noise in grey and colour, wider and taller than one box of the filter, and with uneven sides."""
    pictures = []
    for shape in ((150, 211, 3), (333, 140), (64, 64, 3)):
        coarse = rng.integers(0, 256, (9, 9, *shape[2:]), dtype=np.uint8)
        rows, columns = np.arange(shape[0]) * 9 // shape[0], np.arange(shape[1]) * 9 // shape[1]
        fine = rng.integers(0, 30, shape, dtype=np.uint8)
        pictures.append((coarse[rows][:, columns] // 2 + fine).astype(np.uint8))
    return pictures
