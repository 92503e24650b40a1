"""Bulk lookup: lines to digests, digests to lines, and the command, on every implementation."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashmatch import HashList, kernels
from hashmatch import lookup as lookup_module
from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.cli import run
from hashmatch.errors import ArrayError, CompiledListError, RecordError, UsageError, printable
from hashmatch.index.compiled import CompiledList
from hashmatch.kernels.digests import Found, Names, RowTexts
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import Input, ReadOptions, open_entries
from hashmatch.lists.formats.digest_lines import read_digests
from hashmatch.lookup import Lookup, Tally

IMPLEMENTATIONS = [item.name for item in kernels.implementations() if item.available]
ALICE, BOB, CAROL = (hashlib.md5(name).hexdigest() for name in (b"alice", b"bob", b"carol"))


@pytest.fixture(scope="module", autouse=True, params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs on every implementation of this machine."""
    patch = pytest.MonkeyPatch()
    patch.setenv(kernels.ENVIRONMENT_VARIABLE, request.param)
    yield request.param
    patch.undo()


# ---------------------------------------------------------------------- lines to digests


def read_all(path: Path, algorithm: str, batch: int) -> tuple[list[bytes], list[str]]:
    """Digests and errors, by the reader in bulk."""
    digests, errors = [], []
    with Input(path) as source:
        for item in read_digests(source, ReadOptions(source.limits, True), algorithm=algorithm, batch=batch):
            if isinstance(item, RecordError):
                errors.append(str(item))
            else:
                assert item.dtype == np.uint8
                assert 1 <= len(item) <= batch
                digests += [row.tobytes() for row in item]
    return digests, errors


def read_as_entries(path: Path, algorithm: str) -> tuple[list[bytes], list[str]]:
    """The same by the reader that makes an entry of every line."""
    digests, errors = [], []
    with open_entries(path, f"{algorithm}sum") as reading:
        for item in reading:
            if isinstance(item, RecordError):
                errors.append(str(item))
            else:
                digests.append(EMPTY_DIGESTS[algorithm] if item.dropped else item.packed[4:])
    return digests, errors


HEX = st.binary(min_size=16, max_size=16).map(bytes.hex) | st.just(EMPTY_DIGESTS["md5"].hex())
PATH = st.sampled_from(
    ["a.jpg", "(x) = 12", "*b", " c", "ü/é", "a\\nb", "a\\xb", "\\", "t\tb", "x\x01", "\x7f", "\x85", "r\rs"]
)
LINE = st.one_of(
    HEX,
    HEX.map(str.upper),
    st.builds(lambda h, mark, path: f"{h}{mark}{path}", HEX, st.sampled_from(["  ", " *", " ", "\t", "   "]), PATH),
    st.builds(lambda h, mark, path: f"\\{h}{mark}{path}", HEX, st.sampled_from(["  ", " *", " "]), PATH),
    st.builds(lambda h, path: f"MD5 ({path}) = {h}", HEX, PATH),
    st.builds(lambda h, cut: h[:cut], HEX, st.integers(0, 32)),
    st.builds(
        lambda h, at, c: h[:at] + c + h[at + 1 :], HEX, st.integers(0, 31), st.sampled_from("gG/:@`\0\x10\x1aé ")
    ),
    st.builds(lambda h, tail: h + tail, HEX, st.sampled_from([" ", "  ", " *", "\t", "0", " \t"])),
    st.sampled_from(["", "# note", "#", " ", "\t ", "% x", "\\", "MD5 (x) =", "%%%% HASHDEEP-1.0"]),
    st.text(max_size=40).filter(lambda text: "\n" not in text),
)


