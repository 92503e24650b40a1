"""Indexes of the Sleuth Kit: what hfind writes for every kind of database, and damage."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.errors import RecordError, RoleError
from hashmatch.lists.formats import open_entries
from hashmatch.lists.store import HashList

HEADER = "0" * 41 + "|nsrl\n" + "0" * 40 + "1|NSRLFile.txt\n"
MD5S = sorted(hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest().upper() for n in range(5))
SHA1S = sorted(hashlib.sha1(str(n).encode(), usedforsecurity=False).hexdigest().upper() for n in range(5))
NSRL = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"\r\n' + "".join(
    f'"{sha1}","{md5}","ABCD1234","n.txt",5,7,"358",""\r\n' for sha1, md5 in zip(SHA1S, MD5S, strict=True)
)
HASHKEEPER = (
    '"file_id","hashset_id","file_name","directory","hash","file_size","date_modified","time_modified","time_zone",'
    '"comments","date_accessed","time_accessed"\n'
    + "".join(f'{n},5,"MSFS.HLP","C:\\WINDOWS","{md5}",34832,7/11/95,12/30/99,"PST",,,\n' for n, md5 in enumerate(MD5S))
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set.idx"


def read(path, text: str, name="tsk-index"):
    path.write_text(text, encoding="utf-8", newline="")
    with open_entries(path, name) as reading:
        return list(reading)


@pytest.mark.parametrize(
    ("kind", "content", "algorithm", "digests", "role"),
    [
        ("nsrl-md5", NSRL, "md5", MD5S, "known-good"),
        ("nsrl-sha1", NSRL, "sha1", SHA1S, "known-good"),
        ("md5sum", "".join(f"{md5.lower()}  /a b\n" for md5 in MD5S), "md5", MD5S, ""),
        ("hk", HASHKEEPER, "md5", MD5S, "known-good"),
    ],
)
def test_what_hfind_writes(tmp_path, tool, kind, content, algorithm, digests, role):
    database = tmp_path / "base.txt"
    database.write_text(content, encoding="utf-8", newline="")
    subprocess.run([tool("hfind"), "-i", kind, str(database)], check=True, capture_output=True)
    with open_entries(f"{database}-{algorithm}.idx") as reading:
        assert (reading.format.name, reading.format.role) == ("tsk-index", role)
        entries = list(reading)
        notes = reading.input.notes
    found = [entry.hashes[algorithm].hex().upper() for entry in entries]
    assert found == digests
    assert notes[1] == "index of a hash database, name 'base.txt'"
    assert notes[0] == f"index of a hash database, kind {kind.partition('-')[0]!r}"


def test_an_index_is_for_the_lists_that_its_database_is_for(path):
    """Which is no way round the refusal to load NSRL as material."""
    path.write_text(HEADER + f"{MD5S[0]}|{5:016d}\n", encoding="utf-8")
    with HashList.open(path.with_name("bad.hml"), create=True) as bad:
        for options in ({}, {"from_format": "tsk-index"}, {"as_role": "known"}):
            with pytest.raises(RoleError, match="Sleuth Kit hash index of NSRL RDS 2") as caught:
                bad.import_file(path, "NIST", **options)
            assert "for lists of role 'known-good'" in str(caught.value)
            assert "--from tsk-index --as-role known" in str(caught.value)
        assert (bad.count(), list(bad.history.changes())) == (0, [])
        assert bad.import_file(path, "NIST", from_format="tsk-index", as_role="known").added == 1
    with HashList.open(path.with_name("good.hml"), create=True, role="known-good") as good:
        assert good.import_file(path, "NIST").added == 1


@pytest.mark.parametrize(
    ("header", "role"),
    [
        (HEADER, "known-good"),
        ("\n" + HEADER.replace("\n", "\r\n"), "known-good"),
        ("".join(reversed(HEADER.splitlines(keepends=True))), "known-good"),
        ("0" * 41 + "|md5sum\n" + HEADER, "known-good"),  # two indexes, merged
        ("0" * 41 + "|hk\n", "known-good"),
        ("0" * 41 + "|encase\n", ""),
        ("0" * 41 + "|\n", ""),
        ("0" * 40 + "1|nsrl\n", ""),  # that is its name
    ],
)
def test_the_kind_decides_the_role(path, header, role):
    path.write_text(header + f"{MD5S[0]}|{5:016d}\n", encoding="utf-8", newline="")
    with open_entries(path) as reading:
        assert (reading.format.name, reading.format.role) == ("tsk-index", role)
        assert [entry.hashes["md5"].hex().upper() for entry in reading] == MD5S[:1]


def test_the_offset_does_not_count(path):
    """The same digests of another release have the same references."""
    here, there = (read(path, HEADER + f"{MD5S[0]}|{offset:016d}\n") for offset in (5, 77))
    assert here == there
    assert (here[0].ref, here[0].metadata) == ("", "")


def test_digest_of_the_empty_file(path):
    first, second = read(path, HEADER + f"{EMPTY_DIGESTS['md5'].hex()}|{0:016d}\n{MD5S[0]}|{9:016d}\n")
    assert (first.hashes, first.dropped, second.dropped) == ({}, 1, 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            MD5S[1] + f"|{5:015d}",
            "field 'offset': found 15 characters behind the digest; expected an offset of 16 digits",
        ),
        (MD5S[1] + "|000000000000000x", "field 'offset': found 16 characters"),
        (MD5S[1] + "|" + "\uff19" * 16, "field 'offset': found 16 characters"),
        (MD5S[1], "field 'offset': found 0 characters"),
        (MD5S[1][:-1] + f"|{5:016d}", "found 31 digits; expected 32"),
        (MD5S[1][:-1] + f"G|{5:016d}", "found the character 'G' at position 32"),
        (SHA1S[1] + f"|{5:016d}", "found 40 digits; expected 32"),
        (f"|{5:016d}", "expected 32"),
    ],
)
def test_malformed(path, line, message):
    first, problem, last = read(path, f"{HEADER}{MD5S[0]}|{1:016d}\n{line}\n{MD5S[2]}|{3:016d}\n")
    assert isinstance(problem, RecordError)
    assert message in str(problem)
    assert str(problem).startswith(f"{path}, line 4")
    assert problem.record == 2
    assert not any(md5[:8] in str(problem).replace(str(path), "") for md5 in (*MD5S, *SHA1S))
    assert [first.hashes["md5"].hex().upper(), last.hashes["md5"].hex().upper()] == [MD5S[0], MD5S[2]]


@pytest.mark.parametrize("digest", ["AB" * 32, "", "x"])
def test_the_first_digest_decides(path, digest):
    (problem, _) = read(path, HEADER + f"{digest}|{1:016d}\n{MD5S[0]}|{1:016d}\n")
    assert f"field 'digest': found {len(digest)} characters; expected 32 (md5) or 40 (sha1) digits" in str(problem)


def test_no_header(path):
    with pytest.raises(RecordError, match=r"line 1: found a line of 49 characters; expected the header of an index"):
        read(path, f"{MD5S[0]}|{1:016d}\n")
    with pytest.raises(RecordError, match="found no header"):
        read(path, "\n\n")


def test_truncation_at_every_byte(path):
    data = HEADER + "".join(f"{md5}|{n:016d}\n" for n, md5 in enumerate(MD5S[:2]))
    whole = {len(HEADER) + 50 * n - at: n for n in (1, 2) for at in (0, 1)} | {len(HEADER): 0}
    for length in range(1, len(data)):
        try:
            items = read(path, data[:length])
        except RecordError:
            assert length < len(HEADER)
            continue
        if any(isinstance(item, RecordError) for item in items):
            continue
        assert whole.get(length, 0) == len(items), length
        assert length in whole or length < len(HEADER), length
