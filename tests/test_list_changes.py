"""The verbs about the life of a list: log, diff, delta, apply, merge, stats, and what check says of the audit log."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from hashmatch.lists import schema
from hashmatch.lists.audit import AuditLog
from hashmatch.lists.entry import Entry
from hashmatch.lists.store import HashList


def md5(value: object) -> str:
    return hashlib.md5(str(value).encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def known(cmd, tmp_path: Path) -> Path:
    """A list with a life of six changes."""
    path = Path("known.hml")
    Path("1.csv").write_text(f"id,md5,series,size\na,{md5(1)},x,5\nb,{md5(2)},,\nc,{md5(3)},,\n")
    Path("2.csv").write_text(f"id,md5,series,size,category\na,{md5(9)},y,,1\nd,{md5(4)},,,\n")
    assert cmd("list", "create", path).code == 0
    assert cmd("list", "import", path, "1.csv", "--source", "S").code == 0
    assert cmd("list", "import", path, "2.csv", "--source", "S").code == 0
    assert cmd("list", "retract", path, "b", "--source", "S", "--reason", "mistake").code == 0
    who = ("--source", "S", "--organisation", "Unit")
    assert cmd("list", "opinion", path, "c", *who, "--dispute", "--reason", "no").code == 0
    assert cmd("list", "retract", path, "b", "--source", "S", "--undo").code == 0
    assert cmd("list", "import", path, "1.csv", "--source", "T").code == 0
    return path


def every_hash() -> list[str]:
    return [md5(value)[:8] for value in (1, 2, 3, 4, 9)]


class TestLog:
    def test_changes(self, cmd, known: Path) -> None:
        result = cmd("list", "log", known)
        lines = result.out.splitlines()
        assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5", "6"]
        assert "import S from 1.csv: 3 records, 3 added" in lines[0]
        assert "import S from 2.csv: 2 records, 1 added, 1 replaced" in lines[1]
        assert "retract S: 1 withdrawn" in lines[2]
        found = [json.loads(line) for line in cmd("list", "log", known, "--json").out.splitlines()]
        assert found[0]["sha256"] == hashlib.sha256(Path("1.csv").read_bytes()).hexdigest()
        with HashList.open(known) as opened:
            assert found[-1]["snapshot"] == opened.snapshot

    def test_the_life_of_an_entry(self, cmd, known: Path) -> None:
        def life(ref: str) -> list[str]:
            out = cmd("list", "log", known, "--source", "S", "--ref", ref).out
            return [line.split("Z  ", 1)[1].rpartition("  (")[0] for line in out.splitlines()]

        assert life("a") == [
            "added",
            'replaced: category - -> :1; size 5 -> -; metadata series "x" -> "y"; md5 a hash -> another hash',
        ]
        assert life("b") == ["added", "retracted: mistake", "retraction taken back"]
        assert life("c") == ["added", "Unit disputes the entry (no)"]
        [first, second] = map(
            json.loads, cmd("list", "log", known, "--source", "S", "--ref", "a", "--json").out.splitlines()
        )
        assert (first["name"], second["name"], second["change"]) == ("1.csv", "2.csv", 2)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--source", "S"], "go together"),
            (["--source", "S", "--ref", "z"], "never had an entry 'z'"),
            (["--source", "X", "--ref", "a"], "its sources: S, T"),
        ],
    )
    def test_usage(self, cmd, known: Path, options: list[str], message: str) -> None:
        result = cmd("list", "log", known, *options)
        assert (result.code, result.out) == (2, "")
        assert message in result.err


class TestDiff:
    def test_two_moments(self, cmd, known: Path) -> None:
        out = cmd("list", "diff", known, "--since", "1").out
        assert out.splitlines() == [
            '~ S a: category - -> :1; size 5 -> -; metadata series "x" -> "y"; md5 a hash -> another hash',
            "- S b",
            "+ S d",
            "+ T a",
            "+ T b",
            "+ T c",
            "o S c: Unit disputes the entry (no)",
        ]
        out = cmd("list", "diff", known, "--since", "2", "--until", "3", "--json").out
        assert json.loads(out) == {"change": "retracted", "source": "S", "entry": "b", "reason": "mistake"}
        assert cmd("list", "diff", known, "--since", "3", "--until", "5").out.splitlines() == [
            "r S b",
            "o S c: Unit disputes the entry (no)",
        ]

    def test_two_lists(self, cmd, known: Path) -> None:
        assert cmd("list", "diff", known, known).out == ""
        other = Path("other.hml")
        cmd("list", "create", other)
        cmd("list", "import", other, "1.csv", "--source", "S")
        cmd("list", "retract", other, "c", "--source", "S")
        assert cmd("list", "diff", other, known).out.splitlines() == [
            '~ S a: category - -> :1; size 5 -> -; metadata series "x" -> "y"; md5 a hash -> another hash',
            "- S b",
            "+ S c",
            "+ S d",
            "+ T a",
            "+ T b",
            "+ T c",
            "o S c: Unit disputes the entry (no)",
        ]
        found = [json.loads(line) for line in cmd("list", "diff", other, known, "--json").out.splitlines()]
        assert found[0]["fields"][0] == {"name": "category", "before": "", "after": ":1"}

    def test_no_hash_is_shown(self, cmd, known: Path) -> None:
        shown = "".join(
            cmd("list", *arguments).out
            for arguments in (
                ("diff", known, "--since", "0"),
                ("diff", known, "--since", "0", "--json"),
                ("log", known, "--source", "S", "--ref", "a"),
                ("stats", known),
                ("stats", known, "--json"),
            )
        )
        assert not [value for value in every_hash() if value in shown]

    @pytest.mark.parametrize(
        "options",
        [[], ["known.hml", "--since", "1"], ["known.hml", "--until", "1"], ["--since", "99"], ["--since", ""]],
    )
    def test_usage(self, cmd, known: Path, options: list[str]) -> None:
        assert cmd("list", "diff", known, *options).code == 2


class TestDelta:
    def test_from_one_list_to_another(self, cmd, known: Path) -> None:
        other = Path("other.hml")
        cmd("list", "create", other)
        cmd("list", "import", other, "1.csv", "--source", "S")
        refused = cmd("list", "delta", known, "--since", "1", "-o", "d.jsonl")
        assert (refused.code, Path("d.jsonl").exists()) == (2, False)
        assert "--include-hashes" in refused.err
        made = cmd("list", "delta", known, "--since", "1", "-o", "d.jsonl", "--include-hashes")
        assert made.code == 0
        assert "5 put, 1 remove, 1 opinion" in made.err
        assert cmd("list", "apply", other, "d.jsonl").code == 0
        assert cmd("list", "diff", known, other).out == ""
        with HashList.open(known) as a, HashList.open(other) as b:
            assert a.snapshot == b.snapshot
        again = cmd("list", "apply", other, "d.jsonl")
        assert again.code == 3
        assert "is applied already" in again.err
        assert cmd("list", "check", other).code == 0
        assert (
            "not a delta" in cmd("list", "apply", other, "1.csv").err or cmd("list", "apply", other, "1.csv").code == 3
        )

    def test_to_standard_output(self, cmd, known: Path) -> None:
        out = cmd("list", "delta", known, "--since", "5", "--include-hashes", "-q").out
        first, *_, last = map(json.loads, out.splitlines())
        assert first["hashmatch_delta"] == 1
        assert last["end"]["put"] == 3

    def test_never_over_the_list(self, cmd, known: Path) -> None:
        result = cmd("list", "delta", known, "--since", "1", "-o", known, "--include-hashes")
        assert result.code == 2
        assert cmd("list", "check", known).code == 0


class TestMerge:
    def test_conflict_and_choice(self, cmd, known: Path) -> None:
        other = Path("other.hml")
        cmd("list", "create", other)
        cmd("list", "import", other, "1.csv", "--source", "S")
        refused = cmd("list", "merge", known, other)
        assert refused.code == 2
        assert "'a' of 'S'" in refused.err
        done = cmd("list", "merge", known, other, "--on-conflict", "ours")
        assert done.code == 0
        assert "1 added" in done.err  # b, whose retraction was taken back
        found = json.loads(cmd("list", "merge", known, other, "--on-conflict", "theirs", "--json").out)
        assert (found["replaced"], found["unchanged"]) == (1, 2)
        assert cmd("list", "check", known).code == 0


def test_stats(cmd, known: Path) -> None:
    facts = json.loads(cmd("list", "stats", known, "--json").out)
    assert facts["entries"] == 6
    assert facts["retractions"] == 0
    assert facts["sources"] == {"S": 3, "T": 3}
    assert facts["categories"] == {"(none)": 5, ":1": 1}
    assert facts["algorithms"] == {"md5": 6}
    assert facts["states"] == {"active": 5, "disputed": 1, "withdrawn": 0}
    assert sum(facts["months"].values()) == 6
    text = cmd("list", "stats", known).out
    assert "disputed" in text
    assert "series" not in text


class TestAudit:
    def test_every_operation_has_a_line(self, cmd, known: Path) -> None:
        cmd("compile", known)
        cmd("list", "export", known, "-o", "out.csv", "--include-hashes")
        cmd("list", "delta", known, "--since", "1", "-o", "d.jsonl", "--include-hashes")
        Path("q.txt").write_text(f"{md5(9)}  x\n")
        assert cmd("match", "q.txt", "--list", known).code == 1
        records = list(AuditLog.beside(known).records())
        operations = [record["operation"] for record in records]
        assert operations[:6] == ["import", "import", "retract", "opinion", "restore", "import"]
        assert sorted(operations[6:]) == ["compile", "compile", "export", "export", "match"]
        text = AuditLog.beside(known).path.read_text()
        assert not [value for value in every_hash() if value in text]
        match = next(record for record in records if record["operation"] == "match")
        assert match["inputs"][0]["sha256"] == hashlib.sha256(Path("q.txt").read_bytes()).hexdigest()
        assert match["counts"]["exact"] == 1
        written = {record["facts"].get("form", "hmx"): record["facts"] for record in records[6:] if "facts" in record}
        for form, path in (("csv", Path("out.csv")), ("delta", Path("d.jsonl"))):
            data = path.read_bytes()
            assert written[form]["out_bytes"] == len(data)
            assert written[form]["out_sha256"] == hashlib.sha256(data).hexdigest()
        compiled = [record["facts"] for record in records if record["operation"] == "compile"]
        assert {Path(facts["out"]): facts["out_bytes"] for facts in compiled} == {
            path: path.stat().st_size for path in (known.with_suffix(".hmx"), known.with_name(known.name + ".hmx"))
        }

    def test_check(self, cmd, known: Path) -> None:
        log = AuditLog.beside(known).path
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:-1]))
        cut = cmd("list", "check", known)
        assert cut.code == 0
        assert "latest change (6) is not in the audit log" in cut.err
        log.write_bytes(b"".join(lines[:-2]))
        assert cmd("list", "check", known).code == 3
        log.write_bytes(b"".join([lines[0], *lines[2:]]))
        assert "line 2" in cmd("list", "check", known).err
        log.unlink()
        gone = cmd("list", "check", known)
        assert gone.code == 0
        assert "no audit log beside the list" in gone.err

    def test_the_next_change_logs_what_is_missing(self, cmd, known: Path) -> None:
        AuditLog.beside(known).path.unlink()
        with HashList.open(known) as opened:
            opened.import_entries([Entry.make("new", {"md5": bytes(16)})], "S")
            assert ["begun anew" in text for text in opened.unlogged] == [True]
        records = list(AuditLog.beside(known).records())
        assert [record["facts"].get("begun_anew") for record in records] == [True] + [None] * 6
        assert [record["change"] for record in records] == [1, 2, 3, 4, 5, 6, 7]
        assert ["logged" in record for record in records] == [True] * 6 + [False]
        assert cmd("list", "check", known).err == ""

    def test_a_log_that_cannot_be_written(self, cmd, known: Path) -> None:
        """A change is not made without its line; what changes nothing goes on and says so."""
        before = known.read_bytes()
        log = AuditLog.beside(known).path
        log.unlink()
        log.mkdir()
        refused = cmd("list", "import", known, "1.csv", "--source", "U")
        assert refused.code == 3
        assert "audit.jsonl" in refused.err
        assert known.read_bytes() == before
        done = cmd("compile", known)
        assert done.code == 0
        assert "WARNING: this compile is not in the audit log" in done.err

    def test_a_run_against_a_compiled_file_leaves_none(self, cmd, known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It was opened as what it is; that it cannot be looked at again afterwards makes no list of it."""
        Path("q.txt").write_text(f"{md5(9)}  x\n")
        cmd("compile", known, "-o", "other.hmx")
        looks = iter([False])
        monkeypatch.setattr(schema, "is_sqlite", lambda _path: next(looks, True))
        assert cmd("match", "q.txt", "--list", "other.hmx").code in (0, 1)
        looks = iter([False])
        assert cmd("lookup", "q.txt", "--list", "other.hmx").code in (0, 1)
        assert not Path("other.hmx.audit.jsonl").exists()

    def test_a_copy_of_list_and_log(self, cmd, known: Path) -> None:
        folder = Path("elsewhere")
        folder.mkdir()
        for path in (known, AuditLog.beside(known).path):
            shutil.copy(path, folder)
        assert cmd("list", "check", folder / "known.hml").err == ""


