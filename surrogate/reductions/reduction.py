"""Exact scaling: what a price does not depend on is not learnt.

A problem with many features is written V(x) = A(x) h(u(x)): h is the value of a canonical problem with fewer
features, and A and u are formulas. The canonical problem is an ordinary one, simulated, labelled, trained, pruned and
certified as any other; strike, maturity, volatility scale, rate and whatever else goes into A and u costs nothing and
is exact. The chain rule then gives every Greek of V from value, gradient and Hessian of the one small network.

References: PRICING_MATH 12; Merton (1973) on homogeneity in spot and strike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pricing.domain import Box, Feature
from pricing.specs.problem import PricingProblem
from surrogate.dataset import Dataset
from surrogate.functions.surrogate import Surrogate, value
from surrogate.reductions.expressions import Expression, clamp, constant, enclose, evaluate, feature, network, product

# Where the network hands over to the asymptote, in terminal standard deviations: at 6 the asymptote is exact to 1e-10
# of one, and beyond it nothing of the network is left.
BLEND = (5.0, 6.0)
# A standard deviation below this share of its largest on the Box is taken as this share: what is left is the asymptote.
LEAST_DEVIATION = 1e-8
# The canonical Box is no wider than at this share of the largest standard deviation: beyond, the asymptote speaks.
LEAST_TRAINED = 0.01
# Samples whose derivatives of a closed form are held at once.
ROWS = 4096

Leaves = Mapping[str, Expression]


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """V(x) = control(x) + amplitude(x) h(inputs(x)), and how the labels of the canonical problem become labels of h.

    Args:
        canonical: the problem that is simulated, at ``arguments`` of x; as a function of its own features u its value
            is local_control(u) + local_amplitude(u) h(local_inputs(u)).
        box: of the inputs of h.
        distance: |d| in terminal standard deviations, or None where no asymptote is known.
        asymptote: what h tends to where |d| is large.
        leaves: every parameter of the canonical problem as a formula of x, where a control may be built of them.
        unit: what one of its value is worth, V(x) = unit(x) V_canonical(arguments(x)).
        control, local_control: a closed form near the value (`surrogate.reductions.control`), or None.
        kind: what metadata call it.
    """

    kind: str
    problem: PricingProblem
    canonical: PricingProblem
    box: Box
    amplitude: Expression
    inputs: Expression
    arguments: Expression
    local_amplitude: Expression
    local_inputs: Expression
    distance: Expression | None = None
    asymptote: Expression | None = None
    leaves: Leaves | None = None
    unit: Expression | None = None
    control: Expression | None = None
    local_control: Expression | None = None

    @property
    def controlled(self) -> bool:
        """Whether h is the difference to a closed form."""
        return self.control is not None

    @property
    def value(self) -> Expression:
        """V as one formula of the features: the network inside, the asymptote outside, in between both."""
        h = network(self.inputs)
        if self.distance is not None and self.asymptote is not None:
            h = h + smooth_step(self.distance) * (self.asymptote - h)
        found = self.amplitude * h
        return found if self.control is None else self.control + found


def parameters(problem: PricingProblem) -> Leaves:
    """Every parameter of a problem: columns of the features, or the specification's own numbers."""
    leaves = {name: constant(values) for name, values in problem.parameters.items()}
    for part in problem.features:
        columns = problem.box.columns(part.name)
        leaves[part.name] = feature(columns.start, columns.stop)
    return leaves


def smooth_step(distance: Expression) -> Expression:
    """6 t^5 - 15 t^4 + 10 t^3 over BLEND: 0 below and 1 above, with two continuous derivatives."""
    low, high = BLEND
    t = clamp((distance - low) * (1.0 / (high - low)), 0.0, 1.0)
    return t * t * t * ((t * 6.0 - 15.0) * t + 10.0)


def beside(parts: list[Expression]) -> Expression:
    """Several expressions as the columns of one."""
    if len(parts) == 1:
        return parts[0]
    width, start = sum(part.width for part in parts), 0
    joined = constant(torch.zeros(width))
    for part in parts:
        place = torch.zeros(part.width, width, dtype=torch.float64)
        place[:, start : start + part.width] = torch.eye(part.width)
        joined = joined + product(part, place)
        start += part.width
    return joined


def bounds(expression: Expression, box: Box) -> tuple[Tensor, Tensor]:
    """Between what numbers it stays on the Box. Shape: -> width."""
    return enclose(expression, torch.from_numpy(box.lower), torch.from_numpy(box.upper))


def as_feature(name: str, expression: Expression, box: Box, *, unit: str = "1") -> Feature:
    """What an expression is on the Box, as a feature of the canonical problem."""
    lower, upper = bounds(expression, box)
    return Feature(name=name, lower=tuple(lower.tolist()), upper=tuple(upper.tolist()), unit=unit)


