"""How fast do file bytes become hashes, beside the decoder alone and beside other programs?

    python benchmarks/hash_files.py [--images 400] [--rounds 5]

JPEGs of 0.19 megapixels and about 110 kB, in memory, one thread. Correctness first: every record equals what hashlib,
pdqhash and imagehash make of the same bytes, or, under the profile luma, is within 4 bits of it. Then all contenders
run in turn, picture by picture, several rounds; a bar is a ratio of two of them within a round, and the median counts.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import statistics
import sys
import time
from collections.abc import Callable

import imagehash
import numpy as np
import pdqhash
from _photographs import photograph
from _stamp import show_stamp
from PIL import Image

from hashmatch import hash_bytes

HASHES = ("pdq", "phash", "dhash", "ahash")
DIGESTS = ("md5", "sha1", "sha256")

#: What, beside what, at least this ratio of their rates.
BARS = (
    ("seven hashes, luma", "Pillow luma + digests", 0.8),
    ("seven hashes, reference", "Pillow RGB + digests", 0.8),
    ("four hashes, luma", "imagehash.phash", 1.7),
    ("four hashes, luma", "pdqhash over Pillow", 2.3),
)


def _digests(data: bytes) -> None:
    hashlib.md5(data, usedforsecurity=False).digest()
    hashlib.sha1(data, usedforsecurity=False).digest()
    hashlib.sha256(data).digest()


def _luma(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", None)
        image.load()


def _rgb(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


def _both(decode: Callable[[bytes], object], data: bytes) -> None:
    decode(data)
    _digests(data)


CONTENDERS: dict[str, Callable[[bytes], object]] = {
    "Pillow luma + digests": lambda data: _both(_luma, data),
    "seven hashes, luma": lambda data: hash_bytes(data, HASHES + DIGESTS, profile="luma"),
    "Pillow RGB + digests": lambda data: _both(_rgb, data),
    "seven hashes, reference": lambda data: hash_bytes(data, HASHES + DIGESTS),
    "four hashes, luma": lambda data: hash_bytes(data, HASHES, profile="luma"),
    "four hashes, reference": lambda data: hash_bytes(data, HASHES),
    "imagehash.phash": lambda data: imagehash.phash(Image.open(io.BytesIO(data))),
    "pdqhash over Pillow": lambda data: pdqhash.compute(np.asarray(_rgb(data))),
    "Pillow luma": _luma,
    "Pillow RGB": _rgb,
    "digests": _digests,
}


def check(data: bytes) -> tuple[int, int]:
    """Compare both profiles with the other packages: differing bits of PDQ under luma, the most of any hash."""
    image = _rgb(data)
    bits, quality = pdqhash.compute(np.asarray(image))
    functions = {"phash": imagehash.phash, "dhash": imagehash.dhash, "ahash": imagehash.average_hash}
    expected = {name: bytes.fromhex(str(function(image))) for name, function in functions.items()}
    expected["pdq"] = np.packbits(bits).tobytes()
    expected |= {name: hashlib.new(name, data).digest() for name in DIGESTS}
    reference = hash_bytes(data, HASHES + DIGESTS)
    assert (reference.hashes, reference.quality["pdq"]) == (expected, quality)
    luma = hash_bytes(data, HASHES + DIGESTS, profile="luma")
    assert (reference.profile, luma.profile, luma.status) == ("reference", "luma", "ok")
    assert all(luma.hashes[name] == expected[name] for name in DIGESTS)
    off = {n: (int.from_bytes(luma.hashes[n]) ^ int.from_bytes(expected[n])).bit_count() for n in HASHES}
    assert max(off.values()) <= 4, off
    return off["pdq"], max(off.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    show_stamp()
    files = [photograph(seed) for seed in range(options.images)]
    print(f"{len(files):,} JPEGs, {statistics.mean(map(len, files)) / 1e3:,.0f} kB in the mean.")
    off = [check(data) for data in files]
    pdq = statistics.mean(distance for distance, _ in off)
    most = max(worst for _, worst in off)
    print("Correct: the profile reference equals hashlib, pdqhash and imagehash; luma differs from it by")
    print(f"{pdq:.2f} bits of PDQ in the mean, and by {most} at most in any hash.\n")

    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(options.rounds):
        spent = dict.fromkeys(CONTENDERS, 0.0)
        for data in files:
            for name, run in CONTENDERS.items():
                start = time.perf_counter()
                run(data)
                spent[name] += time.perf_counter() - start
        for name, total in spent.items():
            seconds[name].append(total)
    print("| what | us/image, median | images/s |\n| --- | --- | --- |")
    for name, times in seconds.items():
        each = statistics.median(times) / len(files)
        print(f"| {name} | {each * 1e6:,.0f} | {1 / each:,.0f} |")
    print("\n| bar | at least | ratio, median | least, most |\n| --- | --- | --- | --- |")
    missed = []
    for ours, theirs, least in BARS:
        ratios = sorted(b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True))
        ratio = statistics.median(ratios)
        print(f"| {ours} / {theirs} | {least} | {ratio:.2f} | {ratios[0]:.2f}, {ratios[-1]:.2f} |")
        if ratio < least:
            missed.append(f"{ours} / {theirs}")
    print(f"\n{'MISSED: ' + '; '.join(missed) if missed else 'Every bar reached'}.")
    return 1 if missed else 0


if __name__ == "__main__":
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if os.environ.get("OMP_NUM_THREADS") != "1":  # read while NumPy is imported, which has happened
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | one_thread)
    sys.exit(main())
