"""How good is a surrogate whose labels somebody else made? Errors against labels that it did not see, noise and all.

R2 is 1 - sum (label - prediction)^2 / sum (label - mean)^2, of deltas per coordinate and averaged. Noise in the labels
keeps it below 1 however good the surrogate is. Where features repeat, the spread of their labels around their mean
estimates the noise by itself, and ``explained`` says what R2 would be without it:

    1 - (mean square error - noise^2) / (variance of the labels - noise^2)

of the mean labels of the points, whose noise^2 is less by the number of their rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.types import Array
from surrogate.dataset import Dataset
from surrogate.evaluation.accuracy import predict
from surrogate.evaluation.errors import told
from surrogate.evaluation.replicates import FEWEST, Places, averaged, numbered
from surrogate.functions.surrogate import Surrogate
from surrogate.report.report import EvaluationFacts, Report
from surrogate.report.scores import Accuracy, GammaSize, OutputScore, ReferenceQuality
from surrogate.report.sources import ImportedLabels, LabelNoise

# A share that is less sure than this says nothing.
WIDEST = 0.1
# So many standard errors are no chance.
SURE = 3.0
# What is said of an output without labels.
UNKNOWN = OutputScore(r2=None, rmse=None, max_error=None, explained=None, explained_error=None)


def judge(network: Surrogate, data: Dataset, *, noise: Mapping[str, LabelNoise] | None) -> Report[ImportedLabels]:
    """The report of a surrogate on held-out labels, without what is known of the dataset.

    Args:
        network: raw units.
        data: raw units; labels of values, and of deltas where there are any; no copies among the rows.
        noise: of the labels by output, from `surrogate.evaluation.replicates.replicate_noise`.
    """
    predicted = predict(network, data.x.numpy())
    noise, points = noise or {}, numbered(data.x.numpy())
    value, delta = torch.from_numpy(predicted.value), torch.from_numpy(predicted.delta)
    outputs = {"value": _score(value[:, None], data.y[:, None], noise.get("value"), points), "delta": UNKNOWN}
    if data.gradient is not None:
        outputs["delta"] = _score(delta, data.gradient, noise.get("delta"), points)
    outputs["gamma"] = replace(UNKNOWN, frobenius_error=None, parallel_r2=None)
    sizes = np.sqrt((predicted.gamma**2).sum(axis=(1, 2)))
    return Report(
        accuracy=Accuracy(samples=len(data), outputs=outputs, buckets=()),
        reference=ReferenceQuality(kind="labels held out of the dataset, with their noise", relative_error=None),
        noise_floor={name: math.sqrt(each.square) for name, each in noise.items()} or None,
        shape=(),
        gamma_size=GammaSize(rms=float(np.sqrt(np.mean(sizes**2))), largest=float(sizes.max())),
        evaluation=EvaluationFacts(samples=len(data), points="rows of the dataset that training did not see"),
    )


def _score(predicted: Tensor, labels: Tensor, noise: LabelNoise | None, points: Places) -> OutputScore:
    """Errors against labels. Shape: predicted, labels row coordinate."""
    error, spread = (predicted - labels).square(), (labels - labels.mean(dim=0)).square().sum(dim=0)
    varies = spread > 0.0
    ratio = error.sum(dim=0)[varies] / spread[varies]
    share = None if noise is None else without_noise(predicted.numpy(), labels.numpy(), points, noise)
    return OutputScore(
        r2=float(1.0 - ratio.mean()) if varies.any() else float(not error.any()),
        rmse=float(error.mean().sqrt()),
        max_error=float(error.max().sqrt()),
        unexplained=float(ratio.mean()) if varies.any() else float(error.any()),
        **told((predicted - labels).numpy()),
        explained=None if share is None else share[0],
        explained_error=None if share is None else share[1],
    )


def without_noise(predicted: Array, labels: Array, points: Places, noise: LabelNoise) -> tuple[float, float] | None:
    """R2 without the noise, at most 1, and its standard error; None where the labels do not tell it.

    R = 1 - (e - s^2) / (a - s^2), with e the mean square error and a the variance of the points' mean labels and s^2
    the noise in them, moves by ((1 - R) da - de + R ds^2) / (a - s^2): e and a from point to point, s^2 by the error of
    the noise (delta method).

    Args:
        points: number of each row's point, without copies.
        noise: in the label of one row.

    Shape: predicted, labels (row, coordinate).
    """
    mean, rows = averaged(labels, points), np.bincount(points)
    error = ((averaged(predicted, points) - mean) ** 2).mean(axis=1)
    away = ((mean - mean.mean(axis=0)) ** 2).mean(axis=1)
    fewer = float((1.0 / rows).mean())
    square, unsure = fewer * noise.square, fewer * noise.error
    whole = float(away.mean()) - square
    if len(rows) < FEWEST or whole <= SURE * math.hypot(_error(away), unsure):
        return None
    share = 1.0 - (float(error.mean()) - square) / whole
    deviation = math.hypot(_error((1.0 - share) * away - error), share * unsure) / whole
    if deviation > WIDEST or share > 1.0 + SURE * deviation:
        return None
    return min(share, 1.0), deviation


def _error(numbers: Array) -> float:
    """The standard error of a mean. Shape: point ->."""
    return float(numbers.std(ddof=1)) / math.sqrt(len(numbers))
