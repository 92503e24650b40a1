"""The command line. Thin: each verb parses, calls the library and prints.

Machine output goes to standard output; progress and messages go to standard error. A verb's module is imported only
when the verb runs, so that ``hashmatch --version`` starts in a few tens of milliseconds.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import traceback
from typing import Any

import click

from hashmatch._version import __version__
from hashmatch.errors import EXIT_CODES, HashMatchError, printable

__all__ = ["cli", "main"]

#: Verb -> (module, one line for --help). The line stands here so that --help need not import every verb.
VERBS = {
    "demo": "Make benign images and a list, run the whole job, print the report.",
    "hash": "Compute hashes of images.",
    "compare": "Compare two images, or two hashes in hexadecimal.",
    "list": "Create, fill, inspect and check hash lists.",
    "compile": "Compile a list into the file that matching maps.",
    "match": "Match hash lists from elsewhere against a list.",
    "lookup": "Look up millions of digests, one line of output for each, in order.",
    "scan": "Hash images in folders and match them against a list.",
    "bench": "Measure hashmatch beside other programs; compare two measurements.",
    "doctor": "Show versions, kernels and limits, and what is missing.",
}

_EPILOG = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."


class _Verbs(click.Group):
    """A group whose verbs are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"hashmatch.cli.{cmd_name}_")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise _PipeClosedError from error
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


class _PipeClosedError(Exception):
    """Whoever reads our output has had enough. Click would end with exit code 1, which says that something matched."""


@click.group(cls=_Verbs, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hashmatch")
def cli() -> None:
    """Match images and hash lists against lists of known material, exactly and completely.

    hashmatch handles hashes only: it keeps, shows and logs no picture. Every match that it reports is a candidate for
    human review.
    """


class _TerminatedError(BaseException):
    """The system asked the program to end. Not an Exception, so that nothing catches it on its way to the clean-up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with one of the codes of `hashmatch.errors`."""
    # A stream that the caller closed is None; what would have gone there goes nowhere.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - lives as long as we do
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminate)
    sys.exit(run(args))


def _terminate(number: int, _frame: object) -> None:
    raise _TerminatedError(number)


def run(args: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        result: Any = cli.main(args=args, prog_name="hashmatch", standalone_mode=False)
    except HashMatchError as error:
        _say(str(error))
        for note in getattr(error, "__notes__", ()):
            _say(note)
        return error.exit_code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; what was not finished was undone")
        return 130
    except _TerminatedError as error:
        _say("ended from outside; what was not finished was undone")
        return 128 + error.number
    except _PipeClosedError:
        _discard_stdout()  # or Python would report the same error again when it exits
        return 141
    except OSError as error:
        # What is left after the library has named the errors of its own files: standard output that cannot be written,
        # a path that the system refuses to look at.
        _discard_stdout()
        place = error.filename if isinstance(error.filename, str) else "standard output"
        _say(f"{place}: {error.strerror or error}")
        return 3
    except Exception:  # noqa: BLE001 - the last resort of the program
        traceback.print_exc()
        _say("internal error: this is a defect in hashmatch; please report the lines above")
        return 70
    return result if isinstance(result, int) else 0


def _say(message: str) -> None:
    # A file's name can hold what moves a cursor or changes a title.
    with contextlib.suppress(OSError):
        click.echo(f"hashmatch: {printable(message)}", err=True)


def _discard_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
