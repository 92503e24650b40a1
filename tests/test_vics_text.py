"""VICS from the text straight to entries: what is taken, what is left to Python, and that both say the same."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import kernels
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats.json_stream import Batch
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.formats.vics_media import MediaReader

NATIVE = [item.name for item in kernels.implementations() if item.available and item.name != "numpy"]
LEFT_OUT = "native" in os.environ.get("HASHMATCH_TEST_WITHOUT", "").split()
pytestmark = pytest.mark.skipif(not NATIVE and LEFT_OUT, reason="the native extension was left out by name")

MD5, SHA1 = "0f" * 16, "A1" * 20
PHOTODNA = "abcdefghijkl+/AZ" * 12
FILE = {"MD5": MD5, "FileName": "a.jpg", "Created": "2024-07-01T21:33:47Z", "Accessed": None, "Deleted": "True", "": 5}
NAMES = (
    "MediaID", "Category", "MD5", "SHA1", "SHA256", "PhotoDNA", "AlternativeHashes", "MediaSize", "MimeType",
    "Comments", "DateUpdated", "IsDistributed", "IsPrecategorized", "MediaFiles", "Exifs", "Miniature", "Case",
    "TotalMediaFiles", "mediaid", "A", "ü", "Vendor@odata.type",
)  # fmt: skip


def reader_of(case: dict[str, Any] | None = None, limits: Limits | None = None) -> MediaReader:
    reader = MediaReader("vics-us-2.0", limits or Limits(), case)
    reader.learn(Batch(({**dict.fromkeys(NAMES), 'a"b': 1},), 1, b"", (0,)))
    return reader


def media(**changed: Any) -> dict[str, Any]:
    return {"MediaID": 5, "MD5": MD5, **changed}


def taken(text: bytes | str, **options: Any) -> Entry | None:
    """What the way from the text makes of an object."""
    raw = text.encode() if isinstance(text, str) else text
    reader = reader_of(**options)
    # What stands around it must not matter; and nothing may be read behind it.
    found, _ = reader.take(raw, 0)
    for before, behind in [(b"[ ", b" , {}"), (b"", b"]"), (b"", b',{"MediaID":'), (b"", b"\0"), (b"", b'"""""""""')]:
        entries, end = reader.take(before + raw + behind, len(before))
        assert entries == found
        assert end == len(before) + len(raw) * len(entries)
    for cut in range(0, len(raw), max(1, len(raw) // 50)):
        assert reader.take(raw[:cut], 0) == ([], 0)
    return found[0] if found else None


def plain(text: bytes | str, **options: Any) -> Entry:
    """What the plain way makes of it."""
    return reader_of(**options).entry(json.loads(text))


PLAIN = json.dumps(media())


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"MD5": None, "SHA1": SHA1},
        {"MD5": "", "PhotoDNA": PHOTODNA},
        {"MD5": MD5.upper(), "SHA1": SHA1, "PhotoDNA": PHOTODNA, "SHA256": None},
        {"AlternativeHashes": []},
        {"AlternativeHashes": None},
        {"AlternativeHashes": [{"HashName": "PhotoDNA", "HashValue": PHOTODNA}], "PhotoDNA": None},
        {"AlternativeHashes": [{"HashValue": PHOTODNA, "HashName": "PhotoDNA"}], "MD5": None},
        {"MediaID": None},
        {"MediaID": ""},
        {"MediaID": -7},
        {"MediaID": "a b/\x7e;"},
        {"Category": None},
        {"Category": 0},
        {"Category": -1},
        {"Category": 999_999_999},
        {"MediaSize": None},
        {"MediaSize": 0},
        {"MediaSize": 1},
        {"MediaSize": 10**18 - 1},
        {"MimeType": None},
        {"MimeType": ""},
        {"MimeType": "image/jpeg"},
        {"MimeType": "IMAGE/"},
        {"MimeType": "Video/ü"},
        {"MimeType": "image"},
        {"MimeType": "video"},
        {"MimeType": "imagesque"},
        {"MimeType": "x\\y"},
        {"Comments": None},
        {"Comments": ""},
        {"Comments": " "},
        {"Comments": 'über \u2028 \x7f 😀 " \\ / \r\n\t\n'},
        {"Comments": "x" * 5_000 + "\\" + "ü" * 5_000},
        {"Comments": 5},
        {"Comments": -(10**18) + 1},
        {"Comments": True},
        {"Comments": [1, "a", None, [], {}, [{"b": "", "a": [None]}]]},
        {"Comments": {"b": 1, "a": {"d": [], "c": {"e": None}}}},
        {"Comments": {"a": None}},
        {"Comments": [{"TotalMediaFiles": 5, "x": 1}]},
        {"TotalMediaFiles": 5},
        {"A": {f"{n:02d}": n for n in reversed(range(64))}},
        {"A": {"a!": 1, "a": 2, "a b": 3, "b": 4, " ": 5, "": 6}},
        {"A": {"a": 1, "ab": 2, "a b": 3, "": 4, "ü": 5, "\U0001f600": 6, "\uffff": 7, "a!": 8}},
        {"ü": "ü"},
        {"Vendor@odata.type": "#x"},
        {"IsDistributed": True},
        {"IsDistributed": " tRUE "},
        {"IsDistributed": "False"},
        {"IsDistributed": "falsch"},
        {"IsDistributed": 1},
        {"IsDistributed": ["true", "x", {"Deleted": "FALSE"}]},
        {"IsPrecategorized": "true"},
        {"IsPrecategorized": ["true", "x", ["FALSE"], {"A": "true"}]},
        {"DateUpdated": "2024-07-01T21:33:47.4680Z"},
        {"DateUpdated": "01/02/2024"},
        {"DateUpdated": ["/Date(1704067200123)/", 5]},
        {"MediaFiles": [FILE, FILE]},
        {"MediaFiles": {"Created": "/Date(-1)/"}},
        {"Exifs": [{"PropertyName": "Make", "PropertyValue": "Synthetic {camera}"}]},
        {"Miniature": None},
        {"Miniature": ""},
        {"Miniature": "AAAA/8=="},
        {"SHA256": []},
        {"Case": {}},
        {"Case": ""},
    ],
)
@pytest.mark.parametrize("case", [None, {"CaseNumber": 7}, {"CaseID": 'a"ü', "Z": 1}])
def test_what_is_taken(changed: dict[str, Any], case: dict[str, Any] | None) -> None:
    for ascii_only, indent, slash in [
        (False, None, "/"),
        (True, 1, "\\/"),
        (False, 0, "\\u002f"),
        (True, None, "\\u002F"),
    ]:
        if not ascii_only or changed.keys() - {"ü"}:
            text = json.dumps(media(**changed), ensure_ascii=ascii_only, indent=indent)
            if "MediaID" in changed or ("IsDistributed" in changed and ascii_only):
                slash = "/"  # noqa: PLW2901
            if slash == "/" or (ascii_only and any(not k.isascii() for k in changed.get("A", ()))):
                text = json.dumps(media(**changed), ensure_ascii=False, indent=indent)
            text = text.replace("/", slash)
            found = taken(text, case=case)
            assert found == plain(text, case=case)
            assert type(found) is Entry
            assert [type(value) for value in found] == [type(value) for value in plain(text, case=case)]


