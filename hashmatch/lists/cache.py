"""The compiled form that matching keeps beside a list."""

from __future__ import annotations

from pathlib import Path

from hashmatch.errors import FileExistsAlreadyError, StorageError
from hashmatch.files import sync_folder
from hashmatch.lists import schema

__all__ = ["cache_path", "check_replaceable", "discard_cache", "leftovers"]

#: Where the snapshot stands in a compiled list; see FORMATS.md.
_SNAPSHOT = slice(32, 64)


def check_replaceable(path: Path) -> None:
    """Refuse to replace a file that is no compiled list: a slip of the hand must not cost the list of record."""
    other = schema.is_sqlite(path) and path.stat().st_size > 0
    if not other:
        try:
            with path.open("rb") as file:
                head = file.read(4)
            other = head not in (b"", b"\x89HMX")
        except OSError:
            return  # writing tells what is wrong
    if other:
        raise FileExistsAlreadyError(
            f"{path}: exists and is not a compiled list; nothing was changed: give another name (-o OTHER.hmx)"
        )


def cache_path(path: Path) -> Path:
    """Where matching keeps the compiled form of the list at ``path``."""
    return path.with_name(path.name + ".hmx")


def discard_cache(path: Path, *, but: str | None = None) -> None:
    """Delete the compiled form beside a list, if there is one: it holds what was withdrawn.

    Args:
        path: of the list.
        but: hex snapshot of which a compiled form is left alone, where given; the list was changed before then.

    Raises:
        StorageError: it cannot be deleted; the change of the list stands.
    """
    cache = cache_path(path)
    try:
        with cache.open("rb") as file:
            head = file.read(_SNAPSHOT.stop)
        if head.startswith(b"\x89HMX") and (but is None or head[_SNAPSHOT] != bytes.fromhex(but)):
            cache.unlink()
            sync_folder(cache.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"{cache}: cannot be deleted: {error.strerror or error}. It holds what was withdrawn from the list: delete "
            f"it. The list was changed{'' if but is None else ' before'}"
        ) from error


def leftovers(path: Path) -> list[Path]:
    """Unfinished files beside a list. A run that was killed leaves them, readable by their owner; they may hold hashes.

    One that is being written looks the same: who deletes them must know that nobody is at work.
    """
    return sorted(path.parent.glob(".hashmatch-*.tmp"))
