"""Which files a scan reads, in which order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["Found", "walk"]


class Found(NamedTuple):
    """One thing that a scan owes a row for.

    Attributes:
        input: 0-based number of the path argument that it was found under.
        path: the path, beginning with that argument as it was given.
        problem: why it cannot be read ("" for a file), for folders that cannot be listed.
    """

    input: int
    path: str
    problem: str = ""


def walk(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Found]:
    """Every regular file under ``paths``: arguments in their order, folders recursively, sorted by name.

    Symbolic links and junctions inside folders are not followed, and neither they nor devices, pipes and sockets are
    files of the scan. An argument itself may be a link. A path that does not exist is found as it is: reading it gives
    the reason.
    """
    for number, given in enumerate(paths):
        path = os.fspath(given)
        if os.path.isdir(path):  # noqa: PTH112 - paths stay text, so that rows show them as they were given
            yield from _folder(number, path)
        else:
            yield Found(number, path)


def _folder(number: int, top: str) -> Iterator[Found]:
    # A stack and not recursion: whoever made the media chose how deep its folders are.
    stack: list[Iterator[os.DirEntry[str]]] = []
    folder: str | None = top
    while folder is not None or stack:
        if folder is not None:
            try:
                with os.scandir(folder) as entries:
                    stack.append(iter(sorted(entries, key=lambda entry: os.fsencode(entry.name))))
            except OSError as error:
                yield Found(number, folder, f"the folder cannot be listed: {error.strerror or error}")
            folder = None
            continue
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                if not _is_junction(entry):
                    folder = entry.path
            elif entry.is_file(follow_symlinks=False):
                yield Found(number, entry.path)
        except OSError as error:
            yield Found(number, entry.path, f"cannot be examined: {error.strerror or error}")


def _is_junction(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is a junction: a link of Windows that does not call itself one. Python 3.12 can tell."""
    test = getattr(entry, "is_junction", None)
    return test is not None and bool(test())
