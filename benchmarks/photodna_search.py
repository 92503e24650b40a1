"""How fast is exact range search by squared Euclidean distance over 144 bytes, against brute force?

Real PhotoDNA hashes are not to be had, so the codes are made from a seed, of three kinds: `cells`, normalised sums of
gradients in 6 x 6 cells and four directions over smooth random fields (many small values, some of 255, neighbours
alike); `skewed`, independent values of that kind; `uniform`, any byte. Half of the queries are near-duplicates of
codes, at all distances around the radius; the others are none.

Two sides of brute force: NumPy, one BLAS product of float32 (what hashmatch does without the extension), and a plain
loop in C over all bytes, compiled for this machine. All sides on one thread (two where the row says so), in turns, in
this process; the median of the rounds is given with its smallest and largest. First every implementation is compared
with both, pair by pair.

    python benchmarks/photodna_search.py [--entries 1000000] [--queries 5000] [--rounds 3]
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: every side on one thread
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _stamp import stamp
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.index.euclidean import range_search
from hashmatch.kernels.euclidean import euclidean_range

Codes = NDArray[np.uint8]
Triple = tuple[NDArray[Any], ...]
WIDTH, RADIUS = 144, 40_000

#: What the best implementation must be against NumPy's product and against the loop in C, in batches.
BAR_NUMPY, BAR_LOOP, BAR_THREADS = 10, 5, 1.6

LOOP = r"""
#include <stddef.h>
#include <stdint.h>
/* Pairs within the radius: query, position and distance of each; how many there are. */
size_t scan(const uint8_t *queries, size_t nq, const uint8_t *codes, size_t n, uint32_t radius, uint32_t *out,
            size_t room) {
    size_t found = 0;
    for (size_t q = 0; q < nq; q++) {
        for (size_t i = 0; i < n; i++) {
            int32_t distance = 0;
            for (size_t k = 0; k < 144; k++) {
                int16_t d = (int16_t)(queries[q * 144 + k] - codes[i * 144 + k]);
                distance += d * d;
            }
            if ((uint32_t)distance <= radius && found < room) {
                out[3 * found] = (uint32_t)q;
                out[3 * found + 1] = (uint32_t)i;
                out[3 * found++ + 2] = (uint32_t)distance;
            }
        }
    }
    return found;
}
"""


def fields(rng: np.random.Generator, count: int, roughness: float) -> NDArray[np.float64]:
    """Smooth random fields over 6 x 6 cells, of variance 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(12), np.fft.fftfreq(12)))
    frequency[0, 0] = 1 / 12
    noise = np.fft.fft2(rng.standard_normal((count, 12, 12))) * frequency**-roughness
    field = np.fft.ifft2(noise).real[:, :6, :6]
    return np.asarray(field / field.std())


def cells(rng: np.random.Generator, count: int) -> Codes:
    energy = np.exp(0.9 * fields(rng, count, 1.0))
    angle = 0.8 * fields(rng, count, 1.0) + rng.uniform(0, np.pi, (count, 1, 1))
    coherence = np.clip(0.6 * fields(rng, count, 0.7) + 0.3, 0, 0.95)
    across, along = energy * (1 + coherence * np.cos(2 * angle)), energy * (1 - coherence * np.cos(2 * angle))
    tilt, lean = (0.5 * np.tanh(fields(rng, count, 0.5)) for _ in range(2))
    sums = np.stack([across * (1 + tilt), across * (1 - tilt), along * (1 + lean), along * (1 - lean)], axis=-1)
    code = sums.reshape(count, WIDTH) * np.exp(0.25 * rng.standard_normal((count, WIDTH)))
    for _ in range(2):
        code = np.minimum(code / np.linalg.norm(code, axis=1, keepdims=True), 0.25)
    return np.minimum(255, code * 1020).astype(np.uint8)


def skewed(rng: np.random.Generator, count: int) -> Codes:
    return np.minimum(255, rng.exponential(45, (count, WIDTH))).astype(np.uint8)


def uniform(rng: np.random.Generator, count: int) -> Codes:
    return rng.integers(0, 256, (count, WIDTH), dtype=np.uint8)


KINDS: tuple[Callable[[np.random.Generator, int], Codes], ...] = (cells, skewed, uniform)


def make(kind: Callable[[np.random.Generator, int], Codes], count: int, seed: int) -> Codes:
    """Codes in blocks, each with its own seed; ascending and distinct, as a compiled list holds them."""
    parts = [kind(np.random.default_rng((seed, at)), min(50_000, count - at)) for at in range(0, count, 50_000)]
    codes = np.concatenate(parts)
    order = np.argsort(np.ascontiguousarray(codes).view(f"S{WIDTH}").ravel(), kind="stable")
    return np.ascontiguousarray(codes[order])


def planted(codes: Codes, kind: Callable[[np.random.Generator, int], Codes], count: int) -> Codes:
    """Queries: half of them codes with noise of 0 to 22 a byte, which is a distance of 0 to about 70,000."""
    rng = np.random.default_rng(7)
    queries = kind(rng, count)
    half = count // 2
    noise = rng.normal(0, 1, (half, WIDTH)) * rng.uniform(0, 22, (half, 1))
    near = codes[rng.integers(0, len(codes), half)] + noise
    queries[:half] = np.clip(np.rint(near), 0, 255).astype(np.uint8)
    return queries[rng.permutation(count)]


