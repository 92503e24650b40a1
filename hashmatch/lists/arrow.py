"""Parquet and Arrow files through pyarrow: the one module that imports it.

What comes from such a file is not trusted:

- It is read through an ordinary file object, never mapped: a file that shrinks under us gives an error, not a signal.
- Before a row group is read, the footer's own figures are held against limits; one read of the file has a limit, too.
- Text and bytes that a file keeps as a dictionary stay one: a page of some bytes can stand for a million long texts.
- Every batch is validated to the last offset and character before its values are looked at.
- No extension type of the file is used, and nothing is ever unpickled.

What pyarrow says of damage may quote names from the file; runs of digits that could be a hash are left out of it.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashmatch.errors import RecordError, UsageError, printable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MAGIC_ARROW", "MAGIC_PARQUET", "MAGIC_STREAM", "ParquetOutput", "Table", "kind_of", "open_table"]

MAGIC_PARQUET = b"PAR1"
#: Parquet whose footer is encrypted.
MAGIC_ENCRYPTED = b"PARE"
MAGIC_ARROW = b"ARROW1"
#: An Arrow stream has no magic number: the mark before every message, which has the length of its head behind it.
MAGIC_STREAM = b"\xff\xff\xff\xff"

#: Limits, inclusive: bytes of a footer, columns, bytes of a column in one row group when unpacked, bytes of one read
#: (a page, or the body of an Arrow batch), bytes of a value of fixed width.
_MAX_FOOTER = 16 << 20
_MAX_COLUMNS = 4096
_MAX_CHUNK = 1 << 30
_MAX_READ = 256 << 20
_MAX_WIDTH = 1 << 16
#: Rows of a batch, and bytes that a batch may come to where the encoding lets long texts repeat at no cost.
_BATCH_ROWS = 4096
_BATCH_BYTES = 64 << 20

_DIGITS = re.compile(r"[0-9A-Fa-f+/=]{8,}|\d{8,}")


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            "Parquet and Arrow files need pyarrow, which is not installed here: pip install 'hashmatch[parquet]'"
        ) from error
    return pa


@contextlib.contextmanager
def _damage(path: str, record: int | None = None) -> Iterator[None]:
    """What pyarrow raises over a file becomes an error that says which file."""
    arrow = _pyarrow()
    try:
        yield
    except RecordError as error:
        error.path, error.record = error.path or path, error.record or record
        raise
    except (arrow.ArrowException, OSError, ValueError, OverflowError, MemoryError, NotImplementedError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        said = printable(_DIGITS.sub("...", said))[:200].rstrip(". ")
        raise RecordError(
            f"found a file that cannot be read to its end ({said}); expected a whole Parquet or Arrow file",
            path=path,
            record=record,
        ) from error


class _Guarded(io.RawIOBase):
    """A file whose single reads have a limit: what a damaged length asks for is never allocated."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise RecordError(
                f"found a part of {size:,} bytes that has to be read at once; expected at most {_MAX_READ:,}: write "
                "the file with smaller pages or batches"
            )
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def kind_of(type_: pa.DataType) -> str:
    """What a column holds: ``text``, ``binary``, ``whole`` numbers, ``float``, or ``other``."""
    types = _pyarrow().types
    if types.is_dictionary(type_):
        type_ = type_.value_type
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return "text"
    if (
        types.is_binary(type_)
        or types.is_large_binary(type_)
        or types.is_fixed_size_binary(type_)
        or types.is_binary_view(type_)
    ):
        return "binary"
    if types.is_integer(type_):
        return "whole"
    return "float" if types.is_floating(type_) else "other"


class Table:
    """A Parquet or Arrow file, read batch by batch. A context manager.

    Attributes:
        names: names of the columns.
        kinds: what each column holds, as `kind_of` says.
        titles: the type of each column, for messages.
        rows: rows in all, or None where the file does not say.
    """

    def __init__(self, path: str, file: _Guarded, schema: pa.Schema, rows: int | None) -> None:
        self.path = path
        self.names: list[str] = list(schema.names)
        self.rows = rows
        self._file = file
        if len(self.names) > _MAX_COLUMNS:
            raise RecordError(f"found {len(self.names):,} columns; expected at most {_MAX_COLUMNS:,}", path=path)
        types = _pyarrow().types
        for field in schema:
            if types.is_fixed_size_binary(field.type) and field.type.byte_width > _MAX_WIDTH:
                raise RecordError(
                    f"found a column of {field.type.byte_width:,} bytes a value; expected at most {_MAX_WIDTH:,}",
                    path=path,
                )
        self.kinds = [kind_of(field.type) for field in schema]
        self.titles = [_DIGITS.sub("...", str(field.type))[:60] for field in schema]

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def batches(self) -> Iterator[list[list[Any]]]:
        """The columns of some thousand rows at a time, as lists of Python values with None for null.

        Raises:
            RecordError: the file is damaged, holds fewer rows than it says, or is over a limit.
        """
        done = 0
        source = self._raw_batches()
        while True:
            with _damage(self.path, done + 1):
                batch = next(source, None)
                if batch is None:
                    break
                batch.validate(full=True)
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                part = batch.slice(start, _BATCH_ROWS)
                with _damage(self.path, done + 1):
                    columns = [_values(column) for column in part.columns]
                yield columns
                done += part.num_rows
        if self.rows is not None and done != self.rows:
            raise RecordError(f"found {done:,} rows; expected {self.rows:,}, as the file says", path=self.path)

    def _raw_batches(self) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError


