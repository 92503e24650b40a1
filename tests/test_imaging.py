from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from hashmatch import imaging, synthetic
from hashmatch.errors import (
    ArrayError,
    ImageDecodeError,
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
    UsageError,
)
from hashmatch.image_signatures import count_gif_frames, count_tiff_pages, recognise
from hashmatch.imaging import Limits
from hashmatch.kernels.resample import vertical_first

RGB = synthetic.image(7, 60, 40, "shapes")
GREY = synthetic.image(8, 60, 40, "noise")[..., 0]
FILES = {name: imaging.encode(RGB, name) for name in imaging.ALLOWED_FORMATS}


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


class TestFormats:
    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    def test_round_trip(self, form: str) -> None:
        pixels = imaging.decode(FILES[form])
        assert (pixels.width, pixels.height, pixels.format, pixels.frames) == (60, 40, form, 1)
        assert not pixels.oriented
        assert (pixels.rgb.shape, pixels.rgb.dtype) == ((40, 60, 3), np.uint8)
        assert pixels.rgb.flags.c_contiguous
        assert pixels.rgb is pixels.rgb
        if form in ("PNG", "BMP", "TIFF"):
            np.testing.assert_array_equal(pixels.rgb, RGB)
        else:
            assert np.abs(pixels.rgb.astype(int) - RGB).mean() < 30

    @pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
    def test_grey_stays_grey(self, form: str) -> None:
        pixels = imaging.decode(imaging.encode(GREY, form))
        assert pixels.image.mode == "L"
        np.testing.assert_array_equal(pixels.rgb, np.repeat(GREY[..., None], 3, axis=2))

    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    def test_the_allow_list_holds(self, form: str) -> None:
        others = tuple(name for name in imaging.ALLOWED_FORMATS if name != form)
        with pytest.raises(ImageFormatError, match=f"{form} file of .* not an allowed format"):
            imaging.decode(FILES[form], formats=others)
        assert imaging.decode(FILES[form], formats=(form.lower(),)).format == form

    def test_only_the_plug_in_of_the_format_sees_the_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(*_args: object) -> None:
            raise AssertionError("another plug-in was asked")

        for name, (factory, _accept) in list(Image.OPEN.items()):
            if name != "PNG":
                monkeypatch.setitem(Image.OPEN, name, (never, never))
            else:
                monkeypatch.setitem(Image.OPEN, name, (factory, _accept))
        assert imaging.decode(FILES["PNG"]).format == "PNG"

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (b"\0\0\0\x1cftypheic" + b"\0" * 40, "HEIC"),
            (b"\0\0\0\x1cftypavif" + b"\0" * 40, "AVIF"),
            (b"8BPS" + b"\0" * 40, "PSD"),
            (b"%PDF-1.7\n", "PDF"),
            (b"hello", "unknown"),
            (b"\0" * 100, "unknown"),
            (b"P6 1 1 255 abc", "unknown"),
            (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        ],
    )
    def test_other_files(self, data: bytes, name: str) -> None:
        with pytest.raises(ImageFormatError, match=rf"{name} file of {len(data)} bytes.*expected JPEG, PNG") as caught:
            imaging.decode(data)
        assert caught.value.status == "unsupported"

    def test_unknown_name_in_formats(self) -> None:
        with pytest.raises(UsageError, match="'EPS'"):
            imaging.decode(FILES["PNG"], formats=("EPS",))

    def test_mpo_counts_as_jpeg(self) -> None:
        data = saved(Image.fromarray(RGB), "MPO", save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])
        pixels = imaging.decode(data, formats=("JPEG",))
        assert (pixels.format, pixels.frames) == ("JPEG", 2)
        assert np.abs(pixels.rgb.astype(int) - RGB).mean() < 30

    def test_decoder_version(self) -> None:
        assert imaging.decoder_version().startswith(f"Pillow {Image.__version__} (libjpeg")
        assert "libtiff" in imaging.decoder_version()


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha.astype(float)[..., None] / 255
    return colour * share + 255 * (1 - share)


