"""NCMEC hash sharing, version 2: the XML that its service answers with, one page or a whole range in a file.

What is known of the elements stands below as data, easy to correct. The namespace must be that of version 2, or none at
all: programs that save the answers often leave it out.

Whose entry it is. Ids are a member's own, so an entry's origin is ``member <id>``, and its key the two together. The
member's name may change and is metadata.

The same id again. The service sends an entry again when it has changed, and a tombstone when it was withdrawn, in no
order of time. This reader yields what it meets, in the order of the file, and cannot know in bounded memory what came
before. Between files, the later import wins. Within one file, an id with two contents is an error of the second record,
which the import reports and skips on demand: it does not choose by timestamp.

Feedback becomes opinions of ``NCMEC member <id>`` about one hash; where a member both affirms and disputes a hash, the
dispute stands. All of it is kept as metadata too, with times and names. Values that hashmatch has no algorithm for are
metadata; of large fingerprints, which are only linked to, just their names are kept, as the links are not to be stored.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.errors import HashTextError, RecordError
from hashmatch.lists.entry import NO_QUALITY, Entry, Opinion, Retraction, canonical_json, opinions_text, pack_hashes
from hashmatch.lists.formats.cells import (
    NO_HASH,
    algorithm_of,
    check_reference,
    drop_empty,
    parse_hash,
    shown,
    shown_field,
    whole_number,
)
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions
from hashmatch.lists.formats.xml_stream import CLOSED, OPENED, RECORD, Element, Event, XmlStream, plain, root_of

__all__ = ["NAMESPACE", "detect", "read"]

NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
#: What the namespaces of all versions begin with; the version follows.
_ANY_VERSION = "https://hashsharing.ncmec.org/hashsharing/"
ROOT = "queryResult"
#: Elements that hold entries, and say how many.
CONTAINERS = ("images", "videos")
#: Elements of entries -> media type, and of tombstones.
ENTRIES: Mapping[str, str] = {"image": "image", "video": "video"}
TOMBSTONES = ("deletedImage", "deletedVideo")
PAGING, NEXT = "paging", "next"

#: Elements of an entry, each at most once. Any other is metadata.
MEMBER, TIMESTAMP, ID, CLASSIFICATION = "member", "timestamp", "id", "classification"
FINGERPRINTS, FEEDBACK = "fingerprints", "feedback"
_KNOWN = frozenset((MEMBER, TIMESTAMP, ID, CLASSIFICATION, FINGERPRINTS, FEEDBACK))
#: Categories. The scheme is ours; the codes are theirs.
SCHEME = "ncmec"
CLASSIFICATIONS = ("A1", "A2", "B1", "B2")
#: Elements of feedback -> whether it affirms.
SENTIMENTS: Mapping[str, bool] = {"affirmativeFeedback": True, "negativeFeedback": False}
#: Who gives feedback, from the member's id.
ORGANISATION = "NCMEC member {}"

_PLAIN_TIMESTAMP = re.compile(r"[0-9T:.Z+-]{1,40}").fullmatch
_EMPTY = frozenset(EMPTY_DIGESTS.values())
_PDQ_QUALITY = bytes([NO_QUALITY])
#: Characters of a hash in hexadecimal, as nearly all are written -> all that is needed to pack it.
_WIDTHS = {name: 2 * algorithm.width for name, algorithm in ALGORITHMS.items()}
_CACHED = 1 << 16

_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


def detect(head: Head) -> bool:
    """Whether it is a result of NCMEC's service of any version (of others than 2, `read` says so), or one without a
    namespace.
    """
    namespace, root = root_of(head)
    if root != ROOT:
        return False
    if namespace:
        return namespace.startswith(_ANY_VERSION)
    return any(f"<{container}" in head.text for container in CONTAINERS)


def read(source: Input, options: ReadOptions) -> Iterator[Entry | Retraction | RecordError]:
    """The entries and tombstones of a result.

    ``source.notes`` says afterwards where ``count`` attributes lie, that there is another page, and which elements
    were passed over.

    Raises:
        RecordError: not such a result, damaged or cut off: the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    stream = XmlStream(source, (*ENTRIES, *TOMBSTONES, PAGING), namespaces=(NAMESPACE,))
    reader = _Reader(options.limits)
    around = _Around(source)
    count = 0
    for event in stream:
        kind, line, parent, element, problem = event
        tag = element[0]
        if kind != RECORD or tag == PAGING or not parent:
            error = around.take(event)
            if error is not None:
                count += 1
                error.record = count
                yield error
            continue
        count += 1
        around.seen += 1
        try:
            if problem:
                raise RecordError(problem)
            yield reader.entry(element) if tag in ENTRIES else reader.tombstone(element)
        except RecordError as error:
            error.path, error.line, error.record = source.path, line, count
            yield error


