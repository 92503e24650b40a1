"""The audit log: a chain that shows every damage, appended to by many, and whole after any crash."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch.errors import AuditDamagedError, AuditUnwritableError, ListBusyError, StorageError, UsageError
from hashmatch.lists import audit
from hashmatch.lists.audit import AuditInput, AuditLog, AuditRecord, Jump
from hashmatch.lists.audit_record import (
    MAX_LINE,
    OPERATIONS,
    LineError,
    Position,
    line_of,
    operating_system_user,
    parse_line,
)

ROOT = Path(__file__).parents[1]
posix = pytest.mark.skipif(os.name == "nt", reason="permission bits, limits and links of POSIX")


def snapshot(number: int) -> str:
    return hashlib.sha256(b"snapshot %d" % number).hexdigest()


def change(number: int, **more: object) -> AuditRecord:
    return AuditRecord("import", snapshot(number), change=number, **more)  # type: ignore[arg-type]


def look(number: int) -> AuditRecord:
    """An operation that leaves the list as it is after change ``number``."""
    return AuditRecord("match", snapshot(number), counts={"queries": 7, "matched": 2})


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog.beside(tmp_path / "known.hml")


@pytest.fixture
def small(log: AuditLog) -> AuditLog:
    """Two changes with a match between them, and one after."""
    for record in (
        change(1, inputs=[AuditInput("lists/Größe €.csv", 12_345, snapshot(99))], counts={"added": 5}),
        look(1),
        change(2, facts={"reason": "sent by mistake", "late": True, "width": 3}),
        look(2),
    ):
        log.append(record)
    return log


def lines_of(log: AuditLog) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


# ---------------------------------------------------------------------- what a line holds


def test_a_line_as_another_program_reads_it(small: AuditLog) -> None:
    """Everything that FORMATS.md and the docstring promise, computed here again."""
    before = "0" * 64
    for number, line in enumerate(lines_of(small), 1):
        text = line.decode("utf-8")
        assert text.endswith("\n")
        fields = json.loads(text)
        assert text[:-1] == json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert (fields["number"], fields["previous"]) == (number, before)
        digest = fields.pop("digest")
        rest = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        assert hashlib.sha256(rest).hexdigest() == digest
        before = hashlib.sha256(line[:-1]).hexdigest()
    first = json.loads(lines_of(small)[0])
    assert first["operation"] == "import"
    assert first["list"] == snapshot(1)
    assert first["change"] == first["changes"] == 1
    assert first["inputs"] == [{"name": "lists/Größe €.csv", "bytes": 12_345, "sha256": snapshot(99)}]
    assert first["counts"] == {"added": 5}
    assert first["operator"] == operating_system_user() != ""
    assert first["tool"].startswith("hashmatch ")
    assert "logged" not in first
    assert "facts" not in first
    second, third = (json.loads(line) for line in lines_of(small)[1:3])
    assert "change" not in second
    assert second["changes"] == 1
    assert third["facts"] == {"reason": "sent by mistake", "late": True, "width": 3}
    assert list(small.records())[1] == second


def test_beside(tmp_path: Path) -> None:
    assert AuditLog.beside(str(tmp_path / "a.b.hml")).path == tmp_path / "a.b.hml.audit.jsonl"


@posix
def test_a_link_to_a_list_has_the_log_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "known.hml").touch()
    (tmp_path / "link.hml").symlink_to(tmp_path / "folder" / "known.hml")
    assert AuditLog.beside(tmp_path / "link.hml").path == tmp_path / "folder" / "known.hml.audit.jsonl"


def test_operator_and_time_of_an_operation_that_is_logged_later(log: AuditLog) -> None:
    log.append(change(1, operator="", at="2026-01-31T12:00:00Z"))
    log.append(change(2, operator="müller"))
    first, second = log.records()
    assert (first["operator"], first["at"]) == ("", "2026-01-31T12:00:00Z")
    assert first["logged"] > first["at"]
    assert second["operator"] == "müller"
    assert "logged" not in second


@posix
def test_the_operator_is_not_what_a_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    true = operating_system_user()
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.setenv(name, "somebody else")
    assert operating_system_user() == true


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_can_be_logged(log: AuditLog, operation: str) -> None:
    log.append(AuditRecord(operation, snapshot(0)))
    assert next(log.records())["operation"] == operation


HASHES = {
    "md5": "0cc175b9c0f1b6a831c399e269772661",
    "MD5": "0CC175B9C0F1B6A831C399E269772661",
    "phash": "d5a9b36c27c86c93",
    "pdq": "a" * 63 + "4",
    "base64": base64.b64encode(hashlib.sha256(b"5").digest()).decode().rstrip("="),
    "base64url": base64.urlsafe_b64encode(hashlib.sha256(b"3").digest()).decode().rstrip("="),
}


@pytest.mark.parametrize("text", HASHES.values(), ids=list(HASHES))
def test_no_hash_is_kept(log: AuditLog, text: str) -> None:
    log.append(
        AuditRecord(
            "scan",
            snapshot(0),
            inputs=[AuditInput(f"/evidence/{text}.csv", 1, snapshot(5))],
            facts={"reason": f"see {text}, please"},
            operator=f"x {text}",
        )
    )
    assert text.encode() not in log.path.read_bytes()
    (fields,) = log.records()
    gone = f"({len(text)} characters)"
    assert fields["inputs"][0]["name"] == f"/evidence/{gone}.csv"
    assert fields["facts"]["reason"] == f"see {gone}, please"
    assert fields["operator"] == f"x {gone}"


def test_ordinary_names_are_kept(log: AuditLog) -> None:
    names = [
        "/home/Examiner4/Case-2026-000123/exports/INTERPOL_ICSE_Baseline_2026.jsonl",
        "C:\\Users\\Müller\\Lists\\hashes20261122.csv",
        "lists/2026-11-22T09-12-38Z/ProjectVic_Images_DeltaExport_v3_part0012.json",
        "a\nb\u2028c",
    ]
    log.append(AuditRecord("match", snapshot(0), inputs=[AuditInput(name, 0, snapshot(1)) for name in names]))
    (fields,) = log.records()
    assert [item["name"] for item in fields["inputs"]] == names
    assert log.path.read_bytes().count(b"\n") == 1


def test_names_that_are_not_utf_8(log: AuditLog) -> None:
    log.append(AuditRecord("match", snapshot(0), inputs=[AuditInput(os.fsdecode(b"\xff\xfe.csv"), 0, snapshot(1))]))
    assert next(log.records())["inputs"][0]["name"].endswith(".csv")
    log.path.read_text(encoding="utf-8")
    log.verify()


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (AuditRecord("delete", snapshot(0)), "operation 'delete'; expected one of import,"),
        (AuditRecord("match", "abc"), "snapshot of an audit record is not a hex SHA-256"),
        (AuditRecord("match", snapshot(0).upper()), "expected 64 digits"),
        (
            AuditRecord("import", snapshot(0), change=0),
            "change of an audit record is 0; expected a whole number from 1",
        ),
        (AuditRecord("match", snapshot(0), counts={"queries": -1}), "queries of an audit record is -1"),
        (AuditRecord("match", snapshot(0), counts={"queries": 2**53}), "expected a whole number"),
        (AuditRecord("match", snapshot(0), counts={"queries": True}), "expected a whole number"),
        (AuditRecord("match", snapshot(0), counts={"queries": 1.5}), "expected a whole number"),  # type: ignore[dict-item]
        (AuditRecord("match", snapshot(0), counts={"Queries!": 1}), "name 'Queries!' in an audit record"),
        (AuditRecord("match", snapshot(0), facts={"a": None}), "expected text"),  # type: ignore[dict-item]
        (AuditRecord("match", snapshot(0), facts={"a": [1]}), "expected text"),  # type: ignore[dict-item]
        (AuditRecord("match", snapshot(0), facts={"out_sha256": "abc"}), "out_sha256 of an audit record is not"),
        (AuditRecord("match", snapshot(0), at="yesterday"), "at is 'yesterday'; expected a time in UTC"),
        (AuditRecord("match", snapshot(0), inputs=[AuditInput("a", -1, snapshot(0))]), "bytes of an input"),
        (AuditRecord("match", snapshot(0), inputs=[AuditInput("a", 1, "")]), "sha256 of an input"),
        (AuditRecord("match", snapshot(0), facts={"a": " " * MAX_LINE}), "expected at most 16,777,216"),
    ],
)
def test_what_is_no_record_is_refused(small: AuditLog, record: AuditRecord, says: str) -> None:
    former = small.path.read_bytes()
    with pytest.raises(UsageError) as caught:
        small.append(record)
    assert says in str(caught.value)
    assert "0123" not in str(caught.value)
    assert small.path.read_bytes() == former


def test_digests_of_files_are_facts(log: AuditLog) -> None:
    log.append(AuditRecord("compile", snapshot(0), facts={"out_sha256": snapshot(1), "former_snapshot": snapshot(2)}))
    assert next(log.records())["facts"] == {"out_sha256": snapshot(1), "former_snapshot": snapshot(2)}


# ---------------------------------------------------------------------- the chain


def test_a_sound_log(small: AuditLog) -> None:
    state = small.verify()
    assert (state.lines, state.changes, state.snapshot, state.torn, state.unfinished) == (4, 2, snapshot(2), 0, 0)
    assert state.bytes == small.path.stat().st_size
    assert state.digest == hashlib.sha256(lines_of(small)[-1][:-1]).hexdigest()
    assert state.path == str(small.path)
    assert not state.jumps
    state.check_against(2, snapshot(2))


def test_no_log(log: AuditLog) -> None:
    state = log.verify()
    assert (state.lines, state.bytes, state.digest, state.changes, state.snapshot) == (0, 0, "0" * 64, 0, "")
    state.check_against(0, snapshot(0))
    assert log.last_change() == 0
    assert list(log.missing(3)) == [1, 2, 3]
    assert list(log.records()) == []
    assert not log.path.exists()
    with pytest.raises(AuditDamagedError, match="found change 0 as the latest one; expected change 1,"):
        state.check_against(1, snapshot(1))


def test_every_flipped_byte_is_found(small: AuditLog) -> None:
    good = small.path.read_bytes()
    starts = [i for i in range(len(good)) if i == 0 or good[i - 1] == 10]
    for at in range(len(good)):
        for mask in (0x01, 0x20, 0x80):
            bad = bytearray(good)
            bad[at] ^= mask
            small.path.write_bytes(bad)
            with pytest.raises(AuditDamagedError) as caught:
                small.verify(allow_unfinished=at < len(good) - 1)
            line = sum(start <= at for start in starts)
            assert f"line {line:,}: found" in str(caught.value), (at, mask)
            assert "; expected" in str(caught.value)
    small.path.write_bytes(good)
    small.verify()


def test_every_cut_is_found(small: AuditLog) -> None:
    """A cut within a line by the chain, one at a line end by the list."""
    good = small.path.read_bytes()
    for at in range(len(good)):
        small.path.write_bytes(good[:at])
        if at == 0 or good[at - 1] == 10:
            state = small.verify()
            assert state.lines == good[:at].count(b"\n")
            if state.changes < 2:
                with pytest.raises(AuditDamagedError, match=f"found change {state.changes} .* expected change 2"):
                    state.check_against(2, snapshot(2))
            else:
                # The documented limit: operations after the last change have no anchor, but for a kept digest.
                state.check_against(2, snapshot(2))
                assert state.digest != hashlib.sha256(good.splitlines()[-1]).hexdigest()
        else:
            with pytest.raises(AuditDamagedError, match=r"without a line end"):
                small.verify()


def test_bytes_that_are_added_are_found(small: AuditLog) -> None:
    good = small.path.read_bytes()
    for at in range(0, len(good) + 1, 7):
        for extra in (b"\n", b" ", b"x", b"\0", b"\r"):
            small.path.write_bytes(good[:at] + extra + good[at:])
            with pytest.raises(AuditDamagedError):
                small.verify()


@pytest.mark.parametrize(
    "forge",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:1] + lines[2:],
        lambda lines: lines[:2] + lines[1:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: lines[::-1],
        lambda lines: [*lines, lines[3]],
        lambda lines: [lines[0], b"\n", *lines[1:]],
    ],
)
def test_lines_that_were_moved(small: AuditLog, forge: Callable[[list[bytes]], list[bytes]]) -> None:
    small.path.write_bytes(b"".join(forge(lines_of(small))))
    with pytest.raises(AuditDamagedError, match=r"line \d: found"):
        small.verify()


def test_a_line_from_another_log(small: AuditLog, tmp_path: Path) -> None:
    """Every line is sound by itself; only the chain tells."""
    other = AuditLog(tmp_path / "other")
    for record in (change(1), look(1), change(2), look(2)):
        other.append(record)
    for number in range(4):
        lines = lines_of(small)
        lines[number] = lines_of(other)[number]
        AuditLog(tmp_path / "mixed").path.write_bytes(b"".join(lines))
        if number == 3:
            with pytest.raises(AuditDamagedError, match="line 4: found that the line before it had the SHA-256"):
                AuditLog(tmp_path / "mixed").verify()
        else:
            with pytest.raises(AuditDamagedError, match=rf"line {max(number + 1, 2)}:"):
                AuditLog(tmp_path / "mixed").verify()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "expected a JSON object"),
        (b"null", "canonical form"),
        (b"[]", "canonical form"),
        (b"{}", "not what the line itself says"),
        (b'{"a":1,"a":1}', "canonical form"),
        (b'{"a":1e400}', "expected a JSON object"),
        (b'{"a":NaN}', "expected a JSON object"),
        (b'{"a":"\\ud800"}', "expected a JSON object"),
        (b"\xff", "expected a JSON object"),
        (b"[" * 1_000_000, "expected a JSON object"),
        (b'{"a":' + b"9" * 5000 + b"}", "expected a JSON object"),
    ],
)
def test_odd_lines(log: AuditLog, line: bytes, says: str) -> None:
    with pytest.raises(LineError, match=says):
        parse_line(line, Position())
    log.path.write_bytes(line + b"\n")
    with pytest.raises(AuditDamagedError, match=f"line 1: found .*{says}"):
        log.verify()
    with pytest.raises(AuditDamagedError, match="starts a new log"):
        log.append(look(0))
    assert log.path.read_bytes() == line + b"\n"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "1"),
        ("number", True),
        ("changes", None),
        ("list", 1),
        ("inputs", {}),
        ("counts", []),
        ("extra", 1),
        ("at", None),
    ],
)
def test_fields_of_another_type(log: AuditLog, field: str, value: object) -> None:
    """Somebody who can compute digests can write anything; a reader must not fall over it."""
    fields = json.loads(line_of(look(0), Position()))
    del fields["digest"]
    fields[field] = value
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    fields["digest"] = hashlib.sha256(text.encode()).hexdigest()
    log.path.write_text(json.dumps(fields, sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")
    with pytest.raises(AuditDamagedError, match="line 1: found"):
        log.verify()


def test_a_line_over_the_limit(log: AuditLog) -> None:
    with log.path.open("wb") as file:
        for _ in range(17):
            file.write(b"x" * (1 << 20))
    with pytest.raises(AuditDamagedError, match="expected a record"):
        log.append(look(0))
    with log.path.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(AuditDamagedError, match=r"line 1: found more than 16,777,216 bytes; expected a line end"):
        log.verify()


# ---------------------------------------------------------------------- the list as anchor


def test_a_list_and_a_log_that_do_not_belong_together(small: AuditLog) -> None:
    state = small.verify()
    with pytest.raises(AuditDamagedError, match="found change 2 as the latest one; expected change 3,"):
        state.check_against(3, snapshot(3))
    with pytest.raises(AuditDamagedError, match="found change 2; expected change 1 as the latest one"):
        state.check_against(1, snapshot(1))
    with pytest.raises(AuditDamagedError, match="list and log do not belong together"):
        state.check_against(2, snapshot(3))


def test_changes_without_a_line(small: AuditLog) -> None:
    """A crash between the list's commit and the append: the list's history fills the gap."""
    assert small.last_change() == 2
    assert list(small.missing(2)) == []
    assert list(small.missing(5)) == [3, 4, 5]
    with small.writing() as writer:
        assert writer.changes == 2
        for number in writer.missing(5):
            writer.append(change(number, at="2026-01-31T12:00:00Z"))
        assert writer.changes == 5
        assert not writer.missing(5)
    assert small.last_change() == 5
    state = small.verify()
    state.check_against(5, snapshot(5))
    assert not state.jumps


def test_jumps_are_told(log: AuditLog) -> None:
    """A list that was put back to a former state, and changes that were never logged."""
    for record in (change(3), look(3), change(4), change(2), change(3), change(7)):
        log.append(record)
    state = log.verify()
    assert state.jumps == (Jump(1, 0, 3), Jump(4, 4, 2), Jump(6, 3, 7))
    assert state.changes == log.last_change() == 7
    state.check_against(7, snapshot(7))


def test_jumps_that_are_kept_are_bounded(log: AuditLog) -> None:
    with log.writing() as writer:
        for number in range(150):
            writer.append(change(2 * number + 2))
    assert len(log.verify().jumps) == 100


# ---------------------------------------------------------------------- crashes


def test_every_torn_line(small: AuditLog) -> None:
    """Whatever a crash leaves of a line: nothing is lost of what stood there, and the log goes on."""
    good = small.path.read_bytes()
    fourth = lines_of(small)[3]
    three = good.removesuffix(fourth)
    for kept in range(1, len(fourth)):
        torn = fourth[:kept]
        small.path.write_bytes(three + torn)
        with pytest.raises(AuditDamagedError, match=rf"line 4: found {kept:,} bytes without a line end"):
            small.verify()
        state = small.verify(allow_unfinished=True)
        assert (state.lines, state.bytes, state.unfinished, state.changes) == (3, len(three), kept, 2)
        assert small.path.read_bytes() == three + torn
        assert small.last_change() == 2
        whole = kept == len(fourth) - 1  # the line end alone is missing
        assert small.append(change(3)) == (5 if whole else 4)
        assert small.path.read_bytes().startswith(three + torn + b"\n")
        small.append(look(3))
        state = small.verify()
        assert (state.lines, state.torn, state.changes) == ((6, 0, 3) if whole else (5, 1, 3))
        note = list(small.records())[-2].get("torn")
        assert note == (None if whole else {"bytes": kept, "sha256": hashlib.sha256(torn).hexdigest()})


def test_a_change_whose_line_lacks_its_end_is_not_logged_twice(log: AuditLog) -> None:
    log.append(change(1))
    log.path.write_bytes(log.path.read_bytes()[:-1])
    assert log.last_change() == 1
    with log.writing() as writer:
        assert writer.changes == 1
    log.append(change(2))
    assert [fields["change"] for fields in log.records()] == [1, 2]
    log.verify()


@pytest.mark.parametrize("torn", [b"x", b"\0" * 4096, b'{"at":', b"\xff\xfe", b"{}"])
def test_a_torn_first_line(log: AuditLog, torn: bytes) -> None:
    log.path.write_bytes(torn)
    assert log.append(change(1)) == 1
    state = log.verify()
    assert (state.lines, state.torn) == (1, 1)
    assert log.path.read_bytes().startswith(torn + b"\n")


def test_a_torn_line_stays_under_seal(small: AuditLog) -> None:
    """Damage to a torn line, or to what is said of it, is found like any other."""
    with small.path.open("ab") as file:
        file.write(b"torn off")
    small.append(look(2))
    good = small.path.read_bytes()
    small.verify()
    at = good.index(b"torn off")
    for bad in (
        good.replace(b"torn off", b"torn of"),
        good.replace(b"torn off", b"Torn off"),
        good.replace(b"torn off\n", b""),
        good.replace(b"torn off\n", b"torn off\ntorn off\n"),
        good[:at] + good[at + 9 :] + b"torn off\n",
        good[: at + 9],
    ):
        small.path.write_bytes(bad)
        with pytest.raises(AuditDamagedError, match=r"line 5"):
            small.verify()


def test_damage_is_not_taken_for_a_crash(small: AuditLog) -> None:
    """A last line that has its line end was written whole: what became of it since, no append may smooth over."""
    good = small.path.read_bytes()
    bad = good[:-30] + b"#" + good[-29:]
    small.path.write_bytes(bad)
    for call in (lambda: small.append(look(2)), small.last_change, lambda: small.missing(3)):
        with pytest.raises(AuditDamagedError, match="its end is damaged"):
            call()
    assert small.path.read_bytes() == bad


@posix
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["write", "short write", "fsync"])
def test_a_failing_disk(small: AuditLog, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    good = small.path.read_bytes()
    write = os.write
    calls = []

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def short(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) > 3:
            fail()
        return write(descriptor, data[:20])

    replacement = short if call == "short write" else fail
    monkeypatch.setattr(audit.os, call.rpartition(" ")[2], replacement)
    with pytest.raises(AuditUnwritableError, match="nothing was added") as caught:
        small.append(change(3))
    assert os.strerror(number) in str(caught.value)
    assert caught.value.exit_code == 3
    monkeypatch.undo()
    assert small.path.read_bytes() == good
    small.append(change(3))
    small.verify()


@posix
def test_a_disk_that_fails_twice(small: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(audit.os, "fsync", fail)
    monkeypatch.setattr(audit.os, "ftruncate", fail)
    with pytest.raises(AuditUnwritableError, match="stays, and the next one tells of it"):
        small.append(change(3))


def test_a_writer_goes_on_after_an_error(small: AuditLog) -> None:
    with small.writing() as writer:
        with pytest.raises(UsageError):
            writer.append(AuditRecord("no such", snapshot(0)))
        assert writer.append(look(2)) == 5
    small.verify()


@posix
def test_a_full_disk(small: AuditLog) -> None:
    """A limit that the operating system enforces: real short writes."""
    code = """
