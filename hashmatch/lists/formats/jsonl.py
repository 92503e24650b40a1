"""JSON Lines: one object a line, with the fields of generic CSV, whatever their case.

Hashes stand among the fields or in an object ``hashes``; a ``photodna`` hash may also be a list of 144 numbers. A PDQ
quality may stand in ``quality`` or ``pdq_quality``, or in an object ``quality`` under ``pdq``. Every other field is
kept as metadata, whatever its value; so is ``status``, and where it is text other than ``ok``, as ``hashmatch hash``
writes it of a file that it cannot use, the record may be without a hash.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from hashmatch.errors import HashTextError, RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats.cells import (
    algorithm_of,
    check_identifier,
    check_reference,
    check_text,
    int_list_hash,
    media_type,
    parse_hash,
    percentage,
    shown,
    shown_field,
    whole_number,
)
from hashmatch.lists.formats.fields import (
    OPINIONS,
    ORIGIN,
    STATUS,
    WRAPPED,
    entry_of,
    note_origin,
    opinions_value,
    role_of,
    says_unreadable,
)
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions

__all__ = ["detect", "parse_object", "read"]


def detect(head: Head) -> bool:
    """Whether the first line is an object with a hash (or of a file that could not be hashed), or begins like an object
    and is longer than the head.
    """
    if not head.lines:
        # A first line that is longer than the head cannot be parsed; how it begins must do.
        return not (head.complete or head.is_binary) and head.text.lstrip().startswith('{"')
    if not head.lines[0].lstrip().startswith("{"):
        return False
    try:
        found = json.loads(head.lines[0])
    except (ValueError, RecursionError):
        return False
    nested = [value for key, value in found.items() if key.lower() == "hashes" and isinstance(value, dict)]
    if any(algorithm_of(key) is not None for fields in (found, *nested) for key in fields):
        return True
    return _is_unreadable(found) and any(role_of(key) == "ref" for key in found)


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a JSON Lines file.

    Raises:
        RecordError: the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    count = 0
    for line in source.lines():
        if not line.strip(" \t"):
            continue
        count += 1
        try:
            yield _entry(parse_object(line, options.limits, is_record=True), options.limits, source.origins)
        except RecordError as error:
            error.path, error.line, error.record = source.path, source.line_number, count
            yield error


def _is_unreadable(fields: dict[str, Any]) -> bool:
    return any(key.strip().lower() == STATUS and says_unreadable(value) for key, value in fields.items())


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    """The first key that was there before; some are in ``pairs``."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice = _repeated(pairs)
        raise RecordError(f"found the key {shown(twice)} twice; expected every key once")
    return fields


