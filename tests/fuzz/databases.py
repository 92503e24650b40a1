"""Recipes of SQLite databases: statements that are run in memory, then bytes that are written over.

An input that begins with ``SQL`` is a recipe: statements, each ended by a semicolon and a line end, and behind a NUL
pokes of 4 bytes: where (2), how, what. Any other input is a database file as it stands. Blind mutations of database
files rarely get past the header; mutated statements make sound files with unsound schemas and values.
"""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
from collections.abc import Sequence
from functools import lru_cache

from .structure import words

__all__ = ["database", "poke", "pokes", "statements"]

_MARK = b"SQL"
#: What a statement must not do: touch other files.
_REFUSED = re.compile(r"attach|vacuum|load_extension|directory|fts3_tokenizer|journal_mode", re.IGNORECASE)
_STEPS = 20_000
_MOST_STATEMENTS = 60
_MOST_PAGES = 64


def database(data: bytes) -> bytes:
    """The database file that an input stands for."""
    if not data.startswith(_MARK):
        return data
    script, _, changes = data[len(_MARK) :].partition(b"\0")
    return poke(_built(script), changes)


@lru_cache(maxsize=64)
def _built(script: bytes) -> bytes:
    """The file that statements make; those that fail are left out."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1 << 17)
        made.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        made.execute(f"PRAGMA max_page_count={_MOST_PAGES}")
        made.set_progress_handler(lambda: 1, _STEPS)
        for statement in script.decode(errors="replace").split(";\n")[:_MOST_STATEMENTS]:
            if not _REFUSED.search(statement):
                with contextlib.suppress(sqlite3.Error, sqlite3.Warning, ValueError, OverflowError):
                    made.execute(statement)
        with contextlib.suppress(sqlite3.Error):
            made.execute("ROLLBACK")
        try:
            return made.serialize()
        except sqlite3.Error:
            return b"SQLite format 3\0"


def poke(content: bytes, changes: bytes) -> bytes:
    """``content`` with bytes written over, and cut short where a poke says so."""
    raw = bytearray(content)
    for at in range(0, min(len(changes), 200) - 3, 4):
        if not raw:
            break
        where, how, what = int.from_bytes(changes[at : at + 2], "little"), changes[at + 2], changes[at + 3]
        # The first and the last bytes decide most.
        place = (where if how & 1 else -1 - where % 512 if how & 2 else where % 200) % len(raw)
        match how >> 2 & 7:
            case 0:
                raw[place] ^= 1 << what % 8
            case 1:
                raw[place : place + 4] = bytes([what]) * min(4, len(raw) - place)
            case 2 if what < 16:
                del raw[place:]
            case _:
                raw[place] = what
    return bytes(raw)


statements = words(rb"'(?:[^']|'')*'|\"[^\"]*\"|\w+|;\n|[^\w\s]")


def pokes(rng: random.Random, data: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """One poke more."""
    if not data.startswith(_MARK):
        return data
    return data + (b"" if b"\0" in data else b"\0") + rng.randbytes(4 * rng.choice((1, 1, 3)))
