"""The figures of `accuracy.py`, drawn by matplotlib from its document and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

#: The same document and matplotlib give the same bytes; text stays text.
_SETTINGS = {"svg.hashsalt": "hashmatch", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False}
_SETTINGS |= {"axes.spines.right": False, "axes.titlesize": 10}
_COLOURS = ("#3b6ea5", "#d08a2e", "#5a9152", "#8a4f8f")
_LINES = ("--", ":", "-.")


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """Draw all figures of a document of the suite ``accuracy`` into a folder; the files written."""
    import matplotlib as mpl

    written = []
    with mpl.rc_context(_SETTINGS):
        for name, figure in _figures(document):
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
            # matplotlib leaves blanks at the ends of lines.
            lines = path.read_text(encoding="utf-8").splitlines()
            path.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")
            written.append(path)
    return written


def _figures(document: dict[str, Any]) -> Iterator[tuple[str, Figure]]:
    unrelated = [item for item in document["results"] if item["case"] == "unrelated"]
    recalls = [item for item in document["results"] if item["case"] == "recall"]
    rates = list(dict.fromkeys(item["parameters"]["false_match_rate"] for item in recalls))
    yield "accuracy-distances", _distances(unrelated, recalls)
    yield "accuracy-recall", _recall(recalls, rates)
    yield "accuracy-combinations", _combinations(recalls, [rate for rate in rates if rate is not None] or rates)


def _below(rate: float | None) -> str:
    if rate is None:
        return "default radii"
    return f"at most 1 false match in {1 / rate:,.0f} pairs"


def _about(item: dict[str, Any]) -> str:
    told = item["parameters"]
    return f"{told['pictures']} pictures: {told['unrelated']:,} for the thresholds, {told['edited']:,} edited"


def _distances(unrelated: list[dict[str, Any]], recalls: list[dict[str, Any]]) -> Figure:
    """How far unrelated pictures are apart, beside the binomial model, with the thresholds of each rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 6.2), layout="constrained")
    figure.suptitle(f"Distances of all pairs of unrelated pictures ({unrelated[0]['work']:,} pairs)")
    panels = figure.subplots(2, 2).ravel()
    for panel, item, colour in zip(panels, unrelated, _COLOURS, strict=True):
        name, bits, pairs = item["parameters"]["algorithm"], item["parameters"]["bits"], item["work"]
        figures = item["figures"]
        # In steps of two: half the bits of a PDQ or a pHash are set, so that their distances are even.
        seen, model = (_pairs_of(figures[key], pairs) for key in ("histogram", "binomial"))
        places = [2 * step + 0.5 for step in range(len(seen))]
        panel.bar(places, seen, 2.0, color=colour, alpha=0.6, label="measured")
        panel.plot(places, model, color="black", linewidth=0.9, label="independent fair bits")
        single = [one for one in recalls if one["parameters"]["method"] == name]
        for one, line in zip(single, _LINES * len(single), strict=False):
            threshold = one["figures"]["thresholds"][name]
            label = f"{_below(one['parameters']['false_match_rate'])}: {threshold}"
            panel.axvline(threshold, color="#a03030", linewidth=1, linestyle=line, label=label)
        panel.set_yscale("log")
        panel.set_ylim(0.3 / pairs, 1)
        panel.set_xlim(0, bits * 0.75)
        free = f", as if of {figures['free_bits']:.0f} free bits" if figures["free_bits"] else ""
        panel.set_title(f"{name}, {bits} bits: mean {figures['mean']:.1f}{free}")
        panel.set_xlabel("distance in bits")
        panel.set_ylabel("share of the pairs, two bits a step")
        panel.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def _pairs_of(counts: list[float], pairs: int) -> list[float]:
    """The share of the pairs at distances 0 and 1, 2 and 3, and so on; nothing where there are none."""
    return [sum(counts[place : place + 2]) / pairs or float("nan") for place in range(0, len(counts), 2)]


