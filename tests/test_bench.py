"""`hashmatch bench`: what is measured is checked first, and what is written can be read, by us and by others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from hashmatch.bench import forms, lists, machine, peers, table
from hashmatch.bench.measure import Contestant, interleave, ratios, spread
from hashmatch.bench.result import Case, document, measured, ratios_of, read_document
from hashmatch.bench.run import SUITES, run
from hashmatch.bench.suites import Plan, hashing, importing, match, scan, startup
from hashmatch.cli import bench_
from hashmatch.errors import (
    BenchmarkCheckError,
    BenchmarkDamagedError,
    BenchmarkError,
    BenchmarkVersionError,
    InputNotFoundError,
    UsageError,
)

ROOT = Path(__file__).parents[1]
SMALL = Plan(sizes=(300,), queries=60, images=4, side=96)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    found = json.loads((ROOT / "benchmarks" / "schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return run(["hash", "match", "import", "scan"], SMALL, rounds=2)


# ---------------------------------------------------------------------- measuring


class Clock:
    """A clock that work sets forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: float, log: list[str]) -> Callable[[], None]:
        def run() -> None:
            log.append(name)
            self.now += seconds

        return run


def test_contestants_run_in_turns_and_every_round_begins_with_another() -> None:
    clock, log = Clock(), []
    sides = [Contestant(name, "", clock.work(name, 1.0, log)) for name in "abc"]
    assert interleave(sides, 4, clock=clock) == {"a": [1.0] * 4, "b": [1.0] * 4, "c": [1.0] * 4}
    assert "".join(log) == "abc" + "abcbcacababc"


def test_fast_work_is_repeated_within_a_round_and_slow_work_is_not() -> None:
    clock, log = Clock(), []
    fast, slow = clock.work("f", 0.001, log), clock.work("s", 1.0, log)
    seconds = interleave([Contestant("f", "", fast), Contestant("s", "", slow)], 1, clock=clock)
    assert seconds["f"] == [pytest.approx(0.001)]
    assert seconds["s"] == [pytest.approx(1.0)]
    assert log.count("s") == 2
    assert 20 <= log.count("f") <= 23


def test_what_is_undone_is_not_timed_and_not_repeated() -> None:
    clock, log = Clock(), []
    side = Contestant("a", "", clock.work("a", 0.001, log), after=clock.work("-", 5.0, log))
    assert interleave([side], 2, clock=clock) == {"a": [pytest.approx(0.001)] * 2}
    assert "".join(log) == "a-" * 3


def test_a_part_of_the_work_counts_for_the_whole() -> None:
    clock = Clock()
    side = Contestant("a", "", clock.work("a", 1.0, []), share=0.1)
    assert interleave([side], 1, clock=clock) == {"a": [pytest.approx(10.0)]}


def test_a_clock_that_stands_still_gives_no_zero() -> None:
    assert interleave([Contestant("a", "", lambda: None)], 1, clock=lambda: 0.0)["a"][0] > 0


def test_the_collector_is_put_back_after_an_error() -> None:
    import gc

    calls = iter(range(10))

    def fail() -> None:
        if next(calls) == 2:
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        interleave([Contestant("a", "", fail)], 5, clock=lambda: 0.0)
    assert gc.isenabled()


@pytest.mark.parametrize(("names", "rounds"), [("a", 0), ("", 1), ("aa", 1)])
def test_what_cannot_be_interleaved(names: str, rounds: int) -> None:
    with pytest.raises(UsageError):
        interleave([Contestant(name, "", lambda: None) for name in names], rounds)


def test_ratios_are_of_rounds() -> None:
    found = ratios({"us": [1.0, 2.0, 4.0], "them": [2.0, 10.0, 4.0]}, "us")
    assert set(found) == {"them"}
    assert (found["them"].median, found["them"].low, found["them"].high) == (2.0, 1.0, 5.0)
    assert spread([3.0, 1.0]).median == 2.0


