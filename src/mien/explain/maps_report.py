"""What ``mien explain`` finds, as figures, tables, numbers and one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import label_indices
from mien.core.heatmap import enlarge
from mien.core.predictor import Predictor, softmax
from mien.core.preprocess import Image
from mien.explain.average import Averages, Maps
from mien.explain.faithfulness import Faithfulness
from mien.reporting.figures import BLUE, GREEN, ORANGE, PINK, Drawing, canvas, style
from mien.reporting.numbers import bounded
from mien.reporting.pages import Part, write_page
from mien.reporting.panels import maps_panel
from mien.reporting.tables import Table

if TYPE_CHECKING:
    from mien.explain.sanity import Sanity

Floats = NDArray[np.float32]

SCALE = "share of each map's largest amount"

NOTES = (
    (
        "A map shows which places of a face move the network's logit for one expression. It tells where the network "
        "looked, not whether it was right, and nothing of what a person feels."
    ),
    (
        "Class activation maps, Grad-CAM and Grad-CAM++ keep only what speaks for the expression (ReLU), at the few "
        "places of the last feature map, which are enlarged here: a place is known to about one of them. Integrated "
        "gradients and occlusion sensitivity have a sign: plus speaks for the expression, minus against it."
    ),
)
"""What a reader of the page must know of the maps."""

HEADINGS = {
    "methods": "What each method shows",
    "expressions": "One face, every expression",
    "faithfulness": "Whether the maps tell the truth of the network",
    "sanity": "Whether the maps depend on what was learnt",
    "averages": "Averages over many faces",
    "averages-three": "Averages of paper 004's expressions",
}
"""Of the page's sections, by the names of drawings and tables."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Crops and what is explained of each.

    Attributes:
        crops: ``(n, h, w)`` or ``(n, h, w, 3)`` uint8.
        names: what figures call each.
        expressions: the logit that is explained of each.
        probabilities: of those expressions, ``(n,)``.
    """

    crops: Image
    names: tuple[str, ...]
    expressions: tuple[str, ...]
    probabilities: tuple[float, ...]

    @classmethod
    def read(cls, network: Predictor, crops: Image, names: Sequence[str], expression: str | None = None) -> Faces:
        """What the network reads in each crop, or one expression for all.

        Raises:
            LabelError: the network does not know the expression.
        """
        probabilities = softmax(network.logits(crops), network.temperature)
        chosen = probabilities.argmax(axis=1)
        if expression is not None:
            chosen = label_indices(network.labels, expression, len(crops), network.name)
        return cls(
            crops,
            tuple(names),
            tuple(str(network.labels[index]) for index in chosen),
            tuple(float(row[index]) for row, index in zip(probabilities, chosen, strict=True)),
        )

    @property
    def greys(self) -> list[NDArray[np.uint8]]:
        """The crops in grey, to lay maps over."""
        if self.crops.ndim == 3:
            return list(self.crops)
        return list(np.round(self.crops.mean(axis=3)).astype(np.uint8))


def methods_figure(faces: Faces, maps: Mapping[str, Floats]) -> Drawing:
    """Each face, and each method's map over it, scaled to its own largest amount."""
    side = faces.crops.shape[1]
    columns = {title: enlarge(of_method, side) for title, of_method in maps.items()}
    rows: list[list[Floats | None]] = [
        [None, *(_scaled(values[index]) for values in columns.values())] for index in range(len(faces.crops))
    ]
    names = [
        f"{name}\n{expression} {probability:.0%}".replace("%", " %").strip()
        for name, expression, probability in zip(faces.names, faces.expressions, faces.probabilities, strict=True)
    ]
    return maps_panel(
        rows,
        rows=names,
        columns=["what the network sees", *columns],
        unit=SCALE,
        alt=f"{len(names)} face{'s' * (len(names) > 1)} with maps of {', '.join(columns)} for "
        f"{', '.join(faces.expressions)}, each scaled to its own largest amount.",
        faces=[[face] * (len(columns) + 1) for face in faces.greys],
        side=1.15,
    )


def expressions_figure(network: Predictor, method: Maps, title: str, crop: Image, name: str) -> Drawing:
    """One face, and one method's map for every expression that the network knows, under one scale.

    Best with a method that keeps what speaks against an expression: most maps are of expressions not shown.
    """
    labels = [str(label) for label in network.labels]
    crops = np.repeat(crop[None], len(labels), axis=0)
    maps = enlarge(method(network, crops, labels), crop.shape[0])
    faces = Faces.read(network, crop[None], [name])
    probabilities = softmax(network.logits(crop[None]), network.temperature)[0]
    columns = [f"{label} {value:.0%}".replace("%", " %") for label, value in zip(labels, probabilities, strict=True)]
    return maps_panel(
        [list(maps)],
        rows=[name],
        columns=columns,
        unit=f"{title} with its sign, in units of the logit",
        alt=f"{title} of one face for each expression under one scale. The network reads {faces.expressions[0]}.",
        faces=[faces.greys * len(labels)],
    )


