"""The suites: each makes data, checks answers, and hands over cases to be timed while the data lives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from hashmatch.bench.peers import Absent
from hashmatch.bench.result import Case
from hashmatch.errors import BenchmarkCheckError, BenchmarkError

__all__ = ["Plan", "Suite", "expect"]

Peer = TypeVar("Peer")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured, and on how much.

    Attributes:
        sizes: entries of the lists that are matched against and imported, each at least 1.
        queries: hashes that are looked up in one round.
        images: pictures that are hashed or scanned.
        side: of the pictures, in pixels; they are a third wider than high.
        threads: threads of a search, worker processes of a scan; at least 1.
        skew: 0 (independent bits) to 1 (bits biased and correlated as those of pictures), of generated codes.
        seed: of all data.
        absent: where suites put the peers that cannot be run here, and those whose answers are wrong.
    """

    sizes: tuple[int, ...] = (100_000,)
    queries: int = 1000
    images: int = 24
    side: int = 480
    threads: int = 1
    skew: float = 0.0
    seed: int = 1
    absent: list[Absent] = field(default_factory=list)

    def present(self, found: Sequence[Peer | Absent]) -> list[Peer]:
        """Those that are here; who is absent is remembered."""
        self.leave_out(*(each for each in found if isinstance(each, Absent)))
        return [each for each in found if not isinstance(each, Absent)]

    def leave_out(self, *absent: Absent) -> None:
        """Remember who is absent, each once."""
        self.absent.extend(each for each in absent if each not in self.absent)

    def failed(self, name: str, where: str, error: Exception) -> None:
        """Remember that a peer failed.

        Raises:
            BenchmarkError: the peer was stopped from outside, and so must the run be.
        """
        # USearch makes a RuntimeError of this text of an interrupt that comes while it works.
        if "terminated" in str(error):
            raise BenchmarkError(f"{where}: stopped from outside while {name} worked; nothing is reported") from error
        self.leave_out(Absent(name, f"failed at {where}: {type(error).__name__}: {error}"))


Suite = Callable[[Plan], Iterator[Case]]


def expect(truth: bool, what: str) -> None:
    """Refuse to go on where our own answers are wrong.

    Raises:
        BenchmarkCheckError: ``truth`` is false.
    """
    if not truth:
        raise BenchmarkCheckError(f"{what}: the answers are wrong; nothing is timed, and nothing is reported")