#: Members that take an object off the way from the text. @ and # are a PhotoDNA and a SHA-1, @1 one without its first
#: character, and so on; % is an MD5.
REFUSED = r"""
"MediaID":6
"MD5":null
"Nobody":1
"mediaid":null
"Com\u006dents":"x"
"Case":{"a":1}
"SHA1":"da39a3ee5e6b4b0d3255bfef95601890afd80709"
"SHA1":"g#1"
"SHA1":"#1"
"SHA1":"#f"
"SHA1":"#x,"Comments":1
"SHA1":5
"SHA1":"\u0041#6"
"SHA256":"%%"
"SHA256":0
"SHA256":{"ü":null,"a":1}
"SHA256":{"a":null}
"SHA256":{"TotalMediaFiles":1}
"SHA256":[null]
"PhotoDNA":"b@2"
"PhotoDNA":"!b@2"
"PhotoDNA":"@2=="
"PhotoDNA":"\/@"
"PhotoDNA":"@x,"Comments":1
"PhotoDNA":[1]
"PhotoDNA":"ü"
"AlternativeHashes":[{}]
"AlternativeHashes":{}
"AlternativeHashes":[null]
"AlternativeHashes":""
"AlternativeHashes":[{"HashName":"PhotoDNA"}]
"AlternativeHashes":[{"HashValue":"@"}]
"AlternativeHashes":[{"HashName":"PhotoDNB","HashValue":"@"}]
"AlternativeHashes":[{"HashName":"PhotoDNA","HashValue":null}]
"AlternativeHashes":[{"HashName":"MD5","HashValue":"%"}]
"AlternativeHashes":[{"HashName":"PhotoDNA","HashValue":"@","X":1}]
"AlternativeHashes":[{"HashName":"PhotoDNA","HashName":"PhotoDNA","HashValue":"@"}]
"AlternativeHashes":[{"HashValue":"@","HashValue":"@"}]
"AlternativeHashes":[{"HashName":"PhotoDNA","HashValue":"@"},{}]
"PhotoDNA":"@","AlternativeHashes":[{"HashName":"PhotoDNA","HashValue":"@"}]
"AlternativeHashes":[{"HashName":"PhotoDNA","HashValue":"@"}],"PhotoDNA":"@"
"Category":"1"
"Category":1000000000
"Category":1.0
"Category":true
"Category":""
"MediaSize":-1
"MediaSize":"5"
"MediaSize":1.5
"MediaSize":false
"MediaSize":""
"MimeType":5
"MimeType":true
"MimeType":[]
"MimeType":" image/png"
"MimeType":"\timage/png"
"Comments":"\u0000"
"Comments":"\u001f"
"Comments":"\b"
"Comments":"\f"
"Comments":"\r"
"Comments":"\rx"
"Comments":"\r\u000a"
"Comments":"\x"
"Comments":"\ü"
"Comments":"\u00g0"
"Comments":"\u00"
"Comments":"\ud83d"
"Comments":"\ude00"
"Comments":"\ud83d\u0041"
"Comments":"\ud83dx"
"Comments":"\ude00\ude00"
"Comments":"\ud83d\ud83d"
"Comments":1.5
"Comments":1e5
"Comments":[1.5]
"Comments":[1,]
"Comments":[,]
"Comments":[1 2]
"Comments":{"a":1,"a":1}
"Comments":{"b":1,"a":null,"b":1}
"Comments":{"TotalMediaFiles":1,"a":2,"TotalMediaFiles":1}
"Comments":{"\u0061":1}
"Comments":{"a":1,}
"Comments":{"a"}
"Comments":{a:1}
"Comments":{"a":1 "b":2}
"IsDistributed":"tr\u0075e"
"DateUpdated":" /Date(5)/"
"DateUpdated":"/Date(x)/"
"DateUpdated":"/Date(5)/ "
"DateUpdated":"/Date()/"
"DateUpdated":"/Date(1234567890123456)/"
"DateUpdated":"/Date(5+2400)/"
"DateUpdated":"/Date(5+1)/"
"DateUpdated":"/Date(253402300800000)/"
"DateUpdated":"/Date(-62135596800001)/"
"DateUpdated":"/Date("
"DateUpdated":"/Date(253402300799999+0001)/"
"DateUpdated":"/Date(253402300800000-0001)/"
"Miniature":"ü"
"Miniature":"\u0001"
"Miniature":5
"Miniature":[]
"Miniature":"\x"
"""


