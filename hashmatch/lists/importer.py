"""One import: entries in, blocks of the list out, counts kept. The transaction around it is the store's.

Entries come in any order and by the ten million; blocks are in the order of references. So what comes is gathered,
sorted and, as long as it goes on behind what came before or touches few blocks of it, stored at once. What does not is
written into the list's file as sorted runs (never into temporary files, which hold no hash) and merged at the end,
range of keys by range of keys.
"""

from __future__ import annotations

import contextlib
import gc
import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from hashmatch.errors import RecordError, UsageError, shorten
from hashmatch.lists.block import Row, ascends, decode, encode, pack_tags, unpack_tags
from hashmatch.lists.blocks import Blocks
from hashmatch.lists.entry import MEDIA_TYPES, Entry, Retraction, is_metadata, opinions_of, unpack_hashes
from hashmatch.lists.entry_rows import entry_rows
from hashmatch.lists.history import History
from hashmatch.lists.names import encodable, source_name

__all__ = ["ImportSummary", "Importer", "checked"]

#: Items that are taken at once.
_CHUNK = 1000
#: Rows, and bytes of hashes and metadata, that are gathered before they are sorted.
_GATHERED_ROWS = 1 << 16
_GATHERED_BYTES = 32 << 20
#: What lies among what came before is stored at once where it has at least so many rows, on average, for every block
#: that it touches: half a block. Reading and rewriting such a block costs less than merging at the end, and where the
#: list holds these rows already, nothing is rewritten.
_ROWS_A_BLOCK = 64
#: Rows of a block of a run: of every run at least one such block is in memory while they are merged.
_RUN_ROWS = 128
#: Such blocks that are merged in one step.
_STEP = 160
#: One in so many times that gathered rows are stored, everything is searched for garbage, and not the young only.
_FLUSHES = 16
#: Skipped records whose message a summary keeps.
_KEPT_MESSAGES = 100

_ref_of = itemgetter(0)
_content_of = itemgetter(slice(0, 7))

Item = Entry | Retraction | RecordError


