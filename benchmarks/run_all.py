"""Run every benchmark, one after the other, and write RESULTS.md from what they print.

    python benchmarks/run_all.py [--quick] [--keep FOLDER] [--only SCRIPT]

Nothing in RESULTS.md is typed by hand; what is said about the figures stands in README.md beside it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent

#: Script, arguments, arguments of a quick run that only shows that everything works.
SCRIPTS: tuple[tuple[str, list[str], list[str]], ...] = (
    ("startup.py", [], ["--runs", "3"]),
    ("import_icse.py", ["--keep", "{keep}"], ["--rows", "50000", "--runs", "1", "--keep", "{keep}"]),
    ("import_vics.py", ["--keep", "{keep}"], ["--media", "20000", "--runs", "1", "--keep", "{keep}"]),
    ("import_nsrl.py", ["--keep", "{keep}"], ["--rows", "50000", "--runs", "1", "--keep", "{keep}"]),
    ("import_icse.py", ["--rows", "13000000", "--runs", "1"], ["--rows", "60000", "--runs", "1"]),
    ("import_vics.py", ["--media", "13000000", "--runs", "1"], ["--media", "30000", "--runs", "1"]),
    ("import_nsrl.py", ["--rows", "13000000", "--runs", "1"], ["--rows", "60000", "--runs", "1"]),
    ("export_list.py", ["--keep", "{keep}"], ["--entries", "20000", "--keep", "{keep}"]),
    ("match_md5.py", ["--keep", "{keep}"], ["--rows", "50000", "--queries", "2000", "--runs", "1", "--keep", "{keep}"]),
    (
        "lookup_md5.py",
        ["--keep", "{keep}"],
        ["--rows", "50000", "--queries", "50000", "--runs", "1", "--keep", "{keep}"],
    ),
    ("pdq_parity.py", [], ["--quick"]),
    ("pixel_kernels.py", [], ["--rounds", "2"]),
    ("hash_files.py", [], ["--images", "20", "--rounds", "2"]),
    ("luma_profile.py", [], ["--images", "200"]),
    ("hamming_planted.py", [], ["--entries", "2000", "--queries", "300"]),
    ("hamming_search.py", ["--entries", "1000000", "--mapped"], ["--entries", "70000", "--rounds", "1", "--mapped"]),
    ("hamming_search.py", ["--entries", "10000000", "--mapped"], ["--entries", "70000", "--rounds", "1"]),
    (
        "hamming_search.py",
        ["--entries", "10000000", "--bits", "64"],
        ["--entries", "70000", "--rounds", "1", "--bits", "64"],
    ),
    (
        "hamming_radius.py",
        ["--queries", "1", "64", "--rounds", "2"],
        ["--entries", "70000", "--step", "32", "--rounds", "1", "--queries", "1", "16"],
    ),
    ("photodna_search.py", [], ["--entries", "20000", "--queries", "500", "--rounds", "1"]),
    ("apply_delta.py", [], ["--entries", "20000", "--changes", "500"]),
    ("splice_compiled.py", [], ["--rows", "20000", "--changes", "500", "--runs", "1"]),
    ("real_input.py", [], ["--images", "40"]),
    ("accuracy.py", [], ["--images", "260", "--edited", "10", "--rate", "1e-4"]),
)


def write_results(sections: list[str]) -> None:
    """Write RESULTS.md; sections that were not run again stay as they are."""
    path = HERE / "RESULTS.md"
    former = path.read_text(encoding="utf-8").split("\n## ")[1:] if path.exists() else []
    kept = {f"## {text}".splitlines()[0]: f"## {text}".rstrip() for text in former}
    kept |= {text.splitlines()[0]: text.rstrip() for text in sections}
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    head = f"# Results\n\nWritten by `benchmarks/run_all.py`, last on {when}; not edited by hand.\n\n"
    path.write_text(head + "\n\n".join(kept.values()) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes; RESULTS.md is not written")
    parser.add_argument("--keep", type=Path, help="folder for generated lists, reused by the next run")
    parser.add_argument("--only", metavar="SCRIPT", help="run this one and replace its section of RESULTS.md")
    options = parser.parse_args()
    failed = []
    sections = []
    with tempfile.TemporaryDirectory() as temporary:
        keep = str(options.keep or Path(temporary) / "lists")
        for script, arguments, quick in SCRIPTS:
            if options.only not in (None, script):
                continue
            chosen = [a.replace("{keep}", keep) for a in (quick if options.quick else arguments)]
            print(f"== {script} {' '.join(chosen)}", flush=True)
            done = subprocess.run(
                [sys.executable, HERE / script, *chosen], stdout=subprocess.PIPE, text=True, check=False
            )
            print(done.stdout, flush=True)
            question = (HERE / script).read_text(encoding="utf-8").split('"""')[1].splitlines()[0]
            public = [a for a in chosen if keep not in a and a != "--keep"]
            shown = " ".join(["python", f"benchmarks/{script}", *public])
            # A script that runs several times has its arguments in the heading, which is what names a section.
            several = sum(name == script for name, *_ in SCRIPTS) > 1
            heading = f"{question} `{' '.join(public)}`" if several and public else question
            sections.append(f"## {heading}\n\n`{shown}`\n\n{done.stdout}")
            if done.returncode:
                failed.append(script)
    if not options.quick:
        write_results(sections)
    print(f"missed or failed: {', '.join(failed)}" if failed else "every bar reached")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
