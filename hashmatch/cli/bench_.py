"""``hashmatch bench``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from hashmatch.cli.console import check_output, echo_lines, output_stream, quiet_option
from hashmatch.errors import UsageError, shorten

#: As in `hashmatch.bench.run` and `hashmatch.bench.forms`; written out, so that --help loads no library.
_SUITES = ("hash", "match", "import", "startup", "scan")
_FORMS = ("hashmatch", "github-action-benchmark", "pytest-benchmark")


class _Bench(click.Group):
    """A group whose first command may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("bench", cls=_Bench)
def command() -> None:
    """Measure hashmatch beside other programs, and compare two measurements.

    `hashmatch bench SUITE...` is `hashmatch bench run SUITE...`.
    """


def _sizes(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, ...]:
    sizes = []
    for text in value.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})(?:[eE]([0-9]))?\s*", text)
        size = int(match[1]) * 10 ** int(match[2] or 0) if match else 0
        if not 1 <= size <= 1_000_000_000:
            raise UsageError(f"--sizes: {shorten(text)}; expected numbers from 1 to 1e9, for example 1e5,1e6")
        sizes.append(size)
    return tuple(dict.fromkeys(sizes))


form_option = click.option(
    "--form", type=click.Choice(_FORMS), default="hashmatch", show_default=True, help="Form of FILE: whose JSON it is."
)


@command.command("run")
@click.argument("suites", metavar="[SUITE]...", nargs=-1)
@click.option(
    "--sizes",
    metavar="N,...",
    default="1e5",
    show_default=True,
    callback=_sizes,
    help="Entries of lists, rows of files.",
)
@click.option("--queries", type=click.IntRange(1, 10_000_000), default=1000, show_default=True, help="Of a round.")
@click.option("--images", type=click.IntRange(2, 100_000), default=24, show_default=True, help="Hashed or scanned.")
@click.option("--side", type=click.IntRange(64, 8192), default=480, show_default=True, help="Height of the images.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Of every case.")
@click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Of searches; workers of scans."
)
@click.option(
    "--skew",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Codes with independent bits (0) up to bits biased and correlated as those of pictures (1).",
)
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Of all data.")
@click.option(
    "--json", "path", metavar="FILE", help="Write the results to FILE; - is standard output, without a table."
)
@form_option
@quiet_option
def run_command(
    suites: tuple[str, ...],
    sizes: tuple[int, ...],
    queries: int,
    images: int,
    side: int,
    rounds: int,
    threads: int,
    skew: float,
    seed: int,
    path: str | None,
    form: str,
    quiet: bool,
) -> int:
    """Check answers, then time hashmatch and its peers in turns, and print a table.

    Suites: hash, match, import, startup, scan; all of them where none is named. Every suite compares what hashmatch
    answers with a brute force, or with the package whose answers it is to equal, before anything is timed; where they
    differ, nothing is reported, and the exit code is 3. Figures are medians, and ratios of a peer's time to ours, round
    by round, with the lowest and the highest. Peers that are not installed are listed. Data is generated; images stand
    in temporary folders and are removed.
    """
    from hashmatch.bench.forms import rendered
    from hashmatch.bench.run import run
    from hashmatch.bench.suites import Plan
    from hashmatch.bench.table import lines

    if form != "hashmatch" and path is None:
        raise UsageError("--form is the form of a file; give --json FILE")
    check_output(path, ())
    plan = Plan(sizes=sizes, queries=queries, images=images, side=side, threads=threads, skew=skew, seed=seed)
    read = run(suites, plan, rounds, lambda text: None if quiet else echo_lines([f"timing {text}"]))
    if path is not None:
        with output_stream(path) as out:
            out.write(rendered(read, form))
    if path not in ("-", "/dev/stdout"):
        echo_lines(list(lines(read)), err=False)
    return 0


@command.command("compare")
@click.argument("base", type=click.Path(path_type=Path, readable=False))
@click.argument("new", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--threshold", metavar="PART", type=float, default=0.1, show_default=True, help="Part of a ratio that may be lost."
)
def compare_command(base: Path, new: Path, threshold: float) -> int:
    """Compare two documents that --json wrote: which ratios to peers got worse?

    Ratios are compared and not times, so that the two may come from different machines. What only one of them has is
    listed. Exit code 0: nothing got worse by more than the threshold; 1: something did; 3: a document is missing,
    damaged or of another version, or the two have no ratio in common.
    """
    from hashmatch.bench.compare import compare
    from hashmatch.bench.result import read_document

    comparison = compare(read_document(base), read_document(new), threshold)
    echo_lines(comparison.lines(), err=False)
    return 1 if comparison.worse else 0


@command.command("show")
@click.argument("document", type=click.Path(path_type=Path, readable=False))
@click.option("--brief", is_flag=True, help="A row for each case, with its peers in one cell.")
def show_command(document: Path, brief: bool) -> int:
    """Print the table of a document that --json wrote.

    Without --brief it is what `hashmatch bench run` printed. README's table is `--brief` of `benchmarks/bench.json`.
    """
    from hashmatch.bench import table
    from hashmatch.bench.result import read_document, sides
    from hashmatch.errors import BenchmarkDamagedError

    read = read_document(document)
    if next(sides(read), None) is None:
        raise BenchmarkDamagedError(
            f"{document}: has no times; expected what `hashmatch bench run --json` writes: scripts of benchmarks/ "
            "print the figures of their own documents"
        )
    try:
        shown = list((table.brief if brief else table.lines)(read))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkDamagedError(
            f"{document}: has results other than times, or lacks what a table needs ({error!r}); expected what "
            "`hashmatch bench run --json` writes"
        ) from error
    echo_lines(shown, err=False)
    return 0


@command.command("convert")
@click.argument("document", type=click.Path(path_type=Path, readable=False))
@form_option
@click.option("-o", "--out", metavar="FILE", help="Write to FILE; else to standard output.")
def convert_command(document: Path, form: str, out: str | None) -> int:
    """Write a document that --json wrote in the form that another program reads.

    github-action-benchmark: for that action's tool customBiggerIsBetter; the values are ratios. pytest-benchmark: what
    pytest --benchmark-json writes, for pytest-benchmark compare.
    """
    from hashmatch.bench.forms import rendered
    from hashmatch.bench.result import read_document

    text = rendered(read_document(document), form)
    with output_stream(out, [document]) as stream:
        stream.write(text)
    return 0
