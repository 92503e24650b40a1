"""``hashmatch demo``: the whole job, on images that it makes itself."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

_SIZE = (480, 360)


@click.command("demo")
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Work in DIR, a new folder, and keep it.")
def command(keep: Path | None) -> None:
    """Make benign images and a list, run the whole job, print the report.

    Two organisations list the hashes of generated images, one entry is retracted, the list is compiled, and a folder of
    copies, edited copies and unrelated images is scanned. Nothing is left behind unless --keep is given.
    """
    from hashmatch.errors import FileExistsAlreadyError

    if keep is None:
        with tempfile.TemporaryDirectory(prefix="hashmatch-demo-", ignore_cleanup_errors=True) as folder:
            _run(Path(folder), kept=False)
        return
    if keep.exists():
        raise FileExistsAlreadyError(f"{keep}: exists already; --keep makes a new folder: choose another name")
    keep.mkdir(parents=True)
    _run(keep, kept=True)


def _run(folder: Path, *, kept: bool) -> None:
    """Run the steps, each by the command that a user would type."""
    with contextlib.chdir(folder):  # so that the commands read as a user would type them
        rows = _make_images(Path("originals"), Path("seized"))
        header = "id,md5,pdq,category_scheme,category"
        Path("agency.csv").write_text("\n".join([header, *rows[:4]]) + "\n", "utf-8")
        Path("unit.csv").write_text("\n".join([header, *rows[3:]]) + "\n", "utf-8")
        for step in (
            "list create known.hml",
            "list import known.hml agency.csv --source Demo-Agency",
            "list import known.hml unit.csv --source Demo-National-Unit",
            "list retract known.hml entry-5 --source Demo-National-Unit --reason demonstration",
            "compile known.hml -o known.hmx",
            "scan seized --list known.hmx --report report --workers 1",
        ):
            _step(step.split())
    click.echo("\nThe retracted entry did not match; the broken file is a row and not a stop.")
    click.echo(f"Everything is in {folder}." if kept else "Nothing was kept; --keep DIR keeps the list and the report.")


def _step(arguments: Sequence[str]) -> None:
    from hashmatch.cli import cli

    click.secho(f"\n$ hashmatch {' '.join(arguments)}", bold=True)
    cli.main(args=list(arguments), prog_name="hashmatch", standalone_mode=False)


def _make_images(originals: Path, seized: Path) -> list[str]:
    """Write six originals and the folder to scan; return a CSV row for each original."""
    from hashmatch import imaging, synthetic
    from hashmatch.hashing import hash_bytes

    originals.mkdir()
    seized.mkdir()
    rows = []
    for number in range(1, 7):
        pixels = synthetic.image(number, *_SIZE, kind="noise" if number % 2 else "shapes")
        data = imaging.encode(pixels, "JPEG", quality=92)
        record = hash_bytes(data, ("md5", "pdq"))
        rows.append(f"entry-{number},{record.hex()['md5']},{record.hex()['pdq']},demo,benign")
        if number == 1:
            (seized / "exact-copy.jpg").write_bytes(data)
        elif number == 2:
            (seized / "recompressed.jpg").write_bytes(imaging.encode(pixels, "JPEG", quality=35))
        elif number == 3:
            (seized / "smaller.png").write_bytes(imaging.encode(pixels[::2, ::2].copy(), "PNG"))
        elif number == 4:
            (seized / "other-format.webp").write_bytes(imaging.encode(pixels, "WEBP", quality=70))
        elif number == 5:
            (seized / "copy-of-the-retracted.jpg").write_bytes(data)
        else:
            (seized / "truncated.jpg").write_bytes(data[: len(data) // 3])
    for number in range(100, 104):
        data = imaging.encode(synthetic.image(number, *_SIZE), "JPEG", quality=85)
        (seized / f"unrelated-{number}.jpg").write_bytes(data)
    return rows
