"""torchvision, imported in this one place: the extra ``backbones``."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from mien.core.errors import MissingExtraError, ModelError

_kept: list[Any] = []


def mend_torchvision() -> None:
    """Let an installed torchvision start that was built for another torch, such as a CUDA build beside a CPU torch.

    Its compiled detection operators cannot be loaded then, and its import stops at two of them; so does the import of
    Lightning, which imports it wherever it is installed. Networks that classify need no such operator: their two
    signatures are enough for everything else to work. Nothing happens where torchvision is missing or whole.

    Raises:
        ModelError: it fails in another way.
    """
    if find_spec("torchvision") is None:
        return
    try:
        import_module("torchvision")
    except (RuntimeError, ImportError) as error:
        import torch

        if "torchvision::nms does not exist" not in str(error):
            raise _broken(error) from error
        library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)  # the signatures live as long as it does
        try:
            import_module("torchvision")
        except (RuntimeError, ImportError) as second:
            raise _broken(second) from second


def torchvision_models() -> ModuleType:
    """``torchvision.models``.

    Raises:
        MissingExtraError: torchvision is not installed.
        ModelError: it is, but cannot be imported.
    """
    if find_spec("torchvision") is None:
        raise MissingExtraError("torchvision", "backbones", "a torchvision backbone")
    mend_torchvision()
    return import_module("torchvision.models")


def _broken(error: Exception) -> ModelError:
    return ModelError(
        f"torchvision is installed but cannot be imported ({error}): it must be the release that belongs to the "
        "installed torch; pip install --upgrade 'mien[backbones]'"
    )
