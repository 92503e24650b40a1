"""How long does it take to apply a delta to a large list and to compile it again? Bars: 10,000 changes to 13 million
entries in under 20 s; at most 350 bytes an entry with three digests and a PDQ code in the list.

    python benchmarks/apply_delta.py [--entries 13000000] [--changes 10000] [--digests-only] [--keep FOLDER]

Correctness first: the list that the delta was applied to has the snapshot of the one that it was made of, and the
compiled file that was spliced has the bytes of one that was compiled as a whole. Both are made here, so that most of
the script's time is not what it measures.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _stamp import show_stamp

BAR_SECONDS, BAR_ENTRIES, BAR_BYTES = 20.0, 13_000_000, 350


def entries(count: int, *, pdq: bool, version: str = "", first: int = 0) -> Iterator[object]:
    """Entries with three digests and, on request, a PDQ code, from their numbers alone."""
    from hashmatch.lists.entry import Entry, pack_hashes

    made = {"md5": bytes(16), "sha1": bytes(20), "sha256": bytes(32)} | ({"pdq": bytes(32)} if pdq else {})
    mask = pack_hashes(made)[:4]
    categories = [("interpol", "baseline"), ("interpol", "non-baseline"), None]
    for number in range(first, first + count):
        yield of_number(Entry, mask, categories, number, version, pdq)


def of_number(entry: type, mask: bytes, categories: list, number: int, version: str, pdq: bool) -> object:
    bits = hashlib.sha512(f"{number} {version}".encode()).digest()
    packed = mask + bits[:16] + bits[16:36] + bits[32:64] + (bits[4:36] + bytes([number % 101]) if pdq else b"")
    return entry(f"e{number:09}", categories[number % 3], "image", 1000 + number % 50_000, "", packed, 0, "", "")


_APPLY = """
import json, sys, time
from hashmatch import HashList
from hashmatch.bench.machine import peak_bytes
known, delta, target = sys.argv[1:4]
start = time.perf_counter()
with HashList.open(known) as opened:
    opened.apply_delta(delta)
    applied = time.perf_counter()
    opened.compile(target)
    compiled = time.perf_counter()
    snapshot = opened.snapshot
print(json.dumps({
    "apply": applied - start, "compile": compiled - applied, "snapshot": snapshot,
    "peak": peak_bytes(),
}))
"""


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    import json

    from hashmatch import HashList
    from hashmatch.lists.delta import write_delta

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=BAR_ENTRIES)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--digests-only", action="store_true", help="no PDQ code, so no ring tables to write")
    parser.add_argument("--keep", type=Path, help="folder in which the lists are made and found again")
    options = parser.parse_args()
    show_stamp()
    pdq = not options.digests_only
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        base, full = folder / "base.hml", folder / "base.hmx"
        if not base.exists():
            with HashList.open(base, create=True) as known:
                start = time.perf_counter()
                known.import_entries(entries(options.entries, pdq=pdq), "S")
                print(
                    f"{options.entries:,} entries made and imported in {time.perf_counter() - start:.1f} s", flush=True
                )
        size = base.stat().st_size
        with HashList.open(base) as known:
            start = time.perf_counter()
            known.compile(full, full=True)
            whole = time.perf_counter() - start
        other = folder / "other.hml"
        shutil.copy(base, other)
        draw = random.Random(1)
        delta = folder / "delta.jsonl"
        chosen = draw.sample(range(options.entries), options.changes * 4 // 10)
        cut = options.changes // 10
        with HashList.open(other) as known:
            first = len(list(known.history.changes()))
            replaced = [next(iter(entries(1, pdq=pdq, version="new", first=number))) for number in chosen[cut:]]
            added = [
                e._replace(ref=f"e{draw.randrange(options.entries):09}-{n}")
                for n, e in enumerate(  # type: ignore[attr-defined]
                    entries(options.changes - len(chosen), pdq=pdq, version="added", first=options.entries)
                )
            ]
            known.import_entries([*replaced, *added], "S")
            known.retract("S", [f"e{number:09}" for number in chosen[:cut]], reason="benchmark")
            with delta.open("wb") as file:
                summary = write_delta(known, file.write, str(first))
            target = known.snapshot
        assert sum(summary.counts.values()) == options.changes, summary
        found = json.loads(
            subprocess.run(
                [sys.executable, "-c", _APPLY, base, delta, full], check=True, capture_output=True, text=True
            ).stdout
        )
        assert found["snapshot"] == target
        spliced = digest(full)
        with HashList.open(other) as known:
            known.compile(folder / "other.hmx", full=True)
        assert digest(folder / "other.hmx") == spliced, "spliced and compiled files differ"
        print("Correct: the snapshot is that of the delta's own list; the compiled file has the bytes of a full one.\n")
        total = found["apply"] + found["compile"]
        print("| what | figure |\n| --- | --- |")
        print(f"| entries | {options.entries:,} |")
        print(f"| changes | {options.changes:,}: 60% added, 30% replaced, 10% retracted, spread at random |")
        print(f"| hashes of an entry | md5, sha1, sha256{', pdq' if pdq else ''} |")
        print(f"| list file | {size / options.entries:.0f} bytes an entry |")
        written = full.stat().st_size
        print(f"| compiled file | {written / options.entries:.0f} bytes an entry, {written:,} in all |")
        print(f"| delta file | {delta.stat().st_size:,} bytes |")
        print(f"| applying the delta | {found['apply']:.1f} s |")
        print(f"| compiling again | {found['compile']:.1f} s |")
        print(f"| both | {total:.1f} s |")
        print(f"| peak memory of the process that did both | {found['peak'] / 1e6:,.0f} MB |")
        print(f"| compiling all of the list, for comparison | {whole:.1f} s |")
        for path in (base, other, full, folder / "other.hmx"):
            path.unlink()
            Path(f"{path}.audit.jsonl").unlink(missing_ok=True)
    fast = total < BAR_SECONDS or options.entries < BAR_ENTRIES
    small = size / options.entries <= BAR_BYTES
    said = "MISSED" if not fast else "reached" if options.entries >= BAR_ENTRIES else "not measured"
    print(f"\nBars: under {BAR_SECONDS:.0f} s for {BAR_ENTRIES:,} entries: {said}; ", end="")
    print(f"at most {BAR_BYTES} bytes an entry in the list: {'reached' if small else 'MISSED'}.")
    return 0 if fast and small else 1


if __name__ == "__main__":
    sys.exit(main())
