"""The runner of experiments: what is done is not done again, each outcome is kept at once, nothing begins late."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from mien.core.errors import DatasetError, ModelError
from mien.core.preprocess import InputSpec
from mien.training.cost import Cost
from mien.training.recipe import Recipe
from mien.training.runner import Cell, Runner

COST = Cost("made", 1, 1, 1, 1, 48, 0.1, 0.2, 5, "paper", 0.0)


@dataclass(eq=False)
class Named(Cell[str]):
    """A cell whose outcome is its name."""

    name: str
    done: bool = False
    error: BaseException | None = None
    puts_up: bool = False
    so_far: str | None = None
    ran: list[str] = field(default_factory=list)

    def known(self):
        return f"{self.name}, known" if self.done else None

    def run(self, runner):
        self.ran.append(self.name)
        if self.error is not None:
            raise self.error
        return f"{self.name}, late" if runner.is_late else self.name

    def interrupted(self):
        return self.so_far

    def failed(self, error):
        return f"{self.name}, {error}" if self.puts_up else super().failed(error)


def outcomes(*cells, **options):
    kept = []
    Runner(**options).run(cells, kept.append)
    return kept


def test_what_is_known_is_not_run_and_the_order_is_kept():
    cells = Named("a"), Named("b", done=True), Named("c")
    assert outcomes(*cells) == ["a", "b, known", "c"]
    assert cells[1].ran == []


def test_an_error_is_written_down_or_raised():
    assert outcomes(Named("a", error=ModelError("no"), puts_up=True), Named("b")) == ["a, no", "b"]
    kept = []
    with pytest.raises(DatasetError, match="missing"):
        Runner().run([Named("a"), Named("b", error=DatasetError("missing")), Named("c")], kept.append)
    assert kept == ["a"]


@pytest.mark.parametrize("so_far", [None, "half"])
def test_an_interruption_keeps_what_there_is(so_far):
    kept, last = [], Named("c")
    with pytest.raises(KeyboardInterrupt):
        Runner().run([Named("a"), Named("b", error=KeyboardInterrupt(), so_far=so_far), last], kept.append)
    assert kept == ["a", *([so_far] if so_far else [])]
    assert last.ran == []


@pytest.mark.parametrize(("hours", "late"), [(None, False), (0, True), (100, False)])
def test_a_budget_of_hours(hours, late):
    assert outcomes(Named("a"), hours=hours) == ["a, late" if late else "a"]


class Counting(Runner):
    def __init__(self, error=None):
        super().__init__()
        self.counted, self.error = [], error

    def count(self, recipe, *, labels, spec, rounds):
        self.counted.append(recipe.name)
        if self.error is not None:
            raise self.error
        return COST


def test_each_network_is_counted_once():
    runner, recipe = Counting(), Recipe("a", "tiny")
    for other in (recipe, replace(recipe, name="b", epochs=3), replace(recipe, name="c", views="mirror")):
        assert runner.cost(other) == COST
    assert runner.counted == ["a", "c"]
    runner.remember(COST, Recipe("d", "resezap"))
    assert runner.cost(Recipe("e", "resezap")) == COST
    assert runner.cost(Recipe("f", "resezap"), spec=InputSpec(size=64)) == COST
    assert runner.counted == ["a", "c", "f"]


def test_a_network_that_cannot_be_counted_is_tried_once():
    runner = Counting(ModelError("no export"))
    for _ in range(2):
        with pytest.raises(ModelError, match="no export"):
            runner.cost(Recipe("a", "tiny"))
    assert runner.counted == ["a"]
