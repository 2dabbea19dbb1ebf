"""torchvision's networks: the same numbers as torchvision's own, and clear words where it is missing or broken."""

import subprocess
import sys

import pytest
import torch

from mien.core.errors import ConfigError, MissingExtraError, ModelError
from mien.core.preprocess import InputSpec
from mien.models import vision
from mien.models.backbones import SOURCES, modern_name
from mien.models.network import Normalised
from mien.models.registry import build, count_values
from mien.models.vision import torchvision_models


@pytest.mark.parametrize("name", SOURCES)
def test_published_counts_are_torchvisions_own(name):
    source = SOURCES[name]
    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception-v3") else {}
    with torch.device("meta"):
        model = getattr(torchvision_models(), source.function)(weights=None, **extra)
    assert count_values(model) == (source.published, source.running)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet-v3-small", "densenet121"])
def test_computes_what_torchvision_computes(name):
    torch.manual_seed(0)
    ours = build(name).eval()
    source = SOURCES[name]
    theirs = getattr(torchvision_models(), source.function)(weights=None).eval()
    state = {key.removeprefix("body."): value for key, value in ours.state_dict().items() if key.startswith("body.")}
    missing = theirs.load_state_dict(state, strict=False).missing_keys
    assert all(key.startswith(("classifier", "fc")) for key in missing)
    pictures = torch.randn(2, 3, 64, 64)
    pooled = []
    top = theirs.fc if hasattr(theirs, "fc") else theirs.classifier
    top.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
    with torch.no_grad():
        theirs(pictures)
        torch.testing.assert_close(ours(pictures), ours.head(pooled[0]))


def test_side_enlarges_within_the_network():
    torch.manual_seed(0)
    model = build("squeezenet", side=96).eval()
    small = torch.randn(1, 3, 48, 48)
    large = torch.nn.functional.interpolate(small, (96, 96), mode="bilinear")
    with torch.no_grad():
        torch.testing.assert_close(model(small), build_like(model)(large))


def test_what_is_too_small_is_enlarged_and_nothing_is_shrunk():
    with torch.device("meta"):
        model = build("inception-v3").eval()
    seen = []
    model.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    for side in (48, 75, 128):
        model(torch.zeros(1, 3, side, side, device="meta"))
    assert seen == [75, 75, 128]


def build_like(model):
    plain = build("squeezenet").eval()
    plain.load_state_dict(model.state_dict())
    return plain


def test_vgg_keeps_its_dense_layers_on_demand():
    with torch.device("meta"):
        model = build("vgg16", top="dense")
    assert count_values(model) == (138_357_544 - 4_097_000 + 4_096 * 7 + 7, 0)
    assert model(torch.zeros(2, 3, 48, 48, device="meta")).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("inception-v3", {"side": 48}, "side must be 75 or more"),
        ("resnet18", {"top": "dense"}, "top must be 'pool', got 'dense'"),
        ("vgg16", {"top": "none"}, "top must be 'pool' or dense"),
    ],
)
def test_what_a_backbone_cannot_do_is_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        build(name, **options)


def test_old_densenet_names_become_todays():
    old = "features.denseblock1.denselayer6.norm.1.running_mean"
    assert modern_name(old) == "features.denseblock1.denselayer6.norm1.running_mean"
    assert modern_name("features.norm5.weight") == "features.norm5.weight"


def test_a_missing_torchvision_names_its_extra(monkeypatch):
    monkeypatch.setattr(vision, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[backbones\]'"):
        build("squeezenet")


def test_a_broken_torchvision_is_named(monkeypatch):
    def broken(name):
        raise RuntimeError("undefined symbol")

    monkeypatch.setattr(vision, "import_module", broken)
    with pytest.raises(ModelError, match=r"cannot be imported \(undefined symbol\).*mien\[backbones\]"):
        build("squeezenet")


def test_grey_crops_become_rgb_where_they_are_normalised():
    spec = InputSpec(mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0))
    assert (spec.shape, spec.planes) == ((48, 48), 3)
    seen = []
    body = torch.nn.Identity()
    body.register_forward_hook(lambda _, __, output: seen.append(output))
    Normalised(body, spec)(torch.full((2, 48, 48), 50, dtype=torch.uint8))
    assert seen[0].shape == (2, 3, 48, 48)
    assert seen[0][0, :, 5, 5].tolist() == [40.0, 15.0, 5.0]


def test_listing_networks_does_not_import_torchvision():
    code = "import sys; from mien.models.registry import networks; networks(); print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
