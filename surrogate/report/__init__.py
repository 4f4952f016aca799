"""What is said of a surrogate: scores, where they come from, and their way to JSON and back. Torch-free."""
