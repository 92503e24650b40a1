"""A list that somebody else made, or that is damaged: whatever stands in its columns, every verb says so."""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from hashmatch.lists.entry import Entry, Opinion
from hashmatch.lists.store import HashList

VALUES = [
    "5", "-1", "9223372036854775807", "1.5", "'text'", "''", "x''", "x'00ff'", "zeroblob(40)", "NULL",
    "CAST(x'ff' AS TEXT)", "'{\"a\":[]}'", "'[1]'", "'" + "[" * 20_000 + "'",
]  # fmt: skip
VERBS = [
    "info a.hml", "stats a.hml", "log a.hml", "log a.hml --source S --ref 1", "log a.hml --source S --ref 4",
    "diff a.hml --since 0", "diff a.hml --since 1 --until 2", "diff a.hml other.hml",
    "delta a.hml --since 1 --include-hashes -o x.jsonl", "check a.hml", "export a.hml -o x.csv --include-hashes",
    "merge empty.hml a.hml", "merge a.hml other.hml --on-conflict theirs", "import a.hml 1.csv --source S",
    "retract a.hml 1 2 --source S", "retract a.hml 3 --source S --undo",
    "opinion a.hml 2 --source S --organisation P --take-back",
]  # fmt: skip


def entry(ref: str, value: object = None) -> Entry:
    md5 = hashlib.md5(repr(value).encode(), usedforsecurity=False).digest()
    opinions = [Opinion("", "O", False, "r")]
    return Entry.make(ref, {"md5": md5}, category=("s", "c"), metadata={"a": 1}, opinions=opinions)


@pytest.fixture
def columns(cmd, tmp_path: Path) -> list[tuple[str, str]]:
    """Every column of a list with a life (source.hml, and its compiled form made.hmx), which other lists are beside."""
    with HashList.open("source.hml", create=True) as known:
        known.import_entries([entry(str(number)) for number in range(5)], "S")
        known.import_entries([entry("1", "other"), entry("t")._replace(origin="x")], "S")
        known.compile("made.hmx")
        known.give_opinion("S", ["2"], "P", affirmative=False)
        known.retract("S", ["3", "4"])
        known.restore("S", ["4"])
        query = known._connection.execute
        tables = [name for (name,) in query("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = [(table, row[1]) for table in tables for row in query(f"PRAGMA table_info({table})")]
        query("PRAGMA writable_schema = ON")
        # What the tables declare keeps nobody from writing anything else.
        query("UPDATE sqlite_master SET sql = replace(replace(sql, ' NOT NULL', ''), ' TEXT', '')")
    with HashList.open("other.hml", create=True) as other:
        other.import_entries([entry("1"), entry("q")], "S")
    HashList.open("empty.hml", create=True).close()
    Path("1.csv").write_text(f"id,md5\n1,{'ab' * 16}\n")
    return found


@pytest.mark.parametrize("seed", range(4))
def test_any_type_anywhere(cmd, columns: list[tuple[str, str]], seed: int) -> None:
    """The command's fixture fails on the exit code of an internal error."""
    draw = random.Random(seed)
    refused = 0
    for _ in range(60):
        table, column = draw.choice(columns)
        value = draw.choice(VALUES)
        shutil.copy("source.hml", "a.hml")
        connection = sqlite3.connect("a.hml", isolation_level=None)
        if table == "pending":
            connection.execute("INSERT INTO pending VALUES (1, 1, 'a', x'00', x'00')")
        try:
            connection.execute(f"UPDATE {table} SET {column} = {value}")
        except sqlite3.Error:
            continue  # two rows would be the same to an index
        finally:
            connection.close()
        verb = draw.choice(VERBS)
        refused += cmd("list", *verb.split()).code == 3
        shutil.copy("made.hmx", "a.hmx")
        refused += cmd("compile", "a.hml", "-o", "a.hmx").code == 3
    assert refused > 10
