"""All browsers' frames, read by one thread in rounds: each network is called once for whatever is waiting."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass

from mien.app.live.browser_stream import BrowserStream, FrameView
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.watcher import Look


@dataclass(frozen=True, slots=True)
class _Job:
    stream: BrowserStream
    jpeg: bytes
    time: float
    done: Future[FrameView]


class Engine:
    """A thread that reads frames as they are submitted.

    What is waiting when a round begins makes the round, so that under load more faces share a call, and a single frame
    waits for nobody. One thread is enough: the work is a few milliseconds a frame, and a second would fight it, and the
    browser, for the cores.

    Args:
        recognizer: reads all of them.

    Attributes:
        rounds: how many rounds have been made.
        frames: how many frames were in them.
    """

    def __init__(self, recognizer: Recognizer) -> None:  # noqa: D107
        self.recognizer = recognizer
        self.rounds = 0
        self.frames = 0
        self._waiting: deque[_Job] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="mien-engine", daemon=True)
        self._thread.start()

    def submit(self, stream: BrowserStream, jpeg: bytes, time: float) -> Future[FrameView]:
        """Read a frame of a stream; the stream must have no other under way.

        Raises:
            RuntimeError: the engine was closed.
        """
        job = _Job(stream, jpeg, time, Future())
        with self._change:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._waiting.append(job)
            self._change.notify()
        return job.done

    def close(self) -> None:
        """Finish the round at hand, and end the thread; what still waits is cancelled."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._change:
                while not self._waiting and not self._closed:
                    self._change.wait()
                jobs = list(self._waiting)
                self._waiting.clear()
                if self._closed:
                    for job in jobs:
                        job.done.cancel()
                    return
            self._round([job for job in jobs if job.done.set_running_or_notify_cancel()])

    def _round(self, jobs: list[_Job]) -> None:
        self.rounds += 1
        self.frames += len(jobs)
        looked: list[tuple[_Job, Look]] = []
        for job in jobs:
            try:
                looked.append((job, job.stream.look(job.jpeg, job.time)))
            except Exception as error:  # whatever is wrong with one browser's frame is told to that browser alone
                job.done.set_exception(error)
        try:
            readings = self.recognizer.reader.read([look.crops for _, look in looked])
        except Exception as error:
            for job, _ in looked:
                job.done.set_exception(error)
            return
        for (job, look), own in zip(looked, readings, strict=True):
            try:
                job.done.set_result(job.stream.conclude(look, own))
            except Exception as error:
                job.done.set_exception(error)
