"""Compiling what has changed gives the bytes of compiling all."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sqlite3
import threading
import time
from bisect import bisect_left
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.index.compiled import CompiledList
from hashmatch.lists import recompile
from hashmatch.lists.entry import Entry
from hashmatch.lists.store import HashList


def entry(ref: str, draw: random.Random) -> Entry:
    version = draw.randrange(3)
    value = hashlib.sha256(f"{ref} {version}".encode()).digest()
    hashes = {
        "md5": value[:16],
        "sha1": value[:20],
        "pdq": value,
        "photodna": (value * 5)[:144],
        "lace": (value * 5)[:129],
    }
    chosen = draw.sample(sorted(hashes), draw.randint(1, len(hashes)))
    return Entry.make(
        ref,
        {name: hashes[name] for name in chosen},
        quality={"pdq": draw.randrange(101)} if "pdq" in chosen else None,
        category=draw.choice([None, ("s", "a"), ("s", "b"), ("t", str(version))]),
        media_type=draw.choice(["", "image", "video"]),
        size=draw.choice([None, 7]),
        metadata=draw.choice([None, {"k": ref}]),
    )


@pytest.fixture
def spliced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were written from what has changed."""
    made: list[Path] = []
    real = recompile.splice_compiled

    def count(former: CompiledList, path: Path, *args: object, **kwargs: object) -> Path:
        made.append(path)
        return real(former, path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(recompile, "splice_compiled", count)
    return made


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_the_same_bytes(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    draw = random.Random(seed)
    folder = tmp_path_factory.mktemp("recompile")
    with HashList.open(folder / "a.hml", create=True) as known:
        for _ in range(draw.randint(2, 6)):
            source = draw.choice(["A", "B", "É"])
            refs = [f"{draw.choice(['', 'é', 'z'])}{draw.randrange(150)}" for _ in range(draw.choice([1, 4, 80]))]
            known.import_entries([entry(ref, draw) for ref in dict.fromkeys(refs)], source)
            present = [(s.source, s.entry.ref) for s in known.entries()]
            with_pdq = {(s.source, s.entry.ref) for s in known.entries() if "pdq" in s.entry.hashes}
            for _ in range(draw.choice([0, 0, 1, 2]) if present else 0):
                name, ref = draw.choice(present)
                known.give_opinion(
                    name,
                    [ref],
                    draw.choice(["O", name]),
                    affirmative=draw.choice([True, False, None]),
                    algorithm=draw.choice(["", "pdq"]) if (name, ref) in with_pdq else "",
                )
            gone = draw.sample(present, draw.choice([0, 0, 1, len(present) // 2, len(present)]))
            for name in {source for source, _ in gone}:
                known.retract(name, [ref for source, ref in gone if source == name])
                if draw.random() < 0.5:
                    known.restore(name, [ref for source, ref in gone if source == name])
            if draw.random() < 0.8:
                known.compile(folder / "a.hmx")
                known.compile(folder / "full.hmx", full=True)
                assert (folder / "a.hmx").read_bytes() == (folder / "full.hmx").read_bytes()
        with CompiledList.open(known.compile(folder / "a.hmx")) as compiled:
            compiled.check()
            assert compiled.snapshot.hex() == known.snapshot


@given(
    st.sets(st.text("ab\x01é", min_size=1, max_size=6), max_size=40),
    st.lists(st.text("ab\x01é", min_size=1, max_size=8), max_size=10),
    st.data(),
)
def test_where_references_stand(held: set[str], wanted: list[str], data: st.DataObject) -> None:
    refs = sorted(ref.encode() for ref in held)
    start = data.draw(st.integers(0, len(refs)))
    stop = data.draw(st.integers(start, len(refs)))
    offsets = np.cumsum([0, *map(len, refs)]).astype(np.uint64)
    former: Any = SimpleNamespace(reference_arrays=lambda: (offsets, np.frombuffer(b"".join(refs), np.uint8)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recompile, "_BISECTED", data.draw(st.sampled_from([1, 30, 1 << 20])))
        places, found = recompile._places(former, start, stop, wanted)
    expected = [bisect_left(refs, ref.encode(), start, stop) for ref in wanted]
    assert places.tolist() == expected
    assert found.tolist() == [
        place < stop and refs[place] == ref.encode() for place, ref in zip(expected, wanted, strict=True)
    ]


def test_a_list_without_the_index_of_facts(tmp_path: Path, spliced: list[Path]) -> None:
    """As they were before there was one: slower, and the same."""
    draw = random.Random(3)
    target = tmp_path / "a.hmx"
    HashList.open(tmp_path / "a.hml", create=True).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "a.hml")) as connection:
        connection.execute("DROP INDEX block_facts")
    with HashList.open(tmp_path / "a.hml") as known:
        known.import_entries([entry(f"{n}", draw) for n in range(500)], "S")
        known.compile(target)
        known.import_entries([entry(f"{n}", draw) for n in range(450, 600)], "S")
        known.compile(target)
        known.compile(tmp_path / "full.hmx", full=True)
        assert known.check() == known.count()
    assert len(spliced) == 1
    assert target.read_bytes() == (tmp_path / "full.hmx").read_bytes()


@pytest.mark.parametrize("entries", [[49], [51], [60, -10]])
def test_a_former_list_that_miscounts_its_sources(tmp_path: Path, spliced: list[Path], entries: list[int]) -> None:
    draw = random.Random(4)
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        target = tmp_path / "a.hmx"
        known.import_entries([entry(f"{n}", draw) for n in range(50)], "S")
        known.compile(target)
        with pytest.MonkeyPatch.context() as patch:
            meta = {"sources": [{"name": f"S{n}", "entries": count} for n, count in enumerate(entries)]}
            with CompiledList.open(target) as compiled:
                real = dict(compiled.meta)
            patch.setattr(CompiledList, "meta", real | meta)
            known.retract("S", ["8"])
            known.compile(target)
        assert not spliced
        known.compile(tmp_path / "full.hmx", full=True)
        assert target.read_bytes() == (tmp_path / "full.hmx").read_bytes()


def test_what_is_verified_ahead_is_verified_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(5)
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        known.import_entries([entry(f"{n}", draw) for n in range(50)], "S")
        target = known.compile(tmp_path / "a.hmx")
        known.retract("S", ["8"])
        seen: list[str] = []
        verify = CompiledList._verify_digest

        def slowly(self: CompiledList, name: str) -> None:
            seen.append(name)
            time.sleep(0.002)
            verify(self, name)

        monkeypatch.setattr(CompiledList, "_verify_digest", slowly)
        known.compile(target)
        assert len(seen) == len(set(seen))
        assert "pdq.codes" in seen
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("hashmatch-")]


def test_when_it_is_used(tmp_path: Path, spliced: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    with HashList.open(tmp_path / "a.hml", create=True) as known:
        target = tmp_path / "a.hmx"
        known.compile(target)
        known.import_entries([entry(f"{n}", draw) for n in range(50)], "S")
        assert not spliced
        known.compile(target)
        assert len(spliced) == 1
        known.compile(target, full=True)
        assert len(spliced) == 1
        known.retract("S", ["7"])
        known.compile(target)
        assert len(spliced) == 2
        # Of a snapshot that this list never had.
        with HashList.open(tmp_path / "b.hml", create=True) as other:
            other.import_entries([entry("x", draw)], "S")
            other.compile(target)
        known.compile(target)
        assert len(spliced) == 2
        # Damaged in a part that is used: compiled anew, silently, as the list is sound.
        data = bytearray(target.read_bytes())
        with CompiledList.open(target) as compiled:
            data[compiled.sections["md5.values"].offset] ^= 1
        target.write_bytes(data)
        known.retract("S", ["8"])
        known.compile(target)
        known.compile(tmp_path / "full.hmx", full=True)
        assert target.read_bytes() == (tmp_path / "full.hmx").read_bytes()
        # Too much has changed.
        monkeypatch.setattr(recompile, "_MOST", 0.0)
        known.import_entries([entry(f"new{n}", draw) for n in range(1001)], "S")
        before = len(spliced)
        known.compile(target)
        assert len(spliced) == before
