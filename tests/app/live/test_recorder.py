"""Seconds on their way to a store that is slow, full, or no longer allowed to take them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from mien.app.live import recorder as module
from mien.app.live.browser_stream import FrameView
from mien.app.live.recorder import Recorder
from mien.app.live.subject import Presence
from mien.core.errors import ConsentError, NoRecordingError, StoreError
from mien.core.face import Frame


@dataclass
class Shelf:
    """A store that fails as it is told to."""

    error: Exception | None = None
    seconds: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)

    def append(self, recording, second):
        if self.error is not None:
            raise self.error
        self.seconds.append(second.index)

    def close_recording(self, recording):
        self.closed.append(recording)


def nobody(time: float) -> FrameView:
    return FrameView(Frame(640, 480, (), "haar", ("toy",), time=time), (), Presence.AWAY, {})


def recorded(shelf: Shelf, work, *, began: float = 0.0) -> list[str]:
    """Run a recording in a loop of its own; what was said."""
    said: list[str] = []

    async def tell(words: str) -> None:
        said.append(words)

    async def main() -> None:
        recorder = Recorder(shelf, 7, began=began, tell=tell, retry=0.01)
        await work(recorder)
        await recorder.close()

    asyncio.run(asyncio.wait_for(main(), 20))
    return said


def test_every_second_is_stored_in_its_order_from_where_it_began():
    shelf = Shelf()

    async def work(recorder):
        for tenth in range(35):
            recorder.push(nobody(100 + tenth / 10))
        await asyncio.sleep(0)

    assert recorded(shelf, work, began=100.0) == []
    assert shelf.seconds == [0, 1, 2, 3]
    assert shelf.closed == [7]


def test_a_store_that_fails_is_said_once_and_caught_up_with():
    shelf = Shelf(StoreError("app.db: the disk is full"))

    async def work(recorder):
        for second in range(4):
            recorder.push(nobody(float(second)))
            await asyncio.sleep(0.03)
        shelf.error = None
        while not shelf.seconds:
            await asyncio.sleep(0.01)

    said = recorded(shelf, work)
    assert [words.split(":")[0] for words in said] == [
        "The recording cannot be saved at the moment",
        "The recording is being saved again.",
    ]
    assert shelf.seconds == [0, 1, 2, 3]


def test_what_waits_too_long_is_lost_and_said(monkeypatch):
    monkeypatch.setattr(module, "WAITING", 3)
    shelf = Shelf(StoreError("app.db: the disk is full"))

    async def work(recorder):
        for second in range(9):
            recorder.push(nobody(float(second)))
        await asyncio.sleep(0.05)
        shelf.error = None
        while not shelf.seconds:
            await asyncio.sleep(0.01)

    said = recorded(shelf, work)
    assert "5 seconds in between were lost" in said[-1]
    assert shelf.seconds == [5, 6, 7, 8]


def test_a_store_that_fails_to_the_end_does_not_hold_the_browser_up():
    shelf = Shelf(StoreError("app.db: the disk is full"))

    kept = []

    async def work(recorder):
        kept.append(recorder)
        recorder.push(nobody(0.0))
        recorder.push(nobody(1.0))

    recorded(shelf, work)
    assert kept[0].ended == "2 seconds of the recording were not saved."


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConsentError("its consent is withdrawn"), "its consent is withdrawn"),
        (ValueError("it is closed"), "it is closed"),
        (NoRecordingError("there is no recording 7"), "it was deleted, withdrawn or purged."),
    ],
)
def test_a_recording_that_may_not_go_on_ends(error, why):
    shelf = Shelf(error)

    async def work(recorder):
        recorder.push(nobody(0.0))
        recorder.push(nobody(1.0))
        await asyncio.sleep(0.05)
        assert recorder.ended == f"The recording has ended: {why}"
        shelf.error = None
        recorder.push(nobody(2.0))

    assert recorded(shelf, work) == []
    assert shelf.seconds == []


def test_a_recording_that_is_found_gone_when_it_is_closed_says_so():
    shelf, kept = Shelf(), []

    def gone(recording):
        raise NoRecordingError(f"there is no recording {recording}")

    shelf.close_recording = gone

    async def work(recorder):
        kept.append(recorder)

    assert recorded(shelf, work) == []
    assert "deleted" in kept[0].ended


def test_a_recording_that_is_let_go_stores_nothing_more():
    shelf = Shelf()

    async def work(recorder):
        recorder.push(nobody(0.0))
        recorder.push(nobody(1.0))
        recorder.abandon()

    assert recorded(shelf, work) == []
    assert shelf.seconds == []
