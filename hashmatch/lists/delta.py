"""Deltas: what changed between two snapshots of a list, as a file; FORMATS.md defines it.

A delta leads from one snapshot to one other, and is applied to a list at the first or not at all. The result is
compared with the second before it is committed, so that two lists that share a snapshot id go on to share it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hashmatch._version import __version__
from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import DeltaError, RecordError, RoleError, UsageError, shorten
from hashmatch.lists.block import Row
from hashmatch.lists.entry import MEDIA_TYPES, Opinion, canonical_json, is_metadata, opinions_of, unpack_hashes
from hashmatch.lists.formats.cells import shown
from hashmatch.lists.formats.jsonl import parse_object
from hashmatch.lists.formats.source import Input
from hashmatch.lists.names import encodable, source_name
from hashmatch.lists.schema import ROLES
from hashmatch.lists.versions import KeyChange, key_changes, opinion_changes, resolve

if TYPE_CHECKING:
    from hashmatch.lists.list_file import ChangeInProgress
    from hashmatch.lists.store import HashList

__all__ = ["DeltaSummary", "apply_delta", "write_delta"]

#: Version of the format.
VERSION = 1
#: Rows that are put into the list at once.
_BATCH = 20_000
#: Bytes of their texts and hashes at which fewer are put in.
_BATCH_BYTES = 32 << 20
#: What becomes of a key. ``put``: this is its entry now (a retraction that stood is taken back); ``remove``: it has no
#: entry any more, and no retraction; ``retract`` and ``restore``: its retraction, made and taken back without an entry.
_KINDS = ("put", "remove", "retract", "restore")

_SNAPSHOT = re.compile("[0-9a-f]{64}").fullmatch


@dataclass
class DeltaSummary:
    """What a delta holds, or what applying one did.

    Attributes:
        base, target: hex snapshot ids that it leads from and to.
        counts: record kind -> how many.
        name, bytes, sha256: of the file that was applied.
    """

    base: str
    target: str
    counts: dict[str, int] = field(default_factory=dict)
    name: str = ""
    bytes: int = 0
    sha256: str = ""


# ---------------------------------------------------------------------- writing


def write_delta(
    known: HashList, write: Callable[[bytes], object], since: str, until: str | None = None
) -> DeltaSummary:
    """Write what changed between two snapshots of a list.

    Args:
        known: the list.
        write: takes the bytes.
        since: the base; a snapshot id or the number of a change, see `versions.resolve`.
        until: the target; None: the list as it is.

    Raises:
        UsageError: an unknown snapshot, ``until`` before ``since``, or an entry of ``until`` that has been withdrawn
            since, so that its hashes are gone.
        ListDamagedError: the list is damaged.
    """
    with known.reading():
        first = resolve(known, since)
        last = None if until is None else resolve(known, until)
        snapshots = [known.empty_snapshot(), *(change.snapshot.hex() for change in known.history.changes())]
        if last is not None and last < first:
            raise UsageError(
                f"{known.path}: the delta would lead back, from change {first} to {last}; exchange the two"
            )
        base, target = snapshots[first], snapshots[-1 if last is None else last]
        summary = DeltaSummary(base, target)
        digest = hashlib.sha256()

        def line(value: Mapping[str, Any]) -> None:
            text = canonical_json(value).encode() + b"\n"
            digest.update(text)
            write(text)

        line({"hashmatch_delta": VERSION, "role": known.role, "base": base, "target": target, "tool": __version__})
        counts: Counter[str] = Counter()
        for changes in key_changes(known, first, last):
            kind, record = _record(known, changes)
            line({kind: record})
            counts[kind] += 1
        for changed in opinion_changes(known, first, last):
            line({"opinion": _opinion_record(changed.source, changed.ref, changed.before, changed.after)})
            counts["opinion"] += 1
        summary.counts = {kind: counts[kind] for kind in (*_KINDS, "opinion")}
        write(canonical_json({"end": summary.counts, "sha256": digest.hexdigest()}).encode() + b"\n")
        return summary


def _record(known: HashList, changed: KeyChange) -> tuple[str, dict[str, Any]]:
    """(kind, record) of what becomes of a key."""
    source, ref, before, after = changed
    key: dict[str, Any] = {"source": source, "ref": ref}
    if after.retracted:
        return "retract", key | {"reason": after.reason}
    if not after.content:
        return ("restore" if before.retracted else "remove"), key
    if after.row is None:
        raise UsageError(
            f"{known.path}: entry {shorten(ref)} of {shorten(source)} was withdrawn after that snapshot, and its "
            "hashes are deleted; write the delta to the present state"
        )
    return "put", key | _put(after.row)


def _put(row: Row) -> dict[str, Any]:
    _, category, media, size, metadata, packed, opinions, _ = row
    record: dict[str, Any] = {"hashes": base64.b64encode(packed).decode()}
    if category is not None:
        record["category"] = list(category)
    if media:
        record["media_type"] = media
    if size is not None:
        record["size"] = size
    if metadata:
        record["metadata"] = metadata
    if opinions:
        record["opinions"] = opinions
    return record


def _opinion_record(source: str, ref: str, before: Opinion | None, after: Opinion | None) -> dict[str, Any]:
    stated = after or before
    record: dict[str, Any] = {"source": source, "ref": ref}
    if stated is not None:
        record |= {"algorithm": stated.algorithm, "organisation": stated.organisation}
    if after is not None:
        record |= {"affirmative": after.affirmative, "reason": after.reason}
    return record


# ---------------------------------------------------------------------- applying


def apply_delta(known: HashList, source: Input, change: ChangeInProgress) -> DeltaSummary:
    """Apply a delta inside a change, whose result the caller compares with the summary's target before it commits.

    Raises:
        DeltaError: not a delta, damaged, or one that does not lead on from where the list is.
        RoleError: of a list of the other role.
        InputError: the file cannot be read.
    """
    reader = _Reader(source)
    summary = reader.header(known)
    writer = _Writer(known, change.number)
    counts: Counter[str] = Counter()
    try:
        for kind, record in reader.records():
            counts[kind] += 1
            writer.take(kind, record)
        writer.flush()
    except (KeyError, TypeError, ValueError, RecordError) as error:
        raise reader.problem(f"found a record that no list writes ({error!r})") from error
    summary.counts = {kind: counts[kind] for kind in (*_KINDS, "opinion")}
    if reader.end != summary.counts:
        raise reader.problem(f"found {summary.counts}; its last line says otherwise")
    return summary


class _Reader:
    """The lines of a delta, verified."""

    def __init__(self, source: Input) -> None:
        self._source = source
        self._lines = source.lines()
        self._digest = hashlib.sha256()
        self.end: dict[str, Any] = {}

    def problem(self, reason: str) -> DeltaError:
        """An error at the line that was read last."""
        place = f"{self._source.path}: line {self._source.line_number:,}"
        return DeltaError(f"{place}: {reason}; the list was not changed: get the delta again")

    def _next(self) -> tuple[dict[str, Any], bytes]:
        try:
            line = next(self._lines, None)
            if line is None:
                raise self.problem('found the end of the file; expected its last line, which says {"end": ...}')
            return parse_object(line, self._source.limits), line.encode() + b"\n"
        except RecordError as error:
            raise self.problem(f"found what is no line of a delta ({error})") from error

    def header(self, known: HashList) -> DeltaSummary:
        """Read the first line; refuse a delta that does not lead on from where the list is."""
        try:
            found, raw = self._next()
        except DeltaError as error:
            # Whatever stands there: it is somebody's hash list, or nothing of ours.
            if isinstance(error.__cause__, RecordError):
                raise DeltaError(
                    f"{self._source.path}: begins like no delta; expected the output of `hashmatch list delta`; the "
                    "list was not changed: a hash list is read with `hashmatch list import`"
                ) from error
            raise
        if found.get("hashmatch_delta") != VERSION:
            raise self.problem(f"found no delta of version {VERSION}; expected the output of `hashmatch list delta`")
        self._digest.update(raw)
        base, target, role = found.get("base"), found.get("target"), found.get("role")
        if not (isinstance(base, str) and isinstance(target, str) and _SNAPSHOT(base) and _SNAPSHOT(target)):
            raise self.problem("found no snapshots; expected base and target")
        if role not in ROLES:
            expected = " or ".join(map(repr, ROLES))
            raise self.problem(f"found a delta of a list of role {shown(str(role))}; expected {expected}")
        if role != known.role:
            raise RoleError(
                f"{self._source.path}: is of a list of role {role!r}; {known.path} is of role {known.role!r}; nothing "
                "was changed: apply it to the list that it was made for"
            )
        if base != known.snapshot:
            raise DeltaError(f"{self._source.path}: {_misfit(known, base, target)}; nothing was changed")
        return DeltaSummary(base, target)

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(kind, record) of all lines between the first and the last."""
        while True:
            found, raw = self._next()
            if "end" in found:
                if found.get("sha256") != self._digest.hexdigest():
                    raise self.problem("found another digest than its lines have")
                if next(self._lines, None) is not None:
                    raise self.problem("found more after its last line")
                self.end = found["end"]
                return
            self._digest.update(raw)
            kind, record = next(iter(found.items()), ("", None))
            if len(found) != 1 or kind not in (*_KINDS, "opinion") or not isinstance(record, dict):
                raise self.problem(f"found {shown(', '.join(found))}; expected one of {', '.join(_KINDS)} or opinion")
            texts = (record.get("source"), record.get("ref"))
            if not all(isinstance(text, str) and text and "\0" not in text and encodable(text) for text in texts):
                raise self.problem(f"found a {kind} without source and reference")
            yield kind, record


