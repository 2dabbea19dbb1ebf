"""Model cards (Mitchell et al. 2019), made from a model's manifest and its recorded results: no figure is typed in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.core.errors import ConfigError
from mien.core.manifest import Manifest
from mien.core.schema import from_mapping
from mien.evaluation import card_text as words
from mien.evaluation.ledger import Entry
from mien.evaluation.report import interval, percent, share
from mien.evaluation.result import Evaluation
from mien.evaluation.robustness import Robustness

Rows = tuple[tuple[str, ...], ...]
Law = Sequence[tuple[str, str, str]]
"""Provisions as ``(name, what it says, address)``."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One split's results in full.

    Attributes:
        time: when it was measured, UTC, ISO 8601.
        commit: of mien.
        evaluation: on clean faces.
        robustness: under corruption.
    """

    time: str
    commit: str | None
    evaluation: Evaluation
    robustness: Robustness

    def __post_init__(self) -> None:
        """Check that the two belong together."""
        one, other = self.evaluation, self.robustness
        if (one.identity, one.dataset, one.split) != (other.identity, other.dataset, other.split):
            raise ValueError("evaluation and robustness are of different weights or rows: measure both again")


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured of one model's weights: ``results/models/NAME.json``.

    Attributes:
        identity: sha256 of the ONNX file.
        measured: one entry for each split.
    """

    identity: str
    measured: tuple[Measured, ...]

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """The record at ``path``; None where there is none.

        Raises:
            ConfigError: it is not JSON, or a key or value is wrong.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not JSON ({error}): python benchmarks/reliability.py writes it") from None
        return from_mapping(cls, content, str(path))

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(asdict(self), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(path)


@dataclass(frozen=True, slots=True)
class Section:
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
    sections: tuple[Section, ...]

    def markdown(self) -> str:
        """The card as a page."""
        blocks = [f"# {self.name}", self.summary]
        for section in self.sections:
            blocks += [f"## {section.title}", *section.paragraphs]
            if section.table:
                blocks.append(_table(section.table))
            if section.points:
                blocks.append("\n".join(f"- {point}" for point in section.points))
        return "\n\n".join(blocks) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def make(manifest: Manifest, record: Record | None, entries: Sequence[Entry], law: Law) -> Card:
    """The card of a model.

    Args:
        manifest: of the model.
        record: what was measured in full; left out where it is of other weights.
        entries: of the ledger; those of the model's recipe are summed up.
        law: provisions that hold for its use.
    """
    known = record.measured if record is not None and record.identity == manifest.sha256 else ()
    sections = [
        _about(manifest),
        Section("Data", (f"Trained on {manifest.trained_on}.", *words.data(manifest)), points=_licences(manifest)),
        _accuracy(manifest),
        *_seeds(manifest, entries),
        *(part for one in known for part in _in_full(one)),
        _calibration(manifest),
        Section("Limits", points=(*_weakest(known), *words.limits(manifest))),
        Section("Uses", words.USES, points=tuple(f"{name}: {says} <{url}>" for name, says, url in law)),
        Section("How to cite", (words.cite(manifest),)),
    ]
    return Card(manifest.name, manifest.summary, tuple(sections))


def results_folder() -> Path:
    """Where recorded results are: within an installed package, or beside ``src`` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "results"
    return installed if installed.is_dir() else package.parents[1] / "results"


def _about(m: Manifest) -> Section:
    crop = f"{m.input.size} x {m.input.size} {'grey' if m.input.channels == 1 else 'RGB'}, aligned by {m.input.align}"
    rows = (
        ("property", "value"),
        ("network", f"{m.network}{'' if m.paper in (None, 'mien') else f' ({m.paper})'}"),
        ("values", f"{m.parameters:,}"),
        ("file", f"{m.file}, {m.bytes / 1000:,.0f} kB"),
        ("sha256", m.sha256),
        ("takes", crop),
        ("gives", f"one probability for each of {', '.join(m.labels)}"),
        ("recipe", f"{m.recipe or '–'}, seed {'–' if m.seed is None else m.seed}"),
        ("activation maps", "yes" if m.head is not None else "no"),
    )
    return Section("What it is", table=rows)


