"""How many edited copies are found at a fixed false-match rate, by PDQ, pHash, dHash and combinations of them?

    python benchmarks/accuracy.py [--images 2600] [--edited 300] [--rate 1e-4 1e-6] [--output FILE]
    python benchmarks/accuracy.py --folder FOLDER       # pictures of your own
    python benchmarks/accuracy.py --draw [FILE]         # figures from a document, nothing measured

Two sets of pictures that have nothing to do with each other. The distances of all pairs of the first set
(``--images``) give the thresholds: the largest under which no more than the fixed share of unrelated pairs match.
Every picture of the second set (``--edited``) is then edited in each way, and a copy counts as found if it matches its
original under those thresholds, or under the default radii, which stand beside. The copies are also matched with the
first set, in which none has an original: the false-match rate there is a check, on pairs that chose nothing.

A rate is left out where there are fewer than 3 / rate pairs: with that many and no match at all, the true rate is below
it with 95%. 1e-4 needs 30,000 pairs (246 pictures), 1e-6 3 million (2,451). Pairs share pictures and are not
independent, so a rate at the edge of that is less sure than its interval says. All rates have Wilson intervals of 95%.

The generated pictures are no photographs: read differences between algorithms and edits from them, not the recall that
your material will have. With ``--folder`` nothing of the folder is stored, logged or named: what comes out are counts
and rates, and copies are made in memory.

Left out are what cannot be read, pictures of a PDQ quality under 50 and doubles; in a folder also a picture that is
within the default radii of all three algorithms of an earlier one: it would pass for unrelated and hardly is. Other
pictures of one scene stay, and push the thresholds down.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _rates
import _scenes
import numpy as np
from _edits import EDITS
from numpy.typing import NDArray

from hashmatch import algorithms, hash_bytes, imaging, kernels
from hashmatch.bench import result
from hashmatch.bench.machine import machine
from hashmatch.errors import ImageError

ALGORITHMS = ("pdq", "phash", "dhash")
BITS = {name: algorithms.get(name).bits for name in ALGORITHMS}
#: PDQ of the eight orientations of the query; the nearest counts.
TURNED = "pdq, 8 orientations"
ORIENTATIONS = 8
COLUMNS = (*ALGORITHMS, TURNED)
FIGURES = Path(__file__).parent / "figures"
_QUALITY = 92  # of the JPEGs that the generated originals are
_BLOCK = 64  # queries whose distances to all pictures are held at once

Codes = NDArray[np.uint8]
#: Edit -> what its copies are called; the original is "".
Hashed = dict[str, tuple[dict[str, bytes], bytes]]


def hashes(data: bytes) -> tuple[dict[str, bytes], bytes, int]:
    """Of an image file: algorithm -> hash, the eight orientations' PDQ one after the other, PDQ's quality."""
    record = hash_bytes(data, ALGORITHMS)
    turned, _ = kernels.pdq_dihedral_from_pixels(imaging.decode(data).pixels)
    return record.hashes, turned.tobytes(), record.quality["pdq"]


@dataclass(slots=True)
class Examined:
    """What a worker says of one picture. It holds no name.

    Attributes:
        kind: of the generated picture, or ``file``.
        digest: SHA-256 of the decoded pixels.
        left_out: why it is not used, or "".
        hashed: "" and, where it is edited, each edit's name -> algorithm -> hash, and the orientations' PDQ.
    """

    kind: str = ""
    digest: bytes = b""
    left_out: str = ""
    hashed: Hashed = field(default_factory=dict)


def examine(job: tuple[int, str | None, bool]) -> Examined:
    """Hash a picture, of a seed or of a file, and its edited copies where they are wanted."""
    seed, path, edited = job
    found = Examined("file")
    try:
        if path is None:
            pixels, found.kind = _scenes.picture(seed)
            data = imaging.encode(pixels, "JPEG", quality=_QUALITY)
        else:
            data = Path(path).read_bytes()
        picture = imaging.decode(data)
        codes, turned, quality = hashes(data)
        if quality < algorithms.PDQ_MIN_QUALITY:
            found.left_out = "low quality"
            return found
        # The eight orientations begin with the picture as it is: what is measured is what a match compares.
        assert turned[: len(codes["pdq"])] == codes["pdq"]
        found.digest = hashlib.sha256(f"{picture.image.size}".encode() + picture.image.tobytes()).digest()
        found.hashed[""] = codes, turned
        for edit in EDITS if edited else ():
            found.hashed[edit.name] = hashes(edit.copy(picture.image, seed))[:2]
    except (ImageError, OSError, ValueError, MemoryError):
        # What was wrong would name the file.
        found.left_out, found.hashed = "unreadable", {}
    return found


def distances(queries: Codes, database: Codes) -> NDArray[np.uint16]:
    """``uint16[queries, rows]``: bits between every query and every row."""
    offsets, rows, bits = kernels.hamming_range(queries, database, 8 * queries.shape[1])
    table = np.empty((len(queries), len(database)), np.uint16)
    table[np.repeat(np.arange(len(queries)), np.diff(offsets)), rows] = bits
    return table


def nearest_turn(turned: Codes, database: Codes) -> NDArray[np.uint16]:
    """The same for queries of eight orientations, the nearest of which counts: ``turned`` has eight rows a query."""
    table = distances(turned, database)
    return table.reshape(-1, ORIENTATIONS, len(database)).min(axis=1)


class Pictures:
    """The codes of a set of pictures: ``codes[algorithm]`` has a row a picture, ``codes[TURNED]`` eight."""

    def __init__(self, hashed: Sequence[tuple[dict[str, bytes], bytes]]) -> None:
        self.count = len(hashed)
        self.codes: dict[str, Codes] = {}
        for name in ALGORITHMS:
            text = b"".join(codes[name] for codes, _ in hashed)
            self.codes[name] = np.frombuffer(text, np.uint8).reshape(-1, BITS[name] // 8)
        text = b"".join(turned for _, turned in hashed)
        self.codes[TURNED] = np.frombuffer(text, np.uint8).reshape(-1, BITS["pdq"] // 8)


def check_distances(pictures: Pictures, seed: int) -> str:
    """Compare the kernel's distances with a count of bits in plain Python.

    Raises:
        ArithmeticError: they differ.
    """
    chance, some = random.Random(seed), 200
    for name in ALGORITHMS:
        codes = pictures.codes[name]
        chosen = [(chance.randrange(len(codes)), chance.randrange(len(codes))) for _ in range(some)]
        for one, other in chosen:
            plain = (int.from_bytes(codes[one].tobytes()) ^ int.from_bytes(codes[other].tobytes())).bit_count()
            if int(distances(codes[one : one + 1], codes[other : other + 1])[0, 0]) != plain:
                raise ArithmeticError(f"the distance of two {name} hashes differs from the plain count of bits")
    return (
        f"{some} distances of each algorithm with a plain count of bits; the first of the eight orientations with PDQ"
    )


def unrelated(pictures: Pictures) -> tuple[_rates.Joint, _rates.Joint]:
    """The distances of all pairs: of the three algorithms jointly, and of PDQ with eight orientations."""
    joint, turned = _rates.Joint(BITS), _rates.Joint({TURNED: BITS["pdq"]})
    for start in range(0, pictures.count, _BLOCK):
        stop = min(start + _BLOCK, pictures.count)
        # Each pair once: a query with the rows behind it.
        later = np.arange(start, pictures.count) > np.arange(start, stop)[:, None]
        tables = {
            name: distances(pictures.codes[name][start:stop], pictures.codes[name][start:]) for name in ALGORITHMS
        }
        joint.add({name: table[later] for name, table in tables.items()})
        rows = slice(ORIENTATIONS * start, ORIENTATIONS * stop)
        turned.add({TURNED: nearest_turn(pictures.codes[TURNED][rows], pictures.codes["pdq"][start:])[later]})
    return joint, turned


def hits(queries: Pictures, database: Pictures, name: str, radius: int) -> NDArray[np.int64]:
    """Pairs within a radius, ascending, each as query times the database's size plus row."""
    if radius < 0 or not queries.count or not database.count:
        return np.empty(0, np.int64)
    base = database.codes["pdq" if name == TURNED else name]
    offsets, rows, _ = kernels.hamming_range(queries.codes[name], base, radius)
    found = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    if name == TURNED:
        found //= ORIENTATIONS
    pairs: NDArray[np.int64] = np.unique(found * database.count + rows)
    return pairs


