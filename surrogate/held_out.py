"""How good is a surrogate whose labels somebody else made? Errors against labels that it did not see, noise and all.

R2 is 1 - sum (label - prediction)^2 / sum (label - mean)^2, of deltas per coordinate and averaged. Noise in the labels
keeps it below 1 however good the surrogate is. Where features repeat, the spread of their labels around their mean
estimates the noise by itself, and ``explained`` says what R2 would be without it:

    1 - (mean square error - noise^2) / (variance of the labels - noise^2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from surrogate.dataset import Dataset
from surrogate.surrogates import Surrogate, value_gradient_hessian

# Samples in one batch of Hessians, as `surrogate.evaluation`.
ROWS = 1024


def judge(network: Surrogate, data: Dataset, *, noise: dict[str, float] | None) -> dict[str, Any]:
    """The report of a surrogate on held-out labels, as plain data for JSON.

    Args:
        network: raw units.
        data: raw units; labels of values, and of deltas where there are any.
        noise: root mean square noise of the labels by output, from `replicate_noise`.
    """
    value, delta, gamma = _predict(network, data.x)
    scores: dict[str, Any] = {"value": _scores(value[:, None], data.y[:, None], (noise or {}).get("value"))}
    scores["delta"] = _unknown()
    if data.gradient is not None:
        scores["delta"] = _scores(delta, data.gradient, (noise or {}).get("delta"))
    scores["gamma"] = _unknown() | {"frobenius_error": None, "parallel_r2": None}
    seen = gamma.flatten(start_dim=1).square().sum(dim=1).sqrt()
    return {
        "accuracy": {"samples": len(data), **scores, "buckets": []},
        "reference": {"kind": "labels held out of the dataset, with their noise", "relative_error": None},
        "noise_floor": noise,
        "shape": [],
        "gamma_size": {"rms": float(seen.square().mean().sqrt()), "largest": float(seen.max())},
        "evaluation": {"samples": len(data), "points": "rows of the dataset that training did not see"},
    }


def _predict(network: Surrogate, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    parts = []
    with torch.no_grad():
        for start in range(0, len(x), ROWS):
            parts.append([part.double() for part in value_gradient_hessian(network, x[start : start + ROWS])])
    value, delta, gamma = (torch.cat(column) for column in zip(*parts, strict=True))
    return value, delta, gamma


def _scores(predicted: Tensor, labels: Tensor, noise: float | None) -> dict[str, float | None]:
    error = predicted - labels
    spread = (labels - labels.mean(dim=0)).square().sum(dim=0)
    varies = spread > 0.0
    ratio = error.square().sum(dim=0)[varies] / spread[varies]
    left, all_of_it = float(error.square().mean()), float(spread.mean()) / len(labels)
    explained = None
    if noise is not None and all_of_it > noise**2:
        explained = 1.0 - (left - noise**2) / (all_of_it - noise**2)
    return {
        "r2": float(1.0 - ratio.mean()) if varies.any() else float(not error.any()),
        "rmse": float(np.sqrt(left)),
        "max_error": float(error.abs().max()),
        "explained": explained,
    }


def _unknown() -> dict[str, float | None]:
    """What is said of an output without labels."""
    return {"r2": None, "rmse": None, "max_error": None, "explained": None}


def replicate_noise(data: Dataset) -> dict[str, float] | None:
    """Root mean square noise of values and deltas from samples whose features repeat; None where none do.

    Pooled over groups of equal features: sum of squares around the group's mean / (samples - groups).
    """
    groups = torch.unique(data.x, dim=0, return_inverse=True)[1]
    count = int(groups.max()) + 1
    spare = len(data) - count
    if spare == 0:
        return None
    found = {}
    for name, label in (("value", data.y[:, None]), ("delta", data.gradient)):
        if label is not None:
            size = torch.bincount(groups, minlength=count).to(label.dtype)[:, None]
            mean = label.new_zeros(count, label.shape[1]).index_add_(0, groups, label) / size
            found[name] = float(((label - mean[groups]).square().mean(dim=1).sum() / spare).sqrt())
    return found