# ---------------------------------------------------------------------- suites


def test_results_are_as_the_schema_says(results: dict[str, Any], schema: Draft202012Validator) -> None:
    schema.validate(results)
    cases = {(result["suite"], result["case"]) for result in results["results"]}
    assert {("match", "pdq-range"), ("match", "md5"), ("import", "icse"), ("scan", "phash")} <= cases
    kinds = ("", "-files", "-files-luma")
    assert {("hash", f"{name}{kind}") for name in ("pdq", "phash", "dhash", "ahash") for kind in kinds} < cases
    for result in results["results"]:
        ours = [side["name"] for side in result["contestants"] if side["ours"]]
        assert ours == ["hashmatch"]
        assert all(len(side["seconds"]) == 2 for side in result["contestants"])
        assert set(result["ratios"]) == {side["name"] for side in result["contestants"]} - {"hashmatch"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "other"),
        (("version",), 2),
        (("date",), "today"),
        (("results", 0, "ratios"), {}),
        (("results", 0, "checked"), ""),
        (("results", 0, "contestants", 0, "ours"), False),
        (("results", 0, "contestants", 1, "ours"), True),
        (("results", 0, "contestants", 0, "seconds"), []),
        (("results", 0, "contestants", 0, "seconds"), [0]),
        (("results", 0, "figures", "hashmatch"), {"median": 1}),
        (("absent",), [{"name": "x"}]),
    ],
)
def test_the_schema_refuses(
    results: dict[str, Any], schema: Draft202012Validator, path: tuple[Any, ...], value: object
) -> None:
    spoiled = json.loads(json.dumps(results))
    place = spoiled
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not schema.is_valid(spoiled)


def test_committed_documents_are_as_the_schema_says(schema: Draft202012Validator) -> None:
    """Those of this format: whatever script wrote them."""
    for path in sorted((ROOT / "benchmarks").rglob("*.json")):
        read = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(read, dict) and read.get("format") == "hashmatch bench":
            schema.validate(read)


def test_startup_runs_this_hashmatch() -> None:
    cases = list(startup.run(SMALL))
    assert [case.case for case in cases] == ["version", "list-info"]
    assert all({side.name for side in case.contestants} == {"hashmatch", "python"} for case in cases)


def test_every_suite_is_listed_in_the_command_line() -> None:
    assert tuple(SUITES) == bench_._SUITES
    assert tuple(forms.FORMS) == bench_._FORMS


