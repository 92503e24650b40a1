"""Adapters of other programs: they find what they must, and what is not installed is named."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashmatch import imaging, synthetic
from hashmatch.bench import data, peers
from hashmatch.errors import UsageError
from hashmatch.hashing import hash_bytes

#: Peers that `pip install hashmatch[test]` brings; the others are tested where they happen to be.
BROUGHT = {"faiss-flat", "faiss-multi-hash", "usearch", "imagehash", "pdqhash"}
OPTIONAL = {"perception"}


def peer(kind: Callable[[], list[Any]], name: str) -> Any:
    """A peer, or what the rules of conftest's `tool` say where it is missing."""
    (found,) = [each for each in kind() if each.name == name]
    if isinstance(found, peers.Absent):
        if name in OPTIONAL or name in os.environ.get("HASHMATCH_TEST_WITHOUT", "").split():
            pytest.skip(f"{name} was left out: {found.reason}")
        pytest.fail(f"{name} {found.reason}; install it, or leave it out by name: HASHMATCH_TEST_WITHOUT")
    return found


def brute_force(queries: np.ndarray, codes: np.ndarray, radius: int) -> peers.Found:
    far = np.bitwise_count(queries[:, None] ^ codes[None]).sum(axis=2, dtype=np.int64)
    query, position = np.nonzero(far <= radius)
    offsets = np.append(0, np.cumsum(np.bincount(query, minlength=len(queries)))).astype(np.int64)
    return peers.Found(offsets, position.astype(np.int64), far[query, position])


def triples(found: peers.Found) -> list[tuple[int, int, int]]:
    query = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
    return sorted(zip(query.tolist(), found.positions.tolist(), found.distances.tolist(), strict=True))


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return data.codes(2000, 32, 1, 1.0)


@pytest.fixture(scope="module")
def queries(codes: np.ndarray) -> np.ndarray:
    return data.planted(codes, list(range(65)) * 2, 2).queries


def test_names_are_unique_and_complete() -> None:
    found = [*peers.search_peers(), *peers.hash_peers(), *peers.lookup_peers()]
    names = [each.name for each in found]
    assert len(set(names)) == len(names)
    assert set(names) == BROUGHT | OPTIONAL | {"hfind"}
    for each in found:
        if not isinstance(each, peers.Absent):
            assert each.version
            assert each.detail


@pytest.mark.parametrize("radius", [0, 1, 31, 64])
@pytest.mark.parametrize("threads", [1, 2])
def test_faiss_flat_is_exact(codes: np.ndarray, queries: np.ndarray, radius: int, threads: int) -> None:
    flat = peer(peers.search_peers, "faiss-flat")
    assert flat.exact
    flat.prepare(codes, radius, threads)
    truth = brute_force(queries, codes, radius)
    assert triples(flat.run(queries)) == triples(truth)
    assert peers.recall(flat.run(queries), truth) == 1.0
    flat.set_search(5, 1)
    assert triples(flat.run(queries)) == triples(brute_force(queries, codes, 5))


@pytest.mark.parametrize("radius", [0, 15, 16, 31, 47, 64])
def test_faiss_multi_hash_finds_what_its_tables_reach(codes: np.ndarray, queries: np.ndarray, radius: int) -> None:
    index = peer(peers.search_peers, "faiss-multi-hash")
    assert not index.exact
    index.prepare(codes, radius)
    found, truth = index.run(queries), brute_force(queries, codes, radius)
    assert set(triples(found)) <= set(triples(truth))
    recall = peers.recall(found, truth)
    assert recall == 1.0 if radius <= 47 else recall > 0.8  # (flips + 1) * tables - 1
    assert f"{min(radius // 16, 2)} flipped" in index.detail


def test_usearch_is_right_where_it_answers(codes: np.ndarray, queries: np.ndarray) -> None:
    index = peer(peers.search_peers, "usearch")
    assert not index.exact
    index.prepare(codes, 31)
    found, truth = index.run(queries), brute_force(queries, codes, 31)
    assert set(triples(found)) <= set(triples(truth))
    assert 0.5 < peers.recall(found, truth) <= 1.0
    assert np.diff(found.offsets).max() <= index.nearest


@pytest.mark.parametrize("name", ["faiss-flat", "faiss-multi-hash", "usearch"])
def test_searches_of_next_to_nothing(name: str, codes: np.ndarray) -> None:
    index = peer(peers.search_peers, name)
    index.prepare(codes[:3], 0)
    assert triples(index.run(codes[1:2])) == [(0, 1, 0)]
    empty = index.run(codes[:0])
    assert empty.offsets.tolist() == [0]
    assert not len(empty.positions)


def test_recall_counts_pairs() -> None:
    truth = peers.Found(np.array([0, 2, 4]), np.array([1, 2, 1, 3]), np.zeros(4, np.int64))
    other = peers.Found(np.array([0, 1, 3]), np.array([2, 2, 3]), np.zeros(3, np.int64))
    nothing = peers.Found(np.zeros(3, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert peers.recall(truth, truth) == 1.0
    assert peers.recall(other, truth) == 0.5  # (0, 2) and (1, 3); (1, 2) is no match
    assert peers.recall(nothing, truth) == 0.0
    assert peers.recall(nothing, nothing) == 1.0


@pytest.mark.parametrize("name", ["imagehash", "pdqhash", "perception"])
def test_hashing(name: str) -> None:
    library = peer(peers.hash_peers, name)
    pixels = [synthetic.image(seed, 96, 72, "noise") for seed in range(3)]
    files = [imaging.encode(each, "PNG") for each in pixels]
    for algorithm in library.algorithms:
        library.prepare(algorithm)
        found = library.run(files)
        assert library.run(pixels) == found
        ours = [hash_bytes(file, (algorithm,)).hashes[algorithm] for file in files]
        assert [len(code) for code in found] == [len(code) for code in ours]
        if library.exact:
            assert found == ours
        assert len(set(found)) == 3


@pytest.mark.parametrize("name", ["imagehash", "pdqhash", "perception"])
def test_a_library_is_not_asked_for_what_it_lacks(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        peer(peers.hash_peers, name).prepare("photodna")


def test_hfind(tool: Callable[[str], str], tmp_path: Path) -> None:
    tool("hfind")
    digests = [hashlib.md5(b"%d" % number).hexdigest() for number in range(20)]
    program = peer(peers.lookup_peers, "hfind")
    program.prepare(digests[:10], digests[5:], tmp_path)
    assert program.run() == [True] * 5 + [False] * 10
    assert program.version[0].isdigit()


@pytest.mark.parametrize(
    ("module", "kind", "names"),
    [
        ("faiss", peers.search_peers, {"faiss-flat", "faiss-multi-hash"}),
        ("usearch.index", peers.search_peers, {"usearch"}),
        ("imagehash", peers.hash_peers, {"imagehash"}),
        ("pdqhash", peers.hash_peers, {"pdqhash"}),
        ("perception.hashers", peers.hash_peers, {"perception"}),
    ],
)
def test_what_is_not_installed_is_named(
    module: str, kind: Callable[[], list[Any]], names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    absent = {each.name: each.reason for each in kind() if isinstance(each, peers.Absent)}
    assert names <= set(absent)
    assert all(absent[name] for name in names)
    assert module.partition(".")[0] in " ".join(absent[name] for name in names)


def test_a_package_without_its_metadata_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(peers, "_version", missing)
    assert all(isinstance(each, peers.Absent) for each in peers.search_peers())


def test_no_hfind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (absent,) = peers.lookup_peers()
    assert isinstance(absent, peers.Absent)
    assert "Sleuth Kit" in absent.reason
