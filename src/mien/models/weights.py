"""Pretrained weights into a network: where they are from, what was loaded, and how they want their pictures."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.core.errors import ChecksumError, ConfigError, DownloadError, ModelError
from mien.core.manifest import Manifest, sha256
from mien.core.model_reference import IMAGENET, ModelReference
from mien.core.places import cache_folder
from mien.models.backbones import SOURCES, imagenet_state, modern_name
from mien.models.rebuild import rebuild

Preprocessing = Literal["own", "torch", "tf", "caffe"]

PREPROCESSING: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "torch": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "tf": ((127.5,) * 3, (127.5,) * 3),
    "caffe": ((123.68, 116.779, 103.939), (1.0,) * 3),
}
"""Mean and deviation of R, G and B on the 0 to 255 scale, under the names of Keras' ``preprocess_input`` modes.

``caffe`` weights were trained on BGR. Their first convolution is turned round when it is loaded, so that the graph
takes RGB like any other: which order the planes had is a property of the weights, not of the network.
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a file's tensors.

    Attributes:
        source: where the weights are from.
        sha256: of their file.
        loaded: values that were loaded.
        fresh: tensors of the network that keep their fresh values: the head's, where the file's has another shape.
        unused: tensors of the file that the network has no place for.
        mean: what the weights want subtracted, or None for the network's own.
        std: what they want divided by, or None.
        trained_on: what an exported model says that it learnt from; empty for a run or a file.
    """

    source: str
    sha256: str
    loaded: int
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    trained_on: str = ""

    def describe(self) -> str:
        """One line for a person."""
        fresh = ", ".join(self.fresh) or "nothing"
        unused = f"; not used from it: {', '.join(self.unused)}" if self.unused else ""
        return f"{self.loaded:,} values from {self.source}; fresh: {fresh}{unused}"


def head_of(body: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Name and module of the layer that gives the logits: the last dense one, or without any the last convolution.

    Raises:
        ConfigError: the network has neither.
    """
    for kind in (nn.Linear, nn.Conv2d):
        found = [(name, module) for name, module in body.named_modules() if isinstance(module, kind)]
        if found:
            return found[-1]
    raise ConfigError(f"{type(body).__name__} has no dense layer and no convolution that could be its head")


def normalisation(network: str, source: ModelReference, preprocessing: Preprocessing | None) -> Preprocessing:
    """How the pictures of some weights were prepared.

    Raises:
        ConfigError: a file's preparation is not said, or ImageNet weights are said to have another than theirs.
    """
    if source.kind in ("exported", "ensemble"):
        if preprocessing is not None:
            raise ConfigError(f"weights.preprocessing is for files: the exported model {source} knows its own")
        return "own"
    if source.kind == "imagenet":
        if network not in SOURCES:
            imagenet_state(network)  # it knows the message
        own: Preprocessing = SOURCES[network].preprocessing
        if preprocessing not in (None, own):
            raise ConfigError(f"torchvision's ImageNet weights of '{network}' need preprocessing '{own}': leave it out")
        return own
    if preprocessing is None:
        if source.kind == "unknown":
            raise ConfigError(
                f"there is neither a run nor a file at {source}, and no exported model of that name: train that run "
                "first, or name a file"
            )
        raise ConfigError(
            f"weights.preprocessing is missing: say how the pictures of {source} were prepared, 'own' (as the "
            "network's own input), 'torch' (torchvision), 'tf' (-1 to 1) or 'caffe' (BGR minus means)"
        )
    return preprocessing


def load_weights(
    body: nn.Module,
    network: str,
    source: str,
    *,
    preprocessing: Preprocessing | None = None,
    sha256: str | None = None,
    keep_head: bool = True,
) -> Loaded:
    """Load pretrained weights into ``body``: all but the head must be there, in the right shapes.

    Args:
        body: a network of the registry.
        network: its name there.
        source: ``imagenet``, an exported model's name or path, the path of a file (safetensors, or a torch state
            dict), or an https URL of one.
        preprocessing: how the weights' pictures were prepared; a key of :data:`PREPROCESSING`, or ``own``.
        sha256: of the file, an exported model's ONNX file; needed for a URL.
        keep_head: load the head too, where the file has one of the right shape.

    Raises:
        ConfigError: contradictory or missing settings.
        ModelError: no file, no weights in it, or those of another architecture.
        ChecksumError: the file is another than its sha256 says.
        DownloadError: it could not be fetched.
    """
    reference, trained_on = ModelReference.parse(source), ""
    prepared = normalisation(network, reference, preprocessing)
    if reference.kind in ("exported", "ensemble"):
        state, digest, trained_on = _exported(network, reference, sha256)
    else:
        state, digest = _state(network, reference, sha256)
    if prepared == "caffe":
        state = _rgb_first(body, state)
    mean, std = PREPROCESSING.get(prepared, (None, None))
    head, _ = head_of(body)
    wanted = body.state_dict()
    given = _named(state, wanted)
    fresh = {name for name in wanted if name.startswith(f"{head}.") and not (keep_head and _fits(given, wanted, name))}
    fresh |= {name for name in wanted if name.endswith("num_batches_tracked") and name not in given}
    _refuse_foreign(given, wanted, fresh, f"{source} does not hold weights of '{network}'")
    kept = {name: value for name, value in given.items() if name in wanted and name not in fresh}
    body.load_state_dict(kept, strict=False)
    return Loaded(
        source=source,
        sha256=digest,
        loaded=sum(value.numel() for value in kept.values()),
        fresh=tuple(name for name in wanted if name in fresh),
        unused=tuple(name for name in given if name not in kept),
        mean=mean,
        std=std,
        trained_on=trained_on,
    )


