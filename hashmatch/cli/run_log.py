"""The line that a matching run leaves in the audit log of the list that it matched against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hashmatch.cli.console import warn_unlogged
from hashmatch.errors import AuditDamagedError, AuditUnwritableError, ListBusyError

__all__ = ["log_run"]


def log_run(
    list_path: Path,
    operation: str,
    snapshot: str,
    inputs: Iterable[tuple[str, int, str]],
    counts: Mapping[str, int],
    **facts: str,
) -> None:
    """Append a line to the log beside a list. A compiled list has no log: those who scan may not write beside it.

    Args:
        list_path: the list as given.
        operation: ``match`` or ``scan``.
        snapshot: hex snapshot id that was matched.
        inputs: (path, bytes, hex SHA-256) of each input; those without a SHA-256 (folders) are left out.
        counts: what came of it.
        facts: further facts; see `audit_record`.
    """
    from hashmatch.lists import schema
    from hashmatch.lists.audit import AuditInput, AuditLog, AuditRecord

    if not schema.is_sqlite(list_path):
        return
    files = [AuditInput(path, size, sha256) for path, size, sha256 in inputs if sha256]
    try:
        AuditLog.beside(list_path).append(AuditRecord(operation, snapshot, inputs=files, counts=counts, facts=facts))
    except (AuditUnwritableError, AuditDamagedError, ListBusyError) as error:
        warn_unlogged([f"this {operation} is not in the audit log: {error}"])
