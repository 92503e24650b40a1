"""How fast are the pixel kernels beside pdqhash and imagehash?

PDQ from luma and from RGB, its exact path, and the 64-bit family, on every implementation that the machine has, against
the packages pdqhash and imagehash on the same picture of 0.2 megapixels. Correctness first: a difference ends the run.
Times are the best of interleaved rounds; the ratios within one run are what counts.

    python benchmarks/pixel_kernels.py --rounds 60
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np
from _stamp import show_stamp
from numpy.typing import NDArray
from PIL import Image

from hashmatch import imaging, kernels, synthetic
from hashmatch.kernels import reference

#: Time of pdqhash from an RGB array over that of PDQ from luma, at least, on the fastest implementation with AVX-512.
BAR = 40

WIDTH, HEIGHT = 500, 375
_CALLS = 8  # in a turn


def use(name: str) -> None:
    os.environ[kernels.ENVIRONMENT_VARIABLE] = name


def check(names: list[str]) -> int:
    """Every implementation against the packages, on pictures of all kinds; the number of differences."""
    import imagehash
    import pdqhash

    wrong = 0
    sizes = ((WIDTH, HEIGHT), (HEIGHT, WIDTH), (300, 200), (129, 640), (2100, 90), (64, 64))
    for seed, (width, height) in enumerate(sizes * 4):
        rgb = synthetic.image(seed, width, height, synthetic.KINDS[seed % 4])
        bits, quality = pdqhash.compute(rgb)
        expected = np.packbits(bits).tobytes(), quality
        image = Image.fromarray(rgb)
        family = {
            name: np.packbits(function(image).hash).tobytes()
            for name, function in (
                ("phash", imagehash.phash), ("dhash", imagehash.dhash), ("ahash", imagehash.average_hash)
            )
        }  # fmt: skip
        for name in names:
            use(name)
            code, found = kernels.pdq_from_pixels(rgb)
            codes = kernels.family_from_pixels(rgb, vertical_first=imaging.vertical_first())
            differs = (code.tobytes(), found) != expected or any(
                codes[key] not in (None, family[key]) for key in family
            )
            if differs:
                wrong += 1
                print(f"{name}: {width} x {height}, seed {seed}: differs from the packages")
    return wrong


def paths(number: int) -> int:
    """The native fast path against NumPy's, which works in float64: where they decide, and what."""
    from hashmatch import _native

    both = one = wrong = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        width, height = (int(side) for side in rng.integers(129, 900, 2))
        rgb = synthetic.image(seed, width, height, synthetic.KINDS[1 + seed % 3])
        fast = _native.pdq(number, rgb, height, width, 3, 3 * width, False, 1)
        slow = reference.pdq_in_float64(reference.rgb_to_luma(rgb), dihedral=False)
        both += fast is not None and slow is not None
        one += (fast is None) != (slow is None)
        wrong += fast is not None and slow is not None and fast != (slow[0][0].tobytes(), slow[1])
    print(f"200 pictures of 129 to 900 pixels a side: the fast path decides {both}, and {one} where NumPy's does not")
    print(f"or the other way round; of those that both decide {wrong} differ.")
    return wrong


def measured(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Name -> best time of one call, in microseconds. They take turns, of several calls each: as in a scan, where a
    hash is not the first of its kind."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            start = time.perf_counter()
            for _ in range(_CALLS):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / _CALLS)
    return {name: value * 1e6 for name, value in best.items()}


