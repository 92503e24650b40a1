"""How many instructions does each kernel take? The figure that no noise of the machine reaches.

python benchmarks/instructions.py                 measure, and show the difference from the baseline
python benchmarks/instructions.py --check         exit code 1 where a kernel takes over 5% more than in the baseline
python benchmarks/instructions.py --write         measure twice, and write benchmarks/instructions.json

tests/native/instructions.c runs every kernel on fixed input under valgrind's callgrind, which runs no AVX-512:
`portable` and `avx2` are counted on x86-64, `portable` and `neon` on aarch64. It needs valgrind and a C compiler, and
of Python only the standard library.

Another compiler makes other instructions, so figures are compared only with figures of the same compiler and processor
family. Where the baseline was written by another one, the commit that wrote it is taken from git, built by the present
compiler, and counted beside the present tree. Where that is not possible either, nothing was compared: that is said,
and the exit code is 3; it is 4 where nothing could be counted.

What the C library's functions take (copying memory, sines) is counted apart. It depends on the library's version; it
counts in the comparison where that version, and valgrind's, are the same.

Instructions are not time: one that misses the cache costs hundreds of others. Times are measured by the other scripts.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ROOT / "benchmarks" / "instructions.json"
DRIVER = Path("tests", "native", "instructions.c")
#: What decides which instructions there are, beside the compiler.
SOURCES = ("native", "tests/native", "pyproject.toml")
IMPLEMENTATIONS = {"x86_64": ("portable", "avx2"), "aarch64": ("portable", "neon")}
THRESHOLD = 5.0
RISEN, NOT_COMPARED, NOT_MEASURED = 1, 3, 4

Document = dict[str, Any]


class NotMeasuredError(Exception):
    """What is missing, in words."""


class Counts(NamedTuple):
    """Instructions of one kernel in the extension's own code, and in functions of the C library."""

    instructions: int
    library: int


class Line(NamedTuple):
    """One line of the driver."""

    case: str
    unit: str
    work: int
    checksum: str
    parameters: dict[str, int]


# ---------------------------------------------------------------------- measuring


def counts_of(profile: str, program: str) -> Counts:
    """The sums of one part of callgrind's output, which was written without compression of names.

    Functions of the harness are left out. What is executed in ``program`` is ours.
    """
    own = library = 0
    ours = harness = skipped = False
    for line in profile.splitlines():
        if line.startswith("ob="):
            ours = line[3:] == program
        elif line.startswith("fn="):
            harness = line[3:].startswith("harness_")
        elif line.startswith("calls="):
            skipped = True  # the next line is what the callee takes, which is told where the callee stands
        elif line[:1].isdigit():
            cost = int(line.split()[1])
            if skipped:
                skipped = False
            elif not ours:
                library += cost
            elif not harness:
                own += cost
    return Counts(own, library)


def line_of(text: str) -> Line:
    """What the driver says of a case."""
    case, unit, work, checksum, parameters = text.split("\t")
    pairs = (item.split("=") for item in parameters.split())
    return Line(case, unit, int(work), checksum, {name: int(value) for name, value in pairs})


