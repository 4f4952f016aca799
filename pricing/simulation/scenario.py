"""Every parameter of a problem for a batch of samples, as tensors that a simulation or a formula differentiates.

A parameter that is a feature takes its columns of the features and has one row a sample; any other has the
specification's value and one row for all, so that what no feature moves is computed once and shared by the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.specs.diffusion import Diffusion
from pricing.specs.payoff import Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.schedule import Piece


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Parameters by name, float64, in raw units.

    Shape: every parameter ``batch 1 coordinate`` or ``1 1 coordinate``; spot ``batch 1 asset``.
    """

    parameters: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.parameters[name]

    def __contains__(self, name: str) -> bool:
        return name in self.parameters

    def scalar(self, name: str) -> Tensor:
        """A parameter of one coordinate. Shape: -> batch-or-1 1."""
        return self.parameters[name][..., 0]

    def detach(self) -> Scenario:
        """The same numbers without their derivatives."""
        return Scenario(parameters={name: values.detach() for name, values in self.parameters.items()})


def scenario(problem: PricingProblem, features: Tensor) -> Scenario:
    """The parameters at the features. Shape: features batch feature."""
    parameters = {name: features.new_tensor(values)[None, None, :] for name, values in problem.parameters.items()}
    for feature in problem.features:
        parameters[feature.name] = features[:, None, problem.box.columns(feature.name)]
    return Scenario(parameters=parameters)


def times(problem: PricingProblem, at: Scenario) -> Tensor:
    """The problem's dates in years, the maturity last. Shape: -> batch-or-1 1 date."""
    return dates(problem.payoff, at)


def dates(payoff: Payoff, at: Scenario) -> Tensor:
    """The payoff's dates in years, the maturity last. Shape: -> batch-or-1 1 date."""
    return at["maturity"] * at["maturity"].new_tensor(payoff.facts.dates)


def correlation(process: Diffusion, at: Scenario) -> Tensor:
    """The correlation matrix, from the features ``correlation`` or ``loading`` where there is one, else the process's.

    Shape: -> batch-or-1 asset asset.
    """
    eye = torch.eye(len(process.correlation), dtype=torch.float64)
    if "correlation" in at:
        return eye + at["correlation"] * (1.0 - eye)
    if "loading" in at:
        outer = at["loading"].transpose(1, 2) * at["loading"]
        return eye + outer * (1.0 - eye)
    return torch.tensor(process.correlation, dtype=torch.float64)[None]


def integral(values: Tensor, pieces: Sequence[Piece], until: Tensor) -> Tensor:
    """Integral from 0 to ``until`` of a piecewise-constant function of time.

    Args:
        values: one per piece, the first from time 0 on. Shape: batch-or-1 1 piece.
        until: years. Shape: batch-or-1 1 date.

    Shape: -> batch-or-1 1 date.
    """
    starts = until.new_tensor([0.0, *(piece.start for piece in pieces)])
    ends = until.new_tensor([*(piece.start for piece in pieces), torch.inf])
    lengths = torch.where(until[..., None] < ends, until[..., None], ends) - starts  # at an end, of the piece to come
    return (lengths.clamp(min=0.0) * values[..., None, :]).sum(dim=-1)


def growth(process: Diffusion, at: Scenario, until: Tensor) -> Tensor:
    """Integral of the carry b_i = r - q_i from 0 to each time. Shape: batch-or-1 1 date -> batch-or-1 1 date asset."""
    if "dividend_yield" not in at:  # a process without carry, or whose drifts say it
        return until.new_zeros(1, 1, 1, 1).expand(1, 1, until.shape[-1], len(process.correlation))
    rate = integral(at["rate"], process.rate_pieces, until)
    return rate[..., None] - until[..., None] * at["dividend_yield"][..., None, :]


def discount(process: Diffusion, at: Scenario, until: Tensor) -> Tensor:
    """e^(-integral of r) to each time; 1 for a process without carry. Shape: batch-or-1 1 date -> the same."""
    if "rate" not in at:
        return torch.ones_like(until)
    return torch.exp(-integral(at["rate"], process.rate_pieces, until))


def clock(process: Diffusion, at: Scenario, until: Tensor) -> Tensor:
    """Integral of the squared volatility scale from 0 to each time, years. Shape: batch-or-1 1 date -> the same."""
    return integral(at["volatility_scale"].square(), process.volatility_pieces, until)
