"""A replay of the fuzz targets: seeds, and mutations that are the same in every run. tests/fuzz fuzzes for real."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fuzz.mutate import shaped
from fuzz.targets import TARGETS, packed

from hashmatch import HashList
from hashmatch.errors import DeltaError, ListDamagedError, RecordError
from hashmatch.lists.entry import pack_hashes, unpack_hashes
from hashmatch.lists.formats import open_entries

FUZZ = Path(__file__).parent / "fuzz"
GUIDED = [name for name, target in TARGETS.items() if target.cases]
BLIND = [name for name, target in TARGETS.items() if not target.cases]
#: A guided run takes some minutes on a machine that has nothing else to do.
PATIENCE = 3600


def replay(name: str, seconds: float) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    corpus = [path.read_bytes() for path in sorted((FUZZ / "corpus" / name).glob("*"))]
    rng = random.Random(f"{name} {seconds}")

    def run(data: bytes, *, thorough: bool) -> None:
        try:
            target.run(data)
            if thorough and target.thorough is not None:
                target.thorough(data)
        except BaseException:
            print(f"{name}: {data!r}")
            raise

    for data in corpus:
        run(data, thorough=True)
    for data in seeds:
        run(data, thorough=False)
    for _ in range(int(target.rate * seconds)):
        parent = rng.choice(seeds)
        run(shaped(rng, parent, seeds, target.tokens, target.shapes, target.longest), thorough=False)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_a_few_mutations(name: str) -> None:
    replay(name, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BLIND)
def test_many_mutations(name: str) -> None:
    replay(name, 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", GUIDED)
def test_guided(name: str) -> None:
    """In a process of its own, which has probes in the code under test, and may hang or crash."""
    environment = os.environ | {"PYTHONPATH": str(FUZZ.parents[1])}
    command = [sys.executable, "-W", "error", str(FUZZ / "guided.py"), name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-6000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["cases"] == TARGETS[name].cases
    assert figures["edges"] > figures["edges_of_seeds"]
    # Most of it is the interpreter and its libraries.
    assert figures["peak_mb"] < 400


def test_a_packed_quality_over_100_is_refused() -> None:
    """Found by fuzzing: it was given out as the entry's quality."""
    sound = pack_hashes({"pdq": bytes(32)}, {"pdq": 100})
    packed(sound)
    for quality in (101, 254):
        with pytest.raises(RecordError, match=f"pdq quality {quality}; expected a number from 0 to 100"):
            unpack_hashes(sound[:-1] + bytes([quality]))
    assert unpack_hashes(sound[:-1] + b"\xff") == ({"pdq": bytes(32)}, {})


