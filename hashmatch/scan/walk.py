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

    Symbolic links inside folders are not followed, and neither they nor devices, pipes and sockets are files of the
    scan. An argument itself may be a link. A path that does not exist is found as it is: reading it gives the reason.
    """
    for number, given in enumerate(paths):
        path = os.fspath(given)
        if os.path.isdir(path):  # noqa: PTH112 - paths stay text, so that rows show them as they were given
            yield from _folder(number, path)
        else:
            yield Found(number, path)


def _folder(number: int, path: str) -> Iterator[Found]:
    try:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield Found(number, path, f"the folder cannot be listed: {error.strerror or error}")
        return
    for entry in listed:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _folder(number, entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield Found(number, entry.path)
        except OSError as error:
            yield Found(number, entry.path, f"cannot be examined: {error.strerror or error}")