def calls_of(name: str, rgb: NDArray[np.uint8], luma: NDArray[np.uint8]) -> dict[str, Callable[[], object]]:
    native = [item.name for item in kernels.implementations() if item.available and item.name != "numpy"]
    rule = imaging.vertical_first()

    def with_(call: Callable[[], object]) -> Callable[[], object]:
        def run() -> object:
            use(name)
            return call()

        return run

    rgbx = np.dstack([rgb, luma])
    calls = {
        "PDQ from luma": with_(lambda: kernels.pdq_from_pixels(luma)),
        "PDQ from RGB": with_(lambda: kernels.pdq_from_pixels(rgb)),
        "PDQ from RGBX": with_(lambda: kernels.pdq_from_pixels(rgbx)),
        "PDQ, eight orientations, from RGB": with_(lambda: kernels.pdq_dihedral_from_pixels(rgb)),
        "family from luma": with_(lambda: kernels.family_from_pixels(luma, vertical_first=rule)),
        "family from RGB": with_(lambda: kernels.family_from_pixels(rgb, vertical_first=rule)),
        "RGB to float32 luma": with_(lambda: kernels.rgb_to_luma(rgb)),
    }
    if name in native:
        from hashmatch import _native

        number = native.index(name)
        calls["PDQ from RGB, exact path"] = lambda: _native.pdq(number, rgb, HEIGHT, WIDTH, 3, 3 * WIDTH, False, 2)
        calls["PDQ from luma, exact path"] = lambda: _native.pdq(number, luma, HEIGHT, WIDTH, 1, WIDTH, False, 2)
    else:
        plane = reference.rgb_to_luma(rgb)
        calls["PDQ from RGB, exact path"] = lambda: reference.pdq_in_float32(plane, dihedral=False)
    return calls


def on_fast_path(rule: Callable[[NDArray[np.uint8]], bool]) -> NDArray[np.uint8]:
    """A picture whose hash float64 decides, from RGB and from its green channel: the usual case at this size."""
    for seed in range(100):
        rgb = synthetic.image(seed, WIDTH, HEIGHT, "noise")
        if rule(rgb):
            return rgb
    raise SystemExit("no picture takes the fast path")


def decided(rgb: NDArray[np.uint8]) -> bool:
    planes = reference.rgb_to_luma(rgb), rgb[..., 1].astype(np.float32)
    return all(reference.pdq_in_float64(plane, dihedral=True) is not None for plane in planes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="rounds of each measurement (default: %(default)s)")
    options = parser.parse_args()
    import imagehash
    import pdqhash

    os.environ.pop(kernels.ENVIRONMENT_VARIABLE, None)
    show_stamp()
    names = [item.name for item in kernels.implementations() if item.available]
    if wrong := check(names):
        print(f"{wrong} pictures differ")
        return 1
    print(f"24 pictures agree with pdqhash and imagehash on {', '.join(names)}.")
    if len(names) > 1 and paths(0):
        return 1

    rgb = on_fast_path(decided)
    luma = np.ascontiguousarray(rgb[..., 1])
    image = Image.fromarray(rgb)
    packages: dict[str, Callable[[], object]] = {
        "pdqhash": lambda: pdqhash.compute(rgb),
        "imagehash": lambda: (imagehash.phash(image), imagehash.dhash(image), imagehash.average_hash(image)),
    }
    print(f"\n{WIDTH} x {HEIGHT} pixels, one thread, microseconds; the packages take their turns in the same rounds.\n")
    ratio = 0.0
    for name in names:
        best = measured(packages | calls_of(name, rgb, luma), options.rounds if name != "numpy" else 5)
        print(f"| {name} | us | times faster |\n| --- | ---: | ---: |")
        for what, value in best.items():
            if what in packages:
                print(f"| {what}{' (three hashes)' if what == 'imagehash' else ''} | {value:,.0f} | |")
                continue
            other = "imagehash" if what.startswith("family") else "pdqhash" if what.startswith("PDQ") else ""
            print(f"| {what} | {value:,.1f} | {f'{best[other] / value:,.1f}x {other}' if other else ''} |")
        print()
        if name == names[0]:
            ratio = best["pdqhash"] / best["PDQ from luma"]
    os.environ.pop(kernels.ENVIRONMENT_VARIABLE, None)
    reached = ratio >= BAR or names[0] != "avx512"
    print(
        f"PDQ from luma on {names[0]}: {ratio:,.0f} times pdqhash; bar {BAR}: {'reached' if ratio >= BAR else 'missed'}"
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
