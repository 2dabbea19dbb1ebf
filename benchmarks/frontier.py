"""Accuracy against one-thread latency: mien's models and the peers of the papers whose network can be run here.

    python benchmarks/frontier.py [--rounds 100]
    python benchmarks/frontier.py --draw          # anew from what was measured, with the ledger as it is now

Bundled models are timed as they ship, peers with fresh weights: how fast a network is does not depend on what it has
learnt. Times are those of the network alone in ONNX Runtime on one thread, in CPU milliseconds, which other programs on
the machine lengthen less than those of a clock. Accuracy is FER2013's PrivateTest, single crop: the mean over a
recipe's runs in results/private_test.jsonl, or a study's cell, or else, drawn hollow, what the network's paper states.
Writes ``frontier.json`` and docs/images/frontier.svg and .png; ``make tables`` makes docs/frontier.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import harness
from crops import opened
from frontier_figure import BATCHES, PEERS, ROOT, render
from mien.core.places import BUNDLED
from mien.core.preprocess import Image
from mien.runtime.inference.classify import OnnxClassifier

IMAGES = ROOT / "docs" / "images"
GOALS = {"tiny": 3000, "small": 600}
"""Faces a second at batch 8, network alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="timed calls for each batch size, fewer for slow ones")
    parser.add_argument("--only", nargs="*", help="names of models and peers; all if not given")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw anew")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for frontier.json")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder for the figure")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.draw:
        names = [*sorted(path.stem for path in BUNDLED.glob("*.onnx")), *(peer.network for peer in PEERS)]
        rows = [measure(name, options.rounds) for name in names if not options.only or name in options.only]
        harness.write("frontier", {"threads": 1, "goals": GOALS, "rows": rows}, folder=options.out)
    found = json.loads((options.out / "frontier.json").read_text(encoding="utf-8"))
    options.images.mkdir(parents=True, exist_ok=True)
    for form in ("svg", "png"):
        (options.images / f"frontier.{form}").write_bytes(render(found["rows"], form))


def measure(name: str, rounds: int) -> dict[str, Any]:
    """One network: its size, its CPU milliseconds at each batch size, and the accuracy that is known of it."""
    with tempfile.TemporaryDirectory() as folder:
        classifier, _ = opened(name, Path(folder))
        milliseconds = {str(batch): _timed(classifier, batch, rounds) for batch in BATCHES}
    bundled = (BUNDLED / f"{name}.onnx").is_file()
    return {
        "name": name,
        "ours": bundled,
        "parameters": classifier.parameters,
        "milliseconds": milliseconds,
        "faces_per_second": 8000 / milliseconds["8"]["p50"],
    }


def _timed(classifier: OnnxClassifier, batch: int, rounds: int) -> dict[str, float]:
    crops: Image = np.random.default_rng(0).integers(0, 256, (batch, *classifier.input.shape), dtype=np.uint8)

    def once() -> float:
        start = time.process_time()
        classifier.logits(crops)
        return 1000 * (time.process_time() - start)

    first = min(once() for _ in range(3))
    return harness.percentiles([once() for _ in range(max(10, min(rounds, round(10_000 / max(first, 0.01)))))])


if __name__ == "__main__":
    main()
