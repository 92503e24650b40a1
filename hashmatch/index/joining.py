"""A sequence from which some items are removed and into which others are put, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch.index.section_writer import items_per_block

__all__ = ["Splice", "joined"]

#: Items for each change from which on stretches between changes are copied as they are, and not item by item.
_SPARSE = 64


class Splice:
    """A sequence of ``count`` items from which some are removed and into which others are put.

    Attributes:
        count: former items.
        total: items afterwards.
        removed: int64[r], positions of former items, strictly ascending.
        before: int64[m], the former position before which each new item stands, ascending, at most ``count``.
    """

    def __init__(self, count: int, removed: NDArray[np.integer[Any]], before: NDArray[np.integer[Any]]) -> None:
        """Raises ValueError where positions do not ascend or lie outside."""
        self.count = count
        self.removed, self.before = removed.astype(np.int64, copy=False), before.astype(np.int64, copy=False)
        for positions, least, limit in ((self.removed, 1, count), (self.before, 0, count + 1)):
            if len(positions) and (
                positions[0] < 0 or positions[-1] >= limit or np.any(positions[1:] - positions[:-1] < least)
            ):
                raise ValueError("positions do not ascend or lie outside")
        self.total = count - len(removed) + len(before)

    def places(self) -> NDArray[np.int64]:
        """int64[m]: where each new item stands afterwards."""
        return self.before + np.arange(len(self.before)) - np.searchsorted(self.removed, self.before)

    def blocks(self, part: Callable[[int, int], NDArray[Any]], new: NDArray[Any], width: int) -> Iterator[NDArray[Any]]:
        """The items afterwards: ``part(start, end)`` are former ones, ``new`` those put in; ``width`` bytes each."""
        step = items_per_block(width)
        edges = [*range(0, self.count, step), self.count] if self.count else [0, 0]
        removed = np.searchsorted(self.removed, edges)
        before = np.searchsorted(self.before, edges)
        before[-1] = len(self.before)
        for (start, end), gone, put in zip(pairwise(edges), pairwise(removed), pairwise(before), strict=True):
            items = part(start, end)
            if gone[0] < gone[1] or put[0] < put[1]:
                places = slice(*put)
                items = joined(items, self.removed[slice(*gone)] - start, new[places], self.before[places] - start)
            yield items


def joined(
    part: NDArray[Any], removed: NDArray[np.int64], new: NDArray[Any], before: NDArray[np.int64]
) -> NDArray[Any]:
    """``part`` without the items at ``removed``, and with ``new`` before those at ``before``."""
    splice = Splice(len(part), removed, before)
    if not len(part):
        return new.astype(part.dtype, copy=False)
    if len(part) >= _SPARSE * (len(removed) + len(before)):
        return _stretches(part, removed, new.astype(part.dtype, copy=False), before)
    # Where the item comes from that stands at each place: one further on behind each that is removed, one back behind
    # each that is put in.
    origin = np.zeros(splice.total + 1, np.int64)
    behind = removed - np.arange(len(removed)) + np.searchsorted(before, removed, side="right")
    places = splice.places()
    np.add.at(origin, behind, 1)
    np.subtract.at(origin, places + 1, 1)
    np.cumsum(origin, out=origin)
    origin += np.arange(splice.total + 1)
    result = part.take(origin[:-1], axis=0, mode="clip")
    result[places] = new
    return result


def _stretches(
    part: NDArray[Any], removed: NDArray[np.int64], new: NDArray[Any], before: NDArray[np.int64]
) -> NDArray[Any]:
    """As `joined`: what lies between changes is copied in one go."""
    # In order: before an item others are put in, then it is removed.
    order = np.argsort(np.concatenate([before, removed]), kind="stable").tolist()
    places, gone = before.tolist(), removed.tolist()
    put = len(places)
    pieces = []
    done = 0
    for change in order:
        at = places[change] if change < put else gone[change - put]
        if at > done:
            pieces.append(part[done:at])
            done = at
        if change < put:
            pieces.append(new[change : change + 1])
        else:
            done = at + 1
    pieces.append(part[done:])
    return np.concatenate(pieces)
