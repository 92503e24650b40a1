"""One import: entries in, rows of the list out, counts kept. The transaction around it is the store's."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from hashmatch.errors import RecordError, shorten
from hashmatch.lists import schema
from hashmatch.lists.entry import MEDIA_TYPES, Entry, content_head
from hashmatch.lists.names import encodable

__all__ = ["ImportSummary", "Importer", "checked"]

_BATCH = 1000
#: Values that are bound for a row.
_WIDTH = 7
#: Heads of entries that are kept.
_HEADS = 10_000
#: Rows of one INSERT. Locks are taken once a statement: fifty rows make inserting a quarter faster than one. Their 350
#: parameters stay below the 999 that every SQLite allows.
_ROWS_AT_ONCE = 50
# An entry that is there already is replaced if is_news() says so; see _Importer. It is given all that it decides by.
# Python's sqlite3 looks for an adapter, and raises and swallows errors, for every value whose type is not exactly int,
# float, str or bytearray: None and bytes among them. So hashes are bound as bytearrays, and NULLs are made here. Source
# and import are the same whole numbers in every row: written into the statement, they need not be bound at all.
_ROW = "(?, nullif(?, 0), ?, nullif(?, -1), nullif(?, ''), ?, ?, {source:d}, {number:d})"
_INSERT = """
INSERT INTO entry (ref, category, media_type, size, metadata, hashes, content, source, import)
VALUES {rows}
ON CONFLICT (source, ref) DO UPDATE SET
    category = excluded.category, media_type = excluded.media_type, size = excluded.size,
    metadata = excluded.metadata, hashes = excluded.hashes, content = excluded.content, import = excluded.import
