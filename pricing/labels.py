"""Training labels: values with pathwise gradients and curvature along directions, and their measured error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any, assert_never

import numpy as np
import torch
from torch import Tensor

from pricing.domain import Box
from pricing.draws import principal_axes, stream
from pricing.errors import NonFiniteLabels
from pricing.monte_carlo import Expectation, Simulation, average, each_replicate, prepare, replicate
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.types import Progress

# The labels by order of differentiation.
LABELS = ("value", "gradient", "curvature")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Features with simulated labels, float64, raw units; what was not asked for is None.

    Shape: features (N, d); value (N,); gradient (N, d); directions and curvature (N, k, d) with
    curvature[n, k] = H(x_n) directions[n, k]; every error as its label, one standard error over the replicates.

    Args:
        paths: simulated paths in all, the pilot's and those that an estimator was fitted on included.
        payoffs: evaluations of the payoff on a path, the pilot's and those that found the directions included.
    """

    features: Tensor
    value: Tensor
    gradient: Tensor | None = None
    directions: Tensor | None = None
    curvature: Tensor | None = None
    value_error: Tensor | None = None
    gradient_error: Tensor | None = None
    curvature_error: Tensor | None = None
    paths: int
    payoffs: int


def make_labels(
    problem: PricingProblem,
    features: Tensor,
    spec: LabelSpec,
    *,
    seed: int,
    threads: int = 1,
    progress: Progress | None = None,
) -> Labels:
    """Label every row of the features; the same seed gives the same labels, bit for bit, by any number of threads.

    Each of the R replicates averages the M paths of a sample and is differentiated as it stands: once for the gradient,
    twice for H v. A label is the mean over the replicates.

    Args:
        threads: replicates that are made at the same time.
        progress: is told by any of them, one at a time.

    Shape: features ``batch feature``, float64.

    Raises:
        InvalidSpec: features of another width, or an estimator or directions that do not fit the problem.
        OutOfDomain: features that are not finite, or correlations that no matrix has.
        NonFiniteLabels: NaN or infinity, naming the sample.
    """
    simulation = prepare(problem, features, spec, seed=seed)
    directions = find_directions(simulation, features, seed=seed) if spec.order == 2 else None

    done, rounds = 0, spec.replicates * len(simulation.parts)
    telling, ended = Lock(), Event()

    def run(index: int) -> tuple[Tensor, ...]:
        def measure(expectation: Expectation, rows: slice) -> tuple[Tensor, ...]:
            nonlocal done
            if ended.is_set():
                raise CancelledError
            with telling:
                done += rows.stop - rows.start
                if progress is not None:
                    progress(done / (rounds * len(features)))
            along = None if directions is None else directions[rows]
            return derivatives(expectation, features[rows], order=spec.order, directions=along)

        return replicate(simulation, len(features), measure, index=index, seed=seed)

    estimates = average(each_replicate(run, spec.replicates, threads=threads, ended=ended))
    mean = dict(zip(LABELS, (estimate.value for estimate in estimates), strict=False))
    error = dict(zip(LABELS, (estimate.standard_error for estimate in estimates), strict=False))
    paths, payoffs = count(simulation, len(features))
    require_finite_labels(features, mean)
    return Labels(
        features=features,
        value=mean["value"],
        gradient=mean.get("gradient"),
        directions=directions,
        curvature=mean.get("curvature"),
        value_error=error["value"],
        gradient_error=error.get("gradient"),
        curvature_error=error.get("curvature"),
        paths=paths,
        payoffs=payoffs,
    )


def save(labels: Labels, path: Path) -> None:
    """Write the labels with their errors as an uncompressed npz archive; the same labels give the same bytes."""
    asked = {name: label for name, label in vars(labels).items() if label is not None}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: np.asarray(label) for name, label in asked.items()})


def load(path: Path) -> Labels:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    fields: dict[str, Any] = {
        name: torch.from_numpy(array) if array.ndim else int(array) for name, array in arrays.items()
    }
    return Labels(**fields)


