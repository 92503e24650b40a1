"""What a list said at one change and at another: by key, in order, in memory that does not grow with the list."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from hashmatch.errors import ListDamagedError, UsageError, shorten
from hashmatch.lists.block import Row
from hashmatch.lists.entry import Opinion, content_digest, opinions_of, unpack_hashes
from hashmatch.lists.hash_like import masked
from hashmatch.lists.history import Change, Former, Tombstone

if TYPE_CHECKING:
    from hashmatch.lists.store import HashList

__all__ = [
    "Event",
    "Field",
    "KeyChange",
    "KeyState",
    "OpinionChange",
    "changed_fields",
    "describe",
    "key_changes",
    "life",
    "list_differences",
    "opinion_changes",
    "opinion_differences",
    "opinion_text",
    "resolve",
]

#: Hexadecimal digits of a snapshot id that name it, at least.
_FEWEST_DIGITS = 8


class KeyState(NamedTuple):
    """What a list says of a key at one moment.

    Attributes:
        content: `content_digest` of its entry; None where there is none.
        row: the entry; None where there is none, or where it has been withdrawn since: its hashes are deleted then.
        retracted: whether a retraction stands.
        reason: of the retraction.
    """

    content: bytes | None
    row: Row | None
    retracted: bool
    reason: str


class KeyChange(NamedTuple):
    """A key of which a list says something else at two moments."""

    source: str
    ref: str
    before: KeyState
    after: KeyState


class OpinionChange(NamedTuple):
    """An opinion that was noted in the list and differs between two moments; None where there is none."""

    source: str
    ref: str
    before: Opinion | None
    after: Opinion | None


class Field(NamedTuple):
    """A field in which two versions of an entry differ; "" stands for nothing. Values of hashes are never shown."""

    name: str
    before: str
    after: str


def resolve(known: HashList, text: str) -> int:
    """The number of the change that ``text`` names: a number (0: before the first), or a snapshot id or its first eight
    digits or more, which stands for the last change that led to it.

    Raises:
        UsageError: the list has no such change.
    """
    changes = list(known.history.changes())
    if re.fullmatch("[0-9]{1,7}", text) and int(text) <= len(changes):
        return int(text)
    wanted = text.lower()
    found: dict[str, int] = {}
    if re.fullmatch(f"[0-9a-f]{{{_FEWEST_DIGITS},64}}", wanted):
        found = {change.snapshot.hex(): change.number for change in changes if change.snapshot.hex().startswith(wanted)}
        empty = known.empty_snapshot()
        if empty.startswith(wanted):
            found.setdefault(empty, 0)
    if len(found) != 1:
        reason = f"stands for {len(found)} snapshots" if found else "is no snapshot that it had"
        raise UsageError(
            f"{known.path}: {shorten(text)} {reason}; expected the number of a change (0 to {len(changes)}), or at "
            f"least {_FEWEST_DIGITS} digits of a snapshot id: `hashmatch list log {known.path}` shows them"
        )
    return found.popitem()[1]


def key_changes(known: HashList, first: int, last: int | None = None) -> Iterator[KeyChange]:
    """The keys that differ between the state after change ``first`` and that after ``last`` (None: now).

    Ordered by source and reference. Call it inside ``known.reading()``.

    Raises:
        ListDamagedError: a block or the history is damaged.
    """
    for name, number in known.source_numbers().items():
        streams: tuple[Iterator[tuple[str, Any]], ...] = (
            ((row[0], row) for rows in known.blocks.rows(number, newer_than=first) for row in rows if row[7] > first),
            ((former.ref, former) for former in _sound(known, known.history.former_since(first, number))),
            ((tombstone.ref, tombstone) for tombstone in known.history.tombstones_since(first, number)),
        )
        for ref, group in groupby(heapq.merge(*streams, key=itemgetter(0)), itemgetter(0)):
            items = [item for _, item in group]
            before, after = (_state(name, items, at) for at in (first, last))
            if (before.content, before.retracted) != (after.content, after.retracted):
                yield KeyChange(name, ref, before, after)


def _sound(known: HashList, formers: Iterator[Former]) -> Iterator[Former]:
    try:
        yield from formers
    except ValueError as error:
        raise ListDamagedError(f"{known.path}: its history is damaged ({error})") from error


def _state(source: str, items: list[Any], at: int | None) -> KeyState:
    """What the versions and retractions of one key make of it after change ``at``."""
    content: bytes | None = None
    row: Row | None = None
    retracted, reason = False, ""
    for item in items:
        if isinstance(item, Tombstone):
            if (at is None or item.change <= at) and (item.undone is None or (at is not None and item.undone > at)):
                retracted, reason = True, item.reason
        elif isinstance(item, Former):
            if at is not None and item.since <= at < item.ended:
                content, row = item.content, item.row
        elif at is None or item[7] <= at:
            content, row = content_digest(source, item), item
    return KeyState(content, row, retracted, reason)


def list_differences(ours: HashList, theirs: HashList) -> Iterator[KeyChange]:
    """The keys of which two lists say different things: ``before`` is ours, ``after`` theirs.

    Ordered by source and reference. Blocks that both have are not looked into. Call it inside ``reading()`` of both.

    Raises:
        ListDamagedError: a block is damaged.
    """
    numbers = [known.source_numbers() for known in (ours, theirs)]
    for name in sorted({*numbers[0], *numbers[1]}):
        sides = []
        shared = set.intersection(
            *(
                set(known.blocks.digests(of[name])) if name in of else set()
                for known, of in zip((ours, theirs), numbers, strict=True)
            )
        )
        for side, (known, of) in enumerate(zip((ours, theirs), numbers, strict=True)):
            if name in of:
                sides.append(_side(known, of[name], side, shared))
        for ref, group in groupby(heapq.merge(*sides, key=itemgetter(0)), itemgetter(0)):
            states = [KeyState(None, None, False, "")] * 2
            for _, side, item in group:
                if isinstance(item, Tombstone):
                    states[side] = KeyState(None, None, True, item.reason)
                else:
                    states[side] = KeyState(content_digest(name, item), item, False, "")
            if states[0][::2] != states[1][::2]:
                yield KeyChange(name, ref, *states)


def _side(known: HashList, source: int, side: int, shared: set[bytes]) -> Iterator[tuple[str, int, Any]]:
    rows = (
        (row[0], side, row)
        for block in known.blocks.of_source(source)
        if block.digest not in shared
        for row in known.blocks.verified(block)
    )
    tombstones = ((tombstone.ref, side, tombstone) for tombstone in known.history.standing(source))
    return heapq.merge(rows, tombstones, key=itemgetter(0))


class Event(NamedTuple):
    """Something that happened to an entry: with which change, and what, as people read it."""

    change: int
    text: str


def life(known: HashList, source: str, ref: str) -> list[Event]:
    """What happened to an entry, oldest first: how it came, what became of it, what was said of it.

    Raises:
        UsageError: the list never had such an entry.
        ListDamagedError: the list is damaged.
    """
    with known.reading():
        number = known.source_number(source)
        versions: list[tuple[int, int | None, Row | None]] = [
            (former.since, former.ended, former.row)
            for former in _sound(known, iter(known.history.former(number, ref)))
        ]
        if (row := known.blocks.find(number, ref)) is not None:
            versions.append((row[7], None, row))
        tombstones = known.history.tombstones(number, ref)
        opinions = known.history.opinion_versions(number, ref)
        known_changes = known.history.times()
    # In the order in which one change does such things.
    events = [Event(t.undone, "retraction taken back") for t in tombstones if t.undone is not None]
    retracted = {tombstone.change for tombstone in tombstones}
    for former, (since, _, now) in zip([None, *versions], versions, strict=False):
        if former is None or former[1] != since:
            events.append(Event(since, "added"))
        elif former[2] is None or now is None:
            events.append(Event(since, "replaced (what it said was deleted when it was retracted)"))
        else:
            fields = (f"{f.name} {f.before or '-'} -> {f.after or '-'}" for f in changed_fields(former[2], now))
            events.append(Event(since, f"replaced: {'; '.join(fields)}"))
    ends = {since for since, _, _ in versions}
    events += [
        Event(ended, "removed")
        for _, ended, _ in versions
        if ended is not None and ended not in ends and ended not in retracted
    ]
    for opinion, since, ended in opinions:
        events.append(Event(since, opinion_text(opinion)))
        if ended is not None and ended not in retracted:
            events.append(Event(ended, f"no longer: {opinion_text(opinion)}"))
    events += [Event(t.change, "retracted" + (f": {t.reason}" if t.reason else "")) for t in tombstones]
    if not events:
        raise UsageError(
            f"{known.path}: source {shorten(source)} never had an entry {shorten(ref)}; correct the reference"
        )
    if any(event.change not in known_changes for event in events):
        raise ListDamagedError(f"{known.path}: the life of entry {shorten(ref)} names a change that is gone")
    return sorted(events, key=itemgetter(0))


def opinion_changes(known: HashList, first: int, last: int | None = None) -> Iterator[OpinionChange]:
    """The opinions noted in the list that differ between two changes, by source, reference, algorithm and organisation;
    see `key_changes`.
    """
    for name, number in known.source_numbers().items():
        found = known.history.opinions_since(first, number)
        for (ref, _, _), group in groupby(found, lambda item: (item[0], item[1][0], item[1][1])):
            versions = [item[1:] for item in group]
            before, after = _opinion_at(versions, first), _opinion_at(versions, last)
            if before != after:
                yield OpinionChange(name, ref, before, after)


def _opinion_at(versions: list[tuple[Opinion, int, int | None]], moment: int | None) -> Opinion | None:
    """The one of (opinion, change that brought it, change that ended it) that stood after change ``moment``."""
    for opinion, since, ended in versions:
        if (moment is None or since <= moment) and (ended is None or (moment is not None and moment < ended)):
            return opinion
    return None


def opinion_differences(ours: HashList, theirs: HashList) -> Iterator[OpinionChange]:
    """The opinions noted in two lists that differ: ``before`` is ours, ``after`` theirs; see `list_differences`."""
    numbers = [known.source_numbers() for known in (ours, theirs)]
    for name in sorted({*numbers[0], *numbers[1]}):
        sides = [
            {
                (ref, *opinion[:2]): opinion
                for ref, opinions in (known.history.opinions(of[name]) if name in of else {}).items()
                for opinion in opinions
            }
            for known, of in zip((ours, theirs), numbers, strict=True)
        ]
        for key in sorted(sides[0].keys() | sides[1].keys()):
            before, after = (side.get(key) for side in sides)
            if before != after:
                yield OpinionChange(name, key[0], before, after)


def changed_fields(before: Row, after: Row) -> list[Field]:
    """In what two versions of an entry differ: hashes by algorithm, never by value; metadata by key."""
    fields = []
    for name, old, new in (
        ("category", ":".join(before[1] or ()), ":".join(after[1] or ())),
        ("media type", before[2], after[2]),
        ("size", _number(before[3]), _number(after[3])),
    ):
        if old != new:
            fields.append(Field(name, old, new))
    old_metadata, new_metadata = (json.loads(row[4]) if row[4] else {} for row in (before, after))
    for key in sorted(old_metadata.keys() | new_metadata.keys()):
        old, new = (json.dumps(m[key], ensure_ascii=False) if key in m else "" for m in (old_metadata, new_metadata))
        if old != new:
            fields.append(Field(f"metadata {masked(key)}", *_shown(old, new)))
    old_hashes, new_hashes = unpack_hashes(before[5])[0], unpack_hashes(after[5])[0]
    for algorithm in {**old_hashes, **new_hashes}:
        if old_hashes.get(algorithm) != new_hashes.get(algorithm):
            old, new = ("a hash" if algorithm in hashes else "" for hashes in (old_hashes, new_hashes))
            fields.append(Field(algorithm, old, "another hash" if old and new else new))
    quality = [str(unpack_hashes(row[5])[1].get("pdq", "")) for row in (before, after)]
    if quality[0] != quality[1]:
        fields.append(Field("pdq quality", *quality))
    if before[6] != after[6]:
        fields.append(
            Field("opinions", *("; ".join(map(opinion_text, opinions_of(row[6]))) for row in (before, after)))
        )
    return fields


def _shown(old: str, new: str) -> tuple[str, str]:
    """Two values of metadata, as JSON text: a format may have digests there that no hash of ours is."""
    shown = [masked(text, "(a hash)") for text in (old, new)]
    if shown == [old, new]:
        return old, new
    if old[:1] in ("[", "{") and new[:1] in ("[", "{") and shown[0] != shown[1]:
        return shown[0], shown[1]
    before, after = (text if text == one else "a hash" for text, one in zip((old, new), shown, strict=True))
    return before, "another hash" if before == after else after


def opinion_text(opinion: Opinion) -> str:
    """An opinion as people read it."""
    about = opinion.algorithm or "the entry"
    reason = f" ({opinion.reason})" if opinion.reason else ""
    return f"{opinion.organisation} {'confirms' if opinion.affirmative else 'disputes'} {about}{reason}"


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def describe(change: Change) -> str:
    """One line about a change, without its number and time."""
    what = [change.operation, *filter(None, (change.source, change.name and f"from {change.name}"))]
    counts = ", ".join(f"{count:,} {name}" for name, count in change.counts.items() if count)
    return f"{' '.join(what)}: {counts or 'nothing changed'}"
