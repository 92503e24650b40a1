"""From the media objects of a VICS document to entries: what each member is, and two ways to read an object.

The plain way, `MediaReader.entry`, takes any object and says what is wrong with it. The fast way, in `entries`, takes
objects with the same members in the same order column by column, and gives up as soon as anything is unusual; they are
then halved until the unusual objects are alone, and those go the plain way. Both give the same entries: a test compares
them.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from itertools import chain, repeat
from json.encoder import encode_basestring
from operator import add
from typing import Any, NamedTuple

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.errors import HashTextError, RecordError
from hashmatch.lists.entry import Entry, pack_hashes
from hashmatch.lists.formats.cells import (
    NO_HASH,
    algorithm_of,
    check_reference,
    drop_empty,
    int_list_hash,
    parse_hash,
    shown,
    shown_field,
    whole_number,
)
from hashmatch.lists.formats.json_stream import Batch
from hashmatch.lists.formats.source import Limits

__all__ = [
    "CASE_ID",
    "CASE_KEY",
    "CASE_NUMBER",
    "TOTAL_FILES",
    "TOTAL_PRECATEGORIZED",
    "MediaReader",
    "tidy",
]

#: Members of a media object, by what they are; hashes are known by `algorithm_of`. The case of a member never matters,
#: but only as written here it goes the fast way.
REFERENCE, CATEGORY, SIZE, MIME_TYPE, ALTERNATIVES = "MediaID", "Category", "MediaSize", "MimeType", "AlternativeHashes"
HASH_NAME, HASH_VALUE = "HashName", "HashValue"
FLAGS = (
    "VictimIdentified",
    "OffenderIdentified",
    "IsDistributed",
    "IsSuspected",
    "SelfGenerated",
    "IsPrecategorized",
    "Unallocated",
    "Deleted",
)
DATES = ("DateUpdated", "Created", "Written", "Accessed", "SeizureDate")
#: Members with a picture in them.
PICTURES = ("Miniature",)
FILES, PRECATEGORIZED = "MediaFiles", "IsPrecategorized"
#: Members of a case.
CASE_ID, CASE_NUMBER = "CaseID", "CaseNumber"
TOTAL_FILES, TOTAL_PRECATEGORIZED = "TotalMediaFiles", "TotalPrecategorized"

#: Under which key a media object's metadata has the facts of its case.
CASE_KEY = "Case"

_NET_DATE = re.compile(r"/Date\((-?[0-9]{1,15})([+-][0-9]{4})?\)/")
_WORDS = {"true": True, "false": False}
_CODE = re.compile(r"-?[0-9]{1,9}")
_MAX_SIZE = (1 << 63) - 1
#: Orders of members, categories, media types, and pieces of each member's metadata, that are kept.
_KEPT = 4_096
#: Parts of at most so many objects are not halved any more when something in them is unusual.
_FEW = 4
_NUMBERS = {int, type(None)}
_TEXTS = {str, type(None)}
_WORDS_OR_TEXTS = {str, bool, type(None)}

#: (characters of MD5, SHA-1 and PhotoDNA) as usual -> presence mask of the packed hashes, in hexadecimal.
_MASKS = {
    (32 * md5, 40 * sha1, 192 * photodna): pack_hashes(
        {
            name: bytes(ALGORITHMS[name].width)
            for name, there in (("md5", md5), ("sha1", sha1), ("photodna", photodna))
            if there
        }
    )[:4].hex()
    for md5 in (False, True)
    for sha1 in (False, True)
    for photodna in (False, True)
    if md5 or sha1 or photodna
}
_EMPTY_MD5, _EMPTY_SHA1 = EMPTY_DIGESTS["md5"], EMPTY_DIGESTS["sha1"]


_Object = dict[str, Any]

# Values


def _flag(value: Any) -> Any:
    """A boolean where text says one."""
    return _WORDS.get(value.strip().lower(), value) if type(value) is str else value


def _date(value: Any) -> Any:
    """ISO 8601 where text is in .NET's form; with the offset that it states, else in UTC."""
    found = _NET_DATE.fullmatch(value.strip()) if type(value) is str and "/Date(" in value else None
    if found is None:
        return value
    zone = UTC
    if offset := found[2]:
        minutes = 60 * int(offset[1:3]) + int(offset[3:])
        if minutes >= 24 * 60:
            return value
        zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    try:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(found[1]))
        text = instant.astimezone(zone).isoformat(timespec="milliseconds")
    except OverflowError:
        return value
    return text.removesuffix("+00:00") + "Z" if not found[2] else text


