"""The line that a matching run leaves in the audit log of the list that it matched against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hashmatch.cli.console import warn_unlogged
from hashmatch.errors import AuditDamagedError, AuditUnwritableError, ListBusyError

if TYPE_CHECKING:
    from hashmatch.index.compiled import CompiledList

__all__ = ["log_run"]


def log_run(
    list_path: Path,
    compiled: CompiledList,
    operation: str,
    inputs: Iterable[tuple[str, int, str]],
    counts: Mapping[str, int],
    **facts: str,
) -> None:
    """Append a line to the log beside a list. A compiled list has no log: those who scan may not write beside it.

    Args:
        list_path: the list as given.
        compiled: what was opened for it: this file itself, or the compiled form of a list.
        operation: ``match`` or ``scan``.
        inputs: (path, bytes, hex SHA-256) of each input; those without a SHA-256 (folders) are left out.
        counts: what came of it.
        facts: further facts; see `audit_record`.
    """
    from hashmatch.lists.audit import AuditInput, AuditLog, AuditRecord

    # Not asked of the file again: it was opened as what it is, and a look at it may fail by now.
    if compiled.path == list_path:
        return
    files = [AuditInput(path, size, sha256) for path, size, sha256 in inputs if sha256]
    try:
        AuditLog.beside(list_path).append(
            AuditRecord(operation, compiled.snapshot.hex(), inputs=files, counts=counts, facts=facts)
        )
    except (AuditUnwritableError, AuditDamagedError, ListBusyError) as error:
        warn_unlogged([f"this {operation} is not in the audit log: {error}"])
