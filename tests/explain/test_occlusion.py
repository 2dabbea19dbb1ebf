"""What covers cost, against counts by hand."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.metrics import recall_score

from explain.fakes import BrightMouth, faces
from mien.core.errors import DatasetError, LabelError
from mien.core.expression import SIX
from mien.core.preprocess import TEMPLATE
from mien.core.schema import to_mapping
from mien.evaluation.regions import BANDS, REGIONS, cover, region
from mien.explain import occlusion_report
from mien.explain.occlusion import measure


def test_covers_are_measured_against_the_open_face():
    data = faces()
    result = measure(BrightMouth(), data, split="private", regions=[BANDS["mouth"], BANDS["eyes"]], seed=5)
    private = data.split("private")
    assert [(s.region, s.fill) for s in result.covered] == [
        ("none", None),
        ("mouth band", "noise"),
        ("mouth band", "grey"),
        ("eyes band", "noise"),
        ("eyes band", "grey"),
    ]
    for scores in result.covered:
        hidden = None if scores.fill is None else region(scores.region)
        crops = cover(private.images, hidden, fill=scores.fill or "noise", seed=5, rows=private.rows)
        given = BrightMouth().logits(crops).argmax(1)
        assert scores.accuracy == pytest.approx((given == private.indices).mean())
        recalls = recall_score(private.indices, given, average=None, labels=range(3), zero_division=0)
        assert [c.recall for c in scores.classes] == pytest.approx(recalls)
        assert scores.lost == pytest.approx(result.open.accuracy - scores.accuracy)
        for c, before in zip(scores.classes, result.open.classes, strict=True):
            assert c.lost == pytest.approx(before.recall - c.recall)
            assert c.lost_interval[0] <= c.lost <= c.lost_interval[1]
    mouth, eyes = result.covered[2], result.covered[4]
    assert mouth.lost > 0.4  # grey is the middle class for every face
    assert [round(c.recall) for c in mouth.classes] == [0, 1, 0]
    assert eyes.lost == 0
    assert eyes.lost_interval == (0, 0)


def test_leaked_rows_are_left_out_beside():
    data = faces()
    data.images[50:60] = data.images[:10]
    result = measure(BrightMouth(), data, split="private", regions=[BANDS["eyes"]])
    assert result.n == 80
    assert {s.n_without_leaks for s in result.covered} == {70}
    kept = data.split("private").take(np.r_[0:10, 20:80])
    clean = (BrightMouth().logits(kept.images).argmax(1) == kept.indices).mean()
    assert result.open.accuracy_without_leaks == pytest.approx(clean)


def test_regions_follow_landmarks_where_there_are_any():
    data = faces()
    usual = np.broadcast_to(TEMPLATE * 48, (120, 5, 2)).copy()
    usual[::2] = np.nan
    moved = usual + np.array([0.0, 17.0])
    at = [
        measure(BrightMouth(), data, split="private", regions=[region("lower half")], landmarks=p)
        for p in (usual, moved)
    ]
    without = measure(BrightMouth(), data, split="private", regions=[region("lower half")])
    assert at[0].covered == without.covered
    assert "landmarks of 40 of 80 faces" in at[0].protocol
    assert at[1].covered[2].lost < at[0].covered[2].lost  # half of the mouths are open again


def test_wrong_data_is_refused():
    with pytest.raises(DatasetError, match="no split 'privat': did you mean 'private'"):
        measure(BrightMouth(), faces(), split="privat", regions=[BANDS["eyes"]])
    with pytest.raises(DatasetError, match="name one region or more"):
        measure(BrightMouth(), faces(), split="private", regions=[])
    with pytest.raises(DatasetError, match="120 crops need landmarks each, got 3"):
        measure(BrightMouth(), faces(), split="private", regions=[BANDS["eyes"]], landmarks=np.zeros((3, 5, 2)))
    with pytest.raises(LabelError, match="which bright-mouth cannot give"):
        measure(BrightMouth(), faces(labels=SIX), split="private", regions=[BANDS["eyes"]])
    some = measure(BrightMouth(), faces(labels=SIX), split="private", regions=[BANDS["eyes"]], unknown="drop")
    assert some.dropped > 0
    assert f"{some.dropped} rows left out" in some.protocol


def test_the_open_face_comes_first():
    result = measure(BrightMouth(), faces(), split="private", regions=[BANDS["eyes"]])
    with pytest.raises(ValueError, match="open face comes first"):
        replace(result, covered=result.covered[1:])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_point_of_the_accuracy_figure_is_in_view(count):
    result = measure(BrightMouth(), faces(), split="private", regions=list(REGIONS.values())[:count])
    (axes,) = occlusion_report.accuracy_figure(result).figure.axes
    bottom, top = axes.get_ylim()
    drawn = [y for line in axes.lines[1:] for y in line.get_ydata()]
    assert len(drawn) >= 2 * count
    assert top + 0.2 < min(drawn)
    assert max(drawn) < bottom - 0.2


def test_a_report_holds_every_number(tmp_path):
    result = measure(BrightMouth(name="a<b"), faces(), split="private", regions=list(REGIONS.values())[:4])
    files = {path.name for path in occlusion_report.write(result, tmp_path / "new")}
    assert files == {
        "occlusion.html",
        "occlusion.json",
        *(f"occlusion-{name}.{ending}" for name in ("accuracy", "recall") for ending in ("png", "svg")),
    }
    sheet = (tmp_path / "new" / "occlusion.html").read_text()
    assert "a&lt;b" in sheet
    assert "a<b" not in sheet
    assert sheet.count("<img alt=") == 2
    for row in occlusion_report.table(result).rows:
        assert all(cell in sheet for cell in row)
    assert json.loads((tmp_path / "new" / "occlusion.json").read_text()) == json.loads(json.dumps(to_mapping(result)))
    for name in ("accuracy", "recall"):
        ElementTree.parse(tmp_path / "new" / f"occlusion-{name}.svg")