def _misfit(known: HashList, base: str, target: str) -> str:
    """Why a delta does not lead on from where a list is."""
    passed = {known.empty_snapshot(): 0}
    passed |= {change.snapshot.hex(): change.number for change in known.history.changes()}
    here = f"{known.path} is at {known.snapshot[:16]}..."
    if target == known.snapshot:
        return f"is applied already: {here}, where it leads"
    if target in passed:
        return f"is applied already: its target was reached with change {passed[target]}; {here}"
    if base in passed:
        return (
            f"leads on from an earlier state ({base[:16]}..., change {passed[base]}), but the list has changed since; "
            f"{here}: get a delta from there"
        )
    return f"leads on from {base[:16]}..., which the list has not reached; {here}: apply the deltas before it first"


class _Writer:
    """Puts the records of a delta into the list, in batches of one source."""

    def __init__(self, known: HashList, number: int) -> None:
        self._known = known
        self._number = number
        self._name = ""
        self._source = 0
        self._last = ""
        self._last_opinion = ("", "", "")
        self._opinions = False
        self._bytes = 0
        self._restored: list[str] = []
        self._retracted: dict[str, str] = {}
        self._changes: list[tuple[str, Row | None]] = []

    def take(self, kind: str, record: Mapping[str, Any]) -> None:
        """Take one record.

        Raises:
            KeyError, TypeError, ValueError, RecordError: not what a list writes.
        """
        name, ref = record["source"], record["ref"]
        if name != self._name:
            self.flush()
            if name < self._name and (self._opinions or kind != "opinion"):
                raise ValueError("sources that are not in order")
            self._use(name)
        if kind == "opinion":
            self.flush()
            self._opinions = True
            self._take_opinion(ref, record)
            return
        if ref <= self._last or self._opinions:
            raise ValueError("references that are not in order")
        self._last = ref
        if kind == "put":
            row = _row(ref, record, self._number)
            self._changes.append((ref, row))
            self._bytes += len(row[4]) + len(row[5]) + len(row[6])
        elif kind == "remove":
            self._changes.append((ref, None))
        elif kind == "retract":
            self._retracted[ref] = _text(record, "reason", "")
        if kind in ("put", "restore"):
            self._restored.append(ref)
        self._bytes += len(ref)
        waiting = len(self._restored) + len(self._retracted) + len(self._changes)
        if waiting >= _BATCH or self._bytes >= _BATCH_BYTES:
            self.flush()

    def _use(self, name: str) -> None:
        if not _is_name(name):
            raise ValueError("a source whose name is none")
        self._name, self._last, self._source = name, "", self._known.add_source(name)
        self._last_opinion = ("", "", "")

    def _take_opinion(self, ref: str, record: Mapping[str, Any]) -> None:
        algorithm, organisation = _text(record, "algorithm"), _text(record, "organisation")
        if algorithm and algorithm not in ALGORITHMS:
            raise ValueError("an unknown algorithm")
        if not _is_name(organisation):
            raise ValueError("an organisation whose name is none")
        if (ref, algorithm, organisation) <= self._last_opinion:
            raise ValueError("opinions that are not in order")
        self._last_opinion = (ref, algorithm, organisation)
        opinion: Opinion | tuple[str, str] = (algorithm, organisation)
        if "affirmative" in record:
            if type(record["affirmative"]) is not bool:
                raise ValueError("an opinion that is neither")
            opinion = Opinion(algorithm, organisation, record["affirmative"], _text(record, "reason"))
            if self._known.blocks.find(self._source, ref) is None:
                raise ValueError("an opinion on an entry that is not there")
        self._known.history.give_opinion(self._source, ref, opinion, self._number)

    def flush(self) -> None:
        """Write what is waiting."""
        history, source, name, number = self._known.history, self._source, self._name, self._number
        if self._restored:
            history.restore(source, self._restored, number)
        if self._retracted:
            history.withdraw(source, name, self._retracted, number)
        if self._changes:

            def judge(old: Row | None, new: Row | None) -> Row | None:
                if old is not None:
                    history.supersede(source, name, old, number)
                return new

            self._known.blocks.apply(source, self._changes, judge)
        self._restored, self._retracted, self._changes, self._bytes = [], {}, [], 0


