"""`hashmatch bench compare`: ratios, not times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashmatch.bench.compare import compare
from hashmatch.bench.result import document
from hashmatch.errors import BenchmarkUnrelatedError, UsageError

STAMP = {"processor": "A", "cores": 2, "kernels": "avx2", "python": "3.12", "system": "s"}


def made(ratios: dict[str, Any], *, case: str = "pdq-range", entries: int = 100, **stamp: Any) -> dict[str, Any]:
    """A document of one result; a ratio is a number, or (low, median, high)."""
    spreads = {}
    for peer, ratio in ratios.items():
        low, median, high = ratio if isinstance(ratio, tuple) else (ratio, ratio, ratio)
        spreads[peer] = {"median": median, "low": low, "high": high}
    result = {"suite": "match", "case": case, "parameters": {"entries": entries}, "contestants": [], "ratios": spreads}
    return document([result], [], seed=1, stamp=STAMP | stamp)


@pytest.mark.parametrize(
    ("base", "new", "threshold", "worse"),
    [
        (10.0, 10.0, 0.1, False),
        (10.0, 9.1, 0.1, False),
        (8.0, 6.0, 0.25, False),
        (8.0, 5.99, 0.25, True),
        (10.0, 8.9, 0.1, True),
        (10.0, 100.0, 0.1, False),
        (10.0, 9.99, 0.0, True),
        (0.5, 0.4, 0.1, True),
    ],
)
def test_worse_is_a_ratio_that_fell_by_more_than_the_threshold(
    base: float, new: float, threshold: float, worse: bool
) -> None:
    comparison = compare(made({"faiss": base}), made({"faiss": new}), threshold)
    assert bool(comparison.worse) == worse
    assert ("WORSE" in "\n".join(comparison.lines())) == worse


def test_times_do_not_matter() -> None:
    slow, fast = made({"faiss": 5.0}), made({"faiss": 5.0})
    for read, seconds in ((slow, 10.0), (fast, 0.001)):
        read["results"][0]["contestants"] = [{"name": "hashmatch", "seconds": [seconds]}]
    assert not compare(fast, slow).worse


def test_what_only_one_side_has_is_listed() -> None:
    comparison = compare(made({"faiss": 5.0, "old": 1.0}), made({"faiss": 5.0, "new": 1.0}))
    assert [key.peer for key in comparison.only_base] == ["old"]
    assert [key.peer for key in comparison.only_new] == ["new"]
    text = comparison.lines()
    assert "only in base: match pdq-range (entries 100): old" in text
    assert "only in new: match pdq-range (entries 100): new" in text


def test_the_machines_and_the_spread_are_told() -> None:
    base, new = made({"faiss": (9, 10, 11)}), made({"faiss": (4, 5, 6)}, processor="B")
    text = "\n".join(compare(base, new).lines())
    assert "the machines differ: processor A, B" in text
    assert "no round of one run reaches the other's" in text
    near = "\n".join(compare(base, made({"faiss": (4, 5, 9)})).lines())
    assert "no round" not in near
    assert "the machines differ" not in near


@pytest.mark.parametrize(
    "new", [made({"other": 1.0}), made({"faiss": 1.0}, case="md5"), made({"faiss": 1.0}, entries=101), made({})]
)
def test_documents_without_a_common_ratio(new: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkUnrelatedError, match="no ratio in common"):
        compare(made({"faiss": 1.0}), new)


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan"), float("inf")])
def test_thresholds(threshold: float) -> None:
    with pytest.raises(UsageError):
        compare(made({"faiss": 1.0}), made({"faiss": 1.0}), threshold)


def test_exit_codes(cmd: Callable[..., Any], tmp_path: Path) -> None:
    for name, read in {
        "base": made({"faiss": 10.0}),
        "worse": made({"faiss": 5.0}),
        "other": made({"hfind": 5.0}),
        "version": made({}) | {"version": 9},
        "damaged": made({}) | {"results": 1},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(read), encoding="utf-8")
    assert cmd("bench", "compare", "base.json", "base.json").code == 0
    worse = cmd("bench", "compare", "base.json", "worse.json")
    assert worse.code == 1
    assert "1 of 1 ratios got worse by more than 10%" in worse.out
    assert cmd("bench", "compare", "base.json", "worse.json", "--threshold", "0.6").code == 0
    assert cmd("bench", "compare", "base.json", "worse.json", "--threshold", "2").code == 2
    for name, reason in {
        "other": "no ratio in common",
        "version": "version 9",
        "damaged": "is damaged",
        "missing": "cannot be read",
    }.items():
        done = cmd("bench", "compare", "base.json", f"{name}.json")
        assert done.code == 3
        assert reason in done.err
        assert done.out == ""
