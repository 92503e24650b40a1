"""The document of results: making it, writing it, and reading it without trust.

``benchmarks/schema.json`` describes it for others. What is read is checked as far as it is used.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hashmatch._version import __version__
from hashmatch.bench import machine
from hashmatch.bench.measure import Contestant, interleave, ratios, spread
from hashmatch.errors import (
    BenchmarkCheckError,
    BenchmarkDamagedError,
    BenchmarkVersionError,
    InputNotFoundError,
    shorten,
)

__all__ = [
    "FORMAT",
    "MOST_BYTES",
    "OURS",
    "VERSION",
    "Case",
    "Key",
    "document",
    "measured",
    "ratios_of",
    "read_document",
    "sides",
]

FORMAT = "hashmatch bench"
VERSION = 1
#: Bytes of the largest document that is read.
MOST_BYTES = 64 << 20
#: The name of our own contestant.
OURS = "hashmatch"


@dataclass(frozen=True, slots=True)
class Case:
    """What a suite hands over to be timed: its answers are checked.

    Attributes:
        suite: ``hash``, ``match``, ``import``, ``startup`` or ``scan``.
        case: what of it, unique within the suite.
        parameters: numbers and words that figures depend on.
        unit: what is counted (``queries``).
        work: how many of them one round does.
        checked: what was compared before the timing, in words.
        contestants: the first is ours.
    """

    suite: str
    case: str
    parameters: Mapping[str, Any]
    unit: str
    work: int
    checked: str
    contestants: Sequence[Contestant] = field(repr=False)


def measured(case: Case, rounds: int) -> dict[str, Any]:
    """Time a case; one element of the document's ``results``.

    Raises:
        BenchmarkCheckError: the case does not say what was compared: it is not timed.
    """
    if not case.checked:
        raise BenchmarkCheckError(f"{case.suite} {case.case}: nothing was compared, so nothing is timed")
    seconds = interleave(case.contestants, rounds)
    return {
        "suite": case.suite,
        "case": case.case,
        "parameters": dict(case.parameters),
        "unit": case.unit,
        "work": case.work,
        "checked": case.checked,
        "rounds": rounds,
        "contestants": [
            {
                "name": side.name,
                "version": side.version,
                "detail": side.detail,
                "ours": side.ours,
                "seconds": seconds[side.name],
                "memory_bytes": side.memory_bytes,
                "recall": side.recall,
            }
            for side in case.contestants
        ],
        "figures": {
            name: asdict(figure := spread(values)) | {"per_second": case.work / figure.median}
            for name, values in seconds.items()
        },
        "ratios": {name: asdict(ratio) for name, ratio in ratios(seconds, OURS).items()},
    }


def document(
    results: Sequence[Mapping[str, Any]],
    absent: Iterable[Mapping[str, str]],
    *,
    seed: int,
    stamp: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A whole document; ``stamp`` is `machine.machine` as it was before the first measurement."""
    now = datetime.now(UTC).replace(microsecond=0)
    return {
        "format": FORMAT,
        "version": VERSION,
        "date": now.isoformat().replace("+00:00", "Z"),
        "hashmatch": __version__,
        "seed": seed,
        "machine": dict(stamp or machine.machine()) | {"load_after": machine.load()},
        "results": [dict(result) for result in results],
        "absent": [dict(each) for each in absent],
    }


