"""The registry of algorithms: names, kinds, widths, default radii and text forms.

This module knows nothing of pixels or files: what an algorithm *is*, not how it is computed. Everything that needs a
width, a radius or a list of names takes it from here.
"""

from __future__ import annotations

import binascii
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from hashmatch.errors import HashTextError, RadiusError, UnknownAlgorithmError, shorten

__all__ = [
    "ALGORITHMS",
    "EMPTY_DIGESTS",
    "PDQ_MIN_QUALITY",
    "Algorithm",
    "Kind",
    "check_radius",
    "get",
    "names",
    "parse_base64",
    "parse_hex",
    "select",
]


class Kind(StrEnum):
    """How two hashes of an algorithm are compared."""

    EXACT = "exact"
    """Equal or not: cryptographic digests."""
    HAMMING = "hamming"
    """Number of differing bits."""
    EUCLIDEAN = "euclidean"
    """Squared Euclidean distance over bytes (PhotoDNA)."""
    OPAQUE = "opaque"
    """Kept with an entry and never compared: formats without a public definition of their distance."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm.

    Attributes:
        name: the name used in code, on the command line and in every file.
        number: the number that stands for it in files (bit of a presence mask); never reused.
        kind: how hashes are compared.
        width: bytes of one hash.
        radius: the default largest distance that still matches, inclusive: bits for HAMMING, squared units for
            EUCLIDEAN, 0 for EXACT and OPAQUE.
        computed: whether hashmatch computes it from an image's bytes or pixels.
    """

    name: str
    number: int
    kind: Kind
    width: int
    radius: int
    computed: bool

    @property
    def bits(self) -> int:
        """Bits of one hash."""
        return 8 * self.width

    @property
    def max_radius(self) -> int:
        """The largest distance that two hashes can have: a radius of this value matches everything."""
        if self.kind is Kind.HAMMING:
            return self.bits
        if self.kind is Kind.EUCLIDEAN:
            return self.width * 255 * 255
        return 0


def _registry() -> Mapping[str, Algorithm]:
    exact, hamming = Kind.EXACT, Kind.HAMMING
    table = (
        Algorithm("md5", 0, exact, 16, 0, True),
        Algorithm("sha1", 1, exact, 20, 0, True),
        Algorithm("sha256", 2, exact, 32, 0, True),
        Algorithm("sha512", 3, exact, 64, 0, True),
        Algorithm("pdq", 4, hamming, 32, 31, True),
        Algorithm("phash", 5, hamming, 8, 6, True),
        Algorithm("dhash", 6, hamming, 8, 6, True),
        Algorithm("ahash", 7, hamming, 8, 6, True),
        Algorithm("whash", 8, hamming, 8, 6, True),
        Algorithm("photodna", 9, Kind.EUCLIDEAN, 144, 40_000, False),
        # Two proprietary hashes of the ICSE export: kept so that an export loses nothing, never matched.
        Algorithm("zz40", 10, Kind.OPAQUE, 16, 0, False),
        Algorithm("lace", 11, Kind.OPAQUE, 129, 0, False),
    )
    return MappingProxyType({algorithm.name: algorithm for algorithm in table})


#: Name -> algorithm, in the order of their numbers.
ALGORITHMS: Mapping[str, Algorithm] = _registry()

#: Quality under which a PDQ hash is not matched (the PDQ authors' recommendation), exclusive: 50 is matched.
PDQ_MIN_QUALITY = 50

#: Digests of the empty file. They say nothing about an image; every reader drops and counts them.
EMPTY_DIGESTS: Mapping[str, bytes] = MappingProxyType(
    {
        "md5": bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"),
        "sha1": bytes.fromhex("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        "sha256": bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        "sha512": bytes.fromhex(
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
            "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
        ),
    }
)


def names(*kinds: Kind) -> tuple[str, ...]:
    """Names of the algorithms of the given kinds (of all kinds where none is given), in registry order."""
    return tuple(a.name for a in ALGORITHMS.values() if not kinds or a.kind in kinds)


