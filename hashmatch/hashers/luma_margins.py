"""Which hashes a JPEG's luma plane can be trusted for: those that the full-colour route could change by 4 bits at most.

A decoder makes RGB from luma and chroma, rounds, and clips what lies outside 0 to 255. Luma computed from that RGB is
not the luma plane any more: off by a fifth of a grey level nearly everywhere (rounding), by several where saturated
colours were clipped. A bit of a hash differs between the two routes only if what it compares lay that close to its
threshold. So what this module asks is how close the comparisons are, which the kernels that make the hashes measure on
the way (`hashmatch.kernels.plane`).

- PDQ's 256 coefficients flip in pairs across the median: more than 4 bits means that three of either side crossed it.
  The least disturbance that could do that moves the six middle ones to one value: their distance from their mean.
  It is compared with what colour can do to a picture of this contrast and size, compressed this hard.
- aHash and dHash differ in more than 4 bits if the fifth closest comparison of the 8 x 8 or 9 x 8 grey levels falls
  the other way.
- pHash has far fewer coefficients near its median, and was never seen to differ by more than 4 bits but in pictures
  without detail. Those are told by the spread of PDQ's coefficients, and no hash of theirs is trusted.

The limits are measured, not proved: on 11,500 generated JPEGs of 128 to 1,024 pixels a side, qualities 70 to 98, all
subsamplings, half of them with colours and contrast pushed far into clipping. Of those, 11 would differ in more than 4
bits of PDQ without a limit, 15 of aHash, one of dHash; the first two limits stand above the worst of them by 3%
and 50%. That of dHash stands 28% above a picture found later, with 5 bits at 0.78.
``benchmarks/luma_profile.py`` reports what is left; it found the case that the second limit of PDQ is there for. A
wrong "doubtful" costs a second decoding and changes no bit that the reference would not have.
"""

from __future__ import annotations

from collections.abc import Iterable

from hashmatch.kernels import PlaneHashes
from hashmatch.kernels.plane import MAX_SIDE, ORDERED_UNIT, SAMPLE_UNITS

__all__ = ["trusted", "worth_decoding"]

_MIN_SIDE = 128  # pixels: in smaller pictures too few errors average out, and decoding them fully costs little
_MAX_STEP = 60.0  # mean step of the coarsest table, quality 66 of libjpeg: coarser chroma errs by more than is measured
_MIN_SPREAD = 5.0  # interquartile range of PDQ's coefficients: 3.8 was the most of a picture that pHash failed on
# The disturbance was seen to grow as spread^0.7 (step / shorter side)^0.5. Rounding alone does not depend on step or
# contrast: in pictures of nearly one colour its errors are the same over large parts.
_PDQ, _PDQ_ROUNDING = 0.2, 9.0
_CLOSEST = {"ahash": 0.7, "dhash": 1.0}  # grey levels


def worth_decoding(width: int, height: int, step: float) -> bool:
    """Whether a JPEG of this size and compression can be trusted at all (see `hashmatch.imaging.decode`).

    Args:
        width: in pixels.
        height: in pixels.
        step: mean step of the coarsest quantisation table.
    """
    return min(width, height) >= _MIN_SIDE and max(width, height) <= MAX_SIDE and step <= _MAX_STEP


def trusted(found: PlaneHashes, side: int, step: float, algorithms: Iterable[str]) -> list[str]:
    """Those of ``algorithms`` that can be made from the luma plane of a JPEG that is `worth_decoding`.

    Args:
        found: what `hashmatch.kernels.plane_hashes` says of the plane, for these algorithms at least.
        side: the shorter one, in pixels.
        step: mean step of the coarsest quantisation table.
        algorithms: names of perceptual algorithms, in the order of the result. ``whash``, whose thresholds nobody has
            measured, is never trusted.
    """
    low, *middle, high = found.ordered
    spread = (high - low) * ORDERED_UNIT
    if spread < _MIN_SPREAD:
        return []
    doubtful = {"whash"}
    # The distance of six whole numbers from their mean.
    squares = len(middle) * sum([value * value for value in middle]) - sum(middle) ** 2
    disturbance = (squares / len(middle)) ** 0.5 * ORDERED_UNIT
    if disturbance < max(_PDQ * spread**0.7 * step**0.5, _PDQ_ROUNDING) / side**0.5:
        doubtful.add("pdq")
    for name, distance in found.closest.items():
        if distance * SAMPLE_UNITS[name] < _CLOSEST[name]:
            doubtful.add(name)
    return [name for name in algorithms if name not in doubtful]
