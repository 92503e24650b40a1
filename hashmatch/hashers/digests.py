"""Cryptographic digests, all in one pass over the bytes.

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

# usedforsecurity=False: a host in FIPS mode refuses MD5 otherwise. One pass over blocks that stay in the cache costs
# less than one pass over the whole file per digest.
_BLOCK = 1 << 16


def _start(algorithms: Iterable[str]) -> dict[str, hashlib._Hash]:
    chosen = [item.name for item in registry.select(algorithms)]
    for name in chosen:
        if name not in DIGESTS:
            raise UnknownAlgorithmError(f"{name} is not a digest of bytes; digests are {', '.join(DIGESTS)}")
    return {name: hashlib.new(name, usedforsecurity=False) for name in chosen}


def digest_bytes(data: bytes | bytearray | memoryview, algorithms: Iterable[str]) -> dict[str, bytes]:
    """Digests of ``data``: algorithm name -> raw digest, in registry order.

    Raises:
        UnknownAlgorithmError: a name that is not ``md5``, ``sha1``, ``sha256`` or ``sha512``.
    """
    states = _start(algorithms)
    view = memoryview(data).cast("B")
    for start in range(0, len(view), _BLOCK) if states else ():
        block = view[start : start + _BLOCK]
        for state in states.values():
            state.update(block)
    return {name: state.digest() for name, state in states.items()}


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
    states = _start(algorithms)
    size = 0
    block = start or file.read(chunk)
    while block:
        size += len(block)
        for state in states.values():
            state.update(block)
        block = file.read(chunk)
    return {name: state.digest() for name, state in states.items()}, size
