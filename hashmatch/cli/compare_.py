"""``hashmatch compare``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from hashmatch.algorithms import ALGORITHMS, PDQ_MIN_QUALITY, Kind, names, parse_hex
from hashmatch.cli.console import algorithm_list, radius_map
from hashmatch.cli.imaging_options import imaging_options, make_limits
from hashmatch.errors import UsageError, exit_code, shorten


@click.command("compare")
@click.argument("a")
@click.argument("b")
@click.option("-a", "--algorithms", metavar="NAMES", callback=algorithm_list, help="Algorithms, separated by commas.")
@click.option(
    "--radius", metavar="ALGORITHM=N", multiple=True, callback=radius_map, help="Largest distance that matches."
)
@imaging_options
def command(a: str, b: str, algorithms: tuple[str, ...] | None, radius: dict[str, int], **options: Any) -> int:
    """Compare two images, or two hashes in hexadecimal, and print the distances.

    Hashes tell their algorithm by their length: 64 digits are taken as pdq, 16 as a 64-bit hash (phash, dhash, ahash
    and whash have the same distance); -a says otherwise. Exit code 1: at least one distance is within its radius.
    """
    files = [os.path.isfile(text) for text in (a, b)]  # noqa: PTH113 - unlike Path.is_file it never raises
    if all(files):
        pairs, quality = _images(a, b, algorithms, options)
    elif not any(files):
        pairs, quality = _codes(a, b, algorithms), {}
    else:
        found = a if files[0] else b
        raise UsageError(f"{found} is a file and {shorten(b if files[0] else a)} is not; give two images or two hashes")
    matched = False
    for name, (left, right) in pairs.items():
        algorithm = ALGORITHMS[name]
        limit = radius.get(name, algorithm.radius)
        if algorithm.kind is Kind.EXACT:
            within = left == right
            click.echo(f"{name:<9}{'the same' if within else 'different'}")
        else:
            distance = _distance(algorithm.kind, left, right)
            within = distance <= limit
            verdict = "match" if within else "no match"
            if name == "pdq" and quality and min(quality.values()) < PDQ_MIN_QUALITY:
                verdict, within = f"not matched: quality {min(quality.values())} is under {PDQ_MIN_QUALITY}", False
            click.echo(f"{name:<9}distance {distance:>4} of {algorithm.max_radius}, radius {limit}: {verdict}")
        matched |= within
    return exit_code(matched=matched, unreadable=False)


def _distance(kind: Kind, left: bytes, right: bytes) -> int:
    if kind is Kind.EUCLIDEAN:
        return sum((x - y) ** 2 for x, y in zip(left, right, strict=True))
    return (int.from_bytes(left) ^ int.from_bytes(right)).bit_count()


def _images(
    a: str, b: str, algorithms: tuple[str, ...] | None, options: dict[str, Any]
) -> tuple[Mapping[str, tuple[bytes, bytes]], dict[str, int]]:
    from hashmatch.hashing import hash_image

    wanted = algorithms or ("md5", *(n for n in names(Kind.HAMMING) if ALGORITHMS[n].computed))
    left, right = (
        hash_image(
            path, wanted, limits=make_limits(options), orientation=options["orientation"], profile=options["profile"]
        )
        for path in (a, b)
    )
    quality = {side: r.quality["pdq"] for side, r in (("a", left), ("b", right)) if "pdq" in r.quality}
    return {name: (left.hashes[name], right.hashes[name]) for name in wanted}, quality


def _codes(a: str, b: str, algorithms: tuple[str, ...] | None) -> Mapping[str, tuple[bytes, bytes]]:
    if algorithms is not None:
        if opaque := [name for name in algorithms if ALGORITHMS[name].kind is Kind.OPAQUE]:
            raise UsageError(
                f"{', '.join(opaque)}: kept with entries, but no distance of it is public; nothing to compare"
            )
        return {name: (parse_hex(name, a), parse_hex(name, b)) for name in algorithms}
    by_digits = {2 * ALGORITHMS[n].width: n for n in ("md5", "sha1", "pdq", "phash", "sha512", "photodna")}
    name = by_digits.get(len(a))
    if name is None:
        lengths = ", ".join(f"{digits} ({n})" for digits, n in sorted(by_digits.items()))
        raise UsageError(
            f"{shorten(a)} is neither a file nor a hash: {len(a)} characters; expected a file that exists, or "
            f"hexadecimal digits: {lengths}"
        )
    return {name: (parse_hex(name, a), parse_hex(name, b))}
