"""The list of record: entries of many sources in one SQLite file, with import history and retractions."""

from __future__ import annotations

import contextlib
import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hashmatch.algorithms import get
from hashmatch.errors import (
    ListDamagedError,
    RecordError,
    RoleError,
    StorageError,
    UsageError,
    shorten,
)
from hashmatch.files import path_as_text
from hashmatch.lists import schema
from hashmatch.lists.cache import check_replaceable
from hashmatch.lists.delta import DeltaSummary, apply_delta, refuse_other_target
from hashmatch.lists.entry import Entry, Opinion, Retraction, unpack_hashes
from hashmatch.lists.formats import Format, open_entries
from hashmatch.lists.formats.cells import shown
from hashmatch.lists.formats.source import Input, Limits
from hashmatch.lists.importer import Importer, ImportSummary, checked
from hashmatch.lists.list_file import ListFile
from hashmatch.lists.merge import MergeSummary, merge_lists
from hashmatch.lists.names import plain_reason, references, source_name
from hashmatch.lists.statistics import count_entries

__all__ = ["HashList", "ImportSummary", "ListInfo", "StoredEntry"]

Progress = Callable[[int, int | None], None]

#: Sources that a note names at most.
_NAMED_ORIGINS = 5


@dataclass
class ListInfo:
    """Figures about a list; none of them contains a hash."""

    path: str
    role: str
    snapshot: str
    created: str
    entries: int
    retractions: int
    sources: dict[str, int]
    categories: dict[str, int]
    algorithms: dict[str, int]
    media_types: dict[str, int]
    imports: list[dict[str, Any]]


@dataclass
class StoredEntry:
    """An entry as the list holds it: the source's name and the entry."""

    source: str
    entry: Entry


