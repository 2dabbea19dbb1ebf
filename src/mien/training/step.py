"""What happens in a step: batches, augmentation, loss, validation and the averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.core.errors import TrainingError
from mien.data.dataset import Dataset, class_weights
from mien.models.network import Normalised, as_planes
from mien.training.augment import augment, degrade
from mien.training.distil import Teachers, distillation_loss
from mien.training.recipe import Optimiser, Recipe

AVERAGE_EVERY = 4
VALIDATION_BATCH = 512
"""Rows of a validation batch at most, and four times the training batch: without gradients that needs no more memory
than a training step, so a recipe that is made small enough for a large network fits throughout."""


def rate_factor(step: int, total: int, settings: Optimiser) -> float:
    """Learning rate at ``step`` of ``total`` as a share of the peak."""
    if settings.schedule == "constant":
        return 1.0
    start = settings.warmup * total if settings.schedule == "onecycle" else 0.0
    if step < start:
        return 0.1 + 0.9 * step / start
    return 0.001 + 0.999 * (1 + math.cos(math.pi * min((step - start) / (total - start), 1.0))) / 2


class Batches:
    """A dataset's batches. With a key their order follows from it, and the last, short one is left out.

    Where several workers share the work, each gets every ``workers``-th row of a batch: together they see the batch
    that one alone would.
    """

    def __init__(
        self, columns: Sequence[Tensor], size: int, key: int | None = None, *, worker: int = 0, workers: int = 1
    ) -> None:
        """``columns`` are crops, class indices and further targets, n values each; ``size`` rows a whole batch."""
        self._columns = columns
        self._share = slice(worker, None, workers)
        self._rows = len(columns[0])
        self._size = min(size, self._rows)
        self._key = key

    def __len__(self) -> int:
        whole = self._rows // self._size
        return whole if self._key is not None else math.ceil(self._rows / self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        n = self._rows
        order = torch.arange(n)
        if self._key is not None:
            order = torch.randperm(n, generator=torch.Generator().manual_seed(self._key))
        for batch in range(len(self)):
            rows = order[batch * self._size : (batch + 1) * self._size][self._share]
            yield tuple(column[rows] for column in self._columns)


class FitModule(lightning.LightningModule):
    """The training and validation step; Lightning does devices, precision and the loop."""

    class_weights: Tensor | None

    def __init__(
        self,
        recipe: Recipe,
        graph: Normalised,
        fitted: Dataset,
        validation: Dataset,
        *,
        frozen: Sequence[nn.Module] = (),
        features: tuple[Tensor, Tensor] | None = None,
        head: str = "",
        teachers: Teachers | None = None,
    ) -> None:
        """Fit ``graph`` on one dataset and choose on the other.

        Args:
            recipe: what to compute.
            graph: what is fitted.
            fitted: rows that fit it.
            validation: rows that choose among the epochs.
            frozen: norms within ``graph`` whose running values stay.
            features: of both datasets' rows, in place of their pictures, where only the head is fitted.
            head: name of the module of the body that takes the features.
            teachers: whose answers are learnt from.
        """
        super().__init__()
        self.recipe = recipe
        self.graph = graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(graph).requires_grad_(False) if recipe.averaging else None
        weights = class_weights(fitted.indices, len(fitted.labels)) if recipe.class_weights == "inverse" else None
        self.register_buffer("class_weights", None if weights is None else torch.from_numpy(weights))
        self._frozen = tuple(frozen)
        self._head = f"body.{head}" if features is not None else ""
        self._teachers = teachers
        seen = (torch.tensor(fitted.images), torch.tensor(validation.images)) if features is None else features
        self._validation = (seen[1], torch.tensor(validation.indices))
        columns = {"seen": seen[0], "indices": torch.tensor(fitted.indices)}
        if recipe.votes is not None and fitted.votes is not None:
            columns["votes"] = torch.tensor(fitted.votes)
        if teachers is not None and recipe.distil is not None and recipe.distil.answers == "cached":
            columns["answers"] = teachers.cached(fitted.images)
        self._columns = columns
        self._draws = torch.Generator()
        self._sums, self._seen = torch.zeros(2), 0
        self.validated = (math.nan, math.nan)

    def _key(self) -> int:
        return self.recipe.seed * 1_000_003 + self.current_epoch

    def _size(self) -> int | None:
        progressive = self.recipe.progressive
        early = progressive is not None and self.current_epoch < progressive.until * self.recipe.epochs
        return progressive.size if progressive is not None and early else None

    def train_dataloader(self) -> Batches:
        """This epoch's batches."""
        return Batches(tuple(self._columns.values()), self.recipe.batch, self._key(), **self._place())

    def val_dataloader(self) -> Batches:
        """The validation split in order."""
        return Batches(self._validation, min(VALIDATION_BATCH, 4 * self.recipe.batch), **self._place())

    def _place(self) -> dict[str, int]:
        trainer = self._trainer
        return {} if trainer is None else {"worker": trainer.global_rank, "workers": trainer.world_size}

    def on_fit_start(self) -> None:
        """Refuse a batch that the workers cannot share evenly."""
        rows, workers = len(self._columns["indices"]), self.trainer.world_size
        batch = min(self.recipe.batch, rows)
        if batch % workers:
            why = f", as there are only {rows} rows" if rows < self.recipe.batch else ""
            raise TrainingError(
                f"a batch of {batch}{why} cannot be shared evenly by {workers} workers: set batch to a multiple of "
                f"{workers}{f' below {rows}' if why else ''}"
            )

    def on_train_epoch_start(self) -> None:
        """Derive every random state from the seed and the epoch."""
        apart = 1_000_000_007 * self.trainer.global_rank  # workers draw noise of their own
        torch.manual_seed(self._key() + apart)
        self._draws.manual_seed(self._key() + 500_009 + apart)
        self._sums = torch.zeros(2, dtype=torch.float32 if self.device.type == "mps" else torch.float64).to(self.device)
        self._seen = 0
        for norm in self._frozen:
            norm.eval()

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        """Loss of one augmented batch."""
        targets = dict(zip(self._columns, batch, strict=True))
        seen, indices = targets["seen"], targets["indices"]
        if self._head:
            logits = self.graph.get_submodule(self._head)(seen).float()
        else:
            planes = augment(as_planes(seen), self.recipe.augment, self._draws, size=self._size())
            if self._teachers is not None and "answers" not in targets:
                targets["answers"] = self._teachers.answers(planes)
            planes = degrade(planes, self.recipe.augment.degrade, self._draws)
            planes = self.graph.normalise(planes)
            logits = self.graph.body(planes.contiguous(memory_format=torch.channels_last)).float()
        loss = self._loss(logits, targets)
        with torch.no_grad():  # summed where it is computed: a look at each step would make the device wait
            correct = (logits.argmax(1) == indices).sum()
            self._sums += torch.stack([loss.detach().to(self._sums) * len(indices), correct.to(self._sums)])
            self._seen += len(indices)
        return loss

    def _loss(self, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
        recipe, weight = self.recipe, self.class_weights
        loss = functional.cross_entropy(logits, targets["indices"], weight=weight, label_smoothing=recipe.smoothing)
        if "votes" in targets and recipe.votes is not None:
            crowd = functional.cross_entropy(logits, targets["votes"], weight=weight)
            loss = torch.lerp(loss, crowd, recipe.votes)
        if "answers" in targets and recipe.distil is not None:
            taught = distillation_loss(logits, targets["answers"], recipe.distil.temperature)
            loss = torch.lerp(loss, taught, recipe.distil.weight)
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the averaged weights towards the new ones."""
        if self.average is not None and self.global_step % AVERAGE_EVERY == 0:
            # a young average follows quickly, so that the random start does not linger in it
            young = self.global_step / (self.global_step + 10 * AVERAGE_EVERY)
            _follow(self.average, self.graph, min(self.recipe.averaging or 0.0, young))

    @property
    def result(self) -> Normalised:
        """The weights that are validated and kept."""
        return self.graph if self.average is None else self.average

    def on_validation_epoch_start(self) -> None:
        """Start collecting."""
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []
        self.result.eval()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Collect plain losses and hits of the kept weights."""
        crops, indices = batch
        with torch.autocast(self.device.type, enabled=False):  # kept weights are exported in fp32
            logits = self.result.get_submodule(self._head)(crops) if self._head else self.result(crops)
        self._losses.append(functional.cross_entropy(logits, indices, reduction="none"))
        self._hits.append(logits.argmax(1) == indices)

    def on_validation_epoch_end(self) -> None:
        """Set :attr:`validated` to the mean loss and the accuracy over all workers' rows."""
        losses = torch.cat(self._losses) if self._losses else torch.zeros(0, device=self.device)
        hits = torch.cat(self._hits) if self._hits else torch.zeros(0, device=self.device)
        loss, right, rows = self._summed(torch.stack([losses.sum(), hits.float().sum(), losses.new_tensor(len(hits))]))
        self.validated = (loss / rows, right / rows)
        self.log("validation accuracy", self.validated[1], prog_bar=True)

    def train_means(self) -> tuple[float, float]:
        """Loss and accuracy over the epoch so far and all workers, which have to ask together."""
        loss, correct, rows = self._summed(torch.cat([self._sums, self._sums.new_tensor([self._seen])]))
        return loss / rows, correct / rows

    def _summed(self, sums: Tensor) -> list[float]:
        total: Tensor = self.trainer.strategy.reduce(sums, reduce_op="sum")
        return [float(value) for value in total]

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser, its rate set anew at every step."""
        settings = self.recipe.optimiser
        trained = [p for p in self.graph.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        # one pass over all values, a third of the time; Lightning cannot clip for it in mixed precision
        fused = settings.clip is None or self.recipe.precision == "fp32"
        optimiser: torch.optim.Optimizer
        if settings.name == "adamw":
            optimiser = torch.optim.AdamW(groups, lr=settings.rate, fused=fused)
        elif settings.name == "rmsprop":
            optimiser = torch.optim.RMSprop(groups, lr=settings.rate)
        else:
            optimiser = torch.optim.SGD(groups, lr=settings.rate, momentum=0.9, nesterov=True, fused=fused)
        total = self.recipe.epochs * len(self.train_dataloader())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_factor(step, total, settings))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for kept, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(value, 1 - decay)
        else:
            kept.copy_(value)
