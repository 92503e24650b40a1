"""Verifying entries as they are read: what a list holds must agree with the digest that was made when it came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from hashmatch.errors import ListDamagedError, shorten
from hashmatch.lists.entry import MEDIA_NAMES, content_digest

__all__ = ["ENTRIES_OF_SOURCE", "verify_rows"]

#: The entries of one source, in the order of snapshots and compiled lists, with the columns that `verify_rows` takes.
ENTRIES_OF_SOURCE = (
    "SELECT ref, category, media_type, size, metadata, hashes, content FROM entry WHERE source = ? ORDER BY ref"
)


def verify_rows(
    path: PathLike[str], source: str, rows: Sequence[tuple[Any, ...]], categories: Mapping[int, tuple[str, str]]
) -> None:
    """Compare rows of `ENTRIES_OF_SOURCE` with their digests.

    Raises:
        ListDamagedError: the first row that does not agree, by its reference.
    """
    for ref, category, media, size, metadata, packed, content in rows:
        try:
            pair = None if category is None else categories[category]
            sound = content_digest(source, ref, pair, MEDIA_NAMES[media], size, metadata or "", packed) == content
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise ListDamagedError(
                f"{path}: entry {shorten(ref)} of source {shorten(source)} does not agree with its digest: "
                "restore the list from a copy or import its sources again"
            )
