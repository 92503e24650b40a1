"""Writing compiled lists. The helpers here also make the files that test_compiled.py and test_search.py read."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import StorageError
from hashmatch.index import build, section_writer
from hashmatch.index.build import HashColumn, Rows, write_compiled
from hashmatch.index.compiled import CompiledList
from hashmatch.index.exact import sort_order
from hashmatch.index.section_writer import SectionData, SectionWriter

SEARCHED = tuple(a.name for a in ALGORITHMS.values() if a.kind is not Kind.OPAQUE)
SNAPSHOT = bytes(range(32))
SOURCES = ("Agency A", "Büro B")
CATEGORIES = (("interpol", "baseline"), ("vics-us-2.0", "1"))


@dataclass
class Item:
    """One row of a compiled list, in plain Python."""

    ref: str = "r"
    source: int = 0
    category: int = 0
    media: int = 1
    size: int = -1
    quality: int = 255
    disputed: int = 0
    hashes: Mapping[str, bytes] = field(default_factory=dict)


def mask_of(names: Iterable[str]) -> int:
    """A bit for each algorithm."""
    return sum(1 << ALGORITHMS[name].number for name in names)


def rows_of(items: Sequence[Item], algorithms: Sequence[str] | None = None) -> Rows:
    """The arrays of ``items``; ``algorithms``: columns to make even where no item has a hash (default: those used)."""
    refs = [item.ref.encode() for item in items]
    columns = {}
    for name in SEARCHED:
        bearing = [i for i, item in enumerate(items) if name in item.hashes]
        if bearing or name in (algorithms or ()):
            values = np.frombuffer(b"".join(items[i].hashes[name] for i in bearing), np.uint8)
            columns[name] = HashColumn(values.reshape(-1, ALGORITHMS[name].width), np.array(bearing, np.uint32))
    return Rows(
        ref_text=b"".join(refs),
        ref_offsets=np.cumsum([0, *map(len, refs)]).astype(np.uint64),
        source=np.array([item.source for item in items], np.uint32),
        category=np.array([item.category for item in items], np.uint32),
        media=np.array([item.media for item in items], np.uint8),
        size=np.array([item.size for item in items], np.int64),
        quality=np.array([item.quality for item in items], np.uint8),
        disputed=np.array([item.disputed for item in items], np.uint32),
        hashes=columns,
    )


def write(path: Path, items: Sequence[Item], algorithms: Sequence[str] | None = None) -> Path:
    return write_compiled(
        path,
        rows_of(items, algorithms),
        snapshot=SNAPSHOT,
        role="known",
        sources=SOURCES,
        categories=CATEGORIES,
    )


def random_items(count: int, seed: int, algorithms: Sequence[str] = SEARCHED, *, distinct: int = 0) -> list[Item]:
    """Items of which about a quarter lacks each hash; ``distinct`` limits how many different values there are."""
    rng = np.random.default_rng(seed)
    pool = {name: [rng.bytes(ALGORITHMS[name].width) for _ in range(distinct or max(1, count))] for name in algorithms}
    items = []
    for row in range(count):
        hashes = {name: pool[name][int(rng.integers(len(pool[name])))] for name in algorithms if rng.random() < 0.75}
        items.append(
            Item(
                ref=f"réf-{row}" if row % 3 else "",
                source=int(rng.integers(len(SOURCES))),
                category=int(rng.integers(len(CATEGORIES) + 1)),
                media=int(rng.integers(4)),
                size=int(rng.choice([-1, 0, 1, 1 << 40])),
                quality=int(rng.integers(101)) if "pdq" in hashes else 255,
                disputed=mask_of(hashes) & int(rng.integers(1 << 32)),
                hashes=hashes,
            )
        )
    return items


def contents(compiled: CompiledList) -> list[Item]:
    """The items of a compiled list, read back through the public methods."""
    hashes: list[dict[str, bytes]] = [{} for _ in range(compiled.rows)]
    for name in compiled.algorithms:
        if ALGORITHMS[name].kind is Kind.EXACT:
            digests = compiled.digests(name)
            pairs = zip(digests.values, digests.rows.tolist(), strict=True)
        else:
            codes = compiled.codes(name)
            owner = np.repeat(np.arange(len(codes.codes)), np.diff(codes.starts.astype(np.int64)))
            pairs = zip(codes.codes[owner], codes.rows.tolist(), strict=True)
        for value, row in pairs:
            assert name not in hashes[row]
            hashes[row][name] = value.tobytes()
    columns: tuple[Any, ...] = (
        compiled.refs(range(compiled.rows)),
        compiled.row_sources().tolist(),
        compiled.row_categories().tolist(),
        compiled.row_media().tolist(),
        compiled.row_sizes().tolist(),
        compiled.row_quality().tolist(),
        compiled.row_disputed().tolist(),
        hashes,
    )
    return [Item(*values) for values in zip(*columns, strict=True)]


def assert_round_trip(path: Path, items: Sequence[Item], algorithms: Sequence[str] | None = None) -> None:
    write(path, items, algorithms)
    with CompiledList.open(path) as compiled:
        assert compiled.check() <= path.stat().st_size
        assert contents(compiled) == list(items)
        assert compiled.rows == len(items)
        assert compiled.snapshot == SNAPSHOT
        used = {name for item in items for name in item.hashes} | set(algorithms or ())
        assert compiled.algorithms == tuple(name for name in ALGORITHMS if name in used)
        assert compiled.meta == {
            "role": "known",
            "sources": [{"name": s, "entries": sum(i.source == n for i in items)} for n, s in enumerate(SOURCES)],
            "categories": [list(c) for c in CATEGORIES],
            "hashes": {name: sum(name in i.hashes for i in items) for name in used},
        }
        assert compiled.row_masks().tolist() == [mask_of(item.hashes) for item in items]


def test_nothing_is_disputed_where_nobody_says_so(tmp_path: Path) -> None:
    items = [Item(str(row), hashes={"md5": bytes(16)}) for row in range(3)]
    rows = rows_of(items)
    rows.disputed = None
    path = write_compiled(
        tmp_path / "a.hmx", rows, snapshot=SNAPSHOT, role="known", sources=SOURCES, categories=CATEGORIES
    )
    assert path.read_bytes() == write(tmp_path / "b.hmx", items).read_bytes()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 8, 9, 100, 1023, 1024, 1025])
def test_round_trip(tmp_path: Path, count: int) -> None:
    assert_round_trip(tmp_path / "a.hmx", random_items(count, seed=count))


@pytest.mark.parametrize("distinct", [1, 2, 10])
@pytest.mark.parametrize("count", [2, 200])
def test_round_trip_of_duplicates(tmp_path: Path, count: int, distinct: int) -> None:
    items = random_items(count, seed=5, distinct=distinct)
    assert_round_trip(tmp_path / "a.hmx", items)
    with CompiledList.open(tmp_path / "a.hmx") as compiled:
        codes = {item.hashes["pdq"] for item in items if "pdq" in item.hashes}
        assert [code.tobytes() for code in compiled.codes("pdq").codes] == sorted(codes)


@pytest.mark.parametrize("algorithm", SEARCHED)
@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x80", b"a"])
def test_round_trip_of_one_algorithm(tmp_path: Path, algorithm: str, fill: bytes) -> None:
    value = fill * ALGORITHMS[algorithm].width
    assert_round_trip(tmp_path / "a.hmx", [Item(hashes={algorithm: value}), Item(ref="zz"), Item(ref="")])


def test_columns_without_hashes(tmp_path: Path) -> None:
    assert_round_trip(tmp_path / "none.hmx", [], SEARCHED)
    assert_round_trip(tmp_path / "rows.hmx", [Item(), Item()], SEARCHED)
    assert_round_trip(tmp_path / "bare.hmx", [Item(), Item()])


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_round_trip_of_drawn_rows(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    item = st.builds(
        Item,
        ref=st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        source=st.integers(0, 1),
        category=st.integers(0, 2),
        media=st.integers(0, 3),
        size=st.integers(-1, 2**63 - 1),
        quality=st.just(255) | st.integers(0, 100),
        hashes=st.fixed_dictionaries(
            {},
            optional={
                name: st.sampled_from([b"\0", b"\xff", b"\1", b"\xfe"]).map(lambda b, w=ALGORITHMS[name].width: b * w)
                for name in ("md5", "sha512", "pdq", "phash", "photodna")
            },
        ),
    )
    items = data.draw(st.lists(item, max_size=12))
    for each in items:
        each.disputed = data.draw(st.sampled_from([0, 0, mask_of(each.hashes)]))
    assert_round_trip(tmp_path_factory.getbasetemp() / "drawn.hmx", items)


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    items = random_items(300, seed=3, distinct=40)
    first = write(tmp_path / "a.hmx", items).read_bytes()
    assert write(tmp_path / "b.hmx", items).read_bytes() == first
    assert write(tmp_path / "a.hmx", items).read_bytes() == first
    items[7].ref += "x"
    assert write(tmp_path / "a.hmx", items).read_bytes() != first


def test_non_contiguous_and_foreign_endian_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    items = random_items(50, seed=4)
    rows = rows_of(items)
    expected = write(tmp_path / "a.hmx", items).read_bytes()
    for name, column in rows.hashes.items():
        padded = np.zeros((2 * len(column.values), column.values.shape[1] + 3), np.uint8)
        padded[::2, :-3] = column.values
        column.values = padded[::2, :-3]
        column.rows = column.rows.astype(">u4")
        assert not column.values.flags.c_contiguous, name
    rows.source, rows.size = rows.source.astype(">u4"), rows.size.astype(">i8")
    rows.ref_offsets, rows.ref_text = rows.ref_offsets.astype(">u8"), bytearray(rows.ref_text)
    write_compiled(
        tmp_path / "b.hmx", rows, snapshot=SNAPSHOT, role="known", sources=SOURCES, categories=list(CATEGORIES)
    )
    assert (tmp_path / "b.hmx").read_bytes() == expected


def test_layout_as_documented(tmp_path: Path) -> None:
    """Byte by byte, without the package's own structures."""
    raw = write(tmp_path / "a.hmx", random_items(20, seed=1)).read_bytes()
    assert raw[:8] == b"\x89HMX\r\n\x1a\n"
    number = lambda at, size: int.from_bytes(raw[at : at + size], "little")  # noqa: E731
    count = number(12, 4)
    assert (number(8, 4), number(16, 8), number(24, 8)) == (1, len(raw), 20)
    assert raw[32:64] == SNAPSHOT
    table = raw[128 : 128 + 88 * count]
    assert raw[64:96] == hashlib.sha256(table).digest()
    assert raw[96:128] == hashlib.sha256(raw[:96]).digest()
    end = 128 + len(table)
    names = []
    for at in range(128, 128 + len(table), 88):
        offset, size = number(at + 32, 8), number(at + 40, 8)
        assert offset == -(-end // 4096) * 4096
        assert not any(raw[end:offset])
        assert number(at + 52, 4) == 0
        assert raw[at + 56 : at + 88] == hashlib.sha256(raw[offset : offset + size]).digest()
        names.append(raw[at : at + 32].rstrip(b"\0").decode())
        if names[-1] == "meta":
            meta = raw[offset : offset + size]
            assert (
                meta == json.dumps(json.loads(meta), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
            )
        end = offset + size
    assert end == len(raw)
    assert names[0] == "meta"
    assert len(set(names)) == count == 10 + 3 * len(SEARCHED)


def test_a_failed_write_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.hmx", random_items(10, seed=1))
    former = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "build_table", fail)
    with pytest.raises(StorageError, match="No space left"):
        write(path, random_items(11, seed=2))
    assert path.read_bytes() == former
    assert list(tmp_path.iterdir()) == [path]


def test_the_planned_sections_are_the_written_ones() -> None:
    rows = rows_of(random_items(10, seed=1))
    planned = list(build.section_names({name: len(column.rows) for name, column in rows.hashes.items()}))
    with ThreadPoolExecutor(1) as pool:
        assert planned == [section.name for section in build._sections(rows, b"{}", pool)]


@pytest.mark.parametrize("block", [1, 7, 64, 4096])
def test_the_size_of_blocks_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    items = random_items(60, seed=6, distinct=20)
    expected = write(tmp_path / "a.hmx", items).read_bytes()
    monkeypatch.setattr(section_writer, "BLOCK", block)
    monkeypatch.setattr(section_writer, "_START_DISK", 5 * block)
    assert write(tmp_path / "b.hmx", items).read_bytes() == expected


@pytest.mark.parametrize("advice", ["missing", "refused", "given"])
def test_the_disk_is_started_where_the_system_takes_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, advice: str
) -> None:
    items = random_items(60, seed=6)
    expected = write(tmp_path / "a.hmx", items).read_bytes()
    monkeypatch.setattr(section_writer, "_START_DISK", 1000)
    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    stretches: list[tuple[int, int]] = []

    def take(_: int, start: int, size: int, number: int) -> None:
        assert number == 4
        stretches.append((start, start + size))
        if advice == "refused":
            raise OSError(29, "Illegal seek")

    if advice == "missing":
        monkeypatch.delattr(os, "posix_fadvise", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fadvise", take, raising=False)
    assert write(tmp_path / "b.hmx", items).read_bytes() == expected
    # Each stretch begins where the one before ended: nothing is left for the end but the last of it.
    assert [start for start, _ in stretches] == [0, *(end for _, end in stretches)][: len(stretches)]
    assert (advice == "missing") == (not stretches)


@pytest.mark.parametrize("missing", ["", "posix_fadvise", "fdatasync"])
def test_what_is_cold_leaves_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(section_writer, "BLOCK", 100)
    monkeypatch.setattr(section_writer, "_START_DISK", 1000)
    monkeypatch.setattr(section_writer, "_start_disk", lambda *_: None)
    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    calls: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "fdatasync", lambda _: calls.append(("sync", 0, 0)), raising=False)

    def advise(_: int, start: int, size: int, number: int) -> None:
        assert number == 4
        calls.append(("give up", start, start + size))
        raise OSError(29, "Illegal seek")  # an advice may be refused

    monkeypatch.setattr(os, "posix_fadvise", advise, raising=False)
    if missing:
        monkeypatch.delattr(os, missing)
    names = ["a", "b", "c", "d"]
    with (tmp_path / "a").open("w+b") as file, SectionWriter(file, names) as writer:
        for name in names:
            writer.add(SectionData(name, 1, [b"x" * 7000], cold=name in "bc"))
        writer.finish(0, SNAPSHOT)
    if missing:
        assert not calls
        return
    assert [call[0] for call in calls] == ["sync", "give up"] * (len(calls) // 2)
    given_up = [(start, end) for what, start, end in calls if what == "give up"]
    # The second and third section, from the first byte on, without a gap, and all but the last bytes of them.
    assert given_up[0][0] == 8192 + 4096
    assert all(one[1] == other[0] for one, other in pairwise(given_up))
    assert given_up[0][0] + 8192 + 7000 - 1000 < given_up[-1][1] <= given_up[0][0] + 8192 + 7000


@pytest.mark.skipif(not hasattr(os, "fdatasync"), reason="no such call here")
def test_a_disk_that_fails_while_cold_sections_are_written_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(section_writer, "_START_DISK", 1000)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with (tmp_path / "a").open("w+b") as file, SectionWriter(file, ["a"]) as writer:
        writer.add(SectionData("a", 1, [b"x" * 1000]))
    with (
        (tmp_path / "a").open("w+b") as file,
        SectionWriter(file, ["a"]) as writer,
        pytest.raises(OSError, match="Input/output"),
    ):
        writer.add(SectionData("a", 1, [b"x" * 1000], cold=True))
        writer.finish(0, SNAPSHOT)


def test_a_section_is_done_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section_writer, "BLOCK", 100)
    written: list[int] = []
    done: list[tuple[str, int]] = []
    write_block = SectionWriter._write

    def slowly(self: SectionWriter, raw: Any) -> None:
        time.sleep(0.0001)
        write_block(self, raw)
        written.append(len(raw))

    monkeypatch.setattr(SectionWriter, "_write", slowly)
    with (tmp_path / "a").open("w+b") as file, SectionWriter(file, ["a", "b"]) as writer:
        for name in ("a", "b"):
            note = partial(lambda which: done.append((which, written.count(100))), name)
            writer.add(SectionData(name, 1, [b"x" * 5000], done=note))
        assert [name for name, _ in done] == ["a"]
        writer.finish(0, SNAPSHOT)
    assert [name for name, _ in done] == ["a", "b"]
    assert done[0][1] >= 50
    assert done[1][1] == 100


