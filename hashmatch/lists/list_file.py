"""A list's file and what every operation on it shares: transactions, the snapshot, sources, the audit log."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hashmatch.errors import (
    AuditDamagedError,
    AuditUnwritableError,
    ListBusyError,
    ListDamagedError,
    StorageError,
    UsageError,
    shorten,
)
from hashmatch.lists import schema
from hashmatch.lists.audit import AuditInput, AuditLog, AuditRecord, AuditWriter
from hashmatch.lists.audit_record import operating_system_user
from hashmatch.lists.blocks import Blocks
from hashmatch.lists.cache import discard_cache
from hashmatch.lists.history import Change, History
from hashmatch.lists.importer import ImportSummary
from hashmatch.lists.snapshot import empty_snapshot_id, snapshot_id
from hashmatch.lists.typed_rows import typed_rows

__all__ = ["ChangeInProgress", "ListFile"]

#: Sources that a message names at most: of a list from NCMEC there are hundreds.
_NAMED_SOURCES = 10


@dataclass
class ChangeInProgress:
    """What is to be said of a change when it commits: see `history.Change`. ``snapshot`` is there afterwards."""

    number: int
    operation: str
    source: str = ""
    format: str = ""
    name: str = ""
    size: int = 0
    sha256: bytes = b""
    counts: Mapping[str, int] = field(default_factory=dict)
    snapshot: str = ""
    #: Whether it takes hashes out of force: the compiled form beside the list, which holds them, is deleted then. Where
    #: nothing has changed, that goes for one of an earlier state only.
    withdraws: bool = False
    #: Whether there is anything to record. Where not, there is no change, and the list's file stays as it is.
    changed: bool = True
    #: Called when the snapshot is known, before the change is committed; an error undoes it.
    check: Callable[[], object] = lambda: None

    def of(self, summary: ImportSummary) -> None:
        """Take over what an import says of itself."""
        self.source, self.format, self.name = summary.source, summary.format, summary.name
        self.size, self.sha256, self.counts = summary.bytes, bytes.fromhex(summary.sha256), summary.counts()
        self.withdraws = summary.withdrawn > 0


class ListFile:
    """An open list. `HashList` is what to use; its operations work on this."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, read_only: bool) -> None:
        """Use `open`."""
        self.path = path
        self.read_only = read_only
        self._connection = connection
        #: The audit log beside the list.
        self.audit = AuditLog.beside(path)
        #: Messages about operations that could not be logged.
        self.unlogged: list[str] = []
        self.blocks = Blocks(connection, path)
        self.history = History(connection, self.blocks, path)

    def close(self) -> None:
        """Close the list. An open transaction is rolled back."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def role(self) -> str:
        """``known`` or ``known-good``.

        Raises:
            ListDamagedError: the list says something else.
        """
        role = str(self._meta("role"))
        if role not in schema.ROLES:
            raise ListDamagedError(f"{self.path}: is of role {shorten(role)}; expected {' or '.join(schema.ROLES)}")
        return role

    @property
    def snapshot(self) -> str:
        """Hex id of the list's content at this moment: entries and retractions, whatever the order of their import."""
        snapshot = str(self._meta("snapshot"))
        if not re.fullmatch("[0-9a-f]{64}", snapshot):
            raise ListDamagedError(f"{self.path}: has the snapshot {shorten(snapshot)}; expected 64 hexadecimal digits")
        return snapshot

    def _meta(self, key: str) -> Any:
        with schema.sqlite_errors(self.path):
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def sources(self) -> list[str]:
        """Names of the sources, in the order that snapshots and compiled lists use."""
        with schema.sqlite_errors(self.path):
            return list(self.source_numbers())

    def add_source(self, name: str) -> int:
        """The number of a source, which is made where there is none. Part of a change."""
        self._connection.execute("INSERT INTO source (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        (number,) = self._connection.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()
        return int(number)

    def source_number(self, source: str) -> int:
        """The number of a source in this file.

        Raises:
            UsageError: the list has no such source.
        """
        name = unicodedata.normalize("NFC", source)
        row = self._connection.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()
        if row is None:
            known = self.sources()
            shown = ", ".join(known[:_NAMED_SOURCES]) or "none"
            more = f" and {len(known) - _NAMED_SOURCES:,} more" if len(known) > _NAMED_SOURCES else ""
            raise UsageError(
                f"{self.path}: has no source {shorten(source)}; its sources: {shown}{more}; all: `hashmatch list info`"
            )
        return int(row[0])

    def _name_of(self, number: int) -> str:
        (name,) = self._connection.execute("SELECT name FROM source WHERE id = ?", (number,)).fetchone()
        return str(name)

    @contextlib.contextmanager
    def changing(self, operation: str) -> Iterator[ChangeInProgress]:
        """One change in one transaction: committed at the end of the block, rolled back by any error in it.

        An import, delta or merge that changes nothing is recorded, too: that something was imported is worth knowing.
        What says that it has ``changed`` nothing is not; but it logs earlier changes that are not logged yet, since it
        may be the second try of one that was stopped behind its commit.
        """
        with contextlib.ExitStack() as stack:
            with self._writing():
                change = ChangeInProgress(self.history.next_number(), operation)
                yield change
                if not change.changed:
                    self._log_earlier(change.number)
                    if change.withdraws:
                        # An older compiled form may have outlived an earlier change: an error or a crash behind its
                        # commit. Who tries again has to get rid of it.
                        discard_cache(self.path, but=self.snapshot)
                    return
                change.snapshot = self._refresh()
                change.check()
                made = Change(
                    change.number,
                    schema.utc_now(),
                    operation,
                    operating_system_user(),
                    change.source,
                    change.format,
                    change.name,
                    change.size,
                    change.sha256,
                    change.counts,
                    bytes.fromhex(change.snapshot),
                )
                self.history.record(made)
                # Before the commit, so that a log that cannot be written is known while all can still be undone; and
                # the lock is held over it, so that lines have the order of the changes.
                log = stack.enter_context(self.audit.writing())
                self._catch_up(log, change.number)
                if change.withdraws:
                    # Before the commit, for a crash right after it; and again behind it: somebody may compile between.
                    with contextlib.suppress(StorageError):
                        discard_cache(self.path)
            try:
                log.append(_audit_record(made))
            except AuditUnwritableError as error:
                raise AuditUnwritableError(
                    f"{error}. The list was changed (change {change.number}); its next change logs this one, too"
                ) from error
            finally:
                if change.withdraws:
                    discard_cache(self.path)

    def _catch_up(self, log: AuditWriter, number: int) -> None:
        """Log the changes before ``number`` that are not logged yet."""
        anew = number > 1 and log.changes == 0
        if anew:
            self.unlogged.append(
                f"{self.audit.path} told of none of the list's {number - 1:,} earlier changes: it is begun anew from "
                "the list's own history; what it said of matches and exports is not there"
            )
        if log.missing(number - 1):
            for earlier in self.history.changes(log.changes):
                if earlier.number < number:
                    log.append(_audit_record(earlier, late=True, anew=anew))
                    anew = False

    def _log_earlier(self, number: int) -> None:
        """The same where nothing else is to be logged: what cannot be done is said in `unlogged`, and no error."""
        try:
            if self.audit.missing(number - 1):
                with self.audit.writing() as log:
                    self._catch_up(log, number)
        except (StorageError, AuditDamagedError, ListBusyError) as error:
            self.unlogged.append(f"earlier changes of the list are not in the audit log: {error}")

    def note(
        self,
        operation: str,
        counts: Mapping[str, int],
        *,
        inputs: Sequence[AuditInput] = (),
        **facts: str | int | bool,
    ) -> None:
        """Log an operation that leaves the list as it is. Never inside a transaction (see `audit`).

        Where the log cannot be written, as on read-only media, `unlogged` says so, and the operation stands.
        """
        try:
            self.audit.append(AuditRecord(operation, self.snapshot, inputs=inputs, counts=counts, facts=facts))
        except (AuditUnwritableError, AuditDamagedError, ListBusyError) as error:
            self.unlogged.append(f"this {operation} is not in the audit log: {error}")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One write transaction."""
        if self.read_only:
            raise UsageError(f"{self.path}: was opened read-only")
        with schema.sqlite_errors(self.path):
            self._connection.execute(f"PRAGMA busy_timeout = {round(1000 * schema.BUSY_SECONDS)}")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                # A slow reader must not cost a writer its work.
                self._connection.execute(f"PRAGMA busy_timeout = {round(1000 * schema.PATIENT_SECONDS)}")
                made = self.history.next_number() - 1
                try:
                    self._connection.execute("COMMIT")
                except sqlite3.Error as error:
                    if not self._connection.in_transaction:
                        self._tell_whether_it_stands(made, error)
                    raise
            except BaseException:
                # SQLite has already rolled back after some errors (a full disk, for one).
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _tell_whether_it_stands(self, number: int, error: sqlite3.Error) -> None:
        """Raise what is true of change ``number`` after a commit that ended with an error, unless it was undone.

        Once the journal is gone the change stands, and only the last sync of the folder may have failed.
        """
        try:
            stands = self.history.next_number() > number
        except sqlite3.Error:
            raise StorageError(
                f"{self.path}: {error}; whether the change was made cannot be told: `hashmatch list log` shows it"
            ) from error
        if stands:
            raise StorageError(
                f"{self.path}: {error}; the change was made (change {number}), but a power failure may undo it"
            ) from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """One read transaction, so that several statements see the same moment."""
        with schema.sqlite_errors(self.path):
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
        snapshot = self.content_snapshot()
        self._connection.execute("UPDATE meta SET value = ? WHERE key = 'snapshot'", (snapshot,))
        return snapshot

    def content_snapshot(self, digests: Mapping[int, Sequence[bytes]] | None = None) -> str:
        """The snapshot id from the blocks, retractions and opinions themselves. FORMATS.md defines it.

        ``digests``: those of blocks that were read, see `snapshot_id`.
        """
        return snapshot_id(self._connection, self.role, self.blocks, digests)

    def empty_snapshot(self) -> str:
        """The snapshot id of a list of this role that holds nothing."""
        return empty_snapshot_id(self.role)

    def count(self) -> int:
        """How many entries there are."""
        query = "SELECT coalesce(sum(entries), 0) FROM block"
        [(count,)] = typed_rows(self._connection, self.path, "i", query)
        return int(count)

    def source_numbers(self) -> dict[str, int]:
        """Name of a source -> its number in this file, by name."""
        query = "SELECT name, id FROM source ORDER BY name"
        return dict(typed_rows(self._connection, self.path, "ti", query))


def _audit_record(change: Change, *, late: bool = False, anew: bool = False) -> AuditRecord:
    """The line of a change in the audit log.

    Args:
        change: the change.
        late: the line should have been written when the change was made.
        anew: it is the first of a log that was gone.
    """
    facts = {"source": change.source, "format": change.format}
    if change.operation == "merge":
        facts |= {"other": change.name, "other_snapshot": change.sha256.hex()}
    return AuditRecord(
        change.operation,
        change.snapshot.hex(),
        change.number,
        inputs=[AuditInput(change.name, change.size, change.sha256.hex())] if change.size else [],
        counts=change.counts,
        facts={name: text for name, text in facts.items() if text} | ({"begun_anew": True} if anew else {}),
        operator=change.operator,
        at=change.at if late else None,
    )
