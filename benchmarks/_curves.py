"""Figures of a document of `scaling.py`, as SVG: the same document gives the same bytes with the same matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

__all__ = ["NAMES", "draw", "style"]

#: Figures that are drawn.
NAMES = ("scaling.svg", "scaling_memory.svg", "scaling_hashing.svg")

COLOURS = {
    "hashmatch": "#0b5fa5",
    "hashmatch luma": "#5aa7e0",
    "faiss-flat": "#c4551c",
    "pdqhash": "#c4551c",
    "decoder": "#555555",
    "decoder luma": "#999999",
}
LIMITS = {"memory": ("#555555", "--"), "popcount": ("#999999", ":"), "scan": ("#7a4fa3", "-.")}
#: Names are ids in the SVG, text is text: the drawing holds no date and no random id.
STYLE = {
    "svg.hashsalt": "hashmatch",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "axes.titlesize": 10,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
}


def style() -> Any:
    """The context in which figures are drawn."""
    return mpl.rc_context(STYLE)


def draw(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw all of `NAMES` into ``folder``; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with style():
        for name, figure in zip(NAMES, (_search(document), _memory(document), _hashing(document)), strict=True):
            # Fixed margins: text must not move the lines, as its size depends on the fonts of the machine.
            lines = _stamp(document).split("; ")
            text = "; ".join(lines) if figure.get_figwidth() > 8 else "; ".join(lines[:2]) + "\n" + "; ".join(lines[2:])
            figure.text(0.01, 0.008, text, fontsize=6.5, color="#666666")
            figure.savefig(
                folder / name, format="svg", metadata={"Date": None, "Creator": f"matplotlib {mpl.__version__}"}
            )
            plt.close(figure)
            made.append(folder / name)
    return made


def _stamp(document: Mapping[str, Any]) -> str:
    facts = document["machine"]
    return (
        f"hashmatch {document['hashmatch']}, kernels {facts['kernels']}; {facts['processor']}, {facts['cores']} cores, "
        f"load {facts['load_before']} before and {facts['load_after']} after; {document['date'][:10]}; "
        "medians, bars from the lowest to the highest round"
    )


def _results(document: Mapping[str, Any], case: str, **parameters: Any) -> list[Mapping[str, Any]]:
    return [
        each
        for each in document["results"]
        if each["case"] == case and all(each["parameters"][name] == value for name, value in parameters.items())
    ]


def _line(
    axes: Any,
    results: Sequence[Mapping[str, Any]],
    x: str,
    name: str,
    label: str,
    gid: str,
    scale: str = "",
    **how: Any,
) -> None:
    """One contestant's units a second, with the spread of its rounds; ``scale`` names a parameter to multiply with."""
    points = sorted(results, key=lambda each: each["parameters"][x])
    at = [each["parameters"][x] for each in points]
    work = [each["work"] * (each["parameters"][scale] if scale else 1) for each in points]
    figures = [each["figures"][name] for each in points]
    rates = [amount / figure["median"] for amount, figure in zip(work, figures, strict=True)]
    below = [rate - amount / figure["high"] for rate, amount, figure in zip(rates, work, figures, strict=True)]
    above = [amount / figure["low"] - rate for rate, amount, figure in zip(rates, work, figures, strict=True)]
    how = {"color": COLOURS[name], "marker": "o", "label": label, "capsize": 2, "elinewidth": 0.8} | how
    axes.errorbar(at, rates, yerr=[below, above], **how).lines[0].set_gid(gid)


def _rates(document: Mapping[str, Any], threads: int) -> dict[str, float]:
    """Codes a second that the machine allows, by the name of the limit."""
    (found,) = _results(document, "limits", threads=threads)
    rates = {name: figure["per_second"] for name, figure in found["figures"].items()}
    memory = max(rate for name, rate in rates.items() if name.startswith("memory"))
    return {"memory": memory, "popcount": rates["popcount"], "scan": rates["hashmatch"]}


def _limit(axes: Any, at: Sequence[float], values: Sequence[float], name: str, label: str, gid: str) -> None:
    colour, dashes = LIMITS[name]
    axes.plot(at, values, color=colour, linestyle=dashes, linewidth=1, label=label, gid=gid)


def _limits(axes: Any, at: Sequence[float], entries: Sequence[float], rates: Mapping[str, float], gid: str) -> None:
    """What a flat scan cannot exceed, in queries a second."""
    labels = {
        "memory": "limit: each query reads the list from memory",
        "popcount": "limit: popcount of cached data (NumPy)",
        "scan": "limit: own flat scan, codes in the cache",
    }
    for name, label in labels.items():
        _limit(axes, at, [rates[name] / count for count in entries], name, label, f"{gid}-{name}")


def _axes(axes: Any, title: str, x: str, *, log: bool = True) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel("queries a second")
    axes.set_yscale("log")
    if log:
        axes.set_xscale("log")


