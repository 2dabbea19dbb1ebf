import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss

from evaluation.fakes import THRESHOLDS, DescribedPredictor, LinearPredictor, WrongShapePredictor, faces
from mien.core.errors import DatasetError, LabelError, ModelError
from mien.core.expression import FER2013, FERPLUS, SIX, THREE
from mien.core.fitted import Fitted
from mien.core.predictor import Mirrored, Predictor, softmax
from mien.core.preprocess import InputSpec
from mien.data.dataset import text_column
from mien.evaluation.calibration import set_quality
from mien.evaluation.protocol import evaluate, predict


def test_the_fakes_are_predictors():
    assert isinstance(LinearPredictor(), Predictor)


def test_numbers_equal_scikit_learn():
    dataset, predictor = faces(), LinearPredictor()
    result = evaluate(predictor, dataset, split="private", batch=7)
    rows = dataset.split("private")
    probabilities = softmax(predictor.logits(rows.images), 1.5)
    predicted = probabilities.argmax(axis=1)
    assert result.n == 60
    assert result.accuracy == accuracy_score(rows.indices, predicted)
    np.testing.assert_array_equal(result.confusion_matrix, confusion_matrix(rows.indices, predicted, labels=range(7)))
    assert result.macro_f1 == pytest.approx(f1_score(rows.indices, predicted, average="macro"))
    assert result.log_loss == pytest.approx(log_loss(rows.indices, probabilities, labels=range(7)), rel=1e-5)
    assert result.accuracy_interval[0] < result.accuracy < result.accuracy_interval[1]
    assert (result.model, result.identity, result.parameters) == ("linear", "ab" * 32, 448)


@pytest.mark.parametrize(("split", "leaked", "against"), [("private", 8, "train or public"), ("public", 4, "train")])
def test_rows_of_earlier_splits_are_left_out_beside_the_official_number(split, leaked, against):
    dataset = faces()
    result = evaluate(LinearPredictor(), dataset, split=split)
    rows = dataset.split(split)
    hits = LinearPredictor().logits(rows.images).argmax(axis=1) == rows.indices
    assert result.n_without_leaks == 60 - leaked
    # the fake's leaked private rows are its first 8, its leaked public rows the first 4
    assert result.accuracy_without_leaks == pytest.approx(hits[leaked:].mean())
    assert f"leaves out {leaked} rows whose pixels stand in {against}" in result.protocol


def test_persons_of_earlier_splits_are_told():
    dataset = faces()
    persons = dataset.metadata["subject"].copy()
    persons[120:150] = "somebody new"  # half of private
    known = replace(dataset, metadata={"subject": persons})
    told = "30 rows show persons who stand in train or public too"
    assert told in evaluate(LinearPredictor(), known, split="private").protocol
    persons[150:] = "somebody else"
    for rows in (known, replace(dataset, metadata={})):
        assert "show persons" not in evaluate(LinearPredictor(), rows, split="private").protocol


def test_nothing_comes_before_train_or_a_lonely_split():
    assert evaluate(LinearPredictor(), faces(), split="train").accuracy_without_leaks is None
    alone = faces().split("private")
    assert evaluate(LinearPredictor(), alone, split="private").accuracy_without_leaks is None


def test_a_split_of_another_name_is_held_against_all_others():
    dataset = faces()
    folds = replace(dataset, splits=text_column(["a"] * 60 + ["b"] * 60 + ["c"] * 60))
    assert evaluate(LinearPredictor(), folds, split="b").n_without_leaks == 60 - 4 - 3


def test_where_every_row_leaks_there_is_no_clean_figure():
    dataset = faces()
    copied = replace(dataset, images=np.concatenate([dataset.images[:60]] * 3))
    result = evaluate(LinearPredictor(), copied, split="private")
    assert (result.accuracy_without_leaks, result.n_without_leaks) == (None, 0)


def test_the_mirror_averages_and_says_so():
    dataset, predictor = faces(), LinearPredictor()
    result = evaluate(predictor, dataset, split="private", mirror=True)
    rows = dataset.split("private")
    averaged = softmax(predictor.logits(rows.images), 1.5) + softmax(predictor.logits(rows.images[:, :, ::-1]), 1.5)
    assert result.accuracy == (averaged.argmax(axis=1) == rows.indices).mean()
    assert result.protocol.startswith("averaged with the mirrored face")
    assert (result.views, result.members) == ("mirror", 1)
    assert result.model == "linear"
    answers = predict(predictor, dataset, split="private", mirror=True)
    np.testing.assert_allclose(answers.probabilities, softmax(Mirrored(predictor).logits(rows.images)))


def test_candidate_sets_are_measured_where_a_threshold_is_known():
    dataset = faces()
    assert evaluate(LinearPredictor(), dataset, split="private").coverage is None
    result = evaluate(DescribedPredictor(), dataset, split="private")
    answers = predict(DescribedPredictor(), dataset, split="private")
    quality = set_quality(answers.probabilities, answers.dataset.indices, thresholds=THRESHOLDS)
    assert (result.coverage, result.mean_candidates) == (quality.coverage, quality.mean_size)
    assert result.classes[0].coverage == quality.class_coverage[0]
    assert evaluate(DescribedPredictor(), dataset, split="private", mirror=True).coverage is None


