"""Paper 004: three expressions pooled over FER2013's splits, and one network for each part of the face covered."""

from __future__ import annotations

from mien.studies.paper_cells import CellTable, PaperCell, PaperStudy, Published, SplitProtocol
from mien.studies.pooled_rows import CONDITIONS, PAPER

_POOLED = SplitProtocol("fer2013", "pooled", labels="three")
_ARMS = {
    "googlenet": (
        "GoogLeNet frozen, ImageNet weights",
        "004-googlenet",
        "The paper chose and reported on one 30 %; its augmentation and epochs are not given.",
    ),
    "squeezenet": (
        "SqueezeNet 1.1 frozen, ImageNet weights",
        "occlusion-squeezenet",
        (
            "A row of its own: it stands in for GoogLeNet, of which it has an eighth of the values. Its features are "
            "computed once from faces enlarged to 128 pixels, so that nothing is augmented."
        ),
    ),
    "resezap": (
        "ResEZAP from scratch on the 70 %",
        "occlusion-resezap",
        "A row of its own: all of it is trained on faces, none of it on other pictures.",
    ),
    "pretrained": (
        "tiny frozen, pretrained on FER2013's seven expressions",
        "occlusion-pretrained",
        (
            "A row of its own: what the paper asked of ImageNet's networks, asked of one that knows faces. It learnt "
            "seven expressions of open faces from rows outside the 30 %, without copies of those in it, and stays "
            "frozen."
        ),
    ),
}
_PRETRAINING = {"pretrained": "occlusion-seven"}


def _cells(arm: str) -> tuple[PaperCell, ...]:
    title, recipe, differs = _ARMS[arm]
    return tuple(
        PaperCell(
            f"{arm}-{condition}",
            f"{title}, {'open faces' if condition == 'none' else f'{condition} covered'}",
            _POOLED,
            recipe=recipe,
            condition=condition,
            pretraining=_PRETRAINING.get(arm),
            paper=Published(PAPER[condition]) if arm == "googlenet" else Published(),
            differs=differs if condition == CONDITIONS[0] else "",
        )
        for condition in CONDITIONS
    )


STUDY = PaperStudy(
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
            "No network here has seen one of the 30 %: ImageNet holds none of these faces, ResEZAP starts from scratch "
            "on the 70 %, and the pretrained network learnt from rows outside the 30 % alone. One that was pretrained "
            "on FER2013's official splits would have seen most of them."
        ),
        (
            "Every network under every condition, further covers and what its layers look at are in the occlusion "
            "study (`mien occlusion study`); with `--known results/occlusion.json` its figures fill these tables."
        ),
    ),
    sections=tuple(CellTable(title, _cells(arm), shows=("cost", "vector")) for arm, (title, *_) in _ARMS.items()),
)
