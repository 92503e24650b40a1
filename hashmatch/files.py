"""Replacing files so that a crash leaves the former or the new one, readable by their owner only."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from hashmatch.errors import StorageError

__all__ = ["create_private", "path_as_text", "replace_file", "storage_error", "sync_folder", "temporary_beside"]


def storage_error(path: str | os.PathLike[str], error: OSError, state: str = "the former state stands") -> StorageError:
    """The typed error for an `OSError` met while writing ``path``."""
    reason = error.strerror or str(error)
    if error.errno == errno.ENOENT:
        reason = f"the folder {Path(path).parent} does not exist"
    return StorageError(f"{os.fspath(path)}: cannot be written: {reason}; {state}")


def temporary_beside(target: Path) -> Path:
    """A new name beside ``target``, from where a rename to it is one step; short, as names have a limit."""
    return target.with_name(f".hashmatch-{secrets.token_hex(8)}.tmp")


def path_as_text(path: str | os.PathLike[str]) -> str:
    """A path as text that UTF-8 can hold: bytes of it that are not UTF-8 are written as backslash, x and two digits."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character that no file system gave
        return os.fspath(path).encode("utf-8", "backslashreplace").decode()


def create_private(path: Path) -> IO[bytes]:
    """Create a new file for reading and writing with owner-only permissions; it must not exist yet."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.fdopen(os.open(path, flags, 0o600), "w+b")


@contextlib.contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` in one step when the block ends without an error.

    The content is flushed to the disk before the rename, and the folder after it, so that a crash at any point leaves
    the former file or the new one, whole. On an error the temporary file is removed and ``path`` is untouched.

    Raises:
        StorageError: the folder is missing or read-only, the disk is full, the file is in use (Windows), or ``path`` is
            something else than a file.
    """
    # A link stays: the file that it leads to is replaced.
    target = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)  # noqa: PTH114
    if os.path.lexists(target) and not os.path.isfile(target):  # noqa: PTH113 - os.path never raises
        # A rename would put a file in the place of a device or a pipe: /dev/null, where root runs this.
        raise StorageError(f"{target}: cannot be written: it is not a file; nothing was changed")
    temporary = temporary_beside(target)
    try:
        file = create_private(temporary)
    except OSError as error:
        raise storage_error(target, error) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise storage_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise storage_error(target, error, "the new file is in place, but a power failure may undo that") from error


def sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows has no such call for folders; there the file system's journal does it.

    Nor have some network and user-space file systems, and a folder that may not be listed cannot be opened for it.
    """
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)
