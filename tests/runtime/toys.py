"""A small real ONNX model with random weights, and where the real YuNet is."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from mien.core.expression import FER2013, Labels
from mien.core.manifest import Manifest, sha256
from mien.core.preprocess import InputSpec

YUNET = "face_detection_yunet_2026may.onnx"


def write_model(
    folder: Path,
    name: str = "toy",
    *,
    size: int = 48,
    channels: int = 1,
    labels: Labels = FER2013,
    outputs: int | None = None,
    seed: int = 0,
    **fields: object,
) -> Path:
    """An ONNX file with random weights and its manifest; the path of the manifest.

    The graph: normalise, average 8 x 8 pixel patches by a convolution, flatten, one dense layer.
    """
    outputs = outputs or len(labels)
    random = np.random.default_rng(seed)
    patches = (size // 8) ** 2 * 4
    axes = [1] if channels == 1 else []
    weights = {
        "mean": np.float32(129),
        "std": np.float32(65),
        "kernel": random.normal(0, 0.05, (4, channels, 8, 8)).astype(np.float32),
        "dense": random.normal(0, 0.3, (patches, outputs)).astype(np.float32),
        "bias": random.normal(0, 0.3, outputs).astype(np.float32),
        "axes": np.array(axes, dtype=np.int64),
    }
    shape = ["n", size, size] if channels == 1 else ["n", size, size, 3]
    to_planes = (
        helper.make_node("Unsqueeze", ["normal", "axes"], ["planes"])
        if channels == 1
        else helper.make_node("Transpose", ["normal"], ["planes"], perm=[0, 3, 1, 2])
    )
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["normal"]),
        to_planes,
        helper.make_node("Conv", ["planes", "kernel"], ["maps"], strides=[8, 8]),
        helper.make_node("Tanh", ["maps"], ["active"]),
        helper.make_node("Flatten", ["active"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", outputs])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()],
    )
    folder.mkdir(parents=True, exist_ok=True)
    onnx_path = folder / f"{name}.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), onnx_path)
    values: dict[str, object] = {
        "summary": "A network with random weights.",
        "network": "toy",
        "input": InputSpec(size=size, channels=channels, mean=(129.0,) * channels, std=(65.0,) * channels),
        "parameters": sum(weights[key].size for key in ("kernel", "dense", "bias")),
        "trained_on": "nothing",
        "data_licence": "none",
        "weights_licence": "Apache-2.0",
        "temperature": 1.5,
        "conformal_thresholds": tuple(0.12 + 0.01 * i for i in range(len(labels))),
        "coverage": 0.9,
        "energy_threshold": -100.0,
    } | fields
    manifest = Manifest(
        name=name,
        file=onnx_path.name,
        sha256=sha256(onnx_path),
        bytes=onnx_path.stat().st_size,
        labels=labels,
        **values,  # type: ignore[arg-type]
    )
    manifest.write(folder / f"{name}.json")
    return folder / f"{name}.json"


def yunet_file() -> Path:
    """The real YuNet file, or a skip with its reason."""
    folder = Path(os.environ.get("MIEN_MODELS", Path(__file__).parents[3] / "shared" / "models"))
    if not (folder / YUNET).is_file():
        pytest.skip(f"needs {YUNET} in the folder that MIEN_MODELS names; it is not in {folder}")
    return folder / YUNET


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds not one pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
