"""Faces of a dataset with truth and reading below: random ones, confident mistakes, uncertain ones.

A gallery shows faces of the dataset it is made of. It is a file for whoever made it; research data must not be
published, and its licence stands on the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError
from mien.core.expression import Expression, Labels, label_indices
from mien.core.predictor import Predictor
from mien.core.preprocess import Image
from mien.data.dataset import Dataset
from mien.evaluation.protocol import predict
from mien.reporting.figures import BLUE, ORANGE, WIDTH, Drawing, canvas, style
from mien.reporting.pages import Part, write_page
from mien.reporting.tables import Table

Kind = Literal["random", "mistakes", "uncertain"]

KINDS: dict[str, str] = {
    "random": "random faces",
    "mistakes": "most confident mistakes",
    "uncertain": "most uncertain faces",
}
"""What a gallery can show, in words. Uncertain is what has the highest entropy."""

_COLUMNS = 6
_NAMED = 3


@dataclass(frozen=True, eq=False)
class Gallery:
    """Faces with truth and reading.

    Attributes:
        model: the predictor's name.
        dataset: whose faces.
        split: which part.
        licence: what the dataset's owner allows.
        kind: how they were chosen.
        asked: how many were asked for.
        labels: the predictor's outputs.
        crops: ``(n, …)`` uint8, n at most ``asked``.
        truth: ``(n,)`` true class of each.
        probabilities: ``(n, K)`` calibrated.
        rows: ``(n,)`` positions in the owner's file.
        expression: whose faces alone were chosen from; None for all.
        files: ``(n,)`` the file of each, where each row is one.
    """

    model: str
    dataset: str
    split: str
    licence: str
    kind: Kind
    asked: int
    labels: Labels
    crops: Image
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    rows: NDArray[np.int64]
    expression: Expression | None = None
    files: NDArray[np.generic] | None = None

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.crops)

    @property
    def title(self) -> str:
        """What it shows: ``"tiny on fer2013/private: most confident mistakes, happy"``."""
        of = "" if self.expression is None else f", {self.expression}"
        return f"{self.model} on {self.dataset}/{self.split}: {KINDS[self.kind]}{of}"

    @property
    def shortage(self) -> str | None:
        """Says how many there are, where they are fewer than asked for."""
        if len(self) == self.asked:
            return None
        what = "mistakes" if self.kind == "mistakes" else "faces"
        of = "" if self.expression is None else f" of {self.expression}"
        return f"{self.asked} were asked for, there are only {len(self)} {what}{of} in {self.dataset}/{self.split}"

    def reading(self, index: int) -> str:
        """The most probable expressions of one face: ``"happy 0.93, sad 0.04, neutral 0.02"``."""
        row = self.probabilities[index]
        return ", ".join(f"{self.labels[k]} {row[k]:.2f}" for k in np.argsort(-row, kind="stable")[:_NAMED])


def choose(
    probabilities: NDArray[np.float32], truth: NDArray[np.int64], kind: Kind, *, count: int, seed: int = 0
) -> NDArray[np.int64]:
    """Positions of at most ``count`` rows, in the order in which they are shown.

    Args:
        probabilities: ``(n, K)``.
        truth: ``(n,)`` true classes.
        kind: ``random`` draws from ``seed``, ``mistakes`` are the wrong answers by falling confidence, ``uncertain``
            are all rows by falling entropy.
        count: how many.
        seed: of the draw.
    """
    if kind == "random":
        return np.random.default_rng(seed).permutation(len(truth))[:count]
    if kind == "mistakes":
        wrong = np.flatnonzero(probabilities.argmax(axis=1) != truth)
        return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]
    floor = np.maximum(probabilities.astype(np.float64), np.finfo(np.float64).tiny)
    entropy = -(floor * np.log(floor)).sum(axis=1)
    return np.argsort(-entropy, kind="stable")[:count]


def gallery(
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str,
    kind: Kind = "random",
    count: int = 24,
    expression: str | None = None,
    unknown: Literal["refuse", "drop"] = "refuse",
    seed: int = 0,
) -> Gallery:
    """Choose faces of one split and read them.

    Args:
        predictor: a torch network, an ONNX file, an ensemble.
        dataset: all its splits, cropped to ``predictor.input``.
        split: which part.
        kind: how faces are chosen, see :func:`choose`.
        count: how many; :attr:`Gallery.shortage` says so where there are fewer.
        expression: choose among faces of this expression alone.
        unknown: what becomes of rows whose class the predictor cannot give.
        seed: of the random draw.

    Raises:
        DatasetError: no such split, crops of another shape, or not one face to choose.
        LabelError: the labels do not fit, or the model does not know ``expression``.
    """
    wanted = None
    if expression is not None:
        wanted = int(label_indices(predictor.labels, expression, 1, predictor.name)[0])
    answers = predict(predictor, dataset, split=split, unknown=unknown)
    rows, probabilities = answers.dataset, answers.probabilities
    among = np.arange(len(rows)) if wanted is None else np.flatnonzero(rows.indices == wanted)
    chosen = among[choose(probabilities[among], rows.indices[among], kind, count=count, seed=seed)]
    if not len(chosen):
        of = "" if wanted is None else f" of {predictor.labels[wanted]}"
        what = "mistakes" if kind == "mistakes" and len(among) else "faces"
        raise DatasetError(f"{dataset.name}/{split} has no {what}{of} for {predictor.name}: there is nothing to show")
    return Gallery(
        model=predictor.name,
        dataset=rows.name,
        split=split,
        licence=rows.licence,
        kind=kind,
        asked=count,
        labels=predictor.labels,
        crops=rows.images[chosen],
        truth=rows.indices[chosen],
        probabilities=probabilities[chosen],
        rows=rows.rows[chosen],
        expression=None if wanted is None else predictor.labels[wanted],
        files=rows.metadata["file"][chosen] if "file" in rows.metadata else None,
    )


def draw(shown: Gallery) -> Drawing:
    """The faces with truth and reading below each; a wrong reading is orange and begins with a cross."""
    columns = min(_COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    with style():
        figure, axes = canvas(lines, columns, height=1.72 * lines + 0.35, width=max(WIDTH / _COLUMNS * columns, 3.0))
        for place in axes.flat:
            place.set_axis_off()
        for index, place in enumerate(axes.flat[: len(shown)]):
            place.imshow(shown.crops[index], cmap="gray", vmin=0, vmax=255)
            place.set_title(f"true: {shown.labels[shown.truth[index]]}", fontsize=7, y=-0.18)
            right = shown.probabilities[index].argmax() == shown.truth[index]
            words = ("✓ " if right else "✗ ") + shown.reading(index).replace(", ", "\n")
            ink = BLUE if right else ORANGE
            place.text(0.5, -0.2, words, transform=place.transAxes, ha="center", va="top", fontsize=7, color=ink)
        figure.suptitle(shown.title)
    return Drawing(figure, f"{len(shown)} faces: {shown.title}; the table names truth and reading of each")


def write(shown: Gallery, folder: Path) -> list[Path]:
    """Write ``KIND.html``, ``KIND.png`` and ``KIND.svg``.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    drawing = draw(shown)
    notes = [f"Faces of {shown.dataset}; licence: {shown.licence}. For your own eyes: do not publish them."]
    if shown.shortage:
        notes.append(f"{shown.shortage}.")
    sections: dict[str, list[Part]] = {"": [drawing, table(shown)]}
    return write_page(folder / f"{shown.kind}.html", shown.title, notes, sections, figures={shown.kind: drawing})


def table(shown: Gallery) -> Table:
    """Row or file, truth and reading of each face, in the figure's order."""
    which = shown.rows if shown.files is None else shown.files
    rows = (
        (str(which[index]), str(shown.labels[shown.truth[index]]), shown.reading(index)) for index in range(len(shown))
    )
    first = "row in the dataset" if shown.files is None else "file"
    return Table("Truth and reading", (first, "truth", "reading"), tuple(rows), words=(0, 1, 2))
