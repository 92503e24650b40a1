"""How long does a compiled list take to write anew, and how long from the former one and what has changed?

    python benchmarks/splice_compiled.py [--rows 1000000] [--changes 10000] [--runs 3] [--folder FOLDER]

Synthetic rows with md5, sha1, sha256 and pdq, of which some share each. A third of the changes removes a row, a third
adds one and a third replaces one. Correctness first: the spliced file must be, byte for byte, the one that is written
of all rows. Each step is a process of its own; its arrays are made before the clock starts, and the clock stops when
the file is on the disk. Its peak memory counts the arrays, and the pages of the former file that it maps. The former
file is read from the disk in the first run (``cold``) where the system can be asked to forget it; after that it is in
memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _stamp import show_stamp
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS
from hashmatch.bench.machine import peak_bytes
from hashmatch.index.build import HashColumn, Rows, write_compiled
from hashmatch.index.compiled import CompiledList
from hashmatch.index.splice import splice_compiled

HASHES = ("md5", "sha1", "sha256", "pdq")
SOURCES = ["Agency A", "Agency B", "Agency C"]
CATEGORIES = [("scheme", str(number)) for number in range(8)]
NAMES: dict[str, Any] = {"role": "known", "sources": SOURCES, "categories": CATEGORIES}


def hashes_of(entries: NDArray[np.uint64], name: str) -> NDArray[np.uint8]:
    """``uint8[n, width]``: hashes of numbered entries; one in fifty entries shares its hash with others."""
    width = ALGORITHMS[name].width
    words = np.empty((len(entries), -(-width // 8)), np.uint64)
    shared = np.where(entries % np.uint64(50) == 7, entries // np.uint64(500), entries)
    for column in range(words.shape[1]):
        # splitmix64: each number another, without order.
        word = shared * np.uint64(8) + np.uint64(column + (ALGORITHMS[name].number << 40))
        word = (word + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        words[:, column] = word ^ (word >> np.uint64(31))
    return np.ascontiguousarray(words.view(np.uint8)[:, :width])


def rows_of(entries: NDArray[np.uint64], total: int) -> Rows:
    """Rows of some of the entries of a list of about ``total``, which are numbered in their order."""
    count = len(entries)
    digits = 16
    text = np.empty((count, digits), np.uint8)
    rest = entries.copy()
    for column in reversed(range(digits)):
        text[:, column] = rest % np.uint64(10) + np.uint64(48)
        rest //= np.uint64(10)
    rows = np.arange(count, dtype=np.uint32)
    return Rows(
        ref_text=text.tobytes(),
        ref_offsets=np.arange(count + 1, dtype=np.uint64) * np.uint64(digits),
        source=np.minimum(entries * np.uint64(3) // np.uint64(2 * total), np.uint64(2)).astype(np.uint32),
        category=(entries % np.uint64(9)).astype(np.uint32),
        media=np.ones(count, np.uint8),
        size=(entries * np.uint64(977) % np.uint64(1 << 24)).astype(np.int64),
        quality=np.full(count, 100, np.uint8),
        hashes={name: HashColumn(hashes_of(entries, name), rows) for name in HASHES},
    )


def numbers(rows: int, changes: int) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint64]]:
    """(former entries, which even numbers name; rows to remove; entries to insert), all ascending."""
    rng = np.random.default_rng(11)
    former = np.arange(rows, dtype=np.uint64) * np.uint64(2)
    removed = np.sort(rng.choice(rows, 2 * changes // 3, replace=False))
    replaced = removed[::2]  # comes back in its place as another entry
    added = rng.choice(rows, changes - len(removed), replace=False)
    inserted = np.union1d(former[replaced] + np.uint64(1), former[added] + np.uint64(1))
    return former, removed, inserted


def step(what: str, folder: Path, rows: int, changes: int) -> None:
    """One step in a process of its own: prints its seconds and its memory in bytes."""
    former, removed, inserted = numbers(rows, changes)
    start = 0.0
    if what == "splice":
        new = rows_of(inserted, rows)
        # An entry that replaces another has its place: behind the entry one below it, whether that stays or not.
        before = np.searchsorted(former, inserted)
        before_rss = peak_bytes()
        start = time.perf_counter()
        with CompiledList.open(folder / "former.hmx") as opened:
            splice_compiled(opened, folder / "spliced.hmx", removed, new, before, snapshot=bytes(32), **NAMES)
    else:
        entries = former if what == "former" else np.union1d(np.delete(former, removed), inserted)
        everything = rows_of(entries, rows)
        before_rss = peak_bytes()
        start = time.perf_counter()
        write_compiled(folder / f"{what}.hmx", everything, snapshot=bytes(32), **NAMES)
    print(json.dumps({"seconds": time.perf_counter() - start, "before": before_rss, "peak": peak_bytes()}))


def run(what: str, folder: Path, rows: int, changes: int) -> dict[str, float]:
    """The figures of a step."""
    command = [sys.executable, __file__, "--step", what, "--rows", rows, "--changes", changes, "--folder", folder]
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def forget(path: Path) -> None:
    """Ask the system to drop a file from its cache."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    parser.add_argument("--step", choices=("former", "anew", "splice"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options.step, options.folder, options.rows, options.changes)
        return
    show_stamp()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        run("former", folder, options.rows, options.changes)
        size = (folder / "former.hmx").stat().st_size
        anew = [run("anew", folder, options.rows, options.changes) for _ in range(options.runs)]
        expected = digest(folder / "anew.hmx")
        (folder / "anew.hmx").unlink()
        forget(folder / "former.hmx")
        spliced = []
        for number in range(options.runs + 1):
            spliced.append(run("splice", folder, options.rows, options.changes))
            if number == 0:
                assert digest(folder / "spliced.hmx") == expected, "the spliced file is not the one written anew"
    print(f"{options.rows:,} rows, {options.changes:,} changes, {size / 1e6:,.0f} MB; the files are equal.\n")
    print("| what | seconds (median) | all runs | MB a second | peak memory, MB |\n| --- | --- | --- | --- | --- |")
    for what, figures in (("anew", anew), ("spliced", spliced[1:]), ("spliced, cold", spliced[:1])):
        seconds = [figure["seconds"] for figure in figures]
        median = statistics.median(seconds)
        shown = ", ".join(f"{value:.2f}" for value in seconds)
        peak = max(figure["peak"] for figure in figures) / 1e6
        print(f"| {what} | {median:.2f} | {shown} | {size / median / 1e6:,.0f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
