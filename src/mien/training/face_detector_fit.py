"""Training of the face detector: scenes composed as they are needed, averaged weights, mined hard negatives."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mien.core.anchors import STRIDES, detections
from mien.core.errors import TrainingError
from mien.core.files import replacing
from mien.core.places import data_folder
from mien.core.preprocess import Image, InputSpec
from mien.data.face_scenes import Composer, Scene
from mien.data.load import load_dataset
from mien.data.portraits import SPLITS, Portrait, Split, ask_teacher, portraits, read_folder, splits
from mien.models.face_detector import FaceDetectorNetwork
from mien.training.face_detector_loss import loss, targets
from mien.training.face_detector_recipe import RECIPE_FILE, FaceDetectorRecipe
from mien.training.loop import rate_factor

CHECKPOINT, HISTORY, TEACHER = "checkpoint.pt", "history.jsonl", "teacher.npz"

SAY_EVERY, KEEP_EVERY, VALIDATE_EVERY = 100, 250, 1000

_BACKGROUND_SIDE = 1280
_LEAST_SIDE = 200
_HARD_SCORE = 0.1
_MOST_HARD = 6_000

HardNegative = tuple[int, float, float, float, float]
"""Where a face was found that is none: index of the background, then x, y, width and height."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Material:
    """What scenes are composed of.

    Attributes:
        portraits: pictures with one face each, by split.
        crops: pictures that a face fills; all of them train.
        backgrounds: pictures without a face, by split.
    """

    portraits: dict[Split, list[Portrait]]
    crops: list[Portrait]
    backgrounds: dict[Split, list[Image]]

    def composer(self, split: Split, turn: float) -> Composer:
        """Composes scenes of one split."""
        return Composer(self.portraits[split], self.crops if split == "train" else [], self.backgrounds[split], turn)


def gather(recipe: FaceDetectorRecipe, teacher: Path, folder: Path, *, root: Path | None = None) -> Material:
    """Read a recipe's pictures and have the teacher place their faces; its answers are kept in ``folder``.

    Backgrounds in which the teacher finds a face are left out.

    Raises:
        DatasetError: a folder, dataset or the teacher is missing.
    """
    data = root or data_folder()
    heads = read_folder(data / recipe.portraits)
    grounds = read_folder(data / recipe.backgrounds, long_side=_BACKGROUND_SIDE)
    grounds = [picture for picture in grounds if min(picture.shape[:2]) >= _LEAST_SIDE]
    crops = _crops(recipe, data)
    kept = folder / TEACHER
    if not kept.is_file():
        answers: dict[str, Any] = {
            "heads": ask_teacher(heads, teacher).rows,
            "crops": ask_teacher(crops, teacher, long_side=160).rows,
            "faces": ask_teacher(grounds, teacher, long_side=_BACKGROUND_SIDE).counts,
        }
        with replacing(kept) as part, part.open("wb") as file:
            np.savez_compressed(file, **answers)
    with np.load(kept) as file:
        heads_rows, crops_rows, faces = file["heads"], file["crops"], file["faces"]
    if (len(heads_rows), len(crops_rows), len(faces)) != (len(heads), len(crops), len(grounds)):
        raise TrainingError(f"{kept} is of other pictures than {data} holds now: train into another folder")
    by_heads, by_grounds = splits(heads), splits(grounds)
    return Material(
        {
            split: portraits(
                [picture for picture, own in zip(heads, by_heads, strict=True) if own == split],
                heads_rows[[own == split for own in by_heads]],
            )
            for split in SPLITS
        },
        portraits(crops, crops_rows),
        {
            split: [p for p, own, n in zip(grounds, by_grounds, faces, strict=True) if own == split and n == 0]
            for split in SPLITS
        },
    )


