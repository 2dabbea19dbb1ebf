"""Cameras and network streams: tried again when they are lost, with a clock of their own."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, cast

import cv2

from mien.core.errors import VideoError
from mien.core.opencv_log import quiet
from mien.core.preprocess import Image
from mien.runtime.stream.decode import Decoding, open_container, public_address, video_stream
from mien.runtime.stream.source import Say
from mien.runtime.stream.stream_picture import ArrayPicture, Converter, DecodedPicture, StreamPicture

if TYPE_CHECKING:
    from av.container import InputContainer

FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0
"""Seconds before a lost source is tried again: twice as long each time, up to the longest."""


class LiveSource(ABC):
    """What cameras and network streams share: times of arrival, and patience when they are lost.

    Times count from the first picture, by this machine's clock: a stream's own time stamps begin anew whenever it does.

    Args:
        name: what results call it.
        say: told when it is lost and when it is back.
        retry: seconds for which it is tried again once it was lost.
        first_delay: seconds before the first of these tries.
    """

    live = True

    def __init__(self, name: str, *, say: Say, retry: float, first_delay: float = FIRST_DELAY) -> None:  # noqa: D107
        self.name = name
        self._say = say
        self._retry = retry
        self._first_delay = first_delay
        self._closed = threading.Event()

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """The pictures as they arrive.

        Raises:
            VideoError: it was lost, and did not come back in time.
        """
        index, start = 0, None
        lost = time.monotonic()
        try:
            while not self._closed.is_set():
                for taken in self._taken():
                    if self._closed.is_set():
                        return
                    now = time.monotonic()
                    start = now if start is None else start
                    yield self._picture_of(taken, index, now - start)
                    index += 1
                    lost = time.monotonic()
                self._let_go()
                self._come_back(lost)
        finally:
            self._let_go()

    def close(self) -> None:
        """End :meth:`pictures`, also while it waits for a lost source."""
        self._closed.set()

    def _come_back(self, lost: float) -> None:
        """Open it again, however often that takes within the time since its last picture."""
        delay, reason = self._first_delay, ""
        while not self._closed.is_set():
            if time.monotonic() - lost >= self._retry:
                raise VideoError(f"{self.name}: lost, and not back within {self._retry:g} s{reason}")
            self._say(f"{self.name}: lost, trying again in {delay:g} s")
            self._closed.wait(delay)
            try:
                self._open()
            except VideoError as error:
                reason = f" ({error})"
                delay = min(2 * delay, LONGEST_DELAY)
            else:
                self._say(f"{self.name}: back")
                return

    @abstractmethod
    def _open(self) -> None:
        """Open it, or raise a VideoError."""

    @abstractmethod
    def _let_go(self) -> None:
        """Close what is open."""

    @abstractmethod
    def _taken(self) -> Iterator[Any]:
        """What arrives, until it is lost."""

    @abstractmethod
    def _picture_of(self, taken: Any, index: int, at: float) -> StreamPicture:
        """Make a picture of what arrived."""


class Camera(LiveSource):
    """A camera by its number, through OpenCV.

    Raises:
        VideoError: there is none of that number, or it is in use.
    """

    def __init__(self, number: int, *, say: Say, retry: float, first_delay: float = FIRST_DELAY) -> None:
        """Open the camera."""
        super().__init__(f"camera {number}", say=say, retry=retry, first_delay=first_delay)
        self._number = number
        self._open()

    def _open(self) -> None:
        with quiet:
            capture = cv2.VideoCapture(self._number)
            opened = capture.isOpened()
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not opened:
            capture.release()
            raise VideoError(f"{self.name}: there is no such camera, or another program uses it; cameras count from 0")
        self._capture = capture

    def _let_go(self) -> None:
        self._capture.release()

    def _taken(self) -> Iterator[Image]:
        while True:
            ok, picture = self._capture.read()
            if not ok:
                return
            yield cast(Image, picture)

    def _picture_of(self, taken: Any, index: int, at: float) -> StreamPicture:
        return ArrayPicture(cast(Image, cv2.cvtColor(taken, cv2.COLOR_BGR2RGB)), index=index, time=at)


class NetworkStream(LiveSource):
    """A stream at a URL whose end nobody told.

    Where it ends and the address then gives the very same from the beginning, it was a file, and that ends it too.

    Raises:
        VideoError: there is no video in it.
    """

    def __init__(
        self, url: str, container: InputContainer, *, say: Say, retry: float, first_delay: float = FIRST_DELAY
    ) -> None:
        """Take the container that was opened at the URL."""
        super().__init__(public_address(url), say=say, retry=retry, first_delay=first_delay)
        self._url = url
        self._ended: object = None
        self._begin(container)

    def _begin(self, container: InputContainer) -> None:
        stream = video_stream(self.name, container)
        stream.thread_type = "SLICE"  # frame threads would hold pictures back
        self._decoding = Decoding(container, stream)
        self._container = container
        self._converter = Converter()

    def _open(self) -> None:
        self._begin(open_container(self.name, self._url))

    def _let_go(self) -> None:
        self._container.close()

    def _taken(self) -> Iterator[Any]:
        for frame in self._decoding:
            if self._ended is not None and self._decoding.beginning == self._ended:
                self._say(f"{self.name}: is a file that states neither length nor duration; it was read once")
                self.close()
                return
            self._ended = None
            yield frame
        # Over RTSP a camera that starts anew may well begin with the same black picture at the same time.
        self._ended = self._decoding.beginning if self._url.lower().startswith("http") else None

    def _picture_of(self, taken: Any, index: int, at: float) -> StreamPicture:
        return DecodedPicture(taken, index=index, time=at, turns=0, converter=self._converter)
