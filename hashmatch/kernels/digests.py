"""The digest kernels in NumPy and plain Python: always there, and what the native ones are tested against.

`hashmatch.kernels` has checked every argument and documents what each function does.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ESCAPE",
    "LONGEST_PATH",
    "Found",
    "Names",
    "RowTexts",
    "as_strings",
    "digest_lookup",
    "parse_digest_lines",
    "prefixes",
    "write_lookup_lines",
]

#: Bytes of a path that the parser takes; a line with a longer one is left to the caller.
LONGEST_PATH = 65536
#: Why `write_lookup_lines` stopped: nothing is left, the next line does not fit, its reference must be escaped.
DONE, FULL, ESCAPE = 0, 1, 2


class Names(NamedTuple):
    """Numbered texts: number ``i`` is ``text[offsets[i]:offsets[i + 1]]``, already escaped.

    ``text`` uint8[size], ``offsets`` uint64[count + 1].
    """

    text: NDArray[np.uint8]
    offsets: NDArray[np.uint64]


class RowTexts(NamedTuple):
    """What `write_lookup_lines` writes of the entries of a compiled list.

    ``rows`` uint32[k] is the row of each stored digest. Of each of the n rows: ``source`` and ``category`` uint32[n],
    numbers of ``sources`` and ``categories``; the reference is ``ref_text[ref_offsets[i]:ref_offsets[i + 1]]``,
    ``ref_offsets`` uint64[n + 1], ``ref_text`` uint8[size].
    """

    rows: NDArray[np.uint32]
    source: NDArray[np.uint32]
    category: NDArray[np.uint32]
    ref_offsets: NDArray[np.uint64]
    ref_text: NDArray[np.uint8]
    sources: Names
    categories: Names


class Found(NamedTuple):
    """Queries ``digests`` uint8[n, width] and where they stand: ``first`` and ``last`` int64[n] of `digest_lookup`."""

    digests: NDArray[np.uint8]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


# --- lookup


def prefixes(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint32]:
    """uint32[n]: the leading ``bits`` bits of each digest (which has at least 4 bytes)."""
    head = np.ascontiguousarray(values[:, :4]).view(">u4").ravel().astype(np.uint32)
    return head >> np.uint32(32 - bits)


def as_strings(values: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """A view as fixed-width byte strings, which NumPy orders as memcmp does (trailing zeros pad, so widths agree)."""
    width = values.shape[1]
    contiguous = np.ascontiguousarray(values)
    view: NDArray[np.bytes_] = contiguous.view(f"S{width}").ravel()
    return view


def digest_lookup(
    values: NDArray[np.uint8], table: NDArray[np.uint32], queries: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """See `hashmatch.kernels.digest_lookup`.

    The table narrows every query to a bucket; a bisection of all queries at once, inside their buckets, does the rest.
    Only the pages that the queries touch are read.
    """
    n = len(queries)
    if not n or not len(values):
        return np.zeros(n, np.int64), np.zeros(n, np.int64)
    bits = (len(table) - 1).bit_length() - 1
    prefix = prefixes(queries, bits)
    low, high = table[prefix].astype(np.int64), table[prefix + np.uint32(1)].astype(np.int64)
    if np.any(low > high) or np.any(high > len(values)):
        raise ValueError("a table leads outside its section")
    sought, stored = as_strings(queries), as_strings(values)
    first = _bisect(stored, sought, low, high, right=False)
    # Most queries are absent; only those that are there can have a run behind their first position.
    last = first.copy()
    inside = np.flatnonzero(first < high)
    hit = inside[stored[first[inside]] == sought[inside]]
    if len(hit):
        last[hit] = _bisect(stored, sought[hit], first[hit], high[hit], right=True)
    return first, last


def _bisect(
    stored: NDArray[np.bytes_],
    sought: NDArray[np.bytes_],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    *,
    right: bool,
) -> NDArray[np.int64]:
    low, high = low.copy(), high.copy()
    active = np.flatnonzero(low < high)
    while len(active):
        middle = (low[active] + high[active]) >> 1
        found: Any = stored[middle]
        after = found <= sought[active] if right else found < sought[active]
        low[active[after]] = middle[after] + 1
        high[active[~after]] = middle[~after]
        active = active[low[active] < high[active]]
    return low


# --- lines to digests


@cache
def _common_line(digits: int) -> re.Pattern[bytes]:
    """A line without its line end. Groups: backslash, digest, path; a line to pass over has no digest.

    A line may hold any byte in its path but a control character other than the tab; an escaped one known escapes only.
    """
    plain, escaped = rb"[\t\x20-\xff]+", rb"(?:[\t\x20-\x5b\x5d-\xff]|\\[nr\\])+"
    # "digest (path) = ..." may be BSD's form, whose first word is a name.
    mark = rb" (?:[ *]|(?![ *(]))"
    digest = rb"([0-9A-Fa-f]{%d})" % digits
    return re.compile(rb"#[^\n]*|(?:()%s(?:%s(%s))?|(\\)%s%s(%s))?" % (digest, mark, plain, digest, mark, escaped))


def parse_digest_lines(
    text: bytes, start: int, out: NDArray[np.uint8], found: int, paths: int
) -> tuple[int, int, int, int]:
    """See `hashmatch.kernels.parse_digest_lines`."""
    match = _common_line(2 * out.shape[1]).fullmatch
    values: list[bytes] = []
    lines, size = 0, len(text)
    while start < size:
        end = text.find(b"\n", start)
        end = size if end < 0 else end
        line = match(text, start, end)
        if line is None:
            break
        digest, path = line[2] or line[5], line[3] or line[6] or b""
        if digest is not None:
            bare_among_paths = not path and paths == 1
            if found + len(values) == len(out) or len(path) > LONGEST_PATH or bare_among_paths:
                break
            if paths < 0:
                paths = 1 if path else 0
            values.append(digest)
        lines += 1
        start = min(end + 1, size)
    if values:
        raw = bytes.fromhex(b"".join(values).decode("ascii"))
        out[found : found + len(values)] = np.frombuffer(raw, np.uint8).reshape(len(values), -1)
    return start, found + len(values), lines, paths


# --- lookups to lines

_ESCAPED_TEXT = re.compile(rb"[^\x20-\x5b\x5d-\x7e]")


def write_lookup_lines(
    found: Found, texts: RowTexts, out: NDArray[np.uint8], query: int, position: int, *, hits_only: bool
) -> tuple[int, int, int, int]:
    """See `hashmatch.kernels.write_lookup_lines`."""
    parts: list[bytes] = []
    written, stopped, count = 0, DONE, len(found.digests)
    digits = 2 * found.digests.shape[1]
    text = found.digests.tobytes().hex()
    firsts, lasts = found.first.tolist(), found.last.tolist()
    while query < count:
        first, last = firsts[query], lasts[query]
        if not 0 <= first <= last <= len(texts.rows):
            raise ValueError("a table leads outside its section")
        digest = text[query * digits : (query + 1) * digits].encode()
        lines = last - first
        if lines == 0 and not hits_only:
            line = digest + b"\t-\n"
            if written + len(line) > len(out):
                stopped = FULL
                break
            parts.append(line)
            written += len(line)
        while position < lines:
            facts = _row_texts(texts, int(texts.rows[first + position]))
            if _ESCAPED_TEXT.search(facts[1]):
                stopped = ESCAPE
                break
            line = b"%s\t%s\t%s\t%s\n" % (digest, *facts)
            if written + len(line) > len(out):
                stopped = FULL
                break
            parts.append(line)
            written += len(line)
            position += 1
        if stopped:
            break
        query, position = query + 1, 0
    out[:written] = np.frombuffer(b"".join(parts), np.uint8)
    return written, query, position, stopped


def _row_texts(texts: RowTexts, row: int) -> tuple[bytes, bytes, bytes]:
    """Source, reference and category of a row."""
    if row >= len(texts.source):
        raise ValueError("a table leads outside its section")
    source = _slice(texts.sources.text, texts.sources.offsets, int(texts.source[row]))
    category = _slice(texts.categories.text, texts.categories.offsets, int(texts.category[row]))
    return source, _slice(texts.ref_text, texts.ref_offsets, row), category


def _slice(text: NDArray[np.uint8], offsets: NDArray[np.uint64], number: int) -> bytes:
    if number >= len(offsets) - 1:
        raise ValueError("a table leads outside its section")
    start, end = int(offsets[number]), int(offsets[number + 1])
    if not start <= end <= len(text):
        raise ValueError("a table leads outside its section")
    return text[start:end].tobytes()
