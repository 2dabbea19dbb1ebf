"""Networks, their registry, and the way from torch to ONNX."""
