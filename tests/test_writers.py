"""Writers: what a format can hold comes back, and what it cannot hold is named."""

from __future__ import annotations

import csv
import errno
import json
import subprocess
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.cli import list_export
from hashmatch.errors import RecordError, UsageError
from hashmatch.lists.entry import Entry, Opinion, canonical_json
from hashmatch.lists.formats import FORMATS, open_entries
from hashmatch.lists.hash_like import without_hashes
from hashmatch.lists.store import StoredEntry
from hashmatch.lists.writers import WRITERS, Account, WriteOptions, export, parquet, vics, writer_for
from hashmatch.lists.writers.account import SharedReferences

#: Formats that hold all that an entry says, its source too.
GENERAL = ("csv", "jsonl", "parquet")
#: Writers whose format is read, too.
READ = [name for name in WRITERS if name in FORMATS]

HASHES = {name: bytes([n]) * algorithm.width for n, (name, algorithm) in enumerate(ALGORITHMS.items(), 1)}
FULL = Entry.make(
    'a,"b" = 1',
    HASHES,
    quality={"pdq": 88},
    category=("vics-us-2.0", "1"),
    media_type="video",
    size=7,
    metadata={"id": "not the id", "Series": "ö\n\u2028", "n": [1, {"x": None}], "list_source": "x"},
    opinions=[Opinion("", "A", True), Opinion("pdq", "B, C", False, 'no "x"')],
)


def written(entries: Iterable[Entry | StoredEntry], name: str, **options: Any) -> tuple[bytes, Account]:
    stored = [entry if isinstance(entry, StoredEntry) else StoredEntry("S", entry) for entry in entries]
    parts: list[bytes] = []
    account = export(
        lambda: iter(stored), WRITERS[name], parts.append, WriteOptions(**{"include_hashes": True} | options)
    )
    return b"".join(parts), account


def read(path: Path, data: bytes, name: str) -> list[Entry]:
    path.write_bytes(data)
    with open_entries(path, name) as reading:
        records = list(reading)
    for record in records:
        assert isinstance(record, Entry), record
    return records  # type: ignore[return-value]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("writers") / "list"


# ---------------------------------------------------------------------- random entries

whole_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
plain_text = st.text(st.sampled_from("ab1 ,;\"'=\té\u2028\x85\\|#%"), max_size=8)
refs = st.one_of(plain_text, whole_text, st.integers(0, 10**6).map(str), st.sampled_from(["a\r\nb", "a\rb", "a\nb"]))
categories = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(["vics-us-2.0", "vics-uk-2.0", "interpol", ""]), st.sampled_from(["0", "1", "007", "x"])),
    st.tuples(whole_text, whole_text),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    st.one_of(scalars, plain_text, whole_text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(whole_text, inner, max_size=3)),
    max_leaves=6,
)
metadata = st.one_of(
    st.just({}),
    st.dictionaries(st.one_of(st.sampled_from(["Series", "id", "md5", "ab" * 16]), whole_text), values, max_size=4),
)
opinions = st.dictionaries(
    st.tuples(st.sampled_from(["", "md5", "pdq"]), whole_text.filter(bool)),
    st.tuples(st.booleans(), whole_text),
    max_size=3,
).map(lambda found: [Opinion(*key, *value) for key, value in found.items()])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    names = draw(st.one_of(st.sets(st.sampled_from(list(ALGORITHMS))), st.just({"md5", "sha1", "pdq"})))
    hashes = {name: draw(st.binary(min_size=ALGORITHMS[name].width, max_size=ALGORITHMS[name].width)) for name in names}
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(list(EMPTY_DIGESTS)))
        hashes[name] = EMPTY_DIGESTS[name]
    return Entry.make(
        draw(refs),
        hashes,
        quality={"pdq": draw(st.integers(0, 100))} if "pdq" in names and draw(st.booleans()) else {},
        category=draw(categories),
        media_type=draw(st.sampled_from(["", "image", "video", "other"])),
        size=draw(st.one_of(st.none(), st.integers(0, 2**63 - 1))),
        metadata=draw(metadata),
        opinions=draw(opinions),
    )


