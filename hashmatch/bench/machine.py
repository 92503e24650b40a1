"""What a benchmark ran on: figures without it mean little."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["LIBRARIES", "features", "libraries", "load", "machine", "memory_bytes", "peak_bytes", "processor"]

#: Distributions whose versions matter to figures.
LIBRARIES = (
    "numpy",
    "pillow",
    "imagehash",
    "pdqhash",
    "faiss-cpu",
    "usearch",
    "perception",
    "scipy",
    "msgspec",
    "pyarrow",
)
#: Features of processors that kernels are written for, as the system names them.
_FEATURES = (
    "sse4_2",
    "popcnt",
    "avx2",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vpopcntdq",
    "asimd",
    "asimddp",
    "sve",
)


def _cpu_lines(path: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """The first value of every key that the system tells of its processors."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        key, sign, value = line.partition(":")
        if sign:
            found.setdefault(key.strip().lower(), value.strip())
    return found


def processor() -> str:
    """The processor's name, or ``unknown``."""
    return _cpu_lines().get("model name") or platform.processor() or platform.machine() or "unknown"


def features() -> list[str]:
    """Features of the processor that kernels are written for; empty where the system does not tell."""
    lines = _cpu_lines()
    known = set((lines.get("flags") or lines.get("features") or "").split())
    return [name for name in _FEATURES if name in known]


def memory_bytes() -> int | None:
    """Bytes of memory of the machine, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def peak_bytes() -> int:
    """Most bytes that this process held at once, pages of mapped files among them; 0 where the system does not tell."""
    # What getrusage says begins with what the parent held when it made this process, so Linux is asked otherwise.
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def load() -> float | None:
    """Processes that ran or waited in the last minute, or None where the system does not tell."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def libraries() -> dict[str, str]:
    """Distribution -> version, of those of `LIBRARIES` that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What a document of results says of the machine, with the load at this moment as ``load_before``."""
    from hashmatch import kernels

    return {
        "processor": processor(),
        "features": features(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": memory_bytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "kernels": kernels.active(),
        "load_before": load(),
        "load_after": None,
        "libraries": libraries(),
    }
