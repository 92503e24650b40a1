"""Blocks in C against their twins in Python: the same bytes, the same rows, the same complaints."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists import block
from hashmatch.lists.block import HEADER, Row, ascends, cut, decode, encode, ends_block
from hashmatch.lists.entry import MEDIA_NAMES, mask_width

NATIVE = any(item.available and item.name != "numpy" for item in kernels.implementations())
LEFT_OUT = "native" in os.environ.get("HASHMATCH_TEST_WITHOUT", "").split()

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
PACKED = st.builds(
    lambda mask, fill: struct.pack("<I", mask) + fill * mask_width(mask),
    st.integers(0, (1 << len(ALGORITHMS)) - 1),
    st.binary(min_size=1, max_size=1),
)
ROWS = st.lists(
    st.tuples(
        TEXT,
        st.none() | st.tuples(TEXT, TEXT),
        st.sampled_from(list(MEDIA_NAMES.values())),
        st.none() | st.integers(0, 2**63 - 1),
        TEXT,
        PACKED,
        TEXT,
        st.integers(0, 2**32 - 1),
    ),
    min_size=1,
    max_size=40,
)
PLAIN: Row = ("r", None, "", None, "", struct.pack("<I", 1) + bytes(range(16)), "", 1)
FULL: Row = ("s", ("a", "é"), "image", 7, '{"k":"\N{SNOWMAN}"}', struct.pack("<I", 17) + bytes(49), "[1]", 2)


class Name(str):
    __slots__ = ()


class Pair(tuple[Any, ...]):
    __slots__ = ()


@pytest.fixture(scope="module")
def native() -> ModuleType:
    """The extension: a missing one fails the tests, unless it was left out by name."""
    if not NATIVE and LEFT_OUT:
        pytest.skip("the native extension was left out by name")
    found = kernels.native_rows()
    assert found is not None, "hashmatch._native is not built: pip install ., or HASHMATCH_TEST_WITHOUT=native"
    return found


def outcome(work: Callable[[], object]) -> object:
    """What comes of it: a result, or what was raised."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - compared with the twin's
        return type(error), str(error)


def by_both(work: Callable[[], object]) -> object:
    """The result under the extension, which must be that of the twin."""
    fast = outcome(work)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.ENVIRONMENT_VARIABLE, "numpy")
        assert kernels.native_rows() is None
        slow = outcome(work)
    assert fast == slow
    assert [*map(type, fast)] == [*map(type, slow)] if isinstance(fast, list) and isinstance(slow, list) else True
    return fast


@given(ROWS)
@example([PLAIN])
@example([PLAIN, FULL])
def test_ordinary_rows_need_no_twin(native: ModuleType, rows: list[Row]) -> None:
    made = native.encode_block(rows, 0, len(rows), block._MEDIA)
    assert made == block._encode(rows)
    tags = [row[7] for row in rows]
    for given_tags in (tags, tuple(tags)):
        found = native.decode_block(made, given_tags, block._WIDTHS, block._MEDIA_NAMES)
        assert found == block._decode(made, given_tags) == rows
        assert [tuple(map(type, row)) for row in found] == [tuple(map(type, row)) for row in rows]
    assert native.block_ends(rows, 1) == [at for at, row in enumerate(rows, 1) if block.zlib.crc32(row[0].encode()) & 1]


@given(ROWS)
@example([PLAIN, PLAIN])
@example([PLAIN, ("r\N{CUNEIFORM SIGN A}", *PLAIN[1:]), ("r\uffff", *PLAIN[1:])])
@example([("r", *PLAIN[1:]), ("r\0", *PLAIN[1:])])
def test_ascends(native: ModuleType, rows: list[Row]) -> None:
    ordered = sorted(rows, key=lambda row: row[0])
    for chosen in (rows, ordered, list({row[0]: row for row in ordered}.values())):
        refs = [row[0] for row in chosen]
        assert native.block_ascends(chosen) == block._ascends(chosen) == (refs == sorted(set(refs)))


@given(ROWS, st.data())
def test_part_of_a_list(native: ModuleType, rows: list[Row], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(rows) - 1))
    last = data.draw(st.integers(first + 1, len(rows)))
    assert native.encode_block(rows, first, last, block._MEDIA) == block._encode(rows[first:last])


@pytest.mark.parametrize("length", [*range(20), 63, 64, 65, 4095])
def test_ends_of_references_of_every_length(native: ModuleType, length: int) -> None:
    draw = random.Random(length)
    rows = [("".join(draw.choices("aé0-", k=length)), *PLAIN[1:]) for _ in range(300)]
    found = native.block_ends(rows, 127)
    assert found == [at for at, row in enumerate(rows, 1) if ends_block(row[0])]


