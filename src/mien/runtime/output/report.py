"""The HTML report: one file that needs nothing else, written picture by picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import cv2

from mien.core.errors import MienError, MissingExtraError
from mien.core.face import Frame
from mien.core.manifest import Manifest
from mien.core.preprocess import Image
from mien.core.safe_text import printable
from mien.runtime.output.annotated import encode_jpeg
from mien.runtime.output.canvas import COLOURS
from mien.runtime.output.draw import annotate
from mien.runtime.output.sinks import OutputFile, Picture, Sink

_LONG_SIDE = 960


class ReportSink(Sink):
    """A standalone HTML page: each picture with its faces numbered, and bars of all probabilities beside it.

    Raises:
        MissingExtraError: jinja2 is not installed.
        MienError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        detector: str,
        models: Sequence[Manifest],
        explained: str | None = None,
        overwrite: bool = False,
    ) -> None:
        """Create the file and write what the page says about detector and models.

        Args:
            path: of the page.
            detector: its name.
            models: what each model is.
            explained: name of the model whose class activation maps lie over the faces; None where there are no maps.
            overwrite: whether a page that exists is replaced.
        """
        self._parts = _template()
        self._explained = explained
        self._file = OutputFile(path, overwrite=overwrite)
        self._number = 0
        self._errors: list[tuple[str, str]] = []
        made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        self._file.append(self._parts.head(detector=detector, models=models, made=made))

    def write(self, frame: Frame, picture: Picture) -> None:
        """Append a picture."""
        self._number += 1
        drawn = _reduced(annotate(picture(), frame, show="words"))
        data = base64.b64encode(encode_jpeg(drawn, quality=85)).decode("ascii")
        colours = {expression: f"rgb{rgb}" for expression, rgb in COLOURS.items()}
        self._file.append(
            self._parts.picture(
                frame=frame,
                number=self._number,
                name=printable(Path(frame.source or "picture").name),
                data=data,
                size=(drawn.shape[1], drawn.shape[0]),
                colours=colours,
            )
        )

    def fail(self, source: str, error: MienError) -> None:
        """Keep the error for the page's end."""
        self._errors.append((printable(source), printable(error)))

    def close(self) -> None:
        """Write the errors and the notes, and close the file."""
        self._file.append(self._parts.foot(errors=self._errors, count=self._number, explained=self._explained))
        self._file.close()


def _template() -> Any:
    """The macros of the page: head, picture, foot."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "plots", "the HTML report") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")).module


def _reduced(picture: Image) -> Image:
    scale = _LONG_SIDE / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    return cast(Image, cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
