"""Search cases: expected pairs come from a loop over all of them, never from an engine."""

from __future__ import annotations

import hashlib
from typing import Any

from vectormakers.committed import document

__all__ = ["search_document"]

_DEFAULT = 31


def _code(label: str, width: int) -> bytes:
    """Bytes without meaning, the same everywhere."""
    return hashlib.shake_256(b"hashmatch search vector " + label.encode()).digest(width)


def _flipped(code: bytes, *bits: int) -> bytes:
    """``code`` with bits inverted; bit 0 is the first in the hexadecimal text."""
    changed = bytearray(code)
    for bit in bits:
        changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def _hamming(a: bytes, b: bytes) -> int:
    return sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True))


def _squared(a: bytes, b: bytes) -> int:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def _exact(a: bytes, b: bytes) -> int:
    return 0 if a == b else 1


_DISTANCES = {"hamming": _hamming, "euclidean": _squared, "exact": _exact}


def _vector(
    name: str, comment: str, kind: str, algorithm: str, rows: list[bytes], queries: list[bytes], radius: int
) -> dict[str, Any]:
    distance = _DISTANCES[kind]
    triples = []
    for number, query in enumerate(queries):
        near = [(distance(query, code), row) for row, code in enumerate(rows)]
        triples += [[number, row, d] for d, row in sorted(near) if d <= radius]
    return {
        "id": f"search-{name}",
        "comment": comment,
        "kind": kind,
        "algorithm": algorithm,
        "input": {"list": [r.hex() for r in rows], "queries": [q.hex() for q in queries], "radius": radius},
        "expect": triples,
    }


