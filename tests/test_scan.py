"""The walker, the worker pool and what passes between them."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch import HashRecord, hash_images, imaging, synthetic
from hashmatch.errors import HashMatchError, UnknownAlgorithmError, UsageError
from hashmatch.scan import HashPool, walk
from hashmatch.scan.pool import _Worker
from hashmatch.scan.walk import Found
from hashmatch.scan.wire import STATUSES, decode_reply, encode_reply, read_message

SIZE = (64, 48)


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

    def test_a_crashing_worker_costs_one_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(4)]
        poison_worker(
            monkeypatch, tmp_path, "if path.endswith('2.png'):\n        os.kill(os.getpid(), 11)\n", timeout=None
        )
        records = list(hash_images(paths, ("md5",), workers=1))
        assert [r.status for r in records] == ["ok", "ok", "crashed", "ok"]
        assert "SIGSEGV" in records[2].reason

    def test_a_hanging_worker_costs_one_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(3)]
        poison_worker(monkeypatch, tmp_path, "if path.endswith('1.png'):\n        time.sleep(600)\n", timeout=1)
        records = list(hash_images(paths, ("md5",), workers=1, timeout=1.0))
        assert [r.status for r in records] == ["ok", "timeout", "ok"]
        assert "1 seconds" in records[1].reason

    def test_a_worker_that_answers_rubbish_costs_one_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paths = [picture(tmp_path / f"{i}.png", i) for i in range(3)]
        rubbish = "if path.endswith('1.png'):\n        os.write(1, b'\\xff' * 64); time.sleep(600)\n"
        poison_worker(monkeypatch, tmp_path, rubbish, timeout=None)
        records = list(hash_images(paths, ("md5",), workers=1))
        assert [r.status for r in records] == ["ok", "crashed", "ok"]

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
            ({"algorithms": ("photodna",)}, UnknownAlgorithmError),
            ({"algorithms": ("no",)}, UnknownAlgorithmError),
        ],
    )
    def test_wrong_parameters(self, wrong: dict[str, object], error: type[Exception]) -> None:
        with pytest.raises(error):
            hash_images([], **wrong)  # type: ignore[arg-type]


def poison_worker(monkeypatch: pytest.MonkeyPatch, folder: Path, action: str, timeout: object) -> None:
    """Make worker processes do ``action`` before they hash ``path``, as a decoder with a defect would."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "import hashmatch.hashing as h\n"
        "original = h.hash_file\n"
        "def hash_file(path, *a, **k):\n"
        f"    {action}"
        "    return original(path, *a, **k)\n"
        "h.hash_file = hash_file\n"
    )
    root = str(Path(__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), root]))
    del timeout


class TestWire:
    @given(
        st.builds(
            HashRecord,
            name=st.just("n"),
            hashes=st.fixed_dictionaries({}, optional={"md5": st.binary(min_size=16, max_size=16)}),
            size=st.none() | st.integers(0, 1 << 62),
            status=st.sampled_from(STATUSES),
            reason=st.text(st.characters(codec="utf-8"), max_size=50),
            profile=st.just("reference"),
            decoder=st.just("Pillow"),
            format=st.sampled_from(["", "JPEG"]),
            width=st.integers(0, 1 << 31),
            height=st.integers(0, 1 << 31),
            oriented=st.booleans(),
        )
    )
    def test_round_trip(self, record: HashRecord) -> None:
        assert decode_reply("n", encode_reply(record)) == record

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
