"""From face crops to readings, on one thread: ONNX Runtime against torch eager on the same network.

    python benchmarks/crops.py [MODEL ...]

A MODEL is a bundled name, a path, or the name of a network, which is then exported with fresh weights: how fast it is
does not depend on what it has learnt.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

import harness
from mien.core.errors import UnknownModelError
from mien.core.expression import FER2013
from mien.core.manifest import Manifest, sha256
from mien.core.preprocess import Image
from mien.models.export import to_onnx
from mien.models.network import TorchPredictor
from mien.models.registry import build, network
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.library import open_model

BATCHES = (1, 8, 64)
GOAL = 2000
"""Faces a second from crop to reading at batch 8, of the network ``resezap``."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["resezap", "tiny", "small", "base"], metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=200, help="timed calls for each batch size and contender")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for crops.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for name in options.models for row in measure(name, options.rounds)]
    harness.write("crops", {"threads": 1, "rounds": options.rounds, "goal": GOAL, "rows": rows}, folder=options.out)


def measure(model: str, rounds: int) -> list[dict[str, Any]]:
    """One row for each batch size; the contenders take turns, so that all of them see the same machine."""
    with tempfile.TemporaryDirectory() as folder:
        classifier, eager = opened(model, Path(folder))
        return [_measure(classifier, eager, batch, rounds) for batch in BATCHES]


def _measure(classifier: OnnxClassifier, eager: TorchPredictor, batch: int, rounds: int) -> dict[str, Any]:
    shape = (batch, *classifier.input.shape)
    crops: Image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    contenders: dict[str, Callable[[], object]] = {
        "crop_to_reading": lambda: classifier.read(crops),
        "network_onnx": lambda: classifier.logits(crops),
        "network_torch_eager": lambda: eager.logits(crops),
    }
    for work in contenders.values():
        for _ in range(max(rounds // 10, 3)):
            work()
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            samples[name].append(1000 * harness.seconds(work))
    milliseconds = {name: harness.percentiles(values) for name, values in samples.items()}
    return {
        "model": classifier.name,
        "network": classifier.manifest.network,
        "parameters": classifier.parameters,
        "batch": batch,
        "milliseconds": milliseconds,
        "faces_per_second": 1000 * batch / milliseconds["crop_to_reading"]["p50"],
        "speed_over_torch_eager": milliseconds["network_torch_eager"]["p50"] / milliseconds["network_onnx"]["p50"],
    }


def opened(model: str, folder: Path) -> tuple[OnnxClassifier, TorchPredictor]:
    """The model in ONNX Runtime, and its network with fresh weights in torch."""
    try:
        classifier = open_model(model)
    except UnknownModelError:
        eager = _fresh(model)
        return _export(eager, folder), eager
    return classifier, _fresh(classifier.manifest.network, len(classifier.labels))


def _fresh(name: str, classes: int = len(FER2013)) -> TorchPredictor:
    torch.manual_seed(0)
    return TorchPredictor(build(name, classes), network(name).input, FER2013[:classes], name=name)


def _export(eager: TorchPredictor, folder: Path) -> OnnxClassifier:
    path = folder / f"{eager.name}.onnx"
    onnx.save(to_onnx(eager), path)
    manifest = Manifest(
        name=eager.name,
        summary="Fresh weights, for timing only.",
        network=eager.name,
        file=path.name,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        input=eager.input,
        labels=eager.labels,
        parameters=eager.parameters,
        trained_on="nothing",
        data_licence="none",
        weights_licence="Apache-2.0",
        temperature=1.0,
        conformal_thresholds=(0.1,) * len(eager.labels),
        coverage=0.9,
        energy_threshold=0.0,
    )
    return OnnxClassifier(manifest, folder)


if __name__ == "__main__":
    main()
