"""The page of the face-or-not gate, docs/gate.md, from what gate.py measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mien.reporting.tables import markdown as table

_TOP = """# Face or not

A detector's finds are not all faces: Haar's above all. Two things can tell a crop without a face, both set so that they
keep 99 % of PublicTest's faces: the **energy** of the expression model's own logits, which costs nothing, and the
**gate**, a network of 9,735 values that sees nothing but this question. Generated from what `benchmarks/gate.py`
measured; what trained the gate is in its manifest, and none of it is measured here. PrivateTest was never opened.
"""

_STREAM = """{video}, {frames} frames, from picture to frame. A find that was never taken for a face is dropped; a known
face that looks unlike one for a moment stays, without a reading. The gate is asked when a face is seen, not when it is
carried on. Frames in which the face was missed, finds that are none, and finds that were rejected:
"""

_COST = """{once:.1f} ms of CPU once, at the start, and {face:.3f} ms for a single face. Covered and strongly
blurred faces are refused more often than ordinary ones, see the first table; `Recognizer(reject_non_faces=False)` keeps
all.
"""


def page(measured: dict[str, Any]) -> str:
    """Faces kept, others refused, the ROC, and the cost."""
    both = measured["contenders"]
    names = [one["name"] for one in both]
    parts = [_TOP, "## Faces that are kept, %", table(("faces", "n", *names), _rows(both, "kept"))]
    parts += ["## Others that are refused, %", table(("crops", "n", *names), _rows(both, "refused"))]
    parts += [
        "## Area under the ROC curve, against PublicTest's faces",
        table(("crops", "n", *names), _rows(both, "refused", "auc", 1.0, 3)),
        "## Others refused where so many faces are kept, %",
        "Over all crops but the videos' finds.",
        table(("faces kept", *names), _roc(both)),
    ]
    stream, cold = measured["stream"], measured["cold"]
    counts = [(name, *map(str, found.values())) for name, found in stream["found"].items()]
    parts += [
        "## In a stream",
        _STREAM.format(video=stream["video"], frames=stream["frames"]),
        table(("by", "missed", "false finds", "rejected"), counts),
        "## What it costs",
        _COST.format(once=cold["open"] + cold["first"], face=cold["face"]),
    ]
    costs = "; ".join(f"{one['name']} {one['ms_a_face']:.3f} ms" for one in both)
    commit = (measured["commit"] or "no commit")[:7]
    sums = "; ".join(f"{one['name']} {one['sha256'][:12]}" for one in both)
    parts.append(
        f"Videos: Haar in {measured['frames']} frames of each, before encoding; a find that overlaps a drawn face by "
        "half (IoU) is a face, one below a fifth is none, what lies between is left out. CPU time a face in batches of "
        f"eight: {costs} (the energy's is that of the whole expression model, which runs anyway). The energy is that "
        f"of `{measured['model']}`; sha256 of the weights: {sums}. "
        f"One thread of {measured['machine']['cpu']}; {measured['time'][:10]} at {commit}."
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _rows(
    both: Sequence[dict[str, Any]], kind: str, value: str = "share", scale: float = 100.0, digits: int = 1
) -> list[tuple[str, ...]]:
    first = both[0][kind]
    return [
        (name, f"{first[name]['n']:,}", *(f"{scale * one[kind][name][value]:.{digits}f}" for one in both))
        for name in first
    ]


def _roc(both: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    kept = both[0]["roc"]["faces_kept"]
    return [
        (f"{100 * share:g}", *(f"{100 * one['roc']['others_refused'][number]:.1f}" for one in both))
        for number, share in enumerate(kept)
    ]
