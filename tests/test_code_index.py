"""The ring index and the flat scan on every implementation: the same triples, in the same order, as brute force."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.errors import ArrayError, UsageError
from hashmatch.index.hamming import FaissFlat
from hashmatch.kernels import code_index, reference, ring
from hashmatch.kernels.code_index import METHODS, CodeIndex, Triple

Codes = NDArray[np.uint8]
NATIVE = [item.name for item in kernels.implementations() if item.available and item.name != "numpy"]
WAYS = ("auto", *METHODS)


@pytest.fixture(autouse=True, scope="module")
def threads_for_little_work() -> Iterator[None]:
    """Small lists would be searched by one thread, whatever is asked for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(code_index, "_WORTH_THREADS", 0)
        yield


def test_little_work_is_one_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = random(1000, 32, 1)
    index = CodeIndex(codes, tables(codes))
    started = []
    original = code_index._on_threads
    monkeypatch.setattr(code_index, "_on_threads", lambda *a: started.append(a[2]) or original(*a))
    for worth, expected in ((1e12, set()), (0, {2})):
        monkeypatch.setattr(code_index, "_WORTH_THREADS", worth)
        for way in ("flat", "ring by query"):
            index.range_search(codes[:100], 31, threads=2, method=way, implementation=NATIVE[0])
        assert set(started) == expected


