"""Joined columns to entries, in C and with NumPy: the two say the same of everything, and None of the same."""

from __future__ import annotations

import gc
import sys
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashmatch import kernels
from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import nsrl_sqlite
from hashmatch.lists.formats.nsrl_columns import reference
from hashmatch.lists.formats.sqlite_source import Relation

pytestmark = pytest.mark.skipif(
    [item.name for item in kernels.implementations() if item.available] == ["numpy"],
    reason="the native extension is not here",
)

MINIMAL = "sha256 sha1 md5 crc32 file_name file_size package_id"
#: What databases have as columns: NIST's, the first releases', other tables, hardly anything, names that JSON escapes.
SCHEMAS = {
    "minimal": MINIMAL,
    "no crc32": MINIMAL.replace("crc32 ", ""),
    "no size": MINIMAL.replace("file_size ", ""),
    "metadata": "object_id path file_name extension bytes crc32 md5 sha1 sha256",
    "sha1": "sha1",
    "one hash": 'sha1 file_name é"\\ package_id',
}
LONGEST = 4000


def readers(schema: str) -> tuple[nsrl_sqlite._Reader, nsrl_sqlite._Reader]:
    """The reader in C, and the one with NumPy, of a table that is not there."""
    relation = Relation("FILE", {name.lower(): name for name in SCHEMAS[schema].split()})
    made = []
    for native in (True, False):
        reader = nsrl_sqlite._Reader(None, None, relation, LONGEST)
        reader._native = kernels.native_rows() if native else None
        assert (reader._native is not None) == native
        made.append(reader)
    return made[0], made[1]


def both(schema: str, count: int, columns, *, ascending: bool = True) -> list[Entry] | None:
    """What both say, which must be the same in every type."""
    native, twin = (reader._joined(count, columns, ascending=ascending) for reader in readers(schema))
    assert native == twin
    if native is not None:
        assert list(map(type, native)) == [Entry] * count
        assert [list(map(type, a)) for a in native] == [list(map(type, b)) for b in twin]
    return native


# ------------------------------------------------------------------ cells

DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "crc32": 8}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=12).map(str.encode)
CLEAN = st.text('abc xyz.,\t"\\é\u2028\U0001f600\x7f', min_size=1, max_size=12).map(str.encode)
NUMBERS = st.integers(1, 2000) | st.integers(1, 10**18 - 1)


def sound(name: str) -> st.SearchStrategy[bytes]:
    if name in DIGITS:
        digits = st.text("0123456789abcdefABCDEF", min_size=DIGITS[name], max_size=DIGITS[name]).map(str.encode)
        common = [b"0" * DIGITS[name], *(EMPTY_DIGESTS[n].hex().encode() for n in (name,) if n in EMPTY_DIGESTS)]
        return digits | st.sampled_from(common)
    if name in ("package_id", "object_id"):
        return NUMBERS.map(lambda n: b"%d" % n)
    if name in ("file_size", "bytes"):
        return (NUMBERS | st.sampled_from([0, 2**63 - 1])).map(lambda n: b"%d" % n)
    return CLEAN


DIRT = st.sampled_from(
    [b"", b"0", b"00", b"01", b"-1", b"+1", b" 1", b"1 ", b"1.5", b"\n", b"a\nb", b",", b"1,2", b"\0", b"\x1f", b"\r\n",
     b"\xff", b"\xed\xa0\x80", b"\xc3", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616",
     b"1000000000000000000", b"999999999999999999", b"9" * 5000, b"1" * 8, b"G" * 32, b"a" * 31, b"a" * 41, b"a" * 64]
)  # fmt: skip


def table(schema: str, cells) -> st.SearchStrategy[list[tuple[bytes, ...]]]:
    reader, _ = readers(schema)
    return st.lists(st.tuples(*(cells(name.lower()) for name in reader._columns)), min_size=1, max_size=20)


def joined(schema: str, rows) -> list[bytes]:
    reader, _ = readers(schema)
    return [between.join(cells) for between, cells in zip(reader._between, zip(*rows, strict=True), strict=True)]


# ------------------------------------------------------------------ equal


@pytest.mark.parametrize("schema", SCHEMAS)
@given(st.data(), st.booleans())
def test_sound_rows(schema, data, ascending):
    rows = data.draw(table(schema, sound))
    made = both(schema, len(rows), joined(schema, rows), ascending=ascending)
    assert made is not None
    refs = [entry.ref for entry in made]
    if schema in ("minimal", "no crc32", "no size") and ascending:
        assert refs == sorted(refs)
    if schema in ("metadata", "sha1", "one hash"):
        assert set(refs) == {""}


@pytest.mark.parametrize("schema", SCHEMAS)
@given(st.data())
def test_dirt_in_a_cell(schema, data):
    rows = [list(row) for row in data.draw(table(schema, sound))]
    for _ in range(data.draw(st.integers(1, 3))):
        at, place = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(rows[0]) - 1))
        rows[at][place] = data.draw(DIRT | TEXTS | st.binary(max_size=9))
    both(schema, len(rows), joined(schema, rows))


