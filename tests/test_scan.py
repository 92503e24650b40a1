"""The walker, the worker pool and what passes between them."""

from __future__ import annotations

import hashlib
import inspect
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import HashRecord, hash_images, imaging, synthetic
from hashmatch.errors import HashMatchError, KernelUnavailableError, UnknownAlgorithmError, UsageError, WorkerError
from hashmatch.hashing import MAX_REASON, hash_file
from hashmatch.imaging import Limits
from hashmatch.scan import HashPool, pool, walk
from hashmatch.scan.pool import _Watchdog, _Worker
from hashmatch.scan.walk import Found
from hashmatch.scan.wire import (
    STATUSES,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    read_message,
)

SIZE = (64, 48)
ROOT = Path(__file__).parent.parent


def picture(path: Path, seed: int = 1, form: str = "PNG") -> Path:
    path.write_bytes(imaging.encode(synthetic.image(seed, *SIZE), form))
    return path


class TestWalk:
    def test_order_links_and_special_files(self, tmp_path: Path) -> None:
        for name in ("b/2", "b/1", "a", "c/d/e"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
        (tmp_path / "loop").symlink_to(tmp_path)
        (tmp_path / "link").symlink_to(tmp_path / "a")
        if hasattr(os, "mkfifo"):
            os.mkfifo(tmp_path / "pipe")
        found = list(walk([tmp_path / "b", tmp_path, tmp_path / "no"]))
        names = [(f.input, os.path.relpath(f.path, tmp_path)) for f in found]
        assert names == [
            (0, "b/1"), (0, "b/2"), (1, "a"), (1, "b/1"), (1, "b/2"), (1, "c/d/e"), (2, "no"),
        ]  # fmt: skip

    def test_an_argument_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "x").touch()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        assert [f.path for f in walk([tmp_path / "link"])] == [str(tmp_path / "link" / "x")]

    def test_folders_of_any_depth(self, tmp_path: Path) -> None:
        # Less deep than media can be, as what clears up after tests recurses; the limit is lower in proportion.
        deepest = tmp_path
        for _ in range(300):
            deepest = deepest / "d"
            deepest.mkdir()
        (deepest / "a").touch()
        (tmp_path / "d" / "e").touch()
        (tmp_path / "z").touch()
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(len(inspect.stack(0)) + 200)
        try:
            found = [f.path for f in walk([tmp_path])]
        finally:
            sys.setrecursionlimit(limit)
        assert found == [
            str(deepest / "a"), str(tmp_path / "d" / "e"), str(tmp_path / "z"),
        ]  # fmt: skip

    def test_junctions_are_not_followed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Entry:
            def __init__(self, name: str, folder: bool, junction: bool) -> None:
                self.name, self.path = name, f"top/{name}"
                self.is_dir: Callable[..., bool] = lambda follow_symlinks: folder
                self.is_file: Callable[..., bool] = lambda follow_symlinks: not folder
                self.is_junction: Callable[..., bool] = lambda: junction

        class Listing(list[Entry]):
            def __enter__(self) -> Listing:
                return self

            def __exit__(self, *_: object) -> None:
                pass

        folders = {
            "top": Listing([Entry("junction", True, True), Entry("folder", True, False), Entry("z", False, False)]),
            "top/folder": Listing([]),
        }
        monkeypatch.setattr(os, "scandir", folders.__getitem__)
        monkeypatch.setattr(os.path, "isdir", lambda path: True)
        assert [f.path for f in walk(["top"])] == ["top/z"]

    def test_a_folder_that_cannot_be_listed_is_a_row(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_path: str) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "scandir", refuse)
        [found] = walk([tmp_path])
        assert "cannot be listed: Permission denied" in found.problem
        [record] = HashPool(["md5"], workers=0).run([found])
        assert (record.status, record.reason) == ("unreadable", found.problem)


