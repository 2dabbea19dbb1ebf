"""Read a first face: the portrait that ships inside scikit-image (Eileen Collins, NASA, public domain).

    python examples/demo.py [FOLDER]

It runs the commands that a user would run: it fetches the face detector YuNet where the network lets it, and goes on
with the embedded one where not. It leaves the annotated picture and the report in FOLDER (.demo).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
from skimage.data import astronaut


def main() -> None:
    """Save the portrait, read it with ``mien read``, and say where the results are."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".demo")
    folder.mkdir(parents=True, exist_ok=True)
    portrait, report = folder / "portrait.png", folder / "report.html"
    picture = astronaut()  # type: ignore[no-untyped-call]
    cv2.imwrite(str(portrait), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not fetched("yunet"):
        print("YuNet could not be fetched now: the embedded detector finds the faces\n", flush=True)
    command = ["read", str(portrait), "--annotate", str(folder), "--report", str(report), "--overwrite"]
    print(f"$ mien {' '.join(command)}\n", flush=True)
    done = subprocess.run([sys.executable, "-m", "mien", *command], check=False)
    if done.returncode:
        sys.exit(done.returncode)
    print(f"\nannotated picture  {folder.resolve() / 'portrait-mien.jpg'}")
    print(f"HTML report        {report.resolve()}")


def fetched(model: str) -> bool:
    """Pull a model, unless the network does not answer soon; whether it is there."""
    command = [sys.executable, "-m", "mien", "models", "pull", model]
    print(f"$ mien models pull {model}", flush=True)
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=30)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    main()
