"""From pictures to readings: find the faces, crop them, and ask the networks once for all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.core.errors import PictureError
from mien.core.face import Face, Frame, Reading
from mien.core.pictures import MAX_PIXELS, as_picture, read_picture
from mien.core.preprocess import Image, InputSpec
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import Detector
from mien.runtime.inference.library import DEFAULT_MODEL
from mien.runtime.inference.reader import Model, open_reader

if TYPE_CHECKING:
    from mien.runtime.inference.quality import QualityLimits
    from mien.runtime.stream.follow import DetectEvery
    from mien.runtime.stream.smooth import Smoothing
    from mien.runtime.stream.source import Say, Source
    from mien.runtime.stream.stream_picture import StreamPicture

Picture = str | Path | Image
"""A picture file, or RGB ``(height, width, 3)`` or grey ``(height, width)`` uint8."""

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
        detector: ``"auto"`` (YuNet once pulled, else Haar), ``"haar"``, ``"yunet"``, ``"whole"`` (each picture is one
            face that was cut out already), one that another package brings, or a detector of one's own.
        provider: ONNX Runtime's execution provider.
        threads: pictures that :meth:`read_many` decodes and searches at a time, and threads within a network call.
        min_score: detections below it are no faces; None for the detector's own default.
        min_size: side of the smallest face, pixels of the picture: faces from it on are found in a picture of any size,
            smaller ones are dropped. None promises 40 pixels, and keeps smaller faces that are found along the way.
        search_size: search one reduced copy of this long side, pixels, whatever that finds; None for as many copies as
            ``min_size`` takes.
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
        min_size: float | None = None,
        search_size: int | None = None,
        reject_non_faces: bool = True,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.reader = open_reader(
            model,
            detector=detector,
            provider=provider,
            threads=threads,
            min_score=min_score,
            min_size=min_size,
            search_size=search_size,
            reject_non_faces=reject_non_faces,
        )
        self._threads = threads
        self._max_pixels = max_pixels

    @property
    def models(self) -> tuple[OnnxClassifier, ...]:
        """The models, in the order of each face's readings."""
        return self.reader.models

    @property
    def detector(self) -> Detector:
        """What finds the faces."""
        return self.reader.detector

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
        quality: QualityLimits | None = None,
        say: Say | None = None,
    ) -> Generator[Frame, None, None]:
        """Watch a video or a live stream: one frame for each picture, with the faces followed over time.

        A file gives every picture in its order, decoded ahead in a thread. A camera or network stream gives the newest
        picture whenever the last one has been dealt with. Memory does not grow with the length. Closing the iterator
        ends the thread and lets go of the source.

        Args:
            source: a video file, a folder of pictures, a camera's number, a URL, or a
                :class:`~mien.runtime.stream.source.Source` of one's own
                (:func:`~mien.runtime.stream.opening.open_source` has more options).
            detect_every: frames from one search of the whole picture to the next. ``"auto"`` searches a few times a
                second, sooner when a face is lost; between searches each face is looked for where it is expected.
            smoothing: how readings are smoothed, and when expressions are held; None for the defaults.
            quality: what a face must be to be read; None for the defaults.
            say: told in a sentence what was skipped, lost or found again; None logs it.

        Raises:
            VideoError: the source cannot be opened, holds no picture, or was lost for good.
            ValueError: ``detect_every`` is no number of frames.
        """
        pictures = self.watch_pictures(source, detect_every=detect_every, smoothing=smoothing, quality=quality, say=say)
        return _frames_alone(pictures)

    def watch_pictures(
        self,
        source: str | Path | int | Source,
        *,
        detect_every: DetectEvery = "auto",
        smoothing: Smoothing | None = None,
        quality: QualityLimits | None = None,
        say: Say | None = None,
        stop: threading.Event | None = None,
    ) -> Generator[tuple[Frame, StreamPicture], None, None]:
        """:meth:`watch` with the picture of each frame, for drawing into it.

        Args:
            source: as for :meth:`watch`, like what follows.
            detect_every: frames from one search of the whole picture to the next, or ``"auto"``.
            smoothing: how readings are smoothed, and when expressions are held.
            quality: what a face must be to be read.
            say: told in a sentence what was skipped, lost or found again.
            stop: ends the stream when it is set, within a quarter of a second.

        Raises:
            VideoError: the source cannot be opened, holds no picture, or was lost for good.
            ValueError: ``detect_every`` is no number of frames.
        """
        from mien.runtime.stream.camera import Camera
        from mien.runtime.stream.opening import open_source
        from mien.runtime.stream.source import Source, say_in_log
        from mien.runtime.stream.watcher import Watcher, watch_pictures

        if not isinstance(source, Source):
            source = open_source(source, say=say or say_in_log, threads=self._threads)
        cuts = not isinstance(source, Camera)
        watcher = Watcher(self.reader, detect_every=detect_every, smoothing=smoothing, quality=quality, cuts=cuts)
        return watch_pictures(watcher, source, stop=stop)

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
        return _Found(source, image.shape[1], image.shape[0], *self.reader.find(image))

    def _read_file(self, path: str | Path) -> Image:
        if not isinstance(path, str | Path):
            raise PictureError(f"a picture is a path or a uint8 array, got {type(path).__name__}")
        return read_picture(path, max_pixels=self._max_pixels)

    def _classify(self, found: Sequence[_Found]) -> list[Frame]:
        """Frames of pictures, with one call of each network for all their faces."""
        readings = self.reader.read([one.crops for one in found])
        return [self._frame(*pair) for pair in zip(found, readings, strict=True)]

    def _frame(self, found: _Found, readings: Sequence[tuple[Reading, ...]]) -> Frame:
        faces = tuple(
            replace(face, readings=of_face)
            for face, of_face in zip(found.faces, readings, strict=True)
            if self.reader.accepts(of_face)
        )
        return Frame(
            width=found.width,
            height=found.height,
            faces=faces,
            detector=self.detector.name,
            models=self.reader.names,
            source=found.source,
            rejected=found.refused + len(found.faces) - len(faces),
        )


def _frames_alone(pairs: Generator[tuple[Frame, StreamPicture], None, None]) -> Generator[Frame, None, None]:
    with closing(pairs):
        for frame, _ in pairs:
            yield frame


def _source(picture: Picture) -> str | None:
    return str(picture) if isinstance(picture, str | Path) else None
