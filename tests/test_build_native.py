"""The ways to build: with the extension, without it, and where the compiler fails. Each in a copy of the tree."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTENSION = PROJECT["tool"]["setuptools"]["ext-modules"][0]
WITHOUT = os.environ.get("HASHMATCH_TEST_WITHOUT", "").split()


def test_every_file_of_the_extension_is_listed() -> None:
    """A source that is not listed is missing from the extension, a header from the source distribution."""
    listed = {*EXTENSION["sources"], *EXTENSION["depends"]}
    there = {f"native/{path.name}" for path in (ROOT / "native").iterdir() if path.is_file()}
    assert there - {"native/README.md"} == listed


def test_the_extension_is_built_or_left_out_by_name() -> None:
    """Nothing is left out unseen."""
    if "native" in WITHOUT:
        pytest.skip("the native extension was left out by name")
    assert importlib.util.find_spec("hashmatch._native"), (
        "hashmatch._native is not built: pip install ., or leave it out by name: HASHMATCH_TEST_WITHOUT=native"
    )


def test_what_the_compilers_of_microsoft_do_not_know_stands_behind_a_question() -> None:
    """No attribute, builtin, assembler text or extended initialiser outside of #if."""
    for path in sorted((ROOT / "native").glob("*.[ch]")):
        depth: list[bool] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            word = line.split()[0] if line.startswith("#") else ""
            if word in ("#if", "#ifdef", "#ifndef"):
                depth.append("_MSC_VER" in line or "__GNUC__" in line or "_WIN32" in line)
            elif word == "#endif":
                depth.pop()
            foreign = [
                name for name in ("__attribute__", "__builtin_", "__asm__", "({", "__extension__") if name in line
            ]
            assert not foreign or any(depth), f"{path.name}:{number}: {line.strip()}"


# ---------------------------------------------------------------------- builds, of which each takes many seconds


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a fresh clone holds of the package."""
    copy = tmp_path / "tree"
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.egg-info")
    for folder in ("hashmatch", "native"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    return copy


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs a Python with pip and the build's requirements; it sees what is installed for the tests."""
    place = tmp_path_factory.mktemp("installer")
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    requires = [*PROJECT["build-system"]["requires"], "wheel"]
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "-q", "install", *requires], check=True)
    # What hashmatch itself needs is taken from the environment of the tests, behind what is installed here.
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    (Path(own.stdout.strip()) / "zz-tests.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CC", "CFLAGS")}
        clean = {name: value for name, value in clean.items() if not name.startswith("HASHMATCH_")}
        return subprocess.run(
            [python, *arguments], cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False
        )

    return run


PIP = ("-m", "pip", "--disable-pip-version-check", "-v")
WHEEL = (*PIP, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", "dist", ".")
ASK = (
    "from hashmatch import kernels; import hashmatch; print(hashmatch.__file__); "
    "print([(i.name, i.available, i.reason) for i in kernels.implementations()])"
)
NEEDS_COMPILER = pytest.mark.skipif("native" in WITHOUT, reason="the native extension was left out by name")


def said(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if "hashmatch native kernels:" in line]


def only_wheel(tree: Path) -> Path:
    (wheel,) = (tree / "dist").glob("*.whl")
    return wheel


@pytest.mark.slow
@NEEDS_COMPILER
def test_a_wheel_with_the_extension_and_one_without(
    tree: Path, installer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = installer(*WHEEL, cwd=tree, HASHMATCH_BUILD_NATIVE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not said(done.stdout + done.stderr)
    wheel = only_wheel(tree)
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert (
        len([name for name in names if name.startswith("hashmatch/_native.") and name.endswith((".so", ".pyd"))]) == 1
    )
    assert "hashmatch/_native.pyi" in names
    assert not [name for name in names if name.endswith((".c", ".h", ".o", ".toml"))]
    assert not [name for name in names if name.startswith(("native", "tests", "build"))]

    # Without it, in the same tree: what the former build left does not get in, and the wheel is for every platform.
    wheel.unlink()
    done = installer(*WHEEL, cwd=tree, HASHMATCH_BUILD_NATIVE="0")
    assert done.returncode == 0, done.stdout + done.stderr
    wheel = only_wheel(tree)
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "hashmatch/__init__.py" in archive.namelist()
        assert not [name for name in archive.namelist() if "_native" in name and not name.endswith(".pyi")]
        (metadata,) = [name for name in archive.namelist() if name.endswith("/WHEEL")]
        assert "Root-Is-Purelib: true" in archive.read(metadata).decode()


@pytest.mark.slow
@NEEDS_COMPILER
def test_a_source_distribution_builds(
    tree: Path, tmp_path: Path, installer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    make = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    done = installer("-c", make, cwd=tree)
    assert done.returncode == 0, done.stderr
    (archive,) = (tree / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    for name in (*EXTENSION["sources"], *EXTENSION["depends"]):
        assert (unpacked / name).is_file(), name
    done = installer(*WHEEL, cwd=unpacked, HASHMATCH_BUILD_NATIVE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-cp311-abi3-" in only_wheel(unpacked).name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"HASHMATCH_BUILD_NATIVE": "0"}, "left out, as HASHMATCH_BUILD_NATIVE=0 asks"),
        ({"CC": "false"}, "left out, as they could not be compiled: "),
        ({"CC": "no-such-compiler"}, "left out, as they could not be compiled: "),
    ],
)
@pytest.mark.parametrize("editable", [False, True])
def test_left_out(
    tree: Path,
    tmp_path: Path,
    environment: dict[str, str],
    what: str,
    editable: bool,
    installer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """One line says so, the installation succeeds, and everything works."""
    target = tmp_path / "target"
    if editable:
        # What an editable installation does to the tree, without installing it for the other tests.
        make = "from setuptools import build_meta; print(build_meta.build_editable('dist'))"
        (tree / "dist").mkdir()
        (tree / "hashmatch" / "_native.abi3.so").write_bytes(b"stale")
        done = installer("-c", make, cwd=tree, **environment)
        place = tree
    else:
        done = installer(
            *PIP, "install", "--no-build-isolation", "--no-deps", "--target", target, ".", cwd=tree, **environment
        )
        place = target
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list((place / "hashmatch").glob("_native.*so")), "an extension of a former build stays"
    lines = said(done.stdout + done.stderr)
    assert len(lines) == 1, done.stdout + done.stderr
    assert what in lines[0]
    asked = installer("-c", ASK, cwd=tmp_path, PYTHONPATH=str(place))
    assert asked.returncode == 0, asked.stderr
    assert str(place) in asked.stdout
    assert "('portable', False, " in asked.stdout
    assert "is not part of this installation" in asked.stdout
    assert "('numpy', True, " in asked.stdout
    demo = installer("-m", "hashmatch", "demo", cwd=tmp_path, PYTHONPATH=str(place))
    assert demo.returncode in (0, 1), demo.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"HASHMATCH_BUILD_NATIVE": "1", "CC": "false"}, "and HASHMATCH_BUILD_NATIVE=1 requires them"),
        ({"HASHMATCH_BUILD_NATIVE": "yes"}, "HASHMATCH_BUILD_NATIVE is 'yes'; expected 1"),
    ],
)
def test_failures_are_failures(
    tree: Path, environment: dict[str, str], what: str, installer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = installer(*WHEEL, cwd=tree, **environment)
    assert done.returncode != 0
    assert what in done.stdout + done.stderr
    assert not (tree / "dist").is_dir() or not list((tree / "dist").iterdir())
