"""Other programs that do what ours does, each called as its own users call it.

A peer has a name, a version, a sentence on how it is set up, and says whether its answers are exact. ``prepare`` is
what is done once (building an index, importing a library) and ``run`` is what a benchmark times. A peer that is not
installed is `Absent`, with the reason, so that a table can say what it lacks.

These adapters import libraries that have one importing module elsewhere in the package: going through that module would
measure our use of a library, and not the library.
"""

from __future__ import annotations

import importlib
import io
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import UsageError

__all__ = [
    "Absent",
    "FaissFlat",
    "FaissMultiHash",
    "Found",
    "HashPeer",
    "Hfind",
    "ImageHash",
    "LookupPeer",
    "PdqHash",
    "Perception",
    "SearchPeer",
    "USearch",
    "hash_peers",
    "lookup_peers",
    "recall",
    "search_peers",
]

Codes = NDArray[np.uint8]
#: A picture as a hashing library takes it: an encoded file, or uint8[height, width, 3] of RGB.
Picture = bytes | NDArray[np.uint8]


class Absent(NamedTuple):
    """A peer that cannot be run here."""

    name: str
    reason: str


class Found(NamedTuple):
    """What a search found: the results of query ``i`` are ``offsets[i]:offsets[i + 1]``, in no particular order.

    Attributes:
        offsets: int64[n + 1].
        positions: int64[m], of the codes.
        distances: int64[m], bits.
    """

    offsets: NDArray[np.int64]
    positions: NDArray[np.int64]
    distances: NDArray[np.int64]


class SearchPeer(Protocol):
    """A search for all codes within a Hamming distance.

    Attributes:
        name: as a table names it.
        version: of the library.
        detail: how it is set up, in words; after `prepare`, with what was chosen for the list.
        exact: whether it promises to find everything; if not, `recall` belongs beside its time.
    """

    name: str
    version: str
    detail: str
    exact: bool

    def prepare(self, codes: Codes, radius: int, threads: int = 1) -> None:
        """Index ``codes`` (uint8[n, width]) for searches within ``radius`` bits, inclusive."""
        ...

    def run(self, queries: Codes) -> Found:
        """Codes within the radius of each of ``queries`` (uint8[n, width])."""
        ...


class HashPeer(Protocol):
    """A library that hashes pictures.

    Attributes:
        name: as a table names it.
        version: of the library.
        detail: what it does with a picture, in words.
        exact: whether its codes are meant to equal ours bit by bit, given the same pixels.
        algorithms: those of our registry that it has.
    """

    name: str
    version: str
    detail: str
    exact: bool
    algorithms: tuple[str, ...]

    def prepare(self, algorithm: str) -> None:
        """Choose one of `algorithms`, and load what it needs."""
        ...

    def run(self, pictures: Sequence[Picture]) -> list[bytes]:
        """The code of each picture, decoded first where it is a file."""
        ...


class LookupPeer(Protocol):
    """A program that looks digests up in a list.

    Attributes:
        name: as a table names it.
        version: of the program.
        detail: how it is called.
        exact: whether it finds everything.
    """

    name: str
    version: str
    detail: str
    exact: bool

    def prepare(self, known: Sequence[str], queries: Sequence[str], folder: Path) -> None:
        """Write and index a list of the MD5 digests ``known``, and the file of queries, both in hexadecimal."""
        ...

    def run(self) -> list[bool]:
        """Whether each query is in the list: the whole process, from its start to its end."""
        ...


def recall(found: Found, truth: Found) -> float:
    """The share of ``truth``'s pairs (query, position) that ``found`` has, 0 to 1; 1 where there is nothing to find."""
    if not len(truth.positions):
        return 1.0
    return len(_pairs(found) & _pairs(truth)) / len(_pairs(truth))


def _pairs(found: Found) -> set[tuple[int, int]]:
    queries = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
    return set(zip(queries.tolist(), found.positions.tolist(), strict=True))


def _version(package: str) -> str:
    return metadata.version(package)


# ---------------------------------------------------------------------- search


class FaissFlat:
    """FAISS's flat index: every query is compared with every code."""

    name = "faiss-flat"
    detail = "IndexBinaryFlat.range_search"
    exact = True

    def __init__(self) -> None:
        """Import FAISS.

        Raises:
            ImportError: it is not installed.
        """
        import faiss

        self._faiss: Any = faiss
        self.version = _version("faiss-cpu")

    def prepare(self, codes: Codes, radius: int, threads: int = 1) -> None:
        """See `SearchPeer.prepare`."""
        self.set_search(radius, threads)
        self._index = self._make(codes.shape[1] * 8, radius)
        self._faiss.omp_set_num_threads(threads)
        self._index.add(codes)

    def set_search(self, radius: int, threads: int) -> None:
        """Another radius (inclusive) or number of threads for the index that stands."""
        self._radius, self._threads = radius, threads

    def run(self, queries: Codes) -> Found:
        """See `SearchPeer.run`."""
        self._faiss.omp_set_num_threads(self._threads)  # of the whole process: another peer may have set it
        # The comparison is a strict one, so that radius + 1 includes the radius.
        limits, distances, positions = self._index.range_search(queries, self._radius + 1)
        return Found(limits.astype(np.int64), positions.astype(np.int64), distances.astype(np.int64))

    def _make(self, bits: int, radius: int) -> Any:  # noqa: ARG002
        return self._faiss.IndexBinaryFlat(bits)


