"""Worker processes that hash images: in input order, with bounded memory, and none of them can stop the scan.

Each worker is a process of its own, spoken to over pipes (not `multiprocessing`: no pickle, no re-import of the
caller's main module, the same on every system). A thread in the parent owns each worker: it sends a path, waits for
the answer, and replaces a worker that crashed or was killed for taking too long. That file's row then says so, a new
worker makes its digests without a decoder, and the scan goes on.

Time. What the limit guards against is a decoder that does not end, so decoding a file and hashing its pixels may take
``timeout`` seconds, counted from when its bytes are read. Reading them may take ``timeout`` seconds and one second more
for each megabyte, so that large files on slow media, read by many workers at once, are not given up.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from hashmatch.errors import HashMatchError, UsageError, WorkerError, shorten
from hashmatch.record import HashRecord
from hashmatch.scan.walk import Found
from hashmatch.scan.wire import READ, READY, decode_reply, encode_request, read_message, write_message

if TYPE_CHECKING:
    from hashmatch.imaging import Limits

__all__ = ["DEFAULT_TIMEOUT", "HashPool", "hash_images"]

#: Seconds that decoding one file may take.
DEFAULT_TIMEOUT = 60.0
#: Bytes for which reading may take a second longer.
_READ_SPEED = 1_000_000
#: Seconds that a worker may take to start: imports, on a machine where every core starts one.
_START_TIMEOUT = 60.0
#: Files in flight or waiting, for each worker: enough that none idles while one large image is awaited.
_WINDOW = 16
#: Seconds in which a process that has closed its output ends by itself.
_END_TIMEOUT = 5.0


def hash_images(
    paths: Iterable[str | os.PathLike[str]],
    algorithms: Sequence[str] = ("pdq", "phash", "md5"),
    *,
    workers: int | None = None,
    limits: Limits | None = None,
    orientation: bool = False,
    profile: str = "reference",
    timeout: float = DEFAULT_TIMEOUT,
) -> Iterator[HashRecord]:
    """Hash many images in worker processes.

    Args:
        paths: files; taken as they are needed.
        algorithms: which hashes to compute.
        workers: processes; None for one per core, 0 to hash in this process.
        limits: limits of bytes, pixels and frames.
        orientation: apply the EXIF orientation before hashing.
        profile: how pixels become hashes, one of `hashmatch.hashing.PROFILES`.
        timeout: seconds that decoding one file may take, once its bytes are read (with workers).

    Returns:
        An iterator of one `HashRecord` for every path, in their order. A file that cannot be decoded gives a record
        whose ``status`` and ``reason`` say why.

    Raises:
        UsageError: a parameter is wrong.
        UnknownAlgorithmError: an algorithm that is unknown or never computed.
        KernelUnavailableError: ``HASHMATCH_KERNELS`` forces an implementation that this machine lacks.
        WorkerError: a worker process cannot be started; raised while iterating.
    """
    pool = HashPool(
        algorithms, workers=workers, limits=limits, orientation=orientation, profile=profile, timeout=timeout
    )
    return pool.run(Found(0, os.fspath(path)) for path in paths)


class HashPool:
    """Hashes files in worker processes. One `run` at a time."""

    def __init__(
        self,
        algorithms: Sequence[str],
        *,
        workers: int | None = None,
        limits: Limits | None = None,
        orientation: bool = False,
        profile: str = "reference",
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """See `hash_images`."""
        from hashmatch import kernels
        from hashmatch.hashers import PERCEPTUAL
        from hashmatch.hashing import check_algorithms, check_profile
        from hashmatch.imaging import Limits as DefaultLimits

        if workers is not None and workers < 0:
            raise UsageError(f"workers is {workers}; expected 0 (this process) or more")
        if not 0 < timeout <= threading.TIMEOUT_MAX:  # not a number is neither
            raise UsageError(
                f"timeout is {shorten(timeout)}; expected seconds, more than 0 and at most {threading.TIMEOUT_MAX:.0f}"
            )
        self.algorithms = check_algorithms(algorithms)
        if any(name in PERCEPTUAL for name in self.algorithms):
            kernels.active()  # raises here, once, what would end every worker
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.limits = limits or DefaultLimits()
        self.orientation = orientation
        self.profile = check_profile(profile)
        self.timeout = timeout

    def run(self, files: Iterable[Found]) -> Iterator[HashRecord]:
        """One record for each of ``files``, in their order; ``files`` is read ahead by a bounded number."""
        if self.workers == 0:
            return map(self._in_process, files)
        return self._in_workers(files)

    def _in_process(self, found: Found) -> HashRecord:
        from hashmatch.hashing import hash_file

        if found.problem:
            return HashRecord(name=found.path, status="unreadable", reason=found.problem)
        return hash_file(
            found.path, self.algorithms, limits=self.limits, orientation=self.orientation, profile=self.profile
        )

    def _in_workers(self, files: Iterable[Found]) -> Iterator[HashRecord]:
        tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        watchdog = _Watchdog()
        crew = [_Worker(self, tasks, watchdog) for _ in range(self.workers)]
        waiting: list[_Task] = []
        iterator = iter(files)
        window = _WINDOW * self.workers
        try:
            while True:
                # Submit up to the window, then wait for the oldest: order kept, memory bounded.
                while len(waiting) < window and (found := next(iterator, None)) is not None:
                    task = _Task(found)
                    waiting.append(task)
                    if found.problem:
                        task.finish(HashRecord(name=found.path, status="unreadable", reason=found.problem))
                    else:
                        tasks.put(task)
                if not waiting:
                    return
                task = waiting.pop(0)
                task.done.wait()
                if task.error is not None:
                    raise task.error
                yield task.record
        finally:
            for worker in crew:
                worker.stop()
                tasks.put(None)
            for worker in crew:
                worker.join()
            watchdog.close()


class _Task:
    """One file on its way through the pool."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.done = threading.Event()
        self.record = HashRecord(name=found.path)
        self.error: BaseException | None = None

    def finish(self, record: HashRecord) -> None:
        self.record = record
        self.done.set()


