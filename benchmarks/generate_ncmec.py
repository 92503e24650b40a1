"""Write a generated result of NCMEC's hash sharing service, version 2: random hashes, made-up members, every element.

Nothing in it was ever the hash of anything. The same seed and entries give the same bytes.

    python benchmarks/generate_ncmec.py --entries 1000000 --out ncmec.xml
    python benchmarks/generate_ncmec.py --entries 100000 --dirt --out dirty.xml

Five in six entries are images, the others videos. One in fifty is a tombstone; every tenth has feedback. ``--dirt``
adds, in every block of 5,000 entries: a digest of the empty file, upper-case hexadecimal, a PhotoDNA hash in base64 and
one in decimals, an entry without fingerprints, one without a classification and one with an unknown one, an MD5 of 33
digits, an entry that comes again with a newer timestamp, and ``count`` attributes that lie.
"""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np

NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
#: Bytes of MD5, SHA-1, PhotoDNA and PDQ.
WIDTHS = (16, 20, 144, 32)
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
CHUNK = 5_000
FIRST = datetime(2017, 10, 20, tzinfo=UTC)

_FEEDBACK = """\
            <feedback lastUpdateTimestamp="{when}">
                <affirmativeFeedback type="Md5" lastUpdateTimestamp="{when}">
                    <members timestamp="{when}">
                        <member id="{one}">Example Member {one}</member>
                        <member id="{two}">Example Member {two}</member>
                    </members>
                </affirmativeFeedback>
                <negativeFeedback type="Sha1" lastUpdateTimestamp="{when}">
                    <reasons>
                        <reason guid="01234567-abcd-0123-4567-01234567890{why}" name="Reason {why}" type="Sha1"/>
                        <members timestamp="{when}">
                            <member id="{two}">Example Member {two}</member>
                        </members>
                    </reasons>
                </negativeFeedback>
            </feedback>
"""


def entries(kind: str, count: int, seed: int, *, dirt: bool) -> Iterator[str]:
    """Chunks of entries, each with its line ends. ``kind`` is "image" or "video"."""
    rng = np.random.default_rng([seed, len(kind), ord(kind[0])])
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        hashes = [rng.bytes(n * width) for width in WIDTHS]
        member, other, category = (rng.integers(1, top, size=n).tolist() for top in (41, 41, 5))
        second = rng.integers(0, 200_000_000, size=n).tolist()
        records = []
        for k in range(n):
            when = (FIRST + timedelta(seconds=second[k])).strftime("%Y-%m-%dT%H:%M:%SZ")
            owner = f'<member id="{member[k]}">Example Member {member[k]}</member>'
            number = f"{kind}{start + k}"
            if k % 50 == 49:
                records.append(
                    f"        <deleted{kind.title()}>\n            {owner}\n            <id>{number}</id>\n"
                    f"            <timestamp>{when}</timestamp>\n        </deleted{kind.title()}>\n"
                )
                continue
            md5, sha1, photodna, pdq = (
                raw[width * k : width * k + width].hex() for raw, width in zip(hashes, WIDTHS, strict=True)
            )
            prints = [f"<md5>{md5}</md5>", f"<sha1>{sha1}</sha1>"]
            if kind == "image":
                prints += [f"<pdna>{photodna}</pdna>", f"<pdq>{pdq}</pdq>"]
            else:
                prints.append(f'<tmk-pdqf rel="self" href="/v2/entries/{number}/fingerprints/TMK_PDQF"/>')
            two = other[k] % 40 + 1
            feedback = _FEEDBACK.format(when=when, one=other[k], two=two if two != other[k] else 41, why=category[k])
            records.append(
                f"        <{kind}>\n            {owner}\n            <timestamp>{when}</timestamp>\n"
                f"            <id>{number}</id>\n"
                f"            <classification>{('A1', 'A2', 'B1', 'B2')[category[k] - 1]}</classification>\n"
                "            <fingerprints>\n"
                + "".join(f"                {fingerprint}\n" for fingerprint in prints)
                + "            </fingerprints>\n"
                + (feedback if k % 10 == 0 else "")
                + f"        </{kind}>\n"
            )
        if dirt:
            _spoil(records, kind)
        yield "".join(records)


def _spoil(records: list[str], kind: str) -> None:
    """Dirt in a few of the records, which have none of the chunk's tombstones among them."""
    if len(records) < 49:
        return

    def between(place: int, start: str, end: str) -> tuple[str, str, str]:
        before, _, rest = records[place].partition(start)
        inner, _, after = rest.partition(end)
        return before + start, inner, end + after

    def change(place: int, tag: str, value: str) -> None:
        before, _, after = between(place, f"<{tag}>", f"</{tag}>")
        records[place] = before + value + after

    change(1, "md5", EMPTY_MD5)
    change(2, "md5", between(2, "<md5>", "</md5>")[1].upper())
    if kind == "image":
        photodna = bytes.fromhex(between(3, "<pdna>", "</pdna>")[1])
        change(3, "pdna", base64.b64encode(photodna).decode())
        change(4, "pdna", ",".join(map(str, photodna)))
    before, _, after = between(5, "<fingerprints>", "</fingerprints>")
    records[5] = before + after
    before, _, after = between(6, "            <classification>", "</classification>\n")
    records[6] = before.removesuffix("            <classification>") + after.removeprefix("</classification>\n")
    change(7, "classification", "C1")
    change(8, "md5", between(8, "<md5>", "</md5>")[1] + "0")
    first = records[9]
    change(9, "timestamp", "2026-01-01T00:00:00Z")
    records[9] = first + records[9].replace("<classification>", "<classification><!-- new -->")


def write(out: BinaryIO, count: int, seed: int, *, dirt: bool = False, following: bool = False) -> None:
    """Write a result of ``count`` entries; ``following`` says in it that there is another page."""
    videos = count // 6
    out.write(f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<queryResult xmlns="{NAMESPACE}">\n'.encode())
    for kind, n in (("image", count - videos), ("video", videos)):
        stated = n + 7 if dirt else n
        out.write(f'    <{kind}s count="{stated}" maxTimestamp="2024-02-20T00:00:00Z">\n'.encode())
        for text in entries(kind, n, seed, dirt=dirt):
            out.write(text.encode())
        out.write(f"    </{kind}s>\n".encode())
    if following:
        out.write(b"    <paging>\n        <next>/v2/entries?from=2017-10-20T00%3A00%3A00.000Z&amp;start=2001</next>\n")
        out.write(b"    </paging>\n")
    out.write(b"</queryResult>\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000, help="number of entries (default: 1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (default: 1)")
    parser.add_argument("--out", required=True, help="file to write; - is standard output")
    parser.add_argument("--dirt", action="store_true", help="what real files may hold; see above")
    parser.add_argument("--page", action="store_true", help="say that there is another page")
    given = parser.parse_args()
    if given.entries < 0:
        parser.error("--entries: expected a number of at least 0")
    if given.out == "-":
        write(sys.stdout.buffer, given.entries, given.seed, dirt=given.dirt, following=given.page)
    else:
        with Path(given.out).open("wb") as out:
            write(out, given.entries, given.seed, dirt=given.dirt, following=given.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
