"""Scores of weights and nodes, of trained and of untrained networks: the larger, the longer it stays."""