def differences(entry: Entry, back: Entry, name: str) -> set[str]:
    """Names, as an account has them, of what differs."""
    found = set()
    if entry.category != back.category:
        found.add("category")
    if entry.media_type != back.media_type:
        found.add("media type")
    if entry.size != back.size:
        found.add("size")
    if entry.opinions != back.opinions:
        found.add("opinions")
    if entry.ref != back.ref:
        found.add("reference")
    if entry.quality != back.quality and "pdq" in back.hashes:
        found.add("pdq quality")
    for algorithm in entry.hashes:
        if entry.hashes[algorithm] != back.hashes.get(algorithm):
            empty = entry.hashes[algorithm] == EMPTY_DIGESTS.get(algorithm) and name not in ("pdq",)
            found.add(f"{algorithm} hash" + " (of the empty file)" * empty)
    assert back.hashes.items() <= entry.hashes.items()
    before, after = entry.fields, back.fields
    assert not set(after) - set(before)
    for key, value in before.items():
        if key not in after or canonical_json(after[key]) != canonical_json(value):
            found.add("metadata: a name of 32 characters" if key == "ab" * 16 else f"metadata: {key}")
    if name not in GENERAL:
        found.add("source")
    return found


@pytest.mark.parametrize("name", READ)
class TestRoundTrip:
    @given(entry=entries())
    @example(FULL)
    def test_the_account_names_what_differs(self, name: str, path: Path, entry: Entry) -> None:
        try:
            data, account = written([entry], name)
        except UsageError:
            digests = entry.hashes.keys() & {"md5", "sha1", "sha256"}
            assert (name, bool(digests and entry.ref.isprintable() and entry.ref and entry.size is not None)) == (
                "hashdeep",
                False,
            )
            return
        assert account.written + sum(account.left_out.values()) == 1
        back = read(path, data, name) if account.written or name in ("csv", "hashdeep", "parquet", "vics") else []
        assert len(back) == account.written
        if back:
            lost = {name.partition(":")[0] if name.startswith("reference") else name for name in account.lost}
            assert lost == differences(entry, back[0], name)
            assert set(account.lost.values()) == {1} or not lost

    @given(found=st.lists(entries(), max_size=5))
    def test_all_that_is_written_comes_back(self, name: str, path: Path, found: list[Entry]) -> None:
        try:
            data, account = written(found, name)
        except UsageError:
            return
        assert account.written + sum(account.left_out.values()) == len(found)
        assert account.bytes == len(data)
        if account.written:
            assert len(read(path, data, name)) == account.written
        assert written(found, name)[0] == data


@pytest.mark.parametrize("name", GENERAL)
def test_general_formats_hold_everything(name: str, path: Path) -> None:
    data, account = written(
        [FULL, Entry.make("b\rb", {"sha1": bytes(20)}), Entry.make("b\nb", {"lace": bytes(129)})], name
    )
    assert account.lost == {}
    assert account.left_out == {}
    assert read(path, data, name) == [
        FULL,
        Entry.make("b\rb", {"sha1": bytes(20)}),
        Entry.make("b\nb", {"lace": bytes(129)}),
    ]


@pytest.mark.parametrize("name", GENERAL)
def test_metadata_as_deep_as_a_reader_takes_comes_back(name: str, path: Path) -> None:
    """It may be of a JSON line's own fields, and is then one level deeper."""
    value: Any = 1
    for _ in range(31):
        value = [value]
    entry = Entry.make("a", {"md5": bytes(16)}, metadata={"x": value})
    data, account = written([entry], name)
    assert account.lost == {}
    assert read(path, data, name) == [entry]
    deeper = Entry.make("a", {"md5": bytes(16)}, metadata={"x": [value], "y": 1})
    data, account = written([deeper], name)
    assert account.lost == {"metadata: x": 1}
    assert read(path, data, name)[0].fields == {"y": 1}


@pytest.mark.parametrize("name", GENERAL)
def test_metadata_that_is_not_canonical(name: str, path: Path) -> None:
    entry = Entry.make("a", {"md5": bytes(16)})._replace(metadata='{\n"b": 1, "a": 2}')
    assert read(path, written([entry], name)[0], name)[0].metadata == '{"a":2,"b":1}'


