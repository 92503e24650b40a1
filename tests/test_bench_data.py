"""Codes for benchmarks: the statistics that the module's documentation states, and queries with a known answer."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.bench import data
from hashmatch.errors import UsageError


def bits(codes: np.ndarray) -> np.ndarray:
    return np.unpackbits(codes, axis=1)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.bitwise_count(a ^ b).sum(axis=1, dtype=np.int64)


@pytest.fixture(scope="module")
def skewed() -> np.ndarray:
    return data.codes(20_000, 32, 1, 1.0)


@pytest.fixture(scope="module")
def fair() -> np.ndarray:
    return data.codes(20_000, 32, 1)


def unrelated(codes: np.ndarray) -> np.ndarray:
    """Distances of pairs at random."""
    order = np.random.default_rng(0).permutation(len(codes))
    return distances(codes, codes[order])[order != np.arange(len(codes))]


def nearest(codes: np.ndarray, count: int = 300) -> np.ndarray:
    """Distance of each of the first codes to the nearest other one."""
    far = np.bitwise_count(codes[:count, None] ^ codes[None]).sum(axis=2, dtype=np.int64)
    far[np.arange(count), np.arange(count)] = 999
    return far.min(axis=1)


@pytest.mark.parametrize(
    ("count", "width", "seed", "skew", "expected"),
    [
        (1000, 32, 1, 0.0, "ea313b33db0864c2"),
        (1000, 32, 1, 1.0, "13d89c2e5535d672"),
        (5000, 8, 2, 0.5, "ac7766d97a01c703"),
    ],
)
def test_a_seed_gives_the_same_codes_everywhere(count: int, width: int, seed: int, skew: float, expected: str) -> None:
    assert hashlib.sha256(data.codes(count, width, seed, skew).tobytes()).hexdigest()[:16] == expected


def test_planted_queries_are_the_same_everywhere() -> None:
    planted = data.planted(data.codes(100, 32, 1), range(257), 3)
    assert hashlib.sha256(planted.queries.tobytes()).hexdigest()[:16] == "0d0973e8bfd3bf8e"


@given(st.integers(0, 300), st.integers(1, 40), st.integers(0, 2**40), st.sampled_from([0.0, 0.25, 1.0]))
def test_shape_and_kind(count: int, width: int, seed: int, skew: float) -> None:
    codes = data.codes(count, width, seed, skew)
    assert codes.shape == (count, width)
    assert codes.dtype == np.uint8
    assert codes.flags.c_contiguous
    assert codes.flags.writeable
    if skew:
        assert (bits(codes).sum(axis=1) == width * 4).all()


def test_seeds_and_blocks_differ() -> None:
    codes = data.codes(3 * data._BLOCK, 32, 1)
    assert len(np.unique(codes, axis=0)) == len(codes)
    assert not np.array_equal(codes[:100], data.codes(100, 32, 2))


class TestFair:
    def test_bits_are_fair(self, fair: np.ndarray) -> None:
        assert np.abs(bits(fair).mean(axis=0) - 0.5).max() < 0.02  # five deviations are 0.018

    def test_bits_are_independent(self, fair: np.ndarray) -> None:
        found = unrelated(fair)
        assert abs(found.mean() - 128) < 0.4
        assert abs(found.std() - 8) < 0.3

    def test_there_are_no_clusters(self, fair: np.ndarray) -> None:
        assert nearest(fair).min() > 60


class TestSkewed:
    """What `hashmatch.bench.data` states of skew 1."""

    def test_half_of_the_bits_are_set(self, skewed: np.ndarray) -> None:
        assert (bits(skewed).sum(axis=1) == 128).all()

    def test_distances_are_even(self, skewed: np.ndarray) -> None:
        assert not (unrelated(skewed) % 2).any()

    def test_neighbours_agree_in_about_55_percent(self, skewed: np.ndarray) -> None:
        grid = bits(skewed).reshape(-1, 16, 16)
        across = (grid[:, :, 1:] == grid[:, :, :-1]).mean()
        down = (grid[:, 1:] == grid[:, :-1]).mean()
        far = (grid[:, :8] == grid[:, 8:]).mean()
        assert 0.545 < across < 0.565
        assert 0.545 < down < 0.565
        assert 0.49 < far < 0.505

    def test_bits_of_low_frequency_are_biased(self, skewed: np.ndarray) -> None:
        share = bits(skewed).mean(axis=0).reshape(16, 16)
        row, column = np.indices((16, 16))
        low = share[row + column < 6]
        assert 0.33 < low.min() < 0.38
        assert 0.65 < low.max() < 0.69
        assert np.abs(share[row + column >= 6] - 0.5).max() < 0.06

    def test_unrelated_codes_are_spread_a_little_wider(self, skewed: np.ndarray) -> None:
        found = unrelated(skewed)
        assert 127 < found.mean() < 128.5
        assert 8.05 < found.std() < 8.8

    def test_most_codes_have_a_near_duplicate(self, skewed: np.ndarray) -> None:
        found = nearest(skewed)
        assert 0.6 < (found <= 40).mean() < 0.9
        assert not ((found > 44) & (found < 60)).any()

    def test_clusters_have_a_long_tail(self, skewed: np.ndarray) -> None:
        sizes = np.sort((np.bitwise_count(skewed[:1000, None] ^ skewed[None]).sum(axis=2) <= 40).sum(axis=1))
        assert sizes[500] <= 4
        assert sizes[-1] >= 15

    def test_a_little_skew_is_less(self) -> None:
        half = bits(data.codes(20_000, 32, 1, 0.5)).reshape(-1, 16, 16)
        assert 0.515 < (half[:, :, 1:] == half[:, :, :-1]).mean() < 0.54
        assert 0.4 < half.mean(axis=0).min() < 0.45


@given(
    st.lists(st.integers(0, 64), max_size=50),
    st.integers(0, 2**40),
    st.sampled_from([0.0, 1.0]),
)
def test_planted_at_every_distance(wanted: list[int], seed: int, skew: float) -> None:
    codes = data.codes(50, 8, 5, skew)
    before = codes.copy()
    planted = data.planted(codes, wanted, seed)
    assert planted.queries.shape == (len(wanted), 8)
    assert distances(planted.queries, codes[planted.positions]).tolist() == wanted
    assert planted.distances.tolist() == wanted
    assert np.array_equal(codes, before)


def test_flipped_bits_are_anywhere() -> None:
    codes = np.zeros((1, 32), np.uint8)
    flips = bits(data.planted(codes, [8] * 8000, 1).queries)
    assert np.abs(flips.mean(axis=0) - 8 / 256).max() < 0.012  # six deviations


def test_codes_are_chosen_evenly() -> None:
    chosen = data.planted(data.codes(10, 32, 1), [0] * 10_000, 1).positions
    assert np.bincount(chosen, minlength=10).min() > 800


@pytest.mark.parametrize(
    "arguments",
    [
        (-1, 32, 1, 0.0),
        (1, 0, 1, 0.0),
        (1, data.WIDEST + 1, 1, 0.0),
        (1, 32, -1, 0.0),
        (1, 32, 1, 1.1),
        (1, 32, 1, -0.1),
        (1, 32, 1, float("nan")),
    ],
)
def test_codes_refuse(arguments: tuple[int, int, int, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        data.codes(*arguments)


@pytest.mark.parametrize(
    ("shape", "wanted", "seed"),
    [((0, 32), [1], 1), ((4,), [1], 1), ((2, 32), [257], 1), ((2, 32), [-1], 1), ((2, 32), [1], -1)],
)
def test_planted_refuses(shape: tuple[int, ...], wanted: list[int], seed: int) -> None:
    with pytest.raises(UsageError, match="expected"):
        data.planted(np.zeros(shape, np.uint8), wanted, seed)
