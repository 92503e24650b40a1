"""PDQ text: ``hex[,quality[,name]]``."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import open_entries

PDQ = "c3" * 32


@pytest.fixture
def read(tmp_path):
    def read(text: str, name: str = "list.txt", **options) -> list[Entry | RecordError]:
        path = tmp_path / name
        path.write_bytes(text.encode())
        with open_entries(path, **options) as reading:
            assert reading.format.name == "pdq"
            return list(reading)

    return read


@pytest.mark.parametrize(
    ("line", "quality", "name"),
    [
        (PDQ, None, ""),
        (PDQ.upper(), None, ""),
        (f"{PDQ},0", 0, ""),
        (f"{PDQ}, 100 ", 100, ""),
        (f"{PDQ},50,a,b;c", 50, "a,b;c"),
        (f"{PDQ},,name", None, "name"),
        (f"{PDQ},", None, ""),
    ],
)
def test_forms(read, line, quality, name):
    expected = Entry.make(name, {"pdq": bytes.fromhex(PDQ)}, quality=None if quality is None else {"pdq": quality})
    assert read(f"# comment\n\n{line}\r\n", "list.pdq") == [expected]


def test_comma_makes_it_pdq(read):
    assert len(read(f"{PDQ}\n{PDQ},100\n")) == 2


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        (PDQ[:-1], "pdq", "found 63 digits"),
        (f"{PDQ}0,1", "pdq", "found 65 digits"),
        (f"{PDQ[:-1]}x,1", "pdq", "no hexadecimal digit"),
        (f"{PDQ},101", "quality", "0 to 100"),
        (f"{PDQ},-1", "quality", "0 to 100"),
        (f"{PDQ},1.0", "quality", "0 to 100"),
        (f"{PDQ},1,a\x00", "name", r"U\+0000"),
    ],
)
def test_malformed(read, line, field, message):
    first, error, last = read(f"{PDQ},1\n\n{line}\n{PDQ},1\n")
    assert first == last
    assert (error.line, error.record, error.field) == (3, 2, field)
    with pytest.raises(RecordError, match=message):
        raise error


def test_last_line_that_was_cut_short(read):
    first, error = read(f"{PDQ},1,a\n{PDQ},1")
    assert isinstance(first, Entry)
    assert "fewer fields than the first record" in str(error)
    assert len(read(f"{PDQ},1,a\n{PDQ},1,b")) == 2


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32)))), max_size=9)


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 100), names), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, records):
    path = tmp_path_factory.getbasetemp() / "round.txt"
    path.write_bytes("".join(f"{value.hex()},{quality},{name}\n" for value, quality, name in records).encode())
    with open_entries(path) as reading:
        assert [(e.hashes["pdq"], e.quality["pdq"], e.ref) for e in reading] == records