def test_a_line_that_no_reader_takes_is_left_out(path: Path) -> None:
    entry = Entry.make("a", {"md5": bytes(16)}, metadata={str(n): "x" * 1_000_000 for n in range(17)})
    for name in ("csv", "jsonl"):
        data, account = written([entry, FULL], name)
        assert account.left_out == {"more than 16,777,216 bytes in one line": 1}
        assert account.written == 1
        assert read(path, data, name) == [FULL]


@pytest.mark.parametrize("name", WRITERS)
def test_no_hash_leaves_unless_asked(name: str) -> None:
    parts: list[bytes] = []
    if WRITERS[name].needs_hashes:
        with pytest.raises(UsageError, match=f"{name} is nothing without hashes.*--include-hashes"):
            export(lambda: [StoredEntry("S", FULL)], WRITERS[name], parts.append)
        assert not parts
        return
    export(lambda: [StoredEntry("S", FULL)], WRITERS[name], parts.append)
    data = b"".join(parts)
    assert b"not the id" in data or name == "parquet"
    for value in HASHES.values():
        assert value.hex().encode() not in data
        assert value not in data


KEPT_AS_METADATA = {
    "MediaFiles": [{"FileName": "a.jpg", "MD5": "0c" * 16, "ParentMD5": "1d" * 16}],
    "AlternativeHashes": [{"HashName": "X", "HashValue": "2e" * 20}],
    "other_fingerprints": {"tmk": "Zm9vYmFyZm9vYmFyZm9vYmFyAA=="},
    "tiger": "3f" * 24,
    "Series": "s",
}


@pytest.mark.parametrize("name", GENERAL)
def test_no_hash_leaves_with_metadata(name: str, path: Path) -> None:
    """Digests that the entry model has no field for, and what people write in their reasons."""
    opinions = [Opinion("", "A", False, f"is {'4a' * 16}")]
    entry = Entry.make("a", {"md5": bytes(16)}, metadata=KEPT_AS_METADATA, opinions=opinions)
    plain = Entry.make("b", {"md5": bytes(16)}, metadata={"Series": "s"}, opinions=[Opinion("", "A", True, "ok")])
    data, account = written([entry, plain], name)
    assert account.lost == {}
    assert read(path, data, name) == [entry, plain]
    data, account = written([entry, plain], name, include_hashes=False)
    looks = "(looks like a hash)"
    assert account.lost == {f"metadata: {key} {looks}": 1 for key in KEPT_AS_METADATA if key != "Series"} | {
        f"opinions {looks}": 1
    }
    path.write_bytes(data)
    if name == "parquet":
        rows = pq.read_table(path).to_pylist()
        first, second = [(json.loads(row["list_metadata"]), row["list_opinions"]) for row in rows]
    elif name == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        first, second = [(json.loads(row["list_metadata"]), row["list_opinions"] or None) for row in rows]
    else:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        first, second = [(row["list_metadata"], row.get("list_opinions")) for row in rows]
    kept = {"MediaFiles": [{"FileName": "a.jpg"}], "AlternativeHashes": [{"HashName": "X"}], "Series": "s"}
    assert first == (kept, None)
    assert second[0] == {"Series": "s"}
    assert second[1]


@given(entry=entries())
def test_nothing_that_looks_like_a_hash_leaves(entry: Entry) -> None:
    data, account = written([entry], "jsonl", include_hashes=False)
    for line in data.decode().split("\n")[:-1]:
        metadata = json.loads(line).get("list_metadata", {})
        assert without_hashes(json.dumps(metadata)) == (metadata, [])
        lost = [key for key in entry.fields if key not in metadata]
        assert bool(lost) <= any(name.startswith("metadata") for name in account.lost)


# ---------------------------------------------------------------------- PDQ text and hashdeep


def test_pdq_text(path: Path) -> None:
    entries = [
        FULL,
        Entry.make("b", {"pdq": bytes(32)}),
        Entry.make("c", {"md5": bytes(16)}),
        Entry.make("line\nend", {"pdq": bytes(32)}),
    ]
    data, account = written([*entries, StoredEntry("T", FULL)], "pdq")
    assert data.decode().splitlines() == [
        f'{"05" * 32},88,a,"b" = 1',
        f"{'00' * 32},,b",
        f"{'00' * 32},,",
        f'{"05" * 32},88,a,"b" = 1',
    ]
    assert account.written == 4
    assert account.left_out == {"no pdq hash": 1}
    assert account.lost["reference: control characters"] == 1
    assert account.lost["reference: several entries have the same"] == 2
    assert account.lost["source"] == 4
    assert account.lost["md5 hash"] == 2
    assert account.lost["metadata: Series"] == 2


