"""Mutations that know what a file is made of: cells of lines, words of documents, text in its encoding.

Each takes (random numbers, the input, other inputs, tokens) and gives the changed input.
"""

from __future__ import annotations

import codecs
import random
import re
from collections.abc import Callable, Sequence

__all__ = ["Shape", "cells", "recoded", "words"]

Shape = Callable[[random.Random, bytes, Sequence[bytes], Sequence[bytes]], bytes]

#: Bytes in which words are looked for.
_WINDOW = 1500


def _changed(rng: random.Random, parts: list[bytes], donors: Sequence[bytes], tokens: Sequence[bytes]) -> None:
    """One change to a list of parts."""
    at = rng.randrange(len(parts))
    other = rng.randrange(len(parts))
    end = min(len(parts), at + rng.choice((1, 1, 2, 5, 20)))
    match rng.randrange(10):
        case 0:
            del parts[at:end]
        case 1:
            parts[at:at] = parts[at:end]
        case 2:
            parts[at], parts[other] = parts[other], parts[at]
        case 3:
            parts[at] = parts[other]
        case 4:
            parts[other:other] = parts[at:end]
        case 5 if tokens:
            parts[at] = rng.choice(tokens)
        case 6 if tokens:
            parts[at] += rng.choice(tokens)
        case 7 if donors:
            parts[at] = rng.choice(donors)
        case 8:
            parts[at] = b""
        case 9:
            parts[at:at] = parts[at:end] * rng.choice((1, 3, 30))
        case _:
            parts[at] = parts[at][: rng.randrange(len(parts[at]) + 1)]


def cells(*delimiters: bytes) -> Shape:
    """Mutations of lines and of the cells between ``delimiters``."""

    def shape(rng: random.Random, data: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
        lines = data.split(b"\n")
        if rng.random() < 0.3:
            _changed(rng, lines, rng.choice(others).split(b"\n") if others else (), tokens)
        else:
            at, delimiter = rng.randrange(len(lines)), rng.choice(delimiters)
            row = lines[at].split(delimiter)
            donors = rng.choice(lines).split(delimiter)
            _changed(rng, row, donors, tokens)
            lines[at] = delimiter.join(row)
        return b"\n".join(lines)

    return shape


def words(pattern: bytes, brackets: Sequence[tuple[bytes, bytes]] = ()) -> Shape:
    """Mutations of the words that ``pattern`` finds; what stands between them is kept, and ``brackets`` are nested."""
    find = re.compile(rb"(?s)" + pattern).finditer

    def cut(data: bytes) -> list[bytes]:
        parts, at = [], 0
        for found in find(data):
            if found.start() > at:
                parts.append(data[at : found.start()])
            parts.append(found[0])
            at = found.end()
        return [*parts, data[at:]]

    def shape(rng: random.Random, data: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
        start = rng.randrange(-_WINDOW // 2, max(1, len(data) - _WINDOW // 2))
        start = max(0, start)
        before, data, behind = data[:start], data[start : start + _WINDOW], data[start + _WINDOW :]
        parts = cut(data)
        if brackets and rng.random() < 0.05:
            at = rng.randrange(len(parts))
            end = min(len(parts), at + rng.choice((1, 3, 9, 60)))
            opened, closed = rng.choice(brackets)
            times = rng.choice((1, 2, 40))
            parts[at:end] = [opened * times, *parts[at:end], closed * times]
        else:
            donors = cut(rng.choice(others)[:_WINDOW]) if others and rng.random() < 0.3 else parts
            _changed(rng, parts, donors, tokens)
        return b"".join((before, *parts, behind))

    return shape


def recoded(inner: Shape) -> Shape:
    """``inner`` on text in UTF-16 as on UTF-8; now and then the encoding or the line ends change."""

    def shape(rng: random.Random, data: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
        wide = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
        encoding = wide.get(data[:2])
        if encoding is not None:
            text = data[2:].decode(encoding, "replace").encode()
            changed = inner(rng, text, others, tokens).decode(errors="replace").encode(encoding)
            return data[:2] + changed
        if rng.random() > 0.02:
            return inner(rng, data, others, tokens)
        match rng.randrange(4):
            case 0:
                return codecs.BOM_UTF8 + data
            case 1:
                return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            case 2:
                return data.replace(b"\n", b"\r")
            case _:
                bom = rng.choice(tuple(wide))
                return bom + data.decode(errors="replace").encode(wide[bom])

    return shape
