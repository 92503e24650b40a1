r"""The one way in which XML comes in: elements record by record, in bounded memory, from files that nobody can trust.

Expat, of the standard library, parses. What XML allows and a hash list never needs is refused: document types, and
with them every entity but the five of XML itself; nothing is ever fetched. Depth, the size of tags and of records, and
the number of different names are bounded. Nothing is kept of what stands outside records, or of the elements that a
format passes over.

Namespaces. A tag is its local name where it has no namespace or one of the format's; otherwise ``{namespace}name``.

Mixed content. Data has text or elements in an element, never both: text between elements is damage, and is reported.

Repair. Programs that list files write their names as they are, which may be no XML: hashdeep does so. On demand, a byte
that is not UTF-8 and a control character become the text ``\xff``. NUL stays an error: no file name holds it, and a
file that was not written to its end does.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, NamedTuple
from xml.parsers import expat

from hashmatch.errors import RecordError
from hashmatch.lists.formats.cells import check_text, shown, shown_field
from hashmatch.lists.formats.source import Head, Input, line_ends

__all__ = ["CLOSED", "OPENED", "RECORD", "STRAY", "Element", "Event", "XmlStream", "plain", "root_of"]

#: Levels of elements inside one another, from a record on, and as many around it.
MAX_DEPTH = 32
#: Bytes of one record without what is passed over in it: its elements take up to fifty times as much memory.
MAX_RECORD_BYTES = 2 << 20
#: Bytes of one tag or comment. Expat reads one that is not complete again with every block.
MAX_TAG_BYTES = 1 << 18
#: Different names of elements and attributes in one file. Expat keeps every name that it has seen.
MAX_NAMES = 10_000

#: Encodings that a file may declare. Which one it has, its first bytes say: UTF-16 has a BOM.
_ENCODINGS = ("utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii")

#: Bytes that stand in no XML 1.0 document; NUL stays an error. U+FFFE and U+FFFF are the other two.
_NO_XML = bytes(byte for byte in range(1, 32) if byte not in b"\t\n\r")
_NO_XML_TEXT = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

#: Kinds of events.
RECORD, OPENED, CLOSED, STRAY = "record", "opened", "closed", "stray"


#: An element: its tag, its attributes, its text or, in its place, the elements in it. A plain tuple, as there are tens
#: of millions of them.
Element = tuple[str, dict[str, str], str, "list[Element]"]


class Event(NamedTuple):
    """What was met.

    Attributes:
        kind: ``RECORD`` for a whole record; ``OPENED`` and ``CLOSED`` for the tags of an element outside records;
            ``STRAY`` for text between elements, outside records.
        line: 1-based number of the line on which the record or the tag starts.
        parent: tag of the element around it, "" for the root.
        element: the record, or the element outside records: without text and children.
        problem: what is wrong with the record, "" for nothing. The element of such a record is empty.
    """

    kind: str
    line: int
    parent: str
    element: Element
    problem: str = ""


_make_event: Callable[[tuple[Any, ...]], Event] = partial(tuple.__new__, Event)

_ROOT = re.compile(r"<(?![?!])(?:([\w.-]+):)?([\w.-]+)([^>]{0,65536})")
_NAMESPACE = re.compile(r"""\sxmlns(?::([\w.-]+))?\s*=\s*(["'])(.*?)\2""", re.DOTALL)


def root_of(head: Head) -> tuple[str, str]:
    """(namespace, local name) of the root element of a file that begins like XML, ("", "") of any other."""
    text = head.text.lstrip()
    if not text.startswith("<"):
        return "", ""
    # What a document type or a comment says may be taken for the root here. Reading is exact.
    found = _ROOT.search(text)
    if found is None:
        return "", ""
    prefix, name, rest = found.groups()
    uris = {of or "": uri for of, _, uri in _NAMESPACE.findall(rest)}
    return uris.get(prefix or "", ""), name


def plain(element: Element, max_string: int) -> Any:
    """An element as JSON knows it: its text where that is all; otherwise an object with ``@name`` for every attribute,
    ``#text`` for the text, and the children by their tags, in an array where a tag comes more than once.

    Raises:
        RecordError: text that may not stand in metadata.
    """
    tag, attributes, text, children = element
    text = check_text(text.strip(), tag, max_string)
    if not attributes and not children:
        return text
    found: dict[str, Any] = {f"@{name}": check_text(value, name, max_string) for name, value in attributes.items()}
    if text:
        found["#text"] = text
    for child in children:
        value = plain(child, max_string)
        name = child[0]
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


class _Names(dict[str, str]):
    """Name that expat gives -> tag, made when it is first met."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make

    def __missing__(self, name: str) -> str:
        tag = self[name] = self._make(name)
        return tag


class XmlStream:
    """The records of an XML file, and the tags around them, in order.

    Raises:
        RecordError: the XML is damaged, cut off, or not of the kind that is accepted. What came before was yielded.
        InputError: the file fails while it is read.
    """

    def __init__(
        self,
        source: Input,
        records: Collection[str],
        *,
        namespaces: Collection[str] | None,
        passed_over: Collection[str] = (),
        repair: bool = False,
    ) -> None:
        """``records`` are the tags of records, ``passed_over`` those of elements in them that are not kept.

        ``namespaces`` are those whose tags are local names; None stands for whatever namespace the root has.
        """
        self._source = source
        self._records = frozenset(records)
        self._passed_over = frozenset(passed_over)
        self._namespaces = namespaces
        self._repair = repair
        self._max_record = min(MAX_RECORD_BYTES, source.limits.max_line_bytes)
        self._events: list[Event] = []
        self._names = _Names(self._tag)
        self._attribute_names: set[str] = set()
        self._prefixes: set[str | None] = set()
        #: Whether an attribute with a namespace was seen.
        self._braces = False
        #: Elements outside records that are open, and whether there was an element in each.
        self._outer: list[str] = []
        self._parents: list[bool] = []
        #: (tag, attributes, children, pieces of text before it) of every element that is open in a record, the record
        #: itself first.
        self._stack: list[tuple[str, dict[str, str], list[Element], int]] = []
        #: Pieces of text that belong to no closed element; outside records, since the last tag. Expat is given the
        #: list's own method, which needs no frame.
        self._texts: list[str] = []
        self._problem = ""
        #: Lines that expat is not given, as they stand before the document.
        self._lines_before = 0
        #: Line and byte of the record's start. The bytes of what is passed over are added to the latter.
        self._line = self._start_byte = 0
        #: How many elements are open of what is passed over, and the byte and the piece of text at which that began.
        self._passing = self._passing_byte = self._passing_text = 0
        # UTF-8 whatever the file declares: the input layer has seen to that.
        self._parser = parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.CharacterDataHandler = self._texts.append
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = self._prefix
        self._in_record = self._record_handlers()
        self._hand_over(self._start_outside, self._end_outside)

    def _hand_over(self, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None]) -> None:
        """From now on ``start`` and ``end`` are told of tags: outside records, in one, and in what is passed over."""
        self._parser.StartElementHandler = start
        self._parser.EndElementHandler = end

    def __iter__(self) -> Iterator[Event]:
        events, parser = self._events, self._parser
        fed = 0
        for block in self._blocks():
            problem: RecordError | None = None
            try:
                parser.Parse(block, not block)
                fed += len(block)
                if block:
                    self._after_block(fed)
            except RecordError as error:
                problem = error
            except expat.ExpatError as error:
                problem = self._damage(error, at_end=not block)
            # What was read before the damage counts.
            yield from events
            events.clear()
            if problem is not None:
                raise problem

    def _blocks(self) -> Iterator[bytes]:
        """The file as it is for expat: valid UTF-8 without white space before its start; then an empty block.

        Raises:
            RecordError: what is not UTF-8, unless it is to be repaired.
        """
        decode = codecs.getincrementaldecoder("utf-8")("backslashreplace" if self._repair else "strict").decode
        line, started = 1, False
        for raw in self._raw():
            block = raw
            try:
                text = decode(block, final=not block)
            except UnicodeDecodeError as error:
                # The beginning may be of a character that the block before was cut in.
                good = error.object[len(error.object) - len(raw) : error.start]
                if good:
                    yield good
                line += line_ends(good)
                found = f"0x{error.object[error.start]:02x}"
                reason = f"found the byte {found}, which is not UTF-8 here; expected UTF-8 text"
                raise RecordError(reason, path=self._source.path, line=line) from None
            if self._repair:
                block = _repaired(text)
            line += line_ends(raw)
            if not started:
                # XML has its declaration first; blank lines before it are harmless.
                begun = block.lstrip(b" \t\r\n")
                self._lines_before += line_ends(block) - line_ends(begun)
                block, started = begun, bool(begun)
            if block:
                yield block
        yield b""

    def _raw(self) -> Iterator[bytes]:
        yield from self._source.utf8()
        yield b""

    # What expat calls outside records

    def _start_outside(self, name: str, attributes: dict[str, str]) -> None:
        if self._texts:
            if not _blank(self._texts):
                self._event(STRAY, self._outer[-1], {}, _mixed(self._outer[-1]))
            self._texts.clear()
        tag = self._names[name]
        if attributes:
            attributes = self._attributes(attributes)
        if self._parents:
            self._parents[-1] = True
        if tag in self._records:
            self._line = self._parser.CurrentLineNumber + self._lines_before
            self._start_byte = self._parser.CurrentByteIndex
            self._problem = ""
            self._stack.append((tag, attributes, [], 0))
            self._hand_over(*self._in_record)
            return
        if len(self._outer) >= MAX_DEPTH:
            raise self._too_deep()
        self._event(OPENED, tag, attributes)
        self._outer.append(tag)
        self._parents.append(False)

    def _end_outside(self, _name: str) -> None:
        tag, is_parent = self._outer.pop(), self._parents.pop()
        if self._texts:
            if is_parent and not _blank(self._texts):
                self._event(STRAY, tag, {}, _mixed(tag))
            self._texts.clear()
        self._event(CLOSED, tag, {})

    # What expat calls in a record: a dozen times for each of millions. Closures are a third faster than methods.

    def _record_handlers(self) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None]]:
        texts, stack, names, passed_over = self._texts, self._stack, self._names, self._passed_over
        push, pop = stack.append, stack.pop
        unusual, finish, named = self._unusual, self._finish, self._attributes

        def start(name: str, attributes: dict[str, str]) -> None:
            tag = names[name]
            if attributes:
                attributes = named(attributes)
            if tag in passed_over or len(stack) >= MAX_DEPTH:
                unusual()
            else:
                push((tag, attributes, [], len(texts)))

        def end(_name: str) -> None:
            tag, attributes, children, at = pop()
            pieces = len(texts) - at
            if not pieces or children:
                text = ""
            elif pieces == 1:
                text = texts.pop()
            else:
                text = "".join(texts[at:])
                del texts[at:]
            if stack:
                stack[-1][2].append((tag, attributes, text, children))
            else:
                finish((tag, attributes, text, children))

        return start, end

    def _unusual(self) -> None:
        """An element of a record that is passed over or too deep."""
        if len(self._stack) >= MAX_DEPTH:
            raise self._too_deep()
        self._pass_over(1)

    def _finish(self, element: Element) -> None:
        """The record's end."""
        tag, problem = element[0], self._problem
        # What is left of the text stood between elements.
        if self._texts:
            if not (problem or _blank(self._texts)):
                problem = _mixed(tag)
            self._texts.clear()
        self._hand_over(self._start_outside, self._end_outside)
        parent = self._outer[-1] if self._outer else ""
        if problem:
            element = (tag, {}, "", [])
        self._events.append(_make_event((RECORD, self._line, parent, element, problem)))

    # What expat calls in what is passed over: an element of a record, or the rest of a record

    def _pass_over(self, levels: int) -> None:
        """Pass over everything until ``levels`` elements have been closed, and those that are opened meanwhile."""
        self._passing = levels
        self._passing_byte, self._passing_text = self._parser.CurrentByteIndex, len(self._texts)
        self._hand_over(self._start_passed_over, self._end_passed_over)

    def _spoil(self, reason: str) -> None:
        """The record that is open is not usable: keep no more of it."""
        self._problem = reason
        self._texts.clear()
        self._pass_over(len(self._stack))
        del self._stack[1:]
        self._stack[0][2].clear()

    def _start_passed_over(self, name: str, attributes: dict[str, str]) -> None:
        del self._texts[self._passing_text :]
        _ = self._names[name]
        self._attributes(attributes)
        self._passing += 1
        if self._passing > MAX_DEPTH:
            raise self._too_deep()

    def _end_passed_over(self, _name: str) -> None:
        del self._texts[self._passing_text :]
        self._passing -= 1
        if self._passing:
            return
        if self._problem:
            self._finish((self._stack.pop()[0], {}, "", []))
        else:
            self._start_byte += self._parser.CurrentByteIndex - self._passing_byte
            self._hand_over(*self._in_record)

    # Declarations

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise self._fatal(f"found the encoding {shown(encoding)}; expected UTF-8 or UTF-16: convert the file")

    def _doctype(self, *_: object) -> None:
        raise self._fatal(
            "found a document type (DOCTYPE), which hash lists do not need and attacks do; expected XML without any"
        )

    def _prefix(self, prefix: str | None, _namespace: str | None) -> None:
        self._prefixes.add(prefix)
        if len(self._prefixes) > MAX_NAMES:
            raise self._fatal(f"found more than {MAX_NAMES:,} prefixes of namespaces; expected fewer")

    # What they need

    def _event(self, kind: str, tag: str, attributes: dict[str, str], problem: str = "") -> None:
        parent = self._outer[-1] if self._outer else ""
        line = self._parser.CurrentLineNumber + self._lines_before
        self._events.append(Event(kind, line, parent, (tag, attributes, "", []), problem))

    def _tag(self, name: str) -> str:
        """The tag that expat's name of an element stands for: namespace, space, local name."""
        if len(self._names) >= MAX_NAMES:
            raise self._fatal(f"found more than {MAX_NAMES:,} different names of elements; expected fewer")
        namespace, _, local = name.rpartition(" ")
        if self._namespaces is None:
            self._namespaces = (namespace,)
        return local if not namespace or namespace in self._namespaces else f"{{{namespace}}}{local}"

    def _attributes(self, attributes: dict[str, str]) -> dict[str, str]:
        if not self._attribute_names.issuperset(attributes):
            self._attribute_names.update(attributes)
            if len(self._attribute_names) > MAX_NAMES:
                raise self._fatal(f"found more than {MAX_NAMES:,} different names of attributes; expected fewer")
            self._braces = self._braces or any(" " in name for name in attributes)
        return {_braced(name): value for name, value in attributes.items()} if self._braces else attributes

    def _after_block(self, fed: int) -> None:
        """Hold what is open at the end of a block to the limits; ``fed`` is how many bytes expat was given so far.

        Raises:
            RecordError: a tag that is too long.
        """
        at = max(self._parser.CurrentByteIndex, 0)
        if fed - at > MAX_TAG_BYTES:
            raise self._fatal(f"found a tag or comment of more than {MAX_TAG_BYTES:,} bytes; expected less")
        if not self._stack:
            # All that matters is whether there was any text.
            self._texts[:] = [] if _blank(self._texts) else ["-"]
        elif self._passing:
            del self._texts[self._passing_text :]
        elif fed - self._start_byte > self._max_record:
            self._spoil(f"found a record of more than {self._max_record:,} bytes; expected less")

    def _too_deep(self) -> RecordError:
        return self._fatal(
            f"found elements nested more than {MAX_DEPTH} levels deep; expected at most {MAX_DEPTH} levels"
        )

    def _fatal(self, reason: str) -> RecordError:
        line = self._parser.CurrentLineNumber + self._lines_before
        return RecordError(reason, path=self._source.path, line=line)

    def _damage(self, error: expat.ExpatError, *, at_end: bool) -> RecordError:
        if at_end:
            open_ = [*self._outer, *(tag for tag, *_ in self._stack)]
            where = f"in <{shown_field(open_[-1])}>" if open_ else "before the first element"
            reason = f"found the end of the file {where}; expected the whole of it: the file is cut off"
        else:
            what = expat.ErrorString(error.code)
            reason = f"found damaged XML ({what}, column {error.offset + 1:,}); expected XML that is well-formed"
        return RecordError(reason, path=self._source.path, line=error.lineno + self._lines_before)


def _blank(texts: list[str]) -> bool:
    return all(map(str.isspace, texts))


def _mixed(tag: str) -> str:
    return f"found text between the elements of <{shown_field(tag)}>; expected elements only"


def _braced(name: str) -> str:
    namespace, _, local = name.rpartition(" ")
    return f"{{{namespace}}}{local}" if namespace else local


def _repaired(text: str) -> bytes:
    """``text`` as UTF-8, with what stands in no XML document escaped."""
    block = text.encode()
    # Looking for control characters by leaving them out is several times faster than by a pattern.
    if len(block.translate(None, _NO_XML)) != len(block) or "\ufffe" in text or "\uffff" in text:
        return _NO_XML_TEXT.sub(_escaped, text).encode()
    return block


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode())
