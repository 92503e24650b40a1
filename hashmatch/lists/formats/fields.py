"""From named fields to an entry: what generic CSV and JSON Lines have in common.

A column is known by its name, whatever the case: an algorithm, or one of the names below. Everything else is metadata.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, Opinion, canonical_json, opinions_text
from hashmatch.lists.formats.cells import NO_HASH, check_reference, check_text, drop_empty
from hashmatch.lists.formats.source import Limits

__all__ = [
    "KNOWN",
    "OPINIONS",
    "ORIGIN",
    "STATUS",
    "WRAPPED",
    "entry_of",
    "note_origin",
    "opinions_cell",
    "opinions_value",
    "role_of",
    "says_unreadable",
]

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

#: Columns of our own exports. Whose the entries are, the import says, with a note where the export says otherwise (see
#: `note_origin`); metadata comes as one JSON object, opinions as
#: the JSON array of `opinions_text`. Under plainer names, the columns of somebody else's file would be taken for ours.
ORIGIN = "list_source"
WRAPPED = "list_metadata"
OPINIONS = "list_opinions"

#: Origins that are told apart, and their characters: a file may have another one in every record.
_ORIGINS, _ORIGIN_LENGTH = 1000, 1000

#: Column of ``hashmatch hash``: "ok", or why a file has fewer hashes than were asked for, or none. It is kept as
#: metadata.
STATUS = "status"


def role_of(column: str) -> str | None:
    """What a column that is no hash is in an entry, or None for metadata."""
    return KNOWN.get(column.strip().lower())


def note_origin(origins: Counter[str], value: object) -> None:
    """Count what `ORIGIN` says of a record. Of too many names the rest count as ""; what is no text does not count."""
    if not isinstance(value, str) or not value:
        return
    name = value[:_ORIGIN_LENGTH]
    origins[name if name in origins or len(origins) < _ORIGINS else ""] += 1


def says_unreadable(status: object) -> bool:
    """Whether ``status`` says that a file could not be used: a record of it that has no hash is none that lost it."""
    return isinstance(status, str) and status.strip().lower() not in ("", "ok")


def opinions_cell(text: str, limits: Limits) -> str:
    """The opinions that a cell of JSON text holds, as `opinions_text` makes them; "" for an empty cell.

    Raises:
        RecordError: the text is no JSON, or `opinions_value` refuses it.
    """
    if not text:
        return ""
    try:
        return opinions_value(json.loads(text), limits)
    except (ValueError, RecursionError):  # never what is wrong with it: the text may hold a hash
        raise _no_opinions(f"{len(text):,} characters that are not JSON") from None


def opinions_value(found: Any, limits: Limits) -> str:
    """The opinions that a JSON value holds, in any order, as `opinions_text` makes them; "" for null.

    Raises:
        RecordError: anything but an array of [algorithm, organisation, true or false, reason], or what an `Opinion`
            cannot say.
    """
    if found is None:
        return ""
    if not isinstance(found, list):
        raise _no_opinions("no array")
    opinions = []
    for number, item in enumerate(found, 1):
        if not isinstance(item, list) or [type(part) for part in item] != [str, str, bool, str]:
            raise _no_opinions(f"something else as opinion {number:,}")
        opinion = Opinion(*item)
        check_reference(opinion.algorithm, OPINIONS, limits.max_string)
        check_reference(opinion.organisation, OPINIONS, limits.max_string)
        check_text(opinion.reason, OPINIONS, limits.max_string)
        _check_characters(opinion.organisation + opinion.reason)
        opinions.append(opinion)
    try:
        return opinions_text(opinions)
    except RecordError:
        raise _no_opinions("an unknown algorithm, no organisation, or two opinions of one about the same") from None


def _check_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RecordError("found half of a surrogate pair; expected whole characters", field=OPINIONS) from None


def _no_opinions(found: str) -> RecordError:
    return RecordError(
        f"found {found}; expected an array of [algorithm, organisation, true or false, reason]", field=OPINIONS
    )


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
    opinions: str = "",
    unreadable: bool = False,
) -> Entry:
    """The entry of one record; digests of the empty file are dropped from ``hashes`` and counted.

    A category without a scheme has the scheme "". ``opinions`` is as `opinions_text` makes it. ``unreadable``: the
    record says so of its file, and needs no hash.

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
    return entry._replace(metadata=text, opinions=opinions) if text or opinions else entry
