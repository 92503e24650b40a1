"""What a list keeps and what leads from one list to another, as targets: blocks of entries, and deltas."""

from __future__ import annotations

import atexit
import base64
import hashlib
import json
import os
import random
import re
import shutil
import struct
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from hashmatch import HashList
from hashmatch.errors import DeltaError, HashMatchError, RecordError
from hashmatch.lists import store
from hashmatch.lists.block import HEADER, decode, encode, pack_tags, unpack_tags
from hashmatch.lists.columns import Columns, Disputes
from hashmatch.lists.delta import write_delta
from hashmatch.lists.entry import Entry, Opinion, unpack_hashes

from .list_readers import Secrets, said, scratch, sound
from .samples import HASHES

__all__ = ["block_seeds", "block_shape", "blocks", "delta_seeds", "delta_shape", "deltas"]

# ---------------------------------------------------------------------- blocks


def blocks(data: bytes) -> None:
    """First byte: tags, or a block. What is decoded can be encoded, and means the same to whatever compiles it."""
    if not data:
        return
    kind, content = data[0], data[1:]
    if kind & 1:
        try:
            tags = unpack_tags(content)
        except ValueError:
            return
        assert pack_tags(tags) == content
        return
    count = int.from_bytes(content[:4], "little") if len(content) >= 4 else 0
    try:
        rows = decode(content, range(1, 1 + min(count, 5000)))
    except ValueError:
        rows = []
    if rows:
        assert len(rows) == count
        assert decode(encode(rows), [row[7] for row in rows]) == rows
    try:
        columns = Columns()
        columns.add([content], 0, Disputes("S", {}))
        made, categories = columns.finish()
    except (ValueError, KeyError, IndexError):
        return
    if rows:
        assert made.ref_text.decode() == "".join(row[0] for row in rows)
        assert made.size.tolist() == [-1 if row[3] is None else row[3] for row in rows]
        assert [categories[n - 1] if n else None for n in made.category.tolist()] == [row[1] for row in rows]
        try:
            hashes = [unpack_hashes(row[5])[0] for row in rows]
        except RecordError:  # a quality that no block has whose digest is right
            return
        for name, column in made.hashes.items():
            expected = [values.get(name) for values in hashes]
            assert [bytes(value) for value in column.values] == [value for value in expected if value is not None]
            assert column.rows.tolist() == np.flatnonzero([value is not None for value in expected]).tolist()


def _model_entries() -> list[Entry]:
    md5, sha1, pdq, photodna = (HASHES[name] for name in ("md5", "sha1", "pdq", "photodna"))
    opinions = [Opinion("md5", "O", True, "r"), Opinion("", "P", False)]
    return [
        Entry.make("a", {"md5": md5}, category=("s", "1"), media_type="image", size=5),
        Entry.make("b é", {"pdq": pdq, "sha1": sha1}, quality={"pdq": 77}, metadata={"k": [1, "x"]}, opinions=opinions),
        Entry.make("c", {"photodna": photodna, "md5": sha1[:16]}, category=("s", "2"), size=0),
        Entry.make("d", {"md5": md5[::-1]}, media_type="video", metadata={"n": None}),
    ]


def block_seeds() -> list[bytes]:
    rows = [(*entry[:6], entry.opinions, at) for at, entry in enumerate(_model_entries(), 1)]
    chosen = [rows, rows[:1], rows[1:2], rows[2:], [(f"r{at:03}", *rows[at % 4][1:]) for at in range(40)]]
    return [*(b"\0" + encode(part) for part in chosen), *(b"\1" + pack_tags(range(n)) for n in (0, 1, 9))]  # type: ignore[arg-type]


