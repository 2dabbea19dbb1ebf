"""What networks take: counts as the papers have them, and a file and a time that were measured."""

from dataclasses import replace

import pytest
from torch import nn

from mien.core.errors import ConfigError, ModelError, UnknownModelError
from mien.core.expression import LABEL_SETS
from mien.core.preprocess import InputSpec
from mien.models.registry import register, unregister
from mien.training.cost import Cost, conditions, measure_cost
from mien.training.recipe import Crop, DataConfig, Recipe


@pytest.fixture
def mine():
    """A recipe for a network of one's own: 3 x 3 kernels at every second pixel, and a dense layer on all of them."""

    @register("mine", paper="mine", trained=0, running=0)
    def build(classes=7, width=4, side=11):
        return nn.Sequential(nn.Conv2d(1, width, 3, stride=2), nn.Flatten(), nn.Linear(width * side**2, classes))

    yield Recipe("mine-at-24", "mine", {"width": 2}, Crop(size=24), data=DataConfig(labels="three"))
    unregister("mine")


def test_resezap_is_counted_as_its_paper_counts_it():
    cost = measure_cost(Recipe("made", "resezap"), rounds=5)
    assert (cost.network, cost.trained, cost.running, cost.side) == ("resezap", 53_136, 1_344, 48)
    assert cost.multiplications == 16_909_540
    # norms are folded into the convolutions, so that a file of float32 holds some 52,000 values and the graph
    assert 4 * 51_000 < cost.bytes < 4 * 60_000
    assert 0 < cost.milliseconds <= cost.milliseconds_p95
    assert cost.rounds == 5


def test_options_input_labels_and_views_count(mine):
    cost = measure_cost(replace(mine, views="mirror"), rounds=5)
    assert (cost.network, cost.side) == ("mine", 24)
    assert cost.trained == 2 * (9 + 1) + 3 * (2 * 11 * 11 + 1)
    assert cost.multiplications == 2 * 2 * 9 * 11 * 11  # the face and its mirror image
    assert cost.bytes > 4 * cost.trained


def test_what_a_run_says_goes_before_its_recipe(mine):
    own = replace(mine, options={"width": 2, "side": 7})
    cost = measure_cost(own, labels=LABEL_SETS["six"], spec=InputSpec(size=16), rounds=5)
    assert (cost.side, cost.trained) == (16, 2 * (9 + 1) + 6 * (2 * 7 * 7 + 1))


def test_a_network_that_cannot_be_measured_is_named(mine):
    with pytest.raises(ModelError, match="network 'mine' cannot be run, exported and timed: mat1 and mat2"):
        measure_cost(replace(mine, options={"side": 5}))
    with pytest.raises(ConfigError, match="has no option 'wdth': did you mean 'width'"):
        measure_cost(replace(mine, options={"wdth": 5}))
    with pytest.raises(UnknownModelError, match="did you mean 'mine'"):
        measure_cost(replace(mine, network="min"))


def test_the_conditions_of_times_are_said_once():
    first = Cost("tiny", 1, 1, 1, 1, 48, 0.1, 0.2, 5, "a machine", 0.5)
    assert conditions([first, first]) == "a machine, under a load of 0.5 processes"
    assert conditions([replace(first, load=2.0), first]) == "a machine, under a load of 0.5 to 2 processes"
    assert conditions([replace(first, machine="b"), first]).startswith("a machine, b, under")
