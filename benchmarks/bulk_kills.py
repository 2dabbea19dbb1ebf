"""Kill a bulk run at random moments, go on, and compare what comes out with a run that nothing disturbed.

python benchmarks/bulk_kills.py [--kills N] [--seed N] [--pictures N] [--seconds S]

Each kill is a SIGKILL of the driver, or of one of its workers, at a moment that is drawn evenly from the first seconds
after the last start or kill. After a kill of the driver the same command is run again; a worker's driver goes on by
itself, and may be killed later. An output that is done is compared row for row and another one begun, until there were
as many kills as asked for.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pyarrow.parquet as pq

import harness
from mien.bulk import Output

_TABLES = ("faces", "events", "recordings", "items")
_DIFFER = ("batch", "seconds", "worker")
"""Columns that differ from run to run."""


def make_inputs(folder: Path, pictures: int) -> None:
    """Portraits, each shifted by some pixels; one file that is no picture, and a video of six seconds."""
    portrait = cv2.resize(harness.portrait(), (256, 256), interpolation=cv2.INTER_AREA)
    for index in range(pictures):
        harness.save_jpeg(folder / f"{index:05}.jpg", np.roll(portrait, index % 64, axis=1))
    (folder / "damaged.jpg").write_bytes(b"no picture")
    writer = cv2.VideoWriter(str(folder / "film.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (256, 256))
    for index in range(60):
        writer.write(np.roll(portrait, index, axis=0)[..., ::-1])
    writer.release()


def rows(out: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of an output in one order, without what differs from run to run."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        Output(out).export(Path(folder))
        for name in _TABLES:
            table = pq.read_table(Path(folder) / f"{name}.parquet")
            table = table.drop_columns([column for column in _DIFFER if column in table.column_names])
            keys = [key for key in ("item", "frame", "face", "time", "track") if key in table.column_names]
            found[name] = table.sort_by([(key, "ascending") for key in keys]).to_pylist()
    return found


def same(ours: dict[str, list[dict[str, Any]]], theirs: dict[str, list[dict[str, Any]]]) -> bool:
    """Whether all rows agree, floats to 1e-6."""
    return all(
        len(ours[name]) == len(theirs[name])
        and all(_same_row(a, b) for a, b in zip(ours[name], theirs[name], strict=True))
        for name in _TABLES
    )


def _same_row(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(
        math.isclose(a[key], b[key], abs_tol=1e-6)
        if isinstance(a[key], float) and isinstance(b[key], float)
        else a[key] == b[key]
        for key in a
    )


def start(inputs: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command, on two workers."""
    words = [*("run", str(inputs), "--out", str(out)), *("--purpose", "research", "--place", "eu", "--workers", "2")]
    return subprocess.Popen(
        [sys.executable, "-m", "mien", "bulk", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def workers_of(driver: int) -> list[int]:
    """The processes that read for a driver."""
    try:
        children = psutil.Process(driver).children(recursive=True)
        return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def kill(pid: int) -> bool:
    """Whether a process could still be killed."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Kill, go on, compare and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=14.0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        inputs = folder / "in"
        inputs.mkdir()
        make_inputs(inputs, given.pictures)
        took = harness.seconds(start(inputs, folder / "whole").wait)
        whole = rows(folder / "whole")
        kills: Counter[str] = Counter()
        finished = equal = unreadable = 0
        driver: subprocess.Popen[bytes] | None = None
        while True:
            out = folder / f"out{finished}"
            if driver is None:
                driver = start(inputs, out)
            enough = kills.total() >= given.kills
            try:
                driver.wait(None if enough else chance.uniform(0, given.seconds))
            except subprocess.TimeoutExpired:
                whom = chance.choice(("driver", "worker"))
                pids = [driver.pid] if whom == "driver" else workers_of(driver.pid)
                if pids and kill(chance.choice(pids)):
                    kills[whom] += 1
                if whom == "driver":
                    driver.wait()
                    driver = None
                    unreadable += _unreadable(out)
                print(f"{dict(kills)}, {finished} outputs done, {equal} equal", flush=True)
                continue
            driver = None
            finished += 1
            equal += same(rows(out), whole)
            if enough:
                break
    harness.write(
        "bulk_kills",
        {
            "seed": given.seed,
            "within_seconds": given.seconds,
            "inputs": len(whole["items"]),
            "undisturbed_seconds": took,
            "kills": dict(kills),
            "finished": finished,
            "equal": equal,
            "unreadable": unreadable,
        },
    )


def _unreadable(out: Path) -> bool:
    """Whether an output that was begun cannot be read after a kill."""
    if not (out / "run.json").exists():
        return False
    words = [sys.executable, "-m", "mien", "bulk", "status", str(out), "--json"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    return done.returncode != 0 or json.loads(done.stdout)["items"] < 0


if __name__ == "__main__":
    main()
