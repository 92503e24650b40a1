"""Deltas, diffs and merges: the life of entries carried from one list to another."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import (
    ConflictError,
    DeltaError,
    HashMatchError,
    ListDamagedError,
    RoleError,
    StorageError,
    UsageError,
)
from hashmatch.lists import delta as delta_module
from hashmatch.lists import merge as merge_module
from hashmatch.lists.blocks import Blocks
from hashmatch.lists.delta import write_delta
from hashmatch.lists.entry import Entry, Opinion
from hashmatch.lists.store import HashList
from hashmatch.lists.versions import changed_fields, key_changes, opinion_changes, opinion_differences, resolve


def md5(value: object) -> bytes:
    return hashlib.md5(str(value).encode(), usedforsecurity=False).digest()


def entry(ref: str, value: object = None, **fields: object) -> Entry:
    return Entry.make(ref, {"md5": md5(ref if value is None else value)}, **fields)  # type: ignore[arg-type]


@pytest.fixture
def known(tmp_path: Path) -> Iterator[HashList]:
    with HashList.open(tmp_path / "a.hml", create=True) as opened:
        yield opened


def written(known: HashList, path: Path, since: str, until: str | None = None) -> Path:
    with path.open("wb") as file:
        write_delta(known, file.write, since, until)
    return path


def content(known: HashList) -> list[object]:
    given_here = {name: known.history.opinions(number) for name, number in known.source_numbers().items()}
    gone = {name: known.history.withdrawn(number) for name, number in known.source_numbers().items()}
    return [
        list(known.entries()),
        {name: value for name, value in given_here.items() if value},
        {name: value for name, value in gone.items() if value},
    ]


def change_at_random(known: HashList, draw: random.Random) -> None:
    source = draw.choice(["S", "T"])
    refs = [f"{draw.randrange(60):02}" for _ in range(draw.choice([1, 3, 40]))]
    kind = draw.choice(["import", "import", "retract", "restore", "opinion"])
    if kind == "import" or source not in known.sources():
        made = {ref: entry(ref, draw.randrange(2), size=draw.choice([None, 5])) for ref in refs}
        known.import_entries(made.values(), source)
    elif kind == "retract":
        known.retract(source, refs, reason="r", allow_unseen=True)
    elif kind == "restore":
        known.restore(source, refs)
    else:
        present = [s.entry.ref for s in known.entries() if s.source == source]
        if present:
            known.give_opinion(
                source,
                [draw.choice(present)],
                draw.choice(["O", "P"]),
                affirmative=draw.choice([True, False, None]),
                reason=draw.choice(["", "why"]),
                algorithm=draw.choice(["", "md5"]),
            )


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_deltas_lead_where_the_list_went(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Between any two states of a list's life: what the delta does to a copy of the first makes the second."""
    draw = random.Random(seed)
    folder = tmp_path_factory.mktemp("delta")
    with HashList.open(folder / "a.hml", create=True) as known:
        states = [(0, content(known), known.snapshot)]
        shutil.copy(folder / "a.hml", folder / "0.hml")
        for _ in range(1, draw.randint(2, 9)):
            change_at_random(known, draw)
            number = known.history.next_number() - 1
            if number < len(states):  # it changed nothing
                continue
            shutil.copy(folder / "a.hml", folder / f"{number}.hml")
            states.append((number, content(known), known.snapshot))
        first = draw.randrange(len(states))
        until = draw.choice([None, draw.randrange(first, len(states))])
        target = states[-1 if until is None else until]
        try:
            path = written(known, folder / "d.jsonl", str(first), None if until is None else str(until))
        except UsageError as error:
            # An entry of the target was withdrawn later: its hashes are gone.
            if until is None or "was withdrawn after that snapshot" not in str(error):
                raise
            return
        assert written(
            known, folder / "again.jsonl", str(first), None if until is None else str(until)
        ).read_bytes() == (path.read_bytes())
    with HashList.open(folder / f"{first}.hml") as copy:
        summary = copy.apply_delta(path)
        assert content(copy) == target[1]
        assert copy.snapshot == target[2] == summary.target
        copy.check()
        before = copy.path.read_bytes()
        if summary.base != summary.target:
            with pytest.raises(DeltaError, match="applied already"):
                copy.apply_delta(path)
        assert copy.path.read_bytes() == before


