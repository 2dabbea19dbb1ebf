"""The models that are at hand: bundled with mien, pulled by the user, or anywhere on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.core.errors import ChecksumError, MienError, ModelError, UnknownModelError, nearest
from mien.core.manifest import FaceDetectorManifest, FaceGateManifest, Manifest, sha256
from mien.core.model_reference import ModelReference, manifests
from mien.core.places import BUNDLED, models_folder

if TYPE_CHECKING:
    from mien.runtime.inference.classify import OnnxClassifier

DEFAULT_MODEL = "small"
"""The bundled network that reads where none is named."""

FACE_GATE = BUNDLED / "gate" / "gate.json"
"""Manifest of the face-or-not gate that comes with mien, in a folder of its own: it gives no expressions."""


FACE_DETECTOR_NAME = "mien-face"
"""Name of mien's own face detector."""

FACE_DETECTOR = BUNDLED / "detector" / f"{FACE_DETECTOR_NAME}.json"
"""Manifest of that detector, likewise in a folder of its own."""


_BESIDE: dict[Path, type[FaceDetectorManifest | FaceGateManifest]] = {
    FACE_DETECTOR: FaceDetectorManifest,
    FACE_GATE: FaceGateManifest,
}
"""What comes with mien beside the expression models."""


@dataclass(frozen=True, slots=True)
class Pullable:
    """A file that ``mien models pull`` can fetch.

    Attributes:
        name: what users call it.
        kind: what it is for.
        file: its name on disk.
        url: where it is.
        sha256: of the file.
        bytes: its size.
        licence: what may be done with it.
        summary: one sentence.
    """

    name: str
    kind: Literal["detector"]
    file: str
    url: str
    sha256: str
    bytes: int
    licence: str
    summary: str

    @property
    def path(self) -> Path:
        """Where it is, or would be, on this machine."""
        return models_folder() / self.file


PULLABLE = {
    record.name: record
    for record in (
        Pullable(
            name="yunet",
            kind="detector",
            file="face_detection_yunet_2026may.onnx",
            url="https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
            "face_detection_yunet_2026may.onnx",
            sha256="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
            bytes=229_738,
            licence="MIT (OpenCV Zoo)",
            summary="YuNet face detector with five landmarks; faster and steadier than the embedded Haar cascade.",
        ),
    )
}
"""Everything that can be pulled, by name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``mien models list``.

    Attributes:
        name: what users call it.
        kind: what it is for.
        state: whether it came with mien, has been pulled, or can be.
        path: its file on this machine, there or not yet.
        licence: of the weights.
        bytes: size of the file.
        summary: one sentence.
        manifest: of an expression model.
    """

    name: str
    kind: Literal["expression", "detector", "gate"]
    state: Literal["bundled", "pulled", "not pulled"]
    path: Path
    licence: str
    bytes: int
    summary: str
    manifest: Manifest | None = None


def entries() -> Iterator[Entry]:
    """Every model that mien knows by name: bundled, then pulled, then what can be pulled.

    Raises:
        ConfigError: a manifest among them is damaged.
    """
    for name, manifest_path in manifests().items():
        manifest = Manifest.read(manifest_path)
        yield Entry(
            name=name,
            kind="expression",
            state="bundled" if manifest_path.parent == BUNDLED else "pulled",
            path=manifest_path.parent / manifest.file,
            licence=manifest.weights_licence,
            bytes=manifest.bytes,
            summary=manifest.summary,
            manifest=manifest,
        )
    for path, kind in _BESIDE.items():
        if path.is_file():
            part = kind.read(path)
            yield Entry(
                name=part.name,
                kind=part.kind,
                state="bundled",
                path=path.parent / part.file,
                licence=part.weights_licence,
                bytes=part.bytes,
                summary=part.summary,
            )
    for record in PULLABLE.values():
        yield Entry(
            name=record.name,
            kind=record.kind,
            state="pulled" if record.path.is_file() else "not pulled",
            path=record.path,
            licence=record.licence,
            bytes=record.bytes,
            summary=record.summary,
        )


def entry(name: str) -> Entry:
    """The one of that name.

    Raises:
        UnknownModelError: there is none; the message holds the nearest.
    """
    known = {found.name: found for found in entries()}
    if name not in known:
        raise UnknownModelError(f"unknown model '{name}': {nearest(name, known)}")
    return known[name]


def verify() -> Iterator[tuple[str, MienError | None]]:
    """Hash every model at hand again: its name, and what is wrong with it or None."""
    checks: dict[str, Callable[[], object]] = {
        name: lambda path=path: Manifest.read(path).verify(path.parent)  # type: ignore[misc]
        for name, path in manifests().items()
    }
    for path, kind in _BESIDE.items():
        if path.is_file():
            checks[path.stem] = lambda path=path, kind=kind: kind.read(path).verify(path.parent)  # type: ignore[misc]
    for name, check in checks.items():
        try:
            check()
        except MienError as error:
            yield name, error
        else:
            yield name, None
    for record in PULLABLE.values():
        if record.path.is_file():
            try:
                check_file(record, record.path)
            except ChecksumError as error:
                yield record.name, error
            else:
                yield record.name, None


def is_pulled(name: str) -> bool:
    """Whether a pullable file is on this machine."""
    return PULLABLE[name].path.is_file()


def detector_path(name: str) -> Path:
    """Path of a pulled detector, once its sha256 has been checked.

    Raises:
        ModelError: it has not been pulled.
        ChecksumError: it is not the file that was published.
    """
    record = PULLABLE[name]
    if not record.path.is_file():
        raise ModelError(f"the detector '{name}' is not on this machine yet: mien models pull {name}")
    check_file(record, record.path)
    return record.path


def check_file(record: Pullable, path: Path) -> None:
    """Refuse a file that is not the one the record describes.

    Raises:
        ChecksumError: its sha256 is another.
    """
    found = sha256(path)
    if found != record.sha256:
        raise ChecksumError(
            f"{path} ({path.stat().st_size:,} bytes) has sha256 {found}, expected {record.sha256} "
            f"({record.bytes:,} bytes): mien models pull {record.name}"
        )


def open_model(model: str | Path, *, provider: str = "cpu", threads: int = 1) -> OnnxClassifier:
    """Open an expression model, verified.

    Args:
        model: the name of a bundled or pulled model, or a path: an ONNX file with its manifest beside it, a manifest,
            or a folder with exactly one of them.
        provider: ONNX Runtime's execution provider.
        threads: threads within one network call.

    Raises:
        UnknownModelError: neither a known name nor a path that exists; the message holds the nearest name.
        ChecksumError: the file is not the one that its manifest names, or is cut short.
        ConfigError: the manifest is damaged.
        ModelError: the model cannot be used; see :class:`~mien.runtime.inference.classify.OnnxClassifier`.
    """
    from mien.runtime.inference.classify import OnnxClassifier

    path = ModelReference.parse(model).manifest_path()
    return OnnxClassifier(Manifest.read(path), path.parent, provider=provider, threads=threads)
