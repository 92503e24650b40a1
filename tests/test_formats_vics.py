"""VICS: the field map, the dirt, documents of cases, and the fast ways against the plain ones."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import HashList, kernels
from hashmatch.errors import FormatUnknownError, HashMatchError, InputError, RecordError
from hashmatch.lists.entry import Entry, canonical_json
from hashmatch.lists.formats import json_stream, open_entries, vics, vics_media, vics_text
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import generate_vics

MD5, SHA1, SHA256 = "0F" * 16, "A1" * 20, "c3" * 32
PHOTODNA = bytes(range(100, 244))
PHOTODNA_TEXT = base64.b64encode(PHOTODNA).decode()
MEDIA = {
    "MediaID": 4711,
    "Category": 1,
    "MD5": MD5,
    "SHA1": SHA1,
    "PhotoDNA": PHOTODNA_TEXT,
    "MediaSize": 1234,
    "MimeType": "image/jpeg",
    "DateUpdated": "2024-07-01T21:33:47.4680Z",
    "Comments": "",
    "Series": None,
    "Tags": "a, b",
    "VictimIdentified": False,
    "IsDistributed": True,
    "Exifs": [],
}
#: Members that the way from the text knows in tests; beside all usual ones, some that are not.
TAUGHT = (
    *MEDIA, "MediaFiles", "AlternativeHashes", "Unallocated", "Created", "IsPrecategorized", "Miniature", "SHA256",
    "Case", "TotalMediaFiles", "md5", "mediaid", "Vendor", "A", "X", "ü",
)  # fmt: skip
US = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#"


def document(*media, context=US + "Media", key="@odata.context", before=None, after=None, indent=None, **json_options):
    whole = {key: context, **(before or {}), "value": list(media), **(after or {})}
    return json.dumps(whole, indent=indent, **json_options).encode()


def media(**changed):
    return {k: v for k, v in {**MEDIA, **changed}.items() if v is not ...}


def case(*some, before=None, **facts):
    return {**(before or {}), "Media": list(some), **facts}


def cases(*some, **options):
    return document(*some, context=US + "Cases", **options)


def in_python(patch: pytest.MonkeyPatch) -> None:
    """Without the extension, or as if it were not there."""
    patch.setenv(kernels.ENVIRONMENT_VARIABLE, "numpy")


def taught(patch: pytest.MonkeyPatch) -> None:
    """The members are known from the beginning, so that the way from the text is tried on every object."""
    make = vics_text.MediaText.__init__

    def init(self, *arguments):
        make(self, *arguments)
        self.learn(TAUGHT)

    patch.setattr(vics_text.MediaText, "__init__", init)


@pytest.fixture(params=["as it is", "taught", "in Python"])
def reading(tmp_path, request, monkeypatch):
    """A function that reads bytes: (records, notes)."""
    if request.param != "as it is":
        {"taught": taught, "in Python": in_python}[request.param](monkeypatch)

    def read(data: bytes, **options) -> tuple[list[Entry | RecordError], list[str]]:
        path = tmp_path / "vics.json"
        path.unlink(missing_ok=True)  # some file systems flush what replaces a file's content
        path.write_bytes(data)
        with open_entries(path, **options) as opened:
            assert opened.format.name == "vics"
            return list(opened), opened.input.notes

    return read


@pytest.fixture
def read(reading):
    return lambda data, **options: reading(data, **options)[0]


def read_bytes(data: bytes, limits: Limits | None = None) -> list[Entry | RecordError]:
    """The records of a stream."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return list(vics.read(Input("-", limits=limits), ReadOptions(limits or Limits())))


def shown(records) -> list[object]:
    return [(str(r), r.path, r.line, r.record, r.field) if isinstance(r, RecordError) else tuple(r) for r in records]


# Fields


def test_fields(read):
    (entry,) = read(document(MEDIA))
    assert type(entry) is Entry
    assert (entry.ref, entry.category, entry.media_type, entry.size) == ("4711", ("vics-us-2.0", "1"), "image", 1234)
    assert entry.hashes == {"md5": bytes.fromhex(MD5), "sha1": bytes.fromhex(SHA1), "photodna": PHOTODNA}
    assert entry.fields == {
        "MimeType": "image/jpeg",
        "DateUpdated": "2024-07-01T21:33:47.4680Z",
        "Tags": "a, b",
        "VictimIdentified": False,
        "IsDistributed": True,
    }
    assert entry.metadata == canonical_json(entry.fields)
    assert (entry.dropped, entry.opinions, entry.origin) == (0, "", "")


@pytest.mark.parametrize(
    ("key", "context", "scheme"),
    [
        ("odata.metadata", "http://github.com/ICMEC/ProjectVic/DataModels/1.2.xml#Media", "vics-1.2"),
        ("odata.metadata", "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Media", "vics-1.3"),
        ("@odata.context", US + "Media", "vics-us-2.0"),
        ("@odata.context", US.replace("US", "UK") + "Media", "vics-uk-2.0"),
        ("@odata.context", US.replace("US", "Default") + "Media", "vics-default-2.0"),
        ("@odata.context", US.replace("US", "CUSTOM") + "media", "vics-custom-2.0"),
        ("@odata.context", "DataModels/2.0.xml/US/$metadata#Media", "vics-us-2.0"),
    ],
)
def test_data_models(read, key, context, scheme):
    (entry,) = read(document(media(Category=5), context=context, key=key))
    assert entry.category == (scheme, "5")


