"""Databases of others: what is refused, what SQLite's errors become, and that nothing is written beside the file."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from hashmatch.errors import HashMatchError, InputError, RecordError
from hashmatch.lists.formats import open_entries, sqlite_source
from hashmatch.lists.formats.source import Head, Input, Limits
from hashmatch.lists.formats.sqlite_source import open_foreign, schema_of, select
from hashmatch.lists.store import HashList

SHA256, SHA1, MD5 = "AB" * 32, "CD" * 20, "EF" * 16
COLUMNS = "sha256, sha1, md5, crc32, file_name, file_size, package_id"
TABLE = f"CREATE TABLE FILE ({COLUMNS});"
ROW = f"INSERT INTO FILE VALUES ('{SHA256}', '{SHA1}', '{MD5}', 'ABCD1234', 'a', 5, 7);"
METADATA = (TABLE + ROW).replace("FILE", "METADATA")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.db"


def make(path, script: str):
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(script)
    return path


def read(path, name="nsrl3", **options):
    with open_entries(path, name, **options) as reading:
        return list(reading)


def problem(path, name="nsrl3", **options) -> str:
    with pytest.raises(HashMatchError) as caught:
        read(path, name, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------ what a schema may not do


@pytest.mark.parametrize(
    ("view", "what"),
    [
        (f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA WHERE random() > 0", "the function 'random'"),
        (f"CREATE VIEW FILE AS SELECT load_extension('x') AS sha256, {COLUMNS[8:]} FROM METADATA", None),
        (f"CREATE VIEW FILE AS SELECT zeroblob(999999999) AS sha256, {COLUMNS[8:]} FROM METADATA", "zeroblob"),
        (f"CREATE VIEW FILE AS SELECT printf('%9999d', 1) AS sha256, {COLUMNS[8:]} FROM METADATA", "printf"),
        (f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA WHERE file_name LIKE '%a%a%a%'", "the function 'like'"),
        (
            "CREATE VIEW FILE AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            f"SELECT {COLUMNS} FROM METADATA, n",
            "the table 'n'",
        ),
        (f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA, pragma_database_list", None),
        (f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA, json_each('[1]')", "json_each"),
        (f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA, sqlite_master", "sqlite_master"),
    ],
    ids=["random", "extension", "zeroblob", "printf", "like", "recursion", "pragma", "json", "schema"],
)  # fmt: skip
def test_views_that_do_more_than_select(path, view, what):
    message = problem(make(path, METADATA + view))
    if what is None:  # SQLite itself refuses these in a schema that is not trusted
        assert "found what cannot be read as a table" in message
    else:
        assert "expected one that only selects from tables of its file" in message
        assert what in message


def test_a_plain_view_is_read(path):
    view = "CREATE VIEW FILE AS SELECT upper(sha256) AS sha256, trim(sha1) AS sha1, md5, crc32, "
    (entry,) = read(
        make(path, METADATA + view + "replace(file_name, '\"', '') AS file_name, file_size, package_id FROM METADATA")
    )
    assert entry.hashes["sha256"] == bytes.fromhex(SHA256)
    assert entry.fields == {"crc32": "ABCD1234", "file_name": "a", "package_id": 7}


@pytest.mark.parametrize(
    "rest", ["ORDER BY file_name", "GROUP BY sha1", "UNION SELECT * FROM METADATA"], ids=["order", "group", "union"]
)
def test_views_that_collect_rows(path, rest):
    script = f"{METADATA} CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA {rest}"
    assert "sorts or collects its rows" in problem(make(path, script))


def test_a_virtual_table_is_none_of_the_tables(path):
    make(path, f"CREATE VIRTUAL TABLE FILE USING fts4({COLUMNS}); {ROW}")
    assert "without the table FILE" in problem(path)


def test_a_view_without_an_end_is_stopped(path, monkeypatch):
    monkeypatch.setattr(sqlite_source, "_PATIENCE", 3)
    monkeypatch.setattr(sqlite_source, "_STEPS", 1000)
    rows = "INSERT INTO t SELECT 0 FROM t;" * 6
    crossed = ", ".join(f"t AS t{n}" for n in range(9))
    script = f"{METADATA} CREATE TABLE t (x); INSERT INTO t VALUES (0); {rows}"
    script += f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA, {crossed} WHERE t0.x + t8.x > 1"
    assert "gives no row in 3,000 steps" in problem(make(path, script))


def test_a_view_with_more_rows_than_the_file_has_bytes(path):
    script = f"{METADATA} CREATE TABLE t (x);" + "INSERT INTO t VALUES (0);" * 30
    script += f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA, t AS a, t AS b, t AS c, t AS d, t AS e;"
    make(path, script)
    assert f"more rows than the file has bytes ({path.stat().st_size:,})" in problem(path)


def test_progress_never_goes_back(path, monkeypatch):
    monkeypatch.setattr(sqlite_source, "_STEPS", 100)
    make(path, f"{TABLE}BEGIN;{ROW * 3000}COMMIT;")
    seen = []
    read(path, progress=lambda done, total: seen.append(done) if total is None else None)
    assert len(seen) > 50
    assert seen == sorted(seen)
    assert seen[-1] == 3000


def test_what_a_progress_callback_raises_comes_through(path, monkeypatch):
    monkeypatch.setattr(sqlite_source, "_STEPS", 10)
    make(path, TABLE + ROW)

    def cancel(done, total):
        if done == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Input(path, progress=cancel) as source, open_foreign(source) as database:
        database.query("SELECT count(*) FROM FILE AS a, FILE AS b WHERE a.sha1 = b.sha1")


def test_triggers_are_never_run(path):
    make(path, TABLE + ROW + "CREATE TRIGGER t AFTER INSERT ON FILE BEGIN DELETE FROM FILE; END;")
    assert len(read(path)) == 1


def test_nothing_can_be_written(path):
    make(path, TABLE + ROW)
    for statement in ("DELETE FROM FILE", "CREATE TABLE x (y)", "PRAGMA query_only = OFF", "ATTACH 'x' AS y"):
        with Input(path) as source, open_foreign(source) as database, pytest.raises(RecordError, match="only selects"):
            database.query(statement)


def test_values_that_are_too_long(path):
    make(path, TABLE + f"INSERT INTO FILE VALUES ('{SHA256}', '{SHA1}', '{MD5}', '', hex(zeroblob(1000000)), 5, 7);")
    assert "expected values of at most 1,048,576 bytes" in problem(path)


def test_the_schema_may_not_be_larger_than_its_limits(path):
    make(path, f"CREATE TABLE FILE ({COLUMNS}, {', '.join(f'c{n}' for n in range(300))})")
    assert "expected" in problem(path)


# ------------------------------------------------------------------ files that are not at rest, or not whole


def wal(path):
    """A database in WAL mode with changes that wait beside it."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(f"PRAGMA journal_mode = WAL; {TABLE} PRAGMA wal_checkpoint(TRUNCATE); {ROW}")
    return database


