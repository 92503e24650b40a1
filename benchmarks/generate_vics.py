"""Write a generated VICS document: random hashes, made-up names, every field of the format and the dirt of real files.

Nothing in it was ever the hash of anything. The same arguments give the same bytes. It is written as it is made, in
bounded memory.

    python benchmarks/generate_vics.py --media 3000000 --out vics.json
    python benchmarks/generate_vics.py --media 100000 --version 1.3 --cases 4 --indent --dirt --out dirty.json
"""

from __future__ import annotations

import argparse
import base64
import codecs
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

VERSIONS = ("1.2", "1.3", "2.0")
SCHEMES = ("US", "UK", "Default", "CUSTOM")
EMPTY_MD5 = "D41D8CD98F00B204E9800998ECF8427E"
EMPTY_SHA1 = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"
CHUNK = 2_000
#: 2024-01-01 in milliseconds since 1970, and how many there are to choose from.
_EPOCH, _SPAN = 1_704_067_200_000, 31_536_000_000
_MIME = [*["image/jpeg"] * 7, "image/png", "image/gif", "video/mp4"]


def context(version: str, scheme: str, kind: str) -> tuple[str, str]:
    """The first member of a document: (key, value)."""
    if version == "2.0":
        return (
            "@odata.context",
            f"http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{scheme}/$metadata#{kind}",
        )
    return "odata.metadata", f"http://github.com/ICMEC/ProjectVic/DataModels/{version}.xml#{kind}"


def media(count: int, seed: int, *, version: str, files: bool, dirt: bool) -> Iterator[dict[str, Any]]:
    """Media objects with every field; ``files``: as in a case, with where they were found."""
    rng = np.random.default_rng(seed)
    series = [None, None, *(f"Series {n:03d}" for n in range(300))]
    agencies = [f"Agency {n:02d}" for n in range(60)]
    comments = ["", "", "", 'Seen twice; see also "Series 004"', "Überprüft, süß {sic}", "line one\r\nline two"]
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        md5, sha1 = rng.bytes(16 * n).hex(), rng.bytes(20 * n).hex()
        if dirt or version == "2.0":
            md5, sha1 = md5.upper(), sha1.upper()
        photodna = base64.b64encode(rng.bytes(144 * n)).decode()
        numbers = rng.integers(1 << 30, size=(n, 8)).tolist()
        times = (_EPOCH + rng.integers(_SPAN, size=n)).tolist()
        for k in range(n):
            a, b, c, d, e, f, g, h = numbers[k]
            mime = _MIME[a % 10]
            name = f"IMG_{a % 9973:04d}.{mime[6:]}"
            flags = [bool(b >> bit & 1) for bit in range(6)]
            one = {
                "MediaID": 1_000_000 + start + k,
                "Category": (1, 1, 2, 2, 3, 0, 4, None)[b >> 8 & 7],
                "MD5": md5[32 * k : 32 * k + 32],
                "SHA1": sha1[40 * k : 40 * k + 40],
                "PhotoDNA": None if mime.startswith("video") else photodna[192 * k : 192 * k + 192],
                "MediaSize": c % 8_000_000 + 1,
                "MimeType": mime,
                "DateUpdated": _date(times[k], version, dirt),
                "Comments": comments[d % len(comments)],
                "Series": series[e % len(series)],
                "Tags": "" if f % 5 else "indoor, checked",
                "VictimIdentified": _flag(flags[0], dirt),
                "OffenderIdentified": _flag(flags[1], dirt),
                "IsDistributed": _flag(flags[2], dirt),
                "IsSuspected": _flag(flags[3], dirt),
                "SelfGenerated": _flag(flags[4], dirt),
                "IsPrecategorized": _flag(flags[5], dirt),
                "PrecategorizationSource": agencies[g % 60] if flags[5] else None,
                "RelativeFilePath": f"media\\{h % 256:02x}\\{start + k}.{mime[6:]}",
            }
            if version != "2.0":
                text = one.pop("PhotoDNA")
                one["AlternativeHashes"] = [] if text is None else [{"HashName": "PhotoDNA", "HashValue": text}]
            if files:
                one["Exifs"] = [{"PropertyName": "Make", "PropertyValue": "Synthetic {camera}"}] if b & 7 == 0 else []
                one["MediaFiles"] = [_file(one, name, times[k] - 1000 * i, i) for i in range(1 + b % 3)]
            yield one


def _date(milliseconds: int, version: str, dirt: bool) -> str:
    if version != "2.0" and dirt:
        return f"/Date({milliseconds})/"
    instant = np.datetime64(milliseconds, "ms")
    return f"{instant!s}0Z"


def _flag(value: bool, dirt: bool) -> bool | str:
    return str(value).lower() if dirt else value


def _file(one: dict[str, Any], name: str, milliseconds: int, copy: int) -> dict[str, Any]:
    time = f"{np.datetime64(milliseconds, 'ms')!s}0Z"
    return {
        "MD5": one["MD5"],
        "FileName": name,
        "FilePath": f"C:\\Users\\example\\Pictures\\{copy}",
        "Created": time,
        "Written": time,
        "Accessed": None,
        "Unallocated": False,
        "Deleted": bool(copy & 1),
        "ParentMD5": None,
        "ParentFileName": None,
        "ParentFilePath": None,
        "PhysicalLocation": 4096 * copy,
        "SourceID": "Disk 1",
    }