class _Around:
    """What stands around the entries: is it a result, is it all of it?"""

    def __init__(self, source: Input) -> None:
        self._source = source
        self._noted: set[str] = set()
        self._stated: str | None = None
        #: Entries in the container that is open.
        self.seen = 0

    def take(self, event: Event) -> RecordError | None:
        """Take in an event, and return the error that it amounts to.

        Raises:
            RecordError: this is no result.
        """
        kind, line, parent, (tag, attributes, _, children), problem = event
        if not parent and kind in (OPENED, RECORD) and tag != ROOT:
            raise RecordError(
                f"found {_described(tag)}; expected {ROOT} of the namespace {NAMESPACE}, or of none",
                path=self._source.path,
                line=line,
            )
        if problem:
            return RecordError(problem, path=self._source.path, line=line)
        if kind == OPENED:
            if parent in CONTAINERS:
                # Whatever it is, it is an entry that we would lose.
                self.seen += 1
                reason = f"found {shown(tag)}; expected {', '.join((*ENTRIES, *TOMBSTONES))}"
                return RecordError(reason, path=self._source.path, line=line, field=parent)
            if tag in CONTAINERS:
                self.seen, self._stated = 0, attributes.get("count")
            elif parent == ROOT:
                self._note(
                    ROOT, f"{ROOT} has elements that hashmatch does not know and passes over, first {shown(tag)}"
                )
        elif kind == CLOSED and tag in CONTAINERS and self._stated is not None:
            self._compare(tag, self._stated)
        elif kind == RECORD and any(child[0] == NEXT and child[2].strip() for child in children):
            note = "the service has more than this file holds: it is one page of several (paging, next)"
            self._note(PAGING, note)
        return None

    def _compare(self, container: str, stated: str) -> None:
        try:
            wrong = whole_number(stated.strip(), "count") != self.seen
        except RecordError:
            wrong = True
        if wrong:
            self._note(container, f"{container} holds {self.seen:,} entries where its count says {shown(stated)}")

    def _note(self, about: str, note: str) -> None:
        if about not in self._noted:  # a hostile file gives cause for millions
            self._noted.add(about)
            self._source.notes.append(note)


def _described(root: str) -> str:
    namespace, _, name = root.rpartition("}")
    if name != ROOT:
        return f"the root element {shown(name)}" + (" of another namespace" if namespace else "")
    version = namespace.removeprefix("{").removeprefix(_ANY_VERSION)
    return f"{ROOT} of {shown(version)}" if len(version) < len(namespace) - 1 else f"{ROOT} of another namespace"


class _Algorithms(dict[str, "str | None"]):
    """Name of a fingerprint, as elements and feedback write it -> algorithm, or None."""

    def __missing__(self, name: str) -> str | None:
        found = algorithm_of(name)
        if len(self) < _CACHED:
            self[name] = found
        return found


