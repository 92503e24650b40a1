"""Power failures: whatever of what was not synced is on the disk, the former or the new state stands, whole.

A run is recorded once, with all that it writes. `power_failure` makes of the record what a failing power could leave,
and each of these must be as sound as what a killed program leaves. After a run that has reported success, it must be
the new state.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash_scenarios import BY_NAME, Prepared, Scenario, content_violations, fresh, hashmatch, prepared_in, state_of
from power_failure import TRACE, Folder, Recording

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace")


def recorded(scenario: Scenario, prepared: Prepared, work: Path) -> Recording:
    folder = fresh(prepared, work)
    before = Folder.of(folder)
    run = hashmatch(folder, scenario.command, *TRACE, "-o", str(work / "log"))
    assert run.returncode == scenario.code, run.stderr
    recording = Recording(folder, before, (work / "log").read_text(encoding="utf-8"))
    # The record is complete: what it says is what the run left.
    assert real(recording, recording.final(), work / "replayed") == contents(folder)
    return recording


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def real(recording: Recording, folder: Folder, path: Path) -> dict[str, bytes]:
    shutil.rmtree(path, ignore_errors=True)
    folder.write(path, folders=frozenset(recording.folders))
    return contents(path)


def distinct(recording: Recording, path: Path) -> Iterator[tuple[str, bool]]:
    """(a description, whether the run had ended) of every state after a failure, each once; it is at ``path``."""
    seen = set()
    for what, ended, folder in recording.failures():
        found = ended, hashlib.sha256(repr(sorted(real(recording, folder, path).items())).encode()).digest()
        if found not in seen:
            seen.add(found)
            yield what, ended


def check(scenario: Scenario, work: Path) -> tuple[int, list[str]]:
    """(states that were tried, what is wrong)."""
    prepared = prepared_in(work, scenario)
    recording = recorded(scenario, prepared, work)
    tried, wrong = 0, []
    for what, ended in distinct(recording, left := work / "left"):
        tried += 1
        try:
            found = list(content_violations(left, scenario, prepared))
            if ended and not found and state_of(left, scenario) != prepared.new:
                found.append("the run has ended with success, and the new state is not there")
        except Exception as error:  # noqa: BLE001 - whatever a list raises here is a finding
            found = [f"{type(error).__name__}: {error}"]
        wrong += [f"{scenario.name}, {what}: {text}" for text in found]
    return tried, wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_power_failures(tool: Callable[[str], str], tmp_path: Path, name: str) -> None:
    tool("strace")
    tried, wrong = check(BY_NAME[name], tmp_path)
    print(f"{name}: {tried} states after a power failure")
    assert not wrong, f"{len(wrong)} of {tried} states:\n" + "\n".join(wrong[:20])
    assert tried
