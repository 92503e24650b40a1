r"""Digital Forensics XML: what hashdeep ``-d``, md5deep ``-d`` and fiwalk write of files, one ``<fileobject>`` each.

The reference is the file's name, as far as that is one in the file: names in the second partition of an image and on
begin with ``partition 2:``, and a file that was deleted, of which there may be several of one name, ends in
``[unallocated N]`` with the number that the program gave it.

Everything else that a fileobject says is kept as metadata, as `xml_stream.plain` makes it of elements, but for
``<byte_runs>`` (where its pieces lie on the disk, with hashes of sectors, which are not the file's) and
``<original_fileobject>`` (what a comparison found before).

Folders. Programs that read images hash the data of folders too. No file has these hashes: folders count as records
without a hash, which an import leaves out and counts; so do files that were not hashed.

Names are bytes. fiwalk writes bytes that are not UTF-8, control characters and backslashes as ``\xFF``, and so they
stay. hashdeep writes names as they are, which may be no XML: what cannot stay becomes ``\xff``, but for NUL, which no
name holds. Line ends in names are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hashmatch.algorithms import parse_base64
from hashmatch.errors import HashTextError, RecordError
from hashmatch.lists.entry import Entry, canonical_json, pack_hashes
from hashmatch.lists.formats.cells import (
    algorithm_of,
    check_identifier,
    drop_empty,
    parse_hash,
    shown,
    shown_field,
    whole_number,
)
from hashmatch.lists.formats.source import Head, Input, Limits, ReadOptions
from hashmatch.lists.formats.xml_stream import OPENED, RECORD, Element, XmlStream, plain, root_of

__all__ = ["detect", "read"]

ROOT = "dfxml"
FILE = "fileobject"
NAME, SIZE, HASH = "filename", "filesize", "hashdigest"
#: Elements of a fileobject that are not kept.
PASSED_OVER = ("byte_runs", "original_fileobject")
#: How a hash is written, in its attribute ``coding``; "" is the default.
HEXADECIMAL, BASE64 = ("", "hex", "base16"), ("base64",)
#: Element -> its text, where it says that the file is a folder (of TSK: d a folder, 2 likewise) ...
FOLDER = {"name_type": "d", "meta_type": "2"}
#: ... and that it was deleted.
DELETED = {"unalloc": "1", "alloc": "0", "alloc_name": "0", "alloc_inode": "0"}
PARTITION, NUMBERS = "partition", ("id", "inode")


def detect(head: Head) -> bool:
    """Whether the root element is that of DFXML."""
    return root_of(head)[1] == ROOT


def read(source: Input, options: ReadOptions) -> Iterator[Entry | RecordError]:
    """The files of a DFXML document. ``source.notes`` says afterwards how many folders were among them.

    Raises:
        RecordError: not DFXML, damaged or cut off: the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    stream = XmlStream(source, (FILE,), namespaces=None, passed_over=PASSED_OVER, repair=True)
    count = folders = 0
    for kind, line, parent, element, problem in stream:
        if not parent and kind in (OPENED, RECORD) and element[0] != ROOT:
            reason = f"found the root element {shown(element[0])}; expected {ROOT}"
            raise RecordError(reason, path=source.path, line=line)
        if kind != RECORD:
            if problem:
                count += 1
                yield RecordError(problem, path=source.path, line=line, record=count)
            continue
        count += 1
        try:
            if problem:
                raise RecordError(problem)
            entry, is_folder = _entry(element, options.limits)
            folders += is_folder
            yield entry
        except RecordError as error:
            error.path, error.line, error.record = source.path, line, count
            yield error
    if folders:
        source.notes.append(f"folders, which are no files, were left out with what was hashed of them: {folders:,}")


def _entry(element: Element, limits: Limits) -> tuple[Entry, bool]:
    """The entry of a fileobject, and whether it is a folder."""
    tag, attributes, _, children = element
    hashes: dict[str, bytes] = {}
    unknown: dict[str, str] = {}
    known: dict[str, str] = {}
    others: list[Element] = []
    for child in children:
        name, _, text, inner = child
        if name == HASH:
            _take_hash(child, hashes, unknown, limits)
        elif name in (NAME, SIZE):
            if name in known:
                raise RecordError("found it twice; expected it once", field=name)
            if inner:
                raise RecordError("found elements in it; expected text", field=name)
            known[name] = text
        else:
            others.append(child)
    fields = _metadata((tag, attributes, "", others), limits.max_string)
    is_folder = any(fields.get(name) == text for name, text in FOLDER.items())
    if is_folder:
        hashes.clear()
        unknown.clear()
    if unknown:
        fields[HASH] = unknown
    name = check_identifier(known.get(NAME, ""), NAME, limits.max_string)
    size = known.get(SIZE, "").strip()
    dropped = drop_empty(hashes)
    entry = Entry(
        _reference(name, fields),
        None,
        "",
        whole_number(size, SIZE) if size else None,
        canonical_json(fields) if fields else "",
        pack_hashes(hashes),
        dropped,
    )
    return entry, is_folder


def _metadata(element: Element, max_string: int) -> dict[str, Any]:
    """What `xml_stream.plain` makes of an element with attributes or elements, quicker for plain texts."""
    tag, attributes, _, children = element
    fields: dict[str, Any] = {}
    rest: list[Element] = []
    for child in children:
        name, has_attributes, text, inner = child
        if has_attributes or inner or name in fields or not text.isprintable() or len(text) > max_string:
            rest.append(child)
        else:
            fields[name] = text.strip()
    if rest or attributes:
        if any(child[0] in fields for child in rest):
            rest, fields = children, {}
        fields |= plain((tag, attributes, "", rest), max_string)
    return fields


def _reference(name: str, fields: dict[str, Any]) -> str:
    if not name:
        return ""
    partition = fields.get(PARTITION)
    if isinstance(partition, str) and partition.isdecimal() and int(partition[:9]) > 1:
        name = f"{PARTITION} {partition}: {name}"
    if any(fields.get(tag) == text for tag, text in DELETED.items()):
        number = next((n for tag in NUMBERS if isinstance(n := fields.get(tag), str)), "")
        name = f"{name} [unallocated {number}]" if number else f"{name} [unallocated]"
    return name


def _take_hash(element: Element, hashes: dict[str, bytes], unknown: dict[str, str], limits: Limits) -> None:
    """Put a hash of the file into ``hashes``, or into ``unknown`` where hashmatch does not know its algorithm."""
    _, attributes, text, inner = element
    kind = attributes.get("type", "").strip()
    field = f"{HASH} {shown_field(kind)}" if kind else HASH
    if not kind:
        raise RecordError("found a hash without a type; expected the algorithm's name", field=field)
    if inner:
        raise RecordError("found elements in it; expected a hash", field=field)
    text = text.strip()
    if not text:
        return
    algorithm = algorithm_of(kind)
    if algorithm is None:
        if unknown.setdefault(kind, check_identifier(text, field, limits.max_string)) != text:
            raise RecordError("found two different ones; expected one", field=field)
        return
    coding = attributes.get("coding", "").strip().lower()
    if coding not in (*HEXADECIMAL, *BASE64):
        raise RecordError(f"found the coding {shown(coding)}; expected hex or base64", field=field)
    try:
        value = parse_base64(algorithm, text) if coding in BASE64 else parse_hash(algorithm, text)
    except HashTextError as error:
        error.field = field
        raise
    if hashes.setdefault(algorithm, value) != value:
        raise HashTextError("found two different ones; expected one", field=field)
