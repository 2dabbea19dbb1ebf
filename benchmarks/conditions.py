"""What alignment, illumination and the quality gate add or cost on faces that are rotated, dark, small or covered.

    python benchmarks/conditions.py MODEL [--data FOLDER] [--yunet FILE] [--rows 1000]

MODEL is a model's name or path. FER2013's PublicTest (``--rows`` of it, evenly spread; each 48-pixel crop enlarged
three times and its border repeated, so that a detector finds the face) and, where it is there, JAFFE (whole pictures).
Each picture is degraded, searched by YuNet, and each face that is found is cut out in several ways and read.
PrivateTest is never opened. Writes ``conditions.json`` and the tables of ``docs/conditions.md``.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

import harness
from degraded import CONDITIONS, Degrade, Sample, jaffe, public_test
from mien.core.expression import Expression
from mien.core.face import Box, Face
from mien.core.predictor import softmax
from mien.core.preprocess import TEMPLATE, Image, InputSpec, crop_face
from mien.data.load import load_dataset
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import Detector, YuNetDetector
from mien.runtime.inference.library import detector_path, open_model
from mien.runtime.inference.pose import head_pose
from mien.runtime.inference.quality import CROP, assess, measure

DOC = Path(__file__).parent.parent / "docs" / "conditions.md"
START, END = "<!-- generated: conditions -->", "<!-- end -->"
AFFINE_LIMIT = 1.3
"""The most that the affine normalisation stretches a face one way against the other."""

YAWS = (0, 15, 30, 45, 90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name or path of the model")
    parser.add_argument("--data", type=Path, help="folder that holds the datasets, if not MIEN_DATA")
    parser.add_argument("--yunet", type=Path, help="YuNet's ONNX file, if not the one in MIEN_MODELS or pulled")
    parser.add_argument("--rows", type=int, default=1000, help="PublicTest rows, evenly spread")
    parser.add_argument("--only", nargs="*", help="conditions to run; all if not given")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for conditions.json")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector, model = YuNetDetector(options.yunet or _yunet_file()), open_model(options.model)
    root = options.data or (Path(os.environ["MIEN_DATA"]) if "MIEN_DATA" in os.environ else None)
    sets = {
        "fer2013 public": public_test(root, options.rows),
        "jaffe": [] if root is None else jaffe(root / "jaffe", detector),
    }
    chosen = {name: CONDITIONS[name] for name in options.only or CONDITIONS}
    measured = {
        "model": model.name,
        "sha256": model.identity,
        "neutral_profile": neutral_profile(model, root),
        "milliseconds": timing(sets["fer2013 public"][0], detector),
        "sets": {
            name: {"pictures": len(samples), "rows": [study(samples, c, d, model, detector) for c, d in chosen.items()]}
            for name, samples in sets.items()
            if samples
        },
    }
    harness.write("conditions", measured, folder=options.out)
    if options.out == harness.RESULTS and not options.only:
        document(measured)


def neutral_profile(model: OnnxClassifier, root: Path | None) -> dict[str, float]:
    """How the model reads PublicTest's neutral faces: ``NEUTRAL_PROFILE`` of :mod:`mien.runtime.stream.smooth`."""
    faces = load_dataset("fer2013", model.input, root=root).split("public")
    neutral = faces.images[faces.indices == faces.labels.index(Expression.NEUTRAL)]
    probabilities = softmax(model.logits(neutral), model.temperature)
    mean = np.exp(np.log(np.maximum(probabilities, 1e-3)).mean(axis=0))
    return {str(label): round(float(p), 3) for label, p in zip(model.labels, mean / mean.sum(), strict=True)}


def study(
    samples: Sequence[Sample], condition: str, degrade: Degrade, model: OnnxClassifier, detector: YuNetDetector
) -> dict[str, Any]:
    """One condition: how many faces are found, and how the ways to cut them out and the gate fare on those."""
    crops: dict[str, list[Image]] = {}
    truth, reasons, tilts, yaws = [], [], [], []
    for index, sample in enumerate(samples):
        picture = degrade(sample, np.random.default_rng(index))
        face = _found(detector, picture, sample)
        if face is None or face.landmarks is None:
            continue
        again = look_again(picture, face, detector) or face
        for way, crop in _ways(picture, face, again, model.input).items():
            crops.setdefault(way, []).append(crop)
        poses = [head_pose(one.landmarks) for one in (face, again) if one.landmarks is not None]
        tilts.append([abs(pose.roll) if pose else 0.0 for pose in poses])
        yaws.append(abs(poses[0].yaw) if poses[0] else 0.0)
        reasons.append(assess(picture, face))
        truth.append(sample.truth)
    answers = {way: model.logits(np.stack(images)).argmax(axis=1) for way, images in crops.items()}
    right = {way: np.equal(answer, truth) for way, answer in answers.items()}
    plain = right["landmarks"]
    return {
        "condition": condition,
        "found": len(truth) / len(samples),
        "n": len(truth),
        "accuracy": {way: float(hits.mean()) for way, hits in right.items()},
        "gain_over_landmarks": {way: _gain(hits, plain) for way, hits in right.items() if way != "landmarks"},
        "tilt": dict(zip(("first", "again"), np.median(np.array(tilts), axis=0).round(1).tolist(), strict=True)),
        "gate": _gate(reasons, plain),
        "by_yaw": _by_yaw(np.array(yaws), plain) if condition == "clean" else None,
    }


