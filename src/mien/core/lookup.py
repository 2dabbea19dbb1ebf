"""Which exported model is meant: by the name of a bundled or pulled one, or by a path."""

from __future__ import annotations

from pathlib import Path

from mien.core.ensemble import SUFFIX
from mien.core.errors import ModelError, UnknownModelError, nearest
from mien.core.places import BUNDLED, models_folder


def manifests() -> dict[str, Path]:
    """Manifests of the bundled and the pulled models by name; a bundled one goes first."""
    found = [p for folder in (models_folder(), BUNDLED) if folder.is_dir() for p in sorted(folder.glob("*.json"))]
    return dict(sorted({path.stem: path for path in found}.items()))


def find_manifest(model: str | Path) -> Path:
    """Path of the manifest of a bundled or pulled model of that name, or of one on disk.

    Args:
        model: its name, or a path: an ONNX file with its manifest beside it, a manifest, or a folder with exactly one
            of them.

    Raises:
        UnknownModelError: neither a known name nor a path that exists; the message holds the nearest name.
        ModelError: an ONNX file without a manifest, a folder with none or several, or an ensemble.
    """
    known = manifests()
    if str(model) in known:
        return known[str(model)]
    path = Path(model)
    if path.is_dir():
        return _only_manifest(path)
    if path.name.endswith(SUFFIX) and path.is_file():
        raise ModelError(f"{path}: is an ensemble, which mien evaluate and mien compare take; name one model here")
    if path.is_file():
        return path.with_suffix(".json")
    if path.suffix in (".onnx", ".json") or len(path.parts) > 1:
        raise UnknownModelError(f"{path}: no such model file or folder")
    names = nearest(str(model), known) if known else "no model is bundled or pulled; give the path of an ONNX file"
    raise UnknownModelError(f"unknown model '{model}': {names}")


def _only_manifest(folder: Path) -> Path:
    """The one JSON file of a folder that has an ONNX file of its name beside it."""
    found = sorted(p for p in folder.glob("*.json") if p.with_suffix(".onnx").is_file())
    if len(found) != 1:
        names = ", ".join(p.stem for p in found) or "none"
        raise ModelError(
            f"{folder} must hold one model (NAME.onnx with NAME.json) or a run (run.json), found {names}: name the "
            "file itself"
        )
    return found[0]
