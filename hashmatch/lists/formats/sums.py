r"""md5sum, sha1sum, sha256sum and sha512sum: one reader, four formats that differ in the width of the digest.

==========================  ====================================================================
line                        written by
==========================  ====================================================================
``digest  path``            GNU coreutils; ``digest *path`` in binary mode
``\digest  path``           the same, where ``\n``, ``\r`` and ``\\`` in the path are escaped
``digest path``             BSD ``md5 -r``
``MD5 (path) = digest``     BSD, ``md5sum --tag``, and in a like form ``openssl dgst``
``digest``                  a list of bare digests, a common file of queries
==========================  ====================================================================

A path on Linux is any bytes, and these programs write it as it is. A byte in a path that is not UTF-8 becomes the text
``\xff`` (Python's ``backslashreplace``), so that one such file does not make a list of a million others unreadable.
Such a byte anywhere else is an error like any other character that does not belong there.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS, parse_hex
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, pack_hashes
from hashmatch.lists.formats.cells import algorithm_of, check_reference, shown
from hashmatch.lists.formats.source import Head, Input, ReadOptions

__all__ = ["detect", "read", "refuse_open_line", "value_and_path"]

_BSD = re.compile(r"(\\?)([A-Za-z0-9-]+) ?\((.+)\) ?= ?([0-9A-Fa-f]+)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "\\": "\\"}
_PDQ_LINE = re.compile(r"[0-9A-Fa-f]{64},")

_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


def detect(head: Head, *, algorithm: str) -> bool:
    """Whether the first record is a line with a digest of ``algorithm``."""
    lines = [line for line in head.lines if not line.startswith("#")]
    if not lines:
        return False
    if found := _BSD.fullmatch(lines[0]):
        return algorithm_of(found[2]) == algorithm and len(found[4]) == 2 * ALGORITHMS[algorithm].width
    line = lines[0].removeprefix("\\")
    digits = 2 * ALGORITHMS[algorithm].width
    if not _is_hex(line[:digits], digits) or line[digits : digits + 1] not in ("", " "):
        return False
    return not any(_PDQ_LINE.match(line) for line in lines)


def read(source: Input, options: ReadOptions, *, algorithm: str) -> Iterator[Entry | RecordError]:
    """The entries of a file of digests; the reference is the path, "" where there is none.

    A bare digest in a file that has paths is refused: a line that was cut short looks like that.

    Raises:
        RecordError: the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    if not options.settled and source.head().first_line_is_open:
        refuse_open_line(source, algorithm)
    mask = pack_hashes({algorithm: bytes(ALGORITHMS[algorithm].width)})[:4]
    empty = EMPTY_DIGESTS[algorithm]
    cap = options.limits.max_string
    paths: bool | None = None
    count = 0
    for line in source.lines("surrogateescape"):
        if line.startswith("#") or not line.strip(" \t"):
            continue
        count += 1
        try:
            value, path = value_and_path(line, algorithm, cap, paths=paths)
            if paths is None:
                paths = bool(path)
            if not path.isprintable():
                path = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
            yield (
                Entry(path, None, "", None, "", b"\0\0\0\0", 1)
                if value == empty
                else _make_entry((path, None, "", None, "", mask + value, 0, "", ""))
            )
        except RecordError as error:
            error.path, error.line, error.record = source.path, source.line_number, count
            yield error


def value_and_path(line: str, algorithm: str, cap: int, *, paths: bool | None) -> tuple[bytes, str]:
    """The digest and the path ("" for none) of a line that is neither blank nor a comment.

    Args:
        line: the line, bytes that are not UTF-8 as surrogates.
        algorithm: whose digests the file holds.
        cap: characters of a path at most.
        paths: whether the first record of the file has a path; None while that is not known.

    Raises:
        RecordError: the line is malformed.
    """
    digits = 2 * ALGORITHMS[algorithm].width
    text, path = _split(line, digits, algorithm)
    try:
        value = binascii.unhexlify(text)
    except ValueError:
        value = b""
    if 2 * len(value) != digits:
        value = parse_hex(algorithm, text)
    if paths and not path:
        raise RecordError("found a digest without a path; expected a path, as the records before it have")
    # A line end in a path that was escaped is meant; elsewhere it is refused like any control character.
    unescaped = path.replace("\n", "").replace("\r", "") if line[0] == "\\" else path
    check_reference(unescaped, "path", cap)
    return value, path


def refuse_open_line(source: Input, algorithm: str, option: str = "--from {}sum") -> None:
    """A lone digest without a line end may be a longer digest that was cut short: its width proves nothing."""
    lines = [line for line in source.head().lines if not line.startswith("#")]
    if lines and " " not in lines[0].strip():
        raise RecordError(
            f"found a single digest without a line end, which may be a longer one that was cut short; expected a line "
            f"end, or {option.format(algorithm)} if it is whole",
            path=source.path,
            line=1,
        )


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and all(c in "0123456789abcdefABCDEF" for c in text)


def _split(line: str, digits: int, algorithm: str) -> tuple[str, str]:
    """(digest, path) of one line.

    Raises:
        RecordError: none of the known forms.
    """
    escaped = line[0] == "\\"
    start = 1 if escaped else 0
    at = start + digits
    mark = line[at : at + 2]
    if mark in ("  ", " *"):
        text, path = line[start:at], line[at + 2 :]
    elif found := _BSD.fullmatch(line):
        if algorithm_of(found[2]) != algorithm:
            raise RecordError(f"found a digest of {shown(found[2])}; expected {algorithm}", field=algorithm)
        text, path = found[4], found[3]
    elif mark[:1] == " " and mark[1:]:
        text, path = line[start:at], line[at + 1 :]
    else:
        text = line.strip(" \t")
        if escaped or " " in text:
            raise RecordError(
                f"found a line of {len(line):,} characters; expected {digits} hexadecimal digits, two spaces and a path"
            )
        return text, ""
    if not path:
        raise RecordError("found nothing; expected a path", field="path")
    return text, (_unescape(path) if escaped else path)


def _unescape(path: str) -> str:
    def replace(found: re.Match[str]) -> str:
        try:
            return _ESCAPED[found[1]]
        except KeyError:
            raise RecordError(
                f"found the escape {found[0]!r} at position {found.start() + 1:,}; expected \\n, \\r or \\\\",
                field="path",
            ) from None

    return _ESCAPE.sub(replace, path)
