"""What the tests of studies need: FER2013 and JAFFE of drawn faces in their owners' layouts, and small studies."""

from __future__ import annotations

import shutil
from hashlib import sha256

import cv2
import numpy as np

from conftest import draw_face
from mien.core.expression import FER2013
from mien.core.face import Box, Face
from mien.data.load import LAYOUTS
from mien.studies.paper_cells import CellTable, PaperCell, PaperStudy, Published, SplitProtocol
from mien.training.cost import Cost
from mien.training.run import Run
from mien.training.runner import Runner

PERSONS = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
CODES = dict(zip(FER2013, ("AN", "DI", "FE", "HA", "SA", "SU", "NE"), strict=True))

COST = Cost("made", 50_703, 1_360, 9_789_696, 204_000, 48, 0.2, 0.3, 10, "paper", 0.0)

RECIPE = """
name: {name}
network: resezap
data: {{dataset: fer2013, train: train, validation: public}}
augment: {{flip: true}}
optimiser: {{rate: 1e-2}}
epochs: {epochs}
batch: 16
"""


class WholePicture:
    """A detector that takes the whole picture for the face."""

    name = "whole"

    def detect(self, picture):
        height, width = picture.shape[:2]
        return [Face(Box(0, 0, width, height), 1.0)]


def make_fer2013(folder, train=12, public=5, private=6):
    """``fer2013.csv`` of drawn faces: so many of each class in each split; three of PrivateTest stand in Training."""
    folder.mkdir(parents=True)
    lines, seed = ["emotion,pixels,Usage"], 0
    for usage, amount in (("Training", train), ("PublicTest", public), ("PrivateTest", private)):
        for kind in range(7):
            for index in range(amount):
                seed += 1
                copied = usage == "PrivateTest" and index == 0 and kind < 3
                pixels = draw_face(kind, seed=1 + kind * train if copied else seed)
                lines.append(f"{kind},{' '.join(map(str, pixels.ravel()))},{usage}")
    (folder / "fer2013.csv").write_text("\n".join(lines) + "\n")


def make_jaffe(folder):
    """JAFFE's 213 files by name, of ten persons, with drawn faces."""
    folder.mkdir(parents=True)
    serial = 0
    for kind, (label, amount) in enumerate(LAYOUTS["jaffe"].pictures.items()):
        for index in range(amount):
            serial += 1
            path = folder / f"{PERSONS[index % 10]}.{CODES[label]}{index // 10 + 1}.{serial}.tiff"
            assert cv2.imwrite(str(path), draw_face(kind, seed=serial, size=64))


class DrawnRunner(Runner):
    """Trains each recipe on the same rows once a session, counts at no cost, and can be forbidden to do anything."""

    def __init__(self, shared, *, idle=False, stop_before=None, fitted=None, **options):
        super().__init__(threads=1, **options)
        self._shared, self._idle, self._stop_before = shared, idle, stop_before
        self.fitted = [] if fitted is None else fitted

    def fit(self, recipe, folder, fitted, chosen):
        assert not self._idle, "this was done already"
        self.fitted.append(folder.name)
        if len(self.fitted) == self._stop_before:
            raise KeyboardInterrupt
        place = self._shared / sha256(repr((recipe, fitted.identity, chosen.identity)).encode()).hexdigest()
        if place.exists():
            shutil.copytree(place, folder)
            return Run.read(folder)
        run = super().fit(recipe, folder, fitted, chosen)
        shutil.copytree(folder, place)
        return run

    def count(self, recipe, *, labels, spec, rounds):
        assert not self._idle, "this was counted already"
        return COST

    def open(self, folder):
        assert not self._idle, "this was tested already"
        return super().open(folder)


def study_of(*cells, name="002", shows=("cost", "vector", "confusion", "turns")):
    return PaperStudy(
        name, "A small study", "Nobody, Nothing (no paper)", ("A note.",), (CellTable("Table", cells, "", shows),)
    )


def official(name="official", **changes):
    return PaperCell(name, "On FER2013", recipe="drawn", paper=Published(0.5, values=54_480), **changes)


def folded(name, parts, **changes):
    return PaperCell(
        name, f"On JAFFE, {parts}", SplitProtocol("jaffe", parts, "six", folds=3), recipe="drawn", **changes
    )


def rows_of(found):
    return {result.cell: result for result in found.results}


def random_answers(n=120, classes=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, classes)).astype(np.float32), rng.integers(0, classes, n)
