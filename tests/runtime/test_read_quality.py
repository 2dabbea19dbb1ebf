"""What the quality check says of single pictures: kept, marked, and told in every output."""

from __future__ import annotations

import csv
import io
import json

import cv2
import pytest
from rich.console import Console

from mien import Recognizer, annotate
from mien.runtime import CsvSink, JsonSink, QualityLimits, ReportSink
from mien.runtime.output.terminal import TableSink


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer("tiny", detector="haar")


@pytest.fixture(scope="module")
def strict():
    """One to whom every face is dark."""
    return Recognizer("tiny", detector="haar", quality=QualityLimits(min_brightness=250))


def test_a_face_that_is_fine_is_not_marked(recognizer, portrait):
    (face,) = recognizer.read(portrait).faces
    assert face.unmeasurable is None


def test_a_dark_face_is_read_and_marked(strict, portrait):
    frame = strict.read(portrait)
    (face,) = frame.faces
    assert face.unmeasurable == "dark"
    assert face.reading.model == "tiny"
    assert frame.readings == []


def test_own_limits_hold(portrait):
    (face,) = Recognizer("tiny", detector="haar", quality=QualityLimits(min_size=400)).read(portrait).faces
    assert face.unmeasurable == "too small"


def test_of_a_face_that_was_cut_out_nothing_is_said_about_what_covers_it(portrait):
    covered = cv2.resize(portrait[60:170, 165:275], (96, 96))
    covered[60:90] = 128
    (face,) = Recognizer("tiny", detector="whole").read(covered).faces
    assert face.unmeasurable is None
    (face,) = Recognizer("tiny", detector="whole", quality=QualityLimits()).read(covered).faces
    assert face.unmeasurable == "partly covered"


def test_every_output_says_why(recognizer, strict, portrait, tmp_path):
    path = tmp_path / "dark.png"
    assert cv2.imwrite(str(path), portrait[..., ::-1])
    frame = strict.read(path)
    shown, line, table = io.StringIO(), io.StringIO(), tmp_path / "faces.csv"
    page = tmp_path / "page.html"
    manifests = [model.manifest for model in strict.models]
    sinks = [
        TableSink(Console(file=shown, width=120), detector="haar", models=["tiny"]),
        JsonSink(line),
        CsvSink(table),
        ReportSink(page, detector="haar", models=manifests),
    ]
    for sink in sinks:
        sink.write(frame, lambda: portrait)
        sink.close()
    assert "not measurable: dark" in shown.getvalue()
    assert "1 not measurable" in shown.getvalue()
    assert "holds the truth" not in shown.getvalue()  # the promise is not made for such a face
    face = json.loads(line.getvalue())["frames"][0]["faces"][0]
    assert (face["unmeasurable"], len(face["readings"])) == ("dark", 1)
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert (row["status"], row["unmeasurable"], row["model"]) == ("read", "dark", "tiny")
    assert "not measurable, dark" in page.read_text()
    marked, plain = annotate(portrait, frame), annotate(portrait, recognizer.read(portrait))
    assert (marked != portrait).any()
    assert (marked != plain).any()


def test_the_polarity_is_that_of_the_word_or_mixed(recognizer, portrait):
    for reading in (recognizer.read(portrait).faces[0].reading, recognizer.read(portrait[:, ::-1]).faces[0].reading):
        most = max(reading.polarities, key=reading.polarities.__getitem__)
        assert reading.polarity == (most if most is reading.expression.polarity else "mixed")


def test_a_page_gives_each_model_its_own_figures(tmp_path):
    manifests = [model.manifest for model in Recognizer(["tiny", "small"], detector="haar").models]
    page = tmp_path / "page.html"
    ReportSink(page, detector="haar", models=manifests).close()
    content = " ".join(page.read_text().split())
    for manifest in manifests:
        metric = manifest.tested
        assert metric.split == "private"
        assert f"It was right on {100 * metric.accuracy:.1f} % of {metric.n} faces" in content
