"""From a run's folder to a predictor, and to the ONNX file and manifest that ship."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file

from mien.core.errors import TrainingError
from mien.core.expression import Labels
from mien.core.manifest import Manifest
from mien.core.predictor import VIEW_WORDS, Views
from mien.core.preprocess import InputSpec
from mien.data.dataset import spread
from mien.models.averaged_views import Averaged
from mien.models.export import Provenance, export
from mien.models.network import TorchPredictor
from mien.models.quantise import ROWS
from mien.models.registry import network
from mien.training.recipe_data import load_splits
from mien.training.run import WEIGHTS, Run
from mien.training.transfer import assemble

LARGEST_CHUNK = 256
"""Crops that go through a run's network together at most, and four times its training batch, which fitted."""


class AveragedRun(TorchPredictor):
    """A run whose recipe averages views: it says so in the protocol of its results."""

    def __init__(self, body: Averaged, spec: InputSpec, labels: Labels, *, name: str, views: Views, chunk: int) -> None:
        """Wrap ``body``, which averages over ``views``."""
        super().__init__(body, spec, labels, name=name, chunk=chunk)
        self.views = views
        self.members = 1
        self.shown = VIEW_WORDS[views]


def open_run(folder: Path, *, name: str | None = None) -> TorchPredictor:
    """The kept weights of a run as a predictor, called ``name`` or as its recipe.

    Raises:
        TrainingError: there is no run, it has not completed an epoch, or its weights do not fit its network.
    """
    run = Run.read(folder)
    _ = run.best
    body = assemble(run.recipe, len(run.labels), run.input)
    path = folder / WEIGHTS
    try:
        body.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise TrainingError(f"{path} is missing: train the recipe again into another folder") from None
    except Exception as error:  # safetensors and torch raise their own kinds for a damaged or foreign file
        raise TrainingError(f"{path} does not hold weights of '{run.recipe.network}': {error}") from error
    views, chunk = run.recipe.views, min(LARGEST_CHUNK, 4 * run.recipe.batch)
    name = name or run.recipe.name
    if views == "one":
        predictor = TorchPredictor(body, run.input, run.labels, name=name, chunk=chunk)
    else:
        averaged = Averaged(body, views)
        predictor = AveragedRun(averaged, run.input, run.labels, name=name, views=views, chunk=chunk)
    predictor.recipe, predictor.seed = run.recipe.name, run.recipe.seed
    predictor.seen = run.seen
    return predictor


def export_run(
    folder: Path, out: Path, *, name: str | None = None, root: Path | None = None, int8: bool = False
) -> Manifest:
    """Export a run's kept weights to ``out/NAME.onnx`` and ``out/NAME.json``, calibrated on its validation split.

    In eight bits (``int8``) the ranges are those of rows that fitted the weights, evenly drawn.

    Raises:
        TrainingError: see :func:`open_run`; or the rows that chose its epoch are not there as they were.
        DatasetError: the validation split is missing.
        ModelError: the graph does not compute what torch computes, or eight bits are too few for it.
    """
    run = Run.read(folder)
    predictor = open_run(folder, name=name)
    recipe = replace(run.recipe, data=replace(run.recipe.data, limit=None))
    fitted, validation = load_splits(recipe, run.input, root)
    if validation.identity != run.data[1]:
        raise TrainingError(
            f"{folder}: its recipe finds other rows in {validation.name} now than chose its epoch, and some may have "
            "fitted it: put the pictures and labels back, or train anew"
        )
    ranges = fitted.images[spread(len(fitted), ROWS)] if int8 else None
    return export(predictor, validation, out, provenance_of(run, fitted.name), ranges=ranges)


def provenance_of(run: Run, dataset: str) -> Provenance:
    """What the manifest of a run's export says of it; ``dataset`` is what its rows are called where they are loaded."""
    recipe, data = run.recipe, run.recipe.data
    return Provenance(
        network=recipe.network,
        summary=recipe.summary or network(recipe.network).summary,
        trained_on=f"{dataset}: fitted on {run.rows:,} rows of {data.train}, "
        f"chosen on {run.validation_rows:,} of {data.validation}{beside_labels(run)}",
        data_licence=run.data_licence,
        weights_licence=recipe.licence or "as the training data allows",
        paper=network(recipe.network).paper,
        recipe=recipe.name,
        seed=recipe.seed,
        commit=run.commit,
        views=recipe.views,
        fitted=replace(run.fitted, dataset=dataset),
        fitted_before=run.fitted_before,
    )


def beside_labels(run: Run) -> str:
    """What went into a run beside its dataset's labels, in words for its manifest."""
    recipe, parts = run.recipe, []
    if recipe.data.folds is not None:
        parts.append(recipe.data.folds.describe())
    if run.weights is not None:
        weights = f"{run.weights.source} (sha256 {run.weights.sha256[:12]})"
        learnt = f", trained on {run.weights.trained_on}" if run.weights.trained_on else ""
        parts.append(f"started from {weights}{learnt}, transfer mode {recipe.transfer.mode}")
    if recipe.augment.degrade:
        parts.append(f"{recipe.augment.degrade:.0%} of the pictures it saw made darker, blurred or noisy")
    if recipe.votes is not None:
        read = ", read as FER2013's labels," if recipe.votes_as == "labels" else ""
        parts.append(f"extra labels: crowd votes of FER+{read} are {recipe.votes:.0%} of the targets")
    if recipe.distil is not None:
        runs = "another model" if len(run.teachers) == 1 else f"{len(run.teachers)} other models"
        parts.append(f"learnt from {runs} ({', '.join(Path(t).name for t in recipe.distil.teachers)})")
    return "".join(f"; {part}" for part in parts)
