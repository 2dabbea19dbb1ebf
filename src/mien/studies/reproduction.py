"""Reproducing a paper's study: its cells for the one runner of experiments, and the results file they go on from."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mien.core.errors import ConfigError, DatasetError, DownloadError, MienError, nearest
from mien.core.files import write_whole
from mien.core.places import BUNDLED, data_folder
from mien.data.load import LAYOUTS
from mien.models.network import TorchPredictor
from mien.models.rebuild import open_exported
from mien.studies.cell_measures import measure_predictor, measure_recipe, stamp
from mien.studies.cell_recipes import StudyOptions, wants_weights
from mien.studies.cell_results import NO_DATA, NO_WEIGHTS, NOT_YET, CellResult, Reproduction
from mien.studies.earlier_figures import earlier_figures
from mien.studies.paper_cells import PaperCell, PaperStudy
from mien.training.cost import ROUNDS, Cost
from mien.training.recipe import Recipe
from mien.training.runner import Cell, Runner

QUICK_ROUNDS = 10


def reproduce(
    study: PaperStudy,
    folder: Path,
    results: Path,
    options: StudyOptions,
    *,
    only: Collection[str] = (),
    runner: Runner,
) -> Reproduction:
    """Run the cells of a study that are not done.

    Every finished cell is in ``results`` at once, so a study that was stopped goes on with the same call. A cell that
    cannot be run says why; where its data is missing, or weights that it was given cannot be fetched, and it was asked
    for by name, that is an error. Without weights given it is not run, by name or not.

    Args:
        study: what to run.
        folder: runs go into it.
        results: the results file, read and written.
        options: what may be used.
        only: names of cells; all if empty.
        runner: runs the cells.

    Raises:
        ConfigError: an unknown cell, or a results file of another study or another tier.
        DatasetError: the data of a cell that was named is missing.
        DownloadError: the weights of a cell that was named cannot be fetched.
        KeyboardInterrupt: on Ctrl-C.
    """
    names = [cell.name for cell in study.measurable]
    for name in only:
        if name not in names:
            raise ConfigError(f"study {study.name} has no cell '{name}': {nearest(name, names)}")
    found = _earlier(study, results, quick=options.quick)
    _hold_folder(study, folder)

    def keep(result: CellResult) -> None:
        nonlocal found
        found = found.with_result(result, names)
        found.write(results)

    wanted = [cell for cell in study.measurable if not only or cell.name in only]
    runner.run([_StudyCell(cell, study, folder, options, runner, bool(only), lambda: found) for cell in wanted], keep)
    if not results.exists():
        found.write(results)
    return found


@dataclass(eq=False)
class _StudyCell(Cell[CellResult]):
    cell: PaperCell
    study: PaperStudy
    folder: Path
    options: StudyOptions
    runner: Runner
    is_named: bool
    so_far: Callable[[], Reproduction]

    @cached_property
    def recipe(self) -> Recipe | None:
        return self.options.recipe(self.cell)

    @cached_property
    def mark(self) -> str:
        return self.options.signature(self.cell)

    @property
    def before(self) -> CellResult | None:
        """What was found of it earlier, if what decides its figures is still the same."""
        before = self.so_far().result(self.cell.name)
        return before if before is not None and before.signature == self.mark else None

    def known(self) -> CellResult | None:
        epochs, _ = self._epochs()
        before = self.before
        if before is not None and before.status != "not run" and _is_long_enough(before, epochs):
            self.runner.say(f"{self.cell.name}: done before")
            return before
        for same in () if self.cell.counted else self.so_far().results:
            if same.signature == self.mark and same.status == "measured" and _is_long_enough(same, epochs):
                return replace(same, cell=self.cell.name)
        return None

    def run(self, runner: Runner) -> CellResult:
        cell, options = self.cell, self.options
        if cell.counted:
            cost = self._cost()
            return CellResult(cell=cell.name, status="counted", signature=self.mark, cost=cost, **stamp())
        files = () if options.quick else options.known
        if self.recipe is not None and (found := earlier_figures(cell, self.recipe, files)) is not None:
            return self._completed(found, self._whole_epochs)
        wanted = self._wanted()
        if isinstance(wanted, CellResult):
            return wanted
        if isinstance(wanted, Recipe):
            epochs, asked = self._epochs()
            runs = self._runs(cell.name, self.mark, None if asked is None else epochs)
            return self._completed(measure_recipe(cell, wanted, runs, options, runner), epochs, asked)
        runner.say(f"{cell.name}: testing")
        return self._completed(measure_predictor(cell, wanted, options, root=runner.root), *self._epochs())

    def failed(self, error: MienError) -> CellResult:
        if self.is_named or not isinstance(error, DatasetError | DownloadError):
            raise error
        self.runner.say(f"{self.cell.name}: {error}")
        missing = NO_WEIGHTS if isinstance(error, DownloadError) else f"{NO_DATA}: {self.cell.protocol.dataset}"
        return self._not_run(missing)

    def _wanted(self) -> Recipe | TorchPredictor | CellResult:
        """What is fitted or tested; or, where nothing is, the result that says why."""
        ready = None if self.recipe is None else self.options.with_weights(self.recipe, self.cell)
        if self.recipe is not None and ready is None:
            return self._not_run(NO_WEIGHTS)
        if (self.runner.is_late or ready is None) and self.cell.protocol.dataset in LAYOUTS:
            LAYOUTS[self.cell.protocol.dataset].named(self.runner.root or data_folder())  # is it there at all?
        wanted = ready or self._predictor()
        if isinstance(wanted, str):
            return self._not_run(wanted)
        return self._not_run(NOT_YET) if self.runner.is_late else wanted

    def _predictor(self) -> TorchPredictor | str:
        """The finished network that is tested, or why there is none."""
        if self.cell.bundled is not None:
            return open_exported(str(BUNDLED / f"{self.cell.bundled}.json"))
        trained = next(other for other in self.study.cells if other.name == self.cell.run_of)
        result, recipe = self.so_far().result(trained.name), self.options.recipe(trained)
        if result is None or result.status != "measured" or recipe is None:
            return f"needs {trained.name}, which was not run"
        run = self._runs(trained.name, result.signature, result.epochs if result.asked else None)
        run /= f"seed-{recipe.seed}-fold-0"
        if not run.is_dir():
            return f"needs the run of {trained.name}, which is not in this folder"
        return self.runner.open(run)

    def _completed(self, result: CellResult, epochs: int | None, asked: int | None = None) -> CellResult:
        """The result with its signature, its network's cost and its epochs."""
        if result.training is not None and asked is None:
            epochs = result.training.epochs  # an occlusion study may have been run with others
        before = self.before
        cost = None if before is None else before.cost
        if cost is None and not (self.options.quick and result.status == "not run"):
            cost = self._cost()
        return replace(result, signature=self.mark, cost=cost, epochs=epochs, asked=asked)

    def _not_run(self, why: str) -> CellResult:
        before, cell, recipe = self.before, self.cell, self.recipe
        command = f"mien reproduce {self.study.name} --only {cell.name}"
        if recipe is not None and wants_weights(recipe, cell):
            source = "imagenet" if recipe.weights.source == "imagenet" else Path(recipe.weights.source).name
            command += f" --weights {recipe.network}={shlex.quote(source)}"
        if why.startswith(NO_DATA):
            command += " --data FOLDER"
        self.runner.say(f"{cell.name}: {why}; {command}")
        if before is not None and before.status == "measured":
            return before  # of fewer epochs, which is more than nothing
        result = CellResult(cell=cell.name, status="not run", why=why, command=command)
        return self._completed(result, self._whole_epochs)

    @property
    def _whole_epochs(self) -> int | None:
        """For how many epochs it is trained where nothing is cut short."""
        return None if self.recipe is None else replace(self.options, epochs=None).shortened(self.recipe).epochs

    def _epochs(self) -> tuple[int | None, int | None]:
        """For how many epochs a cell is trained, and how many are asked for where those are fewer.

        A pretraining that is cut short cuts the cell too: both are then counted together.
        """
        if self.cell.run_of is not None:
            trained = self.so_far().result(self.cell.run_of)
            return (None, None) if trained is None or trained.asked is None else (trained.epochs, trained.asked)
        if self.recipe is None:
            return None, None
        recipes = [one for one in (self.options.pretraining(self.cell), self.recipe) if one is not None]
        epochs = sum(self.options.shortened(one).epochs for one in recipes)
        whole = sum(replace(self.options, epochs=None).shortened(one).epochs for one in recipes)
        return epochs, whole if epochs < whole else None

    def _runs(self, name: str, mark: str, cut: int | None) -> Path:
        runs = self.folder / ("runs" if cut is None else f"runs-of-{cut}-epochs")
        return runs / f"{name}-{mark[:8]}"

    def _cost(self) -> Cost | None:
        recipe = self.recipe
        if self.cell.bundled is not None:
            recipe = Recipe(self.cell.bundled, self.cell.bundled)
        first = self.options.pretraining(self.cell)
        if recipe is not None and first is not None:
            recipe = replace(first, data=recipe.data)  # the run that the cell starts from may not be there yet
        if recipe is None:
            return None
        return self.runner.cost(recipe, rounds=QUICK_ROUNDS if self.options.quick else ROUNDS)


def _is_long_enough(result: CellResult, epochs: int | None) -> bool:
    """Whether a result need not give way to one of ``epochs``."""
    return result.asked is None or (epochs is not None and result.epochs is not None and epochs <= result.epochs)


def _earlier(study: PaperStudy, path: Path, *, quick: bool) -> Reproduction:
    if not path.exists():
        return Reproduction(study.name, quick)
    found = Reproduction.read(path)
    if found.study != study.name:
        raise ConfigError(f"{path} holds results of study {found.study}, not of {study.name}: give another --out")
    if found.quick != quick:
        has, wants = ("quick", "full") if found.quick else ("full", "quick")
        raise ConfigError(f"{path} holds {has} results, these would be {wants} ones: give another --out")
    return found


def _hold_folder(study: PaperStudy, folder: Path) -> None:
    """Hold a folder to one study.

    Raises:
        ConfigError: it holds another's runs.
    """
    path = folder / "study"
    held = path.read_text(encoding="utf-8").strip() if path.exists() else study.name
    if held != study.name:
        raise ConfigError(f"{folder} holds study {held}, not {study.name}: give another --out")
    write_whole(path, f"{study.name}\n")
