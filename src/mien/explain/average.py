"""Maps averaged over many faces: where a network looks for an expression, and where when a part is covered.

Dobeš & Sabolová (paper 004) averaged Grad-CAM over 1,000 random samples for each expression and occlusion, each by the
network that was trained under that occlusion. A single map is that of one person; the average of many shows nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, ModelError
from mien.core.expression import Expression, Labels
from mien.core.heatmap import enlarge
from mien.core.predictor import Predictor
from mien.core.preprocess import Image
from mien.data.dataset import Dataset
from mien.evaluation.regions import BANDS, Fill, Region, cover
from mien.reporting.figures import Drawing
from mien.reporting.panels import maps_panel, mark_landmarks, outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float32]

Maps = Callable[[Predictor, Image, Sequence[str]], Floats]
"""From a model, crops and an expression for each to maps ``(n, h, w)``: a :class:`~mien.explain.method.Method`, or the
class activation map of an ONNX model."""

SAMPLES = 1_000
"""Faces of each expression, as in paper 004."""


@dataclass(frozen=True, slots=True)
class MapCondition:
    """What is covered, and the network that looks.

    Attributes:
        name: what figures call it.
        network: the model; paper 004 has one for each condition.
        hidden: the region that is covered; None covers nothing.
        fill: what with.
    """

    name: str
    network: Predictor
    hidden: Region | None = None
    fill: Fill = "noise"


def paper_conditions(network: Predictor) -> tuple[MapCondition, ...]:
    """Paper 004's four: nothing, the eyes, the nose or the mouth covered by a band of white noise; one network."""
    return (
        MapCondition("nothing covered", network),
        *(MapCondition(f"{name} covered", network, region) for name, region in BANDS.items()),
    )


@dataclass(frozen=True, eq=False)
class Averages:
    """Mean maps of each expression under each condition.

    Attributes:
        expressions: E expressions; each map explains the logit of the expression that the faces are labelled with.
        conditions: C conditions.
        maps: ``(E, C, h, w)`` float32, in the unit of the maps that were averaged; not normalised.
        counts: faces averaged for each expression, the same ones under every condition.
        asked: faces that were asked for.
        seed: of the sample and of the noise.
    """

    expressions: Labels
    conditions: tuple[MapCondition, ...]
    maps: Floats
    counts: tuple[int, ...]
    asked: int
    seed: int

    def __post_init__(self) -> None:
        """Check that there is a map for each expression and condition."""
        if self.maps.shape[:2] != (len(self.expressions), len(self.conditions)) or self.maps.ndim != 4:
            raise ValueError(
                f"{len(self.expressions)} expressions under {len(self.conditions)} conditions need as many maps, "
                f"got {self.maps.shape}"
            )
        if len(self.counts) != len(self.expressions):
            raise ValueError(f"{len(self.expressions)} expressions need as many counts, got {len(self.counts)}")

    @property
    def sampled(self) -> str:
        """How many faces were averaged, in words: all that were asked for, or which expressions had fewer."""
        fewer: dict[int, list[str]] = {}
        for expression, count in zip(self.expressions, self.counts, strict=True):
            if count < self.asked:
                fewer.setdefault(count, []).append(str(expression))
        few = "; ".join(f"{count:,} of {', '.join(names)}" for count, names in fewer.items())
        missing = f" (there are only {few})" if few else ""
        return f"{self.asked:,} random faces of each expression{missing}, seed {self.seed}"

    def only(self, expressions: Sequence[str]) -> Averages:
        """The same for some of the expressions alone, in the order given."""
        rows = [self.expressions.index(Expression(expression)) for expression in expressions]
        return replace(
            self,
            expressions=tuple(self.expressions[row] for row in rows),
            maps=self.maps[rows],
            counts=tuple(self.counts[row] for row in rows),
        )

    def draw(self, *, title: str, unit: str = "in units of the logit") -> Drawing:
        """The panel: a row for each expression, a column for each condition, one scale."""
        side = max(self.maps.shape[-1], 48)
        rows = [list(enlarge(row, side)) for row in self.maps]
        masks = [c.hidden.mask(side, side) if c.hidden else None for c in self.conditions]

        def finish(axes: Axes, _: int, column: int) -> None:
            mark_landmarks(axes, side)
            if (mask := masks[column]) is not None:
                outline(axes, mask)

        return maps_panel(
            rows,
            rows=[str(e) for e in self.expressions],
            columns=[condition.name for condition in self.conditions],
            unit=unit,
            title=title,
            alt=f"{title}, over {self.sampled}. {self.describe()}",
            finish=finish,
        )

    def describe(self) -> str:
        """Where each map is highest, in words, for those who do not see the figure."""
        parts = []
        for expression, row in zip(self.expressions, self.maps, strict=True):
            places = [f"{place_of(heat)} ({c.name})" for c, heat in zip(self.conditions, row, strict=True)]
            parts.append(f"{expression}: highest at {', '.join(places)}")
        return "; ".join(parts) + "."


