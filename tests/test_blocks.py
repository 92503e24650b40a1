"""Blocks: what goes in comes out, and the same entries make the same blocks whatever the way that they came."""

from __future__ import annotations

import hashlib
import random
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import ListDamagedError, RecordError
from hashmatch.lists import block, blocks, importer
from hashmatch.lists.block import Row, cut, decode, encode, ends_block, pack_tags, unpack_tags
from hashmatch.lists.blocks import Blocks, StoredBlock
from hashmatch.lists.entry import Entry, Opinion, Retraction
from hashmatch.lists.store import HashList

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
REFS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6)
ENTRIES = st.builds(
    Entry.make,
    hashes=st.fixed_dictionaries(
        {"md5": st.binary(min_size=16, max_size=16)},
        optional={
            "sha1": st.binary(min_size=20, max_size=20),
            "pdq": st.binary(min_size=32, max_size=32),
            "lace": st.binary(min_size=129, max_size=129),
        },
    ),
    quality=st.sampled_from([None, {"pdq": 0}, {"pdq": 100}]),
    category=st.none() | st.tuples(TEXT, TEXT.filter(bool)),
    media_type=st.sampled_from(["", "image", "video", "other"]),
    size=st.none() | st.integers(0, 2**63 - 1),
    metadata=st.none() | st.dictionaries(TEXT, TEXT | st.integers(), max_size=2),
    opinions=st.lists(
        st.builds(Opinion, st.sampled_from(["", "md5"]), TEXT.filter(bool), st.booleans(), TEXT),
        max_size=2,
        unique_by=lambda opinion: opinion[:2],
    ),
)


def row(ref: str, entry: Entry, tag: int = 1) -> Row:
    _, category, media, size, metadata, packed, _, opinions, _ = entry
    return (ref, category, media, size, metadata, packed, opinions, tag)


def md5(value: object) -> bytes:
    return hashlib.md5(str(value).encode(), usedforsecurity=False).digest()


