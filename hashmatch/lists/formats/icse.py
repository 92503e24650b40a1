"""INTERPOL ICSE export: CSV with ``;``, about three million rows of some 800 bytes.

There is no public specification. What is known of the columns stands below as data, easy to correct.

Two ways lead through this reader. The plain way, `_Reader.entry`, takes one record at a time and says what is wrong
with it. The fast way, `_Reader.plan`, says what stands in which column, and leaves rows without anything unusual to
`hashmatch.kernels.delimited_rows`. Both give the same entries: a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from hashmatch.errors import RecordError
from hashmatch.kernels.delimited import Column, Kind, RowPlan
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats.cells import (
    NO_HASH,
    check_reference,
    check_text,
    drop_empty,
    parse_hash,
    shown,
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
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions

__all__ = ["COLUMNS", "detect", "read"]

#: Columns with hashes -> algorithm.
HASHES = {"MD5": "md5", "SHA1": "sha1", "ZZ40": "zz40", "PhotoDNA": "photodna", "Lace": "lace"}
#: The entry's reference, media type and category.
REFERENCE, MEDIA_TYPE, CATEGORY = "Image ID", "Media Type", "Baseline"
MEDIA_TYPES = {"image": "image", "video": "video"}
CATEGORIES = {"yes": ("interpol", "baseline"), "no": ("interpol", "non-baseline")}
#: Columns with a flag -> (metadata key, word for true, word for false).
FLAGS = {
    "Is distributed": ("is_distributed", "Y", "N"),
    "Victim identified": ("victim_identified", "Y", "N"),
    "Offender identified": ("offender_identified", "Y", "N"),
    "File Available": ("file_available", "True", "False"),
}
#: Columns with a number -> metadata key.
NUMBERS = {"Number of submissions": "submissions"}
#: Columns with text -> metadata key; left out of the metadata where the cell is empty.
TEXTS = {"Series name": "series", "Investigation name": "investigation", "Agency": "agency"}

#: Every column that an export must have, in any order; a column beyond them is kept as text under its own name.
COLUMNS = (*HASHES, REFERENCE, MEDIA_TYPE, CATEGORY, *FLAGS, *NUMBERS, *TEXTS)

#: What no other list has, as far as is known.
_SIGNATURE = {REFERENCE.casefold(), CATEGORY.casefold()}

_DELIMITER = ";"
#: The hash that exports write in base64.
_BASE64 = "lace"


def detect(head: Head) -> bool:
    """Whether the first line is the header of an ICSE export: columns by name, in any order."""
    if not head.lines:
        return False
    names = {cell.strip().strip('"').casefold() for cell in head.lines[0].split(_DELIMITER)}
    return names >= _SIGNATURE and not names.isdisjoint(name.casefold() for name in HASHES)


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of an ICSE export.

    Raises:
        RecordError: the header is damaged, or the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    records = Records(source, _DELIMITER)
    line, cells = records.header()
    reader = _Reader(header_columns(cells, line, source.path), line, source.path, options.limits)
    yield from entries_of(records, reader.plan(), reader.entry)


def word(cell: str, words: dict[str, Any], column: str) -> Any:
    """What the word in ``cell`` stands for.

    Raises:
        RecordError: not one of ``words``.
    """
    # Casefold, since spreadsheets turn True into TRUE.
    value = words.get(cell.strip(" ").casefold())
    if value is None:
        expected = " or ".join(key.capitalize() for key in words)
        raise RecordError(f"found {shown(cell)}; expected {expected}", field=column)
    return value


class _Reader:
    """What the header says about the rows."""

    def __init__(self, names: Sequence[str], line: int, path: str, limits: Limits) -> None:
        self._limits = limits
        while names and not names[-1]:
            names = names[:-1]
        known = {name.casefold(): name for name in COLUMNS}
        columns = [known.get(name.casefold(), name) for name in names]
        if missing := [name for name in COLUMNS if name not in columns]:
            raise RecordError(
                f"found a header without {', '.join(map(repr, missing))}; expected the columns of an ICSE export: "
                f"{', '.join(COLUMNS)}",
                path=path,
                line=line,
            )
        if "" in columns:
            raise RecordError(f"found no name for column {columns.index('') + 1}", path=path, line=line)
        self._columns = columns
        self._width = len(columns)
        self._at = {name: place for place, name in enumerate(columns)}
        self._hashes = [(name, self._at[name], algorithm) for name, algorithm in HASHES.items()]
        #: Column, metadata key and how to make the value of a cell (None: leave it out), by key.
        self._metadata = sorted(self._metadata_columns(columns), key=lambda column: column[1])

    def _metadata_columns(self, columns: Sequence[str]) -> Iterator[tuple[str, str, Callable[[str], Any]]]:
        for column, (key, true, false) in FLAGS.items():
            yield column, key, partial(word, words={true.casefold(): True, false.casefold(): False}, column=column)
        for column, key in NUMBERS.items():
            yield column, key, partial(whole_number, field=column)
        others = {name: name for name in columns if name not in COLUMNS}
        for column, key in (TEXTS | others).items():
            yield column, key, partial(self._text, column=column)

    def _text(self, cell: str, column: str) -> str | None:
        return check_text(cell, column, self._limits.max_string) or None

    def entry(self, cells: list[str]) -> Entry:
        """The entry of one record.

        Raises:
            RecordError: the record is malformed.
        """
        cells = fit(cells, self._width)
        reference = cells[self._at[REFERENCE]]
        if not reference.strip():
            raise RecordError("found nothing; expected the reference of the image", field=REFERENCE)
        check_reference(reference, REFERENCE, self._limits.max_string)
        hashes: dict[str, bytes] = {}
        for column, place, algorithm in self._hashes:
            if text := cells[place].strip():
                try:
                    hashes[algorithm] = parse_hash(algorithm, text)
                except RecordError as error:
                    error.field = column
                    raise
        if not hashes:
            raise RecordError(NO_HASH)
        dropped = drop_empty(hashes)
        metadata = {key: value(cells[self._at[column]]) for column, key, value in self._metadata}
        return Entry.make(
            reference,
            hashes,
            category=word(cells[self._at[CATEGORY]], CATEGORIES, CATEGORY),
            media_type=word(cells[self._at[MEDIA_TYPE]], MEDIA_TYPES, MEDIA_TYPE),
            metadata={key: value for key, value in metadata.items() if value is not None},
            dropped=dropped,
        )

    def plan(self) -> RowPlan | None:
        """What stands in which column; None where two columns give one key of the metadata."""
        words = partial(Column, Kind.WORD_FIELD)
        columns = {
            REFERENCE: Column(Kind.TEXT_FIELD, entry_field("ref")),
            CATEGORY: words(entry_field("category"), words=_words(CATEGORIES)),
            MEDIA_TYPE: words(entry_field("media_type"), words=_words(MEDIA_TYPES)),
        }
        for name, algorithm in HASHES.items():
            columns[name] = hash_column(algorithm, base64=algorithm == _BASE64)
        for name, (key, true, false) in FLAGS.items():
            columns[name] = Column(Kind.WORD_PIECE, key=key, words=_words({true: b"true", false: b"false"}))
        for name, key in NUMBERS.items():
            columns[name] = Column(Kind.NUMBER_PIECE, key=key)
        for name, key in TEXTS.items():
            columns[name] = Column(Kind.TEXT_PIECE, key=key)
        return plan_of(
            _DELIMITER,
            [columns.get(name) or Column(Kind.TEXT_PIECE, key=name) for name in self._columns],
            self._limits,
        )


def _words(words: Mapping[str, Any]) -> tuple[tuple[bytes, Any], ...]:
    return tuple((key.casefold().encode(), value) for key, value in words.items())
