"""One large JSON document, read from front to back in bounded memory.

A document of several gigabytes is an object (or a few, one in another) around one array of millions of objects. What is
small (header members) is read value by value; the objects of the array come in batches.

Two ways lead through the array. The strict way takes one object at a time with the standard library and the rules of
`parse_object`: every key once, no NaN, bounded depth and strings, whole characters. The fast way takes some hundred
objects at once: it guesses from the braces where an object ends, puts brackets around the text up to there and decodes
that in one go. That it decodes to as many objects proves that the guess was right: a cut inside a string, an array or
an object leaves quotes or brackets unbalanced. Fast decoders take the last of repeated keys without a word, so the keys
that were decoded are counted against the colons of the text that can end a key: there are never fewer of those than
keys, so that equal numbers prove that no key was repeated. Whatever is unusual makes the batch be halved, until the
unusual objects are alone and go the strict way. Both give the same objects and errors: a test compares them.

The decoder of the fast way is msgspec where it is installed (extra ``fast``), else the standard library's.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain, compress
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from hashmatch.errors import RecordError
from hashmatch.lists.formats.cells import shown, shown_field
from hashmatch.lists.formats.jsonl import parse_object
from hashmatch.lists.formats.source import Input, Limits

__all__ = ["Batch", "JsonStream"]

#: Bytes that are looked at in one go, under malloc's mmap threshold like the blocks of `source`.
_PIECE = 96 << 10
#: Batches of at most so many objects are not halved any more: their first object goes the strict way.
_FEW = 4
#: First guess of the length of a header value, in bytes.
_WINDOW = 4 << 10

_SPACE = re.compile(rb"[ \t\r\n]*")
_OPEN, _CLOSE, _COLON, _BACKSLASH, _LINE_END = b"{}:\\\n"
#: By byte: whether a colon behind it may end a key (a quote or white space stands there).
_BEFORE_COLON = np.isin(np.arange(256), np.frombuffer(b'" \t\r\n', np.uint8))
#: By byte: whether a backslash before it may make what text must not hold. \r is fine before \n, \u nearly always.
_ODD_ESCAPE = np.isin(np.arange(256), np.frombuffer(b"bfru", np.uint8))
_FINE_ESCAPE = re.compile(rb"\\(?:r\\n|u(?!00[01]|[dD][89a-fA-F]))")
#: Levels that the types of the fast decoder allow: object, array, object.
_LEVELS = 3

_CONTAINERS = frozenset((dict, list))
_Positions = npt.NDArray[np.intp]
_Object = dict[str, Any]
_Made = TypeVar("_Made")


def _no_number(_: str) -> int:
    return 0


# To find where a value ends, whatever is wrong inside it; `_parsed` then says what.
_LENIENT = json.JSONDecoder(strict=False, parse_int=_no_number, parse_float=_no_number, parse_constant=_no_number)
_STRICT = json.JSONDecoder(strict=True, parse_int=_no_number, parse_float=_no_number, parse_constant=_no_number)


class _Codec(NamedTuple):
    """A fast decoder.

    Attributes:
        decode: bytes to values; raises ``errors`` for what is not JSON, and where it cannot be sure.
        errors: what ``decode`` raises.
        typed: it allows no number with a fraction and at most `_LEVELS` levels.
    """

    decode: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]
    typed: bool


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not JSON")


_plain_decode = json.JSONDecoder(parse_constant=_no_constant).decode


@cache
def _codec() -> _Codec:
    """The fastest that is installed."""
    try:
        import msgspec
    except ImportError:
        return _Codec(lambda raw: _plain_decode(raw.decode()), (ValueError, RecursionError), False)
    scalar = str | int | bool | None
    inner = dict[str, scalar]
    decode = msgspec.json.Decoder(list[dict[str, scalar | list[scalar | inner] | inner]]).decode
    errors = (msgspec.DecodeError, UnicodeDecodeError, ValueError)
    return _Codec(decode, errors, True)


class Batch(NamedTuple):
    """Some objects of an array, in order.

    Attributes:
        objects: each an object, or what is wrong with it (without path, line and ordinal).
        first_line: 1-based number of the line on which the first begins.
        text, starts: the text of all, and where in it each begins; for `line`.
    """

    objects: Sequence[_Object | RecordError]
    first_line: int
    text: bytes
    starts: Sequence[int] | _Positions

    def line(self, index: int) -> int:
        """The 1-based number of the line on which object ``index`` begins."""
        return self.first_line + self.text.count(b"\n", 0, int(self.starts[index]))


class JsonStream:
    """A JSON document, pulled piece by piece.

    Whoever reads says what comes next: `members` enters an object, `elements` an array, `objects` an array of objects,
    and `value` takes any value whole. What comes instead is an error. So is whatever follows `finish`.

    Every method raises:
        RecordError: the document is malformed or cut off, or a value is over the limits. The rest is not usable.
        InputError: the file fails while it is read.
    """

    def __init__(self, source: Input) -> None:
        self._chunks = source.utf8()
        self._path = source.path
        self._limits = source.limits
        self._size = max(1, min(_PIECE, self._limits.max_line_bytes))
        self._buffer = b""
        self._at = 0
        self._ended = False
        #: Bytes before the buffer, and the line on which byte ``_counted`` of the buffer stands.
        self._before = 0
        self._counted = 0
        self._line = 1
        #: Batches that have been cut out of the buffer and not been taken: (first, last) numbers of ``_starts``.
        self._ranges: list[tuple[int, int]] = []
        self._starts = self._ends = np.empty(0, np.intp)

    # Where we are

    @property
    def line(self) -> int:
        """The 1-based number of the line of what comes next (white space before it aside)."""
        return self._line_of(self._at)

    def _line_of(self, at: int) -> int:
        if at > self._counted:
            view = np.frombuffer(self._buffer, np.uint8, at - self._counted, self._counted)
            self._line += int(np.count_nonzero(view == _LINE_END))
            self._counted = at
        return self._line

    def _fill(self) -> bool:
        """Read on; whether there was more. Offsets into the buffer change."""
        if self._ended:
            return False
        self._line_of(self._at)
        self._ranges.clear()
        rest = self._buffer[self._at :]
        self._before += self._at
        self._counted -= self._at
        self._at = 0
        # What is not finished is not tried again before there is twice as much of it.
        wanted = max(self._size, 2 * len(rest))
        parts, held = [rest], len(rest)
        while held < wanted:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = True
                break
            parts.append(chunk)
            held += len(chunk)
        self._buffer = b"".join(parts)
        return held > len(rest)

    def _peek(self) -> bytes:
        """The next byte that is not white space, which is passed over; b"" at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            if not self._fill():
                return b""

    def _fatal(self, reason: str, at: int | None = None) -> RecordError:
        at = self._at if at is None else at
        line = self._line + self._buffer.count(b"\n", self._counted, at)
        return RecordError(f"{reason} (at byte {self._before + at + 1:,})", path=self._path, line=line)

    def _unexpected(self, found: bytes, expected: str) -> RecordError:
        if not found:
            return self._fatal(f"the file ends here; expected {expected}: it is not whole, fetch it again")
        # What begins there may be a hash: a letter or digit says no more than that there is one.
        what = "a letter" if found.isalpha() else "a digit" if found.isdigit() else f"the byte 0x{found[0]:02x}"
        if b" " < found < b"\x7f" and not found.isalnum():
            what = repr(found.decode())
        return self._fatal(f"found {what}; expected {expected}")

    def _take(self, byte: bytes, expected: str) -> None:
        if (found := self._peek()) != byte:
            raise self._unexpected(found, expected)
        self._at += 1

    def _more(self, end: bytes, what: str) -> bool:
        """Behind an item: whether another one follows, or ``end``, which is passed over."""
        found = self._peek()
        if found not in (b",", end) or not found:
            raise self._unexpected(found, f"',' or '{end.decode()}' {what}")
        self._at += 1
        if found == b"," and self._peek() == end:
            raise self._fatal(f"found ',' before '{end.decode()}'; expected another item {what}")
        return found == b","

    # Values

    def members(self, what: str) -> Iterator[str]:
        """The keys of the object that comes next; behind each, its value must be taken."""
        self._take(b"{", f"'{{', the beginning of {what}")
        if self._peek() == b"}":
            self._at += 1
            return
        seen: set[str] = set()
        while True:
            if (found := self._peek()) != b'"':
                raise self._unexpected(found, f"a key of {what}")
            key = self.value("key")
            if key in seen:
                raise self._fatal(f"found the key {shown(key)} twice in {what}; expected every key once")
            seen.add(key)
            self._take(b":", "':' behind a key")
            yield key
            if not self._more(b"}", f"in {what}"):
                return

    def elements(self, what: str) -> Iterator[None]:
        """Enter the array that comes next: yields before each item, which must be taken."""
        self._take(b"[", f"'[', the beginning of {what}")
        if self._peek() == b"]":
            self._at += 1
            return
        while True:
            yield
            if not self._more(b"]", f"in {what}"):
                return

    def objects(self, what: str) -> Iterator[Batch]:
        """The objects of the array that comes next, in batches."""
        for _ in self.elements(what):
            yield self._batch()

    def objects_or(
        self, what: str, take: Callable[[bytes, int], tuple[list[_Made], int]]
    ) -> Iterator[list[_Made] | Batch]:
        """As `objects`, but for what ``take`` makes of the text by itself.

        ``take`` is given the buffer and where in it an object begins. It returns what it made of that one and of those
        behind it, one thing of each, and where the last of them ends; or nothing of an object that is not whole, or
        that it leaves to the other ways.
        """
        took = 0
        for _ in self.elements(what):
            self._peek()
            made, end = take(self._buffer, self._at) if not self._ranges else ([], 0)
            if not made and not self._ranges and len(self._buffer) - self._at < self._size and self._fill():
                made, end = take(self._buffer, self._at)
            if made:
                self._at = end
                yield made
            else:
                # One object among many that it took is unusual; else it may be all of them.
                yield self._one() if took > _FEW else self._batch()
            took = len(made)

    def value(self, key: str) -> Any:
        """The value that comes next, strictly, as of the member ``key``."""
        text, end = self._text(_WINDOW)
        name = json.dumps(key)
        try:
            found = _parsed(f"{{{name}:{text}}}", self._limits)
        except RecordError as error:
            # No line says more about a value than its key does, but for the byte at which it begins.
            raise self._fatal(f"{shown_field(key)}: {error.reason}" if error.field is None else error.reason) from None
        self._at = end
        return found[key]

    def finish(self) -> None:
        """Make sure that nothing follows."""
        if found := self._peek():
            raise self._unexpected(found, "the end of the file")

    def _text(self, window: int) -> tuple[str, int]:
        """The text of the value that comes next, and its end in the buffer."""
        if not self._peek():
            raise self._unexpected(b"", "a value")
        while True:
            at = self._at
            whole = self._ended and at + window >= len(self._buffer)
            text = self._decoded(at, min(at + window, len(self._buffer)), whole)
            problem: json.JSONDecodeError | None = None
            try:
                _, end = _LENIENT.raw_decode(text)
            except json.JSONDecodeError as error:
                problem = error
            except RecursionError:
                cap = self._limits.max_json_depth
                raise self._fatal(
                    f"found values nested more than {cap} levels deep; expected at most {cap} levels"
                ) from None
            else:
                # A number that ends with the window may go on behind it.
                if end < len(text) or whole:
                    used = end if text.isascii() else len(text[:end].encode())
                    if used > self._limits.max_line_bytes:
                        raise self._too_long()
                    return text[:end], at + used
            if whole or window > self._limits.max_line_bytes:
                raise self._not_json(problem, text, whole)
            window *= 4
            while len(self._buffer) - self._at < window and self._fill():
                pass

    def _decoded(self, start: int, end: int, whole: bool) -> str:
        try:
            return codecs.utf_8_decode(self._buffer[start:end], "strict", whole)[0]
        except UnicodeDecodeError as error:
            at = start + error.start
            raise self._fatal(
                f"found the byte 0x{self._buffer[at]:02x}, which is not UTF-8 here; expected UTF-8 text", at
            ) from None

    def _not_json(self, problem: json.JSONDecodeError | None, text: str, whole: bool) -> RecordError:
        # Where text, a word, an escape or a number is cut off, the decoder stops at its beginning.
        at_end = problem is None or problem.msg.startswith("Unterminated") or len(text) - problem.pos < 8
        if at_end and not whole:
            return self._too_long()
        if at_end:
            return self._fatal(
                "the file ends in the middle of a value that begins here; it is not whole, fetch it again"
            )
        assert problem is not None
        place = self._at + len(text[: problem.pos].encode())
        return self._fatal(f"found what is not JSON ({problem.msg}); expected JSON", place)

    def _too_long(self) -> RecordError:
        cap = self._limits.max_line_bytes
        return self._fatal(f"found a value of more than {cap:,} bytes; expected at most {cap:,} bytes a value")

    # Batches

    def _batch(self) -> Batch:
        """The next objects of an array: some hundred, or one that went the strict way."""
        self._peek()
        if not self._ranges:
            if len(self._buffer) - self._at < self._size:
                self._fill()
            self._cut()
        while self._ranges:
            first, last = self._ranges.pop()
            start, end = int(self._starts[first]), int(self._ends[last]) + 1
            if start != self._at:
                self._ranges.clear()  # braces in text misled the cutting
                break
            line = self._line_of(start)
            piece = self._buffer[start:end]
            objects = self._fast(piece, last - first + 1)
            if objects is not None:
                self._at = end
                return Batch(objects, line, piece, self._starts[first : last + 1] - start)
            if last - first < _FEW:
                if last > first:
                    self._ranges.append((first + 1, last))
                break
            middle = (first + last) // 2
            self._ranges += ((middle + 1, last), (first, middle))
        return self._one()

    def _cut(self) -> None:
        """Where the objects in the buffer begin and end, as far as braces say."""
        view = np.frombuffer(self._buffer, np.uint8, offset=self._at)
        braces = np.flatnonzero((view == _OPEN) | (view == _CLOSE))
        opening = view[braces] == _OPEN
        depth = np.cumsum(np.where(opening, 1, -1))
        over = np.flatnonzero(depth < 0)
        inside = slice(0, int(over[0]) if len(over) else None)
        braces, opening, depth = braces[inside], opening[inside], depth[inside]
        self._ends = braces[~opening & (depth == 0)] + self._at
        self._starts = braces[opening & (depth == 1)] + self._at
        if len(self._ends):
            self._ranges.append((0, len(self._ends) - 1))

    def _fast(self, piece: bytes, count: int) -> list[_Object] | None:
        """The ``count`` objects of a piece of the array, or None where something in it asks for the strict way."""
        limits, codec = self._limits, _codec()
        if len(piece) > min(limits.max_string, limits.max_line_bytes) or limits.max_json_depth < _LEVELS:
            return None
        view = np.frombuffer(piece, np.uint8)
        if _has_odd_text(piece, view):
            return None
        try:
            objects: list[_Object] = codec.decode(b"[%b]" % piece)
        except codec.errors:
            return None
        # All of them objects, and as many as braces said: else text with braces misled the cutting.
        if len(objects) != count or set(map(type, objects)) != {dict}:
            return None
        colons = np.flatnonzero(view == _COLON)
        ends_of_keys = np.count_nonzero(_BEFORE_COLON[view[colons - 1]])
        keys = sum(map(len, objects))
        # Where the objects' own keys are all that can be keys, there are no objects inside them.
        if ends_of_keys != keys or (not codec.typed and b"[" in piece):
            values = list(chain.from_iterable(map(dict.values, objects)))
            inner = compress(values, map(_CONTAINERS.__contains__, map(type, values)))
            try:
                keys += sum(map(_shallow_keys, inner) if codec.typed else (_keys(v, 2, limits) for v in inner))
            except RecordError:
                return None
        return objects if ends_of_keys == keys else None

    def _one(self) -> Batch:
        """One item, the strict way."""
        ranges, buffer = list(self._ranges), self._buffer
        line = self.line
        text, end = self._text(_WINDOW)
        item: _Object | RecordError
        try:
            item = _parsed(text, self._limits)
        except RecordError as error:
            item = error
        self._at = end
        if self._buffer is buffer:
            self._ranges = ranges
        return Batch((item,), line, b"", (0,))


