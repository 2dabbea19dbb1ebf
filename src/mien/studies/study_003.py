"""Paper 003: transfer to JAFFE's six expressions, by bottleneck features and by depth, on two kinds of folds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mien.studies.paper_cells import CellTable, PaperCell, PaperStudy, Published, SplitProtocol

_TITLES = {
    "vgg16": "VGG16",
    "inception-v3": "InceptionV3",
    "squeezenet": "SqueezeNet 1.1",
    "tiny": "mien's tiny, from FER2013",
}
_FEATURES: dict[str, dict[str, Any]] = {
    "vgg16": {"network": "vgg16", "weights": {"source": "imagenet"}},
    "inception-v3": {"network": "inception-v3", "weights": {"source": "imagenet"}, "input.size": 299},
    "squeezenet": {},
    "tiny": {"network": "tiny", "weights": {"source": "bundled", "preprocessing": "own"}, "input": {}},
}
_OPTIMISERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adam": ("Adam", {}),
    "rmsprop": ("RMSprop", {"optimiser.name": "rmsprop"}),
}
_PARTS = {"random": "random folds", "persons": "new persons"}
_DEPTHS: dict[str, tuple[str, dict[str, Any]]] = {
    "all": ("all layers", {"transfer": {"mode": "all"}}),
    **{f"last-{n}": (f"last {n} and the head", {"transfer": {"mode": "last", "layers": n}}) for n in (1, 3, 5)},
    **{
        f"freeze-last-{n}": (f"all but {n} before the head", {"transfer": {"mode": "freeze-last", "layers": n}})
        for n in (1, 2, 3, 4, 5)
    },
}
_TABLE_1 = {
    "all": (0.90, "P 91, R 90, F1 90"),
    "freeze-last-5": (0.93, "P 94, R 93, F1 93"),
    "freeze-last-4": (0.88, "P 90, R 88, F1 88"),
    "freeze-last-3": (0.86, "P 88, R 86, F1 86"),
    "freeze-last-2": (0.90, "P 92, R 90, F1 90"),
    "freeze-last-1": (0.86, "P 88, R 86, F1 86"),
}
_RMSPROP = {"last-3": (0.90, "of its text")}
_OF_THE_TEXT = ("all", "last-1", "last-3", "last-5")
"""What the paper's text trains of either network; the other depths are its Table 1's, of VGG16."""


def _protocol(parts: str, folds: int) -> SplitProtocol:
    return SplitProtocol("jaffe", "random" if parts == "random" else "persons", labels="six", folds=folds)


def _bottleneck() -> tuple[PaperCell, ...]:
    cells = []
    for network, change in _FEATURES.items():
        for optimiser, (title, setting) in _OPTIMISERS.items():
            for parts, words in _PARTS.items():
                published = Published(0.8826, "test accuracy of its text") if network == "vgg16" else Published()
                cells.append(
                    PaperCell(
                        f"{network}-bottleneck-{optimiser}-{parts}",
                        f"{_TITLES[network]}, {title}, {words}",
                        _protocol(parts, 10),
                        recipe="003-bottleneck",
                        change=change | setting,
                        start="bundled" if network == "tiny" else "recipe",
                        paper=published if (optimiser, parts) == ("adam", "random") else Published(),
                    )
                )
    return tuple(cells)


def _depth(
    network: str, change: dict[str, Any], depths: Iterable[str] = _DEPTHS, *, rmsprop: bool = False
) -> tuple[PaperCell, ...]:
    """A row for each depth and kind of folds, by Adam or by RMSprop."""
    name, setting = _OPTIMISERS["rmsprop"] if rmsprop else ("", {})
    cells = []
    for depth in depths:
        title, transfer = _DEPTHS[depth]
        accuracy, words = (_RMSPROP if rmsprop else _TABLE_1).get(depth, (None, ""))
        published = Published(accuracy, words) if network == "vgg16" else Published()
        for parts, kind in _PARTS.items():
            cells.append(
                PaperCell(
                    f"{network}-{depth}{'-rmsprop' if rmsprop else ''}-{parts}",
                    f"{title}, {f'{name}, ' if name else ''}{kind}",
                    _protocol(parts, 5),
                    recipe="003-finetune",
                    change=change | transfer | setting,
                    start="bundled" if network == "tiny" else "recipe",
                    paper=published if parts == "random" else Published(),
                )
            )
    return tuple(cells)


STUDY = PaperStudy(
    name="003",
    title="Study 003: transfer learning on JAFFE",
    paper=(
        "Darapaneni et al., Facial Expression Recognition and Recommendations Using Deep Neural Network with "
        "Transfer Learning (paper 003)"
    ),
    notes=(
        (
            "Six expressions of JAFFE, 183 pictures of ten persons. The paper splits them at random, so that the "
            "same ten persons stand on both sides, and does not say so. Here each row of a table comes twice: on "
            "random folds, and on folds of persons nobody of whom was fitted or chosen on. The second is what "
            "happens when somebody new sits down before the camera."
        ),
        (
            "What the paper's numbers suggest: recalls of 86, 88, 90 and 93 per cent, if they are averaged by "
            "support, and a validation accuracy of 0.9286 are all shares of 42 pictures and of no smaller number; "
            "one picture is then worth 2.4 points. The checkpoint that was best on them was kept, and no third part "
            "is described. Here one fold reports, the next one chooses, and every picture is reported once."
        ),
        (
            "Pictures are cropped to the face; the paper shows them whole. Features are averaged over the picture "
            "before the dense layers; how the paper passes them on it does not say. The paper tunes on from the dense "
            "layers that it trained on bottleneck features; here each depth begins with a fresh one on the pretrained "
            "network, so that no depth goes on from a bottleneck row; a recipe whose weights.source is a bottleneck "
            "run does. Adam is AdamW without decay. The "
            "paper's shear of 0.15 is in degrees in Keras, half a pixel at 224, and left out."
        ),
    ),
    sections=(
        CellTable(
            "Bottleneck features, computed once, and a small dense network",
            _bottleneck(),
            text=(
                "InceptionV3 is named in the paper without a figure of its own. SqueezeNet with ImageNet weights, "
                "and mien's tiny, which has seen FER2013 and never JAFFE, are rows of their own."
            ),
            shows=("persons", "cost", "vector", "classes"),
        ),
        CellTable(
            "Table 1: VGG16 by depth",
            _depth("vgg16", _FEATURES["vgg16"]) + _depth("vgg16", _FEATURES["vgg16"], _OF_THE_TEXT, rmsprop=True),
            text=(
                "The paper's text trains the last 1, 3, 5 or all layers; the rows of its Table 1 freeze 5, 4, 3, 2, "
                "1 layers 'from the last'. Both readings are here, by Adam where nothing else is said."
            ),
        ),
        CellTable(
            "By depth: InceptionV3",
            _depth("inception-v3", _FEATURES["inception-v3"], _OF_THE_TEXT)
            + _depth("inception-v3", _FEATURES["inception-v3"], _OF_THE_TEXT, rmsprop=True),
            text="The paper names these depths and both optimisers, and gives no figure of its own.",
        ),
        CellTable(
            "By depth: SqueezeNet with ImageNet weights",
            _depth("squeezenet", {}),
            text=(
                "The rate, 3e-4, was not tuned: for the last three layers 1e-3 did better on the validation folds of "
                "new persons."
            ),
            shows=("persons", "cost", "vector"),
        ),
        CellTable(
            "By depth: mien's tiny from FER2013",
            _depth("tiny", _FEATURES["tiny"] | {"optimiser.rate": 3e-3}),
            text=(
                "Ten times the rate of the tables above, which did better on the validation folds of new persons. "
                "Those folds hold the pictures that other folds report, so a little of that choice is in these figures."
                " It was chosen when these runs began without the scales of tiny's batch norms, and has been kept."
            ),
            shows=("persons", "cost", "vector"),
        ),
    ),
)