@pytest.mark.parametrize(
    "context",
    [
        "http://github.com/ICMEC/ProjectVic/DataModels/1.1.xml#Media",
        "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Exifs",
        "http://github.com/ICMEC/ProjectVic/DataModels/2.0.xml#Media",
        "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml/US/$metadata#Media",
        "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#MediaFiles",
    ],
)
def test_other_data_models_are_refused(read, context):
    with pytest.raises(RecordError, match=r"vics\.json, field '@odata\.context': .*expected the data model of VICS"):
        read(document(MEDIA, context=context))


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (PHOTODNA_TEXT, "PhotoDNA"),
        (PHOTODNA.hex(), "PhotoDNA"),
        (PHOTODNA.hex().upper(), "PhotoDNA"),
        (",".join(map(str, PHOTODNA)), "PhotoDNA"),
        (f" {PHOTODNA_TEXT} ", "PhotoDNA"),
        (list(PHOTODNA), "photoDna"),
    ],
)
def test_photodna_forms(read, form, field):
    (entry,) = read(document(media(**{"PhotoDNA": ..., field: form})))
    assert entry.hashes["photodna"] == PHOTODNA
    assert field not in entry.fields


def alternative(name, value, **more):
    return {"HashName": name, "HashValue": value, **more}


def test_alternative_hashes(read):
    first, second, third, fourth = read(
        document(
            media(PhotoDNA=..., AlternativeHashes=[alternative("PhotoDNA", PHOTODNA_TEXT)]),
            media(MediaID=2, AlternativeHashes=[alternative("SHA-256", SHA256), alternative("F1", "x")]),
            media(
                MediaID=3, AlternativeHashes=[alternative("photodna", PHOTODNA.hex(), Source="Z"), alternative("", "")]
            ),
            media(MediaID=4, MD5=None, SHA1="", AlternativeHashes=[alternative("MD5", MD5), alternative("MD5", None)]),
        )
    )
    assert set(first.hashes) == {"md5", "sha1", "photodna"}
    assert "AlternativeHashes" not in first.fields
    assert second.hashes["sha256"] == bytes.fromhex(SHA256)
    assert second.fields["AlternativeHashes"] == [{"HashName": "F1", "HashValue": "x"}]
    assert third.fields["AlternativeHashes"] == [{"HashName": "photodna", "Source": "Z"}]
    assert set(fourth.hashes) == {"md5", "photodna"}


@pytest.mark.parametrize("spelling", ["md5", "Md5", "MD5Hash"])
def test_a_hash_under_another_spelling_is_not_lost(read, spelling):
    (entry,) = read(document(media(**{"MD5": ..., spelling: MD5})))
    assert entry.hashes["md5"] == bytes.fromhex(MD5)
    assert spelling not in entry.fields


def test_other_spellings_of_members(read):
    plain = read(document(MEDIA))
    lower = {k.lower() if k in ("MediaID", "Category", "MediaSize", "MimeType") else k: v for k, v in MEDIA.items()}
    assert read(document(lower)) == plain


def test_values_as_text(read):
    (entry,) = read(document(media(MediaID="4711", Category="01", MediaSize="1234", MD5=f" {MD5.lower()} ")))
    assert entry == read(document(MEDIA))[0]


@pytest.mark.parametrize(
    ("value", "code"),
    [(0, "0"), (99, "99"), (-1, "-1"), ("5", "5"), (" 7 ", "7"), (None, None), ("", None), (..., None)],
)
def test_categories(read, value, code):
    (entry,) = read(document(media(Category=value)))
    assert entry.category == (None if code is None else ("vics-us-2.0", code))


@pytest.mark.parametrize(
    ("mime", "kind"),
    [("image/png", "image"), ("VIDEO/mp4", "video"), ("audio/mp4", "other"), ("image", "other"), ("", ""), (None, "")],
)
def test_media_types(read, mime, kind):
    (entry,) = read(document(media(MimeType=mime)))
    assert entry.media_type == kind
    assert entry.fields.get("MimeType", "") == (mime or "")


def test_a_size_of_nought_is_not_stated(read):
    (entry,) = read(document(media(MediaSize=0)))
    assert entry.size is None
    assert entry.fields["MediaSize"] == 0


