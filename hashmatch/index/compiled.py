"""The compiled list (``.hmx``): one immutable, memory-mapped file that holds only what matching needs.

FORMATS.md specifies the file byte by byte. It is written once, to a temporary name, and renamed into place; nobody ever
changes it while somebody maps it. Reading is lazy: `CompiledList.open` looks at the header and the section table only,
and each section's checksum and structure are verified when the section is first used, so that a damaged byte is an
error and never a silent miss.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import (
    CompiledListDamagedError,
    CompiledListError,
    CompiledListForeignError,
    CompiledListTruncatedError,
    CompiledListVersionError,
    shorten,
)
from hashmatch.index.exact import as_strings, build_table, table_bits
from hashmatch.kernels.ring import table_size

__all__ = ["MAGIC", "VERSION", "CodeSection", "CompiledList", "DigestSection", "Section"]

#: First eight bytes. Not text, and changed by every transfer that translates line ends or strips the eighth bit.
MAGIC = b"\x89HMX\r\n\x1a\n"
VERSION = 1
#: Sections start at multiples of this many bytes: a page, so that one section can be advised or loaded alone.
ALIGNMENT = 4096

HEADER = struct.Struct("<8sIIQQ32s32s")  # magic, version, sections, file size, rows, snapshot, table digest
HEADER_SIZE = HEADER.size + 32  # and the digest of the header itself
TABLE_ROW = struct.Struct("<32sQQII32s")  # name, offset, size, item width, reserved, digest
MAX_SECTIONS = 1024
_HASH_BLOCK = 1 << 22


class Section(NamedTuple):
    """One row of the section table. ``offset`` and ``size`` in bytes; ``width`` is bytes per item."""

    name: str
    offset: int
    size: int
    width: int
    digest: bytes


class DigestSection(NamedTuple):
    """Digests of one algorithm: ``values`` uint8[k, width] ascending, ``rows`` uint32[k], ``table``
    uint32[2**bits + 1].

    ``table[p]`` is the first position whose leading ``bits`` bits are at least ``p``; equal digests are ordered by row.
    """

    values: NDArray[np.uint8]
    rows: NDArray[np.uint32]
    table: NDArray[np.uint32]


class CodeSection(NamedTuple):
    """Codes of one algorithm, each distinct code once.

    ``codes`` uint8[u, width] ascending; the rows that bear code ``i`` are ``rows[starts[i]:starts[i + 1]]``, ascending.
    """

    codes: NDArray[np.uint8]
    starts: NDArray[np.uint32]
    rows: NDArray[np.uint32]


@dataclass
class CompiledList:
    """An open compiled list. Use `open`; close it, or use it as a context manager.

    Attributes:
        path: where it was opened.
        rows: number of rows (entries that are not retracted).
        snapshot: the snapshot id of the list that it was compiled from, 32 bytes.
        sections: name -> section.
    """

    path: Path
    rows: int
    snapshot: bytes
    sections: Mapping[str, Section]
    _map: mmap.mmap
    _verify: bool = True
    _verified: set[str] = field(default_factory=set)
    _cache: dict[str, Any] = field(default_factory=dict)
    _verifying: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    # ------------------------------------------------------------------ opening

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Self:
        """Map a compiled list. Takes the same time whatever the file's size.

        Args:
            path: the ``.hmx`` file.
            verify: check the checksum and the structure of each section when it is first used. Without it a damaged
                file may give wrong answers: for callers who have just run `check` on the same file.

        Raises:
            CompiledListError: missing, foreign, of another version, truncated or damaged; see the subclasses.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                head = file.read(HEADER_SIZE)
                rows, snapshot, count, table_digest = _read_header(path, head, size)
                table = file.read(count * TABLE_ROW.size)
                sections = _read_table(path, table, count, table_digest, size)
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # a NUL in the path
            raise CompiledListError(f"{str(path)!r}: cannot be opened: {error}; expected a compiled list") from error
        except OSError as error:
            # os.path, as Path.is_dir raises where a folder on the way may not be searched or a name is too long.
            what = "is a folder" if os.path.isdir(path) else error.strerror or str(error)  # noqa: PTH112
            raise CompiledListError(f"{path}: cannot be opened: {what}; expected a compiled list (.hmx)") from error
        return cls(path, rows, snapshot, sections, mapped, verify)

    def close(self) -> None:
        """Unmap the file. Arrays taken from it must no longer be used."""
        self._cache.clear()
        # An array that somebody still holds keeps the mapping alive; the mapping goes when that array goes.
        with contextlib.suppress(BufferError):
            self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check_size(self) -> None:
        """Check that the file is still as long as it was.

        Reading behind the end of a mapped file ends a process; one that was written over in place gives wrong answers,
        and nearly always has another length.

        Raises:
            CompiledListTruncatedError: it has become shorter or longer, or the list is closed.
        """
        try:
            size = self._map.size()
        except (OSError, ValueError) as error:
            raise CompiledListTruncatedError(f"{self.path}: is no longer open ({error})") from error
        if size != len(self._map):
            raise CompiledListTruncatedError(
                f"{self.path}: has become {'shorter' if size < len(self._map) else 'longer'} while it was open: "
                f"{size:,} bytes; expected {len(self._map):,}: "
                "a compiled list must not be changed in place; compile it again"
            )

    # ------------------------------------------------------------------ contents

    @property
    def verifies(self) -> bool:
        """Whether sections are verified when they are first used."""
        return self._verify

    @property
    def meta(self) -> dict[str, Any]:
        """``role``, ``sources`` [{name, entries}], ``categories`` [[scheme, code]], ``hashes`` {algorithm: count}."""
        if "meta" not in self._cache:
            try:
                meta = json.loads(self._bytes("meta"))
            except (ValueError, RecursionError) as error:
                raise self._damaged("meta", f"is not the expected JSON ({error!r})") from error
            if not _is_meta(meta):
                raise self._damaged("meta", "does not hold what FORMATS.md says")
            # A section that the table forgot would otherwise be a silent miss: its algorithm would not be searched.
            if set(meta["hashes"]) != set(self.algorithms):
                raise self._damaged("meta", "names other algorithms than the section table")
            self._cache["meta"] = meta
        result: dict[str, Any] = self._cache["meta"]
        return result

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Names of the algorithms that can be searched, in registry order."""
        return tuple(n for n in ALGORITHMS if f"{n}.values" in self.sections or f"{n}.codes" in self.sections)

    def digests(self, algorithm: str) -> DigestSection:
        """Sorted digests of an exact algorithm; empty arrays where the list has none."""
        key = f"{algorithm}.digests"
        if key not in self._cache:
            width = ALGORITHMS[algorithm].width
            values = self._array(f"{algorithm}.values", np.uint8, width)
            rows = self._array(f"{algorithm}.rows", np.uint32)
            table = self._array(f"{algorithm}.table", np.uint32)
            if not len(table):
                table = np.zeros((1 << table_bits(0)) + 1, np.uint32)
            section = DigestSection(values, rows, table)
            if self._verify:
                self._check_digests(algorithm, section)
            self._cache[key] = section
        result: DigestSection = self._cache[key]
        return result

    def codes(self, algorithm: str) -> CodeSection:
        """Distinct codes of a perceptual algorithm and the rows that bear them; empty arrays where there are none."""
        key = f"{algorithm}.code-section"
        if key not in self._cache:
            width = ALGORITHMS[algorithm].width
            starts = self._array(f"{algorithm}.starts", np.uint32)
            section = CodeSection(
                self._array(f"{algorithm}.codes", np.uint8, width),
                starts if len(starts) else np.zeros(1, np.uint32),
                self._array(f"{algorithm}.rows", np.uint32),
            )
            if self._verify:
                self._check_codes(algorithm, section)
            self._cache[key] = section
        result: CodeSection = self._cache[key]
        return result

    def ring(self, algorithm: str) -> tuple[NDArray[np.uint8], ...] | None:
        """The ring tables of a Hamming algorithm's codes, one a chunk; None where the list is too short to have them.

        Their checksums are verified here, their offsets by the kernels; what a table says of a code is compared with
        the code itself by every search.
        """
        key = f"{algorithm}.ring-tables"
        if key not in self._cache:
            chunks = range(ALGORITHMS[algorithm].width // 2)
            there = [chunk for chunk in chunks if f"{algorithm}.ring.{chunk}" in self.sections]
            if there and len(there) != len(chunks):
                raise self._damaged(f"{algorithm}.ring.{there[0]}", f"is one of {len(there)}; expected {len(chunks)}")
            count = len(self.codes(algorithm).codes)
            tables = tuple(self._array(f"{algorithm}.ring.{chunk}", np.uint8) for chunk in there)
            for chunk, table in enumerate(tables):
                if len(table) != table_size(count):
                    raise self._damaged(
                        f"{algorithm}.ring.{chunk}", f"is {len(table)} bytes; {count} codes need {table_size(count)}"
                    )
            self._cache[key] = tables or None
        result: tuple[NDArray[np.uint8], ...] | None = self._cache[key]
        return result

    def has_ring(self, algorithm: str) -> bool:
        """Whether there are ring tables; nothing is read."""
        return f"{algorithm}.ring.0" in self.sections

    def reference_arrays(self) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """(offsets uint64[rows + 1], text uint8[size]): reference ``i`` is ``text[offsets[i]:offsets[i + 1]]``."""
        offsets = self._row_array("ref.offsets", np.uint64, self.rows + 1, self._offsets_problem)
        return offsets, np.frombuffer(self._bytes_view("ref.text"), np.uint8)

    def refs(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> list[str]:
        """The entry references of some rows."""
        offsets = self._row_array("ref.offsets", np.uint64, self.rows + 1, self._offsets_problem)
        text = self._bytes_view("ref.text")
        numbers = np.asarray(rows, np.int64)
        try:
            bounds = zip(offsets[numbers].tolist(), offsets[numbers + 1].tolist(), strict=True)
            return [str(text[start:end], "utf-8") for start, end in bounds]
        except (UnicodeDecodeError, IndexError) as error:
            raise self._damaged("ref.text", f"holds a reference that cannot be read ({error})") from error

    def row_sources(self) -> NDArray[np.uint32]:
        """uint32[rows]: index into ``meta["sources"]``."""
        return self._row_array(
            "row.source",
            np.uint32,
            self.rows,
            lambda sources: _beyond(sources, len(self.meta["sources"]), "names a source that meta does not hold"),
        )

    def row_categories(self) -> NDArray[np.uint32]:
        """uint32[rows]: 1 + index into ``meta["categories"]``, 0 for none."""
        return self._row_array(
            "row.category",
            np.uint32,
            self.rows,
            lambda numbers: _beyond(
                numbers, len(self.meta["categories"]) + 1, "names a category that meta does not hold"
            ),
        )

    def row_media(self) -> NDArray[np.uint8]:
        """uint8[rows]: number of the media type, 0 where it is not stated."""
        return self._row_array("row.media", np.uint8, self.rows)

    def row_sizes(self) -> NDArray[np.int64]:
        """int64[rows]: size of the file in bytes, -1 where it is not known."""
        return self._row_array("row.size", np.int64, self.rows)

    def row_quality(self) -> NDArray[np.uint8]:
        """uint8[rows]: quality of the row's pdq hash, 0 to 100, 255 where it is not known or there is none."""
        return self._row_array("row.quality", np.uint8, self.rows)

    def row_masks(self) -> NDArray[np.uint32]:
        """uint32[rows]: bit ``number`` is set where the entry has a hash of the algorithm of that number."""
        return self._row_array("row.mask", np.uint32, self.rows)

    def row_disputed(self) -> NDArray[np.uint32]:
        """uint32[rows]: bit ``number`` is set where the hash of that algorithm is disputed."""
        return self._row_array("row.disputed", np.uint32, self.rows)

    # ------------------------------------------------------------------ verification

    def check(self) -> int:
        """Read and verify all of the file: every checksum and every structural rule. Returns the bytes read.

        Raises:
            CompiledListDamagedError: what is wrong, and where.
        """
        for name in self.sections:
            self._verify_digest(name)
        at = HEADER_SIZE + TABLE_ROW.size * len(self.sections)
        view = memoryview(self._map)
        try:
            for section in sorted(self.sections.values(), key=lambda s: s.offset):
                if any(view[at : section.offset]):
                    raise CompiledListDamagedError(f"{self.path}: bytes before section {section.name!r} are not zero")
                at = section.offset + section.size
        finally:
            view.release()
        meta = self.meta
        verify, self._verify = self._verify, True
        self._cache.clear()
        try:
            for name in self.algorithms:
                self._check_order(name)
            self._check_rows(meta)
        finally:
            self._verify = verify
        return sum(s.size for s in self.sections.values()) + HEADER_SIZE + TABLE_ROW.size * len(self.sections)

    def _check_order(self, name: str) -> None:
        """Check that the hashes ascend, as a lookup relies on, and the rows that bear one hash as well."""
        if ALGORITHMS[name].kind is Kind.EXACT:
            digests = self.digests(name)
            values, rows = as_strings(digests.values), digests.rows
            if np.any(values[1:] < values[:-1]):
                raise self._damaged(f"{name}.values", "is not ascending")
            if np.any(build_table(digests.values, table_bits(len(rows))) != digests.table):
                raise self._damaged(f"{name}.table", "does not agree with the digests")
            together = values[1:] == values[:-1]
        else:
            codes, starts, rows = self.codes(name)
            if np.any(as_strings(codes)[1:] <= as_strings(codes)[:-1]):
                raise self._damaged(f"{name}.codes", "is not strictly ascending")
            for chunk, table in enumerate(self.ring(name) or ()):
                if not np.array_equal(table, self._ring_table(name, codes, chunk)):
                    raise self._damaged(f"{name}.ring.{chunk}", "does not agree with the codes")
            together = np.ones(max(0, len(rows) - 1), np.bool_)
            together[starts[1:-1].astype(np.int64) - 1] = False
        if np.any(together & (rows[1:] <= rows[:-1])):
            raise self._damaged(f"{name}.rows", "is not ascending among the rows of one hash")

    def _ring_table(self, name: str, codes: NDArray[np.uint8], chunk: int) -> NDArray[np.uint8]:
        try:
            return kernels.ring_table(codes, chunk)
        except (OSError, ValueError) as error:  # the file was cut or written over meanwhile
            self.check_size()
            raise self._damaged(f"{name}.codes", f"changed while it was read ({error})") from error

    def _check_rows(self, meta: Mapping[str, Any]) -> None:
        for start in range(0, max(1, self.rows), 1 << 16):
            self.refs(range(start, min(self.rows, start + (1 << 16))))
        counts = np.bincount(self.row_sources(), minlength=len(meta["sources"]))
        if len(counts) != len(meta["sources"]) or any(
            int(n) != s["entries"] for n, s in zip(counts, meta["sources"], strict=True)
        ):
            raise self._damaged("row.source", "does not agree with the sources in meta")
        self.row_categories()
        self.row_media()
        self.row_sizes()
        self.row_quality()
        masks = self.row_masks()
        for name in self.algorithms:
            rows = self.digests(name).rows if ALGORITHMS[name].kind is Kind.EXACT else self.codes(name).rows
            bearing = np.zeros(self.rows, np.bool_)
            bearing[rows] = True
            if np.count_nonzero(bearing) != len(rows):
                raise self._damaged(f"{name}.rows", "names a row twice")
            if np.any(bearing != (masks >> np.uint32(ALGORITHMS[name].number) & 1).astype(np.bool_)):
                raise self._damaged("row.mask", f"does not agree with the rows of {name}")
        if np.any(masks & np.uint32(~sum(1 << ALGORITHMS[name].number for name in self.algorithms) & 0xFFFFFFFF)):
            raise self._damaged("row.mask", "names an algorithm that the list does not hold")
        if np.any(self.row_disputed() & ~masks):
            raise self._damaged("row.disputed", "names a hash that the row does not have")

    def _check_count(self, name: str, count: int) -> None:
        stated = self.meta["hashes"].get(name, 0)
        if count != stated:
            raise self._damaged("meta", f"says {stated} {name} hashes, {count} are there")

    def _check_digests(self, name: str, section: DigestSection) -> None:
        values, rows, table = section
        self._check_count(name, len(rows))
        self._check_row_numbers(f"{name}.rows", rows)
        k = len(rows)
        if len(values) != k or len(table) != (1 << table_bits(k)) + 1 or int(table[0]) != 0 or int(table[-1]) != k:
            raise self._damaged(f"{name}.table", f"does not fit {k} digests")
        if np.any(table[1:] < table[:-1]):
            raise self._damaged(f"{name}.table", "is not ascending")

    def _check_codes(self, name: str, section: CodeSection) -> None:
        codes, starts, rows = section
        self._check_count(name, len(rows))
        self._check_row_numbers(f"{name}.rows", rows)
        if len(starts) != len(codes) + 1 or int(starts[0]) != 0 or int(starts[-1]) != len(rows):
            raise self._damaged(f"{name}.starts", f"does not fit {len(codes)} codes and {len(rows)} rows")
        if np.any(starts[1:] <= starts[:-1]):
            raise self._damaged(f"{name}.starts", "is not strictly ascending")

    def _check_row_numbers(self, name: str, rows: NDArray[np.uint32]) -> None:
        if len(rows) and int(rows.max()) >= self.rows:
            raise self._damaged(name, f"names row {int(rows.max())}, the list has {self.rows}")

    def _verify_digest(self, name: str) -> None:
        section = self.sections[name]
        digest = hashlib.sha256()
        view = memoryview(self._map)
        try:
            for start in range(section.offset, section.offset + section.size, _HASH_BLOCK):
                with view[start : min(start + _HASH_BLOCK, section.offset + section.size)] as block:
                    digest.update(block)
        finally:
            view.release()
        if digest.digest() != section.digest:
            raise self._damaged(name, "has another checksum than the section table says")
        self._verified.add(name)

    def _damaged(self, section: str, what: str) -> CompiledListDamagedError:
        return CompiledListDamagedError(
            f"{self.path}: section {section!r} {what}; the file is damaged: compile the list again"
        )

    # ------------------------------------------------------------------ sections

    def _section(self, name: str) -> Section | None:
        self.check_size()
        section = self.sections.get(name)
        if section is not None:
            self.verify_section(name)
        return section

    def verify_section(self, name: str) -> None:
        """Compare a section with its checksum where that was not done yet, and the list verifies; any thread may.

        Raises:
            CompiledListDamagedError: it differs.
        """
        if self._verify and name not in self._verified:
            with self._verifying[name]:  # who comes second waits for the first
                if name not in self._verified:
                    self._verify_digest(name)

    def _bytes_view(self, name: str) -> memoryview:
        section = self._section(name)
        if section is not None and section.width != 1:
            raise self._damaged(name, f"has items of {section.width} bytes; expected 1")
        view = memoryview(self._map)
        return view[section.offset : section.offset + section.size] if section else view[:0]

    def _bytes(self, name: str) -> bytes:
        with self._bytes_view(name) as view:
            return bytes(view)

    def _array(self, name: str, dtype: Any, width: int = 0) -> NDArray[Any]:
        section = self._section(name)
        kind = np.dtype(dtype).newbyteorder("<")
        if section is None:
            return np.zeros((0, width) if width else 0, dtype)
        item = kind.itemsize * (width or 1)
        if section.width != item or section.size % item:
            raise self._damaged(
                name, f"has items of {section.width} bytes in {section.size}; expected {item} bytes each"
            )
        array = np.frombuffer(self._map, kind, count=section.size // kind.itemsize, offset=section.offset)
        return array.reshape(-1, width) if width else array

    def _row_array(
        self, name: str, dtype: Any, length: int, problem: Callable[[NDArray[Any]], str] | None = None
    ) -> NDArray[Any]:
        """A section with an item for each row; ``problem`` says what is wrong with its items, "" for nothing."""
        if name not in self._cache:
            array = self._array(name, dtype)
            if len(array) != length:
                raise self._damaged(name, f"has {len(array)} items; expected {length}")
            if self._verify and problem is not None and (what := problem(array)):
                raise self._damaged(name, what)
            self._cache[name] = array
        result: NDArray[Any] = self._cache[name]
        return result

    def _offsets_problem(self, offsets: NDArray[np.uint64]) -> str:
        size = self.sections["ref.text"].size if "ref.text" in self.sections else 0
        if int(offsets[0]) or int(offsets[-1]) != size or np.any(offsets[1:] < offsets[:-1]):
            return "is not an ascending sequence that ends with the size of ref.text"
        return ""


def _beyond(numbers: NDArray[np.uint32], limit: int, what: str) -> str:
    return what if len(numbers) and int(numbers.max()) >= limit else ""


def _is_meta(meta: Any) -> bool:
    return (
        isinstance(meta, dict)
        and meta.get("role") in ("known", "known-good")
        and isinstance(meta.get("sources"), list)
        and all(
            isinstance(source, dict) and isinstance(source.get("name"), str) and isinstance(source.get("entries"), int)
            for source in meta["sources"]
        )
        and isinstance(meta.get("categories"), list)
        and all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
            for pair in meta["categories"]
        )
        and isinstance(meta.get("hashes"), dict)
        and all(name in ALGORITHMS and isinstance(count, int) for name, count in meta["hashes"].items())
    )


