"""Messages go into reports and logs, and hashes must not: whatever is wrong with a record, none of its hashes shows."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from hashmatch.errors import HashMatchError, RecordError
from hashmatch.lists.formats import FORMATS, open_entries
from hashmatch.lists.formats.cells import shown

_SHAKE = hashlib.shake_256(b"messages").digest
MD5, SHA1, SHA256, SHA512, PDQ = (
    _SHAKE(n)[-size:].hex() for n, size in ((16, 16), (40, 20), (90, 32), (200, 64), (240, 32))
)
PHOTODNA, LACE = _SHAKE(400)[-144:], _SHAKE(600)[-129:]
LACE_TEXT = base64.b64encode(LACE).decode()
DECIMALS = ", ".join(map(str, PHOTODNA))

_ICSE = (
    "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline\n"
)

_RDS2 = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"\n'
_HASHKEEPER = (
    '"file_id","hashset_id","file_name","directory","hash","file_size","date_modified","time_modified","time_zone",'
    '"comments","date_accessed","time_accessed"\n'
)

#: (format, what stands before the record, the record).
RECORDS = [
    ("icse", _ICSE, f"{MD5};{SHA1};{MD5};{PHOTODNA.hex()};{LACE_TEXT};7;Y;N;N;;;A;3;True;Image;Yes"),
    ("hashdeep", "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n", f"12,{MD5},{SHA256},/a"),
    ("hashdeep", "", f"%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n12,{MD5},{SHA256},/a"),
    ("nsrl2", _RDS2, f'"{SHA1}","{MD5}","ABCD1234","a, ""b""",5,7,"358",""'),
    ("nsrl2", _RDS2, f'"{SHA1}","{MD5}","ABCD1234","a "b" c",5,7,"358",""'),
    ("nsrl2", "", f'{_RDS2}"{SHA1}","{MD5}","ABCD1234","{MD5}",5,7,"358",""'),
    ("hashkeeper", _HASHKEEPER, f'1,5,"a.txt","C:\\","{MD5}",34832,7/11/95 0:00:00,12/30/99,"PST",,,'),
    ("tsk-index", f"{'0' * 41}|md5sum\n", f"{MD5}|{5:016d}"),
    ("tsk-index", f"{'0' * 41}|nsrl\n", f"{SHA1}|{5:016d}"),
    ("tsk-index", "", f"{'0' * 41}|nsrl\n{SHA1}|{5:016d}"),
    ("pdq", "", f"{PDQ},100,n"),
    ("pdq", "", PDQ),
    ("md5sum", "", f"{MD5}  x"),
    ("md5sum", "", MD5),
    ("sha1sum", "", f"SHA1 (x) = {SHA1}"),
    ("sha256sum", "", f"\\{SHA256} *x\\n"),
    ("sha512sum", "", f"{SHA512} x"),
    ("jsonl", "", json.dumps({"id": 1, "md5": MD5, "size": 5, "hashes": {"pdq": PDQ}, "quality": 50})),
    ("jsonl", "", json.dumps({"hashes": {"photodna": list(PHOTODNA)}})),
    ("jsonl", "", json.dumps({"photodna": DECIMALS})),
    ("csv", "id,md5,size\n", f"1,{MD5},5"),
    ("csv", "", f"md5,media_type\n{MD5},image\n{MD5},"),
    ("csv", "size;pdq;photodna\n", f'5;"{PDQ}";{base64.b64encode(PHOTODNA).decode()}'),
    ("csv", "id,photodna\n", f'1,"{DECIMALS}"'),
    ("csv", "id,md5,list_metadata\n", f'1,{MD5},"{{""md5"":""{MD5}""}}"'),
]  # fmt: skip

_CHANGED = ["g", "0", "e", '"', ",", ";", "\n", "\r", " ", "\\", "\x01", "é", "-", "{", "["]


def quoted(message: str) -> str | None:
    """A piece of a hash of the records that ``message`` shows, if there is one."""
    texts = [MD5, SHA1, SHA256, SHA512, PDQ, PHOTODNA.hex()]
    for run in re.findall("[0-9a-fA-F]{8,}", message):
        if any(run[at : at + 8].lower() in text for text in texts for at in range(len(run) - 7)):
            return str(run)
    for encoded in (base64.b64encode(PHOTODNA).decode(), base64.b64encode(LACE).decode()):
        for at in range(len(encoded) - 11):
            if encoded[at : at + 12] in message:
                return encoded[at : at + 12]
    runs = [", ".join(map(str, PHOTODNA[at : at + 4])) for at in range(len(PHOTODNA) - 3)]
    return next((run for run in runs if run in message), None)


@pytest.mark.parametrize(("name", "before", "record"), RECORDS, ids=[f"{n}-{r[0]}" for n, r in enumerate(RECORDS)])
def test_no_message_shows_a_hash(tmp_path, name, before, record):
    path = tmp_path / "list"
    step = 1 if len(record) < 400 else 7
    damaged = [record[:length] for length in range(len(record))]
    damaged += [record[:at] + c + record[at + 1 :] for at in range(0, len(record), step) for c in _CHANGED]
    seen = 0
    for text in damaged:
        path.write_bytes((before + text + "\n" + record + "\n").encode())
        try:
            with open_entries(path, name) as reading:
                problems: list[HashMatchError] = [found for found in reading if isinstance(found, RecordError)]
        except HashMatchError as error:
            problems = [error]
        for problem in problems:
            message = str(problem).replace(str(path), "")
            assert quoted(message) is None, (text, message)
        seen += len(problems)
    assert seen > 10


