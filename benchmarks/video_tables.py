"""Write the generated parts of docs/realtime.md.

python benchmarks/video_tables.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tables
from mien.reporting.tables import markdown as table

DOCUMENT = Path("docs/realtime.md")
_NAMES = {"yunet": "YuNet", "haar": "Haar"}


def main() -> None:
    tables.GENERATORS.update(GENERATORS)
    path = tables.ROOT / DOCUMENT
    text = path.read_text(encoding="utf-8")
    current = tables.updated(text, tables.ROOT)
    if current == text:
        return
    if "--check" in sys.argv[1:]:
        sys.exit(f"out of date: {DOCUMENT}")
    path.write_text(current, encoding="utf-8")


def goals(root: Path) -> str:
    """Each goal beside what was measured."""
    found, memory = _read(root)
    if found is None:
        return _MISSING
    goals = found["goals"]
    auto = {row["detector"]: row for row in found["rows"] if _is_goal(row) and row["detect_every"] == "auto"}
    every = [row["agreement"] for row in found["rows"] if (row["detector"], row["detect_every"]) == ("yunet", "auto")]
    yunet, haar = auto["yunet"], auto["haar"]
    rows = [
        ("frames/s, YuNet", f"≥ {goals['fps']['yunet']}", f"{yunet['fps']:.0f}"),
        ("frames/s, Haar", f"≥ {goals['fps']['haar']}", f"{haar['fps']:.0f}"),
        ("latency, p95", f"≤ {goals['latency_p95_ms']} ms", f"{yunet['latency_ms']['p95']:.1f} ms"),
        ("CPU over decoding alone", f"≤ {goals['over_decoding']} x", f"{yunet['over_decoding']:.1f} x"),
    ]
    beside = next((row["rows"] for row in found.get("fer", []) if _is_goal(row)), None)
    if beside:
        fewer = {row["contender"]: row["fewer_cpu_seconds"] for row in beside}
        least = goals["fewer_than_fer"]
        rows += [
            ("less CPU than `fer`, defaults", f"≥ {least['default']} x", f"{fewer['mien']:.0f} x"),
            ("less CPU than `fer`, Haar in both", f"≥ {least['haar']} x", f"{fewer['mien, Haar']:.0f} x"),
        ]
    missed, overlap = max(one["missed"] for one in every), min(one["mean_iou"] for one in every)
    rows += [
        ("faces missed, worst video", f"≤ {100 * goals['missed']:.0f} %", f"{100 * missed:.2f} %"),
        ("mean overlap (IoU), worst video", f"≥ {goals['mean_iou']}", f"{overlap:.3f}"),
        ("idle, waiting for a picture", "near 0", f"{100 * found['idle_share_of_a_core']:.2f} % of a core"),
    ]
    if memory:
        label = f"growth of memory over {memory['frames']:,} frames"
        rows.append((label, f"< {memory['growth_mb_goal']} MB", f"{memory['growth_mb']:.1f} MB"))
    return f"{table(('', 'goal', 'measured'), rows)}\n\n{tables._footer(found)} Load {found['machine']['load']}."


def speed(root: Path) -> str:
    """Every video, detector and cadence."""
    found, _ = _read(root)
    if found is None:
        return _MISSING
    rows = [
        (
            *_labels(row),
            f"{row['fps']:.0f}",
            f"{row['cpu_seconds_per_1000']:.2f}",
            f"{row['over_decoding']:.1f}",
            tables._spread(row["latency_ms"], digits=1),
            f"{100 * row['agreement']['missed']:.2f}",
            f"{100 * row['agreement']['false_finds']:.2f}",
            f"{row['agreement']['mean_iou']:.3f}",
        )
        for row in found["rows"]
    ]
    heads = ("video", "faces", "detector", "search", "frames/s", "CPU s", "over decoding", "latency, ms", "missed, %")
    return table((*heads, "false finds, %", "IoU"), rows)


def stages(root: Path) -> str:
    """CPU milliseconds a frame, one column for each way of watching one face at 720p."""
    found, _ = _read(root)
    if found is None:
        return _MISSING
    columns = [row for row in found["stages"] if _is_goal(row)]
    heads = [f"{_NAMES[row['detector']]}, {_cadence(row)}" for row in columns]
    names = list(columns[0]["milliseconds"])
    rows = [(name, *(f"{row['milliseconds'][name]:.2f}" for row in columns)) for name in names]
    rows.append(("all", *(f"{sum(row['milliseconds'].values()):.2f}" for row in columns)))
    return table(("CPU ms a frame", *heads), rows)


def encoding(root: Path) -> str:
    """What the annotated video costs on top."""
    found, _ = _read(root)
    if found is None:
        return _MISSING
    rows = [(f"{r['height']}p", f"{r['cpu_seconds_per_1000']:.2f}", f"{r['fps']:.0f}") for r in found["encoding"]]
    return table(("video", "CPU s on top", "frames/s, all of it"), rows)


def live(root: Path) -> str:
    """A camera's pace."""
    found, _ = _read(root)
    if found is None:
        return _MISSING
    rows = [
        (
            f"{row['height']}p",
            _NAMES[row["detector"]],
            tables._spread(row["latency_ms"], digits=1),
            f"{100 * row['share_of_a_core']:.0f} %",
            f"{row['frames_passed_over']} of {row['frames'] + row['frames_passed_over']}",
        )
        for row in found["live"]
    ]
    return table(("video", "detector", "latency, ms", "of one core", "frames passed over"), rows)


