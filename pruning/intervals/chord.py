"""Activations between two parallel lines: phi(a) = alpha a + beta + error with |error| <= radius on an interval."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.intervals.interval import EPSILON, Interval, range_between
from surrogate.functions.activations import ACTIVATIONS, ActivationName

# Pieces of [a] on which phi - alpha a is enclosed by its mean value form; the excess falls with their square.
PIECES = 64


@dataclass(frozen=True, kw_only=True)
class Chord:
    """phi(a) = alpha a + beta + error with |error| <= radius on an interval. Shape: all that of its bounds."""

    alpha: Tensor
    beta: Tensor
    radius: Tensor


def chord(name: ActivationName, a: Interval) -> Chord:
    """The line parallel to the chord of phi on [a] that halves the range of the error. Shape: any ->."""
    phi = ACTIVATIONS[name]
    rise = phi(a.upper)[0] - phi(a.lower)[0]
    alpha = torch.where(a.width > 0, rise / a.width, phi(a.middle)[1])
    steps = torch.linspace(0.0, 1.0, PIECES + 1, dtype=rise.dtype)
    cuts = torch.lerp(a.lower, a.upper, steps.view(-1, *[1] * rise.ndim))
    piece = Interval(cuts[:-1], cuts[1:])
    middle, slopes = piece.middle, phi(cuts)[1]
    slope = range_between(name, 1, piece, slopes[:-1], slopes[1:])
    at_middle = phi(middle)[0]
    value = range_between(name, 0, Interval(middle, middle), at_middle, at_middle)
    straight = alpha * middle
    reach = piece.radius * torch.maximum((slope.upper - alpha).abs(), (slope.lower - alpha).abs())
    reach = reach + 4 * EPSILON * (value.magnitude + straight.abs() + reach)
    error = Interval((value.lower - straight - reach).amin(dim=0), (value.upper - straight + reach).amax(dim=0))
    return Chord(alpha=alpha, beta=error.middle, radius=error.radius)
