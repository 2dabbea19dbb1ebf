"""The ``fer`` package on a video, in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

VERSION = "25.10.3"

_ALONE = (f"fer=={VERSION}",)
_WITH = ("tensorflow==2.21.0", "opencv-contrib-python-headless<5", "requests", "pillow", "setuptools<81")
"""What ``fer.fer`` imports. Its other requirements are for drawing, films and its second detector, of no use here, and
of one of them, facenet-pytorch, no release goes with today's Pillow and torch. OpenCV 5 has no Haar cascades."""

_SIDE = Path(__file__).with_name("video_fer_side.py")


def environment(folder: Path) -> Path:
    """The interpreter of an environment with ``fer``, made in ``folder`` unless it is there already.

    Raises:
        RuntimeError: it cannot be installed; the message says why.
    """
    home = folder / f"fer-{VERSION}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = home / "complete"
    if not done.is_file():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*install, *_WITH])
        _run([*install, "--no-deps", *_ALONE])
        done.touch()
    return python


def measure(python: Path, video: Path, frames: int) -> dict[str, Any]:
    """What ``FER()`` takes for the first frames of a video: see ``video_fer_side.py``.

    Raises:
        RuntimeError: it failed; the message says why.
    """
    found: dict[str, Any] = json.loads(_run([python, _SIDE, video, frames]).splitlines()[-1])
    return found


def _run(command: list[Any]) -> str:
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, env=quiet)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    print(environment(Path(sys.argv[1])))
