"""Parquet, and Arrow's own files and streams: columns named after algorithms, as in generic CSV.

======================  =======================================================================================
column                  what it may hold
======================  =======================================================================================
``md5``, ``pdq``, ...   a hash: its raw bytes, of fixed width or not, or its text as in CSV; a list of numbers for
                        ``photodna``
``id``, ``category``,   text, bytes that are UTF-8, or whole numbers
``category_scheme``,
``media_type``
``size``, ``quality``,  whole numbers, or text that gives one; decimals without a fraction, which is what whole
``pdq_quality``         numbers become where some are missing
``list_metadata``,      JSON text, as our own export writes it; ``list_source`` is counted for a note
``list_opinions``
anything else           kept as metadata under its name: numbers, truth values, text; times as text, bytes as
                        hexadecimal text; lists, structures and maps as JSON
======================  =======================================================================================

Names of columns count whatever their case. Null, and a number that is "not a number", is nothing.

The files are read in no fixed order, so a pipe will not do. A file that was cut short has no footer, or no mark of the
end, and is refused as a whole: a stream without that mark too, although Arrow allows it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.errors import HashTextError, RecordError
from hashmatch.lists.arrow import MAGIC_ARROW, MAGIC_STREAM, Table, open_table
from hashmatch.lists.entry import NO_QUALITY, Entry, canonical_json
from hashmatch.lists.formats.cells import (
    NO_HASH,
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
    note_origin,
    opinions_cell,
    role_of,
    says_unreadable,
)
from hashmatch.lists.formats.jsonl import parse_object
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions
from hashmatch.lists.parquet_footer import MAGIC, MAGIC_ENCRYPTED

__all__ = ["detect", "read"]

_PDQ = 1 << ALGORITHMS["pdq"].number
_EMPTY = frozenset(EMPTY_DIGESTS.values())
_MAX_SIZE, _MAX_QUALITY = (1 << 63) - 1, 100
#: Roles whose values repeat; how many of their combinations are kept, and how long they may be.
_WORDS = ("category", "scheme", "media_type")
_KEPT, _KEPT_LENGTH = 4096, 200
#: `canonical_json` with its encoder made once.
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def detect(head: Head) -> bool:
    """Whether the file begins like Parquet, an Arrow file or an Arrow stream."""
    if head.raw.startswith((MAGIC, MAGIC_ARROW + b"\0\0", MAGIC_ENCRYPTED)):
        return True
    # A stream: the mark, then the length of a head, which has eight bytes more than it says and is no 16 MB long.
    return head.raw.startswith(MAGIC_STREAM) and 0 < int.from_bytes(head.raw[4:8], "little") < 1 << 24


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a Parquet or Arrow file.

    Raises:
        RecordError: the file is damaged, or its columns are no list's.
        InputError: the input is a pipe.
        UsageError: pyarrow is not installed.
    """
    local = source.local_file()
    with open_table(source.path, local, source.head().raw[:8]) as table:
        rows = _Rows(table, options.limits, source.origins)
        count = 0
        total = source.bytes_total or 0
        for columns in table.batches():
            for item in rows.entries(columns):
                count += 1
                if isinstance(item, RecordError):
                    item.path, item.record = source.path, count
                yield item
            if table.rows:
                # Never less than what was reported while the beginning was looked at.
                source.report(max(source.bytes_read, total * count // table.rows), total)


class _Rows:
    """What the names and types of the columns say about the rows."""

    def __init__(self, table: Table, limits: Limits, origins: Counter[str]) -> None:
        self._limits = limits
        self._origins = origins
        self._hashes: list[tuple[str, int]] = []
        self._roles: dict[str, int] = {}
        self._metadata: list[tuple[str, int]] = []
        self._wrapped = self._opinions = self._status = self._origin = -1
        self._names = table.names
        seen: dict[tuple[str, str], str] = {}
        exact = {name.strip().lower() for name in table.names}
        for place, (name, kind) in enumerate(zip(table.names, table.kinds, strict=True)):
            _check_name(name, place, table.path, limits)
            lower = name.strip().lower()
            algorithm, role = algorithm_of(name), role_of(name)
            if role == "quality" and lower != "pdq_quality" and "pdq_quality" in exact:
                role = None
            what = ("hash", algorithm) if algorithm else ("role", role) if role else ("metadata", lower)
            if what in seen:
                raise RecordError(
                    f"found the columns {shown(seen[what])} and {shown(name)}; expected one of them", path=table.path
                )
            seen[what] = name
            if lower == STATUS:
                self._status = place
            expected = ""
            if algorithm is not None:
                self._hashes.append((algorithm, place))
                if kind not in ("binary", "text") and not (algorithm == "photodna" and kind == "other"):
                    expected = "bytes or text"
            elif role is not None:
                self._roles[role] = place
                if role in ("size", "quality"):
                    expected = "" if kind in ("whole", "float", "text") else "whole numbers"
                elif kind not in ("text", "binary", "whole"):
                    expected = "text or whole numbers"
            elif lower in (WRAPPED, OPINIONS):
                if lower == WRAPPED:
                    self._wrapped = place
                else:
                    self._opinions = place
                expected = "" if kind in ("text", "binary") else "JSON text"
            elif lower == ORIGIN:
                self._origin = place
            else:
                self._metadata.append((name, place))
            if expected:
                raise RecordError(
                    f"found the type {table.titles[place]}; expected {expected}", path=table.path, field=name
                )
        if not self._hashes:
            raise RecordError(
                "found no column that is named after an algorithm; expected columns such as id, md5, sha1, pdq",
                path=table.path,
            )
        # The packed form has the hashes in the order of their numbers.
        self._hashes.sort(key=lambda column: ALGORITHMS[column[0]].number)
        self._plan = [
            (name, place, ALGORITHMS[name].width, 1 << ALGORITHMS[name].number) for name, place in self._hashes
        ]
        self._words = [self._roles[role] for role in _WORDS if role in self._roles]
        self._checked: dict[tuple[Any, ...], tuple[tuple[str, str] | None, str]] = {}

    def entries(self, columns: list[list[Any]]) -> Iterator[Entry | RecordError]:
        """The entries of a batch, in its order."""
        for row in range(len(columns[0])):
            try:
                yield self._entry(columns, row)
            except RecordError as error:
                yield error

    def _entry(self, columns: list[list[Any]], row: int) -> Entry:
        limits = self._limits
        mask = dropped = 0
        parts = [b""]
        quality: int | None = self._number("quality", _MAX_QUALITY, percentage, columns, row)
        for algorithm, place, width, bit in self._plan:
            value = columns[place][row]
            if value is None:
                continue
            if type(value) is not bytes or len(value) != width:
                value = _hash(algorithm, value, self._names[place])
                if not value:
                    continue
            if value in _EMPTY and EMPTY_DIGESTS.get(algorithm) == value:
                dropped += 1
                continue
            mask |= bit
            parts.append(value)
            if bit == _PDQ:
                parts.append(bytes((NO_QUALITY if quality is None else quality,)))
        metadata = self._fields(columns, row)
        if self._origin >= 0:
            note_origin(self._origins, columns[self._origin][row])
        if not mask and not dropped:
            status = columns[self._status][row] if self._status >= 0 else None
            if not says_unreadable(status):
                raise RecordError(NO_HASH)
        parts[0] = mask.to_bytes(4, "little")
        size = self._number("size", _MAX_SIZE, whole_number, columns, row)
        # Categories and media types repeat: what has been checked once is kept.
        words = tuple(columns[place][row] for place in self._words)
        checked = self._checked.get(words)
        if checked is None:
            code, scheme, media = (self._text(role, columns, row, check_reference) for role in _WORDS)
            media = media_type(media, self._names[self._roles["media_type"]]) if media else ""
            checked = ((scheme, code) if code else None, media)
            if len(code) + len(scheme) < _KEPT_LENGTH:
                if len(self._checked) >= _KEPT:
                    self._checked.clear()
                self._checked[words] = checked
        category, media = checked
        opinions = ""
        if self._opinions >= 0 and (text := _text(columns[self._opinions][row], OPINIONS)):
            opinions = opinions_cell(text, limits)
        return Entry(
            self._text("ref", columns, row, check_identifier),
            category,
            media,
            size,
            _encode(metadata) if metadata else "",
            b"".join(parts),
            dropped,
            opinions,
        )

    def _number(
        self, role: str, largest: int, check: Callable[[str, str], int], columns: list[list[Any]], row: int
    ) -> int | None:
        place = self._roles.get(role, -1)
        value = columns[place][row] if place >= 0 else None
        if value is None:
            return None
        if type(value) is int and 0 <= value <= largest:
            return value
        text = _digits(value)
        return check(text, self._names[place]) if text else None

    def _text(self, role: str, columns: list[list[Any]], row: int, check: Callable[[str, str, int], str]) -> str:
        place = self._roles.get(role, -1)
        if place < 0:
            return ""
        text = _text(columns[place][row], self._names[place])
        if role in ("category", "scheme"):
            text = text.strip()
        return check(text, self._names[place], self._limits.max_string)

    def _fields(self, columns: list[list[Any]], row: int) -> dict[str, Any]:
        limits = self._limits
        metadata: dict[str, Any] = {}
        for name, place in self._metadata:
            value = columns[place][row]
            if value is None or value != value:  # noqa: PLR0124 - not a number
                continue
            if type(value) is str:
                if not value:
                    continue
                metadata[name] = check_text(value, name, limits.max_string)
            elif type(value) in (int, bool):
                metadata[name] = value
            else:
                metadata[name] = _held(name, value, limits)
        if self._wrapped >= 0 and (text := _text(columns[self._wrapped][row], WRAPPED)):
            try:
                metadata |= parse_object(text, limits)
            except RecordError as error:
                error.field = error.field or WRAPPED
                raise
        return metadata


def _check_name(name: str, place: int, path: str, limits: Limits) -> None:
    if not name.strip():
        raise RecordError(f"found no name for column {place + 1}; expected one", path=path)
    try:
        check_text(name, name, limits.max_string)
    except RecordError as error:
        error.path = path
        raise


def _hash(algorithm: str, value: Any, field: str) -> bytes:
    """The raw hash that is no plain bytes of the right width; nothing for empty text."""
    try:
        if isinstance(value, bytes):
            width = ALGORITHMS[algorithm].width
            if not value.isascii() or len(value) < width:
                raise HashTextError(f"found {len(value):,} bytes; expected {width} for {algorithm}, or its text")
            value = value.decode("ascii")
        if isinstance(value, str):
            return parse_hash(algorithm, value) if value.strip() else b""
        if isinstance(value, list) and all(type(number) is int for number in value):
            return int_list_hash(algorithm, value)
        raise HashTextError(f"found no hash of {algorithm}; expected bytes or text")
    except RecordError as error:
        error.field = field
        raise


def _text(value: Any, field: str) -> str:
    """Text, whole numbers and bytes that are UTF-8, as text."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise RecordError("found bytes that are not UTF-8; expected text", field=field) from None
    return str(value)


def _digits(value: Any) -> str:
    """A number for `whole_number` and `percentage`: whole ones may have become decimals."""
    if type(value) is float:
        if math.isnan(value):
            return ""
        # Above 2**53 not every whole number has a decimal of its own.
        return str(int(value)) if value.is_integer() and abs(value) <= 1 << 53 else str(value)
    return str(value).strip()


def _held(name: str, value: Any, limits: Limits) -> Any:
    """A value as metadata keeps it."""
    try:
        plain = _plain(value, limits.max_json_depth)
        if isinstance(plain, dict | list):
            parse_object(canonical_json({name: plain}), limits)
        elif isinstance(plain, str):
            check_text(plain, name, limits.max_string)
        else:
            canonical_json(plain)
    except (ValueError, RecursionError):
        raise RecordError(
            "found a value that has no JSON form; expected finite numbers and whole characters", field=shown_field(name)
        ) from None
    except RecordError as error:
        error.field = shown_field(name)
        raise
    return plain


def _plain(value: Any, depth: int) -> Any:
    """A value of a nested type as JSON holds it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if not depth:
        raise ValueError
    if isinstance(value, dict):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)
