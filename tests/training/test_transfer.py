"""What transfer freezes stays to the bit, what it trains moves, and features are computed once."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.decomposition import PCA
from sklearn.svm import LinearSVC

from mien.core.errors import ConfigError, DatasetError, MienError, TrainingError
from mien.core.expression import FER2013
from mien.core.fitted import Folds
from mien.core.manifest import Manifest
from mien.core.places import BUNDLED
from mien.core.predictor import softmax
from mien.core.schema import from_mapping
from mien.data.dataset import text_column
from mien.data.folds import in_folds
from mien.data.layout import WHOLE
from mien.data.load import load_dataset
from mien.evaluation.fitted_rows import check_unseen
from mien.explain.gradcam import GradCAM
from mien.models.export import to_onnx
from mien.models.network import Normalised, TorchPredictor
from mien.models.registry import build
from mien.models.tapped import Tapped
from mien.runtime.inference.library import open_model
from mien.training.fit import fit, train
from mien.training.recipe import Augmentation, Crop, Optimiser, Progressive, Recipe, Transfer, Weights
from mien.training.recipe_data import load_splits
from mien.training.run import Run
from mien.training.run_as_model import beside_labels, export_run, open_run, provenance_of
from mien.training.svm import fit_linear
from mien.training.transfer import assemble, freeze, head_name, input_of, layers_of, start

STILL = Augmentation(flip=False)


@pytest.fixture
def recipe(few):
    return Recipe(
        name="drawn",
        network="resezap",
        data=few,
        optimiser=Optimiser(rate=1e-2),
        epochs=2,
        batch=20,
    )


@pytest.fixture(scope="module")
def first(drawn, tmp_path_factory):
    """A finished run to start from."""
    folder = tmp_path_factory.mktemp("first") / "run"
    train(Recipe("first", "resezap", data=drawn, optimiser=Optimiser(rate=1e-2), epochs=2, batch=20), folder)
    return folder


def changed(folder, start):
    """Names of the values that differ between a run's kept weights and those that it started from."""
    before, after = load_file(start / "best.safetensors"), load_file(folder / "best.safetensors")
    return {name for name in before if name in after and not torch.equal(before[name], after[name])}


def test_a_run_goes_on_from_an_exported_model(recipe, tmp_path):
    """Another label set gets a fresh head; the rest answers as the exported model does before the first step."""
    exported = replace(recipe, network="tiny", weights=Weights("tiny"), epochs=1, optimiser=Optimiser(rate=1e-9))
    run = train(exported, tmp_path / "same")
    faces = load_dataset(recipe.data.dataset, run.input).split("test").images
    np.testing.assert_allclose(
        softmax(open_run(tmp_path / "same").logits(faces)), softmax(open_model("tiny").logits(faces)), atol=0.02
    )
    manifest = Manifest.read(BUNDLED / "tiny.json")
    assert run.weights.sha256 == manifest.sha256
    assert f"started from tiny (sha256 {manifest.sha256[:12]}), trained on fer2013: fitted on 28,709 rows" in (
        beside_labels(run)
    )
    three = train(replace(exported, data=replace(recipe.data, labels="three")), tmp_path / "three")
    assert [name.rpartition(".")[2] for name in three.weights.fresh if "num_batches" not in name] == ["weight", "bias"]