def case(number: int, seed: int, of_media: int, precategorized: int, *, dirt: bool) -> dict[str, Any]:
    """The members of a case but for its media, which stand before them."""
    return {
        "CaseID": f"{seed:04d}-{number}",
        "CaseNumber": f"2024/{number:05d}",
        "ContactOrganization": f"Agency {number % 60:02d}",
        "ContactName": "A. Example",
        "ContactPhone": "555-0100",
        "ContactEmail": "a.example@example.invalid",
        "ContactTitle": "Examiner",
        "TotalMediaFiles": of_media + (3 if dirt else 0),
        "TotalPrecategorized": precategorized,
        "SeizureDate": "2024-01-02T00:00:00.0000Z",
        "SourceApplicationName": "Example",
        "SourceApplicationVersion": "1.0",
    }


def _spoiled(at: int, one: dict[str, Any]) -> list[str | dict[str, Any]]:
    """What was seen in real documents, in a few media: objects, or text where JSON cannot say it otherwise."""
    if at == 7:
        return [one | {"MD5": str(one["MD5"]) + "0"}]
    if at == 11:
        return ['{"MediaID":' + str(one["MediaID"]) + ',"MD5":"' + "0" * 32 + '","MD5":"' + "1" * 32 + '"}']
    if at % 5_000 == 50:
        return [one | {"MD5": EMPTY_MD5, "SHA1": EMPTY_SHA1}]
    if at % 5_000 == 51:
        return [one | {"MediaID": None}]
    if at % 5_000 == 52:
        return [one | {"Category": 99, "MediaSize": str(one["MediaSize"])}]
    if at % 5_000 == 53:
        return [one | {"AlternativeHashes": [{"HashName": "F1", "HashValue": "abc"}], "Vendor@odata.type": "#x"}]
    if at % 5_000 == 54:
        return [one | {"Tags": "} , { ]"}]
    return [one]


def pieces(
    count: int,
    seed: int = 1,
    *,
    version: str = "2.0",
    scheme: str = "US",
    cases: int = 0,
    dirt: bool = False,
    indent: bool = False,
) -> Iterator[str]:
    """The document in pieces. ``cases``: how many cases the media are spread over; 0 makes a list of media."""
    key, value = context(version, scheme, "Cases" if cases else "Media")
    space, colon, comma = ("\n", ": ", ",\n") if indent else ("", ":", ",")
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", colon), indent=2 if indent else None).encode
    yield f"{{{space}{encode(key)}{colon}{encode(value)}{comma}"
    if dirt and not cases:
        yield f'"odata.count"{colon}"{count + 1}"{comma}'
    yield f'"value"{colon}['
    at = 0
    for number in range(max(1, cases)):
        share = count // max(1, cases) + (number < count % max(1, cases))
        precategorized = 0
        if cases:
            yield f'{comma if number else ""}{{{space}"Media"{colon}['
        buffer: list[str] = []
        for i, one in enumerate(media(share, seed + number, version=version, files=bool(cases), dirt=dirt)):
            precategorized += one["IsPrecategorized"] in (True, "true")
            for item in _spoiled(at, one) if dirt else [one]:
                text = item if isinstance(item, str) else encode(item)
                if dirt and '"/Date(' in text:  # as .NET writes it
                    text = text.replace('"/Date(', '"\\/Date(').replace(')/"', ')\\/"')
                buffer.append(f"{comma if i else space}{text}")
            at += 1
            if len(buffer) >= CHUNK:
                yield "".join(buffer)
                buffer.clear()
        yield "".join(buffer)
        if cases:
            facts = encode(case(number, seed, share, precategorized, dirt=dirt)).lstrip("{").lstrip()
            yield f"]{comma}{facts}"
    yield f"{space}]{space}}}"


def write(
    out: BinaryIO, count: int, seed: int = 1, *, bom: bool = False, encoding: str = "utf-8", **options: Any
) -> None:
    """Write a document of ``count`` media; ``options`` as of `pieces`."""
    if bom or encoding != "utf-8":
        out.write({"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE}[encoding])
    for text in pieces(count, seed, **options):
        out.write(text.encode(encoding))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=3_000_000, help="number of media (default: 3,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (default: 1)")
    parser.add_argument("--version", choices=VERSIONS, default="2.0", help="data model (default: 2.0)")
    parser.add_argument("--scheme", choices=SCHEMES, default="US", help="category scheme of 2.0 (default: US)")
    parser.add_argument("--cases", type=int, default=0, help="spread over so many cases (default: 0, a list of media)")
    parser.add_argument("--indent", action="store_true", help="written over many lines")
    parser.add_argument("--bom", action="store_true", help="with a byte order mark")
    parser.add_argument("--utf-16", action="store_true", help="in UTF-16")
    parser.add_argument("--dirt", action="store_true", help="what real documents carry: see _spoiled() and _flag()")
    parser.add_argument("--cut", type=int, default=0, help="leave out so many bytes at the end, as a broken download")
    parser.add_argument("--out", required=True, help="file to write")
    given = parser.parse_args()
    if min(given.media, given.cases, given.cut) < 0:
        parser.error("expected numbers of at least 0")
    path = Path(given.out)
    with path.open("wb") as out:
        write(
            out,
            given.media,
            given.seed,
            bom=given.bom,
            encoding="utf-16-le" if given.utf_16 else "utf-8",
            version=given.version,
            scheme=given.scheme,
            cases=given.cases,
            dirt=given.dirt,
            indent=given.indent,
        )
        if given.cut:
            out.truncate(max(0, out.tell() - given.cut))
    return 0


if __name__ == "__main__":
    sys.exit(main())
