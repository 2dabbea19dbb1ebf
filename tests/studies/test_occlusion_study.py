"""Paper 004's study: its parts, its tests, its tables; and on drawn faces, killed and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from explain.fakes import BrightMouth, faces
from mien.core.errors import ConfigError, DatasetError, LabelError, TrainingError
from mien.core.expression import FER2013, THREE, Expression
from mien.evaluation.regions import BANDS, cover
from mien.explain.occlusion import OPEN, score
from mien.studies import occlusion_study_report
from mien.studies.occlusion_study import (
    TRAINED,
    Arm,
    ArmNetwork,
    OcclusionStudy,
    check_recipes,
    further_regions,
    run_study,
    score_network,
)
from mien.studies.pooled_rows import (
    ALL,
    CONDITIONS,
    PAPER,
    describe,
    hold_folder,
    outside,
    pooled,
    recipe_under,
    under,
)
from mien.training.recipe import Recipe
from mien.training.run import Run
from mien.training.run_as_model import open_run
from mien.training.runner import Runner


def seven(n=400, seed=0):
    data = faces(n, labels=FER2013, seed=seed)
    data.images[300:310] = data.images[:10]
    data.indices[300:310] = data.indices[:10]
    return data


def test_rows_are_pooled_and_parted_anew():
    rows = pooled(seven(), seed=3)
    assert rows.labels == THREE
    whole = rows.counts
    for label, count in rows.split("test").counts.items():
        assert count == pytest.approx(0.3 * whole[label], abs=1)
    left = len(rows) - len(rows.split("test"))
    assert len(rows.split("validation")) == pytest.approx(0.1 * left, abs=2)
    protocol = describe(rows, seed=3)
    assert protocol.fitted_rows + protocol.chosen_rows + protocol.tested_rows == len(rows)
    others = {row.tobytes() for row in rows.images[rows.splits != "test"]}
    assert protocol.leaked_rows == sum(row.tobytes() in others for row in rows.split("test").images)
    assert protocol.leaked_rows > 0
    assert np.array_equal(pooled(seven(), seed=3).splits, rows.splits)
    assert not np.array_equal(pooled(seven(), seed=4).splits, rows.splits)


def test_a_pretraining_sees_nothing_that_is_reported():
    data = seven()
    rows = pooled(data, seed=3)
    found = outside(data, rows, seed=3)
    tested = {row.tobytes() for row in rows.split("test").images}
    assert not tested & {row.tobytes() for row in found.images}
    copies = sum(row.tobytes() in tested for row in data.images) - len(rows.split("test"))
    assert copies > 0
    assert len(found) == len(data) - len(rows.split("test")) - copies
    assert found.labels == FER2013
    assert set(found.splits) == {"train", "validation"}
    chosen = set(found.split("validation").rows)
    assert {row for row in rows.split("validation").rows if row in set(found.rows)} <= chosen
    assert not chosen & set(rows.split("train").rows)
    others = found.take(~np.isin(found.rows, rows.rows))
    assert len(others.split("validation")) == pytest.approx(0.1 * len(others), abs=3)


def test_a_dataset_without_the_three_is_refused():
    data = seven()
    with pytest.raises(DatasetError, match="fewer than ten rows of happy"):
        pooled(data.take(data.indices != FER2013.index(Expression.HAPPY)), seed=0)
    foreign = replace(data.take(data.indices < 2), labels=(Expression.DISGUST, Expression.FEAR))
    with pytest.raises(LabelError, match="no class of"):
        pooled(foreign, seed=0)


def test_each_condition_covers_and_all_are_all():
    rows = pooled(seven(), seed=0).split("train")
    for condition in CONDITIONS:
        seen = under(rows, condition)
        assert np.array_equal(seen.images, cover(rows.images, BANDS.get(condition), rows=rows.rows))
    every = under(rows, ALL)
    assert np.array_equal(every.images, np.concatenate([under(rows, c).images for c in CONDITIONS]))
    assert np.array_equal(every.indices, np.tile(rows.indices, 4))
    assert [recipe_under(Recipe("a", "tiny", epochs=20), c).epochs for c in TRAINED] == [20, 20, 20, 20, 5]


def answer_of(trained, rows):
    """The answers of a network that sees the band of its own row, and the wrong class where that is covered."""

    def answer(hidden, fill):
        top = 0 if trained == "mouth" else 30
        return BrightMouth(top=top).logits(cover(rows.images, hidden, fill=fill, rows=rows.rows))

    return answer


def hits_of(trained, rows, hidden=None, fill="noise"):
    return answer_of(trained, rows)(hidden, fill).argmax(1) == rows.indices


def arm_of(data, **changes):
    tested = data.split("test")
    shared = {
        "reference": hits_of(OPEN, tested),
        "extra": further_regions(),
        "leaked": np.zeros(len(tested), dtype=bool),
        "seed": 0,
    }
    found = tuple(
        test for trained in TRAINED for test in score_network(answer_of(trained, tested), trained, tested, **shared)
    )
    facts = {
        "name": "occlusion-made",
        "summary": "Made up",
        "network": "made",
        "input_size": 48,
        "trained_values": 3,
        "values": 3,
        "seed": 0,
        "device": "paper",
        "networks": tuple(ArmNetwork(c, 10, 2, 1, 0.5, 1.0) for c in TRAINED),
    }
    return Arm(**facts | changes, tests=found)


def test_every_network_is_tested_under_every_condition():
    rows = pooled(seven(), seed=0)
    arm = arm_of(rows)
    tested = rows.split("test")
    reference = hits_of(OPEN, tested)
    for trained in TRAINED:
        for condition in CONDITIONS:
            name = OPEN if condition == OPEN else BANDS[condition].name
            scores = arm.scores(trained, name)
            hits = hits_of(trained, tested, BANDS.get(condition))
            assert scores.accuracy == pytest.approx(hits.mean())
            assert scores == score(
                hits,
                reference,
                tested,
                region=name,
                fill=None if condition == OPEN else "noise",
                leaked=np.zeros(len(hits), dtype=bool),
            )
    # open and all: noise and grey; the others: noise, and grey on their own band alone
    assert len(arm.tests) == 2 * 7 + 3 * 5 + 3 * len(further_regions())
    assert arm.scores("nose", "nose band", "grey").fill == "grey"
    with pytest.raises(KeyError, match="not tested under mask"):
        arm.scores("eyes", "mask")


def test_a_study_is_written_read_and_drawn(tmp_path):
    rows = pooled(seven(), seed=0)
    study = OcclusionStudy(
        describe(rows, seed=0), PAPER, (arm_of(rows), arm_of(rows, name="other")), "now", {"python": "3"}
    )
    study.write(tmp_path / "study.json")
    assert OcclusionStudy.read(tmp_path / "study.json") == study
    files = occlusion_study_report.write(study, tmp_path)
    assert files[0].name == "study.html"
    for path in files:
        assert path.stat().st_size > 5000
    sheet = files[0].read_text()
    for table in occlusion_study_report.tables(study):
        assert all(cell in sheet for row in table.rows for cell in row)
        assert table.markdown.count("\n") == len(table.rows) + 1
    own = occlusion_study_report.own_table(study)
    assert [row[1] for row in own.rows] == ["74.20", "72.01", "70.21", "52.10"]  # as printed in paper 004
    with pytest.raises(ConfigError, match="'mien occlusion study' makes one"):
        OcclusionStudy.read(tmp_path / "none.json")


def test_a_folder_holds_one_protocol(tmp_path):
    rows = pooled(seven(), seed=0)
    hold_folder(tmp_path / "runs", describe(rows, seed=0))
    hold_folder(tmp_path / "runs", describe(rows, seed=0))
    with pytest.raises(TrainingError, match="a study of other rows or another seed"):
        hold_folder(tmp_path / "runs", describe(pooled(seven(), seed=1), seed=1))


@pytest.fixture
def recipe(face_folder, tmp_path):
    path = tmp_path / "drawn.yaml"
    path.write_text(
        "name: drawn\nnetwork: resezap\nsummary: Drawn.\nepochs: 4\nbatch: 16\n"
        f"data: {{dataset: {face_folder}, train: train, validation: validation, labels: three}}\n"
    )
    return path


def test_recipes_that_do_not_fit_are_refused(recipe, tmp_path):

    good = Recipe.read(recipe)
    for wrong, message in (
        ([], "needs a recipe"),
        ([good, good], "have one name"),
        ([good.override({"data.labels": "six"})], "set data.labels to 'three'"),
        ([good, good.override({"name": "b", "data.dataset": "fer2013"})], "names another dataset"),
        ([good.override({"data.limit": 50})], "data.limit has no meaning"),
    ):
        with pytest.raises(ConfigError, match=message):
            run_study(wrong, tmp_path / "runs", tmp_path / "study.json", runner=Runner())


def test_a_pretraining_that_does_not_fit_is_refused(recipe, tmp_path):

    good = Recipe.read(recipe)
    starting = good.override({"weights.source": "pretraining"})
    seven = good.override({"name": "seven", "data.labels": None})
    for recipes, pretraining, message in (
        ([starting], None, "name its recipe with --pretraining"),
        ([good], seven, "no recipe starts from 'seven'"),
        ([starting], seven.override({"name": "drawn"}), "have one name"),
        ([starting], seven.override({"data.labels": "six"}), "leave data.labels out"),
        ([starting], seven.override({"network": "tiny"}), "both need the same network"),
        ([starting], seven.override({"data.dataset": "fer2013"}), "names another dataset"),
    ):
        with pytest.raises(ConfigError, match=message):
            run_study(recipes, tmp_path / "runs", tmp_path / "s.json", pretraining=pretraining, runner=Runner())


def test_a_pretrained_network_stays_frozen_under_its_new_head(face_folder, tmp_path):
    import torch

    data = f"data: {{dataset: {face_folder}, train: train, validation: validation"
    common = "network: tiny\nepochs: 1\nbatch: 16\n"
    (tmp_path / "seven.yaml").write_text(f"name: seven\n{common}{data}}}\n")
    (tmp_path / "frozen.yaml").write_text(
        f"name: frozen\n{common}{data}, labels: three}}\naugment: {{flip: false}}\n"
        "weights: {source: pretraining}\ntransfer: {mode: bottleneck}\n"
    )
    frozen, seven = (Recipe.read(tmp_path / f"{name}.yaml") for name in ("frozen", "seven"))
    said = []
    for _ in range(2):
        runner = Runner(threads=1, say=said.append)
        study = run_study([frozen], tmp_path / "runs", tmp_path / "s.json", pretraining=seven, runner=runner)
    assert sum(line.startswith("seven: 1 epochs") for line in said) == 1  # trained once, then taken as it is
    first = open_run(tmp_path / "runs" / "seven")
    then = open_run(tmp_path / "runs" / "frozen" / "mouth")
    assert (len(first.labels), len(then.labels)) == (7, 3)
    before, after = first.graph.body.state_dict(), then.graph.body.state_dict()
    heads = [name for name in before if before[name].shape != after[name].shape]
    assert len(heads) == 2
    assert all(torch.equal(before[name], after[name]) for name in before if name not in heads)
    assert study.arms[0].trained_values == sum(after[name].numel() for name in heads)
    rows = Run.read(tmp_path / "runs" / "seven").rows
    assert rows > Run.read(tmp_path / "runs" / "frozen" / "none").rows


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_result(recipe, tmp_path):
    def command(out):
        return [
            sys.executable, "-m", "mien", "occlusion", "study", str(recipe), "--out", str(out), "--threads", "1"
        ]  # fmt: skip

    process = subprocess.Popen(command(tmp_path / "killed"), env=dict(os.environ), stderr=subprocess.DEVNULL)
    second = tmp_path / "killed" / "drawn" / "eyes" / "run.json"
    for _ in range(2400):
        assert process.poll() is None, "the study ended before it could be stopped"
        if second.exists() and json.loads(second.read_text()).get("history"):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = [
        subprocess.run(command(tmp_path / out), capture_output=True, text=True, check=False)
        for out in ("killed", "whole")
    ]
    assert [d.returncode for d in done] == [0, 0], done[0].stderr
    assert "drawn-none: 4 epochs" not in done[0].stderr  # it was whole when the study was killed
    assert "drawn-none: 4 epochs" in done[1].stderr
    killed, whole = (OcclusionStudy.read(tmp_path / out / "occlusion.json") for out in ("killed", "whole"))
    assert [t.scores for t in killed.arms[0].tests] == [t.scores for t in whole.arms[0].tests]
    assert killed.arms[0].networks[0].epochs == 4
    assert killed.arms[0].networks[-1].epochs == 1
    assert (tmp_path / "whole" / "study.html").exists()


@pytest.mark.slow
def test_a_frozen_network_learns_its_head_alone_and_computes_features_once(face_folder, tmp_path, monkeypatch):
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    import torch

    from mien.models.registry import build

    torch.manual_seed(0)
    weights = tmp_path / "weights.pt"
    torch.save(build("squeezenet", 1000).state_dict(), weights)
    path = tmp_path / "frozen.yaml"
    path.write_text(
        "name: frozen\nnetwork: squeezenet\nsummary: Frozen.\nepochs: 4\nbatch: 16\naugment: {flip: false}\n"
        f"weights: {{source: {weights}, preprocessing: caffe}}\ntransfer: {{mode: bottleneck}}\n"
        f"data: {{dataset: {face_folder}, train: train, validation: validation, labels: three}}\n"
    )
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    study = run_study([Recipe.read(path)], tmp_path / "runs", tmp_path / "s.json", runner=Runner())
    (arm,) = study.arms
    assert arm.trained_values == 512 * 3 + 3
    assert arm.values == 722_496 + 512 * 3 + 3
    assert (
        len(list((tmp_path / "cache" / "features").iterdir())) == 2 * 5 + 7
    )  # two parts for each network; seven covers of the test rows, shared by all networks
    assert len(arm.tests) == 2 * 7 + 3 * 5
    rows = pooled_of(face_folder)
    tested = rows.split("test")
    crops = cover(tested.images, BANDS["mouth"], rows=tested.rows)
    alone = open_run(tmp_path / "runs" / "frozen" / "eyes").logits(crops).argmax(1)
    assert arm.scores("eyes", "mouth band").accuracy == pytest.approx((alone == tested.indices).mean())


def pooled_of(folder):
    from mien.core.preprocess import InputSpec
    from mien.data.load import load_dataset

    return pooled(load_dataset(folder, InputSpec()), seed=0)


def test_the_committed_study_is_whole_and_the_document_tells_it():
    root = Path(__file__).parents[2]
    study = OcclusionStudy.read(root / "results" / "occlusion.json")
    protocol = study.protocol
    assert protocol.counts == {"angry": 4953, "happy": 8989, "neutral": 6198}  # paper 004, section 2
    assert protocol.fitted_rows + protocol.chosen_rows + protocol.tested_rows == 20_140
    assert protocol.tested_rows == round(0.3 * 20_140)
    for arm in study.arms:
        assert [network.condition for network in arm.networks] == list(TRAINED)
        for test in arm.tests:
            scores = test.scores
            assert scores.n == sum(loss.n for loss in scores.classes) == protocol.tested_rows
            assert scores.n_without_leaks == protocol.tested_rows - protocol.leaked_rows
            assert scores.accuracy == pytest.approx(sum(c.n * c.recall for c in scores.classes) / scores.n)
            assert scores.accuracy_interval[0] < scores.accuracy < scores.accuracy_interval[1]
    assert occlusion_study_report.markdown(study) in (root / "docs" / "occlusion.md").read_text(encoding="utf-8")


def test_the_committed_recipes_fit_the_study():

    found = {path.stem: Recipe.read(path) for path in (Path(__file__).parents[2] / "recipes").glob("occlusion-*.yaml")}
    seven = found.pop("occlusion-seven")
    check_recipes(list(found.values()), seven)
    with pytest.raises(ConfigError, match="'occlusion-pretrained' starts from a pretraining"):
        check_recipes(list(found.values()))
