"""The layer under the XML formats: what it yields, what it refuses, and how little it keeps."""

from __future__ import annotations

import tracemalloc

import pytest

from hashmatch.errors import RecordError
from hashmatch.lists.formats import source, xml_stream
from hashmatch.lists.formats.source import Head, Input, Limits
from hashmatch.lists.formats.xml_stream import CLOSED, OPENED, RECORD, STRAY, XmlStream, plain, root_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.xml"


def events(path, data: bytes | str, *, records=("r",), limits=None, **options) -> list[xml_stream.Event]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    with Input(path, limits=limits) as opened:
        found = list(XmlStream(opened, records, namespaces=options.pop("namespaces", ()), **options))
        assert opened.sha256
        return found


def refused(path, data: bytes | str, **options) -> RecordError:
    with pytest.raises(RecordError) as caught:
        events(path, data, **options)
    assert caught.value.path == str(path)
    assert caught.value.line is not None
    return caught.value


def test_records_and_what_stands_around_them(path):
    found = events(path, '<a>\n<b x="1">\n<r y="2"><c>t</c>\n<d/>\n</r></b>\n<r>u</r></a>')
    assert [event[:3] for event in found] == [
        (OPENED, 1, ""), (OPENED, 2, "a"), (RECORD, 3, "b"), (CLOSED, 5, "a"), (RECORD, 6, "a"), (CLOSED, 6, ""),
    ]  # fmt: skip
    assert found[1].element == ("b", {"x": "1"}, "", [])
    assert found[2].element == ("r", {"y": "2"}, "", [("c", {}, "t", []), ("d", {}, "", [])])
    assert found[4].element == ("r", {}, "u", [])
    assert not any(event.problem for event in found)


@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_blocks_of_any_size(path, block, monkeypatch):
    data = "<a>\n\n<r>" + "é😀 &amp; <![CDATA[<x>]]><!-- - -->\n" * 30 + "</r>\n<r><b>&#233;</b></r></a>"
    expected = events(path, data)
    assert expected[1].element[2] == "é😀 & <x>\n" * 30
    monkeypatch.setattr(source, "_BLOCK", block)
    assert events(path, data) == expected
    assert events(path, data, repair=True) == expected


@pytest.mark.parametrize("block", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: text.replace("UTF-8", "utf-16").encode("utf-16"),
        lambda text: text.replace("UTF-8", "UTF-16").encode(),
    ],
    ids=["bom", "utf-16-le", "utf-16-be", "declared", "declared and not so"],
)
def test_encodings(path, change, block, monkeypatch):
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<a><r>é😀</r></a>'
    expected = events(path, text)
    monkeypatch.setattr(source, "_BLOCK", block)
    assert events(path, change(text)) == expected


