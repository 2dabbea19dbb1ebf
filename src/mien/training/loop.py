"""The training loop: batches, augmentation, loss, step, validation, averaged weights, and what a run resumes from.

Lightning Fabric does devices, precision and workers; everything else that happens in an epoch is written out here.
"""

from __future__ import annotations

import atexit
import logging
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from mien.core.errors import TrainingError
from mien.core.files import replacing
from mien.data.dataset import Dataset, class_weights
from mien.models.network import Normalised, as_planes
from mien.training.augment import Mixture, augment, degrade, draw_mixture
from mien.training.distil import Teachers, distillation_loss
from mien.training.recipe import Optimiser, Precision, Recipe
from mien.training.run import Epoch
from mien.training.workers import Workers, is_first, lightning_module

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Tensors = tuple[Tensor, ...] | list[Tensor]

AVERAGE_EVERY = 4
VALIDATION_BATCH = 512
"""Rows of a validation batch at most, and four times the training batch: without gradients that needs no more memory
than a training step, so a recipe that is made small enough for a large network fits throughout."""

LIGHTNING_PRECISION: dict[Precision, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}
"""What Lightning calls a recipe's precision."""


def fabric_for(workers: Workers, precision: Precision) -> Fabric:
    """Lightning's part of the loop, launched: where there are several workers, this starts those of this machine."""
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    fabric: Fabric = lightning_module("lightning.fabric").Fabric(
        accelerator="auto",
        devices=workers.devices,
        num_nodes=workers.nodes,
        strategy=workers.strategy,
        precision=LIGHTNING_PRECISION[precision],
    )
    fabric.launch()
    if torch.distributed.is_initialized():
        atexit.register(_part)
    return fabric


