"""``hashmatch lookup``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from hashmatch.cli.console import (
    INPUT_PATH,
    LIST_PATH,
    advise,
    algorithm_list,
    binary_output,
    echo_lines,
    progress_bar,
    quiet_option,
)
from hashmatch.cli.run_log import log_run
from hashmatch.errors import RecordError, UsageError, exit_code


@click.command("lookup")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=INPUT_PATH)
@click.option(
    "--list",
    "list_path",
    metavar="LIST.hml|LIST.hmx",
    required=True,
    type=LIST_PATH,
    help="List to look in. A .hml is compiled to a file beside it and reused while it stands.",
)
@click.option(
    "-a",
    "--algorithm",
    "algorithms",
    metavar="NAME",
    callback=algorithm_list,
    help="md5, sha1, sha256 or sha512; by default the length of the first digest says it.",
)
@click.option("--hits-only", is_flag=True, help="No line for a digest that is not in the list.")
@click.option("--skip-invalid", is_flag=True, help="Leave malformed lines out and list them; the default is to stop.")
@click.option("-o", "--out", metavar="FILE", help="Write the lines to FILE instead of standard output.")
@click.option("--no-verify", is_flag=True, help="Do not check the compiled list's checksums while reading it.")
@quiet_option
def command(
    files: tuple[str, ...],
    list_path: Path,
    algorithms: tuple[str, ...] | None,
    hits_only: bool,
    skip_invalid: bool,
    out: str | None,
    no_verify: bool,
    quiet: bool,
) -> int:
    """Look up millions of digests, one line of output for each, in order.

    Each FILE holds bare digests, or digests and paths as md5sum, sha1sum, sha256sum and sha512sum write them; `-` reads
    standard input. A line of output is the digest, a tab and `-` where it is not in the list; else, for each entry that
    bears it, the digest, source, reference and category, with tabs between them, and `disputed` where an organisation
    disputes that digest of the entry. `hashmatch match` reads more formats, compares every hash of a record and writes
    reports.
    """
    from hashmatch.lookup import Lookup, Tally

    if algorithms is not None and len(algorithms) != 1:
        raise UsageError(f"-a {','.join(algorithms)}: expected one algorithm; look each of them up by itself")
    algorithm = algorithms[0] if algorithms else None
    start = time.perf_counter()
    tallies = []
    with Lookup.open(list_path, verify=not no_verify) as lookup:
        if algorithm is not None:
            lookup.check(algorithm, "-a")
        with binary_output(out, [*files, list_path, lookup.compiled.path]) as write:
            for path in files:
                tallies.append(tally := Tally())
                with progress_bar(f"looking up {Path(path).name}", "bytes", quiet=quiet) as progress:
                    try:
                        for piece in lookup.file(
                            path,
                            tally,
                            algorithm=algorithm,
                            hits_only=hits_only,
                            skip_invalid=skip_invalid,
                            progress=progress,
                        ):
                            write(piece)
                    except RecordError as error:
                        advise(error, skip_invalid=skip_invalid)
                        raise
    seconds = time.perf_counter() - start
    lines, hits, entries = (sum(getattr(tally, name) for tally in tallies) for name in ("lines", "hits", "entries"))
    invalid = sum(tally.invalid for tally in tallies)
    log_run(
        list_path,
        lookup.compiled,
        "match",
        [(path, tally.bytes, tally.sha256) for path, tally in zip(files, tallies, strict=True)],
        {"queries": lines, "hits": hits, "entries": entries},
        form="lookup",
    )
    for path, tally in zip(files, tallies, strict=True):
        echo_lines([f"skipped: {problem}" for problem in tally.problems])
        if tally.invalid > len(tally.problems):
            echo_lines([f"skipped: {path}: {tally.invalid - len(tally.problems):,} more lines"])
    if not quiet:
        skipped = f", {invalid:,} malformed lines skipped" if invalid else ""
        rate = f"{seconds:.2f} s, {lines / max(seconds, 1e-9):,.0f} a second"
        echo_lines([f"{lines:,} digests looked up, {hits:,} found in {entries:,} entries{skipped}; {rate}"])
    return exit_code(matched=bool(hits), unreadable=bool(invalid))
