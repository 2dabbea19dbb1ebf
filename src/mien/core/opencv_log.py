"""OpenCV's own log, switched off where mien reports a failure itself."""

from __future__ import annotations

import threading
from typing import Any

import cv2

_SILENT = 0
_log: Any = getattr(cv2.utils, "logging", cv2)  # cv2 itself up to OpenCV 4.12


class _Quiet:
    """Off while any thread is inside: a broken file or an absent camera is reported once, by us."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._level = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._level = _log.setLogLevel(_SILENT)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _log.setLogLevel(self._level)


quiet = _Quiet()
