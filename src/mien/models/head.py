"""The last feature map as a second output of an exported graph, and the head that follows it, read from the graph.

Class activation maps without torch need both. Nothing is computed anew: the feature map is a tensor that the graph
makes anyway.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from mien.core.manifest import Head
from mien.core.predictor import Floats
from mien.core.preprocess import Image

FEATURES = "features"

_CHUNK = 256

Matrix = NDArray[np.float64]

_POOLS: dict[str, Literal["max", "average"]] = {
    "ReduceMax": "max",
    "GlobalMaxPool": "max",
    "ReduceMean": "average",
    "GlobalAveragePool": "average",
}
_SAME_VALUES = ("Flatten", "Reshape", "Squeeze", "Identity", "Dropout")


def with_features(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Head | None]:
    """The graph with the output ``features``, float32 ``(n, C, h, w)``, and its head.

    From ``logits`` backwards, affine layers are folded into one until a global pool is met; what it pools is the
    feature map. A network that ends otherwise (an activation behind the pool, no global pool) comes back as it was,
    with None. The nodes and weights stay what they are, and so does every logit.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor).astype(np.float64) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    tensor, classes = "logits", graph.output[0].type.tensor_type.shape.dim[1].dim_value
    weights, bias = np.eye(classes), np.zeros(classes)
    while (node := makers.get(tensor)) is not None and node.op_type not in _POOLS:
        step = _affine(node, constants)
        if step is None:
            return model, None
        tensor, matrix, offset = step
        bias = bias + weights @ offset if offset is not None else bias
        weights = weights @ matrix if matrix is not None else weights
    if node is None or not _is_global(node, constants):
        return model, None
    shape = _shape(model, node.input[0])
    if shape is None or len(shape) != 4 or shape[1] != weights.shape[1]:
        return model, None
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    _rename(edited.graph, node.input[0], FEATURES)
    edited.graph.output.append(onnx.helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, ["n", *shape[1:]]))
    onnx.checker.check_model(edited, full_check=True)
    return edited, Head.of(_POOLS[node.op_type], weights, bias)


def logits_of(features: Floats, head: Head) -> Floats:
    """Logits ``(n, K)`` of features ``(n, C, h, w)``, by the head alone."""
    values = features.max(axis=(2, 3)) if head.pooling == "max" else features.mean(axis=(2, 3))
    logits: Floats = values @ head.matrix.T + np.array(head.bias, dtype=np.float32)
    return logits


def run_graph(model: onnx.ModelProto, crops: Image, output: str = "logits") -> Floats:
    """One output of a graph for its one input, ``(n, ...)`` uint8, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    chunks = [crops[begin : begin + _CHUNK] for begin in range(0, len(crops), _CHUNK)] or [crops]
    takes = session.get_inputs()[0].name
    values: Floats = np.concatenate([session.run([output], {takes: chunk})[0] for chunk in chunks])
    return values


def _affine(node: onnx.NodeProto, constants: dict[str, Matrix]) -> tuple[str, Matrix | None, Matrix | None] | None:
    """A node as ``output = matrix @ input + offset``: its input, and the two; None where it is no such thing."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    moving = [name for name in node.input if name and name not in constants]
    fixed = [constants[name] for name in node.input if name in constants]
    if not moving or moving[0] != node.input[0] or len(moving) > 1:
        return None
    if node.op_type in _SAME_VALUES:
        return moving[0], None, None
    if node.op_type == "Gemm" and not attributes.get("transA"):
        matrix = fixed[0] if attributes.get("transB") else fixed[0].T
        offset = attributes.get("beta", 1.0) * np.broadcast_to(fixed[1], len(matrix)) if len(fixed) > 1 else None
        return moving[0], attributes.get("alpha", 1.0) * matrix, offset
    if node.op_type == "MatMul":
        return moving[0], fixed[0].T, None
    if node.op_type in ("Add", "Sub") and fixed[0].size > 1:
        return moving[0], None, fixed[0].ravel() * (1 if node.op_type == "Add" else -1)
    if node.op_type in ("Mul", "Div") and fixed[0].size > 1:
        values = fixed[0].ravel()
        return moving[0], np.diag(values if node.op_type == "Mul" else 1 / values), None
    if node.op_type == "BatchNormalization":
        scale, shift, mean, variance = fixed
        factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
        return moving[0], np.diag(factor), shift - mean * factor
    return None


def _is_global(node: onnx.NodeProto, constants: dict[str, Matrix]) -> bool:
    if node.op_type.startswith("Global"):
        return True
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    axes = attributes.get("axes") or constants.get(node.input[1] if len(node.input) > 1 else "", np.empty(0))
    return sorted(int(axis) % 4 for axis in np.asarray(axes).ravel()) == [2, 3]


def _shape(model: onnx.ModelProto, tensor: str) -> list[int] | None:
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        if value.name == tensor:
            return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
    return None


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
