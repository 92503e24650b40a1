from __future__ import annotations

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import algorithms, hashers, imaging, kernels, synthetic
from hashmatch.errors import ArrayError, UnknownAlgorithmError
from hashmatch.hashers import digests, imagehash_family, pdq

imagehash = pytest.importorskip("imagehash")

KNOWN_PDQ = "5c9e7bc6e0dc977459522594f6676c66b8961a03597c5bc165fe901c808566db"


class TestDigests:
    @given(st.binary(max_size=300), st.integers(1, 70))
    def test_both_ways_equal_hashlib(self, data: bytes, chunk: int) -> None:
        expected = {name: hashlib.new(name, data).digest() for name in ("md5", "sha1", "sha256", "sha512")}
        assert digests.digest_bytes(data, expected) == expected
        assert digests.digest_stream(io.BytesIO(data), expected, chunk) == (expected, len(data))
        rest = io.BytesIO(data)
        start = rest.read(7)
        assert digests.digest_stream(rest, expected, chunk, start=start) == (expected, len(data))

    def test_more_than_one_block(self) -> None:
        data = bytes(range(256)) * 1025
        assert digests.digest_bytes(memoryview(data), ["sha1"]) == {"sha1": hashlib.sha1(data).digest()}

    def test_empty_file_and_no_algorithms(self) -> None:
        assert digests.digest_bytes(b"", digests.DIGESTS) == dict(algorithms.EMPTY_DIGESTS)
        assert digests.digest_bytes(b"abc", []) == {}
        assert digests.digest_stream(io.BytesIO(b"abc"), []) == ({}, 3)

    def test_registry_order_and_widths(self) -> None:
        found = digests.digest_bytes(b"abc", ["sha256", "md5", "md5"])
        assert list(found) == ["md5", "sha256"]
        for name, value in found.items():
            assert len(value) == algorithms.get(name).width

    @pytest.mark.parametrize("name", ["pdq", "MD5", "crc32"])
    def test_not_a_digest(self, name: str) -> None:
        with pytest.raises(UnknownAlgorithmError, match=name):
            digests.digest_bytes(b"", [name])
        with pytest.raises(UnknownAlgorithmError, match=name):
            digests.digest_stream(io.BytesIO(), [name])


class TestPdq:
    def test_known_value(self) -> None:
        """The code of pdqhash 0.2.8 for this picture, so that a change shows without that package too."""
        code, quality = pdq.pdq(synthetic.image(1, 200, 150, "noise"))
        assert (code.hex(), quality) == (KNOWN_PDQ, 100)

    def test_dihedral(self) -> None:
        rgb = synthetic.image(2, 200, 150, "shapes")
        codes, quality = pdq.pdq_dihedral(rgb)
        assert len(codes) == len(set(codes)) == len(kernels.DIHEDRAL_ORDER) == 8
        assert (codes[0], quality) == pdq.pdq(rgb)

    def test_dihedral_is_near_the_turned_picture(self) -> None:
        rgb = synthetic.image(3, 256, 256, "noise")
        turned = {
            "r90": np.rot90(rgb),
            "r180": np.rot90(rgb, 2),
            "r270": np.rot90(rgb, 3),
            "flipx": rgb[::-1],
            "flipy": rgb[:, ::-1],
            "flip_plus": rgb.transpose(1, 0, 2),
            "flip_minus": np.rot90(rgb, 2).transpose(1, 0, 2),
        }
        codes = dict(zip(kernels.DIHEDRAL_ORDER, pdq.pdq_dihedral(rgb)[0], strict=True))
        for name, picture in turned.items():
            distance = (int.from_bytes(codes[name]) ^ int.from_bytes(pdq.pdq(picture)[0])).bit_count()
            # Not zero: decimation samples slightly off the middle, so that a turned picture is sampled elsewhere.
            assert distance <= 64, name

    def test_wrong_array(self) -> None:
        with pytest.raises(ArrayError):
            pdq.pdq(np.zeros((9, 9, 2), np.uint8))


class TestImagehashFamily:
    @pytest.mark.parametrize("kind", synthetic.KINDS)
    @pytest.mark.parametrize("size", [(1, 1), (3, 50), (64, 64), (301, 200)])
    @pytest.mark.parametrize("grey", [False, True])
    def test_equals_imagehash(self, kind: str, size: tuple[int, int], grey: bool) -> None:
        rgb = synthetic.image(5, *size, kind)
        pixels = imaging.decode(imaging.encode(rgb[..., 0] if grey else rgb, "PNG"))
        functions = {"phash": "phash", "dhash": "dhash", "ahash": "average_hash", "whash": "whash"}
        assert set(functions) == set(imagehash_family.NAMES)
        for name, function in functions.items():
            code = imagehash_family.compute(name, pixels.image)
            assert len(code) == algorithms.get(name).width
            assert code.hex() == str(getattr(imagehash, function)(pixels.image))


class TestRegistry:
    def test_everything_computed_has_a_function(self) -> None:
        computed = {name for name, algorithm in algorithms.ALGORITHMS.items() if algorithm.computed}
        assert computed == set(hashers.PERCEPTUAL) | set(digests.DIGESTS)

    def test_compute(self) -> None:
        pixels = imaging.decode(imaging.encode(synthetic.image(1, 90, 80, "noise"), "PNG"))
        hashes, quality = hashers.compute(pixels, ["whash", "pdq", "pdq", "dhash"])
        assert list(hashes) == ["pdq", "dhash", "whash"]
        assert list(quality) == ["pdq"]
        assert hashers.compute(pixels, []) == ({}, {})

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("photodna", "licensed"), ("lace", "proprietary"), ("md5", "bytes"), ("nonsense", "unknown algorithm")],
    )
    def test_what_is_not_computed(self, name: str, reason: str) -> None:
        pixels = imaging.decode(imaging.encode(np.zeros((9, 9), np.uint8), "PNG"))
        with pytest.raises(UnknownAlgorithmError, match=reason):
            hashers.compute(pixels, ["pdq", name])

    def test_photodna_is_matched_but_never_computed(self) -> None:
        with pytest.raises(UnknownAlgorithmError, match=r"photodna cannot be computed.*licensed.*matches it and never"):
            hashers.check_computed(["photodna"])


def test_importing_stays_light() -> None:
    program = (
        "import sys, hashmatch.hashing, hashmatch.hashers, hashmatch.kernels; "
        "print([m for m in ('PIL', 'scipy', 'imagehash', 'pywt', 'faiss') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
