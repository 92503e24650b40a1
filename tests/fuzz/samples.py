"""Inputs to begin with, for the reader of each format: small good files, with the dirt that real ones carry.

Their hashes are the same in every run, so that a message that shows a piece of one is known by it. SQLite databases and
Parquet files are written as recipes (see databases.py and columns.py), and as themselves.
"""

# ruff: noqa: E501 - tables

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import struct
from pathlib import Path

from hashmatch.algorithms import EMPTY_DIGESTS

__all__ = ["BASE64_TEXTS", "HASHES", "SAMPLES", "TEXT_FORMATS", "TOKENS", "WORDS"]

VECTORS = Path(__file__).parents[2] / "testvectors" / "lists"
_SHAKE = hashlib.shake_256(b"messages").digest
HASHES = {
    name: _SHAKE(end)[-size:]
    for name, end, size in (
        ("md5", 16, 16), ("sha1", 40, 20), ("sha256", 90, 32), ("sha512", 200, 64), ("pdq", 240, 32),
        ("photodna", 400, 144), ("lace", 600, 129), ("zz40", 640, 16),
    )
}  # fmt: skip
MD5, SHA1, SHA256, SHA512, PDQ = (HASHES[name].hex() for name in ("md5", "sha1", "sha256", "sha512", "pdq"))
PHOTODNA = base64.b64encode(HASHES["photodna"]).decode()
LACE = base64.b64encode(HASHES["lace"]).decode()
BASE64_TEXTS = (PHOTODNA, LACE)
DECIMALS = ", ".join(map(str, HASHES["photodna"]))
OTHER = hashlib.shake_256(b"other").digest(200)
EMPTY = {name: value.hex() for name, value in EMPTY_DIGESTS.items()}


