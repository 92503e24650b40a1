"""CSV with a header: the columns of `hashmatch.lists.writers.general.COLUMNS`, commas, quotes where they are due.

Cells are what the list holds, character for character: a program is to read them back. A spreadsheet may take a cell
that begins with ``=`` for a formula.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists.entry import NO_QUALITY
from hashmatch.lists.writers.account import Account, Sink, WriteOptions, checked_mask, places_of
from hashmatch.lists.writers.general import COLUMNS, LONG, rows, too_long

if TYPE_CHECKING:
    from hashmatch.lists.store import StoredEntry

__all__ = ["write"]

_LINES = 1000
# A carriage return too: the reader would take it for the end of the line.
_needs_quotes = re.compile(r'[,"\r\n]').search


def write(entries: Iterable[StoredEntry], sink: Sink, options: WriteOptions, account: Account) -> None:
    """Write all entries; without ``include_hashes`` the columns of hashes are empty."""
    no_hashes = "," * len(ALGORITHMS)  # of these and the quality
    sink((",".join(COLUMNS) + "\n").encode())
    lines: list[str] = []
    for source, ref, category, media, size, metadata, packed, opinions in rows(entries, account, options):
        if "\r\n" in ref:
            account.lost["reference: CR LF is read back as LF"] += 1
        line = (
            f"{_cell(ref) if _needs_quotes(ref) else ref},{_head(source, category, media)},"
            f"{'' if size is None else size},"
            f"{_hashes(packed) if options.include_hashes else no_hashes},"
            f"{_cell(opinions) if opinions else ''},{_cell(metadata) if metadata else ''}\n"
        )
        if len(line) > LONG and too_long(line, account):
            continue
        lines.append(line)
        if len(lines) == _LINES or len(line) > LONG:
            sink("".join(lines).encode())
            lines.clear()
    sink("".join(lines).encode())


def _cell(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


@lru_cache(maxsize=1024)
def _head(source: str, category: tuple[str, str] | None, media: str) -> str:
    cells = (source, *(category or ("", "")), media)
    return ",".join(_cell(cell) if _needs_quotes(cell) else cell for cell in cells)


@lru_cache(maxsize=1024)
def _template(mask: bytes) -> tuple[str, Callable[[str], tuple[str, ...]], int]:
    """Cells with a place for each hash that there is, what takes these out of the hex of all, where the quality is."""
    places, quality, _ = places_of(mask)
    there = dict(places)
    cells = ["%s" if name in there else "" for name in ALGORITHMS]
    # The last slice is empty, so that there are always several and the getter gives a tuple.
    cuts: list[Any] = [slice(2 * cut.start, 2 * cut.stop) for _, cut in places]
    cut: Callable[[str], tuple[str, ...]] = itemgetter(*cuts, slice(0, 0))
    return ",".join(cells) + "%s,%s", cut, quality


def _hashes(packed: bytes) -> str:
    template, cut, quality = _template(checked_mask(packed))
    stated = packed[quality] if quality else NO_QUALITY
    return template % (*cut(packed.hex()), "" if stated == NO_QUALITY else stated)
