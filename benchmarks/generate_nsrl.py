"""Write a generated NSRL Reference Data Set: random hashes and made-up names, in the schema that NIST publishes.

Nothing in it was ever the hash of anything. The same seed and rows give the same rows.

    python benchmarks/generate_nsrl.py --rows 3000000 --out RDS_minimal.db
    python benchmarks/generate_nsrl.py --rows 100000 --form full --out RDS_full.db
    python benchmarks/generate_nsrl.py --rows 100000 --form text --out NSRLFile.txt
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

#: The columns of a row, as the table FILE has them: sha256, sha1, md5, crc32, file_name, file_size, package_id.
Row = tuple[str, str, str, str, str, int, int]

MINIMAL = """
CREATE TABLE FILE (
    sha256     VARCHAR NOT NULL,
    sha1       VARCHAR NOT NULL,
    md5        VARCHAR NOT NULL,
    crc32      VARCHAR NOT NULL,
    file_name  VARCHAR NOT NULL,
    file_size  INTEGER NOT NULL,
    package_id INTEGER NOT NULL,
    CONSTRAINT PK_FILE__FILE PRIMARY KEY (sha256, sha1, md5, crc32, file_name, file_size, package_id)
);
CREATE TABLE MFG (
    manufacturer_id INTEGER NOT NULL,
    name            VARCHAR NOT NULL,
    CONSTRAINT PK_MFG__MFG_ID PRIMARY KEY (manufacturer_id)
);
CREATE TABLE OS (
    operating_system_id INTEGER NOT NULL,
    name                VARCHAR NOT NULL,
    version             VARCHAR NOT NULL,
    manufacturer_id     INTEGER NOT NULL,
    CONSTRAINT PK_OS__OS_ID PRIMARY KEY (operating_system_id, manufacturer_id)
);
CREATE TABLE PKG (
    package_id          INTEGER NOT NULL,
    name                VARCHAR NOT NULL,
    version             VARCHAR NOT NULL,
    operating_system_id INTEGER NOT NULL,
    manufacturer_id     INTEGER NOT NULL,
    language            VARCHAR NOT NULL,
    application_type    VARCHAR NOT NULL,
    CONSTRAINT PK_PGK__PKG_ID PRIMARY KEY
        (package_id, operating_system_id, manufacturer_id, language, application_type)
);
CREATE TABLE VERSION (
    version      VARCHAR UNIQUE NOT NULL,
    build_set    VARCHAR NOT NULL,
    build_date   TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL,
    release_date TIMESTAMP NOT NULL,
    description  VARCHAR NOT NULL,
    CONSTRAINT PK_VERSION__VERSION PRIMARY KEY (version)
);
CREATE VIEW DISTINCT_HASH AS SELECT DISTINCT sha256, sha1, md5, crc32 FROM FILE;
"""

#: Of the full set only what FILE is made of: hashes in lower case in METADATA, packages in PACKAGE_OBJECT, and a view.
FULL = """
CREATE TABLE METADATA (
    object_id INTEGER NOT NULL,
    path      VARCHAR NOT NULL,
    file_name VARCHAR NOT NULL,
    extension VARCHAR NOT NULL,
    bytes     INTEGER NOT NULL,
    crc32     VARCHAR NOT NULL,
    md5       VARCHAR NOT NULL,
    sha1      VARCHAR NOT NULL,
    sha256    VARCHAR NOT NULL
);
CREATE TABLE PACKAGE_OBJECT (
    package_id INTEGER NOT NULL,
    object_id  INTEGER NOT NULL,
    PRIMARY KEY (object_id, package_id)
) WITHOUT ROWID;
CREATE TABLE VERSION (version VARCHAR UNIQUE NOT NULL, build_set VARCHAR NOT NULL, description VARCHAR NOT NULL);
CREATE VIEW FILE AS
    SELECT UPPER(md.sha256) AS sha256, UPPER(md.sha1) AS sha1, UPPER(md.md5) AS md5, UPPER(md.crc32) AS crc32,
        REPLACE(md.file_name, '"', '') AS file_name, md.bytes AS file_size, po.package_id AS package_id
    FROM METADATA AS md, PACKAGE_OBJECT AS po
    WHERE md.object_id = po.object_id;
