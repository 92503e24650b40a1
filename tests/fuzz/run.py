"""Fuzzes for a fixed time each: the C harnesses beside this file, and the targets of targets.py.

    python tests/fuzz/run.py [--seconds N] [--keep FOLDER] [TARGET...]

Engines: libFuzzer for C where clang is installed, else the driver beside this file; atheris for Python where it is
installed, else guided.py for what reads lists, and blind mutations for the rest. README.md says what each can find.
Every target runs in a process of its own. What was found is written to FOLDER, one file for each input.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SANITIZERS = "-g -O2 -fsanitize={0}address,undefined -fno-sanitize-recover=undefined"
C_TARGETS = {"c-lines": "lines_fuzz.c", "c-table": "table_fuzz.c", "c-ring": "ring_fuzz.c"}
#: Inputs to begin with, where nothing of the test vectors fits.
C_SEEDS = {
    "c-table": [bytes([kind, *range(255, 0, -1)]) * 2 for kind in range(4)],
    "c-ring": [bytes([n, radius, bits]) for n in (0, 1, 32, 65, 255) for radius in (0, 6, 250) for bits in (0, 3, 16)]
    + [bytes([64, 6, 16]) + bytes([part, 3, 0, value, 0, value]) * 2 for part in range(16) for value in (0, 255)],
}


def c_seeds(name: str) -> list[bytes]:
    """Seeds of a C harness."""
    if name != "c-lines":
        return C_SEEDS[name]
    texts = sorted((ROOT / "testvectors" / "lists").glob("*/*sum*"))
    return [bytes([algorithm, 8, 0]) + text.read_bytes()[:4000] for algorithm in range(4) for text in texts]


def run_c(name: str, seconds: int, keep: Path) -> int:
    """Build one C harness and run it."""
    sys.path.insert(0, str(ROOT / "tests" / "native"))
    from build import build

    work = ROOT / "build" / "fuzz"
    corpus = work / f"{name}.corpus"
    shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(parents=True)
    seeds = []
    for number, seed in enumerate(c_seeds(name)):
        seeds.append(corpus / f"seed-{number}")
        seeds[-1].write_bytes(seed)
    include = f"-I{HERE}"
    keep.mkdir(parents=True, exist_ok=True)
    if shutil.which("clang"):
        flags = f"{SANITIZERS.format('fuzzer,')} {include}"
        build(work / name, [HERE / C_TARGETS[name]], cc="clang", flags=flags, werror=False)
        command = [
            work / name,
            f"-max_total_time={seconds}",
            "-timeout=20",
            "-max_len=8192",
            "-print_final_stats=1",
            corpus,
        ]
        print(f"{name}: libFuzzer", flush=True)
    else:
        flags = f"{SANITIZERS.format('')} {include}"
        build(work / name, [HERE / C_TARGETS[name], HERE / "driver.c"], cc="cc", flags=flags, werror=False)
        command = [work / name, str(seconds), *seeds]
        print(f"{name}: blind mutations (clang, and libFuzzer with it, is not installed)", flush=True)
    done = subprocess.run(command, cwd=keep, capture_output=True, text=True, check=False)
    shown = [
        line for line in done.stderr.splitlines() if "executed_units" in line or "ERROR" in line or "SUMMARY" in line
    ]
    print("\n".join(shown + done.stdout.splitlines()[-1:]), flush=True)
    if done.returncode:
        print(done.stderr[-6000:], file=sys.stderr)
    return done.returncode


def run_python(name: str, seconds: int, keep: Path, *, coverage: bool) -> int:
    """Run one target of targets.py in this process."""
    sys.path.insert(0, str(HERE.parent))
    faulthandler.enable()
    if coverage:
        import atheris

        with atheris.instrument_imports(include=["hashmatch"]):
            from fuzz.targets import TARGETS
    else:
        from fuzz.targets import TARGETS
    from fuzz.mutate import shaped

    target = TARGETS[name]
    seeds = list(target.seeds())
    keep.mkdir(parents=True, exist_ok=True)
    last = keep / f"{name}-last"

    def guarded(data: bytes) -> None:
        # After a crash of the process, this file holds what it was given.
        last.write_bytes(data)
        try:
            target.run(data)
        except BaseException:
            found = keep / f"{name}-{time.time_ns()}"
            found.write_bytes(data)
            print(f"{name}: {len(data)} bytes in {found}: {data[:80]!r}", file=sys.stderr)
            raise
        last.unlink()

    if coverage:
        corpus = ROOT / "build" / "fuzz" / f"{name}.corpus"
        shutil.rmtree(corpus, ignore_errors=True)
        corpus.mkdir(parents=True)
        for number, seed in enumerate(seeds):
            (corpus / f"seed-{number}").write_bytes(seed)
        print(f"{name}: atheris", flush=True)
        options = [f"-max_total_time={seconds}", "-timeout=30", f"-max_len={target.longest}", "-verbosity=0"]
        options += ["-print_final_stats=1", "-rss_limit_mb=4000", f"-artifact_prefix={keep}/"]
        if target.tokens:
            tokens = ROOT / "build" / "fuzz" / f"{name}.dict"
            lines = ["".join(f"\\x{byte:02x}" for byte in token) for token in target.tokens]
            tokens.write_text("".join(f'"{line}"\n' for line in lines))
            options.append(f"-dict={tokens}")
        atheris.Setup([sys.argv[0], *options, str(corpus)], guarded)
        atheris.Fuzz()
        return 0
    print(f"{name}: blind mutations (atheris is not installed)", flush=True)
    rng, runs, end = random.Random(time.time_ns()), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        faulthandler.dump_traceback_later(30, exit=True)
        data = seeds[runs % len(seeds)]
        if runs >= len(seeds):
            data = shaped(rng, rng.choice(seeds), seeds, target.tokens, target.shapes, target.longest)
        guarded(data)
        runs += 1
    faulthandler.cancel_dump_traceback_later()
    print(f"{runs} inputs")
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="fuzz every function that reads the bytes of a file")
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "fuzz" / "found")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    coverage = importlib.util.find_spec("atheris") is not None
    keep = args.keep.resolve()
    if args.here:
        return run_python(args.targets[0], args.seconds, keep, coverage=coverage)
    sys.path[:0] = [str(HERE.parent), str(ROOT)]
    from fuzz.targets import TARGETS

    known = [*C_TARGETS, *TARGETS]
    if unknown := set(args.targets) - set(known):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    failed = []
    for name in args.targets or known:
        if name in C_TARGETS:
            with contextlib.suppress(KeyboardInterrupt):
                if run_c(name, args.seconds, keep):
                    failed.append(name)
            continue
        command = [sys.executable, __file__, "--here", "--seconds", str(args.seconds), "--keep", str(keep), name]
        if TARGETS[name].cases and not coverage:
            print(f"{name}: guided by branches (atheris is not installed)", flush=True)
            # Other cases each time: the same ones are in the tests.
            command = [sys.executable, str(HERE / "guided.py"), name, "--seed", str(time.time_ns())]
            command += ["--seconds", str(args.seconds), "--keep", str(keep)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
        shown = [line for line in done.stderr.splitlines() if "executed_units" in line]
        print("\n".join([*done.stdout.splitlines(), *shown]), flush=True)
        if done.returncode:
            print(done.stderr[-6000:], file=sys.stderr)
            failed.append(name)
    print(f"found something: {', '.join(failed)}; see {keep}" if failed else "nothing found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