def _row(ref: str, record: Mapping[str, Any], number: int) -> Row:
    try:
        packed = base64.b64decode(record["hashes"], validate=True)
    except binascii.Error as error:
        raise ValueError("hashes that are not base64") from error
    if not unpack_hashes(packed)[0]:
        raise ValueError("an entry without hashes")
    category = record.get("category")
    if category is not None and (
        not isinstance(category, list)
        or len(category) != 2
        or not all(isinstance(text, str) and "\0" not in text for text in category)
        or not any(category)
    ):
        raise ValueError("a category that is none")
    size = record.get("size")
    if size is not None and (type(size) is not int or not 0 <= size < 1 << 63):
        raise ValueError("a size that is none")
    media, metadata, opinions = (_text(record, key, "") for key in ("media_type", "metadata", "opinions"))
    if media and media not in MEDIA_TYPES:
        raise ValueError("an unknown media type")
    if metadata and not is_metadata(metadata):
        raise ValueError("metadata that is not canonical")
    try:
        opinions_of(opinions)
    except ValueError:
        # What it says quotes from them.
        raise ValueError("opinions that no import writes") from None
    return (ref, tuple(category) if category else None, media, size, metadata, packed, opinions, number)


def _is_name(text: str) -> bool:
    try:
        return source_name(text) == text
    except UsageError:
        return False


def _text(record: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = record[key] if default is None else record.get(key, default)
    if not isinstance(value, str) or "\0" in value or not encodable(value):
        raise ValueError(f"{key} that is no text")
    return value


def refuse_other_target(summary: DeltaSummary, found: str) -> None:
    """Whether applying led where the delta says.

    Raises:
        DeltaError: it did not.
    """
    if found != summary.target:
        raise DeltaError(
            f"{summary.name}: leads to {found[:16]}..., its header says {summary.target[:16]}...: it is damaged, or "
            "was not made of this list; nothing was changed"
        )
