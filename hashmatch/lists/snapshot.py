"""The snapshot id: a digest of a list's content at one moment. FORMATS.md defines it."""

from __future__ import annotations

import hashlib
import sqlite3

from hashmatch.lists.blocks import Blocks

__all__ = ["empty_snapshot_id", "snapshot_id"]


_MAGIC = b"hashmatch snapshot 2\0"


def empty_snapshot_id(role: str) -> str:
    """The id of a list that holds nothing."""
    return hashlib.sha256(_MAGIC + role.encode() + b"\0retracted\0opinions\0").hexdigest()


def snapshot_id(connection: sqlite3.Connection, role: str, blocks: Blocks) -> str:
    """SHA-256, in hexadecimal, over the role, the digests of all blocks, the retractions and the opinions given here.

    The order is the content's own, and so is where blocks end: lists that hold the same share an id whatever their
    history.
    """
    digest = hashlib.sha256(_MAGIC + role.encode() + b"\0")
    for name, number in connection.execute("SELECT name, id FROM source ORDER BY name").fetchall():
        found = blocks.digests(number)
        if found:
            digest.update(name.encode() + b"\0" + len(found).to_bytes(8, "little") + b"".join(found))
    digest.update(b"retracted\0")
    for name, ref in connection.execute(
        "SELECT s.name, ref FROM retraction JOIN source s ON s.id = source WHERE undone IS NULL ORDER BY s.name, ref"
    ):
        digest.update(hashlib.sha256(f"{name}\0{ref}".encode()).digest())
    digest.update(b"opinions\0")
    for name, ref, algorithm, organisation, affirmative, reason in connection.execute(
        "SELECT s.name, ref, algorithm, organisation, affirmative, reason"
        " FROM opinion JOIN source s ON s.id = source WHERE ended IS NULL ORDER BY s.name, ref, algorithm, organisation"
    ):
        sign = "+" if affirmative else "-"
        text = f"{name}\0{ref}\0{algorithm}\0{organisation}\0{sign}\0{reason}"
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()
