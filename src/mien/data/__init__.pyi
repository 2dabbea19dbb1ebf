from .dataset import Dataset as Dataset
from .folds import in_folds as in_folds
from .layout import Layout as Layout
from .leaks import Leaks as Leaks
from .leaks import find_leaks as find_leaks
from .leaks import leaked_rows as leaked_rows
from .load import NAMES as NAMES
from .load import load_dataset as load_dataset
from .load import load_votes as load_votes
from .picture_index import PictureIndex as PictureIndex
from .splits import with_splits as with_splits

__all__ = [
    "NAMES",
    "Dataset",
    "Layout",
    "Leaks",
    "PictureIndex",
    "find_leaks",
    "in_folds",
    "leaked_rows",
    "load_dataset",
    "load_votes",
    "with_splits",
]
