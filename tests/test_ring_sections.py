"""Ring tables in a compiled list: written where they pay, verified, compared with the codes, used when they pay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hashmatch import Matcher, kernels
from hashmatch.errors import CompiledListDamagedError, CompiledListTruncatedError, UsageError
from hashmatch.index import compiled as compiled_module
from hashmatch.index import hamming
from hashmatch.index.build import HashColumn, Rows, write_compiled
from hashmatch.index.compiled import CompiledList
from hashmatch.index.search import Searcher

NAMES = [item.name for item in kernels.implementations() if item.available]
NATIVE = [name for name in NAMES if name != "numpy"]
COUNT = 3000
MINIMUM = hamming.RING_MINIMUM  # before the fixture below makes it small


@pytest.fixture(autouse=True)
def short_lists_have_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernels.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(hamming, "RING_MINIMUM", 100)


def codes_of(width: int) -> NDArray[np.uint8]:
    codes = np.random.default_rng(width).integers(0, 256, (COUNT, width), dtype=np.uint8)
    codes[-50:] = codes[:50]  # listed twice
    return codes


def write(path: Path, columns: dict[str, NDArray[np.uint8]]) -> Path:
    refs = [b"%05d" % row for row in range(COUNT)]
    rows = Rows(
        ref_text=b"".join(refs),
        ref_offsets=np.cumsum([0, *map(len, refs)]).astype(np.uint64),
        source=np.zeros(COUNT, np.uint32),
        category=np.zeros(COUNT, np.uint32),
        media=np.ones(COUNT, np.uint8),
        size=np.full(COUNT, -1, np.int64),
        quality=np.full(COUNT, 100, np.uint8),
        hashes={name: HashColumn(codes, np.arange(len(codes), dtype=np.uint32)) for name, codes in columns.items()},
    )
    return write_compiled(path, rows, snapshot=bytes(32), role="known", sources=["one"], categories=[])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "list.hmx", {"pdq": codes_of(32), "phash": codes_of(8), "dhash": codes_of(8)[:99]})


@pytest.fixture
def compiled(path: Path) -> Iterator[CompiledList]:
    with CompiledList.open(path) as opened:
        yield opened


def test_sections_are_there_from_the_minimum_on(compiled: CompiledList) -> None:
    ring = [name for name in compiled.sections if ".ring." in name]
    assert ring == [f"pdq.ring.{c}" for c in range(16)] + [f"phash.ring.{c}" for c in range(4)]
    assert compiled.has_ring("pdq")
    assert not compiled.has_ring("dhash")
    assert compiled.ring("dhash") is None
    assert compiled.check() > 0


def test_the_minimum_is_what_formats_says(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[1] / "FORMATS.md").read_text(encoding="utf-8")
    assert "with at least 65,536 hashes" in text
    assert MINIMUM == 65_536
    monkeypatch.setattr(hamming, "RING_MINIMUM", MINIMUM)
    assert hamming.has_ring("pdq", MINIMUM)
    assert not hamming.has_ring("pdq", MINIMUM - 1)
    assert not hamming.has_ring("photodna", 1 << 20)
    assert not hamming.has_ring("md5", 1 << 20)


def test_the_same_bytes_whoever_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    for name in NAMES:
        monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
        written.append(write(tmp_path / name, {"pdq": codes_of(32), "ahash": codes_of(8)}).read_bytes())
    assert len(set(written)) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("algorithm", ["pdq", "phash", "dhash"])
def test_every_implementation_finds_the_same_rows(
    path: Path, name: str, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = codes_of(32 if algorithm == "pdq" else 8)
    queries = codes[:80] ^ np.uint8(1)
    queries[40:] ^= np.random.default_rng(3).integers(0, 4, queries[40:].shape, dtype=np.uint8)
    with CompiledList.open(path) as opened:
        with_faiss = Searcher(opened, hamming.FaissFlat())
        monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
        searcher = Searcher(opened)
        for prepared in (False, True):
            if prepared:
                searcher.prepare()
            for radius in (0, 4, 8, 20, 32, 64):
                expected = with_faiss.search_codes(algorithm, queries, radius)
                found = searcher.search_codes(algorithm, queries, radius)
                for a, b in zip(found, expected, strict=True):
                    assert a.dtype == b.dtype
                    np.testing.assert_array_equal(a, b)
        assert name in searcher.engines_used[algorithm] or name == "numpy"


@pytest.mark.parametrize("name", NAMES)
def test_nearest_rows(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
    queries = codes_of(32)[:9]
    with Matcher.open(path, threads=2) as matcher:
        offsets, rows, distances = matcher.search_nearest("pdq", queries, 3)
        every = matcher.search_codes("pdq", queries, 256)
        for query in range(9):
            at = int(every[0][query])
            assert rows[offsets[query] : offsets[query + 1]].tolist() == every[1][at : at + 3].tolist()
            assert distances[offsets[query] : offsets[query + 1]].tolist() == every[2][at : at + 3].tolist()
        assert rows[0] == 0
        assert distances[0] == 0
        everything = matcher.search_nearest("pdq", queries, 1 << 70)
        np.testing.assert_array_equal(everything[1], every[1])
        for wrong in (0, -1, True, 1.5):
            with pytest.raises(UsageError, match="k is"):
                matcher.search_nearest("pdq", queries, wrong)  # type: ignore[arg-type]


def test_threads_must_be_a_number(path: Path) -> None:
    for wrong in (0, -3, True, "2"):
        with pytest.raises(UsageError, match="threads is"):
            Matcher.open(path, threads=wrong)  # type: ignore[arg-type]


def test_the_tables_are_fetched_when_they_have_paid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short job scans; the tables are read once scanning has cost as much, and then used."""
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, "portable")
    with CompiledList.open(path) as opened:
        searcher = Searcher(opened)
        searcher.search_codes("pdq", codes_of(32)[:1], 4)
        assert searcher.engines_used["pdq"] == "flat (portable)"
        assert "pdq.ring.0" not in opened._verified
        for _ in range(2000):
            searcher.search_codes("pdq", codes_of(32)[:10], 4)
            if "pdq.ring.0" in opened._verified:
                break
        searcher.search_codes("pdq", codes_of(32)[:10], 4)
        assert searcher.engines_used["pdq"].startswith("ring by ")


