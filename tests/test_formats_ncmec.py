"""NCMEC hash sharing: what its service answers with, as it is documented and as it may go wrong."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import re
from pathlib import Path

import pytest

from hashmatch.errors import FormatUnknownError, RecordError
from hashmatch.lists.entry import Entry, Opinion, Retraction, opinions_of
from hashmatch.lists.formats import Limits, open_entries, source
from hashmatch.lists.formats.ncmec import CLASSIFICATIONS, NAMESPACE
from hashmatch.lists.store import HashList

_SHAKE = hashlib.shake_256(b"ncmec").digest(400)
MD5, SHA1, PDQ, PHOTODNA = (_SHAKE[a:b] for a, b in ((0, 16), (16, 36), (36, 68), (68, 212)))
PRINTS = f"<md5>{MD5.hex()}</md5><sha1>{SHA1.hex()}</sha1><pdna>{PHOTODNA.hex()}</pdna><pdq>{PDQ.hex()}</pdq>"


def entry(
    number="image1",
    *,
    kind="image",
    member='<member id="42">Example Member</member>',
    when="<timestamp>2017-10-24T15:00:00Z</timestamp>",
    code="<classification>A1</classification>",
    prints=PRINTS,
    more="",
) -> str:
    fingerprints = f"<fingerprints>\n{prints}</fingerprints>"
    return f"<{kind}>\n{member}{when}<id>{number}</id>{code}{fingerprints}{more}</{kind}>\n"


def tombstone(number="image4", kind="deletedImage", member='<member id="43">Other</member>') -> str:
    return f"<{kind}>{member}<id>{number}</id><timestamp>2017-10-24T15:10:00Z</timestamp></{kind}>\n"


def result(images="", videos="", more="", *, counts: tuple[object, object] | None = None, xmlns=NAMESPACE) -> str:
    one, two = (f' count="{n}" maxTimestamp="2017-10-24T15:10:00Z"' for n in counts) if counts else ("", "")
    space = f' xmlns="{xmlns}"' if xmlns else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<queryResult{space}>\n'
        f"<images{one}>\n{images}</images>\n<videos{two}>\n{videos}</videos>\n{more}</queryResult>\n"
    )


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "result.xml"


def read(path: Path, text: str | bytes, from_format: str | None = None):
    """(records, notes) of a result."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with open_entries(path, from_format) as reading:
        assert reading.format.name == "ncmec"
        return list(reading), reading.input.notes


def one(path: Path, text: str):
    (found,), notes = read(path, text)
    assert not notes
    return found


def problem(path: Path, text: str) -> RecordError:
    found = one(path, text)
    assert isinstance(found, RecordError)
    assert found.path == str(path)
    assert found.record == 1
    return found


# ---------------------------------------------------------------------- what is read


def test_documented_example(path):
    """The example of the service's documentation, with hashes of the right length and the feedback of another page."""
    feedback = """
        <feedback lastUpdateTimestamp="2023-06-01T12:48:14Z">
            <affirmativeFeedback type="Md5" lastUpdateTimestamp="2023-06-01T12:48:14Z">
                <members timestamp="2023-06-01T12:48:14Z"><member id="42">Example Member</member></members>
            </affirmativeFeedback>
            <negativeFeedback type="Sha1" lastUpdateTimestamp="2023-05-31T19:41:51Z">
                <reasons>
                    <reason guid="01234567-abcd-0123-4567-012345678900" name="Example Reason 1" type="Sha1"/>
                    <members timestamp="2023-06-01T12:48:14Z"><member id="42">Example Member</member></members>
                </reasons>
            </negativeFeedback>
        </feedback>"""
    videos = entry("video1", kind="video", code="", prints=f"<md5>{MD5.hex()}</md5>")
    videos += tombstone("video4", "deletedVideo", '<member id="42">Example Member</member>')
    text = result(entry(more=feedback) + tombstone(), videos, counts=(2, 2))
    (image, gone, video, gone_video), notes = read(path, text)
    assert notes == []
    assert image.ref == "image1"
    assert image.origin == "member 42"
    assert image.category == ("ncmec", "A1")
    assert image.media_type == "image"
    assert image.size is None
    assert image.hashes == {"md5": MD5, "sha1": SHA1, "pdq": PDQ, "photodna": PHOTODNA}
    assert image.quality == {}
    assert opinions_of(image.opinions) == (
        Opinion("md5", "NCMEC member 42", True),
        Opinion("sha1", "NCMEC member 42", False, "Example Reason 1"),
    )
    assert image.fields["member_name"] == "Example Member"
    assert image.fields["timestamp"] == "2017-10-24T15:00:00Z"
    reasons = image.fields["feedback"]["negativeFeedback"]["reasons"]
    assert reasons["reason"]["@guid"] == "01234567-abcd-0123-4567-012345678900"
    assert gone == Retraction("image4", "tombstone of 2017-10-24T15:10:00Z", "member 43")
    assert video == Entry.make(
        "video1",
        {"md5": MD5},
        media_type="video",
        metadata={"member_name": "Example Member", "timestamp": "2017-10-24T15:00:00Z"},
        origin="member 42",
    )
    assert gone_video.ref == "video4"