@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_blank_lines_before_the_declaration(path, block, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", block)
    found = events(path, b"\xef\xbb\xbf\n \r\n\t" + b'<?xml version="1.0"?>\n<a>\n<r/></a>')
    assert [event.line for event in found] == [4, 5, 5]
    assert refused(path, "\n\n<?xml version='1.0'?><a>\n<b").line == 4
    assert refused(path, "\n\n<?xml version='1.0'?><a>\n</b>").line == 4


class TestNamespaces:
    DATA = '<a xmlns="u:1" xmlns:o="u:2" o:x="3"><r><o:b o:y="4"/></r><o:r/></a>'

    def test_of_the_format(self, path):
        opened, record, *rest = events(path, self.DATA, namespaces=("u:1",))
        assert opened.element == ("a", {"{u:2}x": "3"}, "", [])
        assert record.element == ("r", {}, "", [("{u:2}b", {"{u:2}y": "4"}, "", [])])
        assert [event.kind for event in rest] == [OPENED, CLOSED, CLOSED]
        assert rest[0].element[0] == "{u:2}r"

    def test_of_the_root(self, path):
        assert events(path, self.DATA, namespaces=None) == events(path, self.DATA, namespaces=("u:1",))

    def test_prefix(self, path):
        assert events(path, '<n:a xmlns:n="u:1"><n:r/></n:a>', namespaces=("u:1",))[1].kind == RECORD

    def test_another(self, path):
        assert events(path, self.DATA, namespaces=("u:3",))[0].element[0] == "{u:1}a"

    def test_none(self, path):
        assert events(path, "<a><r/></a>", namespaces=("u:1",))[1].kind == RECORD


DTD = "<!DOCTYPE a [{}]><a><r>{}</r></a>"


@pytest.mark.parametrize(
    "data",
    [
        "<!DOCTYPE a><a/>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        DTD.format('<!ENTITY e "x">', "&e;"),
        DTD.format('<!ENTITY e SYSTEM "file:///etc/passwd">', "&e;"),
        DTD.format('<!ENTITY % p SYSTEM "http://host.invalid/p"> %p;', ""),
        DTD.format('<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">', "&c;"),
        DTD.format(f'<!ENTITY e "{"x" * 100_000}">', "&e;" * 10_000),
        DTD.format('<!ATTLIST a x CDATA "1">', ""),
        '<?xml version="1.0"?><!-- c -->\n<!DOCTYPE a PUBLIC "-//p" "http://host.invalid/d"><a/>',
    ],
)
def test_document_types(path, data):
    assert "document type" in refused(path, data).reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("<a><r>&e;</r></a>", "undefined entity"),
        ("<a>", r"end of the file in <a>; .* cut off"),
        ("<a><r><b>t", r"end of the file in <b>; .* cut off"),
        ("<?xml version='1.0'?>", r"end of the file before the first element"),
        ("<a></b>", r"mismatched tag, column 6"),
        ("<a/><a/>", "junk after document element"),
        ("<a/>x", "junk after document element"),
        ('<a x="1" x="2"/>', "duplicate attribute"),
        ("<a>\x01</a>", "not well-formed"),
        ("<a>\0</a>", "not well-formed"),
        ("<a>&#0;</a>", "reference to invalid character"),
        ("<a><o:r/></a>", "unbound prefix"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a/>", r"found the encoding 'ISO-8859-1'; expected UTF-8 or UTF"),
        (b"<a><r>\n\xe9</r></a>", r"found the byte 0xe9, which is not UTF-8 here"),
        (b"<a><r>\xc3", r"cut off|0xc3"),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 16])
