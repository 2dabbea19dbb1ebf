"""What the sinks write, read back by other readers."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from mien import Manifest, Recognizer
from mien.core.errors import MienError, MissingExtraError, UnreadablePictureError
from mien.core.expression import FER2013, Expression
from mien.core.face import Frame
from mien.core.fitted import Fitted
from mien.core.manifest import Metric
from mien.core.pictures import read_picture
from mien.runtime.inference.detect import HaarDetector
from mien.runtime.output.annotated import AnnotateSink, SourcePictures
from mien.runtime.output.columns import PICTURE_COLUMNS
from mien.runtime.output.report import ReportSink
from mien.runtime.output.tables import CsvSink, JsonSink
from mien.runtime.output.terminal import TableSink


@pytest.fixture
def frames(toy, make_model, portrait, tmp_path) -> list[Frame]:
    """A face read by two models, and a picture without one."""
    face, empty = tmp_path / "a <b> & c.png", tmp_path / "empty.png"
    cv2.imwrite(str(face), portrait[..., ::-1])
    cv2.imwrite(str(empty), portrait * 0)
    recognizer = Recognizer([toy, make_model("second", seed=4)], detector=HaarDetector())
    return [recognizer.read(face), recognizer.read(empty)]


ERROR = UnreadablePictureError("x.jpg: broken <b>")


def write(sink, frames: list[Frame]) -> None:
    pictures = SourcePictures()
    for frame in frames:
        sink.write(frame, partial(pictures.of, frame))


def test_json_is_one_document(frames):
    file = io.StringIO()
    sink = JsonSink(file)
    write(sink, frames)
    sink.fail("x.jpg", ERROR)
    sink.close()
    document = json.loads(file.getvalue())
    assert document["schema"] == 1
    assert document["frames"] == [json.loads(json.dumps(frame.to_dict())) for frame in frames]
    assert document["errors"] == [{"source": "x.jpg", "error": str(ERROR)}]
    assert document["frames"][0]["detector"] == "haar"
    assert document["frames"][0]["models"] == ["toy", "second"]


def test_json_without_pictures_is_a_document_too():
    file = io.StringIO()
    JsonSink(file).close()
    assert json.loads(file.getvalue()) == {"schema": 1, "frames": [], "errors": []}


def test_csv_has_a_row_for_each_face_and_model(frames, tmp_path):
    path = tmp_path / "new" / "faces.csv"
    sink = CsvSink(path)
    write(sink, frames)
    sink.fail("x.jpg", ERROR)
    sink.close()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["toy", "second"]
    (face,) = frames[0].faces
    for row, one in zip(rows, face.readings, strict=True):
        assert tuple(row) == PICTURE_COLUMNS
        assert (row["source"], row["detector"], row["face"]) == (frames[0].source, "haar", "1")
        assert float(row["box_width"]) == pytest.approx(face.box.width, abs=0.01)
        assert [float(row[e]) for e in FER2013] == pytest.approx(one.probabilities.tolist(), abs=1e-6)
        assert row[Expression.CONTEMPT] == ""
        assert (row["expression"], row["polarity"]) == (one.expression, one.polarity)
        assert row["candidates"].split() == list(one.candidates)


def test_annotated_pictures_have_names_of_their_own(frames, tmp_path):
    folder = tmp_path / "drawn"
    sink = AnnotateSink(folder)
    write(sink, [*frames, frames[0]])
    sink.close()
    assert sorted(p.name for p in folder.iterdir()) == ["a <b> & c-2-mien.jpg", "a <b> & c-mien.jpg", "empty-mien.jpg"]
    drawn = read_picture(folder / "a <b> & c-mien.jpg")
    assert drawn.shape == (512, 512, 3)
    assert np.abs(drawn.astype(int) - read_picture(frames[0].source)).max() > 100


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MienError, match=r"cannot be made"):
        AnnotateSink(tmp_path / "file")
    with pytest.raises(MienError, match=r"cannot be written"):
        CsvSink(tmp_path)


def test_the_table_names_everything(frames):
    file = io.StringIO()
    sink = TableSink(Console(file=file, width=110), detector="haar", models=["toy", "second"])
    write(sink, frames)
    sink.fail("x.jpg", ERROR)
    sink.close()
    text = file.getvalue()
    for one in frames[0].faces[0].readings:
        assert f"{one.confidence * 100:.0f} %" in text
        assert one.expression in text
    assert "2 pictures · 1 face · 1 without a face · 1 could not be read" in text
    assert "detector haar · models toy, second" in text
    assert "90 % of faces" in text
    assert "no face" in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("models", [1, 2])
def test_tables_of_any_width_keep_the_expression(frames, width, models):
    file = io.StringIO()
    face = replace(frames[0].faces[0], readings=frames[0].faces[0].readings[:models])
    frame = replace(
        frames[0], faces=(face, face), models=frames[0].models[:models], source="/a/long/way/" * 9 + "a.png"
    )
    sink = TableSink(Console(file=file, width=width), detector="haar", models=frame.models)
    write(sink, [replace(frame, source=name) for name in (frame.source, frame.source.replace("a.png", "b.png"))])
    rows = file.getvalue().splitlines()
    assert max(map(len, rows)) <= width
    for reading in face.readings:
        said = sum(f"{reading.expression} " in f"{row} ".replace("?", " ") for row in rows)
        assert said >= 4, "two faces of two pictures"
    assert sum(".png" in row for row in rows) == 2, "each path once, with its end"


class Page(HTMLParser):
    """Tags that are open, alternative texts, and the text outside of style."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text = ""
        self.widths: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        if dict(attrs).get("class") == "bar":
            self.widths.append(dict(attrs)["style"])
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def write_report(frames: list[Frame], path: Path, manifests: list[Manifest]) -> str:
    sink = ReportSink(path, detector="haar", models=manifests)
    write(sink, frames)
    sink.fail("x.jpg", ERROR)
    sink.close()
    return path.read_text(encoding="utf-8")


