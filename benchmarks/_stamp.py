"""What a benchmark ran on: printed before its figures, as figures without it mean little."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

__all__ = ["show_stamp", "stamp"]

_PACKAGES = ("numpy", "pillow", "imagehash", "pdqhash", "faiss-cpu", "scipy", "msgspec")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def stamp() -> dict[str, object]:
    """Python, platform, processor, logical cores and the versions of the packages that matter."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def show_stamp() -> None:
    """Print the stamp as a line of Markdown."""
    from hashmatch import kernels

    facts = stamp()
    packages = facts.pop("packages")
    assert isinstance(packages, dict)
    facts["kernels"] = kernels.active()
    if hasattr(os, "getloadavg"):
        facts["load before"] = f"{os.getloadavg()[0]:.2f}"
    text = ", ".join(f"{key} {value}" for key, value in (facts | packages).items())
    print(f"Machine: {text}.\n")
