"""What happens to pictures on their way: edits with Pillow alone, each a function from a picture to its edited copy."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from hashmatch import synthetic

__all__ = ["EDITS", "SAVED", "Edit"]

#: Quality of the JPEG as which a copy is saved, where the edit is not about that.
SAVED = 85

_Change = Callable[[Image.Image, random.Random], Image.Image]


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit.

    Attributes:
        name: what it is called in results.
        group: edits of one kind, for figures.
        says: what it does, in words.
        change: makes the copy's pixels; the picture is mode RGB or L and is not changed. The generator decides what is
            random: colours and words.
        quality: of the JPEG as which the copy is saved.
    """

    name: str
    group: str
    says: str
    change: _Change
    quality: int = SAVED

    def copy(self, picture: Image.Image, seed: int) -> bytes:
        """The edited copy as a JPEG file; the same picture and seed give the same bytes."""
        buffer = io.BytesIO()
        self.change(picture, random.Random(f"{self.name} {seed}")).save(buffer, "JPEG", quality=self.quality)
        return buffer.getvalue()


def _same(picture: Image.Image, _: random.Random) -> Image.Image:
    return picture


def _resize(factor: float) -> _Change:
    def change(picture: Image.Image, _: random.Random) -> Image.Image:
        size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
        return picture.resize(size, Image.Resampling.LANCZOS)

    return change


def _blur(share: float) -> _Change:
    """Gaussian, its deviation ``share`` of the longer side, so that pictures of all sizes lose the same."""
    return lambda picture, _: picture.filter(ImageFilter.GaussianBlur(share * max(picture.size)))


def _brightness(factor: float) -> _Change:
    return lambda picture, _: ImageEnhance.Brightness(picture).enhance(factor)


def _contrast(factor: float) -> _Change:
    return lambda picture, _: ImageEnhance.Contrast(picture).enhance(factor)


def _saturation(factor: float) -> _Change:
    return lambda picture, _: ImageEnhance.Color(picture).enhance(factor)


def _grey(picture: Image.Image, _: random.Random) -> Image.Image:
    return picture.convert("L")


def _words(chance: random.Random, width: int, height: int) -> Image.Image:
    """A line of capitals as a mask of at most these sides, made of `hashmatch.synthetic.GLYPHS`: no font is needed."""
    characters = [chance.choice(list(synthetic.GLYPHS)) for _ in range(chance.randint(10, 18))]
    line = Image.new("L", (6 * len(characters) - 1, 7), 0)
    for place, character in enumerate(characters):
        glyph = synthetic.GLYPHS[character]
        for row, column in zip(*glyph.nonzero(), strict=True):
            line.putpixel((6 * place + int(column), int(row)), 255)
    scale = max(1.0, min(width / line.width, height / line.height))
    return line.resize((round(line.width * scale), round(line.height * scale)), Image.Resampling.NEAREST)


def _captions(share: float, *places: str) -> _Change:
    """White words with a black edge, ``share`` of the height, in the middle of the ``top`` or ``bottom`` edge."""

    def change(picture: Image.Image, chance: random.Random) -> Image.Image:
        copy = picture.copy()
        for place in places:
            words = _words(chance, round(copy.width * 0.92), round(copy.height * share))
            left = (copy.width - words.width) // 2
            margin = round(copy.height * 0.03)
            top = margin if place == "top" else copy.height - margin - words.height
            edge = ImageOps.expand(words, 2).filter(ImageFilter.MaxFilter(5))
            copy.paste("black", (left - 2, top - 2), edge)
            copy.paste("white", (left, top), words)
        return copy

    return change


def _crop(share: float) -> _Change:
    """Without ``share`` of the width on the left and on the right, and of the height above and below."""

    def change(picture: Image.Image, _: random.Random) -> Image.Image:
        across, down = round(picture.width * share), round(picture.height * share)
        return picture.crop((across, down, picture.width - across, picture.height - down))

    return change


def _pad(across: float, down: float) -> _Change:
    """On a canvas, black or white by chance, with these shares of the sides added at either end."""

    def change(picture: Image.Image, chance: random.Random) -> Image.Image:
        left, top = round(picture.width * across), round(picture.height * down)
        border = (left, top, left, top)
        return ImageOps.expand(picture, border, chance.choice(("black", "white")))

    return change


def _mirror(picture: Image.Image, _: random.Random) -> Image.Image:
    return ImageOps.mirror(picture)


def _rotate(degrees: float) -> _Change:
    """Anticlockwise about the middle; the sides stay, and corners that come in from outside are black."""
    return lambda picture, _: picture.rotate(degrees, Image.Resampling.BICUBIC)


def _quarter(picture: Image.Image, _: random.Random) -> Image.Image:
    return picture.transpose(Image.Transpose.ROTATE_90)


