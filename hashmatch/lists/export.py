"""Entries as CSV cells and JSON objects, in the columns that the generic readers take back."""

from __future__ import annotations

from typing import Any

from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists.formats.fields import ORIGIN, WRAPPED
from hashmatch.lists.store import StoredEntry

__all__ = ["CSV_COLUMNS", "entry_as_cells", "entry_as_dict"]

#: Columns of a CSV export. Metadata is one column of JSON text.
CSV_COLUMNS = (
    "id",
    ORIGIN,
    "category_scheme",
    "category",
    "media_type",
    "size",
    *ALGORITHMS,
    "pdq_quality",
    WRAPPED,
)


def entry_as_dict(stored: StoredEntry, *, hashes: bool) -> dict[str, Any]:
    """An entry as plain data: reference, source, what is known of it, its metadata; its hashes only where asked."""
    entry = stored.entry
    row: dict[str, Any] = {"id": entry.ref, ORIGIN: stored.source}
    if entry.category is not None:
        row |= {"category_scheme": entry.category[0], "category": entry.category[1]}
    if entry.media_type:
        row["media_type"] = entry.media_type
    if entry.size is not None:
        row["size"] = entry.size
    if hashes:
        row |= {name: value.hex() for name, value in entry.hashes.items()}
        row |= {f"{name}_quality": value for name, value in entry.quality.items()}
    else:
        row["algorithms"] = list(entry.hashes)
    return row | ({WRAPPED: entry.fields} if entry.metadata else {})


def entry_as_cells(stored: StoredEntry, *, hashes: bool) -> list[str]:
    """An entry as the cells of `CSV_COLUMNS`."""
    entry = stored.entry
    scheme, code = entry.category or ("", "")
    values = {name: value.hex() for name, value in entry.hashes.items()} if hashes else {}
    quality = str(entry.quality.get("pdq", "")) if hashes else ""
    size = "" if entry.size is None else str(entry.size)
    cells = [entry.ref, stored.source, scheme, code, entry.media_type, size]
    return [*cells, *(values.get(name, "") for name in ALGORITHMS), quality, entry.metadata]
