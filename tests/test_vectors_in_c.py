"""The published vectors, checked by a C program that links nothing of ours, which must find what is wrong with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "testvectors"
COMPILER = next(filter(None, map(shutil.which, ("gcc", "cc", "clang"))), None)
#: Documents of vectors; a list may be JSON itself.
FILES = sorted(
    path.relative_to(FOLDER).as_posix()
    for path in FOLDER.rglob("*.json")
    if path.name != "schema.json" and path.parent.name not in ("valid", "invalid")
)
Check = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """A function that runs the program on a folder."""
    if COMPILER is None:
        if "native" in os.environ.get("HASHMATCH_TEST_WITHOUT", "").split():
            pytest.skip("what needs a C compiler was left out by name")
        pytest.fail("there is no C compiler, or leave it out by name: HASHMATCH_TEST_WITHOUT=native")
    program = tmp_path_factory.mktemp("vectors") / "vectors"
    source = str(ROOT / "tests/native/vectors.c")
    subprocess.run([COMPILER, "-std=c11", "-O2", source, "-o", str(program), "-lm"], check=True)

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(program), str(folder)], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("copy") / "vectors"
    return Path(shutil.copytree(FOLDER, place, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def copy(shared: Path) -> Iterator[Path]:
    """A copy of the folder, whose documents are whole again after the test."""
    yield shared
    for name in FILES:
        shutil.copyfile(FOLDER / name, shared / name)


def change(path: Path, doctor: Callable[[Any], Any]) -> None:
    document = json.loads(path.read_bytes())
    doctor(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def test_nothing_of_ours_is_included() -> None:
    included = [
        line.split()[1]
        for line in (ROOT / "tests/native/vectors.c").read_text(encoding="utf-8").splitlines()
        if line.startswith("#include")
    ]
    assert included
    assert all(name.startswith("<") for name in included)


def test_all_vectors(check: Check) -> None:
    """Every file has its line, and every vector is counted as checked or as left out."""
    done = check(FOLDER)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    counted: dict[str, int] = {}
    name = ""
    for line in lines[:-1]:
        name = line[:18].strip() or name
        count = line[18:23].strip()
        counted[name] = counted.get(name, 0) + int(count or 0)
    assert counted == {name: len(json.loads((FOLDER / name).read_bytes())["vectors"]) for name in FILES}
    assert lines[-1] == "0 differences"


def with_hex(place: Callable[[Any], Any], key: str) -> Callable[[Any], None]:
    """Another last digit."""

    def doctor(document: Any) -> None:
        target = place(document)
        target[key] = target[key][:-1] + f"{int(target[key][-1], 16) ^ 1:x}"

    return doctor


def vector(document: Any, name: str) -> Any:
    return next(v for v in document["vectors"] if v["id"] == name)


DOCTORED: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "samples": (
        "images.json",
        lambda d: vector(d, "noise-1x1").update(data="s83c"),
        "noise-1x1: sha256",
    ),
    "pdq": (
        "pdq.json",
        with_hex(lambda d: vector(d, "pdq-noise-64x64")["expect"], "pdq"),
        "pdq-noise-64x64: pdq: found",
    ),
    "quality": (
        "pdq.json",
        lambda d: vector(d, "pdq-noise-32x32")["expect"].update(quality=99),
        "pdq-noise-32x32: quality: found 100, expected 99",
    ),
    **{
        f"dihedral-{name}": (
            "pdq.json",
            with_hex(lambda d: vector(d, "pdq-noise-65x64")["expect"]["dihedral"], name),
            f"pdq-noise-65x64: {name}: found",
        )
        for name in ("original", "r90", "r180", "r270", "flipx", "flipy", "flip_plus", "flip_minus")
    },
    "dihedral-quality": (
        "pdq.json",
        lambda d: vector(d, "pdq-noise-64x64")["expect"].update(dihedral_quality=7),
        "pdq-noise-64x64: dihedral_quality: found",
    ),
    **{
        name: (
            f"{name}.json",
            with_hex(lambda d, name=name: vector(d, f"{name}-noise-65x64")["expect"], name),
            f"{name}-noise-65x64: {name}: found",
        )
        for name in ("phash", "dhash", "ahash", "whash")
    },
    "reduced": (
        "ahash.json",
        lambda d: vector(d, "ahash-noise-64x64")["expect"]["reduced"].update(
            vector(d, "ahash-noise-63x65")["expect"]["reduced"]
        ),
        "ahash-noise-64x64: reduced: the resampled picture is another",
    ),
    **{
        name: (
            "digests.json",
            with_hex(lambda d: vector(d, "digest-bytes-56")["expect"], name),
            f"digest-bytes-56: {name}: found",
        )
        for name in ("md5", "sha1", "sha256", "sha512")
    },
    "search-distance": (
        "search.json",
        lambda d: vector(d, "search-pdq-radius-31")["expect"][1].__setitem__(2, 2),
        "search-pdq-radius-31: result 1: found query 0",
    ),
    "search-missing": (
        "search.json",
        lambda d: vector(d, "search-md5-lookup")["expect"].pop(),
        "search-md5-lookup: results: found",
    ),
    "search-radius": (
        "search.json",
        lambda d: vector(d, "search-photodna-radius-25")["input"].update(radius=24),
        "search-photodna-radius-25: results: found",
    ),
    "file-digest": (
        "files.json",
        with_hex(lambda d: vector(d, "file-rgb8.png")["expect"]["hashes"], "md5"),
        "file-rgb8.png: md5: found",
    ),
    "list-digest": (
        "lists/expect.json",
        with_hex(lambda d: vector(d, "list-valid-icse.csv")["input"], "sha256"),
        "list-valid-icse.csv: sha256: found",
    ),
    "list-count": (
        "lists/expect.json",
        lambda d: vector(d, "list-valid-icse.csv")["expect"].update(count=4),
        "list-valid-icse.csv: count: found 3, expected 4",
    ),
    "match-distance": (
        "report.json",
        lambda d: vector(d, "report-near")["expect"][0]["matches"][0].update(distance=3),
        "report-near: distance: found",
    ),
}


def test_every_difference_is_found_and_named(check: Check, copy: Path) -> None:
    """In one run, since a difference does not end it."""
    for file, doctor, _ in DOCTORED.values():
        change(copy / file, doctor)
    done = check(copy)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    for name, (file, _, message) in DOCTORED.items():
        assert [line for line in lines if line.startswith(f"difference: {file}: {message}")], name
    assert done.stdout.splitlines()[-1] == f"{len(lines)} differences"


def test_one_difference_is_enough(check: Check, copy: Path) -> None:
    file, doctor, _ = DOCTORED["quality"]
    change(copy / file, doctor)
    done = check(copy)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "1 differences")
    assert done.stderr == "difference: pdq.json: pdq-noise-32x32: quality: found 100, expected 99\n"


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *((file, "no vectors") for file in FILES),
        *((file, damage) for file in ("images.json", "report.json") for damage in ("version", "missing", "cut short")),
    ],
)
def test_a_file_that_is_no_file_of_vectors(check: Check, copy: Path, file: str, damage: str) -> None:
    path = copy / file
    if damage == "no vectors":
        change(path, lambda d: d.update(vectors=[]))
    elif damage == "version":
        change(path, lambda d: d.update(version=d["version"] + 1))
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3])
    done = check(copy)
    assert done.returncode == 1
    assert f"error: {file}: " in done.stderr


def test_only_vectors_that_are_left_out(check: Check, copy: Path) -> None:
    """Nothing checked is not the same as nothing wrong."""
    change(copy / "pdq.json", lambda d: d.update(vectors=[v for v in d["vectors"] if v["float_order"] == "reference"]))
    done = check(copy)
    assert (done.returncode, done.stderr) == (1, "error: pdq.json: no vector could be checked\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("eNo", "base64 is no multiple of four"),
        ("!!!!", "no base64"),
        ("s83bAA==", "the data are 4 bytes, expected 3"),
    ],
)
def test_damaged_data(check: Check, copy: Path, data: str, message: str) -> None:
    change(copy / "images.json", lambda d: vector(d, "noise-1x1").update(data=data))
    done = check(copy)
    assert (done.returncode, done.stderr) == (1, f"error: images.json: noise-1x1: {message}\n")


def test_a_damaged_zlib_stream(check: Check, copy: Path) -> None:
    """Wherever a byte is changed, the stream or its checksum says so."""
    document = json.loads((copy / "images.json").read_bytes())
    place = next(k for k, v in enumerate(document["vectors"]) if v["encoding"] == "zlib+base64")
    text = document["vectors"][place]["data"]
    for at in range(0, len(text) - 4, len(text) // 12):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        change(copy / "images.json", lambda d, changed=changed: d["vectors"][place].update(data=changed))
        done = check(copy)
        assert done.returncode == 1, at
        assert done.stderr.startswith("error: images.json: "), at
