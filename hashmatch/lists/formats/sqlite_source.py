"""SQLite databases that others made: opened so that nothing in them can do more than be read.

A database's schema is a program: views may call functions, recurse without an end, join tables with themselves, or
reach virtual tables whose code was never meant for hostile files. So:

- The file is opened read-only; SQLite writes nothing beside it. A database in WAL mode is opened as ``immutable``,
  because SQLite would otherwise make files beside it; any other is locked against changes as long as it is read.
- Changes that wait beside the file (``-wal``, ``-journal``) are an error that says what to do: without them the
  database is not what its owner sees, and applying them would change evidence.
- An authorizer allows selecting from ordinary tables and views, and the few functions below: no recursion, no virtual
  table, no other function. Triggers need no rule, as nothing is written. A view that sorts or keeps intermediate
  results is refused: it would need unbounded memory, or temporary files, which may not hold hashes.
- Values and statements have a greatest length, and a statement that works for long without giving a row is stopped.

Text comes as bytes, as SQLite gives it: UTF-8 whatever the database's encoding, and not always valid.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import fsencode
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hashmatch.errors import InputError, RecordError
from hashmatch.lists.formats.cells import shown
from hashmatch.lists.formats.source import Head, Input, Progress

__all__ = ["MAGIC", "ForeignDatabase", "Relation", "column", "open_foreign", "schema_of", "select"]

MAGIC = b"SQLite format 3\0"

#: The application id of our own lists ("HML1"): never a foreign database.
_OURS = b"HML1"
_HEADER_SIZE = 100

#: Functions that a view may call, and that readers use. None of them makes much out of little.
_FUNCTIONS = frozenset(
    {"upper", "lower", "replace", "trim", "ltrim", "rtrim", "substr", "substring", "coalesce", "ifnull", "nullif",
     "length", "hex", "instr", "typeof", "count", "min", "max", "sum", "group_concat"}
)  # fmt: skip

#: Virtual machine steps between two calls of the progress handler: some milliseconds.
_STEPS = 200_000
#: Such calls without a row before a statement is stopped: a billion steps, at least ten seconds.
_PATIENCE = 5_000
#: Seconds that a lock of another program is waited for.
_BUSY_SECONDS = 3.0
#: Bytes of one value, at least; a thousand values of a column come as one.
_MIN_LENGTH = 1 << 20
_MAX_LENGTH = 1 << 24

_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 20,
    sqlite3.SQLITE_LIMIT_COLUMN: 256,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 16,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 50_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 16,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 16,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}

_PRAGMAS = (
    "trusted_schema = OFF",
    "query_only = ON",
    "cell_size_check = ON",
    "mmap_size = 0",  # a read that fails is an error, not a signal
    "temp_store = MEMORY",
    "automatic_index = OFF",
    "cache_size = -8192",
)

#: What `EXPLAIN QUERY PLAN` says of statements that keep what they have read.
_KEEPS = ("TEMP B-TREE", "MATERIALIZE", "AUTOMATIC")

_CREATE = re.compile(rb"CREATE\s+(TABLE|VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?[\"'`\[]?(\w+)", re.IGNORECASE)
#: Bytes behind the name of a table in the first pages of a database that may name its columns.
_STATEMENT = 2000
_VIRTUAL = re.compile(r"\s*CREATE\s+VIRTUAL\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")

#: What to do about an error, by SQLite's code without its extension.
_REASONS = {
    sqlite3.SQLITE_NOTADB: "found a file that begins like an SQLite database and is none, or an encrypted one; "
    "expected an intact database without encryption",
    sqlite3.SQLITE_CORRUPT: "found a damaged SQLite database; expected an intact one: copy it from its origin again",
    sqlite3.SQLITE_BUSY: "found a database that another program is changing; expected one at rest: close that program",
    sqlite3.SQLITE_TOOBIG: "found a value or statement that is too long; expected values of at most {length:,} bytes",
    sqlite3.SQLITE_IOERR: "the database cannot be read; expected a file on a medium that works: copy it and try again",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened; expected a file that can be read, with no changes "
    "waiting beside it: copy it to another folder and try again",
    sqlite3.SQLITE_READONLY: "found a change that was interrupted, in the file {name}-journal beside the database; "
    "expected a database at rest: copy both files, run `sqlite3 COPY 'PRAGMA quick_check'`, and read the copy",
    sqlite3.SQLITE_NOMEM: "reading needs more memory than there is; expected a database of ordinary tables",
}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or a view of a database.

    Attributes:
        name: as the schema spells it.
        columns: lower-case name of each column -> its name as the schema spells it.
        is_view: whether it is a view.
        not_null: names of columns that are declared as never NULL.
    """

    name: str
    columns: Mapping[str, str]
    is_view: bool = False
    not_null: frozenset[str] = frozenset()


