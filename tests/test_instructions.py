"""Counts of instructions: when the comparison fails, what it compares with, and how callgrind's output is read."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / "benchmarks" / "instructions.json"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("instructions", ROOT / "benchmarks" / "instructions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["instructions"] = module
    spec.loader.exec_module(module)
    return module


instructions = load()


@pytest.fixture
def baseline() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(BASELINE.read_text(encoding="utf-8"))
    return found


def scaled(
    document: dict[str, Any], factor: float, *, only: int | None = None, key: str = "instructions"
) -> dict[str, Any]:
    """The document with one result, or all of them, multiplied."""
    changed = copy.deepcopy(document)
    for result in changed["results"] if only is None else [changed["results"][only]]:
        for figure in result["figures"].values():
            figure[key] = round(figure[key] * factor)
    return changed


def check(folder: Path, base: dict[str, Any], new: dict[str, Any], *more: str) -> int:
    """`instructions.py --check` with figures that were measured before: no valgrind runs."""
    (folder / "base.json").write_text(json.dumps(base), encoding="utf-8")
    (folder / "new.json").write_text(json.dumps(new), encoding="utf-8")
    given = ["--check", "--baseline", str(folder / "base.json"), "--measured", str(folder / "new.json"), *more]
    code: int = instructions.main(given)
    return code


class TestCheck:
    def test_the_baseline_against_itself(
        self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert check(tmp_path, baseline, baseline) == 0
        out = capsys.readouterr().out
        assert "made by the same compiler" in out
        assert "No kernel takes over 5% more instructions." in out

    @pytest.mark.parametrize(("lower", "code"), [(5.1, 1), (4.9, 0), (5.0, 0), (-4.9, 0)])
    def test_a_doctored_baseline(self, baseline: dict[str, Any], tmp_path: Path, lower: float, code: int) -> None:
        """What is measured is so much more than the baseline, exactly: a rise of over 5% fails."""
        doctored = copy.deepcopy(baseline)
        for result in doctored["results"]:
            for figure in result["figures"].values():
                figure["instructions"] = 1_000_000
        assert check(tmp_path, doctored, scaled(doctored, 1 + lower / 100)) == code

    @pytest.mark.parametrize(("lower", "code"), [(5.1, 1), (4.9, 0)])
    def test_the_real_baseline_doctored(
        self, baseline: dict[str, Any], tmp_path: Path, lower: float, code: int
    ) -> None:
        assert check(tmp_path, scaled(baseline, 1 / (1 + lower / 100)), baseline) == code

    def test_one_kernel_is_enough(
        self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number in range(len(baseline["results"])):
            assert check(tmp_path, scaled(baseline, 1 / 1.06, only=number), baseline) == 1
            failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("FAILED: ")]
            assert len(failed) == len(baseline["results"][number]["figures"])
            assert all(re.search(r"(5\.99|6\.0\d)% more instructions", line) for line in failed)

    def test_the_threshold_can_be_set(self, baseline: dict[str, Any], tmp_path: Path) -> None:
        assert check(tmp_path, baseline, scaled(baseline, 1.02), "--threshold", "1") == 1
        assert check(tmp_path, baseline, scaled(baseline, 1.02), "--threshold", "2.5") == 0

    @pytest.mark.parametrize("threshold", ["nan", "inf", "-1", "much"])
    def test_a_threshold_that_nothing_exceeds(self, baseline: dict[str, Any], tmp_path: Path, threshold: str) -> None:
        with pytest.raises(SystemExit, match="2"):
            check(tmp_path, baseline, scaled(baseline, 2), f"--threshold={threshold}")

    def test_without_check_a_rise_is_only_shown(
        self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        check(tmp_path, baseline, scaled(baseline, 1.2))
        capsys.readouterr()
        given = ["--baseline", str(tmp_path / "base.json"), "--measured", str(tmp_path / "new.json")]
        assert instructions.main(given) == 0
        assert "+20.00%" in capsys.readouterr().out

    def test_work_moved_to_the_library_is_seen(
        self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        moved = copy.deepcopy(baseline)
        for figure in moved["results"][0]["figures"].values():
            figure["library"] += figure["instructions"]
        assert check(tmp_path, baseline, moved) == 1
        assert "those of the C library included" in capsys.readouterr().err
        moved["machine"]["c_library"] = "another"
        assert check(tmp_path, baseline, moved) == 0
        assert "what its functions take is not compared" in capsys.readouterr().out

    def test_a_gain_asks_for_a_new_baseline(
        self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert check(tmp_path, baseline, scaled(baseline, 0.9)) == 0
        assert "fewer instructions; --write keeps the gain" in capsys.readouterr().out

    def test_a_kernel_without_baseline(
        self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        less = copy.deepcopy(baseline)
        del less["results"][3]
        assert check(tmp_path, less, baseline) == 1
        assert "not in the baseline" in capsys.readouterr().err

    def test_a_kernel_that_is_no_longer_measured(
        self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        less = copy.deepcopy(baseline)
        for result in less["results"]:
            result["figures"].pop("avx2", None)
        assert check(tmp_path, baseline, less) == 1
        assert "was not measured" in capsys.readouterr().err
        less["absent"] = [{"name": "avx2", "reason": "this processor lacks AVX2"}]
        assert check(tmp_path, baseline, less) == 0
        assert "was not measured: this processor lacks AVX2" in capsys.readouterr().out

    def test_other_work_is_not_compared_in_silence(
        self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = copy.deepcopy(baseline)
        other["results"][0]["checked"] += "0"
        assert check(tmp_path, baseline, other) == 1
        assert "does other work" in capsys.readouterr().err

    def test_no_baseline(self, baseline: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        check(tmp_path, baseline, baseline)
        given = ["--check", "--baseline", str(tmp_path / "none.json"), "--measured", str(tmp_path / "new.json")]
        assert instructions.main(given) == 3
        assert "NOT COMPARED" in capsys.readouterr().err


class TestOtherCompiler:
    """Another compiler's figures are compared with a build of the baseline's commit, or it is said that nothing was."""

    @pytest.fixture
    def git(self, tool: Callable[[str], str], tmp_path: Path) -> Callable[..., str]:
        program = tool("git")

        def run(*arguments: str, at: Path = tmp_path / "tree") -> str:
            who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
            done = subprocess.run(
                [program, "-C", str(at), *who, *arguments], capture_output=True, text=True, check=True
            )
            return done.stdout.strip()

        return run

    @pytest.fixture
    def tree(self, git: Callable[..., str], tmp_path: Path) -> Path:
        """A repository: the kernels and the baseline, then a change of something else."""
        tree = tmp_path / "tree"
        (tree / "benchmarks").mkdir(parents=True)
        (tree / "native").mkdir()
        (tree / "native" / "kernel.c").write_text("int x;\n")
        (tree / "benchmarks" / "instructions.json").write_text("{}\n")
        git("init", "-q")
        git("add", ".")
        git("commit", "-qm", "kernels and their baseline")
        (tree / "other").write_text("text\n")
        git("add", ".")
        git("commit", "-qm", "something else")
        return tree

    @staticmethod
    def other(document: dict[str, Any]) -> dict[str, Any]:
        changed = copy.deepcopy(document)
        changed["machine"]["compiler"] = "another compiler 99"
        return changed

    def test_the_baselines_commit_is_counted(
        self, baseline: dict[str, Any], tree: Path, git: Callable[..., str]
    ) -> None:
        (tree / "native" / "kernel.c").write_text("int y;\n")
        asked = []

        def again(where: Path, commit: str) -> dict[str, Any]:
            asked.append((where, commit))
            return self.other(scaled(baseline, 0.5))

        base, why = instructions.base_of(baseline, self.other(baseline), tree, again)
        assert asked == [(tree, git("rev-parse", "HEAD~1"))]
        assert "another compiler 99" in why
        _, wrong, _ = instructions.compare(base, self.other(baseline), 5.0)
        assert wrong

    def test_kernels_that_did_not_change(self, baseline: dict[str, Any], tree: Path) -> None:
        base, why = instructions.base_of(baseline, self.other(baseline), tree, pytest.fail)
        assert base is None
        assert "nothing has changed" in why

    def test_a_new_file_is_a_change(self, tree: Path, git: Callable[..., str]) -> None:
        commit = git("rev-parse", "HEAD~1")
        assert instructions.baseline_commit(tree) == commit
        assert not instructions.sources_changed(tree, commit)
        (tree / "native" / "new.c").write_text("int z;\n")
        assert instructions.sources_changed(tree, commit)

    def test_a_baseline_that_is_not_committed(self, tree: Path) -> None:
        (tree / "benchmarks" / "instructions.json").write_text("{ }\n")
        with pytest.raises(instructions.NotMeasuredError, match="not committed"):
            instructions.baseline_commit(tree)

    def test_a_shallow_clone(self, tree: Path, git: Callable[..., str], tmp_path: Path) -> None:
        """Its only commit seems to have written every file."""
        git("clone", "-q", "--depth=1", tree.as_uri(), "shallow", at=tmp_path)
        with pytest.raises(instructions.NotMeasuredError, match="cut off"):
            instructions.baseline_commit(tmp_path / "shallow")
        git("fetch", "-q", "--unshallow", at=tmp_path / "shallow")
        assert instructions.baseline_commit(tmp_path / "shallow") == git("rev-parse", "HEAD~1")

    def test_no_repository(self, tool: Callable[[str], str], tmp_path: Path) -> None:
        tool("git")
        with pytest.raises(instructions.NotMeasuredError, match="no history"):
            instructions.baseline_commit(tmp_path)

    def test_what_could_not_be_compared_is_said(
        self,
        baseline: dict[str, Any],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(instructions, "ROOT", tmp_path)
        assert check(tmp_path, baseline, self.other(baseline)) == 3
        assert "NOT COMPARED: the baseline was made by gcc" in capsys.readouterr().err


PROFILE = """\
version: 1
summary: 1000

