"""NSRL RDS 2: two ways through a line, quotes and bytes in names, truncation, and the same digests as hfind."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import nsrl_text, open_entries
from hashmatch.lists.formats.nsrl_text import COLUMNS
from hashmatch.lists.formats.source import Input

HEADER = ",".join(f'"{name}"' for name in COLUMNS)
SHA1, MD5 = hashlib.sha1(b"x").hexdigest().upper(), hashlib.md5(b"x").hexdigest().upper()
LINE = f'"{SHA1}","{MD5}","ABCD1234","a.txt",5,7,"358","M"'


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("nsrl") / "NSRLFile.txt"


def read(path, text: str | bytes, name="nsrl2"):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with open_entries(path, name) as reading:
        return list(reading)


def line(name='"a.txt"', size="5", product="7", system='"358"', special='""') -> str:
    return f'"{SHA1}","{MD5}","ABCD1234",{name},{size},{product},{system},{special}'


def test_a_row(path):
    path.write_text(f"{HEADER}\r\n{LINE}\r\n", encoding="utf-8", newline="")
    with open_entries(path) as reading:
        (entry,) = reading
        assert (reading.format.name, reading.format.role) == ("nsrl2", "known-good")
    assert entry.hashes == {"sha1": bytes.fromhex(SHA1), "md5": bytes.fromhex(MD5)}
    assert (entry.ref, entry.size) == ("", 5)
    assert entry.fields == {
        "crc32": "ABCD1234", "file_name": "a.txt", "op_system_code": "358", "product_code": 7, "special_code": "M"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ('"a,b"', "a,b"),
        ('"say ""hi"""', 'say "hi"'),
        ('"say "hi" twice"', 'say "hi" twice'),
        ('"a\\b"', "a\\b"),
        ('"é 資料"', "é 資料"),
        ("plain", "plain"),
    ],
)
def test_names(path, name, expected):
    (entry,) = read(path, f"{HEADER}\n{line(name)}\n")
    assert entry.fields["file_name"] == expected


def test_names_that_are_not_utf8(path):
    """What version 2 says of itself, and what is in it, are two things."""
    entries = read(path, f"{HEADER}\n{line()}\n".encode().replace(b"a.txt", b"a\xe9.txt") + LINE.encode() + b"\n")
    assert [entry.fields["file_name"] for entry in entries] == ["a\\xe9.txt", "a.txt"]


def test_version_1_5(path):
    header = '"SHA-1","FileName","FileSize","ProductCode","OpSystemCode","MD4","MD5","CRC32","SpecialCode"'
    record = f'"{SHA1}","a,b.txt","12","7","WIN","{MD5[::-1]}","{MD5}","ABCD1234",""'
    (entry,) = read(path, f"{header}\n{record}\n", None)
    assert entry.hashes == {"sha1": bytes.fromhex(SHA1), "md5": bytes.fromhex(MD5)}
    assert entry.size == 12
    assert entry.fields == {"crc32": "ABCD1234", "file_name": "a,b.txt", "op_system_code": "WIN", "product_code": 7}


