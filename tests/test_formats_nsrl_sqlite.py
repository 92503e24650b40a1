"""NSRL RDS 3: the three ways through the reader give the same, references are stable, dirt is named."""

from __future__ import annotations

import hashlib
import importlib.util
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.algorithms import EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import FORMATS, nsrl_columns, nsrl_sqlite, open_entries
from hashmatch.lists.formats.nsrl_columns import reference, references
from hashmatch.lists.formats.source import Input
from hashmatch.lists.formats.sqlite_source import open_foreign

ROOT = Path(__file__).parents[1]


def _generator():
    spec = importlib.util.spec_from_file_location("generate_nsrl", ROOT / "benchmarks" / "generate_nsrl.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()
#: The published schema, and the same without constraints, so that everything can be in it.
LOOSE = "CREATE TABLE FILE (sha256, sha1, md5, crc32, file_name, file_size, package_id);"
LOOSE_INDEX = "CREATE INDEX i ON FILE (sha256, sha1, md5, crc32, file_name, file_size, package_id);"
INSERT = "INSERT INTO FILE VALUES (?, ?, ?, ?, ?, ?, ?)"


def row(n: int = 0, name="a.txt", size=5, package=7, crc32="ABCD1234"):
    sha256, sha1, md5 = (hashlib.new(a, str(n).encode()).hexdigest().upper() for a in ("sha256", "sha1", "md5"))
    return sha256, sha1, md5, crc32, name, size, package


def write(path, rows, schema=generate.MINIMAL):
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(schema)
        database.executemany(INSERT, rows)
    return path


def read(path, name="nsrl3", **options):
    with open_entries(path, name, **options) as reading:
        return list(reading)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("nsrl") / "rds.db"


def problems(items) -> list[str]:
    return [str(item) for item in items if isinstance(item, RecordError)]


# ------------------------------------------------------------------ what a row becomes


def test_a_row(path):
    write(path, [row(1, 'say "hi"\\é', 12, 1400)])
    with open_entries(path) as reading:
        (entry,) = reading
        assert reading.format.name == "nsrl3"
        assert reading.format.role == "known-good"
    assert entry.hashes == {a: hashlib.new(a, b"1").digest() for a in ("md5", "sha1", "sha256")}
    assert entry.size == 12
    assert entry.fields == {"crc32": "ABCD1234", "file_name": 'say "hi"\\é', "package_id": 1400}
    assert (entry.category, entry.media_type, entry.dropped) == (None, "", 0)


def test_the_release_is_a_note(path):
    write(path, [row()])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO VERSION VALUES ('2026.03.1', 'set', '2026-03-01', '2026-03-01', 'RDS')")
    with open_entries(path) as reading:
        list(reading)
        assert reading.input.notes == ["NSRL Reference Data Set '2026.03.1', 'set', '2026-03-01', 'RDS'"]


def test_digests_of_the_empty_file(path):
    empty = tuple(EMPTY_DIGESTS[a].hex().upper() for a in ("sha256", "sha1", "md5"))
    rows = [row(n) for n in range(50)] + [(*empty, "00000000", "empty", 0, n) for n in range(30)]
    entries = read(write(path, rows))
    dropped = [entry for entry in entries if entry.dropped]
    assert len(entries) == 80
    assert [(entry.dropped, entry.hashes, entry.size) for entry in dropped] == [(3, {}, 0)] * 30
    assert {entry.fields["package_id"] for entry in dropped} == set(range(30))


def test_one_digest_of_the_empty_file(path):
    """Whatever else the row says: only that digest is dropped."""
    rows = [row(n) for n in range(20)]
    rows[3] = (*rows[3][:2], EMPTY_DIGESTS["md5"].hex(), *rows[3][3:])
    entries = read(write(path, rows))
    (entry,) = [entry for entry in entries if entry.dropped]
    assert set(entry.hashes) == {"sha1", "sha256"}


def test_the_full_set(path):
    """Its rows are those of the minimal set, with the same references; its view takes quotes out of names."""
    generate.write_database(path, 2_000, 3, full=True)
    full = {entry.ref: entry for entry in read(path, None)}
    generate.write_database(path, 2_000, 3)
    minimal = {entry.ref: entry for entry in read(path)}
    plain = {ref for ref, entry in minimal.items() if '"' not in entry.fields["file_name"]}
    assert 1_900 < len(plain) < 2_000
    assert {ref: minimal[ref] for ref in plain} == {ref: full[ref] for ref in plain}
    assert len(full) == len(minimal) == 2_000


def test_metadata_alone(path):
    schema = """CREATE TABLE METADATA (object_id INTEGER, path TEXT, file_name TEXT, extension TEXT, bytes INTEGER,
        crc32 TEXT, md5 TEXT, sha1 TEXT, sha256 TEXT);"""
    sha256, sha1, md5, *_ = row(1)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(schema)
        for n in range(20):
            values = (n, "/a", "b.txt", "txt", 5, "ABCD1234", md5.lower(), sha1.lower(), sha256.lower())
            database.execute("INSERT INTO METADATA VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    entries = read(path, None)
    assert len(entries) == 20
    assert entries[3].ref == ""
    assert entries[3].size == 5
    assert entries[3].fields == {
        "crc32": "ABCD1234", "extension": "txt", "file_name": "b.txt", "object_id": 3, "path": "/a"
    }  # fmt: skip


# ------------------------------------------------------------------ references


def test_references_ascend_and_are_different(path):
    generate.write_database(path, 20_000, 5)
    entries = read(path)
    refs = [entry.ref for entry in entries]
    assert len(entries) == 20_000
    assert refs == sorted(refs)
    assert len(set(refs)) == len(refs)


def test_a_reference_is_of_the_row_alone(path):
    rows = [row(n, f"n{n}", n, n % 5) for n in range(300)]
    first = {entry.ref: entry for entry in read(write(path, rows))}
    rest = {entry.ref: entry for entry in read(write(path, reversed(rows[100:]), LOOSE))}
    assert rest.items() < first.items()
    assert len(rest) == 200


def test_what_makes_rows_different_makes_references_different():
    digests = bytes(range(68))
    base = reference(digests, b"a", 1)
    others = [reference(digests, b"b", 1), reference(digests, b"a", 2), reference(digests, b"a ", 1)]
    assert len({base, *others}) == len(others) + 1
    for n in range(68):
        assert reference(digests[:n] + bytes([digests[n] ^ 1]) + digests[n + 1 :], b"a", 1) != base


def test_no_digest_shows_in_a_reference():
    digests = hashlib.shake_256(b"x").digest(68)
    made = reference(digests, b"a", 1)
    prefix, mixed = made.split("-")
    assert (len(prefix), len(mixed)) == (nsrl_columns.PREFIX_DIGITS, 24)
    text = digests.hex()
    assert not any(mixed[at : at + 6] in text for at in range(len(mixed) - 5))


@given(st.lists(st.tuples(st.binary(min_size=68, max_size=68), st.binary(), st.integers(0, 2**63 - 1)), min_size=1))
def test_many_references_are_each_reference(rows):
    rows = [(digests, name.replace(b"\n", b""), package) for digests, name, package in rows]
    table = np.frombuffer(b"".join(b"\7\0\0\0" + digests for digests, *_ in rows), np.uint8).reshape(-1, 72)[:, 4:]
    made = references(table, b"\n".join(name for _, name, _ in rows), [package for *_, package in rows])
    assert made == [reference(*row) for row in rows]


# ------------------------------------------------------------------ the ways are equal

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [
        "",
        "\n",
        "a\nb",
        "\t",
        '"',
        "\\",
        "\\u0000",
        "\x7f",
        "\u2028",
        "\xa0",
        "\x00",
        "é",
        "a,b",
        " ",
        "\r\n",
        "0",
        "null",
    ]
)
NUMBERS = st.integers(-3, 20) | st.sampled_from(
    [
        2**63 - 1,
        -(2**63),
        None,
        "",
        "007",
        "1,2",
        "x",
        " 5",
        1.5,
        1e30,
        b"5",
        "\uff19",
        "5\n",
        10**18,
        "9223372036854775808",
    ]
)
HASHES = st.sampled_from([None, "", "zz", "AB", 5, b"\xff\xfe", " ", "D4" * 16, "D4" * 20, "D4" * 32, "DA" * 33, 1.5])


@st.composite
def rows_(draw):
    sound = [row(n, draw(TEXTS) or "x", abs(draw(st.integers(0, 9))), n % 3) for n in range(draw(st.integers(0, 40)))]
    for _ in range(draw(st.integers(0, 4))):
        if not sound:
            break
        at = draw(st.integers(0, len(sound) - 1))
        column = draw(st.integers(0, 6))
        cells = list(sound[at])
        if column == 4:
            cells[4] = draw(st.none() | TEXTS | st.binary(max_size=4) | st.integers())
        elif column in (5, 6):
            cells[column] = draw(NUMBERS)
        else:
            whole = [EMPTY_DIGESTS[a].hex() for a in ("sha256", "sha1", "md5")]
            cells[column] = draw(HASHES | st.sampled_from([cells[column], str(cells[column]).lower(), *whole]))
        sound[at] = tuple(cells)
    return sound


def ways(path) -> list[list[object]]:
    """What each of the three ways says of a database, as comparable values in one order."""
    found = []
    for way in ("ranges", "rows", "one by one"):
        with Input(path) as source, open_foreign(source) as database:
            reader = nsrl_sqlite._Reader(source, database, nsrl_sqlite._relation(database.relations), 1 << 20)
            if way == "one by one":
                reader.entries = lambda rows: None
            batches = reader.ranges() if way == "ranges" else reader.rows("")
            items = [item for batch in batches for item in batch]
        said = [item if isinstance(item, Entry) else (item.field, item.reason) for item in items]
        found.append(sorted(said, key=repr))
    return found


@settings(max_examples=150)
@given(rows_())
def test_three_ways_are_equal(path, rows):
    ranges, fast, plain = ways(write(path, rows, LOOSE + LOOSE_INDEX))
    assert fast == plain
    assert ranges == plain
    assert len(plain) == len(rows)


def test_sound_rows_go_the_fast_way(path, monkeypatch):
    """Or the speed would be gone without any other test to see it."""
    monkeypatch.setattr(nsrl_sqlite._Reader, "entry", None)
    generate.write_database(path, 3_000, 5)
    assert len(read(path)) == 3_000
    generate.write_database(path, 3_000, 5, full=True)
    assert len(read(path)) == 3_000


def test_the_published_index_is_used(path, monkeypatch):
    monkeypatch.setattr(nsrl_sqlite._Reader, "rows", lambda *_: iter(()))
    assert len(read(write(path, [row(n) for n in range(50)]))) == 50
    assert not read(write(path, [row(n) for n in range(50)], LOOSE))


@pytest.mark.parametrize("case", [str.upper, str.lower], ids=["upper", "lower"])
@pytest.mark.parametrize("count", [0, 1, 2, 30_000])
def test_every_row_is_read_once(path, case, count):
    rows = [row(n, "x", 1, n) for n in range(count)]
    entries = read(write(path, [(*map(case, r[:3]), *r[3:]) for r in rows]))
    assert sorted(entry.fields["package_id"] for entry in entries) == list(range(count))
    refs = [entry.ref for entry in entries]
    assert refs == sorted(refs)


def test_mixed_case_and_what_is_no_text(path):
    rows = [row(n, "x", 1, n) for n in range(200)]
    for n in range(0, 200, 2):
        rows[n] = (rows[n][0].lower(), *rows[n][1:])
    rows += [
        (None, *row(300)[1:]),
        (b"\xff", *row(301)[1:]),
        (7, *row(302)[1:]),
        ("", *row(303)[1:]),
        ("~", *row(304)[1:]),
    ]
    items = read(write(path, rows, LOOSE + LOOSE_INDEX))
    assert len(items) == 205
    assert sum(isinstance(item, RecordError) for item in items) == 3
    assert [item.record for item in items if isinstance(item, RecordError)] == [
        n for n, item in enumerate(items, 1) if isinstance(item, RecordError)
    ]


def test_too_many_rows_of_one_hash(path):
    """Of one border's rows SQLite cannot make one value; they come one by one."""
    rows = [row(1, "x" * 60, 1, n) for n in range(20_000)] + [row(n, "y", 1, 1) for n in range(2, 300)]
    entries = read(write(path, rows))
    assert len({entry.ref for entry in entries}) == 20_298


# ------------------------------------------------------------------ dirt


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: "AB" * 31}, "field 'sha256': found 62 digits; expected 64 hexadecimal digits for sha256"),
        ({1: "ZZ" * 20}, "field 'sha1': found the character 'Z' at position 1"),
        ({2: "AB" * 17}, "field 'md5': found 34 digits; expected 32 hexadecimal digits for md5"),
        ({0: "", 1: "", 2: ""}, "found a record without any hash"),
        ({3: "xyz"}, "field 'crc32': found 'xyz'; expected 8 hexadecimal digits"),
        ({4: "a\x01"}, "field 'file_name': found the control character U+0001 at position 2"),
        ({4: "a\x00b"}, "field 'file_name': found the control character U+0000 at position 2"),
        ({5: -1}, "field 'file_size': found '-1'; expected a whole number of at least 0"),
        ({5: 1.5}, "field 'file_size': found '1.5'; expected a whole number"),
        ({6: "x"}, "field 'package_id': found 'x'; expected a whole number"),
        ({0: 1, 1: 0}, "field 'sha1': found 64 digits; expected 40 hexadecimal digits"),  # swapped
        ({4: 2, 2: 4}, "field 'md5': found the character"),
    ],
)
@pytest.mark.parametrize("count", [1, 400])
def test_malformed(path, change, message, count):
    rows = [row(n) for n in range(count)]
    bad = list(rows[count // 2])
    before = list(bad)
    for place, value in change.items():
        bad[place] = before[value] if isinstance(value, int) and 0 <= value < 5 and place < 5 else value
    rows[count // 2] = tuple(bad)
    items = read(write(path, rows))
    assert len(items) == count
    (said,) = problems(items)
    assert message in said
    assert str(path) in said
    assert not any(str(cell)[:8] in said.replace(str(path), "") for cell in before[:3])


@pytest.mark.parametrize("schema", [generate.MINIMAL, LOOSE], ids=["ranges", "rows"])
def test_every_error_says_which_record_it_is(path, schema):
    rows = [row(n, size=-1 if n % 7 == 0 else 5) for n in range(3000)]
    items = read(write(path, rows, schema))
    wrong = [n for n, item in enumerate(items, 1) if isinstance(item, RecordError)]
    assert len(wrong) == 429
    assert [item.record for item in items if isinstance(item, RecordError)] == wrong
    refs = [item.ref for item in items if isinstance(item, Entry)]
    assert (refs == sorted(refs)) == (schema is not LOOSE)


def test_bytes_that_are_not_utf8(path):
    rows = [row(n) for n in range(100)]
    write(path, rows)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE FILE SET file_name = CAST(X'61FF62' AS TEXT) WHERE sha256 = ?", (rows[7][0],))
    entries = read(path)
    assert sorted({entry.fields["file_name"] for entry in entries}) == ["a.txt", "a\\xffb"]


def test_missing_columns(path):
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript("CREATE TABLE FILE (sha1, package_id);")
    with pytest.raises(RecordError, match=r"rds\.db: found a database without the table FILE; expected the columns"):
        read(path)


def test_the_first_releases_have_no_crc32(path):
    schema = generate.MINIMAL.replace("crc32      VARCHAR NOT NULL,", "").replace("crc32, ", "").replace(", crc32", "")
    path.unlink(missing_ok=True)
    rows = [row(n) for n in range(30)]
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(schema)
        database.executemany(INSERT.replace("?, ", "", 1), [r[:3] + r[4:] for r in rows])
    older = {entry.ref: entry.fields for entry in read(path, None)}
    newer = {entry.ref: entry.fields for entry in read(write(path, rows))}
    assert older.keys() == newer.keys()
    assert older[next(iter(older))] == {"file_name": "a.txt", "package_id": 7}


def test_progress(path):
    write(path, [row(n) for n in range(5000)])
    seen = []
    read(path, progress=lambda done, total: seen.append((done, total)))
    ours = [(done, total) for done, total in seen if total == 65536]
    assert ours[-1][0] > 60_000
    assert len(ours) > 3
    assert ours == sorted(ours)


# ------------------------------------------------------------------ other programs


def test_what_sqlite3_makes_of_the_published_schema(path, tmp_path, tool):
    """NIST hands out a schema and deltas as SQL, which people run with this program."""
    path.unlink(missing_ok=True)
    sql = tmp_path / "delta.sql"
    inserts = "".join(f"INSERT INTO FILE VALUES {row(n, f'n{n}', n, n)!r};\n" for n in range(100))
    sql.write_text(f"{generate.MINIMAL} BEGIN TRANSACTION;\n{inserts}COMMIT;\n", encoding="utf-8")
    with sql.open("rb") as file:
        subprocess.run([tool("sqlite3"), str(path)], stdin=file, check=True)
    entries = read(path, None)
    chosen = "SELECT lower(sha256) || ' ' || file_name || ' ' || file_size FROM FILE ORDER BY 1"
    printed = subprocess.run([tool("sqlite3"), str(path), chosen], check=True, capture_output=True, text=True).stdout
    said = sorted(f"{e.hashes['sha256'].hex()} {e.fields['file_name']} {e.size}" for e in entries)
    assert said == printed.splitlines()


@pytest.mark.parametrize("form", ["minimal", "full", "text"])
def test_the_generator(tmp_path, form):
    """Twice the same, and read by the reader that it is for."""
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        command = [sys.executable, str(ROOT / "benchmarks" / "generate_nsrl.py"), "--rows", "200", "--form", form]
        subprocess.run([*command, "--out", str(out)], check=True)
    first, second = (read(out, None) for out in outs)
    assert first == second
    assert len(first) == 200
    assert not problems(first)


def test_a_stream_is_refused_with_advice(tmp_path, path):
    assert FORMATS["nsrl3"].binary
    write(path, [row()])
    code = "from hashmatch.lists.formats import open_entries\nlist(open_entries('-'))"
    with path.open("rb") as file:
        run = subprocess.run(
            [sys.executable, "-c", code], stdin=file, capture_output=True, text=True, cwd=ROOT, check=False
        )
    assert "save it to a file first" in run.stderr
