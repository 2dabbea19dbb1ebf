"""Models and datasets as the commands of the command line open them: what both chains are needed for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.detector import LazyDetector
from mien.core.model_reference import ModelReference

if TYPE_CHECKING:
    from mien.core.ensemble import Ensemble
    from mien.core.predictor import Predictor
    from mien.data.dataset import Dataset
    from mien.data.fer2013 import Counts
    from mien.data.numbered_classes import Classes
    from mien.models.network import TorchPredictor


def open_predictor(model: str | Path) -> Predictor:
    """A bundled or pulled model, an ONNX file, a run's folder, or an ensemble's file, as a predictor.

    Raises:
        MissingExtraError: it is a run, and torch is missing.
        ModelError: there is no such model, or it cannot be used.
    """
    reference = ModelReference.parse(model)
    if reference.kind == "ensemble":
        return open_ensemble(reference.path)
    if reference.kind == "run":
        try:
            from mien.training.run_as_model import open_run
        except ModuleNotFoundError as error:
            from mien.core.errors import MissingExtraError

            raise MissingExtraError(error.name or "torch", "train", "measuring a run") from None
        return open_run(reference.path)
    from mien.runtime.inference.library import open_model

    return open_model(model)


def open_ensemble(path: Path) -> Ensemble:
    """The ensemble of a file, its members opened.

    Raises:
        ModelError: the file or a member is missing, or does not fit the others.
        ConfigError: the file is damaged.
    """
    from mien.core.ensemble import SUFFIX, Ensemble, EnsembleSpec

    spec = EnsembleSpec.read(path)
    members = [open_predictor(path.parent / m if (path.parent / m).exists() else m) for m in spec.members]
    return Ensemble(members, spec, name=path.name.removesuffix(SUFFIX))


def open_in_torch(model: str) -> TorchPredictor:
    """A model in torch: a run, an exported model built anew, or a network of the registry with fresh weights.

    Raises:
        ModelError: there is no such model or network, or it cannot be built anew.
    """
    from mien.core.expression import FER2013
    from mien.models.network import TorchPredictor
    from mien.models.rebuild import open_exported
    from mien.models.registry import build, networks
    from mien.training.run_as_model import open_run

    reference = ModelReference.parse(model)
    if reference.kind == "run":
        return open_run(reference.path)
    if reference.kind == "exported" or model not in networks():
        return open_exported(model)
    print(f"'{model}' is a network without training here: its weights are fresh")
    record = networks()[model]
    return TorchPredictor(build(model), record.input, FER2013, name=f"{model}, untrained")


def load_for(
    dataset: str,
    predictor: Predictor,
    root: Path | None,
    detector: str = "auto",
    *,
    counts: Counts = "published",
    classes: Classes | None = None,
) -> Dataset:
    """A dataset cropped to what a predictor takes; the detector of that name finds the faces of whole pictures."""
    from mien.data.load import load_dataset

    finder = LazyDetector(detector)
    return load_dataset(dataset, predictor.input, root=root, counts=counts, classes=classes, detector=finder)
