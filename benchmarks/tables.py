"""Write the generated parts of README.md and docs/: between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

    python benchmarks/tables.py [--check]

Figures of accuracy come from results/private_test.jsonl and results/occlusion.json alone, those of speed and memory
from benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import face_detector_tables
import model_pages
import network_tables
import study_pages
import train_tables
from mien.core.manifest import Manifest
from mien.core.places import BUNDLED
from mien.core.predictor import VIEW_WORDS
from mien.core.preprocess import TEMPLATE
from mien.evaluation import ledger
from mien.reporting.numbers import bounded, short_commit
from mien.reporting.tables import markdown as table

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    "README.md",
    "docs/measuring.md",
    "docs/benchmarks.md",
    "docs/preprocessing.md",
    "docs/explain.md",
    "docs/networks.md",
    "docs/occlusion.md",
    "docs/face-detector.md",
)
LEDGER = Path("results/private_test.jsonl")
OCCLUSION = Path("results/occlusion.json")
RESULTS = Path("benchmarks/results")
EXPLAINED = Path("results/explain")

_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status; ``arguments`` are those of the command line if None."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 if a document is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    options = parser.parse_args(arguments)
    stale = []
    for name in DOCUMENTS:
        path = options.root / name
        text = path.read_text(encoding="utf-8")
        stale += _renewed(path, name, text, updated(text, options.root), check=options.check)
    for name, current in {**study_pages.pages(options.root), **model_pages.pages(options.root)}.items():
        path = options.root / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        stale += _renewed(path, name, text, current, check=options.check)
    if stale:
        print(f"{'out of date, make tables' if options.check else 'written'}: {', '.join(stale)}")
    return int(bool(stale) and options.check)


def _renewed(path: Path, name: str, text: str, current: str, *, check: bool) -> list[str]:
    """The document's name where it is not as it should be; it is written unless it is only checked."""
    if current == text:
        return []
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(current, encoding="utf-8")
    return [name]


def updated(document: str, root: Path) -> str:
    """The document with every generated part made anew from the measurements below ``root``.

    Raises:
        KeyError: it asks for a part that nothing generates.
    """
    return _BLOCK.sub(lambda match: f"{match[1]}{GENERATORS[match[2]](root).strip()}\n{match[3]}", document)


def accuracy(root: Path) -> str:
    """Each recipe's accuracy on FER2013's PrivateTest, the mean over its seeds."""
    path = root / LEDGER
    if not path.is_file():
        return _missing("mien evaluate MODEL fer2013 --split private --ledger results/private_test.jsonl")
    entries = {
        (entry.recipe or entry.model, entry.views, entry.identity): entry
        for entry in ledger.read(path)
        if (entry.dataset, entry.split) == ("fer2013", "private")
    }
    ships = {manifest.sha256: manifest.name for manifest in map(Manifest.read, sorted(BUNDLED.glob("*.json")))}
    rows = []
    for name in dict.fromkeys(key[0] for key in entries):
        single = [entry for key, entry in entries.items() if key[:2] == (name, "one")]
        mirrored = [entry for key, entry in entries.items() if key[:2] == (name, "mirror")]
        first = next(entry for key, entry in entries.items() if key[0] == name)
        seeds = len({entry.identity for entry in (*single, *mirrored)})
        clean = [e.accuracy_without_leaks for e in single if e.accuracy_without_leaks is not None]
        columns = (_mean([e.accuracy for e in single]), _mean([e.accuracy for e in mirrored]), _mean(clean))
        shipped = [ships[e.identity] for e in single if e.identity in ships]
        label = f"`{name}`" + "".join(f", ships as **{model}**" for model in shipped)
        if first.members > 1:
            label += ", an ensemble"
        rows.append((label, f"{first.parameters:,}", str(seeds), *columns))
    one, mirror = VIEW_WORDS["one"], VIEW_WORDS["mirror"]
    heads = ("recipe", "values", "runs", one, mirror, f"{one}, without leaked rows")
    crowd = {
        f"**{ships[entry.identity]}** gives eight expressions as ten people saw each face (FER+): "
        f"{100 * entry.accuracy:.2f} % of the {entry.n:,} rows of PrivateTest that have a majority."
        for entry in ledger.read(path)
        if (entry.dataset, entry.split, entry.views) == ("ferplus", "private", "one") and entry.identity in ships
    }
    return "\n\n".join([table(heads, sorted(rows, key=lambda row: row[3], reverse=True)).strip(), *sorted(crowd)])


