"""Parquet and Arrow: every type that a column may have, damage at every byte, and files that ask for too much."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import hashlib
import io
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from test_formats_messages import quoted

from hashmatch.errors import HashMatchError, InputError, RecordError, UsageError
from hashmatch.lists import arrow
from hashmatch.lists.arrow_messages import Unpacked, unpacked_bytes
from hashmatch.lists.entry import Entry, Opinion
from hashmatch.lists.formats import FORMATS, Limits, open_entries
from hashmatch.lists.parquet_footer import Chunk, page_bytes, read_footer

_SHAKE = hashlib.shake_256(b"messages").digest
MD5, SHA1, PDQ = _SHAKE(16)[-16:], _SHAKE(40)[-20:], _SHAKE(240)[-32:]
PHOTODNA = _SHAKE(400)[-144:]


def parquet_file(columns: Any, **options: Any) -> bytes:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def arrow_file(columns: Any, compression: str | None = None) -> bytes:
    return _ipc(columns, pa.ipc.new_file, compression)


def arrow_stream(columns: Any, compression: str | None = None) -> bytes:
    return _ipc(columns, pa.ipc.new_stream, compression)


def _ipc(columns: Any, new: Callable[..., Any], compression: str | None) -> bytes:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    file = io.BytesIO()
    with new(file, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=2)
    return file.getvalue()


WRITE: dict[str, Callable[[Any], bytes]] = {
    "parquet": parquet_file,
    "small groups": lambda columns: parquet_file(columns, row_group_size=2, use_dictionary=False, compression="zstd"),
    "pages of version 2": lambda columns: parquet_file(columns, data_page_version="2.0", compression="gzip"),
    "arrow file": arrow_file,
    "arrow stream": arrow_stream,
    "lz4": lambda columns: arrow_file(columns, "lz4"),
    "zstd": lambda columns: arrow_stream(columns, "zstd"),
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Any]]:
    def read(data: Any, **options: Any) -> list[Any]:
        path = tmp_path / "list.bin"
        path.write_bytes(data if isinstance(data, bytes) else parquet_file(data))
        with open_entries(path, **options) as reading:
            assert reading.format.name == "parquet"
            return list(reading)

    return read


FULL = {
    "ID": ["a", None, "c\nd"],
    "md5": pa.array([MD5, MD5, None], pa.binary(16)),
    "SHA-1": [SHA1, None, SHA1.hex().upper()],
}


@pytest.mark.parametrize("write", WRITE.values(), ids=WRITE)
def test_records(read: Any, write: Callable[[Any], bytes]) -> None:
    columns = {
        "ID": ["a", None, "c\nd"],
        "md5": pa.array([MD5, MD5, None], pa.binary(16)),
        "SHA-1": [SHA1.hex().upper(), None, SHA1.hex()],
        "pdq": [PDQ, PDQ, None],
        "pdq_quality": pa.array([7, None, None], pa.uint8()),
        "size": [5, 2**63 - 1, None],
        "category": ["1", None, "x"],
        "category_scheme": ["s", "t", None],
        "Media_Type": ["Image", "", None],
        "list_source": ["S", "S", "S"],
        "list_metadata": ['{"k":[1]}', None, ""],
        "list_opinions": ['[["md5","A",false,"r"]]', None, ""],
        "note": ["é", None, ""],
    }
    one, two, three = read(write(columns))
    assert one == Entry.make(
        "a",
        {"md5": MD5, "sha1": SHA1, "pdq": PDQ},
        quality={"pdq": 7},
        category=("s", "1"),
        media_type="image",
        size=5,
        metadata={"k": [1], "note": "é"},
        opinions=[Opinion("md5", "A", False, "r")],
    )
    assert two == Entry.make("", {"md5": MD5, "pdq": PDQ}, size=2**63 - 1)
    assert three == Entry.make("c\nd", {"sha1": SHA1}, category=("", "x"))


@pytest.mark.parametrize("write", WRITE.values(), ids=WRITE)
@pytest.mark.parametrize(
    "column",
    [
        pa.array([MD5], pa.binary(16)),
        pa.array([MD5], pa.binary()),
        pa.array([MD5], pa.large_binary()),
        pa.array([MD5]).dictionary_encode(),
        pa.array([MD5.hex()]),
        pa.array([MD5.hex()], pa.large_string()),
        pa.array([MD5.hex().upper()]).dictionary_encode(),
        pa.array([MD5.hex().encode()], pa.binary()),
        pa.array([MD5.hex().encode()], pa.binary(32)),
    ],
    ids=lambda column: str(column.type),
)
def test_forms_of_a_hash(read: Any, write: Callable[[Any], bytes], column: Any) -> None:
    (entry,) = read(write({"md5": column}))
    assert entry == Entry.make("", {"md5": MD5})


@pytest.mark.parametrize("type_", [pa.string_view(), pa.binary_view()], ids=str)
@pytest.mark.parametrize("write", [arrow_file, arrow_stream])
def test_views(read: Any, write: Callable[[Any], bytes], type_: Any) -> None:
    values = [MD5.hex().encode(), None, MD5.hex().encode()]
    column = pa.array([v.decode() if v and type_ == pa.string_view() else v for v in values], type_)
    assert [e.hashes for e in read(write({"md5": column, "sha1": [SHA1] * 3}))] == [
        {"md5": MD5, "sha1": SHA1},
        {"sha1": SHA1},
        {"md5": MD5, "sha1": SHA1},
    ]


@pytest.mark.parametrize(
    "value",
    [PHOTODNA, list(PHOTODNA), base64.b64encode(PHOTODNA).decode(), PHOTODNA.hex(), " ".join(map(str, PHOTODNA))],
)
def test_forms_of_photodna(read: Any, value: Any) -> None:
    assert read({"PhotoDNA": [value]}) == [Entry.make("", {"photodna": PHOTODNA})]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([7, 8]), ["7", "8"]),
        (pa.array([7, 2**64 - 1], pa.uint64()), ["7", "18446744073709551615"]),
        (pa.array([b"x", "é".encode()]), ["x", "é"]),
        (pa.array(["x", "x"]).dictionary_encode(), ["x", "x"]),
    ],
    ids=str,
)
def test_forms_of_a_reference(read: Any, column: Any, expected: list[str]) -> None:
    assert [entry.ref for entry in read({"id": column, "md5": [MD5, MD5]})] == expected


@pytest.mark.parametrize("column", [[5, None], [5.0, math.nan], ["5", " "], pa.array([5, None], pa.uint16())], ids=str)
def test_forms_of_a_number(read: Any, column: Any) -> None:
    """Tables with gaps turn whole numbers into decimals."""
    one, two = read({"size": column, "quality": column, "pdq": [PDQ, PDQ]})
    assert (one.size, one.quality) == (5, {"pdq": 5})
    assert (two.size, two.quality) == (None, {})


def test_a_quality_without_its_hash_is_nothing(read: Any) -> None:
    assert read({"pdq_quality": [5], "md5": [MD5]}) == [Entry.make("", {"md5": MD5})]


def test_two_columns_of_quality(read: Any) -> None:
    (entry,) = read({"quality": ["high"], "pdq_quality": [5], "pdq": [PDQ]})
    assert (entry.quality, entry.fields) == ({"pdq": 5}, {"quality": "high"})


STAMP = dt.datetime(2024, 2, 29, 12, 30, 1, 500000)
METADATA: list[tuple[Any, Any]] = [
    (pa.array([True]), True),
    (pa.array([-3], pa.int8()), -3),
    (pa.array([1.5]), 1.5),
    (pa.array([math.nan]), None),
    (pa.array([None], pa.null()), None),
    (pa.array(["x"], pa.large_string()), "x"),
    (pa.array([""]), None),
    (pa.array([b"\x00\xff"]), "00ff"),
    (pa.array([decimal.Decimal("1.50")]), "1.50"),
    (pa.array([STAMP], pa.timestamp("us")), "2024-02-29 12:30:01.500000"),
    (pa.array([1], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
    (pa.array([STAMP], pa.timestamp("ms", "Europe/Berlin")), "2024-02-29 12:30:01.500Z"),
    (pa.array([STAMP.date()]), "2024-02-29"),
    (pa.array([STAMP.time()], pa.time64("us")), "12:30:01.500000"),
    (pa.array([[1, None, 2]]), [1, None, 2]),
    (pa.array([[]], pa.list_(pa.int8())), []),
    (pa.array([{"a": [b"\x01"], "b": None, "c": STAMP}]), {"a": ["01"], "b": None, "c": STAMP.isoformat()}),
    (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), [["k", 1]]),
    (pa.array(["x"]).dictionary_encode(), "x"),
]


@pytest.mark.parametrize(("column", "expected"), METADATA, ids=[str(column.type) for column, _ in METADATA])
@pytest.mark.parametrize("write", [parquet_file, arrow_file])
def test_other_columns_are_metadata(read: Any, write: Callable[[Any], bytes], column: Any, expected: Any) -> None:
    (entry,) = read(write({"md5": [MD5], "Some Column": column}))
    assert entry.fields == ({} if expected is None else {"Some Column": expected})


def test_a_duration_is_a_number(read: Any) -> None:
    (entry,) = read(arrow_file({"md5": [MD5], "took": pa.array([90], pa.duration("s"))}))
    assert entry.fields == {"took": 90}


def test_status_of_a_file_without_hashes(read: Any) -> None:
    one, two, error = read({"md5": pa.array([None] * 3, pa.binary(16)), "status": ["unreadable", "too_large", "ok"]})
    assert (one.hashes, one.fields, two.fields) == ({}, {"status": "unreadable"}, {"status": "too_large"})
    assert error.reason == "found a record without any hash; expected at least one"


def test_digests_of_the_empty_file_are_dropped(read: Any) -> None:
    empty = [hashlib.md5(b"").digest()] * 2
    one, two = read({"md5": empty, "sha1": [SHA1, hashlib.sha1(b"").hexdigest().encode()]})
    assert (one.hashes, one.dropped) == ({"sha1": SHA1}, 1)
    assert (two.hashes, two.dropped) == ({}, 2)


# ---------------------------------------------------------------------- records that are malformed


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("md5", MD5 + b"\xff", "found 17 bytes; expected 16 for md5, or its text"),
        ("md5", MD5[:15], "found 15 bytes; expected 16 for md5, or its text"),
        ("md5", MD5.hex()[:-1].encode(), "31 digits"),
        ("sha1", SHA1.hex()[:-1] + "g", "'g' at position 40"),
        ("photodna", [256] * 144, "decimal 1 out of range"),
        ("photodna", ["x"], "no hash of photodna"),
        ("id", "a\x01", r"U\+0001"),
        ("id", b"\xff", "bytes that are not UTF-8"),
        ("size", -1, "whole number of at least 0"),
        ("size", 1.5, "whole number of at least 0"),
        ("size", 1e300, "whole number of at least 0"),
        ("size", "x", "whole number of at least 0"),
        ("pdq_quality", 101, "from 0 to 100"),
        ("media_type", "audio", "one of image, video, other"),
        ("category", "a\nb", r"U\+000A"),
        ("list_metadata", "[1]", "an array; expected a JSON object"),
        ("list_metadata", '{"a":1,"a":2}', "twice"),
        ("list_opinions", "{}", "no array"),
        ("note", "a\x00b", r"U\+0000"),
        ("note", math.inf, "no JSON form"),
        ("note", {"a": "b\x01"}, r"U\+0001"),
        ("note", {"a": [math.inf]}, "no JSON form"),
        ("md5", None, "without any hash"),
    ],
)
@pytest.mark.parametrize("write", [parquet_file, arrow_stream])
def test_malformed(read: Any, write: Callable[[Any], bytes], column: str, value: Any, message: str) -> None:
    table = {"md5": [MD5, MD5, MD5]} if value is not None else {}
    first, error, last = read(write(table | {column: [None, value, None] if value is not None else [MD5, None, MD5]}))
    if column == "md5" and value is not None:
        assert isinstance(first, RecordError)
    else:
        assert first == last == Entry.make("", {"md5": MD5})
    assert isinstance(error, RecordError)
    assert (error.record, error.line, error.path is not None) == (2, None, True)
    assert error.field == (column if value is not None else None)
    assert quoted(str(error)) is None
    with pytest.raises(RecordError, match=message):
        raise error


def test_limits_on_text(read: Any) -> None:
    for column in ("id", "note", "category"):
        (error,) = read({"md5": [MD5], column: ["x" * 11]}, limits=Limits(max_string=10))
        assert "found 11 characters; expected at most 10" in str(error)
    nested: Any = [1]
    for _ in range(8):
        nested = [nested]
    (error,) = read({"md5": [MD5], "deep": [nested]}, limits=Limits(max_json_depth=5))
    assert error.field == "deep"


@pytest.mark.parametrize(
    ("columns", "field", "message"),
    [
        ({"id": ["x"]}, None, "no column that is named after an algorithm; expected columns such as id, md5"),
        ({"md5": [MD5], "MD5": [MD5]}, None, "found the columns 'md5' and 'MD5'; expected one of them"),
        ({"md5": [MD5], "x": [1], "X": [2]}, None, "found the columns 'x' and 'X'; expected one of them"),
        ({"md5": [MD5], " ": [1]}, None, "found no name for column 2; expected one"),
        ({"md5": [MD5], "a\x01b": [1]}, "a\x01b", r"U\+0001"),
        ({"md5": [12]}, "md5", "found the type int64; expected bytes or text"),
        ({"md5": [[1]]}, "md5", "expected bytes or text"),
        ({"md5": [MD5], "id": [1.0]}, "id", "found the type double; expected text or whole numbers"),
        ({"md5": [MD5], "id": [True]}, "id", "found the type bool; expected text or whole numbers"),
        ({"md5": [MD5], "size": [MD5]}, "size", "found the type binary; expected whole numbers"),
        ({"md5": [MD5], "list_metadata": [{"a": 1}]}, "list_metadata", "expected JSON text"),
    ],
)
@pytest.mark.parametrize("write", [parquet_file, arrow_file, arrow_stream])
def test_columns_that_are_no_lists(
    read: Any, write: Callable[[Any], bytes], columns: Any, field: str | None, message: str
) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        read(write(columns))
    assert caught.value.field == field
    assert caught.value.path is not None


# ---------------------------------------------------------------------- damage

SMALL = {
    "id": ["a", "b", "c"],
    "md5": pa.array([MD5, MD5, None], pa.binary(16)),
    "sha1": [SHA1.hex(), None, SHA1.hex()],
}


@pytest.mark.parametrize("write", WRITE.values(), ids=WRITE)
def test_truncated_at_every_byte(read: Any, write: Callable[[Any], bytes]) -> None:
    data = write(SMALL)
    assert len(read(data)) == 3
    for length in range(8, len(data)):
        with pytest.raises(RecordError) as caught:
            read(data[:length])
        assert "list.bin: found" in str(caught.value) or "record" in str(caught.value), length
        assert quoted(str(caught.value)) is None


def test_an_arrow_stream_without_its_end(read: Any) -> None:
    data = arrow_stream(SMALL)
    with pytest.raises(RecordError, match="without the mark of the end; expected a whole Arrow stream"):
        read(data[:-8])
    with pytest.raises(RecordError, match="cannot be read to its end"):
        read(data[:-4])


@pytest.mark.parametrize("write", WRITE.values(), ids=WRITE)
def test_damaged_anywhere(read: Any, write: Callable[[Any], bytes]) -> None:
    """A changed byte gives an error or another list, and nothing else; no message shows a hash."""
    data = write(SMALL | {"note": [{"a": ["x"]}, None, {"a": []}]})
    rng = random.Random(1)
    failed = 0
    for _ in range(400):
        damaged = bytearray(data)
        at = rng.randrange(len(data))
        damaged[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, damaged[at] ^ 1 << rng.randrange(8)])
        try:
            records = read(bytes(damaged), from_format="parquet")
        except HashMatchError as error:
            problems: list[Any] = [error]
        else:
            problems = [record for record in records if isinstance(record, RecordError)]
            assert len(records) <= 3
        for problem in problems:
            failed += 1
            assert quoted(str(problem)) is None
    assert failed > 20


def test_page_checksums_are_verified(read: Any) -> None:
    columns = {"md5": pa.array([MD5], pa.binary(16))}
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    data = parquet_file(columns, write_page_checksum=True, **options)
    assert read(data)[0].hashes == {"md5": MD5}
    with pytest.raises(RecordError, match="cannot be read to its end"):
        read(data.replace(MD5, bytes(16)))


def test_something_else_forced(read: Any, tmp_path: Path) -> None:
    for data in (b"hello", b"x" * 100, b"PAR1" + bytes(20), b"ARROW1\0\0" + bytes(30), b"\xff" * 100):
        with pytest.raises(RecordError, match="found"):
            read(data, from_format="parquet")


def test_an_encrypted_file(read: Any) -> None:
    with pytest.raises(RecordError, match="found an encrypted Parquet file"):
        read(b"PARE" + bytes(100) + b"PARE")


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    count = 50_000
    data = parquet_file({"md5": [random.Random(n).randbytes(16) for n in range(count)]}, row_group_size=5_000)
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    with open_entries(path) as reading:
        records = iter(reading)
        next(records)
        os.truncate(path, 1000)
        with pytest.raises(RecordError, match="cannot be read to its end"):
            list(records)


def test_a_file_that_changes_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(parquet_file(SMALL))
    with open_entries(path) as reading:
        list(reading)
        with path.open("ab") as file:
            file.write(b"x")
        with pytest.raises(InputError, match="changed while it was read"):
            reading.input.finish()


# ---------------------------------------------------------------------- files that ask for too much


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("_MAX_FOOTER", 100, "found a footer of [0-9,]+ bytes; expected at most 100"),
        ("_MAX_COLUMNS", 2, "found 3 columns; expected at most 2"),
        ("_MAX_CHUNK", 10, "bytes in column 1 of row group 1; expected at most 10: write the file with smaller row"),
        ("_MAX_READ", 20, "has to be read at once; expected at most 20: write the file with smaller pages or batches"),
        ("_MAX_WIDTH", 15, "found a column of 16 bytes a value; expected at most 15"),
    ],
)
def test_limits_of_the_file(read: Any, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str) -> None:
    data = parquet_file(SMALL)
    monkeypatch.setattr(arrow, limit, value)
    with pytest.raises(RecordError, match=message):
        read(data)


def test_limit_of_an_arrow_batch(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "_MAX_READ", 2_000)
    columns = {"md5": [MD5] * 2, "note": ["x" * 3_000] * 2}
    for write in (arrow_file, arrow_stream):
        with pytest.raises(RecordError, match="read at once; expected at most 2,000"):
            read(write(columns))


def test_a_footer_that_counts_endless_rows(read: Any) -> None:
    """A dictionary of one value stands for a hundred million rows in a few bytes."""
    data = parquet_file({"md5": pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int8()), pa.array([MD5]))})
    assert len(data) < 5_000
    with pytest.raises(RecordError, match="a footer that says 200,000 rows; expected at most one a byte"):
        read(data)


def test_a_row_count_that_lies(read: Any) -> None:
    """Where the footer counts other rows than there are, nothing is lost silently."""
    data = parquet_file({"md5": pa.array([MD5] * 3, pa.binary(16))}, use_dictionary=False, write_statistics=False)
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    assert metadata.num_rows == 3
    footer = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - footer
    changed = 0
    for at in range(start, len(data) - 8):
        if data[at] != 6:  # 3 as a zigzag varint
            continue
        damaged = data[:at] + b"\x08" + data[at + 1 :]
        try:
            records = read(damaged)
        except RecordError:
            changed += 1
        else:
            assert len(records) == 3
    assert changed >= 1


def page_head(kind: int, unpacked: int, packed: int, values: int | None = None, *, field: int = 5) -> bytes:
    """A page's head in Thrift's compact protocol; ``field`` 5 or 8 has the number of values."""

    def number(value: int) -> bytes:
        value, made = value << 1, b""
        while value > 0x7F:
            made, value = made + bytes([value & 0x7F | 0x80]), value >> 7
        return b"\x15" + made + bytes([value])

    head = number(kind) + number(unpacked) + number(packed)
    if values is not None:
        head += bytes([(field - 3) << 4 | 12]) + number(values) + b"\0"
    return head + b"\0"


class TestPages:
    """The heads of pages are judged before pyarrow takes the memory that they ask for."""

    def chunk(self, data: bytes, values: int) -> Chunk:
        return Chunk(6, frozenset({0}), 4, len(data), len(data), values)

    def held(self, data: bytes, values: int, *, behind: bytes = b"") -> int:
        return page_bytes(self.chunk(data, values), io.BytesIO(b"PAR1" + data + behind))

    def test_the_largest_page_and_the_dictionary(self) -> None:
        data = page_head(2, 300, 20) + bytes(20) + page_head(0, 50, 10, 4) + bytes(10)
        data += page_head(3, 70, 90, 5, field=8) + bytes(90) + page_head(0, 60, 6, 1) + bytes(6)
        assert self.held(data, 10) == 300 + 90

    def test_what_follows_the_last_value_is_not_looked_at(self) -> None:
        data = page_head(0, 50, 10, 4) + bytes(10)
        assert self.held(data + b"\xff" * 50, 4) == 50
        assert self.held(data + b"\xff" * 50, 0) == 0
        with pytest.raises(RecordError, match="damaged head of a page"):
            self.held(data + b"\xff" * 50, 5)

    def test_long_statistics(self) -> None:
        text = b"x" * 100_000
        statistics = b"\x1c\x18" + b"\xa0\x8d\x06" + text + b"\0"
        head = page_head(0, 50, 10, 4)
        data = head[:-2] + b"\x4c" + statistics[1:] + b"\0\0" + bytes(10)
        assert self.held(data, 4) == 50

    @pytest.mark.parametrize("packed", [200, 1 << 20, (1 << 31) - 1])
    def test_pages_beyond_their_column(self, packed: int) -> None:
        data = page_head(0, 50, packed, 4) + bytes(10)
        with pytest.raises(RecordError, match=r"found a page of [\d,]+ bytes in a column that has \d+ left"):
            self.held(data, 4, behind=bytes(1 << 16))

    def test_old_writers_forgot_the_head_of_the_dictionary(self) -> None:
        data = page_head(0, 50, 100, 4) + bytes(20)
        assert self.held(data, 4, behind=bytes(90)) == 100

    @pytest.mark.parametrize(
        "data", [b"", b"\0", b"\x15", b"\x15\0\x15\0\0", b"\x15\0\x15\1\x15\2\0", b"\x1c\0\0"], ids=repr
    )
    def test_heads_that_are_none(self, data: bytes) -> None:
        with pytest.raises(RecordError, match="damaged head of a page"):
            self.held(data + b"\xff" * (20 - len(data)), 1)

    def test_endless_pages_without_values(self) -> None:
        with pytest.raises(RecordError, match="over 1,000 pages without a value"):
            self.held(page_head(0, 0, 0, 0) * 1002, 1)

    def test_pages_over_the_limit(self, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        data = parquet_file(SMALL)
        held = sum(page_bytes(chunk, io.BytesIO(data)) for chunk in read_footer(io.BytesIO(data), 1 << 20).groups[0])
        monkeypatch.setattr(arrow, "_MAX_PAGES", held)
        assert read(data)
        monkeypatch.setattr(arrow, "_MAX_PAGES", held - 1)
        with pytest.raises(RecordError, match=rf"found pages of {held:,} bytes .* row group 1; .* smaller pages"):
            read(data)


LONG = {"md5": [bytes([row]) * 16 for row in range(100)], "note": ["x" * 3_000_000] * 100}


class TestUnpacked:
    """What compressed buffers ask for is judged before pyarrow unpacks them."""

    def asked(self, data: bytes) -> Unpacked:
        return unpacked_bytes(io.BytesIO(data), 8 if data.startswith(b"ARROW1") else 0)

    @pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream], ids=["file", "stream"])
    @pytest.mark.parametrize("compression", ["lz4", "zstd"])
    def test_a_small_file_that_stands_for_much(
        self, tmp_path: Path, read: Any, new: Callable[..., Any], compression: str
    ) -> None:
        file, batch = io.BytesIO(), pa.record_batch(LONG)
        with new(file, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_batch(batch)
        data = file.getvalue()
        assert len(data) < 2_000_000
        assert self.asked(data).batch > 300_000_000
        with pytest.raises(RecordError, match=r"found a batch of 30\d,\d{3},\d{3} bytes .* smaller batches"):
            read(data)
        path = tmp_path / "x.arrow"
        path.write_bytes(data)
        records, peak = peak_of(path)
        assert records == 0
        assert peak < 60

    @pytest.mark.parametrize("form", [arrow_file, arrow_stream], ids=["file", "stream"])
    def test_the_limit_is_inclusive(
        self, read: Any, monkeypatch: pytest.MonkeyPatch, form: Callable[..., bytes]
    ) -> None:
        data = form(SMALL, "zstd")
        asked = sum(self.asked(data))
        assert asked > 0
        monkeypatch.setattr(arrow, "_MAX_UNPACKED", asked)
        assert read(data) == read(form(SMALL))
        monkeypatch.setattr(arrow, "_MAX_UNPACKED", asked - 1)
        with pytest.raises(RecordError, match="smaller batches"):
            read(data)

    def test_what_is_not_compressed_asks_for_nothing(self) -> None:
        assert self.asked(arrow_file(SMALL)) == self.asked(arrow_stream(SMALL)) == (0, 0)

    def test_dictionaries_are_added_up(self) -> None:
        words = [pa.array([text * 1000]) for text in "ab"]
        batches = [
            pa.record_batch({"note": pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), w)}) for w in words
        ]
        file = io.BytesIO()
        with pa.ipc.new_stream(file, batches[0].schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            for batch in batches:
                writer.write_batch(batch)
        found = self.asked(file.getvalue())
        assert 2000 <= found.dictionaries < 2100
        assert found.batch < 100

    def test_damage_anywhere_is_told_or_passed_over(self) -> None:
        data = arrow_stream({"md5": SMALL["md5"]}, "zstd")
        refused = 0
        for at in range(len(data)):
            for value in (0, 0x7F, 0x80, 0xFF):
                spoiled = data[:at] + bytes([value]) + data[at + 1 :]
                try:
                    self.asked(spoiled)
                except RecordError:
                    refused += 1
            try:
                self.asked(data[:at])
            except RecordError:
                refused += 1
        assert refused

    @pytest.mark.parametrize("zeros", [8, 16, 56])
    def test_zeros_after_the_mark_of_a_file(self, read: Any, zeros: int) -> None:
        """Other writers align the first message to 64 bytes."""
        data = arrow_file(SMALL)
        assert read(data[:8] + bytes(zeros) + data[8:]) == read(data)

    def test_the_footer_of_a_file_that_was_cut(self, read: Any) -> None:
        data = arrow_file(SMALL)
        for cut in (data[:-1], data[:-6], data[:9]):
            with pytest.raises(RecordError, match="found no footer at the end"):
                read(cut)


MEMORY = """
import sys
from hashmatch.bench.machine import peak_bytes
from hashmatch.lists.formats import open_entries
from hashmatch.errors import RecordError
import pyarrow.parquet
before = peak_bytes()
count = 0
try:
    with open_entries(sys.argv[1]) as reading:
        for record in reading:
            count += 1
