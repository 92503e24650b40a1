"""``hashmatch list export``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashmatch.cli.console import LIST_PATH, binary_output, echo_lines, progress_bar, quiet_option, warn_unlogged

if TYPE_CHECKING:
    from hashmatch.lists.store import HashList, StoredEntry

    Progress = Callable[[int, int | None], None]

#: Names of the writers, written out so that --help loads none of them; a test compares.
FORMATS = ("csv", "jsonl", "parquet", "vics", "hashdeep", "pdq")
#: Entries between two steps of the progress bar.
_STEP = 1024
VICS_SCHEMES = ("us", "uk", "default", "custom")


@click.command()
@click.argument("path", metavar="LIST.hml", type=LIST_PATH)
@click.option("-o", "--out", metavar="FILE", help="Write to FILE; the default is standard output.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default FILE's suffix decides, else csv.")
@click.option("--source", "sources", multiple=True, help="Only the entries of this source; may be given several times.")
@click.option(
    "--include-hashes", is_flag=True, help="Export the hashes too. They are sensitive: handle the file as such."
)
@click.option(
    "--vics-scheme",
    type=click.Choice(VICS_SCHEMES),
    default="us",
    show_default=True,
    help="Category scheme of a VICS file; entries of other schemes lose their category.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was exported, and lost, as JSON.")
@quiet_option
def command(
    path: Path,
    out: str | None,
    form: str | None,
    sources: tuple[str, ...],
    include_hashes: bool,
    vics_scheme: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Export the entries that are not retracted, by source and reference.

    Without --include-hashes the export holds no hash, but all else that sources say of entries: series and
    investigations, too. What the format cannot hold is listed
    afterwards on standard error, with the number of entries that lost it.
    """
    from hashmatch.cli.console import utf8_streams
    from hashmatch.lists.store import HashList
    from hashmatch.lists.writers import WriteOptions, export, writer_for

    utf8_streams()
    writer = writer_for(form, out)
    options = WriteOptions(include_hashes=include_hashes, vics_scheme=vics_scheme)
    with HashList.open(path, read_only=True) as known:
        for name in sources:
            known.source_number(name)  # refuses what the list has not, before anything is written
        with (
            binary_output(out, [path]) as write,
            progress_bar(f"exporting {path.name}", "entries", quiet=quiet) as progress,
        ):
            account = export(lambda: _chosen(known, sources, progress), writer, write, options)
        known.note(
            "export",
            {"entries": account.written},
            form=writer.name,
            hashes=include_hashes,
            out_bytes=account.bytes,
            out_sha256=account.sha256,
        )
        warn_unlogged(known.unlogged)
    if as_json:
        # Standard output may hold the export itself.
        click.echo(json.dumps(account.as_dict(), ensure_ascii=False), err=out in (None, "-", "/dev/stdout"))
    elif not quiet:
        echo_lines(account.lines())


def _chosen(known: HashList, sources: Sequence[str], progress: Progress) -> Iterator[StoredEntry]:
    for number, stored in enumerate(known.entries(sources or None)):
        if not number % _STEP:
            progress(number, None)
        yield stored
