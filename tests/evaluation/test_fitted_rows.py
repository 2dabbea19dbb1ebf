"""A model is measured where its own rows can be told from the others, and nowhere else."""

from dataclasses import replace

import pytest

from evaluation.fakes import DescribedPredictor, LinearPredictor, faces
from mien.core.ensemble import Ensemble, EnsembleSpec
from mien.core.errors import DatasetError
from mien.core.fitted import Fitted, Folds
from mien.core.predictor import Mirrored, TenCropped
from mien.data.base import text_column
from mien.data.folds import in_folds
from mien.data.layout import WHOLE
from mien.evaluation.fitted_rows import check_unseen, is_learnt, parted
from mien.evaluation.protocol import evaluate, predict

FOLDS = Folds(3, 1)
OWN = Fitted("posed", FOLDS, ("train", "validation"))


def posed(name="posed"):
    """Rows without splits of their own."""
    rows = faces(name=name)
    return replace(rows, splits=text_column([WHOLE] * len(rows)))


def model(*seen, **fields):
    return LinearPredictor(seen=seen, **fields)


def pair(*members, **fields):
    spec = EnsembleSpec(tuple(m.name for m in members), tuple(m.identity for m in members), **fields)
    return Ensemble(members, spec, name="pair")


def as_run(predictor):
    return predictor


def as_member(predictor):
    return pair(model(), predictor)


WRAPPED = pytest.mark.parametrize("wrapped", [as_run, Mirrored, TenCropped, as_member])


@WRAPPED
def test_the_whole_of_what_a_model_was_fitted_on_is_refused(wrapped):
    for seen in (OWN, replace(OWN, folds=None), Fitted("posed")):
        with pytest.raises(DatasetError, match="was fitted on a part of posed"):
            predict(wrapped(model(seen)), posed(), split=WHOLE)
    assert evaluate(wrapped(model(OWN)), posed("others"), split=WHOLE).n == len(posed())


@WRAPPED
def test_its_own_fold_is_found_and_measured(wrapped):
    predictor = wrapped(model(OWN))
    rows = parted(posed(), [predictor])
    assert rows.folds == FOLDS
    assert predict(predictor, rows, split="test").dataset.rows.tolist() == rows.split("test").rows.tolist()
    assert parted(posed("others"), [predictor]).folds is None


@WRAPPED
@pytest.mark.parametrize("other", [Folds(3, 0), Folds(4, 1, "picture"), Folds(3, 1, seed=1), Folds(3, 1, "picture")])
def test_another_fold_is_refused(wrapped, other):
    with pytest.raises(DatasetError, match=r"fold 1 of 3, .*: ask for posed with --fold 1/3, or with no --fold"):
        check_unseen(wrapped(model(OWN)), in_folds(posed(), other))


def test_a_fold_of_the_same_number_is_the_models_own():
    own = Folds(3, 1, "picture", seed=5)
    assert parted(posed(), [model(), model(replace(OWN, folds=own))], Folds(3, 1)).folds == own
    assert parted(posed(), [model()], Folds(3, 1)).folds == Folds(3, 1)


def test_members_of_several_folds_leave_none():
    both = pair(model(OWN), model(replace(OWN, folds=Folds(3, 2))))
    for fold in (None, Folds(3, 0), Folds(3, 1), Folds(3, 2)):
        with pytest.raises(DatasetError, match="was fitted on a part of posed"):
            check_unseen(both, parted(posed(), [both], fold))


def test_rows_that_fitted_an_ensembles_weights_count():
    fitted = pair(model(), model(), combine="weighted", weights=(0.5, 0.5), fitted=Fitted("posed", None, (WHOLE,)))
    with pytest.raises(DatasetError, match="pair was fitted on a part of posed"):
        check_unseen(fitted, posed())


def test_given_splits_are_left_as_they_are():
    own = Fitted("faces", None, ("train", "public"))
    check_unseen(model(own), faces())
    with pytest.raises(DatasetError, match="measure it on the splits that it was fitted with"):
        check_unseen(model(own), in_folds(faces(), FOLDS))
    with pytest.raises(DatasetError, match=r"the splits of faces \(private, public, train\) do not tell which"):
        check_unseen(model(replace(own, splits=("train", "validation"))), faces())  # made of pooled splits


@pytest.mark.parametrize(("fitted", "measured"), [("jaffe", "jaffe (part: 180 pictures)"), ("ckplus", "ck48")])
def test_a_part_or_another_edition_of_a_dataset_has_other_folds(fitted, measured):
    predictor = model(replace(OWN, dataset=fitted))
    for rows in (posed(measured), in_folds(posed(measured), FOLDS)):
        with pytest.raises(
            DatasetError, match=rf"the split 'test' of that fold alone can measure it: ask for {fitted} with"
        ):
            check_unseen(predictor, rows)


def test_the_splits_of_fer2013_are_those_of_ferplus():
    check_unseen(model(Fitted("ferplus", None, ("train", "public"))), faces(name="fer2013"))


def in_two_folders(name="fer2013"):
    """Rows whose ``test`` is PublicTest and PrivateTest in one, as Kaggle has FER2013."""
    rows = faces(name=name)
    return replace(rows, splits=text_column(["train" if split == "train" else "test" for split in rows.splits]))


@pytest.mark.parametrize("wrapped", [as_run, Mirrored, as_member])
def test_a_copy_of_fer2013_in_two_folders_holds_the_rows_that_chose_among_others(wrapped):
    own = Fitted("fer2013", None, ("train", "public"), ("public",))
    predictor, rows = wrapped(model(own)), in_two_folders()
    assert "some of these rows fitted it or chose its epoch" in evaluate(predictor, rows, split="test").protocol
    assert "; these rows fitted it" in evaluate(predictor, rows, split="train").protocol
    assert "chose its epoch" not in evaluate(model(), rows, split="test").protocol
    assert "chose its epoch" not in evaluate(predictor, faces(name="fer2013"), split="private").protocol
    for other in (in_two_folders("others"), in_folds(in_two_folders(), FOLDS)):
        with pytest.raises(DatasetError, match="was fitted on a part of"):  # no other dataset is known to be parted so
            check_unseen(model(replace(own, dataset=other.name)), other)
    pooled = replace(own, splits=("train", "validation"), chose=("validation",))
    with pytest.raises(DatasetError, match="do not tell which"):
        check_unseen(model(pooled), rows)


def test_what_fitted_is_told_from_what_chose():
    own = Fitted("faces", None, ("train", "public"), ("public",))
    found = {split: is_learnt(model(own), faces().split(split)) for split in ("train", "public", "private")}
    assert found == {"train": True, "public": False, "private": False}
    assert not is_learnt(model(replace(own, chose=())), faces().split("train"))  # an older record does not tell
    assert not is_learnt(model(own), faces(name="others").split("train"))
    assert not is_learnt(model(own), in_folds(faces(), FOLDS).split("train"))


def test_an_older_manifest_tells_its_dataset():
    older = DescribedPredictor(trained_on="posed: fitted on 60 rows of train, chosen on 20 of validation")
    assert older.seen == (Fitted("posed"),)
    with pytest.raises(DatasetError, match="linear was fitted on a part of posed"):
        predict(older, posed(), split=WHOLE)
    assert DescribedPredictor(fitted=OWN).seen == (OWN,)
