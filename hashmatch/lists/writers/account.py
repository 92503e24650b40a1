"""What an export did with the entries, and the pieces that all writers share."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.lists.entry import Entry, pack_hashes, unpack_hashes
from hashmatch.lists.formats.cells import drop_empty
from hashmatch.lists.hash_like import looks_like_a_hash

__all__ = [
    "EMPTY",
    "Account",
    "Measured",
    "Places",
    "SharedReferences",
    "Sink",
    "WriteOptions",
    "checked_mask",
    "lose_the_rest",
    "places_of",
    "without_empty",
]

#: Where a writer puts bytes: the ``write`` of a binary stream.
Sink = Callable[[bytes], object]

#: Digests of the empty file: packed hashes that hold none of them need no closer look.
EMPTY = tuple(EMPTY_DIGESTS.values())

#: Different names of metadata that an account lists; lists from somewhere may have a name of its own for every entry.
_MAX_KEYS = 200
_OTHER_KEYS = "metadata: other names"


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What a writer is told besides the entries.

    Attributes:
        include_hashes: write the hashes too; without it, formats that can do without them name entries only.
        columns: algorithms of the columns of formats that ask for every column in every row (hashdeep).
        vics_scheme: the category scheme of a VICS file: a key of `hashmatch.lists.writers.vics.SCHEMES`.
    """

    include_hashes: bool = False
    columns: tuple[str, ...] = ()
    vics_scheme: str = "us"


@dataclass
class Account:
    """What became of the entries that were exported. Counts are entries; no text holds a hash.

    Attributes:
        format: name of the format.
        written: entries that are in the file.
        left_out: reason -> entries that are not, because the format cannot hold them.
        lost: field -> written entries that lost it, because the format cannot hold it, or because it may be a hash and
            none are to be in the file.
        bytes: size of what was written.
        sha256: lower-case hex SHA-256 of what was written.
    """

    format: str
    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    sha256: str = ""

    def lose_metadata(self, key: str, why: str = "") -> None:
        """Note that an entry lost what its metadata has under ``key``, or some of it."""
        name = _lost_metadata(key) + why
        if name not in self.lost and len(self.lost) >= _MAX_KEYS:
            name = _OTHER_KEYS
        self.lost[name] += 1

    def as_dict(self) -> dict[str, Any]:
        """The account as plain data, most frequent first."""
        return {
            "format": self.format,
            "written": self.written,
            "left_out": dict(_ordered(self.left_out)),
            "lost": dict(_ordered(self.lost)),
            "bytes": self.bytes,
            "sha256": self.sha256,
        }

    def lines(self) -> list[str]:
        """The account as lines of text for people."""
        lines = [f"exported as {self.format}: {_entries(self.written)}, {self.bytes:,} bytes, SHA-256 {self.sha256}"]
        if self.left_out:
            lines.append("  entries that the format cannot hold, left out:")
            lines += [f"    {reason}: {_entries(count)}" for reason, count in _ordered(self.left_out)]
        if self.lost:
            lines.append("  what the file does not hold, and how many entries lost it:")
            lines += [f"    {name}: {_entries(count)}" for name, count in _ordered(self.lost)]
        return lines


@lru_cache(maxsize=1024)
def _lost_metadata(key: str) -> str:
    shown = f"a name of {len(key):,} characters" if looks_like_a_hash(key) else key
    return f"metadata: {shown}"


def _ordered(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


class Measured:
    """A sink that counts bytes and hashes them on their way to another."""

    def __init__(self, sink: Sink) -> None:
        self.bytes = 0
        self._sink = sink
        self._hash = hashlib.sha256()

    def __call__(self, data: bytes) -> None:
        """Pass ``data`` on."""
        self._hash.update(data)
        self.bytes += len(data)
        self._sink(data)

    def sha256(self) -> str:
        """Lower-case hex SHA-256 of what was written."""
        return self._hash.hexdigest()


class SharedReferences:
    """Counts references that several entries have: of several sources, in a format that holds no source.

    It keeps 8 bytes an entry: thirteen million are 104 MB. Two references of the same 64-bit hash would be counted as
    one, which among thirteen million happens once in two hundred thousand exports.
    """

    def __init__(self) -> None:
        self._seen = array("q")
        self.add: Callable[[int], None] = self._seen.append

    def count(self) -> int:
        """Entries whose reference some other entry has too."""
        import numpy as np

        _, counts = np.unique(np.frombuffer(self._seen, np.int64), return_counts=True)
        return int(counts[counts > 1].sum())

    def note(self, account: Account) -> None:
        """Put the count into an account, unless it is 0."""
        if shared := self.count():
            account.lost["reference: several entries have the same"] = shared


def without_empty(packed: bytes, account: Account) -> bytes:
    """Packed hashes but for digests of the empty file, which every reader drops; nothing where none is left."""
    hashes, quality = unpack_hashes(packed)
    before = list(hashes)
    if not drop_empty(hashes):  # the bytes of such a digest stand in something else
        return packed
    if not hashes:
        account.left_out["no hash but digests of the empty file"] += 1
        return b""
    for name in before:
        if name not in hashes:
            account.lost[f"{name} hash (of the empty file)"] += 1
    return pack_hashes(hashes, quality)


def lose_the_rest(entry: Entry, account: Account) -> None:
    """Note what formats of digests and names have no place for: all but reference, size and hashes."""
    account.lost["source"] += 1
    if entry.category is not None:
        account.lost["category"] += 1
    if entry.media_type:
        account.lost["media type"] += 1
    if entry.opinions:
        account.lost["opinions"] += 1
    if entry.metadata:
        for key in json.loads(entry.metadata):
            account.lose_metadata(key)


#: ((algorithm, where its hash is in the packed form), ...), where the PDQ quality is or 0, bytes in all.
Places = tuple[tuple[tuple[str, slice], ...], int, int]


@lru_cache(maxsize=4096)
def places_of(mask: bytes) -> Places:
    """Where the hashes of a presence mask are. For entries by the million: worked out once for each mask."""
    at = len(mask)
    places = []
    quality = 0
    bits = int.from_bytes(mask, "little")
    for algorithm in ALGORITHMS.values():
        if bits >> algorithm.number & 1:
            places.append((algorithm.name, slice(at, at + algorithm.width)))
            at += algorithm.width
            if algorithm.name == "pdq":
                quality = at
                at += 1
    return tuple(places), quality, at


def checked_mask(packed: bytes) -> bytes:
    """The presence mask of packed hashes, for `places_of`.

    Raises:
        RecordError: not what `pack_hashes` makes.
    """
    mask = packed[:4]
    if places_of(mask)[2] != len(packed):
        unpack_hashes(packed)  # says what is wrong
    return mask