class HashList(ListFile):
    """A list of hashes from one or more sources. Use `open`, and as a context manager.

    One process writes at a time; any number may read. Every change is one transaction: after an error or a crash the
    list is as it was before the call.
    """

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, create: bool = False, role: str | None = None, read_only: bool = False
    ) -> Self:
        """Open a list.

        Args:
            path: the ``.hml`` file.
            create: make an empty list where there is none.
            role: ``known`` (material; the default of a new list) or ``known-good`` (files that suppress). Given for a
                list that exists, it must agree.
            read_only: no write lock is ever taken; works on read-only media.

        Raises:
            ListError: missing, damaged, foreign or busy; see the subclasses.
            RoleError: the list has another role.
            StorageError: it cannot be created; or it was created, as the message then says, and cannot be read.
        """
        path = Path(path)
        made = create and not path.exists()
        if made:
            schema.create(path, role or "known")
        try:
            opened = cls(path, schema.connect(path, read_only=read_only), read_only=read_only)
        except StorageError as error:
            if made:
                raise StorageError(
                    f"{path}: the empty list was created and is there, but cannot be opened ({error.__cause__})"
                ) from error
            raise
        try:
            if role is not None and opened.role != role:
                raise RoleError(f"{path}: is a list of role {opened.role!r}; expected role {role!r}")
        except BaseException:
            opened.close()
            raise
        return opened

    # ------------------------------------------------------------------ reading

    def info(self) -> ListInfo:
        """Figures about the list and the history of its imports, oldest first. Reads every entry."""
        with schema.sqlite_errors(self.path), self.reading():
            try:
                statistics, imports = count_entries(self), self._imports()
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ListDamagedError(
                    f"{self.path}: holds what no import writes ({error!r}); `hashmatch list check` says more"
                ) from error
            retractions = sum(len(self.history.withdrawn(number)) for number in self.source_numbers().values())
            return ListInfo(
                path=str(self.path),
                role=self.role,
                snapshot=self.snapshot,
                created=str(self._meta("created")),
                entries=sum(statistics["sources"].values()),
                retractions=retractions,
                imports=imports,
                **statistics,
            )

    def _imports(self) -> list[dict[str, Any]]:
        return [
            {
                "change": change.number,
                "at": change.at,
                "operation": change.operation,
                "operator": change.operator,
                "source": change.source,
                "format": change.format,
                "name": change.name,
                "bytes": change.size,
                "sha256": change.sha256.hex(),
            }
            | dict(change.counts)
            | {"snapshot": change.snapshot.hex()}
            for change in self.history.changes()
            if change.operation == "import"
        ]

    def entries(self, sources: Iterable[str] | None = None) -> Iterator[StoredEntry]:
        """All entries that are not retracted, ordered by (source, reference), of one moment, each verified.

        Args:
            sources: names of the sources whose entries are wanted; None: of all.

        Raises:
            UsageError: the list has no such source.
            ListDamagedError: a block does not agree with its digest.
        """
        with schema.sqlite_errors(self.path), self.reading():
            wanted = None if sources is None else {self.source_number(name) for name in sources}
            for source, number in self.source_numbers().items():
                if wanted is not None and number not in wanted:
                    continue
                for rows in self.blocks.rows(number):
                    for ref, category, media, size, metadata, packed, opinions, _ in rows:
                        yield StoredEntry(source, Entry(ref, category, media, size, metadata, packed, 0, opinions))

    def compile(self, path: str | os.PathLike[str], *, full: bool = False, progress: Progress | None = None) -> Path:
        """Write the compiled list that matching maps. The same content gives the same bytes.

        Where a compiled list of a former snapshot stands at ``path``, only what has changed since is compiled.

        Every block that is read is verified against its digest, so that damage to the list becomes an error and never
        an entry that silently fails to match.

        Args:
            path: where to write.
            full: compile all of the list, whatever stands at ``path``.
            progress: called with (entries compiled, entries).

        Raises:
            ListError: the list cannot be read, or is damaged.
            FileExistsAlreadyError: something other than a compiled list stands at ``path``.
            StorageError: the file cannot be written; what stood there stands still.
        """
        from hashmatch.lists.compile import compile_list
        from hashmatch.lists.recompile import recompile_list

        check_replaceable(Path(path))
        with schema.sqlite_errors(self.path), self.reading():
            made = None if full else recompile_list(self, path)
            if made is None:
                made = compile_list(self, path, progress)
            counts = {"entries": self.count()}
        self.note("compile", counts, out=path_as_text(made), out_bytes=made.stat().st_size)
        return made

    # ------------------------------------------------------------------ changing

    def import_file(
        self,
        path: str | os.PathLike[str],
        source: str,
        *,
        from_format: str | None = None,
        skip_invalid: bool = False,
        as_role: str | None = None,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> ImportSummary:
        """Import one file as what ``source`` says now. One transaction: all of it or nothing.

        An entry whose (source, reference) is there already is replaced where its content differs. Entries that their
        source has withdrawn stay withdrawn.

        Args:
            path: the file, ``-`` for standard input.
            source: the organisation that the entries come from.
            from_format: name of the format; by default it is detected.
            skip_invalid: leave malformed records out and count them, where the default is to stop.
            as_role: confirms the list's role for a format that is meant for lists of another role (material in a list
                of harmless files, or the other way round); the format must then be named as well.
            limits: caps on lines, strings and depth.
            progress: called with (bytes read, bytes of the file or None).

        Raises:
            InputError: missing, unknown, ambiguous or malformed input; `RecordError` says where.
            RoleError: the format is meant for lists of another role.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed.
        """
        source = source_name(source)
        reading = open_entries(os.fspath(path), from_format, limits=limits or Limits(), progress=progress)
        with contextlib.closing(reading):
            self._check_role(reading.format, from_format, as_role)
            summary = ImportSummary(source=source, format=reading.format.name, name=path_as_text(path))
            with self.changing("import") as change:
                Importer(self._connection, self.blocks, self.history, summary, skip_invalid=skip_invalid).run(reading)
                reading.input.finish()
                summary.bytes, summary.sha256 = reading.input.bytes_read, reading.input.sha256
                summary.notes += [*reading.input.notes, *_of_others(reading.input.origins, source)]
                change.of(summary)
            summary.snapshot = change.snapshot
        return summary

    def _check_role(self, form: Format, from_format: str | None, as_role: str | None) -> None:
        """Refuse material in a list of harmless files and the other way round, unless it is said twice."""
        if as_role is not None and as_role != self.role:
            raise RoleError(f"{self.path}: is a list of role {self.role!r}; --as-role says {as_role!r}")
        if not form.role or form.role == self.role or (as_role == self.role and from_format == form.name):
            return
        raise RoleError(
            f"{form.title} is a format for lists of role {form.role!r}; {self.path} is of role {self.role!r}; nothing "
            f"was changed: choose another list, or confirm it twice, with --from {form.name} --as-role {self.role}"
        )

    def import_entries(
        self,
        entries: Iterable[Entry | Retraction | RecordError],
        source: str,
        *,
        name: str = "",
        skip_invalid: bool = False,
    ) -> ImportSummary:
        """Import entries that a program made, as `import_file` does for a file's.

        Raises:
            RecordError: a malformed or conflicting entry.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed.
        """
        source = source_name(source)
        summary = ImportSummary(source=source, format="program", name=name, sha256=hashlib.sha256(b"").hexdigest())
        with self.changing("import") as change:
            importer = Importer(self._connection, self.blocks, self.history, summary, skip_invalid=skip_invalid)
            importer.run(checked(entries))
            change.of(summary)
        summary.snapshot = change.snapshot
        return summary

    def retract(
        self, source: str, refs: Iterable[str], *, reason: str = "", allow_unseen: bool = False
    ) -> tuple[int, int]:
        """Withdraw entries of a source for good: their hashes are deleted, and a tombstone outlives every re-import.

        The compiled file that matching keeps beside the list is deleted too; those elsewhere are not known here.

        Args:
            source: whose entries.
            refs: their references.
            reason: kept with the retractions.
            allow_unseen: also note references that the list does not hold (yet), which otherwise is an error: a
                misspelt reference would leave the entry in force.

        Returns:
            (entries withdrawn, tombstones made for references that the list did not hold); where both are none, the
            list has no change.

        Raises:
            UsageError: the list has no such source, or does not hold a reference; nothing is retracted.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed; nothing is retracted.
        """
        reasons = dict.fromkeys(references(refs), plain_reason(reason))
        with self.changing("retract") as change:
            number = self.source_number(source)
            name = self._name_of(number)
            withdrawn, unseen = self.history.withdraw(number, name, reasons, change.number)
            if unseen and not allow_unseen:
                shown = ", ".join(map(shorten, unseen[:5])) + (", ..." if len(unseen) > 5 else "")
                raise UsageError(
                    f"{self.path}: source {shorten(source)} has no entry {shown} ({len(unseen):,} in all); nothing was "
                    "retracted: correct the reference, or allow unseen ones (--allow-unseen) to note them all the same"
                )
            change.source, change.counts = name, {"withdrawn": len(withdrawn), "unseen": len(unseen)}
            change.withdraws, change.changed = True, bool(withdrawn or unseen)
        return len(withdrawn), len(unseen)

    def restore(self, source: str, refs: Iterable[str]) -> int:
        """Take retractions back; the entries return with the next import that holds them. Returns how many; where that
        is none, the list has no change.

        Raises:
            UsageError: the list has no such source.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed.
        """
        wanted = list(references(refs))
        with self.changing("restore") as change:
            number = self.source_number(source)
            removed = self.history.restore(number, wanted, change.number)
            change.source, change.counts = self._name_of(number), {"restored": removed}
            change.changed = removed > 0
        return removed

    def give_opinion(
        self,
        source: str,
        refs: Iterable[str],
        organisation: str,
        *,
        affirmative: bool | None,
        reason: str = "",
        algorithm: str = "",
    ) -> int:
        """Note what an organisation says of entries; it stands beside what their source sends with them.

        Args:
            source: whose entries.
            refs: their references.
            organisation: who says it.
            affirmative: True confirms, False disputes, None takes an opinion that was noted here back.
            reason: why.
            algorithm: the hash that it is about; "" for the whole entry.

        Returns:
            how many entries it changed; where that is none, the list has no change.

        Raises:
            UsageError: no such source, entry or hash of it, or no organisation; nothing is changed.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed.
        """
        if algorithm:
            get(algorithm)
        organisation = source_name(organisation, "organisation")
        reason = plain_reason(reason)
        wanted = list(references(refs))
        with self.changing("opinion") as change:
            number = self.source_number(source)
            changed = 0
            for ref in wanted:
                if (row := self.blocks.find(number, ref)) is None:
                    raise UsageError(
                        f"{self.path}: source {shorten(source)} has no entry {shorten(ref)}; nothing was changed: "
                        "correct the reference"
                    )
                hashes = unpack_hashes(row[5])[0]
                if algorithm and algorithm not in hashes and affirmative is not None:
                    raise UsageError(
                        f"{self.path}: entry {shorten(ref)} of source {shorten(source)} has no {algorithm} hash, but "
                        f"{', '.join(hashes)}; nothing was changed: correct the algorithm or reference"
                    )
                key = (algorithm, organisation)
                opinion = key if affirmative is None else Opinion(algorithm, organisation, affirmative, reason)
                changed += self.history.give_opinion(number, ref, opinion, change.number)
            change.source, change.counts = self._name_of(number), {"opinions": changed}
            change.withdraws, change.changed = True, changed > 0
        return changed

    def apply_delta(
        self, path: str | os.PathLike[str], *, limits: Limits | None = None, progress: Progress | None = None
    ) -> DeltaSummary:
        """Apply a delta that `delta.write_delta` wrote: all of it or nothing.

        Raises:
            DeltaError: damaged, applied already, out of order or of another list; the message says which.
            RoleError: of a list of the other role.
            InputError: the file cannot be read.
            ListBusyError, StorageError, ListDamagedError: the list could not be changed.
        """
        with (
            Input(os.fspath(path), limits=limits, progress=progress, expected="a delta") as source,
            self.changing("delta") as change,
        ):
            summary = apply_delta(self, source, change)
            source.finish()
            summary.name, summary.bytes, summary.sha256 = path_as_text(path), source.bytes_read, source.sha256
            change.name, change.size, change.sha256 = summary.name, summary.bytes, bytes.fromhex(summary.sha256)
            change.counts = summary.counts
            change.check = lambda: refuse_other_target(summary, change.snapshot)
            change.withdraws = any(summary.counts[kind] for kind in ("retract", "remove", "opinion"))
        return summary

    def merge(self, other: HashList, *, on_conflict: str = "refuse") -> MergeSummary:
        """Take over the entries, retractions and opinions of another list, each under its own source.

        Args:
            other: the other list; it is not changed.
            on_conflict: where both have an entry of one key, or an opinion of one organisation, that differ:
                ``refuse``, keep ``ours``, or take ``theirs``.

        Raises:
            RoleError: lists of different roles.
            ConflictError: they differ, and ``on_conflict`` is ``refuse``; nothing is changed.
            UsageError: another ``on_conflict``, or a list merged with itself.
            ListBusyError, StorageError, ListDamagedError: a list could not be read or changed.
        """
        if os.path.samefile(self.path, other.path):  # noqa: PTH121
            raise UsageError(f"{self.path}: cannot be merged with itself; give another list")
        summary = MergeSummary(path_as_text(other.path), other.snapshot)
        with self.changing("merge") as change:
            merge_lists(self, other, change.number, summary, on_conflict)
            change.name, change.counts = summary.name, summary.counts()
            change.sha256 = bytes.fromhex(summary.other)
            change.withdraws = summary.withdrawn > 0 or summary.opinions > 0
        summary.snapshot = change.snapshot
        return summary

    # ------------------------------------------------------------------ verification

    def check(self) -> int:
        """Read and verify all of the list: SQLite's structure, every block, the history, the snapshot, the audit log.

        Where a crash came between the latest change and its line in the log, `unlogged` says so: that is no damage.

        Returns:
            how many entries there are.

        Raises:
            ListDamagedError: what is wrong, and where. Nothing is repaired.
        """
        from hashmatch.lists.check import check_audit, check_list

        state = self.audit.verify(allow_unfinished=True)
        with schema.sqlite_errors(self.path), self.reading():
            count = check_list(self, self._connection)
            self.unlogged += check_audit(state, list(self.history.changes()))
        return count


def _of_others(origins: Mapping[str, int], source: str) -> list[str]:
    """The note on records that an export has as those of other sources than ``source``, whose they now are; or none."""
    others = {name: count for name, count in origins.items() if unicodedata.normalize("NFC", name) != source}
    if not others:
        return []
    named = ", ".join(f"{shown(name)} ({others[name]:,})" for name in sorted(others)[:_NAMED_ORIGINS] if name)
    more = " and others" if len(others) > _NAMED_ORIGINS or "" in others else ""
    return [
        f"the file says that {sum(others.values()):,} of its records are those of {named}{more}; they were imported as "
        f"those of {shown(source)}: to keep whose they are, import the exports of each source by themselves, or use "
        "`hashmatch list merge`"
    ]
