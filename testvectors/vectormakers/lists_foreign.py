"""Lists of other programs and services: VICS, NCMEC hash sharing, DFXML, NSRL RDS 2, HashKeeper."""

from __future__ import annotations

import base64
import json
from typing import Any

from hashmatch.algorithms import EMPTY_DIGESTS
from vectormakers.list_files import Lists, category_of, entry_of, hex_hash, lines_of, raw_hash

__all__ = ["add_dfxml", "add_hashkeeper", "add_ncmec", "add_nsrl2", "add_vics"]


def add_vics(lists: Lists) -> None:
    """VICS 2.0, a collection of Media."""
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"

    def document(*media: dict[str, Any]) -> bytes:
        return json.dumps({"@odata.context": context, "value": media}, indent=1).encode()

    first = {
        "MediaID": 4711,
        "Category": 1,
        "MD5": hex_hash("md5", "v1").upper(),
        "SHA1": hex_hash("sha1", "v1"),
        "PhotoDNA": base64.b64encode(raw_hash("photodna", "v1")).decode(),
        "MediaSize": 1234,
        "MimeType": "image/jpeg",
        "Series": None,
        "Tags": "a, b",
        "IsDistributed": True,
    }
    second = {
        "MediaID": "x-2",
        "MD5": hex_hash("md5", "v2"),
        "AlternativeHashes": [{"HashName": "SHA256", "HashValue": hex_hash("sha256", "v2")}],
    }
    lists.valid(
        "vics.json",
        "VICS 2.0: PhotoDNA in base64, an alternative hash, members without a value",
        document(first, second),
        "vics",
        [
            entry_of(
                "4711",
                {name: hex_hash(name, "v1") for name in ("md5", "sha1", "photodna")},
                category=category_of("vics-us-2.0", "1"),
                media_type="image",
                size=1234,
                metadata={"MimeType": "image/jpeg", "Tags": "a, b", "IsDistributed": True},
            ),
            entry_of("x-2", {name: hex_hash(name, "v2") for name in ("md5", "sha256")}),
        ],
    )
    lists.invalid(
        "vics-truncated.json",
        "the file ends within its second medium: the first is no reason to keep half of a list",
        document(first, second)[:-60],
        "RecordError",
        line=16,
    )
    lists.invalid(
        "vics-photodna-short.json",
        "PhotoDNA of 143 bytes",
        document(first | {"PhotoDNA": base64.b64encode(raw_hash("photodna", "v1")[1:]).decode()}, second),
        "HashTextError",
        line=4,
        record=1,
        field="PhotoDNA",
        kept=(1, 1),
    )
    lists.invalid(
        "vics-md5-31-digits.json",
        "an MD5 that lacks a digit, in the second of two",
        document(first, second | {"MD5": hex_hash("md5", "v2")[1:]}),
        "HashTextError",
        line=16,
        record=2,
        field="MD5",
        kept=(1, 1),
    )


def add_ncmec(lists: Lists) -> None:
    """NCMEC hash sharing 2."""

    def entry(kind: str, number: str, code: str, prints: str) -> str:
        return (
            f'<{kind}><member id="42">Example Member</member><timestamp>2017-10-24T15:00:00Z</timestamp>'
            f"<id>{number}</id><classification>{code}</classification><fingerprints>{prints}</fingerprints></{kind}>"
        )

    def document(images: list[str], videos: list[str]) -> bytes:
        return lines_of(
            [
                '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>',
                '<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">',
                f'<images count="{len(images)}" maxTimestamp="2017-10-24T15:00:00Z">',
                *images,
                f'</images><videos count="{len(videos)}" maxTimestamp="2017-10-24T15:00:00Z">',
                *videos,
                "</videos></queryResult>",
            ]
        )

    md5, pdna, sha1 = hex_hash("md5", "n1"), hex_hash("photodna", "n1"), hex_hash("sha1", "n2")
    image = entry("image", "image1", "A1", f"<md5>{md5}</md5><pdna>{pdna}</pdna>")
    video = entry("video", "video1", "B2", f"<sha1>{sha1}</sha1>")
    metadata = {"member_name": "Example Member", "timestamp": "2017-10-24T15:00:00Z"}
    lists.valid(
        "ncmec.xml",
        "NCMEC hash sharing 2: an image and a video of a member; ids are the member's own",
        document([image], [video]),
        "ncmec",
        [
            entry_of(
                ref, hashes, category=category_of("ncmec", code), media_type=kind, metadata=metadata, origin="member 42"
            )
            for ref, hashes, code, kind in (
                ("image1", {"md5": md5, "photodna": pdna}, "A1", "image"),
                ("video1", {"sha1": sha1}, "B2", "video"),
            )
        ],
    )
    lists.invalid(
        "ncmec-truncated.xml",
        "the file ends within its second entry",
        document([image], [video])[:-60],
        "RecordError",
        line=6,
    )
    lists.invalid(
        "ncmec-sha1-39-digits.xml",
        "a SHA-1 that lacks a digit",
        document([image], [video.replace(sha1, sha1[1:])]),
        "HashTextError",
        line=6,
        record=2,
        field="sha1",
        kept=(1, 1),
    )