except RecordError as error:
    print(error, file=sys.stderr)
print(count, (peak_bytes() - before) >> 20)
"""


def peak_of(path: Path) -> tuple[int, int]:
    """(records, MiB beyond what the libraries take) of reading a file in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    count, peak = map(int, ran.stdout.split())
    return count, peak


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in KiB on Linux")
class TestMemory:
    def test_one_large_row_group(self, tmp_path: Path) -> None:
        count = 500_000
        rng = random.Random(2)
        columns = {"id": [f"{n:020}" for n in range(count)], "photodna": [rng.randbytes(144) for _ in range(count)]}
        path = tmp_path / "x.parquet"
        path.write_bytes(parquet_file(columns, row_group_size=count, compression="none"))
        assert path.stat().st_size > 80_000_000
        records, peak = peak_of(path)
        assert records == count
        assert peak < 60  # 36 at a tenth of the rows, 45 at any number from there on

    @pytest.mark.parametrize("encoding", ["dictionary", "delta"])
    def test_long_text_that_repeats_at_no_cost(self, tmp_path: Path, encoding: str) -> None:
        """Six thousand rows of a hundred thousand characters each: 600 MB if each were made."""
        count = 6_000
        text = "x" * 100_000
        column = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))
        rng = random.Random(3)
        hashes = [rng.randbytes(16) for _ in range(count)]
        path = tmp_path / "x.parquet"
        if encoding == "dictionary":
            path.write_bytes(parquet_file({"md5": hashes, "note": column}))
        else:
            file = io.BytesIO()
            schema = pa.schema([("md5", pa.binary()), ("note", pa.string())])
            options = {"use_dictionary": False, "column_encoding": {"note": "DELTA_BYTE_ARRAY"}}
            with pq.ParquetWriter(file, schema, **options, write_statistics=False) as writer:
                for start in range(0, count, 200):
                    batch = [pa.array(hashes[start : start + 200]), pa.array([text] * 200)]
                    writer.write_batch(pa.record_batch(batch, schema=schema))
            path.write_bytes(file.getvalue())
        assert path.stat().st_size < 5_000_000
        records, peak = peak_of(path)
        assert records == count
        assert peak < 260  # for delta 196 at any number from 1,000 on


