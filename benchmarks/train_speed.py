"""How fast networks are trained, and how much of a step is spent outside their forward and backward pass.

    python benchmarks/train_speed.py [NETWORK ...] [--precision bf16|fp32]

Beside each network's own steps stand those of the same network fed as most programs do: a DataLoader that opens,
changes and normalises one picture at a time. Both compute as our recipes do on this machine, unless told otherwise.
Pixels are random: how long a step takes does not depend on them.
"""

from __future__ import annotations

import mien.training  # noqa: F401  (first: it mends a torchvision that Lightning would stop at)  # isort: skip

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import harness
from mien.core.errors import MienError
from mien.core.expression import FER2013
from mien.core.preprocess import InputSpec
from mien.data.dataset import Dataset, text_column
from mien.models.network import Normalised
from mien.models.registry import build, count_values, network
from mien.models.vision import mend_torchvision
from mien.training.fit import keep_memory, precision_here
from mien.training.loop import LIGHTNING_PRECISION, Learner
from mien.training.recipe import Augmentation, DataConfig, Optimiser, Recipe

mend_torchvision()  # before Lightning, which would stop at a torchvision built for another torch
from lightning.fabric import Fabric  # noqa: E402

NETWORKS = ("resezap", "resnet18", "model-a")
GOAL = 0.10
"""Share of a step outside forward and backward, at most."""

AUGMENT = Augmentation(rotation=10, zoom=0.1, shift=0.08, erase=0.25)
PARTS = ("feeding", "augmenting", "forward", "backward", "updating and the rest")
WARM_UP = 2
LEAST = 3
"""Steps that are timed however long they take."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How both contenders are fed: pictures a step, what they compute in, and for how many seconds."""

    batch: int
    precision: Literal["fp32", "bf16"]
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument(
        "--precision",
        choices=LIGHTNING_PRECISION,
        default=precision_here("bf16"),
        help="what to compute in, if not in what our recipes, which ask for bf16, are computed in here",
    )
    parser.add_argument("--threads", type=int, default=1, help="torch's threads on the CPU")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each contender")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for train_speed.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_memory()
    setting, rows, skipped = Setting(options.batch, options.precision, options.seconds), [], {}
    for name in options.networks:
        try:
            rows.append(measure(name, setting))
        except MienError as error:  # torchvision is an extra
            skipped[name] = str(error)
    found = {"threads": options.threads, **asdict(setting), "goal": GOAL, "device": _device()}
    harness.write("train_speed", {**found, "rows": rows, "skipped": skipped}, folder=options.out)


def measure(name: str, setting: Setting) -> dict[str, Any]:
    """One network: its own steps, then a DataLoader's with no process of its own and with one."""
    spec = network(name).input
    data = _pictures(spec, setting.batch * 64)
    steps = ours(name, data, setting)
    whole = steps.sum(axis=1)
    medians = dict(zip(PARTS, np.median(steps, axis=0).tolist(), strict=True))
    inside = steps[:, PARTS.index("forward")] + steps[:, PARTS.index("backward")]
    return {
        "network": name,
        "values": sum(count_values(build(name))),
        "steps": len(steps),
        "images_per_second": setting.batch / float(np.median(whole)),
        "milliseconds": {part: 1000 * value for part, value in medians.items()},
        "share_outside": float(np.median(1 - inside / whole)),
        "dataloader_images_per_second": {
            str(workers): setting.batch / float(np.median(theirs(name, data, setting, workers))) for workers in (0, 1)
        },
    }


