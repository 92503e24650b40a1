"""Lists of one digest a line, hashdeep, and files that no reader takes."""

from __future__ import annotations

from typing import Any

from hashmatch.algorithms import EMPTY_DIGESTS
from vectormakers.list_files import BOM, Lists, entry_of, hex_hash, lines_of

__all__ = ["add_foreign", "add_hashdeep", "add_pdq", "add_sums"]

_BSD = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256", "sha512": "SHA512"}


# --- hashdeep, md5sum and its kin, PDQ text


def add_hashdeep(lists: Lists) -> None:
    """The format of hashdeep."""
    head = ["%%%% HASHDEEP-1.0", "%%%% size,md5,sha256,filename", "## Invoked from: /", "## $ hashdeep -r ."]

    def row(label: str, size: int, name: str) -> str:
        return f"{size},{hex_hash('md5', label)},{hex_hash('sha256', label)},{name}"

    def entry(label: str, size: int, name: str) -> dict[str, Any]:
        return entry_of(name, {"md5": hex_hash("md5", label), "sha256": hex_hash("sha256", label)}, size=size)

    rows = [row("1", 1, "/a/b.jpg"), row("2", 0, '/with, comma and "quotes".jpg')]
    entries = [entry("1", 1, "/a/b.jpg"), entry("2", 0, '/with, comma and "quotes".jpg')]
    lists.valid(
        "hashdeep.txt",
        "the name is the last column, unquoted, and may hold commas",
        lines_of(head + rows),
        "hashdeep",
        entries,
    )
    nothing = f"0,{EMPTY_DIGESTS['md5'].hex()},{EMPTY_DIGESTS['sha256'].hex()},/empty"
    lists.valid(
        "hashdeep-dirty.txt",
        "BOM, CR LF, upper-case hex, a blank line, an empty file, another order of columns further down",
        BOM
        + lines_of(
            [
                *head,
                "",
                rows[0].upper().replace("/A/B.JPG", "/a/b.jpg"),
                nothing,
                head[0],
                "%%%% size,sha1,filename",
                f"5,{hex_hash('sha1', '5')},/c",
            ],
            "\r\n",
        ),
        "hashdeep",
        [
            entries[0],
            entry_of("/empty", {}, size=0, empty_digests=2),
            entry_of("/c", {"sha1": hex_hash("sha1", "5")}, size=5),
        ],
    )
    lists.invalid(
        "hashdeep-odd-hex.txt",
        "an MD5 of 31 digits",
        lines_of([*head, rows[0], rows[1].replace(hex_hash("md5", "2"), hex_hash("md5", "2")[1:])]),
        "HashTextError",
        line=6,
        record=2,
        field="md5",
        kept=(1, 1),
    )
    lists.invalid(
        "hashdeep-no-columns.txt",
        "a record before the columns are declared; one behind them",
        lines_of([head[0], rows[0], head[1], rows[1]]),
        "RecordError",
        line=2,
        record=1,
        kept=(1, 1),
    )
    lists.invalid(
        "hashdeep-unknown-column.txt",
        "a column that hashdeep does not write",
        lines_of([head[0], "%%%% size,md5,sha3,filename"]),
        "RecordError",
        line=2,
    )
    lists.invalid(
        "hashdeep-truncated.txt",
        "the last line ends within a digest",
        lines_of([*head, *rows])[: -len(rows[1]) + 20],
        "RecordError",
        line=6,
        record=2,
        kept=(1, 1),
    )


def add_sums(lists: Lists) -> None:
    """md5sum, sha1sum, sha256sum and sha512sum."""
    for name in ("md5", "sha1", "sha256", "sha512"):
        one, two = hex_hash(name, "1"), hex_hash(name, "2")
        empty = EMPTY_DIGESTS[name].hex()
        form = f"{name}sum"

        def entries(*paths: str, algorithm: str = name) -> list[dict[str, Any]]:
            return [
                entry_of(path, {algorithm: hex_hash(algorithm, label)})
                for label, path in zip("12", paths, strict=False)
            ]

        lists.valid(
            f"{form}-gnu.txt",
            "GNU: text and binary mode; a path may hold spaces",
            lines_of([f"{one}  a/b c.jpg", f"{two} *d.jpg"]),
            form,
            entries("a/b c.jpg", "d.jpg"),
        )
        lists.valid(
            f"{form}-bsd.txt",
            "BSD: the algorithm by name, parentheses in a path",
            lines_of([f"{_BSD[name]} (a.jpg) = {one}", f"{_BSD[name]} (b (1).jpg) = {two}"]),
            form,
            entries("a.jpg", "b (1).jpg"),
        )
        lists.valid(
            f"{form}-escaped.txt",
            "GNU: a leading backslash says that the path is escaped",
            lines_of([f"\\{one}  line\\nend", f"{two}  plain\\nbackslash"]),
            form,
            entries("line\nend", "plain\\nbackslash"),
        )
        lists.valid(
            f"{form}-dirty.txt",
            "BOM, CR LF, a comment, a blank line, upper-case hex, the digest of the empty file",
            BOM + lines_of(["# comment", "", f"{one.upper()}  a.jpg", f"{empty}  empty"], "\r\n"),
            form,
            [*entries("a.jpg"), entry_of("empty", {}, empty_digests=1)],
        )
        bare = lines_of([one, two])
        if name == "sha256":
            lists.valid(
                "bare.sha256",
                "bare digests of 64 digits: the suffix says that they are no PDQ hashes",
                bare,
                form,
                entries("", ""),
            )
        else:
            lists.valid(f"{form}-bare.txt", "digests alone", bare, form, entries("", ""))

    one, two, three = (hex_hash("md5", k) for k in "123")

    def bad(name: str, comment: str, second: str, error: str = "RecordError", field: str | None = None) -> None:
        data = lines_of([f"{one}  a", second, f"{three}  c"])
        lists.invalid(name, comment, data, error, line=2, record=2, field=field, kept=(2, 1))

    bad("md5sum-unknown-escape.txt", "an escape that md5sum does not write", f"\\{two}  a\\tb", field="path")
    bad("md5sum-control-character.txt", "ESC in a path", f"{two}  a\x1b[0m", field="path")
    bad("md5sum-no-path.txt", "a digest without a path among digests with paths", two)
    bad(
        "md5sum-other-algorithm.txt",
        "a SHA1 in BSD form among MD5s",
        f"SHA1 (b) = {hex_hash('sha1', '2')}",
        field="md5",
    )
    lists.invalid(
        "md5sum-truncated.txt",
        "the last line ends within its digest",
        lines_of([f"{one}  a", two[:20]])[:-1],
        "HashTextError",
        line=2,
        record=2,
        field="md5",
        kept=(1, 1),
    )
    lists.invalid(
        "md5sum-lone-digest.txt",
        "a single digest without a line end may be half of a longer one",
        one.encode(),
        "RecordError",
        line=1,
    )


