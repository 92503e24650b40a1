"""``hashmatch doctor``."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import sqlite3
from typing import Any

import click

from hashmatch._version import __version__
from hashmatch.errors import HashMatchError

#: Distribution, module, what it is for.
_NEEDED = (
    ("numpy", "numpy", "arrays and the reference kernels"),
    ("pillow", "PIL", "decoding images"),
    ("imagehash", "imagehash", "phash, dhash, ahash, whash"),
    ("faiss-cpu", "faiss", "Hamming search over large lists"),
    ("click", "click", "the command line"),
    ("rich", "rich", "progress bars"),
)


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Show versions, kernels and limits, and what is missing and how to get it.

    Exit code 3: something that hashmatch needs does not work.
    """
    facts, problems = _examine()
    if as_json:
        click.echo(json.dumps(facts | {"problems": problems}, indent=2))
    else:
        for title, section in facts.items():
            click.echo(f"{title}:")
            for key, value in section.items():
                click.echo(f"  {key:<24}{value}")
        click.echo("problems:" if problems else "problems: none")
        for problem in problems:
            click.echo(f"  {problem}")
    return 3 if problems else 0


def _examine() -> tuple[dict[str, dict[str, Any]], list[str]]:
    problems = []
    libraries = {}
    for distribution, module, purpose in _NEEDED:
        try:
            importlib.import_module(module)
            libraries[distribution] = f"{importlib.metadata.version(distribution)} ({purpose})"
        except Exception as error:  # noqa: BLE001 - a broken library may raise anything; this verb is to report it
            libraries[distribution] = f"does not work: {type(error).__name__}: {error}"
            problems.append(f"{distribution} is missing or broken; get it with: python -m pip install {distribution}")
    facts: dict[str, dict[str, Any]] = {
        "hashmatch": {
            "version": __version__,
            "python": f"{platform.python_version()} ({platform.python_implementation()})",
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "sqlite": sqlite3.sqlite_version,
        },
        "libraries": libraries,
    }
    try:
        facts |= {"kernels": _kernels(problems)}
    except HashMatchError as error:
        problems.append(str(error))
    if not any("pillow" in problem for problem in problems):
        facts["images"] = _images()
    return facts, problems


def _images() -> dict[str, str]:
    from hashmatch import hashing, imaging

    facts = {
        "decoder": imaging.decoder_version(),
        "pixels": "shared with the decoder" if imaging.shares_pixels() else "copied from the decoder",
        "formats": ", ".join(imaging.ALLOWED_FORMATS),
        "profiles": ", ".join(hashing.PROFILES),
    }
    return facts | {name: f"{value:,}" for name, value in vars(imaging.Limits()).items()}


def _kernels(problems: list[str]) -> dict[str, str]:
    """The implementations; each one that is here is compared with the reference."""
    from hashmatch import kernels

    facts = {"in use": kernels.active()}
    for item in kernels.implementations():
        if not item.available:
            facts[item.name] = f"not available: {item.reason}"
            continue
        wrong = kernels.self_test(item.name)
        facts[item.name] = "available, " + ("WRONG ANSWERS" if wrong else "agrees with the reference")
        if wrong:
            problems.append(
                f"the kernels {item.name} give wrong answers on this machine ({'; '.join(wrong[:3])}); "
                f"do not use them: set {kernels.ENVIRONMENT_VARIABLE}=numpy, and report it"
            )
    return facts
