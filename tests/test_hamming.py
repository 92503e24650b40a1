"""All Hamming engines against brute force in plain Python: the same triples in the same order."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.errors import KernelUnavailableError
from hashmatch.index import hamming
from hashmatch.index.hamming import FaissFlat, HammingEngine, KernelFlat, choose_engine

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "hamming_planted.py"
Codes = NDArray[np.uint8]
ENGINES: tuple[HammingEngine, ...] = (FaissFlat(), KernelFlat())
RADII = {32: (0, 1, 30, 31, 32, 63, 64, 128, 255, 256), 8: (0, 1, 6, 7, 15, 16, 32, 63, 64)}

each_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernels.ENVIRONMENT_VARIABLE, raising=False)


def brute_force(queries: Codes, codes: Codes, radius: int) -> list[list[tuple[int, int]]]:
    """Per query the (distance, position) pairs in order, without NumPy's arithmetic."""
    numbers = [int.from_bytes(code.tobytes()) for code in codes]
    result = []
    for query in queries:
        number = int.from_bytes(query.tobytes())
        found = [((number ^ other).bit_count(), position) for position, other in enumerate(numbers)]
        result.append(sorted(pair for pair in found if pair[0] <= radius))
    return result


def assert_equals_brute_force(engine: HammingEngine, queries: Codes, codes: Codes, radius: int) -> None:
    offsets, positions, distances = engine.range_search(queries, codes, radius)
    assert (offsets.dtype, positions.dtype, distances.dtype) == (np.int64, np.int64, np.uint16)
    assert offsets.shape == (len(queries) + 1,)
    assert offsets[0] == 0
    assert offsets[-1] == len(positions) == len(distances)
    pairs = list(zip(distances.tolist(), positions.tolist(), strict=True))
    found = [pairs[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    assert found == brute_force(queries, codes, radius)


def planted(width: int, seed: int) -> tuple[Codes, Codes]:
    """Queries and codes with a pair at every distance from 0 to all bits, in random order, duplicates among them."""
    rng = np.random.default_rng(seed)
    bits = 8 * width
    codes = rng.integers(0, 256, (bits + 1, width), dtype=np.uint8)
    queries = codes.copy()
    for distance in range(bits + 1):
        flip = np.zeros(bits, np.uint8)
        flip[rng.permutation(bits)[:distance]] = 1
        queries[distance] ^= np.packbits(flip)
    codes = np.concatenate([codes, codes[::9], np.zeros((1, width), np.uint8), np.full((1, width), 255, np.uint8)])
    return queries[rng.permutation(len(queries))], codes[rng.permutation(len(codes))]


@each_engine
@pytest.mark.parametrize(("width", "radius"), [(width, radius) for width in RADII for radius in RADII[width]])
def test_pairs_at_every_distance(engine: HammingEngine, width: int, radius: int) -> None:
    queries, codes = planted(width, seed=width)
    assert_equals_brute_force(engine, queries, codes, radius)


@each_engine
@pytest.mark.parametrize("width", [8, 32])
def test_the_radius_is_inclusive(engine: HammingEngine, width: int) -> None:
    """For every radius: the pair at that distance is found, the one a bit further off is not."""
    rng = np.random.default_rng(1)
    bits = 8 * width
    query = rng.integers(0, 256, (1, width), dtype=np.uint8)
    flips = np.tril(np.ones((bits + 1, bits), np.uint8), -1)[:, rng.permutation(bits)]
    codes = query ^ np.packbits(flips, axis=1)
    for radius in range(bits + 1):
        _, positions, distances = engine.range_search(query, codes, radius)
        assert positions.tolist() == distances.tolist() == list(range(radius + 1))


@each_engine
@pytest.mark.parametrize("width", [8, 32])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32, 33, 127, 128, 129, 255, 256, 257])
def test_sizes(engine: HammingEngine, width: int, count: int) -> None:
    rng = np.random.default_rng(count)
    codes = rng.integers(0, 256, (count, width), dtype=np.uint8)
    for queries in (0, 1, 2, 7, 8, 9):
        batch = rng.integers(0, 256, (queries, width), dtype=np.uint8)
        if count and queries:
            batch[-1] = codes[-1]
            batch[0] = codes[0] ^ 1
        for radius in (0, 3 * width, 8 * width):
            assert_equals_brute_force(engine, batch, codes, radius)


@each_engine
@pytest.mark.parametrize("width", [8, 32])
def test_duplicates_only(engine: HammingEngine, width: int) -> None:
    code = np.arange(width, dtype=np.uint8)
    codes = np.repeat(code[None], 70, axis=0)
    for radius in (0, 8 * width):
        assert_equals_brute_force(engine, codes[:5], codes, radius)
        assert_equals_brute_force(engine, ~codes[:5], codes, radius)


@each_engine
@pytest.mark.parametrize("width", [8, 32])
def test_slices_and_read_only_arrays(engine: HammingEngine, width: int) -> None:
    queries, codes = planted(width, seed=2)
    wide = np.random.default_rng(3).integers(0, 256, (2 * len(queries), width + 3), dtype=np.uint8)
    wide[::2, 1:-2] = queries
    sliced = wide[::2, 1:-2]
    assert not sliced.flags.c_contiguous
    codes.setflags(write=False)
    unaligned = np.frombuffer(b"x" + codes.tobytes(), np.uint8, offset=1).reshape(codes.shape)
    for radius in (width, 4 * width):
        assert_equals_brute_force(engine, sliced, codes, radius)
        assert_equals_brute_force(engine, sliced[::-1], unaligned, radius)
        assert_equals_brute_force(engine, np.asfortranarray(queries), codes, radius)
    assert not codes.flags.writeable