def test_digests_of_the_empty_file(path):
    record = LINE.replace(SHA1, EMPTY_DIGESTS["sha1"].hex()).replace(MD5, EMPTY_DIGESTS["md5"].hex().upper())
    (entry,) = read(path, f"{HEADER}\n{record}\n")
    assert (entry.hashes, entry.dropped) == ({}, 2)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (LINE.replace(MD5, MD5[1:]), "field 'MD5': found 31 digits; expected 32"),
        (LINE.replace(SHA1, MD5), "field 'SHA-1': found 32 digits; expected 40"),
        (LINE.replace(SHA1, "").replace(MD5, ""), "found a record without any hash"),
        (LINE.replace("ABCD1234", "xyz"), "field 'CRC32': found 'xyz'; expected 8 hexadecimal digits"),
        (line(size="-1"), "field 'FileSize': found '-1'; expected a whole number"),
        (line(size="99999999999999999999"), "field 'FileSize': found 20 characters; expected a whole number"),
        (line(product="x"), "field 'ProductCode': found 'x'; expected a whole number"),
        (line(name='"a\x01"'), "field 'FileName': found the control character U+0001 at position 2"),
        (line(name='"a\x00"'), "field 'FileName': found the control character U+0000 at position 2"),
        (LINE + ',""', "found 9 columns; expected 8, as the header has"),
        (LINE.rpartition(",")[0], "found 7 columns; expected 8"),
        (LINE[:-1], "found what is not valid CSV"),
        (LINE[1:], "field 'SHA-1': found the character '\"' at position 41"),
        ("x", "found 1 columns; expected 8"),
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
    assert SHA1[:8] not in str(problem)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b,c", 'found a header without a column of SHA-1, MD5, SHA-256; expected "SHA-1"'),
        ('"SHA-1","sha-1"', "found the column 'sha-1' twice"),
        ('"SHA-1', "found what is not valid CSV"),
        ("\n", 'found no header; expected "SHA-1"'),
    ],
)
def test_damaged_headers(path, header, message):
    with pytest.raises(RecordError) as caught:
        read(path, header)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_truncation_at_every_byte(path):
    """A cut line is never an entry, and never nothing."""
    data = f"{HEADER}\n{LINE}\n{LINE}\n"
    whole = read(path, data)
    ends = {len(HEADER) + 1 + (len(LINE) + 1) * n - at: n for n in (1, 2) for at in (0, 1)}
    for length in range(len(HEADER), len(data)):
        items = read(path, data[:length])
        lines = data[:length].count("\n") - 1 + (not data[:length].endswith("\n"))
        assert len(items) == max(0, lines)
        if length in ends:
            assert items == whole[: ends[length]]
        elif items and length > len(HEADER) + 1:
            assert isinstance(items[-1], RecordError), length


# ------------------------------------------------------------------ the two ways

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=6) | st.sampled_from(
    ["", '"', '""', "\\", "\t", ","]
)


@given(
    name=CELLS, size=st.integers(-2, 10**20).map(str) | CELLS, product=st.integers(-2, 10**20).map(str) | CELLS,
    system=CELLS, special=CELLS, md5=st.sampled_from([MD5, MD5.lower(), EMPTY_DIGESTS["md5"].hex(), "", MD5[1:]]),
    quoted=st.booleans(),
)  # fmt: skip
def test_both_ways_are_equal(path, name, size, product, system, special, md5, quoted):
    size, product = (f'"{size}"', f'"{product}"') if quoted else (size, product)
    text = f'"{SHA1}","{md5}","ABCD1234","{name}",{size},{product},"{system}","{special}"'
    path.write_text(f"{HEADER}\n", encoding="utf-8")
    with Input(path) as source:
        reader = nsrl_text._Reader(COLUMNS, source, 1 << 20)
        quick = reader.common(text)
        if quick is not None:
            assert quick == reader.entry(text)
            assert isinstance(quick, Entry)


def test_common_lines_go_the_quick_way(path, monkeypatch):
    monkeypatch.setattr(nsrl_text._Reader, "entry", None)
    assert len(read(path, f"{HEADER}\n{LINE}\n{line()}\n")) == 2


def test_hfind_finds_the_same(tmp_path, tool):
    """The Sleuth Kit's index of the file holds the same digests, of both kinds."""
    path = tmp_path / "NSRLFile.txt"
    records = []
    for n in range(50):
        sha1, md5 = (hashlib.new(a, str(n).encode()).hexdigest().upper() for a in ("sha1", "md5"))
        records.append(f'"{sha1}","{md5}","ABCD1234","n{n}, ""x"".txt",5,7,"358",""\r\n')
    path.write_text(HEADER + "\r\n" + "".join(records), encoding="utf-8", newline="")
    with open_entries(path) as reading:
        entries = list(reading)
    for algorithm in ("md5", "sha1"):
        subprocess.run([tool("hfind"), "-i", f"nsrl-{algorithm}", str(path)], check=True, capture_output=True)
        with open_entries(f"{path}-{algorithm}.idx") as reading:
            assert [e.hashes[algorithm] for e in reading] == sorted(e.hashes[algorithm] for e in entries)