def test_what_sqlite_says_of_damage_is_one_line(tmp_path: Path) -> None:
    """Found by fuzzing: SQLite's text has several lines, and names that the damaged file holds."""
    path = tmp_path / "list.hml"
    with HashList.open(path, create=True) as made:
        made.import_file(Path(__file__).parents[1] / "testvectors" / "lists" / "valid" / "plain.jsonl", source="a")
    raw = bytearray(path.read_bytes())
    # Page 3 on: cells of b-trees that point outside their page.
    for page in range(2, len(raw) // 16384):
        raw[page * 16384 + 8 : page * 16384 + 12] = b"\x01\x01\x01\x01"
    path.write_bytes(raw)
    with HashList.open(path) as opened, pytest.raises(ListDamagedError) as caught:
        opened.check()
    assert "\n" not in str(caught.value)


def test_what_sqlite_says_of_a_damaged_schema_need_not_be_text(tmp_path: Path) -> None:
    """Found by fuzzing: Python's module raises UnicodeDecodeError over SQLite's words, which quote the schema."""
    path = tmp_path / "set.kdb"
    with closing(sqlite3.connect(path)) as made, made:
        made.executescript("CREATE TABLE hashes (id, md5, sha1, sha2_256); CREATE INDEX of_md5 ON hashes (md5);")
    # The index is about a column that there is not, so SQLite complains of it by name.
    path.write_bytes(path.read_bytes().replace(b"of_md5", b"of\xfcmd5").replace(b"(md5)", b"(md6)"))
    for name in ("kdb", "nsrl3"):
        with pytest.raises(RecordError, match="found a damaged SQLite database"), open_entries(path, name) as reading:
            list(reading)


@pytest.mark.parametrize(
    ("name", "header"), [("nsrl2", '"SHA-1","MD5","x{}y"'), ("hashkeeper", '"file_id","hash","x{}y"')]
)
def test_names_of_columns_hold_no_control_characters(tmp_path: Path, name: str, header: str) -> None:
    """Found by fuzzing: such a name became a key of the metadata."""
    path = tmp_path / "set.txt"
    for character in ("\0", "\x1b"):
        path.write_text(header.format(character) + "\n", encoding="utf-8")
        with (
            pytest.raises(RecordError, match=r"line 1.*found the control character U\+00") as caught,
            open_entries(path, name) as reading,
        ):
            list(reading)
        assert str(caught.value).isprintable()


def test_a_tab_in_a_message_about_quotes_is_written_out(tmp_path: Path) -> None:
    """Found by fuzzing: csv names the delimiter as it is."""
    path = tmp_path / "list.tsv"
    path.write_text('md5\tid\n""x\t1\n', encoding="utf-8")
    with open_entries(path, "csv") as reading:
        (problem,) = reading
    assert r"'\t' expected after" in str(problem)
    assert str(problem).isprintable()


@pytest.mark.parametrize("name", ["base", "target"])
def test_snapshots_of_a_delta_are_no_other_text(tmp_path: Path, name: str) -> None:
    """Found by fuzzing: the message quoted what stood there, control characters included."""
    path = tmp_path / "a.delta"
    with HashList.open(tmp_path / "list.hml", create=True) as known:
        header = {"hashmatch_delta": 1, "role": "known", "base": known.snapshot, "target": "0" * 64}
        for text in ("\x7f\u202e", "0" * 63, "G" * 64, ""):
            path.write_text(json.dumps(header | {name: text}) + "\n", encoding="utf-8")
            with pytest.raises(DeltaError, match="found no snapshots; expected base and target") as caught:
                known.apply_delta(path)
            assert str(caught.value).isprintable()


def test_counts_of_a_delta_are_not_quoted(tmp_path: Path) -> None:
    """Found by fuzzing: whatever stood in place of them came into the message."""
    path = tmp_path / "a.delta"
    with HashList.open(tmp_path / "list.hml", create=True) as known:
        header = {"hashmatch_delta": 1, "role": "known", "base": known.snapshot, "target": "0" * 64}
        line = json.dumps(header) + "\n"
        end = {"end": {"0f" * 16: 1}, "sha256": hashlib.sha256(line.encode()).hexdigest()}
        path.write_text(line + json.dumps(end) + "\n", encoding="utf-8")
        with pytest.raises(DeltaError, match="its last line says otherwise;") as caught:
            known.apply_delta(path)
        assert "0f0f" not in str(caught.value)


def test_the_role_of_a_delta_is_not_quoted_where_it_may_be_a_hash(tmp_path: Path) -> None:
    """Found by fuzzing."""
    path = tmp_path / "a.delta"
    with HashList.open(tmp_path / "list.hml", create=True) as known:
        header = {"hashmatch_delta": 1, "role": "0f" * 16, "base": known.snapshot, "target": "0" * 64}
        path.write_text(json.dumps(header) + "\n", encoding="utf-8")
        with pytest.raises(DeltaError, match="found a delta of a list of role 32 characters; "):
            known.apply_delta(path)


def test_long_names_of_columns_are_not_quoted(tmp_path: Path) -> None:
    """Found by fuzzing."""
    path = tmp_path / "set.txt"
    path.write_text('"SHA-1","MD5","' + "\0" * 201 + '"\n', encoding="utf-8")
    with pytest.raises(RecordError, match="field 'a name of 201 characters'"), open_entries(path, "nsrl2") as reading:
        list(reading)


def test_a_member_that_is_named_like_a_hash_is_not_named(tmp_path: Path) -> None:
    """Found by fuzzing: of a document's own members, the name stood before what is wrong with the value."""
    path = tmp_path / "vics.json"
    text = '{"@odata.context":"DataModels/2.0.xml/US/$metadata#Media","NAME":{"a":1,"a":2},"value":[]}'
    path.write_text(text.replace("NAME", "0f" * 16), encoding="utf-8")
    with (
        pytest.raises(RecordError, match="a name of 32 characters: found the key 'a' twice"),
        open_entries(path) as all_,
    ):
        list(all_)


def test_a_namespace_in_a_message_is_written_out(tmp_path: Path) -> None:
    """Found by fuzzing: a namespace with a line separator stood in the message as it is."""
    path = tmp_path / "files.xml"
    for text in ("<dfxml><a xmlns:p='\u2028'><p:b>text<c/>", "<dfxml><a xmlns:p='\u2028'><p:b>"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RecordError, match=r"\\u2028") as caught, open_entries(path, "dfxml") as reading:
            list(reading)
        assert str(caught.value).isprintable()


def test_a_column_that_is_named_like_a_hash_is_not_named(tmp_path: Path) -> None:
    """Found by fuzzing: of columns with nested values, the name stood in the message."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table({"md5": [bytes(range(16))], "0f" * 16: [["\0"]]}), path)
    with open_entries(path) as reading:
        (problem,) = reading
    assert "field 'a name of 32 characters': found the control character U+0000" in str(problem)
