"""``hashmatch list log``, ``diff``, ``delta``, ``apply``, ``merge`` and ``stats``: the life of a list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli.console import (
    INPUT_PATH,
    LIST_PATH,
    binary_output,
    echo_lines,
    progress_bar,
    quiet_option,
    utf8_streams,
    warn_unlogged,
)
from hashmatch.errors import UsageError

if TYPE_CHECKING:
    from hashmatch.lists.store import HashList
    from hashmatch.lists.versions import KeyChange, OpinionChange

__all__ = ["commands"]

_list_argument = click.argument("path", metavar="LIST.hml", type=LIST_PATH)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@click.command()
@_list_argument
@click.option("--source", help="With --ref: whose entry.")
@click.option("--ref", help="Show what happened to one entry; no value of a hash is shown.")
@_json_option
def log(path: Path, source: str | None, ref: str | None, as_json: bool) -> None:
    """Show every change of a list, or the life of one entry: when, by which change, from what to what."""
    from hashmatch.lists.store import HashList
    from hashmatch.lists.versions import describe, life

    utf8_streams()
    if (source is None) != (ref is None):
        raise UsageError("--source and --ref go together: both name an entry; give both or none")
    with HashList.open(path, read_only=True) as known:
        changes = {change.number: change for change in known.history.changes()}
        if source is None or ref is None:
            for change in changes.values():
                facts = change._asdict() | {"sha256": change.sha256.hex(), "snapshot": change.snapshot.hex()}
                line = (
                    f"{change.number:>4}  {change.at}  {change.operator}  {describe(change)}  {facts['snapshot'][:16]}"
                )
                _print(facts if as_json else line)
            return
        for event in life(known, source, ref):
            made = changes[event.change]
            facts = {"change": event.change, "at": made.at, "operation": made.operation, "name": made.name}
            origin = f"{made.operation} {made.name}".strip()
            line = f"{event.change:>4}  {made.at}  {event.text}  ({origin}, {made.operator})"
            _print(facts | {"operator": made.operator, "event": event.text} if as_json else line)


@click.command()
@_list_argument
@click.argument("other", metavar="[OTHER.hml]", required=False, type=LIST_PATH)
@click.option(
    "--since", metavar="SNAPSHOT", help="Of one list: the earlier moment; a snapshot id or number of a change."
)
@click.option("--until", metavar="SNAPSHOT", help="Of one list: the later moment; by default now.")
@_json_option
def diff(path: Path, other: Path | None, since: str | None, until: str | None, as_json: bool) -> None:
    """Show in which entries two lists differ, or one list at two moments.

    `+` added, `-` removed, `x` retracted, `r` retraction taken back, `~` changed, `o` an opinion. No value of a hash is
    shown.
    """
    from hashmatch.lists.store import HashList
    from hashmatch.lists.versions import key_changes, list_differences, opinion_changes, opinion_differences, resolve

    utf8_streams()
    if (other is None) == (since is None) or (other is not None and until is not None):
        raise UsageError("give either a second list, or --since (and --until) to look at one list at two moments")
    with HashList.open(path, read_only=True) as known:
        if other is not None:
            with HashList.open(other, read_only=True) as theirs, known.reading(), theirs.reading():
                _print_changes(list_differences(known, theirs), as_json)
                for changed in opinion_differences(known, theirs):
                    _print_opinion(changed, as_json)
            return
        with known.reading():
            first = resolve(known, str(since))
            last = None if until is None else resolve(known, until)
            _print_changes(key_changes(known, first, last), as_json)
            for changed in opinion_changes(known, first, last):
                _print_opinion(changed, as_json)


def _print_changes(changes: Iterator[KeyChange], as_json: bool) -> None:
    from hashmatch.lists.versions import changed_fields

    for source, ref, before, after in changes:
        fields = []
        if after.retracted:
            mark, what = "x", f": {after.reason}" if after.reason else ""
        elif after.content is None:
            mark, what = ("r" if before.retracted else "-"), ""
        elif before.content is None:
            mark, what = "+", ""
        else:
            mark, what = "~", ""
            if before.row is not None and after.row is not None:
                fields = changed_fields(before.row, after.row)
                what = ": " + "; ".join(f"{f.name} {f.before or '-'} -> {f.after or '-'}" for f in fields)
        shown: dict[str, Any] = {"change": _WORDS[mark], "source": source, "entry": ref}
        if mark == "x" and after.reason:
            shown["reason"] = after.reason
        if fields:
            shown["fields"] = [field._asdict() for field in fields]
        _print(shown if as_json else f"{mark} {source} {ref}{what}")


_WORDS = {"+": "added", "-": "removed", "x": "retracted", "r": "restored", "~": "changed"}


def _print_opinion(changed: OpinionChange, as_json: bool) -> None:
    from hashmatch.lists.versions import opinion_text

    if as_json:
        facts: dict[str, Any] = {"change": "opinion", "source": changed.source, "entry": changed.ref}
        sides = {"before": changed.before, "after": changed.after}
        _print(facts | {side: opinion._asdict() for side, opinion in sides.items() if opinion is not None})
        return
    text = opinion_text(changed.after) if changed.after else f"no longer: {opinion_text(changed.before)}"  # type: ignore[arg-type]
    _print(f"o {changed.source} {changed.ref}: {text}")


def _print(shown: dict[str, Any] | str) -> None:
    if isinstance(shown, dict):
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        echo_lines([shown], err=False)


@click.command()
@_list_argument
@click.option(
    "--since",
    metavar="SNAPSHOT",
    required=True,
    help="Where it leads on from: a snapshot id or number of a change; 0: an empty list.",
)
@click.option("--until", metavar="SNAPSHOT", help="Where it leads; by default to the list as it is.")
@click.option("-o", "--out", metavar="FILE", help="Write to FILE; the default is standard output.")
@click.option("--include-hashes", is_flag=True, help="Required: a delta holds hashes. Handle the file as sensitive.")
@quiet_option
def delta(path: Path, since: str, until: str | None, out: str | None, include_hashes: bool, quiet: bool) -> None:
    """Write what changed between two snapshots, for `hashmatch list apply` elsewhere."""
    from hashmatch.lists.delta import write_delta
    from hashmatch.lists.store import HashList
    from hashmatch.lists.writers.account import Measured

    if not include_hashes:
        raise UsageError("a delta holds hashes, which are sensitive: give --include-hashes to write them")
    with HashList.open(path, read_only=True) as known:
        with binary_output(out, [path]) as write:
            measured = Measured(write)
            summary = write_delta(known, measured, since, until)
        counts = {kind: count for kind, count in summary.counts.items() if count}
        known.note(
            "export",
            counts,
            form="delta",
            base_snapshot=summary.base,
            target_snapshot=summary.target,
            out_bytes=measured.bytes,
            out_sha256=measured.sha256(),
        )
        if not quiet:
            shown = ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "no change"
            echo_lines([f"delta from {summary.base[:16]}... to {summary.target[:16]}...: {shown}"])
        warn_unlogged(known.unlogged)


@click.command()
@_list_argument
@click.argument("deltas", metavar="DELTA...", nargs=-1, required=True, type=INPUT_PATH)
@quiet_option
def apply(path: Path, deltas: tuple[str, ...], quiet: bool) -> None:
    """Apply deltas, in order. Each is one transaction, and refused unless it leads on from where the list is."""
    from hashmatch.lists.store import HashList

    with HashList.open(path) as known:
        for name in deltas:
            with progress_bar(f"applying {Path(name).name}", "bytes", quiet=quiet) as progress:
                summary = known.apply_delta(name, progress=progress)
            if not quiet:
                shown = ", ".join(f"{count:,} {kind}" for kind, count in summary.counts.items() if count)
                echo_lines([f"{name}: {shown or 'no change'}", f"  snapshot {summary.target}"])
        warn_unlogged(known.unlogged)


@click.command()
@_list_argument
@click.argument("others", metavar="OTHER.hml...", nargs=-1, required=True, type=LIST_PATH)
@click.option(
    "--on-conflict",
    type=click.Choice(["refuse", "ours", "theirs"]),
    default="refuse",
    show_default=True,
    help="What to do where both have an entry of one source and reference that differ.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@quiet_option
def merge(path: Path, others: tuple[Path, ...], on_conflict: str, as_json: bool, quiet: bool) -> None:
    """Take over the entries, retractions and opinions of other lists, each still under its own source.

    Each list is one transaction. The other lists are not changed.
    """
    from hashmatch.lists.store import HashList

    with HashList.open(path) as known:
        for other in others:
            with HashList.open(other, read_only=True) as theirs:
                summary = known.merge(theirs, on_conflict=on_conflict)
            if as_json:
                click.echo(json.dumps(asdict(summary), ensure_ascii=False))
            elif not quiet:
                shown = ", ".join(f"{count:,} {name}" for name, count in summary.counts().items() if count)
                echo_lines([f"{other}: {shown or 'nothing new'}", f"  snapshot {summary.snapshot}"])
        warn_unlogged(known.unlogged)


@click.command()
@_list_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(path: Path, as_json: bool) -> None:
    """Show counts by source, category, algorithm, media type, state and month.

    They hold no hash, no reference, and nothing of series, victims or investigations: they can be published.
    """
    from hashmatch.lists.store import HashList

    utf8_streams()
    with HashList.open(path, read_only=True) as known:
        facts = _figures(known)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    for title, value in facts.items():
        if isinstance(value, dict):
            echo_lines([f"{title.replace('_', ' ')}:"], err=False)
            echo_lines([f"  {name:<28}{count:>14,}" for name, count in value.items()], err=False)
        else:
            shown = f"{value:,}" if isinstance(value, int) else value
            echo_lines([f"{title.replace('_', ' ') + ':':<16}{shown:>28}"], err=False)


def _figures(known: HashList) -> dict[str, Any]:
    from hashmatch.lists.statistics import count_entries, count_months, count_states

    with known.reading():
        retractions = sum(len(known.history.withdrawn(number)) for number in known.source_numbers().values())
        facts: dict[str, Any] = {"role": known.role, "entries": known.count(), "retractions": retractions}
        facts |= count_entries(known)
        return facts | {"states": count_states(known), "months": count_months(known)}


commands = (log, diff, delta, apply, merge, stats)