class TestModes:
    """What a viewer shows, whatever the file's mode."""

    def near(self, data: bytes, expected: np.ndarray, mode: str, tolerance: float = 1.01) -> imaging.Pixels:
        pixels = imaging.decode(data)
        assert pixels.mode == mode
        if expected.ndim == 2:
            assert pixels.image.mode == "L"
            expected = np.repeat(expected[..., None], 3, axis=2)
        assert np.abs(pixels.rgb - expected.astype(float)).max() <= tolerance
        return pixels

    def test_palette_is_resolved(self) -> None:
        image = Image.fromarray(RGB).quantize(250)
        self.near(saved(image, "PNG"), np.asarray(image.convert("RGB")), "P", 0)
        self.near(saved(image, "BMP"), np.asarray(image.convert("RGB")), "P", 0)

    def test_shuffled_palette_changes_nothing(self) -> None:
        image = Image.fromarray(RGB).quantize(16)
        turned = image.remap_palette(list(range(15, -1, -1)))
        assert image.tobytes() != turned.tobytes()
        np.testing.assert_array_equal(imaging.decode(saved(image, "PNG")).rgb, imaging.decode(saved(turned, "PNG")).rgb)

    def test_palette_with_transparency_lies_over_white(self) -> None:
        image = Image.new("P", (60, 40), 1)
        image.putpalette([0, 0, 0, 200, 10, 20, 5, 6, 7])
        image.paste(0, (0, 0, 30, 40))
        expected = np.full((40, 60, 3), (200, 10, 20))
        expected[:, :30] = 255
        self.near(saved(image, "PNG", transparency=0), expected, "P", 0)
        self.near(saved(image, "PNG", transparency=bytes([0, 255])), expected, "P", 0)
        self.near(saved(image, "GIF", transparency=0), expected, "P", 0)

    @pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
    def test_alpha_lies_over_white(self, form: str) -> None:
        alpha = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
        image = Image.fromarray(np.dstack([RGB, alpha]))
        options = {"lossless": True, "exact": True} if form == "WEBP" else {}
        self.near(saved(image, form, **options), over_white(RGB, alpha), "RGBA")

    def test_grey_with_alpha(self) -> None:
        alpha = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
        image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
        colour = np.repeat(GREY[..., None], 3, axis=2)
        self.near(saved(image, "PNG"), over_white(colour, alpha), "LA")
        self.near(saved(image, "TIFF"), over_white(colour, alpha), "LA")

    def test_palette_with_alpha_channel(self) -> None:
        image = Image.fromarray(RGB).quantize(16).convert("PA")
        image.putalpha(Image.new("L", image.size, 0))
        self.near(saved(image, "TIFF"), np.full_like(RGB, 255), "PA", 0)

    @pytest.mark.parametrize(("mode", "key", "shown"), [("RGB", (1, 2, 3), (9, 8, 7)), ("L", 3, 9)])
    def test_colour_key_lies_over_white(self, mode: str, key: Any, shown: Any) -> None:
        image = Image.new(mode, (20, 10), key)
        image.paste(shown, (10, 0, 20, 10))
        expected = np.full((10, 20, 3), 255)
        expected[:, 10:] = shown
        self.near(saved(image, "PNG", transparency=key), expected, mode, 0)

    def test_cmyk(self) -> None:
        image = Image.fromarray(RGB).convert("CMYK")
        self.near(saved(image, "TIFF"), RGB, "CMYK")
        jpeg = imaging.decode(saved(image, "JPEG", quality=100, subsampling=0))
        assert jpeg.mode == "CMYK"
        assert np.abs(jpeg.rgb.astype(int) - RGB).mean() < 3  # Pillow writes it inverted, as Adobe does

    def test_ycbcr(self) -> None:
        self.near(saved(Image.fromarray(RGB).convert("YCbCr"), "TIFF"), RGB, "YCbCr", 4)

    def test_lab(self) -> None:
        cms = pytest.importorskip("PIL.ImageCms")
        srgb, lab = cms.createProfile("sRGB"), cms.createProfile("LAB")
        image = cms.applyTransform(Image.fromarray(RGB), cms.buildTransform(srgb, lab, "RGB", "LAB"))
        self.near(saved(image, "TIFF"), RGB, "LAB", 25)

    def test_bilevel(self) -> None:
        image = Image.fromarray(GREY).convert("1")
        for form in ("PNG", "TIFF", "BMP"):
            self.near(saved(image, form), np.asarray(image) * 255, "1", 0)

    @pytest.mark.parametrize("mode", ["I;16", "I;16B"])
    def test_sixteen_bits_keep_the_high_byte(self, mode: str) -> None:
        low = np.random.default_rng(0).integers(0, 256, GREY.shape).astype(np.uint16)
        samples = GREY.astype(np.uint16) * 256 + low
        raw = samples.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
        image = Image.frombytes(mode, (60, 40), raw)
        self.near(saved(image, "TIFF"), GREY, mode, 0)
        if mode == "I;16":
            self.near(saved(image, "PNG"), GREY, mode, 0)

    def test_mode_i(self) -> None:
        samples = GREY.astype(np.int32) * 256 + 77
        samples[0, :2] = -5, 1 << 20
        expected = GREY.copy()
        expected[0, :2] = 0, 255
        self.near(saved(Image.fromarray(samples), "TIFF"), expected, "I", 0)

    @pytest.mark.parametrize("scale", [1 / 255, 1])
    def test_floating_point(self, scale: float) -> None:
        samples = GREY.astype(np.float32) * np.float32(scale)
        samples[0, :3] = np.nan, -1, np.inf
        samples[0, 3] = 1 if scale < 1 else 300
        if scale < 1:
            samples[0, 2] = 1
        expected = GREY.copy()
        expected[0, :4] = 0, 0, 255, 255
        self.near(saved(Image.fromarray(samples), "TIFF"), expected, "F", 1)

    @pytest.mark.parametrize("mode", ["HSV", "RGBX", "RGBa", "La"])
    def test_modes_that_no_allowed_format_has_today(self, mode: str) -> None:
        source = Image.fromarray(RGB)
        image = (
            source.convert("LA").convert("La")
            if mode == "La"
            else source.convert("RGBA").convert(mode)
            if (mode == "RGBa")
            else source.convert(mode)
        )
        shown = imaging._to_rgb_or_l(image)
        expected = np.asarray(source.convert("L").convert("RGB") if mode == "La" else source).astype(int)
        assert shown.mode == "RGB"
        assert np.abs(np.asarray(shown) - expected).mean() < 3


