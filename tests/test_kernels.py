from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.errors import ArrayError, KernelUnavailableError, RadiusError
from hashmatch.kernels import pdq_banded, pdq_float32, reference

IMPLEMENTATIONS = [item.name for item in kernels.implementations() if item.available]


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test that asks for it runs once per implementation that this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.ENVIRONMENT_VARIABLE, request.param)
        yield request.param


def codes(seed: int, count: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, width), dtype=np.uint8)


def oracle(queries: NDArray[np.uint8], database: NDArray[np.uint8], radius: int) -> list[list[tuple[int, int]]]:
    """Per query the (distance, row) pairs, in plain Python."""
    numbers = [int.from_bytes(row.tobytes()) for row in database]
    result = []
    for query in queries:
        number = int.from_bytes(query.tobytes())
        pairs = sorted(((number ^ other).bit_count(), row) for row, other in enumerate(numbers))
        result.append([pair for pair in pairs if pair[0] <= radius])
    return result


def check(queries: NDArray[np.uint8], database: NDArray[np.uint8], radius: int) -> None:
    offsets, rows, distances = kernels.hamming_range(queries, database, radius)
    assert (offsets.dtype, rows.dtype, distances.dtype) == (np.int64, np.int64, np.uint16)
    assert len(offsets) == len(queries) + 1
    assert offsets[0] == 0
    assert offsets[-1] == len(rows) == len(distances)
    found = [
        list(zip(distances[a:b].tolist(), rows[a:b].tolist(), strict=True)) for a, b in itertools.pairwise(offsets)
    ]
    assert found == oracle(queries, database, radius)


@pytest.mark.usefixtures("implementation")
class TestHammingRange:
    @pytest.mark.parametrize("width", [1, 7, 8, 9, 32])
    @pytest.mark.parametrize("rows", [0, 1, 2, 63, 257])
    @pytest.mark.parametrize("queries", [0, 1, 5])
    def test_equals_oracle_at_edges(self, width: int, rows: int, queries: int) -> None:
        database = codes(1, rows, width)
        batch = codes(2, queries, width)
        if rows and queries:
            batch[0] = database[rows // 2]
        for radius in sorted({0, 1, min(31, 8 * width), min(64, 8 * width), 8 * width}):
            check(batch, database, radius)

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_equals_oracle(self, data: st.DataObject) -> None:
        width = data.draw(st.integers(1, 33))
        row = st.binary(min_size=width, max_size=width)
        # A small alphabet of codes makes duplicates and near ones common.
        pool = data.draw(st.lists(row, min_size=1, max_size=5))
        rows = data.draw(st.lists(st.sampled_from(pool) | row, max_size=20))
        batch = data.draw(st.lists(st.sampled_from(pool) | row, max_size=5))
        as_array = [np.frombuffer(b"".join(part), np.uint8).reshape(-1, width) for part in (batch, rows)]
        check(*as_array, data.draw(st.integers(0, 8 * width)))

    @pytest.mark.parametrize("radius", [0, 1, 31, 64, 256])
    def test_planted_neighbours_in_many_blocks(self, radius: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reference, "_ROWS_PER_BLOCK", 100)
        monkeypatch.setattr(reference, "_PAIRS_PER_BLOCK", 250)
        rng = np.random.default_rng(3)
        database = codes(4, 1001, 32)
        batch = database[rng.integers(0, 1001, 20)].copy()
        for row, query in enumerate(batch):
            flips = rng.permutation(256)[: row * 4]
            np.bitwise_xor.at(query, flips // 8, (1 << (flips % 8)).astype(np.uint8))
        check(batch, database, radius)

    def test_memory_does_not_depend_on_sizes(self) -> None:
        import tracemalloc

        batch, database = codes(5, 400, 32), codes(6, 70_000, 32)
        tracemalloc.start()
        kernels.hamming_range(batch, database, 31)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 << 20

    def test_strided_and_read_only_input(self) -> None:
        wide = codes(7, 60, 64)
        database = wide[::2, ::2]
        database.setflags(write=False)
        check(database[:3], database, 100)
        check(np.asfortranarray(database[:3]), np.asfortranarray(database), 100)

    @pytest.mark.parametrize("radius", [np.int64(3), 3])
    def test_whole_numbers_of_any_type(self, radius: int) -> None:
        check(codes(1, 2, 8), codes(2, 5, 8), radius)

    @pytest.mark.parametrize("radius", [-1, 65, 1.0, "3", None, True])
    def test_wrong_radius(self, radius: object) -> None:
        with pytest.raises(RadiusError, match="from 0 to 64"):
            kernels.hamming_range(codes(1, 2, 8), codes(2, 5, 8), radius)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((2, 8), np.int8),
            np.zeros((2, 8), np.uint64),
            np.zeros(8, np.uint8),
            np.zeros((1, 2, 8), np.uint8),
            np.zeros((2, 0), np.uint8),
            np.zeros((0, 9000), np.uint8),
            [[1, 2]],
            b"12345678",
        ],
    )
    def test_wrong_array(self, wrong: NDArray[np.uint8]) -> None:
        right = np.zeros((3, 8), np.uint8)
        with pytest.raises(ArrayError, match="queries are"):
            kernels.hamming_range(wrong, right, 1)
        with pytest.raises(ArrayError, match="database are"):
            kernels.hamming_range(right, wrong, 1)

    def test_two_widths(self) -> None:
        with pytest.raises(ArrayError, match="8 bytes wide and the database 32"):
            kernels.hamming_range(np.zeros((1, 8), np.uint8), np.zeros((1, 32), np.uint8), 1)


