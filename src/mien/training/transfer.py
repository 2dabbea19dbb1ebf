"""From a recipe to the network that is trained: its input, its first weights, and what of it stays frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import torch
from torch import Tensor, nn

from mien.core.errors import ConfigError, TrainingError
from mien.core.expression import Labels
from mien.core.fitted import Fitted
from mien.core.model_reference import ModelReference
from mien.core.preprocess import Image, InputSpec
from mien.models.network import Normalised
from mien.models.registry import build, network
from mien.models.tapped import Tapped
from mien.models.weights import PREPROCESSING, Loaded, head_of, load_weights, normalisation
from mien.training.recipe import Recipe, Transfer
from mien.training.run import WEIGHTS, Run
from mien.training.tensor_cache import cached_tensor

_CHUNK = 64


def input_of(recipe: Recipe) -> InputSpec:
    """What a recipe's crops are, with the normalisation that its weights want.

    Raises:
        ConfigError: settings that contradict each other.
        TrainingError: the run that it starts from is damaged, or of another network.
    """
    source, spec = recipe.weights.reference, network(recipe.network).input
    if source is not None and source.kind == "run":
        spec = _earlier(recipe, source).input
    elif source is not None and source.kind in ("exported", "ensemble"):
        spec = source.manifest().input
    elif source is not None:
        prepared = normalisation(recipe.network, source, recipe.weights.preprocessing)
        if prepared in PREPROCESSING:
            mean, std = PREPROCESSING[prepared]
            spec = _changed(spec, recipe, mean=mean, std=std)
    return _changed(spec, recipe, **{name: value for name, value in asdict(recipe.input).items() if value is not None})


def assemble(recipe: Recipe, classes: int, spec: InputSpec) -> nn.Module:
    """The recipe's network with fresh weights from torch's global random state, with the head that transfer wants."""
    body = build(recipe.network, classes, **recipe.options)
    return _headed(body, recipe.transfer, classes, spec)


def start(recipe: Recipe, labels: Labels, spec: InputSpec) -> tuple[nn.Module, Loaded | None]:
    """The recipe's network as training starts it, and what was loaded into it.

    Raises:
        ConfigError: settings that contradict each other, or crops that the network cannot take.
        ModelError: no weights, or those of another architecture.
        TrainingError: the run that it starts from cannot be used.
    """
    with torch.device("meta"):
        shape = assemble(recipe, len(labels), spec)
    _check_input(shape, spec, recipe.network)
    if recipe.progressive is not None:
        _check_input(shape, replace(spec, size=recipe.progressive.size), recipe.network)
    body = build(recipe.network, len(labels), **recipe.options)
    headed = False
    weights, source, loaded = recipe.weights, recipe.weights.reference, None
    if source is not None:
        earlier = _earlier(recipe, source) if source.kind == "run" else None
        if earlier is not None and (weights.preprocessing, weights.sha256) != (None, None):
            raise ConfigError("weights.preprocessing and weights.sha256 are for files: a run knows its own")
        same_labels = _labels_of(source, earlier) in (None, labels)
        hidden = recipe.transfer.hidden
        if earlier is not None and hidden is not None and earlier.recipe.transfer.hidden == hidden:
            body, headed = _headed(body, recipe.transfer, len(labels), spec), True
        loaded = load_weights(
            body,
            recipe.network,
            weights.source if earlier is None else str(source.path / WEIGHTS),
            preprocessing=weights.preprocessing if earlier is None else "own",
            sha256=weights.sha256,
            keep_head=same_labels and (headed or recipe.transfer.hidden is None),
        )
    return body if headed else _headed(body, recipe.transfer, len(labels), spec), loaded


def seen_before(recipe: Recipe) -> tuple[Fitted, ...]:
    """The rows that fitted the weights a recipe starts from, as far as runs and exported models say it."""
    source = recipe.weights.reference
    if source is None or source.kind not in ("run", "exported"):
        return ()
    return Run.read(source.path).seen if source.kind == "run" else source.manifest().seen


def head_name(body: nn.Module, transfer: Transfer) -> str:
    """Name of the head in a network that :func:`assemble` or :func:`start` made."""
    name, _ = head_of(body)
    return name.rpartition(".")[0] if transfer.hidden is not None else name


def layers_of(body: nn.Module, head: str) -> list[list[nn.Module]]:
    """The layers before the head in order: each a convolution or dense layer with the norms beside it."""
    layers: list[list[nn.Module]] = []
    for name, module in body.named_modules():
        if name == head or name.startswith(f"{head}.") or next(module.children(), None) is not None:
            continue
        opens = any(parameter.ndim > 1 for parameter in module.parameters())
        if opens or not layers:
            layers.append([module])
        else:
            layers[-1].append(module)
    return layers


def freeze(body: nn.Module, transfer: Transfer) -> list[nn.Module]:
    """Freeze what the transfer mode does not train; returns the frozen norms, which must stay in evaluation mode.

    Raises:
        ConfigError: more layers are counted than there are.
    """
    if transfer.mode == "all":
        return []
    layers = layers_of(body, head_name(body, transfer))
    with_weights = [layer for layer in layers if any(True for m in layer for _ in m.parameters())]
    n = transfer.layers or 0
    if n > len(with_weights):
        raise ConfigError(f"transfer.layers is {n}, the network has {len(with_weights)} before its head")
    first_of_last = len(with_weights) - n
    frozen = with_weights[first_of_last:] if transfer.mode == "freeze-last" else with_weights[:first_of_last]
    modules = [module for layer in frozen for module in layer]
    for module in modules:
        module.requires_grad_(False)
    return [module for module in modules if any(True for _ in module.buffers(recurse=False))]


def features(recipe: Recipe, graph: Normalised, images: Image, spec: InputSpec) -> Tensor:
    """What the head of ``graph`` is given for uint8 crops ``(n, *spec.shape)``: ``(n, d)``, computed once and kept.

    They lie in the cache folder under a digest of the weights before the head, the pictures and the input spec; any
    change of these computes them anew.
    """
    head = head_name(graph.body, recipe.transfer)

    def follows_from() -> Iterator[bytes]:
        taps = graph.body.taps if isinstance(graph.body, Tapped) else ()
        yield repr((recipe.network, sorted(recipe.options.items()), spec, taps, images.shape)).encode()
        for name, value in sorted(graph.body.state_dict().items()):
            if not name.startswith(f"{head}."):
                yield name.encode() + value.cpu().contiguous().numpy().tobytes()
        yield images.tobytes()

    return cached_tensor("features", follows_from(), lambda: _compute(graph, head, images))


def _compute(graph: Normalised, head: str, images: Image) -> Tensor:
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found: list[Tensor] = []
    hook = graph.body.get_submodule(head).register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].cpu()))
    was_training = graph.training
    try:
        graph.eval().to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on CPUs
        with torch.no_grad():
            for begin in range(0, len(images), _CHUNK):
                graph(torch.tensor(images[begin : begin + _CHUNK]).to(place))
    finally:
        hook.remove()
        graph.train(was_training).to("cpu")
    return torch.cat(found)


def _headed(body: nn.Module, transfer: Transfer, classes: int, spec: InputSpec) -> nn.Module:
    if transfer.mode == "svm":
        return Tapped(body, transfer.taps, spec, classes)
    name, head = head_of(body)
    if not isinstance(head, nn.Linear) and (transfer.mode == "bottleneck" or transfer.hidden is not None):
        raise ConfigError(
            "transfer: the network ends in a convolution and a pool, 'bottleneck' and 'hidden' need a dense layer there"
        )
    if isinstance(head, nn.Linear) and transfer.hidden is not None:
        small = nn.Sequential(
            nn.Linear(head.in_features, transfer.hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(transfer.hidden, classes),
        )
        body.set_submodule(name, small)
    return body


def _changed(spec: InputSpec, recipe: Recipe, **values: object) -> InputSpec:
    try:
        return replace(spec, **values)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(f"recipe '{recipe.name}', input of '{recipe.network}': {error}") from None


def _check_input(body: nn.Module, spec: InputSpec, name: str) -> None:
    try:
        with torch.no_grad():
            body.eval()(torch.zeros(2, spec.planes, spec.size, spec.size, device="meta"))
    except RuntimeError as error:
        own = network(name).input
        raise ConfigError(
            f"network '{name}' cannot take {spec.planes} x {spec.size} x {spec.size} planes, its own are "
            f"{own.planes} x {own.size} x {own.size}: {str(error).partition(chr(10))[0]}"
        ) from None


def _labels_of(source: ModelReference, earlier: Run | None) -> Labels | None:
    """The expressions that weights were trained to give, where they say it."""
    if earlier is not None:
        return earlier.labels
    return source.manifest().labels if source.kind == "exported" else None


def _earlier(recipe: Recipe, source: ModelReference) -> Run:
    run = Run.read(source.path)
    _ = run.best
    then, now = run.recipe, recipe
    if (then.network, then.options) != (now.network, now.options):
        raise TrainingError(
            f"{source} is a run of '{then.network}' with options {then.options}, the recipe asks for "
            f"'{now.network}' with {now.options}: weights fit their own architecture alone"
        )
    return run
