"""One line of a list's audit log: what it holds, its canonical form, and what makes it sound. No file is touched here.

A line is a JSON object in the canonical form of RFC 8785: keys in order, no blanks, UTF-8, whole numbers only, so that
anybody can compute it again. Its fields:

==============  ========================================================================================
``number``      1-based number of the line among the log's records
``previous``    hex SHA-256 of the line before, without its line end; 64 zeros in the first
``digest``      hex SHA-256 of this object without ``digest``, so that damage to the last line shows too
``at``          when it happened, UTC
``logged``      when it was logged, UTC; only where that was later (after a crash between change and log)
``operation``   one of `OPERATIONS`
``operator``    user name, as the operating system gives it or as the caller says
``tool``        name and version of the software
``list``        hex snapshot id of the list after the operation
``changes``     number of the list's latest change, as of this line; 0 before the first
``change``      number of the change that this line records; absent where the list was not changed
``inputs``      [{``name``, ``bytes``, ``sha256``}]
``counts``      {name: whole number}
``facts``       {name: text, whole number, true, false}; absent where there are none
``torn``        {``bytes``, ``sha256``} of the incomplete line before this one, which a crash left; else absent
==============  ========================================================================================

No line holds a hash value of an entry. What looks like one in a name or in a fact's text is replaced by its length.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hashmatch._version import __version__
from hashmatch.errors import UsageError, shorten
from hashmatch.lists.hash_like import masked

__all__ = [
    "FIRST_PREVIOUS",
    "MAX_LINE",
    "OPERATIONS",
    "AuditInput",
    "AuditRecord",
    "LineError",
    "Position",
    "line_of",
    "operating_system_user",
    "parse_line",
    "torn_note",
]

OPERATIONS = ("import", "retract", "restore", "opinion", "delta", "merge", "compile", "match", "scan", "export")

#: What stands for the line before the first.
FIRST_PREVIOUS = "0" * 64

#: Bytes of the longest line, without its line end: about a hundred thousand inputs. Bounds the memory of verification.
MAX_LINE = 16 << 20

#: Whole numbers that every JSON reader keeps as they are.
_MAX_NUMBER = (1 << 53) - 1

_HEX64 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")
_REQUIRED = frozenset(
    ("number", "previous", "digest", "at", "operation", "operator", "tool", "list", "changes", "inputs", "counts")
)
_OPTIONAL = frozenset(("logged", "change", "facts", "torn"))


@dataclass(frozen=True, slots=True)
class AuditInput:
    """A file that an operation read: its name as given, its size in bytes, its hex SHA-256 of the whole content."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What is to be logged.

    Attributes:
        operation: one of `OPERATIONS`.
        snapshot: hex snapshot id of the list after the operation.
        change: number of the list's change, from 1; None for operations that leave the list as it is.
        inputs: the files that were read.
        counts: name -> whole number. References are given by their number only.
        facts: further small facts: name -> text, whole number or truth value. The text of a fact whose name ends in
            ``sha256`` or ``snapshot`` is a hex SHA-256; in any other text, what looks like a hash is not kept.
        operator: who; None: the user as the operating system gives it; "" where it is not known.
        at: when, UTC, as ``2026-01-31T12:00:00Z``; None: now. A time that is given is that of an operation that is
            logged afterwards, so the line says when it was logged as well.
    """

    operation: str
    snapshot: str
    change: int | None = None
    inputs: Sequence[AuditInput] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)
    operator: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a log stands: how many lines it has, the digest of the last, the number of the list's latest change."""

    number: int = 0
    digest: str = FIRST_PREVIOUS
    changes: int = 0


class LineError(Exception):
    """What is wrong with a line: what was found and what was expected. The log turns it into a typed error."""


def operating_system_user() -> str:
    """The name of the user that this process runs as. Environment variables are not asked: anybody can set them."""
    if sys.platform == "win32":
        return os.getlogin()
    else:  # noqa: RET505 - what is not this platform's is not looked at by type checkers
        import pwd

        user = os.geteuid()
        try:
            return pwd.getpwuid(user).pw_name
        except KeyError:  # containers run as numbers without a name
            return f"uid {user}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---------------------------------------------------------------------- writing


def line_of(record: AuditRecord, position: Position, torn: Mapping[str, Any] | None = None) -> bytes:
    """The line for ``record`` in a log that stands at ``position``, without its line end.

    Raises:
        UsageError: the record is not one that a log can hold; says which field, what was found and what was expected.
    """
    now = _now()
    if record.operation not in OPERATIONS:
        raise UsageError(f"operation {shorten(record.operation)}; expected one of {', '.join(OPERATIONS)}")
    if record.at is not None and not _TIME.fullmatch(record.at):
        raise UsageError(f"at is {shorten(record.at)}; expected a time in UTC such as {now}")
    fields: dict[str, Any] = {
        "number": position.number + 1,
        "previous": position.digest,
        "at": record.at or now,
        "operation": record.operation,
        "operator": _text(operating_system_user() if record.operator is None else record.operator),
        "tool": f"hashmatch {__version__}",
        "list": _sha256("snapshot", record.snapshot),
        "changes": position.changes if record.change is None else _whole("change", record.change, least=1),
        "inputs": [
            {
                "name": _text(item.name),
                "bytes": _whole("bytes of an input", item.bytes),
                "sha256": _sha256("sha256 of an input", item.sha256),
            }
            for item in record.inputs
        ],
        "counts": {_key(name): _whole(name, value) for name, value in record.counts.items()},
    }
    if record.at is not None:
        fields["logged"] = now
    if record.change is not None:
        fields["change"] = record.change
    if record.facts:
        fields["facts"] = {_key(name): _fact(name, value) for name, value in record.facts.items()}
    if torn is not None:
        fields["torn"] = dict(torn)
    fields["digest"] = hashlib.sha256(_canonical(fields)).hexdigest()
    line = _canonical(fields)
    if len(line) > MAX_LINE:
        raise UsageError(f"the audit record takes {len(line):,} bytes; expected at most {MAX_LINE:,}")
    return line


