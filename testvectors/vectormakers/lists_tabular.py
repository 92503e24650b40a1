"""Lists with named columns or keys: INTERPOL ICSE, generic CSV, JSON Lines."""

from __future__ import annotations

import base64
import json
from typing import Any

from hashmatch.algorithms import EMPTY_DIGESTS
from vectormakers.list_files import BOM, Lists, category_of, entry_of, hex_hash, lines_of, raw_hash

__all__ = ["add_csv", "add_icse", "add_jsonl"]

_ICSE = [
    *("MD5", "SHA1", "ZZ40", "PhotoDNA", "Lace", "Image ID", "Is distributed", "Victim identified"),
    *("Offender identified", "Series name", "Investigation name", "Agency", "Number of submissions"),
    *("File Available", "Media Type", "Baseline"),
]


# --- INTERPOL ICSE


def _icse_cells(label: str, **cells: str) -> dict[str, str]:
    start = {
        "MD5": hex_hash("md5", label),
        "SHA1": hex_hash("sha1", label),
        "ZZ40": hex_hash("zz40", label).upper(),
        "PhotoDNA": hex_hash("photodna", label).upper(),
        "Lace": base64.b64encode(raw_hash("lace", label)).decode(),
        "Image ID": f"icse-{label}",
        "Is distributed": "Y",
        "Victim identified": "N",
        "Offender identified": "N",
        "Series name": "",
        "Investigation name": "",
        "Agency": "",
        "Number of submissions": "1",
        "File Available": "True",
        "Media Type": "Image",
        "Baseline": "Yes",
    }
    return start | {key.replace("_", " "): value for key, value in cells.items()}


