"""The occlusion study as tables, two figures and one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.core.errors import ConfigError
from mien.evaluation.regions import BANDS, FILLS, Fill
from mien.explain.occlusion import OPEN, Covered
from mien.reporting.figures import BLUE, GREEN, GREY, ORANGE, WIDTH, Drawing, canvas, style
from mien.reporting.numbers import NONE, hundredths, span, tenths
from mien.reporting.pages import Part, write_page
from mien.reporting.panels import draw_intervals, lost_recall
from mien.reporting.tables import Table
from mien.studies.occlusion_study import TRAINED, Arm, OcclusionStudy, further_regions
from mien.studies.pooled_rows import ALL, CONDITIONS

SERIES = (("own", "the same cover", BLUE, "o"), (OPEN, "open faces", ORANGE, "s"), (ALL, "all four", GREEN, "^"))
"""Networks by what they were trained under: key, words, colour and marker."""


def print_study(study: OcclusionStudy) -> None:
    """Print the tables to the terminal."""
    for table in tables(study):
        table.print(f"in per cent; {study.protocol.tested_rows:,} faces; 95 % intervals")


def write(study: OcclusionStudy, folder: Path) -> list[Path]:
    """Write ``study.html`` and both figures as PNG and SVG.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    accuracy, recall = accuracy_figure(study), recall_figure(study)
    sections: dict[str, Sequence[Part]] = {"Accuracy": [accuracy], "Recall": [recall]}
    sections["Every network under every cover"] = tables(study)
    return write_page(
        folder / "study.html",
        "Occlusion study after paper 004",
        describe(study),
        sections,
        figures={"study-accuracy": accuracy, "study-recall": recall},
    )


def describe(study: OcclusionStudy) -> list[str]:
    """The protocol in sentences, then one paragraph for each arm."""
    p = study.protocol
    counts = ", ".join(f"{n:,} {label}" for label, n in p.counts.items())
    first = (
        f"{p.dataset}, all splits pooled: {counts}. Random parts, each expression alike (seed {p.seed}): "
        f"{p.fitted_rows:,} faces fit the weights, {p.chosen_rows:,} choose the epoch, {p.tested_rows:,} "
        f"({p.share:.0%}) report. The very pixels of {p.leaked_rows:,} of these also stand among the others; the "
        "figures without them stand beside. Bands of ten rows of white noise (or grey) from row "
        f"{p.band_rows['eyes']} (eyes), {p.band_rows['nose']} (nose), {p.band_rows['mouth']} (mouth) of 48, the noise "
        "fresh for each face."
    )
    return [first, *(_describe(arm) for arm in study.arms)]


def tables(study: OcclusionStudy) -> list[Table]:
    """All tables, those of each arm in its turn."""
    parts = [own_table(study)]
    for arm in study.arms:
        parts += [*(cross_table(arm, fill) for fill in FILLS), recall_table(arm)]
        if any(test.scores.region == region.name for region in further_regions() for test in arm.tests):
            parts.append(regions_table(arm))
    return parts


def markdown(study: OcclusionStudy) -> str:
    """Protocol and tables in Markdown, and with what they were made."""
    parts = describe(study)
    for table in tables(study):
        parts += [f"**{table.caption}**", table.markdown]
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    parts.append(f"{study.time[:10]}; {versions}.")
    return "\n\n".join(parts)


def own_table(study: OcclusionStudy) -> Table:
    """Each network under the condition that it was trained for, beside the paper's."""
    heads = ["trained and tested under", "paper 004"]
    for arm in study.arms:
        heads += [arm.name.removeprefix("occlusion-"), "without leaked faces"]
    rows = []
    for condition in CONDITIONS:
        cells = [condition, hundredths(study.paper[condition])]
        for arm in study.arms:
            scores = arm.scores(condition, _region(condition))
            cells += [_interval(scores), _clean(scores)]
        rows.append(tuple(cells))
    return Table("One network for each condition", tuple(heads), tuple(rows))


def cross_table(arm: Arm, fill: Fill) -> Table:
    """Every network under every condition; a dash where it was not tested."""

    def cell(trained: str, condition: str) -> str:
        try:
            return _interval(arm.scores(trained, _region(condition), fill))
        except KeyError:
            return NONE

    rows = [(trained, *(cell(trained, condition) for condition in CONDITIONS)) for trained in TRAINED]
    name = arm.name.removeprefix("occlusion-")
    caption = f"{name}: accuracy by what it was trained under (rows, noise) and is tested under (columns, {fill})"
    return Table(caption, ("trained under", *CONDITIONS), tuple(rows))


