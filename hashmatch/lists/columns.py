"""The content of blocks as arrays: what compiled lists are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS, Kind
from hashmatch.index.build import HashColumn, Rows
from hashmatch.lists.block import HEADER
from hashmatch.lists.entry import NO_QUALITY, Opinion, mask_width
from hashmatch.lists.states import merged_opinions, opinion_bits

__all__ = ["Category", "Columns", "Disputes"]

Category = tuple[str, str]


#: Bits of the algorithms that a compiled list holds.
_SEARCHED = np.uint32(sum(1 << a.number for a in ALGORITHMS.values() if a.kind is not Kind.OPAQUE))


class Disputes:
    """What the opinions on a source's entries do to its rows; see `states`."""

    def __init__(self, source: str, given: Mapping[str, Sequence[Opinion]]) -> None:
        """``given``: reference -> the opinions that were noted in the list."""
        self._source = source
        self._given = given

    def bits(self, parts: Sequence[_Parts], n: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32] | None]:
        """(disputed, withdrawn) uint32[n]: a bit for each algorithm; None where nothing is withdrawn."""
        disputed, withdrawn = np.zeros(n, np.uint32), np.zeros(n, np.uint32)
        if self._given or any(part.opinions for part in parts):
            at = 0
            for part in parts:
                if self._given or part.opinions:
                    self._of_block(part, disputed[at : at + part.n], withdrawn[at : at + part.n])
                at += part.n
        return disputed, withdrawn if withdrawn.any() else None

    def _of_block(self, part: _Parts, disputed: NDArray[np.uint32], withdrawn: NDArray[np.uint32]) -> None:
        refs = part.refs.decode().split("\0")
        sent = part.opinions.decode().split("\0") if part.opinions else [""] * (part.n + 1)
        for row, (ref, text) in enumerate(zip(refs[:-1], sent[:-1], strict=True)):
            given = self._given.get(ref, ())
            if text or given:
                disputed[row], withdrawn[row] = opinion_bits(self._source, merged_opinions(text, given))


