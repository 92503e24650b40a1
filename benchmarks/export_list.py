"""How fast is a list exported in each format, and read back? Bar: 100,000 entries/s for CSV and JSON Lines.

    python benchmarks/export_list.py [--entries 1000000] [--format csv ...] [--keep FOLDER]

Correctness first: what the general formats say is imported into another list, whose snapshot must be the same.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _stamp import show_stamp

FORMATS = ("csv", "jsonl", "parquet", "vics", "hashdeep", "pdq")
GENERAL = FORMATS[:3]
BAR = 100_000

# In a process of its own, on one core, so that peak memory and processor time are the export's alone.
_EXPORT = """
import json, os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
from hashmatch import HashList
from hashmatch.bench.machine import peak_bytes
from hashmatch.lists.writers import WRITERS, WriteOptions, export
wall, cpu = time.perf_counter(), time.process_time()
with HashList.open(sys.argv[1], read_only=True) as known, open(sys.argv[2], "wb") as out:
    account = export(known.entries, WRITERS[sys.argv[3]], out.write, WriteOptions(include_hashes=True))
print(json.dumps({
    "written": account.written, "bytes": account.bytes, "wall": time.perf_counter() - wall,
    "cpu": time.process_time() - cpu, "peak": peak_bytes(),
}))
"""
_READ = """
import json, os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
from hashmatch.bench.machine import peak_bytes
from hashmatch.lists.formats import open_entries
cpu = time.process_time()
with open_entries(sys.argv[1], sys.argv[2]) as reading:
    count = sum(1 for _ in reading)
print(json.dumps({
    "read": count, "cpu": time.process_time() - cpu,
    "peak": peak_bytes(),
}))
"""


def _json(program: str, *arguments: object) -> Any:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def entries(count: int) -> Iterator[Any]:
    """Entries as an ICSE export has them, with a PDQ code and a size; hashes are random."""
    from hashmatch.lists.entry import Entry

    rng = random.Random(count)
    for number in range(count):
        yield Entry.make(
            f"{number:09}",
            {"md5": rng.randbytes(16), "sha1": rng.randbytes(20), "pdq": rng.randbytes(32)},
            quality={"pdq": number % 101},
            category=("interpol", "baseline"),
            media_type="image",
            size=rng.randrange(1, 10_000_000),
            metadata={"agency": "A", "is_distributed": True, "series": f"s{number % 1000}", "submissions": number % 7},
        )


def main() -> int:
    from hashmatch import HashList

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--format", action="append", choices=FORMATS, help="only this one; may be given several times")
    parser.add_argument("--keep", type=Path, help="folder for the generated list, reused by the next run")
    options = parser.parse_args()
    show_stamp()
    print(
        "| format | entries/s written | MB | peak, MB | entries/s read | peak, MB |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"export-{options.entries}.hml"
        with HashList.open(path, create=True) as known:
            if not known.info().entries:
                known.import_entries(entries(options.entries), "ICSE")
            snapshot = known.snapshot
        for name in options.format or FORMATS:
            out = Path(temporary) / f"out.{name}"
            wrote = _json(_EXPORT, path, out, name)
            read = _json(_READ, out, name)
            assert wrote["written"] == read["read"] == options.entries
            if name in GENERAL:
                with HashList.open(Path(temporary) / f"{name}.hml", create=True) as back:
                    back.import_file(out, "ICSE")
                    assert back.snapshot == snapshot, f"{name}: another list came back"
            rate = wrote["written"] / wrote["cpu"]
            missed = f" (bar {BAR:,} missed)" if name in ("csv", "jsonl") and rate < BAR else ""
            print(
                f"| {name} | {rate:,.0f}{missed} | {wrote['bytes'] / 1e6:,.0f} | {wrote['peak'] / 1e6:,.0f} "
                f"| {read['read'] / read['cpu']:,.0f} | {read['peak'] / 1e6:,.0f} |",
                flush=True,
            )
            out.unlink()
    print(
        "\nRates are by processor time of one core. "
        "What CSV, JSON Lines and Parquet hold gives the same snapshot again."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
