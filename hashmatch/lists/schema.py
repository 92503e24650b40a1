"""The list's SQLite file: schema, opening, creating, and SQLite's errors as typed errors.

FORMATS.md describes the tables for readers without this code.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from hashmatch.errors import (
    FileExistsAlreadyError,
    ListDamagedError,
    ListError,
    ListNotFoundError,
    UsageError,
    shorten,
)
from hashmatch.files import create_private, storage_error, sync_folder, temporary_beside
from hashmatch.lists.snapshot import empty_snapshot_id
from hashmatch.lists.typed_rows import sqlite_errors

__all__ = ["ROLES", "connect", "create", "is_sqlite", "sqlite_errors", "utc_now"]

APPLICATION_ID = 0x484D4C31  # "HML1"
SCHEMA_VERSION = 2

#: What a list is for. Material is matched; known-good files suppress, and a mix-up of the two would hide matches.
ROLES = ("known", "known-good")

#: Seconds that a writer waits for another writer before it gives up.
BUSY_SECONDS = 3.0
#: Seconds that a reader waits for a commit, and a commit for the last reader: nothing should be lost to a slow pager.
PATIENT_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE source (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE change (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    operation TEXT NOT NULL,
    operator TEXT NOT NULL,
    source TEXT NOT NULL,
    format TEXT NOT NULL,
    name TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    counts TEXT NOT NULL,
    snapshot BLOB NOT NULL
);
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id),
    last TEXT NOT NULL,
    part INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    digest BLOB NOT NULL,
    changes BLOB NOT NULL,
    rows BLOB NOT NULL
);
CREATE UNIQUE INDEX block_last ON block (source, last);
CREATE INDEX block_facts ON block (source, last, newest, entries, digest);
CREATE TABLE pending (id INTEGER PRIMARY KEY, source INTEGER NOT NULL, first TEXT NOT NULL, ordinals BLOB, rows BLOB);
CREATE INDEX pending_first ON pending (source, first);
CREATE TABLE former (
    source INTEGER NOT NULL REFERENCES source (id),
    ref TEXT NOT NULL,
    since INTEGER NOT NULL,
    ended INTEGER NOT NULL REFERENCES change (id),
    content BLOB NOT NULL,
    row BLOB,
    PRIMARY KEY (source, ref, ended)
);
CREATE INDEX former_ended ON former (ended);
CREATE TABLE retraction (
    source INTEGER NOT NULL REFERENCES source (id),
    ref TEXT NOT NULL,
    change INTEGER NOT NULL REFERENCES change (id),
    undone INTEGER REFERENCES change (id),
    reason TEXT NOT NULL,
    content BLOB,
    PRIMARY KEY (source, ref, change)
) WITHOUT ROWID;
CREATE TABLE opinion (
    source INTEGER NOT NULL REFERENCES source (id),
    ref TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    organisation TEXT NOT NULL,
    affirmative INTEGER NOT NULL,
    reason TEXT NOT NULL,
    change INTEGER NOT NULL REFERENCES change (id),
    ended INTEGER REFERENCES change (id),
    PRIMARY KEY (source, ref, algorithm, organisation, change)
) WITHOUT ROWID;
"""


def utc_now() -> str:
    """The time now, in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def create(path: Path, role: str) -> None:
    """Create an empty list with owner-only permissions; it appears whole or not at all.

    Raises:
        UsageError: an unknown role.
        FileExistsAlreadyError: something stands at ``path``.
        StorageError: the folder is missing or cannot be written.
    """
    if role not in ROLES:
        raise UsageError(f"role {shorten(role)}; expected one of {', '.join(ROLES)}")
    if os.path.lexists(path):
        raise FileExistsAlreadyError(f"{path}: exists already; nothing was changed: choose another name")
    temporary = temporary_beside(path)
    try:
        create_private(temporary).close()
        with sqlite_errors(path), contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            # A block of entries takes one to some such pages.
            connection.execute("PRAGMA page_size = 16384")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [("role", role), ("created", utc_now()), ("snapshot", empty_snapshot_id(role))],
            )
        # A link, unlike a rename, never replaces what another process created meanwhile.
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise FileExistsAlreadyError(f"{path}: exists already; nothing was changed") from None
        except OSError:
            temporary.rename(path)  # a file system without hard links
    except OSError as error:
        raise storage_error(path, error, "no list was created") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error, "the list is there, but a power failure may undo that") from error


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open an existing list, after checking that it is one.

    Raises:
        ListNotFoundError: no such file, a folder, or no permission.
        ListDamagedError: not a hash list, or one of another version of the schema.
        ListBusyError, StorageError: see `sqlite_errors`.
    """
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir it never raises
        raise ListNotFoundError(f"{path}: is a folder; expected a hash list (.hml)")
    if not os.path.exists(path):  # noqa: PTH110
        raise ListNotFoundError(f"{path}: {_why_absent(path)}")
    if not os.access(path, os.R_OK):
        raise ListNotFoundError(f"{path}: permission to read it is denied; expected a hash list (.hml)")
    with sqlite_errors(path):
        try:
            connection = _open(path, "ro" if read_only else "rw")
            try:
                _check_identity(path, connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            if not read_only or error.sqlite_errorcode not in _NEEDS_ROLLBACK:
                raise
            _roll_back(path)
            connection = _open(path, "ro")
            _check_identity(path, connection)
        connection.execute("PRAGMA temp_store = MEMORY")  # no hash in temporary files
        connection.execute("PRAGMA cache_size = -65536")  # 64 MiB, a bound on the memory of an import
        if not read_only:
            connection.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_SECONDS)}")
            # EXTRA: the folder is synced when the journal is gone. With FULL a power failure soon after a commit may
            # bring the journal back, which undoes the change, although it was reported and stands in the audit log.
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA secure_delete = ON")  # what is retracted leaves no trace in free pages
    return connection


