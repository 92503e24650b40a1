"""What looks like a hash in text that people wrote, or that a format has no field for: one judgement for all that must
hold none (audit logs, exports without hashes, the history that is shown).

It sees 64 bits or more in hexadecimal, also in pairs of digits with a separator; base64 with its padding from 128 bits
on, and without it from 160 bits on; sixteen or more decimals in a row; fuzzy hashes (ssdeep). It errs towards taking
something for a hash: long numbers are some.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["LEAST_BYTES", "looks_like_a_hash", "masked", "without_hashes"]

#: Numbers from 0 to 255 in a row that may be the bytes of a hash.
LEAST_BYTES = 16

_ANY = re.compile(
    r"[0-9A-Fa-f]{16,}"
    r"|(?<![0-9A-Za-z])[0-9A-Fa-f]{2}(?:[ :-][0-9A-Fa-f]{2}){7,}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z+/])(?:[0-9A-Za-z+/]{4}){5,}(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)"
    rf"|\d{{1,3}}(?:[\s,;]{{1,3}}\d{{1,3}}){{{LEAST_BYTES - 1},}}"
    r"|\b\d+:[0-9A-Za-z+/]{6,}:[0-9A-Za-z+/]{3,}"
)
#: What may be base64 without padding. The "/" of base64 is left out, as it parts the folders of a path; most hashes are
#: long enough to be seen in the pieces.
_BASE64_RUN = re.compile(r"[0-9A-Za-z+_-]{27,}")
_ONE_KIND = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")


def masked(text: str, word: str | None = None) -> str:
    """``text``, in which what looks like a hash is replaced by ``word``, or (None) by its length."""

    def instead(run: re.Match[str]) -> str:
        return f"({len(run[0])} characters)" if word is None else word

    return _BASE64_RUN.sub(lambda run: instead(run) if _is_base64(run[0]) else run[0], _ANY.sub(instead, text))


def looks_like_a_hash(text: str) -> bool:
    """Whether something in ``text`` looks like a hash."""
    return _ANY.search(text) is not None or any(map(_is_base64, _BASE64_RUN.findall(text)))


def without_hashes(text: str) -> tuple[dict[str, Any], list[str]]:
    """Metadata without the values that look like a hash, at whatever depth, and the names of the fields that lost some.

    A name that looks like a hash goes with its value, and so does a collection of which nothing is left.

    Args:
        text: JSON text of an object, of a depth that recursion can follow.
    """
    fields = json.loads(text)
    # What is escaped in JSON text might be part of a hash; nothing else stands otherwise there than in the value.
    if "\\" not in text and not looks_like_a_hash(text):
        return fields, []
    kept, lost = {}, []
    for name, value in fields.items():
        left, whole = (_GONE, False) if looks_like_a_hash(name) else _pruned(value)
        if left is not _GONE:
            kept[name] = left
        if not whole:
            lost.append(name)
    return kept, lost


_GONE = object()


def _pruned(value: Any) -> tuple[Any, bool]:
    """What is left of a value (`_GONE`: nothing), and whether that is all of it."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return (_GONE, False) if looks_like_a_hash(str(value)) else (value, True)
    if isinstance(value, list):
        if len(value) >= LEAST_BYTES and all(type(item) is int and 0 <= item <= 255 for item in value):
            return _GONE, False
        items = [_pruned(item) for item in value]
        left: Any = [item for item, _ in items if item is not _GONE]
        whole = all(unchanged for _, unchanged in items)
    elif isinstance(value, Mapping):
        parts = {name: (_GONE, False) if looks_like_a_hash(name) else _pruned(item) for name, item in value.items()}
        left = {name: item for name, (item, _) in parts.items() if item is not _GONE}
        whole = all(unchanged for _, unchanged in parts.values())
    else:
        return value, True
    return (_GONE if value and not left else left), whole


def _is_base64(run: str) -> bool:
    """In base64, three characters of five differ in kind from the one before; in names, capitals, small letters and
    digits stay together.
    """
    return 5 * len(_ONE_KIND.findall(run)) > 2 * len(run)
