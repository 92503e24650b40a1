"""md5sum and its kin: GNU, BSD and bare forms, and what the real programs write."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import FormatAmbiguousError, RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import open_entries

NAMES = ["md5", "sha1", "sha256", "sha512"]
MD5, SHA256 = "0f" * 16, "2d" * 32


@pytest.fixture
def read(tmp_path):
    def read(text: str, format_: str = "md5sum", **options) -> list[Entry | RecordError]:
        path = tmp_path / "sums.txt"
        path.write_bytes(text.encode())
        with open_entries(path, **options) as reading:
            assert reading.format.name == format_
            return list(reading)

    return read


@pytest.mark.parametrize("name", NAMES)
def test_width_picks_the_algorithm(read, name):
    value = bytes(range(ALGORITHMS[name].width))
    (entry,) = read(f"{value.hex()}  a/b c\n", f"{name}sum")
    assert entry == Entry.make("a/b c", {name: value})


@pytest.mark.parametrize(
    ("line", "ref"),
    [
        (f"{MD5}  path", "path"),
        (f"{MD5} *path", "path"),
        (f"{MD5}   path ", " path "),
        (f"{MD5} path", "path"),
        (f"{MD5.upper()}  (x) = y", "(x) = y"),
        (f"\\{MD5}  a\\nb\\\\c\\rd", "a\nb\\c\rd"),
        (f"\\{MD5} *a\\\\n", "a\\n"),
        (f"{MD5}  a\\nb", "a\\nb"),
        (f"MD5 (path) = {MD5}", "path"),
        (f"MD5 (a) = (b) = {MD5}", "a) = (b"),
        (f"\\MD5 (a\\nb) = {MD5}", "a\nb"),
        (f"MD5(path)= {MD5}", "path"),
        (MD5, ""),
        (f" {MD5}\t", ""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_forms(read, line, ref, end):
    if line.startswith(" "):
        line = f"{MD5}{end}{line}"
    assert read(f"# comment{end}{end}{line}{end}")[-1] == Entry.make(ref, {"md5": bytes.fromhex(MD5)})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{MD5[:-1]}  x", "expected 32 hexadecimal digits"),
        (f"{MD5}0  x", "expected 32 hexadecimal digits"),
        (f"{MD5[:-1]}g  x", "no hexadecimal digit"),
        (f"{MD5}  ", "found nothing; expected a path"),
        (f"{MD5}", "without a path"),
        (f"\\{MD5}", "expected 32 hexadecimal digits, two spaces"),
        (f"\\{MD5}  a\\tb", "found the escape"),
        (f"\\{MD5}  a\\", "found the escape"),
        (f"{MD5}  a\x1bb", r"U\+001B"),
        (f"\\{MD5}  a\x1bb", r"U\+001B"),
        (f"SHA1 (x) = {MD5}", "found a digest of 'SHA1'; expected md5"),
        (f"MD5 (x) = {MD5}00", "found 34 digits"),
        ("MD5 (x", "expected 32 hexadecimal digits"),
        ("hello", "expected 32 hexadecimal digits"),
        ("٣" * 32 + "  x", "no hexadecimal digit"),
    ],
)
def test_malformed(read, line, message):
    first, error, last = read(f"{MD5}  x\n\n{line}\n{MD5}  x\n")
    assert first == last
    assert (error.line, error.record) == (3, 2)
    with pytest.raises(RecordError, match=message):
        raise error


@pytest.mark.parametrize("name", NAMES)
def test_empty_file_digest(read, name):
    (entry,) = read(f"{hashlib.new(name).hexdigest().upper()}  x\n", f"{name}sum")
    assert (entry.ref, entry.dropped, entry.packed) == ("x", 1, bytes(4))


def test_bare_64_digits_are_ambiguous(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text(f"{SHA256}\n")
    with pytest.raises(FormatAmbiguousError, match=r"\(pdq\) or .*\(sha256sum\).*--from pdq or --from sha256sum"):
        open_entries(path)
    with open_entries(path, "sha256sum") as reading:
        assert [e.hashes for e in reading] == [{"sha256": bytes.fromhex(SHA256)}]
    for suffix, name in ((".sha256", "sha256"), (".pdq", "pdq"), (".SHA256", "sha256")):
        named = path.rename(path.with_suffix(suffix))
        with open_entries(named) as reading:
            assert [e.hashes for e in reading] == [{name: bytes.fromhex(SHA256)}]
        path = named


def test_lone_digest_without_line_end(read, tmp_path):
    """Half of a SHA-256 looks like an MD5: without its line end it is not believed."""
    with pytest.raises(RecordError, match=r"may be a longer one that was cut short.*--from md5sum"):
        read(MD5)
    assert len(read(MD5, from_format="md5sum")) == 1
    assert len(read(f"{MD5}\n")) == 1
    assert len(read(f"{MD5}\n{MD5}")) == 2
    path = tmp_path / "x.md5"
    path.write_text(MD5)
    with open_entries(path) as reading:
        assert len(list(reading)) == 1
    path = path.rename(tmp_path / "x.sha256")
    with open_entries(path) as reading, pytest.raises(RecordError, match="cut short"):
        list(reading)


@pytest.mark.parametrize("options", [[], ["--tag"], ["--binary"]])
@pytest.mark.parametrize("name", NAMES)
def test_real_programs(tmp_path, name, options):
    folder = tmp_path / "files"
    folder.mkdir()
    names = ["plain", "com,ma", "back\\slash", "-dash", "grüße 😀", " space ", "new\nline", "a\\nb", "cr\rx", "(x) = y"]
    for file in names:
        (folder / file).write_bytes(file.encode())
    ran = subprocess.run([f"{name}sum", *options, "--", *names], cwd=folder, capture_output=True, check=True)
    path = tmp_path / "sums"
    path.write_bytes(ran.stdout)
    with open_entries(path) as reading:
        assert reading.format.name == f"{name}sum"
        entries = list(reading)
    assert [e.ref for e in entries] == names
    assert [e.hashes[name] for e in entries] == [hashlib.new(name, file.encode()).digest() for file in names]


@pytest.mark.parametrize(
    ("line", "ref"),
    [
        (b"%s  a\xff\xe9", "a\\xff\\xe9"),
        (b"%s *\xff", "\\xff"),
        (b"%s \xffa", "\\xffa"),
        (b"MD5 (\xff) = %s", "\\xff"),
        (b"\\%s  a\\n\xff\\\\\xc3", "a\n\\xff\\\\xc3"),
        ("%s  é".encode() + b"\xed\xa0\x80", "é\\xed\\xa0\\x80"),
        (b"# \xff\n%s  a", "a"),
    ],
)
def test_paths_that_are_not_utf8(tmp_path, line, ref):
    path = tmp_path / "sums"
    path.write_bytes(b"%s  x\n" % MD5.encode() + line.replace(b"%s", MD5.encode()) + b"\n")
    with open_entries(path) as reading:
        assert [e.ref for e in reading] == ["x", ref]


@pytest.mark.parametrize(
    "line",
    [
        b"0f\xff" + b"0f" * 14 + b"0  x",
        b"\xff" + b"0f" * 16 + b"  x",
        b"\xff",
        b"0f" * 15 + b"\xff",
        b"\xff (x) = " + b"0f" * 16,
    ],
)
def test_digests_that_are_not_utf8(tmp_path, line):
    path = tmp_path / "sums"
    path.write_bytes(b"%s  x\n" % MD5.encode() + line + b"\n%s  y\n" % MD5.encode())
    with open_entries(path) as reading:
        first, error, last = reading
    assert (first.ref, last.ref) == ("x", "y")
    assert isinstance(error, RecordError)
    assert error.line == 2
    str(error).encode()


@pytest.mark.skipif(sys.platform != "linux", reason="file names of other systems are text")
@pytest.mark.parametrize("options", [[], ["--tag"]])
@pytest.mark.parametrize("name", NAMES)
def test_real_programs_over_names_that_are_not_utf8(tmp_path, name, options):
    names = [b"plain", b"a\xffb", b"new\nline\xff\\", b"\xc3\xa9\xe9"]
    for file in names:
        (tmp_path / os.fsdecode(file)).write_bytes(file)
    ran = subprocess.run([f"{name}sum", *options, "--", *names], cwd=tmp_path, capture_output=True, check=True)
    path = tmp_path / "sums"
    path.write_bytes(ran.stdout)
    with open_entries(path) as reading:
        entries = list(reading)
    assert [e.ref for e in entries] == ["plain", "a\\xffb", "new\nline\\xff\\", "é\\xe9"]
    assert [e.hashes[name] for e in entries] == [hashlib.new(name, file).digest() for file in names]


paths = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32)))), min_size=1)


@given(st.lists(st.tuples(st.binary(min_size=20, max_size=20), paths), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, records):
    path = tmp_path_factory.getbasetemp() / "round.txt"
    path.write_bytes("".join(f"{value.hex()}  {name}\n" for value, name in records).encode())
    with open_entries(path) as reading:
        assert [(e.hashes["sha1"], e.ref) for e in reading] == records
