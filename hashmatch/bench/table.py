"""Results for people: Markdown tables, with columns that line up in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hashmatch.errors import printable

__all__ = ["brief", "lines"]

#: Parameters that are not worth a place in the brief table where they have this value.
_USUAL = {"threads": 1, "workers": 1, "skew": 0.0}

_HEADER = ("suite, case", "parameters", "contestant", "seconds (rounds)", "a second", "times as long as hashmatch")


def lines(read: Mapping[str, Any]) -> Iterator[str]:
    """A document as lines of text: the machine, a row for each contestant, what was checked, who is absent."""
    yield _stamp(read)
    yield ""
    yield from _table([_HEADER, *(row for result in read["results"] for row in _rows(result))])
    yield ""
    for result in read["results"]:
        yield printable(f"checked first, {result['suite']} {result['case']}: {result['checked']}")
    for absent in read["absent"]:
        yield printable(f"absent: {absent['name']}: {absent['reason']}")


def brief(read: Mapping[str, Any]) -> Iterator[str]:
    """A document as lines of text: a row for each case with its peers, and the machine."""
    header = ("suite, case", "hashmatch", "times as long as hashmatch: median (lowest to highest round)")
    yield from _table([header, *map(_brief_row, read["results"])])
    yield ""
    yield _stamp(read)


def _brief_row(result: Mapping[str, Any]) -> tuple[str, ...]:
    parameters = ", ".join(
        f"{name} {_number(value)}"
        for name, value in result["parameters"].items()
        if name not in _USUAL or value != _USUAL[name]
    )
    peers = [
        f"{side['name']}{_recall(side.get('recall'))}: {_ratio(result['ratios'][side['name']])}"
        for side in result["contestants"]
        if not side["ours"]
    ]
    (rate,) = [result["figures"][side["name"]]["per_second"] for side in result["contestants"] if side["ours"]]
    return (
        f"{result['suite']}, {result['case']}" + (f" ({parameters})" if parameters else ""),
        f"{_rate(rate)} {result['unit']}/s",
        "; ".join(peers) or "no peer",
    )


def _stamp(read: Mapping[str, Any]) -> str:
    facts = read["machine"]
    return printable(
        f"hashmatch {read['hashmatch']}, kernels {facts['kernels']}; {facts['processor']}, {facts['cores']} cores, "
        f"Python {facts['python']}; load {facts.get('load_before')} before, {facts.get('load_after')} after; "
        f"{read['date']}; seed {read['seed']}"
    )


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        yield printable(_line(row, widths))
        if number == 0:
            yield _line(["-" * width for width in widths], widths)


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
            _ratio(ratio) if ratio else "1",
        )


def _ratio(ratio: Mapping[str, float]) -> str:
    return f"{_three(ratio['median'])} ({_three(ratio['low'])} to {_three(ratio['high'])})"


def _three(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def _recall(value: float | None) -> str:
    """Rounded down: 100.0% is all of them."""
    return "" if value is None else f", finds {math.floor(value * 1000) / 10:.1f}%"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