def full_ledger(root: Path) -> str:
    """Every measurement in the ledger."""
    path = root / LEDGER
    return (
        ledger.table(ledger.read(path)).markdown
        if path.is_file()
        else _missing("mien evaluate … --ledger results/private_test.jsonl")
    )


def speed(root: Path) -> str:
    """The few figures of speed and memory that a newcomer wants."""
    crops, cold, folder = (_read(root, name) for name in ("crops", "cold", "folder"))
    if crops is None or cold is None or folder is None:
        return _missing("make bench")
    read = next(row for row in cold["rows"] if row["command"] == "mien read")
    best = {row["model"]: row for row in crops["rows"] if row["batch"] == 8}
    lines = [
        f"- `{name}`: {row['faces_per_second']:,.0f} faces a second from crop to reading, by the clock, in batches of "
        f"8; {row['speed_over_torch_eager']:.1f} times torch eager"
        for name, row in best.items()
    ]
    share, most = folder["share_of_decode_and_detect"], max(folder["peak_mb"].values())
    lines += [
        (
            f"- one picture from a cold start, by `{cold['model']}`: {read['cpu_seconds']['p50']:.2f} CPU seconds, "
            f"{read['peak_mb']['p50']:.0f} MB"
        ),
        (
            f"- a folder of {folder['pictures']:,} pictures, by `{folder['model']}`: {share:.0%} of the speed of "
            f"decoding and finding faces alone, in {most:.0f} MB"
        ),
        *_video(root),
    ]
    machine = crops["machine"]
    return "\n".join([*lines, "", f"Measured on one thread of {_named(machine)}; [all figures](docs/benchmarks.md)."])


def _video(root: Path) -> list[str]:
    """Watching a video, and the same video by the package ``fer``."""
    found = _read(root, "video")
    if found is None:
        return []
    row = next(
        row
        for row in found["rows"]
        if (row["height"], row["faces"], row["detector"], row["detect_every"]) == (720, 1, "yunet", "auto")
    )
    line = f"- a video of 720p with one face, by `{found['model']}`: {row['fps']:,.0f} frames a second"
    beside = next((b["rows"] for b in found.get("fer", []) if (b["height"], b["faces"]) == (720, 1)), None)
    if beside:
        fewer = next(one["fewer_cpu_seconds"] for one in beside if one["contender"] == "mien")
        line += f", for {100 / fewer:.1f} % of the CPU time of the package `fer`"
    return [line + " ([real time](docs/realtime.md))"]


def crops_table(root: Path) -> str:
    """From crop to reading."""
    found = _read(root, "crops")
    if found is None:
        return _missing("make bench")
    rows = []
    for row in found["rows"]:
        times = [row["milliseconds"][name] for name in ("crop_to_reading", "network_onnx", "network_torch_eager")]
        rate, ratio = f"{row['faces_per_second']:,.0f}", f"{row['speed_over_torch_eager']:.1f}"
        rows.append((f"`{row['model']}`", str(row["batch"]), *map(_spread, times), rate, ratio))
    heads = ("model", "batch", "crop to reading, ms", "network alone, ms", "torch eager, ms", "faces/s", "over torch")
    goal = f"The goal is {found['goal']:,} faces a second at batch 8 with `resezap`."
    return f"{table(heads, rows)}\n\n{goal} {_footer(found)}"


def cold_table(root: Path) -> str:
    """One picture in a fresh process."""
    found = _read(root, "cold")
    if found is None:
        return _missing("make bench")
    rows = [
        (
            f"`{row['command']}`" if row["command"] != "python alone" else row["command"],
            _spread(row["cpu_seconds"]),
            _goal(row["cpu_seconds_goal"]),
            _spread(row["peak_mb"], digits=0),
            _goal(row["peak_mb_goal"]),
        )
        for row in found["rows"]
    ]
    heads = ("process", "CPU seconds", "goal", "peak memory, MB", "goal")
    said = f"{found['runs']} processes of each kind, reading by `{found['model']}`. {_footer(found)}"
    return f"{table(heads, rows)}\n\n{said}"


