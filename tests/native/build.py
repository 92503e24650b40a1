"""Compiles the native kernels, all but the part that knows Python, together with a C program that tests them.

    python tests/native/build.py OUT SOURCE... [--cc CC] [--machine MACHINE] [--flags FLAGS] [--no-werror]

Sources and options are those of the extension itself: pyproject.toml and native/flags.toml name them.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "native"


def flags_of(source: Path, machine: str) -> list[str]:
    """What the extension's own build compiles ``source`` with."""
    flags = tomllib.loads((NATIVE / "flags.toml").read_text(encoding="utf-8"))["gnu"]
    own = flags["x86-64"].get(source.stem.rpartition("_")[2], []) if machine in ("x86_64", "amd64") else []
    return [*flags["common"], *own]


def kernel_sources() -> list[Path]:
    """The C files of the extension but those that include Python.h."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    sources = project["tool"]["setuptools"]["ext-modules"][0]["sources"]
    return [ROOT / source for source in sources if not source.startswith(("native/module", "native/rows_"))]


def build(
    out: Path, programs: list[Path], *, cc: str = "cc", machine: str = "", flags: str = "", werror: bool = True
) -> None:
    """Compile and link ``programs`` with the kernels to ``out``; what a compiler says is shown.

    Raises:
        subprocess.CalledProcessError: the compiler refuses, also for a warning.
    """
    machine = (machine or platform.machine()).lower()
    compiler, extra = shlex.split(cc), shlex.split(flags)
    objects = out.parent / f"{out.name}.objects"
    objects.mkdir(parents=True, exist_ok=True)

    def compile_one(source: Path) -> str:
        target = str(objects / f"{source.stem}.o")
        strict = ["-Werror"] if werror else []
        options = [*flags_of(source, machine), *strict, *extra, f"-I{NATIVE}", f"-I{ROOT / 'tests' / 'native'}"]
        subprocess.run([*compiler, *options, "-c", str(source), "-o", target], check=True)
        return target

    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2) as pool:
        made = list(pool.map(compile_one, [*kernel_sources(), *programs]))
    subprocess.run([*compiler, *extra, *made, "-o", str(out), "-lm"], check=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="compile the native kernels with a C program that tests them")
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--machine", default="", help="what it is compiled for, as `uname -m` names it")
    parser.add_argument("--flags", default="", help="added to every compilation and to linking")
    parser.add_argument("--no-werror", action="store_true")
    args = parser.parse_args()
    try:
        build(args.out, args.sources, cc=args.cc, machine=args.machine, flags=args.flags, werror=not args.no_werror)
    except subprocess.CalledProcessError as error:
        print(f"{shlex.join(map(str, error.cmd))}: exit code {error.returncode}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