def _recompress(quality: int) -> _Change:
    """Saved as a JPEG and read again, in the middle of a chain of edits."""

    def change(picture: Image.Image, _: random.Random) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        with Image.open(io.BytesIO(buffer.getvalue())) as read:
            read.load()
            return read

    return change


def _chain(*changes: _Change) -> _Change:
    def change(picture: Image.Image, chance: random.Random) -> Image.Image:
        for step in changes:
            picture = step(picture, chance)
        return picture

    return change


def _bars(picture: Image.Image, chance: random.Random) -> Image.Image:
    """The screen around a picture: bars above (6% of the height) and below (10%) with words in the upper one."""
    top, bottom = max(1, round(picture.height * 0.06)), max(1, round(picture.height * 0.10))
    dark = chance.random() < 0.5
    screen = Image.new("RGB", (picture.width, picture.height + top + bottom), (24, 24, 28) if dark else (244, 244, 244))
    screen.paste(picture, (0, top))
    words = _words(chance, picture.width // 2, top // 2)
    screen.paste((230, 230, 230) if dark else (40, 40, 40), (top // 2, top // 4), words)
    ImageDraw.Draw(screen).rectangle(
        (picture.width * 0.4, screen.height - bottom * 0.6, picture.width * 0.6, screen.height - bottom * 0.5),
        fill=(128, 128, 128),
    )
    return screen


def _as_saved(quality: int) -> Edit:
    return Edit(f"recompress {quality}", "recompress", f"saved as JPEG of quality {quality}", _same, quality)


#: All edits, those of a group together.
EDITS = (
    _as_saved(90),
    _as_saved(50),
    _as_saved(20),
    Edit("resize 0.25", "resize", "a quarter of the width and of the height", _resize(0.25)),
    Edit("resize 0.5", "resize", "half the width and height", _resize(0.5)),
    Edit("resize 2", "resize", "twice the width and height", _resize(2)),
    Edit("blur 0.3%", "blur", "Gaussian blur, its deviation 0.3% of the longer side", _blur(0.003)),
    Edit("blur 1%", "blur", "Gaussian blur, its deviation 1% of the longer side", _blur(0.01)),
    Edit("brightness 0.7", "colour", "all values times 0.7", _brightness(0.7)),
    Edit("brightness 1.3", "colour", "all values times 1.3, clipped", _brightness(1.3)),
    Edit("contrast 0.6", "colour", "contrast times 0.6", _contrast(0.6)),
    Edit("contrast 1.5", "colour", "contrast times 1.5, clipped", _contrast(1.5)),
    Edit("saturation 0.4", "colour", "saturation times 0.4", _saturation(0.4)),
    Edit("saturation 1.8", "colour", "saturation times 1.8, clipped", _saturation(1.8)),
    Edit("greyscale", "colour", "no colour", _grey),
    Edit("caption", "text", "a line of words at the lower edge, up to 6% of the height", _captions(0.06, "bottom")),
    Edit("captions", "text", "lines of words at both edges, up to 12% of the height", _captions(0.12, "top", "bottom")),
    Edit("crop 2.5%", "crop", "2.5% of the sides cut off at every edge", _crop(0.025)),
    Edit("crop 5%", "crop", "5% of the sides cut off at every edge", _crop(0.05)),
    Edit("crop 10%", "crop", "10% of the sides cut off at every edge", _crop(0.1)),
    Edit("pad 5%", "pad", "5% of the sides added at every edge, black or white", _pad(0.05, 0.05)),
    Edit("pad 10%", "pad", "10% of the sides added at every edge, black or white", _pad(0.1, 0.1)),
    Edit("mirror", "turn", "left and right exchanged", _mirror),
    Edit("rotate 1", "turn", "turned by 1 degree, corners black", _rotate(1)),
    Edit("rotate 3", "turn", "turned by 3 degrees, corners black", _rotate(3)),
    Edit("rotate 5", "turn", "turned by 5 degrees, corners black", _rotate(5)),
    Edit("rotate 90", "turn", "turned by 90 degrees, sides exchanged", _quarter),
    Edit(
        "screenshot",
        "several",
        "resized by 0.6, recompressed at quality 70, bars of a screen above (6%) and below (10%)",
        _chain(_resize(0.6), _recompress(70), _bars),
    ),
    Edit(
        "letterbox",
        "several",
        "resized by 0.75, recompressed at quality 60, 12% of the height added above and below",
        _chain(_resize(0.75), _recompress(60), _pad(0, 0.12)),
    ),
    Edit(
        "repost",
        "several",
        "resized by 0.5, contrast 1.2, a line of words at the lower edge, quality 40",
        _chain(_resize(0.5), _contrast(1.2), _captions(0.06, "bottom")),
        40,
    ),
    Edit(
        "edited repost",
        "several",
        "2.5% cut off at every edge, mirrored, resized by 0.5, quality 50",
        _chain(_crop(0.025), _mirror, _resize(0.5)),
        50,
    ),
)
