"""Sampling a file at a low rate: what is left undecoded, and that nobody can tell from the pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mien.runtime import SampledSource, open_source
from runtime.streams import write_video


class ReadThrough:
    """A file that cannot leave anything out."""

    live = False

    def __init__(self, path):
        self._source = open_source(path)
        self.name = self._source.name

    def pictures(self):
        return self._source.pictures()

    def close(self):
        self._source.close()


def numbered(count):
    """Pictures that all differ."""
    for index in range(count):
        picture = np.full((64, 96, 3), 40, dtype=np.uint8)
        picture[:, index % 96] = (index * 5 % 256, 255, 40 + index // 96)
        yield picture


def sampled(source, every):
    pictures = list(SampledSource(lambda: source, every=every, say=pytest.fail).pictures())
    return [(round(one.time, 4), one.rgb.tobytes()) for one in pictures], pictures[-1].index


@pytest.mark.parametrize("every", [0.35, 1.0, 2.5])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", "libx264", {"g": "10", "bf": "0"}),
        ("between.mp4", "libx264", {"g": "10", "bf": "2", "x264-params": "bframes=2:keyint=10"}),
        ("open.mp4", "libx264", {"x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=12:min-keyint=12"}),
        ("long.mp4", "libx264", {"g": "1000"}),
        ("film.mkv", "libx264", {"g": "10"}),
        ("air.ts", "libx264", {"g": "10"}),
    ],
)
def test_what_is_not_decoded_is_not_missed(tmp_path, every, name, codec, options):
    path = write_video(tmp_path / name, numbered(200), fps=20, codec=codec, options=options)
    whole, decoded = sampled(ReadThrough(path), every)
    skipped, less = sampled(open_source(path), every)
    assert skipped == whole
    assert len(whole) >= math.floor(199 / 20 / every)
    if name in ("plain.mp4", "between.mp4") and every > 0.5:
        assert less < 0.7 * decoded