@given(
    lines=st.lists(LINE, min_size=1, max_size=30),
    end=st.sampled_from(["\n", "\r\n"]),
    closed=st.booleans(),
    junk=st.booleans(),
    batch=st.sampled_from([1, 2, 5, 1000]),
)
@example(lines=[ALICE + "  x", ALICE], end="\n", closed=True, junk=False, batch=1)
@example(lines=[ALICE + " (x) = 12"], end="\n", closed=True, junk=False, batch=1)
@settings(max_examples=300, deadline=None)
def test_the_bulk_reader_equals_the_other(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, closed: bool, junk: bool, batch: int
) -> None:
    """Whatever the lines: the same digests in the same order, and the same messages about the same lines."""
    path = tmp_path_factory.getbasetemp() / "fuzz.md5"
    text = (end.join(lines) + (end if closed else "")).encode(errors="surrogatepass")
    path.write_bytes(text.replace(b"a.jpg", b"a\xff\x80.jpg") if junk else text)
    if path.stat().st_size == 0:
        return
    assert read_all(path, "md5", batch) == read_as_entries(path, "md5")


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_all_widths_and_many_blocks(algorithm: str, tmp_path: Path) -> None:
    width = ALGORITHMS[algorithm].width
    rng = np.random.default_rng(width)
    values = [rng.bytes(width) for _ in range(5000)]
    path = tmp_path / "x"
    path.write_text("".join(f"{value.hex()}  {'p' * (i % 90 + 1)}\n" for i, value in enumerate(values)))
    assert read_all(path, algorithm, 700) == (values, [])
    path.write_text("".join(f"{value.hex().upper()}\r\n" for value in values), encoding="utf-16")
    assert read_all(path, algorithm, 65536) == (values, [])


@pytest.mark.parametrize("position", range(32))
def test_every_byte_at_every_place(position: int) -> None:
    out = np.zeros((1, 16), np.uint8)
    for byte in range(256):
        line = bytearray(b"0123456789abcdefABCDEF9876543210"[:32])
        line[position] = byte
        result = kernels.parse_digest_lines(bytes(line) + b"\n", 0, out, 0, -1)
        if chr(byte) in "0123456789abcdefABCDEF":
            assert result == (33, 1, 1, 0)
            assert out.tobytes() == bytes.fromhex(line.decode())
        elif position == 0 and byte in b"#":
            assert result == (33, 0, 1, -1)
        elif position == 0 and byte in b"\n":
            assert result == (1, 0, 1, -1)
        else:
            assert result == (0, 0, 0, -1)


def test_a_long_path_is_left_to_the_caller() -> None:
    out = np.zeros((3, 16), np.uint8)
    for length, taken in ((65536, 1), (65537, 0)):
        assert kernels.parse_digest_lines(ALICE.encode() + b"  " + b"x" * length, 0, out, 0, -1)[1] == taken


def test_parser_arguments() -> None:
    text, out = ALICE.encode(), np.zeros((2, 16), np.uint8)
    for wrong in (out.astype(np.int8), out[:, ::2], out.T, out[:, :15].copy(), np.zeros((2, 18), np.uint8)):
        with pytest.raises(ArrayError):
            kernels.parse_digest_lines(text, 0, wrong, 0, -1)
    out.setflags(write=False)
    with pytest.raises(ArrayError):
        kernels.parse_digest_lines(text, 0, out, 0, -1)
    out = np.zeros((2, 16), np.uint8)
    for start, found, paths in ((-1, 0, 0), (33, 0, 0), (0, 3, 0), (0, -1, 0), (0, 0, 2)):
        with pytest.raises(ValueError, match="outside its range"):
            kernels.parse_digest_lines(text, start, out, found, paths)
    assert kernels.parse_digest_lines(text, 32, out, 0, -1) == (32, 0, 0, -1)
    assert kernels.parse_digest_lines(text, 0, out, 2, -1) == (0, 2, 0, -1)
    assert kernels.parse_digest_lines(b"", 0, out[:0], 0, -1) == (0, 0, 0, -1)


# ---------------------------------------------------------------------- digests to lines


def names(*texts: str) -> Names:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.uint64)
    return Names(np.frombuffer(b"".join(encoded), np.uint8), ends)


def some_texts(refs: list[str]) -> RowTexts:
    n = len(refs)
    return RowTexts(
        np.arange(n, dtype=np.uint32)[::-1].copy(),
        (np.arange(n) % 2).astype(np.uint32),
        (np.arange(n) % 3).astype(np.uint32),
        names(*refs).offsets,
        names(*refs).text,
        names("Source A", "é"),
        names("", "interpol:baseline", "x:1"),
    )


