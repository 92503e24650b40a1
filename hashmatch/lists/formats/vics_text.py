"""From the text of a VICS document straight to entries, in C: what that way is told of the format.

It takes media objects that hold nothing unusual, all of their members known by name; whatever else stands in a document
goes the ways of `vics_media`, which teach it the names that they meet. Both give the same entries: a test compares
them. Where the native extension is not in use, nothing is taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.lists.entry import MEDIA_TYPES, Entry
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.formats.vics_members import (
    ALTERNATIVES,
    CASE_KEY,
    CATEGORY,
    DATES,
    FILES,
    FLAGS,
    HASH_NAME,
    HASH_VALUE,
    LEFT_OUT,
    MIME_TYPE,
    PICTURES,
    PRECATEGORIZED,
    REFERENCE,
    ROLES,
    SIZE,
    role_of,
)
from hashmatch.lists.names import encodable

__all__ = ["Counts", "MediaText"]

#: What a member is, in the order of the numbers in native/json_text.h and native/rows_members.c.
_KINDS = (
    "metadata", "flag", "date", "left out",
    "refused", "silent", "reference", "category", "size", "MIME type", "alternatives", "md5", "sha1", "photodna",
    "picture", "files", "precategorized",
)  # fmt: skip
#: Names that are known at most.
_MOST = 64
#: Bytes of an object, and levels of arrays and objects, that are taken at most, whatever the limits.
_MOST_BYTES, _DEEPEST = 1 << 30, 16

#: Members inside others -> kind.
_INNER = dict.fromkeys(FLAGS, "flag") | dict.fromkeys(DATES, "date") | dict.fromkeys(LEFT_OUT, "left out")
#: Members of media objects -> kind; of all others `_kind_of` says it.
_OWN: Mapping[str, str] = (
    _INNER
    | dict.fromkeys(LEFT_OUT, "metadata")
    | dict.fromkeys(PICTURES, "picture")
    | {
        REFERENCE: "reference",
        CATEGORY: "category",
        SIZE: "size",
        MIME_TYPE: "MIME type",
        ALTERNATIVES: "alternatives",
        "MD5": "md5",
        "SHA1": "sha1",
        "PhotoDNA": "photodna",
        FILES: "files",
        PRECATEGORIZED: "precategorized",
        CASE_KEY: "silent",
    }
)
_HASHES = ("md5", "sha1", "photodna")


def _kind_of(name: str) -> str:
    if (kind := _OWN.get(name)) is not None:
        return kind
    role = role_of(name)
    # A hash under another name than ours may stand there where it is empty; another spelling of the others may not.
    return "metadata" if role is None else "refused" if role in ROLES.values() else "silent"


def _quoted(name: str) -> bytes:
    return f'"{name}":'.encode()


def _bytes_of(kinds: Iterable[str]) -> bytes:
    return bytes(map(_KINDS.index, kinds))


class Counts(NamedTuple):
    """What was counted in some media.

    Attributes:
        pictures: media of which pictures were left out.
        files: MediaFiles.
        precategorized, their_files: media that are precategorised, and their MediaFiles.
    """

    pictures: int
    files: int
    precategorized: int
    their_files: int


_NOTHING = Counts(0, 0, 0, 0)


class MediaText:
    """The native way to read the media of one document, or of one case."""

    def __init__(
        self,
        categories: Mapping[int | None, tuple[str, str] | None],
        limits: Limits,
        prefix: str,
        case_piece: str,
    ) -> None:
        """``categories``: number -> category, a KeyError where it is not usual; ``prefix``: what stands before a
        reference; ``case_piece``: the member of every entry's metadata that tells of its case, or "".
        """
        self._native = kernels.native_rows() if limits.max_json_depth else None
        self._categories = categories
        self._limits = limits
        self._prefix = prefix.encode()
        self._case_piece = case_piece.encode()
        self._names: set[str] = set()
        self._plan: tuple[Any, ...] | None = None

    def learn(self, names: tuple[str, ...]) -> None:
        """Take note of the members of an object."""
        if self._native is None or self._names.issuperset(names) or len(self._names) == _MOST:
            return
        # One that has to be escaped never stands in a document as it stands here.
        new = [name for name in names if name not in self._names and encode_basestring(name) == f'"{name}"']
        new = list(filter(encodable, new))
        if new:
            self._names.update(new[: _MOST - len(self._names)])
            self._plan = self._planned(sorted(self._names))

    def _planned(self, names: list[str]) -> tuple[Any, ...]:
        """What the function in C is told; its `take_plan` reads it."""
        return (
            Entry,
            self._categories,
            ("", *sorted(MEDIA_TYPES, key=MEDIA_TYPES.__getitem__)),
            tuple(map(_quoted, names)),
            _bytes_of(map(_kind_of, names)),
            tuple(map(_quoted, _INNER)),
            _bytes_of(_INNER.values()),
            tuple(map(_quoted, (HASH_NAME, HASH_VALUE, "PhotoDNA"))),
            tuple(1 << ALGORITHMS[name].number for name in _HASHES),
            (EMPTY_DIGESTS["md5"], EMPTY_DIGESTS["sha1"]),
            self._case_piece,
            bisect_left(names, CASE_KEY),
            self._prefix,
            min(self._limits.max_string, self._limits.max_line_bytes, _MOST_BYTES),
            min(self._limits.max_json_depth, _DEEPEST),
        )

    def take(self, text: bytes, start: int) -> tuple[list[Entry], int, Counts]:
        """The entries of the objects that begin at ``start``, up to the first that is not usual or not whole; where the
        last of them ends; and what was counted in them.
        """
        if self._native is None or self._plan is None:
            return [], start, _NOTHING
        entries, end, *counts = self._native.media_entries(text, start, self._plan)
        return entries, end, Counts(*counts)
