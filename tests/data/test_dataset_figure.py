import sys

import numpy as np
import pytest

from mien.core.errors import MissingExtraError
from mien.data.dataset_figure import SAMPLES, draw, samples


@pytest.fixture
def rows(toy):
    indices = [0] * 20 + [3] * 4 + [6]
    return toy(list(range(25)), indices, (["train", "public"] * 13)[:25])


def test_bars_hold_the_counts_of_each_split(rows):
    chart = draw(rows).figure.subfigs[0].axes[0]
    heights = {bars.get_label(): [int(bar.get_height()) for bar in bars] for bars in chart.containers}
    assert heights == {
        "train": list(rows.split("train").counts.values()),
        "public": list(rows.split("public").counts.values()),
    }
    assert [text.get_text() for text in chart.texts] == ["20", "0", "0", "4", "0", "0", "1"]


def test_each_column_shows_its_own_expression(rows):
    cells = draw(rows).figure.subfigs[1].axes
    shown = [[cell.images[0].get_array() for cell in cells[column::7] if cell.images] for column in range(7)]
    assert [len(column) for column in shown] == [SAMPLES, 0, 0, 4, 0, 0, 1]
    for column, pictures in enumerate(shown):
        for position, picture in zip(samples(rows, column), pictures, strict=True):
            assert rows.indices[position] == column
            np.testing.assert_array_equal(picture, rows.images[position])


def test_samples_are_spread_over_a_class(rows):
    assert samples(rows, 0).tolist() == [0, 4, 8, 11, 15, 19]


def test_a_dataset_of_one_split_has_no_legend(toy):
    chart = draw(toy([1, 2], [0, 1])).figure.subfigs[0].axes[0]
    assert chart.get_legend() is None


def test_png(rows):
    assert draw(rows).png.startswith(b"\x89PNG")


def test_without_matplotlib(rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[plots\]'"):
        draw(rows)
