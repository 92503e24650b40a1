"""Do the hashes equal those of the packages pdqhash and imagehash, bit for bit?

Generates images of many sizes and kinds, compares the PDQ hash, its quality and the eight orientations with pdqhash,
and pHash, dHash, aHash and wHash with imagehash: profile ``reference``, on every implementation of the kernels that the
machine has (on one image in ten for NumPy's, which is slow). Prints every difference and a summary; exits with 1 if
there is any.

    python benchmarks/pdq_parity.py --count 10000 --seed 0
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hashmatch import hashers, imaging, kernels, synthetic
from hashmatch.kernels import reference

#: Sizes that every run contains: the smallest, both sides of every edge in the filter, odd ratios, the largest.
EDGE_SIZES = (
    (5, 5), (6, 5), (5, 7), (63, 64), (64, 64), (64, 65), (65, 64), (127, 127), (128, 128), (128, 129), (129, 128),
    (255, 256), (256, 257), (257, 384), (385, 640), (5, 4000), (4000, 5), (17, 2999), (1999, 64), (64, 1999),
    (1023, 1025), (3000, 4000),
)  # fmt: skip

#: Kinds beyond those of `hashmatch.synthetic`: the ones where rounding decides most, and plain ones.
KINDS = (*synthetic.KINDS, "flat", "white", "grey", "ramp", "faint", "checks", "static", "mosaic", "split")


def picture(rng: np.random.Generator, width: int, height: int, kind: str) -> NDArray[np.uint8]:
    """A picture ``uint8[height, width, 3]`` of one of `KINDS`."""
    seed = int(rng.integers(1 << 32))
    y, x = np.ogrid[:height, :width]
    if kind in synthetic.KINDS:
        return synthetic.image(seed, width, height, kind)
    if kind == "grey":  # whole numbers throughout: the luma has no fraction
        return np.repeat(synthetic.image(seed, width, height, "noise")[..., :1], 3, axis=2)
    result = np.empty((height, width, 3), np.uint8)
    if kind == "flat":
        result[:] = rng.integers(0, 256, 3)
    elif kind == "white":
        result[:] = 255 * rng.integers(0, 2)
    elif kind == "ramp":  # along one axis only: every other coefficient is zero in theory
        line = x * 255 // max(1, width - 1) if rng.integers(2) else y * 255 // max(1, height - 1)
        result[:] = (line + np.zeros((height, width), int))[..., None] * rng.integers(1, 4, 3) // 3
    elif kind == "faint":  # low contrast: small coefficients, low quality
        result[:] = synthetic.image(seed, width, height, "noise") // int(rng.integers(8, 64)) + rng.integers(0, 200)
    elif kind == "checks":  # symmetric: coefficients tie
        a, b = rng.integers(1, max(2, max(width, height) // 6), 2)
        result[:] = ((x // a + y // b) % 2)[..., None] * rng.integers(0, 256, 3)
    elif kind == "static":
        result[:] = rng.integers(0, 256, result.shape, dtype=np.uint8)
    elif kind == "mosaic":  # a copy that was shrunk and enlarged without interpolation
        small = synthetic.image(seed, max(1, width // 9), max(1, height // 9), "noise")
        result[:] = small[(y * len(small) // height), (x * small.shape[1] // width)]
    else:  # split: two halves, one flat, as in a page with a margin
        result[:] = 255
        result[:, : max(1, width // 3)] = synthetic.image(seed, max(1, width // 3), height, "text")
    return result


def sizes(rng: np.random.Generator, count: int) -> Iterator[tuple[int, int]]:
    """``count`` sizes (width, height): the edge sizes, then log-uniform ones up to 4000 x 3000."""
    for index in range(count):
        if index < len(EDGE_SIZES) * 2:
            yield EDGE_SIZES[index // 2]
            continue
        # One in fifty is large: those cost as much as all others together.
        low, high = ((1000, 1000), (4000, 3000)) if index % 50 == 0 else ((5, 5), (900, 900))
        yield tuple(int(np.exp(rng.uniform(np.log(a), np.log(b + 1)))) for a, b in zip(low, high, strict=True))  # type: ignore[misc]


def differences(
    rgb: NDArray[np.uint8], tally: Counter[str], times: dict[str, list[float]], others: Sequence[str] = ()
) -> list[str]:
    """What differs between ours and the packages for one picture, in words; empty where nothing does.

    ``others`` are further implementations of the kernels, beside the one in use.
    """
    import imagehash
    import pdqhash

    found = []
    luma = kernels.rgb_to_luma(rgb)
    start = time.perf_counter()
    code, quality = kernels.pdq_from_pixels(rgb)
    middle = time.perf_counter()
    bits, expected_quality = pdqhash.compute(rgb)
    end = time.perf_counter()
    times["ours"].append(middle - start)
    times["pdqhash"].append(end - middle)
    tally["exact path"] += reference.pdq_in_float64(luma, dihedral=False) is None
    if expected_quality >= 50:
        tally["quality of 50 or more"] += 1
        tally["exact path, quality of 50 or more"] += reference.pdq_in_float64(luma, dihedral=False) is None

    def compare(what: str, ours: bytes, theirs: bytes) -> None:
        wrong = np.flatnonzero(
            np.unpackbits(np.frombuffer(ours, np.uint8)) != np.unpackbits(np.frombuffer(theirs, np.uint8))
        )
        tally["hashes"] += 1
        tally["differing bits"] += len(wrong)
        if len(wrong):
            found.append(f"{what}: bits {', '.join(map(str, wrong))} (0 is the first)")

    compare("pdq", code.tobytes(), np.packbits(bits).tobytes())
    codes, dihedral_quality = kernels.pdq_dihedral_from_luma(luma)
    turned, expected_dihedral = pdqhash.compute_dihedral(rgb)
    for name, ours, theirs in zip(kernels.DIHEDRAL_ORDER, codes, turned, strict=True):
        compare(f"pdq {name}", ours.tobytes(), np.packbits(theirs).tobytes())
    if (quality, dihedral_quality) != (expected_quality, expected_dihedral):
        tally["differing qualities"] += 1
        found.append(f"quality {quality} and {dihedral_quality}; expected {expected_quality} and {expected_dihedral}")

    pixels = imaging.decode(imaging.encode(rgb, "BMP"))
    if not np.array_equal(pixels.rgb, rgb):
        found.append("the picture does not survive a BMP file")
    hashes, _ = hashers.compute(pixels, ("phash", "dhash", "ahash", "whash"))
    family = {}
    for name, function in (("phash", "phash"), ("dhash", "dhash"), ("ahash", "average_hash"), ("whash", "whash")):
        family[name] = bytes.fromhex(str(getattr(imagehash, function)(pixels.image)))
        compare(name, hashes[name], family[name])
    tally["phash left to imagehash"] += (
        kernels.family_from_pixels(rgb, ["phash"], vertical_first=pixels.vertical_first)["phash"] is None
    )
    before = os.environ.get(kernels.ENVIRONMENT_VARIABLE)
    for implementation in others:
        os.environ[kernels.ENVIRONMENT_VARIABLE] = implementation
        code, quality = kernels.pdq_from_pixels(rgb)
        compare(f"{implementation}: pdq", code.tobytes(), np.packbits(bits).tobytes())
        codes, dihedral_quality = kernels.pdq_dihedral_from_pixels(rgb)
        for name, ours, theirs in zip(kernels.DIHEDRAL_ORDER, codes, turned, strict=True):
            compare(f"{implementation}: pdq {name}", ours.tobytes(), np.packbits(theirs).tobytes())
        if (quality, dihedral_quality) != (expected_quality, expected_dihedral):
            tally["differing qualities"] += 1
            found.append(f"{implementation}: quality {quality} and {dihedral_quality}")
        native = kernels.family_from_pixels(rgb, vertical_first=pixels.vertical_first)
        for name, value in native.items():
            if value is not None:
                compare(f"{implementation}: {name}", value, family[name])
    if before is None:
        os.environ.pop(kernels.ENVIRONMENT_VARIABLE, None)
    else:
        os.environ[kernels.ENVIRONMENT_VARIABLE] = before
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="images to generate (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="60 images, to see that it works")
    parser.add_argument("--seed", type=int, default=0, help="seed of the images (default: %(default)s)")
    options = parser.parse_args()
    if options.quick:
        options.count = 60
    from _stamp import stamp

    print(json.dumps(stamp(), default=str, indent=2))
    rng = np.random.default_rng(options.seed)
    tally: Counter[str] = Counter()
    times: dict[str, list[float]] = {"ours": [], "pdqhash": []}
    exact_by_kind: Counter[str] = Counter()
    total_by_kind: Counter[str] = Counter()
    names = [item.name for item in kernels.implementations() if item.available]
    names = [kernels.active(), *(name for name in names if name != kernels.active())]
    print(f"kernels: {', '.join(names)}")
    failed = 0
    for index, (width, height) in enumerate(sizes(rng, options.count)):
        kind = KINDS[int(rng.integers(len(KINDS)))] if index % 3 else synthetic.KINDS[1 + index // 3 % 3]
        before = tally["exact path"]
        others = names[1:] if index % 10 == 0 else [name for name in names[1:] if name != "numpy"]
        found = differences(picture(rng, width, height, kind), tally, times, others)
        total_by_kind[kind] += 1
        exact_by_kind[kind] += tally["exact path"] - before
        failed += bool(found)
        for line in found:
            print(f"image {index}: {kind}, {width} x {height}: {line}")
    print(f"images {options.count:,}, of which differ {failed:,}")
    for name in (
        "hashes",
        "differing bits",
        "differing qualities",
        "exact path",
        "quality of 50 or more",
        "phash left to imagehash",
    ):
        print(f"{name}: {tally[name]:,}")
    print(f"exact path, quality of 50 or more: {tally['exact path, quality of 50 or more']:,}")
    print("exact path by kind:", ", ".join(f"{k} {exact_by_kind[k]}/{n}" for k, n in sorted(total_by_kind.items())))
    for name, values in times.items():
        print(f"{name}: median {statistics.median(values) * 1e3:.2f} ms, sum {sum(values):.1f} s")
    timing()
    return 1 if failed else 0


def timing() -> None:
    """Time of one PDQ hash from RGB, ours on either path and pdqhash's, in one run."""
    import pdqhash

    for width, height in ((500, 375), (4000, 3000)):
        rgb = synthetic.image(1, width, height, "noise")
        luma = kernels.rgb_to_luma(rgb)
        for name, call in (
            ("luma of the kernels in use", lambda rgb=rgb: kernels.rgb_to_luma(rgb)),
            ("NumPy, float64 path", lambda luma=luma: reference.pdq_in_float64(luma, dihedral=False)),
            ("NumPy, exact path", lambda luma=luma: reference.pdq_in_float32(luma, dihedral=False)),
            (f"{kernels.active()}, RGB to hash", lambda rgb=rgb: kernels.pdq_from_pixels(rgb)),
            ("pdqhash, RGB to hash", lambda rgb=rgb: pdqhash.compute(rgb)),
        ):
            best = 1e9
            for _ in range(20 if width < 1000 else 3):
                start = time.perf_counter()
                call()
                best = min(best, time.perf_counter() - start)
            print(f"{width} x {height}: {name}: best {best * 1e3:.2f} ms")


if __name__ == "__main__":
    sys.exit(main())
