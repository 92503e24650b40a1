"""The parts of a match scenario: entries, queries, opinions, rows of the report."""

from __future__ import annotations

import hashlib
from typing import Any

from hashmatch.algorithms import ALGORITHMS

__all__ = ["entry_of", "hex_of", "match_of", "opinion_of", "query_of", "row_of", "vector_of"]


def hex_of(algorithm: str, label: str, *flips: int) -> str:
    """A value without meaning, with bits inverted (bit 0 is the first)."""
    raw = bytearray(
        hashlib.shake_256(f"hashmatch report vector {algorithm} {label}".encode()).digest(ALGORITHMS[algorithm].width)
    )
    for bit in flips:
        raw[bit // 8] ^= 0x80 >> bit % 8
    return raw.hex()


def entry_of(ref: str, source: str = "UNIT-A", **more: Any) -> dict[str, Any]:
    """An entry; hashes by the name of their algorithm."""
    hashes = {name: more.pop(name) for name in ALGORITHMS if name in more}
    start: dict[str, Any] = {"source": source, "ref": ref, "hashes": hashes}
    return start | {"quality": {}, "category": None, "media_type": "", "size": None} | more


def query_of(name: str, **more: Any) -> dict[str, Any]:
    """A record to look up; hashes by the name of their algorithm."""
    hashes = {key: more.pop(key) for key in ALGORITHMS if key in more}
    start: dict[str, Any] = {"name": name, "hashes": hashes}
    return start | {"quality": {}, "size": None, "status": "ok", "reason": ""} | more


def row_of(record: int, name: str, verdict: str, matches: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A row; keys in the canonical order. ``size``, ``reason`` and ``quality`` come before the verdict."""
    row: dict[str, Any] = {"input": 0, "record": record, "name": name}
    if "size" in more:
        row["size"] = more.pop("size")
    row["status"] = more.pop("status", "ok")
    for key in ("reason", "quality"):
        if key in more:
            row[key] = more.pop(key)
    return row | {"verdict": verdict, "matches": matches} | more


def match_of(entry: str, algorithm: str, distance: int, radius: int, **more: Any) -> dict[str, Any]:
    """A match of a row; keys in the canonical order."""
    row: dict[str, Any] = {"source": more.pop("source", "UNIT-A"), "entry": entry}
    for key in ("category", "media_type", "state"):
        if key in more:
            row[key] = more.pop(key)
    return row | {"algorithm": algorithm, "distance": distance, "radius": radius} | more


def vector_of(
    name: str,
    comment: str,
    entries: list[dict[str, Any]],
    queries: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """A scenario; ``more``: what else its input holds."""
    start: dict[str, Any] = {"list": entries, "known_good": [], "retract": [], "opinions": [], "options": {}}
    return {
        "id": f"report-{name}",
        "comment": comment,
        "input": start | more | {"queries": queries},
        "expect": rows,
    }


def opinion_of(
    ref: str, organisation: str, *, algorithm: str = "", affirmative: bool = False, **more: str
) -> dict[str, Any]:
    """What an organisation says of an entry of UNIT-A, or of its hash by ``algorithm``."""
    start: dict[str, Any] = {"of": "list", "source": "UNIT-A", "ref": ref, "organisation": organisation}
    return start | {"affirmative": affirmative, "algorithm": algorithm} | more
