"""Range search by squared Euclidean distance, on every implementation, against whole numbers in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import ArrayError, RadiusError
from hashmatch.index import euclidean
from hashmatch.index.euclidean import MAX_EXACT_WIDTH, range_search
from hashmatch.kernels import euclidean as reference
from hashmatch.kernels.comparison import differences

WIDTH = ALGORITHMS["photodna"].width
FURTHEST = WIDTH * 255 * 255
Codes = NDArray[np.uint8]


IMPLEMENTATIONS = [item.name for item in kernels.implementations() if item.available]
NATIVE = [name for name in IMPLEMENTATIONS if name != "numpy"]


@pytest.fixture(autouse=True, scope="module", params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs once for each implementation that this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.ENVIRONMENT_VARIABLE, request.param)
        yield request.param


def brute_force(queries: Codes, codes: Codes, radius: int) -> list[list[tuple[int, int]]]:
    result = []
    vectors = codes.tolist()
    for query in queries.tolist():
        found = (
            (sum((a - b) * (a - b) for a, b in zip(query, vector, strict=True)), position)
            for position, vector in enumerate(vectors)
        )
        result.append(sorted(pair for pair in found if pair[0] <= radius))
    return result


def assert_equals_brute_force(queries: Codes, codes: Codes, radius: int) -> None:
    offsets, positions, distances = range_search(queries, codes, radius)
    assert (offsets.dtype, positions.dtype, distances.dtype) == (np.int64, np.int64, np.uint32)
    assert offsets.shape == (len(queries) + 1,)
    assert offsets[0] == 0
    assert offsets[-1] == len(positions) == len(distances)
    pairs = list(zip(distances.tolist(), positions.tolist(), strict=True))
    found = [pairs[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    assert found == brute_force(queries, codes, radius)


def codes_of(seed: int, count: int, width: int = WIDTH) -> Codes:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


@pytest.mark.parametrize("queries", [0, 1, 2, 9])
@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_sizes(queries: int, count: int) -> None:
    batch, codes = codes_of(1, queries), codes_of(2, count)
    if queries and count:
        batch[0] = codes[-1]
    for radius in (0, 40_000, 1_500_000, FURTHEST):
        assert_equals_brute_force(batch, codes, radius)


def test_extremes() -> None:
    """The largest products and distances there are: a sum that were rounded would show."""
    rows = [[0] * WIDTH, [255] * WIDTH, [254] * WIDTH, [1] * WIDTH, [0, 255] * (WIDTH // 2), [255, 0] * (WIDTH // 2)]
    rows += [[255] * (WIDTH - 1) + [254], [255] * (WIDTH - 1) + [0], [1] + [0] * (WIDTH - 1)]
    codes = np.array(rows, np.uint8)
    for radius in (0, 1, FURTHEST - 1, FURTHEST):
        assert_equals_brute_force(codes, codes, radius)
    offsets, positions, distances = range_search(codes[:1], codes[1:2], FURTHEST)
    assert (offsets.tolist(), positions.tolist(), distances.tolist()) == ([0, 1], [0], [FURTHEST])
    assert range_search(codes[:1], codes[1:2], FURTHEST - 1)[0].tolist() == [0, 0]


@pytest.mark.parametrize("step", [1, 2, 16, 100, 255])
def test_the_radius_is_inclusive(step: int) -> None:
    query = np.zeros((1, WIDTH), np.uint8)
    codes = np.tril(np.full((WIDTH + 1, WIDTH), step, np.uint8), -1)
    for changed in range(WIDTH + 1):
        distance = changed * step * step
        for radius in {max(0, distance - 1), distance, distance + 1}:
            expected = [n for n in range(WIDTH + 1) if n * step * step <= radius]
            assert range_search(query, codes, radius)[1].tolist() == expected


def test_distances_next_to_the_radius_in_both_directions() -> None:
    query = codes_of(4, 1)
    query[:, :2] = 100
    codes = np.repeat(query, 4, axis=0)
    codes[:, 0] = 0, 200, 0, 100
    codes[2, 1] = 101
    assert_equals_brute_force(query, codes, 10_000)
    assert range_search(query, codes, 9_999)[1].tolist() == [3]
    assert range_search(query, codes, 10_000)[1].tolist() == [3, 0, 1]
    assert range_search(query, codes, 10_001)[1].tolist() == [3, 0, 1, 2]


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_drawn_codes(data: st.DataObject) -> None:
    width = data.draw(st.sampled_from([1, 3, WIDTH, MAX_EXACT_WIDTH]))
    byte = st.sampled_from([0, 1, 127, 128, 254, 255])
    code = byte.map(lambda b: bytes([b]) * width) | st.binary(min_size=width, max_size=width)

    def matrix(most: int) -> Codes:
        drawn = data.draw(st.lists(code, max_size=most))
        return np.frombuffer(b"".join(drawn), np.uint8).reshape(-1, width)

    codes, queries = matrix(12), matrix(5)
    radius = data.draw(st.integers(0, width * 255 * 255) | st.sampled_from([0, 1, width * 255 * 255]))
    assert_equals_brute_force(queries, codes, radius)


@pytest.mark.parametrize("queries_per_block", [1, 3, 8, 100])
@pytest.mark.parametrize("codes_per_block", [1, 7, 30, 31, 100])
def test_blocks_do_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch, queries_per_block: int, codes_per_block: int
) -> None:
    """Blocks of the NumPy reference, and batches of the native kernels at a radius that lets all through."""
    monkeypatch.setattr(reference, "_QUERIES", queries_per_block)
    monkeypatch.setattr(reference, "_CODES", codes_per_block)
    monkeypatch.setattr(reference, "_BATCH_PAIRS", 30 * queries_per_block)
    codes = codes_of(5, 30)
    codes[[4, 9, 29]] = codes[17]
    queries = np.concatenate([codes[[17, 3, 29, 0]], codes_of(6, 4)])
    for radius in (0, 1_500_000, FURTHEST):
        assert_equals_brute_force(queries, codes, radius)


def test_across_the_real_blocks() -> None:
    """More codes and queries than a block holds, against int64 in NumPy."""
    codes, queries = codes_of(7, reference._CODES + 3), codes_of(8, reference._QUERIES + 2)
    queries[0], queries[-1] = codes[-1], codes[reference._CODES - 1]
    queries[-1, 0] ^= 0x80
    offsets, positions, distances = range_search(queries, codes, 800_000)
    for query in (0, 1, 500, reference._QUERIES - 1, reference._QUERIES, reference._QUERIES + 1):
        exact = ((codes.astype(np.int64) - queries[query]) ** 2).sum(axis=1)
        expected = sorted((int(d), n) for n, d in enumerate(exact) if d <= 800_000)
        part = slice(offsets[query], offsets[query + 1])
        assert list(zip(distances[part].tolist(), positions[part].tolist(), strict=True)) == expected
    assert distances[0] == 0
    assert (128 * 128, reference._CODES - 1) in zip(distances.tolist(), positions.tolist(), strict=True)


def test_slices() -> None:
    codes = codes_of(9, 20)
    wide = np.zeros((20, WIDTH + 4), np.uint8)
    wide[:, 2:-2] = codes
    assert_equals_brute_force(wide[::2, 2:-2], codes[::-1], 1_500_000)


def test_widths_that_float32_cannot_hold() -> None:
    assert MAX_EXACT_WIDTH * 255 * 255 <= 1 << 24 < (MAX_EXACT_WIDTH + 1) * 255 * 255
    assert WIDTH <= MAX_EXACT_WIDTH
    with pytest.raises(ArrayError):
        range_search(codes_of(1, 2, MAX_EXACT_WIDTH + 1), codes_of(1, 2, MAX_EXACT_WIDTH + 1), 0)
    with pytest.raises(ArrayError):
        range_search(codes_of(1, 2), codes_of(1, 2, WIDTH - 1), 0)


# --- what the native kernels do otherwise than NumPy


def skewed(seed: int, count: int) -> Codes:
    """Many small values, some of 255, in families of near-duplicates: PhotoDNA's shape, as far as it is published."""
    rng = np.random.default_rng(seed)
    families = np.minimum(255, rng.exponential(45, (max(1, count // 4), WIDTH)))
    near = families[rng.integers(0, len(families), count)] + rng.normal(0, 20, (count, WIDTH))
    return np.clip(near, 0, 255).astype(np.uint8)


def pairs_of(queries: Codes, codes: Codes, radius: int) -> list[list[tuple[int, int]]]:
    """As `brute_force`, in int64."""
    wide = codes.astype(np.int64)
    result = []
    for query in queries:
        distances = ((wide - query) ** 2).sum(axis=1)
        near = np.flatnonzero(distances <= radius)
        result.append(sorted(zip(distances[near].tolist(), near.tolist(), strict=True)))
    return result


def found_by(queries: Codes, codes: Codes, radius: int, **options: object) -> list[list[tuple[int, int]]]:
    offsets, positions, distances = range_search(queries, codes, radius, **options)  # type: ignore[arg-type]
    pairs = list(zip(distances.tolist(), positions.tolist(), strict=True))
    return [pairs[a:b] for a, b in pairwise(offsets.tolist())]


@pytest.mark.parametrize("queries", [1, 5, 6, 7, 8, 9, 15, 16, 17, 33])
@pytest.mark.parametrize("count", [1, 7, 8, 15, 16, 17, 31, 32, 33, 255, 256, 257, 520])
def test_lanes_and_tiles(queries: int, count: int) -> None:
    codes, batch = skewed(11, count), skewed(12, queries)
    batch[-1] = codes[-1]
    batch[0] = np.clip(codes[0].astype(int) + 3, 0, 255)
    for radius in (0, 40_000, 400_000):
        assert found_by(batch, codes, radius) == pairs_of(batch, codes, radius)


@pytest.mark.parametrize("kind", ["skewed", "uniform", "few values", "extremes", "all alike"])
def test_enough_pairs_for_a_sample(kind: str) -> None:
    """So many that the number of words is judged by a sample, at radii that let nothing, some and all through."""
    rng = np.random.default_rng(13)
    codes, queries = {
        "skewed": (skewed(14, 4200), skewed(14, 4200)[:40]),
        "uniform": (codes_of(15, 4200), codes_of(16, 40)),
        "few values": (rng.integers(0, 3, (4200, WIDTH), dtype=np.uint8) * 120, codes_of(17, 40) % 3 * 120),
        "extremes": (rng.integers(0, 2, (4200, WIDTH), dtype=np.uint8) * 255, codes_of(18, 40) % 2 * 255),
        "all alike": (np.full((4200, WIDTH), 9, np.uint8), np.full((40, WIDTH), 10, np.uint8)),
    }[kind]
    queries = queries.copy()
    queries[:10] = codes[rng.integers(0, len(codes), 10)]
    queries[5, 40] ^= 255
    exact = pairs_of(queries, codes, FURTHEST)
    distances = np.sort(np.array([distance for of_query in exact for distance, _ in of_query]))
    picked = distances[[39, len(distances) // 2, -1]].tolist()
    for radius in {0, 143, 144, 40_000, *picked, *(max(0, one - 1) for one in picked)}:
        expected = [[pair for pair in of_query if pair[0] <= radius] for of_query in exact]
        assert found_by(queries, codes, radius) == expected


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 31, 32, 33, 47, 48, 49, 89, 143, 145, MAX_EXACT_WIDTH])
def test_other_widths(width: int) -> None:
    codes, queries = codes_of(19, 300, width), codes_of(20, 9, width)
    codes[:4], queries[:2] = 255, 0
    for radius in (0, width * 5000, width * 255 * 255):
        assert found_by(queries, codes, radius) == pairs_of(queries, codes, radius)
        assert found_by(queries[:2], codes, radius) == pairs_of(queries[:2], codes, radius)


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread takes a part of the codes; order and positions are those of one."""
    monkeypatch.setattr(reference, "_WORTH_THREADS", 1)
    codes = np.concatenate([skewed(21, 900)] * 2)
    queries = codes[::60]
    for radius in (0, 60_000, FURTHEST):
        alone = range_search(queries, codes, radius)
        for threads in (2, 3, 7, 5000):
            for a, b in zip(range_search(queries, codes, radius, threads=threads), alone, strict=True):
                assert np.array_equal(a, b)
        assert alone[0][-1] >= 2 * len(queries)


@pytest.mark.parametrize("batch", [1, 2, 7, 20])
def test_batches(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    codes, queries = skewed(22, 300), skewed(22, 300)[:20]
    expected = pairs_of(queries, codes, 100_000)
    monkeypatch.setattr(reference, "_BATCH", batch)
    assert found_by(queries, codes, 100_000) == expected


def test_rows_that_bear_a_code() -> None:
    """Rows of several codes at one distance come in the order of rows; a start that leads nowhere is an error."""
    codes = np.zeros((3, WIDTH), np.uint8)
    codes[0, 5], codes[2, 7] = 10, 10
    starts, rows = np.array([0, 3, 4, 6], np.uint32), np.array([1, 4, 5, 6, 0, 9], np.uint32)
    queries = np.zeros((7, WIDTH), np.uint8)
    for some in (queries, queries[:1]):
        offsets, found, distances = range_search(some, codes, 100, starts=starts, rows=rows)
        assert offsets.tolist() == [6 * n for n in range(len(some) + 1)]
        assert found.tolist() == [6, 0, 1, 4, 5, 9] * len(some)
        assert distances.tolist() == [0, 100, 100, 100, 100, 100] * len(some)
        for lie in ([0, 3, 4, 7], [0, 5, 4, 1 << 31]):
            with pytest.raises((IndexError, ValueError)):
                range_search(some, codes, 100, starts=np.array(lie, np.uint32), rows=rows)


@pytest.mark.parametrize("implementation", NATIVE, indirect=True)
def test_a_file_that_shrinks(tmp_path: Path) -> None:
    """NumPy has no way out there: the process ends."""
    path = tmp_path / "codes"
    path.write_bytes(skewed(23, 4000).tobytes())
    for queries in (1, 20):
        with path.open("r+b") as file:
            mapped = np.memmap(path, np.uint8, "r", shape=(4000, WIDTH))
            some = np.array(mapped[:queries])
            assert range_search(some, mapped, 0)[1].tolist() == list(range(queries))
            file.truncate(4096)
            with pytest.raises(OSError, match="gone"):
                range_search(some, mapped, 0)
        path.write_bytes(skewed(23, 4000).tobytes())


def test_the_kernel_itself() -> None:
    """`kernels.euclidean_range`: one call, its checks, and arrays that are not contiguous."""
    codes, queries = skewed(24, 100), skewed(24, 100)[::9]
    offsets, positions, distances = kernels.euclidean_range(queries, codes[::-1], 90_000)
    assert (offsets.dtype, positions.dtype, distances.dtype) == (np.int64, np.int64, np.uint32)
    found = list(zip(distances.tolist(), positions.tolist(), strict=True))
    assert [found[a:b] for a, b in pairwise(offsets.tolist())] == pairs_of(queries, codes[::-1], 90_000)
    for radius in (-1, FURTHEST + 1, 1.5, True, None):
        with pytest.raises(RadiusError):
            kernels.euclidean_range(queries, codes, radius)  # type: ignore[arg-type]
    for wrong in (codes[:, :-1], codes.astype(np.float32), codes[0], codes_of(1, 2, MAX_EXACT_WIDTH + 1)):
        with pytest.raises(ArrayError):
            kernels.euclidean_range(wrong, wrong if wrong.shape[-1] != WIDTH - 1 else codes, 0)


def test_self_test_notices(implementation: str) -> None:
    """An implementation that loses one pair is told; one that is right is not."""
    right = kernels._loaded(implementation)
    assert not [line for line in differences(implementation, right) if "squared" in line]

    class Wrong:
        def __getattr__(self, name: str) -> object:
            return getattr(right, name)

        def euclidean_range(self, queries: Codes, codes: Codes, radius: int) -> object:
            return right.euclidean_range(queries, codes, max(0, radius - 1))

    lines = differences(implementation, Wrong())  # type: ignore[arg-type]
    assert any("squared distance of 8 queries" in line for line in lines)


def test_detail() -> None:
    rows = np.full((4, WIDTH), 7, np.uint8)
    rows[1, 80:] = 8
    rows[2, ::2] = 255
    rows[3, [0, 143]] = 0
    assert euclidean.detail(rows).tolist() == [0, 1 / 143, 1, 2 / 143]
    assert euclidean.detail(rows[:0]).tolist() == []


def test_detail_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(euclidean, "_CODES", 3)
    codes = codes_of(10, 10) % 2
    expected = [sum(a != b for a, b in pairwise(row)) / 143 for row in codes.tolist()]
    assert euclidean.detail(codes).tolist() == expected
