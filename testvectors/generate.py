"""Make the test vectors again, or check that what is committed is what this program makes.

    python testvectors/generate.py             write the folder
    python testvectors/generate.py --check     change nothing; exit code 1 and the names of files that differ
    python testvectors/generate.py --reencode  encode JPEG and WebP files afresh with the encoder that is installed

Needs hashmatch, pdqhash and imagehash. README.md says what the vectors are.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
for _place in (FOLDER, FOLDER.parent):  # so that it also runs from a checkout that is not installed
    if str(_place) not in sys.path:
        sys.path.insert(0, str(_place))

from vectormakers import file_tier, hash_lists, pictures, pixel_tier, reports, searches  # noqa: E402
from vectormakers.committed import Committed, VectorError  # noqa: E402

__all__ = ["build", "differences", "main"]

#: Folders that hold generated files only: what is there and not generated is stale.
_OWNED = ("files", "lists/valid", "lists/invalid")
#: Files beside them that are written by hand.
_BY_HAND = ("README.md", "schema.json")


def build(folder: Path = FOLDER, *, reencode: bool = False, level: int = 9) -> tuple[dict[str, bytes], Committed]:
    """All generated files by path below the folder, and what was found about the committed ones (notes, problems).

    Args:
        folder: what is committed; compressed data that hold the wanted bytes are kept.
        reencode: see `file_tier.make`.
        level: of zlib, for what is new.

    Raises:
        VectorError: an expectation fails its cross-check.
    """
    committed = Committed(folder, level)
    found = pictures.pictures()
    result = {
        "images.json": pictures.images_document(found, committed),
        "pdq.json": pixel_tier.pdq_document(found, committed),
        "digests.json": pixel_tier.digests_document(),
        "search.json": searches.search_document(),
        "report.json": reports.report_document(),
    }
    for name in ("phash", "dhash", "ahash", "whash"):
        result[f"{name}.json"] = pixel_tier.family_document(name, found)
    files, result["files.json"] = file_tier.make(committed, reencode=reencode)
    lists, result["lists/expect.json"] = hash_lists.make()
    return result | files | lists, committed


def _stale(folder: Path, made: dict[str, bytes]) -> list[str]:
    there = [path for owned in _OWNED for path in (folder / owned).rglob("*") if path.is_file()]
    there += folder.glob("*.json")
    names = (path.relative_to(folder).as_posix() for path in there)
    return sorted(name for name in names if name not in made and name not in _BY_HAND)


def differences(folder: Path = FOLDER, *, level: int = 9) -> tuple[list[str], list[str]]:
    """(files that differ from what this program makes, with what is wrong; notes). Changes nothing."""
    try:
        made, committed = build(folder, level=level)
    except VectorError as error:
        return [str(error)], []
    wrong = list(committed.problems)
    for name, data in made.items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name}: is missing")
        elif path.read_bytes() != data:
            wrong.append(f"{name}: differs")
    wrong += [f"{name}: is not made by generate.py" for name in _stale(folder, made)]
    return sorted(wrong), committed.notes


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make or check the test vectors.")
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if a file differs")
    parser.add_argument("--reencode", action="store_true", help="encode JPEG and WebP files afresh")
    options = parser.parse_args(arguments)
    if options.check:
        wrong, notes = differences()
        for line in (*notes, *wrong):
            print(line, file=sys.stderr)
        print(f"{len(wrong)} differences")
        return 1 if wrong else 0
    try:
        made, committed = build(reencode=options.reencode)
    except VectorError as error:
        committed = Committed(FOLDER)
        committed.problems.append(str(error))
    if committed.problems:
        print("\n".join([*committed.problems, "nothing was written"]), file=sys.stderr)
        return 1
    notes = committed.notes
    for name, data in made.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in _stale(FOLDER, made):
        (FOLDER / name).unlink()
        notes.append(f"{name}: removed")
    for line in notes:
        print(line, file=sys.stderr)
    print(f"{len(made)} files, {sum(map(len, made.values())):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