def test_references(read):
    refs = [r.ref for r in read(document(*(media(MediaID=i) for i in (7, "7a", None, "", " ", "a-b c", ..., -3, 0))))]
    assert refs == ["7", "7a", "", "", "", "a-b c", "", "-3", "0"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2023-06-07T02:31:49.8300Z", "2023-06-07T02:31:49.8300Z"),
        ("2025-01-02T03:04:05-05:00", "2025-01-02T03:04:05-05:00"),
        ("/Date(1704164645250)/", "2024-01-02T03:04:05.250Z"),
        ("/Date(-62135596800000)/", "0001-01-01T00:00:00.000Z"),
        ("/Date(1704164645250+0130)/", "2024-01-02T04:34:05.250+01:30"),
        ("/Date(999999999999999)/", "/Date(999999999999999)/"),
        ("/Date(1704164645250+9900)/", "/Date(1704164645250+9900)/"),
        ("/Date(253402300799999+0130)/", "/Date(253402300799999+0130)/"),
        ("/Date(x)/", "/Date(x)/"),
        ("yesterday", "yesterday"),
        (5, 5),
    ],
)
def test_dates(read, given, kept):
    file = {"FileName": "a", "Created": given}
    (entry,) = read(document(media(DateUpdated=given, MediaFiles=[file])))
    assert entry.fields["DateUpdated"] == kept
    assert entry.fields["MediaFiles"] == [{"FileName": "a", "Created": kept}]


@pytest.mark.parametrize(
    ("given", "kept"), [("true", True), ("False", False), (" TRUE ", True), ("yes", "yes"), (1, 1), (False, False)]
)
def test_flags(read, given, kept):
    (entry,) = read(document(media(IsDistributed=given, Comments=given, MediaFiles=[{"Deleted": given}])))
    assert entry.fields["IsDistributed"] is kept or entry.fields["IsDistributed"] == kept != bool(kept)
    assert entry.fields["MediaFiles"] == [{"Deleted": kept}]
    assert entry.fields["Comments"] == given


def test_everything_else_is_kept(read):
    more = {"Vendor@odata.type": "#x", "Deep": {"a": [1, {"b": [1.5, None]}]}, "Number": 1e300, "Text": 'ü\u2028"\\'}
    (entry,) = read(document(media(**more, Nothing={"a": None}, None_=[{}])))
    assert {k: entry.fields[k] for k in more} == more
    assert "Nothing" not in entry.fields
    assert entry.metadata == canonical_json(entry.fields)


def test_pictures_are_left_out(reading):
    (one, two), notes = reading(document(media(Miniature="aGVsbG8="), media(MediaID=2, Miniature="")))
    assert "Miniature" not in one.fields
    assert one.metadata == two.metadata
    assert notes == ["left out pictures of 1 media: lists hold hashes, never images"]


def test_empty_file_digests(read):
    empty = {"MD5": generate_vics.EMPTY_MD5, "SHA1": generate_vics.EMPTY_SHA1}
    clean, both, one, nothing = read(
        document(
            MEDIA,
            media(**empty),
            media(SHA1=generate_vics.EMPTY_SHA1.lower()),
            media(**empty, PhotoDNA=None, MediaSize=0),
        )
    )
    assert (clean.dropped, both.dropped, set(both.hashes)) == (0, 2, {"photodna"})
    assert (one.dropped, set(one.hashes)) == (1, {"md5", "photodna"})
    assert (nothing.dropped, nothing.packed) == (2, bytes(4))


# Text: marks, white space, encodings, detection


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings(read, indent, encoding, end):
    text = document(media(Series="Ünï ✓ \U0001f600"), media(MediaID=2), indent=indent, ensure_ascii=False).decode()
    marked = ("\ufeff" if "16" in encoding else "") + " " + text.replace("\n", end) + end
    assert read(marked.encode(encoding)) == read(document(media(Series="Ünï ✓ \U0001f600"), media(MediaID=2)))


def head(text: str) -> Head:
    return Head("x", text.encode(), True)


def test_detection():
    assert vics.detect(head(document().decode()))
    assert vics.detect(head(document().decode().replace("/", "\\/")))
    assert vics.detect(head('{"a": "b", "n": 1, "odata.metadata" : "http://x/DataModels/1.3.xml#Media"'))
    assert not vics.detect(head('{"@odata.context": "http://x/$metadata#Media", "value": []}'))
    assert not vics.detect(head('{"value": [], "@odata.context": "http://x/DataModels/1.3.xml#Media"}'))
    assert not vics.detect(head('{"md5": "DataModels/1.3.xml#Media"}'))
    assert not vics.detect(head("[]"))
    assert not vics.detect(Head("x", b"", True))
    assert not vics.detect(Head("x", b"\xff\xfe{\x00", True))


def test_escaped_slashes(read):
    assert read(document(MEDIA).replace(b"/", b"\\/")) == read(document(MEDIA))


def test_the_role():
    from hashmatch.lists.formats import FORMATS

    assert FORMATS["vics"].role == "known"


