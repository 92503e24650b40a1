"""Codes and queries for benchmarks, made from seeds: no list of real material is needed, nor wanted.

**A model, not a sample.** ``skew=0`` gives independent fair bits, the easiest case for every index, and what most
published figures are measured on. Codes of real pictures are not like that, and ``skew=1`` gives them four properties
that matter to a search. The form of each is known; the strengths are round figures of this module.

- *Half of the bits are set.* PDQ compares 256 coefficients with their median, so that a code has 128 bits of each kind.
  Two such codes differ in an even number of bits. (Real codes depart from it where coefficients tie.)
- *Neighbouring coefficients correlate.* A coefficient here is a weighted sum of the random numbers on and next to its
  place in a square grid, so that the bits of neighbours agree in about 55% of the codes.
- *Some bits are biased.* Pictures share a composition (light from above, a subject in the middle), which moves the
  coefficients of low frequency. Here the bits of the first corner of the grid are set in 35% to 67% of the codes.
- *Pictures come in clusters.* Half of the codes are near-duplicates of others, at a distance of 0 to about 40 bits, in
  clusters whose sizes have a long tail: of a million codes the largest has some hundreds.

What it lacks: real biases depend on the collection, flipped bits of real near-duplicates are those near the median, and
real clusters hang together in chains. ``tests/test_bench_data.py`` holds the statistics that are stated here. Figures
between 0 and 1 scale the correlation, the bias and the share of near-duplicates.

Everything is made of the raw stream of PCG64 by whole numbers and a few exact steps in float64, so that a seed gives
the same codes on every machine and with every version of NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import UsageError

__all__ = ["WIDEST", "Planted", "codes", "planted"]

Codes = NDArray[np.uint8]

#: Bytes of the widest code that is made.
WIDEST = 512
#: Codes whose bits are held as numbers at a time: few enough for the cache.
_BLOCK = 1 << 11
#: Weight of the four neighbours of a coefficient at skew 1, in 256ths of its own.
_NEIGHBOUR = 32
#: Most that composition moves a coefficient at skew 1: 256ths of the range of a random number.
_BIAS = 44
#: Coefficients that composition moves: those of a triangle in the corner, with row + column below this.
_BIASED = 6
#: Share of near-duplicates at skew 1.
_NEAR = 0.5
#: Bits out of 256 in which a near-duplicate differs from its original, at most, on average over its noise.
_NEAR_BITS = 32


class Planted(NamedTuple):
    """Queries with a known answer each.

    Attributes:
        queries: uint8[n, width].
        positions: int64[n]: the code that query ``i`` was made from. Other codes may be as near or nearer.
        distances: int64[n]: bits in which query ``i`` differs from that code.
    """

    queries: Codes
    positions: NDArray[np.int64]
    distances: NDArray[np.int64]


def codes(count: int, width_bytes: int, seed: int, skew: float = 0.0) -> Codes:
    """``uint8[count, width_bytes]``: codes as the head of this module describes them, in random order.

    Args:
        count: 0 or more. A longer array of the same seed does not begin with the shorter one where there are clusters.
        width_bytes: 1 to `WIDEST`.
        seed: 0 or more.
        skew: 0 (independent fair bits) to 1 (as skewed as the module's head says), both inclusive.

    Raises:
        UsageError: an argument is out of its range.
    """
    if count < 0 or not 1 <= width_bytes <= WIDEST or seed < 0:
        raise UsageError(
            f"found count {count}, width {width_bytes}, seed {seed}; expected 0 or more codes of 1 to {WIDEST} bytes "
            f"and a seed of 0 or more"
        )
    if not 0 <= skew <= 1:
        raise UsageError(f"skew: found {skew}; expected a number from 0 (fair bits) to 1 (as of real pictures)")
    stream = _Stream(seed, 1)
    if skew == 0:
        return stream.bytes(count * width_bytes).reshape(count, width_bytes)
    near = int(count * _NEAR * skew)
    originals = count - near
    made = np.empty((count, width_bytes), np.uint8)
    for start, end in _blocks(originals):
        made[start:end] = _originals(stream, end - start, width_bytes * 8, skew)
    for start, end in _blocks(near):
        # The square makes the first originals popular: a cluster's size falls with the root of its rank.
        chosen = (stream.fractions(end - start) ** 2 * originals).astype(np.int64)
        made[originals + start : originals + end] = _near(stream, made[chosen])
    return made[stream.order(count)]


def planted(codes: Codes, distances: Sequence[int] | NDArray[np.integer], seed: int) -> Planted:
    """A query for every item of ``distances``, in that order, each so many bits from a code chosen at random.

    Args:
        codes: uint8[n, width], not empty.
        distances: bits, each 0 to 8 * width, inclusive.
        seed: 0 or more; the same seed as that of the codes does no harm.

    Raises:
        UsageError: there is no code to plant beside, or a distance is out of its range.
    """
    wanted = np.asarray(distances, np.int64).reshape(-1)
    if codes.ndim != 2 or not codes.size or codes.shape[1] > WIDEST:
        raise UsageError(f"codes: found {list(codes.shape)}; expected at least one code of 1 to {WIDEST} bytes")
    bits = codes.shape[1] * 8
    if seed < 0 or (len(wanted) and not 0 <= wanted.min() <= wanted.max() <= bits):
        raise UsageError(f"expected distances from 0 to {bits} bits and a seed of 0 or more")
    stream = _Stream(seed, 2)
    positions = (stream.fractions(len(wanted)) * len(codes)).astype(np.int64)
    queries = codes[positions]
    for start, end in _blocks(len(wanted)):
        keys = _distinct(stream.numbers((end - start) * bits).reshape(-1, bits))
        ranks = np.argsort(np.argsort(keys, axis=1), axis=1)
        queries[start:end] ^= np.packbits(ranks < wanted[start:end, None], axis=1)
    return Planted(queries, positions, wanted)


class _Stream:
    """Random numbers of one purpose, from the raw stream of PCG64 alone."""

    def __init__(self, seed: int, purpose: int) -> None:
        self._raw = np.random.PCG64([seed, purpose])

    def words(self, count: int) -> NDArray[np.uint64]:
        return self._raw.random_raw(count).astype(np.uint64, copy=False) if count else np.zeros(0, np.uint64)

    def bytes(self, count: int) -> Codes:
        return self.words(-(-count // 8)).astype("<u8").view(np.uint8)[:count]

    def numbers(self, count: int) -> NDArray[np.uint32]:
        """Numbers of 16 bits."""
        return self.words(-(-count // 4)).astype("<u8").view("<u2")[:count].astype(np.uint32)

    def fractions(self, count: int) -> NDArray[np.float64]:
        """From 0 (inclusive) to 1 (exclusive), in steps that float64 holds exactly."""
        return (self.words(count) >> np.uint64(11)).astype(np.float64) / (1 << 53)

    def order(self, count: int) -> NDArray[np.int64]:
        return np.argsort(self.words(count), kind="stable")


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))


def _sides(bits: int) -> tuple[int, int]:
    """(rows, columns) of the grid of coefficients, as nearly square as can be: 16 x 16 for 256 bits."""
    rows = next(rows for rows in range(int(bits**0.5), 0, -1) if bits % rows == 0)
    return rows, bits // rows


def _distinct(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The values of each row without ties: below 2**20, and of equal ones the later is larger."""
    return (values << np.uint32(12)) | np.arange(values.shape[1], dtype=np.uint32)


def _upper_half(values: NDArray[np.uint32]) -> Codes:
    """Codes in which the bits of the upper half of each row's values are set, as PDQ's median does it."""
    keys = _distinct(values)
    middle = values.shape[1] // 2
    return np.packbits(keys >= np.partition(keys, middle, axis=1)[:, middle, None], axis=1)


def _originals(stream: _Stream, count: int, bits: int, skew: float) -> Codes:
    """Codes of pictures that have nothing to do with each other."""
    rows, columns = _sides(bits)
    padded = stream.numbers(count * (rows + 2) * (columns + 2)).reshape(count, rows + 2, columns + 2)
    weight = np.uint32(_NEIGHBOUR * skew)
    beside = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    values = ((padded[:, 1:-1, 1:-1] * np.uint32(256) + beside * weight) >> np.uint32(8)) + _bias(rows, columns, skew)
    return _upper_half(values.reshape(count, bits))


@cache
def _bias(rows: int, columns: int, skew: float) -> NDArray[np.uint32]:
    """What composition adds to each coefficient: the same for every seed, as it is for every collection here."""
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    low = np.maximum(_BIASED - row - column, 0)
    sign = np.where((row * 3 + column * 5) % 4 < 2, 1, -1)
    most = int(_BIAS * skew)
    moved: NDArray[np.int64] = (most + sign * (low * most // _BIASED)) * 256
    return moved.astype(np.uint32)


def _near(stream: _Stream, originals: Codes) -> Codes:
    """Codes near ``originals``, with the same number of bits set.

    A bit's value is noise, and more by a lead where the bit was set; the upper half is taken again. With a lead of the
    noise's whole range nothing changes; a lead of the part 1 - x of it changes the part x / 2 of the bits.
    """
    count, bits = len(originals), originals.shape[1] * 8
    part = stream.fractions(count) ** 2 * (2 * _NEAR_BITS / 256)
    lead = np.ceil((1 - part) * 65536).astype(np.uint32)
    noise = stream.numbers(count * bits).reshape(count, bits)
    return _upper_half(noise + np.unpackbits(originals, axis=1) * lead[:, None])
