"""Paper 004: three expressions pooled over FER2013's splits, and one network for each part of the face covered."""

from __future__ import annotations

from mien.explain.study import CONDITIONS, PAPER
from mien.studies.cell import Cell, Protocol, Published, Section, Study

_POOLED = Protocol("fer2013", "pooled", labels="three")
_ARMS = {
    "googlenet": ("GoogLeNet frozen, ImageNet weights", "004-googlenet", "frozen, with a new head"),
    "squeezenet": ("SqueezeNet 1.1 frozen, ImageNet weights", "occlusion-squeezenet", "frozen, with a new head"),
    "resezap": ("ResEZAP from scratch", "occlusion-resezap", "trained on the 70 % alone"),
}


def _cells(arm: str) -> tuple[Cell, ...]:
    title, recipe, _ = _ARMS[arm]
    return tuple(
        Cell(
            f"{arm}-{condition}",
            f"{title}, {'open faces' if condition == 'none' else f'{condition} covered'}",
            _POOLED,
            recipe=recipe,
            condition=condition,
            paper=Published(PAPER[condition]) if arm == "googlenet" else Published(),
        )
        for condition in CONDITIONS
    )


STUDY = Study(
    name="004",
    title="Study 004: pretrained networks and covered faces",
    paper="Dobeš & Sabolová, Emotion Recognition Using Pretrained Deep Neural Networks (paper 004)",
    notes=(
        (
            "FER2013's happy, angry and neutral faces, all splits pooled and parted at random, 70 % to fit and 30 % "
            "to report; one network for each condition, trained and tested under it. The paper chose and reported on "
            "the same 30 %; here a tenth of the 70 % chooses the epoch. Of the 30 % some pictures stand in the 70 % "
            "too, pixel by pixel; the figures without them stand beside."
        ),
        (
            "No network here has seen one of the 30 %: ImageNet holds none of these faces, and ResEZAP starts from "
            "scratch on the 70 %. A network pretrained on FER2013's official splits would have seen most of them."
        ),
        (
            "Every network under every condition, further covers and what its layers look at are in the occlusion "
            "study (`mien occlusion study`); with `--known results/occlusion.json` its figures fill these tables."
        ),
    ),
    sections=tuple(
        Section(f"{title}, {how}", _cells(arm), shows=("cost", "vector")) for arm, (title, _, how) in _ARMS.items()
    ),
)
