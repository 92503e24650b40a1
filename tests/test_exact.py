"""Exact lookup against a dictionary of lists."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.errors import ArrayError
from hashmatch.index.exact import MAX_TABLE_BITS, as_strings, build_table, lookup, sort_order, table_bits

WIDTHS = (16, 20, 32, 64)
IMPLEMENTATIONS = [item.name for item in kernels.implementations() if item.available]


@pytest.fixture(scope="module", autouse=True, params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs on every implementation of this machine."""
    patch = pytest.MonkeyPatch()
    patch.setenv(kernels.ENVIRONMENT_VARIABLE, request.param)
    yield request.param
    patch.undo()


def matrix(values: Sequence[bytes], width: int) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, width)


def assert_equals_dictionary(
    values: Sequence[bytes], queries: Sequence[bytes], width: int, bits: int | None = None
) -> None:
    array = matrix(values, width)
    order = sort_order(array)
    assert order.dtype == np.int64
    assert order.tolist() == sorted(range(len(values)), key=lambda i: (values[i], i))
    ordered = array[order]
    bits = table_bits(len(values)) if bits is None else bits
    table = build_table(ordered, bits)
    assert table.dtype == np.uint32
    assert len(table) == (1 << bits) + 1
    first, last = lookup(ordered, table, matrix(queries, width))
    assert (first.dtype, last.dtype) == (np.int64, np.int64)
    assert len(first) == len(last) == len(queries)
    places: dict[bytes, list[int]] = {}
    for place, index in enumerate(order.tolist()):
        places.setdefault(values[index], []).append(place)
    for query, a, b in zip(queries, first.tolist(), last.tolist(), strict=True):
        assert list(range(a, b)) == places.get(query, []), query.hex()
        assert 0 <= a <= b <= len(values)


def digests(width: int) -> st.SearchStrategy[bytes]:
    """Few leading bytes and few trailing ones, so that buckets are crowded and neighbours differ late or not at all."""
    edge = st.sampled_from([b"\0", b"\1", b"\x7f", b"\x80", b"\xfe", b"\xff", b"a"])
    crowded = st.builds(
        lambda head, fill, tail: head * 3 + fill * (width - 5) + tail, edge, edge, st.tuples(edge, edge).map(b"".join)
    )
    return crowded | edge.map(lambda b: b * width) | st.binary(min_size=width, max_size=width)


@pytest.mark.parametrize("width", WIDTHS)
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_equals_a_dictionary(width: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(digests(width), max_size=40))
    queries = data.draw(st.lists(digests(width) | (st.sampled_from(values) if values else st.nothing()), max_size=20))
    assert_equals_dictionary(values, queries, width, data.draw(st.none() | st.integers(1, 12)))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025])
