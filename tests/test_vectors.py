"""The published test vectors: valid, what `generate.py` makes, and what this library gives."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from numpy.typing import NDArray
from PIL import Image

from hashmatch import HashList, Matcher, errors, hash_bytes, hashers, imaging, kernels
from hashmatch.algorithms import ALGORITHMS
from hashmatch.hashers import digests
from hashmatch.hashing import hash_file, hash_image
from hashmatch.kernels import reference
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import open_entries
from hashmatch.record import HashRecord
from hashmatch.report.rows import json_line, result_as_dict

FOLDER = Path(__file__).parents[1] / "testvectors"
sys.path.insert(0, str(FOLDER))

import generate  # noqa: E402
from vectormakers import committed, file_tier, png, resampling  # noqa: E402

Vector = dict[str, Any]
FAMILY = ("phash", "dhash", "ahash", "whash")
#: Documents of vectors; a list may be JSON itself.
JSON_FILES = sorted(
    p.relative_to(FOLDER).as_posix()
    for p in FOLDER.rglob("*.json")
    if p.name != "schema.json" and p.parent.name not in ("valid", "invalid")
)


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / name).read_bytes())


def vectors(name: str) -> list[Any]:
    return [pytest.param(vector, id=vector["id"]) for vector in load(name)["vectors"]]


# --- the folder


@pytest.fixture(scope="module")
def schema() -> Any:
    found = load("schema.json")
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def test_all_files_are_there() -> None:
    named = {"images", "pdq", *FAMILY, "digests", "files", "search", "lists/expect", "report"}
    assert {name.removesuffix(".json") for name in JSON_FILES} == named


@pytest.mark.parametrize("name", JSON_FILES)
def test_schema(schema: Any, name: str) -> None:
    document = load(name)
    assert [f"{e.json_path}: {e.message[:200]}" for e in schema.iter_errors(document)] == []
    ids = [vector["id"] for vector in document["vectors"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pdq.json", lambda v: v["expect"].update(quality=101)),
        ("pdq.json", lambda v: v["expect"]["dihedral"].pop("r90")),
        ("files.json", lambda v: v["expect"]["hashes"].update(md5="AB")),
        ("search.json", lambda v: v["expect"].append([0, 1])),
        ("report.json", lambda v: v["expect"][0].update(verdict="maybe")),
        ("lists/expect.json", lambda v: v["input"].pop("file")),
        ("digests.json", lambda v: v.update(surplus=1)),
        ("report.json", lambda v: v["input"].pop("opinions")),
    ],
)
def test_schema_refuses(schema: Any, name: str, change: Any) -> None:
    document = load(name)
    change(document["vectors"][0])
    assert not schema.is_valid(document)


@pytest.mark.parametrize("key", ["licence", "limits", "units"])
def test_schema_refuses_a_head_without(schema: Any, key: str) -> None:
    document = load("digests.json")
    assert schema.is_valid(document)
    del document[key]
    assert not schema.is_valid(document)


def test_licence_is_the_same_everywhere() -> None:
    """It is the owner's to choose; what is said meanwhile must not differ from file to file."""
    (licence,) = {load(name)["licence"] for name in JSON_FILES}
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for sentence in licence.split(". "):
        assert sentence.removesuffix(".") in " ".join(readme.split())


def test_size() -> None:
    made = [p for p in FOLDER.rglob("*") if p.is_file() and not {"__pycache__", ".mypy_cache"} & set(p.parts)]
    assert sum(p.stat().st_size for p in made) < 3 << 20


def test_committed_is_what_generate_makes() -> None:
    wrong, notes = generate.differences()
    print("\n".join(notes))
    assert wrong == []


def test_another_zlib_makes_the_same() -> None:
    """Deflate has no canonical output: another level stands for another implementation."""
    assert generate.differences(level=1)[0] == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "testvectors", ignore=shutil.ignore_patterns("__pycache__")))


