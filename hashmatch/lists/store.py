"""The list of record: entries of many sources in one SQLite file, with import history and retractions."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import (
    FileExistsAlreadyError,
    HashMatchError,
    ListDamagedError,
    RecordError,
    RoleError,
    UsageError,
    shorten,
)
from hashmatch.files import path_as_text
from hashmatch.lists import schema
from hashmatch.lists.entry import MEDIA_NAMES, MEDIA_TYPES, Entry, content_digest, unpack_hashes
from hashmatch.lists.formats import open_entries
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.snapshot import SnapshotDigest
from hashmatch.lists.verify import ENTRIES_OF_SOURCE, verify_rows

__all__ = ["HashList", "ImportSummary", "ListInfo", "StoredEntry"]

Progress = Callable[[int, int | None], None]

_BATCH = 1000
#: Rows of one INSERT. Locks are taken once a statement: fifty rows make inserting a quarter faster than one. Their 450
#: parameters stay below the 999 that every SQLite allows.
_ROWS_AT_ONCE = 50
# An entry that is there already is replaced if is_news() says so; see _Importer. It is given all that it decides by.
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT = """
INSERT INTO entry (source, ref, category, media_type, size, metadata, hashes, content, import)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, ref) DO UPDATE SET
    category = excluded.category, media_type = excluded.media_type, size = excluded.size,
    metadata = excluded.metadata, hashes = excluded.hashes, content = excluded.content, import = excluded.import
WHERE is_news(
    entry.id, entry.content IS excluded.content, entry.import = excluded.import, excluded.ref, excluded.content
)
"""
_INSERT_MANY = _INSERT.replace(_ROW, ", ".join([_ROW] * _ROWS_AT_ONCE))
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


@dataclass
class ListInfo:
    """Figures about a list; none of them contains a hash."""

    path: str
    role: str
    snapshot: str
    created: str
    entries: int
    retractions: int
    sources: dict[str, int]
    categories: dict[str, int]
    algorithms: dict[str, int]
    media_types: dict[str, int]
    imports: list[dict[str, Any]]


@dataclass
class StoredEntry:
    """An entry as the list holds it: the source's name and the entry."""

    source: str
    entry: Entry


