"""Gathers the files of lists with what a reader must make of them; the words that all formats share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from hashmatch.algorithms import ALGORITHMS

__all__ = ["BOM", "Lists", "category_of", "entry_of", "hex_hash", "lines_of", "raw_hash"]

BOM = b"\xef\xbb\xbf"


def raw_hash(algorithm: str, label: str) -> bytes:
    """A hash without meaning, the same everywhere."""
    width = ALGORITHMS[algorithm].width
    return hashlib.shake_256(f"hashmatch list vector {algorithm} {label}".encode()).digest(width)


def hex_hash(algorithm: str, label: str) -> str:
    """The same in lower-case hexadecimal."""
    return raw_hash(algorithm, label).hex()


def entry_of(ref: str, hashes: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """What is expected of one record; what is not given is not stated in the file."""
    start: dict[str, Any] = {"ref": ref, "hashes": dict(hashes)}
    rest: dict[str, Any] = {
        "quality": {},
        "category": None,
        "media_type": "",
        "size": None,
        "metadata": {},
        "empty_digests": 0,
    }
    return start | rest | more


def category_of(scheme: str, code: str) -> dict[str, str]:
    """A category as expectations have it."""
    return {"scheme": scheme, "code": code}


def lines_of(rows: Iterable[str], end: str = "\n") -> bytes:
    """A text file's bytes."""
    return "".join(row + end for row in rows).encode()


class Lists:
    """Gathers files and vectors."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.vectors: list[dict[str, Any]] = []

    def _add(self, name: str, comment: str, data: bytes, as_format: str | None, expect: dict[str, Any]) -> None:
        path = f"lists/{name}"
        assert self.files.setdefault(path, data) == data
        self.vectors.append(
            {
                "id": f"list-{name.replace('/', '-')}{f'-as-{as_format}' if as_format else ''}",
                "comment": comment,
                "input": {"file": path, "sha256": hashlib.sha256(data).hexdigest(), "format": as_format},
                "expect": expect,
            }
        )

    def valid(
        self, name: str, comment: str, data: bytes, form: str, entries: list[dict[str, Any]], *, named: bool = False
    ) -> None:
        """A file that is read whole; ``named``: its format has to be said, since the content does not settle it."""
        expect = {"format": form, "count": len(entries), "entries": entries}
        self._add(f"valid/{name}", comment, data, form if named else None, expect)

    def invalid(
        self,
        name: str,
        comment: str,
        data: bytes,
        error: str,
        *,
        by: str = "read",
        line: int | None = None,
        record: int | None = None,
        field: str | None = None,
        kept: tuple[int, int] | None = None,
    ) -> None:
        """A file that is refused.

        Args:
            name: under ``lists/invalid/``.
            comment: what is wrong with it.
            data: its content.
            error: class in `hashmatch.errors`.
            by: ``detect``, ``read`` or ``import``: the step that refuses it.
            line: 1-based.
            record: 1-based, without header, comments and blank lines.
            field: name of the column or key.
            kept: (entries, invalid records) of an import that skips invalid records; None where that does not help.
        """
        expect = {"error": error, "by": by, "line": line, "record": record, "field": field}
        skip = None if kept is None else {"entries": kept[0], "invalid": kept[1]}
        self._add(f"invalid/{name}", comment, data, None, expect | {"skip_invalid": skip})
