"""The second output of exported graphs, and the head that is read from them."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from explain.networks import random_crops
from mien.models.head import FEATURES, logits_of, with_features

CROPS = np.random.default_rng(9).integers(0, 256, (6, 8, 8), dtype=np.uint8)
RNG = np.random.default_rng(4)
WEIGHTS = {
    "kernel": RNG.normal(0, 0.02, (5, 1, 3, 3)),
    "first": RNG.normal(size=(5, 6)),
    "bias": RNG.normal(size=6),
    "second": RNG.normal(size=(4, 6)),
    "shift": RNG.normal(size=4),
    "scale": RNG.normal(size=(1, 6)),
    "spread": RNG.uniform(0.5, 2, 6),
    "mean": RNG.normal(size=6),
}


def run(model: onnx.ModelProto, crops: np.ndarray, *outputs: str) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(list(outputs) or None, {"crops": crops})


def graph(pool: onnx.NodeProto, *tail: onnx.NodeProto, opset: int = 18) -> onnx.ModelProto:
    """Convolution of ``crops``, ReLU, a pool from ``relu`` to ``pool``, then the tail, which ends in ``logits``."""
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in WEIGHTS.items()]
    constants += [
        numpy_helper.from_array(np.array(value, np.int64), name)
        for name, value in {"one": [1], "last": [2, 3], "negative": [-1, -2], "rows": [2], "flat": [-1, 5]}.items()
    ]
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["float", "one"], ["planes"]),
        helper.make_node("Conv", ["planes", "kernel"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        pool,
        *tail,
    ]
    made = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4])],
        constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def node(kind: str, *inputs: str, to: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), [to], **attributes)


DENSE = (
    node("Gemm", "flat2", "first", "bias", to="hidden"),
    node("Gemm", "hidden", "second", "shift", to="logits", transB=1),
)
TAILS = {
    "two dense layers": DENSE,
    "scaled": (
        node("Gemm", "flat2", "first", "bias", to="hidden", alpha=0.5, beta=2.0),
        node("Gemm", "hidden", "second", to="logits", transB=1),
    ),
    "matrix product, sum and batch norm": (
        node("MatMul", "flat2", "first", to="product"),
        node("Add", "product", "bias", to="sum"),
        node("BatchNormalization", "sum", "spread", "bias", "mean", "spread", to="norm", epsilon=1e-3),
        node("Gemm", "norm", "second", "shift", to="logits", transB=1),
    ),
    "difference, product and quotient": (
        node("MatMul", "flat2", "first", to="product"),
        node("Sub", "product", "bias", to="difference"),
        node("Mul", "difference", "scale", to="multiplied"),
        node("Div", "multiplied", "spread", to="divided"),
        node("Identity", "divided", to="same"),
        node("Gemm", "same", "second", "shift", to="logits", transB=1),
    ),
}
POOLS = {
    "mean": (node("ReduceMean", "relu", "last", to="pool", keepdims=0), node("Identity", "pool", to="flat2")),
    "max": (node("ReduceMax", "relu", "negative", to="pool", keepdims=1), node("Reshape", "pool", "flat", to="flat2")),
    "global average": (node("GlobalAveragePool", "relu", to="pool"), node("Flatten", "pool", to="flat2")),
    "global max": (node("GlobalMaxPool", "relu", to="pool"), node("Squeeze", "pool", "last", to="flat2")),
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
@pytest.mark.parametrize("pool", POOLS.items(), ids=POOLS)
def test_affine_layers_behind_a_global_pool_are_folded_into_one(pool, tail):
    name, (pooling, flat) = pool
    model = graph(pooling, flat, *tail)
    edited, head = with_features(model)
    assert (head.pooling, head.channels, head.matrix.shape) == ("max" if "max" in name else "average", 5, (4, 5))
    assert [output.name for output in edited.graph.output] == ["logits", FEATURES]
    (before,) = run(model, CROPS)
    logits, features = run(edited, CROPS)
    np.testing.assert_array_equal(logits, before)
    assert features.shape == (6, 5, 6, 6)
    np.testing.assert_allclose(logits_of(features, head), logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max())
    assert [output.name for output in model.graph.output] == ["logits"]


@pytest.mark.parametrize(
    "tail",
    [
        (
            *(
                POOLS["mean"][1],
                node("Gemm", "flat2", "first", "bias", to="hidden"),
                node("Relu", "hidden", to="active"),
            ),
            node("Gemm", "active", "second", "shift", to="logits", transB=1),
        ),
        (
            *(POOLS["mean"][1], node("Gemm", "flat2", "first", "bias", to="hidden")),
            *(
                node("Mul", "hidden", "hidden", to="square"),
                node("Gemm", "square", "second", "shift", to="logits", transB=1),
            ),
        ),
    ],
    ids=["activation", "square"],
)
def test_a_head_that_is_not_affine_is_none(tail):
    model = graph(POOLS["mean"][0], *tail)
    edited, head = with_features(model)
    assert head is None
    assert edited == model


def test_a_pool_over_one_axis_is_none():
    narrow = node("ReduceMean", "relu", "rows", to="pool", keepdims=0)
    rest = (node("ReduceMean", "pool", "rows", to="flat2", keepdims=0), *DENSE)
    assert with_features(graph(narrow, *rest))[1] is None


@pytest.mark.parametrize(
    ("name", "pooling", "shape"), [("resezap", "max", (96, 7, 7)), ("tiny", "average", (96, 6, 6))]
)
def test_registered_networks_keep_their_features(name, pooling, shape, exported):
    predictor, model = exported(name)
    edited, head = with_features(model)
    crops = random_crops(predictor, 5)
    logits, features = run(edited, crops)
    assert (head.pooling, features.shape) == (pooling, (5, *shape))
    np.testing.assert_allclose(logits, predictor.logits(crops), atol=1e-4)
    np.testing.assert_allclose(logits_of(features, head), logits, atol=1e-4)
    assert run(edited, crops[:1], FEATURES)[0].shape == (1, *shape)


def test_dense_layers_with_activations_give_no_map(exported):
    assert with_features(exported("deepface-emotion")[1])[1] is None
