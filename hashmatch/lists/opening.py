"""Opening whatever stands for a list that is to be searched: a compiled list, or a list, which is compiled for it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from hashmatch.errors import CompiledListError, RoleError, StorageError, UsageError
from hashmatch.index.compiled import CompiledList

__all__ = ["open_compiled"]


def open_compiled(path: str | os.PathLike[str], *, verify: bool = True, role: str = "known") -> CompiledList:
    """Open a compiled list, or compile a list on the fly.

    A list (``.hml``) is compiled to a file beside it, its name with ``.hmx`` appended, which is used again as long as
    the list's snapshot stands. What a file is, its first bytes tell and not its name.

    Args:
        path: a list or a compiled list.
        verify: see `CompiledList.open`.
        role: the role that the list must have.

    Raises:
        ListError, CompiledListError: it cannot be opened or trusted.
        StorageError: the compiled file cannot be written beside the list.
        RoleError: the list has another role.
    """
    path = Path(path)
    compiled = _open_or_compile(path, verify)
    found = compiled.meta["role"]
    if found != role:
        compiled.close()
        use = "as --allow" if found == "known-good" else "as --list"
        raise RoleError(f"{path}: its role is {found!r}, expected {role!r}; give it {use}, or give another list")
    return compiled


def _open_or_compile(path: Path, verify: bool) -> CompiledList:
    from hashmatch.lists import schema
    from hashmatch.lists.cache import cache_path
    from hashmatch.lists.store import HashList

    if not schema.is_sqlite(path) and path.suffix != ".hml":
        return CompiledList.open(path, verify=verify)
    with HashList.open(path, read_only=True) as known:
        cache = cache_path(path)
        snapshot = bytes.fromhex(known.snapshot)
        # Whatever of ours stands there and cannot be used is made again; compiling refuses to replace anything else.
        with contextlib.suppress(CompiledListError):
            compiled = CompiledList.open(cache, verify=verify)
            if compiled.snapshot == snapshot:
                return compiled
            compiled.close()
        try:
            known.compile(cache)
        except StorageError as error:
            raise StorageError(
                f"{error}. A list is compiled to a file beside it; compile it to another place with "
                "`hashmatch compile LIST.hml -o OTHER.hmx` and match against that file"
            ) from error
        compiled = CompiledList.open(cache, verify=verify)
        if compiled.snapshot != snapshot and compiled.snapshot != bytes.fromhex(known.snapshot):
            compiled.close()
            raise UsageError(f"{path}: changed while it was compiled; try again")
        return compiled
