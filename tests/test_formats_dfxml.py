"""DFXML: what hashdeep -d and fiwalk write of files and of file systems, and what damage does to it."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from hashmatch.errors import FormatUnknownError, RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import open_entries, source
from hashmatch.lists.store import HashList

_SHAKE = hashlib.shake_256(b"dfxml").digest(200)
MD5, SHA1, SHA256, OTHER = _SHAKE[:16], _SHAKE[16:36], _SHAKE[36:68], _SHAKE[68:84]
NAMESPACE = "http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML"


def digest(value: bytes | str = MD5, kind: str = "md5", more: str = "") -> str:
    text = value.hex() if isinstance(value, bytes) else value
    return f"<hashdigest type='{kind}'{more}>{text}</hashdigest>"


def fileobject(name: str | None = "a/b.jpg", more: str = "<filesize>12</filesize>", hashes: str = digest()) -> str:
    filename = "" if name is None else f"<filename>{name}</filename>\n"
    return f"<fileobject>\n{filename}{more}{hashes}</fileobject>\n"


def document(*fileobjects: str, around: str = "{}", xmlns: str = NAMESPACE) -> str:
    space = f" xmlns='{xmlns}'" if xmlns else ""
    return f"<?xml version='1.0' encoding='UTF-8'?>\n<dfxml{space}>\n{around.format(''.join(fileobjects))}</dfxml>\n"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "files.xml"


def read(path: Path, text: str | bytes, from_format: str | None = None):
    """(records, notes) of a document."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with open_entries(path, from_format) as reading:
        assert reading.format.name == "dfxml"
        return list(reading), reading.input.notes


def one(path: Path, *fileobjects: str):
    (found,), notes = read(path, document(*fileobjects))
    assert not notes
    return found


# ---------------------------------------------------------------------- what is read


def test_a_file(path):
    hashes = digest(MD5, "MD5") + digest(SHA1, "sha1") + digest(SHA256, "SHA-256") + digest("0123abc", "TIGER")
    more = "<filesize> 12 </filesize><mtime>2020-01-01T00:00:00Z</mtime>"
    assert one(path, fileobject("/a &amp; é.jpg", more, hashes)) == Entry.make(
        "/a & é.jpg",
        {"md5": MD5, "sha1": SHA1, "sha256": SHA256},
        size=12,
        metadata={"mtime": "2020-01-01T00:00:00Z", "hashdigest": {"TIGER": "0123abc"}},
    )


@pytest.mark.parametrize("around", ["{}", "<volume offset='0'><partition_offset>0</partition_offset>\n{}</volume>"])
@pytest.mark.parametrize("xmlns", [NAMESPACE, "", "http://example.invalid/dfxml"])
def test_where_fileobjects_stand(path, around, xmlns):
    head = "<creator version='1.0'><program>x</program><library name='y'/></creator><source>\n</source>"
    text = document(
        fileobject("1"), fileobject("2"), around=head + around + "<rusage><utime>1</utime></rusage>", xmlns=xmlns
    )
    assert [found.ref for found in read(path, text)[0]] == ["1", "2"]


