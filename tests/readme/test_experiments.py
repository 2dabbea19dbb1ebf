"""docs/experiments.md as a psychologist works through it: films of a face that smiles at what is funny."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from readme.blocks import blocks
from runtime.streams import write_video

ONSETS = [(2.0, "funny"), (6.0, "dull"), (10.0, "funny"), (14.0, "dull")]
FPS = 5


def film(path, *, delay: float, shade: float):
    """The astronaut, with a drawn mouth but from ``delay`` to ``delay`` + 1 s after what is funny."""
    smiling = np.ascontiguousarray(astronaut()[:300, 100:400]).astype(np.float64)
    down, across = np.mgrid[: smiling.shape[0], : smiling.shape[1]]
    mouth = np.exp(-(((down - 142.5) / 21) ** 4) - (((across - 124.5) / 47) ** 4))[..., None]
    skin = np.median(smiling[95:127, 97:152].reshape(-1, 3), axis=0)
    still = smiling * (1 - mouth) + skin * mouth
    cv2.ellipse(still, (124, 150), (22, 10), 0, 180, 360, (120, 60, 60), 2)
    still = cv2.GaussianBlur(still, (0, 0), 1)
    times = np.arange(0, 18, 1 / FPS)
    smiles = [any(o + delay <= t < o + delay + 1 for o, kind in ONSETS if kind == "funny") for t in times]
    pictures = ((shade * (smiling if smile else still)).astype(np.uint8) for smile in smiles)
    return write_video(path, (cv2.resize(picture, (304, 304)) for picture in pictures), fps=FPS)


@pytest.mark.slow
def test_each_block_runs_in_order(desk):
    (desk / "sessions").mkdir()
    for person in range(6):
        film(desk / "sessions" / f"p{person}.mp4", delay=0.4 + 0.1 * (person % 3), shade=1 - 0.05 * person)
    rows = "".join(f"{onset},{kind}\n" for onset, kind in ONSETS)
    (desk / "stimuli.csv").write_text("onset,condition\n" + rows)
    said = [block.run(desk) for block in blocks("docs/experiments.md")]
    assert len(said) == 3
    assert "dull less funny" in said[1]
    found = json.loads((desk / "results.json").read_text())["experiment"]
    happy = next(c for c in found["contrasts"] if c["quantity"] == "happy")
    assert happy["participants"] == [6, 6]
    assert happy["difference"] < -0.2
    assert happy["p"] == pytest.approx(2 / 64)
    funny = next(r for r in found["responses"] if (r["condition"], r["quantity"]) == ("funny", "happy"))
    assert 0.3 <= funny["latency"] <= 0.8
    assert (desk / "figure.png").stat().st_size > 10_000
    assert "Around the stimuli" in (desk / "report.html").read_text()
    assert len((desk / "epochs.csv").read_text().splitlines()) == 1 + 6 * 4 * 30