def test_pdq_text_without_entries() -> None:
    data, account = written([Entry.make("c", {"md5": bytes(16)})], "pdq")
    assert data == b""
    assert account.left_out == {"no pdq hash": 1}


def hashdeep_of(entries: list[Entry]) -> tuple[list[str], Account]:
    data, account = written(entries, "hashdeep")
    return data.decode().split("\n")[:-1], account


def test_hashdeep_columns_are_those_that_most_entries_have() -> None:
    md5, sha1, sha256 = (HASHES[name] for name in ("md5", "sha1", "sha256"))
    both = [Entry.make(f"b{n}", {"md5": md5, "sha1": sha1}, size=1) for n in range(3)]
    one = Entry.make("o", {"md5": md5, "pdq": bytes(32)}, size=1)
    lines, account = hashdeep_of([*both, one])
    assert lines[:3] == ["%%%% HASHDEEP-1.0", "%%%% size,md5,filename", f"1,{md5.hex()},b0"]
    assert account.written == 4
    assert account.lost == {"source": 4, "sha1 hash": 3, "pdq hash": 1}
    lines, account = hashdeep_of([*both, Entry.make("x", {"sha256": sha256}, size=1)])
    assert lines[1] == "%%%% size,md5,sha1,filename"
    assert account.left_out == {"no md5 or sha1 hash": 1}
    every = Entry.make("e", {"md5": md5, "sha1": sha1, "sha256": sha256}, size=0)
    assert hashdeep_of([every])[0][1:] == [
        "%%%% size,md5,sha1,sha256,filename",
        f"0,{md5.hex()},{sha1.hex()},{sha256.hex()},e",
    ]


def test_hashdeep_leaves_out_what_it_cannot_hold() -> None:
    good = Entry.make("a, b", {"md5": HASHES["md5"]}, size=1)
    lines, account = hashdeep_of(
        [
            good,
            good._replace(size=None),
            good._replace(ref="line\nend"),
            good._replace(ref=""),
            Entry.make("no digest", {"pdq": bytes(32)}, size=1),
            Entry.make("empty", {"md5": EMPTY_DIGESTS["md5"]}, size=0),
        ]
    )
    assert lines[2:] == [f"1,{'01' * 16},a, b"]
    assert account.left_out == {
        "no size": 1,
        "a reference with line ends or other control characters": 1,
        "no reference": 1,
        "no md5 hash": 1,
        "no hash but digests of the empty file": 1,
    }
    with pytest.raises(UsageError, match="no entry can be written as hashdeep; expected entries with a size"):
        hashdeep_of([good._replace(size=None)])


def test_real_hashdeep_reads_what_we_write(path: Path, tmp_path: Path, tool: Any) -> None:
    """Its own list of some files, read, kept and written by us, passes its audit; a changed file does not."""
    hashdeep = tool("hashdeep")
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("plain", "com,ma", "grüße 😀", " space ", "-dash", "back\\slash", "#hash", "%%%% x"):
        (folder / name).write_bytes(name.encode())
    listed = ["-c", "md5,sha1,sha256", "-l", "-r", "."]
    ran = subprocess.run([hashdeep, *listed], cwd=folder, capture_output=True, check=True)
    entries = read(path, ran.stdout, "hashdeep")
    assert len(entries) == 8
    ours = tmp_path / "ours.txt"

    def audit(*options: str) -> subprocess.CompletedProcess[str]:
        arguments = [hashdeep, *options, "-l", "-r", "-k", str(ours), "."]
        return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)

    for algorithms in (("md5", "sha1", "sha256"), ("sha256",), ("md5", "sha1")):
        kept = [
            Entry.make(e.ref, {name: e.hashes[name] for name in algorithms}, size=e.size, media_type="other")
            for e in entries
        ]
        data, account = written([*kept, Entry.make("line\nend", {"md5": HASHES["md5"]}, size=1)], "hashdeep")
        assert account.written == 8
        ours.write_bytes(data)
        passed = audit("-a", "-v")
        assert (passed.returncode, passed.stderr) == (0, "")
        assert "Audit passed" in passed.stdout
        assert "Files matched: 8" in passed.stdout
        matched = audit("-m")
        assert sorted(matched.stdout.splitlines()) == sorted(e.ref for e in entries)
    (folder / "plain").write_bytes(b"changed")
    assert audit("-a").returncode != 0
    assert len(audit("-m").stdout.splitlines()) == 7


