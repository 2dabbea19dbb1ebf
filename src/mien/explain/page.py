"""Pages of HTML that need no other file, and tables that are printed, put into a page or written as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from mien.core.errors import MissingExtraError
from mien.explain.figure import Drawing


@dataclass(frozen=True, slots=True)
class Table:
    """Words and numbers in rows; the first column names the row.

    Attributes:
        caption: what it holds.
        heads: of its columns.
        rows: of as many cells each.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def markdown(self) -> str:
        """The table in Markdown, without its caption; numbers to the right."""
        aligned = ["---"] + ["---:"] * (len(self.heads) - 1)
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (self.heads, aligned, *self.rows))

    def print(self, note: str = "") -> None:
        """Print it to the terminal, with a note below."""
        from rich.console import Console
        from rich.table import Table as Terminal

        terminal = Terminal(title=self.caption, caption=note or None, box=None, padding=(0, 1, 0, 0))
        for index, head in enumerate(self.heads):
            terminal.add_column(head, justify="right" if index else "left")
        for row in self.rows:
            terminal.add_row(*row)
        Console(markup=False, highlight=False).print(terminal)


def page(title: str, notes: Sequence[str], parts: Sequence[Drawing | Table | str]) -> str:
    """A page of HTML: title, notes a paragraph each, then drawings, tables and paragraphs in their order.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError("jinja2", "plots", "an HTML report") from None
    source = resources.files("mien.explain").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(source).render(title=title, notes=notes, parts=parts)


def points(share: float, *, signed: bool = False) -> str:
    """A share in per cent with one decimal, ``"74.2"`` or ``"+1.3"``."""
    return f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}"


def spread(bounds: tuple[float, float]) -> str:
    """An interval of shares in per cent, ``"73.1 to 75.3"``."""
    return f"{points(bounds[0])} to {points(bounds[1])}"
