"""Another dataset: whole persons are drawn, and what was not measured is counted."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.fakes import DescribedPredictor, faces
from mien.core.errors import DatasetError
from mien.core.expression import FER2013, Expression
from mien.data.dataset import text_column
from mien.data.layout import WHOLE
from mien.data.posed import JAFFE
from mien.data.sequences import CK48
from mien.evaluation.cross_dataset import measure

STAMP = {"time": "2026-11-21T16:00:00+00:00", "commit": "abcdef1"}


@pytest.fixture
def posed():
    """180 faces; what the predictor says of the first person's is always right, of the others' never."""
    rows = faces(name="jaffe", noise=0.0)
    person = np.arange(len(rows)) % 3
    indices = np.where(person == 0, rows.indices, (rows.indices + 1) % len(FER2013))
    return replace(
        rows,
        indices=indices,
        splits=text_column([WHOLE] * len(rows)),
        metadata={"subject": text_column([f"person {p}" for p in person])},
        left_out={"no face found": 4, "named otherwise": 2},
        detector="marked",
    )


def test_persons_are_drawn_and_the_faceless_are_counted(posed):
    found = measure(DescribedPredictor(), JAFFE, posed, **STAMP)
    assert found.accuracy.value == found.evaluation.accuracy == pytest.approx(1 / 3)
    assert found.accuracy.interval == (0, 1)  # three persons, one of whom is read: draws hold none of her, or her alone
    assert found.evaluation.accuracy_interval[1] < 0.5
    assert (found.persons, found.faceless, found.pictures, found.detector) == (3, 4, 184, "marked")
    assert found.about == "JAFFE (Lyons, Akamatsu, Kamachi & Gyoba 1998); ten Japanese women, who posed each expression"
    assert (found.time, found.commit) == (STAMP["time"], STAMP["commit"])


def test_faces_whose_expression_it_cannot_give_are_left_out_and_counted(posed):
    labels = tuple(label if label != Expression.DISGUST else Expression.CONTEMPT for label in FER2013)
    contempt = int((posed.indices == FER2013.index(Expression.DISGUST)).sum())
    found = measure(DescribedPredictor(), CK48, replace(posed, labels=labels), **STAMP)
    assert contempt > 0
    assert (found.evaluation.dropped, found.evaluation.n) == (contempt, 180 - contempt)
    assert found.pictures == 184


def test_a_dataset_that_it_was_fitted_on_is_no_other_one(posed):
    with pytest.raises(DatasetError, match="fitted on a part"):
        measure(DescribedPredictor(trained_on="jaffe: fitted on 100 rows of train"), JAFFE, posed, **STAMP)
