"""Networks in eight bits: weights as int8, what flows between layers as uint8, both by scales fitted beforehand.

A graph of ordinary convolutions takes a quarter of the space, and of the time where the processor multiplies eight bits
at once (VNNI on x86-64, dot product on Arm). Depthwise convolutions gain nothing; their weights can at least be stored
in 16 bits.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from mien.core.preprocess import Image
from mien.models.head import FEATURES

ROWS = 512
"""Crops that the ranges are taken from."""

_LAYERS = ("Conv", "Gemm", "MatMul", "Add", "Relu", "MaxPool")
_CHUNK = 64
_WORTH_A_CAST = 64
"""Values from which on a constant saves more than the node that casts it takes."""


def quantise(model: onnx.ModelProto, crops: Image) -> onnx.ModelProto:
    """The graph with convolutions and inner dense layers in eight bits; inputs and outputs stay as they were.

    Static quantisation with one scale for each output channel of a layer and the range that each tensor takes on
    ``crops`` (Jacob et al. 2018, arXiv 1712.05877). Weights use seven of their eight bits, so that processors without
    VNNI, which add pairs of products in 16 bits, do not overflow. The last layer, and whatever lies between
    ``features`` and the logits, stay float32: class activation maps are made from these.

    Args:
        model: takes ``crops``; see :func:`mien.models.export.to_onnx`.
        crops: uint8 ``(n, *input.shape)``, rows that fitted the weights; :data:`ROWS` are enough.
    """

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[Image] = iter([crops[i : i + _CHUNK] for i in range(0, len(crops), _CHUNK)])

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"crops": batch}

    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)  # it advises to do what is done here
    try:
        with tempfile.TemporaryDirectory() as folder:
            given, prepared, quantised = (Path(folder) / f"{name}.onnx" for name in ("given", "prepared", "quantised"))
            onnx.save(model, given)
            quant_pre_process(given, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                quantised,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_LAYERS),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=_kept(onnx.load(prepared).graph),
                calibrate_method=CalibrationMethod.MinMax,
            )
            result = onnx.load(quantised)
    finally:
        logger.setLevel(before)
    result.graph.ClearField("value_info")
    result.ClearField("metadata_props")
    onnx.checker.check_model(result, full_check=True)
    return result


def stored_in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its float32 constants stored as float16, and cast back where it computes with them.

    A float16 holds three digits, which is enough for weights that were rounded to it before; what flows between layers
    stays float32, so that the graph is as fast on every processor.
    """
    casts = []
    for value in model.graph.initializer:
        if value.data_type != onnx.TensorProto.FLOAT or numpy_helper.to_array(value).size < _WORTH_A_CAST:
            continue
        name = value.name
        value.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(value).astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [value.name], [name], to=onnx.TensorProto.FLOAT))
    for node in reversed(casts):
        model.graph.node.insert(0, node)
    return model


def dequantised(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """The constants of a graph by name, those in eight bits as the floats that they stand for."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            values, scale, zero = (constants[name] for name in node.input)
            shape = [-1 if i == _axis(node) and scale.ndim else 1 for i in range(values.ndim)]
            floats = (values.astype(np.float32) - zero.reshape(shape).astype(np.float32)) * scale.reshape(shape)
            constants[node.input[0].removesuffix("_quantized")] = floats
    return constants


def _axis(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)


def _kept(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that stay float32: from the logits back to the feature map and to what added it up."""
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    behind = any(output.name == FEATURES for output in graph.output)
    names, tensor = [], "logits"
    while (node := makers.get(tensor)) is not None and node.op_type != "Conv":
        names.append(node.name)
        sums = node.op_type == "Add" and not constants & set(node.input)
        if sums or (not behind and node.op_type in ("Gemm", "MatMul")):
            break
        tensor = node.input[0]
    return names
