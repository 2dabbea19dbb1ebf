"""Paper 004's occlusion study, and what it did not ask.

Dobeš & Sabolová pool the splits of FER2013's happy, angry and neutral faces, part them at random into 70 % and 30 %,
cover the eyes, the nose or the mouth with a band of white noise, and train one network for each condition. Here each
network is tested under every condition, one more is trained under all four, and the bands are grey as well as noise.
The paper chose and reported on the same 30 %; here a tenth of the 70 % chooses the epoch, and the 30 % only reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, TrainingError
from mien.core.expression import THREE, Labels
from mien.core.files import read_record, write_json
from mien.core.schema import to_mapping
from mien.data.dataset import Dataset, text_column
from mien.data.leaks import leaked_rows, picture_groups
from mien.data.splits import held_out
from mien.evaluation.regions import BANDS, REGIONS, Fill, Region, cover
from mien.explain.occlusion import OPEN, Covered, score

CONDITIONS = (OPEN, *BANDS)
"""What faces are trained and tested under: the open face and the paper's three bands."""

ALL = "all"
"""The network that is trained under all conditions: it sees each face under each."""

TRAINED = (*CONDITIONS, ALL)

PAPER = {"none": 0.7420, "eyes": 0.7201, "nose": 0.7021, "mouth": 0.5210}
"""Accuracy in the paper: a frozen GoogLeNet, each network trained and tested under one condition."""

PRETRAINING = "pretraining"
"""As a recipe's ``weights.source``: its network first learns all expressions, on the rows of :func:`outside`."""

SHARE, CHOSEN = 0.3, 0.1
"""Share of the rows that reports, and share of the rest that chooses."""

Answer = Callable[[str, Region | None, Fill], NDArray[np.float32]]
"""Logits ``(n, K)`` of the test rows: what the faces were trained under, what covers them now, and with what."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What every network of a study has in common.

    Attributes:
        dataset: whose rows are pooled.
        licence: what its owner allows.
        labels: the three expressions.
        counts: rows of each.
        share: of the rows that reports.
        chosen: share of the rest that chooses the epoch.
        seed: of the parts, the noise and the bootstrap.
        fitted_rows: rows that fit the weights.
        chosen_rows: rows that choose the epoch.
        tested_rows: rows that report.
        leaked_rows: those of them whose very pixels also stand among the other rows.
        band_rows: rows of a band on a crop of 48, and the first row of each band.
    """

    dataset: str
    licence: str
    labels: Labels
    counts: dict[str, int]
    share: float
    chosen: float
    seed: int
    fitted_rows: int
    chosen_rows: int
    tested_rows: int
    leaked_rows: int
    band_rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Trained:
    """How one network came about.

    Attributes:
        condition: what its faces were covered with.
        rows: faces in an epoch.
        epochs: that it was trained for.
        kept: the epoch whose weights were kept.
        chosen_accuracy: on the rows that choose, under the same condition.
        seconds: of all its epochs.
    """

    condition: str
    rows: int
    epochs: int
    kept: int
    chosen_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Tested:
    """Scores of the network that was trained under one condition, tested under another.

    Attributes:
        trained: what its faces were covered with.
        scores: against the network of open faces on open faces.
    """

    trained: str
    scores: Covered


@dataclass(frozen=True, slots=True)
class Arm:
    """One kind of network through the whole study.

    Attributes:
        name: of its recipe.
        summary: how it learns, in words.
        network: its name in the registry.
        input_size: side of the picture that its first layer sees, pixels.
        trained_values: values that are fitted.
        values: all trained and running values.
        seed: of weights, order and augmentation.
        device: what it was trained on.
        commit: of mien when it was trained.
        networks: one entry for each condition.
        tests: every pair of conditions under noise; under grey the networks of open faces, of all conditions and of
            the very band; further regions for the first two.
    """

    name: str
    summary: str
    network: str
    input_size: int
    trained_values: int
    values: int
    seed: int
    device: str
    networks: tuple[Trained, ...]
    tests: tuple[Tested, ...]
    commit: str | None = None

    def scores(self, trained: str, region: str, fill: Fill | None = "noise") -> Covered:
        """Scores by condition and by the region's name.

        Raises:
            KeyError: it was not tested.
        """
        fill = None if region == OPEN else fill
        for test in self.tests:
            if (test.trained, test.scores.region, test.scores.fill) == (trained, region, fill):
                return test.scores
        raise KeyError(f"{self.name}: trained under {trained}, not tested under {region} ({fill})")


@dataclass(frozen=True, slots=True)
class Study:
    """The whole study.

    Attributes:
        protocol: what all networks have in common.
        paper: the paper's accuracies by condition.
        arms: one for each recipe.
        time: when it was put together, UTC, ISO 8601.
        versions: of Python and the libraries that matter.
        commit: of mien when it was put together.
    """

    protocol: Protocol
    paper: dict[str, float]
    arms: tuple[Arm, ...]
    time: str
    versions: dict[str, str]
    commit: str | None = None

    @classmethod
    def of(cls, protocol: Protocol, arms: Sequence[Arm]) -> Study:
        """Put arms together, here and now."""
        from mien.evaluation.ledger import commit
        from mien.training.run import describe_versions

        time = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(protocol, PAPER, tuple(arms), time, describe_versions(), commit(apart_from=Path("results")))

    @classmethod
    def read(cls, path: Path) -> Study:
        """Read a written study.

        Raises:
            ConfigError: there is none, or a key or value is wrong.
        """
        return read_record(cls, path, remedy="'mien occlusion study' makes one")

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_json(self, path, indent=1)


