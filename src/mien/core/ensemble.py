"""Several models as one: their calibrated probabilities averaged, weighted, or put into a further linear layer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mien.core.errors import ModelError
from mien.core.files import read_record, write_json
from mien.core.fitted import Fitted
from mien.core.predictor import Floats, Predictor, Views, log_of, softmax
from mien.core.preprocess import Image
from mien.core.schema import to_mapping

SUFFIX = ".ensemble.json"
"""How the name of an ensemble's file ends."""

Combine = Literal["mean", "weighted", "stacked"]


@dataclass(frozen=True, slots=True)
class EnsembleSpec:
    """What an ensemble's file holds.

    Attributes:
        members: M models: names, paths of ONNX files or of runs. A relative path starts at the file's own folder.
        identities: sha256 of each member's weights, in the same order.
        combine: ``mean`` of the probabilities; ``weighted``, with the weights below; ``stacked``, a linear layer on the
            log probabilities of all members, joined.
        weights: M shares that sum to 1, for ``weighted``.
        matrix: K rows of M * K numbers, for ``stacked``.
        bias: K numbers, for ``stacked``.
        fitted_on: which rows the weights or the layer were fitted on, in words; never reported rows.
        fitted: the same, for the checks of what it is measured on.
    """

    members: tuple[str, ...]
    identities: tuple[str, ...]
    combine: Combine = "mean"
    weights: tuple[float, ...] = ()
    matrix: tuple[tuple[float, ...], ...] = ()
    bias: tuple[float, ...] = ()
    fitted_on: str = ""
    fitted: Fitted | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        if len(self.members) < 2 or len(self.identities) != len(self.members):
            raise ValueError("an ensemble has two members or more, and an identity for each")
        wanted = {"mean": (False, False), "weighted": (True, False), "stacked": (False, True)}[self.combine]
        if (bool(self.weights), bool(self.matrix)) != wanted or bool(self.bias) != bool(self.matrix):
            raise ValueError(f"weights belong to 'weighted', matrix and bias to 'stacked', this is '{self.combine}'")
        if self.weights and (
            len(self.weights) != len(self.members) or min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-6
        ):
            raise ValueError(f"weights must be {len(self.members)} shares that sum to 1, got {self.weights}")
        if self.matrix and (
            len(self.matrix) != len(self.bias)
            or {len(row) for row in self.matrix} != {len(self.members) * len(self.bias)}
        ):
            raise ValueError("matrix must have a row for each expression, with a number for each member's each output")

    @classmethod
    def read(cls, path: Path) -> EnsembleSpec:
        """Read an ensemble's file.

        Raises:
            ModelError: there is none.
            ConfigError: it is not JSON, or a key or value is wrong.
        """
        missing = ModelError(f"no ensemble at {path}: 'mien ensemble' writes one")
        return read_record(cls, path, missing=missing, remedy="write it again with 'mien ensemble'")

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_json(self, path, indent=1)


class Ensemble:
    """Several predictors as one :class:`~mien.core.predictor.Predictor`."""

    def __init__(self, members: Sequence[Predictor], spec: EnsembleSpec, *, name: str) -> None:
        """Combine ``members`` as ``spec`` says.

        Raises:
            ModelError: a member is another than the spec names, gives other expressions, or takes other crops.
        """
        first = members[0]
        for member, label, identity in zip(members, spec.members, spec.identities, strict=True):
            if member.identity != identity:
                raise ModelError(f"ensemble {name}: {label} has other weights than when it was made; make it again")
            if member.labels != first.labels:
                raise ModelError(
                    f"ensemble {name}: {label} gives {', '.join(member.labels)}, {spec.members[0]} gives "
                    f"{', '.join(first.labels)}: members must give the same expressions"
                )
            if replace(member.input, mean=first.input.mean, std=first.input.std) != first.input:
                raise ModelError(
                    f"ensemble {name}: {label} takes crops of {member.input}, {spec.members[0]} of {first.input}: "
                    "members must take the same crops"
                )
        if spec.bias and len(spec.bias) != len(first.labels):
            raise ModelError(
                f"ensemble {name}: its layer gives {len(spec.bias)} outputs for {len(first.labels)} labels"
            )
        self._members = tuple(members)
        self._spec = spec
        self.name = name
        self.identity = hashlib.sha256(
            json.dumps(to_mapping(replace(spec, members=spec.identities))).encode()
        ).hexdigest()
        self.labels = first.labels
        self.input = first.input
        self.temperature = 1.0
        self.parameters = sum(member.parameters for member in members)
        own = () if spec.fitted is None else (spec.fitted,)
        self.seen = tuple(dict.fromkeys((*own, *(fitted for member in members for fitted in member.seen))))
        self.views: Views = "one"
        self.members = len(members)
        fitted = f", fitted on {spec.fitted_on}" if spec.fitted_on else ""
        self.shown = f"ensemble of {len(members)}, {spec.combine}{fitted}"

    def logits(self, crops: Image) -> Floats:
        """Logarithms of the combined probabilities, or the further layer's logits, ``(n, K)``."""
        return combine(member_logs(self._members, crops), self._spec)


def member_logs(members: Sequence[Predictor], crops: Image) -> Floats:
    """Log probabilities ``(n, M, K)`` of each member, calibrated by its own temperature."""
    return np.stack([log_of(softmax(member.logits(crops), member.temperature)) for member in members], axis=1)


def combine(logs: Floats, spec: EnsembleSpec) -> Floats:
    """Logits ``(n, K)`` of the members' log probabilities ``(n, M, K)``."""
    if spec.combine == "stacked":
        joined = logs.reshape(len(logs), -1).astype(np.float64)
        stacked: Floats = (joined @ np.array(spec.matrix).T + np.array(spec.bias)).astype(np.float32)
        return stacked
    shares = np.array(spec.weights or [1 / logs.shape[1]] * logs.shape[1])
    mixed = np.einsum("nmk,m->nk", np.exp(logs, dtype=np.float64), shares)
    return log_of(mixed)
