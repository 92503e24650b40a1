"""The digests of an md5sum-like file in arrays, block by block: for lookups in bulk.

The same files, rules and errors as `hashmatch.lists.formats.sums`, which makes an entry of every line. The kernel takes
the common lines; every other line is judged by that reader's own function.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hashmatch.algorithms import ALGORITHMS
from hashmatch.errors import RecordError
from hashmatch.lists.formats.source import Input, ReadOptions
from hashmatch.lists.formats.sums import refuse_open_line, value_and_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read_digests"]

#: Digests of one array: 1 MB of MD5s. Blocks of the input hold about 2,000, too few to pay for a step each.
_BATCH = 65536


def read_digests(
    source: Input, options: ReadOptions, *, algorithm: str, batch: int = _BATCH
) -> Iterator[NDArray[np.uint8] | RecordError]:
    """The digests of a file in its order, those of the empty file included, as uint8[n, width] of at most ``batch``.

    A malformed line is given as its error, with path, line and ordinal; whether that ends the run is for the caller to
    say. An error may come before an array with digests of former lines.

    Raises:
        RecordError: the rest of the file is not usable.
        InputError: the file fails while it is read.
    """
    import numpy as np

    from hashmatch import kernels

    if not options.settled and source.head().first_line_is_open:
        refuse_open_line(source, algorithm, "-a {}")
    width = ALGORITHMS[algorithm].width
    out, found, paths, passed = np.empty((batch, width), np.uint8), 0, -1, 0
    bad = 0
    for block in source.blocks():
        line, at = source.block_line, 0
        while True:
            at, found, lines, paths = kernels.parse_digest_lines(block, at, out, found, paths)
            line += lines
            if found == batch:
                yield out
                passed += found
                out, found = np.empty((batch, width), np.uint8), 0
                continue
            if at == len(block):
                break
            # No common line: the reader's own rules say what it is.
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            text = source.text_of(block[at:end], line, "surrogateescape")
            try:
                if text.strip(" \t"):
                    known = None if paths < 0 else paths == 1
                    value, path = value_and_path(text, algorithm, options.limits.max_string, paths=known)
                    out[found] = np.frombuffer(value, np.uint8)
                    found += 1
                    if paths < 0:
                        paths = int(bool(path))
            except RecordError as error:
                bad += 1
                error.path, error.line, error.record = source.path, line, passed + found + bad
                yield error
            at, line = min(end + 1, len(block)), line + 1
    if found:
        yield out[:found]
