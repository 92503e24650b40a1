"""Sets of digests and little else: EnCase hash sets, indexes of the Sleuth Kit."""

from __future__ import annotations

from hashmatch.algorithms import EMPTY_DIGESTS
from vectormakers.list_files import Lists, category_of, entry_of, hex_hash, lines_of, raw_hash

__all__ = ["add_encase", "add_tsk_index"]


def add_encase(lists: Lists) -> None:
    """EnCase 6: binary."""

    def document(*digests: bytes, count: int | None = None, behind: bytes = b"\0\0") -> bytes:
        stated = len(digests) if count is None else count
        start = b"HASH\r\n\xff\0\2\0\0\0\1\0\0\0" + stated.to_bytes(4, "little")
        texts = "Set \u00e9".encode("utf-16-le").ljust(80, b"\0") + "Known".encode("utf-16-le").ljust(40, b"\0")
        return start.ljust(1032, b"\0") + texts + b"\0\0".join((*digests, b""))[:-2] + behind

    first, second = raw_hash("md5", "e1"), raw_hash("md5", "e2")
    said = {"category": category_of("encase", "Known"), "metadata": {"hash_set": "Set \u00e9"}}
    lists.valid(
        "encase.hash",
        "EnCase: binary, MD5 alone; name and category of the set are every entry's; an empty file",
        document(first, EMPTY_DIGESTS["md5"], second),
        "encase",
        [
            entry_of("", {"md5": first.hex()}, **said),
            entry_of("", {}, **said, empty_digests=1),
            entry_of("", {"md5": second.hex()}, **said),
        ],
    )
    lists.valid(
        "encase-no-count.hash",
        "EnCase: the header states no number of hashes",
        document(first, count=0),
        "encase",
        [entry_of("", {"md5": first.hex()}, **said)],
    )
    lists.invalid(
        "encase-count.hash",
        "the header states three hashes and two are there: cut off at the end of a record",
        document(first, second, count=3),
        "RecordError",
    )
    lists.invalid(
        "encase-truncated.hash",
        "the file ends within its second hash",
        document(first, second)[:-9],
        "RecordError",
        record=2,
    )
    lists.invalid("encase-header.hash", "the file ends within its header", document(first)[:600], "RecordError")
    lists.invalid(
        "encase-no-zeros.hash",
        "other bytes than zeros behind a hash: the records are not where they are thought to be",
        document(first, second, behind=b"\0\1"),
        "RecordError",
        record=2,
        kept=(1, 1),
    )


def add_tsk_index(lists: Lists) -> None:
    """What `hfind -i` writes."""
    kind, name = "0" * 41 + "|md5sum", "0" * 40 + "1|known.txt"
    md5s = sorted(hex_hash("md5", label).upper() for label in ("t1", "t2", "t3"))
    rows = [f"{digest}|{40 * at:016}" for at, digest in enumerate(md5s)]
    lists.valid(
        "tsk.idx",
        "index of the Sleuth Kit: two header lines, then sorted digests; the offset is not kept",
        lines_of([kind, name, *rows]),
        "tsk-index",
        [entry_of("", {"md5": digest.lower()}) for digest in md5s],
    )
    sha1 = hex_hash("sha1", "t1").upper()
    lists.valid(
        "tsk-sha1.idx",
        "index of the Sleuth Kit: SHA-1, and the digest of the empty file, which is dropped",
        lines_of([kind, name, *sorted((f"{sha1}|{0:016}", f"{EMPTY_DIGESTS['sha1'].hex().upper()}|{99:016}"))]),
        "tsk-index",
        [
            entry_of("", {"sha1": digest.lower()}) if digest == sha1 else entry_of("", {}, empty_digests=1)
            for digest in sorted((sha1, EMPTY_DIGESTS["sha1"].hex().upper()))
        ],
    )
    lists.invalid(
        "tsk-offset.idx",
        "an offset of 15 digits",
        lines_of([kind, name, rows[0], rows[1][:-1], rows[2]]),
        "RecordError",
        line=4,
        record=2,
        field="offset",
        kept=(2, 1),
    )
    lists.invalid(
        "tsk-two-algorithms.idx",
        "a SHA-1 among MD5s",
        lines_of([kind, name, rows[0], f"{sha1}|{7:016}"]),
        "HashTextError",
        line=4,
        record=2,
        field="md5",
        kept=(1, 1),
    )