def test_names_are_taken_as_they_are(path):
    for name in (" a ", "a\nb", "\\x01", "grüße 😀", "a" * 4000):
        assert one(path, fileobject(name)).ref == name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"a\xff", "a\\xff"),
        (b"\x01\x1b[0m", "\\x01\\x1b[0m"),
        (b"\xc3", "\\xc3"),
        ("\uffff".encode(), "\\xef\\xbf\\xbf"),
    ],
)
@pytest.mark.parametrize("block", [3, 1 << 16])
def test_names_that_are_no_xml(path, data, name, block, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", block)
    text = document(fileobject("@"), fileobject("next")).encode().replace(b"@", data)
    assert [found.ref for found in read(path, text)[0]] == [name, "next"]


def test_without_a_name_or_a_size(path):
    found = one(path, fileobject(None, ""))
    assert (found.ref, found.size, found.hashes) == ("", None, {"md5": MD5})


@pytest.mark.parametrize("hashes", ["", "<hashdigest type='md5'/>", "<hashdigest type='md5'> </hashdigest>"])
def test_files_that_were_not_hashed(path, hashes):
    found = one(path, fileobject(hashes=hashes))
    assert isinstance(found, Entry)
    assert found.hashes == {}
    assert found.dropped == 0


def test_digests_of_the_empty_file(path):
    empty = digest("d41d8cd98f00b204e9800998ecf8427e") + digest("da39a3ee5e6b4b0d3255bfef95601890afd80709", "sha1")
    found = one(path, fileobject(hashes=empty))
    assert (found.hashes, found.dropped) == ({}, 2)


@pytest.mark.parametrize("coding", ["", " coding=''", " coding='hex'", " coding='HEX'", " coding='base16'"])
def test_hexadecimal(path, coding):
    assert one(path, fileobject(hashes=digest(f"\n {MD5.hex().upper()} \n", "md5", coding))).hashes == {"md5": MD5}


def test_base64(path):
    text = base64.b64encode(SHA256).decode()
    assert one(path, fileobject(hashes=digest(text, "sha256", " coding='base64'"))).hashes == {"sha256": SHA256}


def test_equal_hashes_twice_are_one(path):
    assert one(path, fileobject(hashes=digest() + digest(MD5.hex().upper(), "MD5"))).hashes == {"md5": MD5}


def test_hashes_of_sectors_are_not_the_file_s(path):
    runs = "<byte_runs>" + f"<byte_run len='512'>{digest(OTHER, 'MD5')}</byte_run>" * 3 + "</byte_runs>\n"
    for order in (runs + digest(), digest() + runs):
        found = one(path, fileobject(hashes=order))
        assert found.hashes == {"md5": MD5}
        assert found.metadata == ""
    assert one(path, fileobject(hashes=runs)).hashes == {}


def test_what_a_comparison_found_before_is_not_the_file_s(path):
    before = f"<original_fileobject><filename>old</filename>{digest(OTHER)}</original_fileobject>"
    found = one(path, fileobject(more=before).replace("<fileobject>", "<fileobject new_file='1'>"))
    assert (found.ref, found.hashes, found.fields) == ("a/b.jpg", {"md5": MD5}, {"@new_file": "1"})


def test_many_sectors_make_no_record_too_large(path):
    runs = "<byte_runs>" + f"<byte_run len='512'>{digest(OTHER, 'MD5')}</byte_run>" * 40_000 + "</byte_runs>\n"
    assert len(runs) > 3_000_000
    assert one(path, fileobject(hashes=runs + digest())).hashes == {"md5": MD5}


def test_other_elements_are_metadata(path):
    more = (
        "<parent_object><inode>2</inode></parent_object><partition>1</partition><inode> 13 </inode>"
        "<mtime prec='2'>2026</mtime><mtime>2027</mtime><libmagic>a\nb</libmagic><x:y xmlns:x='u:1'>z</x:y><nlink/>"
    )
    assert one(path, fileobject(more=more)).fields == {
        "parent_object": {"inode": "2"},
        "partition": "1",
        "inode": "13",
        "mtime": [{"@prec": "2", "#text": "2026"}, "2027"],
        "libmagic": "a\nb",
        "{u:1}y": "z",
        "nlink": "",
    }


@pytest.mark.parametrize("elements", ["<name_type>d</name_type>", "<meta_type>2</meta_type>"])
def test_folders(path, elements):
    folder = fileobject("a", elements, digest() + digest("00", "tiger"))
    (found, file), notes = read(path, document(folder, fileobject()))
    assert found.hashes == {}
    assert "hashdigest" not in found.fields
    assert file.hashes == {"md5": MD5}
    assert notes == ["folders, which are no files, were left out with what was hashed of them: 1"]


@pytest.mark.parametrize(
    ("more", "ref"),
    [
        ("<partition>1</partition><alloc>1</alloc>", "n"),
        ("<partition>2</partition>", "partition 2: n"),
        ("<partition>x</partition>", "n"),
        ("<unalloc>1</unalloc><id>7</id><inode>5</inode>", "n [unallocated 7]"),
        ("<alloc>0</alloc><inode>5</inode>", "n [unallocated 5]"),
        ("<alloc>0</alloc>", "n [unallocated]"),
        ("<partition>3</partition><unalloc>1</unalloc><id>9</id>", "partition 3: n [unallocated 9]"),
    ],
)
def test_references_tell_files_of_one_name_apart(path, more, ref):
    assert one(path, fileobject("n", more)).ref == ref


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        (fileobject(hashes=digest("0")), "hashdigest md5", "found 1 digits; expected 32"),
        (fileobject(hashes=digest(SHA1)), "hashdigest md5", "found 40 digits"),
        (fileobject(hashes=digest(MD5, "SHA256")), "hashdigest SHA256", "found 32 digits; expected 64"),
        (fileobject(hashes=digest("g" * 32)), "hashdigest md5", "the character 'g' at position 1"),
        (fileobject(hashes=digest(MD5, "")), "hashdigest", "found a hash without a type"),
        (fileobject(hashes="<hashdigest>00</hashdigest>"), "hashdigest", "found a hash without a type"),
        (
            fileobject(hashes=digest(MD5, "md5", " coding='base32'")),
            "hashdigest md5",
            "the coding 'base32'; expected hex",
        ),
        (fileobject(hashes=digest("!!", "md5", " coding='base64'")), "hashdigest md5", "not base64"),
        (fileobject(hashes=digest() + digest(OTHER)), "hashdigest md5", "two different ones"),
        (fileobject(hashes=digest("0", "tiger") + digest("1", "tiger")), "hashdigest tiger", "two different ones"),
        (fileobject(hashes=digest("<x>1</x>")), "hashdigest md5", "found elements in it"),
        (fileobject(more="<filename>c</filename>"), "filename", "found it twice"),
        (fileobject(more="<filesize>1</filesize><filesize>1</filesize>"), "filesize", "found it twice"),
        (fileobject(more="<filesize>-1</filesize>"), "filesize", "found '-1'; expected a whole number"),
        (fileobject(more="<filesize>9223372036854775808</filesize>"), "filesize", "expected a whole number"),
        (fileobject(more="<filesize>1e3</filesize>"), "filesize", "found '1e3'"),
        (fileobject(more="<filesize><x>1</x></filesize>"), "filesize", "found elements in it"),
        (fileobject(more="<mtime>a&#13;b</mtime>"), "mtime", "control character U+000D"),
        (fileobject(more="text"), None, "text between the elements of <fileobject>"),
        (f"stray{fileobject('x')}".replace(fileobject("x"), "<!-- -->"), None, "text between the elements of <dfxml>"),
    ],
)
def test_malformed_records(path, text, field, reason):
    records, _ = read(path, document(text, fileobject("fine")))
    (error,) = [record for record in records if isinstance(record, RecordError)]
    assert reason in error.reason
    assert error.field == field
    assert error.path == str(path)
    assert error.line in (3, 4)
    assert error.record == 1
    assert [record.ref for record in records if isinstance(record, Entry)] == ["fine"]


