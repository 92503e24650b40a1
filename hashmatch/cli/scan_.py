"""``hashmatch scan``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hashmatch.cli.console import progress_bar, quiet_option
from hashmatch.cli.imaging_options import imaging_options, make_limits
from hashmatch.cli.matching import Query, algorithms_option, list_options, open_matcher, report_options, run_matching
from hashmatch.errors import UsageError

#: Files that are matched at once. Small, so that results appear soon; hashing is what takes the time.
_BATCH = 256


@click.command("scan")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@list_options
@algorithms_option
@imaging_options
@click.option("-j", "--workers", metavar="N", type=click.IntRange(0), help="Worker processes; default: one per core.")
@click.option(
    "--timeout", metavar="SECONDS", type=float, default=60.0, show_default=True, help="Limit for decoding a file."
)
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), help="Form of the results.")
@click.option("-o", "--out", metavar="FILE", help="Write the results to FILE: one row for every file that was found.")
@click.option("--include-hashes", is_flag=True, help="Add each image's own hashes to the JSON rows.")
@report_options
@quiet_option
def command(
    paths: tuple[str, ...],
    algorithms: tuple[str, ...] | None,
    workers: int | None,
    timeout: float,
    form: str | None,
    out: str | None,
    include_hashes: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Hash every file under PATH and match it against a list.

    Folders are read recursively, symbolic links in them are not followed. A file that is no image, or a broken one,
    is a row with the reason, and its digests are matched all the same. Nothing of a picture is kept.
    """
    from hashmatch.algorithms import ALGORITHMS
    from hashmatch.imaging import decoder_version
    from hashmatch.report import Input
    from hashmatch.scan import HashPool, walk

    if out is not None and form is None:
        form = "csv" if out.lower().endswith(".csv") else "jsonl"
    if include_hashes and form != "jsonl":
        raise UsageError("--include-hashes needs JSON Lines; give --format jsonl or --out FILE.jsonl")
    for output in (out, options["report"]):
        _check_outside(output, paths)
    inputs = [Input(path, "images") for path in paths]
    with open_matcher(options, algorithms) as matcher:
        # By default, exactly what the list can be asked: computing more would only cost time.
        wanted = algorithms or [n for n in matcher.searched if ALGORITHMS[n].computed]
        if not wanted and matcher.searched:
            raise UsageError(
                f"{options['list_path']}: holds {', '.join(matcher.searched)} only, which hashmatch does not compute: "
                "no image could match; give a list with digests, pdq, phash, dhash, ahash or whash"
            )
        limits = make_limits(options)
        pool = HashPool(
            wanted or ["md5"],
            workers=workers,
            limits=limits,
            orientation=options["orientation"],
            profile=options["profile"],
            timeout=timeout,
        )
        found: deque[int] = deque()

        def queries(progress: Callable[[int, int | None], None]) -> Iterator[Query]:
            def files() -> Iterator[Any]:
                for item in walk(paths):
                    found.append(item.input)
                    yield item

            for done, record in enumerate(pool.run(files()), 1):
                number = found.popleft()
                facts = inputs[number]
                facts.records += 1
                facts.valid += record.status == "ok"
                facts.bytes += record.size or 0
                progress(done, None)
                yield Query(number, facts.records, record)

        with progress_bar("scanning", "files", quiet=quiet) as progress:
            return run_matching(
                matcher,
                queries(progress),
                lambda: inputs,
                options,
                form=form,
                out=out,
                sources=paths,
                hashing={
                    "algorithms": list(pool.algorithms),
                    "profile": pool.profile,
                    "decoder": decoder_version(),
                    "orientation": options["orientation"],
                    "limits": asdict(limits),
                    "timeout_seconds": timeout,
                },
                hashes=include_hashes,
                quiet=quiet,
                batch=_BATCH,
            )


def _check_outside(output: str | Path | None, folders: tuple[str, ...]) -> None:
    """Refuse an output inside a scanned folder: the scan would find it, and evidence is not written to."""
    if output is None or str(output) == "-":
        return
    target = Path(output).resolve()
    for folder in folders:
        if target.is_relative_to(Path(folder).resolve()) and Path(folder).is_dir():
            raise UsageError(f"{output}: lies inside {folder}, which is scanned; write the results somewhere else")