WHERE is_news(
    entry.id, entry.content IS excluded.content, entry.import = excluded.import, excluded.ref, excluded.content
)
"""
#: Skipped records whose message a summary keeps.
_KEPT_MESSAGES = 100


@dataclass
class ImportSummary:
    """What an import did. Counts are entries, except where another unit is said.

    Attributes:
        source, format, name: whose list, in which format, read from which path as given.
        bytes, sha256: size and lower-case hex SHA-256 of the input.
        records: records read, malformed ones included.
        added, replaced, unchanged: by comparison with what the list held.
        retracted: left out because their source has withdrawn them.
        hashless: left out because they hold no hash (after digests of the empty file were dropped).
        empty_digests: digests of the empty file that were dropped.
        invalid: malformed records that were skipped.
        problems: messages of the first 100 skipped records.
        snapshot: hex snapshot id of the list after the import.
    """

    source: str
    format: str
    name: str
    bytes: int = 0
    sha256: str = ""
    records: int = 0
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    retracted: int = 0
    hashless: int = 0
    empty_digests: int = 0
    invalid: int = 0
    problems: list[str] = field(default_factory=list)
    snapshot: str = ""

    def counts(self) -> dict[str, int]:
        """The counts alone, by name."""
        keys = ("records", "added", "replaced", "unchanged", "retracted", "hashless", "empty_digests", "invalid")
        return {key: getattr(self, key) for key in keys}


def checked(entries: Iterable[Entry | RecordError]) -> Iterator[Entry | RecordError]:
    """Entries that a program made, each with what a reader would have refused as an error in its place."""
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, Entry):
            texts = (entry.ref, entry.metadata, *(entry.category or ()))
            if not all(isinstance(t, str) and "\0" not in t and encodable(t) for t in texts):
                yield RecordError("found text with NUL or half a character; expected plain text", record=number)
                continue
            if entry.size is not None and not 0 <= entry.size < 1 << 63:
                yield RecordError(f"found the size {shorten(entry.size)}; expected 0 to 2**63 - 1", record=number)
                continue
        yield entry


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Millions of tuples come and go and none of them is part of a cycle: there is nothing to collect."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Importer:
    """One import inside a transaction: entries in, rows out, counts kept."""

    def __init__(self, connection: sqlite3.Connection, summary: ImportSummary, *, skip_invalid: bool) -> None:
        self._connection = connection
        self._summary = summary
        self._skip_invalid = skip_invalid
        query = connection.execute
        query("INSERT INTO source (name) VALUES (?) ON CONFLICT DO NOTHING", (summary.source,))
        (self._source,) = query("SELECT id FROM source WHERE name = ?", (summary.source,)).fetchone()
        (self._import,) = query("SELECT coalesce(max(id), 0) + 1 FROM import").fetchone()
        self._withdrawn = {ref for (ref,) in query("SELECT ref FROM retraction WHERE source = ?", (self._source,))}
        self._heads: dict[tuple[Any, ...], tuple[str, int, int, int]] = {}
        row = _ROW.format(source=self._source, number=self._import)
        self._insert_one = _INSERT.format(rows=row)
        self._insert_many = _INSERT.format(rows=", ".join([row] * _ROWS_AT_ONCE))
        self._contradictions: list[tuple[str, bytes]] = []
        (last,) = query("SELECT coalesce(max(id), 0) FROM entry").fetchone()
        self._confirmed = bytearray((last >> 3) + 1)
        self._categories = {(s, c): i for i, s, c in query("SELECT id, scheme, code FROM category")}

    def run(self, items: Iterable[Entry | RecordError]) -> None:
        """Insert all items and count what became of them."""
        query, summary = self._connection.execute, self._summary
        self._connection.create_function("is_news", 5, self._is_news)
        (before,) = query("SELECT count(*) FROM entry").fetchone()
        with _without_garbage_collection():
            self._insert(items)
        (after,) = query("SELECT count(*) FROM entry").fetchone()
        summary.added = after - before
        summary.replaced -= summary.added
        kept = summary.records - summary.invalid - summary.retracted - summary.hashless
        summary.unchanged = kept - summary.added - summary.replaced

    def _insert(self, items: Iterable[Entry | RecordError]) -> None:
        summary = self._summary
        iterator = iter(items)
        fatal: RecordError | None = None
        while fatal is None:
            batch: list[Entry | RecordError] = []
            try:
                batch.extend(islice(iterator, _BATCH))
            except RecordError as error:
                fatal = error  # what came before it in this batch is in the list, and is dealt with first
            if not batch:
                break
            values, ordinals = self._values(batch)
            changes = self._connection.total_changes
            at, step = 0, _ROWS_AT_ONCE * _WIDTH
            while at + step <= len(values):
                self._connection.execute(self._insert_many, values[at : at + step])
                at += step
            rest = iter(values[at:])
            self._connection.executemany(self._insert_one, zip(*[rest] * _WIDTH, strict=True))
            summary.replaced += self._connection.total_changes - changes
            for ref, content in self._contradictions:
                ordinal = self._ordinal_of(ref, content, values, ordinals)
                reason = f"reference {shorten(ref)} stands in an earlier record of this input with other content"
                expected = "expected one record for each reference"
                self._invalid(RecordError(f"{reason}; {expected}", path=summary.name, record=ordinal))
            self._contradictions.clear()
        if fatal is not None:
            raise fatal

    @staticmethod
    def _ordinal_of(ref: str, content: bytes, values: list[Any], ordinals: list[int]) -> int:
        keys = zip(values[::_WIDTH], values[_WIDTH - 1 :: _WIDTH], strict=True)
        return next(ordinal for ordinal, key in zip(ordinals, keys, strict=True) if key == (ref, content))

    def _is_news(self, number: int, same: int, of_this_import: int, ref: str, content: bytes) -> int:
        """Whether a record replaces the entry of its key. SQLite calls it for every record whose key is there.

        One reference with two contents in one input cannot both be true: the first stands, the second is noted. The
        first may have been equal to what the list held; such entries keep the number of an older import, so they are
        remembered here, a bit each.
        """
        byte, bit = number >> 3, 1 << (number & 7)
        if same:
            if byte < len(self._confirmed):
                self._confirmed[byte] |= bit
            return 0
        if of_this_import or (byte < len(self._confirmed) and self._confirmed[byte] & bit):
            self._contradictions.append((ref, content))
            return 0
        return 1

    def _values(self, batch: Sequence[Entry | RecordError]) -> tuple[list[Any], list[int]]:
        """(values of the rows, `_WIDTH` each, row after row; ordinal of the record that each row comes from)."""
        values: list[Any] = []
        ordinals: list[int] = []
        summary, heads, withdrawn, sha256 = self._summary, self._heads, self._withdrawn, hashlib.sha256
        owner = summary.source + "\0"
        for ordinal, item in enumerate(batch, summary.records + 1):
            if isinstance(item, RecordError):
                self._invalid(item)
                continue
            ref, metadata, packed, dropped = item[0], item[4], item[5], item[6]
            if dropped:
                summary.empty_digests += dropped
            if len(packed) <= 4:
                summary.hashless += 1
                continue
            if not ref:
                ref = item.derived_ref()
            if withdrawn and ref in withdrawn:
                summary.retracted += 1
                continue
            head, category, media, size = heads.get(item[1:4]) or self._head(item)
            # This is content_digest, with the piece that most entries share made once.
            content = sha256(f"{owner}{ref}{head}{metadata}\0".encode() + packed).digest()
            values += (ref, category, media, size, metadata, bytearray(packed), bytearray(content))
            ordinals.append(ordinal)
        summary.records += len(batch)
        return values, ordinals

    def _head(self, entry: Entry) -> tuple[str, int, int, int]:
        """(content_head, number of the category, of the media type, size) of an entry, kept for the next like it."""
        pair, media_type, size = entry.category, entry.media_type, entry.size
        category = 0 if pair is None else self._categories.get(pair) or self._category(pair)
        media = MEDIA_TYPES[media_type] if media_type else 0
        made = content_head(pair, media_type, size), category, media, -1 if size is None else size
        if len(self._heads) >= _HEADS:
            self._heads.clear()  # sizes differ from file to file
        self._heads[pair, media_type, size] = made
        return made

    def _invalid(self, error: RecordError) -> None:
        if not self._skip_invalid:
            raise error
        self._summary.invalid += 1
        if len(self._summary.problems) < _KEPT_MESSAGES:
            self._summary.problems.append(str(error))

    def _category(self, pair: tuple[str, str]) -> int:
        cursor = self._connection.execute("INSERT INTO category (scheme, code) VALUES (?, ?)", pair)
        self._categories[pair] = number = int(cursor.lastrowid or 0)
        return number

    def record_history(self) -> None:
        summary = self._summary
        self._connection.execute(
            "INSERT INTO import VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._import,
                schema.utc_now(),
                self._source,
                summary.format,
                summary.name,
                summary.bytes,
                bytes.fromhex(summary.sha256),
                json.dumps(summary.counts()),
                bytes.fromhex(summary.snapshot),
            ),
        )
