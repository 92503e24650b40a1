"""From bytes or pixels to codes: one module per family of algorithms, one function that computes any of them.

Hashers never see a path and never decode: they take bytes, or pixels that `hashmatch.imaging` decoded. Importing this
package imports neither Pillow nor imagehash nor scipy.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hashmatch import algorithms as registry
from hashmatch import kernels
from hashmatch.errors import UnknownAlgorithmError
from hashmatch.hashers import imagehash_family, luma_margins, pdq
from hashmatch.hashers.digests import DIGESTS

__all__ = ["PERCEPTUAL", "PixelSource", "check_computed", "compute", "compute_trusted"]


class PixelSource(Protocol):
    """What a hasher needs of a decoded image; `hashmatch.imaging.Pixels` is one."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture, in any form that `hashmatch.kernels.pdq_from_pixels` takes."""
        ...

    @property
    def vertical_first(self) -> int:
        """The order in which the decoder's library resamples, as `hashmatch.kernels.family_from_pixels` wants it."""
        ...

    @property
    def image(self) -> Any:
        """The picture as an object of Pillow, mode RGB or L."""
        ...


#: Names of what is made of pixels, in registry order.
PERCEPTUAL = ("pdq", *imagehash_family.NAMES)


def check_computed(algorithms: Iterable[str]) -> tuple[str, ...]:
    """Names of ``algorithms`` without duplicates, in registry order.

    Raises:
        UnknownAlgorithmError: a name that the registry does not hold, or an algorithm that is matched or kept but
            never computed here.
    """
    return _checked(tuple(algorithms))


@lru_cache(maxsize=256)
def _checked(algorithms: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(item.name for item in registry.select(algorithms))
    for name in chosen:
        if name not in PERCEPTUAL and name not in DIGESTS:
            raise UnknownAlgorithmError(f"{name} cannot be computed: {_why_not(name)}")
    return chosen


def _why_not(name: str) -> str:
    can = ", ".join((*DIGESTS, *PERCEPTUAL))
    if registry.get(name).kind is registry.Kind.OPAQUE:
        return f"it is proprietary and only kept with an entry, neither computed nor matched; computed are {can}"
    return f"it is licensed, so hashmatch matches it and never computes it; computed are {can}"


def compute(pixels: PixelSource, algorithms: Iterable[str]) -> tuple[dict[str, bytes], dict[str, int]]:
    """Perceptual hashes of decoded pixels.

    Args:
        pixels: a decoded image.
        algorithms: names of perceptual algorithms: ``pdq``, ``phash``, ``dhash``, ``ahash``, ``whash``.

    Returns:
        ``(hashes, quality)``: algorithm name -> raw bytes, and algorithm name -> quality, 0 to 100, for those that have
        one (``pdq``). In registry order.

    Raises:
        UnknownAlgorithmError: a name that the registry does not hold, one that is never computed (``photodna``), or a
            digest, which is made of a file's bytes and not of pixels (`hashmatch.hashers.digests`).
    """
    hashes: dict[str, bytes] = {}
    quality: dict[str, int] = {}
    chosen = check_computed(algorithms)
    for name in chosen:
        if name not in PERCEPTUAL:
            raise UnknownAlgorithmError(f"{name} is made of a file's bytes, not of pixels: use hashers.digests")
    if "pdq" in chosen:
        hashes["pdq"], quality["pdq"] = pdq.pdq(pixels.pixels)
    if family := [name for name in chosen if name in imagehash_family.NAMES]:
        hashes |= imagehash_family.compute_all(family, pixels)
    return hashes, quality


def compute_trusted(
    pixels: PixelSource, step: float, algorithms: Iterable[str]
) -> tuple[dict[str, bytes], dict[str, int]]:
    """Those perceptual hashes of a JPEG's luma plane that can be trusted (`hashmatch.hashers.luma_margins`).

    Args:
        pixels: the plane.
        step: mean step of the JPEG's coarsest quantisation table.
        algorithms: names of perceptual algorithms, in registry order.

    Returns:
        As `compute`, without the hashes that are in doubt.
    """
    wanted = list(algorithms)
    plane = pixels.pixels
    names = [name for name in wanted if name == "pdq" or name in kernels.FAMILY]
    found = kernels.plane_hashes(plane, names, vertical_first=pixels.vertical_first)
    hashes: dict[str, bytes] = {}
    for name in luma_margins.trusted(found, min(plane.shape), step, wanted):
        hashes[name] = found.codes.get(name) or imagehash_family.compute(name, pixels.image)
    return hashes, {"pdq": found.quality} if "pdq" in hashes else {}
