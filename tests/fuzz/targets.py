"""What is fuzzed, from Python: every function that reads the bytes of a file. Hash lists are in list_targets.py.

A target takes bytes and returns, or raises AssertionError. Whatever else comes out of it is a bug, except memory that a
file of a few kilobytes cannot ask for. Each has seeds, made of the test vectors where there are any.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashmatch import HashList, kernels
from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS, Kind
from hashmatch.errors import HashMatchError, RecordError
from hashmatch.hashing import hash_bytes
from hashmatch.image_signatures import count_gif_frames, count_tiff_pages, recognise
from hashmatch.index import hamming
from hashmatch.index.build import HashColumn, Rows, write_compiled
from hashmatch.index.compiled import HEADER, HEADER_SIZE, TABLE_ROW, CompiledList
from hashmatch.index.search import Searcher
from hashmatch.kernels.code_index import METHODS, CodeIndex
from hashmatch.kernels.digests import Found, Names, RowTexts
from hashmatch.lists.entry import pack_hashes, unpack_hashes
from hashmatch.lists.formats import Input, Limits, ReadOptions, sums
from hashmatch.lists.formats.digest_lines import read_digests
from hashmatch.lookup import Lookup, Tally

from .list_readers import said, scratch, standard_input
from .list_targets import LIST_TARGETS
from .samples import WORDS
from .target import Target

__all__ = ["TARGETS"]

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "testvectors"
NAMES = [item.name for item in kernels.implementations() if item.available]
NATIVE = [name for name in NAMES if name != "numpy"]
DIGESTS = [item.name for item in ALGORITHMS.values() if item.kind is Kind.EXACT]


@contextmanager
def forced(name: str) -> Iterator[None]:
    before = os.environ.get(kernels.ENVIRONMENT_VARIABLE)
    os.environ[kernels.ENVIRONMENT_VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[kernels.ENVIRONMENT_VARIABLE]
        else:
            os.environ[kernels.ENVIRONMENT_VARIABLE] = before


# ---------------------------------------------------------------------- digests in bulk


def digest_lines(data: bytes) -> None:
    """The native parser, the one in Python, and the reader that makes entries: the same digests, the same errors."""
    if len(data) < 2:
        return
    algorithm, batch, content = DIGESTS[data[0] % len(DIGESTS)], 1 + data[1] % 7, data[2:]
    found = [(name, _digests_of(content, algorithm, batch, name)) for name in NAMES]
    for name, result in found[1:]:
        assert result == found[0][1], (found[0][0], name)
    assert _entries_of(content, algorithm) == found[0][1], "entries"


def _digests_of(content: bytes, algorithm: str, batch: int, name: str) -> tuple[list[bytes], list[str], str]:
    digests: list[bytes] = []
    errors: list[str] = []
    with forced(name), standard_input(content):
        try:
            with Input("-", limits=Limits(max_line_bytes=200_000, max_string=70_000)) as source:
                for item in read_digests(source, ReadOptions(source.limits, True), algorithm=algorithm, batch=batch):
                    if isinstance(item, RecordError):
                        errors.append(said(item))
                    else:
                        assert 1 <= len(item) <= batch
                        digests += [row.tobytes() for row in item]
        except HashMatchError as error:
            return digests, errors, said(error)
    return digests, errors, ""


def _entries_of(content: bytes, algorithm: str) -> tuple[list[bytes], list[str], str]:
    digests: list[bytes] = []
    errors: list[str] = []
    with standard_input(content):
        try:
            with Input("-", limits=Limits(max_line_bytes=200_000, max_string=70_000)) as source:
                for item in sums.read(source, ReadOptions(source.limits, True), algorithm=algorithm):
                    if isinstance(item, RecordError):
                        errors.append(said(item))
                    else:
                        digests.append(item.hashes.get(algorithm, EMPTY_DIGESTS[algorithm]))
        except HashMatchError as error:
            return digests, errors, said(error)
    return digests, errors, ""


def digest_line_seeds() -> list[bytes]:
    seeds = []
    for path in sorted((VECTORS / "lists").glob("*/*sum*")):
        for number, name in enumerate(DIGESTS):
            if path.name.startswith(name):
                seeds.append(bytes([number, 3]) + path.read_bytes())
    seeds.append(b"\0\0" + b"0" * 32 + b"\n" + b"A" * 32 + b"  " + b"p" * 65_537 + b"\n")
    return [seed for seed in seeds if len(seed) < 1 << 17]


def digest_table(data: bytes) -> None:
    """The lookup and its lines with tables, values, places and texts that say anything: native as NumPy."""
    if len(data) < 8:
        return
    width, bits, count = (16, 20, 32, 64, 8, 12)[data[0] % 6], 1 + data[1] % 6, data[2] % 40
    rest = np.frombuffer(data[8:].ljust(1 << 14, b"\x05"), np.uint8)
    values, rest = rest[: count * width].reshape(-1, width), rest[count * width :]
    if data[3] & 1:
        values = np.ascontiguousarray(values[np.lexsort(values.T[::-1])])
    entries = (1 << bits) + 1
    table = rest[:entries].astype(np.uint32) % np.uint32(count + 1 + data[4] % 3)
    if data[3] & 2:
        table = np.sort(table)
    if data[3] & 4:
        table[data[5] % entries] = struct.unpack_from("<I", data.ljust(12), 4)[0]
    queries = np.ascontiguousarray(np.concatenate([values, rest[entries : entries + 5 * width].reshape(5, width)]))
    outcomes = [_places(name, values, table, queries) for name in NAMES]
    for name, outcome in zip(NAMES, outcomes, strict=True):
        assert outcome == outcomes[0], name
    rows = 1 + data[6] % 9
    small = rest[200:].astype(np.uint64)
    texts = RowTexts(
        (small[:count] % (rows + (data[3] >> 3 & 1))).astype(np.uint32),
        (small[50 : 50 + rows] % (2 + (data[3] >> 4 & 1))).astype(np.uint32),
        (small[70 : 70 + rows] % 3).astype(np.uint32),
        np.sort(small[90 : 91 + rows]) if data[3] & 32 else small[90 : 91 + rows],
        rest[300:400] & np.uint8(0x7F if data[3] & 64 else 0xFF),
        Names(rest[400:420], small[500:503] % np.uint64(22)),
        Names(rest[420:440], np.sort(small[510:514] % np.uint64(20))),
    )
    first = small[600 : 600 + len(queries)].astype(np.int64) % (count + 1)
    last = first + small[700 : 700 + len(queries)].astype(np.int64) % 3 - (data[7] >> 7)
    found = Found(queries, first, last)
    written = [_lines(name, found, texts, 1 + data[7] % 5 * 100) for name in NAMES]
    for name, lines in zip(NAMES, written, strict=True):
        assert lines == written[0], name


def _places(name: str, values: NDArray[np.uint8], table: NDArray[np.uint32], queries: NDArray[np.uint8]) -> object:
    with forced(name):
        try:
            return [places.tolist() for places in kernels.digest_lookup(values, table, queries)]
        except ValueError as error:
            return str(error)


def _lines(name: str, found: Found, texts: RowTexts, room: int) -> list[object]:
    out, query, position = np.zeros(room, np.uint8), 0, 0
    seen: list[object] = []
    with forced(name):
        while query < len(found.digests):
            try:
                step = kernels.write_lookup_lines(found, texts, out, query, position, hits_only=bool(room & 4))
            except ValueError as error:
                return [*seen, str(error)]
            written, query, position, stopped = step
            seen.append((*step, out[:written].tobytes()))
            if stopped and not written:  # a line that must be escaped, or is longer than all of `out`
                position += 1
                if position > 4:
                    query, position = query + 1, 0
    return seen


# ---------------------------------------------------------------------- the compiled list


@cache
def models() -> tuple[bytes, ...]:
    """Compiled lists: with ring tables, without, and of nothing."""
    made = []
    rng = np.random.default_rng(8)
    for count, ring in ((140, True), (9, False), (0, False)):
        path = scratch() / f"model-{count}.hmx"
        hashes = {}
        for name in ("md5", "sha256", "phash", *(() if ring else ("pdq", "photodna"))):
            codes = rng.integers(0, 256, (count, ALGORITHMS[name].width), dtype=np.uint8)
            codes[count // 2 :, 1:] = codes[: count - count // 2, 1:]
            hashes[name] = HashColumn(codes, np.arange(count, dtype=np.uint32))
        refs = [b"reference %d" % row for row in range(count)]
        rows = Rows(
            ref_text=b"".join(refs),
            ref_offsets=np.cumsum([0, *map(len, refs)]).astype(np.uint64),
            source=np.zeros(count, np.uint32),
            category=np.arange(count, dtype=np.uint32) % 2,
            media=np.ones(count, np.uint8),
            size=np.full(count, -1, np.int64),
            quality=np.full(count, 100 if "pdq" in hashes else 255, np.uint8),
            hashes=hashes,
        )
        minimum, hamming.RING_MINIMUM = hamming.RING_MINIMUM, 100
        try:
            write_compiled(path, rows, snapshot=bytes(32), role="known", sources=["one"], categories=[("a", "b")])
        finally:
            hamming.RING_MINIMUM = minimum
        made.append(path.read_bytes())
    return tuple(made)


def compiled(data: bytes) -> None:
    """A compiled list with bytes written over, and with checksums that are right again where the first byte says so.

    Byte 0: the list, verification, and what is sealed again. Byte 1: the radius. Then pokes of 8 bytes: the section,
    how and how wide, where (3 bytes), what (3 bytes); or where the file ends.
    """
    if len(data) < 2:
        return
    control, radius, pokes = data[0], data[1] % 65, data[2:514]
    raw = bytearray(models()[control % 3])
    sections = _table(raw)
    for at in range(0, len(pokes) - 7, 8):
        _poke(raw, sections, pokes[at : at + 8])
    if control & 8:
        _seal(raw, sections)
    if control & 16:
        raw[96:128] = hashlib.sha256(raw[: HEADER.size]).digest()
    path = scratch() / f"{os.getpid()}.hmx"
    path.write_bytes(raw)
    try:
        with CompiledList.open(path, verify=not control & 32) as opened:
            _ask_everything(opened, radius, check=bool(control & 64))
    except HashMatchError as error:
        said(error)


def _table(raw: bytearray) -> list[tuple[int, int, int]]:
    """(offset of the row of the table, offset, size) of every section."""
    count = HEADER.unpack_from(raw)[2]
    rows = range(HEADER_SIZE, HEADER_SIZE + count * TABLE_ROW.size, TABLE_ROW.size)
    return [(row, *TABLE_ROW.unpack_from(raw, row)[1:3]) for row in rows]


def _poke(raw: bytearray, sections: list[tuple[int, int, int]], poke: bytes) -> None:
    where, kind, value = int.from_bytes(poke[2:5], "little"), poke[1], poke[5:8]
    if poke[0] == 255:
        del raw[where % (len(raw) + 1) :]
        return
    if poke[0] == 254:
        start, size = 0, HEADER_SIZE + len(sections) * TABLE_ROW.size
    else:
        _, start, size = sections[poke[0] % len(sections)]
    width = (1, 2, 4, 8)[kind & 3]
    word = (value * 3)[:width] if kind & 4 else value.ljust(8, b"\0")[:width]
    if kind & 8:
        word = word[::-1]
    # Tables are long and mostly alike: what the first and the last items say matters most.
    at = (where % max(1, size - width) if kind & 16 else where % 64) // width * width
    at = start + (max(0, size - width - at) if kind & 32 else at)
    raw[at : at + width] = word[: max(0, len(raw) - at)]


def _seal(raw: bytearray, sections: list[tuple[int, int, int]]) -> None:
    for row, start, size in sections:
        raw[row + 56 : row + 88] = hashlib.sha256(raw[start : start + size]).digest()
    end = HEADER_SIZE + len(sections) * TABLE_ROW.size
    raw[64:96] = hashlib.sha256(raw[HEADER_SIZE:end]).digest()


def _tried(call: Callable[[], object]) -> object:
    """The answer, or the error that came instead; what is no HashMatchError goes up."""
    try:
        return call()
    except HashMatchError as error:
        said(error)
        return type(error).__name__


def _ask_everything(opened: CompiledList, radius: int, *, check: bool) -> None:
    if check:
        _tried(opened.check)
    _tried(lambda: opened.meta)
    for name in ("sources", "categories", "media", "sizes", "quality", "masks"):
        _tried(getattr(opened, f"row_{name}"))
    _tried(lambda: opened.refs(range(min(opened.rows, 200))))
    rng = np.random.default_rng(5)
    for name in opened.algorithms:
        item = ALGORITHMS[name]
        queries = rng.integers(0, 256, (12, item.width), dtype=np.uint8)
        held = _tried(
            lambda item=item: (
                opened.digests(item.name).values if item.kind is Kind.EXACT else opened.codes(item.name).codes
            )
        )
        if isinstance(held, np.ndarray) and len(held):
            queries[:9] = held[rng.integers(0, len(held), 9)]
        answers = []
        for implementation in NAMES:
            with forced(implementation):
                answers.append(repr(_tried(lambda q=queries, n=name: _search(opened, n, q, radius))))
        if item.kind is Kind.EXACT:
            assert len(set(answers)) == 1, answers
        elif item.kind is Kind.HAMMING:
            _every_way(opened, name, queries, radius)


def _search(opened: CompiledList, name: str, queries: NDArray[np.uint8], radius: int) -> object:
    searcher = Searcher(opened, threads=1)
    kind = ALGORITHMS[name].kind
    if kind is Kind.EXACT:
        answer = [part.tolist() for part in searcher.search_digests(name, queries)]
        lookup = Lookup(opened)
        return answer, b"".join(bytes(part) for part in lookup.lines(name, queries, Tally()))
    if kind is Kind.HAMMING:
        _tried(searcher.prepare)
        _tried(lambda: searcher.search_nearest(name, queries, 3))
    return [part.tolist() for part in searcher.search_codes(name, queries, radius)]


def _every_way(opened: CompiledList, name: str, queries: NDArray[np.uint8], radius: int) -> None:
    """What one way finds in damaged tables is the same on every native implementation."""
    section, tables = _tried(lambda: opened.codes(name)), _tried(lambda: opened.ring(name))
    if isinstance(section, str) or isinstance(tables, str):
        return
    for way in METHODS if tables is not None else METHODS[:1]:
        answers = []
        for implementation in NATIVE:
            try:
                index = CodeIndex(section.codes, tables, section.starts, section.rows)  # type: ignore[attr-defined, arg-type]
                found = index.range_search(queries, radius, method=way, implementation=implementation)
                answers.append(repr([part.tolist() for part in found]))
            except ValueError as error:
                answers.append(repr(error))
        assert len(set(answers)) <= 1, (way, answers)


def compiled_seeds() -> list[bytes]:
    pokes = [
        bytes([section, kind, 0, 0, 0, *value])
        for section in (0, 5, 12, 20, 254)
        for kind in (2, 6, 22, 34)
        for value in ((0, 0, 0), (255, 255, 255), (1, 0, 0))
    ]
    controls = (0, 1, 2, 8, 24, 27, 32, 56, 57, 58, 88, 90, 96)
    return [bytes([control, 6]) + b"".join(pokes[i :: 7 + control % 5][:9]) for i in range(5) for control in controls]


# ---------------------------------------------------------------------- the rest


def signatures(data: bytes) -> None:
    """What first bytes say, and how many frames there are."""
    name = recognise(data)
    assert name is None or name.isascii()
    for count in (count_gif_frames, count_tiff_pages):
        for stop in (0, 1, 3, 1000):
            assert 0 <= count(data, stop) <= max(stop, 0)


def image_seeds() -> list[bytes]:
    made = [path.read_bytes() for path in sorted((VECTORS / "files").iterdir())]
    gif = (
        b"GIF89a\x01\0\x01\0\x80\0\0"
        + bytes(6)
        + b"!\xf9\x04\0\0\0\0\0"
        + b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0" * 3
        + b";"
    )
    tiff = b"II*\0\x08\0\0\0\x01\0" + bytes(12) + b"\x1a\0\0\0\x01\0" + bytes(12) + b"\x08\0\0\0"
    big = b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 1) + bytes(20) + struct.pack(">Q", 16)
    return [gif, tiff, big, *(seed for seed in made if len(seed) < 1 << 14)]


def images(data: bytes) -> None:
    """An image file with all its hashes, on every implementation and profile."""
    for number, name in enumerate(NAMES):
        profile = ("reference", "luma")[(len(data) + number) % 2]
        with forced(name):
            _tried(lambda p=profile: hash_bytes(data, ("pdq", "phash", "dhash", "ahash", "md5"), profile=p))


def packed(data: bytes) -> None:
    """The hashes of an entry as a list holds them: refused, or the same bytes when packed again."""
    try:
        hashes, quality = unpack_hashes(data)
    except RecordError as error:
        said(error)
    else:
        assert pack_hashes(hashes, quality) == data


def packed_seeds() -> list[bytes]:
    full = {
        name: bytes(range(item.width % 256)) + bytes(max(0, item.width - item.width % 256))
        for name, item in ALGORITHMS.items()
    }
    full = {name: value[: ALGORITHMS[name].width] for name, value in full.items()}
    return [
        pack_hashes({}),
        pack_hashes(full, {"pdq": 77}),
        pack_hashes({"pdq": bytes(32)}),
        *(pack_hashes({name: value}) for name, value in full.items()),
    ]


@cache
def list_model() -> bytes:
    path = scratch() / "model.hml"
    with HashList.open(path, create=True) as made:
        for name in ("plain.jsonl", "all-columns.csv", "hashdeep.txt"):
            made.import_file(VECTORS / "lists" / "valid" / name, source=name)
    return path.read_bytes()


def hash_lists(data: bytes) -> None:
    """A hash list (SQLite) with bytes written over: pokes of 6 bytes, where (3), how many (1), what (2)."""
    raw = bytearray(list_model())
    for at in range(0, min(len(data), 120) - 5, 6):
        where, count, value = (
            int.from_bytes(data[at : at + 3], "little") % len(raw),
            data[at + 3],
            data[at + 4 : at + 6],
        )
        size = 1 + count % 9
        raw[where : where + size] = (value * 5)[:size]
    path, out = scratch() / f"{os.getpid()}.hml", scratch() / f"{os.getpid()}-list.hmx"
    for stale in (path, out, *scratch().glob(f"{os.getpid()}.hml-*")):
        stale.unlink(missing_ok=True)
    path.write_bytes(raw)

    def use() -> None:
        with HashList.open(path) as opened:
            _tried(opened.info)
            _tried(opened.sources)
            _tried(opened.check)
            _tried(lambda: [entry.entry.hashes for entry in opened.entries()])
            _tried(lambda: opened.compile(out))

    _tried(use)


def list_seeds() -> list[bytes]:
    return [b"", bytes(range(60)), *(at.to_bytes(3, "little") + b"\3\xff\1" for at in range(0, len(list_model()), 997))]


TARGETS = {
    target.name: target
    for target in (
        *LIST_TARGETS,
        Target("digest-lines", digest_lines, digest_line_seeds, WORDS, 1 << 17, 200),
        Target("digest-table", digest_table, lambda: [bytes(64), bytes(range(256)) * 20, bytes([3, 2, 39, 63] * 300)]),
        Target("compiled", compiled, compiled_seeds, (), 514, 60),
        Target(
            "signatures", signatures, image_seeds, (b"GIF89a", b"II*\0", b"MM\0*", b",", b"!\xf9\x04"), 1 << 14, 5000
        ),
        Target("images", images, image_seeds, (), 1 << 14, 40),
        Target("packed", packed, packed_seeds, (), 4096, 5000),
        Target("hash-lists", hash_lists, list_seeds, (), 120, 40),
    )
}
