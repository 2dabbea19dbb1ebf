"""Pages made from models' manifests and recorded results: their cards, their reliability, and what helped.

``docs/models/NAME.md`` from a bundled model's manifest, ``results/models/NAME.json`` and the ledger;
``docs/reliability.md`` from all of the records; ``docs/what-helped.md`` from ``results/path.jsonl``;
``docs/frontier.md`` from ``benchmarks/results/frontier.json`` and the ledger; ``docs/goals.md`` from all of these;
``docs/gate.md`` from what gate.py measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import frontier_figure
import gate_page
import goals
from mien.core.manifest import Manifest
from mien.evaluation import ledger, results_log
from mien.evaluation.card import Law, make
from mien.evaluation.cross_dataset import CrossDataset
from mien.evaluation.model_record import ModelRecord, SplitRecord
from mien.reporting.numbers import percent, short_commit
from mien.reporting.numbers import with_interval as share
from mien.reporting.tables import markdown as table

WEIGHTS = Path("src/mien/weights")
RECORDS = Path("results/models")
PATH = Path("results/path.jsonl")
LEDGER = Path("results/private_test.jsonl")
FRONTIER = Path("benchmarks/results/frontier.json")
GATE = Path("benchmarks/results/gate.json")

_RELIABILITY = """# Reliability

How far a model's answers can be relied on: how sure it should be, what its candidate sets promise, and what is left of
it under corruption. Generated from `results/models/`, which `benchmarks/reliability.py` measures on the rows where
models are chosen; PrivateTest is measured for models that ship, once, and stands in the [ledger](measuring.md). Values
in brackets are 95 % bootstrap intervals over the rows: of single figures, not of differences.

- **ECE** is the mean distance of confidence and accuracy over 15 bins of equal mass. The goal is 3 % at most.
- **Kept**: accuracy on the 80 % of the faces that the model is surest of. What it costs to keep silent on the rest.
- **Sets**: the share of [candidate sets](measuring.md) that hold the truth; 90 ± 1.5 % is the goal, with 85 % at least
  for each expression.
- Temperature and candidate thresholds are fitted on PublicTest: **there** the sets' coverage is 90 % by construction,
  for each expression, and the ECE a little too good. What they keep of it on new rows, PrivateTest tells.
- **Under corruption**: the mean over seven kinds of the mean over their three severities. The severities were fixed
  before anything was measured. Measure your own model by `mien evaluate MODEL DATASET --robustness`.
- **Other datasets**, at the end: people and pictures of another kind, on which no weights, temperature or threshold was
  fitted. Intervals of their accuracy draw whole persons, not rows, whose pictures are alike.
"""

_FRONTIER = """# Accuracy against latency

What a network costs on one thread, and how often it is right. Filled: measured here, the mean over a recipe's runs on
FER2013's PrivateTest, single crop, of the [ledger](measuring.md#the-ledger) or of a [study](studies.md). Hollow: what
the network's paper states, **not measured here**; papers differ in splits, views and seeds, and a dotted line shows how
far a statement was from what we could reproduce. Times are all measured here: the network alone, from uint8 crops, CPU
time of one thread in ONNX Runtime; 95th percentile in brackets.

