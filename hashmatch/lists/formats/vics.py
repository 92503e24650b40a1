r"""VICS 1.2, 1.3 and 2.0 (Project VIC): a JSON document of media, or of cases that hold media.

There is no public specification. What is known of the members stands as data below and in `vics_members`.

* The reference of a media object is its MediaID. In a document of cases, where every case counts from the beginning, it
  is the case's CaseID (or CaseNumber), a slash, and the MediaID: the same media in two cases is two entries, as two
  cases say it, each with its own category. Without one of these, the reference is left to the list.
* A category is the number as the document has it, under the scheme that the document's data model names.
* A MediaSize of 0 is "not stated", and kept in the metadata: programs write it where they do not know the size.
* Every other member is metadata under its own name, MediaFiles and Exifs included; null, "" and empty arrays and
  objects say nothing and are left out. Flags that are written as text become booleans, and dates in the form
  ``/Date(milliseconds)/`` ISO 8601; dates in ISO 8601 stay as they are, digits and offset included.
* The members of a case but its media and its counts are metadata of each of its media, under ``Case``. They may stand
  behind the media, so a document of cases is read twice, and only from a stream must they stand before them.
* Pictures inside the document (Miniature) are left out: lists hold hashes, never images.

Counts in the document that do not fit what it holds are noted, as are left out pictures and members.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from hashmatch.errors import InputError, RecordError
from hashmatch.lists.entry import Entry, canonical_json
from hashmatch.lists.formats.cells import shown, shown_field
from hashmatch.lists.formats.json_stream import Batch, JsonStream
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions
from hashmatch.lists.formats.vics_media import MediaReader
from hashmatch.lists.formats.vics_members import TOTAL_FILES, TOTAL_PRECATEGORIZED, tidy

__all__ = ["detect", "read"]

#: Members of the document that name its data model, and those that count its items.
CONTEXTS = ("odata.metadata", "@odata.context")
COUNTS = ("odata.count", "@odata.count")
#: Members that say that more of the document stands elsewhere.
NEXT = ("odata.nextLink", "@odata.nextLink")
VALUE = "value"
#: The member of a case that holds its media.
MEDIA = "Media"

_MODEL = re.compile(r"DataModels/(1\.2|1\.3|2\.0)\.xml(?:/([A-Za-z]{1,20})/\$metadata)?#(Media|Cases)$", re.IGNORECASE)
#: A document's beginning: members whose values are plain, then the context.
_BEGINNING = re.compile(
    r'\s*\{\s*(?:"[^"\\]{0,100}"\s*:\s*(?:"[^"\\]{0,500}"|[-\w.+]{1,30})\s*,\s*){0,8}'
    rf'"(?:{"|".join(map(re.escape, CONTEXTS))})"\s*:\s*"[^"]{{0,300}}DataModels(?:\\?/)[^"]*"'
)
#: Characters of a case's facts, as JSON, which every one of its media carries.
_MAX_FACTS = 8_192
_Object = dict[str, Any]


def detect(head: Head) -> bool:
    """Whether the file is an object whose first members name a data model of VICS."""
    return _BEGINNING.match(head.text[:8192]) is not None


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The entries of a VICS document.

    Raises:
        RecordError: the document is malformed, cut off, or of another data model.
        InputError: the file fails while it is read, or is a stream of cases whose facts stand behind their media.
    """
    return chain.from_iterable(_batches(source, options))


def _batches(source: Input, options: ReadOptions) -> Iterator[list[Entry | RecordError]]:
    try:
        yield from _Document(source, options.limits).batches()
    except RecordError as error:
        error.path = error.path or source.path
        raise


class _Model(NamedTuple):
    """What a document's context says.

    Attributes:
        scheme: the scheme of the categories.
        of_cases: whether it holds cases, which hold media.
    """

    scheme: str
    of_cases: bool

    @classmethod
    def of(cls, context: object, key: str) -> _Model:
        found = _MODEL.search(context) if isinstance(context, str) else None
        version, region, kind = found.groups() if found else ("", None, "")
        if found is None or (version == "2.0") != (region is not None):
            what = shown(context) if isinstance(context, str) else "no text"
            raise RecordError(
                f"found {what}; expected the data model of VICS 1.2, 1.3 or 2.0, ending in #Media or #Cases", field=key
            )
        scheme = f"vics-{region.lower()}-{version}" if region else f"vics-{version}"
        return cls(scheme, kind.casefold() == "cases")


