"""Compiling what has changed gives the bytes of compiling all."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

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
