from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import MEDIA_TYPES, NO_QUALITY, Entry, canonical_json, pack_hashes, unpack_hashes

hash_sets = st.fixed_dictionaries(
    {}, optional={a.name: st.binary(min_size=a.width, max_size=a.width) for a in ALGORITHMS.values()}
)
qualities = st.fixed_dictionaries({}, optional={"pdq": st.integers(0, 100)})


@given(hash_sets, qualities)
def test_round_trip(hashes: dict[str, bytes], quality: dict[str, int]) -> None:
    packed = pack_hashes(hashes, quality)
    expected = quality if "pdq" in hashes else {}
    assert unpack_hashes(packed) == (hashes, expected)
    assert list(unpack_hashes(packed)[0]) == [name for name in ALGORITHMS if name in hashes]
    assert len(packed) == 4 + sum(map(len, hashes.values())) + ("pdq" in hashes)
    shuffled = dict(sorted(hashes.items(), key=lambda pair: pair[1]))
    assert pack_hashes(shuffled, quality) == packed
    entry = Entry.make("ref", hashes, quality=quality)
    assert (entry.hashes, entry.quality, entry.packed) == (hashes, expected, packed)


def test_layout() -> None:
    """Byte by byte, as lists hold it."""
    hashes = {"phash": b"p" * 8, "pdq": b"q" * 32, "md5": b"m" * 16, "lace": b"l" * 129}
    mask = (1 << 0 | 1 << 4 | 1 << 5 | 1 << 11).to_bytes(4, "little")
    tail = b"p" * 8 + b"l" * 129
    assert pack_hashes(hashes, {"pdq": 7}) == mask + b"m" * 16 + b"q" * 32 + b"\x07" + tail
    assert pack_hashes(hashes) == mask + b"m" * 16 + b"q" * 32 + b"\xff" + tail
    assert pack_hashes({}) == b"\0\0\0\0"
    assert NO_QUALITY == 255


@pytest.mark.parametrize("name", ALGORITHMS)
def test_wrong_widths(name: str) -> None:
    width = ALGORITHMS[name].width
    for size in (0, 1, width - 1, width + 1):
        with pytest.raises(RecordError, match=f"{name} hash of {size} bytes; expected {width}"):
            pack_hashes({name: b"x" * size})


@given(hash_sets, st.data())
def test_malformed(hashes: dict[str, bytes], data: st.DataObject) -> None:
    """Too short, too long, and masks that do not fit are errors; nothing else is ever raised."""
    packed = pack_hashes(hashes)
    with pytest.raises(RecordError):
        unpack_hashes(packed + data.draw(st.binary(min_size=1, max_size=9)))
    with pytest.raises(RecordError):
        unpack_hashes(packed[: data.draw(st.integers(0, len(packed) - 1))])
    bit = data.draw(st.integers(0, 31))
    with pytest.raises(RecordError):
        unpack_hashes((int.from_bytes(packed[:4], "little") ^ 1 << bit).to_bytes(4, "little") + packed[4:])


@given(st.binary(max_size=200))
def test_any_bytes(packed: bytes) -> None:
    try:
        hashes, quality = unpack_hashes(packed)
    except RecordError:
        return
    assert pack_hashes(hashes, quality) == packed


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_canonical_json(value: dict[str, Any]) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(dict(reversed(value.items()))) == text
    assert Entry.make(metadata=value).fields == value


def test_canonical_json_text() -> None:
    assert canonical_json({"b": [1, 2], "a": "é \n"}) == '{"a":"é \\n","b":[1,2]}'
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json({"a": wrong})


def test_make() -> None:
    entry = Entry.make(
        "r", {"md5": b"m" * 16}, category=("s", "c"), media_type="video", size=5, metadata={"b": 1, "a": 2}, dropped=2
    )
    packed = b"\1\0\0\0" + b"m" * 16
    assert entry == ("r", ("s", "c"), "video", 5, '{"a":2,"b":1}', packed, 2, "", "")
    assert Entry.make() == ("", None, "", None, "", b"\0\0\0\0", 0, "", "")
    assert Entry.make().fields == {}
    for media_type in MEDIA_TYPES:
        assert Entry.make(media_type=media_type).media_type == media_type
    for media_type in ("Image", "audio", " "):
        with pytest.raises(RecordError, match="expected one of image, video, other"):
            Entry.make(media_type=media_type)


def test_media_type_numbers_are_for_ever() -> None:
    assert MEDIA_TYPES == {"image": 1, "video": 2, "other": 3}


def test_derived_ref() -> None:
    """Stable, the same for the same content, different for any other, and without a piece of the hash."""
    value = bytes(range(16))
    ref = Entry.make("x", {"md5": value}).derived_ref()
    assert ref == "auto-" + hashlib.sha256(bytes(7) + b"\1\0\0\0" + value).hexdigest()[:24]
    assert ref == Entry.make("y", {"md5": value}, dropped=1).derived_ref()
    assert ref != Entry.make("x", {"md5": value}, size=3).derived_ref()
    assert ref != Entry.make("x", {"md5": value}, metadata={"a": 1}).derived_ref()
    assert ref != Entry.make("x", {"md5": value[::-1]}).derived_ref()
    assert ref != Entry.make("x", {"md5": value, "sha1": bytes(20)}).derived_ref()
    assert value.hex()[:8] not in ref


@pytest.mark.parametrize("quality", [-1, 101, 150, 254, 300])
def test_quality_out_of_range(quality: int) -> None:
    with pytest.raises(RecordError, match="0 to 100"):
        Entry.make("a", {"pdq": bytes(32)}, quality={"pdq": quality})