def test_what_a_start_had_seen_goes_with_the_run(recipe, tmp_path, capsys):
    """A run on drawn faces from the bundled tiny cannot be measured on what fitted tiny, nor can its export."""
    settings = replace(recipe, network="tiny", weights=Weights("tiny"), epochs=1)
    run = train(settings, tmp_path / "run")
    shipped = Manifest.read(BUNDLED / "tiny.json").seen
    assert run.fitted_before == shipped
    assert shipped[0].dataset == "fer2013"
    assert open_run(tmp_path / "run").seen == (run.fitted, *shipped)
    said = provenance_of(run, run.fitted.dataset)
    assert (said.fitted, *said.fitted_before) == (run.fitted, *shipped)
    again = train(replace(settings, weights=Weights(str(tmp_path / "run"))), tmp_path / "again")
    assert again.fitted_before == (run.fitted, *shipped)
    assert again.seen == again.fitted_before  # the same rows, said once
    assert "parts these pictures otherwise" not in capsys.readouterr().err
    drawn = load_dataset(recipe.data.dataset, run.input)
    check_unseen(open_run(tmp_path / "run"), drawn)
    with pytest.raises(DatasetError, match="was fitted on a part of fer2013"):
        check_unseen(open_run(tmp_path / "run"), in_folds(replace(drawn, name="fer2013"), Folds(3, apart="picture")))
    anew = replace(drawn, name="ferplus")
    parts = in_folds(replace(anew, splits=text_column([WHOLE] * len(anew))), Folds(3, apart="picture"))
    fit(settings, tmp_path / "anew", parts.split("train"), parts.split("validation"))
    told = f"what it learns from was fitted on {shipped[0].describe()}, and this run parts these pictures otherwise"
    assert told in capsys.readouterr().err


def test_a_run_that_is_called_like_an_exported_model_is_meant(recipe, first, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.training.fit.restore_norms", pytest.fail)
    (tmp_path / "tiny").symlink_to(first)
    monkeypatch.chdir(tmp_path)
    run = train(replace(recipe, weights=Weights("tiny"), epochs=1), tmp_path / "run")
    assert run.weights.source == "tiny/best.safetensors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": Weights("tiny")}, "tiny is an exported model of 'tiny', the recipe asks for 'resezap'"),
        ({"network": "tiny", "weights": Weights("tiny", "own")}, "the exported model tiny knows its own"),
        ({"network": "tiny", "weights": Weights("tiny", sha256="0" * 64)}, "it is another one by now"),
    ],
)
def test_an_exported_model_that_does_not_fit_is_refused(recipe, tmp_path, change, message):
    with pytest.raises(MienError, match=message):
        train(replace(recipe, **change), tmp_path / "run")


BLOCKS = [f"blocks.{b}.layers.{c}." for b in range(3) for c in range(3)]


@pytest.mark.parametrize(
    ("settings", "moves", "stays"),
    [
        ({"mode": "head"}, ["head."], [*BLOCKS, "dense."]),
        ({"mode": "last", "layers": 1}, ["head.", "dense."], BLOCKS),
        ({"mode": "last", "layers": 2}, ["head.", "dense.", "blocks.2.layers.2.0.1."], BLOCKS[:8]),
        ({"mode": "freeze-last", "layers": 1}, ["head.", *BLOCKS], ["dense."]),
        ({"mode": "all"}, ["head.", "dense.", *BLOCKS], []),
    ],
)
def test_what_is_frozen_stays_to_the_bit(recipe, first, tmp_path, settings, moves, stays):
    start = Weights(str(first))
    run = train(
        replace(recipe, batch=10, weights=start, transfer=Transfer(**settings), averaging=0.9), tmp_path / "run"
    )
    differ = changed(tmp_path / "run", first)
    for prefix in moves:
        assert any(name.startswith(prefix) for name in differ), prefix
    assert [name for name in differ if name.startswith(tuple(stays))] == []
    running = {name for name in differ if "running" in name}
    assert bool(running) == any(p.startswith(("dense", "blocks")) for p in moves)
    assert run.weights is not None
    assert run.weights.source.startswith(str(first))
    assert run.weights.fresh == ()


def test_running_statistics_of_frozen_norms_stay_in_the_checkpoint_too(recipe, first, tmp_path):
    train(replace(recipe, weights=Weights(str(first)), transfer=Transfer("head")), tmp_path / "run")
    start = load_file(first / "best.safetensors")
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    kept = {name: value for name, value in start.items() if not name.startswith("head.")}
    assert all(torch.equal(state[f"graph.body.{name}"], value) for name, value in kept.items())


