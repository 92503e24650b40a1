"""The documents are true: commands, exit codes, paths, and the formats read by a reader that knows only FORMATS.md."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import struct
import tomllib
import zlib
from itertools import pairwise
from pathlib import Path

import click
import pytest

from hashmatch import HashList, algorithms
from hashmatch.bench.result import read_document
from hashmatch.bench.table import brief
from hashmatch.cli import VERBS, cli
from hashmatch.errors import EXIT_CODES
from hashmatch.lists.entry import Entry
from hashmatch.lists.formats import FORMATS
from hashmatch.lists.writers import WRITERS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def command_help() -> str:
    """CLI.md: the --help of every command."""
    parts = ["# Commands\n\nWritten by `make docs` from the program itself; a test compares them.\n"]

    def add(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(
            command,
            info_name=name,
            parent=parent,
            terminal_width=100,
            max_content_width=100,
            help_option_names=["-h", "--help"],
        )
        parts.append(f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for verb in command.list_commands(context):
                child = command.get_command(context, verb)
                assert child is not None
                add(child, verb, context)

    add(cli, "hashmatch", None)
    return "\n".join(parts)


def test_cli_reference_is_current() -> None:
    """Words are compared and not line breaks, which differ between versions of click."""
    path = ROOT / "CLI.md"
    if os.environ.get("HASHMATCH_WRITE_DOCS"):
        path.write_text(command_help(), encoding="utf-8")
    assert path.read_text(encoding="utf-8").split() == command_help().split(), "run `make docs`"


#: Where a document shows the table of committed results: what `hashmatch bench show --brief PATH` prints.
SHOWN = re.compile(r"(<!-- hashmatch bench show --brief (\S+) -->\n)(.*?)(<!-- end -->\n)", re.DOTALL)


@pytest.mark.parametrize("name", ["README.md", "benchmarks/README.md"])
def test_tables_of_figures_come_from_committed_results(name: str) -> None:
    path = ROOT / name
    text = path.read_text(encoding="utf-8")
    made = SHOWN.sub(lambda found: found[1] + "\n".join(["", *shown_table(ROOT / found[2]), "", found[4]]), text)
    if os.environ.get("HASHMATCH_WRITE_DOCS"):
        path.write_text(made, encoding="utf-8")
    assert SHOWN.search(text)
    assert path.read_text(encoding="utf-8") == made, "run `make docs`"


def shown_table(path: Path) -> list[str]:
    return list(brief(read_document(path)))


def test_match_names_every_format() -> None:
    """They are written out, so that --help loads no reader."""
    shown = " ".join((cli.get_command(click.Context(cli), "match").help or "").split())  # type: ignore[union-attr]
    listed = re.search(r"Formats of the queries: ([^.]*)\.", shown)
    assert listed is not None
    assert listed[1].split(", ") == list(FORMATS)


def test_readme_names_every_verb_and_no_other() -> None:
    named = {line.split("`")[1].split()[1] for line in README.splitlines() if line.startswith("| `hashmatch ")}
    assert named == set(VERBS)


def test_readme_has_the_exit_codes_of_the_code() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE))
    assert {int(code): meaning for code, meaning in rows.items()} == EXIT_CODES


def test_readme_names_every_format_that_is_read_or_written() -> None:
    section = README[README.index("## Formats\n") : README.index("## The life of a list")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    named = {name: row for row in rows[2:] for name in re.findall("`([a-z0-9-]+)`", row[1])}
    assert set(named) == set(FORMATS)
    assert {name for name, row in named.items() if row[3]} == set(WRITERS)
    assert all(row[2] == "yes" and row[4] for row in named.values())


def test_readme_has_the_registrys_radii() -> None:
    table = README[README.index("## What it matches") :]
    for algorithm in algorithms.ALGORITHMS.values():
        if algorithm.kind is not algorithms.Kind.OPAQUE:
            row = next(line for line in table.splitlines() if f"`{algorithm.name}`" in line)
            assert algorithm.kind is algorithms.Kind.EXACT or f"| {algorithm.radius:,} |" in row


def test_links_and_paths_exist() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{document.name} links to {target}"
    table = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Where things are")[1].split("## ")[0]
    named = [cell for row in table.splitlines() if row.startswith("| `") for cell in row.split("|")[1].split(",")]
    for cell in named:
        name = cell.strip().strip("`")
        assert (
            list(ROOT.glob(name)) or list(ROOT.glob(f"hashmatch/{name}")) or list(ROOT.glob(f"hashmatch/*/{name}"))
        ), name
    modules = {path.name for path in (ROOT / "hashmatch").iterdir() if path.name not in {"__pycache__", "py.typed"}}
    missing = {m for m in modules if not m.startswith("_") and m not in table}
    assert not missing, f"ARCHITECTURE.md does not say what these are for: {missing}"


def test_readme_states_the_python_that_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Python {project['requires-python'].removeprefix('>=')} or later" in README


def test_makefile_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in (*ROOT.glob("*.md"), *ROOT.glob("*/README.md")):
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE):
            assert target in targets, f"{document.name}: make {target}"


# ---------------------------------------------------------------------- FORMATS.md, read without our code

NUMBERS = {
    number: (name, int(width))
    for number, name, width in (
        (int(a), b, c)
        for a, b, c in re.findall(
            r"^\| (\d+) \| (\w+) \| (\d+) \| (?:exact|hamming|euclidean|opaque)",
            (ROOT / "FORMATS.md").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
}
ENTRIES = [
    Entry.make("b", {"md5": b"\1" * 16, "pdq": b"\2" * 32}, quality={"pdq": 61}, media_type="video", size=9),
    Entry.make("a", {"pdq": b"\2" * 32, "lace": b"\3" * 129}, category=("interpol", "baseline"), metadata={"é": 1}),
    Entry.make("c", {"md5": b"\0" * 16}),
]


def test_algorithm_numbers() -> None:
    assert {a.number: (a.name, a.width) for a in algorithms.ALGORITHMS.values()} == NUMBERS


def unpack(packed: bytes) -> dict[str, bytes]:
    mask, at, found = int.from_bytes(packed[:4], "little"), 4, {}
    for number, (name, width) in sorted(NUMBERS.items()):
        if mask >> number & 1:
            found[name] = packed[at : at + width]
            at += width
            if name == "pdq":
                found["quality"] = packed[at : at + 1]
                at += 1
    assert at == len(packed)
    return found


@pytest.fixture
def known(tmp_path: Path) -> Path:
    with HashList.open(tmp_path / "known.hml", create=True) as opened:
        opened.import_entries(ENTRIES, "Ünit")
        opened.import_entries(ENTRIES[:1], "Agency")
        opened.retract("Ünit", ["z"], reason="r", allow_unseen=True)
        opened.give_opinion("Ünit", ["b"], "Other", affirmative=False, reason="why", algorithm="md5")
        opened.compile(tmp_path / "known.hmx")
    return tmp_path / "known.hml"


def test_the_list(known: Path) -> None:
    connection = sqlite3.connect(known)
    query = connection.execute
    assert query("PRAGMA application_id").fetchone() == (int.from_bytes(b"HML1"),)
    media = {0: "", 1: "image", 2: "video", 3: "other"}
    digest = hashlib.sha256(b"hashmatch snapshot 2\0known\0")
    found = []
    for number, name in sorted(query("SELECT id, name FROM source").fetchall(), key=lambda row: row[1].encode()):
        blocks = query("SELECT * FROM block WHERE source = ? ORDER BY last", (number,)).fetchall()
        digest.update(name.encode() + b"\0" + struct.pack("<Q", len(blocks)))
        for _, _, last, part, entries, newest, checksum, changes, rows in blocks:
            assert hashlib.sha256(rows).digest() == checksum
            digest.update(checksum)
            assert zlib.crc32(changes[:-4]) == int.from_bytes(changes[-4:], "little")
            numbers = struct.unpack(f"<{entries}I", changes[:-4])
            assert (newest, part) == (max(numbers), 0)
            n, count, *sizes = struct.unpack_from("<7I", rows)
            assert n == entries
            category = struct.unpack_from(f"<{n}H", rows, 28)
            kinds = rows[28 + 2 * n : 28 + 3 * n]
            lengths = struct.unpack_from(f"<{n}q", rows, 28 + 3 * n)
            masks = struct.unpack_from(f"<{n}I", rows, 28 + 11 * n)
            edges = [28 + 15 * n + sum(sizes[:at]) for at in range(6)]
            assert edges[5] == len(rows)
            parts = [rows[a:b] for a, b in pairwise(edges)]
            refs, bodies = parts.pop(1).decode().split("\0")[:-1], parts.pop(1)
            texts = [part.decode().split("\0")[:-1] for part in parts]
            assert len(texts[0]) == 2 * count
            assert refs[-1] == last
            assert not any(zlib.crc32(ref.encode()) & 127 == 127 for ref in refs[:-1])
            for at in range(n):
                pair = tuple(texts[0][2 * category[at] - 2 : 2 * category[at]]) if category[at] else None
                mask = masks[at].to_bytes(4, "little")
                width = sum(w + (a == "pdq") for number, (a, w) in NUMBERS.items() if masks[at] >> number & 1)
                hashes, bodies = unpack(mask + bodies[:width]), bodies[width:]
                metadata = texts[1][at] if texts[1] else ""
                opinions = texts[2][at] if texts[2] else ""
                found.append((name, refs[at], pair, media[kinds[at]], lengths[at], metadata, opinions, hashes))
            assert not bodies
    assert [row[:2] for row in found] == [("Agency", "b"), ("Ünit", "a"), ("Ünit", "b"), ("Ünit", "c")]
    for name, ref, pair, kind, size, metadata, opinions, hashes in found:
        made = next(entry for entry in ENTRIES if entry.ref == ref)
        assert (pair, kind, None if size < 0 else size) == (made.category, made.media_type, made.size), name
        assert (metadata, opinions) == (made.metadata, made.opinions)
        assert {key: value for key, value in hashes.items() if key != "quality"} == made.hashes
    digest.update(b"retracted\0" + hashlib.sha256("Ünit\0z".encode()).digest())
    digest.update(b"opinions\0" + hashlib.sha256("Ünit\0b\0md5\0Other\0-\0why".encode()).digest())
    assert query("SELECT value FROM meta WHERE key = 'snapshot'").fetchone() == (digest.hexdigest(),)
    connection.close()


def test_the_compiled_list(known: Path) -> None:
    data = known.with_suffix(".hmx").read_bytes()
    magic, version, count, size, n, snapshot, table_digest = struct.unpack_from("<8sIIQQ32s32s", data)
    assert (magic, version, size, n) == (bytes.fromhex("89484D580D0A1A0A"), 1, len(data), 4)
    assert hashlib.sha256(data[:96]).digest() == data[96:128]
    table = data[128 : 128 + 88 * count]
    assert hashlib.sha256(table).digest() == table_digest
    sections, end = {}, 128 + len(table)
    for name, offset, length, width, zero, checksum in struct.iter_unpack("<32sQQII32s", table):
        content = data[offset : offset + length]
        assert (offset % 4096, zero, hashlib.sha256(content).digest()) == (0, 0, checksum)
        assert not any(data[end:offset])
        end = offset + length
        sections[name.rstrip(b"\0").decode()] = (content, width)
    assert end == len(data)

    def numbers(name: str) -> list[int]:
        content, width = sections[name]
        signed = name == "row.size"
        parts = (content[i : i + width] for i in range(0, len(content), width))
        return [int.from_bytes(part, "little", signed=signed) for part in parts]

    meta = json.loads(sections["meta"][0])
    assert meta == {
        "role": "known",
        "sources": [{"name": "Agency", "entries": 1}, {"name": "Ünit", "entries": 3}],
        "categories": [["interpol", "baseline"]],
        "hashes": {"md5": 3, "pdq": 3},
    }
    offsets = numbers("ref.offsets")
    text = sections["ref.text"][0]
    assert [text[a:b] for a, b in pairwise(offsets)] == [b"b", b"a", b"b", b"c"]
    assert numbers("row.source") == [0, 1, 1, 1]
    assert numbers("row.category") == [0, 1, 0, 0]
    assert numbers("row.media") == [2, 0, 2, 0]
    assert numbers("row.size") == [9, -1, 9, -1]
    assert numbers("row.quality") == [61, 255, 61, 255]
    assert numbers("row.disputed") == [0, 0, 0b1, 0]
    assert numbers("row.mask") == [0b10001, 0b10000, 0b10001, 0b1]
    assert sections["md5.values"] == (b"\0" * 16 + b"\1" * 32, 16)
    assert numbers("md5.rows") == [3, 0, 2]
    bits = min(24, max(1, (3).bit_length() - 2))
    assert numbers("md5.table") == [sum(v >> 7 < p for v in (0, 1, 1)) for p in range(2**bits + 1)]
    assert sections["pdq.codes"] == (b"\2" * 32, 32)
    assert numbers("pdq.starts") == [0, 3]
    assert numbers("pdq.rows") == [0, 1, 2]
    with HashList.open(known) as opened:
        assert snapshot.hex() == opened.snapshot
