"""A generated INTERPOL ICSE export: random hashes, made-up names, the columns and proportions of the real one.

Nothing in it was ever the hash of anything. The same seed and rows give the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

__all__ = ["EMPTY_MD5", "EMPTY_SHA1", "HEADER", "rows", "write"]

HEADER = (
    "MD5;SHA1;ZZ40;PhotoDNA;Lace;Image ID;Is distributed;Victim identified;Offender identified;Series name;"
    "Investigation name;Agency;Number of submissions;File Available;Media Type;Baseline"
)
#: Bytes of MD5, SHA-1, ZZ40, PhotoDNA and Lace.
WIDTHS = (16, 20, 16, 144, 129)
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
EMPTY_SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
CHUNK = 20_000


def rows(count: int, seed: int, *, dirt: bool) -> Iterator[str]:
    """Chunks of rows, each row with its line end. ``dirt`` spoils a few rows and adds an empty column to all."""
    rng = np.random.default_rng(seed)
    series = ["", "", *(f"Series {n:03d}" for n in range(300))]
    investigations = ["", *(f"Operation {n:04d}" for n in range(2_000))]
    agencies = [f"Agency {n:02d}" for n in range(60)] + ["Straßenpolizei Süd"]
    flags = [f"{d};{v};{o}" for d in "YN" for v in "YN" for o in "YN"]
    tails = [f"{a};{m};{b}" for a in ("True", "False") for m in ("Image", "Video") for b in ("Yes", "No")]
    end = ";\n" if dirt else "\n"
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        md5, sha1, zz40, photodna = (rng.bytes(n * width).hex() for width in WIDTHS[:4])
        zz40, photodna = zz40.upper(), photodna.upper()
        lace = base64.b64encode(rng.bytes(n * WIDTHS[4])).decode()
        flag, tail = rng.integers(8, size=n).tolist(), rng.choice(8, n, p=_TAILS).tolist()
        s, i, a = (rng.integers(len(names), size=n).tolist() for names in (series, investigations, agencies))
        submissions = rng.geometric(0.4, n).tolist()
        lines = []
        for k in range(n):
            image_only = "" if tail[k] & 2 else f"{photodna[288 * k : 288 * k + 288]};{lace[172 * k : 172 * k + 172]}"
            lines.append(
                f"{md5[32 * k : 32 * k + 32]};{sha1[40 * k : 40 * k + 40]};{zz40[32 * k : 32 * k + 32]};"
                f"{image_only or ';'};"
                f"{10_000_000 + start + k};{flags[flag[k]]};{series[s[k]]};{investigations[i[k]]};{agencies[a[k]]};"
                f"{submissions[k]};{tails[tail[k]]}{end}"
            )
        if dirt:
            _spoil(lines)
        yield "".join(lines)


#: Share of every tail: available or not, image or video (one in ten), baseline or not.
_TAILS = [a * m * b for a in (0.9, 0.1) for m in (0.9, 0.1) for b in (0.7, 0.3)]


def _spoil(lines: list[str]) -> None:
    """What was seen in real exports, in a few rows of every chunk."""
    if len(lines) > 10:
        lines[7] = lines[7][:32] + "0" + lines[7][32:]
    for place in range(50, len(lines), 5_000):
        lines[place] = f"{EMPTY_MD5};{EMPTY_SHA1};" + lines[place].split(";", 2)[2]
    for place in range(100, len(lines), 9_000):
        lines[place] = f"{EMPTY_MD5};{EMPTY_SHA1};;;;" + lines[place].split(";", 5)[5]


def write(out: BinaryIO, count: int, seed: int, *, dirt: bool = False) -> None:
    """Write an export of ``count`` rows."""
    out.write((HEADER + "\n").encode())
    for text in rows(count, seed, dirt=dirt):
        out.write(text.encode())