def folder_table(root: Path) -> str:
    """A folder of pictures."""
    found = _read(root, "folder")
    if found is None:
        return _missing("make bench")
    names = {"mien": "`mien`, decode to reading", "decode_and_detect": "decode and detect alone"}
    rows = [
        (label, _spread(found["milliseconds_per_picture"][name]), f"{found['pictures_per_second'][name]:.1f}")
        for name, label in names.items()
    ]
    memory = ", ".join(f"{mb:.0f} MB over {int(count):,} pictures" for count, mb in found["peak_mb"].items())
    return (
        f"{table(('', 'ms a picture', 'pictures/s'), rows)}\n\n"
        f"`mien` reaches {found['share_of_decode_and_detect']:.1%} of the speed of decoding and detecting alone (goal "
        f"{found['share_goal']:.0%}). Peak memory: {memory}. Detector {found['detector']}, model "
        f"`{found['model']}`. {_footer(found)}"
    )


def recall_table(root: Path) -> str:
    """Which faces are found, by their size and the picture's."""
    found = _read(root, "recall")
    if found is None:
        return _missing("python benchmarks/recall.py")
    sides = sorted({row["side"] for row in found["rows"]})
    kinds = dict.fromkeys((row["detector"], row["picture"], row["width"], row["height"]) for row in found["rows"])
    rows = []
    for kind in kinds:
        own = [row for row in found["rows"] if (row["detector"], row["picture"], row["width"], row["height"]) == kind]
        scenes = found["scenes"] * len(own)
        recalls = [
            f"{row['found'] / row['faces']:.0%} ({row['found_in_one_copy'] / row['faces']:.0%})"
            for row in sorted(own, key=lambda row: row["side"])
        ]
        false = f"{sum(r['false'] for r in own) / scenes:.2f} ({sum(r['false_in_one_copy'] for r in own) / scenes:.2f})"
        took, one, decoding = (
            median(row[name] for row in own) for name in ("seconds", "seconds_one_copy", "seconds_decode")
        )
        rows.append((kind[0], f"{kind[2]} x {kind[3]}", *recalls, false, f"{took / one:.1f}", f"{took / decoding:.1f}"))
    heads = ("detector", "picture", *(f"{side} px" for side in sides), "false", "time over one copy", "over decoding")
    said = f"{found['scenes']} scenes of up to {found['faces']} faces for each size. {_footer(found)}"
    return f"{table(heads, rows)}\n\n{said}"


def cuts_table(root: Path) -> str:
    """Hard cuts told, and what is taken for one."""
    found = _read(root, "cuts")
    if found is None:
        return _missing("python benchmarks/cuts.py")
    rows = []
    for row in found["rows"]:
        told = f"{row['found']} of {row['cuts']} ({row['found'] / row['cuts']:.1%})" if row["cuts"] else ""
        rows.append((row["film"], str(row["fps"]), f"{60 * row['hours']:.0f}", told, str(row["wrong"])))
    heads = ("film", "frames/s", "minutes", "cuts told", "false cuts")
    return f"{table(heads, rows)}\n\n{_footer(found)}"


def quality_table(root: Path) -> str:
    """How often the quality check speaks, and what it says."""
    found = _read(root, "quality")
    if found is None:
        return _missing("python benchmarks/quality.py")
    rows = []
    for row in found["rows"]:
        told = sum(row["reasons"].values())
        why = ", ".join(f"{reason} {count}" for reason, count in row["reasons"].items())
        right = [f"{row[k]:.1%}" if k in row else "" for k in ("right_where_silent", "right_where_told")]
        rows.append((row["faces"], row["detector"], f"{row['n']:,}", f"{told} ({told / row['n']:.1%})", why, *right))
    heads = (
        "faces",
        "detector",
        "read",
        "not measurable",
        "because",
        "right where it is silent",
        "right where it speaks",
    )
    return f"{table(heads, rows)}\n\nModel `{found['model']}`. {_footer(found)}"