# ---------------------------------------------------------------------- how it is opened


def test_detection() -> None:
    known = FORMATS["parquet"]
    assert known.binary
    assert {".parquet", ".arrow", ".feather"} <= set(known.suffixes)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(parquet_file(SMALL))
    code = "from hashmatch.lists.formats import open_entries\nlist(open_entries('-'))"
    with path.open("rb") as file:
        ran = subprocess.run(
            [sys.executable, "-c", f"import subprocess\n{code}"],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
        )
    assert "standard input is a stream; expected a file" in ran.stderr


def test_without_pyarrow(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet_file(SMALL)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        UsageError, match=r"need pyarrow, which is not installed here: pip install 'hashmatch\[parquet\]'"
    ):
        read(data)


def test_progress_and_digest(tmp_path: Path) -> None:
    data = parquet_file({"md5": [random.Random(n).randbytes(16) for n in range(10_000)]})
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    seen: list[tuple[int, int | None]] = []
    with open_entries(path, progress=lambda done, total: seen.append((done, total))) as reading:
        assert len(list(reading)) == 10_000
        assert seen[-1] == (len(data), len(data))
        assert seen == sorted(seen)
        assert reading.input.finish() == hashlib.sha256(data).hexdigest()


def test_an_empty_table(read: Any) -> None:
    for write in WRITE.values():
        assert read(write({"md5": pa.array([], pa.binary(16))})) == []


def test_our_own_columns_in_a_table_of_somebody_else(read: Any) -> None:
    """Written by us, read by pyarrow, written by pyarrow, read by us."""
    columns = {"id": ["1"], "md5": [MD5], "list_metadata": [json.dumps({"x": "y"})]}
    table = pq.read_table(io.BytesIO(parquet_file(columns)))
    assert read(parquet_file(table)) == [Entry.make("1", {"md5": MD5}, metadata={"x": "y"})]


def test_nothing_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(parquet_file({"md5": [MD5.hex()]}))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH208, PTH112
    for _ in range(20):
        with open_entries(path) as reading:
            list(reading)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH208, PTH112
    assert after <= before + 1
