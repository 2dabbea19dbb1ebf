"""From a trained network to an ONNX file and its manifest, checked against torch on real faces."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from mien.core.errors import ModelError
from mien.core.expression import Expression
from mien.core.manifest import Head, Manifest, sha256
from mien.core.predictor import Floats, softmax
from mien.core.preprocess import Image
from mien.data.base import Dataset
from mien.evaluation.calibration import calibrate
from mien.models.head import FEATURES, logits_of, with_features
from mien.models.network import TorchPredictor

COVERAGE = 0.9
TOLERANCE = 1e-4
"""Largest difference of any probability between torch and ONNX Runtime that an export may have."""

_PARITY_ROWS = 512


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a manifest says of a model beyond its numbers.

    Attributes:
        network: its name in the registry.
        summary: one sentence.
        trained_on: datasets and splits that fitted it and chose it.
        data_licence: what the training data allows.
        weights_licence: what may be done with the weights.
        paper: source of the architecture.
        recipe: name of the recipe.
        seed: of the run.
        commit: of mien.
        shown: what an answer comes from, where it is more than one look at the crop.
    """

    network: str
    summary: str
    trained_on: str
    data_licence: str
    weights_licence: str
    paper: str | None = None
    recipe: str | None = None
    seed: int | None = None
    commit: str | None = None
    shown: str | None = None


def export(predictor: TorchPredictor, calibration: Dataset, folder: Path, provenance: Provenance) -> Manifest:
    """Write ``folder/NAME.onnx`` and ``folder/NAME.json``.

    Temperature, conformal thresholds and energy threshold are fitted on ``calibration``, which must be rows that did
    not fit the weights. The graph is compared with torch on its first 512 crops before the manifest is written. A
    network that ends in a global pool and affine layers keeps its last feature map as the second output ``features``,
    for class activation maps.

    Raises:
        ModelError: a probability differs from torch's by more than :data:`TOLERANCE`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{predictor.name}.onnx"
    part = folder / f"{predictor.name}.onnx.part"
    model, head = with_features(to_onnx(predictor))
    onnx.save(model, part)
    _check_parity(predictor, part, calibration.images[:_PARITY_ROWS], head)
    labels = predictor.labels
    neutral = labels.index(Expression.NEUTRAL) if Expression.NEUTRAL in labels else None
    logits = predictor.logits(calibration.images)
    fitted = calibrate(logits, calibration.indices, coverage=COVERAGE, neutral=neutral)
    part.replace(path)
    manifest = Manifest(
        name=predictor.name,
        summary=provenance.summary,
        network=provenance.network,
        file=path.name,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        input=predictor.input,
        labels=labels,
        parameters=predictor.parameters,
        trained_on=provenance.trained_on,
        data_licence=provenance.data_licence,
        weights_licence=provenance.weights_licence,
        temperature=fitted.temperature,
        conformal_thresholds=fitted.conformal_thresholds,
        coverage=COVERAGE,
        energy_threshold=fitted.energy_threshold,
        recipe=provenance.recipe,
        seed=provenance.seed,
        paper=provenance.paper,
        commit=provenance.commit,
        shown=provenance.shown,
        head=head,
        neutral_profile=fitted.neutral_profile,
    )
    manifest.write(folder / f"{predictor.name}.json")
    return manifest


def to_onnx(predictor: TorchPredictor) -> onnx.ModelProto:
    """The graph from ``crops``, uint8 ``(n, *input.shape)``, to ``logits``, float32 ``(n, K)``; n is free."""
    crops = torch.zeros(2, *predictor.input.shape, dtype=torch.uint8)
    graph = predictor.graph.to("cpu")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it lists torchvision's operators as missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            graph,
            (crops,),
            input_names=["crops"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ModelError(f"torch could not export the network of '{predictor.name}' to ONNX")
    model = program.model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.initializer, *model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    model.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    onnx.checker.check_model(model, full_check=True)
    return model


def _check_parity(predictor: TorchPredictor, path: Path, crops: Image, head: Head | None) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    logits: Floats = session.run(["logits"], {"crops": crops})[0]
    worst = float(np.abs(softmax(logits) - softmax(predictor.logits(crops))).max(initial=0.0))
    if worst > TOLERANCE:
        raise ModelError(
            f"{path}: a probability differs by {worst:.2g} between torch and ONNX Runtime, more than {TOLERANCE:g}; "
            "the network holds an operation that exports differently"
        )
    if head is not None:
        folded = logits_of(session.run([FEATURES], {"crops": crops})[0], head)
        worst = float(np.abs(softmax(folded) - softmax(logits)).max(initial=0.0))
        if worst > TOLERANCE:
            raise ModelError(f"{path}: its feature map and folded head give probabilities that differ by {worst:.2g}")
