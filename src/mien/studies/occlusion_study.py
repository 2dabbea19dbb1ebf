"""The occlusion study of paper 004, and what it did not ask.

Each network is tested under every condition, one more is trained under all four, and the bands are grey as well as
noise. Its rows and conditions are those of :mod:`mien.studies.pooled_rows`; each network of each recipe is a cell of
the one runner of experiments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.core.errors import ConfigError
from mien.core.expression import LABEL_SETS, THREE
from mien.core.files import read_record, write_json
from mien.core.preprocess import Image
from mien.core.provenance import commit, describe_versions
from mien.data.dataset import Dataset
from mien.data.leaks import leaked_rows
from mien.data.load import load_dataset
from mien.evaluation.regions import BANDS, REGIONS, Fill, Region, cover
from mien.explain.occlusion import OPEN, Covered, covered_logits, score
from mien.models.network import TorchPredictor
from mien.studies.pooled_rows import (
    ALL,
    CONDITIONS,
    PAPER,
    PRETRAINING,
    PooledProtocol,
    describe,
    hold_folder,
    pooled,
    pretrained,
    trained_under,
)
from mien.training.fit import keep_memory
from mien.training.recipe import Recipe
from mien.training.run import Run
from mien.training.runner import Cell, Runner
from mien.training.tensor_cache import cached_tensor
from mien.training.transfer import features, freeze, head_name, input_of

TRAINED = (*CONDITIONS, ALL)
"""What there is a network for."""

Answer = Callable[[Region | None, Fill], NDArray[np.float32]]
"""Logits ``(n, K)`` of one network for the test rows: what covers them, and with what."""

_BATCH = 64
"""Faces in a test's call: what a core's cache holds goes through twice as fast as four times as many."""


@dataclass(frozen=True, slots=True)
class ArmNetwork:
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
class ArmTest:
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
    networks: tuple[ArmNetwork, ...]
    tests: tuple[ArmTest, ...]
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
class OcclusionStudy:
    """The whole study.

    Attributes:
        protocol: what all networks have in common.
        paper: the paper's accuracies by condition.
        arms: one for each recipe.
        time: when it was put together, UTC, ISO 8601.
        versions: of Python and the libraries that matter.
        commit: of mien when it was put together.
    """

    protocol: PooledProtocol
    paper: dict[str, float]
    arms: tuple[Arm, ...]
    time: str
    versions: dict[str, str]
    commit: str | None = None

    @classmethod
    def of(cls, protocol: PooledProtocol, arms: Sequence[Arm]) -> OcclusionStudy:
        """Put arms together, here and now."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(
            protocol,
            PAPER,
            tuple(arms),
            time,
            describe_versions("torch", "lightning"),
            commit(apart_from=Path("results")),
        )

    @classmethod
    def read(cls, path: Path) -> OcclusionStudy:
        """Read a written study.

        Raises:
            ConfigError: there is none, or a key or value is wrong.
        """
        return read_record(cls, path, remedy="'mien occlusion study' makes one")

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_json(self, path, indent=1)


def run_study(
    recipes: Sequence[Recipe],
    folder: Path,
    results: Path,
    *,
    pretraining: Recipe | None = None,
    seed: int = 0,
    runner: Runner,
) -> OcclusionStudy:
    """Train what is not trained yet, test everything, and write it down after each recipe.

    Args:
        recipes: one for each arm, of the same dataset.
        folder: the runs go into ``folder/RECIPE/CONDITION``; a study that was stopped goes on from there.
        results: the file of the study.
        pretraining: a recipe of all expressions, for the recipes that start from :data:`PRETRAINING`.
        seed: of the parts, the noise and the bootstrap; weights have their recipe's.
        runner: runs the cells.

    Raises:
        ConfigError: the recipes do not fit the study, or each other.
        TrainingError: the folder holds another study.
        DatasetError: the dataset is missing, or lacks one of the three expressions.
        KeyboardInterrupt: on Ctrl-C; the same call goes on from the last whole epoch.
    """
    check_recipes(recipes, pretraining)
    before = OcclusionStudy.read(results) if results.exists() else None
    done: dict[str, Arm] = {}

    def cells() -> Iterator[Cell[tuple[PooledProtocol, Arm]]]:
        for recipe in recipes:
            first = pretraining if recipe.weights.source == PRETRAINING else None
            data = recipe.data
            whole = load_dataset(
                data.dataset, input_of(first or recipe), root=runner.root, counts=data.counts, classes=data.classes
            )
            bench = _Bench(recipe, first, whole, folder, seed)
            hold_folder(folder, bench.protocol)
            yield from (_NetworkCell(bench, condition) for condition in TRAINED)

    def keep(outcome: tuple[PooledProtocol, Arm]) -> None:
        protocol, arm = outcome
        if len(arm.networks) == len(TRAINED):
            done[arm.name] = arm
            earlier = before.arms if before is not None and before.protocol == protocol else ()
            known = {arm.name: arm for arm in earlier} | done
            arms = [known[recipe.name] for recipe in recipes if recipe.name in known]
            OcclusionStudy.of(protocol, arms).write(results)

    runner.run(cells(), keep)
    return OcclusionStudy.read(results)


