"""How fast is exact range search over 256-bit and 64-bit codes, against FAISS's flat index?

Random codes; half of the queries are planted at distances 0 to the radius, half are random. First every way to search
is compared with FAISS and with the own flat scan, triple by triple. Then all sides are timed in turns, in this process,
on one thread (two where the row says so), and the median of the rounds is given with its smallest and largest. FAISS is
`IndexBinaryFlat.range_search`'s kernel (`hamming_range_search`, the same code without the copy of the codes).

    python benchmarks/hamming_search.py --entries 10000000 --bits 256 [--mapped] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from _lists import Codes, huge_pages, planted_queries, random_codes
from _stamp import stamp

from hashmatch import kernels
from hashmatch.bench.lists import write_list
from hashmatch.index.compiled import CompiledList
from hashmatch.index.hamming import FaissFlat
from hashmatch.kernels.code_index import CodeIndex
from hashmatch.kernels.ring import table_size

#: (bits, entries) -> what the ring index must be against FAISS: batch, single calls, avx2 batch, portable batch.
BARS = {
    (256, 1_000_000): {"batch": 250},
    (256, 10_000_000): {"batch": 1000, "single": 200, "batch, avx2": 600, "batch, portable": 90},
    (256, 100_000_000): {"batch": 1000},
    (64, 10_000_000): {"batch": 300},
}
BAR_FLAT, BAR_THREADS, BAR_BYTES, BAR_BUILD, BAR_MAPPED, BAR_P99 = 1.8, 1.8, 165, 0.4, 0.7, 200


def rate(queries: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return queries / (time.perf_counter() - start)


def equal(a: object, b: object) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))  # type: ignore[call-overload]


class Figures:
    """Rates in queries a second, one list a row of the table, filled in turns."""

    def __init__(self) -> None:
        self.rates: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self.rates.setdefault(name, []).append(value)

    def ratio(self, name: str, against: str) -> float:
        """Median over the rounds of the ratio within a round: both sides met the same state of the machine."""
        return statistics.median(a / b for a, b in zip(self.rates[name], self.rates[against], strict=True))


def single_calls(index: CodeIndex, queries: Codes, radius: int, name: str) -> tuple[float, float]:
    """(calls a second, 99th percentile in microseconds): one code a call, from Python."""
    codes = [queries[i : i + 1] for i in range(len(queries))]
    seconds = []
    for code in codes:
        start = time.perf_counter()
        index.range_search(code, radius, implementation=name)
        seconds.append(time.perf_counter() - start)
    return len(seconds) / sum(seconds), float(np.percentile(seconds, 99)) * 1e6


def check(index: CodeIndex, queries: Codes, radius: int, names: list[str]) -> None:
    """Every implementation and method against FAISS on some queries, and against each other on all."""
    few = queries[:64]
    with_faiss = FaissFlat().range_search(few, index.codes, radius)
    flat = index.range_search(queries[:1000], radius, method="flat", implementation=names[0])
    for name in names:
        for method in ("auto", "flat", "ring by query", "ring by bucket"):
            if not equal(index.range_search(few, radius, method=method, implementation=name), with_faiss):
                raise AssertionError(f"{name}, {method}: not what FAISS finds")
        if not equal(index.range_search(queries[:1000], radius, threads=2, implementation=name), flat):
            raise AssertionError(f"{name}: not what the flat scan finds")
    batch = index.range_search(queries, radius, implementation=names[0])
    if int(np.diff(batch[0]).astype(bool).sum()) < len(queries) // 2:
        raise AssertionError("planted pairs are missing")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, choices=(64, 256), default=256)
    parser.add_argument("--queries", type=int, default=100_000, help="of a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mapped", action="store_true", help="also from a compiled list, mapped with 4 KiB pages")
    options = parser.parse_args()
    entries, width = options.entries, options.bits // 8
    radius, algorithm = (31, "pdq") if width == 32 else (6, "phash")
    names = [item.name for item in kernels.implementations() if item.available and item.name != "numpy"]
    if not names:
        print("the native extension is not built: there is nothing to measure here")
        return 1
    print(json.dumps(stamp() | vars(options) | {"radius": radius}))

    codes = random_codes(entries, width, seed=1)
    tables, build = [], 0.0
    for chunk in range(width // 2):
        start = time.perf_counter()
        table = kernels.ring_table(codes, chunk)
        build += time.perf_counter() - start
        kept = huge_pages(table_size(entries))
        kept[:] = table
        tables.append(kept)
    index = CodeIndex(codes, tables)
    queries = planted_queries(codes, options.queries, radius, seed=2)
    best = names[0]
    check(index, queries, radius, names)

    faiss.omp_set_num_threads(1)
    few = max(32, min(1024, int(1e9 // entries)))
    flat_queries = max(few, min(len(queries), int(4e9 // entries)))
    figures, p99 = Figures(), []
    with tempfile.TemporaryDirectory() as folder:
        mapped = None
        if options.mapped:
            path = Path(folder) / "random.hmx"
            write_list(path, algorithm, codes)
            compiled = CompiledList.open(path, verify=False)
            section = compiled.codes(algorithm)
            mapped = CodeIndex(section.codes, compiled.ring(algorithm))
            mapped.range_search(queries, radius, implementation=best)  # from here on the page cache is warm
        for _ in range(options.rounds):
            figures.add("FAISS flat", rate(few, lambda: FaissFlat().range_search(queries[:few], codes, radius)))
            figures.add(
                "own flat",
                rate(
                    flat_queries,
                    lambda: index.range_search(queries[:flat_queries], radius, method="flat", implementation=best),
                ),
            )
            figures.add("batch", rate(len(queries), lambda: index.range_search(queries, radius, implementation=best)))
            figures.add(
                "batch, 2 threads",
                rate(len(queries), lambda: index.range_search(queries, radius, threads=2, implementation=best)),
            )
            calls, late = single_calls(index, queries[:5000], radius, best)
            figures.add("single", calls)
            p99.append(late)
            for name in names[1:]:
                figures.add(
                    f"batch, {name}",
                    rate(len(queries), lambda name=name: index.range_search(queries, radius, implementation=name)),
                )
                figures.add(f"single, {name}", single_calls(index, queries[:2000], radius, name)[0])
            if mapped is not None:
                figures.add(
                    "batch, mapped",
                    rate(len(queries), lambda: mapped.range_search(queries, radius, implementation=best)),
                )
                figures.add("single, mapped", single_calls(mapped, queries[:5000], radius, best)[0])
        if mapped is not None:
            mapped = section = None
            compiled.close()

    bars = BARS.get((options.bits, entries), {})
    print(f"implementation {best}; chosen for the batch: {index.plan(len(queries), radius, best)}")
    print(f"{'queries a second':<20}{'median':>12}{'min':>12}{'max':>12}{'x FAISS flat':>14}  bar")
    missed = 0
    for name, rates in figures.rates.items():
        ratio = figures.ratio(name, "FAISS flat")
        bar = BAR_FLAT if name == "own flat" else bars.get(name)
        missed += bar is not None and ratio < bar
        said = "" if bar is None else f"{bar:,} {'reached' if ratio >= bar else 'MISSED'}"
        spread = f"{statistics.median(rates):>12,.0f}{min(rates):>12,.0f}{max(rates):>12,.0f}"
        print(f"{name:<20}{spread}{ratio:>14,.1f}  {said}")
    each = (sum(map(len, tables)) + codes.nbytes) / entries
    seconds = build / entries * 1e6
    late = statistics.median(p99)
    others = [
        ("two threads / one thread", figures.ratio("batch, 2 threads", "batch"), BAR_THREADS, True),
        ("single call, 99th percentile, us", late, BAR_P99 if entries == 10_000_000 and width == 32 else None, False),
        ("tables and codes, bytes an entry", each, BAR_BYTES if width == 32 and entries >= 1_000_000 else None, False),
        ("building the tables, s a million", seconds, BAR_BUILD if width == 32 else None, False),
    ]
    if options.mapped:
        others.append(("mapped / huge pages, batch", figures.ratio("batch, mapped", "batch"), BAR_MAPPED, True))
        others.append(("mapped / huge pages, single", figures.ratio("single, mapped", "single"), None, True))
    for what, value, bar, at_least in others:
        reached = bar is None or (value >= bar if at_least else value <= bar)
        missed += not reached
        said = (
            "" if bar is None else f"{'at least' if at_least else 'at most'} {bar} {'reached' if reached else 'MISSED'}"
        )
        print(f"{what:<36}{value:>10.2f}  {said}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
