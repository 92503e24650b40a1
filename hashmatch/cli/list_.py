"""``hashmatch list``: create, import, export, info, retract, opinion, check."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hashmatch.cli import list_changes, list_export, list_opinion
from hashmatch.cli.console import (
    INPUT_PATH,
    LIST_PATH,
    NO_CHANGE,
    advise,
    echo_lines,
    given_references,
    progress_bar,
    quiet_option,
    refs_from_option,
    warn_unlogged,
)
from hashmatch.errors import HashMatchError, RecordError, UsageError


@click.group("list")
def command() -> None:
    """Create, fill, inspect and check hash lists."""


@command.command()
@click.argument("path", metavar="LIST.hml", type=LIST_PATH)
@click.option(
    "--role",
    type=click.Choice(["known", "known-good"]),
    default="known",
    show_default=True,
    help="known: material to find. known-good: files whose near matches are suppressed.",
)
def create(path: Path, role: str) -> None:
    """Create an empty list, readable by its owner only."""
    # Not opened afterwards: a failure to read what was created would be told as if nothing had been.
    from hashmatch.lists.schema import create as create_list

    create_list(path, role)
    echo_lines([f"created {path} ({role})"])


@command.command("import")
@click.argument("path", metavar="LIST.hml", type=LIST_PATH)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=INPUT_PATH)
@click.option("--source", required=True, help="Organisation that the entries come from, for example INTERPOL-ICSE.")
@click.option("--from", "from_format", metavar="FORMAT", help="Format of the files; by default it is detected.")
@click.option("--skip-invalid", is_flag=True, help="Leave malformed records out and list them; the default is to stop.")
@click.option(
    "--as-role",
    type=click.Choice(["known", "known-good"]),
    help="With --from: confirm the list's role for a format that is meant for lists of another role.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@quiet_option
def import_(
    path: Path,
    files: tuple[str, ...],
    source: str,
    from_format: str | None,
    skip_invalid: bool,
    as_role: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Import hash lists as what SOURCE says now.

    Each file is one transaction: after an error or a crash the list is as it was before that file. An entry with a
    reference that the list holds already is replaced where its content differs; retracted entries stay retracted.
    """
    from hashmatch.lists.store import HashList

    skipped = False
    with HashList.open(path) as known:
        for number, file in enumerate(files):
            try:
                with progress_bar(f"importing {Path(file).name}", "bytes", quiet=quiet) as progress:
                    summary = known.import_file(
                        file,
                        source,
                        from_format=from_format,
                        skip_invalid=skip_invalid,
                        as_role=as_role,
                        progress=progress,
                    )
            except HashMatchError as error:
                if isinstance(error, RecordError):
                    advise(error, skip_invalid=skip_invalid)
                if len(files) > 1:
                    error.add_note(
                        f"files that were imported before: {number:,}; not imported: {', '.join(files[number:])}"
                    )
                raise
            skipped |= summary.invalid > 0
            if as_json:
                click.echo(json.dumps(asdict(summary), ensure_ascii=False))
            elif not quiet:
                echo_lines(_import_lines(summary))
        warn_unlogged(known.unlogged)
    return 4 if skipped else 0


def _import_lines(summary: Any) -> list[str]:
    lines = [
        f"{summary.name}: {summary.format}, {summary.records:,} records, SHA-256 {summary.sha256}",
        f"  added {summary.added:,}, replaced {summary.replaced:,}, unchanged {summary.unchanged:,}",
    ]
    if summary.withdrawn:
        lines.append(f"  {summary.withdrawn:,} withdrawn: the file says so of entries")
    lines += [f"  note: {note}" for note in summary.notes]
    if summary.retracted:
        lines.append(f"  {summary.retracted:,} left out: their source has withdrawn them")
    if summary.empty_digests:
        lines.append(f"  {summary.empty_digests:,} digests of the empty file dropped")
    if summary.hashless:
        lines.append(f"  {summary.hashless:,} records left out: no hash remained")
    if summary.invalid:
        lines.append(f"  {summary.invalid:,} malformed records skipped:")
        lines += [f"    {problem}" for problem in summary.problems]
        if summary.invalid > len(summary.problems):
            lines.append(f"    ... and {summary.invalid - len(summary.problems):,} more")
    lines.append(f"  snapshot {summary.snapshot}")
    return lines


command.add_command(list_export.command, "export")
command.add_command(list_opinion.command, "opinion")
for verb in list_changes.commands:
    command.add_command(verb)


