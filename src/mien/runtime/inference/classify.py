"""A trained network as an ONNX file, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from mien.core.errors import ModelError
from mien.core.expression import Labels
from mien.core.face import Reading
from mien.core.fitted import Fitted
from mien.core.manifest import Manifest
from mien.core.predictor import Floats, candidate_set, energy, softmax
from mien.core.preprocess import Image, InputSpec

_CHUNK = 256
"""Crops per network call: beyond it nothing gets faster, and the activations would fill the memory."""

_SUFFIX = "ExecutionProvider"


class OnnxClassifier:
    """A :class:`~mien.core.predictor.Predictor` made of a manifest and its ONNX file.

    The graph takes uint8 ``crops`` ``(n, *input.shape)`` and gives float32 ``logits`` ``(n, K)``. Safe to call from
    several threads at once.

    Args:
        manifest: what the model is.
        folder: where its file is.
        provider: ONNX Runtime's execution provider, such as ``"cpu"``, ``"cuda"`` or ``"CoreMLExecutionProvider"``.
        threads: threads within one network call; small networks gain nothing from more than one.

    Raises:
        ChecksumError: the file is not the one that the manifest names, or is cut short.
        ModelError: the file is missing, is no network that fits its manifest, or the provider is not available.
    """

    def __init__(self, manifest: Manifest, folder: Path, *, provider: str = "cpu", threads: int = 1) -> None:  # noqa: D107
        if not isinstance(threads, int) or threads < 1:
            raise ModelError(f"threads must be a whole number, 1 or more, got {threads!r}")
        path = manifest.verify(folder)
        chosen = _provider(provider)
        self.manifest = manifest
        self._opened = (folder, provider, threads)
        self._session = open_session(path, chosen, threads)
        _check_graph(self._session, manifest, path)

    def __getstate__(self) -> tuple[Manifest, tuple[Path, str, int]]:
        """What opens the file again in another process."""
        return self.manifest, self._opened

    def __setstate__(self, state: tuple[Manifest, tuple[Path, str, int]]) -> None:
        """Open the file again."""
        manifest, (folder, provider, threads) = state
        self.__init__(manifest, folder, provider=provider, threads=threads)  # type: ignore[misc]

    @property
    def name(self) -> str:
        """The manifest's name."""
        return self.manifest.name

    @property
    def identity(self) -> str:
        """Sha256 of the ONNX file."""
        return self.manifest.sha256

    @property
    def labels(self) -> Labels:
        """The K outputs in order."""
        return self.manifest.labels

    @property
    def input(self) -> InputSpec:
        """What its crops must be."""
        return self.manifest.input

    @property
    def temperature(self) -> float:
        """Divides the logits."""
        return self.manifest.temperature

    @property
    def parameters(self) -> int:
        """Trained and running values."""
        return self.manifest.parameters

    @property
    def seen(self) -> tuple[Fitted, ...]:
        """The rows that fitted it."""
        return self.manifest.seen

    def logits(self, crops: Image) -> Floats:
        """Uncalibrated logits ``(n, K)`` of uint8 crops ``(n, *input.shape)``; n may be 0.

        Raises:
            ValueError: the crops have another shape or type.
        """
        logits = np.empty((len(crops), len(self.labels)), dtype=np.float32)
        for start, values in self._run("logits", crops):
            logits[start : start + len(values)] = values
        return logits

    def features(self, crops: Image) -> Iterator[Floats]:
        """The last feature map, float32 ``(m, C, h, w)``, of uint8 crops ``(n, *input.shape)``, some at a time.

        Raises:
            ModelError: the graph does not give it.
            ValueError: the crops have another shape or type.
        """
        if self.manifest.head is None:
            raise ModelError(
                f"'{self.name}' gives no feature map, which a class activation map needs: its network has layers with "
                "activations behind the pooling, or an older mien exported it; export its run again"
            )
        return (values for _, values in self._run("features", crops))

    def read(self, crops: Image) -> list[Reading]:
        """One reading for each of n crops, uint8 ``(n, *input.shape)``."""
        logits = self.logits(crops)
        probabilities = softmax(logits, self.temperature)
        energies = energy(logits, self.temperature)
        return [
            Reading(
                model=self.name,
                labels=self.labels,
                probabilities=row,
                candidates=candidate_set(row, self.labels, self.manifest.conformal_thresholds),
                coverage=self.manifest.coverage,
                energy=float(value),
            )
            for row, value in zip(probabilities, energies, strict=True)
        ]

    def _run(self, output: str, crops: Image) -> Iterator[tuple[int, Floats]]:
        """One output, chunk by chunk, each with the position of its first crop."""
        if crops.dtype != np.uint8 or crops.shape[1:] != self.input.shape:
            raise ValueError(f"{self.name} takes uint8 crops (n, *{self.input.shape}), got {crops.dtype} {crops.shape}")
        for start in range(0, len(crops), _CHUNK):
            chunk = np.ascontiguousarray(crops[start : start + _CHUNK])
            yield start, self._session.run([output], {"crops": chunk})[0]