@pytest.mark.parametrize("part", [1, 2, 3, 1 << 20])
def test_the_brute_force_is_right_on_a_case_done_by_hand(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(match, "_PART", part)
    codes = np.array([[0] * 8, [255] + [0] * 7, [1] + [0] * 7], np.uint8)
    found = match.brute_force(codes, codes[[0, 1]], 7)
    assert found.offsets.tolist() == [0, 2, 4]
    assert found.positions.tolist() == [0, 2, 1, 2]
    assert found.distances.tolist() == [0, 1, 0, 7]
    assert match.brute_force(codes[:, :5], codes[[0, 1], :5], 7).positions.tolist() == [0, 2, 1, 2]


# --- each check must be able to fail


def cases(suite: Any) -> list[Case]:
    made: Iterator[Case] = suite.run(SMALL)
    return list(made)


def test_match_refuses_a_search_that_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = match.Searcher.search_codes

    def search(self: Any, name: str, codes: Any, radius: int) -> Any:
        return real(self, name, codes, radius - 1)

    monkeypatch.setattr(match.Searcher, "search_codes", search)
    with pytest.raises(BenchmarkCheckError, match=r"match pdq, 300 entries"):
        cases(match)


def test_match_refuses_digests_that_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = match.Searcher.search_digests

    def search(self: Any, name: str, digests: Any) -> Any:
        return real(self, name, digests ^ np.uint8(1))

    monkeypatch.setattr(match.Searcher, "search_digests", search)
    with pytest.raises(BenchmarkCheckError, match="match md5"):
        cases(match)


def test_hash_refuses_other_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = hashing.kernels.family_batch

    def batch(*args: Any, **options: Any) -> Any:
        found = real(*args, **options)
        for codes, _ in found.values():
            codes[0] ^= 1
        return found

    monkeypatch.setattr(hashing.kernels, "family_batch", batch)
    with pytest.raises(BenchmarkCheckError, match="hash phash beside imagehash"):
        cases(hashing)


def test_hash_refuses_luma_that_strays(monkeypatch: pytest.MonkeyPatch) -> None:
    real = hashing.hash_file

    def far(path: Path, names: tuple[str, ...], **options: str) -> Any:
        record = real(path, names, **options)
        if options.get("profile") == "luma":
            (code,) = record.hashes.values()
            record.hashes[names[0]] = bytes([code[0] ^ 0b11111, *code[1:]])
        return record

    monkeypatch.setattr(hashing, "hash_file", far)
    with pytest.raises(BenchmarkCheckError, match=r"hash pdq-files-luma beside profile reference: [1-9] bits apart"):
        cases(hashing)


def test_import_refuses_a_list_that_says_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importing._import

    def other(known: Path, export: Path) -> None:
        text = export.read_text(encoding="utf-8")
        export.write_text(text.replace(";Image;", ";Video;"), encoding="utf-8")
        real(known, export)
        export.write_text(text, encoding="utf-8")

    monkeypatch.setattr(importing, "_import", other)
    with pytest.raises(BenchmarkCheckError, match=r"import icse, 300 rows: entry \d"):
        cases(importing)


def test_scan_refuses_matches_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan.Matcher, "match_many", lambda _self, records: _unmatched(records))
    with pytest.raises(BenchmarkCheckError, match="scan: the matches"):
        cases(scan)


def _unmatched(records: Any) -> Iterator[Any]:
    from hashmatch.match_result import MatchResult, Verdict

    return (MatchResult(record, Verdict.NONE) for record in records)


def test_startup_refuses_a_program_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup.sys, "executable", "/bin/false")
    with pytest.raises(BenchmarkCheckError, match="exit code"):
        cases(startup)


def test_nothing_is_timed_that_was_not_checked() -> None:
    with pytest.raises(BenchmarkCheckError):
        measured(Case("match", "x", {}, "x", 1, "", [Contestant("hashmatch", "", lambda: None)]), 1)


# --- peers


class Liar(peers.FaissFlat):
    """A peer that promises everything and finds nothing."""

    name = "liar"

    def run(self, queries: Any) -> peers.Found:
        return peers.Found(np.zeros(len(queries) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def test_a_peer_that_is_wrong_or_missing_is_listed_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        match.peers, "search_peers", lambda: [peers.FaissFlat(), Liar(), peers.Absent("usearch", "is not installed")]
    )
    monkeypatch.setattr(match.peers, "lookup_peers", list)
    read = run(["match"], SMALL, rounds=1)
    named = {(absent["name"], absent["reason"]) for absent in read["absent"]}
    assert ("usearch", "is not installed") in named
    assert ("liar", "gave wrong answers for pdq of 300 entries") in named
    assert len(named) == len(read["absent"])
    assert all("liar" not in result["ratios"] for result in read["results"])
    assert "absent: usearch: is not installed" in list(table.lines(read))


def test_without_packages_pdq_stands_beside_the_own_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        hashing.peers, "hash_peers", lambda: [peers.ImageHash(), peers.Absent("pdqhash", "is not installed")]
    )
    read = run(["hash"], SMALL, rounds=1)
    by_case = {result["case"]: result for result in read["results"]}
    assert set(by_case["pdq"]["ratios"]) == set(by_case["pdq-files"]["ratios"]) == {"numpy-reference"}
    assert set(by_case["phash"]["ratios"]) == {"imagehash"}


