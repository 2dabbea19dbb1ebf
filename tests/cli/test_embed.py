"""``mien embed``: what a person can get wrong."""

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.cli import main


@pytest.fixture
def mien(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


@pytest.fixture
def network(tmp_path):
    """48 x 48 RGB to 75 values: an average over windows, and a random turn of it."""
    weight = np.random.default_rng(0).normal(size=(108, 75)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 48, 48])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 75])],
        [numpy_helper.from_array(weight, "weight")],
    )
    path = tmp_path / "faces.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_network_becomes_a_model_that_is_measured(mien, network, face_folder, tmp_path):
    out = tmp_path / "models"
    code, said, err = mien(
        *("embed", network, face_folder, "--grey", "--size", 48, "--mean", "120", "--std", "60,60,60"),
        *("--head", "logistic", "--penalty", "0.1", "--out", out, "--name", "ours"),
    )
    assert code == 0, err
    assert "75 features, 8,632 values" in said
    code, said, err = mien("evaluate", out / "ours.onnx", face_folder, "--split", "test", "--json")
    assert code == 0, err
    assert "head fitted on 140 rows of train, calibrated on 56 of validation" in said


def test_a_person_in_two_splits_is_refused(mien, network, face_folder, tmp_path):
    rows = [f"{face_folder / split / 'sad' / '000.png'},sad,ann,{split}" for split in ("train", "validation")]
    (tmp_path / "persons.csv").write_text("\n".join(["path,label,subject,split", *rows]) + "\n")
    code, _, err = mien("embed", network, tmp_path / "persons.csv", "--grey", "--size", 48, "--out", tmp_path)
    assert code == 1
    assert "1 persons stand in 'train' and in 'validation' (ann)" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mean", "1,2"], 1, "--mean 1,2: expected one number, or three"),
        (["--std", "zero"], 1, "--std zero: expected one number"),
        (["--std", "0"], 1, "std above 0"),
        (["--head", "forest"], 2, "not one of logistic, svm"),
        (["--train", "test", "--validation", "test"], 1, "both 'test'"),
        (["--train", "nowhere"], 1, "has no split 'nowhere'"),
    ],
)
def test_wrong_settings_are_named(mien, network, face_folder, tmp_path, arguments, code, message):
    found, _, err = mien("embed", network, face_folder, "--grey", "--size", 48, "--out", tmp_path, *arguments)
    assert found == code
    assert message in " ".join(err.replace("│", " ").split())


def test_a_missing_network_is_named(mien, tmp_path, face_folder):
    code, _, err = mien("embed", tmp_path / "none.onnx", face_folder)
    assert code == 1
    assert "no network at" in err
