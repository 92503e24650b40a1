"""Command lines that change files, and what must hold whatever interrupts them; for the tests of crashes.

A verb is added by a line in `SCENARIOS`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hashmatch.cli import run as command_line
from hashmatch.lists.audit import AuditLog, AuditRecord
from hashmatch.lists.store import HashList

ROOT = Path(__file__).parents[1]
#: What Python runs.
PROGRAM: tuple[str, ...] = ("-m", "hashmatch")

# ---------------------------------------------------------------------- what is tried


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command line, and what it may change.

    Attributes:
        command: arguments of hashmatch. It runs in a folder that holds `inputs` and what ``before`` made there.
        before: command lines that make the former state.
        lists: lists that must be in the former or in the new state; a list that the command makes may be absent.
        outputs: files and folders that must be the former, the new one, or absent.
        code: exit code of an undisturbed run.
        changes: it changes a list.
        made: what the command is for, among lists and outputs; a message of failure speaks of these.
        again: the command may be run a second time; False: not where what it makes is there already.
        steps: parts of the command whose state is a state between: a verb makes one change of each of its files.
    """

    name: str
    command: str
    before: tuple[str, ...] = ()
    lists: tuple[str, ...] = ("known.hml",)
    outputs: tuple[str, ...] = ()
    code: int = 0
    changes: bool = True
    made: tuple[str, ...] = ()
    again: bool = True
    steps: tuple[str, ...] = ()


MADE = ("list create known.hml", "list import known.hml first.csv --source A")
COMPILED = (*MADE, "compile known.hml -o known.hmx")
OTHER = ("list create other.hml", "list import other.hml third.csv --source B")
DELTA = "list delta known.hml --since 0 -o part.delta --include-hashes"

