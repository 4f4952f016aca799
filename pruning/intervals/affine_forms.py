"""Affine forms: enclosures that remember the inputs and errors they come from, for pre-activations of deep networks.

    v = center + sum_k e_k block_k,    every |e_k| <= 1

An interval forgets that two nodes rise with the same input, and its width grows by a factor ||W|| a layer. A form goes
through W exactly; through an activation by the chord alpha a + beta with an error of at most ``radius``
(`pruning.intervals.chord`), whose e is new; through a product with an interval by its middle, likewise. Lower and upper
line of an activation are parallel here, and with parallel lines the backward substitution of CROWN and this one forward
sweep give the same bounds: both compose the same lines without loss. Every bound is met with that of interval
arithmetic.

References: Zhang et al., "Efficient neural network robustness certification with general activation functions" (CROWN,
2018); Xu et al., "Automatic perturbation analysis" (2020); Singh et al., "Fast and effective robustness certification"
(zonotopes, 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pruning.intervals.chord import chord
from pruning.intervals.interval import EPSILON, Interval, activation_range, add, affine, multiply, rounding
from surrogate.functions.activations import ActivationName

EnclosureMethod = Literal["interval", "affine"]


@dataclass(frozen=True, kw_only=True)
class AffineForm:
    """center + alpha sum_k e_k block_k + e fresh + error.

    Shape: center, alpha and fresh (one e an entry; either may be missing), error (|error| <= it) and radius (of the
    whole) (..., width); blocks (..., symbol, width).
    """

    center: Tensor
    blocks: tuple[Tensor, ...]
    alpha: Tensor | None
    fresh: Tensor | None
    error: Tensor
    radius: Tensor

    @property
    def interval(self) -> Interval:
        """What the form can be. Shape: -> ... width."""
        slack = EPSILON * (self.center.abs() + self.radius)
        return Interval(self.center - self.radius, self.center + self.radius).widen(slack)

    def linear(self, weight: Tensor, bias: Tensor | None) -> AffineForm:
        """v W^T + b. Shape: ... in -> ... out."""
        slack = rounding(weight, self.center.abs() + self.radius, bias)
        center = self.center @ weight.T
        # The factors go into the matrix, which is smaller than the blocks.
        matrix = weight.T if self.alpha is None else self.alpha.unsqueeze(-1) * weight.T
        blocks = [block @ matrix for block in self.blocks]
        if self.fresh is not None:
            blocks.append(self.fresh.unsqueeze(-1) * weight.T)
        error = self.error @ weight.abs().T + slack
        radius = error
        for block in blocks:
            radius = radius + torch.linalg.vector_norm(block, 1, dim=-2) * (1.0 + block.shape[-2] * EPSILON)
        return AffineForm(
            center=center if bias is None else center + bias,
            blocks=tuple(blocks),
            alpha=None,
            fresh=None,
            error=error,
            radius=radius * (1.0 + (len(blocks) + 1) * EPSILON),
        )

    def scale(self, alpha: Tensor, shift: Tensor, fresh: Tensor) -> AffineForm:
        """alpha v + shift + e fresh, of a form without alpha and fresh. Shape: ... width, each."""
        center, radius = alpha * self.center, alpha.abs() * self.radius
        slack = 4 * EPSILON * (center.abs() + shift.abs() + radius)
        return AffineForm(
            center=center + shift,
            blocks=self.blocks,
            alpha=alpha,
            fresh=fresh,
            error=alpha.abs() * self.error + slack,
            radius=(radius + fresh + slack) * (1.0 + 4 * EPSILON),
        )


@dataclass(frozen=True, kw_only=True)
class Span:
    """An interval and, where affine forms are asked for, the form that made it narrower. Shape: ... width."""

    interval: Interval
    form: AffineForm | None

    def linear(self, weight: Tensor, bias: Tensor | None = None) -> Span:
        """v W^T + b. Shape: ... in -> ... out."""
        interval = affine(weight, self.interval, bias)
        if self.form is None:
            return Span(interval=interval, form=None)
        form = self.form.linear(weight, bias)
        return Span(interval=interval.meet(form.interval), form=form)

    def times(self, factor: Interval, plus: Interval | None = None, constants: Tensor | None = None) -> Span:
        """v o factor + plus, or one of ``constants`` in its place (NaN for none). Shape: constants (width,)."""
        interval = multiply(self.interval, factor)
        if plus is not None:
            interval = add(interval, plus)
        if self.form is None:
            return Span(interval=_stretched(interval, constants), form=None)
        fresh, shift = self.interval.magnitude * factor.radius, torch.zeros_like(interval.lower)
        if plus is not None:
            fresh, shift = fresh + plus.radius, plus.middle
        return self._scaled(interval, factor.middle, shift, fresh * (1.0 + 4 * EPSILON), constants)

    def activate(self, name: ActivationName, constants: Tensor | None = None) -> Span:
        """phi(v), or one of ``constants`` in its place (NaN for none). Shape: constants (width,)."""
        interval = activation_range(name, 0, self.interval)
        if self.form is None:
            return Span(interval=_stretched(interval, constants), form=None)
        straight = chord(name, self.interval)
        return self._scaled(interval, straight.alpha, straight.beta, straight.radius, constants)

    def _scaled(
        self, interval: Interval, alpha: Tensor, shift: Tensor, fresh: Tensor, constants: Tensor | None
    ) -> Span:
        """alpha v + shift + e fresh, known to be in an interval; what may be a constant is anywhere in it."""
        assert self.form is not None
        if constants is not None:
            interval, free = _stretched(interval, constants), constants.isfinite()
            alpha = alpha.where(~free, 0.0)
            shift, fresh = interval.middle.where(free, shift), interval.radius.where(free, fresh)
        form = self.form.scale(alpha, shift, fresh)
        return Span(interval=interval.meet(form.interval), form=form)


def _stretched(interval: Interval, constants: Tensor | None) -> Interval:
    """The interval with the constants in it."""
    return interval if constants is None else interval.with_value(constants)


def span(interval: Interval, method: EnclosureMethod) -> Span:
    """Independent entries in intervals: the box of inputs. Shape: ... width ->."""
    if method == "interval":
        return Span(interval=interval, form=None)
    error = EPSILON * interval.magnitude
    form = AffineForm(
        center=interval.middle,
        blocks=(),
        alpha=None,
        fresh=interval.radius,
        error=error,
        radius=interval.radius + 2 * error,
    )
    return Span(interval=interval, form=form)


def exact(matrix: Tensor, batch: Sequence[int], method: EnclosureMethod) -> Span:
    """The same numbers in every box of a batch. Shape: row... width -> ... row... width."""
    center = matrix.expand(*batch, *matrix.shape)
    zero = torch.zeros_like(center)
    if method == "interval":
        return Span(interval=Interval(center, center), form=None)
    form = AffineForm(center=center, blocks=(), alpha=None, fresh=None, error=zero, radius=zero)
    return Span(interval=Interval(center, center), form=form)