def matched(queries: Pictures, database: Pictures, thresholds: dict[str, int], rule: str) -> NDArray[np.int64]:
    """Pairs that match under a method, as `hits` gives them."""
    sets = [hits(queries, database, name, radius) for name, radius in thresholds.items()]
    found = sets[0]
    for other in sets[1:]:
        found = np.intersect1d(found, other) if rule == "all" else np.union1d(found, other)
    return found


def share(found: int, of: int) -> dict[str, Any]:
    """A rate with its interval, as it stands in the document."""
    low, high = _rates.wilson(found, of)
    return {
        "found": found,
        "of": of,
        "rate": rounded(found / of if of else 0.0),
        "low": rounded(low),
        "high": rounded(high),
    }


def rounded(value: float) -> float:
    """With five digits: no more mean anything, and the document stays short."""
    return float(f"{value:.5g}")


def one_result(
    case: str, parameters: dict[str, Any], work: int, unit: str, checked: str, figures: Any
) -> dict[str, Any]:
    return {
        "suite": "accuracy",
        "case": case,
        "parameters": parameters,
        "unit": unit,
        "work": work,
        "checked": checked,
        "rounds": 1,
        "contestants": [],
        "figures": figures,
        "ratios": {},
    }


def distribution(name: str, joint: _rates.Joint, checked: str) -> dict[str, Any]:
    """The result that says how far unrelated pictures are apart under an algorithm."""
    counts = joint.histogram(name)
    bits, pairs = len(counts) - 1, joint.pairs
    places = np.arange(bits + 1)
    mean = float((counts * places).sum() / pairs)
    deviation = float(((counts * (places - mean) ** 2).sum() / pairs) ** 0.5)
    figures = {
        "histogram": [int(count) for count in counts],
        # The nearest of eight draws, where eight orientations are tried.
        "binomial": [rounded(value) for value in model(bits, pairs, ORIENTATIONS if name == TURNED else 1)],
        "mean": rounded(mean),
        "deviation": rounded(deviation),
        # The bits of a binomial with this mean and deviation (Daugman's degrees of freedom).
        "free_bits": rounded(mean * (bits - mean) / deviation**2) if deviation and name != TURNED else None,
        "smallest": int(np.flatnonzero(counts)[0]),
    }
    return one_result("unrelated", {"algorithm": name, "bits": bits}, pairs, "pairs", checked, figures)


