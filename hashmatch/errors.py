"""Every error that a user of hashmatch can cause or meet.

The tree (exit code of the command line in parentheses)::

    HashMatchError                      (70)  root; only subclasses are raised
    ├── UsageError                       (2)  the call itself is wrong
    │   ├── UnknownAlgorithmError        (2)  a name that the registry does not hold
    │   ├── RadiusError                  (2)  negative, or more than the algorithm's bits
    │   ├── KernelUnavailableError       (2)  an implementation was forced that this machine lacks
    │   ├── ArrayError                   (2)  wrong dtype, shape or contiguity handed to a kernel or a search
    │   ├── FileExistsAlreadyError       (2)  would overwrite what it was not asked to overwrite
    │   ├── ConflictError                (2)  two lists disagree about an entry, and nobody said whose word counts
    │   └── RoleError                    (2)  a known-good list where known material is due, or the other way round
    ├── InputError                       (3)  an input file is missing, unreadable, invalid or damaged
    │   ├── InputNotFoundError           (3)  no such file, a folder where a file is due, or no permission
    │   ├── FormatUnknownError           (3)  no reader claims the file
    │   ├── FormatAmbiguousError         (3)  more than one reader claims the file
    │   ├── DeltaError                   (3)  a delta is damaged, or does not lead on from where the list is
    │   └── RecordError                  (3)  one record is malformed: where, field, found, expected
    │       └── HashTextError            (3)  a hash's text form is malformed
    ├── ListError                        (3)  a list cannot be opened or trusted
    │   ├── ListNotFoundError            (3)  no such list
    │   ├── ListDamagedError             (3)  damaged, truncated, foreign, or of another version
    │   ├── AuditDamagedError            (3)  the audit log of a list is not as it was written
    │   └── ListBusyError                (3)  another process is writing to the list
    ├── CompiledListError                (3)  a compiled list cannot be opened or trusted
    │   ├── CompiledListForeignError     (3)  not a compiled list at all
    │   ├── CompiledListVersionError     (3)  written in a version of the format that this software does not read
    │   ├── CompiledListTruncatedError   (3)  shorter or longer than its header says
    │   └── CompiledListDamagedError     (3)  a checksum or a structural rule fails
    ├── StorageError                     (3)  the disk is full, read-only, or fails
    │   └── AuditUnwritableError         (3)  the audit log of a list cannot be added to
    ├── WorkerError                      (3)  a worker process cannot be started
    ├── BenchmarkError                   (3)  a benchmark cannot be believed, or its results not be used
    │   ├── BenchmarkCheckError          (3)  the answers are wrong: nothing is timed, nothing reported
    │   ├── BenchmarkDamagedError        (3)  a document of results that is damaged, or is none
    │   ├── BenchmarkVersionError        (3)  a document in a version that this software does not read
    │   └── BenchmarkUnrelatedError      (3)  two documents have no ratio in common
    └── ImageError                       (4)  one image cannot be used
        ├── ImageReadError               (4)  the file cannot be read
        ├── ImageFormatError             (4)  not an allowed image format
        ├── ImageTooLargeError           (4)  over the limit of bytes, pixels or frames
        └── ImageDecodeError             (4)  truncated or corrupt

Exit codes of the command line, one table for all verbs:

====  =====================================================================
code  meaning
====  =====================================================================
0     finished, nothing matched
1     finished, something matched
2     usage: the command line or a call is wrong
3     a list or an input is invalid or damaged: nothing is to be trusted
4     finished, nothing matched, but some inputs could not be read
5     finished, something matched, but some inputs could not be read
70    internal error: a defect in hashmatch
====  =====================================================================
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "EXIT_CODES",
    "ArrayError",
    "AuditDamagedError",
    "AuditUnwritableError",
    "BenchmarkCheckError",
    "BenchmarkDamagedError",
    "BenchmarkError",
    "BenchmarkUnrelatedError",
    "BenchmarkVersionError",
    "CompiledListDamagedError",
    "CompiledListError",
    "CompiledListForeignError",
    "CompiledListTruncatedError",
    "CompiledListVersionError",
    "ConflictError",
    "DeltaError",
    "FileExistsAlreadyError",
    "FormatAmbiguousError",
    "FormatUnknownError",
    "HashMatchError",
    "HashTextError",
    "ImageDecodeError",
    "ImageError",
    "ImageFormatError",
    "ImageReadError",
    "ImageTooLargeError",
    "InputError",
    "InputNotFoundError",
    "KernelUnavailableError",
    "ListBusyError",
    "ListDamagedError",
    "ListError",
    "ListNotFoundError",
    "RadiusError",
    "RecordError",
    "RoleError",
    "StorageError",
    "UnknownAlgorithmError",
    "UsageError",
    "WorkerError",
    "exit_code",
    "printable",
    "shorten",
]

#: Exit code -> meaning. README shows the same table; a test compares the two.
EXIT_CODES: dict[int, str] = {
    0: "finished, nothing matched",
    1: "finished, something matched",
    2: "usage: the command line or a call is wrong",
    3: "a list or an input is invalid or damaged: nothing is to be trusted",
    4: "finished, nothing matched, but some inputs could not be read",
    5: "finished, something matched, but some inputs could not be read",
    70: "internal error: a defect in hashmatch",
}


def exit_code(*, matched: bool, unreadable: bool) -> int:
    """Exit code of a run that finished: 0, 1, 4 or 5."""
    return (4 if unreadable else 0) + (1 if matched else 0)


def printable(text: str) -> str:
    """``text`` with control characters and undecodable bytes escaped, so that no name can drive a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def shorten(value: object, limit: int = 60) -> str:
    """Text of ``value`` for an error message: quoted unless a number, control characters escaped, cut at ``limit``."""
    if isinstance(value, int | float):
        # Python refuses to write out integers of thousands of digits.
        large = isinstance(value, int) and value.bit_length() > 256
        return f"a number of {int(value).bit_length():,} bits" if large else str(value)
    text = value if isinstance(value, str) else str(value)
    if len(text) > limit:
        return f"{text[:limit]!r}... ({len(text):,} characters)"
    return repr(text)


