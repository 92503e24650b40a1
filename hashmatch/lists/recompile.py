"""Compiling what has changed since a compiled list was made, and not all of the list again.

The compiled list that stands where the new one is to be written names the snapshot that it was made of. Where the list
remembers that snapshot, the entries that have changed since are few and known: their rows are taken out and put in
(`index.splice`), and the result is byte for byte what compiling all of the list would write.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import CompiledListDamagedError, CompiledListError, UsageError
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
#: Bytes of references that are looked for at once.
_BISECTED = 1 << 20


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
        stack.enter_context(_verified_ahead(former))
        most = max(1000, int(_MOST * former.rows))
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


def _places(
    former: CompiledList, start: int, stop: int, refs: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where references stand among those of the rows from ``start`` to before ``stop``, which ascend.

    Returns:
        (int64[n], the first row whose reference is at least each, or ``stop``; bool[n], whether it is that reference).
    """
    places = [np.zeros(0, np.int64)]
    found = [np.zeros(0, np.bool_)]
    keys = [ref.encode() for ref in refs]
    longest = max(map(len, keys), default=0)
    step = max(1, _BISECTED // (longest + 1))
    for at in range(0, len(keys), step):
        # All of them are looked for at once. No reference holds a NUL, with which NumPy fills up what is shorter, and
        # one byte more than the longest has tells what only begins alike.
        wanted = np.array(keys[at : at + step], f"S{longest + 1}")
        low, high = np.full(len(wanted), start, np.int64), np.full(len(wanted), stop, np.int64)
        while len(active := np.flatnonzero(low < high)):
            middle = (low[active] + high[active]) >> 1
            below = _refs_at(former, middle, longest + 1) < wanted[active]
            low[active[below]] = middle[below] + 1
            high[active[~below]] = middle[~below]
        there = np.flatnonzero(low < stop)
        same = np.zeros(len(wanted), np.bool_)
        same[there] = _refs_at(former, low[there], longest + 1) == wanted[there]
        places.append(low)
        found.append(same)
    return np.concatenate(places), np.concatenate(found)


def _refs_at(former: CompiledList, rows: NDArray[np.int64], width: int) -> NDArray[np.bytes_]:
    """S``width``[n]: the first bytes of the references of some rows."""
    offsets, text = former.reference_arrays()
    begin = offsets[rows].astype(np.int64)
    length = offsets[rows + 1].astype(np.int64) - begin
    column = np.arange(width)
    part = text.take(begin[:, None] + column, mode="clip") if len(text) else np.zeros((len(rows), width), np.uint8)
    part[column >= length[:, None]] = 0
    return part.view(f"S{width}").ravel()


@contextlib.contextmanager
def _verified_ahead(former: CompiledList) -> Iterator[None]:
    """Have a thread verify the sections that splicing uses, in their order; what it finds is found again by their use.

    Reading and hashing gigabytes takes a second core as long as it takes this one to find what has changed.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="hashmatch-verify")
    try:
        for name in former.sections:
            if ".ring." not in name:
                pool.submit(former.verify_section, name)
        yield
    finally:
        pool.shutdown(cancel_futures=True)


def _splice(known: HashList, former: CompiledList, path: Path, changed: Sequence[_Changed]) -> Path:
    sources = [name for name, number in known.source_numbers().items() if known.blocks.last(number) is not None]
    starts: dict[str, tuple[int, int]] = {}
    at = 0
    for source in former.meta["sources"]:
        starts[source["name"]] = (at, at + source["entries"])
        at += source["entries"]
    if at != former.rows or any(stop < start for start, stop in starts.values()):
        raise CompiledListDamagedError(f"{path}: meta does not say of as many rows as there are; compile anew")
    removed: list[int] = []
    before: list[int] = []
    columns = Columns()
    numbers = known.source_numbers()
    for name, items in groupby(changed, attrgetter("source")):
        # Where a source that is new stands: before the first row of the next one by name.
        start, stop = (
            starts.get(name) or [min((s for n, (s, _) in starts.items() if n > name), default=former.rows)] * 2
        )
        group = list(items)
        places, found = _places(former, start, stop, [item.ref for item in group])
        rows: list[Row] = []
        for item, place, there in zip(group, places.tolist(), found.tolist(), strict=True):
            if there:
                removed.append(place)
            if item.row is not None:
                before.append(place)
                rows.append(item.row)
        if rows:
            disputes = Disputes(name, known.history.opinions(numbers[name]))
            # In pieces: what one block can count is bounded.
            pieces = [encode(rows[at : at + MAX_ROWS]) for at in range(0, len(rows), MAX_ROWS)]
            columns.add(pieces, sources.index(name), disputes)
    inserted, of_inserted = columns.finish()
    gone = np.array(removed, np.int64)
    categories = _categories(former, gone, of_inserted)
    order = {pair: place for place, pair in enumerate(categories, 1)}
    inserted.category = np.array([0, *(order[pair] for pair in of_inserted)], np.uint32)[inserted.category]
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
