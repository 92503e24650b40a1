"""Two documents of results: which ratios got worse.

Ratios and not times are compared: the two runs may come from different machines, or from one machine in different
moods, and in each of them the peer met the same conditions as hashmatch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hashmatch.bench.result import Key, ratios_of
from hashmatch.errors import BenchmarkUnrelatedError, UsageError, printable, shorten

__all__ = ["DEFAULT_THRESHOLD", "Change", "Comparison", "compare"]

#: Part of a ratio that may be lost: what repeated runs on one quiet machine differ by.
DEFAULT_THRESHOLD = 0.1


@dataclass(frozen=True, slots=True)
class Change:
    """One ratio, before and after.

    Attributes:
        key: what it is of.
        base: how many times as long as hashmatch the peer took, before.
        new: the same, after.
        worse: whether more than the threshold was lost.
        apart: whether the rounds of the two runs do not overlap at all.
    """

    key: Key
    base: float
    new: float
    worse: bool
    apart: bool

    @property
    def share(self) -> float:
        """By which part the ratio changed: -0.1 where a tenth of the advantage is lost."""
        return self.new / self.base - 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comes of comparing two documents.

    Attributes:
        changes: ratios that both have, in order.
        only_base: what only the first has.
        only_new: what only the second has.
        machines: what differs between the machines, one sentence each.
        threshold: the part that may be lost.
    """

    changes: tuple[Change, ...]
    only_base: tuple[Key, ...]
    only_new: tuple[Key, ...]
    machines: tuple[str, ...]
    threshold: float

    @property
    def worse(self) -> tuple[Change, ...]:
        """The ratios that lost more than the threshold."""
        return tuple(change for change in self.changes if change.worse)

    def lines(self) -> list[str]:
        """The comparison as text."""
        names = [printable(str(change.key)) for change in self.changes]
        width = max(map(len, names))
        lines = [f"{'times as long as hashmatch':<{width}}  {'base':>10}  {'new':>10}  {'change':>8}"]
        for name, change in zip(names, self.changes, strict=True):
            note = "  WORSE" if change.worse else ""
            note += ", and no round of one run reaches the other's" if change.worse and change.apart else ""
            lines.append(f"{name:<{width}}  {change.base:>10,.3g}  {change.new:>10,.3g}  {change.share:>+8.1%}{note}")
        lines += [f"only in base: {printable(str(key))}" for key in self.only_base]
        lines += [f"only in new: {printable(str(key))}" for key in self.only_new]
        lines += [f"the machines differ: {printable(text)}" for text in self.machines]
        count = len(self.worse)
        lines.append(
            f"{count:,} of {len(self.changes):,} ratios got worse by more than {self.threshold:.0%}"
            if count
            else f"none of {len(self.changes):,} ratios got worse by more than {self.threshold:.0%}"
        )
        return lines


def compare(base: Mapping[str, Any], new: Mapping[str, Any], threshold: float = DEFAULT_THRESHOLD) -> Comparison:
    """Compare the ratios of two documents (`hashmatch.bench.result.read_document`).

    Args:
        base: the document of before.
        new: the document of after.
        threshold: the part of a ratio that may be lost, at least 0 and under 1; a loss of exactly this is none.

    Raises:
        UsageError: the threshold is out of range.
        BenchmarkUnrelatedError: the documents have no ratio in common.
    """
    if not (math.isfinite(threshold) and 0 <= threshold < 1):
        raise UsageError(f"the threshold is {shorten(threshold)}; expected a part from 0 to under 1, for example 0.1")
    before, after = ratios_of(base), ratios_of(new)
    common = sorted(before.keys() & after.keys())
    if not common:
        raise BenchmarkUnrelatedError(
            f"the documents have no ratio in common ({len(before):,} and {len(after):,}); "
            "measure the same suites with the same options, and with the same peers installed"
        )
    changes = []
    for key in common:
        old, now = before[key], after[key]
        changes.append(
            Change(
                key,
                old["median"],
                now["median"],
                worse=now["median"] < old["median"] * (1 - threshold),
                apart=now["high"] < old["low"] or now["low"] > old["high"],
            )
        )
    machines = tuple(
        f"{name} {old_value!s}, {new_value!s}"
        for name in ("processor", "kernels", "cores", "python")
        if (old_value := base["machine"].get(name)) != (new_value := new["machine"].get(name))
    )
    return Comparison(
        tuple(changes),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(after.keys() - before.keys())),
        machines,
        threshold,
    )
