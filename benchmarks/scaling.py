"""How do search and hashing scale with list size, radius, batch, threads and picture size, and what is the limit?

    python benchmarks/scaling.py [--sizes 100000,300000,1000000] [--rounds 3] [--json FILE] [--figures FOLDER]
    python benchmarks/scaling.py --draw      # draw the committed figures again, without measuring

Range search over 256-bit codes, ours (`CodeIndex`, with the ring tables of a compiled list) beside FAISS's flat index,
and PDQ of JPEG files beside pdqhash and the decoder alone. Answers are compared before anything is timed; the
contestants of a case run in turns. The limits of the machine are measured in the same run: how fast memory is read and
copied, how fast the bits of cached codes are counted, how fast a file is decoded. A flat scan that reads the list for
each query cannot be faster than the first, nor any flat scan than the second with the best instructions; an index can,
as it does not look at every code. One document holds every number, and the figures are drawn from it alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _lists import huge_pages
from numpy.typing import NDArray

from hashmatch import imaging, kernels, synthetic
from hashmatch._version import __version__
from hashmatch.bench import data, machine, peers, result, table
from hashmatch.bench.measure import Contestant
from hashmatch.errors import BenchmarkCheckError
from hashmatch.hashing import hash_bytes
from hashmatch.kernels.code_index import CodeIndex
from hashmatch.kernels.ring import table_size

FIGURES = Path(__file__).parent / "figures"
DOCUMENT = FIGURES / "scaling.json"

SIZES = "100000,300000,1000000"
RADII = (0, 8, 16, 24, 31, 40, 48, 56, 64)
BATCHES = (1, 10, 100, 1_000, 10_000, 100_000)
THREADS = (1, 2)
#: Cases that the figures need.
CURVES = {"limits", "picture size", "list size", "radius", "batch", "threads"}
#: What the other curves hold still.
RADIUS, BATCH, BITS = 31, 1_000, 256
#: Code comparisons that FAISS is given in a round: a part of the queries, whose time is scaled.
PAIRS = 50_000_000
#: Different queries that a contestant is given in turn, at least.
DISTINCT = 20_000
#: Pictures of the hashing curve: the longer side in pixels, and how many of each.
SIDES = ((256, 16), (512, 12), (1024, 6), (2048, 2))

Codes = NDArray[np.uint8]
Tables = list[NDArray[np.uint8]]


class Known(NamedTuple):
    """A list as a compiled one holds it: distinct codes in ascending order, and how many bear each."""

    index: CodeIndex
    every: Codes
    skew: float

    @property
    def memory(self) -> int:
        arrays = (self.index.codes, self.index.starts, self.index.rows, *(self.index.tables or ()))
        return sum(array.nbytes for array in arrays if array is not None)


def known(every: Codes, skew: float) -> Known:
    """Sort codes, fold equal ones, build the ring tables."""
    words = every.view(">u8")
    order = np.lexsort(words.T[::-1])
    ascending = every[order]
    first = np.ones(len(order), bool)
    first[1:] = (ascending[1:] != ascending[:-1]).any(axis=1)
    distinct = np.ascontiguousarray(ascending[first])
    starts = np.append(np.flatnonzero(first), len(order)).astype(np.uint32)
    tables: Tables = []
    for chunk in range(every.shape[1] // 2):
        kept = huge_pages(table_size(len(distinct)))
        kept[:] = kernels.ring_table(distinct, chunk)
        tables.append(kept)
    return Known(CodeIndex(distinct, tables, starts, order.astype(np.uint32)), every, skew)


class Asked(NamedTuple):
    """Queries, every second one planted at a distance of 0 to the radius, the others of pictures not in the list."""

    queries: Codes
    planted: data.Planted


def asked(known: Known, count: int, radius: int, seed: int) -> Asked:
    """Queries in an order in which every part has all distances."""
    queries = data.codes(count, BITS // 8, seed + 1, known.skew)
    distances = np.random.default_rng(seed).permutation(np.arange((count + 1) // 2) % (radius + 1))
    planted = data.planted(known.every, distances, seed + 2)
    queries[::2] = planted.queries
    return Asked(queries, planted)


def check(known: Known, peer: peers.FaissFlat, asked: Asked, radius: int, threads: int) -> str:
    """Compare some queries pair by pair with the peer, and all planted ones with the truth; what it was, in words."""
    name, total = kernels.active(), len(known.every)
    found = known.index.range_search(asked.queries, radius, threads=threads, implementation=name)
    pairs = rows_of(found, total)
    truth = np.arange(0, len(asked.queries), 2) * total + asked.planted.positions
    at = np.minimum(np.searchsorted(pairs, truth), max(0, len(pairs) - 1))
    if not len(pairs) or not np.array_equal(pairs[at], truth):
        raise BenchmarkCheckError(f"{total:,} codes, radius {radius}: a planted pair was not found")
    few = asked.queries[: max(1, min(len(asked.queries), PAIRS // total))]
    offsets, rows, distances = known.index.range_search(few, radius, threads=threads, implementation=name)
    theirs = peer.run(few)
    order = np.lexsort((theirs.positions, theirs.distances, np.repeat(np.arange(len(few)), np.diff(theirs.offsets))))
    same = (
        np.array_equal(offsets, theirs.offsets)
        and np.array_equal(rows, theirs.positions[order])
        and np.array_equal(distances, theirs.distances[order])
    )
    if not same:
        raise BenchmarkCheckError(f"{total:,} codes, radius {radius}: not what {peer.name} finds")
    return (
        f"all {len(truth):,} planted pairs were found; {len(rows):,} pairs of {len(few):,} queries, with their "
        f"distances, equal {peer.name}'s"
    )


def rows_of(found: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]], total: int) -> NDArray[np.int64]:
    """Every pair of a result as one number, ascending: the query times ``total``, and the row."""
    offsets, rows, _ = found
    return np.sort(np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)) * total + rows)


def search_case(
    curve: str,
    known: Known,
    peer: peers.FaissFlat,
    *,
    radius: int = RADIUS,
    batch: int = BATCH,
    threads: int = 1,
    seed: int,
) -> result.Case:
    """One point of a curve; the peer's index must hold the list's codes."""
    count = max(1, DISTINCT // batch)
    every = asked(known, batch * count, radius, seed)
    batches = [every.queries[start : start + batch] for start in range(0, batch * count, batch)]
    # FAISS's time grows with every pair, so that a part of the queries tells the time of all.
    size = max(1, min(batch, PAIRS * threads // len(known.every)))
    # Another batch every time: what is asked again is answered from the processor's caches.
    ours, theirs = cycle(batches), cycle([queries[:size] for queries in batches])
    name = kernels.active()
    peer.set_search(radius, threads)
    checked = check(known, peer, every, radius, threads)
    return result.Case(
        suite="scaling",
        case=curve,
        parameters={
            "entries": len(known.every),
            "queries": batch,
            "radius": radius,
            "threads": threads,
            "skew": known.skew,
        },
        unit="queries",
        work=batch,
        checked=checked,
        contestants=[
            Contestant(
                result.OURS,
                __version__,
                lambda: known.index.range_search(next(ours), radius, threads=threads, implementation=name),
                detail=f"{known.index.plan(batch, radius, name, threads)}, {name}",
                ours=True,
                memory_bytes=known.memory,
            ),
            Contestant(
                peer.name,
                peer.version,
                lambda: peer.run(next(theirs)),
                detail=f"{peer.detail}, {size:,} of the queries",
                share=size / batch,
                memory_bytes=known.every.nbytes,
            ),
        ],
    )


# ---------------------------------------------------------------------- limits


def limits(size: int, threads: int) -> result.Case:
    """What the machine can do, in codes a second: the first contestant is our flat scan over codes in the cache."""
    every = np.ones(size // 8, np.uint64)
    parts = np.array_split(every, threads)
    halves = [(part[: len(part) // 2], part[len(part) // 2 : len(part) // 2 * 2]) for part in parts]
    cached = data.codes(2048, BITS // 8, 7)
    queries = data.codes(512, BITS // 8, 8)
    blocks = [cached.view(np.uint64).copy() for _ in range(threads)]
    counts = [np.zeros(block.shape, np.uint8) for block in blocks]
    name, flat = kernels.active(), CodeIndex(cached)
    pool = ThreadPoolExecutor(threads)

    def on_threads(work: Callable[[int], object]) -> Callable[[], object]:
        return (lambda: work(0)) if threads == 1 else (lambda: list(pool.map(work, range(threads))))

    def popcount(at: int) -> None:
        for _ in range(64):
            np.bitwise_count(blocks[at], out=counts[at])

    def scan() -> object:
        return flat.range_search(queries, 64, method="flat", threads=threads, implementation=name)

    codes = size // (BITS // 8)
    sides = [
        Contestant(
            result.OURS, __version__, scan, "flat scan, codes in the cache", True, len(cached) * len(queries) / codes
        ),
        Contestant("memory sum", np.__version__, on_threads(lambda at: parts[at].sum()), "numpy.sum"),
        Contestant("memory maximum", np.__version__, on_threads(lambda at: parts[at].max()), "numpy.max"),
        Contestant(
            "memory copy",
            np.__version__,
            on_threads(lambda at: np.copyto(*halves[at])),
            "numpy.copyto of one half to the other; bytes read and bytes written are counted",
        ),
        Contestant(
            "popcount",
            np.__version__,
            on_threads(popcount),
            "numpy.bitwise_count, 64 KB in the cache",
            share=64 * threads * len(cached) / codes,
        ),
    ]
    if int(np.bitwise_count(blocks[0]).sum()) != int(np.unpackbits(cached).sum()):
        raise BenchmarkCheckError("numpy.bitwise_count does not count bits")
    return result.Case(
        suite="scaling",
        case="limits",
        parameters={"bytes": size, "threads": threads, "code_bytes": BITS // 8},
        unit="codes",
        work=codes,
        checked="bits counted equal bits unpacked",
        contestants=sides,
    )


# ---------------------------------------------------------------------- hashing


def photograph(seed: int, side: int) -> bytes:
    """A JPEG of quality 85 with the spectrum of a photograph and some grain, ``side`` pixels wide."""
    height = side * 3 // 4
    picture = synthetic.image(seed, side, height, "noise").astype(np.int16)
    grain = np.random.default_rng(seed).integers(-12, 13, (height, side, 1))
    return imaging.encode(np.clip(picture + grain, 0, 255).astype(np.uint8), "JPEG", quality=85, subsampling=2)


def decode_all(files: list[bytes], **options: Callable[..., bool]) -> None:
    """Each picture is let go before the next, as hashing does: fresh memory for all of them would cost more."""
    for file in files:
        imaging.decode(file, **options).image.load()


def hash_case(peer: peers.HashPeer | None, side: int, count: int, seed: int) -> result.Case:
    files = [photograph(seed + number, side) for number in range(count)]
    mine = [hash_bytes(file, ("pdq",)).hashes["pdq"] for file in files]
    checked = "every file decodes"
    sides = [
        Contestant(
            result.OURS, __version__, lambda: [hash_bytes(f, ("pdq",)) for f in files], "hash_bytes, pdq", ours=True
        ),
        Contestant(
            "hashmatch luma",
            __version__,
            lambda: [hash_bytes(f, ("pdq",), profile="luma") for f in files],
            "hash_bytes, pdq, profile luma",
        ),
        Contestant(
            "decoder",
            imaging.decoder_version(),
            lambda: decode_all(files),
            "Pillow to RGB, nothing hashed",
        ),
        Contestant(
            "decoder luma",
            imaging.decoder_version(),
            lambda: decode_all(files, luma=lambda *_: True),
            "Pillow to the luma plane, nothing hashed",
        ),
    ]
    if peer is not None:
        peer.prepare("pdq")
        if peer.run(files) != mine:
            raise BenchmarkCheckError(f"side {side}: not the codes of {peer.name}")
        checked = f"{count} codes equal {peer.name}'s"
        sides.insert(1, Contestant(peer.name, peer.version, lambda: peer.run(files), peer.detail))
    return result.Case(
        suite="scaling",
        case="picture size",
        parameters={"side": side, "pixels": side * (side * 3 // 4), "threads": 1},
        unit="pictures",
        work=count,
        checked=checked,
        contestants=sides,
    )


# ---------------------------------------------------------------------- the run


def cases(options: argparse.Namespace, peer: peers.FaissFlat, hasher: peers.HashPeer | None) -> Iterator[result.Case]:
    """Every point of every curve. A case is timed before the next is made, so that one list is held at a time."""
    for threads in THREADS:
        yield limits(options.limit_bytes, threads)
    for side, count in SIDES:
        yield hash_case(hasher, side, count, options.seed)
    sizes = sorted({int(text) for text in options.sizes.split(",")})
    middle = options.middle or min(sizes, key=lambda size: abs(size - 1_000_000))
    # The list of the other curves first and the largest lists last, in case that --seconds ends the run.
    small = [middle, *(size for size in sizes if size < middle)]
    for skew, chosen in ((0.0, small), (1.0, small), (0.0, [size for size in sizes if size > middle])):
        if not chosen:
            continue
        every = data.codes(max(chosen), BITS // 8, options.seed, skew)
        for size in chosen:
            made = known(every[:size], skew)
            peer.prepare(made.every, RADIUS, 1)
            yield search_case("list size", made, peer, seed=options.seed)
            if size != middle or skew:
                continue
            for radius in RADII:
                yield search_case("radius", made, peer, radius=radius, seed=options.seed)
            for batch in BATCHES:
                yield search_case("batch", made, peer, batch=batch, seed=options.seed)
            for threads in THREADS:
                yield search_case("threads", made, peer, batch=10_000, threads=threads, seed=options.seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=SIZES, help="codes of the lists, with commas (default: %(default)s)")
    parser.add_argument("--middle", type=int, help="of them, the one for the other curves (default: nearest 1,000,000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="begin no case after so many, and say that the run is not whole")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit-bytes", type=int, default=1 << 28, help="of the array that memory is measured with")
    parser.add_argument("--json", type=Path, default=DOCUMENT, help="where the document goes (default: %(default)s)")
    parser.add_argument("--figures", type=Path, help="where the figures go (default: beside the document)")
    parser.add_argument("--draw", action="store_true", help="draw the figures of the document again; measure nothing")
    options = parser.parse_args()
    if not options.draw:
        stamp = machine.machine()
        found, hashers = peers.search_peers(), peers.hash_peers()
        absent = [each for each in (*found, *hashers) if isinstance(each, peers.Absent) and each.name != "perception"]
        peer = next((each for each in found if isinstance(each, peers.FaissFlat)), None)
        if peer is None or kernels.active() == "numpy":
            print("FAISS is not installed, or the native extension is not built: there is nothing to compare")
            return 1
        hasher = next((each for each in hashers if isinstance(each, peers.PdqHash)), None)
        results = []
        start = time.monotonic()
        for case in cases(options, peer, hasher):
            results.append(result.measured(case, options.rounds))
            print(".", end="", file=sys.stderr, flush=True)
            if options.seconds is not None and time.monotonic() - start > options.seconds:
                print("\nout of time: what follows is not the whole run")
                break
        print(file=sys.stderr)
        named = [each._asdict() for each in absent if each.name in ("faiss-flat", "pdqhash")]
        document = result.document(results, named, seed=options.seed, stamp=stamp)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        for line in table.lines(document):
            print(line)
    read = result.read_document(options.json)
    missing = CURVES - {each["case"] for each in read["results"]}
    if missing:
        print(f"no figure is drawn: the document lacks {', '.join(sorted(missing))}")
        return 1
    try:
        from _curves import draw
    except ModuleNotFoundError as error:
        print(f"no figure is drawn: no module {error.name} (pip install 'hashmatch[bench]')")
        return 1 if options.draw else 0
    for path in draw(read, options.figures or options.json.parent):
        print(f"drawn: {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