@each_engine
@pytest.mark.parametrize("batch", [1, 2, 7, 256, 257, 258])
@pytest.mark.parametrize("results", [1, 300, 1 << 20])
def test_batches_do_not_change_the_result(
    engine: HammingEngine, monkeypatch: pytest.MonkeyPatch, batch: int, results: int
) -> None:
    monkeypatch.setattr(hamming, "_BATCH", batch)
    monkeypatch.setattr(hamming, "_BATCH_RESULTS", results)
    queries, codes = planted(32, seed=4)
    for radius in (0, 31, 63, 64, 110):
        assert_equals_brute_force(engine, queries[:60], codes, radius)


def test_batches_are_small_where_much_may_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "_BATCH_RESULTS", 1000)
    sizes = []
    whole = FaissFlat._batch

    def recorded(queries: Codes, codes: Codes, radius: int) -> hamming.Triple:
        sizes.append(len(queries))
        return whole(queries, codes, radius)

    monkeypatch.setattr(FaissFlat, "_batch", staticmethod(recorded))
    codes = np.zeros((300, 32), np.uint8)
    for radius, expected in ((63, [10]), (64, [3, 3, 3, 1]), (256, [3, 3, 3, 1])):
        sizes.clear()
        FaissFlat().range_search(codes[:10], codes, radius)
        assert sizes == expected
    sizes.clear()
    FaissFlat().range_search(codes[:3], np.zeros((2000, 32), np.uint8), 256)
    assert sizes == [1, 1, 1]


@each_engine
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_drawn_codes(engine: HammingEngine, data: st.DataObject) -> None:
    width = data.draw(st.sampled_from([8, 32]))
    byte = st.sampled_from([0, 1, 0x80, 0xFF, 0x0F])
    code = st.lists(byte, min_size=width, max_size=width) | byte.map(lambda b: [b] * width)
    codes = np.array(data.draw(st.lists(code, max_size=30)), np.uint8).reshape(-1, width)
    queries = np.array(data.draw(st.lists(code, max_size=8)), np.uint8).reshape(-1, width)
    assert_equals_brute_force(engine, queries, codes, data.draw(st.integers(0, 8 * width)))


@each_engine
def test_both_engines_agree_on_many(engine: HammingEngine) -> None:
    rng = np.random.default_rng(5)
    centres = rng.integers(0, 256, (50, 32), dtype=np.uint8)
    noise = np.packbits(rng.random((20_000, 256)) < 0.05, axis=1)
    codes = centres[rng.integers(0, 50, 20_000)] ^ noise
    queries = codes[rng.integers(0, 20_000, 100)] ^ np.packbits(rng.random((100, 256)) < 0.03, axis=1)
    for radius in (20, 31):
        found = engine.range_search(queries, codes, radius)
        assert len(found[1]) > 500
        for ours, theirs in zip(found, ENGINES[0].range_search(queries, codes, radius), strict=True):
            assert np.array_equal(ours, theirs)


class TestChooseEngine:
    def test_by_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernels, "active", lambda: "numpy")
        limit = hamming.SMALL_JOB
        assert isinstance(choose_engine(0, 0), KernelFlat)
        assert isinstance(choose_engine(1, limit), KernelFlat)
        assert isinstance(choose_engine(1, limit + 1), FaissFlat)
        assert isinstance(choose_engine(limit + 1, 1), FaissFlat)

    def test_a_forced_kernel_is_used_for_jobs_of_any_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, "numpy")
        assert isinstance(choose_engine(1_000_000, 1_000_000), KernelFlat)

    def test_a_forced_kernel_that_is_missing_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, "no-such-kernel")
        for codes in (1, 1 << 40):
            with pytest.raises(KernelUnavailableError):
                choose_engine(1, codes)

    def test_a_faster_kernel_is_used_for_jobs_of_any_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernels, "active", lambda: "portable")
        assert isinstance(choose_engine(1_000_000, 1_000_000), KernelFlat)


class TestPlantedBenchmark:
    @pytest.fixture
    def benchmark(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("hamming_planted", BENCHMARK)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_no_differences(self, benchmark: ModuleType) -> None:
        figures, problems = benchmark.run(200, 257, 1)
        assert not problems
        assert {(row["engine"], row["radius"]) for row in figures} == {
            (engine, radius) for engine in ("chosen", "faiss", "kernels") for radius in (0, 1, 30, 31, 32, 128, 256)
        }
        assert all(row["matches"] == row["brute force"] for row in figures)

    @pytest.mark.parametrize("defect", ["radius", "lost", "order", "distance"])
    def test_finds_an_engine_that_is_wrong(
        self, benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, defect: str
    ) -> None:
        class Wrong:
            name = "wrong"

            def range_search(self, queries: Codes, codes: Codes, radius: int) -> hamming.Triple:
                offsets, positions, distances = KernelFlat().range_search(
                    queries, codes, max(0, radius - 1) if defect == "radius" else radius
                )
                if defect == "lost" and len(positions) > 100:
                    offsets[-1] -= 1
                    positions, distances = positions[:-1], distances[:-1]
                elif defect == "order":  # the search restores the order: only another pairing shows
                    positions = positions[::-1].copy()
                elif defect == "distance" and len(distances) > 100:
                    distances[100] ^= 1
                return offsets, positions, distances

        monkeypatch.setattr(benchmark, "ENGINES", {"wrong": Wrong()})
        assert benchmark.run(200, 257, 1)[1]
