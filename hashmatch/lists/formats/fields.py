"""From named fields to an entry: what generic CSV and JSON Lines have in common.

A column is known by its name, whatever the case: an algorithm, or one of the names below. Everything else is metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, canonical_json
from hashmatch.lists.formats.cells import NO_HASH, drop_empty

__all__ = ["KNOWN", "ORIGIN", "STATUS", "WRAPPED", "entry_of", "role_of", "says_unreadable"]

#: Column, lower case -> the argument of `entry_of` that it gives. ``quality`` is another name of ``pdq_quality``.
KNOWN: Mapping[str, str] = {
    "id": "ref",
    "category": "category",
    "category_scheme": "scheme",
    "media_type": "media_type",
    "size": "size",
    "pdq_quality": "quality",
    "quality": "quality",
}

#: Columns of our own exports. Whose the entries are, the import says, and metadata comes as one JSON object; under
#: plainer names, the columns of somebody else's file would be taken for ours.
ORIGIN = "list_source"
WRAPPED = "list_metadata"

#: Column of ``hashmatch hash``: "ok", or why a file has fewer hashes than were asked for, or none. It is kept as
#: metadata.
STATUS = "status"


def role_of(column: str) -> str | None:
    """What a column that is no hash is in an entry, or None for metadata."""
    return KNOWN.get(column.strip().lower())


def says_unreadable(status: object) -> bool:
    """Whether ``status`` says that a file could not be used: a record of it that has no hash is none that lost it."""
    return isinstance(status, str) and status.strip().lower() not in ("", "ok")


def entry_of(
    hashes: dict[str, bytes],
    *,
    ref: str = "",
    category: str = "",
    scheme: str = "",
    media_type: str = "",
    size: int | None = None,
    quality: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    unreadable: bool = False,
) -> Entry:
    """The entry of one record; digests of the empty file are dropped from ``hashes`` and counted.

    A category without a scheme has the scheme "". ``unreadable``: the record says so of its file, and needs no hash.

    Raises:
        RecordError: there is no hash, or the metadata has no JSON form.
    """
    if not hashes and not unreadable:
        raise RecordError(NO_HASH)
    dropped = drop_empty(hashes)
    try:
        text = canonical_json(metadata) if metadata else ""
    except (ValueError, RecursionError) as error:
        raise RecordError(f"found metadata that has no JSON form ({error}); expected plain JSON values") from None
    entry = Entry.make(
        ref,
        hashes,
        quality=None if quality is None else {"pdq": quality},
        category=(scheme, category) if category else None,
        media_type=media_type,
        size=size,
        dropped=dropped,
    )
    return entry._replace(metadata=text) if text else entry
