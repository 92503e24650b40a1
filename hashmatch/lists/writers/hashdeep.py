"""hashdeep's format: a header that declares the columns, then ``size,hash,...,filename``; the name is the reference.

hashdeep takes one header a file, the size in every row, and no empty cell: a row that lacks a hash would make it call
the file damaged, and go on. So the columns are what as many entries as possible have, found by a survey before, and
entries that lack one of them are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from hashmatch.errors import RecordError, UsageError
from hashmatch.lists.formats.cells import check_reference
from hashmatch.lists.formats.hashdeep import MAGIC
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.writers.account import (
    EMPTY,
    Account,
    SharedReferences,
    Sink,
    WriteOptions,
    checked_mask,
    lose_the_rest,
    places_of,
    without_empty,
)

if TYPE_CHECKING:
    from hashmatch.lists.store import StoredEntry

__all__ = ["HASHES", "survey", "write"]

#: Algorithms that hashdeep and hashmatch share, in the order of hashdeep's columns.
HASHES = ("md5", "sha1", "sha256")

_LINES = 1000
_MAX_STRING = Limits().max_string


def survey(entries: Iterable[StoredEntry]) -> tuple[str, ...]:
    """The columns under which the most entries can be written; among such, the most columns.

    Raises:
        UsageError: no entry can be written.
    """
    found: Counter[bytes] = Counter(
        checked_mask(stored.entry.packed) for stored in entries if _obstacle(stored.entry.ref, stored.entry.size) == ""
    )
    kinds: Counter[frozenset[str]] = Counter()
    for mask, count in found.items():
        kinds[frozenset(name for name, _ in places_of(mask)[0])] += count
    best: tuple[int, int, tuple[str, ...]] = (0, 0, ())
    for width in range(1, len(HASHES) + 1):
        for columns in combinations(HASHES, width):
            held = sum(count for names, count in kinds.items() if names >= set(columns))
            # Of two with the same number of columns, the one that ends with the stronger hash.
            best = max(best, (held, width, columns))
    if not best[0]:
        raise UsageError(
            "no entry can be written as hashdeep; expected entries with a size, a file's name as reference, and a hash "
            f"of {', '.join(HASHES)}: choose another format"
        )
    return best[2]


def write(entries: Iterable[StoredEntry], sink: Sink, options: WriteOptions, account: Account) -> None:
    """Write the entries that have a size and a hash for each of ``options.columns``."""
    if not options.columns or not set(options.columns) <= set(HASHES):
        raise UsageError(f"columns are {', '.join(options.columns) or 'none'}; expected some of {', '.join(HASHES)}")
    columns = [name for name in HASHES if name in options.columns]
    sink(f"{MAGIC}\n%%%% size,{','.join(columns)},filename\n".encode())
    lines: list[str] = []
    references = SharedReferences()
    for stored in entries:
        entry = stored.entry
        obstacle = _obstacle(entry.ref, entry.size)
        packed = entry.packed
        if not obstacle and any(digest in packed for digest in EMPTY):
            packed = without_empty(packed, account)
            if not packed:
                continue
        places = dict(places_of(checked_mask(packed))[0])
        if not obstacle and not places.keys() >= set(columns):
            obstacle = f"no {' or '.join(_missing(columns, places))} hash"
        if obstacle:
            account.left_out[obstacle] += 1
            continue
        account.written += 1
        references.add(hash(entry.ref))
        hashes = ",".join(packed[places[name]].hex() for name in columns)
        lines.append(f"{entry.size},{hashes},{entry.ref}\n")
        if len(lines) == _LINES:
            sink("".join(lines).encode())
            lines.clear()
        for name in places:
            if name not in columns:
                account.lost[f"{name} hash"] += 1
        lose_the_rest(entry, account)
    sink("".join(lines).encode())
    references.note(account)


def _missing(columns: Sequence[str], places: dict[str, slice]) -> list[str]:
    return [name for name in columns if name not in places]


def _obstacle(ref: str, size: int | None) -> str:
    """Why hashdeep cannot hold an entry, whatever its hashes; "" where it can."""
    if size is None:
        return "no size"
    if not ref:
        return "no reference"
    if not ref.isprintable():
        try:
            check_reference(ref, "filename", _MAX_STRING)
        except RecordError:
            return "a reference with line ends or other control characters"
    return ""
