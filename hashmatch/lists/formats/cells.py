"""What one cell of a hash list says: the text forms of hashes, numbers, names and media types.

Control characters. References go to terminals, CSV files and SQLite tools, so C0 control characters other than tab are
refused in them. Longer text (metadata) may also hold line ends, where a format has an unambiguous way to write them: a
quoted CSV field, a JSON escape. So may the reference in generic CSV and JSON Lines, and in md5sum and its kin, whose
format escapes line ends on purpose: file names hold them, and what was imported from one must come back from another.

Messages. They go into reports and logs, which hashes must not. The text of a hash, or of a line that may hold one, is
never quoted, but for the one character that does not belong there; other cells are, as far as `shown` allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS, parse_base64, parse_hex
from hashmatch.errors import HashTextError, RecordError
from hashmatch.lists.entry import MEDIA_TYPES

__all__ = [
    "NO_HASH",
    "algorithm_of",
    "check_identifier",
    "check_reference",
    "check_text",
    "drop_empty",
    "int_list_hash",
    "media_type",
    "parse_hash",
    "percentage",
    "shown",
    "shown_field",
    "whole_number",
]

#: The reason of the error for a record without any hash.
NO_HASH = "found a record without any hash; expected at least one"

#: Ways to write an algorithm's name as a column, beyond its own name; case, spaces, "-" and "_" never matter.
_ALIASES: Mapping[str, str] = {
    "md5": "md5", "md5hash": "md5", "md5sum": "md5",
    "sha1": "sha1", "sha1hash": "sha1", "sha1sum": "sha1",
    "sha256": "sha256", "sha2256": "sha256", "sha256hash": "sha256", "sha256sum": "sha256",
    "sha512": "sha512", "sha2512": "sha512", "sha512hash": "sha512", "sha512sum": "sha512",
    "pdq": "pdq", "pdqhash": "pdq",
    "phash": "phash", "dhash": "dhash", "ahash": "ahash", "whash": "whash",
    "photodna": "photodna", "pdna": "photodna", "photodnahash": "photodna",
    "zz40": "zz40", "lace": "lace",
}  # fmt: skip

_SEPARATORS = re.compile(r"[\s_-]+")
_CONTROL_BUT_TAB = re.compile(r"[\x00-\x08\x0a-\x1f]")
_CONTROL_BUT_LINE_END = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]|\r(?!\n)")
_DECIMALS = re.compile(r"[\s,]+")
_MAX_INT = (1 << 63) - 1

#: What may be (a piece of) a hash: in hexadecimal, in base64, as decimals.
_HASH_LIKE = re.compile(r"[0-9A-Fa-f]{8}|[0-9A-Za-z+/]{12}|(?:\d{1,3}[\s,]+){4}")
_SHOWN = 40
#: XML puts a namespace before names.
_SHOWN_NAME = 200

#: Algorithm -> (bytes of the hash, characters of its base64 form), where lists write it in base64.
_BASE64 = {name: 4 * ((ALGORITHMS[name].width + 2) // 3) for name in ("photodna", "lace")}


def algorithm_of(column: str) -> str | None:
    """The algorithm that a column's name stands for, or None."""
    return _ALIASES.get(_SEPARATORS.sub("", column).lower())


def shown(text: str) -> str:
    """What a message shows of ``text``: the text in quotes, or only its length where it may hold a hash or is long."""
    if len(text) > _SHOWN or _HASH_LIKE.search(text):
        return f"{len(text):,} characters"
    return repr(text)


def parse_hash(name: str, text: str) -> bytes:
    """The raw hash of algorithm ``name``: hexadecimal of any case; ``photodna`` and ``lace`` also base64;
    ``photodna`` also 144 decimals between commas or spaces. White space around it does not count.

    Raises:
        HashTextError: none of these.
    """
    text = text.strip()
    if len(text) == _BASE64.get(name):
        return parse_base64(name, text)
    if name == "photodna" and ("," in text or " " in text):
        return _decimals(name, text)
    return parse_hex(name, text)


