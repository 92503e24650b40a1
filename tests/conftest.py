"""What all tests share: hypothesis profiles, tools from outside, synthetic images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from hashmatch.cli import run
from hashmatch.errors import EXIT_CODES

# Deadlines measure the machine, not the code; which examples run must not depend on its speed.
settings.register_profile(
    "default", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("slow", deadline=None, max_examples=2000, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

#: Program -> Debian's package that holds it, where that has another name.
PACKAGES = {"hfind": "sleuthkit"}


@pytest.fixture
def tool() -> Callable[[str], str]:
    """A function that finds a program of another project.

    A missing one fails the test, unless HASHMATCH_TEST_WITHOUT names it: nothing is left out unseen.
    """

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            package = PACKAGES.get(name, name)
            if name in os.environ.get("HASHMATCH_TEST_WITHOUT", "").split():
                pytest.skip(f"{name} was left out by name; get it with: apt-get install {package}")
            pytest.fail(
                f"{name} is not installed: apt-get install {package}, or leave it out by name: HASHMATCH_TEST_WITHOUT"
            )
        return path

    return find


class Result(NamedTuple):
    """What a command line printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def cmd(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A function that runs a command line in an empty folder; no run may end in an internal error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        code = run([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert code in EXIT_CODES
        assert code != 70
        return Result(code, captured.out, captured.err)

    return call
