"""How long does the program take to start? Bar: ``hashmatch --version`` under 0.2 s.

python benchmarks/startup.py [--runs 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _stamp import show_stamp

BAR_SECONDS = 0.2


def seconds(command: list[str], runs: int) -> list[float]:
    """Wall seconds of each run, after one that is not counted."""
    times = []
    for run in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if run:
            times.append(time.perf_counter() - start)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    show_stamp()
    program = [sys.executable, "-m", "hashmatch"]
    with tempfile.TemporaryDirectory() as folder:
        empty = str(Path(folder) / "empty.hml")
        subprocess.run([*program, "list", "create", empty], check=True, stderr=subprocess.DEVNULL)
        print("| command | median s | least | most |\n| --- | --- | --- | --- |")
        medians = {}
        for name, command in {
            "python -c pass": [sys.executable, "-c", "pass"],
            "hashmatch --version": [*program, "--version"],
            "hashmatch --help": [*program, "--help"],
            "hashmatch list info (empty list)": [*program, "list", "info", empty],
        }.items():
            times = seconds(command, runs)
            medians[name] = statistics.median(times)
            print(f"| {name} | {medians[name]:.3f} | {min(times):.3f} | {max(times):.3f} |")
    reached = medians["hashmatch --version"] < BAR_SECONDS
    print(f"\nBar: `hashmatch --version` under {BAR_SECONDS} s: {'reached' if reached else 'MISSED'}.")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
