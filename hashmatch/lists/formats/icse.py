"""INTERPOL ICSE export: CSV with ``;``, about three million rows of some 800 bytes.

There is no public specification. What is known of the columns stands below as data, easy to correct.

Two ways lead through this reader. The plain way, `_Reader.entry`, takes one record at a time and says what is wrong
with it. The fast way, `_Reader.entries`, takes a block of some hundred rows apart in C, column by column, and gives up
as soon as anything in the block is unusual; the block is then halved until the unusual rows are alone, and those go the
plain way. Both give the same entries: a test compares them.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product, repeat
from operator import add
from typing import Any

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, pack_hashes
from hashmatch.lists.formats.cells import (
    NO_HASH,
    check_reference,
    check_text,
    drop_empty,
    parse_hash,
    shown,
    whole_number,
)
from hashmatch.lists.formats.delimited import Records, fit, header_columns
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions, line_ends

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
_UNUSUAL_REFERENCE = re.compile(rb"[\x00-\x08\x0b-\x1f]")
#: Blocks that hold at most so many lines are not halved any more when something in them is unusual.
_FEW_LINES = 16
_CACHED = 1 << 16
_CACHED_TEXT = 512
#: Cells of the width that is usual in an export: those and empty ones take the fast way.
_USUAL_WIDTH = {"md5": 32, "sha1": 40, "photodna": 288, "zz40": 32, "lace": 172}
_LACE_BYTES = ALGORITHMS["lace"].width

_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


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
    count = 0
    while (taken := records.next_block()) is not None:
        line, block = taken
        entries = reader.entries(block)
        if entries is not None:
            count += len(entries)
            yield from entries
            continue
        if line_ends(block) > _FEW_LINES:
            records.halve(line, block)
            continue
        for line, row in records.split(line, block):  # noqa: B020 - the block's own line is done with
            count += 1
            try:
                if isinstance(row, RecordError):
                    raise row
                yield reader.entry(row)
            except RecordError as error:
                error.path, error.line, error.record = source.path, line, count
                yield error


class _Pieces(dict[bytes, str]):
    """Cell -> its piece of the metadata's JSON text, made at its first use and kept while there is room."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make

    def __missing__(self, cell: bytes) -> str:
        piece = self._make(cell.decode())
        if len(cell) <= _CACHED_TEXT:
            if len(self) >= _CACHED:
                self.clear()
            self[cell] = piece
        return piece


