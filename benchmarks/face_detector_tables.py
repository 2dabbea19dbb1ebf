"""The tables of docs/face-detector.md, from what benchmarks/face_detectors.py measured."""

from __future__ import annotations

from typing import Any

from mien.reporting.tables import markdown as table


def tables(found: dict[str, Any]) -> str:
    """All of them, with what they show."""
    names = list(found["alone"])
    heads = ["", *names]
    alone = [
        ("found, %", *(f"{100 * found['alone'][name]['found']:.1f}" for name in names)),
        ("overlap with YuNet's box", *(f"{found['alone'][name]['iou']:.3f}" for name in names)),
        ("landmarks' distance from YuNet's, % of the eyes' distance", *(_percent(found, name) for name in names)),
    ]
    recall = [(row["faces"], f"{row['n']}", *(f"{100 * row[name]:.1f}" for name in names)) for row in found["recall"]]
    nothing = []
    for kind, title in (("crops", "parts of them, 96 to 640 px"), ("pictures", "whole")):
        of = found["nothing"][names[0]][kind]["n"]
        for stage in ("before", "after"):
            counts = (100 * found["nothing"][name][kind][stage] / of for name in names)
            nothing.append((f"{title}, {stage} the gate", f"{of:,}", *(f"{count:.1f}" for count in counts)))
    jaffe = [
        ("pictures in which exactly one face is found", *(f"{found['jaffe'][name]['one_face']}" for name in names)),
        ("faces read", *(f"{found['jaffe'][name]['read']}" for name in names)),
        (
            "expressions that `small` reads right, % of all pictures",
            *(f"{100 * found['jaffe'][name]['right'] / found['jaffe'][name]['pictures']:.1f}" for name in names),
        ),
    ]
    times = [
        (f"{side} px", *(f"{found['milliseconds'][name][side]:.1f}" for name in names))
        for side in found["milliseconds"][names[0]]
    ]
    shown = (
        f"Faces found, %, in one search at 640 pixels: these portraits on {found['backgrounds']} held-out backgrounds."
    )
    parts = (
        f"{found['portraits']} held-out portraits as they are, 128 pixels on the long side:",
        table(heads, alone),
        shown,
        table(["faces", "n", *names], recall),
        "False detections in a hundred pictures of those backgrounds:",
        table(["searched", "n", *names], nothing),
        f"JAFFE, {found['jaffe'][names[0]]['pictures']} pictures, through the whole chain:",
        table(heads, jaffe),
        "Processor milliseconds of one search, one thread, by turns:",
        table(["long side", *names], times),
    )
    return "\n\n".join(part.strip() for part in parts)


def _percent(found: dict[str, Any], name: str) -> str:
    value = found["alone"][name]["landmarks"]
    return "no landmarks" if value is None else f"{100 * value:.1f}"
