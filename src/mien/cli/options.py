"""Arguments and options that several commands share, each with its one sentence of help."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mien.data.fer2013 import Counts
from mien.data.numbered_classes import Classes

DatasetName = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="fer2013, ferplus, ckplus, ck48, jaffe, kdef, rafd, mug, or the path of a CSV file or an image folder.",
    ),
]
ModelName = Annotated[str, typer.Argument(help="A bundled or pulled name, an ONNX file, or a run.", metavar="MODEL")]
RecipeFile = Annotated[Path, typer.Argument(help="A recipe, YAML.", metavar="RECIPE")]
DetectorName = Annotated[
    str,
    typer.Option("--detector", help="Finds the faces of whole pictures: auto, haar, yunet, or another package's."),
]
FaceDetector = Annotated[
    str,
    typer.Option(
        "--detector",
        help="Face detector: auto (YuNet once pulled, else Haar), haar, yunet, an installed one, or whole: "
        "the picture is one face that was cut out already.",
    ),
]
DataRoot = Annotated[
    Path | None, typer.Option("--data", help="Folder that holds the datasets, if not MIEN_DATA.", metavar="ROOT")
]
DatasetCounts = Annotated[
    Counts,
    typer.Option("--counts", help="any: accept a FER2013 that is not the published one, such as a part of it."),
]
DatasetClasses = Annotated[
    Classes | None,
    typer.Option("--classes", help="Whose numbers the classes are, where a folder or manifest has numbers for them."),
]
ReportedSplit = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Part to measure on; private, test or the whole if not given, whichever is there.",
        metavar="NAME",
    ),
]
DropUnknown = Annotated[
    bool, typer.Option("--drop-unknown", help="Leave out rows whose expression a model cannot give.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="Name or path of a model; give it again to compare several."),
]
MinSize = Annotated[
    float | None,
    typer.Option(
        min=1,
        help="Side of the smallest face, pixels of the picture: those from it on are found, smaller ones dropped. "
        "If not given, faces from 40 pixels on are found, and smaller ones that turn up are kept.",
        metavar="PIXELS",
    ),
]
SearchSize = Annotated[
    int | None,
    typer.Option(
        min=32, help="Search one copy of this long side, whatever that finds, to save time.", metavar="PIXELS"
    ),
]
MinScore = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Drop detections below this score; each detector has its own.", metavar="SCORE"),
]
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str) -> float:
    """Seconds of a time such as ``30s``, ``10m`` or ``8h``.

    Raises:
        typer.BadParameter: it is none, or not above 0.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
    if not match or float(match[1]) <= 0:
        raise typer.BadParameter(f"a time is a number with s, m or h, such as 30s, 10m or 8h, not '{text}'")
    return float(match[1]) * _UNITS[match[2] or "s"]
