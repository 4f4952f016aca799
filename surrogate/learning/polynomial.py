"""Differential regression of the labels on polynomials, of the features or of a few axes of them.

References: Huge & Savine (2020), "Differential machine learning"; Huge & Savine (2021), "Axes that matter".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.regression import fit, make_basis
from pricing.specs.base import require_terms
from surrogate.dataset import Dataset, normalise
from surrogate.functions.polynomial import PolynomialSurrogate
from surrogate.learning.differential_pca import Axes, find_axes, project
from surrogate.spec import PolynomialSpec
from surrogate.standardisation import fit_standardisation

# Deltas by every input weigh the same, but for inputs that move the value by less than this share of what the first one
# does: theirs may be rounding or noise, and would weigh as much as all that is known.
LEAST_INFLUENCE = 1e-2


@dataclass(frozen=True, kw_only=True)
class Regression:
    """A fitted surrogate, and its axes where it does not see all features.

    Args:
        relative_ridge: rho of the fit as a share of the largest eigenvalue of its normal equations.
    """

    surrogate: PolynomialSurrogate
    relative_ridge: float
    axes: Axes | None


def fit_polynomial(dataset: Dataset, spec: PolynomialSpec) -> Regression:
    """The least-squares polynomial of the labels.

    Args:
        dataset: raw units, with delta labels where ``spec.order`` is 1; curvature labels are not used.

    Raises:
        InvalidSpec: more terms than `pricing.specs.base.MAXIMUM_TERMS`.
        SurrogateError: labels that the axes need are missing.
    """
    axes = None
    if spec.inputs == "differential_pca":
        axes = find_axes(dataset, spec)
        require_few(axes, spec)
    standardisation = fit_standardisation(dataset.x, dataset.y) if axes is None else axes.standardisation
    seen = normalise(dataset, standardisation) if axes is None else project(dataset, axes)
    fitted = fit(
        make_basis(seen.x, spec.degree),
        seen.x,
        seen.y,
        gradient=seen.gradient if spec.derivative_weight > 0.0 else None,
        weight=seen.weight,
        ridge=spec.ridge,
        derivative_weight=spec.derivative_weight * influence(seen) if spec.derivative_weight > 0.0 else 0.0,
    )
    turn = torch.eye(dataset.x.shape[1], dtype=dataset.x.dtype) if axes is None else axes.matrix
    matrix = turn / standardisation.x_scale[:, None] / fitted.basis.scale
    coefficients = fitted.coefficients * standardisation.y_scale
    coefficients[0] += standardisation.y_mean
    surrogate = PolynomialSurrogate(
        matrix=matrix,
        offset=-standardisation.x_mean @ matrix - fitted.basis.mean / fitted.basis.scale,
        degree=spec.degree,
        coefficients=coefficients,
    )
    return Regression(surrogate=surrogate, relative_ridge=fitted.ridge, axes=axes)


def require_few(axes: Axes, spec: PolynomialSpec) -> None:
    """Raise InvalidSpec for too many terms on the axes; where they were found, with what to do about their number."""
    try:
        require_terms(spec.degree, len(axes))
    except InvalidSpec as error:
        raise InvalidSpec(
            f"axes: {len(axes)} of {len(axes.matrix)} lose at most lost_gradient = {spec.lost_gradient:g} of deltas, "
            f"noise in the labels included, and {str(error).partition(' - at ')[0]}; give axes, such as 1 for a basket",
            path="polynomial.axes",
        ) from error


def influence(data: Dataset) -> Tensor:
    """min(1, s_j / (LEAST_INFLUENCE max_k s_k)) with s_j = E (d_j y)^2 Var x_j, whatever the units. Shape: -> input."""
    assert data.gradient is not None
    size = data.gradient.square() * data.x.var(dim=0, correction=0)
    mean = size.mean(dim=0) if data.weight is None else data.weight @ size
    least = (LEAST_INFLUENCE * mean.max()).clamp(min=torch.finfo(mean.dtype).tiny)
    return (mean / least).clamp(max=1.0)
