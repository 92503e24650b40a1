"""Compiling what has changed since a compiled list was made, and not all of the list again.

The compiled list that stands where the new one is to be written names the snapshot that it was made of. Where the list
remembers that snapshot, the entries that have changed since are few and known: their rows are taken out and put in
(`index.splice`), and the result is byte for byte what compiling all of the list would write.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import CompiledListError, UsageError
from hashmatch.index.compiled import CompiledList
from hashmatch.index.splice import splice_compiled
from hashmatch.lists.block import MAX_ROWS, Row, encode
from hashmatch.lists.columns import Category, Columns, Disputes
from hashmatch.lists.versions import key_changes, opinion_changes

if TYPE_CHECKING:
    from hashmatch.lists.store import HashList

__all__ = ["recompile_list"]

#: Beyond this share of a list's entries, compiling all of it costs as little.
_MOST = 0.1


class _Changed(NamedTuple):
    """A key whose row may differ: its source, reference, and the row that it has now (None: none)."""

    source: str
    ref: str
    row: Row | None


def recompile_list(known: HashList, path: str | os.PathLike[str]) -> Path | None:
    """Write the compiled list of ``known`` from the one at ``path``, inside ``known.reading()``.

    Returns:
        ``path``; None where there is nothing to begin with: no compiled list, one of a snapshot that the list does not
        remember or of another role, a damaged one, or one from which too much has changed.

    Raises:
        ListDamagedError: the list is damaged.
        StorageError: the file cannot be written; what stood there stands still.
    """
    path = Path(path)
    if os.name == "nt" or not path.is_file():
        return None  # Windows cannot replace a file that is mapped
    with contextlib.ExitStack() as stack:
        try:
            former = stack.enter_context(CompiledList.open(path))
            if former.meta["role"] != known.role:
                return None
        except CompiledListError:
            return None
        number = _change_of(known, former.snapshot)
        if number is None:
            return None
        most = max(1000, int(_MOST * known.count()))
        changed: list[_Changed] = []
        for item in _changed_keys(known, number):
            if len(changed) == most:
                return None
            changed.append(item)
        try:
            return _splice(known, former, path, changed)
        except (CompiledListError, UsageError):
            return None  # damaged, or it says of its rows what no list writes


def _change_of(known: HashList, snapshot: bytes) -> int | None:
    """The last change that led to a snapshot."""
    found = None
    if known.empty_snapshot() == snapshot.hex():
        found = 0
    for change in known.history.changes():
        if change.snapshot == snapshot:
            found = change.number
    return found


def _changed_keys(known: HashList, number: int) -> Iterator[_Changed]:
    """The keys that say something else than after change ``number``, by source and reference."""
    entries = (_Changed(source, ref, after.row) for source, ref, _, after in key_changes(known, number))
    opinions = {(changed.source, changed.ref) for changed in opinion_changes(known, number)}
    if not opinions:
        yield from entries
        return
    numbers = known.source_numbers()
    found = {(item.source, item.ref): item for item in entries}
    for key in opinions - found.keys():
        found[key] = _Changed(*key, known.blocks.find(numbers[key[0]], key[1]))
    yield from (found[key] for key in sorted(found))


class _Refs(Sequence[bytes]):
    """The references of the rows from ``start`` to before ``stop``, for `bisect`."""

    def __init__(self, former: CompiledList, start: int, stop: int) -> None:
        offsets, text = former.reference_arrays()
        self._offsets = offsets[start : stop + 1]
        self._text = text

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, at: Any) -> Any:
        return self._text[int(self._offsets[at]) : int(self._offsets[at + 1])].tobytes()


def _splice(known: HashList, former: CompiledList, path: Path, changed: Sequence[_Changed]) -> Path:
    sources = [name for name, number in known.source_numbers().items() if known.blocks.last(number) is not None]
    starts: dict[str, tuple[int, int]] = {}
    at = 0
    for source in former.meta["sources"]:
        starts[source["name"]] = (at, at + source["entries"])
        at += source["entries"]
    removed: list[int] = []
    before: list[int] = []
    columns = Columns()
    numbers = known.source_numbers()
    for name, items in groupby(changed, attrgetter("source")):
        # Where a source that is new stands: before the first row of the next one by name.
        start, stop = (
            starts.get(name) or [min((s for n, (s, _) in starts.items() if n > name), default=former.rows)] * 2
        )
        refs = _Refs(former, start, stop)
        rows: list[Row] = []
        for item in items:
            key = item.ref.encode()
            place = bisect_left(refs, key)
            if place < len(refs) and refs[place] == key:
                removed.append(start + place)
            if item.row is not None:
                before.append(start + place)
                rows.append(item.row)
        if rows:
            disputes = Disputes(name, known.history.opinions(numbers[name]))
            # In pieces: what one block can count is bounded.
            pieces = [encode(rows[at : at + MAX_ROWS]) for at in range(0, len(rows), MAX_ROWS)]
            columns.add(pieces, sources.index(name), disputes)
    inserted, of_inserted = columns.finish()
    gone = np.array(removed, np.int64)
    categories = _categories(former, gone, of_inserted)
    places = {pair: place for place, pair in enumerate(categories, 1)}
    inserted.category = np.array([0, *(places[pair] for pair in of_inserted)], np.uint32)[inserted.category]
    return splice_compiled(
        former,
        path,
        gone,
        inserted,
        np.array(before, np.int64),
        snapshot=bytes.fromhex(known.snapshot),
        role=known.role,
        sources=sources,
        categories=categories,
    )


def _categories(former: CompiledList, removed: NDArray[np.int64], inserted: Sequence[Category]) -> list[Category]:
    """The categories that rows have afterwards, in order."""
    held = former.row_categories()
    known = [(scheme, code) for scheme, code in former.meta["categories"]]
    counts = np.bincount(held, minlength=len(known) + 1) - np.bincount(held[removed], minlength=len(known) + 1)
    return sorted({pair for pair, count in zip(known, counts[1:].tolist(), strict=True) if count} | set(inserted))
