"""``hashmatch match``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli.console import INPUT_PATH, advise, echo_lines, progress_bar, quiet_option
from hashmatch.cli.matching import Query, algorithms_option, list_options, open_matcher, report_options, run_matching
from hashmatch.errors import RecordError
from hashmatch.record import HashRecord

if TYPE_CHECKING:
    from hashmatch.report import Input

#: Skipped records whose message is kept, for each input.
_KEPT_MESSAGES = 100


@click.command("match")
@click.argument("queries", metavar="QUERIES...", nargs=-1, required=True, type=INPUT_PATH)
@list_options
@algorithms_option
@click.option("--from", "from_format", metavar="FORMAT", help="Format of the queries; by default it is detected.")
@click.option("--skip-invalid", is_flag=True, help="Leave malformed records out and list them; the default is to stop.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), help="Print every result in this form.")
@click.option("--json", "form", flag_value="jsonl", help="The same as --format jsonl.")
@click.option("-o", "--out", metavar="FILE", help="Write the results to FILE instead of standard output.")
@report_options
@quiet_option
def command(
    queries: tuple[str, ...],
    algorithms: tuple[str, ...] | None,
    from_format: str | None,
    skip_invalid: bool,
    form: str | None,
    out: str | None,
    quiet: bool,
    **options: Any,
) -> int:
    """Match hash lists against a list.

    QUERIES are files of hashes, never images: `hashmatch scan` takes images. `-` reads standard input. Without --format
    the first matches are printed as text; --report writes everything.

    Formats of the queries: icse, vics, ncmec, dfxml, hashdeep, nsrl3, nsrl2, hashkeeper, kdb, tsk-index, encase, pdq,
    md5sum, sha1sum, sha256sum, sha512sum, parquet, jsonl, csv.
    """
    reader = _Reader(queries, from_format, skip_invalid=skip_invalid, quiet=quiet)
    if out is not None and form is None:
        form = "csv" if out.lower().endswith(".csv") else "jsonl"
    with open_matcher(options, algorithms) as matcher:
        code = run_matching(
            matcher, reader.queries(), lambda: reader.inputs, options, form=form, out=out, sources=queries, quiet=quiet
        )
    for item in reader.inputs:
        for problem in item.problems:
            echo_lines([f"skipped: {problem}"])
        if item.invalid > len(item.problems):
            echo_lines([f"skipped: {item.path}: {item.invalid - len(item.problems):,} more records"])
    return code


class _Reader:
    """Reads query files one after the other and keeps account of them."""

    def __init__(self, paths: tuple[str, ...], from_format: str | None, *, skip_invalid: bool, quiet: bool) -> None:
        self.paths = [Path(path) if path != "-" else "-" for path in paths]
        self.from_format = from_format
        self.skip_invalid = skip_invalid
        self.quiet = quiet
        self.inputs: list[Input] = []

    def queries(self) -> Iterator[Query]:
        for number, path in enumerate(self.paths):
            yield from self._file(number, str(path))

    def _file(self, number: int, path: str) -> Iterator[Query]:
        from hashmatch.lists.entry import Retraction, unpack_hashes
        from hashmatch.lists.formats import open_entries
        from hashmatch.report import Input

        with (
            progress_bar(f"matching {Path(path).name}", "bytes", quiet=self.quiet) as progress,
            closing(open_entries(path, self.from_format, progress=progress)) as reading,
        ):
            facts = Input(path, reading.format.name)
            self.inputs.append(facts)
            for item in reading:
                if isinstance(item, Retraction):
                    continue  # nothing to look up
                facts.records += 1
                if isinstance(item, RecordError):
                    if not self.skip_invalid:
                        advise(item, skip_invalid=False)
                        raise item
                    facts.invalid += 1
                    if len(facts.problems) < _KEPT_MESSAGES:
                        facts.problems.append(str(item))
                    continue
                facts.valid += 1
                facts.empty_digests += item.dropped
                hashes, quality = unpack_hashes(item.packed)
                name = item.ref or f"record {facts.records}"
                record = HashRecord(name, hashes, quality, item.size)
                if not hashes:
                    what = "digests of the empty file only" if item.dropped else "no hash"
                    record.status, record.reason = "unreadable", f"the record holds {what}"
                yield Query(number, facts.records, record)
            reading.input.finish()
            facts.bytes, facts.sha256 = reading.input.bytes_read, reading.input.sha256
