"""From the media objects of a VICS document to entries: what each member is, and two ways to read an object.

`MediaReader.entry` takes any object and says what is wrong with it. `MediaReader.quick` takes what is as usual, by a
plan for the order of its members, and gives up on anything else. Both give the same entries: a test compares them.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any, NamedTuple

from hashmatch.algorithms import EMPTY_DIGESTS
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
from hashmatch.lists.formats.json_stream import Batch, canonical_encoder
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
#: Orders of members, and media types, that are kept.
_KEPT = 4_096

_PHOTODNA_TEXT = 192
_MD5, _SHA1, _PHOTODNA = (pack_hashes({n: bytes(w)})[:4] for n, w in (("md5", 16), ("sha1", 20), ("photodna", 144)))
#: (has MD5, has SHA-1, has PhotoDNA) -> presence mask of the packed hashes.
_MASKS = {
    (a, b, c): bytes(x * a | y * b | z * c for x, y, z in zip(_MD5, _SHA1, _PHOTODNA, strict=True))
    for a in (False, True)
    for b in (False, True)
    for c in (False, True)
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

_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


def _role(member: str) -> str | None:
    """The name under which this module knows a member that is no metadata; an algorithm's name for a hash."""
    return _ROLES.get(member.casefold()) or algorithm_of(member)


class _Plan(NamedTuple):
    """What is to be done with objects whose members stand in a certain order.

    Attributes:
        members: those that are metadata as they come.
        flags, dates: those among them that may have to be written in another way.
        unusual: those that take the object off the fast way where they are not empty.
    """

    members: tuple[str, ...]
    flags: tuple[str, ...]
    dates: tuple[str, ...]
    unusual: tuple[str, ...]