def test_check_reads_the_compiled_file_beside_the_list(cmd, known: Path) -> None:
    Path("q.txt").write_text(f"{md5(9)}  x\n")
    cmd("match", "q.txt", "--list", known)
    cache = Path("known.hml.hmx")
    assert "known.hml.hmx: sound" in cmd("list", "check", known).out
    data = bytearray(cache.read_bytes())
    data[-1] ^= 1
    cache.write_bytes(data)
    assert cmd("list", "check", known).code == 3
    cache.unlink()
    cmd("compile", known, "-o", "other.hmx")
    assert cmd("list", "check", known, "other.hmx").out.count(": sound:") == 2


def test_check_names_what_a_killed_run_left(cmd, known: Path) -> None:
    Path(".hashmatch-0123456789abcdef.tmp").touch()
    result = cmd("list", "check", known)
    assert result.code == 0
    assert "WARNING: .hashmatch-0123456789abcdef.tmp: is not finished" in result.err


class TestRoles:
    def test_material_in_a_known_good_list_must_be_said_twice(self, cmd) -> None:
        header = (
            "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
            "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline\n"
        )
        Path("icse.csv").write_text(f"{header}{md5(1)};;;;;7;Y;N;N;;;A;3;True;Image;Yes\n")
        cmd("list", "create", "good.hml", "--role", "known-good")
        call = ("list", "import", "good.hml", "icse.csv", "--source", "S")
        for options in ((), ("--from", "icse"), ("--as-role", "known-good"), ("--from", "icse", "--as-role", "known")):
            refused = cmd(*call, *options)
            assert refused.code == 2, options
            assert "--as-role" in refused.err
        assert cmd(*call, "--from", "icse", "--as-role", "known-good").code == 0
        assert cmd("list", "check", "good.hml").code == 0
