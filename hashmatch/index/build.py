"""Writing compiled lists. Arrays and row numbers in, one file out: nothing here knows of lists or sources' names."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import UsageError
from hashmatch.files import replace_file
from hashmatch.index.compiled import ALIGNMENT, HEADER, HEADER_SIZE, MAGIC, TABLE_ROW, VERSION
from hashmatch.index.exact import build_table, sort_order, table_bits
from hashmatch.index.hamming import has_ring

__all__ = ["HashColumn", "Rows", "write_compiled"]


@dataclass
class HashColumn:
    """All hashes of one algorithm: ``values`` uint8[k, width] and ``rows`` uint32[k], ascending, at most one a row."""

    values: NDArray[np.uint8]
    rows: NDArray[np.uint32]


@dataclass
class Rows:
    """What is kept of every row, ``n`` of each.

    Attributes:
        ref_text: the references in UTF-8, one after the other.
        ref_offsets: uint64[n + 1], where each reference starts; the last is the length of ``ref_text`` in bytes.
        source: uint32[n], index into the sources.
        category: uint32[n], 1 + index into the categories, 0 for none.
        media: uint8[n], number of the media type, 0 where it is not stated.
        size: int64[n], bytes, -1 where it is not known.
        quality: uint8[n], quality of the row's pdq hash, 255 where it is not known or there is none.
        hashes: name of an algorithm that is searched (not of kind OPAQUE) -> its hashes.
    """

    ref_text: bytes | bytearray
    ref_offsets: NDArray[np.uint64]
    source: NDArray[np.uint32]
    category: NDArray[np.uint32]
    media: NDArray[np.uint8]
    size: NDArray[np.int64]
    quality: NDArray[np.uint8]
    hashes: Mapping[str, HashColumn] = field(default_factory=dict)


def write_compiled(
    path: str | os.PathLike[str],
    rows: Rows,
    *,
    snapshot: bytes,
    role: str,
    sources: Sequence[str],
    categories: Sequence[tuple[str, str]],
) -> Path:
    """Write a compiled list, replacing ``path`` in one step. The same arguments give the same bytes.

    Raises:
        StorageError: the file could not be written; what stood at ``path`` stands there still.
        UsageError: more rows than the format holds.
    """
    n = len(rows.source)
    if n >= 1 << 32:
        raise UsageError(f"a compiled list holds at most {(1 << 32) - 1:,} rows; found {n:,}")
    meta = {
        "role": role,
        "sources": [
            {"name": name, "entries": int(count)}
            for name, count in zip(sources, np.bincount(rows.source, minlength=len(sources)), strict=True)
        ],
        "categories": [list(c) for c in categories],
        "hashes": {name: len(column.rows) for name, column in rows.hashes.items()},
    }
    text = json.dumps(meta, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    with replace_file(path) as file:
        file.write(b"\0" * HEADER_SIZE)
        # The table's size must be known before the first section is written: sections are planned, then written.
        plan = list(_section_names(rows))
        file.write(b"\0" * (TABLE_ROW.size * len(plan)))
        table = []
        for name, width, data in _sections(rows, text):
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            if isinstance(data, np.ndarray):
                raw = memoryview(np.ascontiguousarray(data).tobytes() if not data.size else np.ascontiguousarray(data))  # type: ignore[arg-type]
            else:
                raw = memoryview(data)
            raw = raw.cast("B") if raw.nbytes else memoryview(b"")
            table.append(TABLE_ROW.pack(name.encode(), file.tell(), raw.nbytes, width, 0, hashlib.sha256(raw).digest()))
            file.write(raw)
        if len(table) != len(plan):
            raise AssertionError("planned and written sections differ")
        size = file.tell()
        joined = b"".join(table)
        head = HEADER.pack(MAGIC, VERSION, len(table), size, n, snapshot, hashlib.sha256(joined).digest())
        file.seek(0)
        file.write(head + hashlib.sha256(head).digest() + joined)
    return Path(path)


def _section_names(rows: Rows) -> Iterator[str]:
    yield from ("meta", "ref.offsets", "ref.text", "row.source", "row.category", "row.media", "row.size", "row.quality")
    yield "row.mask"
    for name in rows.hashes:
        if ALGORITHMS[name].kind is Kind.EXACT:
            yield from (f"{name}.values", f"{name}.rows", f"{name}.table")
        else:
            yield from (f"{name}.codes", f"{name}.starts", f"{name}.rows")
            if has_ring(name, len(rows.hashes[name].rows)):
                yield from (f"{name}.ring.{chunk}" for chunk in range(ALGORITHMS[name].width // 2))


def _sections(rows: Rows, meta: bytes) -> Iterator[tuple[str, int, Any]]:
    """(name, bytes per item, data) of every section, in the order of `_section_names`."""
    n = len(rows.source)
    yield "meta", 1, meta
    yield "ref.offsets", 8, rows.ref_offsets.astype("<u8")
    yield "ref.text", 1, rows.ref_text
    yield "row.source", 4, rows.source.astype("<u4")
    yield "row.category", 4, rows.category.astype("<u4")
    yield "row.media", 1, rows.media.astype(np.uint8)
    yield "row.size", 8, rows.size.astype("<i8")
    yield "row.quality", 1, rows.quality.astype(np.uint8)
    mask = np.zeros(n, "<u4")
    for name, column in rows.hashes.items():
        mask[column.rows] |= np.uint32(1 << ALGORITHMS[name].number)
    yield "row.mask", 4, mask
    for name, column in rows.hashes.items():
        width = ALGORITHMS[name].width
        order = sort_order(column.values)
        values, owners = column.values[order], column.rows[order].astype("<u4")
        if ALGORITHMS[name].kind is Kind.EXACT:
            yield f"{name}.values", width, values
            yield f"{name}.rows", 4, owners
            yield f"{name}.table", 4, build_table(values, table_bits(len(values))).astype("<u4")
        else:
            fresh = np.ones(len(values), np.bool_)
            fresh[1:] = np.any(values[1:] != values[:-1], axis=1)
            starts = np.append(np.flatnonzero(fresh), len(values)).astype("<u4")
            codes = np.ascontiguousarray(values[fresh])
            del values
            yield f"{name}.codes", width, codes
            yield f"{name}.starts", 4, starts
            yield f"{name}.rows", 4, owners
            if has_ring(name, len(owners)):
                for chunk in range(width // 2):  # one at a time in memory
                    yield f"{name}.ring.{chunk}", 1, kernels.ring_table(codes, chunk)
