"""Which model a text means: a name, a file, a run's folder or an address. Commands and recipes all ask this type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.core.ensemble import SUFFIX
from mien.core.errors import ModelError, UnknownModelError, nearest
from mien.core.manifest import Manifest
from mien.core.places import BUNDLED, models_folder

RUN_RECORD = "run.json"
"""The file that makes a folder a run."""

IMAGENET = "imagenet"

Kind = Literal["run", "exported", "ensemble", "imagenet", "url", "file", "unknown"]


def no_run(folder: Path) -> str:
    """That a folder holds no run, in words."""
    return f"no run in {folder}: there is no {RUN_RECORD}; 'mien train RECIPE' makes one"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A text that names a model, and what it means.

    Attributes:
        text: as it was given.
        kind: ``run``, a folder with a :data:`RUN_RECORD`; ``exported``, the name of a bundled or pulled model, an ONNX
            file or a manifest that is there, or another folder; ``ensemble``, a path that ends in
            :data:`~mien.core.ensemble.SUFFIX`, there or not; ``imagenet``, torchvision's weights; ``url``; ``file``, of
            weights, there or not; ``unknown``, a text that is none of these, such as a run that was never trained.
    """

    text: str
    kind: Kind

    @classmethod
    def parse(cls, text: str | Path) -> ModelReference:
        """Tell what a text means; a run goes before an exported model of the same name."""
        return cls(str(text), _kind(str(text)))

    def __str__(self) -> str:
        """The text."""
        return self.text

    @property
    def path(self) -> Path:
        """The text as a path."""
        return Path(self.text)

    def manifest_path(self) -> Path:
        """The manifest of the exported model: a bundled or pulled one of that name goes first, then what is on disk.

        The folder of a run can hold its export.

        Raises:
            UnknownModelError: neither a known name nor a path that exists; the message holds the nearest name.
            ModelError: a folder with none or several, or an ensemble.
        """
        known = manifests()
        if self.text in known:
            return known[self.text]
        path = self.path
        if path.is_dir():
            return _only_manifest(path)
        if self.kind == "ensemble" and path.is_file():
            raise ModelError(f"{path}: is an ensemble, which mien evaluate and mien compare take; name one model here")
        if path.is_file():
            return path.with_suffix(".json")
        if path.suffix in (".onnx", ".json") or len(path.parts) > 1:
            raise UnknownModelError(f"{path}: no such model file or folder; 'mien models list' shows what is at hand")
        names = nearest(self.text, known) if known else "no model is bundled or pulled; give the path of an ONNX file"
        raise UnknownModelError(f"unknown model '{self.text}': {names}")

    def manifest(self) -> Manifest:
        """What the exported model says of itself.

        Raises:
            UnknownModelError: see :meth:`manifest_path`.
            ModelError: see :meth:`manifest_path`; or an ONNX file without a manifest.
            ConfigError: the manifest is damaged.
        """
        return Manifest.read(self.manifest_path())


def manifests() -> dict[str, Path]:
    """Manifests of the bundled and the pulled models by name; a bundled one goes first."""
    found = [p for folder in (models_folder(), BUNDLED) if folder.is_dir() for p in sorted(folder.glob("*.json"))]
    return dict(sorted({path.stem: path for path in found}.items()))


def _kind(text: str) -> Kind:
    path = Path(text)
    if text.endswith(SUFFIX):
        return "ensemble"
    if (path / RUN_RECORD).is_file():
        return "run"
    if text in manifests() or path.is_dir() or (path.suffix in (".onnx", ".json") and path.is_file()):
        return "exported"
    if text == IMAGENET:
        return "imagenet"
    if "://" in text:
        return "url"
    return "file" if path.suffix or path.exists() else "unknown"


def _only_manifest(folder: Path) -> Path:
    """The one JSON file of a folder that has an ONNX file of its name beside it."""
    found = sorted(p for p in folder.glob("*.json") if p.with_suffix(".onnx").is_file())
    if len(found) != 1:
        names = ", ".join(p.stem for p in found) or "none"
        raise ModelError(
            f"{folder} must hold one model (NAME.onnx with NAME.json) or a run ({RUN_RECORD}), found {names}: name the "
            "file itself"
        )
    return found[0]