def fer(root: Path) -> str:
    """The same frames by ``fer``."""
    found, _ = _read(root)
    if found is None or "fer" not in found:
        return _MISSING
    rows = [
        (
            f"{one['height']}p",
            f"`{row['contender']}`" if row["contender"] == "fer" else row["contender"],
            f"{row['fps']:.1f}",
            f"{row['cpu_seconds_per_1000']:.2f}",
            f"{row['fewer_cpu_seconds']:.0f} x",
            tables._spread(row["latency_ms"], digits=1),
            f"{100 * row['agreement']['missed']:.1f}",
            f"{100 * row['agreement']['false_finds']:.1f}",
        )
        for one in found["fer"]
        for row in one["rows"]
    ]
    heads = ("video", "", "frames/s", "CPU s", "less CPU than `fer`", "latency, ms", "missed, %", "false finds, %")
    versions = ", ".join(f"{name} {version}" for name, version in found["fer"][0]["versions"].items())
    return f"{table(heads, rows)}\n\nThe environment of `fer`: {versions}."


def memory(root: Path) -> str:
    """Resident memory over an hour's frames."""
    _, found = _read(root)
    if found is None:
        return _MISSING
    values, warm = found["resident_mb"], found["warm_up_frames"]
    at = [len(values) // 20, len(values) // 4, len(values) // 2, 3 * len(values) // 4, len(values) - 1]
    rows = [(f"{round((i + 1) * found['frames'] / len(values), -2):,.0f}", f"{values[i]:.1f}") for i in at]
    return (
        f"{table(('frames', 'resident MB'), rows)}\n\n"
        f"Most, over what it was after {warm:,} frames: {found['growth_mb']:.1f} MB. {tables._footer(found)}"
    )


GENERATORS: dict[str, Callable[[Path], str]] = {
    "video_goals": goals,
    "video_speed": speed,
    "video_stages": stages,
    "video_encoding": encoding,
    "video_live": live,
    "video_fer": fer,
    "video_memory": memory,
}
"""What can stand in the document, by name."""

_MISSING = tables._missing("python benchmarks/video.py; python benchmarks/video_memory.py")


def _read(root: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    return tables._read(root, "video"), tables._read(root, "video_memory")


def _is_goal(row: dict[str, Any]) -> bool:
    """Whether a row is of the video that the goals are for."""
    return (row["height"], row["faces"]) == (720, 1)


def _labels(row: dict[str, Any]) -> tuple[str, ...]:
    return f"{row['height']}p", str(row["faces"]), _NAMES[row["detector"]], _cadence(row)


def _cadence(row: dict[str, Any]) -> str:
    return "auto" if row["detect_every"] == "auto" else "every frame"


if __name__ == "__main__":
    main()
