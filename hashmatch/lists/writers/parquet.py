"""Parquet: the columns of CSV; hashes are raw bytes, metadata and opinions are JSON text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists.arrow import ParquetOutput
from hashmatch.lists.entry import NO_QUALITY
from hashmatch.lists.formats.fields import ORIGIN
from hashmatch.lists.writers.account import Account, Sink, WriteOptions, checked_mask, places_of
from hashmatch.lists.writers.general import COLUMNS, rows

if TYPE_CHECKING:
    from hashmatch.lists.store import StoredEntry

__all__ = ["write"]

#: A row group is written when it has so many rows, or so many bytes.
_ROWS = 1 << 16
_BYTES = 32 << 20

_KINDS: dict[str, str | int] = dict.fromkeys(COLUMNS, "text")
_KINDS |= dict.fromkeys((ORIGIN, "category_scheme", "category", "media_type"), "word")
_KINDS |= {"size": "whole", "pdq_quality": "byte"} | {a.name: a.width for a in ALGORITHMS.values()}


def write(entries: Iterable[StoredEntry], sink: Sink, options: WriteOptions, account: Account) -> None:
    """Write all entries; without ``include_hashes`` the columns of hashes are null."""
    with ParquetOutput(sink, _KINDS) as output:
        _write(entries, output, options, account)


def _write(entries: Iterable[StoredEntry], output: ParquetOutput, options: WriteOptions, account: Account) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    held = count = 0
    *heads, opinions_column, metadata_column = [columns[name] for name in COLUMNS if name not in ALGORITHMS]
    ids, sources, schemes, codes, media_types, sizes, qualities = heads
    hash_columns = [(name, columns[name]) for name in ALGORITHMS]
    for source, ref, category, media, size, metadata, packed, opinions in rows(entries, account, options):
        ids.append(ref)
        sources.append(source)
        schemes.append(category[0] if category is not None else None)
        codes.append(category[1] if category is not None else None)
        media_types.append(media or None)
        sizes.append(size)
        opinions_column.append(opinions or None)
        metadata_column.append(metadata or None)
        places, quality, _ = places_of(checked_mask(packed) if options.include_hashes else bytes(4))
        there = dict(places)
        for name, column in hash_columns:
            column.append(packed[there[name]] if name in there else None)
        qualities.append(packed[quality] if quality and packed[quality] != NO_QUALITY else None)
        count += 1
        held += len(ref) + len(metadata) + len(packed) + len(opinions)
        if count == _ROWS or held >= _BYTES:
            output.write(list(columns.values()))
            for values in columns.values():
                values.clear()
            held = count = 0
    if count:
        output.write(list(columns.values()))
