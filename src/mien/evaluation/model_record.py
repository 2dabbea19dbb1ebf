"""What was measured of a model's weights in full, as its card tells it: ``results/models/NAME.json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien.core.files import read_record, write_json
from mien.evaluation.cross_dataset import CrossDataset
from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.robustness import Robustness


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRecord:
    """One split's results in full.

    Attributes:
        time: when it was measured, UTC, ISO 8601.
        commit: of mien.
        evaluation: on clean faces.
        robustness: under corruption.
    """

    time: str
    commit: str | None = None
    evaluation: Evaluation
    robustness: Robustness

    def __post_init__(self) -> None:
        """Check that the two belong together."""
        one, other = self.evaluation, self.robustness
        if (one.identity, one.dataset, one.split) != (other.identity, other.dataset, other.split):
            raise ValueError("evaluation and robustness are of different weights or rows: measure both again")


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What was measured of one model's weights: ``results/models/NAME.json``.

    Attributes:
        identity: sha256 of the ONNX file.
        measured: one entry for each split of the dataset that it was made with.
        cross_dataset: one entry for each other dataset.
    """

    identity: str
    measured: tuple[SplitRecord, ...]
    cross_dataset: tuple[CrossDataset, ...] = ()

    @classmethod
    def read(cls, path: Path) -> ModelRecord | None:
        """The record at ``path``; None where there is none.

        Raises:
            ConfigError: it is not JSON, or a key or value is wrong.
        """
        if not path.exists():
            return None
        return read_record(cls, path, remedy="python benchmarks/reliability.py writes it")

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_json(self, path, indent=1)
