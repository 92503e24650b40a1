"""JPEGs with the cost of photographs, made from a seed: the input of the benchmarks that decode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashmatch import imaging, synthetic

__all__ = ["photograph"]

#: Sides in pixels, and bytes of a file: the mean of a folder of photographs from the web.
WIDTH, HEIGHT, TARGET = 500, 375, 110_000
_GRAIN = 10, 5  # of all channels together and of each by itself, in grey levels


def photograph(seed: int, *, upright: bool | None = None) -> bytes:
    """A JPEG of 0.19 megapixels and about 110 kB, with the spectrum of a photograph and the grain of a sensor.

    Half of them with chroma at half the resolution, as most cameras write it, half at full.
    """
    if upright is None:
        upright = bool(seed % 3 == 0)
    width, height = (HEIGHT, WIDTH) if upright else (WIDTH, HEIGHT)
    picture = synthetic.image(seed, width, height, "noise").astype(np.int16)
    chance = np.random.default_rng(seed)
    grain = chance.normal(0, _GRAIN[0], (height, width, 1)) + chance.normal(0, _GRAIN[1], (height, width, 3))
    rgb: NDArray[np.uint8] = np.clip(picture + grain, 0, 255).astype(np.uint8)
    options = {"subsampling": 2 if seed % 2 else 0}
    low, high = 60, 98
    while low < high:  # the least quality that reaches the size
        quality = (low + high) // 2
        if len(imaging.encode(rgb, "JPEG", quality=quality, **options)) < TARGET:
            low = quality + 1
        else:
            high = quality
    return imaging.encode(rgb, "JPEG", quality=low, **options)
