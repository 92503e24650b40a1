"""What differs between two versions of an entry, and that no value of a hash is shown."""

from __future__ import annotations

from typing import Any

import pytest

from hashmatch.lists.entry import Entry
from hashmatch.lists.versions import changed_fields

A, B = "0a" * 16, "0b" * 16


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (1, 2, ("1", "2")),
        ("x", None, ('"x"', "null")),
        (A, B, ("a hash", "another hash")),
        (A, "x", ("a hash", '"x"')),
        ("x", A, ('"x"', "a hash")),
        (list(range(144)), list(range(1, 145)), ("a hash", "another hash")),
        ([{"MD5": A}], [{"MD5": B}], ("a hash", "another hash")),
        (
            [{"MD5": A, "FileName": "a"}],
            [{"MD5": B, "FileName": "b"}],
            (
                '[{"FileName": "a", "MD5": "(a hash)"}]',
                '[{"FileName": "b", "MD5": "(a hash)"}]',
            ),
        ),
        ({"MD5": A}, "x", ("a hash", '"x"')),
    ],
)
def test_values_of_metadata(before: Any, after: Any, shown: tuple[str, str]) -> None:
    assert fields({"k": before}, {"k": after}) == [("metadata k", *shown)]


def fields(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, ...]]:
    old, new = ((*Entry.make("a", metadata=metadata)[:6], "", 1) for metadata in (before, after))
    return [tuple(field) for field in changed_fields(old, new)]


def test_values_that_come_and_go() -> None:
    assert fields({}, {"k": A}) == [("metadata k", "", "a hash")]
    assert fields({"k": A}, {}) == [("metadata k", "a hash", "")]


def test_names_of_metadata() -> None:
    assert fields({A: 1}, {A: 2}) == [("metadata (32 characters)", "1", "2")]