def _part() -> None:
    """Leave the other workers: a process that ends with open connections may be aborted, and take the rest along."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


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


def loss_of(
    recipe: Recipe,
    logits: Tensor,
    targets: dict[str, Tensor],
    weight: Tensor | None = None,
    mixture: Mixture | None = None,
) -> Tensor:
    """The recipe's loss of logits ``(n, K)``.

    Args:
        recipe: how labels, votes and teachers share it.
        logits: of the network that learns.
        targets: ``indices`` ``(n,)``, and where the recipe has them ``votes`` and ``answers``, each ``(n, K)``.
        weight: of each class, ``(K,)``.
        mixture: how the pictures, and with them votes and answers, were mixed; labels are mixed here.
    """

    def labelled(indices: Tensor) -> Tensor:
        return functional.cross_entropy(logits, indices, weight=weight, label_smoothing=recipe.smoothing)

    loss = labelled(targets["indices"])
    if mixture is not None:
        loss = torch.lerp(labelled(targets["indices"][mixture.partner]), loss, mixture.share)
    if "votes" in targets and recipe.votes is not None:
        loss = torch.lerp(loss, functional.cross_entropy(logits, targets["votes"], weight=weight), recipe.votes)
    if "answers" in targets and recipe.distil is not None:
        taught = distillation_loss(logits, targets["answers"], recipe.distil.temperature)
        loss = torch.lerp(loss, taught, recipe.distil.weight)
    return loss


class Learner:
    """A network that learns, an epoch at a time.

    The random state of an epoch follows from the recipe's seed and the epoch's number alone.
    """

    def __init__(
        self,
        recipe: Recipe,
        graph: Normalised,
        fitted: Dataset,
        validation: Dataset,
        fabric: Fabric,
        *,
        frozen: Sequence[nn.Module] = (),
        features: tuple[Tensor, Tensor] | None = None,
        head: str = "",
        teachers: Teachers | None = None,
    ) -> None:
        """Fit ``graph`` on one dataset and choose on the other.

        Args:
            recipe: what to compute.
            graph: what is fitted; it is moved to the device.
            fitted: rows that fit it.
            validation: rows that choose among the epochs.
            fabric: see :func:`fabric_for`; launched.
            frozen: norms within ``graph`` whose running values stay.
            features: of both datasets' rows, in place of their pictures, where only the head is fitted.
            head: name of the module of the body that takes the features.
            teachers: whose answers are learnt from.

        Raises:
            TrainingError: the workers cannot share a batch evenly.
        """
        _check_shares(recipe, len(fitted), fabric.world_size)
        self._recipe, self._fabric, self._frozen, self._teachers = recipe, fabric, tuple(frozen), teachers
        self._graph = graph
        fabric.to_device(graph.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
        self._average = None if recipe.averaging is None else self._averaging(recipe.averaging)
        weights = class_weights(fitted.indices, len(fitted.labels)) if recipe.class_weights == "inverse" else None
        self._class_weights = None if weights is None else fabric.to_device(torch.from_numpy(weights))
        self._shown = features is None
        seen = (torch.tensor(fitted.images), torch.tensor(validation.images)) if features is None else features
        self._validation = (seen[1], torch.tensor(validation.indices))
        self._columns = {"seen": seen[0], "indices": torch.tensor(fitted.indices)}
        if recipe.votes is not None and fitted.votes is not None:
            self._columns["votes"] = torch.tensor(fitted.votes)
        if teachers is not None and recipe.distil is not None and recipe.distil.answers == "cached":
            self._columns["answers"] = teachers.cached(fitted.images)
        self._trained = "body" if features is None else f"body.{head}"
        optimiser = _optimiser(recipe, self._graph)
        total = recipe.epochs * len(self.batches(0))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: rate_factor(step, total, recipe.optimiser)
        )
        network = self._graph.get_submodule(self._trained)
        self._network, self._optimiser = fabric.setup(network, optimiser, move_to_device=False)
        self._draws = torch.Generator()
        self._epoch = self._steps = 0

    @property
    def result(self) -> Normalised:
        """What is validated and kept: the averaged weights where the recipe averages, else those that are trained."""
        return self._graph if self._average is None else cast(Normalised, self._average.module)

    def learn(self, number: int) -> Epoch:
        """Learn for the epoch of that number, the first of which is 0, and validate."""
        started = time.perf_counter()
        self.begin(number)
        device = self._fabric.device
        sums, rows = torch.zeros(2, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device), 0
        for batch in _shown(self.batches(number), f"epoch {number + 1} of {self._recipe.epochs}"):
            loss, correct = self.step(batch)
            # summed where it is computed: a look at each step would make the device wait
            sums += torch.stack([loss.to(sums) * len(batch[0]), correct.to(sums)])
            rows += len(batch[0])
        validation_loss, validation_accuracy = self.validate()
        train_loss, train_accuracy = self._means(torch.cat([sums, sums.new_tensor([rows])]))
        return Epoch(
            epoch=number + 1,
            rate=self._optimiser.param_groups[0]["lr"],
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            seconds=time.perf_counter() - started,
        )

    def begin(self, number: int) -> None:
        """Derive every random state from the seed and the epoch."""
        self._epoch = number
        apart = 1_000_000_007 * self._fabric.global_rank  # workers draw noise of their own
        torch.manual_seed(self._key(number) + apart)
        self._draws.manual_seed(self._key(number) + 500_009 + apart)
        self._graph.train()
        for norm in self._frozen:
            norm.eval()

    def batches(self, number: int) -> Batches:
        """An epoch's batches, of which this worker gets its share."""
        return Batches(tuple(self._columns.values()), self._recipe.batch, self._key(number), **self._place())

    def step(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Learn from one batch: its loss, and how many of its rows were answered correctly, on the device."""
        targets = dict(zip(self._columns, self._fabric.to_device(batch), strict=True))
        mixture = self._mix(targets)
        with self._fabric.autocast():
            logits = self._network(self._input(targets, mixture)).float()
            loss = loss_of(self._recipe, logits, targets, self._class_weights, mixture)
        self._optimiser.zero_grad()
        self._fabric.backward(loss)
        clip = self._recipe.optimiser.clip
        if clip is not None:
            self._fabric.clip_gradients(self._network, self._optimiser, max_norm=clip, error_if_nonfinite=False)
        self._optimiser.step()
        self._schedule.step()
        self._steps += 1
        if self._average is not None and self._steps % AVERAGE_EVERY == 0:
            self._average.update_parameters(self._graph)
        with torch.no_grad():
            answer = logits.argmax(1)
            right = (answer == targets["indices"]).float()
            if mixture is not None:
                right = torch.lerp((answer == targets["indices"][mixture.partner]).float(), right, mixture.share)
            return loss.detach(), right.sum()

    @torch.inference_mode()
    def validate(self) -> tuple[float, float]:
        """Plain loss and accuracy of :attr:`result` in fp32, as it is exported, over all workers' rows."""
        graph = self.result.eval()
        network = graph if self._shown else graph.get_submodule(self._trained)
        losses, hits = [], []
        for batch in Batches(self._validation, min(VALIDATION_BATCH, 4 * self._recipe.batch), **self._place()):
            seen, indices = self._fabric.to_device(batch)
            logits = network(seen)
            losses.append(functional.cross_entropy(logits, indices, reduction="none"))
            hits.append(logits.argmax(1) == indices)
        loss, right = torch.cat(losses), torch.cat(hits)
        return self._means(torch.stack([loss.sum(), right.float().sum(), loss.new_tensor(len(right))]))

    def save(self, path: Path) -> None:
        """Write what the next epoch follows from, whole or not at all; all workers together, the first one writes."""
        graphs = {"graph": self._graph} if self._average is None else {"graph": self._graph, "average": self.result}
        state = {
            "epoch": self._epoch,
            "global_step": self._steps,
            "state_dict": {
                f"{of}.{key}": value for of, one in graphs.items() for key, value in one.state_dict().items()
            },
            "optimizer_states": [self._optimiser.state_dict()],
            "lr_schedulers": [self._schedule.state_dict()],
        }
        with replacing(path) if self._fabric.is_global_zero else nullcontext(path) as part:
            self._fabric.save(part, state)

    def resume(self, path: Path) -> int:
        """Go on from what :meth:`save` wrote; returns the number of the epoch that comes next.

        Raises:
            TrainingError: it is damaged, or does not fit the run.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            values = state["state_dict"]
            self._graph.load_state_dict({name: values[f"graph.{name}"] for name in self._graph.state_dict()})
            if self._average is not None:
                self.result.load_state_dict({name: values[f"average.{name}"] for name in self.result.state_dict()})
            self._optimiser.load_state_dict(state["optimizer_states"][0])
            self._schedule.load_state_dict(state["lr_schedulers"][0])
            self._steps, done = int(state["global_step"]), int(state["epoch"])
        except Exception as error:  # torch raises many kinds for a file that is damaged or of another run
            raise TrainingError(f"{path} cannot be resumed ({error}): train into another folder with --out") from error
        return done + 1

    def _mix(self, targets: dict[str, Tensor]) -> Mixture | None:
        """Draw how the batch is mixed, and mix what it is to be answered with, where the recipe says so."""
        alpha = self._recipe.augment.mixup
        if not alpha:
            return None
        mixture = draw_mixture(len(targets["indices"]), alpha, self._draws, self._fabric.device)
        for name in targets.keys() & {"votes", "answers"}:
            targets[name] = mixture.of(targets[name])
        return mixture

    def _input(self, targets: dict[str, Tensor], mixture: Mixture | None) -> Tensor:
        """What the trained part is given: features, or pictures that are augmented, asked about, and normalised."""
        seen, recipe = targets["seen"], self._recipe
        if not self._shown:
            return seen
        progressive = recipe.progressive
        small = progressive is not None and self._epoch < progressive.until * recipe.epochs
        size = progressive.size if progressive is not None and small else None
        planes = augment(as_planes(seen), recipe.augment, self._draws, size=size)
        if mixture is not None:
            planes = mixture.of(planes)
        if self._teachers is not None and "answers" not in targets:
            targets["answers"] = self._teachers.answers(planes)
        planes = degrade(planes, recipe.augment.degrade, self._draws)
        return self._graph.normalise(planes).contiguous(memory_format=torch.channels_last)

    def _averaging(self, decay: float) -> AveragedModel:
        def follow(averaged: Tensors, current: Tensors, _: Tensor | int) -> None:
            if not averaged[0].is_floating_point():
                torch._foreach_copy_(averaged, current)
                return
            # a young average follows quickly, so that the random start does not linger in it
            young = self._steps / (self._steps + 10 * AVERAGE_EVERY)
            torch._foreach_lerp_(averaged, current, 1 - min(decay, young))

        average = AveragedModel(self._graph, multi_avg_fn=follow, use_buffers=True)
        average.module.requires_grad_(False)
        average.n_averaged += 1  # the weights at the start are the first that it averages
        return average

    def _key(self, number: int) -> int:
        return self._recipe.seed * 1_000_003 + number

    def _place(self) -> dict[str, int]:
        return {"worker": self._fabric.global_rank, "workers": self._fabric.world_size}

    def _means(self, sums: Tensor) -> tuple[float, float]:
        """Loss and accuracy of sums of losses, hits and rows, over all workers, which have to ask together."""
        loss, right, rows = (float(value) for value in self._fabric.all_reduce(sums, reduce_op="sum"))
        return loss / rows, right / rows


def _shown(batches: Batches, title: str) -> Iterable[tuple[Tensor, ...]]:
    """The batches, with a bar where somebody looks."""
    if not (is_first() and sys.stderr.isatty()):
        return batches
    return track(batches, title, console=Console(stderr=True), transient=True)


def _optimiser(recipe: Recipe, graph: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser; its rate is set anew at every step."""
    settings = recipe.optimiser
    trained = [p for p in graph.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # one pass over all values, a third of the time; Lightning cannot clip for it in mixed precision
    fused = settings.clip is None or recipe.precision == "fp32"
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=settings.rate, fused=fused)
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=settings.rate)
    return torch.optim.SGD(groups, lr=settings.rate, momentum=0.9, nesterov=True, fused=fused)


def _check_shares(recipe: Recipe, rows: int, workers: int) -> None:
    """Refuse a batch that the workers cannot share evenly."""
    batch = min(recipe.batch, rows)
    if batch % workers:
        why = f", as there are only {rows} rows" if rows < recipe.batch else ""
        raise TrainingError(
            f"a batch of {batch}{why} cannot be shared evenly by {workers} workers: set batch to a multiple of "
            f"{workers}{f' below {rows}' if why else ''}"
        )
