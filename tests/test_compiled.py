"""The compiled list: damage of every kind is a typed error, and never a wrong answer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_build import SEARCHED, SNAPSHOT, Item, contents, random_items, write

from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.errors import (
    CompiledListDamagedError,
    CompiledListError,
    CompiledListForeignError,
    CompiledListTruncatedError,
    CompiledListVersionError,
)
from hashmatch.index import compiled as compiled_module
from hashmatch.index.compiled import CompiledList
from hashmatch.index.search import Searcher
from hashmatch.matcher import Matcher
from hashmatch.record import HashRecord

MAGIC = b"\x89HMX\r\n\x1a\n"

# ---------------------------------------------------------------------- files made by hand


@dataclass
class Part:
    """A section of a file made by hand. ``offset``, ``size`` and ``digest`` replace what would be true."""

    name: str | bytes
    width: int
    data: bytes
    offset: int | None = None
    size: int | None = None
    digest: bytes | None = None


@dataclass
class Handmade:
    """A compiled list taken apart; `raw` puts it together with checksums that are right."""

    rows: int
    parts: list[Part]
    version: int = 1
    count: int | None = None
    stated: int | None = None
    tail: bytes = b""
    table_tail: bytes = b""

    @classmethod
    def read(cls, raw: bytes) -> Handmade:
        _, _, count, _, rows = struct.unpack_from("<8sIIQQ", raw)
        parts = []
        for at in range(128, 128 + 88 * count, 88):
            name, offset, size, width, _, _ = struct.unpack_from("<32sQQII32s", raw, at)
            parts.append(Part(name.rstrip(b"\0").decode(), width, raw[offset : offset + size]))
        return cls(rows, parts)

    def __getitem__(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def drop(self, name: str) -> None:
        self.parts.remove(self[name])

    def array(self, name: str, dtype: str) -> np.ndarray[Any, Any]:
        """A writable array; put it back with `put`."""
        return np.frombuffer(self[name].data, dtype).copy()

    def put(self, name: str, array: np.ndarray[Any, Any]) -> None:
        self[name].data = array.tobytes()

    def raw(self) -> bytes:
        end = 128 + 88 * len(self.parts) + len(self.table_tail)
        table, body = b"", b""
        start = end
        for part in self.parts:
            body += b"\0" * (-(start + len(body)) % 4096)
            name = part.name if isinstance(part.name, bytes) else part.name.encode()
            offset = start + len(body) if part.offset is None else part.offset
            size = len(part.data) if part.size is None else part.size
            digest = part.digest or hashlib.sha256(part.data).digest()
            table += struct.pack("<32sQQII32s", name, offset, size, part.width, 0, digest)
            body += part.data
        table += self.table_tail
        body += self.tail
        count = len(self.parts) if self.count is None else self.count
        stated = start + len(body) if self.stated is None else self.stated
        header = struct.pack(
            "<8sIIQQ32s32s", MAGIC, self.version, count, stated, self.rows, SNAPSHOT, hashlib.sha256(table).digest()
        )
        return header + hashlib.sha256(header).digest() + table + body


def items_for_lies() -> list[Item]:
    """Five rows with an md5, a pdq, a phash and a photodna each; rows 1 and 3 share all hashes."""
    items = random_items(5, seed=9, algorithms=())
    for row, item in enumerate(items):
        kind = 1 if row == 3 else row
        item.ref = f"ref-{row}"
        item.source, item.category, item.media, item.quality = row % 2, row % 3, 1, 90
        names = ("md5", "pdq", "phash", "photodna")
        item.hashes = {name: bytes([kind * 40 + 5] * ALGORITHMS[name].width) for name in names}
    return items


@pytest.fixture
def handmade(tmp_path: Path) -> Handmade:
    return Handmade.read(write(tmp_path / "model.hmx", items_for_lies()).read_bytes())


def test_files_made_by_hand_are_what_the_writer_makes(tmp_path: Path) -> None:
    raw = write(tmp_path / "a.hmx", random_items(30, seed=1)).read_bytes()
    assert Handmade.read(raw).raw() == raw


# ---------------------------------------------------------------------- what must hold for every file


def answers(compiled: CompiledList, items: list[Item]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Everything that a user can ask, one by one: (what, a call that gives the answer)."""
    yield "meta", lambda: compiled.meta
    yield "refs", lambda: compiled.refs(range(compiled.rows))
    for name in ("sources", "categories", "media", "sizes", "quality", "disputed", "masks"):
        # None, where a section may be missing, is an answer.
        yield name, lambda name=name: np.asarray(getattr(compiled, f"row_{name}")()).tolist()
    searcher = Searcher(compiled)
    for name in SEARCHED:
        width = ALGORITHMS[name].width
        values = [item.hashes[name] for item in items if name in item.hashes][:20]
        values += [b"\0" * width, b"\xff" * width]
        queries = np.frombuffer(b"".join(values), np.uint8).reshape(-1, width)
        if ALGORITHMS[name].kind is Kind.EXACT:
            yield name, lambda n=name, q=queries: [a.tolist() for a in searcher.search_digests(n, q)]
        else:
            for radius in (0, ALGORITHMS[name].radius, ALGORITHMS[name].max_radius):
                yield (
                    f"{name} {radius}",
                    lambda n=name, q=queries, r=radius: [a.tolist() for a in searcher.search_codes(n, q, r)],
                )

    def match() -> object:
        # Not closed: it shares the list with the other questions.
        matcher = Matcher(compiled, min_quality=0)
        records = [HashRecord(hashes=dict(item.hashes), size=item.size) for item in items[:20]]
        return [(result.verdict, result.matches, result.notes) for result in matcher.match_many(records)]

    yield "match", match


