from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hashmatch.algorithms import ALGORITHMS, Kind, names
from hashmatch.chance import WARN_PAIRS, expected_pairs, pair_probability
from hashmatch.errors import UnknownAlgorithmError


def tail(bits: int) -> list[Fraction]:
    """P(distance <= r) for r = 0..bits, by convolving one fair bit after the other: no binomial coefficients."""
    row = [Fraction(1)]
    for _ in range(bits):
        row = [(a + b) / 2 for a, b in zip([*row, Fraction(0)], [Fraction(0), *row], strict=True)]
    total, result = Fraction(0), []
    for share in row:
        total += share
        result.append(total)
    return result


@pytest.mark.parametrize("bits", [1, 8, 64, 256])
def test_equals_an_independent_computation(bits: int) -> None:
    expected = tail(bits)
    for radius in range(bits + 1):
        assert pair_probability(bits, radius) == pytest.approx(float(expected[radius]), rel=1e-14)
    assert pair_probability(bits, bits) == pair_probability(bits, bits + 5) == 1.0


def test_published_figures() -> None:
    assert f"{pair_probability(64, 6):.1e}" == "4.5e-12"
    assert f"{pair_probability(64, 8):.1e}" == "2.8e-10"
    assert f"{pair_probability(64, 10):.1e}" == "1.0e-08"
    assert f"{pair_probability(256, 31):.0e}" == "8e-38"
    # A million queries against three million entries.
    found = [expected_pairs("phash", radius, 1_000_000, 3_000_000) for radius in (6, 8, 10)]
    assert found == pytest.approx([13, 830, 30_000], rel=0.05)


def test_against_random_codes() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(0, 256, (2000, 1, 8), np.uint8), rng.integers(0, 256, (1, 1000, 8), np.uint8))
    near = np.bitwise_count(a ^ b).sum(axis=2) <= 18
    expected = expected_pairs("dhash", 18, 2000, 1000)
    assert expected is not None
    assert near.sum() == pytest.approx(expected, abs=6 * expected**0.5)


@pytest.mark.parametrize("name", names())
def test_which_algorithms_have_a_model(name: str) -> None:
    found = expected_pairs(name, 0, 10, 20)
    if ALGORITHMS[name].kind is Kind.HAMMING:
        assert found == pytest.approx(200 / 2 ** ALGORITHMS[name].bits)
    else:
        assert found is None


def test_edges() -> None:
    assert expected_pairs("pdq", 31, 0, 10**9) == expected_pairs("pdq", 31, 10**9, 0) == 0
    assert expected_pairs("pdq", 256, 3, 5) == 15
    assert WARN_PAIRS == 0.01
    with pytest.raises(UnknownAlgorithmError):
        expected_pairs("sha3", 1, 1, 1)
