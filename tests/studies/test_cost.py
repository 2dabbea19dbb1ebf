"""What networks take: counts as the papers have them, and a file and a time that were measured."""

from mien.studies.cost import measure_cost
from mien.training.recipe import Recipe


def test_resezap_is_counted_as_its_paper_counts_it():
    cost = measure_cost(Recipe("made", "resezap"), rounds=5)
    assert (cost.network, cost.trained, cost.running, cost.side) == ("resezap", 53_136, 1_344, 48)
    assert cost.multiplications == 16_909_540
    # norms are folded into the convolutions, so that a file of float32 holds some 52,000 values and the graph
    assert 4 * 51_000 < cost.bytes < 4 * 60_000
    assert 0 < cost.milliseconds <= cost.milliseconds_p95
    assert cost.rounds == 5
