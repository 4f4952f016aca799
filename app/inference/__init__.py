"""Loaded model versions, and requests merged into calls of the runtime. Torch-free."""
