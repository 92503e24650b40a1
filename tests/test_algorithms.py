from __future__ import annotations

import base64
import hashlib
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hashmatch.algorithms import (
    ALGORITHMS,
    EMPTY_DIGESTS,
    PDQ_MIN_QUALITY,
    Kind,
    check_radius,
    get,
    names,
    parse_base64,
    parse_hex,
    select,
)
from hashmatch.errors import HashTextError, RadiusError, UnknownAlgorithmError

#: Files carry these numbers: a change makes every list and compiled list that was ever written mean something else.
NUMBERS = {
    "md5": 0, "sha1": 1, "sha256": 2, "sha512": 3, "pdq": 4, "phash": 5, "dhash": 6, "ahash": 7, "whash": 8,
    "photodna": 9, "zz40": 10, "lace": 11,
}  # fmt: skip
WIDTHS = {
    "md5": 16, "sha1": 20, "sha256": 32, "sha512": 64, "pdq": 32, "phash": 8, "dhash": 8, "ahash": 8, "whash": 8,
    "photodna": 144, "zz40": 16, "lace": 129,
}  # fmt: skip

any_name = st.sampled_from(list(ALGORITHMS))


def test_numbers_and_widths_are_for_ever() -> None:
    assert {a.name: a.number for a in ALGORITHMS.values()} == NUMBERS
    assert {a.name: a.width for a in ALGORITHMS.values()} == WIDTHS
    assert [a.number for a in ALGORITHMS.values()] == list(range(len(ALGORITHMS)))
    assert len(ALGORITHMS) <= 32  # presence masks have 32 bits


def test_kinds_and_default_radii() -> None:
    assert names(Kind.EXACT) == ("md5", "sha1", "sha256", "sha512")
    assert names(Kind.HAMMING) == ("pdq", "phash", "dhash", "ahash", "whash")
    assert names(Kind.EUCLIDEAN) == ("photodna",)
    assert names(Kind.OPAQUE) == ("zz40", "lace")
    assert names(Kind.OPAQUE, Kind.EXACT) == ("md5", "sha1", "sha256", "sha512", "zz40", "lace")
    assert names() == tuple(ALGORITHMS) == tuple(NUMBERS)
    assert (get("pdq").radius, get("phash").radius, get("md5").radius, PDQ_MIN_QUALITY) == (31, 6, 0, 50)
    assert (get("pdq").bits, get("pdq").max_radius) == (256, 256)
    assert (get("phash").bits, get("phash").max_radius) == (64, 64)
    assert get("photodna").max_radius == 144 * 255**2
    assert get("md5").max_radius == get("lace").max_radius == 0
    assert not [a.name for a in ALGORITHMS.values() if a.computed and a.kind in (Kind.EUCLIDEAN, Kind.OPAQUE)]


def test_the_registry_cannot_be_changed() -> None:
    registry: Any = ALGORITHMS
    with pytest.raises(TypeError):
        registry["md5"] = registry["sha1"]
    with pytest.raises(AttributeError):
        registry["md5"].width = 3
    empty: Any = EMPTY_DIGESTS
    with pytest.raises(TypeError):
        del empty["md5"]


def test_digests_of_the_empty_file() -> None:
    assert {name: hashlib.new(name).digest() for name in names(Kind.EXACT)} == EMPTY_DIGESTS


@pytest.mark.parametrize("name", ["", "MD5", "md5 ", "sha-1", "pdq\n", "x" * 10_000])
def test_unknown_names(name: str) -> None:
    for call in (get, lambda n: select([n]), lambda n: check_radius(n, 1), lambda n: parse_hex(n, "00")):
        with pytest.raises(UnknownAlgorithmError, match="md5, sha1") as caught:
            call(name)
        assert len(str(caught.value)) < 300
        assert "\n" not in str(caught.value)


def test_select() -> None:
    assert [a.name for a in select(["pdq", "md5", "pdq"])] == ["md5", "pdq"]
    assert select([]) == ()
    assert [a.name for a in select(reversed(list(ALGORITHMS)))] == list(ALGORITHMS)


@pytest.mark.parametrize("name", [*names(Kind.HAMMING), *names(Kind.EUCLIDEAN)])
def test_check_radius(name: str) -> None:
    most = ALGORITHMS[name].max_radius
    for radius in (0, 1, most - 1, most):
        assert check_radius(name, radius) == radius
    wrong: tuple[Any, ...] = (-1, most + 1, True, False, 1.0, "1", None, float("inf"), 1j, 10**1000)
    for radius in wrong:
        with pytest.raises(RadiusError, match=name):
            check_radius(name, radius)


@pytest.mark.parametrize("name", [*names(Kind.EXACT), *names(Kind.OPAQUE)])
def test_algorithms_without_a_radius(name: str) -> None:
    with pytest.raises(UnknownAlgorithmError, match="takes no radius"):
        check_radius(name, 0)


