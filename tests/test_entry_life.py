"""What several words about one entry come to, and that what is withdrawn is nowhere any more."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.errors import AuditUnwritableError, RecordError, UsageError
from hashmatch.lists.audit import AuditWriter
from hashmatch.lists.cache import cache_path
from hashmatch.lists.entry import Entry, Opinion, Retraction, opinions_of
from hashmatch.lists.store import HashList
from hashmatch.lists.versions import life


def sha256(*value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()


def entry(ref: str, value: object = None, **fields: object) -> Entry:
    return Entry.make(ref, {"sha256": sha256(ref if value is None else value)}, **fields)  # type: ignore[arg-type]


@pytest.fixture
def known(tmp_path: Path) -> Iterator[HashList]:
    with HashList.open(tmp_path / "a.hml", create=True) as opened:
        yield opened


class TestWithinOneInput:
    @pytest.mark.parametrize("first", ["entry", "retraction"])
    def test_an_entry_with_other_content_and_its_withdrawal(self, known: HashList, first: str) -> None:
        known.import_entries([entry("a", 1), entry("b")], "S")
        items = [entry("a", 2), Retraction("a", "wrong")]
        summary = known.import_entries(items if first == "entry" else items[::-1], "S")
        assert (summary.replaced, summary.withdrawn) == (1, 1)
        assert [stored.entry.ref for stored in known.entries()] == ["b"]
        assert [tuple(event) for event in life(known, "S", "a")] == [(1, "added"), (2, "retracted: wrong")]
        assert [(f.since, f.ended, f.row) for f in known.history.former(1, "a")] == [(1, 2, None)]
        assert known.check() == 1

    def test_an_entry_that_is_new_and_its_withdrawal(self, known: HashList) -> None:
        known.import_entries([entry("a"), Retraction("a")], "S")
        assert [tuple(event) for event in life(known, "S", "a")] == [(1, "added"), (1, "retracted")]
        assert known.check() == 0

    def test_one_origin_written_in_two_ways(self, known: HashList) -> None:
        """Names are composed before they are compared: these are one source, and contradict each other in it."""
        composed, decomposed = "\u00e9", "e\u0301"
        items = [entry("b", origin=decomposed), entry("a", origin=composed), entry("b", "other", origin=composed)]
        with pytest.raises(RecordError, match=r"record 3: .*stands in an earlier record"):
            known.import_entries(items, "S")
        items += [Retraction("a", "", decomposed)]
        assert known.import_entries(items, "S", skip_invalid=True).counts() == {
            "records": 4, "added": 2, "replaced": 0, "unchanged": 0, "withdrawn": 1, "retracted": 0, "hashless": 0,
            "empty_digests": 0, "invalid": 1,
        }  # fmt: skip
        assert [(stored.source, stored.entry) for stored in known.entries()] == [("S \u00e9", entry("b"))]
        assert known.check() == 1


GOOD = entry("a")


@pytest.mark.parametrize(
    "wrong",
    [
        GOOD._replace(category=("", "")),
        GOOD._replace(category=("a",)),  # type: ignore[arg-type]
        GOOD._replace(category=["a", "b"]),  # type: ignore[arg-type]
        GOOD._replace(category=("a", "b\0")),
        GOOD._replace(media_type="sound"),
        GOOD._replace(media_type=["image"]),  # type: ignore[arg-type]
        GOOD._replace(size=1.5),  # type: ignore[arg-type]
        GOOD._replace(size=True),
        GOOD._replace(metadata="{"),
        GOOD._replace(metadata="[]"),
        GOOD._replace(metadata='{"a": 1}'),
        GOOD._replace(metadata='{"a":' + "[" * 100_000 + "]" * 100_000 + "}"),
        GOOD._replace(packed=GOOD.packed[:-1]),
        GOOD._replace(packed=b"\xff" * 36),
        GOOD._replace(packed="text"),  # type: ignore[arg-type]
        GOOD._replace(dropped="x"),  # type: ignore[arg-type]
        GOOD._replace(opinions='[["","O",true,5]]'),
        GOOD._replace(opinions="[" * 100_000),
        Retraction(""),
        Retraction("a\0"),
        Retraction("\udc80"),
        Retraction("a", "\udc80"),
        Retraction(5),  # type: ignore[arg-type]
        "text",
        None,
    ],
)
def test_what_no_reader_would_let_pass(known: HashList, wrong: Entry) -> None:
    with pytest.raises(RecordError, match="record 2: found ") as caught:
        known.import_entries([entry("z"), wrong], "S")
    assert GOOD.packed[4:].hex()[:8] not in str(caught.value)
    assert known.import_entries([entry("z"), wrong], "S", skip_invalid=True).invalid == 1
    assert known.check() == 1


@pytest.mark.parametrize("reason", ["\udc80", "a\0"])
def test_reasons_are_text(known: HashList, reason: str) -> None:
    known.import_entries([entry("a")], "S")
    with pytest.raises(UsageError, match="the reason holds"):
        known.retract("S", ["a"], reason=reason)
    with pytest.raises(UsageError, match="the reason holds"):
        known.give_opinion("S", ["a"], "O", affirmative=True, reason=reason)
    assert known.info().entries == 1


def test_opinions_of_other_types() -> None:
    assert opinions_of('[["","O",true,"r"]]') == (Opinion("", "O", True, "r"),)
    for text in (
        '[["","O",true,5]]',
        '[["",5,true,""]]',
        '[["","O",1,""]]',
        '[["","O",true,null]]',
        "5",
        "[" * 100_000,
    ):
        with pytest.raises(ValueError, match="no import writes"):
            opinions_of(text)


class TestNothingIsLeft:
    @pytest.mark.parametrize("seed", [1, 2])
    def test_of_withdrawn_hashes_in_the_file(self, tmp_path: Path, seed: int) -> None:
        """Entries in random order, replaced again and again, so that pages of the file are split and filled anew."""
        draw = random.Random(seed)
        secrets: dict[str, set[bytes]] = {}
        path = tmp_path / "a.hml"
        with HashList.open(path, create=True) as known:
            for version in range(4):
                chosen = [f"{number:06}" for number in draw.sample(range(6000), 3000)]
                for ref in chosen:
                    secrets.setdefault(ref, set()).add(sha256(ref, version))
                known.import_entries(
                    [Entry.make(r, {"sha256": sha256(r, version)}, metadata={"x": "y" * (len(r) + version)})
                     for r in chosen],
                    "S",
                )  # fmt: skip
            gone = draw.sample(sorted(secrets), len(secrets) // 2)
            for at in range(0, len(gone), 500):
                known.retract("S", gone[at : at + 500])
            assert known.check() == len(secrets) - len(gone)
        data = path.read_bytes()
        kept = [value for ref in secrets.keys() - set(gone) for value in secrets[ref]]
        # The check sees what is there, but for a few that two pages share.
        assert sum(value in data for value in kept) > 0.99 * len(kept)
        assert not [ref for ref in gone if any(value in data for value in secrets[ref])]

    def test_in_the_compiled_form_beside_the_list(self, known: HashList) -> None:
        known.import_entries([entry("a"), entry("b")], "S")
        known.compile(cache_path(known.path))
        known.import_entries([entry("c")], "S")
        assert cache_path(known.path).exists()
        known.import_entries([Retraction("a")], "S")
        assert not cache_path(known.path).exists()

    def test_where_the_log_fails_behind_the_commit(self, known: HashList, monkeypatch: pytest.MonkeyPatch) -> None:
        known.import_entries([entry("a"), entry("b")], "S")
        known.compile(cache_path(known.path))

        def full(*_: object) -> int:
            raise AuditUnwritableError("the disk is full")

        monkeypatch.setattr(AuditWriter, "append", full)
        with pytest.raises(AuditUnwritableError, match="The list was changed"):
            known.retract("S", ["a"])
        assert not cache_path(known.path).exists()

    def test_where_the_program_ends_right_behind_the_commit(
        self, known: HashList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known.import_entries([entry("a"), entry("b")], "S")
        known.compile(cache_path(known.path))
        there: list[bool] = []

        def interrupted(*_: object) -> int:
            there.append(cache_path(known.path).exists())
            raise KeyboardInterrupt

        monkeypatch.setattr(AuditWriter, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            known.retract("S", ["a"])
        assert there == [False]

    def test_a_refused_retraction_costs_no_compiled_form(self, known: HashList) -> None:
        known.import_entries([entry("a")], "S")
        known.compile(cache_path(known.path))
        with pytest.raises(UsageError, match="has no entry"):
            known.retract("S", ["misspelt"])
        assert cache_path(known.path).exists()
