"""Results for people: tables in the terminal, a page of HTML, and the table of a ledger."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mien.core.errors import MissingExtraError
from mien.evaluation import ledger
from mien.evaluation.compare import Pair
from mien.evaluation.figure import render
from mien.evaluation.result import Evaluation
from mien.evaluation.robustness import Figure, Robustness

LEDGER_COLUMNS = {
    "model": "---",
    "faces": "---",
    "measured on": "---",
    "recipe": "---",
    "seed": "---:",
    "parameters": "---:",
    "rows": "---:",
    "accuracy % (95 %)": "---:",
    "without leaks %": "---:",
    "macro F1 %": "---:",
    "log loss": "---:",
    "ECE %": "---:",
    "measured": "---",
}
"""Headings of :func:`markdown_table`, each with its Markdown alignment."""


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print the figures, the scores of each expression, the confusion matrix and the slices."""
    figures = Table(title=f"{evaluation.model} on {evaluation.dataset}/{evaluation.split}", show_header=False)
    for name, value in summary(evaluation):
        figures.add_row(name, value)
    classes = Table(title="Expressions")
    columns = ["expression", "n", "precision", "recall", "F1"]
    has_sets = evaluation.coverage is not None
    for number, heading in enumerate([*columns, "coverage", "candidates"] if has_sets else columns):
        classes.add_column(heading, justify="right" if number else "left")
    for row in evaluation.classes:
        cells = [row.label, f"{row.support:,}", percent(row.precision), percent(row.recall), percent(row.f1)]
        sets = [percent(row.coverage), "–" if row.mean_candidates is None else f"{row.mean_candidates:.2f}"]
        classes.add_row(*cells, *(sets if has_sets else []))
    confusion = Table(title="Confusion: rows are the truth, columns the prediction")
    confusion.add_column("")
    for label in evaluation.labels:
        confusion.add_column(str(label), justify="right")
    for label, counts in zip(evaluation.labels, evaluation.confusion_matrix, strict=True):
        confusion.add_row(str(label), *(str(count) for count in counts))
    slices = Table("slice", "value", title="Slices")
    for heading in ("n", "accuracy", "95 % interval"):
        slices.add_column(heading, justify="right")
    for part in evaluation.slices:
        cells = [f"{part.n:,}", percent(part.accuracy), interval(part.accuracy_interval)]
        slices.add_row(part.column, part.value, *cells)
    for table in (figures, classes, confusion, slices):
        console.print(table)


def print_comparison(pairs: Sequence[Pair], accuracies: dict[str, float], console: Console) -> None:
    """Print each model's accuracy and each pair's difference with its tests."""
    models = Table("model", title=f"Accuracy on the same {pairs[0].n:,} rows")
    models.add_column("accuracy", justify="right")
    for name, value in accuracies.items():
        models.add_row(name, percent(value))
    tests = Table("first − second", title="First less second; only first: rows that the first alone gets right")
    headings = ("points", "95 % interval", "only first", "only second", "bootstrap p", "McNemar p")
    for heading in headings:
        tests.add_column(heading, justify="right", overflow="fold")
    for pair in pairs:
        low, high = pair.difference_interval
        tests.add_row(
            f"{pair.first} − {pair.second}",
            f"{100 * pair.difference:+.2f}",
            f"{100 * low:+.2f} to {100 * high:+.2f}",
            str(pair.only_first),
            str(pair.only_second),
            f"{pair.bootstrap_p:.2g}",
            f"{pair.mcnemar_p:.2g}",
        )
    console.print(models)
    console.print(tests)


def print_robustness(robustness: Robustness, console: Console) -> None:
    """Print what corruptions take away, each at its severities, and the accuracy on the faces that are kept."""
    table = Table("corruption", "severity", title=f"{robustness.model} under corruption")
    for heading in ("accuracy", "95 % interval", "points lost", "ECE"):
        table.add_column(heading, justify="right")
    for row in robustness.conditions:
        lost = f"{100 * row.lost.value:.2f}"
        cells = (percent(row.accuracy.value), interval(row.accuracy.interval), lost)
        table.add_row(row.kind, row.severity, *cells, percent(row.expected_calibration_error))
    console.print(table)
    console.print(f"mean corruption accuracy {share(robustness.mean_corruption)}")
    console.print(f"accuracy on the surest 80 % of the faces {share(robustness.kept_accuracy)}")