def test_a_peer_that_fails_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(peers.ImageHash):
        name = "broken"

        def run(self, pictures: Any) -> list[bytes]:
            raise RuntimeError("no")

    monkeypatch.setattr(hashing.peers, "hash_peers", lambda: [peers.ImageHash(), Broken()])
    plan = Plan(images=2, side=96)
    list(hashing.contestants(plan, "phash", list, []))
    assert plan.absent == [peers.Absent("broken", "failed at phash: RuntimeError: no")]


class Failing(peers.FaissFlat):
    """A peer that cannot take the list."""

    name = "failing"
    reason = "no memory"

    def prepare(self, codes: Any, radius: int, threads: int = 1) -> None:
        raise RuntimeError(self.reason)


def test_a_search_peer_that_fails_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match.peers, "search_peers", lambda: [peers.FaissFlat(), Failing()])
    read = run(["match"], SMALL, rounds=1)
    named = {(absent["name"], absent["reason"]) for absent in read["absent"]}
    assert ("failing", "failed at pdq of 300 entries: RuntimeError: no memory") in named
    assert set(read["results"][0]["ratios"]) == {"faiss-flat"}


def test_an_interrupt_that_a_peer_swallows_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, "reason", "Operation has been terminated")
    monkeypatch.setattr(match.peers, "search_peers", lambda: [Failing()])
    with pytest.raises(BenchmarkError, match="stopped from outside while failing worked"):
        cases(match)


def test_peers_that_would_take_too_long_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "_MOST_ENTRIES", {"python-set": (299, "so"), "faiss-multi-hash": (1, "so")})
    read = run(["match"], SMALL, rounds=1)
    named = {absent["name"]: absent["reason"] for absent in read["absent"]}
    assert named["python-set"] == "is not run on more than 299 entries: so"
    assert "faiss-multi-hash" in named
    assert not {"python-set", "faiss-multi-hash"} & {peer for result in read["results"] for peer in result["ratios"]}
    assert set(read["results"][0]["ratios"]) >= {"faiss-flat"}


def test_references_and_held_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_BLOCK", 7)
    assert lists._references(25) == b"".join(b"%010d" % row for row in range(25))
    digests = np.arange(64, dtype=np.uint8).reshape(4, 16)
    queries = digests[[2, 0, 0]].copy()
    queries[1, 15] ^= 1
    assert match._held(digests, queries) == [True, False, True]


@pytest.mark.parametrize(
    "plan",
    [
        Plan(sizes=(0,)),
        Plan(queries=0),
        Plan(images=1),
        Plan(threads=0),
        Plan(skew=1.5),
        Plan(seed=-1),
    ],
)
def test_plans_that_make_no_sense(plan: Plan) -> None:
    with pytest.raises(UsageError):
        run(["match"], plan)


def test_unknown_suites_and_no_rounds() -> None:
    with pytest.raises(UsageError, match="expected some of hash, match"):
        run(["speed"], SMALL)
    with pytest.raises(UsageError):
        run(["match"], SMALL, rounds=0)


# ---------------------------------------------------------------------- machine


def test_the_machine_says_what_the_system_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = machine.machine()
    assert facts["cores"] >= 1
    assert "numpy" in facts["libraries"]
    told = tmp_path / "cpuinfo"
    told.write_text("processor: 0\nmodel name\t: A Chip\nflags\t: fpu popcnt avx2 other\n\nmodel name: B\n")
    lines = machine._cpu_lines(told)
    monkeypatch.setattr(machine, "_cpu_lines", lambda: lines)
    assert machine.processor() == "A Chip"
    assert machine.features() == ["popcnt", "avx2"]
    monkeypatch.setattr(machine, "_cpu_lines", dict)
    assert machine.features() == []
    assert machine.processor()


# ---------------------------------------------------------------------- documents of others


