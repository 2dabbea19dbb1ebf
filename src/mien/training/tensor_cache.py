"""Tensors that are computed once and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mien.core.places import cache_folder

_FORMAT = 1


def cached_tensor(kind: str, parts: Iterable[bytes], compute: Callable[[], Tensor]) -> Tensor:
    """A tensor from the cache, or from ``compute`` and into the cache.

    It lies in the folder ``kind`` under the sha256 of ``parts``, everything that it follows from: where one of them
    changes, it is computed anew, as it is where the file is damaged. A folder that cannot be written costs time only.
    """
    digest = hashlib.sha256(f"{kind} {_FORMAT}".encode())
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    path = cache_folder() / kind / f"{digest.hexdigest()}.safetensors"
    try:
        return load_file(path)["values"]
    except Exception:  # absent or damaged, which shows in several ways; computing mends both
        values = compute().contiguous()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as own:
            whole = Path(own) / path.name
            save_file({"values": values}, whole)
            whole.replace(path)
    except (OSError, SafetensorError):
        return values
    return values
