"""hashdeep: declared columns, names with commas, and what the real program writes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys

import pytest

from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import open_entries

MD5, SHA1, SHA256 = "0f" * 16, "1e" * 20, "2d" * 32
HEAD = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## Invoked from: /x\n## \n"


@pytest.fixture
def read(tmp_path):
    def read(text: str, **options) -> list[Entry | RecordError]:
        path = tmp_path / "known.txt"
        path.write_bytes(text.encode())
        with open_entries(path, **options) as reading:
            assert reading.format.name == "hashdeep"
            return list(reading)

    return read


def test_record(read):
    (entry,) = read(f"{HEAD}12,{MD5.upper()},{SHA256},/a, b,c\n")
    assert entry == Entry.make("/a, b,c", {"md5": bytes.fromhex(MD5), "sha256": bytes.fromhex(SHA256)}, size=12)


@pytest.mark.parametrize(
    ("columns", "cells", "names"),
    [
        ("size,sha1,filename", f"1,{SHA1},f", {"sha1"}),
        (
            "size,md5,sha1,sha256,tiger,whirlpool,filename",
            f"1,{MD5},{SHA1},{SHA256},00,11,f",
            {"md5", "sha1", "sha256"},
        ),
        ("md5,filename", f"{MD5},f", {"md5"}),
    ],
)
def test_declared_columns(read, columns, cells, names):
    (entry,) = read(f"%%%% HASHDEEP-1.0\r\n%%%% {columns}\r\n{cells}\r\n")
    assert set(entry.hashes) == names
    assert entry.ref == "f"


def test_files_one_behind_the_other(read):
    one, two = read(f"{HEAD}12,{MD5},{SHA256},a\n%%%% HASHDEEP-1.0\n%%%% size,sha1,filename\n1,{SHA1},b\n")
    assert (set(one.hashes), set(two.hashes)) == ({"md5", "sha256"}, {"sha1"})


@pytest.mark.parametrize(
    "header",
    ["%%%% HASHDEEP-1.0", "%%%% HASHDEEP-1.0\n%%%% size,md5", "%%%% HASHDEEP-1.0\n%%%% size,md5,md5,filename",
     "%%%% HASHDEEP-1.0\n%%%% size,crc,filename", "%%%% HASHDEEP-1.0\n%%%% size,filename",
     "%%%% HASHDEEP-1.0\n%%%%size,md5,filename"],
)  # fmt: skip
def test_bad_header(read, header):
    with pytest.raises(RecordError, match=r"line \d: found .*expected"):
        read(header)


def test_record_before_columns(read):
    with pytest.raises(RecordError, match="before the columns"):
        read(f"%%%% HASHDEEP-1.0\n1,{MD5},f\n")


def test_forced_on_something_else(tmp_path):
    path = tmp_path / "x"
    path.write_text("hello\n")
    with (
        open_entries(path, "hashdeep") as reading,
        pytest.raises(RecordError, match=r"line 1: found 'hello'; expected %%%% HASHDEEP"),
    ):
        list(reading)


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        (f"x,{MD5},{SHA256},f", "size", "whole number"),
        (f"1,{MD5}0,{SHA256},f", "md5", "33 digits"),
        (f"1,{MD5},{SHA256},", "filename", "found nothing"),
        (f"1,{MD5},{SHA256}", None, "found 3 columns; expected 4"),
        (f"1,{MD5},{SHA256},a\x1bb", "filename", r"U\+001B"),
        ("1,,,f", None, "without any hash"),
    ],
)
def test_malformed(read, row, field, message):
    good = f"1,{MD5},{SHA256},f"
    first, error, last = read(f"{HEAD}{good}\n{row}\n{good}\n")
    assert first == last
    assert (error.line, error.record, error.field) == (6, 2, field)
    with pytest.raises(RecordError, match=message):
        raise error


@pytest.mark.skipif(sys.platform != "linux", reason="file names of other systems are text")
def test_real_hashdeep_over_a_name_that_is_not_utf8(tmp_path, tool):
    folder = tmp_path / "files"
    folder.mkdir()
    for name in (b"plain", b"a\xffb"):
        (folder / os.fsdecode(name)).write_bytes(name)
    ran = subprocess.run([tool("hashdeep"), "-l", "-r", "."], cwd=folder, capture_output=True, check=True)
    path = tmp_path / "known.txt"
    path.write_bytes(ran.stdout)
    with open_entries(path) as reading:
        hashes = {entry.ref: entry.hashes["md5"] for entry in reading}
    assert hashes == {"./plain": hashlib.md5(b"plain").digest(), "./a\\xffb": hashlib.md5(b"a\xffb").digest()}


def test_cells_that_are_not_utf8(tmp_path):
    path = tmp_path / "known.txt"
    rows = [b"1\xff,%s,,f", b"1,\xff%s,,f", b"1,%s\xff,,f", b"1,%s,,\xff"]
    path.write_bytes(HEAD.encode() + b"".join(row % MD5.encode() + b"\n" for row in rows))
    with open_entries(path) as reading:
        *errors, entry = reading
    assert [error.field for error in errors] == ["size", "md5", "md5"]
    assert all(isinstance(error, RecordError) for error in errors)
    assert entry.ref == "\\xff"


@pytest.mark.skipif(shutil.which("hashdeep") is None, reason="hashdeep is not installed: apt-get install hashdeep")
@pytest.mark.parametrize("algorithms", ["md5,sha256", "md5,sha1,sha256,tiger,whirlpool"])
def test_real_hashdeep(tmp_path, algorithms):
    folder = tmp_path / "files"
    folder.mkdir()
    names = ["plain", "com,ma", "back\\slash", "-dash", "grüße 😀", " space ", "new\nline", "empty"]
    for name in names:
        (folder / name).write_bytes(b"" if name == "empty" else name.encode())
    ran = subprocess.run(["hashdeep", "-c", algorithms, "-l", "-r", "."], cwd=folder, capture_output=True, check=True)
    path = tmp_path / "known.txt"
    path.write_bytes(ran.stdout)
    with open_entries(path) as reading:
        records = list(reading)
    entries = {entry.ref: entry for entry in records if isinstance(entry, Entry)}
    # hashdeep writes a line end in a name as it is: the name is cut there, and what is left of it is no record.
    assert set(entries) == {f"./{name}" for name in names if name != "new\nline"} | {"./new"}
    assert [str(error.reason)[:7] for error in records if isinstance(error, RecordError)] == ["found 1"]
    for name in names:
        entry = entries[f"./{name}".split("\n", maxsplit=1)[0]]
        data = b"" if name == "empty" else name.encode()
        assert entry.size == len(data)
        if data:
            assert entry.hashes["md5"] == hashlib.md5(data).digest()
            assert entry.hashes["sha256"] == hashlib.sha256(data).digest()
        else:
            assert entry.dropped == algorithms.count("md5") + algorithms.count("sha")
