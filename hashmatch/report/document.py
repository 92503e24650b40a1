"""The header and the summary of a report."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hashmatch import chance, kernels
from hashmatch._version import __version__
from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.index.compiled import CompiledList
from hashmatch.lists.states import State
from hashmatch.matcher import Matcher, MatchResult, Verdict

__all__ = ["Input", "Summary", "list_header", "run_header"]


@dataclass
class Input:
    """One input of a run: path as given, format, size in bytes, hex SHA-256, and how many records it held.

    For a scanned folder ``format`` is ``images``, ``bytes`` the total of its files, and ``sha256`` empty.
    """

    path: str
    format: str
    bytes: int = 0
    sha256: str = ""
    records: int = 0
    valid: int = 0
    invalid: int = 0
    empty_digests: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class Summary:
    """Counts over a run, filled with `add`. All of it is a function of inputs, lists and parameters alone."""

    queries: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    matches: Counter[str] = field(default_factory=Counter)
    suppressed: int = 0
    disputed: int = 0
    noted: int = 0
    not_compared: int = 0

    def add(self, result: MatchResult) -> None:
        """Count one result."""
        self.queries += 1
        self.verdicts[result.verdict] += 1
        self.statuses[result.record.status] += 1
        for match in result.matches:
            self.matches[match.algorithm] += 1
        self.suppressed += bool(result.suppressed)
        self.disputed += any(match.state is State.DISPUTED for match in result.matches)
        self.noted += bool(result.notes)
        self.not_compared += not result.compared and bool(result.record.hashes)

    @property
    def matched(self) -> bool:
        """Whether anything matched."""
        return any(self.verdicts[v] for v in (Verdict.EXACT, Verdict.NEAR, Verdict.CONFLICT))

    @property
    def unreadable(self) -> bool:
        """Whether anything could not be read."""
        return any(count for status, count in self.statuses.items() if status != "ok")

    def as_dict(self, matcher: Matcher, inputs: list[Input]) -> dict[str, Any]:
        """The summary as plain data: counts, thresholds, chance figures, inputs and lists."""
        return {
            "queries": self.queries,
            "verdicts": {v.value: self.verdicts[v] for v in Verdict},
            "statuses": dict(sorted(self.statuses.items())),
            "matches_by_algorithm": {name: self.matches[name] for name in ALGORITHMS if self.matches[name]},
            "queries_with_suppressed_matches": self.suppressed,
            "queries_with_disputed_matches": self.disputed,
            "queries_with_notes": self.noted,
            "queries_not_compared": self.not_compared,
            "looked_up": {name: matcher.looked_up[name] for name in matcher.searched},
            "thresholds": {
                "searched": list(matcher.searched),
                "radius": {name: r for name, r in matcher.radius.items() if name in matcher.searched},
                "min_quality": {"pdq": matcher.min_quality},
                "min_detail": {"photodna": matcher.photodna_min_detail},
                "disputed": matcher.disputed,
                "known_good_suppresses": "all" if matcher.allow_exact else "near",
            },
            "chance": chance_figures(matcher),
            "list": list_header(matcher.compiled, matcher.path),
            "known_good_list": list_header(matcher.allow) if matcher.allow is not None else None,
            "inputs": [asdict(item) for item in inputs],
        }


def chance_figures(matcher: Matcher) -> dict[str, dict[str, Any]]:
    """Algorithm -> comparisons of this run and the chance pairs to expect; see `hashmatch.chance`."""
    figures: dict[str, dict[str, Any]] = {}
    for name, queries in matcher.looked_up.items():
        if ALGORITHMS[name].kind is not Kind.HAMMING:
            continue
        entries = int(matcher.compiled.meta["hashes"].get(name, 0))
        expected = chance.expected_pairs(name, matcher.radius[name], queries, entries) or 0.0
        figures[name] = {
            "queries": queries,
            "entries": entries,
            "radius": matcher.radius[name],
            "expected_chance_pairs": float(f"{expected:.3g}"),
            "warn": expected > chance.WARN_PAIRS,
        }
    return figures


def list_header(compiled: CompiledList, path: Path | None = None) -> dict[str, Any]:
    """What a report says of a list: nothing that its source did not put on the cover. ``path``: as it was given."""
    return {
        "path": str(path or compiled.path),
        "snapshot": compiled.snapshot.hex(),
        "role": compiled.meta["role"],
        "entries": compiled.rows,
        "sources": compiled.meta["sources"],
        "hashes": compiled.meta["hashes"],
    }


def run_header(
    command: list[str], started: datetime, matcher: Matcher, case: dict[str, str], hashing: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What may differ between two runs over the same data: who, when, with what, on which machine.

    Args:
        command: the command line as it was given.
        started: UTC time of the start.
        matcher: the matcher after the run.
        case: case number, exhibit, examiner and agency, as far as they were given.
        hashing: how images became hashes, where the run hashed any: decoder, profile, orientation, limits.
    """
    compiled = Path(matcher.compiled.path)
    return {
        "case": case,
        "tool": {"name": "hashmatch", "version": __version__, "kernels": kernels.active(), "engines": matcher.engines},
        "command": command,
        "sections_verified": matcher.compiled.verifies,
        "hashing": hashing,
        "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ended": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "list_compiled": datetime.fromtimestamp(compiled.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "byte_order": sys.byteorder,
            "cores": os.cpu_count(),
        },
        "wording": "A match is a candidate for human review, never a finding.",
    }