def compile_loop(folder: Path) -> ctypes.CDLL | None:
    """The plain loop as a C compiler makes it for this very machine; None where there is no compiler."""
    source, library = folder / "loop.c", folder / "loop.so"
    source.write_text(LOOP, encoding="utf-8")
    command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", str(source), "-o", str(library)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    loaded = ctypes.CDLL(str(library))
    loaded.scan.restype = ctypes.c_size_t
    return loaded


def loop(library: ctypes.CDLL, queries: Codes, codes: Codes) -> NDArray[np.uint32]:
    out = np.empty((1 << 20, 3), np.uint32)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (queries, codes, out)]
    found = library.scan(
        pointers[0], ctypes.c_size_t(len(queries)), pointers[1], ctypes.c_size_t(len(codes)), RADIUS, pointers[2],
        ctypes.c_size_t(len(out)),
    )  # fmt: skip
    return out[:found]


def search(name: str, queries: Codes, codes: Codes, threads: int = 1) -> tuple[NDArray[Any], ...]:
    os.environ[kernels.ENVIRONMENT_VARIABLE] = name
    return range_search(queries, codes, RADIUS, threads=threads)


def check(names: list[str], queries: Codes, codes: Codes, library: ctypes.CDLL | None) -> int:
    """Everything against NumPy on some queries, and against each other on all; returns the pairs of all queries."""
    few = np.ascontiguousarray(queries[:: max(1, len(queries) // 40)])
    expected = euclidean_range(few, codes, RADIUS)
    one, everything = euclidean_range(few[:1], codes, RADIUS), search(names[0], queries, codes)
    for name in names:
        for threads in (1, 2):
            jobs: list[tuple[Codes, Triple]] = [(few, expected), (few[:1], one), (queries, everything)]
            for some, right in jobs:
                found = search(name, some, codes, threads)
                if not all(np.array_equal(a, b) for a, b in zip(found, right, strict=True)):
                    raise AssertionError(f"{name}, {threads} threads: not what brute force finds")
    if library is not None:
        pairs = loop(library, few, codes)
        own = np.column_stack([np.repeat(np.arange(len(few)), np.diff(expected[0])), expected[1], expected[2]])
        if sorted(map(tuple, pairs.tolist())) != sorted(map(tuple, own.tolist())):
            raise AssertionError("the loop in C finds other pairs")
    if not len(queries) // 4 <= len(everything[1]):
        raise AssertionError("planted pairs are missing")
    return len(everything[1])


def seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=5_000, help="of a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--cpu-time", action="store_true", help="for a machine that is busy; of two threads it says nothing"
    )
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    names = [item.name for item in kernels.implementations() if item.available and item.name != "numpy"]
    if not names:
        print("the native extension is not built: there is nothing to measure here")
        return 1
    print(json.dumps(stamp() | vars(options) | {"radius": RADIUS}))
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        library = compile_loop(Path(folder))
        for kind in KINDS:
            codes = make(kind, options.entries, 1)
            queries = planted(codes, kind, options.queries)
            pairs = check(names, queries, codes, library)
            slow = queries[: max(4, min(len(queries), int(3e7 // len(codes))))]
            own = queries[: max(4, min(len(queries), int(3e9 // len(codes))))]
            sides: dict[str, tuple[int, Callable[[], object]]] = {
                "NumPy, BLAS product": (len(slow), partial(euclidean_range, slow, codes, RADIUS))
            }
            if library is not None:
                sides["plain loop in C"] = (len(slow), partial(loop, library, slow, codes))
            for name in names:
                sides[f"batch, {name}"] = (len(own), partial(search, name, own, codes))
            if not options.cpu_time:
                sides["batch, 2 threads"] = (len(own), partial(search, names[0], own, codes, 2))
            for name in names:
                sides[f"single, {name}"] = (1, partial(search, name, queries[:1], codes))
            rates: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(options.rounds):
                for side, (count, work) in sides.items():
                    rates[side].append(count * len(codes) / seconds(work, clock) / 1e6)
            print(
                f"\n{kind.__name__}: {len(codes):,} codes, {len(queries):,} queries, {pairs:,} pairs within {RADIUS:,}"
            )
            print(f"{'million pairs a second':<24}{'median':>10}{'min':>10}{'max':>10}{'x NumPy':>10}{'x loop':>10}")
            best = f"batch, {names[0]}"

            def ratio(side: str, against: str, rates: dict[str, list[float]] = rates) -> float:
                if against not in rates:
                    return float("nan")
                return statistics.median(a / b for a, b in zip(rates[side], rates[against], strict=True))

            for side, of_side in rates.items():
                spread = f"{statistics.median(of_side):>10,.0f}{min(of_side):>10,.0f}{max(of_side):>10,.0f}"
                numpy, plain = ratio(side, "NumPy, BLAS product"), ratio(side, "plain loop in C")
                print(f"{side:<24}{spread}{numpy:>10.1f}{plain:>10.1f}")
            bars: list[tuple[str, float, float]] = [
                (f"{best} / NumPy", ratio(best, "NumPy, BLAS product"), BAR_NUMPY),
                (f"{best} / plain loop", ratio(best, "plain loop in C"), BAR_LOOP),
            ]
            if not options.cpu_time:
                bars.append(("two threads / one thread", ratio("batch, 2 threads", best), BAR_THREADS))
            for what, value, bar in bars:
                missed += value < bar
                print(f"{what:<36}{value:>8.1f}  at least {bar} {'MISSED' if value < bar else 'reached'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
