"""A run's folder: ``run.json`` with everything about it, its weights, and the checkpoint it resumes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mien.core.errors import TrainingError
from mien.core.expression import Expression
from mien.core.files import read_record, write_json, write_whole
from mien.core.fitted import Fitted
from mien.core.model_reference import RUN_RECORD, no_run
from mien.core.preprocess import InputSpec
from mien.data.load import name_of
from mien.models.weights import Loaded
from mien.reporting.panels import LearningCurve, learning_curves
from mien.training.recipe import Precision, Recipe

RECORD, WEIGHTS, CHECKPOINT, CURVES = RUN_RECORD, "best.safetensors", "last.ckpt", "curves.png"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch's numbers.

    Attributes:
        epoch: counted from 1.
        rate: learning rate at its end.
        train_loss: mean over its steps, on augmented pictures, smoothing and class weights included.
        train_accuracy: likewise, of the weights as they were at each step.
        validation_loss: plain cross entropy of the averaged weights, nats.
        validation_accuracy: of the averaged weights.
        seconds: wall time, validation included.
    """

    epoch: int
    rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """What ``run.json`` holds.

    Attributes:
        recipe: what was asked for.
        status: ``running`` until the last epoch is done, or early stopping ended it.
        input: what the network's crops are.
        labels: its outputs.
        trained: trained values.
        running: running means and variances.
        rows: rows fitted.
        validation_rows: rows chosen on.
        data_licence: of the dataset.
        device: what it ran on.
        versions: of Python and the libraries that matter.
        commit: of the working folder's repository, where there is one.
        weights: what was loaded before training, if anything.
        teachers: sha256 of the weights of each run that it learns from.
        data: identity of the rows fitted and of those chosen on; two sha256.
        fitted_before: the rows that fitted what it starts from and its teachers.
        precision: what it is computed in, here and when it is resumed.
        history: one entry an epoch.
    """

    recipe: Recipe
    status: Literal["running", "finished"]
    input: InputSpec
    labels: tuple[Expression, ...]
    trained: int
    running: int
    rows: int
    validation_rows: int
    data_licence: str
    device: str
    versions: dict[str, str]
    data: tuple[str, str]
    precision: Precision
    commit: str | None = None
    weights: Loaded | None = None
    teachers: tuple[str, ...] = ()
    fitted_before: tuple[Fitted, ...] = ()
    history: tuple[Epoch, ...] = ()

    @property
    def fitted(self) -> Fitted:
        """The rows that fit its weights and choose among them."""
        data = self.recipe.data
        name = name_of(data.dataset, counts=data.counts, classes=data.classes)
        return Fitted(name, data.folds, (data.train, data.validation), (data.validation,))

    @property
    def seen(self) -> tuple[Fitted, ...]:
        """Those, and the rows that fitted what it learnt from: nothing of them can measure it."""
        return tuple(dict.fromkeys((self.fitted, *self.fitted_before)))

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept: the first with the highest validation accuracy.

        Raises:
            TrainingError: no epoch was completed.
        """
        if not self.history:
            raise TrainingError(f"run '{self.recipe.name}' has not completed an epoch: train it further")
        return max(self.history, key=lambda epoch: epoch.validation_accuracy)

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read the record of a run's folder.

        Raises:
            TrainingError: there is no run, or its record is damaged.
            ConfigError: a key or value of it is wrong.
        """
        path = folder / RECORD
        missing = TrainingError(no_run(folder))
        remedy = "train again into another folder"
        return read_record(cls, path, missing=missing, remedy=remedy, damaged=TrainingError)

    def write(self, folder: Path) -> None:
        """Write the record, whole or not at all."""
        write_json(self, folder / RECORD, indent=1)

    def with_epoch(self, epoch: Epoch) -> Run:
        """The record after one more epoch, finished if that is the last, or the last that the recipe's patience allows.

        If it holds that epoch already, it stays as it is, so that record and weights belong together where a machine
        does not compute the same bits twice.
        """
        if epoch.epoch in [done.epoch for done in self.history]:
            return self
        run = replace(self, history=(*self.history, epoch))
        patience = self.recipe.patience
        stale = patience is not None and epoch.epoch - run.best.epoch >= patience
        return replace(run, status="finished" if stale or epoch.epoch >= self.recipe.epochs else "running")


def draw_curves(run: Run, path: Path) -> None:
    """Draw loss and accuracy against the epoch, train beside validation, as PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    best = run.best.epoch
    curve = LearningCurve(f"{run.recipe.name}, seed {run.recipe.seed}", run.history, marked=best)
    alt = f"Loss and accuracy of {run.recipe.name} against the epoch, train and validation; kept epoch {best}"
    write_whole(path, learning_curves([curve], alt=alt).png)
