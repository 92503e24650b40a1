"""Exports come back as they were, and hold no hash unless asked."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from hashmatch import HashList
from hashmatch.cli import run
from hashmatch.lists.entry import Entry

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
