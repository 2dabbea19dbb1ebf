"""Weights from files, URLs and torchvision: what is loaded is what was there, and nothing else gets in."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from mien.core.errors import ChecksumError, ConfigError, DownloadError, ModelError
from mien.core.preprocess import InputSpec
from mien.models import backbones, weights
from mien.models.backbones import SOURCES
from mien.models.network import Normalised
from mien.models.registry import build
from mien.models.vision import torchvision_models
from mien.models.weights import PREPROCESSING, head_of, load_weights

SQUEEZENET = Path(os.environ.get("MIEN_MODELS", "")) / "squeezenet1_1_imagenet_features.safetensors"


def fresh(name="squeezenet", seed=0, **options):
    torch.manual_seed(seed)
    return build(name, **options).eval()


@pytest.fixture
def squeezenet_file(tmp_path):
    """Convolutions of SqueezeNet under torchvision's names, as another package would save them."""
    state = {key.removeprefix("body."): v for key, v in fresh(seed=5).state_dict().items() if key.startswith("body.")}
    save_file(state, tmp_path / "squeezenet.safetensors")
    return tmp_path / "squeezenet.safetensors"


def test_a_file_under_torchvisions_names_is_loaded(squeezenet_file):
    body = fresh()
    loaded = load_weights(body, "squeezenet", str(squeezenet_file), preprocessing="torch")
    assert loaded.loaded == 722_496
    assert loaded.fresh == ("head.weight", "head.bias")
    assert loaded.unused == ()
    assert loaded.sha256 == hashlib.sha256(squeezenet_file.read_bytes()).hexdigest()
    assert "722,496 values" in loaded.describe()
    assert "fresh: head.weight, head.bias" in loaded.describe()
    for name, value in load_file(squeezenet_file).items():
        assert torch.equal(body.state_dict()[f"body.{name}"], value)


def test_a_whole_torchvision_state_dict_says_what_it_did_not_use(tmp_path):
    theirs = torchvision_models().resnet18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    body = fresh("resnet18")
    loaded = load_weights(body, "resnet18", str(tmp_path / "resnet18.pth"), preprocessing="torch")
    assert loaded.unused == ("body.fc.weight", "body.fc.bias")
    assert torch.equal(body.body.layer4[1].bn2.running_var, theirs.layer4[1].bn2.running_var)


def caffe_logits(body, crops):
    """What Caffe weights compute: BGR planes less their means, through the convolutions as they are in the file."""
    bgr = torch.from_numpy(crops[..., ::-1].copy()).permute(0, 3, 1, 2).float()
    return body(bgr - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1))


def rgb_spec(size=48):
    mean, std = PREPROCESSING["caffe"]
    return InputSpec(size=size, channels=3, mean=mean, std=std)


def test_caffe_weights_take_rgb_like_any_other(squeezenet_file):
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    plain, turned = fresh(seed=1), fresh(seed=1)
    load_weights(plain, "squeezenet", str(squeezenet_file), preprocessing="torch")
    load_weights(turned, "squeezenet", str(squeezenet_file), preprocessing="caffe")
    with torch.no_grad():
        expected = caffe_logits(plain, crops)
        torch.testing.assert_close(
            Normalised(turned, rgb_spec())(torch.from_numpy(crops)), expected, atol=1e-3, rtol=1e-5
        )