@given(st.dictionaries(REFS, ENTRIES, min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_encode_and_decode(entries: dict[str, Entry], tag: int) -> None:
    rows = [row(ref, entries[ref], tag) for ref in sorted(entries)]
    encoded = encode(rows)
    assert decode(encoded, [tag] * len(rows)) == rows
    # The parts of a block leave no room for other bytes, and none is missed.
    for damaged in (encoded[:-1], encoded + b"\0", encoded[1:], b""):
        with pytest.raises(ValueError):  # noqa: PT011 - which part does not fit is of no concern
            decode(damaged, [tag] * len(rows))


@given(st.dictionaries(REFS, ENTRIES, min_size=1, max_size=6), st.data())
def test_a_damaged_block_is_an_error_or_other_rows(entries: dict[str, Entry], data: st.DataObject) -> None:
    """Digests are compared before decoding; this is about what no digest protects from: a crash, or rows too many."""
    rows = [row(ref, entries[ref]) for ref in sorted(entries)]
    encoded = bytearray(encode(rows))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(bytes(encoded), [1] * len(rows))
    except ValueError:
        return
    assert len(found) == len(rows)
    assert found != rows


def test_tags() -> None:
    assert unpack_tags(pack_tags([0, 7, 2**32 - 1])) == (0, 7, 2**32 - 1)
    packed = bytearray(pack_tags([1, 2, 3]))
    for at in range(len(packed)):
        packed[at] ^= 1
        with pytest.raises(ValueError, match="damaged"):
            unpack_tags(bytes(packed))
        packed[at] ^= 1
    for length in (0, 3, 5, len(packed) - 4):
        with pytest.raises(ValueError, match="damaged"):
            unpack_tags(bytes(packed[:length]))


@pytest.mark.parametrize("cap", ["MAX_ROWS", "MAX_BYTES"])
def test_cut(monkeypatch: pytest.MonkeyPatch, cap: str) -> None:
    """Every row stands in one block; a block ends at a boundary, or where its run is too long."""
    monkeypatch.setattr(block, cap, {"MAX_ROWS": 50, "MAX_BYTES": 3000}[cap])
    rows = [row(f"r{number:05}", Entry.make("", {"md5": md5(number)})) for number in range(3000)]
    pieces = list(cut(rows))
    assert [r for _, _, chosen in pieces for r in chosen] == rows
    assert max(part for part, *_ in pieces) > 1
    part = -1
    for at, (found, encoded, chosen) in enumerate(pieces):
        assert encoded == encode(chosen)
        assert len(chosen) <= 50 or cap == "MAX_BYTES"
        assert not any(ends_block(r[0]) for r in chosen[:-1])
        assert found == part + 1
        part = -1 if ends_block(chosen[-1][0]) else found
        assert ends_block(chosen[-1][0]) or at == len(pieces) - 1 or len(chosen) > 20


@given(st.lists(REFS, min_size=1, max_size=300, unique=True))
def test_where_blocks_end(refs: list[str]) -> None:
    """The rule for one reference and the rule for many are one."""
    made = Entry.make("", {"md5": bytes(16)})
    refs = sorted({*refs, *(f"ref {number}" for number in range(300))})
    pieces = [chosen for _, _, chosen in cut([row(ref, made) for ref in refs])]
    assert [r[0] for chosen in pieces for r in chosen] == refs
    inside = [ends_block(r[0]) for chosen in pieces for r in chosen[:-1]]
    assert not any(inside)
    assert all(ends_block(chosen[-1][0]) for chosen in pieces[:-1])
    assert len(pieces) > 1


def test_a_row_larger_than_a_block_may_be() -> None:
    large = row("a", Entry.make("a", {"md5": md5(1)}, metadata={"k": "x" * (2 * block.MAX_BYTES)}))
    rows = [large, row("b", Entry.make("b", {"md5": md5(2)})), ("c", *large[1:])]
    assert [(part, len(chosen)) for part, _, chosen in cut(rows)] == [(0, 1), (1, 1), (2, 1)]


def digests(known: HashList) -> dict[str, list[bytes]]:
    return {name: known.blocks.digests(number) for name, number in known.source_numbers().items()}


@pytest.mark.parametrize(
    ("gathered", "run", "step", "most", "a_block"),
    [
        (1 << 16, 128, 160, 4096, 256),
        (300, 7, 3, 4096, 256),
        (90, 5, 1, 4, 256),
        (300, 20, 2, 30, 256),
        (90, 5, 1, 4, 1),
        (90, 20, 2, 4096, 30),
    ],
)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_against_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, gathered: int, run: int, step: int, most: int, a_block: int, seed: int
) -> None:
    """Random imports, replacements, retractions and restorations, in random order, beside a dictionary of the truth.

    Small caps make runs, merges and parts of few entries.
    """
    draw = random.Random(seed)
    folder = tmp_path_factory.mktemp("blocks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importer, "_GATHERED_ROWS", gathered)
        patch.setattr(importer, "_CHUNK", 40)
        patch.setattr(importer, "_RUN_ROWS", run)
        patch.setattr(importer, "_STEP", step)
        patch.setattr(importer, "_ROWS_A_BLOCK", a_block)
        patch.setattr(block, "MAX_ROWS", most)
        truth: dict[str, Entry] = {}
        gone: set[str] = set()
        with HashList.open(folder / "a.hml", create=True) as known:
            for _ in range(draw.randint(1, 5)):
                refs = [f"{draw.randrange(900):03}" for _ in range(draw.choice([1, 5, 400]))]
                if draw.random() < 0.3:
                    refs.sort()
                made = {ref: Entry.make(ref, {"md5": md5((ref, draw.randrange(2)))}) for ref in refs}
                # What comes twice in one input says the same twice.
                summary = known.import_entries([made[ref] for ref in refs], "S")
                fresh = {ref: entry for ref, entry in made.items() if ref not in gone}
                assert summary.added == len(fresh.keys() - truth.keys())
                assert summary.replaced == sum(truth.get(ref, entry) != entry for ref, entry in fresh.items())
                assert summary.retracted + summary.added + summary.replaced + summary.unchanged == len(refs)
                truth |= fresh
                chosen = draw.sample(sorted(truth), min(len(truth), draw.choice([0, 1, 30, 900])))
                assert known.retract("S", chosen) == (len(chosen), 0)
                gone |= set(chosen)
                for ref in chosen:
                    del truth[ref]
                back = draw.sample(sorted(gone), len(gone) // 2)
                assert known.restore("S", back) == len(back)
                gone -= set(back)
                assert [stored.entry for stored in known.entries()] == [truth[ref] for ref in sorted(truth)]
                assert known.check() == len(truth)
            ref = draw.choice(sorted(truth)) if truth else "nothing"
            number = known.source_numbers()["S"]
            found = known.blocks.find(number, ref)
            assert (found is None) == (not truth)
            with HashList.open(folder / "b.hml", create=True) as other:
                shuffled = list(truth.values())
                draw.shuffle(shuffled)
                other.import_entries(shuffled, "S")
                if gone:
                    other.retract("S", sorted(gone), allow_unseen=True)
                assert digests(other) == digests(known)
                assert other.snapshot == known.snapshot


@pytest.mark.parametrize("a_block", [256, 1])
def test_runs_of_one_input_contradict_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, a_block: int) -> None:
    """The first record of a reference stands, wherever the second comes: in the same run, in a later one, behind what
    was added at once, or among it.
    """
    monkeypatch.setattr(importer, "_ROWS_A_BLOCK", a_block)
    monkeypatch.setattr(importer, "_GATHERED_ROWS", 10)
    monkeypatch.setattr(importer, "_CHUNK", 5)
    order = [*range(20, 40), *range(10), 25, 3, 35, 39, *range(50, 60), 55]
    entries = [Entry.make(f"{n:02}", {"md5": md5((n, at))}) for at, n in enumerate(order)]
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        with pytest.raises(RecordError, match="stands in an earlier record"):
            known.import_entries(entries, "S")
        assert known.check() == 0
        summary = known.import_entries(entries, "S", skip_invalid=True)
        assert (summary.added, summary.invalid, summary.unchanged) == (40, 5, 0)
        firsts = {f"{n:02}": md5((n, order.index(n))) for n in order}
        assert {s.entry.ref: s.entry.hashes["md5"] for s in known.entries()} == firsts
        assert sorted(p.partition("record ")[2].partition(":")[0] for p in summary.problems) == [
            "31", "32", "33", "34", "45",
        ]  # fmt: skip


@pytest.mark.parametrize("a_block", [256, 1])
def test_a_contradiction_of_what_the_list_held_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, a_block: int
) -> None:
    """The first record repeats what the list has, which changes nothing; a later one says otherwise."""
    monkeypatch.setattr(importer, "_ROWS_A_BLOCK", a_block)
    monkeypatch.setattr(importer, "_GATHERED_ROWS", 10)
    monkeypatch.setattr(importer, "_CHUNK", 5)
    entries = [Entry.make(f"{n:03}", {"md5": md5(n)}) for n in range(400)]
    other = [Entry.make(f"{n:03}", {"md5": md5("other")}) for n in (3, 200, 399)]
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries(entries, "S")
        with pytest.raises(RecordError, match=r"record 401: .*stands in an earlier record"):
            known.import_entries([*entries, *other], "S")
        summary = known.import_entries([*entries[5:], *other, *entries[:3]], "S", skip_invalid=True)
        # 003 is news: this input did not say it before.
        assert (summary.replaced, summary.invalid, summary.unchanged) == (1, 2, 398)
        assert known.check() == 400


def test_numbers_that_gain_a_digit_make_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 stands before 9: what counts comes back to where it was, but touches little of what is there."""
    monkeypatch.setattr(importer, "_GATHERED_ROWS", 3000)
    kept = []
    keep = importer.Importer._keep
    monkeypatch.setattr(importer.Importer, "_keep", lambda self, *of: (kept.append(1), keep(self, *of)))
    entries = [Entry.make(str(n), {"md5": md5(n)}) for n in range(1, 20_001)]
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        assert known.import_entries(entries, "S").added == 20_000
        assert not kept
        assert known.check() == 20_000
        shuffled = random.Random(1).sample(entries, len(entries))
        with HashList.open(tmp_path / "b.hml", create=True) as other:
            assert other.import_entries(shuffled, "S").added == 20_000
            assert kept
            assert digests(other) == digests(known)


def test_touches(tmp_path: Path) -> None:
    refs = [f"{n:05}" for n in range(4000)]
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries([Entry.make(ref, {"md5": md5(ref)}) for ref in refs], "S")
        (number,) = known.source_numbers().values()
        for wanted in (["00000"], ["0", "00001x"], refs[::50], refs[1000:3000], [*refs[-30:], "9", "9x"], ["9"], []):
            lasts = [rows[-1][0] for rows in known.blocks.rows(number)]
            touched = {next((last for last in lasts if last >= ref), None) for ref in wanted} - {None}
            for most in (0, 1, len(touched) - 1, len(touched), len(touched) + 1):
                if most >= 0:
                    assert known.blocks.touches(number, wanted, most) == (len(touched) > most)


def test_what_a_reader_leaves_in_cycles_is_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector is off during an import, which must not keep what a reader leaves in cycles to the end."""
    monkeypatch.setattr(importer, "_GATHERED_ROWS", 100)
    monkeypatch.setattr(importer, "_CHUNK", 50)

    class Piece:
        def __init__(self) -> None:
            self.own = self

    alive: weakref.WeakSet[Piece] = weakref.WeakSet()
    most = 0

    def entries() -> Iterator[Entry]:
        nonlocal most
        for number in range(5000):
            if not number % 10:
                alive.add(Piece())
                most = max(most, len(alive))
            yield Entry.make(f"{number:05}", {"md5": md5(number)})

    with HashList.open(tmp_path / "a.hml", create=True) as known:
        assert known.import_entries(entries(), "S").added == 5000
    assert most < 50


def test_sources_within_an_input(tmp_path: Path) -> None:
    """Entries and withdrawals of several members of an organisation come in one file, in any order."""
    items = [Entry.make(str(n), {"md5": md5(n)}, origin=f"member {n % 3}") for n in range(300)]
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries([*items, Retraction("7", "wrong", "member 1"), Retraction("900", "", "member 2")], "NCMEC")
        assert known.info().sources == {"NCMEC": 0, "NCMEC member 0": 100, "NCMEC member 1": 99, "NCMEC member 2": 100}
        again = known.import_entries(items, "NCMEC")
        assert (again.added, again.replaced, again.unchanged, again.retracted) == (0, 0, 299, 1)
        assert known.check() == 299


def test_find_and_newer_than(tmp_path: Path) -> None:
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries([Entry.make(f"{n:04}", {"md5": md5(n)}) for n in range(2000)], "S")
        known.import_entries([Entry.make("0700", {"md5": md5("new")})], "S")
        number = known.source_numbers()["S"]
        found = known.blocks.find(number, "0700")
        assert found is not None
        assert (found[0], found[7]) == ("0700", 2)
        assert known.blocks.find(number, "0700x") is None
        [rows] = known.blocks.rows(number, newer_than=1)
        assert [r[0] for r in rows if r[7] > 1] == ["0700"]
        [former] = known.history.former(number, "0700")
        assert (former.since, former.ended) == (1, 2)
        assert former.row is not None
        assert former.row[5][4:] == md5(700)
        known.retract("S", ["0700"])
        assert [(f.since, f.ended, f.row) for f in known.history.former(number, "0700")] == [(1, 2, None), (2, 3, None)]


@pytest.mark.parametrize("cap", ["MAX_ROWS", "MAX_BYTES"])
def test_a_run_without_end_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cap: str) -> None:
    """References may be chosen so that no block ends; what is added behind them makes the parts of all at once, and is
    added without reading those before the last.
    """
    monkeypatch.setattr(block, cap, {"MAX_ROWS": 30, "MAX_BYTES": 1500}[cap])
    draw = random.Random(1)
    refs = [ref for ref in (f"{n:05}" for n in range(1000)) if not ends_block(ref)]
    made = [Entry.make(r, {"md5": md5(r)}, metadata={"k": "x" * draw.randrange(60)}) for r in refs]
    read: list[str] = []
    real = Blocks.verified

    def verified(self: Blocks, stored: StoredBlock) -> list[Row]:
        read.append(stored.last)
        return real(self, stored)

    with (
        HashList.open(tmp_path / "a.hml", create=True) as known,
        HashList.open(tmp_path / "b.hml", create=True) as whole,
    ):
        whole.import_entries(made, "S")
        monkeypatch.setattr(Blocks, "verified", verified)
        at = imports = 0
        while at < len(made):
            step = draw.choice([1, 2, 29, 30, 31, 100])
            known.import_entries(made[at : at + step], "S")
            at += step
            imports += 1
        assert len(read) == imports - 1
        # One that ends a block, then one behind it.
        for extra in ([next(r for r in (f"z{n}" for n in range(9999)) if ends_block(r))], ["zz"]):
            entries = [Entry.make(r, {"md5": md5(r)}) for r in extra]
            known.import_entries(entries, "S")
            whole.import_entries(entries, "S")
        assert digests(known) == digests(whole)
        assert known.snapshot == whole.snapshot
        with HashList.open(tmp_path / "c.hml", create=True) as other:
            other.import_entries([stored.entry for stored in whole.entries()][::-1], "S")
            assert other.snapshot == known.snapshot
        assert known.check() == len(made) + 2