class TestPool:
    @pytest.mark.parametrize("workers", [0, 1, 3])
    def test_one_record_for_every_path_in_order(self, tmp_path: Path, workers: int) -> None:
        paths = [picture(tmp_path / f"{i:02}.png", i) for i in range(12)]
        broken = tmp_path / "broken.png"
        broken.write_bytes(paths[0].read_bytes()[:200])
        text = tmp_path / "notes.txt"
        text.write_text("not an image")
        wanted = [*paths[:5], broken, text, tmp_path / "missing.png", *paths[5:], tmp_path]
        records = list(hash_images(wanted, ("pdq", "md5"), workers=workers))
        assert [r.name for r in records] == [str(p) for p in wanted]
        by_name = {Path(r.name).name: r for r in records}
        assert by_name["broken.png"].status == "unreadable"
        assert set(by_name["broken.png"].hashes) == {"md5"}
        assert by_name["notes.txt"].status == "unsupported"
        assert by_name["missing.png"].status == "unreadable"
        assert by_name["missing.png"].reason
        good = [r for r in records if r.status == "ok"]
        assert len(good) == 12
        assert all((r.width, r.height, r.format, r.profile) == (*SIZE, "PNG", "reference") for r in good)
        assert all(set(r.hashes) == {"pdq", "md5"} and "pdq" in r.quality and r.decoder for r in good)

    def test_workers_and_this_process_agree(self, tmp_path: Path) -> None:
        paths = [picture(tmp_path / f"{i}.jpg", i, "JPEG") for i in range(6)]
        every = ("md5", "sha256", "pdq", "phash", "dhash", "ahash", "whash")
        assert list(hash_images(paths, every, workers=2)) == list(hash_images(paths, every, workers=0))

    def test_names_of_any_bytes(self, tmp_path: Path) -> None:
        if sys.platform != "linux":
            pytest.skip("other systems' file names are text")
        path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\x01.png")
        Path(path).write_bytes(imaging.encode(synthetic.image(1, *SIZE), "PNG"))
        [record] = hash_images([path], ("md5",), workers=1)
        assert (record.name, record.status) == (path, "ok")

    def test_workers_and_this_process_agree_on_what_is_wrong(self, tmp_path: Path) -> None:
        good = picture(tmp_path / "good.png")
        broken = tmp_path / "broken.png"
        broken.write_bytes(good.read_bytes()[:200])
        large = tmp_path / "large.bmp"
        large.write_bytes(imaging.encode(synthetic.image(1, 200, 200), "BMP"))
        (tmp_path / "notes.txt").write_text("not an image")
        (tmp_path / "folder").mkdir()
        paths = [str(p) for p in (good, broken, large, tmp_path / "notes.txt", tmp_path / "folder", tmp_path / "no")]
        paths += ["nul\0", f"{tmp_path}/\ud800", "\U0001f600" * 3000, "x" * 60_000]
        if sys.platform == "linux":
            names = [os.fsdecode(os.fsencode(tmp_path) + name) for name in (b"/\xff.png", b"/\xff.txt", b"/\xff-no")]
            Path(names[0]).write_bytes(good.read_bytes())
            Path(names[1]).write_text("not an image")
            paths += names
        for algorithms in (("md5", "pdq"), ("md5",)):
            options = {"algorithms": algorithms, "limits": Limits(max_bytes=100_000)}
            alone = list(hash_images(paths, workers=0, **options))  # type: ignore[arg-type]
            assert list(hash_images(paths, workers=1, **options)) == alone  # type: ignore[arg-type]
            assert {r.status for r in alone} == ({"ok", "unreadable", "too_large", "unsupported"} if len(algorithms) > 1
                                                 else {"ok", "unreadable"})  # fmt: skip
            assert max(len(r.reason) for r in alone) > 7_000

    def test_nothing_is_imported_from_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = picture(tmp_path / "a.png")
        seized = tmp_path / "seized"
        (seized / "hashmatch").mkdir(parents=True)
        marker = tmp_path / "marker"
        for name in ("numpy.py", "json.py", "hashmatch/__init__.py"):
            (seized / name).write_text(f"open({str(marker)!r}, 'a').write({name!r})\n")
        monkeypatch.chdir(seized)
        # An empty entry, as `PYTHONPATH=$PYTHONPATH:/more` makes, is the current folder too.
        for value in (str(ROOT), os.pathsep + str(ROOT), os.pathsep.join([".", str(ROOT)])):
            monkeypatch.setenv("PYTHONPATH", value)
            records = list(hash_images([path], ("md5", "pdq"), workers=1))
            assert [r.status for r in records] == ["ok"]
            assert not marker.exists(), marker.read_text()

    def test_a_crashing_worker_costs_one_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(4)]
        poison_worker(monkeypatch, tmp_path, "if path.endswith('2.png'): os.kill(os.getpid(), 11)")
        runs = [list(hash_images(paths, ("sha256", "pdq"), workers=1)) for _ in range(2)]
        assert runs[0] == runs[1]
        assert [r.status for r in runs[0]] == ["ok", "ok", "crashed", "ok"]
        assert runs[0][2].reason == "the worker process ended without an answer (signal SIGSEGV)"
        # Its digests are matched all the same.
        assert runs[0][2].hashes == {"sha256": hashlib.sha256(paths[2].read_bytes()).digest()}
        assert runs[0][2].size == paths[2].stat().st_size

    def test_a_worker_that_crashes_at_digests_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(3)]
        poison_worker(monkeypatch, tmp_path, "if path.endswith('1.png'): os._exit(9)", decoding=False)
        records = list(hash_images(paths, ("md5", "pdq"), workers=1))
        assert [r.status for r in records] == ["ok", "crashed", "ok"]
        assert "exit code 9" in records[1].reason
        assert records[1].hashes == {}

    def test_a_hanging_worker_costs_one_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(3)]
        poison_worker(monkeypatch, tmp_path, "if path.endswith('1.png'): time.sleep(600)")
        records = list(hash_images(paths, ("md5", "pdq"), workers=1, timeout=1.0))
        assert [r.status for r in records] == ["ok", "timeout", "ok"]
        assert records[1].reason == "decoding took longer than 1 seconds; the worker was stopped"
        assert records[1].hashes == {"md5": hashlib.md5(paths[1].read_bytes()).digest()}

    def test_reading_has_a_limit_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(2)]
        with paths[1].open("ab") as file:
            file.truncate(4_000_000)
        # Each file takes two seconds to read: too long for the small one only.
        poison_worker(monkeypatch, tmp_path, "time.sleep(2)", decoding=False)
        records = list(hash_images(paths, ("md5", "pdq"), workers=2, timeout=1.0))
        assert [r.status for r in records] == ["timeout", "ok"]
        assert records[0].reason.startswith("reading took longer than 1 seconds and 1 second for each megabyte")

    @pytest.mark.parametrize("length", [4, 64])
    def test_a_worker_that_answers_rubbish_costs_one_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
    ) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(3)]
        poison_worker(
            monkeypatch, tmp_path, f"if path.endswith('1.png'): os.write(1, b'\\xff' * {length}); time.sleep(600)"
        )
        records = list(hash_images(paths, ("md5", "pdq"), workers=1))
        assert [r.status for r in records] == ["ok", "crashed", "ok"]
        assert set(records[1].hashes) == {"md5"}

    def test_a_worker_that_died_between_files_costs_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(6)]
        original = _Worker._hash

        def kill_after(self: _Worker, path: str) -> HashRecord:
            record = original(self, path)
            assert self._process is not None
            self._process.kill()
            if path.endswith(("0.png", "1.png")):
                self._process.wait()
            elif path.endswith("2.png"):
                self._process.wait()
                # As if it died after it was asked for.
                monkeypatch.setattr(self._process, "poll", lambda: None)
            else:
                self._end()
            return record

        monkeypatch.setattr(_Worker, "_hash", kill_after)
        records = list(hash_images(paths, ("md5", "pdq"), workers=1))
        assert [(r.status, r.reason) for r in records] == [("ok", "")] * 6

    def test_time_that_is_over_just_after_the_answer_costs_no_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(4)]
        real = pool.decode_reply

        def slow(name: str, payload: bytes) -> HashRecord:
            time.sleep(0 if name.endswith("3.png") else 1.2)
            return real(name, payload)

        monkeypatch.setattr(pool, "decode_reply", slow)
        records = list(hash_images(paths, ("md5", "pdq"), workers=1, timeout=1.0))
        assert [(r.status, r.reason) for r in records] == [("ok", "")] * 4

    def test_stopping_while_workers_start(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = picture(tmp_path / "a.png")
        poison_worker(monkeypatch, tmp_path, "time.sleep(600)", decoding=False)
        entered, go = threading.Event(), threading.Event()
        real = subprocess.Popen

        def held(*arguments: object, **options: object) -> object:
            process = real(*arguments, **options)  # type: ignore[call-overload]
            entered.set()
            go.wait(0.5)
            return process

        def files():
            yield Found(0, str(path))
            entered.wait()
            raise ZeroDivisionError

        monkeypatch.setattr(subprocess, "Popen", held)
        began = time.monotonic()
        with pytest.raises(ZeroDivisionError):
            list(HashPool(["md5"], workers=1).run(files()))
        assert time.monotonic() - began < 20
        assert not [t.name for t in threading.enumerate() if t.name.startswith("hashmatch")]

    def test_stopping_before_a_worker_starts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = picture(tmp_path / "a.png")
        poison_worker(monkeypatch, tmp_path, "time.sleep(600)", decoding=False)
        entered = threading.Event()
        original = _Worker._start

        def late(self: _Worker) -> object:
            entered.set()
            time.sleep(0.5)
            return original(self)

        def files():
            yield Found(0, str(path))
            entered.wait()
            raise ZeroDivisionError

        monkeypatch.setattr(_Worker, "_start", late)
        began = time.monotonic()
        with pytest.raises(ZeroDivisionError):
            list(HashPool(["md5"], workers=1).run(files()))
        assert time.monotonic() - began < 20

    @pytest.mark.parametrize(
        ("site", "executable", "reason"),
        [
            ("import os; os._exit(7)", sys.executable, r"ended before it was ready \(exit code 7\)"),
            ("import os; os.write(1, b'\\xff' * 9)", sys.executable, "before it was ready"),
            ("import time; time.sleep(600)", sys.executable, "not ready within 1 seconds"),
            ("", "/no/such/python", "cannot be run"),
            ("", None, "cannot be run"),
        ],
    )
    def test_a_worker_that_cannot_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str, executable: str | None, reason: str
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(site)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
        monkeypatch.setattr(sys, "executable", executable)
        monkeypatch.setattr(pool, "_START_TIMEOUT", 1.0 if "sleep" in site else 60.0)
        with pytest.raises(WorkerError, match=reason) as caught:
            list(hash_images([picture(tmp_path / "a.png")], ("md5",), workers=2))
        assert "workers 0" in str(caught.value)

    def test_kernels_that_are_missing_are_not_the_files_fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HASHMATCH_KERNELS", "nonsense")
        for workers in (0, 1):
            with pytest.raises(KernelUnavailableError):
                HashPool(["pdq", "md5"], workers=workers)
        HashPool(["md5"])

    def test_stopping_early_leaves_no_process(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        started = []
        original = _Worker._start

        def spy(self: _Worker):
            process = original(self)
            started.append(process)
            return process

        monkeypatch.setattr(_Worker, "_start", spy)
        paths = [picture(tmp_path / f"{i:03}.png", i) for i in range(30)]
        records = hash_images(paths, ("md5",), workers=2)
        assert next(records).status == "ok"
        records.close()  # type: ignore[attr-defined]
        assert started
        assert all(process.poll() is not None for process in started)

    def test_reads_ahead_by_a_bounded_number(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "a.png")
        taken = 0

        def paths():
            nonlocal taken
            for _ in range(500):
                taken += 1
                yield Found(0, str(path))

        records = HashPool(["md5"], workers=1).run(paths())
        next(records)
        assert taken < 50
        assert sum(1 for _ in records) == 499

    def test_an_error_of_the_caller_reaches_the_caller(self) -> None:
        def paths():
            yield Found(0, "missing")
            raise ZeroDivisionError

        records = HashPool(["md5"], workers=1).run(paths())
        with pytest.raises(ZeroDivisionError):
            list(records)

    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            ({"workers": -1}, UsageError),
            ({"timeout": 0}, UsageError),
            ({"timeout": -1.0}, UsageError),
            ({"timeout": float("inf")}, UsageError),
            ({"timeout": float("nan")}, UsageError),
            ({"timeout": 1e300}, UsageError),
            ({"timeout": 10**400}, UsageError),
            ({"algorithms": ("photodna",)}, UnknownAlgorithmError),
            ({"algorithms": ("no",)}, UnknownAlgorithmError),
        ],
    )
    def test_wrong_parameters(self, wrong: dict[str, object], error: type[Exception]) -> None:
        with pytest.raises(error):
            hash_images([], **wrong)  # type: ignore[arg-type]


