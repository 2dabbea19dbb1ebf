"""A study's page: every table with the paper's figure beside ours, as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mien.explain.figure import Drawing
from mien.explain.page import Table, page, spread
from mien.studies.cell import Cell, Section, Study
from mien.studies.record import NOT_YET, Rates, Reproduction, Result

QUICK = (
    "These are quick results: a few epochs on a few rows, to see that everything runs. They say nothing about a "
    "network."
)


@dataclass(frozen=True, slots=True)
class Row:
    """A cell and what is known of it."""

    cell: Cell
    result: Result | None


def markdown(study: Study, found: Reproduction) -> str:
    """The page in Markdown, without figures."""
    lines = [f"# {study.title}", "", _origin(study), ""]
    for note in _notes(study, found):
        lines += [note, ""]
    for section in study.sections:
        lines += [f"## {section.caption}", ""]
        if section.text:
            lines += [section.text, ""]
        for table in tables(section, found):
            if table.caption != section.caption:
                lines += [f"**{table.caption}**", ""]
            lines += [table.markdown, ""]
        remarks = list(_remarks(section, found))
        lines += [f"- {remark}" for remark in remarks] + ([""] if remarks else [])
    lines += ["## How it was measured", "", *(f"- {line}" for line in _measured(found)), ""]
    return "\n".join(lines)


def html(study: Study, found: Reproduction) -> str:
    """The page in HTML, with curves and confusion matrices, in one file.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    from mien.studies.figures import confusion_figure, curves_figure

    parts: list[Drawing | Table | str] = []
    for section in study.sections:
        rows = _rows(section, found)
        if section.text:
            parts.append(section.text)
        parts += tables(section, found)
        parts += list(_remarks(section, found))
        if "turns" in section.shows and (curves := curves_figure(rows)) is not None:
            parts.append(curves)
        if "confusion" in section.shows and (confusion := confusion_figure(rows)) is not None:
            parts.append(confusion)
    return page(study.title, [_origin(study), *_notes(study, found), *_measured(found)], parts)


def print_tables(study: Study, found: Reproduction) -> None:
    """Print the figures to the terminal, the paper's beside ours; the rest is on the page."""
    for section in study.sections:
        if section.shows == ("multiplications",):
            tables(section, found)[0].print()
            continue
        rows = [_figure_row(row)[:4] for row in _rows(section, found)]
        Table(section.caption, FIGURES[:4], tuple(rows)).print("quick: these mean nothing" if found.quick else "")


def tables(section: Section, found: Reproduction) -> list[Table]:
    """All tables of a section: figures against the paper's, then what it shows further."""
    rows = _rows(section, found)
    if section.shows == ("multiplications",):
        return [_multiplications(section.caption, rows)]
    made = [_without_empty(Table(section.caption, FIGURES, tuple(_figure_row(row) for row in rows)))]
    builders = {"cost": _cost, "vector": _vector, "classes": _classes, "confusion": _confusions, "turns": _turns}
    for name in section.shows:
        made += [_without_empty(table) for table in builders[name](rows) if table.rows]
    return made


FIGURES = (
    *("", "paper, %", "ours, % (95 %)", "answers", "without leaks, %", "precision, %", "recall, %", "F1, %"),
    *("log loss", "runs", "epochs", "how"),
)
"""Columns of a section's first table."""