@pytest.fixture
def lives(known: HashList, tmp_path: Path) -> tuple[HashList, Path]:
    """A list with a life, and a copy of it after its second change."""
    known.import_entries([entry(f"{n:03}", metadata={"n": n}) for n in range(300)], "S")
    known.retract("S", ["007"], reason="wrong")
    shutil.copy(known.path, tmp_path / "copy.hml")
    known.import_entries([entry("001", "corrected", category=("s", "c")), entry("new")], "S")
    known.give_opinion("S", ["002"], "Unit", affirmative=False, reason="no", algorithm="md5")
    known.retract("S", ["003"], reason="withdrawn")
    known.restore("S", ["007"])
    return known, tmp_path / "copy.hml"


def test_order_and_base(lives: tuple[HashList, Path], tmp_path: Path) -> None:
    known, copy = lives
    one = written(known, tmp_path / "1.jsonl", "2", "4")
    two = written(known, tmp_path / "2.jsonl", "4")
    with HashList.open(copy) as opened:
        with pytest.raises(DeltaError, match=r"leads on from .*has not reached.*apply the deltas before it first"):
            opened.apply_delta(two)
        assert opened.apply_delta(one).counts == {"put": 2, "remove": 0, "retract": 0, "restore": 0, "opinion": 1}
        with pytest.raises(DeltaError, match="is applied already"):
            opened.apply_delta(one)
        assert opened.apply_delta(two).counts == {"put": 0, "remove": 0, "retract": 1, "restore": 1, "opinion": 0}
        with pytest.raises(DeltaError, match="its target was reached with change 3"):
            opened.apply_delta(one)
        assert opened.snapshot == known.snapshot
        opened.import_entries([entry("own")], "S")
        with pytest.raises(DeltaError, match="its target was reached"):
            opened.apply_delta(two)
        known.import_entries([entry("later")], "S")
        three = written(known, tmp_path / "3.jsonl", "6")
        with pytest.raises(DeltaError, match=r"leads on from an earlier state .*the list has changed since"):
            opened.apply_delta(three)
        assert opened.check() == 300


