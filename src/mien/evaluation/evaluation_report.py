"""An evaluation for people: its tables, its figure and its page; a comparison's and a robustness' tables."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mien.evaluation.compare import Pair
from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.robustness import Robustness
from mien.reporting.figures import BLUE, GREY, ORANGE, Drawing, canvas, style
from mien.reporting.numbers import NONE, interval, percent, with_interval
from mien.reporting.pages import Part, page
from mien.reporting.panels import draw_confusion
from mien.reporting.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print the figures, the scores of each expression, the confusion matrix and the slices."""
    overall = Table(_title(evaluation), ("", ""), tuple(summary(evaluation)), words=(0, 1))
    for table in (overall, *tables(evaluation)):
        table.print(console=console)
        console.print()


def print_comparison(pairs: Sequence[Pair], accuracies: dict[str, float], console: Console) -> None:
    """Print each model's accuracy and each pair's difference with its tests."""
    models = tuple((name, percent(value)) for name, value in accuracies.items())
    Table(f"Accuracy on the same {pairs[0].n:,} rows", ("model", "accuracy"), models).print(console=console)
    console.print()
    heads = ("first − second", "points", "95 % interval", "only first", "only second", "bootstrap p", "McNemar p")
    tests = tuple(
        (
            f"{pair.first} − {pair.second}",
            f"{100 * pair.difference:+.2f}",
            f"{100 * pair.difference_interval[0]:+.2f} to {100 * pair.difference_interval[1]:+.2f}",
            str(pair.only_first),
            str(pair.only_second),
            f"{pair.bootstrap_p:.2g}",
            f"{pair.mcnemar_p:.2g}",
        )
        for pair in pairs
    )
    note = "First less second; only first: rows that the first alone gets right"
    Table("Differences", heads, tests).print(note, console)


def print_robustness(robustness: Robustness, console: Console) -> None:
    """Print what corruptions take away, each at its severities, and the accuracy on the faces that are kept."""
    heads = ("corruption", "severity", "accuracy", "95 % interval", "points lost", "ECE")
    rows = tuple(
        (
            row.kind,
            row.severity,
            percent(row.accuracy.value),
            interval(row.accuracy.interval),
            f"{100 * row.lost.value:.2f}",
            percent(row.expected_calibration_error),
        )
        for row in robustness.conditions
    )
    Table(f"{robustness.model} under corruption", heads, rows, words=(0, 1)).print(console=console)
    console.print(f"mean corruption accuracy {with_interval(robustness.mean_corruption)}")
    console.print(f"accuracy on the surest 80 % of the faces {with_interval(robustness.kept_accuracy)}")


def summary(evaluation: Evaluation) -> list[tuple[str, str]]:
    """The figures over all rows, as names and texts in reading order."""
    leak_free = "no earlier split to leak from"
    if evaluation.accuracy_without_leaks is not None:
        leak_free = f"{percent(evaluation.accuracy_without_leaks)} of {evaluation.n_without_leaks:,}"
    rows = [
        ("accuracy", f"{percent(evaluation.accuracy)} ({interval(evaluation.accuracy_interval)})"),
        ("without leaked rows", leak_free),
        ("top 2", percent(evaluation.top_2_accuracy)),
        ("macro F1", percent(evaluation.macro_f1)),
        ("balanced accuracy", percent(evaluation.balanced_accuracy)),
        ("log loss", f"{evaluation.log_loss:.4f}"),
        ("expected calibration error", percent(evaluation.expected_calibration_error)),
    ]
    if evaluation.coverage is not None and evaluation.mean_candidates is not None:
        sets = f"{percent(evaluation.coverage)} hold the truth, {evaluation.mean_candidates:.2f} expressions on average"
        rows.append(("candidate sets", sets))
    return [
        *rows,
        ("rows", f"{evaluation.n:,}"),
        ("protocol", evaluation.protocol),
        ("parameters", f"{evaluation.parameters:,}"),
        ("sha256", evaluation.identity),
    ]


