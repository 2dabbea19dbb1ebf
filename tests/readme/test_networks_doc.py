"""docs/networks.md: its recipes load, and its commands run on a small network in the place of FaceNet."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.training.recipe import Recipe
from readme.blocks import blocks

BLOCKS = blocks("docs/networks.md")


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "yaml"], ids=lambda b: f"line {b.line}")
def test_its_recipes_load(block, tmp_path):
    block.run(tmp_path)
    name = block.code.partition("\n")[0].removeprefix("# ")
    assert f"{Recipe.read(tmp_path / name).name}.yaml" == name


def face_network(path):
    """160 x 160 RGB, last axis the planes as FaceNet has it, to 128 values."""
    weight = np.random.default_rng(0).normal(size=(3 * 8 * 8, 128)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[20, 20], strides=[20, 20]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "facenet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 160, 160, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 128])],
        [numpy_helper.from_array(weight, "weight")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.mark.slow
def test_a_face_network_becomes_a_model(desk, face_folder):
    shutil.copytree(face_folder, desk / "my-faces")
    face_network(desk / "facenet.onnx")
    [block] = [b for b in BLOCKS if "mien embed" in b.code]
    printed = block.run(desk)
    assert "128 features" in printed
    manifest = json.loads((desk / "models" / "facenet-svm.json").read_text())
    assert manifest["parameters"] == 3 * 8 * 8 * 128 + 7 * 129
    assert manifest["input"]["channels"] == 3