def average(
    method: Maps,
    dataset: Dataset,
    conditions: Sequence[MapCondition],
    *,
    expressions: Sequence[str] | None = None,
    samples: int = SAMPLES,
    batch: int = 256,
    seed: int = 0,
) -> Averages:
    """Average a method's maps over random faces of each expression, under each condition.

    The same faces stand under every condition. They go through in batches and only sums are kept, so that memory does
    not grow with their number.

    Args:
        method: makes the maps.
        dataset: whose faces are sampled, without replacement.
        conditions: one or more; their networks' maps must have one size.
        expressions: None takes all that the dataset has faces of.
        samples: faces of each expression; where there are fewer, all are taken, and :attr:`Averages.counts` says so.
        batch: faces that are covered and mapped together.
        seed: of the sample and of the noise.

    Raises:
        DatasetError: no sample was asked for, or an expression has no face.
        LabelError: a network does not know an expression.
        ModelError: maps of the networks differ in size.
    """
    if samples < 1 or not conditions:
        raise DatasetError(f"averaging needs one face and one condition or more, got {samples} and {len(conditions)}")
    counts = dataset.counts
    wanted = [e for e in dataset.labels if (counts[e] if expressions is None else e in expressions)]
    unknown = [e for e in expressions or [] if e not in dataset.labels or counts[e] == 0]
    if unknown or not wanted:
        missing = ", ".join(unknown) or "any expression"
        raise DatasetError(f"{dataset.name} has no face of {missing}; it has {_listed(counts)}")
    faces = [_sample(dataset, dataset.labels.index(expression), samples, seed) for expression in wanted]
    means = [[_mean(method, part, condition, batch, seed) for condition in conditions] for part in faces]
    sizes = {heat.shape for row in means for heat in row}
    if len(sizes) > 1:
        raise ModelError(f"the networks' maps have different sizes, {sorted(sizes)}: choose layers of one size")
    return Averages(
        expressions=tuple(wanted),
        conditions=tuple(conditions),
        maps=np.array(means, dtype=np.float32),
        counts=tuple(len(part) for part in faces),
        asked=samples,
        seed=seed,
    )


def place_of(heat: Floats) -> str:
    """Where a map is highest, on a face divided in three by three."""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    down = ("upper", "middle", "lower")[int(3 * (row + 0.5) / heat.shape[0])]
    across = ("left", "middle", "right")[int(3 * (column + 0.5) / heat.shape[1])]
    words = [word for word, _ in groupby([down, across])]
    return "the centre" if words == ["middle"] else f"the {' '.join(words)}"


def _sample(dataset: Dataset, index: int, samples: int, seed: int) -> Dataset:
    rows = np.flatnonzero(dataset.indices == index)
    rng = np.random.default_rng((seed, index))
    return dataset.take(np.sort(rng.choice(rows, size=min(samples, len(rows)), replace=False)))


def _mean(method: Maps, faces: Dataset, condition: MapCondition, batch: int, seed: int) -> NDArray[np.float64]:
    total: NDArray[np.float64] | float = 0.0
    for start in range(0, len(faces), batch):
        chunk = slice(start, start + batch)
        expressions = [faces.labels[index] for index in faces.indices[chunk]]
        crops = cover(faces.images[chunk], condition.hidden, fill=condition.fill, seed=seed, rows=faces.rows[chunk])
        total = total + method(condition.network, crops, expressions).sum(axis=0, dtype=np.float64)
    return np.asarray(total) / len(faces)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} of {name}" for name, count in counts.items() if count) or "none at all"