def test_import(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(document(MEDIA, media(MediaID=2, Category=2), before={"@odata.count": 5}))
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        summary = known.import_file(path, "Unit")
        assert (summary.records, summary.added) == (2, 2)
        assert summary.notes == ["@odata.count says 5; found 2"]
        assert [stored.entry.ref for stored in known.entries()] == ["2", "4711"]


# Cases


FACTS = {
    "CaseID": "C-1",
    "CaseNumber": "2024/1",
    "ContactName": "A. Example",
    "Notes": None,
    "SeizureDate": "/Date(0)/",
}
KEPT_FACTS = {
    "CaseID": "C-1",
    "CaseNumber": "2024/1",
    "ContactName": "A. Example",
    "SeizureDate": "1970-01-01T00:00:00.000Z",
}


@pytest.mark.parametrize("facts_first", [False, True])
def test_cases(reading, facts_first):
    facts = {**FACTS, "TotalMediaFiles": 2, "TotalPrecategorized": 0}
    second = {"CaseNumber": 12, "TotalMediaFiles": 1}
    places = [{"before": f} if facts_first else f for f in (facts, second)]
    found, notes = reading(cases(case(MEDIA, media(MediaID=5), **places[0]), case(MEDIA, **places[1])))
    assert [e.ref for e in found] == ["C-1/4711", "C-1/5", "12/4711"]
    assert [e.fields["Case"] for e in found] == [KEPT_FACTS, KEPT_FACTS, {"CaseNumber": 12}]
    assert all(e.metadata == canonical_json(e.fields) for e in found)
    assert notes == []


def test_the_same_media_in_two_cases(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(cases(case(MEDIA, CaseID="A"), case(MEDIA, CaseID="B"), case(MEDIA, CaseID="A")))
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_file(path, "Unit")
        assert [stored.entry.ref for stored in known.entries()] == ["A/4711", "B/4711"]


def test_a_case_without_a_name(read):
    (entry,) = read(cases(case(MEDIA, ContactName="A. Example")))
    assert entry.ref == ""
    assert entry.fields["MediaID"] == 4711
    assert entry.fields["Case"] == {"ContactName": "A. Example"}


def test_cases_without_media(read):
    assert read(cases()) == []
    assert [e.ref for e in read(cases({"CaseID": "A"}, case(CaseID="B"), case(MEDIA, CaseID="C")))] == ["C/4711"]


def test_cases_from_a_stream():
    first = cases(case(MEDIA, before={"CaseID": "A"}, TotalMediaFiles=1))
    assert [e.ref for e in read_bytes(first)] == ["A/4711"]
    with pytest.raises(
        InputError, match=r"standard input is a stream.*facts of a case behind its media.*save it to a file"
    ):
        read_bytes(cases(case(MEDIA, CaseID="A")))


def test_a_document_of_cases_that_changes_while_it_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(cases(case(*[media(MediaID=n) for n in range(3)], CaseID="A"), case(MEDIA, CaseID="B")))
    with Input(path) as source:
        document_ = vics._Document(source, Limits())
        document_._facts = lambda: [{"CaseID": "A"}]  # type: ignore[method-assign]
        with pytest.raises(InputError, match="changed while it was read"):
            list(document_.batches())


def test_long_facts_are_left_out(reading):
    long = {"Data": "x" * 9_000, "CaseMetadata": [{"PropertyName": "n", "PropertyValue": "v"}]}
    (entry,), notes = reading(cases(case(MEDIA, CaseID="A", **long)))
    assert entry.fields["Case"] == {"CaseID": "A", "CaseMetadata": long["CaseMetadata"]}
    assert notes == ["case 1: left out 'Data', too long for every media"]


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        ({"TotalMediaFiles": 2}, None),
        ({"TotalMediaFiles": 3}, None),
        ({"TotalMediaFiles": "2"}, None),
        ({"TotalMediaFiles": 4}, "case 1: TotalMediaFiles says 4; found 2 media with 3 files"),
        ({"TotalMediaFiles": "many"}, "case 1: TotalMediaFiles says no number; found 2 media with 3 files"),
        ({"TotalPrecategorized": 1}, None),
        ({"TotalPrecategorized": 2}, None),
        ({"TotalPrecategorized": 5}, "case 1: TotalPrecategorized says 5; found 1 media"),
    ],
)
def test_counts_of_a_case(reading, facts, note):
    one = media(MediaFiles=[{"FileName": "a"}, {"FileName": "b"}], IsPrecategorized="true")
    two = media(MediaID=5, MediaFiles=[{"FileName": "a"}], IsPrecategorized=False)
    found, notes = reading(cases(case(one, two, CaseID="A", **facts)))
    assert len(found) == 2
    assert notes == ([] if note is None else [note])


def test_a_member_called_case(read):
    (entry,) = read(document(media(Case="x")))
    assert entry.fields["Case"] == "x"
    (error,) = read(cases(case(media(Case="x"), CaseID="A")))
    assert error.field == "Case"


# Counts and members of the document


