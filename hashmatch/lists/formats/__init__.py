"""Formats of hash lists: one reader per file, one registry.

A format is known by its content. Where more than one reader claims a file, its suffix may settle it; otherwise that is
an error that names them all, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from types import MappingProxyType, TracebackType

from hashmatch.errors import FormatAmbiguousError, FormatUnknownError, RecordError, UsageError, shorten
from hashmatch.lists.entry import Entry, Retraction
from hashmatch.lists.formats import (
    csv_generic,
    dfxml,
    encase,
    hashdeep,
    hashkeeper,
    icse,
    jsonl,
    kdb,
    ncmec,
    nsrl_sqlite,
    nsrl_text,
    parquet,
    pdq,
    sums,
    tsk_index,
    vics,
)
from hashmatch.lists.formats.source import Head, Input, Limits, Progress, ReadOptions

__all__ = [
    "FORMATS",
    "Format",
    "Head",
    "Input",
    "Item",
    "Limits",
    "Progress",
    "ReadOptions",
    "Reading",
    "detect",
    "open_entries",
]

#: What a reader yields for a record: an entry, a withdrawal of one, or what is wrong with the record.
Item = Entry | Retraction | RecordError


@dataclass(frozen=True, slots=True)
class Format:
    """One format of hash lists.

    Attributes:
        name: the name for ``--from`` and reports.
        title: what people call it.
        detect: whether a file that begins like this is of the format. Never raises.
        read: the records of an input: an entry, or the error that says what is wrong with the record. Errors after
            which the rest of the file is not usable are raised.
        suffixes: suffixes of file names, lower case, that settle between several formats that claim a file.
        general: gives way to any other format that claims the file.
        binary: the format is not text: it is also asked about files whose first line has control characters.
        role: the role of the lists that such a file is for, where it says so by itself: ``known`` for lists of
            material, ``known-good`` for lists of harmless files; "" where it may be either. An import into a list of
            another role is refused unless the role is confirmed.
        origin_of: of formats that many kinds of lists are kept in: the format that the file was made of, as its
            beginning says, or None. The file then has the role of that format. Never raises.
    """

    name: str
    title: str
    detect: Callable[[Head], bool]
    read: Callable[[Input, ReadOptions], Iterator[Item]]
    suffixes: tuple[str, ...] = ()
    general: bool = False
    binary: bool = False
    role: str = ""
    origin_of: Callable[[Head], str | None] | None = None


def _sums(algorithm: str) -> Format:
    name = f"{algorithm}sum"
    return Format(
        name,
        f"{name} (GNU, BSD or bare digests)",
        partial(sums.detect, algorithm=algorithm),
        partial(sums.read, algorithm=algorithm),
        (f".{algorithm}", f".{name}"),
    )


#: Name -> format. Detection asks all of them.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        format_.name: format_
        for format_ in (
            Format("icse", "INTERPOL ICSE export", icse.detect, icse.read, role="known"),
            Format("vics", "VICS (Project VIC)", vics.detect, vics.read, role="known"),
            Format("ncmec", "NCMEC hash sharing 2 (XML)", ncmec.detect, ncmec.read, role="known"),
            Format("dfxml", "DFXML (hashdeep -d, fiwalk)", dfxml.detect, dfxml.read),
            Format("hashdeep", "hashdeep", hashdeep.detect, hashdeep.read),
            Format(
                "nsrl3", "NSRL RDS 3 (SQLite)", nsrl_sqlite.detect, nsrl_sqlite.read, binary=True, role="known-good"
            ),
            Format("nsrl2", "NSRL RDS 2 (NSRLFile.txt)", nsrl_text.detect, nsrl_text.read, role="known-good"),
            Format("hashkeeper", "HashKeeper", hashkeeper.detect, hashkeeper.read, (".hsh",), role="known-good"),
            Format("kdb", "Autopsy or Sleuth Kit hash database", kdb.detect, kdb.read, (".kdb",), binary=True),
            Format(
                "tsk-index",
                "Sleuth Kit hash index",
                tsk_index.detect,
                tsk_index.read,
                (".idx",),
                origin_of=tsk_index.origin_of,
            ),
            Format("encase", "EnCase hash set", encase.detect, encase.read, (".hash",), binary=True),
            Format("pdq", "PDQ text", pdq.detect, pdq.read, (".pdq",)),
            _sums("md5"),
            _sums("sha1"),
            _sums("sha256"),
            _sums("sha512"),
            Format(
                "parquet",
                "Parquet or Arrow",
                parquet.detect,
                parquet.read,
                (".parquet", ".arrow", ".feather"),
                binary=True,
            ),
            Format("jsonl", "JSON Lines", jsonl.detect, jsonl.read, (".jsonl", ".ndjson"), general=True),
            Format("csv", "CSV with a header", csv_generic.detect, csv_generic.read, (".csv", ".tsv"), general=True),
        )
    }
)

#: The application_id of our own lists, in an SQLite file's header: "HML1".
_HASHMATCH_LIST = (0x484D4C31).to_bytes(4, "big")

#: First bytes of what people hand over instead of a list -> what it is.
_FOREIGN = {
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"BZh": "is compressed with bzip2; unpack it first",
    b"\xfd7zXZ\0": "is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "is a 7-Zip archive; unpack it first",
    b"Rar!\x1a\x07": "is a RAR archive; unpack it first",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet; unpack it, or save it as CSV",
    b"SQLite format 3\0": "is an SQLite database; expected a hash list",
    b"\x89HMX": "is a compiled hashmatch list; match against it with --list",
    b"\xff\xd8\xff": "is a JPEG image; lists hold hashes, never images",
    b"\x89PNG\r\n": "is a PNG image; lists hold hashes, never images",
    b"%PDF": "is a PDF document; expected a hash list",
}


def _foreign(raw: bytes) -> str | None:
    """What a file that begins with ``raw`` is, if it is known to be something else than a hash list."""
    if raw.startswith(b"SQLite format 3\0") and raw[68:72] == _HASHMATCH_LIST:
        return "is a hashmatch list; match against it with --list, or take it over with `hashmatch list merge`"
    if b'"hashmatch_delta"' in raw.partition(b"\n")[0]:
        return "is a delta; `hashmatch list apply` applies it to a list"
    if raw[257:262] == b"ustar":
        return "is a tar archive; unpack it first"
    return next((what for magic, what in _FOREIGN.items() if raw.startswith(magic)), None)


def detect(source: Input, from_format: str | None = None) -> Format:
    """The format of an input.

    Raises:
        UsageError: ``from_format`` is not the name of a format.
        FormatUnknownError: no reader claims the file.
        FormatAmbiguousError: several readers claim the file, and its suffix does not settle it.
        InputError: the file fails while it is read.
    """
    return _detect(source, from_format)[0]


def _detect(source: Input, from_format: str | None) -> tuple[Format, bool]:
    """The format, and whether it is settled by more than the content."""
    if from_format is not None:
        try:
            named = FORMATS[from_format]
        except KeyError:
            raise UsageError(f"unknown format {shorten(from_format)}; hashmatch reads {', '.join(FORMATS)}") from None
        return _with_role(named, source.head()), True
    head = source.head()
    claims = [known for known in FORMATS.values() if (known.binary or not head.is_binary) and known.detect(head)]
    claims = [known for known in claims if not known.general] or claims
    suffix = PurePath(source.path).suffix.lower()
    by_suffix = [known for known in claims if suffix in known.suffixes]
    if len(by_suffix) == 1:
        return _with_role(by_suffix[0], head), True
    if len(claims) == 1:
        return _with_role(claims[0], head), False
    shown = "standard input" if source.path == "-" else shorten(source.path, 200)
    if claims:
        raise FormatAmbiguousError(
            f"{shown} could be {' or '.join(f'{known.title} ({known.name})' for known in claims)}; "
            f"say which with {' or '.join(f'--from {known.name}' for known in claims)}"
        )
    if foreign := _foreign(head.raw):
        raise FormatUnknownError(f"{shown} {foreign}")
    found = "is binary" if head.is_binary else "begins like no format that hashmatch knows"
    raise FormatUnknownError(
        f"{shown} {found}; tried {', '.join(FORMATS)}; if it is one of these, say so with --from FORMAT"
    )


def _with_role(form: Format, head: Head) -> Format:
    """A format, with the role of the one that the file is of, or was made of: reading an ICSE export as CSV makes it no
    list for both roles, nor does leaving nothing of NSRL but its index.
    """
    if form.origin_of is not None and (origin := form.origin_of(head)) is not None:
        made_of = FORMATS[origin]
        return replace(form, role=made_of.role, title=f"{form.title} of {made_of.title}")
    if form.general:
        for known in FORMATS.values():
            if known.role and (known.binary or not head.is_binary) and known.detect(head):
                return replace(form, role=known.role, title=f"{known.title}, also when read as {form.name},")
    return form


class Reading:
    """The records of one input, read once.

    Iteration gives an `Entry` or a `Retraction` for every record, or the `RecordError` that says what is wrong with it
    (with path, line and ordinal): whether that stops the run is for the caller to decide. An error after which the rest
    of the file is not usable is raised.

    Attributes:
        format: the format that was detected or named.
        input: the input: bytes read, SHA-256 (complete after iteration, or after ``input.finish()``).
    """

    def __init__(self, source: Input, format_: Format, options: ReadOptions) -> None:
        self.format = format_
        self.input = source
        self._entries = format_.read(source, options)

    def __iter__(self) -> Iterator[Item]:
        """The reader's own iterator: nothing stands between it and the caller."""
        return self._entries

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the input."""
        self.input.close()


def open_entries(
    path: str | Path,
    from_format: str | None = None,
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Reading:
    """Open a hash list of any known format ("-" is standard input) and detect which one it is.

    Raises:
        UsageError: ``from_format`` is not the name of a format.
        InputNotFoundError: no such file, a folder, or no permission.
        FormatUnknownError: no reader claims the file.
        FormatAmbiguousError: several readers claim the file.
        InputError: the file is empty or fails while it is read.
    """
    source = Input(path, limits=limits, progress=progress)
    try:
        format_, settled = _detect(source, from_format)
        return Reading(source, format_, ReadOptions(source.limits, settled))
    except BaseException:
        source.close()
        raise
