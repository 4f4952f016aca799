"""Simulate and label: Monte Carlo option prices with pathwise derivatives."""
