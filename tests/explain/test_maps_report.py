"""The report's figures and tables say what the numbers say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from explain.networks import random_crops, small
from mien.core.errors import LabelError, MienError
from mien.core.expression import FER2013
from mien.core.predictor import softmax
from mien.explain.faithfulness import Faithfulness
from mien.explain.gradcam import GradCAM
from mien.explain.maps_report import (
    SCALE,
    Faces,
    expressions_figure,
    faithfulness_table,
    methods_figure,
    sanity_figure,
    sanity_table,
    write,
)
from mien.explain.sanity import CascadeStep, Sanity
from mien.reporting.tables import Table


def score(n: int) -> Faithfulness:
    return Faithfulness("Grad-CAM", n, 0.25, (0.2, 0.3), 0.75, (0.7, 0.8), 0.125, (-0.05, 0.3))


@pytest.fixture
def checks() -> list[Sanity]:
    steps = tuple(
        CascadeStep(name, value, (value - 0.1, value + 0.1), value / 2, (0.0, 0.5))
        for name, value in (("b", 0.5), ("a", -0.25))
    )
    return [Sanity("Grad-CAM", 8, 3, steps), Sanity("Occlusion sensitivity", 8, 3, steps[::-1])]


def test_faces_are_read_by_the_network_or_asked_about_one_expression():
    network = small()
    crops = random_crops(network, 3)
    probabilities = softmax(network.logits(crops))
    read = Faces.read(network, crops, "abc")
    assert read.names == ("a", "b", "c")
    assert read.expressions == tuple(FER2013[index] for index in probabilities.argmax(axis=1))
    np.testing.assert_allclose(read.probabilities, probabilities.max(axis=1))
    asked = Faces.read(network, crops, "abc", "sad")
    assert asked.expressions == ("sad",) * 3
    np.testing.assert_allclose(asked.probabilities, probabilities[:, 4])
    with pytest.raises(LabelError, match="did you mean 'sad'"):
        Faces.read(network, crops, "abc", "sadd")


def test_each_methods_map_is_scaled_to_its_own_largest_amount():
    network = small()
    faces = Faces.read(network, random_crops(network, 2), ["first", "second"], "happy")
    rng = np.random.default_rng(0)
    maps = {
        "weak": rng.normal(size=(2, 16, 16)).astype(np.float32) / 100,
        "strong": 50 * np.ones((2, 8, 8), np.float32),
    }
    drawing = methods_figure(faces, maps)
    axes = drawing.figure.axes
    assert [axis.get_title().replace("\n", " ") for axis in axes[:3]] == ["what the network sees", "weak", "strong"]
    assert len(axes[0].images) == 1
    for place in (axes[1], axes[2], axes[4], axes[5]):
        assert np.abs(place.images[1].get_array()).max() == pytest.approx(1)
    assert axes[-1].get_ylabel() == SCALE
    assert "weak, strong" in drawing.alt


def test_one_face_has_a_map_for_every_expression_under_one_scale():
    network = small()
    crop = random_crops(network, 1)[0]
    drawing = expressions_figure(network, GradCAM(relu=False), "Grad-CAM", crop, "face")
    pictures = [axes.images[1] for axes in drawing.figure.axes if len(axes.images) == 2]
    assert len(pictures) == 7
    assert len({picture.get_clim() for picture in pictures}) == 1
    titles = [axes.get_title() for axes in drawing.figure.axes[:7]]
    assert [title.split()[0] for title in titles] == list(FER2013)


def test_intervals_are_told_where_there_are_several_faces():
    (row,) = faithfulness_table([score(40)]).rows
    assert row == ("Grad-CAM", "0.250 (0.200 to 0.300)", "0.750 (0.700 to 0.800)", "+0.125 (-0.050 to +0.300)")
    (row,) = faithfulness_table([score(1)]).rows
    assert row == ("Grad-CAM", "0.250", "0.750", "+0.125")


def test_cascades_are_drawn_and_their_ends_told(checks):
    drawing = sanity_figure(checks)
    left, right = drawing.figure.axes
    assert [line.get_label() for line in left.lines[:2]] == ["Grad-CAM", "Occlusion sensitivity"]
    np.testing.assert_allclose(left.lines[0].get_ydata(), [1, 0.5, -0.25])
    np.testing.assert_allclose(right.lines[1].get_ydata(), [1, -0.125, 0.25])
    assert [label.get_text() for label in left.get_xticklabels()] == ["trained", "b", "a"]
    low, high = left.get_ylim()
    assert low < -0.35, "the interval's end"
    assert high > 1
    assert "Grad-CAM -0.25, Occlusion sensitivity 0.50" in drawing.alt
    table = sanity_table(checks)
    assert table.rows[0] == ("Grad-CAM", "-0.250 (-0.350 to -0.150)", "-0.125 (0.000 to 0.500)")
    assert "8 faces, seed 3" in table.caption


def test_a_cascade_that_ends_far_below_zero_is_drawn_whole():
    drawing = sanity_figure([Sanity("Grad-CAM", 8, 3, (CascadeStep("a", -0.9, (-1.0, -0.8), 0.1, (0.0, 0.2)),))])
    assert drawing.figure.axes[0].get_ylim()[0] < -1


def test_the_page_holds_everything_and_escapes_it(checks, tmp_path):
    paths = write(
        tmp_path / "new",
        title="What <b> looks at",
        notes=["A note & more."],
        drawings={"sanity": sanity_figure(checks)},
        tables={"scores": Table("Scores", ("a", "b"), (("1", "2"),)), "sanity": sanity_table(checks)},
        numbers={"sanity": checks, "seed": 3},
    )
    assert [path.name for path in paths] == ["explain.html", "explain.json", "sanity.png", "sanity.svg"]
    page = paths[0].read_text()
    assert "What &lt;b&gt; looks at" in page
    assert page.index("<img") < page.index("fresh weights in every layer") < page.index("Scores")
    assert json.loads(paths[1].read_text())["sanity"][0]["steps"][1]["layer"] == "a"


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MienError, match="cannot be written"):
        write(tmp_path / "file", title="t", notes=[], drawings={}, tables={}, numbers={})
