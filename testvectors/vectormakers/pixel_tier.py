"""From samples to hashes, exact: PDQ and the family of pHash, dHash, aHash and wHash; and digests of byte strings."""

from __future__ import annotations

import hashlib
import platform
from typing import Any

import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from hashmatch import kernels
from hashmatch.hashers import digests, imagehash_family
from vectormakers import resampling
from vectormakers.committed import Committed, VectorError, document, packed
from vectormakers.pictures import Picture

__all__ = ["digests_document", "family_document", "pdq_document"]

# --- PDQ

#: What the coefficients of two orders of float32 operations may differ by; about three times the largest seen.
_COEFFICIENT_DRIFT = 0.05
#: The same for a difference of neighbours, in hundredths of the full scale.
_PAIR_DRIFT = 0.0025


def _box(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean along axis 0 in PDQ's window, straight from its definition."""
    n = len(values)
    window = (n + 127) // 128
    half = (window + 2) // 2
    return np.stack([values[max(0, o - (window - half)) : min(n, o + half)].mean(axis=0) for o in range(n)])


def _buffer(luma: NDArray[np.float64], *, always_filter: bool) -> NDArray[np.float64]:
    height, width = luma.shape
    if luma.shape == (64, 64) and not always_filter:
        return luma
    for _ in range(2):
        luma = _box(_box(luma.T).T)
    rows = [int((k + 0.5) * height / 64) for k in range(64)]
    columns = [int((k + 0.5) * width / 64) for k in range(64)]
    return luma[np.ix_(rows, columns)]


def _variants(buffer: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Coefficients of the eight orientations in the order of `kernels.DIHEDRAL_ORDER`."""
    i, j = np.mgrid[:16, :64]
    dct = np.sqrt(2 / 64) * np.cos(np.pi / 128 * (i + 1) * (2 * j + 1))
    b = dct @ buffer @ dct.T
    y, x = np.mgrid[:16, :16]
    even_row, even_column, odd_sum = y % 2 == 0, x % 2 == 0, (x + y) % 2 == 1
    turned = [
        (b, None),
        (b.T, even_row),
        (b, odd_sum),
        (b.T, even_column),
        (b, even_row),
        (b, even_column),
        (b.T, None),
        (b.T, odd_sum),
    ]
    return [values if negate is None else np.where(negate, -values, values) for values, negate in turned]


def _plain_code(coefficients: NDArray[np.float64]) -> tuple[bytes, float]:
    """(code, distance between the coefficients on both sides of the threshold), with Python's own integers."""
    flat = coefficients.ravel().tolist()
    ranked = sorted(flat)
    number = sum(1 << k for k, value in enumerate(flat) if value > ranked[127])
    return number.to_bytes(32, "big"), ranked[128] - ranked[127]


def _plain_quality(buffer: NDArray[np.float64]) -> tuple[int, int]:
    """The least and the most that the quality can be when every difference may drift."""
    bounds = []
    for drift in (-_PAIR_DRIFT, _PAIR_DRIFT):
        total = 0
        for difference in (np.diff(buffer, axis=0), np.diff(buffer, axis=1)):
            total += int(np.floor(np.maximum(np.abs(difference) * 100 / 255 + drift, 0)).sum())
        bounds.append(min(100, total // 90))
    return bounds[0], bounds[1]


def _any_order(luma: NDArray[np.float32], codes: list[bytes], qualities: list[int]) -> bool:
    """Whether a plain computation in float64 must give the same: every decision stands clear of rounding.

    Raises:
        VectorError: it stands clear and gives something else.
    """
    if min(luma.shape) < 5 or not luma.any():  # defined, and zeros that no rounding touches
        return True
    exact = luma.astype(np.float64)
    buffers = [_buffer(exact, always_filter=False), _buffer(exact, always_filter=True)]
    found = [_plain_code(_variants(buffers[0])[0]), *map(_plain_code, _variants(buffers[1]))]
    bounds = [_plain_quality(buffer) for buffer in buffers]
    if min(gap for _, gap in found) < _COEFFICIENT_DRIFT or any(low != high for low, high in bounds):
        return False
    if [code for code, _ in found] != codes or [low for low, _ in bounds] != qualities:
        raise VectorError("the plain computation in float64 stands clear of rounding and gives another PDQ")
    return True


def _check_with_pdqhash(picture: Picture, code: bytes, quality: int, codes: list[bytes], other: int) -> None:
    rgb = picture.rgb if picture.rgb is not None else picture.pixels
    if rgb.ndim == 2:
        rgb = np.ascontiguousarray(np.repeat(rgb[..., None], 3, axis=2))
    vector, theirs = pdqhash.compute(rgb)
    vectors, others = pdqhash.compute_dihedral(rgb)
    found = (np.packbits(vector).tobytes(), theirs, [np.packbits(v).tobytes() for v in vectors], others)
    if found != (code, quality, codes, other):
        raise VectorError(f"{picture.id}: pdqhash gives another hash or quality")


def pdq_document(found: list[Picture], committed: Committed) -> bytes:
    """``pdq.json``: hash, quality and the eight orientations.

    Raises:
        VectorError: our code, pdqhash and the plain computation do not agree.
    """
    vectors = []
    for picture in found:
        pixels = picture.pixels
        luma = kernels.rgb_to_luma(pixels) if pixels.ndim == 3 else pixels.astype(np.float32)
        code, quality = kernels.pdq_from_luma(luma)
        codes, other = kernels.pdq_dihedral_from_luma(luma)
        texts = [row.tobytes() for row in codes]
        clear = _any_order(luma, [code.tobytes(), *texts], [quality, other])
        # Compilers fuse multiplications and additions on other processors: there rounding may decide otherwise.
        if clear or platform.machine().lower() in ("x86_64", "amd64"):
            _check_with_pdqhash(picture, code.tobytes(), quality, texts, other)
        else:
            committed.notes.append(f"pdq {picture.id}: not compared with pdqhash on {platform.machine()}")
        vectors.append(
            {
                "id": f"pdq-{picture.id}",
                "comment": picture.comment,
                "input": {"image": picture.id},
                "float_order": "any" if clear else "reference",
                "expect": {
                    "pdq": code.tobytes().hex(),
                    "quality": quality,
                    "dihedral": {name: text.hex() for name, text in zip(kernels.DIHEDRAL_ORDER, texts, strict=True)},
                    "dihedral_quality": other,
                },
            }
        )
    units = {
        "image": "id of a picture in images.json",
        "pdq": "256 bits as 64 hexadecimal digits, coefficient (15, 15) first",
        "quality": "0 to 100",
        "dihedral": "hash of the picture turned or mirrored, from one transform; an input of 64x64 is filtered here",
        "dihedral_quality": "quality that comes with the eight; differs from quality for 64x64 alone",
        "float_order": "any: every decision stands clear of rounding; reference: rounding decides, so only the float32 "
        "operations of the original in their order, without fused multiply-add, are sure to give it",
    }
    comment = "PDQ of samples without any resize: luma = 0.299 R + 0.587 G + 0.114 B, rounded to float32 once."
    return document("pdq", comment, units, vectors)


# --- the family of imagehash

_FUNCTIONS = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "ahash": imagehash.average_hash,
    "whash": imagehash.whash,
}
_TITLES = {
    "phash": "pHash: 32x32 grey, DCT-II, the 8x8 lowest coefficients (DC included), bit = above their median.",
    "dhash": "dHash: 9x8 grey, bit = a sample is brighter than its left neighbour.",
    "ahash": "aHash: 8x8 grey, bit = above the mean.",
    "whash": "wHash: square grey, Haar wavelet without its coarsest term, 8x8 low band, bit = above its median.",
}


def family_document(name: str, found: list[Picture]) -> bytes:
    """``phash.json`` and its kin. Pictures without a stable result are left out and named.

    Raises:
        VectorError: our code, imagehash and the plain computation do not agree.
    """
    vectors: list[dict[str, Any]] = []
    left_out: dict[str, list[str]] = {"median": [], "resampling": []}
    for picture in found:
        if picture.pixels.dtype != np.uint8:
            continue
        grey = resampling.grey_of(picture.pixels)
        width, height = resampling.reduced_size(name, picture.width, picture.height)
        reduced = resampling.resampled(grey, width, height)
        # Of a black picture all values are zeros that no rounding touches: the one tie at the median that is certain.
        if resampling.median_gap(name, reduced) < 1e-6 and reduced.any():
            left_out["median"].append(picture.id)
            continue
        code = resampling.hash_of(name, reduced)
        # Pillow 13 may go down first where a picture is higher than wide, and nowhere else.
        if picture.height > picture.width:
            other = resampling.resampled(grey, width, height, down_first=True)
            if resampling.hash_of(name, other) != code or resampling.median_gap(name, other) < 1e-6:
                left_out["resampling"].append(picture.id)
                continue
        image = Image.fromarray(np.ascontiguousarray(picture.pixels))
        if not imagehash_family.compute(name, image).hex() == str(_FUNCTIONS[name](image, hash_size=8)) == code.hex():
            raise VectorError(f"{name} {picture.id}: hashmatch, imagehash and the plain computation do not agree")
        expect: dict[str, Any] = {name: code.hex()}
        if name in resampling.REDUCED:
            expect["reduced"] = {"width": width, "height": height, **packed(reduced.tobytes())}
        vectors.append(
            {"id": f"{name}-{picture.id}", "comment": picture.comment, "input": {"image": picture.id}, "expect": expect}
        )
    units = {
        "image": "id of a picture in images.json",
        name: "64 bits as 16 hexadecimal digits, row by row, first bit most significant",
        "reduced": "the grey picture after resampling across, then down (uint8); not for whash",
        "left_out": "ids of pictures without a stable result: the values at the median are equal but for rounding, or "
        "the hash depends on whether resampling goes across or down first",
    }
    return document(name, _TITLES[name], units, vectors, left_out=left_out)


# --- digests

#: From RFC 1321 and FIPS 180: what hashlib itself is held against.
_PUBLISHED = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
}


def digests_document() -> bytes:
    """``digests.json``: lengths on both sides of every block and padding edge.

    Raises:
        VectorError: our code, hashlib and the published digests do not agree.
    """
    inputs = {"abc": (b"abc", "published in RFC 1321 and FIPS 180"), "0": (b"", "nothing; readers of lists drop these")}
    reasons = {
        1: "one byte",
        55: "the longest that md5, sha1 and sha256 pad within one block",
        56: "one more: the length goes into a second block",
        63: "one less than a block of md5, sha1 and sha256",
        64: "a block of md5, sha1 and sha256",
        65: "one more than a block",
        111: "the longest that sha512 pads within one block",
        112: "one more: the length goes into a second block",
        127: "one less than a block of sha512",
        128: "a block of sha512",
        129: "one more than a block of sha512",
    }
    for length, why in reasons.items():
        inputs[str(length)] = (bytes((7 * k + 1) % 256 for k in range(length)), why)
    inputs["zeros"] = (bytes(64), "a block of zeros")
    vectors = []
    for name, (data, why) in inputs.items():
        found = {key: value.hex() for key, value in digests.digest_bytes(data, digests.DIGESTS).items()}
        if found != {key: hashlib.new(key, data).hexdigest() for key in found}:
            raise VectorError(f"digests of {name}: hashlib gives others")
        if data == b"abc" and found != _PUBLISHED:
            raise VectorError("digests of abc are not the published ones")
        label = f"bytes-{name}" if name.isdigit() else name
        vectors.append({"id": f"digest-{label}", "comment": why, "input": {"hex": data.hex()}, "expect": found})
    units = {"hex": "the bytes, in hexadecimal", "md5, sha1, sha256, sha512": "lower-case hexadecimal"}
    return document("digests", "Cryptographic digests of byte strings.", units, vectors)