def test_github_action_benchmark_reads_it(results: dict[str, Any]) -> None:
    """What extractCustomBenchmarkResult and extractRangeInfo of that action ask for."""
    made = json.loads(forms.rendered(results, "github-action-benchmark"))
    assert len(made) == len(ratios_of(results)) > 0
    assert len({bench["name"] for bench in made}) == len(made)
    for bench in made:
        assert set(bench) == {"name", "unit", "value", "range", "extra"}
        assert all(isinstance(bench[name], str) for name in ("name", "unit", "range", "extra"))
        assert isinstance(bench["value"], float)
        sign, number = bench["range"].split(" ")
        assert sign == "±"
        assert float(number) >= 0


#: Fields of the JSON of pytest-benchmark 5: of a benchmark, of its stats, and of the document.
STATS = [
    "min",
    "max",
    "mean",
    "stddev",
    "rounds",
    "median",
    "iqr",
    "q1",
    "q3",
    "iqr_outliers",
    "stddev_outliers",
    "outliers",
    "ld15iqr",
    "hd15iqr",
    "ops",
    "total",
    "data",
    "iterations",
]


def test_pytest_benchmark_reads_it(results: dict[str, Any]) -> None:
    made = json.loads(forms.rendered(results, "pytest-benchmark"))
    assert set(made) == {"machine_info", "commit_info", "benchmarks", "datetime", "version"}
    assert {"node", "processor", "machine", "python_version", "system", "cpu"} <= set(made["machine_info"])
    assert {"id", "time", "dirty", "branch"} <= set(made["commit_info"])
    assert len(made["benchmarks"]) == sum(len(result["contestants"]) for result in results["results"])
    assert len({bench["fullname"] for bench in made["benchmarks"]}) == len(made["benchmarks"])
    for bench in made["benchmarks"]:
        assert set(bench) == {"group", "name", "fullname", "params", "param", "extra_info", "options", "stats"}
        assert set(bench["stats"]) == set(STATS)


def test_the_figures_of_pytest_benchmark() -> None:
    stats = forms._stats([4.0, 1.0, 2.0, 3.0, 100.0])
    assert (stats["min"], stats["max"], stats["median"], stats["rounds"]) == (1.0, 100.0, 3.0, 5)
    assert (stats["q1"], stats["q3"], stats["iqr"]) == (2.0, 4.0, 2.0)
    assert (stats["iqr_outliers"], stats["stddev_outliers"], stats["outliers"]) == (1, 1, "1;1")
    assert (stats["ld15iqr"], stats["hd15iqr"]) == (1.0, 4.0)
    assert stats["ops"] == pytest.approx(5 / 110)
    single = forms._stats([2.0])
    assert (single["stddev"], single["ld15iqr"], single["hd15iqr"], single["q3"]) == (0.0, 2.0, 2.0, 2.0)


# ---------------------------------------------------------------------- reading


def written(path: Path, read: object) -> Path:
    path.write_text(json.dumps(read), encoding="utf-8")
    return path


