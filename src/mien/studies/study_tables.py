"""The tables of a study: figures against the paper's, what networks take, expressions, curves and persons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mien.evaluation.evaluation_result import ClassResult
from mien.reporting.numbers import NONE, count, hundredths, span
from mien.reporting.tables import Table
from mien.studies.cell_results import NOT_YET, CellResult, Reproduction
from mien.studies.paper_cells import CellTable, PaperCell


@dataclass(frozen=True, slots=True)
class CellRow:
    """A cell and what is known of it."""

    cell: PaperCell
    result: CellResult | None


def tables(section: CellTable, found: Reproduction) -> list[Table]:
    """All tables of a section: figures against the paper's, then what it shows further."""
    rows = rows_of(section, found)
    if section.shows == ("multiplications",):
        return [_multiplications(section.caption, rows)]
    shared = shared_protocol(section)
    figures = (figure_row(row, shared=shared is not None) for row in rows)
    made = [_without_empty(Table(section.caption, FIGURES, tuple(figures)))]
    builders = {
        "cost": _cost,
        "vector": _vector,
        "classes": _classes,
        "confusion": _confusions,
        "turns": _turns,
        "persons": _persons,
    }
    for name in section.shows:
        made += [_without_empty(table) for table in builders[name](rows) if table.rows]
    return made


FIGURES = (
    *("", "paper, %", "ours, % (95 %)", "answers", "without leaks, %", "precision, %", "recall, %", "F1, %"),
    *("log loss", "runs", "epochs", "how"),
)
"""Columns of a section's first table."""


def shared_protocol(section: CellTable) -> str | None:
    """The protocol that all measured rows of a section have, or None."""
    words = {cell.protocol.words for cell in section.cells if not cell.is_quoted}
    return words.pop() if len(words) == 1 else None


def figure_row(row: CellRow, *, shared: bool = False) -> tuple[str, ...]:
    """A row under :data:`FIGURES`; ``shared`` leaves out the protocol, which is said above the table."""
    cell, result = row.cell, row.result
    how = NONE if shared else cell.protocol.words
    paper = "" if cell.paper.accuracy is None else hundredths(cell.paper.accuracy)
    if cell.paper.words:
        paper = f"{paper} ({cell.paper.words})" if paper else cell.paper.words
    head, rest = (cell.title, paper or NONE), len(FIGURES) - 4
    if cell.is_quoted:
        return (*head, *(NONE for _ in range(rest + 2)))
    if result is None or result.score is None:
        return (*head, NOT_YET if result is None else _why(result), *(NONE for _ in range(rest)), how)
    score = result.score
    cut = "" if result.asked is None else f" after {result.epochs} of {result.asked} epochs"
    return (
        *head,
        f"{hundredths(score.accuracy)} ({span(score.accuracy_interval)}){cut}",
        f"{score.n:,}",
        *(hundredths(v) for v in (score.accuracy_without_leaks, score.precision, score.recall, score.f1)),
        NONE if score.log_loss is None else f"{score.log_loss:.3f}",
        str(len(score.parts)),
        NONE if result.epochs is None else str(result.epochs),
        how,
    )


def _why(result: CellResult) -> str:
    return result.why if result.why == NOT_YET else f"not run: {result.why}"


def _without_empty(table: Table) -> Table:
    """The table without columns that say nothing."""
    wanted = [i for i in range(len(table.heads)) if i == 0 or any(row[i] not in ("", NONE) for row in table.rows)]
    heads = tuple(table.heads[i] for i in wanted)
    return Table(table.caption, heads, tuple(tuple(row[i] for i in wanted) for row in table.rows))


def _multiplications(caption: str, rows: list[CellRow]) -> Table:
    made = []
    for row in rows:
        ours = None if row.result is None or row.result.cost is None else row.result.cost.multiplications
        made.append((row.cell.title, count(row.cell.paper.multiplications), count(ours)))
    return Table(caption, ("", "paper", "counted here"), tuple(made))


