"""Model cards (Mitchell et al. 2019), made from a model's manifest and its recorded results: no figure is typed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.core.manifest import Manifest
from mien.core.predictor import VIEW_WORDS
from mien.evaluation import card_text as words
from mien.evaluation.cross_dataset import CrossDataset
from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.ledger import LedgerEntry
from mien.evaluation.model_record import ModelRecord, SplitRecord
from mien.reporting.numbers import interval, percent, with_interval
from mien.reporting.tables import markdown

Rows = tuple[tuple[str, ...], ...]
Law = Sequence[tuple[str, str, str]]
"""Provisions as ``(name, what it says, address)``."""


@dataclass(frozen=True, slots=True)
class CardSection:
    """One heading of a card, with paragraphs, then a table (headings first), then points."""

    title: str
    paragraphs: tuple[str, ...] = ()
    table: Rows = ()
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A model card.

    Attributes:
        name: of the model.
        summary: one sentence.
        sections: in reading order.
    """

    name: str
    summary: str
    sections: tuple[CardSection, ...]

    def markdown(self) -> str:
        """The card as a page."""
        blocks = [f"# {self.name}", self.summary]
        for section in self.sections:
            blocks += [f"## {section.title}", *section.paragraphs]
            if section.table:
                heads, *rows = section.table
                blocks.append(markdown(heads, rows, words=range(len(heads))))
            if section.points:
                blocks.append("\n".join(f"- {point}" for point in section.points))
        return "\n\n".join(blocks) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def make(manifest: Manifest, record: ModelRecord | None, entries: Sequence[LedgerEntry], law: Law) -> Card:
    """The card of a model.

    Args:
        manifest: of the model.
        record: what was measured in full; left out where it is of other weights.
        entries: of the ledger; those of the model's recipe are summed up.
        law: provisions that hold for its use.
    """
    known = record if record is not None and record.identity == manifest.sha256 else ModelRecord(manifest.sha256, ())
    sections = [
        _about(manifest),
        CardSection("Data", (f"Trained on {manifest.trained_on}.", *words.data(manifest)), points=_licences(manifest)),
        _accuracy(manifest),
        *_seeds(manifest, entries),
        *(part for one in known.measured for part in _in_full(one)),
        *(_cross_dataset(one) for one in known.cross_dataset),
        _calibration(manifest),
        CardSection("Limits", points=(*_weakest(known), *words.limits(manifest))),
        CardSection("Uses", words.USES, points=tuple(f"{name}: {says} <{url}>" for name, says, url in law)),
        CardSection("How to cite", (words.cite(manifest),)),
    ]
    return Card(manifest.name, manifest.summary, tuple(sections))


