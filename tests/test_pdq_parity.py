"""Bit for bit with pdqhash and imagehash. The pictures and the comparison are the benchmark's own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hashmatch import kernels

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "pdq_parity.py"

pytest.importorskip("pdqhash")


IMPLEMENTATIONS = [item.name for item in kernels.implementations() if item.available]


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.ENVIRONMENT_VARIABLE, request.param)
        yield request.param


@pytest.fixture(scope="module")
def parity() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pdq_parity", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(parity: ModuleType, pictures: list[tuple[int, int, str]], seed: int) -> Counter[str]:
    rng = np.random.default_rng(seed)
    tally: Counter[str] = Counter()
    for width, height, kind in pictures:
        found = parity.differences(parity.picture(rng, width, height, kind), tally, {"ours": [], "pdqhash": []})
        assert not found, f"{kind}, {width} x {height}: {found}"
    return tally


@pytest.mark.usefixtures("implementation")
def test_edge_sizes(parity: ModuleType) -> None:
    small = [size for size in parity.EDGE_SIZES if size[0] * size[1] < 200_000]
    pictures = [(*size, kind) for index, size in enumerate(small) for kind in parity.KINDS[index % 4 :: 4]]
    run(parity, pictures, seed=1)


@pytest.mark.usefixtures("implementation")
def test_random_sizes(parity: ModuleType) -> None:
    rng = np.random.default_rng(2)
    sizes = np.exp(rng.uniform(np.log(5), np.log(600), (110, 2))).astype(int).tolist()
    pictures = [(w, h, parity.KINDS[index % len(parity.KINDS)]) for index, (w, h) in enumerate(sizes)]
    tally = run(parity, pictures, seed=3)
    assert 0 < tally["exact path"] < 110


@pytest.mark.parametrize("kind", ["noise", "gradient"])
@pytest.mark.usefixtures("implementation")
def test_large(parity: ModuleType, kind: str) -> None:
    run(parity, [(2003, 1501, kind)], seed=4)


@pytest.mark.slow
def test_sweep() -> None:
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--count", "2000", "--seed", "7"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert "differing bits: 0\n" in result.stdout
