"""Bytes to pixels: the only module that imports Pillow.

Hostile files are the normal case. A format outside the allow-list never reaches a decoder, limits are checked before
pixels are decoded, and whatever Pillow raises leaves this module as an `ImageError`.

How modes become RGB (or L, where the picture is grey), so that what is hashed is what a viewer shows:

- palettes are resolved; a picture with transparency (alpha channel, palette or colour key) is laid over white;
- CMYK, YCbCr, LAB and HSV are converted as Pillow does it, JPEG's inverted CMYK of Adobe included;
- 16-bit samples (modes ``I;16*`` and ``I``, into which Pillow reads 16-bit PNG and TIFF) keep their high byte, that is
  ``value >> 8``; values of ``I`` outside 16 bits are clipped. Pillow's own conversion to 8 bits clips at 255 instead,
  which makes such pictures white;
- floating point (mode ``F``) is read as 0 to 1 where no sample exceeds 1, else as 0 to 255; clipped, not a number is 0.

Where the caller wants no more than luma, a JPEG in colour can be decoded to its luma plane alone, which saves a third
of the time: the chroma planes are neither transformed nor upsampled nor converted (libjpeg's greyscale output, Pillow's
``draft``). It is left out where it would change what the picture means (CMYK), or nothing (grey).

The first frame of an animation is decoded. The EXIF orientation is applied only where asked for, as hashes in
circulation are mostly made without it; TIFF is the exception, where Pillow itself applies the orientation tag.
"""

from __future__ import annotations

import io
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The plug-ins are imported by name: otherwise Pillow, asked for a format that it has not loaded yet, imports them all.
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
    features,
)

from hashmatch.errors import (
    ArrayError,
    ImageDecodeError,
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
    UsageError,
    shorten,
)
from hashmatch.image_signatures import count_gif_frames, count_tiff_pages, recognise
from hashmatch.pixel_access import copied, shared

__all__ = [
    "ALLOWED_FORMATS",
    "Limits",
    "Pixels",
    "decode",
    "decoder_version",
    "encode",
    "shares_pixels",
    "vertical_first",
]

_PLUGINS = {
    "JPEG": JpegImagePlugin,
    "PNG": PngImagePlugin,
    "GIF": GifImagePlugin,
    "WEBP": WebPImagePlugin,
    "BMP": BmpImagePlugin,
    "TIFF": TiffImagePlugin,
    "MPO": MpoImagePlugin,
}

#: Formats that are decoded. JPEG includes MPO, a JPEG file with more pictures behind the first.
ALLOWED_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")

_COUNTERS = {"GIF": count_gif_frames, "TIFF": count_tiff_pages}

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Limits:
    """What an image may cost. All limits are inclusive.

    Attributes:
        max_bytes: size of the file, in bytes.
        max_pixels: width times height of the picture, in pixels, as its header gives them. Decoding and hashing take
            about 11 bytes of memory per pixel, more where there is transparency. Above 178,956,970 pixels Pillow
            refuses by itself, unless the host application raises ``PIL.Image.MAX_IMAGE_PIXELS``.
        max_frames: frames of an animation or pages of a TIFF. Only the first is decoded; the others cost the walk
            over their headers.
    """

    max_bytes: int = 256 << 20
    max_pixels: int = 120_000_000
    max_frames: int = 10_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"limit {name} is {shorten(str(value))}; expected a whole number of 1 or more")


_DEFAULT_LIMITS = Limits()