def test_differences_are_named(copy: Path) -> None:
    (copy / "pdq.json").write_bytes((copy / "pdq.json").read_bytes().replace(b'"quality": 100', b'"quality": 99', 1))
    (copy / "lists/valid/icse.csv").unlink()
    (copy / "files/stray.jpg").write_bytes(b"x")
    for name in ("ycc-420.jpg", "rgb8.png"):
        path = copy / "files" / name
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert [line.partition(":")[0] for line in generate.differences(copy)[0]] == [
        "files/rgb8.png",
        "files/stray.jpg",
        "files/ycc-420.jpg",
        "lists/valid/icse.csv",
        "pdq.json",
    ]


def test_check_from_the_command_line(copy: Path, monkeypatch: Any, capsys: Any) -> None:
    assert generate.main(["--check"]) == 0
    assert capsys.readouterr().out == "0 differences\n"
    monkeypatch.setattr(generate, "differences", lambda: (["pdq.json: differs"], []))
    assert generate.main(["--check"]) == 1
    assert "pdq.json: differs" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(generate, "FOLDER", copy)
    (copy / "files/stray.jpg").write_bytes(b"x")
    assert generate.main([]) == 0
    assert not (copy / "files/stray.jpg").exists()
    assert generate.differences(copy)[0] == []


def test_another_encoder_keeps_committed_bytes(copy: Path, monkeypatch: Any) -> None:
    """With an encoder of another version, files are verified by their SHA-256 and never made again."""
    monkeypatch.setattr(file_tier, "installed_codecs", lambda: {"Pillow": "0.0", "libjpeg": "0", "libwebp": "0"})
    monkeypatch.setattr(file_tier, "_save", lambda *_, **__: pytest.fail("encoded"))
    build = generate.build
    wrong, notes = generate.differences(copy)
    assert wrong == []
    assert len(notes) == 13
    path = copy / "files/lossy.webp"
    path.write_bytes(path.read_bytes() + b"\0")
    (copy / "files/cmyk.jpg").unlink()
    wrong, _ = generate.differences(copy)
    assert [line.partition(", and")[0] for line in wrong] == [
        "files/cmyk.jpg: is missing",
        "files/lossy.webp: its SHA-256 is not the one in files.json",
    ]
    monkeypatch.setattr(generate, "build", lambda **_: build(copy))
    assert generate.main([]) == 1
    assert not (copy / "files/cmyk.jpg").exists()