def test_layers_are_convolutions_and_dense_layers_with_their_norms():
    body = build("resezap")
    layers = layers_of(body, "head")
    kinds = [[type(module).__name__ for module in layer] for layer in layers]
    assert kinds[:2] == [["Conv2d"], ["Conv2d", "BatchNorm2d"]]
    assert kinds[-1] == ["Linear", "BatchNorm1d", "Identity"]
    assert len(layers) == 9 * 2 + 1


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "googlenet", "densenet121", "mobilenet-v2"])
def test_every_layer_of_a_backbone_is_counted_once(name):
    with torch.device("meta"):
        body = build(name)
    head = head_name(body, Transfer())
    assert head == "head"
    norms = freeze(body, Transfer(mode="head"))
    assert {n for n, p in body.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}
    assert len(norms) == sum(isinstance(m, torch.nn.BatchNorm2d) for m in body.modules())


def test_a_head_that_is_a_convolution_takes_no_dense_layer():
    recipe = Recipe("a", "mini-xception", weights=Weights("x"), transfer=Transfer("head", hidden=8))
    with pytest.raises(ConfigError, match="ends in a convolution and a pool"):
        assemble(recipe, 7, input_of(Recipe("a", "mini-xception")))


def test_more_layers_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="layers is 20, the network has 19 before its head"):
        freeze(build("resezap"), Transfer("last", layers=20))


def test_a_new_head_can_have_a_dense_layer_before_it(recipe, first, tmp_path):
    train(replace(recipe, weights=Weights(str(first)), transfer=Transfer("head", hidden=16)), tmp_path / "run")
    state = load_file(tmp_path / "run" / "best.safetensors")
    assert state["head.0.weight"].shape == (16, 96)
    assert state["head.3.weight"].shape == (7, 16)
    assert open_run(tmp_path / "run").parameters == 54_480 - 679 + 96 * 16 + 16 + 16 * 7 + 7
    assert beside_labels(Run.read(tmp_path / "run")).endswith(", transfer mode head")


def test_a_dense_layer_that_was_trained_on_features_is_tuned_on(recipe, first, tmp_path):
    """Paper 003: bottleneck features first, then fine-tuning from the head that they trained."""
    settings = replace(recipe, augment=STILL, epochs=1)
    bottleneck = replace(settings, weights=Weights(str(first)), transfer=Transfer("bottleneck", hidden=16))
    train(bottleneck, tmp_path / "one")
    trained = load_file(tmp_path / "one" / "best.safetensors")
    labels = Run.read(tmp_path / "one").labels
    onward = replace(settings, weights=Weights(str(tmp_path / "one")), transfer=Transfer("last", layers=1, hidden=16))
    body, loaded = start(onward, labels, input_of(onward))
    assert loaded.fresh == loaded.unused == ()
    for name, value in body.state_dict().items():
        torch.testing.assert_close(value, trained[name], rtol=0, atol=0)
    wider, loaded = start(replace(onward, transfer=Transfer("last", layers=1, hidden=8)), labels, input_of(onward))
    assert wider.state_dict()["head.0.weight"].shape == (8, 96)
    _, loaded = start(onward, labels[:6], input_of(onward))
    assert loaded.fresh == ("head.3.weight", "head.3.bias")


