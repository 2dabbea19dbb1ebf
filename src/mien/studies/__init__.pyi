from .catalogue import STUDIES as STUDIES
from .catalogue import study_named as study_named
from .cell_recipes import StudyOptions as StudyOptions
from .cell_results import Reproduction as Reproduction
from .occlusion_study import OcclusionStudy as OcclusionStudy
from .occlusion_study import run_study as run_study
from .paper_cells import PaperCell as PaperCell
from .paper_cells import PaperStudy as PaperStudy
from .reproduction import reproduce as reproduce

__all__ = [
    "STUDIES",
    "OcclusionStudy",
    "PaperCell",
    "PaperStudy",
    "Reproduction",
    "StudyOptions",
    "reproduce",
    "run_study",
    "study_named",
]
