"""What a stream of pictures is, and how it says what no error stands for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Protocol, runtime_checkable

from mien.runtime.stream.stream_picture import StreamPicture

Say = Callable[[str], None]
"""Told in one sentence what a user should know and no error stands for: what was skipped, lost or found again."""


@runtime_checkable
class Source(Protocol):
    """A stream of pictures.

    Attributes:
        name: what results call it.
        live: whether pictures come by themselves, so that a late reader must let some go.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def live(self) -> bool: ...  # noqa: D102

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """The pictures in order, each made when it is asked for; to be used once.

        Raises:
            VideoError: the stream holds no picture, or was lost for good.
        """
        ...

    def close(self) -> None:
        """End :meth:`pictures`, also from another thread, and let go of what is open. May be called again."""
        ...


@runtime_checkable
class SkippingSource(Source, Protocol):
    """A source that need not decode what nobody asks for."""

    def skip_to(self, time: float) -> None:
        """Leave out pictures before ``time`` seconds, as many as are easily left out; to be called between two."""
        ...


def say_in_log(notice: str) -> None:
    """Log a notice as a warning of the logger ``mien``: what happens to it where nobody listens."""
    logging.getLogger("mien").warning(notice)