# ---------------------------------------------------------------------- VICS


def test_vics_document() -> None:
    entry = Entry.make(
        "12",
        {"md5": HASHES["md5"], "photodna": HASHES["photodna"], "sha256": HASHES["sha256"]},
        category=("vics-us-2.0", "2"),
        size=5,
        metadata={"Series": "s", "other": 1},
    )
    data, account = written([entry, Entry.make("x", {"sha1": HASHES["sha1"]}, category=("vics-uk-2.0", "1"))], "vics")
    document = json.loads(data)
    assert document["@odata.context"].endswith("DataModels/2.0.xml/US/$metadata#Media")
    first, second = document["value"]
    assert first["MediaID"] == 12
    assert first["Category"] == 2
    assert first["MD5"] == "01" * 16
    assert len(first["PhotoDNA"]) == 192
    assert first["AlternativeHashes"] == [{"HashName": "SHA256", "HashValue": "03" * 32}]
    assert first["Series"] == "s"
    assert second["MediaID"] == "x"
    assert "Category" not in second
    assert account.lost == {"source": 2, "category": 1, "metadata: other": 1}


@pytest.mark.parametrize(("scheme", "part"), [(key, part) for key, (part, _) in vics.SCHEMES.items()])
def test_vics_scheme(scheme: str, part: str) -> None:
    entry = Entry.make("1", {"md5": HASHES["md5"]}, category=(f"vics-{scheme}-2.0", "2"))
    data, account = written([entry], "vics", vics_scheme=scheme)
    document = json.loads(data)
    assert f"DataModels/2.0.xml/{part}/$metadata#Media" in document["@odata.context"]
    assert document["value"][0]["Category"] == 2
    assert account.lost == {"source": 1}


def test_vics_without_entries_is_a_document() -> None:
    assert json.loads(written([], "vics")[0])["value"] == []
    with pytest.raises(UsageError, match="VICS scheme 'xx'; expected one of us, uk, default, custom"):
        written([], "vics", vics_scheme="xx")


# ---------------------------------------------------------------------- the account


def test_account_shows_no_hash_and_has_an_end() -> None:
    keys = {"ab" * 16: 1} | {f"key {n}": 1 for n in range(300)}
    _, account = written([Entry.make("a", {"pdq": bytes(32)}, metadata=keys)], "pdq")
    assert account.lost["metadata: a name of 32 characters"] == 1
    assert len(account.lost) <= 201
    assert account.lost["metadata: other names"] > 90
    lines = "\n".join(account.lines())
    assert "ab" * 4 not in lines
    assert "source: 1 entry" in lines
    assert json.dumps(account.as_dict())


def test_account_is_ordered() -> None:
    _, account = written([FULL, Entry.make("b", {"pdq": bytes(32)})], "pdq")
    counts = list(account.as_dict()["lost"].values())
    assert counts == sorted(counts, reverse=True)
    assert account.as_dict()["format"] == "pdq"


def test_shared_references() -> None:
    references = SharedReferences()
    assert references.count() == 0
    for name in ("a", "b", "a", "c", "a", "b"):
        references.add(hash(name))
    assert references.count() == 5


# ---------------------------------------------------------------------- the registry


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        (None, None, "csv"),
        (None, "x.unknown", "csv"),
        (None, "a/x.JSONL", "jsonl"),
        (None, "x.parquet", "parquet"),
        (None, "x.json", "vics"),
        (None, "x.pdq", "pdq"),
        ("hashdeep", "x.csv", "hashdeep"),
    ],
)
def test_writer_for(name: str | None, path: str | None, expected: str) -> None:
    assert writer_for(name, path).name == expected


