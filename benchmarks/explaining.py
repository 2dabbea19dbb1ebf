"""What explaining costs: Grad-CAM beside the forward pass, a second ONNX output, and averages over thousands of faces.

    python benchmarks/explaining.py

Everything runs on one thread. Weights are fresh: how fast it is does not depend on what a network has learnt. The faces
of the averages are random pixels; a real dataset's take as long.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

import harness
from mien.core.expression import FER2013
from mien.core.predictor import Floats
from mien.core.preprocess import Image
from mien.data.dataset import Dataset, text_column
from mien.explain.average import average, paper_conditions
from mien.explain.gradcam import GradCAM
from mien.models.export import to_onnx
from mien.models.head import with_features
from mien.models.network import TorchPredictor
from mien.models.registry import build, network
from mien.runtime.inference.activation import activation_maps
from mien.training.fit import keep_memory

BATCHES = (1, 8, 64)
GOAL_RATIO, GOAL_SECONDS = 1.3, 60.0
"""Of issue 4: Grad-CAM over the forward pass of the same batch, and CPU seconds of the 7 x 4 x 1,000 panel."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="timed calls for each batch size and contender")
    parser.add_argument("--samples", type=int, default=1000, help="faces of each expression that are averaged")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for explain.json")
    parser.add_argument("--average", type=int, metavar="N", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.average is not None:
        panel(options.average)
        return
    measured = {
        "threads": 1,
        "rounds": options.rounds,
        "goals": {"gradcam_over_forward": GOAL_RATIO, "panel_cpu_seconds": GOAL_SECONDS},
        "gradcam": [gradcam("resezap", batch, options.rounds) for batch in BATCHES]
        + [gradcam("tiny", BATCHES[-1], options.rounds)],
        "second_output": [row for name in ("resezap", "tiny") for row in second_output(name, options.rounds)],
        "panel": averages(options.samples),
    }
    harness.write("explain", measured, folder=options.out)


def gradcam(name: str, batch: int, rounds: int) -> dict[str, Any]:
    """Grad-CAM and the forward pass of the same batch, in turns."""
    predictor, method, crops = fresh(name), GradCAM(), pixels(batch)
    timed = _in_turns(
        {"forward": lambda: predictor.logits(crops), "gradcam": lambda: method(predictor, crops, "happy")}, rounds
    )
    return {
        "network": name,
        "batch": batch,
        "milliseconds": {key: harness.percentiles(values) for key, values in timed.items()},
        "gradcam_over_forward": float(np.median(timed["gradcam"]) / np.median(timed["forward"])),
    }


def second_output(name: str, rounds: int) -> list[dict[str, Any]]:
    """ONNX Runtime on the graph with and without its second output, and with the maps made."""
    plain = to_onnx(fresh(name))
    edited, head = with_features(plain)
    if head is None:
        raise RuntimeError(f"{name} has no feature map")
    without, with_one, weights = _session(plain), _session(edited), head.matrix
    rows = []
    for batch in BATCHES:
        crops = pixels(batch)
        chosen = np.repeat(weights[3:4], batch, axis=0)

        def maps(crops: Image = crops, chosen: Floats = chosen) -> object:
            return activation_maps(with_one.run(["logits", "features"], {"crops": crops})[1], chosen)

        timed = _in_turns(
            {
                "without": lambda crops=crops: without.run(["logits"], {"crops": crops}),  # type: ignore[misc]
                "with": lambda crops=crops: with_one.run(["logits"], {"crops": crops}),  # type: ignore[misc]
                "with_maps": maps,
            },
            rounds,
        )
        medians = {key: float(np.median(values)) for key, values in timed.items()}
        rows.append(
            {
                "network": name,
                "batch": batch,
                "milliseconds": {key: harness.percentiles(values) for key, values in timed.items()},
                "second_output_over_plain": medians["with"] / medians["without"],
                "maps_over_plain": medians["with_maps"] / medians["without"],
            }
        )
    return rows


def averages(samples: int) -> dict[str, Any]:
    """The panel of seven expressions under four conditions, in processes of its own: CPU time and memory."""
    program = [sys.executable, str(Path(__file__)), "--average"]
    tenth = max(samples // 10, 1)
    usage = {n: harness.child([*program, str(n)]) for n in (tenth, samples)}
    conditions = len(paper_conditions(fresh("resezap")))
    return {
        "network": "resezap",
        "expressions": len(FER2013),
        "conditions": conditions,
        "samples": samples,
        "maps": len(FER2013) * conditions * samples,
        "cpu_seconds": usage[samples].cpu_seconds,
        "peak_mb": {str(n): used.peak_mb for n, used in usage.items()},
        "faces_mb": {str(n): made_faces(n).images.nbytes / 1e6 for n in usage},
    }


def panel(samples: int) -> None:
    """The panel alone, for a process that is measured from its start; with memory kept, as ``mien explain`` does."""
    keep_memory()
    average(GradCAM(), made_faces(samples), paper_conditions(fresh("resezap")), samples=samples)


def made_faces(samples: int) -> Dataset:
    """Random pixels with labels, as many of each expression."""
    count = samples * len(FER2013)
    return Dataset(
        name="made",
        images=pixels(count),
        indices=np.repeat(np.arange(len(FER2013)), samples),
        labels=FER2013,
        splits=text_column(["test"] * count),
        rows=np.arange(count),
        licence="none",
    )


def pixels(count: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def fresh(name: str) -> TorchPredictor:
    torch.manual_seed(0)
    return TorchPredictor(build(name), network(name).input, FER2013, name=name)


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _in_turns(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each; they take turns, so that all of them see the same machine."""
    for work in contenders.values():
        for _ in range(max(rounds // 10, 3)):
            work()
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            samples[name].append(1000 * harness.seconds(work))
    return samples


if __name__ == "__main__":
    main()
