"""Crashes and failing disks: whatever happens at whichever system call, the former or the new state stands, whole.

Real command lines run under strace, which kills the program, or lets a call fail: the first, second, ... one that
concerns their folder. What a run says is put to the test too: where it says that nothing was changed, nothing may have
changed. `crash_scenarios` has the command lines and what must hold.

The fast tier tries some points of some scenarios; the slow tier all of all. Both say how many they tried.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import crash_scenarios
import pytest
from crash_scenarios import BY_NAME, Prepared, Scenario, fresh, hashmatch, prepared_in, second_run, violations

if sys.platform != "win32":
    import resource

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace, tmpfs and limits of Linux")


@pytest.fixture(scope="module")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Scenario], Prepared]:
    return functools.cache(lambda scenario: prepared_in(tmp_path_factory.mktemp("prepared"), scenario))


# ---------------------------------------------------------------------- strace

WRITES = "write pwrite64 writev pwritev pwritev2 copy_file_range sendfile fallocate ftruncate truncate"
SYNCS = "fsync fdatasync sync_file_range"
NAMES = "rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir"
#: Calls that are given names, and not descriptors alone.
NAMING = ("open", "creat", "rename", "link", "symlink", "unlink", "mkdir", "rmdir", "chmod", "fchmodat", "truncate")
CHANGES = f"{WRITES} {SYNCS} {NAMES} chmod fchmod fchmodat open openat creat".split()
READS = ["read", "pread64", "readv", "preadv", "open", "openat"]
#: How a call is disturbed -> (what strace injects, the calls)
MODES = {
    "killed": ("signal=SIGKILL", CHANGES),
    "EIO": ("error=EIO", CHANGES),
    "ENOSPC": ("error=ENOSPC", CHANGES),
    "EIO while reading": ("error=EIO", READS),
}


class Point(NamedTuple):
    """The ``number``-th ``call`` of a process."""

    call: str
    number: int


def strace(log: Path, calls: list[str], *more: str) -> list[str]:
    names = ",".join(f"?{call}" for call in calls)  # a question mark: not every machine has every call
    # With --seccomp-bpf only those calls are slow, but strace 6.1 sends no signal then.
    quick = [] if any("signal" in text for text in more) else ["--seccomp-bpf"]
    return ["strace", "-f", *quick, "-q", "-y", "-s", "0", "-o", str(log), "-e", f"trace={names}", *more]


def concerns(line: str, call: str, folder: Path) -> bool:
    """Whether a call concerns the folder, or writes to standard output or error."""
    if call.startswith(NAMING):
        return any(not name.startswith("/") or name.startswith(str(folder)) for name in re.findall(r'"([^"]*)"', line))
    match = re.search(r"\((\d+)<([^>]*)>", line)
    return match is not None and (match[2].startswith(str(folder)) or (match[1] in "12" and call.startswith("write")))


def points(prepared: Prepared, scenario: Scenario, calls: list[str], work: Path) -> list[Point]:
    """The calls of an undisturbed run that can be disturbed."""
    folder = fresh(prepared, work)
    log = work / "log"
    run = hashmatch(folder, scenario.command, *strace(log, calls))
    assert run.returncode == scenario.code, run.stderr
    counts: dict[tuple[str, str], int] = {}
    found: dict[Point, None] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match is None:
            continue
        process, call = match.groups()
        counts[process, call] = number = counts.get((process, call), 0) + 1
        if concerns(line, call, folder):
            found[Point(call, number)] = None
    return list(found)


def sweep(scenario: Scenario, prepared: Prepared, mode: str, work: Path, step: int = 1) -> tuple[int, list[str]]:
    """Disturb every ``step``-th point. (points that were disturbed, what is wrong)."""
    injection, calls = MODES[mode]
    tried, wrong = 0, []
    every = points(prepared, scenario, calls, work)
    # One more of each call: it must not be reached, or a call was overlooked.
    beyond = {call: max(p.number for p in every if p.call == call) + 1 for call in {p.call for p in every}}
    chosen = every[::step] + ([Point(*item) for item in beyond.items() if item[0] not in READS] if step == 1 else [])
    for point in chosen:
        folder = fresh(prepared, work)
        log = work / "log"
        inject = f"inject={point.call}:{injection}:when={point.number}"
        run = hashmatch(folder, scenario.command, *strace(log, calls, "-e", inject))
        text = log.read_text(encoding="utf-8", errors="replace")
        killed = run.returncode in (-9, 128 + 9)
        if not killed and "(INJECTED)" not in text:
            if run.returncode != scenario.code:
                wrong.append(f"{scenario.name}, {point}: exit code {run.returncode} undisturbed: {run.stderr}")
            continue
        tried += 1
        line = next((line for line in text.splitlines() if "(INJECTED)" in line), text.splitlines()[-2:])
        try:
            # What cannot be taken away stays.
            may_stay = killed or point.call.startswith(("unlink", "rmdir"))
            found = list(violations(folder, scenario, prepared, run, killed=killed, may_stay=may_stay))
            if not found and (killed or tried % 4 == 0):
                found += second_run(folder, scenario, prepared)
        except Exception as error:  # noqa: BLE001 - whatever a list raises here is a finding
            found = [f"{type(error).__name__}: {error}"]
        wrong += [f"{scenario.name}, {mode} at {point.call} {point.number}: {text}\n    {line}" for text in found]
    return tried, wrong


#: What the fast tier tries: one point of so many.
FAST = [("import again", "killed", 9), ("import again", "ENOSPC", 9), ("restore", "EIO", 9), ("compile", "killed", 7)]


def verdict(name: str, what: str, tried: int, wrong: list[str]) -> None:
    print(f"{name}: {tried} {what}")
    assert not wrong, f"{len(wrong)} findings at {tried} {what}:\n" + "\n".join(wrong[:20])
    assert tried


@pytest.mark.parametrize(("name", "mode", "step"), FAST, ids=str)
def test_some_points(
    prepare: Callable[[Scenario], Prepared],
    tool: Callable[[str], str],
    tmp_path: Path,
    name: str,
    mode: str,
    step: int,
) -> None:
    tool("strace")
    tried, wrong = sweep(BY_NAME[name], prepare(BY_NAME[name]), mode, tmp_path, step)
    verdict(name, f"points of {mode}", tried, wrong)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BY_NAME)
def test_every_point(
    prepare: Callable[[Scenario], Prepared], tool: Callable[[str], str], tmp_path: Path, name: str, mode: str
) -> None:
    tool("strace")
    tried, wrong = sweep(BY_NAME[name], prepare(BY_NAME[name]), mode, tmp_path)
    verdict(name, f"points of {mode}", tried, wrong)


# ---------------------------------------------------------------------- full disks

#: Arguments: bytes of the disk, where to mount it, what to copy there, where to copy the outcome, the command line.
ON_A_SMALL_DISK = """
mount -t tmpfs -o mode=700,size="$1" none "$2" || exit 99
cp -a "$3/." "$2" 2>/dev/null || exit 98
disk=$2 outcome=$4
cd "$disk" && shift 4 && "$@"
code=$?
cp -a "$disk/." "$outcome"
exit $code
"""


def on_a_small_disk(scenario: Scenario, prepared: Prepared, work: Path, step: int) -> tuple[int, list[str]]:
    """The command on disks of every size, in steps of so many bytes, until it succeeds. (disks, what is wrong)."""
    disk = work / "disk"
    disk.mkdir()
    used = sum(path.stat().st_size for path in prepared.folder.iterdir())
    tried, wrong = 0, []
    for size in range(used // 4096 * 4096, used + (64 << 20), step):
        folder = fresh(prepared, work)
        shutil.rmtree(folder)
        folder.mkdir()
        user = [] if os.geteuid() == 0 else ["-r"]
        given = ["sh", str(size), str(disk), str(prepared.folder), str(folder)]
        wrapper = ["unshare", "-m", *user, "sh", "-c", ON_A_SMALL_DISK, *given]
        run = hashmatch(work / "folder", scenario.command, *wrapper)
        if run.returncode == 99 or "unshare: unshare failed" in run.stderr:
            pytest.skip(f"left out: this machine does not let a test mount a small disk ({run.stderr.strip()})")
        if run.returncode == 98:
            continue
        tried += 1
        found = list(violations(folder, scenario, prepared, run))
        wrong += [f"{scenario.name}, on a disk of {size:,} bytes: {text}" for text in found]
        if run.returncode == scenario.code:
            return tried, wrong
    return tried, [*wrong, f"{scenario.name}: no disk was large enough"]


def with_small_files(scenario: Scenario, prepared: Prepared, work: Path, step: int) -> tuple[int, list[str]]:
    """The command where files may have so many bytes, in steps, until it succeeds. (limits, what is wrong)."""
    tried, wrong = 0, []
    for limit in range(0, 64 << 20, step):
        folder = fresh(prepared, work)
        run = hashmatch(
            folder,
            scenario.command,
            preexec_fn=lambda most=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY)),
        )
        tried += 1
        found = list(violations(folder, scenario, prepared, run))
        wrong += [f"{scenario.name}, with files of at most {limit:,} bytes: {text}" for text in found]
        if run.returncode == scenario.code:
            return tried, wrong
    return tried, [*wrong, f"{scenario.name}: no limit was large enough"]


DISKS = {"small disks": on_a_small_disk, "limits of a file's size": with_small_files}


@pytest.mark.parametrize("kind", DISKS)
def test_a_full_disk(prepare: Callable[[Scenario], Prepared], tmp_path: Path, kind: str) -> None:
    scenario = BY_NAME["import again"]
    verdict(scenario.name, kind, *DISKS[kind](scenario, prepare(scenario), tmp_path, 40_960))


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISKS)
@pytest.mark.parametrize("name", BY_NAME)
def test_every_full_disk(prepare: Callable[[Scenario], Prepared], tmp_path: Path, name: str, kind: str) -> None:
    scenario = BY_NAME[name]
    verdict(scenario.name, kind, *DISKS[kind](scenario, prepare(scenario), tmp_path, 8192))


# ---------------------------------------------------------------------- the tests themselves

#: What a program would do that writes its output in place.
CARELESS = """
import sys
with open({content!r}, "rb") as source, open("out.csv", "wb", buffering=0) as file:
    try:
        while block := source.read(4096):
            file.write(block)
    except OSError as error:
        sys.exit(f"hashmatch: {{error}}")
"""


@pytest.mark.parametrize("mode", ["killed", "EIO"])
def test_a_file_that_is_written_in_place_is_found(
    prepare: Callable[[Scenario], Prepared],
    tool: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    """What these tests are for: they must see it."""
    tool("strace")
    scenario = BY_NAME["export"]
    prepared = prepare(scenario)
    (tmp_path / "content").write_bytes(prepared.new.outputs["out.csv"])
    (tmp_path / "careless.py").write_text(CARELESS.format(content=str(tmp_path / "content")), encoding="utf-8")
    monkeypatch.setattr(crash_scenarios, "PROGRAM", (str(tmp_path / "careless.py"),))
    _, wrong = sweep(scenario, prepared, mode, tmp_path)
    assert any("out.csv is neither the former nor the new one" in text for text in wrong)