def _search(document: Mapping[str, Any]) -> Any:
    figure, ((sizes, radii), (batches, threads)) = plt.subplots(2, 2, figsize=(10, 7.8))
    figure.subplots_adjust(left=0.075, right=0.985, top=0.95, bottom=0.165, hspace=0.36, wspace=0.2)
    rates = _rates(document, 1)
    plain = _results(document, "list size", skew=0.0)
    skewed = _results(document, "list size", skew=1.0)
    _line(sizes, plain, "entries", "hashmatch", "hashmatch", "size-hashmatch")
    if skewed:
        how = {"linestyle": "--", "marker": "s", "markerfacecolor": "white"}
        _line(sizes, skewed, "entries", "hashmatch", "hashmatch, skewed codes", "size-hashmatch-skew", **how)
    _line(sizes, plain, "entries", "faiss-flat", "FAISS flat", "size-faiss")
    at = sorted(each["parameters"]["entries"] for each in plain)
    _limits(sizes, at, at, rates, "size-limit")
    one = plain[0]["parameters"]
    _axes(sizes, f"List size (radius {one['radius']}, batches of {one['queries']:,})", "codes in the list")

    found = _results(document, "radius")
    entries = found[0]["parameters"]["entries"]
    _line(radii, found, "radius", "hashmatch", "hashmatch", "radius-hashmatch")
    _line(radii, found, "radius", "faiss-flat", "FAISS flat", "radius-faiss")
    at = sorted(each["parameters"]["radius"] for each in found)
    _limits(radii, at, [entries] * len(at), rates, "radius-limit")
    _axes(radii, f"Radius ({entries:,} codes, batches of {found[0]['work']:,})", "radius, bits of 256", log=False)

    found = _results(document, "batch")
    _line(batches, found, "queries", "hashmatch", "hashmatch", "batch-hashmatch")
    _line(batches, found, "queries", "faiss-flat", "FAISS flat", "batch-faiss")
    at = sorted(each["parameters"]["queries"] for each in found)
    _limits(batches, at, [entries] * len(at), rates, "batch-limit")
    _axes(batches, f"Batch ({entries:,} codes, radius {found[0]['parameters']['radius']})", "queries of a call")

    found = _results(document, "threads")
    _line(threads, found, "threads", "hashmatch", "hashmatch", "threads-hashmatch")
    _line(threads, found, "threads", "faiss-flat", "FAISS flat", "threads-faiss")
    at = sorted(each["parameters"]["threads"] for each in found)
    many = [_rates(document, count) for count in at]
    for name in LIMITS:  # measured with as many threads
        _limit(threads, at, [each[name] / entries for each in many], name, "", f"threads-limit-{name}")
    threads.set_xticks(at)
    _axes(threads, f"Threads ({entries:,} codes, batches of {found[0]['work']:,})", "threads", log=False)
    figure.legend(*sizes.get_legend_handles_labels(), loc="lower center", ncols=3, bbox_to_anchor=(0.5, 0.025))
    return figure


def _memory(document: Mapping[str, Any]) -> Any:
    figure, axes = plt.subplots(figsize=(6, 4))
    figure.subplots_adjust(left=0.12, right=0.97, top=0.92, bottom=0.19)
    found = sorted(_results(document, "list size", skew=0.0), key=lambda each: each["parameters"]["entries"])
    at = [each["parameters"]["entries"] for each in found]
    for name, label in (("hashmatch", "hashmatch: codes and ring tables"), ("faiss-flat", "FAISS flat: codes")):
        sides = [next(side for side in each["contestants"] if side["name"] == name) for each in found]
        sizes = [side["memory_bytes"] / 1e6 for side in sides]
        axes.plot(at, sizes, color=COLOURS[name], marker="o", label=label, gid=f"memory-{name}")
    axes.set(xscale="log", yscale="log", xlabel="codes in the list", ylabel="megabytes")
    axes.set_title("Memory of a search over 256-bit codes", loc="left")
    axes.legend(loc="best")
    return figure


def _hashing(document: Mapping[str, Any]) -> Any:
    figure, axes = plt.subplots(figsize=(6, 4))
    figure.subplots_adjust(left=0.12, right=0.97, top=0.92, bottom=0.19)
    found = _results(document, "picture size")
    labels = {
        "hashmatch": "hashmatch, reference",
        "hashmatch luma": "hashmatch, luma",
        "pdqhash": "Pillow and pdqhash",
        "decoder": "limit: decoder to RGB, nothing hashed",
        "decoder luma": "limit: decoder to luma, nothing hashed",
    }
    for name, label in labels.items():
        if name in found[0]["figures"]:
            how = {"linestyle": "--", "marker": "", "linewidth": 1} if name.startswith("decoder") else {}
            _line(axes, found, "pixels", name, label, f"hashing-{name.replace(' ', '-')}", "pixels", **how)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
    axes.set(xscale="log", xlabel="pixels of a picture", ylabel="megapixels a second, one thread")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.4)  # room for the legend
    axes.set_title("PDQ of JPEG files in memory", loc="left")
    axes.legend(loc="upper left", ncols=2)
    return figure
