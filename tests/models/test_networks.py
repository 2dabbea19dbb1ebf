"""The same tests for every registered network."""

import copy

import numpy as np
import onnxruntime
import pytest
import torch

from mien.core.errors import ConfigError, UnknownModelError
from mien.core.expression import FER2013
from mien.core.predictor import Predictor, softmax
from mien.models.export import TOLERANCE
from mien.models.network import TorchPredictor, as_planes
from mien.models.registry import build, count_multiplications, count_values, network, networks

NAMES = list(networks())
AT_ONCE = ("deepface-emotion", "gate", "mini-xception", "resezap", "small", "tiny")
"""The small network of each family, which is computed with in the fast tests; all others are in the slow ones."""

computed = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in AT_ONCE else pytest.mark.slow) for name in NAMES]
)


def on_meta(name: str, classes: int = 7) -> torch.nn.Module:
    """The network without values: shapes and counts only."""
    with torch.device("meta"):
        return build(name, classes)


@pytest.mark.parametrize("name", NAMES)
def test_has_the_published_number_of_values(name):
    record = network(name)
    assert count_values(on_meta(name)) == (record.trained, record.running)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [3, 7, 8])
def test_gives_one_logit_a_class(name, classes):
    spec = network(name).input
    model = on_meta(name, classes).eval()
    assert model(torch.zeros(2, spec.planes, spec.size, spec.size, device="meta")).shape == (2, classes)


@computed
def test_every_trained_value_gets_a_gradient(name):
    torch.manual_seed(1)
    spec = network(name).input
    model = build(name).train()
    logits = model(torch.randn(8, spec.planes, spec.size, spec.size))
    torch.nn.functional.cross_entropy(logits, torch.arange(8) % 7).backward()
    without = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.isfinite().all()]
    assert without == []


def in_double(predictor: TorchPredictor, crops: np.ndarray) -> np.ndarray:
    """The logits as float64 computes them."""
    graph = copy.deepcopy(predictor.graph).double()
    with torch.no_grad():
        planes = as_planes(torch.from_numpy(crops)).double()
        return graph.body(graph.normalise(planes)).numpy()


@computed
def test_onnx_gives_the_same_probabilities(name, exported):
    spec = network(name).input
    predictor, graph = exported(name)
    assert isinstance(predictor, Predictor)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    crops = np.random.default_rng(2).integers(0, 256, size=(5, *spec.shape), dtype=np.uint8)
    for n in (1, 5):
        logits, ours = session.run(["logits"], {"crops": crops[:n]})[0], predictor.logits(crops[:n])
        exact = in_double(predictor, crops[:n])
        size = max(1.0, np.abs(exact).max())
        for theirs, own, true in (
            (softmax(logits), softmax(ours), softmax(exact)),
            (logits / size, ours / size, exact / size),  # where the answers are saturated
        ):
            # random weights of a hundred layers round coarsely: ONNX Runtime may be off by what torch itself is off
            rounding = np.abs(own - true).max()
            assert np.abs(theirs - own).max() <= max(TOLERANCE, 3 * rounding)
            assert rounding < 1e-2


