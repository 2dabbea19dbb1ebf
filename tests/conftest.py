"""What several rooms' tests need: drawn faces in the layouts that people have."""

from __future__ import annotations

import csv
import os
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.expression import FER2013


def draw_face(kind: int, seed: int, size: int = 48) -> np.ndarray:
    """A cartoon face, grey ``(size, size)`` uint8, whose mouth and brows differ by ``kind`` 0 to 6."""
    rng = np.random.default_rng(seed)
    canvas = np.full((96, 96), rng.integers(60, 130), dtype=np.uint8)
    dx, dy = (int(v) for v in rng.integers(-4, 5, size=2))
    cv2.ellipse(canvas, (48 + dx, 50 + dy), (34, 42), 0, 0, 360, int(rng.integers(170, 230)), -1)
    for x in (33, 63):
        cv2.circle(canvas, (x + dx, 38 + dy), 3 + 3 * (kind in (2, 5)), 20, -1)
        tilt = {0: 5, 1: 3, 2: -4, 4: -5}.get(kind, 0) * (1 if x < 48 else -1)
        cv2.line(canvas, (x - 7 + dx, 27 - tilt + dy), (x + 7 + dx, 27 + tilt + dy), 20, 2)
    mouth = (48 + dx, 74 + dy)
    if kind == 5:
        cv2.ellipse(canvas, mouth, (8, 11), 0, 0, 360, 20, -1)
    elif kind in (3, 4):
        start = 10 if kind == 3 else 190
        cv2.ellipse(canvas, mouth, (15, 9), 0, start, start + 160, 20, 3)
    else:
        half = {0: 12, 1: 7, 2: 4, 6: 14}[kind]
        cv2.line(canvas, (mouth[0] - half, mouth[1]), (mouth[0] + half, mouth[1]), 20, 2 if kind == 6 else 5)
    noisy = canvas + rng.normal(0, 6, canvas.shape)
    return cv2.resize(np.clip(noisy, 0, 255).astype(np.uint8), (size, size), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="session")
def face_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``split/class/*.png`` with drawn faces: 20 a class to train on, 8 each to validate and test on."""
    folder = tmp_path_factory.mktemp("drawn")
    seeds = count(1)
    for split, amount in (("train", 20), ("validation", 8), ("test", 8)):
        for kind, label in enumerate(FER2013):
            place = folder / split / label
            place.mkdir(parents=True)
            for index in range(amount):
                face = draw_face(kind, seed=next(seeds))
                assert cv2.imwrite(str(place / f"{index:03}.png"), face)
    return folder


@pytest.fixture(scope="session")
def face_csv(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn faces as a CSV manifest with ``path``, ``label`` and ``split``."""
    path = tmp_path_factory.mktemp("csv") / "faces.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for picture in sorted(face_folder.rglob("*.png")):
            writer.writerow([picture, picture.parent.name, picture.parent.parent.name])
    return path


@pytest.fixture(scope="session")
def drawn_run(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of ``tiny`` on the drawn faces, with its export ``drawn.onnx``: to be copied, not changed."""
    import torch

    from mien.training.fit import train
    from mien.training.recipe import Augmentation, DataConfig, Optimiser, Recipe
    from mien.training.run_as_model import export_run

    threads = torch.get_num_threads()
    folder = tmp_path_factory.mktemp("runs") / "drawn"
    recipe = Recipe(
        name="drawn",
        network="tiny",
        data=DataConfig(dataset=str(face_folder), validation="validation"),
        augment=Augmentation(rotation=5, zoom=0.05, shift=0.03, erase=0.2),
        optimiser=Optimiser(rate=1e-2),
        epochs=8,
        batch=20,
        smoothing=0.05,
        averaging=0.9,
    )
    train(recipe, folder, threads=1)
    export_run(folder, folder)
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests out of the user's cache and model folders."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # what one process decoded, all have
    monkeypatch.setenv("MIEN_CACHE", str(run / "cache"))
    monkeypatch.setenv("MIEN_HOME", str(base / "home"))