@pytest.mark.parametrize("schema", ["minimal", "one hash"])
@given(st.data())
def test_columns_that_lie(schema, data):
    """Bytes changed, put in and taken out anywhere, columns cut, swapped, missing, and another number of rows."""
    rows = data.draw(table(schema, sound))
    columns: list[object] = list(joined(schema, rows))
    place = data.draw(st.integers(0, len(columns) - 1))
    column = columns[place]
    at = data.draw(st.integers(0, len(column)))
    put = data.draw(st.sampled_from([b"", b",", b"\n", b"0", b"9", b"a", b"\0", b"\xff", b'"']) | st.binary(max_size=3))
    columns[place] = column[:at] + put + column[at + data.draw(st.integers(0, 2)) :]
    other = data.draw(st.integers(0, len(columns) - 1))
    what = data.draw(st.sampled_from(["", "", "", "swapped", "cut", "none", "no bytes"]))
    if what == "swapped":
        columns[place], columns[other] = columns[other], columns[place]
    elif what:
        columns[other] = {"cut": columns[other][:at], "none": None, "no bytes": "text"}[what]
    count = len(rows) + data.draw(st.sampled_from([0, 0, 0, 0, -1, 1, 1000]))
    both(schema, max(count, 1), columns)


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(1, 2**63 - 1)), min_size=1, max_size=8))
@example([(b"x" * 6000, 1), (b"\xff" * 20_000, 2), (b"", 3)])
def test_references(rows):
    """Against the reference that one row has, for names of every length."""
    digests = bytes(range(7, 75))
    names = [name.translate(None, bytes(range(32))) + b"!" for name, _ in rows]
    packages = [package % 10**18 or 1 for _, package in rows]
    cells = [[digests[:16]], [digests[16:36]], [digests[36:]]]
    columns = [b",".join(cell.hex().encode() for cell in cell * len(rows)) for cell in cells]
    columns += [b"\n".join(names), b",".join(b"%d" % package for package in packages)]
    relation = Relation("FILE", {name: name for name in ("sha256", "sha1", "md5", "file_name", "package_id")})
    reader = nsrl_sqlite._Reader(None, None, relation, 1 << 20)
    made = reader._joined(len(rows), columns)
    assert [entry.ref for entry in made] == [
        reference(digests, name, package) for name, package in zip(names, packages, strict=True)
    ]
    assert max(map(zlib.adler32, names)) > 0


