"""What is committed already, how vectors are written, and why a rerun elsewhere gives the same bytes.

Deflate has no canonical output: zlib, zlib-ng and their versions compress alike but not equally. So whatever is
committed and unpacks to the wanted bytes is kept as it is, and only what is new or changed is compressed afresh.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vectormakers.terms import LICENCE, LIMITS

__all__ = ["Committed", "VectorError", "document", "packed", "to_json", "unpacked"]

#: Raw bytes up to which data are embedded as plain base64.
PLAIN_BYTES = 2048


class VectorError(Exception):
    """An expectation fails its cross-check."""


class Committed:
    """The folder as it stands.

    Attributes:
        folder: ``testvectors/``.
        level: compression level for what is not committed yet.
        notes: what could not be checked here, one sentence each; `generate.py` prints them.
        problems: committed bytes that are not what they were and cannot be made again here: "path: what is wrong".
    """

    def __init__(self, folder: Path, level: int = 9) -> None:
        self.folder = folder
        self.level = level
        self.notes: list[str] = []
        self.problems: list[str] = []
        self._packed = {
            hashlib.sha256(raw).digest(): text
            for vector in self.json("images.json").get("vectors", [])
            if (text := vector["data"]) and (raw := _try_inflate(vector)) is not None
        }

    def json(self, name: str) -> dict[str, Any]:
        """A committed JSON file, ``{}`` where there is none or it is damaged."""
        try:
            found = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def file(self, name: str) -> bytes | None:
        """A committed file's bytes."""
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def deflated(self, raw: bytes) -> str:
        """Base64 of a zlib stream that holds ``raw``."""
        text = self._packed.get(hashlib.sha256(raw).digest())
        return base64.b64encode(zlib.compress(raw, self.level)).decode() if text is None else text


def _try_inflate(vector: Mapping[str, Any]) -> bytes | None:
    try:
        return unpacked(vector) if vector["encoding"] == "zlib+base64" else None
    except (ValueError, zlib.error, KeyError):
        return None


def packed(raw: bytes, committed: Committed | None = None) -> dict[str, str]:
    """``encoding`` and ``data`` of raw bytes: zlib where they are many and the committed state is at hand."""
    if committed is None or len(raw) <= PLAIN_BYTES:
        return {"encoding": "base64", "data": base64.b64encode(raw).decode()}
    return {"encoding": "zlib+base64", "data": committed.deflated(raw)}


def unpacked(vector: Mapping[str, Any]) -> bytes:
    """The inverse of `packed`."""
    raw = base64.b64decode(vector["data"], validate=True)
    return zlib.decompress(raw) if vector["encoding"] == "zlib+base64" else raw


def document(kind: str, comment: str, units: Mapping[str, str], vectors: list[Any], **more: Any) -> bytes:
    """One JSON file of vectors."""
    head = {"format": "hashmatch-testvectors", "version": 2, "kind": kind, "comment": comment}
    terms = {"licence": LICENCE, "limits": LIMITS[kind]}
    return to_json(head | terms | {"units": dict(units)} | more | {"vectors": vectors})


def to_json(value: Any) -> bytes:
    """JSON text in ASCII, one space of indent, lists of plain values on one line: easy to read and to compare."""
    return ("".join(_lines(value, "")) + "\n").encode("ascii")


def _lines(value: Any, indent: str) -> Iterator[str]:
    inner = indent + " "
    if isinstance(value, dict) and value:
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield f"{',' if number else ''}\n{inner}{json.dumps(key)}: "
            yield from _lines(item, inner)
        yield f"\n{indent}}}"
    elif isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
        yield "["
        for number, item in enumerate(value):
            yield f"{',' if number else ''}\n{inner}"
            yield from _lines(item, inner)
        yield f"\n{indent}]"
    else:
        yield json.dumps(value, allow_nan=False)
