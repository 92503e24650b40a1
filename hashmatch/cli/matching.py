"""What ``match`` and ``scan`` share: options, and the run from records to reports and an exit code."""

from __future__ import annotations

import csv
import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from hashmatch.algorithms import PDQ_MIN_QUALITY
from hashmatch.cli.console import LIST_PATH, algorithm_list, echo_lines, output_stream, radius_map, utf8_streams
from hashmatch.cli.run_log import log_run
from hashmatch.errors import UsageError, exit_code
from hashmatch.matcher import BATCH, DISPUTED, Matcher, MatchResult, Verdict
from hashmatch.record import HashRecord

__all__ = ["Query", "list_options", "open_matcher", "report_options", "run_matching"]


class Query(NamedTuple):
    """A record to match and where it came from: 0-based input, 1-based ordinal in it."""

    input: int
    number: int
    record: HashRecord


def list_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that name the lists and the matching policy."""
    for option in reversed(
        (
            click.option(
                "--list",
                "list_path",
                metavar="LIST.hml|LIST.hmx",
                required=True,
                type=LIST_PATH,
                help="List to match against. A .hml is compiled to a file beside it and reused while it stands.",
            ),
            click.option(
                "--allow",
                metavar="KNOWN-GOOD",
                type=LIST_PATH,
                help="Known-good list: near matches of files that it holds are suppressed and counted.",
            ),
            click.option("--allow-exact", is_flag=True, help="The known-good list suppresses exact matches too."),
            click.option(
                "--radius",
                metavar="ALGORITHM=N",
                multiple=True,
                callback=radius_map,
                help="Largest distance that matches, inclusive; may be repeated. Defaults: pdq=31, 64-bit hashes 6.",
            ),
            click.option(
                "--min-quality",
                metavar="N",
                type=click.IntRange(0, 101),
                default=PDQ_MIN_QUALITY,
                show_default=True,
                help="PDQ hashes of a quality under N are not matched.",
            ),
            click.option(
                "--photodna-min-detail",
                metavar="SHARE",
                type=click.FloatRange(0, 1),
                help="PhotoDNA hashes are not matched if less than this share of adjacent bytes differs (flat ones).",
            ),
            click.option(
                "--disputed",
                type=click.Choice(DISPUTED),
                default="mark",
                show_default=True,
                help="Hashes that an organisation disputes match and are marked, or are left out with a note.",
            ),
            click.option(
                "--no-verify", is_flag=True, help="Do not check the compiled list's checksums while reading it."
            ),
            click.option(
                "--threads",
                metavar="N",
                type=click.IntRange(min=1),
                help="Threads that one search may use; results do not depend on it.  [default: one a processor]",
            ),
        )
    ):
        function = option(function)
    return function


def report_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say where results go and what the report's cover says."""
    for option in reversed(
        (
            click.option("--report", metavar="DIR", type=click.Path(path_type=Path), help="Write a report folder."),
            click.option("--case", default="", help="Case number, for the report."),
            click.option("--exhibit", default="", help="Exhibit, for the report."),
            click.option("--examiner", default="", help="Examiner, for the report."),
            click.option("--agency", default="", help="Agency, for the report."),
        )
    ):
        function = option(function)
    return function


algorithms_option = click.option(
    "-a", "--algorithms", metavar="NAMES", callback=algorithm_list, help="Algorithms to use, separated by commas."
)


def open_matcher(options: dict[str, Any], algorithms: tuple[str, ...] | None) -> Matcher:
    """The matcher that the options of `list_options` ask for."""
    matcher = Matcher.open(
        options["list_path"],
        radius=options["radius"],
        min_quality=options["min_quality"],
        photodna_min_detail=options["photodna_min_detail"],
        algorithms=algorithms,
        allow=options["allow"],
        allow_exact=options["allow_exact"],
        disputed=options["disputed"],
        verify=not options["no_verify"],
        threads=options["threads"],
    )
    if absent := [name for name in algorithms or () if name not in matcher.searched]:
        has = ", ".join(matcher.compiled.algorithms) or "no hashes"
        matcher.close()
        raise UsageError(
            f"-a {','.join(absent)}: {options['list_path']} has {has}; nothing could match through the others"
        )
    return matcher


