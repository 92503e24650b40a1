"""``hashmatch hash``."""

from __future__ import annotations

import csv
import json
import sys
from typing import Any

import click

from hashmatch.cli.console import algorithm_list, echo_lines, output_stream, progress_bar, quiet_option, utf8_streams
from hashmatch.cli.imaging_options import imaging_options, make_limits
from hashmatch.files import path_as_text
from hashmatch.record import HashRecord


@click.command("hash")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "-a",
    "--algorithms",
    metavar="NAMES",
    default="pdq,phash,md5",
    show_default=True,
    callback=algorithm_list,
    help="Algorithms, separated by commas.",
)
@click.option("--format", "form", type=click.Choice(["text", "jsonl", "csv"]), default="text", show_default=True)
@click.option("-o", "--out", metavar="FILE", help="Write to FILE; the default is standard output.")
@click.option(
    "-j", "--workers", metavar="N", type=click.IntRange(0), default=0, help="Worker processes; 0: this process."
)
@imaging_options
@quiet_option
def command(
    images: tuple[str, ...],
    algorithms: tuple[str, ...],
    form: str,
    out: str | None,
    workers: int,
    quiet: bool,
    **options: Any,
) -> int:
    """Compute hashes of images.

    One result for every IMAGE; one that cannot be decoded has the reason, and its digests. The csv and jsonl forms can
    be given to `hashmatch match` and `hashmatch list import`.
    """
    from hashmatch.scan import hash_images

    utf8_streams()
    unreadable = False
    records = hash_images(
        images,
        algorithms,
        workers=workers,
        limits=make_limits(options),
        orientation=options["orientation"],
        profile=options["profile"],
    )
    with output_stream(out, images) as stream, progress_bar("hashing", "files", quiet=quiet or not out) as progress:
        writer = csv.writer(stream, lineterminator="\n") if form == "csv" else None
        if writer is not None:
            writer.writerow(_columns(algorithms))
        for done, record in enumerate(records, 1):
            unreadable |= record.status != "ok"
            progress(done, len(images))
            if writer is not None:
                writer.writerow(_cells(record, algorithms))
            elif form == "jsonl":
                stream.write(json.dumps(_row(record), ensure_ascii=True) + "\n")
            else:
                stream.write(_text(record))
            if record.status != "ok" and form != "text":
                echo_lines([f"{record.name}: {record.status}: {record.reason}"])
    sys.stdout.flush()
    return 4 if unreadable else 0


def _row(record: HashRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"id": path_as_text(record.name), "status": record.status}
    if record.reason:
        row["reason"] = record.reason
    if record.size is not None:
        row["size"] = record.size
    if record.format:
        row |= {"format": record.format, "width": record.width, "height": record.height, "oriented": record.oriented}
        row |= {"profile": record.profile, "decoder": record.decoder}
    row |= record.hex()
    return row | {f"{name}_quality": value for name, value in record.quality.items()}


def _columns(algorithms: tuple[str, ...]) -> list[str]:
    return ["id", "status", "reason", "size", "format", "width", "height", "profile", *algorithms, "pdq_quality"]


def _cells(record: HashRecord, algorithms: tuple[str, ...]) -> list[str]:
    row = _row(record)
    return [str(row.get(column, "")) for column in _columns(algorithms)]


def _text(record: HashRecord) -> str:
    from hashmatch.errors import printable

    head = f"{printable(record.name)}: "
    if record.format:
        head += f"{record.format} {record.width}x{record.height}, profile {record.profile}"
    else:
        head += f"{record.size or 0:,} bytes"
    if record.status != "ok":
        head = f"{printable(record.name)}: {record.status}: {printable(record.reason)}"
    lines = [head]
    for name, value in record.hex().items():
        quality = f"  quality {record.quality[name]}" if name in record.quality else ""
        lines.append(f"  {name:<8}{value}{quality}")
    return "\n".join(lines) + "\n"