def _ways(picture: Image, face: Face, again: Face, spec: InputSpec) -> dict[str, Image]:
    level = replace(spec, align="landmarks", illumination="none")
    ways = {
        "box": crop_face(picture, face, replace(level, align="box")),
        "landmarks": crop_face(picture, face, level),
        "again": crop_face(picture, again, level),
        "affine": crop_face(*_straightened(picture, face), level),
    }
    for illumination in ("equalise", "clahe", "gamma"):
        ways[illumination] = crop_face(picture, face, replace(level, illumination=cast(Any, illumination)))
    return ways


def _straightened(picture: Image, face: Face) -> tuple[Image, Face]:
    """Mild out-of-plane normalisation: undo the stretch and shear, about the face, that the landmarks show."""
    points = cast(NDArray[np.float32], face.landmarks).astype(np.float64)
    middle = points.mean(axis=0)
    target = TEMPLATE.astype(np.float64) - TEMPLATE.mean(axis=0)
    affine = np.linalg.lstsq(points - middle, target, rcond=None)[0].T
    u, stretch, v = np.linalg.svd(affine)
    ratio = min(float(stretch[0] / stretch[1]), AFFINE_LIMIT) ** 0.5
    turn = np.column_stack([u @ np.diag([ratio, 1 / ratio]) @ v, np.zeros(2)])
    turn[:, 2] = middle - turn[:, :2] @ middle
    warped = cv2.warpAffine(picture, turn, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    moved = points @ turn[:, :2].T + turn[:, 2]
    return cast(Image, warped), replace(face, landmarks=moved.astype(np.float32))


def look_again(picture: Image, face: Face, detector: Detector, *, side: int = 288) -> Face | None:
    """Find a face once more, in a copy of its surroundings in which it is upright and half of ``side`` wide.

    As wide as the faces from which the constants of the runtime were measured (:mod:`framing`), since YuNet's landmarks
    lag behind a tilted head, on small faces above all. None if no face is in the middle of the copy.
    """
    to_copy = _upright(face, side)
    copy = cast(Image, cv2.warpAffine(picture, to_copy, (side, side), borderMode=cv2.BORDER_REPLICATE))
    middle = (side / 2, side / 2)
    near = [one for one in detector.detect(copy) if math.dist(one.box.center, middle) < side / 4]
    if not near:
        return None
    found = min(near, key=lambda one: math.dist(one.box.center, middle))
    back = cv2.invertAffineTransform(to_copy)
    scale = math.sqrt(abs(float(np.linalg.det(back[:, :2]))))
    x, y = (float(value) for value in back[:, :2] @ found.box.center + back[:, 2])
    width, height = scale * found.box.width, scale * found.box.height
    landmarks = None if found.landmarks is None else found.landmarks @ back[:, :2].T + back[:, 2]
    return replace(face, box=Box(x - width / 2, y - height / 2, width, height), score=found.score, landmarks=landmarks)


def _upright(face: Face, side: int) -> NDArray[np.float64]:
    """2 x 3, from the picture to a square of ``side`` pixels in which the face is level, centred, and half as wide."""
    level = 0.0
    if face.landmarks is not None:
        eyes, mouth = face.landmarks[:2].mean(axis=0), face.landmarks[3:].mean(axis=0)
        level = math.atan2(float(mouth[0] - eyes[0]), float(mouth[1] - eyes[1]))
    scale = side / 2 / math.sqrt(face.box.area)
    cos, sin = scale * math.cos(level), scale * math.sin(level)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, (side / 2, side / 2) - turn @ face.box.center])


def _found(detector: YuNetDetector, picture: Image, sample: Sample) -> Face | None:
    """The find nearest to where the face is, scaled to the degraded picture; None if that is another's place."""
    scale = picture.shape[1] / sample.picture.shape[1]
    x, y = (value * scale for value in sample.box.center)
    near = [f for f in detector.detect(picture) if np.hypot(f.box.center[0] - x, f.box.center[1] - y) < f.box.width / 2]
    return near[0] if near else None


def _gain(hits: NDArray[np.bool_], plain: NDArray[np.bool_]) -> list[float]:
    """Points of accuracy gained on the same faces, with its 95 % interval (normal approximation of the paired mean)."""
    difference = 100 * (hits.astype(np.float64) - plain)
    reach = 1.96 * difference.std() / np.sqrt(len(difference))
    return [
        round(float(value), 2) for value in (difference.mean(), difference.mean() - reach, difference.mean() + reach)
    ]


