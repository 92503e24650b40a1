"""How many pairs would match by chance alone: the figure that stands beside every perceptual result.

It assumes independent, fair bits. Real codes are correlated, so it is a lower bound on what to expect and a warning,
not a probability of guilt or error.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

from hashmatch.algorithms import Kind, get

__all__ = ["WARN_PAIRS", "expected_pairs", "pair_probability"]

#: Expected chance pairs of a run from which on a report warns.
WARN_PAIRS = 0.01


@lru_cache(maxsize=256)
def pair_probability(bits: int, radius: int) -> float:
    """Probability that two independent random codes of ``bits`` bits are at most ``radius`` bits apart (inclusive)."""
    return sum(comb(bits, distance) for distance in range(min(radius, bits) + 1)) / (1 << bits)


def expected_pairs(algorithm: str, radius: int, queries: int, entries: int) -> float | None:
    """Expected chance pairs of ``queries`` x ``entries`` comparisons; None where no model is known (photodna)."""
    known = get(algorithm)
    if known.kind is not Kind.HAMMING:
        return None
    return queries * entries * pair_probability(known.bits, radius)
