"""The load of several browsers on a running app, in a process of its own: ``python benchmarks/app_load.py < job.json``.

The job names the app's address, cookie and frames; what comes out, as JSON, is how long answers took and how many came.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

import harness


@dataclass(frozen=True)
class Job:
    """What to send.

    Attributes:
        origin: the app's address.
        cookie: of its session.
        frames: a file of JPEGs, each after its length in four bytes.
        streams: browsers at once.
        fps: frames a second of each.
        seconds: for which answers are counted.
        warm_up: seconds before that.
    """

    origin: str
    cookie: str
    frames: str
    streams: int
    fps: float
    seconds: float
    warm_up: float


def pack(jpegs: list[bytes]) -> bytes:
    """JPEGs as one file of frames."""
    return b"".join(struct.pack("<I", len(jpeg)) + jpeg for jpeg in jpegs)


def unpack(data: bytes) -> list[bytes]:
    """The inverse of :func:`pack`."""
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


@dataclass
class Counted:
    """What one browser saw: seconds from sending to the answer, frames sent, frames with a reading."""

    latencies: list[float]
    sent: int = 0
    read: int = 0


async def browse(job: Job, jpegs: list[bytes], number: int, start: float) -> Counted:
    """One browser: a frame whenever one is due, at most two under way, as the page does it."""
    headers = {"cookie": job.cookie}
    options: dict[str, Any] = {"additional_headers": headers, "compression": None, "proxy": None, "max_size": 2**20}
    address = job.origin.replace("http", "ws", 1) + "/live/frames"
    counted = Counted([])
    async with connect(address, origin=job.origin, **options) as connection:  # type: ignore[arg-type]
        under_way: dict[int, float] = {}
        listener = asyncio.create_task(_listen(connection, under_way, counted, start + job.warm_up))
        end = start + job.warm_up + job.seconds
        due = start + number / (job.fps * max(job.streams, 1))  # browsers do not keep step with each other
        frame = number * 7
        while due < end:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            if time.monotonic() >= start + job.warm_up:
                counted.sent += 1
            if len(under_way) < 2:
                frame += 1
                under_way[frame] = time.monotonic()
                await connection.send(struct.pack("<I", frame) + jpegs[frame % len(jpegs)])
            due += 1 / job.fps
        await asyncio.sleep(0.5)
        listener.cancel()
    return counted


async def _listen(connection: ClientConnection, under_way: dict[int, float], counted: Counted, since: float) -> None:
    async for message in connection:
        told = json.loads(message)
        if told["is"] == "over":
            raise RuntimeError(told["why"])
        if told["is"] != "view":
            continue
        now, sent = time.monotonic(), under_way.get(told["frame"])
        for older in [one for one in under_way if one <= told["frame"]]:
            del under_way[older]
        if sent is not None and sent >= since:
            counted.latencies.append(now - sent)
            counted.read += told["own"] is not None


async def load(job: Job) -> dict[str, Any]:
    """All browsers at once."""
    jpegs = unpack(Path(job.frames).read_bytes())
    start = time.monotonic() + 0.5
    counted = await asyncio.gather(*(browse(job, jpegs, number, start) for number in range(job.streams)))
    latencies = [1000 * one for browser in counted for one in browser.latencies]
    return {
        "streams": job.streams,
        "latency_ms": harness.percentiles(latencies or [float("inf")]),
        "answered": len(latencies) / max(sum(one.sent for one in counted), 1),
        "read": sum(one.read for one in counted) / max(len(latencies), 1),
        "frames": len(latencies),
    }


def start_of(job: Job) -> str:
    """The job as JSON."""
    return json.dumps(asdict(job))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(Job(**json.load(sys.stdin))))))
