"""The portrait that ships inside scikit-image under every named region: python examples/covers.py FILE.png."""

from __future__ import annotations

import sys
from pathlib import Path

from skimage.data import astronaut

from mien.core.preprocess import InputSpec, crop_face
from mien.evaluation.regions import REGIONS, cover
from mien.reporting.figures import Drawing, canvas, style
from mien.runtime.detect import make_detector

COLUMNS = 7


def draw() -> Drawing:
    """The open face, then each region under noise."""
    picture = astronaut()  # type: ignore[no-untyped-call]
    face = make_detector("auto").detect(picture)[0]
    crop = crop_face(picture, face, InputSpec(size=96))
    shown = {"open": crop} | {name: cover(crop[None], region)[0] for name, region in REGIONS.items()}
    with style():
        figure, axes = canvas(-(-len(shown) // COLUMNS), COLUMNS, height=2.5)
        for place in axes.flat:
            place.set_axis_off()
        for place, (name, covered) in zip(axes.flat, shown.items(), strict=False):
            place.imshow(covered, cmap="gray", vmin=0, vmax=255)
            place.set_title(name)
    return Drawing(figure, f"A portrait, open and with these parts under noise: {', '.join(REGIONS)}")


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(draw().png)
