"""Imports point down only, and each heavy library has one importer."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.lists.store import HashList

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hashmatch"

#: Groups from the bottom. A module or package may import those of lower groups, and of its own group only itself.
LAYERS = (
    ("errors", "_version"),
    ("algorithms",),
    ("chance", "record", "files", "image_signatures", "pixel_access"),
    ("kernels",),
    ("hashers", "imaging", "synthetic"),
    ("hashing", "index"),
    ("lists",),
    ("match_result",),
    ("matcher",),
    ("scan", "report", "lookup"),
    ("bench",),
    ("cli",),
    ("__main__",),
)
#: Pairs that the levels would allow: a list keeps hashes that others computed.
FORBIDDEN = {("lists", "hashing")}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

#: The other side of a benchmark: adapters of other programs, which call libraries as those libraries' users do. Through
#: our importing module a benchmark would measure our use of them. Nothing but benchmarks may import it.
PEERS = "bench/peers.py"
#: Library -> the only module that may import it, but for `PEERS`.
ONE_IMPORTER = {
    "faiss": "index/hamming.py",
    "PIL": "imaging.py",
    "imagehash": "hashers/imagehash_family.py",
    "hashmatch._native": "kernels/native.py",
    "pyarrow": "lists/arrow.py",
    "msgspec": "lists/formats/json_stream.py",
}
#: Libraries that only the adapters import.
PEERS_ALONE = ("pdqhash", "usearch", "perception")
#: Modules that import what a variable names: the public names, the verbs, and the libraries whose versions are shown.
COMPUTED_IMPORTS = {"__init__.py", "cli/__init__.py", "cli/doctor_.py", "bench/run.py", PEERS}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def modules() -> set[str]:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SOURCES}
    return {name.removesuffix(".__init__") for name in names} | {"hashmatch._native"}


MODULES = modules()


def imports(source: str, package: str) -> Iterator[tuple[int, str | None]]:
    """(line, full name of a module) of every import, wherever it stands; None for one that is computed."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield node.lineno, full if full in MODULES else base
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in ("import_module", "__import__", "find_spec", "run_module"):
                first = node.args[0] if node.args else None
                named = isinstance(first, ast.Constant) and isinstance(first.value, str)
                yield node.lineno, str(first.value) if named else None  # type: ignore[union-attr]


def imports_of(path: Path) -> list[tuple[int, str | None]]:
    package = ".".join(path.parent.relative_to(ROOT).parts)
    return list(imports(path.read_text(encoding="utf-8"), package))


def violations(home: str, found: list[tuple[int, str | None]]) -> list[str]:
    """What is wrong with the imports of the module ``home``, whose name is relative to the package."""
    own = home.partition(".")[0]
    wrong = []
    for line, name in found:
        if name is None or (name != "hashmatch" and not name.startswith("hashmatch.")):
            continue
        target = name.partition(".")[2].partition(".")[0]
        if not target:
            wrong.append(f"{home}:{line} imports the package itself, whose names come from every layer")
        elif target in (own, "_native"):  # test_one_importer looks after _native
            continue
        elif LEVEL.get(target, len(LAYERS)) >= LEVEL[own] or (own, target) in FORBIDDEN:
            wrong.append(f"{home}:{line} imports {name}, which is not below it")
    return wrong


def test_every_module_has_a_layer() -> None:
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in SOURCES} - {"__init__"}
    assert found | {"__main__"} == set(LEVEL)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    home = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    if home == "__init__":  # names every layer, lazily
        return
    assert not violations(home, imports_of(path))


