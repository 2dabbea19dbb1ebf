"""Galleries choose what they say, write truth and reading below each face, and say when there are fewer."""

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from evaluation.fakes import DescribedPredictor, faces
from explain.fakes import BrightMouth
from explain.fakes import faces as three
from mien.core.errors import DatasetError, LabelError
from mien.core.expression import SIX
from mien.core.predictor import softmax
from mien.explain.gallery import choose, draw, gallery, table, write


def readings(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return softmax(rng.normal(size=(n, 5)).astype(np.float32) * 2), rng.integers(0, 5, n)


@given(st.integers(0, 60), st.integers(0, 5))
def test_mistakes_are_wrong_and_the_most_confident_first(count, seed):
    probabilities, truth = readings(seed=seed)
    chosen = choose(probabilities, truth, "mistakes", count=count)
    wrong = [i for i in range(40) if probabilities[i].argmax() != truth[i]]
    assert chosen.tolist() == sorted(wrong, key=lambda i: -probabilities[i].max())[:count]


def test_uncertain_is_high_entropy():
    probabilities, truth = readings()
    chosen = choose(probabilities, truth, "uncertain", count=7)
    assert chosen.tolist() == np.argsort(-entropy(probabilities.astype(float), axis=1), kind="stable")[:7].tolist()
    certain = np.array([[1, 0, 0], [0.4, 0.3, 0.3]], dtype=np.float32)
    assert choose(certain, np.zeros(2, dtype=int), "uncertain", count=1).tolist() == [1]


def test_random_faces_follow_the_seed_and_do_not_repeat():
    probabilities, truth = readings()
    first, again, other = (choose(probabilities, truth, "random", count=30, seed=s) for s in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert len(set(first.tolist())) == 30


def test_a_gallery_holds_what_the_model_read():
    predictor, data = DescribedPredictor(), faces()
    shown = gallery(predictor, data, split="private", kind="mistakes", count=5)
    private = data.split("private")
    probabilities = softmax(predictor.logits(private.images), predictor.temperature)
    at = [int(np.flatnonzero(private.rows == row)[0]) for row in shown.rows]
    np.testing.assert_allclose(shown.probabilities, probabilities[at], atol=1e-6)
    assert np.array_equal(shown.crops, private.images[at])
    assert shown.shortage is None
    assert table(shown).heads[0] == "file"
    row = table(shown).rows[0]
    top = probabilities[at[0]].argsort()[::-1][:3]
    assert row == (
        f"{shown.rows[0]}.png",
        str(data.labels[private.indices[at[0]]]),
        ", ".join(f"{data.labels[k]} {probabilities[at[0], k]:.2f}" for k in top),
    )


def test_rows_are_named_where_there_are_no_files():
    shown = gallery(BrightMouth(), three(), split="private", count=5)
    sheet = table(shown)
    assert sheet.heads[0] == "row in the dataset"
    assert [row[0] for row in sheet.rows] == [str(row) for row in shown.rows]


def test_one_expression_alone():
    shown = gallery(DescribedPredictor(), faces(), split="private", count=60, expression="happy")
    assert {shown.labels[k] for k in shown.truth} == {"happy"}
    assert len(shown) < 60
    assert shown.shortage == f"60 were asked for, there are only {len(shown)} faces of happy in faces/private"
    assert shown.title == "linear on faces/private: random faces, happy"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"expression": "hapy"}, LabelError, "does not know the expression 'hapy': did you mean 'happy'"),
        ({"expression": "contempt"}, LabelError, "does not know the expression 'contempt'"),
        ({"split": "test"}, DatasetError, "no split 'test'"),
    ],
)
def test_what_cannot_be_shown_is_said(options, error, message):
    with pytest.raises(error, match=message):
        gallery(DescribedPredictor(), faces(), **{"split": "private"} | options)


def test_no_mistake_is_said():
    data = three()
    data.indices[:] = BrightMouth().logits(data.images).argmax(1)
    with pytest.raises(DatasetError, match="has no mistakes for bright-mouth"):
        gallery(BrightMouth(), data, split="private", kind="mistakes")
    missing = data.take(data.indices != 0)
    with pytest.raises(DatasetError, match="has no faces of angry"):
        gallery(BrightMouth(), missing, split="private", expression="angry")


def test_rows_that_a_model_cannot_name_are_left_out():
    with pytest.raises(LabelError, match="cannot give"):
        gallery(BrightMouth(), three(labels=SIX), split="private")
    shown = gallery(BrightMouth(), three(labels=SIX), split="private", unknown="drop", count=100)
    assert len(shown) < 80


def test_files_carry_truth_reading_licence_and_shortage(tmp_path):
    shown = gallery(DescribedPredictor(), faces(), split="private", kind="mistakes", count=100)
    sheet, png, svg = write(shown, tmp_path / "new")
    text = sheet.read_text()
    assert "licence: made up" in text
    assert "do not publish" in text
    assert shown.shortage in text
    for row in table(shown).rows:
        assert all(cell in text for cell in row)
    assert png.stat().st_size > 10_000
    drawn = "".join(ElementTree.parse(svg).getroot().itertext())
    assert f"true: {shown.labels[shown.truth[0]]}" in drawn
    assert "✗" in drawn
    assert "✓" not in drawn


def test_right_and_wrong_are_told_apart_by_more_than_colour():
    shown = gallery(DescribedPredictor(), faces(), split="private", count=7)
    right = shown.probabilities.argmax(1) == shown.truth
    texts = [t.get_text() for axes in draw(shown).figure.axes for t in axes.texts]
    assert [text[0] for text in texts] == ["✓" if one else "✗" for one in right]
