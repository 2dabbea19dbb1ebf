"""Whether memory grows while ``mien read`` reads 20,000 pictures: resident memory of the command along the way.

python benchmarks/read_memory.py [--pictures N]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

import harness
from video_clip import Clip

GOAL = 20
"""MB of 10^6 bytes by which resident memory may grow after the warm-up."""

DIFFERENT = 50
"""Pictures that are written once each; the others are links to them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="a bundled name or a path")
    parser.add_argument("--detector", choices=("haar", "yunet"), default="yunet")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for read_memory.json")
    options = parser.parse_args()
    clip = Clip(height=240, faces=2, frames=DIFFERENT)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        _fill(folder, clip, options.pictures)
        command = [sys.executable, "-m", "mien", "read", str(folder), "--csv", str(Path(name) / "rows.csv")]
        megabytes = _watch([*command, "--model", options.model, "--detector", options.detector])
        rows = (Path(name) / "rows.csv").read_text(encoding="utf-8").count("\n") - 1
    if rows < options.pictures:
        raise SystemExit(f"{rows} rows of {options.pictures} pictures: it did not read them all")
    warm = megabytes[len(megabytes) // 5 :]
    measured = {
        "model": options.model,
        "detector": options.detector,
        "pictures": options.pictures,
        "rows": rows,
        "seconds": time.perf_counter() - start,
        "resident_mb": [round(value, 1) for value in megabytes[:: max(len(megabytes) // 100, 1)]],
        "growth_mb": max(warm) - warm[0],
        "growth_mb_goal": GOAL,
    }
    harness.write("read_memory", measured, folder=options.out)


def _fill(folder: Path, clip: Clip, count: int) -> None:
    folder.mkdir()
    for index, picture in enumerate(clip.pictures()):
        cv2.imwrite(str(folder / f"{index:05}.jpg"), picture[..., ::-1])
    for index in range(DIFFERENT, count):
        os.link(folder / f"{index % DIFFERENT:05}.jpg", folder / f"{index:05}.jpg")


def _watch(command: list[str]) -> list[float]:
    """Resident MB of a command, ten times a second until it ends."""
    megabytes = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            megabytes.append(harness.resident_mb(process.pid))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}")
    return [value for value in megabytes if value > 0]


if __name__ == "__main__":
    main()