class _Plans(dict[tuple[str, ...], "_Plan | None"]):
    """Members in their order -> plan, or None where a member is written in an unusual way."""

    def __missing__(self, names: tuple[str, ...]) -> _Plan | None:
        usual = {REFERENCE, CATEGORY, SIZE, ALTERNATIVES, *_USUAL_HASHES}
        roles = {name: role for name in names if (role := _role(name)) is not None}
        unusual = {name for name in roles if name not in usual and name != MIME_TYPE} | {CASE_KEY} & set(names)
        members = tuple(name for name in names if name not in usual | unusual)
        plan = None
        # A hash under another name than ours stands among the unusual ones; another spelling of the others does not.
        if all(role == name or role not in _ROLES.values() for name, role in roles.items()):
            flags, dates = (tuple(name for name in members if name in known) for known in (FLAGS, DATES))
            plan = _Plan(members, flags, dates, tuple(unusual))
        if len(self) >= _KEPT:
            self.clear()
        self[names] = plan
        return plan


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
        self._plain_case = canonical_encoder(True)(case) == canonical_encoder(False)(case)
        self._plans = _Plans()
        self._categories: dict[int, tuple[str, str]] = {}
        self._media_types: dict[str | None, str] = {None: "", "": ""}

    def _prefix_of(self, case: _Object) -> str | None:
        """What stands before a MediaID, or None where the case has no name."""
        for member in (CASE_ID, CASE_NUMBER):
            if (name := _identifier(case.get(member), member, self._limits)) != "":
                return f"{name}/"
        return None

    def entries(self, batch: Batch) -> list[Entry | RecordError]:
        """The entries of a batch, or what is wrong with them, in its order."""
        encode = canonical_encoder(batch.plain and self._plain_case)
        found: list[Entry | RecordError] = []
        self.failed = []
        for fields in batch.objects:
            try:
                entry = self.quick(fields, encode)  # type: ignore[arg-type]  # an error has no members: TypeError
            except (TypeError, ValueError, KeyError, AttributeError):
                entry = None
            if entry is not None:
                found.append(entry)
                continue
            try:
                if isinstance(fields, RecordError):
                    raise fields
                found.append(self.entry(fields, encode))
            except RecordError as error:
                self.failed.append(len(found))
                found.append(error)
        if self.case is not None:
            for fields in batch.objects:
                if isinstance(fields, dict):
                    self._count(fields)
        return found

    def _count(self, fields: _Object) -> None:
        files = fields.get(FILES)
        number = len(files) if isinstance(files, list) else 0
        self.files += number
        if _flag(fields.get(PRECATEGORIZED)) is True:
            media, of_files = self.precategorized
            self.precategorized = media + 1, of_files + number

    # The fast way

    def quick(self, fields: _Object, encode: Callable[[Any], bytes]) -> Entry | None:
        """The entry of an object that is as usual; else None, or any error that comes of using a value as what it is
        not.
        """
        plan = self._plans[tuple(fields)]
        if plan is None:
            return None
        for name in plan.unusual:
            if fields[name] not in _EMPTY:
                return None
        get = fields.get
        # Hashes
        md5, sha1, photodna = get("MD5", ""), get("SHA1", ""), get("PhotoDNA", "")
        if md5 is None:
            md5 = ""
        if sha1 is None:
            sha1 = ""
        alternatives = get(ALTERNATIVES)
        if alternatives is not None and alternatives != []:
            (item,) = alternatives
            if photodna or len(item) != 2 or item[HASH_NAME] != "PhotoDNA":
                return None
            photodna = item[HASH_VALUE]
        if len(md5) not in (0, 32) or len(sha1) not in (0, 40):
            return None
        packed = binascii.unhexlify(md5 + sha1)
        if packed.startswith(_EMPTY_MD5) or packed.endswith(_EMPTY_SHA1):
            return None
        has_photodna = photodna is not None and photodna != ""
        if has_photodna:
            raw = binascii.a2b_base64(photodna)
            if len(raw) != 144 or len(photodna) != _PHOTODNA_TEXT:
                return None
            packed += raw
        if not packed:
            return None
        mask = _MASKS[md5 != "", sha1 != "", has_photodna]
        # What is no metadata
        ref = get(REFERENCE)
        if ref.__class__ is int:
            ref = str(ref)
        elif not (ref.__class__ is str and ref.isprintable() and ref.strip()) or len(ref) > self._limits.max_string:
            return None
        if self._prefix is None:
            return None
        code, size, mime_type = get(CATEGORY), get(SIZE), get(MIME_TYPE)
        category = None
        if code is not None:
            if code.__class__ is not int:
                return None
            category = self._categories.get(code) or self._category(code)
        if size is not None and (size.__class__ is not int or not 0 < size <= _MAX_SIZE):
            return None
        media_type = self._media_types.get(mime_type)
        if media_type is None:
            media_type = self._media_type(mime_type)
        # Metadata: what is empty but neither false nor 0 is left out
        metadata = {name: v for name in plan.members if (v := fields[name]) or v is False or v == 0}
        for name in plan.flags:
            if (v := fields[name]).__class__ is str and v:
                metadata[name] = _flag(v)
        for name in plan.dates:
            if (v := fields[name]).__class__ is str and "/Date(" in v:
                metadata[name] = _date(v)
        if self.case:
            metadata[CASE_KEY] = self.case
        text = encode(metadata).decode() if metadata else ""
        if "[" in text or text.find("{", 1) > 0:
            inner = [name for name in plan.members if fields[name].__class__ in (list, dict)]
            if inner:
                for name in inner:
                    if (v := tidy(fields[name], name)) not in _EMPTY:
                        metadata[name] = v
                    else:
                        metadata.pop(name, None)
                text = encode(metadata).decode() if metadata else ""
        return _make_entry((self._prefix + ref, category, media_type, size, text, mask + packed, 0, "", ""))

    def _category(self, code: int) -> tuple[str, str]:
        if len(self._categories) >= _KEPT:
            self._categories.clear()
        text = str(code)
        if not _CODE.fullmatch(text):
            raise ValueError("an unusual code")
        self._categories[code] = category = (self._scheme, text)
        return category

    def _media_type(self, mime_type: Any) -> str:
        if len(self._media_types) >= _KEPT:
            self._media_types.clear()
        self._media_types[mime_type] = found = _media_type(mime_type)
        return found

    # The plain way

    def entry(self, fields: _Object, encode: Callable[[Any], bytes]) -> Entry:
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
        return entry._replace(metadata=encode(metadata).decode()) if metadata else entry

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