def open_table(path: str, local: Path, head: bytes) -> Table:
    """Open the file at ``local``, called ``path`` in messages, that begins with ``head``.

    Raises:
        RecordError: the file is damaged, or over a limit.
        UsageError: pyarrow is not installed.
    """
    _pyarrow()
    try:
        file = _Guarded(local)
    except OSError as error:
        raise RecordError(f"cannot be opened ({error.strerror or error}); expected a file", path=path) from error
    try:
        with _damage(path):
            if head.startswith(MAGIC_ARROW):
                return _ArrowFile(path, file)
            if head.startswith(MAGIC_STREAM):
                return _ArrowStream(path, file)
            return _Parquet(path, file)
    except BaseException:
        file.close()
        raise


class _Parquet(Table):
    def __init__(self, path: str, file: _Guarded) -> None:
        size = self._check_footer(file)
        parquet = _pyarrow().parquet
        options: dict[str, Any] = {
            "memory_map": False,
            "pre_buffer": False,
            "buffer_size": 1 << 16,
            "page_checksum_verification": True,
            "thrift_string_size_limit": _MAX_FOOTER,
        }
        opened = parquet.ParquetFile(file, **options)
        metadata = opened.metadata
        self._check_figures(metadata, size)
        super().__init__(path, file, opened.schema_arrow, metadata.num_rows)
        dictionaries = self._dictionaries(metadata)
        if dictionaries:
            opened = parquet.ParquetFile(file, metadata=metadata, read_dictionary=dictionaries, **options)
        self._opened = opened
        self._batch_rows = self._rows_at_once(metadata)

    @staticmethod
    def _check_footer(file: _Guarded) -> int:
        size = file.seek(0, io.SEEK_END)
        if size < 12:
            raise RecordError(f"found {size} bytes; expected a whole Parquet file")
        file.seek(size - 8)
        tail = file.read(8)
        if tail[4:] == MAGIC_ENCRYPTED:
            raise RecordError("found an encrypted Parquet file; expected one that is not encrypted")
        if tail[4:] != MAGIC_PARQUET:
            raise RecordError("found no footer at the end; expected a whole Parquet file: it may be cut short")
        length = int.from_bytes(tail[:4], "little")
        if length > _MAX_FOOTER:
            raise RecordError(f"found a footer of {length:,} bytes; expected at most {_MAX_FOOTER:,}")
        file.seek(0)
        return size

    @staticmethod
    def _check_figures(metadata: Any, size: int) -> None:
        # A row has a hash of 8 bytes at least, and hashes do not repeat. A file that says more would be some bytes that
        # stand for endless rows.
        if not 0 <= metadata.num_rows <= size:
            raise RecordError(f"found a footer that says {metadata.num_rows:,} rows; expected at most one a byte")
        if metadata.num_columns > _MAX_COLUMNS:
            raise RecordError(f"found {metadata.num_columns:,} columns; expected at most {_MAX_COLUMNS:,}")
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group)
            for number in range(rows.num_columns):
                unpacked = rows.column(number).total_uncompressed_size
                if not 0 <= unpacked <= _MAX_CHUNK:
                    raise RecordError(
                        f"found {unpacked:,} bytes in column {number + 1} of row group {group + 1:,}; expected at most "
                        f"{_MAX_CHUNK:,}: write the file with smaller row groups"
                    )

    @staticmethod
    def _dictionaries(metadata: Any) -> list[str]:
        """Columns of text or bytes that are kept as a dictionary somewhere."""
        found = set()
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group)
            for number in range(rows.num_columns):
                column = rows.column(number)
                if column.physical_type == "BYTE_ARRAY" and any("DICTIONARY" in name for name in column.encodings):
                    found.add(column.path_in_schema)
        return sorted(found)

    @staticmethod
    def _rows_at_once(metadata: Any) -> int:
        """How many rows to read at once, where each value may repeat the one before it."""
        largest = 0
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group)
            for number in range(rows.num_columns):
                column = rows.column(number)
                if "DELTA_BYTE_ARRAY" in column.encodings:
                    largest = max(largest, column.total_uncompressed_size // max(1, column.num_values))
        # Sixteen times what a value comes to on average.
        return max(1, min(_BATCH_ROWS, _BATCH_BYTES // (16 * largest + 1)))

    def _raw_batches(self) -> Iterator[pa.RecordBatch]:
        groups = list(range(self._opened.metadata.num_row_groups))
        batches: Iterator[pa.RecordBatch] = self._opened.iter_batches(
            batch_size=self._batch_rows, row_groups=groups, use_threads=False
        )
        return batches


class _ArrowFile(Table):
    def __init__(self, path: str, file: _Guarded) -> None:
        self._opened = _pyarrow().ipc.open_file(file, options=_ipc_options())
        super().__init__(path, file, self._opened.schema, None)

    def _raw_batches(self) -> Iterator[pa.RecordBatch]:
        return (self._opened.get_batch(number) for number in range(self._opened.num_record_batches))


class _ArrowStream(Table):
    def __init__(self, path: str, file: _Guarded) -> None:
        self._opened = _pyarrow().ipc.open_stream(file, options=_ipc_options())
        super().__init__(path, file, self._opened.schema, None)

    def _raw_batches(self) -> Iterator[pa.RecordBatch]:
        while True:
            before = self._file.tell()
            try:
                yield self._opened.read_next_batch()
            except StopIteration:
                break
        # The mark of the end is optional in the format. A file that was cut between two batches has none, either.
        if self._file.tell() == before:
            raise RecordError("found the end of the file without the mark of the end; expected a whole Arrow stream")


def _ipc_options() -> Any:
    return _pyarrow().ipc.IpcReadOptions(use_threads=False)


def _values(column: pa.Array) -> list[Any]:
    """The values of a column; those of a dictionary are made once."""
    arrow = _pyarrow()
    types = arrow.types
    if isinstance(column, arrow.ExtensionArray):
        column = column.storage
    if types.is_dictionary(column.type):
        values = [*_values(column.dictionary), None]
        return [values[-1 if index is None else index] for index in column.indices.to_pylist()]
    if types.is_timestamp(column.type) and column.type.tz is not None:
        texts = column.cast(arrow.timestamp(column.type.unit)).cast(arrow.string()).to_pylist()
        return [None if text is None else f"{text}Z" for text in texts]
    if types.is_duration(column.type):
        return list(column.cast(arrow.int64()).to_pylist())
    if types.is_temporal(column.type) and not types.is_interval(column.type):
        return list(column.cast(arrow.string()).to_pylist())
    if types.is_decimal(column.type):
        return list(column.cast(arrow.string()).to_pylist())
    return list(column.to_pylist())


class ParquetOutput:
    """A Parquet file that is written row group by row group to a function that takes bytes.

    Text goes through zstd, and what repeats through a dictionary; hashes stay as they are: nothing makes them smaller.
    The same rows give the same bytes under the same version of pyarrow, whose name stands in the file.

    Args:
        sink: takes the bytes.
        columns: name -> ``text``, ``whole``, ``byte``, or the width of a hash in bytes.
    """

    def __init__(self, sink: Any, columns: Mapping[str, str | int]) -> None:
        arrow = _pyarrow()
        types = {"text": arrow.string(), "whole": arrow.int64(), "byte": arrow.uint8()}
        self._arrow = arrow
        self._schema = arrow.schema(
            [(name, arrow.binary(kind) if isinstance(kind, int) else types[kind]) for name, kind in columns.items()]
        )
        texts = [name for name, kind in columns.items() if kind == "text"]
        self._file = _Sink(sink)
        self._writer = arrow.parquet.ParquetWriter(
            self._file,
            self._schema,
            compression={name: "zstd" if name in texts else "none" for name in columns},
            use_dictionary=texts,
            write_statistics=[name for name, kind in columns.items() if not isinstance(kind, int)],
            write_page_checksum=True,
        )

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """Write rows, given as columns, as one row group."""
        arrays = [self._arrow.array(values, type_) for values, type_ in zip(columns, self._schema.types, strict=True)]
        table = self._arrow.Table.from_arrays(arrays, schema=self._schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


class _Sink(io.RawIOBase):
    """A function that takes bytes, as the file that pyarrow asks for."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        taken = bytes(data)
        self._sink(taken)
        self._at += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._at