def pooled(dataset: Dataset, *, seed: int, share: float = SHARE, chosen: float = CHOSEN) -> Dataset:
    """The three expressions of all splits, parted anew into ``train``, ``validation`` and ``test``.

    Rows are parted at random, each expression alike, as the paper does it: copies of a picture may part.

    Raises:
        DatasetError: an expression has no rows.
        LabelError: it has none of the three.
    """
    rows = dataset.relabel(THREE)
    missing = [label for label, count in rows.counts.items() if count < 10]
    if missing:
        raise DatasetError(f"{dataset.name} has fewer than ten rows of {', '.join(missing)}: the study needs all three")
    each = np.arange(len(rows))
    splits = np.full(len(rows), "train", dtype=object)
    splits[held_out(rows.indices, each, fraction=share, seed=seed)] = "test"
    left = np.flatnonzero(splits == "train")
    splits[left[held_out(rows.indices[left], each[: len(left)], fraction=chosen, seed=seed)]] = "validation"
    return replace(rows, splits=text_column(splits.tolist()))


def outside(dataset: Dataset, rows: Dataset, *, seed: int, chosen: float = CHOSEN) -> Dataset:
    """All expressions of what a study does not report: no row of its ``test`` part, and no copy of one.

    What chooses in the study chooses here too, with as large a share of the other expressions.

    Args:
        dataset: whose rows were pooled.
        rows: from :func:`pooled`.
        seed: of the parts.
        chosen: share of the other expressions' rows that chooses.
    """
    groups = picture_groups(dataset.images)
    reported, choosing = (np.isin(dataset.rows, rows.split(name).rows) for name in ("test", "validation"))
    others = np.flatnonzero(~np.isin(dataset.rows, rows.rows))
    choosing[others[held_out(dataset.indices[others], groups[others], fraction=chosen, seed=seed)]] = True
    splits = np.where(choosing, "validation", "train")
    return replace(dataset, splits=splits).take(~np.isin(groups, groups[reported]))


def describe(rows: Dataset, *, seed: int, share: float = SHARE, chosen: float = CHOSEN) -> Protocol:
    """The protocol of pooled rows."""
    return Protocol(
        dataset=rows.name,
        licence=rows.licence,
        labels=rows.labels,
        counts=rows.counts,
        share=share,
        chosen=chosen,
        seed=seed,
        fitted_rows=len(rows.split("train")),
        chosen_rows=len(rows.split("validation")),
        tested_rows=len(rows.split("test")),
        leaked_rows=int(leaked_rows(rows, "test").sum()),
        band_rows={"rows": 10, "eyes": 10, "nose": 20, "mouth": 30},
    )


def under(rows: Dataset, condition: str, *, fill: Fill = "noise", seed: int = 0) -> Dataset:
    """The rows under one condition; under ``"all"`` each row comes once under each of the four."""
    names = CONDITIONS if condition == ALL else (condition,)
    images = [cover(rows.images, BANDS.get(name), fill=fill, seed=seed, rows=rows.rows) for name in names]
    repeated = rows.take(np.tile(np.arange(len(rows)), len(names)))
    return replace(repeated, images=np.concatenate(images))


def epochs_under(condition: str, epochs: int) -> int:
    """Epochs for a condition: a quarter under all four, whose epochs are four times as long."""
    return max(1, round(epochs / len(CONDITIONS))) if condition == ALL else epochs


def score_all(
    answer: Answer, rows: Dataset, *, extra: Sequence[Region], leaked: NDArray[np.bool_], seed: int
) -> tuple[Tested, ...]:
    """Test every network of an arm on the ``test`` rows.

    Args:
        answer: gives the logits.
        rows: the rows that report.
        extra: further regions for the networks of open faces and of all conditions.
        leaked: ``(n,)`` rows whose pixels also stand among the other parts.
        seed: of the bootstrap.
    """
    reference = answer(OPEN, None, "noise").argmax(axis=1) == rows.indices
    found = []
    for trained in TRAINED:
        for hidden, fill in _tested(trained, extra):
            hits = answer(trained, hidden, fill or "noise").argmax(axis=1) == rows.indices
            name = OPEN if hidden is None else hidden.name
            scores = score(hits, reference, rows, region=name, fill=fill, leaked=leaked, seed=seed)
            found.append(Tested(trained, scores))
    return tuple(found)


def further_regions() -> tuple[Region, ...]:
    """The named regions beside the paper's bands."""
    return tuple(region for region in REGIONS.values() if region not in BANDS.values())


def keep_protocol(folder: Path, protocol: Protocol) -> None:
    """Hold a study's folder to one protocol.

    Raises:
        TrainingError: the folder holds a study of another.
    """
    path = folder / "protocol.json"
    content = json.dumps(to_mapping(protocol), indent=1) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != content:
        raise TrainingError(f"{folder} holds a study of other rows or another seed: give another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def _tested(trained: str, extra: Sequence[Region]) -> Iterator[tuple[Region | None, Fill | None]]:
    """Noise over each band; grey where the network is of open faces, of all conditions or of this very band."""
    yield None, None
    for name, hidden in BANDS.items():
        yield hidden, "noise"
        if trained in (OPEN, ALL, name):
            yield hidden, "grey"
    for hidden in extra if trained in (OPEN, ALL) else ():
        yield hidden, "noise"
        if trained == OPEN:
            yield hidden, "grey"
