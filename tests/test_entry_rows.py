"""Rows of entries: what they are, and that the way in C makes the same as the one in Python."""

from __future__ import annotations

import gc
import os
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import kernels
from hashmatch.lists import entry_rows as module
from hashmatch.lists.entry import Entry, Opinion
from hashmatch.lists.entry_rows import EntryRows, entry_rows

LEFT_OUT = "native" in os.environ.get("HASHMATCH_TEST_WITHOUT", "").split()

MD5 = {"md5": bytes(range(16))}
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
ENTRIES = st.lists(
    st.builds(
        Entry.make,
        ref=TEXT,
        hashes=st.sampled_from([{}, MD5, MD5 | {"pdq": bytes(32)}]),
        category=st.none() | st.tuples(TEXT, TEXT),
        media_type=st.sampled_from(["", "image"]),
        size=st.none() | st.integers(0, 2**63 - 1),
        metadata=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
        dropped=st.integers(0, 2),
        opinions=st.sampled_from([(), (Opinion("", "Ö", False),)]),
        origin=st.sampled_from(["", "", "member 1"]),
    ),
    min_size=1,
    max_size=30,
)
PLAIN = Entry.make("r", MD5)


class Other(Entry):
    __slots__ = ()


class Name(str):
    __slots__ = ()


@pytest.fixture(scope="module")
def native() -> ModuleType:
    """The extension: a missing one fails the tests, unless it was left out by name."""
    found = kernels.native_rows()
    if found is None and LEFT_OUT:
        pytest.skip("the native extension was left out by name")
    assert found is not None, "hashmatch._native is not built: pip install ., or HASHMATCH_TEST_WITHOUT=native"
    return found


def in_c(native: ModuleType, entries: Any, ordinals: Any) -> EntryRows | None:
    found = native.entry_rows(entries, Entry, ordinals, module._derived_ref)
    return None if found is None else EntryRows(*found)


@given(ENTRIES, st.integers(1, 2**31), st.booleans())
def test_both_ways(native: ModuleType, entries: list[Entry], first: int, gaps: bool) -> None:
    ordinals: Any = range(first, first + len(entries))
    if gaps:
        ordinals = [2 * ordinal for ordinal in ordinals]
    fast = in_c(native, entries, ordinals if gaps else first)
    assert fast is not None
    assert fast == module._entry_rows(entries, ordinals) == entry_rows(entries, ordinals)
    kept = [(entry, n) for entry, n in zip(entries, ordinals, strict=True) if entry.hashes]
    assert [row[0] for row in fast.rows] == [entry.ref or entry.derived_ref() for entry, _ in kept]
    assert [row[1:] for row in fast.rows] == [(*entry[1:6], entry.opinions, n) for entry, n in kept]
    assert fast.origins == ([entry.origin for entry, _ in kept] if any(entry.origin for entry, _ in kept) else None)
    assert fast.bytes == sum(sum(map(len, (row[0], *row[4:7]))) for row in fast.rows)
    assert fast.dropped == sum(entry.dropped for entry in entries)
    assert fast.hashless == len(entries) - len(kept)


#: What no reader makes.
ODD: list[tuple[str, object]] = [
    ("ref", Name("r")),
    ("ref", None),
    ("ref", 5),
    ("metadata", None),
    ("metadata", Name("{}")),
    ("packed", None),
    ("packed", "\1\0\0\0\1"),
    ("packed", bytearray(20)),
    ("dropped", True),
    ("dropped", None),
    ("dropped", "1"),
    ("dropped", -1),
    ("dropped", 2**70),
    ("opinions", None),
    ("opinions", Name("[]")),
    ("origin", None),
    ("origin", Name("o")),
]


def outcome(entries: Any) -> object:
    try:
        return entry_rows(entries, range(1, 1 + len(entries)))
    except Exception as error:  # noqa: BLE001 - compared with the twin's
        return type(error), str(error)


@pytest.mark.parametrize(
    "odd",
    [
        *(PLAIN._replace(**{field: value}) for field, value in ODD),
        PLAIN._replace(ref="", metadata="\ud800"),
        tuple.__new__(Entry, PLAIN[:8]),
        tuple.__new__(Entry, (*PLAIN, 1)),
        Other(*PLAIN),
        tuple(PLAIN),
        None,
    ],
    ids=lambda odd: str(tuple(odd or ())),
)
def test_odd_entries_are_the_twins(native: ModuleType, odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for entries in ([odd], [PLAIN, odd, PLAIN]):
        assert in_c(native, entries, 1) is None
        fast = outcome(entries)
        with monkeypatch.context() as patch:
            patch.setenv(kernels.ENVIRONMENT_VARIABLE, "numpy")
            assert outcome(entries) == fast


def test_wrong_arguments(native: ModuleType) -> None:
    derive = module._derived_ref
    for arguments in (
        ((PLAIN,), Entry, 1, derive),
        ([PLAIN], dict, 1, derive),
        ([PLAIN], "Entry", 1, derive),
        ([PLAIN], Entry, -1, derive),
        ([PLAIN], Entry, 2**80, derive),
        ([PLAIN], Entry, None, derive),
        ([PLAIN], Entry, [], derive),
        ([PLAIN], Entry, [1, 2], derive),
        ([PLAIN], Entry, (1,), derive),
        ([PLAIN._replace(ref="")], Entry, 1, None),
        ([PLAIN._replace(ref="")], Entry, 1, lambda entry: None),
    ):
        assert native.entry_rows(*arguments) is None
    with pytest.raises(TypeError):
        native.entry_rows([PLAIN])
    assert native.entry_rows([], Entry, 1, derive) == ([], None, 0, 0, 0)


def test_a_list_that_changes_meanwhile(native: ModuleType) -> None:
    entries = [PLAIN._replace(ref="") for _ in range(3)]

    def derive(entry: Entry) -> str:
        entries.clear()
        gc.collect()
        return "x"

    rows, *_ = native.entry_rows(entries, Entry, 1, derive)
    assert rows == [("x", *PLAIN[1:6], "", 1)]


def test_an_interrupt_is_not_lost(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes once: what only the twin would meet again must not be dropped."""
    derived = module._derived_ref
    interrupts = [KeyboardInterrupt()]

    def derive(entry: Entry) -> str:
        if interrupts:
            raise interrupts.pop()
        return derived(entry)

    monkeypatch.setattr(module, "_derived_ref", derive)
    with pytest.raises(KeyboardInterrupt):
        entry_rows([PLAIN, Entry.make("", MD5)], range(1, 3))
    assert native.entry_rows([PLAIN], Entry, 1, derive) is not None


def test_nothing_is_kept(native: ModuleType) -> None:
    """Whatever becomes of them, entries are freed."""
    entries = [Entry.make(f"{n}", MD5) for n in range(4)]
    before = [sys.getrefcount(entry) for entry in entries]
    text = [sys.getrefcount(entry[4]) for entry in entries]
    for ordinals in (1, [1, 2, 3, 4], [1]):
        native.entry_rows(entries, Entry, ordinals, module._derived_ref)
        native.entry_rows([*entries, None], Entry, ordinals, module._derived_ref)
    assert [sys.getrefcount(entry) for entry in entries] == before
    assert [sys.getrefcount(entry[4]) for entry in entries] == text
