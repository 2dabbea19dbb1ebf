"""The engine of a Ray cluster: one actor for each core, which is handed units and returns rows."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from mien.bulk.options import BulkOptions, Limits
from mien.bulk.worker import Unit, UnitReader, UnitResult, failed_result
from mien.core.errors import BulkError, MienError, MissingExtraError

_LOOK = 1.0
"""Seconds from one look at the actors' memory and progress to the next."""

_STARTS = 3
"""Actors in a row that may end before they have read anything, before the run does."""


@dataclass(slots=True)
class _Busy:
    actor: Any
    unit: Unit
    beat: Any = None


def run_ray(
    options: BulkOptions, units: Iterable[Unit], *, workers: int | None, limits: Limits, key: str
) -> Generator[UnitResult, None, None]:
    """Read units in actors of the cluster that Ray finds: ``RAY_ADDRESS``, or the one on this machine.

    Args:
        options: what decides the rows.
        units: what to read.
        workers: actors of one core each; None for as many as the cluster has cores.
        limits: when an actor is ended.
        key: of the options.

    Raises:
        MissingExtraError: Ray is not installed.
        BulkError: no cluster is reachable, or the actors cannot start.
    """
    ray = _connected()
    try:
        yield from _Cluster(ray, options, limits, key).run(iter(units), workers or _cores(ray))
    finally:
        ray.shutdown()


def _connected() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "cluster", "mien bulk --on ray") from None
    where = os.environ.get("RAY_ADDRESS") or "this machine"
    host, _, port = where.rpartition(":")
    try:
        if port.isdecimal() and "://" not in where:  # Ray itself goes on asking for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address="auto", namespace="mien", log_to_driver=False, logging_level=logging.ERROR)
    except OSError:
        raise BulkError(f"no Ray cluster answers at {where}: `ray start --head` starts one") from None
    except RuntimeError as error:
        if "ersion mismatch" not in str(error):
            raise
        raise BulkError(
            f"the Ray cluster has another version than Ray {ray.__version__} here: install the same"
        ) from None
    return ray


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


class _Actor:
    """One process of the cluster. Its second thread answers while the first one reads."""

    def __init__(self, options: BulkOptions, key: str) -> None:
        self._failed: MienError | None = None
        try:
            self._reader = UnitReader(options, key)
        except MienError as error:  # raised by read, so that the driver gets it as it is
            self._failed = error
        self._moved = time.monotonic()

    def read(self, unit: Unit) -> UnitResult | MienError:
        if self._failed is not None:
            return self._failed
        self._beat()
        return self._reader.read(unit, self._beat)

    def state(self) -> tuple[float, int]:
        """Seconds without progress, and bytes of memory."""
        import psutil

        return time.monotonic() - self._moved, psutil.Process().memory_info().rss

    def _beat(self) -> None:
        self._moved = time.monotonic()


class _Cluster:
    """The actors, and the units that are still to be read."""

    def __init__(self, ray: Any, options: BulkOptions, limits: Limits, key: str) -> None:
        self._ray = ray
        self._options = options
        self._limits = limits
        self._key = key
        self._again: deque[Unit] = deque()
        self._busy: dict[Any, _Busy] = {}
        self._joining: dict[Any, Any] = {}
        self._numbers = itertools.count()
        self._lost_in_a_row = 0

    def run(self, units: Iterable[Unit], workers: int) -> Generator[UnitResult, None, None]:
        waiting = iter(units)
        for _ in range(workers):
            self._join()
        idle: list[Any] = []
        looked = time.monotonic()
        while True:
            while idle and (unit := self._again.popleft() if self._again else next(waiting, None)):
                actor = idle.pop()
                self._busy[actor.read.remote(unit)] = _Busy(actor, unit)
            if not self._busy and idle:
                return
            ready, _ = self._ray.wait([*self._busy, *self._joining], timeout=_LOOK)
            for ref in ready:
                if ref in self._joining:
                    idle.append(self._joining.pop(ref))
                    continue
                one = self._busy.pop(ref)
                try:
                    result = self._ray.get(ref)
                except self._ray.exceptions.RayActorError as error:
                    yield from self._lost(one, "its worker ended", sure=False)
                    self._check_starts(error)
                    self._join()
                    continue
                if isinstance(result, MienError):
                    raise result
                self._lost_in_a_row = 0
                idle.append(one.actor)
                yield result
            if time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                for ref, one in list(self._busy.items()):
                    reason = self._beyond(one)
                    if reason is not None:
                        del self._busy[ref]
                        self._ray.kill(one.actor)
                        yield from self._lost(one, reason, sure=True)
                        self._join()

    def _join(self) -> None:
        """Ask for an actor. It gets a unit when it answers, which is not before the cluster has a core for it."""
        actor = self._actor()
        self._joining[actor.state.remote()] = actor

    def _actor(self) -> Any:
        name = f"mien bulk {os.getpid()} {next(self._numbers)}"
        made = self._ray.remote(num_cpus=1, max_concurrency=2, name=name)(_Actor)
        return made.remote(self._options, self._key)

    def _beyond(self, one: _Busy) -> str | None:
        """Which limit an actor has passed, by its last answer; one that waits for a core has given none."""
        if one.beat is None:
            one.beat = one.actor.state.remote()
        if not self._ray.wait([one.beat], timeout=0)[0]:
            return None
        try:
            still, memory = self._ray.get(one.beat)
        except self._ray.exceptions.RayActorError:  # its unit tells
            return None
        one.beat = None
        if still > self._limits.seconds:
            return f"no progress for {self._limits.seconds:g} s"
        if memory > self._limits.memory:
            return f"took more than {self._limits.memory / 2**30:.3g} GB of memory"
        return None

    def _lost(self, one: _Busy, reason: str, *, sure: bool) -> Generator[UnitResult, None, None]:
        again = one.unit.after_loss(sure=sure)
        self._again.extend(again)
        if not again:
            yield failed_result(one.unit.items[0], self._key, reason)

    def _check_starts(self, error: Exception) -> None:
        """Workers that end one after the other without a result: it is not the items."""
        self._lost_in_a_row += 1
        if self._lost_in_a_row > _STARTS * max(1, len(self._busy) + 1):
            first = str(error).strip().splitlines()[0]
            raise BulkError(f"Ray's workers end one after the other without a result ({first}): is mien on each node?")