def train_face_detector(
    recipe: FaceDetectorRecipe,
    folder: Path,
    teacher: Path,
    *,
    root: Path | None = None,
    threads: int | None = None,
    say: Callable[[str], None] | None = None,
) -> FaceDetectorNetwork:
    """Train a face detector by a recipe into a folder; the same call again goes on with what was interrupted.

    Args:
        recipe: what to do.
        folder: keeps the recipe, the teacher's answers, a line for each hundred steps, and the checkpoint.
        teacher: YuNet's ONNX file.
        root: data folder; see :func:`mien.data.load.load_dataset`.
        threads: CPU threads.
        say: is told in a line each how it goes; None for the log.

    Returns:
        The network with its averaged weights.

    Raises:
        DatasetError: a folder, dataset or the teacher is missing.
        TrainingError: the folder holds the run of another recipe, or the loss is no number.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / RECIPE_FILE).is_file() and FaceDetectorRecipe.read(folder / RECIPE_FILE) != recipe:
        raise TrainingError(f"{folder} holds the run of another recipe: name another folder with --out")
    recipe.write(folder / RECIPE_FILE)
    material = gather(recipe, teacher, folder, root=root)
    say = say or _log.info
    say(
        f"{recipe.name}: {recipe.steps:,} steps into {folder}, of {len(material.portraits['train']):,} portraits, "
        f"{len(material.crops):,} crops and {len(material.backgrounds['train']):,} backgrounds"
    )
    return _Fit(recipe, folder, material, say).run()


class _Fit:
    """One run: network, optimiser, averaged weights and the scenes."""

    def __init__(
        self, recipe: FaceDetectorRecipe, folder: Path, material: Material, say: Callable[[str], None]
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.say = recipe, folder, say
        self.composer = material.composer("train", recipe.turn)
        self.judged = validation_scenes(material, recipe)
        self.network = FaceDetectorNetwork(recipe.width, recipe.stem).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = get_ema_multi_avg_fn(recipe.averaging)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        values = list(self.network.parameters())
        settings = recipe.optimiser
        groups = [
            {"params": [v for v in values if v.ndim > 1], "weight_decay": settings.decay},
            {"params": [v for v in values if v.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.rate)
        self.step = 0
        self._resume()

    def run(self) -> FaceDetectorNetwork:
        """Take the steps that are left."""
        recipe, sums, taken, since = self.recipe, np.zeros(3), 0, time.perf_counter()
        mining = {round(share * recipe.steps) for share in recipe.mine}
        while self.step < recipe.steps:
            if self.step in mining:
                self.composer.hard = mine(self.judge(), self.composer.backgrounds, self.step)
                self.say(f"step {self.step}: {len(self.composer.hard):,} hard negatives")
            sums += self._update()
            self.step, taken = self.step + 1, taken + 1
            if self.step % SAY_EVERY == 0:
                facts: dict[str, Any] = {"step": self.step, "seconds": round(time.perf_counter() - since, 1)}
                facts |= dict(
                    zip(("scores", "boxes", "points"), (round(float(v) / SAY_EVERY, 4) for v in sums), strict=True)
                )
                if self.step % VALIDATE_EVERY == 0 or self.step == recipe.steps:
                    facts |= measure(self.judge(), self.judged)
                self._tell(facts)
                sums, taken, since = np.zeros(3), 0, time.perf_counter()
            if self.step % KEEP_EVERY == 0 or self.step == recipe.steps:
                self._keep()
        return self.judge()

    def judge(self) -> FaceDetectorNetwork:
        """The network with averaged weights, for use."""
        return cast(FaceDetectorNetwork, self.average.module).eval()

    def _update(self) -> NDArray[np.float64]:
        recipe = self.recipe
        large = self.step % recipe.large_every == recipe.large_every - 1
        side, count = (2 * recipe.side, recipe.batch // 4) if large else (recipe.side, recipe.batch)
        rng = np.random.default_rng((recipe.seed, self.step))  # of the step alone, so that a resumed run sees the same
        scenes = [self.composer.compose(side, rng) for _ in range(count)]
        learns, faces = targets(scenes, side)
        rate = recipe.optimiser.rate * rate_factor(self.step, recipe.steps, recipe.optimiser)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        parts = loss(self.network(_planes([scene.picture for scene in scenes])), learns, faces, side)
        total = torch.stack(parts).sum()
        if not torch.isfinite(total):
            raise TrainingError(f"{self.folder}: the loss is no number at step {self.step}: lower optimiser.rate")
        self.optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        if recipe.optimiser.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), recipe.optimiser.clip)
        self.optimiser.step()
        if self.step < 200:  # the first steps' weights are nothing to average
            self.average.n_averaged.zero_()
        self.average.update_parameters(self.network)
        return np.array([float(part.detach()) for part in parts])

    def _tell(self, facts: dict[str, Any]) -> None:
        self.say(" ".join(f"{key} {value}" for key, value in facts.items()))
        with (self.folder / HISTORY).open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    def _keep(self) -> None:
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "hard": torch.tensor(self.composer.hard, dtype=torch.float64).reshape(-1, 5),
        }
        with replacing(self.folder / CHECKPOINT) as part:
            torch.save(state, part)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.composer.hard = [(int(index), x, y, w, h) for index, x, y, w, h in state["hard"].tolist()]
        self.say(f"goes on from step {self.step:,} of {self.recipe.steps:,}")


def load_face_detector(folder: Path) -> FaceDetectorNetwork:
    """The network of a run with its averaged weights.

    Raises:
        TrainingError: the folder holds no run, or one that has not ended.
    """
    recipe = FaceDetectorRecipe.read(folder / RECIPE_FILE)
    if not (folder / CHECKPOINT).is_file():
        raise TrainingError(f"{folder} holds no checkpoint: train it with mien train")
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    if state["step"] < recipe.steps:
        raise TrainingError(
            f"{folder} has taken {state['step']:,} of {recipe.steps:,} steps: the same mien train goes on with it"
        )
    average = AveragedModel(FaceDetectorNetwork(recipe.width, recipe.stem), use_buffers=True)
    average.load_state_dict(state["average"])
    return cast(FaceDetectorNetwork, average.module).eval()


def find(network: FaceDetectorNetwork, picture: Image, min_score: float) -> NDArray[np.float32]:
    """What a network finds in an RGB picture; see :func:`mien.core.anchors.detections`."""
    stride = STRIDES[-1]
    height, width = picture.shape[:2]
    grid = (-(-height // stride), -(-width // stride))
    padded = np.zeros((grid[0] * stride, grid[1] * stride, 3), dtype=np.uint8)
    padded[:height, :width] = picture
    with torch.inference_mode():
        outputs = network(_planes([padded]))[0]
    values = outputs[:, 1:].numpy()
    return detections(outputs[:, 0].sigmoid().numpy(), values[:, :4], values[:, 4:], grid, min_score)


def mine(
    network: FaceDetectorNetwork, backgrounds: Sequence[Image], seed: int
) -> list[tuple[int, float, float, float, float]]:
    """Where a network finds faces in pictures without any, whole at 640 pixels and in four parts of each."""
    rng = np.random.default_rng(seed)
    found: list[tuple[int, float, float, float, float, float]] = []
    for index, picture in enumerate(backgrounds):
        height, width = picture.shape[:2]
        parts = [(0, 0, max(height, width))]
        for _ in range(4):
            span = int(np.exp(rng.uniform(np.log(128), np.log(min(height, width)))))
            parts.append((int(rng.integers(width - span + 1)), int(rng.integers(height - span + 1)), span))
        for left, top, span in parts:
            part = picture[top : top + span, left : left + span]
            scale = 640 / max(part.shape[:2])
            copy = cast(Image, cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR))
            for x, y, w, h, *_, score in find(network, copy, _HARD_SCORE).tolist():
                found.append((score, float(index), left + x / scale, top + y / scale, w / scale, h / scale))
    found.sort(reverse=True)
    return [(int(index), x, y, w, h) for _, index, x, y, w, h in found[:_MOST_HARD]]


def measure(network: FaceDetectorNetwork, scenes: Sequence[Scene]) -> dict[str, float]:
    """Recall and false detections a scene at a score of 0.5, and the landmarks' mean error in eye distances."""
    hits = faces = false = 0
    errors: list[float] = []
    for scene in scenes:
        rows = find(network, scene.picture, 0.5)
        found = overlaps(rows[:, :4], scene.boxes)
        faces += int(scene.counted.sum())
        false += int((found.max(axis=1, initial=0) < 0.3).sum())
        for index in np.flatnonzero(scene.counted):
            if len(rows) == 0 or found[:, index].max() < 0.5:
                continue
            hits += 1
            points = rows[found[:, index].argmax(), 4:14].reshape(5, 2)
            eyes = np.linalg.norm(scene.points[index, 0] - scene.points[index, 1])
            errors.append(float(np.linalg.norm(points - scene.points[index], axis=1).mean() / max(eyes, 1e-6)))
    return {
        "recall": round(hits / max(faces, 1), 4),
        "false": round(false / len(scenes), 4),
        "landmarks": round(float(np.median(errors)), 4) if errors else float("nan"),
    }


def validation_scenes(material: Material, recipe: FaceDetectorRecipe) -> list[Scene]:
    """Scenes of the validation split, the same for each call."""
    composer, rng = material.composer("validation", recipe.turn), np.random.default_rng(recipe.seed)
    large = recipe.validation // 5
    sides = [recipe.side] * (recipe.validation - large) + [2 * recipe.side] * large
    return [composer.compose(side, rng) for side in sides]


def overlaps(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of each of n boxes with each of m, ``(n, m)``."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], others[None, :, :2] + others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = boxes[:, None, 2:].prod(axis=2) + others[None, :, 2:].prod(axis=2) - shared
    return cast(NDArray[np.float32], shared / np.maximum(union, 1e-6))


def _crops(recipe: FaceDetectorRecipe, data: Path) -> list[Image]:
    if recipe.crops is None:
        return []
    dataset = load_dataset(recipe.crops, InputSpec(), root=data)
    rows = dataset.images[dataset.splits == "train"]
    return [cast(Image, np.repeat(np.squeeze(row)[..., None], 3, axis=2)) for row in rows]


def _planes(pictures: Sequence[Image]) -> Tensor:
    """RGB pictures as planes 0 to 255, laid out as the convolutions want them."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
