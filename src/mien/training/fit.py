"""Running a recipe on Lightning: one folder in, resumable at any moment."""

from __future__ import annotations

import ctypes
import logging
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from safetensors.torch import save_file
from torch import nn

from mien.core.errors import TrainingError
from mien.data.base import Dataset, spread
from mien.evaluation.fitted_rows import parted_otherwise
from mien.evaluation.ledger import commit
from mien.models.network import Normalised
from mien.models.rebuild import is_exported, restore_norms
from mien.models.registry import count_values, network
from mien.training.distil import open_teachers
from mien.training.recipe import Precision, Recipe
from mien.training.rows import load_splits
from mien.training.run import (
    CHECKPOINT,
    CURVES,
    RECORD,
    WEIGHTS,
    Epoch,
    Run,
    describe_machine,
    describe_versions,
    draw_curves,
)
from mien.training.step import FitModule
from mien.training.svm import fit_svm
from mien.training.transfer import features, freeze, head_name, input_of, seen_before, start
from mien.training.workers import Workers, is_first

NORM_ROWS = 2048
"""Crops that give the norms of an exported model their statistics, where a run goes on from it."""

LIGHTNING_PRECISION: dict[Precision, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}
"""What Lightning calls a recipe's precision."""


def train(
    recipe: Recipe,
    folder: Path,
    *,
    root: Path | None = None,
    threads: int | None = None,
    workers: Workers | None = None,
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

    Raises:
        UnknownModelError: there is no such network.
        TrainingError: the folder holds a finished run, or one of another recipe or other rows.
        DatasetError: the data is missing or wrong.
        KeyboardInterrupt: on Ctrl-C; the folder holds all whole epochs.
    """
    network(recipe.network)  # a misspelt one is no other recipe
    _check_folder(recipe, folder)
    fitted, validation = load_splits(recipe, input_of(recipe), root)
    return fit(recipe, folder, fitted, validation, threads=threads, workers=workers)


def fit(
    recipe: Recipe,
    folder: Path,
    fitted: Dataset,
    validation: Dataset,
    *,
    threads: int | None = None,
    workers: Workers | None = None,
) -> Run:
    """:func:`train` on rows at hand, such as covered ones: ``fitted`` fits the weights, ``validation`` chooses.

    The recipe's ``data`` says where they came from and is not looked at. To go on with an unfinished run, hand in the
    same rows.

    Raises:
        TrainingError: the folder holds a finished run, or one of another recipe or other rows.
        KeyboardInterrupt: on Ctrl-C; the folder holds all whole epochs.
    """
    before = _check_folder(recipe, folder)
    data = (fitted.identity, validation.identity)
    if before is not None:
        _check_rows(before, folder, fitted, validation, data)
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
    trained, running = count_values(body)
    record = before or Run(
        recipe=recipe,
        status="running",
        input=spec,
        labels=fitted.labels,
        trained=trained,
        running=running,
        rows=len(fitted),
        validation_rows=len(validation),
        data_licence=fitted.licence,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else describe_machine(),
        versions=describe_versions(),
        commit=commit(),
        weights=loaded,
        teachers=identities,
        data=data,
        fitted_before=tuple(dict.fromkeys((*seen_before(recipe), *(() if teachers is None else teachers.seen)))),
        precision=precision_here(recipe.precision),
    )
    if before is None and is_first():
        _tell_beginning(record, validation)
    if is_first():
        folder.mkdir(parents=True, exist_ok=True)
        record.write(folder)
        for reason, count in fitted.left_out.items():
            print(f"{fitted.name}: {count:,} pictures left out: {reason}", file=sys.stderr)
    graph, keeper = Normalised(body, spec), _Keeper(record, folder)
    if loaded is not None and is_exported(loaded.source):
        restore_norms(graph, fitted.images[spread(len(fitted), NORM_ROWS)])
    once, head = None, head_name(body, recipe.transfer)
    if recipe.transfer.computes_once:
        once = features(recipe, graph, fitted.images, spec), features(recipe, graph, validation.images, spec)
    if recipe.transfer.mode == "svm" and once is not None:
        keeper.keep(body, fit_svm(body, recipe, (once[0], fitted), (once[1], validation)))
    else:
        norms = freeze(body, recipe.transfer)
        module = FitModule(recipe, graph, fitted, validation, frozen=norms, features=once, head=head, teachers=teachers)
        _run_lightning(module, keeper, folder / CHECKPOINT, workers or Workers())
    if is_first():
        draw_curves(keeper.record, folder / CURVES)
    return keeper.record


class _Keeper(Callback):
    """After each epoch: the best weights, the record and the checkpoint, each whole or not at all."""

    def __init__(self, record: Run, folder: Path) -> None:
        self.record = record
        self._folder = folder
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:  # noqa: ARG002
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        loss, accuracy = module.train_means()
        epoch = Epoch(
            epoch=trainer.current_epoch + 1,
            rate=trainer.optimizers[0].param_groups[0]["lr"],
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=module.validated[0],
            validation_accuracy=module.validated[1],
            seconds=time.perf_counter() - self._started,
        )
        self.keep(module.result.body, epoch, trainer.save_checkpoint)
        trainer.should_stop = self.record.status == "finished"

    def keep(self, body: nn.Module, epoch: Epoch, save_checkpoint: Callable[[Path], None] | None = None) -> None:
        """Put one more epoch into the folder.

        The checkpoint comes last: after a kill before it the epoch is computed once more, and none is ever skipped. If
        the record holds that epoch already, its entry and weights stay, so that the two belong together where a
        machine does not compute the same bits twice.
        """
        if epoch.epoch not in [done.epoch for done in self.record.history]:
            self._enter(body, epoch)
        if save_checkpoint is not None:
            part = self._folder / f"{CHECKPOINT}.part"
            save_checkpoint(part)  # all workers together; the first one writes
            if is_first():
                part.replace(self._folder / CHECKPOINT)
        if is_first() and not sys.stderr.isatty():
            numbers = {key: round(value, 4) for key, value in asdict(epoch).items()}
            print(" ".join(f"{key} {value}" for key, value in numbers.items()), file=sys.stderr, flush=True)

    def _enter(self, body: nn.Module, epoch: Epoch) -> None:
        recipe, history = self.record.recipe, (*self.record.history, epoch)
        stale = epoch.epoch - self.record.with_history(history, finished=False).best.epoch
        finished = epoch.epoch == recipe.epochs or (recipe.patience is not None and stale >= recipe.patience)
        self.record = self.record.with_history(history, finished=finished)
        if not is_first():
            return
        if self.record.best.epoch == epoch.epoch:
            part = self._folder / f"{WEIGHTS}.part"
            save_file({name: value.contiguous() for name, value in body.state_dict().items()}, part)
            part.replace(self._folder / WEIGHTS)
        self.record.write(self._folder)


def _tell_beginning(record: Run, validation: Dataset) -> None:
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


def _check_rows(before: Run, folder: Path, fitted: Dataset, validation: Dataset, data: tuple[str, ...]) -> None:
    counts = (len(fitted), len(validation))
    if (before.rows, before.validation_rows) == counts and before.data in ((), data):
        return
    raise TrainingError(
        f"{folder}: the pictures or labels of {fitted.name} are not those it began with, {before.rows:,} fitted and "
        f"{before.validation_rows:,} chosen on (now {counts[0]:,} and {counts[1]:,}): put them back, or train into "
        "another folder with --out"
    )


def _run_lightning(module: FitModule, keeper: _Keeper, checkpoint: Path, workers: Workers) -> None:
    callbacks: list[Callback] = [keeper]
    if sys.stderr.isatty():
        callbacks.append(RichProgressBar(leave=True))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")  # advice on loaders and loggers that are not used
        trainer = lightning.Trainer(
            max_epochs=module.recipe.epochs,
            precision=LIGHTNING_PRECISION[keeper.record.precision or module.recipe.precision],
            gradient_clip_val=module.recipe.optimiser.clip,
            accelerator="auto",
            devices=workers.devices,
            num_nodes=workers.nodes,
            strategy=workers.strategy,
            use_distributed_sampler=False,  # the batches part themselves
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=sys.stderr.isatty(),
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            callbacks=callbacks,
        )
        resume = checkpoint if keeper.record.history and checkpoint.exists() else None
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, ckpt_path=resume, weights_only=True)
        except SystemExit:  # what Lightning makes of Ctrl-C, after ignoring any further one
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None


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