def _figure_row(row: Row) -> tuple[str, ...]:
    cell, result = row.cell, row.result
    paper = "" if cell.paper.accuracy is None else f"{100 * cell.paper.accuracy:.2f}"
    if cell.paper.words:
        paper = f"{paper} ({cell.paper.words})" if paper else cell.paper.words
    head, rest = (cell.title, paper or "–"), len(FIGURES) - 4
    if cell.is_quoted:
        return (*head, "–", *("–" for _ in range(rest)), "the paper's figure alone")
    if result is None or result.score is None:
        return (
            *head,
            "not run yet" if result is None else _why(result),
            *("–" for _ in range(rest)),
            cell.protocol.words,
        )
    score = result.score
    return (
        *head,
        f"{100 * score.accuracy:.2f} ({spread(score.accuracy_interval)})",
        f"{score.n:,}",
        *(_percent(v) for v in (score.accuracy_without_leaks, score.precision, score.recall, score.f1)),
        "–" if score.log_loss is None else f"{score.log_loss:.3f}",
        str(len(score.parts)),
        "–" if result.epochs is None else str(result.epochs),
        cell.protocol.words,
    )


def _why(result: Result) -> str:
    return result.why if result.why == NOT_YET else f"not run: {result.why}"


def _without_empty(table: Table) -> Table:
    """The table without columns that say nothing."""
    wanted = [i for i in range(len(table.heads)) if i == 0 or any(row[i] not in ("", "–") for row in table.rows)]
    heads = tuple(table.heads[i] for i in wanted)
    return Table(table.caption, heads, tuple(tuple(row[i] for i in wanted) for row in table.rows))


def _multiplications(caption: str, rows: list[Row]) -> Table:
    made = []
    for row in rows:
        ours = None if row.result is None or row.result.cost is None else row.result.cost.multiplications
        made.append((row.cell.title, _count(row.cell.paper.multiplications), _count(ours)))
    return Table(caption, ("", "paper", "counted here"), tuple(made))


def _cost(rows: list[Row]) -> Iterator[Table]:
    heads = ("", "values, paper", "trained", "running", "all", "size, paper", "ONNX size", "multiplications", "input")
    made, seen = [], set()
    for row in rows:
        paper, cost = row.cell.paper, None if row.result is None else row.result.cost
        if cost is None:
            if paper.values is not None or paper.size:
                made.append((row.cell.title, _count(paper.values), "", "", "", paper.size or "–", "", "", "", "", ""))
            continue
        key = (cost.network, cost.trained, cost.side, cost.multiplications)
        if key in seen:
            continue
        seen.add(key)
        ours = f"{cost.milliseconds:.2f} ({cost.milliseconds_p95:.2f})"
        made.append(
            (
                f"{row.cell.title.split(',')[0]} (`{cost.network}`)",
                _count(paper.values),
                f"{cost.trained:,}",
                f"{cost.running:,}",
                f"{cost.trained + cost.running:,}",
                paper.size or "–",
                f"{cost.bytes / 1000:,.0f} kB",
                f"{cost.multiplications:,}",
                f"{cost.side} px",
                "–" if paper.milliseconds is None else f"{paper.milliseconds:g}",
                ours,
            )
        )
    yield Table("What the networks take", (*heads, "ms, paper", "ms here (95th)"), tuple(made))


def _vector(rows: list[Row]) -> Iterator[Table]:
    measured = [row for row in rows if row.result and row.result.score and row.result.score.classes]
    if measured:
        labels = list(dict.fromkeys(c.label for row in measured for c in _classes_of(row)))
        made = []
        for row in measured:
            recall = {c.label: c.recall for c in _classes_of(row)}
            made.append((row.cell.title, *(_percent(recall.get(label)) for label in labels)))
        yield Table("Rate correct of each expression, %", ("", *labels), tuple(made))


def _classes(rows: list[Row]) -> Iterator[Table]:
    for row in rows:
        found = _classes_of(row)
        if found and found[0].precision is not None:
            made = tuple(
                (c.label, f"{c.support:,}", _percent(c.precision), _percent(c.recall), _percent(c.f1)) for c in found
            )
            heads = ("", "answers", "precision, %", "recall, %", "F1, %")
            yield Table(f"Each expression: {row.cell.title}", heads, made)