ob=/usr/lib/ld.so
fl=???
fn=start
cob=/tmp/x/instructions
calls=1 0
0 900

ob=/tmp/x/instructions
fl=???
fn=harness_collect
0 4
cfn=kernel
calls=1 0
0 890
0 2

fn=kernel
0 100
cob=/usr/lib/libc.so.6
cfi=copy.S
cfn=memcpy
calls=3 264
0 40
0 20

fn=harness_flat
0 6

ob=/usr/lib/libc.so.6
fl=copy.S
fn=memcpy
0 40
"""


def test_reading_a_profile() -> None:
    """Own costs only, without the harness; what a callee takes is counted where the callee stands."""
    assert instructions.counts_of(PROFILE, "/tmp/x/instructions") == (120, 40)


def test_reading_a_line() -> None:
    line = instructions.line_of("flat\tpairs\t160000\tde205eaed808c8a4\tentries=20000 queries=8")
    assert line == ("flat", "pairs", 160000, "de205eaed808c8a4", {"entries": 20000, "queries": 8})


def test_the_baseline(baseline: dict[str, Any]) -> None:
    """It is a document of results, and holds every case of the driver: others would be compared with nothing."""
    driver = (ROOT / "tests" / "native" / "instructions.c").read_text(encoding="utf-8")
    named = set(re.findall(r'tell(?:_pixels)?\((?:[^"]*\? )?"([a-z0-9-]+)"', driver))
    cases = {result["case"] for result in baseline["results"]}
    assert named
    assert named <= cases
    assert {"flat", "pdq", "pdq-exact", "pdq-dihedral", "euclidean", "euclidean-few"} <= cases
    schema = json.loads((ROOT / "benchmarks" / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(baseline)
    assert all(result["suite"] == "instructions" for result in baseline["results"])
    both = [result for result in baseline["results"] if set(result["figures"]) == {"portable", "avx2"}]
    assert len(both) >= 20
    for result in both:
        assert result["figures"]["avx2"]["instructions"] < result["figures"]["portable"]["instructions"], result["case"]


class TestWorkflow:
    """benchmarks/workflow.yml, which users copy."""

    text = (ROOT / "benchmarks" / "workflow.yml").read_text(encoding="utf-8")

    def test_it_is_yaml(self) -> None:
        try:
            import yaml
        except ImportError:
            # No parser here: what breaks YAML most often. Levels of two spaces, and only keys outside commands.
            assert "\t" not in self.text
            before = 0
            for line in self.text.splitlines():
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                depth = len(line) - len(line.lstrip())
                assert depth % 2 == 0
                assert depth - before <= 2, line
                before = depth + 2 * line.lstrip().startswith("- ")
                assert re.match(r"\s*(- )?[\w-]+:( \S.*)?$", line) or depth >= 10, line
            return
        read = yaml.safe_load(self.text)
        assert set(read["jobs"]) == {"bench"}
        assert [step for step in read["jobs"]["bench"]["steps"] if "hashmatch bench compare" in step.get("run", "")]

    def test_what_it_does(self) -> None:
        commands = [line.strip().removeprefix("run: ") for line in self.text.splitlines() if "#" not in line]
        wanted = [
            "python -m pip install hashmatch",
            "hashmatch bench hash match --rounds 9 --json new.json",
            "hashmatch bench compare",
        ]
        at = [next(i for i, line in enumerate(commands) if line.startswith(start)) for start in wanted]
        at.append(next(i for i, line in enumerate(commands) if line.startswith("uses: actions/upload-artifact@")))
        assert at == sorted(at)
        assert "secrets" not in self.text
        assert re.search(r"^permissions:\n  contents: read$", self.text, re.MULTILINE)
