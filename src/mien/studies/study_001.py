"""Paper 001: ResNet-50 from random and from ImageNet weights, a custom network, and when validation loss turns."""

from __future__ import annotations

from mien.studies.paper_cells import CellTable, PaperCell, PaperStudy, Published
from mien.studies.scoring import WINDOW

_TURN = "The paper reads the turn off its figure, 'around 55 epochs'; here it follows from the rule."

STUDY = PaperStudy(
    name="001",
    title="Study 001: facial expression recognition with machine learning",
    paper="Rodrigues, Brioso & Cruz, Facial Expression Recognition with Machine Learning (paper 001)",
    notes=(
        (
            "150 epochs of Adam at a constant rate, pixels centred by FER2013's Training mean and divided by its "
            "deviation, flips, zoom and rotation, as the paper has them; its rate and batch size are not given. With "
            "ImageNet weights the pixels are centred as those weights were trained, by ImageNet's mean, where the "
            "paper takes FER2013's for both. It "
            "does not say whether its test figure is of the last epoch or of the best; here PublicTest chooses the "
            "epoch."
        ),
        (
            f"When validation loss turns. Losses are averaged over {WINDOW} epochs around each. The turn is the "
            f"epoch of the lowest average, unless it lies among the last {WINDOW} epochs, where nothing after it "
            "says that it was one."
        ),
    ),
    sections=(
        CellTable(
            "ResNet-50 and a custom network on FER2013",
            (
                PaperCell(
                    "resnet50-random",
                    "ResNet-50, random weights",
                    recipe="001-resnet50",
                    paper=Published(0.6294, words="loss 0.9717"),
                    differs=_TURN,
                ),
                PaperCell(
                    "resnet50-imagenet",
                    "ResNet-50, ImageNet weights",
                    recipe="001-resnet50",
                    change={"weights.source": "imagenet"},
                    paper=Published(0.6372, words="loss 0.9715"),
                    differs="The paper's weights are Keras', these torchvision's. Of disgust the paper gets 62 % "
                    "right.",
                ),
                PaperCell(
                    "custom-cnn",
                    "custom network, 8 convolutions",
                    recipe="001-custom-cnn",
                    paper=Published(0.6492, words="loss 0.9407"),
                    differs="Widths, strides and dropout are ours: the paper's figure 4 names the layers alone.",
                ),
            ),
            text="The confusion vector of the paper is the rate correct of each expression.",
            shows=("cost", "vector", "confusion", "turns"),
        ),
    ),
)