class _Document:
    """The walk through one document."""

    def __init__(self, source: Input, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._stream = JsonStream(source)
        self._records = 0
        self._pictures = 0

    def batches(self) -> Iterator[list[Entry | RecordError]]:
        """The records, as many at a time as are read at once."""
        model: _Model | None = None
        counts: dict[str, Any] = {}
        has_value = False
        items = 0
        for key in self._stream.members("the document"):
            if key in CONTEXTS:
                model = _Model.of(self._stream.value(key), key)
            elif key == VALUE:
                if model is None:
                    raise RecordError(
                        f"found no member {' or '.join(map(repr, CONTEXTS))} before {VALUE!r}; expected it first, "
                        "as it says what the document holds"
                    )
                has_value = True
                if model.of_cases:
                    facts = self._facts()
                    for number, _ in enumerate(self._stream.elements(f"the array {VALUE!r}")):
                        yield from self._case(model, number, facts)
                        items += 1
                else:
                    reader = MediaReader(model.scheme, self._limits)
                    yield from self._media(reader, f"the array {VALUE!r}")
                    self._pictures += reader.pictures
                    items = self._records
            else:
                value = self._stream.value(key)
                if key in COUNTS:
                    counts[key] = value
                elif key in NEXT and value:
                    self._note(f"found {key!r}: the document is one part of several; expected its other parts too")
                else:
                    self._note(f"left out the member {shown_field(key)!r} of the document")
        self._stream.finish()
        if not has_value:
            raise RecordError(f"found no member {VALUE!r}; expected an array")
        for key, stated in counts.items():
            if _count(stated) != items:
                self._note(f"{key} says {_stated(stated)}; found {items:,}")
        if self._pictures:
            self._note(f"left out pictures of {self._pictures:,} media: lists hold hashes, never images")

    def _note(self, note: str) -> None:
        self._source.notes.append(note)

    def _media(self, reader: MediaReader, what: str) -> Iterator[list[Entry | RecordError]]:
        for batch in self._stream.objects_or(what, reader.take):
            if not isinstance(batch, Batch):
                self._records += len(batch)
                yield batch  # type: ignore[misc]
                continue
            found = reader.entries(batch)
            self._records += len(found)
            if reader.failed:
                first = self._records - len(found) + 1
                for index in reader.failed:
                    error = found[index]
                    line = batch.line(index)
                    # A document of one line has no lines: its records are told apart by their numbers.
                    error.line = line if line > 1 else None  # type: ignore[union-attr]
                    error.path, error.record = self._source.path, first + index  # type: ignore[union-attr]
            yield found

    def _case(self, model: _Model, number: int, facts: list[_Object] | None) -> Iterator[list[Entry | RecordError]]:
        """The media of the next case. ``facts``: what an earlier reading found of every case."""
        stated: _Object = {}
        reader: MediaReader | None = None
        first = self._records
        for key in self._stream.members("a case"):
            if key != MEDIA:
                stated[key] = self._stream.value(key)
                continue
            known = _facts_of(stated) if facts is None else facts[number] if number < len(facts) else {}
            reader = MediaReader(model.scheme, self._limits, known)
            yield from self._media(reader, f"the array {MEDIA!r} of a case")
            self._pictures += reader.pictures
        after = _facts_of(stated)
        if reader is not None and reader.case != after:
            if facts is None:
                raise InputError(
                    f"{'standard input' if self._source.path == '-' else self._source.path} is a stream, and has facts "
                    "of a case behind its media; expected a file, which can be read twice: save it to a file first"
                )
            raise InputError(f"{self._source.path} changed while it was read; expected a file at rest: read it again")
        media = self._records - first
        files, precategorized = (reader.files, reader.precategorized) if reader else (0, (0, 0))
        name = f"case {number + 1:,}"
        if (total := stated.get(TOTAL_FILES)) is not None and _count(total) not in (media, files):
            self._note(f"{name}: {TOTAL_FILES} says {_stated(total)}; found {media:,} media with {files:,} files")
        if (total := stated.get(TOTAL_PRECATEGORIZED)) is not None and _count(total) not in precategorized:
            self._note(f"{name}: {TOTAL_PRECATEGORIZED} says {_stated(total)}; found {precategorized[0]:,} media")
        if left_out := _over_length(stated):
            self._note(f"{name}: left out {', '.join(map(repr, map(shown_field, left_out)))}, too long for every media")

    def _facts(self) -> list[_Object] | None:
        """The facts of every case, by a reading of its own, or None where the input is a stream."""
        if self._source.bytes_total is None:
            return None
        found = []
        reader = MediaReader("", self._limits)  # nobody looks at its entries
        with Input(self._source.local_file(), limits=self._limits) as again:
            stream = JsonStream(again)
            for key in stream.members("the document"):
                if key != VALUE:
                    stream.value(key)
                    continue
                for _ in stream.elements(f"the array {VALUE!r}"):
                    stated = {}
                    for name in stream.members("a case"):
                        if name == MEDIA:
                            for batch in stream.objects_or(f"the array {MEDIA!r} of a case", reader.take):
                                if isinstance(batch, Batch):
                                    reader.learn(batch)
                        else:
                            stated[name] = stream.value(name)
                    found.append(_facts_of(stated))
            stream.finish()
        return found


def _count(stated: object) -> int | None:
    """A stated count, whether it is a number or text."""
    if isinstance(stated, str):
        stated = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 19 else None
    return stated if type(stated) is int else None


def _stated(stated: object) -> str:
    number = _count(stated)
    return "no number" if number is None else f"{number:,}"


def _facts_of(stated: _Object) -> _Object:
    """What a case's members say of its media: all but the counts, and but what is too long."""
    left_out = _over_length(stated)
    facts: _Object = tidy({k: v for k, v in stated.items() if k not in left_out})
    return facts


def _over_length(stated: _Object) -> list[str]:
    """The members of a case that are left out so that the others are no longer than `_MAX_FACTS`: long ones first."""
    lengths = {k: len(k) + len(canonical_json(v)) for k, v in tidy(stated).items()}
    left_out = []
    for key in sorted(lengths, key=lambda k: (lengths[k], k), reverse=True):
        if sum(lengths.values()) <= _MAX_FACTS:
            break
        left_out.append(key)
        del lengths[key]
    return left_out
