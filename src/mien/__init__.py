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
    from mien.runtime.recognizer import Recognizer

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Event",
    "Expression",
    "Face",
    "Frame",
    "Manifest",
    "MienError",
    "Polarity",
    "Reading",
    "Recognizer",
    "Track",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load the recogniser, and ONNX Runtime with it, on first use."""
    if name == "Recognizer":
        from mien.runtime.recognizer import Recognizer

        return Recognizer
    raise AttributeError(f"module 'mien' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
