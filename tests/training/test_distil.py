"""Learning from other runs and from the crowd: the losses are the papers', the targets are exact, runs resume."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from mien.core.errors import ConfigError, DatasetError, TrainingError
from mien.core.expression import FER2013, FERPLUS, FERPLUS_COLUMNS
from mien.core.fitted import Folds
from mien.core.predictor import softmax
from mien.core.preprocess import InputSpec
from mien.core.schema import from_mapping
from mien.data.dataset import Dataset, text_column
from mien.data.folds import in_folds
from mien.data.load import load_dataset
from mien.models.network import Normalised, as_crops, as_planes
from mien.models.registry import build
from mien.runtime.inference.library import open_model
from mien.training import distil, recipe_data
from mien.training.distil import distillation_loss, open_teachers
from mien.training.fit import fit, train
from mien.training.loop import Learner, fabric_for, loss_of
from mien.training.recipe import Augmentation, Crop, DataConfig, Distil, Optimiser, Progressive, Recipe
from mien.training.run import Run
from mien.training.run_as_model import beside_labels, open_run, provenance_of
from mien.training.workers import Workers


@pytest.fixture
def recipe(few):
    return Recipe(
        name="pupil",
        network="gate",
        data=few,
        augment=Augmentation(rotation=5, shift=0.03, erase=0.2),
        optimiser=Optimiser(rate=1e-2),
        epochs=3,
        batch=20,
        averaging=0.9,
    )


@pytest.fixture(scope="module")
def teachers(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teachers")
    for seed in (0, 1):
        settings = Recipe("teacher", "gate", data=drawn, optimiser=Optimiser(rate=1e-2), epochs=1, batch=20)
        train(replace(settings, seed=seed), folder / str(seed))
    return tuple(str(folder / str(seed)) for seed in (0, 1))


def test_the_loss_is_hintons():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
    t = 3.0
    p = np.exp(teacher / t) / np.exp(teacher / t).sum(1, keepdims=True)
    q = np.exp(student / t) / np.exp(student / t).sum(1, keepdims=True)
    expected = t**2 * (p * np.log(p / q)).sum(1).mean()
    found = distillation_loss(torch.tensor(student), torch.tensor(p), t)
    assert found.item() == pytest.approx(expected)


def test_its_gradient_tends_to_that_of_matched_logits():
    """Section 2.1 of Hinton et al.: at a high T, with centred logits, T^2 dC/dz_i tends to (z_i - v_i) / K."""
    torch.manual_seed(0)
    z, v = (x - x.mean(1, keepdim=True) for x in torch.randn(2, 4, 7, dtype=torch.float64))
    z.requires_grad_()
    distillation_loss(z, functional.softmax(v / 500, 1), 500.0).backward()
    torch.testing.assert_close(z.grad, (z.detach() - v) / 7 / 4, atol=1e-3, rtol=0)


def test_answers_are_the_mean_of_the_teachers(recipe, teachers):
    spec = InputSpec(mean=(129.47,), std=(65.03,))
    panel = open_teachers(Distil(teachers, temperature=2.0), FER2013, spec)
    images = load_dataset(recipe.data.dataset, spec).split("test").images[:9]
    expected = np.mean([softmax(open_run(folder).logits(images), 2.0) for folder in map(path, teachers)], axis=0)
    np.testing.assert_allclose(panel.answers(as_planes(torch.tensor(images))), expected, atol=1e-6)
    flipped = np.ascontiguousarray(images[:, :, ::-1])
    both = (panel.answers(as_planes(torch.tensor(images))) + panel.answers(as_planes(torch.tensor(flipped)))) / 2
    torch.testing.assert_close(panel.cached(images), both)
    assert len(set(panel.identities)) == 2


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_exported_models_teach_as_they_read(recipe, name):
    """Those in eight bits too, which answer otherwise where they are rebuilt in torch."""
    crops = load_dataset(recipe.data.dataset, InputSpec()).images[:9]
    shown = open_model(name)
    panel = open_teachers(Distil((name,), temperature=2.0), FER2013, shown.input)
    planes = as_planes(torch.tensor(crops))
    np.testing.assert_allclose(panel.answers(planes), softmax(shown.logits(crops), 2.0), atol=1e-6)
    assert panel.answers(planes[..., :24, :24]).shape == (9, 7)  # progressive training shows small ones


def test_crops_and_planes_are_the_same_pictures():
    rng = np.random.default_rng(0)
    for shape in ((3, 8, 8), (3, 8, 8, 3)):
        crops = rng.integers(0, 256, shape, dtype=np.uint8)
        planes = as_planes(torch.tensor(crops))
        np.testing.assert_array_equal(as_crops(planes), crops)
        np.testing.assert_array_equal(as_crops(planes * 3 - 200 + 0.4), np.clip(crops * 3.0 - 200, 0, 255))


def test_a_run_that_an_exported_model_taught_says_so(recipe, tmp_path):
    shown = open_model("tiny")
    panel = open_teachers(Distil(("tiny",), temperature=2.0), FER2013, shown.input)
    run = train(replace(recipe, epochs=1, distil=Distil(("tiny",), answers="cached")), tmp_path / "taught")
    assert run.teachers == panel.identities
    assert run.fitted_before == shown.seen
    assert beside_labels(run) == "; learnt from another model (tiny)"


def path(text):
    from pathlib import Path

    return Path(text)


def test_cached_answers_are_computed_once(recipe, teachers, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    asked = []
    original = distil.Teachers.answers
    monkeypatch.setattr(distil.Teachers, "answers", lambda self, planes: asked.append(1) or original(self, planes))
    settings = replace(recipe, epochs=1, distil=Distil(teachers[:1], answers="cached"))
    train(settings, tmp_path / "run")
    once = len(asked)
    assert once == 2  # the faces and their mirror images, in one chunk
    train(replace(settings, seed=1), tmp_path / "again")
    assert len(asked) == once
    train(replace(settings, distil=Distil(teachers[1:], answers="cached")), tmp_path / "other")
    assert len(asked) == 2 * once


@pytest.mark.parametrize("answers", ["batch", "cached"])
def test_a_pupil_resumes_to_the_same_bits(recipe, teachers, tmp_path, answers):
    settings = replace(
        recipe, distil=Distil(teachers, answers=answers), progressive=Progressive(size=32, until=0.5), smoothing=0.1
    )
    train(settings, tmp_path / "whole")

    def stop(run):
        if len(run.history) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "stopped", on_epoch=stop)
    assert Run.read(tmp_path / "stopped").status == "running"
    train(settings, tmp_path / "stopped")
    one, other = (load_file(tmp_path / name / "best.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    states = [torch.load(tmp_path / n / "last.ckpt", weights_only=True)["state_dict"] for n in ("whole", "stopped")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not any("teacher" in name for name in states[0])


def test_teachers_change_what_is_learnt_and_are_named(recipe, teachers, tmp_path):
    run = train(replace(recipe, distil=Distil(teachers)), tmp_path / "taught")
    alone = train(recipe, tmp_path / "alone")
    assert run.history[0].train_loss != alone.history[0].train_loss
    assert len(run.teachers) == 2
    assert beside_labels(run) == "; learnt from 2 other models (0, 1)"
    replace(run, status="running", teachers=("0" * 64, "1" * 64)).write(tmp_path / "taught")
    with pytest.raises(TrainingError, match="weights or teachers it began with have changed"):
        train(replace(recipe, distil=Distil(teachers)), tmp_path / "taught")


def test_teachers_see_a_picture_before_it_is_made_poor(recipe):
    class Asked:
        def answers(self, planes):
            self.planes = planes
            return torch.full((len(planes), 7), 1 / 7)

    data = replace(tiny_dataset(), images=np.full((14, 48, 48), 200, dtype=np.uint8))
    graph = Normalised(build("tiny"), InputSpec(mean=(0.0,), std=(1.0,)))
    read = []
    graph.body.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    settings = replace(
        recipe, augment=Augmentation(flip=False, degrade=1.0), averaging=None, distil=Distil(("runs/a",))
    )
    learner = Learner(settings, graph, data, data, fabric_for(Workers(), "fp32"), teachers=(teacher := Asked()))
    learner.begin(0)
    learner.step(next(iter(learner.batches(0))))
    assert (teacher.planes == 200).all()
    means = read[0].mean((1, 2, 3))
    assert 2 <= (means < 195).sum() < 14  # the darkened ones; blur leaves an even picture as it was


def test_mixed_pictures_are_what_is_seen_asked_about_and_answered(recipe):
    """Picture i has its one bright pixel at place i: what the network sees tells how the batch was mixed."""

    class Asked:
        def answers(self, planes):
            self.planes = planes
            return torch.softmax(planes[:, 0, 0, :7] / 50, 1)

    data = tiny_dataset(votes=np.random.default_rng(0).dirichlet(np.ones(7), 14).astype(np.float32))
    pictures = np.zeros((14, 48, 48), np.uint8)
    pictures[range(14), 0, range(14)] = 255
    data = replace(data, images=pictures)
    graph = Normalised(build("gate"), InputSpec(mean=(0.0,), std=(1.0,)))
    passed = []
    graph.body.register_forward_hook(lambda _, given, said: passed.append((given[0].detach(), said.detach())))
    mixed = Augmentation(flip=False, mixup=1.0)
    taught = Distil(("runs/a",), temperature=1.0, weight=0.5)
    settings = replace(recipe, batch=14, augment=mixed, averaging=None, votes=0.3, distil=taught)
    learner = Learner(settings, graph, data, data, fabric_for(Workers(), "fp32"), teachers=(teacher := Asked()))
    learner.begin(0)
    loss, right = learner.step(next(iter(learner.batches(0))))

    ((seen, logits),) = passed
    shares = seen[:, 0, 0, :14].numpy() / 255
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    assert 2 <= len(np.unique(shares.round(5))) <= 4  # none, one's own, the other's, and both where a row met itself
    assert torch.equal(teacher.planes, seen)
    labels = np.eye(7)[data.indices]
    log_q = functional.log_softmax(logits, 1).numpy()
    answers = teacher.answers(teacher.planes).numpy()
    divergence = (answers * (np.log(answers) - log_q)).sum(1).mean()
    entropy = -(shares @ (0.7 * labels + 0.3 * data.votes) * log_q).sum(1).mean()
    assert loss.item() == pytest.approx(0.5 * entropy + 0.5 * divergence, rel=1e-4)
    assert right.item() == pytest.approx((shares @ labels)[range(14), log_q.argmax(1)].sum(), rel=1e-4)


def test_a_pupil_of_its_teachers_alone_copies_them(recipe, teachers, tmp_path):
    """With weight 1 the labels play no part: shuffled ones give the same weights."""
    spec = InputSpec(mean=(129.47,), std=(65.03,))
    data = load_dataset(recipe.data.dataset, spec)
    fitted, chosen = data.split("train"), data.split("validation")
    wrong = replace(fitted, indices=np.roll(fitted.indices, 17))
    settings = replace(recipe, epochs=1, distil=Distil(teachers, weight=1.0))
    fit(settings, tmp_path / "right", fitted, chosen)
    fit(settings, tmp_path / "wrong", wrong, chosen)
    one, other = (load_file(tmp_path / name / "best.safetensors") for name in ("right", "wrong"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_unfit_teachers_are_refused(recipe, teachers, tmp_path):
    taught = replace(recipe, distil=Distil(teachers[:1]))
    with pytest.raises(TrainingError, match="there is no run in such a folder and no exported model"):
        train(replace(recipe, distil=Distil(("nowhere",))), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"gives angry, disgust, .* the run"):
        train(replace(taught, data=replace(recipe.data, labels="three")), tmp_path / "run")
    with pytest.raises(TrainingError, match="takes crops of"):
        train(replace(taught, input=Crop(illumination="equalise")), tmp_path / "run")
    train(replace(recipe, epochs=1), tmp_path / "young")
    replace(Run.read(tmp_path / "young"), status="running").write(tmp_path / "young")
    with pytest.raises(TrainingError, match="is still in training"):
        train(replace(recipe, distil=Distil((str(tmp_path / "young"),))), tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teachers": []}, "teachers must name one run or exported model at least"),
        ({"teachers": ["a", "a"]}, "each once"),
        ({"teachers": ["a"], "temperature": 0}, "temperature must be above 0"),
        ({"teachers": ["a"], "weight": 0}, "weight above 0 to 1"),
        ({"teachers": ["a"], "answers": "online"}, "'online' is not one of them"),
        ({}, "the key 'teachers' is missing"),
    ],
)
def test_contradictory_distillation_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Distil, settings, "distil")


def tiny_dataset(name="fer2013", n=14, labels=FER2013, votes=None):
    rng = np.random.default_rng(0)
    return Dataset(
        name=name,
        images=rng.integers(0, 256, (n, 48, 48), dtype=np.uint8),
        indices=np.arange(n) % len(labels),
        labels=labels,
        splits=text_column(["train"] * n),
        rows=np.arange(n) * 2,
        licence="",
        votes=votes,
    )


@pytest.fixture
def crowd(monkeypatch):
    """FER+ with votes for rows 4 and 0 of :func:`tiny_dataset`, and for row 99, which is not there."""
    soft = np.full((3, 8), 0.5 / 7, dtype=np.float32)
    soft[np.arange(3), [0, 1, 2]] = 0.5
    crowd = tiny_dataset("ferplus", n=3, labels=FERPLUS, votes=soft)
    images = np.concatenate([tiny_dataset().images[[2, 0]], crowd.images[2:]])
    crowd = replace(crowd, images=images, indices=np.array([0, 1, 2]), rows=np.array([4, 0, 99]))
    monkeypatch.setattr(recipe_data, "load_dataset", lambda *_, **__: crowd)
    return crowd


def test_votes_of_ferplus_are_joined_by_row(crowd):
    faces, soft = tiny_dataset(), crowd.votes
    found = recipe_data.with_votes(faces, InputSpec(), None).votes
    expected = np.eye(7, dtype=np.float32)[faces.indices]
    without = [FERPLUS.index(label) for label in FER2013]
    for place, row in ((2, 0), (0, 1)):  # rows 4 and 0 of the file; row 99 is not here
        expected[place] = soft[row, without] / soft[row, without].sum()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pictures_that_only_have_the_name_of_fer2013_get_no_votes(crowd):
    faces = tiny_dataset()
    strangers = (
        replace(faces, images=255 - faces.images),
        replace(faces, images=np.roll(faces.images, 1, axis=0)),  # Kaggle's folders: the pictures in another order
        replace(faces, rows=faces.rows + 100),
    )
    for other in strangers:
        with pytest.raises(TrainingError, match=r"FER\+ has them for the rows of the published fer2013\.csv alone"):
            recipe_data.with_votes(other, InputSpec(), None)


def test_own_votes_are_taken_and_none_are_invented():
    votes = np.eye(7, dtype=np.float32)[np.zeros(14, dtype=int)]
    own = tiny_dataset("mine", votes=votes)
    assert recipe_data.with_votes(own, InputSpec(), None) is own
    with pytest.raises(TrainingError, match="mine has no crowd votes"):
        recipe_data.with_votes(tiny_dataset("mine"), InputSpec(), None)


def test_votes_are_their_share_of_the_loss(recipe):
    rng = np.random.default_rng(1)
    votes = rng.dirichlet(np.ones(7), 14).astype(np.float32)
    data = tiny_dataset(votes=votes)
    logits = torch.randn(14, 7, generator=torch.Generator().manual_seed(0))
    targets = {"indices": torch.tensor(data.indices), "votes": torch.tensor(votes)}
    log_q = functional.log_softmax(logits, 1).numpy()
    mixed = 0.7 * np.eye(7)[data.indices] + 0.3 * votes
    assert loss_of(replace(recipe, votes=0.3), logits, targets).item() == pytest.approx(
        -(mixed * log_q).sum(1).mean(), rel=1e-5
    )


@pytest.mark.parametrize("read", ["given", "labels"])
def test_votes_are_named_as_extra_labels(recipe, tmp_path, monkeypatch, read):
    original = recipe_data.load_dataset

    def with_votes(*arguments, **options):
        data = original(*arguments, **options)
        return replace(data, votes=np.eye(7, dtype=np.float32)[data.indices])

    monkeypatch.setattr(recipe_data, "load_dataset", with_votes)
    monkeypatch.setattr(recipe_data, "load_votes", lambda _: None)
    monkeypatch.setattr(recipe_data, "translate_votes", lambda data, *_: data)
    run = train(replace(recipe, epochs=1, votes=0.5, votes_as=read), tmp_path / "run")
    how = ", read as FER2013's labels," if read == "labels" else ""
    said = provenance_of(run, "faces").trained_on
    assert said.startswith("faces: fitted on 40 rows of train, chosen on 56 of validation; ")
    assert f"extra labels: crowd votes of FER+{how} are 50% of the targets" in said


def habits():
    """FER2013's rows 0, 2, 4 …, of which the crowd calls two kinds alike, and votes for all rows of the file.

    What eight voters call neutral and two sad is sad by its label; what all ten call neutral is neutral.
    """
    faces = tiny_dataset(n=140)
    indices = faces.indices
    table = np.zeros((300, 10), dtype=np.int64)
    columns = [FERPLUS_COLUMNS.index(name) for name in ("anger", "disgust", "fear", "happiness")]
    columns += [FERPLUS_COLUMNS.index(name) for name in ("neutral", "surprise", "neutral")]
    table[faces.rows, np.array(columns)[indices]] = 10
    sad = faces.rows[indices == FER2013.index("sad")]
    table[sad, FERPLUS_COLUMNS.index("neutral")] = 8
    table[sad, FERPLUS_COLUMNS.index("sadness")] = 2
    splits = text_column(["train"] * 70 + ["public"] * 70)
    return replace(faces, splits=splits, votes=np.eye(7, dtype=np.float32)[indices]), table


def test_votes_are_translated_into_the_label_that_goes_with_them():
    faces, table = habits()
    found = recipe_data.translate_votes(faces, "train", table).votes
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert np.array_equal(found.argmax(1), faces.indices)


def test_a_translation_knows_the_training_labels_alone():
    faces, table = habits()
    expected = recipe_data.translate_votes(faces, "train", table).votes
    other = faces.indices.copy()
    other[faces.splits == "public"] = 0
    assert np.array_equal(recipe_data.translate_votes(replace(faces, indices=other), "train", table).votes, expected)
    other[faces.splits == "train"] = np.roll(faces.indices[faces.splits == "train"], 1)
    assert not np.allclose(recipe_data.translate_votes(replace(faces, indices=other), "train", table).votes, expected)


def test_votes_of_others_are_not_translated():
    faces, table = habits()
    with pytest.raises(TrainingError, match=r"is for FER\+'s votes on fer2013, not for ferplus: leave it out"):
        recipe_data.translate_votes(replace(faces, name="ferplus"), "train", table)
    without = np.where(faces.splits == "train", faces.indices.clip(1), faces.indices)
    with pytest.raises(TrainingError, match="the split 'train' of fer2013 has no picture of angry"):
        recipe_data.translate_votes(replace(faces, indices=without), "train", table)
    with pytest.raises(DatasetError, match="fer2013 has no split 'trian': did you mean 'train'"):
        recipe_data.translate_votes(faces, "trian", table)


def test_a_recipe_translates_votes_after_its_folds(recipe, monkeypatch):
    faces, table = habits()
    monkeypatch.setattr(recipe_data, "load_dataset", lambda *_, **__: faces)
    monkeypatch.setattr(recipe_data, "load_votes", lambda _: table)
    folds = Folds(count=4, apart="picture")
    settings = replace(recipe, votes=0.5, votes_as="labels", data=DataConfig(folds=folds, validation="validation"))
    found = recipe_data.load_rows(settings, InputSpec(), None)
    expected = recipe_data.translate_votes(in_folds(faces, folds), "train", table)
    assert np.array_equal(found.votes, expected.votes)
    assert found.folds == folds
    given = recipe_data.load_rows(replace(settings, votes_as="given"), InputSpec(), None)
    assert np.array_equal(given.votes, faces.votes)
    with pytest.raises(ConfigError, match="votes_as is 'labels' and there are no votes"):
        recipe.override({"votes_as": "labels"})


@pytest.mark.real_data
def test_the_real_votes_foretell_labels_better_once_translated():
    root = os.environ.get("MIEN_DATA")
    if root is None or not (path(root) / "fer2013" / "fer2013new.csv").is_file():
        pytest.skip("MIEN_DATA names no folder with fer2013/fer2013new.csv")
    faces = load_dataset("fer2013", InputSpec(), root=path(root))
    given = recipe_data.with_votes(faces, InputSpec(), path(root))
    table = recipe_data.load_votes(path(root))
    assert table.shape == (35_887, 10)
    neutral = faces.indices[table[:, FERPLUS_COLUMNS.index("neutral")] > 5]
    assert (neutral == FER2013.index("sad")).mean() > 0.2  # the habit that docs/networks.md names
    third = (faces.splits != "train") | (np.arange(len(faces)) % 3 == 0)  # minutes on all
    faces, given = faces.take(third), given.take(third)
    translated = recipe_data.translate_votes(given, "train", table)
    public, losses = faces.splits == "public", []
    for soft in (given.votes, translated.votes):
        truth = soft[public, faces.indices[public]]
        losses.append(-np.log(truth.clip(1e-6)).mean())
    assert losses[1] < 0.9 < losses[0]
    right = (translated.votes.argmax(1) == faces.indices)[public].mean()
    assert 0.66 < right < 0.69


@pytest.mark.real_data
def test_the_real_votes_fall_on_the_rows_that_ferplus_kept():
    root = os.environ.get("MIEN_DATA")
    if root is None or not (path(root) / "fer2013" / "fer2013new.csv").is_file():
        pytest.skip("MIEN_DATA names no folder with fer2013/fer2013new.csv")
    spec = InputSpec()
    faces = load_dataset("fer2013", spec, root=path(root))
    crowd = load_dataset("ferplus", spec, root=path(root))
    joined = recipe_data.with_votes(faces, spec, path(root))
    certain = np.eye(7, dtype=np.float32)[faces.indices]
    differs = (joined.votes != certain).any(1)
    assert len(crowd) == 25_060 + 3_199 + 3_153
    assert set(faces.rows[differs]) <= set(crowd.rows)
    place = {row: index for index, row in enumerate(faces.rows.tolist())}
    here = [place[row] for row in crowd.relabel(FER2013).rows.tolist()]
    assert np.array_equal(joined.votes[here], crowd.relabel(FER2013).votes)
    np.testing.assert_allclose(joined.votes.sum(1), 1, atol=1e-5)