def test_bottleneck_features_are_computed_once_and_kept(recipe, first, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))

    def computed():
        """Files of features by when they were written: one that is computed again is written again."""
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "features").iterdir()}

    settings = replace(
        recipe,
        weights=Weights(str(first)),
        transfer=Transfer("bottleneck", hidden=32),
        augment=STILL,
        data=replace(recipe.data, limit=60),
    )
    run = train(settings, tmp_path / "run")
    first_time = computed()
    assert len(first_time) == 2  # rows that fit, rows that choose
    train(replace(settings, optimiser=Optimiser(rate=1e-3), seed=4), tmp_path / "again")
    assert computed() == first_time
    train(replace(settings, data=replace(settings.data, limit=50)), tmp_path / "other-rows")
    assert len(computed()) == 3
    state = load_file(first / "best.safetensors")
    state["dense.0.bias"] += 1
    save_file(state, tmp_path / "changed.safetensors")
    other = Weights(str(tmp_path / "changed.safetensors"), preprocessing="own")
    train(replace(settings, weights=other), tmp_path / "other-weights")
    assert len(computed()) == 5
    train(replace(settings, input=Crop(illumination="equalise")), tmp_path / "other-crop")
    assert len(computed()) == 7
    assert first_time.items() <= computed().items()
    assert {name for name in changed(tmp_path / "run", first) if not name.startswith("head.")} == set()
    predictor = open_run(tmp_path / "run")
    rows = load_dataset(recipe.data.dataset, predictor.input).split("validation")
    accuracy = (softmax(predictor.logits(rows.images)).argmax(1) == rows.indices).mean()
    assert accuracy == pytest.approx(run.best.validation_accuracy)


def test_damaged_features_are_computed_anew(recipe, first, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    settings = replace(recipe, weights=Weights(str(first)), transfer=Transfer("bottleneck"), augment=STILL)
    whole = train(settings, tmp_path / "run")
    for path in (tmp_path / "cache" / "features").iterdir():
        path.write_bytes(b"cut")
    assert [e.train_loss for e in train(settings, tmp_path / "again").history] == [e.train_loss for e in whole.history]


def test_bottleneck_computes_what_a_frozen_run_computes(recipe, first, tmp_path):
    frozen = replace(recipe, weights=Weights(str(first)), transfer=Transfer("head"), augment=STILL)
    once = replace(frozen, transfer=Transfer("bottleneck"))
    a, b = train(frozen, tmp_path / "frozen"), train(once, tmp_path / "once")
    assert b.history[-1].train_loss == pytest.approx(a.history[-1].train_loss, rel=1e-3)
    one, other = (load_file(tmp_path / name / "best.safetensors")["head.weight"] for name in ("frozen", "once"))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)


def test_svm_on_joined_features_is_what_scikit_learn_computes(recipe, first, tmp_path):
    settings = replace(
        recipe,
        weights=Weights(str(first)),
        transfer=Transfer("svm", taps=("blocks.1", "dense"), components=20, penalty=0.5),
        augment=STILL,
        epochs=1,
    )
    run = train(settings, tmp_path / "run")
    assert run.status == "finished"
    fitted, chosen = load_splits(settings, run.input, None)
    body, taps = open_run(first).graph, {}
    body.body.blocks[1].register_forward_hook(lambda _, __, y: taps.update(block=y.flatten(1)))
    body.body.dense.register_forward_hook(lambda _, __, y: taps.update(dense=y))
    joined, lengths = [], None
    for rows in (fitted, chosen):
        with torch.no_grad():
            body(torch.from_numpy(rows.images))
        parts = [taps["block"].numpy(), taps["dense"].numpy()]
        lengths = lengths or [np.sqrt((part.astype(float) ** 2).sum(1).mean()) for part in parts]
        joined.append(np.concatenate([part / length for part, length in zip(parts, lengths, strict=True)], 1))
    pca = PCA(20, random_state=0).fit(joined[0])
    svm = LinearSVC(C=0.5, random_state=0, max_iter=20_000).fit(pca.transform(joined[0]), fitted.indices)
    found = open_run(tmp_path / "run").logits(chosen.images)
    np.testing.assert_allclose(found, svm.decision_function(pca.transform(joined[1])), atol=2e-3)
    accuracy = svm.score(pca.transform(joined[1]), chosen.indices)
    assert run.best.validation_accuracy == pytest.approx(accuracy)
    state, start = load_file(tmp_path / "run" / "best.safetensors"), load_file(first / "best.safetensors")
    assert all(torch.equal(state[f"body.{name}"], value) for name, value in start.items() if "head" not in name)
    manifest = export_run(tmp_path / "run", tmp_path / "model")
    manifest.verify(tmp_path / "model")


