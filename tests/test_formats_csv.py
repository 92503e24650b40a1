"""Generic CSV: delimiters, names of columns, the forms of hashes."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS
from hashmatch.cli import run
from hashmatch.errors import FormatUnknownError, RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import Limits, csv_generic, open_entries, source
from hashmatch.lists.formats.cells import algorithm_of
from hashmatch.lists.formats.csv_generic import delimiter_of
from hashmatch.lists.store import HashList

MD5, PDQ = "0f" * 16, "c3" * 32
PHOTODNA, LACE = bytes(range(144)), bytes(range(129))


@pytest.fixture
def read(tmp_path):
    def read(text: str, **options) -> list[Entry | RecordError]:
        path = tmp_path / "list.csv"
        path.write_bytes(text.encode())
        with open_entries(path, **options) as reading:
            assert reading.format.name == "csv"
            return list(reading)

    return read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_all_columns(read, delimiter):
    cells = {
        "ID": "e-1",
        "Md5": MD5,
        "PDQ": PDQ.upper(),
        "pdq_quality": "100",
        "category": "A1",
        "Category_Scheme": "ncmec",
        "media_type": "Image",
        "size": "12",
        "Comment": "é",
        "Empty": "",
    }
    (entry,) = read(delimiter.join(cells) + "\n" + delimiter.join(cells.values()) + "\n")
    assert entry == Entry.make(
        "e-1",
        {"md5": bytes.fromhex(MD5), "pdq": bytes.fromhex(PDQ)},
        quality={"pdq": 100},
        category=("ncmec", "A1"),
        media_type="image",
        size=12,
        metadata={"Comment": "é"},
    )


@pytest.mark.parametrize(
    ("column", "algorithm"),
    [("SHA-1", "sha1"), ("sha_256", "sha256"), ("SHA 512", "sha512"), ("photo_dna", "photodna"), ("md5sum", "md5"),
     ("PhotoDNA", "photodna"), ("crc32", None), ("filename", None), ("", None)],
)  # fmt: skip
def test_names_of_columns(column, algorithm):
    assert algorithm_of(column) == algorithm


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("md5", ","),
        ("id;md5", ";"),
        ("id|md5|a,b", "|"),
        ("md5,sha1;x", ","),
        ("a,b", None),
        ('"md5', None),
        ("", None),
    ],
)
def test_delimiter(header, delimiter):
    assert delimiter_of(header) == delimiter


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_algorithm(read, name):
    value = bytes(range(ALGORITHMS[name].width))
    (entry,) = read(f"id,{name}\n1, {value.hex().upper()} \n")
    assert entry.hashes == {name: value}


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(PHOTODNA).decode(),
        '"' + ",".join(map(str, PHOTODNA)) + '"',
        '"' + ", ".join(map(str, PHOTODNA)) + '"',
        " ".join(map(str, PHOTODNA)),
        '"[' + ", ".join(map(str, PHOTODNA)) + ']"',
    ],
)
def test_forms_of_photodna(read, text):
    (entry,) = read(f"id,photodna,lace\n1,{text},{base64.b64encode(LACE).decode()}\n")
    assert entry.hashes == {"photodna": PHOTODNA, "lace": LACE}


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ("1,x,,,", "md5", "character 'x' at position 1"),
        (f"1,{MD5},x,,", "size", "whole number"),
        (f"1,{MD5},,101,", "Quality", "0 to 100"),
        (f"1,{MD5},,,audio", "media_type", "one of image, video, other"),
        (f"\x1b[1m,{MD5},,,", "id", r"U\+001B"),
        ("1,,,,", None, "without any hash"),
        (f"1,{MD5}", None, "found 2 columns; expected 5"),
        (f"1,{MD5},,,,x", None, "column 6"),
        (f'1,"{MD5}"x,,,', None, "not valid CSV"),
        (f"1,{MD5[:-1]}", None, "columns"),
    ],
)
def test_malformed(read, row, field, message):
    good = f"2,{MD5},,,"
    first, error, last = read(f"id,md5,size,Quality,media_type\n{good}\n{row}\n{good}")
    assert first == last
    assert isinstance(error, RecordError)
    assert (error.line, error.record, error.field) == (3, 2, field)
    with pytest.raises(RecordError, match=message):
        raise error


def test_long_quoted_fields(read):
    """Python's csv module stops at 131,072 characters; our own limits are what counts."""
    wrapped = json.dumps({"note": "x" * 300_000, "b": "é"}).replace('"', '""')
    note = '"' + "a\n" * 200_000 + '"'
    first, second = read(f'md5,list_metadata,note\n{MD5},"{wrapped}",\n{MD5},,{note}\n')
    assert first.fields == {"note": "x" * 300_000, "b": "é"}
    assert second.fields == {"note": "a\n" * 200_000}
    (error,) = read(f'md5,note\n{MD5},"{"x" * (1 << 20)}y"\n')
    assert "found 1,048,577 characters; expected at most 1,048,576" in str(error)


