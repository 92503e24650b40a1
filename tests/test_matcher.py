"""Matching policy: verdicts, radii, the quality rule, conflicts, known-good lists."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashmatch import HashList, HashRecord, Matcher, Verdict
from hashmatch import matcher as matcher_module
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import (
    CompiledListError,
    FileExistsAlreadyError,
    ListError,
    ListNotFoundError,
    RadiusError,
    RoleError,
    StorageError,
    UnknownAlgorithmError,
    UsageError,
)
from hashmatch.lists.entry import Entry
from hashmatch.matcher import DISPUTED

PDQ = bytes(range(32))


def flip(code: bytes, *bits: int) -> bytes:
    value = int.from_bytes(code)
    for bit in bits:
        value ^= 1 << bit
    return value.to_bytes(len(code))


def digests(value: str) -> dict[str, bytes]:
    return {name: hashlib.new(name, value.encode()).digest() for name in ("md5", "sha1", "sha256")}


@pytest.fixture
def make(tmp_path: Path):
    """A function that makes a list of entries and opens a matcher on it."""
    opened = []
    number = 0

    def build(entries, *, good=None, source="S", **options) -> Matcher:
        nonlocal number
        number += 1
        path = tmp_path / f"known{number}.hml"
        with HashList.open(path, create=True) as known:
            known.import_entries(entries, source)
        if good is not None:
            allow = tmp_path / f"good{number}.hml"
            with HashList.open(allow, create=True, role="known-good") as listed:
                listed.import_entries(good, "NSRL")
            options["allow"] = allow
        matcher = Matcher.open(path, **options)
        opened.append(matcher)
        return matcher

    yield build
    for matcher in opened:
        matcher.close()


class TestVerdicts:
    def test_exact(self, make) -> None:
        matcher = make([Entry.make("a", digests("x"), category=("interpol", "baseline"), media_type="image")])
        result = matcher.match(HashRecord("q", {"md5": digests("x")["md5"]}))
        assert result.verdict is Verdict.EXACT
        [match] = result.matches
        assert (match.source, match.entry, match.algorithm, match.distance, match.radius) == ("S", "a", "md5", 0, 0)
        assert match.category == ("interpol", "baseline")
        assert match.media_type == "image"
        assert (match.agrees, match.disagrees) == (("md5",), ())

    def test_none(self, make) -> None:
        result = make([Entry.make("a", digests("x"))]).match(HashRecord("q", digests("y")))
        assert result.verdict is Verdict.NONE
        assert result.matches == ()

    @pytest.mark.parametrize(("bits", "verdict"), [(0, "near"), (31, "near"), (32, "none")])
    def test_near_is_inclusive_of_the_radius(self, make, bits: int, verdict: str) -> None:
        matcher = make([Entry.make("a", {"pdq": PDQ})])
        result = matcher.match(HashRecord("q", {"pdq": flip(PDQ, *range(bits))}, {"pdq": 100}))
        assert result.verdict.value == verdict
        assert [m.distance for m in result.matches] == ([bits] if verdict == "near" else [])

    def test_radius_per_algorithm(self, make) -> None:
        entries = [Entry.make("a", {"pdq": PDQ, "phash": bytes(8)})]
        record = HashRecord("q", {"pdq": flip(PDQ, 1, 2, 3), "phash": flip(bytes(8), 1, 2, 3)})
        result = make(entries, radius={"pdq": 2, "phash": 3}).match(record)
        assert [(m.algorithm, m.distance, m.radius) for m in result.matches] == [("phash", 3, 3)]

    def test_conflict_of_digests(self, make) -> None:
        matcher = make([Entry.make("a", digests("x"))])
        record = HashRecord("q", digests("x") | {"sha1": digests("y")["sha1"]})
        result = matcher.match(record)
        assert result.verdict is Verdict.CONFLICT
        assert {m.algorithm for m in result.matches} == {"md5", "sha256"}
        assert result.matches[0].agrees == ("md5", "sha256")
        assert result.matches[0].disagrees == ("sha1",)

    def test_conflict_of_size(self, make) -> None:
        matcher = make([Entry.make("a", digests("x"), size=10)])
        assert matcher.match(HashRecord("q", digests("x"), size=10)).verdict is Verdict.EXACT
        assert matcher.match(HashRecord("q", digests("x"))).verdict is Verdict.EXACT
        result = matcher.match(HashRecord("q", digests("x"), size=11))
        assert result.verdict is Verdict.CONFLICT
        assert result.matches[0].disagrees == ("size",)

    def test_different_digests_of_a_near_match_are_no_conflict(self, make) -> None:
        matcher = make([Entry.make("a", digests("x") | {"pdq": PDQ}, size=10)])
        result = matcher.match(HashRecord("q", digests("y") | {"pdq": PDQ}, size=11))
        assert result.verdict is Verdict.NEAR
        assert result.matches[0].disagrees == ()

    def test_conflict_outranks_an_exact_match_of_another_entry(self, make) -> None:
        matcher = make(
            [Entry.make("a", digests("x")), Entry.make("b", {"md5": digests("x")["md5"], "sha1": bytes(20)})]
        )
        result = matcher.match(HashRecord("q", digests("x")))
        assert result.verdict is Verdict.CONFLICT
        assert [(m.entry, m.algorithm) for m in result.matches] == [
            ("a", "md5"),
            ("a", "sha1"),
            ("a", "sha256"),
            ("b", "md5"),
        ]

    def test_unreadable_unless_a_digest_matches(self, make) -> None:
        matcher = make([Entry.make("a", digests("x"))])
        broken = {"status": "unreadable", "reason": "truncated"}
        assert matcher.match(HashRecord("q", digests("y"), **broken)).verdict is Verdict.UNREADABLE
        assert matcher.match(HashRecord("q", {}, **broken)).verdict is Verdict.UNREADABLE
        assert matcher.match(HashRecord("q", digests("x"), **broken)).verdict is Verdict.EXACT

    def test_photodna(self, make) -> None:
        code = bytes([100] * 144)
        matcher = make([Entry.make("a", {"photodna": code})])
        near = bytes([100 + 16] * 144)  # 144 * 16^2 = 36,864
        assert matcher.match(HashRecord("q", {"photodna": near})).matches[0].distance == 36_864
        far = bytes([100 + 17] * 144)  # 41,616
        assert matcher.match(HashRecord("q", {"photodna": far})).verdict is Verdict.NONE

    def test_opaque_hashes_are_never_matched(self, make) -> None:
        matcher = make([Entry.make("a", {"zz40": bytes(16), "md5": bytes(16)})])
        assert matcher.match(HashRecord("q", {"zz40": bytes(16)})).verdict is Verdict.NONE
        assert "zz40" not in matcher.algorithms

    def test_duplicates_across_sources_are_all_reported(self, make, tmp_path: Path) -> None:
        path = tmp_path / "many.hml"
        with HashList.open(path, create=True) as known:
            for source in ("B", "A"):
                known.import_entries([Entry.make(f"{source}{i}", {"pdq": PDQ}) for i in range(3)], source)
        with Matcher.open(path) as matcher:
            result = matcher.match(HashRecord("q", {"pdq": PDQ}))
        assert [(m.source, m.entry) for m in result.matches] == [(s, f"{s}{i}") for s in "AB" for i in range(3)]


class TestQuality:
    def test_low_quality_query_is_not_matched_and_says_so(self, make) -> None:
        matcher = make([Entry.make("a", {"pdq": PDQ})])
        result = matcher.match(HashRecord("q", {"pdq": PDQ}, {"pdq": 49}))
        assert result.verdict is Verdict.NONE
        assert "quality is 49, under 50" in result.notes[0]
        assert matcher.match(HashRecord("q", {"pdq": PDQ}, {"pdq": 50})).verdict is Verdict.NEAR
        assert matcher.match(HashRecord("q", {"pdq": PDQ})).verdict is Verdict.NEAR

    def test_low_quality_entry_is_not_matched_and_says_so(self, make) -> None:
        matcher = make([Entry.make("a", {"pdq": PDQ}, quality={"pdq": 3}), Entry.make("b", {"pdq": PDQ})])
        result = matcher.match(HashRecord("q", {"pdq": PDQ}, {"pdq": 100}))
        assert [m.entry for m in result.matches] == ["b"]
        assert "entry a of S" in result.notes[0]

    def test_zero_matches_all(self, make) -> None:
        matcher = make([Entry.make("a", {"pdq": PDQ}, quality={"pdq": 0})], min_quality=0)
        assert matcher.match(HashRecord("q", {"pdq": PDQ}, {"pdq": 0})).verdict is Verdict.NEAR

    def test_digests_are_matched_whatever_the_quality(self, make) -> None:
        matcher = make([Entry.make("a", digests("x") | {"pdq": PDQ})])
        result = matcher.match(HashRecord("q", digests("x") | {"pdq": PDQ}, {"pdq": 0}))
        assert result.verdict is Verdict.EXACT
        assert result.notes


def photodna(pairs: int) -> bytes:
    """A PhotoDNA hash of which so many of the 143 pairs of adjacent bytes differ."""
    return bytes(100 + min(at, pairs) % 2 for at in range(144))


class TestDetail:
    """Flat pictures: `photodna_min_detail`."""

    def test_without_it_all_are_matched(self, make) -> None:
        matcher = make([Entry.make("a", {"photodna": photodna(0)})])
        assert matcher.match(HashRecord("q", {"photodna": photodna(1)})).verdict is Verdict.NEAR
        nothing = make([Entry.make("a", {"photodna": photodna(0)})], photodna_min_detail=0)
        assert nothing.match(HashRecord("q", {"photodna": photodna(0)})).verdict is Verdict.NEAR

    def test_a_flat_query_is_not_matched_and_says_so(self, make) -> None:
        matcher = make([Entry.make("a", digests("x") | {"photodna": photodna(143)})], photodna_min_detail=15 / 143)
        result = matcher.match(HashRecord("q", {"photodna": photodna(14)}))
        assert (result.verdict, result.compared) == (Verdict.NONE, False)
        assert result.notes == ["photodna was not matched: its detail is 0.0979, under 0.104895"]
        assert matcher.looked_up["photodna"] == 0
        at_the_limit = matcher.match(HashRecord("q", {"photodna": photodna(15)}))
        assert (at_the_limit.verdict, at_the_limit.notes) == (Verdict.NEAR, [])
        with_digest = matcher.match(HashRecord("q", digests("x") | {"photodna": photodna(0)}))
        assert (with_digest.verdict, len(with_digest.notes)) == (Verdict.EXACT, 1)

    def test_a_flat_entry_is_not_matched_and_says_so(self, make) -> None:
        entries = [Entry.make(name, {"photodna": photodna(14)}) for name in "ac"]
        matcher = make([*entries, Entry.make("b", {"photodna": photodna(15)})], photodna_min_detail=15 / 143)
        result = matcher.match(HashRecord("q", {"photodna": photodna(143)}))
        assert [m.entry for m in result.matches] == ["b"]
        assert result.notes == [
            "photodna of entry a of S and 1 more was not matched: its detail is under 0.104895",
        ]
        assert matcher.search_codes("photodna", np.frombuffer(photodna(143), np.uint8)[None])[1].tolist() == [1, 0, 2]

    def test_both_rules_at_once(self, make) -> None:
        entry = Entry.make("a", {"pdq": PDQ, "photodna": photodna(3)}, quality={"pdq": 4})
        result = make([entry], photodna_min_detail=0.5).match(HashRecord("q", {"pdq": PDQ, "photodna": photodna(143)}))
        assert (result.verdict, [note.split()[0] for note in result.notes]) == (Verdict.NONE, ["pdq", "photodna"])


def dispute(matcher: Matcher, rows: dict[int, tuple[str, ...]], *, good: bool = False) -> Matcher:
    """``matcher``, for whose list (or known-good list) these hashes of these rows are disputed."""
    compiled = matcher.allow if good else matcher.compiled
    bits = np.zeros(compiled.rows, np.uint32)
    for row, names in rows.items():
        bits[row] = sum(1 << ALGORITHMS[name].number for name in names)
    compiled.row_disputed = lambda: bits
    return matcher


EVERYTHING = tuple(ALGORITHMS)


class TestDisputed:
    """What is disputed is marked, or left out as if the entry did not have it: `disputed`."""

    def test_none_is_disputed(self, make) -> None:
        for policy in DISPUTED:
            matcher = make([Entry.make("a", digests("x") | {"pdq": PDQ})], disputed=policy)
            result = matcher.match(HashRecord("q", digests("x") | {"pdq": PDQ}))
            assert [(m.algorithm, m.state) for m in result.matches] == [
                (name, "active") for name in ("md5", "sha1", "sha256", "pdq")
            ]
            assert (result.verdict, result.notes) == (Verdict.EXACT, [])

    def test_marked_by_row_and_algorithm(self, make) -> None:
        matcher = make([Entry.make(name, digests("x") | {"pdq": PDQ}) for name in "abc"])
        dispute(matcher, {0: ("sha1", "pdq"), 2: EVERYTHING})
        result = matcher.match(HashRecord("q", {"sha1": digests("x")["sha1"], "pdq": PDQ}))
        assert [(m.entry, m.algorithm, m.state) for m in result.matches] == [
            ("a", "sha1", "disputed"),
            ("a", "pdq", "disputed"),
            ("b", "sha1", "active"),
            ("b", "pdq", "active"),
            ("c", "sha1", "disputed"),
            ("c", "pdq", "disputed"),
        ]
        assert (result.verdict, result.notes) == (Verdict.EXACT, [])

    def test_left_out_with_a_note(self, make) -> None:
        matcher = make([Entry.make(name, digests("x") | {"pdq": PDQ}) for name in "abcd"], disputed="leave-out")
        dispute(matcher, {0: ("md5",), 1: ("md5", "pdq"), 2: ("md5",)})
        result = matcher.match(HashRecord("q", {"md5": digests("x")["md5"], "pdq": PDQ}))
        assert [(m.entry, m.algorithm, m.state) for m in result.matches] == [
            ("a", "pdq", "active"),
            ("c", "pdq", "active"),
            ("d", "md5", "active"),
            ("d", "pdq", "active"),
        ]
        assert result.notes == [
            "md5 of entry a of S and 2 more was not matched: it is disputed",
            "pdq of entry b of S was not matched: it is disputed",
        ]
        assert [m.agrees for m in result.matches] == [(), (), ("md5",), ("md5",)]
        assert matcher.search_digests("md5", np.frombuffer(digests("x")["md5"], np.uint8)[None])[1].tolist() == [
            *range(4)
        ]

    @pytest.mark.parametrize("status", ["ok", "unreadable"])
    def test_where_nothing_else_matches(self, make, status: str) -> None:
        matcher = dispute(make([Entry.make("a", digests("x"))], disputed="leave-out"), {0: EVERYTHING})
        result = matcher.match(HashRecord("q", digests("x"), status=status))
        assert (result.verdict, result.matches, result.compared) == (
            Verdict.NONE if status == "ok" else Verdict.UNREADABLE,
            [],
            True,
        )
        assert [note.split()[0] for note in result.notes] == ["md5", "sha1", "sha256"]

    @pytest.mark.parametrize(
        ("disputed", "wrong", "marked", "left_out", "notes"),
        [
            # What agrees is disputed: left out, nothing agrees any more.
            ({"md5"}, {"sha1", "sha256"}, "conflict", "none", 1),
            # What agrees is disputed, but something else agrees as well: the rest decides.
            ({"md5"}, set(), "exact", "exact", 1),
            ({"md5"}, {"sha256"}, "conflict", "conflict", 1),
            # What differs is disputed: left out, it makes no conflict.
            ({"md5"}, {"md5"}, "conflict", "exact", 0),
            ({"sha1", "sha256"}, {"sha1", "sha256"}, "conflict", "exact", 0),
            # One that differs is disputed, and one that is not: the conflict stands.
            ({"md5"}, {"md5", "sha1"}, "conflict", "conflict", 0),
            # All are.
            ({"md5", "sha1", "sha256"}, {"md5"}, "conflict", "none", 2),
        ],
    )
    def test_verdicts(self, make, disputed: set[str], wrong: set[str], marked: str, left_out: str, notes: int) -> None:
        record = HashRecord("q", {name: digests("y" if name in wrong else "x")[name] for name in digests("x")})
        for policy, verdict in (("mark", marked), ("leave-out", left_out)):
            matcher = dispute(make([Entry.make("a", digests("x"))], disputed=policy), {0: tuple(disputed)})
            result = matcher.match(record)
            assert result.verdict.value == verdict
            if policy == "leave-out":
                assert len([note for note in result.notes if "was not matched: it is disputed" in note]) == notes
                said = {name for match in result.matches for name in (*match.agrees, *match.disagrees, match.algorithm)}
                assert not said & disputed
            else:
                # A conflict that is due to a disputed digest says so.
                assert result.notes == [
                    f"{name} of entry a of S, which differs, is disputed"
                    for name in digests("x")
                    if name in disputed & wrong
                ]
                assert {m.algorithm: m.state for m in result.matches} == {
                    name: "disputed" if name in disputed else "active" for name in digests("x") if name not in wrong
                }

    def test_size_speaks_only_beside_a_digest_that_counts(self, make) -> None:
        entry = Entry.make("a", {"md5": digests("x")["md5"], "pdq": PDQ}, size=10)
        matcher = dispute(make([entry], disputed="leave-out"), {0: ("md5",)})
        result = matcher.match(HashRecord("q", {"md5": digests("x")["md5"], "pdq": PDQ}, size=11))
        assert (result.verdict, result.matches[0].disagrees) == (Verdict.NEAR, ())

    def test_beside_the_quality_rule(self, make) -> None:
        entries = [Entry.make(name, {"pdq": PDQ}, quality={"pdq": quality}) for name, quality in (("a", 4), ("b", 90))]
        matcher = dispute(make(entries, disputed="leave-out"), {0: ("pdq",), 1: ("pdq",)})
        assert matcher.match(HashRecord("q", {"pdq": PDQ})).notes == [
            "pdq of entry a of S was not matched: its quality is under 50",
            "pdq of entry b of S was not matched: it is disputed",
        ]

    @pytest.mark.parametrize("policy", DISPUTED)
    def test_a_disputed_known_good_hash_hides_nothing(self, make, policy: str) -> None:
        entries = [Entry.make("a", {"pdq": PDQ})]
        good = [Entry.make(name, {"md5": digests("x")["md5"], "pdq": PDQ}) for name in "abc"]
        record = HashRecord("q", {"md5": digests("x")["md5"], "pdq": PDQ})
        matcher = dispute(make(entries, good=good, disputed=policy), {0: ("md5",), 1: EVERYTHING}, good=True)
        result = matcher.match(record)
        assert (result.verdict, result.known_good) == (Verdict.NONE, ["NSRL: c", "NSRL: a"])
        assert result.notes == [
            "md5 of known-good entry a of NSRL and 1 more suppresses nothing: it is disputed",
            "pdq of known-good entry b of NSRL suppresses nothing: it is disputed",
        ]
        dispute(matcher, dict.fromkeys(range(3), EVERYTHING), good=True)
        result = matcher.match(record)
        assert (result.verdict, result.known_good, len(result.notes)) == (Verdict.NEAR, (), 2)

    def test_unknown_policy(self, make) -> None:
        with pytest.raises(UsageError, match="disputed is 'ignore'; expected mark or leave-out"):
            make([], disputed="ignore")


class TestNothingToCompare:
    def test_it_is_said(self, make) -> None:
        matcher = make([Entry.make("a", {"md5": digests("x")["md5"], "photodna": bytes(144)})])
        result = matcher.match(HashRecord("q", {"sha256": digests("x")["sha256"]}))
        assert (result.verdict, result.compared) == (Verdict.NONE, False)
        assert "it has sha256; the list offers md5, photodna" in result.notes[0]
        assert matcher.match(HashRecord("q", {"md5": bytes(16)})).compared
        assert make([Entry.make("a", {"pdq": PDQ})]).match(HashRecord("q", {"pdq": PDQ}, {"pdq": 1})).compared is False

    def test_a_misspelt_algorithm_is_an_error(self, make) -> None:
        with pytest.raises(UnknownAlgorithmError, match="MD5"):
            make([Entry.make("a", digests("x"))]).match(HashRecord("q", {"MD5": bytes(16)}))

    def test_unknown_quality_is_matched_on_both_sides(self, make) -> None:
        matcher = make([Entry.make("a", {"pdq": PDQ})], min_quality=101)
        assert matcher.match(HashRecord("q", {"pdq": PDQ})).verdict is Verdict.NEAR
        assert matcher.match(HashRecord("q", {"pdq": PDQ}, {"pdq": 100})).verdict is Verdict.NONE


def test_blank_pages_do_not_fill_the_memory(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch shrinks with the number of rows that share a code; the results stay the same."""
    monkeypatch.setattr(matcher_module, "PAIRS_AT_ONCE", 40)
    matcher = make([Entry.make(f"{i:02}", {"dhash": bytes(8)}) for i in range(20)])
    sizes = []
    search = matcher._search_batch
    monkeypatch.setattr(matcher, "_search_batch", lambda records: sizes.append(len(records)) or search(records))
    results = list(matcher.match_many([HashRecord(str(i), {"dhash": bytes(8)}) for i in range(7)]))
    assert [len(r.matches) for r in results] == [20] * 7
    assert sizes == [2, 2, 2, 1]


