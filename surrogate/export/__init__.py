"""One ONNX graph with every Greek, and its parity with what was trained."""