def _read_header(path: Path, head: bytes, size: int) -> tuple[int, bytes, int, bytes]:
    """(rows, snapshot, number of sections, digest of the table) of a header that is sound."""
    if not head.startswith(MAGIC):
        # What stands there is not shown: a file of hashes begins with one.
        found = "an empty file" if not size else "another beginning"
        raise CompiledListForeignError(
            f"{path}: found {found}; expected a compiled list (.hmx), which starts otherwise"
        )
    if len(head) < HEADER_SIZE:
        raise CompiledListTruncatedError(f"{path}: ends inside its header ({size} bytes); compile the list again")
    _, version, count, stated, rows, snapshot, table_digest = HEADER.unpack_from(head)
    if version != VERSION:
        raise CompiledListVersionError(
            f"{path}: is version {version} of the format; this software reads version {VERSION}: compile the list again"
        )
    if hashlib.sha256(head[: HEADER.size]).digest() != head[HEADER.size :]:
        raise CompiledListDamagedError(f"{path}: the header's checksum does not agree; compile the list again")
    if stated != size:
        raise CompiledListTruncatedError(
            f"{path}: is {size:,} bytes long, its header says {stated:,}; compile or copy it again"
        )
    if count > MAX_SECTIONS or rows >= 1 << 32:
        raise CompiledListDamagedError(f"{path}: the header states {count} sections and {rows} rows: beyond the format")
    return rows, snapshot, count, table_digest


def _read_table(path: Path, table: bytes, count: int, digest: bytes, size: int) -> dict[str, Section]:
    if hashlib.sha256(table).digest() != digest or len(table) != count * TABLE_ROW.size:
        raise CompiledListDamagedError(f"{path}: the section table's checksum does not agree; compile the list again")
    sections: dict[str, Section] = {}
    end = HEADER_SIZE + len(table)
    for raw, offset, length, width, _, checksum in _rows(table):
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        # Sections follow one another, aligned, without overlap: a table that says otherwise was not written by us.
        if offset < end or offset % ALIGNMENT or offset + length > size or name in sections or not width:
            raise CompiledListDamagedError(f"{path}: section {shorten(name)} lies outside the file or over another")
        end = offset + length
        sections[name] = Section(name, offset, length, width, checksum)
    if end != size:
        raise CompiledListDamagedError(f"{path}: {size - end:,} bytes follow the last section")
    return sections


def _rows(table: bytes) -> Iterator[tuple[bytes, int, int, int, int, bytes]]:
    return TABLE_ROW.iter_unpack(table)
