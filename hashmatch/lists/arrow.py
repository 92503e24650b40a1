"""Parquet and Arrow files through pyarrow: the one module that imports it.

What comes from such a file is not trusted:

- It is read through an ordinary file object, never mapped: a file that shrinks under us gives an error, not a signal.
- Before a row group is read, the figures of the footer and of the heads of all pages are held against limits; one read
  of the file has a limit, too.
- As many rows are read at once as fit into a budget if each of them held the largest value that the file can repeat at
  no cost: a page of some bytes can stand for a million long texts.
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
from hashmatch.lists.arrow_messages import unpacked_bytes
from hashmatch.lists.parquet_footer import Footer, page_bytes, read_footer

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MAGIC_ARROW", "MAGIC_STREAM", "ParquetOutput", "Table", "kind_of", "open_table"]

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
#: Bytes of the pages that reading a row group holds at once, one of each column and its dictionary, packed or not.
_MAX_PAGES = 128 << 20
#: Bytes that the compressed buffers of an Arrow batch unpack to, with those of all dictionaries.
_MAX_UNPACKED = 128 << 20
#: Rows of a batch, and bytes that the largest value of a batch may come to if all its rows have it.
_BATCH_ROWS = 4096
_BATCH_BYTES = 32 << 20

#: Zeros fill up after the mark of an Arrow file to a multiple of 8 bytes; some writers go on to 64.
_FILLED, _MOST_FILLED = 8, 64

#: What pyarrow raises over damage beside its own exceptions.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError, NotImplementedError)

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
    except (arrow.ArrowException, *_DAMAGE) as error:
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
        values = [field.type.value_type if types.is_dictionary(field.type) else field.type for field in schema]
        self.titles = [_DIGITS.sub("...", str(type_))[:60] for type_ in values]

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
            # Values of Python are made for some of the rows at a time, few where rows are long.
            rows = max(1, min(_BATCH_ROWS, batch.num_rows * _BATCH_BYTES // max(1, batch.nbytes)))
            for start in range(0, batch.num_rows, rows):
                part = batch.slice(start, rows)
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
        footer = read_footer(file, _MAX_FOOTER)
        self._check_figures(footer, file.seek(0, io.SEEK_END))
        self._check_pages(footer, file)
        file.seek(0)
        options: dict[str, Any] = {
            "memory_map": False,
            "pre_buffer": False,
            "buffer_size": 1 << 16,
            "page_checksum_verification": True,
            "thrift_string_size_limit": _MAX_FOOTER,
        }
        self._opened = _pyarrow().parquet.ParquetFile(file, **options)
        super().__init__(path, file, self._opened.schema_arrow, footer.rows)
        self._groups = list(range(len(footer.groups)))
        # Many rows may say one long value again and again, at no cost.
        self._batch_rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // (footer.largest_repeat + 1)))

    @staticmethod
    def _check_figures(footer: Footer, size: int) -> None:
        # A row has a hash of 8 bytes at least, and hashes do not repeat. A file that says more would be some bytes that
        # stand for endless rows.
        if footer.rows > size:
            raise RecordError(f"found a footer that says {footer.rows:,} rows; expected at most one a byte")
        if footer.columns > _MAX_COLUMNS:
            raise RecordError(f"found {footer.columns:,} columns; expected at most {_MAX_COLUMNS:,}")
        for group, chunks in enumerate(footer.groups, 1):
            for number, chunk in enumerate(chunks, 1):
                if chunk.unpacked > _MAX_CHUNK:
                    raise RecordError(
                        f"found {chunk.unpacked:,} bytes in column {number} of row group {group:,}; expected at most "
                        f"{_MAX_CHUNK:,}: write the file with smaller row groups"
                    )

    @staticmethod
    def _check_pages(footer: Footer, file: _Guarded) -> None:
        for group, chunks in enumerate(footer.groups, 1):
            held = sum(page_bytes(chunk, file) for chunk in chunks)
            if held > _MAX_PAGES:
                raise RecordError(
                    f"found pages of {held:,} bytes that have to be held at once in row group {group:,}; expected at "
                    f"most {_MAX_PAGES:,}: write the file with smaller pages"
                )

    def _raw_batches(self) -> Iterator[pa.RecordBatch]:
        batches: Iterator[pa.RecordBatch] = self._opened.iter_batches(
            batch_size=self._batch_rows, row_groups=self._groups, use_threads=False
        )
        return batches


class _ArrowStream(Table):
    def __init__(self, path: str, file: _Guarded, start: int = 0) -> None:
        asked = unpacked_bytes(file, start)
        if sum(asked) > _MAX_UNPACKED:
            raise RecordError(
                f"found a batch of {asked.batch:,} bytes when unpacked, and dictionaries of {asked.dictionaries:,}; "
                f"expected at most {_MAX_UNPACKED:,} together: write the file with smaller batches"
            )
        file.seek(start)
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


class _ArrowFile(_ArrowStream):
    """A stream between the mark of a file and its footer, and it is read as one: in the order in which it stands."""

    def __init__(self, path: str, file: _Guarded) -> None:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - len(MAGIC_ARROW)))
        if size < 2 * len(MAGIC_ARROW) + 4 or file.read(len(MAGIC_ARROW)) != MAGIC_ARROW:
            raise RecordError("found no footer at the end; expected a whole Arrow file: it may be cut short")
        file.seek(0)
        head, start = file.read(_MOST_FILLED), _FILLED
        while start < _MOST_FILLED and head[start : start + _FILLED] == bytes(_FILLED):
            start += _FILLED
        super().__init__(path, file, start)


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

    Text goes through zstd, words that repeat through a dictionary; hashes stay as they are: nothing makes them smaller.
    The same rows give the same bytes under the same version of pyarrow, whose name stands in the file.

    Args:
        sink: takes the bytes.
        columns: name -> ``word`` (text that repeats), ``text``, ``whole``, ``byte``, or the width of a hash in bytes.
    """

    def __init__(self, sink: Any, columns: Mapping[str, str | int]) -> None:
        arrow = _pyarrow()
        types = {"text": arrow.string(), "word": arrow.string(), "whole": arrow.int64(), "byte": arrow.uint8()}
        self._arrow = arrow
        self._schema = arrow.schema(
            [(name, arrow.binary(kind) if isinstance(kind, int) else types[kind]) for name, kind in columns.items()]
        )
        texts = [name for name, kind in columns.items() if kind in ("text", "word")]
        self._file = _Sink(sink)
        self._writer = arrow.parquet.ParquetWriter(
            self._file,
            self._schema,
            compression={name: "zstd" if name in texts else "none" for name in columns},
            use_dictionary=[name for name, kind in columns.items() if kind == "word"],
            write_statistics=[name for name, kind in columns.items() if not isinstance(kind, int)],
            write_page_checksum=True,
        )

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """Write rows, given as columns, as one row group."""
        arrays = [self._arrow.array(values, type_) for values, type_ in zip(columns, self._schema.types, strict=True)]
        table = self._arrow.Table.from_arrays(arrays, schema=self._schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def __enter__(self) -> ParquetOutput:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the footer; after an error nothing more, which pyarrow would do when it forgets its writer."""
        if kind is None:
            self._writer.close()
            return
        self._file.discard()
        with contextlib.suppress(Exception):
            self._writer.close()


class _Sink(io.RawIOBase):
    """A function that takes bytes, as the file that pyarrow asks for."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self._at = 0

    def discard(self) -> None:
        """Pass nothing on from now on."""
        self._sink = len

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        taken = bytes(data)
        self._sink(taken)
        self._at += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._at
