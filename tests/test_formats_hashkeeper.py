"""HashKeeper sets: columns, what some programs leave empty, damage, and the same digests as hfind."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.formats import open_entries

COLUMNS = (
    "file_id", "hashset_id", "file_name", "directory", "hash", "file_size", "date_modified", "time_modified",
    "time_zone", "comments", "date_accessed", "time_accessed",
)  # fmt: skip
HEADER = ",".join(f'"{name}"' for name in COLUMNS)
MD5 = hashlib.md5(b"x", usedforsecurity=False).hexdigest().upper()
LINE = f'29294,5,"MSFS.HLP","C:\\WINDOWS\\HELP","{MD5}",34832,7/11/95 0:00:00,12/30/99 9:50:00,"PST",,,'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set.hsh"


def read(path, text: str | bytes, name="hashkeeper"):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with open_entries(path, name) as reading:
        return list(reading)


def test_a_row(path):
    path.write_text(f"{HEADER}\n\n\n{LINE}\n", encoding="utf-8")
    with open_entries(path) as reading:
        (entry,) = reading
        assert (reading.format.name, reading.format.role) == ("hashkeeper", "known-good")
    assert entry.hashes == {"md5": bytes.fromhex(MD5)}
    assert (entry.ref, entry.size) == ("", 34832)
    assert entry.fields == {
        "file_id": 29294, "hashset_id": 5, "file_name": "MSFS.HLP", "directory": "C:\\WINDOWS\\HELP",
        "date_modified": "7/11/95 0:00:00", "time_modified": "12/30/99 9:50:00", "time_zone": "PST",
    }  # fmt: skip


def test_everything_quoted_and_most_of_it_empty(path):
    """As programs write it that only have the digests; file_id is the same in every row."""
    rows = [f'"1","1","","","{MD5}","","","","","","",""', f'"1","1","","","{MD5[::-1]}","","","","","","",""']
    entries = read(path, "\n".join([HEADER, *rows]))
    assert [entry.fields for entry in entries] == [{"file_id": 1, "hashset_id": 1}] * 2
    assert entries[0].derived_ref() != entries[1].derived_ref()


def test_names_that_are_not_utf8(path):
    (entry,) = read(path, f"{HEADER}\n{LINE}\n".encode().replace(b"MSFS", b"\xc4"))
    assert entry.fields["file_name"] == "\\xc4.HLP"


def test_columns_in_another_order_and_case(path):
    (entry,) = read(path, f"HASH,File_Size,file_name\n{MD5},12,a\n")
    assert (entry.size, entry.fields) == (12, {"file_name": "a"})


def test_digest_of_the_empty_file(path):
    (entry,) = read(path, f"{HEADER}\n{LINE.replace(MD5, EMPTY_DIGESTS['md5'].hex())}\n")
    assert (entry.hashes, entry.dropped) == ({}, 1)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (LINE.replace(MD5, MD5[1:]), "field 'hash': found 31 digits; expected 32"),
        (LINE.replace(MD5, MD5[:-1] + "G"), "field 'hash': found the character 'G' at position 32"),
        (LINE.replace(f'"{MD5}"', ""), "found a record without any hash"),
        (LINE.replace("34832", "-5"), "field 'file_size': found '-5'; expected a whole number"),
        (LINE.replace("29294", "x"), "field 'file_id': found 'x'; expected a whole number"),
        (LINE.replace("MSFS", "\x01"), "field 'file_name': found the control character U+0001"),
        (LINE.replace("MSFS", "\x00"), "field 'file_name': found the control character U+0000"),
        (LINE.replace('"MSFS.HLP"', f'"{MD5}"').replace(f',"{MD5}",34832', ',"MSFS.HLP",34832'), "field 'hash': found"),
        (LINE[:-1], "found 11 columns; expected 12, as the header has"),
        (LINE + ",x", "found a cell in column 13 too"),
        (LINE.replace('"PST"', '"PST'), "found what is not valid CSV"),
    ],
)
def test_malformed(path, record, message):
    first, problem, last = read(path, f"{HEADER}\n{LINE}\n{record}\n{LINE}\n")
    assert first == last
    assert isinstance(problem, RecordError)
    assert str(problem).startswith(f"{path}, line 3")
    assert problem.record == 2
    assert message in str(problem)
    assert MD5[:8] not in str(problem)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b", "found a header without 'hash'; expected \"file_id\""),
        ("hash,HASH", "found the column 'HASH' twice"),
        ('"hash', "found what is not valid CSV"),
        ("\n", "found no header"),
    ],
)
def test_damaged_headers(path, header, message):
    with pytest.raises(RecordError) as caught:
        read(path, header)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_truncation_at_every_byte(path):
    data = f"{HEADER}\n{LINE}\n{LINE}\n"
    whole = read(path, data)
    for length in range(len(HEADER), len(data)):
        items = read(path, data[:length])
        assert items[:-1] == whole[: max(0, len(items) - 1)]
        lines = data[:length].count("\n") - 1 + (not data[:length].endswith("\n"))
        assert len(items) == max(0, lines), length
        if items and not isinstance(items[-1], RecordError):
            assert items[-1] == whole[0], length


def test_hfind_finds_the_same(path, tool):
    md5s = sorted(hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest().upper() for n in range(50))
    entries = read(path, HEADER + "\n" + "".join(LINE.replace(MD5, md5) + "\n" for md5 in md5s), None)
    subprocess.run([tool("hfind"), "-i", "hk", str(path)], check=True, capture_output=True)
    with open_entries(f"{path}-md5.idx") as reading:
        assert [e.hashes for e in reading] == [e.hashes for e in entries]
