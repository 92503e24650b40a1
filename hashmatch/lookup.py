"""Lookup of digests in bulk: one line of text for every digest, made without an object for any of them.

`hashmatch.matcher` joins records with all their hashes and judges them; this answers one question, is the digest in the
list and whose is it, for millions of digests a second.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hashmatch import kernels
from hashmatch.algorithms import ALGORITHMS, Kind, names
from hashmatch.errors import FormatAmbiguousError, FormatUnknownError, RecordError, UsageError, printable, shorten
from hashmatch.index.compiled import CompiledList
from hashmatch.index.search import Searcher
from hashmatch.kernels.digests import ESCAPE, Found, Names, RowTexts
from hashmatch.lists.formats import FORMATS, Input, Progress, ReadOptions, detect
from hashmatch.lists.formats.digest_lines import read_digests
from hashmatch.lists.opening import open_compiled

__all__ = ["Lookup", "Tally"]

#: Bytes of text that are made at once.
_BUFFER = 4 << 20
#: Malformed lines whose message is kept, for each input.
_KEPT_MESSAGES = 100


@dataclass(slots=True)
class Tally:
    """Digests looked up, those found, entries that bear them; malformed lines, and what was wrong with the first.

    ``bytes`` and ``sha256`` (hex) are of the file, once all of it has been looked up.
    """

    lines: int = 0
    hits: int = 0
    entries: int = 0
    invalid: int = 0
    problems: Sequence[str] = ()
    bytes: int = 0
    sha256: str = ""


class Lookup:
    """Looks digests up in a list. Use `open`; close it, or use it as a context manager.

    Attributes:
        path: the list as it was given.
        compiled: the compiled list that is read.
    """

    def __init__(self, compiled: CompiledList) -> None:
        """Look up in ``compiled``, which is closed with this object."""
        self.compiled = compiled
        self.path = compiled.path
        self._searcher = Searcher(compiled)
        self._buffer = np.empty(_BUFFER, np.uint8)
        #: algorithm -> what is written of the rows that have a digest of it
        self._marked: dict[str, RowTexts] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Self:
        """Open a list; arguments and errors as those of `hashmatch.lists.opening.open_compiled`."""
        made = cls(open_compiled(path, verify=verify))
        made.path = Path(path)
        return made

    def close(self) -> None:
        """Unmap the list."""
        self.__dict__.pop("_texts", None)
        self._marked.clear()
        self.compiled.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, algorithm: str, whose: str) -> None:
        """Refuse an algorithm of which the list holds nothing: that nothing matched would say nothing.

        Raises:
            UsageError: ``whose`` digests are not in the list, or ``algorithm`` is not one of digests.
        """
        if algorithm not in names(Kind.EXACT):
            raise UsageError(f"{whose} {algorithm}; expected one of {', '.join(names(Kind.EXACT))}")
        if algorithm not in self.compiled.algorithms:
            has = ", ".join(self.compiled.algorithms) or "no hashes"
            raise UsageError(f"{whose} {algorithm}: {self.path} has {has}; nothing could match")

    def file(
        self,
        path: str,
        tally: Tally,
        *,
        algorithm: str | None = None,
        hits_only: bool = False,
        skip_invalid: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[memoryview | bytes]:
        """The lines (`lines`) of the digests in a file of the md5sum kind; "-" is standard input.

        Args:
            path: the file: bare digests, or digests and paths as md5sum, sha256sum and others write them.
            tally: to which counts are added.
            algorithm: whose digests they are; None: detected from the content.
            hits_only: no line for a digest that is not found.
            skip_invalid: count malformed lines, and keep the first messages; by default the first is raised.
            progress: called after every block that is read.

        Raises:
            UsageError: a format that holds other things than digests alone, or nothing of the algorithm in the list.
            InputError, RecordError: the file cannot be read, or a line is malformed.
            CompiledListError: the list cannot be trusted.
        """
        with Input(path, progress=progress) as source:
            settled = algorithm is not None
            if algorithm is None:
                try:
                    format_ = detect(source)
                except (FormatUnknownError, FormatAmbiguousError) as error:
                    if "--from" not in str(error):
                        raise
                    # `detect` points to an option of other verbs.
                    shown = "standard input" if path == "-" else shorten(path, 200)
                    raise FormatUnknownError(
                        f"{shown} begins like no file of digests; expected digests alone, or digests and paths as "
                        "md5sum writes them; if it is one of these, say whose with -a, for example -a md5"
                    ) from error
                algorithm = format_.name.removesuffix("sum")
                if algorithm not in names(Kind.EXACT):
                    raise UsageError(
                        f"{source.path}: is {format_.title}; expected digests alone, or digests and paths as md5sum "
                        "writes them; `hashmatch match` reads the other formats"
                    )
                settled = Path(path).suffix.lower() in FORMATS[format_.name].suffixes
                self.check(algorithm, f"{source.path}: holds")
            for item in read_digests(source, ReadOptions(source.limits, settled), algorithm=algorithm):
                if isinstance(item, RecordError):
                    if not skip_invalid:
                        raise item
                    tally.invalid += 1
                    if tally.invalid <= _KEPT_MESSAGES:
                        tally.problems = [*tally.problems, str(item)]
                else:
                    yield from self.lines(algorithm, item, tally, hits_only=hits_only)
            source.finish()
            tally.bytes, tally.sha256 = source.bytes_read, source.sha256

    def lines(
        self, algorithm: str, digests: NDArray[np.uint8], tally: Tally, *, hits_only: bool = False
    ) -> Iterator[memoryview | bytes]:
        """The result as text, in pieces of whole lines; FORMATS.md specifies it. Each piece stands until the next.

        Args:
            algorithm: an exact algorithm.
            digests: uint8[n, width].
            tally: to which counts are added.
            hits_only: no line for a digest that is not found.
        """
        first, last = self._searcher.locate_digests(algorithm, digests)
        tally.lines += len(digests)
        if hits := int(np.count_nonzero(last > first)):
            tally.hits += hits
            tally.entries += int((last - first).sum())
        elif hits_only:
            return
        # The facts of entries are read, and verified, only where something was found.
        facts = self._texts_of(algorithm) if hits else _NOTHING
        texts = facts._replace(rows=self.compiled.digests(algorithm).rows)
        found = Found(np.ascontiguousarray(digests), first, last)
        query = position = 0
        while query < len(digests):
            with self._searcher.damage():
                written, query, position, stopped = kernels.write_lookup_lines(
                    found, texts, self._buffer, query, position, hits_only=hits_only
                )
            if written:
                yield self._buffer.data[:written]
            # A line that does not fit in the whole buffer has a reference of megabytes.
            if stopped == ESCAPE or (stopped and not written):
                yield self._line(found, texts, query, position)
                position += 1

    @cached_property
    def _texts(self) -> RowTexts:
        """What is written of the rows; ``rows`` is the algorithm's, and is put in for each."""
        compiled = self.compiled
        sources = [source["name"] for source in compiled.meta["sources"]]
        categories = [f"{scheme}:{code}" for scheme, code in compiled.meta["categories"]]
        return RowTexts(
            _NOTHING.rows,
            compiled.row_sources(),
            compiled.row_categories(),
            *compiled.reference_arrays(),
            _names([_field(name) for name in sources]),
            _names(["", *(_field(text) for text in categories)]),
        )

    def _texts_of(self, algorithm: str) -> RowTexts:
        """`_texts`, in which the rows whose digest of this algorithm is disputed say so.

        The mark is part of a second set of categories, so that whoever writes the lines need not know of it.
        """
        if algorithm not in self._marked:
            texts, disputed = self._texts, self.compiled.row_disputed()
            bit = np.uint32(1 << ALGORITHMS[algorithm].number)
            with self._searcher.damage():
                rows = np.flatnonzero(disputed & bit)
                self._marked[algorithm] = _with_mark(texts, rows) if len(rows) else texts
        return self._marked[algorithm]

    def _line(self, found: Found, texts: RowTexts, query: int, position: int) -> bytes:
        """One line whose reference is not plain."""
        with self._searcher.damage():
            row = int(texts.rows[int(found.first[query]) + position])
            ref = _field(self.compiled.refs([row])[0]).encode()
            source = _name(texts.sources, int(texts.source[row]))
            category = _name(texts.categories, int(texts.category[row]))
        return b"%s\t%s\t%s\t%s\n" % (found.digests[query].tobytes().hex().encode(), source, ref, category)