def refused() -> Iterator[str]:
    for member in REFUSED.strip().split("\n"):
        for sign, text in (("@", PHOTODNA), ("#", SHA1)):
            member = re.sub(f"{sign}([0-9]?)", lambda found, text=text: text[int(found[1] or 0) :], member)  # noqa: PLW2901
        yield member.replace("%", MD5)
    yield from (
        "",
        *(f'"Comments":"aaaaaaaaaaaa{control}b"' for control in "\0\t\n\r\x1f"),
        '"IsDistributed":"\xa0true"',
    )
    yield '"Comments":' + "[" * 16 + "]" * 16
    yield '"Comments":' + '{"a":' * 16 + "1" + "}" * 16
    yield '"A":{' + ",".join(f'"{n}":1' for n in range(65)) + "}"


@pytest.mark.parametrize("member", list(refused()))
def test_what_is_left_to_python(member: str) -> None:
    assert taken(f"{PLAIN[:-1]},{member}}}") is None


@pytest.mark.parametrize(
    "reference",
    [
        "05", "-", "-0", "+5", "5.0", "5e1", "1" * 19, "0x5", "NaN", "true", "{}", "[]", '" "', '"a\x7fb"', '"ü"',
        "nul", "nullx", '"', "Infinity", r'"\u0041"', "",
    ],
)  # fmt: skip
def test_references_that_are_left_to_python(reference: str) -> None:
    assert taken(PLAIN.replace("5", reference, 1)) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "{}", "5", "[]", '{"MediaID":5}', PLAIN[:-1], PLAIN[1:], PLAIN.replace(":", "", 1),
        PLAIN.replace(",", " "), PLAIN.replace("}", ",}"), PLAIN.replace("{", "{,"), PLAIN.replace('"', "'"),
        "{" + PLAIN, "\ufeff" + PLAIN, PLAIN.replace(MD5, "d41d8cd98f00b204e9800998ecf8427E"),
    ],
)  # fmt: skip
def test_what_is_no_object_is_left_to_python(text: str) -> None:
    assert taken(text) is None


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"])
@pytest.mark.parametrize(
    "member",
    [
        b'"Comments":"%s"', b'"Comments":["%s"]', b'"Comments":{"%s":1}', b'"Comments":{"%s":null}',
        b'"Comments":{"A":{"%s":""}}',
        b'"Comments":{"TotalMediaFiles":"%s","a":1}',
        b'"Comments":{"TotalMediaFiles":{"a":"%s","b":1},"a":1}',
        b'"SHA256":{"%s":null}', b'"Miniature":"%s"',
        b'"MimeType":"x%s"',
        b'"\xc3\xbc%s":1', b'"Comments":"\\\\%s"', b'"IsDistributed":"%s"', b'"DateUpdated":"/%s"',
    ],
)  # fmt: skip
def test_what_is_no_utf8_is_left_to_python(bad: bytes, member: bytes) -> None:
    usual = PLAIN.encode()[:-1] + b"," + member % b"x" + b"}"
    if b"\xc3\xbc" not in member and b"SHA256" not in member:
        assert taken(usual) is not None
    assert taken(usual.replace(b"x", bad)) is None