def _lines(*lines: str, end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


# ---------------------------------------------------------------------- text in lines

_ICSE = (
    "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline"
)
_ICSE_ROWS = (
    f"{MD5};{SHA1};{MD5};{HASHES['photodna'].hex()};{LACE};7;Y;N;N;;;A;3;True;Image;Yes",
    f'{OTHER[:16].hex().upper()};;;{PHOTODNA};;8;;;;"a; ""b""";é;;;;Video;No',
    f'{EMPTY["md5"]};{SHA1};;;;9;N;Y;Y;"two\nlines";x;B;0;False;Other;',
)
_RDS2 = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"'
_RDS2_ROWS = (
    f'"{SHA1}","{MD5}","ABCD1234","a.txt",5,7,"358",""',
    f'"{SHA1.upper()}","{OTHER[:16].hex()}","00000000","a ""b"", c",0,7,"WIN","M"',
    f'"{EMPTY["sha1"]}","{EMPTY["md5"]}","00000000","a "b" é",0,77,"358","S"',
)
_HASHKEEPER = (
    '"file_id","hashset_id","file_name","directory","hash","file_size","date_modified","time_modified","time_zone",'
    '"comments","date_accessed","time_accessed"'
)
_HASHKEEPER_ROWS = (
    f'1,5,"a.txt","C:\\","{MD5}",34832,7/11/95 0:00:00,12/30/99 9:50:00,"PST",,,',
    f'"2","5","","","{OTHER[:16].hex()}","","","","","","",""',
    f'3,5,"e ""q"", é",,{EMPTY["md5"]},0,,,,"com, ment",1/1/00,2/2/00',
)
_HASHDEEP = (
    "%%%% HASHDEEP-1.0", "%%%% size,md5,sha256,filename", "## Invoked from: /x", "## $ hashdeep -r .", "##",
    f"12,{MD5},{SHA256},/a/b, c.jpg", f"0,{EMPTY['md5']},{EMPTY['sha256']},/empty", f"5,{OTHER[:16].hex()},{SHA256},/é",
)  # fmt: skip


def _sums(name: str) -> list[bytes]:
    digest, empty = HASHES[name].hex(), EMPTY[name]
    other = OTHER[: len(digest) // 2].hex()
    tag = name.upper()
    return [
        _lines(f"{digest}  a b.jpg", f"{other} *é", f"\\{digest}  a\\nb\\\\c", f"{empty}  e", "", f"{other}\t*x"),
        _lines(f"{tag} (a (b).jpg) = {digest}", f"\\{tag} (x\\n) = {other}", f"{tag} (e) = {empty}"),
        _lines(digest, other.upper(), empty, digest),
        _lines("; comment", "# comment", digest, end="\r\n"),
    ]


_JSONL = (
    json.dumps({"id": 1, "md5": MD5, "size": 5, "hashes": {"pdq": PDQ}, "quality": 50, "category": "1", "more": {"a": [1.5, None, True, "é"]}}),
    json.dumps({"hashes": {"photodna": list(HASHES["photodna"])}, "media_type": "image", "category_scheme": "s"}),
    json.dumps({"photodna": DECIMALS, "ref": "x\ny", "lace": LACE, "list_source": "S"}),
    json.dumps({"md5": EMPTY["md5"], "size": 0, "big": 12345678901234567890123, "tiny": 1e-300, "name": "\u2028"}),
    '{"pdq_quality":100,"pdq":"' + PDQ + '","list_opinions":[["md5","O",true,"r"],["","P",false,""]],"name":"\\ud83d\\ude00"}',
)  # fmt: skip
_CSV = (
    (
        "id,md5,size,pdq,pdq_quality,category,category_scheme,media_type,note,list_source",
        f'1,{MD5},5,{PDQ},100,1,s,image,"a ""b"", c",S', f"2,{EMPTY['md5']},0,,,,,VIDEO,é,", f'"3\n4",,,{PDQ},,x,,,,',
    ),
    ("size;pdq;photodna", f'5;"{PDQ}";{PHOTODNA}', f";;{HASHES['photodna'].hex()}", f'0;;"{DECIMALS}"'),
    ("id\tmd5\tlist_metadata\tlist_opinions", f'1\t{MD5}\t"{{""a"":[1,null]}}"\t"[[""md5"",""O"",true,""r""]]"'),
)  # fmt: skip
_PDQ = _lines(f"{PDQ},100,n", PDQ, f"{PDQ.upper()},0", f"{OTHER[:32].hex()},50,a, b é", "", f"  {PDQ} , 7 ,x")
_TSK = (
    _lines(f"{'0' * 41}|nsrl", f"{'0' * 40}1|NSRLFile.txt", *(f"{sha1}|{n:016d}" for n, sha1 in enumerate(sorted([SHA1.upper(), OTHER[:20].hex().upper()])))),
    _lines(f"{'0' * 41}|md5sum", f"{'0' * 40}1|a.txt", f"{MD5}|{5:016d}", f"{'f' * 32}|{77:016d}"),
    _lines("0" * 32 + "|hk", f"{MD5}|{5:016d}", end="\r\n"),
)  # fmt: skip

# ---------------------------------------------------------------------- documents

_US = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#"
_MEDIA = {
    "MediaID": 4711, "Category": 1, "MD5": MD5.upper(), "SHA1": SHA1, "PhotoDNA": PHOTODNA, "MediaSize": 1234,
    "MimeType": "image/jpeg", "DateUpdated": "2024-07-01T21:33:47.4680Z", "Comments": "", "Series": None, "Tags": "a, b",
    "VictimIdentified": False, "IsDistributed": "true", "OffenderIdentified": 0,
    "Exifs": [{"PropertyName": "Make", "PropertyValue": "é"}],
    "MediaFiles": [{"FileName": "a.jpg", "FilePath": "/x", "Created": "/Date(1404250427468)/", "MD5": MD5}],
    "AlternativeHashes": [{"HashName": "SHA256", "HashValue": SHA256}, {"HashName": "PDQ", "HashValue": PDQ}],
}  # fmt: skip
_SMALL = {"MediaID": "x9", "Category": "2", "MD5": OTHER[:16].hex(), "MediaSize": 0, "Miniature": "AAAA"}
_EMPTY_MEDIA = {
    "MediaID": 5,
    "MD5": EMPTY["md5"],
    "SHA1": OTHER[:20].hex(),
    "Odd": {"deep": [[1, 2.5e10], {"x": None}]},
}


def _vics(context: str, *media: object, **more: object) -> bytes:
    return json.dumps({"@odata.context": context, "@odata.count": len(media), "value": media, **more}).encode()


_CASE = {
    "CaseID": "c1",
    "CaseNumber": "7",
    "TotalMediaFiles": 2,
    "Media": [_SMALL, _MEDIA],
    "SourceApplicationName": "x",
}
_VICS = (
    _vics(_US + "Media", _MEDIA, _SMALL, _EMPTY_MEDIA),
    _vics(_US + "Cases", _CASE, {"CaseNumber": 8, "Media": [_EMPTY_MEDIA], "Contact": {"Name": "n"}}),
    json.dumps({"odata.metadata": _US.replace("2.0", "1.3") + "Media", "value": [_SMALL], "odata.nextLink": "y"}, indent=1).encode(),
    _vics("DataModels/1.2.xml/UK/$metadata#Media", *({**_SMALL, "MediaID": n} for n in range(5))),
)  # fmt: skip

_FEEDBACK = """<feedback lastUpdateTimestamp="2023-06-01T12:48:14Z"><affirmativeFeedback type="Md5"
 lastUpdateTimestamp="2023"><members timestamp="2023"><member id="42">Example</member></members></affirmativeFeedback>
<negativeFeedback type="Sha1"><reasons><reason guid="01" name="R" type="Sha1"/><members><member id="2">N</member>
</members></reasons></negativeFeedback></feedback>"""
_NCMEC = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2"><images count="2" maxTimestamp="2017"><image>
<member id="1">M &amp; é</member><timestamp>2020-01-01T00:00:00Z</timestamp><id>7</id><classification>A1</classification>
<fingerprints><md5>{MD5}</md5><sha1>{SHA1}</sha1><pdna>{PHOTODNA}</pdna><pdq>{PDQ}</pdq></fingerprints>{_FEEDBACK}
</image><deletedImage><member id="43">O</member><id>8</id><timestamp>2017</timestamp></deletedImage></images>
<videos count="1"><video><member id="1">M</member><timestamp>2020</timestamp><id>9</id><fingerprints><md5>{EMPTY["md5"]}
</md5><sha1>{OTHER[:20].hex()}</sha1><tmkHashLink>u</tmkHashLink></fingerprints></video></videos>
<paging><next>/v2/x?y=1&amp;z=2</next></paging></queryResult>"""
_DFXML = f"""<?xml version='1.0' encoding='UTF-8'?>
<!DOCTYPE x><dfxml xmlns='http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML' xmloutputversion='1.0'>
<metadata xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:type>Hash List</dc:type></metadata><creator><program>h</program>
</creator><volume offset='0'><fileobject><filename>a/b &#233; &lt;</filename><filesize> 12 </filesize><alloc>1</alloc>
<mtime prec="2">2020-01-01T00:00:00Z</mtime><byte_runs><byte_run offset='0' len='12'/></byte_runs>
<hashdigest type='MD5'>{MD5}</hashdigest><hashdigest type='SHA-256' coding='base64'>{
    base64.b64encode(HASHES["sha256"]).decode()
}</hashdigest><hashdigest type="TIGER">0123abc</hashdigest></fileobject><fileobject><filename><![CDATA[c]]></filename>
<filesize>0</filesize><hashdigest type='sha1'>{EMPTY["sha1"]}</hashdigest><!-- x --></fileobject></volume>
<rusage><utime>1</utime></rusage></dfxml>"""

# ---------------------------------------------------------------------- binary


def encase(count: int = 3, name: str = "Set é", category: str = "Known", version: int = 2) -> bytes:
    """An EnCase hash set."""
    header = b"HASH\r\n\xff\0" + struct.pack("<3I", version, 1, count).ljust(1024, b"\0")
    header += name.encode("utf-16-le").ljust(80, b"\0") + category.encode("utf-16-le").ljust(40, b"\0")
    digests = [HASHES["md5"], OTHER[:16], bytes.fromhex(EMPTY["md5"])]
    return header + b"".join(digest + b"\0\0" for digest in digests)


_HEX = "0x" + SHA256, "x'" + MD5 + "'"
_NSRL_ROWS = "".join(
    f"INSERT INTO FILE VALUES ('{sha256}','{sha1}','{md5}','{crc}',{name},{size},{package});\n"
    for sha256, sha1, md5, crc, name, size, package in (
        (SHA256.upper(), SHA1.upper(), MD5.upper(), "ABCD1234", "'a.txt'", 5, 7),
        (OTHER[:32].hex(), SHA1, OTHER[:16].hex(), "00000000", "'say \"hi\"é'", 0, 1400),
        (EMPTY["sha256"], EMPTY["sha1"], EMPTY["md5"], "", "x'61ff'", 0, 8),
    )
)
_NSRL_COLUMNS = "sha256, sha1, md5, crc32, file_name, file_size, package_id"
_NSRL = (
    "PRAGMA page_size=512;\nCREATE TABLE FILE (sha256 VARCHAR NOT NULL, sha1 VARCHAR NOT NULL, md5 VARCHAR NOT NULL,"
    " crc32 VARCHAR NOT NULL, file_name VARCHAR NOT NULL, file_size INTEGER NOT NULL, package_id INTEGER NOT NULL, "
    f"CONSTRAINT PK PRIMARY KEY ({_NSRL_COLUMNS}));\nCREATE TABLE VERSION (version VARCHAR UNIQUE NOT NULL, build_set "
    "VARCHAR, build_date TIMESTAMP, release_date TIMESTAMP, description VARCHAR NOT NULL);\nINSERT INTO VERSION VALUES "
    f"('2026.03.1', 'set', '2026-03-01', '2026-03-01', 'RDS');\n{_NSRL_ROWS}",
    f"CREATE TABLE FILE ({_NSRL_COLUMNS});\nCREATE INDEX i ON FILE ({_NSRL_COLUMNS});\n{_NSRL_ROWS}"
    f"INSERT INTO FILE VALUES (x'{SHA256}', NULL, x'{MD5}', 5, NULL, '7', 1.5);\nINSERT INTO FILE SELECT * FROM FILE;\n",
    "PRAGMA encoding='UTF-16le';\nCREATE TABLE METADATA (object_id INTEGER PRIMARY KEY, key_hash, sha256, sha1, md5, "
    f"crc32, file_name, extension, bytes, mtime);\nINSERT INTO METADATA VALUES (1,'k','{SHA256}','{SHA1}','{MD5}','A',"
    "'f.x','x',5,'2020');\nCREATE TABLE PACKAGE_OBJECT (package_id, object_id);\nINSERT INTO PACKAGE_OBJECT VALUES (3,1);\n"
    "CREATE VIEW FILE AS SELECT UPPER(md.sha256) AS sha256, UPPER(md.sha1) AS sha1, UPPER(md.md5) AS md5, md.crc32 AS "
    "crc32, CASE md.extension WHEN '' THEN md.file_name ELSE md.file_name||'.'||md.extension END AS file_name, md.bytes AS"
    " file_size, p.package_id AS package_id FROM METADATA AS md, PACKAGE_OBJECT AS p WHERE md.object_id = p.object_id;\n",
    f"CREATE TABLE METADATA (object_id, {_NSRL_COLUMNS.replace('file_size', 'bytes')});\nINSERT INTO METADATA VALUES "
    f"(1,'{SHA256}','{SHA1}','{MD5}','A','n',5,6);\nCREATE TABLE OS (a INTEGER PRIMARY KEY, b TEXT) WITHOUT ROWID;\n",
)  # fmt: skip
_KDB = (
    "PRAGMA page_size=512;\nCREATE TABLE db_properties (name TEXT NOT NULL, value TEXT);\nINSERT INTO db_properties "
    "(name, value) VALUES ('Schema Version', '1');\nCREATE TABLE hashes (id INTEGER PRIMARY KEY AUTOINCREMENT, md5 "
    "BINARY(16) UNIQUE, sha1 BINARY(20), sha2_256 BINARY(32));\nCREATE TABLE file_names (name TEXT NOT NULL, hash_id "
    "INTEGER NOT NULL, PRIMARY KEY(name, hash_id));\nCREATE TABLE comments (comment TEXT NOT NULL, hash_id INTEGER NOT "
    "NULL, PRIMARY KEY(comment, hash_id));\nCREATE INDEX md5_index ON hashes(md5);\nINSERT INTO hashes VALUES (7, "
    f"x'{MD5}', x'{SHA1}', x'{SHA256}');\nINSERT INTO hashes VALUES (9, x'{EMPTY['md5']}', NULL, NULL);\n"
    "INSERT INTO file_names VALUES ('b', 7);\nINSERT INTO file_names VALUES ('é', 7);\n"
    "INSERT INTO comments VALUES ('why', 9);\n",
    "CREATE TABLE file_names (name, hash_id);\nCREATE TABLE hashes (id, md5, sha1, sha2_256);\nINSERT INTO hashes VALUES "
    f"(1, '{MD5}', NULL, '');\nINSERT INTO hashes VALUES ('x', x'{MD5}', 5, 1.5);\nINSERT INTO hashes VALUES (NULL, "
    f"NULL, x'{SHA1}', NULL);\nINSERT INTO file_names VALUES (x'ff00', 1);\nINSERT INTO file_names VALUES (5, 1);\n",
)  # fmt: skip


def _with_encodings(samples: list[bytes]) -> list[bytes]:
    """Text as it is, and its first sample with other line ends, BOM and encodings."""
    text = samples[0].decode()
    crlf = text.replace("\n", "\r\n")
    return [
        *samples,
        crlf.encode(),
        codecs.BOM_UTF8 + text.encode(),
        codecs.BOM_UTF16_LE + crlf.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        text.encode()[:-1],
    ]


def _vectors(*names: str) -> list[bytes]:
    """Test vectors, good and bad, whose names begin with one of ``names`` or end with it as suffix."""
    found = [
        path.read_bytes()
        for folder in ("valid", "invalid")
        for path in sorted((VECTORS / folder).iterdir())
        if path.name.startswith(names) or path.suffix[1:] in names
    ]
    return [content for content in found if 0 < len(content) < 1 << 14]


_TEXT: dict[str, list[bytes]] = {
    "icse": [_lines(_ICSE, *_ICSE_ROWS), *_vectors("icse")],
    "vics": [*_VICS],
    "ncmec": [_NCMEC.encode()],
    "dfxml": [_DFXML.encode(), _DFXML.replace("<?xml version='1.0' encoding='UTF-8'?>\n<!DOCTYPE x>", "").encode()],
    "hashdeep": [_lines(*_HASHDEEP), *_vectors("hashdeep")],
    "nsrl2": [_lines(_RDS2, *_RDS2_ROWS)],
    "hashkeeper": [_lines(_HASHKEEPER, *_HASHKEEPER_ROWS)],
    "tsk-index": [*_TSK],
    "pdq": [_PDQ, *_vectors("pdq")],
    **{f"{name}sum": [*_sums(name), *_vectors(f"{name}sum")] for name in ("md5", "sha1", "sha256", "sha512")},
    "jsonl": [_lines(*_JSONL), *_vectors("jsonl")],
    "csv": [*(_lines(*rows) for rows in _CSV), *_vectors("csv", "tsv")],
}
TEXT_FORMATS = tuple(_TEXT)

#: Format -> inputs of its target.
SAMPLES: dict[str, list[bytes]] = {
    **{name: _with_encodings(samples) for name, samples in _TEXT.items()},
    "encase": [encase(), encase(0, "", ""), encase(2), encase()[:-3], encase()[:1140]],
    "nsrl3": [b"SQL" + script.encode() for script in _NSRL],
    "kdb": [b"SQL" + script.encode() for script in _KDB],
}

#: Pieces that mean something in any text.
WORDS = (
    b"\n", b"\r\n", b"\r", b",", b'"', b'""', b"\t", b";", b"|", b"\\n", b"\\", b"\xff", b"\0", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\xfe\xff", b"-1", b"9" * 30, b"9223372036854775808", b"18446744073709551616", b"\xed\xa0\x80", b"\xe2\x80\xa8",
    b"\xc2\x85", b"\x1b[2J", b"a" * 32, b"F" * 40, b"0" * 64, b"=" * 4, b"\xc3\xa9", b"\xf0\x9f\x98\x80",
    b"\xc2\xa0", b"\x7f", b"1e400", MD5.encode(), SHA1.encode(), EMPTY["md5"].encode(), EMPTY["sha1"].encode(),
)  # fmt: skip
_JSON_WORDS = (
    b"[" * 40, b"{" * 40, b'{"', b'":', b"null", b"true", b"NaN", b"Infinity", b"1E400", b"1e-400", b"-0", b"0.1e1", b"\\ud800",
    b"\\u0000", b'"\\ud83d\\ude00"', b"[]", b"{}", b'""', b"1.0", b"12345678901234567890123", b"[[[]]]", b'{"a":{"a":1}}',
    DECIMALS.encode(), PHOTODNA.encode(), LACE.encode(),
)  # fmt: skip
_XML_WORDS = (
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"&lt;", b"&#0;", b"&#x110000;", b"&#233;", b"<![CDATA[", b"]]>", b"<!--", b"-->",
    b"<?x y?>", b"/>", b"xmlns='y'", b"xmlns:p='z'", b"<p:x/>", b" id='1'", b"<x>" * 40, PHOTODNA.encode(), b"coding='base64'",
    b"<member id='1'>M</member>", b"type='PhotoDNA'", b"encoding='UTF-16'", b"encoding='latin-1'",
)  # fmt: skip
_SQL_WORDS = (
    b"NULL", b"x'ff00'", b"'1'", b"1.5", b"-1", b"9223372036854775807", b"randomblob(9)", b"zeroblob(3000)", b"WITHOUT ROWID",
    b"STRICT", b"GENERATED ALWAYS AS (1)", b"COLLATE NOCASE", b"VIRTUAL", b"USING fts5(x)", b"ORDER BY 1", b"GROUP BY 1", b"DISTINCT",
    b"UNION ALL SELECT * FROM FILE", b"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x FROM c",
    b"CREATE VIEW", b"CREATE TABLE", b"PRAGMA writable_schema=ON;\n", b"UPDATE sqlite_master SET sql='CREATE TABLE x(y)';\n",
    b"PRAGMA encoding='UTF-16be';\n", b"PRAGMA page_size=1024;\n", b"PRAGMA application_id=1212009521;\n", b"\"a\"\"b\"", b"[a b]",
    b"INSERT INTO", b"count(*)", b"sqlite_master", b"load_extension('x')", b"char(0,10,55296)", b"x'" + MD5.encode() + b"'",
    b"x'" + SHA256.encode() + b"'", b"'" + SHA256.encode() + b"'", b"hex(zeroblob(16))", b"'Schema Version'", b"DELETE FROM",
)  # fmt: skip
#: Format -> pieces that mean something in it.
TOKENS: dict[str, tuple[bytes, ...]] = {
    "icse": (*WORDS, b"Image ID", b"Y", b"N", b"True", b"Image", b"Video", PHOTODNA.encode(), LACE.encode(), b"Lace"),
    "vics": (*WORDS, *_JSON_WORDS, b'"@odata.context"', b'"odata.metadata"', b'"value"', b'"Media"', b'"MediaID"', b'"CaseID"', b"/Date(1)/", b'"Category"', b'"Exifs"', b'"MediaFiles"', b'"AlternativeHashes"'),
    "ncmec": (*WORDS, *_XML_WORDS, b"affirmativeFeedback", b"negativeFeedback", b"deletedVideo", b"pdna", b"hashsharing/v3"),
    "dfxml": (*WORDS, *_XML_WORDS, b"<fileobject>", b"</fileobject>", b"<hashdigest type='md5'>", b"sha384", b"<filename>"),
    "hashdeep": (*WORDS, b"%%%% HASHDEEP-1.0", b"%%%% ", b"## ", b"size", b"sha1", b"tiger", b"whirlpool", b"filename"),
    "nsrl2": (*WORDS, b'"SHA-1"', b'","', b'"358"', b"ABCD1234"),
    "hashkeeper": (*WORDS, b'"file_id"', b'","', b'"PST"'),
    "tsk-index": (*WORDS, b"0" * 41, b"|nsrl", b"|md5sum", b"|hk", b"|encase", b"0000000000000005", b"idx2"),
    "pdq": (*WORDS, b"100", b"101", PDQ.encode()),
    **{f"{name}sum": (*WORDS, f"{name.upper()} (".encode(), b") = ", b"  ", b" *", b"# ", b"; ", HASHES[name].hex().encode()) for name in ("md5", "sha1", "sha256", "sha512")},
    "jsonl": (*WORDS, *_JSON_WORDS, b'"md5"', b'"id"', b'"hashes"', b'"quality"', b'"list_metadata"', b'"list_opinions"', b'"media_type"'),
    "csv": (*WORDS, *_JSON_WORDS, b"id", b"md5", b"sha1", b"pdq_quality", b"category", b"list_metadata", b"list_opinions", b"list_source"),
    "encase": (b"HASH\r\n\xff\0", b"\0\0", bytes(18), HASHES["md5"] + b"\0\0", b"\xff\xff", b"\0\xd8", b"\n\0", bytes.fromhex(EMPTY["md5"]) + b"\0\0"),
    "nsrl3": (*_SQL_WORDS, b"FILE", b"METADATA", b"VERSION", b"file_name", b"sha256", b"package_id"),
    "kdb": (*_SQL_WORDS, b"hashes", b"file_names", b"comments", b"hash_id", b"db_properties", b"sha2_256"),
}  # fmt: skip
