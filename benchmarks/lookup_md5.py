"""How long do 3 million MD5 lookups among 3 million take, start to end, beside the Sleuth Kit's hfind? Bar: a fifth.

    python benchmarks/lookup_md5.py [--rows 3000000] [--queries 3000000] [--runs 3] [--keep FOLDER]

One text file of digests, half of them known, goes to ``hashmatch lookup`` and to ``hfind -f``; each reads it, looks
every digest up and prints a line for each. Making the list, compiling and indexing it (``hfind -i``) is not counted on
either side. Correctness first: both must find the same lines. Whole processes are timed in turn, their output going to
a file; then the kernel alone beside NumPy.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from _stamp import show_stamp
from numpy.typing import NDArray

BAR = 5.0


def write_lines(path: Path, digests: NDArray[np.uint8], names: bool) -> None:
    """A file of digests in hexadecimal, with a path each where ``names`` asks for it."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        for start in range(0, len(digests), 100_000):
            text = digests[start : start + 100_000].tobytes().hex()
            rows = (text[at : at + 32] for at in range(0, len(text), 32))
            if names:
                file.writelines(f"{row}  known/{start + i:08d}.jpg\n" for i, row in enumerate(rows))
            else:
                file.writelines(f"{row}\n" for row in rows)


def prepare(folder: Path, rows: int, queries: int) -> tuple[Path, Path, Path]:
    """(md5sum list, compiled list, queries) in ``folder``, as far as they are missing."""
    from hashmatch import HashList

    known, compiled, asked = folder / "lookup.md5", folder / "lookup.hmx", folder / "lookup-queries.txt"
    marker = folder / f"lookup-{rows}-{queries}.done"
    if not marker.exists():
        rng = np.random.default_rng(7)
        digests = rng.integers(0, 256, (rows, 16), dtype=np.uint8)
        batch = rng.integers(0, 256, (queries, 16), dtype=np.uint8)
        hits = rng.permutation(queries)[: queries // 2]
        batch[hits] = digests[rng.integers(0, rows, len(hits))]
        write_lines(known, digests, names=True)
        write_lines(asked, batch, names=False)
        store = folder / "lookup.hml"
        for stale in (store, compiled):
            stale.unlink(missing_ok=True)
        with HashList.open(store, create=True) as opened:
            opened.import_file(known, "Benchmark")
            opened.compile(compiled)
        marker.touch()
    return known, compiled, asked


def hfind_index(known: Path) -> str:
    """The name that hfind knows the list under. Ends the program where hfind is missing: no figure is made up."""
    program = shutil.which("hfind")
    if program is None:
        sys.exit("hfind is not installed (apt-get install sleuthkit); without it there is nothing to compare with")
    if not known.with_name(known.name + "-md5.idx").exists():
        start = time.perf_counter()
        subprocess.run([program, "-i", "md5sum", known], check=True, stdout=subprocess.DEVNULL)
        print(f"hfind's index was built in {time.perf_counter() - start:.1f} s (not counted).")
    return program


def timed(command: Sequence[object], out: Path, codes: tuple[int, ...]) -> float:
    """Seconds of a whole process whose output goes to ``out``."""
    with out.open("wb") as file:
        start = time.perf_counter()
        done = subprocess.run([str(part) for part in command], stdout=file, check=False)
        seconds = time.perf_counter() - start
    assert done.returncode in codes, done.returncode
    return seconds


def check(ours: Path, hfind: Path) -> tuple[int, int]:
    """(lines, hits): the same digest and name on every line, or the same miss."""
    lines = hits = 0
    with ours.open("rb") as one, hfind.open("rb") as other:
        for line, theirs in zip(one, other, strict=True):
            digest, *fields = line.rstrip(b"\n").split(b"\t")
            name = b"Hash Not Found" if fields == [b"-"] else fields[1]
            expected, found = theirs.rstrip(b"\n").split(b"\t")
            assert (digest, name) == (expected.lower(), found), f"line {lines + 1:,}: the two say different things"
            lines += 1
            hits += fields != [b"-"]
    return lines, hits


def rate(function: Callable[[], object], count: int, runs: int) -> float:
    """Median of ``count`` items a second."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return count / statistics.median(times)


def kernel_rates(compiled: Path, asked: Path, runs: int) -> dict[str, float]:
    """Lookups a second, without reading or writing text, of the kernel and of NumPy."""
    from hashmatch import kernels
    from hashmatch.index.compiled import CompiledList

    queries = np.frombuffer(bytes.fromhex(asked.read_text(encoding="ascii")), np.uint8).reshape(-1, 16)
    with CompiledList.open(compiled) as opened:
        values, _, table = opened.digests("md5")

        def forced(name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            os.environ[kernels.ENVIRONMENT_VARIABLE] = name
            try:
                return kernels.digest_lookup(values, table, queries)
            finally:
                del os.environ[kernels.ENVIRONMENT_VARIABLE]

        # What is easily written instead: the first 8 bytes as numbers, whose bearers are not compared to the end.
        heads, sought = (part[:, :8].copy().view(">u8").ravel().astype(np.uint64) for part in (values, queries))
        name = kernels.active()
        first, last = forced(name)
        for ours, theirs in zip((first, last), forced("numpy"), strict=True):
            assert np.array_equal(ours, theirs)
        place = np.minimum(np.searchsorted(heads, sought), len(heads) - 1)
        assert np.array_equal(last > first, np.all(values[place] == queries, axis=1))
        return {
            f"kernel ({name})": rate(partial(forced, name), len(queries), runs),
            "the kernel in NumPy": rate(partial(forced, "numpy"), len(queries), runs),
            "`numpy.searchsorted` on the first 8 bytes": rate(
                partial(np.searchsorted, heads, sought), len(queries), runs
            ),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--queries", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder in which the lists are kept and found again")
    options = parser.parse_args()
    show_stamp()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        known, compiled, asked = prepare(folder, options.rows, options.queries)
        hfind = [hfind_index(known), "-f", asked, known]
        ours = [sys.executable, "-m", "hashmatch", "lookup", asked, "--list", compiled, "--quiet"]
        ours_out, hfind_out = folder / "lookup.out", folder / "hfind.out"
        times: dict[str, list[float]] = {"hashmatch": [], "hfind": []}
        for run in range(options.runs + 1):
            pair = timed(ours, ours_out, (1,)), timed(hfind, hfind_out, (0,))
            if run:
                times["hashmatch"].append(pair[0])
                times["hfind"].append(pair[1])
            else:
                lines, hits = check(ours_out, hfind_out)
                assert lines == options.queries
                print(f"Correct: both find the same {hits:,} of {lines:,}, under the same names.\n")
        rates = kernel_rates(compiled, asked, options.runs)
    ratio = statistics.median(b / a for a, b in zip(times["hashmatch"], times["hfind"], strict=True))
    print("| what | figure |\n| --- | --- |")
    for name, values in times.items():
        command = "hashmatch lookup" if name == "hashmatch" else "hfind -f"
        median = statistics.median(values)
        spread = f"{min(values):.2f} to {max(values):.2f} s"
        print(f"| `{command}`, whole process, median of {len(values)} | {median:.2f} s ({spread}) |")
    print(f"| ratio, median of the pairs (bar: {BAR:.0f}) | {ratio:.1f} |")
    for name, value in rates.items():
        print(f"| {name}, lookups a second | {value:,.0f} |")
    print(f"\nBar: {BAR:.0f} times hfind: {'reached' if ratio >= BAR else 'MISSED'}.")
    return 0 if ratio >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
