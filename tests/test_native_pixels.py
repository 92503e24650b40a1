"""Every implementation of the pixel kernels against NumPy's, and against pdqhash, imagehash and Pillow."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashmatch import kernels, synthetic
from hashmatch.errors import ArrayError
from hashmatch.kernels import reference, resample

imagehash = pytest.importorskip("imagehash")
pdqhash = pytest.importorskip("pdqhash")
Image = pytest.importorskip("PIL.Image")

AVAILABLE = [item.name for item in kernels.implementations() if item.available]
NATIVE = [name for name in AVAILABLE if name != "numpy"]
LEFT_OUT = "native" in os.environ.get("HASHMATCH_TEST_WITHOUT", "").split()


def test_the_extension_is_there() -> None:
    """Nothing is left out unseen: without the extension the run fails, unless that was asked for by name."""
    if not NATIVE and LEFT_OUT:
        pytest.skip("the native extension was left out by name")
    assert NATIVE, (
        "hashmatch._native is not built: pip install ., or leave it out by name: HASHMATCH_TEST_WITHOUT=native"
    )


@pytest.fixture(params=AVAILABLE)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
    return name


def rule() -> int:
    """When the installed Pillow resamples columns first."""
    from hashmatch import imaging

    return imaging.vertical_first()


def picture(seed: int, width: int, height: int, kind: str) -> NDArray[np.uint8]:
    if kind in synthetic.KINDS:
        return synthetic.image(seed, width, height, kind)
    rng = np.random.default_rng(seed)
    result = np.empty((height, width, 3), np.uint8)
    y, x = np.ogrid[:height, :width]
    if kind == "flat":
        result[:] = rng.integers(0, 256, 3)
    elif kind == "static":
        result[:] = rng.integers(0, 256, result.shape, dtype=np.uint8)
    elif kind == "extremes":  # the largest sums, and the largest overshoot of the resampling filter
        result[:] = 255 * rng.integers(0, 2, (height, width, 1))
    else:  # checks
        result[:] = ((x // 3 + y // 5) % 2)[..., None] * rng.integers(0, 256, 3)
    return result


KINDS = ("noise", "shapes", "text", "gradient", "flat", "static", "extremes", "checks")

#: Both sides of every edge: the smallest, lanes and blocks of 16, 32 and 64, the windows of PDQ, sixteen bits of column
#: sums (2,048 pixels), chunks of 1,024 pixels, and the widest ratios.
SIZES = (
    (1, 1), (1, 40), (40, 1), (4, 4), (5, 5), (4, 300), (300, 4), (8, 8), (9, 8), (32, 32), (31, 33), (63, 65),
    (64, 64), (128, 128), (128, 129), (129, 128), (130, 131), (255, 257), (256, 384), (500, 375), (375, 500),
    (1023, 66), (66, 1025), (2049, 70), (70, 2049), (3, 5000), (5000, 3), (5, 3001), (3001, 5), (12, 700), (700, 12),
)  # fmt: skip


def family_of(image: object) -> dict[str, bytes]:
    functions = {"phash": imagehash.phash, "dhash": imagehash.dhash, "ahash": imagehash.average_hash}
    return {name: np.packbits(function(image).hash).tobytes() for name, function in functions.items()}


def check_pdq(rgb: NDArray[np.uint8]) -> None:
    """Every form of the pixels on every implementation; pdqhash is the oracle, and for forms without one NumPy."""
    height, width = rgb.shape[:2]
    luma = reference.rgb_to_luma(rgb)
    grey = np.ascontiguousarray(rgb[..., 1])
    bits, quality = pdqhash.compute(np.ascontiguousarray(rgb))
    expected = np.packbits(bits).tobytes(), quality
    others, dihedral_quality = pdqhash.compute_dihedral(np.ascontiguousarray(rgb))
    if min(height, width) < 5:
        expected, others, dihedral_quality = (bytes(32), 0), [np.zeros(256, np.uint8)] * 8, 0
    expected_dihedral = [np.packbits(other).tobytes() for other in others], dihedral_quality
    bits, quality = pdqhash.compute(np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2)))
    expected_grey = (np.packbits(bits).tobytes(), quality) if min(height, width) >= 5 else (bytes(32), 0)
    rgbx = np.dstack([rgb, np.full((height, width), 77, np.uint8)])
    for name in AVAILABLE:
        os.environ[kernels.ENVIRONMENT_VARIABLE] = name
        np.testing.assert_array_equal(kernels.rgb_to_luma(rgb), luma)
        for form in (rgb, rgbx):
            code, quality = kernels.pdq_from_pixels(form)
            assert (code.tobytes(), quality) == expected, name
        for codes, quality in (kernels.pdq_dihedral_from_pixels(rgb), kernels.pdq_dihedral_from_luma(luma)):
            assert ([code.tobytes() for code in codes], quality) == expected_dihedral, name
        code, quality = kernels.pdq_from_luma(luma)
        assert (code.tobytes(), quality) == expected, name
        for code, quality in (kernels.pdq_from_pixels(grey), kernels.pdq_from_luma(grey.astype(np.float32))):
            assert (code.tobytes(), quality) == expected_grey, name


def check_family(rgb: NDArray[np.uint8]) -> int:
    """As check_pdq; the number of pHashes that were decided."""
    rgbx = np.dstack([rgb, np.full(rgb.shape[:2], 200, np.uint8)])
    grey = np.ascontiguousarray(rgb[..., 1])
    expected, expected_grey = family_of(Image.fromarray(rgb)), family_of(Image.fromarray(grey))
    decided = 0
    for name in AVAILABLE:
        os.environ[kernels.ENVIRONMENT_VARIABLE] = name
        for form, oracle in ((rgb, expected), (rgbx, expected), (grey, expected_grey)):
            found = kernels.family_from_pixels(form, vertical_first=rule())
            assert list(found) == ["phash", "dhash", "ahash"]
            decided += found["phash"] is not None
            assert found == oracle | ({} if found["phash"] else {"phash": None}), (name, form.shape)
    return decided


@pytest.fixture
def any_implementation() -> Iterator[None]:
    before = os.environ.get(kernels.ENVIRONMENT_VARIABLE)
    yield
    if before is None:
        os.environ.pop(kernels.ENVIRONMENT_VARIABLE, None)
    else:
        os.environ[kernels.ENVIRONMENT_VARIABLE] = before


@pytest.mark.usefixtures("any_implementation")
class TestEqualsThePackages:
    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_edges(self, size: tuple[int, int]) -> None:
        for index, kind in enumerate(KINDS[sum(size) % 2 :: 2]):
            rgb = picture(index, *size, kind)
            check_pdq(rgb)
            check_family(rgb)

    @pytest.mark.parametrize("across", [False, True])
    def test_every_small_side(self, across: bool) -> None:
        for side in range(1, 141, 3):
            other = 5 + side * 7 % 180
            width, height = (side, other) if across else (other, side)
            rgb = picture(side, width, height, KINDS[side % len(KINDS)])
            check_pdq(rgb)
            check_family(rgb)

    def test_no_detail(self) -> None:
        """Where nothing but rounding separates coefficients: PDQ goes the exact way, pHash is left to imagehash."""
        for kind in ("flat", "checks"):
            check_pdq(picture(1, 300, 201, kind))
        assert check_family(picture(1, 300, 201, "flat")) == 0
        assert check_family(picture(1, 300, 201, "noise")) == 3 * len(AVAILABLE)

    @given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(KINDS), st.integers(0, 1 << 32))
    @settings(max_examples=25)
    def test_any_size(self, width: int, height: int, kind: str, seed: int) -> None:
        rgb = picture(seed, width, height, kind)
        check_pdq(rgb)
        check_family(rgb)

    @pytest.mark.slow
    @given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(KINDS), st.integers(0, 1 << 32))
    def test_any_large_size(self, width: int, height: int, kind: str, seed: int) -> None:
        rgb = picture(seed, width, height, kind)
        check_pdq(rgb)
        check_family(rgb)


def test_luma_of_every_colour(implementation: str) -> None:
    """299 R + 587 G + 114 B, divided by 1,000 in float32, is the float64 sum rounded to float32: for all colours."""
    step = 1 if implementation in NATIVE[:1] else 51
    red, green = np.ogrid[:256, :256]
    rgb = np.empty((256, 256, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = red, green
    for blue in range(0, 256, step):
        rgb[..., 2] = blue
        total = red * 0.299 + green * 0.587
        total += blue * 0.114
        np.testing.assert_array_equal(kernels.rgb_to_luma(rgb), total.astype(np.float32))


class TestResampling:
    """The NumPy version, which the tests above use as an oracle of Pillow's rules."""

    @pytest.mark.parametrize("size", [(32, 32), (9, 8), (8, 8)])
    def test_equals_pillow(self, size: tuple[int, int]) -> None:
        rng = np.random.default_rng(sum(size))
        for width, height in np.exp(rng.uniform(0, np.log(400), (60, 2))).astype(int).tolist():
            pixels = rng.integers(0, 256, (height, width), dtype=np.uint8)
            expected = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
            np.testing.assert_array_equal(resample.resized(pixels, *size, rule()), expected)

    def test_grey_equals_pillow(self) -> None:
        rgb = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
        np.testing.assert_array_equal(resample.grey(rgb), np.asarray(Image.fromarray(rgb).convert("L")))

    @pytest.mark.parametrize(
        ("rule", "width", "height", "out", "expected"),
        [
            (0, 1, 9000, (8, 8), False),
            (1, 3, 300, (8, 8), False),
            (1, 3, 301, (8, 8), True),
            (1, 1, 101, (32, 200), False),
            (2, 100, 192, (8, 8), False),
            (2, 100, 193, (8, 8), True),
            (2, 9, 33, (32, 32), True),
            (2, 9, 32, (32, 32), False),
            (2, 9, 31, (32, 32), False),
        ],
    )
    def test_order(self, rule: int, width: int, height: int, out: tuple[int, int], expected: bool) -> None:
        assert resample.vertical_first(rule, width, height, *out) is expected

    @pytest.mark.parametrize("rule", [0, 1, 2])
    def test_every_rule_on_every_implementation(self, rule: int, implementation: str) -> None:
        for width, height in ((60, 40), (40, 60), (40, 400), (3, 400), (3, 290), (33, 33)):
            pixels = picture(width, width, height, "static")
            expected = resample.family(pixels, kernels.FAMILY, rule)
            assert kernels.family_from_pixels(pixels, vertical_first=rule) == expected