def _icse_entry(label: str, *, without: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    names = [n for n in ("md5", "sha1", "photodna", "zz40", "lace") if n not in without]
    metadata = {
        "file_available": True,
        "is_distributed": True,
        "offender_identified": False,
        "submissions": 1,
        "victim_identified": False,
    }
    start: dict[str, Any] = {"category": category_of("interpol", "baseline"), "media_type": "image"}
    start["metadata"] = metadata | more.pop("metadata", {})
    return entry_of(f"icse-{label}", {n: hex_hash(n, label) for n in names}, **start | more)


def _icse(rows: list[dict[str, str]], columns: list[str] | None = None, end: str = "\n", extra: str = "") -> bytes:
    columns = columns or _ICSE
    return lines_of([";".join(columns) + extra, *(";".join(row[c] for c in columns) + extra for row in rows)], end)


def add_icse(lists: Lists) -> None:
    """Exports of INTERPOL ICSE."""
    rows = [
        _icse_cells("1"),
        _icse_cells(
            "2",
            Series_name="Series é",
            Investigation_name="Test",
            Agency="NCB",
            Number_of_submissions="12",
            Victim_identified="Y",
            Offender_identified="Y",
            Is_distributed="N",
            File_Available="False",
            Media_Type="Video",
            Baseline="No",
        ),
        _icse_cells("3", PhotoDNA="", Lace="", ZZ40=""),
    ]
    told = {
        "agency": "NCB",
        "file_available": False,
        "investigation": "Test",
        "is_distributed": False,
        "offender_identified": True,
        "series": "Series é",
        "submissions": 12,
        "victim_identified": True,
    }
    second = _icse_entry("2", category=category_of("interpol", "non-baseline"), media_type="video", metadata=told)
    third = _icse_entry("3", without=("photodna", "zz40", "lace"))
    lists.valid(
        "icse.csv",
        "an INTERPOL ICSE export in the usual order of columns",
        _icse(rows),
        "icse",
        [_icse_entry("1"), second, third],
    )
    dirty = [
        _icse_cells("1", MD5=hex_hash("md5", "1").upper(), SHA1=hex_hash("sha1", "1").upper()),
        _icse_cells("4", MD5=EMPTY_DIGESTS["md5"].hex(), SHA1=EMPTY_DIGESTS["sha1"].hex()),
    ]
    lists.valid(
        "icse-dirty.csv",
        "columns in another order, BOM, CR LF, an extra empty column on every row, upper-case digests, digests of the "
        "empty file (dropped, counted)",
        BOM + _icse(dirty, _ICSE[::-1], "\r\n", ";"),
        "icse",
        [_icse_entry("1"), _icse_entry("4", without=("md5", "sha1"), empty_digests=2)],
    )
    quoted = [_icse_cells("1", Series_name='"a;b ""c""\nd"', Agency='"x"'), _icse_cells("5")]
    lists.valid(
        "icse-quoted.csv",
        "quoted cells with the delimiter, a quote and a line end inside",
        _icse(quoted),
        "icse",
        [_icse_entry("1", metadata={"series": 'a;b "c"\nd', "agency": "x"}), _icse_entry("5")],
    )
    whole = [_icse_cells(str(k)) for k in (1, 2, 3)]
    bad = whole.copy()
    bad[1] = _icse_cells("2", MD5=hex_hash("md5", "2") + "0")
    lists.invalid(
        "icse-md5-33-digits.csv",
        "an MD5 of 33 digits, as seen in the field",
        _icse(bad),
        "HashTextError",
        line=3,
        record=2,
        field="MD5",
        kept=(2, 1),
    )
    bad[1] = _icse_cells("2", Lace="!" + base64.b64encode(raw_hash("lace", "2")).decode()[1:])
    lists.invalid(
        "icse-lace-not-base64.csv",
        "a character that is no base64",
        _icse(bad),
        "HashTextError",
        line=3,
        record=2,
        field="Lace",
        kept=(2, 1),
    )
    bad[1] = _icse_cells("2", Baseline="maybe")
    lists.invalid(
        "icse-unknown-word.csv",
        "a category that is neither Yes nor No",
        _icse(bad),
        "RecordError",
        line=3,
        record=2,
        field="Baseline",
        kept=(2, 1),
    )
    bad[1] = _icse_cells("2", **{"Image ID": ""})
    lists.invalid(
        "icse-no-reference.csv",
        "a row without Image ID",
        _icse(bad),
        "RecordError",
        line=3,
        record=2,
        field="Image ID",
        kept=(2, 1),
    )
    lists.invalid(
        "icse-missing-column.csv",
        "a header without Agency",
        _icse(whole, [c for c in _ICSE if c != "Agency"]),
        "RecordError",
        line=1,
    )
    data = _icse(whole)
    lists.invalid(
        "icse-truncated.csv",
        "the last row ends within its PhotoDNA",
        data[: data.rindex(b";icse-3") - 200],
        "RecordError",
        line=4,
        record=3,
        kept=(2, 1),
    )


# --- generic CSV


def add_csv(lists: Lists) -> None:
    """CSV with a header."""

    def row(label: str) -> str:
        return f"e-{label},{hex_hash('md5', label)}"

    def entry(label: str, **more: Any) -> dict[str, Any]:
        return entry_of(f"e-{label}", {"md5": hex_hash("md5", label)}, **more)

    full = entry_of(
        "e-1",
        {
            "md5": hex_hash("md5", "1"),
            "sha512": hex_hash("sha512", "1"),
            "pdq": hex_hash("pdq", "1"),
            "phash": hex_hash("phash", "1"),
        },
        quality={"pdq": 97},
        category=category_of("ncmec", "A1"),
        media_type="image",
        size=12_345,
        metadata={"Comment": "a, b"},
    )
    head = "id,md5,sha512,pdq,pdq_quality,phash,category,category_scheme,media_type,size,Comment"
    md5, sha512, pdq, phash = (hex_hash(name, "1") for name in ("md5", "sha512", "pdq", "phash"))
    cells = f"e-1,{md5},{sha512},{pdq},97,{phash},A1,ncmec,image,12345"
    sparse = f"e-2,{hex_hash('md5', '2')},,,,,,,,,"
    lists.valid(
        "all-columns.csv",
        "every column that has a meaning, and one that is kept as metadata",
        lines_of([head, f'{cells},"a, b"', sparse]),
        "csv",
        [full, entry("2")],
    )
    dirty = ["ID,MD5,", "", f"e-1,{hex_hash('md5', '1').upper()},", f"e-2, {hex_hash('md5', '2')} ,", "  "]
    lists.valid(
        "dirty.csv",
        "BOM, CR LF, blank lines, an extra empty column on every row, upper-case hex, white space around a hash, names "
        "of columns in upper case",
        BOM + lines_of(dirty, "\r\n"),
        "csv",
        [entry("1"), entry("2")],
    )
    empties = [
        "id,md5,sha256",
        f"e-1,{EMPTY_DIGESTS['md5'].hex()},{hex_hash('sha256', '1')}",
        f"e-2,{EMPTY_DIGESTS['md5'].hex()},{EMPTY_DIGESTS['sha256'].hex().upper()}",
    ]
    lists.valid(
        "empty-file-digests.csv",
        "digests of the empty file are dropped and counted; a record may be left without any",
        lines_of(empties),
        "csv",
        [entry_of("e-1", {"sha256": hex_hash("sha256", "1")}, empty_digests=1), entry_of("e-2", {}, empty_digests=2)],
    )
    lists.valid(
        "tabs.tsv", "tab between the cells", lines_of(["id\tmd5", row("1").replace(",", "\t")]), "csv", [entry("1")]
    )
    lists.valid(
        "no-reference.csv",
        "no column id: the list derives references",
        lines_of(["md5", hex_hash("md5", "1"), hex_hash("md5", "2")]),
        "csv",
        [entry_of("", {"md5": hex_hash("md5", k)}) for k in "12"],
    )
    lists.valid(
        "no-line-end.csv",
        "the last row has no line end, but all its columns",
        lines_of(["id,md5", row("1")])[:-1],
        "csv",
        [entry("1")],
    )
    lists.valid(
        "utf-16.csv",
        "UTF-16 with BOM, as spreadsheets save it",
        "\r\n".join(["id,md5,note", f"{row('1')},é", ""]).encode("utf-16-le").join((b"\xff\xfe", b"")),
        "csv",
        [entry("1", metadata={"note": "é"})],
    )
    pdna = raw_hash("photodna", "1")
    forms = [pdna.hex().upper(), base64.b64encode(pdna).decode(), '"' + ",".join(map(str, pdna)) + '"']
    lists.valid(
        "photodna-forms.csv",
        "PhotoDNA as 288 hexadecimal digits, as base64 and as 144 decimals: one and the same value",
        lines_of(["id,PhotoDNA", *(f"{k},{text}" for k, text in enumerate(forms))]),
        "csv",
        [entry_of(str(k), {"photodna": pdna.hex()}) for k in range(3)],
    )
    same = [row("1"), row("2"), row("1")]
    lists.valid(
        "repeated-record.csv",
        "one record twice, the same in everything: no contradiction",
        lines_of(["id,md5", *same]),
        "csv",
        [entry("1"), entry("2"), entry("1")],
    )

    def bad(name: str, comment: str, second: str, error: str, field: str | None, header: str = "id,md5") -> None:
        tail = "," * (header.count(",") - 1)
        data = lines_of([header, row("1") + tail, second, row("3") + tail])
        lists.invalid(name, comment, data, error, line=3, record=2, field=field, kept=(2, 1))

    bad("odd-hex.csv", "31 digits, an odd number", f"e-2,{hex_hash('md5', '2')[1:]}", "HashTextError", "md5")
    bad("wrong-width.csv", "a SHA-1 in the column of MD5", f"e-2,{hex_hash('sha1', '2')}", "HashTextError", "md5")
    bad("not-hex.csv", "a letter that is no digit", f"e-2,{hex_hash('md5', '2')[:-1]}g", "HashTextError", "md5")
    bad("control-character.csv", "ESC in a reference", f"e-\x1b[2J,{hex_hash('md5', '2')}", "RecordError", "id")
    bad(
        "nul-character.csv", "NUL in metadata", f"e-2,{hex_hash('md5', '2')},a\0b", "RecordError", "note", "id,md5,note"
    )
    bad("no-hash.csv", "a record without any hash", "e-2,", "RecordError", None)
    bad("one-column-too-many.csv", "a cell beyond the header that is not empty", f"{row('2')},x", "RecordError", None)
    bad("negative-size.csv", "a size below zero", f"{row('2')},-1", "RecordError", "size", "id,md5,size")
    bad(
        "quality-over-100.csv",
        "a quality of 101",
        f"{row('2')},{hex_hash('pdq', '2')},101",
        "RecordError",
        "pdq_quality",
        "id,md5,pdq,pdq_quality",
    )
    bad(
        "media-type.csv",
        "a media type that is not known",
        f"{row('2')},audio",
        "RecordError",
        "media_type",
        "id,md5,media_type",
    )
    numbers = ",".join(map(str, [*raw_hash("photodna", "2")[:143], 256]))
    bad(
        "photodna-decimal-256.csv",
        "a decimal over 255",
        f'{row("2")},"{numbers}"',
        "HashTextError",
        "photodna",
        "id,md5,photodna",
    )
    lists.invalid(
        "truncated.csv",
        "the last row ends before its last column",
        lines_of(["id,md5,size", f"{row('1')},1", row("2")])[:-1],
        "RecordError",
        line=3,
        record=2,
        kept=(1, 1),
    )
    lists.invalid(
        "duplicate-column.csv", "two columns of one name", lines_of(["id,md5,ID", "a,,b"]), "RecordError", line=1
    )
    lists.invalid(
        "two-md5-columns.csv",
        "two names of one algorithm",
        lines_of(["id,md5,MD5 hash", f"{row('1')},"]),
        "RecordError",
        line=1,
    )
    lists.invalid(
        "invalid-utf-8.csv",
        "a byte that is not UTF-8 (Latin-1): where it stands in the text is not certain",
        b"id,md5,note\n" + row("1").encode() + b",a\n" + row("2").encode() + b",\xe9\n",
        "RecordError",
        line=3,
    )
    lists.invalid(
        "unclosed-quote.csv",
        "a quoted cell that never ends",
        lines_of(["id,md5,note", f"{row('1')},a", f'{row("2")},"b', row("3")]),
        "RecordError",
        line=3,
        record=None,
    )
    lists.invalid(
        "two-errors.csv",
        "an odd number of digits, and behind it a quoted cell that never ends: the first error is the one to report",
        lines_of(["id,md5,note", f"{row('1')},a", f"e-2,{hex_hash('md5', '2')[1:]},b", f'{row("3")},"c', row("4")]),
        "HashTextError",
        line=3,
        record=2,
        field="md5",
    )
    other = f"e-1,{hex_hash('md5', 'other')}"
    lists.invalid(
        "conflicting-references.csv",
        "one reference with two contents: every record is well formed, the import refuses",
        lines_of(["id,md5", row("1"), row("2"), other]),
        "RecordError",
        by="import",
        record=3,
        kept=(2, 1),
    )


# --- JSON Lines


def add_jsonl(lists: Lists) -> None:
    """JSON Lines."""

    def line(label: str, **more: Any) -> str:
        return json.dumps({"id": f"j-{label}", "md5": hex_hash("md5", label)} | more, ensure_ascii=False)

    def entry(label: str, **more: Any) -> dict[str, Any]:
        return entry_of(f"j-{label}", {"md5": hex_hash("md5", label)}, **more)

    first = line(
        "1", size=7, category="1", category_scheme="vics-us-2.0", media_type="video", note={"a": [1, None, "é"]}
    )
    lists.valid(
        "plain.jsonl",
        "fields as in CSV; other fields keep their values and types",
        lines_of([first, line("2", sha1=None, sha256="")]),
        "jsonl",
        [
            entry(
                "1",
                size=7,
                category=category_of("vics-us-2.0", "1"),
                media_type="video",
                metadata={"note": {"a": [1, None, "é"]}},
            ),
            entry("2"),
        ],
    )
    nested = {
        "ID": 17,
        "hashes": {
            "pdq": hex_hash("pdq", "1").upper(),
            "photodna": list(raw_hash("photodna", "1")),
            "crc32": "00000000",
        },
        "quality": {"pdq": 100},
    }
    lists.valid(
        "nested.jsonl",
        "hashes in an object, PhotoDNA as a list of numbers, a number as reference, BOM, CR LF, a blank line",
        BOM + lines_of([json.dumps(nested), ""], "\r\n"),
        "jsonl",
        [
            entry_of(
                "17",
                {"pdq": hex_hash("pdq", "1"), "photodna": hex_hash("photodna", "1")},
                quality={"pdq": 100},
                metadata={"hashes": {"crc32": "00000000"}},
            )
        ],
    )

    def bad(name: str, comment: str, second: str, error: str = "RecordError", field: str | None = None) -> None:
        data = lines_of([line("1"), second, line("3")])
        lists.invalid(name, comment, data, error, line=2, record=2, field=field, kept=(2, 1))

    twice = '{{"id": "j-2", "md5": "{0}", "md5": "{0}"}}'
    bad("duplicate-key.jsonl", "one key twice, even with one value", twice.format(hex_hash("md5", "2")))
    bad("nested-duplicate-key.jsonl", "one key twice further in", line("2", x={"a": 1})[:-2] + ', "a": 1}}')
    bad("wrong-width.jsonl", "an MD5 under sha1", line("2", sha1=hex_hash("md5", "2")), "HashTextError", "sha1")
    bad("hash-is-number.jsonl", "a number where a hash is due", line("2", sha1=12), "HashTextError", "sha1")
    bad("not-a-number.jsonl", "NaN is not JSON", line("2")[:-1] + ', "x": NaN}')
    bad("not-an-object.jsonl", "a list where an object is due", "[1, 2]")
    bad("control-character.jsonl", "an escaped BEL in a reference", line("2", id="j-\x07"), field="id")
    bad("lone-surrogate.jsonl", "half of a surrogate pair", line("2")[:-1] + ', "x": "\\ud800"}', field="x")
    bad("too-deep.jsonl", "arrays nested 100 levels deep", line("2")[:-1] + f', "x": {"[" * 100}{"]" * 100}}}')
    bad(
        "photodna-143.jsonl",
        "143 numbers where 144 are due",
        line("2", photodna=[0] * 143),
        "HashTextError",
        "photodna",
    )
    lists.invalid(
        "truncated.jsonl",
        "the last line ends within its object",
        lines_of([line("1"), line("2")])[:-20],
        "RecordError",
        line=2,
        record=2,
        kept=(1, 1),
    )
