"""What passes between a scan and its workers: length-prefixed binary messages, never pickle.

A worker decodes hostile files. Whatever it answers is therefore read as data of known shape; an answer that does not
have it is an error of that worker, not of the scan.
"""

from __future__ import annotations

import os
import struct
from typing import IO

from hashmatch.lists.entry import pack_hashes, unpack_hashes
from hashmatch.record import HashRecord

__all__ = ["STATUSES", "decode_reply", "encode_reply", "read_message", "write_message"]

#: Statuses by their number on the wire. ``timeout`` and ``crashed`` are found out by the scan itself.
STATUSES = ("ok", "unreadable", "too_large", "unsupported", "timeout", "crashed")

_LENGTH = struct.Struct("<I")
_REPLY = struct.Struct("<BBqIIHHH")  # status, oriented, size, width, height, lengths of format, decoder, reason
_MAX_MESSAGE = 1 << 20


def write_message(stream: IO[bytes], payload: bytes) -> None:
    """Write one message and flush it."""
    stream.write(_LENGTH.pack(len(payload)) + payload)
    stream.flush()


def read_message(stream: IO[bytes]) -> bytes | None:
    """Read one message; None at the end of the stream, also in mid-message.

    Raises:
        ValueError: a length that no message has.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > _MAX_MESSAGE:
        raise ValueError(f"a message of {length} bytes")
    payload = stream.read(length)
    return payload if len(payload) == length else None


def encode_reply(record: HashRecord) -> bytes:
    """A record as a message. The name is not sent: who asked knows it."""
    texts = [os.fsencode(t)[:4096] for t in (record.format, record.decoder, record.reason)]
    head = _REPLY.pack(
        STATUSES.index(record.status),
        record.oriented,
        -1 if record.size is None else record.size,
        record.width,
        record.height,
        *map(len, texts),
    )
    return head + b"".join(texts) + pack_hashes(record.hashes, record.quality)


def decode_reply(name: str, payload: bytes) -> HashRecord:
    """The record of a message, called ``name``.

    Raises:
        ValueError, HashMatchError: the message does not have the shape of a reply.
    """
    try:
        status, oriented, size, width, height, *lengths = _REPLY.unpack_from(payload)
    except struct.error as error:
        raise ValueError(f"a reply of {len(payload)} bytes") from error
    at = _REPLY.size
    texts = []
    for length in lengths:
        texts.append(payload[at : at + length].decode("utf-8", "replace"))
        at += length
    if status >= len(STATUSES):
        raise ValueError(f"status {status}")
    hashes, quality = unpack_hashes(payload[at:])
    form, decoder, reason = texts
    return HashRecord(
        name=name,
        hashes=hashes,
        quality=quality,
        size=None if size < 0 else size,
        status=STATUSES[status],
        reason=reason,
        profile="reference",
        decoder=decoder,
        format=form,
        width=width,
        height=height,
        oriented=bool(oriented),
    )