def test_around_powers_of_two(width: int, count: int) -> None:
    rng = np.random.default_rng(count)
    values = [rng.bytes(width) for _ in range(count)]
    absent = [rng.bytes(width) for _ in range(50)]
    near = [value[:-1] + bytes([value[-1] ^ 1]) for value in values[:50]]
    near += [bytes([value[0] ^ 0x80]) + value[1:] for value in values[:50]]
    assert_equals_dictionary(values, values + absent + near + [bytes(width), b"\xff" * width], width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("fill", [b"\0", b"\x7f", b"\x80", b"\xff"])
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_all_equal(width: int, fill: bytes, count: int) -> None:
    value = fill * width
    others = [
        value[:-1] + b"\x01",
        b"\x01" + value[1:],
        value[:8] + b"\x01" * (width - 8),
        bytes(width),
        b"\xff" * width,
    ]
    assert_equals_dictionary([value] * count, [value, *others, value], width)


@pytest.mark.parametrize("width", WIDTHS)
def test_values_that_differ_in_trailing_zeros_only(width: int) -> None:
    """NumPy's byte strings drop trailing zeros; as their width is fixed, the order must not change."""
    values = [b"\x05" * used + b"\0" * (width - used) for used in range(width + 1)]
    values += [b"\x05" * used + b"\0" * (width - used - 1) + b"\1" for used in range(width)]
    assert_equals_dictionary(values[::-1], values, width)
    for absent in range(len(values)):
        assert_equals_dictionary(values[:absent] + values[absent + 1 :], values, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_long_runs_among_others(width: int) -> None:
    rng = np.random.default_rng(width)
    pool = [rng.bytes(4) * (width // 4) for _ in range(5)] + [b"\0" * width, b"\xff" * width]
    values = [pool[i] for i in rng.integers(0, len(pool), 3000)] + [rng.bytes(width) for _ in range(500)]
    assert_equals_dictionary(values, pool + values[-100:] + [rng.bytes(width) for _ in range(100)], width)


@pytest.mark.parametrize("width", WIDTHS)
def test_queries_need_not_be_contiguous(width: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (200, width), dtype=np.uint8)
    ordered = values[sort_order(values)]
    table = build_table(ordered, table_bits(200))
    wide = np.zeros((400, width + 5), np.uint8)
    wide[::2, 3:-2] = values
    found = lookup(ordered, table, wide[::2, 3:-2])
    expected = lookup(ordered, table, values)
    for a, b in zip(found, expected, strict=True):
        assert a.tolist() == b.tolist()
    assert lookup(np.asfortranarray(ordered), table, values)[0].tolist() == expected[0].tolist()
    reverse = lookup(ordered, table, values[::-1])
    assert reverse[0].tolist() == expected[0][::-1].tolist()


def test_many_against_searchsorted() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 256, (100_000, 16), dtype=np.uint8)
    values[::10] = values[1::10]
    ordered = values[sort_order(values)]
    queries = np.concatenate([values[rng.integers(0, 100_000, 20_000)], rng.integers(0, 256, (20_000, 16), np.uint8)])
    first, last = lookup(ordered, build_table(ordered, table_bits(len(values))), queries)
    present = {row.tobytes() for row in values}
    found = last > first
    assert found.tolist() == [query.tobytes() in present for query in queries]
    # Equal to the query inside, less before, greater behind: nothing is missed and nothing is too much.
    strings = [row.tobytes() for row in ordered]
    for query, a, b in zip(queries[found], first[found].tolist(), last[found].tolist(), strict=True):
        sought = query.tobytes()
        assert all(text == sought for text in strings[a:b])
        assert a == 0 or strings[a - 1] < sought
        assert b == len(strings) or strings[b] > sought


@given(st.integers(8, 24), st.data())
@settings(max_examples=80, deadline=None)
def test_sort_order(width: int, data: st.DataObject) -> None:
    """Every width, the last of which is not a whole number of words; equal values keep their order."""
    values = data.draw(st.lists(digests(width), max_size=60))
    order = sort_order(matrix(values, width) if values else np.zeros((0, width), np.uint8))
    assert order.tolist() == sorted(range(len(values)), key=values.__getitem__)


def test_table_bits() -> None:
    bits = [table_bits(count) for count in range(5000)]
    assert bits == sorted(bits)
    assert bits[0] == bits[1] == 1
    for count in range(8, 5000):
        assert 2 <= count / (1 << bits[count]) < 4
    assert table_bits(1 << 26) == table_bits((1 << 32) - 1) == MAX_TABLE_BITS == 24
    assert table_bits(100_000_000) == 24


@pytest.mark.parametrize("bits", [1, 2, 8, 13, 24])
def test_build_table(bits: int) -> None:
    rng = np.random.default_rng(bits)
    values = rng.integers(0, 256, (500, 16), dtype=np.uint8)
    values[:100, :2] = 0xFF
    values[100:200] = 0
    values = values[sort_order(values)]
    table = build_table(values, bits)
    heads = [int.from_bytes(row[:4].tobytes()) >> (32 - bits) for row in values]
    assert (table[0], table[-1]) == (0, 500)
    for prefix in {0, (1 << bits) - 1, *heads[::7]}:
        assert table[prefix] == sum(head < prefix for head in heads)
        assert table[prefix + 1] == sum(head <= prefix for head in heads)


def test_as_strings_orders_as_bytes() -> None:
    values = np.random.default_rng(1).choice([0, 1, 0x7F, 0x80, 0xFF], (300, 16)).astype(np.uint8)
    strings = as_strings(values)
    expected = [row.tobytes() for row in values]
    for shift in (1, 7, 100):
        assert (strings[shift:] < strings[:-shift]).tolist() == [
            a < b for a, b in zip(expected[shift:], expected, strict=False)
        ]
        assert (strings[shift:] == strings[:-shift]).tolist() == [
            a == b for a, b in zip(expected[shift:], expected, strict=False)
        ]


class TestTheKernel:
    """Arguments that are wrong, and files that say what is not so."""

    VALUES = np.sort(np.random.default_rng(1).integers(0, 256, 300).astype(np.uint8)).repeat(16).reshape(300, 16)
    TABLE = build_table(VALUES, 4)

    @pytest.mark.parametrize("width", [8, 9, 15, 17, 144])
    def test_any_width_from_8(self, width: int) -> None:
        rng = np.random.default_rng(width)
        values = [rng.bytes(8)[:7] * 2 + rng.bytes(width)[14:] for _ in range(200)]
        values = [value[:width] for value in values]
        assert_equals_dictionary(values, values + [rng.bytes(width) for _ in range(50)], width, bits=3)

    @pytest.mark.parametrize(
        ("values", "table", "queries"),
        [
            (VALUES.astype(np.int8), TABLE, VALUES),
            (VALUES[:, :7], TABLE, VALUES[:, :7]),
            (VALUES, TABLE, VALUES[:, :15]),
            (VALUES[0], TABLE, VALUES),
            (VALUES, TABLE.astype(np.int32), VALUES),
            (VALUES, TABLE[:-1], VALUES),
            (VALUES, TABLE[:2], VALUES),
            (VALUES, TABLE[:0], VALUES),
            (VALUES, TABLE.reshape(1, -1), VALUES),
            (VALUES, TABLE, VALUES.tolist()),
            (b"", TABLE, VALUES),
        ],
    )
    def test_wrong_arrays(self, values: object, table: object, queries: object) -> None:
        with pytest.raises(ArrayError):
            kernels.digest_lookup(values, table, queries)  # type: ignore[arg-type]

    def test_unaligned_and_strided_arrays(self) -> None:
        raw = np.zeros(self.TABLE.nbytes + 1, np.uint8)
        table = raw[1:].view(np.uint32)
        table[:] = self.TABLE
        expected = kernels.digest_lookup(self.VALUES, self.TABLE, self.VALUES)
        wide = np.repeat(self.TABLE, 2)[::2]
        for given_table in (table, wide):
            for a, b in zip(kernels.digest_lookup(self.VALUES, given_table, self.VALUES), expected, strict=True):
                assert a.tolist() == b.tolist()

    @given(st.data())
    @settings(max_examples=100, deadline=None)
    def test_damaged_tables_are_errors_or_answers_inside(self, data: st.DataObject) -> None:
        bits = data.draw(st.integers(1, 4))
        count = data.draw(st.integers(0, 40))
        number = st.integers(0, count) | st.integers(0, 2**32 - 1)
        table = np.array(data.draw(st.lists(number, min_size=(1 << bits) + 1, max_size=(1 << bits) + 1)), np.uint32)
        rng = np.random.default_rng(count)
        values = rng.integers(0, 2, (count, 16), dtype=np.uint8) * np.uint8(255)  # not ascending either
        queries = np.concatenate([values, rng.integers(0, 256, (9, 16), dtype=np.uint8)])
        lies = False
        for query in queries if count else ():
            prefix = int(query[0]) >> (8 - bits)
            lies |= not table[prefix] <= table[prefix + 1] <= count
        if lies:
            with pytest.raises(ValueError, match="leads outside"):
                kernels.digest_lookup(values, table, queries)
            return
        first, last = kernels.digest_lookup(values, table, queries)
        os.environ[kernels.ENVIRONMENT_VARIABLE], now = "numpy", os.environ[kernels.ENVIRONMENT_VARIABLE]
        again = kernels.digest_lookup(values, table, queries)
        os.environ[kernels.ENVIRONMENT_VARIABLE] = now
        assert (first.tolist(), last.tolist()) == (again[0].tolist(), again[1].tolist())
        assert all(0 <= a <= b <= count for a, b in zip(first.tolist(), last.tolist(), strict=True))

    @pytest.mark.skipif(os.name == "nt", reason="a mapped file cannot be shortened there")
    def test_a_mapped_file_that_shrinks(self, implementation: str, tmp_path: Path) -> None:
        if implementation == "numpy":
            pytest.skip("NumPy cannot be stopped from reading behind the end of a file")
        values = np.zeros((100_000, 16), np.uint8)
        values[:, :4] = np.arange(100_000, dtype=">u4").view(np.uint8).reshape(-1, 4)
        path = tmp_path / "values"
        path.write_bytes(values.tobytes())
        with path.open("r+b") as file:
            mapped = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8).reshape(-1, 16)
            table = build_table(values, 17)
            first, last = kernels.digest_lookup(mapped, table, values)
            assert np.array_equal(last - first, np.ones(100_000))
            file.truncate(4096)
            with pytest.raises(OSError, match="mapped file"):
                kernels.digest_lookup(mapped, table, values)
