"""The summary that people read, on a terminal and in ``summary.txt``: plain text, the same for the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import printable
from hashmatch.lists.states import State
from hashmatch.matcher import MatchResult, Verdict

__all__ = ["LISTED", "match_lines", "summary_lines"]

#: Results that a text summary lists at most, conflicts first.
LISTED = 20

#: Sources of a list that it names.
_SOURCES = 5

_MEANING = {
    Verdict.CONFLICT: "digests contradict each other: look first",
    Verdict.EXACT: "the same file as an entry",
    Verdict.NEAR: "a perceptual hash within its radius",
    Verdict.NONE: "nothing matched",
    Verdict.UNREADABLE: "nothing matched, and not all hashes could be computed",
}


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """Lines of the summary, from `Summary.as_dict`."""
    verdicts = summary["verdicts"]
    known = summary["list"]
    lines = [
        f"list      {printable(known['path'])}: {known['entries']:,} entries of {_sources(known['sources'])}",
        f"snapshot  {known['snapshot']}",
        f"queries   {summary['queries']:,}",
    ]
    lines += [f"  {verdict.value:<11}{verdicts[verdict.value]:>9,}  {meaning}" for verdict, meaning in _MEANING.items()]
    not_ok = {status: count for status, count in summary["statuses"].items() if status != "ok"}
    if not_ok:
        lines.append("not read  " + ", ".join(f"{count:,} {status}" for status, count in not_ok.items()))
    if summary["queries_with_suppressed_matches"]:
        lines.append(
            f"suppressed by the known-good list: matches of {summary['queries_with_suppressed_matches']:,} queries"
        )
    if summary["queries_with_disputed_matches"]:
        lines.append(
            f"disputed  {summary['queries_with_disputed_matches']:,} queries match through hashes that an organisation "
            "disputes"
        )
    if summary["thresholds"]["disputed"] == "leave-out":
        lines.append("disputed  hashes that an organisation disputes were left out; notes say which would have matched")
    if summary["queries_with_notes"]:
        lines.append(
            f"notes     {summary['queries_with_notes']:,} queries carry a note on what was not matched, and why"
        )
    if summary["queries_not_compared"]:
        offers = ", ".join(summary["thresholds"]["searched"]) or "no hashes"
        lines.append(
            f"WARNING   {summary['queries_not_compared']:,} queries share no usable hash with the list, which offers "
            f"{offers}: that nothing matched says nothing about them"
        )
    for name, figure in summary["chance"].items():
        warning = "; WARNING: chance alone may explain matches" if figure["warn"] else ""
        lines.append(
            f"chance    {name} at radius {figure['radius']}: {figure['expected_chance_pairs']:.2g} pairs expected from "
            f"{figure['queries']:,} queries x {figure['entries']:,} entries{warning}"
        )
    lines.append("Every match is a candidate for human review, never a finding.")
    return lines


def _sources(sources: Sequence[Mapping[str, Any]]) -> str:
    """The names of sources. Of many, as a list of NCMEC has, those with the most entries; a report names them all."""
    if len(sources) <= _SOURCES:
        return ", ".join(printable(source["name"]) for source in sources) or "no sources"
    largest = sorted(sources, key=lambda source: (-source["entries"], source["name"]))[:_SOURCES]
    names = ", ".join(printable(source["name"]) for source in largest)
    return f"{len(sources):,} sources: {names} and {len(sources) - _SOURCES:,} more"


def match_lines(results: Sequence[MatchResult], total: int) -> list[str]:
    """Lines for the results that a summary lists, conflicts first; ``total`` is how many results matched."""
    order = {Verdict.CONFLICT: 0, Verdict.EXACT: 1, Verdict.NEAR: 2}
    lines = []
    for result in sorted(results, key=lambda r: order.get(r.verdict, 3)):
        for match in result.matches[:3]:
            category = f", category {printable(':'.join(match.category))}" if match.category else ""
            exact = ALGORITHMS[match.algorithm].kind is Kind.EXACT
            how = match.algorithm if exact else f"{match.algorithm} distance {match.distance} of {match.radius}"
            state = "" if match.state is State.ACTIVE else f", {match.state.value}"
            against = f"; differs in {', '.join(match.disagrees)}" if match.disagrees else ""
            lines.append(
                f"{result.verdict.value:<9} {printable(result.record.name)}  ->  {printable(match.source)} "
                f"{printable(match.entry)} ({how}{category}{state}{against})"
            )
        if len(result.matches) > 3:
            lines.append(f"{'':<9} and {len(result.matches) - 3:,} more matches of the same query")
    if total > len(results):
        lines.append(f"... and {total - len(results):,} more queries that matched")
    return lines