@pytest.mark.parametrize("block", [64, 1 << 16])
@pytest.mark.parametrize("name", ["Example Member", "", 'Quo"te \\ é 😀'])
@pytest.mark.parametrize("when", ["2017-10-24T15:00:00Z", "", "last week", 'a"b'])
@pytest.mark.parametrize(
    "hashes",
    [("md5",), ("pdq",), ("pdq", "md5"), ("photodna", "pdq", "sha1", "md5"), ("sha512", "sha256", "photodna")],
)
def test_the_quick_way_is_what_make_makes(path, name, when, hashes, block, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", block)
    values = {"md5": MD5, "sha1": SHA1, "pdq": PDQ, "photodna": PHOTODNA, "sha256": PDQ[::-1], "sha512": PDQ + PDQ}
    tags = {"photodna": "pdna"}
    prints = "".join(f"<{tags.get(key, key)}>{values[key].hex()}</{tags.get(key, key)}>" for key in hashes)
    escaped = name.replace('"', "&quot;")
    member = f'<member id="7">{escaped}</member>'
    found = one(path, result(entry(member=member, when=f"<timestamp>{when}</timestamp>", prints=prints)))
    metadata = {key: value for key, value in (("member_name", name), ("timestamp", when)) if value}
    assert found == Entry.make(
        "image1",
        {key: values[key] for key in hashes},
        category=("ncmec", "A1"),
        media_type="image",
        metadata=metadata,
        origin="member 7",
    )


@pytest.mark.parametrize(
    "text",
    [
        PHOTODNA.hex().upper(),
        base64.b64encode(PHOTODNA).decode(),
        ",".join(map(str, PHOTODNA)),
        f"\n   {PHOTODNA.hex()}\n  ",
        f"<!-- x -->{PHOTODNA.hex()}",
        f"<![CDATA[{PHOTODNA.hex()}]]>",
    ],
    ids=["upper", "base64", "decimals", "white space", "comment", "cdata"],
)
def test_forms_of_photodna(path, text):
    assert one(path, result(entry(prints=f"<pdna>{text}</pdna>"))).hashes == {"photodna": PHOTODNA}


@pytest.mark.parametrize("xmlns", [NAMESPACE, ""])
def test_namespaces(path, xmlns):
    assert one(path, result(entry(), xmlns=xmlns)).ref == "image1"


def test_prefixed(path):
    text = result(entry(), xmlns="")
    text = re.sub(r"<(/?)(\w)", r"<\1n:\2", text).replace("<n:queryResult", f'<n:queryResult xmlns:n="{NAMESPACE}"')
    assert one(path, text).hashes["md5"] == MD5


@pytest.mark.parametrize("code", CLASSIFICATIONS)
def test_classifications(path, code):
    assert one(path, result(entry(code=f"<classification> {code.lower()} </classification>"))).category == (
        "ncmec",
        code,
    )
    assert one(path, result(entry(code=""))).category is None
    assert one(path, result(entry(code="<classification/>"))).category is None


def test_fingerprints_that_are_not_ours(path):
    prints = (
        f"<md5>{MD5.hex()}</md5><netclean>abc=</netclean><pdq/>"
        '<tmk-pdqf rel="self" href="/v2/x/TMK_PDQF"/><videntifier rel="self" href="/v2/x"></videntifier>'
    )
    found = one(path, result(entry(prints=prints)))
    assert found.hashes == {"md5": MD5}
    assert found.fields["large_fingerprints"] == ["tmk-pdqf", "videntifier"]
    assert found.fields["other_fingerprints"] == {"netclean": "abc="}
    assert "/v2/x" not in found.metadata
    alone = one(path, result(entry(prints='<videntifier rel="self" href="/v2/x"/>')))
    assert alone.hashes == {}  # the import counts it as one without a hash


def test_digests_of_the_empty_file(path):
    prints = f"<md5>d41d8cd98f00b204e9800998ecf8427e</md5><pdq>{PDQ.hex()}</pdq>"
    found = one(path, result(entry(prints=prints)))
    assert (found.hashes, found.dropped) == ({"pdq": PDQ}, 1)


def test_what_nobody_has_told_us_of_is_kept(path):
    more = '<categorizations><categorization guid="1" name="Viral"/><categorization guid="2"/></categorizations><new/>'
    found = one(path, result(entry(more=more).replace("<image>", '<image access="all">')))
    assert found.fields["categorizations"] == {"categorization": [{"@guid": "1", "@name": "Viral"}, {"@guid": "2"}]}
    assert found.fields["new"] == ""
    assert found.fields["@access"] == "all"
    assert found.fields["member_name"] == "Example Member"
    assert found.fields["timestamp"] == "2017-10-24T15:00:00Z"


# ---------------------------------------------------------------------- feedback


def opinions(path, feedback: str) -> tuple[Opinion, ...]:
    return opinions_of(one(path, result(entry(more=f"<feedback>{feedback}</feedback>"))).opinions)


def members(*numbers: object) -> str:
    return "<members>" + "".join(f'<member id="{number}">M</member>' for number in numbers) + "</members>"


def dispute(inner: str, kind="MD5") -> str:
    return f'<negativeFeedback type="{kind}">{inner}</negativeFeedback>'


def affirm(inner: str, kind="MD5") -> str:
    return f'<affirmativeFeedback type="{kind}">{inner}</affirmativeFeedback>'


def test_no_feedback(path):
    found = one(path, result(entry(more="<feedback/>")))
    assert found.opinions == ""
    assert "feedback" not in found.fields


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("Md5", "md5"), ("SHA1", "sha1"), ("PDNA", "photodna"), ("Pdna", "photodna"), ("PDQ", "pdq")],
)
def test_fingerprint_of_feedback(path, kind, algorithm):
    assert opinions(path, affirm(members(1), kind)) == (Opinion(algorithm, "NCMEC member 1", True),)


