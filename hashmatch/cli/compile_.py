"""``hashmatch compile``."""

from __future__ import annotations

from pathlib import Path

import click

from hashmatch.cli.console import LIST_PATH, echo_lines, progress_bar, quiet_option, warn_unlogged


@click.command("compile")
@click.argument("path", metavar="LIST.hml", type=LIST_PATH)
@click.option("-o", "--out", metavar="LIST.hmx", type=LIST_PATH, help="Default: the list's name, as .hmx.")
@click.option("--full", is_flag=True, help="Compile all of the list, even where only some of it has changed.")
@quiet_option
def command(path: Path, out: Path | None, full: bool, quiet: bool) -> None:
    """Compile a list into one immutable file for matching.

    The same content always gives the same bytes, so that two laboratories can compare their files. Where the compiled
    file of a former state stands there, only what has changed since is compiled.
    """
    from hashmatch.index.compiled import CompiledList
    from hashmatch.lists.store import HashList

    with HashList.open(path, read_only=True) as known, progress_bar("compiling", "entries", quiet=quiet) as progress:
        target = known.compile(out or path.with_suffix(".hmx"), full=full, progress=progress)
    warn_unlogged(known.unlogged)
    if not quiet:
        with CompiledList.open(target) as compiled:
            facts = f"{compiled.rows:,} entries, {target.stat().st_size:,} bytes, snapshot {compiled.snapshot.hex()}"
            echo_lines([f"{target}: {facts}"])
