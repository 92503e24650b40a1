"""A report as a folder of files, written as the results come and complete only when all of it is on the disk."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any, Self

from hashmatch.errors import FileExistsAlreadyError
from hashmatch.files import create_private, storage_error, sync_folder, temporary_beside
from hashmatch.matcher import MatchResult
from hashmatch.report.rows import CSV_COLUMNS, csv_rows, json_line

__all__ = ["ReportFolder"]


class ReportFolder:
    """Writes ``results.jsonl``, ``results.csv``, ``summary.txt``, ``report.json`` and ``manifest.json``.

    Everything is written to a temporary folder beside the target, which takes its name when `finish` ends; a run that
    fails leaves nothing. An existing report is never touched.

    Raises:
        FileExistsAlreadyError: the target is there and is not an empty folder.
        StorageError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Prepare the report folder ``path``, which must not hold anything yet."""
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - "." needs a name; links stay as they are
        if os.path.lexists(self.path) and not _is_empty_folder(self.path):
            raise FileExistsAlreadyError(
                f"{path}: exists already and is not an empty folder; a report never replaces one: choose another name"
            )
        self._temporary = temporary_beside(self.path)
        self._finished = False
        try:
            self._temporary.mkdir(mode=0o700)
            self._jsonl = self._open("results.jsonl", "\n")
            self._csv_file = self._open("results.csv", "")
        except OSError as error:
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise storage_error(self.path, error, "no report was written") from error
        self._csv = csv.writer(self._csv_file, lineterminator="\n")
        self._csv.writerow(CSV_COLUMNS)

    def _open(self, name: str, newline: str) -> io.TextIOWrapper:
        return io.TextIOWrapper(create_private(self._temporary / name), "utf-8", newline=newline)

    def add(self, result: MatchResult, input_number: int, record_number: int) -> None:
        """Write one result."""
        try:
            self._jsonl.write(json_line(result, input_number, record_number) + "\n")
            self._csv.writerows(csv_rows(result, input_number, record_number))
        except OSError as error:
            raise storage_error(self.path, error, "no report was written") from error

    def finish(self, header: dict[str, Any], summary: dict[str, Any], text: list[str]) -> None:
        """Write header and summary, seal the folder with a manifest, and give it its name."""
        try:
            document = {"header": header, "summary": summary}
            self._write("report.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")
            self._write("summary.txt", "\n".join(text) + "\n")
            for file in (self._jsonl, self._csv_file):
                file.flush()
                os.fsync(file.fileno())
                file.close()
            digests = {}
            for path in sorted(self._temporary.iterdir()):
                with path.open("rb") as content:
                    digests[path.name] = hashlib.file_digest(content, "sha256").hexdigest()
            manifest = {"format": "hashmatch report manifest 1", "sha256": digests}
            self._write("manifest.json", json.dumps(manifest, indent=2) + "\n")
            if self.path.exists():
                self.path.rmdir()
            sync_folder(self._temporary)  # the names of its files, before it takes its own
            self._temporary.rename(self.path)
        except OSError as error:
            raise storage_error(self.path, error, "no report was written") from error
        self._finished = True
        try:
            sync_folder(self.path.parent)
        except OSError as error:
            raise storage_error(self.path, error, "it is there, but a power failure may undo that") from error

    def _write(self, name: str, text: str) -> None:
        with create_private(self._temporary / name) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._finished:
            with contextlib.suppress(OSError):
                self._jsonl.close()
                self._csv_file.close()
            shutil.rmtree(self._temporary, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    try:
        return not any(path.iterdir())
    except OSError:
        return False
