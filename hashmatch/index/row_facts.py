"""What a compiled list says of its rows, fetched for many rows at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hashmatch.errors import CompiledListDamagedError
from hashmatch.index.compiled import CompiledList

__all__ = ["RowFacts", "row_facts"]

#: Media types by their number in a compiled list; FORMATS.md.
_MEDIA = ("", "image", "video", "other")


class RowFacts(NamedTuple):
    """What a compiled list says of one row.

    Attributes:
        source, ref: whose entry it is, and the source's reference of it.
        category: (scheme, code), or None.
        media_type: ``image``, ``video``, ``other`` or "".
        size: of the file in bytes, -1 where it is not known.
        mask: bit ``number`` is set where the entry has a hash of the algorithm of that number.
        disputed: bit ``number`` is set where that hash is disputed.
    """

    source: str
    ref: str
    category: tuple[str, str] | None
    media_type: str
    size: int
    mask: int
    disputed: int

    def disputes(self, number: int) -> bool:
        """Whether the row's hash of the algorithm ``number`` is disputed."""
        return bool(self.disputed >> number & 1)


def row_facts(compiled: CompiledList, rows: Iterable[int]) -> dict[int, RowFacts]:
    """Row -> what the list says of it.

    Raises:
        CompiledListDamagedError: a section fails its checks, or a row names what the list does not hold.
    """
    numbers = np.array(sorted(rows), np.int64)
    if not len(numbers):
        return {}
    sources = [source["name"] for source in compiled.meta["sources"]]
    categories = [None, *((scheme, code) for scheme, code in compiled.meta["categories"])]
    try:
        return {
            row: RowFacts(sources[source], ref, categories[category], _MEDIA[media], size, mask, contested)
            for row, ref, source, category, media, size, mask, contested in zip(
                numbers.tolist(),
                compiled.refs(numbers),
                compiled.row_sources()[numbers].tolist(),
                compiled.row_categories()[numbers].tolist(),
                compiled.row_media()[numbers].tolist(),
                compiled.row_sizes()[numbers].tolist(),
                compiled.row_masks()[numbers].tolist(),
                compiled.row_disputed()[numbers].tolist(),
                strict=True,
            )
        }
    except IndexError as error:
        raise CompiledListDamagedError(
            f"{compiled.path}: a row names a source, category or media type that the list does not hold; "
            "compile the list again"
        ) from error
