"""Rows of delimited text: every implementation against the plain meaning of a plan, and against each other."""

from __future__ import annotations

import base64
import gc
import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch import kernels
from hashmatch.kernels import delimited
from hashmatch.kernels.delimited import Column, Kind, RowPlan, TakeRows

#: One native one stands for all of them: instruction sets make no difference here.
IMPLEMENTATIONS = sorted({"numpy", next(item.name for item in kernels.implementations() if item.available)})


class Row(NamedTuple):
    """What rows become here."""

    text: str
    number: int | None
    word: Any
    json: str
    packed: bytes
    label: str = "label"


EMPTY = bytes(range(4))
YES, NO = ("yes",), ("no",)
WORDS = ((b"yes", YES), (b"no", NO), (b"", None))
COLUMNS = {
    "hash": Column(Kind.HEXADECIMAL, bit=3, digits=8, width=4, refused=EMPTY),
    "tailed": Column(Kind.HEXADECIMAL, bit=1, digits=20, width=10, tail=0xFE),
    "long": Column(Kind.HEXADECIMAL, bit=9, digits=288, width=144),
    "base64": Column(Kind.BASE64, bit=31, digits=12, width=9, refused=b"refused!!", tail=7),
    "text": Column(Kind.TEXT_FIELD, 0),
    "number": Column(Kind.NUMBER_FIELD, 1, optional=True),
    "word": Column(Kind.WORD_FIELD, 2, words=WORDS),
    "note": Column(Kind.TEXT_PIECE, key='n"ø'),
    "count": Column(Kind.NUMBER_PIECE, key="count"),
    "flag": Column(Kind.WORD_PIECE, key="a", words=((b"y", b"true"), (b"n", b"false"))),
    "nothing": Column(Kind.NOTHING),
    "ignored": Column(Kind.IGNORED),
}
#: A row of usual cells.
USUAL = {
    "hash": b"0aFf9C3e",
    "tailed": b"00112233445566778899",
    "long": bytes(range(144)).hex().encode(),
    "base64": base64.b64encode(b"a few <>?"),
    "text": "id é 1".encode(),
    "number": b"42",
    "word": b"Yes",
    "note": b"a note",
    "count": b"7",
    "flag": b"y",
    "nothing": b"",
    "ignored": b"anything",
}
MADE = Row(
    "id é 1",
    42,
    YES,
    json.dumps({"a": True, "count": 7, 'n"ø': "a note"}, ensure_ascii=False, separators=(",", ":")),
    (1 << 3 | 1 << 1 | 1 << 9 | 1 << 31).to_bytes(4, "little")
    + bytes.fromhex("00112233445566778899fe0aff9c3e")
    + bytes(range(144))
    + b"a few <>?\x07",
)


def plan_of(names: tuple[str, ...] = tuple(COLUMNS), delimiter: str = ";", **changes: Any) -> RowPlan:
    given_ = {
        "delimiter": delimiter,
        "columns": tuple(COLUMNS[name] for name in names),
        "make": Row,
        "defaults": Row("", None, None, "", b""),
        "pieces_field": 3,
        "hashes_field": 4,
        "max_text": 40,
    }
    return RowPlan(**(given_ | changes))


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.ENVIRONMENT_VARIABLE, request.param)
        yield request.param


def takers(plan: RowPlan) -> list[TakeRows]:
    made = []
    for name in IMPLEMENTATIONS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(kernels.ENVIRONMENT_VARIABLE, name)
            made.append(kernels.delimited_rows(plan))
    return made


def line(delimiter: bytes = b";", **cells: bytes) -> bytes:
    return delimiter.join((USUAL | cells).values()) + b"\n"


def taken(plan: RowPlan, block: bytes, start: int = 0) -> tuple[list[Any], int]:
    return kernels.delimited_rows(plan)(block, start)