def _hamming_vectors(algorithm: str, width: int) -> list[dict[str, Any]]:
    bits = 8 * width

    def case(name: str, comment: str, rows: list[bytes], queries: list[bytes], radius: int) -> dict[str, Any]:
        return _vector(f"{algorithm}-{name}", comment, "hamming", algorithm, rows, queries, radius)

    base = _code("base", width)
    spread = [(7 * k + 3) % bits for k in range(bits)]  # all bits, in an order that touches every byte early
    # One row for every distance that matters, in an order that is not that of the distances.
    distances = [d for d in (32, 0, 31, 1, 33, 2, 16, bits, 63, 64, bits - 1) if d <= bits]
    ladder = [_flipped(base, *spread[:d]) for d in distances]
    random = [_code(f"row {k}", width) for k in range(48)]
    return [
        case("radius-0", "equality alone", ladder, [base, _flipped(base, 5), _code("absent", width)], 0),
        case("radius-1", "one bit, and not two", ladder, [base, _flipped(base, spread[0])], 1),
        case("radius-31", "31 matches and 32 does not: the radius is inclusive", ladder, [base], _DEFAULT),
        case("radius-32", "32 matches and 33 does not", ladder, [base], 32),
        case("radius-all", "a radius of all bits: every row, ordered by distance", ladder, [base, bytes(width)], bits),
        case("radius-all-less-one", "all bits less one: the opposite is left out", ladder, [base], bits - 1),
        case(
            "clustered-bits",
            "the differing bits side by side, at the start, in the middle, at the end",
            [_flipped(base, *range(at, at + 8)) for at in (0, 12, bits // 2 - 4, bits - 8)],
            [base, _flipped(base, *range(4, 12))],
            8,
        ),
        case("single-bits", "every bit of the code by itself", [_flipped(base, k) for k in range(bits)], [base], 1),
        case(
            "duplicates",
            "equal codes are separate rows; equal queries give equal results",
            [base, random[0], base, _flipped(base, 9), base],
            [base, random[0], base],
            1,
        ),
        case(
            "ties",
            "rows at one distance come in the order of their numbers",
            [_flipped(base, k) for k in (200 % bits, 3, 77 % bits, 0)],
            [base],
            4,
        ),
        case("empty-list", "a list without rows", [], [base, bytes(width)], _DEFAULT),
        case("no-queries", "nothing to look up", [base], [], _DEFAULT),
        case("one-entry", "one row, hit and missed", [base], [base, _flipped(base, *spread[:32])], _DEFAULT),
        case(
            "zero-and-ones",
            "all zero and all one",
            [bytes(width), b"\xff" * width],
            [bytes(width), b"\xff" * width],
            bits // 2,
        ),
        case(
            "random",
            "codes that have nothing to do with each other; some lie within half of the bits",
            random,
            [_code(f"query {k}", width) for k in range(6)],
            bits // 2 - bits // 16,
        ),
    ]


def _digest_vectors() -> list[dict[str, Any]]:
    found = []
    for algorithm, width in (("md5", 16), ("sha1", 20), ("sha256", 32), ("sha512", 64)):
        rows = [_code(f"digest {k % 9}", width) for k in range(12)]  # rows 9 to 11 repeat rows 0 to 2
        near = _flipped(rows[4], 8 * width - 1)
        queries = [rows[4], rows[1], near, _code("absent", width), rows[8]]
        comment = "equality; one row, two rows with one digest, a digest that differs in its last bit, an absent one"
        found.append(_vector(f"{algorithm}-lookup", comment, "exact", algorithm, rows, queries, 0))
    zeros, ones = bytes(16), b"\xff" * 16
    tail = bytes(15) + b"\1"
    found += [
        _vector(
            "md5-extremes",
            "all zero, all one, and zeros at the end: no sentinel, no padding",
            "exact",
            "md5",
            [zeros, ones, tail, b"\1" + bytes(15)],
            [ones, zeros, b"\1" + bytes(15), tail, b"\2" + bytes(15)],
            0,
        ),
        _vector(
            "md5-shared-prefix",
            "digests that share their first eight bytes",
            "exact",
            "md5",
            [bytes(8) + bytes([k] * 8) for k in (5, 1, 3)],
            [bytes(8) + bytes([k] * 8) for k in (1, 2, 3, 5)],
            0,
        ),
        _vector("md5-empty-list", "a list without rows", "exact", "md5", [], [zeros], 0),
    ]
    return found


def _photodna_vectors() -> list[dict[str, Any]]:
    width = 144
    base = bytes(100 + k % 50 for k in range(width))

    def moved(*steps: tuple[int, int]) -> bytes:
        changed = bytearray(base)
        for place, step in steps:
            changed[place] += step
        return bytes(changed)

    def case(name: str, comment: str, rows: list[bytes], queries: list[bytes], radius: int) -> dict[str, Any]:
        return _vector(f"photodna-{name}", comment, "euclidean", "photodna", rows, queries, radius)

    # 40,000 = 120^2 + 160^2 is not within reach of one byte step here; 16 steps of 50 are: 16 * 2,500.
    limit = moved(*((k, 50) for k in range(16)))
    over = moved(*((k, 50) for k in range(16)), (143, -1))
    rows = [over, base, limit, moved((0, 1)), moved((143, -3), (7, 4))]
    far = [bytes(width), b"\xff" * width]
    random = [_code(f"photodna {k}", width) for k in range(10)]
    return [
        case("radius-0", "equality alone", rows, [base, rows[3]], 0),
        case("radius-25", "25 = 3 x 3 + 4 x 4 matches: squared, inclusive", rows, [base], 25),
        case("radius-24", "and under 24 it does not", rows, [base], 24),
        case("radius-40000", "the customary limit: 40,000 matches, 40,001 does not", rows, [base], 40_000),
        case("extremes", "the largest distance: 144 x 255 x 255", far, far, width * 255 * 255),
        case("extremes-less-one", "one less leaves the opposite out", far, far, width * 255 * 255 - 1),
        case(
            "signs",
            "differences of both signs: bytes must not wrap around",
            [bytes([0, 255] * 72), bytes([255, 0] * 72)],
            [bytes([1, 254] * 72)],
            144,
        ),
        case("duplicates", "equal vectors are separate rows", [base, random[0], base], [base], 40_000),
        case(
            "random",
            "vectors that have nothing to do with each other",
            random,
            [_code("photodna q", width), random[7]],
            1_500_000,
        ),
        case("empty-list", "a list without rows", [], [base], 40_000),
    ]


def search_document() -> bytes:
    """``search.json``."""
    units = {
        "list": "codes, in hexadecimal; the row of a code is its place, from 0",
        "queries": "codes to look up, numbered from 0",
        "radius": "largest distance that matches, inclusive: bits (hamming), squared units (euclidean), 0 (exact)",
        "expect": "[query, row, distance], ordered by query, then distance, then row; nothing is missing",
    }
    vectors = [*_hamming_vectors("pdq", 32), *_hamming_vectors("phash", 8), *_digest_vectors(), *_photodna_vectors()]
    comment = "Exact range search. The codes are bytes without meaning; none is the hash of anything."
    return document("search", comment, units, vectors)
