"""From pixels to readings with ONNX Runtime. Never torch."""