def block_shape(rng: random.Random, data: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """A part of a block changed, and the header made to fit."""
    if len(data) < 1 + HEADER.size or data[0] & 1:
        return data
    n, count, *sizes = HEADER.unpack_from(data, 1)
    edges = [1 + HEADER.size]
    for size in (2 * n, n, 8 * n, 4 * n, *sizes):
        edges.append(edges[-1] + size)
    if edges[-1] != len(data):
        return data
    parts = [bytearray(data[start:end]) for start, end in pairwise(edges)]
    part = parts[rng.randrange(len(parts))]
    at = rng.randrange(len(part) + 1)
    match rng.randrange(6):
        case 0:
            part[at : at + 1] = bytes([rng.choice((0, 1, 255, rng.randrange(256)))])
        case 1:
            part[at:at] = rng.choice((b"\0", b"a", b"\xff", b"\xc3\xa9", rng.randbytes(4)))
        case 2:
            del part[at : at + rng.choice((1, 4, 33))]
        case 3:
            part[at:at] = part[at : at + rng.choice((1, 8, 40))]
        case 4:
            n += rng.choice((-1, 1))
        case _:
            count += rng.choice((-1, 1))
    header = HEADER.pack(max(n, 0), max(count, 0), *map(len, parts[4:]))
    return b"".join((data[:1], header, *parts))


# ---------------------------------------------------------------------- deltas


@cache
def _model() -> tuple[Path, str, tuple[bytes, ...]]:
    """(a list, its snapshot, deltas that lead on from it)."""
    path = scratch() / f"{os.getpid()}-model.hml"
    here = scratch() / f"{os.getpid()}-delta.hml"
    a, b, c, d = _model_entries()
    with HashList.open(here, create=True) as known:
        known.import_entries([a, b, c], "S")
        known.import_entries([d], "T é")
        known.retract("S", ["gone"], reason="why", allow_unseen=True)
        known.give_opinion("S", ["a"], "Org", affirmative=False, reason="r", algorithm="md5")
        snapshot = known.snapshot
        found = []

        def written() -> None:
            parts: list[bytes] = []
            write_delta(known, parts.append, snapshot)
            found.append(b"".join(parts))

        shutil.copy(here, path)
        steps = (
            lambda: known.import_entries([a._replace(size=6), d._replace(ref="e")], "S"),
            lambda: known.restore("S", ["gone"]),
            lambda: known.retract("S", ["c"], reason="x"),
            lambda: known.give_opinion("S", ["a"], "Org", affirmative=None, algorithm="md5"),
            lambda: known.give_opinion("T é", ["d"], "Org", affirmative=True),
            lambda: known.import_entries([a._replace(ref="z", opinions="")], "Z"),
        )
        written()
        for step in steps:
            step()
            written()
    return path, snapshot, tuple(found)


class _Opened:
    """The list that deltas are applied to; put back after each that was."""

    def __init__(self) -> None:
        self._known: HashList | None = None
        self.path = scratch() / f"{os.getpid()}-delta.hml"

    def get(self) -> HashList:
        if self._known is None:
            for stale in scratch().glob(f"{os.getpid()}-delta.hml*"):
                stale.unlink()
            shutil.copy(_model()[0], self.path)
            # Before its folder is deleted.
            atexit.unregister(self.drop)
            atexit.register(self.drop)
            self._known = HashList.open(self.path)
        return self._known

    def drop(self) -> None:
        if self._known is not None:
            self._known.close()
            self._known = None


_OPENED = _Opened()


@cache
def _secrets() -> Secrets:
    return Secrets()


def deltas(data: bytes) -> None:
    """First byte 1: the frame (base, counts, digest) is made right, and where it leads is not looked at, so that its
    records alone decide. Otherwise the file as it stands.
    """
    if not data:
        return
    _, snapshot, _ = _model()
    known = _OPENED.get()
    content, lenient = data[1:], data[0] == 1
    if lenient:
        content = _framed(content, snapshot)
    path = scratch() / f"{os.getpid()}.delta"
    path.write_bytes(content)
    strict = store.refuse_other_target
    if lenient:
        store.refuse_other_target = lambda *_: None  # type: ignore[assignment]
    try:
        known.apply_delta(path)
    except HashMatchError as error:
        text = said(error).replace(str(scratch()), "").replace(snapshot[:16], "")
        assert isinstance(error, DeltaError) or "empty" in text, repr(error)  # noqa: PT017
        assert text.isprintable(), text
        assert len(text) < 2000
        assert _secrets().shown(text) is None, text
        assert known.snapshot == snapshot
        assert len(known.sources()) == 2
    except BaseException:
        _OPENED.drop()
        raise
    else:
        try:
            known.check()
            for stored in known.entries():
                sound(stored.entry)
        finally:
            _OPENED.drop()
    finally:
        store.refuse_other_target = strict


def _framed(content: bytes, snapshot: str) -> bytes:
    header, *records = content.split(b"\n")
    records = [line for line in records if line and b'"end"' not in line]
    header = re.sub(rb'"base":"[^"]*"', f'"base":"{snapshot}"'.encode(), header)
    counts: Counter[str] = Counter()
    for line in records:
        found = re.match(rb'\s*\{\s*"(\w+)"', line)
        counts[found[1].decode() if found else ""] += 1
    body = b"".join(line + b"\n" for line in (header, *records))
    end = {"end": {kind: counts[kind] for kind in ("put", "remove", "retract", "restore", "opinion")}}
    return body + json.dumps(end | {"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n"


def delta_seeds() -> list[bytes]:
    return [bytes([first]) + found for found in _model()[2] for first in (0, 1)]


def delta_shape(rng: random.Random, data: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """The hashes of a record changed inside their base64."""
    found = list(re.finditer(rb'"hashes":"([^"]*)"', data))
    if not found:
        return data
    start, end = rng.choice(found).span(1)
    masks = (
        b"",
        bytes(4),
        struct.pack("<I", 1) + bytes(16),
        struct.pack("<I", 1 << rng.randrange(32)) + bytes(16),
        rng.randbytes(9),
    )
    return data[:start] + base64.b64encode(rng.choice(masks)) + data[end:]
