"""Suite ``startup``: new processes, beside one that does nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hashmatch._version import __version__
from hashmatch.bench.measure import Contestant
from hashmatch.bench.result import OURS, Case
from hashmatch.bench.suites import Plan, expect
from hashmatch.errors import BenchmarkCheckError
from hashmatch.lists.store import HashList

__all__ = ["run"]


def run(plan: Plan) -> Iterator[Case]:  # noqa: ARG001 - a start has no size
    """``--version`` and ``list info``, each beside ``python -c pass``."""
    environment = _environment()
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-", ignore_cleanup_errors=True) as folder:
        known = Path(folder) / "empty.hml"
        with HashList.open(known, create=True):
            pass
        program = [sys.executable, "-m", "hashmatch"]
        nothing = [sys.executable, "-c", "pass"]
        for name, command, shown in (
            ("version", [*program, "--version"], __version__),
            ("list-info", [*program, "list", "info", str(known)], "entries"),
        ):
            expect(shown in _output(command, environment), f"startup {name}: {shown!r} in what it prints")
            yield Case(
                "startup",
                name,
                {},
                "starts",
                1,
                f"the program ends without an error, and prints {shown!r}",
                [
                    Contestant(
                        OURS,
                        __version__,
                        lambda command=command: _run(command, environment),  # type: ignore[misc]
                        f"python -m hashmatch {' '.join(command[3:5])}",
                        ours=True,
                    ),
                    Contestant(
                        "python", platform.python_version(), lambda: _run(nothing, environment), "python -c pass"
                    ),
                ],
            )


def _environment() -> Mapping[str, str]:
    """The new process must run the hashmatch that is measured, installed or not."""
    home = str(Path(__file__).resolve().parents[3])
    places = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places)}


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _output(command: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise BenchmarkCheckError(f"startup: the program ended with exit code {done.returncode}; nothing is timed")
    return done.stdout + done.stderr