def test_limit_of_the_csv_module_is_only_raised(read):
    before = csv.field_size_limit(1 << 30)
    try:
        read(f'md5\n"{MD5}"\n')
        assert csv.field_size_limit() == 1 << 30
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize("rows", ["{good}\n" * 3, "\n" * 300, "x\n" * 300_000])
def test_quote_that_is_never_closed(read, rows):
    text = f'md5,note\n{MD5},a\n{MD5},"a\n' + rows.format(good=f"{MD5},b")
    with pytest.raises(RecordError, match=r"line 3: found a quoted field that is not closed by the end of the file"):
        read(text)
    if len(text) > 1000:
        with pytest.raises(RecordError, match=r"line 3: found a quoted field that is not closed within 200 bytes"):
            read(text, limits=Limits(max_line_bytes=200))


def test_what_follows_a_record_over_many_blocks(read, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", 16)
    note = "line\n" * 50
    records = read(f'md5,note\n{MD5},"{note}"\n{MD5},b\nx,c\n{MD5},"{note}"\n{MD5},\n')
    assert [getattr(record, "fields", None) for record in records] == [
        {"note": note},
        {"note": "b"},
        None,
        {"note": note},
        {},
    ]
    assert records[2].line == 54


@pytest.mark.parametrize(
    ("cell", "message"), [("b\rc", r"U\+000D"), ('b\rc,"x"', "carriage return that is not quoted")]
)
def test_carriage_return_outside_quotes(read, cell, message):
    first, error, last = read(f"md5,note\n{MD5},a\n{MD5},{cell}\n{MD5},d\n")
    assert (first.fields, last.fields) == ({"note": "a"}, {"note": "d"})
    with pytest.raises(RecordError, match=message):
        raise error


@pytest.mark.parametrize("ref", ["a\nb", "a\rb", "\n", "a\n\n", "a\r"])
def test_line_ends_in_the_reference(read, ref):
    (entry,) = read(f'id,md5\n"{ref}",{MD5}\n')
    assert entry.ref == ref


@pytest.mark.parametrize("cell", ['"a\x0bb"', '"a\x1bb"', "a\rb", "a\x0bb"])
def test_control_characters_in_the_reference(read, cell):
    (error,) = read(f"id,md5\n{cell},{MD5}\n")
    assert error.field == "id"
    assert "found the control character" in str(error)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_exported_names_with_line_ends_come_back(tmp_path, form):
    """An md5sum list has names with line ends, escaped; our own export of it must give the same list."""
    sums = tmp_path / "sums.md5"
    other = "\\r" if form == "jsonl" else "\\n\\n"  # csv.writer of Python before 3.13 leaves a lone CR unquoted
    sums.write_text(f"\\{MD5}  a\\nb\n\\{PDQ[:32]}  c{other}\\\\d\n", newline="\n")
    out = tmp_path / f"list.{form}"
    snapshots = []
    for number, source_file in enumerate((sums, out)):
        stored = tmp_path / f"{number}.hml"
        with HashList.open(stored, create=True) as kept:
            kept.import_file(source_file, "s")
            snapshots.append(kept.snapshot)
        assert run(["list", "export", str(stored), "--format", form, "--include-hashes", "-o", str(out)]) == 0
        out = tmp_path / f"again.{form}"
    assert snapshots[0] == snapshots[1]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("gone_first", [True, False])
def test_output_of_the_hash_verb_comes_back(tmp_path, form, gone_first):
    """A file that is missing has a row without hashes; it is known to be there, and has none."""
    (tmp_path / "text.jpg").write_bytes(b"no image")
    images = ["gone.jpg", "text.jpg"] if gone_first else ["text.jpg", "gone.jpg"]
    out = tmp_path / f"hashes.{form}"
    run(["hash", "-a", "md5,pdq", "--format", form, "-o", str(out), *(str(tmp_path / name) for name in images)])
    with open_entries(out) as reading:
        assert reading.format.name == form
        entries = {Path(entry.ref).name: entry for entry in reading}
    assert entries["gone.jpg"].packed == bytes(4)
    assert entries["gone.jpg"].dropped == 0
    assert entries["text.jpg"].hashes == {"md5": hashlib.md5(b"no image").digest()}
    assert all(entry.fields["status"] != "ok" and entry.fields["reason"] for entry in entries.values())


def test_rows_without_a_hash_need_a_status(read):
    records = read("id,md5,Status,width\na,,unreadable,\nb,,ok,\nc,,,3\n")
    assert [isinstance(record, Entry) for record in records] == [True, False, False]
    assert records[0] == Entry.make("a", metadata={"Status": "unreadable"})


def test_quality_and_pdq_quality(read):
    (entry,) = read(f"pdq,quality,pdq_quality\n{PDQ},good,77\n")
    assert entry.quality == {"pdq": 77}
    assert entry.fields == {"quality": "good"}


def test_empty_file_digest(read):
    (entry,) = read("md5,name\nD41D8CD98F00B204E9800998ECF8427E,x\n")
    assert (entry.dropped, entry.hashes, entry.fields) == (1, {}, {"name": "x"})


@pytest.mark.parametrize(
    ("text", "message"),
    [("md5,MD5\n", "'MD5' twice"), ("sha1,SHA-1\n", "sha1 in the columns"), ("md5,,x\n", "no name for column 2")],
)
def test_bad_header(read, text, message):
    with pytest.raises(RecordError, match=message):
        read(text)


def test_no_algorithm_in_header(read, tmp_path):
    with pytest.raises(FormatUnknownError, match=r"tried icse, .*--from"):
        read("id,name\n1,2\n")
    with pytest.raises(RecordError, match="no header that names an algorithm"):
        read("id,name\n1,2\n", from_format="csv")


def test_header_only(read):
    assert read("id,md5\n") == []
    assert read("\n\nid,md5") == []


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)