def answer_all(path: Path, items: list[Item]) -> dict[str, object]:
    """Every question, each asked of a freshly opened list; a `CompiledListError` counts as an answer."""
    result: dict[str, object] = {}
    with contextlib.ExitStack() as stack:
        try:
            compiled = stack.enter_context(CompiledList.open(path))
        except CompiledListError as error:
            return {"open": error}
        for what, ask in answers(compiled, items):
            try:
                result[what] = ask()
            except CompiledListError as error:
                result[what] = error
    return result


def check(path: Path) -> None:
    with CompiledList.open(path) as compiled:
        compiled.check()


@contextlib.contextmanager
def patched(path: Path, at: int, new: bytes) -> Iterator[None]:
    """The file with some bytes changed."""
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(len(new))
        file.seek(at)
        file.write(new)
    try:
        yield
    finally:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(old)


def damage_is_noticed(path: Path, items: list[Item], expected: dict[str, object]) -> None:
    with pytest.raises(CompiledListError):
        check(path)
    for what, answer in answer_all(path, items).items():
        if not isinstance(answer, CompiledListError):
            assert answer == expected[what], what


# ---------------------------------------------------------------------- reading what is sound


def test_arrays_are_views_of_the_file(tmp_path: Path) -> None:
    items = random_items(40, seed=2)
    with CompiledList.open(write(tmp_path / "a.hmx", items)) as compiled:
        digests, codes = compiled.digests("sha1"), compiled.codes("pdq")
        for array in (digests.values, codes.codes):
            assert array.dtype == np.uint8
            assert array.flags.c_contiguous
            assert not array.flags.writeable
            assert not array.flags.owndata
        for array in (digests.rows, digests.table, codes.starts, codes.rows):
            assert array.dtype == np.uint32
        assert compiled.row_sizes().dtype == np.int64
        assert compiled.digests("sha1") is digests
        assert compiled.codes("pdq") is codes
        del array, digests, codes


def test_algorithms_that_the_list_lacks_have_empty_sections(tmp_path: Path) -> None:
    with CompiledList.open(write(tmp_path / "a.hmx", [Item()])) as compiled:
        assert compiled.algorithms == ()
        for name in SEARCHED:
            width = ALGORITHMS[name].width
            if ALGORITHMS[name].kind is Kind.EXACT:
                digests = compiled.digests(name)
                assert (digests.values.shape, digests.rows.shape) == ((0, width), (0,))
            else:
                codes = compiled.codes(name)
                assert (codes.codes.shape, codes.starts.tolist(), codes.rows.shape) == ((0, width), [0], (0,))


def test_refs_of_some_rows(tmp_path: Path) -> None:
    items = [Item(ref=text) for text in ("", "a", "ä€𝄞", "", "x\0y", "z" * 10_000, "")]
    with CompiledList.open(write(tmp_path / "a.hmx", items)) as compiled:
        wanted = [6, 0, 2, 2, 5, 1, 4, 3]
        assert compiled.refs(wanted) == [items[row].ref for row in wanted]
        assert compiled.refs(np.array(wanted, np.uint32)) == [items[row].ref for row in wanted]
        assert compiled.refs([]) == []


