"""Paper 000: Models A and B, the networks of its reference [10], pooled VGG19 features, and other datasets."""

from __future__ import annotations

from mien.studies.paper_cells import CellTable, PaperCell, PaperStudy, Published, SplitProtocol

_ELSEWHERE = SplitProtocol("jaffe", "whole")
_CK = SplitProtocol("ckplus", "whole")
_RANDOM = SplitProtocol("jaffe", "random", folds=5)
_PERSONS = SplitProtocol("jaffe", "persons", folds=5)

_POOLS = {"network": "vgg19", "options": {"top": "dense"}, "weights": {"source": "imagenet"}}
_NOT_SAID = "Reference [11]'s split of JAFFE is not in paper 000; with persons on both sides figures are higher."

_COMPARED = {
    "vgg16": ("VGG16", 0.67),
    "vgg19": ("VGG19", 0.66),
    "resnet50": ("ResNet-50", 0.62),
    "mobilenet-v2": ("MobileNetV2", 0.53),
    "densenet121": ("DenseNet-121", 0.49),
}


def _compared() -> tuple[PaperCell, ...]:
    own = PaperCell(
        "wu-chen",
        "their own network, 64-128-512-512",
        recipe="000-wu-chen",
        paper=Published(0.65),
        differs="Kernels, dropout, epochs and augmentation are ours: paper 000 gives the widths and dense layers "
        "alone.",
    )
    others = (
        PaperCell(
            name,
            f"{title}, ImageNet weights",
            recipe="000-backbone",
            change={"network": name},
            paper=Published(accuracy),
            differs="Which ResNet it was, is not said." if name == "resnet50" else "",
        )
        for name, (title, accuracy) in _COMPARED.items()
    )
    return own, *others


_MUG = SplitProtocol("mug", "persons", labels="without-disgust", folds=5)

STUDY = PaperStudy(
    name="000",
    title="Study 000: pre-trained models for facial emotions",
    paper="Atanasov & Pilev 2020, Pre-trained Deep Learning Models for Facial Emotions Recognition (paper 000)",
    notes=(
        (
            "The paper gives no epochs, no augmentation and no split beside FER2013's own, so a difference of some "
            "points has many fathers. Its test on 520 pictures of students cannot be repeated: they are private. The "
            "figures of references [10] and [11] are as paper 000 gives them."
        ),
    ),
    sections=(
        CellTable(
            "Models A and B on FER2013",
            (
                PaperCell(
                    "model-a",
                    "Model A, after VGG16",
                    recipe="000-model-a",
                    paper=Published(0.70, values=13_358_151, words="almost"),
                    differs="The paper says 'more than 13 million' weights; 13,358,151 before batch norm follow from "
                    "its Table II, and ours has exactly these.",
                ),
                PaperCell(
                    "model-b",
                    "Model B, DeepFace's emotion network",
                    recipe="000-model-b",
                    paper=Published(0.57, values=1_485_831),
                    differs="DeepFace's training is not described; augmentation, averaged weights and the choice of "
                    "the epoch are ours.",
                ),
            ),
            text="Confusion matrices stand below the figures; the HTML page draws them.",
            shows=("cost", "vector", "confusion", "turns"),
        ),
        CellTable(
            "Trained on FER2013, tested elsewhere",
            (
                PaperCell(
                    "model-a-ckplus",
                    "Model A on CK+",
                    _CK,
                    run_of="model-a",
                    paper=Published(0.56),
                ),
                PaperCell("model-b-ckplus", "Model B on CK+", _CK, run_of="model-b", paper=Published(0.56)),
                PaperCell("model-a-jaffe", "Model A on JAFFE", _ELSEWHERE, run_of="model-a"),
                PaperCell("model-b-jaffe", "Model B on JAFFE", _ELSEWHERE, run_of="model-b"),
                PaperCell(
                    "tiny-jaffe",
                    "mien's tiny on JAFFE",
                    _ELSEWHERE,
                    bundled="tiny",
                    differs="Not in the paper. Ten Japanese women posing are another kind of face than FER2013's "
                    "pictures from the web, and the labels are what was posed; the rates show which expressions "
                    "travel.",
                ),
            ),
            text=(
                "Faces are found by the detector at hand and cropped as FER2013 frames its faces. Nothing of these "
                "datasets was fitted or chosen on."
            ),
            shows=("cost", "vector", "confusion"),
        ),
        CellTable(
            "The comparison of reference [10] on FER2013",
            _compared(),
            shows=("cost", "vector"),
        ),
        CellTable(
            "Joined features of pools, PCA and a linear SVM, reference [11]",
            (
                PaperCell(
                    "vgg19-pools-ckplus",
                    "VGG19, five pools and first dense layer, on CK+",
                    SplitProtocol("ckplus", "persons", folds=5),
                    recipe="000-pools-svm",
                    change=_POOLS,
                    paper=Published(0.92),
                    differs="Reference [11]'s split of CK+ is not in paper 000.",
                ),
                PaperCell(
                    "vgg19-pools-random",
                    "VGG19, five pools and first dense layer, on JAFFE",
                    _RANDOM,
                    recipe="000-pools-svm",
                    change=_POOLS,
                    paper=Published(0.88),
                    differs=_NOT_SAID,
                ),
                PaperCell(
                    "vgg19-pools-persons",
                    "VGG19, five pools and first dense layer, on JAFFE",
                    _PERSONS,
                    recipe="000-pools-svm",
                    change=_POOLS,
                    paper=Published(0.88),
                ),
                PaperCell(
                    "squeezenet-pools-random",
                    "SqueezeNet 1.1, three pools, on JAFFE",
                    _RANDOM,
                    recipe="000-pools-svm",
                    differs="A row of its own: SqueezeNet stands in for VGG19, whose weights cannot be had here. It "
                    "has three max-pools and no dense layer to read, and half a per cent of VGG19's values.",
                ),
                PaperCell(
                    "squeezenet-pools-persons",
                    "SqueezeNet 1.1, three pools, on JAFFE",
                    _PERSONS,
                    recipe="000-pools-svm",
                ),
            ),
            text=(
                "Pictures are cropped to the face and enlarged to 224 x 224. All principal components are kept, C is "
                "1, and nothing is chosen. What a network takes includes the linear layer that PCA and SVM amount to."
            ),
            shows=("cost", "vector"),
        ),
        CellTable(
            "The network of reference [12]",
            (
                PaperCell(
                    "fathallah-mug",
                    "165 x 165, six expressions, on MUG",
                    _MUG,
                    recipe="000-fathallah",
                    paper=Published(0.87, words="more than"),
                    differs="Reference [12] starts from a VGG model and trains on CK+, KDEF and RaFD as well; ours "
                    "starts from random weights on MUG alone. Widths, kernels and the dense layer are ours.",
                ),
            ),
        ),
    ),
)