def some_found(places: list[tuple[int, int]]) -> Found:
    digests = np.arange(16 * len(places), dtype=np.uint32).astype(np.uint8).reshape(-1, 16)
    first, last = (np.array([place[i] for place in places], np.int64) for i in (0, 1))
    return Found(digests, first, last)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_lines_whatever_the_buffer(data: st.DataObject) -> None:
    refs = data.draw(
        st.lists(st.sampled_from(["", "plain", "with space", "ü", "tab\t", "back\\slash", "x" * 70]), max_size=12)
    )
    n = len(refs)
    place = st.tuples(st.integers(0, n), st.integers(0, n)).map(lambda pair: (min(pair), max(pair)))
    found = some_found(data.draw(st.lists(place, max_size=40)))
    texts, hits_only = some_texts(refs), data.draw(st.booleans())
    out = np.zeros(data.draw(st.integers(1, 400)), np.uint8)
    expected = []
    for digest, first, last in zip(found.digests, found.first.tolist(), found.last.tolist(), strict=True):
        for row in texts.rows[first:last].tolist():
            source, category = ("Source A", "é")[row % 2], ("", "interpol:baseline", "x:1")[row % 3]
            expected.append(f"{digest.tobytes().hex()}\t{source}\t{refs[row]}\t{category}\n")
        if first == last and not hits_only:
            expected.append(f"{digest.tobytes().hex()}\t-\n")
    lines, query, position, stopped = [], 0, 0, 1
    while stopped:
        written, query, position, stopped = kernels.write_lookup_lines(
            found, texts, out, query, position, hits_only=hits_only
        )
        lines.append(out[:written].tobytes().decode())
        if stopped == 2 or (stopped == 1 and not written):
            first, last = int(found.first[query]), int(found.last[query])
            if first < last:
                ref = refs[int(texts.rows[first + position])]
                assert stopped == 1 or not re.fullmatch(r"[ -\[\]-~]*", ref)
            lines.append(expected[sum(text.count("\n") for text in lines)])
            if first < last:
                position += 1
            else:
                query += 1
    assert "".join(lines) == "".join(expected)


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": np.array([9, 9, 9], np.uint32)},
        {"source": np.array([2, 2, 2], np.uint32)},
        {"category": np.array([3, 3, 2**32 - 1], np.uint32)},
        {"ref_offsets": np.array([0, 9, 3, 6], np.uint64)},
        {"ref_offsets": np.array([0, 9, 9, 2**64 - 1], np.uint64)},
        {"ref_offsets": np.array([2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1], np.uint64)},
        {"sources": Names(np.zeros(3, np.uint8), np.array([0, 9, 9], np.uint64))},
        {"sources": Names(np.zeros(3, np.uint8), np.array([3, 2, 1], np.uint64))},
        {"categories": Names(np.zeros(3, np.uint8), np.array([0], np.uint64))},
    ],
)
def test_damage_is_an_error(damage: dict[str, object]) -> None:
    texts = some_texts(["aa", "bb", "cc"])._replace(**damage)  # type: ignore[arg-type]
    out = np.zeros(1000, np.uint8)
    with pytest.raises(ValueError, match="leads outside"):
        kernels.write_lookup_lines(some_found([(0, 3)] * 50), texts, out, 0, 0, hits_only=False)


@pytest.mark.parametrize("place", [(0, 4), (-1, 2), (3, 2), (2**62, 2**63 - 1)])
def test_places_outside_are_an_error(place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="leads outside"):
        kernels.write_lookup_lines(
            some_found([place]), some_texts(["aa", "bb", "cc"]), np.zeros(99, np.uint8), 0, 0, hits_only=False
        )