def _decimals(name: str, text: str) -> bytes:
    numbers = [n for n in _DECIMALS.split(text.strip(" \t[]")) if n]
    for place, number in enumerate(numbers, 1):
        if not (number.isascii() and number.isdigit() and len(number) <= 3):
            strange = next((c for c in number if not ("0" <= c <= "9")), None)
            what = f"{len(number):,} digits" if strange is None else f"the character {strange!r}"
            raise HashTextError(f"found {what} in decimal {place:,}; expected numbers from 0 to 255", field=name)
    return int_list_hash(name, [int(n) for n in numbers])


def int_list_hash(name: str, numbers: list[int]) -> bytes:
    """The raw hash whose bytes are ``numbers``.

    Raises:
        HashTextError: not as many as the hash has bytes, or one is not from 0 to 255.
    """
    width = ALGORITHMS[name].width
    if len(numbers) != width:
        raise HashTextError(f"found {len(numbers):,} decimals; expected {width} for {name}", field=name)
    for place, number in enumerate(numbers, 1):
        if not 0 <= number <= 255:
            raise HashTextError(f"found decimal {place} out of range; expected numbers from 0 to 255", field=name)
    return bytes(numbers)


def drop_empty(hashes: dict[str, bytes]) -> int:
    """Remove digests of the empty file from ``hashes``; how many there were."""
    empty = [name for name, value in hashes.items() if EMPTY_DIGESTS.get(name) == value]
    for name in empty:
        del hashes[name]
    return len(empty)


def check_text(text: str, field: str, max_string: int) -> str:
    """``text``, if it may stand in metadata.

    Raises:
        RecordError: a control character other than tab, LF and CR LF, or more than ``max_string`` characters.
    """
    return _check(text, field, max_string, _CONTROL_IN_TEXT.search)


def check_reference(text: str, field: str, max_string: int) -> str:
    """``text``, if it may stand as a reference, a name or a category.

    Raises:
        RecordError: a control character other than tab, or more than ``max_string`` characters.
    """
    return _check(text, field, max_string, _CONTROL_BUT_TAB.search)


def check_identifier(text: str, field: str, max_string: int) -> str:
    """``text``, if it may stand as a reference where the format has an unambiguous way to write line ends.

    Raises:
        RecordError: a control character other than tab, LF and CR, or more than ``max_string`` characters.
    """
    return _check(text, field, max_string, _CONTROL_BUT_LINE_END.search)


def _check(text: str, field: str, max_string: int, search: Callable[[str], re.Match[str] | None]) -> str:
    if len(text) > max_string:
        raise RecordError(f"found {len(text):,} characters; expected at most {max_string:,}", field=shown_field(field))
    if not text.isprintable() and (found := search(text)):
        raise RecordError(
            f"found the control character U+{ord(found[0][0]):04X} at position {found.start() + 1:,}; "
            "expected text without any",
            field=shown_field(field),
        )
    return text


def shown_field(name: str) -> str:
    """The name of a column or key, which may itself be a hash, or of any length."""
    return f"a name of {len(name):,} characters" if len(name) > _SHOWN_NAME or _HASH_LIKE.search(name) else name


def whole_number(text: str, field: str) -> int:
    """The number from 0 to 2**63 - 1 that ``text`` gives in ASCII digits.

    Raises:
        RecordError: anything else.
    """
    digits = text.strip(" ")
    # int() alone would take "1_0", "+1" and digits of other scripts.
    if digits.isascii() and digits.isdigit() and len(digits) <= 19 and (number := int(digits)) <= _MAX_INT:
        return number
    raise RecordError(f"found {shown(text)}; expected a whole number of at least 0", field=field)


def percentage(text: str, field: str) -> int:
    """A PDQ quality: a whole number from 0 to 100.

    Raises:
        RecordError: anything else.
    """
    digits = text.strip(" ")
    if digits.isascii() and digits.isdigit() and len(digits) <= 3 and (number := int(digits)) <= 100:
        return number
    raise RecordError(f"found {shown(text)}; expected a whole number from 0 to 100", field=field)


def media_type(text: str, field: str) -> str:
    """A key of `MEDIA_TYPES`, whatever the case; "" for nothing.

    Raises:
        RecordError: anything else.
    """
    word = text.strip().lower()
    if word and word not in MEDIA_TYPES:
        raise RecordError(f"found {shown(text)}; expected one of {', '.join(MEDIA_TYPES)}", field=field)
    return word
