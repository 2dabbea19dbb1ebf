"""How often the quality check speaks, on real faces: by reason, and whether readings are worse where it does.

python benchmarks/quality.py [--data FOLDER] [--portraits heads.tar] [--faces N]

JAFFE and the portraits are faces in good light that look at the camera, read as ``mien read`` reads pictures: what
is said of them is mostly a false alarm. FER2013's PublicTest holds faces as the web has them, cut out already, with
labels: readings that the check speaks against should be wrong more often than the others.
"""

from __future__ import annotations

import argparse
import os
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import harness
from mien import Frame, Recognizer
from mien.core import InputSpec
from mien.data import load_dataset
from mien.runtime import QualityLimits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("MIEN_DATA"), help="folder of the datasets")
    parser.add_argument("--portraits", type=Path, help="tar file of portraits")
    parser.add_argument("--faces", type=int, default=2000, help="portraits to read")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for quality.json")
    options = parser.parse_args()
    rows = []
    for detector in ("yunet", "haar"):
        if options.data:
            pictures = sorted((options.data / "jaffe").glob("*.tiff"))
            rows.append(_told("JAFFE", detector, _first_faces(detector, pictures)))
        if options.portraits:
            found = _first_faces(detector, _portraits(options.portraits, options.faces))
            rows.append(_told("portraits of the web", detector, found))
    if options.data:
        rows.append(_fer2013(options.data))
    harness.write("quality", {"threads": 1, "model": "small", "rows": rows}, folder=options.out)


def _first_faces(detector: str, pictures: Iterable[Any]) -> Iterator[str | None]:
    """Why the largest face of each picture is not measurable; pictures without a face are passed over."""
    for frame in Recognizer("small", detector=detector).read_many(pictures):
        if frame.faces:
            yield frame.faces[0].unmeasurable


def _told(name: str, detector: str, reasons: Iterable[str | None]) -> dict[str, Any]:
    counts = Counter(reasons)
    row = {
        "faces": name,
        "detector": detector,
        "n": counts.total(),
        "reasons": {k: v for k, v in counts.most_common() if k},
    }
    print(row, flush=True)
    return row


def _fer2013(root: Path) -> dict[str, Any]:
    limits = QualityLimits()  # all of them, those too that are not asked of whole pictures
    recognizer = Recognizer("small", detector="whole", quality=limits)
    data = load_dataset("fer2013", InputSpec(size=48, channels=1), root=root)
    rows = data.splits == "public"
    named = [data.labels[index] for index in data.indices[rows]]
    frames: list[Frame] = list(recognizer.read_many(list(data.images[rows])))
    right = np.array([frame.faces[0].reading.expression == name for frame, name in zip(frames, named, strict=True)])
    told = np.array([frame.faces[0].unmeasurable is not None for frame in frames])
    row = _told("FER2013, PublicTest", "whole", (frame.faces[0].unmeasurable for frame in frames))
    return row | {"right_where_silent": float(right[~told].mean()), "right_where_told": float(right[told].mean())}


def _portraits(path: Path, count: int) -> Iterator[bytes]:
    with tarfile.open(path) as archive:
        for member in [m for m in archive.getmembers() if m.isfile()][:count]:
            file = archive.extractfile(member)
            yield file.read() if file else b""


if __name__ == "__main__":
    main()
