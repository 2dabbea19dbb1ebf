"""The figures' promises: one scale, one colour bar, words for those who cannot see them, two formats."""

from __future__ import annotations

import io
from base64 import b64decode

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.reporting.figures import WIDTH, canvas, style
from mien.reporting.panels import maps_panel, mark_landmarks, outline

ROWS, COLUMNS = ["happy", "angry"], ["first", "second", "a third of many words"]


@pytest.fixture
def maps():
    values = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    values[0, 1] *= 5
    return [list(row) for row in values]


def panel(maps, **options):
    return maps_panel(maps, rows=ROWS, columns=COLUMNS, unit="share", alt="Six maps.", **options)


def test_one_scale_and_one_colour_bar(maps):
    figure = panel(maps).figure
    pictures = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(pictures) == 6
    assert len(figure.axes) == 7
    top = max(float(one.max()) for row in maps for one in row)
    assert {picture.get_clim() for picture in pictures} == {(0.0, top)}
    assert {picture.get_cmap().name for picture in pictures} == {"inferno"}


def test_maps_with_a_sign_are_scaled_around_zero(maps):
    maps[1][2] = maps[1][2] - 7
    figure = panel(maps).figure
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high == pytest.approx(float(maps[1][2].min()))
    assert figure.axes[0].images[0].get_cmap().name == "PuOr_r"


def test_both_formats_carry_the_description(maps, tmp_path):
    drawing = panel(maps, title="A title")
    png, svg = drawing.save(tmp_path / "new" / "panel.v2")
    assert (png.name, svg.name) == ("panel.v2.png", "panel.v2.svg")
    with Image.open(png) as picture:
        assert picture.info["Description"] == "Six maps."
        assert picture.width <= (WIDTH + 0.1) * 200
    text = svg.read_text()
    assert "Six maps." in text
    assert ">A title<" in text
    assert ">happy<" in text
    with Image.open(io.BytesIO(b64decode(drawing.data().removeprefix("data:image/png;base64,")))) as picture:
        assert picture.format == "PNG"
    assert panel(maps).svg() == panel(maps).svg()


def test_faces_lie_below_and_empty_places_stay_empty(maps):
    face = np.full((48, 48), 90, np.uint8)
    maps[0][0] = None
    faces = [[face] * 3] * 2
    figure = panel(maps, faces=faces).figure
    empty, full = figure.axes[0], figure.axes[1]
    assert [len(empty.images), len(full.images)] == [1, 2]
    assert full.images[0].get_extent() == full.images[1].get_extent()


def test_landmarks_and_outlines_lie_where_they_belong(maps):
    mask = np.zeros((48, 48), bool)
    mask[10:20] = True
    with style():
        _, axes = canvas(1, 1, height=2)
        mark_landmarks(axes[0, 0], 48)
        outline(axes[0, 0], mask)
    x, y = axes[0, 0].lines[0].get_data()
    np.testing.assert_allclose([x[0], y[0]], [0.308 * 48 - 0.5, 0.373 * 48 - 0.5], atol=1e-5)
    corners = np.concatenate([path.vertices for path in axes[0, 0].collections[0].get_paths()])
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [9.5, 19.5])


def test_matplotlib_stays_as_it_was(maps):
    before = dict(mpl.rcParams)
    assert panel(maps).png
    assert dict(mpl.rcParams) == before


def test_wrong_sizes_and_places_are_refused(maps, tmp_path):
    with pytest.raises(ValueError, match="2 x 3 names need as many maps"):
        panel(maps[:1])
    with pytest.raises(ValueError, match="at least one"):
        panel([[None] * 3] * 2)
    (tmp_path / "file").write_text("")
    with pytest.raises(MienError, match="cannot be written"):
        panel(maps).save(tmp_path / "file" / "panel")