def test_reasons(path):
    first, second, third = ('<reason guid="g" name="R1"/>', '<reason name="R2"/>', '<reason guid="g3"/>')
    inner = f"<reasons>{first}{members(1, 2)}{second}{third}{members(2, 3)}</reasons>"
    assert opinions(path, dispute(inner)) == (
        Opinion("md5", "NCMEC member 1", False, "R1"),
        Opinion("md5", "NCMEC member 2", False, "R1; R2; g3"),
        Opinion("md5", "NCMEC member 3", False, "R2; g3"),
    )
    inner = f"<reasons>{first}{members(1)}</reasons><reasons>{second}{members(2)}</reasons>"
    assert [opinion.reason for opinion in opinions(path, dispute(inner))] == ["R1", "R2"]
    inner = f'<reasons><reason name="R1">{members(1)}</reason><reason name="R2">{members(2)}</reason></reasons>'
    assert [opinion.reason for opinion in opinions(path, dispute(inner))] == ["R1", "R2"]
    assert opinions(path, dispute(members(5))) == (Opinion("md5", "NCMEC member 5", False),)
    assert opinions(path, dispute(f"<reasons>{first}</reasons>")) == ()


def test_a_dispute_stands_above_the_same_member_s_approval(path):
    no = dispute(f'<reasons><reason name="R"/>{members(1)}</reasons>')
    for feedback in (affirm(members(1)) + no, no + affirm(members(1))):
        assert opinions(path, feedback) == (Opinion("md5", "NCMEC member 1", False, "R"),)


