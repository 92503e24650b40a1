"""Worker processes that hash images: in input order, with bounded memory, and none of them can stop the scan.

Each worker is a process of its own, spoken to over pipes (not `multiprocessing`: no pickle, no re-import of the
caller's main module, the same on every system). A thread in the parent owns each worker: it sends a path, waits for
the answer, and replaces a worker that crashed or was killed for taking too long. That file's row then says so, and
the scan goes on.
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
from time import monotonic
from typing import IO, TYPE_CHECKING

from hashmatch.errors import HashMatchError, UsageError
from hashmatch.record import HashRecord
from hashmatch.scan.walk import Found
from hashmatch.scan.wire import decode_reply, read_message, write_message

if TYPE_CHECKING:
    from hashmatch.imaging import Limits

__all__ = ["DEFAULT_TIMEOUT", "HashPool", "hash_images"]

#: Seconds that one file may take.
DEFAULT_TIMEOUT = 60.0
#: Files in flight or waiting, for each worker: enough that none idles while one large image is awaited.
_WINDOW = 16


def hash_images(
    paths: Iterable[str | os.PathLike[str]],
    algorithms: Sequence[str] = ("pdq", "phash", "md5"),
    *,
    workers: int | None = None,
    limits: Limits | None = None,
    orientation: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
) -> Iterator[HashRecord]:
    """Hash many images in worker processes.

    Args:
        paths: files; taken as they are needed.
        algorithms: which hashes to compute.
        workers: processes; None for one per core, 0 to hash in this process.
        limits: limits of bytes, pixels and frames.
        orientation: apply the EXIF orientation before hashing.
        timeout: seconds that one file may take (with workers).

    Returns:
        An iterator of one `HashRecord` for every path, in their order. A file that cannot be decoded gives a record
        whose ``status`` and ``reason`` say why.

    Raises:
        UsageError: a parameter is wrong.
        UnknownAlgorithmError: an algorithm that is unknown or never computed.
    """
    pool = HashPool(algorithms, workers=workers, limits=limits, orientation=orientation, timeout=timeout)
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
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """See `hash_images`."""
        from hashmatch.hashing import check_algorithms
        from hashmatch.imaging import Limits as DefaultLimits

        if workers is not None and workers < 0:
            raise UsageError(f"workers is {workers}; expected 0 (this process) or more")
        if not timeout > 0:
            raise UsageError(f"timeout is {timeout}; expected seconds, more than 0")
        self.algorithms = check_algorithms(algorithms)
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.limits = limits or DefaultLimits()
        self.orientation = orientation
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
        return hash_file(found.path, self.algorithms, limits=self.limits, orientation=self.orientation)

    def _in_workers(self, files: Iterable[Found]) -> Iterator[HashRecord]:
        tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        crew = [_Worker(self, tasks) for _ in range(self.workers)]
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
                worker.stopping = True
                tasks.put(None)
            for worker in crew:
                worker.stop()


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


class _Worker:
    """One worker process and the thread that owns it."""

    def __init__(self, pool: HashPool, tasks: queue.SimpleQueue[_Task | None]) -> None:
        self._pool = pool
        self._tasks = tasks
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self.stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True, name="hashmatch-worker")
        self._thread.start()

    def stop(self) -> None:
        """End the process and the thread; an answer that is under way is given up."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def _serve(self) -> None:
        try:
            while (task := self._tasks.get()) is not None and not self.stopping:
                try:
                    task.finish(self._hash(task.found.path))
                except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
                    task.error = error
                    task.done.set()
        finally:
            self._end()

    def _hash(self, path: str) -> HashRecord:
        process = self._start()
        assert process.stdin is not None  # for the type checker: both are pipes
        assert process.stdout is not None
        late = threading.Event()

        def expire() -> None:
            late.set()
            process.kill()

        watchdog = threading.Timer(self._pool.timeout, expire)
        watchdog.daemon = True
        began = monotonic()
        watchdog.start()
        try:
            return decode_reply(path, self._ask(process.stdin, process.stdout, path))
        except (OSError, ValueError, HashMatchError) as error:
            self._end()
            if late.is_set():
                reason = f"took longer than {self._pool.timeout:g} seconds; the worker was stopped"
                return HashRecord(name=path, status="timeout", reason=reason)
            reason = (
                f"the worker process ended ({_ending(process.returncode)}) after {monotonic() - began:.0f} s: {error}"
            )
            return HashRecord(name=path, status="crashed", reason=reason)
        finally:
            watchdog.cancel()

    @staticmethod
    def _ask(requests: IO[bytes], replies: IO[bytes], path: str) -> bytes:
        write_message(requests, os.fsencode(path))
        reply = read_message(replies)
        if reply is None:
            raise ValueError("no answer")
        return reply

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        pool = self._pool
        options = {
            "algorithms": list(pool.algorithms),
            "limits": asdict(pool.limits),
            "orientation": pool.orientation,
        }
        # One process is one core's worth of work: the math libraries' own threads would only fight over the cores.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with self._lock:
            process = subprocess.Popen(
                [sys.executable, "-m", "hashmatch.scan.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            self._process = process
        assert process.stdin is not None  # for the type checker: both are pipes
        assert process.stdout is not None
        # The time limit of a file must not include the start of Python, so the worker says when it is ready.
        with contextlib.suppress(OSError):
            write_message(process.stdin, json.dumps(options).encode())
        if read_message(process.stdout) is None and not self.stopping:
            self._end()
            raise RuntimeError(f"a worker process could not be started: {_ending(process.returncode)}")
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # a pipe whose other end is gone
                    stream.close()
        process.kill()
        process.wait()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