def _accuracy(m: Manifest) -> Section:
    if not m.metrics:
        return Section("Accuracy", ("Nothing is recorded in its manifest; `mien evaluate … --record` does it.",))
    rows = tuple(
        (
            f"{metric.dataset} {metric.split}",
            metric.protocol.partition(";")[0],
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
    return Section("Accuracy", words.PROTOCOL, (heads, *rows))


def _seeds(m: Manifest, entries: Sequence[Entry]) -> tuple[Section, ...]:
    ours = {
        (entry.mirror, entry.training_seed): entry
        for entry in entries
        if entry.recipe == m.recipe and m.recipe is not None and (entry.dataset, entry.split) == ("fer2013", "private")
    }
    points = []
    for mirror in (False, True):
        found = [entry.accuracy for key, entry in ours.items() if key[0] is mirror]
        if found:
            shown = "with the mirrored face" if mirror else "single crop"
            mean, spread = percent(sum(found) / len(found)), interval((min(found), max(found)))
            points.append(f"{shown}: {mean} over {len(found)} run{'' if len(found) == 1 else 's'} ({spread})")
    return (Section("All runs of its recipe, on PrivateTest", points=tuple(points)),) if points else ()


def _in_full(one: Measured) -> tuple[Section, ...]:
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
            share(kind.accuracy),
        )
        for kind in r.kinds
    )
    sets: tuple[str, ...] = ()
    if r.coverage is not None and r.mean_candidates is not None:
        sets = (
            (
                f"Candidate sets hold the truth for {share(r.coverage)} of the faces; {percent(r.promised)} is "
                f"promised for each expression. They hold {r.mean_candidates.value:.2f} expressions on average."
            ),
        )
    return (
        Section(f"By expression ({where})", sets, (heads, *classes)),
        Section(
            f"Reliability ({where})",
            points=(
                f"expected calibration error {share(r.expected_calibration_error)}",
                f"log loss {r.log_loss.value:.3f} ({r.log_loss.interval[0]:.3f}–{r.log_loss.interval[1]:.3f})",
                (
                    f"accuracy on the 80 % of the faces it is surest of {share(r.kept_accuracy)}; these have a "
                    f"confidence of {percent(r.kept_confidence)} or more"
                ),
                f"mean corruption accuracy {share(r.mean_corruption)}, {share(r.accuracy)} on clean faces",
            ),
        ),
        Section(
            f"Under corruption ({where})",
            (words.CORRUPTIONS,),
            (("corruption", "accuracy % at each severity", "mean (95 %)"), *conditions),
        ),
    )


def _calibration(m: Manifest) -> Section:
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
    return Section("Calibration", words.CALIBRATION, points=points)


def _licences(m: Manifest) -> tuple[str, ...]:
    return (f"licence of the data: {m.data_licence}", f"licence of the weights: {m.weights_licence}")


def _weakest(known: Sequence[Measured]) -> tuple[str, ...]:
    points = []
    for one in known[:1]:
        seen = [c for c in one.evaluation.classes if c.recall is not None]
        worst = min(seen, key=lambda c: c.recall or 0.0)
        points.append(
            f"{worst.label} is found least often: {percent(worst.recall)} of {worst.support:,} "
            f"({one.evaluation.dataset} {one.evaluation.split})"
        )
        hardest = min(one.robustness.kinds, key=lambda k: k.accuracy.value)
        points.append(f"{hardest.kind} costs it most: {percent(hardest.accuracy.value)} are right under it")
    return tuple(points)


def _table(rows: Rows) -> str:
    heads, *rest = ([cell.replace("|", "&#124;") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rest))
