"""What a reproduction may use, a cell's recipe with it, and what decides a cell's figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from mien.core.errors import ConfigError, nearest
from mien.core.manifest import Manifest
from mien.core.places import BUNDLED
from mien.core.schema import to_mapping
from mien.data.found_faces import Finder
from mien.models.backbones import SOURCES
from mien.models.weights import PREPROCESSING
from mien.studies.paper_cells import PaperCell
from mien.training.recipe import Recipe, Weights

_FORMAT = 2
"""Of signatures: another one where a default changes, and with it what recipes that leave it out amount to."""

QUICK_EPOCHS = 2


def recipes_folder() -> Path:
    """Where the recipes are: within an installed package, or beside ``src`` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parents[1] / "recipes"


@dataclass(frozen=True, slots=True)
class GivenWeights:
    """Pretrained weights that the user has.

    Attributes:
        source: ``imagenet`` for torchvision's own download, or a file.
        preprocessing: how a file's pictures were prepared; None as the recipe or torchvision has it.
    """

    source: str
    preprocessing: str | None = None


@dataclass(frozen=True)
class StudyOptions:
    """What a reproduction may use, beside what its runner has.

    Attributes:
        detector: finds the faces of datasets of whole pictures; None takes those that were found before.
        weights: pretrained weights by the network's name.
        known: files of figures that were measured before: ledgers, and results of ``mien occlusion study``.
        quick: a few epochs on a few rows.
        epochs: no network is trained for more; None for what its recipe asks.
        seed: of the parts and the bootstrap; weights have their recipe's.
        recipes: folder of the recipe files.
    """

    detector: Finder | None = None
    weights: Mapping[str, GivenWeights] = field(default_factory=dict)
    known: tuple[Path, ...] = ()
    quick: bool = False
    epochs: int | None = None
    seed: int = 0
    recipes: Path = field(default_factory=recipes_folder)

    def recipe(self, cell: PaperCell) -> Recipe | None:
        """A cell's recipe as its file and its changes say, before weights are looked for; None where it has none.

        Raises:
            ConfigError: a key or value of it is wrong.
        """
        if cell.recipe is None:
            return None
        recipe = Recipe.read(self.recipes / f"{cell.recipe}.yaml")
        return recipe.override(dict(cell.change)) if cell.change else recipe

    def pretraining(self, cell: PaperCell) -> Recipe | None:
        """The recipe that is trained before the cell's own, if there is one.

        Raises:
            ConfigError: a key or value of it is wrong.
        """
        return None if cell.pretraining is None else Recipe.read(self.recipes / f"{cell.pretraining}.yaml")

    def shortened(self, recipe: Recipe) -> Recipe:
        """The recipe as it is trained here: no longer than is allowed, and for ``quick`` in small batches."""
        if self.quick:
            recipe = replace(
                recipe, epochs=min(recipe.epochs, QUICK_EPOCHS), batch=min(recipe.batch, 32), patience=None
            )
        return recipe if self.epochs is None else replace(recipe, epochs=min(recipe.epochs, self.epochs))

    def with_weights(self, recipe: Recipe, cell: PaperCell) -> Recipe | None:
        """The recipe with the weights that are at hand, or None where it wants some that are not."""
        wanted = recipe.weights
        if not wants_weights(recipe, cell):
            return recipe
        given = self.weights.get(recipe.network)
        if given is None:
            return recipe if Path(wanted.source).expanduser().is_file() else None
        if given.source == "imagenet":
            return replace(recipe, weights=Weights("imagenet"))
        own = given.preprocessing or wanted.preprocessing
        if own is None:
            own = SOURCES[recipe.network].preprocessing
        mode = cast(Literal["own", "torch", "tf", "caffe"], own)
        # a file that the recipe does not name has another sha256
        same = Path(given.source).name == Path(wanted.source).name
        return replace(recipe, weights=Weights(given.source, mode, wanted.sha256 if same else None))

    def signature(self, cell: PaperCell) -> str:
        """What decides a cell's figures here, see :func:`signature`."""
        return signature(cell, self.recipe(cell), self.pretraining(cell), seed=self.seed, quick=self.quick)


def signature(
    cell: PaperCell,
    recipe: Recipe | None,
    pretraining: Recipe | None = None,
    *,
    seed: int,
    quick: bool,
    bundled: Path = BUNDLED,
) -> str:
    """What decides a cell's figures, as 16 hexadecimal digits.

    Names, sentences and keys that have their default do not count: a new key of recipes leaves what was measured.

    Args:
        cell: whose figures.
        recipe: of the cell, before weights are looked for.
        pretraining: the recipe that is trained before it.
        seed: of the parts and the bootstrap.
        quick: whether it is a few epochs on a few rows.
        bundled: where the bundled models are; other weights give other figures.
    """
    parts: list[Any] = [
        _FORMAT,
        {} if recipe is None else _what_counts(recipe),
        to_mapping(cell.protocol, defaults=False),
        cell.start,
        cell.run_of,
        cell.bundled,
        cell.condition,
    ]
    shipped = cell.bundled or (recipe.network if recipe is not None and cell.start == "bundled" else "")
    if shipped:
        parts.append(Manifest.read(bundled / f"{shipped}.json").sha256)
    if cell.start == "bundled":
        parts.append("norms restored")  # before, runs began without the scales of the norms
    if pretraining is not None:
        parts.append(_what_counts(pretraining))
    return hashlib.sha256(json.dumps([*parts, seed, quick], sort_keys=True).encode()).hexdigest()[:16]


def parse_weights(text: str) -> tuple[str, GivenWeights]:
    """Read ``NETWORK=imagenet``, ``NETWORK=FILE`` or ``NETWORK=FILE:MODE``, such as ``vgg16=vgg16.pth:torch``.

    Raises:
        ConfigError: another form, a network without pretrained weights, or no such file.
    """
    network, separator, source = text.partition("=")
    if not separator or not source:
        raise ConfigError(f"--weights {text}: expected NETWORK=imagenet, NETWORK=FILE or NETWORK=FILE:MODE")
    if network not in SOURCES:
        raise ConfigError(f"--weights {text}: unknown network '{network}': {nearest(network, SOURCES)}")
    if source == "imagenet":
        return network, GivenWeights(source)
    file, _, mode = source.rpartition(":")
    given = GivenWeights(file, mode) if file and mode in (*PREPROCESSING, "own") else GivenWeights(source)
    if not Path(given.source).expanduser().is_file():
        raise ConfigError(
            f"--weights {text}: there is no file {given.source}; MODE is one of own, {', '.join(PREPROCESSING)}"
        )
    return network, given


def wants_weights(recipe: Recipe, cell: PaperCell) -> bool:
    """Whether the recipe starts from weights that neither mien nor the study makes."""
    return recipe.weights.source != "none" and cell.start == "recipe" and cell.pretraining is None


def _what_counts(recipe: Recipe) -> dict[str, Any]:
    content = to_mapping(recipe, defaults=False)
    return {key: value for key, value in content.items() if key not in ("name", "summary", "licence", "logger")}
