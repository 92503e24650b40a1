"""The snapshot id: a digest of a list's content at one moment. FORMATS.md defines it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence

from hashmatch.lists.blocks import Blocks
from hashmatch.lists.typed_rows import typed_rows

__all__ = ["empty_snapshot_id", "snapshot_id"]


_MAGIC = b"hashmatch snapshot 2\0"


def empty_snapshot_id(role: str) -> str:
    """The id of a list that holds nothing."""
    return hashlib.sha256(_MAGIC + role.encode() + b"\0retracted\0opinions\0").hexdigest()


def snapshot_id(
    connection: sqlite3.Connection, role: str, blocks: Blocks, digests: Mapping[int, Sequence[bytes]] | None = None
) -> str:
    """SHA-256, in hexadecimal, over the role, the digests of all blocks, the retractions and the opinions given here.

    The order is the content's own, and so is where blocks end: lists that hold the same share an id whatever their
    history.

    Args:
        connection: of the list.
        role: of the list.
        blocks: of the list.
        digests: number of a source -> the digests of its blocks, in order, of somebody who has read and verified them
            all; None: as the list says.
    """
    digest = hashlib.sha256(_MAGIC + role.encode() + b"\0")
    sources = list(typed_rows(connection, blocks.path, "ti", "SELECT name, id FROM source ORDER BY name"))
    for name, number in sources:
        found = blocks.digests(number) if digests is None else digests.get(number, ())
        if found:
            digest.update(name.encode() + b"\0" + len(found).to_bytes(8, "little") + b"".join(found))
    digest.update(b"retracted\0")
    # Source by source: the order is that of the tables then, and nothing needs to be sorted, in memory.
    for name, number in sources:
        query = "SELECT ref FROM retraction WHERE source = ? AND undone IS NULL ORDER BY ref"
        for (ref,) in typed_rows(connection, blocks.path, "t", query, (number,)):
            digest.update(hashlib.sha256(f"{name}\0{ref}".encode()).digest())
    digest.update(b"opinions\0")
    for name, number in sources:
        query = (
            "SELECT ref, algorithm, organisation, affirmative, reason FROM opinion"
            " WHERE source = ? AND ended IS NULL ORDER BY ref, algorithm, organisation"
        )
        for ref, algorithm, organisation, affirmative, reason in typed_rows(
            connection, blocks.path, "tttit", query, (number,)
        ):
            sign = "+" if affirmative else "-"
            text = f"{name}\0{ref}\0{algorithm}\0{organisation}\0{sign}\0{reason}"
            digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()
