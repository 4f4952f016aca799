"""Normalising flows that learn where the market goes."""
