"""The app under load: CPU of a live frame, browsers that one process holds, memory of each, weight of its pages.

    python benchmarks/app_speed.py [--streams 1 4 8 12 16 20] [--seconds 12]

Needs YuNet (``mien models pull yunet``), and Debian's ``chromium`` for the pages. The browsers of the load are a
process of their own, on the same cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

import harness
from app_load import Job, pack, start_of
from mien.app.live.browser_stream import BrowserStream, described
from mien.app.web import templates
from mien.runtime.inference.library import detector_path
from mien.runtime.recognizer import Recognizer
from video_clip import Clip

GOALS = {"cpu_ms_per_frame": 6.0, "streams": 12, "latency_p95_ms": 150.0}
"""With YuNet at 640 x 480 and 10 frames a second; on two cores."""

SIZE, FPS, QUALITY = (640, 480), 10.0, 80
_HELD = 0.97
"""Share of the frames due that must be answered, and of the answers that must hold a reading."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8, 12, 16, 20, 24])
    parser.add_argument("--seconds", type=float, default=12.0, help="of each load that are counted")
    parser.add_argument("--frames", type=int, default=200, help="of the clip")
    parser.add_argument("--loads", type=int, default=10, help="of the page, for the time until it can be used")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for app.json")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    frames = jpegs(options.frames)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames"
        path.write_bytes(pack(frames))
        loads = list(_loads(path, options.streams, options.seconds))
        with served(Path(folder) / "pages") as app:
            pages = {**weights(app), "interactive_ms": interactive(app, options.loads)}
    measured = {
        "goals": GOALS,
        "size": SIZE,
        "fps": FPS,
        "jpeg_bytes": int(np.mean([len(frame) for frame in frames])),
        "frame": [frame_cost(frames, name) for name in ("yunet", "haar")],
        "loads": loads,
        "memory_per_stream_mb": slope(loads),
        "pages": pages,
    }
    harness.write("app", measured, folder=options.out)


def jpegs(count: int) -> list[bytes]:
    """The benchmark video's head as a camera would send it, there and back, so that it does not jump at its end."""
    found = []
    for picture in list(Clip(height=SIZE[1], faces=1, frames=count).pictures()):
        left = (picture.shape[1] - SIZE[0]) // 2
        bgr = cv2.cvtColor(picture[:, left : left + SIZE[0]], cv2.COLOR_RGB2BGR)
        found.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    return found + found[-2:0:-1]


def frame_cost(frames: list[bytes], detector: str) -> dict[str, Any]:
    """CPU milliseconds from a frame's JPEG to what the page draws, one frame a call; and of decoding it alone."""
    recognizer = Recognizer(detector=detector)
    stream, milliseconds = BrowserStream(recognizer), []
    read = 0
    for at, jpeg in enumerate(frames):
        start = time.process_time()
        look = stream.look(jpeg, at / FPS)
        view = stream.conclude(look, recognizer.reader.read([look.crops])[0])
        json.dumps(described(view))
        milliseconds.append(1000 * (time.process_time() - start))
        read += view.own is not None
    start = time.process_time()
    for jpeg in frames:
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    decoding = 1000 * (time.process_time() - start) / len(frames)
    warm = milliseconds[int(2 * FPS) :]
    return {
        "detector": detector,
        "cpu_ms": float(np.mean(warm)),
        "spread_ms": harness.percentiles(warm),
        "decoding_ms": decoding,
        "read": read / len(frames),
    }