def test_parts_whose_beginning_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "MAX_ROWS", 3)
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries([Entry.make(f"{n:04}", {"md5": md5(n)}) for n in range(20)], "S")
        known._connection.execute("DELETE FROM block WHERE part = 0")
        with pytest.raises(ListDamagedError, match="the part before it is gone"):
            known.retract("S", ["0019"])


@given(st.lists(st.integers(0, 99), unique=True), st.lists(st.integers(0, 99), unique=True), st.integers(0, 3))
def test_few_changes(held: list[int], changed: list[int], answer: int) -> None:
    """Looking for what changes leads to what a table of all does; both ask in order."""
    entry = Entry.make("", {"md5": md5(0)})
    rows = [row(f"{n:02}", entry) for n in sorted(held)]
    changes = [(f"{n:02}", row(f"{n:02}", entry, 2) if n % 3 else None) for n in sorted(changed)]
    asked: list[tuple[Row | None, Row | None]] = []

    def judge(old: Row | None, new: Row | None) -> Row | None:
        asked.append((old, new))
        return [new, old, None, new or old][answer]

    before = list(rows)
    few, asked_few = blocks._merge_few(rows, changes, judge), asked.copy()
    assert rows == before
    asked.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_FEW", len(rows) + 1)
        if changes:
            assert blocks._merge(rows, changes, judge, None) == few
            assert asked == asked_few
    assert [found[0] for found in few] == sorted({found[0] for found in few})


