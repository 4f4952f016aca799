"""Shrink: pruning methods judged by the Greeks."""