def _with_mark(texts: RowTexts, rows: NDArray[np.int64]) -> RowTexts:
    """``texts``, in which the category of ``rows`` is followed by the field that marks a disputed digest."""
    count = len(texts.categories.offsets) - 1
    category = texts.category.copy()
    if int(category.max()) >= count:  # it must not pass for one of those that are marked
        raise ValueError(f"a row names category {int(category.max())}, there are {count}")
    category[rows] += np.uint32(count)
    plain = [_name(texts.categories, number).decode() for number in range(count)]
    return texts._replace(category=category, categories=_names([*plain, *(f"{text}\tdisputed" for text in plain)]))


def _field(text: str) -> str:
    r"""``text`` as a field of a line: what is not printable is escaped, and so is the backslash itself."""
    return printable(text.replace("\\", "\\\\"))


def _names(texts: Sequence[str]) -> Names:
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.uint64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return Names(np.frombuffer(b"".join(encoded), np.uint8), offsets)


def _name(all_names: Names, number: int) -> bytes:
    if number >= len(all_names.offsets) - 1:
        raise ValueError(f"a row names text {number}, there are {len(all_names.offsets) - 1}")
    return all_names.text[int(all_names.offsets[number]) : int(all_names.offsets[number + 1])].tobytes()


_NOTHING = RowTexts(
    np.zeros(0, np.uint32),
    np.zeros(0, np.uint32),
    np.zeros(0, np.uint32),
    np.zeros(1, np.uint64),
    np.zeros(0, np.uint8),
    _names([]),
    _names([]),
)
