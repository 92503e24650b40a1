"""The engine of the guided fuzzing: its probes change nothing, and it finds what blind mutations do not."""

from __future__ import annotations

import ast
import inspect
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from fuzz.guided import Corpus, Found, fuzz, smaller
from fuzz.mutate import shaped
from fuzz.probes import Probes, install
from fuzz.structure import cells, recoded, words
from fuzz.target import Target

FUZZ = Path(__file__).parent / "fuzz"

DEEP = '''
"""A module."""
from __future__ import annotations
VALUES = [n for n in range(3) if n]

def deep(data):
    """Fails for one beginning of 5 bytes, which each branch leads nearer to."""
    if data[:1] == b"d":
        if data[1:2] == b"e":
            if data[2:3] == b"p":
                if data[3:4] == b"t":
                    if data[4:5] == b"h":
                        raise ValueError("found")
    return len(data)

def everything(n):
    total = 0
    for i in range(n):
        try:
            if i % 2 and i > 2 or i == 0:
                continue
            total += {k: k for k in range(i)}.get(1, 0) if i else 5
            match i:
                case 2:
                    total += 100
                case _:
                    total += sum(x for x in [1, 2] if x)
        finally:
            total += 1
    while total % 7:
        total += 1
    else:
        total += 0
    class Inner:
        """Doc."""
        value = total
        def __init__(self): self.__hidden = (lambda x: x or 9)(0)
        def get(self): return self.__hidden
    with open(__file__) as file:
        file.read(1)
    return total + Inner().get() + Inner.value
'''


@pytest.fixture
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[ModuleType, Probes]]:
    """A function that imports the module above with probes."""
    (tmp_path / "deep_module.py").write_text(DEEP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])

    def load() -> tuple[ModuleType, Probes]:
        probes = install(["deep_module"])
        import deep_module

        del sys.modules["deep_module"]
        return deep_module, probes

    return load


def test_probes_change_no_result(probed: Callable[[], tuple[ModuleType, Probes]], tmp_path: Path) -> None:
    module, probes = probed()
    plain: dict[str, object] = {"__file__": str(tmp_path / "deep_module.py"), "__name__": "plain"}
    exec(compile(DEEP, "plain", "exec", dont_inherit=True), plain)
    assert module.VALUES == [1, 2]
    assert module.__doc__ == "A module."
    for n in range(9):
        probes.trace.clear()
        assert module.everything(n) == plain["everything"](n)  # type: ignore[operator]
        assert probes.trace
    assert inspect.getdoc(module.deep) == ast.get_docstring(ast.parse(DEEP).body[3])  # type: ignore[arg-type]


def test_every_branch_is_an_edge(probed: Callable[[], tuple[ModuleType, Probes]]) -> None:
    module, probes = probed()
    seen = set()
    for data in (b"", b"d", b"de", b"dep", b"dept"):
        probes.trace.clear()
        module.deep(data)
        edges = frozenset(probes.edges())
        assert edges not in seen
        seen.add(edges)


def test_lines_stay_what_they_are(probed: Callable[[], tuple[ModuleType, Probes]]) -> None:
    module, probes = probed()
    with pytest.raises(ValueError, match="found") as caught:
        module.deep(b"depth")
    line = DEEP.splitlines().index('                        raise ValueError("found")') + 1
    assert caught.traceback[-1].lineno == line - 1
    assert probes.places[probes.trace[-1]][1] == line


def test_probes_come_first() -> None:
    with pytest.raises(RuntimeError, match="imported before the probes"):
        install(["hashmatch.lists"])


def target(run: Callable[[bytes], object]) -> Target:
    return Target("deep", run, lambda: [b"", b"xyz"], longest=40)  # type: ignore[arg-type]


def test_guided_fuzzing_finds_what_blind_mutations_do_not(
    probed: Callable[[], tuple[ModuleType, Probes]],
) -> None:
    module, probes = probed()
    cases = 60_000
    with pytest.raises(Found, match="ValueError: found") as caught:
        fuzz(target(module.deep), probes, cases, seed=1)
    assert caught.value.data.startswith(b"depth")
    rng = random.Random(1)
    for _ in range(cases):
        assert not shaped(rng, b"xyz", [b"", b"xyz"], (), (), 40).startswith(b"dep")


def test_the_same_seed_gives_the_same_cases(probed: Callable[[], tuple[ModuleType, Probes]]) -> None:
    module, probes = probed()
    runs = []
    for seed in (1, 1, 2):
        seen: list[bytes] = []
        fuzz(target(lambda data, seen=seen: (seen.append(data), module.everything(len(data)))), probes, 500, seed)
        runs.append(seen)
    assert runs[0] == runs[1] != runs[2]
    assert len(runs[0]) == 503


def test_rare_inputs_are_drawn_more_often() -> None:
    corpus = Corpus()
    assert corpus.take(b"common", {(1, 2)})
    for _ in range(10_000):
        assert not corpus.take(b"again", {(1, 2)})
    assert corpus.take(b"rare", {(1, 2), (2, 3)})
    corpus.weigh()
    rng = random.Random(1)
    drawn = [corpus.draw(rng) for _ in range(1000)]
    assert drawn.count(b"rare") > 900


def test_findings_are_cut_down() -> None:
    assert smaller(b"x" * 500 + b"A" + b"y" * 300 + b"B", lambda data: b"A" in data and b"B" in data) == b"AB"


def test_a_finding_ends_the_run_with_its_input(tmp_path: Path) -> None:
    """The command line, with a target that refuses everything: a reader whose entries are never sound."""
    script = (
        f"import sys; sys.path[:0] = [{str(FUZZ.parent)!r}, {str(FUZZ.parents[1])!r}]\n"
        "from fuzz import guided\n"
        f"sys.argv = ['guided', 'pdq', '--cases', '5', '--keep', {str(tmp_path)!r}]\n"
        "real = guided.install\n"
        "def install(names):\n"
        "    probes = real(names)\n"
        "    from fuzz import list_readers\n"
        "    def refuse(entry): assert not entry.ref, 'refused'\n"
        "    list_readers.sound = refuse\n"
        "    return probes\n"
        "guided.install = install\n"
        "sys.exit(guided.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "AssertionError: refused" in done.stderr
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("pdq-")
    assert len(kept.read_bytes()) < 80


@pytest.mark.parametrize("shape", [cells(b","), words(rb"\w+", [(b"[", b"]")]), recoded(cells(b","))])
def test_shapes_take_anything(shape: Callable[..., bytes]) -> None:
    rng = random.Random(1)
    for data in (b"", b"\n", b"a,b\n1,2\n", b"\xff\xfea\0,\0b", b"\xfe\xff", bytes(range(256)) * 20):
        changed = {shape(rng, data, [b"x,y\nz", b""], [b"T"]) for _ in range(300)}
        assert len(changed) > 3
