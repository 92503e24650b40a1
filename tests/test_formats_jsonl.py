"""JSON Lines: fields, nesting, and what is refused."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, canonical_json
from hashmatch.lists.formats import open_entries
from hashmatch.lists.formats.source import Limits

MD5, PDQ = "0f" * 16, "c3" * 32
PHOTODNA = bytes(range(144))


@pytest.fixture
def read(tmp_path):
    def read(*lines: str, **options) -> list[Entry | RecordError]:
        path = tmp_path / "list.jsonl"
        path.write_bytes("\n".join(lines).encode())
        with open_entries(path, from_format="jsonl", **options) as reading:
            return list(reading)

    return read


def test_all_fields(read):
    flat = {
        "Id": 7, "MD5": MD5, "pdq": PDQ, "quality": 40, "category": 1, "category_scheme": "vics-us-2.0",
        "media_type": "video", "size": 12, "tags": ["a", {"b": None}], "score": 0.5, "sha1": None, "sha256": "",
    }  # fmt: skip
    nested = {key: value for key, value in flat.items() if key not in ("MD5", "pdq", "quality")}
    nested |= {"hashes": {"md5": MD5, "PDQ": PDQ}, "quality": {"pdq": 40}}
    expected = Entry.make(
        "7",
        {"md5": bytes.fromhex(MD5), "pdq": bytes.fromhex(PDQ)},
        quality={"pdq": 40},
        category=("vics-us-2.0", "1"),
        media_type="video",
        size=12,
        metadata={"tags": ["a", {"b": None}], "score": 0.5},
    )
    assert read(json.dumps(flat), "", json.dumps(nested)) == [expected, expected]


def test_photodna_as_numbers(read):
    (entry,) = read(json.dumps({"photodna": list(PHOTODNA)}))
    assert entry.hashes == {"photodna": PHOTODNA}


def test_unknown_nested_hashes_are_kept(read):
    (entry,) = read(json.dumps({"hashes": {"md5": MD5, "crc32": "0"}}))
    assert entry.fields == {"hashes": {"crc32": "0"}}


@pytest.mark.parametrize("ref", ["a\nb", "a\rb", "a\r\nb", "\n", "a\n\\b"])
def test_line_ends_in_the_reference(read, ref):
    (entry,) = read(json.dumps({"ID": ref, "md5": MD5}))
    assert entry.ref == ref


def test_line_ends_in_metadata(read):
    (entry,) = read(json.dumps({"md5": MD5, "comment": "a\nb\r\nc\td"}))
    assert entry.fields == {"comment": "a\nb\r\nc\td"}


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        ("[1]", None, "expected a JSON object"),
        ("null", None, "expected a JSON object"),
        ('{"md5": "x"', None, "not JSON"),
        (f'{{"md5":"{MD5}"}} x', None, "not JSON"),
        (f'{{"md5":"{MD5}","a":1,"a":2}}', None, "key 'a' twice"),
        (f'{{"md5":"{MD5}","x":{{"a":1,"a":2}}}}', None, "key 'a' twice"),
        (f'{{"md5":"{MD5}","MD5":"{MD5}"}}', "MD5", "more than once"),
        (f'{{"md5":"{MD5}","hashes":{{"md5":"{MD5}"}}}}', "hashes.md5", "more than once"),
        (f'{{"md5":"{MD5}","id":1,"ID":2}}', "ID", "found it as 'id' too"),
        (f'{{"md5":"{MD5}","a":NaN}}', None, "NaN"),
        (f'{{"md5":"{MD5}","a":-Infinity}}', None, "Infinity"),
        (f'{{"md5":"{MD5}","a":1e999}}', None, "out of range"),
        (f'{{"md5":"{MD5}","a":{"1" * 5000}}}', None, "too long"),
        (f'{{"md5":"{MD5}","a":"\\ud800"}}', "a", "surrogate"),
        (f'{{"md5":"{MD5}","\\udfff":1}}', None, "surrogate"),
        (f'{{"md5":"{MD5}","id":"\\ud800"}}', "id", "surrogate"),
        (f'{{"md5":"{MD5}","a":["\\u0000"]}}', "a", r"U\+0000"),
        (f'{{"md5":"{MD5}","id":"a\\u000bb"}}', "id", r"U\+000B"),
        (f'{{"md5":"{MD5}","category":"a\\nb"}}', "category", r"U\+000A"),
        (f'{{"md5":"{MD5}","a":"a\\rb"}}', "a", r"U\+000D"),
        (f'{{"md5":"{MD5}","id":true}}', "id", "text or a whole number"),
        (f'{{"md5":"{MD5}","size":1.5}}', "size", "text or a whole number"),
        (f'{{"md5":"{MD5}","size":-1}}', "size", "whole number"),
        (f'{{"md5":"{MD5}","quality":101}}', "quality", "0 to 100"),
        (f'{{"md5":"{MD5}","media_type":"x"}}', "media_type", "one of"),
        (f'{{"md5":{"[" * 40 + "]" * 40}}}', None, "32 levels"),
        (f'{{"md5":"{MD5}","a":{"[" * 32 + "]" * 32}}}', None, "32 levels"),
        (f'{{"md5":"{MD5}","a":{"[" * 100_000}', None, None),
        ('{"md5":5}', "md5", "expected text"),
        ('{"photodna":[1,2]}', "photodna", "found 2 decimals"),
        (json.dumps({"photodna": [256] * 144}), "photodna", "decimal 1 out of range"),
        (json.dumps({"photodna": [True] * 144}), "photodna", "expected text"),
        ('{"a":1}', None, "without any hash"),
        ('{"md5":null}', None, "without any hash"),
    ],
)
def test_malformed(read, line, field, message):
    good = json.dumps({"id": "1", "md5": MD5})
    first, error, last = read(good, "", line, good)
    assert first == last
    assert isinstance(error, RecordError)
    assert (error.line, error.record) == (3, 2)
    if field is not None:
        assert error.field == field
    with pytest.raises(RecordError, match=message):
        raise error
    str(error).encode()


def test_repeated_key_among_many(read):
    """Looking for the repeated key takes no longer than reading the line: it was quadratic."""
    keys = ",".join(f'"k{n}":{n}' for n in range(40_000))
    start = time.perf_counter()
    (error,) = read(f'{{"md5":"{MD5}",{keys},"k39999":1}}')
    assert time.perf_counter() - start < 3
    assert "found the key 'k39999' twice" in str(error)


def test_records_without_a_hash_need_a_status(read):
    statuses: list[object] = ["unreadable", "ok", " OK", "", None, 5, ["x"]]
    records = read(*(json.dumps({"id": "a", "Status": status}) for status in statuses), '{"id": "a"}')
    assert [isinstance(record, Entry) for record in records] == [True] + [False] * 7
    assert records[0] == Entry.make("a", metadata={"Status": "unreadable"})


def test_depth_is_inclusive(read):
    (entry,) = read(f'{{"md5":"{MD5}","a":{"[" * 31 + "]" * 31}}}')
    assert entry.metadata == '{"a":' + "[" * 31 + "]" * 31 + "}"


def test_string_cap(read):
    limits = Limits(max_string=100)
    line = '{"md5":"%s","a":"%s"}'
    assert isinstance(read(line % (MD5, "x" * 100), limits=limits)[0], Entry)
    (error,) = read(line % (MD5, "x" * 101), limits=limits)
    assert "at most 100" in str(error)


@pytest.mark.parametrize("line", ["{}", "[]", '{"a":1}', "{", '{"odata.metadata":"x","value":[{"MD5":"0"}]}'])
def test_not_claimed(tmp_path, line):
    from hashmatch.lists.formats import FORMATS
    from hashmatch.lists.formats.source import Head

    assert not FORMATS["jsonl"].detect(Head("x", line.encode(), True))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.sampled_from(list(ALGORITHMS)), st.data(), st.dictionaries(st.sampled_from(["x", "y", "é z"]), values))
@settings(max_examples=80, deadline=None)
def test_round_trip(tmp_path_factory, name, data, metadata):
    value = data.draw(st.binary(min_size=ALGORITHMS[name].width, max_size=ALGORITHMS[name].width))
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    path.write_text(json.dumps({"id": "r", name: value.hex(), **metadata}), encoding="utf-8")
    with open_entries(path) as reading:
        (entry,) = reading
    if not entry.dropped:
        assert entry.hashes == {name: value}
    assert entry.metadata == (canonical_json(metadata) if metadata else "")
