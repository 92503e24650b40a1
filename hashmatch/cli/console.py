"""What verbs share on the terminal: progress bars and options."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from hashmatch import algorithms
from hashmatch.errors import RecordError, UsageError, printable, shorten

__all__ = [
    "INPUT_PATH",
    "LIST_PATH",
    "NO_CHANGE",
    "advise",
    "algorithm_list",
    "binary_output",
    "check_output",
    "echo_lines",
    "given_references",
    "output_stream",
    "progress_bar",
    "quiet_option",
    "radius_map",
    "refs_from_option",
    "utf8_streams",
    "warn_unlogged",
]

#: Types of arguments. Click is not to judge whether a file may be read: that is no error of usage, and the library says
#: more about it, with the exit code for inputs that cannot be read.
LIST_PATH = click.Path(path_type=Path, readable=False)
INPUT_PATH = click.Path(allow_dash=True, readable=False)

#: Behind the counts of what had nothing to do: the history has no change of it either.
NO_CHANGE = "; the list was not changed"

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress bar and no messages but errors.")

refs_from_option = click.option(
    "--refs-from", metavar="FILE", type=click.File("r", encoding="utf-8-sig"), help="References, one a line."
)


def echo_lines(lines: list[str], *, err: bool = True) -> None:
    """Print lines, by default to standard error, with everything escaped that is not for a terminal."""
    for line in lines:
        click.echo(printable(line), err=err)


def given_references(refs: Iterable[str], refs_from: Any, what: str) -> list[str]:
    """The references of a command line: its arguments, and the lines of the file of `refs_from_option`.

    Args:
        refs: the arguments.
        refs_from: the open file, or None.
        what: what the references are for, for the message where there are none.

    Raises:
        UsageError: there are none, or the file is not UTF-8.
    """
    wanted = list(refs)
    if refs_from is not None:
        try:
            wanted += [line for line in refs_from.read().split("\n") if line]
        except UnicodeDecodeError as error:
            raise UsageError(f"--refs-from {refs_from.name}: is not UTF-8 text ({error})") from error
    if not wanted:
        raise UsageError(f"no reference was given; name entries {what}, or give --refs-from FILE")
    return wanted


def advise(error: RecordError, *, skip_invalid: bool) -> None:
    """Add to the error of one malformed record, after which the rest could be read, how to go on without it."""
    if error.record is not None and not skip_invalid:
        error.add_note("--skip-invalid leaves malformed records out and lists them")


def warn_unlogged(messages: Iterable[str]) -> None:
    """Say what could not be written to an audit log; see `HashList.unlogged`."""
    echo_lines([f"WARNING: {message}" for message in messages])


@contextlib.contextmanager
def progress_bar(title: str, unit: str, *, quiet: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on standard error, where that is a terminal; else a callback that does nothing.

    Args:
        title: what is going on.
        unit: ``bytes`` or what is counted (``files``, ``entries``).
        quiet: never show it.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    counters: list[Any] = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    text = title if unit == "bytes" else f"{title} ({unit})"
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *counters,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task(printable(text), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def algorithm_list(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Callback of an option that takes algorithms, separated by commas."""
    if value is None:
        return None
    return tuple(a.name for a in algorithms.select(name.strip().lower() for name in value.split(",")))


def radius_map(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """Callback of an option ``ALGORITHM=RADIUS`` that may be given several times."""
    result = {}
    for value in values:
        name, sign, number = (part.strip() for part in value.partition("="))
        if not sign or not re.fullmatch("[0-9]{1,9}", number):
            raise UsageError(f"--radius {shorten(value)}; expected ALGORITHM=NUMBER, for example pdq=31")
        result[name.lower()] = algorithms.check_radius(name.lower(), int(number))
    return result


def utf8_streams() -> None:
    """Write UTF-8 to standard output whatever the system's code page is: machine output has one encoding."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def check_output(path: str | os.PathLike[str] | None, inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    """Refuse an output that would replace an input, or any list.

    Raises:
        UsageError: ``path`` is the same file as one of ``inputs``, or a list or a compiled list.
    """
    if path is None or not os.path.exists(path):  # noqa: PTH110 - unlike Path.exists it never raises
        return
    for given in inputs:
        if given is not None and os.path.exists(given) and os.path.samefile(path, given):  # noqa: PTH110, PTH121
            raise UsageError(f"{os.fspath(path)}: is an input of this command; nothing was changed: give another name")
    if os.path.isfile(path):  # noqa: PTH113
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(16)
        if head.startswith((b"\x89HMX", b"SQLite format 3\0")):
            raise UsageError(f"{os.fspath(path)}: is a list; nothing was changed: give another name")


@contextlib.contextmanager
def output_stream(path: str | None, inputs: Iterable[str | os.PathLike[str] | None] = ()) -> Iterator[Any]:
    """A text stream (UTF-8, line feeds) to ``path``, or to standard output for None and ``-``.

    A file appears only when the block ends without an error; what stood there is then replaced, unless it is one of
    ``inputs`` or a list (`check_output`).
    """
    if path in (None, "-", "/dev/stdout"):
        yield sys.stdout
        sys.stdout.flush()
        return
    check_output(path, inputs)

    from hashmatch.files import replace_file

    with replace_file(Path(str(path))) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="\n", errors="backslashreplace")
        yield text
        text.flush()
        text.detach()


@contextlib.contextmanager
def binary_output(
    path: str | None, inputs: Iterable[str | os.PathLike[str] | None] = ()
) -> Iterator[Callable[[bytes | memoryview], object]]:
    """A function that writes bytes to where `output_stream` would write text, under the same rules."""
    with output_stream(path, inputs) as stream:
        stream.flush()
        yield stream.buffer.write
        stream.buffer.flush()