def model(bits: int, pairs: int, tries: int) -> list[float]:
    """Pairs expected at each distance if bits were independent and fair, for the nearest of ``tries`` codes."""
    one = np.array(_rates.binomial(bits, 1))
    beyond = np.append(np.cumsum(one[::-1])[::-1], 0.0) ** tries  # at least this distance, by every try
    # Differences of numbers near 1 lose the tail, where tries are as good as exclusive.
    return [
        pairs * (float(beyond[i] - beyond[i + 1]) if beyond[i] < 0.99 else tries * float(one[i]))
        for i in range(bits + 1)
    ]


def recall(
    method: _rates.Method,
    thresholds: dict[str, int],
    parameters: dict[str, Any],
    false: tuple[int, int],
    sets: tuple[Pictures, Pictures, dict[str, Pictures]],
    checked: str,
) -> dict[str, Any]:
    """The result that says how many copies a method finds under its thresholds, edit by edit."""
    others, originals, copies = sets
    edits: dict[str, Any] = {}
    false_found = false_of = 0
    itself = np.arange(originals.count) * (originals.count + 1)
    for edit in EDITS:
        right = np.isin(itself, matched(copies[edit.name], originals, thresholds, method.rule))
        wrong = len(matched(copies[edit.name], others, thresholds, method.rule))
        pairs = copies[edit.name].count * others.count
        false_found, false_of = false_found + wrong, false_of + pairs
        edits[edit.name] = share(int(right.sum()), originals.count) | {"false": wrong, "false_of": pairs}
    figures = {
        "thresholds": thresholds,
        "unrelated": share(*false),
        "copies_of_others": share(false_found, false_of),
        "edits": edits,
    }
    stated = {"method": method.name, "rule": method.rule, "algorithms": list(method.algorithms)} | parameters
    return one_result("recall", stated, originals.count, "pictures", checked, figures)


