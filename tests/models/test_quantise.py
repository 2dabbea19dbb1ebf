"""Networks in eight bits: what is rounded, what stays, and what an export of one says of itself."""

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from mien.core.errors import ModelError
from mien.core.expression import FER2013
from mien.core.fitted import Fitted
from mien.core.manifest import Head, Manifest
from mien.core.predictor import softmax
from mien.data.dataset import Dataset, text_column
from mien.evaluation.calibration import fit_temperature
from mien.models import export as export_module
from mien.models.export import Provenance, export_graph, to_onnx
from mien.models.head import FEATURES, logits_of, run_graph, with_features
from mien.models.network import TorchPredictor
from mien.models.quantise import dequantised, quantise
from mien.models.rebuild import rebuild
from mien.models.registry import build, network
from mien.runtime.inference.library import open_model

ABOUT = Provenance("small", "", "", "", "")


@pytest.fixture(scope="module")
def crops():
    """Blurred patches of all brightnesses, which differ from each other as pictures do and plain noise does not."""
    rng = np.random.default_rng(3)
    return np.stack([cv2.resize(rng.integers(0, 256, (5, 5), dtype=np.uint8), (48, 48)) for _ in range(96)])


@pytest.fixture(scope="module")
def predictor(crops):
    """A small network whose norms know the crops and whose answers differ from crop to crop."""
    torch.manual_seed(0)
    body = build("small")
    wrapped = TorchPredictor(body, network("small").input, FER2013, name="eight")
    planes = wrapped.graph.normalise(torch.tensor(crops[:32])[:, None].float())
    for module in body.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1 - 0.9**30  # what thirty passes come to
    body.train()
    with torch.no_grad():
        body(planes)
        body[-1].weight *= 20
        body.eval()
        body[-1].bias -= body(planes).mean(0)  # else one expression would be the answer to all
    return wrapped


@pytest.fixture(scope="module")
def graphs(predictor, crops):
    model, head = with_features(to_onnx(predictor))
    return model, quantise(model, crops[:64]), head


def dataset(crops, indices):
    n = len(crops)
    return Dataset(
        name="made",
        images=crops,
        indices=indices,
        labels=FER2013,
        splits=text_column(["public"] * n),
        rows=np.arange(n),
        licence="none",
    )


def test_answers_are_nearly_those_of_float32(graphs, crops):
    model, small, _ = graphs
    expected, found = run_graph(model, crops), run_graph(small, crops)
    alike = [np.corrcoef(expected[:, k], found[:, k])[0, 1] for k in range(7)]
    assert min(alike) > 0.97
    assert small.ByteSize() < 0.3 * model.ByteSize()


def test_every_convolution_is_in_seven_of_eight_bits(graphs):
    _, small, _ = graphs
    kinds = {tensor.name: tensor for tensor in small.graph.initializer}
    makers = {node.output[0]: node for node in small.graph.node}
    convolutions = [node for node in small.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 15
    for node in convolutions:
        values = numpy_helper.to_array(kinds[makers[node.input[1]].input[0]])
        assert values.dtype == np.int8
        assert abs(values.astype(int)).max() <= 64


def test_weights_are_rounded_to_the_nearest_step(graphs):
    model, small, _ = graphs
    given = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kept = dequantised(small.graph)
    kernels = [name for name, values in given.items() if values.ndim == 4 and values.size > 1]
    assert len(kernels) == 15
    for name in kernels:
        step = abs(given[name]).max(axis=(1, 2, 3), keepdims=True) / 63.5
        assert (abs(kept[name] - given[name]) <= 0.52 * step).all(), name


def test_the_head_stays_float32_and_exact(graphs, crops):
    _, small, head = graphs
    features = run_graph(small, crops[:8], FEATURES)
    np.testing.assert_allclose(logits_of(features, head), run_graph(small, crops[:8]), rtol=1e-4, atol=1e-4)


def test_dense_layers_but_the_last_are_in_eight_bits(crops, exported):
    model = with_features(exported("deepface-emotion")[1])[0]
    small = quantise(model, crops[:32])
    makers = {node.output[0]: node.op_type for node in small.graph.node}
    dense = [node for node in small.graph.node if node.op_type in ("Gemm", "MatMul")]
    assert [makers.get(node.input[1], "") == "DequantizeLinear" for node in dense] == [True, True, False]
    found, expected = softmax(run_graph(small, crops)), softmax(run_graph(model, crops))
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_an_export_is_calibrated_as_it_answers(predictor, graphs, crops, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "AGREEMENT", 0.9)  # it was never trained: many answers are nearly ties
    truth = predictor.logits(crops).argmax(1)
    truth[::4] = (truth[::4] + 1) % 7
    data = dataset(crops, truth.astype(np.int64))
    seen = Fitted("made", None, ("train",)), (Fitted("before"),)
    provenance = Provenance("small", "Eight bits.", "made", "none", "none", fitted=seen[0], fitted_before=seen[1])
    model, _, head = graphs
    manifest = export_graph(model, predictor, data, tmp_path, provenance, head=head, ranges=crops[:64])
    assert manifest.precision == "int8"
    assert manifest == Manifest.read(tmp_path / "eight.json")
    assert manifest.seen == (seen[0], *seen[1])
    logits = run_graph(onnx.load(tmp_path / "eight.onnx"), crops)
    assert manifest.temperature == pytest.approx(fit_temperature(logits, data.indices), rel=1e-5)
    shipped = open_model(str(tmp_path / "eight.onnx"))
    np.testing.assert_allclose(shipped.logits(crops), logits, atol=1e-4)
    again = rebuild(Manifest.read(tmp_path / "eight.json"), tmp_path)
    np.testing.assert_allclose(softmax(again.logits(crops)), softmax(logits), atol=0.2)
    assert (again.logits(crops).argmax(1) == logits.argmax(1)).mean() > 0.9


def test_eight_bits_that_change_the_answers_are_refused(predictor, graphs, crops, tmp_path, monkeypatch):
    def broken(model, _):
        other = onnx.ModelProto()
        other.CopyFrom(model)
        first = next(tensor for tensor in other.graph.initializer if tensor.name.endswith("body.0.weight"))
        first.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(first), first.name))
        return other

    monkeypatch.setattr(export_module, "quantise", broken)
    data = dataset(crops, np.arange(len(crops)) % 7)
    with pytest.raises(ModelError, match=r"in eight bits it reads .* export it without --int8"):
        export_graph(graphs[0], predictor, data, tmp_path, ABOUT, ranges=crops)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("changed", ["graph", "head"])
def test_a_graph_or_a_head_that_differs_from_the_network_is_refused(predictor, graphs, crops, tmp_path, changed):
    model, _, head = graphs
    other, data = onnx.ModelProto(), dataset(crops, np.arange(len(crops)) % 7)
    other.CopyFrom(model)
    if changed == "graph":
        [bias] = [tensor for tensor in other.graph.initializer if list(tensor.dims) == [7]]
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.eye(7, dtype=np.float32)[0], bias.name))
    else:
        head = Head.of(head.pooling, head.matrix, np.array(head.bias) + np.eye(7)[0])
    message = "a probability differs by .* what was fitted" if changed == "graph" else "its feature map and folded head"
    with pytest.raises(ModelError, match=f"eight: {message}"):
        export_graph(other, predictor, data, tmp_path, ABOUT, head=head)
    assert not list(tmp_path.iterdir())
