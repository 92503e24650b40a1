"""The input layer under every reader: bytes in, checked lines out.

A file is read once, in blocks. On the way every byte goes into a SHA-256, so that a report can name exactly what was
read. Readers get either lines of text or, where speed matters, blocks of whole lines as UTF-8 bytes; both come from the
same place, so encoding, line ends and limits are the same for all.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from hashmatch.errors import InputError, InputNotFoundError, RecordError, shorten

__all__ = ["Head", "Input", "Limits", "Progress", "ReadOptions", "line_ends"]

#: Called after every block with (bytes read so far, bytes in all or None where that is not known).
Progress = Callable[[int, "int | None"], None]

#: Bytes read at once. Well under malloc's mmap and trim thresholds (128 KiB in glibc), or every block and copy of it
#: could be mapped and zeroed anew: measured with 256 KiB, 21,000 page faults in 118 MB, and none to speak of with 64.
_BLOCK = 64 << 10
_HEAD = 1 << 16
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader accepts at most. Everything is inclusive.

    Attributes:
        max_line_bytes: bytes of one line, and of one CSV record over all its lines.
        max_json_depth: levels of arrays and objects inside one another; a line's own object is level 1.
        max_string: characters of one text value.
    """

    max_line_bytes: int = 16 << 20
    max_json_depth: int = 32
    max_string: int = 1 << 20


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a reader is told besides the input.

    Attributes:
        limits: caps on what is accepted.
        settled: the format was named by the user or by the file's suffix, not inferred from the content alone.
    """

    limits: Limits = field(default_factory=Limits)
    settled: bool = False


@dataclass(frozen=True)
class Head:
    """The beginning of an input, for detection.

    Attributes:
        path: the path as given.
        raw: the first bytes, undecoded.
        complete: whether ``raw`` is the whole file.
    """

    path: str
    raw: bytes
    complete: bool

    @cached_property
    def text(self) -> str:
        """``raw`` as text, without a BOM and with bad bytes replaced (the reader reports those with their line)."""
        for bom, encoding in _UTF16.items():
            if self.raw.startswith(bom):
                return self.raw[2:].decode(encoding, "replace")
        return self.raw.decode("utf-8-sig", "replace")

    @cached_property
    def is_binary(self) -> bool:
        """Whether control characters in the first line say that this is no text (further down they are damage, which
        the reader reports with its line).
        """
        first = self.text.lstrip("\r\n").partition("\n")[0]
        return any(c < " " and c not in "\t\r\f\x1b" for c in first[:512])

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines that are certainly whole and not blank. None of a binary file."""
        if self.is_binary:
            return ()
        lines = self.text.split("\n")
        if not self.complete:
            lines.pop()
        return tuple(line.removesuffix("\r") for line in lines if line.strip())

    @property
    def first_line_is_open(self) -> bool:
        """Whether the file is a single line without a line end, which a truncated file may be."""
        return self.complete and "\n" not in self.text.lstrip()


