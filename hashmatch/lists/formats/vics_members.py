"""The members of VICS documents: their names, as data, and what the value of each may be and means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hashmatch.errors import HashTextError, RecordError
from hashmatch.lists.formats.cells import (
    algorithm_of,
    check_reference,
    int_list_hash,
    parse_hash,
    shown_field,
    whole_number,
)
from hashmatch.lists.formats.source import Limits

__all__ = [
    "ALTERNATIVES",
    "CASE_ID",
    "CASE_KEY",
    "CASE_NUMBER",
    "CATEGORY",
    "CODE",
    "DATES",
    "EMPTY",
    "FILES",
    "FLAGS",
    "HASH_NAME",
    "HASH_VALUE",
    "LEFT_OUT",
    "MAX_SIZE",
    "MIME_TYPE",
    "PICTURES",
    "PRECATEGORIZED",
    "REFERENCE",
    "ROLES",
    "SIZE",
    "TOTAL_FILES",
    "TOTAL_PRECATEGORIZED",
    "flag",
    "identifier",
    "kind_of",
    "media_type_of",
    "role_of",
    "shown_member",
    "size_of",
    "take_alternatives",
    "take_hash",
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
CODE = re.compile(r"-?[0-9]{1,9}")
MAX_SIZE = (1 << 63) - 1

_Object = dict[str, Any]


def flag(value: Any) -> Any:
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
_WRITTEN: Mapping[str, Callable[[Any], Any]] = dict.fromkeys(FLAGS, flag) | dict.fromkeys(DATES, _date)
EMPTY: tuple[Any, ...] = (None, "", [], {})
#: Members that no value inside metadata keeps: counts of a case are none of its media's.
LEFT_OUT = (TOTAL_FILES, TOTAL_PRECATEGORIZED)


def tidy(value: Any, key: str = "") -> Any:
    """A value as metadata has it, all the way down."""
    if type(value) is dict:
        tidied = {k: tidy(v, k) for k, v in value.items() if k not in LEFT_OUT}
        return {k: v for k, v in tidied.items() if v not in EMPTY}
    if type(value) is list:
        return [tidy(v, key) for v in value]
    return _WRITTEN[key](value) if key in _WRITTEN else value


def media_type_of(mime_type: str) -> str:
    word = mime_type.strip().lower()
    return "image" if word.startswith("image/") else "video" if word.startswith("video/") else "other" if word else ""


#: Member, casefolded -> what it is of an entry; hashes are found by `algorithm_of`.
ROLES = {name.casefold(): name for name in (REFERENCE, CATEGORY, SIZE, MIME_TYPE, ALTERNATIVES, *PICTURES)}


def role_of(member: str) -> str | None:
    """The name under which this module knows a member that is no metadata; an algorithm's name for a hash."""
    return ROLES.get(member.casefold()) or algorithm_of(member)


def shown_member(member: str) -> str:
    """The name of a member for a message: ours as it is, as long names look like hashes."""
    return member if member in ROLES.values() else shown_field(member)


def kind_of(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "an array" if isinstance(value, list) else "an object" if isinstance(value, dict) else "a number"


def identifier(value: Any, member: str, limits: Limits) -> str:
    """A reference or a case's name as text, "" where there is none."""
    if type(value) is int:
        value = str(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RecordError(f"found {kind_of(value)}; expected text or a whole number", field=shown_member(member))
    return check_reference(value, shown_member(member), limits.max_string) if value.strip() else ""


def size_of(member: str, value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is int and 0 <= value <= MAX_SIZE:
        return value
    if isinstance(value, str):
        return whole_number(value, shown_member(member)) if value.strip() else None
    what = "a number that is out of range" if type(value) is int else kind_of(value)
    raise RecordError(f"found {what}; expected a whole number of at least 0", field=shown_member(member))


def take_hash(hashes: dict[str, bytes], algorithm: str, value: Any, field: str) -> None:
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
            raise HashTextError(f"found {kind_of(value)}; expected text")
    except RecordError as error:
        error.field = field
        raise
    if hashes.setdefault(algorithm, found) != found:
        raise HashTextError(f"found another {algorithm} hash than before; expected one", field=field)


def take_alternatives(hashes: dict[str, bytes], member: str, value: Any) -> list[Any]:
    """Put the hashes of known algorithms among ``hashes``; the others, and what else is said of them."""
    field = shown_member(member)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RecordError(f"found {kind_of(value)} of something else; expected an array of objects", field=field)
    left = []
    for item in value:
        name = item.get(HASH_NAME)
        algorithm = algorithm_of(name) if isinstance(name, str) else None
        if algorithm is not None and item.get(HASH_VALUE) not in EMPTY:
            take_hash(hashes, algorithm, item[HASH_VALUE], f"{field}.{shown_field(name)}")
            item = {k: v for k, v in item.items() if k != HASH_VALUE}  # noqa: PLW2901
            if len(tidy(item)) == 1:
                continue
        if tidied := tidy(item):
            left.append(tidied)
    return left
