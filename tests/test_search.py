"""Searches on compiled lists, against the rows in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_build import SEARCHED, Item, random_items, write

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import ArrayError, RadiusError, UnknownAlgorithmError
from hashmatch.index import euclidean
from hashmatch.index.compiled import CompiledList
from hashmatch.index.hamming import FaissFlat, HammingEngine, KernelFlat
from hashmatch.index.search import Searcher, Triple

EXACT = tuple(name for name in SEARCHED if ALGORITHMS[name].kind is Kind.EXACT)
BY_DISTANCE = tuple(name for name in SEARCHED if name not in EXACT)
ENGINES = (None, FaissFlat(), KernelFlat())


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernels.ENVIRONMENT_VARIABLE, raising=False)


def distance(name: str, a: bytes, b: bytes) -> int:
    kind = ALGORITHMS[name].kind
    if kind is Kind.HAMMING:
        return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()
    if kind is Kind.EUCLIDEAN:
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return 0 if a == b else 1


def brute_force(items: list[Item], name: str, queries: list[bytes], radius: int) -> list[list[tuple[int, int]]]:
    """Per query the (distance, row) pairs in order."""
    hashes = [(row, item.hashes[name]) for row, item in enumerate(items) if name in item.hashes]
    return [
        sorted((d, row) for row, value in hashes if (d := distance(name, query, value)) <= radius) for query in queries
    ]


def unpacked(triple: Triple, queries: int, name: str) -> list[list[tuple[int, int]]]:
    """The same from a search's result, whose form is checked."""
    offsets, rows, distances = triple
    wide = ALGORITHMS[name].kind is Kind.EUCLIDEAN
    assert (offsets.dtype, rows.dtype) == (np.int64, np.int64)
    assert distances.dtype == (np.uint32 if wide else np.uint16)
    assert offsets.shape == (queries + 1,)
    assert rows.ndim == distances.ndim == 1
    assert offsets[0] == 0
    assert offsets[-1] == len(rows) == len(distances)
    pairs = list(zip(distances.tolist(), rows.tolist(), strict=True))
    return [pairs[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]


def matrix(name: str, queries: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(queries), np.uint8).reshape(-1, ALGORITHMS[name].width)


def searched(searcher: Searcher, name: str, queries: list[bytes], radius: int) -> list[list[tuple[int, int]]]:
    if name in EXACT:
        return unpacked(searcher.search_digests(name, matrix(name, queries)), len(queries), name)
    return unpacked(searcher.search_codes(name, matrix(name, queries), radius), len(queries), name)


def near(value: bytes, rng: np.random.Generator) -> bytes:
    """``value`` with a few bits changed."""
    number = int.from_bytes(value)
    for bit in rng.integers(0, 8 * len(value), int(rng.integers(0, 40))):
        number ^= 1 << int(bit)
    return number.to_bytes(len(value))


@pytest.fixture(scope="module", params=[(0, 0), (1, 0), (2, 1), (120, 0), (150, 12), (130, 1)], ids=str)
def known(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[Item], CompiledList]]:
    """Lists of (rows, distinct values of each hash, 0 for all different)."""
    count, distinct = request.param
    items = random_items(count, seed=count, distinct=distinct)
    path = write(tmp_path_factory.mktemp("search") / "a.hmx", items, SEARCHED if count else None)
    with CompiledList.open(path) as compiled:
        compiled.check()
        yield items, compiled


