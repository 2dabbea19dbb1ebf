"""Running a study: every cell that is not done, in order, with everything that is done kept after each."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from mien.core.errors import ConfigError, DatasetError, DownloadError, nearest
from mien.core.places import BUNDLED, data_folder
from mien.data.load import LAYOUTS
from mien.explain.study import Arm
from mien.explain.study import Protocol as PooledProtocol
from mien.models.network import TorchPredictor
from mien.models.rebuild import open_exported
from mien.studies.cell import Cell, Study
from mien.studies.known import known_result
from mien.studies.means import Means, pretraining_of, recipe_of, shortened, signature, wants_weights, with_weights
from mien.studies.measure import measure_predictor, measure_recipe, stamp
from mien.studies.occluded import cell_result, train_arm
from mien.studies.record import NO_DATA, NO_WEIGHTS, NOT_YET, Reproduction, Result
from mien.training.cost import ROUNDS, Cost, measure_cost
from mien.training.recipe import Recipe
from mien.training.run_as_model import open_run

QUICK_ROUNDS = 10


def reproduce(study: Study, folder: Path, results: Path, means: Means, *, only: Collection[str] = ()) -> Reproduction:
    """Run the cells of a study that are not done.

    Every finished cell is in ``results`` at once, so a study that was stopped goes on with the same call. A cell that
    cannot be run says why; where its data is missing, or weights that it was given cannot be fetched, and it was asked
    for by name, that is an error. Without weights given it is not run, by name or not.

    Args:
        study: what to run.
        folder: runs go into it.
        results: the results file, read and written.
        means: what may be used.
        only: names of cells; all if empty.

    Raises:
        ConfigError: an unknown cell, or a results file of another study or another tier.
        DatasetError: the data of a cell that was named is missing.
        DownloadError: the weights of a cell that was named cannot be fetched.
        KeyboardInterrupt: on Ctrl-C.
    """
    known = [cell.name for cell in study.cells if not cell.is_quoted]
    for name in only:
        if name not in known:
            raise ConfigError(f"study {study.name} has no cell '{name}': {nearest(name, known)}")
    found = _earlier(study, results, quick=means.quick)
    _mark(study, folder)
    runner = _Runner(study, folder, means, named=bool(only), found=found)
    for cell in study.cells:
        if cell.is_quoted or (only and cell.name not in only):
            continue
        result = runner.run(cell)
        runner.found = runner.found.with_result(result, known)
        runner.found.write(results)
    if not results.exists():
        runner.found.write(results)
    return runner.found


@dataclass(eq=False)
class _Runner:
    study: Study
    folder: Path
    means: Means
    named: bool
    found: Reproduction
    began: float = field(default_factory=time.monotonic)
    costs: dict[str, Cost] = field(default_factory=dict)
    arms: dict[str, tuple[Arm, PooledProtocol]] = field(default_factory=dict)

    def run(self, cell: Cell) -> Result:
        recipe = None if cell.recipe is None else recipe_of(cell)
        mark = signature(cell, recipe, seed=self.means.seed, quick=self.means.quick)
        epochs, asked = self._epochs(cell, recipe)
        before = self.found.result(cell.name)
        before = before if before is not None and before.signature == mark else None
        if before is not None and before.status != "not run" and _is_long_enough(before, epochs):
            self.means.say(f"{cell.name}: done before")
            return before
        if cell.counted:
            return Result(cell=cell.name, status="counted", signature=mark, cost=self._cost(cell, recipe), **stamp())
        for same in self.found.results:
            if same.signature == mark and same.status == "measured" and _is_long_enough(same, epochs):
                return replace(same, cell=cell.name)
        files = () if self.means.quick else self.means.known
        known = None if recipe is None else known_result(cell, recipe, files)
        result = known or self._measure(cell, recipe, self._runs(cell.name, mark, epochs if asked else None))
        if result.status == "not run" and before is not None and before.status == "measured":
            return before  # of fewer epochs, which is more than nothing
        if known is not None or result.status == "not run":
            whole = replace(self.means, epochs=None)  # nothing was cut short here
            epochs, asked = None if recipe is None else shortened(recipe, whole).epochs, None
        cost = None if before is None else before.cost
        if cost is None and not (self.means.quick and result.status == "not run"):
            cost = self._cost(cell, recipe)
        if result.training is not None and asked is None:
            epochs = result.training.epochs  # an occlusion study may have been run with others
        return replace(result, signature=mark, cost=cost, epochs=epochs, asked=asked)

    def _epochs(self, cell: Cell, recipe: Recipe | None) -> tuple[int | None, int | None]:
        """For how many epochs a cell is trained, and how many are asked for where those are fewer.

        A pretraining that is cut short cuts the cell too: both are then counted together.
        """
        if cell.run_of is not None:
            trained = self.found.result(cell.run_of)
            return (None, None) if trained is None or trained.asked is None else (trained.epochs, trained.asked)
        if recipe is None:
            return None, None
        recipes = [one for one in (pretraining_of(cell), recipe) if one is not None]
        epochs = sum(shortened(one, self.means).epochs for one in recipes)
        whole = sum(shortened(one, replace(self.means, epochs=None)).epochs for one in recipes)
        return epochs, whole if epochs < whole else None

    def _measure(self, cell: Cell, recipe: Recipe | None, folder: Path) -> Result:
        ready = None if recipe is None else with_weights(recipe, cell, self.means)
        if recipe is not None and ready is None:
            return self._not_run(cell, recipe, NO_WEIGHTS)
        hours = self.means.hours
        late = hours is not None and time.monotonic() - self.began >= 3600 * hours
        try:
            if (late or ready is None) and cell.protocol.dataset in LAYOUTS:
                LAYOUTS[cell.protocol.dataset].named(self.means.root or data_folder())  # is it there at all?
            wanted = ready or self._predictor(cell)
            if isinstance(wanted, str):
                return self._not_run(cell, None, wanted)
            if late:
                return self._not_run(cell, recipe, NOT_YET)
            if isinstance(wanted, Recipe):
                return self._train(cell, wanted, folder)
            self.means.say(f"{cell.name}: testing")
            return measure_predictor(cell, wanted, self.means)
        except (DatasetError, DownloadError) as error:
            if self.named:
                raise
            self.means.say(f"{cell.name}: {error}")
            missing = NO_WEIGHTS if isinstance(error, DownloadError) else f"{NO_DATA}: {cell.protocol.dataset}"
            return self._not_run(cell, recipe, missing)

    def _train(self, cell: Cell, recipe: Recipe, folder: Path) -> Result:
        if cell.condition is None:
            return measure_recipe(cell, recipe, folder, self.means)
        if recipe.name not in self.arms:
            self.arms[recipe.name] = train_arm(recipe, folder.parent, self.means, pretraining=pretraining_of(cell))
        return cell_result(cell, *self.arms[recipe.name])

    def _predictor(self, cell: Cell) -> TorchPredictor | str:
        """What a cell tests, or why there is none."""
        if cell.bundled is not None:
            return open_exported(str(BUNDLED / f"{cell.bundled}.json"))
        trained = next(other for other in self.study.cells if other.name == cell.run_of)
        result = self.found.result(trained.name)
        if result is None or result.status != "measured":
            return f"needs {trained.name}, which was not run"
        cut = result.epochs if result.asked else None
        run = self._runs(trained.name, result.signature, cut) / f"seed-{recipe_of(trained).seed}-fold-0"
        return open_run(run) if run.is_dir() else f"needs the run of {trained.name}, which is not in this folder"

    def _runs(self, name: str, mark: str, cut: int | None) -> Path:
        runs = self.folder / ("runs" if cut is None else f"runs-of-{cut}-epochs")
        return runs / f"{name}-{mark[:8]}"

    def _cost(self, cell: Cell, recipe: Recipe | None) -> Cost | None:
        if cell.bundled is not None:
            recipe = Recipe(cell.bundled, cell.bundled)
        first = pretraining_of(cell)
        if recipe is not None and first is not None:
            recipe = replace(first, data=recipe.data)  # the run that the cell starts from may not be there yet
        if recipe is None:
            return None
        labels, transfer = recipe.data.labels, recipe.transfer
        top = transfer if transfer.mode == "svm" else transfer.hidden  # which layers are trained costs nothing
        key = repr((recipe.network, sorted(recipe.options.items()), recipe.input, labels, top))
        if key not in self.costs:
            self.means.say(f"{cell.name}: counting and timing '{recipe.network}'")
            self.costs[key] = measure_cost(recipe, rounds=QUICK_ROUNDS if self.means.quick else ROUNDS)
        return self.costs[key]

    def _not_run(self, cell: Cell, recipe: Recipe | None, why: str) -> Result:
        command = f"mien reproduce {self.study.name} --only {cell.name}"
        if recipe is not None and wants_weights(recipe, cell):
            source = "imagenet" if recipe.weights.source == "imagenet" else Path(recipe.weights.source).name
            command += f" --weights {recipe.network}={shlex.quote(source)}"
        if why.startswith(NO_DATA):
            command += " --data FOLDER"
        self.means.say(f"{cell.name}: {why}; {command}")
        return Result(cell=cell.name, status="not run", why=why, command=command)


def _is_long_enough(result: Result, epochs: int | None) -> bool:
    """Whether a result need not give way to one of ``epochs``."""
    return result.asked is None or (epochs is not None and result.epochs is not None and epochs <= result.epochs)


def _earlier(study: Study, path: Path, *, quick: bool) -> Reproduction:
    if not path.exists():
        return Reproduction(study.name, quick)
    found = Reproduction.read(path)
    if found.study != study.name:
        raise ConfigError(f"{path} holds results of study {found.study}, not of {study.name}: give another --out")
    if found.quick != quick:
        has, wants = ("quick", "full") if found.quick else ("full", "quick")
        raise ConfigError(f"{path} holds {has} results, these would be {wants} ones: give another --out")
    return found


def _mark(study: Study, folder: Path) -> None:
    """Hold a folder to one study.

    Raises:
        ConfigError: it holds another's runs.
    """
    path = folder / "study"
    if path.exists() and path.read_text(encoding="utf-8").strip() != study.name:
        raise ConfigError(
            f"{folder} holds study {path.read_text(encoding='utf-8').strip()}, not {study.name}: give another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{study.name}\n", encoding="utf-8")
