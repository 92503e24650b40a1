"""The figures of benchmarks/figures are what their document draws, and drawing is repeatable."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from hashmatch.bench.result import read_document

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "figures"
DOCUMENT = FIGURES / "scaling.json"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def curves() -> ModuleType:
    """benchmarks/_curves.py; where matplotlib is missing, conftest's rule for tools."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        if "matplotlib" in os.environ.get("HASHMATCH_TEST_WITHOUT", "").split():
            pytest.skip("matplotlib was left out by name; get it with: pip install matplotlib")
        pytest.fail(
            "matplotlib is not installed: pip install matplotlib, or leave it out by name: HASHMATCH_TEST_WITHOUT"
        )
    assert mpl.__version__
    spec = importlib.util.spec_from_file_location("_curves", ROOT / "benchmarks" / "_curves.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_curves"] = module
    spec.loader.exec_module(module)
    return module


def lines(path: Path) -> dict[str, str]:
    """Id -> path of every line that `_curves` has given an id: what the figure says, whatever the fonts."""
    found = {}
    for group in ET.fromstring(path.read_bytes()).iter(f"{SVG}g"):
        name = group.get("id", "")
        if name.partition("-")[0] in ("size", "radius", "batch", "threads", "memory", "hashing"):
            (found[name],) = [each.get("d", "") for each in group.iter(f"{SVG}path") if each.get("clip-path")]
    return found


def texts(path: Path) -> list[str]:
    return sorted("".join(each.itertext()) for each in ET.fromstring(path.read_bytes()).iter(f"{SVG}text"))


def version(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("matplotlib ")[2].partition("<")[0]


def test_the_committed_figures_are_what_the_committed_document_draws(curves: ModuleType, tmp_path: Path) -> None:
    curves.draw(read_document(DOCUMENT), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(curves.NAMES)
    for name in curves.NAMES:
        drawn, committed = tmp_path / name, FIGURES / name
        assert lines(committed)
        assert lines(drawn) == lines(committed), f"{name}: run benchmarks/scaling.py --draw"
        assert texts(drawn) == texts(committed)
        if version(drawn) == version(committed):
            assert drawn.read_bytes() == committed.read_bytes()


def test_every_case_of_the_document_moves_a_line(curves: ModuleType, tmp_path: Path) -> None:
    document: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    curves.draw(document, tmp_path / "a")
    for result in {each["case"]: each for each in document["results"]}.values():
        name = result["contestants"][0]["name"]
        was = dict(result["figures"][name])
        result["figures"][name] = {key: value * 1.5 for key, value in was.items()}
        curves.draw(document, tmp_path / "b")
        result["figures"][name] = was
        assert any(lines(tmp_path / "a" / each) != lines(tmp_path / "b" / each) for each in curves.NAMES), result[
            "case"
        ]


def test_the_limits_are_in_the_document_and_in_the_figures(curves: ModuleType) -> None:
    (one,) = [
        each
        for each in read_document(DOCUMENT)["results"]
        if each["case"] == "limits" and each["parameters"]["threads"] == 1
    ]
    assert {"memory sum", "memory copy", "popcount"} <= set(one["figures"])
    drawn = lines(FIGURES / "scaling.svg")
    for panel in ("size", "radius", "batch", "threads"):
        assert {f"{panel}-limit-memory", f"{panel}-limit-popcount", f"{panel}-hashmatch", f"{panel}-faiss"} <= set(
            drawn
        )
    assert "hashing-decoder" in lines(FIGURES / "scaling_hashing.svg")


@pytest.mark.parametrize("name", ["scaling.svg", "scaling_memory.svg", "scaling_hashing.svg"])
def test_a_figure_holds_no_time_and_loads_nothing(name: str) -> None:
    text = (FIGURES / name).read_text(encoding="utf-8")
    assert "dc:date" not in text
    root = ET.fromstring(text)
    assert not [each for each in root.iter() if each.tag in (f"{SVG}script", f"{SVG}image")]
    targets = [each.get("{http://www.w3.org/1999/xlink}href", "#") for each in root.iter()]
    assert all(target.startswith("#") for target in targets)


def test_the_document_is_of_the_schema() -> None:
    schema = json.loads((ROOT / "benchmarks" / "schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(json.loads(DOCUMENT.read_text(encoding="utf-8")))