@pytest.mark.parametrize(
    ("before", "after", "notes"),
    [
        ({"odata.count": "2"}, {}, []),
        ({"@odata.count": 2}, {}, []),
        ({}, {"odata.count": "3"}, ["odata.count says 3; found 2"]),
        ({"Made": "x"}, {"By": {"a": [1]}}, ["left out the member 'Made'", "left out the member 'By'"]),
        ({}, {"@odata.nextLink": "x"}, ["found '@odata.nextLink': the document is one part of several"]),
        ({}, {MD5: 1}, ["left out the member 'a name of 32 characters'"]),
    ],
)  # fmt: skip
def test_members_of_the_document(reading, before, after, notes):
    found, noted = reading(document(MEDIA, media(MediaID=2), before=before, after=after))
    assert len(found) == 2
    assert [note[: len(start)] for note, start in zip(noted, notes, strict=True)] == notes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (document().replace(b', "value": []', b""), "found no member 'value'; expected an array"),
        (document().replace(b"[]", b"null"), r"found a letter; expected '\[', the beginning of the array 'value'"),
        (document().replace(b"[]", b"{}"), r"found '\{'; expected '\['"),
        (document() + b"{}", r"found '\{'; expected the end of the file \(at byte 116\)"),
        (document() + b"\0", "found the byte 0x00; expected the end of the file"),
        (document(MEDIA).replace(b"}]}", b"},]}"), "found ',' before ']'; expected another item"),
        (document(MEDIA)[:-1] + b",}", "found ',' before '}'"),
        (document(MEDIA, MEDIA).replace(b"}, {", b"} {"), r"found '\{'; expected ',' or '\]' in the array 'value'"),
        (document().replace(b":", b"=", 1), "found '='; expected ':' behind a key"),
        (document().replace(b'"value"', b"value"), "found a letter; expected a key of the document"),
        (document(before={"x": 1}).replace(b'"x": 1', b'"x": 1, "x": 2'), "found the key 'x' twice in the document"),
        (document(before={"x": 1}).replace(b'"x": 1', b'"x": nul'), "found what is not JSON"),
        (document(before={"x": 1}).replace(b'"x": 1', b'"x": NaN'), "field|x: found NaN, which is not JSON"),
        (document(before={"x": "y"}).replace(b'"y"', b'"\x01"'), r"found the control character U\+0001 inside text"),
        (document(before={"x": "y"}).replace(b'"y"', b'"\xff"'), "found the byte 0xff, which is not UTF-8 here"),
        (document(before={"x": "y"}).replace(b'"y"', b'"\\ud800"'), "half of a surrogate pair"),
        (document(before={"x": "y"}).replace(b'"y"', b"[" * 2000 + b"]" * 2000), "nested more than 32 levels deep"),
        (document(before={"x": "y"}).replace(b'"y"', b"[" * 40 + b"]" * 40), "nested more than 32 levels deep"),
        (document(before={"x": "y"}).replace(b'"y"', b"9" * 5000), "number that is too long"),
        (cases(7), "found a digit; expected '{', the beginning of a case"),
        (cases(case(MEDIA, CaseID=[1])), "field 'CaseID': found an array; expected text"),
        (cases(case(MEDIA, CaseID="a\x07")), r"control character U\+0007"),
        (cases(case(CaseID="A")).replace(b'"CaseID"', b'"Media"'), "found the key 'Media' twice in a case"),
    ],
)  # fmt: skip
def test_documents_that_are_not_usable(read, data, message):
    with pytest.raises(RecordError, match=message) as caught:
        read(data, from_format="vics")
    assert str(caught.value.path).endswith("vics.json")


def test_a_context_that_comes_too_late(read):
    with pytest.raises(RecordError, match=r"found no member 'odata\.metadata' or '@odata\.context' before 'value'"):
        read(b'{"value": []}', from_format="vics")


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("kind", ["media", "cases"])
def test_truncation_at_every_byte(read, kind, indent):
    some = [media(Comments="é"), media(MediaID=2, PhotoDNA=..., Extra={"a": [1, -2.5e3, True]})]
    data = (
        document(*some, after={"odata.count": 12}, indent=indent, ensure_ascii=False)
        if kind == "media"
        else cases(case(*some, CaseID="A"), case(MEDIA, CaseID="B"), indent=indent, ensure_ascii=False)
    )
    assert len(read(data)) == (2 if kind == "media" else 3)
    for length in range(1, len(data)):
        with pytest.raises(RecordError, match=r"ends here|ends in the middle|not UTF-8"):
            read(data[:length], from_format="vics")


