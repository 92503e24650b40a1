"""What a benchmark ran on: printed before its figures, as figures without it mean little."""

from __future__ import annotations

import os
import platform

from hashmatch.bench import machine

__all__ = ["show_stamp", "stamp"]


def stamp() -> dict[str, object]:
    """Python, platform, processor, logical cores and the versions of the packages that matter."""
    versions = machine.libraries()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": machine.processor(),
        "cores": os.cpu_count(),
        "packages": {name: versions.get(name, "not installed") for name in machine.LIBRARIES},
    }


def show_stamp() -> None:
    """Print the stamp as a line of Markdown."""
    from hashmatch import kernels

    facts = stamp()
    packages = facts.pop("packages")
    assert isinstance(packages, dict)
    facts["kernels"] = kernels.active()
    if (load := machine.load()) is not None:
        facts["load before"] = f"{load:.2f}"
    text = ", ".join(f"{key} {value}" for key, value in (facts | packages).items())
    print(f"Machine: {text}.\n")
