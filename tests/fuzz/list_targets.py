"""The targets that read hash lists, deltas and what a list keeps: the slow tier guides them by branches."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from .databases import database, pokes, statements
from .list_readers import Reader
from .samples import SAMPLES, TEXT_FORMATS, TOKENS, WORDS
from .stored import block_seeds, block_shape, blocks, delta_seeds, delta_shape, deltas
from .structure import Shape, cells, recoded, words
from .target import Target

__all__ = ["LIST_TARGETS"]

#: Cases of the slow tier.
_CASES = 100_000
#: Bytes of a file at most, for the sake of speed.
_LONGEST = 6000

_JSON = rb'"(?:[^"\\]|\\.)*"|-?\d[\w.+-]*|\w+|[{}\[\]:,]'
_XML = rb'<[^\s>]*|[\w:.-]+|"[^"]*"|\'[^\']*\'|&[^;\s]*;|[<>=/]'
_PAIRS = ((b"[", b"]"), (b"{", b"}"), (b'{"a":', b"}"))
_DOCUMENT = words(_JSON, _PAIRS)
_TREE = words(_XML, ((b"<x>", b"</x>"), (b"<volume>", b"</volume>"), (b"<feedback>", b"</feedback>")))
#: Format -> how its files are changed, beyond bytes.
_SHAPES: dict[str, Sequence[Shape]] = {
    "icse": (cells(b";"),), "nsrl2": (cells(b","),), "hashkeeper": (cells(b","),), "tsk-index": (cells(b"|"),),
    "pdq": (cells(b","),), "hashdeep": (cells(b",", b" "),), "csv": (cells(b",", b";", b"\t"), _DOCUMENT),
    "jsonl": (_DOCUMENT, cells(b",")), "vics": (_DOCUMENT,), "ncmec": (_TREE,), "dfxml": (_TREE,),
    "md5sum": (cells(b" "),), "sha1sum": (cells(b" "),), "sha256sum": (cells(b" "),), "sha512sum": (cells(b" "),),
    "nsrl3": (statements, statements, statements, pokes), "kdb": (statements, statements, statements, pokes),
}  # fmt: skip
#: Formats whose readers need a file -> what makes it of an input.
_BUILT: dict[str, Callable[[bytes], bytes]] = {"nsrl3": database, "kdb": database}


def _reader(name: str) -> Target:
    """The target of a format's reader."""
    reader = Reader(name, lambda: _with_files(name), _BUILT.get(name, bytes), local=name in _BUILT)
    shapes = [recoded(shape) if name in TEXT_FORMATS else shape for shape in _SHAPES.get(name, ())]
    rate = 250 if name in _BUILT else 500
    return Target(
        name,
        reader,
        reader.seeds,
        TOKENS.get(name, ()),
        _LONGEST,
        shapes=shapes,
        thorough=reader.thoroughly,
        rate=rate,
        cases=_CASES,
    )


@cache
def _with_files(name: str) -> Sequence[bytes]:
    """Recipes and, where there are any, the files that they make."""
    samples = SAMPLES[name]
    return [*samples, *map(_BUILT[name], samples)] if name in _BUILT else samples


def _parquet() -> Iterator[Target]:
    """The reader that needs pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        return
    from .columns import column_file, column_shape, samples

    reader = Reader("parquet", cache(samples), column_file, local=True)
    tokens = (b"PAR1", b"ARROW1", b"ARROW1\0\0", b"\xff\xff\xff\xff", b"md5", b"ARROW:schema", bytes(8))
    yield Target(
        "parquet",
        reader,
        reader.seeds,
        tokens,
        _LONGEST,
        shapes=[column_shape] * 3,
        thorough=reader.thoroughly,
        rate=150,
        cases=_CASES,
    )


@cache
def every_format() -> Sequence[bytes]:
    """A sample or two of every format, for detection."""
    return [seed for name in SAMPLES for seed in _with_files(name)[:2]] + [
        b"\x1f\x8b\x08",
        b"PK\3\4",
        b"%PDF",
        b"\x89HMX",
    ]


_DETECTION = Reader(None, every_format)
_DELTA_WORDS = (
    *TOKENS["jsonl"], b'"put"', b'"remove"', b'"retract"', b'"restore"', b'"opinion"', b'"affirmative"', b'"metadata"',
    b'"opinions"', b'"organisation"', b'"source"', b'"ref"', b'"end"', b'"reason"', b'"S"', b'"T \xc3\xa9"', b'"gone"',
)  # fmt: skip

LIST_TARGETS = (
    *map(_reader, SAMPLES),
    *_parquet(),
    Target("detection", _DETECTION, every_format, WORDS, _LONGEST, thorough=_DETECTION.thoroughly, cases=_CASES),
    Target(
        "blocks",
        blocks,
        block_seeds,
        (bytes(4), b"\0", b"\xff" * 4),
        shapes=[block_shape] * 3,
        rate=3000,
        cases=_CASES,
    ),
    Target(
        "deltas",
        deltas,
        delta_seeds,
        _DELTA_WORDS,
        shapes=[_DOCUMENT, _DOCUMENT, cells(b","), delta_shape],
        rate=60,
        cases=_CASES,
    ),
)
