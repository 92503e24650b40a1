"""Replacing files: a failure at any point leaves the former file or the new one, and nothing else."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch import files
from hashmatch.errors import StorageError
from hashmatch.files import create_private, replace_file

FORMER = b"former" * 1000
posix = pytest.mark.skipif(os.name == "nt", reason="permission bits, pipes and limits of POSIX")


@pytest.fixture
def former(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(FORMER)
    return path


def inside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def stands(path: Path) -> None:
    """The former file is whole, and no other is there."""
    assert path.read_bytes() == FORMER
    assert inside(path.parent) == [path.name]


def test_replaces(former: Path) -> None:
    with replace_file(former) as file:
        file.write(b"new")
        assert former.read_bytes() == FORMER
        file.seek(0)
        assert file.read() == b"new"
    assert former.read_bytes() == b"new"
    assert inside(former.parent) == ["file.bin"]


@pytest.mark.parametrize("name", ["a", ".hidden", "ä €.hmx", "-", "a.tmp", " "])
def test_creates(tmp_path: Path, name: str) -> None:
    with replace_file(str(tmp_path / name)) as file:
        file.write(b"new")
    assert inside(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"new"


@posix
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_owner_only(former: Path, mask: int) -> None:
    former.chmod(0o666)
    before = os.umask(mask)
    try:
        with replace_file(former) as file:
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
        create_private(former.parent / "other").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(former.stat().st_mode) == 0o600
    assert stat.S_IMODE((former.parent / "other").stat().st_mode) == 0o600


def test_create_private_does_not_open_what_is_there(former: Path) -> None:
    with pytest.raises(FileExistsError):
        create_private(former)
    stands(former)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), StorageError("typed")])
def test_an_error_in_the_block_passes_unchanged(former: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, replace_file(former) as file:
        file.write(b"half")
        raise error
    assert caught.value is error
    stands(former)


def test_two_writers_at_once(former: Path) -> None:
    with replace_file(former) as outer:
        outer.write(b"outer")
        with replace_file(former) as inner:
            inner.write(b"inner")
        assert former.read_bytes() == b"inner"
    assert former.read_bytes() == b"outer"
    assert inside(former.parent) == ["file.bin"]


# ---------------------------------------------------------------------- the disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failing_disk(former: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    if call == "fsync":
        monkeypatch.setattr(files.os, "fsync", fail)
    elif call == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError) as caught, replace_file(former) as file:
        file.write(b"x" * 100_000)
        if call == "write":
            fail()
    monkeypatch.undo()
    assert str(former) in str(caught.value)
    assert os.strerror(number) in str(caught.value)
    assert "the former state stands" in str(caught.value)
    assert caught.value.exit_code == 3
    stands(former)


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@posix
def test_a_disk_that_is_full(former: Path) -> None:
    """A limit that the operating system itself enforces: real short writes and real errors."""
    code = """
import resource, sys
from hashmatch.errors import StorageError
from hashmatch.files import replace_file
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for size in (100_001, 1_000_000, 65_536 * 2 + 1):
    for chunk in (1, 7_000, size):
        try:
            with replace_file(sys.argv[1]) as file:
                for at in range(0, size, chunk):
                    file.write(b"y" * min(chunk, size - at))
        except StorageError as error:
            assert "the former state stands" in str(error), error
        else:
            raise SystemExit(f"{size} bytes in chunks of {chunk} were written")
"""
    run = run_python(code, str(former))
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    stands(former)


@posix
@pytest.mark.parametrize("moment", ["in the block", "before the rename", "after the rename"])
def test_a_process_that_dies(former: Path, moment: str) -> None:
    code = """
import os, sys
from pathlib import Path
from hashmatch.files import replace_file
moment = sys.argv[2]
rename = Path.replace
def replace(self, target):
    if moment == "before the rename":
        os._exit(9)
    rename(self, target)
    os._exit(9)
Path.replace = replace
with replace_file(sys.argv[1]) as file:
    file.write(b"new")
    if moment == "in the block":
        file.flush()
        os._exit(9)
"""
    run = run_python(code, str(former), moment)
    assert run.returncode == 9
    assert former.read_bytes() == (b"new" if moment == "after the rename" else FORMER)
    with replace_file(former) as file:
        file.write(b"next")
    assert former.read_bytes() == b"next"


@posix
def test_order_of_the_steps(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content reaches the disk before the rename, and the rename before the call returns."""
    steps = []
    fsync, rename = os.fsync, Path.replace

    def recorded_fsync(descriptor: int) -> None:
        info = os.fstat(descriptor)
        steps.append("folder" if stat.S_ISDIR(info.st_mode) else f"file of {info.st_size}")
        fsync(descriptor)

    def recorded_rename(self: Path, target: Path) -> Path:
        steps.append(f"rename to {target.name}")
        return rename(self, target)

    monkeypatch.setattr(files.os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_rename)
    with replace_file(former) as file:
        file.write(b"abc")
    assert steps == ["file of 3", "rename to file.bin", "folder"]


def fail_for_folders(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(files.os, "fsync", failing)


@posix
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_file_systems_that_cannotsync_folders(former: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    fail_for_folders(monkeypatch, number)
    with replace_file(former) as file:
        file.write(b"new")
    assert former.read_bytes() == b"new"


@posix
def test_a_folder_that_cannot_be_synced_is_told_as_it_is(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for_folders(monkeypatch, errno.EIO)
    with pytest.raises(StorageError, match="the new file is in place") as caught, replace_file(former) as file:
        file.write(b"new")
    assert "former" not in str(caught.value)
    assert former.read_bytes() == b"new"


# ---------------------------------------------------------------------- wrong places


def test_missing_folder_and_file_as_folder(former: Path) -> None:
    for path in (former.parent / "missing" / "a", former / "a", former.parent / ("x" * 300)):
        with pytest.raises(StorageError) as caught, replace_file(path) as file:
            file.write(b"new")
        assert str(path) in str(caught.value)
    stands(former)


@pytest.mark.parametrize("name", [".", "..", "", "folder", "folder/", "folder/.."])
def test_a_folder_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError), replace_file(name) as file:
        file.write(b"new")
    assert inside(tmp_path) == ["folder"]
    assert inside(tmp_path / "folder") == []


@posix
def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    for path in (pipe, link):
        with pytest.raises(StorageError, match="not a file"), replace_file(path) as file:
            file.write(b"new")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_ISCHR(link.stat().st_mode)
    assert inside(tmp_path) == ["link", "pipe"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere; Windows differs")
def test_read_only_folder(former: Path) -> None:
    former.parent.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="Permission denied"), replace_file(former) as file:
            file.write(b"new")
        stands(former)
    finally:
        former.parent.chmod(0o700)