def run_driver(program: Path, implementation: str, folder: Path) -> list[tuple[Line, Counts]]:
    """Every case of one implementation.

    Raises:
        NotMeasuredError: valgrind or the driver failed, or valgrind does not run this implementation.
    """
    folder.mkdir()
    options = [
        f"--callgrind-out-file={folder / 'part'}",
        "--collect-atstart=no",
        "--toggle-collect=harness_collect*",
        "--dump-before=harness_done*",
        "--compress-strings=no",
        "--compress-pos=no",
        "--dump-line=no",
    ]
    command = ["valgrind", "-q", "--tool=callgrind", *options, str(program), implementation]
    # Functions of libraries are looked up before, not within a case.
    environment = {"LD_BIND_NOW": "1", "PATH": os.environ.get("PATH", os.defpath)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise NotMeasuredError(f"{implementation}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    lines = [line_of(text) for text in done.stdout.splitlines()]
    found = []
    for number, line in enumerate(lines, 1):
        part = folder / f"part.{number}"
        if not part.exists():
            raise NotMeasuredError(f"{implementation}: callgrind wrote nothing for {line.case}, part {number}")
        counts = counts_of(part.read_text(encoding="utf-8"), str(program))
        if not counts.instructions:
            raise NotMeasuredError(f"{implementation}: callgrind counted nothing for {line.case}, part {number}")
        found.append((line, counts))
    if (folder / f"part.{len(lines) + 1}").exists():
        raise NotMeasuredError(f"{implementation}: callgrind wrote more parts than there are cases")
    return found


def first_line(command: list[str]) -> str:
    """What a program says first.

    Raises:
        NotMeasuredError: it is not there.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise NotMeasuredError(f"{command[0]} cannot be run: apt-get install {Path(command[0]).name}") from error


def version_of(tree: Path) -> str:
    """hashmatch's version, without importing it."""
    text = (tree / "hashmatch" / "_version.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    return found[1] if found else "unknown"


def stamp() -> Document:
    """The machine as other results name it; a part of that where hashmatch is not installed."""
    try:
        from hashmatch.bench.machine import machine
    except ImportError:
        return {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
    return machine()


def measure(tree: Path, compiler: str, rounds: int = 1) -> Document:
    """Build the driver of ``tree`` with its own build program and count every case.

    Raises:
        NotMeasuredError: a tool is missing or fails, two implementations do not give the same results, or a further
            round gives other figures than the first.
    """
    machine = platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64")
    if machine not in IMPLEMENTATIONS:
        raise NotMeasuredError(f"no implementations are known for {machine}")
    valgrind, made_by = first_line(["valgrind", "--version"]), first_line([*shlex.split(compiler), "--version"])
    cases: dict[tuple[str, str], tuple[Line, dict[str, Counts]]] = {}
    absent = []
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as pool:
        folder = Path(scratch).resolve()
        program = folder / "instructions"
        build = [sys.executable, str(tree / "tests" / "native" / "build.py"), "--cc", compiler, "--no-werror"]
        if subprocess.run([*build, str(program), str(tree / DRIVER)], stdout=sys.stderr, check=False).returncode:
            raise NotMeasuredError("the driver cannot be built")
        waiting = {
            (name, turn): pool.submit(run_driver, program, name, folder / f"{name}.{turn}")
            for turn in range(rounds)
            for name in IMPLEMENTATIONS[machine]
        }
        for (name, _), job in waiting.items():
            try:
                found = job.result()
            except NotMeasuredError as error:
                if name == "portable":
                    raise
                absent.append({"name": name, "reason": str(error)})
                continue
            for line, counts in found:
                kept, figures = cases.setdefault((line.case, str(line.parameters)), (line, {}))
                if line != kept:
                    raise NotMeasuredError(f"{line.case}: the result of {name} is another one than of portable")
                if figures.setdefault(name, counts) != counts:
                    raise NotMeasuredError(f"{line.case}: {name} took {counts} and {figures[name]}: not repeatable")
    flags = tomllib.loads((tree / "native" / "flags.toml").read_text(encoding="utf-8"))["gnu"]
    own = flags.get(machine.replace("_", "-"), {})
    return {
        "format": "hashmatch bench",
        "version": 1,
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "hashmatch": version_of(tree),
        "seed": 1,
        "machine": {
            **stamp(),
            "architecture": machine,
            "compiler": made_by,
            "flags": {name: " ".join([*flags["common"], *own.get(name, [])]) for name in IMPLEMENTATIONS[machine]},
            "valgrind": valgrind,
            "c_library": " ".join(platform.libc_ver()),
        },
        "results": [result_of(line, figures, rounds) for line, figures in cases.values()],
        "absent": list({item["name"]: item for item in absent}.values()),
    }


def result_of(line: Line, figures: dict[str, Counts], rounds: int) -> Document:
    """One case, as the document has it."""
    return {
        "suite": "instructions",
        "case": line.case,
        "parameters": line.parameters,
        "unit": line.unit,
        "work": line.work,
        "checked": f"every implementation gives the result with the checksum {line.checksum}",
        "rounds": rounds,
        "figures": {
            name: {**counts._asdict(), "per_unit": round(counts.instructions / line.work, 3)}
            for name, counts in figures.items()
        },
        "ratios": {},
    }


# ---------------------------------------------------------------------- comparing


class Figure(NamedTuple):
    """One kernel of one implementation in a document."""

    counts: Counts
    checked: str
    work: int


def figures_of(document: Document) -> dict[str, Figure]:
    """All figures of a document, by words that name case, parameters and implementation."""
    found = {}
    for result in document["results"]:
        words = " ".join(f"{name}={value}" for name, value in result["parameters"].items())
        for name, figure in result["figures"].items():
            counts = Counts(figure["instructions"], figure["library"])
            found[f"{result['case']}, {name}, {words}"] = Figure(counts, result["checked"], result["work"])
    return found


def rise(before: int, now: int) -> float:
    """In percent."""
    return 100.0 * (now - before) / before if before else (100.0 if now else 0.0)


def same_compiler(one: Document, other: Document) -> bool:
    """Whether the figures of two documents may be compared."""
    return all(one["machine"][key] == other["machine"][key] for key in ("architecture", "compiler"))


def compare(base: Document, new: Document, threshold: float) -> tuple[list[str], list[str], list[str]]:
    """Lines of a table; what is wrong (a rise of more than ``threshold`` percent); what else has to be said."""
    was, now = figures_of(base), figures_of(new)
    with_library = all(base["machine"][key] == new["machine"][key] for key in ("c_library", "valgrind"))
    lines = [f"{'instructions':>14} {'library':>10} {'a unit':>10} {'change':>8}  kernel"]
    wrong, notes = [], []
    for name, figure in now.items():
        own, library = figure.counts
        if name not in was:
            wrong.append(f"{name}: not in the baseline; renew it with --write")
            lines.append(f"{own:14,} {library:10,} {own / figure.work:10.2f} {'new':>8}  {name}")
            continue
        before = was[name]
        change = rise(before.counts.instructions, own)
        lines.append(f"{own:14,} {library:10,} {own / figure.work:10.2f} {change:+7.2f}%  {name}")
        in_all = rise(sum(before.counts), sum(figure.counts)) if with_library else change
        if (before.checked, before.work) != (figure.checked, figure.work):
            wrong.append(f"{name}: does other work than in the baseline; renew it with --write")
        elif change > threshold:
            wrong.append(
                f"{name}: {change:.2f}% more instructions, {before.counts.instructions:,} before and {own:,} now"
            )
        elif in_all > threshold:
            wrong.append(f"{name}: {in_all:.2f}% more instructions, those of the C library included")
        elif change < -threshold:
            notes.append(
                f"{name}: {-change:.2f}% fewer instructions; --write keeps the gain: it can be lost unseen now"
            )
    for name in was.keys() - now.keys():
        implementation = name.split(", ")[1]
        reasons = [item["reason"] for item in new["absent"] if item["name"] == implementation]
        (notes if reasons else wrong).append(f"{name}: was not measured{': ' + reasons[0] if reasons else ''}")
    if not with_library:
        notes.append(
            "the C library or valgrind is another one than the baseline's: what its functions take is not compared"
        )
    return lines, wrong, notes


# ---------------------------------------------------------------------- the baseline's commit


def git(tree: Path, *arguments: str) -> str:
    """What git says.

    Raises:
        NotMeasuredError: it fails, or is not there.
    """
    try:
        done = subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotMeasuredError(f"git {arguments[0]} fails here: no history to compare with") from error
    return done.stdout.strip()


def baseline_commit(tree: Path) -> str:
    """The commit that wrote the baseline.

    Raises:
        NotMeasuredError: there is no history, or it does not reach back so far; or the baseline is not committed.
    """
    name = "benchmarks/instructions.json"
    if Path(git(tree, "rev-parse", "--show-toplevel")).resolve() != tree.resolve():
        raise NotMeasuredError("this tree is not the root of a git repository: no history to compare with")
    if git(tree, "status", "--porcelain", "--", name):
        raise NotMeasuredError("the baseline is not committed as it is here: no commit to compare with")
    commit = git(tree, "log", "-1", "--format=%H", "--", name)
    if not commit:
        raise NotMeasuredError("no commit holds the baseline")
    # At the end of a shallow history every file looks as if it had been written there.
    shallow = git(tree, "rev-parse", "--is-shallow-repository") == "true"
    if (
        shallow
        and commit in Path(tree, git(tree, "rev-parse", "--git-path", "shallow")).read_text(encoding="ascii").split()
    ):
        raise NotMeasuredError(
            "the history is cut off before the commit that wrote the baseline: fetch it (git fetch --unshallow)"
        )
    return commit


def sources_changed(tree: Path, commit: str) -> bool:
    """Whether what the driver is built from is another than in ``commit``, changes that are not committed included."""
    new = git(tree, "ls-files", "--others", "--exclude-standard", "--", *SOURCES)
    return bool(new or git(tree, "diff", "--name-only", commit, "--", *SOURCES))


def measure_commit(tree: Path, commit: str, compiler: str) -> Document:
    """Count the kernels of an earlier commit, with the driver and the build program of that commit."""
    packed = subprocess.run(["git", "-C", str(tree), "archive", commit], capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        return measure(Path(folder), compiler)


def base_of(
    baseline: Document, new: Document, tree: Path, again: Callable[[Path, str], Document]
) -> tuple[Document | None, str]:
    """What ``new`` is to be compared with, and why; None where the kernels are those that the baseline was made from.

    Raises:
        NotMeasuredError: nothing can be compared.
    """
    if same_compiler(baseline, new):
        return baseline, f"the baseline, made by the same compiler: {baseline['machine']['compiler']}"
    why = f"the baseline was made by {baseline['machine']['compiler']}, here is {new['machine']['compiler']}"
    try:
        commit = baseline_commit(tree)
        if not sources_changed(tree, commit):
            return None, f"{why}; nothing has changed in the kernels since the baseline was written"
        base = again(tree, commit)
        return base, f"commit {commit[:12]}, which wrote the baseline, built by the same compiler; {why}"
    except NotMeasuredError as error:
        raise NotMeasuredError(f"{why}; {error}") from error


# ---------------------------------------------------------------------- the command line


def default_compiler() -> str:
    """As the Makefile chooses: $CC, or what there is."""
    named = os.environ.get("CC", "")
    found: Iterator[str] = (name for name in ("gcc", "cc", "clang") if shutil.which(name))
    return named or next(found, "cc")


def check(args: argparse.Namespace, new: Document) -> int:
    """The exit code: 0, RISEN or NOT_COMPARED."""
    if not args.baseline.exists():
        print(f"NOT COMPARED: there is no {args.baseline.name}; --write makes it", file=sys.stderr)
        return NOT_COMPARED
    baseline = json.loads(args.baseline.read_text(encoding="utf-8"))
    try:
        base, why = base_of(baseline, new, ROOT, lambda tree, commit: measure_commit(tree, commit, args.cc))
    except NotMeasuredError as error:
        print(f"NOT COMPARED: {error}", file=sys.stderr)
        return NOT_COMPARED
    if base is None:
        print(f"Nothing to compare: {why}.")
        return 0
    lines, wrong, notes = compare(base, new, args.threshold)
    print(f"Compared with {why}.\n", *lines, "", *(f"note: {note}" for note in notes), sep="\n")
    for text in wrong:
        print(f"FAILED: {text}", file=sys.stderr)
    if not wrong:
        print(f"No kernel takes over {args.threshold:g}% more instructions.")
    return RISEN if wrong and args.check else 0


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, 1 (--check: a kernel has risen), 3 (nothing to compare with) or 4 (not measured)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check", action="store_true", help="exit code 1 where a kernel takes more than the baseline allows"
    )
    what.add_argument("--write", action="store_true", help="measure twice and renew the baseline")
    parser.add_argument(
        "--threshold", type=float, default=THRESHOLD, help="percent of more instructions that are allowed"
    )
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    parser.add_argument(
        "--measured", type=Path, help="take what was measured before from this file, and measure nothing"
    )
    parser.add_argument("--cc", default=default_compiler(), help="the compiler, with options if need be")
    args = parser.parse_args(arguments)
    if not (math.isfinite(args.threshold) and args.threshold >= 0):
        parser.error("--threshold: expected percent, 0 or more")
    try:
        if args.measured:
            new = json.loads(args.measured.read_text(encoding="utf-8"))
        else:
            new = measure(ROOT, args.cc, rounds=2 if args.write else 1)
    except NotMeasuredError as error:
        print(f"NOT MEASURED: {error}", file=sys.stderr)
        return NOT_MEASURED
    for path in filter(None, (args.json, args.baseline if args.write else None)):
        path.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
        print(f"written: {path}")
    return 0 if args.write else check(args, new)


if __name__ == "__main__":
    sys.exit(main())
