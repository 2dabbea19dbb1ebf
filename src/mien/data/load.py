"""One call for every dataset: by name, or by the path of a file or folder in any known layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, LabelError, nearest
from mien.core.places import data_folder
from mien.core.preprocess import InputSpec
from mien.data import fer2013, ferplus
from mien.data.cache import cached, digest
from mien.data.class_folders import index_folder
from mien.data.csv_manifest import index_manifest
from mien.data.dataset import Dataset
from mien.data.found_faces import Finder, FoundFaces, faces_of
from mien.data.numbered_classes import Classes
from mien.data.picture_index import PictureIndex
from mien.data.posed import JAFFE, KDEF, RAFD
from mien.data.sequences import CK48, CKPLUS, MUG
from mien.data.table_file import read_header

ENTRY_POINTS = "mien.datasets"
"""Group of entry points by which other packages bring datasets: the dataset's name, and a callable that takes the
folder of named datasets and returns a :class:`~mien.data.picture_index.PictureIndex`."""

LAYOUTS = {layout.name: layout for layout in (CKPLUS, CK48, JAFFE, KDEF, RAFD, MUG)}
"""Published datasets that are folders of pictures; FER2013 and FER+ are read by modules of their own."""

NAMES = ("fer2013", "ferplus", *LAYOUTS)
"""Datasets that have a name."""

_PICTURES, _KAGGLE, _VOTES = "fer2013.csv", "icml_face_data.csv", "fer2013new.csv"


def load_dataset(
    name_or_path: str | Path,
    spec: InputSpec,
    *,
    root: Path | None = None,
    cache: Path | None = None,
    counts: fer2013.Counts = "published",
    classes: Classes | None = None,
    detector: Finder | None = None,
) -> Dataset:
    """Load a dataset, cropped to ``spec``.

    Args:
        name_or_path: one of :data:`NAMES`, or what another package brings (:data:`ENTRY_POINTS`); or the path of
            ``fer2013.csv`` or ``icml_face_data.csv``, of ``fer2013new.csv`` beside it, of a CSV manifest, of FER2013's
            image folders, of a folder in the layout of one of :data:`LAYOUTS`, or of a folder ``class/*.png`` or
            ``split/class/*.png``. A folder of that very name is meant by ``Path("fer2013")`` or ``"./fer2013"``. A name
            means the whole dataset as published; a path may hold a part of it, FER2013 aside.
        spec: what every picture is cropped to.
        root: where named datasets lie, as ``fer2013/fer2013.csv`` or ``fer2013.csv``, ``jaffe/`` and so on; if None,
            ``MIEN_DATA``, else ``mien/data`` in the platform's folder for users' data.
        cache: where decoded datasets are kept; if None, ``MIEN_CACHE``, else the platform's cache folder.
        counts: ``"any"`` accepts a FER2013 that differs from the published one, a part of it or a cleaned one, also in
            ``train.csv`` and ``test.csv``.
        classes: whose numbers the classes of a folder or manifest are, where they are numbers.
        detector: finds the faces of datasets that hold whole pictures; None takes those that were found before.

    Returns:
        The dataset. One that has no splits of its own gets ``train``, ``validation`` and ``test``
        (:func:`mien.data.splits.with_splits`); those of :data:`LAYOUTS` are one split ``all``, of which
        :func:`mien.data.folds.in_folds` makes folds.

    Raises:
        LabelError: an unknown label.
        DatasetError: unknown name, nothing at the path, another layout, a damaged or altered file, unreadable
            pictures, or whole pictures whose faces have not been found.
    """
    found = _listed(name_or_path, root, counts, classes)
    if isinstance(found, Path):
        return _csv(found, spec, counts, cache)
    index, layout = found
    layout = layout if classes is None else f"{layout}-{classes}"
    build = partial(index.read, spec)
    if index.whole:
        faces = faces_of(index, detector, folder=cache)
        build = partial(_cut, index, spec, faces)
        # labels can lie in files of their own, which the pictures' fingerprint does not know
        layout = f"{layout}-{digest(faces.identity, *map(str, index.expressions))[:16]}"
    return cached(
        build,
        source=index.origin,
        files=index.sources,
        spec=spec,
        layout=layout,
        left_out=index.left_out,
        folder=cache,
    )


def load_votes(root: Path | None = None) -> NDArray[np.int64]:
    """All votes of FER+ as its file has them, ``(35887, 10)``: a row for each of ``fer2013.csv``.

    The columns are those of :data:`mien.core.expression.FERPLUS_COLUMNS`.

    Raises:
        DatasetError: the file is missing, cut or damaged.
    """
    return ferplus.read_votes(_named("ferplus", root))[2]


def name_of(
    name_or_path: str | Path,
    *,
    root: Path | None = None,
    counts: fer2013.Counts = "published",
    classes: Classes | None = None,
) -> str:
    """What a dataset is called when it is loaded, from its list alone; if it is gone, what its name or path says.

    Only a FER2013 that may be another than the published one (``counts="any"``) has to be read for its name.
    """
    named = isinstance(name_or_path, str) and name_or_path in NAMES
    if named and (counts == "published" or name_or_path != "fer2013"):
        return str(name_or_path)
    try:
        found = _listed(name_or_path, root, counts, classes)
        if not isinstance(found, Path):
            return found[0].name
        if found.is_file() and "image name" in read_header(found):
            return "ferplus"
        return "fer2013" if counts == "published" else _csv(found, InputSpec(), counts, None).name
    except (DatasetError, LabelError):
        return str(name_or_path) if named else Path(name_or_path).name.removesuffix(".csv")


def find_faces(
    name_or_path: str | Path,
    detector: Finder,
    *,
    root: Path | None = None,
    cache: Path | None = None,
    classes: Classes | None = None,
) -> None:
    """Look for the faces of a dataset of whole pictures, so that later loads need no detector; others are left alone.

    Raises:
        DatasetError: unknown name, nothing at the path, or another layout.
    """
    found = _listed(name_or_path, root, "any", classes)
    if not isinstance(found, Path) and found[0].whole:
        faces_of(found[0], detector, folder=cache)


def _listed(
    name_or_path: str | Path, root: Path | None, counts: fer2013.Counts, classes: Classes | None
) -> tuple[PictureIndex, str] | Path:
    """The pictures of a dataset and the name of its layout, or the file or folder that holds the pixels themselves."""
    named = isinstance(name_or_path, str) and name_or_path in NAMES
    if named and name_or_path in LAYOUTS:
        return LAYOUTS[str(name_or_path)].named(root or data_folder()), str(name_or_path)
    source = _named(str(name_or_path), root) if named else Path(name_or_path).expanduser()
    source = next((source / name for name in (_PICTURES, _KAGGLE) if (source / name).is_file()), source)
    if source.is_dir():
        if fer2013.part_files(source):
            return source
        for layout in LAYOUTS.values():
            found = layout.index(source, whole=False)
            if found is not None:
                return found, layout.name
        index = index_folder(source, others=[layout.looks_like for layout in LAYOUTS.values()], classes=classes)
        if named or fer2013.is_fer2013(index):
            return fer2013.as_fer2013(index, counts=counts), "fer2013-folder"
        return index, "folder"
    if not source.is_file():
        return _brought(str(name_or_path), root)
    header = set(read_header(source))
    if header & {"image name", "pixels"} and not {"path", "label"} <= header:
        return source
    return index_manifest(source, classes=classes), "manifest"


def _brought(name: str, root: Path | None) -> tuple[PictureIndex, str]:
    """The pictures of a dataset that another package brings."""
    points = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in points:
        raise DatasetError(
            f"there is no dataset '{name}' and nothing at such a path: {nearest(name, [*NAMES, *points])}, or the path "
            "of a CSV file or an image folder"
        )
    try:
        index = points[name].load()(root or data_folder())
    except DatasetError:
        raise
    except Exception as error:  # it is another package's code, and fails in its own ways
        raise DatasetError(f"the dataset '{name}' of {points[name].value} cannot be listed: {error}") from error
    if not isinstance(index, PictureIndex):
        raise DatasetError(f"the dataset '{name}' of {points[name].value} is listed as no PictureIndex: {index!r:.80}")
    return index, name


def _csv(source: Path, spec: InputSpec, counts: fer2013.Counts, cache: Path | None) -> Dataset:
    build: Callable[[], Dataset] = partial(fer2013.read_csv, source, spec, counts=counts)
    files, layout = [source], f"fer2013-{counts}"
    if source.is_dir():
        build = partial(fer2013.read_parts, source, spec, counts=counts)
        files, layout = fer2013.part_files(source), f"fer2013-parts-{counts}"
    elif "image name" in read_header(source):
        build = partial(_voted, source, spec, counts, cache)
        files, layout = [source, source.with_name(_PICTURES)], f"ferplus-{counts}"
    return cached(build, source=source, files=files, spec=spec, layout=layout, folder=cache)


def _voted(votes: Path, spec: InputSpec, counts: fer2013.Counts, cache: Path | None) -> Dataset:
    pictures = votes.with_name(_PICTURES)
    if not pictures.is_file():
        raise DatasetError(
            f"{votes} holds votes and no pictures: FER2013's file is missing at {pictures}; put it there"
        )
    return ferplus.with_majority(votes, _csv(pictures, spec, counts, cache))


def _cut(index: PictureIndex, spec: InputSpec, found: FoundFaces) -> Dataset:
    return replace(index.read(spec, found.faces), detector=found.detector)


def _named(name: str, root: Path | None) -> Path:
    """Where a named dataset lies: its CSV file, or the folder that holds FER2013's ``train`` and ``test``."""
    root = root or data_folder()
    files = (_VOTES,) if name == "ferplus" else (_PICTURES, _KAGGLE)
    places = [folder / file for file in files for folder in (root / "fer2013", root)]
    if name == "fer2013":
        places.append(root / "fer2013" / "train")
    for place in places:
        if place.exists():
            return place.parent if place.is_dir() else place
    raise DatasetError(
        f"{name} is not there; looked for {', '.join(map(str, places))}. Put it there, or say where it is: --data ROOT "
        "(root= in Python), the environment variable MIEN_DATA, or the path itself in place of the name"
    )
