"""Index of a hash database, as the Sleuth Kit's ``hfind -i`` writes it: sorted digests of MD5 or SHA-1, a line each.

====================================  ===========================================================
line                                  meaning
====================================  ===========================================================
41 zeros, ``|``, a word               header: of which kind the database is (nsrl, md5sum, hk, ...)
40 zeros and 1, ``|``, a text         header: the name of the database
digest, ``|``, 16 digits              a digest, and where its record stands in the database
====================================  ===========================================================

Such an index is what is left of a set whose database was not handed on. The offset means nothing without it and is
different in every release, so it is checked and not kept: the reference, which the store derives, is made of the digest
alone. What the header says becomes a note. The index of an NSRL or HashKeeper database is for known-good lists, as the
database is.

A file that lacks whole lines at its end looks whole.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS, parse_hex
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, pack_hashes
from hashmatch.lists.formats.cells import shown
from hashmatch.lists.formats.quoted_lines import lines
from hashmatch.lists.formats.source import Head, Input, ReadOptions

__all__ = ["detect", "origin_of", "read"]

#: What header lines begin with -> what they say.
HEADERS = {"0" * 41: "kind", "0" * 40 + "1": "name"}
#: Kind that a header states -> name of the format of the database, for databases that are for lists of one role.
ORIGINS = {"nsrl": "nsrl2", "hk": "hashkeeper"}
#: Digits of a digest -> algorithm.
DIGITS = {2 * ALGORITHMS[name].width: name for name in ("md5", "sha1")}
OFFSET_DIGITS = 16

_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


def detect(head: Head) -> bool:
    """Whether the first line is the header of an index."""
    return bool(head.lines) and head.lines[0].partition("|")[0] in HEADERS and "|" in head.lines[0]


def origin_of(head: Head) -> str | None:
    """The format of the database that the index was made of, where that is for lists of one role (`ORIGINS`)."""
    kinds = set()
    for line in head.lines:
        before, bar, after = line.partition("|")
        if not bar or before not in HEADERS:
            break
        if HEADERS[before] == "kind":
            kinds.add(after.strip().casefold())
    return next((origin for kind, origin in ORIGINS.items() if kind in kinds), None)


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:  # noqa: ARG001
    """The entries of an index: a digest each, without a reference.

    Raises:
        RecordError: the header is missing, or the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    header = False
    algorithm = ""
    mask = empty = b""
    count = 0
    for line in lines(source):
        before, bar, after = line.partition("|")
        if before in HEADERS and bar:
            header = True
            if after:
                source.notes.append(f"index of a hash database, {HEADERS[before]} {shown(after)}")
            continue
        if not header:
            raise RecordError(
                f"found a line of {len(line):,} characters; expected the header of an index: {'0' * 41}|KIND",
                path=source.path,
                line=source.line_number,
            )
        count += 1
        try:
            if not algorithm:
                algorithm = _algorithm(before)
                mask = pack_hashes({algorithm: bytes(ALGORITHMS[algorithm].width)})[:4]
                empty = EMPTY_DIGESTS[algorithm]
            value = _value(before, after, algorithm)
            yield (
                Entry("", None, "", None, "", b"\0\0\0\0", 1)
                if value == empty
                else _make_entry(("", None, "", None, "", mask + value, 0, "", ""))
            )
        except RecordError as error:
            error.path, error.line, error.record = source.path, source.line_number, count
            yield error
    if not header:
        raise RecordError(f"found no header; expected {'0' * 41}|KIND", path=source.path)


def _value(digest: str, offset: str, algorithm: str) -> bytes:
    """The digest of a line.

    Raises:
        RecordError: the line is malformed.
    """
    if not (len(offset) == OFFSET_DIGITS and offset.isascii() and offset.isdigit()):
        raise RecordError(
            f"found {len(offset):,} characters behind the digest; expected an offset of {OFFSET_DIGITS} digits",
            field="offset",
        )
    try:
        value = binascii.unhexlify(digest)
    except ValueError:
        value = b""
    return value if len(value) == ALGORITHMS[algorithm].width else parse_hex(algorithm, digest)


def _algorithm(digits: str) -> str:
    """The algorithm of the file: that of its first digest.

    Raises:
        RecordError: no digest has so many digits.
    """
    try:
        return DIGITS[len(digits)]
    except KeyError:
        widths = " or ".join(f"{digits} ({name})" for digits, name in DIGITS.items())
        raise RecordError(f"found {len(digits):,} characters; expected {widths} digits", field="digest") from None
