"""What a target is: one thing that is fuzzed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .structure import Shape

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed.

    Attributes:
        name: for the command line.
        run: takes the bytes.
        seeds: inputs to begin with.
        tokens: pieces that mean something in such files.
        longest: bytes of an input at most.
        rate: about how many inputs a second it takes, for the length of a replay.
        shapes: mutations that know what its inputs are made of; bytes are changed in any case.
        thorough: takes the bytes, and holds what is too slow for every input.
        cases: how many cases the slow tier gives it, guided by branches; 0: it is fuzzed blindly there.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    tokens: Sequence[bytes] = ()
    longest: int = 1 << 14
    rate: int = 500
    shapes: Sequence[Shape] = ()
    thorough: Callable[[bytes], None] | None = None
    cases: int = 0
