"""How fast, and in how much memory, is a VICS document imported? Bars: 100,000 media/s on one core, under 400 MB.

    python benchmarks/import_vics.py [--media 3000000] [--runs 3] [--keep FOLDER] [--dirt] [--cases 4] [--version 1.3]

Correctness first: the list's entries are compared with the document, member by member, on a sample, and counted.

What was measured before the decoder was chosen, in microseconds for a media object of 674 bytes and 19 members (Python
3.11, AMD EPYC with SHA instructions, shared with others): reading its SHA-256 0.4, msgspec 0.22 to dictionaries with
types 1.3 to 1.8, orjson 3.13 1.9 to 2.0, json.loads 3.2 to 4.6, json.loads with a hook that refuses repeated keys 5.7,
ijson 3.6 (yajl2_c) 6.4. Finding the ends of objects by their braces 0.35, counting what may end a key 0.35.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _stamp import show_stamp

BAR_MEDIA, BAR_BYTES = 100_000, 400_000_000
SAMPLE = 20_000

# In a process of its own, on one core, so that peak memory and processor time are the import's alone.
_IMPORT = """
import json, os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[3])})
if sys.argv[4] == "plain":
    sys.modules["msgspec"] = None
    os.environ["HASHMATCH_KERNELS"] = "numpy"
from hashmatch import HashList
from hashmatch.bench.machine import peak_bytes
wall, cpu = time.perf_counter(), time.process_time()
with HashList.open(sys.argv[1], create=True) as known:
    summary = known.import_file(sys.argv[2], "VICS", skip_invalid=True)
print(json.dumps({
    "media": summary.records, "added": summary.added, "unchanged": summary.unchanged, "invalid": summary.invalid,
    "notes": summary.notes, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
    "peak": peak_bytes(),
}))
"""

# The reader alone, and the standard library's decoder on the same text: how fast the machine is at this moment.
_READ = """
import gc, json, os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[2])})
from hashmatch.lists.formats import open_entries
with open(sys.argv[1], encoding="utf-8-sig") as file:
    text = file.read(16_000_000)
text = text[text.rindex("[", 0, text.index('"MediaID"')) :]
items, at, decoder = [], text.index("{"), json.JSONDecoder()
while len(items) < 10_000:
    try:
        item, at = decoder.raw_decode(text, at)
    except ValueError:
        break
    items.append(item)
    at = max(at, text.find("{", at))
sample = json.dumps(items, ensure_ascii=False, separators=(",", ":"))
del items
gc.disable()
start = time.process_time()
for _ in range(3):
    count = len(json.loads(sample))
library = 3 * count / (time.process_time() - start)
with open_entries(sys.argv[1]) as reading:
    start, count = time.process_time(), 0
    for _ in reading:
        count += 1
        if count == 300_000:
            break
    print(json.dumps([library, count / (time.process_time() - start)]))
