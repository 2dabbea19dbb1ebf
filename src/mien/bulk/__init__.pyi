from .inputs import Item as Item
from .inputs import find_items as find_items
from .options import BulkOptions as BulkOptions
from .options import Limits as Limits
from .output import Output as Output
from .output import Status as Status
from .plan import Cost as Cost
from .plan import Plan as Plan
from .plan import plan_bulk as plan_bulk
from .run import Progress as Progress
from .run import run_bulk as run_bulk
from .summary import Expressed as Expressed
from .summary import Summary as Summary
from .summary import summarise as summarise

__all__ = [
    "BulkOptions",
    "Cost",
    "Expressed",
    "Item",
    "Limits",
    "Output",
    "Plan",
    "Progress",
    "Status",
    "Summary",
    "find_items",
    "plan_bulk",
    "run_bulk",
    "summarise",
]
