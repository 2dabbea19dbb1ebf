"""A run for TensorBoard, MLflow, Weights & Biases or a CSV file, by Lightning's logger of that name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mien.core.errors import MissingExtraError
from mien.core.schema import to_mapping
from mien.training.recipe import LoggerName
from mien.training.run import Epoch, Run
from mien.training.workers import is_first, lightning_module

FOLDER = "logs"
"""Where loggers write within a run's folder."""

_PACKAGES: dict[LoggerName, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
    "csv": (),
}
"""Of each logger, the packages one of which it needs."""


def check_logger(name: LoggerName | None) -> None:
    """Refuse a logger that cannot write here.

    Raises:
        MissingExtraError: its package is not installed.
    """
    packages = () if name is None else _PACKAGES[name]
    if packages and not any(find_spec(package) for package in packages):
        raise MissingExtraError(packages[0], None, f"the logger '{name}'")


@contextmanager
def logged(run: Run, folder: Path) -> Iterator[Callable[[Epoch], None]]:
    """What is told each epoch of a run, by the logger that its recipe names.

    Every start of a run, also one that goes on, is a version of its own in ``folder/logs`` and holds all epochs.
    """
    name = run.recipe.logger
    if name is None or not is_first():
        yield lambda _: None
        return
    logger = _make(name, run, folder)
    logger.log_hyperparams(to_mapping(run.recipe) | {"trained": run.trained, "rows": run.rows})

    def tell(epoch: Epoch) -> None:
        numbers = asdict(epoch)
        logger.log_metrics(numbers, step=numbers.pop("epoch"))
        logger.save()

    try:
        for epoch in run.history:
            tell(epoch)
        yield tell
    except BaseException:
        logger.finalize("failed")
        raise
    logger.finalize("success")


def _make(name: LoggerName, run: Run, folder: Path) -> Any:
    loggers = lightning_module("lightning.pytorch.loggers")
    title = f"{run.recipe.name}-{run.recipe.seed}"
    if name == "csv":
        return loggers.CSVLogger(folder, name=FOLDER)
    if name == "tensorboard":
        return loggers.TensorBoardLogger(folder, name=FOLDER)
    if name == "mlflow":
        return loggers.MLFlowLogger(experiment_name=run.recipe.name, run_name=title, save_dir=str(folder / FOLDER))
    return loggers.WandbLogger(name=title, project=run.recipe.name, save_dir=folder / FOLDER)
