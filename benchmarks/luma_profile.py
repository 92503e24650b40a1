"""How far do hashes of the profile luma stray from the reference, and how often does it fall back? Bar: 4 bits.

    python benchmarks/luma_profile.py [--images 10000] [--first 0] [--workers N]

JPEGs of generated pictures: every kind, 48 to 800 pixels a side, qualities 20 to 98, all subsamplings, baseline and
progressive, a third of them with colours and contrast pushed into clipping. Every hash of every picture is made under
both profiles, and a third time of the luma plane whatever the margins say, to show what they are good for.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from _stamp import show_stamp
from PIL import Image, ImageFile

from hashmatch import hash_bytes, hashers, imaging, synthetic
from hashmatch.hashers import luma_margins

HASHES = ("pdq", "phash", "dhash", "ahash")
BAR = 4  # bits
ImageFile.MAXBLOCK = 1 << 24  # bytes: else Pillow cannot write progressive JPEGs of noisy pictures

_SIZES = ((500, 375), (375, 500), (640, 480), (800, 600))
#: Group -> how it is told from the others.
GROUPS = ("detail", "pushed", "gradient", "small", "coarse")


def picture(seed: int) -> tuple[bytes, str]:
    """A JPEG and the group that it is counted in."""
    chance = random.Random(seed)
    kind = chance.choice(("noise", "noise", "noise", "shapes", "shapes", "text", "gradient"))
    size = chance.choice(_SIZES) if chance.random() < 0.3 else (chance.randint(48, 640), chance.randint(48, 640))
    quality = chance.choice((20, 40, 60, 70, 75, 80, 85, 90, 95, 98))
    rgb = synthetic.image(seed, *size, kind)
    pushed = chance.random() < 0.33
    if pushed:
        values = rgb.astype(np.float32)
        grey = values.mean(axis=2, keepdims=True)
        values = grey + (values - grey) * chance.uniform(0, 2.5)
        values = (values - 128) * chance.uniform(0.3, 1.8) + 128 + chance.uniform(-60, 60)
        values += np.random.default_rng(seed).normal(0, chance.uniform(0, 12), values.shape)
        rgb = np.clip(values, 0, 255).astype(np.uint8)
    subsampling, progressive = chance.randrange(3), chance.random() < 0.15
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
    if kind == "gradient":
        group = "gradient"
    elif min(size) < 128:
        group = "small"
    elif quality < 66:
        group = "coarse"
    else:
        group = "pushed" if pushed else "detail"
    return buffer.getvalue(), group


def bits(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def examine(seed: int) -> tuple[str, dict[str, tuple[int, int, bool]]]:
    """The group; hash -> (bits off, bits off without the margins, whether it fell back)."""
    data, group = picture(seed)
    reference, luma = (hash_bytes(data, HASHES, profile=profile).hashes for profile in ("reference", "luma"))
    pixels = imaging.decode(data, luma=lambda *_: True)
    assert pixels.luma_step is not None
    plane, _ = hashers.compute(pixels, HASHES)
    trusted: dict[str, bytes] = {}
    if luma_margins.worth_decoding(pixels.width, pixels.height, pixels.luma_step):
        trusted, _ = hashers.compute_trusted(pixels, pixels.luma_step, HASHES)
    return group, {
        name: (bits(luma[name], reference[name]), bits(plane[name], reference[name]), name not in trusted)
        for name in HASHES
    }


def shown(counts: Counter[int]) -> str:
    return ", ".join(f"{distance}: {counts[distance]:,}" for distance in sorted(counts))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first picture")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    show_stamp()
    off: dict[str, Counter[int]] = {name: Counter() for name in HASHES}
    plain: dict[str, Counter[int]] = {name: Counter() for name in HASHES}
    back: dict[tuple[str, str], int] = Counter()
    groups: Counter[str] = Counter()
    worst: list[str] = []
    seeds = range(options.first, options.first + options.images)
    with ProcessPoolExecutor(options.workers) as pool:
        for seed, (group, found) in zip(seeds, pool.map(examine, seeds, chunksize=50), strict=True):
            groups[group] += 1
            for name, (distance, without, fell_back) in found.items():
                off[name][distance] += 1
                plain[name][without] += 1
                back[name, group] += fell_back
                if distance > BAR:
                    worst.append(f"{name} of picture {seed}: {distance} bits")
    print("Bits that differ from the reference, and in how many pictures:\n")
    print("| hash | profile luma | of the luma plane, margins or not |\n| --- | --- | --- |")
    for name in HASHES:
        over = sum(count for distance, count in plain[name].items() if distance > BAR)
        few = Counter({distance: count for distance, count in plain[name].items() if distance <= BAR})
        print(f"| {name} | {shown(off[name])} | {shown(few)}, more: {over:,} |")
    print(f"\nMade the reference's way, of {options.images:,} pictures by group:\n")
    print(f"| hash | {' | '.join(f'{group}: {groups[group]:,}' for group in GROUPS)} |")
    print("| --- " * (len(GROUPS) + 1) + "|")
    for name in HASHES:
        print(f"| {name} | {' | '.join(f'{back[name, g] / max(1, groups[g]):.1%}' for g in GROUPS)} |")
    print(f"\nBar: at most {BAR} bits, every hash: {'MISSED: ' + '; '.join(worst) if worst else 'reached'}.")
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
