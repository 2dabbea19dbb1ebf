"""A study's page: every table with the paper's figure beside ours, as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mien.reporting.figures import WIDTH, Drawing, canvas, style
from mien.reporting.numbers import tenths
from mien.reporting.pages import Part, page
from mien.reporting.panels import LearningCurve, draw_confusion, learning_curves
from mien.reporting.tables import Table
from mien.studies.cell_results import NOT_YET, CellResult, Reproduction
from mien.studies.paper_cells import CellTable, PaperStudy
from mien.studies.study_tables import FIGURES, CellRow, figure_row, rows_of, shared_protocol, tables
from mien.training.cost import conditions

QUICK = (
    "These are quick results: a few epochs on a few rows, to see that everything runs. They say nothing about a "
    "network."
)


def markdown(study: PaperStudy, found: Reproduction) -> str:
    """The page in Markdown, without figures."""
    lines = [f"# {study.title}", "", _origin(study), ""]
    for note in _notes(study, found):
        lines += [note, ""]
    for section in study.sections:
        lines += [f"## {section.caption}", ""]
        for text in _texts(section):
            lines += [text, ""]
        for table in tables(section, found):
            if table.caption != section.caption:
                lines += [f"**{table.caption}**", ""]
            lines += [table.markdown, ""]
        remarks = list(_remarks(section, found))
        lines += [f"- {remark}" for remark in remarks] + ([""] if remarks else [])
    lines += ["## How it was measured", "", *(f"- {line}" for line in _measured(found)), ""]
    return "\n".join(lines)


def html(study: PaperStudy, found: Reproduction) -> str:
    """The page in HTML, with curves and confusion matrices, in one file.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    sections: dict[str, list[Part]] = {}
    for section in study.sections:
        rows = rows_of(section, found)
        parts = sections.setdefault(section.caption, [])
        parts += [*_texts(section), *tables(section, found), *_remarks(section, found)]
        if "turns" in section.shows and (curves := _curves(rows)) is not None:
            parts.append(curves)
        if "confusion" in section.shows and (confusion := _confusions(rows)) is not None:
            parts.append(confusion)
    sections["How it was measured"] = list(_measured(found))
    return page(study.title, [_origin(study), *_notes(study, found)], sections)


def print_tables(study: PaperStudy, found: Reproduction) -> None:
    """Print the figures to the terminal, the paper's beside ours; the rest is on the page."""
    for section in study.sections:
        if section.shows == ("multiplications",):
            tables(section, found)[0].print()
            continue
        rows = [figure_row(row)[:4] for row in rows_of(section, found)]
        Table(section.caption, FIGURES[:4], tuple(rows)).print("quick: these mean nothing" if found.quick else "")


def _remarks(section: CellTable, found: Reproduction) -> Iterator[str]:
    for row in rows_of(section, found):
        if row.cell.differs:
            yield f"{row.cell.title}: {row.cell.differs}"
        score = row.result.score if row.result else None
        if score is not None and score.left_out:
            yield f"{row.cell.title}: {score.left_out:,} rows are left out whose expression it cannot give."
    cut = [row.result for row in rows_of(section, found) if row.result and row.result.asked and row.cell.recipe]
    if cut:
        cells = " ".join(f"--only {result.cell}" for result in cut)
        yield f"Trained for fewer epochs than asked; to train whole: `mien reproduce {found.study} {cells}`"
    waiting = [row.result for row in rows_of(section, found) if row.result and row.result.status == "not run"]
    for why in dict.fromkeys(result.why for result in waiting):
        yield f"{why if why == NOT_YET else f'Not run, {why}'}: {_commands([r for r in waiting if r.why == why])}"


def _texts(section: CellTable) -> list[str]:
    shared = None if section.shows == ("multiplications",) else shared_protocol(section)
    return [*([section.text] if section.text else []), *([f"Protocol of all rows: {shared}."] if shared else [])]


def _commands(results: list[CellResult]) -> str:
    """One command for all cells that are run alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for result in results:
        before, _, after = result.command.partition(f" --only {result.cell}")
        alike.setdefault((before, after), []).append(f"--only {result.cell}")
    return ", ".join(f"`{before} {' '.join(cells)}{after}`" for (before, after), cells in alike.items())


def _notes(study: PaperStudy, found: Reproduction) -> list[str]:
    return [*([QUICK] if found.quick else []), *study.notes]


def _origin(study: PaperStudy) -> str:
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
        lines.append(
            "Times are the processor's for one face from crop to logits in ONNX Runtime, one thread, median (95th "
            f"percentile) of {costs[0].rounds} calls on {conditions(costs)}."
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


def _curves(rows: Sequence[CellRow]) -> Drawing | None:
    """Loss and accuracy against the epoch: a row of panels for each cell; None without any."""
    curves = [
        LearningCurve(row.cell.title, t.curve, t.turn)
        for row in rows
        if row.result and (t := row.result.training) and t.curve
    ]
    if not curves:
        return None
    turns = (f"{c.title}: validation loss " + _turn(c.marked) for c in curves)
    return learning_curves(curves, alt=f"Curves of loss and accuracy, train and validation. {'; '.join(turns)}")


def _turn(epoch: int | None) -> str:
    return "does not turn" if epoch is None else f"turns at epoch {epoch}"


def _confusions(rows: Sequence[CellRow]) -> Drawing | None:
    """Confusion matrices as shares of the true expression, up to two beside each other; None without any."""
    found = [(row.cell.title, s) for row in rows if row.result and (s := row.result.score) and s.confusion]
    if not found:
        return None
    lines = (len(found) + 1) // 2
    with style():
        figure, grid = canvas(lines, 2, height=3.1 * lines, width=WIDTH)
        flat = grid.reshape(-1)
        for axes in flat[len(found) :]:
            axes.axis("off")
        for axes, (title, score) in zip(flat, found, strict=False):
            draw_confusion(axes, score.confusion, score.labels, with_counts=False)
            axes.set_title(f"{title}\n{tenths(score.accuracy)} % of {score.n:,}")
    words = "; ".join(f"{title} {tenths(score.accuracy)} %" for title, score in found)
    return Drawing(figure, f"Confusion matrices, shares of the true expression in per cent. Accuracy: {words}")
