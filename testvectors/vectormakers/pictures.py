"""The pictures of the pixel tier: synthetic, benign, each here for one reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels, synthetic
from vectormakers.committed import Committed, document, packed

__all__ = ["Picture", "images_document", "pictures"]


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        id: its name in every file of the pixel tier.
        comment: why it is here.
        pixels: ``uint8[h, w, 3]`` RGB, ``uint8[h, w]`` grey, or ``float32[h, w]`` luma.
        rgb: for a luma plane, the RGB picture that it was made of, to check it with programs that take RGB alone.
    """

    id: str
    comment: str
    pixels: NDArray[Any]
    rgb: NDArray[np.uint8] | None = None

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One channel of an RGB picture is a grey one."""
    return np.ascontiguousarray(pixels[..., 1])


def pictures() -> list[Picture]:
    """All pictures, in the order of the files."""
    found = [*_sizes(), *_grey_and_colour(), *_ties(), *_luma_planes()]
    names = [picture.id for picture in found]
    assert len(set(names)) == len(names)
    return found


def _sizes() -> Iterator[Picture]:
    sizes = (
        (1, 1, "noise", "one pixel; PDQ: a side under 5, all zero, quality 0"),
        (4, 4, "noise", "PDQ: both sides under 5, all zero, quality 0"),
        (5, 4, "noise", "5 wide, 4 high; PDQ: one side under 5 is enough for all zero"),
        (4, 5, "noise", "4 wide, 5 high; the same the other way round"),
        (4, 200, "noise", "a long side does not help a side under 5"),
        (5, 5, "noise", "the smallest picture that has a PDQ hash"),
        (8, 8, "noise", "the size to which aHash reduces; the smallest without enlargement for wHash"),
        (9, 8, "noise", "the size to which dHash reduces"),
        (32, 32, "noise", "the size to which pHash reduces"),
        (63, 65, "noise", "one side below 64, one above; PDQ: decimation repeats columns and skips rows"),
        (64, 64, "noise", "PDQ: exactly 64x64 skips filter and decimation, but not for the dihedral variants"),
        (65, 64, "noise", "PDQ: nearly 64x64; filtered and decimated like any other size"),
        (64, 65, "shapes", "the same the other way round, with hard edges"),
        (127, 127, "noise", "PDQ: window of 1 pixel"),
        (128, 128, "shapes", "PDQ: the largest side with a window of 1 pixel"),
        (129, 129, "shapes", "PDQ: the smallest side with a window of 2 pixels"),
        (128, 129, "noise", "PDQ: window of 1 pixel across and 2 down"),
        (256, 257, "text", "PDQ: windows of 2 and 3 pixels"),
        (5, 200, "noise", "tall and narrow"),
        (300, 7, "noise", "wide and low"),
        (200, 5, "text", "wide and as low as PDQ takes it"),
        (97, 61, "text", "prime sides"),
        (640, 480, "shapes", "PDQ: windows of 5 and 4 pixels"),
        (1000, 40, "text", "windows of 8 and 1 pixels"),
        (6, 5, "noise", "one pixel wider than the smallest"),
        (5, 6, "noise", "one pixel higher than the smallest"),
        (7, 9, "noise", "one below and one above the size to which aHash reduces"),
        (31, 33, "noise", "one below and one above the size to which pHash reduces"),
        (33, 31, "shapes", "the same the other way round"),
        (
            63,
            63,
            "noise",
            "both sides one below 64; PDQ: filtered and decimated, the last row and column are samples too",
        ),
        (63, 64, "text", "one column less than 64x64; PDQ: filtered and decimated"),
        (64, 63, "noise", "one row less than 64x64; PDQ: filtered and decimated"),
        (65, 65, "noise", "both sides one above 64"),
        (128, 127, "noise", "PDQ: the largest window of 1 pixel across, one row less down"),
        (257, 255, "text", "PDQ: windows of 3 and 2 pixels"),
    )
    for seed, (width, height, kind, why) in enumerate(sizes, 100):
        yield Picture(f"{kind}-{width}x{height}", why, synthetic.image(seed, width, height, kind))


def _grey_and_colour() -> Iterator[Picture]:
    yield Picture(
        "grey-noise-75x100", "one channel: luma is the sample itself", _grey(synthetic.image(1, 75, 100, "noise"))
    )
    yield Picture(
        "grey-text-160x120", "one channel, black and white", _grey(synthetic.image(2, 160, 120, "text")) // 128 * 255
    )
    noise = synthetic.image(3, 80, 80, "noise")
    for channel, name in enumerate(("red", "green", "blue")):
        only = np.zeros_like(noise)
        only[..., channel] = noise[..., channel]
        yield Picture(f"only-{name}-80x80", f"{name} alone: a swapped channel or another luma weight shows", only)
    same = noise.copy()
    same[..., 1] = same[..., 2] = same[..., 0]
    yield Picture("equal-channels-80x80", "R = G = B: hashes as the grey picture of the same samples", same)
    yield Picture(
        "grey-equal-80x80", "the grey picture that equal-channels-80x80 repeats", np.ascontiguousarray(same[..., 0])
    )
    wide = np.where(synthetic.image(4, 96, 72, "noise") > 127, np.uint8(255), np.uint8(0))
    yield Picture("saturated-96x72", "samples of 0 and 255 only", wide)


def _ties() -> Iterator[Picture]:
    for value, name in ((0, "black"), (128, "grey"), (255, "white")):
        flat = np.full((70, 70), value, np.uint8)
        yield Picture(f"flat-{name}-70x70", "every sample the same: every comparison is a tie but for rounding", flat)
    rng = np.random.default_rng(8)
    samples = np.repeat(np.array([90, 100, 110], np.uint8), (20, 24, 20))
    yield Picture(
        "mean-ties-8x8",
        "not resampled by aHash, and 24 samples equal the mean of 100: a tie is no 1",
        rng.permutation(samples).reshape(8, 8),
    )
    yield Picture(
        "neighbour-ties-9x8",
        "not resampled by dHash, and half of the neighbours are equal: a tie is no 1",
        rng.integers(3, 5, (8, 9)).astype(np.uint8) * 40,
    )
    y, x = np.mgrid[:64, :64]
    yield Picture("checker-1-64x64", "checkerboard of single pixels", ((x + y) % 2 * 255).astype(np.uint8))
    y, x = np.mgrid[:128, :128]
    yield Picture(
        "checker-16-128x128",
        "checkerboard of 16x16 squares: few distinct values at the median",
        ((x // 16 + y // 16) % 2 * 255).astype(np.uint8),
    )
    y, x = np.mgrid[:64, :96]
    yield Picture(
        "gradient-across-96x64", "dark on the left: columns alike, dHash all ones", (x * 2 + 20).astype(np.uint8)
    )
    yield Picture("gradient-back-96x64", "dark on the right: dHash all zeros", (220 - x * 2).astype(np.uint8))
    yield Picture("gradient-down-96x64", "rows alike: dHash meets ties only", (y * 3 + 20).astype(np.uint8))
    yield Picture("gradient-corner-96x64", "a plane that rises across and down", (x + 2 * y).astype(np.uint8))
    yield Picture("gradient-colour-96x64", "a smooth picture in colour", synthetic.image(5, 96, 64, "gradient"))
    half = np.zeros((72, 96), np.uint8)
    half[:, 48:] = 255
    yield Picture("halves-96x72", "left half black, right half white: aHash 0f0f...", half)
    dot = np.zeros((65, 129), np.uint8)
    dot[20, 40] = 255
    yield Picture("dot-129x65", "one white pixel on black: the impulse response of filter and resampling", dot)


def _luma_planes() -> Iterator[Picture]:
    for seed, width, height in ((6, 64, 64), (7, 130, 66)):
        rgb = synthetic.image(seed, width, height, "noise")
        yield Picture(
            f"luma-{width}x{height}",
            "luma in float32 with fractions: the PDQ kernel without the conversion from RGB",
            kernels.rgb_to_luma(rgb),
            rgb,
        )


def images_document(found: list[Picture], committed: Committed) -> bytes:
    """``images.json``: the samples of all pictures."""
    vectors = []
    for picture in found:
        floating = picture.pixels.dtype == np.float32
        raw = (picture.pixels.astype("<f4") if floating else picture.pixels).tobytes()
        vectors.append(
            {
                "id": picture.id,
                "comment": picture.comment,
                "width": picture.width,
                "height": picture.height,
                "channels": 1 if picture.pixels.ndim == 2 else 3,
                "sample": "float32le" if floating else "uint8",
                **packed(raw, committed),
                "sha256": hashlib.sha256(raw).hexdigest(),
            }
        )
    units = {
        "width, height": "pixels",
        "channels": "1: grey (or luma); 3: red, green, blue, interleaved",
        "sample": "uint8, or float32 little-endian with values from 0 to 255",
        "encoding": "base64 (RFC 4648) of the samples, or of a zlib stream (RFC 1950) that holds them",
        "data": "samples row by row from the top, pixels from the left, no padding",
        "sha256": "of the samples after decoding",
    }
    return document("images", "Pictures of the pixel tier, by id. All are synthetic and benign.", units, vectors)
