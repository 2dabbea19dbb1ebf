"""Train the face-or-not gate, and measure it beside the energy threshold: ROC on held-out crops, Haar's false finds.

    python benchmarks/gate.py train [--out FOLDER]      # some CPU minutes; writes gate.onnx and gate.json
    python benchmarks/gate.py measure [--gate FOLDER]   # writes benchmarks/results/gate.json

Trained on FER2013's Training part and pictures without faces (:mod:`gate_data`). The threshold keeps 99 % of
PublicTest's faces, as the energy threshold does. Measured on PublicTest, JAFFE, pictures that trained nothing, and on
what Haar finds in the benchmarks' videos, where it is known which finds are faces. PrivateTest is never opened.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import cv2
import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from skimage.data import lfw_subset

import gate_data
import harness
import nonfaces
from mien.core.face import Box
from mien.core.manifest import FaceGateManifest
from mien.core.pictures import read_picture
from mien.core.places import BUNDLED
from mien.core.predictor import energy
from mien.core.preprocess import Image, crop_face
from mien.core.provenance import commit
from mien.data.fer2013 import LICENCE
from mien.evaluation.corruptions import CORRUPTIONS
from mien.models.export import Provenance, export_face_gate
from mien.models.registry import network
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import HaarDetector
from mien.runtime.inference.face_gate import FaceGate
from mien.runtime.inference.library import DEFAULT_MODEL, FACE_GATE, open_model
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.stream_picture import ArrayPicture
from mien.runtime.stream.watcher import Watcher
from mien.training.face_gate_training import NETWORK, fit_face_gate
from video_clip import FPS, Clip

CLIPS = ((480, 1), (720, 1), (1080, 1), (720, 2))
"""Height and faces of the videos; each is searched at ``--frames`` of its frames, evenly spread."""

SPAN = 450
"""Frames of a video: fifteen seconds."""

STREAM = 240
"""Frames of the video that is watched."""

_HEAD = Box(160.0, 0.0, 140.0, 220.0)
"""Where the astronaut's head is in her portrait: what is found there is no false find."""

Logits = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("train", "measure"))
    parser.add_argument("--data", type=Path, help="folder that holds the datasets, if not MIEN_DATA")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=BUNDLED / "gate", help="folder for the gate that is trained")
    parser.add_argument("--gate", type=Path, default=BUNDLED / "gate", help="folder of the gate that is measured")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="whose energy it is compared with")
    parser.add_argument("--frames", type=int, default=30, help="of each video")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, help="folder for gate.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.work == "train":
        train(options.data, options.out, epochs=options.epochs, seed=options.seed)
    else:
        contenders = (Gate(options.gate), Energy(open_model(options.model)))
        harness.write("gate", measure(contenders, options.model, options.data, options.frames), folder=options.results)


def train(data: Path | None, out: Path, *, epochs: int, seed: int) -> None:
    """Fit, choose the threshold on PublicTest's faces, and export."""
    rows = gate_data.fer2013(data, "train")
    others = gate_data.training_others(rows, seed)
    counts = ", ".join(f"{len(crops):,} {kind}" for kind, crops in others.items())
    print(f"{len(rows.faces):,} faces; {counts}")
    predictor = fit_face_gate(rows.faces, np.concatenate(list(others.values())), epochs=epochs, seed=seed, say=print)
    about = Provenance(
        network=NETWORK,
        summary=f"Tells faces from what a detector takes for one; {predictor.parameters:,} values.",
        trained_on=f"fer2013: {len(rows.faces):,} faces of train; crops without a face: {counts}; threshold by public",
        data_licence=f"{LICENCE}; pictures that come with scikit-image, and one of scikit-learn (CC BY 2.0)",
        weights_licence="Apache-2.0; the pictures it was trained on are for research use",
        paper=network(NETWORK).paper,
        seed=seed,
        commit=commit(),
    )
    manifest = export_face_gate(predictor, gate_data.fer2013(data, "public").faces, out, about)
    print(f"{out}: {manifest.bytes:,} bytes, threshold {manifest.threshold:.3f}, keeps {manifest.faces_kept:.2%}")


