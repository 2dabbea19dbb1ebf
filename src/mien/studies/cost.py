"""What a network takes: its values, its multiplications, its file, and its time for one face on this machine."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from mien.core.expression import FER2013, LABEL_SETS, Labels
from mien.models.export import to_onnx
from mien.models.network import TorchPredictor
from mien.models.registry import count_multiplications, count_values
from mien.studies.record import Cost
from mien.training.recipe import Recipe
from mien.training.run import describe_machine
from mien.training.transfer import assemble, input_of

ROUNDS = 200
"""Timed calls; a tenth as many come before them."""


def measure_cost(recipe: Recipe, *, rounds: int = ROUNDS) -> Cost:
    """Count and time a recipe's network with fresh weights: how fast it is does not depend on what it has learnt.

    The time is the processor's for one face, from the uint8 crop to the logits, by ONNX Runtime on one thread: what
    else the machine does hardly changes it. Finding and cropping the face come on top.

    Raises:
        ConfigError: the network cannot be built as the recipe says.
        ModelError: it cannot be exported.
    """
    labels: Labels = FER2013 if recipe.data.labels is None else LABEL_SETS[recipe.data.labels]
    spec = input_of(recipe)
    torch.manual_seed(0)
    body = assemble(recipe, len(labels), spec).eval()
    trained, running = count_values(body)
    predictor = TorchPredictor(body, spec, labels, name=recipe.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(to_onnx(predictor), path)
        size = path.stat().st_size
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        samples = _time(path, predictor.input.shape, rounds)
    return Cost(
        network=recipe.network,
        trained=trained,
        running=running,
        multiplications=count_multiplications(body, spec),
        bytes=size,
        side=spec.size,
        milliseconds=float(np.median(samples)),
        milliseconds_p95=float(np.quantile(samples, 0.95)),
        rounds=rounds,
        machine=describe_machine(),
        load=round(load, 1),
    )


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
