"""Reports: every form, privacy, spreadsheets, determinism, nothing half written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import HashList, HashRecord, Matcher, MatchResult, Verdict, errors
from hashmatch.algorithms import ALGORITHMS
from hashmatch.cli import run
from hashmatch.errors import FileExistsAlreadyError, StorageError
from hashmatch.lists.entry import Entry
from hashmatch.report import ReportFolder, Summary
from hashmatch.report.rows import CSV_COLUMNS, csv_rows, formula_safe, json_line, result_as_dict
from hashmatch.report.text import match_lines, printable, summary_lines

MD5 = hashlib.md5(b"x").digest()


@pytest.fixture
def matcher(tmp_path: Path):
    with HashList.open(tmp_path / "known.hml", create=True) as known:
        known.import_entries(
            [
                Entry.make("=cmd", {"md5": MD5, "pdq": bytes(range(32))}, category=("s", "1"), media_type="image"),
                Entry.make("two", {"pdq": bytes(range(32)), "sha1": bytes(range(20))}),
            ],
            "+Source",
        )
    with Matcher.open(tmp_path / "known.hml") as opened:
        yield opened


class TestRows:
    def test_json_line(self, matcher: Matcher) -> None:
        record = HashRecord("q\n\x1b[31m", {"md5": MD5, "pdq": bytes(range(32))}, {"pdq": 99}, size=5)
        row = json.loads(json_line(matcher.match(record), 0, 7))
        assert row == {
            "input": 0,
            "record": 7,
            "name": "q\n\x1b[31m",
            "size": 5,
            "status": "ok",
            "quality": {"pdq": 99},
            "verdict": "exact",
            "matches": [
                {
                    "source": "+Source",
                    "entry": "=cmd",
                    "category": {"scheme": "s", "code": "1"},
                    "media_type": "image",
                    "algorithm": algorithm,
                    "distance": 0,
                    "radius": radius,
                    "agrees": ["md5"],
                    "disagrees": [],
                }
                for algorithm, radius in (("md5", 0), ("pdq", 31))
            ]
            + [{"source": "+Source", "entry": "two", "algorithm": "pdq", "distance": 0, "radius": 31}],
        }

    @given(st.text(), st.none() | st.integers(0, 1 << 62), st.sampled_from(["ok", "unreadable"]))
    def test_the_short_way_gives_the_same_line(self, name: str, size: int | None, status: str) -> None:
        result = MatchResult(HashRecord(name, {}, size=size, status=status), Verdict.NONE)
        separators = (",", ":")
        expected = json.dumps(result_as_dict(result, 3, 4), ensure_ascii=False, separators=separators)
        assert json_line(result, 3, 4) == expected

    def test_no_hash_appears_unless_asked(self, matcher: Matcher) -> None:
        result = matcher.match(HashRecord("q", {"md5": MD5, "pdq": bytes(range(32))}))
        text = json_line(result, 0, 1) + "".join(map(str, csv_rows(result, 0, 1)))
        assert MD5.hex() not in text
        assert bytes(range(32)).hex() not in text
        assert json.loads(json_line(result, 0, 1, hashes=True))["hashes"] == {
            "md5": MD5.hex(),
            "pdq": bytes(range(32)).hex(),
        }

    def test_csv_rows(self, matcher: Matcher) -> None:
        rows = list(csv_rows(matcher.match(HashRecord("-q", {"md5": MD5})), 0, 1))
        assert [dict(zip(CSV_COLUMNS, row, strict=True)) for row in rows] == [
            {
                "input": "0",
                "record": "1",
                "name": "'-q",
                "status": "ok",
                "reason": "",
                "verdict": "exact",
                "algorithm": "md5",
                "distance": "0",
                "radius": "0",
                "source": "'+Source",
                "entry": "'=cmd",
                "category_scheme": "s",
                "category": "1",
                "media_type": "image",
                "state": "",
                "agrees": "md5",
                "disagrees": "",
                "suppressed": "",
                "known_good": "",
                "notes": "",
            }
        ]
        [row] = csv_rows(matcher.match(HashRecord("q", {}, status="unreadable", reason="@why")), 0, 1)
        assert row[3:6] == ["unreadable", "'@why", "unreadable"]
        assert len(row) == len(CSV_COLUMNS)

    @pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
    def test_formulas(self, cell: str) -> None:
        assert formula_safe(cell) == f"'{cell}"
        assert formula_safe(f"x{cell}") == f"x{cell}"

    def test_undecodable_names(self, matcher: Matcher) -> None:
        result = matcher.match(HashRecord("\udcff", {}))
        assert json.loads(json_line(result, 0, 1).encode())["name"] == "\udcff"
        next(csv_rows(result, 0, 1))[2].encode()

    def test_terminal_text_is_inert(self) -> None:
        assert printable("a\x1b[31m\n\u202e\udcff\x85") == "a\\x1b[31m\\n\\u202e\\udcff\\x85"
        assert printable("grün 日本 \U0001f600") == "grün 日本 \U0001f600"


class TestDisputed:
    """What is disputed is said in every form, and only where it is so."""

    @pytest.fixture
    def result(self, matcher: Matcher) -> MatchResult:
        matcher.compiled.row_disputed = lambda: np.array([1 << ALGORITHMS["pdq"].number, 0], np.uint32)
        return matcher.match(HashRecord("q", {"md5": MD5, "pdq": bytes(range(32))}))

    def test_json_line(self, result: MatchResult) -> None:
        matches = json.loads(json_line(result, 0, 1))["matches"]
        assert [(m["entry"], m["algorithm"], m.get("state")) for m in matches] == [
            ("=cmd", "md5", None),
            ("=cmd", "pdq", "disputed"),
            ("two", "pdq", None),
        ]

    def test_csv_rows(self, result: MatchResult) -> None:
        rows = [dict(zip(CSV_COLUMNS, row, strict=True)) for row in csv_rows(result, 0, 1)]
        assert [(row["entry"], row["algorithm"], row["state"]) for row in rows] == [
            ("'=cmd", "md5", ""),
            ("'=cmd", "pdq", "disputed"),
            ("two", "pdq", ""),
        ]

    def test_text(self, result: MatchResult) -> None:
        assert match_lines([result], 1) == [
            "exact     q  ->  +Source =cmd (md5, category s:1)",
            "exact     q  ->  +Source =cmd (pdq distance 0 of 31, category s:1, disputed)",
            "exact     q  ->  +Source two (pdq distance 0 of 31)",
        ]

    def test_summary(self, matcher: Matcher, result: MatchResult) -> None:
        summary = Summary()
        for each in (result, result, matcher.match(HashRecord("q", {"md5": MD5}))):
            summary.add(each)
        facts = summary.as_dict(matcher, [])
        assert facts["queries_with_disputed_matches"] == 2
        assert facts["thresholds"]["disputed"] == "mark"
        said = [line for line in summary_lines(facts) if line.startswith("disputed")]
        assert said == ["disputed  2 queries match through hashes that an organisation disputes"]

    def test_summary_of_what_was_left_out(self, tmp_path: Path, matcher: Matcher) -> None:
        with Matcher.open(tmp_path / "known.hml", disputed="leave-out") as other:
            facts = Summary().as_dict(other, [])
        assert facts["thresholds"]["disputed"] == "leave-out"
        assert len([line for line in summary_lines(facts) if line.startswith("disputed  hashes")]) == 1
        assert not [line for line in summary_lines(Summary().as_dict(matcher, [])) if "disputed" in line]


def test_a_summary_names_few_of_many_sources(tmp_path: Path) -> None:
    """The document names them all."""
    with HashList.open(tmp_path / "known.hml", create=True) as known:
        for number in range(5):
            entries = [Entry.make(f"{number} {n}", {"md5": bytes([number, n]) * 8}) for n in range(1 + number)]
            known.import_entries(entries, f"NCMEC member {number}")
        with Matcher.open(known.path) as matcher:
            line = summary_lines(Summary().as_dict(matcher, []))[0]
        assert line.endswith(": 15 entries of " + ", ".join(f"NCMEC member {n}" for n in range(5)))
        known.import_entries([Entry.make("x", {"md5": MD5})], "NCMEC member 10")
        known.import_entries([Entry.make("x", {"md5": MD5})], "a")
        with Matcher.open(known.path) as matcher:
            facts = Summary().as_dict(matcher, [])
    largest = ", ".join(f"NCMEC member {n}" for n in (4, 3, 2, 1, 0))
    assert summary_lines(facts)[0].endswith(f": 17 entries of 7 sources: {largest} and 2 more")
    assert len(facts["list"]["sources"]) == 7


class TestFolder:
    def test_manifest_covers_every_file(self, matcher: Matcher, tmp_path: Path) -> None:
        with ReportFolder(tmp_path / "r") as folder:
            folder.add(matcher.match(HashRecord("q", {"md5": MD5})), 0, 1)
            folder.finish({"h": 1}, {"s": 2}, ["text"])
        files = {p.name for p in (tmp_path / "r").iterdir()}
        assert files == {"results.jsonl", "results.csv", "summary.txt", "report.json", "manifest.json"}
        manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
        assert set(manifest["sha256"]) == files - {"manifest.json"}
        for name, digest in manifest["sha256"].items():
            assert hashlib.sha256((tmp_path / "r" / name).read_bytes()).hexdigest() == digest
        if os.name != "nt":
            assert all(p.stat().st_mode & 0o077 == 0 for p in [tmp_path / "r", *(tmp_path / "r").iterdir()])

    def test_never_replaces_a_report(self, tmp_path: Path) -> None:
        (tmp_path / "r").mkdir()
        (tmp_path / "r" / "mine").touch()
        with pytest.raises(FileExistsAlreadyError):
            ReportFolder(tmp_path / "r")
        (tmp_path / "f").touch()
        with pytest.raises(FileExistsAlreadyError):
            ReportFolder(tmp_path / "f")

    def test_a_failed_run_leaves_nothing(self, matcher: Matcher, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), ReportFolder(tmp_path / "r") as folder:
            folder.add(matcher.match(HashRecord("q", {})), 0, 1)
            raise ZeroDivisionError
        assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp") or p.name == "r"]

    def test_disk_full(self, matcher: Matcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.raises(StorageError, match="no report was written"), ReportFolder(tmp_path / "r") as folder:
            folder.add(matcher.match(HashRecord("q", {})), 0, 1)
            monkeypatch.setattr(os, "fsync", full)
            folder.finish({}, {}, [])
        assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp") or p.name == "r"]


def test_the_body_is_the_same_on_a_rerun(matcher: Matcher, tmp_path: Path) -> None:
    queries = tmp_path / "q.csv"
    queries.write_text(
        f"id,md5\n{''.join(f'q{i},{hashlib.md5(bytes([i])).hexdigest()}' + chr(10) for i in range(200))}"
    )
    for name in ("one", "two"):
        arguments = ["match", str(queries), "--list", str(tmp_path / "known.hml"), "--report", str(tmp_path / name)]
        assert run([*arguments, "--case", "C-1", "--quiet"]) == 1
    for file in ("results.jsonl", "results.csv", "summary.txt"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    one = json.loads((tmp_path / "one" / "report.json").read_text())
    two = json.loads((tmp_path / "two" / "report.json").read_text())
    assert one["summary"] == two["summary"]
    assert one["header"]["case"] == {"case": "C-1"}
    assert one["summary"]["inputs"] == [
        {
            "path": str(queries),
            "format": "csv",
            "bytes": queries.stat().st_size,
            "sha256": hashlib.sha256(queries.read_bytes()).hexdigest(),
            "records": 200,
            "valid": 200,
            "invalid": 0,
            "empty_digests": 0,
            "problems": [],
        }
    ]


def test_chance_is_stated_and_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with HashList.open(tmp_path / "known.hml", create=True) as known:
        known.import_entries([Entry.make(str(i), {"phash": bytes([i] * 8)}) for i in range(100)], "S")
    (tmp_path / "q.csv").write_text("id,phash\n" + "".join(f"{i},{i:016x}\n" for i in range(100)))
    run(["match", str(tmp_path / "q.csv"), "--list", str(tmp_path / "known.hml"), "--radius", "phash=20"])
    assert "WARNING: chance alone may explain matches" in capsys.readouterr().err
    assert errors.exit_code(matched=True, unreadable=True) == 5