def test_writer_arguments() -> None:
    found, texts, out = some_found([(0, 1)]), some_texts(["a"]), np.zeros(99, np.uint8)
    for wrong in (
        found._replace(first=found.first.astype(np.int32)),
        found._replace(last=found.last[:0]),
        found._replace(digests=found.digests[0]),
    ):
        with pytest.raises(ArrayError):
            kernels.write_lookup_lines(wrong, texts, out, 0, 0, hits_only=False)
    for field in RowTexts._fields[1:4]:
        with pytest.raises(ArrayError):
            kernels.write_lookup_lines(
                found, texts._replace(**{field: np.zeros(7, np.uint32)}), out, 0, 0, hits_only=False
            )
    for query, position in ((-1, 0), (2, 0), (0, -1)):
        with pytest.raises(ValueError, match="outside its range"):
            kernels.write_lookup_lines(found, texts, out, query, position, hits_only=False)
    out.setflags(write=False)
    with pytest.raises(ArrayError):
        kernels.write_lookup_lines(found, texts, out, 0, 0, hits_only=False)


# ---------------------------------------------------------------------- lists

REFS = ["plain", "tab\there", "two\nlines", "back\\slash", "ünï", "\x1b[31m", "\u202edlrow", "", "x" * 200]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists")
    with HashList.open(folder / "known.hml", create=True) as known:
        known.import_entries(
            [
                Entry.make(
                    ref or "none",
                    {"md5": bytes.fromhex(ALICE), "sha1": hashlib.sha1(ref.encode()).digest()},
                    category=("scheme", "a\\b") if i % 2 else None,
                )
                for i, ref in enumerate(REFS)
            ],
            "Ünit \\ one",
        )
        known.import_entries([Entry.make("b", {"md5": bytes.fromhex(BOB)})], "Other")
        known.import_entries([Entry.make("gone", {"md5": bytes.fromhex(CAROL)})], "Other")
        known.retract("Other", ["gone"], reason="r")
        known.compile(folder / "known.hmx")
    return folder / "known.hmx"


def field(text: str) -> str:
    return printable(text.replace("\\", "\\\\"))


