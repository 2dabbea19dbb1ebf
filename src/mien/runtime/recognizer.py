"""From pictures to readings: find the faces, crop them, and ask the networks once for all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.core.errors import ModelError, PictureError
from mien.core.face import Face, Frame, Reading
from mien.core.pictures import MAX_PIXELS, as_picture, read_picture
from mien.core.preprocess import Image, InputSpec, crop_face, same_crops
from mien.runtime.classify import OnnxClassifier
from mien.runtime.detect import Detector, make_detector
from mien.runtime.gate import bundled_gate
from mien.runtime.library import DEFAULT_MODEL, open_model

if TYPE_CHECKING:
    from mien.runtime.follow import DetectEvery
    from mien.runtime.quality import QualityGate
    from mien.runtime.smooth import Smoothing
    from mien.runtime.video import Say, Source

Picture = str | Path | Image
"""A picture file, or RGB ``(height, width, 3)`` or grey ``(height, width)`` uint8."""

Model = str | Path | OnnxClassifier
"""A model's name, its path, or an open one."""

OnError = Callable[[str, PictureError], None]
"""Told the source and the error of a picture that could not be read."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What is left of a picture once its faces have been cut out: small, whatever the picture's size."""

    source: str | None
    width: int
    height: int
    faces: tuple[Face, ...]
    crops: dict[InputSpec, Image]
    refused: int


@dataclass(frozen=True, slots=True)
class _Failed:
    source: str
    error: PictureError


