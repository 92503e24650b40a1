"""Writing the sections of a compiled list: while one block is made, others are hashed and written by two threads.

Blocks are handed to a thread that hashes and to one that writes; hashlib and the file release the interpreter lock, so
that both run beside whoever makes the next block. At most `BLOCKS_IN_FLIGHT` blocks of `BLOCK` bytes wait, so that a
slow disk holds the maker up and not the memory. The system is asked to begin with the disk at once: left alone, it
collects up to a tenth of the memory, and all of that is then waited for at the end.

What most runs never read (`SectionData.cold`) is not left in the system's memory, either: what was brought to the disk
is given up there a few megabytes later, and the next ones take its place. Fresh memory costs the system more time than
copying into it, above all in a virtual machine, and it would be taken from files that are in use.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import numpy as np

from hashmatch.index.compiled import ALIGNMENT, HEADER, HEADER_SIZE, MAGIC, TABLE_ROW, VERSION

__all__ = ["BLOCK", "Blocks", "SectionData", "SectionWriter", "as_bytes", "items_per_block"]

#: Bytes of a block: small enough to be in the processor's cache when it is hashed and written.
BLOCK = 4 << 20
#: Blocks that were handed over and are not yet both hashed and written.
BLOCKS_IN_FLIGHT = 12
#: Bytes after which the system is asked to bring what was written to the disk.
_START_DISK = 32 << 20

#: What a section is made of: arrays or bytes, one after the other.
Blocks = Iterable[Any]


class SectionData(NamedTuple):
    """A section that is to be written.

    Attributes:
        name: of the section.
        width: bytes of an item.
        blocks: its content; must not change before ``done``.
        cold: most runs never read it: it need not stay in the system's memory.
        done: called when the content has been hashed and written, for whoever makes something else in its place.
    """

    name: str
    width: int
    blocks: Blocks
    cold: bool = False
    done: Callable[[], object] | None = None


def as_bytes(data: Any) -> memoryview:
    """The bytes of an array or of anything else that has a buffer; copied only where an array is not contiguous."""
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data)
        return memoryview(data.reshape(-1).view(np.uint8)) if data.size else memoryview(b"")
    return memoryview(data).cast("B") if len(data) else memoryview(b"")


def items_per_block(width: int) -> int:
    """How many items of ``width`` bytes make a block."""
    return max(1, BLOCK // max(1, width))


@dataclass
class _Section:
    """A section on its way."""

    name: str
    offset: int
    width: int
    size: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)


class SectionWriter:
    """Writes a compiled list into a new, empty file. A context manager: leaving it ends the threads.

    The names of all sections are stated first, as the table stands before them; then `add` takes each section in that
    order, and `finish` writes header and table.
    """

    def __init__(self, file: IO[bytes], names: Sequence[str]) -> None:
        self._file = file
        self._names = list(names)
        self._sections: list[_Section] = []
        self._end = 0
        self._cold = 0
        self._waiting: deque[Future[None] | Callable[[], object]] = deque()
        self._unstarted = 0
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="hashmatch-hash")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="hashmatch-write")
        self._submit(None, b"\0" * (HEADER_SIZE + TABLE_ROW.size * len(self._names)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._hasher, self._writer):
            pool.shutdown(wait=True, cancel_futures=True)

    def add(self, data: SectionData) -> None:
        """Write a section.

        Raises:
            OSError: a write failed, now or a few blocks ago.
        """
        if len(self._sections) >= len(self._names) or self._names[len(self._sections)] != data.name:
            raise AssertionError(f"planned and written sections differ at {data.name}")
        self._submit(None, b"\0" * (-self._end % ALIGNMENT))
        if not (data.cold and self._cold):
            self._cold = self._end if data.cold else 0
        section = _Section(data.name, self._end, data.width)
        self._sections.append(section)
        for block in data.blocks:
            raw = as_bytes(block)
            for start in range(0, len(raw), BLOCK):
                part = raw[start : start + BLOCK]
                section.size += len(part)
                self._submit(section, part)
                if self._cold and self._end - self._cold >= _START_DISK:
                    self._waiting.append(self._writer.submit(_give_up, self._file, self._cold, self._end))
                    self._cold = self._end
        if data.done is not None:
            self._waiting.append(data.done)

    def finish(self, rows: int, snapshot: bytes) -> None:
        """Write header and table of a list of ``rows`` rows, once all sections are in the file.

        Raises:
            OSError: a write failed.
        """
        if len(self._sections) != len(self._names):
            raise AssertionError("planned and written sections differ")
        self._wait(0)
        table = b"".join(
            TABLE_ROW.pack(s.name.encode(), s.offset, s.size, s.width, 0, s.sha256.digest()) for s in self._sections
        )
        head = HEADER.pack(
            MAGIC, VERSION, len(self._sections), self._end, rows, snapshot, hashlib.sha256(table).digest()
        )
        self._file.seek(0)
        self._file.write(head + hashlib.sha256(head).digest() + table)

    def _submit(self, section: _Section | None, raw: Any) -> None:
        """Hand a block over: to be written, and hashed where it is part of a section."""
        self._wait(2 * BLOCKS_IN_FLIGHT)
        self._end += len(raw)
        if section is not None:
            self._waiting.append(self._hasher.submit(section.sha256.update, raw))
        self._waiting.append(self._writer.submit(self._write, raw))

    def _wait(self, left: int) -> None:
        """Wait until at most ``left`` pieces of work are under way; what failed is raised here."""
        while len(self._waiting) > left:
            piece = self._waiting.popleft()
            if isinstance(piece, Future):
                piece.result()
            else:
                piece()

    def _write(self, raw: Any) -> None:
        self._file.write(raw)
        self._unstarted += len(raw)
        if self._unstarted >= _START_DISK:
            _start_disk(self._file, self._unstarted)
            self._unstarted = 0


def _start_disk(file: IO[bytes], size: int) -> None:
    """Ask the system to bring the last ``size`` bytes of a file to the disk, without waiting for it.

    Linux has a call of its own for it that Python does not offer; the advice that pages are not needed does the same
    before it drops those that are clean, which the ones written a moment ago are not. Elsewhere nothing happens.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # an advice: what it does not do, the end of the writing does
            os.posix_fadvise(file.fileno(), max(0, file.tell() - size), size, os.POSIX_FADV_DONTNEED)


def _give_up(file: IO[bytes], start: int, end: int) -> None:
    """Bring a part of a file to the disk and out of the system's memory, where it can be asked to.

    Raises:
        OSError: the disk failed: the system tells that once, and whoever syncs the file at its end would not hear it.
    """
    if hasattr(os, "posix_fadvise") and hasattr(os, "fdatasync"):
        file.flush()
        os.fdatasync(file.fileno())
        with contextlib.suppress(OSError):  # an advice
            os.posix_fadvise(file.fileno(), start, end - start, os.POSIX_FADV_DONTNEED)