def test_changes_in_a_wal_file(path):
    with closing(wal(path)):
        message = problem(path)
    assert "found changes that wait in the file data.db-wal beside it" in message
    assert "PRAGMA journal_mode=DELETE" in message


def test_the_advice_on_a_wal_file_is_right(tmp_path, path, tool):
    with closing(wal(path)):
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", tmp_path / f"copy.db{suffix}")
    subprocess.run(
        [tool("sqlite3"), tmp_path / "copy.db", "PRAGMA journal_mode=DELETE"], check=True, capture_output=True
    )
    assert len(read(tmp_path / "copy.db")) == 1


def test_wal_mode_at_rest_leaves_no_file_behind(path):
    with closing(wal(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.read_bytes()[18:20] == b"\2\2"
    before = path.read_bytes()
    assert len(read(path, None)) == 1
    assert [file.name for file in path.parent.iterdir()] == ["data.db"]
    assert path.read_bytes() == before


def interrupted(path, tmp_path):
    """A copy of a database in the middle of a change, as a crash leaves it."""
    make(path, "PRAGMA page_size = 512;" + TABLE + ROW * 50)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript("PRAGMA cache_size = 1; BEGIN; UPDATE FILE SET crc32 = 'x';")
        for suffix in ("", "-journal"):
            shutil.copy(f"{path}{suffix}", tmp_path / f"copy.db{suffix}")
    return tmp_path / "copy.db"


def test_an_interrupted_change(tmp_path, path):
    copy = interrupted(path, tmp_path)
    kept = copy.read_bytes(), (tmp_path / "copy.db-journal").read_bytes()
    message = problem(copy)
    assert "found a change that was interrupted, in the file copy.db-journal" in message
    assert (copy.read_bytes(), (tmp_path / "copy.db-journal").read_bytes()) == kept


def test_the_advice_on_an_interrupted_change_is_right(tmp_path, path, tool):
    copy = interrupted(path, tmp_path)
    subprocess.run([tool("sqlite3"), copy, "PRAGMA quick_check"], check=True, capture_output=True)
    entries = read(copy)
    assert [entry.fields["crc32"] for entry in entries] == ["ABCD1234"] * 50


def test_a_database_that_is_being_changed(path, monkeypatch):
    monkeypatch.setattr(sqlite_source, "_BUSY_SECONDS", 0.01)
    make(path, TABLE + ROW)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert "another program is changing" in problem(path)


def test_truncation_at_every_page_and_in_every_header_byte(path, tmp_path):
    make(path, "PRAGMA page_size = 512;" + TABLE + ROW * 20)
    data = path.read_bytes()
    cut = tmp_path / "cut.db"
    for length in (*range(1, 200), *range(200, len(data), 61), *range(512, len(data), 512), len(data) - 1):
        cut.write_bytes(data[:length])
        assert "cut short" in problem(cut) or length < 16, length


def test_damage_is_an_error_and_shows_nothing_of_the_content(path):
    make(path, "PRAGMA page_size = 512;" + TABLE + ROW * 40)
    data = bytearray(path.read_bytes())
    data[3 * 512 : 4 * 512] = b"\xff" * 512
    path.write_bytes(data)
    message = problem(path)
    assert "found a damaged SQLite database" in message
    assert "copy it from its origin again" in message
    assert SHA256[:8] not in message


def test_what_begins_like_a_database_and_is_none(path):
    path.write_bytes(b"SQLite format 3\0" + b"\x01" * 496)
    assert "expected" in problem(path)


def test_a_file_that_was_replaced(path, tmp_path):
    make(path, TABLE + ROW)
    with Input(path) as source:
        source.head()
        path.unlink()
        make(path, TABLE + "CREATE TABLE other (x);")
        with pytest.raises(RecordError, match=r"was replaced|cut short"):
            open_foreign(source)


def test_a_file_that_changes_while_it_is_read(path):
    make(path, TABLE + ROW)
    with open_entries(path, "nsrl3") as reading:
        next(iter(reading))
        with path.open("ab") as file:
            file.write(b"\0" * 512)
        with pytest.raises(InputError, match="changed while it was read"):
            reading.input.finish()


def test_our_own_list_is_never_claimed(tmp_path):
    with HashList.open(tmp_path / "own.hml", create=True):
        pass
    for name in ("nsrl3", "kdb"):
        assert "found a hashmatch list" in problem(tmp_path / "own.hml", name)


def test_no_database(path):
    path.write_text("hello")
    assert "found a file that is no SQLite database" in problem(path)


def test_utf16_text_comes_as_utf8(path):
    make(path, f"PRAGMA encoding = 'UTF-16le'; {TABLE} {ROW.replace(chr(39) + 'a' + chr(39), chr(39) + 'é' + chr(39))}")
    (entry,) = read(path, None)
    assert entry.fields["file_name"] == "é"


# ------------------------------------------------------------------ detection


def head_of(path, name=None) -> Head:
    return Head(str(path) if name is None else name, path.read_bytes()[: 1 << 16], complete=True)


def test_schema(path):
    make(path, METADATA + f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA; CREATE VIRTUAL TABLE v USING fts4(x);")
    schema = schema_of(head_of(path))
    assert {"metadata", "file"} < set(schema)
    assert "v" not in schema
    assert list(schema["file"].columns) == COLUMNS.split(", ")
    assert (schema["file"].is_view, schema["metadata"].is_view) == (True, False)


@pytest.mark.parametrize("name", ["-", "/no/such/file"])
def test_schema_of_a_stream_is_that_of_its_first_pages(path, name):
    make(path, METADATA + f"CREATE VIEW FILE AS SELECT {COLUMNS} FROM METADATA;")
    schema = schema_of(head_of(path, name))
    assert set(COLUMNS.split(", ")) <= schema["file"].columns.keys()
    assert schema["file"].is_view


def test_schema_of_a_damaged_file_is_that_of_its_first_pages(path):
    make(path, METADATA)
    path.write_bytes(path.read_bytes()[:-1])
    assert set(COLUMNS.split(", ")) <= schema_of(head_of(path))["metadata"].columns.keys()
    assert not schema_of(Head("x", b"SQLite format 3\0", complete=True))
    assert not schema_of(Head("x", b"hello", complete=True))


def test_names_are_quoted(path):
    make(path, 'CREATE TABLE "a""b" (x); INSERT INTO "a""b" VALUES (1);')
    with Input(path) as source, open_foreign(source) as database:
        assert database.query(select(["x"], database.relations['a"b'])) == [(1,)]


def test_length_follows_the_limits(path):
    make(path, TABLE + f"INSERT INTO FILE VALUES ('{SHA256}', '{SHA1}', '{MD5}', '', hex(zeroblob(1000000)), 5, 7);")
    (entry,) = read(path, limits=Limits(max_string=3_000_000))
    assert len(entry.fields["file_name"]) == 2_000_000