def _constant(text: str) -> NoReturn:
    raise RecordError(f"found {text}, which is not JSON; expected a finite number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RecordError("found a number that is out of range; expected a finite number")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite, strict=True)


def parse_object(line: str, limits: Limits, *, is_record: bool = False) -> dict[str, Any]:
    """A JSON object, strictly: no repeated key, no NaN, bounded depth and strings, whole characters.

    Text is held to the rules of metadata, but for the reference of a record, which may hold any line end.

    Raises:
        RecordError: the text is anything else.
    """
    try:
        found = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise RecordError(
            f"found a line that is not JSON ({error.msg} at column {error.colno:,}); expected an object"
        ) from None
    except RecursionError:
        raise _too_deep(limits) from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise RecordError(f"found a number that is too long ({error}); expected plain JSON") from None
    if not isinstance(found, dict):
        raise RecordError(f"found {_kind(found)}; expected a JSON object")
    # Few lines need the walk: the characters and the depth that it looks for leave traces in the line.
    if "\\" in line or len(line) > limits.max_string or line.count("{") + line.count("[") > limits.max_json_depth:
        _walk(found, limits, 1, None, is_record=is_record)
    return found


def _kind(value: Any) -> str:
    """What a JSON value is, without saying which: it may be a hash, or hold some."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return "text"
    return "an array" if isinstance(value, list) else "an object" if isinstance(value, dict) else "a number"


def _too_deep(limits: Limits) -> RecordError:
    cap = limits.max_json_depth
    return RecordError(f"found values nested more than {cap} levels deep; expected at most {cap} levels")


def _walk(value: Any, limits: Limits, level: int, field: str | None, *, is_record: bool = False) -> None:
    """Refuse what is nested too deep, and text that is too long or holds what text may not hold."""
    if isinstance(value, str):
        _check_text(value, limits, field)
        return
    if not isinstance(value, dict | list):
        return
    if level > limits.max_json_depth:
        raise _too_deep(limits)
    if isinstance(value, list):
        for item in value:
            _walk(item, limits, level + 1, field)
        return
    for key, item in value.items():
        _check_text(key, limits, field)
        if is_record and isinstance(item, str) and role_of(key) == "ref":
            _check_text(item, limits, key, check_identifier)
        elif is_record and isinstance(item, dict) and key.lower() == WRAPPED:
            # Metadata that came from a line's own fields may be as deep as those were.
            _walk(item, limits, level, key)
        else:
            _walk(item, limits, level + 1, field if field is not None else key)


def _check_text(
    text: str, limits: Limits, field: str | None, check: Callable[[str, str, int], str] = check_text
) -> None:
    name = "key" if field is None else field
    check(text, name, limits.max_string)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RecordError(
            "found half of a surrogate pair; expected whole characters",
            field=shown_field(name.encode("utf-8", "backslashreplace").decode()),
        ) from None


class _Record:
    """What has been gathered of one record."""

    def __init__(self) -> None:
        self.hashes: dict[str, bytes] = {}
        self.roles: dict[str, tuple[str, Any]] = {}
        self.metadata: dict[str, Any] = {}
        self.opinions = ""

    def take_hash(self, algorithm: str, key: str, value: Any) -> None:
        if value is None or value == "":
            return
        if algorithm in self.hashes:
            raise HashTextError(f"found {algorithm} more than once; expected it once", field=key)
        try:
            if isinstance(value, str):
                self.hashes[algorithm] = parse_hash(algorithm, value)
            elif algorithm == "photodna" and isinstance(value, list) and all(type(n) is int for n in value):
                self.hashes[algorithm] = int_list_hash(algorithm, value)
            else:
                raise HashTextError(f"found {_kind(value)}; expected text")
        except RecordError as error:
            error.field = key
            raise

    def take_nested(self, key: str, value: dict[str, Any]) -> None:
        left = {}
        for name, text in value.items():
            algorithm = algorithm_of(name)
            if algorithm is None:
                left[name] = text
            else:
                self.take_hash(algorithm, f"{key}.{name}", text)
        if left:
            self.metadata[key] = left

    def take_role(self, role: str, key: str, value: Any) -> None:
        if role == "quality" and isinstance(value, dict) and set(value) <= {"pdq"}:
            value = value.get("pdq")
        if value is None:
            return
        if role in self.roles:
            raise RecordError(f"found it as {self.roles[role][0]!r} too; expected it once", field=key)
        self.roles[role] = (key, value)

    def text(self, role: str, limits: Limits) -> str:
        key, value = self.roles.get(role, ("", ""))
        # An identifier may be written as a number; True and 1.5 are none.
        if type(value) is int:
            value = str(value)
        if not isinstance(value, str):
            raise RecordError(f"found {_kind(value)}; expected text or a whole number", field=key)
        # Line ends in a reference are written as escapes: they are meant.
        return (check_identifier if role == "ref" else check_reference)(value, key, limits.max_string)


def _entry(fields: dict[str, Any], limits: Limits, origins: Counter[str]) -> Entry:
    record = _Record()
    for key, value in fields.items():
        if (algorithm := algorithm_of(key)) is not None:
            record.take_hash(algorithm, key, value)
        elif (role := role_of(key)) is not None:
            record.take_role(role, key, value)
        elif key.lower() == "hashes" and isinstance(value, dict):
            record.take_nested(key, value)
        elif key.lower() == WRAPPED and isinstance(value, dict):
            record.metadata |= value
        elif key.lower() == OPINIONS:
            record.opinions = opinions_value(value, limits)
        elif key.lower() == ORIGIN:
            note_origin(origins, value)
        else:
            record.metadata[key] = value
    size, quality = (record.text(role, limits).strip() for role in ("size", "quality"))
    return entry_of(
        record.hashes,
        ref=record.text("ref", limits),
        category=record.text("category", limits).strip(),
        scheme=record.text("scheme", limits).strip(),
        media_type=media_type(record.text("media_type", limits), "media_type"),
        size=whole_number(size, "size") if size else None,
        quality=percentage(quality, "quality") if quality else None,
        metadata=record.metadata,
        opinions=record.opinions,
        unreadable=_is_unreadable(fields),
    )
