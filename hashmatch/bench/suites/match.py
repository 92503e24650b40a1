"""Suite ``match``: looking hashes up in a compiled list, near and equal."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch._version import __version__
from hashmatch.algorithms import ALGORITHMS
from hashmatch.bench import data, peers
from hashmatch.bench.lists import write_list
from hashmatch.bench.measure import Contestant
from hashmatch.bench.result import OURS, Case
from hashmatch.bench.suites import Plan, expect
from hashmatch.index.compiled import CompiledList
from hashmatch.index.search import Searcher

__all__ = ["brute_force", "run"]

Codes = NDArray[np.uint8]

#: Comparisons of codes that the brute force may make: some seconds.
_CHECKED = 200_000_000
#: Comparisons of codes that a peer may make in one round, by its queries times the list.
_TIMED = 2_000_000_000
_FEWEST = 16
#: Codes that a query of the brute force is compared with at a time.
_PART = 1 << 20
#: Entries up to which a peer is run, and what stands in the way of more.
_MOST_ENTRIES = {
    "usearch": (100_000, "building its graph takes minutes"),
    "faiss-multi-hash": (3_000_000, "its tables take gigabytes"),
    "hfind": (3_000_000, "its index takes minutes to sort"),
    "python-set": (10_000_000, "it takes gigabytes"),
}


def run(plan: Plan) -> Iterator[Case]:
    """Near search of pdq and phash, and MD5 digests, for every size."""
    for size in plan.sizes:
        for algorithm in ("pdq", "phash"):
            yield from _near(plan, algorithm, size)
        yield from _equal(plan, size)


def brute_force(codes: Codes, queries: Codes, radius: int) -> peers.Found:
    """All pairs within ``radius`` bits, inclusive, by comparing all with all, ordered by query and position."""
    whole = codes.shape[1] % 8 == 0
    words, wanted = (codes.view(np.uint64), queries.view(np.uint64)) if whole else (codes, queries)
    offsets, positions, distances = [0], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for query in wanted:
        count = 0
        # In parts, so that what is made of a hundred million codes on the way stays small.
        for start in range(0, len(words), _PART):
            far = np.bitwise_count(words[start : start + _PART] ^ query).sum(axis=1, dtype=np.int64)
            near = np.flatnonzero(far <= radius)
            positions.append(near + start)
            distances.append(far[near])
            count += len(near)
        offsets.append(offsets[-1] + count)
    return peers.Found(np.array(offsets, np.int64), np.concatenate(positions), np.concatenate(distances))


def _near(plan: Plan, algorithm: str, size: int) -> Iterator[Case]:
    item = ALGORITHMS[algorithm]
    codes = data.codes(size, item.width, plan.seed, plan.skew)
    queries = _queries(plan, codes, item.radius)
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "list.hmx"
        write_list(path, algorithm, codes)
        with CompiledList.open(path) as compiled:
            searcher = Searcher(compiled, threads=plan.threads)
            searcher.prepare()
            yield _near_case(plan, algorithm, codes, queries, searcher, path)


def _near_case(plan: Plan, algorithm: str, codes: Codes, queries: Codes, searcher: Searcher, path: Path) -> Case:
    radius, size = ALGORITHMS[algorithm].radius, len(codes)
    compared = min(len(queries), max(_FEWEST, _CHECKED // size))
    truth = brute_force(codes, queries[:compared], radius)
    found = _in_order(peers.Found(*searcher.search_codes(algorithm, queries, radius)))
    expect(_same(_first(found, compared), truth), f"match {algorithm}, {size:,} entries, beside the brute force")
    sides = [
        Contestant(
            OURS,
            __version__,
            lambda: searcher.search_codes(algorithm, queries, radius),
            f"Searcher.search_codes: {searcher.engines_used[algorithm]}",
            ours=True,
            memory_bytes=path.stat().st_size,
        )
    ]
    few = min(len(queries), max(_FEWEST, _TIMED // size))
    for peer in plan.present(peers.search_peers()):
        if _too_large(plan, peer.name, size):
            continue
        try:
            peer.prepare(codes, radius, plan.threads)
            theirs = _in_order(peer.run(queries[:few]))
        except Exception as error:  # noqa: BLE001 - a peer may raise anything; it is reported
            plan.failed(peer.name, f"{algorithm} of {size:,} entries", error)
            continue
        part = _first(found, few)
        detail = f"{peer.detail}; {few:,} of {len(queries):,} queries" if few < len(queries) else peer.detail
        recall = None if peer.exact else peers.recall(theirs, part)
        if recall is None and not _same(theirs, part):
            plan.leave_out(peers.Absent(peer.name, f"gave wrong answers for {algorithm} of {size:,} entries"))
            continue
        sides.append(
            Contestant(
                peer.name,
                peer.version,
                lambda peer=peer: peer.run(queries[:few]),  # type: ignore[misc]
                detail,
                share=few / len(queries),
                recall=recall,
            )
        )
    return Case(
        "match",
        f"{algorithm}-range",
        {
            "entries": size,
            "queries": len(queries),
            "radius": radius,
            "threads": plan.threads,
            "skew": plan.skew,
        },
        "queries",
        len(queries),
        f"{compared:,} of {len(queries):,} queries with a brute force, pair by pair ({len(truth.positions):,} pairs); "
        "exact peers' answers with ours",
        sides,
    )


def _too_large(plan: Plan, name: str, size: int) -> bool:
    """Whether a peer is left out of a case, as ``size`` is more than it can be asked; it is then listed as absent."""
    most, why = _MOST_ENTRIES.get(name, (size, ""))
    if size > most:
        plan.leave_out(peers.Absent(name, f"is not run on more than {most:,} entries: {why}"))
    return size > most


def _queries(plan: Plan, codes: Codes, radius: int) -> Codes:
    """Planted at every distance from 0 to a little beyond the radius, as many of each, in mixed order."""
    distances = np.arange(plan.queries) % (radius + 3)
    order = np.random.default_rng(plan.seed).permutation(plan.queries)
    return data.planted(codes, distances[order], plan.seed + 1).queries


def _in_order(found: peers.Found) -> peers.Found:
    """The results of each query by position."""
    query = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
    order = np.lexsort((found.positions, query))
    return peers.Found(found.offsets, found.positions[order], found.distances[order])


def _first(found: peers.Found, count: int) -> peers.Found:
    end = int(found.offsets[count])
    return peers.Found(found.offsets[: count + 1], found.positions[:end], found.distances[:end])


def _same(a: peers.Found, b: peers.Found) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# ---------------------------------------------------------------------- digests


def _equal(plan: Plan, size: int) -> Iterator[Case]:
    digests = data.codes(size, ALGORITHMS["md5"].width, plan.seed)
    missing = data.codes(plan.queries - plan.queries // 2, 16, plan.seed + 2)
    held = digests[np.random.default_rng(plan.seed).integers(0, size, plan.queries // 2)]
    queries = np.concatenate([held, missing])[np.random.default_rng(plan.seed + 3).permutation(plan.queries)]
    raw = [query.tobytes() for query in queries]
    truth = _held(digests, queries)
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "list.hmx"
        write_list(path, "md5", digests)
        with CompiledList.open(path) as compiled:
            searcher = Searcher(compiled, threads=plan.threads)

            def ours() -> Any:
                return searcher.search_digests("md5", queries)

            expect(np.diff(ours()[0]).astype(bool).tolist() == truth, f"match md5, {size:,} entries")
            sides = [
                Contestant(OURS, __version__, ours, "Searcher.search_digests", ours=True),
                *_python_set(plan, digests, raw, truth),
                *_lookups(plan, digests, queries, truth, Path(folder)),
            ]
            yield Case(
                "match",
                "md5",
                {"entries": size, "queries": plan.queries},
                "queries",
                plan.queries,
                f"all {plan.queries:,} answers with a comparison of all with all, {sum(truth):,} of them hits",
                sides,
            )


def _held(digests: Codes, queries: Codes) -> list[bool]:
    """Whether each query is one of ``digests``, without an index: by the first 8 bytes of all, then by all bytes."""
    alike = np.isin(digests.view(np.uint64)[:, 0], queries.view(np.uint64)[:, 0])
    held = {digest.tobytes() for digest in digests[alike]}
    return [query.tobytes() in held for query in queries]


def _python_set(plan: Plan, digests: Codes, raw: Sequence[bytes], truth: Sequence[bool]) -> Iterator[Contestant]:
    if _too_large(plan, "python-set", len(digests)):
        return
    known = {digest.tobytes() for digest in digests}
    expect([query in known for query in raw] == list(truth), "match md5: a Python set beside the comparison of all")
    yield Contestant(
        "python-set", platform.python_version(), lambda: [query in known for query in raw], "a set of bytes, in memory"
    )


def _lookups(plan: Plan, digests: Codes, queries: Codes, truth: Sequence[bool], folder: Path) -> Iterator[Contestant]:
    for peer in plan.present(peers.lookup_peers()):
        if _too_large(plan, peer.name, len(digests)):
            continue
        try:
            peer.prepare([d.tobytes().hex() for d in digests], [q.tobytes().hex() for q in queries], folder)
            theirs = list(peer.run())
        except Exception as error:  # noqa: BLE001 - as above
            plan.failed(peer.name, f"md5 of {len(digests):,} entries", error)
            continue
        if theirs != list(truth):
            plan.leave_out(peers.Absent(peer.name, f"gave wrong answers for md5 of {len(digests):,} entries"))
            continue
        yield Contestant(peer.name, peer.version, peer.run, f"{peer.detail}; a process of its own")
