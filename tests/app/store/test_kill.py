from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.app.law.audit import Action
from mien.app.store.facade import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    child = Path(__file__).parents[1] / "recording_child.py"
    with subprocess.Popen(
        [sys.executable, str(child)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def record_and_kill(nursery: subprocess.Popen[str], path: Path, after: float) -> float:
    """Record into a database, kill -9 once so many seconds are recorded, and return the last frame's time."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(f"{path}\n")
    nursery.stdin.flush()
    pid, last, killed = 0, -1.0, False
    for line in nursery.stdout:
        if line.startswith("pid"):
            pid = int(line.split()[1])
        elif line.startswith("ended"):
            break
        else:
            last = float(line)
        if pid and not killed and last >= after:
            os.kill(pid, signal.SIGKILL)
            killed = True
    return last


@pytest.mark.parametrize("count", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_loses_at_most_the_last_second(
    nursery: subprocess.Popen[str], tmp_path: Path, count: int
) -> None:
    moments = random.Random(count)
    lengths = []
    for number in range(count):
        path = tmp_path / f"{number}" / "app.db"
        last = record_and_kill(nursery, path, after=moments.uniform(0.0, 8.0))
        with Store(path) as store:
            (info,) = store.recordings()
            seconds = store.seconds(info.id)
            assert [second.index for second in seconds] == list(range(len(seconds)))
            assert info.length == info.seconds == len(seconds)
            # Every second that was over when the last frame was dealt with is there; what is lost is less than one.
            assert int(last) <= len(seconds)
            assert last - len(seconds) < 1.0
            assert all(second.frames == 15 and second.held[3] == 0.0 for second in seconds)
            assert not info.closed
            assert store.audit()[-1].action is Action.RECORDING_STARTED
            # And it can be gone on with, closed, and deleted.
            store.close_recording(info.id)
            store.delete(info.id)
        lengths.append(len(seconds))
    assert len(set(lengths)) > 1, "the moments should differ"