class TestFrames:
    @pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
    def test_first_frame_and_limit(self, form: str) -> None:
        frames = [Image.new("RGB", (20, 10), (40 * i, 0, 255 - 40 * i)) for i in range(5)]
        data = saved(frames[0], form, save_all=True, append_images=frames[1:])
        pixels = imaging.decode(data, limits=Limits(max_frames=5))
        assert pixels.frames == 5
        assert np.abs(pixels.rgb.astype(int) - (0, 0, 255)).max() < 10
        with pytest.raises(ImageTooLargeError, match="frames; the limit is 4"):
            imaging.decode(data, limits=Limits(max_frames=4))

    def test_counting_stops_at_the_limit(self) -> None:
        frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
        head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
        data = head + frame * 100_000 + b";"
        assert count_gif_frames(data, 10) == 10
        assert count_gif_frames(data, 200_000) == 100_000
        with pytest.raises(ImageTooLargeError, match="frames"):
            imaging.decode(data)

    @pytest.mark.parametrize("big", [False, True])
    def test_tiff_pages(self, big: bool) -> None:
        frames = [Image.new("L", (3, 2), i) for i in range(3)]
        data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:], big_tiff=big)
        assert [count_tiff_pages(data, stop) for stop in (1, 2, 3, 9)] == [1, 2, 3, 3]
        assert count_tiff_pages(data[: len(data) // 2], 9) < 3

    @pytest.mark.parametrize("head", [b"II*\0", b"MM\0*"])
    def test_tiff_chain_in_a_circle(self, head: bytes) -> None:
        order = "<" if head[:1] == b"I" else ">"
        data = head + struct.pack(order + "IHIHI", 8, 0, 14, 0, 8)
        assert count_tiff_pages(data, 100) == 2

    @given(st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]), st.binary(max_size=100))
    def test_counting_pages_survives_anything(self, head: bytes, data: bytes) -> None:
        assert 0 <= count_tiff_pages(head + data, 5) <= 5

    @given(st.binary(max_size=200))
    def test_counting_survives_anything(self, data: bytes) -> None:
        assert 0 <= count_gif_frames(b"GIF89a" + data, 5) <= 5


