from __future__ import annotations

import builtins
import hashlib
import io
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashmatch import hashing, imaging, synthetic
from hashmatch.errors import (
    ImageDecodeError,
    ImageError,
    ImageFormatError,
    ImageReadError,
    ImageTooLargeError,
    UnknownAlgorithmError,
)
from hashmatch.hashing import hash_bytes, hash_file, hash_image
from hashmatch.imaging import Limits

ALL = ("md5", "sha1", "sha256", "sha512", "pdq", "phash", "dhash", "ahash", "whash")
RGB = synthetic.image(1, 200, 150, "noise")
PNG = imaging.encode(RGB, "PNG")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    return path


class Scripted(io.BufferedReader):
    """A file whose first read fails, and that notes how much it is asked for."""

    asked: ClassVar[list[int]] = []

    def __init__(self, path: Path, error: type[Exception] | None) -> None:
        super().__init__(io.FileIO(path))
        self.error = error
        Scripted.asked = []

    def read(self, size: int | None = -1) -> bytes:
        Scripted.asked.append(size or 0)
        if self.error is not None:
            error, self.error = self.error, None
            super().read(10)
            raise error
        return super().read(size)


class TestGoodFiles:
    def test_record(self, picture: Path) -> None:
        record = hash_image(picture, ALL)
        assert record.name == str(picture)
        assert tuple(record.hashes) == ALL
        assert record.quality == {"pdq": 100}
        assert record.size == len(PNG)
        assert (record.status, record.reason) == ("ok", "")
        assert (record.profile, record.decoder) == ("reference", imaging.decoder_version())
        assert (record.format, record.width, record.height, record.oriented) == ("PNG", 200, 150, False)
        for name in ALL[:4]:
            assert record.hashes[name] == hashlib.new(name, PNG).digest()

    def test_all_ways_agree(self, picture: Path) -> None:
        expected = hash_image(picture)
        assert tuple(expected.hashes) == ("md5", "pdq", "phash")
        assert hash_image(str(picture)) == expected
        assert hash_file(picture) == expected
        assert hash_bytes(PNG, name=str(picture)) == expected
        for data in (PNG, bytearray(PNG), memoryview(PNG)):
            record = hash_image(data)
            assert record.name == ""
            assert record.hashes == expected.hashes

    def test_file_is_read_once(self, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = []
        real = io.open

        def counted(file: Any, *args: Any, **options: Any) -> Any:
            opened.append(file)
            return real(file, *args, **options)

        monkeypatch.setattr(io, "open", counted)
        monkeypatch.setattr(builtins, "open", counted)
        hash_image(picture, ALL)
        assert len(opened) == 1

    def test_orientation_is_recorded(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        path = tmp_path / "turned.jpg"
        Image.fromarray(RGB).save(path, exif=exif)
        plain, turned = hash_image(path), hash_image(path, orientation=True)
        assert (plain.oriented, plain.width) == (False, 200)
        assert (turned.oriented, turned.width) == (True, 150)
        assert plain.hashes["pdq"] != turned.hashes["pdq"]
        assert plain.hashes["md5"] == turned.hashes["md5"]


class TestDigestsAlone:
    def test_any_file_will_do(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_bytes(b"hello")
        record = hash_image(path, ("md5", "sha512"))
        assert record.hashes == {"md5": hashlib.md5(b"hello").digest(), "sha512": hashlib.sha512(b"hello").digest()}
        assert (record.size, record.status, record.profile, record.decoder, record.format) == (5, "ok", "", "", "")
        assert hash_file(path, ("md5", "sha512")) == record
        assert hash_bytes(b"hello", ("md5", "sha512"), name=str(path)) == record

    def test_of_any_size(self, picture: Path) -> None:
        assert hash_image(picture, ("md5",), limits=Limits(max_bytes=1)).status == "ok"

    def test_no_decoder_is_loaded(self, picture: Path) -> None:
        program = (
            "import sys; from hashmatch.hashing import hash_image; hash_image(sys.argv[1], ('md5', 'sha256')); "
            "print([m for m in ('PIL', 'scipy', 'imagehash') if m in sys.modules])"
        )
        result = subprocess.run([sys.executable, "-c", program, str(picture)], capture_output=True, check=True)
        assert result.stdout.strip() == b"[]"


class TestBadFiles:
    @pytest.mark.parametrize(
        ("content", "error", "status"),
        [
            (b"", ImageDecodeError, "unreadable"),
            (b"hello", ImageFormatError, "unsupported"),
            (PNG[:500], ImageDecodeError, "unreadable"),
            (b"\0\0\0\x1cftypheic" + bytes(40), ImageFormatError, "unsupported"),
        ],
    )
    def test_unusable_image(self, content: bytes, error: type[ImageError], status: str, tmp_path: Path) -> None:
        path = tmp_path / "bad.png"
        path.write_bytes(content)
        with pytest.raises(error, match=r"bad\.png: ") as caught:
            hash_image(path)
        record = hash_file(path)
        assert (record.status, record.reason) == (status, str(caught.value))
        assert record.hashes == {"md5": hashlib.md5(content).digest()}
        assert record.size == len(content)
        assert (record.quality, record.width, record.profile) == ({}, 0, "")
        with pytest.raises(error):
            hash_bytes(content)

    def test_over_the_limit_of_bytes_is_streamed(self, picture: Path) -> None:
        limits = Limits(max_bytes=len(PNG) - 1)
        record = hash_file(picture, ALL, limits=limits)
        assert (record.status, record.size) == ("too_large", len(PNG))
        assert record.reason == f"{picture}: {len(PNG):,} bytes; the limit is {len(PNG) - 1:,} bytes"
        assert record.hashes == {name: hashlib.new(name, PNG).digest() for name in ALL[:4]}
        with pytest.raises(ImageTooLargeError, match=r"picture\.png"):
            hash_image(picture, limits=limits)
        assert hash_file(picture, ALL, limits=Limits(max_bytes=len(PNG))).status == "ok"

    @pytest.mark.parametrize("most", [1 << 45, 1 << 62, 1 << 70])
    def test_a_limit_of_any_size_takes_no_memory(self, picture: Path, most: int) -> None:
        assert hash_file(picture, ALL, limits=Limits(max_bytes=most)) == hash_file(picture, ALL)

    @pytest.mark.parametrize("error", [MemoryError, OverflowError])
    def test_a_file_that_the_memory_does_not_hold(
        self, picture: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Path, "open", lambda path, mode: Scripted(path, error))
        record = hash_file(picture, ALL)
        assert (record.status, record.size) == ("too_large", len(PNG))
        assert record.reason == f"{picture}: {len(PNG):,} bytes: out of memory while reading"
        assert record.hashes == {name: hashlib.new(name, PNG).digest() for name in ALL[:4]}

    def test_a_file_that_grows_while_it_is_read(self, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        added = PNG + bytes(5 << 20)
        limits = Limits(max_bytes=3 << 20)
        real = os.fstat

        def grow(number: int) -> os.stat_result:
            result = real(number)
            if result.st_size == len(PNG):
                with io.open(picture, "wb") as file:  # noqa: UP020 - Path.open is replaced here
                    file.write(added)
            return result

        monkeypatch.setattr(os, "fstat", grow)
        monkeypatch.setattr(Path, "open", lambda path, mode: Scripted(path, None))
        record = hash_file(picture, ("md5", "pdq"), limits=limits)
        assert (record.status, record.size) == ("too_large", len(added))
        assert record.hashes == {"md5": hashlib.md5(added).digest()}
        assert max(Scripted.asked) <= 1 << 20

    def test_a_file_that_grows_within_the_limit(self, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.fstat

        def grow(number: int) -> os.stat_result:
            result = real(number)
            picture.write_bytes(PNG + bytes(3 << 20))
            return result

        monkeypatch.setattr(os, "fstat", grow)
        record = hash_file(picture, ("md5", *ALL[4:]))
        assert (record.status, record.size) == ("ok", len(PNG) + (3 << 20))
        assert record.hashes["md5"] == hashlib.md5(PNG + bytes(3 << 20)).digest()

    def test_the_caller_is_told_when_decoding_begins(self, picture: Path, tmp_path: Path) -> None:
        told: list[int] = []
        hash_file(picture, ALL, when_read=lambda: told.append(1))
        assert told == [1]
        hash_file(picture, ALL[:4], when_read=lambda: told.append(2))
        hash_file(tmp_path, ALL, when_read=lambda: told.append(3))
        hash_file(picture, ALL, limits=Limits(max_bytes=1), when_read=lambda: told.append(4))
        assert told == [1]

    def test_over_the_limit_of_pixels(self, picture: Path) -> None:
        record = hash_file(picture, limits=Limits(max_pixels=29_999))
        assert record.status == "too_large"
        assert "200 x 150 = 30,000 pixels" in record.reason
        assert list(record.hashes) == ["md5"]

    @pytest.mark.parametrize("algorithms", [("pdq",), ("md5",), ("pdq", "md5"), ()])
    def test_unreadable_paths(self, algorithms: tuple[str, ...], tmp_path: Path) -> None:
        for path, reason in (
            (tmp_path / "missing.png", "No such file"),
            (tmp_path, "a folder"),
            ("nul\0character", "null"),
            (tmp_path / ("x" * 300), "name too long"),
        ):
            record = hash_file(path, algorithms)
            assert (record.status, record.hashes, record.size) == ("unreadable", {}, None)
            assert record.reason.startswith(f"{path}: cannot be read: ")
            assert reason.lower() in record.reason.lower()
            with pytest.raises(ImageReadError):
                hash_image(path, algorithms)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
    def test_no_permission(self, picture: Path) -> None:
        picture.chmod(0)
        assert "denied" in hash_file(picture).reason

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
    def test_pipes_and_sockets_do_not_block(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)  # a socket's path must be short
        os.mkfifo("pipe")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            for name in ("pipe", "socket"):
                assert "a device, a pipe or a socket" in hash_file(name).reason

    def test_out_of_memory_while_hashing(self, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def exhausted(*_args: object) -> None:
            raise MemoryError

        monkeypatch.setattr("hashmatch.kernels.pdq_from_pixels", exhausted)
        record = hash_file(picture)
        assert record.status == "too_large"
        assert "out of memory" in record.reason

    @given(data=st.binary(max_size=300), head=st.booleans())
    @settings(max_examples=50, deadline=None)
    def test_never_raises(self, tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bool) -> None:
        path = tmp_path_factory.getbasetemp() / "anything"
        path.write_bytes(PNG[:40] + data if head else data)
        record = hash_file(path)
        assert record.status in ("ok", "unreadable", "unsupported", "too_large")
        assert bool(record.reason) == (record.status != "ok")
        assert "md5" in record.hashes


class TestAlgorithms:
    @pytest.mark.parametrize("name", ["photodna", "lace", "nonsense"])
    def test_a_mistake_in_the_call_is_raised_before_anything_is_read(self, name: str) -> None:
        for call in (hash_file, hash_image):
            with pytest.raises(UnknownAlgorithmError, match=name):
                call("missing", ("md5", name))
        with pytest.raises(UnknownAlgorithmError, match=name):
            hash_bytes(b"", (name,))

    def test_check(self) -> None:
        assert hashing.check_algorithms(["pdq", "md5", "pdq"]) == ("md5", "pdq")
        assert hashing.check_algorithms(hashing.DEFAULT_ALGORITHMS) == ("md5", "pdq", "phash")