@given(
    st.lists(st.tuples(texts, st.binary(min_size=16, max_size=16), texts), min_size=1, max_size=10),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, rows, delimiter, quoting):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")
    writer.writerow(["id", "md5", "note"])
    writer.writerows([ref, value.hex(), note] for ref, value, note in rows)
    path = tmp_path_factory.getbasetemp() / "round.csv"
    path.write_bytes(out.getvalue().encode())
    with open_entries(path) as reading:
        found = [(e.ref, e.hashes["md5"], e.fields.get("note", "")) for e in reading]
    assert found == rows


# The fast way against the plain way

_EMPTY = hashlib.sha1(b"").hexdigest()
_CELLS = {
    "md5": ["0f" * 16, "", "0f", "0g" * 16, f" {'0f' * 16}"],
    "SHA-1": ["A1" * 20, "", _EMPTY],
    "pdq": ["c" * 64, "", "c" * 63],
    "lace": [base64.b64encode(bytes(129)).decode(), "", "00" * 129],
    "id": ["x", "", " ", "\u3000", '"a\nb"', "a\x07", "é"],
    "size": ["1", "", " 007 ", "-1", "9" * 19],
    "media_type": ["image", "", "Video ", "\tother", "text"],
    "list_opinions": ["", "", '"[]"', "x"],
    "status": ["ok", "", "gone"],
    "Note": ["a", "", " ", "\\", "a\tb", "ÿ", "\r", '"q""q"'],
}


@given(
    st.lists(st.sampled_from(list(_CELLS)), min_size=1, unique=True),
    st.lists(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in _CELLS.items()}), max_size=30),
    st.sampled_from(",;|"),
    st.sampled_from(["", "", ",", "x"]),
)
@settings(max_examples=150, deadline=None)
def test_fast_way_equals_plain_way(tmp_path_factory, names, rows, delimiter, end):
    names = ["sha256", *names]
    cells = {name: found[0] for name, found in _CELLS.items()} | {"sha256": "5a" * 32}
    lines = [names, *([(cells | row)[name] for name in names] for row in rows)]
    text = "".join(
        delimiter.join(line) + (end.replace(",", delimiter) if n == 3 else "") + "\n" for n, line in enumerate(lines)
    )
    path = tmp_path_factory.getbasetemp() / "either.csv"
    path.write_text(text, newline="", encoding="utf-8")

    def records():
        with open_entries(path, "csv") as reading:
            try:
                return [str(r) if isinstance(r, RecordError) else tuple(r) for r in reading]
            except RecordError as error:
                return str(error)

    fast = records()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_generic._Row, "plan", lambda _self, _delimiter: None)
        plain = records()
    assert fast == plain


@pytest.mark.parametrize(
    ("header", "cells"), [("\r\r\nmd5", ""), ("md5" + "".join(f",{n}" for n in range(5000)), "0f" * 16)]
)
def test_headers_without_a_fast_way(read, header, cells):
    records = read(f"{header}\n{cells}{',x' * 5000 if cells else ''}\n")
    assert [len(entry.fields) for entry in records if isinstance(entry, Entry)] == ([5000] if cells else [])


def test_usual_rows_take_the_fast_way(read, monkeypatch):
    monkeypatch.delattr(csv_generic._Row, "entry")
    (entry,) = read("id,md5,pdq,size,note\nx," + "0f" * 16 + "," + "c" * 64 + ",7,n\n")
    assert entry.hashes == {"md5": b"\x0f" * 16, "pdq": b"\xcc" * 32}
    assert (entry.ref, entry.size, entry.fields, entry.quality) == ("x", 7, {"note": "n"}, {})
