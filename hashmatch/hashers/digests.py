"""Cryptographic digests, all from one read of the bytes.

They identify a file, they protect nothing: MD5 and SHA-1 are here because lists hold them, and collisions in them are
why a match by one that another contradicts is reported as a conflict.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import IO

from hashmatch import algorithms as registry
from hashmatch.errors import UnknownAlgorithmError

__all__ = ["DEFAULT_CHUNK", "DIGESTS", "digest_bytes", "digest_stream"]

#: Names of the digests, in registry order.
DIGESTS = registry.names(registry.Kind.EXACT)

#: Bytes that `digest_stream` reads at a time.
DEFAULT_CHUNK = 1 << 20


def _chosen(algorithms: Iterable[str]) -> list[str]:
    chosen = [item.name for item in registry.select(algorithms)]
    for name in chosen:
        if name not in DIGESTS:
            raise UnknownAlgorithmError(f"{name} is not a digest of bytes; digests are {', '.join(DIGESTS)}")
    return chosen


# usedforsecurity=False below: a host in FIPS mode refuses MD5 otherwise.


def digest_bytes(data: bytes | bytearray | memoryview, algorithms: Iterable[str]) -> dict[str, bytes]:
    """Digests of ``data``: algorithm name -> raw digest, in registry order.

    Raises:
        UnknownAlgorithmError: a name that is not ``md5``, ``sha1``, ``sha256`` or ``sha512``.
    """
    # One after the other over all bytes: a digest is so much slower than memory that blocks for the cache gain nothing.
    return {name: hashlib.new(name, data, usedforsecurity=False).digest() for name in _chosen(algorithms)}


def digest_stream(
    file: IO[bytes], algorithms: Iterable[str], chunk: int = DEFAULT_CHUNK, *, start: bytes = b""
) -> tuple[dict[str, bytes], int]:
    """Digests of a binary file from where it stands to its end, in bounded memory.

    Args:
        file: open for reading in binary mode.
        algorithms: names of digests; none is allowed, and then only the bytes are counted.
        chunk: bytes to read at a time.
        start: bytes that the caller has read from the file already.

    Returns:
        ``(digests, size)``: as `digest_bytes`, and the number of bytes, those of ``start`` included.

    Raises:
        UnknownAlgorithmError: a name that is not a digest.
        OSError: the file cannot be read.
    """
    states = {name: hashlib.new(name, usedforsecurity=False) for name in _chosen(algorithms)}
    size = 0
    block = start or file.read(chunk)
    while block:
        size += len(block)
        for state in states.values():
            state.update(block)
        block = file.read(chunk)
    return {name: state.digest() for name, state in states.items()}, size
