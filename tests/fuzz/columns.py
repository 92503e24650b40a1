"""Recipes of Parquet and Arrow files: columns of any name, type and values, then bytes that are written over.

An input that begins with ``COL`` is a recipe: one byte for the container, then 4 bytes a column (name, type, values,
length), and behind ``|`` pokes as databases.py has them. Any other input is a file as it stands.
"""

# ruff: noqa: E501 - tables

from __future__ import annotations

import datetime as dt
import decimal
import io
import random
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import pyarrow as pa
from pyarrow import parquet as pq

from .databases import poke
from .samples import BASE64_TEXTS, EMPTY, HASHES

__all__ = ["column_file", "column_shape", "samples"]

_MARK = b"COL"
_MOST_COLUMNS = 24

NAMES = (
    "id", "md5", "sha1", "sha256", "pdq", "pdq_quality", "quality", "photodna", "size", "category", "category_scheme",
    "media_type", "list_metadata", "list_opinions", "list_source", "status", "note", "MD5", "SHA-1", "", "é", "a\nb", " ID ",
    HASHES["md5"].hex(), "lace", "x" * 300, "md5.element", "list_status", "ref", "hashes",
)  # fmt: skip
TYPES: tuple[Callable[[], Any], ...] = (
    pa.string, pa.binary, lambda: pa.binary(16), lambda: pa.binary(20), lambda: pa.binary(32), pa.large_string,
    pa.large_binary, pa.int64, pa.int8, pa.uint64, pa.float64, pa.float32, pa.bool_, pa.null, pa.date32,
    lambda: pa.timestamp("us", "UTC"), lambda: pa.timestamp("ns"), lambda: pa.time64("ns"), lambda: pa.decimal128(20, 3),
    lambda: pa.list_(pa.uint8()), lambda: pa.list_(pa.int32(), 3), lambda: pa.dictionary(pa.int8(), pa.string()),
    lambda: pa.struct([("a", pa.int64()), ("b", pa.string())]), lambda: pa.map_(pa.string(), pa.int64()),
    lambda: pa.duration("s"), lambda: pa.list_(pa.list_(pa.string())), pa.float16, lambda: pa.large_list(pa.binary()),
    pa.string_view, pa.binary_view, pa.uint8, pa.date64, pa.month_day_nano_interval,
    lambda: pa.run_end_encoded(pa.int32(), pa.int64()), lambda: pa.dictionary(pa.int32(), pa.binary(16)),
    lambda: pa.decimal256(60, 2), lambda: pa.list_view(pa.int8()),
)  # fmt: skip
_SCALARS: tuple[Any, ...] = (
    *HASHES.values(), *(value.hex() for value in HASHES.values()), *EMPTY.values(), *map(bytes.fromhex, EMPTY.values()),
    *BASE64_TEXTS, None, "", b"", "x", "é", "\0", "a\nb", "\x85", 0, 1, -1, 100, 101, 255, 2**31, 2**63 - 1, 1.0, 1.5, 5e300,
    float("nan"), float("inf"), True, False, "image", "Video", "7", '{"a":1}', '{"a":[1e400]}', '[["md5","O",true,"r"]]', "[]",
    dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 1, 2, 3, 456), dt.time(1, 2, 3), dt.timedelta(5), decimal.Decimal("1.5"),
    [1, 2, 3], list(HASHES["photodna"]), [256], ["a", None], {"a": 1, "b": "x"}, [("k", 1)], b"\xff\xfe", "9" * 30, "x" * 5000,
    [["a"], None], dt.date(9999, 12, 31), dt.datetime(1, 1, 1), decimal.Decimal(10) ** 16, [b"\xff"], "unreadable", "ok",
)  # fmt: skip


def _ipc(new: Callable[..., Any], compression: str | None) -> Callable[[Any], bytes]:
    def write(table: Any) -> bytes:
        file = io.BytesIO()
        with new(file, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table, max_chunksize=2)
        return file.getvalue()

    return write


def _parquet(**options: Any) -> Callable[[Any], bytes]:
    def write(table: Any) -> bytes:
        file = io.BytesIO()
        pq.write_table(table, file, **options)
        return file.getvalue()

    return write


