"""Finding faces and reading them with ONNX Runtime."""