def test_some_objects_in_a_row() -> None:
    texts = [json.dumps(media(MediaID=n, Comments="x" * n, MediaFiles=[{}] * (n % 3))) for n in range(300)]
    text = ("[" + " ,\n".join(texts) + "]").encode()
    reader = reader_of({"CaseID": 1})
    entries, end = reader.take(text, 1)
    assert entries == [plain(t, case={"CaseID": 1}) for t in texts]
    assert text[end:] == b"]"
    assert (reader.files, reader.precategorized, reader.pictures) == (300, (0, 0), 0)
    entries, end = reader.take(text[:-50], 1)
    assert entries == [plain(t, case={"CaseID": 1}) for t in texts[:-1]]
    assert text[end - 1 : end + 2] == b"} ,"
    broken = text.replace(b"\n", b"\n,", 1)
    assert reader.take(broken, 1) == ([plain(texts[0], case={"CaseID": 1})], 1 + len(texts[0]))


def test_what_is_counted() -> None:
    some = [
        media(IsPrecategorized=True, MediaFiles=[1, None, ""]),
        media(IsPrecategorized=" TRUE", Miniature="abcd"),
        media(IsPrecategorized=False, MediaFiles=[], Exifs=[{"a": 1}]),
        media(IsPrecategorized="no", MediaFiles={"a": 1}),
        media(IsPrecategorized=1, MediaFiles=[[1, 2]], Miniature="/9j/"),
    ]
    text = json.dumps(some).encode()
    for case in (None, {"CaseID": 5}):
        reader, other = reader_of(case), reader_of(case)
        entries, _ = reader.take(text, 1)
        assert other.entries(Batch(some, 1, b"", (0,) * 5)) == entries
        counts = (reader.pictures, reader.files, reader.precategorized)
        assert counts == (other.pictures, other.files, other.precategorized)
        assert counts == ((2, 0, (0, 0)) if case is None else (2, 4, (2, 3)))


