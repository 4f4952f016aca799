"""A proven bound on how far a pruned network is from the one it came from, over a Box, for the value and every delta.

Nothing has to be known of how the one was made from the other. The smaller network is written in the shape of the
larger one (`pruning.certificates.alignment`), what lies between them is enclosed layer by layer
(`pruning.certificates.difference`), and branch and bound sharpens it (`pruning.certificates.search`). Networks of
different depth are enclosed one by one and subtracted.

The bound is on the two functions in exact arithmetic of the weights that they have; evaluating either rounds besides.
`ARITHMETIC` says so, and what is assumed, wherever a certificate goes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pruning.certificates.alignment import align
from pruning.certificates.chart import SLACK, BoxChart, chart
from pruning.certificates.difference import Pair
from pruning.certificates.jets import Jet, affordable
from pruning.certificates.search import Cover, Question, best_cover, round_up
from pruning.errors import PruningError
from pruning.intervals.interval import ACTIVATION_ULPS, EPSILON, TINY, Interval
from surrogate.functions.network import Network, outputs, value_and_gradient

# Sub-boxes tried: a few seconds for a network of three features. Larger networks are given fewer
# (`pruning.certificates.jets.affordable`), so that it stays at seconds, and their bounds are wider.
BUDGET = 20_000
# Points of the box where the differences are looked at first.
POINTS = 1024
# Differences below this share of the outputs' size over the box are not worth a sub-box.
NEGLIGIBLE = 1e-9
# Sub-boxes without which deltas are not tried: the box in either chart, and its halves.
LEAST = 4
# What all certificates are about.
ARITHMETIC = (
    "exact, of the float64 weights in model.onnx and not of model.float32.onnx; evaluating a graph rounds besides. "
    f"Assumed: activations and their derivatives made of exp, sigmoid and tanh are within {ACTIVATION_ULPS} x 2^-52 "
    "x max(1, |phi|) of the true ones on the machine that proved it"
)


def certify(dense: Network, pruned: Network, box: Interval, *, budget: int = BUDGET) -> dict[str, Any]:
    """Bounds on |pruned - dense| that hold for every x in the box; None where nothing is proven.

    ``value`` is for the value, ``delta`` for the derivative by each feature, both the worst of several outputs;
    ``seen`` holds the largest differences met at points of the box, below which no bound can be. Activations with a
    kink have no delta that could be bounded everywhere. Networks so wide that deltas would take longer than seconds are
    bounded by value alone, or not at all.

    Args:
        dense, pruned: float64, the same inputs and outputs, any widths and depths.
        box: features in raw units. Shape: (input,).
        budget: sub-boxes tried at most.

    Raises:
        PruningError: other inputs or outputs, numbers that are not float64 or not finite, or no box.
    """
    _require(dense, pruned, box)
    points = _points(box)
    aligned = align(dense, pruned, points)
    networks = (dense, pruned if aligned is None else aligned)
    first, bias = (torch.cat([getattr(network, kind)[0] for network in networks]) for kind in ("weights", "biases"))
    charts = [chart(box, first, bias, turned=turned) for turned in (True, False)]
    slopes = [max(len(c.directions) for c in charts) * directions for directions in (1, len(box.lower))]
    afforded = [min(affordable(network.widths, count) for network in networks) for count in slopes]
    order = 1 if "relu" not in (dense.activation, pruned.activation) and afforded[1] >= LEAST else 0
    entries = slopes[order] * max(*dense.widths[1:], *networks[1].widths[1:])
    floor = NEGLIGIBLE * _observed(dense, points, order=order).abs().amax(dim=(0, 2))

    def observe(x: Tensor) -> Tensor:
        return (_observed(pruned, x, order=order) - _observed(dense, x, order=order)).abs().amax(dim=2)

    def ask(coordinates: BoxChart) -> Question:
        pair = _pair(networks, coordinates, linked=aligned is not None)
        return Question(
            chart=coordinates,
            enclose=lambda t: _magnitudes(pair.over(t, order=order), t.radius),
            observe=observe,
            tolerance=torch.full_like(floor, torch.inf),
            scale=torch.maximum(observe(points).amax(dim=0), floor).clamp(min=TINY),
            floor=floor,
        )

    _, cover = best_cover(ask, charts, points, budget=min(budget, afforded[order]), entries=entries)
    return _entry(cover, order=order, linked=aligned is not None)


def _require(dense: Network, pruned: Network, box: Interval) -> None:
    """Raise unless a bound on the difference of the two over the box means something."""
    for what, i, have in (("inputs", 0, len(box.lower)), ("outputs", -1, dense.widths[-1])):
        theirs = (dense.widths[i], pruned.widths[i])
        if set(theirs) != {have}:
            raise PruningError(f"widths: dense and pruned must have {have} {what}, got {theirs[0]} and {theirs[1]}")
    for name, network in (("dense", dense), ("pruned", pruned)):
        for numbers in (*network.weights, *network.biases):
            if numbers.dtype != torch.float64:
                raise PruningError(f"{name}: bounds are proven of float64 networks, got {numbers.dtype}; convert it")
            if not numbers.isfinite().all():
                raise PruningError(f"{name}: a weight or bias is not finite; nothing can be bounded")
    for bound in (box.lower, box.upper):
        if bound.dtype != torch.float64 or not bound.isfinite().all():
            raise PruningError(f"box: bounds must be finite float64 numbers, got {bound.tolist()} ({bound.dtype})")
    if (box.lower > box.upper).any():
        raise PruningError(f"box: lower must not be above upper, got {box.lower.tolist()} and {box.upper.tolist()}")


def _pair(networks: tuple[Network, Network], coordinates: BoxChart, *, linked: bool) -> Pair:
    """The forms and derivatives of the first layers, with those of their difference if the networks are ``linked``."""
    (weight, other), (bias, other_bias) = ([getattr(n, kind)[0] for n in networks] for kind in ("weights", "biases"))
    form, tangents = coordinates.form(weight, bias), [Interval(w.T, w.T) for w in (weight, other)]
    if not linked:
        return Pair(networks=networks, forms=(form, coordinates.form(other, other_bias)), tangents=tuple(tangents))
    gap, shift = other - weight, other_bias - bias
    slack = EPSILON * (gap.abs() @ coordinates.box.magnitude + shift.abs())
    change = coordinates.form(gap, shift, slack)
    between = Interval(gap.T, gap.T).widen(EPSILON * gap.T.abs())
    return Pair(networks=networks, forms=(form, form + change, change), tangents=(*tangents, between))


def _magnitudes(jet: Jet, radius: Tensor) -> tuple[Interval, Tensor]:
    """The largest |difference| of value and deltas on sub-boxes, and how far each coordinate carries it.

    Shape: -> (box, quantity); (box, quantity, coordinate).
    """
    upper = torch.cat([each.magnitude.amax(dim=2) for each in jet.orders], dim=1)
    carried = torch.cat([slope.magnitude.amax(dim=3) for slope in jet.slopes], dim=2) * radius[:, :, None]
    return Interval(torch.zeros_like(upper), upper), carried.transpose(1, 2)


def _observed(network: Network, x: Tensor, *, order: int) -> Tensor:
    """Value and deltas at points. Shape: batch input -> batch quantity output."""
    if not order:
        return outputs(network, x)[:, None]
    columns = []
    for row, bias in zip(network.weights[-1], network.biases[-1], strict=True):
        single = replace(network, weights=(*network.weights[:-1], row[None]), biases=(*network.biases[:-1], bias[None]))
        value, gradient = value_and_gradient(single, x)
        columns.append(torch.cat([value[:, None], gradient], dim=1))
    return torch.stack(columns, dim=2)


def _points(box: Interval) -> Tensor:
    """The same random points whenever it is asked: where one looks first is no part of what is proven."""
    generator = torch.Generator().manual_seed(0)
    uniforms = torch.rand(POINTS, box.lower.shape[0], generator=generator, dtype=box.lower.dtype)
    return torch.lerp(box.lower, box.upper, uniforms)


def _entry(cover: Cover, *, order: int, linked: bool) -> dict[str, Any]:
    """The certificate as plain data; bounds rounded up."""
    bounds = [round_up(bound) for bound in (cover.bounds * (1.0 + SLACK)).tolist()]
    deltas = [bound for bound in bounds[1:] if bound is not None]
    proven = order > 0 and len(deltas) == len(bounds) - 1
    return {
        "value": bounds[0],
        "delta": bounds[1:] if proven else None,
        "largest_delta": max(deltas) if proven else None,
        "seen": {"value": float(cover.seen[0]), "delta": cover.seen[1:].tolist() if order else None},
        "method": "difference layer by layer" if linked else "difference of two enclosures",
        "sub_boxes": cover.tried,
    }
