"""The audit log of a list: an append-only file of JSON Lines beside it, in which each line names the one before it.

The log of ``known.hml`` is ``known.hml.audit.jsonl``, readable and writable by its owner only. `audit_record` says what
a line holds; none holds a hash value of an entry.

What the chain of digests shows: a line that was altered, inserted, removed, exchanged or damaged, wherever it stands,
and a file that was cut within a line. What it cannot show: that whole lines were cut from the end, and that somebody
wrote the log anew from some line on, who can compute digests as well as anybody. Against the first, the list is the
anchor for the operations that change it: it numbers its changes, and `AuditState.check_against` compares its latest
with the log's. Lines of operations that leave the list as it is (compile, match, scan, export) have no anchor after
the last change. Against both, keep `AuditState.digest` in another place.

Crashes. A line is one write, then fsync. What a crash may leave of it is a line without line end. `verify` reports it
and changes nothing. The next append leaves it where it is, ends the line, and says in its own record what stands there
(``torn``: length and SHA-256). Nothing that is in a log is ever taken out of it; only what a failed write left of its
own line is taken away by the writer, who says so. A crash between the list's commit and the append leaves a change
without a line: `AuditWriter.missing` names such changes, and the list logs them from its own history.

Locks. Whoever appends holds the lock of the whole log (flock; on Windows a byte far behind its end). Other processes,
and other threads, wait for it. Changes are best committed inside the block of `writing`: then lines have the order of
the changes, and a log that cannot be written is known before the commit. As a commit waits for readers of the list,
nobody may wait for this lock (`writing`, `append`, `verify`, `last_change`) inside a transaction that reads the list,
or both wait for each other until one gives up.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from hashmatch.errors import AuditDamagedError, AuditUnwritableError, ListBusyError, StorageError
from hashmatch.files import sync_folder
from hashmatch.lists.audit_record import (
    MAX_LINE,
    AuditInput,
    AuditRecord,
    LineError,
    Position,
    line_of,
    parse_line,
    torn_note,
)

__all__ = ["AuditInput", "AuditLog", "AuditRecord", "AuditState", "AuditWriter", "Jump"]

#: Seconds to wait for the lock. It is held over the list's commits, which wait up to 60 seconds for its readers.
LOCK_SECONDS = 90.0

#: Jumps that a state names.
_KEPT_JUMPS = 100

#: Bytes read at once on the way from the end to the start of the last line.
_BLOCK = 1 << 16

#: What file systems say that have no locks, or none for a file opened for reading. Nobody appends to such a log, or the
#: worst that comes of it is an incomplete last line that is being written.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF, errno.ENOSYS)


class Jump(NamedTuple):
    """A record whose change does not follow the one before: lines were never written, or an older list came back."""

    number: int
    before: int
    change: int


@dataclass(frozen=True, slots=True)
class AuditState:
    """What `AuditLog.verify` found.

    Attributes:
        path: the log.
        lines: how many records it has.
        bytes: its size.
        digest: hex SHA-256 of the last line, 64 zeros without lines. Kept elsewhere, it is proof against lines that are
            cut from the end.
        changes: number of the list's latest change that is logged, 0 for none.
        snapshot: hex snapshot id of the list after that change, "" for none.
        jumps: the first 100 records whose change does not follow the one before (0 before the first).
        torn: incomplete lines that crashes left, and that the records after them tell of.
        unfinished: bytes of an incomplete last line, which the next record will tell of; see `AuditLog.verify`.
    """

    path: str
    lines: int
    bytes: int
    digest: str
    changes: int
    snapshot: str
    jumps: tuple[Jump, ...]
    torn: int
    unfinished: int = 0

    def check_against(self, changes: int, snapshot: str) -> None:
        """Compare the end of the log with the list that it belongs to.

        Args:
            changes: number of the list's latest change, 0 for none.
            snapshot: hex snapshot id of the list as it is.

        Raises:
            AuditDamagedError: changes of the list have no line, or the log tells of changes that the list does not
                have, or of another content.
        """
        if self.changes < changes:
            # A process that died after its commit leaves this too, for one change.
            raise AuditDamagedError(
                f"{self.path}: found change {self.changes:,} as the latest one; expected change {changes:,}, which the "
                "list has: lines were cut from the end, or the software was stopped before it wrote them; the next "
                "change of the list logs them from its own history"
            )
        if self.changes > changes:
            raise AuditDamagedError(
                f"{self.path}: found change {self.changes:,}; expected change {changes:,} as the latest one, as the "
                "list says: the list was put back to a former state, or the log belongs to another list"
            )
        if changes and self.snapshot != snapshot:
            raise AuditDamagedError(
                f"{self.path}: found snapshot {self.snapshot} after change {changes:,}; expected {snapshot}, which the "
                "list has: list and log do not belong together"
            )


class AuditLog:
    """The audit log of one list. Holds no open file: every call opens, locks, and closes."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """The log at ``path``, which need not exist. `beside` finds the log of a list."""
        self.path = Path(path)

    @classmethod
    def beside(cls, list_path: str | os.PathLike[str]) -> AuditLog:
        """The log of the list at ``list_path``. A link and the list that it leads to have one log, the list's."""
        path = Path(os.path.realpath(list_path)) if os.path.islink(list_path) else Path(list_path)  # noqa: PTH114
        return cls(path.with_name(path.name + ".audit.jsonl"))

    # ------------------------------------------------------------------ appending

    def append(self, record: AuditRecord) -> int:
        """Write one record to the end, on the disk when this returns. Returns the line's number.

        Raises: as `writing` and `AuditWriter.append`.
        """
        with self.writing() as writer:
            return writer.append(record)

    @contextlib.contextmanager
    def writing(self) -> Iterator[AuditWriter]:
        """The log, open and locked until the block ends; it is made where there is none.

        Raises:
            AuditUnwritableError: read-only media, no permission, not a file. A caller whose operation does not change
                the list may take it for a warning.
            AuditDamagedError: the last complete line is not a record, so that nothing can follow it.
            ListBusyError: another process holds the lock for longer than any operation takes.
        """
        with contextlib.ExitStack() as stack:
            try:
                file, size = self._open_locked(stack)
                tail = self._tail(file, size)
            except OSError as error:
                raise self._unwritable(error) from error
            yield AuditWriter(self, file, size, tail)

    def _open_locked(self, stack: contextlib.ExitStack) -> tuple[IO[bytes], int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            with contextlib.ExitStack() as attempt:
                file = attempt.enter_context(_open(self.path, flags))
                self._lock(attempt, file, deadline, exclusive=True)
                # Somebody may have moved the log away while we waited: a line in that file would be lost to the list.
                opened = os.fstat(file.fileno())
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(opened, self.path.stat()):
                        stack.enter_context(attempt.pop_all())
                        return file, opened.st_size

    def _lock(self, stack: contextlib.ExitStack, file: IO[bytes], deadline: float, *, exclusive: bool) -> None:
        pause = 0.001
        while not _try_lock(file.fileno(), exclusive=exclusive):
            if time.monotonic() > deadline:
                raise ListBusyError(
                    f"{self.path}: another process has held the audit log for {LOCK_SECONDS:.0f} seconds; "
                    "wait for it to finish and try again"
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        stack.callback(_unlock, file.fileno())

    def _unwritable(self, error: OSError, state: str = "nothing was added") -> AuditUnwritableError:
        return AuditUnwritableError(f"{self.path}: cannot be added to: {error.strerror or error}; {state}")

    # ------------------------------------------------------------------ reading

    def verify(self, *, allow_unfinished: bool = False) -> AuditState:
        """Read the log from end to end, in bounded memory, and verify every line. Nothing is changed.

        Args:
            allow_unfinished: a last line without line end, as a crash leaves it, is no error; `AuditState.unfinished`
                says how long it is. Somebody who cut the file within its last line leaves the same.

        A log that does not exist has no lines, and no more than that is said of it here: `AuditState.check_against`
        tells whether the list has changes that should be there.

        Raises:
            AuditDamagedError: which line, what was found, what was expected.
            ListBusyError: see `writing`.
            StorageError: it cannot be read.
        """
        lines = bytes_ = torn = 0
        position, snapshot = Position(), ""
        jumps: list[Jump] = []
        unfinished = 0
        for fields, after, end in self._records(allow_unfinished=allow_unfinished):
            if fields is None:
                unfinished = end - bytes_
                break
            lines, bytes_ = after.number, end
            if "change" in fields:
                if after.changes != position.changes + 1 and len(jumps) < _KEPT_JUMPS:
                    jumps.append(Jump(lines, position.changes, after.changes))
                snapshot = fields["list"]
            torn += "torn" in fields
            position = after
        return AuditState(
            str(self.path), lines, bytes_, position.digest, position.changes, snapshot, tuple(jumps), torn, unfinished
        )

    def records(self) -> Iterator[dict[str, Any]]:
        """The records, oldest first, each verified before it is handed out. Raises: as `verify`."""
        for fields, _, _ in self._records():
            if fields is not None:
                yield fields

    def last_change(self) -> int:
        """Number of the list's latest change that is logged, 0 for none. Reads the last line only.

        Raises:
            AuditDamagedError: the last complete line is not a record.
            ListBusyError, StorageError: see `verify`.
        """
        with self._reading() as (file, size):
            return 0 if file is None else self._tail(file, size).position.changes

    def missing(self, changes: int) -> range:
        """Numbers of the changes up to ``changes``, inclusive, that have no line yet. Raises: as `last_change`."""
        return range(self.last_change() + 1, changes + 1)

    def _tail(self, file: IO[bytes], size: int) -> _Tail:
        line, fragment = _end_of(file, size)
        position = Position()
        try:
            if line is not None:
                _, position = parse_line(line)
            if len(fragment) > MAX_LINE:
                raise LineError(f"found more than {MAX_LINE:,} bytes without a line end; expected a record")
        except LineError as problem:
            raise AuditDamagedError(
                f"{self.path}: nothing can be added to it, its end is damaged: {problem}; keep the file as it is under "
                "another name, and the next operation starts a new log"
            ) from None
        with contextlib.suppress(LineError):
            # All of a record but its line end.
            return _Tail(parse_line(fragment, position)[1], fragment, b"")
        return _Tail(position, fragment, fragment)

    def _records(self, *, allow_unfinished: bool = False) -> Iterator[tuple[dict[str, Any] | None, Position, int]]:
        """(fields, where the log stands after them, bytes of the log up to there) of every record.

        The fields of an incomplete last line are None, where that is allowed.
        """
        with self._reading() as (file, size):
            if file is None:
                return
            # Lines before the end never change: others may append while they are read.
            _, fragment = _end_of(file, size)
            file.seek(0)
            position, at, number = Position(), 0, 0
            odd: tuple[bytes, AuditDamagedError] | None = None  # a line that is no record, until the next tells of it
            while at < size - len(fragment):
                line = file.readline(MAX_LINE + 1)
                at += len(line)
                number += 1
                if not line.endswith(b"\n"):
                    found = f"more than {MAX_LINE:,} bytes" if len(line) > MAX_LINE else "the end of the file"
                    raise odd[1] if odd else self._damaged(number, f"found {found}; expected a line end")
                try:
                    fields, after = parse_line(line[:-1], position)
                except LineError as problem:
                    if odd is not None:
                        raise odd[1] from None
                    odd = line[:-1], self._damaged(number, str(problem))
                    continue
                told = fields.get("torn")
                if odd is not None and told != torn_note(odd[0]):
                    raise odd[1]
                if odd is None and told is not None:
                    raise self._damaged(number, "found a note of an incomplete line before it; expected that line")
                position, odd = after, None
                yield fields, position, at
            if odd is not None:
                raise odd[1]
            if fragment and allow_unfinished:
                yield None, position, size
            elif fragment:
                raise self._damaged(
                    number + 1,
                    f"found {len(fragment):,} bytes without a line end; expected a whole record: the software was "
                    "stopped while it wrote, or the file was cut; the lines before are sound, and the next record will "
                    "tell of this one",
                )

    def _damaged(self, line: int, problem: str) -> AuditDamagedError:
        return AuditDamagedError(f"{self.path}, line {line:,}: {problem}")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[tuple[IO[bytes] | None, int]]:
        """The log, open for reading, and its size at a moment when nobody appended; (None, 0) where there is none."""
        if not os.path.lexists(self.path):
            yield None, 0
            return
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(_open(self.path, os.O_RDONLY))
                with contextlib.ExitStack() as locked:
                    try:
                        self._lock(locked, file, time.monotonic() + LOCK_SECONDS, exclusive=False)
                    except OSError as error:
                        if error.errno not in _NO_LOCKS:
                            raise
                    size = os.fstat(file.fileno()).st_size
            except OSError as error:
                raise self._unreadable(error) from error
            try:
                yield file, size
            except OSError as error:
                raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> StorageError:
        return StorageError(f"{self.path}: cannot be read: {error.strerror or error}; nothing was changed")


class _Tail(NamedTuple):
    """Where a log stands: the bytes behind its last line end, and those of them that are no record."""

    position: Position
    fragment: bytes
    torn: bytes


class AuditWriter:
    """A log that is locked, made by `AuditLog.writing`."""

    def __init__(self, log: AuditLog, file: IO[bytes], size: int, tail: _Tail) -> None:
        self._log = log
        self._file = file
        self._size = size
        self._position = tail.position
        self._line_end = b"\n" if tail.fragment else b""
        self._torn = tail.torn

    @property
    def changes(self) -> int:
        """Number of the list's latest change that is logged, 0 for none."""
        return self._position.changes

    def missing(self, changes: int) -> range:
        """Numbers of the changes up to ``changes``, inclusive, that have no line yet; see `AuditLog.missing`."""
        return range(self.changes + 1, changes + 1)

    def append(self, record: AuditRecord) -> int:
        """Write one record to the end, on the disk when this returns. Returns the line's number.

        Any number of a change is taken, for the log tells what happened: a list that was put back to a former state
        counts from there. `AuditLog.verify` names such places.

        Raises:
            UsageError: the record is not one that a log can hold; nothing was written.
            AuditUnwritableError: a full or failing disk; what was written of the line was taken away again, or, where
                that failed too, is an incomplete line for the next append to deal with.
        """
        line = line_of(record, self._position, torn_note(self._torn) if self._torn else None)
        data = self._line_end + line + b"\n"
        descriptor = self._file.fileno()
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
            if not self._size:
                sync_folder(self._log.path.parent)
        except BaseException as error:
            state = "nothing was added"
            try:
                os.ftruncate(descriptor, self._size)
            except OSError:  # a file that may only be appended to, for one
                state = "what was written of the record stays, and the next one tells of it"
            if isinstance(error, OSError):
                raise self._log._unwritable(error, state) from error
            raise
        self._size += len(data)
        self._line_end = self._torn = b""
        _, self._position = parse_line(line, self._position)
        return self._position.number


def _open(path: Path, flags: int) -> IO[bytes]:
    """Open a file, and nothing but a file, without waiting; a new one is for its owner only."""
    for name in ("O_BINARY", "O_CLOEXEC", "O_NOINHERIT", "O_NONBLOCK", "O_NOCTTY"):
        flags |= getattr(os, name, 0)
    file = os.fdopen(os.open(path, flags, 0o600), "rb" if not flags & os.O_RDWR else "r+b", _BLOCK)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a file")
    return file


def _end_of(file: IO[bytes], size: int) -> tuple[bytes | None, bytes]:
    """(the last line that has a line end, without it; None without such a line, and the bytes that follow it)."""
    tail = b""
    at = size
    # Two line ends at most are looked for: before the last line, and behind it.
    while at and (tail.count(b"\n") < 2) and len(tail) <= 2 * MAX_LINE + 2:
        step = min(at, max(_BLOCK, len(tail)))  # doubling, as each step copies what is there
        at -= step
        file.seek(at)
        tail = file.read(step) + tail
    head, line_end, torn = tail.rpartition(b"\n")
    if not line_end:
        return None, torn
    return head.rpartition(b"\n")[2], torn


def _write_all(descriptor: int, data: bytes) -> None:
    """One write, but where the system takes less at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if sys.platform == "win32":
    import msvcrt

    #: Windows keeps others from reading what is locked, so it is a byte that no log reaches.
    _LOCKED_BYTE = 0x7FFF_FFF0

    def _try_lock(descriptor: int, *, exclusive: bool) -> bool:  # noqa: ARG001 - there is no shared lock here
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

    def _unlock(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int, *, exclusive: bool) -> bool:
        # flock belongs to the open file. Locks of POSIX belong to the process, and closing any handle drops them.
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