CONTAINERS: tuple[Callable[[Any], bytes], ...] = (
    _parquet(), _parquet(row_group_size=2, use_dictionary=False, compression="zstd"), _ipc(pa.ipc.new_file, None),
    _parquet(data_page_version="2.0", compression="gzip"), _ipc(pa.ipc.new_stream, None), _ipc(pa.ipc.new_file, "lz4"),
    _ipc(pa.ipc.new_stream, "zstd"), _parquet(compression="none", write_statistics=False, store_schema=False),
    _parquet(compression="lz4", use_deprecated_int96_timestamps=True), _parquet(compression="brotli", version="1.0"),
)  # fmt: skip


def column_file(data: bytes) -> bytes:
    """The file that an input stands for."""
    if not data.startswith(_MARK):
        return data
    recipe, _, changes = data[len(_MARK) :].partition(b"|")
    return poke(_written(recipe), changes)


@lru_cache(maxsize=256)
def _written(recipe: bytes) -> bytes:
    container, rows = (recipe[0], recipe[1] % 6) if len(recipe) > 1 else (0, 3)
    arrays, names = [], []
    for at in range(2, min(len(recipe), 2 + 4 * _MOST_COLUMNS) - 3, 4):
        name, kind, first, step = recipe[at : at + 4]
        values = [_SCALARS[(first + row * (step % 7)) % len(_SCALARS)] for row in range(rows)]
        arrays.append(_array(kind % len(TYPES), values))
        names.append(NAMES[name % len(NAMES)])
    table = pa.Table.from_arrays(arrays, names)
    for write in (CONTAINERS[container % len(CONTAINERS)], CONTAINERS[2]):
        try:
            return write(table)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):  # a type that the container does not have
            continue
    return b"PAR1"


@cache
def _type(kind: int) -> Any:
    return TYPES[kind]()


def _array(kind: int, values: list[Any]) -> Any:
    wanted = _type(kind)
    kept = []
    for value in values:
        try:
            pa.array([value], wanted)
        except (pa.ArrowException, ValueError, TypeError, OverflowError, AttributeError):
            kept.append(None)
        else:
            kept.append(value)
    try:
        return pa.array(kept, wanted)
    except (pa.ArrowException, ValueError, TypeError):
        return pa.nulls(len(values))


def column_shape(rng: random.Random, data: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """A recipe with another column, container or poke; anything else as it is."""
    if not data.startswith(_MARK):
        return data
    recipe, bar, changes = data[3:].partition(b"|")
    at = 2 + 4 * rng.randrange(max(1, len(recipe) // 4))
    column = bytes(
        [rng.randrange(len(NAMES)), rng.randrange(len(TYPES)), rng.randrange(len(_SCALARS)), rng.randrange(7)]
    )
    match rng.randrange(6):
        case 0:
            recipe = bytes([rng.randrange(256), rng.randrange(256)]) + recipe[2:]
        case 1:
            recipe = recipe[:at] + column + recipe[at:]
        case 2:
            recipe = recipe[:at] + column + recipe[at + 4 :]
        case 3:
            recipe = recipe[:at] + recipe[at + 4 :]
        case 4:
            place = at + rng.randrange(4)
            recipe = recipe[:place] + bytes([rng.randrange(80)]) + recipe[place + 1 :]
        case _:
            return data + (b"" if bar else b"|") + rng.randbytes(4 * rng.choice((1, 1, 3)))
    return _MARK + recipe + bar + changes


def samples() -> list[bytes]:
    """Recipes, and files as they stand."""
    place = {value: at for at, value in enumerate(_SCALARS) if isinstance(value, bytes | str)}
    ids, number = bytes([0, 0, place["x"], 0]), bytes([8, 7, place["7"] + 1, 1])
    recipes = []
    for container in range(len(CONTAINERS)):
        recipe = bytes([container, 3]) + ids + bytes([1, 2, 0, 0, 2, 0, place[HASHES["sha1"].hex()], 0])
        recipe += bytes([4, 4, place[HASHES["pdq"]], 0]) + number
        recipes.append(_MARK + recipe)
    recipes += [_MARK + bytes([0, 3]) + bytes([1, 2, 0, 0]) + bytes([16, kind, 30, 5]) for kind in range(len(TYPES))]
    recipes += [
        _MARK + bytes([0, 2]) + bytes([1, 2, 0, 0]) + bytes([16, 0, value, 0]) for value in range(len(_SCALARS))
    ]
    return [*recipes, *(column_file(recipe) for recipe in recipes[: len(CONTAINERS)])]