def test_feedback_about_what_is_not_ours_is_only_metadata(path):
    for feedback in (affirm(members(1), "TMK_PDQF"), f"<mixedFeedback>{members(1)}</mixedFeedback>"):
        found = one(path, result(entry(more=f"<feedback>{feedback}</feedback>")))
        assert found.opinions == ""
        assert "member" in str(found.fields["feedback"])


@pytest.mark.parametrize(
    ("feedback", "reason"),
    [
        (affirm("<members><member>M</member></members>"), "found no id"),
        (f"<affirmativeFeedback>{members(1)}</affirmativeFeedback>", "feedback without a type"),
    ],
)
def test_malformed_feedback(path, feedback, reason):
    error = problem(path, result(entry(more=f"<feedback>{feedback}</feedback>")))
    assert error.reason.startswith(reason) or reason in error.reason
    assert error.field == "affirmativeFeedback"


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        (entry(code="<classification>C1</classification>"), "classification", "found 'C1'; expected one of A1, A2, B1"),
        (entry(number=""), "id", "found nothing"),
        (entry(number=" "), "id", "found nothing"),
        (entry(number="<x>1</x>"), "id", "found elements in it"),
        (entry(number="a\tb\nc"), "id", "control character U+000A"),
        (entry(member=""), "member", "found no id"),
        (entry(member="<member>M</member>"), "member", "found no id"),
        (entry(member='<member id=" "/>'), "member", "found no id"),
        (entry(member='<member id="a&#10;b"/>'), "member", "control character"),
        (entry(member='<member id="1">a\nb</member>'), "member", "control character"),
        (entry(when="<timestamp>a\nb</timestamp>"), "timestamp", "control character"),
        (entry(prints=""), "fingerprints", "without any hash"),
        (entry(prints="<md5/>"), "fingerprints", "without any hash"),
        (entry().replace("fingerprints>", "prints>"), "fingerprints", "without any hash"),
        (entry(prints="<md5>0</md5>"), "md5", "found 1 digits"),
        (entry(prints=f"<md5>{SHA1.hex()}</md5>"), "md5", "found 40 digits"),
        (entry(prints=f"<sha1>{MD5.hex()}</sha1>"), "sha1", "found 32 digits"),
        (entry(prints=f"<md5>g{MD5.hex()[1:]}</md5>"), "md5", "the character 'g' at position 1"),
        (entry(prints=f"<md5>é{MD5.hex()[1:]}</md5>"), "md5", "the character 'é' at position 1"),
        (entry(prints="<pdna>a1a1a1...</pdna>"), "pdna", "the character '.'"),
        (entry(prints=f"<pdna>{PDQ.hex()}</pdna>"), "pdna", "found 64 digits"),
        (entry(prints=f"<md5>{MD5.hex()}</md5><MD5>{PDQ.hex()[:32]}</MD5>"), "MD5", "two different ones"),
        (entry(prints=f"<md5><x>{MD5.hex()}</x></md5>"), "md5", "found elements in it"),
        (entry(more="<id>2</id>"), "id", "found it twice"),
        (entry(more="<fingerprints/>"), "fingerprints", "found it twice"),
        (entry(more="<member id='1'/>"), "member", "found it twice"),
        (entry(more="text"), None, "text between the elements of <image>"),
        (entry(prints="text" + PRINTS), None, "text between the elements"),
        (tombstone(""), "id", "found nothing"),
        (tombstone(member=""), "member", "found no id"),
        (tombstone().replace("<id>", "<id>1</id><id>"), "id", "found it twice"),
        ("<audio><id>1</id></audio>", "images", "found 'audio'; expected image, video, deletedImage, deletedVideo"),
        ("stray", None, "text between the elements of <images>"),
        ("<image/>", "id|member", "found no"),
    ],
)
def test_malformed_records(path, text, field, reason):
    text = text if text != "stray" else "stray<!-- -->"
    records, _ = read(path, result(text + entry("fine"), counts=None))
    (error,) = [record for record in records if isinstance(record, RecordError)]
    assert reason in error.reason
    assert (error.field is None) if field is None else re.fullmatch(field, error.field)
    assert error.line in (3, 4)
    assert [record.ref for record in records if isinstance(record, Entry)] == ["fine"]
    assert [record.record for record in records if isinstance(record, RecordError)] == [records.index(error) + 1]


