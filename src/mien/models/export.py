"""The one exporter: a fitted model becomes an ONNX file and its manifest, checked against what was fitted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from mien.core.anchors import STRIDES
from mien.core.errors import ModelError
from mien.core.expression import Expression
from mien.core.files import replacing
from mien.core.fitted import Fitted
from mien.core.manifest import FaceDetectorManifest, FaceGateManifest, Head, Manifest, OnnxManifest, sha256
from mien.core.predictor import Floats, Predictor, Views, softmax
from mien.core.preprocess import Image
from mien.data.dataset import Dataset
from mien.evaluation.calibration import calibrate
from mien.models.face_detector import FaceDetectorNetwork, answering_in_half
from mien.models.head import FEATURES, logits_of, run_graph, with_features
from mien.models.network import TorchPredictor
from mien.models.quantise import quantise, stored_in_half

COVERAGE = 0.9
FACES_KEPT = 0.99
"""Share of faces that lie at a face gate's threshold or above: as many as the energy threshold keeps."""

TOLERANCE = 1e-4
"""Largest difference of any probability between what was fitted and its graph in ONNX Runtime."""

LOGIT_TOLERANCE = 1e-3
"""The same for a network with one logit, whose probability would always be 1."""

PLACE_TOLERANCE = 1e-3
"""Largest difference of a face detector's boxes and landmarks, in strides."""

AGREEMENT = 0.95
"""Share of rows that a network in eight bits must read as its float32 self does."""

_PARITY_ROWS = 512

