"""The engine of one machine: processes that are spawned, watched, and ended when they hang or grow."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from mien.bulk.options import BulkOptions, Limits
from mien.bulk.worker import Unit, UnitReader, UnitResult, failed_result
from mien.core.errors import BulkError, MissingExtraError

_LOOK = 0.25
"""Seconds from one look at the workers' memory and progress to the next."""

_STARTS = 3
"""Workers in a row that may end before they are ready, as when one is killed, before the run does."""

_GOES_ON = "goes on"


@dataclass(slots=True)
class _Process:
    process: SpawnProcess
    pipe: Connection
    unit: Unit | None = None
    moved: float = field(default_factory=time.monotonic)
    started: bool = False


def run_local(
    options: BulkOptions, units: Iterable[Unit], *, workers: int, limits: Limits, key: str
) -> Generator[UnitResult, None, None]:
    """Read units in ``workers`` processes of one thread each; the results in the order in which they are done.

    Closing the generator ends the processes.

    Raises:
        BulkError: a worker cannot start.
    """
    if importlib.util.find_spec("psutil") is None:
        raise MissingExtraError("psutil", "cluster", "mien bulk")
    pool = _Pool(options, iter(units), limits, key)
    try:
        yield from pool.run(workers)
    finally:
        pool.end()


class _Pool:
    """The processes, and the units that are still to be read."""

    def __init__(self, options: BulkOptions, units: Iterator[Unit], limits: Limits, key: str) -> None:
        self._options = options
        self._units = units
        self._limits = limits
        self._key = key
        self._again: deque[Unit] = deque()
        self._running: list[_Process] = []
        self._failed_starts = 0
        self._context = multiprocessing.get_context("spawn")

    def run(self, workers: int) -> Iterator[UnitResult]:
        for _ in range(workers):
            self._start()
        while self._again or any(one.unit is not None or not one.started for one in self._running):
            ready = wait([one.pipe for one in self._running], timeout=_LOOK)
            for one in list(self._running):
                gone = None
                if one.pipe in ready:
                    result, gone = self._heard(one)
                    if result is not None:
                        yield result
                gone = gone or self._fed(one)
                beyond = None if gone else self._beyond(one)
                if gone or beyond:
                    yield from self._lost(one, gone or beyond or "", sure=gone is None)

    def end(self) -> None:
        for one in self._running:
            _end(one)

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(self._options, self._key, theirs), daemon=True, name="mien bulk worker"
        )
        process.start()
        theirs.close()
        self._running.append(_Process(process, ours))

    def _heard(self, one: _Process) -> tuple[UnitResult | None, str | None]:
        """What a worker says: its result, or why it is gone."""
        try:
            message = one.pipe.recv()
        except (EOFError, OSError):
            one.process.join(1)
            return None, f"its worker ended with code {one.process.exitcode}"
        one.moved = time.monotonic()
        if isinstance(message, BaseException):
            raise message
        if message == _GOES_ON:
            return None, None
        one.started, one.unit = True, None
        self._failed_starts = 0
        return message, None

    def _fed(self, one: _Process) -> str | None:
        """Give an idle worker its next unit."""
        if one.unit is not None or not one.started:
            return None
        unit = self._again.popleft() if self._again else next(self._units, None)
        if unit is None:
            return None
        one.unit, one.moved = unit, time.monotonic()
        try:
            one.pipe.send(unit)
        except OSError:
            return "its worker ended"
        return None

    def _beyond(self, one: _Process) -> str | None:
        """Which limit a worker has passed."""
        if time.monotonic() - one.moved > self._limits.seconds and (one.unit is not None or not one.started):
            return f"no progress for {self._limits.seconds:g} s"
        if one.unit is not None and _memory(one) > self._limits.memory:
            return f"took more than {self._limits.memory / 2**30:.3g} GB of memory"
        return None

    def _lost(self, one: _Process, reason: str, *, sure: bool) -> Iterator[UnitResult]:
        _end(one)
        self._running.remove(one)
        if not one.started:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise BulkError(
                    f"{_STARTS} workers in a row could not start ({reason}): there may be too little memory for so many"
                )
        self._start()
        if one.unit is not None:
            again = one.unit.after_loss(sure=sure)
            self._again.extend(again)
            if not again:
                yield failed_result(one.unit.items[0], self._key, reason)


def _memory(one: _Process) -> int:
    import psutil

    try:
        return int(psutil.Process(one.process.pid).memory_info().rss)
    except psutil.Error:  # it has just ended, which the pipe tells
        return 0


def _end(one: _Process) -> None:
    one.process.kill()
    one.process.join()
    one.pipe.close()


def _work(options: BulkOptions, key: str, pipe: Connection) -> None:
    """What a worker process does: it takes units until the driver closes the pipe, and ends with the driver."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the driver, which ends its workers
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    try:
        reader = UnitReader(options, key)
        pipe.send(None)
        told = 0.0

        def heartbeat() -> None:
            nonlocal told
            if time.monotonic() - told > 1.0:
                told = time.monotonic()
                pipe.send(_GOES_ON)

        while True:
            unit: Unit = pipe.recv()
            pipe.send(reader.read(unit, heartbeat))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        pipe.send(error)
