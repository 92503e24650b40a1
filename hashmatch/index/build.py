"""Writing compiled lists. Arrays and row numbers in, one file out: nothing here knows of lists or sources' names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import UsageError
from hashmatch.files import replace_file
from hashmatch.index.exact import as_strings, build_table, sort_order, table_bits
from hashmatch.index.hamming import has_ring
from hashmatch.index.section_writer import SectionData, SectionWriter, items_per_block
from hashmatch.kernels.ring import table_size

__all__ = [
    "ROW_COLUMNS",
    "THREADS",
    "HashColumn",
    "RowColumn",
    "Rows",
    "check_row_count",
    "hash_mask",
    "meta_text",
    "ring_sections",
    "section_names",
    "write_compiled",
]

#: Threads that compute beside the one that hands blocks over and the two that hash and write them.
THREADS = 2


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
        disputed: uint32[n], bit ``number`` is set where the row's hash of that algorithm is disputed; None: none is.
    """

    ref_text: bytes | bytearray
    ref_offsets: NDArray[np.uint64]
    source: NDArray[np.uint32]
    category: NDArray[np.uint32]
    media: NDArray[np.uint8]
    size: NDArray[np.int64]
    quality: NDArray[np.uint8]
    hashes: Mapping[str, HashColumn] = field(default_factory=dict)
    disputed: NDArray[np.uint32] | None = None

    def numbers(self, column: RowColumn) -> NDArray[Any]:
        """What a section of numbers holds, in its dtype."""
        values = getattr(self, column.attribute)
        dtype = np.dtype(column.dtype)
        return np.zeros(len(self.source), dtype) if values is None else values.astype(dtype, copy=False)


class RowColumn(NamedTuple):
    """A section with one number a row: its name, the attribute of `Rows`, its dtype, the method of `CompiledList`."""

    section: str
    attribute: str
    dtype: str
    method: str