@dataclass
class ImportSummary:
    """What an import did. Counts are entries, except where another unit is said.

    Attributes:
        source, format, name: whose list, in which format, read from which path as given.
        bytes, sha256: size and lower-case hex SHA-256 of the input.
        records: records read, malformed ones and withdrawals included.
        added, replaced, unchanged: by comparison with what the list held.
        withdrawn: withdrawals that the input states and that the list did not know yet.
        retracted: left out because their source has withdrawn them.
        hashless: left out because they hold no hash (after digests of the empty file were dropped).
        empty_digests: digests of the empty file that were dropped.
        invalid: malformed records that were skipped.
        problems: messages of the first 100 skipped records.
        notes: what the reader has to say of the file as a whole.
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
    withdrawn: int = 0
    retracted: int = 0
    hashless: int = 0
    empty_digests: int = 0
    invalid: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    snapshot: str = ""

    def counts(self) -> dict[str, int]:
        """The counts alone, by name."""
        keys = ("records", "added", "replaced", "unchanged", "withdrawn", "retracted", "hashless", "empty_digests")
        return {key: getattr(self, key) for key in (*keys, "invalid")}


def checked(items: Iterable[Item]) -> Iterator[Item]:
    """Items that a program made, each with what a reader would have refused as an error in its place."""
    for number, item in enumerate(items, 1):
        if isinstance(item, RecordError):
            yield item
            continue
        problem = _problem_of(item)
        yield item if problem is None else RecordError(problem, record=number)


def _problem_of(item: object) -> str | None:
    """What is wrong with an entry or a retraction that a program made."""
    if isinstance(item, Retraction):
        return None if all(map(_is_text, item)) and item.ref else _NO_TEXT
    if not isinstance(item, Entry):
        return f"found a {type(item).__name__}; expected an Entry or a Retraction"
    ref, category, media, size, metadata, packed, dropped, opinions, origin = item
    if not all(map(_is_text, (ref, metadata, opinions, origin))):
        return _NO_TEXT
    if category is not None and not (
        isinstance(category, tuple) and len(category) == 2 and all(map(_is_text, category)) and any(category)
    ):
        return "found a category that is not two texts; expected (scheme, code), or None"
    if media not in _MEDIA:
        return f"found the media type {shorten(media)}; expected one of {', '.join(MEDIA_TYPES)}"
    if size is not None and (type(size) is not int or not 0 <= size < 1 << 63):
        return f"found the size {shorten(size)}; expected 0 to 2**63 - 1"
    if not isinstance(packed, bytes) or type(dropped) is not int:
        return "found hashes that pack_hashes did not make"
    try:
        unpack_hashes(packed)
    except RecordError as error:
        return f"found {error.reason}"
    try:
        opinions_of(opinions)
    except ValueError:
        return "found opinions that opinions_text did not make"
    return None if not metadata or is_metadata(metadata) else "found metadata that canonical_json did not make"


#: As an ordered sequence: what is looked for in it need not be hashable.
_MEDIA = ("", *MEDIA_TYPES)
_NO_TEXT = "found text with NUL or half a character; expected plain text"


def _is_text(text: object) -> bool:
    return isinstance(text, str) and "\0" not in text and encodable(text)


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


@dataclass
class _Source:
    """One source that an import brings entries of.

    Attributes:
        number, name: in the list.
        withdrawn: references that it has withdrawn before this import.
        last: the last reference that the list holds of it; what comes behind it is added there.
        rows: gathered, not sorted yet, tagged with their ordinals.
        retractions: reference -> reason, of those that this import states.
        reached: the last reference of what was applied at once; None before.
        confirmed: hash of each reference that was applied at once and that the list held as it is: what says otherwise
            later contradicts it. (64 bits under a key of this process; a list may be too long to keep references.)
        ordered: the first of `confirmed` as an ascending NumPy array, as many as were there when it was last asked for.
        returned: whether something came that does not lie behind `reached`.
        runs: whether sorted runs wait for the end.
    """

    number: int
    name: str
    withdrawn: set[str]
    last: str | None
    rows: list[Row] = field(default_factory=list)
    retractions: dict[str, str] = field(default_factory=dict)
    reached: str | None = None
    confirmed: array[int] = field(default_factory=lambda: array("q"))
    ordered: Any = None
    returned: bool = False
    runs: bool = False


class Importer:
    """One import inside a transaction."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        blocks: Blocks,
        history: History,
        summary: ImportSummary,
        *,
        skip_invalid: bool,
    ) -> None:
        self._connection = connection
        self._blocks = blocks
        self._history = history
        self._summary = summary
        self._skip_invalid = skip_invalid
        #: By origin, and by number.
        self._sources: dict[str, _Source] = {}
        self._numbered: dict[int, _Source] = {}
        self._rows = self._bytes = self._flushes = 0
        #: Number of this change.
        self.number = history.next_number()
        self._source("")

    def run(self, items: Iterable[Item]) -> None:
        """Import all items and count what became of them."""
        iterator = iter(items)
        with _without_garbage_collection():
            while chunk := _next_chunk(iterator):
                self._take(chunk)
                self._summary.records += len(chunk)
                if self._rows >= _GATHERED_ROWS or self._bytes >= _GATHERED_BYTES:
                    self._flush()
            self._flush()
            for source in self._numbered.values():
                if source.runs:
                    self._merge(source)
                if source.retractions:
                    withdrawn, unseen = self._history.withdraw(
                        source.number, source.name, source.retractions, self.number
                    )
                    self._summary.withdrawn += len(withdrawn) + len(unseen)
            # All runs are merged and gone. This blanks the page that is left of them, which may hold a copy of one.
            self._connection.execute("DELETE FROM pending")

    # ------------------------------------------------------------------ items to rows

    def _source(self, origin: str) -> _Source:
        known = self._sources.get(origin)
        if known is not None:
            return known
        try:
            name = source_name(" ".join(filter(None, (self._summary.source, origin))))
        except UsageError as error:
            raise RecordError(f"found an entry of {error}", path=self._summary.name) from error
        self._connection.execute("INSERT INTO source (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        (number,) = self._connection.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()
        # Two ways to write one name are one source, and must not be kept apart: each would overlook what the other did.
        made = self._numbered.get(number)
        if made is None:
            made = _Source(number, name, self._history.withdrawn(number), self._blocks.last(number))
            self._numbered[number] = made
        self._sources[origin] = made
        return made

    def _take(self, chunk: Sequence[Item]) -> None:
        """Gather the rows of a chunk."""
        first = self._summary.records + 1
        entries: Sequence[Entry]
        if set(map(type, chunk)) == {Entry}:
            entries, ordinals = chunk, range(first, first + len(chunk))  # type: ignore[assignment]
        else:
            entries, ordinals = self._entries_of(chunk, first)  # type: ignore[assignment]
            if not entries:
                return
        made = entry_rows(entries, ordinals)
        self._summary.empty_digests += made.dropped
        self._summary.hashless += made.hashless
        self._rows += len(made.rows)
        self._bytes += made.bytes
        if made.origins is None:
            self._gather(self._source(""), made.rows)
        else:
            grouped: dict[str, list[Row]] = {}
            for row, origin in zip(made.rows, made.origins, strict=True):
                grouped.setdefault(origin, []).append(row)
            for origin, of_origin in grouped.items():
                self._gather(self._source(origin), of_origin)

    def _gather(self, source: _Source, rows: list[Row]) -> None:
        if source.withdrawn:
            before = len(rows)
            rows = [row for row in rows if row[0] not in source.withdrawn]
            self._summary.retracted += before - len(rows)
        source.rows += rows

    def _entries_of(self, chunk: Sequence[Item], first: int) -> tuple[list[Entry], list[int]]:
        """The entries of a chunk and their ordinals; everything else is dealt with."""
        entries, ordinals = [], []
        for ordinal, item in enumerate(chunk, first):
            if isinstance(item, Entry):
                entries.append(item)
                ordinals.append(ordinal)
            elif isinstance(item, Retraction):
                self._source(item.origin).retractions[item.ref] = item.reason
            elif isinstance(item, _FatalError):
                raise item.error
            else:
                self._invalid(item)
        return entries, ordinals

    def _invalid(self, error: RecordError) -> None:
        if not self._skip_invalid:
            raise error
        self._summary.invalid += 1
        if len(self._summary.problems) < _KEPT_MESSAGES:
            self._summary.problems.append(str(error))

    # ------------------------------------------------------------------ rows to blocks

    def _flush(self) -> None:
        """Store what was gathered of every source."""
        for source in self._numbered.values():
            if source.rows:
                self._store(source)
        self._rows = self._bytes = 0
        # The collector is off meanwhile. Nothing here is part of a cycle, but what a reader leaves behind may be, and
        # would stay to the end. What is alive at this point and young is next to nothing, so looking takes no time;
        # looking at all that the process has takes some ten milliseconds, which is a tenth of what storing takes.
        self._flushes += 1
        gc.collect(1 if self._flushes % _FLUSHES else 2)

    def _store(self, source: _Source) -> None:
        """Sort what was gathered of a source, and add it to the list or keep it as a run."""
        rows, source.rows = source.rows, []
        if not ascends(rows):
            rows.sort(key=_ref_of)
            rows = self._unique(rows)
        if source.runs or self._scatters(source, rows):
            # Everything that comes later does so too: of two records with one reference the first stands.
            self._keep(source, rows)
            return
        if source.last is None or rows[0][0] > source.last:
            self._append(source, rows)
        else:
            self._apply(source, rows)
            source.last = max(source.last, rows[-1][0])
        source.reached = rows[-1][0] if source.reached is None else max(source.reached, rows[-1][0])

    def _scatters(self, source: _Source, rows: Sequence[Row]) -> bool:
        """Whether sorted rows lie scattered among what came before, and not behind it or at few places of it.

        Numbers that count without leading zeros come back whenever they gain a digit, and then fill gaps one by one.
        """
        if source.reached is None or rows[0][0] > source.reached:
            return False
        source.returned = True
        return self._blocks.touches(source.number, list(map(_ref_of, rows)), len(rows) // _ROWS_A_BLOCK)

    def _append(self, source: _Source, rows: list[Row]) -> None:
        self._blocks.append(source.number, rows, self.number)
        source.last = rows[-1][0]
        self._summary.added += len(rows)

    def _apply(self, source: _Source, rows: Sequence[Row]) -> None:
        summary, number, supersede = self._summary, self.number, self._history.supersede
        # What is confirmed from here on cannot be contradicted by these rows, which are unique.
        before = len(source.confirmed)

        def same(refs: Sequence[str]) -> None:
            summary.unchanged += len(refs)
            if not source.runs:
                source.confirmed.extend(map(hash, refs))

        def add(rows: list[Row]) -> list[Row]:
            summary.added += len(rows)
            return [(*row[:7], number) for row in rows]

        def judge(old: Row | None, new: Row | None) -> Row | None:
            if new is None:
                return old
            if old is None:
                summary.added += 1
            elif old[:7] == new[:7]:
                same(old[:1])
                return old
            elif old[7] == number or (source.returned and _among(hash(new[0]), source, before)):
                self._contradiction(new)
                return old
            else:
                summary.replaced += 1
                supersede(source.number, source.name, old, number)
            return (*new[:7], number)

        self._blocks.apply(source.number, [(row[0], row) for row in rows], judge, same, add)

    def _keep(self, source: _Source, rows: Sequence[Row]) -> None:
        source.runs = True
        self._connection.executemany(
            "INSERT INTO pending (source, first, ordinals, rows) VALUES (?, ?, ?, ?)",
            (
                (source.number, piece[0][0], pack_tags([row[7] for row in piece]), encode(piece))
                for piece in (rows[at : at + _RUN_ROWS] for at in range(0, len(rows), _RUN_ROWS))
            ),
        )

    def _merge(self, source: _Source) -> None:
        """Merge the runs of a source with what the list holds: range of keys by range of keys, in bounded memory."""
        query = self._connection.execute
        found = query("SELECT id, first FROM pending WHERE source = ? ORDER BY first", (source.number,)).fetchall()
        pool: list[Row] = []
        for at in range(0, len(found), _STEP):
            for number, _ in found[at : at + _STEP]:
                ordinals, rows = query("SELECT ordinals, rows FROM pending WHERE id = ?", (number,)).fetchone()
                pool += decode(rows, unpack_tags(ordinals))
                # Its pages are free for the blocks that are being written.
                query("DELETE FROM pending WHERE id = ?", (number,))
            pool.sort(key=_ref_of)
            # What comes in later steps begins at the first reference of the next block.
            more = at + _STEP < len(found)
            cut = bisect_left(pool, found[at + _STEP][1], key=_ref_of) if more else len(pool)
            ready, pool = pool[:cut], pool[cut:]
            if ready:
                ready = self._unique(ready)
                if source.last is None or ready[0][0] > source.last:
                    self._append(source, ready)
                else:
                    self._apply(source, ready)

    def _unique(self, rows: list[Row]) -> list[Row]:
        """Rows ascending by reference without repetitions: of several with one reference the first that was read.

        One reference with two contents in one input cannot both be true: the first stands, the others are malformed.
        """
        if ascends(rows):
            return rows
        kept = []
        for _, group in groupby(rows, _ref_of):
            first, *others = sorted(group, key=itemgetter(7))
            kept.append(first)
            for other in others:
                if _content_of(other) == _content_of(first):
                    self._summary.unchanged += 1
                else:
                    self._contradiction(other)
        return kept

    def _contradiction(self, row: Row) -> None:
        reason = f"reference {shorten(row[0])} stands in an earlier record of this input with other content"
        expected = "expected one record for each reference"
        self._invalid(RecordError(f"{reason}; {expected}", path=self._summary.name, record=row[7]))


def _next_chunk(iterator: Iterator[Item]) -> list[Item]:
    """The next items; an error that ends the input is the last of them, and what came before it is dealt with first."""
    chunk: list[Item] = []
    try:
        chunk.extend(islice(iterator, _CHUNK))
    except RecordError as error:
        chunk.append(_FatalError(error))
    return chunk


class _FatalError(RecordError):
    """An error after which the rest of the input is not usable: raised even where malformed records are skipped."""

    def __init__(self, error: RecordError) -> None:
        super().__init__(str(error))
        self.error = error


def _among(value: int, source: _Source, count: int) -> bool:
    """Whether ``value`` is among the hashes of the first ``count`` confirmed references.

    Asked only of what differs from the list.
    """
    import numpy as np

    if source.ordered is None or len(source.ordered) != count:
        # A copy: an array that others look into cannot grow. What is in order already costs a stable sort little.
        known = np.empty(0, np.int64) if source.ordered is None else source.ordered
        fresh = np.array(source.confirmed[len(known) : count], np.int64)
        source.ordered = np.sort(np.concatenate((known, fresh)), kind="stable")
    at = int(np.searchsorted(source.ordered, value))
    return at < len(source.ordered) and int(source.ordered[at]) == value