@given(any_name, st.data())
def test_hex_round_trip(name: str, data: st.DataObject) -> None:
    value = data.draw(st.binary(min_size=WIDTHS[name], max_size=WIDTHS[name]))
    text = value.hex()
    mixed = "".join(data.draw(st.sampled_from([c, c.upper()])) for c in text)
    assert parse_hex(name, text) == parse_hex(name, text.upper()) == parse_hex(name, mixed) == value


@given(any_name, st.text(max_size=300) | st.text(string.hexdigits + " x", max_size=300))
@example("md5", "0x" + "0" * 30)
@example("md5", "0" * 31 + " ")
@example("md5", " " + "0" * 32)
@example("md5", "0" * 32 + "\n")
@example("md5", "0" * 16 + "_" + "0" * 15)
@example("md5", "\u0660" * 32)
@example("md5", "\ud800" * 32)
@example("md5", "0" * 31 + "é")
@example("md5", "")
@example("md5", "\0" * 32)
def test_hex_takes_what_it_should_and_nothing_else(name: str, text: str) -> None:
    right = len(text) == 2 * WIDTHS[name] and all(c in "0123456789abcdefABCDEF" for c in text)
    if right:
        assert parse_hex(name, text) == bytes.fromhex(text)
        return
    with pytest.raises(HashTextError) as caught:
        parse_hex(name, text)
    assert caught.value.field == name
    assert len(text) < 20 or text not in str(caught.value)
    assert f"expected {2 * WIDTHS[name]} hexadecimal digits" in str(caught.value)
    assert str(caught.value).isprintable()


@given(any_name, st.data())
def test_base64_round_trip(name: str, data: st.DataObject) -> None:
    value = data.draw(st.binary(min_size=WIDTHS[name], max_size=WIDTHS[name]))
    assert parse_base64(name, base64.b64encode(value).decode()) == value


@given(any_name, st.data())
def test_base64_with_anything_else_in_it(name: str, data: st.DataObject) -> None:
    value = data.draw(st.binary(min_size=WIDTHS[name], max_size=WIDTHS[name]))
    text = base64.b64encode(value).decode()
    at = data.draw(st.integers(0, len(text)))
    junk = data.draw(st.sampled_from([" ", "\n", "\r\n", "=", "-", "_", "A", "AAAA", "é", "\0", "=="]))
    assume(not (at == len(text) and junk.startswith("=")))  # see test_base64_with_padding_too_much
    with pytest.raises(HashTextError) as caught:
        parse_base64(name, text[:at] + junk + text[at:])
    assert caught.value.field == name
    assert "expected" in str(caught.value)
    assert str(caught.value).isprintable()


@given(any_name, st.text(max_size=250) | st.binary(max_size=160).map(lambda b: base64.b64encode(b).decode()))
@example("md5", "")
@example("md5", "A" * 22)
@example("md5", "=" * 24)
@example("md5", "\ud800")
def test_base64_of_anything(name: str, text: str) -> None:
    try:
        value = parse_base64(name, text)
    except HashTextError:
        return
    assert base64.b64decode(text) == value
    assert len(value) == WIDTHS[name]


def test_messages_do_not_quote_the_hash() -> None:
    """Messages go into reports and logs; a hash must not."""
    for text, message in (
        ("0f" * 15 + "0", "found 31 digits; "),
        ("0f0fg" + "0f" * 14, r"character 'g' at position 5, "),
    ):
        with pytest.raises(HashTextError, match=message) as caught:
            parse_hex("md5", text)
        assert "0f0f" not in str(caught.value)
    with pytest.raises(HashTextError, match="found 25 characters that are not base64") as caught:
        parse_base64("md5", "QUJD" * 6 + "!")
    assert "QUJD" not in str(caught.value)


def test_base64_with_padding_too_much() -> None:
    with pytest.raises(HashTextError):
        parse_base64("photodna", "A" * 192 + "=")


@pytest.mark.parametrize("last", ["B", "P", "f", "/"])
def test_base64_whose_unused_bits_are_set(last: str) -> None:
    """16 bytes leave four bits of the last character unused; two texts for one value would hide a damaged one."""
    assert parse_base64("md5", "A" * 22 + "==") == bytes(16)
    with pytest.raises(HashTextError):
        parse_base64("md5", "A" * 21 + last + "==")


def test_radius_of_numpy_and_of_absurd_size() -> None:
    assert check_radius("pdq", np.int64(31)) == 31  # type: ignore[arg-type]
    with pytest.raises(RadiusError, match=r"a number of \d[\d,]* bits"):
        check_radius("pdq", 10**5000)
    with pytest.raises(RadiusError, match="radius of pdq is -1;"):
        check_radius("pdq", -1)