class Input:
    """An input file that is read once, from front to back.

    Attributes:
        path: the path as given; "-" is standard input.
        limits: caps that `lines` and `blocks` enforce.
        bytes_read: bytes read so far.
        bytes_total: size of the file in bytes, or None where it is not known (pipes).
        sha256: hexadecimal SHA-256 of the whole file once all of it has been read (see `finish`), before that "".
        line_number: 1-based number of the line that `lines` yielded last; 0 before the first.
        block_line: 1-based number of the first line of the block that `blocks` yielded last.
        origins: whose the records say that they were, in the words of our own exports, and how many of each; complete
            after reading. See `fields.note_origin`.
        notes: what the reader has to say of the file as a whole, for whoever asked for it; complete after reading.
        unterminated: whether the last line that was yielded had no line end, because the file ends there.

    Raises:
        InputNotFoundError: no such file, a folder, or no permission.
        InputError: the file is empty or fails while it is read.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        limits: Limits | None = None,
        progress: Progress | None = None,
        expected: str = "a hash list",
    ) -> None:
        """Open an input; ``expected`` is what messages say that it should be."""
        self.path = str(path)
        self.limits = limits or Limits()
        self.bytes_read = 0
        self.bytes_total: int | None = None
        self.sha256 = ""
        self.line_number = 0
        self.block_line = 1
        self.unterminated = False
        self.notes: list[str] = []
        self.origins: Counter[str] = Counter()
        self._progress = progress
        self._expected = expected
        self._before: tuple[int, int] | None = None
        self._hash = hashlib.sha256()
        self._ahead: list[bytes] = []
        # A block is never larger than a line may be, so only the line that straddles two blocks can exceed the cap.
        self._block = max(1, min(_BLOCK, self.limits.max_line_bytes))
        self._file = self._open()
        if not self._peek(1):
            self.close()
            raise InputError(f"{self._shown} is empty (0 bytes); expected {self._expected}")

    @property
    def _shown(self) -> str:
        return "standard input" if self.path == "-" else shorten(self.path, 200)

    def _open(self) -> BinaryIO:
        if self.path == "-":
            if sys.stdin is None:
                raise InputNotFoundError(f"standard input is closed; expected {self._expected}")
            return sys.stdin.buffer
        try:
            file = Path(self.path).open("rb", buffering=0)  # noqa: SIM115 - closed by close()
        except FileNotFoundError:
            raise InputNotFoundError(f"{self._shown}: no such file; expected {self._expected}") from None
        except IsADirectoryError:
            raise InputNotFoundError(f"{self._shown} is a folder; expected {self._expected}, which is a file") from None
        except PermissionError:
            raise InputNotFoundError(
                f"{self._shown}: permission to read it is denied; expected {self._expected}"
            ) from None
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise InputNotFoundError(f"{self._shown} cannot be opened ({reason}); expected {self._expected}") from error
        status = _status(file.fileno())
        if status is not None and stat.S_ISREG(status[0]):
            self.bytes_total = status[1]
        return file

    def __enter__(self) -> Input:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file (never standard input, which is not ours)."""
        if self.path != "-":
            self._file.close()

    def head(self, n: int = _HEAD) -> Head:
        """The first bytes, at least ``n`` where the file has them, without consuming anything."""
        raw = self._peek(n)
        return Head(self.path, raw[:n], complete=bool(self.sha256) and len(raw) <= n)

    def _peek(self, n: int) -> bytes:
        while sum(map(len, self._ahead)) <= n and (block := self._read()):
            self._ahead.append(block)
        return b"".join(self._ahead)

    def _read(self) -> bytes:
        if self.sha256:
            return b""
        try:
            block = self._file.read(self._block) or b""
        except (OSError, ValueError) as error:  # ValueError: closed in the meantime
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{self._shown}: reading fails after {self.bytes_read:,} bytes ({reason})") from error
        if block:
            self._hash.update(block)
            self.bytes_read += len(block)
            if self._progress is not None:
                self._progress(self.bytes_read, self.bytes_total)
        else:
            self.sha256 = self._hash.hexdigest()
        return block

    def finish(self) -> str:
        """Read what is left without looking at it, and return the SHA-256 of the whole file in hexadecimal.

        Raises:
            InputError: the file fails while it is read.
        """
        self._ahead.clear()
        while self._read():
            pass
        if self._before is not None and self._before != self._stamp():
            raise InputError(f"{self._shown} changed while it was read; expected a file at rest: read it again")
        return self.sha256

    def local_file(self) -> Path:
        """The path of the input, for formats that are read in no fixed order (SQLite, Parquet).

        Such a reader opens the file by itself, reports with `report` how far it has come, and leaves reading it for its
        SHA-256 to `finish`, which whoever asked for the reading calls. A file that changed between is an error.

        Raises:
            InputError: the input is a pipe or standard input.
        """
        if self.bytes_total is None:
            raise InputError(
                f"{self._shown} is a stream; expected a file, as this format is not read from front to back: "
                "save it to a file first"
            )
        self._before = self._stamp()
        return Path(self.path)

    def _stamp(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def report(self, done: int, total: int | None) -> None:
        """Tell whoever asked for progress how far a reader of a `local_file` has come, in any unit."""
        if self._progress is not None:
            self._progress(done, total)

    def _raw(self) -> Iterator[bytes]:
        while True:
            block = self._ahead.pop(0) if self._ahead else self._read()
            if not block:
                return
            yield block

    def utf8(self) -> Iterator[bytes]:
        """The file in blocks as it comes, without a BOM; UTF-16 is recoded, so that everything above deals in UTF-8.

        Raises:
            RecordError: damaged UTF-16. The rest of the file is not usable.
            InputError: the file fails while it is read.
        """
        raw = self._peek(4)
        for bom, encoding in _UTF16.items():
            if raw.startswith(bom):
                yield from self._recoded(encoding)
                return
        drop = 3 if raw.startswith(codecs.BOM_UTF8) else 0
        for block in self._raw():
            taken = min(drop, len(block))
            drop -= taken
            yield block[taken:] if taken else block

    def _recoded(self, encoding: str) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(encoding)()
        line, drop = 1, 1
        for block in self._raw_then_end():
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].decode(encoding, "ignore").count("\n")
                raise self._fatal(line, f"found bytes that are not {encoding.upper()} ({error.reason})") from None
            if drop and text:
                text, drop = text[1:], 0
            line += text.count("\n")
            yield text.encode()

    def _raw_then_end(self) -> Iterator[bytes]:
        yield from self._raw()
        yield b""

    def _fatal(self, line: int, reason: str) -> RecordError:
        return RecordError(f"{reason}; expected UTF-8 text", path=self.path, line=line)

    def _too_long(self, line: int) -> RecordError:
        cap = self.limits.max_line_bytes
        return RecordError(
            f"found a line of more than {cap:,} bytes; expected at most {cap:,} bytes a line",
            path=self.path,
            line=line,
        )

    def blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines: UTF-8, line ends are LF alone; only the last may lack its line end.

        `block_line` is the number of a block's first line. Whether the bytes are valid UTF-8 shows when they are
        decoded: with `text_of`, which says where they are not.

        Raises:
            RecordError: a line over ``max_line_bytes``, or damaged UTF-16. The rest of the file is not usable.
            InputError: the file fails while it is read.
        """
        cap = self.limits.max_line_bytes
        line = 1
        rest: list[bytes] = []
        held = 0
        for raw in self.utf8():
            cut = raw.rfind(b"\n") + 1
            if held + (raw.find(b"\n") if cut else len(raw)) > cap:
                raise self._too_long(line)
            if not cut:
                rest.append(raw)
                held += len(raw)
                continue
            block = _line_feeds(b"".join((*rest, memoryview(raw)[:cut])))
            rest = [raw[cut:]]
            held = len(raw) - cut
            self.block_line = line
            line += line_ends(block)
            yield block
        if held:
            self.unterminated = True
            self.block_line = line
            # A line end that was cut in two: CR without its LF.
            yield _line_feeds(b"".join(rest)).removesuffix(b"\r")

    def text_of(self, block: bytes, line: int, errors: str = "strict") -> str:
        r"""A block, or a part of it, as text; ``line`` is the number of its first line.

        Paths on Linux are bytes, and programs that list them write them as they are: for such formats ``errors`` is
        ``"backslashreplace"`` (a byte that is not UTF-8 becomes ``\xff``), or ``"surrogateescape"`` where the reader
        has escapes of its own to undo first. Both are Python's error handlers of those names.

        Raises:
            RecordError: bytes that are not UTF-8, where ``errors`` is ``"strict"``. The rest of the file is not usable.
        """
        try:
            return block.decode()
        except UnicodeDecodeError as error:
            if errors != "strict":
                return block.decode(errors=errors)
            line += block.count(b"\n", 0, error.start)
            raise self._fatal(line, f"found the byte 0x{block[error.start]:02x}, which is not UTF-8 here") from None

    def lines(self, errors: str = "strict") -> Iterator[str]:
        """The lines without their line ends; `line_number` is the number of the line last yielded.

        What ``errors`` does, `text_of` says. Damaged UTF-16 is refused whatever it is.

        Raises:
            RecordError: bytes that are no text, or a line over ``max_line_bytes``. The rest of the file is not usable.
            InputError: the file fails while it is read.
        """
        for block in self.blocks():
            # str.splitlines would also split at U+2028 and the like, which stand in names.
            lines = self.text_of(block, self.block_line, errors).split("\n")
            if not self.unterminated:
                lines.pop()
            self.line_number = self.block_line - 1
            for line in lines:
                self.line_number += 1
                yield line


def _line_feeds(block: bytes) -> bytes:
    return block.replace(b"\r\n", b"\n") if b"\r" in block else block


def line_ends(block: bytes) -> int:
    """How many LF there are. ``bytes.count`` looks at every byte by itself; ``replace`` leaps with memchr."""
    return len(block) - len(block.replace(b"\n", b""))


def _status(descriptor: int) -> tuple[int, int] | None:
    """(mode, size) of an open file, or None where the system does not say."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_mode, status.st_size
