"""Matching policy: radii, the quality rule, disputed hashes, known-good lists, verdicts.

Searching is the index's business and exact; this module decides what a result means.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hashmatch.algorithms import ALGORITHMS, PDQ_MIN_QUALITY, Kind, check_radius, get
from hashmatch.errors import UnknownAlgorithmError, UsageError
from hashmatch.index import euclidean
from hashmatch.index.compiled import CompiledList
from hashmatch.index.row_facts import RowFacts, row_facts
from hashmatch.index.search import Searcher, Triple
from hashmatch.lists.opening import open_compiled
from hashmatch.lists.states import State
from hashmatch.match_result import Match, MatchResult, Verdict
from hashmatch.record import HashRecord

__all__ = ["BATCH", "DISPUTED", "Match", "MatchResult", "Matcher", "Verdict"]

#: Records that are matched at once: large enough for the engines, small enough for memory.
BATCH = 8192
#: Matches that a batch may hold for each distinct code it finds; thousands of blank pages may share one.
PAIRS_AT_ONCE = 1_000_000
#: What may be done with disputed hashes: match and mark them, or leave them out.
DISPUTED = ("mark", "leave-out")


@dataclass(slots=True)
class _Hits:
    """Hits of one query: row -> [(algorithm number, distance)], notes, algorithm -> rows that were left out, because
    their hash is too poor or because it is disputed.
    """

    rows: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    low_rows: dict[str, list[int]] = field(default_factory=dict)
    disputed_rows: dict[str, list[int]] = field(default_factory=dict)
    compared: bool = False


class Matcher:
    """Matches query records with a compiled list, exactly and completely. Use `open`.

    Attributes:
        radius: algorithm -> largest distance that still matches, inclusive, for every algorithm that is matched by
            distance.
        min_quality: PDQ hashes of a quality under this are not matched, on either side.
        photodna_min_detail: PhotoDNA hashes of a detail under this are not matched, on either side; None: all are.
        disputed: what is done with disputed hashes, one of `DISPUTED`.
        algorithms: the algorithms that may be looked up, in registry order; `searched` are those that the list has.
        path: the list as it was given.
    """

    def __init__(
        self,
        compiled: CompiledList,
        *,
        radius: Mapping[str, int] | None = None,
        min_quality: int = PDQ_MIN_QUALITY,
        photodna_min_detail: float | None = None,
        algorithms: Iterable[str] | None = None,
        allow: CompiledList | None = None,
        allow_exact: bool = False,
        disputed: str = "mark",
        threads: int | None = None,
    ) -> None:
        """See `open`; ``compiled`` and ``allow`` are open compiled lists, closed with the matcher."""
        if not isinstance(min_quality, int) or not 0 <= min_quality <= 101:
            raise UsageError(
                f"min_quality is {min_quality!r}; "
                "expected a whole number from 0 (match all) to 101 (none that states a quality)"
            )
        if photodna_min_detail is not None and not _is_share(photodna_min_detail):
            raise UsageError(f"photodna_min_detail is {photodna_min_detail!r}; expected a share from 0 to 1, or None")
        if disputed not in DISPUTED:
            raise UsageError(f"disputed is {disputed!r}; expected {' or '.join(DISPUTED)}")
        self.compiled = compiled
        self.path = compiled.path
        self.allow = allow
        self.min_quality = min_quality
        self.photodna_min_detail = photodna_min_detail
        self.disputed = disputed
        self._poor_rows: NDArray[np.bool_] | None = None
        self.allow_exact = allow_exact
        self.radius = {a.name: a.radius for a in ALGORITHMS.values() if a.kind in (Kind.HAMMING, Kind.EUCLIDEAN)} | {
            name: check_radius(name, value) for name, value in (radius or {}).items()
        }
        wanted = {get(name).name for name in algorithms} if algorithms is not None else set(ALGORITHMS)
        if algorithms is not None and (opaque := sorted(n for n in wanted if ALGORITHMS[n].kind is Kind.OPAQUE)):
            raise UnknownAlgorithmError(f"{', '.join(opaque)}: kept with entries, but not matched by hashmatch")
        self.algorithms = tuple(n for n in ALGORITHMS if n in wanted and ALGORITHMS[n].kind is not Kind.OPAQUE)
        self._searched = tuple(n for n in compiled.algorithms if n in self.algorithms)
        self._exact = [(n, ALGORITHMS[n].number) for n in self.algorithms if ALGORITHMS[n].kind is Kind.EXACT]
        self._searcher = Searcher(compiled, threads=threads)
        self._allow_searcher = Searcher(allow, threads=threads) if allow is not None else None
        #: algorithm -> how many query hashes were looked up so far (for the chance figure of a report)
        self.looked_up: Counter[str] = Counter()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        radius: Mapping[str, int] | None = None,
        min_quality: int = PDQ_MIN_QUALITY,
        photodna_min_detail: float | None = None,
        algorithms: Iterable[str] | None = None,
        allow: str | os.PathLike[str] | None = None,
        allow_exact: bool = False,
        disputed: str = "mark",
        verify: bool = True,
        threads: int | None = None,
    ) -> Self:
        """Open a list for matching.

        Args:
            path: a compiled list (``.hmx``), or a list (``.hml``), which is compiled on the fly; see `open_compiled`.
            radius: algorithm -> largest distance that still matches, inclusive; others keep their defaults.
            min_quality: PDQ hashes of a quality under this are not matched, in queries or in the list.
            photodna_min_detail: PhotoDNA hashes of nearly flat pictures match each other by chance. With a share from 0
                to 1 here, a hash is not matched, in queries or in the list, where the share of its 143 pairs of
                adjacent bytes that differ is under it (`hashmatch.index.euclidean.detail`). None: all are matched.
            algorithms: look up these only; by default all that query and list share.
            allow: a known-good list. Near matches of a query that equals one of its entries (same digest, or same PDQ
                of good quality) are suppressed and counted.
            allow_exact: a known-good list suppresses exact matches and conflicts as well. By default it does not: two
                lists that contradict each other about one file are for a human to see.
            disputed: ``mark``: disputed hashes match, and their matches say so. ``leave-out``: they are as if the entry
                did not have them, and a note says what they would have matched. Disputed hashes of a known-good list
                suppress nothing, either way.
            verify: check the parts of the compiled list that are used; see `CompiledList.open`.
            threads: most threads that one search may use; None: one for each processor that this process may use.
                Results do not depend on it.

        Raises:
            ListError, CompiledListError, StorageError: a list cannot be opened or trusted.
            RoleError: a known-good list as ``path``, or another as ``allow``.
            RadiusError, UnknownAlgorithmError, UsageError: a parameter is wrong.
        """
        compiled = open_compiled(path, verify=verify)
        good = None
        try:
            good = open_compiled(allow, verify=verify, role="known-good") if allow is not None else None
            made = cls(
                compiled,
                radius=radius,
                min_quality=min_quality,
                photodna_min_detail=photodna_min_detail,
                algorithms=algorithms,
                allow=good,
                allow_exact=allow_exact,
                disputed=disputed,
                threads=threads,
            )
            made.path = Path(path)
            return made
        except BaseException:
            compiled.close()
            if good is not None:
                good.close()
            raise

    def close(self) -> None:
        """Unmap the lists."""
        self.compiled.close()
        if self.allow is not None:
            self.allow.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ arrays in, arrays out

    def search_codes(self, algorithm: str, codes: NDArray[np.uint8], radius: int | None = None) -> Triple:
        """All rows within ``radius`` (inclusive; None: the matcher's) of each code. See `Searcher.search_codes`.

        No policy applies here: neither the quality rule, nor what is disputed, nor a known-good list.
        """
        if radius is None:
            radius = self.radius.get(algorithm, 0)
        return self._searcher.search_codes(algorithm, codes, radius)

    def search_nearest(self, algorithm: str, codes: NDArray[np.uint8], k: int) -> Triple:
        """The ``k`` nearest rows of each code, whatever their distance. See `Searcher.search_nearest`; no policy."""
        return self._searcher.search_nearest(algorithm, codes, k)

    def prepare(self) -> None:
        """Fetch and verify now what perceptual searches need. See `Searcher.prepare`: for a service."""
        self._searcher.prepare()

    def search_digests(self, algorithm: str, digests: NDArray[np.uint8]) -> Triple:
        """All rows whose digest equals each query's. See `Searcher.search_digests`."""
        return self._searcher.search_digests(algorithm, digests)

    @property
    def engines(self) -> dict[str, str]:
        """Algorithm -> name of the engine that searched it, for those searched so far."""
        return dict(self._searcher.engines_used)

    # ------------------------------------------------------------------ records in, results out

    def match(self, record: HashRecord) -> MatchResult:
        """Match one record."""
        return next(self.match_many([record]))

    @property
    def searched(self) -> tuple[str, ...]:
        """The algorithms that are looked up: those of `algorithms` that the list has."""
        return self._searched

    def match_many(self, records: Iterable[HashRecord], *, batch: int = BATCH) -> Iterator[MatchResult]:
        """Match records, ``batch`` at a time; one result for every record, in their order."""
        iterator = iter(records)
        batch = max(1, min(batch, PAIRS_AT_ONCE // self._most_bearers()))
        while chunk := list(islice(iterator, batch)):
            yield from self._match_batch(chunk)

    def _most_bearers(self) -> int:
        """How many rows bear the most common code: what one query may find through one distinct code."""
        most = 1
        for name in self._searched:
            if ALGORITHMS[name].kind is not Kind.EXACT and len(starts := self.compiled.codes(name).starts) > 1:
                most = max(most, int(np.diff(starts).max()))
        return most

    def _match_batch(self, records: list[HashRecord]) -> Iterator[MatchResult]:
        hits = self._search_batch(records)
        allowed = self._known_good(records, hits)
        facts = row_facts(self.compiled, {row for found in hits for row in found.rows})
        for index, record in enumerate(records):
            found = hits[index]
            if found.rows or found.low_rows or found.disputed_rows:
                yield self._judge(record, found, facts, allowed.get(index, ()))
            else:
                verdict = Verdict.NONE if record.status == "ok" else Verdict.UNREADABLE
                yield MatchResult(record, verdict, notes=found.notes, compared=found.compared)

    def _search_batch(self, records: list[HashRecord]) -> list[_Hits]:
        hits = [_Hits() for _ in records]
        bearing: dict[str, list[int]] = {name: [] for name in self._searched}
        for i, record in enumerate(records):
            for name in record.hashes:
                if name in bearing:
                    bearing[name].append(i)
                elif name not in ALGORITHMS:
                    get(name)  # raises: a misspelt name must not look like a hash that matched nothing
        for name, bearers in bearing.items():
            chosen = self._rich_enough(name, records, bearers, hits)
            if not chosen:
                continue
            for i in chosen:
                hits[i].compared = True
            self.looked_up[name] += len(chosen)
            queries = _matrix(name, [records[i].hashes[name] for i in chosen])
            number = ALGORITHMS[name].number
            poor, left_out = self._poor(name), self._left_out(number)
            for at, row, distance in _pairs(self._search(self._searcher, name, queries, self.radius.get(name, 0))):
                if poor is not None and poor(row):
                    hits[chosen[at]].low_rows.setdefault(name, []).append(row)
                elif left_out is not None and left_out(row):
                    hits[chosen[at]].disputed_rows.setdefault(name, []).append(row)
                else:
                    hits[chosen[at]].rows.setdefault(row, []).append((number, distance))
        for record, found in zip(records, hits, strict=True):
            if not found.compared and record.hashes and not found.notes:
                has, offers = ", ".join(record.hashes), ", ".join(self._searched) or "no hashes"
                found.notes.append(f"nothing of this query could be compared: it has {has}; the list offers {offers}")
        return hits

    def _rich_enough(self, name: str, records: list[HashRecord], bearers: list[int], hits: list[_Hits]) -> list[int]:
        """Those of ``bearers`` whose hash is not of too low a quality or detail; the others get a note."""
        if name == "pdq":
            rich, least = [records[i].quality.get("pdq") for i in bearers], float(self.min_quality)
        elif name == "photodna" and self.photodna_min_detail is not None:
            rich = euclidean.detail(_matrix(name, [records[i].hashes[name] for i in bearers])).tolist()
            least = self.photodna_min_detail
        else:
            return bearers
        chosen = []
        for i, value in zip(bearers, rich, strict=True):
            if value is not None and value < least:
                hits[i].notes.append(f"{name} was not matched: its {_RICHNESS[name]} is {value:.3g}, under {least:g}")
            else:
                chosen.append(i)
        return chosen

    def _poor(self, name: str) -> Callable[[int], bool] | None:
        """Whether a row's hash is of too low a quality or detail; None where all of the list's may be matched."""
        if name == "pdq" and self.min_quality:
            quality = self.compiled.row_quality()
            # 255, a quality that is not known, is matched, as a query's is.
            return lambda row: bool(quality[row] < self.min_quality)
        if name == "photodna" and self.photodna_min_detail:
            if self._poor_rows is None:
                codes, starts, rows = self.compiled.codes(name)
                made = np.zeros(self.compiled.rows, np.bool_)
                with self._searcher.damage():
                    made[rows] = np.repeat(euclidean.detail(codes) < self.photodna_min_detail, np.diff(starts))
                self._poor_rows = made
            flat = self._poor_rows
            return lambda row: bool(flat[row])
        return None

    def _left_out(self, number: int) -> Callable[[int], bool] | None:
        """Whether a row's hash is left out because it is disputed; None where disputed ones are not left out."""
        if self.disputed != "leave-out":
            return None
        bits = self.compiled.row_disputed()
        return lambda row: bool(bits[row] >> number & 1)

    def _search(self, searcher: Searcher, name: str, queries: NDArray[np.uint8], radius: int) -> Triple:
        if ALGORITHMS[name].kind is Kind.EXACT:
            return searcher.search_digests(name, queries)
        return searcher.search_codes(name, queries, radius)

    def _known_good(self, records: list[HashRecord], hits: list[_Hits]) -> dict[int, list[str]]:
        """Index of a record -> known-good entries that it equals. Only records that hit something are looked up.

        Equal means the same digest, or the same PDQ of good quality on both sides: flat pictures share 64-bit codes. A
        disputed hash makes nothing equal: what may not be harmless must not hide a match. A note says so.
        """
        searcher, allow = self._allow_searcher, self.allow
        if searcher is None or allow is None:
            return {}
        result: dict[int, list[str]] = {}
        candidates = [i for i, found in enumerate(hits) if found.rows]
        for name in allow.algorithms:
            if ALGORITHMS[name].kind is not Kind.EXACT and name != "pdq":
                continue
            chosen = [i for i in candidates if name in records[i].hashes]
            if name == "pdq":
                chosen = [i for i in chosen if records[i].quality.get("pdq", 100) >= self.min_quality]
            if not chosen:
                continue
            queries = _matrix(name, [records[i].hashes[name] for i in chosen])
            equal = list(_pairs(self._search(searcher, name, queries, 0)))
            facts = row_facts(allow, {row for _, row, _ in equal})
            contested: dict[int, list[RowFacts]] = {}
            for at, row, _ in equal:
                if name == "pdq" and allow.row_quality()[row] < self.min_quality:
                    continue
                if facts[row].disputes(ALGORITHMS[name].number):
                    contested.setdefault(chosen[at], []).append(facts[row])
                    continue
                text = f"{facts[row].source}: {facts[row].ref}"
                if text not in (listed := result.setdefault(chosen[at], [])):
                    listed.append(text)
            for i, entries in contested.items():
                whose = _entry_and_more(entries[0], len(entries))
                hits[i].notes.append(f"{name} of known-good {whose} suppresses nothing: it is disputed")
        return result

    def _judge(
        self, record: HashRecord, found: _Hits, facts: Mapping[int, RowFacts], allowed: Sequence[str]
    ) -> MatchResult:
        matches: list[Match] = []
        verdict = Verdict.NONE if record.status == "ok" else Verdict.UNREADABLE
        suppressed: list[Match] = []
        notes = list(found.notes)
        exact = conflict = near = False
        for row in sorted(found.rows):
            of_row, entry = found.rows[row], facts[row]
            agrees, disagrees = self._agreement(record, entry, {number for number, _ in of_row})
            made = [self._make(row, entry, number, distance, agrees, disagrees) for number, distance in sorted(of_row)]
            if allowed and (self.allow_exact or not agrees):
                suppressed += made
                continue
            matches += made
            exact |= bool(agrees)
            conflict |= bool(disagrees)
            near |= not agrees
            if disagrees and entry.disputed:
                notes += _contested_notes(entry, disagrees)
        if conflict:
            verdict = Verdict.CONFLICT
        elif exact:
            verdict = Verdict.EXACT
        elif near:
            verdict = Verdict.NEAR
        for name, rows in found.low_rows.items():
            least = self.min_quality if name == "pdq" else self.photodna_min_detail
            notes.append(self._left_out_note(name, rows, f"its {_RICHNESS[name]} is under {least:g}"))
        for name, rows in found.disputed_rows.items():
            notes.append(self._left_out_note(name, rows, "it is disputed"))
        return MatchResult(record, verdict, matches, suppressed, allowed, notes, found.compared)

    def _left_out_note(self, name: str, rows: Sequence[int], why: str) -> str:
        first = row_facts(self.compiled, rows[:1])[rows[0]]
        return f"{name} of {_entry_and_more(first, len(rows))} was not matched: {why}"

    def _agreement(self, record: HashRecord, entry: RowFacts, hit: set[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Digests (and size) that agree and that do not; both empty where no digest agrees."""
        agrees: list[str] = []
        disagrees: list[str] = []
        # A digest that is left out has no say: it neither makes a conflict nor speaks against one.
        mask = entry.mask & ~entry.disputed if self.disputed == "leave-out" else entry.mask
        for name, number in self._exact:
            if name in record.hashes and mask >> number & 1:
                (agrees if number in hit else disagrees).append(name)
        if not agrees:
            return (), ()
        if entry.size >= 0 and record.size is not None:
            (agrees if entry.size == record.size else disagrees).append("size")
        return tuple(agrees), tuple(disagrees)

    def _make(
        self,
        row: int,
        entry: RowFacts,
        number: int,
        distance: int,
        agrees: tuple[str, ...],
        disagrees: tuple[str, ...],
    ) -> Match:
        name = _NAMES[number]
        radius = self.radius.get(name, 0)
        return Match(
            row,
            entry.source,
            entry.ref,
            entry.category,
            entry.media_type,
            name,
            distance,
            radius,
            agrees,
            disagrees,
            State.DISPUTED if entry.disputes(number) else State.ACTIVE,
        )


def _entry_and_more(first: RowFacts, count: int) -> str:
    """``first``, and how many of ``count`` entries there are beside it."""
    return f"entry {first.ref} of {first.source}" + (f" and {count - 1:,} more" if count > 1 else "")


def _contested_notes(entry: RowFacts, disagrees: Sequence[str]) -> Iterator[str]:
    """A conflict may be due to the very digest that is disputed: whoever looks at it should know."""
    for name in disagrees:
        if name in ALGORITHMS and entry.disputes(ALGORITHMS[name].number):
            yield f"{name} of entry {entry.ref} of {entry.source}, which differs, is disputed"


#: What a hash must have enough of to be matched, by algorithm.
_RICHNESS = {"pdq": "quality", "photodna": "detail"}

_NAMES = {a.number: a.name for a in ALGORITHMS.values()}


def _matrix(name: str, hashes: Sequence[bytes]) -> NDArray[np.uint8]:
    """uint8[n, width] of ``hashes``; a hash of another width raises `UsageError`."""
    width = ALGORITHMS[name].width
    if any(len(value) != width for value in hashes):
        found = next(len(value) for value in hashes if len(value) != width)
        raise UsageError(f"a {name} hash of {found} bytes; expected {width}")
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, width)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _pairs(triple: Triple) -> Iterator[tuple[int, int, int]]:
    """(query, row, distance) of a search's results, in order."""
    offsets, rows, distances = triple
    query: NDArray[Any] = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return zip(query.tolist(), rows.tolist(), distances.tolist(), strict=True)
