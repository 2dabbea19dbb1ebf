"""The five studies as they are written down: every recipe loads, and the papers' numbers are theirs."""

from collections import Counter

import pytest
import torch

from mien.core.errors import ConfigError
from mien.core.expression import FER2013, LABEL_SETS
from mien.models.registry import count_multiplications, count_values
from mien.studies.catalogue import STUDIES, study_named
from mien.studies.cell_recipes import StudyOptions
from mien.studies.paper_cells import CellTable, PaperCell, PaperStudy, SplitProtocol
from mien.studies.pooled_rows import PRETRAINING
from mien.training.transfer import assemble, input_of

CELLS = {f"{study.name}/{cell.name}": cell for study in STUDIES.values() for cell in study.cells}


def built(recipe):
    labels = FER2013 if recipe.data.labels is None else LABEL_SETS[recipe.data.labels]
    if recipe.weights.source == PRETRAINING:
        recipe = recipe.override({"weights.source": "none", "transfer.mode": "all"})  # no run is there to start from
    with torch.device("meta"):
        return assemble(recipe, len(labels), input_of(recipe))


def test_every_recipe_loads_and_its_network_builds():
    recipes = {repr((c.recipe, dict(c.change))): StudyOptions().recipe(c) for c in CELLS.values() if c.recipe}
    assert len(recipes) > 30
    known = set()
    for recipe in recipes.values():
        key = repr((recipe.network, recipe.options, recipe.transfer, recipe.data.labels))
        if key not in known and recipe.transfer.mode != "svm":  # a look at the taps needs a real network
            known.add(key)
            assert count_values(built(recipe))[0] > 0


def test_what_the_papers_count_is_what_is_built():
    for name in ("model-b", "resezap", "ablation-ordinary"):
        cell = next(c for c in CELLS.values() if c.name == name)
        assert sum(count_values(built(StudyOptions().recipe(cell)))) == cell.paper.values
    for cell in STUDIES["002"].sections[0].cells:
        recipe = StudyOptions().recipe(cell)
        assert count_multiplications(built(recipe), input_of(recipe)) == cell.paper.multiplications


def test_model_a_before_batch_norm():
    body = built(StudyOptions().recipe(CELLS["000/model-a"]))
    norms = sum(p.numel() for m in body.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters())
    assert count_values(body)[0] - norms == CELLS["000/model-a"].paper.values


ACCURACIES = {
    "000/model-a": 0.70,
    "000/model-b": 0.57,
    "000/model-a-ckplus": 0.56,
    "000/model-b-ckplus": 0.56,
    "000/wu-chen": 0.65,
    "000/vgg16": 0.67,
    "000/vgg19": 0.66,
    "000/resnet50": 0.62,
    "000/mobilenet-v2": 0.53,
    "000/densenet121": 0.49,
    "000/vgg19-pools-ckplus": 0.92,
    "000/vgg19-pools-random": 0.88,
    "000/vgg19-pools-persons": 0.88,
    "000/fathallah-mug": 0.87,
    "001/resnet50-random": 0.6294,
    "001/resnet50-imagenet": 0.6372,
    "001/custom-cnn": 0.6492,
    "002/resezap": 0.6974,
    "002/mini-xception": 0.66,
    "002/jeon": 0.6904,
    "002/talegaonkar": 0.6012,
    "002/samsani": 0.6010,
    "003/vgg16-bottleneck-adam-random": 0.8826,
    "003/vgg16-all-random": 0.90,
    "003/vgg16-freeze-last-1-random": 0.86,
    "003/vgg16-freeze-last-2-random": 0.90,
    "003/vgg16-freeze-last-3-random": 0.86,
    "003/vgg16-freeze-last-4-random": 0.88,
    "003/vgg16-freeze-last-5-random": 0.93,
    "003/vgg16-last-3-rmsprop-random": 0.90,
    "004/googlenet-none": 0.7420,
    "004/googlenet-eyes": 0.7201,
    "004/googlenet-nose": 0.7021,
    "004/googlenet-mouth": 0.5210,
}
"""Every share correct that a paper gives, read off the papers."""


def test_the_papers_accuracies():
    stated = {name: cell.paper.accuracy for name, cell in CELLS.items()}
    assert {name: share for name, share in stated.items() if share is not None} == ACCURACIES


