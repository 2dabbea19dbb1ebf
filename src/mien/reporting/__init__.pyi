from .figures import Drawing as Drawing
from .figures import canvas as canvas
from .figures import style as style
from .pages import page as page
from .pages import write_page as write_page
from .tables import Table as Table
from .tables import markdown as markdown

__all__ = [
    "Drawing",
    "Table",
    "canvas",
    "markdown",
    "page",
    "style",
    "write_page",
]
