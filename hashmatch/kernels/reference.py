"""The kernels in NumPy: the implementation that is always there, and the one that the others are tested against.

**PDQ, bit for bit.** The original works in float32 with running sums. Computed in float64 through the banded operator
(`hashmatch.kernels.pdq_banded`) the same picture gives coefficients that differ by a few thousandths, at most 0.02 in
what was measured, which matters only where a decision is close:

- the middle pair of the 256 sorted coefficients decides which 128 bits are set;
- a difference of neighbours is truncated to a whole number before it is summed into the quality.

So the float64 result is used where every decision stands clear of a margin, and otherwise the picture is hashed again
in the original's own order of float32 operations (`hashmatch.kernels.pdq_float32`), which is exact by construction.
Pictures of at most 128 pixels a side always take the exact path: it is cheap there, and a window of one pixel drifts
most. Flat pictures and pure gradients, most of whose coefficients are zero in theory, take it too, because nothing
separates their coefficients but rounding.

The margins are measured, not proved: a proof has to assume that all roundings of a line conspire and gives a bound
that nearly every picture violates. `_MARGIN_*` say what was measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashmatch.kernels import pdq_banded, pdq_float32, resample
from hashmatch.kernels.delimited import delimited_rows
from hashmatch.kernels.digests import digest_lookup, parse_digest_lines, write_lookup_lines
from hashmatch.kernels.euclidean import euclidean_range
from hashmatch.kernels.plane import hashes as plane_hashes
from hashmatch.kernels.ring import build_table as ring_table

__all__ = [
    "delimited_rows",
    "digest_lookup",
    "euclidean_range",
    "family_from_pixels",
    "hamming_range",
    "parse_digest_lines",
    "pdq_dihedral_from_luma",
    "pdq_dihedral_from_pixels",
    "pdq_from_luma",
    "pdq_from_pixels",
    "pdq_in_float32",
    "pdq_in_float64",
    "plane_hashes",
    "rgb_to_luma",
    "ring_table",
    "write_lookup_lines",
]

_MIN_SIDE = 5  # pixels: below, PDQ defines an all-zero hash
_ALWAYS_EXACT_SIDE = 128  # pixels: up to here the filter's window is one pixel on both axes

_PAIRS_PER_BLOCK = 1 << 16  # about 12 bytes of temporaries a pair: under 1 MB, which stays in the cache
_ROWS_PER_BLOCK = 1 << 14
_LUMA_PIXELS_PER_BLOCK = 1 << 16  # 8 bytes each, twice

# --- exact Hamming search


def _words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """``uint8[n, width]`` as ``uint64[words, n]``, padded with zero bytes (which are at distance zero)."""
    count, width = codes.shape
    padded = np.zeros((count, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = codes
    return np.ascontiguousarray(padded.view(np.uint64).T)


def _distances(queries: NDArray[np.uint64], database: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """All distances ``uint16[queries, rows]`` of codes given as `_words`."""
    total = np.zeros((queries.shape[1], database.shape[1]), np.uint16)
    for first in range(0, len(queries), 3):
        # Three words have at most 192 differing bits, which a byte still holds: a third of the wider additions.
        part = np.zeros(total.shape, np.uint8)
        for query, row in zip(queries[first : first + 3], database[first : first + 3], strict=True):
            part += np.bitwise_count(query[:, None] ^ row)
        total += part
    return total


def hamming_range(
    queries: NDArray[np.uint8], database: NDArray[np.uint8], radius: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]:
    """See `hashmatch.kernels.hamming_range`. Beside its result it holds a few megabytes, whatever the sizes."""
    count = len(queries)
    owners, rows, distances = [], [], []
    for start in range(0, len(database), _ROWS_PER_BLOCK):
        words = _words(database[start : start + _ROWS_PER_BLOCK])
        step = max(1, _PAIRS_PER_BLOCK // words.shape[1])
        for first in range(0, count, step):
            distance = _distances(_words(queries[first : first + step]), words)
            at = np.flatnonzero(distance <= radius)
            if len(at):
                owner, row = np.divmod(at, words.shape[1])
                owners.append(owner + first)
                rows.append(row + start)
                distances.append(distance.ravel()[at])
    offsets = np.zeros(count + 1, np.int64)
    if not rows:
        return offsets, np.empty(0, np.int64), np.empty(0, np.uint16)
    owner, row, found = np.concatenate(owners), np.concatenate(rows), np.concatenate(distances)
    order = np.lexsort((row, found, owner))
    np.cumsum(np.bincount(owner, minlength=count), out=offsets[1:])
    return offsets, row[order].astype(np.int64, copy=False), found[order]


# --- pixels


def rgb_to_luma(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """See `hashmatch.kernels.rgb_to_luma`."""
    height, width = rgb.shape[:2]
    luma = np.empty((height, width), np.float32)
    step = max(1, _LUMA_PIXELS_PER_BLOCK // max(1, width))
    for start in range(0, height, step):
        block = rgb[start : start + step]
        total = block[..., 0] * 0.299
        total += block[..., 1] * 0.587
        total += block[..., 2] * 0.114
        luma[start : start + step] = total
    return luma


# --- PDQ


def _coefficient_margins() -> NDArray[np.float64]:
    """How far a coefficient computed in float64 may stand from the original's, in units of luma.

    Running sums drift along whole lines, so the coefficients of the lowest frequency on either axis drift most.
    Largest differences seen over 15,000 pictures of 65 to 4,000 pixels a side, among them gradients and hard edges,
    whose roundings are least random: 0.018 at (0, 0), 0.012 on the first row and column, 0.0033 elsewhere. The margins
    are 1.5 to 10 times what was seen at their place.
    """
    row, column = np.meshgrid(np.arange(16.0), np.arange(16.0), indexing="ij")
    inner = 0.003 + 0.006 / np.sqrt(np.maximum(1, row * column))
    border = 0.015 + 0.03 / (1 + np.maximum(row, column))
    margins: NDArray[np.float64] = np.where(np.minimum(row, column) == 0, border, inner)
    return margins


_MARGIN_COEFFICIENT = _coefficient_margins()

#: The same for one neighbour difference, in hundredths of the full scale; the largest seen was 0.0016.
_MARGIN_PAIR = 0.0025


def _orientations(original: NDArray[np.floating]) -> tuple[NDArray[np.floating], ...]:
    """The coefficients of the eight orientations, by sign and transposition: exact in any precision."""
    index = np.arange(16)
    rows = np.where(index % 2 == 0, -1, 1).astype(original.dtype)[:, None]
    columns = rows.T
    transposed = original.T
    return (
        original,
        transposed * rows,
        original * (rows * columns),
        transposed * columns,
        original * rows,
        original * columns,
        transposed,
        transposed * (rows * columns),
    )


def _code(coefficients: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Threshold at the lower median; bit ``16 i + j`` of a 256-bit number, written big-endian."""
    flat = coefficients.ravel()
    bits = flat > np.partition(flat, 127)[127]
    return np.packbits(bits[::-1])