class HashList:
    """A list of hashes from one or more sources. Use `open`, and as a context manager.

    One process writes at a time; any number may read. Every change is one transaction: after an error or a crash the
    list is as it was before the call.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, read_only: bool) -> None:
        """Use `open`."""
        self.path = path
        self.read_only = read_only
        self._connection = connection

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, create: bool = False, role: str | None = None, read_only: bool = False
    ) -> Self:
        """Open a list.

        Args:
            path: the ``.hml`` file.
            create: make an empty list where there is none.
            role: ``known`` (material; the default of a new list) or ``known-good`` (files that suppress). Given for a
                list that exists, it must agree.
            read_only: no write lock is ever taken; works on read-only media.

        Raises:
            ListError: missing, damaged, foreign or busy; see the subclasses.
            RoleError: the list has another role.
            StorageError: it cannot be created.
        """
        path = Path(path)
        if create and not path.exists():
            schema.create(path, role or "known")
        opened = cls(path, schema.connect(path, read_only=read_only), read_only=read_only)
        try:
            if role is not None and opened.role != role:
                raise RoleError(f"{path}: is a list of role {opened.role!r}; expected role {role!r}")
        except BaseException:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """Close the list. An open transaction is rolled back."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ reading

    @property
    def role(self) -> str:
        """``known`` or ``known-good``."""
        return str(self._meta("role"))

    @property
    def snapshot(self) -> str:
        """Hex id of the list's content at this moment: entries and retractions, whatever the order of their import."""
        return str(self._meta("snapshot"))

    def _meta(self, key: str) -> Any:
        with schema.sqlite_errors(self.path):
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def info(self) -> ListInfo:
        """Figures about the list and the history of its imports, oldest first. Reads every entry."""
        with schema.sqlite_errors(self.path), self._reading():
            try:
                statistics, imports = self._statistics(), self._imports()
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ListDamagedError(
                    f"{self.path}: holds what no import writes ({error!r}); `hashmatch list check` says more"
                ) from error
            (retractions,) = self._connection.execute("SELECT count(*) FROM retraction").fetchone()
            return ListInfo(
                path=str(self.path),
                role=self.role,
                snapshot=self.snapshot,
                created=str(self._meta("created")),
                entries=sum(statistics["sources"].values()),
                retractions=retractions,
                imports=imports,
                **statistics,
            )

    def _imports(self) -> list[dict[str, Any]]:
        return [
            {"at": at, "source": source, "format": form, "name": name, "bytes": size, "sha256": digest.hex()}
            | json.loads(counts)
            | {"snapshot": after.hex()}
            for at, source, form, name, size, digest, counts, after in self._connection.execute(
                "SELECT at, s.name, format, i.name, bytes, sha256, counts, snapshot"
                " FROM import i JOIN source s ON s.id = i.source ORDER BY i.id"
            )
        ]

    def sources(self) -> list[str]:
        """Names of the sources, in the order that snapshots and compiled lists use."""
        with schema.sqlite_errors(self.path):
            return list(self._source_numbers())

    def entries(self) -> Iterator[StoredEntry]:
        """All entries that are not retracted, ordered by (source, reference), of one moment, each verified.

        Raises:
            ListDamagedError: an entry does not agree with its digest.
        """
        with schema.sqlite_errors(self.path), self._reading():
            categories = self.categories()
            for source, number in self._source_numbers().items():
                cursor = self._connection.execute(ENTRIES_OF_SOURCE, (number,))
                while rows := cursor.fetchmany(_BATCH):
                    verify_rows(self.path, source, rows, categories)
                    for ref, category, media, size, metadata, packed, _ in rows:
                        pair = None if category is None else categories[category]
                        entry = Entry(ref, pair, MEDIA_NAMES[media], size, metadata or "", packed)
                        yield StoredEntry(source, entry)

    def categories(self) -> dict[int, tuple[str, str]]:
        """Number of a category in this file -> (scheme, code)."""
        with schema.sqlite_errors(self.path):
            return {i: (s, c) for i, s, c in self._connection.execute("SELECT id, scheme, code FROM category")}

    def compile(self, path: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """Write the compiled list that matching maps. The same content gives the same bytes.

        Every entry is verified against its digest on the way, so that damage to the list becomes an error and never an
        entry that silently fails to match.

        Raises:
            ListError: the list cannot be read, or is damaged.
            FileExistsAlreadyError: something other than a compiled list stands at ``path``.
            StorageError: the file cannot be written; what stood there stands still.
        """
        from hashmatch.lists.compile import compile_list

        _check_replaceable(Path(path))
        with schema.sqlite_errors(self.path), self._reading():
            return compile_list(self, self._connection, path, progress)

    # ------------------------------------------------------------------ changing

    def import_file(
        self,
        path: str | os.PathLike[str],
        source: str,
        *,
        from_format: str | None = None,
        skip_invalid: bool = False,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> ImportSummary:
        """Import one file as what ``source`` says now. One transaction: all of it or nothing.

        An entry whose (source, reference) is there already is replaced where its content differs. Entries that their
        source has withdrawn stay withdrawn.

        Args:
            path: the file, ``-`` for standard input.
            source: the organisation that the entries come from.
            from_format: name of the format; by default it is detected.
            skip_invalid: leave malformed records out and count them, where the default is to stop.
            limits: caps on lines, strings and depth.
            progress: called with (bytes read, bytes of the file or None).

        Raises:
            InputError: missing, unknown, ambiguous or malformed input; `RecordError` says where.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed.
        """
        source = _source_name(source)
        reading = open_entries(os.fspath(path), from_format, limits=limits or Limits(), progress=progress)
        with contextlib.closing(reading):
            summary = ImportSummary(source=source, format=reading.format.name, name=path_as_text(path))
            with self._writing() as connection:
                importer = _Importer(connection, summary, skip_invalid=skip_invalid)
                importer.run(reading)
                reading.input.finish()
                summary.bytes, summary.sha256 = reading.input.bytes_read, reading.input.sha256
                self._finish(importer, summary)
        return summary

    def import_entries(
        self, entries: Iterable[Entry | RecordError], source: str, *, name: str = "", skip_invalid: bool = False
    ) -> ImportSummary:
        """Import entries that a program made, as `import_file` does for a file's.

        Raises:
            RecordError: a malformed or conflicting entry.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed.
        """
        source = _source_name(source)
        summary = ImportSummary(source=source, format="program", name=name, sha256=hashlib.sha256(b"").hexdigest())
        with self._writing() as connection:
            importer = _Importer(connection, summary, skip_invalid=skip_invalid)
            importer.run(_checked(entries))
            self._finish(importer, summary)
        return summary

    def _finish(self, importer: _Importer, summary: ImportSummary) -> None:
        summary.snapshot = self._refresh()
        importer.record_history()

    def retract(
        self, source: str, refs: Iterable[str], *, reason: str = "", allow_unseen: bool = False
    ) -> tuple[int, int]:
        """Withdraw entries of a source for good: their hashes are deleted, and a tombstone outlives every re-import.

        The compiled file that matching keeps beside the list is deleted too; those elsewhere are not known here.

        Args:
            source: whose entries.
            refs: their references.
            reason: kept with the retractions.
            allow_unseen: also note references that the list does not hold (yet), which otherwise is an error: a
                misspelt reference would leave the entry in force.

        Returns:
            (entries withdrawn, tombstones made for references that the list did not hold).

        Raises:
            UsageError: the list has no such source, or does not hold a reference; nothing is retracted.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed; nothing is retracted.
        """
        withdrawn = noted = 0
        unseen = []
        with self._writing() as connection:
            number = self._source_number(source)
            for ref in _references(refs):
                row = connection.execute(
                    "SELECT content FROM entry WHERE source = ? AND ref = ?", (number, ref)
                ).fetchone()
                made = connection.execute(
                    "INSERT INTO retraction VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (number, ref, schema.utc_now(), reason, row[0] if row else None),
                ).rowcount
                connection.execute("DELETE FROM entry WHERE source = ? AND ref = ?", (number, ref))
                withdrawn += row is not None
                if row is None and made == 1:
                    noted += 1
                    unseen.append(ref)
            if unseen and not allow_unseen:
                shown = ", ".join(map(shorten, unseen[:5])) + (", ..." if len(unseen) > 5 else "")
                raise UsageError(
                    f"{self.path}: source {shorten(source)} has no entry {shown} ({len(unseen):,} in all); nothing was "
                    "retracted: correct the reference, or allow unseen ones (--allow-unseen) to note them all the same"
                )
            self._refresh()
        discard_cache(self.path)
        return withdrawn, noted

    def restore(self, source: str, refs: Iterable[str]) -> int:
        """Take retractions back; the entries return with the next import that holds them. Returns how many.

        Raises:
            UsageError: the list has no such source.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed.
        """
        with self._writing() as connection:
            number = self._source_number(source)
            removed = sum(
                connection.execute("DELETE FROM retraction WHERE source = ? AND ref = ?", (number, ref)).rowcount
                for ref in _references(refs)
            )
            self._refresh()
        return removed

    def _source_number(self, source: str) -> int:
        name = unicodedata.normalize("NFC", source)
        row = self._connection.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()
        if row is None:
            known = ", ".join(self.sources()) or "none"
            raise UsageError(f"{self.path}: has no source {shorten(source)}; its sources: {known}")
        return int(row[0])

    # ------------------------------------------------------------------ verification

    def check(self) -> int:
        """Read and verify all of the list: SQLite's structure, every entry's digest, the snapshot. Returns the entries.

        Raises:
            ListDamagedError: what is wrong, and where. Nothing is repaired.
        """
        with schema.sqlite_errors(self.path), self._reading():
            query = self._connection.execute
            problems = [text for (text,) in query("PRAGMA integrity_check(3)") if text != "ok"]
            if problems:
                raise ListDamagedError(f"{self.path}: SQLite finds damage: {'; '.join(problems)}")
            orphans = query(
                "SELECT count(*) FROM entry WHERE source NOT IN (SELECT id FROM source)"
                " OR import NOT IN (SELECT id FROM import)"
                " OR category IS NOT NULL AND category NOT IN (SELECT id FROM category)"
            ).fetchone()[0]
            if orphans:
                raise ListDamagedError(
                    f"{self.path}: {orphans:,} entries name a source, import or category that is gone"
                )
            count = 0
            for held in self.entries():
                try:
                    unpack_hashes(held.entry.packed)
                    json.loads(held.entry.metadata or "{}")
                except (HashMatchError, ValueError, TypeError) as error:
                    where = f"entry {shorten(held.entry.ref)} of source {shorten(held.source)}"
                    raise ListDamagedError(f"{self.path}: {where}: {error}") from error
                count += 1
            both = query("SELECT count(*) FROM entry JOIN retraction USING (source, ref)").fetchone()[0]
            if both:
                raise ListDamagedError(f"{self.path}: {both:,} entries are there although they are retracted")
            snapshot = self._content_snapshot()
            if self.snapshot != snapshot:
                raise ListDamagedError(f"{self.path}: its content is snapshot {snapshot}, it says {self.snapshot}")
            return count

    # ------------------------------------------------------------------ transactions and the snapshot

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: committed at the end of the block, rolled back by any error in it."""
        if self.read_only:
            raise UsageError(f"{self.path}: was opened read-only")
        with schema.sqlite_errors(self.path):
            self._connection.execute(f"PRAGMA busy_timeout = {round(1000 * schema.BUSY_SECONDS)}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                # A slow reader must not cost a writer its work.
                self._connection.execute(f"PRAGMA busy_timeout = {round(1000 * schema.PATIENT_SECONDS)}")
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has already rolled back after some errors (a full disk, for one).
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """One read transaction, so that several statements see the same moment."""
        inside = self._connection.in_transaction
        if not inside:
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            if not inside and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _refresh(self) -> str:
        """Compute the snapshot id of the content as it is now, and store it."""
        snapshot = self._content_snapshot()
        self._connection.execute("UPDATE meta SET value = ? WHERE key = 'snapshot'", (snapshot,))
        return snapshot

    def _content_snapshot(self) -> str:
        """The snapshot id from the entries and retractions themselves. FORMATS.md defines it."""
        snapshot = SnapshotDigest(self.role)
        for number in self._source_numbers().values():
            cursor = self._connection.execute("SELECT content FROM entry WHERE source = ? ORDER BY ref", (number,))
            while rows := cursor.fetchmany(10_000):
                snapshot.add(map(itemgetter(0), rows))
        return snapshot.finish(self._connection)

    def _source_numbers(self) -> dict[str, int]:
        """Name of a source -> its number in this file, by name."""
        return dict(self._connection.execute("SELECT name, id FROM source ORDER BY name"))

    def _statistics(self) -> dict[str, dict[str, int]]:
        """Counts by source, category, algorithm and media type."""
        sources: Counter[str] = Counter()
        by_category: Counter[str] = Counter()
        algorithms: Counter[str] = Counter()
        media: Counter[str] = Counter()
        categories = self.categories()
        for name, number in self._source_numbers().items():
            sources[name] = 0
            groups: Counter[tuple[int | None, int, bytes]] = Counter()
            cursor = self._connection.execute(
                "SELECT category, media_type, substr(hashes, 1, 4) FROM entry WHERE source = ?", (number,)
            )
            while rows := cursor.fetchmany(10_000):
                groups.update(rows)
            for (category, media_type, mask), count in groups.items():
                sources[name] += count
                by_category[":".join(categories[category]) if category is not None else "(none)"] += count
                media[MEDIA_NAMES.get(media_type) or "(not stated)"] += count
                for algorithm in ALGORITHMS.values():
                    algorithms[algorithm.name] += count * (mask[algorithm.number // 8] >> algorithm.number % 8 & 1)
        return {
            "sources": dict(sources),
            "categories": dict(sorted(by_category.items())),
            "algorithms": {name: algorithms[name] for name in ALGORITHMS if algorithms[name]},
            "media_types": dict(sorted(media.items())),
        }


def _source_name(text: str) -> str:
    """The name of a source as it is kept, in Unicode's composed form.

    Raises:
        UsageError: empty, with white space around it, or with characters that do not show. Two names that look alike
            would be two sources, and a retraction from one would not reach the other.
    """
    if not text or text != text.strip() or not text.isprintable():
        raise UsageError(f"source {shorten(text)}; expected a name, without blanks around it or control characters")
    return unicodedata.normalize("NFC", text)


def _references(refs: Iterable[str]) -> Iterator[str]:
    """``refs``, each one that an entry can have.

    Raises:
        UsageError: a single text where several references are due, or a text that no entry can have as reference.
    """
    if isinstance(refs, str):
        raise UsageError(f"references are {shorten(refs)}; expected a sequence of references, not one text")
    for ref in refs:
        if not isinstance(ref, str) or not ref or "\0" in ref or not _encodable(ref):
            raise UsageError(f"reference {shorten(ref)}; expected text that is not empty and holds no NUL")
        yield ref


def _encodable(text: str) -> bool:
    # A lone surrogate stands for a byte that is not UTF-8; SQLite keeps text in UTF-8.
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _checked(entries: Iterable[Entry | RecordError]) -> Iterator[Entry | RecordError]:
    """Entries that a program made, each with what a reader would have refused as an error in its place."""
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, Entry):
            texts = (entry.ref, entry.metadata, *(entry.category or ()))
            if not all(isinstance(t, str) and "\0" not in t and _encodable(t) for t in texts):
                yield RecordError("found text with NUL or half a character; expected plain text", record=number)
                continue
            if entry.size is not None and not 0 <= entry.size < 1 << 63:
                yield RecordError(f"found the size {shorten(entry.size)}; expected 0 to 2**63 - 1", record=number)
                continue
        yield entry


def _check_replaceable(path: Path) -> None:
    """Refuse to replace a file that is no compiled list: a slip of the hand must not cost the list of record."""
    other = schema.is_sqlite(path) and path.stat().st_size > 0
    if not other:
        try:
            with path.open("rb") as file:
                head = file.read(4)
            other = head not in (b"", b"\x89HMX")
        except OSError:
            return  # writing tells what is wrong
    if other:
        raise FileExistsAlreadyError(
            f"{path}: exists and is not a compiled list; nothing was changed: give another name (-o OTHER.hmx)"
        )


def cache_path(path: Path) -> Path:
    """Where matching keeps the compiled form of the list at ``path``."""
    return path.with_name(path.name + ".hmx")


def discard_cache(path: Path) -> None:
    """Delete the compiled form beside a list, if there is one: it holds what was withdrawn."""
    cache = cache_path(path)
    with contextlib.suppress(OSError):
        with cache.open("rb") as file:
            ours = file.read(4) == b"\x89HMX"
        if ours:
            cache.unlink()


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Millions of tuples come and go and none of them is part of a cycle: looking for cycles takes 8% of an import."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Importer:
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
            rows, ordinals = self._rows(batch)
            changes = self._connection.total_changes
            whole = len(rows) - len(rows) % _ROWS_AT_ONCE
            for at in range(0, whole, _ROWS_AT_ONCE):
                self._connection.execute(_INSERT_MANY, tuple(chain.from_iterable(rows[at : at + _ROWS_AT_ONCE])))
            self._connection.executemany(_INSERT, rows[whole:])
            summary.replaced += self._connection.total_changes - changes
            for ref, content in self._contradictions:
                ordinal = next(o for o, row in zip(ordinals, rows, strict=True) if (row[1], row[7]) == (ref, content))
                reason = f"reference {shorten(ref)} stands in an earlier record of this input with other content"
                expected = "expected one record for each reference"
                self._invalid(RecordError(f"{reason}; {expected}", path=summary.name, record=ordinal))
            self._contradictions.clear()
        if fatal is not None:
            raise fatal

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

    def _rows(self, batch: Sequence[Entry | RecordError]) -> tuple[list[tuple[Any, ...]], list[int]]:
        """(rows of the table, ordinal of the record that each comes from)."""
        rows: list[tuple[Any, ...]] = []
        ordinals: list[int] = []
        summary = self._summary
        source, number, owner, withdrawn = self._source, self._import, summary.source, self._withdrawn
        for ordinal, item in enumerate(batch, summary.records + 1):
            if isinstance(item, RecordError):
                self._invalid(item)
                continue
            ref, pair, media_type, size, metadata, packed, dropped = item
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
            content = content_digest(owner, ref, pair, media_type, size, metadata, packed)
            category = None if pair is None else self._categories.get(pair) or self._category(pair)
            media = MEDIA_TYPES[media_type] if media_type else 0
            rows.append((source, ref, category, media, size, metadata or None, packed, content, number))
            ordinals.append(ordinal)
        summary.records += len(batch)
        return rows, ordinals

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
