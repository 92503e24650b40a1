"""VICS 2.0 ``#Media``: one JSON document with a list of media.

There is no public specification; names stand below as data. The context has no host: its path says what the document
is. One category scheme fits one document: entries of another lose their category, which is listed.

Hashes beyond MD5, SHA-1 and PhotoDNA are alternative hashes, in hexadecimal under their names. Metadata under a
member's own name is written as that member; VICS has no place for other metadata.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hashmatch.errors import RecordError, UsageError
from hashmatch.lists.entry import NO_QUALITY, canonical_json
from hashmatch.lists.formats.cells import algorithm_of, check_reference
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.formats.vics_members import (
    ALTERNATIVES,
    CATEGORY,
    HASH_NAME,
    HASH_VALUE,
    MIME_TYPE,
    REFERENCE,
    SIZE,
    tidy,
)
from hashmatch.lists.writers.account import (
    EMPTY,
    Account,
    SharedReferences,
    Sink,
    WriteOptions,
    checked_mask,
    places_of,
    without_empty,
)
from hashmatch.lists.writers.general import held_metadata

if TYPE_CHECKING:
    from hashmatch.lists.store import StoredEntry

__all__ = ["SCHEMES", "write"]

#: ``--vics-scheme`` -> (the path's part that names it, our name of the category scheme).
SCHEMES: Mapping[str, tuple[str, str]] = {
    "us": ("US", "vics-us-2.0"),
    "uk": ("UK", "vics-uk-2.0"),
    "default": ("Default", "vics-default-2.0"),
    "custom": ("CUSTOM", "vics-custom-2.0"),
}
_CONTEXT = "DataModels/2.0.xml/{}/$metadata#Media"

#: Algorithm -> (member, whether in base64). All other hashes are alternative hashes.
_HASHES = {"md5": ("MD5", False), "sha1": ("SHA1", False), "photodna": ("PhotoDNA", True)}

#: Members that metadata may have under their own names, in the order in which they are written.
_MEMBERS = (
    MIME_TYPE,
    "DateUpdated",
    "Comments",
    "Series",
    "Tags",
    "VictimIdentified",
    "OffenderIdentified",
    "IsDistributed",
    "IsSuspected",
    "SelfGenerated",
    "IsPrecategorized",
    "PrecategorizationSource",
    "RelativeFilePath",
    "Exifs",
    "MediaFiles",
    # What readers leave of these two in metadata.
    ALTERNATIVES,
    SIZE,
)

_MEDIA = 500
_MAX_STRING = Limits().max_string


def write(entries: Iterable[StoredEntry], sink: Sink, options: WriteOptions, account: Account) -> None:
    """Write the entries that have a hash."""
    if options.vics_scheme not in SCHEMES:
        raise UsageError(f"VICS scheme {options.vics_scheme!r}; expected one of {', '.join(SCHEMES)}")
    part, scheme = SCHEMES[options.vics_scheme]
    sink(f'{{"@odata.context":"{_CONTEXT.format(part)}","value":['.encode())
    references = SharedReferences()
    pieces: list[str] = []
    for stored in entries:
        media = _media(stored, scheme, account)
        if media is None:
            continue
        pieces += (",\n" if account.written else "\n", json.dumps(media, ensure_ascii=False, separators=(",", ":")))
        account.written += 1
        if stored.entry.ref:
            references.add(hash(stored.entry.ref))
        if len(pieces) >= 2 * _MEDIA:
            sink("".join(pieces).encode())
            pieces.clear()
    sink(("".join(pieces) + "\n]}\n").encode())
    references.note(account)


def _media(stored: StoredEntry, scheme: str, account: Account) -> dict[str, Any] | None:
    """An entry as VICS has it; None where it has no hash."""
    entry = stored.entry
    packed = entry.packed
    if any(digest in packed for digest in EMPTY):
        packed = without_empty(packed, account)
    places, quality, _ = places_of(checked_mask(packed)) if packed else ((), 0, 0)
    if not places:
        if packed:
            account.left_out["no hash"] += 1
        return None
    account.lost["source"] += 1
    media: dict[str, Any] = {}
    if _is_reference(entry.ref):
        media[REFERENCE] = _number(entry.ref, entry.ref)
    elif entry.ref:
        account.lost["reference: control characters, or blanks alone"] += 1
    if entry.category is not None:
        code = _number(entry.category[1], None)
        if entry.category[0] == scheme and code is not None:
            media[CATEGORY] = code
        else:
            account.lost["category"] += 1
    others = []
    for name, cut in places:
        if name in _HASHES:
            member, in_base64 = _HASHES[name]
            media[member] = base64.b64encode(packed[cut]).decode() if in_base64 else packed[cut].hex()
        else:
            others.append({HASH_NAME: name.upper(), HASH_VALUE: packed[cut].hex()})
    if entry.size:
        media[SIZE] = entry.size
    elif entry.size is not None:  # readers take 0 for "not stated"
        account.lost["size"] += 1
    if quality and packed[quality] != NO_QUALITY:
        account.lost["pdq quality"] += 1
    if entry.opinions:
        account.lost["opinions"] += 1
    text = held_metadata(entry.metadata, account) if entry.metadata else ""
    _take_metadata(media, others, json.loads(text) if text else {}, account)
    if others:
        media[ALTERNATIVES] = others
    if _media_type(media.get(MIME_TYPE, "")) != entry.media_type:
        account.lost["media type"] += 1
    return media


def _take_metadata(media: dict[str, Any], others: list[Any], metadata: dict[str, Any], account: Account) -> None:
    """Write metadata under members' own names as these members, as far as it comes back as it is."""
    for member in _MEMBERS:
        if member not in metadata:
            continue
        value = metadata[member]
        tidied = tidy(value, member)
        if tidied in (None, "", [], {}) or canonical_json(tidied) != canonical_json(value):
            continue
        if member == ALTERNATIVES:
            if not _are_alternatives(value):
                continue
            others += value
        elif member == SIZE:
            if value != 0 or type(value) is not int or SIZE in media:
                continue
            media[SIZE] = 0
        elif member == MIME_TYPE and not isinstance(value, str):
            continue
        else:
            media[member] = value
        del metadata[member]
    for key in metadata:
        account.lose_metadata(key)


def _are_alternatives(value: Any) -> bool:
    """Whether metadata is what a reader left of alternative hashes: those of algorithms that it does not know."""
    return isinstance(value, list) and all(
        isinstance(item, dict)
        and item
        and not (isinstance(item.get(HASH_NAME), str) and algorithm_of(item[HASH_NAME]) and HASH_VALUE in item)
        for item in value
    )


def _media_type(mime_type: str) -> str:
    """The media type that a reader takes from a MIME type."""
    word = mime_type.strip().lower()
    return "image" if word.startswith("image/") else "video" if word.startswith("video/") else "other" if word else ""


def _is_reference(ref: str) -> bool:
    try:
        check_reference(ref, REFERENCE, _MAX_STRING)
    except RecordError:
        return False
    return ref.strip() != ""


def _number(text: str, otherwise: str | None) -> int | str | None:
    """The whole number that is written as ``text`` and no other way."""
    if text.isascii() and text.isdigit() and len(text) <= 9 and str(int(text)) == text:
        return int(text)
    return otherwise