SCENARIOS = (
    Scenario("create", "list create known.hml", made=("known.hml",), again=False),
    Scenario("import", MADE[1], before=MADE[:1]),
    Scenario("import again", "list import known.hml second.csv --source A", before=MADE),
    Scenario(
        "import two files",
        "list import known.hml second.csv third.csv --source B",
        before=MADE,
        steps=("list import known.hml second.csv --source B",),
    ),
    Scenario(
        "retract",
        "list retract known.hml --source A --refs-from refs.txt",
        before=(*MADE, "compile known.hml -o known.hml.hmx"),
        outputs=("known.hml.hmx",),
    ),
    Scenario(
        "restore",
        "list retract known.hml --source A --refs-from refs.txt --undo",
        before=(*MADE, "list retract known.hml --source A --refs-from refs.txt"),
    ),
    Scenario("opinion", "list opinion known.hml r1 r2 r3 --source A --organisation C --dispute", before=MADE),
    Scenario("merge", "list merge known.hml other.hml", before=(*MADE, *OTHER)),
    Scenario(
        "apply",
        "list apply copy.hml part.delta",
        before=(*MADE, DELTA, "list create copy.hml"),
        lists=("copy.hml",),
        made=("copy.hml",),
        again=False,
    ),
    Scenario("delta", DELTA, before=MADE, outputs=("part.delta",), made=("part.delta",), changes=False),
    Scenario(
        "compile",
        "compile known.hml -o known.hmx",
        before=MADE,
        outputs=("known.hmx",),
        made=("known.hmx",),
        changes=False,
    ),
    Scenario(
        "compile again",
        "compile known.hml -o known.hmx",
        before=(*COMPILED, "list import known.hml second.csv --source A"),
        outputs=("known.hmx",),
        made=("known.hmx",),
        changes=False,
    ),
    Scenario(
        "export",
        "list export known.hml --include-hashes -o out.csv",
        before=(*MADE, "list export known.hml -o out.csv"),
        outputs=("out.csv",),
        made=("out.csv",),
        changes=False,
    ),
    Scenario(
        "match, report",
        "match queries.csv --list known.hml --report report",
        before=MADE,
        outputs=("known.hml.hmx", "report"),
        code=1,
        changes=False,
        made=("report",),
        again=False,
    ),
    Scenario(
        "match, file",
        "match queries.csv --list known.hmx -o out.jsonl",
        before=COMPILED,
        outputs=("out.jsonl",),
        made=("out.jsonl",),
        code=1,
        changes=False,
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}

ENTRIES = 300


def digests(number: int, salt: str) -> tuple[bytes, bytes]:
    text = f"{salt}{number}".encode()
    return hashlib.md5(text).digest(), hashlib.sha256(text).digest()


def table(first: int, count: int, salt: str) -> str:
    """A list in CSV; every third entry has other hashes than in the list of another ``salt``."""
    rows = (digests(i, salt if i % 3 == 0 else "") for i in range(first, first + count))
    lines = [f"r{i},{md5.hex()},{sha256.hex()},{i % 5}" for i, (md5, sha256) in enumerate(rows, first)]
    return "\n".join(["id,md5,sha256,category", *lines, ""])


def inputs(folder: Path) -> None:
    for name, text in {
        "first.csv": table(0, ENTRIES, ""),
        "second.csv": table(0, ENTRIES + 50, "new"),
        "third.csv": table(5000, 40, "third"),
        "queries.csv": table(200, 150, ""),
        "refs.txt": "".join(f"r{i}\n" for i in range(0, ENTRIES, 7)),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")


def hashes_of(*salts: str) -> set[bytes]:
    return {digest for salt in salts for i in range(ENTRIES + 100) for digest in digests(i, salt)}


# ---------------------------------------------------------------------- states


class State(NamedTuple):
    """What a folder holds, as far as a scenario cares: list -> content or None, output -> content or None."""

    lists: dict[str, Any]
    outputs: dict[str, Any]


def content_of_list(path: Path) -> Any:
    """Snapshot and every entry; None where there is no list. Raises what the list raises."""
    if not path.exists():
        return None
    with HashList.open(path, read_only=True) as known:
        return known.snapshot, [(held.source, *held.entry) for held in known.entries()]


def content_of_output(path: Path) -> Any:
    """The bytes of a file; of a report all that a rerun repeats; None where there is nothing."""
    if path.is_dir():
        names = {child.name for child in path.iterdir()}
        return names, {name: (path / name).read_bytes() for name in names & {"results.jsonl", "results.csv"}}
    return path.read_bytes() if path.exists() else None


def state_of(folder: Path, scenario: Scenario) -> State:
    return State(
        {name: content_of_list(folder / name) for name in scenario.lists},
        {name: content_of_output(folder / name) for name in scenario.outputs},
    )


class Prepared(NamedTuple):
    """The folder before a command, its state, the state after an undisturbed run, and the names that are there then."""

    folder: Path
    former: State
    new: State
    between: list[State]
    names: set[str]


def environment(folder: Path) -> dict[str, str]:
    temporary = folder.with_name(folder.name + ".temporary")
    temporary.mkdir(exist_ok=True)
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
        "SQLITE_TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def hashmatch(folder: Path, command: str, *wrapper: str, **more: Any) -> subprocess.CompletedProcess[str]:
    arguments = [*wrapper, sys.executable, "-P", *PROGRAM, *command.split()]
    return subprocess.run(
        arguments, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, **more
    )


def prepared_in(work: Path, scenario: Scenario) -> Prepared:
    """Make the former state in a new folder of ``work``, and the new one beside it."""
    folder, after = work / "former", work / "new"
    folder.mkdir()
    inputs(folder)
    for command in scenario.before:
        run = hashmatch(folder, command)
        assert run.returncode == 0, run.stderr
    former = state_of(folder, scenario)
    shutil.copytree(folder, after)
    steps = []
    for command in (*scenario.steps, scenario.command):
        run = hashmatch(after, command)
        assert run.returncode == scenario.code, run.stderr
        steps.append(state_of(after, scenario))
        if command != scenario.command:
            shutil.rmtree(after)
            shutil.copytree(folder, after)
    new = steps.pop()
    assert new != former
    names = {path.name for path in [*folder.iterdir(), *after.iterdir()]}
    assert not any(map(TEMPORARY.fullmatch, names))
    return Prepared(folder, former, new, steps, names)


def fresh(prepared: Prepared, work: Path) -> Path:
    """A folder in the former state, and an empty one for temporary files."""
    folder = work / "folder"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(environment(folder)["TMPDIR"], ignore_errors=True)
    shutil.copytree(prepared.folder, folder)
    return folder


# ---------------------------------------------------------------------- what must hold afterwards

#: Names that a killed run may leave: recognisable, and for their owner only.
TEMPORARY = re.compile(r"\.hashmatch-[0-9a-f]{16}\.tmp(-journal)?")
JOURNAL = re.compile(r".*\.hml-journal")
#: What messages say where a change did not come about.
UNCHANGED = ("the former state stands", "nothing was changed", "no list was created", "no report was written")


def content_violations(folder: Path, scenario: Scenario, prepared: Prepared) -> Iterator[str]:
    """What is wrong with names and content after a crash. Opens the lists, which undoes what was interrupted."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).parts[0]
        if name in prepared.names:
            continue
        if not TEMPORARY.fullmatch(name) and not JOURNAL.fullmatch(name):
            yield f"{name} cannot be recognised as a temporary file"
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield f"{name} can be read by others"
    for name in scenario.lists:
        if (folder / name).exists() or prepared.former.lists[name] is not None:
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = command_line(["list", "check", str(folder / name)])
            if code:
                yield f"list check: exit code {code}: {said.getvalue()}"
                return
    found = state_of(folder, scenario)
    for kind in ("lists", "outputs"):
        states = [getattr(state, kind) for state in (prepared.former, prepared.new, *prepared.between)]
        for name, content in getattr(found, kind).items():
            if content not in [state[name] for state in states] and not (kind == "outputs" and content is None):
                yield f"{name} is neither the former nor the new one"
    for path in folder.glob("*.audit.jsonl"):
        log = AuditLog(path)
        if log.verify(allow_unfinished=True).unfinished:
            log.append(AuditRecord("match", "0" * 64))
            log.verify()


def violations(
    folder: Path,
    scenario: Scenario,
    prepared: Prepared,
    run: subprocess.CompletedProcess[str],
    *,
    killed: bool = False,
    may_stay: bool = False,
) -> Iterator[str]:
    """What is wrong after a disturbed run."""
    for left in Path(environment(folder)["TMPDIR"]).rglob("*"):
        yield f"{left.name} stays in the folder for temporary files"
    if not killed:
        if run.returncode not in (scenario.code, 2, 3):
            yield f"exit code {run.returncode}: {run.stderr}"
        if "Traceback" in run.stderr or "internal error" in run.stderr:
            yield f"no typed error: {run.stderr}"
        for path in folder.iterdir():
            if path.name not in prepared.names and not JOURNAL.fullmatch(path.name) and not may_stay:
                yield f"{path.name} stays after an error"
    yield from content_violations(folder, scenario, prepared)
    if killed:
        return
    found = state_of(folder, scenario)
    if run.returncode == scenario.code and found != prepared.new:
        changed = [name for name in found.lists if found.lists[name] != prepared.new.lists[name]]
        # A side effect may fail, if it is told: a compiled file that could not be deleted, for one.
        changed += [
            name
            for name in found.outputs
            if found.outputs[name] != prepared.new.outputs[name] and (name in scenario.made or name not in run.stderr)
        ]
        if changed:
            yield f"{', '.join(changed)} is not the new one, and the exit code is {run.returncode}"
    told = [text for text in UNCHANGED if text in run.stderr]
    # Of several files each is a change of its own: what was said is said of the one that failed, and how many stand.
    standing = [
        step.lists for number, step in enumerate(prepared.between, 1) if f"imported before: {number};" in run.stderr
    ]
    if told and found.lists not in (standing or [prepared.former.lists]):
        yield f"a list is not the former one, and the message says {told[0]!r}: {run.stderr}"
    if told and any(
        found.outputs[name] != prepared.former.outputs[name] for name in scenario.made if name in found.outputs
    ):
        yield f"an output is not the former one, and the message says {told[0]!r}: {run.stderr}"


def former_of(prepared: Prepared, name: str) -> Any:
    return (prepared.former.lists | prepared.former.outputs)[name]


def second_run(folder: Path, scenario: Scenario, prepared: Prepared) -> Iterator[str]:
    """What is wrong when the command is given again, undisturbed."""
    found = state_of(folder, scenario)
    there = [
        name for name in scenario.made if (found.lists | found.outputs)[name] not in (None, former_of(prepared, name))
    ]
    if not scenario.again and there:
        return
    run = hashmatch(folder, scenario.command)
    if run.returncode != scenario.code:
        yield f"a second run ends with exit code {run.returncode}: {run.stderr}"
    elif state_of(folder, scenario) != prepared.new:
        yield "a second run does not reach the new state"
    for name in scenario.lists if scenario.changes else ():
        with HashList.open(folder / name, read_only=True) as known:
            changes = list(known.history.changes())
            if changes:  # every one has its line
                known.audit.verify().check_against(len(changes), changes[-1].snapshot.hex())
    # One that was interrupted before it was valid stays until the next change: SQLite knows it for what it is.
    if scenario.changes and any(JOURNAL.fullmatch(path.name) for path in folder.iterdir()):
        yield "a journal stays after the next change"
