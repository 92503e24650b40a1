"""One result as a JSON line and as CSV rows: the body of a report. FORMATS.md specifies both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from hashmatch.algorithms import ALGORITHMS
from hashmatch.lists.states import State
from hashmatch.matcher import Match, MatchResult

__all__ = ["CSV_COLUMNS", "csv_rows", "formula_safe", "json_line", "result_as_dict"]

CSV_COLUMNS = (
    "input",
    "record",
    "name",
    "status",
    "reason",
    "verdict",
    "algorithm",
    "distance",
    "radius",
    "source",
    "entry",
    "category_scheme",
    "category",
    "media_type",
    "state",
    "agrees",
    "disagrees",
    "suppressed",
    "known_good",
    "notes",
)
_quote: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def result_as_dict(
    result: MatchResult, input_number: int, record_number: int, *, hashes: bool = False
) -> dict[str, Any]:
    """A result as plain data, in the order of the canonical form.

    Args:
        result: what came of one query.
        input_number: 0-based number of the input that the query came from.
        record_number: 1-based ordinal of the query in its input.
        hashes: include the query's own hashes (never the list's).
    """
    record = result.record
    row: dict[str, Any] = {"input": input_number, "record": record_number, "name": record.name}
    if record.size is not None:
        row["size"] = record.size
    row["status"] = record.status
    if record.reason:
        row["reason"] = record.reason
    if record.format:
        row |= {"format": record.format, "width": record.width, "height": record.height, "profile": record.profile}
    if record.quality:
        row["quality"] = record.quality
    if hashes:
        row["hashes"] = {name: record.hashes[name].hex() for name in ALGORITHMS if name in record.hashes}
    row["verdict"] = result.verdict.value
    row["matches"] = [_match(match) for match in result.matches]
    if result.suppressed:
        row["suppressed"] = [_match(match) for match in result.suppressed]
    if result.known_good:
        row["known_good"] = list(result.known_good)
    if result.notes:
        row["notes"] = list(result.notes)
    return row


def _match(match: Match) -> dict[str, Any]:
    row: dict[str, Any] = {"source": match.source, "entry": match.entry}
    if match.category is not None:
        row["category"] = {"scheme": match.category[0], "code": match.category[1]}
    if match.media_type:
        row["media_type"] = match.media_type
    if match.state is not State.ACTIVE:
        row["state"] = match.state.value
    row |= {"algorithm": match.algorithm, "distance": match.distance, "radius": match.radius}
    if match.agrees:
        row |= {"agrees": list(match.agrees), "disagrees": list(match.disagrees)}
    return row


def json_line(result: MatchResult, input_number: int, record_number: int, *, hashes: bool = False) -> str:
    """A result as one line of JSON, without the line end. Arguments as in `result_as_dict`.

    Lone surrogates, which stand for undecodable bytes in a file's name, are escaped, so that the line is valid UTF-8.
    """
    text = _common_line(result, input_number, record_number) if not hashes else ""
    if not text:
        text = _encode(result_as_dict(result, input_number, record_number, hashes=hashes))
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(result_as_dict(result, input_number, record_number, hashes=hashes), separators=(",", ":"))
    return text


def _common_line(result: MatchResult, input_number: int, record_number: int) -> str:
    """What `_encode(result_as_dict(...))` gives for the most common result, without the encoder; "" for any other.

    A batch job writes millions of rows for queries that were read from a list and matched nothing.
    """
    record = result.record
    if (
        result.matches
        or result.suppressed
        or result.known_good
        or result.notes
        or record.reason
        or record.format
        or record.quality
    ):
        return ""
    size = "" if record.size is None else f'"size":{record.size},'
    return (
        f'{{"input":{input_number},"record":{record_number},"name":{_quote(record.name)},{size}'
        f'"status":{_quote(record.status)},"verdict":"{result.verdict.value}","matches":[]}}'
    )


def csv_rows(result: MatchResult, input_number: int, record_number: int) -> Iterator[list[str]]:
    """The CSV rows of a result, cells as in `CSV_COLUMNS`: one for each match, suppressed ones last; one without a
    match
    where there is none.
    """
    record = result.record
    start = [str(input_number), str(record_number), record.name, record.status, record.reason, result.verdict.value]
    end = ["; ".join(result.known_good), "; ".join(result.notes)]
    for match, suppressed in [(m, "") for m in result.matches] + [(m, "yes") for m in result.suppressed]:
        scheme, code = match.category or ("", "")
        middle = [match.algorithm, str(match.distance), str(match.radius), match.source, match.entry, scheme, code]
        state = "" if match.state is State.ACTIVE else match.state.value
        middle += [match.media_type, state, " ".join(match.agrees), " ".join(match.disagrees), suppressed]
        yield [formula_safe(cell) for cell in start + middle + end]
    if not result.matches and not result.suppressed:
        yield [formula_safe(cell) for cell in start + [""] * (len(CSV_COLUMNS) - len(start) - len(end)) + end]


def formula_safe(cell: str) -> str:
    """``cell`` with an apostrophe before a character that makes a spreadsheet read it as a formula."""
    text = cell.encode("utf-8", "backslashreplace").decode()
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
