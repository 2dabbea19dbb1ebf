"""Class activation maps without torch, against sums by hand, and where they are laid on a picture."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mien.core.errors import LabelError, ModelError
from mien.core.expression import FER2013
from mien.core.face import Box, Face, Frame
from mien.core.heatmap import enlarge, paint, share_of_maximum
from mien.core.places import BUNDLED
from mien.core.preprocess import TEMPLATE, InputSpec, crop_face
from mien.runtime.inference.activation import ActivationMapper, activation_maps, overlay
from mien.runtime.inference.library import open_model
from mien.runtime.recognizer import Recognizer


@pytest.fixture(scope="module")
def mapper() -> ActivationMapper:
    return ActivationMapper(open_model("tiny"))


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 48, 48), dtype=np.uint8)


def test_maps_are_the_weighted_sum_of_the_features(mapper, crops):
    model = onnx.load(BUNDLED / "tiny.onnx")
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    dense, bias = weights["body.24.weight"].astype(np.float64), weights["body.24.bias"]
    features = np.concatenate(list(mapper.classifier.features(crops))).astype(np.float64)
    expressions = [FER2013[n % 7] for n in range(9)]
    expected = np.zeros((9, 6, 6))
    for n, expression in enumerate(expressions):
        for channel, weight in enumerate(dense[FER2013.index(expression)]):
            expected[n] += weight * features[n, channel] / 36
    maps = mapper.maps(crops, expressions, relu=False)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=1e-6)
    np.testing.assert_array_equal(mapper.maps(crops, expressions), np.maximum(maps, 0))
    # behind an average pool the map adds up to the logit itself
    logits = mapper.classifier.logits(crops)
    for n, expression in enumerate(expressions):
        index = FER2013.index(expression)
        assert maps[n].sum() == pytest.approx(logits[n, index] - bias[index], abs=1e-4)


def test_one_expression_serves_all_crops_and_no_crop_gives_no_map(mapper, crops):
    np.testing.assert_array_equal(mapper.maps(crops, "happy"), mapper.maps(crops, ["happy"] * 9))
    assert len(mapper.maps(crops[:0], "happy")) == 0
    assert len(mapper.maps(crops[:0], [])) == 0


def test_many_crops_go_through_in_parts(mapper, crops):
    many = np.tile(crops, (40, 1, 1))
    expressions = [FER2013[n % 7] for n in range(360)]
    whole = mapper.maps(many, expressions)
    alone = mapper.maps(many[300:301], expressions[300])
    np.testing.assert_allclose(whole[300:301], alone, atol=1e-6)


def test_the_second_output_leaves_the_readings_as_they_are(mapper, crops):
    model = onnx.load(BUNDLED / "tiny.onnx")
    del model.graph.output[1]
    import onnxruntime

    plain = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(mapper.classifier.logits(crops), plain.run(["logits"], {"crops": crops})[0])


def test_formula_of_single_numbers():
    features = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    weights = np.array([[2, -1]], dtype=np.float32)
    np.testing.assert_allclose(activation_maps(features, weights), [[[-1, -0.75], [-0.5, -0.25]]])


def test_what_the_model_does_not_know_is_refused(mapper, crops):
    with pytest.raises(LabelError, match="tiny does not know the expression 'contempt'"):
        mapper.maps(crops, "contempt")
    with pytest.raises(LabelError, match="'hapy': did you mean 'happy'"):
        mapper.maps(crops[:0], "hapy")
    with pytest.raises(LabelError, match="2 expressions for 9 crops"):
        mapper.maps(crops, ["happy", "sad"])
    with pytest.raises(ValueError, match="takes uint8 crops"):
        mapper.maps(crops[:, 1:], "happy")


def test_a_model_without_features_is_refused_with_a_remedy(toy):
    with pytest.raises(ModelError, match=r"'toy' gives no feature map, .* export its run again"):
        ActivationMapper(open_model(toy))


def test_a_manifest_that_promises_other_features_is_refused(tmp_path):
    for suffix in ("onnx", "json"):
        (tmp_path / f"tiny.{suffix}").write_bytes((BUNDLED / f"tiny.{suffix}").read_bytes())
    content = json.loads((tmp_path / "tiny.json").read_text())
    head = content["head"]
    wrong = head | {"channels": 48, "weights": head["weights"][: len(head["weights"]) // 2]}
    (tmp_path / "tiny.json").write_text(json.dumps(content | {"head": wrong}))
    with pytest.raises(ModelError, match=r"features of \(n, 48, h, w\), the network gives \(n, 96, 6, 6\)"):
        open_model(tmp_path)


SPEC = InputSpec(size=48, channels=3, align="landmarks", mean=(0.0,) * 3, std=(1.0,) * 3)


def hot(row: int, column: int) -> np.ndarray:
    heat = np.zeros((6, 6), dtype=np.float32)
    heat[row, column] = 3
    return heat


@pytest.mark.parametrize("turn", [0, 25, 90, 180])
@pytest.mark.parametrize("margin", [0.0, 0.2])
@pytest.mark.parametrize("place", [(0, 0), (1, 4), (5, 2)])
def test_the_map_lies_where_the_crop_was_taken(turn, margin, place):
    spec = replace(SPEC, margin=margin)
    angle = np.deg2rad(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = (TEMPLATE - 0.5) @ rotation.T * 120 + (150, 140)
    face = Face(Box(90, 80, 120, 120), 1.0, landmarks=landmarks.astype(np.float32))
    picture = np.full((280, 300, 3), 40, dtype=np.uint8)
    painted = overlay(picture, hot(*place), face, spec)
    assert painted.shape == picture.shape
    crop = crop_face(painted, face, spec).astype(float).sum(axis=2) - 120
    wanted = enlarge(share_of_maximum(hot(*place))[None], 48)[0]
    row, column = np.average(np.indices((48, 48)).reshape(2, -1), axis=1, weights=crop.ravel().clip(0))
    true_row, true_column = np.average(np.indices((48, 48)).reshape(2, -1), axis=1, weights=(wanted**2).ravel())
    assert abs(row - true_row) < 1.5
    assert abs(column - true_column) < 1.5


def test_a_face_without_landmarks_is_painted_within_its_box():
    picture = np.full((100, 120, 3), 90, dtype=np.uint8)
    face = Face(Box(30, 20, 48, 60), 1.0)
    changed = (overlay(picture, np.ones((6, 6), np.float32), face, SPEC) != picture).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert abs(rows[0] - 20) <= 1
    assert abs(rows[-1] - 79) <= 1
    assert abs(columns[0] - 30) <= 1
    assert abs(columns[-1] - 77) <= 1
    assert (picture == 90).all()


@pytest.mark.parametrize(
    "box", [Box(-30, -20, 60, 60), Box(80, 70, 90, 90), Box(500, 500, 20, 20), Box(-9, -9, 999, 999)]
)
def test_faces_beyond_the_edge_are_painted_as_far_as_they_are_seen(box):
    picture = np.zeros((100, 120, 3), dtype=np.uint8)
    painted = overlay(picture, np.ones((6, 6), np.float32), Face(box, 1.0), SPEC)
    assert painted.shape == picture.shape
    assert painted.any() == (box.x < 120)


def test_nothing_positive_paints_nothing():
    picture = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    painted = overlay(picture, -np.ones((6, 6), np.float32), Face(Box(0, 0, 60, 60), 1.0), SPEC)
    np.testing.assert_array_equal(painted, picture)
    assert painted is not picture


def test_shares_and_colours():
    heat = np.array([[-2, 0], [1, 4]], dtype=np.float32)
    np.testing.assert_allclose(share_of_maximum(heat), [[0, 0], [0.25, 1]])
    assert not share_of_maximum(heat * 0).any()
    grey = np.full((2, 2, 3), 100, dtype=np.uint8)
    painted = paint(grey, share_of_maximum(heat))
    np.testing.assert_array_equal(painted[0], grey[0])
    bright = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY)
    assert bright[1, 1] > bright[0, 0]


def test_each_face_of_a_frame_is_drawn_for_its_own_model(mapper, portrait):
    frame = Recognizer("tiny", detector="haar").read(portrait)
    painted = mapper.draw(portrait, frame)
    changed = (painted != portrait).any(axis=2)
    box = frame.faces[0].box
    rows, columns = np.nonzero(changed)
    assert box.y - 1 <= rows.min() < rows.max() <= box.y + box.height + 1
    assert box.x - 1 <= columns.min() < columns.max() <= box.x + box.width + 1
    others = Frame(frame.width, frame.height, (), "haar", ("tiny",))
    assert mapper.draw(portrait, others) is portrait


def test_it_works_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from mien.runtime.inference.activation import ActivationMapper\n"
        "from mien.runtime.inference.library import open_model\n"
        "print(ActivationMapper(open_model('tiny')).maps(np.zeros((2, 48, 48), np.uint8), 'happy').shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2, 6, 6)"
