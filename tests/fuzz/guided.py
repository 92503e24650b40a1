"""Fuzzing guided by the branches of the code under test, without any library: the engine of the slow tier.

    python tests/fuzz/guided.py TARGET [--cases N | --seconds N] [--seed S] [--keep FOLDER]

The modules under test are compiled with probes (probes.py). An input that takes one branch behind another, as none
before it has done, joins the corpus, and is looked at thoroughly where the target knows how. Inputs whose rarest edge
few others reach are changed more often. The same seed gives the same cases (pyarrow's threads aside).

The run ends with exit code 1 at the first input that a target refuses, which is written to FOLDER and cut down to what
is needed; an input that takes longer than 30 seconds is refused, too. The last line that it prints is JSON.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import math
import random
import re
import signal
import sys
import time
from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parent), str(ROOT)]

from fuzz.mutate import shaped  # noqa: E402
from fuzz.probes import Probes, install  # noqa: E402

from hashmatch.bench import machine  # noqa: E402

if TYPE_CHECKING:
    from fuzz.target import Target

#: What is compiled with probes.
UNDER_TEST = ("hashmatch.lists",)
#: Bytes of address space: an input of some kilobytes that needs more ends the run.
_MEMORY = 6 << 30
_PATIENCE = 30
_CASES = 100_000
#: The weights of the corpus are computed anew after so many cases.
_WEIGH = 500
#: Probes of one case that are looked at.
_LONGEST_TRACE = 50_000

Edge = tuple[int, int]


class Found(Exception):  # noqa: N818 - a finding
    """An input that a target refuses."""

    def __init__(self, data: bytes, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.data = data
        self.error = error


class Corpus:
    """Inputs, each of which reached an edge that none before it had, and how often edges are reached."""

    def __init__(self) -> None:
        self.inputs: list[bytes] = []
        self.counts: dict[Edge, int] = {}
        self._edges: list[frozenset[Edge]] = []
        self._weights: list[float] = []

    def take(self, data: bytes, edges: set[Edge]) -> bool:
        """Count the edges of a case; keep it if one is new."""
        counts, new = self.counts, False
        for edge in edges:
            count = counts.get(edge, 0)
            counts[edge] = count + 1
            new = new or not count
        if new:
            self.inputs.append(data)
            self._edges.append(frozenset(edges))
        return new

    def weigh(self) -> None:
        """Inputs are as likely as their rarest edge is rare; short ones more than long ones."""
        counts = self.counts
        self._weights = list(
            accumulate(
                min(map(counts.__getitem__, edges), default=1) ** -0.5 / (1 + len(data) / 4000)
                for data, edges in zip(self.inputs, self._edges, strict=True)
            )
        )

    def draw(self, rng: random.Random) -> bytes:
        """An input to change."""
        if rng.random() < 0.1:
            return self.inputs[-1 - int(rng.random() ** 3 * len(self.inputs))]
        return self.inputs[bisect(self._weights, rng.random() * self._weights[-1], hi=len(self._weights) - 1)]


def fuzz(
    target: Target, probes: Probes, cases: int, seed: int, extra: Sequence[bytes] = (), seconds: float = math.inf
) -> dict[str, Any]:
    """Run ``cases`` cases of a target, or as many as fit into ``seconds``.

    Raises:
        Found: the target refuses an input.
    """
    rng, corpus, trace = random.Random(f"{target.name} {seed}"), Corpus(), probes.trace
    started, used, slowest = time.monotonic(), time.process_time(), 0.0
    seeds = [*target.seeds(), *extra]

    def case(data: bytes) -> None:
        nonlocal slowest
        _alarm(_PATIENCE)
        trace.clear()
        before = time.perf_counter()
        try:
            target.run(data)
            slowest = max(slowest, time.perf_counter() - before)
            del trace[_LONGEST_TRACE:]
            if corpus.take(data, probes.edges()) and target.thorough is not None:
                target.thorough(data)
        except BaseException as error:
            raise Found(data, error) from error
        finally:
            _alarm(0)

    # What is computed once is no branch of the first case.
    case(seeds[0])
    for data in seeds:
        case(data)
    at_first = len(corpus.counts)
    inputs = corpus.inputs
    number = 0
    while number < cases and time.monotonic() - started < seconds:
        if not number % _WEIGH:
            corpus.weigh()
            gc.collect()
            # For what no signal reaches: a library that does not come back.
            faulthandler.dump_traceback_later(_WEIGH * _PATIENCE / 10, exit=True)
        case(shaped(rng, corpus.draw(rng), inputs, target.tokens, target.shapes, target.longest))
        number += 1
    faulthandler.cancel_dump_traceback_later()
    return {
        "target": target.name,
        "cases": number,
        "seeds": len(seeds),
        "edges_of_seeds": at_first,
        "edges": len(corpus.counts),
        "corpus": len(corpus.inputs),
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "slowest_case": round(slowest, 3),
        "peak_mb": machine.peak_bytes() >> 20,
    }


def smaller(data: bytes, refused: Callable[[bytes], bool], seconds: float = 20) -> bytes:
    """``data`` without the pieces that it is refused without."""
    end, size = time.monotonic() + seconds, len(data) // 2
    while size and time.monotonic() < end:
        at = 0
        while at < len(data) and time.monotonic() < end:
            shorter = data[:at] + data[at + size :]
            if refused(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def _why(target: Target, data: bytes) -> str:
    """What kind of refusal an input meets; "" for none."""
    _alarm(_PATIENCE)
    try:
        target.run(data)
        if target.thorough is not None:
            target.thorough(data)
    except BaseException as error:  # noqa: BLE001 - whatever it is
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        line = last.tb_lineno if last else 0
        return f"{type(error).__name__} {line} {re.sub('[0-9]+', '', str(error))[:20]}"
    finally:
        _alarm(0)
    return ""


def _alarm(seconds: float) -> None:
    """Have TimeoutError raised after so many seconds, where the system can; 0: not any more."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _ring(*_: object) -> None:
    raise TimeoutError(f"more than {_PATIENCE} seconds")


def _bound_memory() -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="fuzz one target, guided by the branches that inputs take")
    parser.add_argument("target")
    parser.add_argument("--cases", type=int, help="default: as many as in the slow tier")
    parser.add_argument("--seconds", type=float, help="as many cases as fit into so much time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "fuzz" / "found")
    args = parser.parse_args()
    faulthandler.enable()
    probes = install(UNDER_TEST)
    from fuzz.targets import TARGETS

    target = TARGETS[args.target]
    _bound_memory()
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _ring)
    gc.freeze()
    known = [path.read_bytes() for path in sorted((HERE / "corpus" / target.name).glob("*"))]
    cases = args.cases or (sys.maxsize if args.seconds else target.cases or _CASES)
    try:
        print(json.dumps(fuzz(target, probes, cases, args.seed, known, args.seconds or math.inf)), flush=True)
    except Found as found:
        args.keep.mkdir(parents=True, exist_ok=True)
        why = _why(target, found.data)
        data = smaller(found.data, lambda shorter: _why(target, shorter) == why) if why else found.data
        path = args.keep / f"{target.name}-{time.time_ns()}"
        path.write_bytes(data)
        sys.excepthook(type(found.error), found.error, found.error.__traceback__)
        print(f"{target.name}: {len(data)} bytes in {path}: {data[:2000]!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