@computed
def test_does_not_depend_on_the_batch(name, exported):
    spec = network(name).input
    predictor = TorchPredictor(exported(name)[0].graph.body, spec, FER2013, name=name, chunk=2)
    crops = np.random.default_rng(3).integers(0, 256, size=(5, *spec.shape), dtype=np.uint8)
    together = predictor.logits(crops)
    alone = np.concatenate([predictor.logits(crops[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-4 * max(1.0, np.abs(alone).max()))
    assert predictor.logits(crops[:0]).shape == (0, 7)


@pytest.mark.parametrize(
    ("name", "total"),
    [("resezap", 54_480), ("resezap-conv", 345_319), ("deepface-emotion", 1_485_831), ("mini-xception", 58_423)],
)
def test_values_are_those_of_the_papers(name, total):
    assert sum(count_values(on_meta(name))) == total


def test_model_a_has_the_papers_weights_before_batch_norm():
    weighty = [m for m in on_meta("model-a").modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert sum(p.numel() for m in weighty for p in m.parameters()) == 13_358_151
    assert sum(isinstance(m, torch.nn.Conv2d) for m in weighty) == 2 + 3 + 4 + 4 + 4


def sides(name, kinds, **options):
    """Shape of what each module of some kinds gives, in order."""
    with torch.device("meta"):
        model = build(name, **options).eval()
    seen = []
    for module in model.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _, __, output: seen.append(tuple(output.shape[1:])))
    spec = network(name).input
    model(torch.zeros(1, spec.planes, spec.size, spec.size, device="meta"))
    return seen


@pytest.mark.parametrize("name", ["resezap", "resezap-conv"])
def test_resezaps_maps_are_46_24_and_13_pixels_wide(name):
    inner = sides(name, torch.nn.BatchNorm2d)
    assert inner == [(32, 46, 46)] * 3 + [(64, 24, 24)] * 3 + [(96, 13, 13)] * 3


def test_the_standard_residual_block_has_fewer_values_than_the_paper_counts():
    assert sum(count_values(on_meta("resezap-residual"))) == 63_664  # 66,488 in the paper: not recovered


POOLS = (torch.nn.MaxPool2d, torch.nn.AvgPool2d)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model-a", [(64, 24, 24), (128, 12, 12), (256, 6, 6), (256, 3, 3), (512, 1, 1)]),
        ("deepface-emotion", [(64, 20, 20), (64, 7, 7), (128, 1, 1)]),
        ("wu-chen", [(64, 24, 24), (128, 12, 12), (512, 6, 6), (512, 3, 3)]),
        ("fathallah", [(32, 81, 81), (64, 39, 39), (128, 18, 18)]),
    ],
)
def test_maps_have_the_sizes_of_paper_000(name, expected):
    assert sides(name, POOLS) == expected


def test_the_custom_cnn_is_eight_convolutions_in_four_blocks():
    assert len(sides("custom-cnn", torch.nn.Conv2d)) == 8
    assert len(sides("custom-cnn", torch.nn.BatchNorm2d)) == 4
    assert sides("custom-cnn", torch.nn.MaxPool2d)[-1] == (512, 3, 3)


def test_mini_xception_takes_its_authors_crops_too():
    with torch.device("meta"):
        model = build("mini-xception").eval()
    assert model(torch.zeros(2, 1, 64, 64, device="meta")).shape == (2, 7)


@pytest.mark.parametrize("name", ["resezap", "resezap-conv", "resezap-residual"])
@pytest.mark.parametrize("option", [{}, {"activation": "layer"}, {"pool": "plain"}, {"top": "dense"}])
def test_each_design_step_of_paper_002_can_be_undone(name, option):
    torch.manual_seed(0)
    model = build(name, **option)
    logits = model.train()(torch.randn(4, 1, 48, 48))
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    by_hand = {
        "{}": 0,
        "{'activation': 'layer'}": 0,
        "{'pool': 'plain'}": 0,
        "{'top': 'dense'}": (96 * 49 - 96) * 96 + (96 * 96 + 96) + 2 * 96,
    }
    assert count_values(model)[0] - network(name).trained == by_hand[str(option)]


def test_paper_002s_steps_change_the_maps():
    assert sides("resezap", type(build("resezap").blocks[0]), pool="plain") == [(32, 23, 23), (64, 11, 11), (96, 5, 5)]
    assert len(sides("resezap", torch.nn.ReLU)) == 0
    assert len(sides("resezap", torch.nn.ReLU, activation="layer")) == 3 * 2 + 1


@pytest.mark.parametrize(("name", "total"), [("resezap", 16_909_540), ("resezap-conv", 130_075_776)])
def test_multiplications_are_those_of_paper_002(name, total):
    assert count_multiplications(build(name), network(name).input) == total


def test_resezap_has_one_activation_a_block():
    model = build("resezap")
    assert not [m for m in model.modules() if isinstance(m, torch.nn.ReLU)]
    sides = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, output: sides.append(tuple(output.shape[1:])))
    model.eval()(torch.zeros(1, 1, 48, 48))
    assert sides == [(32, 24, 24), (64, 13, 13), (96, 7, 7)]


def test_tiny_stays_within_resezaps_budget():
    assert sum(count_values(build("tiny"))) <= 54_480


def test_a_misspelt_network_names_the_nearest():
    with pytest.raises(UnknownModelError, match="did you mean 'resezap'"):
        network("resezp")


@pytest.mark.parametrize("options", [{"activation": "nowhere"}, {"depth": 3}])
def test_an_option_that_a_network_lacks_is_refused(options):
    with pytest.raises(ConfigError, match=r"network 'resezap' (with options|has no option 'depth': Valid: activation)"):
        build("resezap", **options)
