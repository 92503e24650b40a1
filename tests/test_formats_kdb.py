"""Hash databases of Autopsy and the Sleuth Kit: what hfind creates, names and comments, dirt."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
from contextlib import closing

import pytest

from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.formats import kdb, open_entries
from hashmatch.lists.formats.source import Limits

#: As hfind 4.11 creates it.
SCHEMA = """
CREATE TABLE db_properties (name TEXT NOT NULL, value TEXT);
INSERT INTO db_properties (name, value) VALUES ('Schema Version', '1');
CREATE TABLE hashes (id INTEGER PRIMARY KEY AUTOINCREMENT, md5 BINARY(16) UNIQUE, sha1 BINARY(20), sha2_256 BINARY(32));
CREATE TABLE file_names (name TEXT NOT NULL, hash_id INTEGER NOT NULL, PRIMARY KEY(name, hash_id));
CREATE TABLE comments (comment TEXT NOT NULL, hash_id INTEGER NOT NULL, PRIMARY KEY(comment, hash_id));
CREATE INDEX md5_index ON hashes(md5);
"""
MD5, SHA1, SHA256 = (hashlib.new(a, b"x").digest() for a in ("md5", "sha1", "sha256"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set.kdb"


def write(path, hashes=(), names=(), comments=(), schema=SCHEMA):
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(schema)
        database.executemany("INSERT INTO hashes VALUES (?, ?, ?, ?)", hashes)
        database.executemany("INSERT INTO file_names VALUES (?, ?)", names)
        database.executemany("INSERT INTO comments VALUES (?, ?)", comments)
    return path


def read(path, name="kdb", **options):
    with open_entries(path, name, **options) as reading:
        return list(reading)


def md5s(count):
    return [hashlib.md5(str(n).encode(), usedforsecurity=False).digest() for n in range(count)]


def test_a_database(path):
    write(path, [(7, MD5, SHA1, SHA256), (9, md5s(1)[0], None, None)], [("b", 7), ("é", 7), ("x", 8)], [("why", 9)])
    with open_entries(path) as reading:
        first, second = reading
        assert (reading.format.name, reading.format.role) == ("kdb", "")
    assert first.hashes == {"md5": MD5, "sha1": SHA1, "sha256": SHA256}
    assert (first.ref, first.fields) == ("7", {"file_names": ["b", "é"]})
    assert (second.ref, second.fields) == ("9", {"comments": ["why"]})


def test_what_hfind_creates(path, tool):
    digests = md5s(30)
    subprocess.run([tool("hfind"), "-c", str(path)], check=True, capture_output=True)
    assert read(path) == []
    for digest in digests:
        subprocess.run([tool("hfind"), "-a", str(path), digest.hex()], check=True, capture_output=True)
    with open_entries(path) as reading:
        assert reading.format.name == "kdb"
        entries = list(reading)
    assert [(entry.ref, entry.hashes) for entry in entries] == [
        (str(n), {"md5": digest}) for n, digest in enumerate(digests, 1)
    ]


def test_hexadecimal_text(path):
    write(path, [(1, MD5.hex().upper(), SHA1.hex(), None)])
    (entry,) = read(path)
    assert entry.hashes == {"md5": MD5, "sha1": SHA1}


@pytest.mark.parametrize(
    ("hashes", "message"),
    [
        ((MD5[1:], None, None), "field 'md5': found 30 digits; expected 32"),
        ((SHA1, MD5, None), "field 'md5': found 40 digits; expected 32"),
        ((MD5, None, SHA1), "field 'sha2_256': found 40 digits; expected 64"),
        ((MD5.hex()[:16], None, None), "field 'md5': found 16 digits; expected 32"),  # as long as a digest
        (("x" * 16, None, None), "field 'md5': found the character 'x'"),
        ((5, None, None), "field 'md5': found 2 digits; expected 32"),
        ((None, None, None), "found a record without any hash"),
        ((b"", None, ""), "found a record without any hash"),
    ],
)
def test_malformed(path, hashes, message):
    write(path, [(1, md5s(1)[0], None, None), (2, *hashes), (3, md5s(2)[1], None, None)])
    first, problem, last = read(path)
    assert [first.ref, last.ref] == ["1", "3"]
    assert isinstance(problem, RecordError)
    assert message in str(problem)
    assert str(problem).startswith(f"{path}, record 2")
    assert not any(digest.hex()[:8] in str(problem) for digest in (MD5, SHA1))


def test_control_characters_and_bytes_in_names(path):
    write(path, [(1, MD5, None, None), (2, SHA1[:16], None, None)], [("a\x01", 1), (b"a\xff", 2)])
    problem, entry = read(path)
    assert "field 'file_names': found the control character U+0001" in str(problem)
    assert entry.fields == {"file_names": ["a\\xff"]}


def test_digest_of_the_empty_file(path):
    (entry,) = read(write(path, [(1, EMPTY_DIGESTS["md5"], SHA1, None)]))
    assert (entry.hashes, entry.dropped) == ({"sha1": SHA1}, 1)


@pytest.mark.parametrize(("window", "most"), [(50_000, 200_000), (10, 200_000), (1000, 7), (7, 1)])
def test_windows(path, window, most, monkeypatch):
    """However few entries and texts are held at once, the result is the same."""
    monkeypatch.setattr(kdb, "_WINDOW", window)
    monkeypatch.setattr(kdb, "_MOST_TEXTS", most)
    monkeypatch.setattr(kdb, "_ROWS", 10)
    digests = md5s(60)
    names = [(f"n{n % 7}-{n}", 3 * (n % 50)) for n in range(200)]
    write(path, [(3 * n, digest, None, None) for n, digest in enumerate(digests)], names)
    expected = {number: sorted(name for name, of in names if of == number) for _, number in names}
    assert {int(e.ref): e.fields.get("file_names", []) for e in read(path)} == {
        3 * n: expected.get(3 * n, []) for n in range(60)
    }


def test_too_many_names_of_one_hash(path):
    write(path, [(1, MD5, None, None)], [("x" * 40 + str(n), 1) for n in range(100)])
    (problem,) = read(path, limits=Limits(max_string=1000))
    assert "field 'file_names': found texts of more than 1,000 characters; expected fewer" in str(problem)


def test_another_version(path):
    write(path, schema=SCHEMA.replace("'1'", "'2'"))
    with pytest.raises(RecordError, match=r"set\.kdb: found a hash database of schema version '2'; expected 1"):
        read(path)


def test_no_hash_database(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE hashes (x)")
    with pytest.raises(RecordError, match=r"found a database without the table hashes\(id, md5, sha1, sha2_256\)"):
        read(path)


def test_tables_that_are_missing(path):
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(SCHEMA + "DROP TABLE comments; DROP TABLE file_names; DROP TABLE db_properties;")
        database.execute("INSERT INTO hashes VALUES (1, ?, NULL, NULL)", (MD5,))
    (entry,) = read(path)
    assert entry.hashes == {"md5": MD5}


def test_truncation_at_every_byte_of_a_page_and_at_every_page(path, tmp_path):
    write(
        path,
        [(n, digest, None, None) for n, digest in enumerate(md5s(20), 1)],
        schema="PRAGMA page_size = 512;" + SCHEMA,
    )
    data = path.read_bytes()
    cut = tmp_path / "cut.kdb"
    for length in (*range(16, 512, 7), *range(512, len(data), 512), *range(len(data) - 20, len(data))):
        cut.write_bytes(data[:length])
        with pytest.raises(RecordError, match="cut short"):
            read(cut)
