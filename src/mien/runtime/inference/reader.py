"""A detector, models and the face gate together: what reading pictures and watching streams share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import ModelError
from mien.core.face import Face, Reading
from mien.core.preprocess import Image, InputSpec, crop_face, same_crops
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import Detector, WholePicture, make_detector
from mien.runtime.inference.face_gate import FaceGate, bundled_gate
from mien.runtime.inference.library import DEFAULT_MODEL, open_model
from mien.runtime.inference.quality import CROP, UNALIGNED, QualityLimits, assess
from mien.runtime.inference.upright import turned, turned_back, way_up

Model = str | Path | OnnxClassifier
"""A model's name, its path, or an open one."""

Crops = Mapping[InputSpec, Image]
"""Faces cut out of a picture, uint8 ``(n, *spec.shape)``, for each kind of input."""


class FaceReader:
    """Finds faces in a picture, cuts them out, and reads them by one call of each network.

    Safe to call from several threads at once.

    Args:
        detector: finds the faces.
        models: read them, each face once by each model.
        face_gate: refuses finds that are no faces; None refuses none.
        by_energy: refuse a find that looks unlike a face to every model, its energy being below the threshold in the
            model's manifest; for a build without a face gate.
        quality: what a face must be for its reading to be trusted; None for the defaults.

    Raises:
        ModelError: there is no model, or two have the same name.
    """

    def __init__(  # noqa: D107
        self,
        detector: Detector,
        models: Sequence[OnnxClassifier],
        *,
        face_gate: FaceGate | None = None,
        by_energy: bool = False,
        quality: QualityLimits | None = None,
    ) -> None:
        self.detector = detector
        self._quality = quality or QualityLimits()
        self.models = tuple(models)
        self.names = tuple(model.name for model in self.models)
        self.inputs = tuple(dict.fromkeys(model.input for model in self.models))
        self.face_gate = face_gate
        self._by_energy = by_energy
        if not self.names or len(set(self.names)) < len(self.names):
            raise ModelError(
                f"give one model or several of different names, got ({', '.join(self.names)}): "
                "mien export RUN --name NAME gives a run's model another one"
            )

    def find(self, picture: Image) -> tuple[tuple[Face, ...], dict[InputSpec, Image], int]:
        """The faces of an RGB picture, their crops, and the number of finds that the face gate refused.

        A picture that lies on its side or stands on its head is read upright; its faces say by how much it was turned.
        The quality check says of each face whether its reading can be trusted (``unmeasurable``).
        """
        found = self._judged(picture, self.detector.detect(picture))
        degrees = way_up(picture, found[0], self.detector, self._accepted)
        if degrees:
            height, width = picture.shape[:2]
            finds = self.detector.detect(turned(picture, degrees))
            again = self._judged(picture, [turned_back(find, degrees, width, height) for find in finds])
            found = again if again[0] else found
        faces, crops, refused = found
        return self._assessed(picture, faces, crops), crops, refused

    def _assessed(self, picture: Image, faces: Sequence[Face], crops: Crops) -> tuple[Face, ...]:
        """The faces with the reason why one cannot be measured, from the crop that a network sees where it is alike."""
        own = next((cut for spec, cut in crops.items() if same_crops(spec, CROP)), None)
        reasons = (
            assess(picture, face, limits=self._quality, crop=None if own is None else own[index])
            for index, face in enumerate(faces)
        )
        return tuple(replace(face, unmeasurable=reason) for face, reason in zip(faces, reasons, strict=True))

    def _accepted(self, picture: Image, finds: Sequence[Face]) -> Sequence[Face]:
        return self._judged(picture, finds)[0]

    def _judged(self, picture: Image, finds: Sequence[Face]) -> tuple[tuple[Face, ...], dict[InputSpec, Image], int]:
        crops = {spec: _crops(picture, finds, spec) for spec in self.inputs}
        if self.face_gate is None or not finds:
            return tuple(finds), crops, 0
        wanted = self.face_gate.input
        same = next((cut for spec, cut in crops.items() if same_crops(spec, wanted)), None)
        kept = self.face_gate.accepts(_crops(picture, finds, wanted) if same is None else same)
        faces = tuple(find for find, is_face in zip(finds, kept, strict=True) if is_face)
        return faces, {spec: cut[kept] for spec, cut in crops.items()}, len(finds) - len(faces)

    def read(self, pictures: Sequence[Crops]) -> list[list[tuple[Reading, ...]]]:
        """For each picture's faces one reading by each model: one call of each network for all pictures."""
        counts = [len(next(iter(crops.values()))) if crops else 0 for crops in pictures]
        full = [crops for crops, count in zip(pictures, counts, strict=True) if count]
        if not full:
            return [[] for _ in pictures]
        by_model = [model.read(np.concatenate([crops[model.input] for crops in full])) for model in self.models]
        readings = iter(zip(*by_model, strict=True))
        return [list(islice(readings, count)) for count in counts]

    def accepts(self, readings: Sequence[Reading]) -> bool:
        """Whether a find with these readings, one by each model, is taken for a face where no face gate decides."""
        return not self._by_energy or any(
            reading.energy >= model.manifest.energy_threshold
            for reading, model in zip(readings, self.models, strict=True)
        )


def open_reader(
    model: Model | Sequence[Model] = DEFAULT_MODEL,
    *,
    detector: str | Detector = "auto",
    provider: str = "cpu",
    threads: int = 1,
    min_score: float | None = None,
    min_size: float | None = None,
    search_size: int | None = None,
    reject_non_faces: bool = True,
    quality: QualityLimits | None = None,
) -> FaceReader:
    """A reader from names; see :class:`mien.Recognizer` for what they mean.

    Raises:
        ModelError: a model, detector or provider cannot be used, or two models have the same name.
    """
    chosen = [model] if isinstance(model, str | Path | OnnxClassifier) else list(model)
    models = [m if isinstance(m, OnnxClassifier) else open_model(m, provider=provider, threads=threads) for m in chosen]
    options: dict[str, Any] = {"min_score": min_score, "min_size": min_size, "search_size": search_size}
    given = [name for name, value in options.items() if value is not None]
    if not isinstance(detector, str) and given:
        raise ModelError(f"{' and '.join(given)}: for a detector that is given by name; set it on the detector itself")
    finds = make_detector(detector, **options) if isinstance(detector, str) else detector
    if quality is None and isinstance(finds, WholePicture):
        quality = UNALIGNED
    judged = reject_non_faces and not isinstance(finds, WholePicture)  # that it is a face was said, not found
    face_gate = bundled_gate() if judged else None
    return FaceReader(finds, models, face_gate=face_gate, by_energy=judged and face_gate is None, quality=quality)


def _crops(picture: Image, faces: Sequence[Face], spec: InputSpec) -> Image:
    crops = np.empty((len(faces), *spec.shape), dtype=np.uint8)
    for index, face in enumerate(faces):
        crops[index] = crop_face(picture, face, spec)
    return crops
