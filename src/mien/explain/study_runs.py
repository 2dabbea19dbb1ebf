"""The networks of the occlusion study: one run for each condition, each resumable, and the tests of them all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.core.errors import ConfigError
from mien.core.expression import LABEL_SETS, THREE
from mien.core.preprocess import Image
from mien.data.dataset import Dataset
from mien.data.leaks import leaked_rows
from mien.data.load import load_dataset
from mien.evaluation.regions import Fill, Region, cover
from mien.explain.occlusion import covered_logits
from mien.explain.study import (
    PRETRAINING,
    TRAINED,
    Arm,
    Protocol,
    Study,
    Trained,
    describe,
    epochs_under,
    further_regions,
    keep_protocol,
    outside,
    pooled,
    score_all,
    under,
)
from mien.models.network import TorchPredictor
from mien.training.fit import fit, keep_memory
from mien.training.recipe import Recipe, Weights
from mien.training.run import RECORD, Run
from mien.training.run_as_model import open_run
from mien.training.tensor_cache import cached_tensor
from mien.training.transfer import features, freeze, head_name, input_of

Say = Callable[[str], None]

_BATCH = 64
"""Faces in a test's call: what a core's cache holds goes through twice as fast as four times as many."""


def run_study(
    recipes: Sequence[Recipe],
    folder: Path,
    *,
    pretraining: Recipe | None = None,
    seed: int = 0,
    root: Path | None = None,
    threads: int | None = None,
    say: Say = lambda _: None,
) -> Study:
    """Train what is not trained yet, test everything, and put it together.

    Args:
        recipes: one for each arm, of the same dataset.
        folder: the runs go into ``folder/RECIPE/CONDITION``; a study that was stopped goes on from there.
        pretraining: a recipe of all expressions, for the recipes that start from :data:`PRETRAINING`.
        seed: of the parts, the noise and the bootstrap; weights have their recipe's.
        root: where datasets lie.
        threads: torch's threads on the CPU; None leaves torch's own choice.
        say: is told what happens, a line at a time.

    Raises:
        ConfigError: the recipes do not fit the study, or each other.
        TrainingError: the folder holds another study.
        DatasetError: the dataset is missing, or lacks one of the three expressions.
        KeyboardInterrupt: on Ctrl-C; the same call goes on from the last whole epoch.
    """
    _check(recipes, pretraining)
    arms, protocol = [], None
    for recipe in recipes:
        first = pretraining if recipe.weights.source == PRETRAINING else None
        whole = load_dataset(recipe.data.dataset, input_of(first or recipe), root=root)
        arm, protocol = run_arm(recipe, whole, folder, pretraining=first, seed=seed, threads=threads, say=say)
        arms.append(arm)
    assert protocol is not None  # noqa: S101  # _check refuses an empty list
    return Study.of(protocol, arms)


def run_arm(
    recipe: Recipe,
    whole: Dataset,
    folder: Path,
    *,
    pretraining: Recipe | None = None,
    seed: int = 0,
    threads: int | None = None,
    say: Say = lambda _: None,
) -> tuple[Arm, Protocol]:
    """One kind of network through the study: a run for each condition, and all their tests.

    Args:
        recipe: of the network; its ``data`` is replaced by the parts of ``whole``.
        whole: the dataset whose rows are pooled, with crops of the recipe that is trained first.
        folder: the runs go into ``folder/RECIPE``; a finished one is taken as it is.
        pretraining: a recipe of all expressions whose run, in ``folder/PRETRAINING``, ``recipe`` starts from.
        seed: of the parts, the noise and the bootstrap.
        threads: torch's threads on the CPU; None leaves torch's own choice.
        say: is told what happens.

    Raises:
        TrainingError: the folder holds a study of other rows.
        KeyboardInterrupt: on Ctrl-C; the same call goes on from the last whole epoch.
    """
    rows = pooled(whole, seed=seed)
    protocol = describe(rows, seed=seed)
    keep_protocol(folder, protocol)
    if pretraining is not None:
        place = folder / pretraining.name
        _trained(pretraining, place, lambda: outside(whole, rows, seed=seed), threads=threads, say=say)
        recipe = replace(recipe, weights=Weights(str(place)))
    arm = _network_arm(recipe, rows, folder / recipe.name, protocol=protocol, threads=threads, say=say)
    return arm, protocol


def _network_arm(
    recipe: Recipe, rows: Dataset, folder: Path, *, protocol: Protocol, threads: int | None, say: Say = lambda _: None
) -> Arm:
    """Train a recipe's network under every condition, and test each under every condition.

    Args:
        recipe: of the network; its ``data`` is replaced by the parts of ``rows``.
        rows: from :func:`mien.explain.study.pooled`.
        folder: one run's folder for each condition goes into it.
        protocol: of the study.
        threads: torch's threads.
        say: is told what happens.
    """
    tested, runs = rows.split("test"), {}
    for condition in TRAINED:
        own = replace(
            recipe, name=f"{recipe.name}-{condition}", epochs=epochs_under(condition, recipe.epochs), patience=None
        )
        shown = partial(under, rows.take(rows.splits != "test"), condition, seed=protocol.seed)
        runs[condition] = _trained(own, folder / condition, shown, threads=threads, say=say)
    keep_memory()
    predictors = {condition: open_run(folder / condition) for condition in TRAINED}
    for predictor in predictors.values():
        predictor.graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
    pixels = hashlib.sha256(tested.images.tobytes()).digest()
    once = recipe.transfer.computes_once

    def answer(trained: str, hidden: Region | None, fill: Fill) -> NDArray[np.float32]:
        predictor, seed = predictors[trained], protocol.seed

        def compute() -> torch.Tensor:
            if once:
                crops = cover(tested.images, hidden, fill=fill, seed=seed, rows=tested.rows)
                return _head_alone(recipe, predictor, crops)
            logits = covered_logits(
                predictor, tested.images, hidden, fill=fill, rows=tested.rows, batch=_BATCH, seed=seed
            )
            return torch.from_numpy(logits)

        what = repr((predictor.identity, hidden, fill, seed, tested.rows.tolist()))
        return cached_tensor("answers", (what.encode(), pixels), compute).numpy()

    say(f"{recipe.name}: testing on {len(tested):,} rows")
    first = runs[TRAINED[0]]
    extra = () if once else further_regions()  # each would need its own pass through a large network
    return Arm(
        name=recipe.name,
        summary=f"{recipe.summary.rstrip('.')}; {recipe.epochs} epochs",
        network=recipe.network,
        input_size=int(recipe.options.get("side") or first.input.size),
        trained_values=_fitted_values(recipe, predictors[TRAINED[0]].graph.body),
        values=first.trained + first.running,
        seed=recipe.seed,
        device=first.device,
        networks=tuple(_summary(condition, run) for condition, run in runs.items()),
        tests=score_all(answer, tested, extra=extra, leaked=leaked_rows(rows, "test"), seed=protocol.seed),
        commit=first.commit,
    )


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


def _trained(
    recipe: Recipe, folder: Path, rows: Callable[[], Dataset], *, threads: int | None, say: Say = lambda _: None
) -> Run:
    """The finished run of a recipe; if it is not there, it is fitted on the ``train`` part of ``rows``."""
    done = _finished(recipe, folder)
    if done is not None:
        return done
    parts = rows()
    fitted, validation = parts.split("train"), parts.split("validation")
    say(f"{recipe.name}: {recipe.epochs} epochs of {len(fitted):,} faces into {folder}")
    return fit(recipe, folder, fitted, validation, threads=threads)


def _finished(recipe: Recipe, folder: Path) -> Run | None:
    if not (folder / RECORD).exists():
        return None
    run = Run.read(folder)
    return run if run.status == "finished" and run.recipe == recipe else None


def _summary(condition: str, run: Run) -> Trained:
    best = run.best
    return Trained(
        condition=condition,
        rows=run.rows,
        epochs=len(run.history),
        kept=best.epoch,
        chosen_accuracy=best.validation_accuracy,
        seconds=round(sum(epoch.seconds for epoch in run.history), 1),
    )


def _check(recipes: Sequence[Recipe], pretraining: Recipe | None = None) -> None:
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
