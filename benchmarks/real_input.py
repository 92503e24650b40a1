"""Does the whole job hold on a folder of real size and on the output of real tools, and how fast is a scan?

    python benchmarks/real_input.py [--images 2000] [--folder FOLDER]

Makes JPEGs of 0.1 to 12 megapixels, runs the real ``hashdeep``, ``md5sum`` and ``sha256sum`` over them (Debian packages
hashdeep, coreutils), imports hashdeep's output as a list, matches the others against it, and scans the folder with
planted damage. Every result is checked; the images are removed unless --folder is given.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from _stamp import show_stamp

BROKEN = 5


def make_image(job: tuple[int, Path]) -> int:
    """Write one JPEG, between 0.1 and 12 megapixels (log-uniform) and of any ratio; its pixels."""
    from hashmatch import imaging, synthetic

    seed, path = job
    chance = random.Random(seed)
    pixels = math.exp(chance.uniform(math.log(0.1e6), math.log(12e6)))
    ratio = chance.choice([1, 4 / 3, 3 / 4, 16 / 9, 9 / 16, 3 / 2, 2.35])
    width, height = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
    image = synthetic.image(seed, width, height, kind=chance.choice(["noise", "noise", "shapes", "text"]))
    path.write_bytes(imaging.encode(image, "JPEG", quality=chance.randint(60, 95)))
    return width * height


def run(*command: object, code: int = 0) -> str:
    """Run a command, insist on its exit code, return its output."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == code, (command, done.returncode, done.stderr[-2000:])
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="make the images here, and keep them for the next run")
    options = parser.parse_args()
    show_stamp()
    hashmatch = [sys.executable, "-m", "hashmatch"]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        images = options.folder or work / "images"
        if not images.exists():
            images.mkdir()
            jobs = [(seed, images / f"{seed:05}.jpg") for seed in range(options.images)]
            with ProcessPoolExecutor() as pool:
                total = sum(pool.map(make_image, jobs, chunksize=8))
            print(f"Made {len(jobs):,} JPEGs, {total / 1e6:,.0f} megapixels.")
        paths = sorted(images.iterdir())
        megabytes = sum(p.stat().st_size for p in paths) / 1e6

        (work / "hashdeep.txt").write_text(run("hashdeep", "-c", "md5,sha1,sha256", "-r", images), encoding="utf-8")
        (work / "files.md5").write_text(run("md5sum", *paths), encoding="utf-8")
        (work / "files.sha256").write_text(run("sha256sum", "--tag", *paths), encoding="utf-8")
        known = work / "known.hml"
        run(*hashmatch, "list", "create", known)
        run(*hashmatch, "list", "import", known, work / "hashdeep.txt", "--source", "Seized")
        run(*hashmatch, "compile", known, "-o", work / "known.hmx")
        for queries in ("hashdeep.txt", "files.md5", "files.sha256"):
            out = run(*hashmatch, "match", work / queries, "--list", work / "known.hmx", "--json", "--quiet", code=1)
            rows = [json.loads(line) for line in out.splitlines()]
            assert len(rows) == len(paths), (queries, len(rows))
            assert all(row["verdict"] == "exact" for row in rows), queries
            assert all(Path(m["entry"]).name == Path(row["name"]).name for row in rows for m in row["matches"]), queries
            print(f"{queries}: {len(rows):,} of {len(paths):,} exact, each with its own file.")

        # The list of the scan: perceptual hashes of all images; the folder of the scan: copies, some damaged.
        csv_file = work / "hashes.csv"
        start = time.perf_counter()
        cores = os.cpu_count() or 1
        run(*hashmatch, "hash", *paths, "-a", "pdq,phash,md5", "--format", "csv", "-o", csv_file, "-j", cores)
        hashed = time.perf_counter() - start
        run(*hashmatch, "list", "import", known, csv_file, "--source", "Perceptual")
        damaged = work / "damaged"
        damaged.mkdir()
        for path in paths[:BROKEN]:
            (damaged / path.name).write_bytes(path.read_bytes()[:1000])
        start = time.perf_counter()
        run(*hashmatch, "scan", images, damaged, "--list", known, "-o", work / "scan.jsonl", "-j", cores, code=5)
        scanned = time.perf_counter() - start
        rows = [json.loads(line) for line in (work / "scan.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len(rows) == len(paths) + BROKEN
        assert [row["verdict"] for row in rows] == ["exact"] * len(paths) + ["unreadable"] * BROKEN
        found = {Path(m["entry"]).name for row in rows for m in row["matches"] if m["algorithm"] == "md5"}
        assert found == {path.name for path in paths}
    print(f"scan: {len(rows):,} rows for {len(rows):,} files, every copy exact, every damaged file a row.\n")
    print("| what | figure |\n| --- | --- |")
    print(f"| folder | {len(paths):,} JPEGs, {megabytes:,.0f} MB |")
    print(f"| `hashmatch hash`, pdq, phash, md5, {cores} workers | {len(paths) / hashed:,.1f} files/s |")
    print(f"| `hashmatch scan`, all that the list holds, {cores} workers, compile included | ", end="")
    print(f"{len(rows) / scanned:,.1f} files/s, {megabytes / scanned:,.1f} MB/s |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
