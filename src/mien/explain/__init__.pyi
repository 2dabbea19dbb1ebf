from .attribution import IntegratedGradients as IntegratedGradients
from .attribution import OcclusionSensitivity as OcclusionSensitivity
from .average import Averages as Averages
from .faithfulness import Faithfulness as Faithfulness
from .features import feature_maps as feature_maps
from .features import filters as filters
from .gradcam import GradCAM as GradCAM
from .gradcam import GradCAMPlusPlus as GradCAMPlusPlus
from .occlusion import Occlusion as Occlusion
from .occlusion import measure as measure
from .sanity import Sanity as Sanity
from .sanity import cascade as cascade

__all__ = [
    "Averages",
    "Faithfulness",
    "GradCAM",
    "GradCAMPlusPlus",
    "IntegratedGradients",
    "Occlusion",
    "OcclusionSensitivity",
    "Sanity",
    "cascade",
    "feature_maps",
    "filters",
    "measure",
]