class TestForms:
    """Rows with gaps, any order of memory, read-only, and what is refused."""

    def test_strided(self, implementation: str) -> None:
        wide = picture(3, 400, 300, "noise")
        grey, rgbx = wide[..., 0], np.dstack([wide, wide[..., :1]])
        for form in (
            wide[20:220, 30:330],
            wide[::2],
            wide[::-1],
            wide[:, ::-1],
            wide[::2, ::3],
            wide[:, :, ::-1],
            wide.transpose(1, 0, 2),
            np.asfortranarray(wide),
            grey,
            grey[5:205, 7:],
            grey[:, 100:101],
            grey.T,
            rgbx[3:, 9:300],
            rgbx[..., :3],
            rgbx[::-1, :, 1],
            np.broadcast_to(wide[:1], wide.shape),
            np.broadcast_to(grey[:, :1], grey.shape),
        ):
            form.setflags(write=False)
            whole = form.copy(order="C")
            code, quality = kernels.pdq_from_pixels(form)
            expected, expected_quality = kernels.pdq_from_pixels(whole)
            assert (code.tobytes(), quality) == (expected.tobytes(), expected_quality)
            found = kernels.family_from_pixels(form, vertical_first=2)
            assert found == kernels.family_from_pixels(whole, vertical_first=2)
            if form.ndim == 3 and form.shape[2] == 3:
                np.testing.assert_array_equal(kernels.rgb_to_luma(form), kernels.rgb_to_luma(whole))

    def test_nothing_is_read_behind_the_last_row(self, implementation: str) -> None:
        """The last bytes of a buffer: a picture that ends where a page does would end the process otherwise."""
        import mmap

        size = mmap.PAGESIZE * 40
        memory = mmap.mmap(-1, size)
        for width, height, channels in ((131, 140, 3), (150, 129, 4), (133, 135, 1), (33, 40, 3), (7, 9, 3)):
            count = width * height * channels
            pixels = np.frombuffer(memory, np.uint8, count, size - count).reshape(height, width, channels)
            pixels = pixels[..., 0] if channels == 1 else pixels
            kernels.pdq_from_pixels(pixels)
            kernels.family_from_pixels(pixels, vertical_first=2)

    def test_names_and_order(self, implementation: str) -> None:
        pixels = picture(4, 90, 80, "noise")
        everything = kernels.family_from_pixels(pixels, vertical_first=2)
        for names in (("ahash",), ("dhash", "phash"), ("ahash", "dhash", "phash"), ()):
            found = kernels.family_from_pixels(pixels, names, vertical_first=2)
            assert list(found.items()) == [(name, everything[name]) for name in names]

    def test_batch(self, implementation: str) -> None:
        pictures = [picture(5, 90, 80, "noise"), picture(6, 40, 300, "flat"), picture(7, 300, 200, "text")[..., 0]]
        codes, qualities = kernels.pdq_batch(pictures)
        assert (codes.dtype, codes.shape, qualities.dtype) == (np.uint8, (3, 32), np.uint8)
        for row, pixels in enumerate(pictures):
            code, quality = kernels.pdq_from_pixels(pixels)
            assert (codes[row].tobytes(), qualities[row]) == (code.tobytes(), quality)
        family = kernels.family_batch(pictures, ("dhash", "phash"), vertical_first=2)
        assert list(family) == ["dhash", "phash"]
        assert family["phash"][1].tolist() == [True, False, True]
        for row, pixels in enumerate(pictures):
            for name, code in kernels.family_from_pixels(pixels, ("dhash", "phash"), vertical_first=2).items():
                assert family[name][0][row].tobytes() == (code or bytes(8))
        assert kernels.pdq_batch([])[0].shape == (0, 32)
        assert kernels.family_batch([], vertical_first=0)["ahash"][0].shape == (0, 8)

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((9, 9), np.int8),
            np.zeros((9, 9, 3), np.float32),
            np.zeros((9, 9, 2), np.uint8),
            np.zeros((9, 9, 5), np.uint8),
            np.zeros((9, 9, 1), np.uint8),
            np.zeros(9, np.uint8),
            np.zeros((1, 9, 9, 3), np.uint8),
            [[1, 2]],
            b"123456789",
            None,
        ],
    )
    def test_wrong_array(self, wrong: NDArray[np.uint8], implementation: str) -> None:
        right = np.zeros((9, 9), np.uint8)
        for call in (
            lambda: kernels.pdq_from_pixels(wrong),
            lambda: kernels.pdq_dihedral_from_pixels(wrong),
            lambda: kernels.pdq_batch([right, wrong]),
            lambda: kernels.family_from_pixels(wrong, vertical_first=2),
            lambda: kernels.family_batch([right, wrong], vertical_first=2),
        ):
            with pytest.raises(ArrayError, match=r"pixels are .*; expected uint8\[height, width\], "):
                call()

    @pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (0, 5, 3), (5, 0, 4)])
    def test_empty(self, shape: tuple[int, ...], implementation: str) -> None:
        code, quality = kernels.pdq_from_pixels(np.zeros(shape, np.uint8))
        assert (code.tobytes(), quality) == (bytes(32), 0)
        with pytest.raises(ArrayError, match="at least one pixel"):
            kernels.family_from_pixels(np.zeros(shape, np.uint8), vertical_first=2)

    def test_wrong_names_and_rules(self, implementation: str) -> None:
        pixels = np.zeros((9, 9), np.uint8)
        with pytest.raises(ValueError, match="unknown name 'whash'"):
            kernels.family_from_pixels(pixels, ["dhash", "whash"], vertical_first=2)
        for wrong in (3, -1, True, None, "2"):
            with pytest.raises(ValueError, match="expected 0, 1 or 2"):
                kernels.family_from_pixels(pixels, vertical_first=wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(not NATIVE, reason="without the extension test_the_extension_is_there fails, or was switched off")
class TestTheExtensionItself:
    """What the adapter never asks for, and both ways of computing PDQ beside each other."""

    @pytest.mark.parametrize("number", range(len(NATIVE)))
    def test_both_paths(self, number: int) -> None:
        from hashmatch import _native

        fast = 0
        for seed in range(24):
            rng = np.random.default_rng(seed)
            width, height = (int(side) for side in rng.integers(129, 700, 2))
            rgb = picture(seed, width, height, ("noise", "text", "shapes")[seed % 3])
            luma = reference.rgb_to_luma(rgb)
            for dihedral in (False, True):
                exact = reference.pdq_in_float32(luma, dihedral=dihedral)
                expected = exact[0].tobytes(), exact[1]
                assert _native.pdq(number, rgb, height, width, 3, 3 * width, dihedral, 2) == expected
                assert _native.pdq_float(number, luma, height, width, dihedral, 2) == expected
                found = _native.pdq(number, rgb, height, width, 3, 3 * width, dihedral, 1)
                fast += found is not None
                assert found in (None, expected)
        assert fast >= 10

    @pytest.mark.parametrize("implementation", NATIVE, indirect=True)
    def test_tables_are_kept_for_the_right_pictures(self, implementation: str) -> None:
        sizes = [(300, 200), (200, 300), (200, 301), (32, 32), (9, 8), (8, 500), (32, 8)]
        planes = [picture(seed, *size, "static")[..., 0] for seed, size in enumerate(sizes)]
        expected = [resample.family(plane, kernels.FAMILY, 2) for plane in planes]
        rng = random.Random(1)

        def some(names: tuple[str, ...]) -> None:
            for _ in range(60):
                at = rng.randrange(len(planes))
                found = kernels.family_from_pixels(planes[at], names, vertical_first=2)
                assert found == {name: expected[at][name] for name in names}
                if min(planes[at].shape) >= 5:
                    whole = kernels.plane_hashes(planes[at], names, vertical_first=2)
                    assert whole.codes == found

        subsets = [("phash",), ("dhash",), ("ahash", "dhash"), ("phash", "ahash"), kernels.FAMILY]
        for names in subsets * 2:
            some(names)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(some, subsets * 4)) == [None] * len(subsets) * 4

    def test_wrong_sizes(self) -> None:
        from hashmatch import _native

        pixels = np.zeros((10, 10, 3), np.uint8)
        for height, width, channels, stride in (
            (11, 10, 3, 30),
            (10, 11, 3, 33),
            (10, 10, 3, 29),
            (10, 10, 3, 31),
            (10, 10, 2, 30),
            (10, 10, 4, 40),
            (-1, 10, 3, 30),
            (10, -1, 3, 30),
            (10, 10, 3, -30),
            (1 << 62, 1 << 62, 3, 1 << 62),
            (1 << 40, 10, 1, 1 << 40),
        ):
            arguments = (0, pixels, height, width, channels, stride)
            with pytest.raises(ValueError, match="no picture of"):
                _native.pdq(*arguments, False)
            with pytest.raises(ValueError, match="no picture of"):
                _native.family(*arguments, 7, 2)
            with pytest.raises(ValueError, match="no picture of"):
                _native.rgb_to_luma(*arguments, np.empty((10, 10), np.float32))
        with pytest.raises(ValueError, match="no picture of"):
            _native.pdq(0, pixels[:, :5], 10, 10, 3, 30, False)
        with pytest.raises(ValueError, match="no picture of"):
            _native.pdq(0, pixels[:, ::2], 10, 5, 3, 30, False)
        with pytest.raises(ValueError, match="does not fit"):
            _native.rgb_to_luma(0, pixels, 10, 10, 3, 30, np.empty((10, 9), np.float32))
        with pytest.raises(ValueError, match="is not in"):
            _native.pdq_float(0, np.zeros((10, 10), np.float32), 10, 11, False)
        with pytest.raises(ValueError, match="no implementation 9"):
            _native.pdq(9, pixels, 10, 10, 3, 30, False)
        with pytest.raises(TypeError):
            _native.pdq(0, "pixels", 10, 10, 3, 30, False)  # type: ignore[call-overload]
        with pytest.raises((BufferError, TypeError)):
            _native.rgb_to_luma(0, pixels, 10, 10, 3, 30, bytes(400))

    def test_sides_that_are_left_to_pillow(self) -> None:
        pixels = np.zeros((1, (1 << 18) + 1), np.uint8)
        for form in (pixels, pixels.T):
            found = kernels.family_from_pixels(form, vertical_first=2)
            assert kernels.active() in ("numpy", *NATIVE)
            assert set(found.values()) == {None} or kernels.active() == "numpy"