def turned_table(root: Path) -> str:
    """Pictures that lie on their side or stand on their head."""
    found = _read(root, "turned")
    if found is None:
        return _missing("python benchmarks/turned.py JAFFE")
    rows = [
        (
            row["detector"],
            row["pictures"],
            f"{row['way']}°",
            *(str(row[key]) for key in ("of", "right", "wrong", "looks")),
        )
        for row in found["rows"]
    ]
    heads = ("detector", "pictures of 640 x 480", "turned by", "pictures", "read upright", "read another way", "time")
    return f"{table(heads, rows)}\n\n{_footer(found)}"


def face_detectors(root: Path) -> str:
    """What each face detector finds, and what it costs."""
    found = _read(root, "face_detectors")
    if found is None:
        return _missing("python benchmarks/face_detectors.py PORTRAITS BACKGROUNDS JAFFE")
    return f"{face_detector_tables.tables(found)}\n\n{_footer(found)}"


def framing_table(root: Path) -> str:
    """How FER2013 frames its faces."""
    found = _read(root, "framing")
    if found is None:
        return _missing("python benchmarks/framing.py")
    rows = []
    for name in ("yunet", "haar"):
        box = found[name]["box"]
        fractions = [f"{box[key]:.3f}" for key in ("width", "height", "shift_x", "shift_y")]
        rows.append((name, f"{found[name]['found']:,} of {found['rows']:,}", *fractions))
    boxes = table(("detector", "found", "box width", "box height", "crop's middle, x", "crop's middle, y"), rows)
    parts = ("right eye", "left eye", "nose tip", "right mouth corner", "left mouth corner")
    points = [
        (part, *(f"{value:.3f}" for value in (*used, *measured)))
        for part, used, measured in zip(parts, TEMPLATE, found["yunet"]["template"], strict=True)
    ]
    heads = ("landmark", "template, x", "template, y", "measured again, x", "measured again, y")
    return f"{boxes}\n\n{table(heads, points)}"


def explaining_table(root: Path) -> str:
    """What explaining costs."""
    found = _read(root, "explain")
    if found is None:
        return _missing("python benchmarks/explaining.py")
    cams = [
        (
            f"`{row['network']}`",
            str(row["batch"]),
            *(_spread(row["milliseconds"][name]) for name in ("forward", "gradcam")),
            f"{row['gradcam_over_forward']:.2f}",
        )
        for row in found["gradcam"]
    ]
    outputs = [
        (
            f"`{row['network']}`",
            str(row["batch"]),
            *(_spread(row["milliseconds"][name]) for name in ("without", "with", "with_maps")),
            f"{row['second_output_over_plain']:.2f}",
        )
        for row in found["second_output"]
    ]
    panel, goals = found["panel"], found["goals"]
    memory = ", ".join(f"{mb:.0f} MB with {int(n):,} faces of each" for n, mb in panel["peak_mb"].items())
    heads = ("network", "batch", "forward pass, ms", "Grad-CAM, ms", "ratio")
    heads_2 = ("network", "batch", "one output, ms", "logits of two, ms", "logits and maps, ms", "two over one")
    return (
        f"In torch, the forward pass alone and with Grad-CAM (goal for `resezap`: a ratio of "
        f"{goals['gradcam_over_forward']:g} at most):\n\n{table(heads, cams)}\n\n"
        f"In ONNX Runtime, the graph without and with its second output:\n\n{table(heads_2, outputs)}\n\n"
        f"The panel of {panel['expressions']} expressions under {panel['conditions']} conditions, "
        f"{panel['samples']:,} faces each, by Grad-CAM of `{panel['network']}`: {panel['cpu_seconds']:.0f} CPU seconds "
        f"for {panel['maps']:,} maps, the process's start included (goal {goals['panel_cpu_seconds']:.0f}). "
        f"Peak memory: {memory}. {_footer(found)}"
    )


