"""EnCase hash sets: the layout, counts that lie, truncation, and the same hashes as the Sleuth Kit finds."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.formats import Limits, open_entries, source
from hashmatch.lists.formats.encase import MAGIC

MD5S = [hashlib.md5(str(n).encode(), usedforsecurity=False).digest() for n in range(300)]


def encase(md5s=MD5S[:3], name="Set é", category="Known", count=None, padding=b"\0\0") -> bytes:
    header = MAGIC + b"\2\0\0\0\1\0\0\0" + (len(md5s) if count is None else count).to_bytes(4, "little")
    header = header.ljust(1032, b"\0") + name.encode("utf-16-le").ljust(80, b"\0")
    return header + category.encode("utf-16-le").ljust(40, b"\0") + b"".join(md5 + padding for md5 in md5s)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set.hash"


def read(path, data: bytes, name=None):
    path.write_bytes(data)
    with open_entries(path, name) as reading:
        assert reading.format.name == "encase"
        assert reading.format.role == ""
        return list(reading)


@pytest.mark.parametrize("block", [1, 7, 1152, 1 << 16])
def test_a_set(path, block, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", block)
    entries = read(path, encase(MD5S))
    assert [entry.hashes for entry in entries] == [{"md5": md5} for md5 in MD5S]
    assert entries[0].fields == {"hash_set": "Set é"}
    assert entries[0].category == ("encase", "Known")
    assert entries[0].ref == ""


def test_nothing_said_of_the_set(path):
    (entry, *_) = read(path, encase(name="", category=""))
    assert (entry.metadata, entry.category) == ("", None)


def test_no_count(path):
    """Version 3, and the Sleuth Kit's own tests, leave it at zero."""
    assert len(read(path, encase(count=0))) == 3


@pytest.mark.parametrize("count", [1, 2, 4, 2**32 - 1])
def test_counts_that_lie(path, count):
    with pytest.raises(RecordError, match=rf"set\.hash: found 3 hashes; expected {count:,}, as the header says"):
        read(path, encase(count=count))


def test_digests_of_the_empty_file(path):
    entries = read(path, encase([MD5S[0], EMPTY_DIGESTS["md5"], MD5S[1]]))
    assert [(entry.hashes, entry.dropped) for entry in entries] == [
        ({"md5": MD5S[0]}, 0), ({}, 1), ({"md5": MD5S[1]}, 0)
    ]  # fmt: skip


def test_bytes_behind_a_hash(path):
    data = bytearray(encase())
    data[1152 + 18 + 17] = 1
    first, second, third = read(path, bytes(data))
    assert str(second) == (
        f"{path}, record 2: found other bytes than zeros behind the hash; expected 16 bytes of MD5 and two zeros"
    )
    assert [first.hashes, third.hashes] == [{"md5": MD5S[0]}, {"md5": MD5S[2]}]


@pytest.mark.parametrize("count", [None, 0])
def test_truncation_at_every_byte(path, count):
    data = encase(count=count)
    for length in (*range(1, 1152, 37), *range(1100, len(data))):
        if length >= 1152 and count == 0 and (length - 1152) % 18 == 0:
            assert len(read(path, data[:length], "encase")) == (length - 1152) // 18
            continue
        with pytest.raises(RecordError, match=r"cut short|as the header says|expected HASH"):
            read(path, data[:length], "encase")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encase(name="a\x01"), "field 'hash set': found the control character U+0001"),
        (
            encase().replace("Known".encode("utf-16-le"), b"\x00\xdc" * 5),
            "field 'category': found bytes that are not UTF-16",
        ),
        (b"HASH\r\n" + bytes(2000), "found another beginning; expected HASH"),
    ],
)
def test_damaged_headers(path, data, message):
    with pytest.raises(RecordError) as caught:
        read(path, data, "encase")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_limits_of_lines_do_not_count(path):
    path.write_bytes(encase(MD5S))
    with open_entries(path, limits=Limits(max_line_bytes=64)) as reading:
        assert len(list(reading)) == 300


def test_hfind_finds_the_same(path, tool):
    """The Sleuth Kit's index of the file holds the same hashes, and that index is read as well."""
    entries = read(path, encase(MD5S))
    subprocess.run([tool("hfind"), "-i", "encase", str(path)], check=True, capture_output=True)
    with open_entries(f"{path}-md5.idx") as reading:
        assert reading.format.name == "tsk-index"
        found = [entry.hashes["md5"] for entry in reading]
    assert found == sorted(entry.hashes["md5"] for entry in entries)