def test_every_damage_is_refused(lives: tuple[HashList, Path], tmp_path: Path) -> None:
    """Cut anywhere, or one byte changed anywhere: an error that says where, and the list as it was."""
    known, copy = lives
    data = written(known, tmp_path / "d.jsonl", "2").read_bytes()
    before = copy.read_bytes()
    bad = tmp_path / "bad.jsonl"
    with HashList.open(copy) as opened:
        for at in range(len(data)):
            for damaged in (data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
                if damaged == data[:-1]:
                    continue  # only the last line end is gone
                bad.write_bytes(damaged)
                with pytest.raises(HashMatchError) as caught:
                    opened.apply_delta(bad)
                assert caught.value.exit_code == 3
                assert "bad.jsonl" in str(caught.value)
        assert opened.check() == 299
        assert copy.read_bytes() == before
        assert opened.apply_delta(tmp_path / "d.jsonl").target == known.snapshot


@pytest.mark.parametrize("text", ["id,md5\nx,00\n", "x\n", "[]\n", "{\n"])
def test_what_is_no_delta_at_all(known: HashList, tmp_path: Path, text: str) -> None:
    """Getting it again would not help: the message says what hash lists are read with."""
    path = tmp_path / "set.csv"
    path.write_text(text)
    with pytest.raises(DeltaError) as caught:
        known.apply_delta(path)
    assert str(caught.value) == (
        f"{path}: begins like no delta; expected the output of `hashmatch list delta`; the list was not changed: a "
        "hash list is read with `hashmatch list import`"
    )


def rewritten(path: Path, change: object) -> Path:
    """A delta whose lines were changed by somebody who knows how to make the digest of the last line."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = change(lines) or lines  # type: ignore[operator]
    body = "".join(json.dumps(line) + "\n" for line in lines[:-1])
    lines[-1]["sha256"] = hashlib.sha256(body.encode()).hexdigest()
    made = path.with_name("changed.jsonl")
    made.write_text(body + json.dumps(lines[-1]) + "\n")
    return made


def set_put(key: str, value: object):
    def change(lines: list[dict[str, dict[str, object]]]) -> None:
        next(line for line in lines if "put" in line)["put"][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_put("hashes", "AQAAAA=="), "no list writes"),
        (set_put("hashes", "AAAAAA=="), "without hashes"),
        (set_put("metadata", '{"a":' + "[" * 50_000 + "]" * 50_000 + "}"), "canonical"),
        (set_put("opinions", "[" * 50_000), "opinions"),
        (set_put("opinions", '[["' + "d41d8cd98f00b204" * 2 + '","O",true,""]]'), "opinions"),
        (set_put("category", ["", ""]), "category"),
        (set_put("category", ["a", "\0"]), "delta"),
        (set_put("hashes", "?"), "base64"),
        (set_put("hashes", 5), "no list writes"),
        (set_put("category", ["a"]), "category"),
        (set_put("category", "ab"), "category"),
        (set_put("size", -1), "size"),
        (set_put("size", True), "size"),
        (set_put("media_type", "sound"), "media type"),
        (set_put("metadata", "{ }"), "canonical"),
        (set_put("metadata", "[]"), "canonical"),
        (set_put("opinions", "[]"), "opinions"),
        (set_put("source", " S"), "name"),
        (set_put("source", ""), "without source"),
        (set_put("ref", "\0"), "delta"),
        (set_put("ref", "zzz"), "order"),
        (lambda lines: lines.__delitem__(1), "its last line says"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "order"),
        (lambda lines: [lines[0], {"other": {}}, *lines[1:]], "expected one of"),
        (lambda lines: [lines[0], {"put": []}, *lines[1:]], "expected one of"),
        (lambda lines: [lines[0], {"d41d8cd98f00b204" * 2: {}}, *lines[1:]], "found 32 characters; expected one of"),
        (lambda lines: [*lines[:-1], lines[-2], lines[-1]], "opinions that are not in order"),
        (lambda lines: lines[-2]["opinion"].update(organisation=""), "organisation"),
        (lambda lines: lines[-2]["opinion"].update(organisation=" O"), "organisation"),
        (lambda lines: lines[-2]["opinion"].update(algorithm="md4"), "algorithm"),
        (lambda lines: lines[-2]["opinion"].update(affirmative=1), "neither"),
        (lambda lines: lines[-2]["opinion"].update(reason=None), "reason"),
        (lambda lines: lines[-2]["opinion"].update(ref="zzz"), "an opinion on an entry that is not there"),
        (lambda lines: lines[0].update(hashmatch_delta=2), "version 1"),
        (lambda lines: lines[0].update(role="good"), "a list of role 'good'; expected 'known' or 'known-good'"),
        (lambda lines: lines[0].update(role=["known"]), "role"),
        (lambda lines: lines[0].pop("role") and None, "role"),
        (lambda lines: lines[0].update(base=5), "base and target"),
        (lambda lines: lines[0].update(target="00" * 32), "leads to"),
    ],
)
def test_forged_deltas(lives: tuple[HashList, Path], tmp_path: Path, change: object, message: str) -> None:
    known, copy = lives
    before = copy.read_bytes()
    path = rewritten(written(known, tmp_path / "d.jsonl", "2"), change)
    with HashList.open(copy) as opened:
        with pytest.raises(DeltaError, match=message) as caught:
            opened.apply_delta(path)
        assert "changed" in str(caught.value)
        assert "d41d8cd9" not in str(caught.value)
    assert copy.read_bytes() == before


def test_a_delta_of_a_list_of_the_other_role(lives: tuple[HashList, Path], tmp_path: Path) -> None:
    """The mistake and the error are those of `merge`."""
    known, copy = lives
    before = copy.read_bytes()
    path = rewritten(written(known, tmp_path / "d.jsonl", "2"), lambda lines: lines[0].update(role="known-good"))
    with HashList.open(copy) as opened, pytest.raises(RoleError) as caught:
        opened.apply_delta(path)
    assert str(caught.value) == (
        f"{path}: is of a list of role 'known-good'; {copy} is of role 'known'; nothing was changed: apply it to the "
        "list that it was made for"
    )
    assert caught.value.exit_code == 2
    assert copy.read_bytes() == before


def test_more_than_a_batch(known: HashList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_module, "_BATCH", 7)
    shutil.copy(known.path, tmp_path / "copy.hml")
    for source in ("B", "A"):
        known.import_entries([entry(f"{n:03}") for n in range(100)], source)
    with HashList.open(tmp_path / "copy.hml") as opened:
        opened.apply_delta(written(known, tmp_path / "d.jsonl", "0"))
        assert content(opened) == content(known)


def test_batches_of_bytes(known: HashList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits to be put in is bounded in bytes, and not only in entries."""
    monkeypatch.setattr(delta_module, "_BATCH_BYTES", 1000)
    shutil.copy(known.path, tmp_path / "copy.hml")
    known.import_entries([entry(f"{n:03}", metadata={"k": "x" * 300}) for n in range(50)], "S")
    sizes: list[int] = []
    real = Blocks.apply

    def apply(self: Blocks, source: int, changes: Sequence[Any], *rest: Any) -> None:
        sizes.append(len(changes))
        real(self, source, changes, *rest)

    monkeypatch.setattr(Blocks, "apply", apply)
    with HashList.open(tmp_path / "copy.hml") as opened:
        opened.apply_delta(written(known, tmp_path / "d.jsonl", "0"))
        assert content(opened) == content(known)
    assert sum(sizes) == 50
    assert max(sizes) < 5


def test_sources_stand_in_the_order_of_their_names(known: HashList, tmp_path: Path) -> None:
    """Whatever the order in which the list came to know them; so do the opinions."""
    shutil.copy(known.path, tmp_path / "copy.hml")
    for source in "TSU":
        known.import_entries([entry("b"), entry("a")], source)
        for organisation in "PO":
            known.give_opinion(source, ["b", "a"], organisation, affirmative=False)
    path = written(known, tmp_path / "d.jsonl", "0")
    found = [next(iter(json.loads(line).values())) for line in path.read_text().splitlines()[1:-1]]
    keys = [(record["source"], record["ref"], record.get("organisation", "")) for record in found]
    assert keys[:6] == [(source, ref, "") for source in "STU" for ref in "ab"]
    assert keys[6:] == [(source, ref, who) for source in "STU" for ref in "ab" for who in "OP"]
    with HashList.open(tmp_path / "copy.hml") as opened:
        opened.apply_delta(path)
        assert content(opened) == content(known)


def test_lists_that_differ_in_opinions_only(known: HashList, tmp_path: Path) -> None:
    known.import_entries([entry("a"), entry("b")], "S")
    known.give_opinion("S", ["a"], "O", affirmative=True)
    known.give_opinion("S", ["b"], "O", affirmative=True)
    shutil.copy(known.path, tmp_path / "copy.hml")
    known.give_opinion("S", ["a"], "O", affirmative=False)
    known.give_opinion("S", ["b"], "P", affirmative=False, algorithm="md5")
    with HashList.open(tmp_path / "copy.hml", read_only=True) as other, known.reading(), other.reading():
        assert list(opinion_differences(known, other)) == [
            ("S", "a", Opinion("", "O", False), Opinion("", "O", True)),
            ("S", "b", Opinion("md5", "P", False), None),
        ]
        assert list(opinion_differences(other, other)) == []


def test_a_withdrawn_hash_is_in_no_delta(known: HashList, tmp_path: Path) -> None:
    known.import_entries([entry("a"), entry("b")], "S")
    known.retract("S", ["a"])
    with pytest.raises(UsageError, match="withdrawn after that snapshot"):
        written(known, tmp_path / "d.jsonl", "0", "1")
    path = written(known, tmp_path / "d.jsonl", "0")
    assert md5("a").hex() not in path.read_text()
    with pytest.raises(UsageError, match="would lead back"):
        written(known, tmp_path / "d.jsonl", "2", "1")


def test_resolve(lives: tuple[HashList, Path]) -> None:
    known, _ = lives
    snapshots = [change.snapshot.hex() for change in known.history.changes()]
    assert resolve(known, "0") == resolve(known, known.empty_snapshot()[:8]) == 0
    assert resolve(known, snapshots[1][:8].upper()) == 2
    assert resolve(known, "6") == resolve(known, snapshots[-1]) == 6
    for wrong in ("7", "", snapshots[0][:7], "-1", "zz" * 8, "0" * 64, "1.5"):
        with pytest.raises(UsageError, match="list log"):
            resolve(known, wrong)


def test_changes_and_their_fields(lives: tuple[HashList, Path]) -> None:
    known, _ = lives
    with known.reading():
        found = {changed.ref: changed for changed in key_changes(known, 2)}
        assert sorted(found) == ["001", "003", "007", "new"]
        before, after = found["001"].before.row, found["001"].after.row
        assert before is not None
        assert after is not None
        assert [tuple(field) for field in changed_fields(before, after)] == [
            ("category", "", "s:c"),
            ("metadata n", "1", ""),
            ("md5", "a hash", "another hash"),
        ]
        assert (found["003"].before.row, found["003"].after.retracted, found["003"].after.reason) == (
            None,
            True,
            "withdrawn",
        )
        assert (found["007"].before.retracted, found["007"].after) == (True, (None, None, False, ""))
        assert found["new"].before.content is None
        assert [c.ref for c in key_changes(known, 2, 2)] == []
        [opinion] = opinion_changes(known, 2)
        assert opinion == ("S", "002", None, Opinion("md5", "Unit", False, "no"))


class TestMerge:
    def test_each_keeps_what_its_source_said(self, known: HashList, tmp_path: Path) -> None:
        known.import_entries([entry("a"), entry("b"), entry("gone")], "S")
        with HashList.open(tmp_path / "b.hml", create=True) as other:
            other.import_entries([entry("b"), entry("c"), entry("gone")], "S")
            other.import_entries([entry("b", "of T")], "T")
            other.retract("S", ["gone"], reason="wrong")
            other.give_opinion("S", ["b"], "O", affirmative=False)
            theirs = content(other)
            summary = known.merge(other)
            assert summary.counts() == {
                "added": 2, "replaced": 0, "unchanged": 1, "kept": 0, "retracted": 0, "withdrawn": 1, "opinions": 1,
            }  # fmt: skip
            assert content(other) == theirs
        assert [(s.source, s.entry.ref) for s in known.entries()] == [("S", "a"), ("S", "b"), ("S", "c"), ("T", "b")]
        assert known.history.opinions(1) == {"b": [Opinion("", "O", False)]}
        assert known.check() == 4
        again = known.merge(HashList.open(tmp_path / "b.hml", read_only=True))
        assert (again.added, again.unchanged, again.opinions, again.withdrawn) == (0, 3, 0, 0)

    @pytest.mark.parametrize(("choice", "expected"), [("ours", "1"), ("theirs", "2")])
    def test_conflicts(self, known: HashList, tmp_path: Path, choice: str, expected: str) -> None:
        known.import_entries([entry("a", 1)], "S")
        known.give_opinion("S", ["a"], "O", affirmative=True)
        before = known.snapshot
        with HashList.open(tmp_path / "b.hml", create=True) as other:
            other.import_entries([entry("a", 2)], "S")
            other.give_opinion("S", ["a"], "O", affirmative=False)
            with pytest.raises(
                ConflictError, match=r"2 entries and opinions \('a' of 'S', 'a' of 'S'\).*--on-conflict"
            ):
                known.merge(other)
            assert known.snapshot == before
            known.merge(other, on_conflict=choice)
        [stored] = known.entries()
        assert stored.entry.hashes["md5"] == md5(expected)
        [opinion] = known.history.opinions(1)["a"]
        assert opinion.affirmative == (choice == "ours")
        known.check()

    def test_an_error_names_the_list_that_it_is_of(self, known: HashList, tmp_path: Path) -> None:
        known.import_entries([entry("a")], "S")
        with HashList.open(tmp_path / "b.hml", create=True) as other:
            other.import_entries([entry(f"{n}", metadata={"k": "x" * 100}) for n in range(2000)], "S")
            (pages,) = known._connection.execute("PRAGMA page_count").fetchone()
            known._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
            with pytest.raises(StorageError, match=r"a\.hml: .*full"):
                known.merge(other)
            known._connection.execute("PRAGMA max_page_count = 1073741823")
            other._connection.execute("UPDATE block SET rows = 5")
            with pytest.raises(ListDamagedError, match=r"b\.hml: is damaged"):
                known.merge(other)
        assert known.check() == 1

    def test_batches_of_bytes(self, known: HashList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(merge_module, "_BATCH_BYTES", 1)
        with HashList.open(tmp_path / "b.hml", create=True) as other:
            other.import_entries([entry(f"{n}") for n in range(2000)], "S")
            assert known.merge(other).added == 2000
            assert known.snapshot == other.snapshot

    def test_what_we_withdrew_stays_withdrawn(self, known: HashList, tmp_path: Path) -> None:
        known.import_entries([entry("a"), entry("b")], "S")
        with HashList.open(tmp_path / "b.hml", create=True) as other:
            other.import_entries([entry("a"), entry("b")], "S")
            other.give_opinion("S", ["a"], "O", affirmative=True)
            known.retract("S", ["a"])
            assert known.merge(other).retracted == 1
        assert [s.entry.ref for s in known.entries()] == ["b"]
        assert known.check() == 1

    def test_refusals(self, known: HashList, tmp_path: Path) -> None:
        with HashList.open(tmp_path / "g.hml", create=True, role="known-good") as good:
            with pytest.raises(RoleError, match="role 'known-good'"):
                known.merge(good)
            with pytest.raises(UsageError, match="on_conflict"):
                known.merge(good, on_conflict="newer")
        with pytest.raises(UsageError, match="with itself"), HashList.open(known.path, read_only=True) as same:
            known.merge(same)
        assert not list(known.history.changes())