class TestDispatch:
    def test_implementations(self) -> None:
        found = {item.name: item for item in kernels.implementations()}
        assert set(found) == {"numpy", "portable", "avx2", "avx512", "neon"}
        assert found["numpy"].available
        assert found["numpy"].reason == ""
        for item in found.values():
            assert item.available != bool(item.reason)

    def test_active_is_available(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(kernels.ENVIRONMENT_VARIABLE, raising=False)
        assert not kernels.forced()
        assert kernels.active() in [item.name for item in kernels.implementations() if item.available]

    def test_numpy_can_be_forced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, "numpy")
        assert kernels.forced()
        assert kernels.active() == "numpy"
        check(codes(1, 2, 8), codes(2, 5, 8), 30)

    @pytest.mark.parametrize("name", [i.name for i in kernels.implementations() if not i.available] + ["mmx", "NumPy"])
    def test_missing_one_is_an_error_everywhere(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
        luma = np.zeros((5, 5), np.float32)
        for call in (
            kernels.active,
            lambda: kernels.hamming_range(codes(1, 1, 8), codes(1, 1, 8), 1),
            lambda: kernels.pdq_from_luma(luma),
            lambda: kernels.pdq_dihedral_from_luma(luma),
            lambda: kernels.rgb_to_luma(np.zeros((5, 5, 3), np.uint8)),
        ):
            with pytest.raises(KernelUnavailableError, match=rf"{name}.*available here: .*numpy"):
                call()


@pytest.mark.usefixtures("implementation")
class TestLuma:
    def test_every_weight_and_rounding(self) -> None:
        rgb = np.random.default_rng(0).integers(0, 256, (300, 301, 3), dtype=np.uint8)
        expected = (rgb[:, :, 0] * 0.299 + rgb[:, :, 1] * 0.587 + rgb[:, :, 2] * 0.114).astype(np.float32)
        luma = kernels.rgb_to_luma(rgb)
        assert luma.dtype == np.float32
        assert luma.flags.c_contiguous
        np.testing.assert_array_equal(luma, expected)
        np.testing.assert_array_equal(kernels.rgb_to_luma(rgb[::-1, ::2]), expected[::-1, ::2])

    def test_grey_stays_whole(self) -> None:
        grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
        np.testing.assert_array_equal(kernels.rgb_to_luma(grey)[:, 0], np.arange(256))

    @pytest.mark.parametrize("shape", [(0, 0, 3), (0, 4, 3), (4, 0, 3), (1, 1, 3)])
    def test_tiny(self, shape: tuple[int, ...]) -> None:
        assert kernels.rgb_to_luma(np.zeros(shape, np.uint8)).shape == shape[:2]

    @pytest.mark.parametrize(
        "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), None]
    )
    def test_wrong_array(self, wrong: NDArray[np.uint8]) -> None:
        with pytest.raises(ArrayError, match=r"expected uint8\[height, width, 3\]"):
            kernels.rgb_to_luma(wrong)


@pytest.mark.usefixtures("implementation")
class TestPdq:
    @pytest.mark.parametrize("shape", [(0, 0), (0, 9), (4, 4), (4, 1000), (1000, 4)])
    def test_side_under_five(self, shape: tuple[int, int]) -> None:
        luma = np.full(shape, 7, np.float32)
        code, quality = kernels.pdq_from_luma(luma)
        assert (code.dtype, code.shape, quality) == (np.uint8, (32,), 0)
        assert not code.any()
        many, quality = kernels.pdq_dihedral_from_luma(luma)
        assert (many.dtype, many.shape, quality) == (np.uint8, (8, 32), 0)
        assert not many.any()

    @pytest.mark.parametrize(
        "wrong", [np.zeros((9, 9)), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), [[1.0]]]
    )
    def test_wrong_array(self, wrong: NDArray[np.float32]) -> None:
        for call in (kernels.pdq_from_luma, kernels.pdq_dihedral_from_luma):
            with pytest.raises(ArrayError, match=r"expected float32\[height, width\]"):
                call(wrong)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -1, 255.5])
    def test_values_outside_the_scale(self, value: float) -> None:
        luma = np.zeros((200, 200), np.float32)
        luma[150, 3] = value
        for call in (kernels.pdq_from_luma, kernels.pdq_dihedral_from_luma):
            with pytest.raises(ArrayError, match="expected values from 0 to 255"):
                call(luma)

    def test_strided_and_read_only_input(self) -> None:
        luma = np.random.default_rng(1).uniform(0, 255, (400, 600)).astype(np.float32)
        view = luma[::2, ::2]
        view.setflags(write=False)
        assert kernels.pdq_from_luma(view)[0].tobytes() == kernels.pdq_from_luma(view.copy())[0].tobytes()

    def test_dihedral_begins_with_the_original(self) -> None:
        luma = np.random.default_rng(2).uniform(0, 255, (130, 190)).astype(np.float32)
        many, quality = kernels.pdq_dihedral_from_luma(luma)
        code, same = kernels.pdq_from_luma(luma)
        assert quality == same
        np.testing.assert_array_equal(many[0], code)

    @pytest.mark.parametrize("shape", [(5, 5), (64, 64), (65, 129), (128, 1), (300, 517), (1, 129)])
    def test_operator_equals_filter_in_whole_numbers(self, shape: tuple[int, int]) -> None:
        """On one axis with a window of one pixel nothing rounds: both forms then give the same numbers."""
        luma = np.random.default_rng(3).integers(0, 256, shape).astype(np.float32)
        exact, banded = pdq_float32.decimated(luma), pdq_banded.decimated(luma)
        np.testing.assert_allclose(banded, exact, atol=2e-3)
        if max(shape) <= 128:
            np.testing.assert_array_equal(banded, exact)

    @pytest.mark.parametrize("n", [1, 5, 63, 64, 65, 128, 129, 640, 3001])
    def test_operator_averages(self, n: int) -> None:
        rows = pdq_banded.operator(n)
        assert len(rows) == 64
        for first, weights in rows:
            assert 0 <= first <= first + len(weights) <= n
            assert weights.sum() == pytest.approx(1)
            assert (weights > 0).all()

    def test_both_paths_are_taken(self) -> None:
        rng = np.random.default_rng(4)
        detailed = rng.uniform(0, 255, (300, 300)).astype(np.float32)
        assert any(
            reference.pdq_in_float64(rng.permuted(detailed, axis=0), dihedral=False) is not None for _ in range(5)
        )
        flat = np.full((300, 300), 100, np.float32)
        assert reference.pdq_in_float64(flat, dihedral=False) is None

    def test_where_float64_decides_it_agrees_with_the_exact_path(self) -> None:
        decided = 0
        for seed in range(30):
            rng = np.random.default_rng(seed)
            small = rng.uniform(0, 255, (20 + seed, 25)).astype(np.float32)
            luma = np.kron(small, np.ones((7, 6), np.float32))
            fast = reference.pdq_in_float64(luma, dihedral=True)
            if fast is not None:
                decided += 1
                exact, quality = reference.pdq_in_float32(luma, dihedral=True)
                np.testing.assert_array_equal(fast[0], exact)
                assert fast[1] == quality
        assert decided >= 10