class FaissMultiHash(FaissFlat):
    """FAISS's multi-hash index: tables over parts of the code, of which some neighbours are visited.

    Tables of 16 bits over all of the code find everything that is within ``(flips + 1) * tables - 1`` bits. Flips are
    bounded, as each takes some ten times as long as the one before: so a large radius is answered in part.
    """

    name = "faiss-multi-hash"
    detail = "IndexBinaryMultiHash"
    exact = False
    #: Flipped bits that are tried at most, and the bits of a table.
    most_flips = 2
    table_bits = 16

    def _make(self, bits: int, radius: int) -> Any:
        tables = max(1, bits // self.table_bits)
        index = self._faiss.IndexBinaryMultiHash(bits, tables, min(self.table_bits, bits))
        index.nflip = min(radius // tables, self.most_flips)
        self.detail = f"IndexBinaryMultiHash, {tables} tables of {self.table_bits} bits, {index.nflip} flipped"
        return index


class USearch:
    """USearch's graph index: the nearest codes, of which those within the radius are kept.

    It has no search by radius, so that a query with more than `nearest` codes in reach loses the others. Building takes
    some tenths of a millisecond a code.
    """

    name = "usearch"
    exact = False
    #: Codes that are asked for by query.
    nearest = 10

    def __init__(self) -> None:
        """Import USearch.

        Raises:
            ImportError: it is not installed.
        """
        import usearch.index

        self._library: Any = usearch.index
        self.version = _version("usearch")
        self.detail = f"Index, HNSW, Hamming over bits, the {self.nearest} nearest"

    def prepare(self, codes: Codes, radius: int, threads: int = 1) -> None:
        """See `SearchPeer.prepare`. The graph depends a little on the number of threads."""
        library, self._radius, self._threads = self._library, radius, threads
        self._index = library.Index(
            ndim=codes.shape[1] * 8, metric=library.MetricKind.Hamming, dtype=library.ScalarKind.B1
        )
        self._index.add(np.arange(len(codes), dtype=np.uint64), codes, threads=threads)

    def run(self, queries: Codes) -> Found:
        """See `SearchPeer.run`."""
        if not len(queries) or not len(self._index):
            return Found(np.zeros(len(queries) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
        result = self._index.search(queries, self.nearest, threads=self._threads)
        shape = len(queries), -1  # one query comes without its dimension
        keys, distances = result.keys.reshape(shape), result.distances.reshape(shape)
        counts = np.asarray(getattr(result, "counts", keys.shape[1])).reshape(-1, 1)
        near = (distances <= self._radius) & (np.arange(keys.shape[1]) < counts)
        offsets = np.zeros(len(queries) + 1, np.int64)
        np.cumsum(near.sum(axis=1), out=offsets[1:])
        return Found(offsets, keys[near].astype(np.int64), distances[near].astype(np.int64))


# ---------------------------------------------------------------------- hashing


class ImageHash:
    """The package imagehash, over Pillow."""

    name = "imagehash"
    detail = "Image.open and the function of the algorithm, hash_size 8"
    exact = True
    algorithms: tuple[str, ...] = ("phash", "dhash", "ahash", "whash")

    _FUNCTIONS = MappingProxyType(
        {"phash": "phash", "dhash": "dhash", "ahash": "average_hash", "whash": "whash"},
    )

    def __init__(self) -> None:
        """Import imagehash and Pillow.

        Raises:
            ImportError: one is not installed.
        """
        import imagehash
        from PIL import Image

        self._library: Any = imagehash
        self._image: Any = Image
        self.version = _version("imagehash")

    def prepare(self, algorithm: str) -> None:
        """See `HashPeer.prepare`."""
        _expect(self, algorithm)
        self._function = getattr(self._library, self._FUNCTIONS[algorithm])

    def run(self, pictures: Sequence[Picture]) -> list[bytes]:
        """See `HashPeer.run`."""
        codes = []
        for picture in pictures:
            opened = (
                self._image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else self._image.fromarray(picture)
            )
            codes.append(np.packbits(self._function(opened, hash_size=8).hash.ravel()).tobytes())
        return codes


class PdqHash:
    """The package pdqhash: Meta's PDQ in C++, with Pillow as the decoder."""

    name = "pdqhash"
    detail = "Image.open as RGB and pdqhash.compute"
    exact = True
    algorithms: tuple[str, ...] = ("pdq",)

    def __init__(self) -> None:
        """Import pdqhash and Pillow.

        Raises:
            ImportError: one is not installed.
        """
        import pdqhash
        from PIL import Image

        self._library: Any = pdqhash
        self._image: Any = Image
        self.version = _version("pdqhash")

    def prepare(self, algorithm: str) -> None:
        """See `HashPeer.prepare`."""
        _expect(self, algorithm)

    def run(self, pictures: Sequence[Picture]) -> list[bytes]:
        """See `HashPeer.run`."""
        codes = []
        for picture in pictures:
            pixels = (
                np.asarray(self._image.open(io.BytesIO(picture)).convert("RGB"))
                if isinstance(picture, bytes)
                else picture
            )
            vector, _ = self._library.compute(pixels)
            codes.append(np.packbits(vector).tobytes())
        return codes


class Perception:
    """Thorn's package perception. Its arithmetic is OpenCV's, so that its codes are not meant to equal ours."""

    name = "perception"
    detail = "perception.hashers, pictures read by the package itself"
    exact = False
    algorithms: tuple[str, ...] = ("pdq", "phash", "dhash", "ahash", "whash")

    _CLASSES = MappingProxyType(
        {"pdq": "PDQHash", "phash": "PHash", "dhash": "DHash", "ahash": "AverageHash", "whash": "WaveletHash"},
    )

    def __init__(self) -> None:
        """Import perception.

        Raises:
            ImportError: it is not installed, or lacks a library of the system.
        """
        # By name: the package ships no types, and most machines do not have it.
        self._library: Any = importlib.import_module("perception.hashers")
        self.version = _version("perception")

    def prepare(self, algorithm: str) -> None:
        """See `HashPeer.prepare`."""
        _expect(self, algorithm)
        self._hasher = getattr(self._library, self._CLASSES[algorithm])()

    def run(self, pictures: Sequence[Picture]) -> list[bytes]:
        """See `HashPeer.run`."""
        codes = []
        for picture in pictures:
            source = io.BytesIO(picture) if isinstance(picture, bytes) else picture
            codes.append(np.packbits(self._hasher.compute(source, hash_format="vector")).tobytes())
        return codes


def _expect(peer: HashPeer, algorithm: str) -> None:
    if algorithm not in peer.algorithms:
        raise UsageError(f"{peer.name} has no {algorithm}; it has {', '.join(peer.algorithms)}")


# ---------------------------------------------------------------------- lookups of digests


class Hfind:
    """The Sleuth Kit's hfind, over its own index of an md5sum file."""

    name = "hfind"
    detail = "hfind -f FILE over an index of an md5sum file"
    exact = True

    def __init__(self) -> None:
        """Find the program.

        Raises:
            FileNotFoundError: it is not on the path.
        """
        program = shutil.which("hfind")
        if program is None:
            raise FileNotFoundError("is not on the path; it comes with the Sleuth Kit")
        self._program = program
        shown = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)
        self.version = (shown.stdout + shown.stderr).strip().rpartition(" ")[2] or "unknown"

    def prepare(self, known: Sequence[str], queries: Sequence[str], folder: Path) -> None:
        """See `LookupPeer.prepare`."""
        self._known, self._queries = folder / "hfind-known.md5", folder / "hfind-queries.txt"
        self._known.write_text("".join(f"{text}  {i:08d}.jpg\n" for i, text in enumerate(known)), encoding="ascii")
        self._queries.write_text("".join(f"{text}\n" for text in queries), encoding="ascii")
        subprocess.run([self._program, "-i", "md5sum", self._known], check=True, capture_output=True)

    def run(self) -> list[bool]:
        """See `LookupPeer.run`."""
        command: list[str | Path] = [self._program, "-f", self._queries, self._known]
        done = subprocess.run(command, check=True, capture_output=True)
        return [not line.endswith(b"\tHash Not Found") for line in done.stdout.splitlines()]


# ---------------------------------------------------------------------- what there is


_Peer = TypeVar("_Peer", SearchPeer, HashPeer, LookupPeer)


def _available(kinds: Sequence[type[_Peer]]) -> list[_Peer | Absent]:
    found: list[_Peer | Absent] = []
    for kind in kinds:
        name = kind.name
        try:
            found.append(kind())
        except ModuleNotFoundError as error:
            found.append(Absent(name, f"is not installed: no module {error.name}"))
        except (ImportError, OSError) as error:  # a library of the system is missing, or another version was expected
            found.append(Absent(name, f"cannot be loaded: {error}"))
    return found


def search_peers() -> list[SearchPeer | Absent]:
    """All peers for Hamming search, those that are not installed as `Absent`; imports them."""
    kinds: tuple[type[SearchPeer], ...] = (FaissFlat, FaissMultiHash, USearch)
    return _available(kinds)


def hash_peers() -> list[HashPeer | Absent]:
    """All peers for hashing pictures, those that are not installed as `Absent`; imports them."""
    kinds: tuple[type[HashPeer], ...] = (ImageHash, PdqHash, Perception)
    return _available(kinds)


def lookup_peers() -> list[LookupPeer | Absent]:
    """All peers for looking digests up, those that are not installed as `Absent`."""
    kinds: tuple[type[LookupPeer], ...] = (Hfind,)
    return _available(kinds)
