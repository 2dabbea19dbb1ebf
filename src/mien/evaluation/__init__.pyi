from .calibration import calibrate as calibrate
from .compare import Pair as Pair
from .ensemble_weights import make_ensemble as make_ensemble
from .evaluation_result import Evaluation as Evaluation
from .ledger import LedgerEntry as LedgerEntry
from .protocol import evaluate as evaluate
from .protocol import predict as predict
from .regions import REGIONS as REGIONS
from .regions import Region as Region
from .regions import band as band
from .regions import cover as cover
from .regions import region as region
from .robustness import Robustness as Robustness
from .slices import slice_accuracy as slice_accuracy

__all__ = [
    "REGIONS",
    "Evaluation",
    "LedgerEntry",
    "Pair",
    "Region",
    "Robustness",
    "band",
    "calibrate",
    "cover",
    "evaluate",
    "make_ensemble",
    "predict",
    "region",
    "slice_accuracy",
]
