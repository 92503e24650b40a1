"""The profile ``luma``: which pictures it decodes how, and that no hash of it strays from the reference."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch import hash_bytes, hash_file, hash_image, hash_images, hashers, imaging, kernels, synthetic
from hashmatch.cli import run
from hashmatch.errors import ArrayError, ImageDecodeError, ImageTooLargeError, UsageError
from hashmatch.hashers import luma_margins
from hashmatch.hashing import PROFILES, check_profile
from hashmatch.kernels import pdq_banded, plane, resample
from hashmatch.scan import HashPool

ALL = ("md5", "pdq", "phash", "dhash", "ahash", "whash")
PERCEPTUAL = ALL[1:]
NAMES = PERCEPTUAL[:-1]
RGB = synthetic.image(3, 320, 240, "noise")
#: Little contrast and one colour: rounding errs by the same over large parts.
PALE = (RGB // 4 + np.array([60, 70, 90])).astype(np.uint8)


def jpeg(rgb: np.ndarray, mode: str = "RGB", form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(rgb).convert(mode)
    image.save(buffer, form, **({"quality": 85} | options))
    return buffer.getvalue()


def always(_width: int, _height: int, _step: float) -> bool:
    return True


def distances(data: bytes, **options: Any) -> dict[str, int]:
    one, other = (hash_bytes(data, PERCEPTUAL, profile=profile, **options) for profile in PROFILES)
    assert tuple(one.hashes) == tuple(other.hashes) == PERCEPTUAL
    return {
        name: (int.from_bytes(code) ^ int.from_bytes(other.hashes[name])).bit_count()
        for name, code in one.hashes.items()
    }


class TestDecoding:
    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"keep_rgb": True}], ids=str)
    def test_luma_plane_alone(self, options: dict[str, Any]) -> None:
        data = jpeg(RGB, **options)
        pixels = imaging.decode(data, luma=always)
        assert pixels.luma_step is not None
        assert (pixels.image.mode, pixels.mode, pixels.width, pixels.height) == ("L", "RGB", 320, 240)
        full = np.asarray(imaging.decode(data).image.convert("L"))
        assert np.abs(pixels.pixels.astype(int) - full).max() <= 40
        assert np.abs(pixels.pixels.astype(int) - full).mean() < 1.5

    def test_the_step_is_that_of_the_coarsest_table(self) -> None:
        steps = [imaging.decode(jpeg(RGB, quality=q), luma=always).luma_step for q in (95, 75, 30)]
        assert steps == [pytest.approx(8.7, abs=0.1), pytest.approx(43.4, abs=0.1), pytest.approx(146, abs=4)]
        tables = [[1] * 64, [3] * 64]
        assert imaging.decode(jpeg(RGB, quality=50, qtables=tables), luma=always).luma_step == 3

    def test_the_caller_decides(self) -> None:
        asked = []

        def never(*facts: float) -> bool:
            asked.append(facts)
            return False

        pixels = imaging.decode(jpeg(RGB, quality=75), luma=never)
        assert (pixels.luma_step, pixels.image.mode) == (None, "RGB")
        assert asked == [(320, 240, pytest.approx(43.4, abs=0.1))]

    @pytest.mark.parametrize(
        ("data", "mode"),
        [
            (jpeg(RGB, "L"), "L"),
            (jpeg(RGB, "CMYK"), "RGB"),
            (imaging.encode(RGB, "PNG"), "RGB"),
            (imaging.encode(RGB, "WEBP"), "RGB"),
            (imaging.encode(RGB, "BMP"), "RGB"),
            (imaging.encode(RGB, "GIF"), "RGB"),
            (imaging.encode(RGB, "TIFF", compression="jpeg"), "RGB"),
        ],
        ids=["grey", "CMYK", "PNG", "WEBP", "BMP", "GIF", "JPEG in TIFF"],
    )
    def test_files_of_which_no_plane_is_decoded_alone(self, data: bytes, mode: str) -> None:
        pixels = imaging.decode(data, luma=always)
        assert (pixels.luma_step, pixels.image.mode) == (None, mode)
        assert set(distances(data).values()) == {0}

    def test_mpo(self) -> None:
        other = Image.fromarray(np.ascontiguousarray(RGB[::-1]))
        data = jpeg(RGB, form="MPO", save_all=True, append_images=[other])
        pixels = imaging.decode(data, luma=always)
        assert (pixels.frames, pixels.image.mode) == (2, "L")
        assert max(distances(data).values()) <= 4

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = jpeg(RGB, exif=exif)
        one, other = (imaging.decode(data, orientation=True, luma=luma) for luma in (None, always))
        assert (one.width, one.height, one.oriented) == (other.width, other.height, other.oriented)
        assert np.abs(other.pixels.astype(int) - np.asarray(one.image.convert("L"))).mean() < 1.5
        assert max(distances(data, orientation=True).values()) <= 4

    def test_limits_come_before_the_plane(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def load(_file: object) -> None:
            raise AssertionError("decoded")

        data = jpeg(RGB)
        monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", load)
        with pytest.raises(ImageTooLargeError, match="pixels"):
            hash_bytes(data, profile="luma", limits=imaging.Limits(max_pixels=1000))

    def test_damaged_files_fail_alike(self) -> None:
        data = jpeg(RGB)
        for size in (20, 300, 700, len(data) // 2, len(data) - 2):
            reasons = []
            for profile in PROFILES:
                with pytest.raises(ImageDecodeError) as caught:
                    hash_bytes(data[:size], profile=profile)
                reasons.append(str(caught.value))
            assert reasons[0] == reasons[1]


class TestHashes:
    @pytest.mark.parametrize("kind", synthetic.KINDS)
    @pytest.mark.parametrize("quality", [20, 50, 75, 90, 98])
    @pytest.mark.parametrize("subsampling", [0, 1, 2])
    def test_within_four_bits(self, kind: str, quality: int, subsampling: int) -> None:
        for seed, size in enumerate([(40, 50), (128, 128), (300, 200), (201, 640)]):
            rgb = synthetic.image(quality + 100 * subsampling + 1000 * seed, *size, kind)
            found = distances(jpeg(rgb, quality=quality, subsampling=subsampling))
            assert max(found.values()) <= 4, (size, found)
            assert found["whash"] == 0

    @pytest.mark.parametrize(
        "rgb",
        [
            np.full((200, 300, 3), (200, 30, 90), np.uint8),
            np.full((200, 300, 3), 255, np.uint8),
            np.repeat(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], 200, axis=0) * np.ones(3, np.uint8),
            np.kron(np.indices((10, 15)).sum(axis=0)[..., None] % 2 * 255, np.ones((20, 20, 1))).astype(np.uint8)
            * np.array([1, 0, 0], np.uint8),
            np.concatenate([RGB, RGB[:, ::-1]], axis=1),
            np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8),
            *(PALE[:, :width] for width in (141, 160, 300)),
        ],
        ids=[
            "one colour",
            "white",
            "gradient",
            "red and black squares",
            "mirrored",
            "white noise",
            "pale, 141",
            "pale, 160",
            "pale, 300",
        ],
    )
    def test_pictures_on_the_edge(self, rgb: np.ndarray) -> None:
        for quality in (30, 75, 95, 98):
            assert max(distances(jpeg(rgb, quality=quality)).values()) <= 4

    def test_it_is_the_plane_that_is_hashed(self) -> None:
        data = jpeg(synthetic.image(5, 320, 240, "noise"), quality=95)
        pixels = imaging.decode(data, luma=always)
        trusted, quality = hashers.compute_trusted(pixels, pixels.luma_step or 0, PERCEPTUAL)
        assert list(trusted) == ["pdq", "phash", "dhash", "ahash"]
        record = hash_bytes(data, PERCEPTUAL, profile="luma")
        assert {name: record.hashes[name] for name in trusted} == trusted
        assert record.quality == quality
        assert (trusted, quality) == hashers.compute(pixels, trusted)

    @pytest.mark.parametrize("doubtful", [(), ("pdq",), ("dhash", "ahash"), PERCEPTUAL])
    def test_a_doubtful_hash_is_the_references(
        self, doubtful: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decoded = []
        real = imaging.decode

        def count(*arguments: Any, **options: Any) -> imaging.Pixels:
            decoded.append(options.get("luma"))
            return real(*arguments, **options)

        def trusted(_found: object, _side: object, _step: object, names: list[str]) -> list[str]:
            return [name for name in names if name not in doubtful]

        monkeypatch.setattr(imaging, "decode", count)
        monkeypatch.setattr(luma_margins, "trusted", trusted)
        data = jpeg(RGB, quality=80)
        record, reference = hash_bytes(data, ALL, profile="luma"), hash_bytes(data, ALL)
        assert len(decoded) == (2 if doubtful else 1) + 1
        assert tuple(record.hashes) == ALL
        assert (record.width, record.profile, record.format) == (320, "luma", "JPEG")
        for name in doubtful:
            assert record.hashes[name] == reference.hashes[name]
        if "pdq" in doubtful:
            assert record.quality == reference.quality

    @pytest.mark.parametrize("names", [("md5",), ("pdq",), ("dhash", "md5")])
    def test_a_hash_does_not_depend_on_what_else_is_asked_for(self, names: tuple[str, ...]) -> None:
        for seed in range(8):
            data = jpeg(synthetic.image(seed, 300, 260), quality=70)
            everything = hash_bytes(data, ALL, profile="luma").hashes
            for name, code in hash_bytes(data, names, profile="luma").hashes.items():
                assert code == everything[name]


SIZES = [(500, 375), (128, 1000), (1000, 130), (64, 64), (200, 700), (128, 128), (2500, 300), (5, 40), (257, 256)]


class TestMargins:
    @pytest.mark.parametrize("size", SIZES)
    def test_what_the_hashes_compare(self, size: tuple[int, int]) -> None:
        grey = np.ascontiguousarray(synthetic.image(4, max(size[0], 16), max(size[1], 16), "noise")[..., 1])
        grey = grey[: size[1], : size[0]]
        transform = pdq_banded.dct_matrix()
        expected = np.sort((transform @ pdq_banded.decimated(grey.astype(np.float32)) @ transform.T).ravel())
        np.testing.assert_allclose(
            np.array(plane.ordered(grey)) * plane.ORDERED_UNIT,
            expected[[63, 125, 126, 127, 128, 129, 130, 192]],
            atol=0.03,
        )
        for name, (width, height) in (("dhash", (9, 8)), ("ahash", (8, 8))):
            samples = resample.unrounded(grey, width, height, 2) / 2.0**22
            resized = np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS))
            if imaging.vertical_first() == 2:
                np.testing.assert_array_equal(np.floor(np.clip(samples, 0, 255) + 0.5), resized)
            distances = np.diff(samples) if name == "dhash" else samples - samples.mean()
            found = plane.closest(grey, name, 2) * plane.SAMPLE_UNITS[name]
            assert found == pytest.approx(np.sort(np.abs(distances), axis=None)[4], abs=1e-9)

    @pytest.mark.parametrize("kernel", [item.name for item in kernels.implementations() if item.available])
    @pytest.mark.parametrize("size", SIZES)
    def test_the_same_numbers_in_every_implementation(
        self, kernel: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for seed, kind in enumerate((*synthetic.KINDS, "white noise")):
            if kind == "white noise":
                wide = np.random.default_rng(seed).integers(0, 256, size[::-1], np.uint8)
            else:
                wide = synthetic.image(seed, max(size[0], 16), max(size[1], 16), kind)[..., 1]
            grey = wide[: size[1], : size[0]]  # with gaps between rows
            rule = seed % 3
            expected = plane.hashes(grey, NAMES, rule)
            monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, kernel)
            assert kernels.plane_hashes(grey, NAMES, vertical_first=rule) == expected
            assert kernels.pdq_from_pixels(grey)[0].tobytes() == expected.codes["pdq"]
            some = kernels.plane_hashes(grey, ("dhash",), vertical_first=rule)
            assert (some.codes, some.closest) == (
                {"dhash": expected.codes["dhash"]},
                {"dhash": expected.closest["dhash"]},
            )
            assert some.ordered == expected.ordered
            assert kernels.plane_hashes(grey, (), vertical_first=rule).ordered == expected.ordered

    def test_decisions_do_not_depend_on_the_implementation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        files = [jpeg(synthetic.image(seed, 200 + 7 * seed, 300), quality=70 + seed) for seed in range(12)]
        found = []
        for item in kernels.implementations():
            if item.available:
                monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, item.name)
                found.append([hash_bytes(data, PERCEPTUAL, profile="luma").hashes for data in files])
        assert all(other == found[0] for other in found)

    def test_factors_are_not_near_a_rounding(self) -> None:
        factors = np.abs(pdq_banded.dct_matrix()) * 2**15
        assert np.abs(factors - np.floor(factors) - 0.5).min() > 1e-6

    @pytest.mark.parametrize(
        "pixels",
        [
            np.zeros((4, 9), np.uint8),
            np.zeros((9, 0), np.uint8),
            np.zeros((9, 9, 3), np.uint8),
            np.zeros((9, 9), np.uint16),
            np.zeros((5, 32_769), np.uint8),
            [[0] * 9] * 9,
        ],
        ids=["low", "empty", "colours", "uint16", "long", "list"],
    )
    def test_what_is_no_plane(self, pixels: Any) -> None:
        with pytest.raises(ArrayError, match=r"expected uint8\[height, width\] of 5 to 32,768 pixels a side"):
            kernels.plane_hashes(pixels, NAMES, vertical_first=2)
        for names, rule in ((("whash",), 2), (NAMES, 3)):
            with pytest.raises(ValueError, match="expected"):
                kernels.plane_hashes(np.zeros((9, 9), np.uint8), names, vertical_first=rule)

    def test_no_detail_no_trust(self) -> None:
        for grey in (np.full((300, 400), 77, np.uint8), np.full((130, 130), 3, np.uint8)):
            found = kernels.plane_hashes(grey, NAMES, vertical_first=2)
            assert luma_margins.trusted(found, 130, 10, PERCEPTUAL) == []

    def test_small_or_coarse_pictures_are_not_tried(self) -> None:
        assert luma_margins.worth_decoding(500, 375, 30)
        assert not luma_margins.worth_decoding(500, 100, 1)
        assert not luma_margins.worth_decoding(100, 500, 1)
        assert not luma_margins.worth_decoding(2000, 2000, 61)
        assert not luma_margins.worth_decoding(200, 32_769, 1)


class TestProfile:
    def test_default_and_names(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(jpeg(RGB))
        assert PROFILES == ("reference", "luma")
        assert hash_image(path).profile == "reference"
        for call in (hash_image, hash_file):
            assert call(path, profile="luma").profile == "luma"
        assert hash_image(path.read_bytes(), profile="luma").profile == "luma"
        png = imaging.encode(RGB, "PNG")
        assert hash_bytes(png, profile="luma").hashes == hash_bytes(png).hashes
        assert hash_bytes(b"abc", ["md5"], profile="luma").profile == ""

    @pytest.mark.parametrize("name", ["", "Luma", "fast", "x" * 500])
    @pytest.mark.parametrize(
        "call",
        [
            check_profile,
            lambda profile: hash_bytes(b"", ["md5"], profile=profile),
            lambda profile: hash_image("missing", profile=profile),
            lambda profile: hash_image(b"", profile=profile),
            lambda profile: hash_file("missing", profile=profile),
            lambda profile: hash_images([], profile=profile),
            lambda profile: HashPool(["md5"], workers=0, profile=profile),
        ],
    )
    def test_unknown_name(self, call: Callable[..., object], name: str) -> None:
        with pytest.raises(UsageError, match=r"unknown profile .*; expected one of reference, luma"):
            call(profile=name)

    @pytest.mark.parametrize("profile", PROFILES)
    def test_workers(self, profile: str, tmp_path: Path) -> None:
        paths = []
        for seed in range(6):
            paths.append(tmp_path / f"{seed}.jpg")
            paths[-1].write_bytes(jpeg(synthetic.image(seed, 300, 240), quality=80))
        expected = [hash_file(path, ALL, profile=profile) for path in paths]
        assert list(hash_images(paths, ALL, workers=2, profile=profile)) == expected
        assert list(hash_images(paths, ALL, workers=0, profile=profile)) == expected
        assert {record.profile for record in expected} == {profile}


class TestCommandLine:
    @pytest.fixture
    def picture(self, tmp_path: Path) -> str:
        path = tmp_path / "a.jpg"
        path.write_bytes(jpeg(RGB))
        return str(path)

    @pytest.mark.parametrize("profile", PROFILES)
    def test_hash(self, picture: str, profile: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["hash", picture, "--profile", profile, "--format", "jsonl"]) == 0
        assert f'"profile": "{profile}"' in capsys.readouterr().out
        assert run(["hash", picture, "--profile", profile]) == 0
        assert f"a.jpg: JPEG 320x240, profile {profile}\n" in capsys.readouterr().out
        assert run(["hash", picture, "--profile", profile, "--format", "csv"]) == 0
        head, row = capsys.readouterr().out.splitlines()
        assert row.split(",")[head.split(",").index("profile")] == profile

    @pytest.mark.parametrize("profile", PROFILES)
    def test_compare(self, picture: str, profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
        used = []
        real = hash_image

        def note(*arguments: Any, **options: Any) -> Any:
            used.append(options["profile"])
            return real(*arguments, **options)

        monkeypatch.setattr("hashmatch.hashing.hash_image", note)
        assert run(["compare", picture, picture, "--profile", profile]) == 1
        assert used == [profile, profile]

    @pytest.mark.parametrize("verb", [["hash", "x"], ["compare", "x", "y"], ["scan", "x", "--list", "y"]])
    def test_unknown_name(self, verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run([*verb, "--profile", "fast"]) == 2
        assert "'fast' is not one of 'reference', 'luma'" in capsys.readouterr().err

    @pytest.mark.parametrize("profile", PROFILES)
    def test_a_scan_names_kernels_and_profile(self, picture: str, profile: str, tmp_path: Path) -> None:
        known, report = tmp_path / "known.hml", tmp_path / "report"
        hashes = tmp_path / "hashes.jsonl"
        assert run(["hash", picture, "--format", "jsonl", "-o", str(hashes)]) == 0
        assert run(["list", "create", str(known)]) == 0
        assert run(["list", "import", str(known), str(hashes), "--source", "Test"]) == 0
        arguments = ["scan", picture, "--list", str(known), "--report", str(report), "-j", "1", "--quiet"]
        assert run([*arguments, "--profile", profile]) == 1
        header = json.loads((report / "report.json").read_text(encoding="utf-8"))["header"]
        assert header["tool"]["kernels"] == kernels.active()
        assert header["hashing"]["profile"] == profile
        row = json.loads((report / "results.jsonl").read_text(encoding="utf-8"))
        assert (row["profile"], row["verdict"]) == (profile, "exact")