@pytest.mark.parametrize("name", SEARCHED)
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name if engine else "chosen")
def test_equals_brute_force(known: tuple[list[Item], CompiledList], name: str, engine: HammingEngine | None) -> None:
    items, compiled = known
    rng = np.random.default_rng(1)
    width = ALGORITHMS[name].width
    values = [item.hashes[name] for item in items if name in item.hashes]
    queries = values[:10] + [near(value, rng) for value in values[:20]] + values[-3:] + values[-3:]
    queries += [bytes(width), b"\xff" * width, rng.bytes(width)]
    searcher = Searcher(compiled, engine)
    most = ALGORITHMS[name].max_radius
    for radius in sorted({0, min(1, most), ALGORITHMS[name].radius, most // 2, most}):
        assert searched(searcher, name, queries, radius) == brute_force(items, name, queries, radius)
    assert searched(searcher, name, [], 0) == []


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_drawn_lists(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Small lists whose codes are few and close together: duplicates, ties and rows without the hash."""
    name = data.draw(st.sampled_from(["md5", "pdq", "phash", "photodna"]))
    width = ALGORITHMS[name].width
    value = st.tuples(st.sampled_from([0, 1, 3, 255]), st.integers(0, 2)).map(
        lambda drawn: bytes([drawn[0]]) * (width - 1) + bytes([drawn[1]])
    )
    hashes = st.fixed_dictionaries({}, optional={name: value})
    items = data.draw(st.lists(st.builds(Item, hashes=hashes), max_size=20))
    queries = data.draw(st.lists(value, max_size=6))
    radius = data.draw(st.integers(0, ALGORITHMS[name].max_radius) | st.integers(0, 8)) if name != "md5" else 0
    if name != "md5":
        radius = min(radius, ALGORITHMS[name].max_radius)
    engine = data.draw(st.sampled_from(ENGINES))
    path = write(tmp_path_factory.getbasetemp() / "search-drawn.hmx", items)
    with CompiledList.open(path) as compiled:
        assert searched(Searcher(compiled, engine), name, queries, radius) == brute_force(items, name, queries, radius)


def test_rows_that_share_a_code_come_in_order(tmp_path: Path) -> None:
    """Two codes at the same distance, each borne by several rows: rows ascend across the codes."""
    low, high = b"\0" * 7 + b"\1", b"\x80" + b"\0" * 7
    items = [Item(hashes={"phash": low if row in (1, 4, 5) else high}) for row in range(7)]
    items[2].hashes = {"phash": bytes(8)}
    with CompiledList.open(write(tmp_path / "a.hmx", items)) as compiled:
        for engine in ENGINES:
            offsets, rows, distances = Searcher(compiled, engine).search_codes("phash", np.zeros((2, 8), np.uint8), 1)
            assert offsets.tolist() == [0, 7, 14]
            assert rows.tolist() == [2, 0, 1, 3, 4, 5, 6] * 2
            assert distances.tolist() == [0, 1, 1, 1, 1, 1, 1] * 2


def test_engines_used(tmp_path: Path) -> None:
    with CompiledList.open(write(tmp_path / "a.hmx", random_items(5, seed=1))) as compiled:
        searcher = Searcher(compiled, FaissFlat())
        assert searcher.engines_used == {}
        searcher.search_digests("md5", np.zeros((1, 16), np.uint8))
        searcher.search_codes("pdq", np.zeros((1, 32), np.uint8), 31)
        searcher.search_codes("photodna", np.zeros((1, 144), np.uint8), 31)
        assert searcher.engines_used == {
            "md5": "sorted digests",
            "pdq": "flat (faiss)",
            "photodna": euclidean.engine(),
        }


def test_engines_of_photodna(monkeypatch: pytest.MonkeyPatch) -> None:
    for item in kernels.implementations():
        if item.available:
            monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, item.name)
            how = "exact float32 product" if item.name == "numpy" else item.name
            assert euclidean.engine() == f"flat ({how})"


def test_non_contiguous_queries(tmp_path: Path) -> None:
    items = random_items(30, seed=2)
    with CompiledList.open(write(tmp_path / "a.hmx", items)) as compiled:
        for name in SEARCHED:
            values = matrix(name, [item.hashes[name] for item in items if name in item.hashes])
            wide = np.zeros((2 * len(values), values.shape[1] + 3), np.uint8)
            wide[::2, 1:-2] = values
            for engine in ENGINES:
                searcher = Searcher(compiled, engine)
                for queries in (wide[::2, 1:-2], np.asfortranarray(values), values):
                    triple = (
                        searcher.search_digests(name, queries)
                        if name in EXACT
                        else searcher.search_codes(name, queries, 5)
                    )
                    found = unpacked(triple, len(values), name)
                    assert found == brute_force(
                        items, name, [v.tobytes() for v in values], 5 if name not in EXACT else 0
                    )


# ---------------------------------------------------------------------- wrong calls


@pytest.fixture
def searcher(tmp_path: Path) -> Iterator[Searcher]:
    with CompiledList.open(write(tmp_path / "a.hmx", random_items(5, seed=1))) as compiled:
        yield Searcher(compiled)


ARRAYS: dict[str, Callable[[int], Any]] = {
    "a list": lambda width: [[0] * width],
    "bytes": bytes,
    "None": lambda width: None,
    "one dimension": lambda width: np.zeros(width, np.uint8),
    "three dimensions": lambda width: np.zeros((1, 1, width), np.uint8),
    "too narrow": lambda width: np.zeros((1, width - 1), np.uint8),
    "too wide": lambda width: np.zeros((1, width + 1), np.uint8),
    "no width": lambda width: np.zeros((0, 0), np.uint8),
    "int8": lambda width: np.zeros((1, width), np.int8),
    "int64": lambda width: np.zeros((1, width), np.int64),
    "bool": lambda width: np.zeros((1, width), np.bool_),
    "uint64": lambda width: np.zeros((1, width // 8), np.uint64),
    "objects": lambda width: np.zeros((1, width), object),
}


@pytest.mark.parametrize("what", ARRAYS)
@pytest.mark.parametrize("name", SEARCHED)
def test_wrong_arrays(searcher: Searcher, name: str, what: str) -> None:
    queries = ARRAYS[what](ALGORITHMS[name].width)
    search = searcher.search_digests if name in EXACT else partial(searcher.search_codes, radius=1)
    with pytest.raises(ArrayError, match=f"queries for {name}.*uint8\\[n, {ALGORITHMS[name].width}\\]"):
        search(name, queries)


@pytest.mark.parametrize("radius", [-1, True, False, 1.0, "1", None, float("nan"), 1 << 70, -(1 << 70), [1]])
@pytest.mark.parametrize("name", BY_DISTANCE)
def test_wrong_radii(searcher: Searcher, name: str, radius: Any) -> None:
    with pytest.raises(RadiusError, match=name):
        searcher.search_codes(name, np.zeros((1, ALGORITHMS[name].width), np.uint8), radius)


@pytest.mark.parametrize("name", BY_DISTANCE)
def test_the_largest_radius(searcher: Searcher, name: str) -> None:
    queries = np.zeros((1, ALGORITHMS[name].width), np.uint8)
    most = ALGORITHMS[name].max_radius
    assert len(searcher.search_codes(name, queries, most)[1]) == len(searcher.compiled.codes(name).rows)
    with pytest.raises(RadiusError):
        searcher.search_codes(name, queries, most + 1)


@pytest.mark.parametrize("name", ["", "PDQ", "sha3", "zz40", "lace"])
def test_wrong_algorithms(searcher: Searcher, name: str) -> None:
    with pytest.raises(UnknownAlgorithmError):
        searcher.search_codes(name, np.zeros((1, 16), np.uint8), 1)
    with pytest.raises(UnknownAlgorithmError):
        searcher.search_digests(name, np.zeros((1, 16), np.uint8))


def test_the_other_search(searcher: Searcher) -> None:
    for name in EXACT:
        with pytest.raises(UnknownAlgorithmError):
            searcher.search_codes(name, np.zeros((1, ALGORITHMS[name].width), np.uint8), 0)
    for name in BY_DISTANCE:
        with pytest.raises(UnknownAlgorithmError):
            searcher.search_digests(name, np.zeros((1, ALGORITHMS[name].width), np.uint8))
