"""JSON Lines: one object an entry, with the fields of CSV; metadata is an object and opinions are an array."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from hashmatch.lists.entry import NO_QUALITY
from hashmatch.lists.formats.fields import OPINIONS, ORIGIN, WRAPPED
from hashmatch.lists.writers.account import Account, Sink, WriteOptions, checked_mask, places_of
from hashmatch.lists.writers.general import LONG, rows, too_long

if TYPE_CHECKING:
    from hashmatch.lists.store import StoredEntry

__all__ = ["write"]

_LINES = 1000


def write(entries: Iterable[StoredEntry], sink: Sink, options: WriteOptions, account: Account) -> None:
    """Write all entries; without ``include_hashes`` a field ``algorithms`` names the hashes that an entry has."""
    lines: list[str] = []
    for source, ref, category, media, size, metadata, packed, opinions in rows(entries, account, options):
        line = f'{{"id": {quoted(ref)}, {_head(source, category, media)}'
        if size is not None:
            line += f', "size": {size}'
        line += _hashes(packed) if options.include_hashes else _names(packed)
        if opinions:
            line += f', "{OPINIONS}": {opinions}'
        line += f', "{WRAPPED}": {metadata}}}\n' if metadata else "}\n"
        if len(line) > LONG and too_long(line, account):
            continue
        lines.append(line)
        if len(lines) == _LINES or len(line) > LONG:
            sink("".join(lines).encode())
            lines.clear()
    sink("".join(lines).encode())


@lru_cache(maxsize=1024)
def _head(source: str, category: tuple[str, str] | None, media: str) -> str:
    fields = {ORIGIN: source}
    if category is not None:
        fields |= {"category_scheme": category[0], "category": category[1]}
    if media:
        fields["media_type"] = media
    return ", ".join(f'"{name}": {quoted(text)}' for name, text in fields.items())


def _names(packed: bytes) -> str:
    names = ", ".join(quoted(name) for name, _ in places_of(checked_mask(packed))[0])
    return f', "algorithms": [{names}]'


@lru_cache(maxsize=1024)
def _template(mask: bytes) -> tuple[str, Callable[[str], tuple[str, ...]], int]:
    """Fields with a place for each hash that there is, what takes these out of the hex of all, where the quality is."""
    places, quality, _ = places_of(mask)
    fields = "".join(f', "{name}": "%s"' for name, _ in places)
    # The last slice is empty, so that there are always several and the getter gives a tuple.
    cuts: list[Any] = [slice(2 * cut.start, 2 * cut.stop) for _, cut in places]
    cut: Callable[[str], tuple[str, ...]] = itemgetter(*cuts, slice(0, 0))
    return fields + "%s%s", cut, quality


def _hashes(packed: bytes) -> str:
    template, cut, quality = _template(checked_mask(packed))
    stated = packed[quality] if quality else NO_QUALITY
    return template % (*cut(packed.hex()), "" if stated == NO_QUALITY else f', "pdq_quality": {stated}')