def share(figure: Figure) -> str:
    """A share with its interval, both in per cent."""
    return f"{percent(figure.value)} ({interval(figure.interval)})"


def summary(evaluation: Evaluation) -> list[tuple[str, str]]:
    """The figures over all rows, as names and texts in reading order."""
    leak_free = "no earlier split to leak from"
    if evaluation.accuracy_without_leaks is not None:
        leak_free = f"{percent(evaluation.accuracy_without_leaks)} of {evaluation.n_without_leaks:,}"
    rows = [
        ("accuracy", f"{percent(evaluation.accuracy)} ({interval(evaluation.accuracy_interval)})"),
        ("without leaked rows", leak_free),
        ("top 2", percent(evaluation.top_2_accuracy)),
        ("macro F1", percent(evaluation.macro_f1)),
        ("balanced accuracy", percent(evaluation.balanced_accuracy)),
        ("log loss", f"{evaluation.log_loss:.4f}"),
        ("expected calibration error", percent(evaluation.expected_calibration_error)),
    ]
    if evaluation.coverage is not None and evaluation.mean_candidates is not None:
        sets = f"{percent(evaluation.coverage)} hold the truth, {evaluation.mean_candidates:.2f} expressions on average"
        rows.append(("candidate sets", sets))
    return [
        *rows,
        ("rows", f"{evaluation.n:,}"),
        ("protocol", evaluation.protocol),
        ("parameters", f"{evaluation.parameters:,}"),
        ("sha256", evaluation.identity),
    ]


def html(evaluation: Evaluation) -> str:
    """A page of HTML that needs no other file: figures, expressions, slices, the picture inside.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError("jinja2", "plots", "an HTML report") from None
    source = resources.files("mien.evaluation").joinpath("evaluation.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(percent=percent, interval=interval)
    picture = base64.b64encode(render(evaluation)).decode("ascii")
    return environment.from_string(source).render(e=evaluation, summary=summary(evaluation), picture=picture)


def markdown_table(path: Path) -> str:
    """The table of a ledger in Markdown, from the ledger alone, best accuracy first.

    Of the same weights measured twice by one protocol the later line counts.

    Raises:
        ConfigError: no such ledger, or a line of it is none.
    """
    latest = {(e.identity, e.dataset, e.split, e.mirror, e.protocol): e for e in ledger.read(path)}
    lines = [f"| {' | '.join(row)} |" for row in (LEDGER_COLUMNS, LEDGER_COLUMNS.values())]
    for entry in sorted(latest.values(), key=lambda e: -e.accuracy):
        cells = (
            entry.model,
            "averaged with the mirrored face" if entry.mirror else "single crop",
            f"{entry.dataset}/{entry.split}",
            entry.recipe or "–",
            "–" if entry.training_seed is None else str(entry.training_seed),
            f"{entry.parameters:,}",
            f"{entry.n:,}",
            f"{_points(entry.accuracy)} ({interval(entry.accuracy_interval)})",
            _points(entry.accuracy_without_leaks),
            _points(entry.macro_f1),
            f"{entry.log_loss:.4f}",
            _points(entry.expected_calibration_error),
            " at ".join(part for part in (entry.time[:10], _short(entry.commit)) if part),
        )
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table in markdown: the first ``words`` columns hold words, to the left, the others figures, to the right."""
    aligned = ["---"] * words + ["---:"] * (len(heads) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, aligned, *rows))


def percent(value: float | None) -> str:
    """A share as per cent with two decimals, a dash for what is undefined."""
    return "–" if value is None else f"{100 * value:.2f} %"


def interval(bounds: tuple[float, float]) -> str:
    """An interval of shares in per cent, ``"64.12–67.26"``."""
    return f"{100 * bounds[0]:.2f}–{100 * bounds[1]:.2f}"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _short(commit: str | None) -> str:
    if commit is None:
        return ""
    digits, dash, dirty = commit.partition("-")
    return digits[:7] + dash + dirty