class _Words(dict[bytes, Any]):
    """Cell -> what the word in it stands for, whatever the case."""

    def __init__(self, words: dict[str, Any], column: str) -> None:
        self._words = words
        self._column = column

    def __missing__(self, cell: bytes) -> Any:
        value = self[cell] = word(cell.decode(), self._words, self._column)
        return value


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
        self._width = len(columns)
        self._at = {name: place for place, name in enumerate(columns)}
        self._hashes = [(name, self._at[name], algorithm) for name, algorithm in HASHES.items()]
        #: Column, metadata key and how to make the value of a cell (None: leave it out), by key.
        self._metadata = sorted(self._metadata_columns(columns), key=lambda column: column[1])
        self._set_up_fast_way()

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

    # The fast way

    def _set_up_fast_way(self) -> None:
        # In the order of the algorithms' numbers, which is that of the packed form; lace, the last, is base64.
        by_number = sorted(self._hashes, key=lambda column: ALGORITHMS[column[2]].number)
        self._hash_places = [place for _, place, _ in by_number]
        names = [algorithm for *_, algorithm in by_number]
        self._empty = [(names.index(name), EMPTY_DIGESTS[name]) for name in names if name in EMPTY_DIGESTS]
        # Widths of the cells of a row -> the presence mask of its packed form, in hex: joined with the cells it is
        # decoded in one go. A row without any hash, or with a width that is not here, is unusual.
        self._masks: dict[tuple[int, ...], bytes] = {}
        for present in product((False, True), repeat=len(names)):
            chosen = [name for name, there in zip(names, present, strict=True) if there]
            if chosen:
                mask = pack_hashes({name: bytes(ALGORITHMS[name].width) for name in chosen})[:4]
                widths = tuple(_USUAL_WIDTH[name] if name in chosen else 0 for name in names)
                self._masks[widths] = mask.hex().encode()
        self._categories = _Words(CATEGORIES, CATEGORY)
        self._media = _Words(MEDIA_TYPES, MEDIA_TYPE)
        self._pieces = [(self._at[column], _Pieces(make)) for column, make in _json_pieces(self._metadata)]

    def entries(self, block: bytes) -> list[Entry] | None:
        """The entries of a block of whole lines, or None where something in it asks for the plain way."""
        # The first line stands for all: every row must have as many cells as it has.
        stride = block.count(b";", 0, block.find(b"\n")) + 2
        if stride <= self._width or b'"' in block:
            return None
        # The line end becomes a cell of its own, so that one split cuts rows and cells, and so that it shows whether
        # all rows have the same number of cells.
        spread = block.replace(b"\n", b";\n;")
        count = (len(spread) - len(block)) // 2
        cells = spread.split(b";")
        if cells.pop() or len(cells) != count * stride:
            return None  # a row of another width, or no line end: the file ends here, perhaps too early
        if cells[stride - 1 :: stride] != [b"\n"] * count:
            return None
        for place in range(self._width, stride - 1):
            if any(cells[place::stride]):
                return None
        try:
            references = self._references(cells[self._at[REFERENCE] :: stride])
            packed = self._packed([cells[place::stride] for place in self._hash_places])
            categories = list(map(self._categories.__getitem__, cells[self._at[CATEGORY] :: stride]))
            media = list(map(self._media.__getitem__, cells[self._at[MEDIA_TYPE] :: stride]))
            pieces = (map(made.__getitem__, cells[place::stride]) for place, made in self._pieces)
            metadata = list(map("".join, zip(*pieces, strict=True)))
        except (RecordError, ValueError):  # ValueError: among others, what is not UTF-8
            return None
        if packed is None or references is None:
            return None
        rows = zip(
            references,
            categories,
            media,
            repeat(None),
            metadata,
            packed,
            repeat(0),
            repeat(""),
            repeat(""),
            strict=False,
        )
        return list(map(_make_entry, rows))

    def _references(self, cells: list[bytes]) -> list[str] | None:
        joined = b"\n".join(cells)
        if len(joined) > self._limits.max_string or not all(cells):
            return None
        if not joined.replace(b"\n", b"").isalnum() and (
            _UNUSUAL_REFERENCE.search(joined) or not all(map(bytes.strip, cells))
        ):
            return None
        return joined.decode().split("\n")

    def _packed(self, columns: list[list[bytes]]) -> list[bytes] | None:
        """The packed hashes of every row from its cells, in the order of the algorithms' numbers."""
        try:
            if any(empty in binascii.unhexlify(b"".join(columns[column])) for column, empty in self._empty):
                return None
            masks = list(map(self._masks.__getitem__, zip(*(map(len, column) for column in columns), strict=True)))
            *hexadecimal, lace = columns
            decoded = list(map(binascii.a2b_base64, lace))
            if sum(map(len, decoded)) != _LACE_BYTES * (len(lace) - lace.count(b"")):
                return None  # a2b_base64 passes over what is not base64
            packed = list(
                map(add, map(binascii.unhexlify, map(b"".join, zip(masks, *hexadecimal, strict=True))), decoded)
            )
        except (KeyError, ValueError):
            return None
        return packed


def _json_pieces(
    metadata: Sequence[tuple[str, str, Callable[[str], Any]]],
) -> Iterator[tuple[str, Callable[[str], str]]]:
    """(column, function from a cell to its piece): a row's pieces joined are what `canonical_json` would make.

    ``metadata`` is sorted by key, as `canonical_json` sorts. Commas stand before a piece after the first column that is
    never left out, and behind a piece before it.
    """
    always = [column not in TEXTS and column in COLUMNS for column, *_ in metadata]
    first = always.index(True)
    last = len(metadata) - 1
    for place, (column, key, value) in enumerate(metadata):
        yield (
            column,
            partial(
                _piece,
                value=value,
                opening="{" if not place else "",
                start=("," if place > first else "") + json.dumps(key, ensure_ascii=False) + ":",
                end="," if place < first else "",
                closing="}" if place == last else "",
            ),
        )


def _piece(cell: str, *, value: Callable[[str], Any], opening: str, start: str, end: str, closing: str) -> str:
    found = value(cell)
    if found is None:
        return opening + closing
    return f"{opening}{start}{json.dumps(found, ensure_ascii=False)}{end}{closing}"