def test_a_manifest_says_how_the_model_was_trained():
    result = evaluate(DescribedPredictor(), faces(), split="private")
    assert (result.recipe, result.training_seed) == ("exact", 7)
    assert result.protocol.startswith("single crop; trained on faces train, chosen on public; the figure")


def test_a_run_says_what_it_was_trained_on_and_that_its_own_rows_are_no_test():
    run = LinearPredictor(seen=(Fitted("faces", None, ("train", "public")),))
    tested, chosen = (evaluate(run, faces(), split=split).protocol for split in ("private", "public"))
    assert tested.startswith("single crop; trained on faces (train, public); the figure")
    assert "no test" not in tested
    assert "these rows fitted it or chose its epoch, so that this is no test" in chosen
    elsewhere = evaluate(run, faces(name="others"), split="public").protocol
    assert "trained on faces" in elsewhere
    assert "no test" not in elsewhere


def test_a_dataset_with_fewer_expressions_fits():
    result = evaluate(LinearPredictor(), faces(labels=SIX), split="private")
    assert result.dropped == 0
    assert result.confusion_vector[-1] is None
    assert result.classes[-1].f1 is None
    assert "no rows of neutral" in result.protocol


def test_a_label_without_rows_does_not_stop_a_model_that_lacks_it():
    dataset = replace(faces(), labels=FERPLUS)
    result = evaluate(LinearPredictor(), dataset, split="private")
    assert (result.n, result.dropped, result.labels) == (60, 0, FER2013)


def test_a_model_that_cannot_give_the_datasets_expressions_is_refused():
    predictor = LinearPredictor(name="three", labels=THREE)
    with pytest.raises(LabelError, match=r"of disgust, fear, sad, surprise, which three cannot give .*--drop-unknown"):
        evaluate(predictor, faces(), split="private")


def test_rows_that_a_model_cannot_answer_may_be_dropped_and_are_counted():
    dataset, predictor = faces(), LinearPredictor(labels=THREE)
    rows = dataset.split("private")
    fits = np.isin(rows.indices, [0, 3, 6])
    result = evaluate(predictor, dataset, split="private", unknown="drop")
    assert (result.n, result.dropped) == (int(fits.sum()), int((~fits).sum()))
    assert f"{result.dropped} rows left out" in result.protocol
    assert result.n_without_leaks == int(fits[8:].sum())
    truth = np.searchsorted([0, 3, 6], rows.indices[fits])
    assert result.accuracy == (predictor.logits(rows.images[fits]).argmax(axis=1) == truth).mean()


def test_a_model_that_shares_no_expression_is_refused_even_when_dropping():
    predictor = LinearPredictor(labels=(FERPLUS[6], FERPLUS[7]))
    with pytest.raises(LabelError, match="share no expression: the model gives neutral, contempt"):
        evaluate(predictor, faces(labels=SIX), split="private", unknown="drop")


def test_crops_of_another_shape_are_refused():
    with pytest.raises(DatasetError, match=r"crops of shape \(8, 8\), linear takes \(48, 48\)"):
        evaluate(LinearPredictor(input=InputSpec()), faces(), split="private")


def test_an_unknown_split_or_column_is_refused():
    with pytest.raises(DatasetError, match="no split 'test'"):
        evaluate(LinearPredictor(), faces(), split="test")
    with pytest.raises(DatasetError, match="no column 'mood'"):
        evaluate(LinearPredictor(), faces(), split="private", columns=["mood"])


def test_an_answer_of_another_shape_is_refused():
    with pytest.raises(ModelError, match=r"logits of shape \(60, 3\) for 60 crops"):
        evaluate(WrongShapePredictor(), faces(), split="private")


def test_the_dictionary_is_json_with_the_promised_keys():
    content = evaluate(LinearPredictor(), faces(labels=SIX), split="private", columns=["subject"]).to_dict()
    assert {"accuracy", "accuracy_interval", "accuracy_without_leaks", "expected_calibration_error"} <= set(content)
    again = json.loads(json.dumps(content, allow_nan=False))
    assert again["labels"] == [str(label) for label in FER2013]
    assert {part["column"] for part in again["slices"]} == {"brightness", "contrast", "subject"}


def test_pictures_that_are_no_rows_are_told():
    rows = replace(faces(), left_out={"no face found": 3}, detector="yunet")
    protocol = evaluate(LinearPredictor(), rows, split="private").protocol
    assert "faces found by yunet; 3 left out of faces: no face found" in protocol


class Averaging(DescribedPredictor):
    """One whose graph averages views."""

    @property
    def manifest(self):
        return replace(super().manifest, views="ten")


def test_the_protocol_says_what_a_models_answers_come_from():
    found = evaluate(Averaging(), faces(), split="private").protocol
    assert found.startswith("averaged over ten crops; trained on faces train")
    assert evaluate(DescribedPredictor(), faces(), split="private").protocol.startswith("single crop; ")
    both = evaluate(Averaging(), faces(), split="private", mirror=True)
    assert both.views == "ten"
    assert both.protocol.startswith("averaged with the mirrored face; averaged over ten crops; ")
