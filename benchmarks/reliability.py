"""All that a model card tells of a model: by expression, confidence, candidate sets, under corruption, and elsewhere.

    python benchmarks/reliability.py MODEL... [--data FOLDER] [--final | --only cross-dataset]

MODEL is the name of a bundled model. PublicTest is measured, where models are chosen, with the labels that fitted it:
FER2013's or FER+'s. With ``--final`` PrivateTest is measured too, once, and the look is written into
results/private_test.jsonl. Of other datasets, JAFFE and CK+ are measured where they are, as a whole; ``--only
cross-dataset`` measures nothing but these. Writes
``results/models/NAME.json``, from which ``make tables`` makes docs/models/NAME.md and docs/reliability.md.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import cv2

from mien.core.places import data_folder
from mien.core.predictor import Predictor
from mien.core.provenance import commit
from mien.data.load import LAYOUTS, load_dataset
from mien.evaluation import cross_dataset, ledger
from mien.evaluation.card_text import trained_on
from mien.evaluation.model_record import ModelRecord, SplitRecord
from mien.evaluation.protocol import evaluate
from mien.evaluation.robustness import measure
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import make_detector
from mien.runtime.inference.library import open_model

OTHERS = ("jaffe", "ckplus")
"""Datasets of other people."""

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", type=Path, help="folder that holds the datasets, if not MIEN_DATA")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--final", action="store_true", help="measure PrivateTest too, and write it into the ledger")
    which.add_argument("--only", choices=["cross-dataset"], help="leave PublicTest alone")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the ledger and of models/")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    book = options.results / "private_test.jsonl" if options.final else None
    for name in options.models:
        model = open_model(name)
        others = elsewhere(model, options.data)  # first: what is wrong with a folder shows before PrivateTest is seen
        record = ModelRecord(model.identity, () if options.only else at_home(model, options.data, book), others)
        path = options.results / "models" / f"{name}.json"
        merged(ModelRecord.read(path), record).write(path)
        print(f"wrote {path}")


def at_home(model: OnnxClassifier, data: Path | None, book: Path | None) -> tuple[SplitRecord, ...]:
    """One model on PublicTest; and on PrivateTest where there is a ledger to write it into."""
    dataset = load_dataset(trained_on(model.manifest), model.input, root=data)
    found = []
    for split in ("public", "private") if book is not None else ("public",):
        evaluation = evaluate(model, dataset, split=split)
        if split == "private" and book is not None:
            ledger.append(book, evaluation)
        robustness = measure(model, dataset, split=split)
        found.append(SplitRecord(time=_now(), commit=commit(), evaluation=evaluation, robustness=robustness))
    return tuple(found)


def elsewhere(model: Predictor, data: Path | None) -> tuple[cross_dataset.CrossDataset, ...]:
    """One model on the whole of each of :data:`OTHERS` that is there."""
    found = []
    for layout in (LAYOUTS[name] for name in OTHERS):
        if layout.find(data or data_folder()) is None:
            print(f"{layout.title} is not there, and not measured")
            continue
        dataset = load_dataset(layout.name, model.input, root=data, detector=make_detector())
        found.append(cross_dataset.measure(model, layout, dataset, time=_now(), commit=commit()))
    return tuple(found)


def merged(old: ModelRecord | None, new: ModelRecord) -> ModelRecord:
    """The new measurements, and what was known of the same weights on other splits and datasets."""
    if old is None or old.identity != new.identity:
        return new
    splits = {one.evaluation.split for one in new.measured}
    datasets = {one.evaluation.dataset for one in new.cross_dataset}
    return ModelRecord(
        new.identity,
        (*new.measured, *(one for one in old.measured if one.evaluation.split not in splits)),
        (*new.cross_dataset, *(one for one in old.cross_dataset if one.evaluation.dataset not in datasets)),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    main()