# Records that are malformed


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"MD5": MD5 + "0"}, "MD5", "found 33 digits; expected 32 hexadecimal digits"),
        ({"MD5": "g" * 32}, "MD5", "no hexadecimal digit"),
        ({"MD5": 5}, "MD5", "found a number; expected text"),
        ({"MD5": 0}, "MD5", "found a number; expected text"),
        ({"MD5": False}, "MD5", "found false; expected text"),
        ({"MD5": [MD5]}, "MD5", "found an array; expected text"),
        ({"MD5": SHA1, "SHA1": MD5}, "MD5", "found 40 digits; expected 32"),
        ({"SHA1": "00"}, "SHA1", "found 2 digits; expected 40"),
        ({"SHA256": 0}, "SHA256", "found a number; expected text"),
        ({"PhotoDNA": "A" * 191 + "!"}, "PhotoDNA", "base64"),
        ({"PhotoDNA": "A" * 190 + "=="}, "PhotoDNA", "base64"),
        ({"PhotoDNA": "0" * 287}, "PhotoDNA", "found 287 digits"),
        ({"PhotoDNA": "1,2,3"}, "PhotoDNA", "found 3 decimals; expected 144"),
        ({"PhotoDNA": [256] * 144}, "PhotoDNA", "found decimal 1 out of range"),
        ({"PhotoDNA": [1.5] * 144}, "PhotoDNA", "found an array; expected text"),
        ({"AlternativeHashes": [alternative("MD5", "00" * 16)]}, "AlternativeHashes.MD5", "found another md5 hash"),
        ({"AlternativeHashes": [alternative("PDQ", "0")]}, "AlternativeHashes.PDQ", "found 1 digit"),
        ({"AlternativeHashes": "x"}, "AlternativeHashes", "expected an array of objects"),
        ({"AlternativeHashes": 0}, "AlternativeHashes", "expected an array of objects"),
        ({"AlternativeHashes": ["x"]}, "AlternativeHashes", "expected an array of objects"),
        ({"md5": "11" * 16}, "md5", "found another md5 hash than before; expected one"),
        ({"mediaid": 5}, "mediaid", "found it as 'MediaID' too; expected it once"),
        ({"MediaID": 1.5}, "MediaID", "found a number; expected text or a whole number"),
        ({"MediaID": True}, "MediaID", "found true; expected text or a whole number"),
        ({"MediaID": "a\nb"}, "MediaID", r"control character U\+000A"),
        ({"MediaID": "a\x07"}, None, r"control character U\+0007"),
        ({"Category": True}, "Category", "found true; expected a category's number, or null"),
        ({"Category": 1.0}, "Category", "found a number; expected a category's number"),
        ({"Category": "CAM"}, "Category", "found 'CAM'; expected a category's number"),
        ({"Category": 10**9}, "Category", "found a number; expected a category's number"),
        ({"Category": MD5}, "Category", "found 32 characters; expected a category's number"),
        ({"MediaSize": -1}, "MediaSize", "found a number that is out of range; expected a whole number"),
        ({"MediaSize": 1 << 63}, "MediaSize", "found a number that is out of range"),
        ({"MediaSize": 1.5}, "MediaSize", "found a number; expected a whole number"),
        ({"MediaSize": "1_0"}, "MediaSize", "found '1_0'; expected a whole number"),
        ({"MediaSize": False}, "MediaSize", "found false; expected a whole number"),
        ({"MimeType": 5}, "MimeType", "found a number; expected text"),
        ({"MimeType": ["image/png"]}, "MimeType", "found an array; expected text"),
        ({"Comments": "a\x00b"}, None, r"control character U\+0000"),
        ({"Comments": "a\rb"}, None, r"control character U\+000D"),
        ({"Comments": "a\ud800"}, None, "half of a surrogate pair"),
        ({"MediaFiles": [{"FileName": "a\x08"}]}, None, r"control character U\+0008"),
        ({"Comments": float("nan")}, None, "found NaN"),
        ({"Comments": float("inf")}, None, "found Infinity"),
        ({"Comments": json.loads("[" * 31 + "]" * 31)}, None, None),
        ({"Comments": json.loads("[" * 32 + "]" * 32)}, None, "nested more than 32 levels deep"),
        ({"Comments": "x" * (1 << 20)}, None, None),
        ({"Comments": "x" * ((1 << 20) + 1)}, None, "found 1,048,577 characters; expected at most 1,048,576"),
        ({"MD5": None, "SHA1": "", "PhotoDNA": ...}, None, "without any hash"),
    ],
)
def test_malformed_media(read, changed, field, message):
    clean = [media(MediaID=n) for n in range(40)]
    data = document(*clean[:25], media(**changed), *clean[25:], indent=0)
    records = read(data)
    assert len(records) == 41
    assert [r.ref for r in records[:25] + records[26:]] == [str(n) for n in range(40)]
    error = records[25]
    if message is None:
        assert type(error) is Entry
        return
    assert isinstance(error, RecordError)
    assert error.record == 26
    assert field is None or error.field == field
    assert re.search(message, str(error)), str(error)
    assert str(error.path).endswith("vics.json")


def test_where_an_error_is(read):
    bad = media(MD5="x")
    one_line = read(document(MEDIA, MEDIA, bad))[2]
    assert (one_line.line, one_line.record, one_line.field) == (None, 3, "MD5")
    assert "vics.json, record 3, field 'MD5': " in str(one_line)
    data = document(MEDIA, bad, MEDIA, bad, indent=1)
    lines = data.decode().split("\n")
    starts = [number for number, line in enumerate(lines, 1) if line == "  {"]
    assert [r.line for r in read(data) if isinstance(r, RecordError)] == [starts[1], starts[3]]