def test_vgg_is_tapped_where_reference_11_taps_it():
    with torch.device("meta"):
        body = Tapped(build("vgg19", top="dense"), (), input_of(Recipe("a", "vgg19")), 6)
    pools = [f"body.features.{i}" for i in (4, 9, 18, 27, 36)]
    assert body.taps == (*pools, "body.classifier.0")
    assert body.widths == (64 * 24**2, 128 * 12**2, 256 * 6**2, 512 * 3**2, 512, 4_096)


def test_two_classes_have_two_planes():
    rng = np.random.default_rng(0)
    indices = np.repeat([0, 1], 20)
    features = rng.normal(size=(40, 5)).astype(np.float32) + indices[:, None] * 3
    weight, bias = fit_linear(features, indices, 2)
    assert weight.shape == (2, 5)
    assert ((features @ weight.T + bias).argmax(1) == indices).mean() > 0.95
    with pytest.raises(TrainingError, match="class 2 has no row"):
        fit_linear(features, indices, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "last"}, "layers goes with mode 'last'"),
        ({"layers": 2}, "layers goes with mode 'last'"),
        ({"mode": "last", "layers": 0}, "layers must be 1 or more"),
        ({"mode": "svm", "hidden": 8}, "no place in an SVM"),
        ({"mode": "head", "taps": ["a"]}, "taps, components and penalty are of mode 'svm'"),
        ({"mode": "svm", "components": 0}, "components must be 1 or more"),
        ({"mode": "heads"}, "did you mean 'head'"),
    ],
)
def test_contradictory_transfer_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Transfer, settings, "transfer")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"transfer": {"mode": "head"}}, "name them in weights.source"),
        ({"weights": {"preprocessing": "torch"}}, "belong to weights that are loaded"),
        ({"weights": {"source": "x"}, "transfer": {"mode": "bottleneck"}}, "computes features once"),
        (
            {"weights": {"source": "x"}, "transfer": {"mode": "svm"}, "augment": {"flip": False}},
            "'svm' has one epoch",
        ),
        ({"votes": 1.5}, "votes must be above 0 to 1"),
    ],
)
def test_contradictory_recipes_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Recipe, {"name": "a", "network": "tiny", **fields}, "recipe")


def test_a_run_of_another_architecture_is_refused(recipe, first, tmp_path):
    with pytest.raises(TrainingError, match=r"is a run of 'resezap' .* asks for 'tiny'"):
        train(replace(recipe, network="tiny", weights=Weights(str(first))), tmp_path / "run")
    with pytest.raises(ConfigError, match="a run knows its own"):
        train(replace(recipe, weights=Weights(str(first), preprocessing="torch")), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"no module 'blocks.7': did you mean 'blocks\.\d'"):
        train(
            replace(
                recipe,
                weights=Weights(str(first)),
                transfer=Transfer("svm", taps=("blocks.7",)),
                augment=STILL,
                epochs=1,
            ),
            tmp_path / "run",
        )


def test_crops_that_a_network_cannot_take_are_refused(recipe, tmp_path):
    with pytest.raises(ConfigError, match="'deepface-emotion' cannot take 1 x 64 x 64 planes, its own are 1 x 48 x 48"):
        train(replace(recipe, network="deepface-emotion", input=Crop(size=64)), tmp_path / "run")
    with pytest.raises(ConfigError, match="'deepface-emotion' cannot take 1 x 32 x 32 planes"):
        train(replace(recipe, network="deepface-emotion", progressive=Progressive()), tmp_path / "run")
    with pytest.raises(ConfigError, match="mean and std need 3 values each"):
        train(replace(recipe, input=Crop(channels=3)), tmp_path / "run")