def _confusions(rows: list[Row]) -> Iterator[Table]:
    for row in rows:
        score = row.result.score if row.result else None
        if score is not None and score.confusion:
            made = tuple(
                (label, *(f"{count:,}" for count in counts))
                for label, counts in zip(score.labels, score.confusion, strict=True)
            )
            yield Table(f"Truth in rows, answers in columns: {row.cell.title}", ("", *score.labels), made)


def _turns(rows: list[Row]) -> Iterator[Table]:
    made = []
    for row in rows:
        training = row.result.training if row.result else None
        if training is not None and training.curve:
            lowest = min(range(len(training.curve)), key=lambda i: training.curve[i].validation_loss)
            made.append(
                (
                    row.cell.title,
                    str(len(training.curve)),
                    "it does not" if training.turn is None else str(training.turn),
                    f"{training.curve[lowest].validation_loss:.4f} at {lowest + 1}",
                    f"{training.curve[-1].validation_loss:.4f}",
                    f"{training.curve[-1].train_loss:.4f}",
                    str(training.kept[0]),
                )
            )
    heads = ("", "epochs", "validation loss turns", "lowest", "at the end", "train loss at the end", "kept epoch")
    yield Table("Curves of the first run", heads, tuple(made))


def _remarks(section: Section, found: Reproduction) -> Iterator[str]:
    for row in _rows(section, found):
        if row.cell.differs:
            yield f"{row.cell.title}: {row.cell.differs}"
    waiting = [row.result for row in _rows(section, found) if row.result and row.result.status == "not run"]
    for why in dict.fromkeys(result.why for result in waiting):
        commands = ", ".join(f"`{result.command}`" for result in waiting if result.why == why)
        yield f"{why if why == NOT_YET else f'not run, {why}'}: {commands}"


def _notes(study: Study, found: Reproduction) -> list[str]:
    return [*([QUICK] if found.quick else []), *study.notes]


def _origin(study: Study) -> str:
    return (
        f"{study.paper}. This page is generated from measurements (mien reproduce {study.name}); what was not measured "
        "says so."
    )


def _measured(found: Reproduction) -> list[str]:
    """Machine, versions and commits behind the results, each once."""
    lines = [
        (
            "Intervals are 95 % percentile bootstrap intervals; where persons are known, whole persons are drawn. "
            "'Answers' are rows, times seeds; 'runs' are folds and seeds."
        )
    ]
    costs = [result.cost for result in found.results if result.cost is not None]
    if costs:
        machines = ", ".join(sorted({cost.machine for cost in costs}))
        low, high = min(cost.load for cost in costs), max(cost.load for cost in costs)
        lines.append(
            f"Times are one face's from crop to logits in ONNX Runtime, one thread, median (95th percentile) of "
            f"{costs[0].rounds} calls on {machines}, under a load of {low:g} to {high:g} processes."
        )
    trained = [result.training for result in found.results if result.training is not None]
    if trained:
        hours = sum(training.seconds for training in trained) / 3600
        devices = ", ".join(sorted({training.device for training in trained}))
        lines.append(f"{sum(training.runs for training in trained)} runs, {hours:.2f} hours of training on {devices}.")
    finders = sorted({result.detector for result in found.results if result.detector})
    if finders:
        lines.append(f"Faces in whole pictures were found by {', '.join(finders)}.")
    sources = sorted({result.source for result in found.results if result.source})
    if sources:
        lines.append(f"Measured before, and taken from there: {', '.join(sources)}.")
    dates = sorted({result.time[:10] for result in found.results if result.time})
    versions = {f"{k} {v}": None for result in found.results for k, v in result.versions.items()}
    if dates:
        span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        lines.append(f"{span}; {', '.join(versions)}." if versions else f"{span}.")
    return lines


def _rows(section: Section, found: Reproduction) -> list[Row]:
    return [Row(cell, found.result(cell.name)) for cell in section.cells]


def _classes_of(row: Row) -> tuple[Rates, ...]:
    return row.result.score.classes if row.result and row.result.score else ()


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
