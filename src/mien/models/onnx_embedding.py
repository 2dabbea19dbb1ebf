"""Any ONNX network that embeds faces, as a feature extractor, and the head on top of it as an ordinary model."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from mien.core.errors import ModelError
from mien.core.expression import Labels
from mien.core.fitted import Fitted
from mien.core.manifest import sha256
from mien.core.predictor import Floats
from mien.core.preprocess import Image, InputSpec

_OPSET = 17
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class FaceNetwork:
    """A row of paper 000's Table I: networks trained to tell faces apart, whose features can be reused.

    Attributes:
        name: as the paper writes it.
        parameters: as the paper counts them.
        input: height, width and channels of its crops.
        outputs: values that it gives for a face; for VGG-Face and DeepFace the paper counts the persons of the last
            layer, the embedding is the layer before it.
        accuracy: share of pairs told right in recognising persons, not expressions, by the paper.
        source: where the network is from.
    """

    name: str
    parameters: int
    input: tuple[int, int, int]
    outputs: int
    accuracy: float
    source: str


TABLE_I = (
    FaceNetwork("VGG-Face", 145_002_878, (224, 224, 3), 2_622, 0.905, "Parkhi et al. 2015, Deep Face Recognition"),
    FaceNetwork("FaceNet", 22_808_144, (160, 160, 3), 128, 0.9963, "Schroff et al. 2015 (arXiv 1503.03832)"),
    FaceNetwork("OpenFace", 3_743_280, (96, 96, 3), 128, 0.973, "Amos et al. 2016, CMU-CS-16-118"),
    FaceNetwork("DeepFace", 137_774_071, (152, 152, 3), 8_631, 0.9735, "Taigman et al. 2014, DeepFace"),
    FaceNetwork("DeepID", 400_000, (55, 47, 3), 160, 0.9605, "Sun et al. 2014, Deep Learning Face Representation"),
)
"""Paper 000's Table I. mien ships none of them: bring the ONNX file, and mind its licence."""


class OnnxEmbedding:
    """An ONNX network from a face's picture to a vector, taking mien's uint8 crops.

    Crops are normalised, spread over three planes if they are grey, resized to what the network takes, and laid out as
    it wants them, all within the graph, so that the model that comes out needs nothing around it.

    Args:
        path: the network: one float32 input of one or three planes, and one output for each picture.
        spec: the crops, and the mean and deviation that the network wants, a value for each of its planes.
        order: of the network's three planes.

    Raises:
        ModelError: no such file, no network, or not one of this kind.
    """

    def __init__(self, path: Path, spec: InputSpec, *, order: Literal["rgb", "bgr"] = "rgb") -> None:  # noqa: D107
        network = _read(path)
        self.path = path
        self.input = spec
        self.sha256 = sha256(path)
        self.parameters = sum(int(np.prod(value.dims)) for value in network.graph.initializer)
        self.graph = _embedding_graph(network, spec, order, path)
        self._session = _open(self.graph, path)
        try:
            found = self._run(np.zeros((2, *spec.shape), dtype=np.uint8))
        except Exception as error:  # ONNX Runtime's errors share no base of their own
            raise ModelError(f"{path} cannot take two crops at a time: {_first_line(error)}") from None
        if found.ndim != 2 or len(found) != 2 or not np.isfinite(found).all():
            raise ModelError(f"{path} gave {found.shape} for two crops, expected finite values, a row for each")
        self.width = found.shape[1]

    def features(self, crops: Image) -> Floats:
        """Vectors ``(n, width)`` of uint8 crops ``(n, *input.shape)``."""
        parts = [self._run(crops[begin : begin + _CHUNK]) for begin in range(0, len(crops), _CHUNK)]
        return np.concatenate(parts) if parts else np.empty((0, self.width), dtype=np.float32)

    def _run(self, crops: Image) -> Floats:
        found: Floats = self._session.run(["features"], {"crops": np.ascontiguousarray(crops)})[0]
        return found


class HeadedEmbedding:
    """A face network and the linear head that was fitted on its vectors, as a :class:`~mien.core.predictor.Predictor`.

    Args:
        embedding: the network.
        weight: ``(K, width)``.
        bias: ``(K,)``.
        labels: K outputs.
        name: what results call it.
        features: vectors of crops, where they are kept; the network's own if None.
    """

    temperature = 1.0
    seen: tuple[Fitted, ...] = ()

    def __init__(  # noqa: D107
        self,
        embedding: OnnxEmbedding,
        weight: Floats,
        bias: Floats,
        labels: Labels,
        *,
        name: str,
        features: Callable[[Image], Floats] | None = None,
    ) -> None:
        self.name = name
        self.labels = labels
        self.input = embedding.input
        self.embedding = embedding
        self.weight = weight
        self.bias = bias
        self.parameters = embedding.parameters + weight.size + bias.size
        self.identity = hashlib.sha256(embedding.sha256.encode() + weight.tobytes() + bias.tobytes()).hexdigest()
        self._features = features or embedding.features

    def logits(self, crops: Image) -> Floats:
        """Logits ``(n, K)`` of uint8 crops ``(n, *input.shape)``: the head in numpy, on the network's vectors."""
        logits: Floats = (self._features(crops) @ self.weight.T.astype(np.float64) + self.bias).astype(np.float32)
        return logits

    def to_onnx(self) -> onnx.ModelProto:
        """The graph from ``crops`` to ``logits``."""
        model = onnx.ModelProto()
        model.CopyFrom(self.embedding.graph)
        model.graph.initializer.extend(
            [numpy_helper.from_array(self.weight, "head_weight"), numpy_helper.from_array(self.bias, "head_bias")]
        )
        model.graph.node.append(
            helper.make_node("Gemm", ["features", "head_weight", "head_bias"], ["logits"], transB=1)
        )
        del model.graph.output[:]
        model.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(self.bias)]))
        return model