def _exported(network: str, source: ModelReference, expected: str | None) -> tuple[Mapping[str, Tensor], str, str]:
    """The tensors of an exported model, the sha256 of its file, and what it learnt from."""
    path = source.manifest_path()
    manifest = Manifest.read(path)
    if manifest.network != network:
        raise ModelError(
            f"{source} is an exported model of '{manifest.network}', the recipe asks for '{network}': weights fit "
            "their own architecture alone"
        )
    if expected is not None and manifest.sha256 != expected.lower():
        raise ChecksumError(
            f"the exported model {source} has sha256 {manifest.sha256}, the recipe says {expected}: it is another one "
            "by now; name the file of the one that is meant"
        )
    return rebuild(manifest, path.parent).graph.body.state_dict(), manifest.sha256, manifest.trained_on


def _state(network: str, source: ModelReference, expected: str | None) -> tuple[Mapping[str, Tensor], str]:
    if source.kind == "imagenet":
        if expected is not None:
            raise ConfigError("weights.sha256 is for files: torchvision checks its own downloads")
        return _imagenet(network)
    path = _fetched(source.text, expected) if source.kind == "url" else source.path.expanduser()
    if not path.is_file():
        raise ModelError(f"no weights at {path}: give 'none', '{IMAGENET}', a file, an https URL or a run's folder")
    found = sha256(path)
    if expected is not None and found != expected.lower():
        raise ChecksumError(f"{path} has sha256 {found}, the recipe says {expected}: fetch it again")
    return read_state(path), found


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or of a torch state dict; nothing in it is executed.

    Raises:
        ModelError: it is neither, is damaged, or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            content: object = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        if isinstance(error, pickle.UnpicklingError):  # torch's own words advise to run what the file holds
            reason = "torch does not read it as tensors alone; save model.state_dict()"
        raise ModelError(f"{path} is no file of weights, safetensors or a torch state dict: {reason}") from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ModelError(f"{path} holds no state dict: expected names with tensors; save model.state_dict()")
    return {str(name): value for name, value in content.items()}


def _imagenet(network: str) -> tuple[Mapping[str, Tensor], str]:
    try:
        state, kept = imagenet_state(network)
        return state, sha256(kept)
    except RuntimeError as error:  # torch.hub's word for a wrong hash
        raise ChecksumError(f"ImageNet weights of '{network}': {error}; nothing was used") from None
    except OSError as error:
        raise DownloadError(
            f"ImageNet weights of '{network}' could not be fetched ({error}). Without internet, fetch them elsewhere "
            "and give the file: in a recipe weights: {source: FILE, preprocessing: "
            f"{SOURCES[network].preprocessing}}}, to mien reproduce --weights {network}=FILE:"
            f"{SOURCES[network].preprocessing}"
        ) from None


def _fetched(url: str, expected: str | None) -> Path:
    if not url.startswith("https://") or expected is None:
        raise ConfigError(f"weights from {url} need https and weights.sha256: what is downloaded is checked before use")
    folder = cache_folder() / "weights"
    path = folder / f"{expected.lower()}{Path(url.partition('?')[0]).suffix}"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=expected.lower(), progress=False)
        except RuntimeError as error:
            raise ChecksumError(f"{url}: {error}; nothing was kept") from None
        except OSError as error:
            raise DownloadError(f"{url} cannot be fetched ({error}): fetch it elsewhere and give the file") from None
    return path


def _rgb_first(body: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights for RGB: the planes of the first convolution in the opposite order."""
    first = next((f"{n}.weight" for n, m in body.named_modules() if isinstance(m, nn.Conv2d)), "")
    return {
        name: value.flip(1) if first.endswith(name) and value.ndim == 4 and value.shape[1] == 3 else value
        for name, value in state.items()
    }


def _named(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the network's own names: as they are, or as torchvision's within a backbone."""
    modern = {modern_name(name): value for name, value in state.items()}
    inside = {f"body.{name}": value for name, value in modern.items()}
    return max(modern, inside, key=lambda names: len(names.keys() & wanted.keys()))


def _fits(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str) -> bool:
    return name in given and given[name].shape == wanted[name].shape


def _refuse_foreign(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], fresh: set[str], what: str) -> None:
    needed = [name for name in wanted if name not in fresh]
    missing = [name for name in needed if name not in given]
    if missing:
        raise ModelError(
            f"{what}: {len(missing)} of {len(needed)} tensors are missing, such as {missing[0]}; "
            f"it holds {', '.join(list(given)[:3])} …"
        )
    for name in needed:
        if given[name].shape != wanted[name].shape:
            raise ModelError(f"{what}: {name} is {tuple(given[name].shape)} there, {tuple(wanted[name].shape)} here")
