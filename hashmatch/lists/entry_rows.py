"""Entries that readers make as rows of a list, some thousand at once. Its twin in C is ``native/rows_entry.c``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from hashmatch import kernels
from hashmatch.lists.block import Row
from hashmatch.lists.entry import Entry

__all__ = ["EntryRows", "entry_rows"]


class EntryRows(NamedTuple):
    """What entries come to.

    Attributes:
        rows: of the entries that hold a hash, tagged with their ordinals; references that the format did not give are
            derived from the content.
        origins: the origin of each row; None where none has one.
        bytes: of hashes, and characters of texts, in the rows.
        dropped: digests of the empty file that the reader left out.
        hashless: entries that hold no hash.
    """

    rows: list[Row]
    origins: list[str] | None
    bytes: int
    dropped: int
    hashless: int


def entry_rows(entries: Sequence[Entry], ordinals: Sequence[int]) -> EntryRows:
    """The rows of entries, at least one; ``ordinals``, a range without gaps or a list, are theirs in the import."""
    native = kernels.native_rows()
    if native is not None:
        numbers = ordinals.start if isinstance(ordinals, range) else ordinals
        found = native.entry_rows(entries, Entry, numbers, _derived_ref)
        if found is not None:
            return EntryRows(*found)
    return _entry_rows(entries, ordinals)


def _entry_rows(entries: Sequence[Entry], ordinals: Sequence[int]) -> EntryRows:
    refs, categories, media, sizes, metadata, packed, dropped, opinions, origins = zip(*entries, strict=True)
    left_out = sum(dropped) if any(dropped) else 0
    hashless = 0
    if min(map(len, packed)) <= 4:
        kept = [at for at, value in enumerate(packed) if len(value) > 4]
        hashless = len(entries) - len(kept)
        if not kept:
            return EntryRows([], None, 0, left_out, hashless)
        entries, ordinals = [entries[at] for at in kept], [ordinals[at] for at in kept]
        refs, categories, media, sizes, metadata, packed, _, opinions, origins = zip(*entries, strict=True)
    if not all(refs):
        # Lists of known files have no reference at all.
        refs = tuple(ref or _derived_ref(entry) for ref, entry in zip(refs, entries, strict=True))
    rows = list(zip(refs, categories, media, sizes, metadata, packed, opinions, ordinals, strict=True))
    size = sum(map(len, packed)) + sum(map(len, metadata)) + sum(map(len, refs))
    if any(opinions):
        size += sum(map(len, opinions))
    return EntryRows(rows, list(origins) if any(origins) else None, size, left_out, hashless)


def _derived_ref(entry: Entry) -> str:
    """`Entry.derived_ref` without its calls."""
    _, category, media, size, metadata, packed, _, opinions, _ = entry
    scheme, code = category or ("", "")
    head = f"\0\0{scheme}\0{code}\0{media}\0{'' if size is None else size}\0{metadata}\0"
    return "auto-" + hashlib.sha256(head.encode() + packed + opinions.encode()).hexdigest()[:24]