class TestKnownGood:
    def test_near_matches_are_suppressed_and_counted(self, make) -> None:
        matcher = make([Entry.make("a", {"pdq": PDQ})], good=[Entry.make("good.jpg", {"md5": digests("g")["md5"]})])
        result = matcher.match(HashRecord("q", {"md5": digests("g")["md5"], "pdq": PDQ}))
        assert result.verdict is Verdict.NONE
        assert result.matches == []
        assert [m.entry for m in result.suppressed] == ["a"]
        assert result.known_good == ["NSRL: good.jpg"]
        assert matcher.match(HashRecord("q", {"md5": digests("h")["md5"], "pdq": PDQ})).verdict is Verdict.NEAR

    def test_the_same_perceptual_code_suppresses_too(self, make) -> None:
        matcher = make([Entry.make("a", {"pdq": PDQ})], good=[Entry.make("g", {"pdq": flip(PDQ, 4)})])
        assert matcher.match(HashRecord("q", {"pdq": flip(PDQ, 4)})).verdict is Verdict.NONE
        assert matcher.match(HashRecord("q", {"pdq": flip(PDQ, 5)})).verdict is Verdict.NEAR

    def test_hashes_that_say_little_suppress_nothing(self, make) -> None:
        """Flat pictures share a PDQ of quality 0 and most 64-bit hashes with thousands of others."""
        known = [Entry.make("a", {"dhash": bytes(8)})]
        flat = {"pdq": bytes(32), "ahash": bytes(8), "dhash": bytes(8)}
        record = HashRecord("q", flat, {"pdq": 3})
        for good in (
            Entry.make("g", {"pdq": bytes(32)}, quality={"pdq": 0}),
            Entry.make("g", {"pdq": bytes(32)}),
            Entry.make("g", {"ahash": bytes(8), "dhash": bytes(8)}),
        ):
            assert make(known, good=[good]).match(record).verdict is Verdict.NEAR
        stated = make(known, good=[Entry.make("g", {"pdq": bytes(32)}, quality={"pdq": 0})])
        assert stated.match(HashRecord("q", flat)).verdict is Verdict.NEAR

    def test_an_exact_match_is_for_a_human_to_see(self, make) -> None:
        entries, good = [Entry.make("a", digests("x") | {"pdq": PDQ})], [Entry.make("g", digests("x"))]
        result = make(entries, good=good).match(HashRecord("q", digests("x")))
        assert result.verdict is Verdict.EXACT
        assert result.known_good == ["NSRL: g"]
        result = make(entries, good=good, allow_exact=True).match(HashRecord("q", digests("x")))
        assert result.verdict is Verdict.NONE
        assert len(result.suppressed) == 3

    def test_roles_are_not_mixed_up(self, tmp_path: Path) -> None:
        for role in ("known", "known-good"):
            HashList.open(tmp_path / f"{role}.hml", create=True, role=role).close()
        with pytest.raises(RoleError, match="--allow"):
            Matcher.open(tmp_path / "known-good.hml")
        with pytest.raises(RoleError, match="--list"):
            Matcher.open(tmp_path / "known.hml", allow=tmp_path / "known.hml")