def importers_of(library: str) -> set[str]:
    """Modules that import a library or a part of it."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in SOURCES
        for _, name in imports_of(path)
        if name is not None and (name == library or name.startswith(f"{library}."))
    }


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_one_importer(library: str) -> None:
    importers = importers_of(library)
    assert importers <= {ONE_IMPORTER[library], PEERS}
    assert importers - {PEERS}


@pytest.mark.parametrize("library", PEERS_ALONE)
def test_libraries_of_peers_only(library: str) -> None:
    assert importers_of(library) == {PEERS}


@pytest.mark.parametrize("library", ["hashmatch._native", "pyarrow", "msgspec"])
def test_peers_import_no_library_that_is_no_peer(library: str) -> None:
    assert PEERS not in importers_of(library)


def test_peers_are_imported_by_benchmarks_only() -> None:
    assert all(path.startswith(("bench/", "cli/bench")) for path in importers_of("hashmatch.bench.peers"))


def test_computed_imports() -> None:
    computed = {
        path.relative_to(PACKAGE).as_posix() for path in SOURCES for _, name in imports_of(path) if name is None
    }
    assert computed <= COMPUTED_IMPORTS


def test_no_star_imports() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert "*" not in [alias.name for alias in node.names], path


class TestTheTestItself:
    """What the rules must find, and what they must let pass."""

    @pytest.mark.parametrize(
        ("home", "source"),
        [
            ("errors", "import hashmatch.algorithms"),
            ("index.search", "from hashmatch.lists import entry"),
            ("index.search", "from hashmatch import hashing"),
            ("index.search", "def f():\n    from hashmatch.lists.entry import Entry"),
            ("index.search", "if TYPE_CHECKING:\n    from hashmatch.matcher import Matcher"),
            ("index.search", "from ..lists import entry"),
            ("index.search", "import importlib\nimportlib.import_module('hashmatch.lists')"),
            ("index.search", "from hashmatch import errors, matcher"),
            ("index.search", "import hashmatch"),
            ("index.search", "from hashmatch import HashList"),
            ("hashers.pdq", "from hashmatch import imaging"),
            ("imaging", "from hashmatch.hashers.pdq import x"),
            ("scan.pool", "from hashmatch.report import rows"),
            ("lists.store", "import hashmatch.hashing as h"),
            ("chance", "from hashmatch.files import replace_file"),
            ("matcher", "from .scan import walk"),
            ("kernels", "from hashmatch.no_such_module import x"),
        ],
    )
    def test_finds(self, home: str, source: str) -> None:
        package = "hashmatch." + home.rpartition(".")[0] if "." in home else "hashmatch"
        assert violations(home, list(imports(source, package)))

    @pytest.mark.parametrize(
        ("home", "source"),
        [
            ("index.search", "from hashmatch.index import exact\nfrom . import hamming\nfrom .exact import lookup"),
            ("index.search", "from ..errors import ArrayError\nfrom hashmatch import kernels, errors"),
            ("index.search", "import numpy as np\nimport hashmatcher"),
            ("lists.compile", "from hashmatch.index.build import write_compiled"),
            ("kernels", "from hashmatch import _native"),
            ("cli.demo_", "import importlib\nimportlib.import_module(name)"),
        ],
    )
    def test_lets_pass(self, home: str, source: str) -> None:
        package = "hashmatch." + home.rpartition(".")[0] if "." in home else "hashmatch"
        assert not violations(home, list(imports(source, package)))


# ---------------------------------------------------------------------- what a command loads

RUN = """
import json, sys
code = 0
arguments = json.loads(sys.argv[1])
if arguments is None:
    import hashmatch
else:
    from hashmatch.cli import run
    code = run(arguments)
print()
print(json.dumps([code, sorted(name.partition(".")[0] for name in sys.modules)]))
"""
HEAVY = {"faiss", "scipy", "PIL", "imagehash", "pywt", "pdqhash", "pyarrow", "msgspec", "usearch", "cv2"}


def loaded(arguments: list[str] | None) -> set[str]:
    """Top-level modules that a fresh interpreter has after running the command line; None: after the import alone."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, json.dumps(arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    code, names = json.loads(run.stdout.splitlines()[-1])
    assert code == 0, run.stderr
    return set(names)


def test_the_import_loads_no_library() -> None:
    assert not loaded(None) & (HEAVY | {"numpy", "click", "rich", "sqlite3"})


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]], ids=str)
def test_version_and_help_load_no_library(arguments: list[str]) -> None:
    assert not loaded(arguments) & (HEAVY | {"numpy"})


@pytest.mark.parametrize(
    "verb", ["hash", "list", "compile", "match", "lookup", "scan", "compare", "doctor", "demo", "bench"]
)
def test_the_help_of_a_verb_loads_no_heavy_library(verb: str) -> None:
    assert not loaded([verb, "--help"]) & HEAVY


def test_list_commands_load_no_image_or_search_library(tmp_path: Path) -> None:
    path = str(tmp_path / "a.hml")
    assert not loaded(["list", "create", path]) & HEAVY
    with HashList.open(path) as known:
        assert known.role == "known"
    assert not loaded(["list", "info", path]) & HEAVY
    assert not loaded(["compile", path, "-o", str(tmp_path / "a.hmx")]) & HEAVY


def test_the_search_library_is_loaded_by_large_jobs_only() -> None:
    assert "hashmatch" in loaded(["--version"])
    code = "import sys; from hashmatch.index import hamming, search; print('faiss' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "False"
