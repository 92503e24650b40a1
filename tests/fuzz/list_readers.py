"""The readers of hash lists as targets: one for each format, and detection.

An input is a file of the format, or the recipe of one. What must hold, whatever stands in it: only errors of ours come
out, a message is one line and shows no piece of a hash of the seeds, what is read is sound, the bytes read are those of
the file. `Reader.thoroughly` also reads in other block sizes and from a file, and imports into a list: the same.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hashmatch import HashList
from hashmatch.errors import FormatAmbiguousError, FormatUnknownError, HashMatchError, RecordError
from hashmatch.lists.block import Row, decode, encode
from hashmatch.lists.entry import (
    MEDIA_TYPES,
    Entry,
    Retraction,
    canonical_json,
    opinions_of,
    pack_hashes,
    unpack_hashes,
)
from hashmatch.lists.formats import Item, Limits, open_entries, source
from hashmatch.lists.importer import checked

from .samples import BASE64_TEXTS, HASHES

__all__ = ["Reader", "said", "scratch", "sound", "standard_input"]

#: A quarter of the inputs are read with the second.
LIMITS = (Limits(), Limits(max_line_bytes=300, max_json_depth=3, max_string=40))
_LONGEST_MESSAGE = 2000
#: Records of an input that are looked at every time; `Reader.thoroughly` looks at all.
_LOOKED_AT = 12


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """Readers read standard input as they read a file; this one needs no disk."""
    before = sys.stdin
    sys.stdin = SimpleNamespace(buffer=io.BytesIO(data))  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdin = before


@cache
def scratch() -> Path:
    """A folder of this process, in memory where there is such a file system."""
    memory = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(prefix="hashmatch-fuzz-", dir=memory if memory.is_dir() else None)
    atexit.register(made.cleanup)
    return Path(made.name)


def said(error: HashMatchError) -> str:
    """The message of an error, which is one line of text."""
    text = str(error)
    assert text
    assert "\n" not in text, text
    return text


def sound(entry: Entry) -> None:
    """What holds for every entry, whoever made it."""
    assert type(entry) is Entry
    hashes, quality = unpack_hashes(entry.packed)
    assert pack_hashes(hashes, quality) == entry.packed
    assert entry.category is None or (
        type(entry.category) is tuple and len(entry.category) == 2 and all(type(text) is str for text in entry.category)
    )
    assert entry.media_type == "" or entry.media_type in MEDIA_TYPES
    assert entry.size is None or (type(entry.size) is int and 0 <= entry.size < 1 << 63)
    assert type(entry.dropped) is int
    assert entry.dropped >= 0
    for text in (entry.ref, entry.origin, *(entry.category or ())):
        assert type(text) is str
        assert "\0" not in text
        text.encode()
    if entry.metadata:
        fields = json.loads(entry.metadata)
        assert type(fields) is dict
        assert fields
        assert canonical_json(fields) == entry.metadata
        assert "\\u0000" not in entry.metadata or not _holds_nul(fields)
        entry.metadata.encode()
    opinions_of(entry.opinions)
    entry.derived_ref().encode("ascii")
    assert list(checked([entry])) == [entry]
    row: Row = (entry.ref or "r", *entry[1:6], entry.opinions, 1)
    assert decode(encode([row]), [1]) == [row]


def _holds_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value


class Secrets:
    """Pieces of hashes that no message may show."""

    _HEX = re.compile("[0-9a-fA-F]{8,}")
    _ESCAPES = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")
    _BASE64 = re.compile("[0-9A-Za-z+/]{12,}")
    _DECIMALS = re.compile(r"(?=(?<!\d)(\d{1,3}, \d{1,3}, \d{1,3}, \d{1,3})(?!\d))")

    def __init__(self) -> None:
        self._hex: set[str] = set()
        self._base64: set[str] = set()
        photodna = list(map(str, HASHES["photodna"]))
        self._decimals = {", ".join(photodna[at : at + 4]) for at in range(len(photodna) - 3)}
        for value in HASHES.values():
            self.add(value)
        for text in BASE64_TEXTS:
            self._base64 |= _windows(text, 12)

    def add(self, value: bytes) -> None:
        """Add a hash."""
        self._hex |= {window for window in _windows(value.hex(), 8) if len(set(window)) > 2}
        self._base64 |= {w for w in _windows(base64.b64encode(value).decode(), 12) if len(set(w)) > 2}

    def shown(self, message: str) -> str | None:
        """A piece of a hash that a message shows."""
        message = self._ESCAPES.sub(" ", message)
        for pattern, known, size in ((self._HEX, self._hex, 8), (self._BASE64, self._base64, 12)):
            for run in pattern.findall(message):
                text = run.lower() if size == 8 else run
                if not known.isdisjoint(_windows(text, size)):
                    return str(run)
        return next((run for run in self._DECIMALS.findall(message) if run in self._decimals), None)


def _windows(text: str, size: int) -> set[str]:
    return {text[at : at + size] for at in range(len(text) - size + 1)}


Outcome = tuple[list[Item], str]


class Reader:
    """The target of one reader.

    Args:
        name: of the format; None is detection.
        seeds: inputs to begin with.
        build: makes the file of an input.
        local: it is read from a file; others are read as a stream.
    """

    def __init__(
        self,
        name: str | None,
        seeds: Callable[[], Sequence[bytes]],
        build: Callable[[bytes], bytes] = lambda data: data,
        *,
        local: bool = False,
    ) -> None:
        self.name = name
        self.seeds = seeds
        self._build = build
        self._local = local
        self._imports = 0

    @cached_property
    def secrets(self) -> Secrets:
        """The hashes of all seeds."""
        secrets = Secrets()
        for seed in self.seeds():
            content = self._build(seed)
            if content:
                for item in self._outcome(content, LIMITS[0], self._local)[0]:
                    if isinstance(item, Entry):
                        for value in item.hashes.values():
                            secrets.add(value)
        return secrets

    def __call__(self, data: bytes) -> None:
        content = self._build(data)
        if not content:
            return
        items, error = self._outcome(content, self._limits(content), self._local)
        secrets, path = self.secrets, self._path
        for item in items[:_LOOKED_AT]:
            if isinstance(item, RecordError):
                self._message(said(item), secrets, path)
            elif isinstance(item, Retraction):
                assert all(type(text) is str and "\0" not in text for text in item)
                assert item.ref
                "".join(item).encode()
            else:
                sound(item)
        if error:
            self._message(error, secrets, path)

    def thoroughly(self, data: bytes) -> None:
        """Read in other ways, and import: the same."""
        content = self._build(data)
        if not content:
            return
        limits = self._limits(content)
        expected = self._plain(content, limits, self._local)
        assert self._plain(content, limits, self._local) == expected, "read again"
        if not self._local:
            items, error = self._plain(content, limits, True)
            # Some formats need a file.
            assert (items, error) == expected or "is a stream" in expected[1], "from a file"
            # Where a block is cut must not matter; of a line that is too long, what is seen first may differ.
            if limits is LIMITS[0] and len(content) < 6000:
                for size in (1, 7, 1000):
                    before, source._BLOCK = source._BLOCK, size
                    try:
                        items, error = self._plain(content, limits, False)
                    finally:
                        source._BLOCK = before
                    _compare(items, error, *expected, f"in blocks of {size}")
        self._import(content)

    def _plain(self, content: bytes, limits: Limits, local: bool) -> tuple[list[object], str]:
        """What is compared: entries whole, errors by their words; neither by path."""
        items, error = self._outcome(content, limits, local)

        def clean(text: str) -> str:
            return text.replace(repr(self._path), "-").replace(self._path, "-").replace("standard input", "-")

        return [clean(str(item)) if isinstance(item, RecordError) else tuple(item) for item in items], clean(error)

    def _limits(self, content: bytes) -> Limits:
        return LIMITS[zlib.crc32(content) & 3 == 0]

    @property
    def _path(self) -> str:
        return str(scratch() / f"{os.getpid()}.file")

    def _outcome(self, content: bytes, limits: Limits, local: bool) -> Outcome:
        """(items, message of the error that ended it)."""
        items: list[Item] = []
        path = "-"
        if local:
            path = self._path
            # Not over the old file: what was mapped or cached of it would be gone.
            Path(path).unlink(missing_ok=True)
            Path(path).write_bytes(content)
        with standard_input(content):
            try:
                with open_entries(path, self.name, limits=limits) as reading:
                    items.extend(reading)
                    assert reading.input.finish() == hashlib.sha256(content).hexdigest()
            except (FormatUnknownError, FormatAmbiguousError) as error:
                assert self.name is None
                return items, said(error)
            except HashMatchError as error:
                return items, said(error)
        return items, ""

    def _message(self, text: str, secrets: Secrets, path: str) -> None:
        text = text.replace(path, "")
        assert len(text) < _LONGEST_MESSAGE, text[:300]
        assert text.isprintable(), text
        shown = secrets.shown(text)
        assert shown is None, f"a message shows a hash: {text!r}"

    def _import(self, content: bytes) -> None:
        """Import what is read: the list holds it, and is sound."""
        if self.name is None:
            return
        items, _ = self._outcome(content, LIMITS[0], self._local)
        for item in items:
            if isinstance(item, Entry):
                sound(item)
        path = scratch() / f"{os.getpid()}.hml"
        if not self._imports % 40:
            for stale in scratch().glob(f"{os.getpid()}.hml*"):
                stale.unlink()
        self._imports += 1
        with HashList.open(path, create=not path.exists()) as known:
            name = f"source {self._imports}"
            try:
                summary = known.import_entries((i for i in items if isinstance(i, Entry)), name, skip_invalid=True)
            except RecordError as error:
                said(error)
                return
            stored = [s for s in known.entries() if s.source == name or s.source.startswith(f"{name} ")]
            assert len(stored) == summary.added, (len(stored), summary.added)
            assert len({(s.source, s.entry.ref) for s in stored}) == len(stored)
            for found in stored:
                sound(found.entry)
            if not self._imports % 8:
                known.check()


def _compare(items: list[object], error: str, items2: list[object], error2: str, what: str) -> None:
    """What is read in blocks of two sizes: the same, but that bytes that are no text, or no XML, end a larger block
    earlier.
    """
    if "UTF-" in error + error2 or "damaged XML" in error:
        shorter = min(len(items), len(items2))
        assert error, what
        assert error2, what
        assert items[:shorter] == items2[:shorter], what
        return
    assert error == error2, what
    assert items == items2, what
