"""Suite ``scan``: a folder of generated pictures, hashed and matched against a list."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from hashmatch._version import __version__
from hashmatch.algorithms import ALGORITHMS
from hashmatch.bench.measure import Contestant
from hashmatch.bench.result import OURS, Case
from hashmatch.bench.suites import Plan, expect
from hashmatch.bench.suites.hashing import contestants, encoded, pictures
from hashmatch.lists.entry import Entry
from hashmatch.lists.store import HashList
from hashmatch.match_result import MatchResult
from hashmatch.matcher import Matcher
from hashmatch.scan import HashPool, walk

__all__ = ["run"]

#: Quality of the JPEG files of the list, and of their copies in the folder.
_ORIGINAL, _COPY = 95, 60


def run(plan: Plan) -> Iterator[Case]:
    """Every second picture of the folder is a copy, compressed anew, of a picture of the list."""
    from hashmatch.hashing import hash_bytes

    algorithm = "phash"
    made = pictures(plan)
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-", ignore_cleanup_errors=True) as temporary:
        home, folder = Path(temporary), Path(temporary) / "folder"
        folder.mkdir()
        known = [hash_bytes(encoded(pixels, _ORIGINAL), (algorithm,)).hashes for pixels in made[::2]]
        for number, pixels in enumerate(made):
            (folder / f"{number:06d}.jpg").write_bytes(encoded(pixels, _COPY))
        with HashList.open(home / "known.hml", create=True) as opened:
            opened.import_entries(
                (Entry.make(f"picture-{number:06d}", hashes) for number, hashes in enumerate(known)), "generated"
            )
            opened.compile(home / "known.hmx")
        workers = 0 if plan.threads == 1 else plan.threads
        with Matcher.open(home / "known.hmx", threads=plan.threads) as matcher:

            def ours() -> list[MatchResult]:
                pool = HashPool((algorithm,), workers=workers)
                return list(matcher.match_many(pool.run(walk([folder]))))

            results = ours()
            expect(all(result.record.status == "ok" for result in results), "scan: a picture could not be read")
            own = [result.record.hashes[algorithm] for result in results]
            found = list(contestants(plan, algorithm, lambda: _read(folder), own))
            equal = [side.name for side, same in found if same]
            expect(
                bool(equal), "scan: imagehash, which hashmatch needs, cannot be run, so that no code can be compared"
            )
            pairs = _brute_force([hashes[algorithm] for hashes in known], own, ALGORITHMS[algorithm].radius)
            matched = {
                (number, match.entry, match.distance)
                for number, result in enumerate(results)
                for match in result.matches
            }
            expect(bool(pairs) and matched == pairs, "scan: the matches beside a brute force")
            yield Case(
                "scan",
                algorithm,
                {
                    "images": plan.images,
                    "width": plan.side * 4 // 3,
                    "height": plan.side,
                    "entries": len(known),
                    "threads": plan.threads,
                },
                "images",
                len(own),
                f"all {len(own):,} codes bit for bit with those of {', '.join(equal)}, "
                f"{len(pairs):,} matches with a brute force",
                [
                    Contestant(
                        OURS,
                        __version__,
                        ours,
                        f"folder walked, files read, hashed in {workers or 'no'} worker processes, and matched",
                        ours=True,
                    ),
                    *(side for side, _ in found),
                ],
            )


def _read(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _brute_force(known: list[bytes], queries: list[bytes], radius: int) -> set[tuple[int, str, int]]:
    """(number of the query, reference, distance) of every pair within the radius."""
    pairs = set()
    for number, query in enumerate(queries):
        for row, code in enumerate(known):
            distance = (int.from_bytes(query) ^ int.from_bytes(code)).bit_count()
            if distance <= radius:
                pairs.add((number, f"picture-{row:06d}", distance))
    return pairs
