"""PDQ text: ``hex,quality,name`` a line, as the PDQ authors' tools write it; the name is the reference.

Nothing between the commas stands for an unknown quality. Names with line ends or other control characters cannot be
written: such a line has an empty name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hashmatch.errors import RecordError
from hashmatch.lists.entry import NO_QUALITY
from hashmatch.lists.formats.cells import check_reference
from hashmatch.lists.formats.source import Limits
from hashmatch.lists.writers.account import (
    Account,
    SharedReferences,
    Sink,
    WriteOptions,
    checked_mask,
    lose_the_rest,
    places_of,
)

if TYPE_CHECKING:
    from hashmatch.lists.store import StoredEntry

__all__ = ["write"]

_LINES = 1000
_MAX_STRING = Limits().max_string


def write(entries: Iterable[StoredEntry], sink: Sink, _options: WriteOptions, account: Account) -> None:
    """Write the entries that have a PDQ hash."""
    lines: list[str] = []
    references = SharedReferences()
    for stored in entries:
        entry = stored.entry
        ref, packed = entry.ref, entry.packed
        places, at, _ = places_of(checked_mask(packed))
        if not at:
            account.left_out["no pdq hash"] += 1
            continue
        account.written += 1
        if not ref.isprintable() and not _is_name(ref):
            account.lost["reference: control characters"] += 1
            ref = ""
        if ref:
            references.add(hash(ref))
        quality = packed[at]
        lines.append(f"{packed[at - 32 : at].hex()},{'' if quality == NO_QUALITY else quality},{ref}\n")
        if len(lines) == _LINES:
            sink("".join(lines).encode())
            lines.clear()
        for name, _place in places:
            if name != "pdq":
                account.lost[f"{name} hash"] += 1
        if entry.size is not None:
            account.lost["size"] += 1
        lose_the_rest(entry, account)
    sink("".join(lines).encode())
    references.note(account)


def _is_name(ref: str) -> bool:
    try:
        check_reference(ref, "name", _MAX_STRING)
    except RecordError:
        return False
    return True
