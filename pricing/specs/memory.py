"""How many numbers a simulation holds at once, from which its batches and forecasts of memory follow. Torch-free."""

from __future__ import annotations

from pricing.specs.facts import ProcessFacts

# Numbers in one tensor of a batch of samples, 16 MB: with fewer, the calls of a path's steps cost more than their
# arithmetic, with more nothing is gained (`benchmarks/batches.py`).
TENSOR_NUMBERS = 1 << 21
# Numbers in all tensors of a batch, or of a single sample, whose paths are taken in parts beyond: 1 GB, the memory that
# a thread takes for labels beside themselves whatever the number of samples and paths.
PART_NUMBERS = 1 << 27
# Threads that make labels where nobody says how many, a replicate each: the forecast counts them.
LABEL_THREADS = 2
# Shares of the tensors of a double backward pass, an upper bound: met with one, through time steps and at dates, and
# without one.
STEPPED, DOUBLE, SINGLE = 1.0, 0.4, 0.1


def held(process: ProcessFacts, order: int) -> float:
    """Tensors of the size of `Contribution.numbers` that derivatives of an order hold at their peak."""
    return process.tensors * (SINGLE if order < 2 else DOUBLE if process.grid is None else STEPPED)


def batch_numbers(process: ProcessFacts, order: int) -> int:
    """Numbers in one tensor of a batch of samples."""
    return min(TENSOR_NUMBERS, int(PART_NUMBERS / held(process, order)))