def test_blocks_wait_for_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made and not yet written stays below a limit, however slow the disk is."""
    monkeypatch.setattr(section_writer, "BLOCK", 100)
    made = written = most = 0
    write_block = SectionWriter._write

    def slowly(self: SectionWriter, raw: Any) -> None:
        nonlocal written
        time.sleep(0.001)
        write_block(self, raw)
        written += 1

    def blocks() -> Iterator[bytes]:
        nonlocal made, most
        for _ in range(200):
            made += 1
            most = max(most, made - written)
            yield b"x" * 100

    monkeypatch.setattr(SectionWriter, "_write", slowly)
    with (tmp_path / "a").open("w+b") as file, SectionWriter(file, ["a"]) as writer:
        writer.add(SectionData("a", 1, blocks()))
        writer.finish(0, SNAPSHOT)
    assert made == 200
    assert 1 < most <= section_writer.BLOCKS_IN_FLIGHT + 2


@pytest.mark.parametrize("names", [["a"], ["b", "a"], ["a", "b", "c"]])
def test_sections_that_were_not_planned_are_refused(tmp_path: Path, names: list[str]) -> None:
    with (
        (tmp_path / "a").open("w+b") as file,
        SectionWriter(file, names) as writer,
        pytest.raises(AssertionError, match="planned and written sections differ"),
    ):
        for name in ("a", "b"):
            writer.add(SectionData(name, 1, [b"x"]))
        writer.finish(0, SNAPSHOT)


@given(st.lists(st.binary(min_size=20, max_size=20), max_size=30), st.sampled_from([8, 9, 16, 20]))
def test_the_order_is_that_of_bytes_and_equal_ones_keep_theirs(texts: list[bytes], width: int) -> None:
    # Long equal beginnings, so that the leading bits alone do not decide.
    values = np.frombuffer(b"".join(b"\x07" * 6 + text for text in texts), np.uint8).reshape(-1, 26)[:, :width]
    expected = sorted(range(len(texts)), key=lambda row: (values[row].tobytes(), row))
    assert sort_order(values).tolist() == expected
