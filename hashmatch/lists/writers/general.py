"""What CSV, JSON Lines and Parquet have in common: they hold everything, in the columns of the generic readers.

The few things that those readers refuse are found here, before they are written: what a reader stops at must not be in
an export. They cannot come from an import, only from a program that made entries by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import canonical_json, opinions_of
from hashmatch.lists.formats.cells import check_identifier, check_reference
from hashmatch.lists.formats.fields import OPINIONS, ORIGIN, WRAPPED, opinions_cell
from hashmatch.lists.formats.jsonl import parse_object
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.hash_like import looks_like_a_hash, without_hashes
from hashmatch.lists.writers.account import EMPTY, Account, WriteOptions, without_empty

if TYPE_CHECKING:
    from hashmatch.lists.store import StoredEntry

__all__ = ["COLUMNS", "LONG", "Row", "held_metadata", "rows", "too_long"]

#: Columns of CSV and Parquet exports, in their order. Metadata and opinions are columns of JSON text.
COLUMNS = (
    "id",
    ORIGIN,
    "category_scheme",
    "category",
    "media_type",
    "size",
    *ALGORITHMS,
    "pdq_quality",
    OPINIONS,
    WRAPPED,
)

#: Source, reference, (scheme, code), media type, size, metadata, packed hashes, opinions.
Row = tuple[str, str, "tuple[str, str] | None", str, "int | None", str, bytes, str]

#: Characters from which a line is measured.
LONG = 1 << 20

_LIMITS = Limits()
#: Why something is not in an export without hashes.
_LOOKS = " (looks like a hash)"
#: Escapes in JSON text that may stand for what text may not hold; a backslash before them may be escaped itself.
_SUSPICIOUS = re.compile(r"\\(?:u[0d]|[bfr])")


def rows(entries: Iterable[StoredEntry], account: Account, options: WriteOptions) -> Iterator[Row]:
    """What is written of the entries; what is not is noted in the account, and ``written`` is counted."""
    categories: dict[tuple[str, str] | None, bool] = {None: True}
    with_hashes = options.include_hashes
    for stored in entries:
        entry = stored.entry
        ref, category, metadata, packed, opinions = entry[0], entry[1], entry[4], entry[5], entry[7]
        if not ref.isprintable() and not _is_reference(ref):
            account.left_out["a reference with control characters"] += 1
            continue
        if len(packed) <= 4 and with_hashes:
            account.left_out["no hash"] += 1
            continue
        if category not in categories:
            categories[category] = _is_category(category)
        if not categories[category]:
            account.lost["category"] += 1
            category = None
        if metadata:
            metadata = held_metadata(metadata, account)
            if not with_hashes:
                metadata = _without_hashes(metadata, account)
        if opinions and not _are_opinions(opinions):
            account.lost["opinions"] += 1
            opinions = ""
        if opinions and not with_hashes and _name_hashes(opinions):
            account.lost[f"opinions{_LOOKS}"] += 1
            opinions = ""
        if with_hashes and any(digest in packed for digest in EMPTY):
            packed = without_empty(packed, account)
            if not packed:
                continue
        account.written += 1
        yield stored.source, ref, category, entry[2], entry[3], metadata, packed, opinions


def too_long(line: str, account: Account) -> bool:
    """Whether a line is longer than readers take; it is then noted as left out."""
    if len(line.encode()) <= _LIMITS.max_line_bytes:
        return False
    account.left_out[f"more than {_LIMITS.max_line_bytes:,} bytes in one line"] += 1
    account.written -= 1
    return True


def _is_reference(ref: str) -> bool:
    try:
        check_identifier(ref, "id", _LIMITS.max_string)
    except RecordError:
        return False
    return True


def _is_category(category: tuple[str, str] | None) -> bool:
    """Whether the readers take a category back as it is."""
    if category is None:
        return True
    scheme, code = category
    try:
        for text in category:
            check_reference(text, "category", _LIMITS.max_string)
    except RecordError:
        return False
    return bool(code) and code.strip() == code and scheme.strip() == scheme


def _are_opinions(text: str) -> bool:
    try:
        return opinions_cell(text, _LIMITS) == text
    except RecordError:
        return False


def _name_hashes(opinions: str) -> bool:
    return any(looks_like_a_hash(text) for opinion in opinions_of(opinions) for text in (opinion[1], opinion[3]))


def _without_hashes(metadata: str, account: Account) -> str:
    """Metadata for an export without hashes: digests that the entry model has no field for are kept there."""
    if not metadata:
        return metadata
    kept, lost = without_hashes(metadata)
    for name in lost:
        account.lose_metadata(name, _LOOKS)
    return metadata if not lost else canonical_json(kept) if kept else ""


def held_metadata(text: str, account: Account) -> str:
    """The part of the metadata that readers take back, as canonical JSON."""
    if not (
        "\n" in text
        or len(text) > _LIMITS.max_string
        or ("\\" in text and _SUSPICIOUS.search(text))
        or text.count("{") + text.count("[") > _LIMITS.max_json_depth
    ):
        return text
    try:
        parse_object(text, _LIMITS)
        return canonical_json(json.loads(text)) if "\n" in text else text
    except RecordError:
        held = {}
    for key, value in json.loads(text).items():
        try:
            parse_object(canonical_json({key: value}), _LIMITS)
            held[key] = value
        except (RecordError, RecursionError):
            account.lose_metadata(key)
    return canonical_json(held) if held else ""
