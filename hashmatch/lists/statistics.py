"""Figures about a list. None of them contains a hash, a reference or anything that a source wrote about a case."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import ListDamagedError, shorten
from hashmatch.lists.block import HEADER, unpack_tags
from hashmatch.lists.blocks import StoredBlock
from hashmatch.lists.entry import MEDIA_NAMES
from hashmatch.lists.states import State, merged_opinions, opinion_bits, state_of

if TYPE_CHECKING:
    from hashmatch.lists.store import HashList

__all__ = ["count_entries", "count_months", "count_states"]

_Facet = tuple[tuple[str, str] | None, int, int]


def _facets(block: bytes) -> Counter[_Facet]:
    """(category, number of the media type, mask) -> entries of a block, without its texts and hashes."""
    n, count, length, *_ = HEADER.unpack_from(block)
    at = HEADER.size
    numbers = struct.unpack_from(f"<{n}H", block, at)
    kinds = block[at + 2 * n : at + 3 * n]
    masks = struct.unpack_from(f"<{n}I", block, at + 11 * n)
    texts = block[at + 15 * n : at + 15 * n + length].decode().split("\0")
    categories = [None, *zip(texts[: 2 * count : 2], texts[1 : 2 * count : 2], strict=True)]
    found = Counter(zip(numbers, kinds, masks, strict=True))
    return Counter({(categories[number], kind, mask): k for (number, kind, mask), k in found.items()})


def count_entries(known: HashList) -> dict[str, dict[str, int]]:
    """Counts by source, category, algorithm and media type. Reads every block.

    Raises:
        ListDamagedError: a block that no import writes.
    """
    sources: Counter[str] = Counter()
    by_category: Counter[str] = Counter()
    algorithms: Counter[str] = Counter()
    media: Counter[str] = Counter()
    for name, number in known.source_numbers().items():
        sources[name] = 0
        groups: Counter[_Facet] = Counter()
        for block in known.blocks.of_source(number):
            groups.update(_of_block(known, block))
        for (category, kind, mask), count in groups.items():
            sources[name] += count
            by_category[":".join(category) if category is not None else "(none)"] += count
            media[MEDIA_NAMES.get(kind) or "(not stated)"] += count
            for algorithm in ALGORITHMS.values():
                algorithms[algorithm.name] += count * (mask >> algorithm.number & 1)
    return {
        "sources": dict(sources),
        "categories": dict(sorted(by_category.items())),
        "algorithms": {name: algorithms[name] for name in ALGORITHMS if algorithms[name]},
        "media_types": dict(sorted(media.items())),
    }


def count_states(known: HashList) -> dict[str, int]:
    """State -> entries: active, disputed, withdrawn (whose source says no to all their hashes); see `states`."""
    found: Counter[str] = Counter({state.value: 0 for state in State})
    for name, number in known.source_numbers().items():
        given = known.history.opinions(number)
        for block in known.blocks.of_source(number):
            # The last part of a block holds the opinions that came with its entries: most have none.
            if not given and len(block.rows) >= HEADER.size and not HEADER.unpack_from(block.rows)[6]:
                found[State.ACTIVE] += block.entries
                continue
            for row in known.blocks.verified(block):
                opinions = merged_opinions(row[6], given.get(row[0], ()))
                bits = opinion_bits(name, opinions) if opinions else (0, 0)
                found[state_of(int.from_bytes(row[5][:4], "little"), *bits)] += 1
    return dict(found)


def _of_block(known: HashList, block: StoredBlock) -> Counter[_Facet]:
    try:
        return _facets(block.rows)
    except (struct.error, IndexError, ValueError) as error:
        raise ListDamagedError(
            f"{known.path}: the block of entries that ends with {shorten(block.last)} is damaged ({error}); "
            "`hashmatch list check` says more"
        ) from error


def count_months(known: HashList) -> dict[str, int]:
    """Month (``2026-11``) -> entries that came, as they are now, with a change of that month. Reads every block."""
    months = {number: at[:7] for number, at in known.history.times().items()}
    found: Counter[str] = Counter()
    for number in known.source_numbers().values():
        for block in known.blocks.of_source(number):
            try:
                found.update(months[change] for change in unpack_tags(block.changes))
            except (KeyError, ValueError) as error:
                raise ListDamagedError(
                    f"{known.path}: the block of entries that ends with {shorten(block.last)} names a change that is "
                    f"gone, or is damaged ({error}); `hashmatch list check` says more"
                ) from error
    return dict(sorted(found.items()))