def providers() -> tuple[str, ...]:
    """Short names of the execution providers that this ONNX Runtime brings, such as ``("cuda", "cpu")``."""
    return tuple(name.removesuffix(_SUFFIX).lower() for name in _available())


def _available() -> list[str]:
    """Those that compute here; Azure's sends the network's inputs elsewhere, and runs none of ours."""
    return [name for name in ort.get_available_providers() if name != f"Azure{_SUFFIX}"]


def _provider(name: str) -> str:
    wanted = name.removesuffix(_SUFFIX).lower()
    for full, short in zip(_available(), providers(), strict=True):
        if short == wanted:
            return str(full)
    raise ModelError(
        f"the execution provider '{name}' is not available; available here: {', '.join(providers())}. "
        "Others come with other builds of ONNX Runtime, such as onnxruntime-gpu"
    )


def open_session(path: Path, provider: str, threads: int) -> ort.InferenceSession:
    """An ONNX file in ONNX Runtime, with the thread settings of all that mien runs.

    Raises:
        ModelError: it cannot be loaded, or the provider fails to start.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # it keeps a plan, and memory, for each number of faces ever seen together
    options.log_severity_level = 4  # what fails is raised; the log would say it a second time
    try:
        session = ort.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # ONNX Runtime's errors share no base of their own
        raise ModelError(f"{path}: ONNX Runtime cannot load it ({_first_line(error)}); export it again") from None
    if session.get_providers()[0] != provider:
        raise ModelError(f"{path}: {provider} was asked for and failed to start: check its driver, or use 'cpu'")
    return session


def _check_graph(session: ort.InferenceSession, manifest: Manifest, path: Path) -> None:
    inputs = {value.name: value for value in session.get_inputs()}
    outputs = {value.name: value for value in session.get_outputs()}
    if set(inputs) != {"crops"} or "logits" not in outputs:
        raise ModelError(
            f"{path}: a mien model has the input 'crops' and the output 'logits', "
            f"this one has ({', '.join(inputs)}) and ({', '.join(outputs)}); export it with mien"
        )
    crops, logits = inputs["crops"], outputs["logits"]
    if crops.type != "tensor(uint8)" or logits.type != "tensor(float)":
        raise ModelError(f"{path}: crops must be uint8 and logits float32, found {crops.type} and {logits.type}")
    if not _fits(crops.shape, manifest.input.shape):
        raise ModelError(
            f"{path}: its manifest says crops of (n, {', '.join(map(str, manifest.input.shape))}), "
            f"the network takes {_text(crops.shape)}: the two do not belong together"
        )
    if not _fits(logits.shape, (len(manifest.labels),)):
        raise ModelError(
            f"{path}: its manifest names {len(manifest.labels)} labels, the network gives {_text(logits.shape)}: "
            "the two do not belong together"
        )
    if manifest.head is not None:
        features = outputs.get("features")
        if features is None or len(features.shape) != 4 or features.shape[1] != manifest.head.channels:
            found = "none" if features is None else _text(features.shape)
            raise ModelError(
                f"{path}: its manifest says features of (n, {manifest.head.channels}, h, w), "
                f"the network gives {found}: the two do not belong together"
            )


def _fits(found: Sequence[int | str | None], one: tuple[int, ...]) -> bool:
    """Whether a graph's shape is that of a batch of any size; an axis without a number may have any."""
    if len(found) != len(one) + 1 or isinstance(found[0], int):
        return False
    return all(not isinstance(a, int) or a == b for a, b in zip(found[1:], one, strict=True))


def _text(shape: Sequence[int | str | None]) -> str:
    return f"({', '.join('n' if axis is None else str(axis) for axis in shape)})"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
