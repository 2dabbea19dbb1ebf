"""Where mien keeps what belongs to a user, on each platform."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

BUNDLED = Path(__file__).resolve().parents[1] / "weights"
"""Where the models are that come with mien."""


def user_folder(kind: Literal["cache", "data"]) -> Path:
    """The folder ``mien`` among the user's caches or data, where this platform keeps such things."""
    home = Path.home()
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "mien"
        return local / "cache" if kind == "cache" else local
    if sys.platform == "darwin":
        return home / "Library" / ("Caches" if kind == "cache" else "Application Support") / "mien"
    variable, default = ("XDG_CACHE_HOME", ".cache") if kind == "cache" else ("XDG_DATA_HOME", ".local/share")
    return Path(os.environ.get(variable) or home / default) / "mien"


def models_folder() -> Path:
    """Where pulled models live: ``$MIEN_HOME/models``, or ``models`` in the user's data folder."""
    return Path(os.environ.get("MIEN_HOME") or user_folder("data")) / "models"


def data_folder() -> Path:
    """Where named datasets lie: ``$MIEN_DATA``, or ``data`` in the user's data folder."""
    return Path(os.environ.get("MIEN_DATA") or user_folder("data") / "data")


def cache_folder() -> Path:
    """Where decoded datasets are kept: ``$MIEN_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("MIEN_CACHE") or user_folder("cache"))
