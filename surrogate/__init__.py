"""Learn and export: Sobolev-trained networks with value, gradient and Hessian in one ONNX graph."""