def _edits(item: dict[str, Any]) -> list[str]:
    return list(item["figures"]["edits"])


def _rows(panel: Axes, edits: list[str], *, named: bool) -> None:
    panel.set_yticks(range(len(edits)), edits if named else [])
    panel.set_ylim(len(edits) - 0.5, -0.5)


def _recall(recalls: list[dict[str, Any]], rates: list[float | None]) -> Figure:
    """Recall of each algorithm by itself, with its interval."""
    from matplotlib.figure import Figure

    single = [item for item in recalls if item["parameters"]["rule"] == "single"]
    edits = _edits(single[0])
    figure = Figure(figsize=(2 + 3.1 * len(rates), 8.5), layout="constrained")
    figure.suptitle(f"Copies found, with 95% intervals ({_about(single[0])})")
    for place, (panel, rate) in enumerate(zip(figure.subplots(1, len(rates), squeeze=False)[0], rates, strict=True)):
        chosen = [item for item in single if item["parameters"]["false_match_rate"] == rate]
        for step, (item, colour) in enumerate(zip(chosen, _COLOURS, strict=True)):
            found = list(item["figures"]["edits"].values())
            heights = [row + 0.18 * (step - 1.5) for row in range(len(edits))]
            lows = [100 * (one["rate"] - one["low"]) for one in found]
            highs = [100 * (one["high"] - one["rate"]) for one in found]
            points = [100 * one["rate"] for one in found]
            threshold = next(iter(item["figures"]["thresholds"].values()))
            label = f"{item['parameters']['method']} ({threshold} bits)"
            panel.errorbar(
                points, heights, xerr=[lows, highs], fmt="o", markersize=2.6, linewidth=0.9, color=colour, label=label
            )
        for row in range(0, len(edits), 2):
            panel.axhspan(row - 0.5, row + 0.5, color="#f2f2f2", zorder=0)
        _rows(panel, edits, named=place == 0)
        panel.set_xlim(-3, 103)
        panel.set_xlabel("copies found, %")
        panel.set_title(_below(rate))
        panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.06), frameon=False)
    return figure


def _combinations(recalls: list[dict[str, Any]], rates: list[float | None]) -> Figure:
    """Recall of all methods as a table of colours; what is neither all nor nothing in numbers."""
    from matplotlib.figure import Figure

    edits = _edits(recalls[0])
    figure = Figure(figsize=(2 + 4.6 * len(rates), 8.5), layout="constrained")
    figure.suptitle(f"Copies found, %; no number: all (dark) or none (pale). {_about(recalls[0]).capitalize()}")
    for place, (panel, rate) in enumerate(zip(figure.subplots(1, len(rates), squeeze=False)[0], rates, strict=True)):
        chosen = [item for item in recalls if item["parameters"]["false_match_rate"] == rate]
        values = [[100 * item["figures"]["edits"][edit]["rate"] for item in chosen] for edit in edits]
        mesh = panel.pcolormesh(values, cmap="YlGn", vmin=0, vmax=125, edgecolor="white", linewidth=0.4)
        mesh.set_rasterized(False)
        for row, line in enumerate(values):
            for column, value in enumerate(line):
                if 0.05 <= value < 99.95:
                    shown = str(int(value)) if value >= 1 else "<1"  # rounded down: 100 is all
                    ink = "white" if value > 65 else "black"
                    panel.text(column + 0.5, row + 0.5, shown, ha="center", va="center", fontsize=6.5, color=ink)
        panel.set_yticks([row + 0.5 for row in range(len(edits))], edits if place == 0 else [])
        panel.set_ylim(len(edits), 0)
        names = [item["parameters"]["method"] for item in chosen]
        panel.set_xticks([column + 0.5 for column in range(len(names))], names, rotation=60, ha="right", fontsize=7)
        panel.set_title(_below(rate))
    return figure
