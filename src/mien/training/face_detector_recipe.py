"""The recipe of a face detector: what it is made of and learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mien.core.schema import from_mapping, to_mapping
from mien.training.recipe import Optimiser, overridden, read_yaml, write_yaml

RECIPE_FILE = "recipe.yaml"
"""Name of the recipe in a run's folder."""


@dataclass(frozen=True, slots=True)
class FaceDetectorRecipe:
    """Everything that decides what a face detector's training computes.

    Attributes:
        kind: sets it apart from the recipe of an expression network.
        name: of the detector that comes out.
        portraits: folder of pictures with one face each, within the data folder.
        crops: a dataset of face crops (:data:`mien.data.load.NAMES`), of which the training split is used; None for
            portraits alone.
        backgrounds: folder of pictures without a face, within the data folder.
        width: channels at the three scales.
        stem: channels of the first convolution.
        turn: faces are turned by up to so many degrees either way.
        side: of a scene, pixels, a multiple of 32.
        large_every: each so-manieth step sees scenes of twice the side, a quarter as many: large faces need room.
        steps: updates of the weights.
        batch: scenes a step.
        mine: shares of the steps after which hard negatives are looked for.
        optimiser: see :class:`~mien.training.recipe.Optimiser`.
        averaging: decay of the exponential average of the weights, which is what is kept.
        validation: scenes of the validation split that are looked at now and then; a fifth are of twice the side.
        seed: of weights and scenes.
        summary: one sentence for the manifest.
        licence: of the weights.
    """

    kind: Literal["face-detector"]
    name: str
    portraits: str
    backgrounds: str
    crops: str | None = None
    width: int = 64
    stem: int = 16
    turn: float = 45.0
    side: int = 256
    large_every: int = 5
    steps: int = 12_000
    batch: int = 16
    mine: tuple[float, ...] = (0.5,)
    optimiser: Optimiser = field(default_factory=Optimiser)
    averaging: float = 0.999
    validation: int = 300
    seed: int = 0
    summary: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name must be a bare file name, got '{self.name}'")
        if self.side < 64 or self.side % 32:
            raise ValueError(f"side must be a multiple of 32, and 64 or more, got {self.side}")
        if self.batch < 4 or self.steps < 1 or self.large_every < 1:
            raise ValueError("batch must be 4 or more, steps and large_every 1 or more")
        if self.validation < 10:
            raise ValueError(f"validation must be 10 scenes or more, got {self.validation}")
        if self.width < 2 or self.width % 2 or self.stem < 1:
            raise ValueError("width must be an even number from 2 on, stem 1 or more")
        if not 0 <= self.turn <= 180 or not 0 < self.averaging < 1:
            raise ValueError("turn must be 0 to 180 degrees, averaging within 0 to 1")
        if not all(0 < share < 1 for share in self.mine):
            raise ValueError("mine must be shares within 0 to 1")

    @classmethod
    def read(cls, path: Path) -> FaceDetectorRecipe:
        """Read a recipe file.

        Raises:
            ConfigError: it is missing, not YAML, or has a wrong key or value; a misspelt key names the nearest.
        """
        return from_mapping(cls, read_yaml(path), str(path))

    @staticmethod
    def describes(path: Path) -> bool:
        """Whether a file is the recipe of a face detector.

        Raises:
            ConfigError: it is missing or not YAML.
        """
        content = read_yaml(path)
        return isinstance(content, dict) and content.get("kind") == "face-detector"

    def override(self, settings: dict[str, Any]) -> FaceDetectorRecipe:
        """The recipe with some dotted keys changed, such as ``{"optimiser.rate": 0.01}``.

        Raises:
            ConfigError: a key or value is wrong.
        """
        return overridden(self, settings)

    def write(self, path: Path) -> None:
        """Write it as YAML with every value, defaults too."""
        write_yaml(to_mapping(self), path)
