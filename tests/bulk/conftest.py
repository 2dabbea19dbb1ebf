"""A folder of inputs of every kind, and a run on it as a program of its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bulk.outputs import bulk
from runtime.toys import write_model


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight portraits, two of them in a folder below, a damaged picture, and a video of three seconds."""
    portrait = pytest.importorskip("skimage.data").astronaut()[..., ::-1]
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "below").mkdir()
    for index in range(8):
        place = folder / "below" if index > 5 else folder
        cv2.imwrite(str(place / f"{index}.png"), np.roll(portrait, index, axis=1))
    (folder / "damaged.jpg").write_bytes(b"no picture")
    writer = cv2.VideoWriter(str(folder / "film.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (512, 512))
    for _ in range(30):
        writer.write(portrait)
    writer.release()
    return folder


@pytest.fixture(scope="session")
def undisturbed(inputs, toy, tmp_path_factory):
    """The status and the folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    return bulk(inputs, out, toy), out
