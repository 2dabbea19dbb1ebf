"""mien recognises facial expressions, fast and offline, and says how sure it is.

>>> from mien import Recognizer
>>> frame = Recognizer().read("photo.jpg")  # doctest: +SKIP
>>> [face.reading.describe() for face in frame.faces]  # doctest: +SKIP
['happy']
"""

from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.core.expression import Expression, Polarity
from mien.core.face import Box, Event, Face, Frame, Reading, Track
from mien.core.manifest import Manifest

if TYPE_CHECKING:
    from mien.runtime.output.dataframes import to_pandas, to_polars
    from mien.runtime.output.draw import annotate
    from mien.runtime.output.picture_frame import PictureFrame
    from mien.runtime.recognizer import Recognizer
    from mien.runtime.recordings.read import read_recording as open_recording

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Event",
    "Expression",
    "Face",
    "Frame",
    "Manifest",
    "MienError",
    "PictureFrame",
    "Polarity",
    "Reading",
    "Recognizer",
    "Track",
    "__version__",
    "annotate",
    "open_recording",
    "to_pandas",
    "to_polars",
]

_LATER = {
    "PictureFrame": ("mien.runtime.output.picture_frame", "PictureFrame"),
    "Recognizer": ("mien.runtime.recognizer", "Recognizer"),
    "annotate": ("mien.runtime.output.draw", "annotate"),
    "open_recording": ("mien.runtime.recordings.read", "read_recording"),
    "to_pandas": ("mien.runtime.output.dataframes", "to_pandas"),
    "to_polars": ("mien.runtime.output.dataframes", "to_polars"),
}
"""Loaded on first use: they bring OpenCV, ONNX Runtime and more."""


def __getattr__(name: str) -> Any:
    """Load what is not needed at once on first use."""
    if name in _LATER:
        from importlib import import_module

        module, own = _LATER[name]
        return getattr(import_module(module), own)
    raise AttributeError(f"module 'mien' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
