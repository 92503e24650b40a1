"""How fast, and in how much memory, is the NSRL's RDS 3 (minimal) imported? Bars: 300,000 rows/s, one core; 400 MB.

    python benchmarks/import_nsrl.py [--rows 3000000] [--runs 3] [--form minimal] [--keep FOLDER]

Correctness first: the list's entries are compared with the database, cell by cell, on a sample, and counted. Reading
alone is measured too, so that it shows where the time goes: SQLite, the reader, the list.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from _stamp import show_stamp

BAR_ROWS, BAR_BYTES = 300_000, 400_000_000

_ONE_CORE = """
import hashlib, json, os, sqlite3, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[1])})
"""

# In a process of its own, on one core, so that peak memory and processor time are the import's alone.
_IMPORT = """
from hashmatch import HashList
from hashmatch.bench.machine import peak_bytes
wall, cpu = time.perf_counter(), time.process_time()
with HashList.open(sys.argv[2], create=True, role="known-good") as known:
    summary = known.import_file(sys.argv[3], "NSRL")
print(json.dumps({
    "rows": summary.records, "added": summary.added, "unchanged": summary.unchanged, "hashless": summary.hashless,
    "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
    "peak": peak_bytes(),
}))
"""

#: What no import can be faster than, step by step: each line is seconds of work on the whole file.
_FLOOR = """
from collections import deque
from hashmatch.lists.formats import open_entries
steps = {}
def step(name, work):
    start = time.process_time()
    work()
    steps[name] = time.process_time() - start
def digest():
    with open(sys.argv[2], "rb") as file:
        hashlib.file_digest(file, "sha256")
def fetch():
    with sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True) as database:
        cursor = database.execute("SELECT sha256, sha1, md5, crc32, file_name, file_size, package_id FROM FILE")
        while cursor.fetchmany(1000):
            pass
def join():
    # What the reader asks of SQLite where a table has NIST's index: joined columns, some thousand rows at a time.
    columns = ("md5", "sha1", "sha256", "crc32", "package_id", "file_size")
    cells = ", ".join(f"group_concat({name})" for name in columns) + ", group_concat(file_name, char(10))"
    with sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True) as database:
        database.text_factory = bytes
        ((rows,),) = database.execute("SELECT max(rowid) FROM FILE")
        step = 1
        while step < 65536 and rows * step < 65536 * 1000:
            step *= 2
        query = f"SELECT {cells} FROM FILE WHERE sha256 >= ? AND sha256 < ?"
        for at in range(0, 65536, step):
            database.execute(query, (f"{at:04X}", f"{at + step:04X}" if at + step < 65536 else "G")).fetchall()
def read():
    with open_entries(sys.argv[2]) as reading:
        deque(reading, maxlen=0)
step("the file's SHA-256", digest)
if not sys.argv[2].endswith(".txt"):
    step("fetching the rows with sqlite3 alone, row by row", fetch)
    if sys.argv[2].endswith("rds_minimal.db"):
        step("fetching them with their columns joined, as the reader does", join)
step("the reader, up to its entries", read)
print(json.dumps(steps))
"""


def run(code: str, *arguments: object) -> dict[str, float]:
    """Run code in a new process on the last core; the object that it prints."""
    command = [sys.executable, "-c", _ONE_CORE + code, str((os.cpu_count() or 1) - 1), *map(str, arguments)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def check(known: Path, data: Path, rows: int) -> None:
    """Fail unless the list holds what the database says."""
    from hashmatch import HashList

    with HashList.open(known, read_only=True) as opened, closing(sqlite3.connect(data)) as database:
        held = {}
        for number, stored in enumerate(opened.entries()):
            if number >= 20_000:
                break
            entry = stored.entry
            held[entry.hashes["sha256"].hex().upper(), entry.fields["package_id"], entry.fields["file_name"]] = entry
        for (sha256, package, name), entry in held.items():
            query = "SELECT sha1, md5, crc32, file_size FROM FILE WHERE sha256 = ? AND package_id = ? AND file_name = ?"
            ((sha1, md5, crc32, size),) = database.execute(query, (sha256, package, name))
            assert (entry.hashes["sha1"].hex().upper(), entry.hashes["md5"].hex().upper()) == (sha1, md5)
            assert (entry.fields["crc32"], entry.size) == (crc32, size)
        assert opened.info().entries == rows
    print(f"Correct: {len(held):,} entries compared cell by cell, {rows:,} counted.\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--form", choices=("minimal", "full", "text"), default="minimal")
    parser.add_argument("--keep", type=Path, help="folder in which the data and the list are kept and found again")
    options = parser.parse_args()
    show_stamp()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        data = folder / ("NSRLFile.txt" if options.form == "text" else f"rds_{options.form}.db")
        known = folder / "known-good.hml"
        if not data.exists():
            generator = Path(__file__).with_name("generate_nsrl.py")
            command = [sys.executable, generator, "--rows", str(options.rows), "--form", options.form, "--out", data]
            subprocess.run(command, check=True)
        known.unlink(missing_ok=True)
        rows = int(run(_IMPORT, known, data)["added"])
        if options.form == "minimal":
            check(known, data, rows)
        again = run(_IMPORT, known, data)
        assert again["unchanged"] == rows
        floors, results = [], []
        for _ in range(options.runs):
            known.unlink()
            # The machine's speed changes from minute to minute: each import stands beside its own floor.
            floors.append(run(_FLOOR, data))
            results.append(run(_IMPORT, known, data))
        wall = statistics.median(r["wall"] for r in results)
        cpu = statistics.median(r["cpu"] for r in results)
        each = [f"{rows / r['wall']:,.0f}" for r in results]
        peak = max(r["peak"] for r in results)
        print("| what | figure |\n| --- | --- |")
        print(f"| rows, bytes of the data | {rows:,}, {data.stat().st_size:,} |")
        print(f"| rows/s, wall, median of {len(results)} | {rows / wall:,.0f} |")
        print(f"| rows/s, wall, each run | {', '.join(each)} |")
        print(f"| rows per processor second | {rows / cpu:,.0f} |")
        print(f"| microseconds of a row, processor: the whole import | {cpu / rows * 1e6:.2f} |")
        for name in floors[0]:
            floor = statistics.median(seconds[name] for seconds in floors)
            print(f"| microseconds of a row, processor: {name} | {floor / rows * 1e6:.2f} |")
        print(f"| import of the unchanged file again, rows/s | {rows / again['wall']:,.0f} |")
        print(f"| peak memory | {peak / 1e6:,.0f} MB |")
        print(f"| list file | {known.stat().st_size / rows:,.0f} bytes an entry |")
    fast, small = rows / wall >= BAR_ROWS, peak < BAR_BYTES
    print(f"\nBars: at least {BAR_ROWS:,} rows/s: {'reached' if fast else 'MISSED'}; ", end="")
    print(f"under {BAR_BYTES / 1e6:.0f} MB: {'reached' if small else 'MISSED'}.")
    return 0 if fast and small else 1


if __name__ == "__main__":
    sys.exit(main())
