"""How good is a surrogate while it is made? Errors against fresh labels of its own inputs, their noise told apart.

Of each kind of label the error is a share of its variance, 1 - R2, that of the whole label where only the difference to
a closed form is learnt: of the values, of the slopes by every input (the
mean), of the curvatures H v along the labels' directions, and of the curvatures in the worst bucket. What the standard
errors of the labels explain is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from surrogate.dataset import Dataset
from surrogate.evaluation.accuracy import ROWS
from surrogate.functions.surrogate import Surrogate, value_gradient_hessian
from surrogate.report.gate import QUIET
from surrogate.report.scores import FEWEST_POINTS


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """Shares of variances by kind of label, those that the labels have: "value", "delta", "gamma", "worst_bucket".

    Args:
        errors: 1 - R2, and no less than a share of the noise: with paths that all samples have in common, of all of it,
            for labels as noisy were learnt from, and nothing tells it from truth.
        noise: mean square standard errors.
    """

    errors: dict[str, float]
    noise: dict[str, float]


def fresh_errors(
    surrogate: Surrogate,
    data: Dataset,
    noisy: Dataset | None,
    buckets: Sequence[Tensor],
    *,
    widths: Tensor,
    whole: Dataset | None = None,
    least: float = 1.0,
) -> Fresh:
    """What the surrogate misses of labels, by their kind.

    Args:
        data: fresh labels in the inputs of the surrogate.
        noisy: the same, each off by one standard error; None of labels that are exact.
        buckets: samples of each, as masks. Shape: batch of bool.
        widths: of the inputs; curvatures by all of them are compared in these units. Shape: input.
        whole: the same labels without anything taken off, by whose variance errors are measured; by default the data.
        least: share of the noise that an error is at least.
    """
    value, gradient, along = predicted(surrogate, data)
    said = {"value": value[:, None], "delta": gradient, "gamma": None if along is None else widths * along}
    errors, noise, wholes = dict[str, float](), dict[str, float](), labels_of(data if whole is None else whole, widths)
    for name, label in labels_of(data, widths).items():
        guess, off = said[name], None if noisy is None else labels_of(noisy, widths)[name]
        assert guess is not None
        compare = partial(by_column if name == "delta" else together, label=label, whole=wholes[name])
        errors[name], noise[name] = net(compare(guess), 0.0 if off is None else compare(off), least)
        if name == "gamma":
            of = partial(of_bucket, guess, label, off, wholes[name], least=least)
            parts = [of(mask) for mask in buckets if int(mask.sum()) >= FEWEST_POINTS]
            errors["worst_bucket"], noise["worst_bucket"] = max([(errors[name], noise[name]), *parts])
    return Fresh(errors=errors, noise=noise)


def net(missed: float, noise: float, least: float) -> tuple[float, float]:
    """What is missed beside the noise, or that share of the noise if it is more; and the noise."""
    return max(missed - noise, least * noise), noise


def of_bucket(
    guess: Tensor, label: Tensor, off: Tensor | None, whole: Tensor, mask: Tensor, *, least: float
) -> tuple[float, float]:
    """`net` of a bucket's curvatures. Shape: guess, label, off, whole batch direction input; mask batch of bool."""
    here = max(variance(whole[mask]), QUIET * variance(whole))
    missed, noise = (0.0 if of is None else square(of[mask] - label[mask]) for of in (guess, off))
    return net(ratio(missed, here), ratio(noise, here), least)


def labels_of(data: Dataset, widths: Tensor) -> dict[str, Tensor]:
    """The labels that there are by their kind. Shape: widths input -> batch ... each."""
    bent = None if data.curvature is None else widths * data.curvature
    kinds = {"value": data.y[:, None], "delta": data.gradient, "gamma": bent}
    return {name: label for name, label in kinds.items() if label is not None}


def predicted(surrogate: Surrogate, data: Dataset) -> tuple[Tensor, Tensor, Tensor | None]:
    """Values, gradients and H v of the surrogate. Shape: -> batch; batch input; batch direction input."""
    parts = []
    for start in range(0, len(data), ROWS):
        with torch.no_grad():
            parts.append(value_gradient_hessian(surrogate, data.x[start : start + ROWS]))
    value, gradient, hessian = (torch.cat(column) for column in zip(*parts, strict=True))
    along = None if data.directions is None else torch.einsum("nij,nkj->nki", hessian, data.directions)
    return value, gradient, along


def together(guess: Tensor, *, label: Tensor, whole: Tensor) -> float:
    """Mean square distance as a share of the variance of whole labels. Shape: batch ... ->."""
    return ratio(square(guess - label), variance(whole))


def by_column(guess: Tensor, *, label: Tensor, whole: Tensor) -> float:
    """The same of each column that varies, their mean. Shape: batch column ->."""
    variances = whole.var(dim=0, correction=0)
    varies = variances > 0.0
    shares = (guess - label).square().mean(dim=0)[varies] / variances[varies]
    return float(shares.mean()) if varies.any() else 0.0


def variance(label: Tensor) -> float:
    """Mean square distance from the mean label. Shape: batch ... ->."""
    return square(label - label.mean(dim=0))


def square(difference: Tensor) -> float:
    """Mean over the samples of the sum of squares. Shape: batch ... ->."""
    return float(difference.square().flatten(start_dim=1).sum(dim=1).mean())


def ratio(error: float, whole: float) -> float:
    """A share, 0 of nothing."""
    return error / whole if whole > 0.0 else 0.0