def _is_clear(coefficients: NDArray[np.floating]) -> bool:
    """Whether the coefficients above the median stay above it when all drift towards it by their margins."""
    above = coefficients > np.partition(coefficients, 127, axis=None)[127]
    if np.count_nonzero(above) != 128:
        return False
    highest = (coefficients + _MARGIN_COEFFICIENT)[~above].max()
    lowest = (coefficients - _MARGIN_COEFFICIENT)[above].min()
    return bool(highest < lowest)


def _clear_quality(buffer: NDArray[np.float64]) -> int | None:
    """The quality, or None where truncations within the margin could change it."""
    low = high = 0.0
    for difference in (np.diff(buffer, axis=0), np.diff(buffer, axis=1)):
        size = np.abs(difference) * (100 / 255)
        low += float(np.floor(np.maximum(size - _MARGIN_PAIR, 0)).sum())
        high += float(np.floor(size + _MARGIN_PAIR).sum())
    least, most = min(100, int(low) // 90), min(100, int(high) // 90)
    return least if least == most else None


def _transform(buffer: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = pdq_banded.dct_matrix()
    result: NDArray[np.float64] = np.einsum("ik,kl->il", matrix, np.einsum("kl,jl->kj", buffer, matrix))
    return result


def pdq_in_float64(luma: NDArray[np.float32], *, dihedral: bool) -> tuple[NDArray[np.uint8], int] | None:
    """Codes ``uint8[1 or 8, 32]`` and quality from the banded operator, or None where float64 cannot decide.

    Both this and `pdq_in_float32` need sides of at least 5 pixels; `pdq_from_luma` chooses between them. The benchmark
    of parity counts the choices.
    """
    if max(luma.shape) <= _ALWAYS_EXACT_SIDE:
        return None
    buffer = pdq_banded.decimated(luma)
    quality = _clear_quality(buffer)
    if quality is None:
        return None
    variants = _orientations(_transform(buffer))[: 8 if dihedral else 1]
    if not all(_is_clear(variant) for variant in variants):
        return None
    return np.stack([_code(variant) for variant in variants]), quality


def pdq_in_float32(luma: NDArray[np.float32], *, dihedral: bool) -> tuple[NDArray[np.uint8], int]:
    """Codes ``uint8[1 or 8, 32]`` and quality in the original's order of operations: exact for every picture."""
    unfiltered = not dihedral and luma.shape == (pdq_banded.GRID, pdq_banded.GRID)
    buffer = luma if unfiltered else pdq_float32.decimated(luma)
    variants = _orientations(pdq_float32.transform(buffer))[: 8 if dihedral else 1]
    return np.stack([_code(variant) for variant in variants]), pdq_float32.quality(buffer)


def _pdq(luma: NDArray[np.float32], *, dihedral: bool) -> tuple[NDArray[np.uint8], int]:
    if min(luma.shape) < _MIN_SIDE:
        return np.zeros((8 if dihedral else 1, 32), np.uint8), 0
    return pdq_in_float64(luma, dihedral=dihedral) or pdq_in_float32(luma, dihedral=dihedral)


def pdq_from_luma(luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]:
    """See `hashmatch.kernels.pdq_from_luma`."""
    codes, quality = _pdq(luma, dihedral=False)
    return codes[0], quality


def pdq_dihedral_from_luma(luma: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int]:
    """See `hashmatch.kernels.pdq_dihedral_from_luma`."""
    return _pdq(luma, dihedral=True)


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.astype(np.float32) if pixels.ndim == 2 else rgb_to_luma(pixels[..., :3])


def pdq_from_pixels(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """See `hashmatch.kernels.pdq_from_pixels`."""
    return pdq_from_luma(_luma(pixels))


def pdq_dihedral_from_pixels(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """See `hashmatch.kernels.pdq_dihedral_from_pixels`."""
    return pdq_dihedral_from_luma(_luma(pixels))


# --- the 64-bit family


def family_from_pixels(
    pixels: NDArray[np.uint8], names: tuple[str, ...], vertical_first: int
) -> dict[str, bytes | None]:
    """See `hashmatch.kernels.family_from_pixels`."""
    return resample.family(pixels, names, vertical_first)