import resource, sys
from hashmatch.errors import AuditUnwritableError
from hashmatch.lists.audit import AuditLog, AuditRecord
log = AuditLog(sys.argv[1])
size = log.path.stat().st_size
for limit in (size, size + 1, size + 300):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        log.append(AuditRecord("match", "0" * 64))
    except AuditUnwritableError as error:
        assert "File too large" in str(error), error
    else:
        raise SystemExit("no error")
    assert log.path.stat().st_size == size
"""
    run_python(code, str(small.path))
    small.verify()


# ---------------------------------------------------------------------- several at once


def run_python(code: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


APPENDER = """
import sys
from hashmatch.lists.audit import AuditLog, AuditRecord
log = AuditLog(sys.argv[1])
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    if number % 3:
        log.append(AuditRecord("match", "0" * 64, operator=sys.argv[2], counts={"number": number}))
    else:
        with log.writing() as writer:
            writer.append(AuditRecord("import", "0" * 64, change=writer.changes + 1, operator=sys.argv[2]))
            writer.append(AuditRecord("match", "0" * 64, operator=sys.argv[2], counts={"number": number}))
"""


def test_processes_that_append_at_once(log: AuditLog) -> None:
    processes, each = 4, 30
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(log.path), f"process {i}", str(each)],
            env=environment,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for i in range(processes)
    ]
    for process in running:
        process.stdin.write(b"go\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    reads = 0
    while any(process.poll() is None for process in running):
        log.verify()  # never sees half a line
        reads += 1
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
    state = log.verify()
    assert reads
    assert state.lines == processes * (each + each // 3)
    assert state.changes == processes * (each // 3)
    assert not state.jumps
    for i in range(processes):
        own = [r["counts"]["number"] for r in log.records() if r["operator"] == f"process {i}" and r["counts"]]
        assert own == list(range(each))


def test_the_lock_is_held_over_the_block(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process waits, and so does another log object of this process; then it goes on where we stopped."""
    monkeypatch.setattr(audit, "LOCK_SECONDS", 0.2)
    code = """
import sys
from hashmatch.errors import ListBusyError
from hashmatch.lists import audit
audit.LOCK_SECONDS = float(sys.argv[2])
for call in (lambda log: log.append(audit.AuditRecord("match", "0" * 64)), audit.AuditLog.verify):
    try:
        call(audit.AuditLog(sys.argv[1]))
    except ListBusyError as error:
        print(error)
"""
    with log.writing() as writer:
        for call in (lambda: log.append(look(0)), log.verify, log.last_change):
            with pytest.raises(ListBusyError, match="another process has held the audit log"):
                call()
        # Closing another handle of the file has not dropped the lock.
        assert run_python(code, str(log.path), "0.2").count("another process has held the audit log") == 2
        writer.append(change(1))
    assert run_python(code, str(log.path), "10") == ""
    assert log.verify().lines == 2