class Recognizer:
    """Reads the expressions of all faces in pictures.

    Safe to call from several threads at once.

    Args:
        model: one model or several; every face then carries one reading for each, in this order.
        detector: ``"auto"`` (YuNet once pulled, else Haar), ``"haar"``, ``"yunet"``, one that another package
            brings, or a detector of one's own.
        provider: ONNX Runtime's execution provider.
        threads: pictures that :meth:`read_many` decodes and searches at a time, and threads within a network call.
        min_score: finds of the detector below it are no faces; None for the detector's own default.
        reject_non_faces: drop a find that the bundled face-or-not gate takes for none (``docs/gate.md``), counted in
            :attr:`Frame.rejected <mien.core.face.Frame.rejected>`. In a build without the gate it is one that looks
            unlike a face to every model, its energy being below the threshold in the model's manifest.
        max_pixels: picture files with more are refused from their header.

    Raises:
        ModelError: a model, detector or provider cannot be used, or two models have the same name.
    """

    def __init__(  # noqa: D107
        self,
        model: Model | Sequence[Model] = DEFAULT_MODEL,
        *,
        detector: str | Detector = "auto",
        provider: str = "cpu",
        threads: int = 1,
        min_score: float | None = None,
        reject_non_faces: bool = True,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        chosen = [model] if isinstance(model, str | Path | OnnxClassifier) else list(model)
        self.models = tuple(
            m if isinstance(m, OnnxClassifier) else open_model(m, provider=provider, threads=threads) for m in chosen
        )
        names = [m.name for m in self.models]
        if not names or len(set(names)) < len(names):
            raise ModelError(
                f"give one model or several of different names, got ({', '.join(names)}): "
                "mien export RUN --name NAME gives a run's model another one"
            )
        if not isinstance(detector, str) and min_score is not None:
            raise ModelError("min_score is for a detector that is given by name: set it on the detector itself")
        self.detector = make_detector(detector, min_score=min_score) if isinstance(detector, str) else detector
        self._threads = threads
        self.gate = bundled_gate() if reject_non_faces else None
        self._by_energy = reject_non_faces and self.gate is None
        self._max_pixels = max_pixels

    def read(self, picture: Picture) -> Frame:
        """Read one picture. Without a face in it the frame has no faces.

        Raises:
            PictureError: the file is missing, damaged, too large or no picture, or the array is none.
        """
        return self._classify([self._find(picture)])[0]

    def read_many(
        self, pictures: Iterable[Picture], *, batch: int = 32, on_error: OnError | None = None
    ) -> Iterator[Frame]:
        """Read many pictures, in their order and in memory that does not grow with their number.

        Pictures are decoded and searched ahead in ``threads`` threads, while each network is called once for all faces
        of ``batch`` pictures.

        Args:
            pictures: files or arrays; any iterable, even an endless one.
            batch: pictures whose faces go through the networks together.
            on_error: called with the source (``"picture 3"`` for an array, from 0) and the error of each picture that
                cannot be read, in its turn, after which reading goes on. Without it the error is raised.

        Raises:
            PictureError: a picture cannot be read and there is no ``on_error``; or ``pictures`` is one picture.
        """
        one = isinstance(pictures, np.ndarray) and (pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] < 5))
        if one or isinstance(pictures, str | Path):
            what = f"an array of shape {pictures.shape}" if isinstance(pictures, np.ndarray) else f"'{pictures}'"
            raise PictureError(f"read_many takes several pictures, got {what}: give a list, or use read for one")
        return self._read_many(pictures, batch, on_error)

    def _read_many(self, pictures: Iterable[Picture], batch: int, on_error: OnError | None) -> Iterator[Frame]:
        with ThreadPoolExecutor(self._threads, thread_name_prefix="mien") as pool:
            ahead = self._ahead(pool, pictures, 2 * batch)
            try:
                while chunk := list(islice(ahead, batch)):
                    frames = iter(self._classify([one for one in chunk if isinstance(one, _Found)]))
                    for one in chunk:
                        if isinstance(one, _Found):
                            yield next(frames)
                        elif on_error is None:
                            raise one.error
                        else:
                            on_error(one.source, one.error)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def watch(
        self,
        source: str | Path | int | Source,
        *,
        detect_every: DetectEvery = "auto",
        smoothing: Smoothing | None = None,
        gate: QualityGate | None = None,
        say: Say | None = None,
    ) -> Generator[Frame, None, None]:
        """Watch a video or a live stream: one frame for each picture, with the faces followed over time.

        A file gives every picture in its order, decoded ahead in a thread. A camera or network stream gives the newest
        picture whenever the last one has been dealt with. Memory does not grow with the length. Closing the iterator
        ends the thread and lets go of the source.

        Args:
            source: a video file, a folder of pictures, a camera's number, a URL, or a
                :class:`~mien.runtime.video.Source` of one's own (:func:`~mien.runtime.video.open_source` has more
                options).
            detect_every: frames from one search of the whole picture to the next. ``"auto"`` searches a few times a
                second, sooner when a face is lost; between searches each face is looked for where it is expected.
            smoothing: how readings are smoothed, and when expressions are held; None for the defaults.
            gate: what a face must be to be read; None for the defaults.
            say: told in a sentence what was skipped, lost or found again; None logs it.

        Raises:
            VideoError: the source cannot be opened, holds no picture, or was lost for good.
            ValueError: ``detect_every`` is no number of frames.
        """
        from mien.runtime.video import Source, open_source, say_in_log
        from mien.runtime.watch import Watcher, watch_frames

        watcher = Watcher(self, detect_every=detect_every, smoothing=smoothing, gate=gate)
        if not isinstance(source, Source):
            source = open_source(source, say=say or say_in_log, threads=self._threads)
        return watch_frames(watcher, source)

    def accepts(self, readings: Sequence[Reading]) -> bool:
        """Whether a find with these readings, one for each model, is taken for a face where no gate decides."""
        return not self._by_energy or any(
            reading.energy >= model.manifest.energy_threshold
            for reading, model in zip(readings, self.models, strict=True)
        )

    def _ahead(self, pool: ThreadPoolExecutor, pictures: Iterable[Picture], limit: int) -> Iterator[_Found | _Failed]:
        """What is found in each picture, in order, with at most ``limit`` of them under way or waiting."""
        waiting: deque[Future[_Found | _Failed]] = deque()
        rest = enumerate(pictures)
        while True:
            waiting.extend(pool.submit(self._try, *picture) for picture in islice(rest, limit - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()

    def _try(self, index: int, picture: Picture) -> _Found | _Failed:
        try:
            return self._find(picture)
        except PictureError as error:
            source = _source(picture)
            if source is not None:
                return _Failed(source, error)
            return _Failed(f"picture {index}", PictureError(f"picture {index}: {error}"))

    def _find(self, picture: Picture) -> _Found:
        source = _source(picture)
        image = as_picture(picture) if isinstance(picture, np.ndarray) else self._read_file(picture)
        finds = self.detector.detect(image)
        specs = {model.input for model in self.models}
        crops = {spec: _crops(image, finds, spec) for spec in specs}
        kept = np.ones(len(finds), dtype=np.bool_)
        if self.gate is not None and finds:
            same = next((crops[spec] for spec in specs if same_crops(spec, self.gate.input)), None)
            kept = self.gate.accepts(_crops(image, finds, self.gate.input) if same is None else same)
        faces = tuple(find for find, is_face in zip(finds, kept, strict=True) if is_face)
        crops = {spec: cut[kept] for spec, cut in crops.items()}
        return _Found(source, image.shape[1], image.shape[0], faces, crops, len(finds) - len(faces))

    def _read_file(self, path: str | Path) -> Image:
        if not isinstance(path, str | Path):
            raise PictureError(f"a picture is a path or a uint8 array, got {type(path).__name__}")
        return read_picture(path, max_pixels=self._max_pixels)

    def _classify(self, found: Sequence[_Found]) -> list[Frame]:
        """Frames of pictures, with one call of each network for all their faces."""
        if not found:
            return []
        by_model = [m.read(np.concatenate([f.crops[m.input] for f in found])) for m in self.models]
        readings = iter(zip(*by_model, strict=True))
        return [self._frame(one, list(islice(readings, len(one.faces)))) for one in found]

    def _frame(self, found: _Found, readings: Sequence[tuple[Reading, ...]]) -> Frame:
        faces = tuple(
            replace(face, readings=of_face)
            for face, of_face in zip(found.faces, readings, strict=True)
            if self.accepts(of_face)
        )
        return Frame(
            width=found.width,
            height=found.height,
            faces=faces,
            detector=self.detector.name,
            models=tuple(model.name for model in self.models),
            source=found.source,
            rejected=found.refused + len(found.faces) - len(faces),
        )


def _crops(image: Image, faces: Sequence[Face], spec: InputSpec) -> Image:
    crops = np.empty((len(faces), *spec.shape), dtype=np.uint8)
    for index, face in enumerate(faces):
        crops[index] = crop_face(image, face, spec)
    return crops


def _source(picture: Picture) -> str | None:
    return str(picture) if isinstance(picture, str | Path) else None
