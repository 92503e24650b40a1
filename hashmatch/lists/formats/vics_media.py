"""From the media objects of a VICS document to entries: what each member is, and two ways to read an object.

The plain way, `MediaReader.entry`, takes any object and says what is wrong with it. The fast way, in `entries`, takes
objects with the same members in the same order column by column, and gives up as soon as anything is unusual; they are
then halved until the unusual objects are alone, and those go the plain way. Before both stands the way from the text
(`vics_text`), which knows the members that these two have met. All give the same entries: a test compares them.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, repeat
from json.encoder import encode_basestring
from operator import add
from typing import Any, NamedTuple

from hashmatch.algorithms import ALGORITHMS, EMPTY_DIGESTS
from hashmatch.errors import RecordError
from hashmatch.lists.entry import Entry, pack_hashes
from hashmatch.lists.formats.cells import NO_HASH, drop_empty, shown
from hashmatch.lists.formats.json_stream import Batch
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.formats.vics_members import (
    ALTERNATIVES,
    CASE_ID,
    CASE_KEY,
    CASE_NUMBER,
    CATEGORY,
    CODE,
    DATES,
    EMPTY,
    FILES,
    FLAGS,
    HASH_NAME,
    HASH_VALUE,
    MAX_SIZE,
    MIME_TYPE,
    PICTURES,
    PRECATEGORIZED,
    REFERENCE,
    ROLES,
    SIZE,
    flag,
    identifier,
    kind_of,
    media_type_of,
    role_of,
    shown_member,
    size_of,
    take_alternatives,
    take_hash,
    tidy,
)
from hashmatch.lists.formats.vics_text import MediaText

__all__ = ["MediaReader"]

#: Orders of members, categories, media types, and pieces of each member's metadata, that are kept.
_KEPT = 4_096
#: Parts of at most so many objects are not halved any more when something in them is unusual.
_FEW = 4
_NUMBERS = {int, type(None)}
_TEXTS = {str, type(None)}
_WORDS_OR_TEXTS = {str, bool, type(None)}

#: (characters of MD5, SHA-1 and PhotoDNA) as usual -> presence mask of the packed hashes, in hexadecimal.
_MASKS = {
    (32 * md5, 40 * sha1, 192 * photodna): pack_hashes(
        {
            name: bytes(ALGORITHMS[name].width)
            for name, there in (("md5", md5), ("sha1", sha1), ("photodna", photodna))
            if there
        }
    )[:4].hex()
    for md5 in (False, True)
    for sha1 in (False, True)
    for photodna in (False, True)
    if md5 or sha1 or photodna
}
_EMPTY_MD5, _EMPTY_SHA1 = EMPTY_DIGESTS["md5"], EMPTY_DIGESTS["sha1"]


_Object = dict[str, Any]

#: Hashes that the fast way takes.
_USUAL_HASHES = ("MD5", "SHA1", "PhotoDNA")

#: As `canonical_json`, with the encoder made once.
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_make_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)


class _Pieces(dict[Any, str]):
    """A member's value -> its piece of the metadata's JSON text, made at its first use and kept while there is room.

    Text, booleans and None only: a number may be equal to a boolean.
    """

    def __init__(self, member: str) -> None:
        self.member = member
        self.start = f",{_encode(member)}:"

    def __missing__(self, value: Any) -> str:
        if len(self) >= _KEPT:
            self.clear()
        self[value] = piece = self.make(value)
        return piece

    def make(self, value: Any) -> str:
        """The piece of any value: "" for one that is left out."""
        tidied = tidy(value, self.member)
        return "" if tidied in EMPTY else self.start + _encode(tidied)


class _Plan(NamedTuple):
    """What is to be done with objects whose members stand in a certain order.

    Attributes:
        metadata: the members that are metadata, in the order of their names, and whether most values are
            texts that differ and need nothing but escapes.
        unusual: those that take an object off the fast way where they are not empty.
    """

    metadata: tuple[tuple[_Pieces, bool], ...]
    unusual: tuple[str, ...]

    @classmethod
    def of(cls, columns: Mapping[str, tuple[Any, ...]]) -> _Plan | None:
        """The plan for objects with such values, or None where a member is written in an unusual way."""
        usual = {REFERENCE, CATEGORY, SIZE, ALTERNATIVES, *_USUAL_HASHES}
        roles = {name: role for name in columns if (role := role_of(name)) is not None}
        # A hash under another name than ours stands among the unusual ones; another spelling of the others does not.
        if not all(role == name or role not in ROLES.values() for name, role in roles.items()):
            return None
        unusual = {name for name in roles if name not in usual and name != MIME_TYPE} | {CASE_KEY} & set(columns)
        metadata = []
        for name in sorted(set(columns) - usual - unusual):
            texts = [value for value in columns[name] if isinstance(value, str)]
            differs = name not in FLAGS and 2 * len(set(texts)) > len(columns[name]) > _FEW
            metadata.append((_Pieces(name), differs))
        return cls(tuple(metadata), tuple(unusual))


class _Categories(dict[int | None, tuple[str, str] | None]):
    """The number of a category -> category."""

    def __init__(self, scheme: str) -> None:
        self[None] = None
        self._scheme = scheme

    def __missing__(self, code: int | None) -> tuple[str, str]:
        text = str(code)
        if len(self) >= _KEPT or not CODE.fullmatch(text):
            raise KeyError("an unusual code")
        self[code] = category = self._scheme, text
        return category


class _MediaTypes(dict[Any, str]):
    """The MIME type -> media type."""

    def __missing__(self, mime_type: Any) -> str:
        if len(self) >= _KEPT:
            self.clear()
        self[mime_type] = found = "" if mime_type is None else media_type_of(mime_type)
        return found


class MediaReader:
    """What makes entries of the media of one document, or of one case.

    Attributes:
        case: what each entry says of its case; None in a document without cases.
        failed: indices of the errors in what `entries` gave last.
        pictures: media of which pictures were left out.
        files: MediaFiles of all media so far; counted for cases only.
        precategorized: media so far that are precategorised, and their MediaFiles; counted for cases only.
    """

    def __init__(self, scheme: str, limits: Limits, case: _Object | None = None) -> None:
        self.case = case
        self.failed: list[int] = []
        self.pictures = 0
        self.files = 0
        self.precategorized = (0, 0)
        self._scheme = scheme
        self._limits = limits
        self._prefix: str | None = "" if case is None else self._prefix_of(case)
        self._case_piece = f",{_encode(CASE_KEY)}:{_encode(case)}" if case else ""
        self._plans: dict[tuple[str, ...], _Plan | None] = {}
        self._categories = _Categories(scheme)
        self._media_types = _MediaTypes()
        self._text = None
        if self._prefix is not None:
            self._text = MediaText(self._categories, limits, self._prefix, self._case_piece.removeprefix(","))

    def _prefix_of(self, case: _Object) -> str | None:
        """What stands before a MediaID, or None where the case has no name."""
        for member in (CASE_ID, CASE_NUMBER):
            if (name := identifier(case.get(member), member, self._limits)) != "":
                return f"{name}/"
        return None

    def take(self, text: bytes, start: int) -> tuple[list[Entry], int]:
        """The entries of what is usual from ``start`` on, and where it ends; see `JsonStream.objects_or`."""
        if self._text is None:
            return [], start
        entries, end, counts = self._text.take(text, start)
        self.pictures += counts.pictures
        if self.case is not None:
            self.files += counts.files
            media, of_files = self.precategorized
            self.precategorized = media + counts.precategorized, of_files + counts.their_files
        return entries, end

    def learn(self, batch: Batch) -> None:
        """Take note of the members of a batch's objects, so that `take` knows them."""
        for names in _by_members(batch.objects):
            if self._text is not None:
                self._text.learn(names)

    def entries(self, batch: Batch) -> list[Entry | RecordError]:
        """The entries of a batch, or what is wrong with them, in its order."""
        objects = batch.objects
        found: list[Any] = [None] * len(objects)
        for names, places in _by_members(objects).items():
            if self._text is not None:
                self._text.learn(names)
            # Halved until what is unusual is alone.
            parts = [(0, len(places))]
            while parts:
                first, end = parts.pop()
                part: list[Any] = [objects[place] for place in places[first:end]]
                entries = self._columns(names, part) if names else None
                if entries is None and len(part) > _FEW:
                    middle = (first + end) // 2
                    parts += ((middle, end), (first, middle))
                    continue
                for place, item in zip(places[first:end], entries or map(self._entry_or_error, part), strict=True):
                    found[place] = item
        self.failed = [place for place, item in enumerate(found) if type(item) is not Entry]
        if self.case is not None:
            for fields in objects:
                if isinstance(fields, dict):
                    self._count(fields)
        return found

    def _entry_or_error(self, fields: _Object | RecordError) -> Entry | RecordError:
        if isinstance(fields, RecordError):
            return fields
        try:
            return self.entry(fields)
        except RecordError as error:
            return error

    def _count(self, fields: _Object) -> None:
        files = fields.get(FILES)
        number = len(files) if isinstance(files, list) else 0
        self.files += number
        if flag(fields.get(PRECATEGORIZED)) is True:
            media, of_files = self.precategorized
            self.precategorized = media + 1, of_files + number

    # The fast way

    def _columns(self, names: tuple[str, ...], objects: Sequence[_Object]) -> list[Entry] | None:
        """The entries of objects with the same members in the same order, or None where something asks for the plain
        way.
        """
        columns = dict(zip(names, zip(*map(dict.values, objects), strict=True), strict=True))
        if names not in self._plans:
            if len(self._plans) >= _KEPT:
                self._plans.clear()
            self._plans[names] = _Plan.of(columns)
        plan = self._plans[names]
        if plan is None or self._prefix is None:
            return None
        if any(value not in EMPTY for name in plan.unusual for value in columns[name]):
            return None
        nothing = (None,) * len(objects)
        codes, sizes, mime_types = (columns.get(name, nothing) for name in (CATEGORY, SIZE, MIME_TYPE))
        if not (set(map(type, codes)) | set(map(type, sizes))) <= _NUMBERS:
            return None
        stated = [size for size in sizes if size is not None]
        if stated and not (min(stated) > 0 and max(stated) <= MAX_SIZE):
            return None
        try:
            packed = self._packed(*(columns.get(name, nothing) for name in (*_USUAL_HASHES, ALTERNATIVES)))
            references = self._references(columns.get(REFERENCE, nothing))
            categories = list(map(self._categories.__getitem__, codes))
            media_types = list(map(self._media_types.__getitem__, mime_types))
        except (TypeError, ValueError, KeyError, AttributeError):  # a value that is not what it is used as
            return None
        if packed is None or references is None:
            return None
        metadata = self._metadata(plan, columns, len(objects))
        rows = zip(
            references,
            categories,
            media_types,
            sizes,
            metadata,
            packed,
            repeat(0),
            repeat(""),
            repeat(""),
            strict=False,
        )
        return list(map(_make_entry, rows))

    def _references(self, values: Sequence[Any]) -> list[str] | None:
        types = set(map(type, values))
        references = list(map(str, values))
        if types != {int}:
            joined = "".join(references)
            if types != {str} or not joined.isprintable() or len(joined) > self._limits.max_string:
                return None
            if not all(map(str.strip, references)):
                return None
        return [self._prefix + reference for reference in references] if self._prefix else references

    def _packed(
        self, md5: Sequence[Any], sha1: Sequence[Any], photodna: Sequence[Any], alternatives: Sequence[Any]
    ) -> list[bytes] | None:
        """The packed hashes of every object."""
        md5, sha1, photodna = (["" if v is None else v for v in values] for values in (md5, sha1, photodna))
        if set(map(type, alternatives)) != {type(None)}:
            photodna = list(map(_photodna_of, photodna, alternatives))
        if not set(map(type, chain(md5, sha1, photodna))) <= {str}:
            return None
        masks = list(map(_MASKS.__getitem__, zip(map(len, md5), map(len, sha1), map(len, photodna), strict=True)))
        packed = list(map(binascii.unhexlify, map("".join, zip(masks, md5, sha1, strict=True))))
        joined = b"".join(packed)
        if _EMPTY_MD5 in joined or _EMPTY_SHA1 in joined:
            return None
        decoded = list(map(binascii.a2b_base64, photodna))
        if sum(map(len, decoded)) != 144 * (len(photodna) - photodna.count("")):
            return None  # a2b_base64 passes over what is not base64
        return list(map(add, packed, decoded))

    def _metadata(self, plan: _Plan, columns: Mapping[str, Sequence[Any]], count: int) -> list[str]:
        """The metadata of every object."""
        pieces: list[Iterable[str]] = []
        case = self._case_piece
        for made, differs in plan.metadata:
            if case and made.member > CASE_KEY:
                pieces.append(repeat(case, count))
                case = ""
            values = columns[made.member]
            types = set(map(type, values))
            if (
                differs
                and types <= _TEXTS
                and (made.member not in DATES or not any("/Date(" in v for v in values if v))
            ):
                start = made.start
                pieces.append([start + encode_basestring(v) if v else "" for v in values])
            elif types <= _WORDS_OR_TEXTS:
                pieces.append(map(made.__getitem__, values))
            else:
                pieces.append(map(made.make, values))
        if case:
            pieces.append(repeat(case, count))
        if not pieces:
            return [""] * count
        return [f"{{{text[1:]}}}" if text else "" for text in map("".join, zip(*pieces, strict=True))]

    # The plain way

    def entry(self, fields: _Object) -> Entry:
        """The entry of any object.

        Raises:
            RecordError: the object is malformed.
        """
        hashes: dict[str, bytes] = {}
        metadata: _Object = {}
        roles: dict[str, tuple[str, Any]] = {}
        has_picture = False
        for member, value in fields.items():
            role = role_of(member)
            if value in EMPTY:
                continue
            if role is None:
                if (tidied := tidy(value, member)) not in EMPTY:
                    metadata[member] = tidied
            elif role in PICTURES:
                has_picture = True
            elif role not in ROLES.values():
                take_hash(hashes, role, value, shown_member(member))
            elif role in roles:
                raise RecordError(f"found it as {roles[role][0]!r} too; expected it once", field=member)
            else:
                roles[role] = (member, value)
        if left := take_alternatives(hashes, *roles.get(ALTERNATIVES, (ALTERNATIVES, []))):
            metadata[ALTERNATIVES] = left
        if not hashes:
            raise RecordError(NO_HASH)
        dropped = drop_empty(hashes)
        ref = identifier(roles.get(REFERENCE, ("", None))[1], roles.get(REFERENCE, (REFERENCE,))[0], self._limits)
        if ref and self._prefix is None:
            metadata[REFERENCE] = roles[REFERENCE][1]
        size = size_of(*roles.get(SIZE, (SIZE, None)))
        if size == 0:
            metadata[SIZE] = 0
        media_type = ""
        if MIME_TYPE in roles:
            member, value = roles[MIME_TYPE]
            if not isinstance(value, str):
                raise RecordError(f"found {kind_of(value)}; expected text", field=shown_member(member))
            media_type = media_type_of(value)
            metadata[MIME_TYPE] = value
        if self.case:
            if CASE_KEY in metadata:
                raise RecordError(
                    "found a member of the name under which the facts of the case are kept", field=CASE_KEY
                )
            metadata[CASE_KEY] = self.case
        entry = Entry.make(
            "" if self._prefix is None or not ref else self._prefix + ref,
            hashes,
            category=self._category_of(*roles.get(CATEGORY, (CATEGORY, None))),
            media_type=media_type,
            size=size or None,
            dropped=dropped,
        )
        self.pictures += has_picture
        return entry._replace(metadata=_encode(metadata)) if metadata else entry

    def _category_of(self, member: str, value: Any) -> tuple[str, str] | None:
        if value is None:
            return None
        text = str(value) if type(value) is int and abs(value) < 10**9 else value
        if not isinstance(text, str) or not CODE.fullmatch(text.strip()):
            what = shown(text) if isinstance(text, str) else kind_of(value)
            raise RecordError(f"found {what}; expected a category's number, or null", field=shown_member(member))
        return self._scheme, str(int(text))


def _by_members(objects: Sequence[Any]) -> Mapping[tuple[str, ...], Sequence[int]]:
    """Members in their order -> the places of the objects that have them so; () for errors, and for no members."""
    names = [tuple(item) if type(item) is dict else () for item in objects]
    if names.count(names[0]) == len(names):
        return {names[0]: range(len(names))}
    places: dict[tuple[str, ...], list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    return places


def _photodna_of(photodna: Any, alternatives: Any) -> Any:
    """The text of a PhotoDNA hash, whether it stands by itself or as the only alternative hash.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: there are others.
    """
    if alternatives is None or alternatives == []:
        return photodna
    (item,) = alternatives
    if photodna != "" or len(item) != 2 or item[HASH_NAME] != "PhotoDNA":
        raise ValueError("other hashes")
    return item[HASH_VALUE]