def test_unverified_reading_gives_the_same(tmp_path: Path) -> None:
    items = random_items(60, seed=3, distinct=9)
    path = write(tmp_path / "a.hmx", items)
    with CompiledList.open(path, verify=False) as compiled:
        assert contents(compiled) == items
        compiled.check()
        assert contents(compiled) == items


def test_close_while_an_array_is_held(tmp_path: Path) -> None:
    items = random_items(60, seed=3)
    compiled = CompiledList.open(write(tmp_path / "a.hmx", items))
    values = compiled.digests("md5").values
    compiled.close()
    assert values.tobytes() == b"".join(sorted(item.hashes["md5"] for item in items if "md5" in item.hashes))


def test_a_file_that_is_replaced_while_it_is_mapped(tmp_path: Path) -> None:
    items = random_items(60, seed=3)
    path = write(tmp_path / "a.hmx", items)
    with CompiledList.open(path) as compiled:
        write(path, random_items(10, seed=4))
        assert contents(compiled) == items
        compiled.check()


# ---------------------------------------------------------------------- opening is lazy


def test_open_reads_the_header_and_the_table_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.hmx", random_items(2_000, seed=1))
    hashed = []

    def counting(data: bytes = b"") -> Any:
        hashed.append(len(data))
        return hashlib.sha256(data)

    monkeypatch.setattr(compiled_module, "hashlib", SimpleNamespace(sha256=counting))
    with CompiledList.open(path) as compiled:
        assert sum(hashed) == 96 + 88 * len(compiled.sections)
        compiled.row_media()
        compiled.row_media()
        assert len(hashed) == 3  # the third is the hasher of the one section that was used, once


SECTIONS_OF_QUESTION = {
    "meta": {"meta"},
    "refs": {"ref.offsets", "ref.text"},
    "sources": {"row.source", "meta"},
    "categories": {"row.category", "meta"},
    "media": {"row.media"},
    "sizes": {"row.size"},
    "quality": {"row.quality"},
    "disputed": {"row.disputed"},
    "masks": {"row.mask"},
}


def test_a_corrupt_section_is_met_when_it_is_first_used(tmp_path: Path) -> None:
    items = random_items(50, seed=6)
    path = write(tmp_path / "a.hmx", items)
    expected = answer_all(path, items)
    assert not any(isinstance(answer, CompiledListError) for answer in expected.values())
    with CompiledList.open(path) as compiled:
        sections = dict(compiled.sections)
    assert all(section.size for section in sections.values())
    for name, section in sections.items():
        with patched(path, section.offset + section.size // 2, b"\xa5\x5a"[: min(2, section.size)]):
            CompiledList.open(path).close()
            with pytest.raises(CompiledListDamagedError, match=name.replace(".", r"\.")):
                check(path)
            for what, answer in answer_all(path, items).items():
                own = SECTIONS_OF_QUESTION.get(what) or {s for s in sections if s.startswith(f"{what.split()[0]}.")}
                if isinstance(answer, CompiledListError):
                    assert isinstance(answer, CompiledListDamagedError)
                    assert f"{path}: section {name!r}" in str(answer)
                else:
                    assert answer == expected[what]
                    assert name not in own, f"{what} did not notice that {name} is damaged"


def test_damage_is_an_error_at_every_use(tmp_path: Path) -> None:
    items = random_items(50, seed=6)
    path = write(tmp_path / "a.hmx", items)
    with CompiledList.open(path) as compiled:
        section = compiled.sections["pdq.codes"]
    with patched(path, section.offset, b"\x01\x02\x03"), CompiledList.open(path) as compiled:
        for _ in range(3):
            with pytest.raises(CompiledListDamagedError):
                compiled.codes("pdq")


# ---------------------------------------------------------------------- flips and truncations


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Item], dict[str, object]]:
    items = [Item(ref="é1", size=5, quality=77, hashes={"md5": bytes(range(16)), "phash": b"\x0f" * 8})]
    path = write(tmp_path_factory.mktemp("small") / "a.hmx", items)
    return path, items, answer_all(path, items)


