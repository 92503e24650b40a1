"""Generic CSV: a header that names at least one algorithm; ``,``, ``;``, tab or ``|`` between the cells.

=====================  ========================================================================================
column                 meaning
=====================  ========================================================================================
``md5``, ``pdq``, ...  a hash, in hexadecimal; ``photodna`` and ``lace`` also in base64, ``photodna`` as decimals
``id``                 the entry's reference; in quotes it may hold line ends (CR LF counts as LF)
``category``           the category's code; ``category_scheme`` says in which scheme
``media_type``         image, video or other
``size``               bytes of the file
``pdq_quality``        0 to 100; also called ``quality``
``status``             of ``hashmatch hash``: where it is not ``ok``, a row may be without a hash; kept as metadata
anything else          kept as metadata, as text
=====================  ========================================================================================

Names of columns count whatever their case.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any

from hashmatch.errors import RecordError
from hashmatch.kernels.delimited import Column, Kind, RowPlan
from hashmatch.lists.entry import MEDIA_TYPES, Entry
from hashmatch.lists.formats.cells import (
    algorithm_of,
    check_identifier,
    check_reference,
    check_text,
    media_type,
    parse_hash,
    percentage,
    whole_number,
)
from hashmatch.lists.formats.delimited import (
    Records,
    entries_of,
    entry_field,
    fit,
    hash_column,
    header_columns,
    plan_of,
)
from hashmatch.lists.formats.fields import (
    OPINIONS,
    ORIGIN,
    STATUS,
    WRAPPED,
    entry_of,
    note_origin,
    opinions_cell,
    role_of,
    says_unreadable,
)
from hashmatch.lists.formats.jsonl import parse_object
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions

__all__ = ["DELIMITERS", "detect", "read"]

#: In the order in which ties are settled.
DELIMITERS = (",", ";", "\t", "|")

#: Argument of `entry_of` -> what makes it of a cell; the others are text.
_PARSED: dict[str, Callable[[str, str], Any]] = {
    "media_type": media_type,
    "size": whole_number,
    "quality": percentage,
}


def detect(head: Head) -> bool:
    """Whether the first line is a header that names an algorithm."""
    return bool(head.lines) and delimiter_of(head.lines[0]) is not None


def delimiter_of(header: str) -> str | None:
    """The delimiter under which ``header`` names most algorithms, then most columns; None where it names none."""
    best: tuple[int, int] = (0, 0)
    chosen = None
    for delimiter in DELIMITERS:
        try:
            names = next(csv.reader([header], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        found = sum(algorithm_of(name) is not None for name in names)
        if found and (found, len(names)) > best:
            best, chosen = (found, len(names)), delimiter
    return chosen


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a CSV file.

    Raises:
        RecordError: the header is damaged, or the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    first = source.head().lines
    delimiter = delimiter_of(first[0]) if first else None
    if delimiter is None:
        raise RecordError(
            "found no header that names an algorithm; expected columns such as id, md5, sha1, pdq", path=source.path
        )
    records = Records(source, delimiter)
    line, cells = records.header()
    row_of = _Row(header_columns(cells, line, source.path), line, source.path, options.limits)

    def plain(row: list[str]) -> Entry:
        entry = row_of.entry(row, quoted=records.quoted)
        if row_of.origin is not None:
            note_origin(source.origins, fit(row, row_of.width)[row_of.origin])
        return entry

    yield from entries_of(records, row_of.plan(delimiter), plain)


class _Row:
    """What the header says about the rows."""

    def __init__(self, names: list[str], line: int, path: str, limits: Limits) -> None:
        while names and not names[-1]:
            names = names[:-1]
        self._names = names
        self.width = len(names)
        #: The column that says whose a row was when it was exported.
        self.origin: int | None = None
        self._limits = limits
        self._max_string = limits.max_string
        self._hashes: list[tuple[int, str, str]] = []
        self._texts: list[tuple[int, str]] = []
        self._roles: list[tuple[str, int, str]] = []
        self._wrapped: int | None = None
        self._opinions: int | None = None
        self._status = next((place for place, name in enumerate(names) if name.lower() == STATUS), None)
        algorithms: dict[str, str] = {}
        exact = {name.lower() for name in names}
        for place, name in enumerate(names):
            algorithm, role = algorithm_of(name), role_of(name)
            if not name:
                raise RecordError(f"found no name for column {place + 1}; expected one", path=path, line=line)
            if algorithm is not None:
                if algorithm in algorithms:
                    raise RecordError(
                        f"found {algorithm} in the columns {algorithms[algorithm]!r} and {name!r}; expected it once",
                        path=path,
                        line=line,
                    )
                algorithms[algorithm] = name
                self._hashes.append((place, algorithm, name))
            elif name.lower() == WRAPPED:
                self._wrapped = place
            elif name.lower() == OPINIONS:
                self._opinions = place
            elif name.lower() == ORIGIN:
                self.origin = place
            elif role is None or (role == "quality" and name.lower() != "pdq_quality" and "pdq_quality" in exact):
                self._texts.append((place, check_text(name, name, limits.max_string)))
            else:
                self._roles.append((role, place, name))

    def entry(self, cells: list[str], *, quoted: bool) -> Entry:
        """The entry of one record; ``quoted``: it has quotes, and line ends in the reference are meant.

        Raises:
            RecordError: the record is malformed.
        """
        cells = fit(cells, self.width)
        cap = self._max_string
        hashes: dict[str, bytes] = {}
        for place, algorithm, name in self._hashes:
            if text := cells[place].strip():
                try:
                    hashes[algorithm] = parse_hash(algorithm, text)
                except RecordError as error:
                    error.field = name
                    raise
        # Most lists have few of these columns; what is not there costs nothing.
        found: dict[str, Any] = {}
        for role, place, name in self._roles:
            text = cells[place]
            if role == "ref":
                found[role] = (check_identifier if quoted else check_reference)(text, name, cap)
            elif text := text.strip():
                parse = _PARSED.get(role)
                found[role] = parse(text, name) if parse is not None else check_reference(text, name, cap)
        metadata: dict[str, Any] = {
            name: check_text(cells[place], name, cap) for place, name in self._texts if cells[place]
        }
        if self._wrapped is not None and cells[self._wrapped]:
            metadata |= parse_object(cells[self._wrapped], self._limits)
        if self._opinions is not None:
            found["opinions"] = opinions_cell(cells[self._opinions], self._limits)
        unreadable = self._status is not None and says_unreadable(cells[self._status])
        return entry_of(hashes, metadata=metadata, unreadable=unreadable, **found)

    def plan(self, delimiter: str) -> RowPlan | None:
        """What stands in which column, for rows without anything unusual; None where the header asks for more."""
        if self.origin is not None:  # each row's is counted
            return None
        # What is left at that: opinions, and metadata as JSON.
        columns = {name: Column(Kind.NOTHING) for name in self._names}
        for _, algorithm, name in self._hashes:
            columns[name] = hash_column(algorithm, base64=algorithm == _BASE64)
        for place, name in self._texts:
            columns[name] = Column(Kind.TEXT_PIECE, key=self._names[place])
        for role, _, name in self._roles:
            if role not in _PLANNED:
                return None
            columns[name] = _PLANNED[role]
        return plan_of(delimiter, list(columns.values()), self._limits)


#: The hash whose usual form is base64.
_BASE64 = "lace"
#: Argument of `entry_of` -> its column, of those that one column decides.
_PLANNED = {
    "ref": Column(Kind.TEXT_FIELD, entry_field("ref"), optional=True),
    "size": Column(Kind.NUMBER_FIELD, entry_field("size"), optional=True),
    "media_type": Column(
        Kind.WORD_FIELD,
        entry_field("media_type"),
        words=(*((name.encode(), name) for name in MEDIA_TYPES), (b"", "")),
    ),
}
