"""Does every Hamming engine find exactly the matches that brute force finds?

Writes a compiled list of random PDQ codes into a temporary folder. The queries contain, for every distance from 0 to
256, pairs planted at that distance from a listed code; some codes are listed more than once. Each engine answers
through `Matcher.search_codes` for the radii 0, 1, 30, 31, 32, 128 and 256, and every (query, row, distance) is compared
with brute force over Python integers, in its order as well. Prints the matches and queries per second; exits with 1 if
anything differs.

    python benchmarks/hamming_planted.py --entries 2000 --queries 514 --seed 0
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashmatch import Matcher
from hashmatch.bench.lists import write_list
from hashmatch.index.hamming import FaissFlat, HammingEngine, KernelFlat
from hashmatch.index.search import Searcher, Triple

RADII = (0, 1, 30, 31, 32, 128, 256)
BITS = 256
#: Name -> engine; None is the one that the matcher chooses itself.
ENGINES: dict[str, HammingEngine | None] = {"chosen": None, "faiss": FaissFlat(), "kernels": KernelFlat()}

Codes = NDArray[np.uint8]


def make_codes(entries: int, queries: int, seed: int) -> tuple[Codes, Codes]:
    """(codes of the list, queries): query ``i`` is planted at distance ``i % 257`` from a code of the list."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (entries, BITS // 8), dtype=np.uint8)
    copies = entries // 10  # one in ten is listed again
    codes[entries - copies :] = codes[rng.integers(0, entries - copies, copies)]
    flips = np.zeros((queries, BITS), np.uint8)
    for index in range(queries):
        flips[index, rng.permutation(BITS)[: index % (BITS + 1)]] = 1
    planted = codes[rng.integers(0, entries, queries)] ^ np.packbits(flips, axis=1)
    return codes[rng.permutation(entries)], planted[rng.permutation(queries)]


def brute_force(queries: Codes, codes: Codes) -> list[list[tuple[int, int]]]:
    """Per query (distance, row) of every listed code, in order: whole numbers, xor and a count of ones."""
    numbers = [int.from_bytes(code.tobytes()) for code in codes]
    result = []
    for query in queries:
        number = int.from_bytes(query.tobytes())
        result.append(sorted(((number ^ other).bit_count(), row) for row, other in enumerate(numbers)))
    return result


def pairs(triple: Triple) -> Iterator[list[tuple[int, int]]]:
    """Per query (distance, row) as a search gave them."""
    offsets, rows, distances = triple
    found = list(zip(distances.tolist(), rows.tolist(), strict=True))
    for start, end in pairwise(offsets.tolist()):
        yield found[start:end]


def differences(triple: Triple, expected: list[list[tuple[int, int]]], radius: int) -> list[str]:
    """What differs, one sentence each; a right answer in another order differs too."""
    problems = []
    if len(triple[0]) != len(expected) + 1:
        return [f"radius {radius}: {len(triple[0])} offsets for {len(expected)} queries"]
    for query, (found, every) in enumerate(zip(pairs(triple), expected, strict=True)):
        right = [pair for pair in every if pair[0] <= radius]
        if found != right:
            missing, extra = sorted(set(right) - set(found)), sorted(set(found) - set(right))
            what = f"missing {missing[:3]}, too many {extra[:3]}" if missing or extra else "right, but in another order"
            problems.append(f"radius {radius}, query {query}: {what}")
    return problems


def run(entries: int, queries: int, seed: int) -> tuple[list[dict[str, object]], list[str]]:
    """(one row of figures per radius and engine, differences)."""
    codes, planted = make_codes(entries, queries, seed)
    expected = brute_force(planted, codes)
    met = {distance for query in expected for distance, _ in query}
    if len(planted) > BITS and met < set(range(BITS + 1)):
        raise AssertionError(f"no pair was planted at {sorted(set(range(BITS + 1)) - met)}")
    figures: list[dict[str, object]] = []
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planted.hmx"
        write_list(path, "pdq", codes)
        for name, engine in ENGINES.items():
            with Matcher.open(path) as matcher:
                matcher.compiled.check()
                matcher._searcher = Searcher(matcher.compiled, engine)
                matcher.search_codes("pdq", planted, 0)  # imports and verification stand apart from the search
                for radius in RADII:
                    start = time.perf_counter()
                    triple = matcher.search_codes("pdq", planted, radius)
                    seconds = time.perf_counter() - start
                    problems += [f"{name}, {text}" for text in differences(triple, expected, radius)]
                    figures.append(
                        {
                            "engine": name,
                            "uses": matcher.engines["pdq"],
                            "radius": radius,
                            "matches": len(triple[1]),
                            "brute force": sum(sum(d <= radius for d, _ in every) for every in expected),
                            "queries/s": round(len(planted) / seconds),
                        }
                    )
    return figures, problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=2000, help="rows of the list, at least 1 (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=514, help="257 plant every distance once (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.entries < 1 or arguments.queries < BITS + 1:
        parser.error(f"expected at least 1 entry and {BITS + 1} queries, so that every distance is planted")
    from _stamp import stamp

    print(json.dumps(stamp() | vars(arguments)))
    figures, problems = run(arguments.entries, arguments.queries, arguments.seed)
    print(f"{'engine':<9}{'uses':<17}{'radius':>6}{'matches':>12}{'brute force':>13}{'queries/s':>12}")
    for row in figures:
        print(
            f"{row['engine']:<9}{row['uses']:<17}{row['radius']:>6}{row['matches']:>12,}"
            f"{row['brute force']:>13,}{row['queries/s']:>12,}"
        )
    for problem in problems[:50]:
        print(problem)
    print(f"differences: {len(problems)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
