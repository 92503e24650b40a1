"""One interface to all searches on a compiled list: arrays of hashes in, rows of the list out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS, Kind, check_radius, get
from hashmatch.errors import ArrayError, CompiledListDamagedError, UnknownAlgorithmError, UsageError
from hashmatch.index import euclidean, exact, hamming
from hashmatch.index.compiled import CompiledList
from hashmatch.kernels.code_index import expand

__all__ = ["Searcher", "Triple"]

#: (offsets int64[n + 1], rows int64[m], distances): the results of query i are offsets[i]:offsets[i + 1].
Triple = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]


class Searcher:
    """Searches a compiled list. Complete and exact for every radius; results per query ordered by (distance, row)."""

    def __init__(
        self, compiled: CompiledList, engine: hamming.HammingEngine | None = None, threads: int | None = None
    ) -> None:
        """Search a compiled list.

        Args:
            compiled: the list; it must stay open.
            engine: replaces the choice of Hamming engine (for tests and comparisons).
            threads: most threads that one search may use; None: one for each processor that this process may use.
                Results do not depend on it.

        Raises:
            UsageError: fewer than one thread.
        """
        if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool) or threads < 1):
            raise UsageError(f"threads is {threads!r}; expected a whole number of 1 or more, or None")
        self.compiled = compiled
        self.threads = threads or _processors()
        self._engine = engine
        self._sections: dict[str, hamming.SectionSearch] = {}
        self.engines_used: dict[str, str] = {}

    def prepare(self) -> None:
        """Fetch and verify now what perceptual searches need, so that none of them has to: for a service.

        Raises:
            CompiledListError: a section fails its checks.
        """
        for name in self.compiled.algorithms:
            if ALGORITHMS[name].kind is Kind.HAMMING:
                self._section(name).prepare()

    def _section(self, algorithm: str) -> hamming.SectionSearch:
        if algorithm not in self._sections:
            compiled, section = self.compiled, self.compiled.codes(algorithm)
            self._sections[algorithm] = hamming.SectionSearch(
                section.codes,
                section.starts,
                section.rows,
                (lambda: compiled.ring(algorithm)) if compiled.has_ring(algorithm) else None,
                verifies=compiled.verifies,
            )
        return self._sections[algorithm]

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
        first, last = self.locate_digests(algorithm, digests)
        with self.damage():
            offsets, rows = _expand(first, last, self.compiled.digests(algorithm).rows)
        return offsets, rows, np.zeros(len(rows), np.uint16)

    def locate_digests(self, algorithm: str, digests: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each query stands among the list's digests of an algorithm: (first, last), ``last`` exclusive.

        The rows are ``compiled.digests(algorithm).rows[first:last]``. Arguments and errors as in `search_digests`.
        """
        if get(algorithm).kind is not Kind.EXACT:
            raise UnknownAlgorithmError(f"{algorithm} is not a digest; search_codes looks it up")
        _check_queries(algorithm, digests)
        section = self.compiled.digests(algorithm)
        with self.damage():
            places = exact.lookup(section.values, section.table, digests)
        self.engines_used[algorithm] = "sorted digests"
        return places

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
            with self.damage():
                found = euclidean.range_search(
                    queries, section.codes, radius, starts=section.starts, rows=section.rows, threads=self.threads
                )
            self.engines_used[algorithm] = euclidean.engine()
        elif self._engine is not None:
            found = self._engine.range_search(queries, section.codes, radius)
            self.engines_used[algorithm] = self._engine.name
            with self.damage():
                found = expand(found, section.starts, section.rows)
        else:
            with self.damage():
                search = self._section(algorithm)
                found = search.range_search(queries, radius, self.threads)
            self.engines_used[algorithm] = search.used
        return found

    def search_nearest(self, algorithm: str, codes: NDArray[np.uint8], k: int) -> Triple:
        """The ``k`` nearest rows of each query, whatever their distance; exact, ties in the order of rows.

        Args:
            algorithm: a Hamming algorithm.
            codes: uint8[n, width].
            k: at least 1.

        Returns:
            As `search_codes`; a query has fewer than ``k`` results only where the list has fewer rows with a hash.

        Raises:
            UnknownAlgorithmError: not a Hamming algorithm.
            UsageError: ``k`` is not a whole number of 1 or more.
            ArrayError: wrong dtype or shape.
            CompiledListDamagedError: the list's section fails its checks.
        """
        if get(algorithm).kind is not Kind.HAMMING:
            raise UnknownAlgorithmError(f"{algorithm} is not matched by Hamming distance")
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise UsageError(f"k is {k!r}; expected a whole number of 1 or more")
        _check_queries(algorithm, codes)
        with self.damage():
            search = self._section(algorithm)
            near = ALGORITHMS[algorithm].radius
            found = search.nearest(np.ascontiguousarray(codes), k, near, self.threads)
        self.engines_used[algorithm] = search.used
        return found

    @contextlib.contextmanager
    def damage(self) -> Iterator[None]:
        """Positions that lead nowhere are damage; they are met where verification was switched off."""
        self.compiled.check_size()
        try:
            yield
        except OSError as error:  # the kernels met the end of the file
            self.compiled.check_size()
            raise CompiledListDamagedError(f"{self.compiled.path}: cannot be read ({error})") from error
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
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Concatenate the ranges ``rows[first:last]``: (offsets, rows)."""
    counts = last - first
    offsets = np.zeros(len(first) + 1, np.int64)
    counts.cumsum(out=offsets[1:])
    total = int(offsets[-1])
    owner = counts.nonzero()[0]
    if len(owner) == total:  # no digest is listed twice, as nearly always: half the time
        positions = first[owner]
    else:
        owner = owner.repeat(counts[owner])
        positions = np.arange(total, dtype=np.int64) - offsets[owner] + first[owner]
    return offsets, rows[positions].astype(np.int64)


def _processors() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity is not None else os.cpu_count() or 1)