@pytest.mark.usefixtures("implementation")
class TestRows:
    def test_usual_rows(self) -> None:
        block = line() * 3
        rows, at = taken(plan_of(), block)
        assert rows == [MADE] * 3
        assert at == len(block)
        assert {type(row) for row in rows} == {Row}
        # A newer CPython keeps a tuple's hash in it.
        assert hash(rows[0]) == hash(tuple(MADE))
        assert rows[0] in {MADE}

    @pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
    def test_delimiters(self, delimiter: str) -> None:
        assert taken(plan_of(delimiter=delimiter), line(delimiter.encode()))[0] == [MADE]
        other = b"," if delimiter == ";" else b";"
        assert taken(plan_of(delimiter=delimiter), line(other)) == ([], 0)

    @pytest.mark.parametrize("names", [tuple(COLUMNS)[::-1], tuple(sorted(COLUMNS))], ids=["reversed", "sorted"])
    def test_any_order_of_columns(self, names: tuple[str, ...]) -> None:
        block = b";".join(USUAL[name] for name in names) + b"\n"
        assert taken(plan_of(names), block) == ([MADE], len(block))

    def test_starts_where_it_is_told(self) -> None:
        block = line(text=b"1") + line(text=b"2") + line(text=b"3")
        rows, at = taken(plan_of(), block, len(line(text=b"1")))
        assert ([row.text for row in rows], at) == (["2", "3"], len(block))
        assert taken(plan_of(), block, len(block)) == ([], len(block))
        for start in (-1, len(block) + 1):
            with pytest.raises(ValueError, match="start"):
                taken(plan_of(), block, start)

    def test_no_row_at_all(self) -> None:
        assert taken(plan_of(), b"") == ([], 0)
        assert taken(plan_of(), b"\n") == ([], 0)
        assert taken(plan_of(), line()[:-1]) == ([], 0)

    def test_a_last_line_without_its_end_is_left(self) -> None:
        assert taken(plan_of(), line() * 2 + line()[:-1]) == ([MADE] * 2, 2 * len(line()))

    @pytest.mark.parametrize("place", [0, 1, 2, 3, 6, 7, 31, 32, 99])
    @pytest.mark.parametrize(
        "unusual", [line(number=b"x"), b"\n", line(note=b'"a"'), line().rpartition(b";")[0] + b"\n", b"\xff" + line()]
    )
    def test_ends_at_the_first_unusual_row(self, place: int, unusual: bytes) -> None:
        before = b"".join(line(text=b"%d" % n) for n in range(place))
        rows, at = taken(plan_of(), before + unusual + line() * 5)
        assert [row.text for row in rows] == [str(n) for n in range(place)]
        assert at == len(before)

    def test_empty_cells_behind_the_columns(self) -> None:
        row = line()[:-1]
        block = b"".join(row + b";" * n + b"\n" for n in (0, 1, 3, 1))
        assert taken(plan_of(), block) == ([MADE] * 4, len(block))
        assert taken(plan_of(), row + b";;x\n") == ([], 0)
        assert taken(plan_of(), row + b"; \n") == ([], 0)

    def test_shifted_rows_do_not_cancel_out(self) -> None:
        cells = line()[:-1].split(b";")
        block = b"\n".join(b";".join(part) for part in (cells, cells[:5], cells[5:], cells)) + b"\n"
        assert taken(plan_of(), block) == ([MADE], len(line()))

    @pytest.mark.parametrize("there", range(1, 16))
    def test_every_set_of_hashes(self, there: int) -> None:
        names = ["tailed", "hash", "long", "base64"]  # in the order of their bits
        parts = {"tailed": (1, 4, 15), "hash": (3, 15, 19), "long": (9, 19, 163), "base64": (31, 163, 173)}
        kept = [name for number, name in enumerate(names) if there >> number & 1]
        cells = {name: b"" for name in names if name not in kept}
        mask = sum(1 << parts[name][0] for name in kept)
        packed = b"".join(MADE.packed[parts[name][1] : parts[name][2]] for name in kept)
        assert taken(plan_of(), line(**cells))[0] == [MADE._replace(packed=mask.to_bytes(4, "little") + packed)]

    def test_a_row_without_any_hash_is_unusual(self) -> None:
        assert taken(plan_of(), line(hash=b"", tailed=b"", long=b"", base64=b"")) == ([], 0)

    @pytest.mark.parametrize(
        ("cells", "made"),
        [
            ({"number": b""}, {"number": None}),
            ({"number": b" 007 "}, {"number": 7}),
            ({"number": b"9" * 18}, {"number": 10**18 - 1}),
            ({"word": b"nO"}, {"word": NO}),
            ({"word": b" yes  "}, {"word": YES}),
            ({"word": b""}, {"word": None}),
            ({"text": b"\ta b\x7f"}, {"text": "\ta b\x7f"}),
            ({"text": "\u3000é".encode()}, {"text": "\u3000é"}),
            ({"text": "𝄞".encode() * 10}, {"text": "𝄞" * 10}),
        ],
    )
    def test_fields(self, cells: dict[str, bytes], made: dict[str, Any]) -> None:
        assert taken(plan_of(), line(**cells))[0] == [MADE._replace(**made)]

    @pytest.mark.parametrize(
        ("cells", "made"),
        [
            ({"note": b""}, {"a": True, "count": 7}),
            ({"note": b" "}, {"a": True, "count": 7, 'n"ø': " "}),
            ({"note": "ÿ\\\t\x7f/\u2028".encode()}, {"a": True, "count": 7, 'n"ø': "ÿ\\\t\x7f/\u2028"}),
            ({"note": b"\\" * 40}, {"a": True, "count": 7, 'n"ø': "\\" * 40}),
            ({"count": b"000", "flag": b" N"}, {"a": False, "count": 0, 'n"ø': "a note"}),
            ({"count": b"0100"}, {"a": True, "count": 100, 'n"ø': "a note"}),
        ],
    )
    def test_pieces(self, cells: dict[str, bytes], made: dict[str, Any]) -> None:
        expected = json.dumps(made, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert taken(plan_of(), line(**cells))[0] == [MADE._replace(json=expected)]

    def test_no_piece_at_all(self) -> None:
        plan = plan_of(("hash", "note"))
        assert taken(plan, b"00000000;\n")[0] == [Row("", None, None, "", b"\x08\0\0\0\0\0\0\0")]
        assert taken(plan_of(("hash",)), b"00000000\n")[0] == [Row("", None, None, "", b"\x08\0\0\0\0\0\0\0")]

    @pytest.mark.parametrize(
        "cells",
        [
            {"hash": b"0aFf9C3"},
            {"hash": b"0aFf9C3e0"},
            {"hash": b"0aFf9C3g"},
            {"hash": b" aFf9C3e"},
            {"hash": EMPTY.hex().encode()},
            {"base64": b"AAAAAAAAAAA="},
            {"base64": b"AAAAAAAA"},
            {"base64": b"AAAA AAAAAAA"},
            {"base64": b"AAAAAAAA-AAA"},
            {"base64": base64.b64encode(b"refused!!")},
            {"text": b""},
            {"text": b" \t "},
            {"text": "\u3000\xa0".encode()},
            {"text": b"x" * 41},
            {"note": b"x" * 41},
            {"note": b"a\rb"},
            {"note": b"\x1f"},
            {"note": b"\0"},
            {"note": b'a"b'},
            {"note": b"\xc3"},
            {"note": b"\xed\xa0\x80"},
            {"text": b"\xf5\x80\x80\x80"},
            {"note": b"\xc0\x80"},
            {"number": b"-1"},
            {"number": b"1 0"},
            {"number": b"1.0"},
            {"number": b"9" * 19},
            {"number": b"\t1"},
            {"number": "٣".encode()},
            {"count": b""},
            {"count": b"  "},
            {"word": b"maybe"},
            {"word": "ye\u017f".encode()},
            {"word": b"ye"},
            {"word": b"yes!"},
            {"flag": b""},
            {"nothing": b" "},
            {"ignored": "é".encode()},
            {"ignored": b"\x01"},
        ],
    )
    def test_unusual_cells(self, cells: dict[str, bytes]) -> None:
        assert taken(plan_of(), line() + line(**cells) + line()) == ([MADE], len(line()))

    def test_a_long_row_among_short_ones(self) -> None:
        note = "\\é".encode() * 100_000
        block = line() + line(note=note) + line()
        rows, at = taken(plan_of(max_text=1 << 20), block)
        assert at == len(block)
        assert json.loads(rows[1].json)['n"ø'] == note.decode()
        assert (rows[0], rows[2]) == (MADE, MADE)

    def test_what_it_is_given_is_not_kept(self) -> None:
        word = ("a word of its own",)
        before = sys.getrefcount(word)
        column = Column(Kind.WORD_FIELD, 2, words=((b"w", word),))
        plan = plan_of(columns=(COLUMNS["hash"], column))
        take = kernels.delimited_rows(plan)
        for _ in range(50):
            assert take(b"00000000;w\n00000000;W\n0;w\n", 0)[0][1].word is word
        del take, plan, column
        gc.collect()
        assert sys.getrefcount(word) == before

    def test_plain_tuples(self) -> None:
        rows, _ = taken(plan_of(("hash",), make=tuple), b"00000000\n00000001\n")
        assert list(map(type, rows)) == [tuple] * 2
        assert rows[0] != rows[1]


def test_all_bytes_in_all_cells() -> None:
    """One strange byte in a cell, alone or behind what is usual: all implementations do the same."""
    takes = takers(plan_of())
    for name, usual in USUAL.items():
        for byte in map(bytes, zip(range(256), strict=True)):
            for cell in (byte, usual + byte, byte + usual[1:], usual[:-1] + byte):
                block = line(**{name: cell}) + line()
                first, *others = (take(block, 0) for take in takes)
                assert all(found == first for found in others), (name, cell)


CELLS = {
    "hash": st.sampled_from([b"", b"deadBEEF", b"00000000", b"0000000g", EMPTY.hex().encode(), b"0" * 9]),
    "tailed": st.sampled_from([b"", b"0" * 20, b"F" * 20, b"0" * 19]),
    "long": st.sampled_from([b"", b"a" * 288, b"a" * 287 + b"\xe1"]),
    "base64": st.binary(min_size=9, max_size=9).map(base64.b64encode) | st.sampled_from([b"", b"A" * 12, b"A" * 11]),
    "text": st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    "number": st.integers(-1, 10**19).map(lambda number: b"%d" % number) | st.sampled_from([b"", b" 01 "]),
    "word": st.sampled_from([b"yes", b"NO", b"", b" ", b"x"]),
    "note": st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=6),
    "count": st.sampled_from([b"1", b"22", b"000", b"", b"1e3"]),
    "flag": st.sampled_from([b"y", b"N", b"", b"yes"]),
    "nothing": st.sampled_from([b"", b"", b"", b"x"]),
    "ignored": st.sampled_from([b"", b"x", b"\xc3\xa9", b"\t"]),
}
ROWS = st.fixed_dictionaries({}, optional=CELLS).map(lambda cells: line(**cells))
LINES = st.lists(st.integers(0, 3).flatmap(lambda n: ROWS if not n else st.just(line())), max_size=30)


