from .inputs import Item as Item
from .inputs import find_items as find_items
from .options import BulkOptions as BulkOptions
from .options import Limits as Limits
from .output import Output as Output
from .output import Status as Status
from .run import Progress as Progress
from .run import run_bulk as run_bulk

__all__ = [
    "BulkOptions",
    "Item",
    "Limits",
    "Output",
    "Progress",
    "Status",
    "find_items",
    "run_bulk",
]