def test_no_rows(native: ModuleType) -> None:
    assert native.block_ends([], 127) == []
    assert native.block_ascends([]) is block._ascends([]) is True
    assert native.encode_block([], 0, 0, block._MEDIA) is None
    assert native.encode_block([PLAIN], 0, 2, block._MEDIA) is None
    assert native.encode_block([PLAIN], 1, 1, block._MEDIA) is None
    assert native.encode_block([PLAIN], -1, 1, block._MEDIA) is None
    assert by_both(lambda: list(cut([]))) == []
    assert isinstance(by_both(lambda: encode([])), tuple)


#: (field, value) that no reader makes: types of others, half characters, what does not fit.
ODD: list[tuple[int, object]] = [
    (0, Name("r")),
    (0, b"r"),
    (0, None),
    (0, "\ud800"),
    (0, "with\0NUL"),
    (1, ("a", "b", "c")),
    (1, ("a",)),
    (1, ["a", "b"]),
    (1, Pair(("a", "b"))),
    (1, (Name("a"), "b")),
    (1, (1, 2)),
    (1, ("\ud800", "")),
    (2, "IMAGE"),
    (2, Name("image")),
    (2, None),
    (2, ["image"]),
    (3, 2**63),
    (3, -(2**63) - 1),
    (3, -1),
    (3, -5),
    (3, True),
    (3, 1.5),
    (3, "7"),
    (4, "\udfff"),
    (4, None),
    (4, "a\0b"),
    (5, b""),
    (5, b"\1\0\0"),
    (5, b"\1\0\0\0"),
    (5, bytearray(20)),
    (5, None),
    (6, "\ud800"),
    (6, 5),
]


@pytest.mark.parametrize(("field", "value"), ODD, ids=repr)
@pytest.mark.parametrize("others", [0, 3])
def test_odd_rows(native: ModuleType, field: int, value: object, others: int) -> None:
    odd: Any = (*PLAIN[:field], value, *PLAIN[field + 1 :])
    rows = [*[FULL] * others, odd, *[FULL] * others]
    by_both(lambda: ascends(rows))
    by_both(lambda: encode(rows))
    by_both(lambda: [(part, encoded, list(chosen)) for part, encoded, chosen in cut(rows)])


@pytest.mark.parametrize(
    "rows",
    [
        [PLAIN[:7]],
        [(*PLAIN, 1)],
        [PLAIN, FULL[:7]],
        [list(PLAIN)],
        [Pair(PLAIN)],
        [None],
        (PLAIN, FULL),
        Pair((PLAIN, FULL)),
        {0: PLAIN},
        "r",
    ],
    ids=repr,
)
def test_what_is_no_list_of_rows(native: ModuleType, rows: Any) -> None:
    by_both(lambda: ascends(rows))
    by_both(lambda: encode(rows))
    by_both(lambda: [(part, encoded, list(chosen)) for part, encoded, chosen in cut(rows)])


def test_more_categories_than_numbers(native: ModuleType) -> None:
    rows = [(str(at), ("s", f"{at % 65535:05}"), *PLAIN[2:]) for at in range(65536)]
    assert native.encode_block(rows, 0, len(rows), block._MEDIA) == block._encode(rows)
    rows = [(str(at), ("s", f"{at:05}"), *PLAIN[2:]) for at in range(65536)]
    assert native.encode_block(rows, 0, len(rows), block._MEDIA) is None
    assert isinstance(by_both(lambda: encode(rows)), tuple)


# ---------------------------------------------------------------------- damage


def damaged(draw: random.Random, good: bytes) -> bytes:
    """A block with something wrong, its header put right more often than not."""
    data = bytearray(good)
    n, count, *parts = HEADER.unpack_from(data)
    at = draw.randrange(len(data))
    sound = HEADER.size + 15 * n + sum(parts) == len(data)
    match draw.randrange(7 if sound else 4):
        case 0:
            data[at] ^= 1 << draw.randrange(8)
        case 1:
            data[at] = draw.choice((0, 1, 0x7F, 0x80, 0xC3, 0xFF))
        case 2:
            del data[at:]
        case 3:
            data += draw.randbytes(draw.randrange(1, 5))
        case 4:
            part = draw.randrange(5)
            start = HEADER.size + 15 * n + sum(parts[:part])
            put = draw.randrange(start, start + parts[part] + 1)
            more = draw.choice((b"\0", b"a", b"\xff", b"\xc3\xa9", b"\xc3", b"\0\0", draw.randbytes(16)))
            data[put:put] = more
            parts[part] += len(more)
            HEADER.pack_into(data, 0, n, count, *parts)
        case 5:
            part = draw.randrange(5)
            start = HEADER.size + 15 * n + sum(parts[:part])
            if parts[part]:
                del data[draw.randrange(start, start + parts[part])]
                parts[part] -= 1
                HEADER.pack_into(data, 0, n, count, *parts)
        case _:
            struct.pack_into("<I", data, 4 * draw.randrange(7), draw.choice((0, 1, 2, 3, 255, 2**31, 2**32 - 1)))
    return bytes(data)