def test_the_papers_values_and_sizes():
    values = {name: cell.paper.values for name, cell in CELLS.items() if cell.paper.values is not None}
    assert values == {
        "000/model-a": 13_358_151,
        "000/model-b": 1_485_831,
        "002/resezap": 54_480,
        "002/mini-xception": 60_000,
        "002/jeon": 4_285_863,
        "002/talegaonkar": 2_375_879,
        "002/samsani": 250_000,
        "002/ablation-base": 54_480,
        "002/ablation-ordinary": 345_319,
        "002/ablation-residual": 66_488,
    }
    sizes = {name: cell.paper.size for name, cell in CELLS.items() if cell.paper.size}
    assert (sizes["002/resezap"], sizes["002/mini-xception"]) == ("331 KB", "855 KB")
    assert CELLS["002/resezap"].paper.milliseconds == 7


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("000/fathallah-mug", "more than"),
        ("001/resnet50-random", "loss 0.9717"),
        ("001/resnet50-imagenet", "loss 0.9715"),
        ("001/custom-cnn", "loss 0.9407"),
        ("002/resezap", "text: 69.49"),
        ("003/vgg16-freeze-last-5-random", "P 94, R 93, F1 93"),
    ],
)
def test_what_the_papers_say_beside_an_accuracy(cell, words):
    assert CELLS[cell].paper.words == words


def test_what_paper_001_says_of_its_training():
    assert {StudyOptions().recipe(cell).epochs for name, cell in CELLS.items() if name.startswith("001/")} == {150}
    assert "around 55 epochs" in CELLS["001/resnet50-random"].differs
    assert "Of disgust the paper gets 62 %" in CELLS["001/resnet50-imagenet"].differs


def test_paper_003_augments_as_it_says():
    augment = StudyOptions().recipe(CELLS["003/vgg16-all-random"]).augment
    assert (augment.rotation, augment.zoom, augment.shift, augment.flip) == (20, 0.15, 0.2, True)


def test_paper_003_reported_on_42_pictures():
    """Its recalls 86, 88, 90, 93 and its accuracy 0.9286 are shares of 42, of no smaller number."""

    def fits(n):
        shares = {round(100 * k / n) for k in range(n + 1)}
        return shares >= {86, 88, 90, 93} and any(round(k / n, 4) == 0.9286 for k in range(n + 1))

    assert min(n for n in range(1, 200) if fits(n)) == 42


def test_paper_003_comes_twice_each():
    kinds = Counter(cell.protocol.parts for cell in STUDIES["003"].cells)
    assert kinds["random"] == kinds["persons"] > 0
    by_title = {cell.name.removesuffix("-random") for cell in STUDIES["003"].cells if cell.name.endswith("-random")}
    assert by_title == {cell.name.removesuffix("-persons") for cell in STUDIES["003"].cells if "persons" in cell.name}


def test_paper_003_has_every_depth_by_both_optimisers():
    names = set(CELLS)
    for network in ("vgg16", "inception-v3"):
        for depth in ("all", "last-1", "last-3", "last-5"):
            for optimiser in ("", "-rmsprop"):
                assert f"003/{network}-{depth}{optimiser}-random" in names
    recipe = StudyOptions().recipe(CELLS["003/inception-v3-last-5-rmsprop-persons"])
    assert (recipe.optimiser.name, recipe.transfer.layers, recipe.input.size) == ("rmsprop", 5, 299)


def test_names_are_found_and_suggested():
    assert study_named("2") is study_named("002") is STUDIES["002"]
    with pytest.raises(
        ConfigError, match=r"there is no study '005': did you mean '00.'.*Valid: 000, 001, 002, 003, 004"
    ):
        study_named("005")


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match="names 2 things to test"):
        PaperCell("a", "A", recipe="x", bundled="tiny")
    with pytest.raises(ValueError, match="a condition goes with a recipe on pooled rows"):
        PaperCell("a", "A", recipe="x", condition="eyes")
    with pytest.raises(ValueError, match="a condition goes with"):
        PaperCell("a", "A", SplitProtocol("fer2013", "pooled"), recipe="x")
    cell = PaperCell("a", "A", recipe="x")
    with pytest.raises(ValueError, match="two cells of one name"):
        PaperStudy("000", "T", "P", (), (CellTable("S", (cell, cell)),))
    with pytest.raises(ValueError, match="tests 'a', which does not come before it"):
        PaperStudy("000", "T", "P", (), (CellTable("S", (PaperCell("b", "B", run_of="a"), cell)),))
