"""The snapshot id: a digest of a list's content at one moment. FORMATS.md defines it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable

__all__ = ["SnapshotDigest"]


class SnapshotDigest:
    """SHA-256 over the role, the entries' digests in (source, reference) order, and the retractions.

    The order is the content's own, so that lists which hold the same share an id whatever their history.
    """

    def __init__(self, role: str) -> None:
        """Begin with the list's role."""
        self._digest = hashlib.sha256(b"hashmatch snapshot 1\0" + role.encode() + b"\0")

    def add(self, contents: Iterable[bytes]) -> None:
        """Add the digests of the next entries, 32 bytes each."""
        self._digest.update(b"".join(contents))

    def finish(self, connection: sqlite3.Connection) -> str:
        """Add the list's retractions; return the id in hexadecimal."""
        self._digest.update(b"retracted\0")
        retractions = connection.execute(
            "SELECT s.name, ref FROM retraction JOIN source s ON s.id = source ORDER BY s.name, ref"
        )
        for name, ref in retractions:
            self._digest.update(hashlib.sha256(f"{name}\0{ref}".encode()).digest())
        return self._digest.hexdigest()