@command.command()
@click.argument("path", metavar="LIST.hml|LIST.hmx", type=LIST_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(path: Path, as_json: bool) -> None:
    """Show sources, counts, categories and the history of imports; no hash is shown."""
    from hashmatch.cli.console import utf8_streams

    utf8_streams()
    if _is_compiled(path):
        from hashmatch.index.compiled import CompiledList

        with CompiledList.open(path) as compiled:
            facts: dict[str, Any] = {
                "path": str(path),
                "kind": "compiled list",
                "role": compiled.meta["role"],
                "snapshot": compiled.snapshot.hex(),
                "entries": compiled.rows,
                "sources": {s["name"]: s["entries"] for s in compiled.meta["sources"]},
                "algorithms": compiled.meta["hashes"],
            }
    else:
        from hashmatch.lists.store import HashList

        with HashList.open(path, read_only=True) as known:
            facts = {"kind": "list"} | asdict(known.info())
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    for key, value in facts.items():
        if key == "imports":
            click.echo("imports:")
            for item in value:
                counts = ", ".join(f"{item[k]:,} {k}" for k in ("added", "replaced", "unchanged", "invalid"))
                origin = f"{item['name']} ({item['format']}, SHA-256 {item['sha256'][:16]}...)"
                echo_lines([f"  {item['at']}  {item['source']}  {origin}: {counts}"], err=False)
        elif isinstance(value, dict):
            click.echo(f"{key}:")
            for name, count in value.items():
                echo_lines([f"  {name:<28}{count:>12,}"], err=False)
        else:
            echo_lines(
                [f"{key + ':':<13}{value:,}" if isinstance(value, int) else f"{key + ':':<13}{value}"], err=False
            )


@command.command()
@click.argument("path", metavar="LIST.hml", type=LIST_PATH)
@click.argument("refs", metavar="REFERENCE...", nargs=-1)
@click.option("--source", required=True, help="Organisation whose entries are withdrawn.")
@refs_from_option
@click.option("--reason", default="", help="Kept with the retraction.")
@click.option("--allow-unseen", is_flag=True, help="Note references that the list does not hold, too.")
@click.option("--undo", is_flag=True, help="Take retractions back; the entries return with the next import of them.")
def retract(
    path: Path, refs: tuple[str, ...], source: str, refs_from: Any, reason: str, allow_unseen: bool, undo: bool
) -> None:
    """Withdraw entries: their hashes are deleted and they stay out of every later import."""
    from hashmatch.lists.store import HashList

    if undo and (reason or allow_unseen):
        raise UsageError("--undo takes neither --reason nor --allow-unseen")
    wanted = given_references(refs, refs_from, "to retract")
    given = len(set(wanted))
    with HashList.open(path) as known:
        if undo:
            count = known.restore(source, wanted)
            lines = [f"retractions taken back: {count:,}" + _and_of("not retracted", given - count)]
            lines[0] += "" if count else NO_CHANGE
            if count:
                lines.append("import the source again to bring the entries back")
        else:
            withdrawn, unseen = known.retract(source, wanted, reason=reason, allow_unseen=allow_unseen)
            done = f"entries withdrawn: {withdrawn:,}; references noted that the list did not hold: {unseen:,}"
            lines = [done + _and_of("retracted already", given - withdrawn - unseen)]
            lines[0] += "" if withdrawn or unseen else NO_CHANGE
            if withdrawn:
                lines.append("compiled files that were made before still hold their hashes: compile the list again")
        warn_unlogged(known.unlogged)
    echo_lines(lines)


def _and_of(what: str, count: int) -> str:
    return f"; {what}: {count:,}" if count > 0 else ""


@command.command()
@click.argument("paths", metavar="LIST.hml|LIST.hmx...", nargs=-1, required=True, type=LIST_PATH)
def check(paths: tuple[Path, ...]) -> None:
    """Read and verify all of a list with its audit log and the compiled file beside it, or of a compiled list.

    Nothing is repaired. Of a list of several, the first that is damaged ends the check.
    """
    for path in paths:
        if _is_compiled(path):
            _check_compiled(path)
        else:
            _check_list(path)


def _check_compiled(path: Path, snapshot: str | None = None) -> None:
    """Verify a compiled list; ``snapshot``: of the list that it stands beside."""
    from hashmatch.index.compiled import CompiledList

    with CompiledList.open(path) as compiled:
        compiled.check()
        found = compiled.snapshot.hex()
        facts = f"{compiled.rows:,} entries, {path.stat().st_size:,} bytes, snapshot {found}"
        if snapshot is not None and found != snapshot:
            facts += " (of an earlier state of the list: the next match compiles it again)"
        echo_lines([f"{path}: sound: {facts}"], err=False)


def _check_list(path: Path) -> None:
    from hashmatch.lists.cache import cache_path, leftovers
    from hashmatch.lists.store import HashList

    with HashList.open(path, read_only=True) as known:
        count = known.check()
        echo_lines([f"{path}: sound: {count:,} entries, snapshot {known.snapshot}"], err=False)
        warn_unlogged(known.unlogged)
        warn_unlogged(
            f"{file}: is not finished and may hold hashes: delete it, unless somebody is at work here"
            for file in leftovers(path)
        )
        if _is_compiled(cache_path(path)) and cache_path(path).exists():
            _check_compiled(cache_path(path), known.snapshot)


def _is_compiled(path: Path) -> bool:
    """Whether to read ``path`` as a compiled list: its first bytes say so, or, where they say nothing, its name."""
    from hashmatch.lists import schema

    if schema.is_sqlite(path):  # asked first: nothing but SQLite may open a list
        return path.suffix == ".hmx" and not path.stat().st_size
    try:
        with path.open("rb") as file:
            first = file.read(4)
    except OSError:
        first = b""
    return first == b"\x89HMX" or path.suffix == ".hmx"
