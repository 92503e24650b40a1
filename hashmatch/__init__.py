"""hashmatch: match images and hash lists against lists of known material, exactly and completely.

The names of the public API are imported when they are first used, so that a program which needs only some of them
pays for no others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hashmatch._version import __version__

if TYPE_CHECKING:
    from hashmatch import algorithms, errors, imaging, kernels, lists, scan, synthetic
    from hashmatch.errors import HashMatchError
    from hashmatch.hashing import hash_bytes, hash_file, hash_image
    from hashmatch.lists.store import HashList, ImportSummary
    from hashmatch.matcher import Match, Matcher, MatchResult, Verdict
    from hashmatch.record import HashRecord
    from hashmatch.scan.pool import hash_images

__all__ = [
    "HashList",
    "HashMatchError",
    "HashRecord",
    "ImportSummary",
    "Match",
    "MatchResult",
    "Matcher",
    "Verdict",
    "__version__",
    "algorithms",
    "errors",
    "hash_bytes",
    "hash_file",
    "hash_image",
    "hash_images",
    "imaging",
    "kernels",
    "lists",
    "scan",
    "synthetic",
]

_HOME = {
    "HashList": "hashmatch.lists.store",
    "HashMatchError": "hashmatch.errors",
    "HashRecord": "hashmatch.record",
    "ImportSummary": "hashmatch.lists.store",
    "Match": "hashmatch.matcher",
    "MatchResult": "hashmatch.matcher",
    "Matcher": "hashmatch.matcher",
    "Verdict": "hashmatch.matcher",
    "hash_bytes": "hashmatch.hashing",
    "hash_file": "hashmatch.hashing",
    "hash_image": "hashmatch.hashing",
    "hash_images": "hashmatch.scan.pool",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in __all__:
        value = importlib.import_module(f"hashmatch.{name}")
    else:
        raise AttributeError(f"module 'hashmatch' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
