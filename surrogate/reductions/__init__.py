"""Exact scaling of prices: fewer features to learn, every Greek by the chain rule."""