@pytest.mark.parametrize(
    "text",
    [
        entry(number="x" * 301),
        entry(member=f'<member id="1">{"x" * 301}</member>'),
        entry(when=f"<timestamp>{'x' * 301}</timestamp>"),
        entry(prints=f"{PRINTS}<netclean>{'x' * 301}</netclean>"),
        entry(more=f"<new>{'x' * 301}</new>"),
        entry(more=f'<new x="{"x" * 301}"/>'),
    ],
)
def test_huge_strings(path, text):
    path.write_text(result(text), encoding="utf-8")
    with open_entries(path, limits=Limits(max_string=300)) as reading:
        (error,) = reading
    assert isinstance(error, RecordError)
    assert error.reason == "found 301 characters; expected at most 300"


def test_equal_fingerprints_twice_are_one(path):
    md5 = f"<md5>{MD5.hex()}</md5><md5>{MD5.hex().upper()}</md5>"
    assert one(path, result(entry(prints=md5))).hashes == {"md5": MD5}


def test_truncation_at_every_byte(path):
    """A cut file never reads as whole. What was read before the cut is what the whole file holds."""
    data = result(entry(more="<feedback/>") + tombstone(), counts=(2, 0)).encode()
    whole, _ = read(path, data)
    end = data.rindex(b"</queryResult>") + len(b"</queryResult>")
    for length in range(1, end):
        path.write_bytes(data[:length])
        seen = []
        with pytest.raises(RecordError) as caught, open_entries(path, "ncmec") as reading:
            for record in reading:
                seen.append(record)
        assert seen == whole[: len(seen)]
        assert caught.value.line is not None
    for length in range(end, len(data) + 1):
        assert read(path, data[:length])[0] == whole


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<other/>", "found the root element 'other'; expected queryResult of the namespace"),
        ("<image/>", "found the root element 'image'; expected queryResult"),
        (
            '<queryResult xmlns="urn:x"/>',
            "found queryResult of another namespace; expected queryResult of the namespace",
        ),
        ('<a xmlns="urn:x"/>', "found the root element 'a' of another namespace; expected queryResult"),
        ("<queryResult>", "cut off"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><queryResult/>', "document type"),
        ("not XML", "damaged XML"),
        ("<queryResult><images>" + "<a>" * 99, "nested more than"),
        ("<queryResult><images><image>" + "<a>" * 99, "nested more than"),
    ],
)
def test_not_a_result(path, text, reason):
    path.write_text(text, encoding="utf-8")
    with open_entries(path, "ncmec") as reading, pytest.raises(RecordError, match=reason):
        list(reading)


def test_another_version_says_so(path):
    path.write_text(result(entry(), xmlns=NAMESPACE.replace("v2", "v3")), encoding="utf-8")
    with (
        open_entries(path) as reading,
        pytest.raises(RecordError, match=r"found queryResult of 'v3'; expected queryResult of .*/v2"),
    ):
        list(reading)


@pytest.mark.parametrize(
    "text", ["<queryResult/>", '<queryResult xmlns="urn:x"><images/></queryResult>', "<a><images/></a>"]
)
def test_other_xml_is_not_claimed(path, text):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatUnknownError):
        open_entries(path)


def test_entity_bomb(path):
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE queryResult [<!ENTITY e0 "lol">{levels}]>'
    path.write_text(result(entry("&e9;")).replace("<queryResult", f"{bomb}<queryResult", 1), encoding="utf-8")
    with open_entries(path) as reading, pytest.raises(RecordError, match="document type"):
        list(reading)


# ---------------------------------------------------------------------- notes


def test_counts_that_lie(path):
    images = entry("1") + tombstone() + "<audio/>" + entry("2", prints="")
    assert read(path, result(images, counts=(4, 0)))[1] == []
    assert read(path, result(images, counts=(5, 1)))[1] == [
        "images holds 4 entries where its count says '5'",
        "videos holds 0 entries where its count says '1'",
    ]
    assert read(path, result(images, counts=("many", 0)))[1] == ["images holds 4 entries where its count says 'many'"]