def derivatives(reduction: Reduction, surrogate: Surrogate, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value, gradient and Hessian of V by autograd: what the exported chain rule is checked against.

    Shape: batch feature -> batch; batch feature; batch feature feature.
    """
    x = features.clone().requires_grad_()
    (found,) = evaluate([reduction.value], x, partial(value, surrogate))
    (slope,) = torch.autograd.grad(found.sum(), x, create_graph=True)
    rows = [torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in slope.unbind(dim=1)]
    return found[:, 0].detach(), slope.detach(), torch.stack(rows, dim=1)


def to_canonical(reduction: Reduction, features: Tensor) -> Tensor:
    """Where the canonical problem is asked for what is wanted at the features.

    Shape: batch feature -> batch feature.
    """
    return evaluate([reduction.arguments], features)[0]


def to_network(reduction: Reduction, dataset: Dataset) -> Dataset:
    """Labels of the canonical problem as labels of h on its inputs.

    Where V(u) = a(u) h(z(u)), the control taken off, with J = dz/du, the labels g = grad V and c = Hess V v give, with
    q = grad h,

        J^T q = (g - h grad a) / a,    J^T (Hess h J v) = (c - Hess[a (h0 + q0 . (z - z0))] v) / a

    where the last bracket has h and q held at the sample.

    Shape: dataset in the canonical problem's features -> in the network's inputs, as many.
    """
    if reduction.local_control is not None:
        dataset = without(reduction.local_control, dataset)
    if reduction.local_inputs.operator == "feature" and reduction.local_amplitude.is_constant:
        return dataset
    x = dataset.x.clone().requires_grad_()
    inputs, amplitude = evaluate([reduction.local_inputs, reduction.local_amplitude], x)
    a = amplitude[:, 0] + 0.0 * x.sum(dim=1)  # of x even where it is constant
    h = (dataset.y / a).detach()
    if dataset.gradient is None:
        return Dataset(x=inputs.detach(), y=h)
    columns = [torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in inputs.unbind(dim=1)]
    jacobian = torch.stack(columns, dim=1)
    (steep,) = torch.autograd.grad(a.sum(), x, retain_graph=True)
    q = _solve(jacobian, (dataset.gradient - h[:, None] * steep) / a.detach()[:, None])
    if dataset.directions is None or dataset.curvature is None:
        return Dataset(x=inputs.detach(), y=h, gradient=q)
    held = a * (h + ((inputs - inputs.detach()) * q).sum(dim=1))
    (slope,) = torch.autograd.grad(held.sum(), x, create_graph=True)
    curvature = []
    for v, c in zip(dataset.directions.unbind(dim=1), dataset.curvature.unbind(dim=1), strict=True):
        (bend,) = torch.autograd.grad((slope * v).sum(), x, retain_graph=True)
        curvature.append(_solve(jacobian, (c - bend) / a.detach()[:, None]))
    directions = torch.einsum("nij,nkj->nki", jacobian, dataset.directions)
    return Dataset(x=inputs.detach(), y=h, gradient=q, directions=directions, curvature=torch.stack(curvature, dim=1))


def without(control: Expression, dataset: Dataset) -> Dataset:
    """The labels less those of a closed form of their features. Shape: dataset x (batch, feature)."""
    parts = [_less(control, dataset.rows(slice(start, start + ROWS))) for start in range(0, len(dataset.x), ROWS)]
    names = [name for name, tensor in vars(dataset).items() if tensor is not None]
    return Dataset(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def _less(control: Expression, dataset: Dataset) -> Dataset:
    x = dataset.x.clone().requires_grad_()
    value = evaluate([control], x)[0][:, 0]
    rest = replace(dataset, y=dataset.y - value.detach())
    if dataset.gradient is None:
        return rest
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=dataset.curvature is not None)
    rest = replace(rest, gradient=dataset.gradient - slope.detach())
    if dataset.directions is None or dataset.curvature is None:
        return rest
    bends = [torch.autograd.grad((slope * v).sum(), x, retain_graph=True)[0] for v in dataset.directions.unbind(dim=1)]
    return replace(rest, curvature=dataset.curvature - torch.stack(bends, dim=1))


def from_features(reduction: Reduction, dataset: Dataset) -> Dataset:
    """Labels of what is priced, by all its features, as labels of h, without samples outside its Box or known anyway.

    As `to_network`, with amplitude and inputs of the whole formula: there are fewer inputs than features, and J^T q is
    the gradient by least squares, exact where the labels scale as the problem does.

    Shape: dataset in the problem's features -> in the network's inputs, as many or fewer.
    """
    inputs, amplitude = evaluate([reduction.inputs, reduction.amplitude], dataset.x)
    known = amplitude[:, 0] == 0.0  # by the formula alone, whatever h is
    inside = dataset.rows(torch.from_numpy(reduction.box.contains(inputs.numpy())) & ~known)
    whole = replace(
        reduction,
        local_inputs=reduction.inputs,
        local_amplitude=reduction.amplitude,
        local_control=reduction.control,
    )
    return to_network(whole, inside)


def _solve(jacobian: Tensor, right: Tensor) -> Tensor:
    """q of J^T q = right, by least squares where J is not square.

    Shape: batch input feature, batch feature -> batch input.
    """
    matrix = jacobian.transpose(1, 2)
    if matrix.shape[1] == matrix.shape[2]:
        solution: Tensor = torch.linalg.solve(matrix, right)
        return solution
    fitted: Tensor = torch.linalg.lstsq(matrix, right[:, :, None]).solution[:, :, 0]
    return fitted