#: Member -> how its value is written in metadata, where not as it came.
_WRITTEN: Mapping[str, Callable[[Any], Any]] = dict.fromkeys(FLAGS, _flag) | dict.fromkeys(DATES, _date)
_EMPTY: tuple[Any, ...] = (None, "", [], {})
_INSIDE_CASE = {TOTAL_FILES, TOTAL_PRECATEGORIZED}


def tidy(value: Any, key: str = "") -> Any:
    """A value as metadata has it, all the way down; counts of a case are none of its media's."""
    if type(value) is dict:
        tidied = {k: tidy(v, k) for k, v in value.items() if k not in _INSIDE_CASE}
        return {k: v for k, v in tidied.items() if v not in _EMPTY}
    if type(value) is list:
        return [tidy(v, key) for v in value]
    return _WRITTEN[key](value) if key in _WRITTEN else value


def _media_type(mime_type: str) -> str:
    word = mime_type.strip().lower()
    return "image" if word.startswith("image/") else "video" if word.startswith("video/") else "other" if word else ""


# Media

#: Member, casefolded -> what it is of an entry; hashes are found by `algorithm_of`.
_ROLES = {name.casefold(): name for name in (REFERENCE, CATEGORY, SIZE, MIME_TYPE, ALTERNATIVES, *PICTURES)}
#: Hashes that the fast way takes.
_USUAL_HASHES = ("MD5", "SHA1", "PhotoDNA")

#: As `canonical_json`, with the encoder made once.
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


def _role(member: str) -> str | None:
    """The name under which this module knows a member that is no metadata; an algorithm's name for a hash."""
    return _ROLES.get(member.casefold()) or algorithm_of(member)


class _Pieces(dict[Any, str]):
    """A member's value -> its piece of the metadata's JSON text, made at its first use and kept while there is room.

    Text, booleans and None only: a number may be equal to a boolean.
    """

    def __init__(self, member: str) -> None:
        self.member = member
        self.start = f",{_encode(member)}:"

    def __missing__(self, value: Any) -> str:
        if len(self) >= _KEPT:
            self.clear()
        self[value] = piece = self.make(value)
        return piece

    def make(self, value: Any) -> str:
        """The piece of any value: "" for one that is left out."""
        tidied = tidy(value, self.member)
        return "" if tidied in _EMPTY else self.start + _encode(tidied)


class _Plan(NamedTuple):
    """What is to be done with objects whose members stand in a certain order.

    Attributes:
        metadata: the members that are metadata, in the order of their names, and whether most values differ.
        unusual: those that take an object off the fast way where they are not empty.
    """

    metadata: tuple[tuple[_Pieces, bool], ...]
    unusual: tuple[str, ...]

    @classmethod
    def of(cls, columns: Mapping[str, tuple[Any, ...]]) -> _Plan | None:
        """The plan for objects with such values, or None where a member is written in an unusual way."""
        usual = {REFERENCE, CATEGORY, SIZE, ALTERNATIVES, *_USUAL_HASHES}
        roles = {name: role for name in columns if (role := _role(name)) is not None}
        # A hash under another name than ours stands among the unusual ones; another spelling of the others does not.
        if not all(role == name or role not in _ROLES.values() for name, role in roles.items()):
            return None
        unusual = {name for name in roles if name not in usual and name != MIME_TYPE} | {CASE_KEY} & set(columns)
        metadata = []
        for name in sorted(set(columns) - usual - unusual):
            texts = [value for value in columns[name] if isinstance(value, str)]
            metadata.append((_Pieces(name), 2 * len(set(texts)) > len(columns[name]) > _FEW))
        return cls(tuple(metadata), tuple(unusual))


class _Categories(dict[int | None, tuple[str, str] | None]):
    """The number of a category -> category."""

    def __init__(self, scheme: str) -> None:
        self[None] = None
        self._scheme = scheme

    def __missing__(self, code: int | None) -> tuple[str, str]:
        text = str(code)
        if len(self) >= _KEPT or not _CODE.fullmatch(text):
            raise KeyError("an unusual code")
        self[code] = category = self._scheme, text
        return category


class _MediaTypes(dict[Any, str]):
    """The MIME type -> media type."""

    def __missing__(self, mime_type: Any) -> str:
        if len(self) >= _KEPT:
            self.clear()
        self[mime_type] = found = "" if mime_type is None else _media_type(mime_type)
        return found