#: The sections of numbers that rows have, but for the mask, which comes of the hashes; in the file's order.
ROW_COLUMNS = (
    RowColumn("row.source", "source", "<u4", "row_sources"),
    RowColumn("row.category", "category", "<u4", "row_categories"),
    RowColumn("row.media", "media", "u1", "row_media"),
    RowColumn("row.size", "size", "<i8", "row_sizes"),
    RowColumn("row.quality", "quality", "u1", "row_quality"),
    RowColumn("row.disputed", "disputed", "<u4", "row_disputed"),
)


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

    Computing, hashing and writing go on at the same time, in up to five threads. Memory, beside ``rows`` and what the
    system keeps of files: about 85 bytes for each hash of the algorithm that has most, and at most 300 MB.

    Raises:
        StorageError: the file could not be written; what stood at ``path`` stands there still.
        UsageError: more rows than the format holds.
    """
    n = len(rows.source)
    check_row_count(n)
    counts = {name: len(column.rows) for name, column in rows.hashes.items()}
    meta = meta_text(role, sources, np.bincount(rows.source, minlength=len(sources)), categories, counts)
    with (
        replace_file(path) as file,
        SectionWriter(file, list(section_names(counts))) as writer,
        ThreadPoolExecutor(THREADS, thread_name_prefix="hashmatch-compile") as pool,
    ):
        for section in _sections(rows, meta, pool):
            writer.add(section)
        writer.finish(n, snapshot)
    return Path(path)


def check_row_count(n: int) -> None:
    """Refuse more rows than the format can number."""
    if n >= 1 << 32:
        raise UsageError(f"a compiled list holds at most {(1 << 32) - 1:,} rows; found {n:,}")


def meta_text(
    role: str,
    sources: Sequence[str],
    entries: NDArray[np.int64],
    categories: Sequence[tuple[str, str]],
    hashes: Mapping[str, int],
) -> bytes:
    """The section ``meta``: ``entries`` is the number of rows of each source, ``hashes`` that of each algorithm."""
    meta = {
        "role": role,
        "sources": [{"name": name, "entries": int(count)} for name, count in zip(sources, entries, strict=True)],
        "categories": [list(c) for c in categories],
        "hashes": dict(hashes),
    }
    return json.dumps(meta, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def section_names(hashes: Mapping[str, int]) -> Iterator[str]:
    """The names of all sections of a list with so many hashes of each algorithm, in the file's order."""
    yield from ("meta", "ref.offsets", "ref.text", *(column.section for column in ROW_COLUMNS), "row.mask")
    for name, count in hashes.items():
        if ALGORITHMS[name].kind is Kind.EXACT:
            yield from (f"{name}.values", f"{name}.rows", f"{name}.table")
        else:
            yield from (f"{name}.codes", f"{name}.starts", f"{name}.rows")
            if has_ring(name, count):
                yield from (f"{name}.ring.{chunk}" for chunk in range(ALGORITHMS[name].width // 2))


def hash_mask(rows: Rows) -> NDArray[np.uint32]:
    """uint32[n]: bit of every algorithm whose hash the row has."""
    mask = np.zeros(len(rows.source), "<u4")
    for name, column in rows.hashes.items():
        mask[column.rows] |= np.uint32(1 << ALGORITHMS[name].number)
    return mask


def ring_sections(name: str, codes: NDArray[np.uint8], pool: ThreadPoolExecutor) -> Iterator[SectionData]:
    """The ring tables of the sorted, distinct ``codes``: as many at once as there are threads, and one is written.

    A table is made in the place of one that was written: new memory would cost as much time as the table.
    """
    chunks = range(codes.shape[1] // 2)
    free: list[NDArray[np.uint8]] = []

    def begin(chunk: int) -> Future[NDArray[np.uint8]]:
        place = free.pop() if free else np.empty(table_size(len(codes)), np.uint8)
        return pool.submit(kernels.ring_table, codes, chunk, place)

    tables = [begin(chunk) for chunk in chunks[:THREADS]]
    for chunk in chunks:
        table = tables.pop(0).result()
        if chunk + THREADS < len(chunks):
            tables.append(begin(chunk + THREADS))
        yield SectionData(f"{name}.ring.{chunk}", 1, [table], cold=True, done=partial(free.append, table))


def _sections(rows: Rows, meta: bytes, pool: ThreadPoolExecutor) -> Iterator[SectionData]:
    """All sections, in the order of `section_names`."""
    # The order of the next algorithm's hashes is found while those of one are written.
    columns = list(rows.hashes.items())
    orders: list[Future[NDArray[np.int64]]] = [pool.submit(sort_order, c.values) for _, c in columns[:1]]
    yield SectionData("meta", 1, [meta])
    yield SectionData("ref.offsets", 8, [rows.ref_offsets.astype("<u8", copy=False)])
    yield SectionData("ref.text", 1, [rows.ref_text])
    for row_column in ROW_COLUMNS:
        numbers = rows.numbers(row_column)
        yield SectionData(row_column.section, numbers.itemsize, [numbers])
    yield SectionData("row.mask", 4, [hash_mask(rows)])
    for number, (name, column) in enumerate(columns):
        order = orders.pop().result()
        if number + 1 < len(columns):
            orders.append(pool.submit(sort_order, columns[number + 1][1].values))
        if ALGORITHMS[name].kind is Kind.EXACT:
            yield from _digest_sections(name, column, order, pool)
        else:
            yield from _code_sections(name, column, order, pool)


def _digest_sections(
    name: str, column: HashColumn, order: NDArray[np.int64], pool: ThreadPoolExecutor
) -> Iterator[SectionData]:
    # How many digests share a prefix does not depend on their order.
    table = pool.submit(build_table, column.values, table_bits(len(order)))
    width = ALGORITHMS[name].width
    yield SectionData(f"{name}.values", width, _taken(column.values, order))
    yield SectionData(f"{name}.rows", 4, _taken(column.rows.astype("<u4", copy=False), order))
    yield SectionData(f"{name}.table", 4, [table.result().astype("<u4", copy=False)])


def _code_sections(
    name: str, column: HashColumn, order: NDArray[np.int64], pool: ThreadPoolExecutor
) -> Iterator[SectionData]:
    width = ALGORITHMS[name].width
    values = np.empty((len(order), width), np.uint8)
    at = 0
    for block in _taken(column.values, order):
        values[at : at + len(block)] = block
        at += len(block)
    fresh = np.ones(len(values), np.bool_)
    fresh[1:] = as_strings(values)[1:] != as_strings(values)[:-1]
    starts = np.append(np.flatnonzero(fresh), len(values)).astype("<u4")
    codes = values if len(starts) == len(values) + 1 else values[fresh]
    del values, fresh
    yield SectionData(f"{name}.codes", width, [codes])
    yield SectionData(f"{name}.starts", 4, [starts])
    yield SectionData(f"{name}.rows", 4, _taken(column.rows.astype("<u4", copy=False), order))
    if has_ring(name, len(order)):
        yield from ring_sections(name, codes, pool)


def _taken(items: NDArray[Any], order: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """``items[order]`` in blocks."""
    step = items_per_block(items.nbytes // max(1, len(items)))
    for start, end in pairwise([*range(0, len(order), step), len(order)]):
        yield np.take(items, order[start:end], axis=0)
