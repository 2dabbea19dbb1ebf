"""Running studies: what is done is kept, what cannot be run says why, what was stopped goes on."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mien.core.errors import ConfigError, DatasetError
from mien.core.expression import Expression
from mien.core.fitted import Fitted, Folds
from mien.core.preprocess import InputSpec
from mien.data.load import load_dataset
from mien.evaluation.fitted_rows import parted
from mien.evaluation.protocol import evaluate
from mien.studies import study_page
from mien.studies.cell_recipes import GivenWeights
from mien.studies.cell_results import NO_WEIGHTS, NOT_YET, Reproduction
from mien.studies.paper_cells import PaperCell, SplitProtocol
from mien.studies.reproduction import reproduce
from mien.training.publish import open_run
from mien.training.rows import load_splits
from mien.training.run import Run
from mien.training.runner import Runner
from studies.making import COST, DrawnRunner, folded, official, rows_of, study_of


class Reproducer:
    """Reproduces studies into one folder, each time as the same command again would."""

    def __init__(self, folder, options, shared, root):
        self.folder, self.options, self.shared, self.root = folder, options, shared, root
        self.idle, self.stop_before, self.fitted = False, None, []

    def __call__(self, study, *, only=(), root=None, hours=None, say=lambda _: None, **changes):
        runner = DrawnRunner(
            self.shared,
            idle=self.idle,
            stop_before=self.stop_before,
            fitted=self.fitted,
            root=root or self.root,
            hours=hours,
            say=say,
        )
        options = replace(self.options, **changes)
        return reproduce(study, self.folder, self.folder / "results.json", options, only=only, runner=runner)


@pytest.fixture
def run(tmp_path, options, shared_runs, drawn_root):
    return Reproducer(tmp_path / "out", options, shared_runs, drawn_root)


def test_a_cell_is_fitted_tested_counted_and_kept(run, tmp_path, drawn_root):
    found = run(study_of(official()))
    result = rows_of(found)["official"]
    run_folder = next((tmp_path / "out" / "runs").glob("official-*/seed-0-fold-0"))
    predictor = open_run(run_folder)
    rows = load_dataset("fer2013", predictor.input, root=drawn_root, counts="any")
    expected = evaluate(predictor, rows, split="private")
    assert result.score.accuracy == pytest.approx(expected.accuracy)
    assert result.score.accuracy_interval == pytest.approx(expected.accuracy_interval)
    assert result.score.accuracy_without_leaks == pytest.approx(expected.accuracy_without_leaks)
    assert result.score.log_loss == pytest.approx(expected.log_loss, rel=1e-4)
    assert result.score.confusion == expected.confusion_matrix
    assert (result.epochs, result.training.rows, result.training.chosen_rows, result.training.runs) == (2, 84, 35, 1)
    assert len(result.training.curve) == 2
    assert result.cost == COST
    assert Reproduction.read(tmp_path / "out" / "results.json") == found


def test_rows_that_a_network_cannot_answer_are_counted(run, drawn_root):
    six = official("six", protocol=SplitProtocol(labels="six"))
    found = rows_of(
        run(study_of(six, PaperCell("elsewhere", "On JAFFE", SplitProtocol("jaffe", "whole"), run_of="six")))
    )
    rows = load_dataset("jaffe", InputSpec(), root=drawn_root)
    neutral = rows.counts[Expression.NEUTRAL]
    assert neutral > 0
    assert (found["elsewhere"].score.n, found["elsewhere"].score.left_out) == (len(rows) - neutral, neutral)


@pytest.mark.parametrize("kind", ["persons", "random"])
def test_a_run_knows_the_fold_that_it_was_fitted_on(run, tmp_path, drawn_root, kind):
    found = rows_of(run(study_of(folded(kind, kind))))[kind]
    reported = []
    for test in range(2):
        folder = next((tmp_path / "out" / "runs").glob(f"{kind}-*/seed-0-fold-{test}"))
        folds = Folds(3, test, "subject" if kind == "persons" else "picture", labels="six")
        predictor, recipe = open_run(folder), Run.read(folder).recipe
        assert predictor.seen == (Fitted("jaffe", folds, ("train", "validation"), ("validation",)),)
        rows = parted(load_dataset("jaffe", predictor.input, root=drawn_root), [predictor])
        fitted, chosen = load_splits(recipe, predictor.input, drawn_root)
        assert fitted.rows.tolist() == rows.split("train").rows.tolist()
        assert chosen.rows.tolist() == rows.split("validation").rows.tolist()
        reported.append(evaluate(predictor, rows, split="test").accuracy)
    assert found.score.parts == pytest.approx(reported)


def test_a_run_that_does_not_know_its_fold_is_taken_and_not_measured_otherwise(run, tmp_path, drawn_root):
    study = study_of(folded("persons", "persons"))
    first = run(study)
    for folder in (tmp_path / "out" / "runs").glob("persons-*/seed-0-fold-*"):
        before = Run.read(folder)
        older = replace(before.recipe.data, folds=None, validation="public")
        replace(before, recipe=replace(before.recipe, data=older)).write(folder)
    (tmp_path / "out" / "results.json").unlink()
    trained = len(run.fitted)
    assert rows_of(run(study))["persons"].score == rows_of(first)["persons"].score
    assert len(run.fitted) == trained
    predictor = open_run(folder)
    with pytest.raises(DatasetError, match=r"was fitted on a part of jaffe, and the splits of jaffe \(all\)"):
        evaluate(predictor, load_dataset("jaffe", predictor.input, root=drawn_root), split="all", unknown="drop")


def test_a_cell_does_not_test_a_run_on_its_own_rows(run):
    whole = PaperCell("whole", "All", SplitProtocol("jaffe", "whole", "six"), run_of="persons")
    with pytest.raises(DatasetError, match="was fitted on a part of jaffe"):
        run(study_of(folded("persons", "persons"), whole), only=["persons", "whole"])


def test_what_is_done_is_not_done_again(run):
    study = study_of(official(), folded("persons", "persons"))
    first = run(study)
    run.idle = True
    assert run(study) == first


def test_a_study_that_was_stopped_goes_on(run):
    study = study_of(official(), folded("random", "random"))
    run.stop_before = 3
    with pytest.raises(KeyboardInterrupt):
        run(study)
    assert run.fitted == ["seed-0-fold-0", "seed-0-fold-0", "seed-0-fold-1"]
    found = rows_of(run(study))
    assert run.fitted[3:] == ["seed-0-fold-1"]  # neither the finished cell nor the finished fold
    assert found["random"].training.runs == 2
    assert len(found["random"].score.parts) == 2
    assert found["random"].detector == "whole"
    assert found["official"].detector == ""


def test_folds_of_persons_are_drawn_by_person(run):
    found = rows_of(run(study_of(folded("random", "random"), folded("persons", "persons"))))
    assert found["persons"].score.labels == ("angry", "disgust", "fear", "happy", "sad", "surprise")
    assert found["persons"].score.groups < 10  # quick tests two of the three folds
    assert found["random"].score.groups == 10


def test_seeds_answer_each_row_again(run):
    cell = official(protocol=SplitProtocol(seeds=2))
    found = rows_of(run(study_of(cell)))["official"]
    assert found.training.runs == 1  # quick trains one
    assert found.score.n == found.score.groups == 42


def test_another_cells_run_is_tested_elsewhere(run, tmp_path):
    study = study_of(official(), PaperCell("elsewhere", "On JAFFE", SplitProtocol("jaffe", "whole"), run_of="official"))
    found = rows_of(run(study))
    assert found["elsewhere"].status == "measured"
    assert found["elsewhere"].training is None
    again = rows_of(run(study_of(*study.cells), only=["elsewhere"]))
    assert again["elsewhere"] == found["elsewhere"]


def test_a_training_cut_short_says_so_and_gives_way_to_a_longer_one(run, tmp_path):
    elsewhere = PaperCell("elsewhere", "On JAFFE", SplitProtocol("jaffe", "whole"), run_of="official")
    study = study_of(official(), elsewhere)
    cut = rows_of(run(study, epochs=1))
    for name in ("official", "elsewhere"):
        assert (cut[name].epochs, cut[name].asked) == (1, 2), name
    text = study_page.markdown(study, run(study, epochs=1))
    assert text.count(" after 1 of 2 epochs") == 2
    assert "to train whole: `mien reproduce 002 --only official`" in text

    whole = rows_of(run(study))
    assert (whole["official"].epochs, whole["official"].asked) == (2, None)
    assert whole["elsewhere"].asked is None
    assert {path.name for path in (tmp_path / "out").glob("runs*")} == {"runs", "runs-of-1-epochs"}
    assert rows_of(run(study, epochs=1)) == whole
    assert "of 2 epochs" not in study_page.markdown(study, run(study))


def test_a_training_cut_short_is_kept_until_there_is_more(run):
    study = study_of(official())
    cut = run(study, epochs=1)
    run.idle = True
    assert run(study, epochs=1) == cut
    assert run(study, hours=0) == cut


def test_a_limit_beyond_the_recipe_cuts_nothing(run):
    assert rows_of(run(study_of(official()), epochs=9))["official"].asked is None


def test_a_test_of_a_run_that_is_missing_says_so(run, tmp_path):
    study = study_of(official(), PaperCell("elsewhere", "On JAFFE", SplitProtocol("jaffe", "whole"), run_of="official"))
    result = rows_of(run(study, only=["elsewhere"]))["elsewhere"]
    assert (result.status, result.why) == ("not run", "needs official, which was not run")
    run(study, only=["official"])
    shutil.rmtree(tmp_path / "out" / "runs")
    result = rows_of(run(study))["elsewhere"]
    assert (result.status, result.why) == ("not run", "needs the run of official, which is not in this folder")


def test_data_that_is_missing_is_said_of_a_test_of_a_run_too(run):
    elsewhere = PaperCell("elsewhere", "On CK+", SplitProtocol("ckplus", "whole"), run_of="official")
    assert rows_of(run(study_of(official(), elsewhere)))["elsewhere"].why == "data unavailable: ckplus"


def test_a_bundled_model_is_tested_and_started_from(run, recipes):
    (recipes / "tiny.yaml").write_text(
        "name: tiny\nnetwork: tiny\nweights: {source: bundled, preprocessing: own}\n"
        "transfer: {mode: bottleneck}\naugment: {flip: false}\nepochs: 2\nbatch: 16\n"
    )
    study = study_of(
        PaperCell("tested", "tiny on JAFFE", SplitProtocol("jaffe", "whole"), bundled="tiny"),
        PaperCell(
            "started", "from tiny", SplitProtocol("jaffe", "random", "six", folds=3), recipe="tiny", start="bundled"
        ),
    )
    found = rows_of(run(study))
    assert found["tested"].score.n == 213
    assert found["started"].training.rows + found["started"].training.chosen_rows < 183


def test_weights_that_are_missing_are_named_with_the_command(run, recipes):
    (recipes / "frozen.yaml").write_text(
        "name: frozen\nnetwork: squeezenet\nweights: {source: imagenet}\ntransfer: {mode: head}\n"
    )
    result = rows_of(run(study_of(PaperCell("frozen", "Frozen", recipe="frozen")), hours=None))["frozen"]
    assert (result.status, result.why, result.score, result.cost) == ("not run", NO_WEIGHTS, None, None)
    assert result.command == "mien reproduce 002 --only frozen --weights squeezenet=imagenet"


def test_what_was_not_run_yet_names_its_weights_too(run, recipes):
    (recipes / "frozen.yaml").write_text(
        "name: frozen\nnetwork: squeezenet\ntransfer: {mode: head}\n"
        "weights: {source: some features.safetensors, preprocessing: caffe}\n"
    )
    weights = {"squeezenet": GivenWeights("elsewhere.safetensors")}
    result = rows_of(run(study_of(PaperCell("frozen", "Frozen", recipe="frozen")), hours=0, weights=weights))["frozen"]
    assert result.why == NOT_YET
    assert result.command == "mien reproduce 002 --only frozen --weights squeezenet='some features.safetensors'"


def test_data_that_is_missing_is_said_or_an_error(run, tmp_path):
    study = study_of(official(), folded("persons", "persons"))
    said = []
    found = rows_of(run(study, root=tmp_path, say=said.append))
    assert [r.why for r in found.values()] == ["data unavailable: fer2013", "data unavailable: jaffe"]
    assert any("fer2013 is not there; looked for" in line for line in said)
    with pytest.raises(DatasetError, match=r"jaffe is not there; looked for .*MIEN_DATA"):
        run(study, root=tmp_path, only=["persons"])


def test_a_budget_of_nothing_counts_and_trains_nothing(run):
    found = rows_of(run(study_of(official(), PaperCell("counted", "Counted", recipe="drawn", counted=True)), hours=0))
    assert (found["official"].why, found["official"].score) == (NOT_YET, None)
    assert found["counted"].status == "counted"
    assert found["counted"].cost == COST
    assert run.fitted == []


def test_equal_cells_are_measured_once(run):
    study = study_of(official(), official("twin"))
    found = rows_of(run(study))
    assert found["twin"] == replace(found["official"], cell="twin")


def test_a_changed_recipe_is_measured_anew(run, recipes):
    study = study_of(official())
    first = rows_of(run(study))["official"]
    text = (recipes / "drawn.yaml").read_text()
    (recipes / "drawn.yaml").write_text(text.replace("rate: 1e-2", "rate: 1e-3") + "summary: Slower.\n")
    second = rows_of(run(study))["official"]
    assert first.signature != second.signature
    assert first.score != second.score
    (recipes / "drawn.yaml").write_text(text + "summary: Other words.\n")
    assert rows_of(run(study))["official"].signature == first.signature


def test_a_folder_and_a_file_hold_one_study(run, tmp_path, options):
    run(study_of(official()), hours=0)
    with pytest.raises(ConfigError, match="out holds study 002, not 003: give another --out"):
        reproduce(study_of(official(), name="003"), tmp_path / "out", tmp_path / "other.json", options, runner=Runner())
    with pytest.raises(ConfigError, match=r"results.json holds results of study 002, not of 003: give another --out"):
        reproduce(
            study_of(official(), name="003"),
            tmp_path / "new",
            tmp_path / "out" / "results.json",
            options,
            runner=Runner(),
        )
    with pytest.raises(ConfigError, match=r"holds quick results, these would be full ones"):
        run(study_of(official()), quick=False)


def test_an_unknown_cell_is_named(run):
    with pytest.raises(ConfigError, match="study 002 has no cell 'offical': did you mean 'official'"):
        run(study_of(official()), only=["offical"])


def test_a_damaged_results_file_is_named(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("{")
    with pytest.raises(ConfigError, match=r"results.json is not JSON .*reproduce"):
        run(study_of(official()))


def entry(**changes):
    made = {
        "time": "2026-01-01T00:00:00+00:00",
        "mien": "0.1.0",
        "model": "drawn",
        "identity": "a" * 64,
        "parameters": 54480,
        "dataset": "fer2013",
        "split": "private",
        "protocol": "single crop",
        "mirror": False,
        "n": 3589,
        "accuracy": 0.62,
        "accuracy_interval": [0.60, 0.64],
        "macro_f1": 0.55,
        "log_loss": 1.0,
        "expected_calibration_error": 0.02,
        "bootstrap_seed": 0,
        "accuracy_without_leaks": 0.61,
        "recipe": "drawn",
        "training_seed": 0,
    }
    return json.dumps(made | changes) + "\n"


def test_the_ledger_answers_for_an_unchanged_recipe(run, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    second = {"identity": "b" * 64, "accuracy": 0.64, "accuracy_interval": [0.62, 0.66], "accuracy_without_leaks": 0.63}
    ledger.write_text(
        entry() + entry(**second) + entry(mirror=True, accuracy=0.9) + entry(recipe="x", identity="c" * 64)
    )
    found = rows_of(run(study_of(official()), quick=False, known=(ledger,), root=tmp_path))["official"]
    assert found.score.accuracy == pytest.approx(0.63)
    assert found.score.accuracy_interval == pytest.approx((0.61, 0.65))
    assert found.score.accuracy_without_leaks == pytest.approx(0.62)
    assert (found.score.n, found.score.groups, found.source) == (7178, 3589, "ledger.jsonl: 2 runs")
    changed = official("changed", change={"epochs": 1})
    found = rows_of(run(study_of(changed), quick=False, known=(ledger,), root=tmp_path))["changed"]
    assert found.why == "data unavailable: fer2013"


def test_known_figures_come_from_known_kinds_of_files(run, tmp_path):
    (tmp_path / "figures.csv").write_text("")
    with pytest.raises(ConfigError, match=r"figures.csv: expected a ledger \(.jsonl\) or an occlusion study's"):
        run(study_of(official()), quick=False, known=(tmp_path / "figures.csv",))


def test_paper_004_shares_its_runs_with_the_occlusion_study(run, recipes, tmp_path, drawn_root):
    (recipes / "drawn.yaml").write_text(
        "name: drawn\nnetwork: resezap\ndata: {dataset: fer2013, train: train, validation: validation, labels: three}\n"
        "epochs: 2\nbatch: 16\n"
    )
    pooled = SplitProtocol("fer2013", "pooled", "three")
    study = study_of(
        *(PaperCell(c, c, pooled, recipe="drawn", condition=c) for c in ("none", "mouth")), shows=("vector",)
    )
    found = rows_of(run(study, weights={"vgg16": GivenWeights("imagenet")}))
    assert {path.name for path in (tmp_path / "out" / "runs" / "drawn").iterdir()} == {"none", "mouth"}
    assert found["none"].score.labels == ("angry", "happy", "neutral")
    assert found["none"].training.epochs == 2
    assert np.mean([c.recall for c in found["mouth"].score.classes]) == pytest.approx(found["mouth"].score.recall)


def test_paper_004_starts_from_a_pretraining_and_measures_anew_when_it_changes(run, recipes, tmp_path, drawn_root):
    data = "data: {dataset: fer2013, train: train, validation: validation"
    seven = f"name: seven\nnetwork: tiny\n{data}}}\nepochs: 1\nbatch: 16\n"
    (recipes / "seven.yaml").write_text(seven)
    (recipes / "frozen.yaml").write_text(
        f"name: frozen\nnetwork: tiny\n{data}, labels: three}}\nepochs: 1\nbatch: 16\naugment: {{flip: false}}\n"
        "weights: {source: pretraining}\ntransfer: {mode: bottleneck}\n"
    )
    pooled = SplitProtocol("fer2013", "pooled", "three")
    study = study_of(PaperCell("none", "none", pooled, recipe="frozen", condition="none", pretraining="seven"))
    found = rows_of(run(study))["none"]
    assert found.status == "measured"
    assert found.score.labels == ("angry", "happy", "neutral")
    assert (tmp_path / "out" / "runs" / "seven" / "run.json").exists()
    (recipes / "seven.yaml").write_text(seven.replace("name: seven", "name: seven\nsummary: In other words."))
    assert run.options.signature(study.cells[0]) == found.signature
    (recipes / "seven.yaml").write_text(seven.replace("batch: 16", "batch: 8"))
    assert run.options.signature(study.cells[0]) != found.signature


def test_a_pretraining_that_is_cut_short_cuts_its_cell(run, recipes):
    data = "data: {dataset: fer2013, train: train, validation: validation"
    (recipes / "seven.yaml").write_text(f"name: seven\nnetwork: tiny\n{data}}}\nepochs: 2\nbatch: 16\n")
    (recipes / "frozen.yaml").write_text(
        f"name: frozen\nnetwork: tiny\n{data}, labels: three}}\nepochs: 1\nbatch: 16\naugment: {{flip: false}}\n"
        "weights: {source: pretraining}\ntransfer: {mode: bottleneck}\n"
    )
    pooled = SplitProtocol("fer2013", "pooled", "three")
    study = study_of(PaperCell("none", "none", pooled, recipe="frozen", condition="none", pretraining="seven"))
    cut = rows_of(run(study, epochs=1))["none"]
    assert (cut.status, cut.epochs, cut.asked) == ("measured", 2, 3)
    whole = rows_of(run(study))["none"]
    assert (whole.epochs, whole.asked) == (1, None)