class _Reader:
    """Makes entries, keeping what most of them share."""

    def __init__(self, limits: Limits) -> None:
        self._max_string = limits.max_string
        self._algorithms = _Algorithms()
        self._categories: dict[str, tuple[str, str] | None] = {code: (SCHEME, code) for code in CLASSIFICATIONS}
        #: (id, name) of a member -> (origin, the metadata's piece for its name).
        self._members: dict[tuple[str, str], tuple[str, str]] = {}
        #: Algorithms in the order of a record -> (presence mask, algorithms in the order of the packed form).
        self._orders: dict[tuple[str, ...], tuple[bytes, tuple[str, ...]]] = {}

    def entry(self, element: Element) -> Entry:
        """The entry of an element.

        Raises:
            RecordError: it is malformed.
        """
        tag, attributes, _, children = element
        found = self._fields(children)
        origin, member = self._member(found)
        metadata: dict[str, Any] = {}
        packed, dropped = self._packed(found.get(FINGERPRINTS), metadata)
        opinions = ""
        if (feedback := found.get(FEEDBACK)) is not None and feedback[3]:
            opinions = opinions_text(self._opinions(feedback))
            metadata[FEEDBACK] = self._plain(feedback)
        others = [] if _KNOWN.issuperset(found) else [child for child in children if child[0] not in _KNOWN]
        if others or attributes:
            metadata |= self._plain((tag, attributes, "", others))
        timestamp = self._text(found, TIMESTAMP)
        if not metadata and (not timestamp or _PLAIN_TIMESTAMP(timestamp)):
            # This is what canonical_json makes of the two.
            told = f'"timestamp":"{timestamp}"' if timestamp else ""
            text = f"{{{member}{',' if member and told else ''}{told}}}" if member or told else ""
        else:
            if member:
                metadata |= json.loads(f"{{{member}}}")
            if timestamp:
                metadata[TIMESTAMP] = check_reference(timestamp, TIMESTAMP, self._max_string)
            text = canonical_json(metadata)
        category = self._category(self._text(found, CLASSIFICATION))
        reference = self._reference(found)
        return _make_entry((reference, category, ENTRIES[tag], None, text, packed, dropped, opinions, origin))

    def tombstone(self, element: Element) -> Retraction:
        """The withdrawal that a tombstone is.

        Raises:
            RecordError: it is malformed.
        """
        found = self._fields(element[3])
        origin, _ = self._member(found)
        timestamp = check_reference(self._text(found, TIMESTAMP), TIMESTAMP, self._max_string)
        return Retraction(self._reference(found), f"tombstone of {timestamp}" if timestamp else "tombstone", origin)

    def _fields(self, children: list[Element]) -> dict[str, Element]:
        """Elements by tag, those that are known once each."""
        found = {child[0]: child for child in children}
        if len(found) != len(children):
            seen: set[str] = set()
            for tag, *_ in children:
                if tag in seen and tag in _KNOWN:
                    raise RecordError("found it twice; expected it once", field=tag)
                seen.add(tag)
        return found

    def _text(self, found: dict[str, Element], tag: str) -> str:
        element = found.get(tag)
        if element is None:
            return ""
        if element[3]:
            raise RecordError("found elements in it; expected text", field=tag)
        return element[2].strip()

    def _reference(self, found: dict[str, Element]) -> str:
        reference = self._text(found, ID)
        if not reference:
            raise RecordError("found nothing; expected the id of the entry", field=ID)
        return check_reference(reference, ID, self._max_string)

    def _member(self, found: dict[str, Element]) -> tuple[str, str]:
        name = self._text(found, MEMBER)
        number = found[MEMBER][1].get("id", "").strip() if MEMBER in found else ""
        known = self._members.get((number, name))
        if known is None:
            check_reference(name, MEMBER, self._max_string)
            piece = f'"member_name":{json.dumps(name, ensure_ascii=False)}' if name else ""
            known = f"member {self._member_id(number, MEMBER)}", piece
            if len(self._members) < _CACHED:
                self._members[number, name] = known
        return known

    def _member_id(self, number: str, field: str) -> str:
        if not number.strip():
            raise RecordError("found no id; expected the id of the member", field=field)
        return check_reference(number.strip(), field, self._max_string)

    def _category(self, code: str) -> tuple[str, str] | None:
        if not code:
            return None
        category = self._categories.get(code) or self._categories.get(code.upper())
        if category is None:
            raise RecordError(
                f"found {shown(code)}; expected one of {', '.join(CLASSIFICATIONS)}", field=CLASSIFICATION
            )
        return category

    def _packed(self, fingerprints: Element | None, metadata: dict[str, Any]) -> tuple[bytes, int]:
        """(packed hashes, how many digests of the empty file were dropped); the rest goes into ``metadata``.

        Raises:
            RecordError: malformed, or nothing there.
        """
        hashes: dict[str, bytes] = {}
        others: list[Element] = []
        for fingerprint in fingerprints[3] if fingerprints is not None else ():
            tag, _, text, inner = fingerprint
            algorithm = self._algorithms[tag]
            if algorithm is None or not text:
                if algorithm is not None and inner:
                    raise RecordError("found elements in it; expected text", field=shown_field(tag))
                others.append(fingerprint)
                continue
            try:
                value = binascii.unhexlify(text) if len(text) == _WIDTHS[algorithm] else parse_hash(algorithm, text)
            except ValueError:  # not hexadecimal: parse_hash says what it is
                value = self._hash(algorithm, text, tag)
            except HashTextError as error:
                error.field = shown_field(tag)
                raise
            if hashes.setdefault(algorithm, value) != value:
                raise HashTextError(f"found two different ones; expected one {algorithm}", field=shown_field(tag))
        if others:
            self._other_fingerprints(others, metadata)
        if not hashes and not metadata:
            raise RecordError(NO_HASH, field=FINGERPRINTS)
        dropped = 0 if _EMPTY.isdisjoint(hashes.values()) else drop_empty(hashes)
        algorithms = tuple(hashes)
        order = self._orders.get(algorithms)
        if order is None:
            ordered = tuple(name for name in ALGORITHMS if name in hashes)
            order = self._orders[algorithms] = pack_hashes(hashes)[:4], ordered
        if "pdq" in hashes:
            hashes["pdq"] += _PDQ_QUALITY
        mask, ordered = order
        return mask + b"".join(map(hashes.__getitem__, ordered)), dropped

    def _hash(self, algorithm: str, text: str, tag: str) -> bytes:
        try:
            return parse_hash(algorithm, text)
        except HashTextError as error:
            error.field = shown_field(tag)
            raise

    def _other_fingerprints(self, others: list[Element], metadata: dict[str, Any]) -> None:
        """Fingerprints that hashmatch has no algorithm for, those that are only linked to, and empty ones."""
        linked = sorted({tag for tag, attributes, text, _ in others if not text.strip() and "href" in attributes})
        if linked:
            metadata["large_fingerprints"] = linked
        kept = [child for child in others if child[2].strip() or child[3]]
        if kept:
            metadata["other_fingerprints"] = self._plain((FINGERPRINTS, {}, "", kept))

    def _plain(self, element: Element) -> Any:
        return plain(element, self._max_string)

    def _opinions(self, feedback: Element) -> Iterator[Opinion]:
        """What members say of the hashes. Feedback about what is no hash of ours is only metadata.

        Raises:
            RecordError: feedback that does not say about what, or by whom.
        """
        said: dict[tuple[str, str], tuple[bool, list[str]]] = {}
        for tag, attributes, _, children in feedback[3]:
            if tag not in SENTIMENTS:
                continue
            if not attributes.get("type"):
                raise RecordError("found feedback without a type; expected the fingerprint that it is about", field=tag)
            algorithm = self._algorithms[attributes["type"]]
            if algorithm is None:
                continue
            for number, reason in _voices(children, ""):
                key = algorithm, ORGANISATION.format(self._member_id(number, tag))
                affirmative, reasons = said.setdefault(key, (SENTIMENTS[tag], []))
                if affirmative and not SENTIMENTS[tag]:
                    said[key] = False, reasons
                if reason and reason not in reasons:
                    reasons.append(check_reference(reason, "reason", self._max_string))
        for (algorithm, organisation), (affirmative, reasons) in said.items():
            yield Opinion(algorithm, organisation, affirmative, "; ".join(reasons))


def _voices(children: list[Element], reason: str) -> Iterator[tuple[str, str]]:
    """(id of the member, reason) of everyone in a feedback.

    Reasons and the members who give them stand side by side: one or more ``reason``, then ``members``. Members within
    a ``reason`` are taken for its own.
    """
    reasons = [reason] if reason else []
    given = False
    for tag, attributes, text, inner in children:
        if tag == "member":
            yield attributes.get("id", ""), "; ".join(reasons)
        elif tag == "members":
            yield from _voices(inner, "; ".join(reasons))
            given = True
        elif tag == "reasons":
            yield from _voices(inner, "")
        elif tag == "reason":
            if given:
                reasons, given = [], False
            name = attributes.get("name") or attributes.get("guid") or text
            reasons.append(name.strip())
            yield from _voices(inner, name.strip())
