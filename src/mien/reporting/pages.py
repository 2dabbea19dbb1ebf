"""Pages of HTML that need no other file: one base template, one style sheet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mien.core.errors import MienError, MissingExtraError
from mien.core.files import write_whole
from mien.core.schema import to_mapping
from mien.reporting.figures import Drawing
from mien.reporting.tables import Table

Part = Drawing | Table | str
"""What stands on a page: a figure, a table, a paragraph."""


def page(
    title: str,
    notes: Sequence[str],
    sections: Mapping[str, Sequence[Part]],
    *,
    facts: Sequence[tuple[str, str]] = (),
) -> str:
    """A page of HTML.

    Args:
        title: of the page.
        notes: paragraphs below it.
        sections: the parts under each heading, in their order.
        facts: names and values between the notes and the sections.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError("jinja2", "plots", "an HTML report") from None
    source = resources.files("mien.reporting").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(title=title, notes=notes, facts=facts, sections=sections)


def write_page(
    sheet: Path,
    title: str,
    notes: Sequence[str],
    sections: Mapping[str, Sequence[Part]],
    *,
    figures: Mapping[str, Drawing],
    numbers: Any = None,
) -> list[Path]:
    """Write a page, beside it its figures as ``NAME.png`` and ``NAME.svg``, and its numbers as JSON; all their paths.

    Args:
        sheet: file of the page.
        title: see :func:`page`.
        notes: likewise.
        sections: likewise.
        figures: by their names.
        numbers: of a page's JSON, which has the page's name; None for none.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
        MienError: the folder cannot be written.
    """
    files = [sheet]
    try:
        write_whole(sheet, page(title, notes, sections))
        if numbers is not None:
            files.append(sheet.with_suffix(".json"))
            write_whole(files[-1], json.dumps(to_mapping(numbers), indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise MienError(f"{sheet.parent}: cannot be written ({error.strerror})") from None
    return [*files, *(path for name, drawing in figures.items() for path in drawing.save(sheet.parent / name))]
