"""One interface to all searches on a compiled list: arrays of hashes in, rows of the list out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS, Kind, check_radius, get
from hashmatch.errors import ArrayError, CompiledListDamagedError, UnknownAlgorithmError
from hashmatch.index import euclidean, exact, hamming
from hashmatch.index.compiled import CodeSection, CompiledList

__all__ = ["Searcher", "Triple"]

#: (offsets int64[n + 1], rows int64[m], distances): the results of query i are offsets[i]:offsets[i + 1].
Triple = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]


class Searcher:
    """Searches a compiled list. Complete and exact for every radius; results per query ordered by (distance, row)."""

    def __init__(self, compiled: CompiledList, engine: hamming.HammingEngine | None = None) -> None:
        """Search ``compiled``; ``engine`` replaces the choice of Hamming engine (for tests and comparisons)."""
        self.compiled = compiled
        self._engine = engine
        self.engines_used: dict[str, str] = {}

    def search_digests(self, algorithm: str, digests: NDArray[np.uint8]) -> Triple:
        """Rows whose digest equals each query.

        Args:
            algorithm: an exact algorithm.
            digests: uint8[n, width].

        Returns:
            (offsets int64[n + 1], rows int64[m], distances uint16[m], all 0), per query ordered by row.

        Raises:
            UnknownAlgorithmError: not an exact algorithm.
            ArrayError: wrong dtype or shape.
            CompiledListDamagedError: the list's section fails its checks.
        """
        if get(algorithm).kind is not Kind.EXACT:
            raise UnknownAlgorithmError(f"{algorithm} is not a digest; search_codes looks it up")
        _check_queries(algorithm, digests)
        section = self.compiled.digests(algorithm)
        with self._damage():
            first, last = exact.lookup(section.values, section.table, digests)
            offsets, rows, _ = _expand(first, last, section.rows)
        self.engines_used[algorithm] = "sorted digests"
        return offsets, rows, np.zeros(len(rows), np.uint16)

    def search_codes(self, algorithm: str, codes: NDArray[np.uint8], radius: int) -> Triple:
        """Rows that bear a code at distance <= ``radius`` (inclusive) of each query.

        Args:
            algorithm: a Hamming algorithm, or ``photodna``.
            codes: uint8[n, width].
            radius: bits, 0 to all bits; for ``photodna`` a squared Euclidean distance.

        Returns:
            (offsets int64[n + 1], rows int64[m], distances uint16[m], for ``photodna`` uint32[m]), per query ordered by
            (distance, row).

        Raises:
            UnknownAlgorithmError: an algorithm that is not matched by distance.
            RadiusError: negative, too large, or not an integer.
            ArrayError: wrong dtype or shape.
            CompiledListDamagedError: the list's section fails its checks.
        """
        check_radius(algorithm, radius)
        _check_queries(algorithm, codes)
        section = self.compiled.codes(algorithm)
        queries = np.ascontiguousarray(codes)
        found: Triple
        if ALGORITHMS[algorithm].kind is Kind.EUCLIDEAN:
            found = euclidean.range_search(queries, section.codes, radius)
            self.engines_used[algorithm] = "flat (exact float32 product)"
        else:
            engine = self._engine or hamming.choose_engine(len(queries), len(section.codes))
            found = engine.range_search(queries, section.codes, radius)
            self.engines_used[algorithm] = engine.name
        with self._damage():
            return _to_rows(found, section)

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        """Positions that lead nowhere are damage; they are met where verification was switched off."""
        try:
            yield
        except (IndexError, ValueError) as error:
            raise CompiledListDamagedError(
                f"{self.compiled.path}: is damaged ({error}); compile the list again"
            ) from error


def _check_queries(algorithm: str, queries: Any) -> None:
    width = ALGORITHMS[algorithm].width
    if (
        not isinstance(queries, np.ndarray)
        or queries.dtype != np.uint8
        or queries.ndim != 2
        or queries.shape[1] != width
    ):
        found = f"{queries.dtype}{list(queries.shape)}" if isinstance(queries, np.ndarray) else type(queries).__name__
        raise ArrayError(f"queries for {algorithm}: found {found}; expected a NumPy array uint8[n, {width}]")


def _expand(
    first: NDArray[np.int64], last: NDArray[np.int64], rows: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Concatenate the ranges ``rows[first:last]``: (offsets, rows, index of the range that each comes from)."""
    counts = last - first
    offsets = np.zeros(len(first) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    owner = np.repeat(np.arange(len(first), dtype=np.int64), counts)
    positions = np.arange(int(offsets[-1]), dtype=np.int64) - offsets[owner] + first[owner]
    return offsets, rows[positions].astype(np.int64), owner


def _to_rows(found: Triple, section: CodeSection) -> Triple:
    """From positions of distinct codes to the rows that bear them, ordered by (query, distance, row)."""
    offsets, positions, distances = found
    first = section.starts[positions].astype(np.int64)
    last = section.starts[positions + 1].astype(np.int64)
    _, rows, owner = _expand(first, last, section.rows)
    if len(rows) == 0:
        return np.zeros_like(offsets), rows, distances[:0]
    query = np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))[owner]
    expanded = distances[owner]
    order = np.lexsort((rows, expanded, query))
    result = np.zeros_like(offsets)
    np.cumsum(np.bincount(query, minlength=len(offsets) - 1), out=result[1:])
    return result, rows[order], expanded[order]
