"""Timing several contestants in turns: each round runs all of them, each round in another order."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hashmatch.errors import UsageError

__all__ = ["Contestant", "Spread", "interleave", "ratios", "spread"]

#: Seconds that a measurement lasts at least; what is faster is repeated within a round.
SHORTEST = 0.02
#: Most repetitions within a round.
MOST_LOOPS = 10_000


@dataclass(frozen=True, slots=True)
class Contestant:
    """One side of a benchmark.

    Attributes:
        name: unique within a case; our own is ``hashmatch``.
        version: of the package that does the work.
        work: does the work once; what it returns is thrown away.
        detail: what is run, in words.
        ours: whether it is hashmatch.
        share: the part of the case's work that ``work`` does, over 0 and at most 1. Seconds are scaled to all of it.
        memory_bytes: what it keeps in memory for the case, or None where that is not known.
        recall: the share of the answers that it finds, 0 to 1; None where it finds all of them.
        after: undoes what ``work`` did, untimed; with it nothing is repeated within a round.
    """

    name: str
    version: str
    work: Callable[[], Any]
    detail: str = ""
    ours: bool = False
    share: float = 1.0
    memory_bytes: int | None = None
    recall: float | None = None
    after: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, with the lowest and the highest of them."""

    median: float
    low: float
    high: float


def interleave(
    contestants: Sequence[Contestant], rounds: int, *, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of every round of every contestant, scaled to the case's whole work.

    Every contestant works once before anything counts. Each round then runs all of them, beginning with another one
    than the round before, with the garbage collector at rest.

    Args:
        contestants: of different names.
        rounds: at least 1.
        clock: seconds, ascending.

    Raises:
        UsageError: no round, no contestant, or two of one name.
    """
    names = [contestant.name for contestant in contestants]
    if rounds < 1 or not names or len(set(names)) != len(names):
        raise UsageError(f"{rounds} rounds of {len(names)} contestants; expected at least 1, and no two of one name")
    loops = {contestant.name: _loops(contestant, clock) for contestant in contestants}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    collects = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            first = number % len(contestants)
            for contestant in (*contestants[first:], *contestants[:first]):
                gc.collect(0)
                taken = _timed(contestant, loops[contestant.name], clock)
                seconds[contestant.name].append(taken / contestant.share)
    finally:
        if collects:
            gc.enable()
    return seconds


def _loops(contestant: Contestant, clock: Callable[[], float]) -> int:
    """How often to repeat the work so that the clock can tell; the first, cold, run counts for nothing."""
    once = _timed(contestant, 1, clock)
    if contestant.after is not None or once >= SHORTEST:
        return 1
    warm = _timed(contestant, 1, clock)
    return max(1, min(MOST_LOOPS, int(SHORTEST / max(warm, 1e-9)) + 1)) if warm < SHORTEST else 1


def _timed(contestant: Contestant, loops: int, clock: Callable[[], float]) -> float:
    work = contestant.work
    start = clock()
    for _ in range(loops):
        work()
    taken = clock() - start
    if contestant.after is not None:
        contestant.after()
    # A clock that is too coarse for the work must not make a division by zero.
    return max(taken, 1e-9) / loops


def spread(values: Sequence[float]) -> Spread:
    """Median, lowest and highest of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(seconds: Mapping[str, Sequence[float]], ours: str) -> dict[str, Spread]:
    """How many times as long as ``ours`` each other contestant took, round by round."""
    return {
        name: spread([theirs / own for theirs, own in zip(values, seconds[ours], strict=True)])
        for name, values in seconds.items()
        if name != ours
    }
