"""An exported model back in torch: its network from the registry, with the weights of its ONNX graph.

The export folds batch norms into the convolutions before them, so a rebuilt network has other values than the one that
was trained, but the same outputs: that is checked before it is given out. Layers have their names and shapes, except
that a convolution's own output is what its batch norm gave, and the batch norm passes it on; training it further wants
the norms to have statistics again (:func:`restore_norms`). A model in eight bits is rebuilt in float32 from its rounded
weights, and answers nearly as it does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.core.manifest import Manifest
from mien.core.model_reference import ModelReference
from mien.core.predictor import softmax
from mien.core.preprocess import Image
from mien.models.export import TOLERANCE
from mien.models.head import run_graph
from mien.models.network import Normalised, TorchPredictor
from mien.models.quantise import dequantised
from mien.models.registry import build

EIGHT_BITS = 0.2
"""Largest difference of any probability where a model in eight bits is rebuilt in float32."""

_PREFIX = "body."
_CHUNK = 256


def open_exported(model: str) -> TorchPredictor:
    """The exported model of that name or path, in torch.

    Raises:
        UnknownModelError: there is none, or its network is not in the registry.
        ModelError: the file is missing, or its weights do not fit the network as the registry builds it.
        ChecksumError: the file is another than the manifest names.
    """
    path = ModelReference.parse(model).manifest_path()
    return rebuild(Manifest.read(path), path.parent)


def rebuild(manifest: Manifest, folder: Path) -> TorchPredictor:
    """The model that ``manifest`` in ``folder`` describes, in torch.

    Raises:
        UnknownModelError: its network is not in the registry.
        ModelError: the file is missing, or its weights do not fit the network as the registry builds it.
        ChecksumError: the file is another than the manifest names.
    """
    path = manifest.verify(folder)
    body = build(manifest.network, len(manifest.labels)).eval()
    model = onnx.load(path)
    given = {name: torch.tensor(values) for name, values in dequantised(model.graph).items()}
    wrong = ModelError(
        f"{path}: its weights do not fit '{manifest.network}' as the registry builds it, perhaps because it was "
        "trained with options of its own: open the run that it was exported from"
    )
    try:
        _load(body, given)
    except (KeyError, RuntimeError) as error:
        raise wrong from error
    predictor = TorchPredictor(
        body, manifest.input, manifest.labels, name=manifest.name, temperature=manifest.temperature
    )
    predictor.seen = manifest.seen
    crops = np.random.default_rng(0).integers(0, 256, (16, *manifest.input.shape), dtype=np.uint8)
    differs = np.abs(softmax(run_graph(model, crops)) - softmax(predictor.logits(crops))).max()
    if differs > (TOLERANCE if manifest.precision == "fp32" else EIGHT_BITS):
        raise wrong
    return predictor


@torch.no_grad()
def restore_norms(graph: Normalised, crops: Image) -> None:
    """Give the batch norms of a rebuilt network running statistics again, with the same outputs.

    An export folds a norm's statistics into the convolution before it. A rebuilt norm passes its input on, but in
    training it would divide by the deviation of each batch and so forget the scale that it once had learnt. Here each
    gets the mean and variance of its inputs over ``crops`` as running statistics, and the weight and bias that undo
    them.

    Args:
        graph: the rebuilt network, which is changed.
        crops: uint8 ``(n, *input.shape)``, such as a thousand that it is to be trained on.
    """
    norms = [module for module in graph.modules() if isinstance(module, nn.BatchNorm2d)]
    sums: dict[nn.Module, list[Tensor]] = {}

    def collect(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double()
        parts = [x.sum((0, 2, 3)), (x**2).sum((0, 2, 3)), x.new_tensor(x.numel() / x.shape[1])]
        sums[module] = [a + b for a, b in zip(sums[module], parts, strict=True)] if module in sums else parts

    hooks = [norm.register_forward_pre_hook(collect) for norm in norms]
    was_training = graph.training
    graph.eval()
    for begin in range(0, len(crops), _CHUNK):
        graph(torch.tensor(crops[begin : begin + _CHUNK]))
    graph.train(was_training)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        running = norm.running_mean, norm.running_var
        if running[0] is None or running[1] is None:
            continue  # it keeps no statistics
        total, squares, count = sums[norm]
        mean = (total / count).to(running[0])
        variance = (squares / count - (total / count) ** 2).clamp(min=0).to(running[1])
        scale = norm.weight / (running[1] + norm.eps).sqrt()
        norm.bias.add_((mean - running[0]) * scale)
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        running[0].copy_(mean)
        running[1].copy_(variance)


def _load(body: nn.Module, given: dict[str, Tensor]) -> None:
    """Copy what the graph holds; where it folded a norm into a convolution, the norm becomes the folded shift."""
    state = {name: given[_PREFIX + name] for name in body.state_dict() if _PREFIX + name in given}
    layers = [(name, part) for name, part in body.named_modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    waiting: tuple[str, nn.Module] | None = None
    for name, part in layers:
        if isinstance(part, nn.Conv2d):
            waiting = (name, part)
            continue
        if f"{_PREFIX}{name}.weight" in given:
            continue
        if waiting is None:
            raise KeyError(name)
        shift = given.get(f"{_PREFIX}{waiting[0]}.weight_bias", given.get(f"{_PREFIX}{waiting[0]}.bias"))
        if shift is None:
            raise KeyError(name)
        state |= {
            f"{name}.weight": torch.full_like(shift, (1 + part.eps) ** 0.5),
            f"{name}.bias": shift,
            f"{name}.running_mean": torch.zeros_like(shift),
            f"{name}.running_var": torch.ones_like(shift),
        }
        if waiting[1].bias is not None:
            state[f"{waiting[0]}.bias"] = torch.zeros_like(shift)
        waiting = None
    wanted = {name for name in body.state_dict() if not name.endswith("num_batches_tracked")}
    if missing := wanted - state.keys():
        raise KeyError(sorted(missing)[0])
    body.load_state_dict(state, strict=False)