class Columns:
    """The content of blocks, taken apart into arrays: what `Rows` holds.

    A source's entries come in one go, sources in the order of their numbers here.

    Attributes:
        rows: how many rows there are so far.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._text: list[bytes] = []
        self._lengths: list[NDArray[np.uint64]] = []
        self._source: list[NDArray[np.uint32]] = []
        self._category: list[NDArray[np.uint32]] = []
        self._media: list[NDArray[np.uint8]] = []
        self._size: list[NDArray[np.int64]] = []
        self._disputed: list[NDArray[np.uint32]] = []
        self._values: dict[str, list[NDArray[np.uint8]]] = {}
        self._rows: dict[str, list[NDArray[np.uint32]]] = {}
        self._quality: list[tuple[NDArray[np.uint32], NDArray[np.uint8]]] = []
        #: Category -> 1 + its place in order of appearance.
        self._categories: dict[Category, int] = {}

    def add(self, blocks: Sequence[bytes], source: int, disputes: Disputes) -> None:
        """Add the rows of verified blocks.

        Raises:
            ValueError, KeyError, IndexError: a block that is none.
        """
        parts = list(map(_Parts, blocks))
        n = sum(part.n for part in parts)
        masks = np.frombuffer(b"".join([part.masks for part in parts]), "<u4")
        disputed, withdrawn = disputes.bits(parts, n)
        self._category.append(np.concatenate([self._numbers(part) for part in parts]))
        self._media.append(np.frombuffer(b"".join([part.media for part in parts]), np.uint8))
        self._size.append(np.frombuffer(b"".join([part.sizes for part in parts]), "<i8"))
        self._source.append(np.full(n, source, np.uint32))
        self._add_refs(b"".join([part.refs for part in parts]), n)
        self._add_hashes(masks, b"".join([part.bodies for part in parts]), withdrawn)
        self._disputed.append(disputed & masks & _SEARCHED)
        self.rows += n

    def _numbers(self, part: _Parts) -> NDArray[np.uint32]:
        known = self._categories
        table = np.array([0, *(known.setdefault(pair, len(known) + 1) for pair in part.categories)], np.uint32)
        numbers: NDArray[np.uint32] = table[np.frombuffer(part.numbers, "<u2")]
        return numbers

    def _add_refs(self, refs: bytes, n: int) -> None:
        ends = np.flatnonzero(np.frombuffer(refs, np.uint8) == 0)
        if len(ends) != n or ends[-1] != len(refs) - 1:
            raise ValueError("references that are not as many as the rows")
        self._lengths.append(np.diff(ends, prepend=-1).astype(np.uint64) - np.uint64(1))
        self._text.append(refs.replace(b"\0", b""))

    def _add_hashes(self, masks: NDArray[np.uint32], joined: bytes, withdrawn: NDArray[np.uint32] | None) -> None:
        """Rows of one mask have one layout: each group is cut as one matrix, and not row by row."""
        distinct, kind = np.unique(masks, return_inverse=True)
        widths = np.array([mask_width(int(mask)) for mask in distinct], np.int64)[kind]
        ends = np.cumsum(widths)
        if ends[-1] != len(joined):
            raise ValueError("hashes that are not as long as their masks say")
        flat = np.frombuffer(joined, np.uint8)
        for place, mask in enumerate(distinct.tolist()):
            width = mask_width(mask)
            if len(distinct) == 1:
                members, matrix = np.arange(len(masks)), flat.reshape(-1, width)
            else:
                members = np.flatnonzero(kind == place)
                starts = (ends - widths)[members]
                matrix = flat[starts[:, None] + np.arange(width)]
            self._cut_matrix(mask, matrix, members, None if withdrawn is None else withdrawn[members])

    def _cut_matrix(
        self, mask: int, matrix: NDArray[np.uint8], members: NDArray[np.int64], withdrawn: NDArray[np.uint32] | None
    ) -> None:
        rows = (members + self.rows).astype(np.uint32)
        at = 0
        for algorithm in ALGORITHMS.values():
            if not mask >> algorithm.number & 1:
                continue
            kept: Any = slice(None)
            if withdrawn is not None:
                kept = withdrawn >> algorithm.number & 1 == 0
            if algorithm.kind is not Kind.OPAQUE:
                values = matrix[kept, at : at + algorithm.width]
                self._values.setdefault(algorithm.name, []).append(np.ascontiguousarray(values))
                self._rows.setdefault(algorithm.name, []).append(rows[kept])
            at += algorithm.width
            if algorithm.name == "pdq":
                self._quality.append((rows[kept], matrix[kept, at].copy()))
                at += 1

    def finish(self) -> tuple[Rows, list[Category]]:
        """Everything that was added, and the categories in order. The columns are used up."""
        categories = sorted(self._categories)
        places = {pair: place for place, pair in enumerate(categories, 1)}
        renumbered = np.array([0, *(places[pair] for pair in self._categories)], np.uint32)
        offsets = np.zeros(self.rows + 1, np.uint64)
        np.cumsum(_joined(self._lengths, np.uint64), out=offsets[1:])
        rows = Rows(
            ref_text=b"".join(self._text),
            ref_offsets=offsets,
            source=_joined(self._source, np.uint32),
            category=renumbered[_joined(self._category, np.uint32)],
            media=_joined(self._media, np.uint8),
            size=_joined(self._size, np.int64),
            quality=self._qualities(),
            disputed=_joined(self._disputed, np.uint32),
            hashes=self._hashes(),
        )
        self._text.clear()
        return rows, categories

    def _qualities(self) -> NDArray[np.uint8]:
        """uint8[rows]: pdq quality of each row, 255 where there is none."""
        result = np.full(self.rows, NO_QUALITY, np.uint8)
        for rows, values in self._quality:
            result[rows] = values
        return result

    def _hashes(self) -> dict[str, HashColumn]:
        """One column per algorithm, in registry order, rows ascending."""
        result = {}
        for name in ALGORITHMS:
            if name not in self._rows:
                continue
            rows, values = np.concatenate(self._rows.pop(name)), np.concatenate(self._values.pop(name))
            if not len(rows):
                continue  # all of them were withdrawn
            if np.any(rows[1:] < rows[:-1]):
                order = np.argsort(rows, kind="stable")
                rows, values = rows[order], values[order]
            result[name] = HashColumn(values, rows)
        return result


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    joined = np.concatenate(parts) if parts else np.zeros(0, dtype)
    parts.clear()
    return joined


class _Parts:
    """The parts of one block, as bytes."""

    __slots__ = ("bodies", "categories", "masks", "media", "n", "numbers", "opinions", "refs", "sizes")

    def __init__(self, block: bytes) -> None:
        if len(block) < HEADER.size:
            raise ValueError("a block without a header")
        n, count, names, refs, bodies, more, said = HEADER.unpack_from(block)
        at = HEADER.size
        if at + 15 * n + names + refs + bodies + more + said != len(block):
            raise ValueError("a block that is not as long as its header says")
        self.n = n
        self.numbers = block[at : at + 2 * n]
        self.media = block[at + 2 * n : at + 3 * n]
        self.sizes = block[at + 3 * n : at + 11 * n]
        self.masks = block[at + 11 * n : at + 15 * n]
        at += 15 * n
        texts = block[at : at + names].decode().split("\0")
        if len(texts) != 2 * count + 1:
            raise ValueError("categories that are not as many as the header says")
        self.categories: list[Category] = list(zip(texts[: 2 * count : 2], texts[1 : 2 * count : 2], strict=True))
        at += names
        self.refs = block[at : at + refs]
        at += refs
        self.bodies = block[at : at + bodies]
        at += bodies + more
        self.opinions = block[at:]