"""

TEXT_HEADER = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"'

FORMS = ("minimal", "full", "text")
CHUNK = 20_000
PACKAGES = 5_000
_STEMS = ("setup", "readme", "icon", "libcore", "strings", "theme", "msg", "índice", "資料", "it's", "a,b", 'say "hi"')
_SUFFIXES = ("dll", "exe", "txt", "png", "js", "html", "xml", "class", "so.1", "")


def rows(count: int, seed: int) -> Iterator[list[Row]]:
    """Chunks of rows, ascending by SHA-256, as the primary key orders them.

    As in the real one, most file names are plain ASCII, a few need escapes in JSON, and files are in several packages.
    """
    rng = np.random.default_rng(seed)
    step = (1 << 32) / max(1, count)
    before: Row | None = None
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        lead = ((np.arange(start, start + n) + rng.random(n)) * step).astype(">u4").tobytes().hex().upper()
        rest, sha1, md5, crc32 = (rng.bytes(n * width).hex().upper() for width in (28, 20, 16, 4))
        # One name in a hundred has one of the stems that are not plain.
        stems = np.where(rng.random(n) < 0.01, rng.integers(7, 12, n), rng.integers(0, 7, n)).tolist()
        suffixes, numbers = rng.integers(len(_SUFFIXES), size=n).tolist(), rng.integers(100_000, size=n).tolist()
        sizes = (2 ** rng.normal(13, 4, n)).astype(np.int64).tolist()
        packages = rng.geometric(5 / PACKAGES, n).tolist()
        again = (rng.random(n) < 0.3).tolist()
        chunk: list[Row] = []
        for k in range(n):
            package = 1000 + packages[k]
            if again[k] and before is not None and before[6] < package:
                row = (*before[:6], package)
            else:
                row = (
                    lead[8 * k : 8 * k + 8] + rest[56 * k : 56 * k + 56],
                    sha1[40 * k : 40 * k + 40],
                    md5[32 * k : 32 * k + 32],
                    crc32[8 * k : 8 * k + 8],
                    f"{_STEMS[stems[k]]}{numbers[k]}.{_SUFFIXES[suffixes[k]]}",
                    sizes[k],
                    package,
                )
            chunk.append(row)
            before = row
        yield chunk


def write_database(path: Path, count: int, seed: int, *, full: bool = False) -> None:
    """Write RDS 3, minimal or full, of ``count`` rows in FILE."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA journal_mode = OFF")
        database.executescript(FULL if full else MINIMAL)
        database.execute("BEGIN")
        number = 0
        for chunk in rows(count, seed):
            if full:
                objects = [(number + k, row) for k, row in enumerate(chunk)]
                number += len(chunk)
                database.executemany(
                    "INSERT INTO METADATA VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        (n, "/", r[4], r[4].rpartition(".")[2], r[5], *(r[at].lower() for at in (3, 2, 1, 0)))
                        for n, r in objects
                    ),
                )
                database.executemany("INSERT INTO PACKAGE_OBJECT VALUES (?, ?)", ((r[6], n) for n, r in objects))
            else:
                database.executemany("INSERT INTO FILE VALUES (?, ?, ?, ?, ?, ?, ?)", chunk)
        if not full:
            database.execute("INSERT INTO MFG VALUES (1, 'Nobody')")
            database.execute("INSERT INTO OS VALUES (1, 'Any', '1', 1)")
            packages = range(1000, 1000 + 2 * PACKAGES)
            database.executemany(
                "INSERT INTO PKG VALUES (?, ?, '1.0', 1, 1, 'English', 'Utility')",
                ((n, f"Package {n}") for n in packages),
            )
            database.execute(
                "INSERT INTO VERSION VALUES ('2022.12.1', 'generated', '2022-12-01', '2022-12-01', 'random hashes')"
            )
        else:
            database.execute("INSERT INTO VERSION VALUES ('2022.12.1', 'generated', 'random hashes')")
        database.execute("COMMIT")


def write_text(path: Path, count: int, seed: int) -> None:
    """Write RDS 2, ``NSRLFile.txt``, of ``count`` rows."""
    with path.open("w", encoding="utf-8", newline="\r\n") as out:
        out.write(TEXT_HEADER + "\n")
        for chunk in rows(count, seed):
            out.writelines(
                f'"{sha1}","{md5}","{crc32}","{name.replace(chr(34), chr(34) * 2)}",{size},{package},"358",""\n'
                for _, sha1, md5, crc32, name, size, package in chunk
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000, help="number of rows (default: 3,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers (default: 1)")
    parser.add_argument("--form", choices=FORMS, default="minimal", help="which form (default: minimal)")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    given = parser.parse_args()
    if given.rows < 0:
        parser.error("--rows: expected a number of at least 0")
    if given.form == "text":
        write_text(given.out, given.rows, given.seed)
    else:
        write_database(given.out, given.rows, given.seed, full=given.form == "full")
    return 0


if __name__ == "__main__":
    sys.exit(main())