def further_regions() -> tuple[Region, ...]:
    """The named regions beside the paper's bands."""
    return tuple(region for region in REGIONS.values() if region not in BANDS.values())


def score_network(
    answer: Answer,
    trained: str,
    rows: Dataset,
    *,
    reference: NDArray[np.bool_],
    extra: Sequence[Region],
    leaked: NDArray[np.bool_],
    seed: int,
) -> tuple[ArmTest, ...]:
    """Test one network of an arm on the ``test`` rows.

    Args:
        answer: gives its logits.
        trained: what its faces were covered with.
        rows: the rows that report.
        reference: ``(n,)`` whether the network of open faces was right about each open face.
        extra: further regions for the networks of open faces and of all conditions.
        leaked: ``(n,)`` rows whose pixels also stand among the other parts.
        seed: of the bootstrap.
    """
    found = []
    for hidden, fill in _covers(trained, extra):
        hits = answer(hidden, fill or "noise").argmax(axis=1) == rows.indices
        name = OPEN if hidden is None else hidden.name
        found.append(ArmTest(trained, score(hits, reference, rows, region=name, fill=fill, leaked=leaked, seed=seed)))
    return tuple(found)


class _Bench:
    """One recipe's networks: their rows, those that are trained, and their answers."""

    def __init__(self, recipe: Recipe, pretraining: Recipe | None, whole: Dataset, folder: Path, seed: int) -> None:
        self.recipe, self.pretraining, self.whole, self.folder, self.seed = recipe, pretraining, whole, folder, seed
        self.rows = pooled(whole, seed=seed)
        self.tested = self.rows.split("test")
        self.leaked = leaked_rows(self.rows, "test")
        self.protocol = describe(self.rows, seed=seed)
        self.pixels = hashlib.sha256(self.tested.images.tobytes()).digest()
        self.runs: dict[str, Run] = {}
        self.predictors: dict[str, TorchPredictor] = {}
        self.tests: list[ArmTest] = []

    @cached_property
    def reference(self) -> NDArray[np.bool_]:
        hits: NDArray[np.bool_] = self.answer(OPEN, None, "noise").argmax(axis=1) == self.tested.indices
        return hits

    def train(self, condition: str, runner: Runner) -> None:
        self.recipe = pretrained(
            self.recipe, self.pretraining, self.folder, lambda: (self.whole, self.rows), seed=self.seed, runner=runner
        )
        run, place = trained_under(self.recipe, condition, self.rows, self.folder, seed=self.seed, runner=runner)
        keep_memory()
        predictor = runner.open(place)
        predictor.graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
        self.runs[condition], self.predictors[condition] = run, predictor

    def test(self, condition: str) -> None:
        extra = () if self.recipe.transfer.computes_once else further_regions()  # each needs a pass of a large network
        self.tests += score_network(
            lambda hidden, fill: self.answer(condition, hidden, fill),
            condition,
            self.tested,
            reference=self.reference,
            extra=extra,
            leaked=self.leaked,
            seed=self.seed,
        )

    def answer(self, trained: str, hidden: Region | None, fill: Fill) -> NDArray[np.float32]:
        predictor, rows = self.predictors[trained], self.tested

        def compute() -> torch.Tensor:
            if self.recipe.transfer.computes_once:
                crops = cover(rows.images, hidden, fill=fill, seed=self.seed, rows=rows.rows)
                return _head_alone(self.recipe, predictor, crops)
            logits = covered_logits(
                predictor, rows.images, hidden, fill=fill, rows=rows.rows, batch=_BATCH, seed=self.seed
            )
            return torch.from_numpy(logits)

        what = repr((predictor.identity, hidden, fill, self.seed, rows.rows.tolist()))
        return cached_tensor("answers", (what.encode(), self.pixels), compute).numpy()

    @property
    def arm(self) -> Arm:
        """What there is of it so far."""
        recipe, first = self.recipe, self.runs[OPEN]
        return Arm(
            name=recipe.name,
            summary=f"{recipe.summary.rstrip('.')}; {recipe.epochs} epochs",
            network=recipe.network,
            input_size=int(recipe.options.get("side") or first.input.size),
            trained_values=_fitted_values(recipe, self.predictors[OPEN].graph.body),
            values=first.trained + first.running,
            seed=recipe.seed,
            device=first.device,
            networks=tuple(_network(condition, run) for condition, run in self.runs.items()),
            tests=tuple(self.tests),
            commit=first.commit,
        )