def derivatives(
    expectation: Expectation, features: Tensor, *, order: int, directions: Tensor | None
) -> tuple[Tensor, ...]:
    """Value, gradient and H v up to ``order``; samples do not mix, so the sum over them has all their derivatives.

    Shape: features batch feature, directions batch direction feature -> batch; batch feature; batch direction feature.
    """
    if order == 0:
        return (expectation(features),)
    x = features.clone().requires_grad_()
    value = expectation(x)
    (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=directions is not None)
    if directions is None:
        return value.detach(), gradient
    curvature = [torch.autograd.grad((gradient * v).sum(), x, retain_graph=True)[0] for v in directions.unbind(dim=1)]
    return value.detach(), gradient.detach(), torch.stack(curvature, dim=1)


def find_directions(simulation: Simulation, features: Tensor, *, seed: int) -> Tensor:
    """Curvature directions of every sample, of the deltas of the first replicate where they hang on these.

    Shape: batch feature -> batch direction feature.
    """

    def gradient() -> Tensor:
        def measure(expectation: Expectation, rows: slice) -> tuple[Tensor, ...]:
            return derivatives(expectation, features[rows], order=1, directions=None)

        value, slope = replicate(simulation, len(features), measure, index=0, seed=seed)
        require_finite_labels(features, {"value": value, "gradient": slope})
        return slope

    return directions_of(gradient, simulation.problem.box, simulation.spec, samples=len(features), seed=seed)


def directions_of(gradient: Callable[[], Tensor], box: Box, spec: LabelSpec, *, samples: int, seed: int) -> Tensor:
    """Curvature directions of every sample: normals with identity covariance, or the principal axes of the deltas.

    With x in units of the Box's widths, the axes are the leading unit eigenvectors of E[grad y grad y^T] over the delta
    labels (Huge & Savine, "Axes that matter"), the same for every sample. In raw units the feature of the smallest
    numbers, a variance beside spots, would be the first axis whatever it matters.

    Args:
        gradient: gives the delta labels, if they are asked for. Shape: -> batch feature.

    Shape: -> batch direction feature.
    """
    match spec.direction_law:
        case "random":
            normals = stream("directions", seed=seed).standard_normal((samples, spec.directions, box.dimension))
            return torch.from_numpy(normals)
        case "pca":
            spec.require_directions(box.dimension)
            widths = box.upper - box.lower
            widths = widths / widths.max()
            axes = widths * principal_axes(widths * gradient().numpy()).T[: spec.directions]
            return torch.tensor(axes).expand(samples, -1, -1).contiguous()
        case _:
            assert_never(spec.direction_law)


def count(simulation: Simulation, samples: int) -> tuple[int, int]:
    """Simulated paths and payoff evaluations, those of the pilot and of what an estimator fitted among them.

    Paths that all samples share count once; a shifted set is a new one.
    """
    spec = simulation.spec
    once = simulation.contribution.fitting + (spec.draws.pilot if spec.draws.rotation == "gradient_pca" else 0)
    sets = 1 if spec.draws.sharing == "common" else samples
    passes = spec.replicates + (spec.order == 2 and spec.direction_law == "pca")
    return sets * spec.paths * spec.replicates + once, samples * spec.paths * passes + once


def require_finite_labels(features: Tensor, labels: Mapping[str, Tensor]) -> None:
    """Raise NonFiniteLabels for the first sample with NaN or infinity in a label. Shape: labels batch ..."""
    for name, label in labels.items():
        finite = torch.isfinite(label).reshape(len(label), -1).all(dim=1)
        if not finite.all():
            row = int((~finite).nonzero()[0])
            raise NonFiniteLabels(
                f"sample {row}: {name} is {label[row].tolist()} at features {features[row].tolist()}; "
                "the features or the process are so large that it overflows"
            )