def torn_note(fragment: bytes) -> dict[str, Any]:
    """What the next record says of an incomplete line: its length in bytes, without its line end, and its SHA-256."""
    return {"bytes": len(fragment), "sha256": hashlib.sha256(fragment).hexdigest()}


def _canonical(fields: Mapping[str, Any]) -> bytes:
    """RFC 8785. All keys are ASCII and all numbers whole and small, so that sorting and printing are Python's own."""
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _text(text: object) -> str:
    """Text as a line keeps it: UTF-8 can hold it, and it holds nothing that looks like a hash."""
    if not isinstance(text, str):
        raise UsageError(f"found {shorten(text)} in an audit record; expected text")
    plain = text.encode("utf-8", "backslashreplace").decode()
    return masked(plain)


def _fact(name: str, value: object) -> str | int | bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole(name, value)
    if isinstance(value, str) and name.endswith(("sha256", "snapshot")):
        return _sha256(name, value)
    return _text(value)


def _key(name: object) -> str:
    if not isinstance(name, str) or not _KEY.fullmatch(name):
        raise UsageError(f"name {shorten(name)} in an audit record; expected lower-case letters, digits and _")
    return name


def _whole(name: str, value: object, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MAX_NUMBER:
        raise UsageError(f"{name} of an audit record is {shorten(value)}; expected a whole number from {least}")
    return value


def _sha256(name: str, value: object) -> str:
    if not isinstance(value, str) or not _HEX64.fullmatch(value):
        raise UsageError(f"{name} of an audit record is not a hex SHA-256: expected 64 digits from 0-9 and a-f")
    return value


# ---------------------------------------------------------------------- reading


def parse_line(line: bytes, before: Position | None = None) -> tuple[dict[str, Any], Position]:
    """The record on a line, and where the log stands after it.

    Args:
        line: the line without its line end.
        before: where the log stood before it; None where that is not known, as for the last line read by itself.

    Raises:
        LineError: it is not a line that this log would hold there.
    """
    try:
        fields = json.loads(line)
        canonical = isinstance(fields, dict) and _canonical(fields) == line
    except (ValueError, RecursionError):  # not UTF-8, not JSON, half a character, nested without end
        raise LineError("found what is not a record; expected a JSON object") from None
    if not canonical:
        raise LineError("found JSON in another form; expected an object in canonical form (RFC 8785)")
    digest = fields.pop("digest", None)
    actual = hashlib.sha256(_canonical(fields)).hexdigest()
    if digest != actual:
        raise LineError(
            f"found text whose SHA-256 is {actual[:16]}..., which is not what the line itself says; expected it "
            "unchanged since it was written"
        )
    fields["digest"] = digest
    _check_fields(fields)
    number, previous, changes = fields["number"], fields["previous"], fields["changes"]
    if before is not None:
        if number != before.number + 1:
            raise LineError(f"found record {number:,}; expected record {before.number + 1:,}")
        if previous != before.digest:
            raise LineError(
                f"found that the line before it had the SHA-256 {previous[:16]}...; expected {before.digest[:16]}..., "
                "which is the line's that stands there"
            )
        expected = fields.get("change", before.changes)
        if changes != expected:
            raise LineError(f"found {changes:,} as the latest change; expected {expected:,}")
    return fields, Position(number, hashlib.sha256(line).hexdigest(), changes)


def _check_fields(fields: Mapping[str, Any]) -> None:
    """Whoever reads a log relies on the fields' types. What is in them was checked when the line was made."""
    if not fields.keys() >= _REQUIRED or not fields.keys() <= _REQUIRED | _OPTIONAL:
        raise LineError(f"found the fields {', '.join(map(shorten, fields))}; expected those of an audit record")
    for names, kind, what in (
        (("number", "changes", "change"), int, "a whole number"),
        (("previous", "digest", "at", "logged", "operation", "operator", "tool", "list"), str, "text"),
        (("counts", "facts", "torn"), dict, "an object"),
        (("inputs",), list, "an array"),
    ):
        for name in names:
            if name in fields and (not isinstance(fields[name], kind) or isinstance(fields[name], bool)):
                raise LineError(f"found {shorten(fields[name], 20)} as {name}; expected {what}")