class TestOpening:
    def test_a_list_is_compiled_on_the_fly_and_reused(self, tmp_path: Path) -> None:
        path = tmp_path / "known.hml"
        with HashList.open(path, create=True) as known:
            known.import_entries([Entry.make("a", digests("x"))], "S")
        Matcher.open(path).close()
        cache = tmp_path / "known.hml.hmx"
        stamp = cache.stat().st_mtime_ns
        Matcher.open(path).close()
        assert cache.stat().st_mtime_ns == stamp
        with HashList.open(path) as known:
            known.import_entries([Entry.make("b", digests("y"))], "S")
        with Matcher.open(path) as matcher:
            assert matcher.match(HashRecord("q", digests("y"))).verdict is Verdict.EXACT
            assert matcher.compiled.rows == 2

    def test_a_damaged_cache_is_made_again(self, tmp_path: Path) -> None:
        path = tmp_path / "known.hml"
        with HashList.open(path, create=True) as known:
            known.import_entries([Entry.make("a", digests("x"))], "S")
        cache = tmp_path / "known.hml.hmx"
        Matcher.open(path).close()
        cache.write_bytes(cache.read_bytes()[:-1])
        with Matcher.open(path) as matcher:
            assert matcher.match(HashRecord("q", digests("x"))).verdict is Verdict.EXACT

    def test_a_foreign_file_in_the_place_of_the_cache_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "known.hml"
        HashList.open(path, create=True).close()
        cache = tmp_path / "known.hml.hmx"
        cache.write_bytes(b"somebody's file")
        with pytest.raises(FileExistsAlreadyError, match="not a compiled list"):
            Matcher.open(path)
        assert cache.read_bytes() == b"somebody's file"
        with HashList.open(path) as known, pytest.raises(FileExistsAlreadyError):
            known.compile(path)

    def test_errors(self, tmp_path: Path) -> None:
        with pytest.raises(ListNotFoundError):
            Matcher.open(tmp_path / "no.hml")
        with pytest.raises(CompiledListError):
            Matcher.open(tmp_path / "no.hmx")
        with pytest.raises((ListError, CompiledListError)):
            Matcher.open(tmp_path)
        path = tmp_path / "known.hml"
        HashList.open(path, create=True).close()
        for wrong, error in (
            ({"radius": {"pdq": -1}}, RadiusError),
            ({"radius": {"pdq": 257}}, RadiusError),
            ({"radius": {"pdq": 1.5}}, RadiusError),
            ({"radius": {"md5": 0}}, UnknownAlgorithmError),
            ({"radius": {"no": 1}}, UnknownAlgorithmError),
            ({"algorithms": ["no"]}, UnknownAlgorithmError),
            ({"algorithms": ["lace"]}, UnknownAlgorithmError),
            ({"min_quality": 102}, UsageError),
            ({"photodna_min_detail": -0.1}, UsageError),
            ({"photodna_min_detail": 1.1}, UsageError),
            ({"photodna_min_detail": float("nan")}, UsageError),
            ({"photodna_min_detail": "0.5"}, UsageError),
            ({"photodna_min_detail": True}, UsageError),
        ):
            with pytest.raises(error):
                Matcher.open(path, **wrong)

    def test_a_cache_that_cannot_be_written(self, tmp_path: Path) -> None:
        path = tmp_path / "known.hml"
        HashList.open(path, create=True).close()
        (tmp_path / "known.hml.hmx").mkdir()
        with pytest.raises(StorageError, match=r"known\.hml\.hmx"):
            Matcher.open(path)

    def test_wrong_width_in_a_record(self, make) -> None:
        with pytest.raises(UsageError, match="md5 hash of 3 bytes"):
            make([Entry.make("a", digests("x"))]).match(HashRecord("q", {"md5": b"abc"}))

    def test_empty_list(self, make) -> None:
        matcher = make([])
        record = HashRecord("q", digests("x") | {"pdq": PDQ, "phash": bytes(8), "photodna": bytes(144)})
        assert matcher.match(record).verdict is Verdict.NONE
        offsets, rows, distances = matcher.search_codes("pdq", np.zeros((2, 32), np.uint8), radius=256)
        assert (offsets.tolist(), len(rows), distances.dtype) == ([0, 0, 0], 0, np.uint16)
        assert matcher.search_digests("md5", np.zeros((0, 16), np.uint8))[0].tolist() == [0]