def measure(
    others: Pictures,
    originals: Pictures,
    copies: dict[str, Pictures],
    rates: Sequence[float],
    parameters: dict[str, Any],
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """All results, and the rates that are left out."""
    checked = check_distances(others, parameters["seed"])
    joint, turned = unrelated(others)
    results = [distribution(name, turned if name == TURNED else joint, checked) for name in COLUMNS]
    absent = []
    chosen: list[float | None] = [None]
    for rate in rates:
        if _rates.supported(joint.pairs, rate):
            chosen.append(rate)
        else:
            needed = f"it needs {_rates.NEEDED / rate:,.0f} unrelated pairs, and there are {joint.pairs:,}"
            absent.append({"name": f"false-match rate {rate:g}", "reason": needed})
    default = {name: algorithms.get(name).radius for name in ALGORITHMS} | {TURNED: algorithms.get("pdq").radius}
    listed = [*_rates.methods(ALGORITHMS), _rates.Method(TURNED, "single", (TURNED,))]
    for rate in chosen:
        for method in listed:
            counts = turned if method.name == TURNED else joint
            if rate is None:
                thresholds = {name: default[name] for name in method.algorithms}
            else:
                thresholds = counts.thresholds(method, rate)
            false = counts.matching(thresholds, method.rule), counts.pairs
            stated = {"false_match_rate": rate, "thresholds_from": "the default radii" if rate is None else "the rate"}
            results.append(recall(method, thresholds, stated, false, (others, originals, copies), checked))
    for item in results:
        item["parameters"] |= parameters
    return results, absent


def jobs(options: argparse.Namespace) -> Iterator[tuple[int, str | None, bool]]:
    """Seeds, or files by chance, those to be edited first: (seed, path, whether it is edited)."""
    wanted = options.images + options.edited
    if options.folder is None:
        first = options.seed * 1_000_000_000
        for number in range(wanted):
            yield first + number, None, number < options.edited
        return
    paths = sorted(
        os.path.join(folder, name)  # noqa: PTH118 - names need not be text that Path would keep
        for folder, _, names in os.walk(options.folder)
        for name in names
    )
    random.Random(options.seed).shuffle(paths)
    # Where there are fewer files than wanted, each set gets its share.
    edited = min(options.edited, len(paths) * options.edited // wanted)
    for number, path in enumerate(paths[:wanted]):
        yield options.seed * 1_000_000_000 + number, path, number < edited


def gather(
    found: Iterable[Examined], folder: bool
) -> tuple[Pictures, Pictures, dict[str, Pictures], Counter[str], Counter[str]]:
    """The first set, the second, its copies by edit, the kinds of pictures used, and why others were left out."""
    kinds: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    seen: set[bytes] = set()
    kept: list[Examined] = []
    for item in found:
        if not item.left_out and item.digest in seen:
            item.left_out = "double"
        if item.left_out:
            left_out[item.left_out] += 1
            continue
        seen.add(item.digest)
        kept.append(item)
    if folder and kept:
        alike = near_copies(Pictures([item.hashed[""] for item in kept]))
        left_out["near copy"] += len(alike)
        kept = [item for number, item in enumerate(kept) if number not in alike]
    kinds.update(item.kind for item in kept)
    edited = [item for item in kept if len(item.hashed) > 1]
    others = Pictures([item.hashed[""] for item in kept if len(item.hashed) == 1])
    copies = {edit.name: Pictures([item.hashed[edit.name] for item in edited]) for edit in EDITS}
    return others, Pictures([item.hashed[""] for item in edited]), copies, kinds, left_out


def near_copies(pictures: Pictures) -> set[int]:
    """Pictures within the default radii of all three algorithms of an earlier one."""
    radii = {name: algorithms.get(name).radius for name in ALGORITHMS}
    one, other = np.divmod(matched(pictures, pictures, radii, "all"), max(1, pictures.count))
    return {int(number) for number in one[other < one]}


def show(document: dict[str, Any]) -> None:
    """Print the document's rates as tables of Markdown."""
    recalls = [item for item in document["results"] if item["case"] == "recall"]
    for item in document["results"]:
        if item["case"] == "unrelated":
            print(
                f"{item['parameters']['algorithm']}: {item['work']:,} unrelated pairs, smallest distance "
                f"{item['figures']['smallest']}, mean {item['figures']['mean']:.1f}, "
                f"deviation {item['figures']['deviation']:.1f} of {item['parameters']['bits']} bits"
            )
    for absent in document["absent"]:
        print(f"Left out: {absent['name']}: {absent['reason']}.")
    for rate in dict.fromkeys(item["parameters"]["false_match_rate"] for item in recalls):
        chosen = [item for item in recalls if item["parameters"]["false_match_rate"] == rate]
        count = chosen[0]["work"]
        head = "the default radii" if rate is None else f"a false-match rate of at most {rate:g}"
        print(
            f"\nRecall of {count:,} copies an edit, %, at {head}; a half interval is up to "
            f"{50 * (_rates.wilson(count // 2, count)[1] - _rates.wilson(count // 2, count)[0]):.1f}:\n"
        )
        print(f"| edit | {' | '.join(item['parameters']['method'] for item in chosen)} |")
        print("| --- " * (len(chosen) + 1) + "|")
        limits = ["/".join(map(str, item["figures"]["thresholds"].values())) for item in chosen]
        print(f"| thresholds, bits | {' | '.join(limits)} |")
        for what, key in (("unrelated pairs", "unrelated"), ("copies and others", "copies_of_others")):
            print(f"| false, {what} | {' | '.join(format(item['figures'][key]['rate'], '.1e') for item in chosen)} |")
        for edit in EDITS:
            cells = [f"{100 * item['figures']['edits'][edit.name]['rate']:.1f}" for item in chosen]
            print(f"| {edit.name} | {' | '.join(cells)} |")


def written(document: dict[str, Any]) -> str:
    """The document as JSON, a line for each result."""
    rows = ",\n".join(f"  {json.dumps(item)}" for item in document["results"])
    return json.dumps(document | {"results": ["@"]}, indent=1).replace('[\n  "@"\n ]', f"[\n{rows}\n ]") + "\n"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the document."""
    stamp = machine()
    with ProcessPoolExecutor(options.workers) as pool:
        found = pool.map(examine, jobs(options), chunksize=8)
        others, originals, copies, kinds, left_out = gather(found, options.folder is not None)
    if others.count < 2 or not originals.count:
        raise SystemExit(
            f"too few pictures: {others.count} for pairs and {originals.count} to edit; left out: {dict(left_out)}"
        )
    parameters = {
        "pictures": "generated" if options.folder is None else "a folder of the user's",
        "kinds": dict(sorted(kinds.items())),
        "left_out": dict(sorted(left_out.items())),
        "unrelated": others.count,
        "edited": originals.count,
        "seed": options.seed,
    }
    results, absent = measure(others, originals, copies, options.rate, parameters)
    return result.document(results, absent, seed=options.seed, stamp=stamp)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2600, help="pictures whose pairs give the thresholds")
    parser.add_argument("--edited", type=int, default=300, help="other pictures, which are edited in every way")
    parser.add_argument(
        "--rate", type=float, nargs="+", default=[1e-4, 1e-6], help="false-match rates, over 0 and under 1"
    )
    parser.add_argument(
        "--folder", help="pictures of your own instead of generated ones; only counts and rates come out"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="write the document here, as JSON")
    parser.add_argument(
        "--draw",
        type=Path,
        nargs="?",
        const=FIGURES / "accuracy.json",
        help="measure nothing; draw the figures of a document beside it, with matplotlib",
    )
    options = parser.parse_args(arguments)
    if options.draw is not None:
        from _accuracy_figures import draw

        for path in draw(result.read_document(options.draw), options.draw.parent):
            print(path.name)
        return 0
    if options.images < 2 or options.edited < 1 or not all(0 < rate < 1 for rate in options.rate):
        parser.error("expected --images of 2 or more, --edited of 1 or more and rates between 0 and 1")
    if options.folder is not None and not Path(options.folder).is_dir():
        parser.error("what --folder says is not a folder")
    document = run(options)
    show(document)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(written(document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
