"""How fast, and in how much memory, is an ICSE export imported? Bars: 150,000 rows/s on one core, under 400 MB.

    python benchmarks/import_icse.py [--rows 3000000] [--runs 3] [--keep FOLDER]

Correctness first: the list's entries are compared with the file, cell by cell, on a sample, and counted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _stamp import show_stamp

BAR_ROWS, BAR_BYTES = 150_000, 400_000_000

# In a process of its own, on one core, so that peak memory and processor time are the import's alone.
_IMPORT = """
import json, os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[3])})
from hashmatch import HashList
from hashmatch.bench.machine import peak_bytes
wall, cpu = time.perf_counter(), time.process_time()
with HashList.open(sys.argv[1], create=True) as known:
    summary = known.import_file(sys.argv[2], "ICSE")
print(json.dumps({
    "rows": summary.records, "added": summary.added, "unchanged": summary.unchanged,
    "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
    "peak": peak_bytes(),
}))
"""


def import_once(known: Path, export: Path) -> dict[str, float]:
    """Import in a new process; its figures."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(known), str(export), str((os.cpu_count() or 1) - 1)],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def read_and_hash(export: Path) -> float:
    """Seconds that only reading the file and its SHA-256 take: what no import can be faster than."""
    import hashlib

    start = time.perf_counter()
    with export.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.perf_counter() - start


_PARSE = """
import csv, itertools, os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[2])})
with open(sys.argv[1], newline="", encoding="utf-8") as file:
    start, count = time.perf_counter(), 0
    for _ in itertools.islice(csv.reader(file, delimiter=";"), 200_000):
        count += 1
    print(count / (time.perf_counter() - start))
"""


def csv_rate(export: Path) -> float:
    """Rows/s that the csv module only splits, on the same core: how fast the machine is at this moment."""
    command = [sys.executable, "-c", _PARSE, str(export), str((os.cpu_count() or 1) - 1)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def check(known: Path, export: Path, rows: int) -> None:
    """Fail unless the list holds what the file says."""
    from hashmatch import HashList

    with HashList.open(known, read_only=True) as opened, export.open(newline="", encoding="utf-8") as file:
        stored = iter(opened.entries())
        count = 0
        for number, row in enumerate(csv.DictReader(file, delimiter=";")):
            if number >= 20_000:
                break
            held = next(stored)
            hashes = held.entry.hashes
            for column, algorithm in (("MD5", "md5"), ("SHA1", "sha1"), ("ZZ40", "zz40"), ("PhotoDNA", "photodna")):
                assert hashes.get(algorithm, b"").hex() == row[column].lower(), (number, column)
            assert held.entry.ref == row["Image ID"]
            assert held.entry.media_type == row["Media Type"].lower()
            assert held.entry.category == ("interpol", "baseline" if row["Baseline"] == "Yes" else "non-baseline")
            assert held.entry.fields["submissions"] == int(row["Number of submissions"])
            count += 1
        assert opened.info().entries == rows
    print(f"Correct: {count:,} entries compared cell by cell, {rows:,} counted.\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder in which icse.csv and known.hml are kept and found again")
    options = parser.parse_args()
    show_stamp()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        export, known = folder / "icse.csv", folder / "known.hml"
        if not export.exists():
            generator = Path(__file__).with_name("generate_icse.py")
            subprocess.run(
                [sys.executable, generator, "--rows", str(options.rows), "--out", export],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        known.unlink(missing_ok=True)
        rows = int(import_once(known, export)["rows"])
        check(known, export, rows)
        again = import_once(known, export)
        assert again["unchanged"] == rows
        size = known.stat().st_size
        # The machine's speed changes from minute to minute: each run stands beside a fixed piece of work.
        splits = [csv_rate(export)]
        results = []
        for _ in range(options.runs):
            known.unlink()
            results.append(import_once(known, export))
            splits.append(csv_rate(export))
        ratios = [
            rows / result["wall"] / ((before + after) / 2)
            for result, before, after in zip(results, splits[:-1], splits[1:], strict=True)
        ]
        wall = statistics.median(r["wall"] for r in results)
        cpu = statistics.median(r["cpu"] for r in results)
        each = [f"{rows / r['wall']:,.0f}" for r in results]
        peak = max(r["peak"] for r in results)
        print("| what | figure |\n| --- | --- |")
        print(f"| rows, bytes of the export | {rows:,}, {export.stat().st_size:,} |")
        print(f"| rows/s, wall, median of {len(results)} | {rows / wall:,.0f} |")
        print(f"| rows/s, wall, each run | {', '.join(each)} |")
        shown = ", ".join(f"{rate:,.0f}" for rate in splits)
        print(f"| the csv module only splitting rows, before, between and after, rows/s | {shown} |")
        print(f"| rate of the whole import against that, each run | {', '.join(f'{x:.2f}' for x in ratios)} |")
        print(f"| rows per processor second | {rows / cpu:,.0f} |")
        print(f"| re-import of the unchanged file, rows/s | {rows / again['wall']:,.0f} |")
        print(f"| peak memory | {peak / 1e6:,.0f} MB |")
        print(f"| list file | {size / rows:,.0f} bytes an entry |")
        print(f"| reading the export and its SHA-256 alone | {read_and_hash(export):.1f} s of {wall:.1f} s |")
    fast, small = rows / wall >= BAR_ROWS, peak < BAR_BYTES
    print(f"\nBars: at least {BAR_ROWS:,} rows/s: {'reached' if fast else 'MISSED'}; ", end="")
    print(f"under {BAR_BYTES / 1e6:.0f} MB: {'reached' if small else 'MISSED'}.")
    return 0 if fast and small else 1


if __name__ == "__main__":
    sys.exit(main())
