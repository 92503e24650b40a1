"""What opinions make of an entry and its hashes: active, disputed or withdrawn.

Opinions come from two sides: what the source sends with an entry, and what was noted in the list itself, which takes
the place of what the source sends for the same organisation and hash.

=========  =========================================================================================================
state      rule, for one hash of an entry
=========  =========================================================================================================
withdrawn  the entry's own source says no to the hash, or to the whole entry: it is not matched
disputed   some other organisation says no to it, or to the whole entry: it is matched and marked
active     nobody says no
=========  =========================================================================================================

An affirmative opinion does not outvote a negative one: who decides is a person. An entry is withdrawn where all its
hashes are (or its source has retracted it, which deletes it), disputed where any of them is disputed or withdrawn, and
active otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists.entry import Opinion, opinions_of

__all__ = ["State", "merged_opinions", "opinion_bits", "state_of"]

_ALL = (1 << len(ALGORITHMS)) - 1


class State(StrEnum):
    """State of an entry."""

    ACTIVE = "active"
    DISPUTED = "disputed"
    WITHDRAWN = "withdrawn"


def merged_opinions(sent: str, given: Iterable[Opinion]) -> tuple[Opinion, ...]:
    """The opinions of an entry: those that came with it, and those noted here in their place or beside them.

    Raises:
        ValueError: ``sent`` is not what `opinions_text` makes.
    """
    opinions = {opinion[:2]: opinion for opinion in opinions_of(sent)}
    opinions |= {opinion[:2]: opinion for opinion in given}
    return tuple(opinions[key] for key in sorted(opinions))


def opinion_bits(source: str, opinions: Iterable[Opinion]) -> tuple[int, int]:
    """(disputed, withdrawn): a bit for every algorithm whose hash is in that state."""
    disputed = withdrawn = 0
    for opinion in opinions:
        if opinion.affirmative:
            continue
        bits = 1 << ALGORITHMS[opinion.algorithm].number if opinion.algorithm else _ALL
        if opinion.organisation == source:
            withdrawn |= bits
        else:
            disputed |= bits
    return disputed & ~withdrawn, withdrawn


def state_of(mask: int, disputed: int, withdrawn: int) -> State:
    """The state of an entry that has the hashes of ``mask``, given the bits of `opinion_bits`."""
    if mask & ~withdrawn == 0:
        return State.WITHDRAWN
    return State.DISPUTED if mask & (disputed | withdrawn) else State.ACTIVE
