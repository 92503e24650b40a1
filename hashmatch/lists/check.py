"""`hashmatch list check` of a list of record: everything is read and compared, nothing is repaired."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hashmatch.errors import HashMatchError, ListDamagedError, printable, shorten
from hashmatch.lists.block import unpack_tags
from hashmatch.lists.blocks import StoredBlock
from hashmatch.lists.entry import content_digest, opinions_of, unpack_hashes

if TYPE_CHECKING:
    from hashmatch.lists.audit import AuditState
    from hashmatch.lists.history import Change
    from hashmatch.lists.store import HashList

__all__ = ["check_audit", "check_list"]


def check_list(known: HashList, connection: sqlite3.Connection) -> int:
    """Verify a list inside a read transaction; returns its entries. See `HashList.check`."""
    query = connection.execute
    problems = [text for (text,) in query("PRAGMA integrity_check(3)") if text != "ok"]
    if problems:
        # A text may have several lines, and names from the damaged file.
        found = "; ".join(printable(line) for text in problems for line in text.splitlines())
        raise ListDamagedError(f"{known.path}: SQLite finds damage: {found}")
    for table in ("block", "retraction", "former", "opinion"):
        (orphans,) = query(
            f"SELECT count(*) FROM {table} WHERE source NOT IN (SELECT id FROM source)"  # noqa: S608
        ).fetchone()
        if orphans:
            raise ListDamagedError(f"{known.path}: {orphans:,} rows of {table} name a source that is gone")
    (left,) = query("SELECT count(*) FROM pending").fetchone()
    if left:
        raise ListDamagedError(f"{known.path}: holds {left:,} blocks of an import that never ended")
    try:
        changes = {change.number for change in known.history.changes()}
    except (ValueError, TypeError) as error:
        raise ListDamagedError(f"{known.path}: the record of its changes is damaged ({error})") from error
    if changes != set(range(1, len(changes) + 1)):
        raise ListDamagedError(f"{known.path}: its {len(changes):,} changes are not numbered from 1 without a gap")
    count = 0
    for name, number in known.source_numbers().items():
        count += _check_source(known, name, number, changes)
    snapshot = known.content_snapshot()
    if known.snapshot != snapshot:
        raise ListDamagedError(f"{known.path}: its content is snapshot {snapshot}, it says {known.snapshot}")
    last = query("SELECT lower(hex(snapshot)) FROM change ORDER BY id DESC LIMIT 1").fetchone()
    if last is not None and last[0] != snapshot:
        raise ListDamagedError(f"{known.path}: its last change led to snapshot {last[0]}, its content is {snapshot}")
    _check_history(known, changes)
    return count


def _check_source(known: HashList, name: str, number: int, changes: set[int]) -> int:
    """Verify the blocks of one source; returns its entries."""
    count = 0
    withdrawn = known.history.withdrawn(number)
    absent = _check_opinions(known, name, number, changes)
    former: StoredBlock | None = None
    for block in known.blocks.of_source(number):
        rows = known.blocks.verified(block)
        known.blocks.check(number, block, former, rows)
        former = block
        if not changes.issuperset(unpack_tags(block.changes)):
            where = f"entries of source {shorten(name)} up to {shorten(block.last)}"
            raise ListDamagedError(f"{known.path}: {where} name a change that is gone")
        for ref, _, _, _, metadata, packed, opinions, _ in rows:
            where = f"{known.path}: entry {shorten(ref)} of source {shorten(name)}"
            absent.pop(ref, None)
            if ref in withdrawn:
                raise ListDamagedError(f"{where}: is there although it is retracted")
            try:
                unpack_hashes(packed)
                opinions_of(opinions)
                if metadata:
                    json.loads(metadata)
            except (HashMatchError, ValueError, TypeError) as error:
                raise ListDamagedError(f"{where}: {error}") from error
        count += len(rows)
    for ref, stands in absent.items():
        where = f"{known.path}: an opinion on entry {shorten(ref)} of source {shorten(name)}"
        if stands:
            raise ListDamagedError(f"{where}: stands, but the list has no such entry")
        if not known.history.former(number, ref):
            raise ListDamagedError(f"{where}: was noted, but the list never had such an entry")
    return count


def _check_opinions(known: HashList, name: str, number: int, changes: set[int]) -> dict[str, bool]:
    """Verify the opinions that were noted on entries of one source, each by itself and beside those of the same
    organisation on the same hash; returns the reference of each such entry -> whether an opinion on it stands.
    """
    refs: dict[str, bool] = {}
    former: tuple[str, str, str] | None = None
    last: int | None = None
    for ref, opinion, change, ended in known.history.opinions_since(0, number):
        where = f"{known.path}: an opinion on entry {shorten(ref)} of source {shorten(name)}"
        until = change if ended is None else ended
        if not {change, until} <= changes or change > until:
            raise ListDamagedError(f"{where}: names changes {change} to {until}")
        key = (ref, opinion.algorithm, opinion.organisation)
        if key == former and (last is None or last > change):
            raise ListDamagedError(f"{where}: was given while another one of {shorten(key[2])} stood")
        former, last = key, ended
        refs[ref] = refs.get(ref, False) or ended is None
    return refs


def _check_history(known: HashList, changes: set[int]) -> None:
    names = {number: name for name, number in known.source_numbers().items()}
    try:
        for former in known.history.former_since(0):
            where = f"{known.path}: a former version of entry {shorten(former.ref)} of {shorten(names[former.source])}"
            if not {former.since, former.ended} <= changes or former.since > former.ended:
                raise ListDamagedError(f"{where}: names changes {former.since} to {former.ended}")
            if former.row is not None and (
                former.row[0] != former.ref or content_digest(names[former.source], former.row) != former.content
            ):
                raise ListDamagedError(f"{where}: does not agree with its digest")
            if former.row is not None and known.history.withdrawn_since(former.source, former.ref, former.ended):
                raise ListDamagedError(f"{where}: is there although the entry has been retracted since")
        for tombstone in known.history.tombstones_since(0):
            if not {tombstone.change, tombstone.undone or tombstone.change} <= changes:
                raise ListDamagedError(
                    f"{known.path}: the retraction of {shorten(tombstone.ref)} names a change that is gone"
                )
    except (ValueError, TypeError) as error:
        raise ListDamagedError(f"{known.path}: its history is damaged ({error})") from error


def check_audit(state: AuditState, changes: Sequence[Change]) -> list[str]:
    """Compare the end of an audit log with the changes of its list; returns what is no damage but worth saying.

    Raises:
        AuditDamagedError: they do not belong together, or lines are missing.
    """
    notes = []
    if state.unfinished:
        notes.append(
            f"{state.path}: its last line is not finished ({state.unfinished:,} bytes): the software was stopped while "
            "it wrote, or the file was cut; the next line tells of it"
        )
    if changes and not state.lines and not state.unfinished:
        return [
            f"{state.path}: there is no audit log beside the list, which had {len(changes):,} changes: copy it along "
            "with the list; the next change logs them from the list's own history"
        ]
    if changes and state.changes == len(changes) - 1 and (state.changes == 0 or state.snapshot == _id(changes[-2])):
        return [
            *notes,
            f"{state.path}: the latest change ({len(changes)}) is not in the audit log: the software was stopped right "
            "after it, or the line was cut off; the next change logs it",
        ]
    state.check_against(len(changes), _id(changes[-1]) if changes else "")
    return notes


def _id(change: Change) -> str:
    return change.snapshot.hex()