def column(name: str) -> str:
    """The name of a table or column as SQL."""
    return '"' + name.replace('"', '""') + '"'


def select(cells: Iterable[str], relation: Relation, rest: str = "") -> str:
    """A statement that selects ``cells``, pieces of SQL, from a relation; ``rest`` is SQL that stands behind it."""
    return f"SELECT {', '.join(cells)} FROM {column(relation.name)} {rest}"  # noqa: S608 - the names are quoted


def _uri(path: Path, *, immutable: bool) -> str:
    # Path.as_uri gives UNC paths of Windows a host, which SQLite refuses.
    absolute = path.absolute().as_posix()
    uri = "file://" + ("" if absolute.startswith("/") else "/") + quote(fsencode(absolute))
    return f"{uri}?mode=ro" + ("&immutable=1" if immutable else "")


class ForeignDatabase:
    """A database that somebody else made, open for reading.

    Attributes:
        relations: lower-case name -> table or view, without virtual tables.
        records: how many records have been read, for errors: the reader counts.

    Raises:
        RecordError: the file cannot be read as a database at rest; the message says why.
    """

    def __init__(
        self, path: Path, *, header: bytes, length: int = _MIN_LENGTH, progress: Progress | None = None
    ) -> None:
        """Open the database.

        Args:
            path: the file.
            header: its first 100 bytes, as they were read before: a file that was replaced since is an error.
            length: bytes of one value at most.
            progress: called by `report`, and every few milliseconds while SQLite works.
        """
        self.relations: Mapping[str, Relation] = {}
        self.records: int | None = None
        self._path = path
        self._length = min(max(length, _MIN_LENGTH), _MAX_LENGTH)
        self._progress = progress
        self._reported: tuple[int, int | None] = (0, None)
        self._idle = 0
        self._stopped: BaseException | None = None
        self._refused = ""
        #: Names of tables and views that may be read from; None while the connection is being set up.
        self._readable: set[str] | None = None
        self._check_file(header)
        with self._errors():
            # 2 in both: the file is in WAL mode.
            uri = _uri(path, immutable=header[18:20] == b"\x02\x02")
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
        try:
            with self._errors():
                self._set_up(header)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ForeignDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, whatever state it is in."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # ------------------------------------------------------------------ opening

    def _problem(self, reason: str) -> RecordError:
        record = None if self.records is None else self.records + 1
        return RecordError(reason, path=str(self._path), record=record)

    def _check_file(self, header: bytes) -> None:
        if len(header) < _HEADER_SIZE:
            raise self._problem(
                f"found {len(header):,} bytes; expected an SQLite database, which has at least 512: it is cut short"
            )
        try:
            self._size = size = self._path.stat().st_size
        except OSError as error:
            raise InputError(f"{self._path}: cannot be read ({error.strerror}); expected an SQLite database") from error
        waiting = 0
        with contextlib.suppress(OSError):
            waiting = self._path.with_name(self._path.name + "-wal").stat().st_size
        if waiting:
            raise self._problem(
                f"found changes that wait in the file {self._path.name}-wal beside it; expected a database at rest: "
                "close the program that uses it, or copy both files, run `sqlite3 COPY 'PRAGMA journal_mode=DELETE'`, "
                "and read the copy"
            )
        page = int.from_bytes(header[16:18], "big")
        page = 65536 if page == 1 else page
        pages = int.from_bytes(header[28:32], "big")
        # Old versions of SQLite leave the number of pages as it was; then these two counters differ.
        stated = pages * page if header[24:28] == header[92:96] else 0
        if size < stated:
            raise self._problem(f"found {size:,} bytes; expected {stated:,}, as the header says: it is cut short")
        if page and size % page:
            raise self._problem(f"found {size:,} bytes; expected whole pages of {page:,} bytes: it is cut short")

    def _set_up(self, header: bytes) -> None:
        connection = self._connection
        connection.text_factory = bytes
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._length)
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.set_progress_handler(self._tick, _STEPS)
        connection.execute("BEGIN")
        # What SQLite has opened must be what was looked at: schema cookie, free pages, application id.
        for pragma, at in (("schema_version", 40), ("freelist_count", 36), ("application_id", 68)):
            ((found,),) = connection.execute(f"PRAGMA {pragma}").fetchall()
            if found & 0xFFFFFFFF != int.from_bytes(header[at : at + 4], "big"):
                raise self._problem("found a file that was replaced while it was opened; expected a file at rest")
        listed = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'view')")
        found = [[_text(value) for value in row] for row in listed.fetchall()]
        ordinary = [(kind, name, sql) for kind, name, sql in found if not _VIRTUAL.match(sql)]
        self._readable = {name.lower() for _, name, _ in ordinary}
        connection.set_authorizer(self._authorize)
        self.relations = {name.lower(): self._relation(kind, name, sql) for kind, name, sql in ordinary}

    def _relation(self, kind: str, name: str, sql: str) -> Relation:
        try:
            information = self._connection.execute(f"PRAGMA table_xinfo({column(name)})").fetchall()
        except sqlite3.Error:
            information = []  # a view that is refused, or broken: it is an error when it is read from
        self._refused = ""
        names = [_text(row[1]) for row in information] or _WORD.findall(sql)
        not_null = frozenset(_text(row[1]) for row in information if row[3])
        return Relation(name, {name.lower(): name for name in names}, kind == "view", not_null)

    def _authorize(self, action: int, first: str | None, second: str | None, _: str | None, __: str | None) -> int:
        """SQLite asks this for everything that a statement does, while it prepares the statement."""
        what = "more than reading"
        if action == sqlite3.SQLITE_SELECT or (action == sqlite3.SQLITE_PRAGMA and first == "table_xinfo"):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            if (first or "").lower() in (self._readable or ()):
                return sqlite3.SQLITE_OK
            what = f"the table {shown(first or '')}"
        if action == sqlite3.SQLITE_FUNCTION:
            if (second or "").lower() in _FUNCTIONS:
                return sqlite3.SQLITE_OK
            what = f"the function {shown(second or '')}"
        self._refused = self._refused or what
        return sqlite3.SQLITE_DENY

    def _tick(self) -> int:
        """SQLite calls this while it works; anything but 0 stops the statement."""
        try:
            self._idle += 1
            if self._idle > _PATIENCE:
                raise self._problem(
                    f"found a table or view that gives no row in {_PATIENCE * _STEPS:,} steps of SQLite; expected "
                    "tables that can be read from front to back"
                )
            self.report(*self._reported)
        except BaseException as error:  # noqa: BLE001 - it would not come through SQLite: it is raised behind it
            self._stopped = error
            return 1
        return 0

    def report(self, done: int, total: int | None) -> None:
        """Tell whoever asked for progress how far the reader has come, in any unit."""
        self._reported = done, total
        if self._progress is not None:
            self._progress(done, total)

    # ------------------------------------------------------------------ reading

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into typed errors that name the file. SQLite's own words may quote what it holds."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._typed(error) from error
        except UnicodeDecodeError as error:
            # The words of SQLite's error quote the schema, which is no text.
            raise self._problem(_REASONS[sqlite3.SQLITE_CORRUPT]) from error
        except (OverflowError, MemoryError) as error:
            raise self._problem(_REASONS[sqlite3.SQLITE_NOMEM]) from error

    def _typed(self, error: sqlite3.Error) -> BaseException:
        if self._stopped is not None:
            stopped, self._stopped = self._stopped, None
            return stopped
        refused, self._refused = self._refused, ""
        if refused:
            return self._problem(
                f"found a view or table that uses {refused}; expected one that only selects from tables of its file"
            )
        code = getattr(error, "sqlite_errorcode", 0)
        reason = _REASONS.get(code & 0xFF, "found what cannot be read as a table; expected the tables of this format")
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return self._problem(f"{reason.format(length=self._length, name=self._path.name)} ({name})")

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement that gives few.

        Raises:
            RecordError: the database is damaged, or the statement needs what is not allowed.
        """
        with self._errors():
            rows = self._connection.execute(sql, parameters).fetchall()
        self._idle = 0
        return rows

    def fits(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The single row of a statement, or None where a value of it is too long.

        Raises:
            RecordError: see `query`.
        """
        try:
            return self.query(sql, parameters)[0]
        except RecordError as error:
            if getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_TOOBIG:
                return None
            raise

    def plan(self, sql: str, parameters: Sequence[object] = ()) -> list[str]:
        """How SQLite would go about a statement, in its words.

        Raises:
            RecordError: see `query`.
        """
        return [_text(row[3]) for row in self.query(f"EXPLAIN QUERY PLAN {sql}", parameters)]

    def batches(self, sql: str, size: int, parameters: Sequence[object] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a statement, ``size`` at once.

        Raises:
            RecordError: see `query`; or the statement would keep what it has read.
        """
        if any(word in step for step in self.plan(sql, parameters) for word in _KEEPS):
            raise self._problem(
                "found a view that sorts or collects its rows; expected one that can be read from front to back: "
                "save its rows as a table, and read that"
            )
        with self._errors():
            cursor = self._connection.execute(sql, parameters)
        count = 0
        while True:
            with self._errors():
                rows = cursor.fetchmany(size)
            self._idle = 0
            if not rows:
                return
            count += len(rows)
            if count > self._size:
                # What joins its tables without a condition goes on for as long as it likes.
                raise self._problem(
                    f"found a view that gives more rows than the file has bytes ({self._size:,}); expected one whose "
                    "rows stand in its tables"
                )
            yield rows


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else "" if value is None else str(value)


def open_foreign(source: Input) -> ForeignDatabase:
    """Open the database that an input is.

    Raises:
        InputError: the input is a stream, or cannot be read.
        RecordError: see `ForeignDatabase`.
    """
    header = source.head().raw[:_HEADER_SIZE]
    if not header.startswith(MAGIC):
        raise RecordError("found a file that is no SQLite database; expected one", path=source.path)
    if header[68:72] == _OURS:
        raise RecordError("found a hashmatch list; expected another program's database", path=source.path)
    return ForeignDatabase(
        source.local_file(),
        header=header,
        length=source.limits.max_string,
        progress=source.report,
    )


def schema_of(head: Head) -> Mapping[str, Relation]:
    """The tables and views of a database that begins with ``head``, by lower-case name; none of anything else.

    Of a stream, and of a file that SQLite does not open, they are what the text in its first pages says. Never raises.
    """
    if not head.raw.startswith(MAGIC) or head.raw[68:72] == _OURS:
        return {}
    with contextlib.suppress(OSError, ValueError, InputError, sqlite3.Error):
        path = Path(head.path)
        if head.path != "-" and stat.S_ISREG(path.stat().st_mode):
            with ForeignDatabase(path, header=head.raw[:_HEADER_SIZE]) as database:
                return database.relations
    relations = {}
    found = list(_CREATE.finditer(head.raw))
    for at, statement in enumerate(found, 1):
        end = min([statement.end() + _STATEMENT, *(other.start() for other in found[at : at + 1])])
        words = _WORD.findall(head.raw[statement.end() : end].decode("latin-1"))
        name = _text(statement[2])
        relations[name.lower()] = Relation(name, {w.lower(): w for w in words}, statement[1].lower() == b"view")
    return relations