# ---------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What a ratio is of: figures with equal keys can be compared.

    Attributes:
        suite: the suite.
        case: the case.
        parameters: its parameters as JSON, keys in order.
        peer: who is compared with us.
    """

    suite: str
    case: str
    parameters: str
    peer: str

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value}" for name, value in json.loads(self.parameters).items())
        return f"{self.suite} {self.case}{f' ({values})' if values else ''}: {self.peer}"


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A document, checked as far as `ratios_of` and `hashmatch.bench.forms` use it.

    Raises:
        InputNotFoundError: no such file, or it cannot be read.
        BenchmarkDamagedError: not JSON, no document of results, or damaged.
        BenchmarkVersionError: another version of the format.
    """
    shown = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputNotFoundError(f"{shown}: cannot be read: {reason}") from error
    if len(data) > MOST_BYTES:
        raise BenchmarkDamagedError(f"{shown}: over {MOST_BYTES:,} bytes; a document of results is far smaller")
    try:
        read = json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error) or type(error).__name__
        raise BenchmarkDamagedError(f"{shown}: is no document of results: {reason}") from error
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        raise BenchmarkDamagedError(
            f"{shown}: is no document of results; expected a JSON object with format {FORMAT!r}, as --json writes it"
        )
    if read.get("version") != VERSION or isinstance(read.get("version"), bool):
        raise BenchmarkVersionError(
            f"{shown}: version {shorten(read.get('version'))} of the format; this software reads {VERSION}: "
            "measure again with it"
        )
    try:
        _check(read)
    except ValueError as error:
        raise BenchmarkDamagedError(f"{shown}: is damaged: {error}") from error
    return read


def ratios_of(read: Mapping[str, Any]) -> dict[Key, Mapping[str, float]]:
    """Every ratio of a document: its key, and ``median``, ``low`` and ``high``."""
    return {
        Key(result["suite"], result["case"], json.dumps(result["parameters"], sort_keys=True), peer): ratio
        for result in read["results"]
        for peer, ratio in result.get("ratios", {}).items()
    }


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _check(read: Mapping[str, Any]) -> None:
    """Raise ValueError where the document is not as the schema says, as far as it is used."""
    machine_facts, results = read.get("machine"), read.get("results")
    if not isinstance(machine_facts, dict) or not isinstance(results, list):
        raise ValueError("machine is not an object, or results is not a list")
    seen = set()
    for number, result in enumerate(results, 1):
        where = f"result {number:,}"
        if not isinstance(result, dict):
            raise ValueError(f"{where} is not an object")
        for name, kind in (("suite", str), ("case", str), ("parameters", dict)):
            if not isinstance(result.get(name), kind):
                raise ValueError(f"{where}: {name} is missing, or of another type")
        key = (result["suite"], result["case"], json.dumps(result["parameters"], sort_keys=True))
        if key in seen:
            raise ValueError(f"{where} is there twice: {shorten(' '.join(key), 120)}")
        seen.add(key)
        _check_ratios(where, result.get("ratios", {}))
        _check_contestants(where, result.get("contestants", []))


def _check_ratios(where: str, found: Any) -> None:
    if not isinstance(found, dict):
        raise ValueError(f"{where}: ratios is not an object")
    for peer, ratio in found.items():
        if not isinstance(ratio, dict):
            raise ValueError(f"{where}: the ratio to {shorten(peer)} is not an object")
        values: list[Any] = [ratio.get(name) for name in ("low", "median", "high")]
        if not all(_positive(value) for value in values) or values != sorted(values):
            raise ValueError(
                f"{where}: the ratio to {shorten(peer)}; expected low, median and high, positive and ascending"
            )


def _check_contestants(where: str, found: Any) -> None:
    if not isinstance(found, list):
        raise ValueError(f"{where}: contestants is not a list")
    for side in found:
        if not isinstance(side, dict) or not isinstance(side.get("name"), str):
            raise ValueError(f"{where}: a contestant has no name")
        if "seconds" not in side:  # documents of other figures than times
            continue
        seconds = side["seconds"]
        if not isinstance(seconds, list) or not seconds or not all(_positive(value) for value in seconds):
            raise ValueError(f"{where}: seconds of {shorten(side['name'])}; expected positive numbers, one a round")


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def sides(read: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """(result, contestant) of every contestant of a document that was timed."""
    for result in read["results"]:
        for side in result.get("contestants", []):
            if "seconds" in side:
                yield result, side