def get(name: str) -> Algorithm:
    """The algorithm called ``name`` (lower case).

    Raises:
        UnknownAlgorithmError: no such algorithm.
    """
    try:
        return ALGORITHMS[name]
    except KeyError:
        raise UnknownAlgorithmError(
            f"unknown algorithm {shorten(name)}; hashmatch knows {', '.join(ALGORITHMS)}"
        ) from None


def check_radius(name: str, radius: int) -> int:
    """``radius`` if the algorithm allows it (0 to ``max_radius``, both inclusive).

    Raises:
        UnknownAlgorithmError: no such algorithm, or one that is not matched by distance.
        RadiusError: negative, too large, or not an integer.
    """
    algorithm = get(name)
    if algorithm.kind not in (Kind.HAMMING, Kind.EUCLIDEAN):
        raise UnknownAlgorithmError(f"{name} takes no radius: its kind is {algorithm.kind.value}")
    try:
        value = -1 if isinstance(radius, bool) else operator.index(radius)  # takes NumPy's whole numbers too
    except TypeError:
        value = -1
    if not 0 <= value <= algorithm.max_radius:
        unit = "bits" if algorithm.kind is Kind.HAMMING else "squared units"
        raise RadiusError(
            f"radius of {name} is {shorten(radius)}; "
            f"expected a whole number of {unit} from 0 to {algorithm.max_radius:,}"
        )
    return value


def parse_hex(name: str, text: str) -> bytes:
    """The raw hash that ``text`` gives in hexadecimal digits of any case.

    Raises:
        HashTextError: an odd number of digits, a character that is no hexadecimal digit, or the wrong width.
    """
    algorithm = ALGORITHMS.get(name) or get(name)
    try:
        value = binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != algorithm.width:
        raise HashTextError(_hex_problem(algorithm, text), field=name)
    return value


def _hex_problem(algorithm: Algorithm, text: str) -> str:
    expected = f"expected {2 * algorithm.width} hexadecimal digits for {algorithm.name}"
    # Never the text itself: messages go into reports and logs, and hashes must not.
    for position, character in enumerate(text, 1):
        if character not in "0123456789abcdefABCDEF":
            return (
                f"found the character {character!r} at position {position:,}, which is no hexadecimal digit; {expected}"
            )
    return f"found {len(text):,} digits; {expected}"


def parse_base64(name: str, text: str) -> bytes:
    """The raw hash that ``text`` gives in base64 (standard alphabet, padded, no white space).

    Raises:
        HashTextError: not base64, or the wrong width.
    """
    algorithm = ALGORITHMS.get(name) or get(name)
    problem = "more padding than is due, or unused bits that are set"
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
        # Even the strict mode passes over these two, and one hash must not have two texts.
        sound = binascii.b2a_base64(value, newline=False).decode() == text
    except (binascii.Error, ValueError) as error:
        problem, sound = str(error), False
    if not sound:
        raise HashTextError(
            f"found {len(text):,} characters that are not base64 ({problem}); "
            f"expected base64 of {algorithm.width} bytes for {name}",
            field=name,
        )
    if len(value) != algorithm.width:
        raise HashTextError(
            f"found base64 of {len(value):,} bytes; expected {algorithm.width} bytes for {name}", field=name
        )
    return value


def select(wanted: Iterable[str]) -> tuple[Algorithm, ...]:
    """The algorithms called ``wanted``, without duplicates, in registry order.

    Raises:
        UnknownAlgorithmError: one of the names is unknown.
    """
    return _select(tuple(wanted))


@lru_cache(maxsize=256)  # for whoever asks for the same names for every file
def _select(wanted: tuple[str, ...]) -> tuple[Algorithm, ...]:
    chosen = {get(name).number for name in wanted}
    return tuple(a for a in ALGORITHMS.values() if a.number in chosen)
