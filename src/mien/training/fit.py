"""Running a recipe on Lightning: one folder in, resumable at any moment."""

from __future__ import annotations

import copy
import ctypes
import logging
import math
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from mien.core.errors import TrainingError
from mien.core.expression import LABEL_SETS
from mien.core.preprocess import InputSpec
from mien.data.base import Dataset, class_weights
from mien.data.load import load_dataset
from mien.models.network import Normalised, as_planes
from mien.models.registry import build, count_values, network
from mien.training.augment import augment
from mien.training.recipe import Optimiser, Recipe
from mien.training.run import (
    CHECKPOINT,
    CURVES,
    RECORD,
    WEIGHTS,
    Epoch,
    Run,
    describe_commit,
    describe_machine,
    describe_versions,
    draw_curves,
)

AVERAGE_EVERY = 4
VALIDATION_BATCH = 512


def train(recipe: Recipe, folder: Path, *, root: Path | None = None, threads: int | None = None) -> Run:
    """Run a recipe in ``folder``, or go on with the unfinished run that is there.

    The random state of an epoch follows from the recipe's seed and the epoch's number alone, so a resumed run
    computes what an uninterrupted one would have.

    Args:
        recipe: what to compute.
        folder: where the run's record, weights, checkpoint and curves go.
        root: where datasets lie.
        threads: torch's threads on the CPU; None leaves torch's own choice.

    Raises:
        TrainingError: the folder holds a finished run, or one of another recipe.
        DatasetError: the data is missing or wrong.
        KeyboardInterrupt: on Ctrl-C; the folder holds all whole epochs.
    """
    before = _check_folder(recipe, folder)
    if threads is not None:
        torch.set_num_threads(threads)
    _keep_memory()
    spec = network(recipe.network).input
    fitted, validation = load_splits(recipe, spec, root)
    torch.manual_seed(recipe.seed)
    body = build(recipe.network, len(fitted.labels), **recipe.options)
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
        commit=describe_commit(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    record.write(folder)
    fit = _Fit(recipe, Normalised(body, spec), fitted, validation)
    keeper = _Keeper(record, folder)
    _run_lightning(fit, keeper, folder / CHECKPOINT)
    draw_curves(keeper.record, folder / CURVES)
    return keeper.record


def rate_factor(step: int, total: int, settings: Optimiser) -> float:
    """Learning rate at ``step`` of ``total`` as a share of the peak."""
    if settings.schedule == "constant":
        return 1.0
    start = settings.warmup * total if settings.schedule == "onecycle" else 0.0
    if step < start:
        return 0.1 + 0.9 * step / start
    return 0.001 + 0.999 * (1 + math.cos(math.pi * min((step - start) / (total - start), 1.0))) / 2


def load_splits(recipe: Recipe, spec: InputSpec, root: Path | None) -> tuple[Dataset, Dataset]:
    """The rows that fit a recipe's weights, and those that choose among its epochs.

    Raises:
        DatasetError: the data is missing or wrong, or has no such split.
        TrainingError: a class has no picture to be fitted on.
    """
    data = recipe.data
    dataset = load_dataset(data.dataset, spec, root=root)
    if data.labels is not None:
        dataset = dataset.relabel(LABEL_SETS[data.labels])
    fitted, validation = dataset.split(data.train), dataset.split(data.validation)
    missing = [label for label, count in fitted.counts.items() if not count]
    if missing:
        raise TrainingError(f"{dataset.name}: the split '{data.train}' has no picture of {', '.join(missing)}")
    if data.limit is not None and data.limit < len(fitted):
        every = torch.linspace(0, len(fitted) - 1, data.limit).round().long().numpy()
        fitted = fitted.take(every)
    if len(fitted) < 2:
        raise TrainingError(f"{dataset.name}: the split '{data.train}' has fewer than two pictures")
    return fitted, validation


class _Batches:
    """A dataset's batches. With a key their order follows from it, and the last, short one is left out."""

    def __init__(self, rows: tuple[Tensor, Tensor], size: int, key: int | None = None) -> None:
        self._images, self._indices = rows
        self._size = min(size, len(self._indices))
        self._key = key

    def __len__(self) -> int:
        whole = len(self._indices) // self._size
        return whole if self._key is not None else math.ceil(len(self._indices) / self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self._indices)
        order = torch.arange(n)
        if self._key is not None:
            order = torch.randperm(n, generator=torch.Generator().manual_seed(self._key))
        for batch in range(len(self)):
            rows = order[batch * self._size : (batch + 1) * self._size]
            yield self._images[rows], self._indices[rows]


class _Fit(lightning.LightningModule):
    """The training and validation step; Lightning does devices, precision and the loop."""

    class_weights: Tensor | None

    def __init__(self, recipe: Recipe, graph: Normalised, fitted: Dataset, validation: Dataset) -> None:
        super().__init__()
        self.recipe = recipe
        self.graph = graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(graph).requires_grad_(False) if recipe.averaging else None
        weights = class_weights(fitted.indices, len(fitted.labels)) if recipe.class_weights == "inverse" else None
        self.register_buffer("class_weights", None if weights is None else torch.from_numpy(weights))
        self._fitted = _tensors(fitted)
        self._validation = _tensors(validation)
        self._draws = torch.Generator()
        self._sums = [0.0, 0.0, 0.0]
        self.validated = (math.nan, math.nan)

    def _key(self) -> int:
        return self.recipe.seed * 1_000_003 + self.current_epoch

    def _size(self) -> int | None:
        progressive = self.recipe.progressive
        early = progressive is not None and self.current_epoch < progressive.until * self.recipe.epochs
        return progressive.size if progressive is not None and early else None

    def train_dataloader(self) -> _Batches:
        return _Batches(self._fitted, self.recipe.batch, self._key())

    def val_dataloader(self) -> _Batches:
        return _Batches(self._validation, VALIDATION_BATCH)

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self._key())
        self._draws.manual_seed(self._key() + 500_009)
        self._sums = [0.0, 0.0, 0.0]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        crops, indices = batch
        planes = augment(as_planes(crops), self.recipe.augment, self._draws, size=self._size())
        planes = self.graph.normalise(planes)
        logits = self.graph.body(planes.contiguous(memory_format=torch.channels_last)).float()
        loss = functional.cross_entropy(
            logits, indices, weight=self.class_weights, label_smoothing=self.recipe.smoothing
        )
        with torch.no_grad():
            correct = (logits.argmax(1) == indices).sum().item()
        for i, value in enumerate((loss.item() * len(indices), correct, len(indices))):
            self._sums[i] += value
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        if self.average is not None and self.global_step % AVERAGE_EVERY == 0:
            # a young average follows quickly, so that the random start does not linger in it
            young = self.global_step / (self.global_step + 10 * AVERAGE_EVERY)
            _follow(self.average, self.graph, min(self.recipe.averaging or 0.0, young))

    @property
    def result(self) -> Normalised:
        """The weights that are validated and kept."""
        return self.graph if self.average is None else self.average

    def on_validation_epoch_start(self) -> None:
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []
        self.result.eval()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        crops, indices = batch
        with torch.autocast(self.device.type, enabled=False):  # kept weights are exported in fp32
            logits = self.result(crops)
        self._losses.append(functional.cross_entropy(logits, indices, reduction="none"))
        self._hits.append(logits.argmax(1) == indices)

    def on_validation_epoch_end(self) -> None:
        self.validated = (torch.cat(self._losses).mean().item(), torch.cat(self._hits).float().mean().item())

    @property
    def train_means(self) -> tuple[float, float]:
        """Loss and accuracy over the epoch so far."""
        loss, correct, rows = self._sums
        return loss / rows, correct / rows

    def configure_optimizers(self) -> Any:
        settings = self.recipe.optimiser
        groups = [
            {"params": [p for p in self.graph.parameters() if p.ndim > 1], "weight_decay": settings.decay},
            {"params": [p for p in self.graph.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimiser: torch.optim.Optimizer
        if settings.name == "adamw":
            optimiser = torch.optim.AdamW(groups, lr=settings.rate)
        else:
            optimiser = torch.optim.SGD(groups, lr=settings.rate, momentum=0.9, nesterov=True)
        total = self.recipe.epochs * len(self.train_dataloader())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_factor(step, total, settings))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Keeper(Callback):
    """After each epoch: the record, the best weights and the checkpoint, each whole or not at all."""

    def __init__(self, record: Run, folder: Path) -> None:
        self.record = record
        self._folder = folder
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:  # noqa: ARG002
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        loss, accuracy = module.train_means
        epoch = Epoch(
            epoch=trainer.current_epoch + 1,
            rate=trainer.optimizers[0].param_groups[0]["lr"],
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=module.validated[0],
            validation_accuracy=module.validated[1],
            seconds=time.perf_counter() - self._started,
        )
        recipe = self.record.recipe
        # a kill between the record and the checkpoint repeats an epoch: its earlier entry gives way
        history = (*(e for e in self.record.history if e.epoch < epoch.epoch), epoch)
        stale = epoch.epoch - self.record.with_history(history, finished=False).best.epoch
        finished = epoch.epoch == recipe.epochs or (recipe.patience is not None and stale >= recipe.patience)
        self.record = self.record.with_history(history, finished=finished)
        if self.record.best.epoch == epoch.epoch:
            part = self._folder / f"{WEIGHTS}.part"
            body = module.result.body
            save_file({name: value.contiguous() for name, value in body.state_dict().items()}, part)
            part.replace(self._folder / WEIGHTS)
        part = self._folder / f"{CHECKPOINT}.part"
        trainer.save_checkpoint(part)
        part.replace(self._folder / CHECKPOINT)
        self.record.write(self._folder)
        trainer.should_stop = finished
        if not sys.stderr.isatty():
            numbers = {key: round(value, 4) for key, value in asdict(epoch).items()}
            print(" ".join(f"{key} {value}" for key, value in numbers.items()), file=sys.stderr, flush=True)


def _tensors(dataset: Dataset) -> tuple[Tensor, Tensor]:
    return torch.tensor(dataset.images), torch.tensor(dataset.indices)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for kept, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(value, 1 - decay)
        else:
            kept.copy_(value)


def _check_folder(recipe: Recipe, folder: Path) -> Run | None:
    if not (folder / RECORD).exists():
        return None
    before = Run.read(folder)
    if before.recipe != recipe:
        raise TrainingError(f"{folder} holds a run of another recipe: give another folder with --out")
    if before.status == "finished":
        raise TrainingError(f"{folder} holds this run, finished: 'mien export {folder}' uses it, --out trains anew")
    return before if (folder / CHECKPOINT).exists() else None


def _run_lightning(fit: _Fit, keeper: _Keeper, checkpoint: Path) -> None:
    callbacks: list[Callback] = [keeper]
    if sys.stderr.isatty():
        callbacks.append(RichProgressBar())
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")  # advice on loaders and loggers that are not used
        trainer = lightning.Trainer(
            max_epochs=fit.recipe.epochs,
            precision="bf16-mixed" if fit.recipe.precision == "bf16" else "32-true",
            gradient_clip_val=fit.recipe.optimiser.clip,
            accelerator="auto",
            devices=1,
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
            trainer.fit(fit, ckpt_path=resume, weights_only=True)
        except SystemExit:  # what Lightning makes of Ctrl-C, after ignoring any further one
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None


def _keep_memory() -> None:
    """Let glibc keep freed memory instead of returning it to the system each step, which costs a third of the time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # not glibc
        return
    mallopt(-4, 0)  # M_MMAP_MAX
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