@pytest.mark.parametrize("longer", [False, True])
def test_a_block_that_is_overwritten(tmp_path: Path, longer: bool) -> None:
    """It keeps its number, and nothing of what stood there is left in the file."""
    path = tmp_path / "a.hml"
    made = [Entry.make(f"{n:04}", {"md5": md5(n)}, metadata={"k": "x" * 300}) for n in range(2000)]
    with HashList.open(path, create=True) as known:
        known.import_entries(made, "S")
        numbers = known._connection.execute("SELECT id, last FROM block ORDER BY last").fetchall()
        other = made[700]._replace(packed=made[700].packed[:4] + md5("new"))
        if longer:
            other = other._replace(metadata='{"k":"' + "y" * 40_000 + '"}')
        assert known.import_entries([other], "S").replaced == 1
        assert known._connection.execute("SELECT id, last FROM block ORDER BY last").fetchall() == numbers
        assert known.check() == 2000
    assert md5("new") in path.read_bytes()
    with HashList.open(path) as known:
        known.retract("S", ["0700"])
        assert known.check() == 1999
    left = path.read_bytes()
    assert md5(700) not in left
    assert md5("new") not in left


def test_importing_again_what_gained_a_digit_makes_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs would leave free pages behind, as many as the list has."""
    monkeypatch.setattr(importer, "_GATHERED_ROWS", 3000)
    kept = []
    keep = importer.Importer._keep
    monkeypatch.setattr(importer.Importer, "_keep", lambda self, *of: (kept.append(1), keep(self, *of)))
    entries = [Entry.make(str(n), {"md5": md5(n)}) for n in (*range(1000, 3000), *range(9000, 30_000))]
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries(entries, "S")
        summary = known.import_entries(entries, "S")
        assert (summary.added, summary.unchanged, summary.replaced) == (0, len(entries), 0)
        assert not kept
