"""Benign generated pictures with the variety that a benchmark of accuracy needs, made from a seed.

Most are scenes: a ground (landscape, room or backdrop), textures whose detail falls with frequency as in photographs,
objects in front of it, blur with distance, darker corners and grain. The others are plain texture, hard-edged shapes
and pages of text (`hashmatch.synthetic`).

They are not photographs. Their low frequencies, of which perceptual hashes are made, are simpler and more alike in some
ways (few objects, one horizon) and more random in others (no faces, no streets, no people that pose alike).
"""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from hashmatch import synthetic

__all__ = ["KINDS", "picture"]

#: Kind -> its share of the pictures, in percent.
KINDS = {"scene": 70, "noise": 10, "shapes": 10, "text": 10}

_RATIOS = (1.0, 4 / 3, 3 / 4, 3 / 2, 2 / 3, 16 / 9, 9 / 16)
_Field = NDArray[np.float32]


def picture(seed: int) -> tuple[NDArray[np.uint8], str]:
    """A picture of 288 to 512 pixels on its longer side.

    Args:
        seed: any whole number; the same seed, NumPy and Pillow give the same pixels.

    Returns:
        ``(uint8[height, width, 3], kind)``, RGB and one of `KINDS`.
    """
    chance = random.Random(seed)
    kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
    longer, ratio = chance.randint(288, 512), chance.choice(_RATIOS)
    width, height = (longer, round(longer / ratio)) if ratio >= 1 else (round(longer * ratio), longer)
    if kind == "scene":
        return _scene(chance, np.random.default_rng(seed), width, height), kind
    return synthetic.image(seed, width, height, kind), kind


def _texture(rng: np.random.Generator, width: int, height: int, fall: float) -> _Field:
    """Octaves of noise, each ``fall`` times as strong as the one before: mean 0, deviation about 1."""
    total = np.zeros((height, width), np.float32)
    strength, power, cells = 1.0, 0.0, 2
    while cells < max(width, height):
        grid = Image.fromarray(rng.standard_normal((cells + 1, cells + 1), dtype=np.float32))
        total += strength * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
        power += strength**2
        strength, cells = strength * fall, cells * 2
    return (total / np.float32(power**0.5)).astype(np.float32)


def _colour(chance: random.Random, low: int = 10, high: int = 245) -> _Field:
    """A colour, most of them rather dull, as most things are."""
    grey = chance.uniform(low, high)
    tint = chance.choice((8, 20, 45))
    return np.array([grey + chance.gauss(0, tint) for _ in range(3)], np.float32)


def _ground(chance: random.Random, width: int, height: int) -> _Field:
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    columns = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    form = chance.random()
    if form < 0.45:  # a landscape: the upper part is mostly lighter
        horizon = np.float32(chance.uniform(0.2, 0.8)) + np.float32(chance.uniform(-0.15, 0.15)) * columns
        sky, haze, earth, near = _colour(chance, 110), _colour(chance, 120), _colour(chance, 20, 160), _colour(chance)
        above = sky + (haze - sky) * rows
        below = earth + (near - earth) * rows
        return np.where(rows < horizon, above, below).astype(np.float32)
    ground = _colour(chance) + (rows - 0.5) * chance.uniform(-120, 120) + (columns - 0.5) * chance.uniform(-120, 120)
    ground = ground.astype(np.float32)
    if form < 0.8:  # a room: walls, doors, windows
        canvas = Image.new("L", (width, height), 0)
        for _ in range(chance.randint(2, 6)):
            canvas.paste(0, (0, 0, width, height))
            left, top = chance.uniform(-0.3, 0.9) * width, chance.uniform(-0.3, 0.9) * height
            right, bottom = left + chance.uniform(0.1, 0.9) * width, top + chance.uniform(0.1, 1.2) * height
            lean = chance.uniform(-0.1, 0.1) * width
            corners = [(left, top), (right, top + lean), (right, bottom), (left, bottom - lean)]
            ImageDraw.Draw(canvas).polygon(corners, fill=255)
            _lay(ground, canvas, _colour(chance))
    return ground


def _lay(view: _Field, mask: Image.Image, colour: _Field, relief: _Field | None = None) -> None:
    """Put a colour, lighter or darker by ``relief`` (of the view's sides), on the view where the mask is not black."""
    box = mask.getbbox()
    if box is None:
        return
    left, top, right, bottom = box
    part = view[top:bottom, left:right]
    over = colour if relief is None else colour + relief[top:bottom, left:right, None]
    part += np.asarray(mask.crop(box), np.float32)[..., None] / np.float32(255) * (over - part)


def _mask(chance: random.Random, width: int, height: int) -> Image.Image:
    """One object: an ellipse, a polygon or a figure of some ellipses; more of them in the middle than at the edges."""
    canvas = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(canvas)
    x, y = chance.gauss(0.5, 0.25) * width, chance.gauss(0.55, 0.25) * height
    size = min(width, height) * 0.04 * 12 ** chance.random()
    form = chance.random()
    if form < 0.4:
        angle, corners = chance.uniform(0, 6.3), chance.randint(3, 8)
        points = []
        for corner in range(corners):
            reach = size * chance.uniform(0.4, 1.3)
            turn = angle + 6.283 * corner / corners
            points.append((x + reach * float(np.cos(turn)), y + reach * float(np.sin(turn))))
        draw.polygon(points, fill=255)
    else:
        for _ in range(1 if form < 0.6 else chance.randint(2, 5)):
            across, down = size * chance.uniform(0.3, 1), size * chance.uniform(0.3, 1)
            draw.ellipse((x - across, y - down, x + across, y + down), fill=255)
            x, y = x + chance.uniform(-1, 1) * size, y + chance.uniform(-0.3, 1) * size
    soft = chance.choice((0.5, 0.8, 1.5, 4.0))  # pixels: how far out of focus
    return canvas.filter(ImageFilter.GaussianBlur(soft))


def _scene(chance: random.Random, rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    view = _ground(chance, width, height)
    view += _texture(rng, width, height, chance.uniform(0.5, 0.85))[..., None] * chance.uniform(6, 45)
    detail = _texture(rng, width, height, 0.8)
    for _ in range(chance.randint(1, 14)):
        mask = _mask(chance, width, height)
        shade = np.linspace(*(chance.uniform(-50, 50) for _ in range(2)), width, dtype=np.float32)[None, :]
        _lay(view, mask, _colour(chance), shade + detail * np.float32(chance.uniform(2, 35)))
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    view *= 1 - np.float32(chance.choice((0.0, 0.1, 0.3))) * (rows**2 + columns**2) / 2
    view = 128 + (view - 128) * chance.uniform(0.7, 1.2) + chance.uniform(-15, 15)
    view += rng.standard_normal((height, width, 1), dtype=np.float32) * chance.uniform(0, 6)
    pixels: NDArray[np.uint8] = np.clip(view, 0, 255).astype(np.uint8)
    return pixels