def test_limits() -> None:
    text = json.dumps(media(Comments=[{"a": "x" * 100}]))
    assert taken(text, limits=Limits(max_string=len(text))) is not None
    assert taken(text, limits=Limits(max_string=len(text) - 1)) is None
    assert taken(text, limits=Limits(max_line_bytes=len(text) - 1)) is None
    row = f"{text}, {text},{text}".encode()
    assert len(reader_of(limits=Limits(max_string=len(text))).take(row, 0)[0]) == 3
    assert taken(text, limits=Limits(max_json_depth=3)) is not None
    assert taken(text, limits=Limits(max_json_depth=2)) is None
    assert taken(PLAIN, limits=Limits(max_json_depth=0)) is None
    assert taken(PLAIN, limits=Limits(max_string=1 << 70, max_json_depth=1 << 70, max_line_bytes=1 << 70)) is not None


@pytest.mark.parametrize("name", ["A", "Cas", "Case", "Case2", "Z"])
def test_where_the_case_stands(name: str) -> None:
    reader = MediaReader("vics-1.3", Limits(), {"CaseID": 7})
    text = json.dumps(media(**{name: None if name == "Case" else "x", "B": 1, "D": 2}))
    reader.learn(Batch((json.loads(text),), 1, b"", (0,)))
    assert reader.take(text.encode(), 0)[0] == [reader.entry(json.loads(text))]


def test_escapes_that_nobody_needs() -> None:
    text = PLAIN[:-1] + r', "Comments": "\u0022 \u005C \u0041 \u007f \u00e9 \u20aC \/", "A": ["\u0022\u005c"]}'
    found = taken(text)
    assert found == plain(text)
    assert found is not None
    assert found.fields["Comments"] == '" \\ A \x7f é € /'


def test_names_that_are_not_known_and_too_many() -> None:
    reader = MediaReader("vics-1.3", Limits())
    assert reader.take(PLAIN.encode(), 0) == ([], 0)
    reader.learn(Batch(({},), 1, b"", (0,)))
    assert reader.take(PLAIN.encode(), 0) == ([], 0)
    reader.learn(Batch(({"MediaID": 1, "MD5": 1, "\ud800": 1},), 1, b"", (0,)))
    assert reader.take(PLAIN.encode(), 0)[0] == [plain(PLAIN)._replace(category=None)]
    reader.learn(Batch(({f"a{n}": 1 for n in range(100)},), 1, b"", (0,)))
    known = [n for n in range(100) if reader.take(json.dumps(media(**{f"a{n}": 1})).encode(), 0)[0]]
    assert known == list(range(62))


def test_a_case_without_a_name_is_left_to_python() -> None:
    assert taken(PLAIN, case={"X": 1}) is None


def test_without_the_extension_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, "numpy")
    assert taken(PLAIN) is None


