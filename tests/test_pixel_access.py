from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import imaging, pixel_access, synthetic
from hashmatch.pixel_access import copied, shared

RGB = synthetic.image(1, 61, 43, "noise")
GREY = RGB[..., 0]


class Exporter:
    """A picture whose export is what a test wants it to be."""

    def __init__(self, image: Image.Image, capsules: Any) -> None:
        self.mode, self.size, self._capsules = image.mode, image.size, capsules

    def __arrow_c_array__(self) -> Any:
        return self._capsules


class Copy:
    """A structure of the interface that a test may change: the exporter's own would be freed by what it says."""

    def __init__(self, kind: Any) -> None:
        self.own, self.child, self._kind = kind(), kind(), kind

    def fill(self, capsule: object, name: bytes) -> None:
        self._name, self._kept = name, capsule
        source = self._kind.from_address(pixel_access._get_pointer(capsule, name))
        self._copy(source, self.own)
        if source.n_children:
            self._copy(source.children[0].contents, self.child)
            self._children = (ctypes.POINTER(self._kind) * 1)(ctypes.pointer(self.child))
            self.own.children = ctypes.cast(self._children, ctypes.POINTER(ctypes.POINTER(self._kind)))

    def _copy(self, source: Any, target: Any) -> None:
        ctypes.memmove(ctypes.addressof(target), ctypes.addressof(source), ctypes.sizeof(source))
        if self._name == b"arrow_array":
            buffers = (ctypes.c_void_p * 3)(*(source.buffers[i] for i in range(source.n_buffers)))
            self.__dict__.setdefault("_buffers", []).append(buffers)
            target.buffers = ctypes.cast(buffers, ctypes.POINTER(ctypes.c_void_p))

    def capsule(self) -> Any:
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.own), self._name, None)


def picture(mode: str) -> Image.Image:
    return Image.fromarray(RGB if mode == "RGB" else np.ascontiguousarray(GREY)).copy()


@pytest.mark.skipif(
    not hasattr(Image.Image, "__arrow_c_array__"), reason="Pillow before 11.2 has nothing to share: see TestPixels"
)
class TestShared:
    @pytest.mark.parametrize("size", [(1, 1), (61, 43), (43, 61), (1, 500), (2048, 2048)])
    def test_rgb(self, size: tuple[int, int]) -> None:
        rgb = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), np.uint8)
        view = shared(Image.fromarray(rgb).copy())
        assert view is not None
        assert (view.shape, view.dtype, view.flags.c_contiguous) == ((size[1], size[0], 4), np.uint8, True)
        np.testing.assert_array_equal(view[..., :3], rgb)

    @pytest.mark.parametrize("size", [(1, 1), (61, 43), (43, 61), (500, 1), (4096, 4096)])
    def test_grey(self, size: tuple[int, int]) -> None:
        grey = np.random.default_rng(2).integers(0, 256, (size[1], size[0]), np.uint8)
        view = shared(Image.fromarray(grey).copy())
        assert view is not None
        np.testing.assert_array_equal(view, grey)

    def test_nothing_is_copied_and_nothing_can_be_written(self) -> None:
        image = picture("RGB")
        first, second = shared(image), shared(image)
        assert first is not None
        assert second is not None
        assert first.ctypes.data == second.ctypes.data
        assert not first.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            first[0, 0, 0] = 1

    def test_the_view_outlives_the_picture(self) -> None:
        views = [shared(picture("RGB")) for _ in range(50)]
        part = views[0][3:9, ::2] if views[0] is not None else None
        gc.collect()
        for view in views:
            assert view is not None
            np.testing.assert_array_equal(view[..., :3], RGB)
        del views, view
        gc.collect()
        for _ in range(50):
            picture("RGB")
        assert part is not None
        np.testing.assert_array_equal(part[..., :3], RGB[3:9, ::2])

    @pytest.mark.parametrize("size", [(2049, 2048), (6000, 3000)])
    def test_several_blocks_are_not_shared(self, size: tuple[int, int]) -> None:
        assert shared(Image.new("RGB", size)) is None

    @pytest.mark.parametrize("mode", ["1", "P", "RGBA", "CMYK", "I", "F", "LA"])
    def test_other_modes_are_not_shared(self, mode: str) -> None:
        assert shared(Image.new(mode, (3, 3))) is None

    def test_a_pillow_without_the_interface(self) -> None:
        class Old:
            mode, size = "L", (3, 3)

        assert shared(Old()) is None

    def test_an_interpreter_without_capsules(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pixel_access, "_get_pointer", None)
        assert shared(picture("L")) is None

    @pytest.mark.parametrize(
        ("mode", "where"),
        [(mode, where) for mode in ("RGB", "L") for where in ("format", "size", "offset", "missing", "buffers")]
        + [("RGB", where) for where in ("child format", "children", "child size")],
    )
    def test_an_export_that_is_not_what_it_should_be(self, mode: str, where: str) -> None:
        """Every field is checked: nothing is read through a pointer whose meaning is not known."""
        image = picture(mode)
        schema, array = Copy(pixel_access._Schema), Copy(pixel_access._Array)
        capsules = image.__arrow_c_array__()
        schema.fill(capsules[0], b"arrow_schema")
        array.fill(capsules[1], b"arrow_array")
        exporter = Exporter(image, (schema.capsule(), array.capsule()))
        view = shared(exporter)
        assert view is not None
        np.testing.assert_array_equal(view[..., :3] if mode == "RGB" else view, RGB if mode == "RGB" else GREY)
        inner = array.child if mode == "RGB" else array.own
        if where == "format":
            schema.own.format = b"i"
        elif where == "child format":
            schema.child.format = b"i"
        elif where == "size":
            exporter.size = (61, 44)
        elif where == "offset":
            array.own.offset = 1
        elif where == "missing":
            inner.buffers[0] = ctypes.addressof(array.own)
        elif where == "buffers":
            inner.n_buffers = 3
        elif where == "children":
            array.own.n_children = 2
        else:
            inner.length -= 1
        assert shared(exporter) is None


class TestPixels:
    @pytest.mark.parametrize("form", imaging.ALLOWED_FORMATS)
    def test_pixels_are_what_rgb_is(self, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
        data = imaging.encode(RGB, form)
        pixels = imaging.decode(data)
        assert pixels.pixels.shape == (*RGB.shape[:2], 4 if imaging.shares_pixels() else 3)
        assert pixels.pixels is pixels.pixels
        np.testing.assert_array_equal(pixels.pixels[..., :3], pixels.rgb)
        monkeypatch.setattr("hashmatch.imaging.shared", lambda _image: None)
        plain = imaging.decode(data)
        np.testing.assert_array_equal(plain.pixels, pixels.rgb)

    def test_grey(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = imaging.encode(np.ascontiguousarray(GREY), "PNG")
        np.testing.assert_array_equal(imaging.decode(data).pixels, GREY)
        monkeypatch.setattr("hashmatch.imaging.shared", lambda _image: None)
        np.testing.assert_array_equal(imaging.decode(data).pixels, GREY)

    def test_copied(self) -> None:
        np.testing.assert_array_equal(copied(picture("RGB")), RGB)
        np.testing.assert_array_equal(copied(picture("L")), GREY)
