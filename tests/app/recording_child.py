"""A process whose children record until they are killed: ``python recording_child.py``, one path a line on stdin.

It forks before anything runs in it but imports, so that a child costs milliseconds. Each child prints its process id,
then the time of every frame that it has dealt with.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.made import agreed, reading
from mien.app.store.aggregate import Aggregator
from mien.app.store.facade import Store

FRAMES_A_SECOND = 15


def record(path: Path) -> None:
    """Record frames of a happy face, a hundred times faster than a camera gives them, forever."""
    store = Store(path)
    recording = store.open_recording(agreed(store), model="toy")
    aggregator = Aggregator()
    happy = reading(happy=0.8)
    frame = 0
    while True:
        now = frame / FRAMES_A_SECOND
        second = aggregator.push(now, happy)
        if second is not None:
            store.append(recording, second)
        os.write(1, f"{now:.4f}\n".encode())
        frame += 1
        time.sleep(0.01 / FRAMES_A_SECOND)


def main() -> None:
    """Fork a recording child for each line."""
    with tempfile.TemporaryDirectory() as folder:
        Store(Path(folder) / "app.db").close()  # imports what making a database needs
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            record(Path(line.rstrip("\n")))
        os.write(1, f"pid {pid}\n".encode())
        os.waitpid(pid, 0)
        os.write(1, b"ended\n")


if __name__ == "__main__":
    main()
