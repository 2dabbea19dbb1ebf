"""The picture of an evaluation: confusion matrix, confusion vector and reliability diagram."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from mien.core.errors import MissingExtraError
from mien.evaluation.result import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
"""From Okabe & Ito's palette, told apart by every kind of colour vision."""


def render(evaluation: Evaluation) -> bytes:
    """The picture as PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    buffer = io.BytesIO()
    draw(evaluation).savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def draw(evaluation: Evaluation) -> Figure:
    """The picture as a matplotlib figure that no global state knows of.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "the evaluation's figure") from None
    figure = Figure(figsize=(17, 6), layout=ConstrainedLayoutEngine(wspace=0.05))
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.35, 0.8, 1))
    low, high = evaluation.accuracy_interval
    figure.suptitle(
        f"{evaluation.model} on {evaluation.dataset}/{evaluation.split}, n = {evaluation.n:,}: "
        f"accuracy {100 * evaluation.accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f})\n"
        f"{textwrap.fill(evaluation.protocol, 180)}",
        fontsize=12,
    )
    _confusion(figure, left, evaluation)
    _vector(middle, evaluation)
    _reliability(right, evaluation)
    return figure


def _confusion(figure: Figure, axes: Axes, evaluation: Evaluation) -> None:
    counts = np.array(evaluation.confusion_matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8)
    bar.set_label("share of the true expression")
    for (row, column), count in np.ndenumerate(counts):
        share = float(shares[row, column])
        ink = "black" if share > 0.5 else "white"
        axes.text(column, row, f"{100 * share:.0f} %\n{count:,}", ha="center", va="center", color=ink, fontsize=8)
    names = [str(label) for label in evaluation.labels]
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Confusion matrix")


def _vector(axes: Axes, evaluation: Evaluation) -> None:
    positions = range(len(evaluation.classes))
    rates = [score.recall for score in evaluation.classes]
    axes.barh(positions, [100 * (rate or 0.0) for rate in rates], color=BLUE)
    for position, rate in zip(positions, rates, strict=True):
        words = "no rows" if rate is None else f"{100 * rate:.0f} %"
        axes.text(100 * (rate or 0.0) + 1.5, position, words, va="center", fontsize=9)
    axes.set_yticks(positions, [f"{score.label} ({score.support:,})" for score in evaluation.classes])
    axes.invert_yaxis()
    axes.set_xlim(0, 115)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("rate correct, %")
    axes.set_title("Confusion vector")
    axes.spines[["top", "right"]].set_visible(False)


def _reliability(axes: Axes, evaluation: Evaluation) -> None:
    confidence = [part.confidence for part in evaluation.reliability]
    right = [part.accuracy for part in evaluation.reliability]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    axes.plot(confidence, right, color=ORANGE, marker="o", label=f"{len(confidence)} bins of equal mass")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence", ylabel="accuracy")
    axes.set_title(f"Reliability: calibration error {100 * evaluation.expected_calibration_error:.2f} %")
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