def faithfulness_table(scores: Sequence[Faithfulness]) -> Table:
    """Deletion and insertion of each method, with intervals where there is more than one face."""
    n = scores[0].n
    heads = ("method", "deletion", "insertion", "gain over chance")
    rows = (
        (
            score.method,
            _number(score.deletion, score.deletion_interval, n),
            _number(score.insertion, score.insertion_interval, n),
            _number(score.gain, score.gain_interval, n, signed=True),
        )
        for score in scores
    )
    caption = (
        f"Area under the curves of {n:,} face{'s' * (n > 1)}: deletion is better small, insertion large; the gain is "
        "insertion less deletion, less that of the better random map"
    )
    return Table(caption, heads, tuple(rows))


def sanity_figure(results: Sequence[Sanity]) -> Drawing:
    """How alike each method's maps stay while the layers get fresh weights, from the logits downwards."""
    looks = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PINK, "D"))
    with style():
        figure, axes = canvas(1, 2, height=3.1, sharey=True)
        for result, (colour, marker) in zip(results, looks, strict=False):
            places = np.arange(1, len(result.steps) + 1)
            for axis, what, spread in (
                (axes[0, 0], "rank_correlation", "rank_interval"),
                (axes[0, 1], "similarity", "similarity_interval"),
            ):
                values = np.array([1.0, *(getattr(step, what) for step in result.steps)])
                bounds = np.array([(1.0, 1.0), *(getattr(step, spread) for step in result.steps)])
                at = np.array([0, *places])
                axis.fill_between(at, bounds[:, 0], bounds[:, 1], color=colour, alpha=0.15, linewidth=0)
                axis.plot(at, values, color=colour, marker=marker, markersize=3, linewidth=1, label=result.method)
        names = ["trained", *(step.layer for step in results[0].steps)]
        for axis, title in zip(axes[0], ("rank correlation", "structural similarity"), strict=True):
            axis.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
            axis.axhline(0, color="#999999", linewidth=0.6)
            axis.set(title=title)
        axes[0, 0].set_ylabel("with the trained network's map")
        figure.supxlabel("fresh weights from the logits down to …", fontsize=8)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    ends = ", ".join(f"{r.method} {r.steps[-1].rank_correlation:.2f}" for r in results)
    alt = "Rank correlation and structural similarity of maps with those of the trained network, falling as layers "
    return Drawing(figure, f"{alt}get fresh weights; rank correlation at the end: {ends}.")


def sanity_table(results: Sequence[Sanity]) -> Table:
    """The ends of the cascades."""
    rows = (
        (
            result.method,
            _number(step.rank_correlation, step.rank_interval, result.n),
            _number(step.similarity, step.similarity_interval, result.n),
        )
        for result in results
        for step in result.steps[-1:]
    )
    n, seed = results[0].n, results[0].seed
    caption = f"Maps of the trained network and of one with fresh weights in every layer, {n:,} faces, seed {seed}"
    return Table(caption, ("method", "rank correlation", "structural similarity"), tuple(rows))


def write(
    folder: Path,
    *,
    title: str,
    notes: Sequence[str],
    drawings: Mapping[str, Drawing],
    tables: Mapping[str, Table],
    numbers: Mapping[str, Any],
) -> list[Path]:
    """Write ``explain.html``, ``explain.json``, and each drawing as ``STEM.png`` and ``STEM.svg``.

    On the page a table stands below the drawing of its own name, the others at the end.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
        MienError: the folder cannot be written.
    """
    sections: dict[str, Sequence[Part]] = {
        HEADINGS.get(stem, stem): [drawing, *([tables[stem]] if stem in tables else [])]
        for stem, drawing in drawings.items()
    }
    sections |= {HEADINGS.get(name, name): [table] for name, table in tables.items() if name not in drawings}
    return write_page(folder / "explain.html", title, [*notes, *NOTES], sections, figures=drawings, numbers=numbers)


def averages_numbers(averages: Averages) -> dict[str, Any]:
    """The averages as JSON-ready numbers."""
    return {
        "sampled": averages.sampled,
        "seed": averages.seed,
        "faces": dict(zip(map(str, averages.expressions), averages.counts, strict=True)),
        "conditions": {c.name: {"model": c.network.name, "identity": c.network.identity} for c in averages.conditions},
        "maps": {
            str(expression): {
                c.name: np.round(heat.astype(np.float64), 6).tolist()
                for c, heat in zip(averages.conditions, row, strict=True)
            }
            for expression, row in zip(averages.expressions, averages.maps, strict=True)
        },
    }


def _scaled(heat: Floats) -> Floats:
    top = float(np.abs(heat).max())
    return heat / np.float32(top) if top > 0 else heat


def _number(value: float, interval: tuple[float, float], n: int, *, signed: bool = False) -> str:
    return bounded(value, interval, signed=signed) if n > 1 else f"{value:{'+' * signed}.3f}"
