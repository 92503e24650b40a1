"""What opinions make of entries: the rules themselves, and what they do to matching, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import HashList, HashRecord, Matcher, Verdict
from hashmatch.algorithms import ALGORITHMS
from hashmatch.cli import run
from hashmatch.errors import EXIT_CODES, UsageError
from hashmatch.lists.entry import Entry, Opinion, opinions_text
from hashmatch.lists.states import State, merged_opinions, opinion_bits, state_of

NAMES = ("md5", "sha1", "pdq")
MASK = sum(1 << ALGORITHMS[name].number for name in NAMES)


def bits(names: str) -> int:
    return sum(1 << ALGORITHMS[name].number for name in names.split())


def opinions(text: str) -> list[Opinion]:
    """Opinions from words like ``-S`` (S says no to the entry) and ``+O:md5`` (O says yes to its MD5)."""
    return [Opinion(word[1:].partition(":")[2], word[1:].partition(":")[0], word[0] == "+") for word in text.split()]


#: Opinions on an entry of S with md5, sha1 and pdq: what is disputed, what is withdrawn, the state of the entry.
TABLE = [
    ("", "", "", "active"),
    ("+S +O +O:md5", "", "", "active"),
    ("-O", "md5 sha1 pdq", "", "disputed"),
    ("-O:md5", "md5", "", "disputed"),
    ("-O:md5 -P:pdq", "md5 pdq", "", "disputed"),
    ("-S", "", "md5 sha1 pdq", "withdrawn"),
    ("-S:md5", "", "md5", "disputed"),
    ("-S:md5 -S:sha1", "", "md5 sha1", "disputed"),
    ("-S:md5 -S:sha1 -S:pdq", "", "md5 sha1 pdq", "withdrawn"),
    # Its own source's no stands above another's, for the same hash and for the entry.
    ("-S:md5 -O:md5", "", "md5", "disputed"),
    ("-S:md5 -O", "sha1 pdq", "md5", "disputed"),
    ("-S -O:md5", "", "md5 sha1 pdq", "withdrawn"),
    # No affirmation outvotes a no: not another's, not the source's, not the same organisation's about a hash.
    ("-O +P +S", "md5 sha1 pdq", "", "disputed"),
    ("-O +O:md5", "md5 sha1 pdq", "", "disputed"),
    ("+O -O:md5", "md5", "", "disputed"),
    ("-S +S:md5", "", "md5 sha1 pdq", "withdrawn"),
    # About a hash that the entry does not have, and about one that is never matched.
    ("-O:sha256", "", "", "active"),
    ("-S:sha256", "", "", "active"),
    ("-O:zz40", "", "", "active"),
    # Names are compared as they are.
    ("-s", "md5 sha1 pdq", "", "disputed"),
]


@pytest.mark.parametrize(("said", "disputed", "withdrawn", "state"), TABLE)
def test_the_rules(said: str, disputed: str, withdrawn: str, state: str) -> None:
    found = opinion_bits("S", opinions(said))
    assert (found[0] & MASK, found[1] & MASK) == (bits(disputed), bits(withdrawn))
    assert state_of(MASK, *found) is State(state)


@given(
    said=st.lists(
        st.builds(Opinion, st.sampled_from(["", *ALGORITHMS]), st.sampled_from("SOP"), st.booleans()), max_size=6
    ),
    mask=st.integers(1, (1 << len(ALGORITHMS)) - 1),
)
def test_hash_by_hash(said: list[Opinion], mask: int) -> None:
    """The rules as they are written, for each hash by itself; the order of the opinions changes nothing."""
    states = {}
    for algorithm in ALGORITHMS.values():
        against = {o.organisation for o in said if not o.affirmative and o.algorithm in ("", algorithm.name)}
        states[algorithm.number] = "withdrawn" if "S" in against else "disputed" if against else "active"
    disputed, withdrawn = opinion_bits("S", said)
    for number, state in states.items():
        assert (disputed >> number & 1, withdrawn >> number & 1) == (state == "disputed", state == "withdrawn")
    assert opinion_bits("S", said[::-1]) == (disputed, withdrawn)
    own = {state for number, state in states.items() if mask >> number & 1}
    expected = "withdrawn" if own == {"withdrawn"} else "active" if own == {"active"} else "disputed"
    assert state_of(mask, disputed, withdrawn).value == expected


def test_an_entry_without_a_hash_that_could_be_disputed() -> None:
    assert state_of(bits("md5"), *opinion_bits("S", opinions("-S:md5"))) is State.WITHDRAWN
    assert state_of(bits("md5"), *opinion_bits("S", opinions("-S:pdq -O:pdq"))) is State.ACTIVE


class TestMergedOpinions:
    def test_what_was_given_here_takes_the_place_of_what_was_sent(self) -> None:
        sent = opinions_text([Opinion("", "O", False, "a"), Opinion("md5", "O", False), Opinion("", "P", True)])
        given = [Opinion("", "O", True, "b"), Opinion("pdq", "Q", False)]
        assert merged_opinions(sent, given) == (
            Opinion("", "O", True, "b"),
            Opinion("", "P", True),
            Opinion("md5", "O", False),
            Opinion("pdq", "Q", False),
        )

    def test_either_may_be_missing(self) -> None:
        assert merged_opinions("", []) == ()
        assert merged_opinions(opinions_text(opinions("-O")), []) == tuple(opinions("-O"))
        assert merged_opinions("", opinions("-Q -O")) == tuple(opinions("-O -Q"))

    @pytest.mark.parametrize("text", ["[", "{}", "[]", '[["md5","O",1,""]]', '[["md4","O",true,""]]', '[["md5"]]'])
    def test_what_no_import_writes(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"opinions that no import writes|Expecting"):
            merged_opinions(text, [])


# ---------------------------------------------------------------------- end to end

HASHES = {"md5": b"m" * 16, "sha1": b"s" * 20, "pdq": bytes(range(32))}


def entry(ref: str, sent: str = "") -> Entry:
    return Entry.make(ref, HASHES, opinions=opinions(sent))


@pytest.fixture
def known(tmp_path: Path):
    with HashList.open(tmp_path / "known.hml", create=True) as opened:
        yield opened


def found(known: HashList, **options: str) -> tuple[str, dict[str, str]]:
    """The verdict on a query with all hashes, and for each entry that it matches the hashes; disputed ones in ()."""
    with Matcher.open(known.path, **options) as matcher:
        result = matcher.match(HashRecord("q", HASHES))
    matched: dict[str, list[str]] = {}
    for match in result.matches:
        shown = f"({match.algorithm})" if match.state == "disputed" else match.algorithm
        matched.setdefault(match.entry, []).append(shown)
    return result.verdict.value, {ref: " ".join(names) for ref, names in matched.items()}


def give(known: HashList, ref: str, text: str) -> None:
    for opinion in opinions(text):
        known.give_opinion(
            "S", [ref], opinion.organisation, affirmative=opinion.affirmative, algorithm=opinion.algorithm
        )


class TestMatching:
    @pytest.mark.parametrize("way", ["sent", "given", "given after matching"])
    @pytest.mark.parametrize(("said", "disputed", "withdrawn", "state"), TABLE)
    def test_the_table(self, known: HashList, way: str, said: str, disputed: str, withdrawn: str, state: str) -> None:
        """Whichever way the opinions came: withdrawn hashes do not match, disputed ones are marked or left out."""
        known.import_entries([entry("a", said if way == "sent" else ""), entry("b")], "S")
        if way == "given after matching":
            assert found(known) == ("exact", dict.fromkeys("ab", "md5 sha1 pdq"))
        if way != "sent" and any(opinion.algorithm not in ("", *NAMES) for opinion in opinions(said)):
            with pytest.raises(UsageError, match=r"'a' of source 'S' has no (sha256|zz40) hash"):
                give(known, "a", said)
        elif way != "sent":
            give(known, "a", said)
        left = [name for name in NAMES if name not in withdrawn.split()]
        marked = " ".join(f"({name})" if name in disputed.split() else name for name in left)
        kept = " ".join(name for name in left if name not in disputed.split())
        others = {"b": "md5 sha1 pdq"}
        assert found(known) == ("exact", ({"a": marked} if marked else {}) | others)
        assert found(known, disputed="leave-out") == ("exact", ({"a": kept} if kept else {}) | others)
        assert (state == "withdrawn") == (not marked)

    def test_given_in_place_of_sent(self, known: HashList) -> None:
        known.import_entries([entry("a", "-O -S:md5 +P")], "S")
        assert found(known)[1] == {"a": "(sha1) (pdq)"}
        give(known, "a", "+O")
        assert found(known)[1] == {"a": "sha1 pdq"}
        give(known, "a", "+S:md5")
        assert found(known)[1] == {"a": "md5 sha1 pdq"}
        give(known, "a", "-P")
        assert found(known)[1] == {"a": "(md5) (sha1) (pdq)"}
        for organisation, algorithm in (("O", ""), ("S", "md5"), ("P", "")):
            assert known.give_opinion("S", ["a"], organisation, affirmative=None, algorithm=algorithm) == 1
        assert found(known)[1] == {"a": "(sha1) (pdq)"}
        # What the source sends is its own to take back.
        assert known.give_opinion("S", ["a"], "O", affirmative=None) == 0

    def test_about_a_hash_that_the_entry_has_not(self, known: HashList) -> None:
        """It would have no effect, now or ever. What was said of a hash that has gone since can be taken back."""
        known.import_entries([entry("a"), Entry.make("b", {"pdq": bytes(32)})], "S")
        snapshot = known.snapshot
        with pytest.raises(UsageError, match=r"entry 'b' of source 'S' has no md5 hash, but pdq; nothing was changed"):
            known.give_opinion("S", ["a", "b"], "O", affirmative=False, algorithm="md5")
        assert known.snapshot == snapshot
        give(known, "a", "-O:md5")
        known.import_entries([Entry.make("a", {"pdq": bytes(32)})], "S")
        assert known.give_opinion("S", ["a"], "O", affirmative=None, algorithm="md5") == 1

    def test_sent_again(self, known: HashList) -> None:
        """An import changes what was sent, and leaves what was given here."""
        known.import_entries([entry("a", "-O:md5")], "S")
        give(known, "a", "-P:pdq")
        assert found(known)[1] == {"a": "(md5) sha1 (pdq)"}
        known.import_entries([entry("a", "-O:sha1")], "S")
        assert found(known)[1] == {"a": "md5 (sha1) (pdq)"}

    def test_a_withdrawn_digest_has_no_say(self, known: HashList) -> None:
        """It makes no conflict where it differs, nor an exact match where it agrees."""
        known.import_entries([entry("a", "-S:md5")], "S")
        with Matcher.open(known.path) as matcher:
            record = HashRecord("q", {"md5": b"x" * 16, "sha1": HASHES["sha1"]})
            assert matcher.match(record).verdict is Verdict.EXACT
            assert matcher.match(HashRecord("q", {"md5": HASHES["md5"], "sha1": b"x" * 20})).verdict is Verdict.NONE

    def test_entries_of_several_sources(self, known: HashList) -> None:
        """A source withdraws its own entries only; of another's it is another organisation."""
        known.import_entries([entry("a", "-S -T:md5")], "S")
        known.import_entries([entry("b", "-S -T:md5")], "T")
        assert found(known)[1] == {"b": "(sha1) (pdq)"}

    def test_the_compiled_list(self, known: HashList, tmp_path: Path) -> None:
        """The row is there, in order, and says which hashes are disputed; what is withdrawn is nowhere in the file."""
        known.import_entries([entry("a"), entry("b", "-O:md5 -S:pdq"), entry("c", "-S"), entry("d", "-O")], "S")
        known.compile(tmp_path / "known.hmx")
        from hashmatch.index.compiled import CompiledList

        with CompiledList.open(tmp_path / "known.hmx") as compiled:
            compiled.check()
            assert compiled.refs(range(4)) == ["a", "b", "c", "d"]
            marks = compiled.row_disputed()
            assert marks is not None
            assert (marks & compiled.row_masks()).tolist() == [0, bits("md5"), 0, MASK]
            assert compiled.row_masks().tolist() == [MASK, bits("md5 sha1"), 0, MASK]

    def test_a_list_of_withdrawn_entries_only(self, known: HashList) -> None:
        known.import_entries([entry("a", "-S")], "S")
        assert found(known) == ("none", {})