def poison_worker(monkeypatch: pytest.MonkeyPatch, folder: Path, action: str, *, decoding: bool = True) -> None:
    """Make worker processes do ``action`` before they decode ``path``, as a decoder with a defect would.

    Without ``decoding``, before they read it, also where only its digests are asked for.
    """
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "import hashmatch.hashing as h\n"
        "import hashmatch.imaging as i\n"
        "hash_original, decode_original, path = h.hash_file, i.decode, ''\n"
        "def act():\n"
        f"    {action}\n"
        "def hash_file(name, *a, **k):\n"
        "    global path\n"
        "    path = str(name)\n"
        f"    {'pass' if decoding else 'act()'}\n"
        "    return hash_original(name, *a, **k)\n"
        "def decode(*a, **k):\n"
        f"    {'act()' if decoding else 'pass'}\n"
        "    return decode_original(*a, **k)\n"
        "h.hash_file, i.decode = hash_file, decode\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))


class TestWatchdog:
    def test_kills_what_is_late_and_nothing_else(self) -> None:
        watchdog = _Watchdog()
        sleepers = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(3)]
        try:
            watchdog.watch(sleepers[0], threading.TIMEOUT_MAX * 2)
            watchdog.watch(sleepers[1], 0.2)
            watchdog.watch(sleepers[2], 0.1)
            assert watchdog.release(sleepers[2])
            assert sleepers[1].wait(30) != 0
            assert not watchdog.release(sleepers[1])
            assert [s.poll() for s in (sleepers[0], sleepers[2])] == [None, None]
            assert watchdog.release(sleepers[0])
        finally:
            watchdog.close()
            for sleeper in sleepers:
                sleeper.kill()
                sleeper.wait()


