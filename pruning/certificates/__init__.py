"""Proofs about a network over its whole Box: its shape, and how far pruning has moved it, by branch and bound."""
