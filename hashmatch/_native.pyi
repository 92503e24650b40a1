"""What native/module.c exports. `hashmatch.kernels.native` is its only caller.

Buffers are C-contiguous. Results leave as bytes or bytearrays of the items that are named here. ``implementation`` is a
place in `implementations`. Capsules stand for memory of the extension and are only ever handed back to it. Whatever is
wrong with an argument is a ValueError or a TypeError.
"""

from typing import Any

from numpy.typing import NDArray
from typing_extensions import CapsuleType

_Buffer = NDArray[Any] | bytes | bytearray | memoryview

class DamagedError(ValueError):
    """A table of an index leads outside its section."""

class ShrunkError(OSError):
    """A mapped file is shorter than it was when it was mapped."""

def implementations() -> list[tuple[str, bool, str]]: ...

# --- exact Hamming search

_Found = tuple[bytearray, bytearray, bytearray]  # int64[n + 1] offsets, int64[m] rows, uint16[m] distances

def open_codes(
    codes: _Buffer,
    width: int,
    tables: tuple[_Buffer, ...] | None,
    starts: _Buffer | None,
    rows: _Buffer | None,
    /,
) -> CapsuleType: ...
def ring_skew(codes: CapsuleType, /) -> float: ...
def flat_hits(
    implementation: int, codes: CapsuleType, queries: _Buffer, radii: _Buffer, first: int, last: int, /
) -> CapsuleType: ...
def ring_hits_by_query(
    implementation: int, codes: CapsuleType, queries: _Buffer, radius: int, budget: int, first: int, last: int, /
) -> CapsuleType: ...
def ring_hits_by_bucket(
    implementation: int, codes: CapsuleType, queries: _Buffer, radius: int, budget: int, first: int, last: int, /
) -> CapsuleType | None: ...
def order_hits(codes: CapsuleType, hits: list[CapsuleType], nq: int, /) -> _Found: ...
def search(implementation: int, codes: CapsuleType, queries: _Buffer, radius: int, budget: int, /) -> _Found: ...
def ring_build(codes: _Buffer, width: int, chunk: int, table: _Buffer, /) -> None: ...

# --- exact digests

def digest_lookup(values: _Buffer, width: int, table: _Buffer, queries: _Buffer, /) -> tuple[bytearray, bytearray]: ...
def parse_digest_lines(
    text: _Buffer, start: int, width: int, out: _Buffer, found: int, paths: int, /
) -> tuple[int, int, int, int]: ...
def write_lookup_lines(
    buffers: tuple[_Buffer, ...], width: int, hits_only: bool, out: _Buffer, query: int, position: int, /
) -> tuple[int, int, int, int]: ...

# --- pixels