class MediaReader:
    """What makes entries of the media of one document, or of one case.

    Attributes:
        case: what each entry says of its case; None in a document without cases.
        failed: indices of the errors in what `entries` gave last.
        pictures: media of which pictures were left out.
        files: MediaFiles of all media so far; counted for cases only.
        precategorized: media so far that are precategorised, and their MediaFiles; counted for cases only.
    """

    def __init__(self, scheme: str, limits: Limits, case: _Object | None = None) -> None:
        self.case = case
        self.failed: list[int] = []
        self.pictures = 0
        self.files = 0
        self.precategorized = (0, 0)
        self._scheme = scheme
        self._limits = limits
        self._prefix: str | None = "" if case is None else self._prefix_of(case)
        self._case_piece = f",{_encode(CASE_KEY)}:{_encode(case)}" if case else ""
        self._plans: dict[tuple[str, ...], _Plan | None] = {}
        self._categories = _Categories(scheme)
        self._media_types = _MediaTypes()

    def _prefix_of(self, case: _Object) -> str | None:
        """What stands before a MediaID, or None where the case has no name."""
        for member in (CASE_ID, CASE_NUMBER):
            if (name := _identifier(case.get(member), member, self._limits)) != "":
                return f"{name}/"
        return None

    def entries(self, batch: Batch) -> list[Entry | RecordError]:
        """The entries of a batch, or what is wrong with them, in its order."""
        objects = batch.objects
        found: list[Any] = [None] * len(objects)
        for names, places in _by_members(objects).items():
            # Halved until what is unusual is alone.
            parts = [(0, len(places))]
            while parts:
                first, end = parts.pop()
                part: list[Any] = [objects[place] for place in places[first:end]]
                entries = self._columns(names, part) if names else None
                if entries is None and len(part) > _FEW:
                    middle = (first + end) // 2
                    parts += ((middle, end), (first, middle))
                    continue
                for place, item in zip(places[first:end], entries or map(self._entry_or_error, part), strict=True):
                    found[place] = item
        self.failed = [place for place, item in enumerate(found) if type(item) is not Entry]
        if self.case is not None:
            for fields in objects:
                if isinstance(fields, dict):
                    self._count(fields)
        return found

    def _entry_or_error(self, fields: _Object | RecordError) -> Entry | RecordError:
        if isinstance(fields, RecordError):
            return fields
        try:
            return self.entry(fields)
        except RecordError as error:
            return error

    def _count(self, fields: _Object) -> None:
        files = fields.get(FILES)
        number = len(files) if isinstance(files, list) else 0
        self.files += number
        if _flag(fields.get(PRECATEGORIZED)) is True:
            media, of_files = self.precategorized
            self.precategorized = media + 1, of_files + number

    # The fast way

    def _columns(self, names: tuple[str, ...], objects: Sequence[_Object]) -> list[Entry] | None:
        """The entries of objects with the same members in the same order, or None where something asks for the plain
        way.
        """
        columns = dict(zip(names, zip(*map(dict.values, objects), strict=True), strict=True))
        if names not in self._plans:
            if len(self._plans) >= _KEPT:
                self._plans.clear()
            self._plans[names] = _Plan.of(columns)
        plan = self._plans[names]
        if plan is None or self._prefix is None:
            return None
        if any(value not in _EMPTY for name in plan.unusual for value in columns[name]):
            return None
        nothing = (None,) * len(objects)
        codes, sizes, mime_types = (columns.get(name, nothing) for name in (CATEGORY, SIZE, MIME_TYPE))
        if not (set(map(type, codes)) | set(map(type, sizes))) <= _NUMBERS:
            return None
        stated = [size for size in sizes if size is not None]
        if stated and not (min(stated) > 0 and max(stated) <= _MAX_SIZE):
            return None
        try:
            packed = self._packed(*(columns.get(name, nothing) for name in (*_USUAL_HASHES, ALTERNATIVES)))
            references = self._references(columns.get(REFERENCE, nothing))
            categories = list(map(self._categories.__getitem__, codes))
            media_types = list(map(self._media_types.__getitem__, mime_types))
        except (TypeError, ValueError, KeyError, AttributeError):  # a value that is not what it is used as
            return None
        if packed is None or references is None:
            return None
        metadata = self._metadata(plan, columns, len(objects))
        rows = zip(
            references,
            categories,
            media_types,
            sizes,
            metadata,
            packed,
            repeat(0),
            repeat(""),
            repeat(""),
            strict=False,
        )
        return list(map(_make_entry, rows))

    def _references(self, values: Sequence[Any]) -> list[str] | None:
        types = set(map(type, values))
        references = list(map(str, values))
        if types != {int}:
            joined = "".join(references)
            if types != {str} or not joined.isprintable() or len(joined) > self._limits.max_string:
                return None
            if not all(map(str.strip, references)):
                return None
        return [self._prefix + reference for reference in references] if self._prefix else references

    def _packed(
        self, md5: Sequence[Any], sha1: Sequence[Any], photodna: Sequence[Any], alternatives: Sequence[Any]
    ) -> list[bytes] | None:
        """The packed hashes of every object."""
        md5, sha1, photodna = (["" if v is None else v for v in values] for values in (md5, sha1, photodna))
        if set(map(type, alternatives)) != {type(None)}:
            photodna = list(map(_photodna_of, photodna, alternatives))
        if not set(map(type, chain(md5, sha1, photodna))) <= {str}:
            return None
        masks = list(map(_MASKS.__getitem__, zip(map(len, md5), map(len, sha1), map(len, photodna), strict=True)))
        packed = list(map(binascii.unhexlify, map("".join, zip(masks, md5, sha1, strict=True))))
        joined = b"".join(packed)
        if _EMPTY_MD5 in joined or _EMPTY_SHA1 in joined:
            return None
        decoded = list(map(binascii.a2b_base64, photodna))
        if sum(map(len, decoded)) != 144 * (len(photodna) - photodna.count("")):
            return None  # a2b_base64 passes over what is not base64
        return list(map(add, packed, decoded))

    def _metadata(self, plan: _Plan, columns: Mapping[str, Sequence[Any]], count: int) -> list[str]:
        """The metadata of every object."""
        pieces: list[Iterable[str]] = []
        case = self._case_piece
        for made, differs in plan.metadata:
            if case and made.member > CASE_KEY:
                pieces.append(repeat(case, count))
                case = ""
            values = columns[made.member]
            types = set(map(type, values))
            if (
                differs
                and types <= _TEXTS
                and (made.member not in DATES or not any("/Date(" in v for v in values if v))
            ):
                start = made.start
                pieces.append([start + encode_basestring(v) if v else "" for v in values])
            elif types <= _WORDS_OR_TEXTS:
                pieces.append(map(made.__getitem__, values))
            else:
                pieces.append(map(made.make, values))
        if case:
            pieces.append(repeat(case, count))
        if not pieces:
            return [""] * count
        return [f"{{{text[1:]}}}" if text else "" for text in map("".join, zip(*pieces, strict=True))]

    # The plain way

    def entry(self, fields: _Object) -> Entry:
        """The entry of any object.

        Raises:
            RecordError: the object is malformed.
        """
        hashes: dict[str, bytes] = {}
        metadata: _Object = {}
        roles: dict[str, tuple[str, Any]] = {}
        has_picture = False
        for member, value in fields.items():
            role = _role(member)
            if value in _EMPTY:
                continue
            if role is None:
                if (tidied := tidy(value, member)) not in _EMPTY:
                    metadata[member] = tidied
            elif role in PICTURES:
                has_picture = True
            elif role not in _ROLES.values():
                _take_hash(hashes, role, value, _shown(member))
            elif role in roles:
                raise RecordError(f"found it as {roles[role][0]!r} too; expected it once", field=member)
            else:
                roles[role] = (member, value)
        if left := _take_alternatives(hashes, *roles.get(ALTERNATIVES, (ALTERNATIVES, []))):
            metadata[ALTERNATIVES] = left
        if not hashes:
            raise RecordError(NO_HASH)
        dropped = drop_empty(hashes)
        ref = _identifier(roles.get(REFERENCE, ("", None))[1], roles.get(REFERENCE, (REFERENCE,))[0], self._limits)
        if ref and self._prefix is None:
            metadata[REFERENCE] = roles[REFERENCE][1]
        size = _size(*roles.get(SIZE, (SIZE, None)))
        if size == 0:
            metadata[SIZE] = 0
        media_type = ""
        if MIME_TYPE in roles:
            member, value = roles[MIME_TYPE]
            if not isinstance(value, str):
                raise RecordError(f"found {_kind(value)}; expected text", field=_shown(member))
            media_type = _media_type(value)
            metadata[MIME_TYPE] = value
        if self.case:
            if CASE_KEY in metadata:
                raise RecordError(
                    "found a member of the name under which the facts of the case are kept", field=CASE_KEY
                )
            metadata[CASE_KEY] = self.case
        entry = Entry.make(
            "" if self._prefix is None or not ref else self._prefix + ref,
            hashes,
            category=self._category_of(*roles.get(CATEGORY, (CATEGORY, None))),
            media_type=media_type,
            size=size or None,
            dropped=dropped,
        )
        self.pictures += has_picture
        return entry._replace(metadata=_encode(metadata)) if metadata else entry

    def _category_of(self, member: str, value: Any) -> tuple[str, str] | None:
        if value is None:
            return None
        text = str(value) if type(value) is int and abs(value) < 10**9 else value
        if not isinstance(text, str) or not _CODE.fullmatch(text.strip()):
            what = shown(text) if isinstance(text, str) else _kind(value)
            raise RecordError(f"found {what}; expected a category's number, or null", field=_shown(member))
        return self._scheme, str(int(text))