class Pixels:
    """One decoded picture.

    Attributes:
        image: the picture as a Pillow image in mode RGB, or L where it is grey or only its luma was decoded.
        luma_step: where the picture has colour that was not decoded (see `decode`), the mean step of its coarsest
            quantisation table; else None.
        width: in pixels, after orientation.
        height: in pixels, after orientation.
        format: name of the format, one of `ALLOWED_FORMATS`.
        mode: Pillow's name of the mode in which the file stores its pixels.
        frames: number of frames or pages in the file; the first is what was decoded.
        oriented: whether an EXIF (or TIFF) orientation other than upright was applied.
    """

    __slots__ = ("_pixels", "_rgb", "format", "frames", "height", "image", "luma_step", "mode", "oriented", "width")

    def __init__(
        self,
        image: Image.Image,
        *,
        format: str,  # noqa: A002
        mode: str,
        frames: int,
        oriented: bool,
        luma_step: float | None = None,
    ) -> None:
        self.image = image
        self.luma_step = luma_step
        self.width, self.height = image.size
        self.format = format
        self.mode = mode
        self.frames = frames
        self.oriented = oriented
        self._rgb: NDArray[np.uint8] | None = None
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def vertical_first(self) -> int:
        """The order in which the decoder's library would resample the picture (`hashmatch.imaging.vertical_first`)."""
        return vertical_first()

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture as Pillow keeps it, without a copy where that can be had; read-only, made on first use.

        ``uint8[height, width]`` where it is grey or only its luma was decoded, else ``uint8[height, width, 4]``, RGB
        and a byte without meaning, or ``uint8[height, width, 3]``, RGB (`hashmatch.pixel_access`).
        """
        if self._pixels is None:
            view = shared(self.image)
            self._pixels = copied(self.image) if view is None else view
        return self._pixels

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """``uint8[height, width, 3]``, C-contiguous; made on first use, read-only or not as Pillow gives it."""
        if self._rgb is None:
            image = self.image if self.image.mode == "RGB" else self.image.convert("RGB")
            self._rgb = np.ascontiguousarray(np.asarray(image, dtype=np.uint8))
        return self._rgb


# --- warnings

# Pillow warns about odd metadata and large pictures. A host that turns warnings into errors must not thereby make files
# unreadable, and one that does not must not have its log filled. `warnings.catch_warnings` would swap the filters of
# the whole process, which is a race where threads decode. Instead there is one filter whose module pattern matches
# only in a thread that is decoding at that moment.
_thread = threading.local()


class _WhileDecoding:
    """Stands in for the compiled pattern of module names in a warning filter."""

    def match(self, _module: str) -> bool:
        return getattr(_thread, "decoding", False)


_QUIET: Any = ("ignore", None, Warning, _WhileDecoding(), 0)


@contextmanager
def _quiet() -> Iterator[None]:
    if getattr(sys.flags, "context_aware_warnings", False):  # Python 3.14: filters belong to the thread's context
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
        return
    filters: Any = warnings.filters
    if not filters or filters[0] is not _QUIET:
        # A host that has put a filter in front of ours, or is inside a catch_warnings of its own.
        with suppress(ValueError):
            filters.remove(_QUIET)
        filters.insert(0, _QUIET)
    _thread.decoding = True
    try:
        yield
    finally:
        _thread.decoding = False


# --- decoding


def decode(
    data: bytes,
    *,
    limits: Limits | None = None,
    orientation: bool = False,
    formats: Sequence[str] = ALLOWED_FORMATS,
    luma: Callable[[int, int, float], bool] | None = None,
) -> Pixels:
    """Decode the first frame of an image file held in memory.

    Args:
        data: the whole file.
        limits: sizes that are refused; the defaults of `Limits` where None.
        orientation: apply the EXIF orientation.
        formats: allowed formats, names of `ALLOWED_FORMATS`; no other decoder sees the bytes.
        luma: asked for a JPEG in colour whether its luma plane is enough, with its width and height in pixels and the
            mean step of its coarsest quantisation table (1 to 255 in files of 8 bits, more is coarser). If so, no
            other plane is decoded.

    Raises:
        ImageFormatError: not an image, or not of an allowed format.
        ImageTooLargeError: over a limit (a decompression bomb among them), or more than the memory holds.
        ImageDecodeError: truncated or corrupt.
        UsageError: an unknown name in ``formats``.
    """
    limits = limits or _DEFAULT_LIMITS
    allowed = _allowed(formats)
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(f"{len(data):,} bytes; the limit is {limits.max_bytes:,} bytes")
    if not data:
        raise ImageDecodeError("empty file: 0 bytes")
    found = recognise(data)
    what = f"{found or 'unknown'} file of {len(data):,} bytes"
    if found is None or found not in allowed:
        start = _beginning(data) if found is None else "which is not an allowed format"
        raise ImageFormatError(f"{what}, {start}; expected {', '.join(allowed)}")
    try:
        with _quiet():
            return _decode(data, found, limits, orientation, luma)
    except ImageError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageTooLargeError(f"{what}: too large to decode: {str(error) or 'out of memory'}") from error
    # Anything may come out of a decoder that is fed hostile bytes: OSError, SyntaxError, ValueError, struct.error,
    # EOFError, IndexError, KeyError, ZeroDivisionError, RecursionError ... None of it may end a scan.
    except Exception as error:
        raise ImageDecodeError(f"{what}: {_reason(error)}") from error


def _beginning(data: bytes) -> str:
    """What a message says of the first bytes of a file of no known format: nothing of text, which may be hashes."""
    first = data[:8]
    is_text = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in first)
    return "which begins with text" if is_text else f"starting with {first.hex(' ')}"


def _allowed(formats: Sequence[str]) -> Sequence[str]:
    if formats is ALLOWED_FORMATS:
        return formats
    allowed = tuple(dict.fromkeys(name.upper() for name in formats))
    if unknown := [name for name in allowed if name not in ALLOWED_FORMATS]:
        raise UsageError(
            f"unknown image format {shorten(unknown[0])}; expected names from {', '.join(ALLOWED_FORMATS)}"
        )
    return allowed


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "damaged header: no picture can be found in it"
    text = " ".join(str(error).split())
    return f"truncated or corrupt: {text[:200] or type(error).__name__}"


def _decode(
    data: bytes,
    format: str,  # noqa: A002
    limits: Limits,
    orientation: bool,
    luma: Callable[[int, int, float], bool] | None,
) -> Pixels:
    with Image.open(io.BytesIO(data), formats=(format,)) as file:
        width, height = file.size
        if width * height > limits.max_pixels:
            raise ImageTooLargeError(
                f"{format} image of {width:,} x {height:,} = {width * height:,} pixels; "
                f"the limit is {limits.max_pixels:,} pixels"
            )
        if width < 1 or height < 1:
            raise ImageDecodeError(f"{format} image of {width} x {height} pixels: there is no picture")
        frames = _count_frames(data, file, format, limits.max_frames)
        if frames > limits.max_frames:
            raise ImageTooLargeError(f"{format} image of {frames:,} or more frames; the limit is {limits.max_frames:,}")
        mode = file.mode
        # TIFF: Pillow turns the picture by itself while loading, and then drops the tag.
        stored = _orientation(file) if format == "TIFF" else 1
        luma_step = _draft_luma(file, luma) if luma is not None and format == "JPEG" else None
        file.load()
        turn = _orientation(file) if orientation and format != "TIFF" else 1
        image = _to_rgb_or_l(file)
    if turn in _TURNS:
        image = image.transpose(_TURNS[turn])
    oriented = turn in _TURNS or stored in _TURNS
    return Pixels(image, format=format, mode=mode, frames=frames, oriented=oriented, luma_step=luma_step)


def _draft_luma(file: Image.Image, luma: Callable[[int, int, float], bool]) -> float | None:
    """Have ``file``, a JPEG, decode its luma plane alone if that is enough: its coarsest step then, else None."""
    if not isinstance(file, JpegImagePlugin.JpegImageFile) or file.mode != "RGB":
        return None
    step = max((sum(table) / len(table) for table in file.quantization.values()), default=255.0)
    if not luma(*file.size, step):
        return None
    file.draft("L", None)  # without a size nothing is scaled
    return step if file.mode == "L" else None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none or it cannot be read: metadata is no reason to fail."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - the EXIF block of a hostile file: see `decode`
        return 1
    return value if isinstance(value, int) else 1


def _count_frames(data: bytes, file: Image.Image, format: str, limit: int) -> int:  # noqa: A002
    """Number of frames, or some number above ``limit`` where there are more."""
    if format in _COUNTERS:
        return max(1, _COUNTERS[format](data, limit + 1))
    return int(getattr(file, "n_frames", 1))


def _to_rgb_or_l(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if mode == "I" or mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.int64)
        return Image.fromarray((np.clip(samples, 0, 0xFFFF) >> 8).astype(np.uint8))
    if mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=255.0, neginf=0.0)
        scale = 255 if values.size and values.max() <= 1 else 1
        return Image.fromarray((np.clip(values * scale, 0, 255) + 0.5).astype(np.uint8))
    if mode == "La":
        image = image.convert("LA")
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or ("transparency" in image.info and mode in ("1", "L", "P", "RGB")):
        top = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", top.size, (255, 255, 255, 255)), top).convert("RGB")
    return image.convert("L" if mode in ("L", "1") else "RGB")


# --- encoding and versions


def encode(pixels: NDArray[np.uint8], format: str, **options: Any) -> bytes:  # noqa: A002
    """Encode a synthetic picture, without any metadata: the same input and the same Pillow give the same bytes.

    Args:
        pixels: ``uint8[height, width, 3]`` RGB or ``uint8[height, width]`` grey.
        format: one of `ALLOWED_FORMATS`, in any case.
        options: of Pillow's writer for the format, such as ``quality=80``.

    Raises:
        ArrayError: wrong dtype or shape, or an empty array.
        UsageError: an unknown format, or a picture or option that the writer refuses.
    """
    grey, colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (grey or colour) or not pixels.size:
        raise ArrayError(f"pixels are {pixels.dtype}{list(pixels.shape)}; expected uint8[h, w, 3] or uint8[h, w]")
    if format.upper() not in ALLOWED_FORMATS:
        raise UsageError(f"unknown image format {shorten(format)}; expected one of {', '.join(ALLOWED_FORMATS)}")
    buffer = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format.upper(), **options)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"cannot write {pixels.shape[1]} x {pixels.shape[0]} pixels as {format}: {error}") from error
    return buffer.getvalue()


def shares_pixels() -> bool:
    """Whether the installed Pillow gives its pixels without a copy (`hashmatch.pixel_access`)."""
    return shared(Image.new("RGB", (2, 2))) is not None


@cache
def vertical_first() -> int:
    """When the installed Pillow resamples the columns of a picture before its rows.

    Resampling rounds to 8 bits between its two passes, so their order shows in the result. Seen on two pictures for
    which it does, and not read from a version number.

    Returns:
        0 for never (Pillow until 12.1), 1 where the height is over 100 times the width (12.2 and 12.3), 2 where the
        height shrinks, and by over twice as many pixels as the width (from 13.0 on).
    """
    filtered = Image.Resampling.LANCZOS
    for rule, (width, height) in ((2, (9, 64)), (1, (3, 400))):
        image = Image.frombytes("L", (width, height), bytes(37 * i * i % 251 for i in range(width * height)))
        columns_first = image.resize((width, 8), filtered).resize((8, 8), filtered)
        if image.resize((8, 8), filtered).tobytes() == columns_first.tobytes():
            return rule
    return 0


@cache
def decoder_version() -> str:
    """The decoder and its libraries, with versions: ``Pillow 13.0.0 (libjpeg-turbo 3.2.0, zlib-ng 2.3.3, ...)``."""
    parts = []
    for name, feature, fallback in (
        ("libjpeg-turbo", "libjpeg_turbo", ("libjpeg", "jpg")),
        ("zlib-ng", "zlib_ng", ("zlib", "zlib")),
        ("libwebp", "webp", None),
        ("libtiff", "libtiff", None),
    ):
        version = _version(feature)
        if version:
            parts.append(f"{name} {version}")
        elif fallback and (version := _version(fallback[1])):
            parts.append(f"{fallback[0]} {version}")
    return f"Pillow {features.version('pil')} ({', '.join(parts)})"


def _version(feature: str) -> str | None:
    return features.version(feature) if features.check(feature) else None