def add_dfxml(lists: Lists) -> None:
    """DFXML."""

    def file(name: str, size: int, digests: str) -> str:
        return f"<fileobject><filename>{name}</filename><filesize>{size}</filesize>{digests}</fileobject>"

    def digest(kind: str, value: str) -> str:
        return f"<hashdigest type='{kind}'>{value}</hashdigest>"

    def document(*files: str) -> bytes:
        return lines_of(["<?xml version='1.0' encoding='UTF-8'?>", "<dfxml>", *files, "</dfxml>"])

    md5, sha256, crc = hex_hash("md5", "d1"), hex_hash("sha256", "d1"), "0123abcd"
    first = file("/a &amp; b.jpg", 12, digest("md5", md5.upper()) + digest("SHA-256", sha256) + digest("CRC32", crc))
    empty = file("/empty", 0, digest("md5", EMPTY_DIGESTS["md5"].hex()))
    lists.valid(
        "dfxml.xml",
        "DFXML: a name with a reference, a digest that is not searched, an empty file",
        document(first, empty),
        "dfxml",
        [
            entry_of("/a & b.jpg", {"md5": md5, "sha256": sha256}, size=12, metadata={"hashdigest": {"CRC32": crc}}),
            entry_of("/empty", {}, size=0, empty_digests=1),
        ],
    )
    lists.invalid(
        "dfxml-entity.xml",
        "an entity of its own: refused before it is expanded",
        document(first).replace(b"<dfxml>", b'<!DOCTYPE dfxml [<!ENTITY a "b">]>\n<dfxml>'),
        "RecordError",
        line=2,
    )
    lists.invalid(
        "dfxml-truncated.xml",
        "the file ends before its last tag",
        document(first)[:-9],
        "RecordError",
        line=4,
    )
    lists.invalid(
        "dfxml-size.xml",
        "a size that is no whole number",
        document(first, file("/b", 1, digest("md5", md5)).replace(">1<", ">1.5<")),
        "RecordError",
        line=4,
        record=2,
        field="filesize",
        kept=(1, 1),
    )


def add_nsrl2(lists: Lists) -> None:
    """NSRL RDS 2."""
    header = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"'

    def row(label: str, name: str, size: str) -> str:
        sha1, md5 = hex_hash("sha1", label).upper(), hex_hash("md5", label).upper()
        return f'"{sha1}","{md5}","ABCD1234","{name}",{size},7,"358","M"'

    lists.valid(
        "nsrl2.txt",
        "NSRL RDS 2: commas and doubled quotes in a name; entries have no reference; CR LF",
        lines_of([header, row("r1", "a.txt", "5"), row("r2", 'a, ""b"".txt', "0")], "\r\n"),
        "nsrl2",
        [
            entry_of(
                "",
                {name: hex_hash(name, label) for name in ("md5", "sha1")},
                size=size,
                metadata={
                    "crc32": "ABCD1234",
                    "file_name": file_name,
                    "op_system_code": "358",
                    "product_code": 7,
                    "special_code": "M",
                },
            )
            for label, file_name, size in (("r1", "a.txt", 5), ("r2", 'a, "b".txt', 0))
        ],
    )
    lists.invalid(
        "nsrl2-truncated.txt",
        "the last row ends within its SHA-1",
        lines_of([header, row("r1", "a.txt", "5")], "\r\n") + row("r2", "b.txt", "6")[:20].encode(),
        "RecordError",
        line=3,
        record=2,
        kept=(1, 1),
    )
    lists.invalid(
        "nsrl2-sha1-39-digits.txt",
        "a SHA-1 that lacks a digit",
        lines_of([header, row("r1", "a.txt", "5"), '"' + row("r2", "b.txt", "6")[2:]], "\r\n"),
        "HashTextError",
        line=3,
        record=2,
        field="SHA-1",
        kept=(1, 1),
    )
    lists.invalid(
        "nsrl2-size.txt",
        "a size that is no number",
        lines_of([header, row("r1", "a.txt", "5"), row("r2", "b.txt", "x")], "\r\n"),
        "RecordError",
        line=3,
        record=2,
        field="FileSize",
        kept=(1, 1),
    )


def add_hashkeeper(lists: Lists) -> None:
    """HashKeeper."""
    header = '"file_id","hashset_id","file_name","directory","hash","file_size","date_modified"'

    def row(number: int, label: str, name: str) -> str:
        return f'{number},9,"{name}","C:\\x","{hex_hash("md5", label).upper()}",{number + 10},""'

    lists.valid(
        "hashkeeper.hsh",
        "HashKeeper: the file's number is no reference; empty cells are nothing",
        lines_of([header, row(1, "k1", "a.txt"), row(2, "k2", "b, c.txt")], "\r\n"),
        "hashkeeper",
        [
            entry_of(
                "",
                {"md5": hex_hash("md5", label)},
                size=number + 10,
                metadata={"file_id": number, "hashset_id": 9, "file_name": name, "directory": "C:\\x"},
            )
            for number, label, name in ((1, "k1", "a.txt"), (2, "k2", "b, c.txt"))
        ],
    )
    lists.invalid(
        "hashkeeper-md5-31-digits.hsh",
        "an MD5 that lacks a digit",
        lines_of(
            [header, row(1, "k1", "a.txt"), row(2, "k2", "b.txt").replace(hex_hash("md5", "k2").upper()[:1], "", 1)],
            "\r\n",
        ),
        "HashTextError",
        line=3,
        record=2,
        field="hash",
        kept=(1, 1),
    )
    lists.invalid(
        "hashkeeper-no-hash.hsh",
        "a line whose hash is empty",
        lines_of([header, row(1, "k1", "a.txt"), '2,9,"b.txt","","",11,""'], "\r\n"),
        "RecordError",
        line=3,
        record=2,
        kept=(1, 1),
    )