def test_truncation_at_every_byte(path):
    runs = f"<byte_runs><byte_run len='1'>{digest(OTHER)}</byte_run></byte_runs>"
    data = document(fileobject("é"), fileobject(more=runs)).encode()
    whole, _ = read(path, data)
    end = data.rindex(b"</dfxml>") + len(b"</dfxml>")
    for length in range(1, end):
        path.write_bytes(data[:length])
        seen = []
        with pytest.raises(RecordError), open_entries(path, "dfxml") as reading:
            for record in reading:
                seen.append(record)
        assert seen == whole[: len(seen)]
    for length in range(end, len(data) + 1):
        assert read(path, data[:length])[0] == whole


def test_holes(path):
    """Sectors of zeros in a file must not make two records into one."""
    data = bytearray(document(fileobject("first"), fileobject("second", hashes=digest(OTHER))).encode())
    data[data.index(b"first") : data.index(b"second")] = bytes(data.index(b"second") - data.index(b"first"))
    path.write_bytes(data)
    with open_entries(path) as reading, pytest.raises(RecordError, match="damaged XML"):
        list(reading)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<other/>", "found the root element 'other'; expected dfxml"),
        (fileobject(), "found the root element 'fileobject'; expected dfxml"),
        ("<!DOCTYPE dfxml [<!ENTITY a 'b'>]><dfxml/>", "document type"),
        ("<dfxml>" + "<a>" * 99, "nested more than"),
        ("<dfxml><fileobject>" + "<byte_runs>" * 99, "nested more than"),
        ("%%%% HASHDEEP-1.0", "damaged XML"),
    ],
)
def test_not_dfxml(path, text, reason):
    path.write_text(text, encoding="utf-8")
    with open_entries(path, "dfxml") as reading, pytest.raises(RecordError, match=reason):
        list(reading)


def test_other_xml_is_not_claimed(path):
    path.write_text("<dfxmls/>", encoding="utf-8")
    with pytest.raises(FormatUnknownError):
        open_entries(path)


# ---------------------------------------------------------------------- what real programs write

NAMES = ["plain", 'a&b <c>"', "grüße 😀", " space ", "back\\slash", "new\nline", "ctl\x01", "x]]>y"]


def _fill(folder: Path) -> dict[str, bytes]:
    files = {name: name.encode() * 700 for name in NAMES} | {"sub/inner": b"inner", "empty": b""}
    (folder / "sub").mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return files