def test_a_document_is_read_as_it_was_written(results: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(forms.rendered(results), encoding="utf-8")
    assert read_document(path) == results


def test_documents_of_other_figures_are_read(tmp_path: Path) -> None:
    other = {"suite": "instructions", "case": "flat", "parameters": {}, "contestants": [{"name": "avx2"}], "ratios": {}}
    read = read_document(written(tmp_path / "a.json", document([other], [], seed=1)))
    assert ratios_of(read) == {}
    assert forms.pytest_benchmark(read)["benchmarks"] == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"format": "other", "version": 1}', "\ud800", '{"format": NaN}', "[" * 100_000],
    ids=["empty", "cut", "list", "null", "other", "not-utf-8", "nan", "deep"],
)
def test_what_is_no_document(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(BenchmarkDamagedError, match=r"a\.json: "):
        read_document(path)


@pytest.mark.parametrize("version", [0, 2, "1", None, True])
def test_other_versions(version: object, results: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BenchmarkVersionError, match="this software reads 1"):
        read_document(written(tmp_path / "a.json", results | {"version": version}))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("machine",), [], "machine is not an object"),
        (("results",), {}, "results is not a list"),
        (("results", 0), 1, "result 1 is not an object"),
        (("results", 0, "suite"), 1, "suite is missing"),
        (("results", 0, "parameters"), [], "parameters is missing"),
        (("results", 0, "ratios"), [], "ratios is not an object"),
        (("results", 0, "ratios", "x"), 1, "is not an object"),
        (("results", 0, "ratios", "x"), {"median": 1, "low": 2, "high": 3}, "ascending"),
        (("results", 0, "ratios", "x"), {"median": 0, "low": 0, "high": 3}, "positive"),
        (("results", 0, "ratios", "x"), {"median": True, "low": True, "high": True}, "positive"),
        (("results", 0, "contestants"), {}, "contestants is not a list"),
        (("results", 0, "contestants", 0), {}, "a contestant has no name"),
        (("results", 0, "contestants", 0, "seconds"), [], "positive numbers"),
        (("results", 0, "contestants", 0, "seconds"), ["1"], "positive numbers"),
    ],
)
def test_damage(results: dict[str, Any], tmp_path: Path, path: tuple[Any, ...], value: object, reason: str) -> None:
    spoiled = json.loads(json.dumps(results))
    place = spoiled
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(BenchmarkDamagedError, match=reason):
        read_document(written(tmp_path / "a.json", spoiled))


def test_a_result_that_is_there_twice(results: dict[str, Any], tmp_path: Path) -> None:
    twice = results | {"results": [results["results"][0]] * 2}
    with pytest.raises(BenchmarkDamagedError, match="result 2 is there twice"):
        read_document(written(tmp_path / "a.json", twice))


def test_every_cut_document_is_damaged(results: dict[str, Any], tmp_path: Path) -> None:
    data = json.dumps(results).encode()
    path = tmp_path / "a.json"
    for end in range(0, len(data), 997):
        path.write_bytes(data[:end])
        with pytest.raises(BenchmarkDamagedError):
            read_document(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputNotFoundError):
            read_document(path)


# ---------------------------------------------------------------------- the command line


def test_the_command_prints_a_table_and_writes_what_it_printed(
    cmd: Callable[..., Any], tmp_path: Path, schema: Draft202012Validator
) -> None:
    done = cmd("bench", "match", "--sizes", "2e2,300", "--queries", 20, "--rounds", 1, "--json", "a.json", "--skew", 1)
    assert done.code == 0
    assert "timing match pdq-range" in done.err
    read = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    schema.validate(read)
    sizes = [result["parameters"]["entries"] for result in read["results"]]
    assert set(sizes) == {200, 300}
    assert read["results"][0]["parameters"]["skew"] == 1.0
    header, rule, *rows = [line for line in done.out.splitlines() if line.startswith("|")]
    assert header.split("|")[6].strip() == "times as long as hashmatch"
    assert {len(row) for row in rows} == {len(header)} == {len(rule)}
    assert len(rows) == sum(len(result["contestants"]) for result in read["results"])
    assert "checked first, match pdq-range: " in done.out


def test_show_prints_what_run_printed_and_a_brief_table(cmd: Callable[..., Any]) -> None:
    made = cmd("bench", "import", "match", "--sizes", 200, "--queries", 20, "--rounds", 1, "--json", "a.json", "-q")
    assert cmd("bench", "show", "a.json").out == made.out
    header, rule, *rows = [line for line in cmd("bench", "show", "a.json", "--brief").out.splitlines() if "|" in line]
    assert {len(row) for row in rows} == {len(header)} == {len(rule)}
    read = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert len(rows) == len(read["results"])
    for row, result in zip(rows, read["results"], strict=True):
        name, rate, peers_shown = (cell.strip() for cell in row.split("|")[1:-1])
        assert name.startswith(f"{result['suite']}, {result['case']} (entries 200" if "entries" in name else "import")
        assert "threads" not in name
        assert rate.endswith(f" {result['unit']}/s")
        shown = [part.partition(",")[0].partition(":")[0] for part in peers_shown.split("; ")]
        assert shown == list(result["ratios"])


