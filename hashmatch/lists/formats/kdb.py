"""Autopsy's and the Sleuth Kit's hash database (``.kdb``): SQLite.

A row of ``hashes`` is an entry; its ``id`` is the reference, which the database never gives to another hash. Two
databases number their hashes alike, so each needs a source of its own. Names of files and comments are in tables of
their own, which need not be in any order: they are gathered for some ten thousand entries at a time, so that memory
stays bounded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats.cells import NO_HASH, check_text, drop_empty, parse_hash, shown
from hashmatch.lists.formats.source import Head, Input, ReadOptions
from hashmatch.lists.formats.sqlite_source import (
    ForeignDatabase,
    Relation,
    column,
    open_foreign,
    schema_of,
    select,
)

__all__ = ["detect", "read"]

#: The table of the hashes, its key, and its columns with hashes -> algorithm.
HASHES, ID = "hashes", "id"
ALGORITHM_OF = {"md5": "md5", "sha1": "sha1", "sha2_256": "sha256"}
#: Tables with texts -> (column of the text, metadata key); both refer to the hash by this column.
TEXTS = {"file_names": ("name", "file_names"), "comments": ("comment", "comments")}
HASH_ID = "hash_id"
#: Columns of the hashes table that other Sleuth Kit databases do not have together.
_SIGNATURE = {ID, *ALGORITHM_OF}
PROPERTIES, SCHEMA_VERSION, VERSIONS = "db_properties", "Schema Version", ("1",)

_ROWS = 1000
#: Entries whose texts are gathered at once, and texts of them at most (of a single entry: as many as it has).
_WINDOW = 50_000
_MOST_TEXTS = 200_000

_Row = tuple[int, bytes, bytes, bytes]


def detect(head: Head) -> bool:
    """Whether the database has the tables of a hash database."""
    schema = schema_of(head)
    hashes = schema.get(HASHES)
    return (
        hashes is not None and hashes.columns.keys() >= _SIGNATURE and (PROPERTIES in schema or "file_names" in schema)
    )


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a hash database.

    Raises:
        RecordError: the database is damaged, not at rest, or needs what is not allowed.
        InputError: the input is a stream, or fails while it is read.
    """
    with open_foreign(source) as database:
        hashes = database.relations.get(HASHES)
        if hashes is None or not hashes.columns.keys() >= _SIGNATURE:
            raise RecordError(
                f"found a database without the table hashes({', '.join((ID, *ALGORITHM_OF))}); "
                "expected a hash database of Autopsy or the Sleuth Kit",
                path=source.path,
            )
        _check_version(source, database)
        texts = [
            _Texts(database, database.relations[name], *TEXTS[name]) for name in TEXTS if name in database.relations
        ]
        texts = [each for each in texts if each.there]
        ((total,),) = database.query(select(["count(*)"], hashes))
        database.records = 0
        count = 0
        for rows in _windows(database, hashes):
            found = _metadata(rows, texts)
            for row in rows:
                count += 1
                try:
                    yield _entry(row, found.get(row[0], {}), hashes, options.limits.max_string)
                except RecordError as error:
                    error.path, error.record = source.path, count
                    yield error
            database.records = count
            database.report(count, total)


def _check_version(source: Input, database: ForeignDatabase) -> None:
    properties = database.relations.get(PROPERTIES)
    if properties is None or not {"name", "value"} <= properties.columns.keys():
        return
    rows = database.query(select(["CAST(value AS TEXT)"], properties, "WHERE name = ? LIMIT 2"), (SCHEMA_VERSION,))
    for (value,) in rows:
        version = (value or b"").decode(errors="backslashreplace")
        if version not in VERSIONS:
            raise RecordError(
                f"found a hash database of schema version {shown(version)}; expected {' or '.join(VERSIONS)}",
                path=source.path,
            )


def _windows(database: ForeignDatabase, hashes: Relation) -> Iterator[list[_Row]]:
    """The rows of the hashes table, some ten thousand at once, ascending by id."""
    key = column(hashes.columns[ID])
    cells = [key]
    for name in ALGORITHM_OF:
        cell = column(hashes.columns[name])
        # Text and BLOB come alike; only one of them may be as long as the digest.
        cells.append(f"CASE WHEN typeof({cell}) = 'text' THEN {cell} ELSE hex({cell}) END")
    window: list[_Row] = []
    for rows in database.batches(select(cells, hashes, f"ORDER BY {key}"), _ROWS):
        window += rows
        if len(window) >= _WINDOW:
            yield window
            window = []
    if window:
        yield window


class _Texts:
    """A table of texts that refer to hashes."""

    def __init__(self, database: ForeignDatabase, relation: Relation, text: str, key: str) -> None:
        self.key = key
        self._database = database
        self.there = {text, HASH_ID} <= relation.columns.keys()
        if not self.there:
            return
        names = relation.columns
        cells = [column(names[HASH_ID]), f"CAST({column(names[text])} AS TEXT)"]
        self._statement = select(cells, relation, f"WHERE {column(names[HASH_ID])} BETWEEN ? AND ?")
        self.there = bool(database.query(select(["1"], relation, "LIMIT 1")))

    def of(self, first: int, last: int, most: int) -> dict[int, list[str]] | None:
        """The texts of the hashes whose ids are from ``first`` to ``last``, or None if they are more than ``most``."""
        found: dict[int, list[str]] = defaultdict(list)
        count = 0
        for rows in self._database.batches(self._statement, _ROWS, (first, last)):
            count += len(rows)
            if count > most and first != last:
                return None
            for number, text in rows:
                if text:
                    found[number].append(text.decode(errors="backslashreplace"))
        return found


def _metadata(rows: Sequence[_Row], tables: Sequence[_Texts]) -> dict[int, dict[str, list[str]]]:
    """The metadata of the entries of a window, by id."""
    if not tables:
        return {}
    found: dict[int, dict[str, list[str]]] = defaultdict(dict)
    stack = [rows]
    while stack:
        part = stack.pop()
        gathered = [table.of(part[0][0], part[-1][0], _MOST_TEXTS) for table in tables]
        if None in gathered:
            stack += [part[len(part) // 2 :], part[: len(part) // 2]]
            continue
        for table, texts in zip(tables, gathered, strict=True):
            for number, values in (texts or {}).items():
                found[number][table.key] = sorted(values)
    return found


def _entry(row: _Row, texts: Mapping[str, list[str]], hashes: Relation, max_string: int) -> Entry:
    reference, *digests = row
    if not isinstance(reference, int):
        raise RecordError("found an id that is no whole number; expected one", field=ID)
    found: dict[str, bytes] = {}
    for (name, algorithm), cell in zip(ALGORITHM_OF.items(), digests, strict=True):
        text = (cell or b"").decode(errors="backslashreplace").strip()
        if text:
            try:
                found[algorithm] = parse_hash(algorithm, text)
            except RecordError as error:
                error.field = hashes.columns[name]
                raise
    if not found:
        raise RecordError(NO_HASH)
    dropped = drop_empty(found)
    metadata: dict[str, Any] = {}
    for key, values in texts.items():
        if sum(map(len, values)) > max_string:
            raise RecordError(f"found texts of more than {max_string:,} characters; expected fewer", field=key)
        metadata[key] = [check_text(value, key, max_string) for value in values]
    return Entry.make(str(reference), found, metadata=metadata, dropped=dropped)