def test_crops_may_differ_from_the_networks_own(recipe, tmp_path):
    run = train(replace(recipe, epochs=1, input=Crop(size=64, align="box", illumination="clahe")), tmp_path / "run")
    assert (run.input.size, run.input.align, run.input.illumination) == (64, "box", "clahe")
    assert open_run(tmp_path / "run").input == run.input


def test_weights_say_how_their_pictures_were_prepared(tmp_path):
    assert input_of(Recipe("a", "squeezenet", weights=Weights("imagenet"))).mean == (123.675, 116.28, 103.53)
    caffe = input_of(Recipe("a", "squeezenet", weights=Weights("x.pth", preprocessing="caffe")))
    assert (caffe.mean, caffe.std, caffe.shape) == ((123.68, 116.779, 103.939), (1.0,) * 3, (48, 48))
    own = input_of(Recipe("a", "squeezenet", weights=Weights("x.pth", preprocessing="own"), input=Crop(size=224)))
    assert (own.mean, own.size) == ((129.47,) * 3, 224)


def test_other_weights_than_a_run_began_with_are_refused(recipe, tmp_path):
    path = tmp_path / "start.safetensors"
    save_file(build("resezap").state_dict(), path)
    settings = replace(recipe, weights=Weights(str(path), preprocessing="own"))
    train(settings, tmp_path / "run")
    replace(Run.read(tmp_path / "run"), status="running").write(tmp_path / "run")
    others = {name: value + 1 for name, value in build("resezap").state_dict().items()}  # whatever chance gave before
    save_file(others, path)
    with pytest.raises(TrainingError, match="have changed since"):
        train(settings, tmp_path / "run")


@pytest.mark.parametrize("views", ["mirror", pytest.param("ten", marks=pytest.mark.slow)])
def test_views_are_part_of_the_model_that_comes_out(recipe, tmp_path, views):
    from mien.models.averaged_views import Averaged

    train(replace(recipe, epochs=1, views=views), tmp_path / "run")
    predictor = open_run(tmp_path / "run")
    assert isinstance(predictor.graph.body, Averaged)
    images = load_dataset(recipe.data.dataset, predictor.input).split("test").images[:8]
    body = assemble(replace(recipe), 7, predictor.input)
    body.load_state_dict(load_file(tmp_path / "run" / "best.safetensors"))
    plain = Normalised(body, predictor.input).eval()
    shown = [images] if views == "mirror" else ten_crops(images)
    with torch.no_grad():
        single = [softmax(plain(torch.from_numpy(v[..., ::s].copy())).numpy()) for v in shown for s in (1, -1)]
    atol = 1e-5 if views == "mirror" else 2e-2  # the reference rounds its crops to whole grey levels
    np.testing.assert_allclose(softmax(predictor.logits(images)), np.mean(single, axis=0), atol=atol)
    assert predictor.parameters == 54_480
    maps = GradCAM()(predictor, images, "happy")
    np.testing.assert_array_equal(
        maps, GradCAM()(TorchPredictor(body, predictor.input, FER2013, name="one"), images, "happy")
    )
    session = onnxruntime.InferenceSession(to_onnx(predictor).SerializeToString(), providers=["CPUExecutionProvider"])
    found = softmax(session.run(["logits"], {"crops": images})[0])
    np.testing.assert_allclose(found, softmax(predictor.logits(images)), atol=1e-4)


def ten_crops(images):
    """Four corners and the middle, by OpenCV."""
    import cv2

    places = [(0, 0), (0, 6), (6, 0), (6, 6), (3, 3)]
    return [np.stack([cv2.resize(i[y : y + 42, x : x + 42], (48, 48)) for i in images]) for y, x in places]


def test_labels_of_another_set_give_a_new_head(recipe, first, tmp_path):
    three = replace(recipe, data=replace(recipe.data, labels="three"), weights=Weights(str(first)))
    run = train(replace(three, transfer=Transfer("head")), tmp_path / "run")
    assert run.weights.fresh == ("head.weight", "head.bias")
    assert len(run.labels) == 3
    assert len(FER2013) == 7
