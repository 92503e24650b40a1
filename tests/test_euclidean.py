"""Range search by squared Euclidean distance against whole numbers in plain Python."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import ArrayError
from hashmatch.index import euclidean
from hashmatch.index.euclidean import MAX_EXACT_WIDTH, range_search

WIDTH = ALGORITHMS["photodna"].width
FURTHEST = WIDTH * 255 * 255
Codes = NDArray[np.uint8]


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
    monkeypatch.setattr(euclidean, "_QUERIES", queries_per_block)
    monkeypatch.setattr(euclidean, "_CODES", codes_per_block)
    codes = codes_of(5, 30)
    codes[[4, 9, 29]] = codes[17]
    queries = np.concatenate([codes[[17, 3, 29, 0]], codes_of(6, 4)])
    for radius in (0, 1_500_000, FURTHEST):
        assert_equals_brute_force(queries, codes, radius)


def test_across_the_real_blocks() -> None:
    """More codes and queries than a block holds, against int64 in NumPy."""
    codes, queries = codes_of(7, euclidean._CODES + 3), codes_of(8, euclidean._QUERIES + 2)
    queries[0], queries[-1] = codes[-1], codes[euclidean._CODES - 1]
    queries[-1, 0] ^= 0x80
    offsets, positions, distances = range_search(queries, codes, 800_000)
    for query in (0, 1, 500, euclidean._QUERIES - 1, euclidean._QUERIES, euclidean._QUERIES + 1):
        exact = ((codes.astype(np.int64) - queries[query]) ** 2).sum(axis=1)
        expected = sorted((int(d), n) for n, d in enumerate(exact) if d <= 800_000)
        part = slice(offsets[query], offsets[query + 1])
        assert list(zip(distances[part].tolist(), positions[part].tolist(), strict=True)) == expected
    assert distances[0] == 0
    assert (128 * 128, euclidean._CODES - 1) in zip(distances.tolist(), positions.tolist(), strict=True)


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
