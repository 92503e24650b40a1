"""Write a generated INTERPOL ICSE export: random hashes, made-up names, the columns and proportions of the real one.

Nothing in it was ever the hash of anything. The same seed and rows give the same bytes.

    python benchmarks/generate_icse.py --rows 3000000 --out icse.csv
    python benchmarks/generate_icse.py --rows 100000 --dirt --out dirty.csv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hashmatch.bench.icse import EMPTY_MD5, EMPTY_SHA1, HEADER, rows, write

__all__ = ["EMPTY_MD5", "EMPTY_SHA1", "HEADER", "rows", "write"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000, help="number of rows (default: 3,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (default: 1)")
    parser.add_argument("--out", required=True, help="file to write; - is standard output")
    parser.add_argument("--dirt", action="store_true", help="an extra empty column, MD5s of 33 digits, empty digests")
    given = parser.parse_args()
    if given.rows < 0:
        parser.error("--rows: expected a number of at least 0")
    if given.out == "-":
        write(sys.stdout.buffer, given.rows, given.seed, dirt=given.dirt)
    else:
        with Path(given.out).open("wb") as out:
            write(out, given.rows, given.seed, dirt=given.dirt)
    return 0


if __name__ == "__main__":
    sys.exit(main())
