"""Mutations: of bytes, and of what a target says that its inputs are made of."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .structure import Shape

__all__ = ["mutated", "shaped"]

_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def shaped(
    rng: random.Random,
    parent: bytes,
    others: Sequence[bytes],
    tokens: Sequence[bytes],
    shapes: Sequence[Shape],
    longest: int,
) -> bytes:
    """``parent`` with a few changes by ``shapes``, of its bytes, or both; at most ``longest`` bytes."""
    data = parent
    by_shape = bool(shapes) and rng.random() < 0.7
    if by_shape:
        for _ in range(rng.choice((1, 1, 2, 4))):
            data = rng.choice(shapes)(rng, data, [rng.choice(others)], tokens)
    if not by_shape or rng.random() < 0.2:
        return mutated(rng, [data], tokens, longest, others)
    return data[:longest]


def mutated(
    rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes], longest: int, others: Sequence[bytes] = ()
) -> bytes:
    """One of ``seeds`` with a few changes of bytes, some from ``others``; at most ``longest`` bytes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3, 5, 9))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 33, 200, 5000)))
        match rng.randrange(9):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.randrange(256)
            case 2:
                data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 17)))
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end] * rng.choice((1, 1, 2, 30))
            case 5:
                other = rng.choice(others or seeds)
                start = rng.randrange(len(other) + 1)
                data[at:end] = other[start : start + rng.choice((1, 8, 60, 4000))]
            case 6:
                size = rng.choice((1, 2, 4, 8))
                value = (rng.choice(_INTERESTING) + rng.randrange(-1, 2)) & ((1 << 8 * size) - 1)
                data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))
            case 7 if tokens:
                data[at : rng.choice((at, end))] = rng.choice(tokens)
            case _:
                del data[rng.randrange(len(data) + 1) :]
    return bytes(data[:longest])
