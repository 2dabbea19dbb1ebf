"""Curves and confusion matrices of a study, in the style that all figures of explanations share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mien.explain.figure import BLUE, ORANGE, WIDTH, Drawing, canvas, style

if TYPE_CHECKING:
    from mien.studies.tables import Row


def curves_figure(rows: Sequence[Row]) -> Drawing | None:
    """Loss and accuracy against the epoch, train beside validation: a row of panels for each cell; None without any."""
    curves = [(row.cell.title, t) for row in rows if row.result and (t := row.result.training) and t.curve]
    if not curves:
        return None
    with style():
        figure, grid = canvas(len(curves), 2, height=1.9 * len(curves), width=WIDTH)
        for axes, (title, training) in zip(grid, curves, strict=True):
            epochs = range(1, len(training.curve) + 1)
            for place, what in zip(axes, ("loss", "accuracy"), strict=True):
                for split, colour in (("train", BLUE), ("validation", ORANGE)):
                    values = [getattr(point, f"{split}_{what}") for point in training.curve]
                    place.plot(epochs, values, color=colour, label=split, linewidth=1)
                if training.turn is not None:
                    place.axvline(training.turn, color="#999999", linewidth=0.8, linestyle=":")
                place.set(xlabel="epoch", ylabel=what)
            axes[0].set_title(title)
        grid[0][0].legend(frameon=False)
    turns = {title: "does not turn" if t.turn is None else f"turns at epoch {t.turn}" for title, t in curves}
    words = "; ".join(f"{title}: validation loss {said}" for title, said in turns.items())
    return Drawing(figure, f"Curves of loss and accuracy, train and validation. {words}")


def confusion_figure(rows: Sequence[Row]) -> Drawing | None:
    """Confusion matrices as shares of the true expression, up to two beside each other; None without any."""
    found = [(row.cell.title, s) for row in rows if row.result and (s := row.result.score) and s.confusion]
    if not found:
        return None
    lines = (len(found) + 1) // 2
    with style():
        figure, grid = canvas(lines, 2, height=3.1 * lines, width=WIDTH)
        flat = np.asarray(grid).reshape(-1)
        for axes in flat[len(found) :]:
            axes.axis("off")
        for axes, (title, score) in zip(flat, found, strict=False):
            counts = np.array(score.confusion)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
            for (row, column), share in np.ndenumerate(shares):
                ink = "black" if share > 0.5 else "white"
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=6)
            axes.set_xticks(range(len(score.labels)), score.labels, rotation=40, ha="right")
            axes.set_yticks(range(len(score.labels)), score.labels)
            axes.set(xlabel="answer", ylabel="truth", title=f"{title}\n{100 * score.accuracy:.1f} % of {score.n:,}")
    words = "; ".join(f"{title} {100 * score.accuracy:.1f} %" for title, score in found)
    return Drawing(figure, f"Confusion matrices, shares of the true expression in per cent. Accuracy: {words}")
