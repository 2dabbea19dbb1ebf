"""From a face detector's run to the ONNX file and manifest that ship, and the scores from which it is believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from mien.core.manifest import FaceDetectorManifest
from mien.core.preprocess import Image
from mien.core.provenance import commit
from mien.data.portraits import Portrait
from mien.models.export import Provenance, export_face_detector
from mien.models.face_detector import FaceDetectorNetwork
from mien.training.face_detector_fit import find, gather, load_face_detector, validation_scenes
from mien.training.face_detector_recipe import RECIPE_FILE, FaceDetectorRecipe

FALSE = 0.02
"""Detections in a part of a validation background that the least score lets through at most."""

SURE = 0.9
"""Share of upright validation portraits that reach the score from which the detector is sure."""

_SCORES = np.arange(0.25, 0.91, 0.05)
_UPRIGHT = 320
_PARTS = 400
_COMPARED = 16


def export_face_detector_run(
    folder: Path, out: Path, teacher: Path, *, name: str | None = None, root: Path | None = None
) -> FaceDetectorManifest:
    """Export a run's averaged weights to ``out/NAME.onnx`` and ``out/NAME.json``.

    Raises:
        TrainingError: there is no finished run.
        DatasetError: the validation pictures are missing.
        ModelError: the graph does not compute what torch computes.
    """
    network, recipe = load_face_detector(folder), FaceDetectorRecipe.read(folder / RECIPE_FILE)
    material = gather(recipe, teacher, folder, root=root)
    scenes = validation_scenes(material, recipe)
    least = least_score(network, material.backgrounds["validation"], recipe.seed)
    counts = (len(material.portraits["train"]), len(material.crops), len(material.backgrounds["train"]))
    crops = f", {counts[1]:,} crops of {recipe.crops}'s training split" if recipe.crops else ""
    return export_face_detector(
        network,
        [scene.picture for scene in scenes[:_COMPARED]],
        out,
        name or recipe.name,
        Provenance(
            network="face-detector",
            summary=recipe.summary,
            trained_on=f"scenes of {counts[0]:,} portraits{crops}, on {counts[2]:,} backgrounds without a face; boxes "
            "and landmarks by YuNet; scores chosen on portraits and backgrounds of their own",
            data_licence="research only: pictures collected from the web, rights with their owners",
            weights_licence=recipe.licence or "as the training data allows",
            paper="mien",
            recipe=recipe.name,
            seed=recipe.seed,
            commit=commit(),
        ),
        min_score=least,
        sure=max(least, sure_score(network, material.portraits["validation"])),
    )


def least_score(network: FaceDetectorNetwork, backgrounds: Sequence[Image], seed: int) -> float:
    """The least of a few scores that lets at most :data:`FALSE` detections a part of a background through."""
    rng = np.random.default_rng(seed)
    scores = np.zeros(0)
    for index in range(_PARTS):
        picture = backgrounds[index % len(backgrounds)]
        side = int(rng.integers(min(96, *picture.shape[:2]), min(picture.shape[:2]) + 1))
        top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
        part = picture[top : top + side, left : left + side]
        copy = cast(Image, cv2.resize(part, (_UPRIGHT, _UPRIGHT), interpolation=cv2.INTER_LINEAR))
        scores = np.concatenate([scores, find(network, copy, float(_SCORES[0]))[:, 14]])
    passing = [score for score in _SCORES if (scores >= score).sum() <= FALSE * _PARTS]
    return round(float(passing[0] if passing else _SCORES[-1]), 2)


def sure_score(network: FaceDetectorNetwork, portraits: Sequence[Portrait]) -> float:
    """The score that :data:`SURE` of the portraits reach as they are, upright."""
    best = []
    for one in portraits:
        scale = _UPRIGHT / max(one.picture.shape[:2])
        copy = cast(Image, cv2.resize(one.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR))
        best.append(float(find(network, copy, 0.01)[:, 14].max(initial=0)))
    return round(float(np.quantile(best, 1 - SURE)), 2)
