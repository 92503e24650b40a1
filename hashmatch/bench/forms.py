"""The document of results in the forms that other programs read.

- ``github-action-benchmark``: a list for that action's tool ``customBiggerIsBetter``. Values are ratios, so that its
  alerts do not depend on which machine the runner was.
- ``pytest-benchmark``: the JSON of ``pytest --benchmark-json``, which ``pytest-benchmark compare`` reads, and that
  action's tool ``pytest``. One benchmark for each contestant, in seconds; the ratio stands in ``extra_info``.
"""

from __future__ import annotations

import json
import platform
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from hashmatch.bench.result import ratios_of, sides

__all__ = ["FORMS", "github_action_benchmark", "pytest_benchmark", "rendered"]

#: The version of pytest-benchmark whose fields these are.
_PYTEST_BENCHMARK = "5.1.0"


def github_action_benchmark(read: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One element a ratio: ``name``, ``unit``, ``value``, ``range`` (half of what the rounds span) and ``extra``."""
    return [
        {
            "name": str(key),
            "unit": "times as long as hashmatch",
            "value": ratio["median"],
            "range": f"± {(ratio['high'] - ratio['low']) / 2:.4g}",
            "extra": f"rounds from {ratio['low']:.4g} to {ratio['high']:.4g}\n"
            f"{read['machine'].get('processor', 'unknown')}, kernels {read['machine'].get('kernels', 'unknown')}",
        }
        for key, ratio in ratios_of(read).items()
    ]


def pytest_benchmark(read: Mapping[str, Any]) -> dict[str, Any]:
    """The document that ``pytest --benchmark-json`` would have written."""
    facts = read["machine"]
    return {
        "machine_info": {
            "node": "",
            "processor": facts.get("processor", ""),
            "machine": platform.machine(),
            "python_compiler": "",
            "python_implementation": platform.python_implementation(),
            "python_implementation_version": facts.get("python", ""),
            "python_version": facts.get("python", ""),
            "python_build": ["", ""],
            "release": "",
            "system": facts.get("system", ""),
            "cpu": {
                "brand_raw": facts.get("processor", ""),
                "count": facts.get("cores", 1),
                "flags": facts.get("features", []),
            },
        },
        "commit_info": {
            "id": "unversioned",
            "time": None,
            "author_time": None,
            "dirty": False,
            "project": "hashmatch",
            "branch": "(unknown)",
        },
        "benchmarks": [_benchmark(result, side) for result, side in sides(read)],
        "datetime": str(read.get("date", "")).replace("Z", "+00:00"),
        "version": _PYTEST_BENCHMARK,
    }


def _benchmark(result: Mapping[str, Any], side: Mapping[str, Any]) -> dict[str, Any]:
    group = f"{result['suite']} {result['case']}"
    values = [f"{name}={value}" for name, value in result["parameters"].items()]
    param = "-".join([*values, side["name"]])
    name = f"{result['case']}[{param}]"
    ratio = result.get("ratios", {}).get(side["name"])
    return {
        "group": f"{group}[{'-'.join(values)}]",
        "name": name,
        "fullname": f"hashmatch bench/{result['suite']}::{name}",
        "params": dict(result["parameters"]) | {"contestant": side["name"]},
        "param": param,
        "extra_info": {
            "unit": result.get("unit", ""),
            "work": result.get("work"),
            "detail": side.get("detail", ""),
            "times as long as hashmatch": ratio,
        },
        "options": {
            "disable_gc": True,
            "timer": "perf_counter",
            "min_rounds": len(side["seconds"]),
            "max_time": 0,
            "min_time": 0,
            "warmup": True,
        },
        "stats": _stats(side["seconds"]),
    }


def _quartile(ordered: Sequence[float], part: float) -> float:
    at = part * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def _stats(data: Sequence[float]) -> dict[str, Any]:
    """The figures that pytest-benchmark keeps of a benchmark, in seconds."""
    ordered = sorted(data)
    mean, total = statistics.fmean(data), sum(data)
    deviation = statistics.stdev(data) if len(data) > 1 else 0.0
    q1, q3 = _quartile(ordered, 0.25), _quartile(ordered, 0.75)
    fences = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    far = sum(abs(value - mean) > deviation for value in data)
    outside = sum(not fences[0] <= value <= fences[1] for value in data)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(data),
        "median": statistics.median(data),
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": outside,
        "stddev_outliers": far,
        "outliers": f"{far};{outside}",
        "ld15iqr": ordered[min(bisect_left(ordered, fences[0]), len(ordered) - 1)],
        "hd15iqr": ordered[max(bisect_right(ordered, fences[1]) - 1, 0)],
        "ops": len(data) / total,
        "total": total,
        "data": list(data),
        "iterations": 1,
    }


def _own(read: Mapping[str, Any]) -> Mapping[str, Any]:
    return read


#: Name of a form -> what makes it of a document.
FORMS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = MappingProxyType(
    {
        "hashmatch": _own,
        "github-action-benchmark": github_action_benchmark,
        "pytest-benchmark": pytest_benchmark,
    }
)


def rendered(read: Mapping[str, Any], form: str = "hashmatch") -> str:
    """A document as the text of one of `FORMS`, with a line feed at its end."""
    return json.dumps(FORMS[form](read), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