def _has_odd_text(piece: bytes, view: npt.NDArray[np.uint8]) -> bool:
    """Whether escapes may make a control character or half a surrogate pair. Bare ones no decoder lets pass."""
    slashes = np.flatnonzero(view[:-1] == _BACKSLASH)
    if not len(slashes) or not _ODD_ESCAPE[view[slashes + 1]].any():
        return False
    # Of slashes in a row, the first, third, fifth ... begin an escape.
    order = np.arange(len(slashes))
    begins = np.diff(slashes, prepend=-2) != 1
    slashes = slashes[(order - np.maximum.accumulate(np.where(begins, order, 0))) & 1 == 0]
    odd = slashes[_ODD_ESCAPE[view[slashes + 1]]]
    return not all(_FINE_ESCAPE.match(piece, place) for place in odd.tolist())


def _parsed(text: str, limits: Limits) -> _Object:
    """The object that a text is of which the end was found leniently.

    Raises:
        RecordError: it breaks a rule of `parse_object`.
    """
    try:
        _STRICT.decode(text)
    except json.JSONDecodeError as error:
        raise RecordError(
            f"found the control character U+{ord(text[error.pos]):04X} inside text; expected it as an escape"
        ) from None
    return parse_object(text, limits)


def _shallow_keys(value: Any) -> int:
    """How many keys there are in an array or object with at most one object more inside: all that types allow."""
    return len(value) if type(value) is dict else sum([len(item) for item in value if type(item) is dict])


def _keys(value: Any, level: int, limits: Limits) -> int:
    """How many keys there are in an array or object that stands at ``level``.

    Raises:
        RecordError: it is nested deeper than the limit.
    """
    if level > limits.max_json_depth:
        raise RecordError("nested too deep")
    items = value.values() if type(value) is dict else value
    below = sum(_keys(item, level + 1, limits) for item in items if type(item) is dict or type(item) is list)
    return below + (len(value) if type(value) is dict else 0)
