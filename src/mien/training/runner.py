"""The one runner of experiments: cells in order, each outcome kept at once, none begun when the time is up.

A sweep, the occlusion study and a paper's experiments are lists of cells. What a cell is and how its outcome is written
down is theirs; that what is done is not done again, that an interrupted network goes on from its last whole epoch, that
each different network is counted and timed once, and what an error or Ctrl-C leaves behind, is decided here.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from mien.core.errors import MienError, ModelError
from mien.core.expression import FER2013, LABEL_SETS, Labels
from mien.core.preprocess import InputSpec
from mien.data.dataset import Dataset
from mien.models.network import TorchPredictor
from mien.training.cost import ROUNDS, Cost, measure_cost
from mien.training.fit import fit
from mien.training.recipe import Recipe
from mien.training.run import RECORD, Run
from mien.training.run_as_model import open_run
from mien.training.transfer import input_of

Outcome = TypeVar("Outcome")


class Cell(ABC, Generic[Outcome]):
    """One entry of a list of experiments."""

    def known(self) -> Outcome | None:
        """Its outcome where nothing is left to do; None where it must be run."""
        return None

    @abstractmethod
    def run(self, runner: Runner) -> Outcome:
        """Do what is left of it."""

    def interrupted(self) -> Outcome | None:
        """What is written down of it after Ctrl-C; None for nothing."""
        return None

    def failed(self, error: MienError) -> Outcome:
        """What is written down of it after an error, which is raised where nothing is."""
        raise error


class Runner:
    """Runs cells, trains their networks and says what they take.

    Tests put :meth:`fit`, :meth:`count` or :meth:`open` in place of what takes long.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        threads: int | None = None,
        hours: float | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin.

        Args:
            root: where datasets lie; None for the usual place.
            threads: torch's threads on the CPU; None leaves torch's own choice.
            hours: nothing is begun later than this; None for no limit, 0 for networks counted and timed alone.
            say: is told what happens, a line at a time.
        """
        self.root = root
        self.threads = threads
        self.say = say
        self._end = None if hours is None else time.monotonic() + 3600 * hours
        self._costs: dict[str, Cost | ModelError] = {}

    @property
    def is_late(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._end is not None and time.monotonic() >= self._end

    def run(self, cells: Iterable[Cell[Outcome]], keep: Callable[[Outcome], None]) -> None:
        """Run every cell, in order, and hand each outcome to ``keep``, which writes it down.

        Raises:
            KeyboardInterrupt: on Ctrl-C, after what is known of the cell was kept; the same call goes on.
            MienError: from a cell that does not put up with it.
        """
        for cell in cells:
            try:
                known = cell.known()
                keep(cell.run(self) if known is None else known)
            except KeyboardInterrupt:
                if (so_far := cell.interrupted()) is not None:
                    keep(so_far)
                raise
            except MienError as error:
                keep(cell.failed(error))

    def trained(self, recipe: Recipe, folder: Path, rows: Callable[[], tuple[Dataset, Dataset]]) -> Run:
        """The finished run of a recipe; where it is not in ``folder`` it is fitted there, or gone on with.

        Args:
            recipe: of the run.
            folder: of the run.
            rows: loads what fits the weights, and what chooses among the epochs; not called for a finished run.

        Raises:
            TrainingError: the folder holds a run of another recipe or other rows.
            KeyboardInterrupt: on Ctrl-C; the same call goes on from the last whole epoch.
        """
        done = finished(recipe, folder)
        if done is not None:
            return done
        fitted, chosen = rows()
        self.say(f"{recipe.name}: {recipe.epochs} epochs of {len(fitted):,} faces into {folder}")
        return self.fit(recipe, folder, fitted, chosen)

    def cost(
        self, recipe: Recipe, *, labels: Labels | None = None, spec: InputSpec | None = None, rounds: int = ROUNDS
    ) -> Cost:
        """What a recipe's network takes, see :func:`mien.training.cost.measure_cost`; each network is measured once.

        Raises:
            ModelError: it cannot be run, exported and timed.
        """
        key = _what_costs(recipe, labels, spec)
        if key not in self._costs:
            self.say(f"counting and timing '{recipe.network}'")
            try:
                self._costs[key] = self.count(recipe, labels=labels, spec=spec, rounds=rounds)
            except ModelError as error:
                self._costs[key] = error
        found = self._costs[key]
        if isinstance(found, ModelError):
            raise found
        return found

    def remember(
        self, cost: Cost, recipe: Recipe, *, labels: Labels | None = None, spec: InputSpec | None = None
    ) -> None:
        """Take a cost that was measured before for that of every network like this one."""
        self._costs.setdefault(_what_costs(recipe, labels, spec), cost)

    def fit(self, recipe: Recipe, folder: Path, fitted: Dataset, chosen: Dataset) -> Run:
        """Fit a recipe on rows at hand, see :func:`mien.training.fit.fit`."""
        return fit(recipe, folder, fitted, chosen, threads=self.threads)

    def count(self, recipe: Recipe, *, labels: Labels | None, spec: InputSpec | None, rounds: int) -> Cost:
        """Count and time a recipe's network."""
        return measure_cost(recipe, labels=labels, spec=spec, rounds=rounds)

    def open(self, folder: Path) -> TorchPredictor:
        """The kept weights of a run."""
        return open_run(folder)


def finished(recipe: Recipe, folder: Path) -> Run | None:
    """The finished run of this recipe in a folder, if it is there.

    Raises:
        TrainingError: a damaged record.
    """
    if not (folder / RECORD).exists():
        return None
    run = Run.read(folder)
    return run if run.status == "finished" and run.recipe == recipe else None


def _what_costs(recipe: Recipe, labels: Labels | None, spec: InputSpec | None) -> str:
    """The same for all recipes whose networks take the same; which layers are trained costs nothing."""
    if labels is None:
        labels = FER2013 if recipe.data.labels is None else LABEL_SETS[recipe.data.labels]
    crop = spec or input_of(recipe)
    top = recipe.transfer if recipe.transfer.mode == "svm" else recipe.transfer.hidden
    options = sorted(recipe.options.items())
    return repr((recipe.network, options, recipe.views, top, crop.shape, crop.planes, len(labels)))
