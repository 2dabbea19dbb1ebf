"""A predictor and a dataset small enough to reason about."""

from dataclasses import dataclass, field

import numpy as np

from mien.core.expression import FER2013, Labels
from mien.core.fitted import Fitted
from mien.core.manifest import Manifest
from mien.core.preprocess import InputSpec
from mien.data.dataset import Dataset, text_column

SIZE = 8
THRESHOLDS = (0.2, 0.1, 0.3, 0.15, 0.25, 0.05, 0.2)


@dataclass
class LinearPredictor:
    """Logits are a fixed random projection of the pixels, so a mirrored face has others."""

    name: str = "linear"
    identity: str = "ab" * 32
    labels: Labels = FER2013
    input: InputSpec = field(default_factory=lambda: InputSpec(size=SIZE))
    temperature: float = 1.5
    parameters: int = 448
    seed: int = 0
    seen: tuple = ()

    def logits(self, crops):
        weights = np.random.default_rng(self.seed).normal(size=(SIZE * SIZE, len(self.labels)))
        return (crops.reshape(len(crops), SIZE * SIZE) / 64.0 @ weights).astype(np.float32)


@dataclass
class DescribedPredictor(LinearPredictor):
    """One with a manifest, whose candidate thresholds are :data:`THRESHOLDS`."""

    trained_on: str = "faces train, chosen on public"
    fitted: Fitted | None = None

    def __post_init__(self):
        self.seen = self.manifest.seen

    @property
    def manifest(self):
        return Manifest(
            name=self.name,
            summary="A random projection.",
            network="linear",
            file="linear.onnx",
            sha256=self.identity,
            bytes=1,
            input=self.input,
            labels=self.labels,
            parameters=self.parameters,
            trained_on=self.trained_on,
            data_licence="made up",
            weights_licence="made up",
            temperature=self.temperature,
            conformal_thresholds=THRESHOLDS[: len(self.labels)],
            coverage=0.9,
            energy_threshold=0.0,
            recipe="exact",
            seed=7,
            fitted=self.fitted,
        )


class WrongShapePredictor(LinearPredictor):
    def logits(self, crops):
        return super().logits(crops)[:, :3]


def faces(
    *, labels: Labels = FER2013, seed: int = 1, each: int = 60, noise: float = 0.5, name: str = "faces"
) -> Dataset:
    """``each`` random crops in train, public and private; labels are the linear predictor's with noise.

    The first 5 private rows copy train rows, the next 3 copy public rows, the first 4 public rows copy train rows.
    """
    generator = np.random.default_rng(seed)
    n = 3 * each
    images = generator.integers(0, 256, size=(n, SIZE, SIZE), dtype=np.uint8)
    images[each : each + 4] = images[:4]
    images[2 * each : 2 * each + 5] = images[10:15]
    images[2 * each + 5 : 2 * each + 8] = images[each + 20 : each + 23]
    truth = LinearPredictor().logits(images)[:, : len(labels)].argmax(axis=1)
    indices = np.where(generator.random(n) < noise, generator.integers(0, len(labels), n), truth)
    return Dataset(
        name=name,
        images=images,
        indices=indices.astype(np.int64),
        labels=labels,
        splits=text_column(["train"] * each + ["public"] * each + ["private"] * each),
        rows=np.arange(n),
        licence="made up",
        metadata={
            "subject": text_column([f"person {i % 3}" for i in range(n)]),
            "file": text_column([f"{i}.png" for i in range(n)]),
            "age": np.arange(n) % 50,
        },
    )
