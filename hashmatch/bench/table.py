"""Results for people: one Markdown table, with columns that line up in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hashmatch.errors import printable

__all__ = ["lines"]

_HEADER = ("suite, case", "parameters", "contestant", "seconds (rounds)", "a second", "times as long as hashmatch")


def lines(read: Mapping[str, Any]) -> Iterator[str]:
    """A document as lines of text: the machine, the table, what was checked, who is absent."""
    facts = read["machine"]
    loads = f"load {facts.get('load_before')} before, {facts.get('load_after')} after"
    yield (
        f"hashmatch {read['hashmatch']}, kernels {facts['kernels']}; {facts['processor']}, {facts['cores']} cores, "
        f"Python {facts['python']}; {loads}; seed {read['seed']}"
    )
    yield ""
    rows = [_HEADER, *(row for result in read["results"] for row in _rows(result))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    for number, row in enumerate(rows):
        yield printable(_line(row, widths))
        if number == 0:
            yield _line(["-" * width for width in widths], widths)
    yield ""
    for result in read["results"]:
        yield printable(f"checked first, {result['suite']} {result['case']}: {result['checked']}")
    for absent in read["absent"]:
        yield printable(f"absent: {absent['name']}: {absent['reason']}")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    parameters = ", ".join(f"{name} {_number(value)}" for name, value in result["parameters"].items())
    for number, side in enumerate(result["contestants"]):
        name = side["name"]
        figure, ratio = result["figures"][name], result["ratios"].get(name)
        yield (
            f"{result['suite']}, {result['case']}" if not number else "",
            parameters if not number else "",
            f"{name} {side['version']}".strip() + _recall(side.get("recall")),
            f"{figure['median']:.4g} ({figure['low']:.4g} to {figure['high']:.4g})",
            f"{_rate(figure['per_second'])} {result['unit']}",
            f"{ratio['median']:.3g} ({ratio['low']:.3g} to {ratio['high']:.3g})" if ratio else "1",
        )


def _recall(value: float | None) -> str:
    """Rounded down: 100.0% is all of them."""
    return "" if value is None else f", finds {math.floor(value * 1000) / 10:.1f}%"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
