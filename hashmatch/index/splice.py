"""A compiled list from the former one and what has changed since: the same bytes as compiling anew, in much less time.

Nothing is sorted but what is new. Row numbers of the former list are mapped by one ascending array; every section is
copied in blocks from the mapped file with some items left out and some put between. Ring tables are made anew from the
codes, which the kernels do faster than anything could read, verify and renumber the former ones.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import CompiledListDamagedError, UsageError
from hashmatch.files import replace_file
from hashmatch.index.build import (
    ROW_COLUMNS,
    THREADS,
    HashColumn,
    Rows,
    check_row_count,
    hash_mask,
    meta_text,
    ring_sections,
    section_names,
)
from hashmatch.index.compiled import CodeSection, CompiledList, DigestSection
from hashmatch.index.exact import as_strings, build_table, sort_order, table_bits
from hashmatch.index.hamming import has_ring
from hashmatch.index.joining import Splice
from hashmatch.index.section_writer import BLOCK, SectionData, SectionWriter, items_per_block
from hashmatch.kernels.digests import prefixes

__all__ = ["splice_compiled"]

#: Stands for the new number of what is gone; no list has so many rows, sources or categories.
_GONE = np.uint32(0xFFFFFFFF)
#: Bytes of references from which on they are written from where they lie.
_LONG = 1 << 16


def splice_compiled(
    former: CompiledList,
    path: str | os.PathLike[str],
    removed: NDArray[np.integer[Any]],
    inserted: Rows,
    before: NDArray[np.integer[Any]],
    *,
    snapshot: bytes,
    role: str,
    sources: Sequence[str],
    categories: Sequence[tuple[str, str]],
) -> Path:
    """Write the compiled list that ``former`` becomes by removing and inserting rows, replacing ``path`` in one step.

    The file is byte for byte what `write_compiled` writes of all the rows that then are, with a column for each
    algorithm that one of them has a hash of, in registry order. An entry that has changed is removed and inserted.
    Memory, beside ``inserted`` and what the system keeps of files: about 80 bytes for each hash of the algorithm that
    has most, and at most 300 MB; ring tables take 64 of these.

    Args:
        former: the list as it was. What is used of it is verified first, as it was opened; it may lie at ``path``
            where the system can replace mapped files (Windows cannot).
        path: where to write.
        removed: numbers of former rows, strictly ascending.
        inserted: the new rows in their order, with numbers of the new ``sources`` and ``categories``.
        before: for each inserted row the former row before which it stands, 0 to ``former.rows`` (behind all),
            ascending. Where that row is itself removed, the new one stands in its place.
        snapshot: snapshot id of the new list, 32 bytes.
        role: as in the list.
        sources: names of the sources in their new order. A former source that is missing has no row left.
        categories: (scheme, code) of the categories in their new order, likewise.

    Raises:
        UsageError: rows out of order or range, a source or category that rows still have and that is missing, or more
            rows than the format holds.
        CompiledListError: the former list is damaged; compile anew.
        StorageError: the file could not be written; what stood at ``path`` stands there still.
    """
    changes = _Changes.of(former, removed, inserted, before)
    hashes = changes.hashes()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hashmatch-compile")
    try:
        with replace_file(path) as file, SectionWriter(file, list(section_names(hashes))) as writer:
            for section in _sections(changes, role, sources, categories, hashes, pool):
                writer.add(section)
            writer.finish(changes.rows.total, snapshot)
    finally:
        pool.shutdown(cancel_futures=True)
    return Path(path)


@dataclass
class _Changes:
    """What changes, in terms of rows.

    Attributes:
        former: the list as it was.
        inserted: the new rows.
        rows: how the rows are spliced.
        numbers: uint32[former rows], new number of each, `_GONE` of those that are removed.
        new_numbers: uint32[m], number of each new row.
    """

    former: CompiledList
    inserted: Rows
    rows: Splice
    numbers: NDArray[np.uint32]
    new_numbers: NDArray[np.uint32]

    @classmethod
    def of(
        cls, former: CompiledList, removed: NDArray[np.integer[Any]], inserted: Rows, before: NDArray[np.integer[Any]]
    ) -> _Changes:
        if len(before) != len(inserted.source):
            raise UsageError(f"{len(inserted.source)} rows are to be inserted; found {len(before)} places for them")
        try:
            rows = Splice(former.rows, removed, before)
        except ValueError as error:
            raise UsageError(f"rows to remove or to insert before {error}; there are {former.rows} rows") from error
        check_row_count(rows.total)
        former.row_masks()  # as long as the header says, before anything else is made as long
        # Modulo 2**32, so that a shift back is a shift on.
        numbers = np.zeros(former.rows + 1, np.uint32)
        np.add.at(numbers, rows.before, np.uint32(1))
        np.subtract.at(numbers, rows.removed + 1, np.uint32(1))
        np.cumsum(numbers, out=numbers)
        numbers += np.arange(former.rows + 1, dtype=np.uint32)
        numbers[rows.removed] = _GONE
        return cls(former, inserted, rows, numbers[:-1], rows.places().astype(np.uint32))

    def hashes(self) -> dict[str, int]:
        """How many rows have a hash of each algorithm afterwards; those that none has are left out."""
        masks = self.former.row_masks()[self.rows.removed]
        result = {}
        for name, algorithm in ALGORITHMS.items():
            count = self.former.meta["hashes"].get(name, 0)
            count -= int(np.count_nonzero(masks >> np.uint32(algorithm.number) & np.uint32(1)))
            count += len(self.inserted.hashes[name].rows) if name in self.inserted.hashes else 0
            if count:
                result[name] = count
        return result

    def owners(self, name: str, count: int) -> _Owners:
        """The rows that bear the hashes of an algorithm; ``count``: how many hashes there must be afterwards.

        The former section is verified here.
        """
        exact = ALGORITHMS[name].kind is Kind.EXACT
        rows = self.former.digests(name).rows if exact else self.former.codes(name).rows
        numbers = np.empty(len(rows), np.uint32)
        gone = []
        step = items_per_block(4)
        for start in range(0, len(rows), step):
            part = numbers[start : start + step]
            part[:] = self.numbers[rows[start : start + step]]
            gone.append(np.flatnonzero(part == _GONE) + start)
        found = _Owners(rows, numbers, np.concatenate(gone) if gone else np.zeros(0, np.int64))
        new = self.inserted.hashes.get(name)
        if len(rows) - len(found.gone) + (0 if new is None else len(new.rows)) != count:
            raise self.damaged(f"the rows of {name} are not those that row.mask names")
        return found

    def new_hashes(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        """(values uint8[k, width], inserted row of each) of an algorithm, ordered by value and then row."""
        column = self.inserted.hashes.get(name)
        if column is None:
            column = HashColumn(np.zeros((0, ALGORITHMS[name].width), np.uint8), np.zeros(0, np.uint32))
        order = sort_order(column.values)
        return column.values[order], column.rows[order]

    def splice_of(self, name: str, count: int, removed: NDArray[Any], before: NDArray[Any]) -> Splice:
        """As `Splice`, where the former file says what ascends."""
        try:
            return Splice(count, removed, before)
        except ValueError as error:
            raise self.damaged(f"the hashes of {name} are not ascending") from error

    def owner_blocks(self, splice: Splice, owners: _Owners, new: NDArray[np.uint32]) -> Iterator[Any]:
        """The section of rows that bear hashes: former ``owners`` and inserted rows ``new``, in new numbers."""
        return splice.blocks(lambda start, end: owners.numbers[start:end], self.new_numbers[new], 4)

    def damaged(self, what: str) -> CompiledListDamagedError:
        return CompiledListDamagedError(
            f"{self.former.path}: {what}; the file is damaged: compile the list again, without it"
        )


class _Owners(NamedTuple):
    """Who bears the former hashes of an algorithm.

    Attributes:
        rows: uint32[k], the former row of each hash.
        numbers: uint32[k], its new number; `_GONE` of rows that are removed.
        gone: int64[r], the positions of those.
    """

    rows: NDArray[np.uint32]
    numbers: NDArray[np.uint32]
    gone: NDArray[np.int64]


def _sections(
    changes: _Changes,
    role: str,
    sources: Sequence[str],
    categories: Sequence[tuple[str, str]],
    hashes: Mapping[str, int],
    pool: ThreadPoolExecutor,
) -> Iterator[SectionData]:
    former, inserted = changes.former, changes.inserted
    # The former sections are verified ahead of their use, in the order of their use.
    read: list[Callable[[], Any]] = [former.reference_arrays]
    read += [getattr(former, column.method) for column in ROW_COLUMNS]
    verified = iter([pool.submit(function) for function in read])

    text = meta_text(role, sources, _entries(changes, sources), categories, hashes)
    yield SectionData("meta", 1, [text])
    offsets, references = next(verified).result()
    new_lengths = np.diff(inserted.ref_offsets.astype("<u8", copy=False))
    lengths = changes.rows.blocks(lambda start, end: np.diff(offsets[start : end + 1]), new_lengths, 8)
    yield SectionData("ref.offsets", 8, _sums(lengths, "<u8"))
    yield SectionData("ref.text", 1, _reference_blocks(changes, offsets, references))
    renumbered = {
        "row.source": _numbering([source["name"] for source in former.meta["sources"]], sources),
        "row.category": _numbering([None, *map(tuple, former.meta["categories"])], [None, *map(tuple, categories)]),
    }
    for column in ROW_COLUMNS:
        values, width = next(verified).result(), np.dtype(column.dtype).itemsize
        blocks = _row_blocks(changes, column.section, values, inserted.numbers(column), renumbered.get(column.section))
        yield SectionData(column.section, width, blocks)
    masks = former.row_masks()
    mask_blocks = changes.rows.blocks(lambda start, end: masks[start:end], hash_mask(inserted), 4)
    yield SectionData("row.mask", 4, mask_blocks)
    # One algorithm ahead, and no more: they take memory.
    found = deque(pool.submit(changes.owners, *item) for item in list(hashes.items())[:1])
    for name, following in zip_longest(hashes, list(hashes.items())[1:]):
        owners, count = found.popleft().result(), hashes[name]
        if following is not None:
            found.append(pool.submit(changes.owners, *following))
        if ALGORITHMS[name].kind is Kind.EXACT:
            yield from _digest_sections(changes, name, former.digests(name), owners, count)
        else:
            yield from _code_sections(changes, name, former.codes(name), owners, count, pool)


def _entries(changes: _Changes, sources: Sequence[str]) -> NDArray[np.int64]:
    """int64[sources]: how many rows each source has afterwards."""
    former = changes.former.meta["sources"]
    counts = np.array([source["entries"] for source in former], np.int64)
    counts -= np.bincount(changes.former.row_sources()[changes.rows.removed], minlength=len(former))
    entries = np.bincount(changes.inserted.source, minlength=len(sources))
    if len(entries) != len(sources):
        raise UsageError(f"an inserted row is of source {len(entries) - 1}; there are {len(sources)} sources")
    position = {name: number for number, name in enumerate(sources)}
    for source, count in zip(former, counts.tolist(), strict=True):
        if count < 0:
            raise changes.damaged(f"meta says {source['entries']} rows of a source that has more")
        if count and source["name"] not in position:
            raise UsageError(f"source {source['name']!r} is missing and still has {count:,} rows")
        if count:
            entries[position[source["name"]]] += count
    return entries


def _numbering(former: Sequence[Any], names: Sequence[Any]) -> NDArray[np.uint32] | None:
    """uint32[former]: the new number of each name, `_GONE` where it has none; None where all numbers stay."""
    position = {name: number for number, name in enumerate(names)}
    numbers = np.array([position.get(name, _GONE) for name in former], np.uint32)
    return None if np.array_equal(numbers, np.arange(len(former))) else numbers


def _row_blocks(
    changes: _Changes, section: str, values: NDArray[Any], new: NDArray[Any], numbers: NDArray[np.uint32] | None
) -> Iterator[NDArray[Any]]:
    """A column of rows; ``numbers`` are the new ones of what its values number, where they change."""
    if numbers is None:
        yield from changes.rows.blocks(lambda start, end: values[start:end], new, values.itemsize)
        return
    for block in changes.rows.blocks(lambda start, end: numbers[values[start:end]], new, values.itemsize):
        if np.any(block == _GONE):
            raise UsageError(f"{section}: a row that stays has a source or category that is missing")
        yield block


def _reference_blocks(
    changes: _Changes, offsets: NDArray[np.uint64], text: NDArray[np.uint8]
) -> Iterator[memoryview | bytes]:
    """The references: long stretches as they lie in the former file, short ones joined."""
    rows, new = changes.rows, memoryview(changes.inserted.ref_text)
    former = text.data
    # What happens in the former file's order: before a row others are put in, then it is removed.
    at = np.concatenate([rows.before, rows.removed])
    order = np.argsort(at, kind="stable")
    put = len(rows.before)
    starts = offsets[at].astype(np.int64)
    stops = starts.copy()
    stops[put:] = offsets[rows.removed + 1]
    new_offsets = changes.inserted.ref_offsets.astype(np.int64)
    firsts, lasts = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
    firsts[:put], lasts[:put] = new_offsets[:-1], new_offsets[1:]
    pieces: list[memoryview] = []
    size = done = 0
    events = (array[order].tolist() for array in (starts, stops, firsts, lasts))
    for start, stop, first, last in chain(zip(*events, strict=True), [(len(former), len(former), 0, 0)]):
        if start - done > _LONG:
            yield b"".join(pieces)
            yield former[done:start]
            pieces, size = [], 0
        elif start > done:
            pieces.append(former[done:start])
            size += start - done
        done = stop
        pieces.append(new[first:last])
        size += last - first
        if size > BLOCK:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join(pieces)


def _sums(blocks: Iterator[NDArray[Any]], dtype: str) -> Iterator[NDArray[Any]]:
    """0, and the sums up to each item."""
    total = np.zeros(1, dtype)
    yield total
    for block in blocks:
        if len(block):
            sums = np.cumsum(block, dtype=dtype)
            sums += total
            total = sums[-1:].copy()
            yield sums


def _digest_sections(
    changes: _Changes, name: str, section: DigestSection, owners: _Owners, count: int
) -> Iterator[SectionData]:
    former, _, table = section
    values, rows = changes.new_hashes(name)
    try:
        first, last = kernels.digest_lookup(former, table, values)
    except (OSError, ValueError) as error:
        raise changes.damaged(f"the table of {name} cannot be used ({error})") from error
    places = _bisect(owners.rows, first, last, changes.rows.before[rows])
    splice = changes.splice_of(name, len(owners.rows), owners.gone, places)
    width = ALGORITHMS[name].width
    yield SectionData(f"{name}.values", width, splice.blocks(lambda start, end: former[start:end], values, width))
    yield SectionData(f"{name}.rows", 4, changes.owner_blocks(splice, owners, rows))
    yield SectionData(f"{name}.table", 4, [_table(section, former[owners.gone], values, table_bits(count))])


def _table(section: DigestSection, gone: NDArray[np.uint8], new: NDArray[np.uint8], bits: int) -> NDArray[np.uint32]:
    """The table of ``bits`` bits once the digests ``gone`` are removed and the ``new`` ones put in."""
    had = (len(section.table) - 1).bit_length() - 1
    former = section.table[:: 1 << (had - bits)] if bits <= had else build_table(section.values, bits)
    shift = np.zeros(len(former), "<u4")  # modulo 2**32
    np.add.at(shift, prefixes(new, bits) + 1, np.uint32(1))
    np.subtract.at(shift, prefixes(gone, bits) + 1, np.uint32(1))
    np.cumsum(shift, out=shift)
    shift += former
    return shift


def _code_sections(
    changes: _Changes, name: str, section: CodeSection, owners: _Owners, count: int, pool: ThreadPoolExecutor
) -> Iterator[SectionData]:
    former, starts, _ = section
    values, rows = changes.new_hashes(name)
    # Each distinct new code, where it stands among the former ones, and whether it is one of them.
    fresh = np.ones(len(values), np.bool_)
    fresh[1:] = as_strings(values)[1:] != as_strings(values)[:-1]
    codes, bearers = values[fresh], np.diff(np.append(np.flatnonzero(fresh), len(values)))
    at = np.searchsorted(as_strings(former), as_strings(codes))
    known = np.zeros(len(codes), np.bool_)
    inside = np.flatnonzero(at < len(former))
    known[inside] = as_strings(former)[at[inside]] == as_strings(codes)[inside]

    first = starts[at].astype(np.int64)
    last = first.copy()
    last[known] = starts[at[known] + 1]
    places = _bisect(owners.rows, np.repeat(first, bearers), np.repeat(last, bearers), changes.rows.before[rows])
    splice = changes.splice_of(name, len(owners.rows), owners.gone, places)

    lengths = np.diff(starts)
    lost = np.searchsorted(starts, owners.gone.astype(np.uint32), side="right") - 1
    np.subtract.at(lengths, lost, np.uint32(1))
    np.add.at(lengths, at[known], bearers[known].astype(np.uint32))
    code_splice = changes.splice_of(name, len(former), np.flatnonzero(lengths == 0), at[~known])

    width = ALGORITHMS[name].width
    blocks = code_splice.blocks(lambda start, end: former[start:end], codes[~known], width)
    ring = has_ring(name, count)
    whole = np.empty((code_splice.total if ring else 0, width), np.uint8)
    yield SectionData(f"{name}.codes", width, _kept(blocks, whole) if ring else blocks)
    new_lengths = bearers[~known].astype(np.uint32)
    sums = _sums(code_splice.blocks(lambda a, b: lengths[a:b], new_lengths, 4), "<u4")
    yield SectionData(f"{name}.starts", 4, sums)
    yield SectionData(f"{name}.rows", 4, changes.owner_blocks(splice, owners, rows))
    if ring:
        yield from ring_sections(name, whole, pool)


def _kept(blocks: Iterator[NDArray[np.uint8]], into: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """``blocks``, which are also put together in ``into``."""
    at = 0
    for block in blocks:
        into[at : at + len(block)] = block
        yield into[at : at + len(block)]
        at += len(block)


def _bisect(
    rows: NDArray[np.uint32], low: NDArray[np.int64], high: NDArray[np.int64], bounds: NDArray[np.int64]
) -> NDArray[np.int64]:
    """int64[n]: position of the first of ``rows[low:high]``, which ascend, that is at least each bound; or ``high``."""
    low, high = low.copy(), high.copy()
    while len(active := np.flatnonzero(low < high)):
        middle = (low[active] + high[active]) >> 1
        below = rows[middle] < bounds[active]
        low[active[below]] = middle[below] + 1
        high[active[~below]] = middle[~below]
    return low