class Gate:
    """The gate as ONNX Runtime runs it: one score a crop, and the score from which a crop is a face."""

    name = "gate"

    def __init__(self, folder: Path) -> None:
        """Open the gate in ``folder``."""
        manifest = FaceGateManifest.read(folder / "gate.json")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(str(manifest.verify(folder)), options, providers=["CPUExecutionProvider"])
        self.threshold = manifest.threshold
        self.identity = manifest.sha256

    def scores(self, crops: Image) -> Logits:
        """The gate's logit of each crop."""
        parts = [self._session.run(None, {"crops": crops[s : s + 256]})[0][:, 0] for s in range(0, len(crops), 256)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


class Energy:
    """The energy of an expression model's logits, and its manifest's threshold."""

    name = "energy"

    def __init__(self, model: OnnxClassifier) -> None:
        """Take the energy of ``model``."""
        self._model = model
        self.threshold = model.manifest.energy_threshold
        self.identity = model.identity

    def scores(self, crops: Image) -> Logits:
        """The energy of each crop."""
        return energy(self._model.logits(crops), self._model.temperature)


@dataclass
class Finds:
    """What a detector found in one video, by whether it is a face."""

    faces: list[Image] = field(default_factory=list)
    others: list[Image] = field(default_factory=list)


def measure(contenders: Sequence[Gate | Energy], model: str, data: Path | None, frames: int) -> dict[str, Any]:
    """Each contender on each kind of crop."""
    rows = gate_data.fer2013(data, "public")
    rng = np.random.default_rng(1)
    portrait = cast(Image, cv2.cvtColor(harness.portrait(), cv2.COLOR_RGB2GRAY))
    held_out = [*gate_data.pictures(gate_data.HELD_OUT), portrait]
    but: list[Sequence[Box]] = [(), (), (_HEAD,)]
    loose = [gate_data.loose_finds(p, neighbours=0, but=b) for p, b in zip(held_out, but, strict=True)]
    patches = nonfaces.patches(held_out[:2], 2000, rng)
    small = lfw_subset()  # type: ignore[no-untyped-call]
    wild = np.stack([cast(Image, cv2.resize((255 * one).astype(np.uint8), (48, 48))) for one in small])
    videos = {f"{height}p, {faces}": found for (height, faces), found in _videos(frames)}
    faces = {
        "fer2013 public": rows.faces,
        "jaffe": _jaffe(data),
        "labelled faces in the wild": wild[:100],
        **{
            f"fer2013 public, {one.kind}: {one.severity}": one.to(rows.faces, np.arange(len(rows.faces)))
            for one in CORRUPTIONS
        },
        **{f"video {name}": _stack(found.faces) for name, found in videos.items()},
    }
    others = {
        "fer2013 public, no face by FER+": rows.others,
        "patches": patches,
        "synthesised": nonfaces.synthesised(1000, rng),
        "off centre": nonfaces.off_centre(rows.faces, patches, 1500, rng),
        "shuffled": nonfaces.shuffled(rows.faces, 1000, rng),
        "loose finds in held-out pictures": np.concatenate(loose),
        "labelled faces in the wild, no faces": wild[100:],
        **{f"video {name}": _stack(found.others) for name, found in videos.items()},
    }
    return {
        "threads": 1,
        "frames": frames,
        "model": model,
        "contenders": [_row(one, faces, others) for one in contenders],
        "cold": _cold(),
        "stream": {"video": "720p, 1 face, Haar, default cadence", "frames": STREAM, "found": _streams(model)},
    }


def _cold() -> dict[str, float]:
    """CPU milliseconds that the bundled gate takes to open, to answer for the first time, and for one face after."""
    start = time.process_time()
    gate = FaceGate(FaceGateManifest.read(FACE_GATE), FACE_GATE.parent)
    opened = time.process_time()
    crop = np.zeros((1, *gate.input.shape), dtype=np.uint8)
    gate.accepts(crop)
    answered = time.process_time()
    for _ in range(500):
        gate.accepts(crop)
    done = time.process_time()
    return {"open": 1e3 * (opened - start), "first": 1e3 * (answered - opened), "face": 2 * (done - answered)}


def _streams(model: str) -> dict[str, dict[str, int]]:
    """A video watched with the gate, by energies, and with neither: faces missed, and finds that are none."""
    clip, found = Clip(720, 1, STREAM), {}
    pictures = list(map(clip.picture, range(STREAM)))
    for name in ("gate", "energy", "neither"):
        with patch(
            "mien.runtime.inference.face_gate.FACE_GATE", FACE_GATE if name == "gate" else Path("none")
        ):  # a build without it
            recognizer = Recognizer(model, detector=HaarDetector(), reject_non_faces=name != "neither")
        watcher, counts = Watcher(recognizer.reader), {"missed": 0, "false": 0, "rejected": 0}
        for index, picture in enumerate(pictures):
            frame = watcher.step(ArrayPicture(picture, index=index, time=index / FPS))
            near = [max(face.box.iou(box) for box in clip.drawn(index)) >= 0.5 for face in frame.faces]
            counts["missed"] += not any(near)
            counts["false"] += near.count(False)
            counts["rejected"] += frame.rejected
        found[name] = counts
    return found


def _row(one: Gate | Energy, faces: dict[str, Image], others: dict[str, Image]) -> dict[str, Any]:
    reference = one.scores(faces["fer2013 public"])
    kept = {name: one.scores(crops) for name, crops in faces.items() if len(crops)}
    refused = {name: one.scores(crops) for name, crops in others.items() if len(crops)}
    crops = faces["fer2013 public"][:8]
    start = time.process_time()
    for _ in range(200):
        one.scores(crops)
    return {
        "name": one.name,
        "sha256": one.identity,
        "threshold": one.threshold,
        "ms_a_face": 1000 * (time.process_time() - start) / 1600,
        "kept": {n: {"n": len(s), "share": float((s >= one.threshold).mean())} for n, s in kept.items()},
        "refused": {
            n: {"n": len(s), "share": float((s < one.threshold).mean()), "auc": auc(reference, s)}
            for n, s in refused.items()
        },
        "roc": _roc(reference, np.concatenate([s for n, s in refused.items() if not n.startswith("video")])),
    }


def auc(faces: Logits, others: Logits) -> float:
    """Chance that a face scores higher than another crop, ties one half: the area under the ROC curve."""
    ranked = np.sort(others)
    below, not_above = np.searchsorted(ranked, faces, "left"), np.searchsorted(ranked, faces, "right")
    return float((below + not_above).mean() / 2 / len(others))


def _roc(faces: Logits, others: Logits) -> dict[str, list[float]]:
    """Share of faces kept and of others refused where 99.9 % … 80 % of the faces are kept."""
    shares = [0.999, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8]
    thresholds = [float(np.quantile(faces, 1 - share)) for share in shares]
    return {"faces_kept": shares, "others_refused": [float((others < t).mean()) for t in thresholds]}


def _videos(frames: int) -> Iterator[tuple[tuple[int, int], Finds]]:
    """What Haar finds in frames of the videos before they are encoded, set against where the faces were drawn."""
    detector = HaarDetector()
    for height, faces in CLIPS:
        clip, found = Clip(height, faces, SPAN), Finds()
        for index in np.linspace(0, SPAN - 1, frames).round().astype(int).tolist():
            _sort(clip.picture(index), detector, clip.drawn(index), found)
        yield (height, faces), found


def _sort(picture: Image, detector: HaarDetector, drawn: Sequence[Box], found: Finds) -> None:
    for face in detector.detect(picture):
        best = max(face.box.iou(box) for box in drawn)
        crop = crop_face(picture, face, gate_data.SPEC)
        if best >= 0.5:
            found.faces.append(crop)
        elif best < 0.2:  # between the two it is a face badly framed: neither
            found.others.append(crop)


def _jaffe(data: Path | None) -> Image:
    """JAFFE's faces as Haar frames them; none where the dataset is not there."""
    folder = (data or Path(os.environ.get("MIEN_DATA", "none"))) / "jaffe"
    detector, crops = HaarDetector(), []
    for file in sorted(folder.glob("*.tiff")):
        picture = read_picture(file)
        crops += [crop_face(picture, face, gate_data.SPEC) for face in detector.detect(picture)[:1]]
    return _stack(crops)


def _stack(crops: Sequence[Image]) -> Image:
    return np.stack(crops) if crops else np.empty((0, *gate_data.SPEC.shape), dtype=np.uint8)


if __name__ == "__main__":
    main()
