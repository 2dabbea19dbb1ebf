from .export import Provenance as Provenance
from .network import TorchPredictor as TorchPredictor
from .onnx_embedding import OnnxEmbedding as OnnxEmbedding
from .rebuild import open_exported as open_exported
from .registry import Network as Network
from .registry import build as build
from .registry import count_values as count_values
from .registry import networks as networks
from .registry import register as register
from .weights import load_weights as load_weights

__all__ = [
    "Network",
    "OnnxEmbedding",
    "Provenance",
    "TorchPredictor",
    "build",
    "count_values",
    "load_weights",
    "networks",
    "open_exported",
    "register",
]
