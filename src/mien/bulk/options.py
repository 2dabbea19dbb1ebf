"""What a bulk run is asked to read, and when it stops."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from mien.core.errors import ConfigError
from mien.core.pictures import MAX_PIXELS
from mien.runtime.inference.library import DEFAULT_MODEL

if TYPE_CHECKING:
    from mien.runtime.recognizer import Recognizer


VideoRows = Literal["frame", "second"]
"""What a row of a video stands for."""


@dataclass(frozen=True, kw_only=True)
class BulkOptions:
    """What decides the rows of an output. An output takes no rows that were read with others.

    Attributes:
        models: names or paths; pictures get a row for each, videos are read by the first.
        detector: as for :class:`~mien.runtime.recognizer.Recognizer`, like the next three.
        min_size: side of the smallest face, pixels of the picture.
        search_size: long side of the one copy that is searched, pixels.
        min_score: least score of a detection.
        every: seconds of a video from one picture that is read to the next; None for all pictures.
        rows: whether a video has a row in ``faces`` for each face of a frame, or one in ``recordings`` for each second
            and track.
        max_pixels: larger pictures are refused.
    """

    models: tuple[str, ...] = (DEFAULT_MODEL,)
    detector: str = "auto"
    min_size: float | None = None
    search_size: int | None = None
    min_score: float | None = None
    every: float | None = 1.0
    rows: VideoRows = "frame"
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not self.models:
            raise ConfigError("a bulk run needs a model: name one")
        if self.every is not None and not 0 < self.every < float("inf"):
            raise ConfigError(f"every is {self.every}: it is seconds above 0, or None for all pictures")
        if self.rows not in get_args(VideoRows):
            raise ConfigError(f"rows is '{self.rows}': it is frame or second")
        if self.max_pixels < 1:
            raise ConfigError(f"max_pixels is {self.max_pixels}: it is at least 1")

    def recognizer(self) -> Recognizer:
        """What reads by these options, in one thread.

        Raises:
            ModelError: a model or detector cannot be used.
        """
        from mien.runtime.recognizer import Recognizer

        return Recognizer(
            self.models,
            detector=self.detector,
            min_size=self.min_size,
            search_size=self.search_size,
            min_score=self.min_score,
            max_pixels=self.max_pixels,
        )

    def decides(self, recognizer: Recognizer) -> dict[str, Any]:
        """All that decides a row: the weights themselves, and not what they are called here."""
        return {
            "models": {model.manifest.name: model.manifest.sha256 for model in recognizer.models},
            "detector": recognizer.detector.name,
            "min_size": self.min_size,
            "search_size": self.search_size,
            "min_score": self.min_score,
            "every": self.every,
            "rows": self.rows,
            "max_pixels": self.max_pixels,
        }

    def key(self, recognizer: Recognizer) -> str:
        """A hash of :meth:`decides`."""
        return hashlib.sha256(json.dumps(self.decides(recognizer), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When an item, or the whole run, is given up.

    Attributes:
        seconds: without any progress after which a worker is ended.
        memory: bytes of a worker above which it is ended.
        max_bad: share of all items that may be bad; None for any.
        unit: pictures that a worker reads in one go.
    """

    seconds: float = 120.0
    memory: int = 2 << 30
    max_bad: float | None = None
    unit: int = 1000

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.seconds <= 0 or self.memory < 1 or self.unit < 1:
            raise ConfigError("the limits of time, memory and pictures in a unit must be above 0")
        if self.max_bad is not None and not 0 <= self.max_bad <= 1:
            raise ConfigError(f"max_bad is {self.max_bad}: it is a share from 0 to 1")