def ours(name: str, data: Dataset, setting: Setting) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Seconds ``(steps, 5)`` of each of :data:`PARTS`, in the loop that ``mien train`` runs."""
    torch.manual_seed(0)
    recipe = Recipe(
        name=name,
        network=name,
        data=DataConfig(validation="validation"),
        augment=AUGMENT,
        optimiser=Optimiser(),
        epochs=1,
        batch=setting.batch,
        precision=setting.precision,
    )
    body = build(name)
    fabric, marks = _TimedFabric(accelerator="auto", devices=1, precision=LIGHTNING_PRECISION[recipe.precision]), []
    learner = Learner(recipe, Normalised(body, network(name).input), data, data.take(np.arange(setting.batch)), fabric)
    fabric.mark = lambda: marks.append(_now())
    body.register_forward_pre_hook(lambda *_: fabric.mark())
    body.register_forward_hook(lambda *_: fabric.mark())
    learner.begin(0)
    steps: list[list[float]] = []
    last = timed = _now()
    for batch in _endless(lambda: iter(learner.batches(0))):
        marks[:] = [_now()]
        learner.step(batch)
        end = _now()
        fed, forward, seen, backward, updating = marks
        loss = backward - seen  # computed between the two passes; counted with the rest
        steps.append([fed - last, forward - fed, seen - forward, updating - backward, end - updating + loss])
        if len(steps) == WARM_UP:
            timed = end
        elif len(steps) >= WARM_UP + LEAST and end - timed > setting.seconds:
            break
        last = end
    return np.array(steps[WARM_UP:])


class _TimedFabric(Fabric):
    """Marks the time before and after each backward pass."""

    mark: Callable[[], None]

    def backward(self, *arguments: Any, **options: Any) -> None:
        self.mark()
        super().backward(*arguments, **options)
        self.mark()


def theirs(name: str, data: Dataset, setting: Setting, workers: int) -> list[float]:
    """Seconds of each step of a plain loop over a DataLoader with a transform for each picture."""
    from torch.utils.data import DataLoader

    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    body = build(name).to(device)
    optimiser = torch.optim.AdamW(body.parameters(), lr=1e-3)
    pictures = _Pictures(data, network(name).input)
    loader = DataLoader(pictures, setting.batch, shuffle=True, drop_last=True, num_workers=workers)
    times: list[float] = []
    started = last = _now()
    for planes, indices in _endless(lambda: iter(loader)):
        with torch.autocast(device.type, torch.bfloat16, enabled=setting.precision == "bf16"):
            logits = body(planes.to(device))
            loss = functional.cross_entropy(logits, indices.to(device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        now = _now()
        times.append(now - last)
        last = now
        if len(times) == WARM_UP:
            started = now
        elif len(times) >= WARM_UP + LEAST and now - started > setting.seconds:
            break
    return times[WARM_UP:]


class _Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """One picture at a time, through torchvision's transforms, with the same changes as :data:`AUGMENT`."""

    def __init__(self, data: Dataset, spec: InputSpec) -> None:
        from torchvision import transforms  # type: ignore[import-untyped]

        self._data = data
        self._change = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.RandomHorizontalFlip(),
                transforms.RandomAffine(
                    AUGMENT.rotation,
                    translate=(AUGMENT.shift, AUGMENT.shift),
                    scale=(1 - AUGMENT.zoom, 1 + AUGMENT.zoom),
                    interpolation=transforms.InterpolationMode.BILINEAR,
                ),
                transforms.ToTensor(),
                transforms.RandomErasing(AUGMENT.erase, scale=(0.02, 0.2)),
                *([transforms.Lambda(_in_colour)] if spec.planes > spec.channels else []),
                transforms.Normalize([m / 255 for m in spec.mean], [s / 255 for s in spec.std]),
            ]
        )

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        planes: Tensor = self._change(self._data.images[row])
        return planes, int(self._data.indices[row])


def _in_colour(planes: Tensor) -> Tensor:
    return planes.expand(3, -1, -1)


def _endless(start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    while True:
        yield from start()


def _pictures(spec: InputSpec, rows: int) -> Dataset:
    random = np.random.default_rng(0)
    return Dataset(
        name="random",
        images=random.integers(0, 256, (rows, *spec.shape), dtype=np.uint8),
        indices=random.integers(0, len(FER2013), rows),
        labels=FER2013,
        splits=text_column(["train"] * rows),
        rows=np.arange(rows),
        licence="none",
    )


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    main()