@pytest.mark.skipif(not SQUEEZENET.is_file(), reason="MIEN_MODELS has no SqueezeNet weights")
def test_the_real_squeezenet_sees_what_caffe_showed_it():
    from skimage import data, transform

    face = transform.resize(data.astronaut()[:224, 110:334], (224, 224), preserve_range=True).astype(np.uint8)
    body = fresh()
    loaded = load_weights(body, "squeezenet", str(SQUEEZENET), preprocessing="caffe")
    assert loaded.loaded == 722_496
    plain = load_file(SQUEEZENET)
    bgr = torch.from_numpy(face[..., ::-1].copy()).permute(2, 0, 1)[None].float()
    bgr -= torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    by_hand = functional.relu(functional.conv2d(bgr, plain["features.0.weight"], plain["features.0.bias"], stride=2))
    graph, seen = Normalised(body, rgb_spec(224)), []
    body.body.features[1].register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        graph(torch.from_numpy(face)[None])
    torch.testing.assert_close(seen[0], by_hand, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", ["squeezenet", "inception-v3"])
def test_preprocessing_puts_pictures_where_torchvision_does(name):
    presets = torchvision_models().get_model_weights(SOURCES[name].function).IMAGENET1K_V1.transforms()
    mean, std = torch.tensor(presets.mean), torch.tensor(presets.std)
    if SOURCES[name].preprocessing == "tf":  # torchvision undoes its own normalisation within these networks
        mean, std = torch.tensor([0.5] * 3), torch.tensor([0.5] * 3)
    ours = PREPROCESSING[SOURCES[name].preprocessing]
    torch.testing.assert_close(torch.tensor(ours[0]) / 255, mean)
    torch.testing.assert_close(torch.tensor(ours[1]) / 255, std)


def test_torchvisions_own_transform_of_input_is_tf():
    model = torchvision_models().inception_v3(weights=None, transform_input=True, init_weights=False)
    pictures = torch.rand(1, 3, 4, 4)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    ours_mean, ours_std = (torch.tensor(v).view(1, 3, 1, 1) for v in PREPROCESSING["tf"])
    theirs = model._transform_input((pictures - mean) / std)
    torch.testing.assert_close((pictures * 255 - ours_mean) / ours_std, theirs, atol=1e-5, rtol=1e-5)


def test_the_head_is_kept_only_where_it_fits_and_is_wanted(tmp_path):
    other = fresh("resezap", seed=3)
    save_file(other.state_dict(), tmp_path / "own.safetensors")
    path = str(tmp_path / "own.safetensors")
    same, wanted_not, three = fresh("resezap"), fresh("resezap"), fresh("resezap", classes=3)
    assert load_weights(same, "resezap", path, preprocessing="own").fresh == ()
    assert torch.equal(same.head.weight, other.head.weight)
    kept = load_weights(wanted_not, "resezap", path, preprocessing="own", keep_head=False)
    assert kept.fresh == ("head.weight", "head.bias")
    assert not torch.equal(wanted_not.head.weight, other.head.weight)
    assert load_weights(three, "resezap", path, preprocessing="own").fresh == ("head.weight", "head.bias")
    assert torch.equal(three.blocks[0].layers[0][1].running_mean, other.blocks[0].layers[0][1].running_mean)


def test_head_is_the_last_dense_layer():
    assert head_of(fresh("tiny"))[0] == "24"
    assert head_of(fresh("mini-xception"))[0] == "10"  # it has no dense layer
    with pytest.raises(ConfigError, match="no dense layer and no convolution"):
        head_of(torch.nn.ReLU())


class Nasty:
    def __reduce__(self):
        return (os.system, ("true",))


def damaged(folder):
    """Files that must not be used, and what is said of each."""
    (folder / "text.safetensors").write_bytes(b"no tensors")
    (folder / "text.pth").write_bytes(b"no tensors")
    (folder / "nasty.pth").write_bytes(pickle.dumps({"a": Nasty()}, protocol=2))
    torch.save([1, 2], folder / "list.pth")
    torch.save({"a": torch.zeros(2)}, folder / "foreign.pth")
    wrong = dict(fresh().state_dict())
    wrong["body.features.3.squeeze.weight"] = torch.zeros(8, 64, 1, 1)
    torch.save(wrong, folder / "wrong.pth")
    return {
        "missing.pth": "no weights at",
        "text.safetensors": "is no file of weights",
        "text.pth": "is no file of weights",
        "nasty.pth": "torch does not read it as tensors alone; save model.state_dict",
        "list.pth": "holds no state dict",
        "foreign.pth": r"does not hold weights of 'squeezenet': 50 of 50 tensors are missing",
        "wrong.pth": r"features.3.squeeze.weight is \(8, 64, 1, 1\) there, \(16, 64, 1, 1\) here",
    }


def test_what_holds_no_such_weights_is_refused(tmp_path):
    for name, message in damaged(tmp_path).items():
        body = fresh()
        before = {key: value.clone() for key, value in body.state_dict().items()}
        with pytest.raises(ModelError, match=message):
            load_weights(body, "squeezenet", str(tmp_path / name), preprocessing="torch")
        assert all(torch.equal(before[key], value) for key, value in body.state_dict().items())


def test_another_file_than_the_recipe_names_is_refused(squeezenet_file):
    with pytest.raises(ChecksumError, match=r"has sha256 .* the recipe says 00"):
        load_weights(fresh(), "squeezenet", str(squeezenet_file), preprocessing="torch", sha256="00")


@pytest.mark.parametrize(
    ("network", "source", "options", "message"),
    [
        ("squeezenet", "file.pth", {}, "weights.preprocessing is missing"),
        ("squeezenet", "imagenet", {"preprocessing": "caffe"}, "need preprocessing 'torch'"),
        ("squeezenet", "imagenet", {"sha256": "00"}, "torchvision checks its own downloads"),
        ("resezap", "imagenet", {}, "no ImageNet weights are published for 'resezap'"),
        ("squeezenet", "http://x.test/a.pth", {"preprocessing": "torch", "sha256": "00"}, "need https"),
        ("squeezenet", "https://x.test/a.pth", {"preprocessing": "torch"}, "need https and weights.sha256"),
    ],
)
def test_contradictions_are_named(network, source, options, message):
    with pytest.raises(ConfigError, match=message):
        load_weights(fresh(network), network, source, **options)


def test_imagenet_weights_come_by_torchvision_and_are_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    theirs = torchvision_models().squeezenet1_1(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "plain.pth")
    digest = hashlib.sha256((tmp_path / "plain.pth").read_bytes()).hexdigest()[:8]
    enum = torchvision_models().SqueezeNet1_1_Weights.IMAGENET1K_V1

    def serve(name):
        (tmp_path / name).write_bytes((tmp_path / "plain.pth").read_bytes())
        monkeypatch.setattr(backbones, "torchvision_models", lambda: Models(enum, (tmp_path / name).as_uri()))

    body = fresh()
    serve(f"squeezenet-{digest}.pth")
    loaded = load_weights(body, "squeezenet", "imagenet")
    assert loaded.mean == PREPROCESSING["torch"][0]
    assert loaded.sha256.startswith(digest)
    assert torch.equal(body.body.features[0].weight, theirs.features[0].weight)
    serve("squeezenet-00000000.pth")
    with pytest.raises(ChecksumError, match="nothing was used"):
        load_weights(fresh(), "squeezenet", "imagenet")
    (tmp_path / f"squeezenet-{digest}.pth").unlink()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(
        backbones, "torchvision_models", lambda: Models(enum, (tmp_path / f"squeezenet-{digest}.pth").as_uri())
    )
    with pytest.raises(DownloadError, match="could not be fetched"):
        load_weights(fresh(), "squeezenet", "imagenet")


class Models:
    """``torchvision.models`` whose one weight file lies elsewhere."""

    def __init__(self, enum, url):
        self._value, self._url = enum.value, url
        self.squeezenet1_1 = torchvision_models().squeezenet1_1

    def get_model_weights(self, _):
        from dataclasses import replace

        from torchvision.models import WeightsEnum

        return WeightsEnum("Local", {"IMAGENET1K_V1": replace(self._value, url=self._url)})


def test_a_url_is_fetched_once_and_checked(squeezenet_file, monkeypatch):
    digest = hashlib.sha256(squeezenet_file.read_bytes()).hexdigest()
    asked = []

    def fetch(url, destination, *, hash_prefix, progress):
        asked.append(url)
        Path(destination).write_bytes(squeezenet_file.read_bytes())

    monkeypatch.setattr(weights.torch.hub, "download_url_to_file", fetch)
    for _ in range(2):
        loaded = load_weights(
            fresh(), "squeezenet", "https://x.test/s.safetensors", preprocessing="torch", sha256=digest.upper()
        )
        assert loaded.sha256 == digest
    assert len(asked) == 1
