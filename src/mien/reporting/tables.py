"""Tables that are printed, put into a page or written as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Table:
    """Words and numbers in rows; the first column names the row.

    Attributes:
        caption: what it holds.
        heads: of its columns.
        rows: of as many cells each.
        words: columns that hold words, to the left; all others hold numbers, to the right.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)

    @property
    def markdown(self) -> str:
        """The table in Markdown, without its caption."""
        return markdown(self.heads, self.rows, words=self.words)

    def print(self, note: str = "", console: Console | None = None) -> None:
        """Print it to the terminal, with a note below."""
        from rich.console import Console
        from rich.table import Table as Terminal

        shown = any(self.heads)
        terminal = Terminal(
            title=self.caption,
            caption=note or None,
            box=None,
            padding=(0, 1, 0, 0),
            show_header=shown,
            title_style="bold",
        )
        for index, head in enumerate(self.heads):
            terminal.add_column(head, justify="left" if index in self.words else "right", overflow="fold")
        for row in self.rows:
            terminal.add_row(*row)
        (console or Console(markup=False, highlight=False)).print(terminal)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[int] = (0,)) -> str:
    """A table in Markdown: the columns ``words`` to the left, the others, which hold numbers, to the right."""
    aligned = ["---" if index in words else "---:" for index in range(len(heads))]
    lines = ([cell.replace("|", "&#124;") for cell in cells] for cells in (heads, aligned, *rows))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