def add_pdq(lists: Lists) -> None:
    """PDQ text."""
    one, two, three = (hex_hash("pdq", k) for k in "123")

    def entry(label: str, quality: int | None, ref: str) -> dict[str, Any]:
        known = {} if quality is None else {"pdq": quality}
        return entry_of(ref, {"pdq": hex_hash("pdq", label)}, quality=known)

    lists.valid(
        "pdq.txt",
        "hash, quality and name; the name may hold commas",
        lines_of([f"{one},100,a.jpg", f"{two},0,b, c.jpg"]),
        "pdq",
        [entry("1", 100, "a.jpg"), entry("2", 0, "b, c.jpg")],
    )
    lists.valid(
        "pdq-dirty.txt",
        "BOM, CR LF, a comment, a blank line, upper-case hex, white space, no quality",
        BOM + lines_of(["# comment", f"{one.upper()}, 50", "", f"{two},,name"], "\r\n"),
        "pdq",
        [entry("1", 50, ""), entry("2", None, "name")],
    )
    lists.valid(
        "bare.pdq",
        "bare hashes of 64 digits: the suffix says that they are no SHA-256",
        lines_of([one, two]),
        "pdq",
        [entry("1", None, ""), entry("2", None, "")],
    )
    lists.valid(
        "bare-64.lst",
        "bare values of 64 digits read as the format that the user names",
        lines_of([one, two]),
        "pdq",
        [entry("1", None, ""), entry("2", None, "")],
        named=True,
    )
    digests = [entry_of("", {"sha256": value}) for value in (one, two)]
    lists.valid(
        "bare-64.lst", "the same file read as the other", lines_of([one, two]), "sha256sum", digests, named=True
    )
    lists.invalid(
        "pdq-63-digits.txt",
        "63 digits, an odd number",
        lines_of([f"{one},100,a", f"{two[1:]},100,b", f"{three},1,c"]),
        "HashTextError",
        line=2,
        record=2,
        field="pdq",
        kept=(2, 1),
    )
    lists.invalid(
        "pdq-quality.txt",
        "a quality that is no number",
        lines_of([f"{one},100,a", f"{two},high,b"]),
        "RecordError",
        line=2,
        record=2,
        field="quality",
        kept=(1, 1),
    )
    lists.invalid(
        "pdq-truncated.txt",
        "the last line ends before its name",
        lines_of([f"{one},100,a", f"{two},1"])[:-1],
        "RecordError",
        line=2,
        record=2,
        kept=(1, 1),
    )


# --- files that no reader takes


def add_foreign(lists: Lists) -> None:
    """Files that no reader takes."""
    values = lines_of([hex_hash("pdq", "1"), hex_hash("pdq", "2")])
    lists.invalid(
        "ambiguous.txt",
        "bare values of 64 digits: SHA-256 or PDQ, nothing says which",
        values,
        "FormatAmbiguousError",
        by="detect",
    )
    lists.invalid("empty.csv", "no bytes at all", b"", "InputError", by="detect")
    lists.invalid("blank.txt", "blank lines alone", b"\n \n\n", "FormatUnknownError", by="detect")
    lists.invalid(
        "prose.txt",
        "text that is no list",
        b"Dear colleagues,\nplease find the list below.\n",
        "FormatUnknownError",
        by="detect",
    )
    lists.invalid(
        "no-hash-column.csv",
        "a table without any column of hashes",
        lines_of(["id,name", "1,a"]),
        "FormatUnknownError",
        by="detect",
    )
    lists.invalid(
        "image.csv",
        "the first bytes of a PNG image under the name of a list",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "FormatUnknownError",
        by="detect",
    )
    lists.invalid(
        "gzip.csv",
        "the first bytes of a compressed file",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        "FormatUnknownError",
        by="detect",
    )