def test_damage(path, data, reason, block, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", block)
    refused(path, data)
    with pytest.raises(RecordError, match=reason):
        events(path, data)


@pytest.mark.parametrize("block", [1, 3, 1 << 16])
def test_what_came_before_the_damage_is_yielded(path, block, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", block)
    for damage in (b"</b>", b"\xe9", b"", b"<r"):
        path.write_bytes("<a><r>é</r>\n<r/>".encode() + damage)
        seen = []
        with Input(path) as opened, pytest.raises(RecordError) as caught:
            for event in XmlStream(opened, ("r",), namespaces=()):
                seen.append(event.kind)
        assert seen == [OPENED, RECORD, RECORD]
        assert caught.value.line == 2


def test_truncation_at_every_byte(path):
    data = '<?xml version="1.0"?>\n<a><r x="1">é<!-- c --></r><r><![CDATA[t]]></r></a>'.encode()
    for length in range(1, len(data)):
        refused(path, data[:length])
    events(path, data)


class TestMixed:
    def test_in_a_record(self, path):
        found = events(path, "<a><r>x<b/></r>\n<r><b/>x</r><r><b><c/>x</b><d/></r><r><b/></r></a>")
        records = [event for event in found if event.kind == RECORD]
        assert [bool(event.problem) for event in records] == [True, True, True, False]
        assert records[0].problem == "found text between the elements of <r>; expected elements only"
        assert records[0].element == ("r", {}, "", [])
        assert records[1].line == 2

    def test_outside(self, path):
        found = events(path, "<a>x<r/><b>fine</b>\n<b><c/>y</b>z</a>")
        strays = [(event.line, event.element[0]) for event in found if event.kind == STRAY]
        assert strays == [(1, "a"), (2, "b"), (2, "a")]
        assert all(event.problem for event in found if event.kind == STRAY)

    @pytest.mark.parametrize("block", [1, 1 << 16])
    def test_long(self, path, block, monkeypatch):
        monkeypatch.setattr(source, "_BLOCK", block)
        found = events(path, f"<a>{' ' * 99}x{' ' * 99}<r/>{' ' * 999}</a>")
        assert [event.kind for event in found] == [OPENED, STRAY, RECORD, CLOSED]


class TestPassedOver:
    @pytest.mark.parametrize("block", [1, 1 << 16])
    def test_elements(self, path, block, monkeypatch):
        monkeypatch.setattr(source, "_BLOCK", block)
        found = events(path, '<a><r> <p x="1">t<h>1</h>u</p> <b>2</b><p/> </r><r/></a>', passed_over=("p",))
        assert found[1].element == ("r", {}, "", [("b", {}, "2", [])])
        assert found[2].element == ("r", {}, "", [])
        assert not any(event.problem for event in found)

    def test_the_record_s_size_counts_without(self, path, monkeypatch):
        monkeypatch.setattr(source, "_BLOCK", 50)
        runs = "<p>" + '<run at="1"><h>2</h></run>' * 1000 + "</p>"
        found = events(path, f"<a><r>{runs}<b>1</b></r></a>", passed_over=("p",), limits=Limits(max_line_bytes=200))
        assert found[1].element == ("r", {}, "", [("b", {}, "1", [])])
        assert events(path, f"<a><r>{runs}</r></a>", limits=Limits(max_line_bytes=200))[1].problem

    def test_depth_counts(self, path):
        deep = "<p>" + "<d>" * xml_stream.MAX_DEPTH
        assert "nested" in refused(path, f"<a><r>{deep}", passed_over=("p",)).reason


class TestLimits:
    def test_depth(self, path):
        levels = xml_stream.MAX_DEPTH
        events(path, "<a>" * levels + "</a>" * levels)
        assert "nested more than 32 levels" in refused(path, "<a>" * (levels + 1)).reason
        inner = levels - 1
        assert not events(path, "<a><r>" + "<b>" * inner + "</b>" * inner + "</r></a>")[1].problem
        assert "nested more than 32 levels" in refused(path, "<a><r>" + "<b>" * (inner + 1)).reason

    @pytest.mark.parametrize("record", ["<b/>", "x", "<b>x</b>", '<b c="dddddd"/>', " "])
    def test_record(self, path, record):
        size = xml_stream.MAX_RECORD_BYTES + 300_000
        huge = record * (size // len(record))
        found = events(path, f"<a><r>{huge}</r>\n<r>1</r></a>")
        assert [event.kind for event in found] == [OPENED, RECORD, RECORD, CLOSED]
        assert found[1].problem == "found a record of more than 2,097,152 bytes; expected less"
        assert found[1].element == ("r", {}, "", [])
        assert found[2][1:] == (2, "a", ("r", {}, "1", []), "")

    @pytest.mark.parametrize("start", ['<a x="', "<a><r x='", "<!--", "<a><r><!--", "<a><?p ", "<a", "<a><r/></r"])
    def test_tag(self, path, start):
        filler = " " if start.endswith(("a", "/r")) else "x"
        assert "a tag or comment of more than 262,144 bytes" in refused(path, start + filler * 400_000).reason

    def test_long_texts_are_no_tags(self, path):
        text = "x" * 1_000_000
        assert events(path, f"<a><r>{text}</r></a>")[1].element[2] == text
        assert events(path, f"<a><b>{text * 3}</b><r/></a>")[3].kind == RECORD
        assert events(path, f"<a><r><![CDATA[{text}]]></r></a>")[1].element[2] == text

    @pytest.mark.parametrize("place", ["", "<r>", "<r><p>"])
    def test_names(self, path, place):
        names = "".join(f"<n{n}/>" for n in range(xml_stream.MAX_NAMES))
        assert "different names of elements" in refused(path, f"<a>{place}{names}", passed_over=("p",)).reason
        names = "".join(f'<n a{n}="1"/>' for n in range(xml_stream.MAX_NAMES + 1))
        prefixes = "".join(f'<n xmlns:p{n}="u"/>' for n in range(xml_stream.MAX_NAMES + 1))
        assert "prefixes of namespaces" in refused(path, f"<a>{place}{prefixes}", passed_over=("p",)).reason
        assert "different names of attributes" in refused(path, f"<a>{place}{names}", passed_over=("p",)).reason


@pytest.mark.parametrize(
    "piece",
    ["<r><b>xxxxxxxxxxxxxxxx</b></r>\n", "<j><k>xxxxxxxxxxxxxxxxx</k></j>\n", "xxxxxxxxx ", '<j x="1"/>', "<!-- c -->"],
    ids=["records", "junk", "text", "attributes", "comments"],
)
def test_memory(path, piece, monkeypatch):
    """Records and junk go as they come: what a file takes does not grow with it."""
    monkeypatch.setattr(source, "_BLOCK", 4096)
    path.write_text("<a>" + piece * (500_000 // len(piece)) + "</a>", encoding="utf-8")
    tracemalloc.start()
    try:
        with Input(path) as opened:
            for _ in XmlStream(opened, ("r",), namespaces=()):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 700_000


class TestRepair:
    @pytest.mark.parametrize("block", [1, 3, 1 << 16])
    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b"a\xffb", "a\\xffb"),
            (b"\x01\x1f\x7f", "\\x01\\x1f\x7f"),
            ("é".encode()[:1], "\\xc3"),
            ("é\ufffe\uffff".encode(), "é\\xef\\xbf\\xbe\\xef\\xbf\\xbf"),
            (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
            (b"tab\tline\n", "tab\tline\n"),
        ],
    )
    def test_texts(self, path, data, text, block, monkeypatch):
        monkeypatch.setattr(source, "_BLOCK", block)
        whole = b"<a><r>" + data + b"</r></a>"
        assert events(path, whole, repair=True)[1].element[2] == text
        if text.startswith("\\") or "\\x" in text:
            refused(path, whole)

    def test_nul_is_damage(self, path):
        assert "not well-formed" in refused(path, b"<a><r>x\0\0y</r></a>", repair=True).reason

    @pytest.mark.parametrize("data", [b"<a\x01/>", b'<a x\xff="1"/>', b"<a>&\x01;</a>", b"<a/>\xff"])
    def test_markup_is_not(self, path, data):
        refused(path, data, repair=True)


@pytest.mark.parametrize(
    ("data", "root"),
    [
        (b"<a/>", ("", "a")),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<a xmlns="u:1" b="2">', ("u:1", "a")),
        (b"<n:a xmlns='u:0' xmlns:n = 'u:1'>", ("u:1", "a")),
        ('\ufeff<a xmlns="u:1">'.encode("utf-16-le"), ("u:1", "a")),
        (b"\xef\xbb\xbf\n <dfxml \n  xmlns='u:1'\n>", ("u:1", "dfxml")),
        (b'<!DOCTYPE a SYSTEM "x"><a>', ("", "a")),
        (b"x<a>", ("", "")),
        (b"<", ("", "")),
        (b"<?xml", ("", "")),
        (b"", ("", "")),
        (b"\xff\xfe<", ("", "")),
    ],
)
def test_root(data, root):
    assert root_of(Head("x", data, complete=True)) == root


class TestPlain:
    def of(self, path, text, max_string=100):
        return plain(events(path, f"<a>{text}</a>")[1].element, max_string)

    def test_forms(self, path):
        assert self.of(path, "<r> t </r>") == "t"
        assert self.of(path, "<r/>") == ""
        assert self.of(path, '<r x="1">t</r>') == {"@x": "1", "#text": "t"}
        assert self.of(path, "<r><b>1</b><c/><b>2</b><b>3</b></r>") == {"b": ["1", "2", "3"], "c": ""}

    @pytest.mark.parametrize("text", ["<r>{}</r>", '<r x="{}"/>', "<r><b><c>{}</c></b></r>"])
    @pytest.mark.parametrize("value", ["x" * 101, "a&#13;b"])
    def test_what_metadata_may_not_hold(self, path, text, value):
        with pytest.raises(RecordError):
            self.of(path, text.format(value))