@given(LINES, st.integers(0, 3), st.binary(max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_implementations_agree(lines: list[bytes], spoils: int, other: bytes, random: Any) -> None:
    block = bytearray(b"".join(lines))
    for _ in range(spoils if block else 0):
        at = random.randrange(len(block))
        block[at : at + random.randrange(3)] = other
    # A block ends anywhere, and so may begin.
    text = bytes(block[: random.choice([len(block), random.randrange(len(block) + 1)])])
    start = random.choice([0, text.rfind(b"\n", 0, len(text) // 2) + 1, random.randrange(len(text) + 1)])
    first, *others = (take(text, start) for take in takers(plan_of()))
    assert all(found == first for found in others)
    rows, at = first
    assert text.count(b"\n", start, at) == len(rows)


def test_many_unusual_rows_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extension: what is tried in vain does not grow with what is left of the block."""
    tried: list[int] = []
    whole = delimited._Rows._all
    monkeypatch.setattr(delimited._Rows, "_all", lambda self, piece: (tried.append(len(piece)), whole(self, piece))[1])
    block = (b"0aFf9C3e;a\n" * 9 + b"00010203;a\n") * 500
    take, at, count = delimited.delimited_rows(plan_of(("hash", "note"))), 0, 0
    while at < len(block):
        rows, at = take(block, at)
        count += len(rows)
        at = block.find(b"\n", at) + 1 or len(block)
    assert count == 4500
    assert sum(tried) < 50 * len(block)


class TestPlans:
    def test_what_no_row_can_have(self) -> None:
        hash_, note = COLUMNS["hash"], COLUMNS["note"]
        for columns in [
            (hash_, hash_),
            (hash_, note, note),
            (hash_, COLUMNS["text"], COLUMNS["text"]),
            (hash_, COLUMNS["base64"]._replace(bit=0)),
            (hash_, COLUMNS["text"]._replace(field=4)),
        ]:
            with pytest.raises(ValueError, match=r"two columns for one|not the last"):
                plan_of(columns=columns)
        many = (hash_, *[COLUMNS["nothing"]] * 4095)
        for columns, delimiter in [((), ";"), ((*many, many[1]), ";"), ((hash_,), '"'), ((hash_,), "")]:
            with pytest.raises(ValueError, match="no column, too many"):
                plan_of(columns=columns, delimiter=delimiter)
        block = b"00000000" + b";" * 4095 + b"\n"
        assert [take(block, 0)[1] for take in takers(plan_of(columns=many))] == [len(block)] * len(IMPLEMENTATIONS)

    def test_what_the_extension_refuses(self) -> None:
        native = pytest.importorskip("hashmatch._native")
        usual = {
            "delimiter": 59,
            "columns": ((2, 0, False, 3, 8, 4, -1, b"", b"", ()),),
            "pieces": (),
            "hashes": (0,),
            "make": Row,
            "defaults": Row("", None, None, "", b""),
            "pieces_field": 3,
            "hashes_field": 4,
            "max_text": 40,
        }

        def plan(**changes: Any) -> Any:
            return native.row_plan(*(usual | changes).values())

        def column(**changes: Any) -> tuple[Any, ...]:
            return (tuple(Column(Kind.HEXADECIMAL, bit=3, digits=8, width=4)._replace(key=b"", **changes)),)

        assert len(native.delimited_rows(plan(columns=column()), b"00000000\n" * 2, 0)[0]) == 2
        strange = [
            {"delimiter": 0},
            {"delimiter": ord('"')},
            {"delimiter": ord("a")},
            {"delimiter": 256 + ord(";")},
            {"columns": ()},
            {"columns": (None,)},
            {"columns": ((),)},
            {"columns": ((1,) * 10,)},
            {"columns": ((1,) * 9,)},
            {"columns": column(kind=10)},
            {"columns": column(kind=-1)},
            {"columns": column(field=6)},
            {"columns": column(field=-1)},
            {"columns": column(bit=32)},
            {"columns": column(digits=7)},
            {"columns": column(digits=-8)},
            {"columns": column(digits=2048, width=1024)},
            {"columns": column(width=5)},
            {"columns": column(width=1 << 62)},
            {"columns": column(tail=256)},
            {"columns": column(refused=b"123")},
            {"columns": column(kind=Kind.BASE64)},
            {"columns": column(kind=Kind.TEXT_PIECE)},  # its head has no comma
            {"columns": column(kind=Kind.WORD_FIELD, words=((b"x",),))},
            {"columns": column(kind=Kind.WORD_FIELD, words=(("x", b"x"),))},
            {"columns": column(kind=Kind.WORD_FIELD, words=(None,))},
            {"columns": column(kind=Kind.WORD_FIELD, words=[])},
            {"columns": column(kind=Kind.WORD_PIECE, words=((b"x", "x"),))},
            {"pieces": (0,)},
            {"hashes": ()},
            {"hashes": (0, 0)},
            {"hashes": (1,)},
            {"hashes": (-1,)},
            {"hashes": ("x",)},
            {"make": str},
            {"make": None},
            {"defaults": ()},
            {"defaults": None},
            {"pieces_field": 6},
            {"hashes_field": -1},
            {"max_text": -1},
        ]
        for changes in strange:
            with pytest.raises((ValueError, TypeError, OverflowError)):
                plan(**changes)
        for arguments in [
            (None, b"", 0),
            (plan(), "", 0),
            (plan(), bytearray(b"x"), 0),
            (plan(), b"", 1),
            (plan(), b"", -1),
        ]:
            with pytest.raises((ValueError, TypeError)):
                native.delimited_rows(*arguments)
