"""How well hard cuts are told from everything else that changes a picture, on films built with known cuts.

python benchmarks/cuts.py [--minutes N] [--portraits heads.tar]

A film is a row of shots of 0.6 to 4 s: a photograph as background, one or two people (scikit-image's astronaut, or
portraits of a tar file) that move their heads, sensor noise, and the camera still, drifting, panning, shaking or
zooming. The uncut film has the same shots without a cut between them, and in each something that must not count as one:
a flash, a light that is switched, a fade to black and back, a dissolve into the next shot, a hand before the lens.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

import harness
from mien.runtime import ArrayPicture
from mien.runtime.stream.cuts import CutDetector
from scenes import background

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 320, 180
CAMERAS = ("still", "drift", "pan", "shake", "zoom")
HAZARDS = ("nothing", "flash", "lights", "fade", "dissolve", "hand")
RATES = (25, 10)


class Shot:
    """A scene that goes on for as long as it is asked for."""

    def __init__(self, camera: str, people: list[Picture], fps: int, rng: np.random.Generator) -> None:
        """Set the scene; ``people`` are portraits, RGB."""
        self._camera, self._people, self._fps, self._rng = camera, people, fps, rng
        self._scene = background(800, 500, rng)
        self._corner = np.array([rng.uniform(100, 300), rng.uniform(50, 200)])
        speed = {"drift": 50.0, "pan": 250.0}.get(camera, 0.0)
        angle = rng.uniform(0, 2 * np.pi)
        self._speed = speed / fps * np.array([np.cos(angle), 0.4 * np.sin(angle)])
        self._side = rng.uniform(90, 170)
        self._places = [rng.uniform(40, 280) for _ in people]
        self._phase, self._count = rng.uniform(0, 6), 0

    def frame(self) -> Picture:
        """The next picture, RGB uint8."""
        self._count += 1
        seconds = self._count / self._fps
        limits = np.array([800 - WIDTH, 500 - HEIGHT])
        self._corner = self._corner + self._speed
        beyond = (self._corner < 0) | (self._corner > limits)
        self._speed = np.where(beyond, -self._speed, self._speed)
        self._corner = np.clip(self._corner, 0, limits)
        shake = self._rng.normal(0, 5, 2) if self._camera == "shake" else np.zeros(2)
        zoom = 1 + 0.25 * np.sin(seconds) ** 2 if self._camera == "zoom" else 1.0
        x, y = self._corner + shake
        move = np.array([[zoom, 0, -x * zoom], [0, zoom, -y * zoom]])
        warped = cv2.warpAffine(self._scene, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        picture = cast(Picture, warped)
        for number, (person, place) in enumerate(zip(self._people, self._places, strict=True)):
            phase, side = self._phase + 1.7 * seconds + number, self._side * zoom
            head = cv2.resize(person, (int(0.8 * side), int(side)), interpolation=cv2.INTER_AREA)
            centre = (place + 12 * np.sin(phase) - shake[0], HEIGHT / 2 + 8 * np.cos(phase) - shake[1])
            _paste(picture, cast(Picture, head), centre)
        noisy = picture + self._rng.normal(0, 4, picture.shape)
        return np.asarray(np.clip(noisy, 0, 255), dtype=np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="of each film, for each rate of frames")
    parser.add_argument("--portraits", type=Path, help="tar file of portraits; without it the people are one portrait")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for cuts.json")
    options = parser.parse_args()
    rows = []
    for fps in RATES:
        people = _portraits(options.portraits)
        rows += [_cut_film(fps, options.minutes, people), *_uncut_films(fps, options.minutes, people)]
    harness.write("cuts", {"minutes": options.minutes, "rows": rows}, folder=options.out)


def _cut_film(fps: int, minutes: float, people: Callable[[np.random.Generator], Picture]) -> dict[str, object]:
    rng, detector = np.random.default_rng(1), CutDetector()
    index, cuts, hits, wrong = 0, 0, 0, 0
    while index < 60 * minutes * fps:
        shot = _shot(fps, people, rng)
        cuts += index > 0
        due = index > 0
        for at in range(int(rng.uniform(0.6, 4) * fps)):
            if detector.step(ArrayPicture(shot.frame(), index=index, time=index / fps)):
                in_time = due and at / fps <= 0.25
                hits, wrong, due = hits + in_time, wrong + (not in_time), due and not in_time
            index += 1
    row = {"film": "cut", "fps": fps, "hours": index / fps / 3600, "cuts": cuts, "found": hits, "wrong": wrong}
    print(row, flush=True)
    return row


def _uncut_films(
    fps: int, minutes: float, people: Callable[[np.random.Generator], Picture]
) -> Iterator[dict[str, object]]:
    for hazard in HAZARDS:
        rng, wrong, index = np.random.default_rng(2), 0, 0
        while index < 60 * minutes * fps / len(HAZARDS):
            detector = CutDetector()  # the change from shot to shot is not asked for
            for picture in _hazardous(hazard, _shot(fps, people, rng), _shot(fps, people, rng), fps, rng):
                wrong += detector.step(ArrayPicture(picture, index=index, time=index / fps))
                index += 1
        row = {"film": hazard, "fps": fps, "hours": index / fps / 3600, "cuts": 0, "found": 0, "wrong": wrong}
        print(row, flush=True)
        yield row


def _hazardous(hazard: str, shot: Shot, after: Shot, fps: int, rng: np.random.Generator) -> Iterator[Picture]:
    """Ten seconds of a shot in which something happens at five."""
    half = 5 * fps
    for _ in range(half):
        yield shot.frame()
    if hazard == "flash":
        for gain in [4.0, 3.0] if fps > 15 else [4.0]:
            yield _scaled(shot.frame(), gain * rng.uniform(0.6, 2))
    if hazard == "lights":
        for _ in range(half):
            yield _scaled(shot.frame(), 0.45)
    if hazard in ("fade", "dissolve"):
        steps = int(rng.uniform(0.5, 1.5) * fps)
        for step in range(2 * steps):
            share = abs(1 - step / steps) if hazard == "fade" else max(1 - step / (2 * steps), 0)
            other = np.zeros((HEIGHT, WIDTH, 3), np.uint8) if hazard == "fade" else after.frame()
            yield cast(Picture, cv2.addWeighted(shot.frame(), share, other, 1 - share, 0))
        shot = shot if hazard == "fade" else after
    if hazard == "hand":
        length = int(rng.uniform(0.3, 1.0) * fps)
        colour = rng.integers(60, 200, 3)
        for step in range(length):
            picture = shot.frame()
            reach = int(WIDTH * min(1.0, 2 * min(step + 1, length - step) / length) * 0.7)
            picture[:, :reach] = colour
            yield picture
    for _ in range(half):
        yield shot.frame()


def _shot(fps: int, people: Callable[[np.random.Generator], Picture], rng: np.random.Generator) -> Shot:
    camera = CAMERAS[rng.integers(len(CAMERAS))]
    return Shot(camera, [people(rng) for _ in range(rng.integers(1, 3))], fps, rng)


def _portraits(path: Path | None) -> Callable[[np.random.Generator], Picture]:
    if path is None:
        from skimage.data import astronaut

        whole = astronaut()[:250, 120:330]  # type: ignore[no-untyped-call]
        return lambda rng: np.asarray(np.clip(whole * rng.uniform(0.5, 1.2, 3), 0, 255), dtype=np.uint8)
    archive = tarfile.open(path)  # noqa: SIM115  # read for as long as the program runs
    names = [member for member in archive.getmembers() if member.isfile()]

    def read(rng: np.random.Generator) -> Picture:
        file = archive.extractfile(names[rng.integers(len(names))])
        data = np.frombuffer(io.BytesIO(file.read() if file else b"").getvalue(), dtype=np.uint8)
        return np.ascontiguousarray(cast(Picture, cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])

    return read


def _paste(picture: Picture, head: Picture, centre: tuple[float, float]) -> None:
    height, width = head.shape[:2]
    left, top = int(centre[0]) - width // 2, int(centre[1]) - height // 2
    rows = slice(max(top, 0), min(top + height, HEIGHT))
    columns = slice(max(left, 0), min(left + width, WIDTH))
    if rows.stop > rows.start and columns.stop > columns.start:
        picture[rows, columns] = head[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _scaled(picture: Picture, gain: float) -> Picture:
    return cast(Picture, cv2.convertScaleAbs(picture, alpha=gain))


if __name__ == "__main__":
    main()