@given(
    entries=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 255)), min_size=1, max_size=12),
    queries=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 255)), max_size=12),
    radius=st.integers(0, 8),
    batch=st.integers(1, 5),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_against_brute_force(tmp_path_factory, entries, queries, radius, batch) -> None:
    """Every (query, entry, algorithm, distance) that a plain loop finds, and no other, whatever the batches."""

    def hashes(md5: int, sha1: int, code: int) -> dict[str, bytes]:
        return {"md5": bytes([md5] * 16), "sha1": bytes([sha1] * 20), "pdq": bytes(31) + bytes([code])}

    path = tmp_path_factory.mktemp("m") / "a.hml"
    with HashList.open(path, create=True) as known:
        known.import_entries([Entry.make(f"{i:02}", hashes(*e)) for i, e in enumerate(entries)], "S")
    with Matcher.open(path, radius={"pdq": radius}) as matcher:
        results = list(matcher.match_many((HashRecord(str(i), hashes(*q)) for i, q in enumerate(queries)), batch=batch))
    assert [r.record.name for r in results] == [str(i) for i in range(len(queries))]
    for (md5, sha1, code), result in zip(queries, results, strict=True):
        expected = []
        verdicts = set()
        for number, (of_md5, of_sha1, of_code) in enumerate(entries):
            agree = (md5 == of_md5, sha1 == of_sha1)
            expected += [(f"{number:02}", name, 0) for name, same in zip(("md5", "sha1"), agree, strict=True) if same]
            distance = (code ^ of_code).bit_count()
            if distance <= radius:
                expected.append((f"{number:02}", "pdq", distance))
                verdicts.add("near")
            verdicts |= {("exact" if all(agree) else "conflict")} if any(agree) else set()
        assert [(m.entry, m.algorithm, m.distance) for m in result.matches] == expected
        order = ("conflict", "exact", "near")
        assert result.verdict.value == next((v for v in order if v in verdicts), "none")


