from .embedding_head import fit_head as fit_head
from .fit import train as train
from .recipe import Recipe as Recipe
from .run import Run as Run
from .run_as_model import export_run as export_run
from .run_as_model import open_run as open_run
from .runner import Cell as Cell
from .runner import Runner as Runner
from .sweep_result import Sweep as Sweep
from .workers import Workers as Workers

__all__ = [
    "Cell",
    "Recipe",
    "Run",
    "Runner",
    "Sweep",
    "Workers",
    "export_run",
    "fit_head",
    "open_run",
    "train",
]
