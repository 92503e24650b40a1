"""What native/module.c and native/rows_*.c export. `hashmatch.kernels.native` is its only caller.

Buffers are C-contiguous. Results leave as bytes or bytearrays of the items that are named here. ``implementation`` is a
place in `implementations`. Capsules stand for memory of the extension and are only ever handed back to it. Whatever is
wrong with an argument is a ValueError or a TypeError.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, overload

from numpy.typing import NDArray
from typing_extensions import CapsuleType

_Row = tuple[str, tuple[str, str] | None, str, int | None, str, bytes, str, int]
_Buffer = NDArray[Any] | bytes | bytearray | memoryview

class DamagedError(ValueError):
    """A table of an index leads outside its section."""

class ShrunkError(OSError):
    """A mapped file is shorter than it was when it was mapped."""

def implementations() -> list[tuple[str, bool, str]]: ...

# --- exact Hamming search

_Found = tuple[bytearray, bytearray, bytearray]  # int64[n + 1] offsets, int64[m] rows, uint16[m] (far: uint32[m])

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
def order_hits(codes: CapsuleType, hits: list[CapsuleType], nq: int, far: bool = False, /) -> _Found: ...
def search(implementation: int, codes: CapsuleType, queries: _Buffer, radius: int, budget: int, /) -> _Found: ...
def ring_build(codes: _Buffer, width: int, chunk: int, table: _Buffer, /) -> None: ...

# --- squared Euclidean distance

def euclidean_hits(
    implementation: int, codes: CapsuleType, queries: _Buffer, radius: int, first: int, last: int, /
) -> CapsuleType: ...

# --- exact digests

def digest_lookup(values: _Buffer, width: int, table: _Buffer, queries: _Buffer, /) -> tuple[bytearray, bytearray]: ...
def parse_digest_lines(
    text: _Buffer, start: int, width: int, out: _Buffer, found: int, paths: int, /
) -> tuple[int, int, int, int]: ...
def write_lookup_lines(
    buffers: tuple[_Buffer, ...], width: int, hits_only: bool, out: _Buffer, query: int, position: int, /
) -> tuple[int, int, int, int]: ...

# --- rows: None where only the twin in Python can tell

_Entry = TypeVar("_Entry", bound=tuple[Any, ...])

def joined_entries(
    kind: type[_Entry],  # a tuple of nine fields
    rows: int,
    columns: Sequence[bytes | None],
    plan: tuple[tuple[str, int, bytes], ...],  # kind, width and text of each column: native/rows_joined.c
    mask: bytes,
    name: int,
    package: int,
    longest: int,
    ascending: bool,
    /,
) -> tuple[list[_Entry], list[int]] | None: ...
def entry_rows(
    entries: Sequence[_Entry],
    kind: type[_Entry],
    ordinals: int | Sequence[int],  # the first of consecutive ones, or a list of all
    derive: Callable[[_Entry], str],
    /,
) -> tuple[list[_Row], list[str] | None, int, int, int] | None: ...
def block_ascends(rows: Sequence[_Row], /) -> bool | None: ...
def block_ends(rows: Sequence[_Row], bits: int, /) -> list[int] | None: ...
def encode_block(rows: Sequence[_Row], first: int, last: int, media: dict[str, int], /) -> bytes | None: ...
def decode_block(block: bytes, tags: Sequence[int], widths: bytes, media: tuple[str, ...], /) -> list[_Row] | None: ...

# --- delimited text

# Kind, field, optional, bit, digits, width, tail, refused, head, words: see hashmatch.kernels.delimited.Column.
_Column = tuple[int, int, bool, int, int, int, int, bytes, bytes, tuple[tuple[bytes, Any], ...]]

def row_plan(
    delimiter: int,
    columns: tuple[_Column, ...],
    pieces: tuple[int, ...],
    hashes: tuple[int, ...],
    make: type[tuple[Any, ...]],
    defaults: tuple[Any, ...],
    pieces_field: int,
    hashes_field: int,
    max_text: int,
    /,
) -> CapsuleType: ...
def delimited_rows(plan: CapsuleType, block: bytes, start: int, /) -> tuple[list[Any], int]: ...

# --- media objects of a JSON document

# (entries, next, pictures, files, precategorized media, their files); the plan is that of MediaText in vics_text.py

def media_entries(text: bytes, start: int, plan: tuple[Any, ...], /) -> tuple[list[Any], int, int, int, int, int]: ...

# --- pixels

# A picture is a buffer, its height and width in pixels, channels (1, 3 or 4) and the bytes from row to row.
# path: 0 whichever decides, 1 the fast one alone (None where it cannot decide), 2 the exact one alone.
@overload
def pdq(
    implementation: int,
    pixels: _Buffer,
    height: int,
    width: int,
    channels: int,
    row_stride: int,
    dihedral: bool,
    path: Literal[0, 2] = 0,
    /,
) -> tuple[bytes, int]: ...
@overload
def pdq(
    implementation: int,
    pixels: _Buffer,
    height: int,
    width: int,
    channels: int,
    row_stride: int,
    dihedral: bool,
    path: int,
    /,
) -> tuple[bytes, int] | None: ...
@overload
def pdq_float(
    implementation: int, luma: _Buffer, height: int, width: int, dihedral: bool, path: Literal[0, 2] = 0, /
) -> tuple[bytes, int]: ...
@overload
def pdq_float(
    implementation: int, luma: _Buffer, height: int, width: int, dihedral: bool, path: int, /
) -> tuple[bytes, int] | None: ...
def rgb_to_luma(
    implementation: int,
    pixels: _Buffer,
    height: int,
    width: int,
    channels: int,
    row_stride: int,
    out: _Buffer,  # float32[height, width]
    /,
) -> None: ...

# which: 1 phash, 2 dhash, 4 ahash, or their sum. None for one that was not asked for or cannot be decided.
def family(
    implementation: int,
    pixels: _Buffer,
    height: int,
    width: int,
    channels: int,
    row_stride: int,
    which: int,
    vertical_first: int,
    /,
) -> tuple[bytes | None, bytes | None, bytes | None]: ...

# which: as above, and 8 pdq. (pdq, quality, phash, dhash, ahash, ordered, and the margins of dhash and ahash).
def plane(
    implementation: int,
    luma: _Buffer,
    height: int,
    width: int,
    row_stride: int,
    which: int,
    vertical_first: int,
    /,
) -> tuple[bytes | None, int, bytes | None, bytes | None, bytes | None, tuple[int, ...], int, int]: ...