def tables(codes: Codes) -> list[Codes]:
    return [kernels.ring_table(codes, chunk) for chunk in range(codes.shape[1] // 2)]


def distinct(codes: Codes) -> Codes:
    return np.ascontiguousarray(np.unique(codes, axis=0))


def random(count: int, width: int, seed: int) -> Codes:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


def flipped(codes: Codes, bits: Sequence[int], seed: int) -> Codes:
    """Codes with ``bits[i]`` random bits of code i turned over."""
    rng = np.random.default_rng(seed)
    flips = np.zeros((len(codes), codes.shape[1] * 8), np.uint8)
    for row, count in zip(flips, bits, strict=True):
        row[rng.permutation(len(row))[:count]] = 1
    return codes ^ np.packbits(flips, axis=1)


def assert_same(found: Triple, expected: Triple, what: object = "") -> None:
    for a, b, dtype in zip(found, expected, (np.int64, np.int64, np.uint16), strict=True):
        assert a.dtype == dtype, what
        np.testing.assert_array_equal(a, b, err_msg=str(what))


def assert_complete(
    codes: Codes,
    queries: Codes,
    radius: int,
    *,
    rows: tuple[NDArray[np.uint32], NDArray[np.uint32]] | None = None,
    ways: Sequence[str] = WAYS,
    threads: Sequence[int] = (1, 3),
) -> Triple:
    """Every implementation, method and number of threads against the NumPy reference; returns its result."""
    starts, borne = rows or (None, None)
    index = CodeIndex(codes, tables(codes), starts, borne)
    expected = index.range_search(queries, radius, implementation="numpy")
    for name in NATIVE:
        for way in ways:
            for count in threads:
                found = index.range_search(queries, radius, threads=count, method=way, implementation=name)
                assert_same(found, expected, (name, way, count, radius))
    return expected


@pytest.mark.parametrize("width", [8, 32])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 511, 512, 513, 1024, 1025])
def test_every_length(width: int, count: int) -> None:
    codes = distinct(random(count, width, count)) if count else np.zeros((0, width), np.uint8)
    near = flipped(codes[:16], [i * width // 16 for i in range(len(codes[:16]))], 1)
    queries = np.concatenate([near, random(9, width, 5)])
    for radius in (0, 6 if width == 8 else 31):
        assert_complete(codes, queries, radius)


@pytest.mark.skipif(not NATIVE, reason="needs the native kernels")
@pytest.mark.parametrize("what", ["queries", "starts", "codes"])
def test_memory_that_changes_under_a_kernel_is_never_a_crash(what: str) -> None:
    """What is counted and then placed may be written over in between: a mapped file, or another thread's array."""
    codes = random(20_000, 32, 1)
    queries = codes[:4000].copy()
    starts, rows = np.arange(20_001, dtype=np.uint32), np.arange(20_000, dtype=np.uint32)
    index = CodeIndex(codes, tables(codes), starts, rows)
    changing: NDArray[Any] = {"queries": queries, "starts": starts, "codes": codes}[what]
    one = changing.copy()
    other = np.full_like(one, 255 if what != "starts" else 20_000)
    other[0] = one[0]
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            changing[:] = other
            changing[:] = one

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for round_ in range(60):
            with contextlib.suppress(ValueError):
                if what == "codes":
                    kernels.ring_table(codes, round_ % 16)
                else:
                    asked = queries if what == "queries" else np.repeat(codes[:1], 20, axis=0)
                    way = "ring by bucket" if what == "queries" else "flat"
                    index.range_search(asked, 2, method=way, implementation=NATIVE[round_ % len(NATIVE)])
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("name", NATIVE)
def test_structure_that_only_whole_codes_tell_apart(name: str) -> None:
    """Buckets and fragments let every code through. `benchmarks/hamming_radius.py` shows what that costs."""
    codes = np.zeros((100_000, 32), np.uint8)
    codes[:, -6:] = random(100_000, 6, 1)
    codes = distinct(codes)
    index = CodeIndex(codes, tables(codes))
    queries = np.ascontiguousarray(codes[::5000])
    assert index.plan(len(queries), 4, name) == "ring by query"
    expected = index.range_search(queries, 4, method="flat", implementation=name)
    for way in ("auto", "ring by query", "ring by bucket"):
        assert_same(index.range_search(queries, 4, method=way, implementation=name), expected, way)


@pytest.mark.parametrize("name", NATIVE)
def test_any_number_of_threads(name: str) -> None:
    codes = random(3000, 32, 1)
    index = CodeIndex(codes, tables(codes))
    expected = index.range_search(codes[:50], 8, implementation="numpy")
    for way in METHODS:
        assert_same(index.range_search(codes[:50], 8, threads=1 << 40, method=way, implementation=name), expected, way)


@pytest.mark.parametrize("width", [8, 32])
def test_no_queries(width: int) -> None:
    codes = random(100, width, 1)
    found = assert_complete(codes, np.zeros((0, width), np.uint8), 5)
    assert found[0].tolist() == [0]


@pytest.mark.parametrize("width", [8, 32])
def test_pairs_at_every_distance_from_0_to_64(width: int) -> None:
    """100 pairs at each distance, in one list: for every radius, exactly those up to it are found."""
    codes = distinct(random(65 * 100, width, 2))
    codes = codes[np.random.default_rng(3).permutation(len(codes))]
    planted = flipped(codes, [i % 65 for i in range(len(codes))], 4)
    queries = planted[:: 13 if width == 32 else 39]
    assert {int(d) for d in np.bitwise_count(planted ^ codes).sum(axis=1)} == set(range(65))
    for radius in (0, 1, 2, 6, 7, 14, 15, 16, 20, 30, 31, 32) + ((40, 47, 48, 63, 64) if width == 32 else (12,)):
        # A batch bucket by bucket visits all values within the threshold: beyond radius 32 that takes minutes.
        ways = WAYS if radius <= width else ("auto", "flat", "ring by query")
        found = assert_complete(codes, queries, radius, ways=ways, threads=(1,))
        counts = np.diff(found[0])
        at = np.arange(len(planted))[:: 13 if width == 32 else 39] % 65
        assert (counts[at <= radius] > 0).all()


@pytest.mark.parametrize("width", [8, 32])
def test_all_radii(width: int) -> None:
    codes = distinct(random(300, width, 6))
    queries = flipped(codes[:12], [0, 1, 2, 3, 5, 8, 13, 21, 34, 40, 50, 60], 7)
    bits = 8 * width
    for radius in sorted({*range(70), 96, 127, 128, 129, 192, bits - 1, bits} & set(range(bits + 1))):
        ways = WAYS if radius < 3 * width // 2 else ("auto", "flat", "ring by query")
        assert_complete(codes, queries, radius, ways=ways, threads=(1,))


@given(
    width=st.sampled_from([8, 32]),
    seed=st.integers(0, 2**32 - 1),
    values=st.integers(1, 5),
    count=st.integers(1, 300),
    radius=st.integers(0, 40),
    copies=st.integers(1, 4),
)
@settings(max_examples=40)
def test_skewed_codes(width: int, seed: int, values: int, count: int, radius: int, copies: int) -> None:
    """Codes made of few values of chunks: many equal chunks, some buckets that hold everything, duplicates in rows."""
    rng = np.random.default_rng(seed)
    alphabet = rng.integers(0, 1 << 16, values, dtype=np.uint16)
    codes = distinct(alphabet[rng.integers(0, values, (count, width // 2))].view(np.uint8).reshape(count, width))
    queries = flipped(codes[rng.integers(0, len(codes), 8)], rng.integers(0, 10, 8).tolist(), seed % 1000)
    lengths = rng.integers(1, copies + 1, len(codes))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint32)
    rows = rng.permutation(int(starts[-1])).astype(np.uint32)
    ways = WAYS if radius < width else ("auto", "flat", "ring by query")
    assert_complete(codes, queries, radius, rows=(starts, rows), ways=ways)


@pytest.mark.parametrize("width", [8, 32])
def test_one_bucket_that_holds_everything(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All codes agree in all chunks but the last two: the ring is no help, and says so by giving up."""
    monkeypatch.setattr(CodeIndex, "plan", lambda self, *_: "ring by query")
    codes = np.zeros((20_000, width), np.uint8)
    codes[:, -4:] = np.arange(20_000, dtype=">u4").view(np.uint8).reshape(-1, 4)
    queries = np.concatenate([codes[::2000], random(5, width, 3)])
    for radius in (0, 6):
        found = assert_complete(codes, queries, radius, ways=("auto", "flat", "ring by query"))
        assert found[0][-1] >= 10
    monkeypatch.setattr(CodeIndex, "_budget", lambda *_: 1)
    assert_complete(codes, queries, 6, ways=("auto",))


def test_a_batch_that_is_abandoned_goes_query_by_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far more survivors than codes without structure give: the budget ends the batch, and the result is the same."""
    codes = np.zeros((40_000, 32), np.uint8)
    codes[:, -4:] = np.arange(40_000, dtype=">u4").view(np.uint8).reshape(-1, 4)
    queries = np.repeat(codes[:200], 8, axis=0)
    monkeypatch.setattr(CodeIndex, "plan", lambda self, *_: "ring by bucket")
    seen = []
    original = code_index._cut
    monkeypatch.setattr(code_index, "_cut", lambda *a: seen.append(a) or original(*a))  # type: ignore[func-returns-value]
    index = CodeIndex(codes, tables(codes))
    found = index.range_search(queries, 2, implementation=NATIVE[0])
    assert seen, "the budget was never spent"
    assert_same(found, index.range_search(queries, 2, method="flat", implementation=NATIVE[0]))


def test_a_skewed_list_is_not_searched_bucket_by_bucket() -> None:
    codes = np.zeros((70_000, 32), np.uint8)
    codes[:, -4:] = np.arange(70_000, dtype=">u4").view(np.uint8).reshape(-1, 4)
    skewed = CodeIndex(codes, tables(codes))
    even = CodeIndex(random(70_000, 32, 1), tables(random(70_000, 32, 1)))
    for queries in (1, 1000, 1_000_000):
        assert skewed.plan(queries, 31, NATIVE[0]) != "ring by bucket"
    assert even.plan(1_000_000, 31, NATIVE[0]) == "ring by bucket"
    assert even.plan(4, 200, NATIVE[0]) == "flat"


def test_probes_of_tables_in_a_cache_are_expected_to_cost_a_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    index = CodeIndex(np.zeros((100, 32), np.uint8))
    costs = []
    for size in (1, 1 << 40):
        monkeypatch.setattr(code_index, "_CACHE", size)
        costs.append((index.cost("ring by query", 10, 31, "avx512") - 1500, index.cost("flat", 10, 31, "avx512")))
    (waiting, flat), (cached, same) = costs
    assert flat == same
    assert cached / waiting == pytest.approx(0.2, rel=0.05)


@given(st.sampled_from([8, 32]), st.integers(0, 2**32 - 1), st.integers(0, 200))
@settings(max_examples=30)
def test_tables_are_the_same_bytes_everywhere(width: int, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (count, width), dtype=np.uint8) & rng.integers(0, 256, width, dtype=np.uint8)
    for chunk in range(width // 2):
        expected = ring.build_table(np.ascontiguousarray(codes), chunk)
        assert len(expected) == ring.table_size(count)
        for name in NATIVE:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
                np.testing.assert_array_equal(kernels.ring_table(codes, chunk), expected)
        for name in ["numpy", *NATIVE]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
                # In the place of another table.
                place = rng.integers(0, 256, len(expected), dtype=np.uint8)
                assert kernels.ring_table(codes, chunk, place) is place
                np.testing.assert_array_equal(place, expected)


@pytest.mark.parametrize("name", NATIVE)
def test_tables_of_codes_that_share_a_byte(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The native tables are made in two steps, by the high byte and by the low one."""
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
    for byte in (0, 1):
        codes = random(3000, 8, 3)
        codes[:, byte] = 0xFF
        np.testing.assert_array_equal(kernels.ring_table(codes, 0), ring.build_table(codes, 0))


def test_a_table_says_what_the_codes_say() -> None:
    """Read as FORMATS.md describes it, without the code under test."""
    codes = random(500, 32, 8)
    codes[:, 0:2] = codes[:, 0:2] % 3
    table = kernels.ring_table(codes, 0).tobytes()
    offsets = np.frombuffer(table, "<u4", 65537)
    chunks = codes.view("<u2")
    assert table[4 * 65537 : 262_208].strip(b"\0") == b""
    assert table[262_208 + 8 * 500 :] == bytes(64)
    seen = []
    for value in np.flatnonzero(np.diff(offsets.astype(np.int64))).tolist():
        start, length = int(offsets[value]), int(offsets[value + 1] - offsets[value])
        at = 262_208 + 8 * start
        first = np.frombuffer(table, "<u2", length, at)
        second = np.frombuffer(table, "<u2", length, at + 2 * length)
        positions = np.frombuffer(table, "<u4", length, at + 4 * length)
        assert (chunks[positions, 0] == value).all()
        assert (chunks[positions, 1] == first).all()
        assert (chunks[positions, 2] == second).all()
        assert (np.diff(positions.astype(np.int64)) > 0).all()
        seen += positions.tolist()
    assert sorted(seen) == list(range(500))


@pytest.mark.parametrize(("chunks", "bits"), [(4, 64), (16, 256)])
def test_thresholds_add_up(chunks: int, bits: int) -> None:
    for radius in range(bits + 1):
        t = ring.thresholds(chunks, radius)
        assert sum(value + 1 for value in t) == radius + 1
        assert max(t) - min(t) <= 1
        assert min(t) >= -1


@given(st.sampled_from([4, 16]), st.data())
@settings(max_examples=300)
def test_the_ring_principle(chunks: int, data: st.DataObject) -> None:
    """Whatever the distances in the chunks: within the radius, some start satisfies the three conditions."""
    radius = data.draw(st.integers(0, 16 * chunks))
    x = data.draw(st.lists(st.integers(0, 16), min_size=chunks, max_size=chunks).filter(lambda v: sum(v) <= radius))
    t = ring.thresholds(chunks, radius)
    assert any(
        all(
            sum(x[(c + i) % chunks] for i in range(length)) <= sum(t[(c + i) % chunks] + 1 for i in range(length)) - 1
            for length in (1, 2, 3)
        )
        for c in range(chunks)
    )


# --- the nearest rows


@pytest.mark.parametrize("name", [*NATIVE, "numpy"])
@pytest.mark.parametrize("width", [8, 32])
@pytest.mark.parametrize("k", [1, 2, 10, 5000])
def test_nearest_is_the_head_of_the_full_order(name: str, width: int, k: int) -> None:
    codes = distinct(random(3000, width, 9))
    lengths = np.random.default_rng(1).integers(1, 4, len(codes))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint32)
    rows = np.random.default_rng(2).permutation(int(starts[-1])).astype(np.uint32)
    queries = np.concatenate([flipped(codes[:10], [0, 1, 2, 3, 5, 9, 14, 20, 30, 40], 3), random(5, width, 4)])
    index = CodeIndex(codes, tables(codes), starts, rows)
    every = index.range_search(queries, 8 * width, implementation="numpy")
    found = index.nearest(queries, k, near=width, implementation=name)
    for query, (a, b) in enumerate(pairwise(found[0].tolist())):
        first = int(every[0][query])
        end = min(first + k, int(every[0][query + 1]))
        assert found[1][a:b].tolist() == every[1][first:end].tolist()
        assert found[2][a:b].tolist() == every[2][first:end].tolist()


@pytest.mark.parametrize("name", [*NATIVE, "numpy"])
@pytest.mark.parametrize("last", [0, (1 << 32) - 1], ids=["backwards", "far"])
def test_nearest_with_starts_that_lead_nowhere(name: str, last: int) -> None:
    """Found by fuzzing lists that are not verified: memory for four thousand million rows was asked for."""
    index = CodeIndex(random(2, 32, 1), starts=np.array([0, 1, last], np.uint32), rows=np.arange(2, dtype=np.uint32))
    with pytest.raises((IndexError, ValueError)):
        index.nearest(random(2, 32, 2), 3, near=31, implementation=name)


def test_nearest_of_nothing() -> None:
    empty = CodeIndex(np.zeros((0, 32), np.uint8))
    for name in (*NATIVE, "numpy"):
        assert empty.nearest(random(3, 32, 1), 2, near=31, implementation=name)[0].tolist() == [0, 0, 0, 0]
        some = CodeIndex(random(5, 32, 1)).nearest(np.zeros((0, 32), np.uint8), 2, near=31, implementation=name)
        assert some[0].tolist() == [0]


# --- bad input and damage


def test_wrong_arguments() -> None:
    codes = random(10, 32, 1)
    with pytest.raises(UsageError, match="ring tables for 8 or 32"):
        CodeIndex(random(10, 16, 1), [])
    with pytest.raises(UsageError, match="starts and rows together"):
        CodeIndex(codes, None, np.zeros(11, np.uint32))
    for way in ("ring by query", "no such way"):
        with pytest.raises(UsageError, match="cannot search by"):
            CodeIndex(codes).range_search(codes, 3, method=way, implementation=NATIVE[0])
    with pytest.raises(ArrayError, match="chunk of 0 to 15"):
        kernels.ring_table(codes, 16)
    with pytest.raises(ArrayError, match="chunk"):
        kernels.ring_table(random(10, 16, 1), 0)
    with pytest.raises(ArrayError):
        kernels.ring_table(codes.astype(np.int8), 0)
    size = ring.table_size(10)
    closed = np.zeros(size, np.uint8)
    closed.flags.writeable = False
    for place in (
        np.zeros(size + 8, np.uint8),
        np.zeros(size, np.int8),
        np.zeros(2 * size, np.uint8)[::2],
        np.zeros(size + 1, np.uint8)[1:],
        closed,
    ):
        with pytest.raises(ArrayError, match=f"expected uint8\\[{size}\\]"):
            kernels.ring_table(codes, 0, place)


def _offset(table: Codes, value: int, to: int) -> None:
    table[: 4 * 65537].view("<u4")[value] = to


DAMAGE: dict[str, Callable[[list[Codes]], None]] = {
    "does not start at 0": lambda t: _offset(t[3], 0, 1),
    "does not end at n": lambda t: _offset(t[15], 65536, 4999),
    "descends": lambda t: _offset(t[7], 30_000, 5000),
    "leads far away": lambda t: _offset(t[0], 40_000, 0xFFFFFFFF),
    "has another size": lambda t: t.__setitem__(2, t[2][:-8].copy()),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_tables_that_lie_are_refused(what: str) -> None:
    codes = random(5000, 32, 1)
    made = tables(codes)
    DAMAGE[what](made)
    with pytest.raises(ValueError, match=r"outside its section|the size"):
        CodeIndex(codes, made).range_search(codes[:5], 31, implementation=NATIVE[0])


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("way", METHODS[1:])
def test_positions_that_lead_nowhere(name: str, way: str) -> None:
    """What the offsets cannot show: a bucket that names a code which does not exist."""
    codes = random(5000, 32, 1)
    made = tables(codes)
    for table in made:
        offsets = table[: 4 * 65537].view("<u4")
        for value in np.flatnonzero(np.diff(offsets)):
            start, end = offsets[value : value + 2].tolist()
            at = ring.BUCKETS + 8 * start + 4 * (end - start)
            table[at : at + 4 * (end - start)] = 0xFF
    index = CodeIndex(codes, made)
    with pytest.raises(ValueError, match="outside its section"):
        index.range_search(codes[:5], 31, method=way, implementation=name)


@pytest.mark.parametrize("name", NATIVE)
def test_starts_that_lead_nowhere(name: str) -> None:
    codes = random(100, 32, 1)
    starts = np.arange(101, dtype=np.uint32)
    starts[50] = 4_000_000_000
    index = CodeIndex(codes, None, starts, np.arange(100, dtype=np.uint32))
    with pytest.raises(ValueError, match="outside its section"):
        index.range_search(codes, 0, implementation=name)


SHRINK = """
import mmap, os, sys
import numpy as np
from hashmatch import kernels
from hashmatch.kernels.code_index import CodeIndex
path, name, method = sys.argv[1:]
with open(path, "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    everything = np.frombuffer(memory, np.uint8)
    n = 70_000
    codes = everything[: n * 32].reshape(n, 32)
    size = kernels.ring.table_size(n)
    first = -(-n * 32 // 4096) * 4096
    tables = [everything[first + c * size : first + (c + 1) * size] for c in range(16)]
    index = CodeIndex(codes, tables)
    queries = codes[::1000].copy()
    before = index.range_search(queries, 31, method=method, implementation=name)
    assert len(before[1]) >= 70
    os.truncate(path, 4096)
    for _ in range(2):
        try:
            index.range_search(queries, 31, method=method, implementation=name)
        except OSError as error:
            print("typed:", error)
        else:
            print("nothing happened")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses to shorten a file that is mapped")
@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("method", METHODS)
def test_a_mapped_file_that_shrinks_is_an_exception(tmp_path: Path, name: str, method: str) -> None:
    codes = random(70_000, 32, 1)
    path = tmp_path / "codes"
    with path.open("wb") as file:
        file.write(codes.tobytes())
        file.write(bytes(-file.tell() % 4096))
        for table in tables(codes):
            file.write(table.tobytes())
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SHRINK, path, name, method],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["typed: a page of the mapped file is gone"] * 2


# --- the slow tier


@pytest.mark.slow
@pytest.mark.parametrize("width", [8, 32])
def test_millions_of_planted_pairs(width: int) -> None:
    """1.3 million pairs at distances 0 to 64 in a list of 200,000: every way finds what the flat scan finds."""
    codes = distinct(random(200_000, width, 21))
    rng = np.random.default_rng(22)
    index = CodeIndex(codes, tables(codes))
    total = 0
    for round_ in range(10):
        chosen = codes[rng.integers(0, len(codes), 130_000)]
        flips = np.argsort(rng.random((len(chosen), width * 8), dtype=np.float32), axis=1)
        flips = (flips < (np.arange(len(chosen)) % 65)[:, None]).astype(np.uint8)
        queries = chosen ^ np.packbits(flips, axis=1)
        for radius in ((31,) if round_ else (0, 15, 24, 31, 32, 40)) if width == 32 else (6,):
            expected = index.range_search(queries, radius, method="flat", threads=2, implementation=NATIVE[0])
            assert len(expected[1]) >= len(queries) // 65 * min(radius + 1, 65)
            if not round_ and radius in (6, 31):
                assert_same(FaissFlat().range_search(queries, codes, radius), expected, "FAISS")
            total += len(queries)
            for name in NATIVE:
                if name == "portable" and round_:
                    continue
                for way in ("ring by query", "ring by bucket"):
                    found = index.range_search(queries, radius, method=way, threads=2, implementation=name)
                    assert_same(found, expected, (name, way, radius))
    assert total >= 1_300_000


@pytest.mark.slow
def test_the_reference_agrees_with_faiss_on_a_large_list() -> None:
    codes = distinct(random(300_000, 32, 31))
    queries = flipped(codes[:65], range(65), 32)
    expected = FaissFlat().range_search(queries, codes, 64)
    assert_same(reference.hamming_range(queries, codes, 64), expected)
    index = CodeIndex(codes, tables(codes))
    for name in NATIVE:
        assert_same(index.range_search(queries, 64, method="ring by query", implementation=name), expected, name)