def test_writer_for_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="unknown format 'xls'; hashmatch writes csv, jsonl, "):
        writer_for("xls", None)


def test_the_command_knows_all_writers() -> None:
    assert tuple(WRITERS) == list_export.FORMATS
    assert tuple(vics.SCHEMES) == list_export.VICS_SCHEMES


@pytest.mark.parametrize("name", READ)
def test_every_written_format_is_known_again(name: str, path: Path) -> None:
    path.write_bytes(written([FULL, FULL], name)[0])
    with open_entries(path) as reading:
        assert reading.format.name == name
        entries = [record for record in reading if isinstance(record, Entry)]
    held = HASHES["sha256" if name == "hashdeep" else "pdq"]
    assert [held in entry.hashes.values() for entry in entries] == [True, True]


@pytest.mark.parametrize("name", WRITERS)
def test_what_the_sink_raises_comes_through(name: str) -> None:
    def full(_data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(OSError, match="no space") as caught:
        export(lambda: [StoredEntry("S", FULL)], WRITERS[name], full, WriteOptions(include_hashes=True))
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("name", WRITERS)
def test_memory_does_not_grow_with_the_list(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_BYTES", 500_000)  # of a row group

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            export(
                lambda: (StoredEntry("S", FULL._replace(ref=f"{n:09}")) for n in range(count)),
                WRITERS[name],
                lambda _data: None,
                WriteOptions(include_hashes=True),
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is imported and cached
    small, large = peak(1_500), peak(4_500)
    assert large - small < 200_000  # 67 bytes an entry, of the 900 that each is


# ---------------------------------------------------------------------- opinions are read back

GOOD = '[["","A",true,""],["pdq","B",false,"why"]]'


@pytest.mark.parametrize("name", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "no array"),
        ('"x"', "no array"),
        ("[1]", "something else as opinion 1"),
        ('["abcd"]', "something else as opinion 1"),
        ('[["","A",1,""]]', "something else as opinion 1"),
        ('[["","A",true]]', "something else as opinion 1"),
        ('[["","A",true,"",""]]', "something else as opinion 1"),
        ('[["","A",true,""],["","A",false,""]]', "an unknown algorithm, no organisation, or two opinions"),
        ('[["crc","A",true,""]]', "an unknown algorithm"),
        ('[["","",true,""]]', "no organisation"),
        ('[["","A\\u0001",true,""]]', r"U\+0001"),
        ('[["","A",true,"\\ud800"]]', "half of a surrogate pair"),
    ],
)
def test_bad_opinions(name: str, path: Path, text: str, message: str) -> None:
    md5 = "0f" * 16
    if name == "csv":
        cell = text.replace('"', '""')
        path.write_text(f'id,md5,list_opinions\n1,{md5},"{cell}"\n')
    else:
        path.write_text(f'{{"id":"1","md5":"{md5}","list_opinions":{text}}}\n')
    with open_entries(path, name) as reading:
        (error,) = reading
    assert isinstance(error, RecordError)
    assert error.field == "list_opinions"
    with pytest.raises(RecordError, match=message):
        raise error


@pytest.mark.parametrize("text", ["[[", "x", "[" * 100_000])
def test_opinions_that_are_not_json(path: Path, text: str) -> None:
    path.write_text(f'id,md5,list_opinions\n1,{"0f" * 16},"{text}"\n')
    with open_entries(path, "csv") as reading:
        (error,) = reading
    assert isinstance(error, RecordError)
    assert error.field == "list_opinions"
    assert "that are not JSON" in error.reason


def test_opinions_in_any_order_are_kept_in_one(path: Path) -> None:
    backwards = json.dumps(json.loads(GOOD)[::-1])
    path.write_text(
        f'{{"md5":"{"0f" * 16}","list_opinions":{backwards}}}\n{{"md5":"{"0f" * 16}","list_opinions":null}}\n'
    )
    with open_entries(path, "jsonl") as reading:
        one, none = reading
    assert isinstance(one, Entry)
    assert isinstance(none, Entry)
    assert (one.opinions, none.opinions) == (GOOD, "")