@dataclass(eq=False)
class _NetworkCell(Cell[tuple[PooledProtocol, Arm]]):
    bench: _Bench
    condition: str

    def run(self, runner: Runner) -> tuple[PooledProtocol, Arm]:
        self.bench.train(self.condition, runner)
        runner.say(f"{self.bench.recipe.name}-{self.condition}: testing on {len(self.bench.tested):,} rows")
        self.bench.test(self.condition)
        return self.bench.protocol, self.bench.arm


def _covers(trained: str, extra: Sequence[Region]) -> Iterator[tuple[Region | None, Fill | None]]:
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


def _head_alone(recipe: Recipe, predictor: TorchPredictor, crops: Image) -> torch.Tensor:
    """Logits from features that are computed once for all networks of the arm, whose frozen part is the same."""
    seen = features(recipe, predictor.graph, crops, predictor.input)
    head = predictor.graph.body.get_submodule(head_name(predictor.graph.body, recipe.transfer))
    with torch.no_grad():
        logits: torch.Tensor = head(seen)
    return logits


def _fitted_values(recipe: Recipe, body: nn.Module) -> int:
    """Values that the recipe's transfer mode trains."""
    freeze(body, recipe.transfer)
    return sum(parameter.numel() for parameter in body.parameters() if parameter.requires_grad)


def _network(condition: str, run: Run) -> ArmNetwork:
    best = run.best
    return ArmNetwork(
        condition=condition,
        rows=run.rows,
        epochs=len(run.history),
        kept=best.epoch,
        chosen_accuracy=best.validation_accuracy,
        seconds=round(sum(epoch.seconds for epoch in run.history), 1),
    )


def check_recipes(recipes: Sequence[Recipe], pretraining: Recipe | None = None) -> None:
    """Refuse recipes that do not fit the study, or each other.

    Raises:
        ConfigError: there is none, or what one names does not fit; the message names it.
    """
    if not recipes:
        raise ConfigError("a study needs a recipe: see recipes/occlusion-resezap.yaml")
    names = [recipe.name for recipe in recipes]
    if len(set(names)) < len(names):
        raise ConfigError(f"two recipes of a study have one name: {', '.join(names)}")
    starting = [recipe for recipe in recipes if recipe.weights.source == PRETRAINING]
    if pretraining is None and starting:
        raise ConfigError(f"recipe '{starting[0].name}' starts from a pretraining: name its recipe with --pretraining")
    if pretraining is not None:
        _check_pretraining(pretraining, starting, names)
    for recipe in recipes:
        if recipe.data.labels is None or LABEL_SETS[recipe.data.labels] != THREE:
            raise ConfigError(f"recipe '{recipe.name}': the study has three expressions; set data.labels to 'three'")
        if recipe.data.dataset != recipes[0].data.dataset:
            raise ConfigError(f"recipe '{recipe.name}' names another dataset than '{recipes[0].name}'")
        if recipe.data.limit is not None:
            raise ConfigError(f"recipe '{recipe.name}': data.limit has no meaning in a study, which parts all rows")


def _check_pretraining(pretraining: Recipe, starting: Sequence[Recipe], names: Sequence[str]) -> None:
    if not starting:
        raise ConfigError(
            f"no recipe starts from '{pretraining.name}': set weights.source to '{PRETRAINING}', or leave it out"
        )
    if pretraining.name in names:
        raise ConfigError(f"the pretraining and a recipe of the study have one name: {pretraining.name}")
    if pretraining.data.labels is not None or pretraining.data.limit is not None:
        raise ConfigError(f"pretraining '{pretraining.name}': it has all expressions and rows, leave data.labels out")
    for recipe in starting:
        if (recipe.network, recipe.options) != (pretraining.network, pretraining.options):
            raise ConfigError(
                f"recipe '{recipe.name}' is of '{recipe.network}', its pretraining of '{pretraining.network}': "
                "both need the same network and options"
            )
        if recipe.data.dataset != pretraining.data.dataset:
            raise ConfigError(f"recipe '{recipe.name}' names another dataset than its pretraining")
