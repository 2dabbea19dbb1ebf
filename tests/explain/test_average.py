"""Averages over faces: against plain means over everything, and what they say of their sample."""

from __future__ import annotations

import numpy as np
import pytest

from explain.networks import SMALL, small
from mien.core.errors import DatasetError, LabelError, ModelError
from mien.core.expression import FER2013
from mien.data.dataset import Dataset, text_column
from mien.evaluation.regions import BANDS, cover
from mien.explain.average import MapCondition, average, paper_conditions, place_of
from mien.explain.gradcam import GradCAM


@pytest.fixture
def faces() -> Dataset:
    """Random crops: 30 happy, 20 sad, 3 neutral, in mixed order."""
    rng = np.random.default_rng(0)
    indices = rng.permutation(np.repeat([3, 4, 6], [30, 20, 3])).astype(np.int64)
    return Dataset(
        name="made",
        images=rng.integers(0, 256, (53, 16, 16), dtype=np.uint8),
        indices=indices,
        labels=FER2013,
        splits=text_column(["test"] * 53),
        rows=np.arange(100, 153),
        licence="none",
    )


def test_the_mean_over_all_faces_is_the_plain_mean(faces):
    network = small()
    result = average(GradCAM(), faces, paper_conditions(network), samples=1000, batch=7, seed=5)
    assert result.expressions == ("happy", "sad", "neutral")
    assert result.counts == (30, 20, 3)
    assert result.maps.shape == (3, 4, 8, 8)
    for row, index in enumerate((3, 4, 6)):
        which = faces.indices == index
        for column, region in enumerate((None, *BANDS.values())):
            crops = cover(faces.images[which], region, seed=5, rows=faces.rows[which])
            expected = GradCAM()(network, crops, FER2013[index]).mean(axis=0)
            np.testing.assert_allclose(result.maps[row, column], expected, atol=1e-6)


def test_fewer_faces_than_asked_are_said_with_their_number(faces):
    result = average(GradCAM(), faces, paper_conditions(small()), samples=10, seed=7)
    assert result.counts == (10, 10, 3)
    assert result.sampled == "10 random faces of each expression (there are only 3 of neutral), seed 7"
    enough = average(GradCAM(), faces, paper_conditions(small()), samples=3)
    assert enough.sampled == "3 random faces of each expression, seed 0"


def test_the_sample_follows_from_the_seed_and_is_the_same_under_every_condition(faces):
    seen: list[np.ndarray] = []

    def look(network, crops, expressions):
        seen.append(crops)
        return crops.astype(np.float32)

    same = (MapCondition("one", small()), MapCondition("two", small()))
    first = average(look, faces, same, expressions=["happy"], samples=12, seed=1)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert len(np.unique(seen[0], axis=0)) == 12
    np.testing.assert_array_equal(
        average(look, faces, same, expressions=["happy"], samples=12, seed=1).maps, first.maps
    )
    assert (average(look, faces, same, expressions=["happy"], samples=12, seed=2).maps != first.maps).any()


def test_only_batches_are_in_hand_at_a_time(faces):
    sizes = []

    def look(network, crops, expressions):
        sizes.append((len(crops), len(expressions)))
        return crops.astype(np.float32)

    average(look, faces, [MapCondition("one", small())], batch=4)
    assert max(sizes) == (4, 4)
    assert sum(n for n, _ in sizes) == 53


def test_each_condition_has_its_own_network(faces):
    one, two = small(0), small(1)
    result = average(GradCAM(), faces, [MapCondition("a", one), MapCondition("b", two)], expressions=["sad"])
    sad = faces.images[faces.indices == 4]
    np.testing.assert_allclose(result.maps[0, 1], GradCAM()(two, sad, "sad").mean(axis=0), atol=1e-6)
    assert not np.allclose(result.maps[0, 0], result.maps[0, 1])


def test_the_panel_names_everything_and_describes_itself(faces):
    result = average(GradCAM(), faces, paper_conditions(small()), samples=10)
    drawing = result.draw(title="Averaged Grad-CAM")
    svg = drawing.svg().decode()
    for words in ("happy", "sad", "neutral", "nothing covered", "eyes covered", "nose covered", "mouth covered"):
        assert all(word in svg for word in words.split())
    assert "there are only 3 of neutral" in drawing.alt
    images = [axes.images[0] for axes in drawing.figure.axes if axes.images]
    assert len(images) == 12
    assert len({image.get_clim() for image in images}) == 1


def test_places_are_told_in_words():
    heat = np.zeros((7, 7), np.float32)
    heat[6, 3] = 1
    assert place_of(heat) == "the lower middle"
    assert place_of(heat.T.copy()) == "the middle right"
    assert place_of(np.eye(1, 49, 24, dtype=np.float32).reshape(7, 7)) == "the centre"


def test_wrong_input_is_refused(faces):
    conditions = paper_conditions(small())
    with pytest.raises(DatasetError, match="made has no face of fear; it has 30 of happy, 20 of sad, 3 of neutral"):
        average(GradCAM(), faces, conditions, expressions=["happy", "fear"])
    with pytest.raises(DatasetError, match="has no face of hapy"):
        average(GradCAM(), faces, conditions, expressions=["hapy"])
    with pytest.raises(DatasetError, match="one face and one condition or more, got 0 and 4"):
        average(GradCAM(), faces, conditions, samples=0)
    with pytest.raises(DatasetError, match="got 1000 and 0"):
        average(GradCAM(), faces, [])
    with pytest.raises(DatasetError, match="has no face of any expression; it has none at all"):
        average(GradCAM(), faces.take(np.arange(0)), conditions)
    network = small()
    network.labels = FER2013[:4]
    with pytest.raises(LabelError, match="does not know the expression 'sad'"):
        average(GradCAM(), faces, paper_conditions(network))

    def sizes(network, crops, expressions):
        return np.zeros((len(crops), 6 if network.name == "other" else 7, 7), np.float32)

    other = small()
    other.name = "other"
    with pytest.raises(ModelError, match="different sizes"):
        average(sizes, faces, [MapCondition("a", small()), MapCondition("b", other)])
    assert SMALL.size == 16
