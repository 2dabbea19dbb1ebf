"""All that a model card tells of a model: by expression, by confidence, by candidate sets, and under corruption.

    python benchmarks/reliability.py MODEL... [--data FOLDER] [--final]

MODEL is the name of a bundled model. FER2013's PublicTest is measured, where models are chosen. With ``--final``
PrivateTest is measured too, once, and the look is written into results/private_test.jsonl. Writes
``results/models/NAME.json``, from which ``make tables`` makes docs/models/NAME.md and docs/reliability.md.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import cv2

from mien.data.load import load_dataset
from mien.evaluation import ledger
from mien.evaluation.card import Measured, Record
from mien.evaluation.protocol import evaluate
from mien.evaluation.robustness import measure
from mien.runtime.library import open_model

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", type=Path, help="folder that holds the datasets, if not MIEN_DATA")
    parser.add_argument("--final", action="store_true", help="measure PrivateTest too, and write it into the ledger")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the ledger and of models/")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for name in options.models:
        record = measured(name, options.data, options.results / "private_test.jsonl" if options.final else None)
        path = options.results / "models" / f"{name}.json"
        merged(Record.read(path), record).write(path)
        print(f"wrote {path}")


def measured(name: str, data: Path | None, book: Path | None) -> Record:
    """One model on PublicTest; and on PrivateTest where there is a ledger to write it into."""
    model = open_model(name)
    dataset = load_dataset("fer2013", model.input, root=data)
    found = []
    for split in ("public", "private") if book is not None else ("public",):
        evaluation = evaluate(model, dataset, split=split)
        if split == "private" and book is not None:
            ledger.append(book, evaluation)
        time = datetime.now(UTC).isoformat(timespec="seconds")
        found.append(Measured(time, ledger.commit(), evaluation, measure(model, dataset, split=split)))
    return Record(model.identity, tuple(found))


def merged(old: Record | None, new: Record) -> Record:
    """The new measurements, and what was known of the same weights on other splits."""
    if old is None or old.identity != new.identity:
        return new
    fresh = {one.evaluation.split for one in new.measured}
    return Record(new.identity, (*new.measured, *(m for m in old.measured if m.evaluation.split not in fresh)))


if __name__ == "__main__":
    main()
