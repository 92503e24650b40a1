"""Suite ``import``: a generated ICSE export into a list."""

from __future__ import annotations

import csv
import hashlib
import itertools
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hashmatch._version import __version__
from hashmatch.bench import icse
from hashmatch.bench.measure import Contestant
from hashmatch.bench.result import OURS, Case
from hashmatch.bench.suites import Plan, expect
from hashmatch.lists.store import HashList

__all__ = ["run"]

#: Rows that are compared cell by cell.
_CHECKED = 20_000
_DIGESTS = (("MD5", "md5"), ("SHA1", "sha1"), ("ZZ40", "zz40"), ("PhotoDNA", "photodna"))


def run(plan: Plan) -> Iterator[Case]:
    """One case for each size."""
    for rows in plan.sizes:
        with tempfile.TemporaryDirectory(prefix="hashmatch-bench-", ignore_cleanup_errors=True) as folder:
            export, known = Path(folder) / "icse.csv", Path(folder) / "known.hml"
            with export.open("wb") as out:
                icse.write(out, rows, plan.seed)
            _import(known, export)
            compared = _check(known, export, rows)
            file_bytes = known.stat().st_size
            _remove(known)
            yield Case(
                "import",
                "icse",
                {"entries": rows},
                "rows",
                rows,
                f"{compared:,} of {rows:,} entries cell by cell with the csv module's reading of the file; all counted",
                [
                    Contestant(
                        OURS,
                        __version__,
                        lambda known=known, export=export: _import(known, export),  # type: ignore[misc]
                        f"HashList.import_file: read, checked, stored and synced; {file_bytes / rows:,.0f} bytes an "
                        "entry in the file",
                        ours=True,
                        after=lambda known=known: _remove(known),  # type: ignore[misc]
                    ),
                    Contestant(
                        "csv-split",
                        platform.python_version(),
                        lambda export=export: _split(export),  # type: ignore[misc]
                        "the csv module only splits the rows; nothing is checked or kept",
                    ),
                    Contestant(
                        "md5-dict",
                        platform.python_version(),
                        lambda export=export: _dictionary(export),  # type: ignore[misc]
                        "the csv module splits, a dict in memory keeps MD5 and number of row",
                    ),
                    Contestant(
                        "sha256-file",
                        platform.python_version(),
                        lambda export=export: _digest(export),  # type: ignore[misc]
                        "the file is read and its SHA-256 made: a part of every import",
                    ),
                ],
            )


def _import(known: Path, export: Path) -> None:
    with HashList.open(known, create=True) as opened:
        opened.import_file(export, "generated")


def _remove(known: Path) -> None:
    """The list, and what stands beside it."""
    for path in known.parent.glob(f"{known.name}*"):
        path.unlink()


def _split(export: Path) -> int:
    with export.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file, delimiter=";"))


def _dictionary(export: Path) -> dict[bytes, int]:
    with export.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file, delimiter=";")
        next(rows)
        return {bytes.fromhex(row[0]): number for number, row in enumerate(rows)}


def _digest(export: Path) -> bytes:
    with export.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _check(known: Path, export: Path, rows: int) -> int:
    """Compare the list with the file; how many entries were."""
    compared = 0
    with HashList.open(known, read_only=True) as opened, export.open(newline="", encoding="utf-8") as file:
        expect(opened.info().entries == rows, f"import icse, {rows:,} rows: the count of entries")
        cells = itertools.islice(csv.DictReader(file, delimiter=";"), _CHECKED)
        for row, held in zip(cells, opened.entries(), strict=False):
            entry = held.entry
            same = (
                entry.ref == row["Image ID"]
                and entry.media_type == row["Media Type"].lower()
                and entry.category == ("interpol", "baseline" if row["Baseline"] == "Yes" else "non-baseline")
                and all(entry.hashes.get(name, b"").hex() == row[column].lower() for column, name in _DIGESTS)
            )
            expect(same, f"import icse, {rows:,} rows: entry {compared + 1:,}")
            compared += 1
    expect(compared == min(rows, _CHECKED), f"import icse, {rows:,} rows: entries are missing")
    return compared