def _gate(reasons: list[str | None], right: NDArray[np.bool_]) -> dict[str, Any]:
    stopped = np.array([reason is not None for reason in reasons])
    return {
        "reasons": {reason: count / len(reasons) for reason, count in Counter(r for r in reasons if r).items()},
        "accuracy_kept": float(right[~stopped].mean()) if (~stopped).any() else None,
        "accuracy_stopped": float(right[stopped].mean()) if stopped.any() else None,
    }


def _by_yaw(yaws: NDArray[np.float64], right: NDArray[np.bool_]) -> list[dict[str, Any]]:
    rows = []
    for low, high in pairwise(YAWS):
        inside = (yaws >= low) & (yaws < high)
        accuracy = float(right[inside].mean()) if inside.any() else None
        rows.append({"from": low, "to": high, "n": int(inside.sum()), "accuracy": accuracy})
    return rows


def timing(sample: Sample, detector: YuNetDetector, rounds: int = 300) -> dict[str, dict[str, float]]:
    """Milliseconds a face, on one thread."""
    picture, face = sample.picture, detector.detect(sample.picture)[0]
    crop = crop_face(picture, face, CROP)
    work: dict[str, Callable[[], object]] = {
        "gate, with the crop": lambda: assess(picture, face),
        "gate, crop at hand": lambda: assess(picture, face, crop=crop),
        "cues": lambda: measure(crop),
        "head angles": lambda: head_pose(cast(NDArray[np.float32], face.landmarks)),
        "second look": lambda: look_again(picture, face, detector),
    }
    return {
        name: {k: round(v, 3) for k, v in harness.percentiles([1000 * harness.seconds(one) for _ in range(n)]).items()}
        for name, one in work.items()
        for n in [30 if name == "second look" else rounds]
    }


def document(measured: dict[str, Any]) -> None:
    """Replace the generated part of the page."""
    text = DOC.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    tables = "\n\n".join(_tables(name, one["rows"]) for name, one in measured["sets"].items())
    costs = ", ".join(f"{name} {one['p50']:.2f}" for name, one in measured["milliseconds"].items())
    lead = f"Model `{measured['model']}` (sha256 {measured['sha256'][:12]}). Milliseconds a face, median: {costs}."
    DOC.write_text(f"{before}{START}\n\n{lead}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def _tables(name: str, rows: list[dict[str, Any]]) -> str:
    ways = list(rows[0]["accuracy"])
    lines = [f"### {name}", "", f"| | found | {' | '.join(ways)} |", "|---|" + "---:|" * (len(ways) + 1)]
    for row in rows:
        cells = [
            f"{100 * row['accuracy']['landmarks']:.1f}" if way == "landmarks" else _signed(row, way) for way in ways
        ]
        lines.append(f"| {row['condition']} | {100 * row['found']:.1f} | {' | '.join(cells)} |")
    lines += ["", "| | stopped | kept: right | stopped: right | reasons |", "|---|---:|---:|---:|---|"]
    for row in rows:
        gate = row["gate"]
        reasons = sorted(gate["reasons"].items(), key=lambda item: -item[1])
        said = ", ".join(f"{reason} {100 * share:.1f}" for reason, share in reasons)
        kept, stopped = (_percent(gate[f"accuracy_{part}"]) for part in ("kept", "stopped"))
        share = 100 * sum(gate["reasons"].values())
        lines.append(f"| {row['condition']} | {share:.1f} | {kept} | {stopped} | {said} |")
    return "\n".join([*lines, "", *_angles(rows)])


def _angles(rows: list[dict[str, Any]]) -> list[str]:
    """In words: accuracy by head angle, and how much of a tilt the landmarks show."""
    by_yaw: list[dict[str, Any]] = next((row["by_yaw"] for row in rows if row["by_yaw"]), [])
    yaw = (f"{r['from']} to {r['to']}° {_percent(r['accuracy'])} (n = {r['n']})" for r in by_yaw if r["n"])
    tilts = (
        f"{row['condition']} {row['tilt']['first']}° ({row['tilt']['again']}° at the second look)"
        for row in rows
        if row["condition"].startswith("rotated")
    )
    return [f"Right by measured yaw, clean: {', '.join(yaw)}. Median tilt that the landmarks show: {', '.join(tilts)}."]


def _signed(row: dict[str, Any], way: str) -> str:
    gain, low, high = row["gain_over_landmarks"][way]
    return f"**{gain:+.1f}**" if low > 0 or high < 0 else f"{gain:+.1f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _yunet_file() -> Path:
    folder = os.environ.get("MIEN_MODELS")
    found = sorted(Path(folder).glob("face_detection_yunet*.onnx")) if folder else []
    return found[0] if found else detector_path("yunet")


if __name__ == "__main__":
    main()