class _Watchdog:
    """One thread that kills processes whose time is over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: dict[subprocess.Popen[bytes], float] = {}
        self._wakes = float("inf")
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True, name="hashmatch-watchdog")
        self._thread.start()

    def watch(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Kill ``process`` in so many seconds, unless it is released before."""
        with self._changed:
            deadline = self._deadlines[process] = monotonic() + seconds
            if deadline < self._wakes:  # else the thread wakes early enough, and need not be woken for every file
                self._changed.notify()

    def release(self, process: subprocess.Popen[bytes]) -> bool:
        """Let ``process`` be; False if its time was over and it has been killed."""
        with self._changed:
            return self._deadlines.pop(process, None) is not None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        with self._changed:
            while not self._closed:
                now = monotonic()
                for process in [process for process, deadline in self._deadlines.items() if deadline <= now]:
                    del self._deadlines[process]
                    process.kill()
                self._wakes = min(self._deadlines.values(), default=float("inf"))
                self._changed.wait(min(self._wakes - now, threading.TIMEOUT_MAX))


class _StoppedError(Exception):
    """The scan is over; nobody waits for the answer."""


class _BrokenError(Exception):
    """A worker gave no answer, or none that can be read. The text is the reason for the file's row."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Worker:
    """One worker process and the thread that owns it."""

    def __init__(self, pool: HashPool, tasks: queue.SimpleQueue[_Task | None], watchdog: _Watchdog) -> None:
        self._pool = pool
        self._tasks = tasks
        self._watchdog = watchdog
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True, name="hashmatch-worker")
        self._thread.start()

    def stop(self) -> None:
        """End the process; an answer that is under way is given up, and no other process is started."""
        with self._lock:
            self._stopping = True
            if self._process is not None:
                self._process.kill()

    def join(self) -> None:
        """Wait for the end of the thread, after `stop`."""
        self._thread.join()

    def _serve(self) -> None:
        try:
            while (task := self._tasks.get()) is not None and not self._stopping:
                try:
                    task.finish(self._hash(task.found.path))
                except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
                    task.error = error
                    task.done.set()
        finally:
            self._end()

    def _hash(self, path: str) -> HashRecord:
        try:
            return self._ask(path)
        except _BrokenError as error:
            record = HashRecord(name=path, status=error.status, reason=str(error))
        # What a decoder did is no reason to miss a known file: its digests are made by a worker that decodes nothing.
        with contextlib.suppress(_BrokenError):
            answer = self._ask(path, digests_only=True)
            record.hashes, record.size = answer.hashes, answer.size
        return record

    def _ask(self, path: str, *, digests_only: bool = False) -> HashRecord:
        """The answer of the worker process.

        Raises:
            _BrokenError: there is none; the process has ended.
            WorkerError: no process can be started.
        """
        request = encode_request(path, digests_only=digests_only)
        timeout = self._pool.timeout
        process = self._start()
        self._watchdog.watch(process, timeout + _size(path) / _READ_SPEED)
        if not self._send(process, request):
            # It died after the last answer, so the file has no part in it.
            self._watchdog.release(process)
            self._end()
            process = self._start()
            self._watchdog.watch(process, timeout + _size(path) / _READ_SPEED)
            self._send(process, request)
        assert process.stdout is not None  # for the type checker: it is a pipe
        reading, reply, wrong = True, None, ""
        try:
            reply = read_message(process.stdout)
            if reply == READ and not digests_only:
                reading = False
                if self._watchdog.release(process):
                    self._watchdog.watch(process, timeout)
                reply = read_message(process.stdout)
            if reply is not None:
                record = decode_reply(path, reply)
                if not self._watchdog.release(process):
                    self._end()  # killed just after it had answered; the next file needs another
                return record
        except (OSError, ValueError, HashMatchError) as error:
            wrong = str(error)
        in_time = self._watchdog.release(process)
        if reply is None and in_time and not wrong:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_TIMEOUT)  # how it ended by itself is the reason, not that it is killed now
        self._end()
        if not in_time:
            what = f"reading took longer than {timeout:g} seconds and 1 second for each megabyte"
            if not reading:
                what = f"decoding took longer than {timeout:g} seconds"
            raise _BrokenError("timeout", f"{what}; the worker was stopped")
        if wrong:
            raise _BrokenError("crashed", f"the worker process gave a wrong answer: {wrong}")
        raise _BrokenError("crashed", f"the worker process ended without an answer ({_ending(process.returncode)})")

    @staticmethod
    def _send(process: subprocess.Popen[bytes], message: bytes) -> bool:
        assert process.stdin is not None  # for the type checker: it is a pipe
        try:
            write_message(process.stdin, message)
        except OSError:
            return False
        return True

    def _start(self) -> subprocess.Popen[bytes]:
        """The process, started if there is none or if it died while it had nothing to do."""
        if self._process is not None:
            if self._process.poll() is None:
                return self._process
            self._end()
        pool = self._pool
        options = {
            "algorithms": list(pool.algorithms),
            "limits": asdict(pool.limits),
            "orientation": pool.orientation,
            "profile": pool.profile,
        }
        with self._lock:
            # Under the lock: `stop` finds either no process, and none is started, or one that it can kill.
            if self._stopping:
                raise _StoppedError
            try:
                process = self._process = subprocess.Popen(
                    [sys.executable or "", "-P", "-m", "hashmatch.scan.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=_environment(),
                )
            except OSError as error:
                raise _cannot_start(f"{sys.executable!r} cannot be run: {error.strerror or error}") from error
        assert process.stdout is not None  # for the type checker: it is a pipe
        # The time limit of a file must not include the start of Python, so the worker says when it is ready.
        self._watchdog.watch(process, _START_TIMEOUT)
        self._send(process, json.dumps(options).encode())
        try:
            answer = read_message(process.stdout)
        except (OSError, ValueError):
            answer = None
        in_time = self._watchdog.release(process)
        if answer == READY and in_time:
            return process
        if answer is None and in_time:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_TIMEOUT)
        self._end()
        if self._stopping:
            raise _StoppedError
        if not in_time:
            raise _cannot_start(f"it was not ready within {_START_TIMEOUT:g} seconds")
        raise _cannot_start(f"it ended before it was ready ({_ending(process.returncode)})")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not sent cannot be sent any more
                    stream.close()


def _size(path: str) -> int:
    """Size of a file, for its time limit; 0 where it is not known, as reading it will tell."""
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return 0


def _environment() -> dict[str, str]:
    """The environment of a worker process.

    The current folder may be the one that is examined, so nothing may be imported from it: not as the first place of
    imports (``-P``), and not through relative entries of ``PYTHONPATH``, of which an empty one is easily made.
    """
    places = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(place).is_absolute()]
    # hashmatch itself may have been found in the current folder: a checkout that is not installed.
    home = Path(__file__).resolve().parents[2]
    if home.name not in ("site-packages", "dist-packages"):  # there it is found, and must not come before the library
        places.append(str(home))
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(places),
        "PYTHONSAFEPATH": "1",
        # The same text must be the same file name there.
        "PYTHONUTF8": str(int(sys.flags.utf8_mode)),
        # One process is one core's worth of work: the math libraries' own threads would only fight over the cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _cannot_start(why: str) -> WorkerError:
    return WorkerError(
        f"a worker process could not be started: {why}; hash in this process instead (workers 0), or run "
        f"`{sys.executable} -P -m hashmatch.scan.worker` to see what is wrong"
    )


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
