"""What SQLite answers, as the types that a list holds, and its errors as typed errors."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from operator import contains
from pathlib import Path
from typing import Any

from hashmatch.errors import ListBusyError, ListDamagedError, ListError, StorageError

__all__ = ["sqlite_errors", "typed_rows"]


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into typed errors that name the list.

    Raises:
        ListBusyError: another process holds the lock.
        StorageError: disk full, read-only, or an I/O error; the transaction is rolled back.
        ListDamagedError: not a database, or a malformed one.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise ListDamagedError(f"{path}: holds text that is not UTF-8 ({error}); restore it from a copy") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ListBusyError(
                f"{path}: another process is using this list; nothing was changed: wait for it to finish and try again"
            ) from error
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            # A folder that is write-protected is the same error as a file: the journal has no place there.
            raise StorageError(
                f"{path}: {error}; nothing was changed, the former state stands: check free space, and whether you may "
                "write to the file and to its folder"
            ) from error
        # The module raises without a code where text in the file is not UTF-8.
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "UTF-8" in str(error):
            raise ListDamagedError(
                f"{path}: is damaged or not a hash list ({error}); restore it from a copy or import its sources again"
            ) from error
        raise ListError(f"{path}: {error}") from error


#: Letter of `typed_rows` -> types that a column may have.
_TYPES: dict[str, tuple[type, ...]] = {
    "i": (int,),
    "t": (str,),
    "b": (bytes,),
    "I": (int, type(None)),
    "B": (bytes, type(None)),
}


def typed_rows(
    connection: sqlite3.Connection, path: Path, kinds: str, query: str, values: Sequence[object] = ()
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query. SQLite keeps any type in any column, and a list may be damaged, or come from anywhere.

    Args:
        connection: of the list.
        path: of the list.
        kinds: a letter for each column: ``i`` integer, ``t`` text, ``b`` bytes; in upper case where it may be NULL.
        query: what to ask.
        values: of its parameters.

    Raises:
        ListDamagedError: a column holds another type.
        ListBusyError, StorageError: see `sqlite_errors`.
    """
    sound: set[tuple[type, ...]] = set()
    with sqlite_errors(path):
        for row in connection.execute(query, tuple(values)):
            found = tuple(map(type, row))
            if found not in sound:
                if not all(map(contains, map(_TYPES.__getitem__, kinds), found)):
                    names = ", ".join(kind.__name__ for kind in found)
                    raise ListDamagedError(
                        f"{path}: is damaged: found a row of ({names}) where no import writes one; restore it from a "
                        "copy or import its sources again"
                    )
                sound.add(found)
            yield row
