"""Splicing: the same bytes as compiling anew, whatever was removed, put in, renamed or renumbered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_build import CATEGORIES, SNAPSHOT, SOURCES, Item, mask_of, rows_of
from test_build import write as write_items
from test_compiled import LIES, Handmade, items_for_lies, patched

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import (
    CompiledListDamagedError,
    CompiledListError,
    CompiledListTruncatedError,
    StorageError,
    UsageError,
)
from hashmatch.index import hamming, joining, section_writer, splice
from hashmatch.index.build import HashColumn, Rows, write_compiled
from hashmatch.index.compiled import CompiledList
from hashmatch.index.splice import splice_compiled

OTHER_SNAPSHOT = bytes(reversed(range(32)))


@dataclass(frozen=True)
class Record:
    """An entry in plain Python: names instead of numbers."""

    ref: str = "r"
    source: str = "a"
    category: tuple[str, str] | None = None
    media: int = 1
    size: int = -1
    quality: int = 255
    disputed: bool = False
    hashes: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Named:
    """Rows with the names that their numbers stand for."""

    rows: Rows
    sources: list[str]
    categories: list[tuple[str, str]]

    @classmethod
    def of(cls, records: Sequence[Record], all_records: Sequence[Record] | None = None) -> Named:
        """Rows of ``records``, numbered for a list of ``all_records``."""
        everyone = records if all_records is None else all_records
        sources = sorted({record.source for record in everyone})
        categories = sorted({record.category for record in everyone if record.category})
        items = [
            Item(
                ref=record.ref,
                source=sources.index(record.source),
                category=categories.index(record.category) + 1 if record.category else 0,
                media=record.media,
                size=record.size,
                quality=record.quality,
                disputed=mask_of(record.hashes) if record.disputed else 0,
                hashes=record.hashes,
            )
            for record in records
        ]
        return cls(rows_of(items), sources, categories)


Change = tuple[set[int], list[tuple[int, Record]]]


def applied(former: Sequence[Record], change: Change) -> list[Record]:
    removed, put = change
    result = []
    for row in range(len(former) + 1):
        result += [record for before, record in put if before == row]
        result += [former[row]] if row < len(former) and row not in removed else []
    return result


def write(path: Path, records: Sequence[Record], snapshot: bytes = SNAPSHOT, role: str = "known") -> Path:
    named = Named.of(records)
    return write_compiled(
        path, named.rows, snapshot=snapshot, role=role, sources=named.sources, categories=named.categories
    )


def spliced(folder: Path, former: Sequence[Record], change: Change, *, verify: bool = True) -> bytes:
    """The bytes of a spliced file."""
    removed, put = change
    after = applied(former, change)
    named = Named.of([record for _, record in put], after)
    with CompiledList.open(write(folder / "former.hmx", former), verify=verify) as opened:
        splice_compiled(
            opened,
            folder / "spliced.hmx",
            np.array(sorted(removed), np.int64),
            named.rows,
            np.array([before for before, _ in put], np.int64),
            snapshot=OTHER_SNAPSHOT,
            role="known",
            sources=named.sources,
            categories=named.categories,
        )
    return (folder / "spliced.hmx").read_bytes()


def assert_same(folder: Path, former: Sequence[Record], change: Change) -> None:
    expected = write(folder / "anew.hmx", applied(former, change), OTHER_SNAPSHOT).read_bytes()
    found = spliced(folder, former, change)
    if found != expected:  # which section, and not half a megabyte of bytes
        with CompiledList.open(folder / "anew.hmx") as one, CompiledList.open(folder / "spliced.hmx") as other:
            assert other.meta == one.meta
            assert list(other.sections.values()) == list(one.sections.values())
    assert found == expected


@given(st.data(), st.integers(1, 200), st.sampled_from([0, 1 << 30]))
def test_items_are_joined_either_way(data: st.DataObject, count: int, sparse: int) -> None:
    """Item by item, and in stretches from one change to the next."""
    removed = sorted(data.draw(st.sets(st.integers(0, count - 1), max_size=20)))
    before = sorted(data.draw(st.lists(st.integers(0, count), max_size=20)))
    part = np.arange(2 * count, dtype=np.uint32).reshape(-1, 2)
    new = np.arange(1000, 1000 + 2 * len(before), dtype=np.uint32).reshape(-1, 2)
    expected = []
    for at in range(count + 1):
        expected += [new[place].tolist() for place, position in enumerate(before) if position == at]
        expected += [part[at].tolist()] if at < count and at not in removed else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "_SPARSE", sparse)
        found = joining.joined(part, np.array(removed, np.int64), new, np.array(before, np.int64))
    assert found.dtype == part.dtype
    assert found.tolist() == expected


@contextmanager
def small_limits(block: int, ring: int) -> Iterator[None]:
    """Blocks of a few bytes, and ring tables for a few hashes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (splice, joining):
            patch.setattr(module, "items_per_block", lambda width: max(1, block // width))
        patch.setattr(splice, "BLOCK", block)
        patch.setattr(splice, "_LONG", block // 2)
        patch.setattr(hamming, "RING_MINIMUM", ring)
        yield


def hashes_of(names: Sequence[str], fills: Sequence[bytes]) -> st.SearchStrategy[dict[str, bytes]]:
    def value(name: str) -> st.SearchStrategy[bytes]:
        width = ALGORITHMS[name].width
        # Equal ones, and ones that differ in their last byte alone.
        return st.tuples(st.sampled_from(fills), st.sampled_from([b"", b"\x55"])).map(
            lambda parts: (parts[0] * width)[: width - len(parts[1])] + parts[1]
        )

    return st.fixed_dictionaries({}, optional={name: value(name) for name in names})


RECORDS = st.builds(
    Record,
    ref=st.text("aé€", max_size=4),
    source=st.sampled_from("abcd"),
    category=st.sampled_from([None, ("x", "1"), ("x", "2"), ("y", "1")]),
    media=st.integers(0, 3),
    size=st.sampled_from([-1, 0, 1 << 40]),
    quality=st.sampled_from([0, 100, 255]),
    disputed=st.booleans(),
    hashes=hashes_of(("md5", "sha1", "pdq", "phash", "photodna"), [b"\0", b"\1", b"\xff", b"ab"]),
)


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[Record], Change]:
    former = draw(st.lists(RECORDS, max_size=25))
    rows = range(len(former))
    removed = draw(st.sets(st.sampled_from(rows)) if former else st.just(set[int]()))
    put = draw(st.lists(st.tuples(st.integers(0, len(former)), RECORDS), max_size=25))
    return former, (removed, sorted(put, key=lambda pair: pair[0]))


@given(changes(), st.sampled_from([4, 40, 4 << 20]))
@settings(max_examples=100, deadline=None)
def test_drawn_changes(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[list[Record], Change], block: int
) -> None:
    with small_limits(block, 1 << 16):
        assert_same(tmp_path_factory.getbasetemp(), *drawn)


@given(changes(), st.sampled_from([1, 5]))
@settings(max_examples=20, deadline=None)
def test_drawn_changes_with_ring_tables(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[list[Record], Change], ring: int
) -> None:
    with small_limits(40, ring):
        assert_same(tmp_path_factory.getbasetemp(), *drawn)


def random_records(count: int, seed: int, *, distinct: int = 1 << 30) -> list[Record]:
    """Records that mostly have all hashes, of which some occur often."""
    rng = np.random.default_rng(seed)
    records = []
    for row in range(count):
        hashes = {}
        for name in ("md5", "sha256", "pdq", "dhash", "photodna"):
            if rng.random() < 0.9:
                hashes[name] = np.random.default_rng(int(rng.integers(distinct))).bytes(ALGORITHMS[name].width)
        source = "abcdefgh"[int(rng.integers(8))]
        category = ("scheme", str(int(rng.integers(5)))) if rng.random() < 0.5 else None
        records.append(Record(f"{seed}-{row}", source, category, size=int(rng.integers(1 << 40)), hashes=hashes))
    return records


def random_change(former: Sequence[Record], remove: int, put: int, seed: int, distinct: int = 1 << 30) -> Change:
    rng = np.random.default_rng(seed)
    removed = set(rng.permutation(len(former))[:remove].tolist())
    places = np.sort(rng.integers(0, len(former) + 1, put)).tolist()
    return removed, list(zip(places, random_records(put, seed + 1, distinct=distinct), strict=True))


@pytest.mark.parametrize("distinct", [3, 100, 1 << 30])
@pytest.mark.parametrize(("count", "remove", "put"), [(700, 30, 40), (700, 650, 30), (90, 0, 900), (0, 0, 50)])
def test_random_changes(tmp_path: Path, count: int, remove: int, put: int, distinct: int) -> None:
    former = random_records(count, seed=count, distinct=distinct)
    with small_limits(999, 300):
        assert_same(tmp_path, former, random_change(former, remove, put, 5, distinct))


def test_references_of_all_lengths(tmp_path: Path) -> None:
    """Short ones are joined, long stretches are written from where they lie: in turn, and between changes."""
    former = [Record("é" * (row * 37 % 900), "a") for row in range(60)]
    put = [(row, Record(str(row) * (row * 41 % 500), "a")) for row in (0, 0, 1, 7, 7, 30, 31, 59, 60)]
    for removed in (set[int](), {0, 7, 30, 31, 59}, {1, 2, 3}, set(range(20, 50))):
        for part in (put, []):
            with small_limits(800, 1 << 16):
                assert_same(tmp_path, former, (removed, part))


def test_everything_goes(tmp_path: Path) -> None:
    former = random_records(20, seed=1)
    assert_same(tmp_path, former, (set(range(20)), []))
    assert_same(tmp_path, former, (set(range(20)), [(0, Record())]))
    assert_same(tmp_path, former, (set(range(20)), [(20, Record())]))


def test_nothing_changes_but_the_snapshot(tmp_path: Path) -> None:
    assert_same(tmp_path, random_records(20, seed=1), (set(), []))
    assert_same(tmp_path, [], (set(), []))


def test_every_row_is_replaced_in_its_place(tmp_path: Path) -> None:
    former = random_records(50, seed=2)
    assert_same(tmp_path, former, (set(range(50)), list(enumerate(random_records(50, seed=3)))))


def test_a_hash_stays_while_a_row_bears_it(tmp_path: Path) -> None:
    code = {"pdq": b"\x07" * 32, "md5": b"\x07" * 16}
    former = [Record(str(row), hashes=code) for row in range(5)]
    for removed in ({0}, {4}, {1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3, 4}):
        assert_same(tmp_path, former, (removed, []))
        # One that goes comes back by another row, before, between and behind.
        for before in range(6):
            assert_same(tmp_path, former, (removed, [(before, Record("new", hashes=code))]))


@pytest.mark.parametrize("gained", [True, False])
def test_algorithms_sources_and_categories_come_and_go(tmp_path: Path, gained: bool) -> None:
    plain = [Record(str(row), "m", ("s", "2"), hashes={"sha1": bytes([row]) * 20}) for row in range(6)]
    other = Record("new", "b", ("s", "1"), hashes={"md5": b"m" * 16, "pdq": b"p" * 32, "whash": b"w" * 8})
    for before in (0, 3, 6):
        with_other = [*plain[:before], other, *plain[before:]]
        if gained:
            assert_same(tmp_path, plain, (set(), [(before, other)]))
        else:
            assert_same(tmp_path, with_other, ({before}, []))


@pytest.mark.parametrize("distinct", [700, 1 << 30])
def test_ring_tables_come_and_go_at_the_real_limit(tmp_path: Path, distinct: int) -> None:
    """One hash less or more than the limit, and a table of prefixes that gains or loses a bit."""
    rng = np.random.default_rng(1)
    minimum = hamming.RING_MINIMUM
    values = rng.integers(0, 256, (min(distinct, minimum + 9), 8), dtype=np.uint8)
    values = values[rng.integers(0, len(values), minimum + 9)]
    values[:200] = values[200:400]

    def rows(some: Any) -> Rows:
        count = len(values[some])
        column = HashColumn(values[some], np.arange(count, dtype=np.uint32))
        digests = HashColumn(np.tile(values[some], 2), np.arange(count, dtype=np.uint32))
        number = np.zeros(count, np.uint32)
        return Rows(
            b"ab" * count,
            np.arange(count + 1, dtype=np.uint64) * np.uint64(2),
            number,
            number,
            number.astype(np.uint8),
            number.astype(np.int64),
            number.astype(np.uint8),
            {"md5": digests, "phash": column},
        )

    more, less = np.arange(minimum + 9), np.arange(minimum + 9) % 6000 != 1
    named: dict[str, Any] = {"snapshot": SNAPSHOT, "role": "known", "sources": ["a"], "categories": []}
    write_compiled(tmp_path / "more.hmx", rows(more), **named)
    write_compiled(tmp_path / "less.hmx", rows(less), **named)
    others = np.flatnonzero(~less)
    assert len(more) >= minimum > np.count_nonzero(less)
    with CompiledList.open(tmp_path / "more.hmx") as one, CompiledList.open(tmp_path / "less.hmx") as other:
        assert one.has_ring("phash")
        assert not other.has_ring("phash")
        assert len(one.digests("md5").table) > len(other.digests("md5").table)
        splice_compiled(one, tmp_path / "a.hmx", others, rows(others[:0]), others[:0], **named)
        before = others - np.arange(len(others))
        splice_compiled(other, tmp_path / "b.hmx", others[:0], rows(others), before, **named)
    assert (tmp_path / "a.hmx").read_bytes() == (tmp_path / "less.hmx").read_bytes()
    assert (tmp_path / "b.hmx").read_bytes() == (tmp_path / "more.hmx").read_bytes()


def test_many_splices_one_after_the_other(tmp_path: Path) -> None:
    """Each from the file that the former one wrote, in its own place."""
    records = random_records(200, seed=8, distinct=150)
    path = write(tmp_path / "list.hmx", records)
    for seed in range(10):
        change = random_change(records, 15, 20, seed, distinct=150)
        records = applied(records, change)
        named = Named.of([record for _, record in change[1]], records)
        with CompiledList.open(path) as former:
            splice_compiled(
                former,
                path,
                np.array(sorted(change[0])),
                named.rows,
                np.array([before for before, _ in change[1]]),
                snapshot=SNAPSHOT,
                role="known",
                sources=named.sources,
                categories=named.categories,
            )
    assert path.read_bytes() == write(tmp_path / "anew.hmx", records).read_bytes()
    with CompiledList.open(path) as opened:
        opened.check()


@pytest.mark.parametrize("name", [item.name for item in kernels.implementations() if item.available])
def test_every_implementation_of_the_kernels(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
    former = random_records(300, seed=4, distinct=200)
    with small_limits(1000, 100):
        assert_same(tmp_path, former, random_change(former, 40, 60, 3, 200))


# ---------------------------------------------------------------------- what is refused


def call(folder: Path, former: Sequence[Record], **changed: Any) -> Path:
    put = [Record("new", "a", hashes={"md5": b"n" * 16})]
    named = Named.of(put)
    arguments: dict[str, Any] = {
        "removed": np.array([1], np.int64),
        "inserted": named.rows,
        "before": np.array([1], np.int64),
        "snapshot": SNAPSHOT,
        "role": "known",
        "sources": ["a"],
        "categories": [("s", "1")],
    } | changed
    with CompiledList.open(write(folder / "former.hmx", former)) as opened:
        return splice_compiled(opened, folder / "new.hmx", **arguments)


PLAIN = [Record(str(row), "a", ("s", "1"), hashes={"md5": bytes([row]) * 16, "pdq": b"p" * 32}) for row in range(4)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"removed": np.array([4])}, "there are 4 rows"),
        ({"removed": np.array([-1])}, "there are 4 rows"),
        ({"removed": np.array([1, 1])}, "do not ascend"),
        ({"removed": np.array([2, 1])}, "do not ascend"),
        ({"before": np.array([5])}, "there are 4 rows"),
        ({"before": np.array([-1])}, "there are 4 rows"),
        ({"before": np.array([1, 1])}, "found 2 places"),
        ({"before": np.array([], np.int64)}, "found 0 places"),
        ({"sources": ["b"]}, "source 'a' is missing and still has 3 rows"),
        ({"sources": []}, "there are 0 sources"),
        ({"categories": []}, "row.category"),
    ],
)
def test_wrong_calls(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    call(tmp_path, PLAIN)  # as it stands it is right
    former = (tmp_path / "new.hmx").read_bytes()
    with pytest.raises(UsageError, match=message):
        call(tmp_path, PLAIN, **changed)
    assert (tmp_path / "new.hmx").read_bytes() == former
    assert sorted(path.name for path in tmp_path.iterdir()) == ["former.hmx", "new.hmx"]


SECTIONS = [
    "meta",
    "ref.offsets",
    "ref.text",
    "row.source",
    "row.category",
    "row.media",
    "row.size",
    "row.quality",
    "row.disputed",
    "row.mask",
    "md5.values",
    "md5.rows",
    "md5.table",
    "pdq.codes",
    "pdq.starts",
    "pdq.rows",
]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_damaged_former_list_is_an_error(tmp_path: Path, section: str) -> None:
    path = write(tmp_path / "former.hmx", PLAIN)
    with CompiledList.open(path) as opened:
        assert set(opened.sections) == set(SECTIONS)
        place = opened.sections[section]
        raw = path.read_bytes()
    at = place.offset + place.size // 2
    with patched(path, at, bytes([raw[at] ^ 1])), CompiledList.open(path) as opened:
        named = Named.of([])
        with pytest.raises(CompiledListDamagedError, match=section.partition(".")[0]):
            splice_compiled(
                opened,
                tmp_path / "new.hmx",
                np.array([1]),
                named.rows,
                np.zeros(0, np.int64),
                snapshot=SNAPSHOT,
                role="known",
                sources=["a"],
                categories=[("s", "1")],
            )
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", LIES)
def test_a_former_list_that_lies(tmp_path: Path, name: str) -> None:
    """Checksums that agree with a structure that does not: an error, or a file in which `check` finds the lie."""
    items = items_for_lies()
    put = replace(items[0], ref="new", category=0)
    expected = write_items(tmp_path / "anew.hmx", [items[0], put, items[2], items[3], items[4]])
    made = Handmade.read(write_items(tmp_path / "model.hmx", items).read_bytes())
    LIES[name](made)
    (tmp_path / "lie.hmx").write_bytes(made.raw())
    with CompiledList.open(tmp_path / "lie.hmx") as former:
        try:
            splice_compiled(
                former,
                tmp_path / "new.hmx",
                np.array([1]),
                rows_of([put]),
                np.array([1]),
                snapshot=SNAPSHOT,
                role="known",
                sources=SOURCES,
                categories=CATEGORIES,
            )
        except (CompiledListError, UsageError):
            assert not (tmp_path / "new.hmx").exists()
            return
    with CompiledList.open(tmp_path / "new.hmx") as opened:
        if (tmp_path / "new.hmx").read_bytes() != expected.read_bytes():
            with pytest.raises(CompiledListDamagedError):
                opened.check()


def test_a_former_list_that_was_cut_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "former.hmx", PLAIN)
    with CompiledList.open(path) as opened:
        with path.open("r+b") as file:
            file.truncate(5000)
        named = Named.of([])
        with pytest.raises(CompiledListTruncatedError):
            splice_compiled(
                opened,
                tmp_path / "new.hmx",
                np.array([1]),
                named.rows,
                np.zeros(0, np.int64),
                snapshot=SNAPSHOT,
                role="known",
                sources=["a"],
                categories=[("s", "1")],
            )


@pytest.mark.parametrize("after", [0, 3, 15, 40])
def test_a_failed_write_leaves_the_former_file_and_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    call(tmp_path, PLAIN)
    former = (tmp_path / "new.hmx").read_bytes()
    write_block = section_writer.SectionWriter._write
    done = iter(range(1000))

    def fail(self: section_writer.SectionWriter, raw: Any) -> None:
        if next(done) >= after:
            raise OSError(28, "No space left on device")
        write_block(self, raw)

    monkeypatch.setattr(section_writer.SectionWriter, "_write", fail)
    with pytest.raises(StorageError, match="No space left"):
        categories = [("s", "1"), *(("scheme", str(number)) for number in range(5))]
        call(tmp_path, [*PLAIN, *random_records(20, 1)], sources=list("abcdefgh"), categories=categories)
    assert (tmp_path / "new.hmx").read_bytes() == former
    assert sorted(path.name for path in tmp_path.iterdir()) == ["former.hmx", "new.hmx"]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("hashmatch-")]