def measured(manifest: Manifest, **accuracies: float) -> Manifest:
    metrics = tuple(
        Metric("fer2013", split, "single crop", 100, accuracy, (0.0, 1.0), None, 0.5, 1.0, 0.1)
        for split, accuracy in accuracies.items()
    )
    fitted = Fitted("fer2013", splits=("train", "public"), chose=("public",))
    return replace(manifest, metrics=metrics, fitted=fitted, fitted_before=())


def test_the_report_names_each_models_own_test(frames, toy, tmp_path):
    plain = Manifest.read(toy)
    manifests = [
        measured(plain, public=0.11, private=0.22),
        measured(plain, public=0.33, private=0.44),
        measured(plain, public=0.55),
    ]
    page = Page()
    page.feed(write_report(frames, tmp_path / "r.html", manifests))
    text = " ".join(page.text.split())
    for said in ("22.0 % of 100 faces of fer2013 (private)", "44.0 % of 100 faces of fer2013 (private)"):
        assert f"{said}, which neither fitted it nor chose it." in text
    assert "11.0 %" not in text
    assert "33.0 %" not in text
    assert text.index("55.0 % of 100 faces of fer2013 (public).") < text.index("so that this is no test")


def test_the_report_is_one_whole_page(frames, toy, tmp_path):
    html = write_report(frames, tmp_path / "r.html", [Manifest.read(toy)])
    page = Page()
    page.feed(html)
    assert page.open == []
    assert [i["alt"] for i in page.images] == [
        f"a <b> & c.png: face 1 shows an expression like {frames[0].readings[0].describe()}",
        "empty.png: no face found",
    ]
    assert all(str(i["src"]).startswith("data:image/jpeg;base64,") for i in page.images)
    assert f"an expression like {frames[0].readings[0].describe()}" in page.text
    assert "haar" in page.text
    assert "A network with random weights." in page.text
    assert "x.jpg: broken <b>" in page.text
    assert "calibrated probability" in page.text
    assert len(page.widths) == 14
    assert "http" not in html.replace("https://", "http").split("<style>")[0]
    assert "<script" not in html


def test_the_reports_pictures_are_reduced(toy, portrait, tmp_path):
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), cv2.resize(portrait, (3000, 2000))[..., ::-1])
    frame = Recognizer(toy, detector=HaarDetector()).read(path)
    page = Page()
    page.feed(write_report([frame], tmp_path / "r.html", [Manifest.read(toy)]))
    assert (page.images[0]["width"], page.images[0]["height"]) == ("960", "640")


def test_memory_does_not_grow_with_the_number_of_pictures(frames, toy, tmp_path):
    file = (tmp_path / "r.json").open("w")
    sinks = [
        ReportSink(tmp_path / "r.html", detector="haar", models=[Manifest.read(toy)]),
        CsvSink(tmp_path / "r.csv"),
        JsonSink(file),
    ]

    def grown_by(count: int) -> int:
        for _ in range(count):
            for sink in sinks:
                write(sink, frames[:1])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = grown_by(5)
        grown = grown_by(25) - before
    finally:
        tracemalloc.stop()
        for sink in sinks:
            sink.close()
        file.close()
    assert grown < 100_000  # one picture alone is 786,432 bytes


def test_a_missing_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[plots\]'"):
        ReportSink(tmp_path / "r.html", detector="haar", models=[])
