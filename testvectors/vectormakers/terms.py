"""What every file says about its use: the licence, and what its vectors cannot test."""

from __future__ import annotations

__all__ = ["LICENCE", "LIMITS"]

#: There is no licence to name: that is for the project's owner to choose, and this says so and no more.
LICENCE = (
    "Not yet licensed: the owner of the project has not chosen a licence, and nothing here grants one. Ask the owner "
    "before these vectors are copied into another work or redistributed."
)

_PIXELS = (
    "says nothing of decoders, of resizing before hashing, of speed, or of how well altered pictures are recognised"
)
_FAMILY = f"{_PIXELS}; pictures named in left_out have no vector, since rounding or the order of two passes decides"
#: Kind -> what its vectors cannot test.
LIMITS = {
    "images": ["synthetic pictures of at most 640x480 or 1000x40 pixels; none is a photograph"],
    "pdq": [
        _PIXELS,
        "no picture is reduced to 512x512 first, as Meta's command line does: that is another profile",
        "where float_order is reference, only the original's float32 operations in their order are sure to agree",
    ],
    "phash": [_FAMILY],
    "dhash": [_FAMILY],
    "ahash": [_FAMILY],
    "whash": [_FAMILY, "the resampled picture is not given, so the two halves cannot be tested apart"],
    "digests": ["no input is longer than 129 bytes; streaming and files over 4 GiB are not tested"],
    "files": [
        "a few files only: hostile files, limits of size, animations and other formats are not tested",
        "perceptual hashes of JPEG and lossy WebP are exact for the decoder in exact_for alone",
    ],
    "search": [
        "no list is longer than 256 rows: indexes that are built for large lists may not be reached, nor speed, memory "
        "and threads",
        "PhotoDNA values are bytes without meaning; PhotoDNA itself is never computed",
    ],
    "lists": [
        "written from public descriptions of the formats: fields of real exports that nobody has described are missing",
        "not NSRL RDS 3, Parquet or databases of hashes",
        "not what a list says beside its entries: withdrawals, opinions",
        "a file cut off exactly at the end of a record looks whole: no vector can tell",
    ],
    "report": [
        "rows of the report alone, not its other files; not searches over more rows than a file like this can hold",
    ],
}