def test_a_page_of_several(path):
    paging = "<paging>\n<next>/v2/entries?from=2017&amp;start=2001</next>\n</paging>"
    assert read(path, result(entry(), more=paging))[1] == [
        "the service has more than this file holds: it is one page of several (paging, next)"
    ]
    assert read(path, result(entry(), more="<paging><next> </next></paging><paging/>"))[1] == []


def test_elements_that_are_not_known(path):
    records, notes = read(path, result(entry(), more="<audios><audio/></audios><texts/>"))
    assert len(records) == 1
    assert notes == ["queryResult has elements that hashmatch does not know and passes over, first 'audios'"]


def test_hostile_files_cannot_fill_the_notes(path):
    containers = "".join(f'<images count="9">{"<deletedImage/>" * n}</images>' for n in range(30))
    assert len(read(path, result(more=containers))[1]) == 1


# ---------------------------------------------------------------------- imports


def imported(path: Path, tmp_path: Path, *texts: str, **options):
    summaries = []
    with HashList.open(tmp_path / "known.hml", create=True) as known:
        for text in texts:
            path.write_text(text, encoding="utf-8")
            summaries.append(known.import_file(path, "NCMEC", **options))
        return summaries, [(found.source, found.entry) for found in known.entries()]


def test_an_id_is_its_member_s_own(path, tmp_path):
    twins = entry(member='<member id="1"/>') + entry(member='<member id="2"/>')
    _, entries = imported(path, tmp_path, result(twins))
    assert sorted((source, found.ref) for source, found in entries) == [
        ("NCMEC member 1", "image1"),
        ("NCMEC member 2", "image1"),
    ]


def test_sent_again(path, tmp_path):
    """In another file it replaces the former; in the same one the second is an error, which may be skipped."""
    newer = entry(code="<classification>B2</classification>", when="<timestamp>2020-01-01T00:00:00Z</timestamp>")
    _, entries = imported(path, tmp_path, result(entry()), result(newer))
    assert [found.category for _, found in entries] == [("ncmec", "B2")]
    path.write_text(result(entry() + newer), encoding="utf-8")
    with HashList.open(tmp_path / "other.hml", create=True) as known:
        with pytest.raises(RecordError, match="'image1'"):
            known.import_file(path, "NCMEC")
        assert known.import_file(path, "NCMEC", skip_invalid=True).invalid == 1
        assert [found.entry.category for found in known.entries()] == [("ncmec", "A1")]


def test_tombstones_withdraw(path, tmp_path):
    both = entry() + entry("image2")
    gone = result(tombstone("image1", member='<member id="42"/>'))
    _, entries = imported(path, tmp_path, result(both), gone)
    assert [found.ref for _, found in entries] == ["image2"]


# ---------------------------------------------------------------------- generated files


def _generator():
    file = Path(__file__).parents[1] / "benchmarks" / "generate_ncmec.py"
    spec = importlib.util.spec_from_file_location("generate_ncmec", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generated(count: int, **options) -> bytes:
    out = io.BytesIO()
    _generator().write(out, count, 1, **options)
    return out.getvalue()


def test_generated(path):
    records, notes = read(path, generated(300))
    assert notes == []
    assert len(records) == 300
    assert sum(isinstance(record, Retraction) for record in records) == 6
    entries = [record for record in records if isinstance(record, Entry)]
    assert len(entries) == 294
    assert sum(bool(found.opinions) for found in entries) == 30
    assert {name for found in entries for name in found.hashes} == {"md5", "sha1", "photodna", "pdq"}


def test_generated_dirt(path):
    data = generated(300, dirt=True, following=True)
    assert data == generated(300, dirt=True, following=True)
    records, notes = read(path, data)
    assert len(notes) == 3
    assert [record.field for record in records if isinstance(record, RecordError)] == [
        "fingerprints", "classification", "md5",
    ] * 2  # fmt: skip
    twice = [record.ref for record in records if isinstance(record, Entry)].count("image9")
    assert twice == 2
