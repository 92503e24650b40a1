"""From distances of unrelated pairs to thresholds that keep a false-match rate, and how sure a measured rate is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Joint", "Method", "binomial", "methods", "supported", "wilson"]

_Z = 1.959963984540054  # of 95%, two-sided
#: Pairs times rate that a rate needs: with so many pairs and no match, it is below with 95% (the rule of three).
NEEDED = 3


def wilson(found: int, of: int) -> tuple[float, float]:
    """The 95% interval of a rate of which ``found`` of ``of`` were seen (Wilson, 1927); (0, 1) where ``of`` is 0."""
    if of == 0:
        return 0.0, 1.0
    share, squared = found / of, _Z * _Z
    middle = (share + squared / (2 * of)) / (1 + squared / of)
    half = _Z / (1 + squared / of) * math.sqrt(share * (1 - share) / of + squared / (4 * of * of))
    low = 0.0 if found == 0 else max(0.0, middle - half)
    high = 1.0 if found == of else min(1.0, middle + half)
    return low, high


def supported(pairs: int, rate: float) -> bool:
    """Whether so many pairs can say anything about a false-match rate."""
    return pairs * rate >= NEEDED


def binomial(bits: int, pairs: int) -> list[float]:
    """Pairs expected at each distance from 0 to ``bits``, were all bits independent and fair."""
    return [pairs * math.comb(bits, distance) / 2**bits for distance in range(bits + 1)]


@dataclass(frozen=True, slots=True)
class Method:
    """A way to decide whether two pictures match.

    Attributes:
        name: what it is called in results.
        rule: ``single``, ``any`` (one of the algorithms is within its threshold) or ``all`` (each of them is).
        algorithms: the algorithms.
    """

    name: str
    rule: str
    algorithms: tuple[str, ...]


def methods(algorithms: Sequence[str]) -> list[Method]:
    """Each algorithm, then every combination of two and more of them under both rules."""
    found = [Method(name, "single", (name,)) for name in algorithms]
    for rule in ("any", "all"):
        for size in range(2, len(algorithms) + 1):
            for chosen in combinations(algorithms, size):
                found.append(Method(f"{rule} of {', '.join(chosen)}", rule, chosen))  # noqa: PERF401
    return found


class Joint:
    """How many pairs have which distances under several algorithms at once.

    Args:
        bits: algorithm -> bits of its hash.
    """

    def __init__(self, bits: Mapping[str, int]) -> None:
        self.bits = dict(bits)
        self._names = tuple(bits)
        self._shape = tuple(width + 1 for width in bits.values())
        self._counts: NDArray[np.int64] = np.zeros(self._shape, np.int64)
        self._sums: NDArray[np.int64] | None = None

    def add(self, distances: Mapping[str, NDArray[np.integer]]) -> None:
        """Count pairs: algorithm -> their distances, in one order."""
        columns = [np.asarray(distances[name], np.intp).ravel() for name in self._names]
        cells = np.ravel_multi_index(columns, self._shape)
        self._counts += np.bincount(cells, minlength=self._counts.size).reshape(self._shape)
        self._sums = None

    @property
    def pairs(self) -> int:
        """Pairs counted."""
        return int(self._counts.sum())

    def histogram(self, name: str) -> NDArray[np.int64]:
        """Pairs at each distance of one algorithm."""
        axis = self._names.index(name)
        total: NDArray[np.int64] = self._counts.sum(axis=tuple(i for i in range(len(self._names)) if i != axis))
        return total

    def matching(self, thresholds: Mapping[str, int], rule: str) -> int:
        """Pairs within the thresholds (inclusive; -1 matches nothing) of all or of any of the algorithms."""
        if rule != "any":
            return self._within(thresholds)
        total = 0
        for size in range(1, len(thresholds) + 1):
            for chosen in combinations(thresholds, size):
                total += (-1) ** (size + 1) * self._within({name: thresholds[name] for name in chosen})
        return total

    def _within(self, thresholds: Mapping[str, int]) -> int:
        if any(value < 0 for value in thresholds.values()):
            return 0
        if self._sums is None:
            sums = self._counts
            for axis in range(sums.ndim):
                sums = sums.cumsum(axis)
            self._sums = sums
        return int(self._sums[tuple(thresholds.get(name, self.bits[name]) for name in self._names)])

    def thresholds(self, method: Method, rate: float) -> dict[str, int]:
        """The largest thresholds of a method under which at most ``rate`` of the pairs match.

        All algorithms of a combination are held to one false-match rate of their own, as near as their whole numbers
        allow, and that rate is raised as far as the combination's stays within ``rate``. Each is a distance in bits,
        inclusive; -1 where even equal hashes are too many.
        """
        allowed = math.floor(rate * self.pairs * (1 + 1e-12))  # 1e-6 of 3 million pairs is 3 pairs
        sums = {name: self.histogram(name).cumsum() for name in method.algorithms}
        best = dict.fromkeys(method.algorithms, -1)
        for own in sorted({0, *(int(value) for column in sums.values() for value in column)}):
            tried = {name: int(np.searchsorted(column, own, side="right")) - 1 for name, column in sums.items()}
            if self.matching(tried, method.rule) > allowed:
                break
            best = tried
        return best