@dataclass(frozen=True)
class App:
    """A running ``mien serve`` whose person has consented."""

    pid: int
    url: str
    origin: str
    cookie: str

    def client(self) -> httpx.Client:
        """Requests as its pages send them."""
        headers = {"origin": self.origin, "cookie": self.cookie}
        return httpx.Client(base_url=self.origin, headers=headers, trust_env=False, timeout=60)

    def cpu_seconds(self) -> float:
        """CPU time that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Memory that it holds, MB of 10^6 bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024 / 1e6  # type: ignore[index]


@contextlib.contextmanager
def served(home: Path) -> Iterator[App]:
    """``mien serve`` in a process of its own, with a database of its own, and YuNet."""
    (home / "models").mkdir(parents=True)
    shutil.copy(detector_path("yunet"), home / "models")
    environment = {**os.environ, "MIEN_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from mien.cli.main import run; run()", "serve", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url = next(line.strip() for line in process.stdout if "/enter?" in line)
        origin = url.partition("/enter")[0]
        with httpx.Client(base_url=origin, headers={"origin": origin}, trust_env=False, timeout=60) as client:
            client.get(url)
            client.post("/purpose", data={"purpose": "self-reflection", "place": "eu"})
            shown = re.search(r'name="consent" value="(\w+)"', client.get("/consent").text)
            assert shown is not None
            client.post("/consent", data={"consent": shown[1], "agreed": "yes"})
            cookie = "; ".join(f"{key}={value}" for key, value in client.cookies.items())
        try:
            yield App(process.pid, url, origin, cookie)
        finally:
            process.send_signal(signal.SIGINT)


def _loads(frames: Path, streams: list[int], seconds: float) -> Iterator[dict[str, Any]]:
    """Each number of browsers on an app of its own, so that memory is that of these alone."""
    for count in streams:
        with served(frames.parent / f"home{count}") as app:
            job = Job(app.origin, app.cookie, str(frames), count, FPS, seconds, warm_up=3.0)
            yield under_load(app, job)


def under_load(app: App, job: Job) -> dict[str, Any]:
    """Latency and share answered as the browsers saw them; CPU and memory as the app took them."""
    command = [sys.executable, str(Path(__file__).with_name("app_load.py"))]
    before = app.cpu_seconds()
    done = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert done.stdin is not None
    done.stdin.write(start_of(job))
    done.stdin.close()
    time.sleep(job.warm_up + job.seconds / 2)
    memory = app.resident_mb()
    assert done.stdout is not None
    found: dict[str, Any] = json.loads(done.stdout.read())
    if done.wait():
        raise RuntimeError("the load failed")
    cpu = app.cpu_seconds() - before
    frames = found["frames"] * (job.warm_up + job.seconds) / job.seconds
    held = found["latency_ms"]["p95"] <= GOALS["latency_p95_ms"] and min(found["answered"], found["read"]) >= _HELD
    return {**found, "held": held, "server_cpu_ms_per_frame": 1000 * cpu / max(frames, 1), "resident_mb": memory}


def slope(loads: list[dict[str, Any]]) -> float | None:
    """Memory of one more browser, MB: the line of least squares through all loads."""
    if len(loads) < 2:
        return None
    counts, sizes = [one["streams"] for one in loads], [one["resident_mb"] for one in loads]
    return float(np.polyfit(counts, sizes, 1)[0])


def weights(app: App) -> dict[str, int]:
    """Bytes that a browser is sent, compressed, for the heaviest page and everything that it loads."""
    with app.client() as client:
        page = client.get("/live")
        names = [name for name in templates.assets() if name.endswith((".css", ".svg"))]
        scripts = ["live.js", "camera.js", "link.js", "draw.js", "words.js"]
        packed = sum(len(templates.assets()[name].packed) for name in (*names, *scripts))
    return {"live_html_bytes": len(page.content), "live_assets_bytes": packed}


def interactive(app: App, loads: int) -> dict[str, float] | None:
    """Milliseconds from asking for the live page to its scripts having run, in a fresh browser profile each time."""
    browser = shutil.which("chromium")
    if browser is None:
        return None
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for _ in range(loads):
            page = running.new_context().new_page()
            page.goto(app.url)
            page.wait_for_url(f"{app.origin}/")
            page.goto(f"{app.origin}/live")
            timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
            found.append(float(page.evaluate(timing)))
            page.context.close()
        running.close()
    return harness.percentiles(found)


if __name__ == "__main__":
    main()