#: What SQLite says when a change was interrupted by a crash and this connection may not undo it.
_NEEDS_ROLLBACK = (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY)


def is_sqlite(path: Path) -> bool:
    """Whether a file that exists is an SQLite database, asked of SQLite.

    Nothing but SQLite may open a list: when a process closes any handle of a file, POSIX drops all locks that the
    process holds on it, those of a transaction in another thread among them.
    """
    if not os.path.isfile(path):  # noqa: PTH113
        return False
    try:
        with contextlib.closing(_open(path, "ro")) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    return True


def _open(path: Path, mode: str) -> sqlite3.Connection:
    # Path.as_uri gives UNC paths of Windows a host, which SQLite refuses.
    absolute = path.absolute().as_posix()
    uri = "file://" + ("" if absolute.startswith("/") else "/") + quote(os.fsencode(absolute))
    return sqlite3.connect(f"{uri}?mode={mode}", uri=True, isolation_level=None, timeout=PATIENT_SECONDS)


def _roll_back(path: Path) -> None:
    """Undo a change that a crash interrupted, as SQLite does for whoever opens the list for writing."""
    try:
        with contextlib.closing(_open(path, "rw")) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise ListError(
            f"{path}: a change to this list was interrupted and must be undone, which cannot be done here ({error}); "
            f"copy it and {path.name}-journal to a place that can be written, and use that copy"
        ) from error


def _why_absent(path: Path) -> str:
    """Why a path leads to no file; a folder that may not be entered hides whether there is one."""
    try:
        os.stat(path)  # noqa: PTH116 - as os.path.exists does
    except PermissionError:
        return "permission to look into its folder is denied; expected a hash list (.hml)"
    except (OSError, ValueError):
        pass
    return "no such file; `hashmatch list create` makes an empty list"


def _foreign(path: Path) -> str:
    """What to say of a file that SQLite does not take for a database; no lock on such a file can matter to SQLite."""
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"\x89HMX"):
        return f"{path}: is a compiled list; expected the list that it was compiled from (.hml)"
    # What stands there instead is not shown: a file of hashes begins with one.
    return (
        f"{path}: found another beginning; expected a hash list (.hml), which is an SQLite file: make one with "
        "`hashmatch list create`, and read what others export into it with `hashmatch list import`"
    )


def _check_identity(path: Path, connection: sqlite3.Connection) -> None:
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        raise ListDamagedError(_foreign(path)) from error
    if not path.stat().st_size:
        raise ListDamagedError(f"{path}: is an empty file; expected a hash list (.hml)")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise ListDamagedError(
            f"{path}: is an SQLite file, but not a hash list (its application id is {application:#x})"
        )
    if version != SCHEMA_VERSION:
        raise ListDamagedError(
            f"{path}: is version {version} of the schema; this software reads version {SCHEMA_VERSION}: "
            "create a new list and import its sources again"
        )
    # A trigger would run with our own changes, and could bring back what is withdrawn.
    (foreign,) = connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')"
    ).fetchone()
    if foreign:
        raise ListDamagedError(f"{path}: holds triggers or views, which no list has; restore it from a copy")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    # SQLite reads what is missing from the last page as zeros. (Longer is no damage: a writer may be at work.)
    if path.stat().st_size < pages * page_size:
        raise ListDamagedError(
            f"{path}: is truncated: {path.stat().st_size:,} bytes, its header says {pages * page_size:,}; "
            "restore it from a copy"
        )
