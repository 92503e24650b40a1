"""The registry: detection, and what holds for every reader whatever the bytes."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import sqlite3
import tarfile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from hashmatch.errors import FormatUnknownError, HashMatchError, InputNotFoundError, RecordError, UsageError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import FORMATS, Limits, open_entries, source
from hashmatch.lists.store import HashList

MD5S = ["0f" * 16, "1e" * 16, "2d" * 16]
PDQS = ["c3" * 32, "d4" * 32, "e5" * 32]
ICSE = (
    "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline\n"
)


def _digest(name: str, text: str) -> str:
    return hashlib.new(name, text.encode()).hexdigest()


def _parquet() -> bytes:
    columns = {"id": [md5[:2] for md5 in MD5S], "md5": [bytes.fromhex(md5) for md5 in MD5S], "note": ["é"] * 3}
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def _sqlite(script: str) -> bytes:
    database = sqlite3.connect(":memory:")
    database.executescript(f"PRAGMA page_size = 512; VACUUM; {script}")
    data = database.serialize()
    database.close()
    return data


_NSRL = """
CREATE TABLE FILE (
    sha256 VARCHAR NOT NULL, sha1 VARCHAR NOT NULL, md5 VARCHAR NOT NULL, crc32 VARCHAR NOT NULL,
    file_name VARCHAR NOT NULL, file_size INTEGER NOT NULL, package_id INTEGER NOT NULL,
    CONSTRAINT PK_FILE__FILE PRIMARY KEY (sha256, sha1, md5, crc32, file_name, file_size, package_id)
);
CREATE TABLE VERSION (version VARCHAR UNIQUE NOT NULL, description VARCHAR NOT NULL);
INSERT INTO VERSION VALUES ('2026.03.1', 'test');
"""
_KDB = """
CREATE TABLE db_properties (name TEXT NOT NULL, value TEXT);
INSERT INTO db_properties VALUES ('Schema Version', '1');
CREATE TABLE hashes (id INTEGER PRIMARY KEY AUTOINCREMENT, md5 BINARY(16) UNIQUE, sha1 BINARY(20), sha2_256 BINARY(32));
CREATE TABLE file_names (name TEXT NOT NULL, hash_id INTEGER NOT NULL, PRIMARY KEY(name, hash_id));
CREATE TABLE comments (comment TEXT NOT NULL, hash_id INTEGER NOT NULL, PRIMARY KEY(comment, hash_id));
CREATE INDEX md5_index ON hashes(md5);
"""

#: Format -> a small valid file of it.
SAMPLES: dict[str, bytes] = {
    "icse": (
        ICSE
        + "".join(
            f"{md5};;{'AB' * 16};{'01' * 144};{'Ab+/' * 43};7{n};Y;N;N;é;;Agency;3;True;Image;Yes\n"
            for n, md5 in enumerate(MD5S)
        )
    ).encode(),
    "vics": (
        '{"@odata.context":"DataModels/2.0.xml/US/$metadata#Media","value":[\n'
        + ",\n".join(f'{{"MediaID":7{n},"Category":1,"MD5":"{md5}","Series":"é"}}' for n, md5 in enumerate(MD5S))
        + "\n]}\n"
    ).encode(),
    "ncmec": (
        '<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">\n<images count="3">\n'
        + "".join(
            f'<image><member id="{n}">é</member><id>7{n}</id><classification>B1</classification>\n'
            f"<fingerprints><md5>{md5}</md5><pdq>{PDQS[n]}</pdq></fingerprints></image>\n"
            for n, md5 in enumerate(MD5S)
        )
        + "</images></queryResult>\n"
    ).encode(),
    "dfxml": (
        "<dfxml>\n"
        + "".join(
            f"<fileobject><filename>/a,é</filename><filesize>12</filesize>\n"
            f"<hashdigest type='MD5'>{md5}</hashdigest></fileobject>\n"
            for md5 in MD5S
        )
        + "</dfxml>\n"
    ).encode(),
    "hashdeep": (
        "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## x\n"
        + "".join(f"12,{md5},{_digest('sha256', md5)},/a,é\n" for md5 in MD5S)
    ).encode(),
    "nsrl3": _sqlite(
        _NSRL
        + "".join(
            f"INSERT INTO FILE VALUES ('{_digest('sha256', md5)}', '{_digest('sha1', md5)}', '{md5}', 'ABCD1234',"
            " 'é', 5, 7);"
            for md5 in MD5S
        )
    ),
    "nsrl2": (
        '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"\n'
        + "".join(f'"{_digest("sha1", md5).upper()}","{md5}","ABCDEF12","a,é",5,7,"358",""\n' for md5 in MD5S)
    ).encode(),
    "hashkeeper": (
        '"file_id","hashset_id","file_name","directory","hash","file_size","date_modified","comments"\n'
        + "".join(f'{n},5,"a,é","C:\\","{md5}",12,7/11/95 0:00:00,\n' for n, md5 in enumerate(MD5S))
    ).encode(),
    "kdb": _sqlite(
        _KDB
        + "".join(
            f"INSERT INTO hashes VALUES ({n}, X'{md5}', NULL, NULL); INSERT INTO file_names VALUES ('é', {n});"
            for n, md5 in enumerate(MD5S)
        )
    ),
    "tsk-index": (
        f"{'0' * 41}|md5sum\n{'0' * 40}1|a.txt\n" + "".join(f"{md5}|{n:016d}\n" for n, md5 in enumerate(MD5S))
    ).encode(),
    "encase": (
        b"HASH\r\n\xff\0\2\0\0\0\1\0\0\0\3\0\0\0".ljust(1032, b"\0")
        + "é".encode("utf-16-le").ljust(80, b"\0")
        + "Known".encode("utf-16-le").ljust(40, b"\0")
        + b"".join(bytes.fromhex(md5) + b"\0\0" for md5 in MD5S)
    ),
    "pdq": "".join(f"{pdq},100,né,x\n" for pdq in PDQS).encode(),
    "md5sum": "".join(f"{md5}  pé\n" for md5 in MD5S).encode(),
    "sha1sum": "".join(f"SHA1 (a b) = {_digest('sha1', md5)}\n" for md5 in MD5S).encode(),
    "sha256sum": "".join(f"\\{_digest('sha256', md5)} *a\\nb\n" for md5 in MD5S).encode(),
    "sha512sum": "".join(f"{_digest('sha512', md5)}\n" for md5 in MD5S).encode(),
    "jsonl": "".join(
        json.dumps({"id": md5[:2], "md5": md5, "hashes": {"pdq": PDQS[0]}, "note": "é"}) + "\n" for md5 in MD5S
    ).encode(),
    "parquet": _parquet(),
    "csv": ("id,md5,note,pdq\n" + "".join(f'{md5[:2]},{md5},"a, é",{PDQS[0]}\n' for md5 in MD5S)).encode(),
}


#: Formats that are text: the others have no lines, line ends or encodings.
TEXT = [name for name in FORMATS if not FORMATS[name].binary]


def read(path, data: bytes, from_format=None, **options) -> tuple[str, list[Entry | RecordError]]:
    path.write_bytes(data)
    with open_entries(path, from_format, **options) as reading:
        return reading.format.name, list(reading)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("registry") / "list"


def test_every_format_has_a_sample():
    assert set(SAMPLES) == set(FORMATS)
    assert all(name == known.name for name, known in FORMATS.items())


@pytest.mark.parametrize("name", FORMATS)
class TestEveryFormat:
    def test_is_detected(self, name, path):
        found, records = read(path, SAMPLES[name])
        assert found == name
        assert len(records) == 3
        assert all(isinstance(record, Entry) and record.hashes for record in records)

    def test_digest_and_size_of_the_input(self, name, path):
        path.write_bytes(SAMPLES[name])
        with open_entries(path) as reading:
            assert len(list(reading)) == 3
            # What is read in no fixed order is read once more for this.
            assert reading.input.finish() == hashlib.sha256(SAMPLES[name]).hexdigest()
            assert reading.input.bytes_read == len(SAMPLES[name])

    def test_truncation(self, name, path):
        """Cut anywhere, a file gives a typed error or a shorter list, and never a hash that was not in it."""
        data = SAMPLES[name]
        whole = [record.hashes for record in read(path, data)[1]]
        for length in range(len(data)):
            try:
                found, records = read(path, data[:length])
            except HashMatchError as error:
                str(error).encode()
                continue
            entries = [record for record in records if isinstance(record, Entry)]
            assert found == name or not entries, (length, found)
            assert len(records) <= 3
            for entry, hashes in zip(entries, whole, strict=False):
                assert entry.hashes.items() <= hashes.items(), length

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_mutated(self, name, path, data):
        """Damaged files raise nothing but typed errors, and every record says where it stands."""
        text = bytearray(SAMPLES[name])
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(text)))
            piece = data.draw(
                st.sampled_from([b'"', b"\0", b"\n", b";", b",", b"\\", b"{", b"\xff", b"\r", b" "])
                | st.binary(max_size=3)
            )
            text[at : at + data.draw(st.integers(0, 3))] = piece
        for chosen in (None, name):
            try:
                _, records = read(path, bytes(text), chosen)
            except HashMatchError as error:
                str(error).encode()
                continue
            for ordinal, record in enumerate(records, 1):
                if isinstance(record, RecordError):
                    assert record.record == ordinal
                    assert record.path == str(path)
                    # On the first line of a JSON document may stand all of it.
                    assert record.line is not None or FORMATS[name].binary or name == "vics"
                    str(record).encode()
                else:
                    assert "\0" not in record.ref

    @settings(max_examples=60, deadline=None)
    @given(data=st.binary(min_size=1, max_size=300) | st.text(max_size=100).map(lambda t: t.encode("utf-8", "replace")))
    def test_any_bytes(self, name, path, data):
        header = SAMPLES[name][: data[0] if data else 0]
        for chosen in (None, name):
            for text in (data, header + data):
                if not text:
                    continue
                try:
                    read(path, text, chosen, limits=Limits(max_line_bytes=200, max_string=50))
                except HashMatchError as error:
                    str(error).encode()


@pytest.mark.parametrize("name", TEXT)
class TestText:
    @pytest.mark.parametrize(
        "change",
        [
            lambda data: data.replace(b"\n", b"\r\n"),
            lambda data: b"\xef\xbb\xbf" + data,
            lambda data: data.decode().encode("utf-16"),
            lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
            lambda data: data.removesuffix(b"\n"),
            lambda data: b"\n \n" + data.replace(b"\n", b"\n\n"),
        ],
        ids=["crlf", "bom", "utf-16-le", "utf-16-be", "no line end", "blank lines"],
    )
    @pytest.mark.parametrize("block", [50, 1 << 18])
    def test_other_clothes(self, name, path, change, block, monkeypatch):
        expected = read(path, SAMPLES[name])
        monkeypatch.setattr(source, "_BLOCK", block)
        assert read(path, change(SAMPLES[name])) == expected

    def test_latin1_is_reported_with_its_line(self, name, path):
        data = SAMPLES[name].replace("é".encode(), b"\xe9") + b"\xe9\n"
        if name in ("hashdeep", "nsrl2", "hashkeeper", "tsk-index") or name.endswith("sum"):
            # Paths are bytes and may hold it; where no path stands it is an error of that record.
            *records, error = read(path, data)[1]
            assert [record.ref for record in records] == [
                record.ref.replace("é", "\\xe9") for record in read(path, SAMPLES[name])[1]
            ]
            assert isinstance(error, RecordError)
            str(error).encode()
            return
        if name == "dfxml":
            # Programs write names into XML as they are.
            assert [record.ref for record in read(path, data[:-2])[1]] == ["/a,\\xe9"] * 3
            return
        with pytest.raises(RecordError, match=r"line \d+: found the byte 0xe9, which is not UTF-8"):
            read(path, data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello\n", "begins like no format"),
        (b"\n\n", "begins like no format"),
        (b"\x00\x01\x02", "is binary"),
        (b"<xml/>", "begins like no format"),
        (b"\xef\xbb\xbf", "begins like no format"),
    ],
)
def test_unknown(path, data, message):
    with pytest.raises(FormatUnknownError, match=rf"{message}.*tried icse, .*hashdeep, .*--from"):
        read(path, data)


def _tar() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.md5"))
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "is a JPEG image; lists hold hashes, never images"),
        (b"PK\x03\x04\x14\x00", "is a ZIP archive"),
        (b"SQLite format 3\x00", "is an SQLite database; expected a hash list"),
        (b"SQLite format 3\x00" + bytes(84), "is an SQLite database; expected a hash list"),
        (b"SQLite format 3\x00" + bytes(52) + b"HML1" + bytes(28), "is a hashmatch list; match against it with --list"),
        (b"\x89HMX\r\n\x1a\n", "is a compiled hashmatch list; match against it with --list"),
        (b"%PDF-1.7\n", "is a PDF document"),
        (gzip.compress(b"x", mtime=0), "is compressed with gzip; unpack it first"),
        (bz2.compress(b"x"), "is compressed with bzip2; unpack it first"),
        (lzma.compress(b"x"), "is compressed with xz; unpack it first"),
        (b"\x28\xb5\x2f\xfd\x24\x01", "is compressed with zstd; unpack it first"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "is a 7-Zip archive; unpack it first"),
        (b"Rar!\x1a\x07\x01\x00", "is a RAR archive; unpack it first"),
        (_tar(), "is a tar archive; unpack it first"),
        (b'{"base":"00","hashmatch_delta":1}\n', "is a delta; `hashmatch list apply` applies it to a list"),
    ],
)
def test_recognised_as_something_else(path, data, message):
    """Whoever hands over an image or a list is not told to say that it is a CSV file."""
    with pytest.raises(FormatUnknownError, match=message) as caught:
        read(path, data)
    assert "--from" not in str(caught.value)


def test_our_own_list_is_recognised(tmp_path):
    HashList.open(tmp_path / "known.hml", create=True).close()
    with pytest.raises(FormatUnknownError, match=r"known.hml' is a hashmatch list; match against it with --list"):
        open_entries(tmp_path / "known.hml")


def test_unknown_name(path):
    with pytest.raises(UsageError, match="unknown format 'xls'; hashmatch reads icse, "):
        read(path, b"x", "xls")


def test_missing(tmp_path):
    with pytest.raises(InputNotFoundError):
        open_entries(tmp_path / "gone")


def test_icse_is_not_generic_csv(path):
    assert read(path, SAMPLES["icse"])[0] == "icse"
    assert read(path, SAMPLES["icse"], "csv")[1][0].fields["Baseline"] == "Yes"


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\n \n"])
def test_first_line_longer_than_the_head(path, before):
    """How the line begins must do: an object is JSON Lines, anything else stays unknown."""
    data = json.dumps({"md5": MD5S[0], "note": "x" * 200_000}).encode()
    found, records = read(path, before + data + b"\n" + data)
    assert found == "jsonl"
    assert [record.hashes["md5"].hex() for record in records] == [MD5S[0]] * 2
    assert len(read(path, data, "jsonl")[1]) == 1
    for other in (b"[" + data, b"{" + b" " * 200_000):
        with pytest.raises(FormatUnknownError):
            read(path, before + other)


def test_progress(path):
    seen: list[tuple[int, int | None]] = []
    read(path, SAMPLES["csv"], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(len(SAMPLES["csv"]), len(SAMPLES["csv"]))]
