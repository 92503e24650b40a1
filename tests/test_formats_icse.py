"""INTERPOL ICSE exports: the field map, the dirt, and the fast way against the plain way."""

from __future__ import annotations

import base64
import csv
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, canonical_json
from hashmatch.lists.formats import icse, open_entries, source
from hashmatch.lists.formats.delimited import Records
from hashmatch.lists.formats.source import Input, Limits, ReadOptions

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import generate_icse

HEADER = generate_icse.HEADER
NAMES = HEADER.split(";")
MD5, SHA1, ZZ40 = "0f" * 16, "a1" * 20, "B2" * 16
PHOTODNA, LACE = bytes(range(144)), bytes(range(100, 229))
ROW = {
    "MD5": MD5,
    "SHA1": SHA1,
    "ZZ40": ZZ40,
    "PhotoDNA": PHOTODNA.hex().upper(),
    "Lace": base64.b64encode(LACE).decode(),
    "Image ID": "4711",
    "Is distributed": "Y",
    "Victim identified": "N",
    "Offender identified": "Y",
    "Series name": "Rote Blume",
    "Investigation name": "",
    "Agency": "BKA",
    "Number of submissions": "12",
    "File Available": "True",
    "Media Type": "Image",
    "Baseline": "Yes",
}


def text_of(*rows: dict[str, str], header: str = HEADER, end: str = "\n", extra: str = "") -> bytes:
    names = header.split(";")
    lines = [header, *(";".join({**ROW, **row}[name] for name in names) + extra for row in rows)]
    return (end.join(lines) + end).encode()


@pytest.fixture
def read(tmp_path):
    def read(data: bytes, **options) -> list[Entry | RecordError]:
        path = tmp_path / "export.csv"
        path.write_bytes(data)
        with open_entries(path, **options) as reading:
            assert reading.format.name == "icse"
            return list(reading)

    return read