def tables(evaluation: Evaluation) -> tuple[Table, Table, Table]:
    """The scores of each expression, the confusion matrix and the slices."""
    has_sets = evaluation.coverage is not None
    heads = ("expression", "n", "precision", "recall", "F1", *(("coverage", "candidates") if has_sets else ()))
    classes = []
    for row in evaluation.classes:
        cells = (row.label, f"{row.support:,}", percent(row.precision), percent(row.recall), percent(row.f1))
        sets = (percent(row.coverage), NONE if row.mean_candidates is None else f"{row.mean_candidates:.2f}")
        classes.append((*cells, *(sets if has_sets else ())))
    confusion = tuple(
        (str(label), *(str(count) for count in counts))
        for label, counts in zip(evaluation.labels, evaluation.confusion_matrix, strict=True)
    )
    slices = tuple(
        (part.column, part.value, f"{part.n:,}", percent(part.accuracy), interval(part.accuracy_interval))
        for part in evaluation.slices
    )
    names = tuple(map(str, evaluation.labels))
    return (
        Table("Expressions", heads, tuple(classes)),
        Table("Confusion: rows are the truth, columns the prediction", ("", *names), confusion),
        Table("Slices", ("slice", "value", "n", "accuracy", "95 % interval"), slices, words=(0, 1)),
    )


def html(evaluation: Evaluation) -> str:
    """A page of HTML that needs no other file: figures, expressions, slices, the picture inside.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    sections: dict[str, Sequence[Part]] = {"At a glance": [draw(evaluation)]}
    sections |= {table.caption: [table] for table in tables(evaluation)}
    return page(_title(evaluation), [], sections, facts=summary(evaluation))


def draw(evaluation: Evaluation) -> Drawing:
    """Confusion matrix, confusion vector and reliability diagram in one figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    low, high = evaluation.accuracy_interval
    with style():
        figure, axes = canvas(1, 3, height=3.9, width=10.0, width_ratios=(1.3, 0.75, 1))
        left, middle, right = axes[0]
        figure.suptitle(
            f"{_title(evaluation)}, n = {evaluation.n:,}: accuracy {100 * evaluation.accuracy:.2f} % "
            f"({100 * low:.2f}–{100 * high:.2f})\n{textwrap.fill(evaluation.protocol, 160)}"
        )
        image = draw_confusion(left, evaluation.confusion_matrix, list(map(str, evaluation.labels)), with_counts=True)
        bar = figure.colorbar(image, ax=left, shrink=0.8)
        bar.set_label("share of the true expression")
        bar.outline.set_visible(False)
        left.set_title("Confusion matrix")
        _vector(middle, evaluation)
        _reliability(right, evaluation)
    return Drawing(
        figure,
        "Confusion matrix, rate correct of each expression, and reliability diagram; the tables hold the same numbers",
    )


def _title(evaluation: Evaluation) -> str:
    return f"{evaluation.model} on {evaluation.dataset}/{evaluation.split}"


def _vector(axes: Axes, evaluation: Evaluation) -> None:
    positions = range(len(evaluation.classes))
    rates = [score.recall for score in evaluation.classes]
    axes.barh(positions, [100 * (rate or 0.0) for rate in rates], color=BLUE)
    for position, rate in zip(positions, rates, strict=True):
        words = "no rows" if rate is None else f"{100 * rate:.0f} %"
        axes.text(100 * (rate or 0.0) + 1.5, position, words, va="center", fontsize=7)
    axes.set_yticks(positions, [f"{score.label} ({score.support:,})" for score in evaluation.classes])
    axes.invert_yaxis()
    axes.set_xlim(0, 120)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("rate correct, %")
    axes.set_title("Confusion vector")


def _reliability(axes: Axes, evaluation: Evaluation) -> None:
    confidence = [part.confidence for part in evaluation.reliability]
    right = [part.accuracy for part in evaluation.reliability]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    axes.plot(confidence, right, color=ORANGE, marker="o", markersize=4, label=f"{len(confidence)} bins of equal mass")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence", ylabel="accuracy")
    axes.set_title(f"Reliability: calibration error {100 * evaluation.expected_calibration_error:.2f} %")
    axes.legend(loc="upper left")