@given(
    st.one_of(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(-62_135_596_800_000, 253_402_300_799_999)),
    st.sampled_from(["", "+0000", "-0000", "+2359", "-2359", "+0130", "-0961", "+2400", "+000", "+00000"]),
)
def test_dates(milliseconds: int, offset: str) -> None:
    text = json.dumps(
        media(DateUpdated=f"/Date({milliseconds}{offset})/", Comments=[{"Created": f"/Date({milliseconds})/"}])
    )
    found, expected = taken(text), plain(text)
    assert found in (None, expected)
    written = expected.fields["DateUpdated"], expected.fields["Comments"][0]["Created"]
    assert (found is None) == any("/Date(" in date for date in written)


@pytest.mark.parametrize(
    "day",
    [
        "0001-01-01", "1899-12-31", "1900-02-28", "1900-03-01", "1904-02-29", "1970-01-01", "1999-12-31", "2000-02-29",
        "2000-03-01", "2000-12-31", "2001-01-01", "2023-12-31", "2024-12-31", "2100-02-28", "2100-03-01", "9999-12-31",
    ],
)  # fmt: skip
def test_days(day: str) -> None:
    milliseconds = (datetime.fromisoformat(day) - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    text = json.dumps(media(DateUpdated=f"/Date({milliseconds})/"))
    found = taken(text)
    assert found == plain(text)
    assert found is not None
    assert found.fields["DateUpdated"] == f"{day}T00:00:00.000Z"


@given(st.text(), st.text(max_size=3), st.booleans())
def test_text(text: str, key: str, ascii_only: bool) -> None:
    whole = json.dumps(media(Comments=text, A={key: text, "k": [text]}), ensure_ascii=ascii_only)
    try:
        found = taken(whole)
    except UnicodeEncodeError:
        return
    if found is not None:
        assert found == plain(whole)
    elif not ascii_only:
        # Keys with escapes, and control characters, are all that is left.
        assert any(c in '"\\' for c in key) or not (text + key).isprintable() or not key.isascii()


@given(st.binary(max_size=200), st.integers(0, 200))
def test_anything(data: bytes, start: int) -> None:
    reader = reader_of()
    start = min(start, len(data))
    entries, end = reader.take(data, start)
    assert (entries, end) == ([], start) or b'"MD5"' in data


def test_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    native = kernels.native_rows()
    assert native is not None
    reader = reader_of()
    plan = reader._text._plan  # type: ignore[union-attr]
    assert plan is not None
    text = PLAIN.encode()
    assert len(native.media_entries(text, 0, plan)[0]) == 1
    for start in (-1, len(text) + 1):
        with pytest.raises(ValueError, match="outside"):
            native.media_entries(text, start, plan)
    with pytest.raises(TypeError):
        native.media_entries(bytearray(text), 0, plan)
    with pytest.raises(TypeError):
        native.media_entries(text, 0, list(plan))
    with pytest.raises(TypeError):
        native.media_entries(text, 0, plan[:-1])
    quoted = plan[3]
    wrong: list[tuple[int, Any]] = [
        (0, int), (0, 5), (2, ("a",)), (3, ()), (3, (*quoted[:-1], b"x")), (3, (*quoted[:-1], "text")),
        (3, (b'"a":',) * 65), (4, plan[4][:-1]), (4, b"\xff" * len(quoted)), (4, bytes([17]) * len(quoted)), (5, ()),
        (6, plan[6][:-1]), (6, bytes([4]) * len(plan[6])), (7, (b"", b"", b"")),
        (9, (b"", b"")), (9, (bytes(16), bytes(19))), (13, -1),
    ]  # fmt: skip
    for place, value in wrong:
        with pytest.raises((ValueError, TypeError)):
            native.media_entries(text, 0, (*plan[:place], value, *plan[place + 1 :]))
            pytest.fail(f"{place}: {value!r:.50} was taken")

    class Broken(dict[Any, Any]):
        def __missing__(self, key: Any) -> Any:
            raise RecordError("not a KeyError")

    with pytest.raises(RecordError):
        native.media_entries(json.dumps(media(Category=1)).encode(), 0, (plan[0], Broken(), *plan[2:]))