@posix
def test_a_log_that_is_moved_away_while_somebody_waits(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(change(1))
    aside = log.path.with_name("aside")
    real = audit._try_lock

    def move_first(descriptor: int, *, exclusive: bool) -> bool:
        if not aside.exists():
            log.path.rename(aside)
        return real(descriptor, exclusive=exclusive)

    monkeypatch.setattr(audit, "_try_lock", move_first)
    log.append(change(2))
    monkeypatch.undo()
    assert [fields["change"] for fields in AuditLog(aside).records()] == [1]
    assert [fields["change"] for fields in log.records()] == [2]


# ---------------------------------------------------------------------- places


@posix
@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_owner_only(log: AuditLog, mask: int) -> None:
    before = os.umask(mask)
    try:
        log.append(look(0))
    finally:
        os.umask(before)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


@posix
def test_a_new_log_reaches_the_disk_with_its_folder(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        info = os.fstat(descriptor)
        steps.append("folder" if stat.S_ISDIR(info.st_mode) else f"file of {info.st_size}")
        fsync(descriptor)

    monkeypatch.setattr(audit.os, "fsync", recorded)
    log.append(look(0))
    first = log.path.stat().st_size
    log.append(look(0))
    assert steps == [f"file of {first}", "folder", f"file of {log.path.stat().st_size}"]


@posix
def test_what_is_not_a_file(log: AuditLog) -> None:
    for make in (os.mkfifo, os.mkdir):
        make(log.path)
        with pytest.raises(AuditUnwritableError):
            log.append(look(0))
        with pytest.raises(StorageError):
            log.verify()
        (Path.rmdir if log.path.is_dir() else Path.unlink)(log.path)


def test_a_missing_folder(tmp_path: Path) -> None:
    log = AuditLog.beside(tmp_path / "missing" / "known.hml")
    with pytest.raises(AuditUnwritableError, match="cannot be added to"):
        log.append(look(0))


@posix
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_read_only_media(small: AuditLog, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A log on read-only media is verified, and what would append to it can tell this from other failures."""
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(number, os.strerror(number))
        return real(path, flags, mode)

    monkeypatch.setattr(audit.os, "open", refuse)
    with pytest.raises(AuditUnwritableError, match=os.strerror(number)):
        small.append(look(2))
    assert small.verify().lines == 4
    assert small.last_change() == 2


@posix
@pytest.mark.skipif(os.name != "nt" and os.geteuid() != 0, reason="mounting needs root")
def test_really_read_only_media(small: AuditLog) -> None:
    folder = small.path.parent
    for command in (["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            subprocess.run(["umount", folder], capture_output=True, check=False)
            pytest.skip("left out: this machine does not allow mounting")
    try:
        with pytest.raises(AuditUnwritableError, match="Read-only file system"):
            small.append(look(2))
        assert small.verify().lines == 4
    finally:
        subprocess.run(["umount", folder], check=True)


@posix
def test_file_systems_without_locks(small: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(audit.fcntl, "flock", no_locks)
    assert small.verify().lines == 4
    with pytest.raises(AuditUnwritableError, match=os.strerror(errno.ENOLCK)):
        small.append(look(2))


# ---------------------------------------------------------------------- a log of many years


def test_a_long_log_is_read_in_bounded_memory(log: AuditLog) -> None:
    """The end of a log of 8 MB is found without reading it; all of it is verified in little memory."""
    record = AuditRecord("match", snapshot(0), inputs=[AuditInput("q.csv", 5, snapshot(1))] * 100)
    position = Position()
    with log.path.open("wb") as file:
        for _ in range(800):
            line = line_of(record, position)
            position = Position(position.number + 1, hashlib.sha256(line).hexdigest(), 0)
            file.write(line + b"\n")
    assert log.path.stat().st_size > 8_000_000
    tracemalloc.start()
    try:
        log.append(change(1))
        assert log.last_change() == 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.reset_peak()
        assert log.verify().lines == 801
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