def test_every_flip_of_one_bit(small: tuple[Path, list[Item], dict[str, object]]) -> None:
    """Every bit of the header, the table and the sections, and of the padding's first, last and every 64th byte."""
    path, items, expected = small
    raw = path.read_bytes()
    with CompiledList.open(path) as compiled:
        used = [(0, 128 + 88 * len(compiled.sections))]
        used += [(section.offset, section.offset + section.size) for section in compiled.sections.values()]
    meant = {at for start, end in used for at in range(start, end)}
    padding = set(range(0, len(raw), 64)) | {at + d for start, end in used for at in (start, end) for d in (-1, 0)}
    padding = {at for at in padding if 0 <= at < len(raw)}
    with path.open("r+b", buffering=0) as file:
        for at in sorted(meant | padding):
            for bit in range(8):
                file.seek(at)
                file.write(bytes([raw[at] ^ 1 << bit]))
                if bit == at % 8:
                    damage_is_noticed(path, items, expected)
                else:
                    with pytest.raises(CompiledListError):
                        check(path)
            file.seek(at)
            file.write(raw[at : at + 1])
    check(path)


def test_every_truncation(small: tuple[Path, list[Item], dict[str, object]], tmp_path: Path) -> None:
    raw = small[0].read_bytes()
    path = tmp_path / "cut.hmx"
    path.write_bytes(raw)
    for size in range(len(raw) - 1, -1, -1):
        os.truncate(path, size)
        with pytest.raises(CompiledListError) as caught:
            CompiledList.open(path)
        assert type(caught.value) is (CompiledListTruncatedError if size >= 8 else CompiledListForeignError)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_larger_damage(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    items = random_items(70, seed=11, distinct=30)
    model = folder / "larger-model.hmx"
    if not model.exists():
        write(model, items)
    raw = model.read_bytes()
    with CompiledList.open(model) as compiled:
        sections = list(compiled.sections.values())

    def place() -> int:
        section = data.draw(st.sampled_from(sections))
        return data.draw(
            st.integers(0, len(raw) - 1)
            | st.integers(0, 128 + 88 * len(sections) - 1)
            | st.integers(section.offset, section.offset + section.size - 1)
        )

    kind = data.draw(st.sampled_from(["flip", "overwrite", "zero", "copy", "swap pages", "cut", "grow", "insert"]))
    damaged = bytearray(raw)
    at = place()
    if kind == "flip":
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "overwrite":
        new = data.draw(st.binary(min_size=1, max_size=64))
        damaged[at : at + len(new)] = new[: len(raw) - at]
    elif kind == "zero":
        end = min(len(raw), at + data.draw(st.sampled_from([1, 512, 4096])))
        damaged[at:end] = bytes(end - at)
    elif kind == "copy":
        source, size = place(), data.draw(st.sampled_from([1, 8, 32, 4096]))
        size = min(size, len(raw) - max(at, source))
        damaged[at : at + size] = raw[source : source + size]
    elif kind == "swap pages":
        a, b = at // 4096 * 4096, place() // 4096 * 4096
        size = min(4096, len(raw) - max(a, b))
        damaged[a : a + size], damaged[b : b + size] = raw[b : b + size], raw[a : a + size]
    elif kind == "cut":
        del damaged[at:]
    elif kind == "grow":
        damaged += data.draw(st.sampled_from([b"\0", b"\n", bytes(4096), raw]))
    else:
        damaged[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    path = folder / "larger.hmx"
    path.write_bytes(damaged)
    if damaged == raw:
        check(path)
    else:
        if not (expected := _expected.get("larger")):
            expected = _expected["larger"] = answer_all(model, items)
        damage_is_noticed(path, items, expected)


_expected: dict[str, dict[str, object]] = {}


# ---------------------------------------------------------------------- files of another kind


FOREIGN = {
    "empty": b"",
    "one byte": b"\x89",
    "text": b"md5;sha1\n" * 500,
    "SQLite": b"SQLite format 3\0" + bytes(4096),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(300),
    "zeros": bytes(10_000),
    "magic cut": MAGIC[:7],
    "line ends translated": MAGIC.replace(b"\r\n", b"\n") + bytes(10_000),
    "line ends doubled": MAGIC.replace(b"\n", b"\r\n") + bytes(10_000),
    "eighth bit stripped": b"\x09" + MAGIC[1:] + bytes(10_000),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.hmx"
    path.write_bytes(FOREIGN[name])
    with pytest.raises(CompiledListForeignError) as caught:
        CompiledList.open(path)
    assert str(path) in str(caught.value)
    assert "expected a compiled list" in str(caught.value)


@pytest.mark.parametrize(("old", "new"), [(b"\r\n", b"\n"), (b"\n", b"\r\n"), (b"\r", b"")])
def test_a_copy_with_translated_line_ends(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = write(tmp_path / "a.hmx", random_items(10, seed=1))
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(CompiledListForeignError):
        CompiledList.open(path)


@pytest.mark.parametrize("version", [0, 2, 3, 1 << 31, (1 << 32) - 1])
def test_other_versions(tmp_path: Path, handmade: Handmade, version: int) -> None:
    handmade.version = version
    path = tmp_path / "a.hmx"
    path.write_bytes(handmade.raw())
    with pytest.raises(CompiledListVersionError, match=f"version {version} .* reads version 1"):
        CompiledList.open(path)


@pytest.mark.parametrize("tail", [b"\0", b"\n", b"x" * 100, bytes(4096), MAGIC])
def test_appended_bytes(tmp_path: Path, handmade: Handmade, tail: bytes) -> None:
    path = tmp_path / "a.hmx"
    path.write_bytes(handmade.raw() + tail)
    with pytest.raises(CompiledListTruncatedError):
        CompiledList.open(path)
    handmade.tail = tail  # and now the header says so
    path.write_bytes(handmade.raw())
    with pytest.raises(CompiledListDamagedError, match="follow the last section"):
        CompiledList.open(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CompiledListError, match="No such file"):
        CompiledList.open(tmp_path / "missing.hmx")
    with pytest.raises(CompiledListError, match="is a folder"):
        CompiledList.open(tmp_path)
    with pytest.raises(CompiledListError, match="Not a directory"):
        CompiledList.open(write(tmp_path / "a.hmx", []) / "b.hmx")
    with pytest.raises(CompiledListError):
        CompiledList.open(tmp_path / ("x" * 5000))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything; Windows has no such bits")
def test_no_permission(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hmx", [])
    path.chmod(0)
    with pytest.raises(CompiledListError, match="Permission denied"):
        CompiledList.open(path)


# ---------------------------------------------------------------------- lies under valid checksums

Lie = Callable[[Handmade], None]
OPEN_LIES: dict[str, Lie] = {}
LIES: dict[str, Lie] = {}


def lie(register: dict[str, Lie]) -> Callable[[Lie], Lie]:
    def add(function: Lie) -> Lie:
        register[function.__name__] = function
        return function

    return add


@lie(OPEN_LIES)
def a_section_over_another(made: Handmade) -> None:
    made["ref.text"].offset = 4096


@lie(OPEN_LIES)
def a_section_over_the_table(made: Handmade) -> None:
    made["meta"].offset = 0


@lie(OPEN_LIES)
def a_section_past_the_end(made: Handmade) -> None:
    made["pdq.codes"].size = 1 << 40


@lie(OPEN_LIES)
def a_section_far_past_the_end(made: Handmade) -> None:
    made["photodna.rows"].offset = (1 << 64) - 4096
    made["photodna.rows"].size = 8192


@lie(OPEN_LIES)
def a_section_not_aligned(made: Handmade) -> None:
    made["photodna.rows"].offset = len(made.raw()) - 1
    made["photodna.rows"].size = 1


@lie(OPEN_LIES)
def sections_out_of_order(made: Handmade) -> None:
    table = Handmade.read(made.raw())
    offsets = [struct.unpack_from("<32sQ", made.raw(), 128 + 88 * i)[1] for i in range(len(table.parts))]
    made.parts[3].offset, made.parts[4].offset = offsets[4], offsets[3]


@lie(OPEN_LIES)
def a_name_twice(made: Handmade) -> None:
    made.parts.append(Part("md5.rows", 4, made["md5.rows"].data))


@lie(OPEN_LIES)
def a_name_twice_that_is_not_ascii(made: Handmade) -> None:
    made.parts += [Part(b"\xff", 1, b""), Part(b"\xfe", 1, b"")]


@lie(OPEN_LIES)
def items_of_no_width(made: Handmade) -> None:
    made["row.size"].width = 0


@lie(OPEN_LIES)
def more_sections_than_there_are(made: Handmade) -> None:
    made.count = len(made.parts) + 1


@lie(OPEN_LIES)
def fewer_sections_than_there_are(made: Handmade) -> None:
    made.count = len(made.parts) - 1


@lie(OPEN_LIES)
def four_thousand_million_sections(made: Handmade) -> None:
    made.count = (1 << 32) - 1


@lie(OPEN_LIES)
def more_rows_than_the_format_holds(made: Handmade) -> None:
    made.rows = 1 << 32


@lie(OPEN_LIES)
def a_header_only_that_claims_sections(made: Handmade) -> None:
    made.count, made.parts = 21, []


@lie(LIES)
def no_sections_at_all(made: Handmade) -> None:
    made.parts = []


@lie(LIES)
def a_checksum_of_something_else(made: Handmade) -> None:
    made["row.size"].digest = hashlib.sha256(b"other").digest()


@lie(LIES)
def bytes_between_sections(made: Handmade) -> None:
    part = made["ref.text"]
    part.size, part.digest = len(part.data), hashlib.sha256(part.data).digest()
    part.data += b"junk"


WIDTHS = {
    "meta": 1, "ref.offsets": 8, "ref.text": 1, "row.source": 4, "row.category": 4, "row.media": 1, "row.size": 8,
    "row.quality": 1, "row.disputed": 4, "row.mask": 4, "md5.values": 16, "md5.rows": 4, "md5.table": 4,
    "pdq.codes": 32, "pdq.starts": 4, "pdq.rows": 4,
}  # fmt: skip

for _name, _width in WIDTHS.items():

    def _wrong_width(made: Handmade, name: str = _name, width: int = _width) -> None:
        made[name].width = width + 1

    def _one_byte_more(made: Handmade, name: str = _name) -> None:
        made[name].data += b"\0"

    def _one_item_more(made: Handmade, name: str = _name, width: int = _width) -> None:
        made[name].data += made[name].data[-width:]

    def _one_item_less(made: Handmade, name: str = _name, width: int = _width) -> None:
        made[name].data = made[name].data[:-width]

    def _missing(made: Handmade, name: str = _name) -> None:
        made.drop(name)

    def _empty(made: Handmade, name: str = _name) -> None:
        made[name].data = b""

    LIES |= {
        f"{_name} of wrong width": _wrong_width,
        f"{_name} with one byte more": _one_byte_more,
        f"{_name} with one item more": _one_item_more,
        f"{_name} with one item less": _one_item_less,
        f"{_name} missing": _missing,
        f"{_name} empty": _empty,
    }
del LIES["meta with one item more"], LIES["meta with one item less"], LIES["meta with one byte more"]
LIES["meta with one byte more"] = lambda made: setattr(made["meta"], "data", made["meta"].data + b"x")


def _changed(name: str, dtype: str, at: Any, value: Any) -> Lie:
    def change(made: Handmade) -> None:
        array = made.array(name, dtype)
        array[at] = value
        made.put(name, array)

    return change


LIES |= {
    "digest rows out of range": _changed("md5.rows", "<u4", 2, 5),
    "digest rows far out of range": _changed("md5.rows", "<u4", 0, 0xFFFFFFFF),
    "code rows out of range": _changed("pdq.rows", "<u4", -1, 5),
    "photodna rows out of range": _changed("photodna.rows", "<u4", 1, 1 << 31),
    "a row twice in digests": _changed("md5.rows", "<u4", 0, 4),
    "a row twice in codes": _changed("phash.rows", "<u4", 0, 4),
    "starts not ascending": _changed("pdq.starts", "<u4", 1, 3),
    "starts with an empty run": _changed("pdq.starts", "<u4", 1, 0),
    "starts beyond the rows": _changed("pdq.starts", "<u4", 2, 0xFFFFFFFF),
    "starts that begin late": _changed("phash.starts", "<u4", 0, 1),
    "starts that end early": _changed("photodna.starts", "<u4", -1, 4),
    "starts that end late": _changed("photodna.starts", "<u4", -1, 6),
    "starts that end early and ascend": _changed("photodna.starts", "<u4", slice(None), [0, 1, 2, 3, 4]),
    "table that ends early": _changed("md5.table", "<u4", -1, 4),
    "table that ends late": _changed("md5.table", "<u4", -1, 6),
    "table that begins late": _changed("md5.table", "<u4", 0, 1),
    "table that descends": _changed("md5.table", "<u4", 1, 0xFFFFFFFF),
    "table with a wrong step": _changed("md5.table", "<u4", 1, 0),
    "ref offsets that descend": _changed("ref.offsets", "<u8", 2, 0),
    "ref offsets beyond the text": _changed("ref.offsets", "<u8", 3, 1 << 62),
    "ref offsets beyond int64": _changed("ref.offsets", "<u8", 3, (1 << 64) - 1),
    "ref offsets that begin late": _changed("ref.offsets", "<u8", 0, 1),
    "ref offsets that end early": _changed("ref.offsets", "<u8", -1, 24),
    "a reference that is not UTF-8": _changed("ref.text", "u1", 7, 0xFF),
    "a source that meta does not hold": _changed("row.source", "<u4", 1, 2),
    "a source far beyond meta": _changed("row.source", "<u4", 1, 0xFFFFFFFF),
    "sources that do not add up": _changed("row.source", "<u4", 0, 1),
    "a category that meta does not hold": _changed("row.category", "<u4", 1, 3),
    "a category far beyond meta": _changed("row.category", "<u4", 1, 0xFFFFFFFF),
    "a dispute about a hash that the row does not have": _changed("row.disputed", "<u4", 0, 0b10),
    "a dispute about an unknown algorithm": _changed("row.disputed", "<u4", 0, 1 << 31),
    "a mask that lacks a digest": _changed("row.mask", "<u4", 0, 0b10_0011_0000),
    "a mask with an algorithm that the list lacks": _changed("row.mask", "<u4", 3, 0b10_0011_0011),
    "a mask with an unknown algorithm": _changed("row.mask", "<u4", 3, 0x80000231),
}


@lie(LIES)
def digests_not_ascending(made: Handmade) -> None:
    values = made.array("md5.values", "u1").reshape(-1, 16)
    made.put("md5.values", values[::-1])


@lie(LIES)
def codes_not_ascending(made: Handmade) -> None:
    codes = made.array("pdq.codes", "u1").reshape(-1, 32)
    made.put("pdq.codes", codes[[1, 0, 2, 3]])


@lie(LIES)
def a_code_twice(made: Handmade) -> None:
    codes = made.array("phash.codes", "u1").reshape(-1, 8)
    made.put("phash.codes", codes[[0, 0, 2, 3]])


@lie(LIES)
def rows_of_one_digest_not_ascending(made: Handmade) -> None:
    made.put("md5.rows", made.array("md5.rows", "<u4")[[0, 2, 1, 3, 4]])


@lie(LIES)
def rows_of_one_code_not_ascending(made: Handmade) -> None:
    made.put("pdq.rows", made.array("pdq.rows", "<u4")[[0, 2, 1, 3, 4]])


@lie(LIES)
def a_row_twice_and_a_mask_that_agrees(made: Handmade) -> None:
    _changed("md5.rows", "<u4", 0, 4)(made)
    _changed("row.mask", "<u4", 0, 0b10_0011_0000)(made)


@lie(LIES)
def one_row_less_than_the_sections_hold(made: Handmade) -> None:
    made.rows -= 1


@lie(LIES)
def one_row_more_than_the_sections_hold(made: Handmade) -> None:
    made.rows += 1


@lie(LIES)
def no_rows(made: Handmade) -> None:
    made.rows = 0


@lie(LIES)
def four_thousand_million_rows(made: Handmade) -> None:
    made.rows = (1 << 32) - 1


@lie(LIES)
def an_algorithm_left_out(made: Handmade) -> None:
    for name in ("md5.values", "md5.rows", "md5.table"):
        made.drop(name)


@lie(LIES)
def digests_as_codes(made: Handmade) -> None:
    made["md5.values"].name = "md5.codes"


@lie(LIES)
def codes_as_digests(made: Handmade) -> None:
    made["pdq.codes"].name = "pdq.values"


@lie(LIES)
def codes_of_another_algorithm(made: Handmade) -> None:
    for part in made.parts:
        if str(part.name).startswith("phash."):
            part.name = str(part.name).replace("phash", "dhash")


def _meta(change: Callable[[dict[str, Any]], object]) -> Lie:
    def apply(made: Handmade) -> None:
        meta = json.loads(made["meta"].data)
        replaced = change(meta)
        made["meta"].data = replaced if isinstance(replaced, bytes) else json.dumps(meta).encode()

    return apply


def _set(key: str, value: Any) -> Lie:
    return _meta(lambda meta: meta.__setitem__(key, value))


LIES |= {
    "meta is not JSON": _meta(lambda meta: b"{"),
    "meta is not UTF-8": _meta(lambda meta: b'{"role": "\xff"}'),
    "meta is empty": _meta(lambda meta: b""),
    "meta is a list": _meta(lambda meta: b"[]"),
    "meta is a number": _meta(lambda meta: b"5"),
    "meta is null": _meta(lambda meta: b"null"),
    "meta is nested without end": _meta(lambda meta: b"[" * 100_000),
    "meta holds a number without end": _meta(lambda meta: b'{"role": ' + b"1" * 100_000 + b"}"),
    "meta without role": _meta(lambda meta: meta.pop("role") and None),
    "meta without sources": _meta(lambda meta: meta.pop("sources") and None),
    "meta without categories": _meta(lambda meta: meta.pop("categories") and None),
    "meta without hashes": _meta(lambda meta: meta.pop("hashes") and None),
    "meta with another role": _set("role", "unknown"),
    "meta with a list as role": _set("role", []),
    "meta with null sources": _set("sources", None),
    "meta with sources as texts": _set("sources", ["a", "b"]),
    "meta with sources as an object": _set("sources", {}),
    "meta without a source": _set("sources", [{"name": "a", "entries": 3}]),
    "meta with a wrong count of entries": _meta(lambda meta: meta["sources"][0].__setitem__("entries", 4)),
    "meta with a fraction of entries": _meta(lambda meta: meta["sources"][0].__setitem__("entries", 3.0)),
    "meta with a number as a source's name": _meta(lambda meta: meta["sources"][0].__setitem__("name", 3)),
    "meta with null categories": _set("categories", None),
    "meta with categories as an object": _set("categories", {"ab": 1, "cd": 2}),
    "meta with categories as texts": _set("categories", ["ab", "cd"]),
    "meta with short categories": _set("categories", [["a"], ["b"]]),
    "meta with numbers as categories": _set("categories", [[1, 2], [3, 4]]),
    "meta with too few categories": _set("categories", [["a", "b"]]),
    "meta with null hashes": _set("hashes", None),
    "meta with hashes as a list": _set("hashes", []),
    "meta with no hashes": _set("hashes", {}),
    "meta with unknown hashes": _meta(lambda meta: meta["hashes"].__setitem__("sha3", 5)),
    "meta with hashes that the list lacks": _meta(lambda meta: meta["hashes"].__setitem__("sha1", 5)),
    "meta with a wrong count of hashes": _meta(lambda meta: meta["hashes"].__setitem__("md5", 4)),
    "meta with a text as count": _meta(lambda meta: meta["hashes"].__setitem__("md5", "5")),
}


@pytest.mark.parametrize("name", OPEN_LIES)
def test_lies_that_opening_finds(tmp_path: Path, handmade: Handmade, name: str) -> None:
    OPEN_LIES[name](handmade)
    path = tmp_path / "lie.hmx"
    path.write_bytes(handmade.raw())
    with pytest.raises(CompiledListDamagedError):
        CompiledList.open(path)


@pytest.mark.parametrize("name", LIES)
def test_lies_that_check_finds(tmp_path: Path, handmade: Handmade, name: str) -> None:
    LIES[name](handmade)
    path = tmp_path / "lie.hmx"
    path.write_bytes(handmade.raw())
    with CompiledList.open(path) as compiled, pytest.raises(CompiledListDamagedError) as caught:
        compiled.check()
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", LIES)
def test_lies_never_crash_a_search(tmp_path: Path, handmade: Handmade, name: str) -> None:
    """Each question gets an answer or a `CompiledListError`; in each order of questions."""
    LIES[name](handmade)
    path = tmp_path / "lie.hmx"
    path.write_bytes(handmade.raw())
    items = items_for_lies()
    answer_all(path, items)
    with CompiledList.open(path) as other:
        questions = [what for what, _ in answers(other, items)]
    for what in questions:
        with CompiledList.open(path) as compiled, contextlib.suppress(CompiledListError):
            dict(answers(compiled, items))[what]()


@pytest.mark.parametrize("name", ["md5.rows", "pdq.codes", "pdq.starts", "row.source", "ref.offsets", "meta"])
def test_sections_left_out_are_never_a_silent_miss(tmp_path: Path, handmade: Handmade, name: str) -> None:
    """The parts of a file whose section table forgets one section answer rightly or not at all."""
    items = items_for_lies()
    path = tmp_path / "lie.hmx"
    path.write_bytes(handmade.raw())
    expected = answer_all(path, items)
    handmade.drop(name)
    path.write_bytes(handmade.raw())
    for what, answer in answer_all(path, items).items():
        if not isinstance(answer, CompiledListError):
            assert answer == expected[what], what


def test_check_finds_what_stands_between_sections(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hmx", random_items(10, seed=1))
    with CompiledList.open(path) as compiled:
        ends = [128 + 88 * len(compiled.sections)]
        ends += [section.offset + section.size for section in compiled.sections.values()][:-1]
    for at in ends:
        with patched(path, at, b"\x01"), pytest.raises(CompiledListDamagedError, match="not zero"):
            check(path)