def test_show_refuses_what_has_no_times(cmd: Callable[..., Any], tmp_path: Path, results: dict[str, Any]) -> None:
    spoiled = json.loads(json.dumps(results))
    del spoiled["results"][0]["figures"]
    written(tmp_path / "a.json", spoiled)
    for more in ([], ["--brief"]):
        done = cmd("bench", "show", "a.json", *more)
        assert done.code == 3
        assert "a.json: has results other than times" in done.err
        assert done.out == ""


def test_show_refuses_documents_of_other_figures(cmd: Callable[..., Any]) -> None:
    for name in ("figures/accuracy.json", "instructions.json"):
        done = cmd("bench", "show", ROOT / "benchmarks" / name)
        assert done.code == 3
        assert "has no times; expected what" in done.err
        assert done.out == ""


def test_ratios_have_three_digits_and_no_exponent() -> None:
    assert [table._three(value) for value in (0.01234, 1.5, 99.96, 123.4, 12345.6, 1234567)] == [
        "0.0123",
        "1.5",
        "100",
        "123",
        "12,300",
        "1,230,000",
    ]


def test_a_recall_is_never_rounded_up() -> None:
    assert table._recall(None) == ""
    assert table._recall(1.0) == ", finds 100.0%"
    assert table._recall(0.99999) == ", finds 99.9%"


def test_json_on_standard_output_stands_alone(cmd: Callable[..., Any]) -> None:
    done = cmd("bench", "run", "import", "--sizes", 50, "--rounds", 1, "--json", "-", "-q")
    assert json.loads(done.out)["results"][0]["suite"] == "import"
    assert done.err == ""


def test_convert_and_form_write_the_same(cmd: Callable[..., Any], tmp_path: Path, results: dict[str, Any]) -> None:
    written(tmp_path / "a.json", results)
    for form in ("github-action-benchmark", "pytest-benchmark"):
        done = cmd("bench", "convert", "a.json", "--form", form, "-o", "out.json")
        assert done.code == 0
        assert (tmp_path / "out.json").read_text(encoding="utf-8") == forms.rendered(results, form)
    done = cmd("bench", "import", "--sizes", 50, "--rounds", 1, "-q", "--json", "g.json", "--form", "pytest-benchmark")
    assert done.code == 0
    assert len(json.loads((tmp_path / "g.json").read_text(encoding="utf-8"))["benchmarks"]) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["speed"],
        ["match", "--sizes", "0"],
        ["match", "--sizes", "1e"],
        ["match", "--sizes", "2e9"],
        ["match", "--rounds", "0"],
        ["match", "--skew", "2"],
        ["match", "--form", "pytest-benchmark"],
        ["match", "--form", "xml"],
        ["compare", "a.json"],
        ["show"],
    ],
    ids=" ".join,
)
def test_wrong_usage(cmd: Callable[..., Any], arguments: list[str]) -> None:
    assert cmd("bench", *arguments).code == 2


def test_a_failed_check_reports_nothing(
    cmd: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(match, "brute_force", lambda codes, queries, radius: peers.Found(*[np.zeros(1, np.int64)] * 3))
    done = cmd("bench", "match", "--sizes", "100", "--queries", 20, "--rounds", 1, "--json", "a.json")
    assert done.code == 3
    assert "the answers are wrong" in done.err
    assert done.out == ""
    assert not (tmp_path / "a.json").exists()


def test_help_needs_no_library() -> None:
    code = "import sys; from hashmatch.cli import run; run(['bench', 'run', '--help']); print('numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"
