"""The messages of an Arrow stream, read without pyarrow: how much memory their compressed buffers ask for.

A buffer of some bytes may stand for gigabytes, and pyarrow unpacks all buffers of a batch at once. Each begins with the
number of bytes that it unpacks to. Where buffers lie is told by the message's head, a FlatBuffer; numbers of fields are
from Message.fbs of the Arrow format.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from hashmatch.errors import RecordError

__all__ = ["Unpacked", "unpacked_bytes"]

#: Bytes of a message's head, and its compressed buffers, at most.
_MAX_HEAD = 16 << 20
_MAX_BUFFERS = 1 << 16

_CONTINUED = 0xFFFFFFFF
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3


class Unpacked(NamedTuple):
    """Bytes that compressed buffers say they unpack to: of all dictionaries together, and of the largest batch."""

    dictionaries: int
    batch: int


def unpacked_bytes(file: BinaryIO | io.RawIOBase, start: int) -> Unpacked:
    """What the messages from ``start`` on ask for, as far as a reader goes: to the mark of the end, or where they end.

    Raises:
        RecordError: a head is damaged, or leads outside the file.
    """
    size = file.seek(0, io.SEEK_END)
    dictionaries = batch = 0
    for kind, packed in _messages(file, start, size):
        asked = 0
        for at, length in packed:
            if not 0 <= at <= at + length <= size:
                raise RecordError("found a message that leads outside the file; expected a whole Arrow file")
            if length >= 8:
                file.seek(at)
                # -1 says that the buffer is not compressed after all.
                asked += max(0, int(struct.unpack("<q", _exactly(file, 8))[0]))
        if kind == _DICTIONARY_BATCH:
            dictionaries += asked
        else:
            batch = max(batch, asked)
    return Unpacked(dictionaries, batch)


def _messages(file: BinaryIO | io.RawIOBase, at: int, size: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """(kind, (offset, length) of every compressed buffer) of the messages that have a body."""
    while at + 4 <= size:
        file.seek(at)
        (length,) = struct.unpack("<I", _exactly(file, 4))
        at += 4
        if length == _CONTINUED:
            if at + 4 > size:
                return
            (length,) = struct.unpack("<I", _exactly(file, 4))
            at += 4
        if not length:
            return
        if length > min(_MAX_HEAD, size - at):
            return  # pyarrow says what is wrong with it: it reads no body either
        try:
            kind, body, buffers = _head(_exactly(file, length))
        except (struct.error, IndexError, ValueError) as error:
            raise RecordError("found a damaged message; expected a whole Arrow file") from error
        at += length
        yield kind, [(at + offset, held) for offset, held in buffers]
        at += body


def _exactly(file: BinaryIO | io.RawIOBase, count: int) -> bytes:
    data = file.read(count) or b""
    if len(data) < count:
        raise RecordError("found a file that has become shorter; expected a whole Arrow file")
    return data


def _head(raw: bytes) -> tuple[int, int, list[tuple[int, int]]]:
    """(kind, bytes of the body, (offset in it, length) of every compressed buffer)."""
    message = _Flat(raw, _unsigned(raw, 0))
    kind, body = message.number("<B", 1), message.number("<q", 3)
    if body < 0:
        raise ValueError("a body of less than nothing")
    batch = message.table(2)
    if kind == _DICTIONARY_BATCH and batch is not None:
        batch = batch.table(1)
    if kind not in (_DICTIONARY_BATCH, _RECORD_BATCH) or batch is None or batch.table(3) is None:
        return kind, body, []
    return kind, body, batch.pairs(2)


def _unsigned(raw: bytes, at: int) -> int:
    if at < 0:
        raise ValueError("before the beginning")
    return int(struct.unpack_from("<I", raw, at)[0])


class _Flat:
    """A table of a FlatBuffer."""

    def __init__(self, raw: bytes, at: int) -> None:
        self._raw, self._at = raw, at
        self._fields = at - int(struct.unpack_from("<i", raw, at)[0])
        if self._fields < 0:
            raise ValueError("before the beginning")

    def _place(self, field: int) -> int:
        """Where a field is, 0 where it is not there."""
        size = int(struct.unpack_from("<H", self._raw, self._fields)[0])
        if 4 + 2 * field + 2 > size:
            return 0
        offset = int(struct.unpack_from("<H", self._raw, self._fields + 4 + 2 * field)[0])
        return self._at + offset if offset else 0

    def number(self, form: str, field: int) -> int:
        """A number; 0 where it is not there."""
        place = self._place(field)
        return int(struct.unpack_from(form, self._raw, place)[0]) if place else 0

    def table(self, field: int) -> _Flat | None:
        """A table in this one."""
        place = self._place(field)
        return _Flat(self._raw, place + _unsigned(self._raw, place)) if place else None

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """A vector of two numbers of 64 bits each."""
        place = self._place(field)
        if not place:
            return []
        place += _unsigned(self._raw, place)
        count = _unsigned(self._raw, place)
        if count > _MAX_BUFFERS:
            raise ValueError("too many buffers")
        numbers = struct.unpack_from(f"<{2 * count}q", self._raw, place + 4)
        return list(zip(numbers[::2], numbers[1::2], strict=True))
