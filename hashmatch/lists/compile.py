"""From the list of record to the arrays that a compiled list is written from."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import ListDamagedError
from hashmatch.index.build import HashColumn, Rows, write_compiled
from hashmatch.lists.entry import NO_QUALITY
from hashmatch.lists.snapshot import SnapshotDigest
from hashmatch.lists.verify import ENTRIES_OF_SOURCE, verify_rows

if TYPE_CHECKING:
    from hashmatch.lists.store import HashList

__all__ = ["compile_list"]

_BATCH = 20_000


def compile_list(
    known: HashList,
    connection: sqlite3.Connection,
    path: str | os.PathLike[str],
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Write the compiled list of ``known``: rows ordered by (source, reference). See `HashList.compile`."""
    numbers = dict(connection.execute("SELECT name, id FROM source"))
    # A source without entries leaves no trace, so that the same content gives the same bytes.
    counts = {
        name: connection.execute("SELECT count(*) FROM entry WHERE source = ?", (number,)).fetchone()[0]
        for name, number in numbers.items()
    }
    sources = sorted((name for name, count in counts.items() if count), key=str.encode)
    total = sum(counts.values())
    used = [row[0] for row in connection.execute("SELECT DISTINCT category FROM entry WHERE category IS NOT NULL")]
    all_categories = known.categories()
    if not set(used) <= set(all_categories):
        raise ListDamagedError(f"{known.path}: an entry names a category that is gone; restore the list from a copy")
    categories = sorted(all_categories[number] for number in used)
    position = {number: categories.index(all_categories[number]) + 1 for number in used}

    snapshot = SnapshotDigest(known.role)
    columns = _Columns()
    ref_text = bytearray()
    ref_lengths, category, media, size = [], [], [], []
    done = 0
    for name in sources:
        cursor = connection.execute(ENTRIES_OF_SOURCE, (numbers[name],))
        while batch := cursor.fetchmany(_BATCH):
            verify_rows(known.path, name, batch, all_categories)
            refs, of_category, of_media, of_size, _, packed, contents = zip(*batch, strict=True)
            snapshot.add(contents)
            encoded = [ref.encode() for ref in refs]
            ref_text += b"".join(encoded)
            ref_lengths.append(np.fromiter(map(len, encoded), np.uint64, len(encoded)))
            category.append(np.fromiter((position.get(c, 0) for c in of_category), np.uint32, len(batch)))
            media.append(np.fromiter(of_media, np.uint8, len(batch)))
            size.append(np.fromiter((-1 if s is None else s for s in of_size), np.int64, len(batch)))
            try:
                columns.add(packed, done)
            except ValueError as error:
                raise ListDamagedError(
                    f"{known.path}: the hashes of an entry of source {name!r} do not have the stated layout; "
                    f"`hashmatch list check {known.path}` finds it"
                ) from error
            done += len(batch)
            if progress is not None:
                progress(done, total)
    if snapshot.finish(connection) != known.snapshot:
        raise ListDamagedError(
            f"{known.path}: its entries are not those of its snapshot {known.snapshot}: "
            "restore the list from a copy or import its sources again"
        )
    lengths = _joined(ref_lengths, np.uint64)
    offsets = np.zeros(done + 1, np.uint64)
    np.cumsum(lengths, out=offsets[1:])
    rows = Rows(
        ref_text=ref_text,
        ref_offsets=offsets,
        source=np.repeat(np.arange(len(sources), dtype=np.uint32), [counts[name] for name in sources]),
        category=_joined(category, np.uint32),
        media=_joined(media, np.uint8),
        size=_joined(size, np.int64),
        quality=columns.quality(done),
        hashes=columns.finish(),
    )
    return write_compiled(
        path,
        rows,
        snapshot=bytes.fromhex(known.snapshot),
        role=known.role,
        sources=sources,
        categories=categories,
    )


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


class _Columns:
    """Packed hashes of many rows, taken apart into one array per algorithm.

    Rows with the same presence mask share a layout, so that each group is cut as one matrix and not row by row.
    """

    def __init__(self) -> None:
        self._values: dict[str, list[NDArray[np.uint8]]] = {}
        self._rows: dict[str, list[NDArray[np.uint32]]] = {}
        self._quality: list[tuple[NDArray[np.uint32], NDArray[np.uint8]]] = []

    def add(self, packed: tuple[bytes, ...], first_row: int) -> None:
        """Add the packed hashes of the rows from ``first_row`` on.

        Raises:
            ValueError: a layout that does not fit its mask.
        """
        masks = np.frombuffer(b"".join([p[:4] for p in packed]), "<u4")
        if len(masks) != len(packed):
            raise ValueError("packed hashes without a mask")
        for mask in np.unique(masks):
            members = np.flatnonzero(masks == mask)
            width = 4 + sum(a.width + (a.name == "pdq") for a in ALGORITHMS.values() if int(mask) >> a.number & 1)
            joined = np.frombuffer(b"".join([packed[i] for i in members]), np.uint8)
            matrix = joined.reshape(len(members), width)
            rows = (members + first_row).astype(np.uint32)
            at = 4
            for algorithm in ALGORITHMS.values():
                if not int(mask) >> algorithm.number & 1:
                    continue
                if algorithm.kind is not Kind.OPAQUE:
                    values = matrix[:, at : at + algorithm.width]
                    self._values.setdefault(algorithm.name, []).append(np.ascontiguousarray(values))
                    self._rows.setdefault(algorithm.name, []).append(rows)
                at += algorithm.width
                if algorithm.name == "pdq":
                    self._quality.append((rows, matrix[:, at].copy()))
                    at += 1

    def quality(self, count: int) -> NDArray[np.uint8]:
        """uint8[count]: pdq quality of each row, 255 where there is none."""
        result = np.full(count, NO_QUALITY, np.uint8)
        for rows, values in self._quality:
            result[rows] = values
        return result

    def finish(self) -> dict[str, HashColumn]:
        """One column per algorithm, in registry order, rows ascending."""
        result = {}
        for name in ALGORITHMS:
            if name not in self._rows:
                continue
            rows, values = np.concatenate(self._rows.pop(name)), np.concatenate(self._values.pop(name))
            order = np.argsort(rows, kind="stable")
            result[name] = HashColumn(values[order], rows[order])
        return result
