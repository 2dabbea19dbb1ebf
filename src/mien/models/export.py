"""From a trained network to an ONNX file and its manifest, checked against torch on real faces."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from mien.core.errors import ModelError
from mien.core.expression import Expression
from mien.core.fitted import Fitted
from mien.core.manifest import Head, Manifest, sha256
from mien.core.predictor import Floats, Views, softmax
from mien.core.preprocess import Image
from mien.data.base import Dataset
from mien.evaluation.calibration import calibrate
from mien.models.head import FEATURES, logits_of, run_graph, with_features
from mien.models.network import TorchPredictor
from mien.models.quantise import quantise

COVERAGE = 0.9
TOLERANCE = 1e-4
"""Largest difference of any probability between torch and ONNX Runtime that an export may have."""

AGREEMENT = 0.95
"""Share of rows that a network in eight bits must read as its float32 self does."""

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
        views: what of a crop an answer is averaged over.
        fitted: the rows of ``trained_on``, as the manifest keeps them.
        fitted_before: the rows that fitted what it started from and its teachers.
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
    views: Views = "one"
    fitted: Fitted | None = None
    fitted_before: tuple[Fitted, ...] = ()


def export(
    predictor: TorchPredictor,
    calibration: Dataset,
    folder: Path,
    provenance: Provenance,
    *,
    ranges: Image | None = None,
) -> Manifest:
    """Write ``folder/NAME.onnx`` and ``folder/NAME.json``.

    Temperature, conformal thresholds and energy threshold are fitted on ``calibration``, which must be rows that did
    not fit the weights. The graph is compared with torch on its first 512 crops before the manifest is written. A
    network that ends in a global pool and affine layers keeps its last feature map as the second output ``features``,
    for class activation maps.

    Args:
        predictor: the network.
        calibration: rows with truth that did not fit the weights.
        folder: where to.
        provenance: what the manifest says of it.
        ranges: crops that fitted the weights, from which an export in eight bits takes its ranges
            (:func:`mien.models.quantise.quantise`); None exports float32. What is calibrated is what is exported.

    Raises:
        ModelError: a probability differs from torch's by more than :data:`TOLERANCE`, or eight bits change the answer
            to more than one face in twenty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{predictor.name}.onnx"
    part = folder / f"{predictor.name}.onnx.part"
    model, head = with_features(to_onnx(predictor))
    _check_parity(predictor, model, calibration.images[:_PARITY_ROWS], head)
    labels = predictor.labels
    neutral = labels.index(Expression.NEUTRAL) if Expression.NEUTRAL in labels else None
    logits = predictor.logits(calibration.images)
    if ranges is not None:
        model = quantise(model, ranges)
        logits = _agreeing(predictor.name, model, calibration.images, logits)
    onnx.save(model, part)
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
        precision="fp32" if ranges is None else "int8",
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
        views=provenance.views,
        head=head,
        neutral_profile=fitted.neutral_profile,
        fitted=provenance.fitted,
        fitted_before=provenance.fitted_before or None,
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


def _check_parity(predictor: TorchPredictor, model: onnx.ModelProto, crops: Image, head: Head | None) -> None:
    logits = run_graph(model, crops)
    worst = float(np.abs(softmax(logits) - softmax(predictor.logits(crops))).max(initial=0.0))
    if worst > TOLERANCE:
        raise ModelError(
            f"{predictor.name}: a probability differs by {worst:.2g} between torch and ONNX Runtime, more than "
            f"{TOLERANCE:g}; the network holds an operation that exports differently"
        )
    if head is not None:
        folded = logits_of(run_graph(model, crops, FEATURES), head)
        worst = float(np.abs(softmax(folded) - softmax(logits)).max(initial=0.0))
        if worst > TOLERANCE:
            raise ModelError(
                f"{predictor.name}: its feature map and folded head give probabilities that differ by {worst:.2g}"
            )


def _agreeing(name: str, model: onnx.ModelProto, crops: Image, logits: Floats) -> Floats:
    """The logits of a graph in eight bits, which must mostly name the expressions that ``logits`` name."""
    answers = run_graph(model, crops)
    same = float((answers.argmax(1) == logits.argmax(1)).mean())
    if same < AGREEMENT:
        raise ModelError(
            f"{name}: in eight bits it reads {same:.1%} of {len(crops):,} faces as in float32, less than "
            f"{AGREEMENT:.0%}: export it without --int8"
        )
    return answers