def results_folder() -> Path:
    """Where recorded results are: within an installed package, or beside ``src`` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "results"
    return installed if installed.is_dir() else package.parents[1] / "results"


def _about(m: Manifest) -> CardSection:
    crop = f"{m.input.size} x {m.input.size} {'grey' if m.input.channels == 1 else 'RGB'}, aligned by {m.input.align}"
    rows = (
        ("property", "value"),
        ("network", f"{m.network}{'' if m.paper in (None, 'mien') else f' ({m.paper})'}"),
        ("values", f"{m.parameters:,}"),
        ("file", f"{m.file}, {m.bytes / 1000:,.0f} kB, {m.precision}"),
        ("sha256", m.sha256),
        ("takes", crop),
        ("gives", f"one probability for each of {', '.join(m.labels)}"),
        ("recipe", f"{m.recipe or '–'}, seed {'–' if m.seed is None else m.seed}"),
        ("activation maps", "yes" if m.head is not None else "no"),
    )
    return CardSection("What it is", table=rows)


def _accuracy(m: Manifest) -> CardSection:
    if not m.metrics:
        return CardSection("Accuracy", ("Nothing is recorded in its manifest; `mien evaluate … --record` does it.",))
    rows = tuple(
        (
            f"{metric.dataset} {metric.split}",
            VIEW_WORDS[metric.views],
            f"{metric.n:,}",
            f"{percent(metric.accuracy)} ({interval(metric.accuracy_interval)})",
            percent(metric.accuracy_without_leaks),
            percent(metric.macro_f1),
            "–" if metric.log_loss is None else f"{metric.log_loss:.3f}",
            percent(metric.expected_calibration_error),
        )
        for metric in m.metrics
    )
    heads = ("on", "faces", "n", "accuracy (95 %)", "without leaked rows", "macro F1", "log loss", "ECE")
    return CardSection("Accuracy", words.PROTOCOL, (heads, *rows))


def _seeds(m: Manifest, entries: Sequence[LedgerEntry]) -> tuple[CardSection, ...]:
    ours = {
        (entry.views, entry.training_seed): entry
        for entry in entries
        if m.recipe is not None
        and (entry.recipe, entry.dataset, entry.split) == (m.recipe, words.trained_on(m), "private")
    }
    points = []
    for views, shown in VIEW_WORDS.items():
        found = [entry.accuracy for key, entry in ours.items() if key[0] == views]
        if found:
            mean, spread = percent(sum(found) / len(found)), interval((min(found), max(found)))
            said = f"mean of {len(found)} seeds, {spread} among them" if len(found) > 1 else "one seed"
            points.append(f"{shown}: {mean} ({said})")
    return (CardSection("All runs of its recipe, on PrivateTest", points=tuple(points)),) if points else ()


def _cross_dataset(one: CrossDataset) -> CardSection:
    e = one.evaluation
    classes = tuple(
        (c.label, f"{c.support:,}", percent(c.precision), percent(c.recall), percent(c.f1))
        for c in e.classes
        if c.support
    )
    sets = []
    if e.coverage is not None and e.mean_candidates is not None:
        sets = [f"candidate sets hold the truth for {percent(e.coverage)}; their mean size is {e.mean_candidates:.2f}"]
    return CardSection(
        f"On another dataset ({e.dataset}, {e.n:,} faces)",
        (f"{one.about}. {words.CROSS_DATASET}",),
        (("expression", "n", "precision", "recall", "F1"), *classes),
        (
            f"accuracy {with_interval(one.accuracy)} over {one.persons} persons",
            f"macro F1 {percent(e.macro_f1)}, expected calibration error {percent(e.expected_calibration_error)}",
            *sets,
            f"faces found by {one.detector}; in {one.faceless:,} of {one.pictures:,} pictures it found none",
            *([f"{e.dropped:,} faces left out whose expression it cannot give"] if e.dropped else []),
        ),
    )


def _in_full(one: SplitRecord) -> tuple[CardSection, ...]:
    e, r = one.evaluation, one.robustness
    where = f"{e.dataset} {e.split}, {e.n:,} faces"
    classes = tuple(
        (
            c.label,
            f"{c.support:,}",
            percent(c.precision),
            percent(c.recall),
            percent(c.f1),
            percent(c.coverage),
            "–" if c.mean_candidates is None else f"{c.mean_candidates:.2f}",
        )
        for c in e.classes
    )
    heads = ("expression", "n", "precision", "recall", "F1", "sets hold the truth", "mean set")
    conditions = tuple(
        (
            kind.kind,
            "; ".join(f"{c.severity} {100 * c.accuracy.value:.1f}" for c in r.conditions if c.kind == kind.kind),
            with_interval(kind.accuracy),
        )
        for kind in r.kinds
    )
    sets: tuple[str, ...] = ()
    if r.coverage is not None and r.mean_candidates is not None:
        sets = (
            (
                f"Candidate sets hold the truth for {with_interval(r.coverage)} of the faces; {percent(r.promised)} is "
                f"promised for each expression. They hold {r.mean_candidates.value:.2f} expressions on average."
            ),
        )
    return (
        CardSection(f"By expression ({where})", sets, (heads, *classes)),
        CardSection(
            f"Reliability ({where})",
            points=(
                f"expected calibration error {with_interval(r.expected_calibration_error)}",
                f"log loss {r.log_loss.value:.3f} ({r.log_loss.interval[0]:.3f}–{r.log_loss.interval[1]:.3f})",
                (
                    f"accuracy on the 80 % of the faces it is surest of {with_interval(r.kept_accuracy)}; these have a "
                    f"confidence of {percent(r.kept_confidence)} or more"
                ),
                (
                    f"mean corruption accuracy {with_interval(r.mean_corruption)}, {with_interval(r.accuracy)} on "
                    "clean faces"
                ),
            ),
        ),
        CardSection(
            f"Under corruption ({where})",
            (words.CORRUPTIONS,),
            (("corruption", "accuracy % at each severity", "mean (95 %)"), *conditions),
        ),
    )


def _calibration(m: Manifest) -> CardSection:
    own = ", ".join(f"{label} {t:.3f}" for label, t in zip(m.labels, m.conformal_thresholds, strict=True))
    points = (
        f"temperature {m.temperature:.3f}",
        (
            f"candidate sets: every expression whose probability reaches its own threshold, for a coverage of "
            f"{percent(m.coverage)} of the faces that show it: {own}"
        ),
        f"energy threshold {m.energy_threshold:.3f}: a crop below it does not look like a face",
        *(["how it reads neutral faces is kept, for a person's own baseline"] if m.neutral_profile else []),
    )
    return CardSection("Calibration", words.CALIBRATION, points=points)


def _licences(m: Manifest) -> tuple[str, ...]:
    return (f"licence of the data: {m.data_licence}", f"licence of the weights: {m.weights_licence}")


def _weakest(known: ModelRecord) -> tuple[str, ...]:
    points = []
    for one in known.measured[:1]:
        points.append(_least_found(one.evaluation))
        hardest = min(one.robustness.kinds, key=lambda k: k.accuracy.value)
        points.append(f"{hardest.kind} costs it most: {percent(hardest.accuracy.value)} are right under it")
    return (*points, *(_least_found(one.evaluation) for one in known.cross_dataset))


def _least_found(e: Evaluation) -> str:
    worst = min((c for c in e.classes if c.recall is not None), key=lambda c: c.recall or 0.0)
    return f"{worst.label} is found least often: {percent(worst.recall)} of {worst.support:,} ({e.dataset} {e.split})"
