"""ALDS: layers become products of low rank, and all of them share the largest relative error as evenly as they can.

A layer W (f x c) is cut into k equal blocks of columns, each replaced by its best approximation of rank j:

    W ~ [U_1 ... U_k] diag(V_1, ..., V_k),    j (k f + c) weights,
    ||W - W^||_2 <= sqrt(k) max_i sigma_{j+1}(W_i),

relative to sigma_1(W). The factors are two layers, the inner one without activation and bias. Which k and j every layer
takes is decided exactly: for an error eps each takes the smallest form with at most that error, the weights needed fall
with eps, and only the finitely many errors that are attained need looking at. Layers that were factors before are
multiplied out and may also stay as they are.

The published bound on a layer lacks sqrt(k), without which the best form is not the best. Its allocation starts from
random k and descends; the table of all of them is small here.

References: Liebenwein, Maalouf, Gal, Feldman & Rus, "Compressing neural networks: towards determining the optimal
layer-wise decomposition" (NeurIPS 2021).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from pruning.errors import ImpossibleSparsity
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network
from surrogate.standardisation import Standardisation, to_normalised


@dataclass(frozen=True, kw_only=True)
class Factorisation:
    """What a layer may become: ``blocks`` of rank ``rank``, or with rank 0 what it is."""

    weights: int
    error: float
    blocks: int = 1
    rank: int = 0


def forms(weight: Tensor, present: int) -> tuple[Factorisation, ...]:
    """All forms of a layer with fewer weights than it has at present, and that one. Shape: f c ->."""
    f, c = weight.shape
    largest = float(torch.linalg.matrix_norm(weight, ord=2)) or 1.0
    possible = [Factorisation(weights=present, error=0.0)]
    for blocks in (k for k in range(1, c + 1) if c % k == 0):
        tails = torch.linalg.svdvals(_blocks(weight, blocks)).amax(dim=0).tolist()
        errors = [math.sqrt(blocks) * tail / largest for tail in [*tails[1:], 0.0]]
        possible += [
            Factorisation(weights=rank * (blocks * f + c), error=error, blocks=blocks, rank=rank)
            for rank, error in enumerate(errors, start=1)
            if rank * (blocks * f + c) < present
        ]
    return tuple(possible)


def allocate(tables: Sequence[Sequence[Factorisation]], count: int) -> tuple[Factorisation, ...]:
    """One form a layer, at most ``count`` weights in all, of least largest error.

    Raises:
        ImpossibleSparsity: even the smallest forms are too many.
    """
    least = sum(min(form.weights for form in table) for table in tables)
    if least > count:
        raise ImpossibleSparsity(f"alds keeps at least {least} weights of this network, got a budget of {count}")
    errors = sorted({form.error for table in tables for form in table})

    def smallest(error: float) -> tuple[Factorisation, ...]:
        affordable = ([form for form in table if form.error <= error] for table in tables)
        return tuple(min(table, key=lambda form: (form.weights, form.error)) for table in affordable)

    # Ordered by saving: False, then True from the first error on that is large enough.
    enough = bisect_left(errors, True, key=lambda error: sum(form.weights for form in smallest(error)) <= count)
    return smallest(errors[enough])


def factors(weight: Tensor, form: Factorisation) -> tuple[Tensor, Tensor]:
    """Encoder and decoder: W ~ decoder @ encoder. Shape: f c -> (blocks rank) c, f (blocks rank)."""
    u, values, vh = torch.linalg.svd(_blocks(weight, form.blocks), full_matrices=False)
    root = values[:, : form.rank].sqrt()
    encoder: Tensor = torch.block_diag(*(root[:, :, None] * vh[:, : form.rank]))  # type: ignore[no-untyped-call]
    decoder = (u[:, :, : form.rank] * root[:, None, :]).permute(1, 0, 2).flatten(start_dim=1)
    return encoder, decoder


def _blocks(weight: Tensor, blocks: int) -> Tensor:
    """The columns in equal blocks. Shape: f c -> block f c/block."""
    return weight.reshape(len(weight), blocks, -1).transpose(0, 1)


def least_weights(network: Network) -> int:
    """The fewest weights that `prune_low_rank` can keep: rank 1 wherever that is smaller."""
    runs = _runs(network)
    return sum(min(_present(network, run), sum(_outer(network, run))) for run in runs)


def prune_low_rank(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Replace layers by products of low rank, at most the budget's weights, in normalised units."""
    runs, normalised = _runs(network), to_normalised(network, evidence.standardisation).weights
    products = [reduce(lambda below, weight: weight @ below, (normalised[layer] for layer in run)) for run in runs]
    tables = [forms(product, _present(network, run)) for product, run in zip(products, runs, strict=True)]
    weights, biases, linear = list[Tensor](), list[Tensor](), set[int]()
    for run, product, form in zip(runs, products, allocate(tables, budget.count), strict=True):
        layers = [(network.weights[layer], network.biases[layer]) for layer in run]
        if form.rank > 0:
            layers = _factored(network, run, factors(product, form), evidence.standardisation)
        linear |= {len(weights) + inner for inner in range(1, len(layers))}
        weights += [weight for weight, _ in layers]
        biases += [bias for _, bias in layers]
    return Cut(network=replace(network, weights=tuple(weights), biases=tuple(biases), linear=frozenset(linear)))


def _factored(
    network: Network, run: range, pair: tuple[Tensor, Tensor], standardisation: Standardisation
) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of the encoder and the decoder that stand for a run, raw units."""
    encoder, decoder = pair
    product, bias = network.weights[run[0]], network.biases[run[0]]
    for layer in run[1:]:
        product = network.weights[layer] @ product
        bias = network.biases[layer] + network.weights[layer] @ bias
    if run[-1] == len(network.weights) - 1:
        decoder = decoder * standardisation.y_scale.reshape(-1, 1)
    if run[0] == 0:
        encoder = encoder / standardisation.x_scale
        # What is lost acts on normalised features, which are 0 at the mean.
        bias = bias + (product - decoder @ encoder) @ standardisation.x_mean
    return [(encoder, encoder.new_zeros(len(encoder))), (decoder, bias)]


def _runs(network: Network) -> list[range]:
    """Indices of weights that are one linear map: every hidden layer without activation goes with the next."""
    ends = [layer for layer in range(1, len(network.weights) + 1) if layer not in network.linear]
    return [range(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _present(network: Network, run: range) -> int:
    """Weights that are not 0."""
    return sum(int(torch.count_nonzero(network.weights[layer])) for layer in run)


def _outer(network: Network, run: range) -> tuple[int, int]:
    """f and c of the product."""
    return network.widths[run[-1] + 1], network.widths[run[0]]