@pytest.mark.parametrize("count", [1, 2, 3, 15, 16, 17, 1000, 5000])
@pytest.mark.parametrize("order", ["ascending", "descending", "few values"])
def test_order(count, order):
    """Ties stay in the order of the rows: the sizes tell them apart."""
    numbers = {
        "ascending": range(count),
        "descending": range(count, 0, -1),
        "few values": [n * 2654435761 % 2**32 // 7 % 5 for n in range(count)],
    }[order]
    native = kernels.native_rows()
    reader, _ = readers("minimal")
    columns = [
        b",".join([b"0" * 32] * count),
        b",".join([b"0" * 40] * count),
        b",".join(b"%064x" % (n << 232) for n in numbers),
        b",".join([b"0" * 8] * count),
        b"\n".join([b"x"] * count),
        b",".join([b"1"] * count),
        b",".join(b"%d" % n for n in range(count)),
    ]
    arguments = (Entry, count, columns, reader._plan, reader._mask, 4, 5, 1 << 20)
    made, empty = native.joined_entries(*arguments, True)
    assert made == sorted(native.joined_entries(*arguments, False)[0], key=lambda entry: entry.ref)
    assert [entry.size for entry in made] == sorted(range(count), key=lambda n: numbers[n])
    assert empty == []


def test_where_the_empty_file_is():
    rows = [(b"%032x" % n, b"%040x" % n, b"%064x" % (n << 232), b"12345678", b"x", b"1", b"5") for n in range(9, 0, -1)]
    rows[2] = (EMPTY_DIGESTS["md5"].hex().encode(), *rows[2][1:])
    made = both("minimal", 9, joined("minimal", rows))
    assert [len(entry.hashes) for entry in made] == [3] * 6 + [2] + [3] * 2
    assert [entry.dropped for entry in made] == [0] * 6 + [1] + [0] * 2


# ------------------------------------------------------------------ the function itself


def call(**changes):
    plan = (("h", 2, b"\0\0"), ("t", 0, b'{"a":'), ("n", 0, b',"b":'), ("s", 0, b""), ("x", 4, b',"c":'))
    arguments = {
        "type": Entry, "rows": 2, "columns": (b"0A0b,ffff", b"x\ny", b"1,22", b"0,3", b"0a0A,1234"), "plan": plan,
        "mask": b"mask", "name": -1, "package": -1, "longest": 100, "ascending": False,
    } | changes  # fmt: skip
    return kernels.native_rows().joined_entries(*arguments.values())


def test_a_plan():
    entries, empty = call()
    assert empty == []
    assert entries == [
        Entry("", None, "", 0, '{"a":"x","b":1,"c":"0a0A"}', b"mask\x0a\x0b"),
        Entry("", None, "", 3, '{"a":"y","b":22,"c":"1234"}', b"mask\xff\xff"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"plan": ()},
        {"plan": (("t", 0, b""),)},
        {"plan": (("h", 2, b"\0"),)},
        {"plan": (("h", 0, b""),)},
        {"plan": (("h", 65, b"\0" * 65),)},
        {"plan": (("h", -2, b"\0\0"),)},
        {"plan": (("h", 2, b"\0\0"), ("s", 0, b""), ("s", 0, b""))},
        {"plan": (("h", 2, b"\0\0"), ("x", 65, b""))},
        {"plan": (("h", 2, b"\0\0"), ("q", 0, b""))},
        {"plan": (("h", 2, b"\0\0"), ("\u1068", 0, b""))},
        {"plan": (("h", 2, b"\0\0"), ("\0", 0, b""))},
        {"plan": (("h", 2, b"\0\0"), ["n", 0, b""])},
        {"plan": (("h", 2, b"\0\0"), ("n", 0))},
        {"plan": (("h", 2, b"\0\0"), ("n", 0, "text"))},
        {"plan": [("h", 2, b"\0\0")]},
        {"plan": (("h", 2, b"\0\0"),) * 257},
        {"mask": b"12345"},
        {"mask": "mask"},
        {"type": int},
        {"type": "Entry"},
        {"name": 1, "package": 2},  # not enough digests
        {"name": 2, "package": 1, "plan": (("h", 12, bytes(12)), ("t", 0, b""), ("n", 0, b""))},
        {"name": 1, "package": 3, "plan": (("h", 12, bytes(12)), ("t", 0, b""), ("n", 0, b""))},
        {"name": 3, "package": 2, "plan": (("h", 12, bytes(12)), ("t", 0, b""), ("n", 0, b""))},
        {"name": 1, "plan": (("h", 12, bytes(12)), ("t", 0, b""), ("n", 0, b""))},
        {"name": 2, "package": 3, "plan": (("h", 10, bytes(10)), ("h", 2, b"\0\0"), ("t", 0, b""), ("n", 0, b""))},
        {"columns": (b"0A0b,ffff", b"x\ny", b"1,22", b"0,3")},
        {"columns": 5},
    ],
    ids=repr,
)
def test_arguments_that_cannot_be(change):
    with pytest.raises((ValueError, TypeError, IndexError)):
        call(**change)


@pytest.mark.parametrize("rows", [0, -1, -(2**63), 1, 3, 2**62, 2**63 - 1])
def test_a_number_of_rows_that_lies(rows):
    assert call(rows=rows) is None


def test_longest():
    assert call(longest=3) is not None
    assert call(longest=2) is None


def test_metadata_that_is_no_text():
    """Only a plan can bring it about, and no plan of ours does."""
    plan = (("h", 2, b"\0\0"), ("n", 0, b"\xff"))
    with pytest.raises(UnicodeDecodeError):
        call(plan=plan, columns=(b"0A0b,ffff", b"1,2"))


def test_nothing_is_kept():
    """Neither entries nor what they are made of, whether or not something is unusual."""
    columns = (b"0A0b,ffff", "é\ny".encode(), b"1,22", b"0,3", b"0a0A,1234")
    broken = (*columns[:2], b"1,0", *columns[3:])
    gc.collect()  # what other tests left behind refers to some of these, too
    holds = [sys.getrefcount(item) for item in (*columns, *broken, "", 0, None, Entry)]
    for _ in range(2000):
        call(columns=columns)
        assert call(columns=broken) is None
    gc.collect()
    after = [sys.getrefcount(item) for item in (*columns, *broken, "", 0, None, Entry)]
    assert all(abs(a - b) < 1000 for a, b in zip(after, holds, strict=True))


def test_the_reader_uses_it(monkeypatch):
    """And with NumPy only where that is asked for."""
    relation = Relation("FILE", {"sha1": "sha1"})
    columns = [b"0" * 40]
    called = []
    monkeypatch.setattr(nsrl_sqlite._Reader, "joined", lambda *_: called.append(1))
    monkeypatch.delenv(kernels.ENVIRONMENT_VARIABLE, raising=False)
    assert len(nsrl_sqlite._Reader(None, None, relation, 100)._joined(1, columns)) == 1
    assert called == []
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, "numpy")
    assert nsrl_sqlite._Reader(None, None, relation, 100)._joined(1, columns) is None
    assert called == [1]