# ---------------------------------------------------------------------- the command


@pytest.fixture
def cmd(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert code in EXIT_CODES
        assert code != 70
        return code, captured.out, captured.err

    return call


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Entries a, b and c of S, and a file with a query that matches each of them by MD5."""
    with HashList.open(tmp_path / "known.hml", create=True) as opened:
        opened.import_entries([Entry.make(ref, {"md5": ref.encode() * 16, "sha1": b"s" * 20}) for ref in "abc"], "S")
    (tmp_path / "q.csv").write_text("id,md5\n" + "".join(f"of {ref},{(ref.encode() * 16).hex()}\n" for ref in "abc"))
    (tmp_path / "q.md5").write_text("".join(f"{(ref.encode() * 16).hex()}\n" for ref in "abcd"))
    return Path("known.hml")


def matched(cmd, *options: str) -> dict[str, str]:
    """Query -> what became of it: the state of its match, or "none"."""
    _, out, _ = cmd("match", "q.csv", "--list", "known.hml", "--json", "-q", *options)
    rows = [json.loads(line) for line in out.splitlines()]
    return {row["name"][3:]: next((m.get("state", "active") for m in row["matches"]), "none") for row in rows}


class TestCommand:
    OPINION = ("list", "opinion", "known.hml", "--source", "S", "--organisation")

    def test_dispute_affirm_and_take_back(self, cmd, listed: Path) -> None:
        assert matched(cmd) == {"a": "active", "b": "active", "c": "active"}
        assert cmd(*self.OPINION, "O", "a", "b", "--dispute", "--reason", "mistaken") == (
            0,
            "",
            "entries disputed: 2\n",
        )
        assert matched(cmd) == {"a": "disputed", "b": "disputed", "c": "active"}
        assert matched(cmd, "--disputed", "leave-out") == {"a": "none", "b": "none", "c": "active"}
        assert cmd(*self.OPINION, "O", "a", "--affirm") == (0, "", "entries affirmed: 1\n")
        assert matched(cmd) == {"a": "active", "b": "disputed", "c": "active"}
        code, _, err = cmd(*self.OPINION, "O", "a", "b", "c", "c", "--take-back")
        assert (code, err) == (0, "opinions taken back: 2; nothing to take back: 1\n")
        assert matched(cmd) == {"a": "active", "b": "active", "c": "active"}

    def test_the_same_again(self, cmd, listed: Path) -> None:
        same = "entries disputed: 0; said the same already: 1; the list was not changed\n"
        for said in ("entries disputed: 1\n", same):
            assert cmd(*self.OPINION, "O", "a", "--dispute")[2] == said
        assert cmd(*self.OPINION, "O", "a", "--dispute", "--reason", "other")[2] == "entries disputed: 1\n"

    def test_the_second_try_of_what_was_stopped_behind_its_commit_is_logged(self, cmd, listed: Path) -> None:
        """The second try finds nothing to change; the line that the first could not write any more is there then."""
        log = Path("known.hml.audit.jsonl")
        assert cmd(*self.OPINION, "O", "a", "--dispute")[0] == 0
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:-1]))
        before = listed.read_bytes()
        assert "is not in the audit log" in cmd("list", "check", listed)[2]
        code, _, err = cmd(*self.OPINION, "O", "a", "--dispute")
        assert (code, "the list was not changed" in err) == (0, True)
        assert listed.read_bytes() == before
        again = log.read_bytes().splitlines()
        assert (len(again), json.loads(again[-1])["change"]) == (len(lines), json.loads(lines[-1])["change"])
        code, _, err = cmd("list", "check", listed)
        assert (code, err) == (0, "")
        # Where the log is damaged, that is said, and neither is changed.
        log.write_bytes(lines[0] + b"{}\n")
        code, _, err = cmd(*self.OPINION, "O", "a", "--dispute")
        assert (code, "earlier changes of the list are not in the audit log" in err) == (0, True)
        assert (listed.read_bytes(), log.read_bytes()) == (before, lines[0] + b"{}\n")

    def test_what_changes_nothing_is_no_change(self, cmd, listed: Path) -> None:
        """Neither of the list's file nor of its history and audit log; what others compiled stays too."""
        for options in (("--affirm",), ("--dispute", "--algorithm", "md5")):
            assert cmd(*self.OPINION, "O", "a", *options)[0] == 0
        matched(cmd)
        files = [Path("known.hml"), Path("known.hml.hmx"), Path("known.hml.audit.jsonl")]
        before = [file.read_bytes() for file in files]
        none = "opinions taken back: 0; nothing to take back: 1; the list was not changed\n"
        for organisation, options, said in (
            ("P", ("--take-back",), none),
            ("O", ("--take-back", "--algorithm", "sha1"), none),
            ("O", ("--affirm",), "entries affirmed: 0; said the same already: 1; the list was not changed\n"),
        ):
            assert cmd(*self.OPINION, organisation, "a", *options) == (0, "", said)
            assert [file.read_bytes() for file in files] == before
        assert cmd(*self.OPINION, "O", "a", "--take-back")[2] == "opinions taken back: 1\n"
        assert cmd(*self.OPINION, "O", "a", "--take-back") == (0, "", none)
        assert len(cmd("list", "log", listed)[1].splitlines()) == 4

    def test_one_hash(self, cmd, listed: Path) -> None:
        assert cmd(*self.OPINION, "O", "a", "--dispute", "--algorithm", "SHA1")[0] == 0
        assert matched(cmd)["a"] == "active"
        assert cmd(*self.OPINION, "O", "a", "--dispute", "--algorithm", "md5")[0] == 0
        assert matched(cmd)["a"] == "disputed"
        assert cmd(*self.OPINION, "O", "a", "--take-back", "--algorithm", "md5")[0] == 0
        assert matched(cmd)["a"] == "active"

    def test_their_own_source(self, cmd, listed: Path) -> None:
        code, _, err = cmd(*self.OPINION, "S", "a", "--dispute")
        assert (code, "their own source that disputes them" in err) == (0, True)
        assert "own source" not in cmd(*self.OPINION, "S", "b", "--affirm")[2]
        assert matched(cmd) == {"a": "none", "b": "active", "c": "active"}

    def test_references_from_a_file(self, cmd, listed: Path) -> None:
        Path("refs.txt").write_bytes(b"\xef\xbb\xbfb\r\n\r\nc\r\n")
        assert cmd(*self.OPINION, "O", "a", "--refs-from", "refs.txt", "--dispute")[2] == "entries disputed: 3\n"
        Path("refs.txt").write_bytes(b"\xff\xfe")
        code, _, err = cmd(*self.OPINION, "O", "--refs-from", "refs.txt", "--dispute")
        assert (code, "--refs-from refs.txt: is not UTF-8 text" in err) == (2, True)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("O", "a"), "expected one of --affirm, --dispute and --take-back"),
            (("O", "a", "--affirm", "--dispute"), "expected one of --affirm, --dispute and --take-back"),
            (("O", "a", "--take-back", "--reason", "x"), "--reason goes with --affirm and --dispute"),
            (("O", "--dispute"), "no reference was given; name entries that it is about"),
            (("O", "a", "z", "--dispute"), "has no entry 'z'"),
            (("O", "a", "--dispute", "--algorithm", "md4"), "md4"),
            (("", "a", "--dispute"), "organisation ''; expected a name"),
            (("O", "a", "--dispute", "--source", "T"), "has no source 'T'"),
        ],
    )
    def test_usage(self, cmd, listed: Path, arguments: tuple[str, ...], message: str) -> None:
        code, _, err = cmd(*self.OPINION, *arguments)
        assert (code, message in err) == (2, True), err
        assert matched(cmd) == {"a": "active", "b": "active", "c": "active"}

    def test_reports_name_the_policy(self, cmd, listed: Path) -> None:
        cmd(*self.OPINION, "O", "a", "--dispute")
        for policy, state, count in (("mark", "disputed", 1), ("leave-out", None, 0)):
            assert cmd("match", "q.csv", "--list", listed, "--report", policy, "--disputed", policy, "-q")[0] == 1
            summary = json.loads((Path(policy) / "report.json").read_text())["summary"]
            assert summary["thresholds"]["disputed"] == policy
            assert summary["queries_with_disputed_matches"] == count
            first = json.loads((Path(policy) / "results.jsonl").read_text().splitlines()[0])
            assert [m.get("state") for m in first["matches"]] == ([state] if state else [])
            assert first.get("notes", []) == ([] if state else ["md5 of entry a of S was not matched: it is disputed"])
        code, out, _ = cmd("match", "q.csv", "--list", listed)
        assert (code, "of a  ->  S a (md5, disputed)" in out, "of b  ->  S b (md5)" in out) == (1, True, True)

    def test_lookup(self, cmd, listed: Path) -> None:
        cmd(*self.OPINION, "O", "a", "--dispute", "--algorithm", "md5")
        cmd(*self.OPINION, "S", "b", "--dispute", "--algorithm", "md5")
        code, out, _ = cmd("lookup", "q.md5", "--list", listed, "-q")
        a, b, c, d = ((ref.encode() * 16).hex() for ref in "abcd")
        assert (code, out) == (1, f"{a}\tS\ta\t\tdisputed\n{b}\t-\n{c}\tS\tc\t\n{d}\t-\n")
        Path("q.sha1").write_text((b"s" * 20).hex() + "\n")
        assert "disputed" not in cmd("lookup", "q.sha1", "--list", listed, "-q")[1]
