"""The input layer: files that are not there, encodings, line ends, limits, digests."""

from __future__ import annotations

import codecs
import hashlib
import io
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import HashMatchError, InputError, InputNotFoundError, RecordError
from hashmatch.lists.formats import source
from hashmatch.lists.formats.source import Head, Input, Limits


def lines_of(path, **options):
    with Input(path, **options) as opened:
        return list(opened.lines())


def written(tmp_path, data: bytes):
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    return path


class TestOpening:
    def test_missing(self, tmp_path):
        with pytest.raises(InputNotFoundError, match=r"gone.csv'.*no such file.*expected a hash list"):
            Input(tmp_path / "gone.csv")

    def test_folder(self, tmp_path):
        with pytest.raises(InputNotFoundError, match="is a folder; expected"):
            Input(tmp_path)

    def test_no_permission(self, tmp_path, monkeypatch):
        def refuse(*_args, **_kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(source.Path, "open", refuse)
        with pytest.raises(InputNotFoundError, match="permission to read it is denied"):
            Input(tmp_path / "x")

    @pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "file.txt/below"])
    def test_impossible_path(self, tmp_path, path):
        (tmp_path / "file.txt").write_text("x")
        with pytest.raises(InputNotFoundError, match="expected a hash list"):
            Input(f"{tmp_path}/{path}")

    def test_empty(self, tmp_path):
        with pytest.raises(InputError, match=r"is empty \(0 bytes\); expected a hash list"):
            Input(written(tmp_path, b""))

    def test_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb")))
        with Input("-") as opened:
            assert opened.bytes_total is None
            assert list(opened.lines()) == ["a", "b"]
            assert opened.sha256 == hashlib.sha256(b"a\nb").hexdigest()
        assert not sys.stdin.buffer.closed

    def test_empty_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        with pytest.raises(InputError, match="standard input is empty"):
            Input("-")

    def test_closed_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(InputNotFoundError, match="closed"):
            Input("-")

    def test_read_error(self, tmp_path):
        class Failing(io.BytesIO):
            def read(self, _n=-1):
                raise OSError(5, "Input/output error")

        with Input(written(tmp_path, b"a\n" * 10), limits=Limits(max_line_bytes=4)) as opened:
            opened._file.close()
            opened._file = Failing()
            with pytest.raises(InputError, match=r"list.txt'.*reading fails after \d+ bytes \(Input/output error\)"):
                list(opened.lines())


