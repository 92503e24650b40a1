"""From image files to hashes. PNG and lossless WebP are exact everywhere; JPEG and lossy WebP for the decoder named.

What a lossless file shows is stated here as samples, and hashed as samples: the decoder under test has no part in it.
The bytes of JPEG and WebP files are made once: encoders change, so elsewhere the committed bytes are verified by their
SHA-256 and kept.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from hashmatch import hashing, kernels, synthetic
from hashmatch.hashers import digests, imagehash_family
from vectormakers import png
from vectormakers.committed import Committed, VectorError, document

__all__ = ["PERCEPTUAL", "installed_codecs", "make"]

PERCEPTUAL = ("pdq", *imagehash_family.NAMES)
_DIGESTS = ("md5", "sha256")
_WIDTH, _HEIGHT = 160, 120


def installed_codecs() -> dict[str, str]:
    """Name -> version of what encodes and decodes here."""
    jpeg = {"libjpeg-turbo": "libjpeg_turbo"} if features.check("libjpeg_turbo") else {"libjpeg": "jpg"}
    names = {"Pillow": "pil"} | jpeg | {"libwebp": "webp"}
    return {name: str(features.version(feature)) for name, feature in names.items()}


@dataclass
class _File:
    """A file and what is expected of it.

    Attributes:
        name: under ``files/``.
        comment: why it is here.
        make: makes the bytes.
        shown: the samples that a correct decoder shows, for lossless files; None where only a decoder can tell.
        size: (width, height) that is expected.
        orientations: whether to decode without and with the EXIF orientation.
        error: class and status of the error that is expected instead of hashes.
        codecs: what encodes it, where that is not this program itself.
    """

    name: str
    comment: str
    make: Callable[[], bytes]
    shown: NDArray[np.uint8] | None = None
    size: tuple[int, int] = (_WIDTH, _HEIGHT)
    orientations: tuple[bool, ...] = (False,)
    error: tuple[str, str] | None = None
    codecs: tuple[str, ...] = ()
    lossless: bool = field(init=False)

    def __post_init__(self) -> None:
        self.lossless = self.shown is not None


# --- the files


def _over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Laid over white, rounded to nearest."""
    alpha = rgba[..., 3:].astype(np.float64)
    return np.floor((rgba[..., :3] * alpha + 255 * (255 - alpha)) / 255 + 0.5).astype(np.uint8)


def _noise() -> NDArray[np.uint8]:
    return synthetic.image(201, _WIDTH, _HEIGHT, "noise")


def _shapes() -> NDArray[np.uint8]:
    return synthetic.image(202, _WIDTH, _HEIGHT, "shapes")