def test_lines_of_a_list(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, category = field("Ünit \\ one"), field("scheme:a\\b")
    ordered = sorted((ref or "none", i % 2) for i, ref in enumerate(REFS))
    expected = [f"{ALICE}\t{source}\t{field(ref)}\t{category if odd else ''}\n" for ref, odd in ordered]
    expected += [f"{CAROL}\t-\n", f"{BOB}\tOther\tb\t\n"]
    digests = np.frombuffer(bytes.fromhex(ALICE + CAROL + BOB), np.uint8).reshape(-1, 16)
    for size in (1 << 22, 120, 40):
        monkeypatch.setattr(lookup_module, "_BUFFER", size)
        tally = Tally()
        with Lookup.open(compiled) as lookup:
            lines = b"".join(map(bytes, lookup.lines("md5", digests, tally))).decode()
            only = b"".join(map(bytes, lookup.lines("md5", digests, Tally(), hits_only=True))).decode()
        assert lines == "".join(expected)
        assert only == "".join(line for line in expected if not line.endswith("\t-\n"))
        assert (tally.lines, tally.hits, tally.entries) == (3, 2, len(REFS) + 1)
        assert all(len(line.split("\t")) in (2, 4) for line in lines.splitlines())
        # One record is one line, whatever a reader takes for a line end.
        assert len(lines.splitlines()) == lines.count("\n") == len(expected)


def test_no_row_is_read_where_nothing_is_found(compiled: Path) -> None:
    with Lookup.open(compiled) as lookup:
        assert list(lookup.lines("md5", np.zeros((0, 16), np.uint8), Tally())) == []
        assert (
            b"".join(lookup.lines("md5", np.zeros((2, 16), np.uint8), Tally()))
            == b"0" * 32 + b"\t-\n" + b"0" * 32 + b"\t-\n"
        )
        assert "_texts" not in lookup.__dict__


def test_lines_of_disputed_digests(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth field, only where the digest of that entry and algorithm is disputed; whoever writes the line."""
    digests = np.frombuffer(bytes.fromhex(ALICE + CAROL + BOB), np.uint8).reshape(-1, 16)
    with Lookup.open(compiled) as lookup:
        plain = b"".join(map(bytes, lookup.lines("md5", digests, Tally()))).decode().splitlines()
    rows = [line for line in plain if not line.endswith("\t-")]
    bit = {name: np.uint32(1 << ALGORITHMS[name].number) for name in ("md5", "sha1")}
    # Rows are ordered by source: Other first, whose entry b comes last among the lines.
    order = [len(rows) - 1, *range(len(rows) - 1)]
    for chosen in ([], [0], [len(rows) - 1], [*range(0, len(rows), 2)], [*range(len(rows))]):
        bits = np.array([bit["md5"] if line in chosen else bit["sha1"] for line in order], np.uint32)
        expected = [
            line + ("\tdisputed" if rows.index(line) in chosen else "") if line in rows else line for line in plain
        ]
        for size in (1 << 22, 120, 40):
            monkeypatch.setattr(lookup_module, "_BUFFER", size)
            with Lookup.open(compiled) as lookup:
                monkeypatch.setattr(lookup.compiled, "row_disputed", lambda bits=bits: bits)
                lines = b"".join(map(bytes, lookup.lines("md5", digests, Tally()))).decode()
                assert lines == "".join(f"{line}\n" for line in expected)
                # Of another algorithm, other digests are disputed.
                sha1 = np.frombuffer(hashlib.sha1(b"plain").digest(), np.uint8).reshape(-1, 20)
                [line] = b"".join(map(bytes, lookup.lines("sha1", sha1, Tally()))).decode().splitlines()
                at = next(i for i, row in enumerate(rows) if "\tplain\t" in row)
                assert line.endswith("\tdisputed") == (at not in chosen)


def test_a_damaged_category_is_not_taken_for_a_mark(compiled: Path) -> None:
    with Lookup.open(compiled, verify=False) as lookup:
        categories = lookup.compiled.row_categories().copy()
        categories[0] = 1 + len(lookup.compiled.meta["categories"])
        lookup.compiled.row_categories = lambda: categories  # type: ignore[method-assign]
        lookup.compiled.row_disputed = lambda: np.full(len(categories), 0xFFFFFFFF, np.uint32)  # type: ignore[method-assign]
        with pytest.raises(CompiledListError, match="names category 2"):
            list(lookup.lines("md5", np.frombuffer(bytes.fromhex(ALICE), np.uint8)[None], Tally()))


@pytest.mark.parametrize("section", ["md5.table", "md5.rows", "ref.offsets", "row.source", "row.category"])
def test_damaged_lists_give_errors(compiled: Path, section: str, tmp_path: Path) -> None:
    """Verified or not: whatever a section says, an error or an answer, and never a crash."""
    with CompiledList.open(compiled) as opened:
        place = opened.sections[section]
    digests = np.frombuffer(bytes.fromhex(ALICE + CAROL + BOB), np.uint8).reshape(-1, 16)
    raw = compiled.read_bytes()
    for filling in (b"\xff", b"\x7f", b"\x00"):
        damaged = tmp_path / "damaged.hmx"
        damaged.write_bytes(raw[: place.offset] + filling * place.size + raw[place.offset + place.size :])
        for verify in (True, False):
            with Lookup.open(damaged, verify=verify) as lookup:
                if verify:
                    with pytest.raises(CompiledListError, match=r"damaged\.hmx"):
                        list(lookup.lines("md5", digests, Tally()))
                else:
                    with contextlib.suppress(CompiledListError):
                        list(lookup.lines("md5", digests, Tally()))


# ---------------------------------------------------------------------- the command


@pytest.fixture
def cmd(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert code in (0, 1, 2, 3, 4, 5)
        return code, captured.out, captured.err

    return call


class TestCommand:
    def test_hits_misses_and_summary(self, cmd, compiled: Path) -> None:
        Path("q").write_text(f"{BOB.upper()}  x.jpg\n# note\n{CAROL} *y\n\n")
        code, out, err = cmd("lookup", "q", "--list", compiled)
        assert (code, out) == (1, f"{BOB}\tOther\tb\t\n{CAROL}\t-\n")
        assert "2 digests looked up, 1 found in 1 entries" in err
        assert cmd("lookup", "q", "--list", compiled, "--quiet", "--hits-only") == (1, f"{BOB}\tOther\tb\t\n", "")

    def test_nothing_found(self, cmd, compiled: Path) -> None:
        Path("q").write_text(f"{CAROL}\n")
        assert cmd("lookup", "q", "--list", compiled, "-q") == (0, f"{CAROL}\t-\n", "")

    def test_a_list_is_compiled_on_the_fly_and_cached(self, cmd) -> None:
        Path("q").write_text(f"{BOB}  x\n")
        Path("l.md5").write_text(f"{BOB}  ref\n")
        assert cmd("list", "create", "a.hml")[0] == 0
        assert cmd("list", "import", "a.hml", "l.md5", "--source", "S")[0] == 0
        assert cmd("lookup", "q", "--list", "a.hml", "-q")[:2] == (1, f"{BOB}\tS\tref\t\n")
        assert Path("a.hml.hmx").exists()
        assert cmd("list", "retract", "a.hml", "ref", "--source", "S", "--reason", "r")[0] == 0
        code, _, err = cmd("lookup", "q", "--list", "a.hml", "-q")
        assert (code, "no hashes" in err) == (2, True)

    def test_several_files_and_algorithms(self, cmd, compiled: Path) -> None:
        sha1 = hashlib.sha1(b"plain").hexdigest()
        Path("a").write_text(f"{BOB}\n{CAROL}\n")
        Path("b").write_text(f"{sha1}\n{'0' * 40}\n")
        code, out, err = cmd("lookup", "a", "b", "--list", compiled)
        lines = out.splitlines()
        assert (code, len(lines)) == (1, 4)
        assert lines[2].startswith(sha1)
        assert "4 digests looked up, 2 found" in err
        assert cmd("lookup", "a", "b", "-a", "md5", "--list", compiled)[0] == 3

    def test_standard_input(self, cmd, compiled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        Path("q").write_text(f"{BOB}\n{CAROL}\n")
        with Path("q").open(encoding="utf-8") as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert cmd("lookup", "-", "--list", compiled, "-q")[:2] == (1, f"{BOB}\tOther\tb\t\n{CAROL}\t-\n")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (f"{BOB}\n{BOB[:-1]}\n", "line 2, field 'md5': found 31 digits; expected 32 hexadecimal digits"),
            (f"{BOB}\n{BOB[:-1]}g\n", "line 2, field 'md5': found the character 'g' at position 32"),
            (f"{BOB}  a\n{BOB}\n", "line 2: found a digest without a path"),
            (f"# c\r\n\r\n{BOB}  a\r\n{BOB}  \r\n", "line 4, field 'path': found nothing"),
            (f"{BOB}  a\rb\n", "U+000D"),
            (f"{BOB}\n% x\n", "line 2"),
        ],
    )
    def test_malformed_lines(self, cmd, compiled: Path, text: str, message: str) -> None:
        Path("q").write_bytes(text.encode())
        code, _, err = cmd("lookup", "q", "--list", compiled, "-a", "md5")
        assert code == 3
        assert f"q, {message}" in err or (message in err and "q, line" in err)
        assert BOB[:-1] not in err
        code, _, err = cmd("lookup", "q", "--list", compiled, "-a", "md5", "--skip-invalid")
        assert code == (4 if "\r" in text and "#" not in text else 5)
        assert "skipped: q, line" in err
        assert "1 malformed lines skipped" in err

    def test_many_malformed_lines_are_counted(self, cmd, compiled: Path) -> None:
        Path("q").write_text(f"{CAROL}\n" + "nothing\n" * 300)
        code, out, err = cmd("lookup", "q", "--list", compiled, "--skip-invalid")
        assert (code, out) == (4, f"{CAROL}\t-\n")
        assert err.count("skipped: q, line") == 100
        assert "200 more lines" in err

    def test_usage(self, cmd, compiled: Path) -> None:
        Path("q").write_text(f"{BOB}\n")
        Path("csv").write_text(f"id,md5\nx,{BOB}\n")
        Path("sha512").write_text("0" * 128 + "\n")
        for arguments, message in (
            (["q"], "--list"),
            (["--list", compiled], "FILE"),
            (["q", "--list", compiled, "-a", "pdq"], "expected one of md5, sha1, sha256, sha512"),
            (["q", "--list", compiled, "-a", "md5,sha1"], "expected one algorithm"),
            (["q", "--list", compiled, "-a", "md6"], "md6"),
            (["q", "--list", compiled, "-a", "sha256"], "nothing could match"),
            (["sha512", "--list", compiled], "sha512: holds sha512"),
            (["csv", "--list", compiled], "hashmatch match"),
        ):
            code, out, err = cmd("lookup", *arguments)
            assert (code, out) == (2, ""), arguments
            assert message in err, arguments

    def test_bad_files(self, cmd, compiled: Path) -> None:
        Path("empty").write_bytes(b"")
        Path("text").write_text("hello\n")
        Path("open").write_text(BOB)
        Path("q").write_text(f"{BOB}\n")
        Path("dir").mkdir()
        for name, message in (
            ("none", "no such file"),
            ("empty", "empty"),
            ("text", "-a md5"),
            ("dir", "folder"),
            ("open", "or -a md5 if it is whole"),
            (compiled, "is a compiled hashmatch list"),
        ):
            code, out, err = cmd("lookup", name, "--list", compiled)
            assert (code, out) == (3, ""), name
            assert message in err, name
            assert "--from" not in err, name
        assert cmd("lookup", "open", "--list", compiled, "-a", "md5")[0] == 1
        assert cmd("lookup", "q", "--list", "none.hmx")[0] == 3
        assert cmd("lookup", "q", "--list", "q")[0] == 3

    def test_an_output_replaces_no_input_and_no_list(self, cmd, compiled: Path) -> None:
        Path("q").write_text(f"{BOB}\n")
        Path("other.hmx").write_bytes(compiled.read_bytes())
        for out in ("q", compiled, "other.hmx"):
            code, _, err = cmd("lookup", "q", "--list", compiled, "--out", out)
            assert (code, "nothing was changed" in err) == (2, True)
        Path("bad").write_text(f"{BOB}\nx\n")
        Path("out").write_text("former")
        assert cmd("lookup", "bad", "--list", compiled, "--out", "out")[0] == 3
        assert Path("out").read_text() == "former"
        assert cmd("lookup", "q", "--list", compiled, "--out", "out")[:2] == (1, "")
        assert Path("out").read_text() == f"{BOB}\tOther\tb\t\n"

    def test_a_known_good_list_is_refused(self, cmd) -> None:
        Path("l.md5").write_text(f"{BOB}  ref\n")
        cmd("list", "create", "g.hml", "--role", "known-good")
        cmd("list", "import", "g.hml", "l.md5", "--source", "S")
        code, _, err = cmd("lookup", "l.md5", "--list", "g.hml")
        assert (code, "known-good" in err) == (2, True)

    def test_a_damaged_list(self, cmd, compiled: Path) -> None:
        Path("q").write_text(f"{BOB}\n")
        with CompiledList.open(compiled) as opened:
            at = opened.sections["md5.values"].offset
        raw = bytearray(compiled.read_bytes())
        raw[at] ^= 1
        Path("d.hmx").write_bytes(raw)
        code, out, err = cmd("lookup", "q", "--list", "d.hmx")
        assert (code, out) == (3, "")
        assert "checksum" in err
        assert cmd("lookup", "q", "--list", "d.hmx", "--no-verify")[0] in (0, 1)


def test_check_refuses_what_is_no_digest(compiled: Path) -> None:
    with Lookup.open(compiled) as lookup:
        lookup.check("md5", "-a")
        with pytest.raises(UsageError):
            lookup.check("pdq", "-a")
