"""Face-recognition networks as feature extractors: small ONNX networks, against numpy and scikit-learn."""

from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mien.core.errors import ModelError, TrainingError
from mien.core.predictor import softmax
from mien.core.preprocess import InputSpec
from mien.data.load import load_dataset
from mien.models.export import Provenance, export_graph
from mien.models.onnx_embedding import TABLE_I, OnnxEmbedding
from mien.runtime.inference.library import open_model
from mien.training.embedding_head import embed, fit_head

GREY = InputSpec(mean=(120.0,) * 3, std=(60.0,) * 3)
ABOUT = Provenance("net", "A test.", "drawn faces", "made up", "made up")


def network(path, *, shape=("n", 3, 24, 24), width=12, opset=17, output=None, kind=TensorProto.FLOAT, seed=0):
    """An average over windows of 8 and a dense layer: picture ``shape`` to ``width`` values, NCHW or NHWC."""
    rng = np.random.default_rng(seed)
    last = shape[3] in (1, 3)
    height, wide, planes = (shape[1], shape[2], shape[3]) if last else (shape[2], shape[3], shape[1])
    cells = planes * (height // 8) * (wide // 8)
    nodes = [helper.make_node("Transpose", ["picture"], ["turned"], perm=[0, 3, 1, 2])] if last else []
    nodes += [
        helper.make_node(
            "AveragePool", ["turned" if last else "picture"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]
        ),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["vector"]),
    ]
    weights = {"w": rng.normal(size=(cells, width)).astype(np.float32), "b": rng.normal(size=width).astype(np.float32)}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("picture", kind, shape)],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, output or [shape[0], width])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return weights


