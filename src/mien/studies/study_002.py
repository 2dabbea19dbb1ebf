"""Paper 002: ResEZAP's multiplications, its comparison with others, and its six design steps undone one by one."""

from __future__ import annotations

from typing import Any

from mien.studies.paper_cells import CellTable, PaperCell, PaperStudy, Published

_STEPS: tuple[tuple[str, str, dict[str, Any], Published, str], ...] = (
    (
        "no-augmentation",
        "step 1 undone: no augmentation",
        {"augment.flip": False, "augment.rotation": 0.0, "augment.zoom": 0.0, "augment.shift": 0.0},
        Published(),
        "",
    ),
    (
        "dense-top",
        "step 2 undone: two dense layers for the global max pool",
        {"options.top": "dense"},
        Published(),
        "What dense layers stood there is not said; two of 96 are ours.",
    ),
    ("plain-pool", "step 3 undone: no zero-padding before the pools", {"options.pool": "plain"}, Published(), ""),
    (
        "ordinary",
        "step 4 undone: ordinary convolutions",
        {"network": "resezap-conv"},
        Published(values=345_319, multiplications=130_075_776, size="1.43 MB"),
        "",
    ),
    (
        "each-activation",
        "step 5 undone: an activation after every convolution",
        {"options.activation": "layer"},
        Published(),
        "",
    ),
    (
        "residual",
        "step 6 undone: the standard residual block",
        {"network": "resezap-residual"},
        Published(values=66_488),
        "The shape behind the paper's 66,488 values could not be recovered; ours has 63,664.",
    ),
)

STUDY = PaperStudy(
    name="002",
    title="Study 002: ResEZAP",
    paper="Azimi Abriz & Meghdadi 2021, Real-time Facial Emotion Recognition with Deep Neural Networks (paper 002)",
    notes=(
        (
            "The paper's own numbers fix the architecture: 54,480 values counted as Keras counts (trained and "
            "running), 345,319 with ordinary convolutions, and both counts of multiplications come out exactly. Its "
            "accuracy does not: the table says 69.74 %, the text 69.49 %, and neither the epochs nor the rows that "
            "chose them are given."
        ),
    ),
    sections=(
        CellTable(
            "Table 1: multiplications of the nine convolution layers",
            (
                PaperCell(
                    "table-1-ordinary",
                    "ordinary convolutions",
                    recipe="resezap",
                    change={"network": "resezap-conv"},
                    counted=True,
                    paper=Published(multiplications=130_075_776),
                ),
                PaperCell(
                    "table-1-separable",
                    "depthwise separable convolutions",
                    recipe="resezap",
                    counted=True,
                    paper=Published(multiplications=16_909_540),
                ),
            ),
            shows=("multiplications",),
        ),
        CellTable(
            "Table 2: small networks on FER2013",
            (
                PaperCell(
                    "resezap",
                    "ResEZAP",
                    recipe="resezap",
                    paper=Published(0.6974, "text: 69.49", values=54_480, size="331 KB", milliseconds=7),
                    differs="Trained on the 28,709 rows of Training for 30 epochs, chosen on PublicTest, tested "
                    "once. On what the paper chose its epoch is not said, nor for how many it trained. 54,480 values "
                    "of four bytes are 218 kB; what else its 331 KB hold is not said. Its 7 ms are on an i5 laptop "
                    "and may hold more than the network.",
                ),
                PaperCell(
                    "mini-xception",
                    "mini-Xception (Arriaga et al.)",
                    recipe="002-mini-xception",
                    paper=Published(0.66, values=60_000, size="855 KB"),
                    differs="Its authors trained on crops of 64 x 64; these are 48 x 48, at ResEZAP's own budget.",
                ),
                PaperCell(
                    "tiny",
                    "mien's tiny, from the labels alone",
                    recipe="tiny",
                    differs="Not in the paper: mien's own network within ResEZAP's number of values. The tiny that "
                    "ships was taught by larger networks as well.",
                ),
                PaperCell("jeon", "Jeon et al.", paper=Published(0.6904, values=4_285_863, size="16.41 MB")),
                PaperCell(
                    "talegaonkar", "Talegaonkar et al.", paper=Published(0.6012, values=2_375_879, size="9.15 MB")
                ),
                PaperCell("samsani", "Samsani & Gottala", paper=Published(0.6010, values=250_000, size="94 KB")),
            ),
            shows=("cost", "vector"),
        ),
        CellTable(
            "The six design steps, undone one by one",
            (
                PaperCell(
                    "ablation-base",
                    "ResEZAP as published",
                    recipe="resezap",
                    paper=Published(values=54_480, multiplications=16_909_540),
                ),
                *(
                    PaperCell(f"ablation-{name}", title, recipe="resezap", change=change, paper=paper, differs=differs)
                    for name, title, change, paper, differs in _STEPS
                ),
            ),
            text=(
                "The paper names the steps and measures none of them alone. Each row undoes one, at an equal budget: "
                "30 epochs of one recipe. Differences within the intervals are not differences."
            ),
            shows=("cost",),
        ),
    ),
)
