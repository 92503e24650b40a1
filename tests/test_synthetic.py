from __future__ import annotations

import hashlib

import numpy as np
import pytest

from hashmatch import synthetic
from hashmatch.errors import UsageError
from hashmatch.hashers import pdq

# Digests of the pixels: a seed means the same picture on every machine and with every NumPy.
KNOWN = {
    "gradient": "1dc5a1b6fc5a9b4b",
    "noise": "c3bb0615c3e74ec4",
    "shapes": "b82fe2bf2b7f4e3f",
    "text": "6efd3f174d943cdc",
}


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_pixels_are_pinned(kind: str) -> None:
    pixels = synthetic.image(12345, 211, 123, kind)
    assert (pixels.shape, pixels.dtype) == ((123, 211, 3), np.uint8)
    assert pixels.flags.c_contiguous
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == KNOWN[kind]


@pytest.mark.parametrize("kind", synthetic.KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 3), (5, 5), (64, 63), (129, 3), (1, 300)])
def test_any_size(kind: str, size: tuple[int, int]) -> None:
    for seed in (0, 1, -5, 1 << 70):
        assert synthetic.image(seed, *size, kind).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_seeds_differ(kind: str) -> None:
    assert len({synthetic.image(seed, 40, 30, kind).tobytes() for seed in range(20)}) == 20


def test_seed_chooses_kind() -> None:
    chosen = {
        next(k for k in synthetic.KINDS if np.array_equal(synthetic.image(s, 20, 20, k), synthetic.image(s, 20, 20)))
        for s in range(40)
    }
    assert chosen == set(synthetic.KINDS)


@pytest.mark.parametrize("kind", ["noise", "shapes", "text"])
@pytest.mark.parametrize("size", [(64, 64), (100, 64), (500, 375), (64, 700)])
def test_carries_detail(kind: str, size: tuple[int, int]) -> None:
    assert min(pdq.pdq(synthetic.image(seed, *size, kind))[1] for seed in range(8)) >= 50


def test_different_pictures_are_far_apart() -> None:
    codes = [
        int.from_bytes(pdq.pdq(synthetic.image(seed, 128, 96, kind))[0])
        for kind in ("noise", "shapes", "text")
        for seed in range(25)
    ]
    assert min((a ^ b).bit_count() for i, a in enumerate(codes) for b in codes[:i]) > 62


def test_font() -> None:
    assert len(synthetic.GLYPHS) == 36
    assert len({glyph.tobytes() for glyph in synthetic.GLYPHS.values()}) == 36
    assert all(glyph.shape == (7, 5) and glyph.any() for glyph in synthetic.GLYPHS.values())


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5)])
def test_no_picture(width: int, height: int) -> None:
    with pytest.raises(UsageError, match="sides of 1 or more"):
        synthetic.image(0, width, height)


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match="gradient, noise, shapes, text"):
        synthetic.image(0, 5, 5, "photo")
