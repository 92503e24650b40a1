"""The list of record: entries of many sources in one SQLite file, with import history and retractions."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
    printable,
    shorten,
)
from hashmatch.files import path_as_text
from hashmatch.lists import schema
from hashmatch.lists.entry import MEDIA_NAMES, Entry, unpack_hashes
from hashmatch.lists.formats import open_entries
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.importer import Importer, ImportSummary, checked
from hashmatch.lists.names import references, source_name
from hashmatch.lists.snapshot import SnapshotDigest
from hashmatch.lists.verify import ENTRIES_OF_SOURCE, verify_rows

__all__ = ["HashList", "ImportSummary", "ListInfo", "StoredEntry"]

Progress = Callable[[int, int | None], None]

_BATCH = 1000


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
        source = source_name(source)
        reading = open_entries(os.fspath(path), from_format, limits=limits or Limits(), progress=progress)
        with contextlib.closing(reading):
            summary = ImportSummary(source=source, format=reading.format.name, name=path_as_text(path))
            with self._writing() as connection:
                importer = Importer(connection, summary, skip_invalid=skip_invalid)
                importer.run(reading)  # type: ignore[arg-type]  # retractions come with the next change
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
        source = source_name(source)
        summary = ImportSummary(source=source, format="program", name=name, sha256=hashlib.sha256(b"").hexdigest())
        with self._writing() as connection:
            importer = Importer(connection, summary, skip_invalid=skip_invalid)
            importer.run(checked(entries))
            self._finish(importer, summary)
        return summary

    def _finish(self, importer: Importer, summary: ImportSummary) -> None:
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
            for ref in references(refs):
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
                for ref in references(refs)
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
                # A text may have several lines, and names from the damaged file.
                found = "; ".join(printable(line) for text in problems for line in text.splitlines())
                raise ListDamagedError(f"{self.path}: SQLite finds damage: {found}")
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
            # An iterator that was given up may end after the list was closed.
            with contextlib.suppress(sqlite3.ProgrammingError):
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