def run(*command: str | Path, **options) -> bytes:
    return subprocess.run(list(map(str, command)), capture_output=True, check=True, **options).stdout


@pytest.mark.parametrize("program", ["hashdeep", "md5deep"])
def test_real_hashdeep(path, tmp_path, tool, program):
    folder = tmp_path / "files"
    files = _fill(folder)
    (folder / "bad").write_bytes(b"bad")
    (folder / "bad").rename(folder / "bad\udcff")
    # One package holds both.
    command = [Path(tool("hashdeep")).with_name(program)]
    if program == "hashdeep":
        command += ["-c", "md5,sha1,sha256,tiger,whirlpool"]
    records, notes = read(path, run(*command, "-d", "-r", ".", cwd=folder))
    assert notes == []
    entries = {found.ref.removeprefix(f"{folder}/"): found for found in records}
    expected = {name.replace("\x01", "\\x01"): data for name, data in files.items()} | {"bad\\xff": b"bad"}
    assert set(entries) == set(expected)
    for name, data in expected.items():
        found = entries[name]
        assert found.size == len(data)
        assert found.fields["mtime"]
        if data:
            assert found.hashes["md5"] == hashlib.md5(data).digest()
            if program == "hashdeep":
                assert found.hashes["sha1"] == hashlib.sha1(data).digest()
                assert found.hashes["sha256"] == hashlib.sha256(data).digest()
                assert set(found.fields["hashdigest"]) == {"TIGER", "WHIRLPOOL"}
        else:
            assert found.hashes == {}
            assert found.dropped == (3 if program == "hashdeep" else 1)


def test_real_fiwalk_over_ext4(path, tmp_path, tool):
    folder, image = tmp_path / "files", tmp_path / "image"
    files = _fill(folder)
    (folder / "bad").write_bytes(b"bad")
    (folder / "bad").rename(folder / "bad\udcff")
    with image.open("wb") as file:
        file.truncate(4 << 20)
    run(tool("mke2fs"), "-q", "-F", "-t", "ext4", "-d", folder, image)
    records, notes = read(path, run(tool("fiwalk"), "-x", image))
    entries = {found.ref: found for found in records if found.hashes}
    # fiwalk escapes names itself.
    expected = {re.sub(r"[\x01\n\\]", lambda c: f"\\x{ord(c[0]):02X}", name): data for name, data in files.items()}
    expected["bad\\xFF"] = b"bad"
    assert {ref for ref in entries if not ref.startswith("$")} == {name for name, data in expected.items() if data}
    for name, data in expected.items():
        if data:
            assert entries[name].hashes == {"md5": hashlib.md5(data).digest(), "sha1": hashlib.sha1(data).digest()}
            assert entries[name].size == len(data)
            assert entries[name].fields["parent_object"]["inode"]
            assert "byte_runs" not in entries[name].fields
    folders = [found.ref for found in records if not found.hashes]
    assert {".", "..", "sub", "sub/.", "lost+found", "empty"} <= set(folders)
    assert len(notes) == 1
    # Two hard facts about an import: nothing is refused, nothing is lost.
    with HashList.open(tmp_path / "known.hml", create=True) as known:
        summary = known.import_file(path, "image")
        assert summary.added == len(entries)
        assert summary.hashless == len(folders)
        assert summary.invalid == 0


def test_real_fiwalk_over_fat_with_deleted_files_and_hashes_of_sectors(path, tmp_path, tool):
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(2 << 20)
    run(tool("mkfs.vfat"), image)
    data = {f"{c}_pic.jpg": c.encode() * (3000 + n) for n, c in enumerate("xyz")}
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
        run(tool("mcopy"), "-i", image, tmp_path / name, f"::{name}")
    for name in ("y_pic.jpg", "z_pic.jpg"):
        run(Path(tool("mcopy")).with_name("mdel"), "-i", image, f"::{name}")
    for options in ([], ["-S", "512"]):
        records, _ = read(path, run(tool("fiwalk"), "-x", *options, image))
        entries = {found.ref: found for found in records}
        # FAT forgets the first character of a deleted file's name: both are called the same now.
        deleted = [ref for ref in entries if ref.startswith("__pic.jpg [unallocated ")]
        assert len(deleted) == 2
        assert entries["x_pic.jpg"].fields["mtime"]["@prec"] == "2"
        found = sorted(entries[ref].hashes["md5"] for ref in ("x_pic.jpg", *deleted))
        assert found == sorted(hashlib.md5(content).digest() for content in data.values())