def _read(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise ModelError(f"no network at {path}: give an ONNX file that turns a face into a vector")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # onnx raises protobuf's and its own kinds
        raise ModelError(f"{path} is no ONNX network: {_first_line(error)}") from None
    if next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0) < 13:
        try:
            model = version_converter.convert_version(model, _OPSET)
        except Exception as error:
            raise ModelError(
                f"{path} is of an old ONNX version and cannot be converted: {_first_line(error)}"
            ) from None
    return model


def _embedding_graph(
    network: onnx.ModelProto, spec: InputSpec, order: Literal["rgb", "bgr"], path: Path
) -> onnx.ModelProto:
    """The network behind normalisation: uint8 ``crops`` to float32 ``features``."""
    known = {value.name for value in network.graph.initializer}
    inputs = [value for value in network.graph.input if value.name not in known]
    if len(inputs) != 1 or len(network.graph.output) != 1:
        raise ModelError(f"{path} has {len(inputs)} inputs and {len(network.graph.output)} outputs, expected one each")
    shape = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT or len(shape) != 4:
        raise ModelError(f"{path}: expected a float32 input of four axes, found {shape}")
    last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    height, width, planes = (shape[1], shape[2], shape[3]) if last else (shape[2], shape[3], shape[1])
    if planes != spec.planes or (order == "bgr" and planes != 3):
        raise ModelError(f"{path} takes {planes} planes, the input spec normalises {spec.planes}, in the order {order}")
    nodes = [helper.make_node("Cast", ["crops"], ["pre_float"], to=TensorProto.FLOAT)]
    constants = [
        numpy_helper.from_array(np.array(spec.mean, np.float32).reshape(-1, 1, 1), "pre_mean"),
        numpy_helper.from_array(np.array(spec.std, np.float32).reshape(-1, 1, 1), "pre_std"),
    ]
    if spec.channels == 1:
        constants.append(numpy_helper.from_array(np.array([1]), "pre_axis"))
        nodes.append(helper.make_node("Unsqueeze", ["pre_float", "pre_axis"], ["pre_planes"]))
    else:
        nodes.append(helper.make_node("Transpose", ["pre_float"], ["pre_planes"], perm=[0, 3, 1, 2]))
    nodes += [
        helper.make_node("Sub", ["pre_planes", "pre_mean"], ["pre_centred"]),
        helper.make_node("Div", ["pre_centred", "pre_std"], ["pre_scaled"]),
    ]
    value = "pre_scaled"
    if (height, width) != (spec.size, spec.size) and height and width:
        nudge = 1 + 1e-6  # the side is rounded down, and 48 * float32(80 / 48) is less than 80
        scales = np.array([1, 1, height / spec.size * nudge, width / spec.size * nudge], np.float32)
        constants.append(numpy_helper.from_array(scales, "pre_scales"))
        resize = helper.make_node(
            "Resize",
            [value, "", "pre_scales"],
            ["pre_sized"],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        nodes, value = [*nodes, resize], "pre_sized"
    if order == "bgr":
        constants.append(numpy_helper.from_array(np.array([2, 1, 0]), "pre_order"))
        nodes, value = [*nodes, helper.make_node("Gather", [value, "pre_order"], ["pre_bgr"], axis=1)], "pre_bgr"
    if last:
        turned = helper.make_node("Transpose", [value], ["pre_last"], perm=[0, 2, 3, 1])
        nodes, value = [*nodes, turned], "pre_last"
    model = compose.add_prefix(network, "net_")
    graph = model.graph
    start, end = f"net_{inputs[0].name}", graph.output[0].name
    nodes += [helper.make_node("Identity", [value], [start]), *graph.node]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]  # shapes there may fix the batch
    graph.node.extend([*nodes, helper.make_node("Flatten", [end], ["features"], axis=1)])
    graph.initializer.extend(constants)
    graph.input.append(helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", *spec.shape]))
    graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", "d"]))
    return model


def _open(model: onnx.ModelProto, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base of their own
        logging.getLogger(__name__).debug("%s", error)
        raise ModelError(f"{path}: ONNX Runtime cannot run it: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
