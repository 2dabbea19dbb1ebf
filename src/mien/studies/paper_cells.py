"""What a study is before anything is measured: its cells, the paper's figures, and the tables they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mien.core.expression import LabelSet

Parts = Literal["official", "random", "persons", "pooled", "whole"]


@dataclass(frozen=True, slots=True)
class SplitProtocol:
    """Which rows fit, which choose, and which report.

    Attributes:
        dataset: as :func:`mien.data.load.load_dataset` knows it.
        parts: ``official`` FER2013's three splits; ``random`` folds, the same persons on both sides; folds of whole
            ``persons``; ``pooled`` paper 004's 70/30 of all splits; ``whole``, all rows report and none is fitted.
        labels: which expressions; None for the dataset's own.
        folds: how many there are; each is tested once, the next one chooses the epoch, the others fit.
        seeds: how many times it is done, with other weights each time; folds stay.
    """

    dataset: str = "fer2013"
    parts: Parts = "official"
    labels: LabelSet | None = None
    folds: int = 1
    seeds: int = 1

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if (self.parts in ("random", "persons")) != (self.folds > 2):
            raise ValueError(f"three folds or more go with random or persons, got {self.folds} of '{self.parts}'")
        if self.seeds < 1 or self.folds < 1:
            raise ValueError("folds and seeds must be 1 or more")

    @property
    def words(self) -> str:
        """It in a phrase for a table."""
        said = {
            "official": "fit on Training, chosen on PublicTest, reported on PrivateTest",
            "random": f"{self.folds} random folds, the same persons on both sides",
            "persons": f"{self.folds} folds of persons nobody of whom was fitted or chosen on",
            "pooled": "all splits pooled, random 70/30, chosen on a tenth of the 70",
            "whole": "all rows, none of them seen before",
        }
        return f"{self.dataset}: {said[self.parts]}"


@dataclass(frozen=True, slots=True)
class Published:
    """What a paper says of a cell. None where it says nothing.

    Attributes:
        accuracy: share correct, 0 to 1.
        words: further figures as they are printed there, such as ``"precision 94, recall 93, F1 93"``.
        values: parameters as it counts them.
        multiplications: of the convolutions.
        size: of the file, as printed.
        milliseconds: for one face.
    """

    accuracy: float | None = None
    words: str = ""
    values: int | None = None
    multiplications: int | None = None
    size: str = ""
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class PaperCell:
    """One row of a study's tables.

    What is tested comes from exactly one of ``recipe``, ``run_of`` and ``bundled``, or from none of them where only the
    paper's figure is shown.

    Attributes:
        name: unique in its study; what ``--only`` takes.
        title: for the tables.
        protocol: which rows do what.
        recipe: name of a recipe file, which is fitted and tested.
        change: dotted keys of it that differ.
        start: ``bundled`` starts from the weights of the bundled model of the recipe's network.
        run_of: another cell of the study, whose first run is tested.
        bundled: a bundled model that is tested.
        condition: what paper 004 covers the faces with.
        pretraining: name of a recipe of all expressions that is trained first, on pooled rows that are not reported.
        counted: the recipe's network is counted and timed, and not trained.
        paper: what the paper says.
        differs: why ours is another figure, or may be.
    """

    name: str
    title: str
    protocol: SplitProtocol = field(default_factory=SplitProtocol)
    recipe: str | None = None
    change: Mapping[str, Any] = field(default_factory=dict)
    start: Literal["recipe", "bundled"] = "recipe"
    run_of: str | None = None
    bundled: str | None = None
    condition: str | None = None
    pretraining: str | None = None
    counted: bool = False
    paper: Published = field(default_factory=Published)
    differs: str = ""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        sources = [source for source in (self.recipe, self.run_of, self.bundled) if source is not None]
        if len(sources) > 1:
            raise ValueError(f"cell '{self.name}' names {len(sources)} things to test, expected one at most")
        if (self.condition is not None) != (self.protocol.parts == "pooled" and self.recipe is not None):
            raise ValueError(f"cell '{self.name}': a condition goes with a recipe on pooled rows, and only with that")
        if self.pretraining is not None and self.condition is None:
            raise ValueError(f"cell '{self.name}': a pretraining goes with a condition")

    @property
    def is_quoted(self) -> bool:
        """Whether only the paper's figure is shown, of something that cannot be measured."""
        return self.recipe is None and self.run_of is None and self.bundled is None


@dataclass(frozen=True, slots=True)
class CellTable:
    """Cells that make one table.

    Attributes:
        caption: of the table.
        cells: its rows.
        text: said above it.
        shows: further tables of its measured cells: the networks' ``cost``, the ``multiplications`` alone, the rate
            correct of each expression (``vector``), precision, recall and F1 of each (``classes``), the whole
            ``confusion`` matrices, when the validation loss ``turns``, and what new ``persons`` cost against random
            folds.
    """

    caption: str
    cells: tuple[PaperCell, ...]
    text: str = ""
    shows: tuple[Literal["cost", "multiplications", "vector", "classes", "confusion", "turns", "persons"], ...] = (
        "cost",
    )


@dataclass(frozen=True, slots=True)
class PaperStudy:
    """One paper's experiments.

    Attributes:
        name: ``"000"`` to ``"004"``.
        title: of its page.
        paper: authors and title.
        notes: paragraphs for the top of the page.
        sections: its tables.
    """

    name: str
    title: str
    paper: str
    notes: tuple[str, ...]
    sections: tuple[CellTable, ...]

    def __post_init__(self) -> None:
        """Refuse two cells of one name, and tests of what is not there."""
        names = [cell.name for cell in self.cells]
        if len(set(names)) < len(names):
            raise ValueError(f"study {self.name} has two cells of one name")
        seen: set[str] = set()
        for cell in self.cells:
            if cell.run_of is not None and cell.run_of not in seen:
                raise ValueError(f"cell '{cell.name}' tests '{cell.run_of}', which does not come before it")
            seen.add(cell.name)

    @property
    def cells(self) -> tuple[PaperCell, ...]:
        """All cells, in the order of the page."""
        return tuple(cell for section in self.sections for cell in section.cells)

    @property
    def measurable(self) -> tuple[PaperCell, ...]:
        """Those that can be measured."""
        return tuple(cell for cell in self.cells if not cell.is_quoted)