def run_matching(
    matcher: Matcher,
    queries: Iterable[Query],
    inputs: Callable[[], list[Any]],
    options: dict[str, Any],
    *,
    form: str | None,
    out: str | None,
    sources: Sequence[str | None] = (),
    hashing: dict[str, Any] | None = None,
    hashes: bool = False,
    quiet: bool = False,
    batch: int = BATCH,
) -> int:
    """Match, write results and report, print the summary, and return the exit code.

    Args:
        matcher: the open matcher.
        queries: the records, in order.
        inputs: called after the last query: the `report.Input` of every input.
        options: of `report_options`.
        form: ``jsonl``, ``csv``, or None to list the first matches as text on standard output.
        out: where results in ``form`` go; None for standard output.
        sources: paths of the inputs, which no output may replace.
        hashing: how images became hashes, for the report.
        hashes: include the queries' own hashes.
        quiet: print no summary.
        batch: queries to match at once.
    """
    from hashmatch.report import ReportFolder, Summary, csv_rows, json_line, run_header
    from hashmatch.report.rows import CSV_COLUMNS
    from hashmatch.report.text import LISTED, match_lines, summary_lines

    started = datetime.now(UTC)
    utf8_streams()
    # Millions of small objects live for one batch and hardly any is part of a cycle: with the default of 700 the
    # collector looks through all of them again and again.
    gc.set_threshold(100_000, 20, 20)
    summary = Summary()
    listed: dict[bool, list[MatchResult]] = {True: [], False: []}
    matched = 0
    with ExitStack() as stack:
        folder = stack.enter_context(ReportFolder(options["report"])) if options["report"] is not None else None
        protected = [*sources, options["list_path"], options["allow"]]
        stream = stack.enter_context(output_stream(out, protected)) if form is not None else None
        writer = csv.writer(stream, lineterminator="\n") if form == "csv" and stream is not None else None
        if writer is not None:
            writer.writerow(CSV_COLUMNS)
        for query, result in _match(matcher, queries, batch):
            summary.add(result)
            if stream is not None and writer is None:
                stream.write(json_line(result, query.input, query.number, hashes=hashes) + "\n")
            elif writer is not None:
                writer.writerows(csv_rows(result, query.input, query.number))
            if folder is not None:
                folder.add(result, query.input, query.number)
            if result.matches:
                matched += 1
                kept = listed[result.verdict is Verdict.CONFLICT]
                if len(kept) < LISTED:
                    kept.append(result)
        files = inputs()
        facts = summary.as_dict(matcher, files)
        text = match_lines((listed[True] + listed[False])[:LISTED], matched)
        lines = summary_lines(facts)
        if folder is not None:
            case = {key: options[key] for key in ("case", "exhibit", "examiner", "agency") if options[key]}
            folder.finish(run_header(sys.argv, started, matcher, case, hashing), facts, [*text, *lines])
    log_run(
        options["list_path"],
        matcher.compiled,
        "scan" if hashing is not None else "match",
        [(item.path, item.bytes, item.sha256) for item in files],
        {"queries": facts["queries"]} | {name: count for name, count in facts["verdicts"].items() if count},
    )
    if form is None and not quiet:
        echo_lines(text, err=False)
    if not quiet:
        echo_lines(lines)
    if folder is not None and not quiet:
        echo_lines([f"report    {options['report']}"])
    unreadable = summary.unreadable or any(item.invalid for item in files)
    return exit_code(matched=summary.matched, unreadable=unreadable)


def _match(matcher: Matcher, queries: Iterable[Query], batch: int) -> Iterator[tuple[Query, MatchResult]]:
    """Each query with its result. The matcher reads ahead by a batch; the queries of that batch wait here."""
    waiting: list[Query] = []

    def records() -> Iterator[HashRecord]:
        for query in queries:
            waiting.append(query)
            yield query.record

    position = 0
    for result in matcher.match_many(records(), batch=batch):
        yield waiting[position], result
        position += 1
        if position == len(waiting):
            waiting.clear()
            position = 0
