"""A replay of the fuzz targets: seeds, and mutations that are the same in every run. tests/fuzz fuzzes for real."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fuzz.mutate import mutated
from fuzz.targets import TARGETS, packed

from hashmatch import HashList
from hashmatch.errors import ListDamagedError, RecordError
from hashmatch.lists.entry import pack_hashes, unpack_hashes

CORPUS = Path(__file__).parent / "fuzz" / "corpus"


def replay(name: str, seconds: float) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    for path in sorted((CORPUS / name).glob("*")):
        target.run(path.read_bytes())
    rng = random.Random(f"{name} {seconds}")
    for data in [
        *seeds,
        *(mutated(rng, seeds, target.tokens, target.longest) for _ in range(int(target.rate * seconds))),
    ]:
        try:
            target.run(data)
        except BaseException:
            print(f"{name}: {data!r}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_a_few_mutations(name: str) -> None:
    replay(name, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_mutations(name: str) -> None:
    replay(name, 60)


def test_a_packed_quality_over_100_is_refused() -> None:
    """Found by fuzzing: it was given out as the entry's quality."""
    sound = pack_hashes({"pdq": bytes(32)}, {"pdq": 100})
    packed(sound)
    for quality in (101, 254):
        with pytest.raises(RecordError, match=f"pdq quality {quality}; expected a number from 0 to 100"):
            unpack_hashes(sound[:-1] + bytes([quality]))
    assert unpack_hashes(sound[:-1] + b"\xff") == ({"pdq": bytes(32)}, {})


def test_what_sqlite_says_of_damage_is_one_line(tmp_path: Path) -> None:
    """Found by fuzzing: SQLite's text has several lines, and names that the damaged file holds."""
    path = tmp_path / "list.hml"
    with HashList.open(path, create=True) as made:
        made.import_file(Path(__file__).parents[1] / "testvectors" / "lists" / "valid" / "plain.jsonl", source="a")
    raw = bytearray(path.read_bytes())
    # Page 3 on: cells of b-trees that point outside their page.
    for page in range(2, len(raw) // 16384):
        raw[page * 16384 + 8 : page * 16384 + 12] = b"\x01\x01\x01\x01"
    path.write_bytes(raw)
    with HashList.open(path) as opened, pytest.raises(ListDamagedError) as caught:
        opened.check()
    assert "\n" not in str(caught.value)