class HashMatchError(Exception):
    """Root of every error that a user can cause or meet. ``str(error)`` is a complete message."""

    exit_code: ClassVar[int] = 70


class UsageError(HashMatchError):
    """The call itself is wrong; nothing was read or changed."""

    exit_code = 2


class UnknownAlgorithmError(UsageError):
    """A name that the registry of algorithms does not hold, or one that cannot be used in this way."""


class RadiusError(UsageError):
    """A radius that is negative or larger than the algorithm allows."""


class KernelUnavailableError(UsageError):
    """``HASHMATCH_KERNELS`` names an implementation that does not exist or that this machine lacks."""


class ArrayError(UsageError):
    """An array of the wrong dtype, shape or contiguity."""


class FileExistsAlreadyError(UsageError):
    """The file to be created is there already."""


class ConflictError(UsageError):
    """Two lists that are merged say different things about one entry, and nobody said whose word counts."""


class RoleError(UsageError):
    """A known-good list where known material is due, or the other way round."""


class InputError(HashMatchError):
    """An input file is missing, unreadable, invalid or damaged."""

    exit_code = 3


class InputNotFoundError(InputError):
    """No such file, a folder where a file is due, or no permission to read it."""


class FormatUnknownError(InputError):
    """No reader claims the file."""


class FormatAmbiguousError(InputError):
    """More than one reader claims the file; nothing is guessed."""


class DeltaError(InputError):
    """A delta between two snapshots of a list that is damaged, or that does not lead on from where the list is."""


class RecordError(InputError):
    """One record of an input is malformed.

    Attributes:
        path: the input's path as given, or None while it is not known.
        line: 1-based number of the line on which the record starts, or None for formats without lines.
        record: 1-based ordinal of the record among all records of the input, or None while it is not known.
        field: name of the column or key, or None where the record as a whole is wrong.
        reason: what was found and what was expected, in one sentence.
    """

    def __init__(
        self,
        reason: str,
        *,
        path: str | None = None,
        line: int | None = None,
        record: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path
        self.line = line
        self.record = record
        self.field = field

    def __str__(self) -> str:
        where = [self.path] if self.path is not None else []
        if self.line is not None:
            where.append(f"line {self.line:,}")
        elif self.record is not None:
            where.append(f"record {self.record:,}")
        if self.field is not None:
            where.append(f"field {self.field!r}")
        # Names of columns, keys and elements come from the file.
        return printable(f"{', '.join(where)}: {self.reason}" if where else self.reason)


class HashTextError(RecordError):
    """The text form of a hash is malformed: characters, parity or width."""


class ListError(HashMatchError):
    """A list cannot be opened or trusted."""

    exit_code = 3


class ListNotFoundError(ListError):
    """No such list."""


class ListDamagedError(ListError):
    """A list that is damaged, truncated, foreign, or written in another version of the schema."""


class AuditDamagedError(ListError):
    """The audit log of a list is not as it was written, or does not belong to the list as it is."""


class ListBusyError(ListError):
    """Another process is writing to the list."""


class CompiledListError(HashMatchError):
    """A compiled list cannot be opened or trusted."""

    exit_code = 3


class CompiledListForeignError(CompiledListError):
    """Not a compiled list: the magic number differs."""


class CompiledListVersionError(CompiledListError):
    """A compiled list in a version of the format that this software does not read."""


class CompiledListTruncatedError(CompiledListError):
    """A compiled list that is shorter or longer than its header says."""


class CompiledListDamagedError(CompiledListError):
    """A checksum or a structural rule of a compiled list fails."""


class StorageError(HashMatchError):
    """The disk is full, read-only or failing; the former state stands."""

    exit_code = 3


class AuditUnwritableError(StorageError):
    """The audit log of a list cannot be added to: read-only media, no permission, a full disk."""


class WorkerError(HashMatchError):
    """A worker process cannot be started."""

    exit_code = 3


class BenchmarkError(HashMatchError):
    """A benchmark whose figures cannot be believed, or a document of results that cannot be used."""

    exit_code = 3


class BenchmarkCheckError(BenchmarkError):
    """The answers of what was to be timed are not those of the reference: nothing is timed, and nothing reported."""


class BenchmarkDamagedError(BenchmarkError):
    """A document of results that is damaged, or is no such document."""


class BenchmarkVersionError(BenchmarkError):
    """A document of results in a version of the format that this software does not read."""


class BenchmarkUnrelatedError(BenchmarkError):
    """Two documents of results that have no ratio in common: there is nothing to compare."""


class ImageError(HashMatchError):
    """One image cannot be used. ``status`` is the word that a scan's row carries for it."""

    exit_code = 4
    status: ClassVar[str] = "unreadable"


class ImageReadError(ImageError):
    """The image's file cannot be read: missing, a folder, no permission, an I/O error."""


class ImageFormatError(ImageError):
    """Not an image, or an image format that is not allowed."""

    status = "unsupported"


class ImageTooLargeError(ImageError):
    """Over the limit of bytes, pixels or frames (decompression bombs among them)."""

    status = "too_large"


class ImageDecodeError(ImageError):
    """A truncated or corrupt image."""