def decoded(data: bytes, tags: Any) -> object:
    """The rows, or what is said. A ValueError of damage, and no other exception."""
    found = by_both(lambda: decode(data, tags))
    assert isinstance(found, list) or found[0] is ValueError  # type: ignore[index]
    return found


@given(ROWS, st.integers())
@example([PLAIN, FULL, PLAIN], 1)
def test_damaged_blocks(native: ModuleType, rows: list[Row], seed: int) -> None:
    draw = random.Random(seed)
    data = encode(rows)
    for _ in range(20):
        changed = damaged(draw, data)
        if draw.randrange(2):
            changed = damaged(draw, changed) if len(changed) >= HEADER.size else changed
        decoded(changed, range(len(rows)))
        count = HEADER.unpack_from(changed)[0] if len(changed) >= HEADER.size else 0
        if count < 1000:
            decoded(changed, range(count))


@given(st.binary(max_size=200), st.integers(0, 4))
def test_any_bytes(native: ModuleType, data: bytes, count: int) -> None:
    decoded(data, range(count))
    sizes = [len(data) // 7] * 5
    whole = HEADER.pack(count, 1, *sizes) + bytes(15 * count) + data[: sum(sizes)]
    decoded(whole, range(count))


def test_every_cut_and_every_byte(native: ModuleType) -> None:
    """Of a small block: cut at every length, and each byte with each of some values."""
    rows = [PLAIN, FULL]
    data = encode(rows)
    for length in range(len(data)):
        assert isinstance(decoded(data[:length], (1, 2)), tuple)
    for at in range(len(data)):
        for value in (0, 1, 0x61, 0x7F, 0x80, 0xC3, 0xFF):
            decoded(data[:at] + bytes([value]) + data[at + 1 :], (1, 2))


@pytest.mark.parametrize("size", [-1, 0, 2**63 - 1, -2, -(2**63)])
def test_sizes(native: ModuleType, size: int) -> None:
    data = bytearray(encode([PLAIN, FULL]))
    struct.pack_into("<q", data, HEADER.size + 3 * 2 + 8, size)
    found = decoded(bytes(data), (1, 2))
    assert (found[0] is ValueError) == (size < -1)  # type: ignore[index]


@pytest.mark.parametrize("mask", [1 << bit for bit in range(32)] + [0, 2**32 - 1])
def test_masks(native: ModuleType, mask: int) -> None:
    width = mask_width(mask) if mask < 1 << len(ALGORITHMS) else 16
    data = HEADER.pack(1, 0, 0, 2, width, 0, 0) + bytes(3) + bytes(8) + struct.pack("<I", mask) + b"r\0" + bytes(width)
    found = decoded(data, [1])
    assert isinstance(found, list) == (mask < 1 << len(ALGORITHMS))


class Tags(Sequence[int]):
    """Numbers that are no list."""

    def __init__(self, stated: int, held: int) -> None:
        self.stated, self.held = stated, held

    def __len__(self) -> int:
        return self.stated

    def __getitem__(self, at: Any) -> Any:
        if at >= self.held:
            raise IndexError(at)
        return at

    def __repr__(self) -> str:
        return f"Tags({self.stated}, {self.held})"


@pytest.mark.parametrize(
    "tags", [[], [1], (1, 2, 3), range(2), range(3), [1, "two"], Tags(2, 2), Tags(2, 1), Tags(3, 3), b"ab"], ids=repr
)
def test_tags(native: ModuleType, tags: Any) -> None:
    by_both(lambda: decode(encode([PLAIN, FULL]), tags))


@pytest.mark.parametrize("tags", [None, 7, iter([1, 2])], ids=["None", "int", "iterator"])
def test_what_has_no_length(native: ModuleType, tags: Any) -> None:
    found = by_both(lambda: decode(encode([PLAIN, FULL]), tags))
    assert found[0] is TypeError  # type: ignore[index]


def test_other_buffers_are_the_twins(native: ModuleType) -> None:
    data = encode([PLAIN, FULL])
    assert by_both(lambda: decode(bytearray(data), (1, 2)))
    assert native.decode_block(bytearray(data), (1, 2), block._WIDTHS, block._MEDIA_NAMES) is None


def test_wrong_arguments(native: ModuleType) -> None:
    for work in (
        lambda: native.block_ends([]),
        lambda: native.encode_block([PLAIN], 0, 1, []),
        lambda: native.decode_block(b"", (), "widths", ()),
        lambda: native.decode_block(b"", (), b"", []),
    ):
        with pytest.raises(TypeError):
            work()
    data = encode([PLAIN])
    assert native.decode_block(data, [1], b"", block._MEDIA_NAMES) is None
    assert native.decode_block(data, [1], bytes(33), block._MEDIA_NAMES) is None
    assert native.decode_block(data, [1], block._WIDTHS, ()) is None
    assert native.encode_block([PLAIN], 0, 1, {"": 256}) is None
    assert native.encode_block([PLAIN], 0, 1, {"": "0"}) is None
