from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from app.made import Clock, agreed, dark, filled, second
from mien.app.history.exports import COLUMNS, export
from mien.app.store.facade import Store
from mien.core.errors import ConfigError, MissingExtraError, StoreError
from mien.core.expression import Expression


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "app.db", clock=Clock()) as opened:
        number = opened.open_recording(agreed(opened), model="toy", name='=cmd|"evil"')
        for index in range(3):
            opened.append(number, second(index))
        opened.append(number, dark(3))
        opened.note(number, "after lunch", at=1.0)
        opened.correct(number, start=0, end=1, was=Expression.HAPPY)
        opened.correct(number, start=1, end=2, was=Expression.HAPPY, instead=Expression.NEUTRAL)
        yield opened


def test_csv_has_a_row_for_each_second_as_it_was_measured(store: Store) -> None:
    made = export(store, 1, "csv")
    rows = list(csv.DictReader(io.StringIO(made.body.decode())))
    assert (made.name, made.kind) == ("mien-2027-01-15-0800.csv", "text/csv; charset=utf-8")
    assert list(rows[0]) == list(COLUMNS)
    assert [row["second"] for row in rows] == ["0", "1", "2", "3"]
    assert rows[2]["time"] == "2027-01-15T08:00:02+00:00"
    assert [float(row["held_happy"]) for row in rows] == [1, 1, 1, 0]
    assert float(rows[0]["smoothed_happy"]) == pytest.approx(0.8, abs=1e-4)
    assert sum(float(rows[0][p]) for p in ("positive", "neutral", "negative")) == pytest.approx(1, abs=1e-4)
    assert [(row["corrected_from"], row["corrected_to"]) for row in rows[:3]] == [
        ("happy", ""),
        ("happy", "neutral"),
        ("", ""),
    ]
    assert (rows[3]["reason"], rows[3]["not_measurable"], rows[3]["smoothed_happy"]) == ("dark", "1.000000", "")


def test_parquet_holds_the_same_typed(store: Store) -> None:
    made = export(store, 1, "parquet")
    table = pq.read_table(io.BytesIO(made.body))
    assert table.column_names == list(COLUMNS)
    assert {field.name: str(field.type).replace("double", "float64") for field in table.schema} == COLUMNS
    rows = table.to_pylist()
    assert rows[0]["smoothed_happy"] == pytest.approx(0.8, abs=1e-4)
    assert rows[3]["smoothed_happy"] is None
    assert table.schema.metadata[b"mien_app_export"] == b"2"


def test_json_holds_everything(store: Store) -> None:
    made = export(store, [1], "json")
    (recording,) = json.loads(made.body)["recordings"]
    assert recording["name"] == '=cmd|"evil"'
    assert recording["notes"] == [{"at": 1.0, "text": "after lunch"}]
    assert recording["corrections"][1]["instead"] == "neutral"
    assert len(recording["seconds"]) == 4
    assert recording["seconds"][3]["unmeasurable"] == {"dark": 1.0}
    assert recording["started"] == "2027-01-15T08:00:00.000+00:00"


def test_what_a_person_typed_reaches_no_cell_and_no_file_name(store: Store) -> None:
    made = export(store, 1, "csv")
    assert b"evil" not in made.body
    assert "evil" not in made.name


def test_several_recordings_go_into_one_file(tmp_path: Path) -> None:
    clock = Clock()
    with filled(tmp_path / "app.db", clock) as store:
        clock.now += 86_400
        other = store.open_recording(store.consent(), model="toy")  # type: ignore[arg-type]
        store.append(other, second(0))
        made = export(store, [1, other], "csv")
        rows = list(csv.DictReader(io.StringIO(made.body.decode())))
        assert [row["recording"] for row in rows] == ["1"] * 5 + [str(other)]
        assert made.name == "mien-2027-01-15-0800-to-2027-01-16-0800.csv"


def test_an_empty_recording_can_be_exported(tmp_path: Path) -> None:
    with Store(tmp_path / "app.db", clock=Clock()) as store:
        number = store.open_recording(agreed(store), model="toy")
        assert export(store, number, "csv").body.count(b"\n") == 1
        assert pq.read_table(io.BytesIO(export(store, number, "parquet").body)).num_rows == 0


def test_what_cannot_be_exported_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"exported as 'xml'.*Valid: csv, json, parquet"):
        export(store, 1, "xml")
    with pytest.raises(StoreError, match="no recording 7"):
        export(store, 7, "csv")
    with pytest.raises(StoreError, match="nothing to export"):
        export(store, [], "csv")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"mien\[parquet\]"):
        export(store, 1, "parquet")


def test_the_document_names_every_column() -> None:
    text = (Path(__file__).parents[3] / "docs" / "app-data.md").read_text()
    for name in COLUMNS:
        prefix, _, word = name.partition("_")
        spanned = prefix in ("smoothed", "held") and f"`{prefix}_angry` … `{prefix}_contempt`" in text
        assert f"`{name}`" in text or (spanned and word in tuple(Expression))
