"""PDQ text: ``hex[,quality[,name]]`` a line, as the PDQ authors' tools write it. The name may hold commas."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hashmatch.algorithms import ALGORITHMS, parse_hex
from hashmatch.errors import RecordError
from hashmatch.lists.entry import NO_QUALITY, Entry, pack_hashes
from hashmatch.lists.formats.cells import check_reference, percentage
from hashmatch.lists.formats.source import Head, Input, ReadOptions

__all__ = ["detect", "read"]

_LINE = re.compile(r"[0-9A-Fa-f]{64}[ \t]*(?:,|$)")
_SUMS_LINE = re.compile(r"\\?[0-9A-Fa-f]{64} ")
_MASK = pack_hashes({"pdq": bytes(ALGORITHMS["pdq"].width)})[:4]


def detect(head: Head) -> bool:
    """Whether the first record is a PDQ hash, alone or before a comma, and no line looks like sha256sum's."""
    lines = [line for line in head.lines if not line.startswith("#")]
    return bool(lines) and _LINE.match(lines[0]) is not None and not any(map(_SUMS_LINE.match, lines))


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a PDQ text file; the reference is the name, "" where there is none.

    Raises:
        RecordError: the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    fields = 0
    count = 0
    for line in source.lines():
        if line.startswith("#") or not line.strip(" \t"):
            continue
        count += 1
        try:
            text, *others = line.split(",", 2)
            value = parse_hex("pdq", text.strip(" \t"))
            given = others[0].strip(" \t") if others else ""
            quality = percentage(given, "quality") if given else NO_QUALITY
            name = check_reference(others[1], "name", options.limits.max_string) if len(others) > 1 else ""
            if source.unterminated and len(others) < fields:
                raise RecordError(
                    "found a last line without a line end and with fewer fields than the first record; "
                    "expected a whole line"
                )
            if count == 1:
                fields = len(others)
            yield Entry(name, None, "", None, "", b"%b%b%c" % (_MASK, value, quality))
        except RecordError as error:
            error.path, error.line, error.record = source.path, source.line_number, count
            yield error