@pytest.mark.parametrize(
    "text",
    [
        '{"MD5":"%s","MD5":"%s"}',
        '{"MD5":"%s","A":1,"MD5" : "%s"}',
        '{"MD5":"%s","B":{"a":1,"a":"%s"}}',
        '{"MD5":"%s","MediaFiles":[{"a":1},{"a":1,"a" \t:"%s"}]}',
        '{"MD5":"%s","\\u004dD5":"%s"}',
        '{"MD5":"%s","A" :1,"A":"%s"}',
        '{"MD5":"%s","A" :":","A":"%s\\":"}',
    ],
)
def test_repeated_keys(read, text):
    data = document(*[media(MediaID=n) for n in range(30)], "HERE", *[media(MediaID=n) for n in range(30, 60)])
    data = data.replace(b'"HERE"', (text % (MD5, "00" * 16)).encode())
    records = read(data)
    assert len(records) == 61
    (error,) = (r for r in records if isinstance(r, RecordError))
    assert error.record == 31
    assert "twice; expected every key once" in str(error)


@pytest.mark.parametrize("item", ["5", "null", '"{}"', "[]", "[{}]", "true", '"},{"'])
def test_items_that_are_no_objects(read, item):
    data = document(MEDIA, "HERE", media(MediaID=2)).replace(b'"HERE"', item.encode())
    first, error, last = read(data)
    assert (first.ref, last.ref) == ("4711", "2")
    assert error.record == 2
    assert "expected a JSON object" in str(error)


def test_limits(read):
    data = document(*[media(MediaID=n) for n in range(5)], media(MediaID=5, Comments="x" * 3000), indent=0)
    assert len(read(data)) == 6
    with pytest.raises(
        RecordError, match="found a value of more than 2,000 bytes; expected at most 2,000 bytes a value"
    ):
        read(data, limits=Limits(max_line_bytes=2000))
    errors = [r for r in read(data, limits=Limits(max_string=2000)) if isinstance(r, RecordError)]
    assert [(e.record, e.field) for e in errors] == [(6, "Comments")]
    deep = document(media(A=[{"a": 1}]))
    assert isinstance(read(deep, limits=Limits(max_json_depth=2))[0], RecordError)
    assert isinstance(read(deep, limits=Limits(max_json_depth=3))[0], Entry)


def test_memory_is_bounded_by_a_few_objects(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as out:
        generate_vics.write(out, 3_000)
    size = 0
    with Input(path) as source:
        stream = json_stream.JsonStream(source)
        for key in stream.members("x"):
            if key != "value":
                stream.value(key)
                continue
            for batch in stream.objects("x"):
                assert len(batch.objects) < 1000
                size = max(size, len(stream._buffer))
    assert size < 4 * json_stream._PIECE < path.stat().st_size


def test_no_message_shows_a_hash(tmp_path):
    path = tmp_path / "x"
    text = document(media(AlternativeHashes=[alternative("SHA256", SHA256)], MediaFiles=[{"MD5": MD5}])).decode()
    pieces = [h[at : at + 8] for h in (MD5, SHA1, SHA256, PHOTODNA_TEXT) for at in range(len(h) - 7)]
    seen = 0
    for at in range(0, len(text), 5):
        for c in '0g",:[{}\\\x01é':
            path.unlink(missing_ok=True)
            path.write_text(text[:at] + c + text[at + (c != '"') :], encoding="utf-8")
            try:
                with open_entries(path, "vics") as opened:
                    problems: list[object] = [r for r in opened if isinstance(r, RecordError)]
            except HashMatchError as error:
                problems = [error]
            seen += len(problems)
            for problem in problems:
                message = str(problem).replace(str(path), "")
                assert not any(piece.lower() in message.lower() for piece in pieces), message
    assert seen > 500


# The fast ways against the plain ones


def without_msgspec(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "msgspec", None)
    patch.setattr(json_stream, "_codec", json_stream._codec.__wrapped__)


def strictly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(json_stream.JsonStream, "_fast", lambda *_: None)


def plainly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(vics_media.MediaReader, "_columns", lambda *_: None)


def outcome(data: bytes, *changes, piece: int | None = None) -> list[object]:
    """All that comes of reading: the records, then the error that ended it."""
    found: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        if piece is not None:
            patch.setattr(json_stream, "_PIECE", piece)
        for change in changes:
            change(patch)
        source = Input("-")
        try:
            for record in vics.read(source, ReadOptions()):
                found += shown([record])
        except InputError as error:
            found.append(str(error))
        found.append(source.notes)
    return found


def all_outcomes(data: bytes, piece: int) -> list[list[object]]:
    return [
        outcome(data),
        outcome(data, piece=piece),
        outcome(data, taught),
        outcome(data, taught, strictly, piece=piece),
        outcome(data, in_python),
        outcome(data, in_python, piece=piece),
        outcome(data, in_python, without_msgspec, piece=piece),
        outcome(data, in_python, strictly),
        outcome(data, in_python, strictly, plainly, piece=piece),
        outcome(data, in_python, plainly),
    ]


names = st.sampled_from(
    [
        *MEDIA,
        "MediaFiles",
        "AlternativeHashes",
        "Unallocated",
        "Created",
        "Miniature",
        "md5",
        "X",
        "ü",
        "TotalMediaFiles",
    ]
)
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from([MD5, SHA1, PHOTODNA_TEXT, generate_vics.EMPTY_MD5, "true", " FALSE", "1"]),
    st.sampled_from(["image/png", "VIDEO/x", "imagE", " ", "😀", "/Date(5)/", "/Date(-1+0130)/", "x/Date(5)/"]),
    st.sampled_from(['":', "},{", "a :", "\\", "\r\n"]),
)
scalars = st.one_of(texts, st.none(), st.booleans(), st.integers(-3, 1 << 66), st.floats(), st.just(0))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(names | st.text(max_size=3), inner, max_size=3),
        st.builds(lambda n, v: [alternative(n, v)], st.sampled_from(["PhotoDNA", "MD5", "F1"]), inner),
    ),
    max_leaves=6,
)
changes = st.dictionaries(names, values, max_size=4)
some_media = st.lists(st.one_of(changes.map(lambda c: {**MEDIA, **c}), changes, values), max_size=12)
pieces = st.sampled_from([1, 50, 700, 3000])


