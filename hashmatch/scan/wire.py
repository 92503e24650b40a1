"""What passes between a scan and its workers: length-prefixed binary messages, never pickle.

A worker decodes hostile files. Whatever it answers is therefore read as data of known shape; an answer that does not
have it is an error of that worker, not of the scan.

The scan sends the parameters as JSON and waits for `READY`. It then sends requests, one at a time. A request is
answered by a reply, and before it by `READ` where the file's bytes are read and are now given to a decoder.
"""

from __future__ import annotations

import struct
from typing import IO

from hashmatch.hashing import MAX_REASON
from hashmatch.lists.entry import pack_hashes, unpack_hashes
from hashmatch.record import HashRecord

__all__ = [
    "READ",
    "READY",
    "STATUSES",
    "decode_reply",
    "decode_request",
    "encode_reply",
    "encode_request",
    "read_message",
    "write_message",
]

#: Statuses by their number on the wire. ``timeout`` and ``crashed`` are found out by the scan itself.
STATUSES = ("ok", "unreadable", "too_large", "unsupported", "timeout", "crashed")

#: The worker has started and knows its parameters.
READY = b"ready"
#: The bytes of the file are read and its digests made; what comes now is decoding. Shorter than any reply.
READ = b"read"

_LENGTH = struct.Struct("<I")
# status, oriented, size, width, height, lengths of profile, format, decoder, reason
_REPLY = struct.Struct("<BBqIIHHHH")
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


# Names of files are bytes of any kind, which Python shows as text with lone surrogates. This form takes every text that
# Python can hold, and gives back the same one, whatever the encoding of the file system.
def _pack_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _unpack_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def encode_request(path: str, *, digests_only: bool) -> bytes:
    """The request to hash a file, or to make its digests alone, for which nothing is decoded."""
    return bytes([digests_only]) + _pack_text(path)


def decode_request(payload: bytes) -> tuple[str, bool]:
    """(path, digests_only) of a request."""
    return _unpack_text(payload[1:]), payload[:1] == b"\x01"


def encode_reply(record: HashRecord) -> bytes:
    """A record as a message. The name is not sent: who asked knows it."""
    # `hash_file` keeps to the same limit, so nothing is cut here that is not cut without workers. A character takes
    # at most 4 bytes: the lengths fit 16 bits.
    texts = [_pack_text(t[:MAX_REASON]) for t in (record.profile, record.format, record.decoder, record.reason)]
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
        texts.append(_unpack_text(payload[at : at + length]))
        at += length
    if status >= len(STATUSES):
        raise ValueError(f"status {status}")
    hashes, quality = unpack_hashes(payload[at:])
    profile, form, decoder, reason = texts
    return HashRecord(
        name=name,
        hashes=hashes,
        quality=quality,
        size=None if size < 0 else size,
        status=STATUSES[status],
        reason=reason,
        profile=profile,
        decoder=decoder,
        format=form,
        width=width,
        height=height,
        oriented=bool(oriented),
    )
