"""What a power failure can leave of a folder, from a record of the system calls of a run.

Until a file is synced, any part of what was written to it may be on the disk or not, in any order; until a folder is
synced, the same holds for its names. That is all that POSIX promises. File systems promise more, each something else.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

#: The calls to record, and how: all data, and every string in hexadecimal.
TRACE = [
    "strace", "-f", "-q", "-xx", "-s", "100000000",
    "-e", "trace=?open,openat,?creat,close,read,readv,pread64,write,pwrite64,?writev,?pwritev,lseek,ftruncate,truncate,"
    "fsync,fdatasync,?rename,renameat,?renameat2,?link,linkat,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,dup,?dup2,dup3,fcntl,"
    "?copy_file_range,?sendfile,?fallocate,clone,?clone3",
]  # fmt: skip


class Operation(NamedTuple):
    """One change, pending until its file or folder ``of`` is synced.

    ``kind`` is ``data`` (offset, bytes), ``size`` (bytes), ``name`` (name, number of the file or folder, or None for a
    name that goes), ``rename`` (former name, new name), or ``sync``.
    """

    of: int
    kind: str
    where: int | str
    what: object


@dataclass
class Folder:
    """Files and folders by number; 0 is the folder itself."""

    names: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    files: dict[int, bytearray] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> Folder:
        made = cls()
        for child in sorted(path.iterdir()):
            number = len(made.names[0]) + 1
            made.names[0][child.name] = number
            made.files[number] = bytearray(child.read_bytes())
        return made

    def copy(self) -> Folder:
        return Folder({n: dict(d) for n, d in self.names.items()}, {n: bytearray(f) for n, f in self.files.items()})

    def find(self, path: str) -> tuple[int, str]:
        """(number of the folder that holds ``path``, last part of it)."""
        *parents, name = path.split("/")
        number = 0
        for parent in parents:
            number = self.names[number][parent]
        return number, name

    def apply(self, operation: Operation) -> None:
        of, kind, where, what = operation
        if kind == "name" and isinstance(where, str):
            names = self.names.setdefault(of, {})
            if what is None:
                names.pop(where, None)
            elif isinstance(what, int):
                names[where] = what
        elif kind == "rename" and isinstance(what, str) and isinstance(where, str):
            names = self.names.setdefault(of, {})
            if where in names:
                names[what] = names.pop(where)
        elif kind == "data" and isinstance(what, bytes) and isinstance(where, int):
            content = self.files.setdefault(of, bytearray())
            content.extend(b"\0" * (where - len(content)))
            content[where : where + len(what)] = what
        elif kind == "size" and isinstance(where, int):
            content = self.files.setdefault(of, bytearray())
            del content[where:]
            content.extend(b"\0" * (where - len(content)))

    def write(self, path: Path, number: int = 0, folders: frozenset[int] = frozenset()) -> None:
        """Make it real. Everything is for its owner only, as a record of calls does not say whose it was."""
        path.mkdir(mode=0o700)
        for name, child in self.names.get(number, {}).items():
            if child in folders:
                self.write(path / name, child, folders)
            else:
                (path / name).write_bytes(self.files.get(child, b""))
                (path / name).chmod(0o600)


_LINE = re.compile(r"(?P<process>\d+) +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>")


def _lines(text: str) -> Iterator[str]:
    """Lines of a record, those whole that were interrupted by another thread."""
    waiting: dict[str, str] = {}
    for line in text.splitlines():
        process = line.split(" ", 1)[0]
        if line.endswith(_UNFINISHED):
            waiting[process] = line.removesuffix(_UNFINISHED)
        elif match := _RESUMED.match(line):
            yield waiting.pop(process) + line[match.end() :]
        else:
            yield line


class Recording:
    """The changes that a run made to a folder, in order.

    Attributes:
        before: the folder before the run.
        operations: what changed, and what was synced.
        folders: which numbers are folders.
    """

    def __init__(self, folder: Path, before: Folder, text: str) -> None:
        self.before = before
        self.operations: list[Operation] = []
        self.folders = {0}
        self._root = str(folder)
        self._now = before.copy()
        self._next = max(before.files, default=0) + 1
        self._open: dict[int, tuple[int, int]] = {}  # descriptor -> (file or folder, where it reads and writes)
        lines = list(_lines(text))
        # The threads of the program share its descriptors. Other processes have their own, and write elsewhere.
        threads = {lines[0].split(" ", 1)[0]}
        for line in lines:
            match = _LINE.match(line)
            if match and match["call"].startswith("clone") and "CLONE_FILES" in match["arguments"]:
                threads.add(match["result"])
        for line in lines:
            if (match := _LINE.match(line)) and match["process"] in threads:
                result = int(match["result"])
                if result >= 0:
                    strings = [bytes.fromhex(s.replace("\\x", "")) for s in _STRING.findall(match["arguments"])]
                    plain = [part.strip() for part in _STRING.sub('""', match["arguments"]).split(",")]
                    self._call(match["call"], plain, strings, result)

    def _inside(self, name: bytes) -> str | None:
        """A path relative to the folder, "" for the folder itself, None for what is not in it."""
        path = name.decode("utf-8", "surrogateescape")
        if path.startswith("/"):
            if path != self._root and not path.startswith(self._root + "/"):
                return None
            path = path[len(self._root) + 1 :]
        path = os.path.normpath(path)
        return "" if path == "." else path

    def _do(self, operation: Operation) -> None:
        self._now.apply(operation)
        self.operations.append(operation)

    def _set_name(self, path: str, number: int | None) -> None:
        parent, name = self._now.find(path)
        self._do(Operation(parent, "name", name, number))

    def _number(self, path: str) -> int | None:
        if not path:
            return 0
        parent, name = self._now.find(path)
        return self._now.names[parent].get(name)

    def _call(self, call: str, plain: list[str], strings: list[bytes], result: int) -> None:
        if call.startswith("clone"):
            return
        if call in ("open", "openat", "creat"):
            self._opened(call, ",".join(plain), strings[0], result)
        elif call in ("rename", "renameat", "renameat2", "link", "linkat"):
            old, new = map(self._inside, strings)
            if old is not None and new is not None:
                if not call.startswith("rename"):
                    self._set_name(new, self._number(old))
                    return
                (parent, name), (other, renamed) = self._now.find(old), self._now.find(new)
                if parent != other:
                    raise NotImplementedError("renaming from one folder to another is not understood yet")
                self._do(Operation(parent, "rename", name, renamed))
        elif call in ("unlink", "unlinkat", "rmdir"):
            if (path := self._inside(strings[0])) is not None:
                self._set_name(path, None)
        elif call in ("mkdir", "mkdirat"):
            if (path := self._inside(strings[0])) is not None:
                self.folders.add(self._next)
                self._now.names[self._next] = {}
                self._set_name(path, self._next)
                self._next += 1
        elif call in ("dup", "dup2", "dup3") or (call == "fcntl" and "F_DUPFD" in plain[1]):
            if int(plain[0]) in self._open:
                self._open[result] = self._open[int(plain[0])]
        elif call in ("truncate", "writev", "pwritev", "copy_file_range", "sendfile", "fallocate"):
            if call == "truncate" or int(plain[0]) in self._open:
                raise NotImplementedError(f"{call} is not understood yet")
        elif int(plain[0]) in self._open:
            self._with_open(call, int(plain[0]), plain, strings, result)

    def _opened(self, call: str, flags: str, name: bytes, result: int) -> None:
        self._open.pop(result, None)
        path = self._inside(name)
        if path is None or "O_TMPFILE" in flags:
            return
        number = self._number(path)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._set_name(path, number)
        elif call == "creat" or "O_TRUNC" in flags:
            self._do(Operation(number, "size", 0, None))
        end = len(self._now.files.get(number, b"")) if "O_APPEND" in flags else 0
        self._open[result] = number, end

    def _with_open(self, call: str, descriptor: int, plain: list[str], strings: list[bytes], result: int) -> None:
        number, at = self._open[descriptor]
        if call == "close":
            del self._open[descriptor]
        elif call in ("read", "readv"):
            self._open[descriptor] = number, at + result
        elif call == "lseek":
            self._open[descriptor] = number, result
        elif call == "write":
            self._do(Operation(number, "data", at, strings[0][:result]))
            self._open[descriptor] = number, at + result
        elif call == "pwrite64":
            self._do(Operation(number, "data", int(plain[3]), strings[0][:result]))
        elif call == "ftruncate":
            self._do(Operation(number, "size", int(plain[1]), None))
        elif call in ("fsync", "fdatasync"):
            self._do(Operation(number, "sync", 0, None))

    # ------------------------------------------------------------------ failures

    def failures(self, seed: int = 1) -> Iterator[tuple[str, bool, Folder]]:
        """(a description, whether the run had ended, the folder): what a power failure may leave, some of all that.

        The power goes just before something is synced, and at the end: what it can leave at other moments, it can
        leave then too.
        """
        syncs = [i for i, operation in enumerate(self.operations) if operation.kind == "sync"]
        for end in [*syncs, len(self.operations)]:
            done, pending = [], []
            for i, operation in enumerate(self.operations[:end]):
                synced = any(o.kind == "sync" and o.of == operation.of for o in self.operations[i + 1 : end])
                if operation.kind != "sync":
                    (done if synced else pending).append(i)
            ended = end == len(self.operations)
            for what, chosen in _choices(pending, random.Random(seed)):
                yield f"before step {end}, {what}", ended, self._with(sorted([*done, *chosen]))
            for i in pending:
                if self.operations[i].kind == "data":
                    halved = self._with(sorted([*done, *pending]), half=i)
                    yield f"before step {end}, all, step {i} by half", ended, halved

    def final(self) -> Folder:
        """The folder as the run left it."""
        return self._with(range(len(self.operations)))

    def _with(self, chosen: Iterable[int], half: int | None = None) -> Folder:
        folder = self.before.copy()
        for i in chosen:
            operation = self.operations[i]
            if i == half and isinstance(operation.what, bytes):
                operation = operation._replace(what=operation.what[: len(operation.what) // 2])
            folder.apply(operation)
        return folder


def _choices(pending: list[int], chance: random.Random) -> Iterator[tuple[str, list[int]]]:
    yield "nothing of what was not synced", []
    yield "all", pending
    for i in range(1, len(pending)):
        yield f"the first {i}", pending[:i]
        yield f"the last {i}", pending[-i:]
    for i in pending:
        yield f"all but step {i}", [j for j in pending if j != i]
        yield f"step {i} alone", [i]
    for number in range(16 if len(pending) > 2 else 0):
        yield f"draw {number}", list(itertools.compress(pending, (chance.random() < 0.5 for _ in pending)))
