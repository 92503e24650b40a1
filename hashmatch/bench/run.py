"""Running suites: one document of results."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from hashmatch.bench.suites import Plan, Suite
from hashmatch.errors import UsageError, shorten

__all__ = ["SUITES", "run"]

#: Name of a suite -> its module in `hashmatch.bench.suites`.
SUITES: Mapping[str, str] = MappingProxyType(
    {"hash": "hashing", "match": "match", "import": "importing", "startup": "startup", "scan": "scan"}
)


def run(
    names: Sequence[str], plan: Plan, rounds: int = 5, progress: Callable[[str], None] = lambda _text: None
) -> dict[str, Any]:
    """Run suites one after the other; the document of results.

    Args:
        names: some of `SUITES`; none: all.
        plan: sizes and the like.
        rounds: at least 1.
        progress: told what is about to be timed.

    Raises:
        UsageError: an unknown suite, or a plan that makes no sense.
        BenchmarkCheckError: answers of ours are wrong. Nothing is reported then, of no suite.
    """
    from hashmatch.bench import machine
    from hashmatch.bench.result import document, measured

    if unknown := [name for name in names if name not in SUITES]:
        raise UsageError(f"unknown suite {shorten(unknown[0])}; expected some of {', '.join(SUITES)}")
    if rounds < 1 or plan.threads < 1 or plan.images < 2 or plan.queries < 1 or any(size < 1 for size in plan.sizes):
        raise UsageError("expected at least 1 round, thread, query and entry, and at least 2 images")
    if not 0 <= plan.skew <= 1 or plan.seed < 0:
        raise UsageError("expected a skew from 0 to 1, and a seed of 0 or more")
    stamp = machine.machine()
    results = []
    for name in dict.fromkeys(names or SUITES):
        suite: Suite = importlib.import_module(f"hashmatch.bench.suites.{SUITES[name]}").run
        for case in suite(plan):
            progress(f"{case.suite} {case.case}")
            results.append(measured(case, rounds))
    absent = [{"name": each.name, "reason": each.reason} for each in plan.absent]
    return document(results, absent, seed=plan.seed, stamp=stamp)
