"""docs/bulk.md as a reader works through it."""

from __future__ import annotations

import pytest

from readme.blocks import blocks


@pytest.mark.slow
def test_each_block_runs_in_order(desk):
    pytest.importorskip("duckdb")
    pytest.importorskip("polars")
    pytest.importorskip("pandas")
    said = [block.run(desk) for block in blocks("docs/bulk.md")]
    assert len(said) == 10
    assert "2 pictures and 0 videos" in said[0]
    assert "hours of one core" in said[1]
    assert "2 of 2 inputs done: 2 read, 0 bad" in said[2]
    assert said[3] == said[2]
    assert "faces of pictures, by small" in said[4]
    assert "happy" in said[8]
