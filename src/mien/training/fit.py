"""Running a recipe in a folder, resumable at any moment."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from mien.core.errors import TrainingError
from mien.core.files import replacing
from mien.core.model_reference import ModelReference
from mien.core.picture_files import say_left_out
from mien.core.provenance import commit, describe_machine, describe_versions
from mien.data.dataset import Dataset, spread
from mien.evaluation.fitted_rows import parted_otherwise
from mien.models.network import Normalised
from mien.models.rebuild import restore_norms
from mien.models.registry import count_values, network
from mien.models.weights import Loaded
from mien.training.distil import Teachers, open_teachers
from mien.training.loggers import check_logger, logged
from mien.training.loop import Learner, fabric_for
from mien.training.recipe import Precision, Recipe
from mien.training.recipe_data import load_splits
from mien.training.run import (
    CHECKPOINT,
    CURVES,
    RECORD,
    WEIGHTS,
    Epoch,
    Run,
    draw_curves,
)
from mien.training.svm import fit_svm
from mien.training.transfer import features, freeze, head_name, input_of, seen_before, start
from mien.training.workers import Workers, is_first

NORM_ROWS = 2048
"""Crops that give the norms of an exported model their statistics, where a run goes on from it."""


def train(
    recipe: Recipe,
    folder: Path,
    *,
    root: Path | None = None,
    threads: int | None = None,
    workers: Workers | None = None,
    on_epoch: Callable[[Run], None] | None = None,
) -> Run:
    """Run a recipe in ``folder``, or go on with the unfinished run that is there.

    The random state of an epoch follows from the recipe's seed and the epoch's number alone, so a resumed run
    computes what an uninterrupted one would have.

    Args:
        recipe: what to compute.
        folder: where the run's record, weights, checkpoint and curves go.
        root: where datasets lie.
        threads: torch's threads on the CPU; None leaves torch's own choice.
        workers: who shares the work; None for this process alone.
        on_epoch: is told the record after each epoch, once the folder holds all of it.

    Raises:
        UnknownModelError: there is no such network.
        TrainingError: the folder holds a finished run, or one of another recipe or other rows.
        DatasetError: the data is missing or wrong.
        MissingExtraError: a package that the recipe needs is not installed.
        KeyboardInterrupt: on Ctrl-C; the folder holds all whole epochs.
    """
    network(recipe.network)  # a misspelt one is no other recipe
    check_logger(recipe.logger)
    _check_folder(recipe, folder)
    fitted, validation = load_splits(recipe, input_of(recipe), root)
    return fit(recipe, folder, fitted, validation, threads=threads, workers=workers, on_epoch=on_epoch)


def fit(
    recipe: Recipe,
    folder: Path,
    fitted: Dataset,
    validation: Dataset,
    *,
    threads: int | None = None,
    workers: Workers | None = None,
    on_epoch: Callable[[Run], None] | None = None,
) -> Run:
    """:func:`train` on rows at hand, such as covered ones: ``fitted`` fits the weights, ``validation`` chooses.

    The recipe's ``data`` says where they came from and is not looked at. To go on with an unfinished run, hand in the
    same rows.

    Raises:
        TrainingError: the folder holds a finished run, or one of another recipe or other rows.
        KeyboardInterrupt: on Ctrl-C; the folder holds all whole epochs.
    """
    check_logger(recipe.logger)
    before = _check_folder(recipe, folder)
    if before is not None:
        _check_rows(before, folder, fitted, validation)
    if threads is not None:
        torch.set_num_threads(threads)
    keep_memory()
    spec = input_of(recipe)
    torch.manual_seed(recipe.seed)
    body, loaded = start(recipe, fitted.labels, spec)
    teachers = None if recipe.distil is None else open_teachers(recipe.distil, fitted.labels, spec)
    identities = () if teachers is None else teachers.identities
    if before is not None and (before.weights, before.teachers) != (loaded, identities):
        raise TrainingError(f"{folder}: the weights or teachers it began with have changed since: train into another")
    if before is None:
        record = _new_record(recipe, fitted, validation, body=body, loaded=loaded, teachers=teachers)
        _tell_beginning(record, validation)
    else:
        record = replace(before, recipe=recipe)  # which may have another logger by now
    if is_first():
        record.write(folder)
        if fitted.left_out:
            print(f"{fitted.name}: {say_left_out(fitted.left_out)}", file=sys.stderr)
    graph = Normalised(body, spec)
    if loaded is not None and ModelReference.parse(loaded.source).kind == "exported":
        restore_norms(graph, fitted.images[spread(len(fitted), NORM_ROWS)])
    once, head = None, head_name(body, recipe.transfer)
    if recipe.transfer.computes_once:
        once = features(recipe, graph, fitted.images, spec), features(recipe, graph, validation.images, spec)
    with logged(record, folder) as log:

        def tell(run: Run) -> None:
            epoch = run.history[-1]
            log(epoch)
            if is_first():
                words = (f"{key} {round(value, 4)}" for key, value in asdict(epoch).items())
                print(" ".join(words), file=sys.stderr, flush=True)
            if on_epoch is not None:
                on_epoch(run)

        if recipe.transfer.mode == "svm" and once is not None:
            epoch = fit_svm(body, recipe, (once[0], fitted), (once[1], validation))
            record = _keep(record, body, epoch, folder)
            tell(record)
        else:
            norms = freeze(body, recipe.transfer)
            fabric = fabric_for(workers or Workers(), record.precision)
            learner = Learner(
                recipe, graph, fitted, validation, fabric, frozen=norms, features=once, head=head, teachers=teachers
            )
            record = _learn(learner, record, folder, tell)
    if is_first():
        draw_curves(record, folder / CURVES)
    return record


def _new_record(
    recipe: Recipe,
    fitted: Dataset,
    validation: Dataset,
    *,
    body: nn.Module,
    loaded: Loaded | None,
    teachers: Teachers | None,
) -> Run:
    trained, running = count_values(body)
    return Run(
        recipe=recipe,
        status="running",
        input=input_of(recipe),
        labels=fitted.labels,
        trained=trained,
        running=running,
        rows=len(fitted),
        validation_rows=len(validation),
        data_licence=fitted.licence,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else describe_machine(),
        versions=describe_versions("torch", "lightning"),
        commit=commit(),
        weights=loaded,
        teachers=() if teachers is None else teachers.identities,
        data=(fitted.identity, validation.identity),
        fitted_before=tuple(dict.fromkeys((*seen_before(recipe), *(() if teachers is None else teachers.seen)))),
        precision=precision_here(recipe.precision),
    )


def _learn(learner: Learner, record: Run, folder: Path, tell: Callable[[Run], None]) -> Run:
    """Epoch after epoch, each kept in the folder before the next begins.

    The checkpoint comes last: after a stop before it the epoch is computed once more, and none is ever skipped.
    """
    checkpoint = folder / CHECKPOINT
    number = learner.resume(checkpoint) if record.history and checkpoint.exists() else 0
    while record.status == "running":
        epoch = learner.learn(number)
        record = _keep(record, learner.result.body, epoch, folder)
        learner.save(checkpoint)
        tell(record)
        number += 1
    return record


def _keep(record: Run, body: nn.Module, epoch: Epoch, folder: Path) -> Run:
    """Put one more epoch into the folder: the weights, if they are the best, then the record."""
    after = record.with_epoch(epoch)
    if is_first() and after != record:
        if after.best.epoch == epoch.epoch:
            with replacing(folder / WEIGHTS) as part:
                try:
                    save_file({name: value.contiguous() for name, value in body.state_dict().items()}, part)
                except SafetensorError as error:  # which it makes of what the system says
                    raise TrainingError(f"{folder / WEIGHTS}: cannot be written ({error}): make room") from None
        after.write(folder)
    return after


def _tell_beginning(record: Run, validation: Dataset) -> None:
    if not is_first():
        return
    recipe = record.recipe
    if record.weights is not None:
        print(f"{recipe.name}: {record.weights.describe()}", file=sys.stderr)
    for fitted in record.fitted_before:
        if parted_otherwise(fitted, validation):
            print(
                f"{recipe.name}: what it learns from was fitted on {fitted.describe()}, and this run parts these "
                f"pictures otherwise: rows of '{recipe.data.validation}' that look new to it may be known, and no part "
                f"of {validation.name} can measure it",
                file=sys.stderr,
            )
    if precision_here(recipe.precision) != recipe.precision:
        print(
            f"{recipe.name}: computed in fp32, as this processor only imitates bf16, which is slower",
            file=sys.stderr,
        )


def _check_folder(recipe: Recipe, folder: Path) -> Run | None:
    if not (folder / RECORD).exists():
        return None
    before = Run.read(folder)
    if before.recipe != recipe:
        keys = ", ".join(f.name for f in fields(Recipe) if getattr(before.recipe, f.name) != getattr(recipe, f.name))
        raise TrainingError(f"{folder} holds a run of another recipe ({keys} differ): give another folder with --out")
    if before.status == "finished":
        raise TrainingError(f"{folder} holds this run, finished: 'mien export {folder}' uses it, --out trains anew")
    return before if (folder / CHECKPOINT).exists() else None


def _check_rows(before: Run, folder: Path, fitted: Dataset, validation: Dataset) -> None:
    counts, data = (len(fitted), len(validation)), (fitted.identity, validation.identity)
    if (before.rows, before.validation_rows) == counts and before.data == data:
        return
    raise TrainingError(
        f"{folder}: the pictures or labels of {fitted.name} are not those it began with, {before.rows:,} fitted and "
        f"{before.validation_rows:,} chosen on (now {counts[0]:,} and {counts[1]:,}): put them back, or train into "
        "another folder with --out"
    )


def precision_here(wanted: Precision) -> Precision:
    """What a recipe is computed in on this machine: fp32 in place of bf16 on a processor that only imitates bf16."""
    if wanted == "fp32" or torch.cuda.is_available() or torch.backends.mps.is_available():
        return wanted
    known = torch.cpu.get_capabilities()
    return "bf16" if any(has for name, has in known.items() if "bf16" in name) else "fp32"


def keep_memory() -> None:
    """Let glibc keep freed memory instead of returning it to the system each step, which costs a third of the time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # not glibc
        return
    mallopt(-4, 0)  # M_MMAP_MAX
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
