"""Exports come back as they were, and hold no hash unless asked."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch import HashList
from hashmatch.cli import run
from hashmatch.errors import ListDamagedError
from hashmatch.lists.entry import Entry, Opinion
from hashmatch.lists.store import StoredEntry
from hashmatch.lists.writers import WRITERS

ENTRIES = [
    Entry.make(
        "a,\"b\" = 1",
        {"md5": bytes(range(16)), "pdq": bytes(range(32)), "photodna": bytes(144), "lace": bytes(129)},
        quality={"pdq": 88},
        category=("vics-us-2.0", "1"),
        media_type="video",
        size=0,
        metadata={"id": "not the id", "Series": "ö\n\u2028", "n": [1, {"x": None}], "list_source": "x"},
    ),
    Entry.make("b", {"sha1": bytes(20)}),
    Entry.make("b\rb", {"sha1": bytes(20)}),
    Entry.make("c", {"phash": b"\xff" * 8}, category=("", "x"), metadata={"source": "camera"}),
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries(ENTRIES, "S")
    return tmp_path / "a.hml"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_round_trip(path: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / f"out.{form}"
    assert run(["list", "export", str(path), "--format", form, "--include-hashes", "-o", str(out)]) == 0
    with HashList.open(tmp_path / "b.hml", create=True) as back, HashList.open(path) as known:
        back.import_file(out, "S")
        assert [s.entry for s in back.entries()] == sorted(ENTRIES)
        assert back.snapshot == known.snapshot


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_no_hash_unless_asked(path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert run(["list", "export", str(path), "--format", form]) == 0
    out = capsys.readouterr().out
    for entry in ENTRIES:
        for value in entry.hashes.values():
            assert value.hex() not in out
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(out, newline="")))
        assert [row["id"] for row in rows] == ["a,\"b\" = 1", "b", "b\rb", "c"]  # fmt: skip
        assert json.loads(rows[0]["list_metadata"])["Series"] == "ö\n\u2028"
    else:
        assert json.loads(out.split("\n")[1])["algorithms"] == ["sha1"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_round_trip_of_a_list(path: Path, tmp_path: Path, suffix: str) -> None:
    """The suffix decides the format; the snapshot says that nothing is missing."""
    out = tmp_path / f"out.{suffix}"
    assert run(["list", "export", str(path), "--include-hashes", "-o", str(out)]) == 0
    with HashList.open(tmp_path / "b.hml", create=True) as back, HashList.open(path) as known:
        assert back.import_file(out, "S").format == suffix
        assert back.snapshot == known.snapshot


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_entries_that_come_back_as_those_of_another_source_are_noted(path: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    with HashList.open(path) as known:
        for name in ("T", "Ö", "0f" * 16):
            known.import_entries([Entry.make(f"of {name}", {"sha1": bytes(20)})], name)
    assert run(["list", "export", str(path), "--include-hashes", "-o", str(out)]) == 0
    with HashList.open(tmp_path / "b.hml", create=True) as back:
        notes = back.import_file(out, "T").notes
        assert notes[-1] == (
            "the file says that 6 of its records are those of 32 characters (1), 'S' (4), 'Ö' (1); they were imported "
            "as those of 'T': to keep whose they are, import the exports of each source by themselves, or use "
            "`hashmatch list merge`"
        )
        assert back.sources() == ["T"]
    assert run(["list", "export", str(path), "--include-hashes", "--source", "Ö", "-o", str(out)]) == 0
    with HashList.open(tmp_path / "c.hml", create=True) as back:
        assert not any(
            "merge" in note for note in back.import_file(out, "O\u0308").notes
        )  # another form of the same name


def test_origins_of_any_number_are_counted_and_some_named(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    rows = "".join(f"{n:040x},{'A' * 2000 if n == 9 else f'S{n:04}'}\n" for n in range(2000))
    out.write_text(f"sha1,List_Source\n{rows}{2000:040x},\nbad,S\n", encoding="utf-8")
    with HashList.open(tmp_path / "b.hml", create=True) as back:
        (note,) = back.import_file(out, "S0001", skip_invalid=True).notes
    assert note.startswith(
        "the file says that 1,999 of its records are those of 1,000 characters (1), 'S0000' (1), 'S0002' (1), "
        "'S0003' (1) and others; they"
    )


def test_an_origin_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    values = (5, None, "", ["S"], {"S": 1})
    lines = [json.dumps({"sha1": f"{n:040x}", "LIST_SOURCE": value}) for n, value in enumerate(values)]
    out.write_text("\n".join(lines), encoding="utf-8")
    with HashList.open(tmp_path / "b.hml", create=True) as back:
        summary = back.import_file(out, "S")
        assert (summary.added, summary.notes) == (5, [])
        assert not any(stored.entry.metadata for stored in back.entries())


@pytest.mark.parametrize("form", ["vics", "hashdeep", "pdq"])
def test_formats_that_are_nothing_without_hashes(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    out = tmp_path / "out"
    out.write_text("former")
    assert run(["list", "export", str(path), "--format", form, "-o", str(out)]) == 2
    assert f"{form} is nothing without hashes" in capsys.readouterr().err
    assert out.read_text() == "former"


def test_the_account_is_printed_after_the_export(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pdq"
    assert run(["list", "export", str(path), "--include-hashes", "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0].startswith("exported as pdq: 1 entry, ")
    assert hashlib.sha256(out.read_bytes()).hexdigest() in lines[0]
    assert "    no pdq hash: 3 entries" in lines
    assert "    photodna hash: 1 entry" in lines
    assert "    metadata: Series: 1 entry" in lines
    for entry in ENTRIES:
        for value in entry.hashes.values():
            assert value.hex() not in said.err
    assert run(["list", "export", str(path), "--include-hashes", "-o", str(out), "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("to_file", [True, False])
def test_the_account_as_json(
    path: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], to_file: bool
) -> None:
    """Standard output may hold the export: the account is then on standard error."""
    out = tmp_path / "out"
    where = ["-o", str(out)] if to_file else []
    assert run(["list", "export", str(path), "--format", "pdq", "--include-hashes", "--json", *where]) == 0
    said = capsysbinary.readouterr()
    account = json.loads(said.out if to_file else said.err)
    data = out.read_bytes() if to_file else said.out
    assert account["format"] == "pdq"
    assert account["written"] == 1
    assert account["left_out"] == {"no pdq hash": 3}
    assert account["lost"]["source"] == 1
    assert (account["bytes"], account["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_only_some_sources(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with HashList.open(path) as known:
        known.import_entries(ENTRIES[1:2], "Ö")
        known.import_entries(ENTRIES[3:], "T")

    def sources(*names: str) -> list[str]:
        options = [part for name in names for part in ("--source", name)]
        assert run(["list", "export", str(path), "--format", "jsonl", "-q", *options]) == 0
        return [json.loads(line)["list_source"] for line in capsys.readouterr().out.split("\n")[:-1]]

    assert sorted(sources()) == ["S"] * 4 + ["T", "Ö"]
    assert sources("T") == ["T"]
    assert sorted(sources("O\u0308", "T")) == ["T", "Ö"]  # another form of the same name
    out = tmp_path / "out.csv"
    assert run(["list", "export", str(path), "--source", "X", "-o", str(out)]) == 2
    assert "has no source 'X'; its sources: S, T, Ö; " in capsys.readouterr().err
    with HashList.open(path) as known:
        for number in range(10):
            known.import_entries(ENTRIES[:1], f"NCMEC member {number}")
    assert run(["list", "export", str(path), "--source", "X", "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert "NCMEC member 9 and 3 more; " in error
    assert "T" not in error
    assert not out.exists()


def test_one_reference_of_two_sources_is_said(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with HashList.open(path) as known:
        known.import_entries([ENTRIES[0]._replace(size=3)], "T")
    assert run(["list", "export", str(path), "--include-hashes", "-o", str(tmp_path / "x.json"), "--json"]) == 0
    account = json.loads(capsys.readouterr().out)
    assert account["lost"]["reference: several entries have the same"] == 2
    assert account["lost"]["source"] == account["written"] == 5


def test_the_vics_scheme(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.json"
    assert run(["list", "export", str(path), "--include-hashes", "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lost"]["category"] == 1  # ("", "x") is of no VICS scheme
    arguments = ["list", "export", str(path), "--include-hashes", "-o", str(out), "--json", "--vics-scheme", "uk"]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["lost"]["category"] == 2
    assert "2.0.xml/UK/" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", WRITERS)
def test_an_export_that_fails_leaves_the_former_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    with HashList.open(path) as known:
        known.import_entries([ENTRIES[0]._replace(size=3)], "T")
    out = tmp_path / "folder" / "out"
    out.parent.mkdir()
    out.write_text("former")

    def entries(_self: HashList, _sources: object = None) -> Iterator[StoredEntry]:
        yield StoredEntry("S", ENTRIES[0])
        raise ListDamagedError("damage")

    monkeypatch.setattr(HashList, "entries", entries)
    assert run(["list", "export", str(path), "--format", form, "--include-hashes", "-o", str(out)]) == 3
    assert out.read_text() == "former"
    assert [item.name for item in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("form", WRITERS)
def test_the_same_list_gives_the_same_bytes(path: Path, tmp_path: Path, form: str) -> None:
    for name in ("one", "two"):
        arguments = ["list", "export", str(path), "--format", form, "--include-hashes", "-o", str(tmp_path / name)]
        assert run(arguments) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_mode & 0o077 == 0


def test_opinions_come_along(tmp_path: Path) -> None:
    opinions = [Opinion("", "A", True), Opinion("md5", "B", False, "wrong \N{LATIN SMALL LETTER E WITH ACUTE}")]
    entry = Entry.make("a", {"md5": bytes(range(16))}, opinions=opinions)
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries([entry], "S")
        snapshot = known.snapshot
    for suffix in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"x.{suffix}"
        assert run(["list", "export", str(tmp_path / "a.hml"), "--include-hashes", "-q", "-o", str(out)]) == 0
        with HashList.open(tmp_path / f"{suffix}.hml", create=True) as back:
            back.import_file(out, "S")
            assert [stored.entry.opinions for stored in back.entries()] == [entry.opinions]
            assert back.snapshot == snapshot