class TestWire:
    @given(
        st.builds(
            HashRecord,
            name=st.just("n"),
            hashes=st.fixed_dictionaries({}, optional={"md5": st.binary(min_size=16, max_size=16)}),
            size=st.none() | st.integers(0, 1 << 62),
            status=st.sampled_from(STATUSES),
            reason=st.text(max_size=50),
            profile=st.sampled_from(["", "reference", "\udcff"]),
            decoder=st.just("Pillow"),
            format=st.sampled_from(["", "JPEG"]),
            width=st.integers(0, 1 << 31),
            height=st.integers(0, 1 << 31),
            oriented=st.booleans(),
        )
    )
    def test_round_trip(self, record: HashRecord) -> None:
        assert decode_reply("n", encode_reply(record)) == record

    @given(st.text(max_size=50) | st.binary(max_size=50).map(os.fsdecode), st.booleans())
    def test_requests(self, path: str, digests_only: bool) -> None:
        assert decode_request(encode_request(path, digests_only=digests_only)) == (path, digests_only)

    def test_the_longest_reason(self, tmp_path: Path) -> None:
        record = HashRecord(name="n", reason="\U0001f600" * 100_000, format="\ud800" * 9_000, decoder="x" * 70_000)
        decoded = decode_reply("n", encode_reply(record))
        assert decoded.reason == "\U0001f600" * MAX_REASON
        assert decoded.format == "\ud800" * MAX_REASON
        long = hash_file("\U0001f600" * 20_000)
        assert decode_reply(long.name, encode_reply(long)) == long
        assert long.reason.endswith(("name too long", "file name")) or "cannot be read" in long.reason

    @given(st.binary(max_size=200))
    def test_any_bytes_are_an_answer_or_an_error(self, payload: bytes) -> None:
        try:
            record = decode_reply("n", payload)
        except (ValueError, HashMatchError):
            return
        assert record.status in STATUSES

    def test_truncated_message(self, tmp_path: Path) -> None:
        path = tmp_path / "m"
        for content in (b"", b"\x05", b"\x05\0\0\0abc"):
            path.write_bytes(content)
            with path.open("rb") as stream:
                assert read_message(stream) is None
        path.write_bytes(b"\xff\xff\xff\xff")
        with path.open("rb") as stream, pytest.raises(ValueError, match="message"):
            read_message(stream)