def by_hand(weights, planes):
    """The same in numpy, of normalised planes ``(n, 3, h, w)``."""
    n, c, h, w = planes.shape
    cut = planes[:, :, : h // 8 * 8, : w // 8 * 8]
    pooled = cut.reshape(n, c, h // 8, 8, w // 8, 8).mean((3, 5))
    return pooled.reshape(n, -1) @ weights["w"] + weights["b"]


CROPS = np.random.default_rng(1).integers(0, 256, (5, 48, 48), dtype=np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [("n", 3, 48, 48), (1, 3, 48, 48), ("n", 48, 48, 3)])
def test_grey_crops_reach_the_network_as_three_normalised_planes(tmp_path, shape):
    weights = network(tmp_path / "net.onnx", shape=shape)
    found = OnnxEmbedding(tmp_path / "net.onnx", GREY)
    planes = np.repeat(((CROPS - 120.0) / 60.0)[:, None], 3, axis=1)
    np.testing.assert_allclose(found.features(CROPS), by_hand(weights, planes), atol=1e-4)
    assert found.width == 12
    assert found.features(CROPS[:0]).shape == (0, 12)
    assert found.parameters == weights["w"].size + weights["b"].size


def test_colour_comes_in_the_networks_own_order(tmp_path):
    weights = network(tmp_path / "net.onnx", shape=("n", 3, 48, 48))
    spec = InputSpec(channels=3, mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 3.0))
    planes = ((COLOUR - np.array(spec.mean)) / np.array(spec.std)).transpose(0, 3, 1, 2)
    rgb = OnnxEmbedding(tmp_path / "net.onnx", spec)
    np.testing.assert_allclose(rgb.features(COLOUR), by_hand(weights, planes), rtol=1e-4, atol=1e-3)
    bgr = OnnxEmbedding(tmp_path / "net.onnx", spec, order="bgr")
    np.testing.assert_allclose(bgr.features(COLOUR), by_hand(weights, planes[:, ::-1]), rtol=1e-4, atol=1e-3)


def test_crops_are_resized_to_a_network_that_is_not_square(tmp_path):
    weights = network(tmp_path / "deepid.onnx", shape=("n", 96, 80, 3))
    found = OnnxEmbedding(tmp_path / "deepid.onnx", GREY).features(CROPS)
    scaled = ((CROPS - 120.0) / 60.0).astype(np.float32)
    large = np.stack([cv2.resize(crop, (80, 96), interpolation=cv2.INTER_LINEAR) for crop in scaled])
    np.testing.assert_allclose(found, by_hand(weights, np.repeat(large[:, None], 3, axis=1)), atol=1e-3)


def test_an_old_network_is_converted(tmp_path):
    weights = network(tmp_path / "old.onnx", shape=("n", 3, 48, 48), opset=11)
    planes = np.repeat(((CROPS - 120.0) / 60.0)[:, None], 3, axis=1)
    np.testing.assert_allclose(
        OnnxEmbedding(tmp_path / "old.onnx", GREY).features(CROPS), by_hand(weights, planes), atol=1e-4
    )


@pytest.fixture
def faces(face_folder):
    data = load_dataset(face_folder, GREY)
    return data.split("train"), data.split("validation"), data.split("test")


def test_a_logistic_head_is_scikit_learns(tmp_path, faces):
    network(tmp_path / "net.onnx", width=40)
    embedding = OnnxEmbedding(tmp_path / "net.onnx", GREY)
    fitted, validation, _ = faces
    head = fit_head(embedding, fitted, name="ours", penalty=0.5)
    scaler = StandardScaler().fit(embedding.features(fitted.images))
    reference = LogisticRegression(C=0.5, max_iter=2_000)
    reference.fit(scaler.transform(embedding.features(fitted.images)), fitted.indices)
    vectors = embedding.features(validation.images)
    logits = head.logits(validation.images)
    found = softmax(logits)
    np.testing.assert_allclose(found, reference.predict_proba(scaler.transform(vectors)), atol=2e-3)
    accuracy = (logits.argmax(1) == validation.indices).mean()
    assert accuracy == pytest.approx(reference.score(scaler.transform(vectors), validation.indices))
    assert accuracy > 0.3  # chance is 1/7


@pytest.mark.parametrize("head", ["logistic", "svm"])
def test_network_and_head_become_a_model_like_any_other(tmp_path, faces, head):
    network(tmp_path / "net.onnx", width=40)
    embedding = OnnxEmbedding(tmp_path / "net.onnx", GREY)
    fitted, validation, test = faces
    found = fit_head(embedding, fitted, name="ours", head=head, components=20 if head == "svm" else None)
    manifest = export_graph(found.to_onnx(), found, validation, tmp_path / "out", ABOUT)
    model = open_model(tmp_path / "out" / "ours.onnx")
    logits = embedding.features(test.images) @ found.weight.T + found.bias
    np.testing.assert_allclose(model.logits(test.images), logits, atol=1e-4)
    assert manifest.parameters == embedding.parameters + 7 * 41
    assert (softmax(model.logits(test.images)).argmax(1) == test.indices).mean() > 0.3


@pytest.mark.parametrize("value", ["head_weight", "head_bias", "net_w"])
def test_a_graph_that_differs_from_the_fitted_head_is_refused(tmp_path, faces, value):
    """Head, offset or network: one number that is another is enough."""
    network(tmp_path / "net.onnx", width=40)
    found = fit_head(OnnxEmbedding(tmp_path / "net.onnx", GREY), faces[0], name="ours")
    graph = found.to_onnx()
    [tensor] = [one for one in graph.graph.initializer if one.name == value]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += 0.1
    tensor.CopyFrom(numpy_helper.from_array(values, value))
    with pytest.raises(ModelError, match=r"ours: a probability differs by .* between what was fitted and its graph"):
        export_graph(graph, found, faces[1], tmp_path / "out", ABOUT)
    assert not (tmp_path / "out").exists()


def test_vectors_are_computed_once_for_each_network_and_dataset(tmp_path, faces, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    network(tmp_path / "net.onnx")
    network(tmp_path / "other.onnx", seed=9)
    asked = []
    original = OnnxEmbedding.features
    monkeypatch.setattr(OnnxEmbedding, "features", lambda self, crops: asked.append(1) or original(self, crops))
    embedding = OnnxEmbedding(tmp_path / "net.onnx", GREY)
    first = embed(embedding, faces[1].images)
    assert np.array_equal(first, embed(embedding, faces[1].images))
    assert len(asked) == 1
    embed(OnnxEmbedding(tmp_path / "other.onnx", GREY), faces[1].images)
    embed(OnnxEmbedding(tmp_path / "net.onnx", replace(GREY, mean=(1.0,) * 3)), faces[1].images)
    embed(embedding, faces[2].images)
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"shape": ("n", 1, 48, 48)}, "takes 1 planes, the input spec normalises 3"),
        ({"kind": TensorProto.DOUBLE}, "is no ONNX network|expected a float32 input"),
    ],
)
def test_networks_of_another_kind_are_refused(tmp_path, how, message):
    network(tmp_path / "net.onnx", **how)
    with pytest.raises(ModelError, match=message):
        OnnxEmbedding(tmp_path / "net.onnx", GREY)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no network at"):
        OnnxEmbedding(tmp_path / "none.onnx", GREY)
    (tmp_path / "text.onnx").write_bytes(b"text")
    with pytest.raises(ModelError, match="is no ONNX network"):
        OnnxEmbedding(tmp_path / "text.onnx", GREY)


def test_a_class_without_pictures_is_refused(tmp_path, faces):
    network(tmp_path / "net.onnx")
    fitted = faces[0].take(faces[0].indices != 3)
    with pytest.raises(TrainingError, match="no picture of happy"):
        fit_head(OnnxEmbedding(tmp_path / "net.onnx", GREY), fitted, name="ours")


def test_table_i_is_the_papers():
    assert [(n.name, n.parameters, n.outputs) for n in TABLE_I] == [
        ("VGG-Face", 145_002_878, 2_622),
        ("FaceNet", 22_808_144, 128),
        ("OpenFace", 3_743_280, 128),
        ("DeepFace", 137_774_071, 8_631),
        ("DeepID", 400_000, 160),
    ]
