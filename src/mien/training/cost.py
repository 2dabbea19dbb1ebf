"""What a network takes: its values, its multiplications, its file, and its time for one face on this machine."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from mien.core.errors import MienError, ModelError
from mien.core.expression import FER2013, LABEL_SETS, Labels
from mien.core.preprocess import InputSpec
from mien.core.provenance import describe_machine
from mien.models.averaged_views import Averaged
from mien.models.export import to_onnx
from mien.models.network import TorchPredictor
from mien.models.registry import count_multiplications, count_values
from mien.training.recipe import Recipe
from mien.training.transfer import assemble, input_of

ROUNDS = 200
"""Timed calls; a tenth as many come before them."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network takes, whatever it has learnt.

    Attributes:
        network: its name in the registry.
        trained: trained values.
        running: running means and variances.
        multiplications: of the convolutions, for one face.
        bytes: of the exported ONNX file, fp32.
        side: of the crop, pixels.
        milliseconds: median processor time for one face, from uint8 crop to logits, ONNX Runtime on one thread.
        milliseconds_p95: 95th percentile of it.
        rounds: timed calls.
        machine: what it was timed on.
        load: mean number of busy processes in the minute before.
    """

    network: str
    trained: int
    running: int
    multiplications: int
    bytes: int
    side: int
    milliseconds: float
    milliseconds_p95: float
    rounds: int
    machine: str
    load: float


def measure_cost(
    recipe: Recipe, *, labels: Labels | None = None, spec: InputSpec | None = None, rounds: int = ROUNDS
) -> Cost:
    """Count and time a recipe's network with fresh weights: how fast it is does not depend on what it has learnt.

    The time is the processor's for one face, from the uint8 crop to the logits, by ONNX Runtime on one thread: what
    else the machine does hardly changes it. Finding and cropping the face come on top. All views that the recipe
    averages count.

    Args:
        recipe: names the network, its options and its head.
        labels: the expressions; None for the recipe's, and FER2013's where it leaves them to its dataset.
        spec: what the crops are; None for what follows from the recipe.
        rounds: timed calls.

    Raises:
        ConfigError: the network cannot be built as the recipe says.
        ModelError: there is no such network, or it cannot be run on such crops, exported or timed.
        MissingExtraError: the network needs torchvision, which is not installed.
        TrainingError: the run that the recipe starts from is damaged, or of another network.
    """
    if labels is None:
        labels = FER2013 if recipe.data.labels is None else LABEL_SETS[recipe.data.labels]
    spec = spec or input_of(recipe)
    torch.manual_seed(0)
    body = assemble(recipe, len(labels), spec).eval()
    if recipe.views != "one":
        body = Averaged(body, recipe.views).eval()
    trained, running = count_values(body)
    try:
        multiplications = count_multiplications(body, spec)
        size, load, samples = _export_and_time(TorchPredictor(body, spec, labels, name=recipe.name), rounds)
    except MienError:
        raise
    except Exception as error:  # it may be anybody's network, and torch, onnx and ONNX Runtime fail in their own ways
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ModelError(f"network '{recipe.network}' cannot be run, exported and timed: {reason}") from error
    return Cost(
        network=recipe.network,
        trained=trained,
        running=running,
        multiplications=multiplications,
        bytes=size,
        side=spec.size,
        milliseconds=float(np.median(samples)),
        milliseconds_p95=float(np.quantile(samples, 0.95)),
        rounds=rounds,
        machine=describe_machine(),
        load=round(load, 1),
    )


def conditions(costs: Sequence[Cost]) -> str:
    """What times were taken on, in words: the machines, and the lowest and highest load."""
    machines = ", ".join(sorted({cost.machine for cost in costs}))
    low, high = min(cost.load for cost in costs), max(cost.load for cost in costs)
    load = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"{machines}, under a load of {load} processes"


def _export_and_time(predictor: TorchPredictor, rounds: int) -> tuple[int, float, list[float]]:
    """Bytes of the ONNX file, the load before it is timed, and the milliseconds of each call."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(to_onnx(predictor), path)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        return path.stat().st_size, load, _time(path, predictor.input.shape, rounds)


def _time(path: Path, shape: tuple[int, ...], rounds: int) -> list[float]:
    """Processor time, in milliseconds, of each of ``rounds`` calls with one crop; one thread is the calling one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    crop = {"crops": np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)}
    for _ in range(max(rounds // 10, 3)):
        session.run(["logits"], crop)
    fine = time.get_clock_info("thread_time").resolution < 1e-5  # Windows counts in steps of 16 ms
    clock = time.thread_time_ns if fine else time.perf_counter_ns
    samples = []
    for _ in range(rounds):
        begin = clock()
        session.run(["logits"], crop)
        samples.append((clock() - begin) / 1e6)
    return samples
