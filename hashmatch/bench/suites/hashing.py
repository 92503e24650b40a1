"""Suite ``hash``: from pixels, and from files, to codes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashmatch import imaging, kernels, synthetic
from hashmatch._version import __version__
from hashmatch.bench import peers
from hashmatch.bench.measure import Contestant
from hashmatch.bench.result import OURS, Case
from hashmatch.bench.suites import Plan, expect
from hashmatch.hashing import hash_file
from hashmatch.kernels import reference

__all__ = ["contestants", "encoded", "pictures", "run"]

Pixels = NDArray[np.uint8]

#: Kinds of picture with enough detail for every hash.
_KINDS = ("noise", "shapes", "text")
#: Bits that a hash of profile ``luma`` may differ from the reference's: what `hashmatch.hashing` promises.
_LUMA_BITS = 4


def pictures(plan: Plan) -> list[Pixels]:
    """Generated pictures, ``uint8[side, side * 4 / 3, 3]``."""
    return [
        synthetic.image(plan.seed * 1_000_003 + number, plan.side * 4 // 3, plan.side, _KINDS[number % len(_KINDS)])
        for number in range(plan.images)
    ]


def encoded(pixels: Pixels, quality: int = 85) -> bytes:
    """A picture as a JPEG file."""
    return imaging.encode(pixels, "JPEG", quality=quality)


def run(plan: Plan) -> Iterator[Case]:
    """PDQ and the family, from arrays and from files."""
    made = pictures(plan)
    for algorithm in ("pdq", *kernels.FAMILY):
        yield _arrays(plan, algorithm, made)
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-", ignore_cleanup_errors=True) as folder:
        paths = []
        for number, pixels in enumerate(made):
            paths.append(Path(folder) / f"{number:06d}.jpg")
            paths[-1].write_bytes(encoded(pixels))
        for algorithm in ("pdq", *kernels.FAMILY):
            yield _files(plan, algorithm, paths)
            yield _luma_files(plan, algorithm, paths)


def _parameters(plan: Plan) -> dict[str, int]:
    return {"images": plan.images, "width": plan.side * 4 // 3, "height": plan.side}


def _arrays(plan: Plan, algorithm: str, made: list[Pixels]) -> Case:
    if algorithm == "pdq":
        few = made[: max(2, len(made) // 8)]
        expect(
            _pdq(few) == [reference.pdq_from_pixels(pixels)[0].tobytes() for pixels in few],
            "hash pdq beside the NumPy reference",
        )
        return _case(plan, algorithm, algorithm, made, lambda: _pdq(made), "kernels.pdq_batch")
    vertical = imaging.vertical_first()
    decided = kernels.family_batch(made, (algorithm,), vertical_first=vertical)[algorithm][1]
    # Pictures in which rounding decides are left to imagehash itself: its arithmetic is not to be timed as ours.
    ours = [pixels for pixels, own in zip(made, decided, strict=True) if own]

    def work() -> list[bytes]:
        codes, _ = kernels.family_batch(ours, (algorithm,), vertical_first=vertical)[algorithm]
        return [code.tobytes() for code in codes]

    return _case(plan, algorithm, algorithm, ours, work, "kernels.family_batch")


def _pdq(made: Sequence[Pixels]) -> list[bytes]:
    return [code.tobytes() for code in kernels.pdq_batch(made)[0]]


def _files(plan: Plan, algorithm: str, paths: list[Path]) -> Case:
    def work() -> list[bytes]:
        return [hash_file(path, (algorithm,)).hashes[algorithm] for path in paths]

    def read() -> list[bytes]:
        return [path.read_bytes() for path in paths]

    return _case(plan, f"{algorithm}-files", algorithm, read, work, "hash_file, profile reference")


def _luma_files(plan: Plan, algorithm: str, paths: list[Path]) -> Case:
    """The faster profile, beside the same peers. Its codes are near the reference's, and so near the peers'."""

    def work() -> list[bytes]:
        return [hash_file(path, (algorithm,), profile="luma").hashes[algorithm] for path in paths]

    def read() -> list[bytes]:
        return [path.read_bytes() for path in paths]

    reference = [hash_file(path, (algorithm,)).hashes[algorithm] for path in paths]
    apart = [(int.from_bytes(a) ^ int.from_bytes(b)).bit_count() for a, b in zip(work(), reference, strict=True)]
    expect(max(apart) <= _LUMA_BITS, f"hash {algorithm}-files-luma beside profile reference: {max(apart)} bits apart")
    sides = [side for side, _ in contestants(plan, algorithm, read, reference)]
    sides.append(
        Contestant(
            "profile-reference",
            __version__,
            lambda: [hash_file(path, (algorithm,)) for path in paths],
            "hash_file, profile reference: our own other way",
        )
    )
    return Case(
        "hash",
        f"{algorithm}-files-luma",
        _parameters(plan),
        "images",
        len(paths),
        f"all {len(paths):,} codes with those of profile reference: at most {max(apart)} bits apart, {_LUMA_BITS} are "
        "allowed",
        [Contestant(OURS, __version__, work, "hash_file, profile luma", ours=True), *sides],
    )


def _case(
    plan: Plan,
    name: str,
    algorithm: str,
    given: Sequence[Pixels] | Callable[[], list[bytes]],
    work: Callable[[], list[bytes]],
    detail: str,
) -> Case:
    own = work()
    expect(bool(own), f"hash {name}: in every picture rounding could decide")
    found = list(contestants(plan, algorithm, given, own))
    sides = [side for side, _ in found]
    equal = [side.name for side, same in found if same]
    if not equal:
        # Without a package to compare with, our own portable way is the reference, and the other side of the ratio.
        what = given() if callable(given) else given
        slow = _portable(algorithm, what)
        expect(slow() == own, f"hash {name} beside the NumPy reference")
        sides.append(Contestant("numpy-reference", np.__version__, slow, "our own portable kernels"))
        equal = ["numpy-reference"]
    return Case(
        "hash",
        name,
        _parameters(plan),
        "images",
        len(own),
        f"all {len(own):,} codes bit for bit with those of {', '.join(equal)}",
        [Contestant(OURS, __version__, work, detail, ours=True), *sides],
    )


def contestants(
    plan: Plan, algorithm: str, given: Sequence[Pixels] | Callable[[], list[bytes]], own: list[bytes]
) -> Iterator[tuple[Contestant, bool]]:
    """The peers that have an algorithm, each with whether its codes are ours, bit for bit.

    Raises:
        BenchmarkCheckError: a peer whose codes are meant to equal ours has others.
    """
    for peer in plan.present(peers.hash_peers()):
        if algorithm not in peer.algorithms:
            continue

        def work(peer: peers.HashPeer = peer) -> list[bytes]:
            return peer.run(given() if callable(given) else given)

        try:
            peer.prepare(algorithm)
            theirs = work()
        except Exception as error:  # noqa: BLE001 - a peer may raise anything; it is reported
            plan.failed(peer.name, algorithm, error)
            continue
        detail = peer.detail
        if peer.exact:
            expect(theirs == own, f"hash {algorithm} beside {peer.name} {peer.version}")
        else:
            same = sum(a == b for a, b in zip(theirs, own, strict=True))
            detail += f"; {len(own) - same} of {len(own)} codes differ from ours, as its arithmetic is another"
        yield Contestant(peer.name, peer.version, work, detail), peer.exact


def _portable(algorithm: str, given: Sequence[Pixels] | list[bytes]) -> Callable[[], list[bytes]]:
    def pixels() -> Iterator[Pixels]:
        for each in given:
            yield imaging.decode(each).pixels if isinstance(each, bytes) else each

    def work() -> list[bytes]:
        return [reference.pdq_from_pixels(each)[0].tobytes() for each in pixels()]

    expect(algorithm == "pdq", f"{algorithm}: imagehash, which hashmatch needs, is not to be found")
    return work