def faithfulness_table(root: Path) -> str:
    """Deletion and insertion of the methods of each model that was explained over a dataset."""
    rows = []
    for path in sorted((root / EXPLAINED).glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        for score in found["faithfulness"]:
            if score["n"] > 1:
                areas = [bounded(score[key], score[f"{key}_interval"]) for key in ("deletion", "insertion")]
                gain = bounded(score["gain"], score["gain_interval"], signed=True)
                rows.append((f"`{found['model']}`", str(score["n"]), score["method"], *areas, gain))
    heads = ("model", "faces", "method", "deletion", "insertion", "gain over chance")
    return table(heads, rows) if rows else _missing("mien explain MODEL fer2013")


def sanity_table(root: Path) -> str:
    """How alike maps are to those of a network with fresh weights."""
    rows = []
    for path in sorted((root / EXPLAINED).glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        for check in found.get("sanity", ()):
            if check["n"] > 1:
                first, last = check["steps"][0], check["steps"][-1]
                values = [
                    bounded(step[key], step[interval])
                    for step in (first, last)
                    for key, interval in (("rank_correlation", "rank_interval"), ("similarity", "similarity_interval"))
                ]
                rows.append((f"`{found['model']}`", str(check["n"]), check["method"], *values))
    heads = ("model", "faces", "method", "head: rank", "head: SSIM", "all layers: rank", "all layers: SSIM")
    return table(heads, rows) if rows else _missing("mien explain RUN fer2013")


def evidence_table(root: Path) -> str:
    """Sum of each averaged map of ``tiny``: what speaks for the expression that the faces are labelled with."""
    path = root / EXPLAINED / "tiny-averages.json"
    if not path.is_file():
        return _missing("mien explain tiny fer2013 --split all")
    maps = json.loads(path.read_text(encoding="utf-8"))["averages"]["maps"]
    conditions = list(next(iter(maps.values())))
    rows = [
        (expression, *(f"{sum(map(sum, by_condition[name])):.2f}" for name in conditions))
        for expression, by_condition in maps.items()
    ]
    return table(("expression", *conditions), rows)


def train_speed_table(root: Path) -> str:
    """How fast networks are trained."""
    found = _read(root, "train_speed")
    if found is None:
        return _missing("python benchmarks/train_speed.py")
    return f"{table(train_tables.HEADS, train_tables.rows(found))}\n\n{train_tables.note(found)} {_footer(found)}"


def occlusion(root: Path) -> str:
    """Paper 004's occlusion study."""
    from mien.studies.occlusion_study import OcclusionStudy
    from mien.studies.occlusion_study_report import markdown

    path = root / OCCLUSION
    if not path.is_file():
        return _missing(f"mien occlusion study recipes/occlusion-*.yaml --results {OCCLUSION}")
    return markdown(OcclusionStudy.read(path))


GENERATORS: dict[str, Callable[[Path], str]] = {
    "accuracy": accuracy,
    "ledger": full_ledger,
    "speed": speed,
    "crops": crops_table,
    "cold": cold_table,
    "folder": folder_table,
    "recall": recall_table,
    "cuts": cuts_table,
    "quality": quality_table,
    "turned": turned_table,
    "face_detectors": face_detectors,
    "framing": framing_table,
    "train_speed": train_speed_table,
    "explaining": explaining_table,
    "faithfulness": faithfulness_table,
    "sanity": sanity_table,
    "evidence": evidence_table,
    "networks": lambda root: table(*network_tables.networks(root)),
    "face_networks": lambda root: table(*network_tables.face_networks(root)),
    "occlusion": occlusion,
}
"""What can stand in a document, by name."""


def _read(root: Path, name: str) -> dict[str, Any] | None:
    path = root / RESULTS / f"{name}.json"
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _missing(command: str) -> str:
    return f"Nothing has been measured yet; `{command}` does it."


def _mean(shares: Sequence[float]) -> str:
    if not shares:
        return "–"
    spread = f" ({100 * min(shares):.2f}–{100 * max(shares):.2f})" if len(shares) > 1 else ""
    return f"{100 * sum(shares) / len(shares):.2f} %{spread}"


def _spread(percentiles: dict[str, float], *, digits: int = 2) -> str:
    return f"{percentiles['p50']:.{digits}f} ({percentiles['p95']:.{digits}f})"


def _goal(value: float | None) -> str:
    return "" if value is None else f"< {value}"


def _named(machine: dict[str, Any]) -> str:
    return f"{machine['cpu']} ({machine['cores']} cores, {machine['system']})"


def _footer(found: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if version)
    threads = f"{found['threads']} thread{'' if found['threads'] == 1 else 's'}"
    return (
        f"{threads} of {_named(found['machine'])}; {versions}; {found['time'][:10]} at {short_commit(found['commit'])}."
    )


if __name__ == "__main__":
    sys.exit(main())