![Accuracy on PrivateTest against CPU milliseconds a face for mien's models and those of others](images/frontier.svg)
"""

_HELPED = """# What helped, by how much, what did not

Each line is a step on the way to the models: what was changed, against what, and what it added in points of accuracy.
Generated from `results/path.jsonl`, which `mien compare NEW OLD DATASET --split public --change "…" --log
results/path.jsonl` appends to with a paired interval on the same rows. Nothing here was measured on PrivateTest.

What was seen without a paired interval, one run against another and written down as the work went on, stands apart:
two runs that differ by their seed alone differ by about a point, so it is a direction at most. With an interval that
holds zero a step may still have done something: 3,589 faces do not show less than about a point.
"""


def pages(root: Path) -> dict[str, str]:
    """The text of each page below ``root`` by its name."""
    from mien.core.policy import HIGH_RISK, PROHIBITION, RECITAL_44, TRANSPARENCY

    law = tuple((one.name, one.says, one.url) for one in (PROHIBITION, RECITAL_44, TRANSPARENCY, HIGH_RISK))
    found = _cards(root, law)
    records = {path.stem: ModelRecord.read(path) for path in sorted((root / RECORDS).glob("*.json"))}
    if records:
        found["docs/reliability.md"] = reliability({n: r for n, r in records.items() if r is not None})
    if (root / PATH).is_file():
        found["docs/what-helped.md"] = what_helped(results_log.read(root / PATH))
    if (root / FRONTIER).is_file():
        speeds = json.loads((root / FRONTIER).read_text(encoding="utf-8"))
        found["docs/frontier.md"] = frontier(speeds, root / LEDGER)
        if records:
            manifests = {path.stem: Manifest.read(path) for path in sorted((root / WEIGHTS).glob("*.json"))}
            known = {name: record for name, record in records.items() if record is not None}
            found["docs/goals.md"] = goals.page(manifests, known, ledger.read(root / LEDGER), speeds)
    if (root / GATE).is_file():
        found["docs/gate.md"] = gate_page.page(json.loads((root / GATE).read_text(encoding="utf-8")))
    return found


def frontier(measured: dict[str, Any], book: Path) -> str:
    """The figure of accuracy against latency, and its numbers."""
    heads, rows = frontier_figure.table(measured, book)
    machine, versions = measured["machine"], measured["versions"]
    setting = (
        f"One thread of {machine['cpu']} ({machine['cores']} cores, {machine['system']}), other programs running (load "
        f"{machine['load']:.0f}); onnxruntime {versions['onnxruntime']}; {measured['time'][:10]} at "
        f"{short_commit(measured['commit'])}. "
        "`python benchmarks/frontier.py` measures, `--draw` draws anew."
    )
    return "\n\n".join((_FRONTIER.strip(), table(heads, rows), setting)) + "\n"


def reliability(records: dict[str, ModelRecord]) -> str:
    """All models side by side on each split, then each one's corruptions."""
    text = [_RELIABILITY]
    every = [(name, one) for name, record in records.items() for one in record.measured]
    for where in dict.fromkeys((one.evaluation.dataset, one.evaluation.split) for _, one in every):
        ours = [(name, one) for name, one in every if (one.evaluation.dataset, one.evaluation.split) == where]
        text += [f"## {where[0]} {where[1]}", _overview(ours), "### Candidate sets by expression", _sets(ours)]
        text += ["### Under corruption, accuracy %", _corruptions(ours)]
        for name, one in ours:
            text.append(
                f"`{name}`: sha256 {one.evaluation.identity[:12]}, {one.evaluation.n:,} faces, single crops, seed "
                f"{one.robustness.seed}; {one.time[:10]} at {short_commit(one.commit)}."
            )
    elsewhere = [(name, one) for name, record in records.items() for one in record.cross_dataset]
    if elsewhere:
        text += ["## Other datasets", _cross_dataset(elsewhere)]
        text += [
            f"`{name}` on {one.evaluation.dataset} ({one.about}): sha256 {one.evaluation.identity[:12]}, faces found "
            f"by {one.detector}, {one.evaluation.dropped} left out whose expression it cannot give; {one.time[:10]} at "
            f"{short_commit(one.commit)}."
            for name, one in elsewhere
        ]
    return "\n\n".join(part.strip() for part in text) + "\n"


def what_helped(log: Sequence[results_log.LoggedStep]) -> str:
    """The steps by what came of them."""
    parts = [_HELPED]
    titles = {"helped": "What helped", "no gain": "What made no difference that shows", "hurt": "What cost accuracy"}
    titles |= {"indicative": "What was seen without an interval", "reference": "What others are compared with"}
    for group, title in titles.items():
        parts += [f"## {title}", results_log.markdown(list(log), group)]  # type: ignore[arg-type]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _cards(root: Path, law: Law) -> dict[str, str]:
    entries = ledger.read(root / LEDGER) if (root / LEDGER).is_file() else []
    found = {}
    for path in sorted((root / WEIGHTS).glob("*.json")):
        card = make(Manifest.read(path), ModelRecord.read(root / RECORDS / path.name), entries, law)
        found[f"docs/models/{path.stem}.md"] = card.markdown()
    return found


def _overview(ours: Sequence[tuple[str, SplitRecord]]) -> str:
    rows = [
        ("model", "accuracy", "ECE", "log loss", "kept 80 %", "sets hold the truth", "mean set", "under corruption")
    ]
    for name, one in ours:
        r = one.robustness
        loss = f"{r.log_loss.value:.3f} ({r.log_loss.interval[0]:.3f}–{r.log_loss.interval[1]:.3f})"
        sets = ("–", "–")
        if r.coverage is not None and r.mean_candidates is not None:
            sets = (share(r.coverage), f"{r.mean_candidates.value:.2f}")
        shown = (share(r.accuracy), share(r.expected_calibration_error), loss, share(r.kept_accuracy))
        rows.append((f"`{name}`", *shown, *sets, share(r.mean_corruption)))
    return table(rows[0], rows[1:])


def _sets(ours: Sequence[tuple[str, SplitRecord]]) -> str:
    labels = list(dict.fromkeys(c.label for _, one in ours for c in one.robustness.classes))
    rows: list[tuple[str, ...]] = [("model", *labels)]
    for name, one in ours:
        known = {c.label: c for c in one.robustness.classes}
        cells = (
            f"{percent(known[label].coverage.value)} of {known[label].n}, {known[label].mean_candidates:.2f}"
            if label in known
            else "–"
            for label in labels
        )
        rows.append((f"`{name}`", *cells))
    return f"Share that holds the truth, rows, mean size.\n\n{table(rows[0], rows[1:])}"


def _corruptions(ours: Sequence[tuple[str, SplitRecord]]) -> str:
    rows: list[tuple[str, ...]] = [("corruption", "severity", *(f"`{name}`" for name, _ in ours))]
    first = ours[0][1].robustness
    for number, condition in enumerate(first.conditions):
        cells = (share(one.robustness.conditions[number].accuracy) for _, one in ours)
        rows.append((condition.kind, condition.severity, *cells))
    return table(rows[0], rows[1:])


def _cross_dataset(elsewhere: Sequence[tuple[str, CrossDataset]]) -> str:
    labels = list(dict.fromkeys(c.label for _, one in elsewhere for c in one.evaluation.classes))
    heads = ("model", "dataset", "faces", "persons", "no face found", "accuracy", "ECE")
    rows: list[tuple[str, ...]] = [(*heads, *(f"recall, {label}" for label in labels))]
    for name, one in elsewhere:
        e, recall = one.evaluation, {c.label: c.recall for c in one.evaluation.classes}
        counts = (f"{e.n:,}", str(one.persons), f"{one.faceless:,} of {one.pictures:,}")
        shares = (share(one.accuracy), percent(e.expected_calibration_error))
        rows.append((f"`{name}`", e.dataset, *counts, *shares, *(percent(recall.get(label)) for label in labels)))
    return table(rows[0], rows[1:])