def _soft() -> NDArray[np.uint8]:
    """RGBA whose alpha rises from left to right; the seed is one for which rounding decides nothing (checked)."""
    slope = np.broadcast_to((np.arange(_WIDTH) * 255 // (_WIDTH - 1)).astype(np.uint8), (_HEIGHT, _WIDTH))
    return np.dstack([synthetic.image(217, _WIDTH, _HEIGHT, "noise"), slope])


def _disc() -> NDArray[np.bool_]:
    y, x = np.mgrid[:_HEIGHT, :_WIDTH]
    return np.asarray((x - 70) ** 2 + (y - 50) ** 2 < 45**2)


def _png_files(level: int) -> Iterator[_File]:
    def file(name: str, comment: str, samples: Any, colour: str, depth: int, shown: Any, **more: Any) -> _File:
        size = (int(samples.shape[1]), int(samples.shape[0]))
        return _File(
            f"{name}.png", comment, lambda: png.write(samples, colour, depth, level=level, **more), shown, size
        )

    shapes, noise = _shapes(), _noise()
    grey = np.ascontiguousarray(noise[..., 1])
    yield file("rgb8", "8-bit RGB", shapes, "rgb", 8, shapes)
    yield file("rgb8-adam7", "the same picture, interlaced", shapes, "rgb", 8, shapes, interlaced=True)
    yield file("grey8", "8-bit grey", grey, "grey", 8, grey)
    ink = np.ascontiguousarray(synthetic.image(203, _WIDTH, _HEIGHT, "text")[..., 0]) >> 7
    yield file("grey1", "1-bit black and white: samples are 0 and 255", ink, "grey", 1, ink * np.uint8(255))
    yield file("grey4", "4-bit grey: a sample v stands for 17 v", grey >> 4, "grey", 4, (grey >> 4) * np.uint8(17))

    index = (shapes[..., 0] >> 6 << 4) | (shapes[..., 1] >> 6 << 2) | shapes[..., 2] >> 6
    order = np.arange(64) * 37 % 64  # so that an index says nothing about brightness
    palette = np.empty((64, 3), np.uint8)
    for place, number in enumerate(order.tolist()):
        palette[number] = [(place >> 4 & 3) * 85, (place >> 2 & 3) * 85, (place & 3) * 85]
    indexed = order[index].astype(np.uint8)
    table = (b"PLTE", palette.tobytes())
    yield file(
        "palette8",
        "8-bit palette whose order says nothing about brightness: hashing indices shows",
        indexed,
        "palette",
        8,
        palette[indexed],
        chunks=[table],
    )
    few = (indexed % 16).astype(np.uint8)
    yield file("palette4", "4-bit palette", few, "palette", 4, palette[few], chunks=[(b"PLTE", palette[:16].tobytes())])
    alphas = np.where(np.arange(64) % 3 == 0, 0, 255).astype(np.uint8)
    shown = np.where(alphas[indexed][..., None] == 0, np.uint8(255), palette[indexed])
    yield file(
        "palette8-transparent",
        "a third of the palette is transparent (tRNS): white is what shows",
        indexed,
        "palette",
        8,
        shown,
        chunks=[table, (b"tRNS", alphas.tobytes())],
    )

    deep = (grey.astype(np.uint16) << 8) | (255 - grey)
    yield file("grey16", "16-bit grey: the high byte counts, neither clipping nor rounding", deep, "grey", 16, grey)
    deep_rgb = (noise.astype(np.uint16) << 8) | 0xF0
    yield file("rgb16", "16-bit RGB: the high byte counts; all low bytes are 0xF0", deep_rgb, "rgb", 16, noise)

    inside = _disc()
    alpha = np.where(inside, np.uint8(255), np.uint8(0))
    la = np.dstack([grey, alpha])
    yield file(
        "grey-alpha8",
        "grey with alpha (LA) of 0 and 255: the outside is white",
        la,
        "grey-alpha",
        8,
        np.where(inside, grey, np.uint8(255)),
    )
    rgba = np.dstack([shapes, alpha])
    yield file(
        "rgba8",
        "RGB with alpha of 0 and 255: hidden colours must not show, the outside is white",
        rgba,
        "rgba",
        8,
        np.where(inside[..., None], shapes, np.uint8(255)),
    )
    soft = _soft()
    yield file(
        "rgba8-soft",
        "alpha from 0 to 255 over white; the hashes are the same whichever way the blend is rounded",
        soft,
        "rgba",
        8,
        _over_white(soft),
    )
    keyed = np.where(inside[..., None], shapes, np.array([1, 2, 3], np.uint8))
    yield file(
        "rgb8-colour-key",
        "one colour is transparent (tRNS of RGB): white is what shows",
        keyed,
        "rgb",
        8,
        np.where(inside[..., None], shapes, np.uint8(255)),
        chunks=[(b"tRNS", struct.pack(">HHH", 1, 2, 3))],
    )
    yield file(
        "rgb8-gamma",
        "gAMA of 1.0: samples are hashed as stored, no colour management",
        noise,
        "rgb",
        8,
        noise,
        chunks=[(b"gAMA", struct.pack(">I", 100_000))],
    )
    tiny = synthetic.image(204, 4, 4, "noise")
    yield file("rgb8-4x4", "a side under 5 pixels: PDQ is all zero, quality 0", tiny, "rgb", 8, tiny)
    whole = png.write(noise, "rgb", level=None)
    yield _File(
        "truncated.png",
        "cut in the middle of the samples (stored without compression)",
        lambda: whole[: len(whole) // 2],
        error=("ImageDecodeError", "unreadable"),
    )


def _save(picture: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def _jpeg_files(named: Mapping[str, str]) -> Iterator[_File]:
    jpeg = ("Pillow", next(name for name in named if name.startswith("libjpeg")))
    noise, shapes = Image.fromarray(_noise()), Image.fromarray(_shapes())

    def file(name: str, comment: str, make: Callable[[], bytes], **more: Any) -> _File:
        return _File(f"{name}.jpg", comment, make, codecs=jpeg, **more)

    def save(picture: Image.Image, **options: Any) -> bytes:
        return _save(picture, "JPEG", **({"quality": 85, "subsampling": "4:2:0"} | options))

    yield file("ycc-420", "baseline, colour at half size (4:2:0), quality 85", lambda: save(noise))
    yield file(
        "ycc-444",
        "baseline, colour at full size (4:4:4), quality 92",
        lambda: save(shapes, quality=92, subsampling="4:4:4"),
    )
    yield file("ycc-420-low", "strong compression: quality 25", lambda: save(noise, quality=25))
    yield file("progressive", "progressive, 4:2:2", lambda: save(noise, progressive=True, subsampling="4:2:2"))
    yield file("grey", "one component", lambda: save(noise.convert("L")))
    odd = Image.fromarray(synthetic.image(205, 101, 67, "noise"))
    yield file("odd-sides", "sides that are no multiple of the block of 16", lambda: save(odd), size=(101, 67))
    # As Adobe's programs do, Pillow writes CMYK inverted and marks it with an APP14 segment.
    cyan = np.dstack([255 - _noise(), (_shapes()[..., 0] // 4)[..., None]])
    cmyk = Image.frombytes("CMYK", (_WIDTH, _HEIGHT), np.ascontiguousarray(cyan).tobytes())
    yield file("cmyk", "four components, inverted as Adobe's programs write them", lambda: save(cmyk))
    turned = Image.Exif()
    turned[0x0112] = 6
    yield file(
        "exif-orientation-6",
        "EXIF orientation 6: shown after a quarter turn clockwise, hashed with and without it",
        lambda: save(noise, exif=turned),
        orientations=(False, True),
    )
    mirrored = Image.Exif()
    mirrored[0x0112] = 5
    yield file(
        "exif-orientation-5",
        "EXIF orientation 5: mirrored along the main diagonal",
        lambda: save(shapes, exif=mirrored),
        orientations=(False, True),
    )
    yield file(
        "truncated",
        "ycc-420.jpg cut at 60 % of its bytes: refused, not hashed as far as it goes",
        lambda: _cut(save(noise)),
        error=("ImageDecodeError", "unreadable"),
    )


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def _webp_files() -> Iterator[_File]:
    codecs = ("Pillow", "libwebp")
    noise, shapes = _noise(), _shapes()
    yield _File(
        "lossy.webp", "lossy, quality 80", lambda: _save(Image.fromarray(noise), "WEBP", quality=80), codecs=codecs
    )
    yield _File(
        "lossless.webp",
        "lossless: exact with every decoder",
        lambda: _save(Image.fromarray(shapes), "WEBP", lossless=True),
        shapes,
        codecs=codecs,
    )
    rgba = np.dstack([shapes, np.where(_disc(), np.uint8(255), np.uint8(0))])
    yield _File(
        "lossless-alpha.webp",
        "lossless with alpha of 0 and 255: the outside is white",
        lambda: _save(Image.fromarray(rgba), "WEBP", lossless=True, exact=True),
        np.where(_disc()[..., None], shapes, np.uint8(255)),
        codecs=codecs,
    )


def _not_images() -> Iterator[_File]:
    unsupported, unreadable = ("ImageFormatError", "unsupported"), ("ImageDecodeError", "unreadable")
    yield _File("empty.jpg", "no bytes at all", lambda: b"", error=unreadable)
    yield _File("text.jpg", "text under the name of an image", lambda: b"This is no image.\n", error=unsupported)
    yield _File(
        "document.png", "the first bytes of a PDF document", lambda: b"%PDF-1.7\n%\xe2\xe3\n", error=unsupported
    )
    yield _File(
        "header-only.png", "PNG's signature and nothing behind it", lambda: b"\x89PNG\r\n\x1a\n", error=unreadable
    )
    yield _File(
        "header-only.jpg", "JPEG's first marker and nothing behind it", lambda: b"\xff\xd8\xff\xe0", error=unreadable
    )


# --- expectations


def _hashes_of_samples(shown: NDArray[np.uint8]) -> tuple[dict[str, str], int]:
    """Hashes and PDQ quality of what a file shows; no decoder has a part in it."""
    colour = shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2)
    code, quality = kernels.pdq_from_luma(kernels.rgb_to_luma(np.ascontiguousarray(colour)))
    image = Image.fromarray(np.ascontiguousarray(shown))
    family = {name: imagehash_family.compute(name, image).hex() for name in imagehash_family.NAMES}
    return {"pdq": code.tobytes().hex()} | family, quality


#: EXIF orientation -> the turn that shows the picture upright, in NumPy's terms.
_TURNS: Mapping[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
}


def _plainly_decoded(data: bytes, oriented: bool) -> NDArray[np.uint8]:
    """The samples of a file as Pillow gives them, without hashmatch."""
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB"))
        return np.ascontiguousarray(_TURNS[image.getexif()[0x0112]](pixels)) if oriented else pixels


def _expect(file: _File, data: bytes, oriented: bool) -> dict[str, Any]:
    """What is expected of a file, by its samples or by the decoder installed here."""
    found = {key: value.hex() for key, value in digests.digest_bytes(data, _DIGESTS).items()}
    if file.error is not None:
        return {"error": file.error[0], "status": file.error[1], "hashes": found}
    form = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[file.name.rpartition(".")[2]]
    width, height = reversed(file.size) if oriented else file.size
    start = {"format": form, "width": width, "height": height, "oriented": oriented}
    if file.shown is not None:
        if oriented:
            raise VectorError(f"{file.name}: lossless files are not turned here")
        hashes, quality = _hashes_of_samples(file.shown)
    else:
        record = hashing.hash_bytes(data, PERCEPTUAL, orientation=oriented)
        if (record.width, record.height, record.format) != (width, height, form):
            raise VectorError(f"{file.name}: decoded as {record.format}, {record.width} x {record.height} pixels")
        hashes, quality = {name: record.hashes[name].hex() for name in PERCEPTUAL}, record.quality["pdq"]
        if (hashes, quality) != _hashes_of_samples(_plainly_decoded(data, oriented)):
            raise VectorError(f"{file.name}: Pillow's own samples have other hashes")
    return start | {"hashes": hashes | found, "quality": {"pdq": quality}}


def _check_soft_blend() -> None:
    """A vector that says that rounding does not matter must not depend on it."""
    samples = _soft().astype(np.float64)
    exact = (samples[..., :3] * samples[..., 3:] + 255 * (255 - samples[..., 3:])) / 255
    results = {str(_hashes_of_samples(rounded(exact).astype(np.uint8))) for rounded in (np.floor, np.ceil, np.rint)}
    if len(results) != 1:
        raise VectorError("rgba8-soft.png: the rounding of the blend changes a hash")


def make(committed: Committed, *, reencode: bool = False) -> tuple[dict[str, bytes], bytes]:
    """The files and ``files.json``.

    Args:
        committed: the folder as it stands.
        reencode: encode JPEG and WebP afresh with what is installed, whatever is committed.

    Raises:
        VectorError: an expectation fails its cross-check.
    """
    _check_soft_blend()
    before = {} if reencode else committed.json("files.json")
    former: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in before.get("vectors", [])}
    installed = installed_codecs()
    named: dict[str, str] = before.get("codecs", installed)
    files: dict[str, bytes] = {}
    vectors = []
    for file in [*_png_files(committed.level), *_jpeg_files(named), *_webp_files(), *_not_images()]:
        path = f"files/{file.name}"
        here = all(named.get(codec) == installed.get(codec) for codec in file.codecs)
        names = [f"file-{file.name}{'-oriented' if oriented else ''}" for oriented in file.orientations]
        if here:
            data = _kept_if_same(committed.file(path), file)
        else:
            data = committed.file(path) or b""
            if problem := _problem(data, former.get(names[0])):
                committed.problems.append(f"{path}: {problem}, and the encoder that made it is not installed")
                files |= {path: data} if data else {}
                vectors += [former[name] for name in names if name in former]
                continue
            committed.notes.append(
                f"{path}: not made again, only its SHA-256 verified (the encoder is another version)"
            )
        files[path] = data
        for oriented, name in zip(file.orientations, names, strict=True):
            expect = _expect(file, data, oriented) if here or file.lossless or file.error else former[name]["expect"]
            vectors.append(
                {
                    "id": name,
                    "comment": file.comment,
                    "input": {
                        "file": path,
                        "bytes": len(data),
                        "sha256": hashlib.sha256(data).hexdigest(),
                        "orientation": oriented,
                    },
                    "exact_for": _exact_for(file, named),
                    "expect": expect,
                }
            )
    units = {
        "file": "path below testvectors/",
        "bytes, sha256": "of the file",
        "orientation": "whether the EXIF orientation is applied before hashing",
        "exact_for": "any: every correct decoder gives the hashes; else names and versions of the one that does",
        "tolerance": "elsewhere a perceptual hash may differ by so many bits; digests never differ",
        "width, height": "pixels, after orientation where it is applied",
        "error": "class in hashmatch.errors; status is the word in a scan's row",
        "quality": "0 to 100",
    }
    comment = (
        "Image files, synthetic and benign. First frame, no resize, no colour management, transparency over white."
    )
    more = {"codecs": named, "tolerance": {"pdq": 4}}
    return files, document("files", comment, units, vectors, **more)


def _exact_for(file: _File, named: Mapping[str, str]) -> Any:
    if file.lossless or file.error is not None:
        return "any"
    return {codec: named[codec] for codec in file.codecs}


def _kept_if_same(old: bytes | None, file: _File) -> bytes:
    """The committed bytes where they differ from new ones in nothing but how zlib packed them."""
    new = file.make()
    return old if old is not None and png.same_content(old, new) else new


def _problem(data: bytes, vector: Mapping[str, Any] | None) -> str:
    """What is wrong with committed bytes, "" where they are those that ``files.json`` names."""
    if not data or vector is None:
        return "is missing"
    same = hashlib.sha256(data).hexdigest() == vector["input"]["sha256"]
    return "" if same else "its SHA-256 is not the one in files.json"