_NCMEC = f"""<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2"><images count="1"><image>
<member id="1">M</member><timestamp>2020</timestamp><id>7</id><classification>A1</classification><fingerprints>
<md5>{MD5}</md5><sha1>{SHA1}</sha1><pdna>{base64.b64encode(PHOTODNA).decode()}</pdna></fingerprints><feedback>
<negativeFeedback type="Md5"><reasons><reason name="R"/><members><member id="2">N</member></members></reasons>
</negativeFeedback></feedback></image></images></queryResult>"""
_DFXML = f"""<dfxml><volume><fileobject><filename>n</filename><filesize>1</filesize><mtime prec="2">2020</mtime>
<hashdigest type="MD5">{MD5}</hashdigest><hashdigest type="sha256" coding="base64">{
    base64.b64encode(bytes.fromhex(SHA256)).decode()
}</hashdigest></fileobject></volume></dfxml>"""
#: (format, a document whose parts do not stand in lines).
DOCUMENTS = [("ncmec", _NCMEC), ("dfxml", _DFXML)]


@pytest.mark.parametrize(("name", "text"), DOCUMENTS, ids=[name for name, _ in DOCUMENTS])
def test_no_message_about_a_document_shows_a_hash(tmp_path, name, text):
    """Documents that are cut or changed in one place, and documents with a hash where none belongs."""
    path = tmp_path / "list"
    damaged = [text[:length] for length in range(1, len(text), 7)]
    damaged += [text[:at] + c + text[at + 1 :] for at in range(0, len(text), 3) for c in '<>&/g0é\x01" ']
    # Each name and each value, but for the hashes themselves, in its turn.
    words = [found.span() for found in re.finditer(r"\b[\w-]{1,24}\b", text)]
    damaged += [text[:start] + MD5 + text[end:] for start, end in words]
    damaged += [text[:start] + "a" + MD5 + text[end:] for start, end in words]
    tags = set(re.findall(r"<(\w+)", text))
    damaged += [re.sub(rf"(</?){tag}\b", rf"\g<1>a{MD5}", text) for tag in tags]
    damaged += [re.sub(rf"</{tag}\b", rf"stray {MD5}</{tag}", text) for tag in tags]
    seen = 0
    for changed in damaged:
        path.write_text(changed, encoding="utf-8")
        try:
            with open_entries(path, name) as reading:
                problems: list[HashMatchError] = [found for found in reading if isinstance(found, RecordError)]
        except HashMatchError as error:
            problems = [error]
        for problem in problems:
            message = str(problem).replace(str(path), "")
            assert quoted(message) is None, (changed, message)
        seen += len(problems)
    assert seen > 500


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("record", [record for *_, record in RECORDS], ids=range(len(RECORDS)))
def test_no_message_of_another_format_shows_a_hash(tmp_path, name, record):
    path = tmp_path / "list"
    path.write_text(f"{record}\n{record}\n", encoding="utf-8")
    try:
        with open_entries(path, name) as reading:
            problems: list[HashMatchError] = [found for found in reading if isinstance(found, RecordError)]
    except HashMatchError as error:
        problems = [error]
    for problem in problems:
        message = str(problem).replace(str(path), "")
        assert quoted(message) is None, message


@pytest.mark.parametrize(
    "text",
    [
        MD5 * 300 + "e9999",  # a number that is out of range
        json.dumps({"md5": MD5, MD5: "\x01"}),
        json.dumps({"md5": MD5, MD5: "\ud800"}),
        f'{{"{MD5}":1,"{MD5}":2}}',
        json.dumps({"md5": [MD5]}),
        json.dumps({"md5": MD5, "id": [MD5]}),
        json.dumps({"md5": MD5, "size": MD5, "media_type": "x"}),
        json.dumps({"md5": MD5, "media_type": MD5}),
        json.dumps({"md5": MD5, "quality": MD5}),
        json.dumps({"md5": MD5, "id": MD5 + "\x01"}),
        json.dumps([MD5]),
        json.dumps(MD5),
    ],
)
def test_hashes_where_none_belong(tmp_path, text):
    path = tmp_path / "list"
    path.write_text(text.replace(MD5 * 300, re.sub("[a-f]", "1", MD5)), encoding="utf-8")
    with open_entries(path, "jsonl") as reading:
        (problem,) = reading
    assert isinstance(problem, RecordError)
    assert quoted(str(problem).replace(str(path), "")) is None
    assert not re.search(r"\d{8}", str(problem).replace(str(path), ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x", "'x'"), ("audio/mp4", "'audio/mp4'"), ("x" * 41, "41 characters"), (MD5[:8], "8 characters"), ("", "''"),
     ("1, 2, 3, 4, 5", "13 characters"), ("A" * 24, "24 characters")],
)  # fmt: skip
def test_shown(text, expected):
    assert shown(text) == expected