M = TypeVar("M", bound=OnnxManifest)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a manifest says of a model beyond its numbers.

    Attributes:
        network: its name in the registry, or of the file that gives the features.
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
    """Write a torch network as ``folder/NAME.onnx`` and ``folder/NAME.json``; see :func:`export_graph`.

    A network that ends in a global pool and affine layers keeps its last feature map as the second output ``features``,
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
    graph, head = with_features(to_onnx(predictor))
    return export_graph(graph, predictor, calibration, folder, provenance, head=head, ranges=ranges)


def export_graph(
    graph: onnx.ModelProto,
    fitted: Predictor,
    calibration: Dataset,
    folder: Path,
    provenance: Provenance,
    *,
    head: Head | None = None,
    ranges: Image | None = None,
) -> Manifest:
    """Write a graph that answers as ``fitted`` does, and its manifest, under the name of ``fitted``.

    Temperature, conformal thresholds and energy threshold are fitted on ``calibration``, which must be rows that did
    not fit the weights.

    Args:
        graph: from ``crops`` to ``logits``.
        fitted: what was fitted, with which the graph is compared.
        calibration: rows with truth that did not fit the weights.
        folder: where to.
        provenance: what the manifest says of it.
        head: from the graph's second output ``features`` to the logits, if it has one.
        ranges: see :func:`export`.

    Raises:
        ModelError: see :func:`export`.
    """
    labels = fitted.labels
    neutral = labels.index(Expression.NEUTRAL) if Expression.NEUTRAL in labels else None
    logits = fitted.logits(calibration.images)
    _check_parity(fitted.name, graph, calibration.images, logits, head)
    if ranges is not None:
        graph = quantise(graph, ranges)
        logits = _agreeing(fitted.name, graph, calibration.images, logits)
    found = calibrate(logits, calibration.indices, coverage=COVERAGE, neutral=neutral)
    return _write(
        graph,
        folder,
        fitted.name,
        Manifest,
        input=fitted.input,
        labels=labels,
        parameters=fitted.parameters,
        precision="fp32" if ranges is None else "int8",
        temperature=found.temperature,
        conformal_thresholds=found.conformal_thresholds,
        coverage=COVERAGE,
        energy_threshold=found.energy_threshold,
        head=head,
        neutral_profile=found.neutral_profile,
        fitted_before=provenance.fitted_before or None,
        **_said(provenance, "recipe", "views", "fitted"),
    )


def export_face_gate(predictor: TorchPredictor, faces: Image, folder: Path, provenance: Provenance) -> FaceGateManifest:
    """Write a face gate, a network with one logit, as ``folder/NAME.onnx`` and ``folder/NAME.json``.

    The threshold keeps :data:`FACES_KEPT` of ``faces``, crops that did not fit the weights.

    Raises:
        ModelError: a logit differs from torch's by more than :data:`LOGIT_TOLERANCE`.
    """
    graph, logits = to_onnx(predictor), predictor.logits(faces)
    _check_parity(predictor.name, graph, faces, logits)
    threshold = float(np.quantile(logits, 1 - FACES_KEPT))
    return _write(
        graph,
        folder,
        predictor.name,
        FaceGateManifest,
        kind="gate",
        input=predictor.input,
        parameters=predictor.parameters,
        threshold=threshold,
        faces_kept=float((logits >= threshold).mean()),
        **_said(provenance),
    )


def export_face_detector(
    network: FaceDetectorNetwork,
    pictures: Sequence[Image],
    folder: Path,
    name: str,
    provenance: Provenance,
    *,
    min_score: float,
    sure: float,
) -> FaceDetectorManifest:
    """Write a face detector as ``folder/NAME.onnx`` and ``folder/NAME.json``.

    Its graph takes one RGB picture as uint8 ``(1, height, width, 3)``, sides multiples of 32, and gives ``(1, anchors,
    15)``: the score, 0 to 1, and what :func:`mien.core.anchors.detections` takes. Weights are stored in 16 bits and
    computed with in 32; what they are compared with has the same rounded weights.

    Args:
        network: what was trained.
        pictures: for the comparison with torch, RGB, sides multiples of 32.
        folder: where to.
        name: what users call it.
        provenance: what the manifest says of it.
        min_score: detections below it are dropped.
        sure: score that most upright faces reach, and hardly anything else.

    Raises:
        ModelError: a score differs from torch's by more than :data:`TOLERANCE`, or a box or landmark by more than
            :data:`PLACE_TOLERANCE`.
    """
    answering = answering_in_half(network)
    rows, columns = (STRIDES[-1] * torch.export.Dim(side, min=1, max=4096) for side in ("rows", "columns"))
    example = torch.zeros(1, 2 * STRIDES[-1], 3 * STRIDES[-1], 3, dtype=torch.uint8)
    graph = stored_in_half(traced(answering, example, "picture", "faces", {1: rows, 2: columns}, called=name))
    for picture in pictures:
        with torch.inference_mode():
            expected = answering(torch.from_numpy(np.ascontiguousarray(picture))[None]).numpy()
        apart = np.abs(run_graph(graph, picture[None], "faces") - expected)
        if not (apart[..., 0].max() <= TOLERANCE and apart[..., 1:].max() <= PLACE_TOLERANCE):
            raise ModelError(
                f"{name}: scores differ by {apart[..., 0].max():.2g} and places by {apart[..., 1:].max():.2g} strides "
                "between what was trained and its graph in ONNX Runtime"
            )
    return _write(
        graph,
        folder,
        name,
        FaceDetectorManifest,
        kind="detector",
        parameters=sum(values.numel() for values in answering.parameters()),
        min_score=min_score,
        sure=sure,
        **_said(provenance, "recipe"),
    )


def _said(provenance: Provenance, *more: str) -> dict[str, Any]:
    """What both kinds of manifest repeat, and ``more`` that one of them does."""
    names = ("network", "summary", "trained_on", "data_licence", "weights_licence", "paper", "seed", "commit", *more)
    return {name: getattr(provenance, name) for name in names}


def _write(graph: onnx.ModelProto, folder: Path, name: str, describe: Callable[..., M], **facts: Any) -> M:
    """The ONNX file, whole or not at all, then the manifest beside it."""
    onnx.checker.check_model(graph)
    path = folder / f"{name}.onnx"
    with replacing(path) as part:
        onnx.save(graph, part)
    manifest = describe(name=name, file=path.name, sha256=sha256(path), bytes=path.stat().st_size, **facts)
    manifest.write(folder / f"{name}.json")
    return manifest


def to_onnx(predictor: TorchPredictor) -> onnx.ModelProto:
    """The graph from ``crops``, uint8 ``(n, *input.shape)``, to ``logits``, float32 ``(n, K)``; n is free."""
    crops = torch.zeros(2, *predictor.input.shape, dtype=torch.uint8)
    return traced(
        predictor.graph.to("cpu"), crops, "crops", "logits", {0: torch.export.Dim("n", min=1)}, called=predictor.name
    )


def traced(
    graph: nn.Module, example: Tensor, takes: str, gives: str, free: dict[int, Any], *, called: str
) -> onnx.ModelProto:
    """The ONNX graph of a module with one input and one output.

    Args:
        graph: the module.
        example: an input.
        takes: name of the input.
        gives: name of the output.
        free: axes of the input whose length is free, and what torch calls them.
        called: name of the network, for messages.

    Raises:
        ModelError: torch cannot export it.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it lists torchvision's operators as missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=[takes],
            output_names=[gives],
            dynamic_shapes=(free,),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ModelError(f"torch could not export the network of '{called}' to ONNX")
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


def _check_parity(name: str, graph: onnx.ModelProto, crops: Image, expected: Floats, head: Head | None = None) -> None:
    """Refuse a graph that answers otherwise than what was fitted, on the first rows."""
    crops, expected = crops[:_PARITY_ROWS], expected[:_PARITY_ROWS]
    logits = run_graph(graph, crops)
    alone = expected.shape[1] == 1
    worst, limit = (_apart(logits, expected), LOGIT_TOLERANCE) if alone else (_differ(logits, expected), TOLERANCE)
    if not worst <= limit:  # not a number is no agreement
        raise ModelError(
            f"{name}: a {'logit' if alone else 'probability'} differs by {worst:.2g} between what was fitted and its "
            f"graph in ONNX Runtime, more than {limit:g}; the network holds an operation that exports differently"
        )
    if head is not None:
        worst = _differ(logits_of(run_graph(graph, crops, FEATURES), head), logits)
        if not worst <= TOLERANCE:
            raise ModelError(f"{name}: its feature map and folded head give probabilities that differ by {worst:.2g}")


def _differ(one: Floats, other: Floats) -> float:
    """Largest difference of any probability."""
    return _apart(softmax(one), softmax(other))


def _apart(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).max(initial=0.0))


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