def _cost(rows: list[CellRow]) -> Iterator[Table]:
    heads = ("", "values, paper", "trained", "running", "all", "size, paper", "ONNX size", "multiplications", "input")
    made, seen = [], set()
    for row in rows:
        paper, cost = row.cell.paper, None if row.result is None else row.result.cost
        if cost is None:
            if paper.values is not None or paper.size:
                made.append((row.cell.title, count(paper.values), "", "", "", paper.size or NONE, "", "", "", "", ""))
            continue
        options = {name: value for name, value in row.cell.change.items() if name.startswith("options")}
        key = (cost.network, cost.trained, cost.side, cost.multiplications, repr(sorted(options.items())))
        if key in seen:
            continue
        seen.add(key)
        ours = f"{cost.milliseconds:.2f} ({cost.milliseconds_p95:.2f})"
        made.append(
            (
                f"{row.cell.title.split(',')[0]} ({cost.network})",
                count(paper.values),
                f"{cost.trained:,}",
                f"{cost.running:,}",
                f"{cost.trained + cost.running:,}",
                paper.size or NONE,
                f"{cost.bytes / 1000:,.0f} kB",
                f"{cost.multiplications:,}",
                f"{cost.side} px",
                NONE if paper.milliseconds is None else f"{paper.milliseconds:g}",
                ours,
            )
        )
    yield Table("What the networks take", (*heads, "ms, paper", "ms here (95th)"), tuple(made))


def _vector(rows: list[CellRow]) -> Iterator[Table]:
    measured = [row for row in rows if row.result and row.result.score and row.result.score.classes]
    if measured:
        labels = list(dict.fromkeys(c.label for row in measured for c in _classes_of(row)))
        made = []
        for row in measured:
            recall = {c.label: c.recall for c in _classes_of(row)}
            made.append((row.cell.title, *(hundredths(recall.get(label)) for label in labels)))
        yield Table("Rate correct of each expression, %", ("", *labels), tuple(made))


def _classes(rows: list[CellRow]) -> Iterator[Table]:
    for row in rows:
        found = _classes_of(row)
        if found and found[0].precision is not None:
            made = tuple(
                (c.label, f"{c.support:,}", hundredths(c.precision), hundredths(c.recall), hundredths(c.f1))
                for c in found
            )
            heads = ("", "answers", "precision, %", "recall, %", "F1, %")
            yield Table(f"Each expression: {row.cell.title}", heads, made)


def _confusions(rows: list[CellRow]) -> Iterator[Table]:
    for row in rows:
        score = row.result.score if row.result else None
        if score is not None and score.confusion:
            made = tuple(
                (label, *(f"{count:,}" for count in counts))
                for label, counts in zip(score.labels, score.confusion, strict=True)
            )
            yield Table(f"Truth in rows, answers in columns: {row.cell.title}", ("", *score.labels), made)


def _persons(rows: list[CellRow]) -> Iterator[Table]:
    """What a figure loses when the persons are new."""
    score = {row.cell.name: row.result.score for row in rows if row.result and row.result.score}
    made = []
    for row in rows:
        stem = row.cell.name.removesuffix("-random")
        known, new = score.get(f"{stem}-random"), score.get(f"{stem}-persons")
        if row.cell.name.endswith("-random") and known and new:
            title = row.cell.title.rpartition(",")[0]
            lost = 100 * (known.accuracy - new.accuracy)
            made.append((title, f"{100 * known.accuracy:.1f}", f"{100 * new.accuracy:.1f}", f"{lost:+.1f}"))
    heads = ("", "the same persons on both sides, %", "new persons, %", "points in between")
    yield Table("What the random split is worth", heads, tuple(made))


def _turns(rows: list[CellRow]) -> Iterator[Table]:
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


def rows_of(section: CellTable, found: Reproduction) -> list[CellRow]:
    """A section's cells with what is known of them."""
    return [CellRow(cell, found.result(cell.name)) for cell in section.cells]


def _classes_of(row: CellRow) -> tuple[ClassResult, ...]:
    return row.result.score.classes if row.result and row.result.score else ()