@given(
    entries=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 15), st.integers(0, 7), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    queries=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 15)), min_size=1, max_size=6),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_left_out_is_as_if_it_were_not_there(tmp_path_factory, entries, queries) -> None:
    """Matching without what is disputed gives what a list without these hashes gives."""
    names = ("md5", "sha1", "pdq")

    def hashes(md5: int, sha1: int, code: int) -> dict[str, bytes]:
        return {"md5": bytes([md5] * 16), "sha1": bytes([sha1] * 20), "pdq": bytes(31) + bytes([code])}

    folder = tmp_path_factory.mktemp("m")
    whole, rest, disputed = [], [], {}
    for number, (md5, sha1, code, bits, sized) in enumerate(entries):
        of_entry, size = hashes(md5, sha1, code), 1 if sized else None
        disputed[number] = tuple(name for place, name in enumerate(names) if bits >> place & 1)
        whole.append(Entry.make(str(number), of_entry, size=size))
        kept = {name: value for name, value in of_entry.items() if name not in disputed[number]}
        rest += [Entry.make(str(number), kept, size=size)] if kept else []
    records = [HashRecord(str(i), hashes(*query), size=i % 2) for i, query in enumerate(queries)]
    said = []
    for number, listed in enumerate((whole, rest)):
        with HashList.open(folder / f"{number}.hml", create=True) as known:
            known.import_entries(listed, "S")
        with Matcher.open(folder / f"{number}.hml", radius={"pdq": 1}, disputed="leave-out") as matcher:
            if not number:
                dispute(matcher, disputed)
            said.append(
                [
                    (
                        result.verdict,
                        [(m.entry, m.algorithm, m.distance, m.agrees, m.disagrees, m.state) for m in result.matches],
                    )
                    for result in matcher.match_many(records)
                ]
            )
    assert said[0] == said[1]
