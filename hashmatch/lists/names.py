"""Which names sources and references may have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from hashmatch.errors import UsageError, shorten

__all__ = ["encodable", "plain_reason", "references", "source_name"]


def source_name(text: str, what: str = "source") -> str:
    """The name of a source (or another organisation) as it is kept, in Unicode's composed form.

    Raises:
        UsageError: empty, with white space around it, or with characters that do not show. Two names that look alike
            would be two sources, and a retraction from one would not reach the other.
    """
    if not text or text != text.strip() or not text.isprintable():
        raise UsageError(f"{what} {shorten(text)}; expected a name, without blanks around it or control characters")
    return unicodedata.normalize("NFC", text)


def references(refs: Iterable[str]) -> Iterator[str]:
    """``refs``, each one that an entry can have.

    Raises:
        UsageError: a single text where several references are due, or a text that no entry can have as reference.
    """
    if isinstance(refs, str):
        raise UsageError(f"references are {shorten(refs)}; expected a sequence of references, not one text")
    for ref in refs:
        if not isinstance(ref, str) or not ref or "\0" in ref or not encodable(ref):
            raise UsageError(f"reference {shorten(ref)}; expected text that is not empty and holds no NUL")
        yield ref


def plain_reason(text: str) -> str:
    """``text``, if it may stand as the reason of a retraction or an opinion.

    Raises:
        UsageError: it holds NUL or half a character.
    """
    if "\0" in text or not encodable(text):
        raise UsageError("the reason holds NUL or half a character; expected plain text")
    return text


def encodable(text: str) -> bool:
    # A lone surrogate stands for a byte that is not UTF-8; SQLite keeps text in UTF-8.
    return not any("\ud800" <= c <= "\udfff" for c in text)