class TestOrientation:
    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_applied_only_on_request(self, form: str, orientation: int) -> None:
        stored = Image.fromarray(RGB)
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(stored, form, exif=exif)
        plain = imaging.decode(data)
        assert (plain.width, plain.height, plain.oriented) == (60, 40, False)
        turned = imaging.decode(data, orientation=True)
        assert turned.oriented == (orientation != 1)
        assert (turned.width, turned.height) == ((40, 60) if orientation > 4 else (60, 40))
        with Image.open(io.BytesIO(data)) as reference:
            from PIL import ImageOps

            expected = np.asarray(ImageOps.exif_transpose(reference).convert("RGB"))
        np.testing.assert_array_equal(turned.rgb, expected)

    @pytest.mark.parametrize("orientation", [0, 9, 65535])
    def test_nonsense_is_upright(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        assert not imaging.decode(saved(Image.fromarray(RGB), "JPEG", exif=exif), orientation=True).oriented

    def test_damaged_exif_is_no_reason_to_fail(self) -> None:
        data = saved(Image.fromarray(RGB), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 20)
        assert not imaging.decode(data, orientation=True).oriented

    def test_tiff_is_turned_by_the_decoder(self) -> None:
        data = saved(Image.fromarray(RGB), "TIFF", tiffinfo={274: 6})
        pixels = imaging.decode(data)
        assert (pixels.width, pixels.height, pixels.oriented) == (40, 60, True)


class TestLimits:
    def test_bytes_come_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "open", None)
        size = len(FILES["PNG"])
        with pytest.raises(ImageTooLargeError, match=f"{size:,} bytes; the limit is {size - 1:,}"):
            imaging.decode(FILES["PNG"], limits=Limits(max_bytes=size - 1))

    def test_limits_are_inclusive(self) -> None:
        for data in FILES.values():
            imaging.decode(data, limits=Limits(max_bytes=len(data), max_pixels=2400, max_frames=1))

    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    def test_pixels_before_decoding(self, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(_self: object) -> None:
            raise AssertionError("pixels were decoded")

        monkeypatch.setattr(ImageFile.ImageFile, "load", never)
        with pytest.raises(ImageTooLargeError, match=r"60 x 40 = 2,400 pixels; the limit is 2,399"):
            imaging.decode(FILES[form], limits=Limits(max_pixels=2399))

    @pytest.mark.parametrize(
        "size",
        [(11_000, 11_000), (20_000, 20_000), (60_000, 60_000), (2_000_000_000, 1), (2_000_000_000, 2_000_000_000)],
    )
    def test_bombs(self, size: tuple[int, int]) -> None:
        with pytest.raises(ImageTooLargeError) as caught:
            imaging.decode(png_header(*size))
        assert caught.value.status == "too_large"

    def test_below_our_limit_pillow_does_not_warn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # of which 2,400 pixels are not yet twice
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert imaging.decode(FILES["PNG"]).width == 60
        assert not caught
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        with pytest.raises(ImageTooLargeError, match="too large to decode"):
            imaging.decode(FILES["PNG"])

    def test_out_of_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def exhausted(_self: object) -> None:
            raise MemoryError

        monkeypatch.setattr(ImageFile.ImageFile, "load", exhausted)
        with pytest.raises(ImageTooLargeError, match="out of memory"):
            imaging.decode(FILES["PNG"])

    @pytest.mark.parametrize("wrong", [0, -1, 1.5, True, None])
    def test_senseless_limits(self, wrong: Any) -> None:
        for name in ("max_bytes", "max_pixels", "max_frames"):
            with pytest.raises(UsageError, match=name):
                Limits(**{name: wrong})

    def test_pillow_is_left_as_it_was(self) -> None:
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        imaging.decode(FILES["PNG"], limits=Limits(max_pixels=10_000))
        after = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        assert before == after


def only_image_errors(data: bytes) -> None:
    for orientation in (False, True):
        try:
            pixels = imaging.decode(data, orientation=orientation, limits=Limits(max_pixels=1_000_000))
        except ImageError as error:
            assert str(error)  # noqa: PT017 - what is asserted is that there is a message
            assert isinstance(error, ImageDecodeError | ImageFormatError | ImageTooLargeError)  # noqa: PT017
        else:
            assert pixels.rgb.shape == (pixels.height, pixels.width, 3)


class TestHostileFiles:
    def test_empty(self) -> None:
        with pytest.raises(ImageDecodeError, match="0 bytes") as caught:
            imaging.decode(b"")
        assert caught.value.status == "unreadable"

    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    def test_truncated(self, form: str) -> None:
        data = FILES[form]
        with pytest.raises(ImageDecodeError, match=f"{form} file of .* bytes: ") as caught:
            imaging.decode(data[: len(data) // 2])
        assert caught.value.__cause__ is not None
        for cut in range(0, min(len(data), 400), 7):
            with pytest.raises(ImageError):
                imaging.decode(data[:cut])

    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    def test_signature_and_rubbish(self, form: str) -> None:
        assert recognise(FILES[form]) == form
        with pytest.raises(ImageError):
            imaging.decode(FILES[form][:12] + b"\xa5" * 200)

    @given(st.binary(max_size=400))
    @settings(max_examples=100, deadline=None)
    def test_arbitrary_bytes(self, data: bytes) -> None:
        only_image_errors(data)

    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    @given(data=st.data())
    @settings(max_examples=100, deadline=None)
    def test_damaged_files(self, form: str, data: st.DataObject) -> None:
        broken = bytearray(FILES[form])
        # Headers decide more than pixels do: half of the damage falls there.
        place = st.integers(0, min(300, len(broken) - 1)) | st.integers(0, len(broken) - 1)
        for at, value in data.draw(st.lists(st.tuples(place, st.integers(1, 255)), max_size=6)):
            broken[at] ^= value
        end = data.draw(st.just(len(broken)) | st.integers(0, len(broken)))
        only_image_errors(bytes(broken[:end]))

    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    @given(tail=st.binary(max_size=200))
    @settings(max_examples=40, deadline=None)
    def test_header_and_arbitrary_bytes(self, form: str, tail: bytes) -> None:
        only_image_errors(FILES[form][:30] + tail)

    @pytest.mark.parametrize(
        "error",
        [OSError("x"), SyntaxError("x"), ValueError(), struct.error("x"), EOFError(), IndexError(), KeyError(1),
         ZeroDivisionError(), RecursionError(), TypeError(), AssertionError(), UserWarning("x")],
    )  # fmt: skip
    def test_whatever_the_decoder_raises(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_self: object) -> None:
            raise error

        monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
        with pytest.raises(ImageDecodeError, match=r"PNG file of .* bytes: truncated or corrupt: .") as caught:
            imaging.decode(FILES["PNG"])
        assert caught.value.__cause__ is error


class TestWarnings:
    @pytest.mark.parametrize("action", ["error", "always", "default"])
    def test_none_leak_and_none_fail(self, action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def load(self: Any, _load: Callable[[Any], Any] = ImageFile.ImageFile.load) -> Any:
            warnings.warn("odd metadata", stacklevel=2)
            return _load(self)

        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            imaging.decode(FILES["PNG"])
            assert not caught
            imaging.decode(FILES["PNG"])
        assert not caught

    def test_warnings_of_the_host_are_left_alone(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            imaging.decode(FILES["PNG"])
            warnings.warn("mine", stacklevel=1)
            with pytest.raises(ImageError):
                imaging.decode(b"\xff\xd8\xff")
            warnings.warn("mine too", stacklevel=1)
        assert [str(w.message) for w in caught] == ["mine", "mine too"]

    def test_the_filter_does_not_pile_up(self) -> None:
        with warnings.catch_warnings():
            for _ in range(5):
                imaging.decode(FILES["PNG"])
                warnings.simplefilter("error")
            ours = [item for item in warnings.filters if item is imaging._QUIET]
            assert len(ours) == 1

    def test_threads_do_not_silence_each_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        inside, go_on = threading.Event(), threading.Event()

        def load(self: Any, _load: Callable[[Any], Any] = ImageFile.ImageFile.load) -> Any:
            inside.set()
            assert go_on.wait(10)
            warnings.warn("odd metadata", stacklevel=2)
            return _load(self)

        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            thread = threading.Thread(target=imaging.decode, args=(FILES["PNG"],))
            thread.start()
            assert inside.wait(10)
            warnings.warn("mine", stacklevel=1)
            go_on.set()
            thread.join()
        assert [str(w.message) for w in caught] == ["mine"]


class TestEncode:
    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    def test_deterministic(self, form: str) -> None:
        assert imaging.encode(RGB, form) == FILES[form]
        assert imaging.encode(RGB[::-1][::-1], form.lower()) == FILES[form]

    def test_options(self) -> None:
        assert len(imaging.encode(RGB, "JPEG", quality=20)) < len(imaging.encode(RGB, "JPEG", quality=90))

    @pytest.mark.parametrize(
        "wrong", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)]
    )
    def test_wrong_array(self, wrong: Any) -> None:
        with pytest.raises(ArrayError, match="expected uint8"):
            imaging.encode(wrong, "PNG")

    def test_wrong_format(self) -> None:
        with pytest.raises(UsageError, match="'EPS'"):
            imaging.encode(RGB, "EPS")
        with pytest.raises(UsageError, match="cannot write"):
            imaging.encode(np.zeros((1, 70_000), np.uint8), "JPEG")


class TestResampling:
    def test_the_order_of_the_passes(self) -> None:
        """What `imaging.vertical_first` says of this Pillow holds for every shape: two resizes of one axis each."""
        rule = imaging.vertical_first()
        chance = np.random.default_rng(1)
        filtered = Image.Resampling.LANCZOS
        for number in range(600):
            width, height = (int(side) for side in chance.integers(1, (300, 60, 40, 9)[number % 4], 2))
            if number % 5 == 0:
                height += int(chance.integers(0, 900))
            columns, rows = ((8, 8), (9, 8), (32, 32))[number % 3]
            image = Image.fromarray(chance.integers(0, 256, (height, width), np.uint8))
            vertical = vertical_first(rule, width, height, columns, rows)
            half = image.resize((width, rows) if vertical else (columns, height), filtered)
            both = half.resize((columns, rows), filtered)
            assert image.resize((columns, rows), filtered).tobytes() == both.tobytes(), (width, height, columns, rows)

    def test_the_rule_is_that_of_the_version(self) -> None:
        version = tuple(int(part) for part in Image.__version__.split(".")[:2])
        assert imaging.vertical_first() == (2 if version >= (13, 0) else 1 if version >= (12, 2) else 0)
        assert imaging.decode(FILES["PNG"]).vertical_first == imaging.vertical_first()