def plain(data: bytes) -> list[Entry | RecordError]:
    """All records by the plain way alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(icse._Reader, "plan", lambda _self: None)
        return read_bytes(data)


def read_bytes(data: bytes) -> list[Entry | RecordError]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return list(icse.read(Input("-"), ReadOptions()))


def shown(records) -> list[object]:
    return [(str(r), r.line, r.record, r.field) if isinstance(r, RecordError) else tuple(r) for r in records]


def test_fields(read):
    (entry,) = read(text_of({}))
    assert type(entry) is Entry
    assert entry.ref == "4711"
    assert entry.category == ("interpol", "baseline")
    assert entry.media_type == "image"
    assert entry.size is None
    assert entry.dropped == 0
    assert entry.hashes == {
        "md5": bytes.fromhex(MD5),
        "sha1": bytes.fromhex(SHA1),
        "zz40": bytes.fromhex(ZZ40),
        "photodna": PHOTODNA,
        "lace": LACE,
    }
    assert entry.fields == {
        "is_distributed": True,
        "victim_identified": False,
        "offender_identified": True,
        "series": "Rote Blume",
        "agency": "BKA",
        "submissions": 12,
        "file_available": True,
    }
    assert entry.metadata == canonical_json(entry.fields)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", [HEADER, ";".join(reversed(NAMES)), ";".join(sorted(NAMES)), HEADER.upper()])
def test_columns_in_any_order(read, header, end):
    names = {name.upper(): name for name in NAMES}
    data = text_of({}, {"Image ID": "2"}, header=";".join(names[n.upper()] for n in header.split(";")), end=end)
    data = header.encode() + data[len(header) :]
    assert shown(read(data)) == shown(read(text_of({}, {"Image ID": "2"})))


def test_other_values(read):
    (entry,) = read(text_of({"Baseline": "No", "Media Type": "Video", "PhotoDNA": "", "Lace": ""}))
    assert entry.category == ("interpol", "non-baseline")
    assert entry.media_type == "video"
    assert set(entry.hashes) == {"md5", "sha1", "zz40"}


@pytest.mark.parametrize("form", [base64.b64encode(PHOTODNA).decode(), ",".join(map(str, PHOTODNA)), PHOTODNA.hex()])
def test_photodna_forms(read, form):
    (entry,) = read(text_of({"PhotoDNA": form}))
    assert entry.hashes["photodna"] == PHOTODNA


def test_spreadsheet_case(read):
    row = {"File Available": "TRUE", "Media Type": "IMAGE", "Is distributed": "y", "MD5": MD5.upper()}
    assert read(text_of(row)) == read(text_of({}))


def test_extra_empty_columns(read):
    clean = read(text_of({}, {"Image ID": "2"}))
    assert read(text_of({}, {"Image ID": "2"}, extra=";")) == clean
    assert read(text_of({}, {"Image ID": "2"}, extra=";;;")) == clean
    assert read(text_of({}, {"Image ID": "2"}, extra=";").replace(b"Baseline", b"Baseline;", 1)) == clean


def test_unknown_column_is_kept(read):
    data = text_of({}).replace(b"Baseline", b"Baseline;Aaa \xc3\xa9", 1).replace(b"Yes\n", b"Yes;x\n") * 1
    (entry,) = read(data)
    assert entry.fields["Aaa é"] == "x"
    assert entry.metadata == canonical_json(entry.fields)
    assert shown(plain(data)) == shown([entry])


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ({"MD5": MD5 + "0"}, "MD5", "found 33 digits; expected 32 hexadecimal digits"),
        ({"MD5": "g" * 32}, "MD5", "no hexadecimal digit"),
        ({"SHA1": "00"}, "SHA1", "found 2 digits; expected 40"),
        ({"Lace": "A" * 171 + "!"}, "Lace", "not base64"),
        ({"Lace": "A" * 168 + "===="}, "Lace", "base64"),
        ({"PhotoDNA": "0" * 287}, "PhotoDNA", "found 287 digits"),
        ({"PhotoDNA": "1,2,3"}, "PhotoDNA", "found 3 decimals; expected 144"),
        ({"PhotoDNA": ",".join(["256"] * 144)}, "PhotoDNA", "found decimal 1 out of range"),
        ({"Image ID": ""}, "Image ID", "found nothing"),
        ({"Image ID": "  "}, "Image ID", "found nothing"),
        ({"Image ID": "a\x07"}, "Image ID", r"control character U\+0007"),
        ({"Series name": "a\x00"}, "Series name", r"control character U\+0000"),
        ({"Series name": "a\rb"}, "Series name", r"control character U\+000D"),
        ({"Is distributed": "J"}, "Is distributed", "found 'J'; expected Y or N"),
        ({"Is distributed": ""}, "Is distributed", "found ''; expected Y or N"),
        ({"File Available": "Y"}, "File Available", "expected True or False"),
        ({"Media Type": "Audio"}, "Media Type", "expected Image or Video"),
        ({"Baseline": "Maybe"}, "Baseline", "expected Yes or No"),
        ({"Number of submissions": "1.5"}, "Number of submissions", "whole number"),
        ({"Number of submissions": "-1"}, "Number of submissions", "whole number"),
        ({"Number of submissions": "1_0"}, "Number of submissions", "whole number"),
        ({"Number of submissions": "٣"}, "Number of submissions", "whole number"),
        ({"Number of submissions": "9" * 19}, "Number of submissions", "whole number"),
        ({"Number of submissions": ""}, "Number of submissions", "whole number"),
        (dict.fromkeys(("MD5", "SHA1", "ZZ40", "PhotoDNA", "Lace"), ""), None, "without any hash"),
    ],
)
def test_dirty_rows(read, row, field, message):
    clean = [{"Image ID": str(n)} for n in range(100, 140)]
    data = text_of(*clean[:25], row, *clean[25:])
    records = read(data)
    assert len(records) == 41
    (error,) = (r for r in records if isinstance(r, RecordError))
    assert records.index(error) == 25
    assert (error.line, error.record, error.field) == (27, 26, field)
    assert error.path.endswith("export.csv")
    with pytest.raises(RecordError, match=message):
        raise error
    assert shown(records)[26:] == shown(read(text_of(*clean)))[25:]


def test_widths_of_rows(read):
    row = text_of({}).decode().split("\n")[1]
    data = f"{HEADER}\n{row}\n{row};x\n{row.rsplit(';', 1)[0]}\n{row};;\n{row}".encode()
    first, extra, short, wide, last = read(data)
    assert first == wide == last
    assert "found a cell in column 17 too; expected 16 columns" in str(extra)
    assert "found 15 columns; expected 16" in str(short)


def test_shifted_rows_do_not_cancel_out(read):
    """Two short rows that together are as long as one and a half must not be taken for others."""
    cells = text_of({}).decode().split("\n")[1].split(";")
    lines = [";".join(cells), ";".join(cells[:8]), ";".join(cells[8:]), ";".join(cells[:7]), ";".join(cells)]
    records = read("\n".join([HEADER, *lines, ""]).encode())
    assert [type(r) is Entry for r in records] == [True, False, False, False, True]


def test_empty_file_digests(read):
    empty = {"MD5": generate_icse.EMPTY_MD5.upper(), "SHA1": generate_icse.EMPTY_SHA1}
    nothing = {**empty, "ZZ40": "", "PhotoDNA": "", "Lace": ""}
    mixed = {"MD5": "D41d8cd98f00b204e9800998ecf8427E"}
    clean, first, second, third = read(text_of({}, empty, nothing, mixed))
    assert clean.dropped == 0
    assert (first.dropped, set(first.hashes)) == (2, {"zz40", "photodna", "lace"})
    assert (second.dropped, second.packed) == (2, bytes(4))
    assert (third.dropped, "md5" in third.hashes) == (1, False)


def test_quotes(read):
    row = {"Series name": '"semi;colon ""and"" quotes"', "Agency": '"two\nlines"'}
    one, two, three = read(text_of({}, row, {"Image ID": "3"}))
    assert two.fields["series"] == 'semi;colon "and" quotes'
    assert two.fields["agency"] == "two\nlines"
    assert (one.ref, three.ref) == ("4711", "3")
    all_quoted = "\n".join(
        ";".join(f'"{cell}"' for cell in line.split(";")) for line in text_of({}).decode().splitlines()
    )
    assert read(all_quoted.encode()) == [one]


def test_lines_are_counted_through_quoted_fields(read):
    row = {"Agency": '"two\n\nlines"'}
    *_, error = read(text_of(row, row, {"MD5": "x"}))
    assert (error.line, error.record) == (8, 3)


def test_quote_that_is_never_closed_is_fatal(read):
    with pytest.raises(RecordError, match=r"line 3.*not closed by the end of the file"):
        read(text_of({}, {"Agency": '"open'}, *[{}] * 50))


def test_header_errors(read):
    with pytest.raises(RecordError, match=r"line 1: found a header without 'Lace', 'Agency'"):
        read(text_of({}).replace(b";Lace", b"", 1).replace(b";Agency", b"", 1))
    with pytest.raises(RecordError, match="column 'MD5' twice"):
        read(b"md5;" + text_of({}))


def test_header_only(read):
    assert read(text_of()) == []
    assert read(HEADER.encode()) == []


def test_not_claimed():
    assert not icse.detect(source.Head("x", b"MD5;SHA1;ZZ40\n", True))
    assert not icse.detect(source.Head("x", b"", True))


def test_two_columns_for_one_key(read):
    data = text_of({}).replace(b"Baseline", b"Baseline;series", 1).replace(b"Yes\n", b"Yes;of its own\n")
    (entry,) = read(data)
    assert entry.fields["series"] == "of its own"
    assert entry.metadata == canonical_json(entry.fields)


def test_a_reference_of_wide_blanks(read):
    first, error, last = read(text_of({}, {"Image ID": "\u3000\xa0"}, {"Image ID": "\u3000x"}))
    assert "found nothing; expected the reference" in str(error)
    assert (first.ref, last.ref) == ("4711", "\u3000x")


@pytest.mark.parametrize("kernels", ["numpy", ""])
def test_only_unusual_rows_go_the_plain_way(read, monkeypatch, kernels):
    monkeypatch.setenv("HASHMATCH_KERNELS", kernels)
    plain_way, seen = icse._Reader.entry, []

    def counted(self, cells):
        seen.append(cells[5])
        return plain_way(self, cells)

    monkeypatch.setattr(icse._Reader, "entry", counted)
    odd = {7: '"quoted"', 300: "\u3000", 301: '"two\nlines"', 302: '"x"', 303: '"y"', 999: '"last"'}
    records = read(text_of(*({"Image ID": odd.get(n, str(n))} for n in range(1000))))
    assert [getattr(r, "ref", None) for r in records[:9]] == ["0", "1", "2", "3", "4", "5", "6", "quoted", "8"]
    assert [type(r) is Entry for r in records] == [n not in (300, 301) for n in range(1000)]
    assert [r.line for r in records if isinstance(r, RecordError)] == [302, 303]
    assert set(seen) > {"quoted", "\u3000", "two\nlines", "x", "y", "last"}
    assert len(seen) < 16  # a few that stand behind several unusual ones in a row


def test_rows_that_are_all_unusual(read):
    rows = [{"Image ID": f'"{n}"', "Agency": '"a\nb"'} for n in range(1000)]
    assert [r.ref for r in read(text_of(*rows))] == [str(n) for n in range(1000)]


def test_blank_lines(read):
    assert len(read(text_of({}).replace(b"\n", b"\n\n") + text_of({}).split(b"\n")[1])) == 2


# Fast against plain

cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='\n\r";'), max_size=8)
dirt = st.sampled_from(
    ["", "x", " ", '"', "Y", "N", "True", "1", "0" * 32, generate_icse.EMPTY_MD5, "é", "\t", '"a\nb"']
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "Series name": cell,
        "Investigation name": cell,
        "Agency": cell,
        "Image ID": cell,
        "Number of submissions": st.integers(0, 10**20).map(str),
        **dict.fromkeys(NAMES, dirt),
        "Lace": st.sampled_from(["", "A" * 172, "A" * 171 + "=", "*" * 172]),
        "PhotoDNA": st.sampled_from(["", "0" * 288, "g" * 288, "0" * 192, "A" * 192]),
    },
)


def outcome(reader, data: bytes) -> list[object] | str:
    try:
        return shown(reader(data))
    except RecordError as error:
        return str(error)


@given(st.lists(rows, max_size=40), st.sampled_from(["", ";", ";;"]), st.sampled_from([HEADER, ";".join(NAMES[::-1])]))
@settings(max_examples=150, deadline=None)
def test_fast_way_equals_plain_way(some, extra, header):
    data = text_of({}, *some, {}, header=header, extra=extra)
    assert outcome(read_bytes, data) == outcome(plain, data)


@pytest.mark.parametrize("dirty", [False, True])
def test_generated_file(dirty):
    out = io.BytesIO()
    generate_icse.write(out, 2_000, 5, dirt=dirty)
    records = read_bytes(out.getvalue())
    assert shown(records) == shown(plain(out.getvalue()))
    assert len(records) == 2_000
    assert sum(isinstance(r, RecordError) for r in records) == dirty
    assert sum(r.dropped for r in records if isinstance(r, Entry)) == 4 * dirty
    for entry in records:
        if isinstance(entry, Entry):
            assert entry.metadata == canonical_json(json.loads(entry.metadata))
    again = io.BytesIO()
    generate_icse.write(again, 2_000, 5, dirt=dirty)
    assert again.getvalue() == out.getvalue()


# The splitting of records against Python's csv module


@given(st.lists(st.text('ab"";;\n', max_size=12), max_size=12).map("\n".join), st.integers(1, 20))
@settings(max_examples=400, deadline=None)
def test_records_equal_csv(text, block):
    expected: list[list[str] | None] = []
    try:
        expected.extend(row for row in csv.reader(io.StringIO(text), delimiter=";", strict=True) if row)
    except csv.Error:
        expected.append(None)
    found: list[list[str] | None] = []
    if not text:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_BLOCK", block)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        records = Records(Input("-", limits=Limits(max_line_bytes=1000)), ";")
        try:
            while (taken := records.next_block()) is not None:
                for _, row in records.split(*taken):
                    if isinstance(row, RecordError):
                        raise row
                    found.append(row)
        except RecordError:
            found.append(None)
            expected = expected[: len(found)]
    assert found == expected


def test_quoted_record_over_the_limit(read):
    data = text_of({"Agency": '"' + "x\n" * 5_000})
    with pytest.raises(RecordError, match=r"not closed within 3,000 bytes; expected its closing quote"):
        read(data, limits=Limits(max_line_bytes=3_000))
