"""From the list of record to the arrays that a compiled list is written from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hashmatch.errors import ListDamagedError, shorten
from hashmatch.index.build import write_compiled
from hashmatch.lists.blocks import StoredBlock
from hashmatch.lists.columns import Columns, Disputes

if TYPE_CHECKING:
    from hashmatch.lists.store import HashList

__all__ = ["compile_list"]

#: Blocks that are taken apart at once: some ten thousand entries, so that NumPy's cost of a call is shared.
_BATCH = 256


def compile_list(
    known: HashList,
    path: str | os.PathLike[str],
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Write the compiled list of ``known``: rows ordered by (source, reference). See `HashList.compile`."""
    numbers = known.source_numbers()
    sources: list[str] = []
    columns = Columns()
    digests: dict[int, list[bytes]] = {}
    total = known.count()
    for name, number in numbers.items():
        disputes = Disputes(name, known.history.opinions(number))
        before = columns.rows
        for blocks in _batches(known.blocks.of_source(number)):
            for block in blocks:
                if hashlib.sha256(block.rows).digest() != block.digest:
                    known.blocks.verified(block)  # says where
            digests.setdefault(number, []).extend(block.digest for block in blocks)
            try:
                columns.add([block.rows for block in blocks], len(sources), disputes)
            except (ValueError, KeyError, IndexError) as error:
                raise ListDamagedError(
                    f"{known.path}: entries of source {shorten(name)} up to {shorten(blocks[-1].last)} do not have the "
                    f"stated layout ({error!r}); `hashmatch list check {known.path}` finds it"
                ) from error
            if progress is not None:
                progress(columns.rows, total)
        # A source without entries leaves no trace, so that the same content gives the same bytes.
        if columns.rows > before:
            sources.append(name)
    if known.content_snapshot(digests) != known.snapshot:
        raise ListDamagedError(
            f"{known.path}: its entries are not those of its snapshot {known.snapshot}: "
            "restore the list from a copy or import its sources again"
        )
    rows, categories = columns.finish()
    return write_compiled(
        path,
        rows,
        snapshot=bytes.fromhex(known.snapshot),
        role=known.role,
        sources=sources,
        categories=categories,
    )


def _batches(blocks: Iterator[StoredBlock]) -> Iterator[list[StoredBlock]]:
    batch: list[StoredBlock] = []
    size = 0
    for block in blocks:
        batch.append(block)
        size += len(block.rows)
        if len(batch) >= _BATCH or size > 32 << 20:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
