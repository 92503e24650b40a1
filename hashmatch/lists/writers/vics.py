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

from hashmatch.errors import UsageError
from hashmatch.lists.entry import NO_QUALITY
from hashmatch.lists.writers.account import (
    Account,
    SharedReferences,
    Sink,
    WriteOptions,
    checked_mask,
    places_of,
)

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
    "MimeType",
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
)

_MEDIA = 500


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
    places, quality, _ = places_of(checked_mask(packed))
    if not places:
        account.left_out["no hash"] += 1
        return None
    account.lost["source"] += 1
    media: dict[str, Any] = {}
    if entry.ref:
        media["MediaID"] = _number(entry.ref, entry.ref)
    if entry.category is not None:
        code = _number(entry.category[1], None)
        if entry.category[0] == scheme and code is not None:
            media["Category"] = code
        else:
            account.lost["category"] += 1
    others = []
    for name, cut in places:
        if name in _HASHES:
            member, in_base64 = _HASHES[name]
            media[member] = base64.b64encode(packed[cut]).decode() if in_base64 else packed[cut].hex()
        else:
            others.append({"HashName": name.upper(), "HashValue": packed[cut].hex()})
    if entry.size is not None:
        media["MediaSize"] = entry.size
    if others:
        media["AlternativeHashes"] = others
    if quality and packed[quality] != NO_QUALITY:
        account.lost["pdq quality"] += 1
    if entry.opinions:
        account.lost["opinions"] += 1
    metadata = json.loads(entry.metadata) if entry.metadata else {}
    for member in _MEMBERS:
        if member in metadata:
            media[member] = metadata.pop(member)
    for key in metadata:
        account.lose_metadata(key)
    if entry.media_type and entry.media_type != str(media.get("MimeType", "")).partition("/")[0]:
        account.lost["media type"] += 1
    return media


def _number(text: str, otherwise: str | None) -> int | str | None:
    """The whole number that is written as ``text`` and no other way."""
    if text.isascii() and text.isdigit() and len(text) <= 18 and str(int(text)) == text:
        return int(text)
    return otherwise