def damage(path: Path, section: str, at: int) -> None:
    with CompiledList.open(path) as opened:
        offset = opened.sections[section].offset
    with path.open("r+b") as file:
        file.seek(offset + at)
        byte = file.read(1)[0]
        file.seek(offset + at)
        file.write(bytes([byte ^ 0xFF]))


@pytest.mark.parametrize("at", [0, 200_000, 262_150, 262_208, 262_208 + 8 * 100])
def test_a_damaged_table_is_an_error(path: Path, at: int) -> None:
    damage(path, "pdq.ring.5", at)
    with CompiledList.open(path) as opened:
        searcher = Searcher(opened)
        searcher.search_codes("pdq", codes_of(32)[:1], 4)  # does not use it
        with pytest.raises(CompiledListDamagedError, match=r"pdq\.ring\.5"):
            searcher.prepare()
            searcher.search_codes("pdq", codes_of(32)[:1], 4)
        with pytest.raises(CompiledListDamagedError, match=r"pdq\.ring\.5"):
            opened.check()


@pytest.mark.skipif(not NATIVE, reason="needs the native kernels")
@pytest.mark.parametrize("name", NATIVE)
def test_damage_that_is_not_verified_is_never_a_crash(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --no-verify an answer may be wrong, but every byte of a table may be anything."""
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
    whole = path.read_bytes()
    with CompiledList.open(path) as opened:
        start = opened.sections["pdq.ring.0"].offset
        end = opened.sections["pdq.ring.15"].offset + opened.sections["pdq.ring.15"].size
    rng = np.random.default_rng(5)
    raised = 0
    for round_ in range(40):
        data = bytearray(whole)
        for place in rng.integers(start, end, 2000 if round_ % 2 else 3):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        with CompiledList.open(path, verify=False) as opened:
            searcher = Searcher(opened)
            try:
                searcher.prepare()
                for radius in (4, 31, 64):
                    searcher.search_codes("pdq", codes_of(32)[:300], radius)
            except CompiledListDamagedError:
                raised += 1
    assert raised


def test_a_missing_table_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CompiledList.open(path) as opened:
        sections = {name: section for name, section in opened.sections.items() if name != "pdq.ring.9"}
        monkeypatch.setattr(opened, "sections", sections)
        with pytest.raises(CompiledListDamagedError, match="is one of 15; expected 16"):
            opened.ring("pdq")


def test_a_table_that_disagrees_with_the_codes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong table with a right checksum: no reader meets it, but `list check` would."""
    with monkeypatch.context() as patch:
        right = kernels.ring_table

        def wrong(codes: NDArray[np.uint8], chunk: int, *place: Any) -> NDArray[np.uint8]:
            table = right(codes, chunk, *place)
            if chunk == 3:
                table[262_208] ^= 1
            return table

        patch.setattr(kernels, "ring_table", wrong)
        write(path, {"pdq": codes_of(32)})
    with CompiledList.open(path) as opened, pytest.raises(CompiledListDamagedError, match="not agree with the codes"):
        opened.check()


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses to shorten a file that is mapped")
def test_a_list_that_shrinks_is_a_typed_error(path: Path) -> None:
    with CompiledList.open(path) as opened:
        searcher = Searcher(opened)
        searcher.prepare()
        searcher.search_codes("pdq", codes_of(32)[:10], 31)
        os.truncate(path, 8192)
        for _ in range(2):
            with pytest.raises(CompiledListTruncatedError, match="has become shorter"):
                searcher.search_codes("pdq", codes_of(32)[:10], 31)
            with pytest.raises(CompiledListTruncatedError, match="has become shorter"):
                searcher.search_nearest("pdq", codes_of(32)[:10], 2)
            with pytest.raises(CompiledListTruncatedError, match="has become shorter"):
                opened.row_masks()


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses to write over a file that is mapped")
def test_a_list_that_is_written_over_is_a_typed_error(path: Path, tmp_path: Path) -> None:
    """Another list copied over one that is open, instead of renamed: its offsets lead outside what was mapped."""
    with CompiledList.open(path) as opened:
        searcher = Searcher(opened)
        searcher.prepare()
        searcher.search_codes("pdq", codes_of(32)[:10], 31)
        start = opened.sections["pdq.ring.0"].offset
        with path.open("r+b") as file:
            file.seek(start)
            file.write(np.arange(0, 65537 * 60000, 60000, dtype=np.uint32).tobytes())
        for name in NATIVE:
            for way in ("ring by query", "ring by bucket"):
                index = searcher._sections["pdq"]._index
                with pytest.raises(ValueError, match="outside its section"):
                    index.range_search(codes_of(32)[:300], 31, method=way, implementation=name)
        with path.open("ab") as file:
            file.write(bytes(100_000))
        with pytest.raises(CompiledListTruncatedError, match="has become longer"):
            searcher.search_codes("pdq", codes_of(32)[:10], 31)


def test_a_list_without_tables_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists compiled by a version that wrote none."""
    monkeypatch.setattr(hamming, "RING_MINIMUM", 1 << 40)
    path = write(tmp_path / "old.hmx", {"pdq": codes_of(32)})
    with CompiledList.open(path) as opened:
        assert opened.ring("pdq") is None
        assert compiled_module.VERSION == 1
        opened.check()
        searcher = Searcher(opened)
        searcher.prepare()
        found = searcher.search_codes("pdq", codes_of(32)[:100], 0)
        assert len(found[1]) == 150