@given(some_media, st.sampled_from([None, 0, 2]), pieces, st.booleans(), st.booleans())
def test_all_ways_give_the_same(some, indent, piece, ascii_only, slashes):
    data = document(*some, before={"odata.count": 3}, indent=indent, ensure_ascii=True)
    if not ascii_only and not re.search(rb"\\ud[89a-f]", data):
        data = document(*some, before={"odata.count": 3}, indent=indent, ensure_ascii=False)
    if slashes:  # as .NET writes them
        data = data.replace(b"/", b"\\/")
    first, *others = all_outcomes(data, piece)
    assert len(first) >= len(some) + 1
    for other in others:
        assert other == first


DAMAGE = [*(bytes([b]) for b in b'"{}[],:\\ \n\xff1'), b"", b"},{", b"\\u0000", b'"MD5":']


@given(some_media, st.data(), pieces)
def test_all_ways_give_the_same_of_what_is_damaged(some, draw, piece):
    data = document(MEDIA, *some, MEDIA)
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data) - 1))
        put = draw.draw(st.sampled_from(DAMAGE))
        data = data[:at] + put + data[at + draw.draw(st.integers(0, 2)) :]
    first, *others = all_outcomes(data or b" ", piece)
    for other in others:
        assert other == first


@given(st.lists(changes, max_size=4), st.lists(changes, max_size=4), st.booleans(), pieces)
def test_all_ways_give_the_same_of_cases(one, two, named, piece):
    facts = {"CaseID": 7, "CaseMetadata": [{"a": 1.5}], "TotalMediaFiles": 2} if named else {}
    data = cases(case(*[{**MEDIA, **c} for c in one], before=facts), case(*two, before={"CaseNumber": "B"}))
    first, *others = all_outcomes(data, piece)
    assert len(first) >= len(one) + len(two) + 1
    for other in others:
        assert other == first


@pytest.mark.parametrize("version", generate_vics.VERSIONS)
@pytest.mark.parametrize(
    ("number", "dirt", "indent"), [(0, False, False), (0, True, False), (3, False, True), (3, True, True)]
)
def test_generated_documents(tmp_path, version, number, dirt, indent):
    out = io.BytesIO()
    options = {"version": version, "cases": number, "dirt": dirt, "indent": indent}
    generate_vics.write(out, 300, 5, bom=dirt, **options)
    again = io.BytesIO()
    generate_vics.write(again, 300, 5, bom=dirt, **options)
    assert again.getvalue() == out.getvalue()
    path = tmp_path / "a.json"
    path.write_bytes(out.getvalue())

    def records(*changes) -> tuple[list[object], list[str], int]:
        plain = 0
        with pytest.MonkeyPatch.context() as patch:
            entry = vics_media.MediaReader.entry

            def counted(*arguments):
                nonlocal plain
                plain += 1
                return entry(*arguments)

            patch.setattr(vics_media.MediaReader, "entry", counted)
            for change in changes:
                change(patch)
            with open_entries(path) as opened:
                return shown(opened), opened.input.notes, plain

    found, notes, plain = records()
    assert plain <= (10 if dirt else 0)
    for changes_ in [(taught,), (in_python,), (strictly,), (plainly,), (without_msgspec,), (in_python, plainly)]:
        assert records(*changes_)[:2] == (found, notes)
    assert records(taught)[2] == plain
    assert records(in_python)[2] == plain
    entries = [Entry(*r) for r in found if len(r) == len(Entry._fields)]
    assert len(found) == 300
    assert len(entries) == 300 - 2 * dirt
    assert bool(notes) == dirt
    for entry in entries:
        assert entry.metadata == canonical_json(entry.fields)
    assert sum(e.dropped for e in entries) == 2 * dirt


def test_a_generated_document_that_is_cut(read):
    out = io.BytesIO()
    generate_vics.write(out, 300)
    with pytest.raises(RecordError, match="not whole, fetch it again"):
        read(out.getvalue()[:-200])


def test_nothing_is_claimed_of_other_files(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"@odata.context": "http://x/$metadata#Things", "value": []}')
    with pytest.raises(FormatUnknownError):
        open_entries(path)