def test_png_writer_agrees_with_pillow() -> None:
    rng = np.random.default_rng(1)
    for depth in (1, 2, 4, 8):
        samples = rng.integers(0, 1 << depth, (9, 13))
        for interlaced in (False, True):
            data = png.write(samples, "grey", depth, interlaced=interlaced)
            found = np.asarray(Image.open(file_tier.io.BytesIO(data)).convert("L"))
            assert (found == samples * (255 // ((1 << depth) - 1))).all()
    one, other = (png.write(rng.integers(0, 256, (9, 13)), "grey") for _ in range(2))
    assert png.same_content(one, one)
    assert not png.same_content(one, other)
    assert not png.same_content(one, b"")


# --- the pixel tier


@pytest.fixture(scope="module")
def images() -> dict[str, NDArray[Any]]:
    found = {}
    for vector in load("images.json")["vectors"]:
        raw = committed.unpacked(vector)
        shape = (vector["height"], vector["width"]) + ((3,) if vector["channels"] == 3 else ())
        dtype = {"uint8": np.uint8, "float32le": np.dtype("<f4")}[vector["sample"]]
        found[vector["id"]] = np.frombuffer(raw, dtype).reshape(shape)
    return found


def test_all_images_are_used(images: dict[str, NDArray[Any]]) -> None:
    assert {v["input"]["image"] for v in load("pdq.json")["vectors"]} == set(images)
    for name in FAMILY:
        document = load(f"{name}.json")
        used = {v["input"]["image"] for v in document["vectors"]}
        assert used.union(*document["left_out"].values()) == {
            key for key, value in images.items() if value.dtype == np.uint8
        }


def luma_of(pixels: NDArray[Any]) -> NDArray[np.float32]:
    return kernels.rgb_to_luma(pixels) if pixels.ndim == 3 else pixels.astype(np.float32)


@pytest.mark.parametrize("implementation", [i.name for i in kernels.implementations() if i.available])
@pytest.mark.parametrize("vector", vectors("pdq.json"))
def test_pdq(vector: Vector, images: dict[str, NDArray[Any]], implementation: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(kernels.ENVIRONMENT_VARIABLE, implementation)
    luma = luma_of(images[vector["input"]["image"]])
    expect = vector["expect"]
    code, quality = kernels.pdq_from_luma(luma)
    assert (code.tobytes().hex(), quality) == (expect["pdq"], expect["quality"])
    codes, quality = kernels.pdq_dihedral_from_luma(luma)
    assert [c.tobytes().hex() for c in codes] == [expect["dihedral"][name] for name in kernels.DIHEDRAL_ORDER]
    assert quality == expect["dihedral_quality"]


@pytest.mark.parametrize("vector", vectors("pdq.json"))
def test_pdq_float_order(vector: Vector, images: dict[str, NDArray[Any]]) -> None:
    """What our own float64 path decides, it decides as the vector says."""
    luma = luma_of(images[vector["input"]["image"]])
    if min(luma.shape) >= 5 and (found := reference.pdq_in_float64(luma, dihedral=True)):
        assert found[0][0].tobytes().hex() == vector["expect"]["dihedral"]["original"]


class Decoded:
    """Samples as `hashmatch.hashers.compute` takes them."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.image = Image.fromarray(pixels)
        self.pixels = pixels
        self.vertical_first = imaging.vertical_first()


@pytest.mark.parametrize("vector", [v for name in FAMILY for v in vectors(f"{name}.json")])
def test_family(vector: Vector, images: dict[str, NDArray[Any]]) -> None:
    name = vector["id"].partition("-")[0]
    pixels = Decoded(images[vector["input"]["image"]])
    assert hashers.compute(pixels, [name])[0][name].hex() == vector["expect"][name]
    if "reduced" in vector["expect"]:
        reduced = vector["expect"]["reduced"]
        size = reduced["width"], reduced["height"]
        given = resampling.resampled(np.asarray(pixels.image.convert("L")), *size)
        assert given.tobytes() == committed.unpacked(reduced)
        if pixels.image.height <= pixels.image.width:  # in other pictures Pillow 13 goes down first
            assert pixels.image.convert("L").resize(size, Image.Resampling.LANCZOS).tobytes() == given.tobytes()


def test_resampling_agrees_with_pillow() -> None:
    rng = np.random.default_rng(2)
    for width, height in ((1, 1), (3, 90), (8, 8), (31, 33), (200, 9), (301, 299)):
        rgb = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        image = Image.fromarray(rgb).convert("L")
        assert (np.asarray(image) == resampling.grey_of(rgb)).all()
        for size in ((8, 8), (9, 8), (32, 32), (64, 64)):
            found = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
            orders = [resampling.resampled(resampling.grey_of(rgb), *size, down_first=down) for down in (False, True)]
            assert any((found == order).all() for order in orders)


@pytest.mark.parametrize("vector", [v for v in vectors("pdq.json") if "luma-" not in v.id])
def test_pdq_of_decoded_pixels(vector: Vector, images: dict[str, NDArray[Any]]) -> None:
    """The whole way, over a PNG file in memory."""
    record = hash_bytes(imaging.encode(images[vector["input"]["image"]], "PNG"), ("pdq",))
    assert (record.hex(), record.quality) == (
        {"pdq": vector["expect"]["pdq"]},
        {"pdq": vector["expect"]["quality"]},
    )


@pytest.mark.parametrize("vector", vectors("digests.json"))
def test_digests(vector: Vector, tmp_path: Path) -> None:
    data = bytes.fromhex(vector["input"]["hex"])
    found = digests.digest_bytes(data, digests.DIGESTS)
    assert {name: value.hex() for name, value in found.items()} == vector["expect"]
    (tmp_path / "file").write_bytes(data)
    assert hash_image(tmp_path / "file", digests.DIGESTS).hex() == vector["expect"]


# --- the file tier

INSTALLED = file_tier.installed_codecs()
TOLERANCE = load("files.json")["tolerance"]


def named_here(vector: Vector) -> bool:
    exact_for = vector["exact_for"]
    return exact_for == "any" or all(INSTALLED.get(name) == version for name, version in exact_for.items())


def files(*, failing: bool) -> list[Any]:
    """The id says how strictly a vector is tested, so that a run on another decoder shows it."""
    return [
        pytest.param(v, id=v["id"] + ("" if named_here(v) else "-another-decoder-within-4-bits"))
        for v in load("files.json")["vectors"]
        if ("error" in v["expect"]) is failing
    ]


@pytest.mark.parametrize("vector", files(failing=False))
def test_files(vector: Vector, record_property: Any) -> None:
    expect = vector["expect"]
    path = FOLDER / vector["input"]["file"]
    assert path.stat().st_size == vector["input"]["bytes"]
    record = hash_image(path, list(expect["hashes"]), orientation=vector["input"]["orientation"])
    assert (record.format, record.width, record.height, record.oriented) == (
        expect["format"],
        expect["width"],
        expect["height"],
        expect["oriented"],
    )
    assert expect["hashes"]["sha256"] == vector["input"]["sha256"]
    if named_here(vector):
        assert record.hex() == expect["hashes"]
        assert record.quality == expect["quality"]
        return
    record_property("not exact", f"decoded with {imaging.decoder_version()}, not with {vector['exact_for']}")
    for name, text in expect["hashes"].items():
        off = (int(record.hashes[name].hex(), 16) ^ int(text, 16)).bit_count()
        if name in digests.DIGESTS:
            assert off == 0
        elif name in TOLERANCE:
            assert off <= TOLERANCE[name], f"{name}: {off} bits"


def test_another_decoder_is_held_to_4_bits(monkeypatch: Any) -> None:
    vector = next(v for v in load("files.json")["vectors"] if v["id"] == "file-ycc-420.jpg")
    monkeypatch.setitem(INSTALLED, "Pillow", "0.0")
    pdq = int(vector["expect"]["hashes"]["pdq"], 16)
    for mask, fits in ((0b1111, True), (0b11111, False)):
        vector["expect"]["hashes"]["pdq"] = f"{pdq ^ mask:064x}"
        if fits:
            test_files(vector, lambda *_: None)
        else:
            with pytest.raises(AssertionError, match="5 bits"):
                test_files(vector, lambda *_: None)


@pytest.mark.parametrize("vector", files(failing=True))
def test_files_that_are_refused(vector: Vector) -> None:
    expect = vector["expect"]
    path = FOLDER / vector["input"]["file"]
    wanted = ["pdq", "phash", *expect["hashes"]]
    with pytest.raises(errors.ImageError) as caught:
        hash_image(path, wanted)
    assert type(caught.value).__name__ == expect["error"]
    record = hash_file(path, wanted)
    assert (record.status, record.hex()) == (expect["status"], expect["hashes"])


# --- search


def matrix(texts: list[str], width: int) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(len(texts), width)


def triples(found: Any) -> list[list[int]]:
    offsets, rows, distances = found
    query = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return np.stack([query, rows, distances.astype(np.int64)], axis=1).tolist()


@pytest.mark.parametrize("vector", vectors("search.json"))
def test_search(vector: Vector, tmp_path: Path) -> None:
    name, given = vector["algorithm"], vector["input"]
    rows = matrix(given["list"], ALGORITHMS[name].width)
    queries = matrix(given["queries"], ALGORITHMS[name].width)
    if vector["kind"] == "hamming":
        assert triples(kernels.hamming_range(queries, rows, given["radius"])) == vector["expect"]
    with HashList.open(tmp_path / "list.hml", create=True) as known:
        # References in the order of the rows, so that the compiled list has the same rows.
        known.import_entries([Entry.make(f"{k:06}", {name: row.tobytes()}) for k, row in enumerate(rows)], "S")
        known.compile(tmp_path / "list.hmx")
    with Matcher.open(tmp_path / "list.hmx") as matcher:
        if vector["kind"] == "exact":
            assert triples(matcher.search_digests(name, queries)) == vector["expect"]
        else:
            assert triples(matcher.search_codes(name, queries, given["radius"])) == vector["expect"]


# --- lists


def as_expected(entry: Entry) -> dict[str, Any]:
    scheme, code = entry.category or ("", "")
    return {
        "ref": entry.ref,
        "hashes": {name: value.hex() for name, value in entry.hashes.items()},
        "quality": entry.quality,
        "category": {"scheme": scheme, "code": code} if entry.category else None,
        "media_type": entry.media_type,
        "size": entry.size,
        "metadata": entry.fields,
        "empty_digests": entry.dropped,
    } | ({"origin": entry.origin} if entry.origin else {})


def lists(*, valid: bool) -> list[Any]:
    chosen = [v for v in load("lists/expect.json")["vectors"] if ("entries" in v["expect"]) is valid]
    return [pytest.param(v, id=v["id"]) for v in chosen]


@pytest.fixture
def known(tmp_path: Path, vector: Vector) -> Any:
    """A list of the role that the file is for."""
    try:
        with open_entries(FOLDER / vector["input"]["file"], vector["input"]["format"]) as reading:
            role = reading.format.role or "known"
    except errors.InputError:
        role = "known"
    with HashList.open(tmp_path / "list.hml", create=True, role=role) as opened:
        yield opened


def test_every_list_is_expected() -> None:
    there = {p.relative_to(FOLDER).as_posix() for p in (FOLDER / "lists").rglob("*") if p.is_file()}
    named = {v["input"]["file"] for v in load("lists/expect.json")["vectors"]}
    assert there - named == {"lists/expect.json"}


@pytest.mark.parametrize("vector", lists(valid=True))
def test_valid_list(vector: Vector, known: HashList) -> None:
    path, given, expect = FOLDER / vector["input"]["file"], vector["input"], vector["expect"]
    with open_entries(path, given["format"]) as reading:
        assert reading.format.name == expect["format"]
        items = list(reading)
        assert reading.input.finish() == given["sha256"]
    assert [item for item in items if isinstance(item, errors.RecordError)] == []
    entries = [item for item in items if isinstance(item, Entry)]
    assert [as_expected(entry) for entry in entries] == expect["entries"]
    assert len(entries) == expect["count"]

    summary = known.import_file(path, "S", from_format=given["format"])
    kept = [entry for entry in expect["entries"] if entry["hashes"]]
    assert summary.records == expect["count"]
    assert summary.hashless == expect["count"] - len(kept)
    assert summary.empty_digests == sum(entry["empty_digests"] for entry in expect["entries"])
    stored = {held.entry.ref: as_expected(held.entry) for held in known.entries()}
    unlike = {json.dumps(entry, sort_keys=True): entry for entry in kept}  # a record may be there twice
    assert len(stored) == len(unlike)
    for entry in unlike.values():
        # The list holds what the record says, under a reference of its own where the record has none.
        found = (
            stored[entry["ref"]] if entry["ref"] else next(s for s in stored.values() if s["hashes"] == entry["hashes"])
        )
        # Whose entry it is, its source says.
        said = {key: value for key, value in entry.items() if key != "origin"}
        assert found | {"ref": entry["ref"]} == said | {"empty_digests": 0}
    again = known.import_entries(entries, "S")
    assert (again.added, again.replaced, again.snapshot) == (0, 0, summary.snapshot)


def first_error(path: Path) -> tuple[str, errors.HashMatchError | None]:
    """(step that refuses the file, or "", and its error)."""
    try:
        reading = open_entries(path)
    except errors.InputError as error:
        return "detect", error
    with reading:
        try:
            found = next((item for item in reading if isinstance(item, errors.RecordError)), None)
        except errors.InputError as error:
            found = error
    return ("read" if found else ""), found


@pytest.mark.parametrize("vector", lists(valid=False))
def test_invalid_list(vector: Vector, known: HashList) -> None:
    path, expect = FOLDER / vector["input"]["file"], vector["expect"]
    by, error = first_error(path)
    if error is not None:
        check_error(error, expect, path)
    assert (by or "import") == expect["by"]

    with pytest.raises(errors.InputError) as caught:
        known.import_file(path, "S")
    check_error(caught.value, expect, path)
    assert list(known.entries()) == []  # all or nothing

    if expect["skip_invalid"] is None:
        with pytest.raises(errors.InputError):
            known.import_file(path, "S", skip_invalid=True)
        return
    summary = known.import_file(path, "S", skip_invalid=True)
    assert (summary.added, summary.invalid) == (expect["skip_invalid"]["entries"], expect["skip_invalid"]["invalid"])


def check_error(error: errors.HashMatchError, expect: dict[str, Any], path: Path) -> None:
    assert type(error).__name__ == expect["error"], error
    assert error.exit_code == 3
    assert path.name in str(error)
    if isinstance(error, errors.RecordError):
        assert (error.line, error.record, error.field) == (expect["line"], expect["record"], expect["field"]), error


# --- reports


def make_list(path: Path, entries: list[dict[str, Any]], role: str) -> Path:
    with HashList.open(path, create=True, role=role) as known:
        for source in dict.fromkeys(entry["source"] for entry in entries):
            known.import_entries((entry_of(e) for e in entries if e["source"] == source), source)
    return path


def entry_of(given: dict[str, Any]) -> Entry:
    category = given["category"]
    return Entry.make(
        given["ref"],
        {name: bytes.fromhex(text) for name, text in given["hashes"].items()},
        quality=given["quality"],
        category=(category["scheme"], category["code"]) if category else None,
        media_type=given["media_type"],
        size=given["size"],
    )


@pytest.mark.parametrize("batch", [1, 100])
@pytest.mark.parametrize("vector", vectors("report.json"))
def test_report(vector: Vector, tmp_path: Path, batch: int) -> None:
    given = vector["input"]
    path = make_list(tmp_path / "known.hml", given["list"], "known")
    with HashList.open(path) as known:
        for item in given["retract"]:
            known.retract(item["source"], [item["ref"]])
    allow = make_list(tmp_path / "good.hml", given["known_good"], "known-good") if given["known_good"] else None
    for said in given["opinions"]:
        with HashList.open(path if said["of"] == "list" else tmp_path / "good.hml") as known:
            known.give_opinion(
                said["source"],
                [said["ref"]],
                said["organisation"],
                affirmative=said["affirmative"],
                algorithm=said["algorithm"],
            )
    queries = [
        HashRecord(
            query["name"],
            {name: bytes.fromhex(text) for name, text in query["hashes"].items()},
            query["quality"],
            query["size"],
            query["status"],
            query["reason"],
        )
        for query in given["queries"]
    ]
    with Matcher.open(path, allow=allow, **given["options"]) as matcher:
        results = list(matcher.match_many(queries, batch=batch))
    rows = [result_as_dict(result, 0, number) for number, result in enumerate(results, 1)]
    assert rows == vector["expect"]
    # The canonical line is the row with its keys in this order.
    lines = [json_line(result, 0, number) for number, result in enumerate(results, 1)]
    assert lines == [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in vector["expect"]]
