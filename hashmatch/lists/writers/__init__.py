"""Formats in which a list is exported: one writer a file, one registry.

A writer takes entries one by one and never holds more than a few thousand of them. The same entries in the same order
give the same bytes. What a format cannot hold is counted in the account that `export` returns, so that nothing is lost
without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING

from hashmatch.errors import UsageError, shorten
from hashmatch.lists.writers import csv_, hashdeep, jsonl_, parquet, pdq, vics
from hashmatch.lists.writers.account import Account, Measured, Sink, WriteOptions

if TYPE_CHECKING:
    from hashmatch.lists.store import StoredEntry

__all__ = ["WRITERS", "Account", "Sink", "WriteOptions", "Writer", "export", "writer_for"]


@dataclass(frozen=True, slots=True)
class Writer:
    """One format in which a list can be exported.

    Attributes:
        name: the name for ``--format``.
        title: what people call it.
        suffixes: suffixes of file names, lower case, that choose it.
        write: write the entries, and note in the account what the format cannot hold.
        needs_hashes: without hashes there is nothing to write.
        survey: what has to be known of all entries before they are written: `WriteOptions.columns`.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    write: Callable[[Iterable[StoredEntry], Sink, WriteOptions, Account], None]
    needs_hashes: bool = False
    survey: Callable[[Iterable[StoredEntry]], tuple[str, ...]] | None = None


#: Name -> writer; the first is the default.
WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        writer.name: writer
        for writer in (
            Writer("csv", "CSV with a header", (".csv",), csv_.write),
            Writer("jsonl", "JSON Lines", (".jsonl", ".ndjson"), jsonl_.write),
            Writer("parquet", "Apache Parquet", (".parquet",), parquet.write),
            Writer("vics", "VICS 2.0 #Media", (".json",), vics.write, needs_hashes=True),
            Writer("hashdeep", "hashdeep", (".hashdeep",), hashdeep.write, needs_hashes=True, survey=hashdeep.survey),
            Writer("pdq", "PDQ text", (".pdq",), pdq.write, needs_hashes=True),
        )
    }
)


def writer_for(name: str | None, path: str | None) -> Writer:
    """The writer called ``name``; without a name the one that the suffix of ``path`` chooses, else CSV.

    Raises:
        UsageError: no writer is called so.
    """
    if name is not None:
        try:
            return WRITERS[name]
        except KeyError:
            raise UsageError(f"unknown format {shorten(name)}; hashmatch writes {', '.join(WRITERS)}") from None
    suffix = PurePath(path or "").suffix.lower()
    return next((writer for writer in WRITERS.values() if suffix in writer.suffixes), WRITERS["csv"])


def export(
    entries: Callable[[], Iterable[StoredEntry]], writer: Writer, sink: Sink, options: WriteOptions | None = None
) -> Account:
    """Write all entries and say what became of them.

    Args:
        entries: gives the entries in their order; it is called twice where the format asks for a survey.
        writer: one of `WRITERS`.
        sink: takes the bytes.
        options: what the writer is told.

    Raises:
        UsageError: the format is nothing without hashes, and they are not to be included, or no entry fits it.
    """
    options = options or WriteOptions()
    if writer.needs_hashes and not options.include_hashes:
        raise UsageError(
            f"{writer.name} is nothing without hashes; nothing was written: give --include-hashes if they may leave, "
            "or export to CSV, which can name entries without them"
        )
    if writer.survey is not None and not options.columns:
        options = replace(options, columns=writer.survey(entries()))
    account = Account(writer.name)
    measured = Measured(sink)
    writer.write(entries(), measured, options, account)
    account.bytes, account.sha256 = measured.bytes, measured.sha256()
    return account