def _shown(member: str) -> str:
    """The name of a member for a message: ours as it is, as long names look like hashes."""
    return member if member in _ROLES.values() else shown_field(member)


def _by_members(objects: Sequence[Any]) -> Mapping[tuple[str, ...], Sequence[int]]:
    """Members in their order -> the places of the objects that have them so; () for errors, and for no members."""
    names = [tuple(item) if type(item) is dict else () for item in objects]
    if names.count(names[0]) == len(names):
        return {names[0]: range(len(names))}
    places: dict[tuple[str, ...], list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return places


def _photodna_of(photodna: Any, alternatives: Any) -> Any:
    """The text of a PhotoDNA hash, whether it stands by itself or as the only alternative hash.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: there are others.
    """
    if alternatives is None or alternatives == []:
        return photodna
    (item,) = alternatives
    if photodna != "" or len(item) != 2 or item[HASH_NAME] != "PhotoDNA":
        raise ValueError("other hashes")
    return item[HASH_VALUE]


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "an array" if isinstance(value, list) else "an object" if isinstance(value, dict) else "a number"


def _identifier(value: Any, member: str, limits: Limits) -> str:
    """A reference or a case's name as text, "" where there is none."""
    if type(value) is int:
        value = str(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RecordError(f"found {_kind(value)}; expected text or a whole number", field=_shown(member))
    return check_reference(value, _shown(member), limits.max_string) if value.strip() else ""


def _size(member: str, value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is int and 0 <= value <= _MAX_SIZE:
        return value
    if isinstance(value, str):
        return whole_number(value, _shown(member)) if value.strip() else None
    what = "a number that is out of range" if type(value) is int else _kind(value)
    raise RecordError(f"found {what}; expected a whole number of at least 0", field=_shown(member))


def _take_hash(hashes: dict[str, bytes], algorithm: str, value: Any, field: str) -> None:
    """Put the hash that a member states among ``hashes``; ``field``: how messages name the member.

    Raises:
        HashTextError: it is malformed, or another one of its algorithm is there.
    """
    try:
        if isinstance(value, str):
            if not value.strip():
                return
            found = parse_hash(algorithm, value)
        elif algorithm == "photodna" and isinstance(value, list) and all(type(n) is int for n in value):
            found = int_list_hash(algorithm, value)
        else:
            raise HashTextError(f"found {_kind(value)}; expected text")
    except RecordError as error:
        error.field = field
        raise
    if hashes.setdefault(algorithm, found) != found:
        raise HashTextError(f"found another {algorithm} hash than before; expected one", field=field)


def _take_alternatives(hashes: dict[str, bytes], member: str, value: Any) -> list[Any]:
    """Put the hashes of known algorithms among ``hashes``; the others, and what else is said of them."""
    field = _shown(member)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RecordError(f"found {_kind(value)} of something else; expected an array of objects", field=field)
    left = []
    for item in value:
        name = item.get(HASH_NAME)
        algorithm = algorithm_of(name) if isinstance(name, str) else None
        if algorithm is not None and item.get(HASH_VALUE) not in _EMPTY:
            _take_hash(hashes, algorithm, item[HASH_VALUE], f"{field}.{shown_field(name)}")
            item = {k: v for k, v in item.items() if k != HASH_VALUE}  # noqa: PLW2901
            if len(tidy(item)) == 1:
                continue
        if tidied := tidy(item):
            left.append(tidied)
    return left