class TestLines:
    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"a\nb\n", ["a", "b"]),
            (b"a\r\nb\r\n", ["a", "b"]),
            (b"a\nb", ["a", "b"]),
            (b"a\r\nb\r", ["a", "b"]),
            (b"\n\na\n\n", ["", "", "a", ""]),
            (b"a\rb\n", ["a\rb"]),
            ("a\u2028b\x85c\x0bd\n".encode(), ["a\u2028b\x85c\x0bd"]),
            (codecs.BOM_UTF8 + "é\n".encode(), ["é"]),
            (codecs.BOM_UTF16_LE + "é😀\r\nb\n".encode("utf-16-le"), ["é😀", "b"]),
            (codecs.BOM_UTF16_BE + "é😀\r\nb".encode("utf-16-be"), ["é😀", "b"]),
            (codecs.BOM_UTF8, []),
            (b"\n", [""]),
        ],
    )
    @pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 18])
    def test_text(self, tmp_path, monkeypatch, data, expected, block):
        monkeypatch.setattr(source, "_BLOCK", block)
        assert lines_of(written(tmp_path, data)) == expected

    @given(st.binary(max_size=200), st.integers(1, 9))
    @settings(max_examples=150, deadline=None)
    def test_any_bytes(self, data, block):
        """Whatever the bytes and wherever blocks end, lines are those of the text as a whole."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(source, "_BLOCK", block)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
            try:
                opened = Input("-")
                found = list(opened.lines())
            except HashMatchError:
                return
            assert opened.sha256 == hashlib.sha256(data).hexdigest()
            if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                text = data.decode("utf-8-sig").replace("\r\n", "\n")
                assert found == _split(text)

    def test_numbers(self, tmp_path, monkeypatch):
        monkeypatch.setattr(source, "_BLOCK", 5)
        with Input(written(tmp_path, b"a\nbb\n\nccccccccc\nd")) as opened:
            assert [(opened.line_number, opened.unterminated, text) for text in opened.lines()] == [
                (1, False, "a"),
                (2, False, "bb"),
                (3, False, ""),
                (4, False, "ccccccccc"),
                (5, True, "d"),
            ]

    @pytest.mark.parametrize("block", [3, 1 << 18])
    def test_bad_utf8(self, tmp_path, monkeypatch, block):
        monkeypatch.setattr(source, "_BLOCK", block)
        with pytest.raises(RecordError, match=r"line 3: found the byte 0xe9, .*expected UTF-8") as caught:
            lines_of(written(tmp_path, b"a\nb\nc\xe9d\n"))
        assert caught.value.line == 3
        assert str(tmp_path) in caught.value.path

    @pytest.mark.parametrize("tail", [b"\x00\xd8a\x00", b"\x00"])
    def test_bad_utf16(self, tmp_path, tail):
        with pytest.raises(RecordError, match="line 2: found bytes that are not UTF-16-LE"):
            lines_of(written(tmp_path, codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + tail))


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    if not lines[-1]:
        return lines[:-1]
    # The last line may have kept a CR that was cut from its LF.
    return [*lines[:-1], lines[-1].removesuffix("\r")]


class TestLimits:
    @pytest.mark.parametrize("tail", [b"", b"\n", b"\nx\n"])
    @pytest.mark.parametrize("block", [1, 3, 4, 5, 1 << 18])
    @pytest.mark.parametrize("before", [b"", b"ab\n"])
    def test_line_cap_is_inclusive(self, tmp_path, monkeypatch, tail, block, before):
        monkeypatch.setattr(source, "_BLOCK", block)
        limits = Limits(max_line_bytes=10)
        assert "y" * 10 in lines_of(written(tmp_path, before + b"y" * 10 + tail), limits=limits)
        with pytest.raises(RecordError, match="more than 10 bytes") as caught:
            lines_of(written(tmp_path, before + b"y" * 11 + tail), limits=limits)
        assert caught.value.line == 1 + bool(before)

    def test_endless_line_is_cheap(self, monkeypatch):
        class Endless(io.RawIOBase):
            given = 0

            def readable(self):
                return True

            def read(self, n=-1):
                self.given += n
                return b"x" * n

        endless = Endless()

        class Stdin:
            buffer = endless

        monkeypatch.setattr(sys, "stdin", Stdin())
        cap = 4 << 20
        tracemalloc.start()
        try:
            with pytest.raises(RecordError, match="line 1"):
                lines_of("-", limits=Limits(max_line_bytes=cap))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert endless.given <= cap + 2 * source._BLOCK
        assert peak <= cap + 4 * source._BLOCK


class TestDigestAndProgress:
    def test_digest_after_the_last_line(self, tmp_path):
        data = b"abc\n" * 100_000
        seen = []
        with Input(written(tmp_path, data), progress=lambda done, total: seen.append((done, total))) as opened:
            assert opened.sha256 == ""
            assert sum(1 for _ in opened.lines()) == 100_000
            assert opened.sha256 == opened.finish() == hashlib.sha256(data).hexdigest()
            assert opened.bytes_read == opened.bytes_total == len(data)
        assert seen[-1] == (len(data), len(data))
        assert len(seen) == -(-len(data) // source._BLOCK)

    def test_finish_drains(self, tmp_path):
        data = b"abc\n" * 300_000
        with Input(written(tmp_path, data)) as opened:
            next(opened.lines())
            assert opened.finish() == hashlib.sha256(data).hexdigest()


class TestHead:
    def test_head_consumes_nothing(self, tmp_path):
        data = b"a\nb\n" * 100_000
        with Input(written(tmp_path, data)) as opened:
            head = opened.head(5)
            assert head.raw == b"a\nb\na"
            assert not head.complete
            assert head.lines == ("a", "b")
            assert sum(1 for _ in opened.lines()) == 200_000

    def test_whole_file(self, tmp_path):
        with Input(written(tmp_path, b"a\n\nb")) as opened:
            assert opened.head().complete
            assert opened.head().lines == ("a", "b")
            assert not opened.head().first_line_is_open

    def test_binary(self):
        assert Head("x", b"ab\x00c\n", True).is_binary
        assert Head("x", b"ab\x00c\n", True).lines == ()
        assert not Head("x", codecs.BOM_UTF16_LE + "ab\n".encode("utf-16-le"), True).is_binary