"""


def _json(program: str, *arguments: object) -> Any:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _core() -> int:
    return (os.cpu_count() or 1) - 1


def import_once(known: Path, document: Path, decoder: str = "fast") -> dict[str, Any]:
    """Import in a new process; its figures."""
    result: dict[str, Any] = _json(_IMPORT, known, document, _core(), decoder)
    return result


def items_of(document: Path) -> list[dict[str, Any]]:
    """The first media, at most `SAMPLE`, of the list or of the first case, decoded with nothing of ours."""
    with document.open("rb") as file:  # not all of it: a child's peak memory begins with its parent's
        text = file.read(400 * SAMPLE * 4).decode("utf-8-sig", "ignore")
    decoder, found = json.JSONDecoder(), []
    at = text.index("[", text.index('"value"'))
    if '"Media"' in text[at : at + 40]:
        at = text.index("[", at + 1)
    while len(found) < SAMPLE and (at := text.find("{", at)) >= 0:
        try:
            item, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        if "MediaID" not in item:
            break
        found.append(item)
    return found


def check(known: Path, document: Path, result: dict[str, Any]) -> None:
    """Fail unless the list holds what the document says."""
    from hashmatch import HashList

    expected = {str(item["MediaID"]): item for item in items_of(document) if item["MediaID"] is not None}
    compared = 0
    with HashList.open(known, read_only=True) as opened:
        assert opened.info().entries == result["added"]
        for stored in opened.entries():
            case, _, number = stored.entry.ref.rpartition("/")
            item = expected.get(number)
            # Of cases, the first is compared: media are counted from the beginning in each.
            if item is None or (case and not case.endswith("-0")) or len(str(item["MD5"])) != 32:
                continue
            hashes, fields = stored.entry.hashes, stored.entry.fields
            if item["MD5"].upper() != "D41D8CD98F00B204E9800998ECF8427E":
                assert hashes["md5"].hex() == item["MD5"].lower(), stored.entry.ref
                assert hashes["sha1"].hex() == item["SHA1"].lower()
            alternative = {h["HashName"]: h["HashValue"] for h in item.get("AlternativeHashes") or ()}
            photodna = item.get("PhotoDNA") or alternative.get("PhotoDNA") or ""
            assert base64.b64encode(hashes.get("photodna", b"")).decode() == photodna
            assert stored.entry.size == int(item["MediaSize"])
            code = None if stored.entry.category is None else int(stored.entry.category[1])
            assert code == item["Category"]
            for member in ("Comments", "Series", "Tags", "MimeType", "RelativeFilePath", "PrecategorizationSource"):
                assert fields.get(member) == (item[member] or None), member
            assert fields["IsDistributed"] is (item["IsDistributed"] in (True, "true"))
            assert len(fields.get("MediaFiles", ())) == len(item.get("MediaFiles") or ())
            compared += 1
    assert compared > 0.9 * len(expected) > 0
    print(f"Correct: {compared:,} entries compared member by member, {result['added']:,} counted.\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--version", default="2.0")
    parser.add_argument("--cases", type=int, default=0)
    parser.add_argument("--indent", action="store_true")
    parser.add_argument("--dirt", action="store_true")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="also without the extension and the extra fast: the standard library decodes",
    )
    parser.add_argument("--keep", type=Path, help="folder in which vics.json and vics.hml are kept and found again")
    options = parser.parse_args()
    show_stamp()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        document, known = folder / "vics.json", folder / "vics.hml"
        if not document.exists():
            command = [sys.executable, Path(__file__).with_name("generate_vics.py"), "--media", str(options.media)]
            command += ["--version", options.version, "--cases", str(options.cases), "--out", document]
            command += ["--indent"] * options.indent + ["--dirt"] * options.dirt
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for left in folder.glob(known.name + "*"):
            left.unlink()
        first = import_once(known, document)
        check(known, document, first)
        media = first["media"]
        again = import_once(known, document)
        assert again["unchanged"] == first["added"], again
        size = known.stat().st_size
        # The machine's speed changes from minute to minute: each run stands beside a fixed piece of work.
        results, reads = [], [_json(_READ, document, _core())]
        for _ in range(options.runs):
            for left in folder.glob(known.name + "*"):
                left.unlink()
            results.append(import_once(known, document))
            reads.append(_json(_READ, document, _core()))
        wall = statistics.median(r["wall"] for r in results)
        cpu = statistics.median(r["cpu"] for r in results)
        peak = max(r["peak"] for r in [first, again, *results])
        each = ", ".join(f"{media / r['wall']:,.0f}" for r in results)
        print("| what | figure |\n| --- | --- |")
        print(f"| media, bytes of the document | {media:,}, {document.stat().st_size:,} |")
        print(f"| invalid, notes | {first['invalid']:,}, {len(first['notes']):,} |")
        print(f"| media/s, wall, median of {len(results)} | {media / wall:,.0f} |")
        print(f"| media/s, wall, each run | {each} |")
        print(f"| media per processor second | {media / cpu:,.0f} |")
        print(f"| the reader alone, media per processor second | {', '.join(f'{r:,.0f}' for _, r in reads)} |")
        print(f"| json.loads alone, the same at that time | {', '.join(f'{r:,.0f}' for r, _ in reads)} |")
        print(f"| re-import of the unchanged document, media/s | {media / again['wall']:,.0f} |")
        print(f"| peak memory | {peak / 1e6:,.0f} MB |")
        print(f"| list file | {size / media:,.0f} bytes an entry |")
        if options.plain:
            for left in folder.glob(known.name + "*"):
                left.unlink()
            plain = import_once(known, document, "plain")
            print(f"| media/s without the extension and msgspec | {media / plain['wall']:,.0f} |")
    fast, small = media / wall >= BAR_MEDIA, peak < BAR_BYTES
    print(f"\nBars: at least {BAR_MEDIA:,} media/s: {'reached' if fast else 'MISSED'}; ", end="")
    print(f"under {BAR_BYTES / 1e6:.0f} MB: {'reached' if small else 'MISSED'}.")
    return 0 if fast and small else 1


if __name__ == "__main__":
    sys.exit(main())
