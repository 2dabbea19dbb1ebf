"""What a run will take, told before it starts."""

from __future__ import annotations

import pytest

from bulk.outputs import bulk, rows_of
from mien.bulk import BulkOptions, plan_bulk
from mien.core import Place, PolicyError, Purpose
from runtime.streams import moving_faces, write_video


def test_without_a_purpose_it_only_counts(inputs):
    made = plan_bulk([str(inputs)])
    assert (made.pictures, made.videos, made.without_size, made.cost) == (9, 1, 0, None)
    assert made.bytes == sum(path.stat().st_size for path in inputs.rglob("*.*"))


def test_the_law_decides_before_a_sample_is_read(inputs):
    with pytest.raises(PolicyError, match="Art"):
        plan_bulk([str(inputs)], purpose=Purpose.WORKPLACE, place=Place.EU)


def test_a_sample_tells_hours_and_output(inputs, toy):
    options = BulkOptions(models=(toy,), detector="haar")
    cost = plan_bulk([str(inputs)], purpose=Purpose.RESEARCH, place=Place.EU, options=options).cost
    assert cost.sampled == 10
    low, high = cost.interval
    assert 0 < low <= cost.core_hours <= high
    assert cost.disk > 0


def test_a_long_video_is_judged_by_a_piece_of_it(inputs, toy, tmp_path):
    """Half a minute of four is read, and the rows of four come out."""
    film = write_video(tmp_path / "film.mp4", moving_faces(480), fps=2)
    options = BulkOptions(models=(toy,), detector="haar")
    cost = plan_bulk([str(film)], purpose=Purpose.RESEARCH, place=Place.EU, options=options).cost
    bulk(film, tmp_path / "out", toy)
    assert len(rows_of(tmp_path / "out", tmp_path / "plain")["faces"]) == 240
    size = (tmp_path / "plain" / "faces.parquet").stat().st_size
    assert cost.disk == pytest.approx(size, rel=0.6)


def test_a_missing_input_is_no_error_before_the_run(inputs, toy, tmp_path):
    (tmp_path / "list.csv").write_text(f"uri\n{inputs / '0.png'}\nnowhere.mp4\nnowhere.png\n")
    options = BulkOptions(models=(toy,), detector="haar")
    made = plan_bulk([str(tmp_path / "list.csv")], purpose=Purpose.RESEARCH, place=Place.EU, options=options)
    assert (made.without_size, made.cost.sampled) == (2, 3)
