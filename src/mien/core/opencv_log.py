"""OpenCV's own log, switched off where mien reports a failure itself."""

from __future__ import annotations

import threading

import cv2


class _Quiet:
    """Off while any thread is inside: a broken file or an absent camera is reported once, by us."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._level = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                cv2.utils.logging.setLogLevel(self._level)


quiet = _Quiet()