def recall_table(arm: Arm) -> Table:
    """Recall that each expression loses against the network of open faces on open faces."""
    labels = [loss.label for loss in arm.scores(OPEN, OPEN).classes]
    rows = []
    for condition in CONDITIONS[1:]:
        for key, words, *_ in SERIES:
            scores = arm.scores(condition if key == "own" else key, _region(condition))
            rows.append((condition, words, *(f"{tenths(c.lost)} ({span(c.lost_interval)})" for c in scores.classes)))
    open_recalls = (f"of {tenths(loss.recall)}" for loss in arm.scores(OPEN, OPEN).classes)
    name = arm.name.removeprefix("occlusion-")
    return Table(
        f"{name}: recall lost under noise, points",
        ("covered", "trained under", *labels),
        ((OPEN, "open faces", *open_recalls), *rows),
        words=(0, 1),
    )


def regions_table(arm: Arm) -> Table:
    """The networks of open faces and of all four conditions under further regions."""
    columns: tuple[tuple[str, Fill], ...] = ((OPEN, "noise"), (OPEN, "grey"), (ALL, "noise"))
    rows = [
        (region.name, *(_interval(arm.scores(trained, region.name, fill)) for trained, fill in columns))
        for region in further_regions()
    ]
    heads = [f"trained under {trained}, {fill}" for trained, fill in columns]
    return Table(f"{arm.name.removeprefix('occlusion-')}: further regions", ("covered", *heads), tuple(rows))


def accuracy_figure(study: OcclusionStudy) -> Drawing:
    """Accuracy under each condition by what the network was trained under: a panel for each arm, the paper in each."""
    with style():
        figure, grid = canvas(1, len(study.arms), height=2.8, width=min(WIDTH, 3.7 * len(study.arms)), sharey=True)
        at = np.arange(len(CONDITIONS))
        for axes, arm in zip(grid[0], study.arms, strict=True):
            for place, (key, words, colour, marker) in enumerate(SERIES):
                found = [arm.scores(c if key == "own" else key, _region(c)) for c in CONDITIONS]
                draw_intervals(
                    axes,
                    [(scores.accuracy, scores.accuracy_interval) for scores in found],
                    at + 0.16 * (place - 0.5),
                    mark=(marker, colour),
                    label=f"trained under {words}",
                )
            paper = [100 * study.paper[condition] for condition in CONDITIONS]
            axes.plot(at - 0.24, paper, "D", color=GREY, markersize=4, label="paper 004 (GoogLeNet)")
            axes.set_xticks(at, CONDITIONS)
            axes.set_xlabel("covered with white noise")
            axes.set_title(arm.name.removeprefix("occlusion-"))
            axes.grid(axis="y")
        grid[0, 0].set_ylabel("accuracy, %")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2 if len(study.arms) == 1 else 4)
    lines = [
        f"{arm.name} " + ", ".join(f"{c} {tenths(arm.scores(c, _region(c)).accuracy)} %" for c in CONDITIONS)
        for arm in study.arms
    ]
    return Drawing(
        figure, f"Accuracy with parts of the face covered, each network under its own cover: {'; '.join(lines)}"
    )


def recall_figure(study: OcclusionStudy) -> Drawing:
    """Recall that each expression loses under noise: a panel for each arm, one scale for all."""
    labels = [str(label) for label in study.protocol.labels]
    names = [f"{condition}, {words}" for condition in CONDITIONS[1:] for _, words, *_ in SERIES]
    panels = [
        100
        * np.array(
            [
                [loss.lost for loss in arm.scores(condition if key == "own" else key, _region(condition)).classes]
                for condition in CONDITIONS[1:]
                for key, *_ in SERIES
            ]
        )
        for arm in study.arms
    ]
    worst = ", ".join(
        f"{values.max():.0f} points for {arm.name}" for arm, values in zip(study.arms, panels, strict=True)
    )
    return lost_recall(
        panels,
        titles=[arm.name.removeprefix("occlusion-") for arm in study.arms],
        rows=names,
        labels=labels,
        ylabel="covered, trained under",
        lines=(2.5, 5.5),
        alt=f"Recall that each of {', '.join(labels)} loses under noise over eyes, nose and mouth, by what the network "
        f"was trained under; the most is {worst}",
    )


def _describe(arm: Arm) -> str:
    kept = ", ".join(f"{one.condition} {one.kept} of {one.epochs}" for one in arm.networks)
    side = f"{arm.input_size} x {arm.input_size} pixels"
    commit = f", mien {arm.commit[:7]}" if arm.commit else ""
    return (
        f"{arm.name}: {arm.summary}; {arm.trained_values:,} of {arm.values:,} values trained, pictures of {side}. "
        f"Epochs kept: {kept}. Seed {arm.seed}, {arm.device}{commit}."
    )


def _region(condition: str) -> str:
    if condition not in CONDITIONS:
        raise ConfigError(f"'{condition}' is no condition of the study: {', '.join(CONDITIONS)}")
    return OPEN if condition == OPEN else BANDS[condition].name


def _interval(scores: Covered) -> str:
    return f"{hundredths(scores.accuracy)} ({span(scores.accuracy_interval)})"


def _clean(scores: Covered) -> str:
    return hundredths(scores.accuracy_without_leaks)
