"""Pages of HTML that need no other file: one base template, one style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

from mien.core.errors import MissingExtraError
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
